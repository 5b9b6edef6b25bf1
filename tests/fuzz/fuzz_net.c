/* SPDX-License-Identifier: Apache-2.0 */
/*
 * virtio-net between a hostile driver and a hostile peer. Over the fake backend, frames carry
 * headers and there are offloads; over net_stream, the peer may also send lengths that make no
 * sense. A model of virtio 1.2, 5.1.6 says which frames come out at the other end and where those
 * that came in lie; RAM that is in no posted buffer stays as it is.
 */
#include <sys/socket.h>
#include <unistd.h>

#include "fake_net.h"
#include "fuzz_guest.h"
#include "net_model.h"
#include "net_stream.h"
#include "virtio_mmio.h"

#include <linux/virtio_mmio.h>

#define LOW KIB(192)
#define HIGH KIB(4)
#define STEPS_MAX 96
#define TURNS_MAX 64
#define PIECES 4
#define PEER_MAX 32	       /* frames on their way in */
#define PEER_BYTES_MAX KIB(96) /* what a socket surely takes */

/* Receive buffers. */
struct post {
	uint16_t head;
	unsigned int nr;
	struct fake_buf bufs[PIECES];
	uint64_t capacity;
	unsigned int descs; /* of the queue */
	bool bad;
};

static struct fake_net net;
static struct fake_guest *const fake = &net.guest;
static struct fuzz_guest guest_ram, *const guest = &guest_ram;
static bool made, stream;			/* which backend it has */
static uint8_t noise[256 + NET_FRAME_MAX + 64]; /* a frame is a part of it */

static uint64_t features;
static uint16_t queue_size;
static bool broken, down;
static struct frame sent[VIRTQUEUE_SIZE_MAX]; /* made available, not used */
static struct frame at_peer[2 * VIRTQUEUE_SIZE_MAX];
static struct frame arriving[PEER_MAX];
static struct post posts[VIRTQUEUE_SIZE_MAX];
static unsigned int nr_sent, nr_at_peer, nr_arriving, nr_posts;
static unsigned int descs[VIRTIO_QUEUES_MAX];
static uint32_t arriving_bytes;
static size_t peer_have; /* of a frame that the peer has not yet whole */

/*
 * Making a device, and starting it
 */

static void make_stream(void)
{
	const struct net_config config = {.mac = {0x52, 0x54, 0, 1, 2, 3}};
	struct net_backend *backend;
	int fds[2];

	fake_guest_init(fake);
	FUZZ_CHECK(!socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
	net.peer = fds[1];
	FUZZ_CHECK(!net_stream_from_fd(fds[0], &backend));
	FUZZ_CHECK(!net_create(backend, &config, "net0", &fake->mem, &fake->loop, &net.net));
	virtio_mmio_init(net_virtio(net.net), NULL);
	fake_guest_attach(fake, net_virtio(net.net));
}

static void unmake(void)
{
	if (!made)
		return;
	fuzz_guest_fini(guest);
	fake_net_fini(&net);
	made = false;
}

/* A device serves many inputs: to make one takes longer than an input does. */
static void make(bool want_stream)
{
	if (made && stream == want_stream)
		return;
	unmake();
	stream = want_stream;
	if (stream)
		make_stream();
	else
		fake_net_init(&net);
	fuzz_guest_init(guest, fake, LOW, HIGH);
	peer_have = 0;
	made = true;
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	size_t i;

	(void)argc;
	(void)argv;
	log_set_level(LOG_ERROR);
	for (i = 0; i < sizeof(noise); i++)
		noise[i] = (uint8_t)(i % 251 + i / 251);
	return 0;
}

static bool has(unsigned int bit)
{
	return features >> bit & 1;
}

/* A reset, and a start in fresh RAM. */
static void start(uint64_t with, uint16_t size)
{
	const uint64_t used = MIN(fake->next_free - FAKE_RAM_BASE, LOW);

	fake_reg_write(fake, VIRTIO_MMIO_STATUS, 0);
	memset(guest->ram[0].host, 0, used);
	memset(guest->ram[0].shadow, 0, used);
	fake->next_free = FAKE_RAM_BASE;
	features = with;
	queue_size = size;
	nr_sent = nr_posts = descs[NET_RX] = descs[NET_TX] = 0;
	broken = false;
	fake_guest_start(fake, features, size);
	fuzz_allow(guest, FAKE_RAM_BASE, fake->next_free - FAKE_RAM_BASE);
}

static bool room_for(uint64_t bytes)
{
	return fake->next_free + bytes + KIB(1) <= FAKE_RAM_BASE + LOW;
}

/*
 * The model
 */

static void check_used(unsigned int index, uint32_t head, uint32_t len)
{
	struct fake_queue *queue = &fake->queues[index];
	struct vring_used_elem elem;

	memcpy(&elem,
	       fake_ptr(fake, queue->used + 4 + sizeof(elem) * (queue->last_used++ % queue->size),
			sizeof(elem)),
	       sizeof(elem));
	FUZZ_CHECK(elem.id == head && elem.len == len);
}

static unsigned int nr_used(unsigned int index)
{
	const struct fake_queue *queue = &fake->queues[index];

	return (uint16_t)(*fake_used_idx(fake, queue) - queue->last_used);
}

static void check_sent(void)
{
	unsigned int nr = nr_used(NET_TX), i;

	FUZZ_CHECK(nr <= nr_sent);
	for (i = 0; i < nr; i++) {
		FUZZ_CHECK(!sent[i].breaks);
		check_used(NET_TX, sent[i].head, 0);
		if (!sent[i].dropped && !down) {
			FUZZ_CHECK(nr_at_peer < ARRAY_SIZE(at_peer));
			at_peer[nr_at_peer++] = sent[i];
		}
	}
	nr_sent -= nr;
	memmove(sent, sent + nr, nr_sent * sizeof(sent[0]));
	if (!nr_sent)
		descs[NET_TX] = 0;
	/* Only a full socket may hold up a frame. */
	FUZZ_CHECK(broken || !nr_sent || nr_at_peer);
}

static void posts_drop(unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++)
		descs[NET_RX] -= posts[i].descs;
	nr_posts -= nr;
	memmove(posts, posts + nr, nr_posts * sizeof(posts[0]));
}

