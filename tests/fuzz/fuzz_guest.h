/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the fuzzers of devices share: a fake guest of little RAM, so that all of it can be compared
 * with a shadow, and a model of the virtqueue that knows only virtio 1.2, 2.7 and this shadow.
 *
 * The shadow is RAM as it should be. A fuzzer writes to both, has the device work, brings the
 * shadow to what the device was to do, and compares.
 */
#ifndef HUSK_TESTS_FUZZ_GUEST_H
#define HUSK_TESTS_FUZZ_GUEST_H

#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <sys/epoll.h>
#include <sys/mman.h>

#include "fake_guest.h"
#include "fuzz.h"
#include "queue.h"

struct fuzz_ram {
	gpa_t gpa;
	uint64_t size;
	uint8_t *host;
	uint8_t *shadow; /* NULL: zeroes, which nobody writes */
};

struct fuzz_guest {
	struct fake_guest *fake;
	struct fuzz_ram ram[GUEST_MEM_REGIONS_MAX];
	unsigned int nr_rams;
};

/* Cuts RAM of an initialised guest down to so many bytes (whole pages). */
static inline void fuzz_guest_init(struct fuzz_guest *guest, struct fake_guest *fake, uint64_t low,
				   uint64_t high)
{
	const uint64_t sizes[] = {low, high};
	unsigned int i;

	guest->fake = fake;
	guest->nr_rams = ARRAY_SIZE(sizes);
	for (i = 0; i < guest->nr_rams; i++) {
		struct guest_region *region = &fake->mem.regions[i];

		FUZZ_CHECK(sizes[i] < region->size);
		FUZZ_CHECK(!mprotect(region->host + sizes[i], region->size - sizes[i], PROT_NONE));
		region->size = sizes[i];
		guest->ram[i] =
			(struct fuzz_ram){region->gpa, sizes[i], region->host, calloc(1, sizes[i])};
		FUZZ_CHECK(guest->ram[i].shadow);
	}
}

/* Before fake_guest_fini, which unmaps what fake_guest_init mapped. */
static inline void fuzz_guest_fini(struct fuzz_guest *guest)
{
	guest->fake->mem.regions[0].size = FAKE_RAM_SIZE;
	guest->fake->mem.regions[1].size = FAKE_HIGH_SIZE;
	free(guest->ram[0].shadow);
	free(guest->ram[1].shadow);
}

/* All RAM zero, all of it free. */
static inline void fuzz_guest_clear(struct fuzz_guest *guest)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		memset(guest->ram[i].host, 0, guest->ram[i].size);
		memset(guest->ram[i].shadow, 0, guest->ram[i].size);
	}
	guest->fake->next_free = FAKE_RAM_BASE;
}

/* The shadow of a range of RAM, NULL if it is not all RAM with a shadow. */
static inline void *fuzz_shadow(const struct fuzz_guest *guest, gpa_t gpa, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < guest->nr_rams; i++) {
		const struct fuzz_ram *ram = &guest->ram[i];

		if (ram->shadow && gpa >= ram->gpa &&
		    (unsigned __int128)gpa + len <= ram->gpa + ram->size)
			return ram->shadow + (gpa - ram->gpa);
	}
	return NULL;
}

static inline bool fuzz_is_ram(const struct fuzz_guest *guest, gpa_t gpa, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < guest->nr_rams; i++)
		if (len && gpa >= guest->ram[i].gpa &&
		    (unsigned __int128)gpa + len <= guest->ram[i].gpa + guest->ram[i].size)
			return true;
	return false;
}

/* What the shadow holds. */
static inline void fuzz_load(const struct fuzz_guest *guest, gpa_t gpa, void *ret_data, size_t len)
{
	const void *shadow = fuzz_shadow(guest, gpa, len);

	if (shadow)
		memcpy(ret_data, shadow, len);
	else
		memset(ret_data, 0, len);
}

static inline uint16_t fuzz_load16(const struct fuzz_guest *guest, gpa_t gpa)
{
	uint16_t value;

	fuzz_load(guest, gpa, &value, sizeof(value));
	return value;
}

