/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block device with real threads: the loop serves on one, the guest's vCPUs are others. Once
 * with a driver that keeps the rules (nothing is lost, no data race), once with one that rewrites
 * rings, headers and registers all the time.
 */
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "blk.h"
#include "fake_guest.h"
#include "rings.h"
#include "virtio_mmio.h"

#define SECTOR 512u
#define SECTORS 2048u
#define QUEUE_SIZE 32
#define SLOTS (QUEUE_SIZE / 4) /* requests in flight, of three descriptors each */
#define REQUESTS 20000u
#define HOSTILE_NS 1500000000ull
#define HOSTILE_SECONDS_MAX 100
#define IRQ_TIMEOUT_MS 10000

/* The hostile thread's races are what is tested: the thread sanitizer does not see them. */
#define HIDDEN __attribute__((no_sanitize("thread")))

/* Whether the device has a ring, so that requests get done in any order. */
static bool use_ring;

struct fixture {
	struct fake_guest guest;
	struct fake_queue *queue;
	struct blk *blk;
	int fd;
	pthread_t loop_thread;
	gpa_t headers, data, status;
	struct slot {
		bool busy;
		unsigned int nr; /* of the request in it */
	} slots[SLOTS];
	atomic_bool stop;
};

static void *loop_main(void *ctx)
{
	event_loop_run(ctx);
	return NULL;
}

static int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));
	struct blk_file file = {.can_discard = true,
				.size = SECTORS * SECTOR,
				.block_size = SECTOR,
				.is_async = use_ring};

	fake_guest_init(&f->guest);
	f->queue = &f->guest.queues[0];
	f->headers = fake_alloc(&f->guest, 16ull * QUEUE_SIZE, 16);
	f->data = fake_alloc(&f->guest, (uint64_t)SECTOR * QUEUE_SIZE, 16);
	f->status = fake_alloc(&f->guest, QUEUE_SIZE, 1);
	f->fd = memfd_create("disk", MFD_CLOEXEC);
	/* Behind the disk, the file goes on. */
	assert_int_equal(ftruncate(f->fd, (SECTORS + 1) * SECTOR), 0);
	file.fd = dup(f->fd);
	if (use_ring)
		file.async_fd = dup(f->fd);
	assert_int_equal(blk_create(&file, "disk", &f->guest.mem, &f->guest.loop, &f->blk), 0);
	virtio_mmio_init(blk_virtio(f->blk), NULL);
	fake_guest_attach(&f->guest, blk_virtio(f->blk));
	log_set_level(LOG_ERROR);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	blk_destroy(f->blk);
	close(f->fd);
	fake_guest_fini(&f->guest);
	free(f);
	return 0;
}

static void loop_begin(struct fixture *f)
{
	assert_int_equal(pthread_create(&f->loop_thread, NULL, loop_main, &f->guest.loop), 0);
}

static void loop_end(struct fixture *f)
{
	eventfd_t count;

	event_loop_stop(&f->guest.loop);
	pthread_join(f->loop_thread, NULL);
	/* So that the loop can be served by fake_run again. */
	assert_int_equal(eventfd_read(f->guest.loop.stop_fd, &count), 0);
}

static uint64_t next_random(uint64_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 7;
	*seed ^= *seed << 17;
	return *seed;
}

/*
 * A driver that keeps the rules, with the suppression of kicks and interrupts in use.
 */

/* A slot has its own places in the descriptor table. */
static unsigned int take_slot(struct fixture *f, unsigned int nr)
{
	unsigned int slot;

	for (slot = 0; f->slots[slot].busy; slot++)
		assert_true(slot + 1 < SLOTS);
	f->slots[slot] = (struct slot){true, nr};
	f->queue->next_desc = (uint16_t)(slot * (QUEUE_SIZE / SLOTS));
	return slot;
}

/* Request number `nr`: the first half writes sectors, the second half reads them back. */
static void submit(struct fixture *f, unsigned int nr, bool event_idx)
{
	const unsigned int slot = take_slot(f, nr);
	const bool write = nr < REQUESTS / 2;
	const uint64_t sector = nr % (REQUESTS / 2) % SECTORS;
	const struct fake_buf bufs[] = {{f->headers + 16ull * slot, 16, false},
					{f->data + (uint64_t)SECTOR * slot, SECTOR, !write},
					{f->status + slot, 1, true}};
	const struct virtio_blk_outhdr header = {.type = write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
						 .sector = sector};
	uint16_t old = f->queue->avail_idx;

	memcpy(fake_ptr(&f->guest, bufs[0].gpa, 16), &header, sizeof(header));
	memset(fake_ptr(&f->guest, bufs[1].gpa, SECTOR), write ? (int)(sector * 3 + 1) : 0, SECTOR);
	*(uint8_t *)fake_ptr(&f->guest, bufs[2].gpa, 1) = 0xee;
	fake_add(&f->guest, f->queue, bufs, ARRAY_SIZE(bufs));
	__sync_synchronize();
	if (event_idx) {
		uint16_t event =
			__atomic_load_n(fake_avail_event(&f->guest, f->queue), __ATOMIC_RELAXED);

		if (vring_need_event(event, f->queue->avail_idx, old))
			fake_kick(&f->guest, 0);
	} else if (!__atomic_load_n(fake_used_flags(&f->guest, f->queue), __ATOMIC_RELAXED)) {
		fake_kick(&f->guest, 0);
	}
}

