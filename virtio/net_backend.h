/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What virtio-net needs of the host side of a network: something that takes and gives Ethernet
 * frames, each behind a struct virtio_net_hdr_v1 (virtio 1.2, 5.1.6; 12 bytes, little endian).
 *
 * Backends are silent after they are open. All calls come from the loop thread.
 */
#ifndef HUSK_VIRTIO_NET_BACKEND_H
#define HUSK_VIRTIO_NET_BACKEND_H

#include <linux/if_ether.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

/* The longest frame there is: 64 KiB of IP, or of segments still to be cut, and a VLAN tag. */
#define NET_FRAME_MIN ETH_HLEN
#define NET_FRAME_MAX (ETH_HLEN + 4 + 65535)

struct net_backend;

/*
 * In both directions iov[0] is the header, in one piece and in host memory, and the rest is the
 * frame. `iov` may be changed.
 */
struct net_backend_ops {
	/*
	 * Sends one frame of NET_FRAME_MIN to NET_FRAME_MAX bytes. 0: sent, or dropped as a
	 * network may; -EINPROGRESS: taken, but the rest of it waits for `flush`; -EAGAIN: no room,
	 * nothing was taken; -EPIPE: the link is gone for good. After -EINPROGRESS and -EAGAIN the
	 * caller waits until the descriptor is writable, and after the former until flush is done.
	 */
	int (*send)(struct net_backend *backend, struct iovec *iov, unsigned int nr);
	/*
	 * Goes on with the frame that is half sent. 0: nothing is left over; -EAGAIN; -EPIPE. NULL
	 * if `send` never leaves anything.
	 */
	int (*flush)(struct net_backend *backend);
	/*
	 * Receives one frame; `iov` has room for NET_FRAME_MAX and one more byte, so that what is
	 * longer shows. The length of header and frame; -EAGAIN: none there; -EPIPE: the link is
	 * gone for good. The descriptor polls as readable for what this has not yet looked at
	 * only: call until -EAGAIN.
	 */
	ssize_t (*receive)(struct net_backend *backend, struct iovec *iov, unsigned int nr);
	/*
	 * The driver accepted these feature bits: offloads are switched to match. 0 or -errno.
	 * NULL if there is nothing to switch.
	 */
	int (*set_features)(struct net_backend *backend, uint64_t features);
	void (*destroy)(struct net_backend *backend);
};

struct net_backend {
	const struct net_backend_ops *ops;
	int fd;		   /* polled for EPOLLIN and EPOLLOUT */
	uint64_t features; /* 1 << VIRTIO_NET_F_*: the offloads it can do: CSUM, GUEST_TSO4, ... */
};

#endif
