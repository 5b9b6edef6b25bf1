/* SPDX-License-Identifier: Apache-2.0 */
/* virtio-blk: DISCARD and WRITE_ZEROES. */
#include "test_blk.h"

static uint8_t range_request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t nr,
			     uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes range = {sector, nr, flags};

	memcpy(data(f), &range, sizeof(range));
	return request(f, type, 0, sizeof(range));
}

static void ranges_read_as_zeroes(void **state)
{
	static const struct {
		uint32_t type, flags;
		bool gives_back; /* the space */
	} ways[] = {
		{VIRTIO_BLK_T_DISCARD, 0, true},
		{VIRTIO_BLK_T_WRITE_ZEROES, 0, false},
		{VIRTIO_BLK_T_WRITE_ZEROES, VIRTIO_BLK_WRITE_ZEROES_FLAG_UNMAP, true},
	};
	struct fixture *f = *state;
	struct stat st;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(ways); i++) {
		disk_fill(f, 0x77);
		assert_int_equal(range_request(f, ways[i].type, 3, 21, ways[i].flags),
				 VIRTIO_BLK_S_OK);
		assert_int_equal(f->used_len, 1);
		assert_disk(f, 0, 3, 0x77);
		assert_disk(f, 3, 21, 0);
		assert_disk(f, 24, SECTORS - 24, 0x77);
		assert_int_equal(range_request(f, ways[i].type, 5, 0, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(range_request(f, ways[i].type, SECTORS, 0, 0), VIRTIO_BLK_S_OK);
		assert_int_equal(range_request(f, ways[i].type, 0, SECTORS, ways[i].flags),
				 VIRTIO_BLK_S_OK);
		assert_int_equal(fstat(f->fd, &st), 0);
		assert_int_equal(st.st_blocks, ways[i].gives_back ? 0 : SECTORS);
		assert_disk(f, 0, SECTORS, 0);
	}
}

static void bad_ranges_touch_nothing(void **state)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_DISCARD, VIRTIO_BLK_T_WRITE_ZEROES};
	static const struct {
		uint64_t sector;
		uint32_t nr, flags;
		uint8_t status;
	} bad[] = {
		{SECTORS, 1, 0, VIRTIO_BLK_S_IOERR},
		{SECTORS - 1, 2, 0, VIRTIO_BLK_S_IOERR},
		{UINT64_MAX, 1, 0, VIRTIO_BLK_S_IOERR},
		{UINT64_MAX, 2, 0, VIRTIO_BLK_S_IOERR},
		{UINT64_MAX / SECTOR + 1, 1, 0, VIRTIO_BLK_S_IOERR},
		{0, UINT32_MAX, 0, VIRTIO_BLK_S_IOERR},
		{0, 1, 2, VIRTIO_BLK_S_UNSUPP},
		{0, 1, 0x80000000, VIRTIO_BLK_S_UNSUPP},
	};
	struct fixture *f = *state;
	size_t i, t;

	disk_fill(f, 0x88);
	for (t = 0; t < ARRAY_SIZE(types); t++)
		for (i = 0; i < ARRAY_SIZE(bad); i++)
			assert_int_equal(
				range_request(f, types[t], bad[i].sector, bad[i].nr, bad[i].flags),
				bad[i].status);
	/* UNMAP makes no sense for DISCARD. */
	assert_int_equal(range_request(f, VIRTIO_BLK_T_DISCARD, 0, 1, 1), VIRTIO_BLK_S_UNSUPP);
	assert_disk(f, 0, SECTORS, 0x88);
}

static void range_lists_are_bounded(void **state)
{
	struct fixture *f = *state;
	const struct virtio_blk_discard_write_zeroes one = {.num_sectors = 1};
	const uint64_t config = VIRTIO_MMIO_CONFIG;
	uint32_t discard_max, zeroes_max, i;

	discard_max = (uint32_t)fake_mmio_read(
		&f->guest, config + offsetof(struct virtio_blk_config, max_discard_seg), 4);
	zeroes_max = (uint32_t)fake_mmio_read(
		&f->guest, config + offsetof(struct virtio_blk_config, max_write_zeroes_seg), 4);
	disk_fill(f, 0x99);
	for (i = 0; i < DATA_SIZE / sizeof(one); i++)
		memcpy(data(f) + i * sizeof(one), &one, sizeof(one));
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 0), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 15), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 17), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 16 * (discard_max + 1)),
			 VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, DATA_SIZE), VIRTIO_BLK_S_IOERR);
	assert_int_equal(request(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 16 * (zeroes_max + 1)),
			 VIRTIO_BLK_S_IOERR);
	/* One bad range at the end: the good ones before it are not done either. */
	memset(data(f) + 16 * (discard_max - 1), 0xff, 16);
	assert_int_not_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 16 * discard_max),
			     VIRTIO_BLK_S_OK);
	assert_disk(f, 0, SECTORS, 0x99);
	for (i = 0; i < discard_max; i++) {
		const struct virtio_blk_discard_write_zeroes range = {.sector = 2 * i,
								      .num_sectors = 1};

		memcpy(data(f) + i * sizeof(range), &range, sizeof(range));
	}
	assert_int_equal(request(f, VIRTIO_BLK_T_DISCARD, 0, 16 * discard_max), VIRTIO_BLK_S_OK);
	for (i = 0; i < discard_max; i++) {
		assert_disk(f, 2 * i, 1, 0);
		assert_disk(f, 2 * i + 1, 1, 0x99);
	}
}

/* One request must not take for ever. */
static void range_lengths_are_bounded(void **state)
{
	static const struct {
		uint32_t type;
		size_t max_offset;
	} cases[] = {
		{VIRTIO_BLK_T_DISCARD, offsetof(struct virtio_blk_config, max_discard_sectors)},
		{VIRTIO_BLK_T_WRITE_ZEROES,
		 offsetof(struct virtio_blk_config, max_write_zeroes_sectors)},
	};
	struct fixture *f = *state;
	size_t i;

	assert_int_equal(ftruncate(f->fd, (off_t)GIB(2)), 0);
	device_replace(f, dup(f->fd), false, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		uint32_t max = (uint32_t)fake_mmio_read(
			&f->guest, VIRTIO_MMIO_CONFIG + cases[i].max_offset, 4);

		assert_in_range(max, 1, GIB(2) / SECTOR - 1);
		assert_int_equal(range_request(f, cases[i].type, 0, max + 1, 0),
				 VIRTIO_BLK_S_IOERR);
		assert_int_equal(range_request(f, cases[i].type, 0, max, 0), VIRTIO_BLK_S_OK);
	}
}

static void ranges_only_if_negotiated(void **state)
{
	struct fixture *f = *state;

	disk_fill(f, 0xaa);
	device_replace(f, dup(f->fd), false,
		       FEATURE(VIRTIO_BLK_F_DISCARD) | FEATURE(VIRTIO_BLK_F_WRITE_ZEROES));
	assert_int_equal(range_request(f, VIRTIO_BLK_T_DISCARD, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
	assert_int_equal(range_request(f, VIRTIO_BLK_T_WRITE_ZEROES, 0, 1, 0), VIRTIO_BLK_S_UNSUPP);
	assert_disk(f, 0, SECTORS, 0xaa);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ranges_read_as_zeroes),	 TEST(bad_ranges_touch_nothing),
		TEST(range_lists_are_bounded),	 TEST(range_lengths_are_bounded),
		TEST(ranges_only_if_negotiated),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
