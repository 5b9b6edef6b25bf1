/* SPDX-License-Identifier: Apache-2.0 */
#include "bus.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "util.h"

int bus_add(struct bus *bus, uint64_t base, uint64_t size, struct device *device)
{
	unsigned int at = bus->nr_ranges;
	uint64_t end;

	if (bus->frozen)
		return -EBUSY;
	if (!size || add_overflows(base, size, &end))
		return -EINVAL;
	if (bus->nr_ranges == BUS_RANGES_MAX)
		return -ENOSPC;
	/* Kept sorted: find the place from the top. */
	while (at && bus->ranges[at - 1].base >= end)
		at--;
	if (at && bus->ranges[at - 1].base + bus->ranges[at - 1].size > base)
		return -EEXIST;
	memmove(&bus->ranges[at + 1], &bus->ranges[at],
		(bus->nr_ranges - at) * sizeof(bus->ranges[0]));
	bus->ranges[at] = (struct bus_range){base, size, device};
	bus->nr_ranges++;
	return 0;
}

void bus_freeze(struct bus *bus)
{
	bus->frozen = true;
}

static const struct bus_range *bus_find(const struct bus *bus, uint64_t addr)
{
	unsigned int low = 0, high = bus->nr_ranges;

	while (low < high) {
		unsigned int middle = (low + high) / 2;
		const struct bus_range *range = &bus->ranges[middle];

		if (addr < range->base)
			high = middle;
		else if (addr - range->base >= range->size)
			low = middle + 1;
		else
			return range;
	}
	return NULL;
}

bool bus_read(const struct bus *bus, uint64_t addr, void *ret_data, unsigned int len)
{
	const struct bus_range *range = bus_find(bus, addr);

	if (!range) {
		memset(ret_data, 0xff, len);
		return false;
	}
	memset(ret_data, 0, len);
	pthread_mutex_lock(&range->device->lock);
	range->device->ops->read(range->device, addr - range->base, ret_data, len);
	pthread_mutex_unlock(&range->device->lock);
	return true;
}

bool bus_write(const struct bus *bus, uint64_t addr, const void *data, unsigned int len)
{
	const struct bus_range *range = bus_find(bus, addr);

	if (!range)
		return false;
	pthread_mutex_lock(&range->device->lock);
	range->device->ops->write(range->device, addr - range->base, data, len);
	pthread_mutex_unlock(&range->device->lock);
	return true;
}
