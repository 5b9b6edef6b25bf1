/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk requests, good and bad. */
#include "test_blk.h"

static void describes_the_disk(void **state)
{
	struct fixture *f = *state;
	const uint64_t base = VIRTIO_MMIO_CONFIG;
	uint64_t offered = fake_offered_features(&f->guest);

	assert_int_equal(fake_reg_read(&f->guest, VIRTIO_MMIO_DEVICE_ID), 2);
	assert_int_equal(fake_mmio_read(&f->guest, base, 8), SECTORS);
	assert_int_equal(
		fake_mmio_read(&f->guest, base + offsetof(struct virtio_blk_config, blk_size), 4),
		SECTOR);
	assert_int_equal(
		fake_mmio_read(&f->guest, base + offsetof(struct virtio_blk_config, seg_max), 4),
		VIRTQUEUE_SIZE_MAX - 2);
	assert_int_equal(
		fake_mmio_read(&f->guest, base + offsetof(struct virtio_blk_config, size_max), 4),
		16 << 10);
	assert_int_equal(offered & 0xffffff,
			 FEATURE(VIRTIO_BLK_F_SEG_MAX) | FEATURE(VIRTIO_BLK_F_SIZE_MAX) |
				 FEATURE(VIRTIO_BLK_F_BLK_SIZE) | FEATURE(VIRTIO_BLK_F_FLUSH) |
				 FEATURE(VIRTIO_BLK_F_DISCARD) |
				 FEATURE(VIRTIO_BLK_F_WRITE_ZEROES));
	device_replace(f, dup(f->fd), true, 0);
	offered = fake_offered_features(&f->guest);
	assert_int_equal(offered & 0xffffff,
			 FEATURE(VIRTIO_BLK_F_SEG_MAX) | FEATURE(VIRTIO_BLK_F_SIZE_MAX) |
				 FEATURE(VIRTIO_BLK_F_BLK_SIZE) | FEATURE(VIRTIO_BLK_F_FLUSH) |
				 FEATURE(VIRTIO_BLK_F_RO));
}

static uint64_t config_field(struct fixture *f, size_t offset, unsigned int len)
{
	return fake_mmio_read(&f->guest, VIRTIO_MMIO_CONFIG + offset, len);
}

#define CONFIG_FIELD(f, name) \
	config_field(f, offsetof(struct virtio_blk_config, name), \
		     sizeof(((struct virtio_blk_config *)0)->name))

/* What the host's file cannot do is not offered, and its blocks are the least that is discarded. */
static void describes_what_the_host_can_do(void **state)
{
	static const struct {
		bool can_discard;
		uint32_t block_size, alignment;
	} files[] = {{true, 512, 8}, {true, 8192, 16}, {false, 512, 0}};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		struct blk_file file = {.fd = dup(f->fd),
					.can_discard = files[i].can_discard,
					.size = DISK_SIZE,
					.block_size = files[i].block_size};
		uint64_t offered;

		blk_destroy(f->blk);
		assert_int_equal(
			blk_create(&file, "disk-id", &f->guest.mem, &f->guest.loop, &f->blk), 0);
		virtio_mmio_init(blk_virtio(f->blk), NULL);
		fake_guest_attach(&f->guest, blk_virtio(f->blk));
		offered = fake_offered_features(&f->guest);
		assert_int_equal(!!(offered & FEATURE(VIRTIO_BLK_F_DISCARD)), files[i].can_discard);
		assert_true(offered & FEATURE(VIRTIO_BLK_F_WRITE_ZEROES));
		assert_int_equal(CONFIG_FIELD(f, blk_size), files[i].block_size);
		assert_int_equal(CONFIG_FIELD(f, write_zeroes_may_unmap), files[i].can_discard);
		assert_int_equal(CONFIG_FIELD(f, discard_sector_alignment), files[i].alignment);
		assert_int_equal(CONFIG_FIELD(f, max_discard_seg), files[i].can_discard ? 32 : 0);
	}
}