/* The device is to have written this. */
static inline void fuzz_expect(const struct fuzz_guest *guest, gpa_t gpa, const void *data,
			       size_t len)
{
	void *shadow = fuzz_shadow(guest, gpa, len);

	FUZZ_CHECK(shadow);
	memcpy(shadow, data, len);
}

/* The device may have written anything here. */
static inline void fuzz_allow(const struct fuzz_guest *guest, gpa_t gpa, size_t len)
{
	if (len)
		fuzz_expect(guest, gpa, fake_ptr(guest->fake, gpa, len), len);
}

/* The driver writes; where there is no RAM, nothing happens. */
static inline void fuzz_poke(const struct fuzz_guest *guest, gpa_t gpa, const void *data,
			     size_t len)
{
	if (!len || !fuzz_shadow(guest, gpa, len))
		return;
	fuzz_expect(guest, gpa, data, len);
	memcpy(fake_ptr(guest->fake, gpa, len), data, len);
}

static inline void fuzz_poke16(const struct fuzz_guest *guest, gpa_t gpa, uint16_t value)
{
	fuzz_poke(guest, gpa, &value, sizeof(value));
}

/* The shadow becomes RAM as it is: the driver wrote there past fuzz_poke. */
static inline void fuzz_guest_sync(const struct fuzz_guest *guest)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		memcpy(guest->ram[i].shadow, guest->ram[i].host, guest->ram[i].size);
}

static inline void fuzz_guest_check(const struct fuzz_guest *guest)
{
	unsigned int i;

	for (i = 0; i < 2; i++)
		FUZZ_CHECK(!memcmp(guest->ram[i].shadow, guest->ram[i].host, guest->ram[i].size));
}

/* Serves the loop's ready watches, `max` of them at the most; how many that were. */
static inline unsigned int fuzz_run(struct fake_guest *fake, unsigned int max)
{
	struct epoll_event event;
	unsigned int served = 0;

	while (served < max && epoll_wait(fake->loop.epoll_fd, &event, 1, 0) == 1) {
		struct event_watch *watch = event.data.ptr;

		pthread_mutex_lock(watch->lock);
		watch->fn(watch->ctx, event.events);
		pthread_mutex_unlock(watch->lock);
		served++;
	}
	return served;
}

/* An address: most often in RAM, often at an end of it, sometimes anything. */
static inline gpa_t fuzz_gpa(struct fuzz_input *in, const struct fuzz_guest *guest)
{
	uint8_t how = fuzz_u8(in);
	const struct fuzz_ram *ram = &guest->ram[(how >> 3) % guest->nr_rams];

	switch (how & 7) {
	case 4:
		return ram->gpa + ram->size - fuzz_u8(in);
	case 5:
		return ram->gpa - fuzz_u8(in);
	case 6:
		return fuzz_u64(in);
	case 7:
		return UINT64_MAX - fuzz_u16(in);
	default:
		return ram->gpa + fuzz_u16(in) % ram->size;
	}
}

/* A length for what begins at `gpa`: often just inside RAM, or just not. */
static inline uint32_t fuzz_len(struct fuzz_input *in, const struct fuzz_guest *guest, gpa_t gpa)
{
	uint8_t how = fuzz_u8(in);
	unsigned int i;

	switch (how & 7) {
	case 4:
		return fuzz_u16(in);
	case 5:
		for (i = 0; i < guest->nr_rams; i++)
			if (gpa - guest->ram[i].gpa < guest->ram[i].size)
				return (uint32_t)(guest->ram[i].gpa + guest->ram[i].size - gpa +
						  fuzz_u8(in) % 3 - 1);
		return 1;
	case 6:
		return fuzz_u32(in);
	case 7:
		return 0;
	default:
		return fuzz_u8(in) + 1u;
	}
}

/*
 * The model of a virtqueue.
 */

static inline bool fuzz_overlap(gpa_t a, uint64_t a_len, gpa_t b, uint64_t b_len)
{
	return a > b ? a - b < b_len : b - a < a_len;
}