/* Waits for the next answer, to whichever request. */
static void await(struct fixture *f)
{
	struct pollfd irq = {.fd = f->guest.virtio->irq.fd, .events = POLLIN};
	unsigned int i, nr, slot;
	const unsigned char *data;
	uint64_t sector;
	uint16_t head;
	uint32_t len;

	while (!fake_collect(&f->guest, f->queue, &head, &len)) {
		/* A lost kick or interrupt ends here. */
		assert_int_equal(poll(&irq, 1, IRQ_TIMEOUT_MS), 1);
		fake_irqs(&f->guest);
		fake_reg_write(&f->guest, VIRTIO_MMIO_INTERRUPT_ACK,
			       fake_reg_read(&f->guest, VIRTIO_MMIO_INTERRUPT_STATUS));
	}
	slot = head / (QUEUE_SIZE / SLOTS);
	assert_true(slot < SLOTS && f->slots[slot].busy);
	f->slots[slot].busy = false;
	nr = f->slots[slot].nr;
	sector = nr % (REQUESTS / 2) % SECTORS;
	data = fake_ptr(&f->guest, f->data + (uint64_t)SECTOR * slot, SECTOR);
	assert_int_equal(*(uint8_t *)fake_ptr(&f->guest, f->status + slot, 1), VIRTIO_BLK_S_OK);
	assert_int_equal(len, nr < REQUESTS / 2 ? 1 : SECTOR + 1);
	for (i = 0; i < SECTOR; i++)
		assert_int_equal(data[i], (unsigned char)(sector * 3 + 1));
}

static void drive(struct fixture *f, uint64_t without)
{
	const uint64_t features = fake_offered_features(&f->guest) & ~without;
	const bool event_idx = features >> VIRTIO_RING_F_EVENT_IDX & 1;
	uint64_t seed = 88172645463325252ull;
	unsigned int added = 0, done = 0;

	fake_guest_start(&f->guest, features, QUEUE_SIZE);
	loop_begin(f);
	while (done < REQUESTS) {
		/* Fill up and drain by uneven amounts, now and then to the last. */
		unsigned int fill = 1 + next_random(&seed) % SLOTS;
		unsigned int left = next_random(&seed) % SLOTS;

		while (added < REQUESTS && added - done < fill)
			submit(f, added++, event_idx);
		for (; done < added && (added - done > left || added == REQUESTS); done++)
			await(f);
	}
	loop_end(f);
}

static void nothing_is_lost_with_event_index(void **state)
{
	drive(*state, 0);
}

static void nothing_is_lost_with_flags(void **state)
{
	drive(*state, 1ull << VIRTIO_RING_F_EVENT_IDX);
}

/*
 * A driver that keeps none.
 */

static gpa_t random_address(const struct fixture *f, uint64_t random)
{
	const gpa_t places[] = {f->headers,	f->headers + 8, f->data,
				f->status,	f->queue->desc, f->queue->avail,
				f->queue->used, FAKE_HIGH_BASE, FAKE_HIGH_BASE + FAKE_HIGH_SIZE - 1,
				random};

	return places[random % ARRAY_SIZE(places)] + (random >> 8) % 4 * 16;
}

/* A read whose status is the last byte of its data. */
HIDDEN static void good_request(const struct fixture *f, unsigned int i, unsigned int next,
				volatile struct vring_desc *desc,
				volatile struct virtio_blk_outhdr *headers)
{
	headers[i].type = VIRTIO_BLK_T_IN;
	headers[i].sector = next;
	desc[i].addr = f->headers + 16 * i;
	desc[i].len = 16;
	desc[i].flags = VRING_DESC_F_NEXT;
	desc[i].next = next;
	desc[next].addr = f->data;
	desc[next].len = SECTOR + 1;
	desc[next].flags = VRING_DESC_F_WRITE;
}

