/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio device state machine, without transport: features, status, queues, interrupts,
 * reset. virtio 1.2, 2.1 to 2.4 and 3.1.
 *
 * Silent, apart from rate-limited lines about a broken driver. State is guarded by the lock of
 * `device`. Register functions come from a vCPU thread, kicks from the loop thread; a vCPU
 * thread does no more system calls than the lock, an eventfd write and a log line need.
 *
 * Life of a device: a device such as blk embeds a struct virtio_device, fills in its
 * description, calls virtio_init. The machine binds kick_fds to ioeventfds, `irq` to an irqfd
 * and the transport to a bus. The driver negotiates and sets DRIVER_OK: ops->start. Kicks
 * arrive at the loop: ops->kick. The driver writes 0 to the status: ops->stop, and all is as at
 * the start.
 */
#ifndef HUSK_VIRTIO_VIRTIO_H
#define HUSK_VIRTIO_VIRTIO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "event_loop.h"
#include "guest_mem.h"
#include "irq_line.h"
#include "queue.h"
#include "util.h"

#define VIRTIO_QUEUES_MAX 2

struct virtio_device;

/* All are called with the device's lock held. */
struct virtio_ops {
	/*
	 * The driver set DRIVER_OK and every queue is enabled. On a vCPU thread: may set state
	 * only; virtio sends a kick for each queue after it, so that the loop thread starts the
	 * work. May be NULL.
	 */
	void (*start)(struct virtio_device *virtio);
	/* The driver reset the device; queues are gone after it. On a vCPU thread. May be NULL. */
	void (*stop)(struct virtio_device *virtio);
	/*
	 * Queue `index` was kicked, on the loop thread; only between start and stop. Does a bounded
	 * piece of the work; if some is left, calls virtio_kick_again and returns.
	 */
	void (*kick)(struct virtio_device *virtio, unsigned int index);
};

/* What a snapshot keeps of the state machine; flat. */
struct virtio_state {
	uint64_t driver_features;
	uint32_t status;	   /* VIRTIO_CONFIG_S_* */
	uint32_t interrupt_status; /* VIRTIO_MMIO_INT_* */
	uint32_t config_generation;
	uint32_t device_features_sel;
	uint32_t driver_features_sel;
	uint32_t queue_sel;
};

struct virtio_device {
	struct device device; /* what the bus sees; the transport fills in its ops */

	/* Description, filled in before virtio_init, constant after it. */
	const struct virtio_ops *ops;
	uint32_t id;		/* VIRTIO_ID_* */
	uint64_t features;	/* offered; VERSION_1, INDIRECT_DESC, EVENT_IDX are added */
	unsigned int nr_queues; /* 1 to VIRTIO_QUEUES_MAX */
	const void *config;	/* device-specific configuration space, read-only to the driver */
	size_t config_size;

	struct virtio_state state;
	struct virtqueue queues[VIRTIO_QUEUES_MAX];

	/*
	 * What the driver reads has changed; of the transport, which may show it without being
	 * asked. With the lock held. NULL: nobody to tell.
	 */
	void (*changed)(struct virtio_device *virtio);

	/* Plumbing, made by virtio_init. */
	const struct guest_mem *mem;
	struct event_loop *loop;
	struct irq_line irq;
	struct virtio_kick {
		struct virtio_device *virtio;
		unsigned int index;
		int fd; /* eventfd; the machine ties it to QueueNotify by an ioeventfd */
		struct event_watch watch;
	} kicks[VIRTIO_QUEUES_MAX];
	struct log_limit log_limit;
	void *page; /* of the transport */
};

/*
 * Makes the eventfds and puts the kicks into the loop. `name`, `mem` and `loop` are borrowed and
 * outlive the device. 0 or -errno. virtio_fini undoes it, also where it failed half-way, and takes
 * zeroed storage.
 */
int virtio_init(struct virtio_device *virtio, const char *name, const struct guest_mem *mem,
		struct event_loop *loop);
void virtio_fini(struct virtio_device *virtio);

/*
 * For devices.
 */

/* Whether the driver accepted feature bit `bit`. */
static inline bool virtio_has_feature(const struct virtio_device *virtio, unsigned int bit)
{
	return virtio->state.driver_features >> bit & 1;
}

/* DRIVER_OK is set, no reset is asked for, and the driver has not given up (FAILED). */
bool virtio_is_running(const struct virtio_device *virtio);

/* Interrupts the driver for queue `index` if it wants that. Once per batch of pushes. */
void virtio_notify(struct virtio_device *virtio, unsigned int index);

/* Has ops->kick called again for queue `index`, after other devices had their turn. */
void virtio_kick_again(struct virtio_device *virtio, unsigned int index);

/*
 * The configuration space changed: raises the generation and interrupts the driver. While a driver
 * runs, a change is of one aligned 32-bit word: it may read the words in the middle of a change,
 * and the generation tells it only of one that it saw the end of.
 */
void virtio_config_changed(struct virtio_device *virtio);

/*
 * The driver broke the rules (`why`, for the log): the device sets DEVICE_NEEDS_RESET, tells the
 * driver, and does nothing more until it is reset. virtio 1.2, 2.1.2.
 */
void virtio_broken(struct virtio_device *virtio, const char *why);

/*
 * For the transport.
 */

/* The driver wrote `status`; 0 resets. Illegal transitions are ignored or make it broken. */
void virtio_set_status(struct virtio_device *virtio, uint32_t status);

/* The driver accepted the features in `bits`, 32 of them, number 32 * sel up. */
void virtio_set_driver_features(struct virtio_device *virtio, uint32_t sel, uint32_t bits);

/*
 * Whether queues may be configured now: between FEATURES_OK and DRIVER_OK, so that the features
 * a queue is enabled with are final.
 */
bool virtio_can_configure(const struct virtio_device *virtio);

/* Acknowledges interrupt causes. That of the rings alone need not come here: who maps the registers
 * may drop it. */
void virtio_ack_interrupt(struct virtio_device *virtio, uint32_t causes);

#endif
