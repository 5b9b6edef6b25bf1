/* SPDX-License-Identifier: Apache-2.0 */
#include "host_io.h"
#include "streams.h"

#include <errno.h>
#include <pty.h>
#include <signal.h>
#include <stdio.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#include "util.h"

struct end {
	struct event_loop loop;
	unsigned int ready;
};

static void note_ready(void *ctx)
{
	((struct end *)ctx)->ready++;
}

static int end_setup(void **state)
{
	struct end *end = test_calloc(1, sizeof(*end));

	assert_int_equal(event_loop_init(&end->loop), 0);
	*state = end;
	return 0;
}

static int end_teardown(void **state)
{
	struct end *end = *state;

	event_loop_fini(&end->loop);
	test_free(end);
	return 0;
}

static void output_init(struct host_output *output, int fd, struct end *end)
{
	cleanup_fd int own = host_stream_open(fd, O_WRONLY);

	assert_int_equal(host_output_init(output, own, &end->loop, NULL, note_ready, end), 0);
}

static void output_to_a_file(void **state)
{
	struct end *end = *state;
	int fd = memfd_create("file", MFD_CLOEXEC);
	static char data[100000];
	struct host_output output;
	char back[8];

	output_init(&output, fd, end);
	memcpy(data + sizeof(data) - 4, "end", 4);
	assert_int_equal(host_output_write(&output, data, sizeof(data)), sizeof(data));
	assert_int_equal(lseek(fd, 0, SEEK_END), sizeof(data));
	assert_int_equal(pread(fd, back, 4, sizeof(data) - 4), 4);
	assert_string_equal(back, "end");
	assert_int_equal(output.error, 0);
	assert_int_equal(streams_serve(&end->loop), 0);
	host_output_fini(&output);
	host_output_fini(&output);
	close(fd);
}

static void a_full_pipe_is_waited_for(void **state)
{
	struct end *end = *state;
	char text[3 * PIPE_BUF], back[4 * PIPE_BUF];
	struct host_output output;
	size_t wrote, got = 0, round;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BUF), PIPE_BUF);
	output_init(&output, ends[1], end);
	for (round = 0; round < sizeof(text); round++)
		text[round] = (char)('a' + round % 23);
	wrote = host_output_write(&output, text, sizeof(text));
	assert_int_equal(wrote, PIPE_BUF);
	for (round = 1; round < 3; round++) {
		/* Asked again and again while it is full: still one wait. */
		assert_int_equal(host_output_write(&output, text, 1), 0);
		assert_int_equal(host_output_write(&output, text, 1), 0);
		assert_true(output.watch.active);
		assert_int_equal(streams_serve(&end->loop), 0);
		got += streams_read(ends[0], back + got, sizeof(back) - got);
		assert_int_equal(streams_serve(&end->loop), 1);
		assert_int_equal(end->ready, round);
		assert_false(output.watch.active);
		wrote += host_output_write(&output, text + wrote, sizeof(text) - wrote);
		assert_int_equal(wrote, (round + 1) * PIPE_BUF);
	}
	got += streams_read(ends[0], back + got, sizeof(back) - got);
	assert_int_equal(got, sizeof(text));
	assert_memory_equal(back, text, got);
	assert_int_equal(streams_serve(&end->loop), 0);
	/* The flags of the stream, which others share, are as they were. */
	assert_int_equal(fcntl(ends[1], F_GETFL) & O_NONBLOCK, 0);
	host_output_fini(&output);
	close(ends[0]);
	close(ends[1]);
}

