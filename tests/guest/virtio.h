/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least a driver of a virtio block device over MMIO needs; virtio 1.2, 4.2 and 5.2. One
 * request at a time, and the used ring is polled.
 */
#ifndef HUSK_TEST_VIRTIO_H
#define HUSK_TEST_VIRTIO_H

#include "guest.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>

#define MMIO_MAGIC 0x74726976 /* "virt" */
#define SECTOR_SIZE 512
#define QUEUE_SIZE 8
#define NO_ANSWER 0xee /* a status no device writes */

static struct vring_desc desc[QUEUE_SIZE] __attribute__((aligned(16)));
static struct {
	uint16_t flags, idx, ring[QUEUE_SIZE], event;
} avail __attribute__((aligned(2)));
static struct {
	uint16_t flags, idx;
	struct vring_used_elem ring[QUEUE_SIZE];
	uint16_t event;
} used __attribute__((aligned(4)));

/* The next window on the command line, "virtio_mmio.device=4K@ADDR:IRQ"; 0: there is none. */
static inline uint64_t virtio_next(const char **cmdline)
{
	const char *window = cmdline_next(cmdline, "virtio_mmio.device=4K@");

	return window ? parse_hex(window) : 0;
}

static inline uint64_t virtio_features(uint64_t window)
{
	uint64_t features;

	mmio_write32(window + VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	features = (uint64_t)mmio_read32(window + VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	mmio_write32(window + VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return features | mmio_read32(window + VIRTIO_MMIO_DEVICE_FEATURES);
}

static inline void set_status(uint64_t window, uint32_t status)
{
	mmio_write32(window + VIRTIO_MMIO_STATUS, status);
}

/* Resets the device and goes on to FEATURES_OK; true if it agreed. */
static inline bool virtio_negotiate(uint64_t window, uint64_t features)
{
	uint32_t status = VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER;

	set_status(window, 0);
	set_status(window, VIRTIO_CONFIG_S_ACKNOWLEDGE);
	set_status(window, status);
	mmio_write32(window + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	mmio_write32(window + VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
	mmio_write32(window + VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	mmio_write32(window + VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	set_status(window, status | VIRTIO_CONFIG_S_FEATURES_OK);
	return mmio_read32(window + VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK;
}

/* Gives the device its queue, then starts it. */
static inline void virtio_start(uint64_t window)
{
	memset(&avail, 0, sizeof(avail));
	memset(&used, 0, sizeof(used));
	mmio_write32(window + VIRTIO_MMIO_QUEUE_SEL, 0);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)(uintptr_t)desc);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)(uintptr_t)&avail);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)(uintptr_t)&used);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_USED_HIGH, 0);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_READY, 1);
	set_status(window, mmio_read32(window + VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
}

/* Does one request, its data in one piece; the status the device wrote. */
static inline uint8_t blk_request(uint64_t window, uint32_t type, uint64_t sector, void *data,
				  uint32_t len)
{
	static struct virtio_blk_outhdr header;
	static volatile uint8_t status;
	const bool to_device = type == VIRTIO_BLK_T_OUT || type == VIRTIO_BLK_T_DISCARD ||
			       type == VIRTIO_BLK_T_WRITE_ZEROES;
	const uint16_t data_flags = to_device ? 0 : VRING_DESC_F_WRITE;
	uint16_t last = used.idx;

	header = (struct virtio_blk_outhdr){.type = type, .sector = sector};
	status = NO_ANSWER;
	desc[0] = (struct vring_desc){(uintptr_t)&header, sizeof(header), VRING_DESC_F_NEXT,
				      len ? 1 : 2};
	desc[1] = (struct vring_desc){(uintptr_t)data, len, data_flags | VRING_DESC_F_NEXT, 2};
	desc[2] = (struct vring_desc){(uintptr_t)&status, 1, VRING_DESC_F_WRITE, 0};
	avail.ring[avail.idx % QUEUE_SIZE] = 0;
	__atomic_store_n(&avail.idx, avail.idx + 1, __ATOMIC_RELEASE);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	while (__atomic_load_n(&used.idx, __ATOMIC_ACQUIRE) == last)
		cpu_relax();
	return status;
}

#endif
