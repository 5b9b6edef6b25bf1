/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The receive half of virtio-net: puts frames of a backend into buffers of the driver.
 * virtio 1.2, 5.1.6.3 and 5.1.6.4.
 *
 * Silent. On the loop thread, with the device's lock held.
 *
 * Theory. The backend fills [header | first receive buffers | rest]. The header is a local
 * one; the buffers are those the driver posted, as many as the frame before took; the rest is host
 * memory, which takes what a longer frame has beyond them and from which further buffers are
 * filled. So most frames arrive without a copy, and with no more chains looked at than used.
 * The header is written last, when the number of buffers is known.
 *
 * A frame for which there are not enough buffers now stays in hand, chains and all, until the
 * driver posts more: it is often the segment that a driver short of buffers waits for most. One
 * that would not fit into all the buffers the queue can hold is dropped.
 */
#ifndef HUSK_VIRTIO_NET_RX_H
#define HUSK_VIRTIO_NET_RX_H

#include "net_backend.h"
#include "net_header.h"
#include "queue.h"

/* The frame that is being received. Chains are in hand: popped, and not yet published. */
struct net_rx {
	struct virtio_net_hdr_v1 header;
	uint32_t len;	   /* of header and frame; 0: there is none yet */
	uint32_t done;	   /* bytes of it that have a place in `chains` */
	uint32_t capacity; /* of all chains, in bytes */
	uint32_t expected; /* length of the frame before */

	unsigned int nr_chains;
	struct {
		uint16_t head;
		uint32_t capacity;
	} chains[VIRTQUEUE_SIZE_MAX];

	/* Where the header goes: pieces of one byte at worst. */
	unsigned int nr_header_iov;
	struct iovec header_iov[NET_HEADER_SIZE];

	/* For the backend: header, chains, rest of `bounce`. */
	unsigned int nr_iov;
	struct iovec iov[1 + 2 * VIRTQUEUE_SIZE_MAX + 1];
	/* Byte n of it is byte n of the frame; what went straight to the guest is not in it. */
	uint8_t bounce[NET_FRAME_MAX + 1];

	struct virtq_chain chain; /* the last one popped */
};

/*
 * Moves one frame from the backend into `queue` and publishes it. `features` are the negotiated
 * ones. > 0: length of the frame; or, with nothing moved:
 *  -ENOBUFS	the driver has posted too few buffers; a frame may be in hand
 *  -EAGAIN	the backend has no frame
 *  -EMSGSIZE	a frame was dropped: too short, too long, too big for the queue, bad header
 *  -EPIPE	the backend's link is gone
 *  -EPROTO	the driver broke the queue
 */
int net_rx_frame(struct net_rx *rx, struct virtqueue *queue, uint64_t features,
		 struct net_backend *backend);

/* The queue was reset: forgets the frame and the chains in hand. */
void net_rx_reset(struct net_rx *rx);

#endif
