/* SPDX-License-Identifier: Apache-2.0 */
/*
 * husk's own jail, for husk run and a config file: as root or as an ordinary user, without any
 * preparation. isolate.c says which stages there are, and why in that order.
 *
 * Logs, once, which stage the host refused, and what to do. For a process with one thread.
 */
#ifndef HUSK_ISOLATE_H
#define HUSK_ISOLATE_H

#include <stdbool.h>

/*
 * Jails the calling process: namespaces of its own (user where it lacks CAP_SYS_ADMIN, mount,
 * network, IPC, UTS, cgroup, and PID for its children), an empty read-only root, no capability, no
 * new privileges, no other user's uid, Landlock. Only descriptors that are open already lead
 * anywhere afterwards. 0 or -errno.
 */
int isolate(void);

/*
 * The same by a parent and its child, each of which is jailed afterwards: isolate_begin, fork; the
 * parent isolate_make, isolate_each, then, when the child has entered, isolate_end; the child
 * isolate_each, isolate_enter, which takes a pidfd of the parent, and isolate_end. Each 0 or
 * -errno.
 *
 * isolate_may_end_first: whether the parent need not wait for the child to have entered. To be
 * asked by the parent before its isolate_end.
 */
int isolate_begin(void);
int isolate_make(void);
int isolate_each(void);
bool isolate_may_end_first(void);
int isolate_enter(int pidfd);
int isolate_end(void);

/*
 * Whether this host lets the calling user be jailed: tries it in a child process. 0, or the -errno
 * of the stage that failed, named in ret_stage (static storage). Silent. For husk doctor.
 */
int isolate_probe(const char **ret_stage);

/* What the administrator can do about -errno `err` of a stage; static storage. */
const char *isolate_advice(int err);

#endif
