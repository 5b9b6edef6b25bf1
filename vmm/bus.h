/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A bus: address ranges, each of which leads to a device. One bus for memory-mapped
 * registers, one for I/O ports.
 *
 * Silent. Ranges are added while the VM is built; after bus_freeze the bus is read-only, so
 * every vCPU thread looks up without a lock. bus_read and bus_write take the device's lock.
 */
#ifndef HUSK_BUS_H
#define HUSK_BUS_H

#include <stdbool.h>
#include <stdint.h>

#include "device.h"

#define BUS_RANGES_MAX 32

struct bus_range {
	uint64_t base;
	uint64_t size;
	struct device *device; /* borrowed */
};

struct bus {
	struct bus_range ranges[BUS_RANGES_MAX];
	unsigned int nr_ranges;
	bool frozen;
};

/* 0; -EINVAL: empty or wrapping range; -EEXIST: overlaps another; -ENOSPC; -EBUSY: frozen. */
int bus_add(struct bus *bus, uint64_t base, uint64_t size, struct device *device);

/* No range is added after this. */
void bus_freeze(struct bus *bus);

/*
 * A guest access of `len` bytes (1 to 8) that begins at `addr`. False if no device is there:
 * a read then gives all ones, as an open bus does, and a write is dropped. An access that
 * begins inside a range and ends past it goes to the device, which bounds it.
 */
bool bus_read(const struct bus *bus, uint64_t addr, void *ret_data, unsigned int len);
bool bus_write(const struct bus *bus, uint64_t addr, const void *data, unsigned int len);

#endif
