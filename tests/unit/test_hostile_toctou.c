/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Hostile drivers, class 22: time of check to time of use. Two threads rewrite descriptors,
 * indexes, headers and payload all the time, while a disk or a network serves them on a thread of
 * its own and a third resets and kicks.
 *
 * What they write is such that no mixture of it gives an address in RAM outside of the arena. So
 * if the device checks one value and uses another, RAM around the arena changes, or what stands
 * in it is found on the disk or the wire, or the process crashes.
 */
#include "hostile.h"

#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/eventfd.h>

#define RINGS (FAKE_RAM_BASE + KIB(128)) /* 8 KiB for each queue */
#define ARENA (RINGS + KIB(16))
/* Buffers begin in its first half, and none is longer than the second. */
#define ARENA_HALF KIB(32)
#define ARENA_END (ARENA + 2 * ARENA_HALF)
#define SIZE 32u
#define AROUND 0x5c
#define ROUNDS 4
#define ROUND_NS 400000000ull
#define SECONDS_MAX 200
#define ENOUGH 20

/* The races are what is tested: the thread sanitizer is to see the device's own. */
#define HIDDEN __attribute__((no_sanitize("thread")))

struct storm {
	struct hostile *h;
	atomic_bool stop;
	unsigned int broken, completed, interrupts, frames;
};

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

static gpa_t random_address(uint64_t random)
{
	static const gpa_t bad[] = {0, GIB(2), RAM_END, HIGH_END, UINT64_MAX - 15, 1ull << 63};

	if (random % 16 == 0)
		return bad[(random >> 8) % ARRAY_SIZE(bad)];
	return ARENA + (random >> 8) % (ARENA_HALF / 16) * 16;
}

static uint32_t random_length(uint64_t random)
{
	static const uint32_t lengths[] = {
		0,	    1,		15,	    16,		48,	    60,	    SECTOR,
		SECTOR + 1, 0xffffffff, 0x80000000, 0xfffffff0, ARENA_HALF, KIB(4),
	};

	return lengths[random % ARRAY_SIZE(lengths)];
}

/* The host address of the ring at `offset` behind that of queue `index`. */
static void *ring_ptr(const struct storm *storm, uint64_t index, uint64_t offset)
{
	return guest_mem_ptr(&storm->h->guest->mem, RINGS + KIB(8) * index + offset, 16 * SIZE);
}

#define DESC_AT 0
#define AVAIL_AT KIB(2)
#define USED_AT KIB(4)

/* A request that is good by itself, at descriptor i and `next`. */
HIDDEN static void good_request(struct storm *storm, volatile struct vring_desc *desc, uint64_t i,
				uint64_t next, bool rx)
{
	const bool blk = storm->h->target == ON_BLK;
	volatile struct virtio_blk_outhdr *header =
		guest_mem_ptr(&storm->h->guest->mem, ARENA + 16 * i, sizeof(*header));

	if (blk) {
		header->type = next % 2 ? VIRTIO_BLK_T_IN : VIRTIO_BLK_T_OUT;
		header->sector = next;
	}
	desc[i].addr = ARENA + 16 * i;
	desc[i].len = blk ? 16 : NET_HEADER;
	desc[i].flags = rx ? VRING_DESC_F_NEXT | VRING_DESC_F_WRITE : VRING_DESC_F_NEXT;
	desc[i].next = (uint16_t)next;
	desc[next].addr = ARENA + KIB(4);
	desc[next].len = SECTOR + 1;
	desc[next].flags = blk || rx ? VRING_DESC_F_WRITE : 0;
}

/* Makes requests, most of them good, so that the device gets to do something. */
HIDDEN static void *driver_main(void *ctx)
{
	struct storm *storm = ctx;
	uint64_t seed = 0x9e3779b97f4a7c15ull;

	while (!atomic_load_explicit(&storm->stop, memory_order_relaxed)) {
		uint64_t r = next_random(&seed), i = r >> 32 & (SIZE - 1),
			 next = r >> 40 & (SIZE - 1);
		const uint64_t index = (r >> 50) % storm->h->guest->virtio->nr_queues;
		volatile uint16_t *avail = ring_ptr(storm, index, AVAIL_AT);
		volatile uint16_t *used = ring_ptr(storm, index, USED_AT);

		if (r % 512 == 0) {
			avail[1] = (uint16_t)(r >> 16);
		} else if (r % 512 == 1) {
			avail[2 + i] = (uint16_t)(r >> 16);
		} else if (r % 512 == 2) {
			avail[2 + SIZE] = (uint16_t)(r >> 16);
		} else {
			good_request(storm, ring_ptr(storm, index, DESC_AT), i, next,
				     storm->h->target != ON_BLK && !index);
			avail[2 + avail[1] % SIZE] = (uint16_t)i;
			avail[1] = used[1] + 1 + next % 4;
		}
	}
	return NULL;
}

