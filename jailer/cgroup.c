/* SPDX-License-Identifier: Apache-2.0 */
#include "cgroup.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define MARK "trusted.husk-jailer"
#define TRIES_MAX 5 /* against another jailer that removes a parent */
#define LINE_SIZE (2 * PATH_MAX)
#define DEAD_WAIT_NS 2000000000ull
#define POLL_NS 2000000

bool cgroup_has_word(const char *words, char separator, const char *word)
{
	const char ends[] = {separator, '\n', '\0'};
	size_t len;

	for (; *words; words += len + (words[len] != '\0')) {
		len = strcspn(words, ends);
		if (len == strlen(word) && !strncmp(words, word, len))
			return true;
	}
	return false;
}

/* Paths in mountinfo have space, tab, newline and backslash as \ooo. */
static void unescape(const char *text, size_t len, char *ret)
{
	size_t i;

	for (i = 0; i < len; i++, ret++) {
		if (text[i] == '\\' && i + 3 < len) {
			*ret = (char)((text[i + 1] - '0') * 64 + (text[i + 2] - '0') * 8 +
				      (text[i + 3] - '0'));
			i += 3;
		} else {
			*ret = text[i];
		}
	}
	*ret = '\0';
}

bool cgroup_parse_mount(const char *line, unsigned int version, const char *controller,
			char ret_path[PATH_MAX])
{
	const char *type = strstr(line, " - "), *options, *path = line;
	unsigned int i;
	size_t len;

	/* ID PARENT MAJOR:MINOR ROOT PATH OPTIONS [TAG...] - TYPE SOURCE SUPER-OPTIONS */
	for (i = 0; i < 4 && path; i++) {
		path = strchr(path, ' ');
		path = path ? path + 1 : NULL;
	}
	if (!path || !type || path > type)
		return false;
	len = strcspn(path, " ");
	type += strlen(" - ");
	if (len >= PATH_MAX)
		return false;
	if (version == 2 && strncmp(type, "cgroup2 ", strlen("cgroup2 ")) != 0)
		return false;
	if (version == 1) {
		options = strrchr(type, ' ');
		if (strncmp(type, "cgroup ", strlen("cgroup ")) != 0 || !options ||
		    !cgroup_has_word(options + 1, ',', controller))
			return false;
	}
	unescape(path, len, ret_path);
	return true;
}

/* The top of a hierarchy, or -errno. */
static int open_mount(unsigned int version, const char *controller)
{
	FILE *file = fopen("/proc/self/mountinfo", "re");
	char line[LINE_SIZE], path[PATH_MAX];
	int fd = -ENOENT;

	if (!file)
		return -errno;
	while (fd == -ENOENT && fgets(line, sizeof(line), file)) {
		if (!cgroup_parse_mount(line, version, controller, path))
			continue;
		fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		if (fd < 0)
			fd = -errno;
	}
	fclose(file);
	return fd;
}

