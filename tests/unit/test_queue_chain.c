/* SPDX-License-Identifier: Apache-2.0 */
/* Virtqueues: the chains a driver may build, and those it may not. */
#include "test_queue.h"

#include <sys/mman.h>

#define BIG_BASE GIB(8)
#define BIG_SIZE GIB(1)

/* The chain at `head` breaks the queue, which then gives nothing until it is enabled again. */
static void assert_breaks(struct fixture *f, uint16_t head)
{
	const uint16_t good = f->ring.size - 1;

	fake_publish(&f->guest, &f->ring, head);
	assert_int_equal(pop(f), -EPROTO);
	fake_desc(&f->guest, &f->ring, good, FAKE_RAM_BASE, 1, 0, 0);
	fake_publish(&f->guest, &f->ring, good);
	assert_int_equal(pop(f), 0);
	assert_true(f->queue.state.broken);
	assert_false(virtqueue_want_kicks(&f->queue, true));
	/* The same ring, from its start. */
	f->ring.avail_idx = 0;
	*fake_avail_idx(&f->guest, &f->ring) = 0;
	f->queue.state.next_avail = 0;
	assert_int_equal(
		virtqueue_enable(&f->queue, &f->guest.mem, f->queue.indirect ? INDIRECT : 0), 0);
	assert_int_equal(pop(f), 0);
}

/*
 * Chains
 */

static void pop_gives_the_chain(void **state)
{
	struct fixture *f = *state;
	gpa_t base = fake_alloc(&f->guest, 4096, 1);
	const struct fake_buf bufs[] = {{base, 16, false},
					{base + 100, 3, false},
					{base + 200, 1, true},
					{base + 7, 9, true}};
	uint16_t head;
	size_t i;

	enable(f, SIZE, 0);
	assert_int_equal(pop(f), 0);
	fake_add(&f->guest, &f->ring, bufs, 1);
	head = fake_add(&f->guest, &f->ring, bufs, ARRAY_SIZE(bufs));
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.head, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.head, head);
	assert_int_equal(f->chain.nr_readable, 2);
	assert_int_equal(f->chain.nr_writable, 2);
	assert_int_equal(f->chain.readable_bytes, 19);
	assert_int_equal(f->chain.writable_bytes, 10);
	for (i = 0; i < ARRAY_SIZE(bufs); i++) {
		assert_ptr_equal(f->chain.iov[i].iov_base,
				 fake_ptr(&f->guest, bufs[i].gpa, bufs[i].len));
		assert_int_equal(f->chain.iov[i].iov_len, bufs[i].len);
	}
	assert_int_equal(pop(f), 0);
}

static void pop_leaves_out_empty_descriptors(void **state)
{
	struct fixture *f = *state;
	gpa_t base = fake_alloc(&f->guest, 64, 1);
	/* Where they point to does not matter. */
	const struct fake_buf some[] = {{UINT64_MAX, 0, false},
					{base, 1, false},
					{0, 0, true},
					{base + 1, 2, true},
					{1, 0, true}};
	const struct fake_buf none[] = {{0, 0, false}, {UINT64_MAX, 0, true}};

	enable(f, SIZE, 0);
	fake_add(&f->guest, &f->ring, some, ARRAY_SIZE(some));
	fake_add(&f->guest, &f->ring, none, ARRAY_SIZE(none));
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.nr_readable, 1);
	assert_int_equal(f->chain.nr_writable, 1);
	assert_int_equal(f->chain.iov[0].iov_len, 1);
	assert_int_equal(f->chain.iov[1].iov_len, 2);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.nr_readable + f->chain.nr_writable, 0);
	assert_int_equal(f->chain.readable_bytes + f->chain.writable_bytes, 0);
}

static void pop_takes_a_chain_as_long_as_the_queue(void **state)
{
	struct fixture *f = *state;
	struct fake_buf bufs[VIRTQUEUE_SIZE_MAX];
	size_t i;

	enable(f, VIRTQUEUE_SIZE_MAX, 0);
	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		bufs[i] = (struct fake_buf){FAKE_RAM_BASE + i, 1, i >= 200};
	fake_add(&f->guest, &f->ring, bufs, ARRAY_SIZE(bufs));
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.nr_readable, 200);
	assert_int_equal(f->chain.nr_writable, VIRTQUEUE_SIZE_MAX - 200);
}

