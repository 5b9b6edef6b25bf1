/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on what keeps the host's files away: the root, mounts, namespaces. */
#include "attacks.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <sched.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "probe.h"
#include "util.h"

static bool has_landlock(void)
{
	return syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION) > 0;
}

/*
 * Files.
 */

/* How many entries a folder has. */
static long list(const char *path)
{
	DIR *dir = opendir(path);
	struct dirent *entry;
	long nr = 0;

	if (!dir)
		return -errno;
	while ((entry = readdir(dir)))
		nr += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(dir);
	return nr;
}

static long list_root(void)
{
	return list("/");
}

static long open_each(void)
{
	static const char *const paths[] = {"/etc/passwd",
					    "/proc/self/status",
					    "/proc/1/root",
					    "/proc/1/root/etc/passwd",
					    "/proc/sys/kernel/core_pattern",
					    "/proc/self/mem",
					    "/sys/kernel",
					    "/dev/kvm",
					    "/dev/mem",
					    "/dev/null",
					    "/dev/net/tun",
					    "/run",
					    "/tmp",
					    "/root",
					    "../etc/passwd",
					    "../../../../../../etc/passwd",
					    "/../../../etc/passwd"};
	size_t i;
	int fd;

	for (i = 0; i < ARRAY_SIZE(paths); i++) {
		fd = open(paths[i], O_PATH);
		if (fd >= 0) {
			probe_print("HOLE %s can be found", paths[i]);
			return fd;
		}
	}
	return -errno;
}

/* A descriptor of a folder would lead out of the root, "..". */
static long folder_descriptors(void)
{
	struct stat st;
	int fd;

	for (fd = 0; fd < 65536; fd++) {
		if (fstat(fd, &st))
			continue;
		if (S_ISDIR(st.st_mode) || !fchdir(fd) || openat(fd, "..", O_PATH) >= 0 ||
		    openat(fd, "../../etc/passwd", O_RDONLY) >= 0)
			return fd;
	}
	return -errno;
}

/* The memory of others, a device that was not named: what is open is what the VM has. */
static long open_descriptors(void)
{
	struct stat st;
	int fd;

	for (fd = STDERR_FILENO + 1; fd < 65536; fd++)
		if (!fstat(fd, &st) && S_ISREG(st.st_mode) && st.st_size == 4242)
			return fd;
	return -EBADF;
}

static long root_flags(void)
{
	const unsigned long want = ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC;
	struct statvfs st;

	if (statvfs("/", &st))
		return -errno;
	return (st.f_flag & want) == want ? -EROFS : 1;
}

static long create_file(void)
{
	return sys(open("/x", O_CREAT | O_WRONLY, 0600));
}

static long create_unnamed(void)
{
	return sys(open("/", O_TMPFILE | O_WRONLY, 0600));
}

static long create_folder(void)
{
	return sys(mkdir("/x", 0700));
}

static long create_link(void)
{
	return sys(symlink("/etc", "/x"));
}

static long create_device(void)
{
	return sys(mknod("/x", S_IFCHR | 0600, (10 << 8) | 232));
}

static long create_fifo(void)
{
	return sys(mkfifo("/x", 0600));
}

static long change_root_mode(void)
{
	return sys(chmod("/", 0777));
}

static long change_root_owner(void)
{
	return sys(chown("/", 1, 1));
}

static long change_root_attribute(void)
{
	return sys(setxattr("/", "user.x", "x", 1, 0));
}

/*
 * Mounts and namespaces.
 */

static long remount_writable(void)
{
	return sys(mount(NULL, "/", NULL, MS_REMOUNT | MS_BIND, NULL));
}

static long remount_filesystem(void)
{
	return sys(mount(NULL, "/", NULL, MS_REMOUNT, NULL));
}

static long mount_tmpfs(void)
{
	return sys(mount("x", "/", "tmpfs", 0, NULL));
}

static long mount_proc(void)
{
	return sys(mount("x", "/", "proc", 0, NULL));
}

static long mount_sysfs(void)
{
	return sys(mount("x", "/", "sysfs", 0, NULL));
}

static long mount_bind(void)
{
	return sys(mount("/", "/", NULL, MS_BIND, NULL));
}

static long unmount_root(void)
{
	return sys(umount2("/", MNT_DETACH));
}

static long pivot_back(void)
{
	return sys(syscall(SYS_pivot_root, ".", "."));
}

static long clone_mount(void)
{
	return sys(syscall(SYS_open_tree, AT_FDCWD, "/", 1 /* OPEN_TREE_CLONE */));
}

static long open_filesystem(void)
{
	return sys(syscall(SYS_fsopen, "tmpfs", 0));
}

/* The classic: out of a chroot by a second one, with a folder of the first still open. */
static long escape_chroot(void)
{
	if (chroot("."))
		return -errno;
	return open("../../../../etc/passwd", O_PATH) >= 0 ? 1 : -errno;
}

/* Of itself and of all processes it may see. */
static long join_namespaces(void)
{
	int fd = (int)syscall(SYS_pidfd_open, getpid(), 0);

	return fd < 0 ? -errno
		      : sys(setns(fd, CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWPID | CLONE_NEWIPC));
}

