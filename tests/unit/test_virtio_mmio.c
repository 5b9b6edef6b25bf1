/* SPDX-License-Identifier: Apache-2.0 */
/* The register window: what each access of each width does. */
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>

#include <cmocka.h>

#include "bus.h"
#include "fake_guest.h"
#include "virtio_mmio.h"

#define VERSION_1 (1ull << VIRTIO_F_VERSION_1)
#define NEGOTIATED \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define SIZE 8
#define BASE 0xd0000000ull

struct fixture {
	struct fake_guest guest;
	struct virtio_device virtio;
	unsigned char *config; /* on the heap, so that an over-read is seen */
	size_t config_size;
};

static void ignore_kick(struct virtio_device *virtio, unsigned int index)
{
	(void)virtio;
	(void)index;
}

static const struct virtio_ops ops = {.kick = ignore_kick};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	size_t i;

	fake_guest_init(&f->guest);
	f->config_size = 11;
	f->config = malloc(f->config_size);
	for (i = 0; i < f->config_size; i++)
		f->config[i] = (unsigned char)(0xa0 + i);
	f->virtio.ops = &ops;
	f->virtio.id = 42;
	f->virtio.nr_queues = 2;
	f->virtio.config = f->config;
	f->virtio.config_size = f->config_size;
	assert_int_equal(virtio_init(&f->virtio, "toy", &f->guest.mem, &f->guest.loop), 0);
	virtio_mmio_init(&f->virtio, NULL);
	fake_guest_attach(&f->guest, &f->virtio);
	log_set_level(LOG_ERROR);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_fini(&f->virtio);
	fake_guest_fini(&f->guest);
	free(f->config);
	free(f);
	return 0;
}

static uint32_t reg(struct fixture *f, uint64_t offset)
{
	return fake_reg_read(&f->guest, offset);
}

static void set(struct fixture *f, uint64_t offset, uint32_t value)
{
	fake_reg_write(&f->guest, offset, value);
}

static void identity(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(reg(f, VIRTIO_MMIO_MAGIC_VALUE), 0x74726976);
	assert_int_equal(reg(f, VIRTIO_MMIO_VERSION), 2);
	assert_int_equal(reg(f, VIRTIO_MMIO_DEVICE_ID), 42);
	assert_int_equal(reg(f, VIRTIO_MMIO_VENDOR_ID), 0x4b535548);
	/* There is no shared memory region. */
	assert_int_equal(reg(f, VIRTIO_MMIO_SHM_LEN_LOW), UINT32_MAX);
	assert_int_equal(reg(f, VIRTIO_MMIO_SHM_LEN_HIGH), UINT32_MAX);
}

/* Only aligned accesses of 32 bits are accesses of registers. */
static void other_widths_do_nothing(void **state)
{
	struct fixture *f = *state;
	unsigned int len;
	uint64_t offset;

	set(f, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	for (len = 1; len <= 8; len++) {
		for (offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
			if (len == 4 && offset % 4 == 0)
				continue;
			assert_int_equal(fake_mmio_read(&f->guest, offset, len), 0);
			fake_mmio_write(&f->guest, offset, 0, len);
			fake_mmio_write(&f->guest, offset, UINT64_MAX, len);
		}
	}
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), VIRTIO_CONFIG_S_ACKNOWLEDGE);
}

/* Registers that do not exist, or that take no write: nothing changes, whatever is written. */
static void unknown_and_read_only_registers(void **state)
{
	static const uint64_t writable[] = {
		VIRTIO_MMIO_DEVICE_FEATURES_SEL, VIRTIO_MMIO_DRIVER_FEATURES,
		VIRTIO_MMIO_DRIVER_FEATURES_SEL, VIRTIO_MMIO_QUEUE_SEL,
		VIRTIO_MMIO_QUEUE_NOTIFY,	 VIRTIO_MMIO_STATUS};
	struct fixture *f = *state;
	struct virtio_state before;
	uint64_t offset;
	size_t i;

	virtio_config_changed(&f->virtio);
	f->virtio.state.interrupt_status = VIRTIO_MMIO_INT_VRING;
	before = f->virtio.state;
	for (offset = 0; offset < VIRTIO_MMIO_CONFIG; offset += 4) {
		for (i = 0; i < ARRAY_SIZE(writable) && writable[i] != offset; i++)
			;
		if (i == ARRAY_SIZE(writable) && offset != VIRTIO_MMIO_INTERRUPT_ACK)
			set(f, offset, UINT32_MAX);
	}
	assert_memory_equal(&before, &f->virtio.state, sizeof(before));
	/* Legacy registers are not there. */
	assert_int_equal(reg(f, VIRTIO_MMIO_GUEST_PAGE_SIZE), 0);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_PFN), 0);
}

