/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_mmio.h"

#include <linux/virtio_mmio.h>
#include <string.h>

#define MMIO_MAGIC 0x74726976u	   /* "virt" */
#define MMIO_VERSION 2u		   /* not the legacy interface */
#define MMIO_VENDOR_ID 0x4b535548u /* "HUSK" */

/*
 * One register. Offset and value are the guest's. A missing function is a register that reads
 * as zero, or that is read-only.
 */
struct mmio_register {
	uint32_t (*read)(const struct virtio_device *virtio, uint32_t reg);
	void (*write)(struct virtio_device *virtio, uint32_t reg, uint32_t value);
};

static uint32_t read_constant(const struct virtio_device *virtio, uint32_t reg)
{
	switch (reg) {
	case VIRTIO_MMIO_MAGIC_VALUE:
		return MMIO_MAGIC;
	case VIRTIO_MMIO_VERSION:
		return MMIO_VERSION;
	case VIRTIO_MMIO_DEVICE_ID:
		return virtio->id;
	case VIRTIO_MMIO_VENDOR_ID:
		return MMIO_VENDOR_ID;
	default:
		/* VIRTIO_MMIO_SHM_*: a shared memory region that is not there has length -1. */
		return UINT32_MAX;
	}
}

static uint32_t read_device_features(const struct virtio_device *virtio, uint32_t reg)
{
	uint32_t sel = virtio->state.device_features_sel;

	(void)reg;
	return sel > 1 ? 0 : (uint32_t)(virtio->features >> (32 * sel));
}

static void write_driver_features(struct virtio_device *virtio, uint32_t reg, uint32_t value)
{
	(void)reg;
	virtio_set_driver_features(virtio, virtio->state.driver_features_sel, value);
}

static void write_selector(struct virtio_device *virtio, uint32_t reg, uint32_t value)
{
	switch (reg) {
	case VIRTIO_MMIO_DEVICE_FEATURES_SEL:
		virtio->state.device_features_sel = value;
		break;
	case VIRTIO_MMIO_DRIVER_FEATURES_SEL:
		virtio->state.driver_features_sel = value;
		break;
	case VIRTIO_MMIO_QUEUE_SEL:
		virtio->state.queue_sel = value;
		break;
	}
}

static uint32_t read_queue_num_max(const struct virtio_device *virtio, uint32_t reg)
{
	(void)reg;
	return virtio->state.queue_sel < virtio->nr_queues ? VIRTQUEUE_SIZE_MAX : 0;
}

static uint32_t read_queue_ready(const struct virtio_device *virtio, uint32_t reg)
{
	uint32_t sel = virtio->state.queue_sel;

	(void)reg;
	return sel < virtio->nr_queues && virtio->queues[sel].state.ready;
}

/* The queue that QueueSel selects, or NULL where its registers take no writes now. */
static struct virtqueue *selected_queue(struct virtio_device *virtio)
{
	uint32_t sel = virtio->state.queue_sel;

	if (sel >= virtio->nr_queues || !virtio_can_configure(virtio))
		return NULL;
	return &virtio->queues[sel];
}

static void write_half(gpa_t *address, bool high, uint32_t value)
{
	const unsigned int shift = high ? 32 : 0;

	*address = (*address & ~((gpa_t)UINT32_MAX << shift)) | (gpa_t)value << shift;
}

