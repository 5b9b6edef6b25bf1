/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Network backend: a stream socket with passt, or whatever speaks its protocol, at the other
 * end. Each frame travels behind its length, 32 bits big endian, without a virtio-net header
 * (as in QEMU's "-netdev stream"). So there are no offloads.
 *
 * Opening logs its failure, once; the rest is silent.
 */
#ifndef HUSK_VIRTIO_NET_STREAM_H
#define HUSK_VIRTIO_NET_STREAM_H

#include "net_backend.h"

/* Uses a connected stream socket (taken on success). 0 or -errno. */
int net_stream_from_fd(int fd, struct net_backend **ret_backend);

#endif
