/* SPDX-License-Identifier: Apache-2.0 */
#include "blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "blk_disk.h"
#include "util.h"

#define SECTOR_SIZE 512u
#define SECTOR_SHIFT 9

/*
 * Header and status take a descriptor each. A driver puts longer requests than its queue into
 * indirect tables, so this is the bound of a chain, not of the queue it chose.
 */
#define SEG_MAX (VIRTQUEUE_SIZE_MAX - 2)
/*
 * Bytes of one segment, so of one request SEG_MAX times that: while it is copied out of the host's
 * page cache, nothing else is served. Linux stays far below.
 */
#define SIZE_MAX_BYTES (16u << 10)
#define REQUEST_MAX_BYTES ((uint64_t)SEG_MAX * SIZE_MAX_BYTES)

/*
 * 256 MiB in all: where the file is in pieces of 4 KiB, to discard that takes a tenth of a second.
 * Zeroes may have to be written.
 */
#define DISCARD_RANGES_MAX 32
#define DISCARD_SECTORS_MAX (MIB(8) / SECTOR_SIZE)
#define ZEROES_RANGES_MAX 1
#define ZEROES_SECTORS_MAX (MIB(16) / SECTOR_SIZE)
/* File systems give space back in blocks of this size. */
#define DISCARD_ALIGNMENT 4096u

/*
 * How long requests are served in one go. After it the guest hears of those that are done, and
 * the lock and the loop are free for others. Long against the price of an interrupt, short
 * against what a guest notices.
 */
#define BATCH_NS 100000u
/*
 * Data that is asked for in one go: what is in the page cache is copied at once. About as much as
 * is copied in that time.
 */
#define BATCH_BYTES MIB(1)

/* A request in hand: its framing was checked; data are the part without header and status. */
struct blk_request {
	struct blk_io io; /* the operation of the host's that is under way for it */
	struct virtio_blk_outhdr header;
	struct iovec *data_out;
	unsigned int nr_out;
	uint64_t out_bytes;
	struct iovec *data_in;
	unsigned int nr_in;
	uint64_t in_bytes;
	struct iovec status;
	uint64_t written; /* data for the guest, if all goes well */
	bool is_change;	  /* of the disk */
	struct virtio_blk_discard_write_zeroes ranges[DISCARD_RANGES_MAX];
	unsigned int nr_ranges, next_range;
	struct virtq_chain chain;
};

struct blk {
	struct virtio_device virtio;
	struct virtio_blk_config config;
	struct blk_disk disk;
	struct event_watch watch; /* of the disk's ring */
	char *name;
	char id[VIRTIO_BLK_ID_BYTES]; /* NUL-padded, not NUL-ended */
	struct log_limit
		host_limit; /* not the driver's: a guest must not hide what the host says */
	/* The last one freed is the next one used: memory that was never needed stays untouched. */
	struct blk_request *free[BLK_DISK_IOS_MAX];
	unsigned int nr_free;
	struct blk_request requests[BLK_DISK_IOS_MAX];
};

static uint8_t status_of(int err)
{
	switch (err) {
	case 0:
		return VIRTIO_BLK_S_OK;
	case -EOPNOTSUPP:
		return VIRTIO_BLK_S_UNSUPP;
	default:
		return VIRTIO_BLK_S_IOERR;
	}
}

static bool in_disk(const struct blk *blk, uint64_t sector, uint64_t nr_sectors)
{
	return sector <= blk->config.capacity && nr_sectors <= blk->config.capacity - sector;
}

/* Checks the range of a read or write and gives its offset in bytes. */
static int data_range(const struct blk *blk, uint64_t sector, uint64_t bytes, uint64_t *ret_offset)
{
	/* No data may be data in the wrong direction: that must not look like success. */
	if (!bytes || bytes > REQUEST_MAX_BYTES || bytes % SECTOR_SIZE ||
	    !in_disk(blk, sector, bytes / SECTOR_SIZE))
		return -EIO;
	*ret_offset = sector << SECTOR_SHIFT;
	return 0;
}