static void arriving_drop(void)
{
	arriving_bytes -= arriving[0].len;
	nr_arriving--;
	memmove(arriving, arriving + 1, nr_arriving * sizeof(arriving[0]));
}

/* The first `nr` posts hold this frame. */
static void check_frame(struct frame *frame, unsigned int nr)
{
	static uint8_t flat[HEADER + NET_FRAME_MAX];
	uint64_t left = HEADER + frame->len;
	const uint8_t *at = flat;
	unsigned int i, b;

	frame->header.num_buffers = (uint16_t)nr;
	memcpy(flat, &frame->header, HEADER);
	memcpy(flat + HEADER, noise + frame->seed, frame->len);
	for (i = 0; i < nr; i++) {
		uint64_t part = MIN(left, posts[i].capacity);

		check_used(NET_RX, posts[i].head, (uint32_t)part);
		left -= part;
		for (b = 0; b < posts[i].nr && part; b++) {
			uint64_t len = MIN(part, posts[i].bufs[b].len);

			if (!len)
				continue;
			FUZZ_CHECK(!memcmp(fake_ptr(fake, posts[i].bufs[b].gpa, len), at, len));
			at += len;
			part -= len;
		}
	}
	FUZZ_CHECK(!left);
}

enum { FRAME_WAITS, FRAME_DROPPED, FRAME_BREAKS, FRAME_FITS };

/* What becomes of a frame; ret_nr: how many posts it fills. */
static int model_place(const struct frame *frame, unsigned int *ret_nr)
{
	const unsigned int max = has(VIRTIO_NET_F_MRG_RXBUF) ? queue_size : 1;
	uint64_t room = 0;
	unsigned int nr;

	for (nr = 0; room < HEADER + frame->len; nr++) {
		if (nr == max)
			return FRAME_DROPPED;
		if (nr == nr_posts)
			return FRAME_WAITS;
		if (posts[nr].bad)
			return FRAME_BREAKS;
		room += posts[nr].capacity;
	}
	*ret_nr = nr;
	return FRAME_FITS;
}

