/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile guest posts for frames to be received into. */
#include "hostile_net.h"

#define MRG NET_FEATURE(MRG_RXBUF)
#define INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define BUFFERS_MAX 256
/* What `receive` may also give: no frame yet, and a frame lost with all buffers still posted. */
#define HELD (-2)
#define LOST (-3)

/* Buffers one behind the other, up to the end of low RAM. */
struct posted {
	gpa_t gpa[BUFFERS_MAX];
	uint32_t len[BUFFERS_MAX];
	unsigned int nr;
};

static void post(struct fake_net *fake, struct posted *posted)
{
	gpa_t end = HOSTILE_LOW_END;
	unsigned int i;

	for (i = posted->nr; i; i--)
		end = posted->gpa[i - 1] = end - posted->len[i - 1];
	/* Rubbish of the driver's, as num_buffers too. */
	memset(hostile_ptr(&fake->guest, end, HOSTILE_LOW_END - end), 0xdd, HOSTILE_LOW_END - end);
	for (i = 0; i < posted->nr; i++) {
		const struct fake_buf buf = {posted->gpa[i], posted->len[i], true};

		fake_add(&fake->guest, queue_of(fake, NET_RX), &buf, 1);
	}
}

/* The frame is whole in the first buffers, and nothing else was written. How many they are. */
static int collect(struct fake_net *fake, const struct posted *posted, uint32_t len)
{
	static uint8_t whole[HEADER + NET_FRAME_MAX];
	struct fake_queue *queue = queue_of(fake, NET_RX);
	const uint16_t idx = *fake_used_idx(&fake->guest, queue), first = queue->last_used;
	struct virtio_net_hdr_v1 header;
	uint32_t used_len, done = 0;
	uint16_t used;

	while (queue->last_used != idx) {
		const uint16_t at = (uint16_t)(queue->last_used - first);

		assert_true(fake_collect(&fake->guest, queue, &used, &used_len));
		assert_true(at < posted->nr && used_len <= posted->len[at] &&
			    used_len <= sizeof(whole) - done);
		/* All but the last are full. */
		assert_true(used_len == posted->len[at] || done + used_len == HEADER + len);
		memcpy(whole + done, hostile_ptr(&fake->guest, posted->gpa[at], used_len),
		       used_len);
		hostile_ram_allow(&ram, &fake->guest, posted->gpa[at], used_len);
		done += used_len;
	}
	hostile_ram_allow(&ram, &fake->guest, queue->avail + 4 + 2ull * queue->size, 2);
	assert_int_equal(done, HEADER + len);
	memcpy(&header, whole, HEADER);
	assert_int_equal(header.num_buffers, (uint16_t)(idx - first));
	header.num_buffers = 0;
	assert_memory_equal(&header, &plain, HEADER);
	assert_true(fake_net_filled(whole + HEADER, len, seed));
	return (uint16_t)(idx - first);
}

/* Posts the buffers, then a frame comes. How many buffers it took; RESET, HELD, LOST. */
static int receive(struct fake_net *fake, struct posted *posted, uint32_t len)
{
	struct fake_queue *queue = queue_of(fake, NET_RX);
	const uint64_t lost = net_counters(fake->net)->rx_dropped;
	int nr = HELD;

	post(fake, posted);
	hostile_ram_keep(&ram, &fake->guest);
	kick(fake, NET_RX);
	if (!fake_net_needs_reset(fake)) {
		fake_net_arrive(fake, &plain, len, ++seed);
		assert_in_range(fake_run(&fake->guest), 1, 8);
	}
	hostile_ram_allow_used(&ram, &fake->guest, queue);
	if (*fake_used_idx(&fake->guest, queue) != queue->last_used)
		nr = collect(fake, posted, len);
	else if (fake_net_needs_reset(fake))
		nr = RESET;
	else if (net_counters(fake->net)->rx_dropped != lost)
		nr = LOST;
	/* A frame in hand, and one that was lost on the way, left bytes in what was posted. */
	if (nr == HELD || nr == LOST)
		hostile_ram_allow(&ram, &fake->guest, posted->gpa[0],
				  HOSTILE_LOW_END - posted->gpa[0]);
	assert_true(hostile_ram_same(&ram, &fake->guest));
	return nr;
}

