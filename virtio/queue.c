/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory. Three rings lie in guest RAM: the descriptor table and the available ring, which the
 * driver writes, and the used ring, which the device writes. Both index words only ever grow,
 * modulo 2^16; a ring place is the index modulo the queue size, a power of two.
 *
 *	driver:  fill descriptors, ring[idx % size] = head,  idx++ (release)   avail
 *	device:  idx (acquire), head, descriptors ... ring[idx % size], idx++ (release)   used
 *
 * Acquire and release order the data behind an index. They do not order a store before a later
 * load of another word, which both suppression protocols need (publish, then look whether the
 * other side sleeps; or say "wake me", then look whether there is work already), so there stands a
 * full fence (__sync_synchronize, as gcc does not take __atomic_thread_fence with its thread
 * sanitizer). Without it each side may miss the other's store and both sleep.
 *
 * All of it is hostile input. queue_load_desc and the atomic loads are the only reads of
 * rings, and each value is read once. What the rest of the code relies on:
 *  - ring pointers cover whole rings, so an index modulo size needs no further check;
 *  - a descriptor index is below the size of its table, which was checked as a whole;
 *  - a table of n descriptors gives at most n of them to a chain, which ends every loop;
 *  - an iovec lies in one RAM region, is not empty, and all of them together are under 4 GiB.
 * Rings may lie over buffers or over another queue's rings, and a head may come twice: the
 * guest then spoils its own data, and nothing here relies on it not doing so.
 *
 * Words are little endian (virtio 1.2, 1.4), as is every machine husk runs on.
 */
#include "queue.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <string.h>

#include "util.h"

_Static_assert(__BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__, "virtio structures are little endian");

struct ring_range {
	gpa_t gpa;
	uint64_t len;
};

static bool ranges_overlap(const struct ring_range *a, const struct ring_range *b)
{
	return a->gpa < b->gpa + b->len && b->gpa < a->gpa + a->len;
}

int virtqueue_enable(struct virtqueue *queue, const struct guest_mem *mem, uint64_t features)
{
	struct virtqueue_state *state = &queue->state;
	uint64_t size = state->size;
	/* virtio 1.2, 2.7: the event words at the end count also where they are not used. */
	const struct ring_range desc = {state->desc, sizeof(struct vring_desc) * size};
	const struct ring_range avail = {state->avail, 6 + sizeof(__virtio16) * size};
	const struct ring_range used = {state->used, 6 + sizeof(struct vring_used_elem) * size};
	void *desc_ring, *avail_ring, *used_ring;

	if (!size || size > VIRTQUEUE_SIZE_MAX || (size & (size - 1)))
		return -EINVAL;
	if (desc.gpa % VRING_DESC_ALIGN_SIZE || avail.gpa % VRING_AVAIL_ALIGN_SIZE ||
	    used.gpa % VRING_USED_ALIGN_SIZE)
		return -EINVAL;
	desc_ring = guest_mem_ptr(mem, desc.gpa, desc.len);
	avail_ring = guest_mem_ptr(mem, avail.gpa, avail.len);
	used_ring = guest_mem_ptr(mem, used.gpa, used.len);
	if (!desc_ring || !avail_ring || !used_ring)
		return -EFAULT;
	/* All are in RAM, so none of the sums in here wraps. */
	if (ranges_overlap(&desc, &avail) || ranges_overlap(&desc, &used) ||
	    ranges_overlap(&avail, &used))
		return -EINVAL;

	queue->mem = mem;
	queue->desc_ring = desc_ring;
	queue->avail_ring = avail_ring;
	queue->used_ring = used_ring;
	queue->event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	queue->indirect = features >> VIRTIO_RING_F_INDIRECT_DESC & 1;
	state->ready = true;
	state->broken = false;
	return 0;
}

void virtqueue_reset(struct virtqueue *queue)
{
	*queue = (struct virtqueue){0};
}

static bool queue_usable(const struct virtqueue *queue)
{
	return queue->state.ready && !queue->state.broken;
}

/* The one read of a descriptor. An indirect table need not be aligned, hence void. */
static struct vring_desc queue_load_desc(const void *table, unsigned int index)
{
	struct vring_desc desc;

	memcpy(&desc, (const char *)table + sizeof(desc) * index, sizeof(desc));
	/* Guest RAM may be different from here on: what follows can only use the copy. */
	__asm__ volatile("" ::: "memory");
	return desc;
}

