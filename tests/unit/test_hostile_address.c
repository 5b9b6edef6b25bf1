/* SPDX-License-Identifier: Apache-2.0 */
/* Hostile drivers, class 4: where rings lie. */
#include "hostile_registers.h"

enum ring { DESC, AVAIL, USED };

static gpa_t *ring_of(struct fake_queue *queue, enum ring ring)
{
	return ring == DESC ? &queue->desc : ring == AVAIL ? &queue->avail : &queue->used;
}

/* Everything good but one address, of the last queue. */
static void check_bad_ring(struct hostile *h, enum ring ring, gpa_t gpa)
{
	const unsigned int last = h->guest->virtio->nr_queues - 1;

	*ring_of(&h->guest->queues[last], ring) = gpa;
	program_queues(h);
	fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_SEL, last);
	CHECK(h, !fake_reg_read(h->guest, VIRTIO_MMIO_QUEUE_READY));
	CHECK(h, hostile_status(h) ==
			 ((RUNNING & ~VIRTIO_CONFIG_S_DRIVER_OK) | VIRTIO_CONFIG_S_NEEDS_RESET));
	CHECK(h, !fake_irqs(h->guest));
	/* Nothing of it is used when it is kicked. */
	h->guest->queues[last].size = 0;
	hostile_stands_still(h);
	hostile_recovers(h);
}

static void class_04_ring_addresses(void **state)
{
	static const uint64_t len[] = {16 * QUEUE_SIZE, 6 + 2 * QUEUE_SIZE, 6 + 8 * QUEUE_SIZE};
	static const uint64_t align[] = {16, 2, 4};
	struct hostile *h = *state;
	unsigned int ring;
	size_t i;

	for (ring = DESC; ring <= USED; ring++) {
		const gpa_t step = align[ring];
		const gpa_t bad[] = {
			FAKE_RAM_BASE + KIB(64) + step / 2,
			FAKE_RAM_BASE + KIB(64) + 1,
			FAKE_RAM_BASE + KIB(64) + step - 1,
			0,
			FAKE_RAM_BASE - step,
			FAKE_RAM_BASE - len[ring],
			RAM_END - step,
			ALIGN_UP(RAM_END - len[ring] + 1, step),
			RAM_END,
			GIB(2),
			FAKE_HIGH_BASE - step,
			ALIGN_UP(HIGH_END - len[ring] + 1, step),
			HIGH_END,
			BUFFERS_END - step,
			1ull << 63,
			/* Ends at 2^64, or past it in RAM. */
			-len[ring] & ~(step - 1),
			-step,
			UINT64_MAX - step + 1 - KIB(4),
		};

		for (i = 0; i < ARRAY_SIZE(bad); i++) {
			h->nr = ring * 100 + (unsigned int)i;
			hostile_negotiate(h, 0, QUEUE_SIZE);
			check_bad_ring(h, (enum ring)ring, bad[i]);
		}
	}
}

static void class_04_rings_over_each_other(void **state)
{
	const gpa_t at = FAKE_RAM_BASE + KIB(64);
	/* Lengths: 256, 38, 134. Desc is at `at`; two more rings, of which one overlaps. */
	const struct {
		enum ring ring;
		gpa_t gpa;
		bool good;
	} variants[] = {
		{AVAIL, at, false},
		{AVAIL, at + 254, false},
		{AVAIL, at + 256, true},
		{AVAIL, at - 36, false},
		{AVAIL, at - 38, true},
		{USED, at, false},
		{USED, at + 252, false},
		{USED, at + 256, true},
		{USED, at - 132, false},
		{USED, at - 136, true},
		{AVAIL, at + 1024, false},
		{AVAIL, at + 1024 + 132, false},
		{AVAIL, at + 1024 + 134, true},
		{AVAIL, at + 1024 - 36, false},
		{AVAIL, at + 1024 - 38, true},
	};
	struct hostile *h = *state;
	struct fake_queue *queue = &h->guest->queues[h->guest->virtio->nr_queues - 1];

	for (h->nr = 0; h->nr < ARRAY_SIZE(variants); h->nr++) {
		hostile_negotiate(h, 0, QUEUE_SIZE);
		queue->desc = at;
		queue->avail = at + 2048;
		queue->used = at + 1024;
		if (!variants[h->nr].good) {
			check_bad_ring(h, variants[h->nr].ring, variants[h->nr].gpa);
			continue;
		}
		*ring_of(queue, variants[h->nr].ring) = variants[h->nr].gpa;
		memset(fake_ptr(h->guest, at - KIB(1), KIB(4)), 0, KIB(4));
		program_queues(h);
		driver_ok(h);
		hostile_good(h);
		hostile_recovers(h);
	}
}

