/* SPDX-License-Identifier: Apache-2.0 */
#include "blk.h"

#include <errno.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define SECTOR_SIZE 512u
#define SECTOR_SHIFT 9

/*
 * Header and status take a descriptor each. A driver puts longer requests than its queue into
 * indirect tables, so this is the bound of a chain, not of the queue it chose.
 */
#define SEG_MAX (VIRTQUEUE_SIZE_MAX - 2)
/*
 * Bytes of one segment, so of one request SEG_MAX times that: while it is served, nothing else is.
 * Linux stays far below.
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

struct blk {
	struct virtio_device virtio;
	struct virtio_blk_config config;
	struct blk_file file;
	char *name;
	char id[VIRTIO_BLK_ID_BYTES]; /* NUL-padded, not NUL-ended */
	struct log_limit
		host_limit;	  /* not the driver's: a guest must not hide what the host says */
	struct virtq_chain chain; /* the request in hand; too big for the stack */
};

/* A request whose framing was checked; data are the part without header and status. */
struct blk_request {
	struct virtio_blk_outhdr header;
	struct iovec *data_out;
	unsigned int nr_out;
	uint64_t out_bytes;
	struct iovec *data_in;
	unsigned int nr_in;
	uint64_t in_bytes;
	struct iovec status;
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

static int do_read(struct blk *blk, const struct blk_request *req, uint64_t *ret_written)
{
	uint64_t offset;
	int err = data_range(blk, req->header.sector, req->in_bytes, &offset);

	if (!err)
		err = host_result(blk, blk_file_read(&blk->file, req->data_in, req->nr_in, offset));
	if (!err)
		*ret_written = req->in_bytes;
	return err;
}

/*
 * A driver that did not accept FLUSH has no way to ask for stable storage, so each change is
 * stable before it is answered. virtio 1.2, 5.2.6.2.
 */
static int make_stable(struct blk *blk)
{
	if (virtio_has_feature(&blk->virtio, VIRTIO_BLK_F_FLUSH))
		return 0;
	return host_result(blk, blk_file_flush(&blk->file));
}

static int do_write(struct blk *blk, const struct blk_request *req, uint64_t *ret_written)
{
	uint64_t offset;
	int err = data_range(blk, req->header.sector, req->out_bytes, &offset);

	(void)ret_written;
	if (blk->file.read_only)
		return -EROFS;
	if (!err)
		err = host_result(blk,
				  blk_file_write(&blk->file, req->data_out, req->nr_out, offset));
	return err ? err : make_stable(blk);
}

static int do_flush(struct blk *blk, const struct blk_request *req, uint64_t *ret_written)
{
	(void)req;
	(void)ret_written;
	return host_result(blk, blk_file_flush(&blk->file));
}

static int do_get_id(struct blk *blk, const struct blk_request *req, uint64_t *ret_written)
{
	*ret_written = iov_from_buf(req->data_in, req->nr_in, 0, blk->id, sizeof(blk->id));
	return 0;
}

/* Copies the ranges of DISCARD or WRITE_ZEROES and checks all before any is touched. */
static int load_ranges(const struct blk *blk, const struct blk_request *req,
		       struct virtio_blk_discard_write_zeroes *ret_ranges, unsigned int *ret_nr)
{
	const bool discard = req->header.type == VIRTIO_BLK_T_DISCARD;
	const unsigned int nr_max = discard ? DISCARD_RANGES_MAX : ZEROES_RANGES_MAX;
	const uint32_t sectors_max = discard ? DISCARD_SECTORS_MAX : ZEROES_SECTORS_MAX;
	const uint32_t flags = discard ? 0 : VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
	uint64_t nr = req->out_bytes / sizeof(*ret_ranges);
	unsigned int i;

