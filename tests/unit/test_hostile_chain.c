/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile drivers, classes 14 to 20: descriptor chains and indirect tables. */
#include "hostile.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define TABLE VRING_DESC_F_INDIRECT

/*
 * Changes of the good request's descriptors
 */

enum field { NONE, ADDR, LEN, FLAGS, LINK };

enum outcome { BREAKS, SERVED };

struct edit {
	unsigned int index;
	enum field field;
	uint64_t value;
};

struct variant {
	const char *what;
	enum outcome outcome;
	struct edit edits[3];
};

static void apply(struct vring_desc *desc, const struct edit *edit)
{
	switch (edit->field) {
	case NONE:
		break;
	case ADDR:
		desc[edit->index].addr = edit->value;
		break;
	case LEN:
		desc[edit->index].len = (uint32_t)edit->value;
		break;
	case FLAGS:
		desc[edit->index].flags = (uint16_t)edit->value;
		break;
	case LINK:
		desc[edit->index].next = (uint16_t)edit->value;
		break;
	}
}

static void run_variants(struct hostile *h, const struct variant *variants, size_t nr)
{
	struct vring_desc *desc;
	size_t i;

	for (h->nr = 0; h->nr < nr; h->nr++) {
		h->what = variants[h->nr].what;
		desc = hostile_begin(h, 0);
		for (i = 0; i < ARRAY_SIZE(variants[0].edits); i++)
			apply(desc, &variants[h->nr].edits[i]);
		hostile_publish(h);
		if (variants[h->nr].outcome == SERVED)
			hostile_is_served(h);
		else
			hostile_breaks(h);
	}
}

/*
 * 14 to 19: chains
 */

static void class_14_next_past_the_queue(void **state)
{
	static const struct variant variants[] = {
		{"first", BREAKS, {{0, LINK, QUEUE_SIZE}}},
		{"middle", BREAKS, {{1, LINK, QUEUE_SIZE}}},
		{"one more", BREAKS, {{0, LINK, QUEUE_SIZE + 1}}},
		{"maximum", BREAKS, {{1, LINK, 256}}},
		{"sign", BREAKS, {{1, LINK, 0x8000}}},
		{"far", BREAKS, {{1, LINK, 0xffff}}},
		{"last", BREAKS, {{2, LINK, QUEUE_SIZE}, {2, FLAGS, NEXT | WRITE}}},
		/* Without the flag it is no link. */
		{"no flag", SERVED, {{2, LINK, 0xffff}}},
	};

	run_variants(*state, variants, ARRAY_SIZE(variants));
}

static void class_15_loops(void **state)
{
	static const struct variant variants[] = {
		{"self", BREAKS, {{0, LINK, 0}}},
		{"two", BREAKS, {{1, LINK, 0}}},
		{"tail", BREAKS, {{1, LINK, 1}}},
		{"self, empty", BREAKS, {{0, LINK, 0}, {0, LEN, 0}}},
		{"two, empty", BREAKS, {{1, LINK, 0}, {0, LEN, 0}, {1, LEN, 0}}},
	};
	struct hostile *h = *state;
	unsigned int i, v;

	run_variants(h, variants, ARRAY_SIZE(variants));
	/* The whole ring: as a chain as long as the queue it is right, and one link more not. */
	for (v = 0; v < 3; v++) {
		struct vring_desc *desc = hostile_begin(h, 0), last = desc[2];

		h->what = "whole ring";
		h->nr = v;
		for (i = 1; i < QUEUE_SIZE - 1; i++)
			desc[i + 1] = (struct vring_desc){0, 0, NEXT, (uint16_t)(i + 2)};
		/* The request's own three, with empty ones between. */
		desc[QUEUE_SIZE - 1] = last;
		desc[1].next = 2;
		if (v)
			desc[QUEUE_SIZE - 1].flags |= NEXT;
		desc[QUEUE_SIZE - 1].next = (uint16_t)(v == 1 ? 0 : 2);
		hostile_publish(h);
		if (v)
			hostile_breaks(h);
		else
			hostile_is_served(h);
	}
}

