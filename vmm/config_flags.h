/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's command line flags: values only as a separate word, each flag once.
 *
 * Logs, once, what it refuses. Prints help and version to standard output.
 */
#ifndef HUSK_CONFIG_FLAGS_H
#define HUSK_CONFIG_FLAGS_H

#include "config.h"

/*
 * Reads argv[1] onwards, then the config file that is named there, into `config`, which holds
 * the defaults. --help (or nothing at all) and --version print and set CONFIG_HELP. 0,
 * CONFIG_EXIT_ARGUMENTS or CONFIG_EXIT_FILE.
 */
int config_flags_parse(struct vm_config *config, int argc, char **argv);

#endif