/* Nobody else is served while a request is: 254 segments of 16 KiB are the most. */
static void a_request_is_bounded(void **state)
{
	enum { SEGMENTS = 60, LIMIT = 254 * (16 << 10) };
	struct fixture *f = *state;
	struct fake_buf bufs[1 + SEGMENTS + 1];
	uint32_t len = LIMIT / SEGMENTS / SECTOR * SECTOR, rest = LIMIT - len * SEGMENTS;
	int fd = memfd_create("big", MFD_CLOEXEC);
	unsigned int i;

	assert_int_equal(ftruncate(fd, MIB(64)), 0);
	device_replace(f, fd, false, 0);
	bufs[0] = (struct fake_buf){f->header, sizeof(struct virtio_blk_outhdr), false};
	for (i = 1; i <= SEGMENTS; i++)
		bufs[i] = (struct fake_buf){FAKE_RAM_BASE, len, false};
	bufs[SEGMENTS].len += rest;
	bufs[SEGMENTS + 1] = (struct fake_buf){f->status, 1, true};
	set_header(f, VIRTIO_BLK_T_OUT, 0);
	assert_int_equal(submit(f, bufs, ARRAY_SIZE(bufs)), VIRTIO_BLK_S_OK);
	bufs[1].len += SECTOR;
	set_header(f, VIRTIO_BLK_T_OUT, 0);
	assert_int_equal(submit(f, bufs, ARRAY_SIZE(bufs)), VIRTIO_BLK_S_IOERR);
}

static void writes_and_reads(void **state)
{
	struct fixture *f = *state;
	unsigned char disk[3 * SECTOR];
	size_t i;

	for (i = 0; i < sizeof(disk); i++)
		data(f)[i] = (unsigned char)(i * 7 + 1);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 5, sizeof(disk)), VIRTIO_BLK_S_OK);
	assert_int_equal(f->used_len, 1);
	disk_read(f, 5, disk, sizeof(disk));
	assert_memory_equal(disk, data(f), sizeof(disk));
	assert_disk(f, 4, 1, 0);
	assert_disk(f, 8, 1, 0);
	memset(data(f), 0xff, DATA_SIZE);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 5, sizeof(disk)), VIRTIO_BLK_S_OK);
	assert_int_equal(f->used_len, sizeof(disk) + 1);
	assert_memory_equal(disk, data(f), sizeof(disk));
	assert_int_equal(data(f)[sizeof(disk)], 0xff);
	/* The first and the last sector. */
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, SECTORS - 1, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
}

static void ranges_are_bounded(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t len;
	} bad[] = {
		{SECTORS, SECTOR},
		{SECTORS - 1, 2 * SECTOR},
		{SECTORS + 1, SECTOR},
		{UINT64_MAX, SECTOR},
		{UINT64_MAX, 2 * SECTOR},
		{UINT64_MAX / SECTOR, SECTOR},
		{UINT64_MAX / SECTOR + 1, SECTOR},
		{UINT64_MAX / SECTOR + 2, SECTOR},
		{1ull << 63, SECTOR},
		/* Not whole sectors, and nothing at all. */
		{0, 1},
		{0, SECTOR - 1},
		{0, SECTOR + 1},
		{0, 0},
		{SECTORS, 0},
	};
	struct fixture *f = *state;
	size_t i;

	disk_fill(f, 0x11);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memset(data(f), 0x55, DATA_SIZE);
		assert_int_equal(request(f, VIRTIO_BLK_T_OUT, bad[i].sector, bad[i].len),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(f->used_len, 1);
		assert_int_equal(request(f, VIRTIO_BLK_T_IN, bad[i].sector, bad[i].len),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(f->used_len, 1);
		assert_int_equal(data(f)[0], 0x55);
	}
	assert_disk(f, 0, SECTORS, 0x11);
}

