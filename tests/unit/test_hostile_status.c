/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile drivers, classes 5 to 7: status, resets, features. */
#include "hostile_registers.h"

#include "capture.h"

#define STORM 1000u

/*
 * 5 and 6: status
 */

#define ACK VIRTIO_CONFIG_S_ACKNOWLEDGE
#define DRIVER VIRTIO_CONFIG_S_DRIVER
#define OK VIRTIO_CONFIG_S_DRIVER_OK
#define FEATURES VIRTIO_CONFIG_S_FEATURES_OK
#define DEAD VIRTIO_CONFIG_S_NEEDS_RESET
#define FAILED VIRTIO_CONFIG_S_FAILED

static void write_features(struct hostile *h, uint64_t features)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		fake_reg_write(h->guest, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		fake_reg_write(h->guest, VIRTIO_MMIO_DRIVER_FEATURES,
			       (uint32_t)(features >> 32 * i));
	}
}

static void class_05_status_out_of_order(void **state)
{
	static const struct {
		const char *what;
		uint32_t steps[4];
		uint32_t expected;
	} variants[] = {
		{"driver alone", {DRIVER}, DEAD},
		{"features alone", {FEATURES}, DEAD},
		{"driver_ok alone", {OK}, DEAD},
		{"driver_ok second", {ACK, ACK | OK}, ACK | DEAD},
		{"features second", {ACK, ACK | FEATURES}, ACK | DEAD},
		{"no features_ok", {ACK, ACK | DRIVER, ACK | DRIVER | OK}, ACK | DRIVER | DEAD},
		{"no driver", {ACK, ACK | FEATURES | OK}, ACK | DEAD},
		/* No queue can be ready yet. */
		{"all at once", {RUNNING}, (RUNNING & ~OK) | DEAD},
		{"features_ok and driver_ok", {ACK, ACK | DRIVER, RUNNING}, (RUNNING & ~OK) | DEAD},
		{"driver_ok without queues",
		 {ACK | DRIVER, RUNNING & ~OK, RUNNING},
		 (RUNNING & ~OK) | DEAD},
		{"acknowledge cleared", {ACK | DRIVER, DRIVER}, ACK | DRIVER | DEAD},
		{"driver cleared", {ACK | DRIVER, ACK}, ACK | DRIVER | DEAD},
		{"features cleared", {RUNNING & ~OK, ACK | DRIVER}, (RUNNING & ~OK) | DEAD},
		{"needs_reset from the driver", {ACK, ACK | DEAD}, ACK},
		{"needs_reset first", {DEAD, ACK | DRIVER}, ACK | DRIVER},
		{"reserved bits", {ACK | 0x30, ACK | DRIVER | 0xffffff30}, ACK | DRIVER},
		{"bits past the byte", {0xffffff00, 0x100, ACK}, ACK},
		{"failed", {FAILED, FAILED | ACK, FAILED | ACK | DRIVER}, FAILED | ACK | DRIVER},
		{"failed cleared", {ACK, FAILED | ACK, ACK}, FAILED | ACK | DEAD},
		{"failed, then driver_ok",
		 {RUNNING & ~OK, (RUNNING & ~OK) | FAILED, RUNNING | FAILED},
		 (RUNNING & ~OK) | FAILED},
		{"broken, then reset", {DRIVER, RUNNING, 0, ACK}, ACK},
	};
	struct hostile *h = *state;
	const uint64_t features = fake_offered_features(h->guest);
	struct frozen before;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		h->nr = i;
		h->what = variants[i].what;
		fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, 0);
		/* Early features do no harm: they count at FEATURES_OK. */
		write_features(h, features);
		for (j = 0; j < 4 && (j == 0 || variants[i].steps[j] ||
				      (j + 1 < 4 && variants[i].steps[j + 1]));
		     j++)
			fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, variants[i].steps[j]);
		CHECK(h, hostile_status(h) == variants[i].expected);
		CHECK(h, !fake_irqs(h->guest));
		if (variants[i].expected & DEAD)
			hostile_stands_still(h);
		/* Before FEATURES_OK, and after FAILED. */
		hostile_queues_are_frozen(h);
		if (variants[i].expected & (DEAD | FAILED)) {
			before = take(h);
			write_features(h, 0);
			check_unchanged(h, &before);
		}
		hostile_recovers(h);
	}
}

