/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"
#include "streams.h"

#include <linux/serial_reg.h>
#include <signal.h>

#include "util.h"

struct machine {
	struct streams streams;
	struct event_loop loop;
	struct console console;
	unsigned int halts, drains;
};

static void on_event(void *ctx, enum console_event event)
{
	((struct machine *)ctx)->halts += event == CONSOLE_HALTED;
	((struct machine *)ctx)->drains += event == CONSOLE_DRAINED;
}

static struct machine machine;

static void start(enum console_mode mode)
{
	struct host_streams streams;

	console_fini(&machine.console);
	machine.halts = 0;
	host_streams_open(&streams);
	assert_int_equal(
		console_init(&machine.console, &machine.loop, &streams, mode, on_event, &machine),
		0);
	host_streams_close(&streams);
}

static int setup(void **state)
{
	(void)state;
	signal(SIGPIPE, SIG_IGN);
	machine = (struct machine){.halts = 0};
	streams_begin(&machine.streams);
	assert_int_equal(event_loop_init(&machine.loop), 0);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	console_fini(&machine.console);
	console_fini(&machine.console);
	event_loop_fini(&machine.loop);
	streams_end(&machine.streams);
	return 0;
}

static uint8_t in(uint64_t offset)
{
	struct device *device = &machine.console.serial.device;
	uint8_t value = 0;

	pthread_mutex_lock(&device->lock);
	device->ops->read(device, offset, &value, 1);
	pthread_mutex_unlock(&device->lock);
	return value;
}

static void out(uint64_t offset, uint8_t value)
{
	struct device *device = &machine.console.serial.device;

	pthread_mutex_lock(&device->lock);
	device->ops->write(device, offset, &value, 1);
	pthread_mutex_unlock(&device->lock);
}

static void say_bytes(const char *text, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		out(UART_TX, (uint8_t)text[i]);
	streams_serve(&machine.loop);
}

static void say(const char *text)
{
	say_bytes(text, strlen(text));
}

static void assert_shown(int fd, const char *text)
{
	char got[2 * STREAMS_PIPE];

	streams_read(fd, got, sizeof(got));
	assert_string_equal(got, text);
}

static void each_mode_has_its_stream(void **state)
{
	static const char text[] = "a\r\n\tb\033[2J\0\x9b\xc2\xa0~\x7f";

	(void)state;
	start(CONSOLE_HIDDEN);
	say(text);
	assert_shown(machine.streams.out, "");
	assert_shown(machine.streams.err, "");
	start(CONSOLE_LOG);
	say_bytes(text, sizeof(text) - 1);
	assert_shown(machine.streams.out, "");
	assert_shown(machine.streams.err, "a\r\n\tb?[2J????~?");
	start(CONSOLE_USER);
	say(text);
	assert_shown(machine.streams.out, "a\r\n\tb\033[2J");
	assert_shown(machine.streams.err, "");
}

/* More than is made harmless in one go. */
static void a_long_log_is_whole(void **state)
{
	char text[2001] = "", got[2 * STREAMS_PIPE];
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i % 26);
	start(CONSOLE_LOG);
	say(text);
	assert_int_equal(streams_read(machine.streams.err, got, sizeof(got)), sizeof(text) - 1);
	assert_string_equal(got, text);
}

static void panics_are_found(void **state)
{
	char line[600];

	(void)state;
	start(CONSOLE_HIDDEN);
	say("[    1.0] Kernel panic - not");
	assert_string_equal(machine.console.panic, "");
	say(" syncing: \033[1mVFS: no root\r\nKernel panic - not syncing: second\n");
	assert_string_equal(machine.console.panic, "[1mVFS: no root");
	start(CONSOLE_HIDDEN);
	say("Kernel panic\n - not syncing: two lines\n");
	assert_string_equal(machine.console.panic, "");
	/* A line without end is cut, not the next one. */
	memset(line, 'x', sizeof(line));
	line[sizeof(line) - 1] = '\0';
	say(line);
	say("\n");
	say("Kernel panic - not syncing: ");
	say(line);
	say("\n");
	assert_int_equal(strspn(machine.console.panic, "x"),
			 CONSOLE_LINE_MAX - 1 - strlen("Kernel panic - not syncing: "));
	assert_int_equal(strlen(machine.console.panic), strspn(machine.console.panic, "x"));
	assert_int_equal(machine.halts, 0);
}

