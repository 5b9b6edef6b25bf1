/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The options of "husk run".
 *
 * Logs, once, what it refuses. Prints help to standard output.
 */
#ifndef HUSK_CONFIG_RUN_H
#define HUSK_CONFIG_RUN_H

#include "config.h"

/*
 * Reads what stands behind "husk": argv[0] is "run". Fills in all of `config`, which holds the
 * defaults, and keeps pointers into argv. 0, or CONFIG_EXIT_HUSK.
 */
int config_run_parse(struct vm_config *config, int argc, char **argv);

#endif
