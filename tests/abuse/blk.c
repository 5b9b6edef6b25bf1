/* SPDX-License-Identifier: Apache-2.0 */
/* Classes 25 to 32: requests of a disk. virtio 1.2, 5.2.6. */
#include "kit.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define READ_TYPE VIRTIO_BLK_T_IN
#define WRITE_TYPE VIRTIO_BLK_T_OUT
#define PAST_END "a request past the end is served"
#define HAS_DISCARD FEATURE(VIRTIO_BLK_F_DISCARD)
#define HAS_ZEROES FEATURE(VIRTIO_BLK_F_WRITE_ZEROES)
#define HOST_WAIT 1000000000ull /* cycles until the host has done its part */

/* A request with `len` bytes of data in one piece at `data`, which the device may write or not. */
static enum outcome request(struct victim *v, uint32_t type, uint64_t sector, void *data,
			    uint32_t len, uint16_t direction)
{
	struct virtio *dev = v->dev;

	*dev->header = (struct virtio_blk_outhdr){.type = type, .sector = sector};
	*dev->status = NO_ANSWER;
	v->status = dev->status;
	desc_set(v->q, 0, dev->header, sizeof(*dev->header), NEXT, len ? 1 : 2);
	desc_set(v->q, 1, data, len, direction | NEXT, 2);
	desc_set(v->q, 2, dev->status, 1, WRITE, 0);
	return victim_submit(v, 0);
}

/*
 * 25 and 26
 */

/* Counted from the end of the disk where it is small. */
static uint64_t absolute(const struct victim *v, uint64_t sector)
{
	return sector < 16 ? v->dev->capacity - 8 + sector : sector;
}

static enum outcome read_past_end(struct victim *v, uint64_t sector)
{
	void *data = arena_take(2048, 8);

	fill_junk(data, 2048);
	return must_fail(request(v, READ_TYPE, absolute(v, sector), data, 2048, WRITE), PAST_END);
}

static enum outcome write_past_end(struct victim *v, uint64_t sector)
{
	void *data = arena_take(2048, 8);

	fill_junk(data, 2048);
	return must_fail(request(v, WRITE_TYPE, absolute(v, sector), data, 2048, 0), PAST_END);
}

#define PAST_END_AT(sector, words) \
	{25, ON_DISK, "read " words, read_past_end, (sector), 0}, \
	{ \
		25, ON_DISK, "write " words, write_past_end, (sector), 0 \
	}

static enum outcome read_length(struct victim *v, uint64_t len)
{
	return request(v, READ_TYPE, SCRATCH_SECTOR, arena_take(len, 8), (uint32_t)len, WRITE);
}

static enum outcome write_length(struct victim *v, uint64_t len)
{
	return request(v, WRITE_TYPE, SCRATCH_SECTOR, arena_take(len, 8), (uint32_t)len, 0);
}

/*
 * 27: framing. virtio 1.2, 2.7.4.1: a device assumes nothing about how a request is cut.
 */

static enum outcome no_data(struct victim *v, uint64_t type)
{
	return request(v, (uint32_t)type, SCRATCH_SECTOR, NULL, 0, 0);
}

/* The chain of a good read, and only descriptors [first, last] of it, `len` bytes of the first. */
static enum outcome only_part(struct victim *v, uint64_t first, uint64_t last, uint32_t len)
{
	victim_chain(v);
	v->q->desc[first].len = len;
	v->q->desc[last].flags &= (uint16_t)~NEXT;
	return victim_submit(v, (uint16_t)first);
}

static enum outcome only_header(struct victim *v, uint64_t len)
{
	return only_part(v, 0, 0, (uint32_t)len);
}

static enum outcome only_status(struct victim *v, uint64_t len)
{
	return only_part(v, 2, 2, (uint32_t)len);
}

static enum outcome no_header(struct victim *v, uint64_t len)
{
	return only_part(v, 1, 2, (uint32_t)len);
}

static enum outcome short_header(struct victim *v, uint64_t len)
{
	return only_part(v, 0, 2, (uint32_t)len);
}

