/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Disks on the host: what opens, what is told when it does not, and I/O over a kernel that does
 * half of what it was asked. For that, this program has its own preadv, pwritev and fallocate,
 * which the linker takes before those of libc.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include <cmocka.h>

#include "blk_disk.h"
#include "util.h"

#define SECTOR 512u
#define DISK_SIZE MIB(1)

/* What the interposed calls do. */
static struct {
	bool short_transfers;  /* a few bytes at a time, interrupted in between */
	int fallocate_refuses; /* these mode bits are not supported */
	unsigned int calls;
	size_t biggest;
} host;

static ssize_t transfer(long number, int fd, const struct iovec *iov, int nr, off_t offset)
{
	struct iovec first = iov[0];
	size_t total = 0;
	int i;

	for (i = 0; i < nr; i++)
		total += iov[i].iov_len;
	host.biggest = MAX(host.biggest, total);
	host.calls++;
	if (!host.short_transfers)
		return syscall(number, fd, iov, nr, offset, 0);
	if (host.calls % 3 == 0) {
		errno = EINTR;
		return -1;
	}
	/* Across an iovec now and then. */
	if (host.calls % 5 == 0 && nr > 1 && iov[0].iov_len < 100)
		return syscall(number, fd, iov, 2, offset, 0);
	first.iov_len = MIN(first.iov_len, 77);
	return syscall(number, fd, &first, 1, offset, 0);
}

ssize_t preadv(int fd, const struct iovec *iov, int nr, off_t offset)
{
	return transfer(SYS_preadv, fd, iov, nr, offset);
}

ssize_t pwritev(int fd, const struct iovec *iov, int nr, off_t offset)
{
	return transfer(SYS_pwritev, fd, iov, nr, offset);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (mode & host.fallocate_refuses) {
		errno = EOPNOTSUPP;
		return -1;
	}
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

/*
 * A folder of our own, the current one while a test runs, and what was logged.
 */
struct fixture {
	char folder[64];
	int log_fd, stderr_fd;
	char log[4096];
};

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	memset(&host, 0, sizeof(host));
	snprintf(f->folder, sizeof(f->folder), "/tmp/husk-test-XXXXXX");
	assert_non_null(mkdtemp(f->folder));
	assert_int_equal(chdir(f->folder), 0);
	f->log_fd = memfd_create("log", MFD_CLOEXEC);
	f->stderr_fd = dup(STDERR_FILENO);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	static const char *const names[] = {"disk", "fifo", "empty", "odd", "link"};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(names); i++)
		unlink(names[i]);
	rmdir("folder");
	assert_int_equal(chdir("/"), 0);
	assert_int_equal(rmdir(f->folder), 0);
	close(f->log_fd);
	close(f->stderr_fd);
	free(f);
	return 0;
}

