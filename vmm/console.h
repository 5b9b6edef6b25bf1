/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel's console on the first serial port: shown or not, and searched for the lines that tell
 * how a kernel ended.
 *
 * Silent. For the loop thread, under the serial port's lock.
 */
#ifndef HUSK_CONSOLE_H
#define HUSK_CONSOLE_H

#include "host_io.h"
#include "serial.h"

#define CONSOLE_LINE_MAX 200

enum console_mode {
	CONSOLE_HIDDEN,
	CONSOLE_LOG,  /* to standard error, what could harm a terminal taken out */
	CONSOLE_USER, /* standard input and output are the console, as they are */
};

enum console_event {
	/* A kernel that cannot power off says that it halted, and then does nothing for ever. */
	CONSOLE_HALTED,
	CONSOLE_DRAINED, /* output that was blocked has gone out */
};

typedef void console_fn(void *ctx, enum console_event event);

struct console {
	struct serial serial; /* owned */
	enum console_mode mode;
	struct host_output out;
	struct host_input in; /* CONSOLE_USER */
	bool in_ended;
	console_fn *fn;
	void *ctx;

	char line[CONSOLE_LINE_MAX]; /* the one being received, printable characters only */
	size_t line_len;
	char panic[CONSOLE_LINE_MAX]; /* the first panic's message; empty: none */
};

/* `loop` is borrowed. 0 or -errno. console_fini takes a zeroed one. */
int console_init(struct console *console, struct event_loop *loop,
		 const struct host_streams *streams, enum console_mode mode, console_fn *fn,
		 void *ctx);
void console_fini(struct console *console);

/* Output waits for somebody to read it; CONSOLE_DRAINED follows. */
bool console_is_blocked(const struct console *console);

#endif
