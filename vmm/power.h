/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Power-off and reset: the ACPI sleep and reset registers, and the reset line of the keyboard
 * controller, which every x86 kernel knows. No keyboard is behind it.
 * ACPI 6.4, 4.8.3.7 and 4.8.3.6.
 *
 * Silent. Runs on vCPU threads under the device's lock.
 */
#ifndef HUSK_POWER_H
#define HUSK_POWER_H

#include "device.h"

/* Offsets from POWER_PORT. */
#define POWER_SLEEP_CONTROL 0u
#define POWER_SLEEP_STATUS 1u
#define POWER_RESET 2u
#define POWER_PORTS 3u
#define I8042_PORTS 5u

#define POWER_SLEEP_TYPE_OFF 5u
#define POWER_RESET_VALUE 1u

enum power_event { POWER_EVENT_OFF, POWER_EVENT_RESET };

/* The guest asked for it; called on the vCPU's thread, perhaps more than once. */
typedef void power_fn(void *ctx, enum power_event event);

struct power {
	struct device acpi;  /* POWER_PORTS at POWER_PORT */
	struct device i8042; /* I8042_PORTS at I8042_PORT */
	power_fn *fn;
	void *ctx;
};

void power_init(struct power *power, power_fn *fn, void *ctx);

#endif
