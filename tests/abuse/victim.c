/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE

bool victim_is_disk(const struct victim *v)
{
	return v->dev->id == VIRTIO_ID_BLOCK;
}

bool victim_is_receiver(const struct victim *v)
{
	return !victim_is_disk(v) && v->queue == QUEUE_RX;
}

/* A read of the first sector; a frame to send; or room for one. */
void victim_chain(struct victim *v)
{
	struct virtio *dev = v->dev;

	if (victim_is_disk(v)) {
		*dev->header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_IN};
		*dev->status = NO_ANSWER;
		fill_junk(dev->sector, SECTOR_SIZE);
		desc_set(v->q, 0, dev->header, sizeof(*dev->header), NEXT, 1);
		desc_set(v->q, 1, dev->sector, SECTOR_SIZE, WRITE | NEXT, 2);
		desc_set(v->q, 2, dev->status, 1, WRITE, 0);
		v->status = dev->status;
		v->last = 2;
	} else if (victim_is_receiver(v)) {
		fill_junk(dev->rx[0], 128);
		desc_set(v->q, 0, dev->rx[0], NET_HEADER_SIZE, WRITE | NEXT, 1);
		desc_set(v->q, 1, dev->rx[0] + NET_HEADER_SIZE, RX_BUFFER_SIZE - NET_HEADER_SIZE,
			 WRITE, 0);
		v->last = 1;
	} else {
		memset(dev->tx, 0, NET_HEADER_SIZE);
		memset(dev->tx + NET_HEADER_SIZE, 0xff, 60);
		desc_set(v->q, 0, dev->tx, NET_HEADER_SIZE, NEXT, 1);
		desc_set(v->q, 1, dev->tx + NET_HEADER_SIZE, 60, 0, 0);
		v->last = 1;
	}
}

void victim_kick(struct victim *v)
{
	queue_kick(v->dev, v->queue);
	/* Buffers for frames are looked at when there is a frame. */
	if (victim_is_receiver(v))
		net_solicit(v->dev);
}

enum outcome victim_settle(struct victim *v)
{
	struct queue *q = v->q;
	uint64_t begin = cycles();
	bool answered = false;

	while (!answered && cycles() - begin < WAIT_ANSWER) {
		if (device_needs_reset(v->dev))
			return NEEDS_RESET;
		answered = __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) != q->seen;
	}
	if (!answered)
		return SILENT;
	q->seen = q->used->idx;
	if (victim_is_disk(v) && v->status && *(volatile uint8_t *)v->status != VIRTIO_BLK_S_OK)
		return REFUSED;
	return SERVED;
}

enum outcome victim_submit(struct victim *v, uint16_t head)
{
	queue_offer(v->q, head);
	victim_kick(v);
	return victim_settle(v);
}

enum outcome victim_trap(struct victim *v, uint16_t head)
{
	enum outcome found = victim_submit(v, head);

	if (found == SERVED || found == REFUSED)
		return fail(FAIL_RULE, "a descriptor past the end of its table is used");
	return found;
}

enum outcome victim_still_works(struct victim *v)
{
	enum outcome found;

	victim_chain(v);
	found = victim_submit(v, 0);
	return found == SERVED ? IGNORED : found;
}

enum outcome victim_start_with(struct victim *v, uint32_t num, const uint64_t places[3])
{
	struct virtio *dev = v->dev;
	enum outcome found;
	unsigned int i;
	bool ready;

	if (!device_reset(dev) || !device_negotiate(dev, 0))
		return fail(FAIL_DEAD, "it does not start");
	for (i = 0; i < dev->nr_queues; i++)
		if (i != v->queue)
			queue_setup(dev, i);
	queue_clear(v->q);
	queue_place(dev, v->queue, num, places[0], places[1], places[2]);
	ready = reg_read(dev, VIRTIO_MMIO_QUEUE_READY);
	reg_write(dev, VIRTIO_MMIO_STATUS, RUNNING);
	if (device_needs_reset(dev))
		return NEEDS_RESET;
	victim_chain(v);
	found = victim_submit(v, 0);
	return found == SILENT && !ready ? REFUSED : found;
}

enum outcome victim_look(struct victim *v)
{
	return device_needs_reset(v->dev) ? NEEDS_RESET : victim_still_works(v);
}

bool victim_is_quiet(struct victim *v)
{
	return !queue_wait(v->q, WAIT_QUIET);
}

bool victim_interrupts(const struct victim *v, uint32_t bit)
{
	uint64_t begin = cycles();

	while (!(reg_read(v->dev, VIRTIO_MMIO_INTERRUPT_STATUS) & bit))
		if (cycles() - begin > WAIT_GOOD)
			return false;
	return true;
}

enum outcome victim_may_drop(const struct victim *v, enum outcome found)
{
	return victim_is_receiver(v) && found == SILENT ? REFUSED : found;
}
