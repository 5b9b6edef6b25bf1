/* SPDX-License-Identifier: Apache-2.0 */
/* What the tests of registers and of the state machine share (hostile.h). */
#ifndef HUSK_TESTS_HOSTILE_REGISTERS_H
#define HUSK_TESTS_HOSTILE_REGISTERS_H

#include "hostile.h"

static const uint64_t queue_registers[] = {
	VIRTIO_MMIO_QUEUE_NUM,	     VIRTIO_MMIO_QUEUE_DESC_LOW,   VIRTIO_MMIO_QUEUE_DESC_HIGH,
	VIRTIO_MMIO_QUEUE_AVAIL_LOW, VIRTIO_MMIO_QUEUE_AVAIL_HIGH, VIRTIO_MMIO_QUEUE_USED_LOW,
	VIRTIO_MMIO_QUEUE_USED_HIGH,
};
static const uint32_t rubbish[] = {0, 1, 8, 0x8000, 0x10010, FAKE_RAM_BASE, UINT32_MAX};

/* All that the driver can change, apart from selectors. */
struct frozen {
	uint64_t features;
	uint32_t status, interrupt_status, generation;
	struct virtqueue_state queues[VIRTIO_QUEUES_MAX];
	uint8_t config[sizeof(struct virtio_blk_config) + sizeof(struct virtio_net_config)];
};

static inline struct frozen take(struct hostile *h)
{
	const struct virtio_device *virtio = h->guest->virtio;
	struct frozen frozen;
	unsigned int i;

	memset(&frozen, 0, sizeof(frozen));
	frozen.features = virtio->state.driver_features;
	frozen.status = virtio->state.status;
	frozen.interrupt_status = virtio->state.interrupt_status;
	frozen.generation = virtio->state.config_generation;
	for (i = 0; i < VIRTIO_QUEUES_MAX; i++)
		memcpy(&frozen.queues[i], &virtio->queues[i].state, sizeof(frozen.queues[i]));
	FAKE_CHECK(virtio->config_size <= sizeof(frozen.config));
	memcpy(frozen.config, virtio->config, virtio->config_size);
	return frozen;
}

static inline void check_unchanged(struct hostile *h, const struct frozen *before)
{
	const struct frozen now = take(h);

	CHECK(h, !memcmp(&now, before, sizeof(now)));
}

static inline void write_queue_registers(struct hostile *h, uint32_t sel)
{
	size_t i, j;

	fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_SEL, sel);
	for (i = 0; i < ARRAY_SIZE(queue_registers); i++)
		for (j = 0; j < ARRAY_SIZE(rubbish); j++)
			fake_reg_write(h->guest, queue_registers[i], rubbish[j]);
}

static inline void program_queues(struct hostile *h)
{
	unsigned int i;

	for (i = 0; i < h->guest->virtio->nr_queues; i++)
		fake_queue_program(h->guest, i);
}

static inline void driver_ok(struct hostile *h)
{
	fake_reg_write(h->guest, VIRTIO_MMIO_STATUS, RUNNING);
	CHECK(h, hostile_status(h) == RUNNING);
	fake_run(h->guest);
	fake_irqs(h->guest);
}

static inline void set_ready(struct hostile *h, unsigned int queue, uint32_t value)
{
	fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_SEL, queue);
	fake_reg_write(h->guest, VIRTIO_MMIO_QUEUE_READY, value);
}

#endif
