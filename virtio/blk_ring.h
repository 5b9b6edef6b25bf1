/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Calls on a disk's file: made at once, or passed to the kernel through an io_uring, which answers
 * when they are done.
 *
 * Silent. A ring has one user at a time: the caller holds the device's lock. No function but
 * blk_ring_create allocates, and only blk_ring_submit and blk_call_now make calls of their own
 * (blk_ring_wait: poll).
 *
 * A ring is made so that it opens no way round the system call filters: it knows one file, the
 * disk, by its place in the ring and not by descriptor; it does the calls of enum blk_call_kind on
 * it (a read-only disk's: reads) and nothing else, for good; and no thread may make another one.
 */
#ifndef HUSK_VIRTIO_BLK_RING_H
#define HUSK_VIRTIO_BLK_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

/* One call, as preadv, pwritev, fdatasync and fallocate take it. */
struct blk_call {
	enum blk_call_kind { BLK_CALL_READ, BLK_CALL_WRITE, BLK_CALL_SYNC, BLK_CALL_ALLOCATE } kind;
	struct iovec *iov; /* read and write */
	unsigned int nr_iov;
	int mode; /* allocate: FALLOC_FL_* */
	uint64_t offset, len;
};

/* Makes the call on `fd`. What the kernel gives for it: 0 or more, or -errno. */
int blk_call_now(int fd, const struct blk_call *call);

struct blk_ring;

/*
 * A ring of `entries` places (a power of two) over the file of `fd`, which the ring keeps and the
 * caller may close. 0 or -errno: -ENOSYS where the kernel has no io_uring, -EPERM where it is
 * forbidden. blk_ring_destroy takes NULL; nothing may be under way.
 */
int blk_ring_create(int fd, bool read_only, unsigned int entries, struct blk_ring **ret_ring);
void blk_ring_destroy(struct blk_ring *ring);

/* Polls as readable when blk_ring_take has something; owned by the ring. */
int blk_ring_fd(const struct blk_ring *ring);

/*
 * Puts a call into the ring; no more than it has places. `tag` comes back with the result. The
 * iovecs are copied by blk_ring_submit, the memory they point to is in use until then.
 */
void blk_ring_queue(struct blk_ring *ring, const struct blk_call *call, void *tag);
/* Passes on what was queued. What the kernel has no memory for stays queued. */
void blk_ring_submit(struct blk_ring *ring);
/* Takes one queued call out again and gives its tag; NULL: none is queued. */
void *blk_ring_unqueue(struct blk_ring *ring);

/* The next call that is done, in no order, and what the kernel gave for it; NULL: none is. */
void *blk_ring_take(struct blk_ring *ring, int *ret_result);
/* Waits until there is something to take, at most so long (-1: for ever). Any thread. */
void blk_ring_wait(const struct blk_ring *ring, int ms);

#endif
