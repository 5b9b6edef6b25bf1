/* SPDX-License-Identifier: Apache-2.0 */
/* Classes 33 to 38: frames. virtio 1.2, 5.1.6. */
#include "kit.h"

#define NEXT VRING_DESC_F_NEXT
#define WRITE VRING_DESC_F_WRITE
#define HAS_MERGE FEATURE(VIRTIO_NET_F_MRG_RXBUF)
#define HAS_TSO (FEATURE(VIRTIO_NET_F_CSUM) | FEATURE(VIRTIO_NET_F_HOST_TSO4))
#define HAS_CTRL FEATURE(VIRTIO_NET_F_CTRL_VQ)
#define CTRL_QUEUE 2
/* What long frames are made of: memory that is not written. */
#define FRAME_SOURCE ((const void *)0x100000)

/* Header and `len` bytes of a frame. */
static enum outcome transmit(struct victim *v, const struct virtio_net_hdr_v1 *header,
			     const void *frame, uint64_t len)
{
	memcpy(v->dev->tx, header, sizeof(*header));
	desc_set(v->q, 0, v->dev->tx, NET_HEADER_SIZE, len ? NEXT : 0, 1);
	desc_set(v->q, 1, frame, (uint32_t)len, 0, 0);
	return victim_submit(v, 0);
}

/*
 * 33: lengths
 */

static enum outcome frame_length(struct victim *v, uint64_t len)
{
	const struct virtio_net_hdr_v1 header = {0};

	return transmit(v, &header, FRAME_SOURCE, len);
}

/* Less than a header. */
static enum outcome header_length(struct victim *v, uint64_t len)
{
	desc_set(v->q, 0, v->dev->tx, (uint32_t)len, 0, 0);
	return victim_submit(v, 0);
}

/* virtio 1.2, 2.7.4.1: a device assumes nothing about how a request is cut. */
static enum outcome header_pieces(struct victim *v, uint64_t size)
{
	uint16_t i, nr = (uint16_t)(NET_HEADER_SIZE / size);

	memset(v->dev->tx, 0, NET_HEADER_SIZE);
	for (i = 0; i < nr; i++)
		desc_set(v->q, i, v->dev->tx + i * size, (uint32_t)size, NEXT, i + 1);
	desc_set(v->q, nr, FRAME_SOURCE, 60, 0, 0);
	return victim_submit(v, 0) == SERVED
		       ? SERVED
		       : fail(FAIL_RULE, "a good frame in odd pieces is not sent");
}

static enum outcome header_in_frame(struct victim *v, uint64_t len)
{
	memset(v->dev->tx, 0, NET_HEADER_SIZE);
	desc_set(v->q, 0, v->dev->tx, NET_HEADER_SIZE + (uint32_t)len, 0, 0);
	return victim_submit(v, 0);
}

/*
 * 34: headers
 */

static enum outcome offload(struct victim *v, uint64_t index)
{
	static const struct virtio_net_hdr_v1 headers[] = {
		{.flags = 1, .csum_start = 0xffff, .csum_offset = 0xffff},
		{.flags = 1, .csum_start = 199, .csum_offset = 0},
		{.flags = 1, .csum_start = 34, .csum_offset = 0xffff},
		{.flags = 1, .csum_start = 0xffff, .csum_offset = 1},
		{.flags = 1,
		 .gso_type = 1,
		 .hdr_len = 0xffff,
		 .gso_size = 100,
		 .csum_start = 34,
		 .csum_offset = 16},
		{.flags = 1,
		 .gso_type = 1,
		 .hdr_len = 54,
		 .gso_size = 0,
		 .csum_start = 34,
		 .csum_offset = 16},
		{.flags = 1,
		 .gso_type = 1,
		 .hdr_len = 54,
		 .gso_size = 0xffff,
		 .csum_start = 34,
		 .csum_offset = 16},
		{.flags = 0,
		 .gso_type = 1,
		 .hdr_len = 0,
		 .gso_size = 1,
		 .csum_start = 0,
		 .csum_offset = 0},
		{.flags = 1,
		 .gso_type = 4,
		 .hdr_len = 1,
		 .gso_size = 1,
		 .csum_start = 0,
		 .csum_offset = 0},
		{.flags = 1,
		 .gso_type = 3,
		 .hdr_len = 54,
		 .gso_size = 100,
		 .csum_start = 34,
		 .csum_offset = 6},
		{.flags = 1,
		 .gso_type = 5,
		 .hdr_len = 54,
		 .gso_size = 100,
		 .csum_start = 34,
		 .csum_offset = 6},
		{.flags = 0xff,
		 .gso_type = 0xff,
		 .hdr_len = 0xffff,
		 .gso_size = 0xffff,
		 .csum_start = 0xffff,
		 .csum_offset = 0xffff,
		 .num_buffers = 0xffff},
	};
	enum outcome found = SERVED, next;

