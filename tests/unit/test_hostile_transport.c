/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile drivers, classes 1 to 3 and 8 to 10: registers, configuration space, ports. */
#include "hostile_registers.h"

#include <sys/eventfd.h>

#include "bus.h"
#include "layout_x86.h"
#include "power.h"
#include "serial.h"

/*
 * 1 and 2: queue registers
 */

static void class_01_queue_registers_are_frozen(void **state)
{
	struct hostile *h = *state;
	struct frozen before;
	size_t i, r;

	hostile_negotiate(h, 0, QUEUE_SIZE);
	program_queues(h);
	before = take(h);
	for (i = 0; i < h->guest->virtio->nr_queues; i++) {
		write_queue_registers(h, (uint32_t)i);
		for (r = 1; r < ARRAY_SIZE(rubbish); r++)
			set_ready(h, (unsigned int)i, rubbish[r]);
	}
	check_unchanged(h, &before);
	driver_ok(h);
	hostile_good(h);
	before = take(h);
	for (i = 0; i < h->guest->virtio->nr_queues; i++) {
		write_queue_registers(h, (uint32_t)i);
		for (r = 0; r < ARRAY_SIZE(rubbish); r++)
			set_ready(h, (unsigned int)i, rubbish[r]);
	}
	check_unchanged(h, &before);
	hostile_good(h);
	hostile_recovers(h);
}

static void class_01_no_queue_before_features_ok(void **state)
{
	static const uint32_t steps[] = {0, VIRTIO_CONFIG_S_ACKNOWLEDGE,
					 VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER};
	struct hostile *h = *state;
	struct frozen before;
	size_t i;

	hostile_place(h, QUEUE_SIZE);
	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, steps[i]);
		before = take(h);
		program_queues(h);
		check_unchanged(h, &before);
	}
	hostile_recovers(h);
}

/* Before DRIVER_OK a queue may be given back; then nothing of it is left. */
static void class_01_ready_is_taken_back(void **state)
{
	struct hostile *h = *state;
	const struct virtqueue_state nothing = {0};

	hostile_negotiate(h, 0, QUEUE_SIZE);
	program_queues(h);
	set_ready(h, 0, 0);
	assert_memory_equal(&h->guest->virtio->queues[0].state, &nothing, sizeof(nothing));
	hostile_place(h, QUEUE_SIZE / 2);
	if (h->target != ON_BLK)
		set_ready(h, 1, 0);
	program_queues(h);
	driver_ok(h);
	hostile_good(h);
	hostile_negotiate(h, 0, QUEUE_SIZE);
	program_queues(h);
	set_ready(h, 0, 0);
	set_ready(h, 0, 1);
	CHECK(h, !fake_reg_read(h->guest, VIRTIO_MMIO_QUEUE_READY));
	hostile_stands_still(h);
	hostile_recovers(h);
}

/* Any value but 0 is a 1. */
static void class_01_ready_of_any_value(void **state)
{
	static const uint32_t values[] = {2, 0x100, 0x10000, 0x80000000, UINT32_MAX};
	struct hostile *h = *state;
	unsigned int i, ring;

	for (h->nr = 0; h->nr < ARRAY_SIZE(values); h->nr++) {
		hostile_negotiate(h, 0, QUEUE_SIZE);
		for (i = 0; i < h->guest->virtio->nr_queues; i++) {
			const struct fake_queue *queue = &h->guest->queues[i];
			const gpa_t rings[] = {queue->desc, queue->avail, queue->used};

			set_ready(h, i, 0);
			fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_NUM, queue->size);
			for (ring = 0; ring < 3; ring++) {
				const uint64_t reg = VIRTIO_MMIO_QUEUE_DESC_LOW + 0x10 * ring;

				fake_reg_write(h->guest, reg, (uint32_t)rings[ring]);
				fake_reg_write(h->guest, reg + 4, (uint32_t)(rings[ring] >> 32));
			}
			set_ready(h, i, values[h->nr]);
			CHECK(h, fake_reg_read(h->guest, VIRTIO_MMIO_QUEUE_READY) == 1);
		}
		driver_ok(h);
		hostile_good(h);
		hostile_recovers(h);
	}
}

