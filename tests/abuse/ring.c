/* SPDX-License-Identifier: Apache-2.0 */
/* Classes 11 to 19, 21, 23 and 24: descriptors and rings. */
#include "kit.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define HAS_INDIRECT FEATURE(VIRTIO_RING_F_INDIRECT_DESC)
#define HAS_EVENT_IDX FEATURE(VIRTIO_RING_F_EVENT_IDX)

/*
 * 11 to 13: what the available ring says
 */

static enum outcome index_ahead(struct victim *v, uint64_t by)
{
	victim_chain(v);
	v->q->avail->idx += (uint16_t)by;
	victim_kick(v);
	return victim_settle(v);
}

static enum outcome index_back(struct victim *v, uint64_t by)
{
	enum outcome found = victim_still_works(v);

	if (found != IGNORED)
		return found;
	v->q->avail->idx -= (uint16_t)by;
	victim_kick(v);
	return victim_settle(v);
}

/* Back as soon as the device was told. */
static enum outcome index_flickers(struct victim *v, uint64_t turns)
{
	uint32_t i;

	victim_chain(v);
	for (i = 0; i < turns; i++) {
		v->q->avail->idx += (uint16_t)(i % QUEUE_SIZE);
		queue_kick(v->dev, v->queue);
		v->q->avail->idx -= (uint16_t)(i % 7);
	}
	victim_kick(v);
	return victim_settle(v);
}

static enum outcome head_is(struct victim *v, uint64_t head)
{
	victim_chain(v);
	return victim_submit(v, (uint16_t)head);
}

/* Right behind the table lies a good begin of the chain. */
static enum outcome head_in_trap(struct victim *v, uint64_t arg)
{
	(void)arg;
	victim_chain(v);
	v->q->desc[QUEUE_SIZE] = v->q->desc[0];
	return victim_trap(v, QUEUE_SIZE);
}

static enum outcome same_head(struct victim *v, uint64_t times)
{
	victim_chain(v);
	for (; times > 1; times--)
		queue_offer(v->q, 0);
	return victim_submit(v, 0);
}

/*
 * 14 to 19: what descriptors say
 */

static enum outcome last_next_is(struct victim *v, uint64_t next)
{
	victim_chain(v);
	v->q->desc[v->last].flags |= NEXT;
	v->q->desc[v->last].next = (uint16_t)next;
	return victim_submit(v, 0);
}

/* Right behind the table lies a good end of the chain. */
static enum outcome last_next_in_trap(struct victim *v, uint64_t arg)
{
	(void)arg;
	victim_chain(v);
	v->q->desc[QUEUE_SIZE] = v->q->desc[v->last];
	v->q->desc[v->last].flags |= NEXT;
	v->q->desc[v->last].next = QUEUE_SIZE;
	return victim_trap(v, 0);
}

static enum outcome first_next_in_trap(struct victim *v, uint64_t arg)
{
	(void)arg;
	victim_chain(v);
	v->q->desc[QUEUE_SIZE] = v->q->desc[1];
	v->q->desc[0].next = QUEUE_SIZE;
	return victim_trap(v, 0);
}

static enum outcome first_next_is(struct victim *v, uint64_t next)
{
	victim_chain(v);
	v->q->desc[0].next = (uint16_t)next;
	return victim_submit(v, 0);
}

/* The last `count` descriptors of the chain in a circle, of `length` bytes if that is not 0. */
static enum outcome loop_of(struct victim *v, uint64_t count, uint32_t length)
{
	unsigned int i;

	victim_chain(v);
	for (i = 0; length <= 1 && i <= v->last; i++)
		v->q->desc[i].len = length;
	v->q->desc[v->last].flags |= NEXT;
	v->q->desc[v->last].next = (uint16_t)(count > v->last ? 0 : v->last + 1 - count);
	return victim_submit(v, 0);
}

static enum outcome loop(struct victim *v, uint64_t count)
{
	return loop_of(v, count, UINT32_MAX);
}

static enum outcome loop_of_nothing(struct victim *v, uint64_t count)
{
	return loop_of(v, count, 0);
}

/* All descriptors there are, each as the last of a good chain but of one byte. */
static enum outcome loop_of_all(struct victim *v, uint64_t length)
{
	struct vring_desc desc;
	unsigned int i;

