/* SPDX-License-Identifier: Apache-2.0 */
/* What the guest is sent. */
#include "test_guest_link.h"

/* "husk run ... </dev/null >/dev/null" */
static void streams_to_nowhere(void **state)
{
	struct pair *pair = *state;
	int null = open("/dev/null", O_RDWR | O_CLOEXEC);
	uint8_t data[8];
	unsigned int ends;

	dup2(null, STDIN_FILENO);
	dup2(null, STDOUT_FILENO);
	close(null);
	pair_restart(pair, false);
	send_frame(pair, LINK_READY, "", 0);
	send_frame(pair, LINK_STDOUT, "one", 3);
	streams_serve(&pair->loop);
	guest_receive(pair);
	assert_int_equal(guest_stdin(pair, data, &ends), 0);
	assert_int_equal(ends, 1);
	assert_int_equal(pair->events[GUEST_LINK_OUTPUT_LOST], 0);
}

static void input_waits_for_ready(void **state)
{
	struct pair *pair = *state;
	unsigned int ends;
	uint8_t data[64];

	assert_int_equal(write(pair->streams.in, "hello", 5), 5);
	send_frame(pair, LINK_STDOUT, "early", 5);
	streams_serve(&pair->loop);
	guest_receive(pair);
	assert_int_equal(pair->nr_received, 0);
	guest_link_resized(&pair->link);
	guest_receive(pair);
	assert_int_equal(pair->nr_received, 0);
	send_frame(pair, LINK_READY, "", 0);
	streams_serve(&pair->loop);
	guest_receive(pair);
	assert_int_equal(guest_stdin(pair, data, &ends), 5);
	assert_memory_equal(data, "hello", 5);
	assert_int_equal(ends, 0);
	close(pair->streams.in);
	pair->streams.in = -1;
	streams_serve(&pair->loop);
	guest_receive(pair);
	streams_serve(&pair->loop);
	/* READY again, of a guest that makes things up: no second end. */
	send_frame(pair, LINK_READY, "", 0);
	streams_serve(&pair->loop);
	guest_receive(pair);
	assert_int_equal(guest_stdin(pair, data, &ends), 5);
	assert_int_equal(ends, 1);
}

static void much_input_is_whole(void **state)
{
	struct pair *pair = *state;
	static uint8_t data[STREAM_MAX], piece[3000];
	size_t put = 0, i, round, len;
	unsigned int ends;

	send_frame(pair, LINK_READY, "", 0);
	for (round = 0; put < 200000; round++) {
		for (i = 0; i < sizeof(piece); i++)
			piece[i] = pattern(put + i);
		i = 1 + round * 97 % sizeof(piece);
		if (write(pair->streams.in, piece, i) == (ssize_t)i)
			put += i;
		streams_serve(&pair->loop);
		if (round % 5 == 0)
			guest_link_resized(&pair->link);
		/* The guest is slow at times, and reads but a part. */
		if (round % 2)
			guest_receive(pair);
		out(pair, UART_MCR, UART_MCR_RTS);
		for (i = 0; i < round % 1000 && in(pair, UART_LSR) & UART_LSR_DR; i++)
			pair->received[pair->nr_received++] = in(pair, UART_RX);
		guest_take(pair);
	}
	close(pair->streams.in);
	pair->streams.in = -1;
	for (i = 0; i < 1000; i++) {
		streams_serve(&pair->loop);
		guest_receive(pair);
		guest_take(pair);
	}
	len = guest_stdin(pair, data, &ends);
	assert_int_equal(len, put);
	assert_int_equal(ends, 1);
	for (i = 0; i < len; i++)
		assert_int_equal(data[i], pattern(i));
}

