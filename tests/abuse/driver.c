/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#include <linux/if_arp.h>
#include <linux/if_ether.h>

struct arp_frame {
	uint8_t to[6], from[6];
	uint16_t protocol, hardware, ip;
	uint8_t hardware_len, ip_len;
	uint16_t operation;
	uint8_t from_mac[6];
	uint32_t from_ip;
	uint8_t to_mac[6];
	uint32_t to_ip;
} __attribute__((packed));

uint64_t device_features(const struct virtio *dev)
{
	uint64_t features;

	reg_write(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	features = (uint64_t)reg_read(dev, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	reg_write(dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return features | reg_read(dev, VIRTIO_MMIO_DEVICE_FEATURES);
}

void device_prepare(struct virtio *dev)
{
	unsigned int i;

	dev->offered = device_features(dev);
	dev->nr_queues = dev->id == VIRTIO_ID_NET ? 2 : 1;
	for (i = 0; i < dev->nr_queues; i++) {
		dev->queues[i].desc = arena_take(2 * QUEUE_SIZE * sizeof(struct vring_desc), 16);
		dev->queues[i].avail = arena_take(sizeof(*dev->queues[i].avail), 8);
		dev->queues[i].used = arena_take(sizeof(*dev->queues[i].used), 8);
	}
	if (dev->id == VIRTIO_ID_BLOCK) {
		dev->capacity = *(volatile uint64_t *)(dev->window + VIRTIO_MMIO_CONFIG);
		dev->read_only = dev->offered & FEATURE(VIRTIO_BLK_F_RO);
		dev->header = arena_take(sizeof(*dev->header), 8);
		dev->sector = arena_take(SECTOR_SIZE, 8);
		dev->status = arena_take(1, 8);
		return;
	}
	for (i = 0; i < sizeof(dev->mac); i++)
		dev->mac[i] = *(volatile uint8_t *)(dev->window + VIRTIO_MMIO_CONFIG + i);
	dev->tx = arena_take(NET_HEADER_SIZE + ETH_ZLEN, 8);
	for (i = 0; i < RX_BUFFERS; i++)
		dev->rx[i] = arena_take(RX_BUFFER_SIZE, 8);
}

bool device_reset(struct virtio *dev)
{
	uint64_t begin = cycles();

	reg_write(dev, VIRTIO_MMIO_STATUS, 0);
	while (reg_read(dev, VIRTIO_MMIO_STATUS))
		if (cycles() - begin > WAIT_GOOD)
			return false;
	return true;
}

bool device_negotiate(struct virtio *dev, uint64_t features)
{
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE;

	dev->accepted = features | FEATURE(VIRTIO_F_VERSION_1);
	reg_write(dev, VIRTIO_MMIO_STATUS, status);
	status |= VIRTIO_CONFIG_S_DRIVER;
	reg_write(dev, VIRTIO_MMIO_STATUS, status);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(dev->accepted >> 32));
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)dev->accepted);
	reg_write(dev, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_FEATURES_OK);
	return reg_read(dev, VIRTIO_MMIO_STATUS) == DRIVER_READY;
}

void queue_place(struct virtio *dev, unsigned int queue, uint32_t num, uint64_t desc,
		 uint64_t avail, uint64_t used)
{
	reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, queue);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NUM, num);
	reg_write(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)desc);
	reg_write(dev, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(desc >> 32));
	reg_write(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)avail);
	reg_write(dev, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(avail >> 32));
	reg_write(dev, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)used);
	reg_write(dev, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(used >> 32));
	reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 1);
}

void queue_clear(struct queue *q)
{
	memset(q->desc, 0, 2 * QUEUE_SIZE * sizeof(*q->desc));
	memset(q->avail, 0, sizeof(*q->avail));
	memset(q->used, 0, sizeof(*q->used));
	q->seen = 0;
}

void queue_setup(struct virtio *dev, unsigned int queue)
{
	struct queue *q = &dev->queues[queue];

	queue_clear(q);
	queue_place(dev, queue, QUEUE_SIZE, (uintptr_t)q->desc, (uintptr_t)q->avail,
		    (uintptr_t)q->used);
}

bool device_start(struct virtio *dev, uint64_t features)
{
	unsigned int i;

	/* With FLUSH, a write need not be stable before it is answered. */
	if (dev->id == VIRTIO_ID_BLOCK)
		features |= dev->offered & FEATURE(VIRTIO_BLK_F_FLUSH);
	if (!device_reset(dev) || !device_negotiate(dev, features))
		return false;
	for (i = 0; i < dev->nr_queues; i++)
		queue_setup(dev, i);
	reg_write(dev, VIRTIO_MMIO_STATUS, RUNNING);
	return reg_read(dev, VIRTIO_MMIO_STATUS) == RUNNING;
}