	victim_chain(v);
	desc = v->q->desc[v->last];
	for (i = v->last; i < QUEUE_SIZE; i++)
		desc_set(v->q, i, (void *)desc.addr, (uint32_t)length, desc.flags | NEXT,
			 (uint16_t)(i + 1) % QUEUE_SIZE);
	return victim_submit(v, 0);
}

/* 2^32 + 512 bytes in all: 512, to whom has 32 bits for it. */
static enum outcome total_over_32_bits(struct victim *v, uint64_t parts)
{
	struct vring_desc *table = arena_take((parts + 3) * sizeof(*table), 16);
	const uint16_t direction = victim_is_receiver(v) ? WRITE : 0;
	enum outcome found;
	uint64_t i;

	victim_chain(v);
	memcpy(table, v->q->desc, 2 * sizeof(*table));
	table[1].flags = direction | NEXT;
	table[1].len = SECTOR_SIZE;
	if (victim_is_disk(v))
		*v->dev->header = (struct virtio_blk_outhdr){.type = VIRTIO_BLK_T_OUT,
							     .sector = SCRATCH_SECTOR};
	for (i = 2; i < parts + 2; i++)
		table[i] = (struct vring_desc){0x100000, (uint32_t)((1ull << 32) / parts),
					       direction | NEXT, (uint16_t)(i + 1)};
	table[i] = v->q->desc[v->last];
	if (!victim_is_disk(v))
		table[--i].flags &= (uint16_t)~NEXT;
	table[1].next = 2;
	desc_set(v->q, 5, table, (uint32_t)((i + 1) * sizeof(*table)), INDIRECT, 0);
	found = victim_submit(v, 5);
	return victim_is_disk(v) ? must_fail(found, "4 GiB fit on the disk") : found;
}

/* `which`: a bit for each descriptor, the last is bit 7. */
static enum outcome zero_length(struct victim *v, uint64_t which)
{
	unsigned int i;

	victim_chain(v);
	for (i = 0; i <= v->last; i++)
		if (which >> (i == v->last ? 7 : i) & 1)
			v->q->desc[i].len = 0;
	return victim_may_drop(v, victim_submit(v, 0));
}

/* `arg`: an address, and the descriptor in its lowest bits: 0: the first, 1: the second. */
enum { SECOND = 1, ENDS_PAST_RAM = 2, STARTS_PAST_RAM = 4, ON_REGISTERS = 8 };

static enum outcome address_is(struct victim *v, uint64_t arg)
{
	struct vring_desc *desc = &v->q->desc[arg & SECOND];

	victim_chain(v);
	switch (arg & ~1ull) {
	case ENDS_PAST_RAM:
		desc->addr = ram_end - desc->len / 2;
		break;
	case STARTS_PAST_RAM:
		desc->addr = ram_end;
		break;
	case ON_REGISTERS:
		desc->addr = v->dev->window;
		break;
	default:
		desc->addr = arg & ~1ull;
	}
	return victim_submit(v, 0);
}

#define ADDRESS_IS(addr, words) \
	{18, EACH_QUEUE, "first descriptor " words, address_is, (addr), 0}, \
	{ \
		18, EACH_QUEUE, "second descriptor " words, address_is, (addr) | SECOND, 0 \
	}

static enum outcome length_is(struct victim *v, uint64_t arg)
{
	victim_chain(v);
	v->q->desc[arg & SECOND].len = (uint32_t)(arg & ~1ull);
	return victim_submit(v, 0);
}

/* Turns the direction of one descriptor; what was to be written may not be any more. */
static enum outcome turned(struct victim *v, uint64_t index)
{
	struct vring_desc *desc = &v->q->desc[index];
	enum outcome found;
	uint8_t before;

	victim_chain(v);
	if (index > v->last)
		return skip("there is no such descriptor");
	desc->flags ^= WRITE;
	before = *(uint8_t *)desc->addr;
	found = victim_submit(v, 0);
	if (!(desc->flags & WRITE) && *(volatile uint8_t *)desc->addr != before)
		return fail(FAIL_MEMORY, "what is read-only to the device was written");
	return found;
}

static enum outcome writable_first(struct victim *v, uint64_t arg)
{
	struct vring_desc first;