/* What the host could not do. Whoever runs it wants to know why; the guest has an I/O error. */
static int host_result(struct blk *blk, int err)
{
	if (err && err != -EOPNOTSUPP && log_limit_ok(&blk->host_limit))
		log_warn("disk \"%s\": %s; the guest sees an I/O error", blk->name, strerror(-err));
	return err;
}

/* The request is over: the guest gets its status, and how much data it got. */
static void request_end(struct blk *blk, struct blk_request *req, int err)
{
	const uint8_t status = status_of(err);

	blk->free[blk->nr_free++] = req;
	/* A driver that broke the rules gets no more answers. */
	if (!virtio_is_running(&blk->virtio))
		return;
	iov_from_buf(&req->status, 1, 0, &status, sizeof(status));
	virtqueue_push(&blk->virtio.queues[0], req->chain.head,
		       (uint32_t)(err ? 0 : req->written) + sizeof(status));
}

/* Starts a transfer. 0, or -EIO: it cannot be. */
static int begin_read(struct blk *blk, struct blk_request *req)
{
	struct blk_io *io = &req->io;
	int err = data_range(blk, req->header.sector, req->in_bytes, &io->offset);

	if (err)
		return err;
	io->kind = BLK_IO_READ;
	io->iov = req->data_in;
	io->nr_iov = req->nr_in;
	req->written = req->in_bytes;
	blk_disk_start(&blk->disk, io);
	return 0;
}

static int begin_write(struct blk *blk, struct blk_request *req)
{
	struct blk_io *io = &req->io;
	int err = data_range(blk, req->header.sector, req->out_bytes, &io->offset);

	if (err || blk->disk.file.read_only)
		return -EIO;
	io->kind = BLK_IO_WRITE;
	io->iov = req->data_out;
	io->nr_iov = req->nr_out;
	req->is_change = true;
	blk_disk_start(&blk->disk, io);
	return 0;
}

static void begin_flush(struct blk *blk, struct blk_request *req)
{
	req->io = (struct blk_io){.kind = BLK_IO_FLUSH};
	blk_disk_start(&blk->disk, &req->io);
}

static void get_id(struct blk *blk, struct blk_request *req)
{
	req->written = iov_from_buf(req->data_in, req->nr_in, 0, blk->id, sizeof(blk->id));
	request_end(blk, req, 0);
}

/* Copies the ranges of DISCARD or WRITE_ZEROES and checks all before any is touched. */
static int load_ranges(const struct blk *blk, struct blk_request *req)
{
	const bool discard = req->header.type == VIRTIO_BLK_T_DISCARD;
	const unsigned int nr_max = discard ? DISCARD_RANGES_MAX : ZEROES_RANGES_MAX;
	const uint32_t sectors_max = discard ? DISCARD_SECTORS_MAX : ZEROES_SECTORS_MAX;
	const uint32_t flags = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	uint64_t nr = req->out_bytes / sizeof(*req->ranges);
	unsigned int i;

	if (req->out_bytes % sizeof(*req->ranges) || !nr || nr > nr_max)
		return -EINVAL;
	iov_to_buf(req->data_out, req->nr_out, 0, req->ranges, req->out_bytes);
	for (i = 0; i < nr; i++) {
		const struct virtio_blk_discard_write_zeroes *range = &req->ranges[i];

		/* virtio 1.2, 5.2.6.2: unknown flags, and UNMAP for DISCARD, are UNSUPP. */
		if (range->flags & ~flags)
			return -EOPNOTSUPP;
		if (range->num_sectors > sectors_max ||
		    !in_disk(blk, range->sector, range->num_sectors))
			return -EINVAL;
	}
	req->nr_ranges = (unsigned int)nr;
	return 0;
}

static void begin_range(struct blk *blk, struct blk_request *req)
{
	const struct virtio_blk_discard_write_zeroes *range = &req->ranges[req->next_range++];

	req->io = (struct blk_io){.kind = req->header.type == VIRTIO_BLK_T_DISCARD ? BLK_IO_DISCARD
										   : BLK_IO_ZEROES,
				  .offset = range->sector << SECTOR_SHIFT,
				  .len = (uint64_t)range->num_sectors << SECTOR_SHIFT,
				  .unmap = range->flags};
	blk_disk_start(&blk->disk, &req->io);
}