/* There and back, so often that the device reads now the one and now the other. */
#define TOGGLE(field, value) \
	do { \
		for (unsigned int toggle = 0; toggle < 16; toggle++) { \
			(field) = (value); \
			(field) = old; \
		} \
	} while (0)

/* Changes the descriptors that come next, under the device's eyes. */
HIDDEN static void *mutator_main(void *ctx)
{
	struct storm *storm = ctx;
	volatile uint8_t *arena = guest_mem_ptr(&storm->h->guest->mem, ARENA, ARENA_HALF);
	uint64_t seed = 88172645463325252ull;

	while (!atomic_load_explicit(&storm->stop, memory_order_relaxed)) {
		uint64_t r = next_random(&seed), v = next_random(&seed), old, i;
		const uint64_t index = (r >> 50) % storm->h->guest->virtio->nr_queues;
		volatile struct vring_desc *desc = ring_ptr(storm, index, DESC_AT);
		volatile uint16_t *avail = ring_ptr(storm, index, AVAIL_AT);
		volatile uint16_t *used = ring_ptr(storm, index, USED_AT);

		i = avail[2 + used[1] % SIZE] % SIZE;
		if (r >> 40 & 1)
			i = desc[i].next % SIZE;
		switch (r % 8) {
		case 0:
			old = desc[i].addr;
			TOGGLE(desc[i].addr, v % 2 ? random_address(v) : GIB(2));
			break;
		case 1:
		case 2:
			old = desc[i].len;
			TOGGLE(desc[i].len, random_length(v));
			break;
		case 3:
			old = desc[i].next;
			TOGGLE(desc[i].next, v);
			break;
		case 4: /* a header's type or offload, a descriptor of a table */
			arena[v % 512] |= 0x40;
			arena[v % 512] = 0;
			break;
		case 5: /* payload */
			arena[KIB(4) + v % SECTOR] = 0xff;
			break;
		case 6: /* and this stays */
			if (v % 64 == 0)
				desc[i].addr = random_address(v >> 8);
			else if (v % 64 == 1)
				desc[i].len = random_length(v >> 8);
			else if (v % 64 == 2)
				desc[i].flags = v >> 8 & 7;
			else if (v % 64 == 3)
				desc[i].next =
					(uint16_t)(v >> 8 & 1 ? v >> 16 : v >> 16 & (SIZE - 1));
			else if (v % 64 == 4)
				avail[1] = avail[1] - (uint16_t)(v >> 8 & 3);
			break;
		case 7:
			usleep(v % 64 ? 0 : 20);
			break;
		}
	}
	return NULL;
}

static void *loop_main(void *ctx)
{
	event_loop_run(ctx);
	return NULL;
}

HIDDEN static void clear_indexes(struct storm *storm, unsigned int index)
{
	volatile uint16_t *avail = ring_ptr(storm, index, AVAIL_AT);
	volatile uint16_t *used = ring_ptr(storm, index, USED_AT);

	used[1] = 0;
	avail[1] = 0;
}

/* Requests since the last reset. */
static unsigned int served(struct hostile *h)
{
	struct virtio_device *virtio = h->guest->virtio;
	unsigned int i, nr = 0;

	pthread_mutex_lock(&virtio->device.lock);
	for (i = 0; i < virtio->nr_queues; i++)
		nr += virtio->queues[i].state.next_used;
	pthread_mutex_unlock(&virtio->device.lock);
	return nr;
}

static void start(struct storm *storm, uint64_t features)
{
	struct hostile *h = storm->h;
	unsigned int i;

	fake_negotiate(h->guest, features);
	for (i = 0; i < h->guest->virtio->nr_queues; i++) {
		h->guest->queues[i] = (struct fake_queue){.size = SIZE,
							  .desc = RINGS + KIB(8) * i + DESC_AT,
							  .avail = RINGS + KIB(8) * i + AVAIL_AT,
							  .used = RINGS + KIB(8) * i + USED_AT};
		fake_queue_program(h->guest, i);
		clear_indexes(storm, i);
	}
	fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, RUNNING);
}

static void check_not_from_around(struct hostile *h, const uint8_t *data, size_t len)
{
	size_t i, run = 0;

	for (i = 0; i < len; i++) {
		run = data[i] == AROUND ? run + 1 : 0;
		CHECK(h, run < 16);
	}
}