	/* 100 and up: with a frame that is long enough for segments. */
	next = transmit(v, &headers[index % 100], FRAME_SOURCE, index < 100 ? 200 : 16000);
	return worse(found, next);
}

#define OFFLOAD(index, words) \
	{34, ON_TX, words, offload, (index), 0}, \
		{34, ON_TX, words ", with CSUM and TSO", offload, (index), HAS_TSO}, \
	{ \
		34, ON_TX, words ", with CSUM and TSO, long", offload, (index) + 100, HAS_TSO \
	}

/*
 * 35 and 36: receive
 */

/* The descriptors that are read-only: 1: the header's, 2: the frame's. */
static enum outcome read_only_buffers(struct victim *v, uint64_t which)
{
	const uint8_t *header = v->dev->rx[0], *frame = header + NET_HEADER_SIZE;
	enum outcome found;

	victim_chain(v);
	if (which & 1)
		v->q->desc[0].flags &= (uint16_t)~WRITE;
	if (which & 2)
		v->q->desc[1].flags &= (uint16_t)~WRITE;
	found = victim_submit(v, 0);
	if ((which & 1 && !is_junk(header, NET_HEADER_SIZE)) || (which & 2 && !is_junk(frame, 64)))
		return fail(FAIL_MEMORY, "what is read-only to the device was written");
	return found == SILENT ? REFUSED : found;
}

/* Puts the peer's answer together from buffers of `size` bytes; num_buffers must be right. */
static enum outcome check_merged(struct victim *v, const uint8_t *buffers, uint64_t stride,
				 uint64_t size)
{
	const struct virtio_net_hdr_v1 *header;
	uint8_t frame[RX_BUFFER_SIZE];
	uint64_t len = 0;
	uint16_t i, nr = 1;

	memset(frame, 0, 128);
	for (i = 0; i < nr; i++) {
		const struct vring_used_elem *used = &v->q->used->ring[i];

		if (!queue_wait(v->q, WAIT_ANSWER))
			return fail(FAIL_RULE, "fewer buffers come back than num_buffers");
		if (used->id >= QUEUE_SIZE || used->len > size || len + size > sizeof(frame))
			return fail(FAIL_RULE, "a used element is longer than its buffer");
		memcpy(frame + len, buffers + used->id * stride, used->len);
		len += used->len;
		header = (const void *)frame;
		/* It may lie over two buffers. */
		if (len >= NET_HEADER_SIZE)
			nr = header->num_buffers;
		else
			nr = (uint16_t)(i + 2);
	}
	if (nr != (len + size - 1) / size)
		return fail(FAIL_RULE, "num_buffers is wrong");
	return net_is_answer(v->dev, frame + NET_HEADER_SIZE)
		       ? SERVED
		       : fail(FAIL_DATA, "the frame is wrong");
}

/* `arg`: the size of the buffers, and 1000 for each of them. */
static enum outcome merged(struct victim *v, uint64_t arg)
{
	const uint64_t size = arg % 1000, count = arg / 1000, stride = size + 32;
	uint8_t *buffers = arena_take(count * stride, 8);
	enum outcome found;
	uint64_t i, k;