/* The same request, cut in every way: header byte by byte, joined with data, status with data. */
static void framing_is_free(void **state)
{
	struct fixture *f = *state;
	const gpa_t joined = fake_alloc(&f->guest, 16 + 2 * SECTOR + 1, 1);
	struct fake_buf bufs[20];
	unsigned int i;

	disk_fill(f, 0x22);
	for (i = 0; i < 16; i++)
		bufs[i] = (struct fake_buf){f->header + i, 1, false};
	/* Data in parts of odd length, the status at the end of the last. */
	f->status = joined + SECTOR;
	bufs[16] = (struct fake_buf){joined, 7, true};
	bufs[17] = (struct fake_buf){0, 0, true};
	bufs[18] = (struct fake_buf){joined + 7, SECTOR - 7 + 1, true};
	set_header(f, VIRTIO_BLK_T_IN, 3);
	assert_int_equal(submit(f, bufs, 19), VIRTIO_BLK_S_OK);
	assert_int_equal(f->used_len, SECTOR + 1);
	for (i = 0; i < SECTOR; i++)
		assert_int_equal(*(uint8_t *)fake_ptr(&f->guest, joined + i, 1), 0x22);
	/* Header and data of a write in one descriptor. */
	f->header = joined;
	f->status = joined + 16 + 2 * SECTOR;
	memset(fake_ptr(&f->guest, joined + 16, 2 * SECTOR), 0x33, 2 * SECTOR);
	bufs[0] = (struct fake_buf){joined, 16 + 2 * SECTOR, false};
	bufs[1] = (struct fake_buf){f->status, 1, true};
	set_header(f, VIRTIO_BLK_T_OUT, 10);
	assert_int_equal(submit(f, bufs, 2), VIRTIO_BLK_S_OK);
	assert_disk(f, 9, 1, 0x22);
	assert_disk(f, 10, 2, 0x33);
	assert_disk(f, 12, 1, 0x22);
}

static void data_in_the_wrong_direction(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf out[] = {
		{f->header, 16, false}, {f->data, SECTOR, true}, {f->status, 1, true}};
	const struct fake_buf in[] = {
		{f->header, 16, false}, {f->data, SECTOR, false}, {f->status, 1, true}};

	disk_fill(f, 0x44);
	memset(data(f), 0x55, SECTOR);
	set_header(f, VIRTIO_BLK_T_OUT, 0);
	assert_int_equal(submit(f, out, 3), VIRTIO_BLK_S_IOERR);
	set_header(f, VIRTIO_BLK_T_IN, 0);
	assert_int_equal(submit(f, in, 3), VIRTIO_BLK_S_IOERR);
	assert_disk(f, 0, 1, 0x44);
	assert_int_equal(data(f)[0], 0x55);
}

/* Not even a status can be given: the device asks for a reset, after which all is well. */
static void no_room_for_header_or_status(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf bad[][2] = {
		{{f->header, 15, false}, {f->status, 1, true}},	 /* short header */
		{{f->header, 16, true}, {f->status, 1, true}},	 /* writable header */
		{{f->header, 16, false}, {f->status, 1, false}}, /* read-only status */
		{{f->header, 16, false}, {f->status, 0, true}},	 /* empty status */
		{{f->header, 0, false}, {f->status, 0, true}},	 /* nothing */
		{{UINT64_MAX, 16, false}, {f->status, 1, true}}, /* no memory */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		set_header(f, VIRTIO_BLK_T_IN, 0);
		fake_add(&f->guest, f->queue, bad[i], 2);
		fake_kick(&f->guest, 0);
		fake_run(&f->guest);
		assert_true(fake_reg_read(&f->guest, VIRTIO_MMIO_STATUS) &
			    VIRTIO_CONFIG_S_NEEDS_RESET);
		assert_int_equal(fake_irqs(&f->guest), 1);
		assert_int_equal(*fake_used_idx(&f->guest, f->queue), 0);
		fake_guest_start(&f->guest, fake_offered_features(&f->guest), QUEUE_SIZE);
		assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_OK);
		fake_guest_start(&f->guest, fake_offered_features(&f->guest), QUEUE_SIZE);
	}
}

static void get_id_of_any_length(void **state)
{
	static const uint32_t lengths[] = {0, 1, 7, 19, 20, 21, SECTOR};
	struct fixture *f = *state;
	char expected[VIRTIO_BLK_ID_BYTES] = "disk-id";
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		const uint32_t len = MIN(lengths[i], VIRTIO_BLK_ID_BYTES);

		memset(data(f), 0x77, DATA_SIZE);
		assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, lengths[i]), VIRTIO_BLK_S_OK);
		assert_int_equal(f->used_len, len + 1);
		assert_memory_equal(data(f), expected, len);
		assert_int_equal(data(f)[len], 0x77);
	}
}