static void check_received(void)
{
	unsigned int nr = nr_used(NET_RX), k;

	while (nr_arriving && nr_posts && !posts[0].bad) {
		struct frame frame = arriving[0];
		int fate;

		if (frame.breaks) {
			FUZZ_CHECK(broken || !fake_net_link_up(&net));
			break;
		}
		fate = model_comes_in(&frame, features) ? model_place(&frame, &k) : FRAME_DROPPED;
		if (fate == FRAME_WAITS || fate == FRAME_BREAKS) {
			FUZZ_CHECK(fate == FRAME_WAITS || broken || down);
			break;
		}
		/* Where it broke or the peer is gone, it may have stopped before. */
		if (!nr && (broken || down))
			break;
		if (fate == FRAME_FITS) {
			FUZZ_CHECK(nr >= k);
			nr -= k;
			check_frame(&frame, k);
			posts_drop(k);
		}
		arriving_drop();
	}
	FUZZ_CHECK(!nr);
	FUZZ_CHECK(broken || down || !nr_posts || !posts[0].bad);
}

/* What the device may write to. */
static void allow_posts(void)
{
	unsigned int i, b;

	for (i = 0; i < nr_posts; i++)
		for (b = 0; b < posts[i].nr; b++)
			if (posts[i].bufs[b].writable &&
			    fuzz_is_ram(guest, posts[i].bufs[b].gpa, posts[i].bufs[b].len))
				fuzz_allow(guest, posts[i].bufs[b].gpa, posts[i].bufs[b].len);
}

static void allow_rings(void)
{
	unsigned int i;

	for (i = 0; i < VIRTIO_QUEUES_MAX; i++)
		fuzz_allow(guest, fake->queues[i].used, 6 + 8ull * queue_size);
}

static bool may_break(void)
{
	unsigned int i;

	for (i = 0; i < nr_sent; i++)
		if (sent[i].breaks)
			return true;
	for (i = 0; i < nr_posts; i++)
		if (posts[i].bad)
			return true;
	return false;
}

static void run(void)
{
	const bool was_broken = broken;
	const uint16_t used[] = {*fake_used_idx(fake, &fake->queues[NET_RX]),
				 *fake_used_idx(fake, &fake->queues[NET_TX])};

	fake_kick(fake, NET_RX);
	fake_kick(fake, NET_TX);
	FUZZ_CHECK(fuzz_run(fake, TURNS_MAX) < TURNS_MAX);
	fuzz_steps++;
	broken = fake_net_needs_reset(&net);
	FUZZ_CHECK(!broken || was_broken || may_break());
	FUZZ_CHECK(broken || !was_broken);
	if (!fake_net_link_up(&net))
		down = true;
	if (was_broken) {
		FUZZ_CHECK(used[0] == *fake_used_idx(fake, &fake->queues[NET_RX]));
		FUZZ_CHECK(used[1] == *fake_used_idx(fake, &fake->queues[NET_TX]));
	} else {
		allow_posts();
		allow_rings();
	}
	FUZZ_CHECK(!memcmp(guest->ram[0].host, guest->ram[0].shadow,
			   MIN(fake->next_free - FAKE_RAM_BASE + KIB(4), LOW)));
	check_sent();
	check_received();
}

/*
 * The peer
 */

/* Takes one frame out of the socket; its length, 0 if there is no whole one. */
static size_t peer_take(uint8_t *ret_data, size_t size)
{
	static uint8_t whole[4 + NET_FRAME_MAX];
	uint32_t len = 0;
	ssize_t got;

	if (!stream)
		return fake_net_sent(&net, ret_data, size);
	for (;;) {
		if (peer_have >= 4) {
			memcpy(&len, whole, 4);
			len = __builtin_bswap32(len);
			FUZZ_CHECK(len >= 14 && len <= STREAM_MAX);
		}
		if (peer_have == 4 + len && len)
			break;
		got = recv(net.peer, whole + peer_have, 4 + len - peer_have, MSG_DONTWAIT);
		if (got <= 0)
			return 0;
		peer_have += (size_t)got;
	}
	memset(ret_data, 0, HEADER);
	memcpy(ret_data + HEADER, whole + 4, len);
	peer_have = 0;
	return HEADER + len;
}

/* Takes all there is, and all that then comes; each frame is the one that was sent. */
static void drain(void)
{
	static uint8_t data[HEADER + NET_FRAME_MAX + 1];
	unsigned int i;
	size_t len;

	run();
	do {
		for (i = 0; (len = peer_take(data, sizeof(data))); i++) {
			FUZZ_CHECK(i < nr_at_peer);
			FUZZ_CHECK(len == HEADER + at_peer[i].len);
			FUZZ_CHECK(!memcmp(data, &at_peer[i].header, HEADER));
			FUZZ_CHECK(!memcmp(data + HEADER, noise + at_peer[i].seed, at_peer[i].len));
		}
		nr_at_peer -= i;
		memmove(at_peer, at_peer + i, nr_at_peer * sizeof(at_peer[0]));
		run();
	} while (i && !down);
	FUZZ_CHECK(down || !nr_at_peer);
}

