/* SPDX-License-Identifier: Apache-2.0 */
/*
 * husk-jailer: the life of a jail. It takes the command line of Firecracker's jailer.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "jail.h"
#include "jailer_args.h"
#include "janitor.h"
#include "util.h"

#define STATUS_FAILED 1

/* Whatever the caller left open, or closed, or set. */
static int shed_caller(void)
{
	struct stat st;
	int fd, last;

	/* Else files opened later would become standard streams. */
	do {
		fd = open("/dev/null", O_RDWR);
		if (fd < 0)
			return -errno;
		last = fd;
	} while (fd <= STDERR_FILENO);
	/* A folder would lead out of the jail. */
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (!fstat(fd, &st) && S_ISDIR(st.st_mode) && dup2(last, fd) < 0)
			return -errno;
	if (close_fds(STDERR_FILENO + 1, ~0u, 0) || clearenv())
		return -errno;
	umask(0);
	return 0;
}

int main(int argc, char **argv)
{
	static struct jail jail;
	static struct jail_spec spec;
	enum jailer_action action;

	jail.start_us = clock_now_ns() / 1000;
	if (shed_caller()) {
		log_error("cannot close what the caller left open; this needs Linux 5.12 and /dev");
		return STATUS_FAILED;
	}
	if (jailer_args_parse(argc, argv, &spec, &action))
		return STATUS_FAILED;
	if (action == JAILER_HELP)
		jailer_args_help();
	if (action == JAILER_VERSION)
		puts("husk-jailer " HUSK_VERSION);
	if (action != JAILER_RUN)
		return fflush(stdout) ? STATUS_FAILED : 0;
	if (geteuid() != 0) {
		log_error("run husk-jailer as root; \"husk run\" needs no root and jails itself");
		return STATUS_FAILED;
	}
	janitor_block_signals(&jail);
	return janitor_run(&jail, &spec);
}