static enum outcome no_status_to_write(struct victim *v, uint64_t type)
{
	victim_chain(v);
	v->dev->header->type = (uint32_t)type;
	v->dev->header->sector = SCRATCH_SECTOR;
	v->q->desc[1].flags = NEXT;
	v->q->desc[2].flags = 0;
	return victim_submit(v, 0);
}

static enum outcome served_well(enum outcome found, const uint8_t *data)
{
	if (found != SERVED)
		return fail(FAIL_RULE, "a good request in odd pieces is not served");
	return disk_sector_is_pristine(data, 0) ? found : fail(FAIL_DATA, "its data is wrong");
}

/* The header in two pieces. */
static enum outcome split_header(struct victim *v, uint64_t at)
{
	victim_chain(v);
	v->q->desc[3] = v->q->desc[0];
	v->q->desc[3].len = (uint32_t)at;
	v->q->desc[3].next = 0;
	v->q->desc[0].addr += at;
	v->q->desc[0].len -= (uint32_t)at;
	return served_well(victim_submit(v, 3), v->dev->sector);
}

/* Descriptors 1 and up: the data in pieces of `size`. */
static enum outcome split_data(struct victim *v, uint64_t size)
{
	uint16_t i, nr = (uint16_t)(SECTOR_SIZE / size);
	struct vring_desc status;

	victim_chain(v);
	status = v->q->desc[2];
	for (i = 0; i < nr; i++)
		desc_set(v->q, 1u + i, v->dev->sector + i * size, (uint32_t)size, WRITE | NEXT,
			 i + 2);
	v->q->desc[nr].len += (uint32_t)(SECTOR_SIZE % size);
	v->q->desc[1 + nr] = status;
	return served_well(victim_submit(v, 0), v->dev->sector);
}

static enum outcome status_behind_data(struct victim *v, uint64_t arg)
{
	uint8_t *data = arena_take(SECTOR_SIZE + 1, 8);

	(void)arg;
	victim_chain(v);
	data[SECTOR_SIZE] = NO_ANSWER;
	desc_set(v->q, 1, data, SECTOR_SIZE + 1, WRITE, 0);
	v->status = data + SECTOR_SIZE;
	return served_well(victim_submit(v, 0), data);
}

/*
 * 28: types
 */

static enum outcome type_is(struct victim *v, uint64_t type)
{
	return request(v, (uint32_t)type, SCRATCH_SECTOR, arena_take(SECTOR_SIZE, 8), SECTOR_SIZE,
		       WRITE);
}

static enum outcome type_is_out(struct victim *v, uint64_t type)
{
	return request(v, (uint32_t)type, SCRATCH_SECTOR, arena_take(SECTOR_SIZE, 8), SECTOR_SIZE,
		       0);
}

static enum outcome get_id(struct victim *v, uint64_t len)
{
	return request(v, VIRTIO_BLK_T_GET_ID, UINT64_MAX, arena_take(len, 8), (uint32_t)len,
		       WRITE);
}

/* Ranges for DISCARD and WRITE_ZEROES: what is wrong with them. */
enum {
	NO_RANGE,
	HALF_A_RANGE,
	RANGE_AND_A_HALF,
	MANY_RANGES,
	RANGE_PAST_END,
	RANGE_WRAPS,
	RANGE_OF_ALL,
	SECOND_PAST_END,
	RESERVED_FLAGS,
	UNMAP,
	ONLY_READABLE
};

static uint32_t make_ranges(const struct victim *v, uint64_t wrong,
			    struct virtio_blk_discard_write_zeroes *ranges)
{
	unsigned int i;

