/* SPDX-License-Identifier: Apache-2.0 */
#include "net_rx.h"

#include <endian.h>
#include <errno.h>

#include "util.h"

void net_rx_reset(struct net_rx *rx)
{
	rx->len = 0;
	rx->done = 0;
	rx->capacity = 0;
	rx->nr_chains = 0;
}

/* Gives the chains back, and forgets the frame. */
static void rx_abandon(struct net_rx *rx, struct virtqueue *queue)
{
	virtqueue_unpop(queue, rx->nr_chains);
	net_rx_reset(rx);
}

/* How many chains one frame may have. */
static unsigned int rx_chains_max(const struct virtqueue *queue, uint64_t features)
{
	return features >> VIRTIO_NET_F_MRG_RXBUF & 1 ? queue->state.size : 1;
}

/* Takes one more chain in hand, of which `rx->chain` has the iovecs. 1; 0: none there; -EPROTO. */
static int rx_take(struct net_rx *rx, struct virtqueue *queue)
{
	uint32_t capacity;
	int got;

	got = virtqueue_pop(queue, &rx->chain);
	if (got <= 0)
		return got;
	/* 5.1.6.3.1: each buffer has room for a header, even where it gets none. */
	if (rx->chain.nr_readable || rx->chain.writable_bytes < NET_HEADER_SIZE)
		return -EPROTO;
	capacity = (uint32_t)MIN(rx->chain.writable_bytes, NET_HEADER_SIZE + sizeof(rx->bounce));
	rx->chains[rx->nr_chains].head = rx->chain.head;
	rx->chains[rx->nr_chains].capacity = capacity;
	rx->nr_chains++;
	rx->capacity += capacity;
	return 1;
}

/* Appends the last chain taken, from `offset` on, to what the backend fills. */
static void rx_append(struct net_rx *rx, uint32_t offset)
{
	rx->nr_iov +=
		iov_slice(rx->chain.iov, rx->chain.nr_writable, offset,
			  rx->chains[rx->nr_chains - 1].capacity - offset, rx->iov + rx->nr_iov);
}

/*
 * Builds rx->iov over as many chains as a frame of the expected length needs. 1; 0: there is
 * no chain; -EPROTO.
 */
static int rx_gather(struct net_rx *rx, struct virtqueue *queue, unsigned int chains_max)
{
	uint32_t frame_capacity;
	int got;

	got = rx_take(rx, queue);
	if (got <= 0)
		return got;
	rx->nr_header_iov =
		iov_slice(rx->chain.iov, rx->chain.nr_writable, 0, NET_HEADER_SIZE, rx->header_iov);
	rx->iov[0] = (struct iovec){&rx->header, NET_HEADER_SIZE};
	rx->nr_iov = 1;
	rx_append(rx, NET_HEADER_SIZE);

	/* Each time there is room for a whole chain and the bounce buffer. */
	while (rx->capacity < rx->expected && rx->nr_chains < chains_max &&
	       rx->nr_iov <= 1 + VIRTQUEUE_SIZE_MAX) {
		got = rx_take(rx, queue);
		if (got < 0)
			return got;
		if (!got)
			break;
		rx_append(rx, 0);
	}
	frame_capacity = rx->capacity - (uint32_t)NET_HEADER_SIZE;
	if (frame_capacity < sizeof(rx->bounce))
		rx->iov[rx->nr_iov++] = (struct iovec){rx->bounce + frame_capacity,
						       sizeof(rx->bounce) - frame_capacity};
	return 1;
}

/* Has the backend fill what was gathered. 0; -EAGAIN, -EPIPE, -EMSGSIZE. */
static int rx_receive(struct net_rx *rx, uint64_t features, struct net_backend *backend)
{
	ssize_t len;

	len = backend->ops->receive(backend, rx->iov, rx->nr_iov);
	if (len < 0)
		return (int)len;
	if ((size_t)len < NET_HEADER_SIZE + NET_FRAME_MIN ||
	    (size_t)len > NET_HEADER_SIZE + NET_FRAME_MAX ||
	    !net_header_to_driver(&rx->header, features))
		return -EMSGSIZE;
	rx->len = (uint32_t)len;
	rx->done = MIN(rx->len, rx->capacity);
	rx->expected = rx->len;
	return 0;
}

/* Finds a place for what is in the bounce buffer. 0; -ENOBUFS: not now; -EMSGSIZE, -EPROTO. */
static int rx_place_rest(struct net_rx *rx, struct virtqueue *queue, unsigned int chains_max)
{
	int got;

	while (rx->done < rx->len) {
		uint32_t part;

		if (rx->nr_chains == chains_max)
			return -EMSGSIZE;
		got = rx_take(rx, queue);
		if (got <= 0)
			return got ? got : -ENOBUFS;
		part = MIN(rx->chains[rx->nr_chains - 1].capacity, rx->len - rx->done);
		iov_from_buf(rx->chain.iov, rx->chain.nr_writable, 0,
			     rx->bounce + (rx->done - NET_HEADER_SIZE), part);
		rx->done += part;
	}
	return 0;
}

/* Hands the complete frame to the driver, and back the chains it did not need. */
static void rx_deliver(struct net_rx *rx, struct virtqueue *queue)
{
	uint32_t left = rx->len;
	unsigned int nr;

	for (nr = 0; left; nr++) {
		uint32_t written = MIN(left, rx->chains[nr].capacity);

		virtqueue_put(queue, nr, rx->chains[nr].head, written);
		left -= written;
	}
	rx->header.num_buffers = htole16((uint16_t)nr);
	iov_from_buf(rx->header_iov, rx->nr_header_iov, 0, &rx->header, NET_HEADER_SIZE);
	virtqueue_unpop(queue, rx->nr_chains - nr);
	virtqueue_publish(queue, nr);
	net_rx_reset(rx);
}

int net_rx_frame(struct net_rx *rx, struct virtqueue *queue, uint64_t features,
		 struct net_backend *backend)
{
	unsigned int chains_max = rx_chains_max(queue, features);
	int err = 0, got, len;

	if (!rx->len) {
		got = rx_gather(rx, queue, chains_max);
		if (got <= 0)
			return got ? got : -ENOBUFS;
		err = rx_receive(rx, features, backend);
	}
	if (!err)
		err = rx_place_rest(rx, queue, chains_max);
	if (err == -ENOBUFS || err == -EPROTO)
		return err;
	if (err) {
		rx_abandon(rx, queue);
		return err;
	}
	len = (int)(rx->len - NET_HEADER_SIZE);
	rx_deliver(rx, queue);
	return len;
}
