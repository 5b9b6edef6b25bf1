/* SPDX-License-Identifier: Apache-2.0 */
#include "assets.h"

#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "config_build.h"
#include "util.h"

#define ASSET_KERNEL "vmlinux"
#define ASSET_ROOTFS "rootfs.img"

static const char *const places[] = {"", "../share/husk/"};

/* The path of an asset, for the caller to free. `what` and `option` name it in the message. */
static int asset_find(const char *name, const char *what, const char *option, char **ret_path)
{
	char folder[PATH_MAX];
	ssize_t len = readlink("/proc/self/exe", folder, sizeof(folder) - 1);
	cleanup_free char *path = NULL;
	size_t i;

	if (len < 0) {
		log_error("cannot tell where husk's %s is (/proc/self/exe: %s); name one with %s",
			  what, strerror(errno), option);
		return -ENOENT;
	}
	folder[len] = 0;
	*strrchr(folder, '/') = 0;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		free(path);
		path = NULL;
		if (asprintf(&path, "%s/%s%s", folder, places[i], name) < 0)
			return -ENOMEM;
		if (!access(path, F_OK)) {
			*ret_path = path;
			path = NULL;
			return 0;
		}
	}
	log_error("husk's own %s is not at \"%s/%s\"; build it with \"make\", or name one with %s",
		  what, folder, name, option);
	return -ENOENT;
}

static int fill_root(struct vm_config *config)
{
	struct drive_config root = {.is_root = true, .read_only = true};
	int err = asset_find(ASSET_ROOTFS, "root file system", "--rootfs", &root.path);

	if (err)
		return err;
	root.id = strdup("root");
	if (!root.id) {
		free(root.path);
		return -ENOMEM;
	}
	return config_add_drive(config, "--drive", &root);
}

int assets_fill(struct vm_config *config)
{
	int err = 0;

	if (!config->kernel)
		err = asset_find(ASSET_KERNEL, "kernel", "--kernel", &config->kernel);
	if (!err && config->default_root)
		err = fill_root(config);
	return err;
}
