/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What KVM counts of a vCPU: exits by kind, page faults, interrupts. KVM API, 4.133
 * KVM_GET_STATS_FD (Linux 5.14).
 *
 * Silent. kvm_stats_read makes pread calls only, and may be called by any thread.
 */
#ifndef HUSK_KVM_STATS_H
#define HUSK_KVM_STATS_H

#include <stdint.h>

enum kvm_stat {
	KVM_STAT_EXITS, /* of all kinds */
	KVM_STAT_IO,
	KVM_STAT_MMIO,
	KVM_STAT_HALT,
	KVM_STAT_HOST_INTERRUPT,
	KVM_STAT_INTERRUPT_WINDOW,
	KVM_STAT_HYPERCALL,
	KVM_STAT_EMULATED, /* instructions that KVM emulated */
	KVM_STAT_INJECTED, /* interrupts */
	KVM_STAT_PAGE_FAULT,
	KVM_STATS_NR
};

struct kvm_stats {
	int fd; /* -1: this kernel has none */
	uint64_t offsets[KVM_STATS_NR];
};

/* What a kernel does not have is UINT64_MAX. */
struct kvm_stat_values {
	uint64_t values[KVM_STATS_NR];
};

/* Of a vCPU. 0 or -errno; kvm_stats_close takes a failed one. */
int kvm_stats_open(struct kvm_stats *stats, int vcpu_fd);
void kvm_stats_close(struct kvm_stats *stats);

/* Adds the values as of now to `values`. */
void kvm_stats_add(const struct kvm_stats *stats, struct kvm_stat_values *values);

/* "exits", "io", ...: lower case, words joined by "_"; static storage. */
const char *kvm_stat_name(enum kvm_stat stat);

#endif