static void avail_index_is_bounded(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, false};
	unsigned int i;

	enable(f, SIZE, 0);
	for (i = 0; i < SIZE; i++)
		fake_add(&f->guest, &f->ring, &buf, 1);
	for (i = 0; i < SIZE; i++)
		assert_int_equal(pop(f), 1);
	assert_int_equal(pop(f), 0);
	/* One more than there are places. */
	*fake_avail_idx(&f->guest, &f->ring) = 2 * SIZE + 1;
	assert_int_equal(pop(f), -EPROTO);
	*fake_avail_idx(&f->guest, &f->ring) = 2 * SIZE;
	assert_int_equal(pop(f), 0);
	/* Backwards. */
	assert_int_equal(virtqueue_enable(&f->queue, &f->guest.mem, 0), 0);
	*fake_avail_idx(&f->guest, &f->ring) = SIZE - 1;
	assert_int_equal(pop(f), -EPROTO);
}

static void head_is_bounded(void **state)
{
	struct fixture *f = *state;

	enable(f, SIZE, 0);
	assert_breaks(f, SIZE);
	assert_breaks(f, 0xffff);
}

static void next_is_bounded(void **state)
{
	struct fixture *f = *state;

	enable(f, SIZE, 0);
	fake_desc(&f->guest, &f->ring, 0, FAKE_RAM_BASE, 1, VRING_DESC_F_NEXT, SIZE);
	assert_breaks(f, 0);
	fake_desc(&f->guest, &f->ring, 0, FAKE_RAM_BASE, 1, VRING_DESC_F_NEXT, 0xffff);
	assert_breaks(f, 0);
}

static void loops_end(void **state)
{
	static const uint32_t lengths[] = {1, 0};
	struct fixture *f = *state;
	size_t l;
	uint16_t i;

	enable(f, SIZE, 0);
	for (l = 0; l < ARRAY_SIZE(lengths); l++) {
		/* Itself. */
		fake_desc(&f->guest, &f->ring, 0, FAKE_RAM_BASE, lengths[l], VRING_DESC_F_NEXT, 0);
		assert_breaks(f, 0);
		/* Two. */
		fake_desc(&f->guest, &f->ring, 2, FAKE_RAM_BASE, lengths[l], VRING_DESC_F_NEXT, 3);
		fake_desc(&f->guest, &f->ring, 3, FAKE_RAM_BASE, lengths[l], VRING_DESC_F_NEXT, 2);
		assert_breaks(f, 2);
		/* The whole ring. */
		for (i = 0; i < SIZE; i++)
			fake_desc(&f->guest, &f->ring, i, FAKE_RAM_BASE, lengths[l],
				  VRING_DESC_F_NEXT, (i + 1) % SIZE);
		assert_breaks(f, 5);
	}
}

static void readable_comes_first(void **state)
{
	const struct fake_buf bufs[] = {
		{FAKE_RAM_BASE, 1, false}, {FAKE_RAM_BASE, 1, true}, {FAKE_RAM_BASE, 1, false}};
	struct fixture *f = *state;

	enable(f, SIZE, 0);
	assert_breaks(f, fake_chain(&f->guest, &f->ring, bufs, ARRAY_SIZE(bufs), false));
}

