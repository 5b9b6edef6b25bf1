/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device as the bus sees it: something that answers reads and writes of its registers.
 *
 * Each device embeds a `struct device` and owns it. Its lock guards all of the device's state
 * and is taken by bus_read/bus_write, on a vCPU thread, and by the event loop around the device's
 * watches. Device code itself takes no lock; what the loop thread does to a serial port outside
 * of its watches (serial_flush, guest_link_resized) does, and holds no other.
 */
#ifndef HUSK_DEVICE_H
#define HUSK_DEVICE_H

#include <pthread.h>
#include <stdint.h>

struct device;

struct device_ops {
	/*
	 * A guest access at `offset` into the range the device was given on the bus, of `len`
	 * bytes: 1 to 8, of any alignment, possibly past the last register. Both are guest input.
	 * read fills all of `ret_data`; the bus has zeroed it. Called with the lock held.
	 */
	void (*read)(struct device *device, uint64_t offset, void *ret_data, unsigned int len);
	void (*write)(struct device *device, uint64_t offset, const void *data, unsigned int len);
};

struct device {
	const struct device_ops *ops;
	const char *name; /* borrowed; for log lines */
	pthread_mutex_t lock;
};

static inline void device_init(struct device *device, const struct device_ops *ops,
			       const char *name)
{
	device->ops = ops;
	device->name = name;
	pthread_mutex_init(&device->lock, NULL);
}

#endif
