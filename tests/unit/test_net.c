/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net: what it offers, and transmission. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <errno.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "fake_net.h"

#define HEADER sizeof(struct virtio_net_hdr_v1)

static const struct virtio_net_hdr_v1 plain;
static uint8_t data[HEADER + NET_FRAME_MAX + 64];

static void test_offers(void **state)
{
	struct fake_net *fake = *state;
	uint64_t features = fake_offered_features(&fake->guest);
	const uint8_t mac[] = {0x52, 0x54, 0, 1, 2, 3};
	unsigned int i;

	assert_int_equal(features & 0xffffff, NET_ALL_OFFLOADS | NET_FEATURE(MAC) |
						      NET_FEATURE(STATUS) | NET_FEATURE(MRG_RXBUF) |
						      NET_FEATURE(MTU));
	assert_int_equal(fake_reg_read(&fake->guest, VIRTIO_MMIO_DEVICE_ID), 1);
	for (i = 0; i < sizeof(mac); i++)
		assert_int_equal(fake_mmio_read(&fake->guest, VIRTIO_MMIO_CONFIG + i, 1), mac[i]);
	assert_true(fake_net_link_up(fake));
	assert_int_equal(fake_mmio_read(&fake->guest, VIRTIO_MMIO_CONFIG + 10, 2), 1400);
	/* No control queue. */
	fake_reg_write(&fake->guest, VIRTIO_MMIO_QUEUE_SEL, 2);
	assert_int_equal(fake_reg_read(&fake->guest, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
}

static void test_refuses_config(void **state)
{
	const struct net_config config = {.mtu = 67};
	struct fake_net *fake = *state;
	struct net_backend *backend = &fake->backend->backend;
	struct fake_net_backend *other = calloc(1, sizeof(*other));
	struct net *net = NULL;

	other->backend = *backend;
	other->backend.fd = dup(backend->fd);
	assert_int_equal(net_create(&other->backend, &config, "net1", &fake->guest.mem,
				    &fake->guest.loop, &net),
			 -EINVAL);
	assert_null(net);
	net_destroy(NULL);
}

/* The least that Ethernet allows is fine, and what is not given is not offered. */
static void test_mtu(void **state)
{
	static const uint16_t mtus[] = {0, 68, 1500, 65535};
	struct fake_net *fake = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(mtus); i++) {
		const struct net_config config = {.mtu = mtus[i]};
		struct fake_net_backend *other = calloc(1, sizeof(*other));
		struct net *net;

		other->backend = fake->backend->backend;
		other->backend.fd = dup(fake->backend->backend.fd);
		assert_int_equal(net_create(&other->backend, &config, "net1", &fake->guest.mem,
					    &fake->guest.loop, &net),
				 0);
		assert_int_equal(!!(net_virtio(net)->features & NET_FEATURE(MTU)), !!mtus[i]);
		net_destroy(net);
	}
}

static void test_tx(void **state)
{
	struct fake_net *fake = *state;

	fake_net_start(fake, 0, 16);
	fake_net_send(fake, &plain, 60, 7);
	fake_net_kick(fake, NET_TX);
	assert_int_equal(fake_net_sent(fake, data, sizeof(data)), HEADER + 60);
	assert_memory_equal(data, &plain, HEADER);
	assert_true(fake_net_filled(data + HEADER, 60, 7));
	assert_int_equal(fake_net_completed(fake), 1);
	assert_int_equal(fake_irqs(&fake->guest), 1);
	assert_int_equal(net_counters(fake->net)->tx_frames, 1);
	assert_int_equal(net_counters(fake->net)->tx_bytes, 60);
	fake_net_send(fake, &plain, 100, 8);
	fake_net_kick(fake, NET_TX);
	assert_int_equal(net_counters(fake->net)->tx_bytes, 160);
}

/* Header and frame in descriptors of any size, the header's end in the middle of one. */
static void test_tx_split(void **state)
{
	struct fake_net *fake = *state;
	struct fake_queue *queue = &fake->guest.queues[NET_TX];
	struct fake_buf bufs[HEADER + 60];
	unsigned int size, nr;
	gpa_t gpa;

	fake_net_start(fake, 1ull << VIRTIO_RING_F_INDIRECT_DESC, 128);
	gpa = fake_alloc(&fake->guest, HEADER + 60, 1);
	fake_net_fill(fake_ptr(&fake->guest, gpa + HEADER, 60), 60, 3);
	for (size = 1; size <= HEADER + 60; size += 5) {
		for (nr = 0; nr * size < HEADER + 60; nr++)
			bufs[nr] = (struct fake_buf){gpa + nr * size,
						     MIN(size, (uint32_t)HEADER + 60 - nr * size),
						     false};
		fake_publish(&fake->guest, queue,
			     fake_chain(&fake->guest, queue, bufs, nr, size % 2));
		fake_net_kick(fake, NET_TX);
		assert_int_equal(fake_net_sent(fake, data, sizeof(data)), HEADER + 60);
		assert_memory_equal(data, &plain, HEADER);
		assert_true(fake_net_filled(data + HEADER, 60, 3));
		assert_int_equal(fake_net_completed(fake), 1);
	}
}

static void test_tx_lengths(void **state)
{
	static const struct {
		uint32_t len;
		bool sent;
	} rows[] = {{0, false},
		    {1, false},
		    {13, false},
		    {14, true},
		    {1514, true},
		    {NET_FRAME_MAX, true},
		    {NET_FRAME_MAX + 1, false}};
	struct fake_net *fake = *state;
	unsigned int i, dropped = 0;

	fake_net_start(fake, 0, 16);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		fake_net_send(fake, &plain, rows[i].len, 1);
		fake_net_kick(fake, NET_TX);
		assert_int_equal(fake_net_sent(fake, data, sizeof(data)),
				 rows[i].sent ? HEADER + rows[i].len : 0);
		assert_true(!rows[i].sent || fake_net_filled(data + HEADER, rows[i].len, 1));
		assert_int_equal(fake_net_completed(fake), 1);
		dropped += !rows[i].sent;
		assert_int_equal(net_counters(fake->net)->tx_dropped, dropped);
	}
	assert_false(fake_net_needs_reset(fake));
}