	for (i = 0; i < 256; i++)
		ranges[i] = (struct virtio_blk_discard_write_zeroes){SCRATCH_SECTOR, 8, 0};
	switch (wrong) {
	case NO_RANGE:
		return 0;
	case HALF_A_RANGE:
		return sizeof(*ranges) / 2;
	case RANGE_AND_A_HALF:
		return sizeof(*ranges) * 3 / 2;
	case MANY_RANGES:
		return sizeof(*ranges) * 256;
	case RANGE_PAST_END:
		ranges[0].sector = v->dev->capacity - 4;
		break;
	case RANGE_WRAPS:
		ranges[0].sector = UINT64_MAX - 3;
		break;
	case RANGE_OF_ALL:
		ranges[0].num_sectors = UINT32_MAX;
		break;
	case SECOND_PAST_END:
		ranges[1].sector = v->dev->capacity;
		return sizeof(*ranges) * 2;
	case RESERVED_FLAGS:
		ranges[0].flags = 0xfffffffe;
		break;
	case UNMAP:
		ranges[0].flags = VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP;
		break;
	}
	return sizeof(*ranges);
}

static enum outcome ranges_are(struct victim *v, uint32_t type, uint64_t wrong)
{
	struct virtio_blk_discard_write_zeroes *ranges = arena_take(256 * sizeof(*ranges), 8);
	const uint32_t len = make_ranges(v, wrong, ranges);
	enum outcome found = request(v, type, 0, ranges, len, wrong == ONLY_READABLE ? WRITE : 0);

	/* virtio 1.2, 5.2.6.2: UNSUPP for flags that are not known, and for unmap in DISCARD. */
	if ((wrong == RESERVED_FLAGS || (wrong == UNMAP && type == VIRTIO_BLK_T_DISCARD)) &&
	    found < SILENT && *(volatile uint8_t *)v->status != VIRTIO_BLK_S_UNSUPP)
		return fail(FAIL_RULE, "the status of unknown flags is not UNSUPP");
	if (wrong >= RANGE_PAST_END && wrong <= SECOND_PAST_END)
		return must_fail(found, PAST_END);
	return found;
}

static enum outcome discard(struct victim *v, uint64_t wrong)
{
	return ranges_are(v, VIRTIO_BLK_T_DISCARD, wrong);
}

static enum outcome write_zeroes(struct victim *v, uint64_t wrong)
{
	return ranges_are(v, VIRTIO_BLK_T_WRITE_ZEROES, wrong);
}

#define RANGES_ARE(wrong, words) \
	{28, ON_DISK, "discard, " words, discard, (wrong), HAS_DISCARD}, \
	{ \
		28, ON_DISK, "write zeroes, " words, write_zeroes, (wrong), HAS_ZEROES \
	}

/*
 * 29 and 30
 */

static enum outcome write_read_only(struct victim *v, uint64_t type)
{
	void *data = arena_take(SECTOR_SIZE, 8);

	fill_junk(data, SECTOR_SIZE);
	if (type != WRITE_TYPE)
		make_ranges(v, UNMAP, memset(data = arena_take(4096, 8), 0, 4096));
	return must_fail(
		request(v, (uint32_t)type, 0, data, type == WRITE_TYPE ? SECTOR_SIZE : 16, 0),
		"a read-only disk is written");
}

/* What it says must stay data: the disk keeps its size and gives the sector back as it is. */
static enum outcome image_header(struct victim *v, uint64_t arg)
{
	/* Version 3; a backing file named at 104; 1 TiB. QEMU, docs/interop/qcow2.txt */
	static const uint8_t qcow2[SECTOR_SIZE] =
		"QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\x68\0\0\0\x0b\0\0\0\x10"
		"\0\0\1\0\0\0\0\0";
	struct virtio *dev = v->dev;
	uint8_t *old = arena_take(SECTOR_SIZE, 8), *new = arena_take(SECTOR_SIZE, 8);
	enum outcome found;
	uint64_t capacity;
	bool same;

	(void)arg;
	found = request(v, READ_TYPE, 0, old, SECTOR_SIZE, WRITE);
	memcpy(new, qcow2, SECTOR_SIZE);
	memcpy(new + 104, "/etc/passwd", 11);
	found = worse(found, request(v, WRITE_TYPE, 0, new, SECTOR_SIZE, 0));
	if (found != SERVED)
		return found;
	if (!device_start(dev, 0))
		return fail(FAIL_DEAD, "it does not start after it");
	capacity = *(volatile uint64_t *)(dev->window + VIRTIO_MMIO_CONFIG);
	fill_junk(dev->sector, SECTOR_SIZE);
	found = request(v, READ_TYPE, 0, dev->sector, SECTOR_SIZE, WRITE);
	same = !memcmp(dev->sector, new, SECTOR_SIZE);
	found = worse(found, request(v, WRITE_TYPE, 0, old, SECTOR_SIZE, 0));
	if (capacity != dev->capacity || !same)
		return fail(FAIL_DATA, "a disk that was raw is taken for another");
	return found;
}