/* Buffers before a table and in it: more than any chain may have, in all. */
static void class_15_longer_than_any_queue(void **state)
{
	static const unsigned int before[] = {1, 2, QUEUE_SIZE - 1};
	const gpa_t at = FAKE_RAM_BASE + KIB(64);
	struct hostile *h = *state;
	const uint16_t flags = h->target == ON_RX ? NEXT | WRITE : NEXT;
	unsigned int i;

	for (h->nr = 0; h->nr < ARRAY_SIZE(before); h->nr++) {
		struct vring_desc *desc = hostile_begin(h, 0), *to = fake_ptr(h->guest, at, KIB(4));

		for (i = 0; i < 256; i++)
			to[i] = (struct vring_desc){h->data, 1, flags, (uint16_t)(i + 1)};
		to[255].flags = h->target == ON_TX ? 0 : WRITE;
		for (i = 0; i < before[h->nr]; i++)
			desc[i] = (struct vring_desc){h->data, 16, flags, (uint16_t)(i + 1)};
		desc[i] = (struct vring_desc){at, KIB(4), TABLE, 0};
		hostile_publish(h);
		hostile_breaks(h);
	}
}

/* An indirect table of `nr` descriptors that stands for the request, its head first. */
static struct vring_desc *table_for(struct hostile *h, unsigned int nr)
{
	struct vring_desc *desc = hostile_begin(h, 0), *to;
	const gpa_t at = fake_alloc(h->guest, 16ull * nr, 16);

	to = fake_ptr(h->guest, at, 16ull * nr);
	to[0] = desc[0];
	to[0].next = 1;
	desc[0] = (struct vring_desc){at, 16 * nr, TABLE, 0};
	return to;
}

/* Descriptors that do lie in RAM, and whose lengths add up to 2^32 and more. */
static void class_16_total_length(void **state)
{
	/* A last descriptor that is `more` bytes longer makes a sum of just 2^32 - 1. */
	static const struct {
		unsigned int nr, more;
	} sums[] = {{128, 1}, {128, 16}, {129, MIB(32)}, {255, MIB(32)}, {128, 0}};
	const gpa_t big = GIB(16);
	struct hostile *h = *state;
	const uint16_t flags = h->target == ON_TX ? NEXT : NEXT | WRITE;
	unsigned int i;

	hostile_ram_add(h, big, MIB(32));
	for (h->nr = 0; h->nr < ARRAY_SIZE(sums); h->nr++) {
		const unsigned int nr = sums[h->nr].nr;
		struct vring_desc *desc = table_for(h, nr + 1);
		gpa_t last;

		for (i = 1; i <= nr; i++)
			desc[i] = (struct vring_desc){big, MIB(32), flags, (uint16_t)(i + 1)};
		desc[nr].flags &= (uint16_t)~NEXT;
		desc[nr].len = MIN(MIB(32) - desc[0].len - 1 + sums[h->nr].more, MIB(32));
		last = big + desc[nr].len - 1;
		hostile_publish(h);
		if (sums[h->nr].more) {
			hostile_breaks(h);
			continue;
		}
		/* More than a request or a frame may have: refused, or just room for one. */
		hostile_ram_save(h);
		hostile_allow_request(h);
		hostile_kick(h);
		hostile_ram_check(h);
		CHECK(h, hostile_status(h) == RUNNING);
		CHECK(h, *fake_used_idx(h->guest, hostile_queue(h)) == 1);
		if (h->target == ON_BLK)
			CHECK(h, *(uint8_t *)fake_ptr(h->guest, last, 1) == VIRTIO_BLK_S_IOERR);
		hostile_recovers(h);
	}
	/* Lengths that no RAM has, and that wrap 32 bits with their neighbours. */
	for (h->nr = 10; h->nr < 13; h->nr++) {
		struct vring_desc *desc = hostile_begin(h, 0);

		desc[1].len = UINT32_MAX - (h->nr - 10) * 16;
		hostile_publish(h);
		hostile_breaks(h);
	}
}

