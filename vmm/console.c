/* SPDX-License-Identifier: Apache-2.0 */
#include "console.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

/* A kernel message without the stamps in front: "[    1.234567][    T1] ". */
static const char *skip_stamps(const char *line)
{
	const char *end;

	while (*line == '[') {
		end = strchr(line, ']');
		if (!end)
			break;
		line = end + 1;
	}
	return line + strspn(line, " ");
}

static void console_line(struct console *console)
{
	static const char panic[] = "Kernel panic - not syncing: ";
	static const char *const halts[] = {"reboot: System halted", "reboot: Power down"};
	const char *found;
	size_t i;

	console->line[console->line_len] = 0;
	console->line_len = 0;
	found = strstr(console->line, panic);
	if (found && !console->panic[0])
		snprintf(console->panic, sizeof(console->panic), "%s", found + strlen(panic));
	/* The kernel's own line, whole and stamped: others may write these words to the console. */
	for (i = 0; i < ARRAY_SIZE(halts); i++)
		if (console->line[0] == '[' && !strcmp(skip_stamps(console->line), halts[i]))
			console->fn(console->ctx, CONSOLE_HALTED);
}

static void console_search(struct console *console, uint8_t byte)
{
	if (byte == '\n')
		console_line(console);
	else if (byte >= ' ' && byte < 0x7f && console->line_len < CONSOLE_LINE_MAX - 1)
		console->line[console->line_len++] = (char)byte;
}

/* What a terminal can be harmed by becomes a "?"; one byte for one byte. */
static size_t console_log(struct console *console, const uint8_t *data, size_t len)
{
	uint8_t text[256];
	size_t i;

	len = MIN(len, sizeof(text));
	for (i = 0; i < len; i++) {
		text[i] = data[i];
		if ((data[i] < ' ' && data[i] != '\n' && data[i] != '\t' && data[i] != '\r') ||
		    data[i] >= 0x7f)
			text[i] = '?';
	}
	return host_output_write(&console->out, text, len);
}

static size_t console_transmit(void *ctx, const uint8_t *data, size_t len)
{
	struct console *console = ctx;
	size_t i;

	if (console->mode == CONSOLE_USER)
		len = host_output_write(&console->out, data, len);
	else if (console->mode == CONSOLE_LOG)
		len = console_log(console, data, len);
	for (i = 0; i < len; i++)
		console_search(console, data[i]);
	return len;
}

/*
 * Input, of CONSOLE_USER.
 */

static void console_input(void *ctx)
{
	struct console *console = ctx;
	uint8_t data[256];
	ssize_t len = host_input_read(&console->in, data, sizeof(data));

	if (len < 0)
		return;
	console->in_ended = !len;
	serial_receive(&console->serial, data, (size_t)len);
	host_input_want(&console->in,
			!console->in_ended && serial_room(&console->serial) >= sizeof(data));
}

static void console_room(void *ctx)
{
	struct console *console = ctx;

	if (console->mode == CONSOLE_USER)
		host_input_want(&console->in, !console->in_ended);
}

bool console_is_blocked(const struct console *console)
{
	return console->out.watch.active;
}

static void console_output_ready(void *ctx)
{
	struct console *console = ctx;

	serial_resume(&console->serial);
	if (!console_is_blocked(console))
		console->fn(console->ctx, CONSOLE_DRAINED);
}

int console_init(struct console *console, struct event_loop *loop,
		 const struct host_streams *streams, enum console_mode mode, console_fn *fn,
		 void *ctx)
{
	struct serial_host host = {
		.transmit = console_transmit, .room = console_room, .ctx = console};
	pthread_mutex_t *lock = &console->serial.device.lock;
	int fd = mode == CONSOLE_USER ? streams->out : streams->err;
	int err;

	*console = (struct console){.mode = mode, .fn = fn, .ctx = ctx};
	err = serial_init(&console->serial, "console", &host, loop);
	if (!err && mode != CONSOLE_HIDDEN)
		err = host_output_init(&console->out, fd, loop, lock, console_output_ready,
				       console);
	if (!err && mode == CONSOLE_USER) {
		err = host_input_init(&console->in, streams->in, loop, lock, console_input,
				      console);
		if (!err)
			host_input_want(&console->in, true);
	}
	return err;
}

void console_fini(struct console *console)
{
	host_input_fini(&console->in);
	host_output_fini(&console->out);
	serial_fini(&console->serial);
}
