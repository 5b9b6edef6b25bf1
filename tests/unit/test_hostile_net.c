/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile guest sends into the network, and asks of the device. */
#include "hostile_net.h"

#include <arpa/inet.h>
#include <net/ethernet.h>
#include <sys/socket.h>

#include "net_stream.h"
#include "virtio_mmio.h"

#define INDIRECT (1ull << VIRTIO_RING_F_INDIRECT_DESC)

/* Header and frame, each at an end of RAM. */
static void usual(struct fake_net *fake, uint32_t len, struct fake_buf bufs[2])
{
	bufs[0] = (struct fake_buf){HOSTILE_HIGH_END - HEADER, HEADER, false};
	bufs[1] = (struct fake_buf){HOSTILE_LOW_END - len, len, false};
	memset(hostile_ptr(&fake->guest, bufs[0].gpa, HEADER), 0, HEADER);
	if (len)
		fake_net_fill(hostile_ptr(&fake->guest, bufs[1].gpa, len), len, 33);
}

static void class_33_frame_lengths(void **state)
{
	static const uint32_t good[] = {14, 15, 60, 1514, 9000, 65535, 65536, NET_FRAME_MAX};
	static const uint32_t bad[] = {0, 1, 12, 13, NET_FRAME_MAX + 1, NET_FRAME_MAX + 12, 100000};
	struct fake_net *fake = *state;
	const struct net_counters *counters = net_counters(fake->net);
	struct fake_buf bufs[2];
	uint64_t before;
	size_t i;

	restart(fake, INDIRECT, QUEUE_SIZE);
	for (i = 0; i < ARRAY_SIZE(good); i++) {
		usual(fake, good[i], bufs);
		assert_int_equal(transmit(fake, bufs, 2, i % 2), HEADER + good[i]);
		assert_true(fake_net_filled(sent + HEADER, good[i], 33));
		assert_recovers(fake, 0);
	}
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		usual(fake, bad[i], bufs);
		before = counters->tx_dropped;
		expect(fake, bufs, 2, DROPPED);
		assert_int_equal(counters->tx_dropped, before + 2);
	}
	/* A frame over the same memory again and again. */
	for (i = 2; i < 40; i++) {
		struct fake_buf many[41] = {{HOSTILE_HIGH_END - HEADER, HEADER, false}};
		size_t n;

		for (n = 1; n < i; n++)
			many[n] = (struct fake_buf){FAKE_RAM_BASE, FAKE_RAM_SIZE, false};
		expect(fake, many, (unsigned int)i, DROPPED);
	}
}

static void class_33_no_header(void **state)
{
	struct fake_net *fake = *state;
	const gpa_t high = HOSTILE_HIGH_END, low = HOSTILE_LOW_END;
	const struct fake_buf bad[][3] = {
		{{high - HEADER, HEADER, true}, {low - GOOD, GOOD, true}, {0, 0, false}},
		{{high - HEADER, HEADER, true}, {0, 0, true}, {0, 0, true}},
		{{high - HEADER, HEADER, false}, {low - GOOD, GOOD, true}, {0, 0, false}},
		{{high - HEADER, HEADER, false}, {low - GOOD, GOOD, false}, {high - 1, 1, true}},
		{{high - HEADER, HEADER, true}, {low - GOOD, GOOD, false}, {0, 0, false}},
		{{high - HEADER + 1, HEADER, false}, {low - GOOD, GOOD, false}, {0, 0, false}},
		{{high - HEADER, HEADER, false}, {low - GOOD + 1, GOOD, false}, {0, 0, false}},
		{{high - HEADER, HEADER, false}, {0, GOOD, false}, {0, 0, false}},
		{{0, 0, false}, {0, 0, false}, {0, 0, false}},
	};
	uint32_t len;
	size_t i;

	restart(fake, INDIRECT, QUEUE_SIZE);
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		expect(fake, bad[i], 3, RESET);
	for (len = 0; len < HEADER; len++) {
		const struct fake_buf bufs[] = {{high - len - 1, len / 2, false},
						{high - (len - len / 2), len - len / 2, false}};

		expect(fake, bufs, 2, RESET);
	}
}