static void class_02_queue_sizes(void **state)
{
	static const uint32_t bad[] = {0,	3,	 5,	   6,	      15,
				       255,	257,	 384,	   512,	      0x8000,
				       0xffff,	0x10000, 0x10001,  0x10010,   0x10100,
				       1 << 20, 1 << 30, 1u << 31, UINT32_MAX};
	struct hostile *h = *state;
	uint16_t size;

	for (h->nr = 0; h->nr < ARRAY_SIZE(bad); h->nr++) {
		hostile_negotiate(h, 0, QUEUE_SIZE);
		program_queues(h);
		set_ready(h, 0, 0);
		fake_queue_program(h->guest, 0);
		set_ready(h, 0, 0);
		/* Good rings, bad size; for 0 also the size that was never written. */
		h->guest->queues[0].size = 1;
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_NUM, bad[h->nr]);
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_DESC_LOW, FAKE_RAM_BASE + KIB(64));
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_AVAIL_LOW, FAKE_RAM_BASE + KIB(128));
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_USED_LOW, FAKE_RAM_BASE + KIB(256));
		set_ready(h, 0, 1);
		CHECK(h, !fake_reg_read(h->guest, VIRTIO_MMIO_QUEUE_READY));
		CHECK(h, hostile_status(h) & VIRTIO_CONFIG_S_NEEDS_RESET);
		CHECK(h, !fake_irqs(h->guest));
		hostile_stands_still(h);
		hostile_recovers(h);
	}
	/* Every size that is allowed works, rings at the end of RAM. */
	for (size = 1; size <= VIRTQUEUE_SIZE_MAX; size *= 2) {
		h->nr = size;
		hostile_start(h, 0, size);
		hostile_good(h);
		hostile_good(h);
		hostile_recovers(h);
	}
}

/*
 * 3: selectors
 */

static void class_03_queues_that_are_not_there(void **state)
{
	struct hostile *h = *state;
	const uint32_t nr = h->guest->virtio->nr_queues;
	const uint32_t sels[] = {nr, nr + 1, 0x100, 0x10000, 0x80000000, UINT32_MAX};
	const uint32_t notify[] = {nr, nr + 1, 0x10000, 0x10001, 0x80000000, UINT32_MAX};
	/* A kick for no queue must not reach the descriptor that a zeroed structure names. */
	const int saved = dup(STDIN_FILENO), zero = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	struct frozen before;
	unsigned int phase;
	eventfd_t count;

	FAKE_CHECK(dup2(zero, STDIN_FILENO) == STDIN_FILENO);
	for (phase = 0; phase < 2; phase++) {
		hostile_negotiate(h, 0, QUEUE_SIZE);
		if (phase)
			hostile_start(h, 0, QUEUE_SIZE);
		before = take(h);
		for (h->nr = 0; h->nr < ARRAY_SIZE(sels); h->nr++) {
			write_queue_registers(h, sels[h->nr]);
			set_ready(h, sels[h->nr], 0);
			set_ready(h, sels[h->nr], 1);
			CHECK(h, !fake_reg_read(h->guest, VIRTIO_MMIO_QUEUE_NUM_MAX));
			CHECK(h, !fake_reg_read(h->guest, VIRTIO_MMIO_QUEUE_READY));
			check_unchanged(h, &before);
			fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_NOTIFY, notify[h->nr]);
			CHECK(h, !fake_run(h->guest));
			CHECK(h, eventfd_read(zero, &count));
		}
	}
	FAKE_CHECK(saved < 0 || dup2(saved, STDIN_FILENO) == STDIN_FILENO);
	close(saved);
	close(zero);
	hostile_good(h);
	hostile_recovers(h);
}

/*
 * 8 to 10: registers
 */

