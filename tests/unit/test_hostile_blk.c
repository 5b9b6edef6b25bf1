/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile guest tries on a disk: ranges, framing, types. */
#include "hostile_blk.h"

#define HEADER sizeof(struct virtio_blk_outhdr)

/* Sectors whose number, as bytes or as a sum, wraps somewhere. */
static const uint64_t far_sectors[] = {
	SECTORS,	  SECTORS + 1, 1ull << 32,	 (1ull << 32) + 1,
	1ull << 54,		      /* as bytes, 2^63: no offset of a file */
	(1ull << 55) - 1, 1ull << 55, /* as bytes, 2^64: nought */
	(1ull << 55) + 1, 1ull << 63,  UINT64_MAX - 127, UINT64_MAX,
};

static void class_25_past_the_end(void **state)
{
	static const uint32_t types[] = {IN, OUT};
	static const uint32_t lengths[] = {SECTOR, 2 * SECTOR, 127 * SECTOR};
	struct fixture *f = *state;
	size_t t, s, l;

	for (t = 0; t < ARRAY_SIZE(types); t++) {
		for (s = 0; s < ARRAY_SIZE(far_sectors); s++)
			for (l = 0; l < ARRAY_SIZE(lengths); l++)
				expect_usual(f, types[t], far_sectors[s], lengths[l], IOERR);
		expect_usual(f, types[t], SECTORS - 1, 2 * SECTOR, IOERR);
		expect_usual(f, types[t], SECTORS - 126, 127 * SECTOR, IOERR);
		/* No data is no reason to look where it would be. */
		expect_usual(f, types[t], UINT64_MAX, 0, IOERR);
		expect_usual(f, types[t], 0, 0, IOERR);
	}
	/* Up to the end. */
	expect_usual(f, IN, SECTORS - 1, SECTOR, OK);
	expect_usual(f, IN, SECTORS - 127, 127 * SECTOR, OK);
	assert_memory_equal(buffer(f, HOSTILE_HIGH_END - 127 * SECTOR, SECTOR),
			    model + (SECTORS - 127) * SECTOR, SECTOR);
}

/* Reads and writes up to 2^32 bytes; memory that big is mapped, and never touched. */
static void class_25_of_four_gigabytes(void **state)
{
	enum { PARTS = 2 };
	static const uint32_t types[] = {IN, OUT};
	struct fixture *f = *state;
	const gpa_t gpa = GIB(8);
	const uint64_t size = GIB(2);
	char *host = mmap(NULL, size + 2 * GUEST_PAGE_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	size_t t;

	assert_true(host != MAP_FAILED);
	assert_int_equal(guest_mem_add(&f->guest.mem, gpa, size, host + GUEST_PAGE_SIZE), 0);
	for (t = 0; t < ARRAY_SIZE(types); t++) {
		struct fake_buf bufs[] = {{f->header, HEADER, false},
					  {gpa, 1u << 31, types[t] == IN},
					  {gpa, (1u << 31) - SECTOR, types[t] == IN},
					  {f->status, 1, true}};

		expect(f, types[t], 0, bufs, 4, IOERR); /* 2^32 - 512 of data */
		bufs[2].len += SECTOR - HEADER - 2;
		expect(f, types[t], 0, bufs, 4, IOERR); /* 2^32 - 1 in all */
		bufs[2].len++;
		expect(f, types[t], 0, bufs, 4, RESET);
		bufs[2].len = 1u << 31;
		expect(f, types[t], 0, bufs, 4, RESET);
	}
}

static void class_26_part_of_a_sector(void **state)
{
	static const uint32_t lengths[] = {1,	 16,   256,  511,  513,	 768,
					   1023, 1025, 4095, 4097, 65000};
	static const uint32_t types[] = {IN, OUT};
	struct fixture *f = *state;
	size_t t, i;

	for (t = 0; t < ARRAY_SIZE(types); t++) {
		for (i = 0; i < ARRAY_SIZE(lengths); i++) {
			expect_usual(f, types[t], 0, lengths[i], IOERR);
			expect_usual(f, types[t], SECTORS - 1, lengths[i], IOERR);
		}
	}
}

static void class_27_no_header_no_status(void **state)
{
	struct fixture *f = *state;
	const gpa_t header = f->header, status = f->status;
	const struct fake_buf bad[][3] = {
		{{header, HEADER, true}, {status, 1, true}},   /* writable header */
		{{header, HEADER, false}, {status, 1, false}}, /* read-only status */
		{{header, HEADER, false}, {status, 0, true}},  /* status of no length */
		{{header, 0, false}, {status, 0, true}},       /* nothing at all */
		{{header, 0, false}, {status, 1, true}},       /* status only */
		{{header, 8, false}, {header, 8, true}, {status, 1, true}},
		{{status, 1, true}, {header, HEADER, false}}, /* status first */
		{{header, HEADER, false}, {0, SECTOR, true}, {status, 1, true}},
		{{header, HEADER, false}, {HOSTILE_LOW_END, 1, true}, {status, 1, true}},
		{{header, HEADER, false}, {HOSTILE_HIGH_END - SECTOR + 1, SECTOR, true}},
		{{header + 1, HEADER, false}, {status, 1, true}}, /* ends past RAM */
		{{header, HEADER, false}, {HOSTILE_HIGH_END, 1, true}},
		{{UINT64_MAX - 7, HEADER, false}, {status, 1, true}},
	};
	struct fake_buf bufs[2] = {{0, 0, false}, {status, 1, true}};
	uint32_t len;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(bad); i++)
		expect(f, IN, 0, bad[i], bad[i][2].len ? 3 : 2, RESET);
	for (len = 0; len < HEADER; len++) {
		bufs[0] = (struct fake_buf){HOSTILE_LOW_END - MAX(len, 1), len, false};
		expect(f, IN, 0, bufs, 2, RESET);
	}
}

