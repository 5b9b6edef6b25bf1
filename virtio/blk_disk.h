/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on a disk, many at once: they are started, and come back when they are done, in any
 * order. Host side only.
 *
 * Silent. The caller holds the device's lock. Nothing allocates but blk_disk_init.
 *
 * Theory. An operation is one or more calls (blk_ring.h): a transfer that was cut short goes on
 * where it ended; zeroes are made in the first way of three that the file system knows. The calls
 * go through a ring, so that a slow disk stops nothing but itself. Where there is none, and where
 * the kernel has no memory or no thread for a call, it is made at once, on the caller's thread.
 *
 * Transfers that are started one after the other and lie so on the disk share a call, which saves
 * most where data are copied only. One that the call did not come to, by whatever happened, gets a
 * call of its own: each has its own result.
 *
 * A flush that succeeds says that all is stable that was done when it was started. The kernel tells
 * of data it could not write only once, to whichever fdatasync comes first, and drops the data. So
 * no two are made at a time: those asked for while one is under way all wait for the next one. And
 * once one failed, each later one fails, for good.
 */
#ifndef HUSK_VIRTIO_BLK_DISK_H
#define HUSK_VIRTIO_BLK_DISK_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "blk_file.h"

/* Operations that may be under way at a time. */
#define BLK_DISK_IOS_MAX 64

/*
 * One operation. Storage is the caller's, and the disk's from blk_disk_start until blk_disk_take
 * gives it back. Offsets and lengths are bytes and lie inside the disk: the caller has checked.
 */
struct blk_io {
	enum blk_io_kind {
		BLK_IO_READ,	/* all of the iovecs are filled, or an error */
		BLK_IO_WRITE,	/* all of them are written, or an error */
		BLK_IO_FLUSH,	/* all that was written before is on stable storage */
		BLK_IO_DISCARD, /* the range may give its space back, and then reads as zeroes */
		BLK_IO_ZEROES,	/* the range reads as zeroes */
	} kind;
	struct iovec *iov; /* reads and writes, else NULL; they are changed */
	unsigned int nr_iov;
	uint64_t offset;
	uint64_t len; /* discard and zeroes; of a transfer it is the disk's */
	bool unmap;   /* zeroes: the range may give its space back */
	int err;      /* when it is done: 0 or -errno; -EIO past the end of a truncated file */

	/* The disk's. */
	struct blk_io *next; /* in a list; or, of those that share a call */
	struct iovec zeroes;
};

struct blk_io_list {
	struct blk_io *first, **end;
};

#define BLK_DISK_IOVS_MAX 256

struct blk_disk {
	struct blk_file file;
	struct blk_ring *ring;	/* NULL: each call is made at once */
	unsigned int in_flight; /* calls in the ring */
	unsigned int nr_queued; /* of them, those not submitted yet */
	bool is_draining;
	struct blk_io_list row; /* transfers that will share a call */
	uint64_t row_end;	/* where the next one is to begin */
	unsigned int row_iovs;
	struct iovec iovs[BLK_DISK_IOVS_MAX]; /* of shared calls, until they are submitted */
	unsigned int nr_iovs;
	int flush_error;	     /* 0, or the -errno of the flush that failed: it stays */
	struct blk_io flush;	     /* the one fdatasync under way, for all of `flushing` */
	struct blk_io_list flushing; /* empty: none is under way */
	struct blk_io_list waiting;  /* flushes for the next one */
	struct blk_io_list done;
};

/*
 * Takes `file` (moved from). Without a ring, also where the kernel gives none, all works, one call
 * after the other. 0 or -errno: the disk can be used either way.
 */
int blk_disk_init(struct blk_disk *disk, struct blk_file *file);
/* Waits for what is under way. Takes a zeroed one. */
void blk_disk_fini(struct blk_disk *disk);

/* To be polled for input: blk_disk_take has something. -1 where there is no ring. */
int blk_disk_fd(const struct blk_disk *disk);

/* No more than BLK_DISK_IOS_MAX at a time. */
void blk_disk_start(struct blk_disk *disk, struct blk_io *io);
/* Call after starting some, and after taking some: until then the kernel may not know of them. */
void blk_disk_submit(struct blk_disk *disk);
/* The next one that is done, or NULL. */
struct blk_io *blk_disk_take(struct blk_disk *disk);

/*
 * Waits until nothing is under way, on any thread: makes no call but poll. At most until
 * `deadline_ns` (CLOCK_MONOTONIC; 0: for ever): false if something still is, and then the disk can
 * only be left as it is. Otherwise true. What has not come to its
 * end then never does: every operation is given up (not to be taken any more), as if it had not
 * been started; of what was under way, parts may have been done.
 */
bool blk_disk_drain(struct blk_disk *disk, uint64_t deadline_ns);

#endif
