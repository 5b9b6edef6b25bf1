/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of hostile drivers share: a device under attack (disk or network), a bystander,
 * and the same judgement on every attack. A test runs once for each target.
 *
 * Rings and buffers end where RAM ends, in turn, so that one byte too many crashes. All of RAM is
 * compared with a copy: the device may write what a driver posted and its used rings, nothing
 * else.
 */
#ifndef HUSK_TESTS_HOSTILE_H
#define HUSK_TESTS_HOSTILE_H

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "blk.h"
#include "fake_bystander.h"
#include "fake_net.h"
#include "virtio_mmio.h"

#define SECTOR 512u
#define SECTORS 64u
#define QUEUE_SIZE 16
#define RUNNING 15u /* the status of a device that works */
#define NEVER 0xee  /* in the status byte until the device writes it */
#define RX_FRAME 200u
#define TX_FRAME 60u
#define NET_HEADER sizeof(struct virtio_net_hdr_v1)

#define RAM_END (FAKE_RAM_BASE + FAKE_RAM_SIZE)
#define HIGH_END (FAKE_HIGH_BASE + FAKE_HIGH_SIZE)
/* A region for the buffers alone. */
#define BUFFERS_BASE GIB(8)
#define BUFFERS_SIZE KIB(4)
#define BUFFERS_END (BUFFERS_BASE + BUFFERS_SIZE)

#define EVENT_IDX (1ull << VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)

/* Callbacks that one kick may cost where there is next to nothing to do. */
#define CALLBACKS_MAX 4

enum target { ON_BLK, ON_RX, ON_TX };

struct hostile {
	enum target target;
	struct fake_net net; /* of a disk, only its guest is used */
	struct fake_guest *guest;
	struct blk *blk;
	int fd; /* the disk's content */
	struct fake_bystander bystander;
	gpa_t header, data, status;
	const char *what;    /* the variant, for messages */
	unsigned int nr;     /* its number */
	unsigned int placed; /* how often rings were placed */

	/* The request in hand. */
	bool write; /* on a disk */
	uint8_t seed;
	uint16_t head;

	uint8_t *copy[GUEST_MEM_REGIONS_MAX]; /* of each region */
	unsigned int nr_allowed;
	struct {
		gpa_t gpa;
		uint64_t len;
	} allowed[12];
};

