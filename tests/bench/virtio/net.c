/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory. A batch to the host: frames are made available, a kick, all of them are done; then the
 * other end takes them. A batch to the guest comes from a TAP device as frames that wait for
 * buffers, so that the kick that brings these starts it; from a socket, whose reader may read
 * ahead, as one piece of the stream, with buffers there. So the device has the whole batch before
 * it, however fast the other end is.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "bench.h"
#include "net.h"
#include "net_stream.h"
#include "net_tap.h"

#define BATCH 128
#define BATCH_BYTES MIB(2) /* or less frames */
#define SOCKET_BYTES (32 << 20)
#define FEATURE(name) (1ull << VIRTIO_NET_F_##name)

enum { QUEUE_RX, QUEUE_TX };

struct net_case {
	uint32_t len;
	bool to_guest, is_tap;
	unsigned int batch;
	struct virtio_net_hdr_v1 header;
	char *pieces; /* what the other end sends */
	size_t piece; /* a frame with what is before it */
};

struct net_end {
	struct driver driver;
	const struct net_case *how;
	struct net *net; /* husk's */
	int fd, peer;	 /* the device's, and the other end */
};

/* TCP over IPv4 between two addresses, of which only the headers matter. */
static void make_frame(char *ret_frame, uint32_t len)
{
	static const unsigned char head[] = {
		0x52, 0x54, 0, 1, 2,  3, 0x52, 0x54, 0,	 1, 2,	  4,  8,  0, 0x45, 0, 0, 0,
		0,    0,    0, 0, 64, 6, 0,    0,    10, 0, 2,	  15, 10, 0, 2,	   2, 0, 80,
		0,    80,   0, 0, 0,  0, 0,    0,    0,	 0, 0x50, 16, 1,  0, 0,	   0, 0, 0};
	const uint16_t total = htobe16((uint16_t)(len - 14));

	memset(ret_frame, 0, len);
	memcpy(ret_frame, head, MIN(sizeof(head), len));
	memcpy(ret_frame + 16, &total, sizeof(total));
}