	memset(buffers, JUNK, count * stride);
	for (i = 0; i < count; i++) {
		desc_set(v->q, (unsigned int)i, buffers + i * stride, (uint32_t)size, WRITE, 0);
		queue_offer(v->q, (uint16_t)i);
	}
	victim_kick(v);
	found = queue_wait(v->q, WAIT_ANSWER) ? SERVED : SILENT;
	for (i = 0; i < count; i++)
		for (k = size; k < stride; k++)
			if (((volatile uint8_t *)buffers)[i * stride + k] != JUNK)
				return fail(FAIL_MEMORY, "a buffer was overrun");
	if (device_needs_reset(v->dev))
		return NEEDS_RESET;
	if (found == SILENT)
		return REFUSED;
	v->q->seen--;
	return v->dev->accepted & HAS_MERGE ? check_merged(v, buffers, stride, size) : SERVED;
}

/*
 * 37: a control queue that was not negotiated, and what it may be told
 */

static enum outcome control(struct victim *v, const void *command, uint32_t len, uint32_t ack_len)
{
	struct virtio *dev = v->dev;
	struct queue q = {.desc = arena_take(2 * QUEUE_SIZE * sizeof(*q.desc), 16),
			  .avail = arena_take(sizeof(*q.avail), 8),
			  .used = arena_take(sizeof(*q.used), 8)};
	uint8_t *data = arena_take(64, 8), *ack = arena_take(1, 8);
	uint64_t features = dev->accepted;

	if (!device_reset(dev) || !device_negotiate(dev, features))
		return fail(FAIL_DEAD, "it does not start");
	queue_setup(dev, QUEUE_RX);
	queue_setup(dev, QUEUE_TX);
	queue_clear(&q);
	queue_place(dev, CTRL_QUEUE, QUEUE_SIZE, (uintptr_t)q.desc, (uintptr_t)q.avail,
		    (uintptr_t)q.used);
	reg_write(dev, VIRTIO_MMIO_STATUS, RUNNING);
	memcpy(data, command, len > 64 ? 64 : len);
	desc_set(&q, 0, data, len, ack_len ? NEXT : 0, 1);
	desc_set(&q, 1, ack, ack_len, WRITE, 0);
	*ack = NO_ANSWER;
	queue_offer(&q, 0);
	queue_kick(dev, CTRL_QUEUE);
	if (queue_wait(&q, WAIT_QUIET))
		return *(volatile uint8_t *)ack == 0 ? SERVED : REFUSED;
	return device_needs_reset(dev) ? NEEDS_RESET : victim_still_works(v);
}

static enum outcome control_not_accepted(struct victim *v, uint64_t arg)
{
	static const uint8_t promiscuous[] = {0, 0, 1};

	(void)arg;
	return control(v, promiscuous, sizeof(promiscuous), 1);
}

static enum outcome control_is(struct victim *v, uint64_t index)
{
	static const struct {
		uint8_t bytes[12];
		uint32_t len, ack_len;
	} commands[] = {
		{{0}, 1, 1},				/* half a header */
		{{0, 0, 1}, 3, 0},			/* no place for the answer */
		{{0xff, 0xff, 1}, 3, 1},		/* of no class */
		{{1, 0, 0xff, 0xff, 0xff, 0xff}, 6, 1}, /* a table of 2^32 - 1 addresses */
		{{1, 1, 2}, 3, 1},			/* a third of an address */
		{{2, 0, 0xff}, 3, 1},			/* half a VLAN */
		{{4, 0, 0xff, 0xff}, 4, 1},		/* 65535 pairs of queues */
		{{5, 0, 0xff, 0xff, 0xff, 0xff, 255, 255, 255, 255}, 10, 1}, /* offloads */
	};

	return control(v, commands[index].bytes, commands[index].len, commands[index].ack_len);
}

/* Whether it is let through is the network's affair. */
static enum outcome foreign_source(struct victim *v, uint64_t last_byte)
{
	uint8_t *frame = v->dev->tx + NET_HEADER_SIZE;

