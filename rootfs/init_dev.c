/* SPDX-License-Identifier: Apache-2.0 */
#include "init_dev.h"

#include <ctype.h>
#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "init_file.h"
#include "init_proc.h"

#define WAIT_MS 2000 /* far more than a driver needs */

/* What a distribution's kernel needs for husk's devices and images; those built in are no error. */
static void load_modules(void)
{
	static char *const argv[] = {"/sbin/modprobe", "-a",	     "-q",   "virtio_mmio",
				     "virtio_blk",     "virtio_net", "ext4", "squashfs",
				     "overlay",	       "af_packet",  NULL};

	if (access(argv[0], X_OK) == 0)
		proc_run(argv);
}

bool dev_wait(const char *path)
{
	struct timespec ms = {.tv_nsec = 1000000};
	long long end;

	if (access(path, F_OK) == 0)
		return true;
	load_modules();
	end = proc_now_ms() + WAIT_MS;
	while (access(path, F_OK) < 0) {
		if (proc_now_ms() > end)
			return false;
		nanosleep(&ms, NULL);
	}
	return true;
}

/* /dev/disk/by-id/virtio-SERIAL, with udev's rule for odd characters. */
static void link_by_serial(const char *disk)
{
	char path[300];
	char *serial;

	snprintf(path, sizeof(path), "/sys/block/%s/serial", disk);
	serial = file_read(path, NULL);
	if (!serial)
		return;
	serial[strcspn(serial, "\n")] = '\0';
	for (char *c = serial; *c; c++)
		if (!isalnum((unsigned char)*c) && !strchr("#+-.:=@_", *c))
			*c = '_';
	if (*serial) {
		char target[300];

		snprintf(path, sizeof(path), "/dev/disk/by-id/virtio-%s", serial);
		snprintf(target, sizeof(target), "../../%s", disk);
		mkdir("/dev/disk", 0755);
		mkdir("/dev/disk/by-id", 0755);
		(void)!symlink(target, path);
	}
	free(serial);
}

void dev_links(void)
{
	struct dirent *entry;
	DIR *disks;

	(void)!symlink("/proc/self/fd", "/dev/fd");
	(void)!symlink("/proc/self/fd/0", "/dev/stdin");
	(void)!symlink("/proc/self/fd/1", "/dev/stdout");
	(void)!symlink("/proc/self/fd/2", "/dev/stderr");

	disks = opendir("/sys/block");
	if (!disks)
		return;
	while ((entry = readdir(disks)))
		if (strncmp(entry->d_name, "vd", 2) == 0)
			link_by_serial(entry->d_name);
	closedir(disks);
}
