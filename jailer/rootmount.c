/* SPDX-License-Identifier: Apache-2.0 */
#include "rootmount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include "util.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)

/* What in the jail is given to the VM to write, and how much is looked at to find it. */
#define GIVEN_MAX 128
#define DEPTH_MAX 32
#define ENTRIES_MAX 100000

struct scan {
	uid_t uid;
	dev_t dev; /* other file systems are not entered */
	unsigned int nr_entries;
	/* What is given, and a mount of it that is not attached yet. */
	struct given {
		int target, mount;
	} given[GIVEN_MAX];
	unsigned int nr_given;
};

static int set_attributes(int mount, unsigned int flags, uint64_t attributes)
{
	struct mount_attr attr = {.attr_set = attributes};

	return mount_setattr(mount, "", AT_EMPTY_PATH | flags, &attr, sizeof(attr)) ? -errno : 0;
}

static int attach(int mount, int target)
{
	return move_mount(mount, "", target, "", MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH)
		       ? -errno
		       : 0;
}

/* A device counts with its node alone: it is read or written whatever the mount says. */
static bool is_given(const struct stat *st, uid_t uid)
{
	if (st->st_uid != uid)
		return false;
	if (S_ISBLK(st->st_mode) || S_ISCHR(st->st_mode))
		return true;
	return (S_ISREG(st->st_mode) || S_ISDIR(st->st_mode)) && st->st_mode & S_IWUSR;
}

/* Takes over `fd`. The mount has what the administrator's has, so a read-only one stays that. */
static int add_given(struct scan *scan, int fd, mode_t mode)
{
	bool is_device = S_ISBLK(mode) || S_ISCHR(mode);
	struct given *given;

	if (scan->nr_given == GIVEN_MAX) {
		close(fd);
		return -E2BIG;
	}
	given = &scan->given[scan->nr_given++];
	given->target = fd;
	given->mount = open_tree(fd, "",
				 AT_EMPTY_PATH | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC |
					 (S_ISDIR(mode) ? AT_RECURSIVE : 0));
	if (given->mount < 0)
		return -errno;
	return set_attributes(given->mount, S_ISDIR(mode) ? AT_RECURSIVE : 0,
			      MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC |
				      (is_device ? 0 : MOUNT_ATTR_NODEV));
}

/* Finds what is given to the VM below a folder; takes over `fd`. 0 or -errno. */
static int scan_folder(struct scan *scan, int fd, unsigned int depth)
{
	struct dirent *entry;
	DIR *list = fdopendir(fd);
	struct stat st;
	int err = 0, next;

	if (!list) {
		close(fd);
		return -ENOMEM;
	}
	if (depth > DEPTH_MAX)
		err = -ELOOP;
	while (!err && (entry = readdir(list))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, "..") ||
		    (!depth && !strcmp(entry->d_name, "dev")))
			continue;
		if (scan->nr_entries++ == ENTRIES_MAX) {
			err = -E2BIG;
			break;
		}
		next = openat(dirfd(list), entry->d_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
		if (next < 0)
			continue; /* gone meanwhile */
		if (fstat(next, &st)) {
			err = -errno;
		} else if (is_given(&st, scan->uid)) {
			err = add_given(scan, steal_fd(&next), st.st_mode);
		} else if (S_ISDIR(st.st_mode) && st.st_dev == scan->dev) {
			fd = openat(next, ".", FOLDER_FLAGS);
			err = fd < 0 ? -errno : scan_folder(scan, fd, depth + 1);
		}
		close_fd_ptr(&next);
	}
	closedir(list);
	return err;
}

/* Files that belong to the VM's user get a mount of their own: all the rest becomes read-only. */
static int find_given(int tree, struct scan *scan)
{
	int fd = openat(tree, ".", FOLDER_FLAGS), err;
	struct stat st;

	if (fd < 0 || fstat(fd, &st)) {
		close_fd_ptr(&fd);
		return -EIO;
	}
	scan->dev = st.st_dev;
	err = scan_folder(scan, fd, 0);
	if (err == -E2BIG || err == -ELOOP)
		log_error("too much is in the jail: more than %d entries or %d folders deep, or %d "
			  "that "
			  "are the VM's; put it in one folder that belongs to the VM's user",
			  ENTRIES_MAX, DEPTH_MAX, GIVEN_MAX);
	else if (err)
		log_error("cannot mount what the VM may write: %s", strerror(-err));
	return err;
}

static int attach_given(struct scan *scan)
{
	unsigned int i;
	int err;

	for (i = 0; i < scan->nr_given; i++) {
		err = attach(scan->given[i].mount, scan->given[i].target);
		close(scan->given[i].mount);
		close(scan->given[i].target);
		/* -ENOENT: its owner has just removed it. */
		if (err && err != -ENOENT) {
			log_error("cannot mount what the VM may write: %s", strerror(-err));
			return err;
		}
	}
	return 0;
}

