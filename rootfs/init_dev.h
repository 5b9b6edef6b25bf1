/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Block devices: wait for one, name them. Silent; one thread.
 */
#ifndef HUSK_INIT_DEV_H
#define HUSK_INIT_DEV_H

#include <stdbool.h>

/*
 * Make sure that a device node is there. Where the kernel has it as modules and the initramfs
 * brings modprobe, they are loaded. False when the device did not come up.
 */
bool dev_wait(const char *path);

/* /dev/fd, /dev/stdin and so on, and /dev/disk/by-id/virtio-SERIAL for every virtio disk. */
void dev_links(void);

#endif