/* A frame that waits, or none, meets buffers that nothing can be written to. */
static void class_35_read_only_buffers(void **state)
{
	static const uint64_t features[] = {INDIRECT, INDIRECT | MRG};
	const gpa_t at = HOSTILE_HIGH_END - BUFFER;
	const struct fake_buf bad[][3] = {
		{{at, BUFFER, false}, {at, 0, false}, {at, 0, false}},
		{{at, 1, false}, {at, BUFFER, true}, {at, 0, true}},
		{{at, HEADER, false}, {at + HEADER, BUFFER - HEADER, true}, {at, 0, true}},
		{{at, HEADER, true}, {at + HEADER, BUFFER - HEADER, false}, {at, 0, true}},
		{{at, 0, true}, {at, 0, true}, {at, 0, true}},
		{{HOSTILE_HIGH_END - 11, 11, true}, {at, 0, true}, {at, 0, true}},
		{{at, 4, true}, {at, 4, true}, {at, 3, true}},
		{{at + 1, BUFFER, true}, {at, 0, true}, {at, 0, true}},
		{{at, HEADER, true}, {HOSTILE_LOW_END - 1, BUFFER, true}, {at, 0, true}},
	};
	struct fake_net *fake = *state;
	struct fake_queue *queue = queue_of(fake, NET_RX);
	unsigned int in_line;
	size_t f, i;

	for (f = 0; f < ARRAY_SIZE(features); f++) {
		for (i = 0; i < ARRAY_SIZE(bad) * 2; i++) {
			restart(fake, features[f], QUEUE_SIZE);
			for (in_line = 0; in_line < i % 3; in_line++)
				fake_net_arrive(fake, &plain, GOOD, ++seed);
			fake_publish(&fake->guest, queue,
				     fake_chain(&fake->guest, queue, bad[i / 2], 3, i % 2));
			hostile_ram_keep(&ram, &fake->guest);
			kick(fake, NET_RX);
			hostile_ram_allow_used(&ram, &fake->guest, queue);
			assert_true(hostile_ram_same(&ram, &fake->guest));
			assert_true(fake_net_needs_reset(fake));
			assert_int_equal(*fake_used_idx(&fake->guest, queue), 0);
			assert_recovers(fake, in_line);
		}
	}
}

/*
 * The second buffer of a frame is the bad one: the frame goes with the reset, and only it. Where
 * the frame before had two, both are looked at before a frame is taken.
 */
static void class_35_read_only_in_the_middle(void **state)
{
	struct fake_net *fake = *state;
	struct fake_queue *queue = queue_of(fake, NET_RX);
	const gpa_t at = HOSTILE_HIGH_END - BUFFER;
	const struct fake_buf good = {at, 20, true};
	const struct fake_buf bad[] = {{at + 20, 100, false}, {at + 20, 11, true}};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		restart(fake, MRG, QUEUE_SIZE);
		fake_net_arrive(fake, &plain, GOOD, ++seed);
		fake_net_arrive(fake, &plain, GOOD, ++seed);
		fake_add(&fake->guest, queue, &good, 1);
		fake_add(&fake->guest, queue, &bad[i], 1);
		hostile_ram_keep(&ram, &fake->guest);
		kick(fake, NET_RX);
		hostile_ram_allow_used(&ram, &fake->guest, queue);
		hostile_ram_allow(&ram, &fake->guest, at, 20);
		assert_true(hostile_ram_same(&ram, &fake->guest));
		assert_true(fake_net_needs_reset(fake));
		assert_int_equal(*fake_used_idx(&fake->guest, queue), 0);
		assert_recovers(fake, i ? 2 : 1);
	}
}

static void class_36_mergeable_buffers(void **state)
{
	static const struct {
		uint32_t first, others; /* lengths of the buffers */
		unsigned int nr;
		uint32_t len;
		int outcome;
	} cases[] = {
		{HEADER + GOOD, 0, 1, GOOD, 1},
		{HEADER + GOOD, 100, 9, GOOD, 1},
		{HEADER + GOOD - 1, 12, 2, GOOD, 2},
		{HEADER, GOOD, 2, GOOD, 2},
		{HEADER, GOOD - 1, 3, GOOD, 3},
		{HEADER, HEADER, 6, GOOD, 6},
		{HEADER, HEADER, 60, GOOD, 6},
		{HEADER + 1, 59, 2, GOOD, 2},
		/* More than was posted: it waits for more, unless the queue could hold no more. */
		{HEADER + GOOD - 1, 0, 1, GOOD, HELD},
		{HEADER, HEADER, 5, GOOD, HELD},
		{HEADER, HEADER, 255, 3060, HELD},
		{HEADER, HEADER, 256, 3060, 256},
		{HEADER, HEADER, 256, 3061, LOST},
		{HEADER, HEADER, 256, NET_FRAME_MAX, LOST},
		{257, 257, 256, NET_FRAME_MAX, 256},
		{256, 256, 256, NET_FRAME_MAX, LOST},
		{65565, 12, 2, NET_FRAME_MAX, 1},
		{65564, 12, 2, NET_FRAME_MAX, 2},
		{100000, 100000, 2, NET_FRAME_MAX, 1},
		/* No frames at all. */
		{BUFFER, BUFFER, 2, 13, LOST},
		{BUFFER, BUFFER, 2, 0, LOST},
		{100000, 100000, 2, NET_FRAME_MAX + 1, LOST},
		{100000, 100000, 2, NET_FRAME_MAX + 64, LOST},
		/* Buffers without room for a header. */
		{1, 1, 256, GOOD, RESET},
		{11, 11, 1, GOOD, RESET},
	};
	struct fake_net *fake = *state;
	struct posted posted;
	unsigned int n;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		posted = (struct posted){.nr = cases[i].nr, .len = {cases[i].first}};
		for (n = 1; n < posted.nr; n++)
			posted.len[n] = cases[i].others;
		restart(fake, MRG, BUFFERS_MAX);
		if (receive(fake, &posted, cases[i].len) != cases[i].outcome)
			fail_msg("case %zu", i);
		assert_recovers(fake, 0);
	}
}

