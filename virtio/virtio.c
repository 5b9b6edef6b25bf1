/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#define FEATURE(bit) (1ull << (bit))
#define STATUS_DRIVER_BITS \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | \
	 VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_FAILED)
#define STATUS_DEAD (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)

bool virtio_is_running(const struct virtio_device *virtio)
{
	return (virtio->state.status & (VIRTIO_CONFIG_S_DRIVER_OK | STATUS_DEAD)) ==
	       VIRTIO_CONFIG_S_DRIVER_OK;
}

bool virtio_can_configure(const struct virtio_device *virtio)
{
	return (virtio->state.status & (VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK |
					STATUS_DEAD)) == VIRTIO_CONFIG_S_FEATURES_OK;
}

/* On the loop thread. */
static void virtio_kicked(void *ctx, uint32_t events)
{
	struct virtio_kick *kick = ctx;
	eventfd_t count;

	(void)events;
	eventfd_read(kick->fd, &count);
	/* The guest may kick whenever it likes, and a kick may be older than a reset. */
	if (virtio_is_running(kick->virtio))
		kick->virtio->ops->kick(kick->virtio, kick->index);
}

static int kick_init(struct virtio_device *virtio, unsigned int index)
{
	struct virtio_kick *kick = &virtio->kicks[index];

	kick->virtio = virtio;
	kick->index = index;
	kick->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (kick->fd < 0)
		return -errno;
	kick->watch = (struct event_watch){
		.fd = kick->fd, .fn = virtio_kicked, .ctx = kick, .lock = &virtio->device.lock};
	return event_loop_add(virtio->loop, &kick->watch, EPOLLIN);
}

int virtio_init(struct virtio_device *virtio, const char *name, const struct guest_mem *mem,
		struct event_loop *loop)
{
	unsigned int i;
	int err;

	device_init(&virtio->device, NULL, name);
	virtio->features |= FEATURE(VIRTIO_F_VERSION_1) | FEATURE(VIRTIO_RING_F_INDIRECT_DESC) |
			    FEATURE(VIRTIO_RING_F_EVENT_IDX);
	virtio->mem = mem;
	virtio->loop = loop;
	for (i = 0; i < ARRAY_SIZE(virtio->kicks); i++)
		virtio->kicks[i].fd = -1;
	err = irq_line_init(&virtio->irq);
	for (i = 0; i < virtio->nr_queues && !err; i++)
		err = kick_init(virtio, i);
	return err;
}

void virtio_fini(struct virtio_device *virtio)
{
	unsigned int i;

	/* Zeroed storage: virtio_init never ran. */
	if (!virtio->loop)
		return;
	for (i = 0; i < virtio->nr_queues; i++) {
		event_loop_remove(virtio->loop, &virtio->kicks[i].watch);
		close_fd_ptr(&virtio->kicks[i].fd);
	}
	irq_line_fini(&virtio->irq);
	pthread_mutex_destroy(&virtio->device.lock);
}

static void tell_change(struct virtio_device *virtio)
{
	if (virtio->changed)
		virtio->changed(virtio);
}

/*
 * The edge is sent also where the status bit is already set. It may be that the driver has read
 * the status but not yet acknowledged it; its acknowledge then takes this bit away as well. No
 * completion is lost by that: the driver looks at the rings (and the configuration) after it has
 * acknowledged, and what this bit stands for was published before it was set. Nor is an edge
 * lost: one that comes while the handler runs stays pending in the interrupt controller, and one
 * that merges with another was sent before the handler ran. At worst a handler finds nothing.
 */
static void virtio_interrupt(struct virtio_device *virtio, uint32_t cause)
{
	virtio->state.interrupt_status |= cause;
	tell_change(virtio);
	irq_line_trigger(&virtio->irq);
}

void virtio_notify(struct virtio_device *virtio, unsigned int index)
{
	if (virtqueue_must_interrupt(&virtio->queues[index]))
		virtio_interrupt(virtio, VIRTIO_MMIO_INT_VRING);
}

void virtio_kick_again(struct virtio_device *virtio, unsigned int index)
{
	eventfd_write(virtio->kicks[index].fd, 1);
}

void virtio_config_changed(struct virtio_device *virtio)
{
	virtio->state.config_generation++;
	tell_change(virtio);
	/* virtio 1.2, 3.1.1: no notification before DRIVER_OK. */
	if (virtio_is_running(virtio))
		virtio_interrupt(virtio, VIRTIO_MMIO_INT_CONFIG);
}