/*
 * 31 and 32: the host does something to the disk when it sees the line (tests/abuse/run), and
 * undoes it at the next.
 */

static enum outcome host_does(struct victim *v, const char *what, uint32_t type, uint64_t sector)
{
	const uint16_t direction = type == READ_TYPE ? WRITE : 0;
	uint8_t *data = arena_take(SECTOR_SIZE, 8);
	enum outcome found = SERVED, mended = SKIPPED;
	unsigned int tries;

	if (!host_helps)
		return skip("no help of the host");
	for (tries = 0; tries < 3 && found == SERVED; tries++) {
		print(what);
		wait(HOST_WAIT);
		found = request(v, type, sector, data, SECTOR_SIZE, direction);
	}
	for (tries = 0; tries < 10 && mended != SERVED; tries++) {
		print("[host: restore] ");
		wait(HOST_WAIT);
		mended = request(v, type, sector, data, SECTOR_SIZE, direction);
		if (type == READ_TYPE && !disk_sector_is_pristine(data, sector))
			mended = SKIPPED;
	}
	return mended == SERVED ? found : fail(FAIL_DEAD, "it fails after the host has mended it");
}

static enum outcome disk_shrinks(struct victim *v, uint64_t arg)
{
	(void)arg;
	return host_does(v, "[host: shrink] ", READ_TYPE, v->dev->capacity - 16);
}

static enum outcome no_space(struct victim *v, uint64_t arg)
{
	(void)arg;
	return host_does(v, "[host: no space] ", WRITE_TYPE, SCRATCH_SECTOR + 32);
}

