/* SPDX-License-Identifier: Apache-2.0 */
/* Classes 1 to 4, 8 and 10: what registers may be told. */
#include "kit.h"

/*
 * 1: registers of a queue in use
 */

static void *decoy(void)
{
	return memset(arena_take(1024, 16), 0, 1024);
}

static void write_queue_registers(struct victim *v, uint32_t num, uint64_t addr)
{
	const struct virtio *dev = v->dev;

	reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, v->queue);
	reg_write(dev, VIRTIO_MMIO_QUEUE_NUM, num);
	reg_write(dev, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)addr);
	reg_write(dev, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(addr >> 32));
	reg_write(dev, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)addr + 256);
	reg_write(dev, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(addr >> 32));
	reg_write(dev, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)addr + 512);
	reg_write(dev, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(addr >> 32));
}

/* `addr`: where the rings move; 0: to a decoy. */
static enum outcome move_rings(struct victim *v, uint64_t addr)
{
	write_queue_registers(v, QUEUE_SIZE, addr ? addr : (uintptr_t)decoy());
	return victim_look(v);
}

static enum outcome move_rings_and_ready(struct victim *v, uint64_t addr)
{
	write_queue_registers(v, QUEUE_SIZE, addr ? addr : (uintptr_t)decoy());
	reg_write(v->dev, VIRTIO_MMIO_QUEUE_READY, 1);
	return victim_look(v);
}

static enum outcome change_size(struct victim *v, uint64_t num)
{
	reg_write(v->dev, VIRTIO_MMIO_QUEUE_SEL, v->queue);
	reg_write(v->dev, VIRTIO_MMIO_QUEUE_NUM, (uint32_t)num);
	return victim_look(v);
}

/* Between QueueReady and DRIVER_OK. */
static enum outcome move_before_driver_ok(struct victim *v, uint64_t addr)
{
	struct virtio *dev = v->dev;
	unsigned int i;

	if (!device_reset(dev) || !device_negotiate(dev, 0))
		return fail(FAIL_DEAD, "it does not start");
	for (i = 0; i < dev->nr_queues; i++)
		queue_setup(dev, i);
	write_queue_registers(v, 0, addr);
	reg_write(dev, VIRTIO_MMIO_STATUS, RUNNING);
	return victim_look(v);
}

/* virtio 1.2, 4.2.2.1: contents of a queue are not accessed while QueueReady is 0. */
static enum outcome unready(struct victim *v, uint64_t arg)
{
	(void)arg;
	reg_write(v->dev, VIRTIO_MMIO_QUEUE_SEL, v->queue);
	reg_write(v->dev, VIRTIO_MMIO_QUEUE_READY, 0);
	if (reg_read(v->dev, VIRTIO_MMIO_QUEUE_READY))
		return victim_look(v);
	victim_chain(v);
	queue_offer(v->q, 0);
	victim_kick(v);
	return victim_is_quiet(v) ? IGNORED
				  : fail(FAIL_RULE, "a queue that is not ready is served");
}

/*
 * 2 and 4: the size and the places of rings
 */

static enum outcome size_is(struct victim *v, uint64_t num)
{
	const uint64_t places[] = {(uintptr_t)v->q->desc, (uintptr_t)v->q->avail,
				   (uintptr_t)v->q->used};

	return victim_start_with(v, (uint32_t)num, places);
}

static enum outcome size_over_maximum(struct victim *v, uint64_t factor)
{
	reg_write(v->dev, VIRTIO_MMIO_QUEUE_SEL, v->queue);
	return size_is(v, reg_read(v->dev, VIRTIO_MMIO_QUEUE_NUM_MAX) * factor);
}

enum {
	UNALIGNED = 4,
	RAM_END = 8,
	ACROSS_END = 12,
	WRAPS = 16,
	FAR = 20,
	HOLE = 24,
	OWN_REGISTERS = 28,
	OVER_NEXT = 32
};

/* `arg`: which ring, and one of the above. */
static enum outcome ring_is_at(struct victim *v, uint64_t arg)
{
	uint64_t places[] = {(uintptr_t)v->q->desc, (uintptr_t)v->q->avail, (uintptr_t)v->q->used};
	uint64_t *place = &places[arg % 4];

	switch (arg & ~3ull) {
	case UNALIGNED:
		*place += 1;
		break;
	case RAM_END:
		*place = ram_end;
		break;
	case ACROSS_END:
		*place = ram_end - 16;
		break;
	case WRAPS:
		*place = UINT64_MAX - 15;
		break;
	case FAR:
		*place += 1ull << 40;
		break;
	case HOLE:
		*place = 0xc0000000;
		break;
	case OWN_REGISTERS:
		*place = v->dev->window;
		break;
	case OVER_NEXT:
		*place = places[(arg % 4 + 1) % 3];
		break;
	}
	return victim_start_with(v, QUEUE_SIZE, places);
}

