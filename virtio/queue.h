/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Split virtqueues: the only code that touches the rings. virtio 1.2, 2.7.
 *
 * Silent. The caller holds the device's lock; no function waits or allocates.
 *
 * Theory. The driver owns the descriptor table and the available ring and may change them at
 * any time, from another CPU, with bad intent. So each descriptor and each index is copied
 * once, checked, and only the copy is used; nothing is read twice. A chain becomes iovecs that
 * point into guest RAM, whose contents stay shared: who parses a header copies it out first.
 * Work is bounded: a chain has at most VIRTQUEUE_SIZE_MAX buffers, the driver may publish at
 * most as many chains as the queue has places. Any breach is -EPROTO, after which the queue is
 * broken and pops nothing until the next virtqueue_enable; the device then asks for a reset.
 */
#ifndef HUSK_VIRTIO_QUEUE_H
#define HUSK_VIRTIO_QUEUE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "guest_mem.h"

#define VIRTQUEUE_SIZE_MAX 256

/* What a snapshot keeps of a queue. All but the last four are the driver's. */
struct virtqueue_state {
	gpa_t desc;
	gpa_t avail;
	gpa_t used;
	uint16_t size;
	bool ready;

	uint16_t next_avail; /* index of the next chain to pop */
	uint16_t next_used;  /* index of the next used element to write */
	uint16_t signalled;  /* next_used when virtqueue_must_interrupt was last asked */
	bool broken;
};

struct virtqueue {
	struct virtqueue_state state;

	/* Rebuilt by virtqueue_enable; the pointers are checked for the whole ring. */
	const struct guest_mem *mem;
	const struct vring_desc *desc_ring;
	struct vring_avail *avail_ring;
	struct vring_used *used_ring;
	bool event_idx;
	bool indirect;
};

/*
 * One request. The device reads iov[0 .. nr_readable) and writes the nr_writable that follow.
 * Zero-length descriptors are left out.
 */
struct virtq_chain {
	uint16_t head;
	unsigned int nr_readable;
	unsigned int nr_writable;
	uint64_t readable_bytes;
	uint64_t writable_bytes;
	struct iovec iov[VIRTQUEUE_SIZE_MAX];
};

/*
 * Checks the driver's ring addresses (alignment, each ring inside RAM, no ring over another)
 * and maps them, with the ring position that `state` holds (all zero after a reset).
 * `features` are the negotiated ones. 0; -EINVAL: bad size, alignment or overlap; -EFAULT: a
 * ring is not in RAM.
 */
int virtqueue_enable(struct virtqueue *queue, const struct guest_mem *mem, uint64_t features);

/* Forgets the mapping and all state. */
void virtqueue_reset(struct virtqueue *queue);

/*
 * Takes the next chain the driver made available. 1: `ret_chain` is filled; 0: none there;
 * -EPROTO: the driver broke the ring (see above).
 */
int virtqueue_pop(struct virtqueue *queue, struct virtq_chain *ret_chain);

/* Gives back the last `count` chains popped, as if they had not been. */
void virtqueue_unpop(struct virtqueue *queue, unsigned int count);

/*
 * Returns a chain: `written` bytes of its writable part were filled. virtqueue_put fills the
 * used element `ahead` places past the published ones; virtqueue_publish makes `count` of them
 * visible at once (mergeable receive buffers need several or none). virtqueue_push is both, for
 * one chain.
 */
void virtqueue_put(struct virtqueue *queue, unsigned int ahead, uint16_t head, uint32_t written);
void virtqueue_publish(struct virtqueue *queue, unsigned int count);
void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written);

/*
 * Whether the driver wants an interrupt for what was published since this was last asked
 * (flags, or used_event with EVENT_IDX). virtio 1.2, 2.7.7.
 */
bool virtqueue_must_interrupt(struct virtqueue *queue);

/*
 * Asks the driver to kick (true) or not to (false) for new chains; a hint. After asking, there
 * may be chains the driver made available without a kick: the return value says so, and the
 * caller goes on popping. virtio 1.2, 2.7.10.
 */
bool virtqueue_want_kicks(struct virtqueue *queue, bool want);

/*
 * Payload helpers over iovecs; `offset` counts from the first byte of iov[0]. They return the
 * bytes copied, which are fewer than len where the iovecs end.
 */
uint64_t iov_to_buf(const struct iovec *iov, unsigned int nr, uint64_t offset, void *ret_data,
		    uint64_t len);
uint64_t iov_from_buf(const struct iovec *iov, unsigned int nr, uint64_t offset, const void *data,
		      uint64_t len);
/*
 * Writes to ret_iov (of nr places, may be iov itself) the part [offset, offset + len) of iov;
 * returns the places used.
 */
unsigned int iov_slice(const struct iovec *iov, unsigned int nr, uint64_t offset, uint64_t len,
		       struct iovec *ret_iov);

#endif