/* A frame that waits comes whole when there is room; one that was lost leaves the buffers there. */
static void class_36_more_buffers_later(void **state)
{
	struct fake_net *fake = *state;
	struct posted posted = {.nr = 2, .len = {HEADER + 20, 39}};
	const struct fake_buf last = {HOSTILE_HIGH_END - HEADER, HEADER, true};

	restart(fake, MRG, BUFFERS_MAX);
	assert_int_equal(receive(fake, &posted, GOOD), HELD);
	posted.gpa[2] = last.gpa;
	posted.len[2] = last.len;
	posted.nr = 3;
	fake_add(&fake->guest, queue_of(fake, NET_RX), &last, 1);
	hostile_ram_keep(&ram, &fake->guest);
	kick(fake, NET_RX);
	hostile_ram_allow_used(&ram, &fake->guest, queue_of(fake, NET_RX));
	assert_int_equal(collect(fake, &posted, GOOD), 3);
	assert_true(hostile_ram_same(&ram, &fake->guest));
	assert_recovers(fake, 0);

	restart(fake, MRG, BUFFERS_MAX);
	posted = (struct posted){.nr = 2, .len = {BUFFER, BUFFER}};
	assert_int_equal(receive(fake, &posted, 13), LOST);
	fake_net_arrive(fake, &plain, GOOD, ++seed);
	fake_run(&fake->guest);
	assert_int_equal(collect(fake, &posted, GOOD), 1);
	assert_recovers(fake, 0);
}

/* Without the feature, a frame has one buffer, whatever else is posted. */
static void class_36_not_negotiated(void **state)
{
	static const struct {
		uint32_t buffer, len;
		int outcome;
	} cases[] = {
		{HEADER + GOOD, GOOD, 1}, {HEADER + GOOD - 1, GOOD, LOST},    {HEADER, 14, LOST},
		{HEADER + 14, 14, 1},	  {HEADER + 14, NET_FRAME_MAX, LOST}, {11, 14, RESET},
		{1, 14, RESET},
	};
	struct fake_net *fake = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct posted posted = {.nr = 3, .len = {cases[i].buffer, cases[i].buffer, BUFFER}};

		restart(fake, 0, BUFFERS_MAX);
		assert_int_equal(receive(fake, &posted, cases[i].len), cases[i].outcome);
		assert_recovers(fake, 0);
	}
}