/* Without data; each type says what it is worth. */
static void class_27_header_and_status_only(void **state)
{
	static const struct {
		uint32_t type;
		int outcome;
	} cases[] = {{IN, IOERR},      {OUT, IOERR},	{FLUSH, OK}, {GET_ID, OK},
		     {DISCARD, IOERR}, {ZEROES, IOERR}, {2, UNSUPP}, {UINT32_MAX, UNSUPP}};
	struct fixture *f = *state;
	const struct fake_buf bufs[] = {{f->header, HEADER, false}, {f->status, 1, true}};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		expect(f, cases[i].type, 0, bufs, 2, cases[i].outcome);
		assert_int_equal(f->used_len, 1);
	}
}

/* Two descriptors for the header, cut anywhere; the status behind the data, in its descriptor. */
static void class_27_split_header(void **state)
{
	struct fixture *f = *state;
	const gpa_t data = HOSTILE_HIGH_END - SECTOR - 1;
	uint32_t cut;

	for (cut = 1; cut < HEADER; cut++) {
		const struct fake_buf bufs[] = {{f->header, cut, false},
						{f->header + cut, HEADER - cut, false},
						{data, SECTOR + 1, true}};

		expect(f, IN, SECTORS - cut, bufs, 3, OK);
		/* Both restarts have read other sectors to the same place: once more. */
		set_header(f, IN, SECTORS - cut);
		assert_int_equal(attack(f, bufs, 3, true), OK);
		assert_int_equal(f->used_len, SECTOR + 1);
		assert_memory_equal(buffer(f, data, SECTOR), model + (SECTORS - cut) * SECTOR,
				    SECTOR);
	}
}

