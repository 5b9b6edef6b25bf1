/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Suppression of kicks and interrupts between two threads that do nothing else: each sleeps as
 * soon as it may, and must be woken. It takes a processor that reorders a store with a later
 * load, and millions of tries, to see a missing fence; any other mistake shows at once.
 */
#include "test_queue.h"

#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <time.h>

#define ROUNDS_MAX 2000000u
#define STRESS_NS 1000000000ull
#define LOST_NS 10000000000ull

struct stress {
	struct fixture *f;
	atomic_uint kicks, interrupts;
	atomic_bool done;
};

/* Waits until *counter is not `seen`; false if nobody raises it. */
static bool sleep_until_woken(struct stress *s, atomic_uint *counter, unsigned int seen)
{
	uint64_t start = clock_now_ns();
	unsigned int spins = 0;

	while (atomic_load(counter) == seen) {
		if (atomic_load_explicit(&s->done, memory_order_relaxed))
			return false;
		if (++spins % 1024)
			continue;
		if (clock_now_ns() - start > LOST_NS)
			return false;
		sched_yield();
	}
	return true;
}

static void *device_main(void *ctx)
{
	struct stress *s = ctx;
	struct virtqueue *queue = &s->f->queue;
	unsigned int kicks = 0;

	for (;;) {
		if (virtqueue_pop(queue, &s->f->chain) == 1) {
			virtqueue_push(queue, s->f->chain.head, 0);
			if (virtqueue_must_interrupt(queue))
				atomic_fetch_add(&s->interrupts, 1);
			continue;
		}
		if (virtqueue_want_kicks(queue, true))
			continue;
		if (!sleep_until_woken(s, &s->kicks, kicks))
			return NULL;
		kicks = atomic_load(&s->kicks);
	}
}

static bool driver_must_kick(struct stress *s, bool event_idx)
{
	struct fake_guest *guest = &s->f->guest;
	struct fake_queue *ring = &s->f->ring;

	__sync_synchronize();
	if (!event_idx)
		return !__atomic_load_n(fake_used_flags(guest, ring), __ATOMIC_RELAXED);
	return vring_need_event(__atomic_load_n(fake_avail_event(guest, ring), __ATOMIC_RELAXED),
				ring->avail_idx, (uint16_t)(ring->avail_idx - 1));
}

static void stress(struct fixture *f, uint64_t features)
{
	const struct fake_buf buf = {FAKE_RAM_BASE, 1, true};
	const uint64_t end = clock_now_ns() + STRESS_NS;
	struct stress s = {.f = f};
	unsigned int i, interrupts = 0, flying = 0;
	volatile unsigned int delay;
	bool lost = false;
	pthread_t device;
	uint16_t head;
	uint32_t len;

	enable(f, SIZE, features);
	assert_int_equal(pthread_create(&device, NULL, device_main, &s), 0);
	for (i = 0; i < ROUNDS_MAX && !lost && (i % 256 || clock_now_ns() < end); i++) {
		/* So that the two meet at every point of each other's way. */
		for (delay = 0; delay < i % 61; delay++)
			;
		fake_add(&f->guest, &f->ring, &buf, 1);
		if (driver_must_kick(&s, features & EVENT_IDX))
			atomic_fetch_add(&s.kicks, 1);
		flying++;
		/* Some stay in flight, so that the next is added while the device works. */
		while (!lost && flying > i % 3) {
			if (fake_collect(&f->guest, &f->ring, &head, &len)) {
				flying--;
				continue;
			}
			lost = !sleep_until_woken(&s, &s.interrupts, interrupts);
			interrupts = atomic_load(&s.interrupts);
		}
	}
	atomic_store(&s.done, true);
	pthread_join(device, NULL);
	assert_false(lost);
	assert_true(i > 1000);
}

static void no_wakeup_is_lost_with_event_index(void **state)
{
	stress(*state, EVENT_IDX);
}

static void no_wakeup_is_lost_with_flags(void **state)
{
	stress(*state, 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(no_wakeup_is_lost_with_event_index),
		TEST(no_wakeup_is_lost_with_flags),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