/* The nodes, on a file system that is not attached anywhere yet. */
static int make_nodes(int mount, uid_t uid, gid_t gid)
{
	static const struct {
		const char *path;
		unsigned int major, minor;
		mode_t mode;
		bool is_shared;
	} nodes[] = {
		{"kvm", 10, 232, 0600, false},
		{"net/tun", 10, 200, 0600, false},
		{"urandom", 1, 9, 0444, true},
		{"null", 1, 3, 0666, true},
	};
	size_t i;

	if (mkdirat(mount, "net", 0755))
		return -errno;
	for (i = 0; i < ARRAY_SIZE(nodes); i++) {
		if (mknodat(mount, nodes[i].path, S_IFCHR | nodes[i].mode,
			    makedev(nodes[i].major, nodes[i].minor)))
			return -errno;
		if (!nodes[i].is_shared &&
		    fchownat(mount, nodes[i].path, uid, gid, AT_SYMLINK_NOFOLLOW))
			return -errno;
	}
	return 0;
}

static int make_dev(int tree, uid_t uid, gid_t gid)
{
	cleanup_fd int target = openat(tree, "dev", O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	cleanup_fd int fs = fsopen("tmpfs", FSOPEN_CLOEXEC), mount = -1;
	int err = -EINVAL;

	if (target >= 0 && fs >= 0 && !fsconfig(fs, FSCONFIG_SET_STRING, "mode", "0755", 0) &&
	    !fsconfig(fs, FSCONFIG_SET_STRING, "size", "4k", 0) &&
	    !fsconfig(fs, FSCONFIG_SET_STRING, "nr_inodes", "8", 0) &&
	    !fsconfig(fs, FSCONFIG_CMD_CREATE, NULL, NULL, 0))
		mount = fsmount(fs, FSMOUNT_CLOEXEC, MOUNT_ATTR_NOSUID | MOUNT_ATTR_NOEXEC);
	if (mount < 0)
		err = -errno;
	else
		err = make_nodes(mount, uid, gid);
	if (!err)
		err = set_attributes(mount, 0, MOUNT_ATTR_RDONLY);
	if (!err)
		err = attach(mount, target);
	if (err)
		log_error("cannot make the jail's /dev: %s", strerror(-err));
	return err;
}

/* The same folder as `root`, by this mount namespace; mounted on itself, with all below. */
static int mount_root(int root, const char *path)
{
	cleanup_fd int here = -1, tree = -1;
	struct stat ours, there;
	int err;

	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL)) {
		err = -errno;
		log_error("cannot make the mounts private: %s", strerror(-err));
		return err;
	}
	here = open(path, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC);
	if (here < 0 || fstat(here, &there) || fstat(root, &ours) || ours.st_ino != there.st_ino ||
	    ours.st_dev != there.st_dev) {
		log_error("%s was exchanged by someone else", path);
		return -EPERM;
	}
	tree = open_tree(here, "",
			 AT_EMPTY_PATH | AT_RECURSIVE | OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC);
	err = tree < 0 ? -errno : attach(tree, here);
	if (err) {
		log_error("cannot mount %s on itself: %s", path, strerror(-err));
		return err;
	}
	return steal_fd(&tree);
}

static int pivot(int tree)
{
	int err;

	/* The old root goes on top of the new one, and away: no folder is needed for it. */
	if (!fchdir(tree) && !syscall(SYS_pivot_root, ".", ".") && !umount2(".", MNT_DETACH) &&
	    !chdir("/"))
		return 0;
	err = -errno;
	log_error("cannot make the jail the root: %s%s", strerror(-err),
		  err == -EINVAL ? "; the host must not run on its initial RAM file system" : "");
	return err;
}

int rootmount_enter(int root, const char *path, uid_t uid, gid_t gid)
{
	struct scan scan = {.uid = uid};
	cleanup_fd int tree = -1;
	int err;

	tree = mount_root(root, path);
	if (tree < 0)
		return tree;
	err = find_given(tree, &scan);
	if (err)
		return err;
	err = set_attributes(tree, AT_RECURSIVE,
			     MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID | MOUNT_ATTR_NODEV |
				     MOUNT_ATTR_NOEXEC);
	if (err) {
		log_error("cannot make the jail read-only: %s%s", strerror(-err),
			  err == -ENOSYS ? "; this needs Linux 5.12" : "");
		return err;
	}
	err = attach_given(&scan);
	if (!err)
		err = make_dev(tree, uid, gid);
	return err ? err : pivot(tree);
}
