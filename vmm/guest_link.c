/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_link.h"

#include <string.h>
#include <unistd.h>

#include "util.h"

#define ESCAPE_KEY 0x1d /* Ctrl-] */
#define ESCAPES_TO_QUIT 3

/* Reads standard input while the guest has room for it. */
static void want_input(struct guest_link *link)
{
	bool room = serial_room(&link->serial) >= sizeof(struct link_header) + LINK_PAYLOAD_MAX;

	room = room && link->in_flight + LINK_PAYLOAD_MAX <= LINK_WINDOW;
	host_input_want(&link->in, link->ready && !link->in_ended && room);
}

/*
 * Guest to husk.
 */

/* Passes payload on; false if the stream has no room for all of it. */
static bool link_output(struct guest_link *link, struct host_output *output, const uint8_t *payload,
			size_t len)
{
	bool was_fine = !output->error;

	link->frame_done +=
		host_output_write(output, payload + link->frame_done, len - link->frame_done);
	if (was_fine && output->error) {
		link->lost_error = output->error;
		link->fn(link->ctx, GUEST_LINK_OUTPUT_LOST);
	}
	return link->frame_done == len;
}

static void link_exit(struct guest_link *link, const uint8_t *payload, size_t len)
{
	size_t text_len, i;

	/* The first verdict counts, and whoever was told of it may keep its text. */
	if (len < sizeof(struct link_exit) || link->exited)
		return;
	link->exited = true;
	link->exit_status = payload[0];
	text_len = len - sizeof(struct link_exit);
	memcpy(link->exit_text, payload + sizeof(struct link_exit), text_len);
	link->exit_text[text_len] = 0;
	/* It goes to a terminal: nothing that could harm one. */
	for (i = 0; link->exit_text[i]; i++)
		if (link->exit_text[i] < ' ' || link->exit_text[i] > '~')
			link->exit_text[i] = '?';
	link->fn(link->ctx, GUEST_LINK_EXIT);
}

static void link_taken(struct guest_link *link, const uint8_t *payload, size_t len)
{
	struct link_taken taken;

	if (len < sizeof(taken))
		return;
	memcpy(&taken, payload, sizeof(taken));
	link->in_flight -= MIN(taken.bytes, link->in_flight);
	want_input(link);
}

static void link_milestone(struct guest_link *link, const uint8_t *payload, size_t len)
{
	if (len < sizeof(link->milestone))
		return;
	memcpy(&link->milestone, payload, sizeof(link->milestone));
	if (link->milestone.which < LINK_MILESTONES)
		link->fn(link->ctx, GUEST_LINK_MILESTONE);
}

/* A whole frame is there. False if it has to wait for room. */
static bool link_frame(struct guest_link *link, uint8_t type, const uint8_t *payload, size_t len)
{
	/* Nothing counts behind the verdict, so nothing can hold up the end. */
	if (link->exited)
		return true;
	switch (type) {
	case LINK_READY:
		if (link->ready)
			return true;
		/* Not before: until init has made its port raw, the guest would echo. */
		link->ready = true;
		want_input(link);
		link->fn(link->ctx, GUEST_LINK_READY);
		return true;
	case LINK_STARTED:
		if (link->started)
			return true;
		link->started = true;
		link->fn(link->ctx, GUEST_LINK_STARTED);
		return true;
	case LINK_STDOUT:
		return link_output(link, &link->out, payload, len);
	case LINK_STDERR:
		return link_output(link, &link->err, payload, len);
	case LINK_TAKEN:
		link_taken(link, payload, len);
		return true;
	case LINK_MILESTONE:
		link_milestone(link, payload, len);
		return true;
	case LINK_EXIT:
		link_exit(link, payload, len);
		return true;
	default: /* a newer init, or a guest that makes things up */
		return true;
	}
}

/* How long the frame under way is, as far as is known; a length past the bound is cut to it. */
static size_t frame_size(const struct guest_link *link)
{
	struct link_header header;

	if (link->frame_len < sizeof(header))
		return sizeof(header);
	memcpy(&header, link->frame, sizeof(header));
	return sizeof(header) + MIN((size_t)header.len, (size_t)LINK_PAYLOAD_MAX);
}

