/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For auditors: what a filter allows, read back from the program the kernel gets rather than from
 * the tables it was made of.
 *
 * Writes to a stream; silent otherwise.
 */
#ifndef HUSK_SECCOMP_PRINT_H
#define HUSK_SECCOMP_PRINT_H

#include <stdio.h>

#include "seccomp.h"

/*
 * Prints every call that `filter` allows with the conditions on its arguments, then what happens to
 * the rest. `fds` (as given to seccomp_compile) names descriptors. `vcpu_fd`: as for
 * seccomp_apply. 0 or -errno: the program has something this cannot decode, which it says.
 */
int seccomp_print(FILE *out, const struct seccomp_filter *filter, const struct seccomp_fds *fds,
		  int vcpu_fd);

/*
 * Prints the filters of a supervisor and of a VM that has one descriptor of every use, with made-up
 * numbers. 0 or -errno.
 */
int seccomp_print_all(FILE *out);

#endif
