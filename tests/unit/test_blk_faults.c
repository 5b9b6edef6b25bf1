/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that fails under a disk: each kind of error at each system call of each request. The guest
 * gets S_IOERR for that request alone, and the device goes on. This program has its own preadv,
 * pwritev, fdatasync and fallocate, which the linker takes before those of libc.
 */
#include "test_blk.h"

#include <errno.h>
#include <linux/falloc.h>
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
		host_reset(0, 0);
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
		TEST(each_error_at_each_call),	  TEST(interrupted_at_each_call),
		TEST(nothing_else_is_touched),	  TEST(no_progress_is_an_error),
		TEST(a_failed_flush_is_for_good),
	};

	/* A device that spins is a failure, not a wait. */
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