	victim_chain(v);
	memset(frame + 6, (int)last_byte, 6);
	return victim_submit(v, 0);
}

const struct step net_steps[] = {
	{33, ON_TX, "1 byte of header", header_length, 1, 0},
	{33, ON_TX, "11 bytes of header", header_length, 11, 0},
	{33, ON_TX, "0 bytes", frame_length, 0, 0},
	{33, ON_TX, "1 byte", frame_length, 1, 0},
	{33, ON_TX, "13 bytes", frame_length, 13, 0},
	{33, ON_TX, "14 bytes", frame_length, 14, 0},
	{33, ON_TX, "1515 bytes", frame_length, 1515, 0},
	{33, ON_TX, "9000 bytes", frame_length, 9000, 0},
	{33, ON_TX, "65535 bytes", frame_length, 65535, 0},
	{33, ON_TX, "65551 bytes", frame_length, 65551, 0},
	{33, ON_TX, "70000 bytes", frame_length, 70000, 0},
	{33, ON_TX, "16 MiB", frame_length, 16u << 20, 0},
	{33, ON_TX, "header in pieces of 1", header_pieces, 1, 0},
	{33, ON_TX, "header in pieces of 6", header_pieces, 6, 0},
	{33, ON_TX, "header and frame in one", header_in_frame, 60, 0},

	OFFLOAD(0, "checksum at 2^16 - 1"),
	OFFLOAD(1, "checksum across the end"),
	OFFLOAD(2, "checksum stored past the end"),
	OFFLOAD(3, "checksum wraps at 2^16"),
	OFFLOAD(4, "header longer than the frame"),
	OFFLOAD(5, "segments of 0 bytes"),
	OFFLOAD(6, "segments of 65535 bytes"),
	OFFLOAD(7, "segments of 1 byte, no checksum"),
	OFFLOAD(8, "IPv6 segments of 1 byte, header of 1 byte"),
	OFFLOAD(9, "UDP fragments"),
	OFFLOAD(10, "UDP segments"),
	OFFLOAD(11, "all ones"),

	{35, ON_RX, "header", read_only_buffers, 1, 0},
	{35, ON_RX, "frame", read_only_buffers, 2, 0},
	{35, ON_RX, "both", read_only_buffers, 3, 0},

	{36, ON_RX, "one of 128", merged, 1128, HAS_MERGE},
	{36, ON_RX, "four of 32", merged, 4032, HAS_MERGE},
	{36, ON_RX, "twelve of 13", merged, 12013, HAS_MERGE},
	{36, ON_RX, "twelve of 12", merged, 12012, HAS_MERGE},
	{36, ON_RX, "twelve of 7", merged, 12007, HAS_MERGE},
	{36, ON_RX, "only one of 32", merged, 1032, HAS_MERGE},
	{36, ON_RX, "not negotiated, four of 32", merged, 4032, 0},
	{36, ON_RX, "not negotiated, one of 53", merged, 1053, 0},

	{37, ON_TX, "a command, not negotiated", control_not_accepted, 0, 0},
	{37, ON_TX, "half a header", control_is, 0, HAS_CTRL},
	{37, ON_TX, "no place for the answer", control_is, 1, HAS_CTRL},
	{37, ON_TX, "of no class", control_is, 2, HAS_CTRL},
	{37, ON_TX, "2^32 - 1 addresses", control_is, 3, HAS_CTRL},
	{37, ON_TX, "a third of an address", control_is, 4, HAS_CTRL},
	{37, ON_TX, "half a VLAN", control_is, 5, HAS_CTRL},
	{37, ON_TX, "65535 pairs of queues", control_is, 6, HAS_CTRL},
	{37, ON_TX, "offloads that are not there", control_is, 7, HAS_CTRL},

	{38, ON_TX, "another's", foreign_source, 0x52, 0},
	{38, ON_TX, "a group's", foreign_source, 0xff, 0},
	{38, ON_TX, "zeroes", foreign_source, 0, 0},
};
const size_t nr_net_steps = ARRAY_SIZE(net_steps);
