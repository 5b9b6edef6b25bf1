/* SPDX-License-Identifier: Apache-2.0 */
/*
 * File systems: the guest's root and what belongs into it, and their clean end. What cannot go
 * on gives up (init_end.h). One thread.
 */
#ifndef HUSK_INIT_MOUNT_H
#define HUSK_INIT_MOUNT_H

#include "init_parse.h"

/* /proc, /sys and /dev of the initramfs, so that init itself can work. */
void mount_early(void);

/*
 * Mount root= and make it "/": rw as it is; ro under an overlay in memory, so that everything is
 * writable and thrown away. Without root=, the initramfs stays "/".
 */
void mount_root(const struct boot_spec *boot);

/* The rest of what programs expect: /dev/pts, /dev/shm, /run, /sys/fs/cgroup. */
void mount_rest(void);

/* Leave no disk with unwritten data. */
void mount_end_all(void);

#endif
