/* SPDX-License-Identifier: Apache-2.0 */
/* Class 20: tables of descriptors. virtio 1.2, 2.7.5.3 */
#include "kit.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define INDIRECT VRING_DESC_F_INDIRECT
#define HAS_INDIRECT FEATURE(VIRTIO_RING_F_INDIRECT_DESC)

/* Instead of an address. */
enum { STARTS_PAST_RAM, ENDS_PAST_RAM };

/* A good chain in a table, of which descriptor 5 tells. */
static struct vring_desc *indirect_chain(struct victim *v)
{
	struct vring_desc *table = arena_take(QUEUE_SIZE * sizeof(*table), 16);

	victim_chain(v);
	memset(table, 0, QUEUE_SIZE * sizeof(*table));
	memcpy(table, v->q->desc, 3 * sizeof(*table));
	desc_set(v->q, 5, table, (v->last + 1) * (uint32_t)sizeof(*table), INDIRECT, 0);
	return table;
}

/* virtio 1.2, 2.7.5.3.2: the write flag of the descriptor that tells of a table is ignored. */
static enum outcome indirect_good(struct victim *v, uint64_t flags)
{
	enum outcome found;

	indirect_chain(v);
	v->q->desc[5].flags |= (uint16_t)flags;
	found = victim_submit(v, 5);
	return found == SERVED ? SERVED : fail(FAIL_RULE, "a good indirect table is not served");
}

static enum outcome indirect_length(struct victim *v, uint64_t len)
{
	indirect_chain(v);
	v->q->desc[5].len = (uint32_t)len;
	return victim_submit(v, 5);
}

static enum outcome indirect_address(struct victim *v, uint64_t addr)
{
	indirect_chain(v);
	v->q->desc[5].addr = addr == STARTS_PAST_RAM ? ram_end
			     : addr == ENDS_PAST_RAM ? ram_end - 16
						     : addr;
	return victim_submit(v, 5);
}

static enum outcome indirect_nested(struct victim *v, uint64_t index)
{
	struct vring_desc *table = indirect_chain(v);

	table[index].addr = (uintptr_t)table;
	table[index].len = 3 * sizeof(*table);
	table[index].flags = INDIRECT;
	return victim_submit(v, 5);
}

static enum outcome indirect_with_next(struct victim *v, uint64_t next)
{
	indirect_chain(v);
	v->q->desc[5].flags |= NEXT;
	v->q->desc[5].next = (uint16_t)next;
	return victim_submit(v, 5);
}

static enum outcome indirect_inner_next(struct victim *v, uint64_t next)
{
	struct vring_desc *table = indirect_chain(v);

	table[v->last].flags |= NEXT;
	table[v->last].next = (uint16_t)next;
	return victim_submit(v, 5);
}

/* Right behind the table lies a good end of the chain. */
static enum outcome indirect_trap(struct victim *v, uint64_t arg)
{
	struct vring_desc *table = indirect_chain(v);

	(void)arg;
	table[v->last + 1] = table[v->last];
	table[v->last].flags |= NEXT;
	table[v->last].next = (uint16_t)(v->last + 1);
	return victim_trap(v, 5);
}

static enum outcome indirect_over_ring(struct victim *v, uint64_t arg)
{
	(void)arg;
	indirect_chain(v);
	v->q->desc[5].addr = (uintptr_t)v->q->desc;
	v->q->desc[5].len = QUEUE_SIZE * sizeof(struct vring_desc);
	v->q->desc[v->last].flags |= NEXT;
	v->q->desc[v->last].next = 5;
	return victim_submit(v, 5);
}

/* A table of many descriptors, all of which are used, of one byte each. */
static enum outcome indirect_long(struct victim *v, uint64_t count)
{
	struct vring_desc *table = arena_take(count * sizeof(*table), 16), desc;
	uint64_t i;

	victim_chain(v);
	desc = v->q->desc[v->last];
	for (i = 0; i < count; i++) {
		table[i] = desc;
		table[i].len = 1;
		table[i].flags |= i + 1 < count ? NEXT : 0;
		table[i].next = (uint16_t)(i + 1);
	}
	memcpy(table, v->q->desc, v->last * sizeof(*table));
	desc_set(v->q, 5, table, (uint32_t)(count * sizeof(*table)), INDIRECT, 0);
	return victim_may_drop(v, victim_submit(v, 5));
}

const struct step indirect_steps[] = {
	{20, EACH_QUEUE, "good", indirect_good, 0, HAS_INDIRECT},
	{20, EACH_QUEUE, "with the write flag", indirect_good, WRITE, HAS_INDIRECT},
	{20, EACH_QUEUE, "of length 0", indirect_length, 0, HAS_INDIRECT},
	{20, EACH_QUEUE, "of length 15", indirect_length, 15, HAS_INDIRECT},
	{20, EACH_QUEUE, "of length 40", indirect_length, 40, HAS_INDIRECT},
	{20, EACH_QUEUE, "of length 2^32 - 16", indirect_length, UINT32_MAX - 15, HAS_INDIRECT},
	{20, EACH_QUEUE, "of length 2^20 + 32", indirect_length, (1 << 20) + 32, HAS_INDIRECT},
	{20, EACH_QUEUE, "behind the end of RAM", indirect_address, STARTS_PAST_RAM, HAS_INDIRECT},
	{20, EACH_QUEUE, "across the end of RAM", indirect_address, ENDS_PAST_RAM, HAS_INDIRECT},
	{20, EACH_QUEUE, "that wraps at 2^64", indirect_address, UINT64_MAX - 15, HAS_INDIRECT},
	{20, EACH_QUEUE, "nested, first", indirect_nested, 0, HAS_INDIRECT},
	{20, EACH_QUEUE, "nested, second", indirect_nested, 1, HAS_INDIRECT},
	{20, EACH_QUEUE, "with a next one", indirect_with_next, 0, HAS_INDIRECT},
	{20, EACH_QUEUE, "with itself as the next one", indirect_with_next, 5, HAS_INDIRECT},
	{20, EACH_QUEUE, "whose next leaves the table", indirect_trap, 0, HAS_INDIRECT},
	{20, EACH_QUEUE, "whose next is 2^16 - 1", indirect_inner_next, 0xffff, HAS_INDIRECT},
	{20, EACH_QUEUE, "in a circle", indirect_inner_next, 0, HAS_INDIRECT},
	{20, EACH_QUEUE, "over the ring itself", indirect_over_ring, 0, HAS_INDIRECT},
	{20, EACH_QUEUE, "of 17 descriptors in a queue of 16", indirect_long, 17, HAS_INDIRECT},
	{20, EACH_QUEUE, "of 1500 descriptors", indirect_long, 1500, HAS_INDIRECT},
};
const size_t nr_indirect_steps = ARRAY_SIZE(indirect_steps);
