/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: puts a VM together from its parts and runs it. The only place that knows every
 * device, and where each one is.
 *
 * machine_create logs why it failed, once. For the main thread.
 */
#ifndef HUSK_MACHINE_H
#define HUSK_MACHINE_H

#include <stdio.h>

#include "config.h"
#include "resources.h"
#include "timeline.h"
#include "verdict.h"

struct machine;

/*
 * Makes the VM that `config` describes, of `resources`; opens nothing by name, and no guest code
 * runs. All are borrowed; what is in `resources` is taken out as it goes. 0 or -errno.
 * machine_destroy takes NULL and half-built machines, not running ones.
 */
int machine_create(const struct vm_config *config, struct resources *resources,
		   struct timeline *timeline, struct machine **ret_machine);
void machine_destroy(struct machine *machine);

/*
 * Runs the VM until it ends, and says how; opens nothing. ending_block_signals came before. The
 * vCPU threads may still be there when it returns: the process is to end then.
 */
struct verdict machine_run(struct machine *machine);

/* Prints the filters that machine_run loads (seccomp_print.h), instead of it. 0 or -errno. */
int machine_print_seccomp(struct machine *machine, FILE *out);

#endif
