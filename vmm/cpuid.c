/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The file has the key, then the table as KVM gave it. Everything that could make KVM tell
 * something else is in the key: the kernel, the device node (made anew with each boot, and each
 * time KVM's module is loaded), and the CPU, asked afresh as a virtual machine may have moved.
 *
 * Only a file that no other user can have written is looked at. A run that is killed between making
 * and renaming leaves the new name behind; the next one takes that away, and the one after it can
 * write. So can two runs at once take each other's, and then what is renamed may not be whole yet:
 * such a file has the wrong size, and is not used.
 */
#include "cpuid.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/utsname.h>
#include <unistd.h>

#include "util.h"

#define FILE_NAME "cpuid"
#define NEW_NAME "cpuid.new"
/* The rest of the room is for who adds to the table. */
#define ENTRIES_KEPT_MAX (CPUID_ENTRIES_MAX - 8)

/* What tells CPUs apart, without what differs between the CPUs of one host (EBX of leaf 1). */
static const struct {
	uint32_t leaf, ebx_mask;
} probes[] = {{0, ~0u}, {1, 0}, {7, ~0u}, {0x80000001, ~0u}, {0x80000008, ~0u}};

struct key {
	char magic[16]; /* with the version of this format */
	char kernel[200];
	uint64_t node[5];
	uint32_t cpu[ARRAY_SIZE(probes)][4];
};

static bool key_make(int kvm_fd, struct key *ret_key)
{
	struct key *key = ret_key;
	struct utsname kernel;
	struct stat node;
	size_t used, i;

	if (uname(&kernel) || fstat(kvm_fd, &node))
		return false;
	*key = (struct key){.magic = "husk CPUID 1",
			    .node = {node.st_dev, node.st_ino, node.st_rdev,
				     (uint64_t)node.st_ctim.tv_sec,
				     (uint64_t)node.st_ctim.tv_nsec}};
	used = text_add(key->kernel, sizeof(key->kernel), 0, kernel.release);
	used = text_add(key->kernel, sizeof(key->kernel), used, " ");
	used = text_add(key->kernel, sizeof(key->kernel), used, kernel.version);
	used = text_add(key->kernel, sizeof(key->kernel), used, " ");
	text_add(key->kernel, sizeof(key->kernel), used, kernel.machine);
	for (i = 0; i < ARRAY_SIZE(probes); i++) {
		uint32_t *regs = key->cpu[i];

		__cpuid_count(probes[i].leaf, 0, regs[0], regs[1], regs[2], regs[3]);
		regs[1] &= probes[i].ebx_mask;
	}
	return true;
}

static size_t table_size(uint32_t entries)
{
	return sizeof(struct kvm_cpuid2) + entries * sizeof(struct kvm_cpuid_entry2);
}

/* No link is followed, wherever in the path it is. */
static int open_plain(int dir_fd, const char *path, int flags, mode_t mode)
{
	struct open_how how = {
		.flags = (uint64_t)flags | O_CLOEXEC, .mode = mode, .resolve = RESOLVE_NO_SYMLINKS};

	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof(how));
}

/* By the user id that husk was started with, which takes no system call. */
static bool is_ours(const struct stat *st)
{
	return st->st_uid == getauxval(AT_EUID) && !(st->st_mode & (S_IWGRP | S_IWOTH));
}

static bool table_load(const char *folder, int kvm_fd, struct kvm_cpuid2 *table)
{
	struct key key, kept;
	struct iovec parts[] = {{&kept, sizeof(kept)}, {table, table_size(CPUID_ENTRIES_MAX)}};
	cleanup_fd int fd = -1;
	char path[PATH_MAX];
	struct stat st;
	size_t used;
	ssize_t size;

	used = text_add(path, sizeof(path), 0, folder);
	if (text_add(path, sizeof(path), used, "/" FILE_NAME) - used < strlen("/" FILE_NAME))
		return false;
	/* O_NONBLOCK: a FIFO must not hang us. */
	fd = open_plain(AT_FDCWD, path, O_RDONLY | O_NONBLOCK | O_NOCTTY, 0);
	if (fd < 0 || fstat(fd, &st) || !S_ISREG(st.st_mode) || !is_ours(&st))
		return false;
	size = readv(fd, parts, ARRAY_SIZE(parts));
	return size > (ssize_t)(sizeof(kept) + table_size(0)) && table->nent > 0 &&
	       table->nent <= ENTRIES_KEPT_MAX &&
	       size == (ssize_t)(sizeof(kept) + table_size(table->nent)) &&
	       key_make(kvm_fd, &key) && !memcmp(&key, &kept, sizeof(key));
}

static void table_save(const char *folder, int kvm_fd, struct kvm_cpuid2 *table)
{
	struct key key;
	struct iovec parts[] = {{&key, sizeof(key)}, {table, table_size(table->nent)}};
	cleanup_fd int dir_fd = -1, fd = -1;
	struct stat st;

	if (table->nent > ENTRIES_KEPT_MAX || !key_make(kvm_fd, &key))
		return;
	mkdir(folder, 0700);
	dir_fd = open_plain(AT_FDCWD, folder, O_RDONLY | O_DIRECTORY, 0);
	if (dir_fd < 0 || fstat(dir_fd, &st) || !is_ours(&st))
		return;
	fd = open_plain(dir_fd, NEW_NAME, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0 && errno != EEXIST)
		return;
	if (fd < 0 ||
	    writev(fd, parts, ARRAY_SIZE(parts)) !=
		    (ssize_t)(parts[0].iov_len + parts[1].iov_len) ||
	    renameat(dir_fd, NEW_NAME, dir_fd, FILE_NAME))
		unlinkat(dir_fd, NEW_NAME, 0);
}

static int table_ask(int kvm_fd, struct kvm_cpuid2 *table)
{
	int err;

	*table = (struct kvm_cpuid2){.nent = CPUID_ENTRIES_MAX};
	if (!ioctl(kvm_fd, KVM_GET_SUPPORTED_CPUID, table))
		return 0;
	err = -errno;
	log_error("KVM refused to tell the features of vCPUs: %s", strerror(-err));
	return err;
}

int cpuid_recall(int kvm_fd, const char *folder, struct kvm_cpuid2 **ret_table)
{
	/* Not cleared: what is not used of it takes no page. */
	cleanup_free struct kvm_cpuid2 *table = malloc(table_size(CPUID_ENTRIES_MAX));
	uint64_t start;
	int err = 0;

	if (!table)
		return -ENOMEM;
	if (!folder || !table_load(folder, kvm_fd, table)) {
		start = clock_now_ns();
		err = table_ask(kvm_fd, table);
		if (!err && folder && clock_now_ns() - start > CPUID_SLOW_NS)
			table_save(folder, kvm_fd, table);
	}
	if (err)
		return err;
	*ret_table = table;
	table = NULL;
	return 0;
}

int cpuid_ask(int kvm_fd, struct kvm_cpuid2 **ret_table)
{
	return cpuid_recall(kvm_fd, NULL, ret_table);
}

bool cpuid_folder(char ret_path[PATH_MAX])
{
	const char *base = getauxval(AT_EUID) ? getenv("XDG_RUNTIME_DIR") : "/run";

	size_t used;

	if (!base || base[0] != '/')
		return false;
	used = text_add(ret_path, PATH_MAX, 0, base);
	return text_add(ret_path, PATH_MAX, used, "/husk") - used == strlen("/husk");
}
