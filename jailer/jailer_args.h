/* SPDX-License-Identifier: Apache-2.0 */
/*
 * husk-jailer's command line into a struct jail_spec: Firecracker's flags, and a few of husk's own.
 *
 * Pure: opens nothing. Logs, once, what is wrong with the first argument that is.
 */
#ifndef HUSK_JAILER_ARGS_H
#define HUSK_JAILER_ARGS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#define JAIL_MANY_MAX 64 /* of a flag that may be repeated */
#define JAIL_NO_FILE_DEFAULT 2048

/* Everything that is text is borrowed from argv. */
struct jail_spec {
	const char *id; /* 1 to 64 letters, digits and '-' */
	const char *exec_file;
	const char *base;	   /* --chroot-base-dir */
	const char *netns;	   /* NULL: the caller's */
	const char *parent_cgroup; /* NULL: named as the exec file */
	uid_t uid;
	gid_t gid;
	bool daemonize, new_pid_ns;
	bool keep;
	unsigned int cgroup_version; /* 1 or 2 */

	struct jail_cgroup {
		char file[64]; /* "cpu.shares": no '/', and a controller before the first dot */
		const char *value;
	} cgroups[JAIL_MANY_MAX];
	unsigned int nr_cgroups;

	/* Resources that are not named keep the caller's limit, but for core and no-file. */
	struct jail_limit {
		int resource; /* RLIMIT_... */
		const char *name;
		uint64_t value; /* soft and hard */
	} limits[JAIL_MANY_MAX];
	unsigned int nr_limits;

	/* Relative to the jail's root, with no "." or ".." in them, and no '/' in front. */
	const char *writables[JAIL_MANY_MAX];
	unsigned int nr_writables;

	char **args; /* for the program: what follows "--" */
	unsigned int nr_args;
};

enum jailer_action { JAILER_RUN, JAILER_HELP, JAILER_VERSION };

/*
 * Fills in *ret_spec from main's arguments, whatever it held. For JAILER_HELP and JAILER_VERSION,
 * which win over all else, it is not complete. 0 or -EINVAL.
 */
int jailer_args_parse(int argc, char **argv, struct jail_spec *ret_spec,
		      enum jailer_action *ret_action);

void jailer_args_help(void);

#endif
