/* SPDX-License-Identifier: Apache-2.0 */
#include "blk_disk.h"

#include <errno.h>
#include <linux/falloc.h>
#include <string.h>

#include "blk_ring.h"
#include "util.h"

#define DRAIN_LOOK_MS 10 /* how often the deadline is looked at */

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define ZERO (FALLOC_FL_ZERO_RANGE | FALLOC_FL_KEEP_SIZE)

/* What is written at once where the file system cannot make zeroes by itself. */
static char zeroes[256 << 10];

static void list_clear(struct blk_io_list *list)
{
	list->first = NULL;
	list->end = &list->first;
}

static void list_add(struct blk_io_list *list, struct blk_io *io)
{
	io->next = NULL;
	*list->end = io;
	list->end = &io->next;
}

static struct blk_io *list_take(struct blk_io_list *list)
{
	struct blk_io *io = list->first;

	if (io)
		list->first = io->next;
	if (!list->first)
		list->end = &list->first;
	return io;
}

int blk_disk_init(struct blk_disk *disk, struct blk_file *file)
{
	int err = -EOPNOTSUPP;

	*disk = (struct blk_disk){.file = *file, .flush = {.kind = BLK_IO_FLUSH}};
	file->fd = -1;
	file->is_async = false;
	list_clear(&disk->row);
	list_clear(&disk->flushing);
	list_clear(&disk->waiting);
	list_clear(&disk->done);
	if (disk->file.is_async)
		err = blk_ring_create(disk->file.async_fd, disk->file.read_only, BLK_DISK_IOS_MAX,
				      &disk->ring);
	blk_file_close_async(&disk->file);
	return err;
}

void blk_disk_fini(struct blk_disk *disk)
{
	if (disk->ring)
		blk_disk_drain(disk, 0);
	blk_ring_destroy(disk->ring);
	disk->ring = NULL;
	blk_file_close(&disk->file);
}

int blk_disk_fd(const struct blk_disk *disk)
{
	return disk->ring ? blk_ring_fd(disk->ring) : -1;
}

/* The call that is next for `io`. */
static struct blk_call io_call(const struct blk_io *io)
{
	struct blk_call call = {.iov = io->iov,
				.nr_iov = io->nr_iov,
				.mode = PUNCH,
				.offset = io->offset,
				.len = io->len};

	switch (io->kind) {
	case BLK_IO_READ:
		call.kind = BLK_CALL_READ;
		break;
	case BLK_IO_WRITE:
		call.kind = BLK_CALL_WRITE;
		break;
	case BLK_IO_FLUSH:
		call.kind = BLK_CALL_SYNC;
		break;
	case BLK_IO_DISCARD:
		call.kind = BLK_CALL_ALLOCATE;
		break;
	case BLK_IO_ZEROES:
		call.kind = io->iov ? BLK_CALL_WRITE : BLK_CALL_ALLOCATE;
		call.mode = io->unmap ? PUNCH : ZERO;
		break;
	}
	return call;
}

/* The part of a transfer that is done. True: something is left. */
static bool transfer_advance(struct blk_io *io, size_t done)
{
	io->offset += done;
	for (; io->nr_iov && done >= io->iov->iov_len; io->iov++, io->nr_iov--)
		done -= io->iov->iov_len;
	if (!io->nr_iov)
		return false;
	io->iov->iov_base = (char *)io->iov->iov_base + done;
	io->iov->iov_len -= done;
	return true;
}

/* The next piece to write of a range of zeroes; false at its end. */
static bool zeroes_advance(struct blk_io *io, size_t done)
{
	io->len -= done;
	io->offset += done;
	io->zeroes = (struct iovec){zeroes, MIN(sizeof(zeroes), io->len)};
	io->iov = &io->zeroes;
	io->nr_iov = 1;
	return io->len;
}

/* The file system does not know this way to make zeroes. True: there is another one. */
static bool zeroes_other_way(struct blk_io *io)
{
	if (io->unmap) {
		io->unmap = false;
		return true;
	}
	return !io->iov && zeroes_advance(io, 0);
}

