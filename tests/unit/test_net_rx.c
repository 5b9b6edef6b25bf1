/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-net: reception. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <string.h>
#include <unistd.h>

#include "fake_net.h"

#define HEADER sizeof(struct virtio_net_hdr_v1)
#define MRG NET_FEATURE(MRG_RXBUF)

static const struct virtio_net_hdr_v1 plain;

static unsigned int nr_used(struct fake_net *fake)
{
	struct fake_queue *queue = &fake->guest.queues[NET_RX];

	return (uint16_t)(*fake_used_idx(&fake->guest, queue) - queue->last_used);
}

/*
 * Collects one frame as a driver does, out of buffers of one descriptor, and returns its header.
 * Its length and contents are checked, and that each buffer but the last is full.
 */
static struct virtio_net_hdr_v1 take(struct fake_net *fake, uint32_t len, uint8_t seed)
{
	static uint8_t frame[HEADER + NET_FRAME_MAX];
	struct fake_queue *queue = &fake->guest.queues[NET_RX];
	struct virtio_net_hdr_v1 header = {0};
	uint32_t written, done = 0;
	unsigned int nr = 0;
	uint16_t head;

	do {
		struct vring_desc *desc;

		assert_true(fake_collect(&fake->guest, queue, &head, &written));
		desc = fake_ptr(&fake->guest, queue->desc + sizeof(*desc) * head, sizeof(*desc));
		assert_true(written <= desc->len);
		assert_true(done + written <= sizeof(frame));
		memcpy(frame + done, fake_ptr(&fake->guest, desc->addr, written), written);
		done += written;
		if (!nr)
			memcpy(&header, frame, HEADER);
		assert_true(++nr == header.num_buffers || written == desc->len);
	} while (nr < header.num_buffers);
	assert_int_equal(done, HEADER + len);
	assert_true(fake_net_filled(frame + HEADER, len, seed));
	return header;
}

static void test_one_buffer(void **state)
{
	struct fake_net *fake = *state;
	struct virtio_net_hdr_v1 header;
	uint64_t features[] = {0, MRG};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(features); i++) {
		fake_net_start(fake, features[i], 4);
		fake_net_post(fake, HEADER + 100);
		fake_net_kick(fake, NET_RX);
		fake_irqs(&fake->guest);
		fake_net_arrive(fake, &plain, 100, 9);
		fake_run(&fake->guest);
		header = take(fake, 100, 9);
		assert_int_equal(header.num_buffers, 1);
		assert_int_equal(header.flags, 0);
		assert_int_equal(header.gso_type, 0);
		assert_int_equal(fake_irqs(&fake->guest), 1);
		assert_int_equal(net_counters(fake->net)->rx_frames, i + 1);
		assert_int_equal(net_counters(fake->net)->rx_bytes, 100 * (i + 1));
	}
}

/* A buffer of many descriptors, through the header too. */
static void test_split_buffer(void **state)
{
	struct fake_net *fake = *state;
	struct fake_queue *queue = &fake->guest.queues[NET_RX];
	struct fake_buf bufs[HEADER + 60];
	struct virtio_net_hdr_v1 header;
	unsigned int size, nr;
	uint32_t written;
	uint16_t head;
	gpa_t gpa;

	fake_net_start(fake, 1ull << VIRTIO_RING_F_INDIRECT_DESC, 128);
	gpa = fake_alloc(&fake->guest, HEADER + 60, 1);
	for (size = 1; size <= HEADER + 60; size += 5) {
		memset(fake_ptr(&fake->guest, gpa, HEADER + 60), 0xff, HEADER + 60);
		for (nr = 0; nr * size < HEADER + 60; nr++)
			bufs[nr] = (struct fake_buf){gpa + nr * size,
						     MIN(size, (uint32_t)HEADER + 60 - nr * size),
						     true};
		fake_publish(&fake->guest, queue,
			     fake_chain(&fake->guest, queue, bufs, nr, size % 2));
		fake_net_arrive(fake, &plain, 60, (uint8_t)size);
		fake_net_kick(fake, NET_RX);
		assert_true(fake_collect(&fake->guest, queue, &head, &written));
		assert_int_equal(written, HEADER + 60);
		memcpy(&header, fake_ptr(&fake->guest, gpa, HEADER), HEADER);
		assert_int_equal(header.num_buffers, 1);
		assert_true(fake_net_filled(fake_ptr(&fake->guest, gpa + HEADER, 60), 60,
					    (uint8_t)size));
	}
}

