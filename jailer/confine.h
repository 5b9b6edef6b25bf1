/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a process gives up for good. Each step is one-way, and by itself: isolate.c (husk's own
 * jail) and jailer.c (husk-jailer) say in which order.
 *
 * Logs, once, which step the host refused, and what to do. For a process with one thread.
 */
#ifndef HUSK_CONFINE_H
#define HUSK_CONFINE_H

#include <sys/types.h>

/*
 * Becomes uid and gid, real, effective, saved and for files, with no other groups. Capabilities go
 * or stay as securebits have it. 0 or -errno.
 */
int confine_ids(uid_t uid, gid_t gid);

/*
 * A session keyring of its own instead of the caller's, which no namespace keeps out. Where the
 * call is refused as such (a container's filter), keys are as well: no error. 0 or -errno.
 */
int confine_keyring(void);

/*
 * No capability in any set: bounding; then ambient, inheritable, permitted, effective; and
 * securebits locked so that none comes with a uid. Works with what there is: a process without
 * CAP_SETPCAP keeps a bounding set, which no_new_privs makes void, unless it is told to need it.
 * The first leaves the process all it has, so it may be done well before the second. 0 or -errno.
 */
int confine_bounding_set(void);
int confine_capabilities(void);

/* no_new_privs; not dumpable, so no process of the same user may trace it or look into it. */
int confine_privileges(void);

/*
 * Landlock, where the kernel has it (which is no error). Both need no_new_privs or CAP_SYS_ADMIN,
 * and a process may do them in turn: the second adds to the first.
 *
 * confine_scopes: no signals and no abstract sockets to processes that are not descendants of who
 * called it (Linux 6.12).
 *
 * confine_files: no file system access by path at all, no mounts, and, where the kernel knows them,
 * no TCP bind or connect. Descriptors that are open stay usable. *ret_abi (may be NULL) is 0 where
 * there is no Landlock.
 */
int confine_scopes(void);
int confine_files(int *ret_abi);

/*
 * Limits, soft and hard: no core dump, no locked memory, no message queues, no new
 * descriptor (RLIMIT_NOFILE is 1: those that are open stay, and poll takes one). Call when every
 * file is open. 0 or -errno.
 */
int confine_limits(void);

/*
 * Whether the caller has been confined already, as --jailed claims: no capability in any set, and
 * no_new_privs. 0; -EPERM, and a line in the log.
 */
int confine_verify(void);

#endif