static int chain_add(struct virtq_chain *chain, const struct guest_mem *mem,
		     const struct vring_desc *desc)
{
	unsigned int nr = chain->nr_readable + chain->nr_writable;
	bool writable = desc->flags & VRING_DESC_F_WRITE;
	void *host;

	if (!desc->len)
		return 0;
	/* virtio 1.2, 2.7.4.2: the readable part comes first. */
	if (!writable && chain->nr_writable)
		return -EPROTO;
	/*
	 * virtio 1.2, 2.7.5.2: no more than 2^32 bytes in all. One less, as a used length has
	 * only 32 bits.
	 */
	if (chain->readable_bytes + chain->writable_bytes + desc->len > UINT32_MAX)
		return -EPROTO;
	if (nr == ARRAY_SIZE(chain->iov))
		return -EPROTO;
	host = guest_mem_ptr(mem, desc->addr, desc->len);
	if (!host)
		return -EPROTO;
	chain->iov[nr] = (struct iovec){host, desc->len};
	if (writable) {
		chain->nr_writable++;
		chain->writable_bytes += desc->len;
	} else {
		chain->nr_readable++;
		chain->readable_bytes += desc->len;
	}
	return 0;
}

/*
 * The table behind an indirect descriptor, or NULL. virtio 1.2, 2.7.5.3. The size of a table
 * may exceed that of the queue, which no known driver minds.
 */
static const void *queue_indirect_table(const struct virtqueue *queue,
					const struct vring_desc *desc, unsigned int *ret_size)
{
	uint32_t size = desc->len / sizeof(struct vring_desc);

	if (!queue->indirect || (desc->flags & VRING_DESC_F_NEXT))
		return NULL;
	if (desc->len % sizeof(struct vring_desc) || !size || size > VIRTQUEUE_SIZE_MAX)
		return NULL;
	*ret_size = size;
	return guest_mem_ptr(queue->mem, desc->addr, desc->len);
}

static int queue_walk(const struct virtqueue *queue, uint16_t head, struct virtq_chain *chain)
{
	const void *table = queue->desc_ring;
	unsigned int size = queue->state.size; /* of the table */
	unsigned int left = size;	       /* a longer chain is a loop */
	uint16_t index = head;
	bool in_indirect = false;

	for (;;) {
		struct vring_desc desc;
		int err;

		if (index >= size || !left--)
			return -EPROTO;
		desc = queue_load_desc(table, index);
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (in_indirect)
				return -EPROTO;
			table = queue_indirect_table(queue, &desc, &size);
			if (!table)
				return -EPROTO;
			in_indirect = true;
			left = size;
			index = 0;
			continue;
		}
		err = chain_add(chain, queue->mem, &desc);
		if (err)
			return err;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return 0;
		index = desc.next;
	}
}

static uint16_t queue_avail_idx(const struct virtqueue *queue)
{
	return __atomic_load_n(&queue->avail_ring->idx, __ATOMIC_ACQUIRE);
}

int virtqueue_pop(struct virtqueue *queue, struct virtq_chain *ret_chain)
{
	struct virtqueue_state *state = &queue->state;
	uint16_t pending, head;
	int err;

	if (!queue_usable(queue))
		return 0;
	pending = (uint16_t)(queue_avail_idx(queue) - state->next_avail);
	if (!pending)
		return 0;
	if (pending > state->size) {
		state->broken = true;
		return -EPROTO;
	}
	head = __atomic_load_n(&queue->avail_ring->ring[state->next_avail % state->size],
			       __ATOMIC_RELAXED);
	/* All but the iovecs, which are 4 KiB. */
	ret_chain->head = head;
	ret_chain->nr_readable = ret_chain->nr_writable = 0;
	ret_chain->readable_bytes = ret_chain->writable_bytes = 0;
	err = queue_walk(queue, head, ret_chain);
	if (err) {
		state->broken = true;
		return err;
	}
	state->next_avail++;
	return 1;
}

void virtqueue_unpop(struct virtqueue *queue, unsigned int count)
{
	queue->state.next_avail -= (uint16_t)count;
}

void virtqueue_put(struct virtqueue *queue, unsigned int ahead, uint16_t head, uint32_t written)
{
	const struct virtqueue_state *state = &queue->state;
	struct vring_used_elem *elem;

	if (!queue_usable(queue))
		return;
	elem = &queue->used_ring->ring[(state->next_used + ahead) % state->size];
	__atomic_store_n(&elem->id, head, __ATOMIC_RELAXED);
	__atomic_store_n(&elem->len, written, __ATOMIC_RELAXED);
}