static void unknown_types_are_unsupported(void **state)
{
	static const uint32_t more[] = {VIRTIO_BLK_T_BARRIER, VIRTIO_BLK_T_BARRIER | 1, UINT32_MAX,
					0x100, 0x10000 | VIRTIO_BLK_T_OUT};
	const uint64_t known = FEATURE(VIRTIO_BLK_T_IN) | FEATURE(VIRTIO_BLK_T_OUT) |
			       FEATURE(VIRTIO_BLK_T_FLUSH) | FEATURE(VIRTIO_BLK_T_GET_ID) |
			       FEATURE(VIRTIO_BLK_T_DISCARD) | FEATURE(VIRTIO_BLK_T_WRITE_ZEROES);
	struct fixture *f = *state;
	uint32_t type;
	size_t i;

	for (type = 0; type < 64; type++)
		if (!(known >> type & 1))
			assert_int_equal(request(f, type, 0, SECTOR), VIRTIO_BLK_S_UNSUPP);
	for (i = 0; i < ARRAY_SIZE(more); i++)
		assert_int_equal(request(f, more[i], 0, SECTOR), VIRTIO_BLK_S_UNSUPP);
	/* Data that a request has no use for does no harm. */
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, UINT64_MAX, 17), VIRTIO_BLK_S_OK);
}

/* A raw disk stays raw, whatever is written to it. */
static void image_headers_mean_nothing(void **state)
{
	static const char qcow2[] = "QFI\xfb\0\0\0\3";
	struct fixture *f = *state;
	struct stat st;

	memcpy(data(f), qcow2, sizeof(qcow2));
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_OK);
	device_replace(f, dup(f->fd), false, 0);
	memset(data(f), 0, SECTOR);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_memory_equal(data(f), qcow2, sizeof(qcow2));
	assert_int_equal(fake_mmio_read(&f->guest, VIRTIO_MMIO_CONFIG, 8), SECTORS);
	assert_int_equal(fstat(f->fd, &st), 0);
	assert_int_equal(st.st_size, DISK_SIZE);
}

static void truncated_under_the_vm(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(ftruncate(f->fd, 3 * SECTOR), 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 2, 2 * SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(f->used_len, 1);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 100, SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 2, SECTOR), VIRTIO_BLK_S_OK);
}

/* /dev/full has no space; a descriptor for writing only cannot be read. */
static void host_errors_become_a_status(void **state)
{
	struct fixture *f = *state;

	device_replace(f, open("/dev/full", O_RDWR | O_CLOEXEC), false, 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_OK);
	device_replace(f, open("/dev/null", O_WRONLY | O_CLOEXEC), false, 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_OK);
}

/* /dev/null takes writes but cannot be synced, which shows who asks for that. */
static void writes_are_stable_without_flush(void **state)
{
	struct fixture *f = *state;

	device_replace(f, open("/dev/null", O_RDWR | O_CLOEXEC), false, 0);
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
	device_replace(f, open("/dev/null", O_RDWR | O_CLOEXEC), false,
		       FEATURE(VIRTIO_BLK_F_FLUSH));
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_IOERR);
}

static void read_only_disk(void **state)
{
	struct fixture *f = *state;
	struct virtio_blk_discard_write_zeroes range = {.num_sectors = 1};

	disk_fill(f, 0x66);
	/* The descriptor could write: it is the device that does not. */
	device_replace(f, dup(f->fd), true, 0);
	memcpy(data(f), &range, sizeof(range));
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, sizeof(range)), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, sizeof(range)),
			 VIRTIO_BLK_S_IOERR);
	assert_disk(f, 0, SECTORS, 0x66);
	assert_int_equal(request(f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_OK);
	assert_running(f);
}

/*
 * Many requests, and rings that are data
 */