/*
 * Takes the result of the last call for `io`. True: another call is needed. False: it is done, and
 * io->err says how.
 */
static bool io_advance(struct blk_io *io, int result)
{
	const bool transfers = io->kind == BLK_IO_READ || io->kind == BLK_IO_WRITE || io->iov;

	if (result == -EINTR)
		return true;
	if (result == -EOPNOTSUPP && io->kind == BLK_IO_ZEROES && zeroes_other_way(io))
		return true;
	/* The end of the file, where once was data. */
	io->err = transfers && !result ? -EIO : MIN(result, 0);
	if (io->err || !transfers)
		return false;
	if (io->kind == BLK_IO_ZEROES)
		return zeroes_advance(io, (size_t)result);
	return transfer_advance(io, (size_t)result);
}

static void disk_finish(struct blk_disk *disk, struct blk_io *io);

static void disk_call_now(struct blk_disk *disk, struct blk_io *io)
{
	struct blk_call call;

	do {
		call = io_call(io);
	} while (io_advance(io, blk_call_now(disk->file.fd, &call)));
	disk_finish(disk, io);
}

static void disk_queue(struct blk_disk *disk, const struct blk_call *call, struct blk_io *io)
{
	blk_ring_queue(disk->ring, call, io);
	disk->in_flight++;
	disk->nr_queued++;
}

static void disk_call(struct blk_disk *disk, struct blk_io *io)
{
	struct blk_call call = io_call(io);

	if (disk->ring)
		disk_queue(disk, &call, io);
	else
		disk_call_now(disk, io);
}

/* Takes the result of a call that `io`, and those behind it in a row, shared. */
static void disk_result(struct blk_disk *disk, struct blk_io *io, int result)
{
	const bool shared = io->next;

	while (io) {
		struct blk_io *next = io->next;
		int part = shared ? (int)MIN((uint64_t)MAX(result, 0), io->len) : result;

		io->next = NULL;
		/* To one that a shared call did not come to, anything may happen. */
		if ((shared && !part) || io_advance(io, part))
			disk_call(disk, io);
		else
			disk_finish(disk, io);
		result -= part;
		io = next;
	}
}

/* Makes a call at once for each that was to share one. */
static void disk_row_now(struct blk_disk *disk, struct blk_io *io)
{
	while (io) {
		struct blk_io *next = io->next;

		io->next = NULL;
		disk_call_now(disk, io);
		io = next;
	}
}

/* The row is complete. */
static void disk_row_call(struct blk_disk *disk)
{
	struct blk_io *first = disk->row.first, *io;
	struct blk_call call;

	list_clear(&disk->row);
	if (!first || !first->next) {
		disk->row_iovs = 0;
		if (first)
			disk_call(disk, first);
		return;
	}
	call = io_call(first);
	call.iov = disk->iovs + disk->nr_iovs;
	call.nr_iov = disk->row_iovs;
	for (io = first; io; io = io->next) {
		memcpy(disk->iovs + disk->nr_iovs, io->iov, sizeof(*io->iov) * io->nr_iov);
		disk->nr_iovs += io->nr_iov;
	}
	disk->row_iovs = 0;
	if (disk->ring) {
		disk_queue(disk, &call, first);
		return;
	}
	disk->nr_iovs = 0;
	disk_result(disk, first, blk_call_now(disk->file.fd, &call));
}

static void disk_row_add(struct blk_disk *disk, struct blk_io *io)
{
	const struct blk_io *first = disk->row.first;
	unsigned int i;

	for (io->len = i = 0; i < io->nr_iov; i++)
		io->len += io->iov[i].iov_len;
	if (first && (first->kind != io->kind || disk->row_end != io->offset ||
		      disk->nr_iovs + disk->row_iovs + io->nr_iov > BLK_DISK_IOVS_MAX))
		disk_row_call(disk);
	list_add(&disk->row, io);
	disk->row_end = io->offset + io->len;
	disk->row_iovs += io->nr_iov;
}