void virtqueue_publish(struct virtqueue *queue, unsigned int count)
{
	struct virtqueue_state *state = &queue->state;

	if (!queue_usable(queue))
		return;
	state->next_used += (uint16_t)count;
	__atomic_store_n(&queue->used_ring->idx, state->next_used, __ATOMIC_RELEASE);
}

void virtqueue_push(struct virtqueue *queue, uint16_t head, uint32_t written)
{
	virtqueue_put(queue, 0, head, written);
	virtqueue_publish(queue, 1);
}

bool virtqueue_must_interrupt(struct virtqueue *queue)
{
	struct virtqueue_state *state = &queue->state;
	uint16_t old = state->signalled, new = state->next_used, event, flags;

	if (!queue_usable(queue) || old == new)
		return false;
	state->signalled = new;
	/* The used index is out before the driver's wish is read. */
	__sync_synchronize();
	if (queue->event_idx) {
		/* used_event lies behind the ring. */
		event = __atomic_load_n(&queue->avail_ring->ring[state->size], __ATOMIC_RELAXED);
		return vring_need_event(event, new, old);
	}
	flags = __atomic_load_n(&queue->avail_ring->flags, __ATOMIC_RELAXED);
	return !(flags & VRING_AVAIL_F_NO_INTERRUPT);
}

static __virtio16 *queue_avail_event(const struct virtqueue *queue)
{
	/* avail_event lies behind the ring, where the id of one more element would begin. */
	return (__virtio16 *)&queue->used_ring->ring[queue->state.size];
}

bool virtqueue_want_kicks(struct virtqueue *queue, bool want)
{
	const struct virtqueue_state *state = &queue->state;

	if (!queue_usable(queue))
		return false;
	if (!queue->event_idx)
		__atomic_store_n(&queue->used_ring->flags, want ? 0 : VRING_USED_F_NO_NOTIFY,
				 __ATOMIC_RELAXED);
	else if (want)
		__atomic_store_n(queue_avail_event(queue), state->next_avail, __ATOMIC_RELAXED);
	/* else avail_event stays behind, where the driver's index does not cross it. */
	if (!want)
		return false;
	/* The wish is out before we look whether it came too late. */
	__sync_synchronize();
	return queue_avail_idx(queue) != state->next_avail;
}

/*
 * Copies between `data` and [offset, offset + len) of the iovecs; `to_data` is the direction.
 */
static uint64_t iov_copy(const struct iovec *iov, unsigned int nr, uint64_t offset, char *to_data,
			 const char *from_data, uint64_t len)
{
	uint64_t done = 0;

	for (; nr && done < len; iov++, nr--) {
		uint64_t part;

		if (offset >= iov->iov_len) {
			offset -= iov->iov_len;
			continue;
		}
		part = MIN(iov->iov_len - offset, len - done);
		if (to_data)
			memcpy(to_data + done, (char *)iov->iov_base + offset, part);
		else
			memcpy((char *)iov->iov_base + offset, from_data + done, part);
		done += part;
		offset = 0;
	}
	return done;
}

uint64_t iov_to_buf(const struct iovec *iov, unsigned int nr, uint64_t offset, void *ret_data,
		    uint64_t len)
{
	uint64_t done = iov_copy(iov, nr, offset, ret_data, NULL, len);

	/* As in queue_load_desc: from here on only the copy counts. */
	__asm__ volatile("" ::: "memory");
	return done;
}

uint64_t iov_from_buf(const struct iovec *iov, unsigned int nr, uint64_t offset, const void *data,
		      uint64_t len)
{
	return iov_copy(iov, nr, offset, NULL, data, len);
}

unsigned int iov_slice(const struct iovec *iov, unsigned int nr, uint64_t offset, uint64_t len,
		       struct iovec *ret_iov)
{
	unsigned int used = 0;

	/* In place is fine: a place is read before it or one before it is written. */
	for (; nr && len; iov++, nr--) {
		char *base = iov->iov_base;
		uint64_t part;

		if (offset >= iov->iov_len) {
			offset -= iov->iov_len;
			continue;
		}
		part = MIN(iov->iov_len - offset, len);
		ret_iov[used++] = (struct iovec){base + offset, part};
		len -= part;
		offset = 0;
	}
	return used;
}