static size_t link_transmit(void *ctx, const uint8_t *data, size_t len)
{
	struct guest_link *link = ctx;
	size_t used = 0, want, part;

	for (;;) {
		want = frame_size(link);
		part = MIN(want - link->frame_len, len - used);
		if (part)
			memcpy(link->frame + link->frame_len, data + used, part);
		link->frame_len += part;
		used += part;
		if (link->frame_len < want)
			return used;
		if (want < frame_size(link))
			continue; /* that was the header */
		if (!link_frame(link, link->frame[0], link->frame + sizeof(struct link_header),
				want - sizeof(struct link_header)))
			return used;
		link->frame_len = 0;
		link->frame_done = 0;
	}
}

/*
 * Husk to guest.
 */

static bool link_send(struct guest_link *link, enum link_type type, const void *payload,
		      uint16_t len)
{
	struct {
		struct link_header header;
		uint8_t payload[LINK_PAYLOAD_MAX];
	} frame = {.header = {.type = (uint8_t)type, .len = len}};

	memcpy(frame.payload, payload, len);
	return serial_receive(&link->serial, &frame, sizeof(frame.header) + len);
}

/* Counts escape keys in a row; true when the user wants out. */
static bool escape_typed(struct guest_link *link, const uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++) {
		link->escapes = data[i] == ESCAPE_KEY ? link->escapes + 1 : 0;
		if (link->escapes == ESCAPES_TO_QUIT)
			return true;
	}
	return false;
}

static void link_input(void *ctx)
{
	struct guest_link *link = ctx;
	uint8_t data[LINK_PAYLOAD_MAX];
	ssize_t len = host_input_read(&link->in, data, sizeof(data));

	if (len < 0)
		return;
	if (link->tty && escape_typed(link, data, (size_t)len)) {
		link->fn(link->ctx, GUEST_LINK_QUIT);
		return;
	}
	link_send(link, LINK_STDIN, data, (uint16_t)len);
	link->in_ended = !len;
	link->in_flight += (uint32_t)len;
	want_input(link);
}

static void link_room(void *ctx)
{
	want_input(ctx);
}

static void link_scratch(void *ctx, uint8_t value)
{
	struct guest_link *link = ctx;

	if (value == LINK_INIT_STARTS)
		link->fn(link->ctx, GUEST_LINK_INIT);
}

void guest_link_resized(struct guest_link *link)
{
	struct link_winsize size;
	uint16_t rows, cols;

	if (!link->ready)
		return;
	host_terminal_size(STDIN_FILENO, &rows, &cols);
	size = (struct link_winsize){rows, cols};
	/* Without room the next change tells; the size is a hint. */
	pthread_mutex_lock(&link->serial.device.lock);
	link_send(link, LINK_WINSIZE, &size, sizeof(size));
	want_input(link); /* that took some of the room */
	pthread_mutex_unlock(&link->serial.device.lock);
}

bool guest_link_is_blocked(const struct guest_link *link)
{
	return link->out.watch.active || link->err.watch.active;
}

static void output_ready(void *ctx)
{
	struct guest_link *link = ctx;

	/* First the frame that waited, then what came in behind it. */
	link_transmit(link, NULL, 0);
	serial_resume(&link->serial);
	if (!guest_link_is_blocked(link))
		link->fn(link->ctx, GUEST_LINK_DRAINED);
}

int guest_link_init(struct guest_link *link, struct event_loop *loop,
		    const struct host_streams *streams, bool tty, guest_link_fn *fn, void *ctx)
{
	struct serial_host host = {
		.transmit = link_transmit, .room = link_room, .ctx = link, .scratch = link_scratch};
	pthread_mutex_t *lock = &link->serial.device.lock;
	int err;

	*link = (struct guest_link){.tty = tty, .fn = fn, .ctx = ctx};
	err = serial_init(&link->serial, "link", &host, loop);
	if (!err)
		err = host_input_init(&link->in, streams->in, loop, lock, link_input, link);
	if (!err)
		err = host_output_init(&link->out, streams->out, loop, lock, output_ready, link);
	if (!err)
		err = host_output_init(&link->err, streams->err, loop, lock, output_ready, link);
	return err;
}

void guest_link_fini(struct guest_link *link)
{
	host_input_fini(&link->in);
	host_output_fini(&link->out);
	host_output_fini(&link->err);
	serial_fini(&link->serial);
}
