/* SPDX-License-Identifier: Apache-2.0 */
#include "blk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

#define SECTOR_SIZE 512u

/* What write_zeroes writes at once where the file system cannot do it by itself. */
#define ZEROES_PAGE 4096u
#define ZEROES_PAGES 64u

static int open_failed(const char *path, bool read_only, int err)
{
	const bool denied = err == EACCES || err == EPERM || err == EROFS || err == ETXTBSY;

	if (err == EISDIR)
		log_error("disk \"%s\" is a folder; name an image file or a block device", path);
	else if (denied && !read_only)
		log_error("cannot open disk \"%s\" for writing: %s; "
			  "open it read-only (\",ro\") or make it writable for this user",
			  path, strerror(err));
	else
		log_error("cannot open disk \"%s\": %s", path, strerror(err));
	return -err;
}

static int lock_failed(const char *path, int err)
{
	if (err == EWOULDBLOCK)
		log_error("disk \"%s\" is in use by another VM; "
			  "open it read-only there and here (\",ro\") or make a copy",
			  path);
	else
		log_error("cannot lock disk \"%s\": %s; copy it to a file system with locks", path,
			  strerror(err));
	return -err;
}

/* Fills in size and block_size. */
static int file_measure(struct blk_file *file, const char *path)
{
	struct stat st;
	int block_size;

	if (fstat(file->fd, &st))
		return open_failed(path, file->read_only, errno);
	switch (st.st_mode & S_IFMT) {
	case S_IFREG:
		file->size = (uint64_t)st.st_size;
		file->block_size = SECTOR_SIZE;
		break;
	case S_IFBLK:
		if (ioctl(file->fd, BLKGETSIZE64, &file->size) ||
		    ioctl(file->fd, BLKSSZGET, &block_size))
			return open_failed(path, file->read_only, errno);
		file->block_size = (uint32_t)block_size;
		break;
	case S_IFDIR:
		return open_failed(path, file->read_only, EISDIR);
	default:
		log_error("disk \"%s\" is neither a file nor a block device", path);
		return -EINVAL;
	}
	if (!file->size) {
		log_error("disk \"%s\" is empty; "
			  "an image file gets a size with \"truncate -s 1G %s\"",
			  path, path);
		return -EINVAL;
	}
	if (file->size % SECTOR_SIZE) {
		log_error("disk \"%s\" has %llu bytes, not a multiple of %u; "
			  "grow it with \"truncate -s %%%u %s\"",
			  path, (unsigned long long)file->size, SECTOR_SIZE, SECTOR_SIZE, path);
		return -EINVAL;
	}
	return 0;
}

/*
 * Asked behind the end of a file, where there is nothing to lose, the file system says whether
 * it can punch holes. A block device refuses any range there; one that cannot discard says so
 * when it is asked to.
 */
static bool file_can_discard(const struct blk_file *file)
{
	if (file->read_only)
		return false;
	return !fallocate(file->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, (off_t)file->size,
			  SECTOR_SIZE) ||
	       errno == EINVAL;
}

int blk_file_open(struct blk_file *ret_file, const char *path, bool read_only)
{
	/* O_NONBLOCK: a FIFO would wait for its other end. It means nothing to a disk. */
	const int flags = (read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY | O_NONBLOCK;
	cleanup_fd int fd = open(path, flags);
	struct blk_file file = {.fd = fd, .read_only = read_only};
	int err;

	ret_file->fd = -1;
	if (fd < 0)
		return open_failed(path, read_only, errno);
	err = file_measure(&file, path);
	if (err)
		return err;
	if (flock(fd, (read_only ? LOCK_SH : LOCK_EX) | LOCK_NB))
		return lock_failed(path, errno);
	file.can_discard = file_can_discard(&file);
	*ret_file = file;
	steal_fd(&fd);
	return 0;
}

void blk_file_close(struct blk_file *file)
{
	close_fd_ptr(&file->fd);
}

typedef ssize_t transfer_fn(int fd, const struct iovec *iov, int nr, off_t offset);

static int file_transfer(const struct blk_file *file, transfer_fn *transfer, struct iovec *iov,
			 unsigned int nr, uint64_t offset)
{
	while (nr) {
		ssize_t ret = transfer(file->fd, iov, (int)nr, (off_t)offset);
		size_t done = (size_t)ret;

		if (ret < 0 && errno == EINTR)
			continue;
		if (ret < 0)
			return -errno;
		/* The end of the file, where once was data. */
		if (!ret)
			return -EIO;
		offset += done;
		for (; nr && done >= iov->iov_len; iov++, nr--)
			done -= iov->iov_len;
		if (nr) {
			iov->iov_base = (char *)iov->iov_base + done;
			iov->iov_len -= done;
		}
	}
	return 0;
}

int blk_file_read(const struct blk_file *file, struct iovec *iov, unsigned int nr, uint64_t offset)
{
	return file_transfer(file, preadv, iov, nr, offset);
}

int blk_file_write(const struct blk_file *file, struct iovec *iov, unsigned int nr, uint64_t offset)
{
	return file_transfer(file, pwritev, iov, nr, offset);
}

int blk_file_flush(struct blk_file *file)
{
	/* Nothing of it is unwritten, and the filters let it be read only. */
	if (file->read_only)
		return 0;
	while (!file->flush_error && fdatasync(file->fd))
		if (errno != EINTR)
			file->flush_error = -errno;
	return file->flush_error;
}

static int file_allocate(const struct blk_file *file, int mode, uint64_t offset, uint64_t len)
{
	while (fallocate(file->fd, mode | FALLOC_FL_KEEP_SIZE, (off_t)offset, (off_t)len))
		if (errno != EINTR)
			return -errno;
	return 0;
}

int blk_file_discard(const struct blk_file *file, uint64_t offset, uint64_t len)
{
	return file_allocate(file, FALLOC_FL_PUNCH_HOLE, offset, len);
}

static int file_fill_zeroes(const struct blk_file *file, uint64_t offset, uint64_t len)
{
	static char page[ZEROES_PAGE];
	struct iovec iov[ZEROES_PAGES];
	int err = 0;

	while (len && !err) {
		uint64_t part = 0;
		unsigned int nr;

		for (nr = 0; nr < ZEROES_PAGES && part < len; nr++) {
			iov[nr] = (struct iovec){page, MIN(ZEROES_PAGE, len - part)};
			part += iov[nr].iov_len;
		}
		err = blk_file_write(file, iov, nr, offset);
		offset += part;
		len -= part;
	}
	return err;
}

int blk_file_write_zeroes(const struct blk_file *file, uint64_t offset, uint64_t len, bool unmap)
{
	int err = -EOPNOTSUPP;

	if (unmap)
		err = file_allocate(file, FALLOC_FL_PUNCH_HOLE, offset, len);
	if (err == -EOPNOTSUPP)
		err = file_allocate(file, FALLOC_FL_ZERO_RANGE, offset, len);
	if (err == -EOPNOTSUPP)
		err = file_fill_zeroes(file, offset, len);
	return err;
}