/* Descriptors without a byte, before, in and behind the request, of either direction. */
static void class_17_zero_length(void **state)
{
	static const gpa_t addresses[] = {0, FAKE_RAM_BASE, GIB(2), UINT64_MAX};
	struct hostile *h = *state;
	struct fake_buf bufs[4];
	unsigned int at, i, writable;

	for (at = 0; at <= 3; at++) {
		for (writable = 0; writable < 2; writable++) {
			h->what = "one";
			h->nr = at * 10 + writable;
			hostile_start(h, 0, QUEUE_SIZE);
			hostile_bufs(h, bufs);
			memmove(&bufs[at + 1], &bufs[at], (3 - at) * sizeof(bufs[0]));
			bufs[at] = (struct fake_buf){addresses[at], 0, writable};
			hostile_prepare(h);
			hostile_add(h, bufs, 4);
			hostile_is_served(h);
		}
	}
	/* A chain of nothing is no request. */
	for (i = 0; i < 4; i++) {
		struct vring_desc *desc = hostile_begin(h, 0);

		h->what = "all";
		h->nr = i;
		desc[0].len = desc[1].len = desc[2].len = 0;
		if (i & 1)
			desc[0].addr = desc[1].addr = desc[2].addr = UINT64_MAX;
		if (i & 2)
			desc[0].flags &= (uint16_t)~NEXT;
		hostile_publish(h);
		hostile_breaks(h);
	}
}

static void class_18_addresses(void **state)
{
	static const struct {
		uint64_t addr;
		uint32_t len;
	} bad[] = {
		{0, 16},
		{FAKE_RAM_BASE - 1, 16},
		{FAKE_RAM_BASE - 16, 16},
		{FAKE_RAM_BASE - 1, 2},
		{RAM_END - 15, 16},
		{RAM_END - 1, 2},
		{RAM_END, 1},
		{RAM_END, 512},
		{GIB(2), 512},
		{FAKE_HIGH_BASE - 1, 2},
		{HIGH_END - 511, 512},
		{HIGH_END, 1},
		/* From region to region, over the hole. */
		{RAM_END - 16, 0xffffffff},
		{FAKE_RAM_BASE, FAKE_RAM_SIZE + 1},
		{FAKE_RAM_BASE, 0xffffffff},
		{FAKE_RAM_BASE, 0x80000000},
		{BUFFERS_END - 100, 101},
		{1ull << 63, 512},
		/* To 2^64 and past it. */
		{UINT64_MAX, 1},
		{UINT64_MAX, 2},
		{UINT64_MAX - 511, 512},
		{UINT64_MAX - 255, 512},
		{UINT64_MAX - KIB(4), (uint32_t)(FAKE_RAM_BASE + KIB(64))},
		{-(uint64_t)FAKE_RAM_BASE, 0x30000},
	};
	struct hostile *h = *state;
	unsigned int index;

	for (index = 0; index < 3; index++) {
		for (size_t i = 0; i < ARRAY_SIZE(bad); i++) {
			struct vring_desc *desc = hostile_begin(h, 0);

			h->nr = index * 100 + (unsigned int)i;
			desc[index].addr = bad[i].addr;
			desc[index].len = bad[i].len;
			hostile_publish(h);
			hostile_breaks(h);
		}
	}
}

