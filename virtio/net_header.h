/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Checks of struct virtio_net_hdr_v1, the header that goes with each frame, against the
 * feature bits the driver accepted. virtio 1.2, 5.1.6.
 *
 * Silent and pure.
 */
#ifndef HUSK_VIRTIO_NET_HEADER_H
#define HUSK_VIRTIO_NET_HEADER_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>

#define NET_HEADER_SIZE sizeof(struct virtio_net_hdr_v1)

/*
 * Rebuilds the driver's header (a copy, not in guest memory) for the host, of a frame of `len`
 * bytes, from the fields that apply. -EINVAL if it asks for what was not negotiated, or points out
 * of the frame.
 */
int net_header_to_host(const struct virtio_net_hdr_v1 *header, uint64_t features, uint32_t len,
		       struct virtio_net_hdr_v1 *ret_header);

/*
 * Makes the flags of the host's header fit the driver. False if the frame asks for an offload
 * that the driver does not do.
 */
bool net_header_to_driver(struct virtio_net_hdr_v1 *header, uint64_t features);

#endif
