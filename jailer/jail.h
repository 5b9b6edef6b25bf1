/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages by which a jail is made and taken down. jail.c says which there are, and why in that
 * order; janitor.h who does them.
 *
 * Logs, once, what failed. For processes with one thread.
 */
#ifndef HUSK_JAIL_H
#define HUSK_JAIL_H

#include <limits.h>
#include <signal.h>
#include <stdbool.h>
#include <stdint.h>

#include "cgroup.h"
#include "jailer_args.h"
#include "rootdir.h"

struct jail {
	const struct jail_spec *spec; /* borrowed */
	char exec_path[PATH_MAX];     /* without links */
	const char *exec_name;	      /* its last part */
	struct rootdir dir;
	struct cgroup_set cgroups;
	int program;	   /* the copy in the jail, to be executed */
	int netns;	   /* -1: the caller's */
	int null;	   /* /dev/null */
	sigset_t signals;  /* the caller's mask, for the program */
	uint64_t start_us; /* CLOCK_MONOTONIC when the jailer started */
	uint64_t cpu_us;   /* what the jailer's processes have used */
	struct jail_shared {
		bool started; /* the program is being executed */
		struct rootdir_made made;
		bool made_cgroup; /* one above the VM's */
	} * shared;		  /* by all processes */
};

/* Makes nothing yet. `spec` is borrowed; start_us and signals are the caller's to set. 0 or -errno.
 */
int jail_init(struct jail *jail, const struct jail_spec *spec);

/*
 * On the host: all that must be made, locked and checked before there is a process for the VM. 0 or
 * -errno: either way jail_clean has to follow.
 */
int jail_prepare(struct jail *jail);

/*
 * In a process that was made for the VM, PID 1 of a PID namespace, when its PID file is there:
 * locks it in and executes the program. `janitor` is a pipe that hangs up when that process dies,
 * with which the VM dies.
 * Returns only if something failed: -errno.
 */
int jail_enter(struct jail *jail, int janitor);

/* Takes everything down again, when no process of the VM is left but in its cgroups. */
void jail_clean(struct jail *jail);

#endif