static void buffers_lie_in_ram(void **state)
{
	const gpa_t low_end = FAKE_RAM_BASE + FAKE_RAM_SIZE;
	const struct fake_buf bad[] = {
		{0, 1, false},
		{FAKE_RAM_BASE - 1, 1, true},
		{FAKE_RAM_BASE - 1, 2, false},
		{low_end - 1, 2, true},
		{low_end, 1, false},
		/* Over the hole, from one region to the other. */
		{low_end - 1, (uint32_t)(FAKE_HIGH_BASE - low_end + 2), false},
		{FAKE_HIGH_BASE - 1, 1, false},
		{FAKE_HIGH_BASE, FAKE_HIGH_SIZE + 1, true},
		{UINT64_MAX, 1, false},
		{UINT64_MAX, 2, true},
		{UINT64_MAX - 0xfffffffe, UINT32_MAX, true},
		{FAKE_RAM_BASE, UINT32_MAX, true},
	};
	const struct fake_buf good[] = {{FAKE_RAM_BASE, FAKE_RAM_SIZE, false},
					{low_end - 1, 1, false},
					{FAKE_HIGH_BASE, FAKE_HIGH_SIZE, true}};
	struct fixture *f = *state;
	size_t i;

	enable(f, SIZE, 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		assert_breaks(f, fake_chain(&f->guest, &f->ring, &bad[i], 1, false));
	fake_add(&f->guest, &f->ring, good, ARRAY_SIZE(good));
	assert_int_equal(pop(f), 1);
}

/* More than 32 bits of length in one chain, over one GiB of RAM that is never touched. */
static void total_length_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct fake_buf bufs[5];
	void *big = mmap(NULL, BIG_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	size_t i;

	assert_ptr_not_equal(big, MAP_FAILED);
	assert_int_equal(guest_mem_add(&f->guest.mem, BIG_BASE, BIG_SIZE, big), 0);
	enable(f, SIZE, 0);
	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		bufs[i] = (struct fake_buf){BIG_BASE, BIG_SIZE, i >= 2};
	assert_breaks(f, fake_chain(&f->guest, &f->ring, bufs, 5, false));
	assert_breaks(f, fake_chain(&f->guest, &f->ring, bufs, 4, false));
	bufs[3].len--;
	fake_add(&f->guest, &f->ring, bufs, 4);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.readable_bytes + f->chain.writable_bytes, UINT32_MAX);
	munmap(big, BIG_SIZE);
	f->guest.mem.nr_regions--;
}

/*
 * Indirect tables
 */

static void indirect_gives_the_chain(void **state)
{
	const struct fake_buf bufs[] = {{FAKE_RAM_BASE, 5, false}, {FAKE_RAM_BASE + 9, 7, true}};
	struct fixture *f = *state;
	gpa_t odd;
	char *to;

	enable(f, 2, INDIRECT);
	fake_publish(&f->guest, &f->ring,
		     fake_chain(&f->guest, &f->ring, bufs, ARRAY_SIZE(bufs), true));
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.nr_readable, 1);
	assert_int_equal(f->chain.nr_writable, 1);
	assert_int_equal(f->chain.readable_bytes, 5);
	assert_int_equal(f->chain.writable_bytes, 7);
	assert_int_equal(f->chain.head, 0);
	/* At an odd address, behind a direct descriptor; WRITE of the indirect one says nothing. */
	odd = fake_alloc(&f->guest, 32, 2) + 1;
	to = fake_ptr(&f->guest, odd, 16);
	memcpy(to, &(struct vring_desc){FAKE_RAM_BASE, 3, 0, 0}, 16);
	fake_desc(&f->guest, &f->ring, 0, FAKE_RAM_BASE, 1, VRING_DESC_F_NEXT, 1);
	fake_desc(&f->guest, &f->ring, 1, odd, 16, VRING_DESC_F_INDIRECT | VRING_DESC_F_WRITE, 0);
	fake_publish(&f->guest, &f->ring, 0);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.readable_bytes, 4);
	assert_int_equal(f->chain.nr_writable, 0);
}

static void indirect_only_if_negotiated(void **state)
{
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, false};
	struct fixture *f = *state;

	enable(f, SIZE, 0);
	assert_breaks(f, fake_chain(&f->guest, &f->ring, &buf, 1, true));
}

static void indirect_tables_are_checked(void **state)
{
	const gpa_t low_end = FAKE_RAM_BASE + FAKE_RAM_SIZE;
	struct fixture *f = *state;
	gpa_t table = fake_alloc(&f->guest, 16ull * (VIRTQUEUE_SIZE_MAX + 1), 16);
	const struct {
		gpa_t addr;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{table, 0, 0},
		{table, 15, 0},
		{table, 17, 0},
		{table, 16 * (VIRTQUEUE_SIZE_MAX + 1), 0},
		{table, UINT32_MAX & ~15u, 0},
		{table, 16, VRING_DESC_F_NEXT},
		{low_end - 15, 16, 0},
		{low_end, 16, 0},
		{UINT64_MAX - 7, 16, 0},
	};
	size_t i;

	enable(f, SIZE, INDIRECT);
	/* A table of empty descriptors would be fine. */
	fake_desc(&f->guest, &f->ring, 1, FAKE_RAM_BASE, 1, 0, 0);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		fake_desc(&f->guest, &f->ring, 0, bad[i].addr, bad[i].len,
			  bad[i].flags | VRING_DESC_F_INDIRECT, 1);
		assert_breaks(f, 0);
	}
	fake_desc(&f->guest, &f->ring, 0, table, 16 * VIRTQUEUE_SIZE_MAX, VRING_DESC_F_INDIRECT, 0);
	fake_publish(&f->guest, &f->ring, 0);
	assert_int_equal(pop(f), 1);
}

