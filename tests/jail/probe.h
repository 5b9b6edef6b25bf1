/* SPDX-License-Identifier: Apache-2.0 */
/*
 * husk-probe: husk, of the very same objects, in which the linker puts a probe into a thread: what
 * code of a guest's could do that has taken over that thread. The environment says which:
 *
 *	HUSK_PROBE="PLACE STEP;STEP..."
 *
 * PLACE is "vcpu" (the first port write of the guest), "loop" (before the first event),
 *"supervisor" (as soon as its filter is there), "jail" (before the VM is built: no limits or
 *filters yet) or "print" (where husk prints its filters). A step:
 *
 *	call NUMBER ARG...	a system call; at most six arguments, 0 if not given
 *	int80 NUMBER ARG...	the same by the 32-bit entry
 *	attacks			every attack of attacks.c
 *	dump			(any place) writes each filter as it is loaded or printed, in hex
 *
 * An argument is a number or the name of something (resolve in probe.c). What came back is one line
 * on standard error, and husk goes on.
 */
#ifndef HUSK_PROBE_H
#define HUSK_PROBE_H

#include <stdbool.h>
#include <sys/types.h>

/* One line on standard error, by one write. */
void probe_print(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/* "EPERM" for -EPERM; "0"; "7". */
const char *probe_result(long result, char buffer[24]);

/*
 * Each attack, and what it met: "ok NAME: EPERM" if that is what has to stop it, else
 * "HOLE NAME: 0". `limited`: in the running VM, where nothing can be opened or forked.
 */
void attacks_run(bool limited);

/* What host.py has for a VM to find, and what husk was; read before the environment is wiped. */
struct probe_host {
	pid_t victim;	  /* a process of the host */
	pid_t supervisor; /* of this husk */
	int port;	  /* it listens at 127.0.0.1, and at the abstract address "\0husk-PORT" */
	int key;	  /* of its System V objects; its key is "husk-PORT" */
	int shm;	  /* its shared memory */
};
extern struct probe_host probe_host;

#endif
