/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile drivers, classes 11 to 13, 21, 23 and 24: available and used ring, work per kick. */
#include "hostile.h"

#include <sys/epoll.h>

/*
 * 11 to 13: the available ring
 */

static void class_11_available_index(void **state)
{
	/* Past the index that the device has seen. */
	static const uint16_t bad[] = {QUEUE_SIZE + 1, QUEUE_SIZE + 2, 2 * QUEUE_SIZE, 0x7fff,
				       0x8000,	       0xfff0,	       0xfffe,	       0xffff};
	struct hostile *h = *state;
	unsigned int before;

	for (before = 0; before < 3; before++) {
		for (h->nr = 0; h->nr < ARRAY_SIZE(bad); h->nr++) {
			uint16_t *idx;

			hostile_start(h, 0, QUEUE_SIZE);
			idx = fake_avail_idx(h->guest, hostile_queue(h));
			for (unsigned int i = 0; i < before; i++)
				hostile_request(h);
			*idx = (uint16_t)(*idx + bad[h->nr]);
			hostile_breaks(h);
		}
	}
}

/* As far ahead as the queue is long: that is its right. */
static void class_11_a_full_queue(void **state)
{
	struct hostile *h = *state;
	struct fake_queue *queue;
	unsigned int i, callbacks;
	uint16_t used;
	uint32_t len;

	hostile_begin(h, 0);
	queue = hostile_queue(h);
	for (i = 0; i < QUEUE_SIZE; i++)
		hostile_publish(h);
	fake_kick(h->guest, h->target == ON_TX);
	callbacks = fake_run(h->guest);
	CHECK(h, callbacks <= QUEUE_SIZE + 2);
	CHECK(h, hostile_status(h) == RUNNING);
	for (i = 0; i < (h->target == ON_RX ? 1 : QUEUE_SIZE); i++)
		CHECK(h, fake_collect(h->guest, queue, &used, &len) && used == h->head);
	CHECK(h, !fake_collect(h->guest, queue, &used, &len));
	hostile_recovers(h);
}

static void class_12_head_past_the_queue(void **state)
{
	static const uint16_t bad[] = {QUEUE_SIZE, QUEUE_SIZE + 1, 255,	   256,
				       257,	   0x7fff,	   0x8000, 0xffff};
	struct hostile *h = *state;

	for (h->nr = 0; h->nr < ARRAY_SIZE(bad); h->nr++) {
		hostile_begin(h, 0);
		h->head = bad[h->nr];
		hostile_publish(h);
		hostile_breaks(h);
	}
}

/* Each time it is served; the data are those of the driver that asked for it. */
static void class_13_same_head_twice(void **state)
{
	static const struct virtio_net_hdr_v1 plain;
	struct hostile *h = *state;
	uint8_t seen[SECTOR];
	uint16_t used;
	uint32_t len;
	unsigned int i;

	hostile_begin(h, 0);
	for (i = 0; i < 3; i++)
		hostile_publish(h);
	for (i = 0; i < 2 && h->target == ON_RX; i++)
		fake_net_arrive(&h->net, &plain, RX_FRAME, h->seed);
	hostile_ram_save(h);
	hostile_allow_request(h);
	hostile_kick(h);
	hostile_ram_check(h);
	for (i = 0; i < 3; i++) {
		CHECK(h, fake_collect(h->guest, hostile_queue(h), &used, &len));
		CHECK(h, used == h->head);
		if (h->target == ON_TX && i < 2)
			CHECK(h, fake_net_sent(&h->net, seen, sizeof(seen)));
	}
	hostile_check_data(h, len);
	CHECK(h, !fake_collect(h->guest, hostile_queue(h), &used, &len));
	CHECK(h, hostile_status(h) == RUNNING);
	hostile_good(h);
	hostile_recovers(h);
}

/*
 * 21: rings and buffers over each other
 */