static void indirect_does_not_nest(void **state)
{
	struct fixture *f = *state;
	const struct fake_buf inner = {FAKE_RAM_BASE, 1, false};
	uint16_t head;
	gpa_t table;

	enable(f, SIZE, INDIRECT);
	/* A table that holds a copy of the descriptor which leads to a fine table. */
	head = fake_chain(&f->guest, &f->ring, &inner, 1, true);
	table = fake_alloc(&f->guest, 16, 16);
	memcpy(fake_ptr(&f->guest, table, 16), fake_ptr(&f->guest, f->ring.desc + 16ull * head, 16),
	       16);
	fake_desc(&f->guest, &f->ring, 1, table, 16, VRING_DESC_F_INDIRECT, 0);
	assert_breaks(f, 1);
	/* The ring itself as the table: its second descriptor is indirect. */
	fake_desc(&f->guest, &f->ring, 0, f->ring.desc, 16 * SIZE, VRING_DESC_F_INDIRECT, 0);
	assert_breaks(f, 0);
}

static void indirect_next_and_loops(void **state)
{
	struct fixture *f = *state;
	gpa_t table = fake_alloc(&f->guest, 64, 16);
	struct vring_desc *desc = fake_ptr(&f->guest, table, 64);

	enable(f, SIZE, INDIRECT);
	fake_desc(&f->guest, &f->ring, 0, table, 32, VRING_DESC_F_INDIRECT, 0);
	/* Past this table, though a descriptor is there. */
	desc[0] = (struct vring_desc){FAKE_RAM_BASE, 1, VRING_DESC_F_NEXT, 2};
	desc[2] = (struct vring_desc){FAKE_RAM_BASE, 1, 0, 0};
	assert_breaks(f, 0);
	desc[0].next = 0;
	assert_breaks(f, 0);
	desc[0].next = 1;
	desc[0].len = 0;
	desc[1] = (struct vring_desc){FAKE_RAM_BASE, 0, VRING_DESC_F_NEXT, 0};
	assert_breaks(f, 0);
	desc[1].flags = 0;
	fake_publish(&f->guest, &f->ring, 0);
	assert_int_equal(pop(f), 1);
}

/* One direct descriptor and a full table are one more than a chain may have. */
static void chain_length_is_bounded(void **state)
{
	struct fixture *f = *state;
	struct fake_buf bufs[VIRTQUEUE_SIZE_MAX];
	uint16_t table;
	size_t i;

	enable(f, SIZE, INDIRECT);
	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		bufs[i] = (struct fake_buf){FAKE_RAM_BASE, 1, true};
	table = fake_chain(&f->guest, &f->ring, bufs, ARRAY_SIZE(bufs), true);
	fake_desc(&f->guest, &f->ring, 1, FAKE_RAM_BASE, 1, VRING_DESC_F_NEXT, table);
	assert_breaks(f, 1);
	fake_publish(&f->guest, &f->ring, table);
	assert_int_equal(pop(f), 1);
	assert_int_equal(f->chain.nr_writable, VIRTQUEUE_SIZE_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(pop_gives_the_chain),
		TEST(pop_leaves_out_empty_descriptors),
		TEST(pop_takes_a_chain_as_long_as_the_queue),
		TEST(avail_index_is_bounded),
		TEST(head_is_bounded),
		TEST(next_is_bounded),
		TEST(loops_end),
		TEST(readable_comes_first),
		TEST(buffers_lie_in_ram),
		TEST(total_length_is_bounded),
		TEST(indirect_gives_the_chain),
		TEST(indirect_only_if_negotiated),
		TEST(indirect_tables_are_checked),
		TEST(indirect_does_not_nest),
		TEST(indirect_next_and_loops),
		TEST(chain_length_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