	if (req->out_bytes % sizeof(*ret_ranges) || !nr || nr > nr_max)
		return -EINVAL;
	iov_to_buf(req->data_out, req->nr_out, 0, ret_ranges, req->out_bytes);
	for (i = 0; i < nr; i++) {
		const struct virtio_blk_discard_write_zeroes *range = &ret_ranges[i];

		/* virtio 1.2, 5.2.6.2: unknown flags, and UNMAP for DISCARD, are UNSUPP. */
		if (range->flags & ~flags)
			return -EOPNOTSUPP;
		if (range->num_sectors > sectors_max ||
		    !in_disk(blk, range->sector, range->num_sectors))
			return -EINVAL;
	}
	*ret_nr = (unsigned int)nr;
	return 0;
}

/* DISCARD and WRITE_ZEROES. */
static int do_ranges(struct blk *blk, const struct blk_request *req, uint64_t *ret_written)
{
	const bool discard = req->header.type == VIRTIO_BLK_T_DISCARD;
	struct virtio_blk_discard_write_zeroes ranges[DISCARD_RANGES_MAX];
	unsigned int i, nr;
	int err;

	(void)ret_written;
	if (blk->file.read_only)
		return -EROFS;
	if (!virtio_has_feature(&blk->virtio,
				discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
		return -EOPNOTSUPP;
	err = load_ranges(blk, req, ranges, &nr);
	for (i = 0; !err && i < nr; i++) {
		const uint64_t offset = ranges[i].sector << SECTOR_SHIFT;
		const uint64_t len = (uint64_t)ranges[i].num_sectors << SECTOR_SHIFT;

		if (!len)
			continue;
		if (discard)
			err = blk_file_discard(&blk->file, offset, len);
		else
			err = blk_file_write_zeroes(&blk->file, offset, len, ranges[i].flags);
		host_result(blk, err);
	}
	return err ? err : make_stable(blk);
}

/* Does a request; 0 or -errno, and how much data went to the guest. */
static int request_run(struct blk *blk, const struct blk_request *req, uint64_t *ret_written)
{
	switch (req->header.type) {
	case VIRTIO_BLK_T_IN:
		return do_read(blk, req, ret_written);
	case VIRTIO_BLK_T_OUT:
		return do_write(blk, req, ret_written);
	case VIRTIO_BLK_T_FLUSH:
		return do_flush(blk, req, ret_written);
	case VIRTIO_BLK_T_GET_ID:
		return do_get_id(blk, req, ret_written);
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return do_ranges(blk, req, ret_written);
	default:
		return -EOPNOTSUPP;
	}
}

/*
 * Takes a chain apart: header, the first 16 readable bytes; status, the last writable one; data
 * between. The driver may cut it into descriptors as it likes (virtio 1.2, 2.7.4).
 */
static int request_parse(struct virtq_chain *chain, struct blk_request *ret_req)
{
	struct iovec *readable = chain->iov, *writable = chain->iov + chain->nr_readable;
	struct blk_request *req = ret_req;

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

/* Serves one request. False if there was none, or a broken one. */
static bool blk_serve_one(struct blk *blk)
{
	struct virtio_device *virtio = &blk->virtio;
	struct virtqueue *queue = &virtio->queues[0];
	struct blk_request req;
	uint64_t written = 0;
	uint8_t status;
	int ret;

	ret = virtqueue_pop(queue, &blk->chain);
	if (ret < 0)
		virtio_broken(virtio, "bad descriptor chain");
	if (ret <= 0)
		return false;
	if (request_parse(&blk->chain, &req)) {
		virtio_broken(virtio, "request without header or status");
		return false;
	}
	status = status_of(request_run(blk, &req, &written));
	iov_from_buf(&req.status, 1, 0, &status, sizeof(status));
	virtqueue_push(queue, blk->chain.head, (uint32_t)written + sizeof(status));
	return true;
}

static void blk_kick(struct virtio_device *virtio, unsigned int index)
{
	struct blk *blk = container_of(virtio, struct blk, virtio);
	struct virtqueue *queue = &virtio->queues[index];
	uint64_t end = clock_now_ns() + BATCH_NS;

	virtqueue_want_kicks(queue, false);
	do {
		if (!blk_serve_one(blk) && !virtqueue_want_kicks(queue, true)) {
			virtio_notify(virtio, index);
			return;
		}
	} while (clock_now_ns() < end);
	virtio_notify(virtio, index);
	virtio_kick_again(virtio, index);
}

static const struct virtio_ops blk_ops = {.kick = blk_kick};

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
	config->capacity = blk->file.size >> SECTOR_SHIFT;
	config->seg_max = SEG_MAX;
	config->size_max = SIZE_MAX_BYTES;
	config->blk_size = blk->file.block_size;
	if (blk->file.read_only) {
		virtio->features |= 1ull << VIRTIO_BLK_F_RO;
		return;
	}
	virtio->features |= 1ull << VIRTIO_BLK_F_WRITE_ZEROES;
	config->max_write_zeroes_sectors = ZEROES_SECTORS_MAX;
	config->max_write_zeroes_seg = ZEROES_RANGES_MAX;
	config->write_zeroes_may_unmap = blk->file.can_discard;
	if (blk->file.can_discard) {
		virtio->features |= 1ull << VIRTIO_BLK_F_DISCARD;
		config->max_discard_sectors = DISCARD_SECTORS_MAX;
		config->max_discard_seg = DISCARD_RANGES_MAX;
		config->discard_sector_alignment =
			MAX(DISCARD_ALIGNMENT, blk->file.block_size) / SECTOR_SIZE;
	}
}

int blk_create(struct blk_file *file, const char *id, const struct guest_mem *mem,
	       struct event_loop *loop, struct blk **ret_blk)
{
	struct blk *blk = calloc(1, sizeof(*blk));
	int err;

	if (!blk) {
		blk_file_close(file);
		return -ENOMEM;
	}
	blk->file = *file;
	file->fd = -1;
	memcpy(blk->id, id, strnlen(id, sizeof(blk->id)));
	blk_describe(blk);
	blk->name = strdup(id);
	err = blk->name ? virtio_init(&blk->virtio, blk->name, mem, loop) : -ENOMEM;
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
	virtio_fini(&blk->virtio);
	blk_file_close(&blk->file);
	free(blk->name);
	free(blk);
}

struct virtio_device *blk_virtio(struct blk *blk)
{
	return &blk->virtio;
}