static void peer_write(const void *data, size_t len)
{
	FUZZ_CHECK(send(net.peer, data, len, MSG_DONTWAIT | MSG_NOSIGNAL) == (ssize_t)len);
}

static void peer_send(const struct frame *frame, uint32_t split)
{
	static uint8_t data[HEADER + NET_FRAME_MAX + 64];
	uint32_t len = __builtin_bswap32(frame->len), all = frame->len;

	arriving[nr_arriving++] = *frame;
	arriving_bytes += frame->len;
	if (!stream) {
		memcpy(data, &frame->header, HEADER);
		memcpy(data + HEADER, noise + frame->seed, frame->len);
		peer_write(data, HEADER + frame->len);
		return;
	}
	memcpy(data, &len, sizeof(len));
	if (frame->breaks)
		all = 0;
	memcpy(data + 4, noise + frame->seed, all);
	all += 4;
	split = MIN(split, all);
	if (split) {
		peer_write(data, split);
		/* Half a frame is none; the model is not asked before it is whole. */
		fuzz_run(fake, TURNS_MAX);
	}
	if (split < all)
		peer_write(data + split, all - split);
}

/*
 * The program
 */

static uint32_t take_length(struct fuzz_input *in, uint8_t how)
{
	static const uint32_t edges[] = {
		0, 1, 13, 14, 60, 1514, 65535, 65536, 65552, NET_FRAME_MAX, NET_FRAME_MAX + 1};

	switch (how & 3) {
	case 0:
		return fuzz_u8(in);
	case 1:
		return edges[fuzz_u8(in) % ARRAY_SIZE(edges)];
	case 2:
		return fuzz_u16(in);
	default:
		return fuzz_u8(in) * 8u;
	}
}

static void take_header(struct fuzz_input *in, struct virtio_net_hdr_v1 *ret_header)
{
	const uint8_t how = fuzz_u8(in);

	if (how & 128) {
		fuzz_take(in, ret_header, HEADER);
		return;
	}
	*ret_header = (struct virtio_net_hdr_v1){
		.flags = how & 3,
		.gso_type = (uint8_t)((how >> 2 & 7) | (how & 32 ? 0x80 : 0)),
		.hdr_len = fuzz_u8(in),
		.gso_size = how & 64 ? 0 : 1400,
		.csum_start = fuzz_u8(in),
		.csum_offset = fuzz_u8(in),
	};
}

/* Cuts [gpa, gpa + len) into pieces. */
static unsigned int cut(struct fuzz_input *in, struct fake_buf bufs[PIECES], gpa_t gpa,
			uint32_t len, unsigned int pieces, bool writable)
{
	unsigned int i;

	for (i = 0; i < pieces; i++) {
		uint32_t part = i + 1 == pieces ? len : fuzz_u8(in);

		part = MIN(part, len);
		bufs[i] = (struct fake_buf){gpa, part, writable};
		gpa += part;
		len -= part;
	}
	return pieces;
}

/* Puts the buffers into a queue. What of its descriptors the device answers is free again. */
static uint16_t add(unsigned int index, const struct fake_buf *bufs, unsigned int nr, bool table)
{
	struct fake_queue *queue = &fake->queues[index];
	gpa_t from = fake->next_free;
	uint16_t head = fake_chain(fake, queue, bufs, nr, table);

	fake_publish(fake, queue, head);
	descs[index] += table ? 1 : nr;
	fuzz_allow(guest, from, fake->next_free - from);
	fuzz_allow(guest, queue->desc, 16ull * queue->size);
	fuzz_allow(guest, queue->avail, 6 + 2ull * queue->size);
	return head;
}

/* Breaks one rule: true if the chain is bad then. */
static bool breach(struct fuzz_input *in, struct fake_buf *bufs, unsigned int nr)
{
	const uint8_t how = fuzz_u8(in);
	struct fake_buf *buf = &bufs[(how >> 4) % nr];

	if (how & 1)
		buf->writable = !buf->writable;
	else
		buf->gpa = how & 2 ? UINT64_MAX - 3 : guest->ram[1].gpa + HIGH - buf->len + 1;
	return buf->len;
}