/* Cut at every byte, with nothing between, in one with the frame, and byte by byte. */
static void class_33_split_header(void **state)
{
	struct fake_net *fake = *state;
	const gpa_t at = HOSTILE_LOW_END - HEADER - GOOD;
	struct fake_buf bufs[HEADER + GOOD];
	uint32_t cut, i;

	restart(fake, INDIRECT, 128);
	fake_net_fill(hostile_ptr(&fake->guest, at + HEADER, GOOD), GOOD, 44);
	for (cut = 0; cut <= HEADER + 2; cut++) {
		bufs[0] = (struct fake_buf){at, cut, false};
		bufs[1] = (struct fake_buf){at + cut, 0, false};
		bufs[2] = (struct fake_buf){at + cut, (uint32_t)HEADER + GOOD - cut, false};
		expect(fake, bufs, 3, HEADER + GOOD);
		assert_int_equal(transmit(fake, bufs, 3, cut % 2), HEADER + GOOD);
		assert_memory_equal(sent, &plain, HEADER);
		assert_true(fake_net_filled(sent + HEADER, GOOD, 44));
	}
	for (i = 0; i < ARRAY_SIZE(bufs); i++)
		bufs[i] = (struct fake_buf){at + i, 1, false};
	assert_int_equal(transmit(fake, bufs, ARRAY_SIZE(bufs), false), HEADER + GOOD);
	assert_memory_equal(sent, &plain, HEADER);
	assert_true(fake_net_filled(sent + HEADER, GOOD, 44));
}

/* passt counts by the length in front: whatever the guest sends, the next frame is found. */
static void class_33_stream_stays_in_step(void **state)
{
	static const uint32_t lengths[] = {14, 13, 65535, 65536, 0, NET_FRAME_MAX, GOOD};
	struct fake_net *fake = *state;
	const struct net_config config = {.mac = {2}};
	struct net_backend *backend;
	struct fake_buf bufs[2];
	int fds[2];
	size_t i;

	net_destroy(fake->net);
	close_fd_ptr(&fake->peer);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	fake->peer = fds[1];
	assert_int_equal(net_stream_from_fd(fds[0], &backend), 0);
	assert_int_equal(net_create(backend, &config, "net0", &fake->guest.mem, &fake->guest.loop,
				    &fake->net),
			 0);
	virtio_mmio_init(net_virtio(fake->net), NULL);
	fake_guest_attach(&fake->guest, net_virtio(fake->net));
	restart(fake, 0, QUEUE_SIZE);
	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		const uint32_t len = lengths[i];
		const bool fits = len >= 14 && len <= 65535;
		uint32_t length;

		usual(fake, len, bufs);
		assert_int_equal(transmit(fake, bufs, 2, false), fits ? 4 + len : 0);
		if (!fits)
			continue;
		memcpy(&length, sent, sizeof(length));
		assert_int_equal(ntohl(length), len);
		assert_true(fake_net_filled(sent + 4, len, 33));
	}
	fake_bystander_works(&bystander);
	/* An offload it has no words for is not offered, and not done. */
	usual(fake, GOOD, bufs);
	hostile_ptr(&fake->guest, bufs[0].gpa, HEADER)[0] = VIRTIO_NET_HDR_F_NEEDS_CSUM;
	assert_int_equal(transmit(fake, bufs, 2, false), DROPPED);
}

/* What of the header reaches the host. */
enum { NOTHING, CSUM, GSO, GONE };

#define ALL NET_ALL_OFFLOADS
#define NEEDS VIRTIO_NET_HDR_F_NEEDS_CSUM
#define TCP4 VIRTIO_NET_HDR_GSO_TCPV4
#define TCP6 VIRTIO_NET_HDR_GSO_TCPV6
#define ECN VIRTIO_NET_HDR_GSO_ECN

struct header_case {
	uint64_t features;
	uint8_t flags, gso_type;
	uint16_t hdr_len, gso_size, csum_start, csum_offset;
	int outcome;
};