#define CSUM NET_FEATURE(CSUM)
#define TSO4 (CSUM | NET_FEATURE(HOST_TSO4))
#define TSO6 (CSUM | NET_FEATURE(HOST_TSO6))

/* Frames of 100 bytes. */
static const struct {
	uint64_t features;
	struct virtio_net_hdr_v1 in;
	bool sent;
	struct virtio_net_hdr_v1 out;
} headers[] = {
	/* flags, gso_type, hdr_len, gso_size, csum_start, csum_offset, num_buffers */
	{CSUM, {1, 0, 0, 0, {{34, 16}}, 0}, true, {1, 0, 0, 0, {{34, 16}}, 0}},
	{CSUM, {1, 0, 0, 0, {{82, 16}}, 0}, true, {1, 0, 0, 0, {{82, 16}}, 0}},
	{CSUM, {1, 0, 0, 0, {{83, 16}}, 0}, false, {0}},
	{CSUM, {1, 0, 0, 0, {{99, 0}}, 0}, false, {0}},
	{CSUM, {1, 0, 0, 0, {{0xffff, 0xffff}}, 0}, false, {0}},
	{CSUM, {1, 0, 0, 0, {{0xffff, 1}}, 0}, false, {0}},
	{0, {1, 0, 0, 0, {{34, 16}}, 0}, false, {0}},
	/* What does not apply does not reach the host: other flags, fields of no meaning. */
	{CSUM, {0xfe, 0, 0xffff, 0xffff, {{0xffff, 0xffff}}, 0xffff}, true, {0}},
	{TSO4, {1, 1, 54, 40, {{34, 16}}, 9}, true, {1, 1, 54, 40, {{34, 16}}, 0}},
	{TSO4, {1, 1, 100, 40, {{34, 16}}, 0}, true, {1, 1, 100, 40, {{34, 16}}, 0}},
	{TSO4, {1, 1, 101, 40, {{34, 16}}, 0}, false, {0}},
	{TSO4, {1, 1, 54, 0, {{34, 16}}, 0}, false, {0}},
	{TSO4, {0, 1, 54, 40, {{34, 16}}, 0}, false, {0}},
	{TSO4, {1, 4, 54, 40, {{34, 16}}, 0}, false, {0}},
	{TSO4, {1, 0x81, 54, 40, {{34, 16}}, 0}, false, {0}},
	{TSO4 | NET_FEATURE(HOST_ECN),
	 {1, 0x81, 54, 40, {{34, 16}}, 0},
	 true,
	 {1, 0x81, 54, 40, {{34, 16}}, 0}},
	{TSO4 | NET_FEATURE(HOST_ECN), {1, 0x80, 54, 40, {{34, 16}}, 0}, false, {0}},
	{TSO6, {1, 4, 74, 26, {{54, 16}}, 0}, true, {1, 4, 74, 26, {{54, 16}}, 0}},
	{TSO6, {1, 1, 54, 40, {{34, 16}}, 0}, false, {0}},
	{CSUM, {1, 1, 54, 40, {{34, 16}}, 0}, false, {0}},
	{NET_FEATURE(HOST_TSO4), {1, 1, 54, 40, {{34, 16}}, 0}, false, {0}},
	/* UDP fragmentation, UDP segments, nonsense. */
	{NET_ALL_OFFLOADS, {1, 3, 42, 40, {{34, 6}}, 0}, false, {0}},
	{NET_ALL_OFFLOADS, {1, 5, 42, 40, {{34, 6}}, 0}, false, {0}},
	{NET_ALL_OFFLOADS, {1, 0x7f, 42, 40, {{34, 6}}, 0}, false, {0}},
};

