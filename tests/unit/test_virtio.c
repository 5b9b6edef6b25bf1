/* SPDX-License-Identifier: Apache-2.0 */
/* The virtio state machine, driven through the registers as a driver does it. */
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "fake_guest.h"
#include "virtio_mmio.h"

#define ACKNOWLEDGE VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER VIRTIO_CONFIG_S_DRIVER
#define FEATURES_OK VIRTIO_CONFIG_S_FEATURES_OK
#define DRIVER_OK VIRTIO_CONFIG_S_DRIVER_OK
#define FAILED VIRTIO_CONFIG_S_FAILED
#define NEEDS_RESET VIRTIO_CONFIG_S_NEEDS_RESET
#define NEGOTIATED (ACKNOWLEDGE | DRIVER | FEATURES_OK)

#define VERSION_1 (1ull << VIRTIO_F_VERSION_1)
#define TOY_FEATURE (1ull << 3)
#define SIZE 4

/* A device with two queues, which gives every chain back. */
struct toy {
	struct virtio_device virtio;
	unsigned int started, stopped, kicked[2];
	bool busy; /* kick again and again */
	struct virtq_chain chain;
};

struct fixture {
	struct fake_guest guest;
	struct toy toy;
};

static struct toy *toy_of(struct virtio_device *virtio)
{
	return container_of(virtio, struct toy, virtio);
}

static void toy_start(struct virtio_device *virtio)
{
	assert_true(virtio_is_running(virtio));
	toy_of(virtio)->started++;
}

static void toy_stop(struct virtio_device *virtio)
{
	/* The queues are still there. */
	assert_true(virtio->queues[0].state.ready);
	toy_of(virtio)->stopped++;
}

static void toy_kick(struct virtio_device *virtio, unsigned int index)
{
	struct toy *toy = toy_of(virtio);
	struct virtqueue *queue = &virtio->queues[index];
	int ret;

	assert_true(virtio_is_running(virtio));
	toy->kicked[index]++;
	while ((ret = virtqueue_pop(queue, &toy->chain)) == 1)
		virtqueue_push(queue, toy->chain.head, 0);
	if (ret < 0)
		virtio_broken(virtio, "test");
	virtio_notify(virtio, index);
	if (toy->busy && toy->kicked[index] < 10)
		virtio_kick_again(virtio, index);
}

static const struct virtio_ops toy_ops = {.start = toy_start, .stop = toy_stop, .kick = toy_kick};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct virtio_device *virtio = &f->toy.virtio;

	fake_guest_init(&f->guest);
	virtio->ops = &toy_ops;
	virtio->id = 42;
	virtio->nr_queues = 2;
	virtio->features = TOY_FEATURE;
	assert_int_equal(virtio_init(virtio, "toy", &f->guest.mem, &f->guest.loop), 0);
	virtio_mmio_init(virtio, NULL);
	fake_guest_attach(&f->guest, virtio);
	/* Lines about broken drivers are expected in here. */
	log_set_level(LOG_ERROR);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	virtio_fini(&f->toy.virtio);
	virtio_fini(&f->toy.virtio);
	fake_guest_fini(&f->guest);
	free(f);
	return 0;
}

static uint32_t status(struct fixture *f)
{
	return fake_reg_read(&f->guest, VIRTIO_MMIO_STATUS);
}

static uint32_t set_status(struct fixture *f, uint32_t value)
{
	fake_reg_write(&f->guest, VIRTIO_MMIO_STATUS, value);
	return status(f);
}