static void expect_header(struct fake_net *fake, const struct header_case *c)
{
	struct virtio_net_hdr_v1 header = {.flags = c->flags,
					   .gso_type = c->gso_type,
					   .hdr_len = c->hdr_len,
					   .gso_size = c->gso_size,
					   .csum_start = c->csum_start,
					   .csum_offset = c->csum_offset,
					   .num_buffers = 0xffff};
	struct virtio_net_hdr_v1 expected = {0};
	struct fake_buf bufs[2];
	int got;

	if (c->outcome == CSUM || c->outcome == GSO) {
		expected.flags = NEEDS;
		expected.csum_start = header.csum_start;
		expected.csum_offset = header.csum_offset;
	}
	if (c->outcome == GSO) {
		expected.gso_type = header.gso_type;
		expected.gso_size = header.gso_size;
		expected.hdr_len = header.hdr_len;
	}
	restart(fake, c->features, QUEUE_SIZE);
	usual(fake, GOOD, bufs);
	memcpy(hostile_ptr(&fake->guest, bufs[0].gpa, HEADER), &header, HEADER);
	got = transmit(fake, bufs, 2, false);
	if (got != (c->outcome == GONE ? DROPPED : (int)HEADER + GOOD))
		print_error("flags %#x, gso %#x, hdr_len %u, gso_size %u, csum %u + %u\n", c->flags,
			    c->gso_type, c->hdr_len, c->gso_size, c->csum_start, c->csum_offset);
	assert_int_equal(got, c->outcome == GONE ? DROPPED : (int)HEADER + GOOD);
	if (got) {
		assert_memory_equal(sent, &expected, HEADER);
		assert_true(fake_net_filled(sent + HEADER, GOOD, 33));
	}
	assert_recovers(fake, 0);
}

