/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A jail's folder becomes the VM's "/": read-only but for what belongs to the VM's user, with a
 * /dev of its own, and nothing else to reach.
 *
 * What may be written is what the administrator gave to the VM: each file, device and folder in the
 * jail that belongs to its user gets a mount of its own, folders with all that is below. It is
 * mounted on itself by one descriptor, so it does not matter who renames what meanwhile.
 *
 * Logs, once, what failed. For a process with one thread, in a mount namespace of its own.
 */
#ifndef HUSK_ROOTMOUNT_H
#define HUSK_ROOTMOUNT_H

#include <sys/types.h>

/*
 * `root` is the folder, opened in any mount namespace, and `path` where it is in this one. `uid`
 * and `gid` are the VM's. 0 or -errno. Needs Linux 5.12 (mount_setattr).
 */
int rootmount_enter(int root, const char *path, uid_t uid, gid_t gid);

#endif
