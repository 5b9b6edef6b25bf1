/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's config file: JSON with the keys boot-source, drives, machine-config and
 * network-interfaces.
 *
 * Every key of Firecracker is known. Where husk lacks what one asks for, only the value that asks
 * for nothing is taken ("smt": false); any other is refused by name, never ignored, and so are
 * unknown keys. null stands for an optional key that is left out. Two choices need no refusal:
 * husk honours the guest's flushes with either cache_type, and io_engine only says how the host
 * does what the guest cannot tell apart.
 *
 * Logs, once, what it refuses.
 */
#ifndef HUSK_CONFIG_JSON_H
#define HUSK_CONFIG_JSON_H

#include "config.h"

/* Fills in `config`, which holds the defaults. 0 or -errno. */
int config_json_load(struct vm_config *config, const char *path);

#endif
