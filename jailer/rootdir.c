/* SPDX-License-Identifier: Apache-2.0 */
#include "rootdir.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

#define FOLDER_FLAGS (O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define MARKER ".husk-jailer"
#define TRIES_MAX 20 /* against other jailers that remove the folder */
#define COPY_CHUNK (1 << 30)
#define REMOVE_NS_MAX 30000000000ull

/* Folders on the host */

/*
 * Whether only root can change what is in the folder `path`, of which `len` counts. `may_share`: a
 * sticky one will do, where others can add something, but not rename what is root's.
 */
static int check_folder(int fd, const char *path, int len, bool may_share)
{
	struct stat st;

	if (fstat(fd, &st))
		return -errno;
	if (st.st_uid != 0)
		log_error("%.*s belongs to user %u, who could exchange the jail: chown it to root",
			  len, path, st.st_uid);
	else if (st.st_mode & 022 && !(may_share && st.st_mode & S_ISVTX))
		log_error("%.*s is writable for others than root (mode %04o): chmod it to 0755",
			  len, path, st.st_mode & 07777);
	else
		return 0;
	return -EPERM;
}

/* The folder `name` in `parent`, or -errno; it is made if it is missing (*made). Silent. */
static int open_folder(int parent, const char *name, mode_t mode, bool *made)
{
	int fd;

	const bool before = *made;
	struct stat st;

	/* Noted first: a process that is killed in mkdir has made it. */
	if (fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) && errno == ENOENT)
		*made = true;
	if (mkdirat(parent, name, mode)) {
		*made = before;
		if (errno != EEXIST)
			return -errno;
	}
	fd = openat(parent, name, FOLDER_FLAGS);
	return fd < 0 ? -errno : fd;
}

/* The same, and it must be root's. Logs, but for -ENOENT: `parent` was removed meanwhile. */
static int open_own_folder(int parent, const char *name, const char *path, bool *made)
{
	int fd = open_folder(parent, name, 0755, made), err;

	if (fd == -ENOENT)
		return fd;
	if (fd < 0) {
		log_error("cannot open the folder %s in %s: %s%s", name, path, strerror(-fd),
			  fd == -ENOTDIR || fd == -ELOOP
				  ? "; it is something else, or a link: remove it"
				  : "");
		return fd;
	}
	err = check_folder(fd, name, NAME_MAX, false);
	if (err)
		close(fd);
	return err ? err : fd;
}

/* Goes down to the base from "/", so that nobody but root can exchange any part of its path. */
static int open_base(struct rootdir *dir)
{
	cleanup_fd int fd = open("/", FOLDER_FLAGS);
	char *at;
	int next;

	if (!realpath(dir->spec->base, dir->path)) {
		next = -errno;
		log_error("--chroot-base-dir %s: %s; make it first, as root", dir->spec->base,
			  strerror(-next));
		return next;
	}
	for (at = dir->path; fd >= 0 && *at; at = strchrnul(at, '/')) {
		char name[NAME_MAX + 1];

		next = check_folder(fd, dir->path, (int)(at - dir->path) + (at == dir->path), true);
		if (next)
			return next;
		at++;
		snprintf(name, sizeof(name), "%.*s", (int)strcspn(at, "/"), at);
		if (!*name)
			break;
		next = openat(fd, name, FOLDER_FLAGS);
		close(fd);
		fd = next;
	}
	if (fd < 0) {
		next = -errno;
		log_error("--chroot-base-dir %s: %s", dir->path, strerror(-next));
		return next;
	}
	next = check_folder(fd, dir->path, PATH_MAX, false);
	if (next)
		return next;
	dir->base = steal_fd(&fd);
	return 0;
}

