/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest sends. */
#include "test_guest_link.h"

static void frames_split_anywhere(void **state)
{
	struct pair *pair = *state;
	uint8_t frames[200];
	size_t len = 0, split;

	len += frame_put(frames + len, LINK_READY, "", 0);
	len += frame_put(frames + len, LINK_STARTED, "", 0);
	len += frame_put(frames + len, LINK_STDOUT, "hello ", 6);
	len += frame_put(frames + len, 99, "unknown", 7);
	len += frame_put(frames + len, LINK_STDERR, "oops", 4);
	len += frame_put(frames + len, LINK_STDIN, "not from a guest", 16);
	len += frame_put(frames + len, LINK_STDOUT, "", 0);
	len += frame_put(frames + len, LINK_STDOUT, "world", 5);
	len += frame_put(frames + len, LINK_EXIT, "\003why", 4);
	for (split = 0; split < len; split++) {
		pair_restart(pair, false);
		assert_int_equal(guest_send(pair, frames, split), split);
		streams_serve(&pair->loop);
		assert_int_equal(pair->events[GUEST_LINK_EXIT], 0);
		assert_int_equal(guest_send(pair, frames + split, len - split), len - split);
		streams_serve(&pair->loop);
		assert_stream(pair->streams.out, "hello world");
		assert_stream(pair->streams.err, "oops");
		assert_int_equal(pair->events[GUEST_LINK_READY], 1);
		assert_int_equal(pair->events[GUEST_LINK_STARTED], 1);
		assert_int_equal(pair->events[GUEST_LINK_EXIT], 1);
		assert_int_equal(pair->link.exit_status, 3);
		assert_string_equal(pair->link.exit_text, "why");
	}
	/* A byte at a time. */
	pair_restart(pair, false);
	for (split = 0; split < len; split++) {
		guest_send(pair, frames + split, 1);
		streams_serve(&pair->loop);
	}
	assert_stream(pair->streams.out, "hello world");
	assert_int_equal(pair->events[GUEST_LINK_EXIT], 1);
}

static void a_length_past_the_bound_is_cut(void **state)
{
	static const uint16_t lens[] = {LINK_PAYLOAD_MAX, LINK_PAYLOAD_MAX + 1, 0x8000, 0xffff};
	struct pair *pair = *state;
	char payload[LINK_PAYLOAD_MAX + 1] = {0};
	size_t i;

	memset(payload, 'a', LINK_PAYLOAD_MAX);
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		struct link_header header = {.type = LINK_STDOUT, .len = lens[i]};

		guest_send(pair, &header, sizeof(header));
		guest_send(pair, payload, LINK_PAYLOAD_MAX);
		send_frame(pair, LINK_STARTED, "", 0);
		streams_serve(&pair->loop);
		assert_stream(pair->streams.out, payload);
		/* Told once, however often the guest says so. */
		assert_int_equal(pair->events[GUEST_LINK_STARTED], 1);
	}
}

static void random_bytes_do_no_harm(void **state)
{
	struct pair *pair = *state;
	char back[2 * STREAMS_PIPE];
	unsigned int i;

	srandom(1);
	for (i = 0; i < STREAM_MAX; i++) {
		uint8_t byte = (uint8_t)random();

		/* More headers of types it knows. */
		if (i % 64 == 0)
			byte = (uint8_t)(LINK_READY + byte % 7);
		out(pair, UART_TX, byte);
		if (i % 100 == 0) {
			guest_receive(pair);
			pair->nr_received = 0;
			streams_serve(&pair->loop);
			streams_read(pair->streams.out, back, sizeof(back));
			streams_read(pair->streams.err, back, sizeof(back));
		}
	}
}

