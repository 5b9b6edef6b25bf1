/* SPDX-License-Identifier: Apache-2.0 */
/*
 * ACPI tables: tell kernels that have no other way their CPUs, their devices, and how to power
 * off. Hardware-reduced, so no interrupt, timer or port is emulated for it but the sleep register.
 * ACPI 6.4, chapters 5, 19 and 20.
 *
 * Silent.
 */
#ifndef HUSK_ACPI_H
#define HUSK_ACPI_H

#include <stdint.h>

#include "guest_mem.h"

/* A device that a kernel cannot find by itself. */
struct platform_device {
	enum { PLATFORM_SERIAL, PLATFORM_VIRTIO } kind;
	uint64_t addr; /* I/O port, or register page */
	uint32_t irq;
};

/* Writes all tables at ACPI_ADDR, the root pointer first. 0; -EFAULT; -ENOSPC: too many devices. */
int acpi_write(const struct guest_mem *mem, unsigned int nr_cpus,
	       const struct platform_device *devices, unsigned int nr_devices);

#endif
