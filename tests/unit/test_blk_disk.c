/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Operations on a disk over a kernel whose every answer the test gives, in any order: what is cut
 * short goes on, what is refused is made at once, flushes are made one at a time, neighbours share
 * a call. This program has its own io_uring, which the linker takes before that of liburing.
 */
#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <linux/falloc.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "blk_disk.h"
#include "util.h"

#define SECTOR 512u
#define DISK_SIZE MIB(4)

/* The kernel. */
static struct {
	int setup_error;
	unsigned int files, restrictions; /* registered */
	bool enabled;
	int submit_error;	  /* what io_uring_submit fails with once nothing more is taken */
	unsigned int takes;	  /* how many calls it takes until then */
	unsigned int submissions; /* of io_uring_submit */
	struct io_uring_sqe pending[2 * BLK_DISK_IOS_MAX];
	unsigned int nr_pending;
	unsigned int khead, ktail, cq_head, cq_tail;
	struct io_uring_sqe sqes[BLK_DISK_IOS_MAX];
	struct io_uring_cqe cqes[2 * BLK_DISK_IOS_MAX];
} kernel;

int io_uring_queue_init(unsigned entries, struct io_uring *ring, unsigned flags)
{
	assert_int_equal(entries, BLK_DISK_IOS_MAX);
	assert_int_equal(flags, IORING_SETUP_R_DISABLED);
	if (kernel.setup_error)
		return kernel.setup_error;
	*ring = (struct io_uring){.features = IORING_FEAT_SUBMIT_STABLE};
	ring->sq.khead = &kernel.khead;
	ring->sq.ktail = &kernel.ktail;
	ring->sq.sqes = kernel.sqes;
	ring->sq.ring_mask = BLK_DISK_IOS_MAX - 1;
	ring->sq.ring_entries = BLK_DISK_IOS_MAX;
	ring->cq.khead = &kernel.cq_head;
	ring->cq.ktail = &kernel.cq_tail;
	ring->cq.cqes = kernel.cqes;
	ring->cq.ring_mask = 2 * BLK_DISK_IOS_MAX - 1;
	ring->ring_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return 0;
}

void io_uring_queue_exit(struct io_uring *ring)
{
	close(ring->ring_fd);
}

int io_uring_register_files(struct io_uring *ring, const int *files, unsigned nr)
{
	(void)ring;
	assert_true(files[0] >= 0 && !kernel.enabled);
	kernel.files = nr;
	return 0;
}

int io_uring_register_restrictions(struct io_uring *ring, struct io_uring_restriction *rules,
				   unsigned int nr)
{
	(void)ring;
	assert_true(rules && !kernel.enabled);
	kernel.restrictions = nr;
	return 0;
}

int io_uring_register_iowq_max_workers(struct io_uring *ring, unsigned int *values)
{
	(void)ring;
	assert_true(values[0] && values[1]);
	return -EINVAL; /* an old kernel */
}

int io_uring_enable_rings(struct io_uring *ring)
{
	(void)ring;
	kernel.enabled = true;
	return 0;
}

int io_uring_submit(struct io_uring *ring)
{
	unsigned int queued = ring->sq.sqe_tail - ring->sq.sqe_head;
	int taken = 0;

	kernel.submissions++;
	assert_true(queued <= BLK_DISK_IOS_MAX);
	kernel.ktail += queued;
	ring->sq.sqe_head = ring->sq.sqe_tail;
	assert_int_equal(kernel.ktail, ring->sq.sqe_tail);
	for (; kernel.khead != kernel.ktail && kernel.takes; kernel.khead++, kernel.takes--) {
		kernel.pending[kernel.nr_pending++] = kernel.sqes[kernel.khead % BLK_DISK_IOS_MAX];
		taken++;
	}
	return taken ? taken : kernel.submit_error;
}

