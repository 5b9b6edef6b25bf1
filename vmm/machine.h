/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The machine: puts a VM together from its parts and runs it. The only place that knows every
 * part; where the virtio devices are is in virtio_slots.h.
 *
 * machine_create and machine_load log why they failed, once. For the main thread.
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
 * Makes the VM that `config` describes, of `resources`: memory, vCPUs, devices. It looks at nothing
 * that comes from others, neither kernel nor disks, so it need not be in the jail yet. All are
 * borrowed; what is in `resources` is taken out as it goes. 0 or -errno. machine_destroy takes NULL
 * and half-built machines, not running ones.
 */
int machine_create(const struct vm_config *config, struct resources *resources,
		   struct timeline *timeline, struct machine **ret_machine);
void machine_destroy(struct machine *machine);

/* Puts the kernel, and all that belongs to it, into the machine. 0 or -errno. */
int machine_load(struct machine *machine);

/*
 * Runs the VM until it ends, and says how; opens nothing. ending_block_signals came before. The
 * vCPU threads may still be there when it returns: the process is to end then.
 */
struct verdict machine_run(struct machine *machine);

/*
 * After it: prints the timeline (--timing) and writes the metrics (--metrics), `status` among them,
 * then lets go of what others may wait for: disks, networks, the standard streams. Nothing can be
 * logged any more.
 */
void machine_end(struct machine *machine, int status);

/* Prints the filters that machine_run loads (seccomp_print.h), instead of it. 0 or -errno. */
int machine_print_seccomp(struct machine *machine, FILE *out);

#endif