/* What is under way to the command is bounded, whatever the guest says about it. */
static void input_waits_for_the_command(void **state)
{
	static const uint8_t all[] = {0xff, 0xff, 0xff, 0xff};
	struct pair *pair = *state;
	uint8_t piece[2 * LINK_WINDOW] = {0}, data[8 * LINK_WINDOW];
	unsigned int ends, i;

	send_frame(pair, LINK_READY, "", 0);
	assert_int_equal(write(pair->streams.in, piece, sizeof(piece)), sizeof(piece));
	for (i = 0; i < 10; i++) {
		streams_serve(&pair->loop);
		guest_receive(pair);
	}
	assert_int_equal(guest_stdin(pair, data, &ends), LINK_WINDOW);
	/* Too short to mean anything; then, more than was sent. */
	send_frame(pair, LINK_TAKEN, all, sizeof(struct link_taken) - 1);
	streams_serve(&pair->loop);
	guest_receive(pair);
	assert_int_equal(guest_stdin(pair, data, &ends), LINK_WINDOW);
	send_frame(pair, LINK_TAKEN, all, sizeof(struct link_taken));
	send_frame(pair, LINK_TAKEN, all, sizeof(struct link_taken));
	for (i = 0; i < 10; i++) {
		streams_serve(&pair->loop);
		guest_receive(pair);
	}
	assert_int_equal(guest_stdin(pair, data, &ends), 2 * LINK_WINDOW);
	assert_int_equal(write(pair->streams.in, piece, sizeof(piece)), sizeof(piece));
	for (i = 0; i < 10; i++) {
		streams_serve(&pair->loop);
		guest_receive(pair);
	}
	assert_int_equal(guest_stdin(pair, data, &ends), 2 * LINK_WINDOW);
}

/* A new size takes the room that the next input was promised. */
static void a_resize_between_input(void **state)
{
	struct pair *pair = *state;
	uint8_t piece[LINK_PAYLOAD_MAX], data[2 * LINK_PAYLOAD_MAX];
	size_t put = 0, i;
	unsigned int ends;

	send_frame(pair, LINK_READY, "", 0);
	streams_serve(&pair->loop);
	/* Keys: each a frame of 5 bytes, until there is just room for a frame. */
	while (serial_room(&pair->link.serial) >= 5 + sizeof(struct link_header) + sizeof(piece)) {
		piece[0] = pattern(put++);
		assert_int_equal(write(pair->streams.in, piece, 1), 1);
		streams_serve(&pair->loop);
	}
	guest_link_resized(&pair->link);
	assert_true(serial_room(&pair->link.serial) < sizeof(struct link_header) + sizeof(piece));
	for (i = 0; i < sizeof(piece); i++)
		piece[i] = pattern(put++);
	assert_int_equal(write(pair->streams.in, piece, sizeof(piece)), sizeof(piece));
	for (i = 0; i < 3; i++) {
		streams_serve(&pair->loop);
		guest_receive(pair);
	}
	assert_int_equal(guest_stdin(pair, data, &ends), put);
	for (i = 0; i < put; i++)
		assert_int_equal(data[i], pattern(i));
}

static void escape_keys(void **state)
{
	static const struct {
		bool tty;
		const char *typed[3]; /* each one read */
		unsigned int quits;
	} cases[] = {
		{true, {"\035\035\035"}, 1},	  {true, {"a\035", "\035", "\035b"}, 1},
		{true, {"\035\035", "a\035"}, 0}, {true, {"\035\035a\035\035"}, 0},
		{false, {"\035\035\035"}, 0},
	};
	struct pair *pair = *state;
	size_t i, j;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		pair_restart(pair, cases[i].tty);
		send_frame(pair, LINK_READY, "", 0);
		streams_serve(&pair->loop);
		for (j = 0; j < 3 && cases[i].typed[j]; j++) {
			const char *typed = cases[i].typed[j];

			assert_int_equal(write(pair->streams.in, typed, strlen(typed)),
					 strlen(typed));
			streams_serve(&pair->loop);
		}
		assert_int_equal(pair->events[GUEST_LINK_QUIT], cases[i].quits);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		pair_test(streams_to_nowhere),		pair_test(input_waits_for_ready),
		pair_test(much_input_is_whole),		pair_test(a_resize_between_input),
		pair_test(input_waits_for_the_command), pair_test(escape_keys),
	};

	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