/*
 * A driver that did not accept FLUSH has no way to ask for stable storage, so each change is stable
 * before it is answered. virtio 1.2, 5.2.6.2.
 */
static bool needs_flush(const struct blk *blk, const struct blk_request *req)
{
	return req->is_change && !virtio_has_feature(&blk->virtio, VIRTIO_BLK_F_FLUSH);
}

/* The operation that was under way is done: the next one that the request needs, or its end. */
static void request_next(struct blk *blk, struct blk_request *req)
{
	const int err = host_result(blk, req->io.err);

	while (req->next_range < req->nr_ranges && !req->ranges[req->next_range].num_sectors)
		req->next_range++;
	if (err) {
		request_end(blk, req, err);
	} else if (req->next_range < req->nr_ranges) {
		begin_range(blk, req);
	} else if (needs_flush(blk, req)) {
		req->is_change = false;
		begin_flush(blk, req);
	} else {
		request_end(blk, req, 0);
	}
}

/* DISCARD and WRITE_ZEROES. */
static void begin_ranges(struct blk *blk, struct blk_request *req)
{
	const bool discard = req->header.type == VIRTIO_BLK_T_DISCARD;
	int err;

	if (blk->disk.file.read_only)
		err = -EROFS;
	else if (!virtio_has_feature(&blk->virtio,
				     discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
		err = -EOPNOTSUPP;
	else
		err = load_ranges(blk, req);
	if (err) {
		request_end(blk, req, err);
		return;
	}
	req->is_change = true;
	request_next(blk, req);
}

/* Goes on with requests whose operation is done. False: there was none. */
static bool blk_go_on(struct blk *blk)
{
	struct blk_io *io;
	bool any = false;

	while ((io = blk_disk_take(&blk->disk))) {
		request_next(blk, container_of(io, struct blk_request, io));
		any = true;
	}
	blk_disk_submit(&blk->disk);
	return any;
}

/*
 * Transfers that were started may wait for more of their kind. Before anything else: they are made
 * now, so that without a ring requests are answered in the order in which they came.
 */
static void blk_settle(struct blk *blk)
{
	blk_disk_submit(&blk->disk);
	blk_go_on(blk);
}

static void begin_other(struct blk *blk, struct blk_request *req)
{
	switch (req->header.type) {
	case VIRTIO_BLK_T_FLUSH:
		begin_flush(blk, req);
		break;
	case VIRTIO_BLK_T_GET_ID:
		get_id(blk, req);
		break;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		begin_ranges(blk, req);
		break;
	default:
		request_end(blk, req, -EOPNOTSUPP);
	}
}

static void request_begin(struct blk *blk, struct blk_request *req)
{
	int err;

	req->io = (struct blk_io){0};
	req->written = 0;
	req->is_change = false;
	req->nr_ranges = req->next_range = 0;
	switch (req->header.type) {
	case VIRTIO_BLK_T_IN:
		err = begin_read(blk, req);
		break;
	case VIRTIO_BLK_T_OUT:
		err = begin_write(blk, req);
		break;
	default:
		blk_settle(blk);
		begin_other(blk, req);
		return;
	}
	if (err || needs_flush(blk, req))
		blk_settle(blk);
	if (err)
		request_end(blk, req, err);
}

/*
 * Takes a chain apart: header, the first 16 readable bytes; status, the last writable one; data
 * between. The driver may cut it into descriptors as it likes (virtio 1.2, 2.7.4).
 */
static int request_parse(struct blk_request *req)
{
	struct virtq_chain *chain = &req->chain;
	struct iovec *readable = chain->iov, *writable = chain->iov + chain->nr_readable;

	if (chain->readable_bytes < sizeof(req->header) || !chain->writable_bytes)
		return -EPROTO;
	iov_to_buf(readable, chain->nr_readable, 0, &req->header, sizeof(req->header));
	req->out_bytes = chain->readable_bytes - sizeof(req->header);
	req->in_bytes = chain->writable_bytes - 1;
	iov_slice(writable, chain->nr_writable, req->in_bytes, 1, &req->status);
	req->data_out = readable;
	req->nr_out = iov_slice(readable, chain->nr_readable, sizeof(req->header), req->out_bytes,
				readable);
	req->data_in = writable;
	req->nr_in = iov_slice(writable, chain->nr_writable, 0, req->in_bytes, writable);
	return 0;
}

/* The driver broke the rules. What it asked for before is answered, unless it is under way. */
static void blk_broken(struct blk *blk, const char *why)
{
	/* A queue that is broken takes no answers. */
	blk->virtio.queues[0].state.broken = false;
	blk_settle(blk);
	virtio_broken(&blk->virtio, why);
}

/* Takes requests until there is enough to do. False: there was none. */
static bool blk_begin(struct blk *blk)
{
	uint64_t bytes = 0;
	bool any = false;

	while (blk->nr_free && !blk->disk.done.first && bytes < BATCH_BYTES) {
		struct blk_request *req = blk->free[blk->nr_free - 1];
		int ret = virtqueue_pop(&blk->virtio.queues[0], &req->chain);

		if (!ret)
			break;
		if (ret < 0 || request_parse(req)) {
			blk_broken(blk, ret < 0 ? "bad descriptor chain"
						: "request without header or status");
			break;
		}
		blk->nr_free--;
		bytes += req->in_bytes + req->out_bytes;
		request_begin(blk, req);
		any = true;
	}
	blk_disk_submit(&blk->disk);
	return any;
}

/* Where no request is free, those that get done bring us back here, and no kick needs to. */
static bool blk_is_idle(struct blk *blk)
{
	return !blk->nr_free || !virtqueue_want_kicks(&blk->virtio.queues[0], true);
}

static void blk_serve(struct blk *blk)
{
	uint64_t end = clock_now_ns() + BATCH_NS;
	bool busy;

	virtqueue_want_kicks(&blk->virtio.queues[0], false);
	do {
		busy = blk_begin(blk);
		busy |= blk_go_on(blk);
		if (!busy && blk_is_idle(blk)) {
			virtio_notify(&blk->virtio, 0);
			return;
		}
	} while (clock_now_ns() < end);
	virtio_notify(&blk->virtio, 0);
	virtio_kick_again(&blk->virtio, 0);
}

static void blk_kick(struct virtio_device *virtio, unsigned int index)
{
	(void)index;
	blk_serve(container_of(virtio, struct blk, virtio));
}

/* The ring has results. */
static void blk_ready(void *ctx, uint32_t events)
{
	struct blk *blk = ctx;

	(void)events;
	if (virtio_is_running(&blk->virtio))
		blk_serve(blk);
	else /* a driver that broke the rules and has not reset the device yet */
		blk_go_on(blk);
}

static void free_all_requests(struct blk *blk)
{
	for (blk->nr_free = 0; blk->nr_free < ARRAY_SIZE(blk->free); blk->nr_free++)
		blk->free[blk->nr_free] = &blk->requests[blk->nr_free];
}

/*
 * A reset. Once the driver's write to the status register is over, guest memory is the driver's
 * again: Linux's does not wait for the status to read 0 (virtio 1.2, 2.4.1 lets it). So what is
 * under way comes to its end now, and the vCPU waits as long as the host's disk takes.
 */
static void blk_stop(struct virtio_device *virtio)
{
	struct blk *blk = container_of(virtio, struct blk, virtio);

	blk_disk_drain(&blk->disk, 0);
	free_all_requests(blk);
}

bool blk_end(struct blk *blk, uint64_t deadline_ns)
{
	pthread_mutex_t *lock = &blk->virtio.device.lock;
	bool ended = false;

	/* A vCPU that resets the device may hold the lock, and wait for the disk as well. */
	while (pthread_mutex_trylock(lock))
		if (clock_now_ns() >= deadline_ns)
			goto out;
	ended = blk_disk_drain(&blk->disk, deadline_ns);
	/* For good: the lock stays with who ends the VM. */
out:
	if (!ended)
		log_warn("disk \"%s\" does not answer: what is under way on it may go on after the "
			 "end of the VM",
			 blk->name);
	return ended;
}

static const struct virtio_ops blk_ops = {.stop = blk_stop, .kick = blk_kick};

/* What the driver is told of the disk. virtio 1.2, 5.2.3 and 5.2.4. */
static void blk_describe(struct blk *blk)
{
	struct virtio_device *virtio = &blk->virtio;
	struct virtio_blk_config *config = &blk->config;

	virtio->ops = &blk_ops;
	virtio->id = VIRTIO_ID_BLOCK;
	virtio->nr_queues = 1;
	virtio->config = config;
	virtio->config_size = sizeof(*config);
	virtio->features = 1ull << VIRTIO_BLK_F_SEG_MAX | 1ull << VIRTIO_BLK_F_SIZE_MAX |
			   1ull << VIRTIO_BLK_F_BLK_SIZE | 1ull << VIRTIO_BLK_F_FLUSH;
	config->capacity = blk->disk.file.size >> SECTOR_SHIFT;
	config->seg_max = SEG_MAX;
	config->size_max = SIZE_MAX_BYTES;
	config->blk_size = blk->disk.file.block_size;
	if (blk->disk.file.read_only) {
		virtio->features |= 1ull << VIRTIO_BLK_F_RO;
		return;
	}
	virtio->features |= 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	config->max_write_zeroes_sectors = ZEROES_SECTORS_MAX;
	config->max_write_zeroes_seg = ZEROES_RANGES_MAX;
	config->write_zeroes_may_unmap = blk->disk.file.can_discard;
	if (blk->disk.file.can_discard) {
		virtio->features |= 1ull << VIRTIO_BLK_F_DISCARD;
		config->max_discard_sectors = DISCARD_SECTORS_MAX;
		config->max_discard_seg = DISCARD_RANGES_MAX;
		config->discard_sector_alignment =
			MAX(DISCARD_ALIGNMENT, blk->disk.file.block_size) / SECTOR_SIZE;
	}
}

static int blk_watch(struct blk *blk, struct event_loop *loop)
{
	blk->watch = (struct event_watch){.fd = blk_disk_fd(&blk->disk),
					  .fn = blk_ready,
					  .ctx = blk,
					  .lock = &blk->virtio.device.lock};
	return blk->watch.fd < 0 ? 0 : event_loop_add(loop, &blk->watch, EPOLLIN);
}

int blk_create(struct blk_file *file, const char *id, const struct guest_mem *mem,
	       struct event_loop *loop, struct blk **ret_blk)
{
	const bool is_async = file->is_async;
	struct blk *blk = pages_alloc(sizeof(*blk));
	int err;

	if (!blk) {
		blk_file_close(file);
		return -ENOMEM;
	}
	err = blk_disk_init(&blk->disk, file);
	if (err && is_async)
		log_info("disk \"%s\": io_uring: %s; while the disk is waited for, so is all else "
			 "of "
			 "the VM's I/O",
			 id, strerror(-err));
	memcpy(blk->id, id, strnlen(id, sizeof(blk->id)));
	free_all_requests(blk);
	blk_describe(blk);
	blk->name = strdup(id);
	err = blk->name ? virtio_init(&blk->virtio, blk->name, mem, loop) : -ENOMEM;
	if (!err)
		err = blk_watch(blk, loop);
	if (err) {
		blk_destroy(blk);
		return err;
	}
	*ret_blk = blk;
	return 0;
}

void blk_destroy(struct blk *blk)
{
	if (!blk)
		return;
	event_loop_remove(blk->virtio.loop, &blk->watch);
	virtio_fini(&blk->virtio);
	blk_disk_fini(&blk->disk);
	free(blk->name);
	pages_free(blk, sizeof(*blk));
}

int blk_ring(const struct blk *blk)
{
	return blk_disk_fd(&blk->disk);
}

struct virtio_device *blk_virtio(struct blk *blk)
{
	return &blk->virtio;
}
