/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the kernel's console: what reaches the user is what the guest sent, in order, and where it
 * goes to the log, nothing that could harm a terminal; what it says of the kernel's end is true.
 *
 * Input: the mode, then operations, a byte each and what it needs (tests/fuzz/make-seeds).
 */
#include "fuzz_log.h"
#include "terminal.h"

#include "console.h"
#include "verdict.h"

enum { SEND, TYPE, RECEIVE, LOOK, SERVE, HANG_UP, END_INPUT, OPERATIONS };

struct fuzz {
	struct terminal terminal;
	struct console console;
	unsigned int halts, expected_halts;
	bool hung_up; /* nobody reads any more */

	/* The model: the line the kernel is in, and the first panic. */
	char line[CONSOLE_LINE_MAX], panic[CONSOLE_LINE_MAX];
	size_t line_len;
};

static void on_event(void *ctx, enum console_event event)
{
	((struct fuzz *)ctx)->halts += event == CONSOLE_HALTED;
}

static void model_line(struct fuzz *fuzz)
{
	static const char panic[] = "Kernel panic - not syncing: ";
	char *text = fuzz->line, *found;

	text[fuzz->line_len] = '\0';
	fuzz->line_len = 0;
	found = strstr(text, panic);
	if (found && !*fuzz->panic)
		strcpy(fuzz->panic, found + strlen(panic));
	if (*text != '[')
		return;
	while (*text == '[' && strchr(text, ']'))
		text = strchr(text, ']') + 1;
	while (*text == ' ')
		text++;
	fuzz->expected_halts +=
		!strcmp(text, "reboot: System halted") || !strcmp(text, "reboot: Power down");
}

static void model_byte(struct fuzz *fuzz, uint8_t byte)
{
	bool plain = byte >= ' ' && byte <= '~';
	uint8_t shown = byte;

	if (byte == '\n')
		model_line(fuzz);
	else if (plain && fuzz->line_len < CONSOLE_LINE_MAX - 1)
		fuzz->line[fuzz->line_len++] = (char)byte;
	if (fuzz->console.mode == CONSOLE_LOG && !plain && !strchr("\n\t\r", byte ? byte : 'x'))
		shown = '?';
	if (fuzz->console.mode == CONSOLE_USER)
		expected_add(&fuzz->terminal.shown, &shown, 1);
	else if (fuzz->console.mode == CONSOLE_LOG)
		expected_add(&fuzz->terminal.shown_err, &shown, 1);
}

static void send(struct fuzz *fuzz, struct fuzz_input *in)
{
	unsigned int len = fuzz_u8(in);
	uint8_t byte;

	while (len--) {
		byte = fuzz_u8(in);
		if (terminal_send(&fuzz->terminal, byte))
			model_byte(fuzz, byte);
	}
}

static bool receive(struct fuzz *fuzz, size_t max)
{
	size_t nr = 0;
	uint8_t byte;

	for (; nr < max && terminal_receive(&fuzz->terminal, &byte); nr++)
		expected_take(&fuzz->terminal.typed, &byte, 1);
	return nr;
}

static bool look(struct fuzz *fuzz, size_t max)
{
	size_t out = terminal_look(fuzz->terminal.out, &fuzz->terminal.shown, max);

	return terminal_look(fuzz->terminal.err, &fuzz->terminal.shown_err, max) + out;
}

static void step(struct fuzz *fuzz, struct fuzz_input *in)
{
	uint8_t data[256];
	unsigned int len;

	switch (fuzz_u8(in) % OPERATIONS) {
	case SEND:
		send(fuzz, in);
		break;
	case TYPE:
		len = fuzz_u8(in);
		fuzz_take(in, data, len);
		terminal_type(&fuzz->terminal, data, len);
		break;
	case RECEIVE:
		receive(fuzz, fuzz_u8(in));
		break;
	case LOOK:
		look(fuzz, 16 * fuzz_u8(in));
		break;
	case SERVE:
		terminal_serve(&fuzz->terminal);
		break;
	case HANG_UP:
		look(fuzz, SIZE_MAX);
		close_fd_ptr(&fuzz->terminal.out);
		close_fd_ptr(&fuzz->terminal.err);
		fuzz->hung_up = true;
		break;
	default:
		close_fd_ptr(&fuzz->terminal.in);
		break;
	}
	fuzz_steps++;
}

/* What the log says of a panic is what the kernel said. */
static void check_verdict(const struct fuzz *fuzz)
{
	const struct console *console = &fuzz->console;
	struct verdict verdict = {.kind = VERDICT_RESET, .panic = console->panic};

	FUZZ_CHECK(fuzz->halts == fuzz->expected_halts);
	FUZZ_CHECK(!strcmp(console->panic, fuzz->panic));
	if (!*console->panic)
		return;
	FUZZ_CHECK(verdict_report(&verdict, false) == STATUS_HUSK_FAILED);
	FUZZ_CHECK(fuzz_log_take() == 1 && strstr(fuzz_log_last(), fuzz->panic));
}

/* With a reader on both sides, all that was said comes out. */
static void drain(struct fuzz *fuzz)
{
	struct terminal *terminal = &fuzz->terminal;
	bool moved = true;

	while (moved) {
		moved = terminal_serve(terminal);
		moved |= look(fuzz, SIZE_MAX);
		moved |= receive(fuzz, SIZE_MAX);
	}
	FUZZ_CHECK(!terminal->serial->state.tx_len && !console_is_blocked(&fuzz->console));
	if (!fuzz->hung_up) {
		FUZZ_CHECK(terminal->shown.got == terminal->shown.len);
		FUZZ_CHECK(terminal->shown_err.got == terminal->shown_err.len);
	}
	if (fuzz->console.mode == CONSOLE_USER)
		FUZZ_CHECK(terminal->typed.got == terminal->typed.len);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz fuzz;
	struct fuzz_input in = {data, size};
	enum console_mode mode = fuzz_u8(&in) % 3;

	fuzz = (struct fuzz){.halts = 0};
	terminal_init(&fuzz.terminal);
	FUZZ_CHECK(!console_init(&fuzz.console, &fuzz.terminal.loop, &fuzz.terminal.streams, mode,
				 on_event, &fuzz));
	host_streams_close(&fuzz.terminal.streams);
	fuzz.terminal.serial = &fuzz.console.serial;
	while (in.size)
		step(&fuzz, &in);
	drain(&fuzz);
	check_verdict(&fuzz);
	console_fini(&fuzz.console);
	terminal_fini(&fuzz.terminal);
	return 0;
}