/* Data that arrive over the rings: the request is done, and what comes of it is the driver's. */
static void class_21_buffers_over_rings(void **state)
{
	struct hostile *h = *state;
	const gpa_t data = h->data, status = h->status;
	unsigned int v, i;

	for (v = 0; v < 14; v++) {
		const struct fake_queue *queue = hostile_queue(h);
		gpa_t targets[7];

		h->nr = v;
		hostile_start(h, 0, 64);
		targets[0] = queue->desc;
		targets[1] = queue->desc + 8;
		targets[2] = queue->avail - 380;
		targets[3] = queue->avail - 510;
		targets[4] = queue->used;
		targets[5] = queue->used + 2;
		targets[6] = queue->used - 500;
		h->data = targets[v % 7];
		if (!guest_mem_ptr(&h->guest->mem, h->data, SECTOR))
			h->data = targets[v % 7] & ~(gpa_t)(SECTOR - 1);
		if (v >= 7 && h->target == ON_BLK) {
			/* The status byte alone, over the index of the used ring. */
			h->status = h->data;
			h->data = data;
		}
		/* Only those that are posted: prepare() writes what a driver would. */
		struct fake_buf bufs[3];

		hostile_bufs(h, bufs);
		if (h->target == ON_RX)
			bufs[2].len = SECTOR - TX_FRAME / 2 - (uint32_t)NET_HEADER;
		h->guest->next_free = FAKE_RAM_BASE + KIB(16);
		if (h->target != ON_BLK || v >= 7) {
			const gpa_t over = h->data;

			h->data = data;
			hostile_prepare(h);
			h->data = over;
		} else {
			*(uint8_t *)fake_ptr(h->guest, h->status, 1) = NEVER;
			memset(fake_ptr(h->guest, h->header, 16), 0, 16);
		}
		hostile_add(h, bufs, 3);
		hostile_ram_save(h);
		hostile_allow_used(h);
		hostile_allow(h, h->data, SECTOR);
		hostile_allow(h, h->status, 1);
		for (i = 0; i < 3; i++) {
			fake_kick(h->guest, h->target == ON_TX);
			CHECK(h, fake_run(h->guest) <= CALLBACKS_MAX + 64);
		}
		hostile_ram_check(h);
		h->data = data;
		h->status = status;
		hostile_recovers(h);
	}
}

/*
 * 23: event words
 */

/* An interrupt exactly where it was asked for: not before, not behind, also over the wrap. */
static void class_23_used_event(void **state)
{
	struct hostile *h = *state;
	struct fake_queue *queue = hostile_queue(h);
	uint32_t nr;
	uint16_t used;
	uint32_t len;

	hostile_start(h, 0, 256);
	/* Up to the end of the index's 16 bits, a queue at a time. A request that ends at once. */
	for (nr = 0; nr < 65536 + 300;) {
		const unsigned int batch = nr < 65024 ? 256 : 1 + nr % 3;
		static const int off[] = {0, 1, -1, 2, 0x7fff, -0x8000, 100, -100};
		const unsigned int v = nr % ARRAY_SIZE(off);
		struct fake_buf bufs[3] = {{h->header, 16, false}, {h->status, 1, true}};
		unsigned int i;

		h->nr = nr;
		memset(fake_ptr(h->guest, h->header, 16), 0xff, 16);
		if (h->target == ON_TX)
			bufs[0] = (struct fake_buf){h->data, NET_HEADER + 1, false};
		h->head = fake_chain(h->guest, queue, bufs, h->target == ON_TX ? 1 : 2, false);
		for (i = 0; i < batch; i++)
			fake_publish(h->guest, queue, h->head);
		*fake_used_event(h->guest, queue) = (uint16_t)(nr + (unsigned int)off[v]);
		fake_irqs(h->guest);
		fake_kick(h->guest, h->target == ON_TX);
		fake_run(h->guest);
		CHECK(h, *fake_used_idx(h->guest, queue) == (uint16_t)(nr + batch));
		if (batch < 256)
			CHECK(h, fake_irqs(h->guest) == (off[v] >= 0 && off[v] < (int)batch));
		nr += batch;
		for (i = 0; i < batch; i++)
			CHECK(h, fake_collect(h->guest, queue, &used, &len));
		/* It asks for a kick at exactly what comes next. */
		CHECK(h, *fake_avail_event(h->guest, queue) == (uint16_t)nr);
	}
	hostile_recovers(h);
}

/* One bit of the flags counts, and only without the event words. */
static void class_23_available_flags(void **state)
{
	static const uint16_t flags[] = {0, 1, 2, 3, 0x8000, 0xfffe, 0xffff, 0};
	struct hostile *h = *state;
	struct fake_buf bufs[3];
	unsigned int event_idx;

	for (event_idx = 0; event_idx < 2; event_idx++) {
		hostile_start(h, event_idx ? 0 : EVENT_IDX, QUEUE_SIZE);
		for (h->nr = 0; h->nr < ARRAY_SIZE(flags); h->nr++) {
			*fake_avail_flags(h->guest, hostile_queue(h)) = flags[h->nr];
			hostile_bufs(h, bufs);
			hostile_prepare(h);
			hostile_add(h, bufs, 3);
			hostile_kick(h);
			hostile_check_served(h);
			CHECK(h, fake_irqs(h->guest) == (event_idx || !(flags[h->nr] & 1)));
		}
		hostile_recovers(h);
	}
}