/*
 * Frames of all sizes in a row, so that each meets buffers gathered for another. No byte and
 * no buffer is lost: the ring holds exactly what all of them need.
 */
static void test_mergeable(void **state)
{
	static const uint32_t lens[] = {60, 188,  189, 190,  60,   NET_FRAME_MAX,     NET_FRAME_MAX,
					14, 5000, 15,  4999, 5001, NET_FRAME_MAX - 1, 60};
	struct fake_net *fake = *state;
	struct virtio_net_hdr_v1 header;
	unsigned int i, j, need;

	fake_net_start(fake, MRG, 256);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		uint32_t size = lens[i] > 200 ? 500 : 200;

		/* One frame before its buffers, one after. */
		need = ((unsigned int)HEADER + lens[i] + size - 1) / size;
		if (i % 2)
			fake_net_arrive(fake, &plain, lens[i], (uint8_t)i);
		fake_run(&fake->guest);
		for (j = 0; j < need; j++)
			fake_net_post(fake, size);
		fake_net_kick(fake, NET_RX);
		if (!(i % 2))
			fake_net_arrive(fake, &plain, lens[i], (uint8_t)i);
		fake_run(&fake->guest);
		assert_int_equal(nr_used(fake), need);
		header = take(fake, lens[i], (uint8_t)i);
		assert_int_equal(header.num_buffers, need);
		fake->guest.next_free = FAKE_RAM_BASE + KIB(64);
	}
	assert_int_equal(net_counters(fake->net)->rx_frames, ARRAY_SIZE(lens));
	assert_int_equal(net_counters(fake->net)->rx_dropped, 0);
}

/* More posted than needed: what one frame does not take, the next gets. */
static void test_mergeable_leftovers(void **state)
{
	struct fake_net *fake = *state;
	struct fake_queue *queue = &fake->guest.queues[NET_RX];
	const struct vring_used *used;
	unsigned int i;

	fake_net_start(fake, MRG, 64);
	for (i = 0; i < 64; i++)
		fake_net_post(fake, 100);
	fake_net_kick(fake, NET_RX);
	for (i = 0; i < 8; i++) {
		fake_net_arrive(fake, &plain, i % 2 ? 50 : 500, (uint8_t)i);
		fake_run(&fake->guest);
		assert_int_equal(take(fake, i % 2 ? 50 : 500, (uint8_t)i).num_buffers,
				 i % 2 ? 1 : 6);
	}
	/* In the order they were posted in, without a gap. */
	assert_int_equal(queue->last_used, 4 * 1 + 4 * 6);
	used = fake_ptr(&fake->guest, queue->used, 4 + sizeof(used->ring[0]) * 28);
	for (i = 0; i < 28; i++)
		assert_int_equal(used->ring[i].id, i);
}

/* Buffers of very many pieces each: no more are gathered than there is room for. */
static void test_mergeable_pieces(void **state)
{
	struct fake_net *fake = *state;
	struct fake_queue *queue = &fake->guest.queues[NET_RX];
	struct fake_buf bufs[250];
	unsigned int round, i, j;
	uint32_t written;
	uint16_t head;
	gpa_t gpa;

	fake_net_start(fake, MRG | (1ull << VIRTIO_RING_F_INDIRECT_DESC), 32);
	for (round = 0; round < 3; round++) {
		gpa = fake_alloc(&fake->guest, 32 * 250, 1);
		for (i = 0; i < 32; i++) {
			for (j = 0; j < 250; j++)
				bufs[j] = (struct fake_buf){gpa + i * 250 + j, 1, true};
			fake_publish(&fake->guest, queue,
				     fake_chain(&fake->guest, queue, bufs, 250, true));
		}
		fake_net_arrive(fake, &plain, 32 * 250 - HEADER, (uint8_t)round);
		fake_net_kick(fake, NET_RX);
		for (i = 0; i < 32; i++) {
			assert_true(fake_collect(&fake->guest, queue, &head, &written));
			assert_int_equal(written, 250);
		}
		assert_true(fake_net_filled(fake_ptr(&fake->guest, gpa + HEADER, 7988), 7988,
					    (uint8_t)round));
	}
}