static void halts_are_found(void **state)
{
	static const struct {
		const char *text;
		unsigned int halts;
	} cases[] = {
		{"[    0.000000] reboot: System halted\r\n", 1},
		{"reboot: System halted\r\n", 0},
		{"[   12.345678] reboot: Power down\r\n", 1},
		{"[   12.345678][    T1] reboot: System halted\n", 1},
		{"reboot: System halted", 0},
		{"reboot: Restarting system\n", 0},
		/* Somebody reads a log, or tells. */
		{"Nov  1 12:00:00 host kernel: [   12.3] reboot: Power down\n", 0},
		{"$ echo reboot: System halted\n", 0},
		{"reboot: System halted?\n", 0},
		{"[reboot: System halted\n", 0},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		start(CONSOLE_HIDDEN);
		say(cases[i].text);
		assert_int_equal(machine.halts, cases[i].halts);
	}
}

static void a_blocked_console_loses_nothing(void **state)
{
	static const enum console_mode modes[] = {CONSOLE_LOG, CONSOLE_USER};
	char text[1001] = "", got[4 * STREAMS_PIPE];
	size_t i, len;

	(void)state;
	for (i = 0; i < sizeof(text) - 1; i++)
		text[i] = (char)('a' + i % 23);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		int theirs = modes[i] == CONSOLE_USER ? STDOUT_FILENO : STDERR_FILENO;
		int ours = modes[i] == CONSOLE_USER ? machine.streams.out : machine.streams.err;

		start(modes[i]);
		streams_fill(theirs);
		say(text);
		say("Kernel panic - not syncing: x\n");
		serial_flush(&machine.console.serial);
		assert_int_equal(machine.console.serial.state.tx_len, 1000 + 30);
		assert_string_equal(machine.console.panic, "");
		assert_true(console_is_blocked(&machine.console));
		machine.drains = 0;
		assert_int_equal(streams_read(ours, got, sizeof(got)), STREAMS_PIPE);
		streams_serve(&machine.loop);
		len = streams_read(ours, got, sizeof(got));
		assert_int_equal(len, 1000 + 30);
		assert_memory_equal(got, text, 1000);
		assert_int_equal(machine.console.serial.state.tx_len, 0);
		assert_false(console_is_blocked(&machine.console));
		assert_true(machine.drains > 0);
		/* Searched once, with the stream's blocking in between. */
		assert_string_equal(machine.console.panic, "");
		say("Kernel panic - not syncing: y\n");
		assert_string_equal(machine.console.panic, "y");
		assert_shown(ours, "Kernel panic - not syncing: y\n");
	}
}

static void typed_input_arrives(void **state)
{
	static char typed[20000], got[20000];
	size_t i, put = 0, len = 0;

	(void)state;
	for (i = 0; i < sizeof(typed); i++)
		typed[i] = (char)(i % 251);
	start(CONSOLE_USER);
	out(UART_MCR, UART_MCR_RTS);
	while (put < sizeof(typed)) {
		put += (size_t)write(machine.streams.in, typed + put,
				     MIN(sizeof(typed) - put, 7000));
		/* As much as there is room for, and the rest when there is again. */
		while (streams_serve(&machine.loop) || in(UART_LSR)&UART_LSR_DR) {
			assert_true(serial_room(&machine.console.serial) <= SERIAL_BUFFER);
			for (i = 0; i < 100 && in(UART_LSR)&UART_LSR_DR; i++)
				got[len++] = (char)in(UART_RX);
		}
	}
	assert_int_equal(len, sizeof(typed));
	assert_memory_equal(got, typed, len);
	close(machine.streams.in);
	machine.streams.in = -1;
	assert_true(streams_serve(&machine.loop) > 0);
	/* The end is the end: a guest that makes room does not bring it back. */
	out(UART_TX, 'x');
	assert_true(streams_serve(&machine.loop) < 3);
	assert_int_equal(in(UART_LSR)&UART_LSR_DR, 0);
}

#define machine_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		machine_test(each_mode_has_its_stream),
		machine_test(a_long_log_is_whole),
		machine_test(panics_are_found),
		machine_test(halts_are_found),
		machine_test(a_blocked_console_loses_nothing),
		machine_test(typed_input_arrives),
	};

	alarm(60); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
