/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The least a driver of a virtio network device needs, next to virtio.h; virtio 1.2, 5.1. What is
 * received is thrown away.
 */
#ifndef HUSK_TEST_VIRTIO_NET_H
#define HUSK_TEST_VIRTIO_NET_H

#include "virtio.h"

#include <linux/virtio_net.h>

#define NET_RX 0
#define NET_TX 1
#define NET_BUFFER 2048
#define NET_FEATURES (1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_NET_F_STATUS)
#define NET_HEADER sizeof(struct virtio_net_hdr_v1)

struct net_queue {
	struct vring_desc desc[QUEUE_SIZE];
	uint8_t buffers[QUEUE_SIZE][NET_BUFFER];
	struct {
		uint16_t flags, idx, ring[QUEUE_SIZE], event;
	} avail;
	struct {
		uint16_t flags, idx;
		struct vring_used_elem ring[QUEUE_SIZE];
		uint16_t event;
	} used __attribute__((aligned(4)));
} __attribute__((aligned(16)));

static struct net_queue net_queues[2];

static inline bool net_link_is_up(uint64_t window)
{
	return *(volatile uint16_t *)(window + VIRTIO_MMIO_CONFIG +
				      offsetof(struct virtio_net_config, status)) &
	       VIRTIO_NET_S_LINK_UP;
}

static inline void net_queue_start(uint64_t window, uint32_t index)
{
	struct net_queue *queue = &net_queues[index];
	uint16_t i;

	memset(queue, 0, sizeof(*queue));
	for (i = 0; i < QUEUE_SIZE; i++) {
		queue->desc[i].addr = (uintptr_t)queue->buffers[i];
		queue->desc[i].len = NET_BUFFER;
		queue->desc[i].flags = index == NET_RX ? VRING_DESC_F_WRITE : 0;
		queue->avail.ring[i] = i;
	}
	mmio_write32(window + VIRTIO_MMIO_QUEUE_SEL, index);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_NUM, QUEUE_SIZE);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)(uintptr_t)queue->desc);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_DESC_HIGH, 0);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_AVAIL_LOW, (uint32_t)(uintptr_t)&queue->avail);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_AVAIL_HIGH, 0);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_USED_LOW, (uint32_t)(uintptr_t)&queue->used);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_USED_HIGH, 0);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_READY, 1);
}

static inline bool net_start(uint64_t window)
{
	if (!virtio_negotiate(window, NET_FEATURES))
		return false;
	net_queue_start(window, NET_RX);
	net_queue_start(window, NET_TX);
	set_status(window, mmio_read32(window + VIRTIO_MMIO_STATUS) | VIRTIO_CONFIG_S_DRIVER_OK);
	return true;
}

/* Makes `nr` more buffers available, and kicks. */
static inline void net_offer(uint64_t window, uint32_t index, uint16_t nr)
{
	struct net_queue *queue = &net_queues[index];

	__atomic_store_n(&queue->avail.idx, queue->avail.idx + nr, __ATOMIC_RELEASE);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_NOTIFY, index);
}

/* Buffers offered and not yet used. */
static inline uint16_t net_pending(uint32_t index)
{
	struct net_queue *queue = &net_queues[index];

	return (uint16_t)(queue->avail.idx - __atomic_load_n(&queue->used.idx, __ATOMIC_ACQUIRE));
}

/* Offers again what was received. */
static inline void net_receive(uint64_t window)
{
	uint16_t nr = (uint16_t)(QUEUE_SIZE - net_pending(NET_RX));

	if (nr)
		net_offer(window, NET_RX, nr);
}

#endif
