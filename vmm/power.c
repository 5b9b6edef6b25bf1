/* SPDX-License-Identifier: Apache-2.0 */
#include "power.h"

#include "util.h"

#define SLEEP_ENABLE (1u << 5)
#define SLEEP_TYPE_SHIFT 2
#define SLEEP_TYPE_MASK 7u

/* Keyboard controller: command port, and the command that pulses the reset line (bit 0 low). */
#define I8042_COMMAND 4u
#define I8042_PULSE_MASK 0xf1u
#define I8042_PULSE_RESET 0xf0u

static void acpi_read(struct device *device, uint64_t offset, void *ret_data, unsigned int len)
{
	/* All registers read as zero: awake. */
	(void)device;
	(void)offset;
	(void)ret_data;
	(void)len;
}

static void acpi_write_register(struct device *device, uint64_t offset, const void *data,
				unsigned int len)
{
	struct power *power = container_of(device, struct power, acpi);
	uint8_t value = *(const uint8_t *)data;

	(void)len;
	if (offset == POWER_SLEEP_CONTROL && value & SLEEP_ENABLE &&
	    (value >> SLEEP_TYPE_SHIFT & SLEEP_TYPE_MASK) == POWER_SLEEP_TYPE_OFF)
		power->fn(power->ctx, POWER_EVENT_OFF);
	else if (offset == POWER_RESET && value == POWER_RESET_VALUE)
		power->fn(power->ctx, POWER_EVENT_RESET);
}

/* Status zero: its buffers are empty, so kernels do not wait before they pulse the reset line. */
static void i8042_read(struct device *device, uint64_t offset, void *ret_data, unsigned int len)
{
	(void)device;
	(void)offset;
	(void)ret_data;
	(void)len;
}

static void i8042_write(struct device *device, uint64_t offset, const void *data, unsigned int len)
{
	struct power *power = container_of(device, struct power, i8042);
	uint8_t value = *(const uint8_t *)data;

	(void)len;
	if (offset == I8042_COMMAND && (value & I8042_PULSE_MASK) == I8042_PULSE_RESET)
		power->fn(power->ctx, POWER_EVENT_RESET);
}

static const struct device_ops acpi_ops = {acpi_read, acpi_write_register};
static const struct device_ops i8042_ops = {i8042_read, i8042_write};

void power_init(struct power *power, power_fn *fn, void *ctx)
{
	power->fn = fn;
	power->ctx = ctx;
	device_init(&power->acpi, &acpi_ops, "power");
	device_init(&power->i8042, &i8042_ops, "i8042");
}