static void test_tx_headers(void **state)
{
	struct fake_net *fake = *state;
	unsigned int i;
	size_t len;

	for (i = 0; i < ARRAY_SIZE(headers); i++) {
		fake_net_start(fake, headers[i].features, 4);
		fake_net_send(fake, &headers[i].in, 100, 1);
		fake_net_kick(fake, NET_TX);
		len = fake_net_sent(fake, data, sizeof(data));
		if (len != (headers[i].sent ? HEADER + 100 : 0) ||
		    (len && memcmp(data, &headers[i].out, HEADER)))
			fail_msg("row %u: %zu bytes sent", i, len);
		assert_int_equal(fake_net_completed(fake), 1);
		assert_false(fake_net_needs_reset(fake));
	}
}

/* No room for a header, or a part the device is to write: no transmit request. */
static void test_tx_malformed(void **state)
{
	struct fake_net *fake = *state;
	gpa_t gpa = fake_alloc(&fake->guest, 100, 1);
	const struct {
		struct fake_buf bufs[2];
		unsigned int nr;
	} rows[] = {
		{{{gpa, HEADER - 1, false}}, 1},
		{{{gpa, 0, false}}, 1},
		{{{gpa, 100, true}}, 1},
		{{{gpa, 80, false}, {gpa + 80, 1, true}}, 2},
	};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		fake_net_start(fake, 0, 4);
		fake_irqs(&fake->guest);
		fake_add(&fake->guest, &fake->guest.queues[NET_TX], rows[i].bufs, rows[i].nr);
		fake_net_kick(fake, NET_TX);
		assert_true(fake_net_needs_reset(fake));
		assert_int_equal(fake_irqs(&fake->guest), 1);
		assert_int_equal(fake_net_sent(fake, data, sizeof(data)), 0);
		/* Stays so, whatever is kicked, and without a spin. */
		fake_net_arrive(fake, &plain, 60, 1);
		fake_net_kick(fake, NET_RX);
		fake_net_kick(fake, NET_TX);
		assert_int_equal(fake_net_completed(fake), 0);
		assert_int_equal(fake_irqs(&fake->guest), 0);
	}
	test_tx(state);
}

