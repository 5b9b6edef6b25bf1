/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A guest without a CPU: RAM, a virtio driver's rings and registers, as plain function calls. Tests
 * drive a device with it as well-behaved or as hostile as they like; no /dev/kvm.
 *
 * RAM is two regions with a hole between them, each between PROT_NONE pages, so that an access
 * one byte past it crashes. Whatever fails in here ends the process, outside of any test
 * framework: a fuzzer can use it too.
 */
#ifndef HUSK_TESTS_FAKE_GUEST_H
#define HUSK_TESTS_FAKE_GUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "event_loop.h"
#include "guest_mem.h"
#include "virtio.h"
#include "virtio_mmio.h"

#define FAKE_RAM_BASE 0x10000ull
#define FAKE_RAM_SIZE MIB(1)
#define FAKE_HIGH_BASE GIB(4)
#define FAKE_HIGH_SIZE KIB(64)

#define FAKE_CHECK(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: %s\n", __FILE__, __LINE__, #cond); \
			abort(); \
		} \
	} while (0)

/* The driver's side of one queue. */
struct fake_queue {
	gpa_t desc, avail, used;
	uint16_t size;
	uint16_t next_desc; /* where the next chain is put in the table; wraps */
	uint16_t avail_idx; /* published so far */
	uint16_t last_used; /* collected so far */
};

struct fake_guest {
	struct guest_mem mem;
	struct event_loop loop;
	unsigned int open_fds; /* of this process, when it was made */
	gpa_t next_free;
	struct virtio_device *virtio; /* borrowed; set by fake_guest_attach */
	/* Where it shows its registers: each read is compared with what is there. */
	uint32_t page[VIRTIO_MMIO_SIZE / sizeof(uint32_t)];
	struct fake_queue queues[VIRTIO_QUEUES_MAX];
};

/* One buffer of a chain. */
struct fake_buf {
	gpa_t gpa;
	uint32_t len;
	bool writable;
};

/* fini dies if a descriptor opened since init is still open: the device leaks. */
void fake_guest_init(struct fake_guest *guest);
void fake_guest_fini(struct fake_guest *guest);

/*
 * Makes `other` a second driver in the same guest: same RAM, same loop, a device of its own. It
 * allocates from next_free on, where `guest` must have left room; no fini.
 */
void fake_guest_share(struct fake_guest *other, const struct fake_guest *guest, gpa_t next_free);

/* Fresh zeroed RAM of the low region. There is 1 MiB of it and no way to give it back. */
gpa_t fake_alloc(struct fake_guest *guest, uint64_t size, uint64_t align);
/* The host address of guest RAM that must be there. */
void *fake_ptr(struct fake_guest *guest, gpa_t gpa, uint64_t len);

/*
 * Registers, through the device's vtable and lock as the bus does it. fake_mmio_* take any
 * width and offset.
 */
void fake_guest_attach(struct fake_guest *guest, struct virtio_device *virtio);
uint32_t fake_reg_read(struct fake_guest *guest, uint64_t reg);
void fake_reg_write(struct fake_guest *guest, uint64_t reg, uint32_t value);
uint64_t fake_mmio_read(struct fake_guest *guest, uint64_t offset, unsigned int len);
void fake_mmio_write(struct fake_guest *guest, uint64_t offset, uint64_t value, unsigned int len);

/*
 * Negotiation in three steps or as one. fake_negotiate: reset, ACKNOWLEDGE, DRIVER, features,
 * FEATURES_OK; returns the status then read. fake_queue_setup allocates rings of `size` and
 * makes the queue ready. fake_guest_start does it all for every queue, then DRIVER_OK, runs the
 * loop and dies unless the device runs.
 */
uint32_t fake_negotiate(struct fake_guest *guest, uint64_t features);
uint64_t fake_offered_features(struct fake_guest *guest);
void fake_queue_alloc(struct fake_guest *guest, struct fake_queue *queue, uint16_t size);
void fake_queue_program(struct fake_guest *guest, unsigned int index);
void fake_queue_setup(struct fake_guest *guest, unsigned int index, uint16_t size);
void fake_guest_start(struct fake_guest *guest, uint64_t features, uint16_t queue_size);

/*
 * Rings. fake_desc writes one descriptor, unchecked. fake_chain writes a chain of `nr`
 * buffers at next_desc and returns its head; with `indirect` as a table of its own, behind one
 * descriptor. fake_publish makes `head` available. fake_add is fake_chain and
 * fake_publish. fake_collect takes the next used element and asks for an interrupt for the one
 * after it; false if there is none.
 */
void fake_desc(struct fake_guest *guest, struct fake_queue *queue, unsigned int index, gpa_t addr,
	       uint32_t len, uint16_t flags, uint16_t next);
uint16_t fake_chain(struct fake_guest *guest, struct fake_queue *queue, const struct fake_buf *bufs,
		    unsigned int nr, bool indirect);
void fake_publish(struct fake_guest *guest, struct fake_queue *queue, uint16_t head);
uint16_t fake_add(struct fake_guest *guest, struct fake_queue *queue, const struct fake_buf *bufs,
		  unsigned int nr);
bool fake_collect(struct fake_guest *guest, struct fake_queue *queue, uint16_t *ret_head,
		  uint32_t *ret_len);

/* Direct access to ring words, for hostile and for event-index tests. */
uint16_t *fake_avail_flags(struct fake_guest *guest, const struct fake_queue *queue);
uint16_t *fake_avail_idx(struct fake_guest *guest, const struct fake_queue *queue);
uint16_t *fake_used_event(struct fake_guest *guest, const struct fake_queue *queue);
uint16_t *fake_used_flags(struct fake_guest *guest, const struct fake_queue *queue);
uint16_t *fake_used_idx(struct fake_guest *guest, const struct fake_queue *queue);
uint16_t *fake_avail_event(struct fake_guest *guest, const struct fake_queue *queue);

/* Kicks as an ioeventfd does it. */
void fake_kick(struct fake_guest *guest, unsigned int index);
/* Serves ready watches of the loop on this thread until none is ready; the number served. */
unsigned int fake_run(struct fake_guest *guest);
/* The same, once there is one to serve; dies if there is none for ten seconds. */
void fake_wait(struct fake_guest *guest);
/* Interrupts since the last call. */
uint64_t fake_irqs(struct fake_guest *guest);

#endif