static void do_send(struct fuzz_input *in, uint8_t op)
{
	const uint8_t how = fuzz_u8(in), seed = fuzz_u8(in);
	struct frame frame = {.seed = seed};
	struct fake_buf bufs[PIECES];
	unsigned int pieces = (how >> 2 & 3) + 1, cut_off = 0;
	bool table = how & 16 && has(VIRTIO_RING_F_INDIRECT_DESC);
	gpa_t gpa;

	frame.len = take_length(in, how);
	if (how & 32 && !stream)
		take_header(in, &frame.header);
	if (descs[NET_TX] + pieces > queue_size || !room_for(frame.len))
		return;
	gpa = fake_alloc(fake, HEADER + frame.len, 1);
	memcpy(fake_ptr(fake, gpa, HEADER), &frame.header, HEADER);
	if (frame.len)
		memcpy(fake_ptr(fake, gpa + HEADER, frame.len), noise + seed, frame.len);
	fuzz_allow(guest, gpa, HEADER + frame.len);
	if ((op & 0x30) == 0x10) { /* less than a header */
		cut_off = frame.len + 1 + (how >> 6);
		frame.breaks = true;
	}
	cut(in, bufs, gpa, (uint32_t)HEADER + frame.len - cut_off, pieces, false);
	if ((op & 0x30) == 0x20 && breach(in, bufs, pieces))
		frame.breaks = true;
	frame.dropped = !model_goes_out(&frame, features, stream);
	frame.head = add(NET_TX, bufs, pieces, table);
	sent[nr_sent++] = frame;
}

/* A buffer in as many pieces as a chain can have. */
static void do_post_crumbs(struct fuzz_input *in)
{
	const uint32_t len = fuzz_u8(in) % 8 + 1;
	struct post *post = &posts[nr_posts];
	struct fake_buf crumbs[VIRTQUEUE_SIZE_MAX];
	gpa_t gpa;
	unsigned int i;

	if (descs[NET_RX] == queue_size || !room_for((16 + len) * ARRAY_SIZE(crumbs)))
		return;
	gpa = fake_alloc(fake, len * ARRAY_SIZE(crumbs), 1);
	for (i = 0; i < ARRAY_SIZE(crumbs); i++)
		crumbs[i] = (struct fake_buf){gpa + len * i, len, true};
	*post = (struct post){.nr = 1, .descs = 1, .capacity = len * ARRAY_SIZE(crumbs)};
	/* It is one piece of RAM, and for the model one buffer. */
	post->bufs[0] = (struct fake_buf){gpa, (uint32_t)post->capacity, true};
	post->head = add(NET_RX, crumbs, ARRAY_SIZE(crumbs), true);
	nr_posts++;
}

static void do_post(struct fuzz_input *in, uint8_t op)
{
	const uint8_t how = fuzz_u8(in);
	struct post *post = &posts[nr_posts];
	unsigned int pieces = (how >> 2 & 3) + 1;
	const bool table = how & 16 && has(VIRTIO_RING_F_INDIRECT_DESC);
	uint32_t len = take_length(in, how);

	if (how & 32)
		len += HEADER;
	if (!(op & 0x30) && len < HEADER)
		len = HEADER;
	if (descs[NET_RX] + pieces > queue_size || !room_for(len))
		return;
	*post = (struct post){.capacity = len, .bad = len < HEADER};
	post->nr = cut(in, post->bufs, fake_alloc(fake, len, 1), len, pieces, true);
	if ((op & 0x30) == 0x20 && breach(in, post->bufs, pieces))
		post->bad = true;
	post->descs = table ? 1 : pieces;
	post->head = add(NET_RX, post->bufs, pieces, table);
	nr_posts++;
}

static void do_arrive(struct fuzz_input *in, uint8_t op)
{
	const uint8_t how = fuzz_u8(in), seed = fuzz_u8(in);
	struct frame frame = {.seed = seed};

	frame.len = take_length(in, how);
	if (how & 4 && !stream)
		take_header(in, &frame.header);
	if (stream && (op & 0x30) == 0x10)
		frame.len = fuzz_u32(in);
	frame.breaks = stream && (!frame.len || frame.len > NET_FRAME_MAX);
	if (nr_arriving == PEER_MAX || down ||
	    (!frame.breaks && arriving_bytes + frame.len > PEER_BYTES_MAX))
		return;
	/* Nothing comes after the end of the stream. */
	if (nr_arriving && arriving[nr_arriving - 1].breaks)
		return;
	peer_send(&frame, how & 8 ? fuzz_u8(in) : 0);
	if (frame.breaks)
		arriving_bytes = PEER_BYTES_MAX;
}

