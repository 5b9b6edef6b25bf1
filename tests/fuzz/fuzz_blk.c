/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Requests to virtio-blk, cut into descriptors in any way, good and bad, several at a time. A
 * model of the disk and of virtio 1.2, 5.2.6 says what each has to do: after each kick all of RAM,
 * all of the disk and what lies behind it must be as the model has them.
 */
#include "fuzz_disk.h"

#define LOW KIB(48)
#define HIGH KIB(4)
#define STEPS_MAX 128
#define PIECES 4	/* of each direction */
#define DATA_MAX KIB(9) /* of a request */
#define BATCH_MAX 16
#define RANGES_MAX 34
#define ROOM (DATA_MAX + KIB(2)) /* what a request may take of RAM */

#define FEATURE(bit) (1ull << (bit))

/* A request as the driver built it. */
struct request {
	uint16_t head;
	unsigned int nr;
	struct fake_buf bufs[2 * PIECES];
	bool breaks; /* no request: the device must ask for a reset */
	uint64_t out_bytes, in_bytes;
	struct virtio_blk_outhdr header;
	uint8_t out[DATA_MAX];
};

static struct fuzz_guest guest;
static struct fuzz_disk disks[3]; /* can discard, cannot, read-only */
static struct fuzz_disk *disk;
static struct fake_queue *queue;

static struct request batch[BATCH_MAX];
static unsigned int nr_batch;
static unsigned int descs; /* which the batch takes */
static uint64_t features;
static uint16_t queue_size, next_used;
static gpa_t free_ram;
static bool broken;
static uint8_t noise[256 + DATA_MAX]; /* what is written to the disk */

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct fake_guest fake;
	unsigned int i;

	(void)argc;
	(void)argv;
	log_set_level(LOG_ERROR);
	fake_guest_init(&fake);
	fuzz_guest_init(&guest, &fake, LOW, HIGH);
	for (i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i % 251 + i / 251);
	for (i = 0; i < ARRAY_SIZE(disks); i++)
		fuzz_disk_init(&disks[i], &fake.mem, &fake.loop, i == 2, i == 0);
	queue = &fake.queues[0];
	return 0;
}

static bool read_only(void)
{
	return disk == &disks[2];
}

static bool has(unsigned int bit)
{
	return features >> bit & 1;
}

static void batch_clear(void)
{
	nr_batch = descs = 0;
	guest.fake->next_free = free_ram;
}

static void start(void)
{
	fake_reg_write(guest.fake, VIRTIO_MMIO_STATUS, 0);
	fuzz_guest_clear(&guest);
	fake_guest_start(guest.fake, features, queue_size);
	free_ram = guest.fake->next_free;
	batch_clear();
	next_used = 0;
	broken = false;
	fuzz_guest_sync(&guest);
	fake_irqs(guest.fake);
}

/*
 * The model
 */

static bool in_disk(uint64_t sector, uint64_t nr)
{
	return sector + (unsigned __int128)nr <= FUZZ_SECTORS;
}

static bool good_data(const struct request *request, uint64_t bytes)
{
	return bytes && bytes % FUZZ_SECTOR == 0 &&
	       in_disk(request->header.sector, bytes / FUZZ_SECTOR);
}

/* The bytes [at, at + len) of the writable part are to be these. */
static void expect_written(const struct request *request, uint64_t at, const uint8_t *data,
			   uint64_t len)
{
	unsigned int i;

	for (i = 0; i < request->nr && len; i++) {
		const struct fake_buf *buf = &request->bufs[i];
		uint64_t part;

		if (!buf->writable || !buf->len)
			continue;
		if (at >= buf->len) {
			at -= buf->len;
			continue;
		}
		part = MIN(buf->len - at, len);
		fuzz_expect(&guest, buf->gpa + at, data, part);
		data += part;
		len -= part;
		at = 0;
	}
	FUZZ_CHECK(!len);
}

