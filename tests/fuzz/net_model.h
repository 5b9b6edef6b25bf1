/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A model of virtio-net's frames, from virtio 1.2, 5.1.6: which go out and come in, and with what
 * header. Pure.
 */
#ifndef HUSK_TESTS_NET_MODEL_H
#define HUSK_TESTS_NET_MODEL_H

#include <linux/virtio_net.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>

#include "net_backend.h"

#define HEADER sizeof(struct virtio_net_hdr_v1)
#define STREAM_MAX 65535 /* net_stream sends no longer frames */

struct frame {
	struct virtio_net_hdr_v1 header;
	uint32_t len;
	uint8_t seed;
	bool dropped; /* sent: it goes nowhere */
	bool breaks;  /* sent: no request at all; received: a length that ends the stream */
	uint16_t head;
};

static inline bool model_has(uint64_t features, unsigned int bit)
{
	return features >> bit & 1;
}

static inline bool gso_ok(uint8_t type, bool tso4, bool tso6, bool ecn)
{
	if (type >= VIRTIO_NET_HDR_GSO_ECN && !ecn)
		return false;
	type &= 0x7f;
	return (type == VIRTIO_NET_HDR_GSO_TCPV4 && tso4) ||
	       (type == VIRTIO_NET_HDR_GSO_TCPV6 && tso6);
}

/* Whether a frame goes out; its header then is what the host is to see. virtio 1.2, 5.1.6.2. */
static inline bool model_goes_out(struct frame *frame, uint64_t features, bool stream)
{
	const struct virtio_net_hdr_v1 from = frame->header;
	struct virtio_net_hdr_v1 *to = &frame->header;
	const bool csum = from.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM;

	memset(to, 0, sizeof(*to));
	if (frame->len < 14 || frame->len > NET_FRAME_MAX)
		return false;
	if (csum) {
		if (!model_has(features, VIRTIO_NET_F_CSUM) ||
		    from.csum_start + from.csum_offset + 2u > frame->len)
			return false;
		to->flags = VIRTIO_NET_HDR_F_NEEDS_CSUM;
		to->csum_start = from.csum_start;
		to->csum_offset = from.csum_offset;
	}
	if (from.gso_type) {
		if (!csum || !from.gso_size || from.hdr_len > frame->len ||
		    !gso_ok(from.gso_type, model_has(features, VIRTIO_NET_F_HOST_TSO4),
			    model_has(features, VIRTIO_NET_F_HOST_TSO6),
			    model_has(features, VIRTIO_NET_F_HOST_ECN)))
			return false;
		to->gso_type = from.gso_type;
		to->gso_size = from.gso_size;
		to->hdr_len = from.hdr_len;
	}
	return !stream || frame->len <= STREAM_MAX;
}

/* Whether the driver can take a frame; its header then is what the driver is to see. 5.1.6.4. */
static inline bool model_comes_in(struct frame *frame, uint64_t features)
{
	struct virtio_net_hdr_v1 *header = &frame->header;

	if (frame->len < 14 || frame->len > NET_FRAME_MAX)
		return false;
	if (!model_has(features, VIRTIO_NET_F_GUEST_CSUM)) {
		if (header->flags & VIRTIO_NET_HDR_F_NEEDS_CSUM)
			return false;
		header->flags = 0;
	}
	return !header->gso_type ||
	       gso_ok(header->gso_type, model_has(features, VIRTIO_NET_F_GUEST_TSO4),
		      model_has(features, VIRTIO_NET_F_GUEST_TSO6),
		      model_has(features, VIRTIO_NET_F_GUEST_ECN));
}

#endif
