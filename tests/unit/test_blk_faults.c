/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that fails under a disk: each kind of error at each system call of each request. The guest
 * gets S_IOERR for that request alone, and the device goes on. And a host that fails while a disk
 * is opened: one line says why. This program has its own system calls, which the linker takes
 * before those of libc.
 */
#include "capture.h"
#include "test_blk.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/syscall.h>
#include <sys/uio.h>

#define LEN (3 * SECTOR)
#define AT 7	  /* the sector that requests are about */
#define PART 700u /* a short transfer */

static const int errors[] = {EIO, ENOSPC, EFBIG, EDQUOT, EROFS, ENODEV, EAGAIN, ENOMEM, ESTALE};

/* What the host does. Calls are counted from 1; fail_at 0 is never. */
static struct {
	bool short_transfers;
	unsigned int calls, fail_at, interrupts;
	int error;
	int zero_at; /* this call transfers nothing and says so */
	int refuses; /* mode bits of fallocate that the file system does not know */
} host;

static void host_reset(unsigned int fail_at, int error)
{
	host.calls = 0;
	host.fail_at = fail_at;
	host.error = error;
}

/* True if this call is to fail; errno says how. */
static bool host_fails(void)
{
	host.calls++;
	if (host.interrupts) {
		host.interrupts--;
		errno = EINTR;
		return true;
	}
	errno = host.error;
	return host.calls == host.fail_at;
}

static ssize_t transfer(long number, int fd, const struct iovec *iov, int nr, off_t offset)
{
	struct iovec first = iov[0];

	if (host_fails())
		return -1;
	if (host.zero_at == (int)host.calls)
		return 0;
	if (!host.short_transfers)
		return syscall(number, fd, iov, nr, offset, 0);
	first.iov_len = MIN(first.iov_len, PART);
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

int fdatasync(int fd)
{
	return host_fails() ? -1 : (int)syscall(SYS_fdatasync, fd);
}

int fallocate(int fd, int mode, off_t offset, off_t len)
{
	if (host_fails())
		return -1;
	if (mode & host.refuses) {
		errno = EOPNOTSUPP;
		return -1;
	}
	/* A disk in memory knows holes only, which read as zeroes as well. */
	if (mode & FALLOC_FL_ZERO_RANGE)
		mode ^= FALLOC_FL_ZERO_RANGE | FALLOC_FL_PUNCH_HOLE;
	return (int)syscall(SYS_fallocate, fd, mode, offset, len);
}

/*
 * The way to an open disk
 */

#define DEVICE_BLOCK 4096

enum step { NONE, OPEN, STAT, GET_SIZE, GET_BLOCK, LOCK };

static struct {
	enum step fails;
	int error;
	bool block_device; /* what is opened says it is one */
} opening;

static int step_fails(enum step step)
{
	if (opening.fails != step)
		return 0;
	errno = opening.error;
	return -1;
}

/* By another name here, as the headers may have them as inline functions. */
int own_open(const char *path, int flags, int mode) __asm__("open");
int own_open_2(const char *path, int flags) __asm__("__open_2");
int own_fstat(int fd, struct stat *ret_stat) __asm__("fstat");
int own_ioctl(int fd, unsigned long request, void *arg) __asm__("ioctl");
int own_flock(int fd, int operation) __asm__("flock");

int own_open(const char *path, int flags, int mode)
{
	int fd;

	if (strcmp(path, "disk") != 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	if (step_fails(OPEN))
		return -1;
	fd = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	return fd;
}

int own_open_2(const char *path, int flags)
{
	return own_open(path, flags, 0);
}

int own_fstat(int fd, struct stat *ret_stat)
{
	if (step_fails(STAT) || syscall(SYS_fstat, fd, ret_stat))
		return -1;
	if (opening.block_device)
		ret_stat->st_mode = S_IFBLK;
	return 0;
}

int own_ioctl(int fd, unsigned long request, void *arg)
{
	switch (request) {
	case BLKGETSIZE64:
		*(uint64_t *)arg = 2 * DISK_SIZE;
		return step_fails(GET_SIZE);
	case BLKSSZGET:
		*(int *)arg = DEVICE_BLOCK;
		return step_fails(GET_BLOCK);
	}
	return (int)syscall(SYS_ioctl, fd, request, arg);
}

int own_flock(int fd, int operation)
{
	return step_fails(LOCK) ? -1 : (int)syscall(SYS_flock, fd, operation);
}

static void each_step_of_opening(void **state)
{
#define WRITING(text) \
	"husk: cannot open disk \"disk\" for writing: " text "; " \
	"open it read-only (\",ro\") or make it writable for this user\n"
#define OPENING(text) "husk: cannot open disk \"disk\": " text "\n"
	static const struct {
		enum step step;
		int error;
		bool read_only;
		const char *line;
	} rows[] = {
		{OPEN, EACCES, false, WRITING("Permission denied")},
		{OPEN, EPERM, false, WRITING("Operation not permitted")},
		{OPEN, EROFS, false, WRITING("Read-only file system")},
		{OPEN, ETXTBSY, false, WRITING("Text file busy")},
		{OPEN, EACCES, true, OPENING("Permission denied")},
		{OPEN, EMFILE, false, OPENING("Too many open files")},
		{STAT, EIO, false, OPENING("Input/output error")},
		{GET_SIZE, EIO, false, OPENING("Input/output error")},
		{GET_BLOCK, EIO, false, OPENING("Input/output error")},
		{LOCK, ENOLCK, false,
		 "husk: cannot lock disk \"disk\": No locks available; "
		 "copy it to a file system with locks\n"},
	};
	const int before = dup(STDERR_FILENO);
	struct blk_file file;
	struct capture capture;
	size_t i;
	int err;

	(void)state;
	close(before);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		opening.fails = rows[i].step;
		opening.error = rows[i].error;
		opening.block_device = rows[i].step == GET_SIZE || rows[i].step == GET_BLOCK;
		file.fd = 12345;
		capture_begin(&capture, STDERR_FILENO);
		err = blk_file_open(&file, "disk", rows[i].read_only);
		opening.fails = NONE;
		opening.block_device = false;
		capture_end(&capture);
		assert_int_equal(err, -rows[i].error);
		assert_string_equal(capture.text, rows[i].line);
		assert_int_equal(file.fd, -1);
		/* Nothing is left open. */
		assert_int_equal(dup(STDERR_FILENO), before);
		close(before);
	}
}

/* It says itself how big it is, and what its blocks are. */
static void a_block_device_is_opened(void **state)
{
	struct blk_file file;

	(void)state;
	opening.block_device = true;
	assert_int_equal(blk_file_open(&file, "disk", true), 0);
	opening.block_device = false;
	assert_int_equal(file.size, 2 * DISK_SIZE);
	assert_int_equal(file.block_size, DEVICE_BLOCK);
	blk_file_close(&file);
}

/*
 * Requests
 */

static int setup_faults(void **state)
{
	memset(&host, 0, sizeof(host));
	return setup(state);
}

#undef TEST
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup_faults, teardown)

