/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Intel MultiProcessor table: tells kernels without ACPI their CPUs and I/O APIC.
 * MultiProcessor Specification 1.4, chapter 4.
 *
 * Silent.
 */
#ifndef HUSK_MPTABLE_H
#define HUSK_MPTABLE_H

#include "guest_mem.h"

/* Writes the table for `nr_cpus` at MPTABLE_ADDR. 0 or -EFAULT. */
int mptable_write(const struct guest_mem *mem, unsigned int nr_cpus);

#endif