static void class_08_config_space(void **state)
{
	struct hostile *h = *state;
	const struct virtio_device *virtio = h->guest->virtio;
	static const uint64_t far[] = {0xff8,	    0xfff,	    0x1000,	0x1100,
				       0x100fc,	    0x10100,	    1ull << 31, UINT32_MAX,
				       0x100000100, UINT64_MAX - 7, UINT64_MAX};
	uint8_t expected[0x200] = {0};
	struct frozen before;
	unsigned int offset, len;
	uint64_t value;
	size_t i;

	hostile_start(h, 0, QUEUE_SIZE);
	before = take(h);
	memcpy(expected, virtio->config, virtio->config_size);
	/* Past its end there are zeroes, and not what lies behind it in the process. */
	for (offset = 0; offset < 0x100; offset++) {
		h->nr = offset;
		for (len = 1; len <= 8; len++) {
			value = fake_mmio_read(h->guest, VIRTIO_MMIO_CONFIG + offset, len);
			CHECK(h, !memcmp(&value, expected + offset, len));
			CHECK(h, len == 8 || !(value >> 8 * len));
			fake_mmio_write(h->guest, VIRTIO_MMIO_CONFIG + offset, ~value, len);
		}
	}
	for (i = 0; i < ARRAY_SIZE(far); i++) {
		h->nr = (unsigned int)i;
		for (len = 1; len <= 8; len++) {
			CHECK(h, !fake_mmio_read(h->guest, far[i], len));
			fake_mmio_write(h->guest, far[i], UINT64_MAX, len);
		}
	}
	check_unchanged(h, &before);
	hostile_good(h);
	hostile_recovers(h);
}

/* What no driver may write, and the generation, which is the device's. */
static void class_08_read_only_registers(void **state)
{
	static const uint64_t known[] = {
		VIRTIO_MMIO_MAGIC_VALUE,      VIRTIO_MMIO_VERSION,
		VIRTIO_MMIO_DEVICE_ID,	      VIRTIO_MMIO_VENDOR_ID,
		VIRTIO_MMIO_DEVICE_FEATURES,  VIRTIO_MMIO_QUEUE_NUM_MAX,
		VIRTIO_MMIO_INTERRUPT_STATUS, VIRTIO_MMIO_CONFIG_GENERATION,
	};
	struct hostile *h = *state;
	struct frozen before;
	uint32_t values[ARRAY_SIZE(known)];
	size_t i, j;

	hostile_start(h, 0, QUEUE_SIZE);
	hostile_good(h);
	fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_SEL, 0);
	for (i = 0; i < ARRAY_SIZE(known); i++)
		values[i] = fake_reg_read(h->guest, known[i]);
	before = take(h);
	for (i = 0; i < ARRAY_SIZE(known); i++)
		for (j = 0; j < ARRAY_SIZE(rubbish); j++)
			fake_reg_write(h->guest, known[i], rubbish[j]);
	/* Registers of features that are not offered, and those that are none. */
	for (i = 0xa8; i < 0x100; i += 4)
		fake_reg_write(h->guest, i, UINT32_MAX);
	for (i = 0x14; i < 0x70; i += 4)
		if (i < 0x20 || (i > 0x24 && i < 0x30) || (i > 0x38 && i < 0x44) ||
		    (i > 0x44 && i < 0x50) || (i > 0x50 && i < 0x64))
			fake_reg_write(h->guest, i == 0x14 ? 0x18 : i, UINT32_MAX);
	check_unchanged(h, &before);
	for (i = 0; i < ARRAY_SIZE(known); i++) {
		h->nr = (unsigned int)i;
		CHECK(h, fake_reg_read(h->guest, known[i]) == values[i]);
	}
	CHECK(h, !fake_run(h->guest));
	hostile_recovers(h);
}