static void config_space_at_every_offset_and_width(void **state)
{
	struct fixture *f = *state;
	unsigned int len, i;
	uint64_t offset;

	for (len = 1; len <= 8; len++) {
		for (offset = 0; offset < 3 * f->config_size; offset++) {
			uint64_t value =
				fake_mmio_read(&f->guest, VIRTIO_MMIO_CONFIG + offset, len);

			for (i = 0; i < 8; i++) {
				bool there = i < len && offset + i < f->config_size;

				assert_int_equal(value >> 8 * i & 0xff,
						 there ? 0xa0 + offset + i : 0);
			}
			fake_mmio_write(&f->guest, VIRTIO_MMIO_CONFIG + offset, UINT64_MAX, len);
		}
	}
	/* Read-only, and far out. */
	assert_int_equal(f->config[0], 0xa0);
	assert_int_equal(fake_mmio_read(&f->guest, VIRTIO_MMIO_SIZE - 1, 8), 0);
	assert_int_equal(fake_mmio_read(&f->guest, UINT32_MAX, 8), 0);
	assert_int_equal(fake_mmio_read(&f->guest, UINT64_MAX, 8), 0);
	fake_mmio_write(&f->guest, UINT64_MAX, 1, 8);
}

static void no_config_space(void **state)
{
	struct fixture *f = *state;

	f->virtio.config = NULL;
	f->virtio.config_size = 0;
	fake_guest_attach(&f->guest, &f->virtio);
	assert_int_equal(fake_mmio_read(&f->guest, VIRTIO_MMIO_CONFIG, 8), 0);
}

static void feature_words_past_64_bits(void **state)
{
	static const uint32_t sels[] = {2, 3, 31, 32, 0x80000000, UINT32_MAX};
	struct fixture *f = *state;
	size_t i;

	set(f, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set(f, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (i = 0; i < ARRAY_SIZE(sels); i++) {
		set(f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, sels[i]);
		assert_int_equal(reg(f, VIRTIO_MMIO_DEVICE_FEATURES), 0);
		set(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, sels[i]);
		set(f, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
		assert_int_equal(f->virtio.state.driver_features, 0);
	}
}

/* The three selectors know nothing of each other. */
static void selectors_are_apart(void **state)
{
	struct fixture *f = *state;

	set(f, VIRTIO_MMIO_QUEUE_SEL, 1);
	set(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 2);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_NUM_MAX), VIRTQUEUE_SIZE_MAX);
	set(f, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	set(f, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 2);
	set(f, VIRTIO_MMIO_DRIVER_FEATURES, 1);
	assert_int_equal(f->virtio.state.driver_features, 1);
	assert_int_equal(reg(f, VIRTIO_MMIO_DEVICE_FEATURES), 0);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_NUM_MAX), VIRTQUEUE_SIZE_MAX);
}

static void queue_registers_past_the_last_queue(void **state)
{
	static const uint32_t sels[] = {2, 3, 0xffff, 0x80000000, UINT32_MAX};
	struct fixture *f = *state;
	struct virtqueue before[2];
	uint64_t offset;
	size_t i;

	fake_negotiate(&f->guest, VERSION_1);
	memcpy(before, f->virtio.queues, sizeof(before));
	for (i = 0; i < ARRAY_SIZE(sels); i++) {
		set(f, VIRTIO_MMIO_QUEUE_SEL, sels[i]);
		assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_READY), 0);
		for (offset = VIRTIO_MMIO_QUEUE_NUM; offset <= VIRTIO_MMIO_QUEUE_USED_HIGH;
		     offset += 4)
			if (offset != VIRTIO_MMIO_STATUS)
				set(f, offset, 1);
		assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_READY), 0);
	}
	assert_memory_equal(before, f->virtio.queues, sizeof(before));
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), NEGOTIATED);
	set(f, VIRTIO_MMIO_QUEUE_SEL, 1);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_NUM_MAX), VIRTQUEUE_SIZE_MAX);
}