/* Parts of a request over each other: who is written last wins, and all of it is the guest's. */
static void class_27_parts_over_each_other(void **state)
{
	struct fixture *f = *state;
	const gpa_t data = HOSTILE_HIGH_END - SECTOR, header = f->header;
	const struct fake_buf status_in_data[] = {
		{header, HEADER, false}, {data, SECTOR, true}, {data + 100, 1, true}};
	const struct fake_buf status_in_header[] = {
		{header, HEADER, false}, {data, SECTOR, true}, {header + 8, 1, true}};
	const struct fake_buf data_over_header[] = {{header, HEADER, false},
						    {HOSTILE_LOW_END - SECTOR, SECTOR, true},
						    {f->status, 1, true}};
	const struct fake_buf data_twice[] = {{header, HEADER, false},
					      {data, SECTOR, true},
					      {data, SECTOR, true},
					      {f->status, 1, true}};
	const struct fake_buf header_to_disk[] = {{header, HEADER, false},
						  {HOSTILE_LOW_END - SECTOR, SECTOR, false},
						  {f->status, 1, true}};

	set_header(f, IN, 7);
	assert_int_equal(attack(f, status_in_data, 3, false), OK);
	assert_memory_equal(buffer(f, data, 100), model + 7 * SECTOR, 100);
	assert_memory_equal(buffer(f, data + 101, 411), model + 7 * SECTOR + 101, 411);
	set_header(f, IN, 8);
	assert_int_equal(attack(f, status_in_header, 3, false), OK);
	assert_memory_equal(buffer(f, data, SECTOR), model + 8 * SECTOR, SECTOR);
	/* The header counts as it was when it was read. */
	set_header(f, IN, 9);
	assert_int_equal(attack(f, data_over_header, 3, false), OK);
	assert_memory_equal(buffer(f, HOSTILE_LOW_END - SECTOR, SECTOR), model + 9 * SECTOR,
			    SECTOR);
	set_header(f, IN, 10);
	assert_int_equal(attack(f, data_twice, 4, false), OK);
	assert_memory_equal(buffer(f, data, SECTOR), model + 11 * SECTOR, SECTOR);
	set_header(f, OUT, 12);
	memcpy(model + 12 * SECTOR, buffer(f, HOSTILE_LOW_END - SECTOR, SECTOR), SECTOR);
	assert_int_equal(attack(f, header_to_disk, 3, false), OK);
	assert_recovers(f);
}

/* The disk, or the status, is read into the rings: the driver's loss, until its reset. */
static void class_27_parts_over_the_rings(void **state)
{
	struct fixture *f = *state;
	struct fake_buf bufs[] = {
		{f->header, HEADER, false}, {0, SECTOR, true}, {f->status, 1, true}};
	/* Behind the used ring's own words, which the device writes last. */
	const uint32_t used_done = 4 + sizeof(struct vring_used_elem);

	bufs[1].gpa = f->queue->used;
	set_header(f, IN, 20);
	assert_int_equal(attack(f, bufs, 3, false), OK);
	assert_memory_equal(buffer(f, f->queue->used + used_done, SECTOR - used_done),
			    model + 20 * SECTOR + used_done, SECTOR - used_done);
	assert_recovers(f);
	/* The descriptor table: this request was read before; the next is the driver's to write. */
	bufs[1].gpa = f->queue->desc;
	set_header(f, IN, 21);
	assert_int_equal(attack(f, bufs, 3, false), OK);
	assert_recovers(f);
	/* The available ring: its index is rubbish from then on, more than the queue holds. */
	bufs[1].gpa = ALIGN_DOWN(f->queue->avail, 2);
	memset(model + 22 * SECTOR, 0xa5, SECTOR);
	memcpy(disk + 22 * SECTOR, model + 22 * SECTOR, SECTOR);
	set_header(f, IN, 22);
	fake_add(&f->guest, f->queue, bufs, 3);
	fake_kick(&f->guest, 0);
	fake_run(&f->guest);
	assert_int_equal(*buffer(f, f->status, 1), OK);
	assert_true(needs_reset(f));
	restart(f);
	assert_recovers(f);
	/* The status over the index of the used ring, which is written after it. */
	bufs[1].gpa = HOSTILE_HIGH_END - SECTOR;
	bufs[2].gpa = f->queue->used + 2;
	set_header(f, IN, 23);
	attack(f, bufs, 3, false);
	assert_recovers(f);
}