const struct step blk_steps[] = {
	PAST_END_AT(8, "at the end"),
	PAST_END_AT(7, "of the last sector and more"),
	PAST_END_AT(5, "of the last three sectors and one more"),
	PAST_END_AT(1ull << 32, "at 2^32"),
	PAST_END_AT(1ull << 55, "at 2^55, which is byte 2^64"),
	PAST_END_AT((1ull << 55) - 2, "up to byte 2^64"),
	PAST_END_AT(1ull << 63, "at 2^63"),
	PAST_END_AT(UINT64_MAX - 1, "that wraps at 2^64"),
	PAST_END_AT(UINT64_MAX, "at 2^64 - 1"),

	{26, ON_DISK, "read of 1", read_length, 1, 0},
	{26, ON_DISK, "read of 511", read_length, 511, 0},
	{26, ON_DISK, "read of 513", read_length, 513, 0},
	{26, ON_DISK, "write of 1", write_length, 1, 0},
	{26, ON_DISK, "write of 511", write_length, 511, 0},
	{26, ON_DISK, "write of 513", write_length, 513, 0},

	{27, ON_DISK, "read without data", no_data, READ_TYPE, 0},
	{27, ON_DISK, "write without data", no_data, WRITE_TYPE, 0},
	{27, ON_DISK, "header only", only_header, 16, 0},
	{27, ON_DISK, "1 byte of header only", only_header, 1, 0},
	{27, ON_DISK, "status only", only_status, 1, 0},
	{27, ON_DISK, "no header", no_header, SECTOR_SIZE, 0},
	{27, ON_DISK, "15 bytes of header", short_header, 15, 0},
	{27, ON_DISK, "read that may write nothing", no_status_to_write, READ_TYPE, 0},
	{27, ON_DISK, "write that may write no status", no_status_to_write, WRITE_TYPE, 0},
	{27, ON_DISK, "header split at 1", split_header, 1, 0},
	{27, ON_DISK, "header split at 8", split_header, 8, 0},
	{27, ON_DISK, "header split at 15", split_header, 15, 0},
	{27, ON_DISK, "data in pieces of 64", split_data, 64, 0},
	{27, ON_DISK, "data in pieces of 100", split_data, 100, 0},
	{27, ON_DISK, "data and status in one", status_behind_data, 0, 0},

	{28, ON_DISK | ON_READ_ONLY, "type 2", type_is, 2, 0},
	{28, ON_DISK | ON_READ_ONLY, "type 3", type_is, 3, 0},
	{28, ON_DISK | ON_READ_ONLY, "type 5", type_is, 5, 0},
	{28, ON_DISK | ON_READ_ONLY, "type 7", type_is, 7, 0},
	{28, ON_DISK | ON_READ_ONLY, "type 9", type_is_out, 9, 0},
	{28, ON_DISK | ON_READ_ONLY, "type 2^31", type_is, 1u << 31, 0},
	{28, ON_DISK | ON_READ_ONLY, "type 2^32 - 1", type_is, UINT32_MAX, 0},
	{28, ON_DISK | ON_READ_ONLY, "type 2^32 - 1, to write", type_is_out, UINT32_MAX, 0},
	{28, ON_DISK | ON_READ_ONLY, "read with data to write", type_is_out, READ_TYPE, 0},
	{28, ON_DISK | ON_READ_ONLY, "write with data to read", type_is, WRITE_TYPE, 0},
	{28, ON_DISK | ON_READ_ONLY, "flush with data", type_is, VIRTIO_BLK_T_FLUSH, 0},
	{28, ON_DISK | ON_READ_ONLY, "flush with data to write", type_is_out, VIRTIO_BLK_T_FLUSH,
	 0},
	{28, ON_DISK | ON_READ_ONLY, "ID of 1", get_id, 1, 0},
	{28, ON_DISK | ON_READ_ONLY, "ID of 19", get_id, 19, 0},
	{28, ON_DISK | ON_READ_ONLY, "ID of 21", get_id, 21, 0},
	{28, ON_DISK | ON_READ_ONLY, "ID of 4096", get_id, 4096, 0},
	{28, ON_DISK | ON_READ_ONLY, "ID without data", no_data, VIRTIO_BLK_T_GET_ID, 0},
	{28, ON_DISK, "discard, not negotiated", discard, UNMAP + 1, 0},
	RANGES_ARE(NO_RANGE, "no range"),
	RANGES_ARE(HALF_A_RANGE, "half a range"),
	RANGES_ARE(RANGE_AND_A_HALF, "one and a half"),
	RANGES_ARE(MANY_RANGES, "256 ranges"),
	RANGES_ARE(RANGE_PAST_END, "past the end"),
	RANGES_ARE(RANGE_WRAPS, "that wraps at 2^64"),
	RANGES_ARE(RANGE_OF_ALL, "of 2^32 - 1 sectors"),
	RANGES_ARE(SECOND_PAST_END, "the second past the end"),
	RANGES_ARE(RESERVED_FLAGS, "reserved flags"),
	RANGES_ARE(UNMAP, "unmap"),
	RANGES_ARE(ONLY_READABLE, "range to be written"),

	{29, ON_READ_ONLY, "flush", no_data, VIRTIO_BLK_T_FLUSH, 0},
	{29, ON_READ_ONLY, "write", write_read_only, WRITE_TYPE, 0},
	{29, ON_READ_ONLY, "discard", write_read_only, VIRTIO_BLK_T_DISCARD, 0},
	{29, ON_READ_ONLY, "write zeroes", write_read_only, VIRTIO_BLK_T_WRITE_ZEROES, 0},
	{29, ON_READ_ONLY, "secure erase", write_read_only, 14, 0},

	{30, ON_DISK, "header written, read after a reset", image_header, 0, 0},

	{31, ON_DISK, "the file is truncated in use", disk_shrinks, 0, 0},
	{32, ON_DISK, "a write without space", no_space, 0, 0},
};
const size_t nr_blk_steps = ARRAY_SIZE(blk_steps);
