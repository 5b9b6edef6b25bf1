/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the tests of hostile guests: a copy of guest RAM, to see that a device changed what it was
 * told to and nothing else. Accesses outside of RAM crash by themselves (fake_guest.h).
 */
#ifndef HUSK_TESTS_HOSTILE_RAM_H
#define HUSK_TESTS_HOSTILE_RAM_H

#include <string.h>

#include <linux/virtio_ring.h>

#include "fake_guest.h"

/* The first and the last byte a guest has: buffers there show an access that is one off. */
#define HOSTILE_LOW_END (FAKE_RAM_BASE + FAKE_RAM_SIZE)
#define HOSTILE_HIGH_END (FAKE_HIGH_BASE + FAKE_HIGH_SIZE)

struct hostile_ram {
	uint8_t low[FAKE_RAM_SIZE];
	uint8_t high[FAKE_HIGH_SIZE];
};

static inline uint8_t *hostile_ptr(const struct fake_guest *guest, gpa_t gpa, uint64_t len)
{
	void *host = guest_mem_ptr(&guest->mem, gpa, len);

	FAKE_CHECK(host);
	return host;
}

static inline void hostile_ram_keep(struct hostile_ram *ram, const struct fake_guest *guest)
{
	memcpy(ram->low, hostile_ptr(guest, FAKE_RAM_BASE, FAKE_RAM_SIZE), FAKE_RAM_SIZE);
	memcpy(ram->high, hostile_ptr(guest, FAKE_HIGH_BASE, FAKE_HIGH_SIZE), FAKE_HIGH_SIZE);
}

/* What is there now may be there. */
static inline void hostile_ram_allow(struct hostile_ram *ram, const struct fake_guest *guest,
				     gpa_t gpa, uint64_t len)
{
	const bool high = gpa >= FAKE_HIGH_BASE;
	const uint64_t offset = gpa - (high ? FAKE_HIGH_BASE : FAKE_RAM_BASE);
	const uint64_t size = high ? FAKE_HIGH_SIZE : FAKE_RAM_SIZE;

	if (!len)
		return;
	FAKE_CHECK(offset < size && len <= size - offset);
	memcpy((high ? ram->high : ram->low) + offset, hostile_ptr(guest, gpa, len), len);
}

static inline void hostile_ram_allow_used(struct hostile_ram *ram, const struct fake_guest *guest,
					  const struct fake_queue *queue)
{
	hostile_ram_allow(ram, guest, queue->used,
			  6 + sizeof(struct vring_used_elem) * queue->size);
}

/* True if nothing changed since it was kept, but for what is allowed. */
static inline bool hostile_ram_same(const struct hostile_ram *ram, const struct fake_guest *guest)
{
	return !memcmp(ram->low, hostile_ptr(guest, FAKE_RAM_BASE, FAKE_RAM_SIZE), FAKE_RAM_SIZE) &&
	       !memcmp(ram->high, hostile_ptr(guest, FAKE_HIGH_BASE, FAKE_HIGH_SIZE),
		       FAKE_HIGH_SIZE);
}

#endif