/* Answers pending call `at` with `result`. */
static void complete(unsigned int at, int result)
{
	assert_true(at < kernel.nr_pending);
	kernel.cqes[kernel.cq_tail % (2 * BLK_DISK_IOS_MAX)] =
		(struct io_uring_cqe){.user_data = kernel.pending[at].user_data, .res = result};
	kernel.nr_pending--;
	memmove(&kernel.pending[at], &kernel.pending[at + 1],
		(kernel.nr_pending - at) * sizeof(kernel.pending[0]));
	__atomic_store_n(&kernel.cq_tail, kernel.cq_tail + 1, __ATOMIC_RELEASE);
}

static void assert_pending(unsigned int at, int opcode, uint64_t offset)
{
	const struct io_uring_sqe *sqe = &kernel.pending[at];

	assert_true(at < kernel.nr_pending);
	assert_int_equal(sqe->opcode, opcode);
	assert_int_equal(sqe->flags, IOSQE_FIXED_FILE);
	assert_int_equal(sqe->fd, 0);
	assert_int_equal(sqe->off, offset);
}

/*
 * A disk.
 */

struct fixture {
	struct blk_disk disk;
	struct blk_io ios[BLK_DISK_IOS_MAX];
	struct iovec iovs[BLK_DISK_IOS_MAX][2];
	char data[BLK_DISK_IOS_MAX][2 * SECTOR];
};

static struct blk_file memory_file(void)
{
	struct blk_file file = {.fd = memfd_create("disk", MFD_CLOEXEC),
				.can_discard = true,
				.size = DISK_SIZE,
				.block_size = SECTOR,
				.is_async = true};

	assert_int_equal(ftruncate(file.fd, DISK_SIZE), 0);
	file.async_fd = dup(file.fd);
	return file;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct blk_file file = memory_file();

	memset(&kernel, 0, sizeof(kernel));
	kernel.takes = UINT32_MAX;
	assert_int_equal(blk_disk_init(&f->disk, &file), 0);
	assert_true(kernel.enabled && kernel.files == 1 && kernel.restrictions);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	blk_disk_fini(&f->disk);
	free(f);
	return 0;
}

/* Operation `at`, of two iovecs of a sector each. */
static void start(struct fixture *f, unsigned int at, enum blk_io_kind kind, uint64_t offset)
{
	f->ios[at] = (struct blk_io){.kind = kind, .offset = offset, .err = 1};
	if (kind == BLK_IO_READ || kind == BLK_IO_WRITE) {
		f->iovs[at][0] = (struct iovec){f->data[at], SECTOR};
		f->iovs[at][1] = (struct iovec){f->data[at] + SECTOR, SECTOR};
		f->ios[at].iov = f->iovs[at];
		f->ios[at].nr_iov = 2;
	} else if (kind != BLK_IO_FLUSH) {
		f->ios[at].len = KIB(300);
	}
	blk_disk_start(&f->disk, &f->ios[at]);
	blk_disk_submit(&f->disk);
}

static void assert_done(struct fixture *f, unsigned int at, int err)
{
	struct blk_io *io = blk_disk_take(&f->disk);

	assert_ptr_equal(io, &f->ios[at]);
	assert_int_equal(io->err, err);
}

static void assert_nothing_done(struct fixture *f)
{
	assert_null(blk_disk_take(&f->disk));
	blk_disk_submit(&f->disk);
}

static void no_ring(void **state)
{
	struct blk_file file = memory_file();
	struct fixture *f = *state;
	int fd = file.async_fd;

	blk_disk_fini(&f->disk);
	kernel.setup_error = -EPERM;
	assert_int_equal(blk_disk_init(&f->disk, &file), -EPERM);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
	assert_int_equal(blk_disk_fd(&f->disk), -1);
	start(f, 0, BLK_IO_WRITE, 0);
	assert_done(f, 0, 0);
	start(f, 1, BLK_IO_FLUSH, 0);
	assert_done(f, 1, 0);
	assert_int_equal(kernel.submissions, 0);
}

