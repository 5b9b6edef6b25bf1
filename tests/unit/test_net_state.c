/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net: the link, negotiation, resets, and a guest whose memory never stands still. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <pthread.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "fake_net.h"

#define HEADER sizeof(struct virtio_net_hdr_v1)

static const struct virtio_net_hdr_v1 plain;
static uint8_t data[HEADER + NET_FRAME_MAX + 64];

/* Frames come out whole, in order and completed. */
static void check_works(struct fake_net *fake)
{
	unsigned int i;

	fake_net_start(fake, 0, 16);
	for (i = 0; i < 40; i++) {
		fake_net_send(fake, &plain, 60, (uint8_t)i);
		fake_net_kick(fake, NET_TX);
		assert_int_equal(fake_net_sent(fake, data, sizeof(data)), HEADER + 60);
		assert_true(fake_net_filled(data + HEADER, 60, (uint8_t)i));
		assert_int_equal(fake_net_completed(fake), 1);
	}
}

static void check_link_down(struct fake_net *fake)
{
	assert_false(fake_net_link_up(fake));
	/* Frames go nowhere, and complete. */
	fake_net_completed(fake);
	fake_net_send(fake, &plain, 60, 1);
	fake_net_kick(fake, NET_TX);
	assert_int_equal(fake_net_completed(fake), 1);
	fake_net_post(fake, 2000);
	fake_net_kick(fake, NET_RX);
	assert_int_equal(fake_run(&fake->guest), 0);
}

static void test_link_down(void **state)
{
	struct fake_net *fake = *state;

	fake_net_start(fake, 0, 4);
	fake_irqs(&fake->guest);
	close_fd_ptr(&fake->peer);
	fake->peer = -1;
	fake_run(&fake->guest);
	assert_int_equal(fake_irqs(&fake->guest), 1);
	assert_true(fake_reg_read(&fake->guest, VIRTIO_MMIO_INTERRUPT_STATUS) &
		    VIRTIO_MMIO_INT_CONFIG);
	check_link_down(fake);
	/* And over a reset. */
	fake_net_start(fake, 0, 4);
	check_link_down(fake);
}

static void test_link_down_before_start(void **state)
{
	struct fake_net *fake = *state;

	close_fd_ptr(&fake->peer);
	fake->peer = -1;
	fake_run(&fake->guest);
	assert_int_equal(fake_irqs(&fake->guest), 0);
	fake_net_start(fake, 0, 4);
	check_link_down(fake);
}

/* A send finds out before the loop does. */
static void test_link_down_by_send(void **state)
{
	struct fake_net *fake = *state;

	fake_net_start(fake, 0, 16);
	fake_irqs(&fake->guest);
	fake_net_send(fake, &plain, 60, 1);
	fake_net_send(fake, &plain, 60, 2);
	close_fd_ptr(&fake->peer);
	fake->peer = -1;
	net_virtio(fake->net)->ops->kick(net_virtio(fake->net), NET_TX);
	assert_false(fake_net_link_up(fake));
	assert_true(fake_reg_read(&fake->guest, VIRTIO_MMIO_INTERRUPT_STATUS) &
		    VIRTIO_MMIO_INT_CONFIG);
	assert_int_equal(fake->backend->sends, 1);
	assert_int_equal(fake_net_completed(fake), 2);
	assert_int_equal(net_counters(fake->net)->tx_dropped, 2);
	assert_int_equal(net_counters(fake->net)->tx_frames, 0);
	check_link_down(fake);
}

/* So does a receive. */
static void test_link_down_by_receive(void **state)
{
	struct fake_net *fake = *state;

	fake_net_start(fake, 0, 16);
	fake_net_post(fake, 2000);
	close_fd_ptr(&fake->peer);
	fake->peer = -1;
	net_virtio(fake->net)->ops->kick(net_virtio(fake->net), NET_RX);
	assert_false(fake_net_link_up(fake));
	check_link_down(fake);
}