#define RINGS_AT(place, words) \
	{4, EACH_QUEUE, "descriptor table " words, ring_is_at, (place) + 0, 0}, \
		{4, EACH_QUEUE, "available ring " words, ring_is_at, (place) + 1, 0}, \
	{ \
		4, EACH_QUEUE, "used ring " words, ring_is_at, (place) + 2, 0 \
	}

/*
 * 3: other queues
 */

static enum outcome select_queue(struct victim *v, uint64_t sel)
{
	struct virtio *dev = v->dev;
	enum outcome found = SKIPPED;

	reg_write(dev, VIRTIO_MMIO_QUEUE_SEL, (uint32_t)sel);
	if (reg_read(dev, VIRTIO_MMIO_QUEUE_NUM_MAX) || reg_read(dev, VIRTIO_MMIO_QUEUE_READY))
		found = fail(FAIL_RULE, "QueueNumMax or QueueReady of it is not 0");
	queue_place(dev, (uint32_t)sel, QUEUE_SIZE, (uintptr_t)decoy(), ram_end, UINT64_MAX);
	reg_write(dev, VIRTIO_MMIO_QUEUE_READY, 0);
	queue_kick(dev, (uint32_t)sel);
	return worse(found, victim_look(v));
}

static enum outcome notify_wildly(struct victim *v, uint64_t first)
{
	uint32_t i;

	for (i = 0; i < 64; i++) {
		queue_kick(v->dev, (uint32_t)first + i);
		queue_kick(v->dev, ~((uint32_t)first + i));
		queue_kick(v->dev, ((uint32_t)first + i) << 16);
	}
	return victim_look(v);
}

/*
 * 8: configuration space
 */

static enum outcome config_read(struct victim *v, uint64_t arg)
{
	const uint64_t config = v->dev->window + VIRTIO_MMIO_CONFIG;
	uint32_t before = reg_read(v->dev, VIRTIO_MMIO_CONFIG_GENERATION), offset;

	(void)arg;
	for (offset = 0; offset < v->dev->size - VIRTIO_MMIO_CONFIG; offset++) {
		/* The last ones reach over the end of the window. */
		(void)*(volatile uint8_t *)(config + offset);
		(void)*(volatile uint16_t *)(config + offset);
		(void)*(volatile uint32_t *)(config + offset);
		(void)*(volatile uint64_t *)(config + offset);
		if (offset >= 256)
			offset += 60;
	}
	if (reg_read(v->dev, VIRTIO_MMIO_CONFIG_GENERATION) != before)
		return fail(FAIL_RULE, "ConfigGeneration changes by reading");
	return victim_look(v);
}

/* The fields that are read-only: what a disk holds, the address of a network. */
static enum outcome config_write(struct victim *v, uint64_t value)
{
	const uint64_t config = v->dev->window + VIRTIO_MMIO_CONFIG;
	uint64_t before = *(volatile uint64_t *)config, after;
	uint32_t offset;

	for (offset = 0; offset < 256; offset++) {
		*(volatile uint8_t *)(config + offset) = (uint8_t)value;
		if (offset < 255)
			*(volatile uint16_t *)(config + offset) = (uint16_t)value;
		if (offset < 253)
			*(volatile uint32_t *)(config + offset) = (uint32_t)value;
		if (offset < 249)
			*(volatile uint64_t *)(config + offset) = value;
	}
	after = *(volatile uint64_t *)config;
	if ((before ^ after) & (victim_is_disk(v) ? UINT64_MAX : 0xffffffffffff))
		return fail(FAIL_RULE, "a read-only field was written");
	return victim_look(v);
}

/*
 * 10: interrupts
 */

static enum outcome acknowledge_others(struct victim *v, uint64_t bits)
{
	enum outcome found = victim_look(v);

