/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the host's end of the guest link: frames from a guest that says anything, a user who
 * types, reads, or hangs up. A model of the frames (rootfs/link.h) says what must come out; nothing
 * else may, and the guest's words about the command's end reach the log without what could harm a
 * terminal.
 *
 * Input: flags, then operations, a byte each and what it needs (tests/fuzz/make-seeds).
 */
#include "fuzz_log.h"
#include "terminal.h"

#include "guest_link.h"
#include "verdict.h"

#define ESCAPE_KEY 0x1d

enum {
	SEND,
	SEND_FRAME,
	TYPE,
	RECEIVE,
	TYPE_ESCAPE,
	END_INPUT,
	LOOK,
	RESIZE,
	SERVE,
	HANG_UP,
	OPERATIONS
};

/* A frame under way, in either direction. */
struct frame {
	uint8_t data[sizeof(struct link_header) + LINK_PAYLOAD_MAX];
	size_t len;
};

struct fuzz {
	struct terminal terminal;
	struct guest_link link;
	unsigned int events[GUEST_LINK_QUIT + 1];
	bool tty, hung_up, exited;
	struct frame sent, received;
	unsigned int ends; /* of input, told to the guest */
	struct link_exit exit;
	uint8_t exit_text[LINK_PAYLOAD_MAX + 1];
	size_t untaken; /* bytes of input that the guest got and did not say so */
};

static void on_event(void *ctx, enum guest_link_event event)
{
	((struct fuzz *)ctx)->events[event]++;
}

/* Adds a byte; true when the frame is whole. A length past the bound counts as the bound. */
static bool frame_add(struct frame *frame, uint8_t byte, struct link_header *ret_header)
{
	frame->data[frame->len++] = byte;
	if (frame->len < sizeof(*ret_header))
		return false;
	memcpy(ret_header, frame->data, sizeof(*ret_header));
	ret_header->len = MIN(ret_header->len, (uint16_t)LINK_PAYLOAD_MAX);
	if (frame->len < sizeof(*ret_header) + ret_header->len)
		return false;
	frame->len = 0;
	return true;
}

/*
 * From the guest
 */

static void model_frame(struct fuzz *fuzz, const struct link_header *header, const uint8_t *payload)
{
	if (fuzz->exited)
		return;
	if (header->type == LINK_STDOUT)
		expected_add(&fuzz->terminal.shown, payload, header->len);
	if (header->type == LINK_STDERR)
		expected_add(&fuzz->terminal.shown_err, payload, header->len);
	if (header->type != LINK_EXIT || header->len < sizeof(fuzz->exit))
		return;
	fuzz->exited = true;
	memcpy(&fuzz->exit, payload, sizeof(fuzz->exit));
	memcpy(fuzz->exit_text, payload + sizeof(fuzz->exit), header->len - sizeof(fuzz->exit));
}

static bool send(struct fuzz *fuzz, uint8_t byte)
{
	struct link_header header;

	if (!terminal_send(&fuzz->terminal, byte))
		return false;
	if (frame_add(&fuzz->sent, byte, &header))
		model_frame(fuzz, &header, fuzz->sent.data + sizeof(header));
	return true;
}

/* A whole frame, with a payload that says where it is. */
static void send_frame(struct fuzz *fuzz, uint8_t type, uint16_t len)
{
	struct link_header header = {.type = type, .len = len};
	uint8_t bytes[sizeof(header)];
	unsigned int i;

	memcpy(bytes, &header, sizeof(header));
	for (i = 0; i < sizeof(header) + len; i++)
		if (!send(fuzz,
			  i < sizeof(header) ? bytes[i] : (uint8_t)(i + fuzz->terminal.sent / 256)))
			return;
}

/*
 * To the guest
 */

