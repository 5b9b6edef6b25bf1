/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Start the command. What cannot go on gives up (init_end.h): 127 when the command is not found,
 * 126 when it cannot run. One thread.
 */
#ifndef HUSK_INIT_EXEC_H
#define HUSK_INIT_EXEC_H

#include "init_parse.h"

/* A running command and init's ends of its stdio, non-blocking. */
struct command {
	pid_t pid;
	bool tty;
	int in;	 /* the command's standard input; with tty the terminal's master, as is out */
	int out; /* its standard output */
	int err; /* its standard error; -1 with tty */
};

/* Returns once the program itself is in place of init's child. */
void command_start(const struct run_spec *run, struct command *ret_command);

/* Tell the terminal of a command with tty its size. */
void command_resize(const struct command *command, uint16_t rows, uint16_t cols);

#endif