/* A descriptor of the wrong direction holds no data: a read that reads nothing has failed. */
static void class_27_data_of_the_wrong_direction(void **state)
{
	static const struct {
		uint32_t type;
		int outcome;
	} cases[] = {{IN, IOERR},      {OUT, IOERR},	{FLUSH, OK},
		     {DISCARD, IOERR}, {ZEROES, IOERR}, {GET_ID, OK}};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const bool in = cases[i].type == IN || cases[i].type == GET_ID;
		const struct fake_buf bufs[] = {{f->header, HEADER, false},
						{HOSTILE_HIGH_END - SECTOR, SECTOR, !in},
						{f->status, 1, true}};

		expect(f, cases[i].type, 0, bufs, 3, cases[i].outcome);
		assert_int_equal(f->used_len, 1);
	}
}

static void class_28_unknown_types(void **state)
{
	static const uint32_t more[] = {VIRTIO_BLK_T_BARRIER, VIRTIO_BLK_T_BARRIER | OUT,
					1u << 16 | OUT, 0x100, UINT32_MAX};
	const uint64_t known = 1ull << IN | 1ull << OUT | 1ull << FLUSH | 1ull << GET_ID |
			       1ull << DISCARD | 1ull << ZEROES;
	struct fixture *f = *state;
	uint32_t type;
	size_t i;

	for (type = 0; type < 40; type++)
		if (!(known >> type & 1))
			expect_usual(f, type, 0, SECTOR, UNSUPP);
	for (i = 0; i < ARRAY_SIZE(more); i++)
		expect_usual(f, more[i], 0, SECTOR, UNSUPP);
}

static void class_28_flush_with_data(void **state)
{
	static const uint32_t lengths[] = {0, 1, SECTOR, 17, 65535};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++)
		expect_usual(f, FLUSH, i % 2 ? UINT64_MAX : 0, lengths[i], OK);
}

static void class_28_get_id_of_other_lengths(void **state)
{
	static const uint32_t lengths[] = {0, 1, 19, 20, 21, SECTOR, 4096};
	static const uint8_t id[VIRTIO_BLK_ID_BYTES] = "disk-id";
	struct fixture *f = *state;
	struct fake_buf bufs[3];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		const uint32_t len = MIN(lengths[i], sizeof(id));

		expect_usual(f, GET_ID, UINT64_MAX, lengths[i], OK);
		set_header(f, GET_ID, 0);
		usual(f, GET_ID, lengths[i], bufs);
		assert_int_equal(attack(f, bufs, 3, false), OK);
		assert_int_equal(f->used_len, len + 1);
		if (len)
			assert_memory_equal(buffer(f, bufs[1].gpa, len), id, len);
	}
}

/* Puts ranges where the usual data is and sends them. */
static void expect_ranges(struct fixture *f, uint32_t type,
			  const struct virtio_blk_discard_write_zeroes *ranges, unsigned int nr,
			  uint32_t len, int outcome)
{
	const gpa_t at = HOSTILE_LOW_END - 4096;
	const struct fake_buf bufs[] = {
		{at, HEADER, false}, {at + HEADER, len, false}, {f->status, 1, true}};
	const gpa_t header = f->header;

	f->header = at;
	memcpy(buffer(f, at + HEADER, RANGE * nr), ranges, RANGE * nr);
	expect(f, type, 0, bufs, 3, outcome);
	f->header = header;
}

static void class_28_bad_ranges(void **state)
{
	static const struct {
		uint64_t sector;
		uint32_t nr, flags;
		int discard, zeroes;
	} cases[] = {
		{SECTORS, 1, 0, IOERR, IOERR},
		{SECTORS - 1, 2, 0, IOERR, IOERR},
		{SECTORS, UINT32_MAX, 0, IOERR, IOERR},
		{0, UINT32_MAX, 0, IOERR, IOERR},
		{1, UINT32_MAX, 1, UNSUPP, IOERR},
		{0, SECTORS + 1, 0, IOERR, IOERR},
		{UINT64_MAX, 0, 0, IOERR, IOERR},
		{UINT64_MAX, 1, 0, IOERR, IOERR},
		{UINT64_MAX - 7, 16, 0, IOERR, IOERR},
		{1ull << 54, 8, 0, IOERR, IOERR},
		{1ull << 55, 8, 0, IOERR, IOERR},
		{SECTORS + 1, 0, 0, IOERR, IOERR},
		{0, 8, 1, UNSUPP, -2}, /* UNMAP: WRITE_ZEROES may */
		{0, 8, 2, UNSUPP, UNSUPP},
		{0, 8, 3, UNSUPP, UNSUPP},
		{0, 8, 1u << 31, UNSUPP, UNSUPP},
		{0, 0, UINT32_MAX, UNSUPP, UNSUPP},
		/* Nothing to do, which is done. */
		{SECTORS, 0, 0, OK, OK},
		{0, 0, 0, OK, OK},
	};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const struct virtio_blk_discard_write_zeroes range = {cases[i].sector, cases[i].nr,
								      cases[i].flags};

		expect_ranges(f, DISCARD, &range, 1, RANGE, cases[i].discard);
		if (cases[i].zeroes != -2)
			expect_ranges(f, ZEROES, &range, 1, RANGE, cases[i].zeroes);
	}
}