#define CHECK(h, cond) \
	do { \
		if (!(cond)) \
			fail_msg("target %d, variant %u (%s): %s", (int)(h)->target, (h)->nr, \
				 (h)->what ? (h)->what : "", #cond); \
	} while (0)

static inline struct fake_queue *hostile_queue(struct hostile *h)
{
	return &h->guest->queues[h->target == ON_TX];
}

static inline struct virtqueue *hostile_virtqueue(struct hostile *h)
{
	return &h->guest->virtio->queues[h->target == ON_TX];
}

static inline uint32_t hostile_status(struct hostile *h)
{
	return fake_reg_read(h->guest, VIRTIO_MMIO_STATUS);
}

/*
 * RAM
 */

/* A region between two pages that nobody may touch, above those that are there. */
static inline void hostile_ram_add(struct hostile *h, gpa_t gpa, uint64_t size)
{
	char *host = mmap(NULL, size + 2 * GUEST_PAGE_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	FAKE_CHECK(host != MAP_FAILED);
	host += GUEST_PAGE_SIZE;
	FAKE_CHECK(!mprotect(host, size, PROT_READ | PROT_WRITE));
	FAKE_CHECK(!guest_mem_add(&h->guest->mem, gpa, size, host));
}

/* Words, so that no sanitizer looks at each: that takes a hundred times as long. */
__attribute__((no_sanitize("thread", "address"))) static inline bool hostile_words(
	volatile uint64_t *copy, const volatile uint64_t *ram, uint64_t size, bool save)
{
	uint64_t i;

	for (i = 0; i < size / sizeof(*copy); i++) {
		if (save)
			copy[i] = ram[i];
		else if (copy[i] != ram[i])
			return false;
	}
	return true;
}

static inline bool hostile_region(struct hostile *h, unsigned int i, bool save)
{
	const struct guest_region *region = &h->guest->mem.regions[i];

	return hostile_words((void *)h->copy[i], (void *)region->host, region->size, save);
}

static inline void hostile_allow(struct hostile *h, gpa_t gpa, uint64_t len)
{
	FAKE_CHECK(h->nr_allowed < ARRAY_SIZE(h->allowed));
	h->allowed[h->nr_allowed].gpa = gpa;
	h->allowed[h->nr_allowed++].len = len;
}

/* Begins a comparison. Only the two words of used rings that steer kicks may be written. */
static inline void hostile_ram_save(struct hostile *h)
{
	unsigned int i;

	h->nr_allowed = 0;
	for (i = 0; i < 3; i++)
		hostile_region(h, i, true);
	for (i = 0; i < h->guest->virtio->nr_queues; i++) {
		const struct fake_queue *queue = &h->guest->queues[i];

		if (!queue->size)
			continue;
		hostile_allow(h, queue->used, 2);
		hostile_allow(h, queue->used + 4 + sizeof(struct vring_used_elem) * queue->size, 2);
	}
}

static inline void hostile_allow_used(struct hostile *h)
{
	const struct fake_queue *queue = hostile_queue(h);

	hostile_allow(h, queue->used, 6 + sizeof(struct vring_used_elem) * queue->size);
}

/* The buffers of the request in hand that the device may write. */
static inline void hostile_allow_request(struct hostile *h)
{
	hostile_allow_used(h);
	if (h->target == ON_TX)
		return;
	hostile_allow(h, h->data, SECTOR);
	if (h->target == ON_BLK)
		hostile_allow(h, h->status, 1);
}

static inline void hostile_ram_check(struct hostile *h)
{
	unsigned int i, j;

	for (i = 0; i < 3; i++) {
		const struct guest_region *region = &h->guest->mem.regions[i];

		for (j = 0; j < h->nr_allowed; j++) {
			const uint64_t offset = h->allowed[j].gpa - region->gpa;

			if (offset < region->size)
				memcpy(h->copy[i] + offset, region->host + offset,
				       h->allowed[j].len);
		}
		CHECK(h, hostile_region(h, i, false));
	}
}

/*
 * Set-up
 */

static inline void hostile_disk_init(struct hostile *h)
{
	struct blk_file file = {
		.can_discard = true, .size = SECTORS * SECTOR, .block_size = SECTOR};

	fake_guest_init(h->guest);
	h->fd = memfd_create("disk", MFD_CLOEXEC);
	FAKE_CHECK(h->fd >= 0 && !ftruncate(h->fd, SECTORS * SECTOR));
	file.fd = dup(h->fd);
	FAKE_CHECK(!blk_create(&file, "disk", &h->guest->mem, &h->guest->loop, &h->blk));
	virtio_mmio_init(blk_virtio(h->blk), NULL);
	fake_guest_attach(h->guest, blk_virtio(h->blk));
}

static inline int hostile_setup(void **state)
{
	struct hostile *h = calloc(1, sizeof(*h));
	unsigned int i;

	h->target = (enum target)(uintptr_t)*state;
	h->guest = &h->net.guest;
	h->fd = -1;
	if (h->target == ON_BLK)
		hostile_disk_init(h);
	else
		fake_net_init(&h->net);
	/* After blk_create or net_create: the map is not copied, and nothing runs yet. */
	hostile_ram_add(h, BUFFERS_BASE, BUFFERS_SIZE);
	h->status = BUFFERS_BASE;
	h->data = BUFFERS_END - SECTOR;
	h->header = h->data - sizeof(struct virtio_blk_outhdr);
	for (i = 0; i < 3; i++)
		h->copy[i] = malloc(h->guest->mem.regions[i].size);
	fake_bystander_init(&h->bystander, h->guest);
	log_set_level(LOG_ERROR);
	*state = h;
	return 0;
}

static inline int hostile_teardown(void **state)
{
	struct hostile *h = *state;
	unsigned int i;

	fake_bystander_fini(&h->bystander);
	if (h->target == ON_BLK) {
		blk_destroy(h->blk);
		close(h->fd);
		fake_guest_fini(h->guest);
	} else {
		fake_net_fini(&h->net);
	}
	for (i = 0; i < 3; i++)
		free(h->copy[i]);
	free(h);
	return 0;
}

/* Places zeroed rings; each time another one ends where a region ends. */
static inline void hostile_place(struct hostile *h, uint16_t size)
{
	static const uint64_t align[3] = {VRING_DESC_ALIGN_SIZE, VRING_AVAIL_ALIGN_SIZE,
					  VRING_USED_ALIGN_SIZE};
	const uint64_t len[3] = {sizeof(struct vring_desc) * size, 6 + 2ull * size,
				 6 + 8ull * size};
	gpa_t ends[3] = {RAM_END, HIGH_END, RAM_END - KIB(32)};
	unsigned int i, ring;

	h->placed++;
	for (i = 0; i < h->guest->virtio->nr_queues; i++) {
		gpa_t gpa[3];

		for (ring = 0; ring < 3; ring++) {
			gpa_t *end = &ends[(ring + h->placed) % 3];

			gpa[ring] = *end = (*end - len[ring]) & ~(align[ring] - 1);
			memset(fake_ptr(h->guest, gpa[ring], len[ring]), 0, len[ring]);
		}
		h->guest->queues[i] = (struct fake_queue){
			.size = size, .desc = gpa[0], .avail = gpa[1], .used = gpa[2]};
	}
}

/* From reset to FEATURES_OK. */
static inline void hostile_negotiate(struct hostile *h, uint64_t without, uint16_t size)
{
	const uint64_t features = fake_offered_features(h->guest) & ~without;

	CHECK(h, fake_negotiate(h->guest, features) == (RUNNING & ~VIRTIO_CONFIG_S_DRIVER_OK));
	hostile_place(h, size);
}

static inline void hostile_start(struct hostile *h, uint64_t without, uint16_t size)
{
	unsigned int i;

	hostile_negotiate(h, without, size);
	for (i = 0; i < h->guest->virtio->nr_queues; i++)
		fake_queue_program(h->guest, i);
	fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, RUNNING);
	CHECK(h, hostile_status(h) == RUNNING);
	fake_run(h->guest);
	fake_irqs(h->guest);
}

/*
 * Requests
 */

/* The request that every attack is a variation of: three descriptors. */
static inline void hostile_bufs(const struct hostile *h, struct fake_buf bufs[3])
{
	const bool writable = h->target == ON_RX;

	if (h->target == ON_BLK) {
		bufs[0] = (struct fake_buf){h->header, sizeof(struct virtio_blk_outhdr), false};
		bufs[1] = (struct fake_buf){h->data, SECTOR, !h->write};
		bufs[2] = (struct fake_buf){h->status, 1, true};
		return;
	}
	bufs[0] = (struct fake_buf){h->data, NET_HEADER, writable};
	bufs[1] = (struct fake_buf){h->data + NET_HEADER, TX_FRAME / 2, writable};
	bufs[2] = (struct fake_buf){h->data + NET_HEADER + TX_FRAME / 2, TX_FRAME / 2, writable};
	/* To the end of RAM. */
	if (writable)
		bufs[2].len = (uint32_t)(BUFFERS_END - bufs[2].gpa);
}

/* What the request moves, at its source; other data at its target. */
static inline void hostile_prepare(struct hostile *h)
{
	static const struct virtio_net_hdr_v1 plain;
	struct virtio_blk_outhdr header = {.type = h->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN};
	uint8_t *data = fake_ptr(h->guest, h->data, SECTOR), sector[SECTOR];

	h->seed += 37;
	header.sector = h->seed % SECTORS;
	memset(data, 0, SECTOR);
	switch (h->target) {
	case ON_BLK:
		memcpy(fake_ptr(h->guest, h->header, sizeof(header)), &header, sizeof(header));
		*(uint8_t *)fake_ptr(h->guest, h->status, 1) = NEVER;
		fake_net_fill(sector, SECTOR, h->seed);
		if (h->write)
			fake_net_fill(data, SECTOR, h->seed);
		else
			FAKE_CHECK(pwrite(h->fd, sector, SECTOR, (off_t)(header.sector * SECTOR)) ==
				   SECTOR);
		break;
	case ON_RX:
		fake_net_arrive(&h->net, &plain, RX_FRAME, h->seed);
		break;
	case ON_TX:
		fake_net_fill(data + NET_HEADER, TX_FRAME, h->seed);
		break;
	}
}

/* Kicks the queue and runs the loop: that is little work, whatever was in the queue. */
static inline void hostile_kick(struct hostile *h)
{
	fake_kick(h->guest, h->target == ON_TX);
	CHECK(h, fake_run(h->guest) <= CALLBACKS_MAX);
}

/* The data of the request in hand arrived; `len` is of its used element. */
static inline void hostile_check_data(struct hostile *h, uint32_t len)
{
	uint8_t *data = fake_ptr(h->guest, h->data, SECTOR), other[SECTOR];

	switch (h->target) {
	case ON_BLK:
		CHECK(h, len == (h->write ? 1 : SECTOR + 1));
		CHECK(h, *(uint8_t *)fake_ptr(h->guest, h->status, 1) == VIRTIO_BLK_S_OK);
		FAKE_CHECK(pread(h->fd, other, SECTOR, h->seed % SECTORS * SECTOR) == SECTOR);
		CHECK(h, fake_net_filled(h->write ? other : data, SECTOR, h->seed));
		break;
	case ON_RX:
		CHECK(h, len == NET_HEADER + RX_FRAME);
		CHECK(h, fake_net_filled(data + NET_HEADER, RX_FRAME, h->seed));
		break;
	case ON_TX:
		CHECK(h, !len);
		CHECK(h, fake_net_sent(&h->net, other, SECTOR) == NET_HEADER + TX_FRAME);
		CHECK(h, fake_net_filled(other + NET_HEADER, TX_FRAME, h->seed));
		break;
	}
}

static inline void hostile_check_served(struct hostile *h)
{
	uint16_t used;
	uint32_t len;

	CHECK(h, fake_collect(h->guest, hostile_queue(h), &used, &len));
	CHECK(h, used == h->head);
	hostile_check_data(h, len);
}

/* Makes the request of `bufs` available, in as few descriptors as the queue has. */
static inline void hostile_add(struct hostile *h, const struct fake_buf *bufs, unsigned int nr)
{
	struct fake_queue *queue = hostile_queue(h);

	/* Indirect tables where nothing else is. */
	h->guest->next_free = FAKE_RAM_BASE + KIB(16);
	h->head = fake_chain(h->guest, queue, bufs, nr, nr > queue->size);
	fake_publish(h->guest, queue, h->head);
}

/* One request that is served, with the right data, and an interrupt. */
static inline void hostile_request(struct hostile *h)
{
	struct fake_buf bufs[3];

	hostile_bufs(h, bufs);
	hostile_prepare(h);
	hostile_add(h, bufs, 3);
	hostile_ram_save(h);
	hostile_allow_request(h);
	hostile_kick(h);
	hostile_ram_check(h);
	hostile_check_served(h);
	CHECK(h, fake_irqs(h->guest) > 0);
	CHECK(h, hostile_status(h) == RUNNING);
}

/* The device works in every direction. */
static inline void hostile_good(struct hostile *h)
{
	const enum target target = h->target;

	if (target == ON_BLK) {
		h->write = true;
		hostile_request(h);
		h->write = false;
		hostile_request(h);
		return;
	}
	h->target = ON_TX;
	hostile_request(h);
	h->target = ON_RX;
	hostile_request(h);
	h->target = target;
}

/*
 * Judgement
 */

/* The other device works; a reset brings this one back. */
static inline void hostile_recovers(struct hostile *h)
{
	uint8_t dropped[KIB(2)];

	fake_bystander_works(&h->bystander);
	/* What an attack left in the wire. */
	if (h->target != ON_BLK) {
		while (fake_net_sent(&h->net, dropped, sizeof(dropped)))
			;
		while (recv(h->net.backend->backend.fd, dropped, sizeof(dropped), MSG_DONTWAIT) > 0)
			;
	}
	fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, 0);
	CHECK(h, !hostile_status(h));
	CHECK(h, !fake_reg_read(h->guest, VIRTIO_MMIO_INTERRUPT_STATUS));
	hostile_start(h, 0, QUEUE_SIZE);
	hostile_good(h);
	fake_bystander_works(&h->bystander);
}