static void done_in_any_order(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	/* All in one submission. */
	for (i = 0; i < 3; i++) {
		f->iovs[i][0] = (struct iovec){f->data[i], SECTOR};
		f->ios[i] = (struct blk_io){.kind = i == 1 ? BLK_IO_WRITE : BLK_IO_READ,
					    .iov = f->iovs[i],
					    .nr_iov = 1,
					    .offset = i * MIB(1)};
		blk_disk_start(&f->disk, &f->ios[i]);
	}
	assert_int_equal(kernel.submissions, 0);
	blk_disk_submit(&f->disk);
	assert_int_equal(kernel.submissions, 1);
	assert_pending(0, IORING_OP_READV, 0);
	assert_pending(1, IORING_OP_WRITEV, MIB(1));
	assert_pending(2, IORING_OP_READV, MIB(2));
	assert_nothing_done(f);
	complete(2, SECTOR);
	complete(0, -ENOSPC);
	assert_done(f, 2, 0);
	assert_done(f, 0, -ENOSPC);
	assert_nothing_done(f);
	complete(0, SECTOR);
	assert_done(f, 1, 0);
}

static void what_is_cut_short_goes_on(void **state)
{
	struct fixture *f = *state;
	const struct iovec *iov;

	start(f, 0, BLK_IO_READ, 4096);
	complete(0, 100);
	assert_nothing_done(f);
	assert_pending(0, IORING_OP_READV, 4196);
	iov = (const struct iovec *)(uintptr_t)kernel.pending[0].addr;
	assert_int_equal(kernel.pending[0].len, 2);
	assert_ptr_equal(iov[0].iov_base, f->data[0] + 100);
	assert_int_equal(iov[0].iov_len, SECTOR - 100);
	complete(0, -EINTR);
	assert_nothing_done(f);
	assert_pending(0, IORING_OP_READV, 4196);
	complete(0, SECTOR - 100);
	assert_nothing_done(f);
	assert_pending(0, IORING_OP_READV, 4096 + SECTOR);
	assert_int_equal(kernel.pending[0].len, 1);
	complete(0, SECTOR - 1);
	assert_nothing_done(f);
	assert_pending(0, IORING_OP_READV, 4096 + 2 * SECTOR - 1);
	complete(0, 1);
	assert_done(f, 0, 0);
	/* The end of a file that was truncated. */
	start(f, 1, BLK_IO_READ, 0);
	complete(0, SECTOR);
	assert_nothing_done(f);
	complete(0, 0);
	assert_done(f, 1, -EIO);
	assert_int_equal(kernel.nr_pending, 0);
}

static void zeroes_by_every_way(void **state)
{
	struct fixture *f = *state;

	f->ios[0] = (struct blk_io){.kind = BLK_IO_ZEROES, .len = KIB(300), .unmap = true};
	blk_disk_start(&f->disk, &f->ios[0]);
	blk_disk_submit(&f->disk);
	assert_pending(0, IORING_OP_FALLOCATE, 0);
	assert_int_equal(kernel.pending[0].len, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE);
	complete(0, -EOPNOTSUPP);
	assert_nothing_done(f);
	assert_pending(0, IORING_OP_FALLOCATE, 0);
	assert_int_equal(kernel.pending[0].len, FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE);
	assert_int_equal(kernel.pending[0].addr, KIB(300));
	complete(0, -EOPNOTSUPP);
	assert_nothing_done(f);
	assert_pending(0, IORING_OP_WRITEV, 0);
	complete(0, (int)KIB(200));
	assert_nothing_done(f);
	assert_pending(0, IORING_OP_WRITEV, KIB(200));
	complete(0, (int)KIB(100));
	assert_done(f, 0, 0);
	/* What cannot be discarded stays. */
	start(f, 1, BLK_IO_DISCARD, 0);
	complete(0, -EOPNOTSUPP);
	assert_done(f, 1, -EOPNOTSUPP);
	/* Nor is writing tried for another reason. */
	start(f, 2, BLK_IO_ZEROES, 0);
	complete(0, -ENOSPC);
	assert_done(f, 2, -ENOSPC);
	assert_int_equal(kernel.nr_pending, 0);
}

