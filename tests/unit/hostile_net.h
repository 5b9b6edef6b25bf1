/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A network device under attack, beside a disk that has to go on. As in hostile_blk.h, after each
 * attack device, disk and guest RAM are looked at.
 */
#ifndef HUSK_TESTS_HOSTILE_NET_H
#define HUSK_TESTS_HOSTILE_NET_H

#include "capture.h"
#include "fake_bystander.h"
#include "fake_net.h"
#include "hostile_ram.h"

#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>

#define HEADER sizeof(struct virtio_net_hdr_v1)
#define QUEUE_SIZE 64
#define GOOD 60 /* bytes of a frame that is fine */
/* What a driver without MRG_RXBUF posts at least. */
#define BUFFER 1526

/* Outcomes of a transmission; or the bytes that left, header and frame. */
#define RESET (-1)
#define DROPPED 0

static struct fake_bystander bystander;
static struct hostile_ram ram;
static struct capture capture;
static uint8_t sent[HEADER + NET_FRAME_MAX + 64];
static gpa_t mark; /* rings of a restart go here */
static uint64_t accepted;
static uint8_t seed;

static const struct virtio_net_hdr_v1 plain;

static inline void restart(struct fake_net *fake, uint64_t features, uint16_t queue_size)
{
	accepted = features;
	fake->guest.next_free = mark;
	memset(hostile_ptr(&fake->guest, mark, KIB(128)), 0, KIB(128));
	fake_net_start(fake, features, queue_size);
}

static inline int hostile_setup(void **state)
{
	struct fake_net *fake;

	fake_net_setup(state);
	fake = *state;
	fake_bystander_init(&bystander, &fake->guest);
	mark = fake->guest.next_free;
	restart(fake, 0, QUEUE_SIZE);
	log_set_level(LOG_WARN);
	return 0;
}

static inline int hostile_teardown(void **state)
{
	fake_bystander_fini(&bystander);
	return fake_net_teardown(state);
}

static inline struct fake_queue *queue_of(struct fake_net *fake, unsigned int index)
{
	return &fake->guest.queues[index];
}

/* Kicks; a broken driver costs one line at most, any other none. */
static inline void kick(struct fake_net *fake, unsigned int index)
{
	fake_irqs(&fake->guest);
	capture_begin(&capture, STDERR_FILENO);
	fake_kick(&fake->guest, index);
	assert_in_range(fake_run(&fake->guest), 1, 8);
	capture_end(&capture);
	assert_in_range(capture_lines(&capture), 0, fake_net_needs_reset(fake) ? 1 : 0);
	if (fake_net_needs_reset(fake))
		assert_int_equal(fake_irqs(&fake->guest), 1);
}

/* A whole good frame out. */
static inline void assert_transmits(struct fake_net *fake)
{
	fake_net_send(fake, &plain, GOOD, ++seed);
	fake_net_kick(fake, NET_TX);
	assert_int_equal(fake_net_completed(fake), 1);
	assert_int_equal(fake_net_sent(fake, sent, sizeof(sent)), HEADER + GOOD);
	assert_memory_equal(sent, &plain, HEADER);
	assert_true(fake_net_filled(sent + HEADER, GOOD, seed));
}

/* The next frame of the host's, in one buffer. */
static inline void assert_received(struct fake_net *fake, gpa_t gpa, uint32_t len, uint8_t with)
{
	const uint8_t *data = hostile_ptr(&fake->guest, gpa, HEADER + len);
	struct virtio_net_hdr_v1 header;
	uint32_t used_len;
	uint16_t used;

	assert_true(fake_collect(&fake->guest, queue_of(fake, NET_RX), &used, &used_len));
	assert_int_equal(used_len, HEADER + len);
	memcpy(&header, data, HEADER);
	assert_int_equal(header.num_buffers, 1);
	assert_true(fake_net_filled(data + HEADER, len, with));
}

/* A whole good frame in. */
static inline void assert_receives(struct fake_net *fake)
{
	gpa_t gpa = fake_net_post(fake, BUFFER);

	fake_net_kick(fake, NET_RX);
	fake_net_arrive(fake, &plain, GOOD, ++seed);
	fake_run(&fake->guest);
	assert_received(fake, gpa, GOOD, seed);
}

/* Neither queue moves, nothing is written or sent, nobody is interrupted. */
static inline void assert_stands_still(struct fake_net *fake)
{
	fake_net_send(fake, &plain, GOOD, 1);
	fake_net_post(fake, BUFFER);
	fake_irqs(&fake->guest);
	hostile_ram_keep(&ram, &fake->guest);
	fake_kick(&fake->guest, NET_TX);
	fake_kick(&fake->guest, NET_RX);
	assert_int_equal(fake_run(&fake->guest), 2);
	assert_true(hostile_ram_same(&ram, &fake->guest));
	assert_int_equal(fake_irqs(&fake->guest), 0);
	assert_int_equal(fake_net_sent(fake, sent, sizeof(sent)), 0);
	assert_true(fake_net_needs_reset(fake));
}

/*
 * `in_line` frames of GOOD bytes came before and were not taken: the last `in_line` values of seed.
 */
static inline void assert_recovers(struct fake_net *fake, unsigned int in_line)
{
	const uint8_t last = seed;
	gpa_t gpa;

	if (fake_net_needs_reset(fake))
		assert_stands_still(fake);
	else
		assert_transmits(fake);
	fake_bystander_works(&bystander);
	restart(fake, accepted, queue_of(fake, NET_RX)->size);
	for (; in_line; in_line--) {
		gpa = fake_net_post(fake, BUFFER);
		fake_net_kick(fake, NET_RX);
		assert_received(fake, gpa, GOOD, (uint8_t)(last - in_line + 1));
	}
	assert_transmits(fake);
	assert_receives(fake);
	fake_bystander_works(&bystander);
}

/* Sends the buffers as they are; what comes of it. The device writes nothing but its ring. */
static inline int transmit(struct fake_net *fake, const struct fake_buf *bufs, unsigned int nr,
			   bool indirect)
{
	struct fake_queue *queue = queue_of(fake, NET_TX);
	const uint16_t idx = *fake_used_idx(&fake->guest, queue);

	fake_publish(&fake->guest, queue, fake_chain(&fake->guest, queue, bufs, nr, indirect));
	hostile_ram_keep(&ram, &fake->guest);
	kick(fake, NET_TX);
	hostile_ram_allow_used(&ram, &fake->guest, queue);
	assert_true(hostile_ram_same(&ram, &fake->guest));
	if (fake_net_needs_reset(fake)) {
		assert_int_equal(*fake_used_idx(&fake->guest, queue), idx);
		assert_int_equal(fake_net_sent(fake, sent, sizeof(sent)), 0);
		return RESET;
	}
	assert_int_equal(fake_net_completed(fake), 1);
	return (int)fake_net_sent(fake, sent, sizeof(sent));
}

static inline void expect(struct fake_net *fake, const struct fake_buf *bufs, unsigned int nr,
			  int outcome)
{
	const bool has_indirect = accepted >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	int got, indirect;

	for (indirect = 0; indirect <= has_indirect; indirect++) {
		got = transmit(fake, bufs, nr, indirect);
		if (got != outcome)
			print_error("%u buffers, the first of %u, the last of %u bytes\n", nr,
				    bufs[0].len, bufs[nr - 1].len);
		assert_int_equal(got, outcome);
		assert_recovers(fake, 0);
	}
}

#define hostile_test(name) cmocka_unit_test_setup_teardown(name, hostile_setup, hostile_teardown)

#endif