/* The first and the last bytes there are. */
static void class_18_buffers_to_the_end_of_ram(void **state)
{
	static const gpa_t ends[] = {RAM_END - KIB(48), HIGH_END - KIB(48), BUFFERS_END,
				     BUFFERS_BASE + SECTOR, FAKE_HIGH_BASE + SECTOR};
	struct hostile *h = *state;
	const gpa_t data = h->data, status = h->status;

	for (h->nr = 0; h->nr < ARRAY_SIZE(ends); h->nr++) {
		h->data = ends[h->nr] - SECTOR;
		h->status = h->nr % 2 ? BUFFERS_BASE : BUFFERS_BASE + KIB(2);
		if (h->target == ON_RX && h->nr != 2)
			continue;
		hostile_begin(h, 0);
		hostile_publish(h);
		hostile_ram_save(h);
		hostile_allow_request(h);
		hostile_kick(h);
		hostile_ram_check(h);
		if (h->nr != 3)
			hostile_check_served(h);
		h->data = data;
		h->status = status;
		hostile_recovers(h);
	}
}

static void class_19_direction(void **state)
{
	static const struct variant blk[] = {
		{"writable header", BREAKS, {{0, FLAGS, NEXT | WRITE}}},
		{"writable header, the rest readable",
		 BREAKS,
		 {{0, FLAGS, NEXT | WRITE}, {1, FLAGS, NEXT}, {2, FLAGS, 0}}},
		{"read-only status", BREAKS, {{2, FLAGS, 0}}},
		{"read-only data and status", BREAKS, {{1, FLAGS, NEXT}, {2, FLAGS, 0}}},
		{"all writable", BREAKS, {{0, FLAGS, NEXT | WRITE}, {1, FLAGS, NEXT | WRITE}}},
		{"no status", BREAKS, {{1, FLAGS, 0}}},
		{"unknown flags", SERVED, {{1, FLAGS, NEXT | WRITE | 0xfff8}}},
	};
	static const struct variant rx[] = {
		{"first readable", BREAKS, {{0, FLAGS, NEXT}}},
		{"middle readable", BREAKS, {{1, FLAGS, NEXT}}},
		{"last readable", BREAKS, {{2, FLAGS, 0}}},
		{"all readable", BREAKS, {{0, FLAGS, NEXT}, {1, FLAGS, NEXT}, {2, FLAGS, 0}}},
		{"unknown flags", SERVED, {{1, FLAGS, NEXT | WRITE | 0xfff8}}},
	};
	static const struct variant tx[] = {
		{"first writable", BREAKS, {{0, FLAGS, NEXT | WRITE}}},
		{"middle writable", BREAKS, {{1, FLAGS, NEXT | WRITE}}},
		{"last writable", BREAKS, {{2, FLAGS, WRITE}}},
		{"all writable",
		 BREAKS,
		 {{0, FLAGS, NEXT | WRITE}, {1, FLAGS, NEXT | WRITE}, {2, FLAGS, WRITE}}},
		{"unknown flags", SERVED, {{1, FLAGS, NEXT | 0xfff8}}},
	};
	struct hostile *h = *state;

	if (h->target == ON_BLK)
		run_variants(h, blk, ARRAY_SIZE(blk));
	else if (h->target == ON_RX)
		run_variants(h, rx, ARRAY_SIZE(rx));
	else
		run_variants(h, tx, ARRAY_SIZE(tx));
}

/* A good request right behind one that breaks the device is not served any more. */
static void class_19_nothing_after_a_broken_request(void **state)
{
	struct hostile *h = *state;
	struct vring_desc *desc = hostile_begin(h, 0);
	struct fake_buf bufs[3];
	unsigned int i;

	/* The chain is good as such: it is the device that finds no room for an answer. */
	for (i = 0; i < 3; i++)
		desc[i].flags = (uint16_t)((h->target == ON_TX ? WRITE : 0) | (i < 2 ? NEXT : 0));
	hostile_publish(h);
	hostile_bufs(h, bufs);
	fake_add(h->guest, hostile_queue(h), bufs, 3);
	hostile_breaks(h);
}

/*
 * 20: indirect tables
 */