/* One request of a kind; `ranges` of one sector each for those that take ranges. */
static uint8_t run(struct fixture *f, uint32_t type, unsigned int ranges)
{
	struct virtio_blk_discard_write_zeroes range = {.num_sectors = LEN / SECTOR};
	unsigned int i;

	if (!ranges)
		return request(f, type, AT, type == VIRTIO_BLK_T_FLUSH ? 0 : LEN);
	for (i = 0; i < ranges; i++) {
		range.sector = AT + 8 * i;
		memcpy(data(f) + i * sizeof(range), &range, sizeof(range));
	}
	return request(f, type, 0, ranges * sizeof(range));
}

static const struct {
	uint32_t type;
	unsigned int ranges;
	int refuses;
	bool write_through;
	unsigned int calls; /* of the host, with short transfers */
} requests[] = {
	{VIRTIO_BLK_T_IN, 0, 0, false, 3},
	{VIRTIO_BLK_T_OUT, 0, 0, false, 3},
	{VIRTIO_BLK_T_OUT, 0, 0, true, 4},
	{VIRTIO_BLK_T_FLUSH, 0, 0, false, 1},
	{VIRTIO_BLK_T_DISCARD, 3, 0, false, 3},
	{VIRTIO_BLK_T_DISCARD, 3, 0, true, 4},
	{VIRTIO_BLK_T_WRITE_ZEROES, 1, 0, false, 1},
	{VIRTIO_BLK_T_WRITE_ZEROES, 1, 0, true, 2},
	{VIRTIO_BLK_T_WRITE_ZEROES, 1, FALLOC_FL_ZERO_RANGE, true, 5},
};

/* A device of its own, as a flush that failed is for good, and new rings in the old one's place. */
static void prepare(struct fixture *f, size_t i)
{
	const uint64_t without = requests[i].write_through ? FEATURE(VIRTIO_BLK_F_FLUSH) : 0;
	const gpa_t rings = FAKE_RAM_BASE + DATA_SIZE + KIB(4);

	memset(fake_ptr(&f->guest, rings, KIB(64)), 0, KIB(64));
	f->guest.next_free = rings;
	device_replace(f, dup(f->fd), false, without);
	host.short_transfers = true;
	host.refuses = requests[i].refuses;
}