/* No queue register takes a write. */
static inline void hostile_queues_are_frozen(struct hostile *h)
{
	static const uint64_t registers[] = {VIRTIO_MMIO_QUEUE_NUM, VIRTIO_MMIO_QUEUE_DESC_LOW,
					     VIRTIO_MMIO_QUEUE_USED_HIGH, VIRTIO_MMIO_QUEUE_READY};
	struct virtqueue_state before[VIRTIO_QUEUES_MAX];
	unsigned int i, r, value;

	for (i = 0; i < VIRTIO_QUEUES_MAX; i++) {
		const struct virtqueue_state *state = &h->guest->virtio->queues[i].state;

		memcpy(&before[i], state, sizeof(before[i]));
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_SEL, i);
		for (r = 0; r < ARRAY_SIZE(registers); r++)
			for (value = 0; value < 2; value++)
				fake_reg_write(h->guest, registers[r], value);
		CHECK(h, !memcmp(&before[i], state, sizeof(before[i])));
	}
}

/* It asked for a reset, and nothing but a reset moves it. */
static inline void hostile_stands_still(struct hostile *h)
{
	const uint32_t status = hostile_status(h);
	unsigned int i;

	CHECK(h, status & VIRTIO_CONFIG_S_NEEDS_RESET);
	hostile_ram_save(h);
	h->nr_allowed = 0;
	fake_irqs(h->guest);
	fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, RUNNING);
	fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET);
	hostile_queues_are_frozen(h);
	for (i = 0; i < h->guest->virtio->nr_queues; i++)
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_NOTIFY, i);
	CHECK(h, fake_run(h->guest) <= h->guest->virtio->nr_queues);
	CHECK(h, hostile_status(h) == status);
	CHECK(h, !fake_irqs(h->guest));
	hostile_ram_check(h);
}

