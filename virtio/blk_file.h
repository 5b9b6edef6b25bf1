/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk on the host: a raw image file or a block device.
 *
 * blk_file_open logs its failure, once; the rest is silent. Offsets and lengths are bytes and
 * lie inside the disk: the caller has checked them.
 */
#ifndef HUSK_VIRTIO_BLK_FILE_H
#define HUSK_VIRTIO_BLK_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

struct blk_file {
	int fd;
	bool read_only;
	bool can_discard;    /* punching holes works here */
	int flush_error;     /* 0, or the -errno of a flush that failed: it stays */
	uint64_t size;	     /* bytes, a multiple of 512 */
	uint32_t block_size; /* logical block size, 512 or more */
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

/*
 * All or nothing: 0, or -errno (-EIO for a read past the end of a file that was truncated
 * under the VM). `iov` may be changed.
 */
int blk_file_read(const struct blk_file *file, struct iovec *iov, unsigned int nr, uint64_t offset);
int blk_file_write(const struct blk_file *file, struct iovec *iov, unsigned int nr,
		   uint64_t offset);
/*
 * Everything written before is on stable storage when this returns 0. The kernel tells of data it
 * could not write only once, and drops it: so after a failure this fails for ever.
 */
int blk_file_flush(struct blk_file *file);
/* The range may give its space back and then reads as zeroes. */
int blk_file_discard(const struct blk_file *file, uint64_t offset, uint64_t len);
/* The range reads as zeroes; with `unmap` it may give its space back. */
int blk_file_write_zeroes(const struct blk_file *file, uint64_t offset, uint64_t len, bool unmap);

#endif