static void class_28_bad_segment_counts(void **state)
{
	static const uint32_t lengths[] = {0, 1, 15, 17, 31, 33, 16 * 33, 16 * 33 + 1, 16 * 255};
	static const struct {
		struct virtio_blk_discard_write_zeroes last;
		int outcome;
	} bad_last[] = {{{SECTORS, 1, 0}, IOERR}, {{UINT64_MAX, 0, 0}, IOERR}, {{0, 1, 4}, UNSUPP}};
	struct virtio_blk_discard_write_zeroes ranges[255] = {{0}};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ranges); i++)
		ranges[i] = (struct virtio_blk_discard_write_zeroes){.sector = i, .num_sectors = 1};
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		expect_ranges(f, DISCARD, ranges, ARRAY_SIZE(ranges), lengths[i], IOERR);
		expect_ranges(f, ZEROES, ranges, ARRAY_SIZE(ranges), lengths[i], IOERR);
	}
	expect_ranges(f, ZEROES, ranges, 2, 2 * RANGE, IOERR);
	/* All or nothing: the good ones before a bad one are not done. */
	for (i = 0; i < ARRAY_SIZE(bad_last); i++) {
		ranges[31] = bad_last[i].last;
		expect_ranges(f, DISCARD, ranges, 32, 32 * RANGE, bad_last[i].outcome);
	}
	/* As many as there may be, of nothing. */
	memset(ranges, 0, sizeof(ranges));
	expect_ranges(f, DISCARD, ranges, 32, 32 * RANGE, OK);
	expect_ranges(f, ZEROES, ranges, 1, RANGE, OK);
}

/* What the driver did not accept is not there for it. */
static void class_28_ranges_not_negotiated(void **state)
{
	const uint64_t both = FEATURE(VIRTIO_BLK_F_DISCARD) | FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	const struct virtio_blk_discard_write_zeroes range = {.num_sectors = 8};
	struct fixture *f = *state;
	struct fake_buf bufs[3];
	uint32_t type;

	fake_guest_start(&f->guest, fake_offered_features(&f->guest) & ~both, QUEUE_SIZE);
	for (type = DISCARD; type <= ZEROES; type += ZEROES - DISCARD) {
		usual(f, type, RANGE, bufs);
		set_header(f, type, 0);
		memcpy(buffer(f, bufs[1].gpa, RANGE), &range, RANGE);
		assert_int_equal(attack(f, bufs, 3, false), UNSUPP);
	}
	assert_recovers(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		hostile_test(class_25_past_the_end),
		hostile_test(class_25_of_four_gigabytes),
		hostile_test(class_26_part_of_a_sector),
		hostile_test(class_27_no_header_no_status),
		hostile_test(class_27_header_and_status_only),
		hostile_test(class_27_split_header),
		hostile_test(class_27_parts_over_each_other),
		hostile_test(class_27_parts_over_the_rings),
		hostile_test(class_27_data_of_the_wrong_direction),
		hostile_test(class_28_unknown_types),
		hostile_test(class_28_flush_with_data),
		hostile_test(class_28_get_id_of_other_lengths),
		hostile_test(class_28_bad_ranges),
		hostile_test(class_28_bad_segment_counts),
		hostile_test(class_28_ranges_not_negotiated),
	};

	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