static void do_step(struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in);

	fuzz_steps++;
	switch (op & 7) {
	case 0:
	case 1:
		do_send(in, op);
		break;
	case 2:
	case 3:
		if ((op & 0x30) == 0x30 && has(VIRTIO_RING_F_INDIRECT_DESC))
			do_post_crumbs(in);
		else
			do_post(in, op);
		break;
	case 4:
		do_arrive(in, op);
		break;
	case 5:
		drain();
		break;
	case 6:
		/* Where frames are under way, which one a reset loses is the device's affair. */
		if ((op & 0x30) == 0x30 && !nr_arriving)
			start(features, queue_size);
		else if (op == 0xc6) {
			shutdown(net.peer, SHUT_RDWR);
			down = true;
		}
		break;
	default:
		run();
	}
	if (op & 64)
		run();
}

/*
 * The end: after a reset, frames go in both directions
 */

/*
 * Receives all that waits. The last of it is a frame the peer sends now, or the length that ends
 * the stream.
 */
static void check_receives(void)
{
	const struct frame frame = {.len = 77, .seed = 5};
	const struct fake_buf buf = {fake_alloc(fake, KIB(66), 1), KIB(66), true};
	const bool ends = nr_arriving && arriving[nr_arriving - 1].breaks;
	struct fake_queue *queue = &fake->queues[NET_RX];
	uint16_t head;
	uint32_t len = 0;
	unsigned int i;

	nr_arriving = 0;
	if (!ends)
		peer_send(&frame, 0);
	for (i = 0; i <= PEER_MAX + 2; i++) {
		fake_add(fake, queue, &buf, 1);
		fake_kick(fake, NET_RX);
		FUZZ_CHECK(fuzz_run(fake, TURNS_MAX) < TURNS_MAX);
		if (!fake_collect(fake, queue, &head, &len))
			break;
	}
	if (ends) {
		FUZZ_CHECK(!fake_net_link_up(&net));
		down = true;
		return;
	}
	FUZZ_CHECK(len == HEADER + frame.len);
	FUZZ_CHECK(!memcmp(fake_ptr(fake, buf.gpa + HEADER, frame.len), noise + frame.seed,
			   frame.len));
}

static void check_works(void)
{
	struct fuzz_input zeroes = {(const uint8_t *)"", 0};

	if (!down)
		drain();
	start(fake_offered_features(fake), 4);
	if (!down)
		check_receives();
	/* Where the link is down, what is sent still comes back. */
	start(fake_offered_features(fake), 4);
	do_send(&zeroes, 0);
	run();
	FUZZ_CHECK(!nr_sent && !broken);
	if (!down)
		drain();
	FUZZ_CHECK(fake_net_link_up(&net) == !down);
	start(fake_offered_features(fake), 4);
	fake_reg_write(fake, VIRTIO_MMIO_STATUS, 0);
	fake_irqs(fake);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	const uint8_t how = fuzz_u8(&in);
	const uint16_t without = fuzz_u16(&in);
	uint64_t off = (uint64_t)(without & 0x3ff) << VIRTIO_NET_F_GUEST_CSUM;
	unsigned int steps;

	make(how & 1);
	down = false;
	nr_at_peer = nr_arriving = 0;
	arriving_bytes = 0;
	off = (off & 0x7f9f) | (without & 0x400 ? 1ull << VIRTIO_NET_F_CSUM : 0) |
	      (without & 0x800 ? 1ull << VIRTIO_NET_F_MRG_RXBUF : 0) |
	      (without & 0x1000 ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0) |
	      (without & 0x2000 ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0);
	start(fake_offered_features(fake) & ~off, (uint16_t)(64 >> (how >> 1) % 7));
	for (steps = 0; in.size && steps < STEPS_MAX && !down; steps++)
		do_step(&in);
	run();
	fuzz_guest_check(guest);
	check_works();
	if (down)
		unmake();
	return 0;
}
