/* SPDX-License-Identifier: Apache-2.0 */
#include "blk_file.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <linux/magic.h>
#include <string.h>
#include <sys/file.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "util.h"

#define SECTOR_SIZE 512u

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

/*
 * Opens the disk once more, for a ring. Where that does not work, or leads to another file, there
 * is none: the disk is as good without.
 */
static void file_open_async(struct blk_file *file, const char *path)
{
	const int flags = (file->read_only ? O_RDONLY : O_RDWR) | O_CLOEXEC | O_NOCTTY;
	cleanup_fd int fd = -1;
	struct stat st, again;
	struct statfs fs;

	if (fstatfs(file->fd, &fs) || fstat(file->fd, &st) ||
	    (S_ISREG(st.st_mode) && (fs.f_type == TMPFS_MAGIC || fs.f_type == RAMFS_MAGIC)))
		return;
	fd = open(path, flags | O_NONBLOCK);
	if (fd < 0 || fstat(fd, &again) || again.st_dev != st.st_dev || again.st_ino != st.st_ino)
		return;
	/* In a ring, a file that is O_NONBLOCK gives EAGAIN instead of being waited for. */
	if (fcntl(fd, F_SETFL, 0))
		return;
	file->async_fd = steal_fd(&fd);
	file->is_async = true;
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
	file_open_async(&file, path);
	*ret_file = file;
	steal_fd(&fd);
	return 0;
}

void blk_file_close_async(struct blk_file *file)
{
	if (file->is_async)
		close_fd_ptr(&file->async_fd);
	file->is_async = false;
}

void blk_file_close(struct blk_file *file)
{
	close_fd_ptr(&file->fd);
	blk_file_close_async(file);
}