static void the_verdict(void **state)
{
	struct pair *pair = *state;
	char text[LINK_PAYLOAD_MAX];

	send_frame(pair, LINK_EXIT, "", 0);
	streams_serve(&pair->loop);
	assert_int_equal(pair->events[GUEST_LINK_EXIT], 0);
	send_frame(pair, LINK_EXIT, "\377", 1);
	streams_serve(&pair->loop);
	assert_int_equal(pair->events[GUEST_LINK_EXIT], 1);
	assert_int_equal(pair->link.exit_status, 255);
	assert_string_equal(pair->link.exit_text, "");
	/* The first verdict counts. */
	send_frame(pair, LINK_EXIT, "\1text", 5);
	streams_serve(&pair->loop);
	assert_int_equal(pair->events[GUEST_LINK_EXIT], 1);
	assert_int_equal(pair->link.exit_status, 255);
	assert_string_equal(pair->link.exit_text, "");
	/* Nothing a terminal obeys: escape, the same in eight bits, the same in UTF-8. */
	pair->link.exited = false;
	send_frame(pair, LINK_EXIT, "\1a\33[2J\2332J\302\2332J\177\n", 15);
	streams_serve(&pair->loop);
	assert_string_equal(pair->link.exit_text, "a?[2J?2J??2J??");
	memset(text, 'x', sizeof(text));
	pair->link.exited = false;
	send_frame(pair, LINK_EXIT, text, sizeof(text));
	streams_serve(&pair->loop);
	assert_int_equal(pair->link.exit_status, 'x');
	assert_int_equal(strlen(pair->link.exit_text), LINK_PAYLOAD_MAX - 1);
}

/* Standard output has no reader for now: all that is behind it waits, and comes in order. */
static void blocked_then_drained(void **state)
{
	struct pair *pair = *state;
	char back[2 * STREAMS_PIPE];
	unsigned int round, i;

	for (round = 1; round <= 3; round++) {
		pair->link.exited = false;
		streams_fill(STDOUT_FILENO);
		send_frame(pair, LINK_STDOUT, "one", 3);
		streams_serve(&pair->loop);
		assert_true(guest_link_is_blocked(&pair->link));
		send_frame(pair, LINK_STDERR, "two", 3);
		send_frame(pair, LINK_EXIT, "\1", 1);
		/* Tried again, by the guest's next bytes and by whoever wants to end. */
		for (i = 0; i < 3; i++) {
			streams_serve(&pair->loop);
			serial_flush(&pair->link.serial);
			assert_true(guest_link_is_blocked(&pair->link));
		}
		assert_stream(pair->streams.err, "");
		assert_int_equal(pair->events[GUEST_LINK_EXIT], round - 1);
		assert_int_equal(pair->events[GUEST_LINK_DRAINED], round - 1);
		assert_int_equal(streams_read(pair->streams.out, back, sizeof(back)), STREAMS_PIPE);
		streams_serve(&pair->loop);
		assert_false(guest_link_is_blocked(&pair->link));
		assert_stream(pair->streams.out, "one");
		assert_stream(pair->streams.err, "two");
		assert_int_equal(pair->events[GUEST_LINK_EXIT], round);
		assert_int_equal(pair->events[GUEST_LINK_DRAINED], round);
		/* Nothing is left that would have the loop spin. */
		assert_int_equal(streams_serve(&pair->loop), 0);
	}
}

/* The frame that waits is the last thing the guest said: nothing behind it pushes it out. */
static void a_last_frame_is_drained(void **state)
{
	struct pair *pair = *state;
	char back[2 * STREAMS_PIPE];

	streams_fill(STDOUT_FILENO);
	send_frame(pair, LINK_STDOUT, "last", 4);
	streams_serve(&pair->loop);
	assert_true(guest_link_is_blocked(&pair->link));
	streams_read(pair->streams.out, back, sizeof(back));
	streams_serve(&pair->loop);
	assert_stream(pair->streams.out, "last");
	assert_int_equal(pair->events[GUEST_LINK_DRAINED], 1);
}

/* Frames of all lengths, alternating, through pipes that are full most of the time. */
static void a_long_stream_is_whole(void **state)
{
	struct pair *pair = *state;
	uint8_t frame[sizeof(struct link_header) + LINK_PAYLOAD_MAX], payload[LINK_PAYLOAD_MAX];
	size_t put[2] = {0, 0}, got[2] = {0, 0}, size = 0, sent = 0, nr = 0, i;
	char back[PIPE_BUF];

	while (nr < 300 || got[0] < put[0] || got[1] < put[1]) {
		if (sent == size && nr < 300) {
			bool is_err = nr % 3 == 2;
			size_t len = nr * 37 % (LINK_PAYLOAD_MAX + 1);

			for (i = 0; i < len; i++)
				payload[i] = pattern(put[is_err]++);
			size = frame_put(frame, is_err ? LINK_STDERR : LINK_STDOUT, payload, len);
			sent = 0;
			nr++;
		}
		sent += guest_send(pair, frame + sent, size - sent);
		streams_serve(&pair->loop);
		/* A reader that is slow, of one stream or the other. */
		if (sent < size || nr == 300)
			for (i = 0; i < 2; i++) {
				size_t j, len;

				len = streams_read(i ? pair->streams.err : pair->streams.out, back,
						   2 + nr * 11 % (sizeof(back) - 2));
				for (j = 0; j < len; j++)
					assert_int_equal((uint8_t)back[j], pattern(got[i]++));
			}
		streams_serve(&pair->loop);
	}
	assert_true(got[0] > 50000 && got[1] > 20000);
	assert_int_equal(got[0], put[0]);
	assert_int_equal(got[1], put[1]);
	assert_true(pair->events[GUEST_LINK_DRAINED] > 0);
}

