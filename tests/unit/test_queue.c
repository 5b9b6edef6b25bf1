/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues: enabling them, giving chains back, suppression of kicks and interrupts, iovecs. */
#include "test_queue.h"

/*
 * Enabling
 */

static void enable_checks_size(void **state)
{
	static const uint16_t bad[] = {0, 3, 6, 255, 257, 512, 0x4000, 0xffff};
	struct fixture *f = *state;
	size_t i;

	/* Room for the biggest power of two, so that the size alone is bad. */
	fake_queue_alloc(&f->guest, &f->ring, 0x4000);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		f->ring.size = bad[i];
		assert_int_equal(program(f, 0), -EINVAL);
		assert_false(f->queue.state.ready);
	}
	f->ring.size = 1;
	assert_int_equal(program(f, 0), 0);
	f->ring.size = VIRTQUEUE_SIZE_MAX;
	assert_int_equal(program(f, 0), 0);
}

static void enable_checks_alignment(void **state)
{
	struct fixture *f = *state;
	struct fake_queue good;

	fake_queue_alloc(&f->guest, &good, SIZE);
	good.desc = fake_alloc(&f->guest, 4096, 16);
	f->ring = good;
	f->ring.desc += 8;
	assert_int_equal(program(f, 0), -EINVAL);
	f->ring = good;
	f->ring.avail += 1;
	assert_int_equal(program(f, 0), -EINVAL);
	f->ring = good;
	f->ring.used += 2;
	assert_int_equal(program(f, 0), -EINVAL);
	f->ring = good;
	assert_int_equal(program(f, 0), 0);
}

/* Each ring at places where some or all of it is not RAM, and at the last place where it is. */
static void enable_checks_ram(void **state)
{
	static const uint64_t lengths[] = {16 * SIZE, 6 + 2 * SIZE, 6 + 8 * SIZE};
	static const uint64_t aligns[] = {16, 2, 4};
	const gpa_t low_end = FAKE_RAM_BASE + FAKE_RAM_SIZE,
		    high_end = FAKE_HIGH_BASE + FAKE_HIGH_SIZE;
	struct fixture *f = *state;
	struct fake_queue good;
	size_t i, j;

	fake_queue_alloc(&f->guest, &good, SIZE);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		const gpa_t last_low = ALIGN_DOWN(low_end - lengths[i], aligns[i]);
		const gpa_t last_high = ALIGN_DOWN(high_end - lengths[i], aligns[i]);
		const struct {
			gpa_t at;
			int expected;
		} places[] = {
			{last_low, 0},
			{last_low + aligns[i], -EFAULT},
			{last_high, 0},
			{last_high + aligns[i], -EFAULT},
			{0, -EFAULT},
			{FAKE_RAM_BASE - aligns[i], -EFAULT},
			{low_end, -EFAULT},
			{FAKE_HIGH_BASE - aligns[i], -EFAULT},
			{high_end, -EFAULT},
			{ALIGN_DOWN(UINT64_MAX, aligns[i]), -EFAULT},
			{ALIGN_DOWN(UINT64_MAX - lengths[i] + 1, aligns[i]), -EFAULT},
		};

		for (j = 0; j < ARRAY_SIZE(places); j++) {
			gpa_t *const address[] = {&f->ring.desc, &f->ring.avail, &f->ring.used};

			f->ring = good;
			*address[i] = places[j].at;
			assert_int_equal(program(f, 0), places[j].expected);
		}
	}
}

