/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The processes of a jail, and who takes it down. janitor.c draws them.
 *
 * Logs, once, what failed. For a process with one thread.
 */
#ifndef HUSK_JANITOR_H
#define HUSK_JANITOR_H

#include "jail.h"

/* For the program, and for when to look at signals: call first. Keeps the caller's signal mask. */
void janitor_block_signals(struct jail *jail);

/*
 * Makes a jail and runs the VM in it; `spec` is borrowed. Returns the exit status for the process
 * that the user started, when it is done and cleaned up: the VM's (128 + N if signal N killed it),
 * 1 if it did not start; with --daemonize or --new-pid-ns, 0 as soon as the VM runs. Other
 * processes that this makes do not return.
 */
int janitor_run(struct jail *jail, const struct jail_spec *spec);

#endif