static bool receive(struct fuzz *fuzz, size_t max)
{
	struct link_header header;
	size_t nr = 0;
	uint8_t byte;

	for (; nr < max && terminal_receive(&fuzz->terminal, &byte); nr++) {
		if (!frame_add(&fuzz->received, byte, &header))
			continue;
		FUZZ_CHECK(!header.zero);
		if (header.type == LINK_STDIN) {
			/* Who quits loses what was typed along with it. */
			if (fuzz->events[GUEST_LINK_QUIT])
				continue;
			FUZZ_CHECK(!fuzz->ends);
			expected_take(&fuzz->terminal.typed, fuzz->received.data + sizeof(header),
				      header.len);
			fuzz->ends += !header.len;
			fuzz->untaken += header.len;
		} else {
			FUZZ_CHECK(header.type == LINK_WINSIZE &&
				   header.len == sizeof(struct link_winsize));
		}
	}
	return nr;
}

/* An honest guest: ends its frame, then tells what it took. As far as there is room. */
static void take(struct fuzz *fuzz)
{
	struct link_header header = {.type = LINK_TAKEN, .len = sizeof(struct link_taken)};
	struct link_taken taken = {(uint32_t)fuzz->untaken};
	uint8_t bytes[sizeof(header) + sizeof(taken)];
	size_t i;

	while (fuzz->sent.len)
		if (!send(fuzz, 0))
			return;
	if (!fuzz->untaken)
		return;
	memcpy(bytes, &header, sizeof(header));
	memcpy(bytes + sizeof(header), &taken, sizeof(taken));
	for (i = 0; i < sizeof(bytes); i++)
		if (!send(fuzz, bytes[i]))
			return;
	fuzz->untaken = 0;
}

/*
 * The user
 */

static bool look(struct fuzz *fuzz, size_t max)
{
	size_t out = terminal_look(fuzz->terminal.out, &fuzz->terminal.shown, max);

	return terminal_look(fuzz->terminal.err, &fuzz->terminal.shown_err, max) + out;
}

static void hang_up(struct fuzz *fuzz)
{
	look(fuzz, SIZE_MAX);
	close_fd_ptr(&fuzz->terminal.out);
	close_fd_ptr(&fuzz->terminal.err);
	fuzz->hung_up = true;
}

static void type(struct fuzz *fuzz, struct fuzz_input *in, bool escape)
{
	uint8_t data[256];
	unsigned int len = escape ? 1 : fuzz_u8(in), i;

	memset(data, ESCAPE_KEY, sizeof(data));
	for (i = 0; !escape && i < len; i++)
		data[i] = (uint8_t)(fuzz->terminal.typed.len + i);
	terminal_type(&fuzz->terminal, data, len);
}

static void step(struct fuzz *fuzz, struct fuzz_input *in)
{
	unsigned int operation = fuzz_u8(in) % OPERATIONS, len;
	uint8_t byte;

	switch (operation) {
	case SEND:
		for (len = fuzz_u8(in); len; len--)
			send(fuzz, fuzz_u8(in));
		break;
	case SEND_FRAME:
		byte = fuzz_u8(in);
		send_frame(fuzz, byte, fuzz_u16(in));
		break;
	case TYPE:
	case TYPE_ESCAPE:
		type(fuzz, in, operation == TYPE_ESCAPE);
		break;
	case RECEIVE:
		receive(fuzz, 16 * fuzz_u8(in));
		break;
	case END_INPUT:
		close_fd_ptr(&fuzz->terminal.in);
		break;
	case LOOK:
		look(fuzz, 16 * fuzz_u8(in));
		break;
	case RESIZE:
		guest_link_resized(&fuzz->link);
		break;
	case SERVE:
		terminal_serve(&fuzz->terminal);
		break;
	default:
		hang_up(fuzz);
		break;
	}
	FUZZ_CHECK(fuzz->link.in_flight <= LINK_WINDOW);
	fuzz_steps++;
}

/*
 * The end
 */