/* What it writes is mostly plausible, else the device would stand still all the time. */
HIDDEN static void *rewrite_all_the_time(void *ctx)
{
	static const uint32_t lengths[] = {0, 1, 15, 16, 17, 32, SECTOR, 2 * SECTOR, 0xffffffff};
	struct fixture *f = ctx;
	struct fake_queue *queue = f->queue;
	volatile struct vring_desc *desc = fake_ptr(&f->guest, queue->desc, 16 * QUEUE_SIZE);
	volatile uint16_t *heads = fake_ptr(&f->guest, queue->avail + 4, 2 * QUEUE_SIZE);
	volatile uint16_t *idx = fake_avail_idx(&f->guest, queue);
	volatile uint16_t *used = fake_used_idx(&f->guest, queue);
	volatile uint16_t *event = fake_used_event(&f->guest, queue);
	volatile struct virtio_blk_outhdr *headers =
		fake_ptr(&f->guest, f->headers, 16 * QUEUE_SIZE);
	uint64_t seed = 0x9e3779b97f4a7c15ull;

	while (!atomic_load_explicit(&f->stop, memory_order_relaxed)) {
		uint64_t r = next_random(&seed);
		unsigned int i = r >> 32 & (QUEUE_SIZE - 1);
		unsigned int next = r >> 40 & (QUEUE_SIZE - 1);

		switch (r % 256) {
		case 0:
			desc[i].addr = random_address(f, next_random(&seed));
			break;
		case 1:
			desc[i].len = lengths[next % ARRAY_SIZE(lengths)];
			break;
		case 2:
			desc[i].flags = next % 8 == 0 ? (uint16_t)(r >> 16) : next & 3;
			break;
		case 3:
			desc[i].next = next % 8 == 0 ? (uint16_t)(r >> 16) : next;
			break;
		case 4:
			heads[i] = next % 8 == 0 ? (uint16_t)(r >> 16) : next;
			break;
		case 5:
			headers[i].type = next % 16;
			break;
		case 6:
			headers[i].sector = next ? next : r;
			break;
		case 7:
			*event = (uint16_t)(r >> 16);
			break;
		case 8:
			*idx = next % 8 == 0 ? (uint16_t)(r >> 16) : *idx - 1;
			break;
		default:
			good_request(f, i, next, desc, headers);
			heads[*idx % QUEUE_SIZE] = i;
			*idx = *used + 1 + next % 4;
			break;
		}
	}
	return NULL;
}

HIDDEN static void clear_index(struct fixture *f)
{
	*(volatile uint16_t *)fake_avail_idx(&f->guest, f->queue) = 0;
}

/* Requests since the last reset. */
static unsigned int served(struct fixture *f)
{
	struct virtio_device *virtio = f->guest.virtio;
	unsigned int nr;

	pthread_mutex_lock(&virtio->device.lock);
	nr = virtio->queues[0].state.next_used;
	pthread_mutex_unlock(&virtio->device.lock);
	return nr;
}

/* A driver's start, while the loop runs on its own thread. */
static void start(struct fixture *f)
{
	uint32_t status = fake_negotiate(&f->guest, fake_offered_features(&f->guest));

	fake_queue_program(&f->guest, 0);
	clear_index(f);
	fake_reg_write(&f->guest, VIRTIO_MMIO_STATUS, status | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void a_hostile_guest_is_survived(void **state)
{
	const uint64_t end = clock_now_ns() + HOSTILE_NS;
	const uint64_t features = 1ull << VIRTIO_F_VERSION_1;
	struct fixture *f = *state;
	unsigned int broken = 0, completed = 0, interrupts = 0;
	uint64_t seed = 0x2545f4914f6cdd1dull;
	char tail[SECTOR], nothing[SECTOR] = {0};
	pthread_t hostile;

	fake_queue_alloc(&f->guest, f->queue, QUEUE_SIZE);
	loop_begin(f);
	assert_int_equal(pthread_create(&hostile, NULL, rewrite_all_the_time, f), 0);
	/* Until it reached the device in every way, however slow the machine is. */
	alarm(HOSTILE_SECONDS_MAX);
	while (clock_now_ns() < end || broken < 20 || completed < 20 || interrupts < 20) {
		uint64_t r = next_random(&seed);
		uint32_t status = fake_reg_read(&f->guest, VIRTIO_MMIO_STATUS);

		if (!status || (status & VIRTIO_CONFIG_S_NEEDS_RESET) || r % 256 == 0) {
			broken += !!(status & VIRTIO_CONFIG_S_NEEDS_RESET);
			completed += served(f);
			start(f);
		} else if (r % 256 == 1) {
			fake_mmio_write(&f->guest, r >> 8 & 0x1ff, next_random(&seed),
					1 + (r >> 20) % 8);
		} else {
			fake_kick(&f->guest, 0);
		}
		interrupts += fake_irqs(&f->guest) != 0;
	}
	atomic_store(&f->stop, true);
	pthread_join(hostile, NULL);
	loop_end(f);
	alarm(0);
	/* Nothing behind the disk was written, and it works for a good driver. */
	assert_int_equal(pread(f->fd, tail, SECTOR, SECTORS * SECTOR), SECTOR);
	assert_memory_equal(tail, nothing, SECTOR);
	fake_guest_start(&f->guest, features, QUEUE_SIZE);
	assert_true(virtio_is_running(f->guest.virtio));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(nothing_is_lost_with_event_index),
		TEST(nothing_is_lost_with_flags),
		TEST(a_hostile_guest_is_survived),
	};

	int failed = cmocka_run_group_tests(tests, NULL, NULL);

	use_ring = rings_work();
	return use_ring ? failed + cmocka_run_group_tests(tests, NULL, NULL) : failed;
}