/*
 * What was asked for while a flush was under way is not covered by it, and the kernel may tell
 * either of two of them of lost data.
 */
static void one_flush_at_a_time(void **state)
{
	struct fixture *f = *state;

	start(f, 0, BLK_IO_FLUSH, 0);
	start(f, 1, BLK_IO_FLUSH, 0);
	start(f, 2, BLK_IO_WRITE, 0);
	start(f, 3, BLK_IO_FLUSH, 0);
	assert_int_equal(kernel.nr_pending, 2);
	assert_pending(0, IORING_OP_FSYNC, 0);
	assert_int_equal(kernel.pending[0].fsync_flags, IORING_FSYNC_DATASYNC);
	/* A write does not wait for it. */
	complete(1, 2 * SECTOR);
	assert_done(f, 2, 0);
	complete(0, -EINTR);
	assert_nothing_done(f);
	complete(0, 0);
	assert_done(f, 0, 0);
	assert_nothing_done(f);
	assert_int_equal(kernel.nr_pending, 1);
	start(f, 4, BLK_IO_FLUSH, 0);
	complete(0, 0);
	assert_done(f, 1, 0);
	assert_done(f, 3, 0);
	assert_nothing_done(f);
	complete(0, 0);
	assert_done(f, 4, 0);
	assert_int_equal(kernel.nr_pending, 0);
}

static void a_failed_flush_is_for_good(void **state)
{
	struct fixture *f = *state;

	start(f, 0, BLK_IO_FLUSH, 0);
	start(f, 1, BLK_IO_FLUSH, 0);
	complete(0, -EIO);
	assert_done(f, 0, -EIO);
	assert_done(f, 1, -EIO);
	start(f, 2, BLK_IO_FLUSH, 0);
	assert_done(f, 2, -EIO);
	assert_int_equal(kernel.nr_pending, 0);
	/* What needs no flush goes on. */
	start(f, 3, BLK_IO_WRITE, 0);
	complete(0, 2 * SECTOR);
	assert_done(f, 3, 0);
}

/* The kernel has no memory, or may make no thread: the call is made here. */
static void what_is_refused_is_made_at_once(void **state)
{
	static const int refusals[] = {-EAGAIN, -ECANCELED};
	struct fixture *f = *state;
	char disk[2 * SECTOR];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(refusals); i++) {
		memset(f->data[0], 'a' + (int)i, sizeof(f->data[0]));
		start(f, 0, BLK_IO_WRITE, 4096);
		complete(0, refusals[i]);
		assert_done(f, 0, 0);
		assert_int_equal(pread(f->disk.file.fd, disk, sizeof(disk), 4096), sizeof(disk));
		assert_memory_equal(disk, f->data[0], sizeof(disk));
		start(f, 1, BLK_IO_FLUSH, 0);
		start(f, 2, BLK_IO_FLUSH, 0);
		complete(0, refusals[i]);
		assert_done(f, 1, 0);
		assert_nothing_done(f);
		complete(0, refusals[i]);
		assert_done(f, 2, 0);
	}
	assert_int_equal(kernel.nr_pending, 0);
}

/* It takes some of what is submitted. */
static void what_is_not_taken_is_made_at_once(void **state)
{
	static const int errors[] = {-EAGAIN, -EBUSY, -EBADF, 0};
	struct fixture *f = *state;
	unsigned int i, e;

	for (e = 0; e < ARRAY_SIZE(errors); e++) {
		kernel.submit_error = errors[e];
		kernel.takes = 1;
		for (i = 0; i < 4; i++) {
			f->iovs[i][0] = (struct iovec){f->data[i], SECTOR};
			f->ios[i] = (struct blk_io){.kind = BLK_IO_WRITE,
						    .iov = f->iovs[i],
						    .nr_iov = 1,
						    .offset = i * KIB(4)};
			blk_disk_start(&f->disk, &f->ios[i]);
		}
		blk_disk_submit(&f->disk);
		assert_int_equal(kernel.nr_pending, 1);
		for (i = 3; i > 0; i--)
			assert_done(f, i, 0);
		assert_nothing_done(f);
		complete(0, SECTOR);
		assert_done(f, 0, 0);
		/* The ring goes on as if it had not been. */
		kernel.takes = UINT32_MAX;
		start(f, 0, BLK_IO_READ, 0);
		complete(0, 2 * SECTOR);
		assert_done(f, 0, 0);
	}
}