/* The other end throws away all there is. */
static void drain(const struct net_end *end)
{
	static char sink[1 << 20];

	while (!end->how->is_tap && recv(end->peer, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

/* Makes a batch of buffers available: the first, or those that come back. */
static void collect(struct net_end *end, unsigned int index, unsigned int nr, bool again)
{
	struct fake_guest *guest = &end->driver.guest;
	uint16_t head;
	uint32_t len;

	for (; nr; nr--) {
		FAKE_CHECK(fake_collect(guest, &guest->queues[index], &head, &len));
		if (again)
			fake_publish(guest, &guest->queues[index], head);
	}
}

static unsigned int to_host_turn(struct driver *driver)
{
	struct net_end *end = container_of(driver, struct net_end, driver);
	const unsigned int batch = end->how->batch;
	unsigned int i;

	driver_expect(driver, QUEUE_TX, batch);
	for (i = 0; i < batch; i++)
		fake_publish(&driver->guest, &driver->guest.queues[QUEUE_TX], (uint16_t)i);
	driver_kick(driver, QUEUE_TX);
	while (!driver_wait(driver, QUEUE_TX, batch))
		drain(end);
	drain(end);
	collect(end, QUEUE_TX, batch, false);
	return batch;
}

static unsigned int stream_to_guest_turn(struct driver *driver)
{
	struct net_end *end = container_of(driver, struct net_end, driver);
	const size_t size = end->how->piece * end->how->batch;

	driver_expect(driver, QUEUE_RX, end->how->batch);
	FAKE_CHECK(send(end->peer, end->how->pieces, size, MSG_NOSIGNAL) == (ssize_t)size);
	while (!driver_wait(driver, QUEUE_RX, end->how->batch))
		;
	collect(end, QUEUE_RX, end->how->batch, true);
	driver_kick(driver, QUEUE_RX);
	return end->how->batch;
}

static unsigned int tap_to_guest_turn(struct driver *driver)
{
	struct net_end *end = container_of(driver, struct net_end, driver);
	unsigned int i, nr;

	/* Until the other end's buffers are full. */
	for (nr = 0; nr < end->how->batch; nr++)
		if (send(end->peer, end->how->pieces, end->how->piece,
			 MSG_DONTWAIT | MSG_NOSIGNAL) < 0)
			break;
	FAKE_CHECK(nr);
	driver_expect(driver, QUEUE_RX, nr);
	for (i = 0; i < nr; i++)
		fake_publish(&driver->guest, &driver->guest.queues[QUEUE_RX], (uint16_t)i);
	driver_kick(driver, QUEUE_RX);
	while (!driver_wait(driver, QUEUE_RX, nr))
		;
	collect(end, QUEUE_RX, nr, false);
	return nr;
}

/* Descriptors with a buffer for a frame each; those of a stream to the guest lie there from now on.
 */
static void fill_queue(struct net_end *end)
{
	const struct net_case *how = end->how;
	const uint32_t len = (uint32_t)sizeof(how->header) + how->len;
	const bool ahead = how->to_guest && !how->is_tap;
	struct driver *driver = &end->driver;
	const unsigned int index = how->to_guest ? QUEUE_RX : QUEUE_TX;
	struct fake_queue *queue = &driver->guest.queues[index];
	unsigned int i;

	for (i = 0; i < (ahead ? 2 : 1) * how->batch; i++) {
		const struct fake_buf buf = {driver_alloc(driver, len), len, how->to_guest};
		char *host = fake_ptr(&driver->guest, buf.gpa, len);

		memcpy(host, &how->header, sizeof(how->header));
		make_frame(host + sizeof(how->header), how->len);
		fake_chain(&driver->guest, queue, &buf, 1, false);
		if (ahead)
			fake_publish(&driver->guest, queue, (uint16_t)i);
	}
	driver_kick(driver, index);
}

static void open_stream(struct net_end *end)
{
	const int size = SOCKET_BYTES;
	int pair[2], i;

	FAKE_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	for (i = 0; i < 2; i++)
		if (setsockopt(pair[i], SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
			setsockopt(pair[i], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	end->fd = pair[0];
	end->peer = pair[1];
}

/* A TAP device, and a packet socket that sends frames out of it, which is into the guest. */
static int open_tap(struct net_end *end)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	struct sockaddr_ll address = {.sll_family = AF_PACKET};
	int one = 1, size = SOCKET_BYTES;

	end->fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC);
	end->peer = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);
	if (end->fd < 0 || end->peer < 0 || ioctl(end->fd, TUNSETIFF, &request) ||
	    ioctl(end->peer, SIOCGIFFLAGS, &request))
		return -errno;
	request.ifr_flags |= IFF_UP;
	if (ioctl(end->peer, SIOCSIFFLAGS, &request) || ioctl(end->peer, SIOCGIFINDEX, &request) ||
	    setsockopt(end->peer, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
		return -errno;
	setsockopt(end->peer, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size));
	address.sll_ifindex = request.ifr_ifindex;
	return bind(end->peer, (struct sockaddr *)&address, sizeof(address)) ? -errno : 0;
}

static int end_init(struct net_end *end, const struct net_case *how)
{
	*end = (struct net_end){.how = how, .fd = -1, .peer = -1};
	driver_init(&end->driver);
	if (how->is_tap)
		return open_tap(end);
	open_stream(end);
	return 0;
}

static void end_fini(struct net_end *end)
{
	driver_stop(&end->driver);
	net_destroy(end->net);
	driver_fini(&end->driver);
	close_fd_ptr(&end->fd);
	close_fd_ptr(&end->peer);
}

static void start_husk(struct net_end *end)
{
	const struct net_config config = {.mac = {0x52, 0x54, 0, 1, 2, 3}};
	struct fake_guest *guest = &end->driver.guest;
	struct net_backend *backend;

	FAKE_CHECK(!(end->how->is_tap ? net_tap_from_fd : net_stream_from_fd)(end->fd, &backend));
	end->fd = -1;
	FAKE_CHECK(!net_create(backend, &config, "bench", &guest->mem, &guest->loop, &end->net));
	/* One buffer for a frame. */
	driver_start(&end->driver, net_virtio(end->net), FEATURE(MRG_RXBUF));
	fill_queue(end);
}

static bool start_qemu(struct net_end *end, uint64_t features)
{
	char netdev[128];

	snprintf(netdev, sizeof(netdev),
		 end->how->is_tap ? "tap,id=net,vhost=off,fd=%d"
				  : "stream,id=net,addr.type=fd,addr.str=%d",
		 end->fd);
	if (!qemu_start(&end->driver, QEMU_NET, "-netdev", netdev,
			"virtio-net-device,netdev=net,mac=52:54:00:01:02:03", end->fd, features))
		return false;
	fill_queue(end);
	return true;
}

static void compare_ends(struct bench *bench, const char *name, struct net_end *husk,
			 struct net_end *qemu)
{
	const struct net_case *how = husk->how;

	start_husk(husk);
	bench->has_qemu = bench->has_qemu &&
			  start_qemu(qemu, husk->driver.guest.virtio->state.driver_features);
	bench_measure(bench, name, how->len, &husk->driver, bench->has_qemu ? &qemu->driver : NULL,
		      !how->to_guest ? to_host_turn
		      : how->is_tap  ? tap_to_guest_turn
				     : stream_to_guest_turn);
}

/* What the other end sends: a stream has lengths before its frames. */
static void make_pieces(struct net_case *how)
{
	const uint32_t length = htobe32(how->len);
	/* A packet socket's header has no num_buffers. */
	const size_t head = how->is_tap ? sizeof(struct virtio_net_hdr) : sizeof(length);
	unsigned int i;

	how->piece = head + how->len;
	how->pieces = malloc(how->piece * how->batch);
	FAKE_CHECK(how->pieces);
	for (i = 0; i < how->batch; i++) {
		char *piece = how->pieces + i * how->piece;

		memcpy(piece, how->is_tap ? (const void *)&how->header : &length, head);
		make_frame(piece + head, how->len);
	}
}

static void run_case(struct bench *bench, struct net_case *how)
{
	static struct net_end husk, qemu;
	char name[128];
	int err;

	snprintf(name, sizeof(name), "%s, to the %s, %u bytes", how->is_tap ? "TAP" : "socket",
		 how->to_guest ? "guest" : "host", how->len);
	if (!bench_wants(bench, name))
		return;
	how->batch = (unsigned int)MIN(BATCH, BATCH_BYTES / how->len);
	if (how->is_tap && how->len > 1514)
		how->header = (struct virtio_net_hdr_v1){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
							 .gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
							 .hdr_len = 54,
							 .gso_size = 1448,
							 .csum_start = 34,
							 .csum_offset = 16};
	make_pieces(how);
	err = end_init(&husk, how);
	err = MIN(err, end_init(&qemu, how));
	if (err)
		fprintf(stderr, "no TAP device: %s; left out\n", strerror(-err));
	else
		compare_ends(bench, name, &husk, &qemu);
	end_fini(&qemu);
	end_fini(&husk);
	free(how->pieces);
}

void bench_nets(struct bench *bench)
{
	static const uint32_t lengths[] = {64, 1514, 65000};
	bool tap = true;
	unsigned int i;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		fprintf(stderr, "no network namespace: %s; TAP is left out\n", strerror(errno));
		tap = false;
	}
	for (i = 0; i < 4 * ARRAY_SIZE(lengths); i++) {
		struct net_case how = {
			.len = lengths[i / 4], .is_tap = i % 2, .to_guest = i / 2 % 2};

		if (tap || !how.is_tap)
			run_case(bench, &how);
	}
}