/* One call moves a bounded amount and has itself called again. */
static void test_tx_bounded(void **state)
{
	struct fake_net *fake = *state;
	struct fake_queue *queue;
	struct fake_buf buf;
	unsigned int i, nr, total = 0;

	fake_net_start(fake, 0, 256);
	close_fd_ptr(&fake->peer);
	fake->peer = -1;
	fake_run(&fake->guest);
	buf = (struct fake_buf){fake_alloc(&fake->guest, HEADER + 60, 1), HEADER + 60, false};
	queue = &fake->guest.queues[NET_TX];
	for (i = 0; i < 256; i++)
		fake_add(&fake->guest, queue, &buf, 1);
	fake_irqs(&fake->guest);
	for (i = 0; i < 3; i++) {
		net_virtio(fake->net)->ops->kick(net_virtio(fake->net), NET_TX);
		nr = fake_net_completed(fake);
		assert_in_range(nr, 1, 64);
		assert_int_equal(fake_irqs(&fake->guest), 1);
		total += nr;
	}
	/* It goes on by itself. */
	fake_run(&fake->guest);
	assert_int_equal(total + fake_net_completed(fake), 256);

	/* The same by bytes: 30 KiB each. */
	buf = (struct fake_buf){fake_alloc(&fake->guest, 30720, 1), 30720, false};
	for (i = 0; i < 64; i++)
		fake_add(&fake->guest, queue, &buf, 1);
	net_virtio(fake->net)->ops->kick(net_virtio(fake->net), NET_TX);
	assert_in_range(fake_net_completed(fake), 1, 9);
}

/* The backend is full: nothing is lost or reordered, and nobody spins. */
static void test_tx_blocked(void **state)
{
	struct fake_net *fake = *state;
	unsigned int sent = 0, sends, i;

	fake_net_start(fake, 0, 256);
	for (i = 0; i < 100; i++)
		fake_net_send(fake, &plain, 2000, (uint8_t)i);
	fake_net_kick(fake, NET_TX);
	assert_in_range(net_counters(fake->net)->tx_frames, 1, 99);
	assert_int_equal(*fake_used_flags(&fake->guest, &fake->guest.queues[NET_TX]),
			 VRING_USED_F_NO_NOTIFY);
	sends = fake->backend->sends;
	fake_kick(&fake->guest, NET_TX);
	assert_int_equal(fake_run(&fake->guest), 1);
	assert_int_equal(fake->backend->sends, sends);
	while (fake_net_sent(fake, data, sizeof(data))) {
		assert_true(fake_net_filled(data + HEADER, 2000, (uint8_t)sent));
		sent++;
		fake_run(&fake->guest);
	}
	assert_int_equal(sent, 100);
	assert_int_equal(fake_net_completed(fake), 100);
	assert_int_equal(net_counters(fake->net)->tx_dropped, 0);
	assert_int_equal(*fake_used_flags(&fake->guest, &fake->guest.queues[NET_TX]), 0);
}

/* With the event index, every frame gets out though the driver kicks only when asked. */
static void test_tx_event_idx(void **state)
{
	struct fake_net *fake = *state;
	struct fake_queue *queue = &fake->guest.queues[NET_TX];
	unsigned int i, kicks = 0;
	uint16_t old;

	fake_net_start(fake, 1ull << VIRTIO_RING_F_EVENT_IDX, 16);
	for (i = 0; i < 300; i++) {
		old = queue->avail_idx;
		fake_net_send(fake, &plain, 60, (uint8_t)i);
		if (vring_need_event(*fake_avail_event(&fake->guest, queue), queue->avail_idx,
				     old)) {
			kicks++;
			fake_net_kick(fake, NET_TX);
		}
		assert_int_equal(fake_net_sent(fake, data, sizeof(data)), HEADER + 60);
		assert_true(fake_net_filled(data + HEADER, 60, (uint8_t)i));
		assert_int_equal(fake_net_completed(fake), 1);
	}
	assert_int_equal(kicks, 300);
}

#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, fake_net_setup, fake_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(test_offers),	   NET_TEST(test_refuses_config), NET_TEST(test_mtu),
		NET_TEST(test_tx),	   NET_TEST(test_tx_split),	  NET_TEST(test_tx_lengths),
		NET_TEST(test_tx_headers), NET_TEST(test_tx_malformed),	  NET_TEST(test_tx_bounded),
		NET_TEST(test_tx_blocked), NET_TEST(test_tx_event_idx),
	};

	/* A device that spins is a failure, not a wait. */
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