/* Makes the next flush for all who wait for one. */
static void disk_flush_next(struct blk_disk *disk)
{
	if (disk->flushing.first || !disk->waiting.first)
		return;
	while (disk->waiting.first)
		list_add(&disk->flushing, list_take(&disk->waiting));
	disk_call(disk, &disk->flush);
}

static void flush_finish(struct blk_disk *disk, struct blk_io *io)
{
	io->err = disk->flush_error;
	list_add(&disk->done, io);
}

/* `io` came to its end. */
static void disk_finish(struct blk_disk *disk, struct blk_io *io)
{
	if (io != &disk->flush) {
		list_add(&disk->done, io);
		return;
	}
	if (!disk->flush_error)
		disk->flush_error = io->err;
	while (disk->flushing.first)
		flush_finish(disk, list_take(&disk->flushing));
	while (disk->flush_error && disk->waiting.first)
		flush_finish(disk, list_take(&disk->waiting));
	disk_flush_next(disk);
}

void blk_disk_start(struct blk_disk *disk, struct blk_io *io)
{
	io->next = NULL;
	if (io->kind == BLK_IO_READ || io->kind == BLK_IO_WRITE) {
		disk_row_add(disk, io);
		return;
	}
	disk_row_call(disk);
	if (io->kind != BLK_IO_FLUSH) {
		disk_call(disk, io);
		return;
	}
	/* Nothing of a read-only disk is unwritten, and the filters let it be read only. */
	if (disk->file.read_only || disk->flush_error) {
		flush_finish(disk, io);
		return;
	}
	list_add(&disk->waiting, io);
	disk_flush_next(disk);
}

void blk_disk_submit(struct blk_disk *disk)
{
	struct blk_io *io;

	disk_row_call(disk);
	/* What is made at once may lead to another call. */
	while (disk->nr_queued) {
		blk_ring_submit(disk->ring);
		disk->nr_queued = 0;
		while ((io = blk_ring_unqueue(disk->ring))) {
			disk->in_flight--;
			disk_row_now(disk, io);
		}
	}
	disk->nr_iovs = 0;
}

/* Where the kernel lacked what it needs to make a call later. */
static bool is_refused(int result)
{
	return result == -EAGAIN || result == -ECANCELED;
}

/* Looks what has come back from the ring. */
static void disk_collect(struct blk_disk *disk)
{
	struct blk_io *io;
	int result;

	while ((io = blk_ring_take(disk->ring, &result))) {
		disk->in_flight--;
		if (disk->is_draining) {
			/* A flush that fails counts, whoever waits for it or does not any more. */
			if (io == &disk->flush && !disk->flush_error && !is_refused(result) &&
			    !io_advance(io, result))
				disk->flush_error = io->err;
		} else if (is_refused(result)) {
			disk_row_now(disk, io);
		} else {
			disk_result(disk, io, result);
		}
	}
}

struct blk_io *blk_disk_take(struct blk_disk *disk)
{
	if (disk->in_flight && !disk->done.first)
		disk_collect(disk);
	return list_take(&disk->done);
}

bool blk_disk_drain(struct blk_disk *disk, uint64_t deadline_ns)
{
	disk->is_draining = true;
	list_clear(&disk->row);
	disk->row_iovs = disk->nr_iovs = 0;
	/* None is queued, unless somebody forgot to submit. */
	while (disk->nr_queued && blk_ring_unqueue(disk->ring)) {
		disk->nr_queued--;
		disk->in_flight--;
	}
	while (disk->in_flight) {
		disk_collect(disk);
		if (!disk->in_flight)
			break;
		if (deadline_ns && clock_now_ns() >= deadline_ns)
			return false;
		blk_ring_wait(disk->ring, deadline_ns ? DRAIN_LOOK_MS : -1);
	}
	list_clear(&disk->row);
	list_clear(&disk->flushing);
	list_clear(&disk->waiting);
	list_clear(&disk->done);
	disk->is_draining = false;
	return true;
}
