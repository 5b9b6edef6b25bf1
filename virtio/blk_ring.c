/* SPDX-License-Identifier: Apache-2.0 */
#include "blk_ring.h"

#include <errno.h>
#include <fcntl.h>
#include <liburing.h>
#include <poll.h>
#include <stdlib.h>
#include <unistd.h>

#include "util.h"

/*
 * Kernel threads that do what cannot be done without waiting, at most: for files, and for block
 * devices. The kernel's own choice is some for each CPU of the host.
 */
#define WORKERS_MAX 8u

struct blk_ring {
	struct io_uring uring;
};

int blk_call_now(int fd, const struct blk_call *call)
{
	ssize_t ret = -1;

	switch (call->kind) {
	case BLK_CALL_READ:
		ret = preadv(fd, call->iov, (int)call->nr_iov, (off_t)call->offset);
		break;
	case BLK_CALL_WRITE:
		ret = pwritev(fd, call->iov, (int)call->nr_iov, (off_t)call->offset);
		break;
	case BLK_CALL_SYNC:
		ret = fdatasync(fd);
		break;
	case BLK_CALL_ALLOCATE:
		ret = fallocate(fd, call->mode, (off_t)call->offset, (off_t)call->len);
		break;
	}
	/* Far less than 2 GiB is asked for. */
	return ret < 0 ? -errno : (int)ret;
}

/* Linux, io_uring_register(2), IORING_REGISTER_RESTRICTIONS. No operation of register is named. */
static int ring_restrict(struct io_uring *uring, bool read_only)
{
	struct io_uring_restriction rules[] = {
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_REQUIRED, .sqe_flags = IOSQE_FIXED_FILE},
		{.opcode = IORING_RESTRICTION_SQE_FLAGS_ALLOWED, .sqe_flags = IOSQE_FIXED_FILE},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_READV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_WRITEV},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FSYNC},
		{.opcode = IORING_RESTRICTION_SQE_OP, .sqe_op = IORING_OP_FALLOCATE},
	};

	return io_uring_register_restrictions(uring, rules, read_only ? 3 : ARRAY_SIZE(rules));
}

static int ring_setup(struct io_uring *uring, int fd, bool read_only)
{
	unsigned int workers[] = {WORKERS_MAX, WORKERS_MAX};
	int err = io_uring_register_files(uring, &fd, 1);

	if (!err)
		err = ring_restrict(uring, read_only);
	/* Before Linux 5.15 there is no such limit. */
	if (!err)
		io_uring_register_iowq_max_workers(uring, workers);
	return err ? err : io_uring_enable_rings(uring);
}

int blk_ring_create(int fd, bool read_only, unsigned int entries, struct blk_ring **ret_ring)
{
	struct blk_ring *ring = calloc(1, sizeof(*ring));
	/*
	 * Disabled until the restrictions are in place. Of the flags that make rings cheaper,
	 * DEFER_TASKRUN would have results only where the loop's thread asks for them, but at a
	 * reset it is a vCPU's thread that waits.
	 */
	int err = ring ? io_uring_queue_init(entries, &ring->uring, IORING_SETUP_R_DISABLED)
		       : -ENOMEM;

	if (err) {
		free(ring);
		return err;
	}
	/* Without it, iovecs would have to stay as they are until a call is done. */
	if (!(ring->uring.features & IORING_FEAT_SUBMIT_STABLE))
		err = -ENOSYS;
	if (!err)
		err = ring_setup(&ring->uring, fd, read_only);
	if (err) {
		blk_ring_destroy(ring);
		return err;
	}
	*ret_ring = ring;
	return 0;
}

void blk_ring_destroy(struct blk_ring *ring)
{
	if (!ring)
		return;
	io_uring_queue_exit(&ring->uring);
	free(ring);
}

int blk_ring_fd(const struct blk_ring *ring)
{
	return ring->uring.ring_fd;
}

void blk_ring_queue(struct blk_ring *ring, const struct blk_call *call, void *tag)
{
	struct io_uring_sqe *sqe = io_uring_get_sqe(&ring->uring);
	const int file = 0; /* of those that are registered */

	switch (call->kind) {
	case BLK_CALL_READ:
		io_uring_prep_readv(sqe, file, call->iov, call->nr_iov, call->offset);
		break;
	case BLK_CALL_WRITE:
		io_uring_prep_writev(sqe, file, call->iov, call->nr_iov, call->offset);
		break;
	case BLK_CALL_SYNC:
		io_uring_prep_fsync(sqe, file, IORING_FSYNC_DATASYNC);
		break;
	case BLK_CALL_ALLOCATE:
		io_uring_prep_fallocate(sqe, file, call->mode, (off_t)call->offset,
					(off_t)call->len);
		break;
	}
	io_uring_sqe_set_flags(sqe, IOSQE_FIXED_FILE);
	io_uring_sqe_set_data(sqe, tag);
}

void blk_ring_submit(struct blk_ring *ring)
{
	/* It stops at one that is refused at once, which then is done, with an error. */
	while (io_uring_sq_ready(&ring->uring) && io_uring_submit(&ring->uring) > 0)
		;
}

void *blk_ring_unqueue(struct blk_ring *ring)
{
	struct io_uring_sq *sq = &ring->uring.sq;

	if (!io_uring_sq_ready(&ring->uring))
		return NULL;
	/* The kernel looks at the tail in io_uring_enter only. */
	sq->sqe_head = --sq->sqe_tail;
	io_uring_smp_store_release(sq->ktail, sq->sqe_tail);
	/* NOLINTNEXTLINE(performance-no-int-to-ptr): the kernel's type for a pointer */
	return (void *)(uintptr_t)sq->sqes[sq->sqe_tail & sq->ring_mask].user_data;
}

void *blk_ring_take(struct blk_ring *ring, int *ret_result)
{
	struct io_uring_cqe *cqe;
	unsigned int head;
	void *tag;

	/* Not io_uring_peek_cqe, which may make a call. There is always room for all results. */
	io_uring_for_each_cqe(&ring->uring, head, cqe)
	{
		*ret_result = cqe->res;
		tag = io_uring_cqe_get_data(cqe);
		io_uring_cqe_seen(&ring->uring, cqe);
		return tag;
	}
	return NULL;
}

void blk_ring_wait(const struct blk_ring *ring, int ms)
{
	struct pollfd ready = {.fd = ring->uring.ring_fd, .events = POLLIN};

	/* An error is a signal: the caller looks, and comes back. */
	poll(&ready, 1, ms);
}
