/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The supervisor: what the user started becomes a parent that only waits, and the VM runs in a
 * child, as PID 1 of its namespace. The child dies with the parent, in whatever way the parent
 * ends.
 *
 * They share the work of making the jail (isolate.c), and of ending: KVM takes milliseconds to take
 * a VM apart, which the child waits for, and nobody waits for the child.
 *
 * Logs how the child ended if a signal killed it. For a process with one thread.
 */
#ifndef HUSK_SUPERVISE_H
#define HUSK_SUPERVISE_H

#include <stdbool.h>

#include "seccomp.h"

struct supervise_spec {
	bool jail;		   /* isolate both, too */
	enum seccomp_mode seccomp; /* for the supervisor itself */
	int failed_status;	   /* the exit status if the supervisor itself fails */
	/* The exit status for a child that signal `nr` killed. */
	int (*killed_status)(int nr);
};

/* What ties the child to its parent. */
struct supervised {
	bool jail;
	int parent_fd; /* a pidfd; until the child is jailed */
	int alive_fd;  /* a pipe from the parent: the jail is ready; its end: the parent is gone */
	int tell_fd;   /* a pipe to the parent: the child is in the jail; its exit status */
};

/*
 * Forks. In the child: 0. In the parent it returns only if it cannot fork (-errno); if it cannot
 * make the jail or watch the child, it kills it and exits with `failed_status`.
 *
 * The parent closes every descriptor but the standard ones; passes on SIGTERM, SIGINT, SIGHUP and
 * SIGQUIT (one that was sent to the process group reaches the child twice) and kills a child that
 * has not ended 5 seconds later, which then counts as ended by that signal; stops and goes on with
 * the child (SIGTSTP, SIGCONT); puts the terminal's settings back if a signal killed the child; and
 * exits with the status that the child tells it, or ends with.
 *
 * The child has the caller's signal mask. It is not in the jail yet, and can prepare meanwhile what
 * takes long and depends on nobody who is not trusted.
 */
int supervise(const struct supervise_spec *spec, struct supervised *ret_child);

/*
 * For the child: into the jail. Afterwards it is killed if the parent dies. 0 or -errno, after a
 * line in the log.
 */
int supervise_enter(struct supervised *child);

/*
 * For the child, at its very end: the parent exits with `status`, whatever becomes of the child. So
 * the child has closed before what others may wait for: disks, networks, streams. One write.
 */
void supervise_tell(const struct supervised *child, int status);

#endif