	(void)arg;
	victim_chain(v);
	first = v->q->desc[0];
	v->q->desc[0] = v->q->desc[1];
	v->q->desc[1] = first;
	v->q->desc[0].next = 1;
	v->q->desc[0].flags |= NEXT;
	v->q->desc[1].next = 2;
	v->q->desc[1].flags = (uint16_t)((first.flags & WRITE) | (v->last == 2 ? NEXT : 0));
	return victim_submit(v, 0);
}

/*
 * 21: the used ring over what the device reads or writes
 */

enum { OVER_DESC, OVER_AVAIL, OVER_HEADER, OVER_DATA };

static enum outcome used_over(struct victim *v, uint64_t what)
{
	void *const own = v->q->used, *data = arena_take(1024, 16);
	struct virtio *dev = v->dev;
	enum outcome found;
	unsigned int i;

	if (!device_reset(dev) || !device_negotiate(dev, 0))
		return fail(FAIL_DEAD, "it does not start");
	queue_clear(v->q);
	memset(data, 0, 1024);
	v->q->used = what == OVER_DESC	  ? (void *)v->q->desc
		     : what == OVER_AVAIL ? (void *)v->q->avail
					  : data;
	for (i = 0; i < dev->nr_queues; i++)
		if (i != v->queue)
			queue_setup(dev, i);
	queue_place(dev, v->queue, QUEUE_SIZE, (uintptr_t)v->q->desc, (uintptr_t)v->q->avail,
		    (uintptr_t)v->q->used);
	reg_write(dev, VIRTIO_MMIO_STATUS, RUNNING);
	victim_chain(v);
	if (what == OVER_HEADER || what == OVER_DATA) {
		v->q->desc[what == OVER_DATA].addr = (uintptr_t)data;
		v->q->desc[what == OVER_DATA].len = SECTOR_SIZE;
	}
	found = victim_submit(v, 0);
	v->q->used = own;
	return found;
}

/*
 * 23 and 24
 */

static enum outcome event_rubbish(struct victim *v, uint64_t event)
{
	enum outcome found = IGNORED;
	unsigned int turns;

	for (turns = 0; turns < 20 && found == IGNORED; turns++) {
		v->q->avail->used_event = (uint16_t)(event * turns);
		v->q->used->avail_event = (uint16_t)(event + turns);
		found = victim_still_works(v);
	}
	return found;
}

static enum outcome no_buffers(struct victim *v, uint64_t turns)
{
	for (; turns; turns--)
		net_solicit(v->dev);
	return victim_still_works(v);
}

static enum outcome small_buffers(struct victim *v, uint64_t size)
{
	uint8_t *buffer = arena_take(size, 8);
	unsigned int i;

	for (i = 0; i < QUEUE_SIZE - 1; i++) {
		desc_set(v->q, i, buffer, (uint32_t)size, WRITE, 0);
		queue_offer(v->q, (uint16_t)i);
	}
	victim_kick(v);
	return victim_may_drop(v, victim_settle(v));
}

static enum outcome kick_flood(struct victim *v, uint64_t kicks)
{
	for (; kicks; kicks--)
		queue_kick(v->dev, v->queue);
	return victim_still_works(v);
}

/* With the queue full of requests all the time. */
static enum outcome busy_flood(struct victim *v, uint64_t turns)
{
	enum outcome found = SERVED;

	victim_chain(v);
	for (; turns && found == SERVED; turns--) {
		while (!queue_is_full(v->q))
			queue_offer(v->q, 0);
		queue_kick(v->dev, v->queue);
		found = victim_settle(v);
	}
	return found;
}