static void as_many_as_there_are_places(void **state)
{
	struct fixture *f = *state;
	unsigned int i, round;

	for (round = 0; round < 5; round++) {
		for (i = 0; i < BLK_DISK_IOS_MAX; i++)
			start(f, i, BLK_IO_READ, i * KIB(4));
		assert_int_equal(kernel.nr_pending, BLK_DISK_IOS_MAX);
		for (i = BLK_DISK_IOS_MAX; i-- > 0;)
			complete(i, 1);
		assert_nothing_done(f);
		for (i = BLK_DISK_IOS_MAX; i-- > 0;)
			complete(i, 2 * SECTOR - 1);
		for (i = 0; i < BLK_DISK_IOS_MAX; i++)
			assert_done(f, i, 0);
	}
}

/* After it, the kernel knows of nothing, nothing was started anew, and nothing comes back. */
static void a_drain_gives_all_up(void **state)
{
	struct fixture *f = *state;
	unsigned int submissions;

	start(f, 0, BLK_IO_READ, 0);
	start(f, 1, BLK_IO_FLUSH, 0);
	start(f, 2, BLK_IO_FLUSH, 0);
	start(f, 3, BLK_IO_WRITE, 0);
	start(f, 4, BLK_IO_WRITE, 0);
	submissions = kernel.submissions;
	complete(3, 2 * SECTOR); /* done, and not taken */
	complete(0, 100);	 /* would go on */
	complete(1, -EAGAIN);	 /* would be made at once */
	complete(0, 0);		 /* would be followed by the next flush */
	assert_true(blk_disk_drain(&f->disk, 0));
	assert_null(blk_disk_take(&f->disk));
	assert_int_equal(kernel.submissions, submissions);
	assert_int_equal(kernel.nr_pending, 0);
	start(f, 5, BLK_IO_FLUSH, 0);
	complete(0, 0);
	assert_done(f, 5, 0);
}

/* Of the write back that a flush could not do, the kernel will not tell again. */
static void a_flush_that_fails_in_a_drain_counts(void **state)
{
	struct fixture *f = *state;

	start(f, 0, BLK_IO_FLUSH, 0);
	complete(0, -EIO);
	assert_true(blk_disk_drain(&f->disk, 0));
	start(f, 1, BLK_IO_FLUSH, 0);
	assert_done(f, 1, -EIO);
}

/* Operations 0 to `end`, which lie next to each other on the disk from 0 on. */
static void start_row(struct fixture *f, unsigned int end, enum blk_io_kind kind)
{
	unsigned int i;

	for (i = 0; i < end; i++) {
		memset(f->data[i], 'a' + (int)i, sizeof(f->data[i]));
		f->iovs[i][0] = (struct iovec){f->data[i], SECTOR};
		f->iovs[i][1] = (struct iovec){f->data[i] + SECTOR, SECTOR};
		f->ios[i] = (struct blk_io){.kind = kind,
					    .iov = f->iovs[i],
					    .nr_iov = 2,
					    .offset = (uint64_t)i * 2 * SECTOR,
					    .err = 1};
		blk_disk_start(&f->disk, &f->ios[i]);
	}
}

static void assert_on_disk(struct fixture *f, unsigned int nr)
{
	char data[2 * SECTOR];
	unsigned int i;

	for (i = 0; i < nr; i++) {
		assert_int_equal(pread(f->disk.file.fd, data, sizeof(data), i * 2 * SECTOR),
				 sizeof(data));
		assert_memory_equal(data, f->data[i], sizeof(data));
	}
}