static void class_09_widths_and_alignment(void **state)
{
	struct hostile *h = *state;
	unsigned int offset, len;
	struct frozen before;

	hostile_start(h, 0, QUEUE_SIZE);
	before = take(h);
	for (offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
		h->nr = offset;
		for (len = 1; len <= 8; len++) {
			if (len == 4 && offset % 4 == 0)
				continue;
			CHECK(h, !fake_mmio_read(h->guest, offset, len));
			/* 0 would be a reset, a kick, a queue given back. */
			fake_mmio_write(h->guest, offset, 0, len);
			fake_mmio_write(h->guest, offset, UINT64_MAX, len);
			fake_mmio_write(h->guest, offset, 0x0101010101010101, len);
		}
	}
	check_unchanged(h, &before);
	CHECK(h, !fake_run(h->guest));
	hostile_good(h);
	hostile_recovers(h);
}

/* Two windows side by side: what begins in one and ends in the other is the first one's. */
static void class_09_past_the_window(void **state)
{
	const uint64_t base = 0xd0000000, end = base + 2 * VIRTIO_MMIO_SIZE;
	static const uint64_t nowhere[] = {0, 0xcfffffff, UINT32_MAX, GIB(4), UINT64_MAX};
	struct hostile *h = *state;
	struct bus bus = {.nr_ranges = 0};
	uint8_t data[8], ones[8];
	struct frozen before;
	unsigned int len;
	uint64_t addr;
	size_t i;

	memset(ones, 0xff, sizeof(ones));
	FAKE_CHECK(!bus_add(&bus, base, VIRTIO_MMIO_SIZE, &h->guest->virtio->device));
	FAKE_CHECK(!bus_add(&bus, base + VIRTIO_MMIO_SIZE, VIRTIO_MMIO_SIZE,
			    &h->bystander.guest.virtio->device));
	bus_freeze(&bus);
	FAKE_CHECK(bus_add(&bus, end, 1, &h->guest->virtio->device));
	hostile_start(h, 0, QUEUE_SIZE);
	before = take(h);
	for (addr = base + VIRTIO_MMIO_SIZE - 8; addr < base + VIRTIO_MMIO_SIZE; addr++) {
		for (len = 1; len <= 8; len++) {
			memset(data, 0x55, sizeof(data));
			CHECK(h, bus_read(&bus, addr, data, len));
			for (i = 0; i < 8; i++)
				CHECK(h, data[i] == (i < len ? 0 : 0x55));
			/* The bystander's magic value and what follows stay. */
			CHECK(h, bus_write(&bus, addr, ones, len));
		}
	}
	for (i = 0; i < 8 + ARRAY_SIZE(nowhere); i++) {
		addr = i < 8 ? end + i : nowhere[i - 8];
		for (len = 1; len <= 8; len++) {
			memset(data, 0x55, sizeof(data));
			CHECK(h, !bus_read(&bus, addr, data, len));
			CHECK(h, !memcmp(data, ones, len) && (len == 8 || data[len] == 0x55));
			CHECK(h, !bus_write(&bus, addr, ones, len));
		}
	}
	/* An access of the right width at the last byte of the last window. */
	CHECK(h, bus_read(&bus, end - 1, data, 8) && !data[0]);
	check_unchanged(h, &before);
	fake_bystander_works(&h->bystander);
	hostile_good(h);
	hostile_recovers(h);
}

static void count_power(void *ctx, enum power_event event)
{
	(void)event;
	++*(unsigned int *)ctx;
}