static uint8_t model_ranges(const struct request *request)
{
	const bool discard = request->header.type == VIRTIO_BLK_T_DISCARD;
	struct virtio_blk_discard_write_zeroes range;
	const uint64_t nr = request->out_bytes / sizeof(range);
	uint64_t i;

	if (!has(discard ? VIRTIO_BLK_F_DISCARD : VIRTIO_BLK_F_WRITE_ZEROES))
		return VIRTIO_BLK_S_UNSUPP;
	if (!nr || request->out_bytes % sizeof(range) || nr > (discard ? 32 : 1))
		return VIRTIO_BLK_S_IOERR;
	for (i = 0; i < nr; i++) {
		memcpy(&range, request->out + i * sizeof(range), sizeof(range));
		if (range.flags > (discard ? 0 : 1))
			return VIRTIO_BLK_S_UNSUPP;
		if (!in_disk(range.sector, range.num_sectors))
			return VIRTIO_BLK_S_IOERR;
	}
	for (i = 0; i < nr; i++) {
		memcpy(&range, request->out + i * sizeof(range), sizeof(range));
		memset(disk->model + range.sector * FUZZ_SECTOR, 0,
		       (size_t)range.num_sectors * FUZZ_SECTOR);
	}
	return VIRTIO_BLK_S_OK;
}

/* The status of a request, after all it does to the model of disk and RAM. */
static uint8_t model_run(const struct request *request, uint32_t *ret_written)
{
	static const uint8_t id[VIRTIO_BLK_ID_BYTES] = FUZZ_DISK_ID;
	const uint64_t offset = request->header.sector * FUZZ_SECTOR;

	switch (request->header.type) {
	case VIRTIO_BLK_T_IN:
		if (!good_data(request, request->in_bytes))
			return VIRTIO_BLK_S_IOERR;
		expect_written(request, 0, disk->model + offset, request->in_bytes);
		*ret_written = (uint32_t)request->in_bytes;
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_OUT:
		if (read_only() || !good_data(request, request->out_bytes))
			return VIRTIO_BLK_S_IOERR;
		memcpy(disk->model + offset, request->out, request->out_bytes);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_FLUSH:
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_GET_ID:
		*ret_written = (uint32_t)MIN(sizeof(id), request->in_bytes);
		expect_written(request, 0, id, *ret_written);
		return VIRTIO_BLK_S_OK;
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
		return read_only() ? VIRTIO_BLK_S_IOERR : model_ranges(request);
	}
	return VIRTIO_BLK_S_UNSUPP;
}