static void neighbours_share_a_call(void **state)
{
	struct fixture *f = *state;
	const struct iovec *iov;
	unsigned int i;

	start_row(f, 3, BLK_IO_WRITE);
	start(f, 3, BLK_IO_READ, 6 * SECTOR); /* not of their kind */
	start(f, 4, BLK_IO_READ, 0);
	assert_int_equal(kernel.nr_pending, 3);
	assert_pending(0, IORING_OP_WRITEV, 0);
	assert_pending(1, IORING_OP_READV, 6 * SECTOR);
	iov = (const struct iovec *)(uintptr_t)kernel.pending[0].addr;
	assert_int_equal(kernel.pending[0].len, 6);
	for (i = 0; i < 6; i++) {
		assert_ptr_equal(iov[i].iov_base, f->data[i / 2] + i % 2 * SECTOR);
		assert_int_equal(iov[i].iov_len, SECTOR);
	}
	complete(0, 6 * SECTOR);
	for (i = 0; i < 3; i++)
		assert_done(f, i, 0);
	assert_nothing_done(f);
	complete(0, 2 * SECTOR);
	complete(0, 2 * SECTOR);
	assert_done(f, 3, 0);
	assert_done(f, 4, 0);
}

/* A flush that is started after them comes after them. */
static void a_row_ends_at_what_is_no_transfer(void **state)
{
	struct fixture *f = *state;

	start_row(f, 2, BLK_IO_WRITE);
	start(f, 2, BLK_IO_FLUSH, 0);
	start(f, 3, BLK_IO_WRITE, 4 * SECTOR);
	assert_pending(0, IORING_OP_WRITEV, 0);
	assert_pending(1, IORING_OP_FSYNC, 0);
	assert_pending(2, IORING_OP_WRITEV, 4 * SECTOR);
	complete(0, 4 * SECTOR);
	complete(0, 0);
	complete(0, 2 * SECTOR);
	assert_done(f, 0, 0);
	assert_done(f, 1, 0);
	assert_done(f, 2, 0);
	assert_done(f, 3, 0);
}

/* Whatever a shared call did not come to is called for by itself. */
static void each_has_its_own_result(void **state)
{
	static const int results[] = {-EIO, -EINTR, 0};
	struct fixture *f = *state;
	unsigned int i;

	start_row(f, 4, BLK_IO_READ);
	blk_disk_submit(&f->disk);
	complete(0, 2 * SECTOR + 100);
	assert_done(f, 0, 0);
	assert_nothing_done(f);
	assert_int_equal(kernel.nr_pending, 3);
	assert_pending(0, IORING_OP_READV, 2 * SECTOR + 100);
	assert_pending(1, IORING_OP_READV, 4 * SECTOR);
	assert_pending(2, IORING_OP_READV, 6 * SECTOR);
	complete(0, 2 * SECTOR - 100);
	complete(0, 2 * SECTOR);
	complete(0, 0);
	assert_done(f, 1, 0);
	assert_done(f, 2, 0);
	assert_done(f, 3, -EIO);
	for (i = 0; i < ARRAY_SIZE(results); i++) {
		start_row(f, 2, BLK_IO_WRITE);
		blk_disk_submit(&f->disk);
		complete(0, results[i]);
		assert_nothing_done(f);
		assert_pending(0, IORING_OP_WRITEV, 0);
		assert_pending(1, IORING_OP_WRITEV, 2 * SECTOR);
		complete(0, -EIO);
		complete(0, 2 * SECTOR);
		assert_done(f, 0, -EIO);
		assert_done(f, 1, 0);
	}
	assert_int_equal(kernel.nr_pending, 0);
}

static void a_row_that_is_refused_is_made_at_once(void **state)
{
	struct fixture *f = *state;
	unsigned int i;

	start_row(f, 3, BLK_IO_WRITE);
	blk_disk_submit(&f->disk);
	complete(0, -EAGAIN);
	for (i = 0; i < 3; i++)
		assert_done(f, i, 0);
	assert_on_disk(f, 3);
	kernel.submit_error = -EBUSY;
	kernel.takes = 0;
	start_row(f, 5, BLK_IO_WRITE);
	blk_disk_submit(&f->disk);
	for (i = 0; i < 5; i++)
		assert_done(f, i, 0);
	assert_on_disk(f, 5);
	assert_nothing_done(f);
}

