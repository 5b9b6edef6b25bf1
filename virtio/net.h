/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net: one receive and one transmit queue, no control queue. virtio 1.2, 5.1. Protocol
 * only; the host side is a net_backend.
 *
 * Logs when a link goes down. Frames move on the loop thread.
 *
 * The guest chooses its source address freely: who must not trust it filters on the host.
 */
#ifndef HUSK_VIRTIO_NET_H
#define HUSK_VIRTIO_NET_H

#include "net_backend.h"
#include "virtio.h"

struct net;

struct net_config {
	uint8_t mac[ETH_ALEN];
	uint16_t mtu; /* 0: not told to the guest; else 68 or more */
};

/* From the host's point of view; dropped frames are in none of the others. */
struct net_counters {
	uint64_t rx_frames;
	uint64_t rx_bytes; /* of frames, without headers */
	uint64_t rx_dropped;
	uint64_t tx_frames;
	uint64_t tx_bytes;
	uint64_t tx_dropped;
};

/*
 * Makes a network device over `backend` (taken, also on failure). `id` is the name in log lines;
 * copied. 0 or -errno. net_destroy takes NULL.
 */
int net_create(struct net_backend *backend, const struct net_config *config, const char *id,
	       const struct guest_mem *mem, struct event_loop *loop, struct net **ret_net);
void net_destroy(struct net *net);

struct virtio_device *net_virtio(struct net *net);

/* Borrowed; guarded by the device's lock. */
const struct net_counters *net_counters(const struct net *net);

#endif