static bool settle(void *ctx)
{
	struct pair *pair = ctx;

	/* As the machine does: takes the link's lock. */
	serial_flush(&pair->link.serial);
	return !guest_link_is_blocked(&pair->link);
}

/* The last output and the verdict, while nobody reads: the end waits, and then comes. */
static void the_end_waits_for_the_reader(void **state)
{
	struct pair *pair = *state;
	struct ending ending = {.loop = &pair->loop, .settle = settle, .ctx = pair};
	struct verdict reset = {.kind = VERDICT_RESET};
	char back[2 * STREAMS_PIPE];

	assert_int_equal(ending_init(&ending), 0);
	pair->ending = &ending;
	streams_fill(STDOUT_FILENO);
	send_frame(pair, LINK_STDOUT, "last words", 10);
	send_frame(pair, LINK_EXIT, "\0", 1);
	ending_declare(&ending, &reset); /* init has reset the machine already */
	streams_serve(&pair->loop);
	assert_true(guest_link_is_blocked(&pair->link));
	assert_false(pair->loop.stopped);
	assert_int_equal(ending.verdict.kind, VERDICT_RESET);
	streams_read(pair->streams.out, back, sizeof(back));
	assert_int_equal(event_loop_run(&pair->loop), 0);
	assert_int_equal(ending.verdict.kind, VERDICT_EXIT);
	assert_stream(pair->streams.out, "last words");
	ending_fini(&ending);
}

static void lost_output_is_told_once(void **state)
{
	struct pair *pair = *state;

	close(pair->streams.out);
	pair->streams.out = -1;
	send_frame(pair, LINK_STDOUT, "one", 3);
	send_frame(pair, LINK_STDOUT, "two", 3);
	send_frame(pair, LINK_STDERR, "three", 5);
	streams_serve(&pair->loop);
	assert_int_equal(pair->events[GUEST_LINK_OUTPUT_LOST], 1);
	assert_int_equal(pair->link.out.error, EPIPE);
	assert_int_equal(pair->link.err.error, 0);
	assert_false(guest_link_is_blocked(&pair->link));
	assert_stream(pair->streams.err, "three");
}

/* The mark on the scratch register counts with its value alone; a milestone has to be whole. */
static void init_and_milestones(void **state)
{
	struct link_milestone milestone = {.which = LINK_KERNEL_DONE, .before_us = 1234};
	struct pair *pair = *state;

	out(pair, UART_SCR, 0x5a);
	assert_int_equal(pair->events[GUEST_LINK_INIT], 0);
	out(pair, UART_SCR, LINK_INIT_STARTS);
	assert_int_equal(pair->events[GUEST_LINK_INIT], 1);

	send_frame(pair, LINK_MILESTONE, &milestone, sizeof(milestone) - 1);
	streams_serve(&pair->loop);
	assert_int_equal(pair->events[GUEST_LINK_MILESTONE], 0);
	send_frame(pair, LINK_MILESTONE, &milestone, sizeof(milestone));
	streams_serve(&pair->loop);
	assert_int_equal(pair->events[GUEST_LINK_MILESTONE], 1);
	assert_int_equal(pair->link.milestone.which, LINK_KERNEL_DONE);
	assert_int_equal(pair->link.milestone.before_us, 1234);
	/* One that husk has no name for. */
	milestone.which = LINK_MILESTONES;
	send_frame(pair, LINK_MILESTONE, &milestone, sizeof(milestone));
	streams_serve(&pair->loop);
	assert_int_equal(pair->events[GUEST_LINK_MILESTONE], 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		pair_test(frames_split_anywhere),    pair_test(a_length_past_the_bound_is_cut),
		pair_test(random_bytes_do_no_harm),  pair_test(the_verdict),
		pair_test(blocked_then_drained),     pair_test(a_last_frame_is_drained),
		pair_test(a_long_stream_is_whole),   pair_test(the_end_waits_for_the_reader),
		pair_test(lost_output_is_told_once), pair_test(init_and_milestones),
	};

	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
