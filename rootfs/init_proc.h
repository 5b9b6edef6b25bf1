/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Processes and signals as PID 1 sees them. Silent; one thread.
 *
 * The signals init obeys are blocked at all times but inside proc_poll: so none is missed between
 * a check and a wait, and no handler runs in the middle of anything.
 */
#ifndef HUSK_INIT_PROC_H
#define HUSK_INIT_PROC_H

#include <poll.h>
#include <stdbool.h>

/* Set up signals; first of all. */
void proc_init(void);

/* In a child, before exec: every signal at its default, none blocked. */
void proc_reset_signals(void);

/* Wait for one of fds, or for a signal. What poll returns. */
int proc_poll(struct pollfd *fds, nfds_t count);

/* Did a child change state since the last call? */
bool proc_child_event(void);

/* Did somebody in the guest ask for power off, halt or reboot? */
bool proc_end_asked(void);

/* Run a helper program to its end. Returns its wait status, or -errno. */
int proc_run(char *const argv[]);

/* Milliseconds on a clock that only goes forward. */
long long proc_now_ms(void);

/* End every process but init: SIGTERM, a short grace, SIGKILL. Costs nothing when there is none. */
void proc_end_all(void);

#endif