static void class_05_status_of_a_running_device(void **state)
{
	static const struct {
		uint32_t status, expected;
	} variants[] = {
		{RUNNING & ~OK, RUNNING | DEAD},
		{RUNNING & ~FEATURES, RUNNING | DEAD},
		{RUNNING & ~DRIVER, RUNNING | DEAD},
		{RUNNING & ~ACK, RUNNING | DEAD},
		{ACK, RUNNING | DEAD},
		{DEAD, RUNNING | DEAD},
		/* Not a reset: only a zero is one. */
		{0x100, RUNNING | DEAD},
		{0xffffff00, RUNNING | DEAD},
		{RUNNING, RUNNING},
		{RUNNING | DEAD, RUNNING},
		{RUNNING | 0x30, RUNNING},
		{RUNNING | 0xffffff00, RUNNING},
		{RUNNING | FAILED, RUNNING | FAILED},
	};
	struct hostile *h = *state;
	struct fake_buf bufs[3];

	for (h->nr = 0; h->nr < ARRAY_SIZE(variants); h->nr++) {
		hostile_start(h, 0, QUEUE_SIZE);
		hostile_good(h);
		hostile_bufs(h, bufs);
		hostile_prepare(h);
		hostile_add(h, bufs, 3);
		fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, variants[h->nr].status);
		CHECK(h, hostile_status(h) == variants[h->nr].expected);
		CHECK(h, fake_irqs(h->guest) == !!(variants[h->nr].expected & DEAD));
		if (variants[h->nr].expected == RUNNING) {
			hostile_kick(h);
			hostile_check_served(h);
		} else {
			hostile_ram_save(h);
			h->nr_allowed = 0;
			hostile_kick(h);
			hostile_ram_check(h);
			CHECK(h, !fake_irqs(h->guest));
			CHECK(h, hostile_status(h) == variants[h->nr].expected);
		}
		hostile_recovers(h);
	}
}

static void class_05_driver_ok(void **state)
{
	struct hostile *h = *state;
	const unsigned int nr_queues = h->guest->virtio->nr_queues;
	unsigned int starts, ready;

	/* Twice: one start. */
	hostile_start(h, 0, QUEUE_SIZE);
	starts = h->target == ON_BLK ? 0 : h->net.backend->features_set;
	fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, RUNNING);
	CHECK(h, !fake_run(h->guest));
	CHECK(h, h->target == ON_BLK || h->net.backend->features_set == starts);
	hostile_good(h);
	/* Some queues ready, but not all. */
	for (ready = 0; ready + 1 < 1u << nr_queues; ready++) {
		h->nr = ready;
		hostile_negotiate(h, 0, QUEUE_SIZE);
		program_queues(h);
		for (unsigned int i = 0; i < nr_queues; i++)
			if (!(ready >> i & 1))
				set_ready(h, i, 0);
		fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, RUNNING);
		CHECK(h, hostile_status(h) == ((RUNNING & ~OK) | DEAD));
		CHECK(h, !fake_irqs(h->guest));
		hostile_stands_still(h);
		hostile_recovers(h);
	}
}

static void class_06_reset_in_flight(void **state)
{
	struct hostile *h = *state;
	struct fake_buf bufs[3];

	for (h->nr = 0; h->nr < 3; h->nr++) {
		hostile_start(h, 0, QUEUE_SIZE);
		hostile_good(h);
		hostile_bufs(h, bufs);
		hostile_prepare(h);
		/* Of a frame for several buffers, only the first is there. */
		if (h->target == ON_RX && h->nr == 1)
			bufs[2].len = 1;
		hostile_add(h, bufs, 3);
		fake_kick(h->guest, h->target == ON_TX);
		if (h->nr == 1)
			fake_run(h->guest);
		fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, 0);
		/* The kick is older than the reset, and so it is nobody's. */
		if (h->nr == 2)
			hostile_negotiate(h, 0, QUEUE_SIZE);
		hostile_ram_save(h);
		h->nr_allowed = 0;
		CHECK(h, fake_run(h->guest) <= CALLBACKS_MAX);
		hostile_ram_check(h);
		CHECK(h, !(hostile_status(h) & OK));
		hostile_recovers(h);
	}
}

/* The driver leaves its rings as they are: what stands in them is made available again. */
static void class_06_old_rings_again(void **state)
{
	/* As many as fit into the table side by side; and more than there are places. */
	static const unsigned int requests[] = {1, 2, 5, QUEUE_SIZE + 1};
	struct hostile *h = *state;
	struct fake_queue *queue = hostile_queue(h);
	unsigned int i, v;

	for (v = 0; v < ARRAY_SIZE(requests); v++) {
		h->nr = requests[v];
		hostile_start(h, 0, QUEUE_SIZE);
		for (i = 0; i < h->nr; i++)
			hostile_request(h);
		fake_negotiate(h->guest, fake_offered_features(h->guest));
		program_queues(h);
		fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, RUNNING);
		hostile_prepare(h);
		CHECK(h, fake_run(h->guest) <= QUEUE_SIZE + 2);
		if (h->nr <= QUEUE_SIZE) {
			CHECK(h, hostile_status(h) == RUNNING);
			/* One frame arrived; all frames are sent, all sectors are read again. */
			CHECK(h,
			      *fake_used_idx(h->guest, queue) == (h->target == ON_RX ? 1 : h->nr));
		} else {
			CHECK(h, hostile_status(h) == (RUNNING | DEAD));
			hostile_stands_still(h);
		}
		hostile_recovers(h);
	}
}