const struct step ring_steps[] = {
	{11, EACH_QUEUE, "ahead by the size and one", index_ahead, QUEUE_SIZE + 1, 0},
	{11, EACH_QUEUE, "ahead by 2^15", index_ahead, 0x8000, 0},
	{11, EACH_QUEUE, "ahead by 2^16 - 1", index_ahead, 0xffff, 0},
	{11, EACH_QUEUE, "back by one", index_back, 1, 0},
	{11, EACH_QUEUE, "back by the size", index_back, QUEUE_SIZE, 0},
	{11, EACH_QUEUE, "back and forth", index_flickers, 200, 0},

	{12, EACH_QUEUE, "at the size", head_in_trap, 0, 0},
	{12, EACH_QUEUE, "2^15", head_is, 0x8000, 0},
	{12, EACH_QUEUE, "2^16 - 1", head_is, 0xffff, 0},

	{13, EACH_QUEUE, "twice", same_head, 2, 0},
	{13, EACH_QUEUE, "as often as fits", same_head, QUEUE_SIZE, 0},

	{14, EACH_QUEUE, "the size, at the end", last_next_in_trap, 0, 0},
	{14, EACH_QUEUE, "2^15, at the end", last_next_is, 0x8000, 0},
	{14, EACH_QUEUE, "2^16 - 1, at the end", last_next_is, 0xffff, 0},
	{14, EACH_QUEUE, "the size, at the begin", first_next_in_trap, 0, 0},
	{14, EACH_QUEUE, "2^16 - 1, at the begin", first_next_is, 0xffff, 0},

	{15, EACH_QUEUE, "of one", loop, 1, 0},
	{15, EACH_QUEUE, "of two", loop, 2, 0},
	{15, EACH_QUEUE, "of the chain", loop, 3, 0},
	{15, EACH_QUEUE, "of one, zero-length", loop_of_nothing, 1, 0},
	{15, EACH_QUEUE, "of the chain, zero-length", loop_of_nothing, 3, 0},
	{15, EACH_QUEUE, "of the whole table", loop_of_all, 1, 0},
	{15, EACH_QUEUE, "of the whole table, zero-length", loop_of_all, 0, 0},

	{16, EACH_QUEUE, "128 times 32 MiB, and 512 bytes", total_over_32_bits, 128, HAS_INDIRECT},
	{16, EACH_QUEUE, "256 times 16 MiB, and 512 bytes", total_over_32_bits, 256, HAS_INDIRECT},

	{17, EACH_QUEUE, "first", zero_length, 1, 0},
	{17, ON_DISK, "middle", zero_length, 2, 0},
	{17, EACH_QUEUE, "last", zero_length, 1 << 7, 0},
	{17, EACH_QUEUE, "all", zero_length, 0xff, 0},

	ADDRESS_IS(UINT64_MAX - 7, "wraps at 2^64"),
	ADDRESS_IS(STARTS_PAST_RAM, "behind the end of RAM"),
	ADDRESS_IS(ENDS_PAST_RAM, "across the end of RAM"),
	ADDRESS_IS(1ull << 40, "at 2^40"),
	ADDRESS_IS(1ull << 63, "at 2^63"),
	ADDRESS_IS(0xc0000000, "in the hole for devices"),
	ADDRESS_IS(ON_REGISTERS, "over the device's registers"),
	{18, EACH_QUEUE, "first descriptor of nearly 2^32 bytes", length_is, 0xfffffffe, 0},
	{18, EACH_QUEUE, "second descriptor of nearly 2^32 bytes", length_is, 0xffffffff, 0},

	{19, EACH_QUEUE, "first turned", turned, 0, 0},
	{19, EACH_QUEUE, "second turned", turned, 1, 0},
	{19, ON_DISK, "status turned", turned, 2, 0},
	{19, ON_DISK, "writable before readable", writable_first, 0, 0},

	{21, EACH_QUEUE, "over the descriptors", used_over, OVER_DESC, 0},
	{21, EACH_QUEUE, "over the available ring", used_over, OVER_AVAIL, 0},
	{21, EACH_QUEUE, "over the header", used_over, OVER_HEADER, 0},
	{21, EACH_QUEUE, "over the data", used_over, OVER_DATA, 0},

	{23, EACH_QUEUE, "zeroes", event_rubbish, 0, HAS_EVENT_IDX},
	{23, EACH_QUEUE, "one step", event_rubbish, 1, HAS_EVENT_IDX},
	{23, EACH_QUEUE, "half a turn", event_rubbish, 0x7fff, HAS_EVENT_IDX},
	{23, EACH_QUEUE, "backwards", event_rubbish, 0xffff, HAS_EVENT_IDX},

	{24, ON_RX, "frames without a buffer", no_buffers, 8, 0},
	{24, ON_RX, "buffers of 1 byte", small_buffers, 1, 0},
	{24, ON_RX, "buffers of 12 bytes", small_buffers, 12, 0},
	{24, ON_RX, "buffers of 13 bytes", small_buffers, 13, 0},
	{24, EACH_QUEUE, "a flood of kicks", kick_flood, 1000, 0},
	{24, ON_DISK | ON_TX, "a queue that is always full", busy_flood, 50, 0},
};
const size_t nr_ring_steps = ARRAY_SIZE(ring_steps);