static void make_file(const char *name, uint64_t size)
{
	int fd = open(name, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	close(fd);
}

/* Opens with the log kept; f->log is what was written. */
static int open_disk(struct fixture *f, struct blk_file *file, const char *path, bool read_only)
{
	ssize_t len;
	int err;

	assert_int_equal(ftruncate(f->log_fd, 0), 0);
	assert_int_equal(lseek(f->log_fd, 0, SEEK_SET), 0);
	dup2(f->log_fd, STDERR_FILENO);
	err = blk_file_open(file, path, read_only);
	dup2(f->stderr_fd, STDERR_FILENO);
	len = pread(f->log_fd, f->log, sizeof(f->log) - 1, 0);
	assert_true(len >= 0);
	f->log[len] = '\0';
	return err;
}

/* It fails with `expected`, holds nothing open, and says one line. */
static void assert_refused(struct fixture *f, const char *path, bool read_only, int expected,
			   const char *line)
{
	struct blk_file file = {.fd = 12345};
	int before = dup(0), after;

	close(before);
	assert_int_equal(open_disk(f, &file, path, read_only), expected);
	assert_int_equal(file.fd, -1);
	after = dup(0);
	close(after);
	assert_int_equal(before, after);
	assert_string_equal(f->log, line);
	blk_file_close(&file);
}

static void opens_a_file(void **state)
{
	struct fixture *f = *state;
	struct blk_file file;

	make_file("disk", DISK_SIZE);
	assert_int_equal(open_disk(f, &file, "disk", false), 0);
	assert_string_equal(f->log, "");
	assert_int_equal(file.size, DISK_SIZE);
	assert_int_equal(file.block_size, SECTOR);
	assert_false(file.read_only);
	assert_true(fcntl(file.fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(fcntl(file.fd, F_GETFL) & O_ACCMODE, O_RDWR);
	blk_file_close(&file);
	assert_int_equal(file.fd, -1);
	assert_int_equal(open_disk(f, &file, "disk", true), 0);
	assert_true(file.read_only);
	assert_false(file.can_discard);
	assert_int_equal(fcntl(file.fd, F_GETFL) & O_ACCMODE, O_RDONLY);
	blk_file_close(&file);
}

static void says_why_it_does_not_open(void **state)
{
	struct fixture *f = *state;

	assert_refused(f, "disk", false, -ENOENT,
		       "husk: cannot open disk \"disk\": No such file or directory\n");
	/* Nothing is ever made. */
	assert_int_equal(access("disk", F_OK), -1);
	assert_int_equal(mkdir("folder", 0700), 0);
	assert_refused(f, "folder", false, -EISDIR,
		       "husk: disk \"folder\" is a folder; name an image file or a block device\n");
	assert_refused(f, "folder", true, -EISDIR,
		       "husk: disk \"folder\" is a folder; name an image file or a block device\n");
	make_file("empty", 0);
	assert_refused(f, "empty", false, -EINVAL,
		       "husk: disk \"empty\" is empty; "
		       "an image file gets a size with \"truncate -s 1G empty\"\n");
	make_file("odd", 1000);
	assert_refused(f, "odd", true, -EINVAL,
		       "husk: disk \"odd\" has 1000 bytes, not a multiple of 512; "
		       "grow it with \"truncate -s %512 odd\"\n");
	assert_refused(f, "/dev/null", false, -EINVAL,
		       "husk: disk \"/dev/null\" is neither a file nor a block device\n");
}

/* A FIFO has no other end: an open that waits for one would never return. */
static void a_fifo_does_not_hang(void **state)
{
	struct fixture *f = *state;

	alarm(10);
	assert_int_equal(mkfifo("fifo", 0600), 0);
	assert_refused(f, "fifo", true, -EINVAL,
		       "husk: disk \"fifo\" is neither a file nor a block device\n");
	assert_refused(f, "fifo", false, -EINVAL,
		       "husk: disk \"fifo\" is neither a file nor a block device\n");
	alarm(0);
}

static void no_permission(void **state)
{
	const uid_t self = geteuid(), nobody = 65534;
	struct fixture *f = *state;
	struct blk_file file;

	make_file("disk", DISK_SIZE);
	assert_int_equal(chmod("disk", 0444), 0);
	assert_int_equal(chmod(".", 0755), 0);
	/* Root may write it all the same. */
	if (self == 0 && seteuid(nobody))
		skip();
	assert_refused(f, "disk", false, -EACCES,
		       "husk: cannot open disk \"disk\" for writing: Permission denied; "
		       "open it read-only (\",ro\") or make it writable for this user\n");
	assert_int_equal(open_disk(f, &file, "disk", true), 0);
	blk_file_close(&file);
	assert_int_equal(seteuid(self), 0);
	assert_int_equal(chmod(".", 0700), 0);
}

static void one_writer_or_many_readers(void **state)
{
	static const char in_use[] = "husk: disk \"disk\" is in use by another VM; "
				     "open it read-only there and here (\",ro\") or make a copy\n";
	struct fixture *f = *state;
	struct blk_file one, two;

	make_file("disk", DISK_SIZE);
	assert_int_equal(open_disk(f, &one, "disk", false), 0);
	assert_refused(f, "disk", false, -EWOULDBLOCK, in_use);
	assert_refused(f, "disk", true, -EWOULDBLOCK, in_use);
	/* By another name it is the same disk. */
	assert_int_equal(link("disk", "link"), 0);
	assert_int_equal(open_disk(f, &two, "link", false), -EWOULDBLOCK);
	blk_file_close(&one);
	assert_int_equal(open_disk(f, &one, "disk", true), 0);
	assert_int_equal(open_disk(f, &two, "disk", true), 0);
	assert_refused(f, "disk", false, -EWOULDBLOCK, in_use);
	blk_file_close(&one);
	blk_file_close(&two);
}

/* Whether discard works is found out without harm to what is there. */
static void discard_is_probed(void **state)
{
	struct fixture *f = *state;
	struct blk_file file;
	struct stat st;
	char byte = 0;
	int fd;

	make_file("disk", DISK_SIZE);
	fd = open("disk", O_RDWR | O_CLOEXEC);
	assert_int_equal(pwrite(fd, "x", 1, DISK_SIZE - 1), 1);
	host.fallocate_refuses = FALLOC_FL_PUNCH_HOLE;
	assert_int_equal(open_disk(f, &file, "disk", false), 0);
	assert_false(file.can_discard);
	blk_file_close(&file);
	host.fallocate_refuses = 0;
	assert_int_equal(open_disk(f, &file, "disk", false), 0);
	/* As the file system under /tmp has it. */
	assert_int_equal(
		file.can_discard,
		!syscall(SYS_fallocate, fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, 4096));
	assert_int_equal(pread(fd, &byte, 1, DISK_SIZE - 1), 1);
	assert_int_equal(byte, 'x');
	assert_int_equal(fstat(fd, &st), 0);
	assert_int_equal(st.st_size, DISK_SIZE);
	blk_file_close(&file);
	close(fd);
}

/*
 * I/O, over a disk in memory, each call made at once.
 */

static void disk_init(struct blk_disk *disk, int fd)
{
	struct blk_file file = {
		.fd = fd, .can_discard = true, .size = DISK_SIZE, .block_size = SECTOR};

	assert_int_equal(blk_disk_init(disk, &file), -EOPNOTSUPP);
	assert_int_equal(blk_disk_fd(disk), -1);
	assert_int_equal(file.fd, -1);
}

static void memory_disk(struct blk_disk *disk)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	disk_init(disk, fd);
}

static int run(struct blk_disk *disk, struct blk_io io)
{
	io.err = 1;
	blk_disk_start(disk, &io);
	blk_disk_submit(disk);
	assert_ptr_equal(blk_disk_take(disk), &io);
	assert_null(blk_disk_take(disk));
	return io.err;
}

static int transfer_at(struct blk_disk *disk, enum blk_io_kind kind, struct iovec *iov,
		       unsigned int nr, uint64_t offset)
{
	return run(disk, (struct blk_io){.kind = kind, .iov = iov, .nr_iov = nr, .offset = offset});
}

static int flush(struct blk_disk *disk)
{
	return run(disk, (struct blk_io){.kind = BLK_IO_FLUSH});
}

static int discard(struct blk_disk *disk, uint64_t offset, uint64_t len)
{
	return run(disk, (struct blk_io){.kind = BLK_IO_DISCARD, .offset = offset, .len = len});
}

static int zero(struct blk_disk *disk, uint64_t offset, uint64_t len, bool unmap)
{
	return run(disk,
		   (struct blk_io){
			   .kind = BLK_IO_ZEROES, .offset = offset, .len = len, .unmap = unmap});
}

static void transfers_are_whole(void **state)
{
	struct blk_disk disk;
	unsigned char out[1000], in[1000];
	size_t i;
	int pass;

	(void)state;
	memory_disk(&disk);
	for (pass = 0; pass < 2; pass++) {
		struct iovec from[] = {
			{out, 10}, {out + 10, 300}, {out + 310, 1}, {out + 311, 689}};
		struct iovec to[] = {{in, 1}, {in + 1, 500}, {in + 501, 80}, {in + 581, 419}};

		host.short_transfers = pass == 1;
		for (i = 0; i < sizeof(out); i++)
			out[i] = (unsigned char)(i + 31 * (size_t)pass);
		assert_int_equal(transfer_at(&disk, BLK_IO_WRITE, from, ARRAY_SIZE(from), 12345),
				 0);
		assert_int_equal(transfer_at(&disk, BLK_IO_READ, to, ARRAY_SIZE(to), 12345), 0);
		assert_memory_equal(in, out, sizeof(in));
	}
	assert_true(host.calls > 20);
	assert_int_equal(flush(&disk), 0);
	blk_disk_fini(&disk);
}

static void errors_come_back(void **state)
{
	struct blk_disk disk;
	struct blk_disk full, closed;
	char data[2 * SECTOR];
	struct iovec iov = {data, sizeof(data)};

	(void)state;
	memory_disk(&disk);
	disk_init(&full, open("/dev/full", O_RDWR | O_CLOEXEC));
	disk_init(&closed, -1);
	/* It ends in the middle of what is asked, then before it. */
	assert_int_equal(ftruncate(disk.file.fd, SECTOR), 0);
	assert_int_equal(transfer_at(&disk, BLK_IO_READ, &iov, 1, 0), -EIO);
	iov = (struct iovec){data, sizeof(data)};
	assert_int_equal(transfer_at(&disk, BLK_IO_READ, &iov, 1, 4096), -EIO);
	iov = (struct iovec){data, sizeof(data)};
	assert_int_equal(transfer_at(&full, BLK_IO_WRITE, &iov, 1, 0), -ENOSPC);
	assert_int_equal(transfer_at(&closed, BLK_IO_WRITE, &iov, 1, 0), -EBADF);
	assert_int_equal(flush(&closed), -EBADF);
	/* For good. */
	closed.file.fd = disk.file.fd;
	assert_int_equal(flush(&closed), -EBADF);
	closed.file.fd = -1;
	assert_int_equal(discard(&closed, 0, SECTOR), -EBADF);
	assert_int_equal(zero(&closed, 0, SECTOR, true), -EBADF);
	host.fallocate_refuses = FALLOC_FL_PUNCH_HOLE;
	assert_int_equal(discard(&disk, 0, SECTOR), -EOPNOTSUPP);
	blk_disk_fini(&disk);
	blk_disk_fini(&full);
	blk_disk_fini(&closed);
}

static void fill(const struct blk_disk *disk)
{
	char data[4096];
	uint64_t at;

	memset(data, 0x5a, sizeof(data));
	for (at = 0; at < DISK_SIZE; at += sizeof(data))
		assert_int_equal(pwrite(disk->file.fd, data, sizeof(data), (off_t)at),
				 sizeof(data));
}

static void assert_zeroed(const struct blk_disk *disk, uint64_t start, uint64_t len)
{
	unsigned char *data = malloc(DISK_SIZE);
	struct stat st;
	uint64_t i;

	assert_int_equal(pread(disk->file.fd, data, DISK_SIZE, 0), DISK_SIZE);
	for (i = 0; i < DISK_SIZE; i++)
		assert_int_equal(data[i], i - start < len ? 0 : 0x5a);
	assert_int_equal(fstat(disk->file.fd, &st), 0);
	assert_int_equal(st.st_size, DISK_SIZE);
	free(data);
}

/* However little the file system can do, the range is zeroes and nothing else changes. */
static void zeroes_by_every_way(void **state)
{
	static const int refused[] = {0, FALLOC_FL_PUNCH_HOLE, FALLOC_FL_ZERO_RANGE,
				      FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE};
	struct blk_disk disk;
	struct stat st;
	size_t i;

	(void)state;
	memory_disk(&disk);
	for (i = 0; i < 2 * ARRAY_SIZE(refused); i++) {
		host.fallocate_refuses = refused[i / 2];
		fill(&disk);
		assert_int_equal(zero(&disk, 3 * SECTOR, 601 * KIB(1) + SECTOR, i % 2), 0);
		assert_zeroed(&disk, 3 * SECTOR, 601 * KIB(1) + SECTOR);
	}
	/* The last way writes, in bounded pieces. */
	assert_true(host.calls > 1);
	assert_true(host.biggest <= KIB(256));
	/* Discarded, the space is given back. */
	host.fallocate_refuses = 0;
	fill(&disk);
	assert_int_equal(discard(&disk, 0, DISK_SIZE), 0);
	assert_zeroed(&disk, 0, DISK_SIZE);
	assert_int_equal(fstat(disk.file.fd, &st), 0);
	assert_int_equal(st.st_blocks, 0);
	blk_disk_fini(&disk);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(opens_a_file),
		TEST(says_why_it_does_not_open),
		TEST(a_fifo_does_not_hang),
		TEST(no_permission),
		TEST(one_writer_or_many_readers),
		TEST(discard_is_probed),
		TEST(transfers_are_whole),
		TEST(errors_come_back),
		TEST(zeroes_by_every_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