static void a_row_without_a_ring(void **state)
{
	struct blk_file file = memory_file();
	struct fixture *f = *state;
	unsigned int i;

	blk_disk_fini(&f->disk);
	kernel.setup_error = -EPERM;
	assert_int_equal(blk_disk_init(&f->disk, &file), -EPERM);
	start_row(f, 5, BLK_IO_WRITE);
	blk_disk_submit(&f->disk);
	for (i = 0; i < 5; i++)
		assert_done(f, i, 0);
	assert_on_disk(f, 5);
	/* The file ends in the middle of one. */
	assert_int_equal(ftruncate(f->disk.file.fd, 5 * SECTOR), 0);
	start_row(f, 4, BLK_IO_READ);
	blk_disk_submit(&f->disk);
	for (i = 0; i < 4; i++)
		assert_done(f, i, i < 2 ? 0 : -EIO);
	assert_int_equal(f->data[1][2 * SECTOR - 1], 'b');
}

/* What the iovecs of shared calls have no room for is not shared. */
static void a_row_is_not_endless(void **state)
{
	enum { NR = BLK_DISK_IOVS_MAX / 3 };
	static char data[5 * NR];
	static struct iovec iovs[5 * NR];
	struct fixture *f = *state;
	unsigned int i, round;

	for (round = 0; round < 3; round++) {
		for (i = 0; i < ARRAY_SIZE(iovs); i++)
			iovs[i] = (struct iovec){&data[i], 1};
		for (i = 0; i < 5; i++) {
			f->ios[i] = (struct blk_io){.kind = BLK_IO_READ,
						    .iov = &iovs[i * NR],
						    .nr_iov = NR,
						    .offset = i * NR};
			blk_disk_start(&f->disk, &f->ios[i]);
		}
		blk_disk_submit(&f->disk);
		assert_int_equal(kernel.nr_pending, 3);
		assert_int_equal(kernel.pending[0].len, 3 * NR);
		assert_int_equal(kernel.pending[1].len, NR);
		complete(0, 3 * NR);
		complete(0, NR);
		complete(0, NR);
		for (i = 0; i < 5; i++)
			assert_done(f, i, 0);
	}
}

static void a_drain_gives_a_row_up(void **state)
{
	struct fixture *f = *state;

	start_row(f, 2, BLK_IO_WRITE);
	assert_true(blk_disk_drain(&f->disk, 0));
	assert_nothing_done(f);
	assert_int_equal(kernel.nr_pending, 0);
	start_row(f, 2, BLK_IO_WRITE);
	blk_disk_submit(&f->disk);
	assert_int_equal(kernel.pending[0].len, 4);
	complete(0, 2 * SECTOR);
	assert_true(blk_disk_drain(&f->disk, 0));
	assert_nothing_done(f);
	assert_int_equal(kernel.nr_pending, 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_ring),
		TEST(done_in_any_order),
		TEST(what_is_cut_short_goes_on),
		TEST(zeroes_by_every_way),
		TEST(one_flush_at_a_time),
		TEST(a_failed_flush_is_for_good),
		TEST(what_is_refused_is_made_at_once),
		TEST(what_is_not_taken_is_made_at_once),
		TEST(as_many_as_there_are_places),
		TEST(a_drain_gives_all_up),
		TEST(a_flush_that_fails_in_a_drain_counts),
		TEST(neighbours_share_a_call),
		TEST(a_row_ends_at_what_is_no_transfer),
		TEST(each_has_its_own_result),
		TEST(a_row_that_is_refused_is_made_at_once),
		TEST(a_row_without_a_ring),
		TEST(a_row_is_not_endless),
		TEST(a_drain_gives_a_row_up),
	};

	/* A drain that waits for what never comes is a failure. */
	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
