/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Building a struct vm_config: what the command line and the config file have in common.
 *
 * Logs, once, why something is refused, with `where` (an option, or a key of the config file) in
 * front. All return 0, -EINVAL for a refused value or -ENOMEM, both logged.
 */
#ifndef HUSK_CONFIG_BUILD_H
#define HUSK_CONFIG_BUILD_H

#include "config.h"

/* Copies `value` (NULL: none) to *slot; frees what was there. */
int config_set_string(char **slot, const char *value);

/* The same for a file name, which must not be empty. */
int config_set_path(char **slot, const char *where, const char *path);

/* "kill" or "log". */
int config_set_seccomp(struct vm_config *config, const char *where, const char *value);

/* Appends `item` (taken, also on failure) to a NULL-terminated list; NULL is an empty one. */
int config_list_add(char ***list, char *item);
void config_list_fini(char **list);

/* Adds to the kernel's command line, after a space: printable ASCII only. */
int config_add_cmdline(struct vm_config *config, const char *where, const char *text);

/* Letters, digits and "_", at least one: Firecracker's rule for drives and interfaces. */
int config_check_id(const char *where, const char *id);

/* The name of a network interface on the host. */
int config_set_tap(struct nic_config *nic, const char *where, const char *name);

int config_set_mac(struct nic_config *nic, const char *where, const char *text);

/*
 * Append a drive, an interface; the root drive goes first. Both take what the struct holds, also on
 * failure. Refused: too many, an id, MAC address or host device that is in use already, a second
 * root drive.
 */
int config_add_drive(struct vm_config *config, const char *where, struct drive_config *drive);
int config_add_nic(struct vm_config *config, const char *where, struct nic_config *nic);

void config_drive_fini(struct drive_config *drive);
void config_nic_fini(struct nic_config *nic);

/* True if `word` looks like `known` mistyped: for hints. */
bool config_similar(const char *word, const char *known);

#endif