/* What is the device's to write does not lead it, whatever a driver puts there. */
static void class_23_rubbish_in_the_used_ring(void **state)
{
	struct hostile *h = *state;
	struct fake_queue *queue = hostile_queue(h);

	hostile_start(h, 0, QUEUE_SIZE);
	for (h->nr = 0; h->nr < 64; h->nr++) {
		const uint16_t rubbish = (uint16_t)(h->nr * 0x1357);
		struct fake_buf bufs[3];

		hostile_bufs(h, bufs);
		hostile_prepare(h);
		hostile_add(h, bufs, 3);
		*fake_used_idx(h->guest, queue) = rubbish;
		*fake_used_flags(h->guest, queue) = rubbish;
		*fake_avail_event(h->guest, queue) = rubbish;
		*fake_avail_flags(h->guest, queue) = rubbish;
		hostile_kick(h);
		CHECK(h, *fake_used_idx(h->guest, queue) == (uint16_t)(h->nr + 1));
		hostile_check_served(h);
		/* Kicks with nothing behind them end at once, and tell nobody. */
		CHECK(h, fake_irqs(h->guest) == 1);
		*fake_avail_event(h->guest, queue) = rubbish;
		*fake_used_event(h->guest, queue) = (uint16_t)(rubbish + h->nr);
		hostile_kick(h);
		CHECK(h, !fake_irqs(h->guest));
		*fake_used_event(h->guest, queue) = (uint16_t)(h->nr + 1);
	}
	hostile_recovers(h);
}

/*
 * 24: work
 */

/* One turn of the loop's thread. */
static bool step(struct hostile *h)
{
	struct epoll_event event;
	struct event_watch *watch;

	if (epoll_wait(h->guest->loop.epoll_fd, &event, 1, 0) != 1)
		return false;
	watch = event.data.ptr;
	pthread_mutex_lock(watch->lock);
	watch->fn(watch->ctx, event.events);
	pthread_mutex_unlock(watch->lock);
	return true;
}

/* A full queue, kicked all the time, does not keep the loop from others. */
static void class_24_work_in_one_turn(void **state)
{
	struct hostile *h = *state;
	struct fake_queue *queue = hostile_queue(h);
	unsigned int i, before;

	hostile_start(h, 0, 256);
	if (h->target == ON_BLK) {
		/* Each reads as much as it may. */
		const uint32_t len = SECTORS * SECTOR;
		struct fake_buf bufs[64];

		memset(fake_ptr(h->guest, h->header, 16), 0, 16);
		bufs[0] = (struct fake_buf){h->header, 16, false};
		for (i = 1; i < 63; i++)
			bufs[i] = (struct fake_buf){FAKE_RAM_BASE + KIB(64), len / 64, true};
		bufs[62].len = len - 61 * (len / 64);
		bufs[63] = (struct fake_buf){h->status, 1, true};
		h->head = fake_chain(h->guest, queue, bufs, 64, false);
	} else {
		const struct fake_buf tx = {h->data, SECTOR, false}, rx = {h->data, SECTOR, true};

		h->net.backend->flood = 256;
		h->head = fake_chain(h->guest, queue, h->target == ON_TX ? &tx : &rx, 1, false);
		memset(fake_ptr(h->guest, h->data, NET_HEADER), 0, NET_HEADER);
	}
	for (i = 0; i < 256; i++)
		fake_publish(h->guest, queue, h->head);
	for (h->nr = 0; *fake_used_idx(h->guest, queue) < 256 && h->nr < 4096; h->nr++) {
		uint8_t frame[1024];

		fake_kick(h->guest, h->target == ON_TX);
		before = *fake_used_idx(h->guest, queue);
		if (!step(h))
			break;
		if (h->target != ON_BLK)
			CHECK(h, *fake_used_idx(h->guest, queue) - before <= 64);
		while (h->target == ON_TX && fake_net_sent(&h->net, frame, sizeof(frame)))
			;
	}
	CHECK(h, *fake_used_idx(h->guest, queue) == 256);
	/* More than one turn, or it was faster than a turn is long. */
	CHECK(h, h->nr >= (h->target == ON_BLK ? 2 : 4));
	if (h->net.backend)
		h->net.backend->flood = 0;
	hostile_recovers(h);
}