static inline uint64_t fuzz_avail_len(const struct virtqueue_state *queue)
{
	return 4 + 2ull * queue->size + 2;
}

static inline uint64_t fuzz_used_len(const struct virtqueue_state *queue)
{
	return 4 + 8ull * queue->size + 2;
}

/* Whether a queue may become ready. */
static inline bool fuzz_rings_ok(const struct fuzz_guest *guest,
				 const struct virtqueue_state *queue)
{
	const uint64_t desc_len = 16ull * queue->size;
	unsigned int power;

	for (power = 1; power <= VIRTQUEUE_SIZE_MAX; power *= 2)
		if (queue->size == power)
			break;
	if (power > VIRTQUEUE_SIZE_MAX)
		return false;
	if (queue->desc & 15 || queue->avail & 1 || queue->used & 3)
		return false;
	return fuzz_is_ram(guest, queue->desc, desc_len) &&
	       fuzz_is_ram(guest, queue->avail, fuzz_avail_len(queue)) &&
	       fuzz_is_ram(guest, queue->used, fuzz_used_len(queue)) &&
	       !fuzz_overlap(queue->desc, desc_len, queue->avail, fuzz_avail_len(queue)) &&
	       !fuzz_overlap(queue->desc, desc_len, queue->used, fuzz_used_len(queue)) &&
	       !fuzz_overlap(queue->avail, fuzz_avail_len(queue), queue->used,
			     fuzz_used_len(queue));
}

struct fuzz_chain {
	unsigned int nr, nr_readable;
	uint64_t readable, writable; /* bytes */
	gpa_t table;		     /* the indirect table */
	uint32_t table_len;	     /* 0: there is none */
	struct fake_buf bufs[2 * VIRTQUEUE_SIZE_MAX];
};

/* Appends one buffer; whether it may stand there. */
static inline bool fuzz_chain_add(const struct fuzz_guest *guest, struct fuzz_chain *chain,
				  const struct vring_desc *desc)
{
	const bool writable = desc->flags & VRING_DESC_F_WRITE;

	if (!desc->len)
		return true;
	chain->bufs[chain->nr++] = (struct fake_buf){desc->addr, desc->len, writable};
	if (writable) {
		chain->writable += desc->len;
	} else {
		chain->readable += desc->len;
		if (++chain->nr_readable != chain->nr)
			return false;
	}
	return fuzz_is_ram(guest, desc->addr, desc->len) && chain->nr <= VIRTQUEUE_SIZE_MAX &&
	       chain->readable + chain->writable <= UINT32_MAX;
}

/* The chain that begins at `head`; false if the device has to refuse it. */
static inline bool fuzz_walk(const struct fuzz_guest *guest, const struct virtqueue_state *queue,
			     bool indirect, uint16_t head, struct fuzz_chain *ret_chain)
{
	struct fuzz_chain *chain = ret_chain;
	gpa_t table = queue->desc;
	unsigned int size = queue->size, steps = 0, index = head;
	struct vring_desc desc;

	chain->nr = chain->nr_readable = chain->table_len = 0;
	chain->readable = chain->writable = 0;
	for (;;) {
		if (index >= size || steps++ == size)
			return false;
		fuzz_load(guest, table + 16ull * index, &desc, sizeof(desc));
		if (desc.flags & VRING_DESC_F_INDIRECT) {
			if (!indirect || chain->table_len || (desc.flags & VRING_DESC_F_NEXT) ||
			    !desc.len || desc.len % 16 || desc.len > 16 * VIRTQUEUE_SIZE_MAX ||
			    !fuzz_is_ram(guest, desc.addr, desc.len))
				return false;
			chain->table = table = desc.addr;
			chain->table_len = desc.len;
			size = desc.len / 16;
			steps = index = 0;
			continue;
		}
		if (!fuzz_chain_add(guest, chain, &desc))
			return false;
		if (!(desc.flags & VRING_DESC_F_NEXT))
			return true;
		index = desc.next;
	}
}

#endif