/* As with the console and the command's standard error, which are the same stream. */
static void two_outputs_share_a_stream(void **state)
{
	struct end *end = *state, other = {.ready = 0};
	char back[2 * PIPE_BUF];
	struct host_output first, second;
	cleanup_fd int own = -1;
	int ends[2];

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, PIPE_BUF), PIPE_BUF);
	own = host_stream_open(ends[1], O_WRONLY);
	assert_int_equal(host_output_init(&first, own, &end->loop, NULL, note_ready, end), 0);
	assert_int_equal(host_output_init(&second, own, &end->loop, NULL, note_ready, &other), 0);
	streams_fill(ends[1]);
	assert_int_equal(host_output_write(&first, "1", 1), 0);
	assert_int_equal(host_output_write(&second, "2", 1), 0);
	assert_true(first.watch.active && second.watch.active);
	assert_int_equal(streams_read(ends[0], back, sizeof(back)), PIPE_BUF);
	assert_int_equal(streams_serve(&end->loop), 2);
	assert_int_equal(end->ready, 1);
	assert_int_equal(other.ready, 1);
	assert_false(first.watch.active || second.watch.active);
	host_output_fini(&first);
	host_output_fini(&second);
	close(ends[0]);
	close(ends[1]);
}

static void output_errors_are_kept(void **state)
{
	struct end *end = *state;
	struct host_output output;
	int ends[2], fd;

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	output_init(&output, ends[1], end);
	assert_int_equal(host_output_write(&output, "x", 1), 1);
	close(ends[0]);
	assert_int_equal(host_output_write(&output, "xy", 2), 2);
	assert_int_equal(output.error, EPIPE);
	/* From then on everything is taken, and goes nowhere. */
	assert_int_equal(host_output_write(&output, "xy", 2), 2);
	host_output_fini(&output);
	close(ends[1]);

	fd = open("/dev/full", O_WRONLY | O_CLOEXEC);
	assert_true(fd >= 0);
	output_init(&output, fd, end);
	assert_int_equal(host_output_write(&output, "x", 1), 1);
	assert_int_equal(output.error, ENOSPC);
	host_output_fini(&output);
	close(fd);

	/* ">&-" is no reason not to run. */
	output_init(&output, fd, end);
	assert_int_equal(host_output_write(&output, "x", 1), 1);
	assert_int_equal(output.error, EBADF);
	host_output_fini(&output);
}

/* The reader goes away while the output waits for it. */
static void a_reader_that_leaves_ends_the_wait(void **state)
{
	struct end *end = *state;
	struct host_output output;
	int ends[2];

	signal(SIGPIPE, SIG_IGN);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	output_init(&output, ends[1], end);
	streams_fill(ends[1]);
	assert_int_equal(host_output_write(&output, "x", 1), 0);
	close(ends[0]);
	assert_int_equal(streams_serve(&end->loop), 1);
	assert_int_equal(host_output_write(&output, "x", 1), 1);
	assert_int_equal(output.error, EPIPE);
	host_output_fini(&output);
	close(ends[1]);
}

struct reader {
	struct event_loop loop;
	struct host_input input;
	char text[64];
	size_t len;
	ssize_t last;
	unsigned int calls;
};

/* Reads two bytes at a time, until the end. */
static void reader_ready(void *ctx)
{
	struct reader *reader = ctx;

	reader->calls++;
	reader->last = host_input_read(&reader->input, reader->text + reader->len, 2);
	if (reader->last > 0)
		reader->len += (size_t)reader->last;
	if (reader->last <= 0)
		host_input_want(&reader->input, false);
}

static void reader_init(struct reader *reader, int fd)
{
	cleanup_fd int own = host_stream_open(fd, O_RDONLY);

	*reader = (struct reader){.len = 0};
	assert_int_equal(event_loop_init(&reader->loop), 0);
	assert_int_equal(
		host_input_init(&reader->input, own, &reader->loop, NULL, reader_ready, reader), 0);
	/* Nobody wants it yet. */
	assert_int_equal(streams_serve(&reader->loop), 0);
	assert_int_equal(reader->calls, 0);
}

static void reader_fini(struct reader *reader)
{
	host_input_fini(&reader->input);
	host_input_fini(&reader->input);
	event_loop_fini(&reader->loop);
}

