/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: puts a VM together from its parts and runs it. The only place that knows every
 * device, and where each one is.
 *
 * machine_create logs why it failed, once. For the main thread.
 */
#ifndef HUSK_MACHINE_H
#define HUSK_MACHINE_H

#include "config.h"
#include "timeline.h"
#include "verdict.h"

struct machine;

/*
 * Opens everything that `config` names and makes the VM; no guest code runs. `config` and
 * `timeline` are borrowed. 0 or -errno. machine_destroy takes NULL and half-built machines, not
 * running ones.
 */
int machine_create(const struct vm_config *config, struct timeline *timeline,
		   struct machine **ret_machine);
void machine_destroy(struct machine *machine);

/*
 * Runs the VM until it ends, and says how; opens nothing. ending_block_signals came before. The
 * vCPU threads may still be there when it returns: the process is to end then.
 */
struct verdict machine_run(struct machine *machine);

#endif