static void each_error_at_each_call(void **state)
{
	struct fixture *f = *state;
	unsigned int at;
	size_t i, error;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		for (at = 1; at <= requests[i].calls; at++) {
			for (error = 0; error < ARRAY_SIZE(errors); error++) {
				prepare(f, i);
				host_reset(at, errors[error]);
				assert_int_equal(run(f, requests[i].type, requests[i].ranges),
						 VIRTIO_BLK_S_IOERR);
				/* It gave up there, and no data are said to be the guest's. */
				assert_int_equal(host.calls, at);
				assert_int_equal(f->used_len, 1);
				host_reset(0, 0);
				assert_running(f);
			}
		}
		prepare(f, i);
		host_reset(0, 0);
		assert_int_equal(run(f, requests[i].type, requests[i].ranges), VIRTIO_BLK_S_OK);
		assert_int_equal(host.calls, requests[i].calls);
	}
}

/* Whoever runs the host reads why, once for each. */
static void each_failure_is_told(void **state)
{
	struct fixture *f = *state;
	struct capture capture;
	size_t i;

	log_set_level(LOG_WARN);
	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		prepare(f, i);
		host_reset(1, ENOSPC);
		capture_begin(&capture, STDERR_FILENO);
		run(f, requests[i].type, requests[i].ranges);
		capture_end(&capture);
		assert_string_equal(capture.text, "husk: disk \"disk-id\": No space left "
						  "on device; the guest sees an I/O error\n");
	}
}

/* However often, at whichever call: it is no error. */
static void interrupted_at_each_call(void **state)
{
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(requests); i++) {
		prepare(f, i);
		host_reset(0, 0);
		host.interrupts = 1000;
		assert_int_equal(run(f, requests[i].type, requests[i].ranges), VIRTIO_BLK_S_OK);
		assert_int_equal(host.calls, 1000 + requests[i].calls);
	}
}

/* What a short or a failed transfer leaves: the part before it new, all else as it was. */
static void nothing_else_is_touched(void **state)
{
	const unsigned int written = 2 * PART;
	struct fixture *f = *state;
	unsigned char disk[LEN];

	disk_fill(f, 0x11);
	memset(data(f), 0x22, LEN);
	host.short_transfers = true;
	host_reset(3, ENOSPC);
	assert_int_equal(run(f, VIRTIO_BLK_T_OUT, 0), VIRTIO_BLK_S_IOERR);
	host_reset(0, 0);
	assert_disk(f, 0, AT, 0x11);
	assert_disk(f, AT + LEN / SECTOR, SECTORS - AT - LEN / SECTOR, 0x11);
	disk_read(f, AT, disk, sizeof(disk));
	assert_int_equal(disk[written - 1], 0x22);
	assert_int_equal(disk[written], 0x11);
	assert_int_equal(disk[LEN - 1], 0x11);
	/* And again, with room. */
	assert_int_equal(run(f, VIRTIO_BLK_T_OUT, 0), VIRTIO_BLK_S_OK);
	assert_disk(f, AT, LEN / SECTOR, 0x22);
}

/* A call that moves nothing must not be made for ever. */
static void no_progress_is_an_error(void **state)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT};
	struct fixture *f = *state;
	size_t i;

	host.short_transfers = true;
	host.zero_at = 2;
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		/* What an older call left in errno says nothing. */
		host_reset(0, EINTR);
		assert_int_equal(run(f, types[i], 0), VIRTIO_BLK_S_IOERR);
		assert_int_equal(host.calls, 2);
	}
}

/*
 * The kernel tells of data that it could not write once, and drops them; the next fdatasync says
 * all is well. No later flush may say so: not of another file system on the same disk, not after
 * a reset of the device.
 */
static void a_failed_flush_is_for_good(void **state)
{
	const uint64_t features = fake_offered_features(&((struct fixture *)*state)->guest);
	struct fixture *f = *state;
	int pass;

	host_reset(1, EIO);
	assert_int_equal(run(f, VIRTIO_BLK_T_FLUSH, 0), VIRTIO_BLK_S_IOERR);
	for (pass = 0; pass < 3; pass++) {
		host_reset(0, 0);
		assert_int_equal(run(f, VIRTIO_BLK_T_FLUSH, 0), VIRTIO_BLK_S_IOERR);
		/* What needs no flush goes on. */
		assert_int_equal(run(f, VIRTIO_BLK_T_OUT, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(run(f, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
		fake_guest_start(&f->guest, features, QUEUE_SIZE);
	}
	fake_guest_start(&f->guest, features & ~FEATURE(VIRTIO_BLK_F_FLUSH), QUEUE_SIZE);
	assert_int_equal(run(f, VIRTIO_BLK_T_OUT, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(run(f, VIRTIO_BLK_T_IN, 0), VIRTIO_BLK_S_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_step_of_opening), cmocka_unit_test(a_block_device_is_opened),
		TEST(each_error_at_each_call),		TEST(each_failure_is_told),
		TEST(interrupted_at_each_call),		TEST(nothing_else_is_touched),
		TEST(no_progress_is_an_error),		TEST(a_failed_flush_is_for_good),
	};

	/* A device that spins is a failure, not a wait. */
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
