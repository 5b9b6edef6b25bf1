/* SPDX-License-Identifier: Apache-2.0 */
#include "init_mount.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include "init_dev.h"
#include "init_end.h"
#include "init_file.h"

/* Folders of the initramfs, in which the new root is put together. */
#define DISK "/husk/disk"
#define MEMORY "/husk/memory"
#define ROOT "/husk/root"

/* Mount on a folder, which is made if need be; 0 or -errno. */
static int mount_at(const char *source, const char *dir, const char *type, unsigned long flags,
		    const char *options)
{
	mkdir(dir, 0755);
	return mount(source, dir, type, flags, options) < 0 ? -errno : 0;
}

void mount_early(void)
{
	mount_at("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_at("sysfs", "/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	mount_at("dev", "/dev", "devtmpfs", MS_NOSUID, "mode=755");
}

/*
 * The file systems to try in turn, as an allocated list with commas: rootfstype=, or all that the
 * kernel has for disks. ext4 comes first as its driver also stands there as ext2 and ext3 and
 * would complain on the console before it is asked by its name.
 */
static char *root_types(const char *wanted)
{
	char *all, *line, *list, *end;

	if (wanted)
		return strdup(wanted);
	all = file_read("/proc/filesystems", NULL);
	list = all ? malloc(strlen(all) + sizeof("ext4")) : NULL;
	if (!list)
		return NULL;
	end = stpcpy(list, "ext4");
	for (char *cursor = all; (line = strsep(&cursor, "\n"));) {
		if (line[0] == '\t' && strncmp(line + 1, "ext", 3) != 0)
			end = stpcpy(stpcpy(end, ","), line + 1);
	}
	free(all);
	return list;
}

/* What the user can do about it. */
static const char *root_hint(int err, bool rw)
{
	switch (err) {
	case EINVAL:
		return ". Is it a file system image?";
	case ENODEV:
		return ". Does the guest kernel have this file system?";
	case EACCES:
	case EROFS:
		return rw ? ". Is the drive read-only?"
			  : ". Was it not cleanly unmounted? Then run e2fsck on the image";
	default:
		return "";
	}
}

static void mount_disk(const struct boot_spec *boot, const char *dir)
{
	char *types, *cursor, *type;
	int err = ENODEV;

	if (strncmp(boot->root, "/dev/", 5) != 0)
		give_up("root=%s: only a device such as root=/dev/vda can be the root", boot->root);
	if (!dev_wait(boot->root))
		give_up("root=%s: there is no such device. Is there a drive for it, and has the "
			"guest kernel virtio-mmio and virtio-blk?",
			boot->root);
	cursor = types = root_types(boot->rootfstype); /* with those of modules just loaded */
	while ((type = strsep(&cursor, ","))) {
		int ret =
			mount_at(boot->root, dir, type, boot->rw ? 0 : MS_RDONLY, boot->rootflags);
		if (ret == 0) {
			free(types);
			return;
		}
		/* "Not this type" says less than any other error. */
		if (ret != -ENODEV && (err == ENODEV || ret != -EINVAL))
			err = -ret;
	}
	give_up("cannot mount %s (%s, %s): %s%s", boot->root,
		boot->rootfstype ? boot->rootfstype : "any file system", boot->rw ? "rw" : "ro",
		strerror(err), root_hint(err, boot->rw));
}

/* ROOT: the read-only disk under a layer in memory. Returns 0 or -errno. */
static int mount_overlay(void)
{
	int ret = mount_at("memory", MEMORY, "tmpfs", 0, "mode=755");

	if (ret < 0)
		return ret;
	mkdir(MEMORY "/upper", 0755);
	mkdir(MEMORY "/work", 0755);
	return mount_at("root", ROOT, "overlay", 0,
			"lowerdir=" DISK ",upperdir=" MEMORY "/upper,workdir=" MEMORY "/work");
}

/*
 * Delete what is under a folder of the initramfs, to have its memory back. Other file systems
 * (device other than dev) are left alone. Takes fd.
 */
static void delete_tree(int fd, dev_t dev)
{
	DIR *dir = fdopendir(fd);
	struct dirent *entry;
	struct stat st;

	if (!dir) {
		close(fd);
		return;
	}
	while ((entry = readdir(dir))) {
		const char *name = entry->d_name;

		if (strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
			continue;
		if (fstatat(fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0 || st.st_dev != dev)
			continue;
		if (S_ISDIR(st.st_mode)) {
			int child = openat(fd, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);

			if (child >= 0)
				delete_tree(child, dev);
			unlinkat(fd, name, AT_REMOVEDIR);
		} else {
			unlinkat(fd, name, 0);
		}
	}
	closedir(dir);
}

/* Make `root` the root folder; /proc, /sys and /dev move along. */
static void switch_root(const char *root)
{
	static const char *const moved[] = {"/proc", "/sys", "/dev"};
	int initramfs = open("/", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	struct stat st;

	if (chdir(root) < 0)
		give_up("cannot enter the new root: %s", strerror(errno));
	for (size_t i = 0; i < sizeof(moved) / sizeof(*moved); i++) {
		mkdir(moved[i] + 1, 0755);
		if (mount(moved[i], moved[i] + 1, NULL, MS_MOVE, NULL) < 0)
			give_up("cannot move %s into the root file system: %s. Has it this folder?",
				moved[i], strerror(errno));
	}
	/* The initramfs cannot be left by pivot_root: the new root is put over it. */
	if (mount(".", "/", NULL, MS_MOVE, NULL) < 0 || chroot(".") < 0 || chdir("/") < 0)
		give_up("cannot switch to the new root: %s", strerror(errno));

	if (initramfs >= 0 && fstat(initramfs, &st) == 0)
		delete_tree(initramfs, st.st_dev);
}

void mount_root(const struct boot_spec *boot)
{
	const char *root = DISK;
	bool fixed = false;

	if (!boot->root)
		return;
	mount_disk(boot, DISK);
	if (!boot->rw) {
		fixed = mount_overlay() < 0;
		root = fixed ? DISK : ROOT;
	}
	switch_root(root);
	if (fixed) /* no overlayfs: at least a place for temporary files */
		mount_at("tmp", "/tmp", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
}

void mount_rest(void)
{
	mount_at("devpts", "/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
		 "mode=620,gid=5,ptmxmode=666");
	mount_at("shm", "/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
	mount_at("run", "/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
	/* No mkdir in sysfs: without the folder the kernel has no cgroups. */
	mount("cgroup2", "/sys/fs/cgroup", "cgroup2", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
	dev_links();
}

/* Write out and make read-only every disk, last mounted first; false where one is in use. */
static bool disks_fix(const struct mount_entry *mounts, size_t count)
{
	bool done = true;

	for (size_t i = count; i-- > 0;)
		if (mounts[i].rw && mounts[i].source[0] == '/')
			done &= mount(NULL, mounts[i].dir, NULL, MS_REMOUNT | MS_RDONLY, NULL) == 0;
	return done;
}

/* Unmount whatever may keep a disk in use: an overlay, a loop device, a bind mount. */
static void unmount_all(const struct mount_entry *mounts, size_t count)
{
	for (size_t i = count; i-- > 0;)
		if (strcmp(mounts[i].dir, "/") != 0)
			umount2(mounts[i].dir, UMOUNT_NOFOLLOW);
}

void mount_end_all(void)
{
	char *text = file_read("/proc/self/mounts", NULL), *cursor = text;
	struct mount_entry *mounts = NULL, *more, entry;
	size_t count = 0;

	while (text && mount_parse(&cursor, &entry)) {
		more = realloc(mounts, (count + 1) * sizeof(*mounts));
		if (!more)
			break;
		mounts = more;
		mounts[count++] = entry;
	}
	/* Most machines have no writable disk, and most of the others none that is in use. */
	if (!text || !disks_fix(mounts, count)) {
		unmount_all(mounts, count);
		disks_fix(mounts, count);
		sync();
	}
	free(mounts);
	free(text);
}
