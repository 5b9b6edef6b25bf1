/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel and the root file system that come with husk: beside the program (a build), or in
 * ../share/husk (an installation).
 *
 * Logs, once, if one is missing.
 */
#ifndef HUSK_ASSETS_H
#define HUSK_ASSETS_H

#include "config.h"

/*
 * Puts husk's own kernel and root file system where `config` names none; the root file system is
 * shared by all guests, so read-only. 0 or -errno.
 */
int assets_fill(struct vm_config *config);

#endif
