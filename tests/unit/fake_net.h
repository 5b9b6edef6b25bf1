/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A virtio-net device in a fake guest, with a fake backend: a socket pair on which each message
 * is a header and a frame. The test holds the other end, `peer`.
 *
 * As in fake_guest.h, what fails in here ends the process.
 */
#ifndef HUSK_TESTS_FAKE_NET_H
#define HUSK_TESTS_FAKE_NET_H

#include <linux/virtio_net.h>

#include "fake_guest.h"
#include "net.h"

#define NET_RX 0
#define NET_TX 1

#define NET_FEATURE(name) (1ull << VIRTIO_NET_F_##name)
#define NET_ALL_OFFLOADS \
	(NET_FEATURE(CSUM) | NET_FEATURE(GUEST_CSUM) | NET_FEATURE(HOST_TSO4) | \
	 NET_FEATURE(HOST_TSO6) | NET_FEATURE(HOST_ECN) | NET_FEATURE(GUEST_TSO4) | \
	 NET_FEATURE(GUEST_TSO6) | NET_FEATURE(GUEST_ECN))

struct fake_net_backend {
	struct net_backend backend;
	int features_result;	   /* what set_features answers */
	unsigned int features_set; /* how often it was called */
	uint64_t features;	   /* with what, last */
	int flush_result;	   /* what flush answers */
	unsigned int sends;	   /* how often send was called */
	unsigned int empty;	   /* receptions of nothing at all, before the socket's */
	unsigned int flood;	   /* frames still to be received before the socket's */
	uint32_t flood_len;	   /* of that length; 0: of 60 bytes */
};

struct fake_net {
	struct fake_guest guest;
	struct net *net;
	struct fake_net_backend *backend; /* borrowed from net */
	int peer;
};

void fake_net_init(struct fake_net *fake);
void fake_net_fini(struct fake_net *fake);

/* The same as the set-up and tear-down of a cmocka test. */
int fake_net_setup(void **state);
int fake_net_teardown(void **state);

/* Negotiates, sets up queues, sets DRIVER_OK and runs the loop. */
void fake_net_start(struct fake_net *fake, uint64_t features, uint16_t queue_size);
bool fake_net_needs_reset(struct fake_net *fake);
bool fake_net_link_up(struct fake_net *fake);

/* Kicks a queue and runs the loop. */
void fake_net_kick(struct fake_net *fake, unsigned int index);
/* Collects what transmission has completed: how many chains. */
unsigned int fake_net_completed(struct fake_net *fake);

/* Guest memory filled with `len` bytes of a pattern that `seed` begins; and the check of it. */
gpa_t fake_net_frame(struct fake_net *fake, uint32_t len, uint8_t seed);
void fake_net_fill(uint8_t *data, size_t len, uint8_t seed);
bool fake_net_filled(const uint8_t *data, size_t len, uint8_t seed);

/* Makes a frame of `len` bytes available for transmission behind `header`; does not kick. */
void fake_net_send(struct fake_net *fake, const struct virtio_net_hdr_v1 *header, uint32_t len,
		   uint8_t seed);
/* The same at the other end: header and frame arrive from the network. */
void fake_net_arrive(struct fake_net *fake, const struct virtio_net_hdr_v1 *header, uint32_t len,
		     uint8_t seed);
/* What came out at the other end: its length with header, 0 if there is nothing. */
size_t fake_net_sent(struct fake_net *fake, uint8_t *ret_data, size_t size);

/* Posts a receive buffer and returns its address; does not kick. */
gpa_t fake_net_post(struct fake_net *fake, uint32_t len);

#endif