void virtio_broken(struct virtio_device *virtio, const char *why)
{
	unsigned int i;

	if (virtio->state.status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	if (log_limit_ok(&virtio->log_limit))
		log_warn("device \"%s\": the guest's driver broke the rules (%s); "
			 "it stands still until the driver resets it",
			 virtio->device.name, why);
	virtio->state.status |= VIRTIO_CONFIG_S_NEEDS_RESET;
	for (i = 0; i < virtio->nr_queues; i++)
		virtio->queues[i].state.broken = true;
	tell_change(virtio);
	if (virtio->state.status & VIRTIO_CONFIG_S_DRIVER_OK)
		virtio_interrupt(virtio, VIRTIO_MMIO_INT_CONFIG);
}

static void virtio_reset(struct virtio_device *virtio)
{
	unsigned int i;

	if ((virtio->state.status & VIRTIO_CONFIG_S_DRIVER_OK) && virtio->ops->stop)
		virtio->ops->stop(virtio);
	for (i = 0; i < virtio->nr_queues; i++)
		virtqueue_reset(&virtio->queues[i]);
	/* The generation goes on: a driver may compare it across a reset. */
	virtio->state = (struct virtio_state){.config_generation = virtio->state.config_generation};
}

static bool features_acceptable(const struct virtio_device *virtio)
{
	return !(virtio->state.driver_features & ~virtio->features) &&
	       virtio_has_feature(virtio, VIRTIO_F_VERSION_1);
}

static void virtio_start(struct virtio_device *virtio)
{
	unsigned int i;

	for (i = 0; i < virtio->nr_queues; i++) {
		if (!virtio->queues[i].state.ready) {
			virtio_broken(virtio, "DRIVER_OK before every queue is ready");
			return;
		}
	}
	virtio->state.status |= VIRTIO_CONFIG_S_DRIVER_OK;
	if (virtio->ops->start)
		virtio->ops->start(virtio);
	/* The loop thread begins the work; what it does may not be done on a vCPU thread. */
	for (i = 0; i < virtio->nr_queues; i++)
		virtio_kick_again(virtio, i);
}

void virtio_set_status(struct virtio_device *virtio, uint32_t status)
{
	/* virtio 1.2, 3.1.1: each step stands on those before it. */
	static const struct {
		uint32_t bit;
		uint32_t needs;
	} order[] = {
		{VIRTIO_CONFIG_S_DRIVER, VIRTIO_CONFIG_S_ACKNOWLEDGE},
		{VIRTIO_CONFIG_S_FEATURES_OK, VIRTIO_CONFIG_S_DRIVER},
		{VIRTIO_CONFIG_S_DRIVER_OK, VIRTIO_CONFIG_S_FEATURES_OK},
	};
	uint32_t old = virtio->state.status, added;
	size_t i;

	if (!status) {
		virtio_reset(virtio);
		return;
	}
	if (old & VIRTIO_CONFIG_S_NEEDS_RESET)
		return;
	status &= STATUS_DRIVER_BITS;
	if (old & ~status) {
		virtio_broken(virtio, "status bits cleared without a reset");
		return;
	}
	added = status & ~old;
	/* virtio 1.2, 2.2.2: the driver reads back whether the bit stayed. */
	if ((added & VIRTIO_CONFIG_S_FEATURES_OK) && !features_acceptable(virtio))
		status &= ~(uint32_t)VIRTIO_CONFIG_S_FEATURES_OK;
	for (i = 0; i < ARRAY_SIZE(order); i++) {
		if ((status & order[i].bit) && !(status & order[i].needs)) {
			virtio_broken(virtio, "status bits set out of order");
			return;
		}
	}
	virtio->state.status = status & ~(added & VIRTIO_CONFIG_S_DRIVER_OK);
	if ((added & VIRTIO_CONFIG_S_DRIVER_OK) && !(status & VIRTIO_CONFIG_S_FAILED))
		virtio_start(virtio);
}

void virtio_set_driver_features(struct virtio_device *virtio, uint32_t sel, uint32_t bits)
{
	const unsigned int shift = 32 * (sel & 1);

	/* Frozen once agreed on; and there are none past 64. */
	if (sel > 1 || (virtio->state.status & (VIRTIO_CONFIG_S_FEATURES_OK | STATUS_DEAD)))
		return;
	virtio->state.driver_features &= ~((uint64_t)UINT32_MAX << shift);
	virtio->state.driver_features |= (uint64_t)bits << shift;
}

void virtio_ack_interrupt(struct virtio_device *virtio, uint32_t causes)
{
	virtio->state.interrupt_status &= ~causes;
}