/* There is room, but what is half sent comes first, and finds the link gone. */
static void test_link_down_by_flush(void **state)
{
	struct fake_net *fake = *state;
	unsigned int i, sends;

	fake_net_start(fake, 0, 256);
	for (i = 0; i < 100; i++)
		fake_net_send(fake, &plain, 2000, 1);
	fake_net_kick(fake, NET_TX);
	sends = fake->backend->sends;
	while (fake_net_sent(fake, data, sizeof(data)))
		;
	fake->backend->flush_result = -EPIPE;
	fake_run(&fake->guest);
	assert_int_equal(fake->backend->sends, sends);
	check_link_down(fake);
}

/* What waited for room completes. */
static void test_link_down_blocked(void **state)
{
	struct fake_net *fake = *state;
	unsigned int i;

	fake_net_start(fake, 0, 256);
	for (i = 0; i < 100; i++)
		fake_net_send(fake, &plain, 2000, 1);
	fake_net_kick(fake, NET_TX);
	assert_in_range(fake_net_completed(fake), 1, 99);
	close_fd_ptr(&fake->peer);
	fake->peer = -1;
	fake_run(&fake->guest);
	assert_int_equal(net_counters(fake->net)->tx_frames + net_counters(fake->net)->tx_dropped,
			 100);
	check_link_down(fake);
}

/* Offloads are switched on the loop's thread, once per start, before frames move. */
static void test_set_features(void **state)
{
	struct fake_net *fake = *state;
	const uint64_t features = (1ull << VIRTIO_F_VERSION_1) | NET_FEATURE(GUEST_CSUM);
	unsigned int i;

	fake_negotiate(&fake->guest, features);
	for (i = 0; i < 2; i++)
		fake_queue_setup(&fake->guest, i, 4);
	fake_reg_write(&fake->guest, VIRTIO_MMIO_STATUS, 15);
	assert_int_equal(fake->backend->features_set, 0);
	fake_run(&fake->guest);
	assert_int_equal(fake->backend->features_set, 1);
	assert_int_equal(fake->backend->features, features);
	fake_net_kick(fake, NET_RX);
	fake_net_kick(fake, NET_TX);
	assert_int_equal(fake->backend->features_set, 1);
	fake_net_start(fake, 0, 4);
	assert_int_equal(fake->backend->features_set, 2);
	assert_int_equal(fake->backend->features, 1ull << VIRTIO_F_VERSION_1);

	fake->backend->features_result = -EBADFD;
	fake_net_start(fake, 0, 4);
	check_link_down(fake);
}

/* A reset in the middle of a blocked transmission, again and again. */
static void test_reset_blocked(void **state)
{
	struct fake_net *fake = *state;
	unsigned int i, round;

	for (round = 0; round < 5; round++) {
		fake_net_start(fake, 0, 64);
		for (i = 0; i < 15; i++)
			fake_net_send(fake, &plain, 9000, (uint8_t)round);
		fake_net_kick(fake, NET_TX);
		fake_net_kick(fake, NET_TX);
		assert_in_range(fake_net_completed(fake), 1, 14);
		fake_reg_write(&fake->guest, VIRTIO_MMIO_STATUS, 0);
		while (fake_net_sent(fake, data, sizeof(data)))
			assert_true(fake_net_filled(data + HEADER, 9000, (uint8_t)round));
		fake_run(&fake->guest);
	}
	check_works(fake);
}

static void *run_loop(void *arg)
{
	event_loop_run(arg);
	return NULL;
}