/* Moves the request into an indirect table at `at`, of `len` bytes. */
static struct vring_desc *indirect(struct hostile *h, gpa_t at, uint32_t len, uint16_t flags)
{
	struct vring_desc *desc = hostile_begin(h, 0), *to = fake_ptr(h->guest, at, 48);

	memcpy(to, desc, 48);
	desc[0] = (struct vring_desc){at, len, flags, 1};
	return to;
}

static void class_20_indirect_tables(void **state)
{
	const gpa_t at = FAKE_RAM_BASE + KIB(64);
	static const struct {
		gpa_t gpa;
		uint32_t len;
		uint16_t flags;
	} bad[] = {
		{0, 0, TABLE},
		{0, 1, TABLE},
		{0, 15, TABLE},
		{0, 47, TABLE},
		{0, 49, TABLE},
		{0, 16 * 257, TABLE},
		{0, 16 * 512, TABLE},
		{0, 0x100000, TABLE},
		{0, 0xfffffff0, TABLE},
		{0, 0xffffffff, TABLE},
		{0, 0x80000000, TABLE},
		{0, 48, TABLE | NEXT},
		/* Two of the three, the second of which goes on. */
		{0, 32, TABLE},
		{0, 16, TABLE},
		{8, 48, TABLE},
		{RAM_END - 32, 48, TABLE},
		{RAM_END, 48, TABLE},
		{FAKE_RAM_BASE - 16, 48, TABLE},
		{GIB(2), 48, TABLE},
		{UINT64_MAX - 15, 48, TABLE},
		{UINT64_MAX - 47, 48, TABLE},
	};
	struct hostile *h = *state;

	for (h->nr = 0; h->nr < ARRAY_SIZE(bad); h->nr++) {
		indirect(h, at, bad[h->nr].len, bad[h->nr].flags);
		if (bad[h->nr].gpa)
			hostile_table(h)[0].addr = bad[h->nr].gpa;
		/* What could follow the table in the queue is good by itself. */
		hostile_publish(h);
		hostile_breaks(h);
	}
}

/* A table that begins in RAM, with good descriptors up to the end of it. */
static void class_20_table_past_the_end_of_ram(void **state)
{
	struct hostile *h = *state;

	for (h->nr = 1; h->nr <= 2; h->nr++) {
		const gpa_t at = BUFFERS_END - 16 * h->nr;
		struct vring_desc *desc = hostile_begin(h, 0);

		memcpy(fake_ptr(h->guest, at, 16 * h->nr), desc, 16 * h->nr);
		desc[0] = (struct vring_desc){at, 48, TABLE, 0};
		hostile_publish(h);
		hostile_breaks(h);
	}
}

static void class_20_chains_in_tables(void **state)
{
	const gpa_t at = FAKE_RAM_BASE + KIB(64);
	static const struct variant variants[] = {
		{"nested",
		 BREAKS,
		 {{1, FLAGS, TABLE}, {1, ADDR, FAKE_RAM_BASE + KIB(64)}, {1, LEN, 48}}},
		{"nested, with next", BREAKS, {{1, FLAGS, TABLE | NEXT}}},
		{"nested first", BREAKS, {{0, FLAGS, TABLE}, {0, ADDR, FAKE_RAM_BASE + KIB(64)}}},
		{"self", BREAKS, {{0, LINK, 0}}},
		{"loop", BREAKS, {{1, LINK, 0}}},
		{"next past the table", BREAKS, {{1, LINK, 3}}},
		{"next past the queue", BREAKS, {{1, LINK, QUEUE_SIZE}}},
		{"next far", BREAKS, {{1, LINK, 0xffff}}},
		{"as it should be", SERVED, {{0, NONE, 0}}},
		{"flags of the table", SERVED, {{0, NONE, 0}}},
	};
	struct hostile *h = *state;
	unsigned int i, j;

	for (i = 0; i < ARRAY_SIZE(variants); i++) {
		struct vring_desc *desc =
			indirect(h, at, 48, i == ARRAY_SIZE(variants) - 1 ? TABLE | WRITE : TABLE);

		h->nr = i;
		h->what = variants[i].what;
		for (j = 0; j < 3; j++)
			apply(desc, &variants[i].edits[j]);
		hostile_publish(h);
		if (variants[i].outcome == SERVED)
			hostile_is_served(h);
		else
			hostile_breaks(h);
	}
	/* Unaligned, and to the last byte of RAM. */
	h->what = "end of RAM";
	for (h->nr = 0; h->nr < 2; h->nr++) {
		indirect(h, (h->nr ? BUFFERS_BASE + 65 : FAKE_HIGH_BASE + 1), 48, TABLE);
		hostile_publish(h);
		hostile_is_served(h);
	}
}