static void enable_refuses_overlap(void **state)
{
	const gpa_t base = FAKE_RAM_BASE + 0x1000, far = FAKE_RAM_BASE + 0x8000;
	const gpa_t desc_len = 16 * SIZE, avail_len = 6 + 2 * SIZE, used_len = 6 + 8 * SIZE;
	struct fixture *f = *state;
	const struct {
		struct fake_queue ring;
		int expected;
	} cases[] = {
		{{base, base, far, .size = SIZE}, -EINVAL},
		{{base, far, base, .size = SIZE}, -EINVAL},
		{{far, base, base, .size = SIZE}, -EINVAL},
		/* By the last or the first byte, and touching. */
		{{base, base + desc_len - 2, far, .size = SIZE}, -EINVAL},
		{{base, base + desc_len, far, .size = SIZE}, 0},
		{{base, far, base + desc_len - 4, .size = SIZE}, -EINVAL},
		{{base, far, base + desc_len, .size = SIZE}, 0},
		{{base, ALIGN_DOWN(base - avail_len, 2) + 2, far, .size = SIZE}, -EINVAL},
		{{base, ALIGN_DOWN(base - avail_len, 2), far, .size = SIZE}, 0},
		/* The event word of one over the other ring. */
		{{far, base, ALIGN_DOWN(base + avail_len - 1, 4), .size = SIZE}, -EINVAL},
		{{far, base, ALIGN_UP(base + avail_len, 4), .size = SIZE}, 0},
		{{far, base + used_len - 2, base, .size = SIZE}, -EINVAL},
		{{far, base + used_len, base, .size = SIZE}, 0},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		f->ring = cases[i].ring;
		assert_int_equal(program(f, 0), cases[i].expected);
	}
}

/* Rings at the very end of RAM: the guard page is behind the last byte of each. */
static void rings_at_the_end_of_ram(void **state)
{
	static const uint64_t features[] = {0, EVENT_IDX};
	const gpa_t end = FAKE_HIGH_BASE + FAKE_HIGH_SIZE;
	struct fixture *f = *state;
	unsigned int i, j;

	for (i = 0; i < 3; i++) {
		fake_queue_alloc(&f->guest, &f->ring, 2);
		if (i == 0)
			f->ring.desc = end - 16 * 2;
		else if (i == 1)
			f->ring.avail = end - (6 + 2 * 2);
		else
			f->ring.used = ALIGN_DOWN(end - (6 + 8 * 2), 4);
		for (j = 0; j < 2 * ARRAY_SIZE(features); j++) {
			const struct fake_buf buf = {f->ring.desc, 1, true};

			assert_int_equal(program(f, features[j / 2]), 0);
			f->queue.state.next_avail = f->queue.state.next_used = f->ring.avail_idx;
			f->queue.state.signalled = f->ring.avail_idx;
			fake_add(&f->guest, &f->ring, &buf, 1);
			assert_int_equal(pop(f), 1);
			virtqueue_push(&f->queue, f->chain.head, 1);
			virtqueue_must_interrupt(&f->queue);
			assert_false(virtqueue_want_kicks(&f->queue, true));
		}
	}
}

/*
 * Returning chains
 */

static void unpop_gives_back(void **state)
{
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	struct fixture *f = *state;
	unsigned int i;

	enable(f, SIZE, 0);
	for (i = 0; i < 3; i++)
		fake_add(&f->guest, &f->ring, &buf, 1);
	for (i = 0; i < 3; i++)
		assert_int_equal(pop(f), 1);
	virtqueue_unpop(&f->queue, 2);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.head, 1);
	assert_int_equal(pop(f), 1);
	assert_int_equal(pop(f), 0);
}

static void put_is_invisible_until_published(void **state)
{
	struct fixture *f = *state;
	uint16_t head;
	uint32_t len;

	enable(f, SIZE, 0);
	virtqueue_put(&f->queue, 0, 5, 50);
	virtqueue_put(&f->queue, 1, 6, 60);
	assert_false(fake_collect(&f->guest, &f->ring, &head, &len));
	virtqueue_publish(&f->queue, 2);
	assert_true(fake_collect(&f->guest, &f->ring, &head, &len));
	assert_int_equal(head, 5);
	assert_int_equal(len, 50);
	assert_true(fake_collect(&f->guest, &f->ring, &head, &len));
	assert_int_equal(head, 6);
	assert_int_equal(len, 60);
	assert_false(fake_collect(&f->guest, &f->ring, &head, &len));
}

/* Every index passes 2^16. */
static void indexes_wrap(void **state)
{
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	struct fixture *f = *state;
	unsigned int i;
	uint16_t head;
	uint32_t len;

	enable(f, SIZE, EVENT_IDX);
	for (i = 0; i < 70000; i++) {
		uint16_t added = fake_add(&f->guest, &f->ring, &buf, 1);

		assert_int_equal(pop(f), 1);
		assert_int_equal(f->chain.head, added);
		virtqueue_push(&f->queue, added, i);
		*fake_used_event(&f->guest, &f->ring) = (uint16_t)i;
		assert_true(virtqueue_must_interrupt(&f->queue));
		assert_false(virtqueue_want_kicks(&f->queue, true));
		assert_int_equal(*fake_avail_event(&f->guest, &f->ring), (uint16_t)(i + 1));
		assert_true(fake_collect(&f->guest, &f->ring, &head, &len));
		assert_int_equal(head, added);
		assert_int_equal(len, i);
	}
}

