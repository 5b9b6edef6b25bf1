/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network backend: a TAP device of the host, with checksum and segmentation offloads.
 * Documentation/networking/tuntap.rst.
 *
 * Opening logs its failure, once, with what to do; the rest is silent.
 */
#ifndef HUSK_VIRTIO_NET_TAP_H
#define HUSK_VIRTIO_NET_TAP_H

#include "net_backend.h"

/* Attaches to the TAP device `name`, which must exist. 0 or -errno. */
int net_tap_open(const char *name, struct net_backend **ret_backend);

/*
 * Uses an open descriptor of a TAP device (taken on success), which must have been attached with
 * IFF_NO_PI and IFF_VNET_HDR. 0 or -errno.
 */
int net_tap_from_fd(int fd, struct net_backend **ret_backend);

#endif
