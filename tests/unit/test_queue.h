/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of virtqueues share: a queue over the fake guest's RAM. Silent. */
#ifndef HUSK_TESTS_TEST_QUEUE_H
#define HUSK_TESTS_TEST_QUEUE_H

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "fake_guest.h"
#include "queue.h"

#define SIZE 8
#define INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)
#define EVENT_IDX (1ull << VIRTIO_RING_F_EVENT_IDX)

struct fixture {
	struct fake_guest guest;
	struct fake_queue ring;
	struct virtqueue queue;
	struct virtq_chain chain;
};

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_guest_init(&f->guest);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	fake_guest_fini(&f->guest);
	free(f);
	return 0;
}

static inline int program(struct fixture *f, uint64_t features)
{
	f->queue.state = (struct virtqueue_state){
		.desc = f->ring.desc,
		.avail = f->ring.avail,
		.used = f->ring.used,
		.size = f->ring.size,
	};
	return virtqueue_enable(&f->queue, &f->guest.mem, features);
}

static inline void enable(struct fixture *f, uint16_t size, uint64_t features)
{
	fake_queue_alloc(&f->guest, &f->ring, size);
	assert_int_equal(program(f, features), 0);
}

static inline int pop(struct fixture *f)
{
	return virtqueue_pop(&f->queue, &f->chain);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