static void class_34_checksum(void **state)
{
	static const struct header_case cases[] = {
		/* The two bytes of the sum at the end of the frame, and past it. */
		{ALL, NEEDS, 0, 0, 0, 0, 0, CSUM},
		{ALL, NEEDS, 0, 0, 0, 34, 16, CSUM},
		{ALL, NEEDS, 0, 0, 0, GOOD - 3, 0, CSUM},
		{ALL, NEEDS, 0, 0, 0, GOOD - 2, 0, CSUM},
		{ALL, NEEDS, 0, 0, 0, GOOD - 1, 0, GONE},
		{ALL, NEEDS, 0, 0, 0, GOOD, 0, GONE},
		{ALL, NEEDS, 0, 0, 0, 0, GOOD - 2, CSUM},
		{ALL, NEEDS, 0, 0, 0, 0, GOOD - 1, GONE},
		{ALL, NEEDS, 0, 0, 0, 30, 28, CSUM},
		{ALL, NEEDS, 0, 0, 0, 30, 29, GONE},
		{ALL, NEEDS, 0, 0, 0, 0xffff, 0xffff, GONE},
		{ALL, NEEDS, 0, 0, 0, 0xffff, 1, GONE}, /* sum of 16 bits wraps to nought */
		{ALL, NEEDS, 0, 0, 0, 1, 0xffff, GONE},
		{ALL, NEEDS, 0, 0, 0, 0x8000, 0x8000, GONE},
		/* Other flags mean nothing here, nor do fields without their flag. */
		{ALL, 0xff, 0, 0, 0, 34, 16, CSUM},
		{ALL, 0xfe, 0, 0xffff, 0xffff, 0xffff, 0xffff, NOTHING},
		{ALL, VIRTIO_NET_HDR_F_DATA_VALID, 0, 0, 0, 0xffff, 0, NOTHING},
		{0, 0xfe, 0, 1, 2, 3, 4, NOTHING},
		/* Not negotiated. */
		{0, NEEDS, 0, 0, 0, 34, 16, GONE},
		{ALL & ~NET_FEATURE(CSUM) & ~NET_FEATURE(HOST_TSO4) & ~NET_FEATURE(HOST_TSO6),
		 NEEDS, 0, 0, 0, 34, 16, GONE},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		expect_header(*state, &cases[i]);
}

static void class_34_segmentation(void **state)
{
	const uint64_t no4 = ALL & ~NET_FEATURE(HOST_TSO4), no6 = ALL & ~NET_FEATURE(HOST_TSO6),
		       no_ecn = ALL & ~NET_FEATURE(HOST_ECN);
	const struct header_case cases[] = {
		{ALL, NEEDS, TCP4, 54, 100, 34, 16, GSO},
		{ALL, NEEDS, TCP6, 54, 100, 34, 16, GSO},
		{ALL, NEEDS, TCP4 | ECN, 54, 100, 34, 16, GSO},
		{ALL, NEEDS, TCP6 | ECN, 54, 100, 34, 16, GSO},
		/* Sizes: of segments, and of the header, which is a hint but stays in the frame. */
		{ALL, NEEDS, TCP4, 54, 0, 34, 16, GONE},
		{ALL, NEEDS, TCP4, 54, 1, 34, 16, GSO},
		{ALL, NEEDS, TCP4, 54, 0xffff, 34, 16, GSO},
		{ALL, NEEDS, TCP4, 0, 100, 34, 16, GSO},
		{ALL, NEEDS, TCP4, GOOD, 100, 34, 16, GSO},
		{ALL, NEEDS, TCP4, GOOD + 1, 100, 34, 16, GONE},
		{ALL, NEEDS, TCP4, 0xffff, 100, 34, 16, GONE},
		/* Without a checksum to compute, or one past the end. */
		{ALL, 0, TCP4, 54, 100, 34, 16, GONE},
		{ALL, 0xfe, TCP6, 54, 100, 34, 16, GONE},
		{ALL, NEEDS, TCP4, 54, 100, GOOD - 1, 0, GONE},
		/* Types not offered, and of no meaning. */
		{ALL, NEEDS, VIRTIO_NET_HDR_GSO_UDP, 42, 100, 34, 6, GONE},
		{ALL, NEEDS, VIRTIO_NET_HDR_GSO_UDP | ECN, 42, 100, 34, 6, GONE},
		{ALL, NEEDS, 5 /* UDP_L4 */, 42, 100, 34, 6, GONE},
		{ALL, NEEDS, ECN, 54, 100, 34, 16, GONE},
		{ALL, NEEDS, 2, 54, 100, 34, 16, GONE},
		{ALL, NEEDS, 0x7f, 54, 100, 34, 16, GONE},
		{ALL, NEEDS, 0xff, 54, 100, 34, 16, GONE},
		{ALL, NEEDS, TCP4 | 0x40, 54, 100, 34, 16, GONE},
		/* Each by its own feature. */
		{no4, NEEDS, TCP4, 54, 100, 34, 16, GONE},
		{no4, NEEDS, TCP6, 54, 100, 34, 16, GSO},
		{no6, NEEDS, TCP6, 54, 100, 34, 16, GONE},
		{no6, NEEDS, TCP4, 54, 100, 34, 16, GSO},
		{no_ecn, NEEDS, TCP4 | ECN, 54, 100, 34, 16, GONE},
		{no_ecn, NEEDS, TCP4, 54, 100, 34, 16, GSO},
		{0, NEEDS, TCP4, 54, 100, 34, 16, GONE},
		{0, 0, TCP4, 54, 100, 34, 16, GONE},
		{NET_FEATURE(GUEST_TSO4) | NET_FEATURE(GUEST_CSUM) | NET_FEATURE(CSUM), NEEDS, TCP4,
		 54, 100, 34, 16, GONE},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		expect_header(*state, &cases[i]);
}

/* Behind the fields there are zeroes, and not what husk keeps there. */
static void class_08_network_configuration(void **state)
{
	static const uint8_t told[] = {0x52, 0x54, 0, 1, 2, 3, 1, 0, 0, 0, 1400 & 0xff, 1400 >> 8};
	struct fake_net *fake = *state;
	unsigned int width;
	uint64_t at;

	for (at = 0; at < sizeof(told); at++)
		assert_int_equal(fake_mmio_read(&fake->guest, VIRTIO_MMIO_CONFIG + at, 1),
				 told[at]);
	for (width = 1; width <= 8; width *= 2)
		for (at = sizeof(told); at <= 0xf00 - width; at++)
			assert_int_equal(
				fake_mmio_read(&fake->guest, VIRTIO_MMIO_CONFIG + at, width), 0);
	assert_int_equal(fake_mmio_read(&fake->guest, VIRTIO_MMIO_CONFIG + sizeof(told) - 1, 8),
			 1400 >> 8);
}

/* There are two queues, whatever a driver would like; and no feature that was not offered. */
static void class_37_control_queue(void **state)
{
	static const uint32_t indexes[] = {2, 3, 0xff, 0xffff, 0x10000, 0x10001, UINT32_MAX};
	struct fake_net *fake = *state;
	uint64_t offered = fake_offered_features(&fake->guest);
	struct fake_queue *queues = fake->guest.queues, control;
	unsigned int bit;
	size_t i;

	for (bit = 0; bit < 64; bit++) {
		if (offered >> bit & 1)
			continue;
		assert_false(fake_negotiate(&fake->guest, (offered & ~ALL) | 1ull << bit) &
			     VIRTIO_CONFIG_S_FEATURES_OK);
	}
	for (bit = VIRTIO_NET_F_CTRL_VQ; bit <= VIRTIO_NET_F_MQ; bit++)
		assert_false(offered >> bit & 1);
	for (i = 0; i < ARRAY_SIZE(indexes); i++) {
		fake->guest.next_free = mark;
		fake_negotiate(&fake->guest, 1ull << VIRTIO_F_VERSION_1);
		fake_queue_alloc(&fake->guest, &control, 16);
		fake_queue_setup(&fake->guest, NET_RX, 16);
		/* A third queue, at the rings of the second. */
		queues[NET_TX] = control;
		fake_queue_program(&fake->guest, NET_TX);
		fake_reg_write(&fake->guest, VIRTIO_MMIO_QUEUE_SEL, indexes[i]);
		assert_int_equal(fake_reg_read(&fake->guest, VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
		fake_reg_write(&fake->guest, VIRTIO_MMIO_QUEUE_NUM, 16);
		fake_reg_write(&fake->guest, VIRTIO_MMIO_QUEUE_DESC_LOW, (uint32_t)control.desc);
		fake_reg_write(&fake->guest, VIRTIO_MMIO_QUEUE_READY, 1);
		assert_int_equal(fake_reg_read(&fake->guest, VIRTIO_MMIO_QUEUE_READY), 0);
		assert_false(fake_net_needs_reset(fake));
		restart(fake, 0, QUEUE_SIZE);
		hostile_ram_keep(&ram, &fake->guest);
		fake_reg_write(&fake->guest, VIRTIO_MMIO_QUEUE_NOTIFY, indexes[i]);
		assert_int_equal(fake_run(&fake->guest), 0);
		assert_true(hostile_ram_same(&ram, &fake->guest));
		assert_recovers(fake, 0);
	}
}

/*
 * The guest may call itself what it likes: frames go out as they are, whoever they say they come
 * from (net.h; who shares a bridge filters there), and none of it changes what the guest is told.
 */
static void class_38_other_source_addresses(void **state)
{
	static const uint8_t sources[][ETH_ALEN] = {
		{0x52, 0x54, 0, 1, 2, 3}, /* its own */
		{0x52, 0x54, 0, 9, 9, 9},    {0xff, 0xff, 0xff, 0xff, 0xff, 0xff},
		{0x01, 0x00, 0x5e, 0, 0, 1}, {0, 0, 0, 0, 0, 0},
	};
	struct fake_net *fake = *state;
	struct fake_buf bufs[2];
	uint8_t *frame;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sources); i++) {
		usual(fake, GOOD, bufs);
		frame = hostile_ptr(&fake->guest, bufs[1].gpa, GOOD);
		memset(frame, 0xff, ETH_ALEN);
		memcpy(frame + ETH_ALEN, sources[i], ETH_ALEN);
		assert_int_equal(transmit(fake, bufs, 2, false), HEADER + GOOD);
		assert_memory_equal(sent + HEADER, frame, GOOD);
		/* The address in the configuration is not the guest's to change. */
		fake_mmio_write(&fake->guest, VIRTIO_MMIO_CONFIG, 0xffffffff, 4);
		assert_int_equal(fake_mmio_read(&fake->guest, VIRTIO_MMIO_CONFIG, 4), 0x01005452);
		assert_recovers(fake, 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		hostile_test(class_08_network_configuration),
		hostile_test(class_33_frame_lengths),
		hostile_test(class_33_no_header),
		hostile_test(class_33_split_header),
		hostile_test(class_33_stream_stays_in_step),
		hostile_test(class_34_checksum),
		hostile_test(class_34_segmentation),
		hostile_test(class_37_control_queue),
		hostile_test(class_38_other_source_addresses),
	};

	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
