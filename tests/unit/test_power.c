/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>

#include "power.h"

static unsigned int events[2];

static void on_power(void *ctx, enum power_event event)
{
	assert_ptr_equal(ctx, events);
	events[event]++;
}

static void put(struct device *device, uint64_t offset, uint64_t value, unsigned int len)
{
	device->ops->write(device, offset, &value, len);
}

/* Each value at each register, in each width: what it does is in its low byte. */
static void only_the_right_values(void **state)
{
	struct power power;
	uint64_t offset, value;
	unsigned int len;

	(void)state;
	power_init(&power, on_power, events);
	for (offset = 0; offset < 8; offset++)
		for (value = 0; value < 256; value++)
			for (len = 1; len <= 8; len++) {
				/* Sleep type 5 in bits 2 to 4, and the enable bit; others are free.
				 */
				bool off = offset == 0 && (value & 0x3c) == 0x34;
				bool reset = offset == 2 && value == 1;

				events[POWER_EVENT_OFF] = events[POWER_EVENT_RESET] = 0;
				put(&power.acpi, offset, value, len);
				assert_int_equal(events[POWER_EVENT_OFF], off);
				assert_int_equal(events[POWER_EVENT_RESET], reset);

				/* Pulse output bits that are zero; bit 0 is the reset line. */
				reset = offset == 4 && value >= 0xf0 && !(value & 1);
				events[POWER_EVENT_OFF] = events[POWER_EVENT_RESET] = 0;
				put(&power.i8042, offset, value, len);
				assert_int_equal(events[POWER_EVENT_OFF], 0);
				assert_int_equal(events[POWER_EVENT_RESET], reset);
			}
}

static void reads_are_zero(void **state)
{
	struct power power;
	struct device *const devices[] = {&power.acpi, &power.i8042};
	uint64_t offset, value;
	int i;

	(void)state;
	events[POWER_EVENT_OFF] = events[POWER_EVENT_RESET] = 0;
	power_init(&power, on_power, events);
	for (i = 0; i < 2; i++)
		for (offset = 0; offset < 8; offset++) {
			value = 0;
			devices[i]->ops->read(devices[i], offset, &value, 8);
			assert_int_equal(value, 0);
		}
	assert_int_equal(events[POWER_EVENT_OFF] + events[POWER_EVENT_RESET], 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(only_the_right_values),
		cmocka_unit_test(reads_are_zero),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