/* Buffers that come too late for a frame get it all the same, whole and once. */
static void test_held(void **state)
{
	struct fake_net *fake = *state;
	unsigned int i;

	fake_net_start(fake, MRG, 64);
	fake_net_arrive(fake, &plain, 5000, 3);
	fake_net_arrive(fake, &plain, 60, 4);
	for (i = 0; i < 51; i++) {
		assert_int_equal(nr_used(fake), 0);
		fake_net_post(fake, 100);
		fake_net_kick(fake, NET_RX);
		/* It waits without a spin, and asks for kicks. */
		assert_int_equal(fake_run(&fake->guest), 0);
		assert_int_equal(*fake_used_flags(&fake->guest, &fake->guest.queues[NET_RX]), 0);
	}
	assert_int_equal(take(fake, 5000, 3).num_buffers, 51);
	fake_net_post(fake, 100);
	fake_net_kick(fake, NET_RX);
	assert_int_equal(take(fake, 60, 4).num_buffers, 1);
	assert_int_equal(net_counters(fake->net)->rx_dropped, 0);
}

/* A reset forgets the frame in hand, and the buffers that were for it. */
static void test_held_reset(void **state)
{
	struct fake_net *fake = *state;
	unsigned int i;

	for (i = 0; i < 3; i++) {
		fake_net_start(fake, MRG, 64);
		fake_net_arrive(fake, &plain, 5000, 3);
		fake_net_post(fake, 100);
		fake_net_post(fake, 100);
		fake_net_kick(fake, NET_RX);
		assert_int_equal(nr_used(fake), 0);
	}
	test_mergeable(state);
}

/* A frame that all the queue's buffers do not hold is dropped; the next one finds them. */
static void test_bigger_than_queue(void **state)
{
	struct fake_net *fake = *state;
	unsigned int i, j;

	for (j = 0; j < 2; j++) {
		fake_net_start(fake, MRG, 8);
		for (i = 0; i < 8; i++)
			fake_net_post(fake, 100);
		fake_net_kick(fake, NET_RX);
		fake_net_arrive(fake, &plain, 800 - HEADER + 1, 1);
		fake_net_arrive(fake, &plain, NET_FRAME_MAX, 1);
		fake_net_arrive(fake, &plain, 800 - HEADER, 2);
		fake_run(&fake->guest);
		assert_int_equal(nr_used(fake), 8);
		assert_int_equal(take(fake, 800 - HEADER, 2).num_buffers, 8);
		assert_int_equal(net_counters(fake->net)->rx_dropped, 2 * (j + 1));
	}
}

/* Without mergeable buffers a frame has one buffer or none. */
static void test_not_mergeable(void **state)
{
	struct fake_net *fake = *state;

	fake_net_start(fake, 0, 8);
	fake_net_post(fake, HEADER + 100);
	fake_net_post(fake, HEADER + 100);
	fake_net_kick(fake, NET_RX);
	fake_net_arrive(fake, &plain, 101, 1);
	fake_net_arrive(fake, &plain, NET_FRAME_MAX, 1);
	fake_net_arrive(fake, &plain, 100, 2);
	fake_run(&fake->guest);
	assert_int_equal(take(fake, 100, 2).num_buffers, 1);
	assert_int_equal(nr_used(fake), 0);
	assert_int_equal(net_counters(fake->net)->rx_dropped, 2);
}

/* Too short, too long: such a frame takes nothing with it. */
static void test_lengths(void **state)
{
	static const uint32_t bad[] = {0, 1, 13, NET_FRAME_MAX + 1, NET_FRAME_MAX + 64};
	struct fake_net *fake = *state;
	const uint32_t room = HEADER + NET_FRAME_MAX + 64;
	unsigned int i;

	fake_net_start(fake, MRG, 8);
	fake_net_post(fake, room);
	fake_net_post(fake, room);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		fake_net_arrive(fake, &plain, bad[i], 1);
	fake->backend->empty = 1; /* not even a header */
	fake_net_kick(fake, NET_RX);
	assert_int_equal(nr_used(fake), 0);
	assert_int_equal(net_counters(fake->net)->rx_dropped, ARRAY_SIZE(bad) + 1);
	fake_net_arrive(fake, &plain, NET_FRAME_MAX, 1);
	fake_net_arrive(fake, &plain, NET_FRAME_MIN, 2);
	fake_run(&fake->guest);
	assert_int_equal(take(fake, NET_FRAME_MAX, 1).num_buffers, 1);
	assert_int_equal(take(fake, NET_FRAME_MIN, 2).num_buffers, 1);
}