/* Has the device serve the batch, and the model. */
static void kick(void)
{
	const gpa_t used = queue->used;
	const uint16_t before = next_used;
	unsigned int i, turns;
	uint64_t irqs;

	fuzz_guest_sync(&guest);
	for (i = 0; i < nr_batch && !broken; i++) {
		const struct request *request = &batch[i];
		struct vring_used_elem elem = {request->head, 0};
		uint8_t status;

		broken = request->breaks;
		if (broken)
			break;
		status = model_run(request, &elem.len);
		expect_written(request, request->in_bytes, &status, 1);
		elem.len++;
		fuzz_expect(&guest, used + 4 + sizeof(elem) * (next_used % queue->size), &elem,
			    sizeof(elem));
		next_used++;
	}
	fuzz_expect(&guest, used + 2, &next_used, sizeof(next_used));

	fake_kick(guest.fake, 0);
	turns = fuzz_run(guest.fake, BATCH_MAX + 8);
	FUZZ_CHECK(turns <= nr_batch + 2);
	/* The wish for kicks. */
	fuzz_allow(&guest, used, 2);
	fuzz_allow(&guest, used + 4 + 8ull * queue->size, 2);
	fuzz_guest_check(&guest);
	FUZZ_CHECK(!memcmp(disk->content, disk->model, sizeof(disk->model)));
	FUZZ_CHECK(broken ==
		   !!(fake_reg_read(guest.fake, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET));
	irqs = fake_irqs(guest.fake);
	if (next_used != before && !has(VIRTIO_RING_F_EVENT_IDX))
		FUZZ_CHECK(irqs);
	batch_clear();
}

/*
 * The driver
 */

/* Cuts `len` bytes of RAM into pieces, of any length, 0 too. */
static void cut(struct fuzz_input *in, struct request *request, uint64_t len, unsigned int pieces,
		bool writable)
{
	gpa_t gpa = fake_alloc(guest.fake, len + 1, 1);
	uint32_t part;

	for (; pieces; pieces--) {
		part = pieces == 1 ? (uint32_t)len : fuzz_u16(in) & 0x3ff;
		part = (uint32_t)MIN(part, len);
		request->bufs[request->nr++] = (struct fake_buf){gpa, part, writable};
		gpa += part;
		len -= part;
	}
}

static void take_ranges(struct fuzz_input *in, struct request *request)
{
	struct virtio_blk_discard_write_zeroes range;
	uint8_t how = fuzz_u8(in);
	unsigned int nr = how & 64 ? how % RANGES_MAX : how & 3, i;

	for (i = 0; i < nr; i++) {
		uint8_t shape = i < 4 ? fuzz_u8(in) : 0;

		range.sector = fuzz_u8(in) % (FUZZ_SECTORS + 2);
		range.num_sectors = shape & 15;
		range.flags = shape >> 4 & 1;
		if (shape & 32)
			range.sector = fuzz_u64(in);
		if (shape & 64)
			range.num_sectors = fuzz_u32(in);
		if (shape & 128)
			range.flags = fuzz_u32(in);
		memcpy(request->out + i * sizeof(range), &range, sizeof(range));
	}
	request->out_bytes = nr * sizeof(range) + (how & 128 ? how % 16 : 0);
}

/* Header and data; the framing comes after. */
static void take_contents(struct fuzz_input *in, struct request *request)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN,      VIRTIO_BLK_T_OUT,
					 VIRTIO_BLK_T_FLUSH,   VIRTIO_BLK_T_GET_ID,
					 VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES,
					 VIRTIO_BLK_T_OUT};
	const uint8_t what = fuzz_u8(in), shape = fuzz_u8(in), seed = fuzz_u8(in);
	uint64_t len = (shape & 15) * FUZZ_SECTOR;

	request->header.type = (what & 7) == 7 ? fuzz_u32(in) : types[what & 7];
	request->header.sector = what & 8 ? fuzz_u64(in) : (what >> 4) * 2u;
	if (shape & 128) /* a sum that wraps */
		request->header.sector = UINT64_MAX - seed;
	request->header.ioprio = seed;
	if (shape & 16)
		len += fuzz_u8(in);
	request->in_bytes = request->out_bytes = 0;
	if (request->header.type == VIRTIO_BLK_T_IN || request->header.type == VIRTIO_BLK_T_GET_ID)
		request->in_bytes = len;
	else
		request->out_bytes = len;
	if (shape & 32) /* data in the other direction, too */
		request->out_bytes += 17;
	if (shape & 64)
		request->in_bytes += 17;
	memcpy(request->out, noise + seed, request->out_bytes);
	if (request->header.type == VIRTIO_BLK_T_DISCARD ||
	    request->header.type == VIRTIO_BLK_T_WRITE_ZEROES)
		take_ranges(in, request);
}

/* Whether no descriptor breaks a rule. */
static bool framing_ok(const struct request *request)
{
	uint64_t readable = 0, writable = 0;
	unsigned int i;

	for (i = 0; i < request->nr; i++) {
		const struct fake_buf *buf = &request->bufs[i];

		if (!buf->len)
			continue;
		if (!fuzz_is_ram(&guest, buf->gpa, buf->len) || (!buf->writable && writable))
			return false;
		*(buf->writable ? &writable : &readable) += buf->len;
	}
	return readable >= sizeof(request->header) && writable;
}

/* Rules a driver should keep. */
static void take_breaches(struct fuzz_input *in, struct request *request)
{
	const uint8_t how = fuzz_u8(in);
	struct fake_buf *buf = &request->bufs[(how >> 4) % request->nr];

	switch (how & 3) {
	case 0:
		buf->gpa = fuzz_gpa(in, &guest);
		if (buf->writable || !fuzz_is_ram(&guest, buf->gpa, buf->len))
			break;
		/* To read from anywhere is no breach, but the model would have to follow. */
		buf->gpa = UINT64_MAX - 100;
		break;
	case 1:
		buf->gpa = guest.ram[1].gpa + guest.ram[1].size - buf->len + 1;
		break;
	case 2:
		buf->writable = !buf->writable;
		break;
	case 3:
		buf->len = fuzz_u32(in);
		break;
	}
	request->breaks = !framing_ok(request);
	/* Only breaches: what is good is built to be good all through. */
	if (!request->breaks) {
		buf->gpa = UINT64_MAX - 100;
		buf->len = 64;
		request->breaks = true;
	}
}