static void assert_pristine(struct fixture *f)
{
	const struct virtio_device *virtio = &f->toy.virtio;
	unsigned int i;

	assert_int_equal(status(f), 0);
	assert_int_equal(fake_reg_read(&f->guest, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(virtio->state.driver_features, 0);
	for (i = 0; i < virtio->nr_queues; i++) {
		fake_reg_write(&f->guest, VIRTIO_MMIO_QUEUE_SEL, i);
		assert_int_equal(fake_reg_read(&f->guest, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_int_equal(virtio->queues[i].state.size, 0);
		assert_int_equal(virtio->queues[i].state.desc, 0);
		assert_int_equal(virtio->queues[i].state.next_avail, 0);
		assert_int_equal(virtio->queues[i].state.next_used, 0);
	}
}

static void a_good_driver_gets_through(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	uint16_t head;
	uint32_t len;

	assert_int_equal(fake_offered_features(&f->guest),
			 TOY_FEATURE | VERSION_1 | 1ull << VIRTIO_RING_F_INDIRECT_DESC |
				 1ull << VIRTIO_RING_F_EVENT_IDX);
	fake_guest_start(&f->guest, TOY_FEATURE, SIZE);
	assert_int_equal(f->toy.started, 1);
	assert_true(virtio_has_feature(&f->toy.virtio, 3));
	assert_false(virtio_has_feature(&f->toy.virtio, VIRTIO_RING_F_EVENT_IDX));
	/* Each queue got the kick that begins its work; no interrupt without a completion. */
	assert_int_equal(f->toy.kicked[0], 1);
	assert_int_equal(f->toy.kicked[1], 1);
	assert_int_equal(fake_irqs(&f->guest), 0);

	fake_add(&f->guest, &f->guest.queues[1], &buf, 1);
	fake_kick(&f->guest, 1);
	fake_run(&f->guest);
	assert_int_equal(f->toy.kicked[0], 1);
	assert_int_equal(f->toy.kicked[1], 2);
	assert_true(fake_collect(&f->guest, &f->guest.queues[1], &head, &len));
	assert_int_equal(fake_irqs(&f->guest), 1);
	assert_int_equal(fake_reg_read(&f->guest, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_VRING);
	fake_reg_write(&f->guest, VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	assert_int_equal(fake_reg_read(&f->guest, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void features_not_offered_are_refused(void **state)
{
	struct fixture *f = *state;
	unsigned int bit;

	for (bit = 0; bit < 64; bit++) {
		const uint64_t offered = fake_offered_features(&f->guest);
		const bool fine = offered >> bit & 1;

		assert_int_equal(fake_negotiate(&f->guest, VERSION_1 | 1ull << bit),
				 fine ? NEGOTIATED : ACKNOWLEDGE | DRIVER);
	}
	/* Without VERSION_1 there is no talking. */
	assert_int_equal(fake_negotiate(&f->guest, TOY_FEATURE), ACKNOWLEDGE | DRIVER);
	/* A driver may try again. */
	fake_reg_write(&f->guest, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	fake_reg_write(&f->guest, VIRTIO_MMIO_DRIVER_FEATURES, VERSION_1 >> 32);
	assert_int_equal(set_status(f, NEGOTIATED), NEGOTIATED);
	/* One that goes on regardless is broken. */
	fake_negotiate(&f->guest, TOY_FEATURE);
	assert_true(set_status(f, NEGOTIATED | DRIVER_OK) & NEEDS_RESET);
	assert_int_equal(f->toy.started, 0);
}

static void features_are_frozen_once_agreed(void **state)
{
	struct fixture *f = *state;

	fake_negotiate(&f->guest, VERSION_1);
	fake_reg_write(&f->guest, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	fake_reg_write(&f->guest, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)TOY_FEATURE);
	assert_int_equal(f->toy.virtio.state.driver_features, VERSION_1);
}

static void status_out_of_order_breaks(void **state)
{
	static const uint32_t bad[] = {
		DRIVER,
		FEATURES_OK,
		DRIVER_OK,
		ACKNOWLEDGE | DRIVER_OK,
		ACKNOWLEDGE | DRIVER | DRIVER_OK,
		DRIVER | FEATURES_OK | DRIVER_OK,
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		assert_int_equal(set_status(f, 0), 0);
		/* So that only the order is wrong. */
		f->toy.virtio.state.driver_features = VERSION_1;
		assert_true(set_status(f, bad[i]) & NEEDS_RESET);
		assert_false(virtio_is_running(&f->toy.virtio));
		/* Nothing but a reset helps. */
		assert_true(set_status(f, NEGOTIATED | DRIVER_OK) & NEEDS_RESET);
		assert_false(status(f) & DRIVER_OK);
	}
	assert_int_equal(f->toy.started, 0);
	/* Before DRIVER_OK a device sends no interrupt. */
	assert_int_equal(fake_irqs(&f->guest), 0);
	assert_int_equal(set_status(f, 0), 0);
	fake_guest_start(&f->guest, 0, SIZE);
}

static void cleared_status_bits_break(void **state)
{
	struct fixture *f = *state;

	fake_guest_start(&f->guest, 0, SIZE);
	assert_true(set_status(f, ACKNOWLEDGE | DRIVER) & NEEDS_RESET);
	assert_false(virtio_is_running(&f->toy.virtio));
	/* The driver is told. */
	assert_int_equal(fake_irqs(&f->guest), 1);
	assert_int_equal(fake_reg_read(&f->guest, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_CONFIG);
}

static void driver_ok_needs_every_queue(void **state)
{
	struct fixture *f = *state;

	fake_negotiate(&f->guest, VERSION_1);
	fake_queue_setup(&f->guest, 0, SIZE);
	assert_true(set_status(f, NEGOTIATED | DRIVER_OK) & NEEDS_RESET);
	assert_int_equal(f->toy.started, 0);
	fake_run(&f->guest);
	assert_int_equal(f->toy.kicked[0], 0);
}

static void driver_ok_twice_starts_once(void **state)
{
	struct fixture *f = *state;

	fake_guest_start(&f->guest, 0, SIZE);
	assert_int_equal(set_status(f, NEGOTIATED | DRIVER_OK), NEGOTIATED | DRIVER_OK);
	assert_int_equal(f->toy.started, 1);
	/* Bits that are no status, and that are the device's to set. */
	assert_int_equal(set_status(f, 0xffffff00 | NEGOTIATED | DRIVER_OK | NEEDS_RESET),
			 NEGOTIATED | DRIVER_OK);
	assert_true(virtio_is_running(&f->toy.virtio));
}

static void failed_stops_the_device(void **state)
{
	struct fixture *f = *state;

	fake_guest_start(&f->guest, 0, SIZE);
	set_status(f, NEGOTIATED | DRIVER_OK | FAILED);
	assert_false(virtio_is_running(&f->toy.virtio));
	fake_kick(&f->guest, 0);
	fake_run(&f->guest);
	assert_int_equal(f->toy.kicked[0], 1);
	set_status(f, 0);
	assert_int_equal(f->toy.stopped, 1);
	/* FAILED before or with DRIVER_OK: there is no start. */
	fake_negotiate(&f->guest, VERSION_1);
	fake_queue_setup(&f->guest, 0, SIZE);
	fake_queue_setup(&f->guest, 1, SIZE);
	set_status(f, NEGOTIATED | DRIVER_OK | FAILED);
	assert_int_equal(f->toy.started, 1);
}

static void reset_from_any_state(void **state)
{
	static const uint32_t steps[] = {ACKNOWLEDGE, ACKNOWLEDGE | DRIVER, NEGOTIATED};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(steps); i++) {
		fake_negotiate(&f->guest, VERSION_1);
		set_status(f, 0);
		f->toy.virtio.state.driver_features = VERSION_1;
		assert_int_equal(set_status(f, steps[i]), steps[i]);
		set_status(f, 0);
		assert_pristine(f);
	}
	/* With a queue ready; running; broken. Stopped is only what was started. */
	fake_negotiate(&f->guest, VERSION_1);
	fake_queue_setup(&f->guest, 0, SIZE);
	set_status(f, 0);
	assert_pristine(f);
	assert_int_equal(f->toy.stopped, 0);
	fake_guest_start(&f->guest, 0, SIZE);
	set_status(f, 0);
	assert_pristine(f);
	assert_int_equal(f->toy.stopped, 1);
	fake_guest_start(&f->guest, 0, SIZE);
	virtio_broken(&f->toy.virtio, "test");
	set_status(f, 0);
	assert_pristine(f);
	assert_int_equal(f->toy.stopped, 2);
	fake_guest_start(&f->guest, 0, SIZE);
	assert_int_equal(f->toy.started, 3);
}

static void kicks_out_of_place_are_drained(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	uint16_t head;
	uint32_t len;

	/* Before there is a driver, and after it is gone. */
	fake_kick(&f->guest, 0);
	assert_int_equal(fake_run(&f->guest), 1);
	assert_int_equal(f->toy.kicked[0], 0);
	fake_guest_start(&f->guest, 0, SIZE);
	fake_add(&f->guest, &f->guest.queues[0], &buf, 1);
	fake_kick(&f->guest, 0);
	set_status(f, 0);
	assert_int_equal(fake_run(&f->guest), 1);
	assert_int_equal(f->toy.kicked[0], 1);
	/* The old rings were not touched. */
	assert_false(fake_collect(&f->guest, &f->guest.queues[0], &head, &len));
}

static void old_rings_again_after_reset(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	unsigned int i;

	fake_guest_start(&f->guest, 0, SIZE);
	for (i = 0; i < SIZE + 1; i++) {
		fake_add(&f->guest, &f->guest.queues[0], &buf, 1);
		fake_kick(&f->guest, 0);
		fake_run(&f->guest);
	}
	assert_true(virtio_is_running(&f->toy.virtio));
	/* The driver forgets to clear them: its index is further on than a new ring can be. */
	fake_negotiate(&f->guest, VERSION_1);
	fake_queue_program(&f->guest, 0);
	fake_queue_program(&f->guest, 1);
	set_status(f, NEGOTIATED | DRIVER_OK);
	fake_run(&f->guest);
	assert_true(status(f) & NEEDS_RESET);
}

/* Two queues over the same rings: each serves what it finds, and that is all. */
static void queues_that_share_rings(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	unsigned int i;

	fake_negotiate(&f->guest, VERSION_1);
	fake_queue_setup(&f->guest, 0, SIZE);
	f->guest.queues[1] = f->guest.queues[0];
	fake_queue_program(&f->guest, 1);
	set_status(f, NEGOTIATED | DRIVER_OK);
	fake_add(&f->guest, &f->guest.queues[0], &buf, 1);
	fake_run(&f->guest);
	assert_true(virtio_is_running(&f->toy.virtio));
	for (i = 0; i < 2; i++)
		assert_int_equal(f->toy.virtio.queues[i].state.next_used, 1);
	assert_int_equal(*fake_used_idx(&f->guest, &f->guest.queues[0]), 1);
}

static void broken_device_stands_still(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	uint16_t head;
	uint32_t len;

	fake_guest_start(&f->guest, 0, SIZE);
	fake_irqs(&f->guest);
	/* A bad head on queue 0 stops queue 1 as well. */
	fake_publish(&f->guest, &f->guest.queues[0], SIZE);
	fake_kick(&f->guest, 0);
	fake_run(&f->guest);
	assert_true(status(f) & NEEDS_RESET);
	assert_int_equal(fake_irqs(&f->guest), 1);
	fake_add(&f->guest, &f->guest.queues[1], &buf, 1);
	fake_kick(&f->guest, 1);
	fake_run(&f->guest);
	assert_int_equal(f->toy.kicked[1], 1);
	assert_true(f->toy.virtio.queues[1].state.broken);
	assert_false(fake_collect(&f->guest, &f->guest.queues[1], &head, &len));
	/* Told once. */
	virtio_broken(&f->toy.virtio, "again");
	assert_int_equal(fake_irqs(&f->guest), 0);
}

static void kick_again_shares_the_loop(void **state)
{
	struct fixture *f = *state;

	fake_guest_start(&f->guest, 0, SIZE);
	f->toy.busy = true;
	fake_kick(&f->guest, 0);
	fake_run(&f->guest);
	assert_int_equal(f->toy.kicked[0], 10);
}

static void acknowledge_clears_only_its_bits(void **state)
{
	struct fixture *f = *state;

	fake_guest_start(&f->guest, 0, SIZE);
	virtio_config_changed(&f->toy.virtio);
	fake_reg_write(&f->guest, VIRTIO_MMIO_INTERRUPT_ACK, ~(uint32_t)VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(fake_reg_read(&f->guest, VIRTIO_MMIO_INTERRUPT_STATUS),
			 VIRTIO_MMIO_INT_CONFIG);
	fake_reg_write(&f->guest, VIRTIO_MMIO_INTERRUPT_ACK, UINT32_MAX);
	assert_int_equal(fake_reg_read(&f->guest, VIRTIO_MMIO_INTERRUPT_STATUS), 0);
	assert_int_equal(fake_irqs(&f->guest), 1);
}

/* An edge for each completion, also while the last one is not acknowledged. */
static void interrupts_are_edges(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	unsigned int i;

	fake_guest_start(&f->guest, 0, SIZE);
	for (i = 0; i < 3; i++) {
		fake_add(&f->guest, &f->guest.queues[0], &buf, 1);
		fake_kick(&f->guest, 0);
		fake_run(&f->guest);
		assert_int_equal(fake_irqs(&f->guest), 1);
	}
}

static void config_change_raises_the_generation(void **state)
{
	struct fixture *f = *state;
	uint32_t before = fake_reg_read(&f->guest, VIRTIO_MMIO_CONFIG_GENERATION);

	virtio_config_changed(&f->toy.virtio);
	assert_int_not_equal(fake_reg_read(&f->guest, VIRTIO_MMIO_CONFIG_GENERATION), before);
	assert_int_equal(fake_irqs(&f->guest), 0);
	/* It does not go back at a reset. */
	set_status(f, 0);
	assert_int_not_equal(fake_reg_read(&f->guest, VIRTIO_MMIO_CONFIG_GENERATION), before);
}

/* What was never made has nothing to close: its descriptors read 0, which is standard input. */
static void zeroed_storage_is_left_alone(void **state)
{
	struct virtio_device virtio = {.nr_queues = 2};

	(void)state;
	virtio_fini(&virtio);
	assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_good_driver_gets_through),
		TEST(features_not_offered_are_refused),
		TEST(features_are_frozen_once_agreed),
		TEST(status_out_of_order_breaks),
		TEST(cleared_status_bits_break),
		TEST(driver_ok_needs_every_queue),
		TEST(driver_ok_twice_starts_once),
		TEST(failed_stops_the_device),
		TEST(reset_from_any_state),
		TEST(kicks_out_of_place_are_drained),
		TEST(old_rings_again_after_reset),
		TEST(queues_that_share_rings),
		TEST(broken_device_stands_still),
		TEST(kick_again_shares_the_loop),
		TEST(acknowledge_clears_only_its_bits),
		TEST(interrupts_are_edges),
		TEST(config_change_raises_the_generation),
		cmocka_unit_test(zeroed_storage_is_left_alone),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