static void test_headers(void **state)
{
	static const struct {
		uint64_t features;
		struct virtio_net_hdr_v1 in;
		bool arrives;
		uint8_t flags;
	} rows[] = {
		{NET_FEATURE(GUEST_CSUM), {1, 0, 0, 0, {{34, 16}}, 0}, true, 1},
		{NET_FEATURE(GUEST_CSUM), {2, 0, 0, 0, {{0, 0}}, 0}, true, 2},
		{0, {1, 0, 0, 0, {{34, 16}}, 0}, false, 0},
		{0, {2, 0, 0, 0, {{0, 0}}, 0}, true, 0},
		{NET_FEATURE(GUEST_CSUM), {1, 1, 54, 40, {{34, 16}}, 0}, false, 0},
		{NET_FEATURE(GUEST_CSUM) | NET_FEATURE(GUEST_TSO4),
		 {1, 1, 54, 40, {{34, 16}}, 0},
		 true,
		 1},
		{NET_FEATURE(GUEST_CSUM) | NET_FEATURE(GUEST_TSO4),
		 {1, 4, 74, 20, {{54, 16}}, 0},
		 false,
		 0},
		{NET_FEATURE(GUEST_CSUM) | NET_FEATURE(GUEST_TSO6),
		 {1, 4, 74, 20, {{54, 16}}, 0},
		 true,
		 1},
		{NET_FEATURE(GUEST_CSUM) | NET_FEATURE(GUEST_TSO4),
		 {1, 0x81, 54, 40, {{34, 16}}, 0},
		 false,
		 0},
		{NET_ALL_OFFLOADS, {1, 3, 54, 40, {{34, 16}}, 0}, false, 0},
	};
	struct fake_net *fake = *state;
	struct virtio_net_hdr_v1 header;
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		fake_net_start(fake, rows[i].features | MRG, 4);
		fake_net_post(fake, 200);
		fake_net_kick(fake, NET_RX);
		fake_net_arrive(fake, &rows[i].in, 100, 1);
		fake_run(&fake->guest);
		if (nr_used(fake) != rows[i].arrives)
			fail_msg("row %u", i);
		if (!rows[i].arrives)
			continue;
		header = take(fake, 100, 1);
		assert_int_equal(header.flags, rows[i].flags);
		assert_int_equal(header.num_buffers, 1);
		header.flags = rows[i].in.flags;
		header.num_buffers = 0;
		assert_memory_equal(&header, &rows[i].in, HEADER);
	}
}

/* What is no receive buffer: readable parts, or no room for a header. */
static void test_malformed(void **state)
{
	struct fake_net *fake = *state;
	gpa_t gpa = fake_alloc(&fake->guest, 100, 1);
	const struct {
		struct fake_buf bufs[2];
		unsigned int nr, before;
	} rows[] = {
		{{{gpa, 100, false}}, 1, 0},
		{{{gpa, 50, false}, {gpa + 50, 50, true}}, 2, 0},
		{{{gpa, 1, true}}, 1, 0},
		{{{gpa, HEADER - 1, true}}, 1, 0},
		{{{gpa, 0, true}}, 1, 0},
		/* The same as a second and as a gathered buffer. */
		{{{gpa, 100, false}}, 1, 1},
		{{{gpa, 1, true}}, 1, 1},
	};
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		fake_net_start(fake, MRG, 4);
		for (j = 0; j < rows[i].before; j++)
			fake_net_post(fake, 100);
		fake_add(&fake->guest, &fake->guest.queues[NET_RX], rows[i].bufs, rows[i].nr);
		if (rows[i].before)
			fake_net_arrive(fake, &plain, 150, 1);
		fake_net_kick(fake, NET_RX);
		assert_true(fake_net_needs_reset(fake));
		assert_int_equal(nr_used(fake), 0);
		fake_net_kick(fake, NET_RX);
	}
	/* After a reset all is well. One of the frames from above may still have been waiting. */
	fake_net_start(fake, MRG, 4);
	fake_net_arrive(fake, &plain, 150, 1);
	fake_net_post(fake, 100);
	fake_net_post(fake, 100);
	fake_net_kick(fake, NET_RX);
	take(fake, 150, 1);
}