	if (found != IGNORED)
		return found;
	if (!victim_interrupts(v, VIRTIO_MMIO_INT_VRING))
		return fail(FAIL_RULE, "InterruptStatus does not tell of a used buffer");
	reg_write(v->dev, VIRTIO_MMIO_INTERRUPT_ACK, (uint32_t)bits & ~VIRTIO_MMIO_INT_VRING);
	if (!(reg_read(v->dev, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_VRING))
		return fail(FAIL_RULE, "an acknowledgement takes away another bit");
	/* To acknowledge the rings' bit alone need not take it away. */
	reg_write(v->dev, VIRTIO_MMIO_INTERRUPT_ACK,
		  (uint32_t)bits | VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
	if (reg_read(v->dev, VIRTIO_MMIO_INTERRUPT_STATUS))
		return fail(FAIL_RULE, "InterruptStatus stays after its acknowledgement");
	return found;
}

static enum outcome acknowledge_storm(struct victim *v, uint64_t turns)
{
	uint32_t i;

	for (i = 0; i < turns; i++)
		reg_write(v->dev, VIRTIO_MMIO_INTERRUPT_ACK, ~i);
	return victim_look(v);
}

/* None is ever acknowledged. */
static enum outcome interrupt_storm(struct victim *v, uint64_t turns)
{
	enum outcome found = IGNORED;

	for (; turns && found == IGNORED; turns--)
		found = victim_look(v);
	if (!device_reset(v->dev) || reg_read(v->dev, VIRTIO_MMIO_INTERRUPT_STATUS))
		return fail(FAIL_RULE, "a reset leaves InterruptStatus");
	return found;
}

const struct step transport_steps[] = {
	{1, EACH_QUEUE, "rings moved to others", move_rings, 0, 0},
	{1, EACH_QUEUE, "rings moved out of memory", move_rings, UINT64_MAX - 4095, 0},
	{1, EACH_QUEUE, "rings moved, then ready again", move_rings_and_ready, 0, 0},
	{1, EACH_QUEUE, "rings moved out of memory, then ready again", move_rings_and_ready,
	 UINT64_MAX - 4095, 0},
	{1, EACH_QUEUE, "rings moved before DRIVER_OK", move_before_driver_ok, 1ull << 40, 0},
	{1, EACH_QUEUE, "size 0", change_size, 0, 0},
	{1, EACH_QUEUE, "size 2", change_size, 2, 0},
	{1, EACH_QUEUE, "size 2^32 - 1", change_size, UINT32_MAX, 0},
	{1, EACH_QUEUE, "not ready any more", unready, 0, 0},

	{2, EACH_QUEUE, "0", size_is, 0, 0},
	{2, EACH_QUEUE, "1", size_is, 1, 0},
	{2, EACH_QUEUE, "3", size_is, 3, 0},
	{2, EACH_QUEUE, "15", size_is, 15, 0},
	{2, EACH_QUEUE, "twice the maximum", size_over_maximum, 2, 0},
	{2, EACH_QUEUE, "32768", size_is, 32768, 0},
	{2, EACH_QUEUE, "65536", size_is, 65536, 0},
	{2, EACH_QUEUE, "65536 + 16", size_is, 65552, 0},
	{2, EACH_QUEUE, "2^31", size_is, 1u << 31, 0},
	{2, EACH_QUEUE, "2^32 - 1", size_is, UINT32_MAX, 0},

	{3, EACH_DEVICE, "number 1023", select_queue, 1023, 0},
	{3, EACH_DEVICE, "number 1024", select_queue, 1024, 0},
	{3, EACH_DEVICE, "number 65536", select_queue, 65536, 0},
	{3, EACH_DEVICE, "number 2^31", select_queue, 1u << 31, 0},
	{3, EACH_DEVICE, "number 2^32 - 1", select_queue, UINT32_MAX, 0},
	{3, EACH_DEVICE, "notify numbers 0 to 63, and more", notify_wildly, 0, 0},
	{3, EACH_DEVICE, "notify numbers 1000 to 1063, and more", notify_wildly, 1000, 0},

	RINGS_AT(UNALIGNED, "unaligned"),
	RINGS_AT(RAM_END, "behind the end of RAM"),
	RINGS_AT(ACROSS_END, "across the end of RAM"),
	RINGS_AT(WRAPS, "wraps at 2^64"),
	RINGS_AT(FAR, "at 2^40"),
	RINGS_AT(HOLE, "in the hole for devices"),
	RINGS_AT(OWN_REGISTERS, "over the device's registers"),
	RINGS_AT(OVER_NEXT, "over another ring"),

	{8, EACH_DEVICE, "read everywhere, in each width", config_read, 0, 0},
	{8, EACH_DEVICE, "ones written everywhere", config_write, UINT64_MAX, 0},
	{8, EACH_DEVICE, "zeroes written everywhere", config_write, 0, 0},

	{10, EACH_DEVICE, "bits that are not set", acknowledge_others, UINT32_MAX, 0},
	{10, EACH_DEVICE, "no bits", acknowledge_others, 0, 0},
	{10, EACH_DEVICE, "acknowledgement storm", acknowledge_storm, 500, 0},
	{10, EACH_DEVICE, "interrupt storm", interrupt_storm, 200, 0},
};
const size_t nr_transport_steps = ARRAY_SIZE(transport_steps);