/* A vCPU resets and starts the device over and over while the loop moves frames. */
static void test_reset_storm(void **state)
{
	struct fake_net *fake = *state;
	struct fake_guest *guest = &fake->guest;
	pthread_t thread;
	unsigned int round, i;

	assert_int_equal(pthread_create(&thread, NULL, run_loop, &guest->loop), 0);
	for (round = 0; round < 1000; round++) {
		memset(fake_ptr(guest, FAKE_RAM_BASE, KIB(32)), 0, KIB(32));
		guest->next_free = FAKE_RAM_BASE;
		fake_negotiate(guest, (1ull << VIRTIO_F_VERSION_1) | NET_FEATURE(MRG_RXBUF));
		for (i = 0; i < 2; i++)
			fake_queue_setup(guest, i, 32);
		fake_reg_write(guest, VIRTIO_MMIO_STATUS, 15);
		for (i = 0; i < 10; i++) {
			fake_net_send(fake, &plain, 500, (uint8_t)i);
			fake_net_post(fake, 100);
		}
		fake_kick(guest, NET_TX);
		fake_kick(guest, NET_RX);
		if (send(fake->peer, data, HEADER + 500, MSG_DONTWAIT) < 0)
			assert_int_equal(errno, EAGAIN);
		for (i = 0; i < round % 8; i++)
			fake_net_sent(fake, data, sizeof(data));
		fake_reg_write(guest, VIRTIO_MMIO_STATUS, 0);
	}
	event_loop_stop(&guest->loop);
	pthread_join(thread, NULL);
	/* From here on the loop is run from this thread, and is not stopped. */
	event_loop_remove(&guest->loop, &guest->loop.stop_watch);
	fake_run(guest);
	while (fake_net_sent(fake, data, sizeof(data)))
		fake_run(guest);
	guest->next_free = FAKE_RAM_BASE + KIB(32);
	check_works(fake);
}

struct scribbler {
	struct fake_net *fake;
	bool stop;
};

/* Another vCPU that rewrites rings and headers all the time, with values near the valid ones. */
static void *scribble(void *arg)
{
	struct scribbler *scribbler = arg;
	struct fake_guest *guest = &scribbler->fake->guest;
	uint32_t random = 1;

	while (!__atomic_load_n(&scribbler->stop, __ATOMIC_RELAXED)) {
		uint8_t *byte;

		random = random * 1664525 + 1013904223;
		byte = fake_ptr(guest, FAKE_RAM_BASE + (random >> 8) % KIB(8), 1);
		__atomic_store_n(byte, (uint8_t)(random >> 24), __ATOMIC_RELAXED);
	}
	return NULL;
}

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__
#endif
#endif

/* Whatever the guest's memory says from one moment to the next, the device survives. */
static void test_hostile_memory(void **state)
{
	struct fake_net *fake = *state;
	struct scribbler scribbler = {.fake = fake};
	const gpa_t first_free = fake->guest.next_free;
	pthread_t thread;
	unsigned int i, j;

#ifdef __SANITIZE_THREAD__
	/* Races on guest memory are what this is about. */
	skip();
#endif
	assert_int_equal(pthread_create(&thread, NULL, scribble, &scribbler), 0);
	for (i = 0; i < 10000; i++) {
		/* Rings and buffers in the first 8 KiB, which are rewritten. */
		fake->guest.next_free = first_free;
		fake_guest_start(&fake->guest,
				 NET_ALL_OFFLOADS | NET_FEATURE(MRG_RXBUF) |
					 (1ull << VIRTIO_RING_F_INDIRECT_DESC),
				 16);
		fake->backend->flood = 8;
		for (j = 0; j < 8; j++) {
			fake_net_post(fake, 64);
			fake_net_send(fake, &plain, 60, 1);
		}
		fake_net_kick(fake, NET_TX);
		fake_net_kick(fake, NET_RX);
		while (fake_net_sent(fake, data, sizeof(data)))
			;
	}
	__atomic_store_n(&scribbler.stop, true, __ATOMIC_RELAXED);
	pthread_join(thread, NULL);
	fake->backend->flood = 0;
	fake->guest.next_free = FAKE_RAM_BASE + KIB(8);
	check_works(fake);
}

#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, fake_net_setup, fake_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(test_link_down),	   NET_TEST(test_link_down_before_start),
		NET_TEST(test_link_down_by_send),  NET_TEST(test_link_down_by_receive),
		NET_TEST(test_link_down_by_flush), NET_TEST(test_link_down_blocked),
		NET_TEST(test_set_features),	   NET_TEST(test_reset_blocked),
		NET_TEST(test_reset_storm),	   NET_TEST(test_hostile_memory),
	};

	/* A device that spins is a failure, not a wait. */
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
