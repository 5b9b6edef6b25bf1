/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A jail's folder, <base>/<exec name>/<id>, and in it "root", which becomes the VM's "/".
 *
 * Trust: all above "root" belongs to root alone, which is checked on the way down from "/". "root"
 * itself may have been filled by a script beforehand, and folders in it may belong to the VM's
 * user, who may rename what is in them at any time. So nothing here goes by a name twice: one
 * component is opened at a time, without following links, and what was opened is checked and used.
 *
 * The folder is locked (flock) for as long as a jailer or its VM's start lives, so that one id has
 * one VM. A marker file in it, next to "root", tells a folder that an earlier jailer left (power
 * loss, SIGKILL) from one that a script prepared: of a marked one, the sockets in root/run are
 * removed. What else the jailer makes (program, PID file, dev) is made anew in any case, and any
 * other file stays as it is.
 *
 * Logs, once, what failed. For a process with one thread; the descriptors work in forked children.
 */
#ifndef HUSK_ROOTDIR_H
#define HUSK_ROOTDIR_H

#include <limits.h>
#include <stdbool.h>
#include <sys/types.h>

#include "jailer_args.h"

/* Which folders were not there; for the process that has to take them away, whichever that is. */
struct rootdir_made {
	bool exec_dir, id_dir;
};

struct rootdir {
	const struct jail_spec *spec; /* borrowed */
	const char *exec_name;	      /* borrowed */
	char path[PATH_MAX];	      /* of "root", without links */
	int base, exec_dir, id_dir;   /* the last one holds the lock */
	int root;
	struct rootdir_made *made; /* borrowed */
};

/*
 * Opens the folders, making those that are missing, and takes the lock. 0 or -errno: -EBUSY if the
 * id is in use. rootdir_clean takes away what was made, also after an error; `dir` need not be
 * initialised. `made` is added to, and borrowed.
 */
int rootdir_open(struct rootdir *dir, const struct jail_spec *spec, const char *exec_name,
		 struct rootdir_made *made);

/*
 * Takes "root" over from whoever filled it, and makes in it /dev, /run and what --writable names.
 * 0 or -errno.
 */
int rootdir_fill(struct rootdir *dir);

/*
 * Copies the program in from `source` (of its own inode, so that two VMs share no page of it),
 * which only root may write, and nobody else read. A descriptor to execute it by, or -errno.
 */
int rootdir_put_program(struct rootdir *dir, int source);

/* Writes <exec name>.pid. 0 or -errno. */
int rootdir_put_pid(struct rootdir *dir, pid_t pid);

/*
 * Ends it, and the lock. `used`: the VM has run, and all of the folder is removed, unless --keep;
 * otherwise a folder that was there before stays, and with it what the jailer did not make.
 */
void rootdir_clean(struct rootdir *dir, bool used);

#endif