/* All the addresses and sizes that test_queue.c knows end the same way: here one of each. */
static void bad_queue_asks_for_reset(void **state)
{
	static const struct {
		uint64_t offset;
		uint32_t value;
	} bad[] = {
		{VIRTIO_MMIO_QUEUE_NUM, 0},
		{VIRTIO_MMIO_QUEUE_NUM, 3},
		{VIRTIO_MMIO_QUEUE_NUM, 2 * VIRTQUEUE_SIZE_MAX},
		{VIRTIO_MMIO_QUEUE_NUM, 0x10000 + SIZE},
		{VIRTIO_MMIO_QUEUE_NUM, UINT32_MAX},
		{VIRTIO_MMIO_QUEUE_DESC_LOW, 0},
		{VIRTIO_MMIO_QUEUE_DESC_HIGH, UINT32_MAX},
		{VIRTIO_MMIO_QUEUE_AVAIL_LOW, FAKE_RAM_BASE + 1},
		{VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 1},
		{VIRTIO_MMIO_QUEUE_USED_LOW, UINT32_MAX},
		{VIRTIO_MMIO_QUEUE_USED_HIGH, 0x80000000},
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fake_negotiate(&f->guest, VERSION_1);
		fake_queue_setup(&f->guest, 1, SIZE);
		set(f, VIRTIO_MMIO_QUEUE_READY, 0);
		assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_READY), 0);
		/* All of it again, with one thing wrong. */
		set(f, VIRTIO_MMIO_QUEUE_NUM, SIZE);
		set(f, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)f->guest.queues[1].desc);
		set(f, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)f->guest.queues[1].avail);
		set(f, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)f->guest.queues[1].used);
		set(f, bad[i].offset, bad[i].value);
		set(f, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(reg(f, VIRTIO_MMIO_STATUS),
				 NEGOTIATED | VIRTIO_CONFIG_S_NEEDS_RESET);
	}
}

static void write_all_queue_registers(struct fixture *f)
{
	static const uint64_t offsets[] = {
		VIRTIO_MMIO_QUEUE_NUM,	      VIRTIO_MMIO_QUEUE_DESC_LOW,
		VIRTIO_MMIO_QUEUE_DESC_HIGH,  VIRTIO_MMIO_QUEUE_AVAIL_LOW,
		VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_USED_LOW,
		VIRTIO_MMIO_QUEUE_USED_HIGH,
	};
	unsigned int queue;
	size_t i;

	for (queue = 0; queue < 2; queue++) {
		set(f, VIRTIO_MMIO_QUEUE_SEL, queue);
		for (i = 0; i < ARRAY_SIZE(offsets); i++)
			set(f, offsets[i], 0x40);
	}
}

static void queue_registers_are_frozen(void **state)
{
	struct fixture *f = *state;
	struct virtqueue before[2];

	/* Before the features are agreed. */
	memcpy(before, f->virtio.queues, sizeof(before));
	write_all_queue_registers(f);
	set(f, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_memory_equal(before, f->virtio.queues, sizeof(before));
	/* Once the queue is ready: sizes, addresses and a second ready. */
	fake_negotiate(&f->guest, VERSION_1);
	fake_queue_setup(&f->guest, 0, SIZE);
	fake_queue_setup(&f->guest, 1, SIZE);
	memcpy(before, f->virtio.queues, sizeof(before));
	write_all_queue_registers(f);
	set(f, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_memory_equal(before, f->virtio.queues, sizeof(before));
	/* Running, not even ready can be taken back. */
	set(f, VIRTIO_MMIO_STATUS, NEGOTIATED | VIRTIO_CONFIG_S_DRIVER_OK);
	write_all_queue_registers(f);
	set(f, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_memory_equal(before, f->virtio.queues, sizeof(before));
	/* After a reset, as Linux does it: it reads back 0. */
	set(f, VIRTIO_MMIO_STATUS, 0);
	set(f, VIRTIO_MMIO_QUEUE_READY, 0);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_READY), 0);
}

/* A queue's registers may be written in any order: here from the last to the first. */
static void queue_registers_in_any_order(void **state)
{
	struct fixture *f = *state;
	const struct virtqueue_state *queue = &f->virtio.queues[0].state;
	struct fake_queue *ring = &f->guest.queues[0];

	fake_negotiate(&f->guest, VERSION_1);
	fake_queue_alloc(&f->guest, ring, SIZE);
	set(f, VIRTIO_MMIO_QUEUE_USED_HIGH, (uint32_t)(ring->used >> 32));
	set(f, VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)ring->used);
	set(f, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, (uint32_t)(ring->avail >> 32));
	set(f, VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)ring->avail);
	set(f, VIRTIO_MMIO_QUEUE_DESC_HIGH, (uint32_t)(ring->desc >> 32));
	set(f, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)ring->desc);
	set(f, VIRTIO_MMIO_QUEUE_NUM, SIZE);
	set(f, VIRTIO_MMIO_QUEUE_READY, 1);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_READY), 1);
	assert_int_equal(queue->desc, ring->desc);
	assert_int_equal(queue->avail, ring->avail);
	assert_int_equal(queue->used, ring->used);
	assert_int_equal(queue->size, SIZE);
}