static void a_full_queue_is_served(void **state)
{
	static const uint64_t without[] = {0, FEATURE(VIRTIO_RING_F_EVENT_IDX)};
	struct fixture *f = *state;
	unsigned int i, served;
	uint16_t head, heads[QUEUE_SIZE / 4];
	uint64_t irqs;
	uint32_t len;
	size_t w;

	for (w = 0; w < ARRAY_SIZE(without); w++) {
		device_replace(f, dup(f->fd), false, without[w]);
		set_header(f, VIRTIO_BLK_T_IN, 0);
		for (i = 0; i < ARRAY_SIZE(heads); i++) {
			const struct fake_buf bufs[] = {{f->header, 16, false},
							{f->data + i * SECTOR, SECTOR, true},
							{f->status, 1, true}};

			heads[i] = fake_add(&f->guest, f->queue, bufs, 3);
		}
		fake_kick(&f->guest, 0);
		served = fake_run(&f->guest);
		for (i = 0; i < ARRAY_SIZE(heads); i++) {
			assert_true(fake_collect(&f->guest, f->queue, &head, &len));
			assert_int_equal(head, heads[i]);
			assert_int_equal(len, SECTOR + 1);
		}
		/* Small requests come in batches, with one interrupt for each at most. */
		assert_true(served < ARRAY_SIZE(heads));
		irqs = fake_irqs(&f->guest);
		assert_true(irqs >= 1 && irqs <= served);
		/* Idle again, it wants to be kicked. */
		assert_int_equal(*fake_used_flags(&f->guest, f->queue), 0);
		if (!without[w])
			assert_int_equal(*fake_avail_event(&f->guest, f->queue),
					 f->queue->avail_idx);
	}
}

/* A read of a sector into the data's sector `at`; its head. */
static uint16_t add_read(struct fixture *f, unsigned int at, uint64_t sector)
{
	const struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN, .sector = sector};
	const struct fake_buf bufs[] = {
		{fake_alloc(&f->guest, sizeof(header), 16), sizeof(header), false},
		{f->data + at * SECTOR, SECTOR, true},
		{f->status, 1, true}};

	memcpy(fake_ptr(&f->guest, bufs[0].gpa, sizeof(header)), &header, sizeof(header));
	return fake_add(&f->guest, f->queue, bufs, ARRAY_SIZE(bufs));
}

/* Transfers that wait for their like are answered before what ends at once, and before a breach. */
static void answers_come_in_order(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf get_id[] = {
		{f->header, 16, false}, {f->data, 20, true}, {f->status, 1, true}};
	const struct fake_buf bad[][2] = {
		{{f->header, 15, false}, {f->status, 1, true}},
		{{UINT64_MAX, 16, false}, {f->status, 1, true}},
	};
	unsigned int b, i, nr;
	uint16_t head, heads[8];
	uint32_t len;

	for (b = 0; b < ARRAY_SIZE(bad); b++) {
		fake_guest_start(&f->guest, fake_offered_features(&f->guest), QUEUE_SIZE);
		nr = 0;
		heads[nr++] = add_read(f, 0, 0);
		heads[nr++] = add_read(f, 1, 1);
		set_header(f, VIRTIO_BLK_T_GET_ID, 0);
		heads[nr++] = fake_add(&f->guest, f->queue, get_id, ARRAY_SIZE(get_id));
		heads[nr++] = add_read(f, 0, 2);
		heads[nr++] = add_read(f, 1, SECTORS); /* not in the disk */
		heads[nr++] = add_read(f, 2, 3);
		heads[nr++] = add_read(f, 3, 4);
		fake_add(&f->guest, f->queue, bad[b], 2);
		fake_kick(&f->guest, 0);
		fake_run(&f->guest);
		for (i = 0; i < nr; i++) {
			assert_true(fake_collect(&f->guest, f->queue, &head, &len));
			assert_int_equal(head, heads[i]);
		}
		assert_false(fake_collect(&f->guest, f->queue, &head, &len));
		assert_true(fake_reg_read(&f->guest, VIRTIO_MMIO_STATUS) &
			    VIRTIO_CONFIG_S_NEEDS_RESET);
	}
}

