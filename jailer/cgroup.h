/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A VM's cgroups: <mount>/<parent>/<id>, in one hierarchy for each controller that was asked for
 * (version 1) or in the only one (version 2).
 *
 * What a jailer made bears a mark (an extended attribute), and whichever jailer leaves such a
 * cgroup last removes it. So a parent that several VMs share goes with the last of them, and one
 * that the administrator made stays.
 *
 * Logs, once, what failed. For a process with one thread; the descriptors work in forked children.
 *
 * Source: Linux, Documentation/admin-guide/cgroup-v1/cgroups.rst and cgroup-v2.rst.
 */
#ifndef HUSK_CGROUP_H
#define HUSK_CGROUP_H

#include <limits.h>
#include <stdbool.h>
#include <stddef.h>

#include "jailer_args.h"

#define CGROUP_NAME_MAX 64

struct cgroup_set {
	char path[PATH_MAX]; /* <parent>/<id>, below each mount */
	struct cgroup_tree {
		char controller[CGROUP_NAME_MAX]; /* version 1 */
		int mount;			  /* the top */
		int leaf;			  /* where the VM goes */
	} trees[JAIL_MANY_MAX];
	unsigned int nr_trees;
	unsigned int version;
	bool *made_parent; /* a parent was not there; borrowed, and added to */
	bool is_parent;	   /* the leaf is an existing parent: it is left alone */
};

/*
 * Makes the cgroups of `spec` and sets their values; `parent` is relative to the mount. Without any
 * --cgroup it makes none; with version 2 the VM then goes to the parent, where that exists
 * (Firecracker's way). 0 or -errno, and then cgroup_clean takes away what was made. `set`: zeroed,
 * but for made_parent.
 */
int cgroup_prepare(struct cgroup_set *set, const struct jail_spec *spec, const char *parent);

/* Moves the calling process there. 0 or -errno. */
int cgroup_attach(const struct cgroup_set *set);

/*
 * Kills what is left in the VM's cgroups and removes them, unless `keep`; closes the descriptors.
 * Takes up to two seconds. Takes a zeroed or half-made set.
 */
void cgroup_clean(struct cgroup_set *set, bool keep);

/*
 * Whether a line of /proc/self/mountinfo is the mount of a hierarchy, and then its path. For
 * version 1: of the one that has `controller`. Pure.
 */
bool cgroup_parse_mount(const char *line, unsigned int version, const char *controller,
			char ret_path[PATH_MAX]);

/* Whether `word` is in the list `words`, which `separator` (and a line's end) divides. Pure. */
bool cgroup_has_word(const char *words, char separator, const char *word);

#endif