static void addresses_have_64_bits(void **state)
{
	struct fixture *f = *state;

	fake_negotiate(&f->guest, VERSION_1);
	fake_queue_alloc(&f->guest, &f->guest.queues[0], SIZE);
	f->guest.queues[0].desc = FAKE_HIGH_BASE + 0x100;
	fake_queue_program(&f->guest, 0);
	assert_int_equal(reg(f, VIRTIO_MMIO_QUEUE_READY), 1);
	assert_ptr_equal(f->virtio.queues[0].desc_ring,
			 fake_ptr(&f->guest, FAKE_HIGH_BASE + 0x100, 1));
}

static uint64_t pending_kicks(struct fixture *f, unsigned int index)
{
	eventfd_t count = 0;

	return eventfd_read(f->virtio.kicks[index].fd, &count) ? 0 : count;
}

static void notify_without_ioeventfd(void **state)
{
	static const uint32_t bad[] = {2, 0xffff, 0x10000, UINT32_MAX};
	struct fixture *f = *state;
	size_t i;

	set(f, VIRTIO_MMIO_QUEUE_NOTIFY, 1);
	assert_int_equal(pending_kicks(f, 0), 0);
	assert_int_equal(pending_kicks(f, 1), 1);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		set(f, VIRTIO_MMIO_QUEUE_NOTIFY, bad[i]);
	assert_int_equal(pending_kicks(f, 0), 0);
	assert_int_equal(pending_kicks(f, 1), 0);
}

/* The same through a bus: the window ends where it should. */
static void on_a_bus(void **state)
{
	struct fixture *f = *state;
	struct bus bus = {.nr_ranges = 0};
	uint32_t value = 0;
	uint64_t wide;

	assert_int_equal(bus_add(&bus, BASE, VIRTIO_MMIO_SIZE, &f->virtio.device), 0);
	bus_freeze(&bus);
	assert_true(bus_read(&bus, BASE, &value, 4));
	assert_int_equal(value, 0x74726976);
	value = VIRTIO_CONFIG_S_ACKNOWLEDGE;
	assert_true(bus_write(&bus, BASE + VIRTIO_MMIO_STATUS, &value, 4));
	assert_int_equal(reg(f, VIRTIO_MMIO_STATUS), VIRTIO_CONFIG_S_ACKNOWLEDGE);
	assert_true(bus_read(&bus, BASE + VIRTIO_MMIO_SIZE - 1, &wide, 8));
	assert_int_equal(wide, 0);
	assert_false(bus_read(&bus, BASE + VIRTIO_MMIO_SIZE, &value, 4));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(identity),
		TEST(other_widths_do_nothing),
		TEST(unknown_and_read_only_registers),
		TEST(config_space_at_every_offset_and_width),
		TEST(no_config_space),
		TEST(feature_words_past_64_bits),
		TEST(selectors_are_apart),
		TEST(queue_registers_past_the_last_queue),
		TEST(bad_queue_asks_for_reset),
		TEST(queue_registers_are_frozen),
		TEST(queue_registers_in_any_order),
		TEST(addresses_have_64_bits),
		TEST(notify_without_ioeventfd),
		TEST(on_a_bus),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