static void nothing_is_written_while_not_ready(void **state)
{
	struct fixture *f = *state;

	/* All of these would go through NULL pointers. */
	assert_int_equal(pop(f), 0);
	virtqueue_push(&f->queue, 0, 0);
	assert_false(virtqueue_must_interrupt(&f->queue));
	assert_false(virtqueue_want_kicks(&f->queue, true));
	assert_false(virtqueue_want_kicks(&f->queue, false));
	enable(f, SIZE, 0);
	virtqueue_reset(&f->queue);
	assert_int_equal(pop(f), 0);
	assert_int_equal(f->queue.state.size, 0);
}

/*
 * Suppression of interrupts and kicks
 */

static void interrupts_by_flag(void **state)
{
	struct fixture *f = *state;

	enable(f, SIZE, 0);
	assert_false(virtqueue_must_interrupt(&f->queue));
	virtqueue_push(&f->queue, 0, 0);
	assert_true(virtqueue_must_interrupt(&f->queue));
	assert_false(virtqueue_must_interrupt(&f->queue));
	*fake_avail_flags(&f->guest, &f->ring) = VRING_AVAIL_F_NO_INTERRUPT;
	virtqueue_push(&f->queue, 0, 0);
	assert_false(virtqueue_must_interrupt(&f->queue));
	/* used_event is not looked at. */
	*fake_used_event(&f->guest, &f->ring) = 2;
	virtqueue_push(&f->queue, 0, 0);
	assert_false(virtqueue_must_interrupt(&f->queue));
}

static void interrupts_by_event_index(void **state)
{
	struct fixture *f = *state;
	uint16_t *event;

	enable(f, SIZE, EVENT_IDX);
	event = fake_used_event(&f->guest, &f->ring);
	/* The flag is not looked at. */
	*fake_avail_flags(&f->guest, &f->ring) = VRING_AVAIL_F_NO_INTERRUPT;
	*event = 2;
	virtqueue_push(&f->queue, 0, 0);
	virtqueue_push(&f->queue, 0, 0);
	assert_false(virtqueue_must_interrupt(&f->queue));
	virtqueue_push(&f->queue, 0, 0);
	assert_true(virtqueue_must_interrupt(&f->queue));
	virtqueue_push(&f->queue, 0, 0);
	assert_false(virtqueue_must_interrupt(&f->queue));
	/* A batch that crosses it. */
	*event = 5;
	virtqueue_put(&f->queue, 0, 0, 0);
	virtqueue_put(&f->queue, 1, 0, 0);
	virtqueue_put(&f->queue, 2, 0, 0);
	virtqueue_publish(&f->queue, 3);
	assert_true(virtqueue_must_interrupt(&f->queue));
}

static void kicks_by_flag(void **state)
{
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	struct fixture *f = *state;

	enable(f, SIZE, 0);
	assert_false(virtqueue_want_kicks(&f->queue, false));
	assert_int_equal(*fake_used_flags(&f->guest, &f->ring), VRING_USED_F_NO_NOTIFY);
	assert_false(virtqueue_want_kicks(&f->queue, true));
	assert_int_equal(*fake_used_flags(&f->guest, &f->ring), 0);
	virtqueue_want_kicks(&f->queue, false);
	fake_add(&f->guest, &f->ring, &buf, 1);
	assert_false(virtqueue_want_kicks(&f->queue, false));
	assert_true(virtqueue_want_kicks(&f->queue, true));
	assert_int_equal(pop(f), 1);
	assert_false(virtqueue_want_kicks(&f->queue, true));
	assert_int_equal(*fake_avail_event(&f->guest, &f->ring), 0);
}

