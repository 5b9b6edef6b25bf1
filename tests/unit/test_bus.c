/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "bus.h"
#include "util.h"

/* Notes what reaches it. */
struct probe {
	struct device device;
	uint64_t offset;
	unsigned int len, reads, writes;
	unsigned char data[8];
};

static struct probe *probe_of(struct device *device)
{
	struct probe *probe = container_of(device, struct probe, device);

	/* The bus holds the lock. */
	assert_int_equal(pthread_mutex_trylock(&device->lock), EBUSY);
	return probe;
}

static void probe_read(struct device *device, uint64_t offset, void *ret_data, unsigned int len)
{
	struct probe *probe = probe_of(device);

	probe->offset = offset;
	probe->len = len;
	probe->reads++;
	/* Only the first byte: the bus has zeroed the rest. */
	*(unsigned char *)ret_data = 0x42;
}

static void probe_write(struct device *device, uint64_t offset, const void *data, unsigned int len)
{
	struct probe *probe = probe_of(device);

	probe->offset = offset;
	probe->len = len;
	probe->writes++;
	memcpy(probe->data, data, len);
}

static const struct device_ops probe_ops = {.read = probe_read, .write = probe_write};

static struct probe probe_new(void)
{
	struct probe probe = {0};

	device_init(&probe.device, &probe_ops, "probe");
	return probe;
}

static void access_reaches_the_device(void **state)
{
	struct bus bus = {.nr_ranges = 0};
	struct probe a = probe_new(), b = probe_new();
	unsigned char data[8] = {1, 2, 3, 4, 5, 6, 7, 8};

	(void)state;
	/* Not in order, and touching. */
	assert_int_equal(bus_add(&bus, 0x2000, 0x1000, &b.device), 0);
	assert_int_equal(bus_add(&bus, 0x1000, 0x1000, &a.device), 0);
	bus_freeze(&bus);
	assert_true(bus_write(&bus, 0x1ffc, data, 3));
	assert_int_equal(a.writes, 1);
	assert_int_equal(a.offset, 0xffc);
	assert_int_equal(a.len, 3);
	assert_memory_equal(a.data, data, 3);
	assert_true(bus_read(&bus, 0x2000, data, 8));
	assert_int_equal(b.offset, 0);
	assert_memory_equal(data, "\x42\0\0\0\0\0\0\0", 8);
	/* It goes to the device it begins in. */
	assert_true(bus_read(&bus, 0x1fff, data, 8));
	assert_int_equal(a.offset, 0xfff);
	assert_int_equal(a.len, 8);
	assert_int_equal(b.reads, 1);
	/* The lock is free again. */
	assert_int_equal(pthread_mutex_trylock(&a.device.lock), 0);
	pthread_mutex_unlock(&a.device.lock);
}

static void nobody_there(void **state)
{
	static const uint64_t empty[] = {0, 0xfff, 0x1010, 0x1fff, 0x2010, UINT64_MAX};
	struct bus bus = {.nr_ranges = 0};
	struct probe probe = probe_new();
	unsigned char data[8];
	size_t i;

	(void)state;
	memset(data, 0, sizeof(data));
	assert_false(bus_read(&bus, 0, data, 4));
	assert_memory_equal(data, "\xff\xff\xff\xff\0\0\0\0", 8);
	bus_add(&bus, 0x1000, 0x10, &probe.device);
	bus_add(&bus, 0x2000, 0x10, &probe.device);
	for (i = 0; i < ARRAY_SIZE(empty); i++) {
		memset(data, 0, sizeof(data));
		assert_false(bus_read(&bus, empty[i], data, 1));
		assert_int_equal(data[0], 0xff);
		assert_int_equal(data[1], 0);
		assert_false(bus_write(&bus, empty[i], data, 8));
	}
	assert_int_equal(probe.reads + probe.writes, 0);
}

static void bad_ranges_are_refused(void **state)
{
	struct bus bus = {.nr_ranges = 0};
	struct probe probe = probe_new();
	struct device *device = &probe.device;
	uint64_t i;

	(void)state;
	assert_int_equal(bus_add(&bus, 0x1000, 0x1000, device), 0);
	assert_int_equal(bus_add(&bus, 0x5000, 0, device), -EINVAL);
	assert_int_equal(bus_add(&bus, UINT64_MAX, 2, device), -EINVAL);
	assert_int_equal(bus_add(&bus, 0x1000, 0x1000, device), -EEXIST);
	assert_int_equal(bus_add(&bus, 0x0fff, 2, device), -EEXIST);
	assert_int_equal(bus_add(&bus, 0x1fff, 1, device), -EEXIST);
	assert_int_equal(bus_add(&bus, 0, 0x10000, device), -EEXIST);
	assert_int_equal(bus_add(&bus, 0x1800, 1, device), -EEXIST);
	assert_int_equal(bus_add(&bus, 0x0fff, 1, device), 0);
	assert_int_equal(bus_add(&bus, 0x2000, 1, device), 0);
	for (i = 3; i < BUS_RANGES_MAX; i++)
		assert_int_equal(bus_add(&bus, 0x10000 + i, 1, device), 0);
	assert_int_equal(bus_add(&bus, 0x20000, 1, device), -ENOSPC);
	bus.nr_ranges = 1;
	bus_freeze(&bus);
	assert_int_equal(bus_add(&bus, 0x20000, 1, device), -EBUSY);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(access_reaches_the_device),
		cmocka_unit_test(nobody_there),
		cmocka_unit_test(bad_ranges_are_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