static bool has_escapes(const struct expected *typed)
{
	static const uint8_t keys[] = {ESCAPE_KEY, ESCAPE_KEY, ESCAPE_KEY};

	return typed->len && memmem(typed->data, typed->len, keys, sizeof(keys));
}

/* With a reader on both sides, all that was said comes out. */
static void drain(struct fuzz *fuzz)
{
	struct terminal *terminal = &fuzz->terminal;
	bool moved = true, quit;
	size_t sent;

	terminal->sent = 0; /* the bound is for the fuzzer's own */
	while (moved) {
		moved = terminal_serve(terminal);
		moved |= look(fuzz, SIZE_MAX);
		moved |= receive(fuzz, SIZE_MAX);
		sent = terminal->sent;
		take(fuzz);
		moved |= terminal->sent != sent;
	}
	quit = fuzz->events[GUEST_LINK_QUIT];
	FUZZ_CHECK(!terminal->serial->state.tx_len && !guest_link_is_blocked(&fuzz->link));
	FUZZ_CHECK(!quit || (fuzz->tty && has_escapes(&terminal->typed)));
	if (!fuzz->hung_up) {
		FUZZ_CHECK(terminal->shown.got == terminal->shown.len);
		FUZZ_CHECK(terminal->shown_err.got == terminal->shown_err.len);
		FUZZ_CHECK(!fuzz->events[GUEST_LINK_OUTPUT_LOST]);
	}
	/* Behind the verdict nobody tells what was taken. */
	if (fuzz->link.ready && !fuzz->exited && !quit) {
		FUZZ_CHECK(terminal->typed.got == terminal->typed.len);
		FUZZ_CHECK(fuzz->ends == (terminal->in < 0));
	}
	if (!fuzz->link.ready)
		FUZZ_CHECK(!terminal->typed.got);
}

/* As the machine tells it. */
static void check_verdict(struct fuzz *fuzz)
{
	const struct guest_link *link = &fuzz->link;
	struct verdict verdict = {.kind = VERDICT_EXIT,
				  .status = link->exit_status,
				  .text = *link->exit_text ? link->exit_text : NULL};
	size_t i;

	FUZZ_CHECK(link->exited == fuzz->exited);
	FUZZ_CHECK(fuzz->events[GUEST_LINK_EXIT] == fuzz->exited);
	FUZZ_CHECK(fuzz->events[GUEST_LINK_READY] == link->ready);
	FUZZ_CHECK(fuzz->events[GUEST_LINK_STARTED] == link->started);
	FUZZ_CHECK(fuzz->events[GUEST_LINK_OUTPUT_LOST] <= 2);
	if (!link->exited)
		return;
	FUZZ_CHECK(link->exit_status == fuzz->exit.status);
	for (i = 0; fuzz->exit_text[i]; i++) {
		uint8_t byte = fuzz->exit_text[i];

		FUZZ_CHECK(link->exit_text[i] == (byte >= ' ' && byte <= '~' ? (char)byte : '?'));
	}
	FUZZ_CHECK(!link->exit_text[i]);
	FUZZ_CHECK(verdict_report(&verdict, false) == fuzz->exit.status);
	FUZZ_CHECK(fuzz_log_take() == (i ? 1 : 0));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static struct fuzz fuzz;
	struct fuzz_input in = {data, size};

	fuzz = (struct fuzz){.tty = fuzz_u8(&in) & 1};
	terminal_init(&fuzz.terminal);
	FUZZ_CHECK(!guest_link_init(&fuzz.link, &fuzz.terminal.loop, &fuzz.terminal.streams,
				    fuzz.tty, on_event, &fuzz));
	host_streams_close(&fuzz.terminal.streams);
	fuzz.terminal.serial = &fuzz.link.serial;
	while (in.size)
		step(&fuzz, &in);
	drain(&fuzz);
	check_verdict(&fuzz);
	guest_link_fini(&fuzz.link);
	terminal_fini(&fuzz.terminal);
	return 0;
}