/* Tables that lie over the rings which lead to them. */
static void class_20_tables_over_rings(void **state)
{
	struct hostile *h = *state;
	struct fake_queue *queue = hostile_queue(h);
	struct vring_desc *desc;
	unsigned int i;

	for (i = 0; i < 4; i++) {
		h->nr = i;
		desc = hostile_begin(h, 0);
		switch (i) {
		case 0: /* itself: nested */
			desc[0] = (struct vring_desc){queue->desc, 48, TABLE, 0};
			break;
		case 1: /* the rest of its own ring: a good chain */
			memmove(desc + 1, desc, 48);
			desc[1].next = 1;
			desc[2].next = 2;
			desc[0] = (struct vring_desc){queue->desc + 16, 48, TABLE, 0};
			break;
		case 2: /* the used ring, all zero: an empty request */
			desc[0] = (struct vring_desc){queue->used, 48, TABLE, 0};
			break;
		case 3: /* the available ring: address 0x10000, of length 0 */
			desc[0] = (struct vring_desc){queue->avail, 32, TABLE, 0};
			break;
		}
		hostile_publish(h);
		if (i == 1)
			hostile_is_served(h);
		else
			hostile_breaks(h);
	}
}

/* The longest table there may be, and one longer by a link back. */
static void class_20_the_longest_table(void **state)
{
	const gpa_t at = FAKE_RAM_BASE + KIB(64);
	struct hostile *h = *state;
	unsigned int i;

	for (h->nr = 0; h->nr < 2; h->nr++) {
		struct vring_desc *desc = indirect(h, at, 16 * 256, TABLE), last;

		last = desc[2];
		for (i = 2; i < 255; i++)
			desc[i] = (struct vring_desc){UINT64_MAX, 0, NEXT, (uint16_t)(i + 1)};
		desc[255] = last;
		if (h->nr) {
			desc[255].flags |= NEXT;
			desc[255].next = 2;
		}
		hostile_publish(h);
		if (h->nr)
			hostile_breaks(h);
		else
			hostile_is_served(h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE_QUEUES(class_14_next_past_the_queue),
		HOSTILE_QUEUES(class_15_loops),
		HOSTILE_QUEUES(class_15_longer_than_any_queue),
		HOSTILE_QUEUES(class_16_total_length),
		HOSTILE_QUEUES(class_17_zero_length),
		HOSTILE_QUEUES(class_18_addresses),
		HOSTILE_QUEUES(class_18_buffers_to_the_end_of_ram),
		HOSTILE_QUEUES(class_19_direction),
		HOSTILE_QUEUES(class_19_nothing_after_a_broken_request),
		HOSTILE_QUEUES(class_20_indirect_tables),
		HOSTILE_QUEUES(class_20_table_past_the_end_of_ram),
		HOSTILE_QUEUES(class_20_chains_in_tables),
		HOSTILE_QUEUES(class_20_tables_over_rings),
		HOSTILE_QUEUES(class_20_the_longest_table),
	};

	/* A device that spins is a failure, not a wait. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