static void write_queue(struct virtio_device *virtio, uint32_t reg, uint32_t value)
{
	struct virtqueue *queue = selected_queue(virtio);

	/* The rings were checked where they are: they cannot move under a ready queue. */
	if (!queue || queue->state.ready)
		return;
	switch (reg) {
	case VIRTIO_MMIO_QUEUE_NUM:
		/* 0 is refused with the rest when the queue gets ready. */
		queue->state.size = value > VIRTQUEUE_SIZE_MAX ? 0 : (uint16_t)value;
		break;
	case VIRTIO_MMIO_QUEUE_DESC_LOW:
	case VIRTIO_MMIO_QUEUE_DESC_HIGH:
		write_half(&queue->state.desc, reg == VIRTIO_MMIO_QUEUE_DESC_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_AVAIL_LOW:
	case VIRTIO_MMIO_QUEUE_AVAIL_HIGH:
		write_half(&queue->state.avail, reg == VIRTIO_MMIO_QUEUE_AVAIL_HIGH, value);
		break;
	case VIRTIO_MMIO_QUEUE_USED_LOW:
	case VIRTIO_MMIO_QUEUE_USED_HIGH:
		write_half(&queue->state.used, reg == VIRTIO_MMIO_QUEUE_USED_HIGH, value);
		break;
	}
}

/*
 * Drivers clear QueueReady in two places: when their set-up fails half-way, before
 * DRIVER_OK, which works here; and after a reset, when it is clear already. A running queue can
 * be stopped by a reset only (VIRTIO_F_RING_RESET is not offered).
 */
static void write_queue_ready(struct virtio_device *virtio, uint32_t reg, uint32_t value)
{
	struct virtqueue *queue = selected_queue(virtio);

	(void)reg;
	if (!queue)
		return;
	if (!value)
		virtqueue_reset(queue);
	else if (!queue->state.ready &&
		 virtqueue_enable(queue, virtio->mem, virtio->state.driver_features))
		virtio_broken(virtio, "bad queue size or ring address");
}

/* Where an ioeventfd is bound to the register, the kernel answers and this never runs. */
static void write_queue_notify(struct virtio_device *virtio, uint32_t reg, uint32_t value)
{
	(void)reg;
	if (value < virtio->nr_queues)
		virtio_kick_again(virtio, value);
}

static uint32_t read_state(const struct virtio_device *virtio, uint32_t reg)
{
	switch (reg) {
	case VIRTIO_MMIO_INTERRUPT_STATUS:
		return virtio->state.interrupt_status;
	case VIRTIO_MMIO_STATUS:
		return virtio->state.status;
	case VIRTIO_MMIO_CONFIG_GENERATION:
		return virtio->state.config_generation;
	default:
		return 0;
	}
}

static void write_interrupt_ack(struct virtio_device *virtio, uint32_t reg, uint32_t value)
{
	(void)reg;
	virtio_ack_interrupt(virtio, value);
}

static void write_status(struct virtio_device *virtio, uint32_t reg, uint32_t value)
{
	(void)reg;
	virtio_set_status(virtio, value);
}

#define REGISTER(name) [VIRTIO_MMIO_##name / sizeof(uint32_t)]

/* virtio 1.2, 4.2.2. What is not in here reads as zero and takes no write. */
static const struct mmio_register registers[VIRTIO_MMIO_CONFIG / sizeof(uint32_t)] = {
	REGISTER(MAGIC_VALUE) = {read_constant, NULL},
	REGISTER(VERSION) = {read_constant, NULL},
	REGISTER(DEVICE_ID) = {read_constant, NULL},
	REGISTER(VENDOR_ID) = {read_constant, NULL},
	REGISTER(DEVICE_FEATURES) = {read_device_features, NULL},
	REGISTER(DEVICE_FEATURES_SEL) = {NULL, write_selector},
	REGISTER(DRIVER_FEATURES) = {NULL, write_driver_features},
	REGISTER(DRIVER_FEATURES_SEL) = {NULL, write_selector},
	REGISTER(QUEUE_SEL) = {NULL, write_selector},
	REGISTER(QUEUE_NUM_MAX) = {read_queue_num_max, NULL},
	REGISTER(QUEUE_NUM) = {NULL, write_queue},
	REGISTER(QUEUE_READY) = {read_queue_ready, write_queue_ready},
	REGISTER(QUEUE_NOTIFY) = {NULL, write_queue_notify},
	REGISTER(INTERRUPT_STATUS) = {read_state, NULL},
	REGISTER(INTERRUPT_ACK) = {NULL, write_interrupt_ack},
	REGISTER(STATUS) = {read_state, write_status},
	REGISTER(QUEUE_DESC_LOW) = {NULL, write_queue},
	REGISTER(QUEUE_DESC_HIGH) = {NULL, write_queue},
	REGISTER(QUEUE_AVAIL_LOW) = {NULL, write_queue},
	REGISTER(QUEUE_AVAIL_HIGH) = {NULL, write_queue},
	REGISTER(QUEUE_USED_LOW) = {NULL, write_queue},
	REGISTER(QUEUE_USED_HIGH) = {NULL, write_queue},
	REGISTER(SHM_LEN_LOW) = {read_constant, NULL},
	REGISTER(SHM_LEN_HIGH) = {read_constant, NULL},
	REGISTER(SHM_BASE_LOW) = {read_constant, NULL},
	REGISTER(SHM_BASE_HIGH) = {read_constant, NULL},
	REGISTER(CONFIG_GENERATION) = {read_state, NULL},
};

static struct virtio_device *virtio_of(struct device *device)
{
	return container_of(device, struct virtio_device, device);
}

/* The register at `offset`; NULL for an access virtio 1.2, 4.2.2.2 does not allow. */
static const struct mmio_register *register_at(uint64_t offset, unsigned int len)
{
	if (offset >= VIRTIO_MMIO_CONFIG || offset % sizeof(uint32_t) || len != sizeof(uint32_t))
		return NULL;
	return &registers[offset / sizeof(uint32_t)];
}

static void config_read(const struct virtio_device *virtio, uint64_t offset, void *ret_data,
			unsigned int len)
{
	/* Of any width and alignment; past the end it reads as zeroes, which the bus put there. */
	if (offset < virtio->config_size)
		memcpy(ret_data, (const char *)virtio->config + offset,
		       MIN(len, virtio->config_size - offset));
}

static void mmio_read(struct device *device, uint64_t offset, void *ret_data, unsigned int len)
{
	const struct virtio_device *virtio = virtio_of(device);
	const struct mmio_register *at = register_at(offset, len);
	uint32_t value;

	if (offset >= VIRTIO_MMIO_CONFIG) {
		config_read(virtio, offset - VIRTIO_MMIO_CONFIG, ret_data, len);
	} else if (at && at->read) {
		value = at->read(virtio, (uint32_t)offset);
		memcpy(ret_data, &value, sizeof(value));
	}
}

static void mmio_write(struct device *device, uint64_t offset, const void *data, unsigned int len)
{
	const struct mmio_register *at = register_at(offset, len);
	uint32_t value;

	/* The configuration space is read-only: no device here has a field to write. */
	if (!at || !at->write)
		return;
	memcpy(&value, data, sizeof(value));
	at->write(virtio_of(device), (uint32_t)offset, value);
	if (virtio_of(device)->changed)
		virtio_of(device)->changed(virtio_of(device));
}

/* One of the page's words: a guest's read of it is never of half a change. */
static void show(const struct virtio_device *virtio, uint64_t offset, uint32_t value)
{
	__atomic_store_n((uint32_t *)((char *)virtio->page + offset), value, __ATOMIC_RELEASE);
}

static void show_config(const struct virtio_device *virtio)
{
	uint64_t offset;

	for (offset = 0; offset < virtio->config_size; offset += sizeof(uint32_t)) {
		uint32_t value = 0;

		memcpy(&value, (const char *)virtio->config + offset,
		       MIN(sizeof(value), virtio->config_size - offset));
		show(virtio, VIRTIO_MMIO_CONFIG + offset, value);
	}
}

static void mmio_changed(struct virtio_device *virtio)
{
	uint32_t reg;

	/* Then the generation, among the registers. */
	show_config(virtio);
	for (reg = 0; reg < VIRTIO_MMIO_CONFIG; reg += sizeof(uint32_t)) {
		const struct mmio_register *at = &registers[reg / sizeof(uint32_t)];

		if (at->read)
			show(virtio, reg, at->read(virtio, reg));
	}
}

static const struct device_ops mmio_ops = {.read = mmio_read, .write = mmio_write};

void virtio_mmio_init(struct virtio_device *virtio, void *page)
{
	virtio->device.ops = &mmio_ops;
	virtio->page = page;
	if (!page)
		return;
	virtio->changed = mmio_changed;
	mmio_changed(virtio);
}