static long unshare_each(void)
{
	static const int flags[] = {CLONE_NEWNS,  CLONE_NEWNET, CLONE_NEWPID,
				    CLONE_NEWIPC, CLONE_NEWUTS, CLONE_NEWCGROUP};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(flags); i++)
		if (!unshare(flags[i]))
			return 1;
	return -errno;
}

/* May work: whatever it gives, it gives within what is there. */
static long new_user_namespace(void)
{
	return sys(unshare(CLONE_NEWUSER | CLONE_NEWNS | CLONE_NEWNET));
}

static long in_user_namespace(long (*attack)(void))
{
	long result = new_user_namespace();

	return result ? result : attack();
}

static long user_ns_remount(void)
{
	return in_user_namespace(remount_writable);
}

static long user_ns_proc(void)
{
	return in_user_namespace(mount_proc);
}

static long user_ns_sysfs(void)
{
	return in_user_namespace(mount_sysfs);
}

static long user_ns_unmount(void)
{
	return in_user_namespace(unmount_root);
}

static long user_ns_device(void)
{
	return in_user_namespace(create_device);
}

static long user_ns_chroot(void)
{
	return in_user_namespace(escape_chroot);
}

static long user_ns_open(void)
{
	return in_user_namespace(open_each);
}

/* Landlock forbids mounts. Where there is none: an empty file system of its own is no way out. */
static long user_ns_tmpfs(void)
{
	long result = in_user_namespace(mount_tmpfs);

	if (result || has_landlock())
		return result;
	return open_each();
}

const struct attack attacks_files[] = {
	{"list the root", list_root, BOTH, {0, -EACCES, -EMFILE, END}},
	{"open files of the host", open_each, BOTH, {-ENOENT, -EACCES, -EMFILE, END}},
	{"folders by descriptors", folder_descriptors, BOTH, {-EBADF, END}},
	{"inherited descriptors", open_descriptors, BOTH, {-EBADF, END}},
	{"flags of the root", root_flags, BOTH, {-EROFS, END}},
	{"create a file", create_file, BOTH, {-EROFS, -EACCES, -EMFILE, END}},
	{"create a file without a name", create_unnamed, BOTH, {-EROFS, -EACCES, -EMFILE, END}},
	{"create a folder", create_folder, BOTH, {-EROFS, -EACCES, END}},
	{"create a link", create_link, BOTH, {-EROFS, -EACCES, END}},
	{"create a device", create_device, BOTH, {-EPERM, -EROFS, -EACCES, END}},
	{"create a fifo", create_fifo, BOTH, {-EROFS, -EACCES, END}},
	{"change the root's mode", change_root_mode, BOTH, {-EROFS, END}},
	{"change the root's owner", change_root_owner, BOTH, {-EROFS, -EPERM, END}},
	{"change the root's attributes", change_root_attribute, BOTH, {-EROFS, -EOPNOTSUPP, END}},

	{"remount the root writable", remount_writable, BOTH, {-EPERM, END}},
	{"remount its file system", remount_filesystem, BOTH, {-EPERM, END}},
	{"mount a tmpfs", mount_tmpfs, BOTH, {-EPERM, END}},
	{"mount proc", mount_proc, BOTH, {-EPERM, END}},
	{"mount sysfs", mount_sysfs, BOTH, {-EPERM, END}},
	{"bind a folder", mount_bind, BOTH, {-EPERM, END}},
	{"unmount the root", unmount_root, BOTH, {-EPERM, END}},
	{"pivot back", pivot_back, BOTH, {-EPERM, END}},
	{"clone a mount", clone_mount, BOTH, {-EPERM, END}},
	{"open a file system", open_filesystem, BOTH, {-EPERM, END}},
	{"escape by chroot", escape_chroot, BOTH, {-EPERM, -EACCES, END}},
	{"join namespaces", join_namespaces, BOTH, {-EPERM, -EMFILE, END}},
	{"make namespaces", unshare_each, BOTH, {-EPERM, END}},
	/* A child each, as it is no way back. A limit or the host may forbid it. */
	{"make a user namespace", new_user_namespace, EARLY, {0, -EPERM, -ENOSPC, END}},
	{"remount in a user namespace", user_ns_remount, EARLY, {-EPERM, -ENOSPC, END}},
	{"tmpfs in a user namespace",
	 user_ns_tmpfs,
	 EARLY,
	 {-EPERM, -ENOENT, -EACCES, -ENOSPC, END}},
	{"proc in a user namespace", user_ns_proc, EARLY, {-EPERM, -ENOSPC, END}},
	{"sysfs in a user namespace", user_ns_sysfs, EARLY, {-EPERM, -ENOSPC, END}},
	{"unmount in a user namespace", user_ns_unmount, EARLY, {-EPERM, -EINVAL, -ENOSPC, END}},
	{"device in a user namespace",
	 user_ns_device,
	 EARLY,
	 {-EPERM, -EROFS, -EACCES, -ENOSPC, END}},
	{"chroot in a user namespace",
	 user_ns_chroot,
	 EARLY,
	 {-EPERM, -ENOENT, -EACCES, -ENOSPC, END}},
	{"files in a user namespace",
	 user_ns_open,
	 EARLY,
	 {-EPERM, -ENOENT, -EACCES, -ENOSPC, END}},
	{0},
};