/* The whole of a small file as text; empty if there is none. */
static void read_text(int dir, const char *name, char *ret, size_t size)
{
	cleanup_fd int fd = openat(dir, name, O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	ssize_t len = fd < 0 ? -1 : read(fd, ret, size - 1);

	ret[len > 0 ? len : 0] = '\0';
}

static int write_text(int dir, const char *name, const char *text)
{
	cleanup_fd int fd = openat(dir, name, O_WRONLY | O_NOFOLLOW | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	return write(fd, text, strlen(text)) < 0 ? -errno : 0;
}

/* "cpu" of "cpu.shares". */
static void controller_of(const char *file, char ret[CGROUP_NAME_MAX])
{
	size_t len = strcspn(file, ".");

	memcpy(ret, file, len);
	ret[len] = '\0';
}

/* Version 2: what is below `dir` gets the controllers of the values that will be set. 0 or -errno.
 */
static int enable_controllers(int dir, const struct jail_spec *spec)
{
	char name[CGROUP_NAME_MAX], word[CGROUP_NAME_MAX + 1], there[1024];
	unsigned int i;
	int err;

	for (i = 0; i < spec->nr_cgroups; i++) {
		controller_of(spec->cgroups[i].file, name);
		read_text(dir, "cgroup.controllers", there, sizeof(there));
		if (!cgroup_has_word(there, ' ', name)) {
			log_error("--cgroup %s: this host has no cgroup v2 controller \"%s\"; it "
				  "has: %s",
				  spec->cgroups[i].file, name, there);
			return -EINVAL;
		}
		read_text(dir, "cgroup.subtree_control", there, sizeof(there));
		if (cgroup_has_word(there, ' ', name))
			continue;
		snprintf(word, sizeof(word), "+%s", name);
		err = write_text(dir, "cgroup.subtree_control", word);
		if (err) {
			log_error(
				"--cgroup %s: cannot enable controller \"%s\" for the VM's "
				"cgroup: %s; a cgroup above it must not have processes of its own",
				spec->cgroups[i].file, name, strerror(-err));
			return err;
		}
	}
	return 0;
}

/* Version 1: a cpuset without CPUs and memory nodes takes no process; it gets its parent's. */
static void inherit_cpuset(int parent, int dir)
{
	static const char *const files[] = {"cpuset.cpus", "cpuset.mems"};
	char text[1024];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(files); i++) {
		read_text(dir, files[i], text, sizeof(text));
		if (*text && *text != '\n')
			continue;
		read_text(parent, files[i], text, sizeof(text));
		write_text(dir, files[i], text);
	}
}

/* Goes down the path from the mount, making what is not there. The leaf, or -errno. */
static int make_path(struct cgroup_set *set, const struct cgroup_tree *tree,
		     const struct jail_spec *spec, bool *ret_logged)
{
	cleanup_fd int dir = fcntl(tree->mount, F_DUPFD_CLOEXEC, 3);
	const char *at = set->path;
	char name[NAME_MAX + 1];
	size_t len;
	int next, err;

	for (; dir >= 0 && *at; at += len + (at[len] == '/')) {
		len = strcspn(at, "/");
		if (len > NAME_MAX)
			return -ENAMETOOLONG;
		memcpy(name, at, len);
		name[len] = '\0';
		err = set->version == 2 ? enable_controllers(dir, spec) : 0;
		if (err) {
			*ret_logged = true;
			return err;
		}
		/* Noted first: a process that is killed in mkdir has made it. */
		if (at[len] == '/' && faccessat(dir, name, F_OK, AT_SYMLINK_NOFOLLOW))
			*set->made_parent = true;
		err = mkdirat(dir, name, 0755) ? -errno : 0;
		if (err && err != -EEXIST)
			return err;
		next = openat(dir, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			return -errno;
		/* The file system may know no attributes: then it stays, for want of the mark. */
		if (!err)
			fsetxattr(next, MARK, "1", 1, 0);
		if (!strcmp(tree->controller, "cpuset"))
			inherit_cpuset(dir, next);
		close(dir);
		dir = next;
	}
	return dir < 0 ? -errno : steal_fd(&dir);
}

static void pause_briefly(void)
{
	nanosleep(&(struct timespec){.tv_nsec = POLL_NS}, NULL);
}

/* Whether processes are in it; with a signal, after they were sent it. */
static bool is_populated(int leaf, int signal_nr)
{
	cleanup_fd int fd = openat(leaf, "cgroup.procs", O_RDONLY | O_NOFOLLOW | O_CLOEXEC);
	bool found = false;
	FILE *file;
	long pid;

	file = fd < 0 ? NULL : fdopen(fd, "r");
	if (!file)
		return false;
	steal_fd(&fd);
	while (fscanf(file, "%ld", &pid) == 1) {
		found = true;
		/* 0: it is in a PID namespace that this one does not see. */
		if (signal_nr && pid > 0)
			kill((pid_t)pid, signal_nr);
	}
	fclose(file);
	return found;
}

static int make_tree(struct cgroup_set *set, struct cgroup_tree *tree, const struct jail_spec *spec)
{
	uint64_t end = clock_now_ns() + DEAD_WAIT_NS;
	bool logged = false;
	unsigned int tries;

	tree->leaf = -ENOENT;
	for (tries = 0; tries < TRIES_MAX && tree->leaf < 0 && !logged; tries++) {
		tree->leaf = make_path(set, tree, spec, &logged);
		if (tree->leaf != -ENOENT && tree->leaf != -ENODEV)
			break;
	}
	if (tree->leaf < 0 && !logged)
		log_error("cannot make the cgroup \"%s\"%s%s: %s", set->path,
			  *tree->controller ? " of " : "", tree->controller, strerror(-tree->leaf));
	if (tree->leaf < 0)
		return tree->leaf;
	/* A VM whose jailer was just killed may be on its way out. */
	while (is_populated(tree->leaf, 0)) {
		if (clock_now_ns() > end) {
			log_error("the cgroup \"%s\" has processes in it: is there another VM "
				  "\"%s\"?",
				  set->path, spec->id);
			close_fd_ptr(&tree->leaf); /* what is in it is not ours to kill */
			return -EBUSY;
		}
		pause_briefly();
	}
	return 0;
}

/* The tree for a controller, opened if need be; NULL and a log line if there is none. */
static struct cgroup_tree *get_tree(struct cgroup_set *set, const char *file)
{
	char controller[CGROUP_NAME_MAX] = "";
	struct cgroup_tree *tree;
	unsigned int i;

	if (set->version == 1)
		controller_of(file, controller);
	for (i = 0; i < set->nr_trees; i++)
		if (!strcmp(set->trees[i].controller, controller))
			return &set->trees[i];
	tree = &set->trees[set->nr_trees];
	*tree = (struct cgroup_tree){.leaf = -1};
	memcpy(tree->controller, controller, sizeof(controller));
	tree->mount = open_mount(set->version, controller);
	if (tree->mount < 0) {
		log_error("--cgroup %s: no cgroup v%u hierarchy%s%s is mounted here: %s; "
			  "--cgroup-version %d may be what this host has",
			  file, set->version, *controller ? " with controller " : "", controller,
			  strerror(-tree->mount), set->version == 1 ? 2 : 1);
		return NULL;
	}
	set->nr_trees++;
	return tree;
}

/* No value to set: Firecracker puts the VM into the parent, if it is there. */
static int use_parent(struct cgroup_set *set, const char *parent)
{
	struct cgroup_tree *tree = &set->trees[0];

	tree->mount = open_mount(2, NULL);
	if (tree->mount < 0)
		return 0;
	tree->leaf = openat(tree->mount, parent, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	set->nr_trees = 1;
	set->is_parent = true;
	return 0;
}

int cgroup_prepare(struct cgroup_set *set, const struct jail_spec *spec, const char *parent)
{
	struct cgroup_tree *tree;
	unsigned int i;
	int err;

	set->version = spec->cgroup_version;
	if (!spec->nr_cgroups)
		return set->version == 2 ? use_parent(set, parent) : 0;
	if ((size_t)snprintf(set->path, sizeof(set->path), "%s/%s", parent, spec->id) >=
	    sizeof(set->path)) {
		log_error("--parent-cgroup is too long");
		return -ENAMETOOLONG;
	}
	/* All of the hierarchies are looked up before anything is made. */
	for (i = 0; i < spec->nr_cgroups; i++)
		if (!get_tree(set, spec->cgroups[i].file))
			return -ENOENT;
	for (i = 0; i < set->nr_trees; i++) {
		err = make_tree(set, &set->trees[i], spec);
		if (err)
			return err;
	}
	for (i = 0; i < spec->nr_cgroups; i++) {
		tree = get_tree(set, spec->cgroups[i].file);
		err = write_text(tree->leaf, spec->cgroups[i].file, spec->cgroups[i].value);
		if (err) {
			log_error("--cgroup %s=%s: %s%s", spec->cgroups[i].file,
				  spec->cgroups[i].value, strerror(-err),
				  err == -ENOENT ? "; the controller has no such file" : "");
			return err;
		}
	}
	return 0;
}

int cgroup_attach(const struct cgroup_set *set)
{
	unsigned int i;
	int err;

	for (i = 0; i < set->nr_trees; i++) {
		if (set->trees[i].leaf < 0)
			continue;
		err = write_text(set->trees[i].leaf, "cgroup.procs", "0");
		if (err) {
			log_error("cannot put the VM into the cgroup \"%s\"%s%s: %s",
				  set->is_parent ? "given as parent" : set->path,
				  *set->trees[i].controller ? " of " : "", set->trees[i].controller,
				  strerror(-err));
			return err;
		}
	}
	return 0;
}

static void remove_tree(struct cgroup_set *set, struct cgroup_tree *tree)
{
	uint64_t end = clock_now_ns() + DEAD_WAIT_NS;
	cleanup_fd int dir = -1;
	bool is_leaf = true;
	char *slash;

	if (tree->leaf >= 0 && is_populated(tree->leaf, 0)) {
		write_text(tree->leaf, "cgroup.kill", "1"); /* Linux 5.14, version 2 */
		while (is_populated(tree->leaf, SIGKILL) && clock_now_ns() < end)
			pause_briefly();
	}
	for (;;) {
		dir = openat(tree->mount, set->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		/* The VM's own has its id, which is locked; a parent may be the administrator's. */
		if (dir >= 0 && !is_leaf && !*set->made_parent && fgetxattr(dir, MARK, NULL, 0) < 0)
			return;
		is_leaf = false;
		close_fd_ptr(&dir);
		/* A dead process may take a moment more to leave; a parent with other VMs stays. */
		while (unlinkat(tree->mount, set->path, AT_REMOVEDIR) && errno == EBUSY &&
		       tree->leaf >= 0 && clock_now_ns() < end)
			pause_briefly();
		close_fd_ptr(&tree->leaf);
		slash = strrchr(set->path, '/');
		if (!slash)
			return;
		*slash = '\0';
	}
}

void cgroup_clean(struct cgroup_set *set, bool keep)
{
	struct cgroup_tree *tree;
	char path[PATH_MAX];

	memcpy(path, set->path, sizeof(path));
	while (set->nr_trees) {
		tree = &set->trees[--set->nr_trees];
		if (!set->is_parent && !keep)
			remove_tree(set, tree);
		memcpy(set->path, path, sizeof(path));
		close_fd_ptr(&tree->leaf);
		close_fd_ptr(&tree->mount);
	}
}
