/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk on the host: a raw image file or a block device.
 *
 * blk_file_open logs its failure, once; the rest is silent. What is done with an open disk is in
 * blk_disk.h.
 */
#ifndef HUSK_VIRTIO_BLK_FILE_H
#define HUSK_VIRTIO_BLK_FILE_H

#include <stdbool.h>
#include <stdint.h>

struct blk_file {
	int fd;
	bool read_only;
	bool can_discard;    /* punching holes works here */
	uint64_t size;	     /* bytes, a multiple of 512 */
	uint32_t block_size; /* logical block size, 512 or more */
	/*
	 * Whether I/O may wait for something, so that it is worth a ring (blk_ring.h); not where
	 * the file is in memory. The ring gets a descriptor of its own that does not hold the lock:
	 * the kernel takes a ring apart some 25 ms after its process has ended, and the lock is to
	 * be free at once.
	 */
	bool is_async;
	int async_fd; /* only if is_async */
};

/*
 * Opens the disk at `path` and locks it: shared if read_only, else exclusive, so that no two
 * VMs write the same disk (flock; released when the VM ends, in whatever way). -errno, and one line
 * in the log: missing, a folder, not permitted, empty, not a multiple of 512 bytes, locked.
 * ret_file is then closed (fd -1).
 */
int blk_file_open(struct blk_file *ret_file, const char *path, bool read_only);
/* Takes a closed one (fd -1), too. */
void blk_file_close(struct blk_file *file);
/* Closes the ring's descriptor. */
void blk_file_close_async(struct blk_file *file);

#endif