/* 0, -EAGAIN if another jailer removed the folder meanwhile, or -errno. */
static int open_and_lock(struct rootdir *dir)
{
	const char *id = dir->spec->id;
	struct stat held, named;

	close_fd_ptr(&dir->exec_dir);
	close_fd_ptr(&dir->id_dir);
	dir->exec_dir = open_own_folder(dir->base, dir->exec_name, dir->path, &dir->made->exec_dir);
	if (dir->exec_dir < 0)
		return dir->exec_dir == -ENOENT ? -EAGAIN : dir->exec_dir;
	dir->id_dir = open_own_folder(dir->exec_dir, id, dir->exec_name, &dir->made->id_dir);
	if (dir->id_dir < 0)
		return dir->id_dir == -ENOENT ? -EAGAIN : dir->id_dir;
	if (flock(dir->id_dir, LOCK_EX | LOCK_NB)) {
		log_error("id \"%s\" is in use: another husk-jailer has locked %s/%s/%s", id,
			  dir->path, dir->exec_name, id);
		close_fd_ptr(&dir->id_dir); /* not ours to clean */
		return -EBUSY;
	}
	if (fstat(dir->id_dir, &held) || fstatat(dir->exec_dir, id, &named, AT_SYMLINK_NOFOLLOW) ||
	    held.st_ino != named.st_ino || held.st_dev != named.st_dev)
		return -EAGAIN;
	return 0;
}

int rootdir_open(struct rootdir *dir, const struct jail_spec *spec, const char *exec_name,
		 struct rootdir_made *made)
{
	unsigned int tries = 0;
	size_t len;
	int err;

	*dir = (struct rootdir){
		.spec = spec,
		.exec_name = exec_name,
		.base = -1,
		.exec_dir = -1,
		.id_dir = -1,
		.root = -1,
		.made = made,
	};
	err = open_base(dir);
	if (err)
		return err;
	do
		err = open_and_lock(dir);
	while (err == -EAGAIN && tries++ < TRIES_MAX);
	if (err) {
		if (err == -EAGAIN)
			log_error("%s/%s is removed time and again by someone else", dir->path,
				  exec_name);
		return err;
	}
	len = strlen(dir->path);
	if ((size_t)snprintf(dir->path + len, sizeof(dir->path) - len, "/%s/%s/root", exec_name,
			     spec->id) >= sizeof(dir->path) - len) {
		log_error("--chroot-base-dir is too long");
		return -ENAMETOOLONG;
	}
	return 0;
}

/* The jail's root, on the host */

static void remove_stale_sockets(int root)
{
	cleanup_fd int run = openat(root, "run", FOLDER_FLAGS);
	DIR *list = run < 0 ? NULL : fdopendir(run);
	struct dirent *entry;
	struct stat st;

	if (!list)
		return;
	steal_fd(&run);
	while ((entry = readdir(list)))
		if (!fstatat(dirfd(list), entry->d_name, &st, AT_SYMLINK_NOFOLLOW) &&
		    S_ISSOCK(st.st_mode))
			unlinkat(dirfd(list), entry->d_name, 0);
	closedir(list);
}

/*
 * Gives a folder in the jail to the VM's user, and makes it first if need be, and those above it.
 * Those must be root's: who owns one of them could exchange what is in it right now.
 */
static int give_folder(struct rootdir *dir, const char *path)
{
	cleanup_fd int fd = fcntl(dir->root, F_DUPFD_CLOEXEC, 3);
	const char *at = path;
	char name[NAME_MAX + 1];
	struct stat st;
	int next, err = 0;
	size_t len;
	bool made = false;

	for (; fd >= 0 && *at; at += len + (at[len] == '/')) {
		len = strcspn(at, "/");
		if (fstat(fd, &st) || st.st_uid != 0) {
			log_error("--writable %s: it is in a folder that is not root's", path);
			return -EPERM;
		}
		next = -ENAMETOOLONG;
		if (len < sizeof(name)) {
			snprintf(name, sizeof(name), "%.*s", (int)len, at);
			made = false;
			next = open_folder(fd, name, 0755, &made);
		}
		close(fd);
		fd = next;
	}
	if (fd < 0)
		err = fd;
	else if (fchown(fd, dir->spec->uid, dir->spec->gid) || fchmod(fd, 0700))
		err = -errno;
	if (err)
		log_error("cannot make the folder /%s in the jail %s: %s%s", path, dir->path,
			  strerror(-err),
			  err == -ENOTDIR || err == -ELOOP
				  ? "; it is something else, or a link: remove it"
				  : "");
	return err;
}