/* While it works, the device wants no kicks: the used ring's flags, written to the disk. */
static void kicks_are_suppressed_while_busy(void **state)
{
	struct fixture *f = *state;
	uint16_t flags;

	device_replace(f, dup(f->fd), false, FEATURE(VIRTIO_RING_F_EVENT_IDX));
	f->data = f->queue->used;
	assert_int_equal(request(f, VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_OK);
	disk_read(f, 0, &flags, sizeof(flags));
	assert_int_equal(flags, VRING_USED_F_NO_NOTIFY);
	assert_int_equal(*fake_used_flags(&f->guest, f->queue), 0);
	/* Also after a kick for nothing. */
	fake_kick(&f->guest, 0);
	fake_run(&f->guest);
	assert_int_equal(*fake_used_flags(&f->guest, f->queue), 0);
}

/* Requests that take long do not keep the loop: after each, others have their turn. */
static void long_batches_are_cut(void **state)
{
	struct fixture *f = *state;
	struct fake_buf bufs[QUEUE_SIZE];
	unsigned int i, served;
	uint64_t irqs;
	uint16_t head;
	uint32_t len;

	/* Without EVENT_IDX each batch is one interrupt. */
	device_replace(f, dup(f->fd), false, FEATURE(VIRTIO_RING_F_EVENT_IDX));
	bufs[0] = (struct fake_buf){f->header, 16, false};
	for (i = 1; i < QUEUE_SIZE - 1; i++)
		bufs[i] = (struct fake_buf){f->data, DATA_SIZE, true};
	bufs[i] = (struct fake_buf){f->status, 1, true};
	set_header(f, VIRTIO_BLK_T_IN, 0);
	head = fake_chain(&f->guest, f->queue, bufs, QUEUE_SIZE, true);
	for (i = 0; i < 16; i++)
		fake_publish(&f->guest, f->queue, head);
	fake_kick(&f->guest, 0);
	served = fake_run(&f->guest);
	assert_in_range(served, 4, 17);
	irqs = fake_irqs(&f->guest);
	assert_in_range(irqs, served - 1, served);
	for (i = 0; i < 16; i++)
		assert_true(fake_collect(&f->guest, f->queue, &head, &len));
	assert_int_equal(len, (QUEUE_SIZE - 2) * DATA_SIZE + 1);
}

static void the_same_head_twice(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf bufs[] = {
		{f->header, 16, false}, {f->data, SECTOR, true}, {f->status, 1, true}};
	uint16_t head, used;
	uint32_t len;
	int i;

	set_header(f, VIRTIO_BLK_T_IN, 0);
	head = fake_add(&f->guest, f->queue, bufs, 3);
	fake_publish(&f->guest, f->queue, head);
	fake_kick(&f->guest, 0);
	for (i = 0; i < 2; i++) {
		while (!fake_collect(&f->guest, f->queue, &used, &len))
			fake_wait(&f->guest);
		assert_int_equal(used, head);
	}
	assert_running(f);
}

/* The disk is read into the rings: rubbish in, a reset asked for or not, nothing worse. */
static void data_over_the_rings(void **state)
{
	struct fixture *f = *state;
	int byte;

	for (byte = 0; byte < 256; byte += 15) {
		const gpa_t targets[] = {f->queue->desc, f->queue->avail & ~1ull, f->queue->used,
					 f->header};
		size_t i;

		disk_fill(f, byte);
		for (i = 0; i < ARRAY_SIZE(targets); i++) {
			const struct fake_buf bufs[] = {{f->header, 16, false},
							{targets[i], SECTOR, true},
							{f->status, 1, true}};

			set_header(f, VIRTIO_BLK_T_IN, 0);
			fake_add(&f->guest, f->queue, bufs, 3);
			fake_kick(&f->guest, 0);
			fake_run(&f->guest);
			fake_kick(&f->guest, 0);
			fake_run(&f->guest);
			f->guest.next_free = f->status + 64;
			fake_guest_start(&f->guest, fake_offered_features(&f->guest), QUEUE_SIZE);
		}
	}
}

/* What is the same in whatever order requests get done. */
#define TESTS_OF_BOTH \
	TEST(a_request_is_bounded), TEST(writes_and_reads), TEST(ranges_are_bounded), \
		TEST(framing_is_free), TEST(data_in_the_wrong_direction), \
		TEST(no_room_for_header_or_status), TEST(get_id_of_any_length), \
		TEST(unknown_types_are_unsupported), TEST(image_headers_mean_nothing), \
		TEST(truncated_under_the_vm), TEST(host_errors_become_a_status), \
		TEST(writes_are_stable_without_flush), TEST(read_only_disk), \
		TEST(the_same_head_twice), TEST(data_over_the_rings)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TESTS_OF_BOTH,
		TEST(describes_the_disk),
		TEST(describes_what_the_host_can_do),
		TEST(a_full_queue_is_served),
		TEST(answers_come_in_order),
		TEST(kicks_are_suppressed_while_busy),
		TEST(long_batches_are_cut),
	};
	const struct CMUnitTest ring_tests[] = {TESTS_OF_BOTH};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	use_ring = rings_work();
	return use_ring ? failed + cmocka_run_group_tests(ring_tests, NULL, NULL) : failed;
}