/* Frames wait outside while there is no buffer, or no driver; nobody spins on them. */
static void test_nowhere_to_go(void **state)
{
	struct fake_net *fake = *state;

	fake_net_arrive(fake, &plain, 60, 1);
	fake_run(&fake->guest);
	fake_net_start(fake, MRG, 4);
	fake_net_kick(fake, NET_RX);
	fake_reg_write(&fake->guest, VIRTIO_MMIO_STATUS, 0);
	fake_net_arrive(fake, &plain, 60, 2);
	fake_run(&fake->guest);
	fake_net_start(fake, MRG, 4);
	fake_net_post(fake, 100);
	fake_net_kick(fake, NET_RX);
	take(fake, 60, 1);
	fake_net_post(fake, 100);
	fake_net_kick(fake, NET_RX);
	take(fake, 60, 2);
	/* The driver stops while the device waits for frames. */
	fake_net_post(fake, 100);
	fake_net_kick(fake, NET_RX);
	fake_reg_write(&fake->guest, VIRTIO_MMIO_STATUS, 0);
	fake_net_arrive(fake, &plain, 60, 3);
	assert_in_range(fake_run(&fake->guest), 1, 4);
	assert_int_equal(fake_run(&fake->guest), 0);
	/* It gives up: its buffers are no longer touched. */
	fake_net_start(fake, MRG, 4);
	fake_net_post(fake, 100);
	fake_net_kick(fake, NET_RX);
	take(fake, 60, 3);
	fake_net_post(fake, 100);
	fake_net_kick(fake, NET_RX);
	fake_reg_write(&fake->guest, VIRTIO_MMIO_STATUS,
		       fake_reg_read(&fake->guest, VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_FAILED);
	fake_net_arrive(fake, &plain, 60, 4);
	fake_run(&fake->guest);
	assert_int_equal(nr_used(fake), 0);
}

static void test_bounded(void **state)
{
	struct fake_net *fake = *state;
	struct fake_queue *queue = &fake->guest.queues[NET_RX];
	unsigned int i, nr, total = 0;
	struct fake_buf buf;

	fake_net_start(fake, MRG, 256);
	for (i = 0; i < 256; i++)
		fake_net_post(fake, 100);
	fake->backend->flood = 200;
	fake_irqs(&fake->guest);
	for (i = 0; i < 3; i++) {
		net_virtio(fake->net)->ops->kick(net_virtio(fake->net), NET_RX);
		nr = nr_used(fake) - total;
		assert_in_range(nr, 1, 64);
		assert_int_equal(fake_irqs(&fake->guest), 1);
		/* There is more to do, for which it needs no kick. */
		assert_int_equal(*fake_used_flags(&fake->guest, queue), VRING_USED_F_NO_NOTIFY);
		total += nr;
	}
	fake_run(&fake->guest);
	assert_int_equal(nr_used(fake), 200);
	/* Drops count as well. */
	fake_net_start(fake, 0, 4);
	fake_net_post(fake, 20);
	fake->backend->flood = 1000;
	net_virtio(fake->net)->ops->kick(net_virtio(fake->net), NET_RX);
	assert_int_equal(fake->backend->flood, 1000 - 64);
	fake_run(&fake->guest);
	assert_int_equal(net_counters(fake->net)->rx_dropped, 1000);
	assert_int_equal(queue->last_used, 0);
	/* The same by bytes: 30 KiB each. */
	fake_net_start(fake, 0, 64);
	buf = (struct fake_buf){fake_alloc(&fake->guest, KIB(31), 1), KIB(31), true};
	for (i = 0; i < 64; i++)
		fake_add(&fake->guest, queue, &buf, 1);
	fake->backend->flood = 64;
	fake->backend->flood_len = KIB(30);
	net_virtio(fake->net)->ops->kick(net_virtio(fake->net), NET_RX);
	assert_in_range(nr_used(fake), 1, 9);
	fake_run(&fake->guest);
	assert_int_equal(nr_used(fake), 64);
}

#define NET_TEST(name) cmocka_unit_test_setup_teardown(name, fake_net_setup, fake_net_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		NET_TEST(test_one_buffer),	 NET_TEST(test_split_buffer),
		NET_TEST(test_mergeable),	 NET_TEST(test_mergeable_leftovers),
		NET_TEST(test_mergeable_pieces), NET_TEST(test_held),
		NET_TEST(test_held_reset),	 NET_TEST(test_bigger_than_queue),
		NET_TEST(test_not_mergeable),	 NET_TEST(test_lengths),
		NET_TEST(test_headers),		 NET_TEST(test_malformed),
		NET_TEST(test_nowhere_to_go),	 NET_TEST(test_bounded),
	};

	/* A device that spins is a failure, not a wait. */
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
