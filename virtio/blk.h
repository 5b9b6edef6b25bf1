/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-blk: requests from one queue to one disk. virtio 1.2, 5.2. Protocol only; the host
 * side is blk_file.h.
 *
 * Silent, but for rate-limited lines about a driver or a host that fails. Requests are served on
 * the loop thread.
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

#endif