/* Broken and reset, as fast as it goes: it costs a few log lines. */
static void class_06_reset_storm(void **state)
{
	struct hostile *h = *state;
	const uint64_t begin = clock_now_ns();
	struct capture capture;
	uint64_t seconds;
	unsigned int i, callbacks = 0;

	log_set_level(LOG_WARN);
	capture_begin(&capture, STDERR_FILENO);
	for (i = 0; i < STORM; i++) {
		hostile_negotiate(h, 0, QUEUE_SIZE);
		program_queues(h);
		fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, RUNNING);
		fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, i % 2 ? OK : 0);
		fake_kick(h->guest, 0);
		callbacks += fake_run(h->guest);
	}
	capture_end(&capture);
	seconds = (clock_now_ns() - begin) / 1000000000u;
	CHECK(h, callbacks <= STORM * (h->guest->virtio->nr_queues + 1));
	CHECK(h, capture_lines(&capture) >= 1);
	CHECK(h, capture_lines(&capture) <= 5 * (seconds + 2));
	hostile_recovers(h);
}

/*
 * 7: features
 */

static void class_07_features_not_offered(void **state)
{
	struct hostile *h = *state;
	const uint64_t offered = fake_offered_features(h->guest);
	unsigned int bit;

	for (bit = 0; bit < 64; bit++) {
		const bool has = offered >> bit & 1;

		h->nr = bit;
		/* Without VERSION_1, or with a bit that is not offered. */
		if (has && bit != VIRTIO_F_VERSION_1)
			continue;
		CHECK(h, fake_negotiate(h->guest, offered ^ 1ull << bit) == (ACK | DRIVER));
		hostile_place(h, QUEUE_SIZE);
		program_queues(h);
		CHECK(h, !h->guest->virtio->queues[0].state.ready);
		/* It may try again, without a reset. */
		if (bit % 2) {
			write_features(h, offered);
			fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, RUNNING & ~OK);
			program_queues(h);
			driver_ok(h);
			hostile_good(h);
		} else {
			fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, ACK | DRIVER | OK);
			CHECK(h, hostile_status(h) == (ACK | DRIVER | DEAD));
			hostile_stands_still(h);
		}
		hostile_recovers(h);
	}
}

static void class_07_features_are_frozen(void **state)
{
	static const uint32_t sels[] = {2, 3, 4, 32, 64, 0x80000000, 0x80000001, UINT32_MAX};
	struct hostile *h = *state;
	struct frozen before;
	unsigned int phase;
	size_t i;

	for (phase = 0; phase < 3; phase++) {
		h->nr = phase;
		hostile_negotiate(h, EVENT_IDX, QUEUE_SIZE);
		program_queues(h);
		if (phase)
			driver_ok(h);
		if (phase == 2)
			fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, ACK);
		before = take(h);
		write_features(h, UINT64_MAX);
		write_features(h, 0);
		check_unchanged(h, &before);
		fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, 0);
		/* There is nothing past bit 63. */
		before = take(h);
		for (i = 0; i < ARRAY_SIZE(sels); i++) {
			fake_reg_write(h->guest, VIRTIO_MMIO_DRIVER_FEATURES_SEL, sels[i]);
			fake_reg_write(h->guest, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
			fake_reg_write(h->guest, VIRTIO_MMIO_DEVICE_FEATURES_SEL, sels[i]);
			CHECK(h, !fake_reg_read(h->guest, VIRTIO_MMIO_DEVICE_FEATURES));
		}
		check_unchanged(h, &before);
		hostile_recovers(h);
	}
}

static void class_07_used_without_being_negotiated(void **state)
{
	struct hostile *h = *state;
	struct fake_queue *queue = hostile_queue(h);
	struct fake_buf bufs[3];

	h->what = "indirect";
	hostile_start(h, INDIRECT, QUEUE_SIZE);
	hostile_bufs(h, bufs);
	hostile_prepare(h);
	h->guest->next_free = FAKE_RAM_BASE + KIB(16);
	fake_publish(h->guest, queue, fake_chain(h->guest, queue, bufs, 3, true));
	hostile_breaks(h);
	/* Neither event word is looked at, nor written. */
	h->what = "event index";
	hostile_start(h, EVENT_IDX, QUEUE_SIZE);
	for (h->nr = 0; h->nr < 8; h->nr++) {
		*fake_used_event(h->guest, queue) = (uint16_t)(h->nr * 0x2345 + 0x8000);
		*fake_avail_event(h->guest, queue) = (uint16_t)(h->nr * 0x1234 + 1);
		hostile_request(h);
		assert_int_equal(*fake_avail_event(h->guest, queue),
				 (uint16_t)(h->nr * 0x1234 + 1));
	}
	hostile_recovers(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE_DEVICES(class_05_status_out_of_order),
		HOSTILE_QUEUES(class_05_status_of_a_running_device),
		HOSTILE_DEVICES(class_05_driver_ok),
		HOSTILE_QUEUES(class_06_reset_in_flight),
		HOSTILE_QUEUES(class_06_old_rings_again),
		HOSTILE_DEVICES(class_06_reset_storm),
		HOSTILE_DEVICES(class_07_features_not_offered),
		HOSTILE_DEVICES(class_07_features_are_frozen),
		HOSTILE_QUEUES(class_07_used_without_being_negotiated),
	};

	/* A device that spins is a failure, not a wait. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
