/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Init's end of the guest link (link.h): frames over the second serial port. One thread.
 *
 * There is one link, so its state is the module's own. Neither direction blocks the other: output
 * is queued and written when the port takes it, input is kept until it is consumed, and while
 * the input buffer is full nothing is read, so that the port's flow control holds husk back.
 */
#ifndef HUSK_INIT_LINK_H
#define HUSK_INIT_LINK_H

#include <stdbool.h>
#include <stddef.h>

#include "link.h"

/* Open the port raw with RTS/CTS. Returns 0 or -errno. */
int link_open(void);
bool link_is_open(void);

/* For poll: the port's file descriptor, and the events to wait for now. */
int link_fd(void);
short link_events(void);

/* Room for the payload of one frame (LINK_PAYLOAD_MAX bytes), or NULL while the queue is full. */
void *link_reserve(void);
/* Queue the frame whose `len` bytes of payload were written to the room reserved. */
void link_commit(enum link_type type, size_t len);
/* Queue a frame from elsewhere; waits only while there is no room. */
void link_send(enum link_type type, const void *payload, size_t len);
/* Write what the port takes now. */
void link_write(void);
/* Wait until all that was queued has left the port. */
void link_drain(void);

/* Take in what the port has. */
void link_read(void);
/*
 * The first frame received: its header, its payload in *ret_payload; NULL if none is complete.
 * Gives up (init_end.h) on what is no frame: husk sends none, so bytes were lost.
 */
const struct link_header *link_peek(const void **ret_payload);
/* Forget the first frame. */
void link_consume(void);

#endif
