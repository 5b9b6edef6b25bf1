/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: what the user started becomes a parent that only waits, and the VM runs in a
 * child, as PID 1 of its namespace. The child dies with the parent, in whatever way the parent
 * ends.
 *
 * Logs how the child ended if a signal killed it. For a process with one thread.
 */
#ifndef HUSK_SUPERVISE_H
#define HUSK_SUPERVISE_H

#include "seccomp.h"

struct supervise_spec {
	enum seccomp_mode seccomp; /* for the supervisor itself */
	int failed_status;	   /* the exit status if the supervisor itself fails */
	/* The exit status for a child that signal `nr` killed. */
	int (*killed_status)(int nr);
};

/*
 * Forks. In the child: 0, or -errno. In the parent it returns only if it cannot fork (-errno); if
 * it cannot watch the child, it kills it and exits with `failed_status`.
 *
 * The parent closes every descriptor but the standard ones; passes on SIGTERM, SIGINT, SIGHUP and
 * SIGQUIT (one that was sent to the process group reaches the child twice) and kills a child that
 * has not ended 5 seconds later, which then counts as ended by that signal; stops and goes on with
 * the child (SIGTSTP, SIGCONT); puts the terminal's settings back if a signal killed the child; and
 * exits with the child's status.
 *
 * The child has the caller's signal mask and is killed if the parent dies.
 */
int supervise(const struct supervise_spec *spec);

#endif