static void class_04_addresses_in_halves(void **state)
{
	struct hostile *h = *state;
	struct fake_queue *queue = &h->guest->queues[0];
	unsigned int ring;

	/* Low after high; each half keeps the other. */
	for (h->nr = 0; h->nr < 3; h->nr++) {
		hostile_negotiate(h, 0, QUEUE_SIZE);
		program_queues(h);
		set_ready(h, 0, 0);
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_NUM, queue->size);
		for (ring = DESC; ring <= USED; ring++) {
			const uint64_t reg = VIRTIO_MMIO_QUEUE_DESC_LOW + 0x10 * ring;
			const gpa_t gpa = *ring_of(queue, (enum ring)ring);

			fake_reg_write(h->guest, reg, UINT32_MAX);
			fake_reg_write(h->guest, reg + 4, (uint32_t)(gpa >> 32));
			fake_reg_write(h->guest, reg, (uint32_t)gpa);
		}
		set_ready(h, 0, 1);
		driver_ok(h);
		hostile_good(h);
		hostile_recovers(h);
		/* A good low half over a high half that is left from before. */
		hostile_negotiate(h, 0, QUEUE_SIZE);
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_SEL, 0);
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_DESC_HIGH, 0x7777);
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_NUM, queue->size);
		fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)queue->desc);
		set_ready(h, 0, 1);
		CHECK(h, hostile_status(h) & VIRTIO_CONFIG_S_NEEDS_RESET);
		hostile_stands_still(h);
		hostile_recovers(h);
	}
}

/* Rings over those of another queue or device: the driver spoils its own data, no more. */
static void class_04_rings_of_another(void **state)
{
	struct hostile *h = *state;
	const bool net = h->target != ON_BLK;
	unsigned int from, to;

	for (from = DESC; from <= USED; from++) {
		for (to = DESC; to <= USED; to++) {
			struct fake_queue *mine = &h->guest->queues[net];
			struct fake_queue *other =
				net ? &h->guest->queues[0] : &h->bystander.guest.queues[0];
			unsigned int i;

			/* What it writes would be the bystander's loss. */
			if (!net && from == USED)
				continue;
			h->nr = from * 10 + to;
			hostile_negotiate(h, 0, 8);
			*ring_of(mine, (enum ring)from) = *ring_of(other, (enum ring)to);
			program_queues(h);
			if (hostile_status(h) & VIRTIO_CONFIG_S_NEEDS_RESET) {
				/* Not aligned as the other ring has to be. */
				hostile_recovers(h);
				continue;
			}
			driver_ok(h);
			hostile_ram_save(h);
			for (i = 0; i < h->guest->virtio->nr_queues; i++)
				hostile_allow(h, h->guest->queues[i].used, 6 + 8 * 8);
			hostile_allow(h, h->data, SECTOR);
			for (i = 0; i < 4; i++) {
				fake_kick(h->guest, i % h->guest->virtio->nr_queues);
				CHECK(h, fake_run(h->guest) <= QUEUE_SIZE + 2);
			}
			hostile_ram_check(h);
			hostile_recovers(h);
		}
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		HOSTILE_DEVICES(class_04_ring_addresses),
		HOSTILE_DEVICES(class_04_rings_over_each_other),
		HOSTILE_DEVICES(class_04_addresses_in_halves),
		HOSTILE_DEVICES(class_04_rings_of_another),
	};

	/* A device that spins is a failure, not a wait. */
	alarm(120);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
