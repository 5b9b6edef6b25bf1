/* SPDX-License-Identifier: Apache-2.0 */
#include "net_header.h"

#include <endian.h>
#include <errno.h>

static bool has(uint64_t features, unsigned int bit)
{
	return features >> bit & 1;
}

/* The last three are the feature bits of this direction. */
static bool gso_allowed(uint8_t gso_type, uint64_t features, unsigned int tso4, unsigned int tso6,
			unsigned int ecn)
{
	if ((gso_type & VIRTIO_NET_HDR_GSO_ECN) && !has(features, ecn))
		return false;
	switch (gso_type & ~VIRTIO_NET_HDR_GSO_ECN) {
	case VIRTIO_NET_HDR_GSO_TCPV4:
		return has(features, tso4);
	case VIRTIO_NET_HDR_GSO_TCPV6:
		return has(features, tso6);
	}
	return false;
}

int net_header_to_host(const struct virtio_net_hdr_v1 *header, uint64_t features, uint32_t len,
		       struct virtio_net_hdr_v1 *ret_header)
{
	uint32_t start = le16toh(header->csum_start);
	uint32_t offset = le16toh(header->csum_offset);

	*ret_header = (struct virtio_net_hdr_v1){.gso_type = VIRTIO_NET_HDR_GSO_NONE};

	/* Other flags are ignored (5.1.6.2.2). */
	if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM) {
		if (!has(features, VIRTIO_NET_F_CSUM) || start + offset + sizeof(uint16_t) > len)
			return -EINVAL;
		ret_header->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		ret_header->csum_start = header->csum_start;
		ret_header->csum_offset = header->csum_offset;
	}
	if (header->gso_type == VIRTIO_NET_HDR_GSO_NONE)
		return 0;

	/* Segments need new checksums, so one goes with the other. */
	if (!ret_header->flags ||
	    !gso_allowed(header->gso_type, features, VIRTIO_NET_F_HOST_TSO4, VIRTIO_NET_F_HOST_TSO6,
			 VIRTIO_NET_F_HOST_ECN) ||
	    !header->gso_size || le16toh(header->hdr_len) > len)
		return -EINVAL;
	ret_header->gso_type = header->gso_type;
	ret_header->gso_size = header->gso_size;
	ret_header->hdr_len = header->hdr_len;
	return 0;
}

bool net_header_to_driver(struct virtio_net_hdr_v1 *header, uint64_t features)
{
	if (!has(features, VIRTIO_NET_F_GUEST_CSUM)) {
		/* Without the feature not even DATA_VALID may be set (5.1.6.4.1). */
		if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			return false;
		header->flags = 0;
	}
	return header->gso_type == VIRTIO_NET_HDR_GSO_NONE ||
	       gso_allowed(header->gso_type, features, VIRTIO_NET_F_GUEST_TSO4,
			   VIRTIO_NET_F_GUEST_TSO6, VIRTIO_NET_F_GUEST_ECN);
}