static void wire(struct storm *storm, uint64_t random)
{
	static uint8_t frame[NET_HEADER + NET_FRAME_MAX];
	struct hostile *h = storm->h;
	size_t len;

	if (h->target == ON_BLK)
		return;
	memset(frame, 0, NET_HEADER);
	memset(frame + NET_HEADER, 0xff, 2048);
	if (send(h->net.peer, frame, NET_HEADER + 60 + random % 1400, MSG_DONTWAIT) < 0)
		assert_int_equal(errno, EAGAIN);
	while ((len = fake_net_sent(&h->net, frame, sizeof(frame)))) {
		check_not_from_around(h, frame, len);
		storm->frames++;
	}
}

/* A vCPU that kicks, and resets where that is asked for. */
static void drive(struct storm *storm, uint64_t features, uint64_t end, uint64_t *seed)
{
	struct hostile *h = storm->h;

	while (clock_now_ns() < end || storm->broken < ENOUGH || storm->completed < ENOUGH ||
	       storm->interrupts < ENOUGH) {
		uint64_t r = next_random(seed);
		uint32_t status = hostile_status(h);

		if (status != RUNNING || r % 1024 == 0) {
			storm->broken += !!(status & VIRTIO_CONFIG_S_NEEDS_RESET);
			storm->completed += served(h);
			start(storm, features);
		} else if (r % 256 == 1) {
			fake_mmio_write(h->guest, r >> 8 & 0x1ff, next_random(seed), 1 + r % 8);
		} else {
			fake_kick(h->guest, r >> 20 & (h->guest->virtio->nr_queues - 1));
		}
		sched_yield();
		if (r % 16 == 0)
			wire(storm, r >> 32);
		storm->interrupts += fake_irqs(h->guest) != 0;
	}
}

static void run_round(struct storm *storm, uint64_t features, uint64_t *seed)
{
	struct fake_guest *guest = storm->h->guest;
	pthread_t loop, driver, mutator;
	eventfd_t count;

	atomic_store(&storm->stop, false);
	assert_int_equal(pthread_create(&loop, NULL, loop_main, &guest->loop), 0);
	assert_int_equal(pthread_create(&driver, NULL, driver_main, storm), 0);
	assert_int_equal(pthread_create(&mutator, NULL, mutator_main, storm), 0);
	drive(storm, features, clock_now_ns() + ROUND_NS, seed);
	atomic_store(&storm->stop, true);
	pthread_join(driver, NULL);
	pthread_join(mutator, NULL);
	event_loop_stop(&guest->loop);
	pthread_join(loop, NULL);
	/* So that it can be run again. */
	assert_int_equal(eventfd_read(guest->loop.stop_fd, &count), 0);
	guest->loop.stopped = false;
	fake_reg_write(guest, VIRTIO_MMIO_STATUS, 0);
	fake_bystander_works(&storm->h->bystander);
}

/* All RAM but the bystander's, the rings and the arena. */
static void for_around(struct hostile *h, void (*fn)(struct hostile *h, uint8_t *data, size_t len))
{
	const struct {
		gpa_t begin, end;
	} parts[] = {{FAKE_RAM_BASE + KIB(8), RINGS},
		     {ARENA_END, RAM_END},
		     {FAKE_HIGH_BASE, HIGH_END},
		     {BUFFERS_BASE, BUFFERS_END}};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(parts); i++) {
		const uint64_t len = parts[i].end - parts[i].begin;

		fn(h, fake_ptr(h->guest, parts[i].begin, len), len);
	}
}

static void fill(struct hostile *h, uint8_t *data, size_t len)
{
	(void)h;
	memset(data, AROUND, len);
}

static void check_filled(struct hostile *h, uint8_t *data, size_t len)
{
	size_t i;

	for (i = 0; i < len; i++)
		CHECK(h, data[i] == AROUND);
}

static void class_22_rewritten_all_the_time(void **state)
{
	struct hostile *h = *state;
	struct storm storm = {.h = h};
	uint8_t disk[SECTORS * SECTOR];
	uint64_t seed = 0x2545f4914f6cdd1dull;
	const uint64_t features = fake_offered_features(h->guest);

	for_around(h, fill);
	alarm(SECONDS_MAX);
	for (h->nr = 0; h->nr < ROUNDS; h->nr++) {
		storm.broken = storm.completed = storm.interrupts = 0;
		run_round(&storm, h->nr % 2 ? features & ~EVENT_IDX : features, &seed);
		for_around(h, check_filled);
	}
	alarm(0);
	if (h->target == ON_BLK) {
		CHECK(h, pread(h->fd, disk, sizeof(disk), 0) == sizeof(disk));
		check_not_from_around(h, disk, sizeof(disk));
	} else {
		CHECK(h, storm.frames >= ENOUGH);
	}
	hostile_recovers(h);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE_DEVICES(class_22_rewritten_all_the_time),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