static void class_24_a_flood_of_kicks(void **state)
{
	struct hostile *h = *state;
	unsigned int i;

	hostile_start(h, 0, QUEUE_SIZE);
	hostile_ram_save(h);
	for (i = 0; i < 10000; i++)
		fake_kick(h->guest, h->target == ON_TX);
	CHECK(h, fake_run(h->guest) == 1);
	for (i = 0; i < 10000; i++) {
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_NOTIFY, h->target == ON_TX);
		CHECK(h, fake_run(h->guest) == 1);
	}
	hostile_ram_check(h);
	CHECK(h, !fake_irqs(h->guest));
	hostile_good(h);
	hostile_recovers(h);
}

/* Frames that nobody takes stay where they are, at no cost. */
static void class_24_no_receive_buffers(void **state)
{
	static const struct virtio_net_hdr_v1 plain;
	struct hostile *h = *state;
	unsigned int i;

	hostile_start(h, 0, QUEUE_SIZE);
	for (i = 0; i < 64; i++) {
		fake_net_arrive(&h->net, &plain, RX_FRAME, 1);
		CHECK(h, fake_run(h->guest) <= CALLBACKS_MAX);
	}
	CHECK(h, !fake_run(h->guest));
	CHECK(h, !fake_irqs(h->guest));
	/* The other direction works. */
	h->target = ON_TX;
	hostile_request(h);
	h->target = ON_RX;
	hostile_recovers(h);
}

static void class_24_small_receive_buffers(void **state)
{
	struct hostile *h = *state;
	struct fake_buf bufs[16];
	uint32_t len;
	unsigned int i;

	/* Too small for a header, each by itself. */
	for (len = 1; len < NET_HEADER; len++) {
		const struct fake_buf buf = {h->data, len, true};

		h->nr = len;
		hostile_start(h, len % 2 ? 1ull << VIRTIO_NET_F_MRG_RXBUF : 0, QUEUE_SIZE);
		hostile_prepare(h);
		hostile_add(h, &buf, 1);
		hostile_breaks(h);
	}
	/* A byte each, in one chain: a header and a frame of which the rest finds no place. */
	hostile_start(h, 1ull << VIRTIO_NET_F_MRG_RXBUF, QUEUE_SIZE);
	for (i = 0; i < 16; i++)
		bufs[i] = (struct fake_buf){h->data + i, 1, true};
	hostile_prepare(h);
	hostile_add(h, bufs, 16);
	hostile_ram_save(h);
	hostile_allow(h, h->data, 16);
	hostile_kick(h);
	hostile_ram_check(h);
	CHECK(h, hostile_status(h) == RUNNING);
	CHECK(h, !*fake_used_idx(h->guest, hostile_queue(h)));
	hostile_recovers(h);
	/* Room for a header each: a frame over as many as it needs, or for ever in wait. */
	for (h->nr = 0; h->nr < 2; h->nr++) {
		const unsigned int needed = (NET_HEADER + RX_FRAME + 11) / 12;

		hostile_start(h, 0, 32);
		hostile_prepare(h);
		for (i = 0; i < needed - !h->nr; i++) {
			const struct fake_buf buf = {h->data + 12 * i, 12, true};

			hostile_add(h, &buf, 1);
		}
		hostile_ram_save(h);
		hostile_allow_request(h);
		hostile_kick(h);
		hostile_ram_check(h);
		CHECK(h, *fake_used_idx(h->guest, hostile_queue(h)) == (h->nr ? needed : 0));
		CHECK(h, !fake_run(h->guest));
		if (h->nr)
			CHECK(h, fake_net_filled((uint8_t *)fake_ptr(h->guest, h->data, SECTOR) +
							 NET_HEADER,
						 RX_FRAME, h->seed));
		hostile_recovers(h);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE_QUEUES(class_11_available_index),
		HOSTILE_QUEUES(class_11_a_full_queue),
		HOSTILE_QUEUES(class_12_head_past_the_queue),
		HOSTILE_QUEUES(class_13_same_head_twice),
		HOSTILE_QUEUES(class_21_buffers_over_rings),
		HOSTILE_TEST(class_23_used_event, ON_BLK),
		HOSTILE_TEST(class_23_used_event, ON_TX),
		HOSTILE_QUEUES(class_23_available_flags),
		HOSTILE_QUEUES(class_23_rubbish_in_the_used_ring),
		HOSTILE_QUEUES(class_24_work_in_one_turn),
		HOSTILE_QUEUES(class_24_a_flood_of_kicks),
		HOSTILE_TEST(class_24_no_receive_buffers, ON_RX),
		HOSTILE_TEST(class_24_small_receive_buffers, ON_RX),
	};

	/* A device that spins is a failure, not a wait. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
