/* SPDX-License-Identifier: Apache-2.0 */
/* What the parts of the benchmark share; see main.c. */
#ifndef HUSK_BENCH_BENCH_H
#define HUSK_BENCH_BENCH_H

#include <jansson.h>

#include "driver.h"

struct bench {
	json_t *cases;
	const char *only; /* cases whose names have this in them */
	bool has_qemu;	  /* until it turns out that it has not */
};

/* Moves one batch and returns how many requests or frames that were. */
typedef unsigned int turn_fn(struct driver *driver);

/* Whether the case of that name is to be measured. */
bool bench_wants(const struct bench *bench, const char *name);

/* Has both do the same in turn. `qemu` may be NULL; `bytes` is the size of a request or frame. */
void bench_measure(struct bench *bench, const char *name, uint32_t bytes, struct driver *husk,
		   struct driver *qemu, turn_fn *turn);

/* By the disk's file: where it is, and with a ring or without. `aio` is QEMU's way. */
void bench_disks(struct bench *bench, const char *folder, const char *what, bool ring,
		 const char *aio);
void bench_nets(struct bench *bench);

#endif