/* Every port, every width; and a string instruction that writes to one for ever. */
static void class_09_port_io(void **state)
{
	struct hostile *h = *state;
	const struct serial_host host = {0};
	const uint8_t data[8] = {0};
	uint8_t got[8];
	struct serial serial = {0};
	struct power power;
	struct bus bus = {.nr_ranges = 0};
	unsigned int port, len, events = 0, found = 0;

	FAKE_CHECK(!serial_init(&serial, "serial", &host, &h->guest->loop));
	power_init(&power, count_power, &events);
	FAKE_CHECK(!bus_add(&bus, COM1_PORT, SERIAL_PORTS, &serial.device));
	FAKE_CHECK(!bus_add(&bus, POWER_PORT, POWER_PORTS, &power.acpi));
	FAKE_CHECK(!bus_add(&bus, I8042_PORT, I8042_PORTS, &power.i8042));
	bus_freeze(&bus);
	hostile_start(h, 0, QUEUE_SIZE);
	for (port = 0; port <= UINT16_MAX; port++) {
		for (len = 1; len <= 4; len *= 2) {
			memset(got, 0x55, sizeof(got));
			found += bus_read(&bus, port, got, len);
			CHECK(h, got[len] == 0x55);
			bus_write(&bus, port, data, len);
		}
	}
	CHECK(h, found == 3 * (SERIAL_PORTS + POWER_PORTS + I8042_PORTS));
	CHECK(h, !events);
	for (len = 0; len < 100000; len++)
		bus_write(&bus, COM1_PORT, data, 1);
	CHECK(h, serial.state.tx_len <= SERIAL_BUFFER);
	hostile_good(h);
	hostile_recovers(h);
	serial_fini(&serial);
}

static void class_10_acknowledge(void **state)
{
	static const uint32_t others[] = {0, 2, 4, 0x80000000, 0xfffffffe, 0xfffffffc};
	struct hostile *h = *state;

	hostile_start(h, 0, QUEUE_SIZE);
	/* Of what is not there. */
	fake_reg_write(h->guest, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	CHECK(h, !fake_reg_read(h->guest, VIRTIO_MMIO_INTERRUPT_STATUS));
	hostile_good(h);
	/* Of others than the one that is. */
	for (h->nr = 0; h->nr < ARRAY_SIZE(others); h->nr++) {
		fake_reg_write(h->guest, VIRTIO_MMIO_INTERRUPT_ACK, others[h->nr]);
		CHECK(h, fake_reg_read(h->guest, VIRTIO_MMIO_INTERRUPT_STATUS) ==
				 VIRTIO_MMIO_INT_VRING);
	}
	fake_reg_write(h->guest, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	fake_reg_write(h->guest, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	CHECK(h, !fake_reg_read(h->guest, VIRTIO_MMIO_INTERRUPT_STATUS));
	CHECK(h, !fake_irqs(h->guest));
	hostile_good(h);
	hostile_recovers(h);
}

/* Never acknowledged, acknowledged all the time: an interrupt for each completion at most. */
static void class_10_interrupt_storm(void **state)
{
	struct hostile *h = *state;
	unsigned int i;

	for (h->nr = 0; h->nr < 4; h->nr++) {
		hostile_start(h, h->nr & 1 ? EVENT_IDX : 0, QUEUE_SIZE);
		for (i = 0; i < 200; i++) {
			hostile_request(h);
			if (h->nr & 2)
				fake_reg_write(h->guest, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
			/* Nothing is new, so there is nothing to tell. */
			hostile_kick(h);
			CHECK(h, !fake_irqs(h->guest));
		}
		for (i = 0; i < 1000; i++)
			fake_reg_write(h->guest, VIRTIO_MMIO_INTERRUPT_ACK, i);
		CHECK(h, !fake_run(h->guest) && !fake_irqs(h->guest));
		hostile_recovers(h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE_DEVICES(class_01_queue_registers_are_frozen),
		HOSTILE_DEVICES(class_01_no_queue_before_features_ok),
		HOSTILE_DEVICES(class_01_ready_is_taken_back),
		HOSTILE_DEVICES(class_01_ready_of_any_value),
		HOSTILE_DEVICES(class_02_queue_sizes),
		HOSTILE_DEVICES(class_03_queues_that_are_not_there),
		HOSTILE_DEVICES(class_08_config_space),
		HOSTILE_DEVICES(class_08_read_only_registers),
		HOSTILE_DEVICES(class_09_widths_and_alignment),
		HOSTILE_DEVICES(class_09_past_the_window),
		HOSTILE_DEVICES(class_09_port_io),
		HOSTILE_DEVICES(class_10_acknowledge),
		HOSTILE_QUEUES(class_10_interrupt_storm),
	};

	/* A device that spins is a failure, not a wait. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