/* Two buffers whose lengths add up to more than 32 bits hold: a frame is where it should be. */
static void class_36_buffers_of_four_gigabytes(void **state)
{
	enum { LEN = 1000 };
	struct fake_net *fake = *state;
	struct fake_queue *queue = queue_of(fake, NET_RX);
	const uint64_t size = GIB(2);
	const gpa_t gpa = GIB(8), small = HOSTILE_HIGH_END - HEADER - GOOD;
	const struct fake_buf first = {small, HEADER + GOOD, true};
	const struct fake_buf big[] = {{gpa, 1u << 31, true}, {gpa, (1u << 31) - 1, true}};
	uint8_t *host = mmap(NULL, size + 2 * GUEST_PAGE_SIZE, PROT_READ | PROT_WRITE,
			     MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	uint8_t whole[LEN];
	uint32_t len;
	uint16_t used;

	assert_true(host != MAP_FAILED);
	host += GUEST_PAGE_SIZE;
	assert_int_equal(guest_mem_add(&fake->guest.mem, gpa, size, host), 0);
	restart(fake, MRG, QUEUE_SIZE);
	/* As long a frame before, so that both are gathered for the next. */
	fake_net_post(fake, BUFFER);
	fake_net_arrive(fake, &plain, LEN, ++seed);
	fake_net_kick(fake, NET_RX);
	assert_true(fake_collect(&fake->guest, queue, &used, &len));
	fake_add(&fake->guest, queue, &first, 1);
	fake_add(&fake->guest, queue, big, 2);
	fake_net_arrive(fake, &plain, LEN, ++seed);
	fake_net_kick(fake, NET_RX);
	assert_true(fake_collect(&fake->guest, queue, &used, &len));
	assert_int_equal(len, HEADER + GOOD);
	assert_true(fake_collect(&fake->guest, queue, &used, &len));
	assert_int_equal(len, LEN - GOOD);
	memcpy(whole, hostile_ptr(&fake->guest, small + HEADER, GOOD), GOOD);
	memcpy(whole + GOOD, host, LEN - GOOD);
	assert_true(fake_net_filled(whole, LEN, seed));
	assert_int_equal(host[LEN - GOOD], 0);
	assert_recovers(fake, 0);
}

/* The backend's own, of which `checked` sees the calls. */
static const struct net_backend_ops *inner;

/* However little was posted, there is room for the longest frame and a byte, and for no more. */
static ssize_t checked_receive(struct net_backend *backend, struct iovec *iov, unsigned int nr)
{
	size_t room = 0;
	unsigned int i;

	for (i = 0; i < nr; i++)
		room += iov[i].iov_len;
	assert_int_equal(room, HEADER + NET_FRAME_MAX + 1);
	return inner->receive(backend, iov, nr);
}

static void class_36_room_for_one_frame(void **state)
{
	static const uint32_t lengths[] = {HEADER, HEADER + 1, 100, BUFFER, 65565, 65566};
	struct fake_net *fake = *state;
	struct net_backend *backend = &fake->backend->backend;
	struct net_backend_ops checked = *backend->ops;
	size_t i;

	inner = backend->ops;
	checked.receive = checked_receive;
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct posted posted = {.nr = 2, .len = {lengths[i], lengths[i]}};

		restart(fake, i % 2 ? MRG : 0, QUEUE_SIZE);
		backend->ops = &checked;
		assert_int_equal(receive(fake, &posted, NET_FRAME_MAX + 64), LOST);
		backend->ops = inner;
		assert_recovers(fake, 0);
	}
}

/* No buffers: frames wait in the host's socket, and the device sleeps. */
static void class_36_no_buffers(void **state)
{
	struct fake_net *fake = *state;
	unsigned int i;

	fake_net_kick(fake, NET_RX);
	for (i = 0; i < 5; i++) {
		fake_net_arrive(fake, &plain, GOOD, ++seed);
		assert_int_equal(fake_run(&fake->guest), 0);
	}
	assert_recovers(fake, 5);
}

/* One memory for all buffers, and buffers over the rings: the driver's loss, until its reset. */
static void class_36_buffers_over_each_other(void **state)
{
	struct fake_net *fake = *state;
	struct fake_queue *queue = queue_of(fake, NET_RX);
	size_t i, n;

	for (i = 0; i < 5; i++) {
		gpa_t gpa;

		restart(fake, MRG, QUEUE_SIZE);
		gpa = i == 0   ? HOSTILE_HIGH_END - 40
		      : i == 1 ? queue->desc
		      : i == 2 ? queue->avail
		      : i == 3 ? queue->used
			       : queue_of(fake, NET_TX)->used;
		for (n = 0; n < 8; n++) {
			const struct fake_buf buf = {gpa, 40, true};

			fake_add(&fake->guest, queue, &buf, 1);
		}
		for (n = 0; n < 4; n++)
			fake_net_arrive(fake, &plain, GOOD, ++seed);
		hostile_ram_keep(&ram, &fake->guest);
		kick(fake, NET_RX);
		assert_in_range(fake_run(&fake->guest), 0, 8);
		hostile_ram_allow_used(&ram, &fake->guest, queue);
		hostile_ram_allow(&ram, &fake->guest, gpa, 40);
		assert_true(hostile_ram_same(&ram, &fake->guest));
		if (i == 0)
			assert_int_equal(*fake_used_idx(&fake->guest, queue), 8);
		fake_bystander_works(&bystander);
		/* Take what it left in the socket, with good buffers. */
		restart(fake, MRG, QUEUE_SIZE);
		for (n = 0; n < 4; n++)
			fake_net_post(fake, BUFFER);
		fake_net_kick(fake, NET_RX);
		restart(fake, MRG, QUEUE_SIZE);
		assert_recovers(fake, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		hostile_test(class_35_read_only_buffers),
		hostile_test(class_35_read_only_in_the_middle),
		hostile_test(class_36_mergeable_buffers),
		hostile_test(class_36_more_buffers_later),
		hostile_test(class_36_not_negotiated),
		hostile_test(class_36_buffers_of_four_gigabytes),
		hostile_test(class_36_room_for_one_frame),
		hostile_test(class_36_no_buffers),
		hostile_test(class_36_buffers_over_each_other),
	};

	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
