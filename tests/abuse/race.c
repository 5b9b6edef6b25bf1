/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Class 22: while the device works, a second vCPU rewrites what it reads: good values, then hostile
 * ones, all the time. Whatever mixture the device sees may touch no more than one area of memory:
 * what can be written has its address and its length inside of that, or far outside of RAM. And no
 * more of the disk than the scratch sectors: the area and they are full of JUNK, which is the
 * number of no sector, and descriptor 0, that of the header, can never be written.
 */
#include "kit.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define AREA_SIZE 4096u

enum { DESCRIPTORS = 1, HEADERS = 2, RING = 4, TABLES = 8 };

/* What the second vCPU works on; `running` is 0 while it must not. */
static struct {
	uint32_t wanted, running;
	uint64_t what;
	struct vring_desc *desc;
	struct victim *v;
	uint8_t *header, *area;
} race;

static void rewrite_header_descriptor(uint32_t turn)
{
	static const uint32_t lengths[] = {16, 0, 8, 1u << 31, 12};
	volatile struct vring_desc *desc = &race.desc[0];

	desc->len = lengths[turn % ARRAY_SIZE(lengths)];
	desc->addr = (uintptr_t)race.header + (turn % 7 ? 0 : 1ull << 40);
	desc->flags = turn % 5 ? NEXT : 0;
	desc->next = turn % 11 ? 1 : (uint16_t)turn;
}

static void rewrite_descriptors(uint32_t turn)
{
	static const uint32_t lengths[] = {SECTOR_SIZE, 0, UINT32_MAX, 1, AREA_SIZE / 2, 1u << 31};
	static const uint64_t offsets[] = {0, SECTOR_SIZE, 1ull << 40, AREA_SIZE / 2, 1ull << 63};
	volatile struct vring_desc *desc = &race.desc[1 + turn % 2];

	desc->len = lengths[turn % ARRAY_SIZE(lengths)];
	desc->addr = (uintptr_t)race.area + offsets[turn % ARRAY_SIZE(offsets)];
	desc->flags = (uint16_t)(turn % 8);
	desc->next = turn % 5 ? (uint16_t)(turn % 3) : (uint16_t)turn;
}

static void rewrite_header(uint32_t turn)
{
	static const uint32_t types[] = {VIRTIO_BLK_T_IN, UINT32_MAX, 9, VIRTIO_BLK_T_OUT,
					 VIRTIO_BLK_T_GET_ID};
	static const uint64_t sectors[] = {SCRATCH_SECTOR, 1ull << 55, UINT64_MAX, 1ull << 63};
	volatile struct virtio_blk_outhdr *header = (void *)race.header;
	uint32_t i;

	if (!victim_is_disk(race.v)) {
		for (i = 0; i < NET_HEADER_SIZE; i++)
			((volatile uint8_t *)race.header)[i] = (uint8_t)(turn * (i + 1));
		return;
	}
	header->sector = sectors[turn % ARRAY_SIZE(sectors)];
	/* The last two only where no data can become a header. */
	header->type = types[turn % (race.what & DESCRIPTORS ? 3 : ARRAY_SIZE(types))];
}

void race_cpu_main(void)
{
	uint32_t turn = 0;

	for (;;) {
		if (!__atomic_load_n(&race.wanted, __ATOMIC_SEQ_CST)) {
			__atomic_store_n(&race.running, 0, __ATOMIC_SEQ_CST);
			cpu_relax();
			continue;
		}
		__atomic_store_n(&race.running, 1, __ATOMIC_SEQ_CST);
		/* It may have been stopped between the two. */
		if (!__atomic_load_n(&race.wanted, __ATOMIC_SEQ_CST))
			continue;
		turn++;
		if (race.what & (DESCRIPTORS | TABLES)) {
			rewrite_header_descriptor(turn);
			rewrite_descriptors(turn);
		}
		if (race.what & HEADERS)
			rewrite_header(turn);
		if (race.what & RING) {
			race.v->q->avail->ring[turn % QUEUE_SIZE] = (uint16_t)(turn % 7 ? 0 : turn);
			*(volatile uint16_t *)&race.v->q->avail->idx = (uint16_t)(turn / 3);
		}
	}
}

