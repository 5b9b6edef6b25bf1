/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Carry the command's stdio over the link while it runs. Silent; one thread.
 */
#ifndef HUSK_INIT_RELAY_H
#define HUSK_INIT_RELAY_H

#include "init_exec.h"

/* Relay until the command ended, or somebody asked for power off. Returns its exit status. */
uint8_t relay_run(struct command *command);

/* Relay what the command and others left in its output, without waiting for more. */
void relay_rest(struct command *command);

#endif
