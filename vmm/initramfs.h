/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The cpio archive that husk appends to the initrd for `husk run`: its own init, and what to run.
 * Linux, Documentation/driver-api/early-userspace/buffer-format.rst.
 *
 * Silent and pure.
 */
#ifndef HUSK_INITRAMFS_H
#define HUSK_INITRAMFS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* A byte buffer that grows; `data` is freed by the owner. */
struct buffer {
	uint8_t *data;
	size_t len;
	size_t capacity;
};

/* What the guest's init is to do (rootfs/link.h). Strings are borrowed. */
struct run_spec {
	char *const *argv;   /* NULL-terminated */
	char *const *env;    /* NULL-terminated, or NULL */
	const char *workdir; /* or NULL */
	bool tty;
	uint16_t rows, cols;
};

/*
 * Builds the archive: LINK_INIT_PATH with husk's own init, LINK_RUN_PATH with `spec`. 0 or -ENOMEM;
 * the caller frees ret_cpio->data.
 */
int initramfs_build(const struct run_spec *spec, struct buffer *ret_cpio);

#endif
