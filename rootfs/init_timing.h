/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What husk is told where it keeps time (link.h): when init starts, and when the kernel was how
 * far. Silent, and does nothing where nobody asked.
 */
#ifndef HUSK_INIT_TIMING_H
#define HUSK_INIT_TIMING_H

/* The very first act. */
void timing_start(void);

/* Sends the kernel's milestones, which it reads off the kernel's log; once the link is open. */
void timing_send(void);

#endif