/* What is in the queue breaks the running device: nothing is served, the driver is told. */
static inline void hostile_breaks(struct hostile *h)
{
	fake_irqs(h->guest);
	hostile_ram_save(h);
	hostile_kick(h);
	hostile_ram_check(h);
	CHECK(h, hostile_status(h) == (RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET));
	CHECK(h, fake_irqs(h->guest) == 1);
	CHECK(h, fake_reg_read(h->guest, VIRTIO_MMIO_INTERRUPT_STATUS) & VIRTIO_MMIO_INT_CONFIG);
	hostile_stands_still(h);
	hostile_recovers(h);
}

/* Of a chain in hand: descriptor 0 is its head, as long as nothing went before it. */
static inline struct vring_desc *hostile_table(struct hostile *h)
{
	return fake_ptr(h->guest, hostile_queue(h)->desc, sizeof(struct vring_desc) * QUEUE_SIZE);
}

/* A fresh device, with the good request made, but not available yet. */
static inline struct vring_desc *hostile_begin(struct hostile *h, uint64_t without)
{
	struct fake_buf bufs[3];

	hostile_start(h, without, QUEUE_SIZE);
	hostile_bufs(h, bufs);
	hostile_prepare(h);
	h->guest->next_free = FAKE_RAM_BASE + KIB(16);
	h->head = fake_chain(h->guest, hostile_queue(h), bufs, 3, false);
	return hostile_table(h);
}

static inline void hostile_publish(struct hostile *h)
{
	fake_publish(h->guest, hostile_queue(h), h->head);
}

/* What is in the queue is served: the request's data arrive, and nothing else changes. */
static inline void hostile_is_served(struct hostile *h)
{
	hostile_ram_save(h);
	hostile_allow_request(h);
	hostile_kick(h);
	hostile_ram_check(h);
	CHECK(h, hostile_status(h) == RUNNING);
	hostile_check_served(h);
	CHECK(h, fake_irqs(h->guest) > 0);
	hostile_recovers(h);
}

/* cmocka has no parameters: one entry for each target. */
#define HOSTILE_TEST(name, target) \
	{ \
#name " (" #target ")", name, hostile_setup, hostile_teardown, \
			(void *)(uintptr_t)(target) \
	}
/* The whole device is attacked. */
#define HOSTILE_DEVICES(name) HOSTILE_TEST(name, ON_BLK), HOSTILE_TEST(name, ON_RX)
/* A queue is attacked. */
#define HOSTILE_QUEUES(name) HOSTILE_DEVICES(name), HOSTILE_TEST(name, ON_TX)

#endif