static void kicks_by_event_index(void **state)
{
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	struct fixture *f = *state;

	enable(f, SIZE, EVENT_IDX);
	fake_add(&f->guest, &f->ring, &buf, 1);
	assert_int_equal(pop(f), 1);
	virtqueue_want_kicks(&f->queue, false);
	assert_int_equal(*fake_avail_event(&f->guest, &f->ring), 0);
	assert_int_equal(*fake_used_flags(&f->guest, &f->ring), 0);
	fake_add(&f->guest, &f->ring, &buf, 1);
	assert_true(virtqueue_want_kicks(&f->queue, true));
	assert_int_equal(*fake_avail_event(&f->guest, &f->ring), 1);
	assert_int_equal(pop(f), 1);
	assert_false(virtqueue_want_kicks(&f->queue, true));
	assert_int_equal(*fake_avail_event(&f->guest, &f->ring), 2);
}

/*
 * Payload helpers
 */

static void iov_copies(void **state)
{
	char a[3] = "abc", b[1] = "d", c[4] = "efgh", out[9];
	const struct iovec iov[] = {{a, 3}, {b, 1}, {c, 4}};

	(void)state;
	memset(out, '.', sizeof(out));
	assert_int_equal(iov_to_buf(iov, 3, 0, out, 8), 8);
	assert_memory_equal(out, "abcdefgh.", 9);
	memset(out, '.', sizeof(out));
	assert_int_equal(iov_to_buf(iov, 3, 2, out, 3), 3);
	assert_memory_equal(out, "cde......", 9);
	memset(out, '.', sizeof(out));
	assert_int_equal(iov_to_buf(iov, 3, 6, out, 9), 2);
	assert_memory_equal(out, "gh.......", 9);
	assert_int_equal(iov_to_buf(iov, 3, 8, out, 1), 0);
	assert_int_equal(iov_to_buf(iov, 3, UINT64_MAX, out, UINT64_MAX), 0);
	assert_int_equal(iov_to_buf(iov, 0, 0, out, 1), 0);
	assert_int_equal(iov_from_buf(iov, 3, 2, "XYZ", 3), 3);
	assert_memory_equal(a, "abX", 3);
	assert_memory_equal(b, "Y", 1);
	assert_memory_equal(c, "Zfgh", 4);
	assert_int_equal(iov_from_buf(iov, 3, 7, "12", 2), 1);
	assert_memory_equal(c, "Zfg1", 4);
}

static void iov_slices(void **state)
{
	char data[8];
	struct iovec iov[] = {{data, 3}, {data + 3, 1}, {data + 4, 4}}, out[3];

	(void)state;
	assert_int_equal(iov_slice(iov, 3, 0, 8, out), 3);
	assert_memory_equal(out, iov, sizeof(iov));
	assert_int_equal(iov_slice(iov, 3, 1, 2, out), 1);
	assert_ptr_equal(out[0].iov_base, data + 1);
	assert_int_equal(out[0].iov_len, 2);
	assert_int_equal(iov_slice(iov, 3, 7, 100, out), 1);
	assert_ptr_equal(out[0].iov_base, data + 7);
	assert_int_equal(out[0].iov_len, 1);
	assert_int_equal(iov_slice(iov, 3, 8, 1, out), 0);
	assert_int_equal(iov_slice(iov, 3, 0, 0, out), 0);
	/* In place. */
	assert_int_equal(iov_slice(iov, 3, 3, 3, iov), 2);
	assert_ptr_equal(iov[0].iov_base, data + 3);
	assert_int_equal(iov[0].iov_len, 1);
	assert_ptr_equal(iov[1].iov_base, data + 4);
	assert_int_equal(iov[1].iov_len, 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(enable_checks_size),
		TEST(enable_checks_alignment),
		TEST(enable_checks_ram),
		TEST(enable_refuses_overlap),
		TEST(rings_at_the_end_of_ram),
		TEST(unpop_gives_back),
		TEST(put_is_invisible_until_published),
		TEST(indexes_wrap),
		TEST(nothing_is_written_while_not_ready),
		TEST(interrupts_by_flag),
		TEST(interrupts_by_event_index),
		TEST(kicks_by_flag),
		TEST(kicks_by_event_index),
		cmocka_unit_test(iov_copies),
		cmocka_unit_test(iov_slices),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
