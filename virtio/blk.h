/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk: requests from one queue to one disk. virtio 1.2, 5.2. Protocol only; the host
 * side is blk_disk.h.
 *
 * Silent, but for rate-limited lines about a driver or a host that fails, and where io_uring is
 * missing (--verbose). Requests are served on the loop thread, many at once, and answered in the
 * order in which they get done.
 */
#ifndef HUSK_VIRTIO_BLK_H
#define HUSK_VIRTIO_BLK_H

#include "blk_file.h"
#include "virtio.h"

struct blk;

/*
 * Makes a block device over `file` (taken, also on failure: moved from and closed with the device).
 * `id` is what GET_ID answers, cut to 20 bytes, and the name in log lines; it is copied. 0 or
 * -errno. blk_destroy takes NULL.
 */
int blk_create(struct blk_file *file, const char *id, const struct guest_mem *mem,
	       struct event_loop *loop, struct blk **ret_blk);
void blk_destroy(struct blk *blk);

struct virtio_device *blk_virtio(struct blk *blk);
/*
 * Waits until no request is under way, and starts no more: the disk may then be closed, and given
 * to others, while a guest still runs. False, and a line in the log, if that takes until
 * `deadline_ns` (CLOCK_MONOTONIC). Makes no call but poll.
 */
bool blk_end(struct blk *blk, uint64_t deadline_ns);
/* The descriptor of its ring; -1: it has none. */
int blk_ring(const struct blk *blk);

#endif
