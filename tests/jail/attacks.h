/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What code of a guest's would try that has taken over husk's process, if no system call filter
 * stood in its way: each layer below the filters is tested here by itself.
 */
#ifndef HUSK_ATTACKS_H
#define HUSK_ATTACKS_H

#include <errno.h>

#define EXPECT_MAX 8
#define END (-100000) /* of a list of expectations */

struct attack {
	const char *name;
	/* Tries it. What the call returned, or -errno; 0 where there is nothing to be had. */
	long (*fn)(void);
	/*
	 * EARLY: while the VM is built, when there are no limits yet, in a process of its own.
	 * LIMITED: when it runs. Whatever takes a descriptor or a process is then refused by a
	 * limit.
	 */
	enum { BOTH, EARLY, LIMITED } when;
	/* Results that show it was stopped, or leads nowhere (docs/security.md). */
	int expect[EXPECT_MAX];
};

/* Ended by one without a name. */
extern const struct attack attacks_files[], attacks_others[], attacks_rights[];

static inline long sys(long result)
{
	return result < 0 ? -errno : result;
}

#endif