bool device_needs_reset(const struct virtio *dev)
{
	return reg_read(dev, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

void queue_offer(struct queue *q, uint16_t head)
{
	q->avail->ring[q->avail->idx % QUEUE_SIZE] = head;
	__atomic_store_n(&q->avail->idx, q->avail->idx + 1, __ATOMIC_RELEASE);
}

bool queue_is_full(const struct queue *q)
{
	return (uint16_t)(q->avail->idx - __atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE)) >=
	       QUEUE_SIZE;
}

void queue_kick(const struct virtio *dev, unsigned int queue)
{
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

bool queue_wait(struct queue *q, uint64_t limit)
{
	uint64_t begin = cycles();

	while (__atomic_load_n(&q->used->idx, __ATOMIC_ACQUIRE) == q->seen) {
		cpu_relax();
		if (cycles() - begin > limit)
			return false;
	}
	q->seen++;
	return true;
}

/*
 * Disks
 */

bool disk_request(struct virtio *dev, uint32_t type, uint64_t sector, uint8_t *ret_status)
{
	const uint16_t writable = type == VIRTIO_BLK_T_OUT ? 0 : VRING_DESC_F_WRITE;
	struct queue *q = &dev->queues[QUEUE_BLK];

	*dev->header = (struct virtio_blk_outhdr){.type = type, .sector = sector};
	*dev->status = NO_ANSWER;
	desc_set(q, 0, dev->header, sizeof(*dev->header), VRING_DESC_F_NEXT, 1);
	desc_set(q, 1, dev->sector, SECTOR_SIZE, writable | VRING_DESC_F_NEXT, 2);
	desc_set(q, 2, dev->status, 1, VRING_DESC_F_WRITE, 0);
	queue_offer(q, 0);
	queue_kick(dev, QUEUE_BLK);
	if (!queue_wait(q, WAIT_GOOD))
		return false;
	*ret_status = *(volatile uint8_t *)dev->status;
	return true;
}

/* By words: where KVM emulates, each turn of a loop takes some microseconds. */
void fill_junk(void *at, size_t size)
{
	uint64_t *words = at;

	for (; size; size -= sizeof(*words))
		*words++ = JUNK_WORD;
}

bool is_junk(const void *at, size_t size)
{
	const uint8_t *bytes = at;

	while (size && *(const volatile uint8_t *)bytes == JUNK) {
		bytes++;
		size--;
	}
	return !size;
}

bool disk_sector_is_pristine(const uint8_t *sector, uint64_t number)
{
	const uint64_t *words = (const void *)sector;
	unsigned int i;

	/* As "printf %0511d\n" writes it. */
	for (i = 0; i < SECTOR_SIZE / 8 - 2; i++)
		if (words[i] != 0x3030303030303030)
			return false;
	for (i = SECTOR_SIZE - 2; i >= SECTOR_SIZE - 16; i--, number /= 10)
		if (sector[i] != '0' + number % 10)
			return false;
	return sector[SECTOR_SIZE - 1] == '\n';
}

static enum outcome disk_read_pristine(struct virtio *dev, uint64_t number)
{
	uint8_t status;

	fill_junk(dev->sector, SECTOR_SIZE);
	if (!disk_request(dev, VIRTIO_BLK_T_IN, number, &status))
		return fail(FAIL_DEAD, "a good read gets no answer");
	if (status != VIRTIO_BLK_S_OK)
		return fail(FAIL_DEAD, "a good read fails");
	if (!disk_sector_is_pristine(dev->sector, number))
		return fail(FAIL_DATA, "a sector nobody wrote is not what it was");
	return SERVED;
}

/* Writes to the scratch sectors, round and round, and reads it back. */
static enum outcome disk_write_and_read(struct virtio *dev)
{
	static uint32_t turn;
	const uint64_t sector = SCRATCH_SECTOR + ++turn % SCRATCH_SECTORS;
	uint64_t *words = (void *)dev->sector;
	unsigned int i;
	uint8_t status;

	for (i = 0; i < SECTOR_SIZE / 8; i++)
		words[i] = sector << 32 | turn * i;
	if (!disk_request(dev, VIRTIO_BLK_T_OUT, sector, &status))
		return fail(FAIL_DEAD, "a good write gets no answer");
	if (status != VIRTIO_BLK_S_OK)
		return fail(FAIL_DEAD, "a good write fails");
	fill_junk(dev->sector, SECTOR_SIZE);
	if (!disk_request(dev, VIRTIO_BLK_T_IN, sector, &status) || status != VIRTIO_BLK_S_OK)
		return fail(FAIL_DEAD, "a good read fails");
	for (i = 0; i < SECTOR_SIZE / 8; i++)
		if (words[i] != (sector << 32 | turn * i))
			return fail(FAIL_DATA, "what was written reads back differently");
	return SERVED;
}

static enum outcome disk_check(struct virtio *dev)
{
	enum outcome found = disk_read_pristine(dev, 0);

	if (found == SERVED)
		found = disk_read_pristine(dev, dev->capacity - 1);
	if (found == SERVED && !dev->read_only)
		found = disk_write_and_read(dev);
	return found;
}

/*
 * Networks
 */

static uint16_t swap16(uint16_t value)
{
	return (uint16_t)(value << 8 | value >> 8);
}

void net_solicit(struct virtio *dev)
{
	struct queue *q = &dev->queues[QUEUE_TX];
	const uint16_t index = q->avail->idx % QUEUE_SIZE;
	struct arp_frame *arp = (void *)(dev->tx + NET_HEADER_SIZE);

	if (queue_is_full(q))
		return;
	memset(dev->tx, 0, NET_HEADER_SIZE + ETH_ZLEN);
	memset(arp->to, 0xff, sizeof(arp->to));
	memcpy(arp->from, dev->mac, sizeof(arp->from));
	arp->protocol = swap16(ETH_P_ARP);
	arp->hardware = swap16(ARPHRD_ETHER);
	arp->ip = swap16(ETH_P_IP);
	arp->hardware_len = 6;
	arp->ip_len = 4;
	arp->operation = swap16(ARPOP_REQUEST);
	memcpy(arp->from_mac, dev->mac, sizeof(arp->from_mac));
	arp->from_ip = peer;
	((uint8_t *)&arp->from_ip)[3] = 15; /* another host of that network */
	arp->to_ip = peer;
	desc_set(q, index, dev->tx, NET_HEADER_SIZE + ETH_ZLEN, 0, 0);
	queue_offer(q, index);
	queue_kick(dev, QUEUE_TX);
}

bool net_is_answer(const struct virtio *dev, const uint8_t *frame)
{
	const struct arp_frame *arp = (const void *)frame;

	return arp->protocol == swap16(ETH_P_ARP) && arp->operation == swap16(ARPOP_REPLY) &&
	       arp->from_ip == peer && !memcmp(arp->to, dev->mac, sizeof(arp->to));
}

void net_post(struct virtio *dev, unsigned int index)
{
	struct queue *q = &dev->queues[QUEUE_RX];

	fill_junk(dev->rx[index], 128);
	desc_set(q, index, dev->rx[index], RX_BUFFER_SIZE, VRING_DESC_F_WRITE, 0);
	queue_offer(q, (uint16_t)index);
}

/* Sends a frame and waits for the answer, past whatever else arrives. */
static enum outcome net_check(struct virtio *dev)
{
	struct queue *tx = &dev->queues[QUEUE_TX], *rx = &dev->queues[QUEUE_RX];
	bool answered = !peer;
	unsigned int i;

	for (i = 0; i < RX_BUFFERS && rx->avail->idx < RX_BUFFERS; i++)
		net_post(dev, i);
	queue_kick(dev, QUEUE_RX);
	net_solicit(dev);
	if (!queue_wait(tx, WAIT_GOOD))
		return fail(FAIL_DEAD, "a good frame is not sent");
	while (!answered) {
		const struct vring_used_elem *used = &rx->used->ring[rx->seen % QUEUE_SIZE];

		if (!queue_wait(rx, WAIT_GOOD))
			return fail(FAIL_DEAD, "no frame is received");
		if (used->id >= RX_BUFFERS)
			return fail(FAIL_DATA, "a buffer came back that was never posted");
		answered = used->len >= NET_HEADER_SIZE + sizeof(struct arp_frame) &&
			   used->len <= RX_BUFFER_SIZE &&
			   net_is_answer(dev, dev->rx[used->id] + NET_HEADER_SIZE);
		net_post(dev, used->id);
		queue_kick(dev, QUEUE_RX);
	}
	return SERVED;
}

enum outcome device_check(struct virtio *dev)
{
	return dev->id == VIRTIO_ID_BLOCK ? disk_check(dev) : net_check(dev);
}
