/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What an x86-64 vCPU is before its first instruction: CPUID, model-specific registers, local
 * APIC, registers.
 *
 * Logs why a step failed, once. For the main thread, before vCPUs run.
 */
#ifndef HUSK_CPU_X86_H
#define HUSK_CPU_X86_H

#include <stdint.h>

#include "guest_mem.h"

struct kvm_cpuid2;

/* How the first vCPU enters the kernel. */
enum cpu_entry {
	/* 64-bit long mode, paging on, RSI: boot_params. Linux boot protocol, "64-bit". */
	CPU_ENTRY_LINUX64,
	/* 32-bit protected mode, paging off, EBX: start info. Xen, docs/misc/pvh. */
	CPU_ENTRY_PVH,
};

struct cpu_start {
	enum cpu_entry entry;
	gpa_t ip;
	gpa_t info; /* boot_params or start info */
};

/*
 * Sets up vCPU number `index` of `nr_cpus`; `cpuid`, a table as of cpuid.h, is changed for it. All
 * but the first one (index 0) wait for the first to wake them. 0 or -errno.
 */
int cpu_x86_init(int vcpu_fd, unsigned int index, unsigned int nr_cpus, struct kvm_cpuid2 *cpuid);

/* Points the first vCPU at what it is to run. 0 or -errno. */
int cpu_x86_start(int vcpu_fd, const struct cpu_start *start);

/*
 * Writes the descriptor table that `entry` starts with, and for CPU_ENTRY_LINUX64 identity page
 * tables (4 GiB in 2 MiB pages). 0 or -EFAULT.
 */
int cpu_x86_write_tables(const struct guest_mem *mem, enum cpu_entry entry);

#endif