/* "root" may be the VM's user's, from an earlier jailer or a script: he owns it no longer. */
static int take_root(struct rootdir *dir)
{
	struct stat st;
	bool made = false;

	dir->root = open_folder(dir->id_dir, "root", 0750, &made);
	if (dir->root < 0) {
		log_error("cannot open the folder %s: %s", dir->path, strerror(-dir->root));
		return dir->root;
	}
	if (fstat(dir->root, &st))
		return -errno;
	if (st.st_uid != 0 && st.st_uid != dir->spec->uid) {
		log_error("%s belongs to user %u, who is neither root nor the VM's", dir->path,
			  st.st_uid);
		return -EPERM;
	}
	if (fchown(dir->root, 0, dir->spec->gid) || fchmod(dir->root, 0750)) {
		log_error("cannot take over the folder %s: %s", dir->path, strerror(errno));
		return -EPERM;
	}
	return 0;
}

int rootdir_fill(struct rootdir *dir)
{
	cleanup_fd int marker = -1, dev = -1;
	unsigned int i;
	bool made = false;
	int err;

	err = take_root(dir);
	if (err)
		return err;
	marker = openat(dir->id_dir, MARKER, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (marker < 0 && errno == EEXIST)
		remove_stale_sockets(dir->root);
	dev = open_folder(dir->root, "dev", 0755, &made);
	if (dev < 0) {
		log_error("cannot make the folder /dev in the jail %s: %s%s", dir->path,
			  strerror(-dev),
			  dev == -ENOTDIR || dev == -ELOOP ? "; it is a file or a link: remove it"
							   : "");
		return dev;
	}
	err = give_folder(dir, "run");
	for (i = 0; i < dir->spec->nr_writables && !err; i++)
		err = give_folder(dir, dir->spec->writables[i]);
	return err;
}

/* A new file in "root", in place of whatever had its name. A descriptor or -errno, logged. */
static int create_file(const struct rootdir *dir, const char *name, mode_t mode)
{
	int fd = -1;

	if (!unlinkat(dir->root, name, 0) || errno == ENOENT)
		fd = openat(dir->root, name, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC,
			    mode);
	if (fd >= 0)
		return fd;
	fd = -errno;
	log_error("cannot make the file %s/%s: %s", dir->path, name, strerror(-fd));
	return fd;
}

int rootdir_put_program(struct rootdir *dir, int source)
{
	/* Not readable for the VM's user, so that no other process of his may look into it. */
	cleanup_fd int copy = create_file(dir, dir->exec_name, 0511);
	struct stat written, named;
	ssize_t len = 1;
	int fd;

	if (copy < 0)
		return copy;
	while (len > 0)
		len = sendfile(copy, source, NULL, COPY_CHUNK);
	if (len < 0 || fstat(copy, &written)) {
		fd = -errno;
		log_error("cannot copy the program to %s: %s", dir->path, strerror(-fd));
		return fd;
	}
	/* What is open for writing cannot be executed. */
	close_fd_ptr(&copy);
	fd = openat(dir->root, dir->exec_name, O_PATH | O_NOFOLLOW | O_CLOEXEC);
	if (fd >= 0 && !fstat(fd, &named) && named.st_ino == written.st_ino &&
	    named.st_dev == written.st_dev && named.st_nlink == 1)
		return fd;
	close_fd_ptr(&fd);
	log_error("the program in %s was exchanged by someone else", dir->path);
	return -EPERM;
}

int rootdir_put_pid(struct rootdir *dir, pid_t pid)
{
	char name[NAME_MAX + 1];
	cleanup_fd int fd = -1;

	snprintf(name, sizeof(name), "%s.pid", dir->exec_name);
	fd = create_file(dir, name, 0444);
	if (fd < 0)
		return fd;
	if (dprintf(fd, "%d", pid) > 0)
		return 0;
	log_error("cannot write %s/%s: %s", dir->path, name, strerror(errno));
	return -EIO;
}

/* Removal */

/*
 * Removes `name`, a file or an empty folder; moves a folder with something in it to `top` (-1:
 * leaves it), under a name that is free there. Whether anything was done.
 */
static bool remove_entry(int dir, const char *name, int top, unsigned int *serial)
{
	char moved[32];

	if (!unlinkat(dir, name, 0) || (errno == EISDIR && !unlinkat(dir, name, AT_REMOVEDIR)))
		return true;
	if (top < 0 || (errno != ENOTEMPTY && errno != EEXIST))
		return false;
	do
		snprintf(moved, sizeof(moved), ".moved-%u", (*serial)++);
	while (renameat2(dir, name, top, moved, RENAME_NOREPLACE) && errno == EEXIST);
	return !faccessat(top, moved, F_OK, AT_SYMLINK_NOFOLLOW);
}

/* Every entry of a folder; with `deep`, what is in its folders before them. Takes over `fd`. */
static bool remove_entries(int fd, int top, bool deep, unsigned int *serial)
{
	static const struct open_how how = {
		.flags = FOLDER_FLAGS,
		.resolve = RESOLVE_NO_XDEV | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH,
	};
	DIR *list = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	bool done = false;
	int below;

	if (!list)
		close_fd_ptr(&fd);
	while (list && (entry = readdir(list))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		below = deep ? (int)syscall(SYS_openat2, dirfd(list), entry->d_name, &how,
					    sizeof(how))
			     : -1;
		if (below >= 0) {
			/* Nobody is to add to it any more. */
			if (fchown(below, 0, 0) || fchmod(below, 0700))
				log_info("a folder stays another's: %s", strerror(errno));
			done |= remove_entries(below, top, false, serial);
		}
		done |= remove_entry(dirfd(list), entry->d_name, deep ? -1 : top, serial);
	}
	if (list)
		closedir(list);
	return done;
}

/*
 * Empties a folder of root's, however deep what the VM made in it is, without leaving its file
 * system: a folder that is not empty is moved up to the top first, out of reach of those who might
 * still exchange names, so that two levels are all there ever is to look at.
 */
static void empty_folder(int top)
{
	uint64_t end = clock_now_ns() + REMOVE_NS_MAX;
	unsigned int serial = 0;

	while (remove_entries(openat(top, ".", FOLDER_FLAGS), top, true, &serial))
		if (clock_now_ns() > end)
			return;
}

/* Of a folder that was there before: what the jailer put into it. */
static void remove_own(struct rootdir *dir)
{
	char pid_name[NAME_MAX + 1];
	unsigned int i;

	snprintf(pid_name, sizeof(pid_name), "%s.pid", dir->exec_name);
	unlinkat(dir->root, dir->exec_name, 0);
	unlinkat(dir->root, pid_name, 0);
	unlinkat(dir->root, "dev", AT_REMOVEDIR);
	unlinkat(dir->root, "run", AT_REMOVEDIR);
	for (i = 0; i < dir->spec->nr_writables; i++)
		unlinkat(dir->root, dir->spec->writables[i], AT_REMOVEDIR);
	unlinkat(dir->id_dir, MARKER, 0);
}

void rootdir_clean(struct rootdir *dir, bool used)
{
	if (dir->id_dir >= 0 && !(used && dir->spec->keep)) {
		if (used || dir->made->id_dir)
			empty_folder(dir->id_dir);
		else
			remove_own(dir);
		if ((used || dir->made->id_dir) &&
		    unlinkat(dir->exec_dir, dir->spec->id, AT_REMOVEDIR) && errno != ENOENT)
			log_warn("cannot remove all of %s: %s%s", dir->path, strerror(errno),
				 errno == EBUSY || errno == ENOTEMPTY
					 ? "; is something mounted in it?"
					 : "");
	}
	if (dir->exec_dir >= 0 && dir->made->exec_dir && !(used && dir->spec->keep))
		unlinkat(dir->base, dir->exec_name, AT_REMOVEDIR);
	close_fd_ptr(&dir->root);
	close_fd_ptr(&dir->id_dir);
	close_fd_ptr(&dir->exec_dir);
	close_fd_ptr(&dir->base);
}
