/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The host's end of the guest link (rootfs/link.h) on the second serial port: standard streams of
 * the command, and how it ended.
 *
 * Silent. For the loop thread, but for GUEST_LINK_INIT.
 */
#ifndef HUSK_GUEST_LINK_H
#define HUSK_GUEST_LINK_H

#include "host_io.h"
#include "link.h"
#include "serial.h"

enum guest_link_event {
	GUEST_LINK_INIT,      /* init starts; on a vCPU's thread, as often as the guest says so */
	GUEST_LINK_MILESTONE, /* `milestone` is valid, its time is the guest's word */
	GUEST_LINK_READY,
	GUEST_LINK_STARTED,
	GUEST_LINK_EXIT,	/* exit_status and exit_text are valid */
	GUEST_LINK_DRAINED,	/* output that was blocked has gone out */
	GUEST_LINK_OUTPUT_LOST, /* lost_error tells why */
	GUEST_LINK_QUIT,	/* the user typed the escape sequence */
};

typedef void guest_link_fn(void *ctx, enum guest_link_event event);

struct guest_link {
	struct serial serial; /* owned */
	struct host_input in;
	struct host_output out, err;
	bool tty;
	bool ready;   /* init listens */
	bool started; /* the command runs */
	bool in_ended;
	uint32_t in_flight;   /* bytes of input that the command has not taken */
	unsigned int escapes; /* escape characters typed in a row */
	guest_link_fn *fn;
	void *ctx;

	/* The frame being received. */
	uint8_t frame[sizeof(struct link_header) + LINK_PAYLOAD_MAX];
	size_t frame_len;
	size_t frame_done; /* bytes of its payload that went to the output */

	struct link_milestone milestone;
	int lost_error; /* errno of the first write that failed */
	bool exited;
	uint8_t exit_status;
	char exit_text[LINK_PAYLOAD_MAX + 1]; /* empty: the command ended by itself */
};

/*
 * Ties the link to `streams`, which it duplicates; with `tty`, the input is a terminal in raw mode,
 * and three Ctrl-] end husk. `loop` is borrowed. 0 or -errno. guest_link_fini takes a zeroed one.
 */
int guest_link_init(struct guest_link *link, struct event_loop *loop,
		    const struct host_streams *streams, bool tty, guest_link_fn *fn, void *ctx);
void guest_link_fini(struct guest_link *link);

/* Tells the guest the size of the terminal, now that it changed. */
void guest_link_resized(struct guest_link *link);

/* Output waits for somebody to read it; GUEST_LINK_DRAINED follows. */
bool guest_link_is_blocked(const struct guest_link *link);

#endif