static void add_request(struct fuzz_input *in, bool hostile)
{
	struct request *request;
	const uint8_t how = fuzz_u8(in);
	unsigned int i, pieces_out = (how & 3) + 1, pieces_in = (how >> 2 & 3) + 1;
	bool in_table = how & 16;
	uint64_t at = 0, short_by;
	uint8_t *flat;
	uint8_t status = 0xee;

	if (nr_batch == BATCH_MAX || guest.fake->next_free + ROOM > FAKE_RAM_BASE + LOW)
		kick();
	request = &batch[nr_batch];
	request->nr = 0;
	take_contents(in, request);
	if (pieces_out + pieces_in > queue->size)
		pieces_out = pieces_in = 1;
	if (pieces_out + pieces_in > queue->size)
		in_table = true;
	if (!in_table && descs + pieces_out + pieces_in > queue->size) {
		struct request copy = *request;

		kick();
		request = &batch[0];
		*request = copy;
	}
	/* A short header, or no status. */
	short_by = hostile && (how & 64) ? 1 + request->out_bytes + (how & 15) : 0;
	cut(in, request, sizeof(request->header) + request->out_bytes - short_by, pieces_out,
	    false);
	flat = fake_ptr(guest.fake, request->bufs[0].gpa, 1);
	memcpy(flat, &request->header,
	       MIN(sizeof(request->header),
		   sizeof(request->header) + request->out_bytes - short_by));
	if (!short_by)
		memcpy(flat + sizeof(request->header), request->out, request->out_bytes);
	cut(in, request, request->in_bytes + 1, pieces_in, true);
	request->breaks = !framing_ok(request);
	if (hostile && !short_by)
		take_breaches(in, request);
	for (i = 0; i < request->nr && !request->breaks; i++)
		if (request->bufs[i].writable)
			at += request->bufs[i].len;
	FUZZ_CHECK(request->breaks || at == request->in_bytes + 1);
	if (in_table && !has(VIRTIO_RING_F_INDIRECT_DESC))
		request->breaks = true;
	/* Not the status of a success. cut left one byte of RAM behind it. */
	memcpy(fake_ptr(guest.fake, guest.fake->next_free - 2, 1), &status, 1);
	request->head = fake_chain(guest.fake, queue, request->bufs, request->nr, in_table);
	fake_publish(guest.fake, queue, request->head);
	descs += in_table ? 1 : request->nr;
	nr_batch++;
	if (descs == queue->size)
		kick();
}

static void do_step(struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in);

	switch (op & 7) {
	case 5:
		kick();
		break;
	case 6:
		add_request(in, true);
		break;
	case 7:
		if (op & 8)
			start();
		else
			kick();
		break;
	default:
		add_request(in, false);
		if (op & 16)
			kick();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	const uint8_t how = fuzz_u8(&in), without = fuzz_u8(&in);
	unsigned int steps, i;

	disk = &disks[how % 3];
	fuzz_disk_clear(disk);
	fake_guest_attach(guest.fake, blk_virtio(disk->blk));
	features = fake_offered_features(guest.fake);
	for (i = 0; i < 8; i++) {
		static const uint8_t bits[] = {
			VIRTIO_BLK_F_FLUSH,	   VIRTIO_BLK_F_DISCARD,
			VIRTIO_BLK_F_WRITE_ZEROES, VIRTIO_RING_F_INDIRECT_DESC,
			VIRTIO_RING_F_EVENT_IDX,   VIRTIO_BLK_F_SEG_MAX,
			VIRTIO_BLK_F_SIZE_MAX,	   VIRTIO_BLK_F_BLK_SIZE};
		if (without >> i & 1)
			features &= ~FEATURE(bits[i]);
	}
	queue_size = (uint16_t)(64 >> (how >> 4) % 7);
	start();
	for (steps = 0; in.size && steps < STEPS_MAX; steps++)
		do_step(&in);
	kick();
	fuzz_steps += steps;
	fuzz_disk_check(disk);
	fuzz_disk_works(&guest, disk, read_only());
	disk = &disks[(how + 1) % 3];
	fuzz_disk_clear(disk);
	fuzz_disk_works(&guest, disk, read_only());
	return 0;
}