static bool race_stop(void)
{
	uint64_t begin = cycles();

	__atomic_store_n(&race.wanted, 0, __ATOMIC_SEQ_CST);
	while (__atomic_load_n(&race.running, __ATOMIC_SEQ_CST)) {
		cpu_relax();
		if (cycles() - begin > WAIT_GOOD)
			return false;
	}
	return true;
}

/* The chain of a good request, of memory that the other vCPU may do with what it likes. */
static void race_chain(struct victim *v)
{
	struct vring_desc *desc = v->q->desc;

	victim_chain(v);
	fill_junk(race.area, AREA_SIZE);
	memset(race.header, 0, 16);
	((struct virtio_blk_outhdr *)race.header)->sector = victim_is_disk(v) ? SCRATCH_SECTOR : 0;
	desc_set(v->q, 0, race.header, victim_is_disk(v) ? 16 : NET_HEADER_SIZE, NEXT, 1);
	desc_set(v->q, 1, race.area, SECTOR_SIZE, desc[1].flags, 2);
	desc_set(v->q, 2, race.area + AREA_SIZE / 2, 1, WRITE, 0);
	/* Room for a frame is all for the device to write. */
	if (victim_is_receiver(v))
		desc_set(v->q, 0, race.area, NET_HEADER_SIZE, WRITE | NEXT, 1);
	if (race.what & TABLES) {
		memcpy(race.desc, desc, 3 * sizeof(*desc));
		desc_set(v->q, 0, race.desc, (v->last + 1) * (uint32_t)sizeof(*desc),
			 VRING_DESC_F_INDIRECT, 0);
	}
}

/* So that a read of the scratch sectors gives no header. */
static bool junk_to_scratch(struct virtio *dev)
{
	uint8_t status;
	uint64_t i;

	for (i = 0; i < AREA_SIZE / SECTOR_SIZE; i++) {
		fill_junk(dev->sector, SECTOR_SIZE);
		if (!disk_request(dev, VIRTIO_BLK_T_OUT, SCRATCH_SECTOR + i, &status) || status)
			return false;
	}
	return true;
}

static enum outcome race_on(struct victim *v, uint64_t what)
{
	enum outcome worst = SKIPPED, found;
	unsigned int rounds, kicks;

	if (!second_cpu)
		return skip("there is no second vCPU");
	if (victim_is_disk(v) && !junk_to_scratch(v->dev))
		return fail(FAIL_DEAD, "a good write fails");
	race.area = arena_take(AREA_SIZE, 4096);
	race.header = arena_take(16, 16);
	race.what = what;
	race.v = v;
	race.desc = what & TABLES ? arena_take(3 * sizeof(*race.desc), 16) : v->q->desc;
	for (rounds = 0; rounds < 30; rounds++) {
		if (!device_start(v->dev, v->dev->accepted))
			return fail(FAIL_DEAD, "it does not start after a reset");
		race_chain(v);
		__atomic_store_n(&race.wanted, 1, __ATOMIC_SEQ_CST);
		for (kicks = 0; kicks < 20 && !device_needs_reset(v->dev); kicks++) {
			if (!(what & RING) && !queue_is_full(v->q))
				queue_offer(v->q, 0);
			victim_kick(v);
		}
		if (!race_stop())
			return fail(FAIL_OTHER, "the second vCPU stands still");
		found = device_needs_reset(v->dev) ? NEEDS_RESET : SERVED;
		worst = worse(worst, found);
	}
	return worst;
}

const struct step race_steps[] = {
	{22, EACH_QUEUE, "descriptors", race_on, DESCRIPTORS, 0},
	{22, EACH_QUEUE, "headers", race_on, HEADERS, 0},
	{22, EACH_QUEUE, "the available ring", race_on, RING, 0},
	{22, EACH_QUEUE, "indirect tables", race_on, TABLES, FEATURE(VIRTIO_RING_F_INDIRECT_DESC)},
	{22, EACH_QUEUE, "all of it", race_on, DESCRIPTORS | HEADERS | RING, 0},
};
const size_t nr_race_steps = ARRAY_SIZE(race_steps);
