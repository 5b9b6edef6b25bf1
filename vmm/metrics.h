/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What one run cost, for --timing (text) and --metrics (JSON): the timeline, exits to husk and
 * exits altogether by kind, page faults of husk's own process.
 *
 * Silent. Opened before the jail, and before the filters, under which no memory can be had: what
 * is printed is put together in buffers that are there.
 */
#ifndef HUSK_METRICS_H
#define HUSK_METRICS_H

#include <stdatomic.h>

#include "kvm_stats.h"
#include "timeline.h"
#include "vcpu.h"

#define METRICS_VCPUS_MAX 32

struct metrics_exits {
	uint64_t pio, mmio, other; /* to husk */
	struct kvm_stat_values kvm;
};

struct metrics {
	struct timeline *timeline; /* borrowed */
	const struct vcpu *vcpus;  /* borrowed */
	unsigned int nr_vcpus;
	int process_fd; /* /proc/self/stat; -1: there is none */
	struct kvm_stats stats[METRICS_VCPUS_MAX];

	/* When the guest's init ran its first instruction, and the exits until then. */
	uint64_t init_ns;
	struct metrics_exits before_init;
	atomic_int init; /* enum metrics_init */
};

/* Begins to count; takes half-made ones, and those whose kernel counts nothing. */
void metrics_open(struct metrics *metrics, struct timeline *timeline, const struct vcpu *vcpus,
		  unsigned int nr_vcpus);
void metrics_close(struct metrics *metrics);

/* The guest says that its init starts, on a vCPU's thread. It counts once. */
void metrics_init_starts(struct metrics *metrics);

/* When that was; 0: not yet. For the main thread. */
uint64_t metrics_init_ns(const struct metrics *metrics);

/*
 * At the end, on the main thread. metrics_end comes first, once; metrics_print writes to standard
 * error, metrics_write one line of JSON; 0 or -errno.
 */
void metrics_end(struct metrics *metrics);
void metrics_print(const struct metrics *metrics);
int metrics_write(const struct metrics *metrics, int fd, int status);

#endif