static void input_is_read_to_its_end(void **state)
{
	struct reader reader;
	int file, ends[2], i, fds[2];

	(void)state;
	file = memfd_create("file", MFD_CLOEXEC);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	assert_int_equal(write(file, "hello", 5), 5);
	lseek(file, 0, SEEK_SET);
	assert_int_equal(write(ends[1], "hello", 5), 5);
	close(ends[1]);
	fds[0] = file;
	fds[1] = ends[0];
	for (i = 0; i < 2; i++) {
		reader_init(&reader, fds[i]);
		host_input_want(&reader.input, true);
		host_input_want(&reader.input, true);
		streams_serve(&reader.loop);
		assert_int_equal(reader.calls, 4);
		assert_int_equal(reader.last, 0);
		assert_string_equal(reader.text, "hello");
		reader_fini(&reader);
		close(fds[i]);
	}
}

static void input_that_is_not_there_ends(void **state)
{
	struct reader reader;
	/* Nothing, a folder, a descriptor that is closed. */
	const int fds[] = {open("/dev/null", O_RDONLY | O_CLOEXEC),
			   open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC), 1000};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(fds); i++) {
		reader_init(&reader, fds[i]);
		host_input_want(&reader.input, true);
		assert_int_equal(streams_serve(&reader.loop), 1);
		assert_int_equal(reader.last, 0);
		reader_fini(&reader);
		close(fds[i]);
	}
}

static void nothing_there_after_all(void **state)
{
	struct reader reader;
	int ends[2];

	(void)state;
	assert_int_equal(pipe2(ends, O_CLOEXEC | O_NONBLOCK), 0);
	reader_init(&reader, ends[0]);
	host_input_want(&reader.input, true);
	assert_int_equal(streams_serve(&reader.loop), 0);
	assert_int_equal(host_input_read(&reader.input, reader.text, 1), -EAGAIN);
	host_input_want(&reader.input, false);
	assert_int_equal(write(ends[1], "x", 1), 1);
	assert_int_equal(streams_serve(&reader.loop), 0);
	reader_fini(&reader);
	close(ends[0]);
	close(ends[1]);
}

static void terminals(void **state)
{
	struct winsize size = {.ws_row = 50, .ws_col = 132};
	struct termios saved, now;
	uint16_t rows, cols;
	int ends[2], master, slave;

	(void)state;
	assert_int_equal(openpty(&master, &slave, NULL, NULL, NULL), 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	host_terminal_size(ends[0], &rows, &cols);
	assert_int_equal(rows, 24);
	assert_int_equal(cols, 80);
	host_terminal_size(slave, &rows, &cols); /* zero by zero */
	assert_int_equal(rows, 24);
	ioctl(slave, TIOCSWINSZ, &size);
	host_terminal_size(slave, &rows, &cols);
	assert_int_equal(rows, 50);
	assert_int_equal(cols, 132);
	assert_int_equal(host_terminal_raw(ends[0], &saved), -ENOTTY);
	assert_int_equal(host_terminal_raw(slave, &saved), 0);
	tcgetattr(slave, &now);
	assert_int_equal(now.c_lflag & (ICANON | ECHO | ISIG), 0);
	host_terminal_restore(slave, &saved);
	tcgetattr(slave, &now);
	assert_int_equal(now.c_lflag & (ICANON | ECHO | ISIG), ICANON | ECHO | ISIG);
	/* Somebody else's: it is not our controlling terminal. */
	assert_false(host_terminal_is_ours(slave, slave));
	assert_false(host_terminal_is_ours(ends[0], slave));
	close(master);
	close(slave);
	close(ends[0]);
	close(ends[1]);
}

#define end_test(f) cmocka_unit_test_setup_teardown(f, end_setup, end_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		end_test(output_to_a_file),
		end_test(a_full_pipe_is_waited_for),
		end_test(two_outputs_share_a_stream),
		end_test(output_errors_are_kept),
		end_test(a_reader_that_leaves_ends_the_wait),
		cmocka_unit_test(input_is_read_to_its_end),
		cmocka_unit_test(input_that_is_not_there_ends),
		cmocka_unit_test(nothing_there_after_all),
		cmocka_unit_test(terminals),
	};

	alarm(60); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
