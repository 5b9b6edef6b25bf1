/* SPDX-License-Identifier: Apache-2.0 */
/* The TAP backend, with real TAP devices in a network namespace of its own. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/ethtool.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/rtnetlink.h>
#include <linux/sockios.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "fake_net.h"
#include "net_tap.h"
#include "virtio_mmio.h"

#define HEADER sizeof(struct virtio_net_hdr_v1)
#define TAP "husktest0"
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
#define ETHERTYPE 0x88b5 /* for local experiments */

static bool have_namespace; /* with TAP devices */
static int control = -1;    /* for interface ioctls in it */

static int tun_attach(const char *name, int flags)
{
	struct ifreq request = {.ifr_flags = (short)flags};
	int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC | O_NONBLOCK);

	strcpy(request.ifr_name, name);
	if (fd >= 0 && ioctl(fd, TUNSETIFF, &request)) {
		close(fd);
		return -1;
	}
	return fd;
}

static void tun_make(const char *name, int flags)
{
	int fd = tun_attach(name, flags);

	assert_true(fd >= 0);
	assert_int_equal(ioctl(fd, TUNSETPERSIST, 1), 0);
	close(fd);
}

static void tun_delete(const char *name)
{
	struct {
		struct nlmsghdr header;
		struct ifinfomsg info;
	} request = {
		.header = {.nlmsg_len = sizeof(request),
			   .nlmsg_type = RTM_DELLINK,
			   .nlmsg_flags = NLM_F_REQUEST | NLM_F_ACK},
		.info.ifi_index = (int)if_nametoindex(name),
	};
	int fd = socket(AF_NETLINK, SOCK_RAW, NETLINK_ROUTE);
	char answer[256];

	assert_int_equal(send(fd, &request, sizeof(request), 0), sizeof(request));
	assert_true(recv(fd, answer, sizeof(answer), 0) > 0);
	close(fd);
	assert_int_equal(if_nametoindex(name), 0);
}

static void set_up(const char *name, bool up)
{
	struct ifreq request = {0};

	strcpy(request.ifr_name, name);
	assert_int_equal(ioctl(control, SIOCGIFFLAGS, &request), 0);
	request.ifr_flags = (short)(up ? request.ifr_flags | IFF_UP : request.ifr_flags & ~IFF_UP);
	assert_int_equal(ioctl(control, SIOCSIFFLAGS, &request), 0);
}

static uint32_t ethtool_get(const char *name, uint32_t command)
{
	struct ethtool_value value = {.cmd = command};
	struct ifreq request = {0};

	strcpy(request.ifr_name, name);
	request.ifr_data = (char *)&value;
	assert_int_equal(ioctl(control, SIOCETHTOOL, &request), 0);
	return value.data;
}

/* The host's side of the TAP device: sees and sends frames of ETHERTYPE. */
static int packet_socket(void)
{
	struct sockaddr_ll address = {.sll_family = AF_PACKET,
				      .sll_protocol = htons(ETHERTYPE),
				      .sll_ifindex = (int)if_nametoindex(TAP)};
	int fd = socket(AF_PACKET, SOCK_RAW | SOCK_NONBLOCK, 0), yes = 1;

	/* A queueing discipline appears only some time after the device has got its carrier. */
	assert_int_equal(setsockopt(fd, SOL_PACKET, PACKET_QDISC_BYPASS, &yes, sizeof(yes)), 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	return fd;
}

static void frame_make(uint8_t *frame, size_t len, uint8_t seed)
{
	static const uint8_t ethernet[ETH_HLEN] = {
		0xff, 0xff, 0xff, 0xff, 0xff, 0xff,	      2,
		0,    0,    0,	  0,	9,    ETHERTYPE >> 8, ETHERTYPE & 0xff};

	memcpy(frame, ethernet, sizeof(ethernet));
	fake_net_fill(frame + ETH_HLEN, len - ETH_HLEN, seed);
}

static int group_setup(void **state)
{
	int fd;

	(void)state;
	if (unshare(geteuid() ? CLONE_NEWNET | CLONE_NEWUSER : CLONE_NEWNET))
		return 0;
	control = socket(AF_INET, SOCK_DGRAM, 0);
	fd = tun_attach("husktry%d", TAP_FLAGS);
	have_namespace = fd >= 0;
	close_fd_ptr(&fd);
	return 0;
}

static int setup(void **state)
{
	(void)state;
	if (have_namespace) {
		tun_make(TAP, TAP_FLAGS);
		set_up(TAP, true);
	} else {
		print_message("no TAP device can be made here\n");
	}
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	if (have_namespace && if_nametoindex(TAP))
		tun_delete(TAP);
	return 0;
}

#define NEEDS_NAMESPACE() \
	do { \
		if (!have_namespace) \
			skip(); \
	} while (0)

/* net_tap_open, and what it says about it. */
static int open_logged(const char *name, struct net_backend **ret_backend, char *ret_log,
		       size_t size)
{
	int fds[2], saved = dup(2), err;
	ssize_t got;

	assert_int_equal(pipe2(fds, O_NONBLOCK), 0);
	dup2(fds[1], 2);
	err = net_tap_open(name, ret_backend);
	dup2(saved, 2);
	got = read(fds[0], ret_log, size - 1);
	ret_log[MAX(got, 0)] = '\0';
	close(saved);
	close(fds[0]);
	close(fds[1]);
	return err;
}

static void test_open_refuses(void **state)
{
	static const struct {
		const char *name;
		int err;
		const char *hint;
	} rows[] = {
		{"husknone0", -ENODEV, "ip tuntap add dev"},
		{"husknone%d", -ENODEV, "ip tuntap add dev"},
		{"", -ENODEV, "ip tuntap add dev"},
		{"a-name-that-is-too-long-for-a-device", -ENODEV, "ip tuntap add dev"},
		{"lo", -EINVAL, "not a TAP device"},
		{"husktun0", -EINVAL, "not a TAP device"},
		{"huskbusy0", -EBUSY, "in use"},
	};
	struct net_backend *backend = NULL;
	char log[256];
	unsigned int i;
	int fd, err;

	(void)state;
	NEEDS_NAMESPACE();
	tun_make("husktun0", IFF_TUN | IFF_NO_PI);
	fd = tun_attach("huskbusy0", TAP_FLAGS);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		err = open_logged(rows[i].name, &backend, log, sizeof(log));
		if (err != rows[i].err || !strstr(log, rows[i].hint) ||
		    strchr(log, '\n') != log + strlen(log) - 1)
			fail_msg("\"%s\": %d, %s", rows[i].name, err, log);
		assert_null(backend);
	}
	assert_int_equal(if_nametoindex("husknone0"), 0);
	close(fd);
	tun_delete("husktun0");
}

/* Another user's device, and a user who may not even open /dev/net/tun. */
static void test_open_not_permitted(void **state)
{
	struct net_backend *backend;
	int fd, status, want;
	pid_t pid;

	(void)state;
	NEEDS_NAMESPACE();
	if (geteuid())
		skip();
	fd = tun_attach(TAP, TAP_FLAGS);
	assert_int_equal(ioctl(fd, TUNSETOWNER, 12345), 0);
	close(fd);
	pid = fork();
	if (!pid) {
		alarm(10);
		if (setresuid(65534, 65534, 65534))
			_exit(99);
		want = access("/dev/net/tun", R_OK | W_OK) ? -EACCES : -EPERM;
		_exit(net_tap_open(TAP, &backend) != want);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
}

static void test_frames(void **state)
{
	struct net_backend *backend;
	uint8_t frame[1514], got[2000];
	struct virtio_net_hdr_v1 header = {0};
	struct iovec iov[] = {{&header, HEADER}, {frame, 100}, {frame + 100, sizeof(frame) - 100}};
	struct iovec in[] = {{&header, HEADER}, {got, sizeof(got)}};
	ssize_t len;
	int packet;

	(void)state;
	NEEDS_NAMESPACE();
	assert_int_equal(net_tap_open(TAP, &backend), 0);
	assert_int_equal(backend->features, NET_ALL_OFFLOADS);
	packet = packet_socket();

	frame_make(frame, sizeof(frame), 5);
	assert_int_equal(backend->ops->send(backend, iov, 3), 0);
	assert_int_equal(recv(packet, got, sizeof(got), 0), sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));

	frame_make(frame, sizeof(frame), 6);
	assert_int_equal(send(packet, frame, sizeof(frame), 0), sizeof(frame));
	do {
		len = backend->ops->receive(backend, in, 2);
		assert_true(len > 0);
	} while (got[12] != ETHERTYPE >> 8 || got[13] != (ETHERTYPE & 0xff));
	assert_int_equal(len, HEADER + sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));
	assert_int_equal(header.gso_type, VIRTIO_NET_HDR_GSO_NONE);
	while (len > 0)
		len = backend->ops->receive(backend, in, 2);
	assert_int_equal(len, -EAGAIN);

	/* What the kernel does not like, and a device that is down, lose the frame only. */
	header = (struct virtio_net_hdr_v1){.flags = 1, .csum_start = 5000};
	iov[0] = (struct iovec){&header, HEADER};
	assert_int_equal(backend->ops->send(backend, iov, 3), 0);
	header = (struct virtio_net_hdr_v1){0};
	set_up(TAP, false);
	assert_int_equal(backend->ops->send(backend, iov, 3), 0);
	assert_int_equal(recv(packet, got, sizeof(got), 0), -1);
	close(packet);
	backend->ops->destroy(backend);
}

static void test_offloads(void **state)
{
	static const struct {
		uint64_t features;
		uint32_t csum, tso;
	} rows[] = {
		{0, 0, 0},
		{NET_FEATURE(GUEST_CSUM), 1, 0},
		{NET_FEATURE(GUEST_CSUM) | NET_FEATURE(GUEST_TSO4), 1, 1},
		{NET_FEATURE(GUEST_CSUM) | NET_FEATURE(GUEST_ECN), 1, 0},
		{NET_FEATURE(GUEST_TSO4) | NET_FEATURE(GUEST_TSO6), 0, 0},
		{NET_ALL_OFFLOADS, 1, 1},
		{0, 0, 0},
	};
	struct net_backend *backend;
	unsigned int i;

	(void)state;
	NEEDS_NAMESPACE();
	assert_int_equal(net_tap_open(TAP, &backend), 0);
	assert_int_equal(ethtool_get(TAP, ETHTOOL_GTXCSUM), 0);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		assert_int_equal(backend->ops->set_features(backend, rows[i].features), 0);
		assert_int_equal(ethtool_get(TAP, ETHTOOL_GTXCSUM), rows[i].csum);
		assert_int_equal(ethtool_get(TAP, ETHTOOL_GTSO), rows[i].tso);
	}
	backend->ops->destroy(backend);
}

static void test_deleted(void **state)
{
	struct net_backend *backend;
	struct virtio_net_hdr_v1 header = {0};
	uint8_t frame[60];
	struct iovec iov[] = {{&header, HEADER}, {frame, sizeof(frame)}};
	struct epoll_event event = {.events = EPOLLIN};
	int epoll_fd = epoll_create1(0);

	(void)state;
	NEEDS_NAMESPACE();
	frame_make(frame, sizeof(frame), 1);
	assert_int_equal(net_tap_open(TAP, &backend), 0);
	assert_int_equal(epoll_ctl(epoll_fd, EPOLL_CTL_ADD, backend->fd, &event), 0);
	tun_delete(TAP);
	assert_int_equal(epoll_wait(epoll_fd, &event, 1, 0), 1);
	assert_true(event.events & EPOLLERR);
	assert_int_equal(backend->ops->send(backend, iov, 2), -EPIPE);
	assert_int_equal(backend->ops->receive(backend, iov, 2), -EPIPE);
	assert_true(backend->ops->set_features(backend, 0) < 0);
	backend->ops->destroy(backend);
	close(epoll_fd);
}

static void test_from_fd(void **state)
{
	struct net_backend *backend = NULL;
	int fd, fds[2];

	(void)state;
	NEEDS_NAMESPACE();
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(net_tap_from_fd(fds[0], &backend), -ENOTTY);
	close(fds[0]);
	close(fds[1]);
	fd = open("/dev/net/tun", O_RDWR);
	assert_int_equal(net_tap_from_fd(fd, &backend), -EBADFD);
	close(fd);
	fd = tun_attach("huskfd0", IFF_TAP | IFF_NO_PI);
	assert_int_equal(net_tap_from_fd(fd, &backend), -EINVAL);
	close(fd);
	fd = tun_attach("huskfd1", IFF_TUN | IFF_NO_PI | IFF_VNET_HDR);
	assert_int_equal(net_tap_from_fd(fd, &backend), -EINVAL);
	close(fd);
	assert_null(backend);
	fd = tun_attach("huskfd2", TAP_FLAGS);
	assert_int_equal(fcntl(fd, F_SETFL, 0), 0);
	assert_int_equal(net_tap_from_fd(fd, &backend), 0);
	assert_int_equal(backend->fd, fd);
	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	backend->ops->destroy(backend);
}

/* The device and the loop on top: frames both ways, then the TAP device goes. */
static void test_device(void **state)
{
	static const struct virtio_net_hdr_v1 plain;
	static const struct net_config config = {.mac = {2}};
	struct net_backend *backend;
	struct fake_net fake = {0};
	uint8_t frame[500], got[600], *buffer;
	gpa_t gpa;
	int packet;

	(void)state;
	NEEDS_NAMESPACE();
	assert_int_equal(net_tap_open(TAP, &backend), 0);
	fake_guest_init(&fake.guest);
	assert_int_equal(
		net_create(backend, &config, "net0", &fake.guest.mem, &fake.guest.loop, &fake.net),
		0);
	virtio_mmio_init(net_virtio(fake.net), NULL);
	fake_guest_attach(&fake.guest, net_virtio(fake.net));
	fake_net_start(&fake, NET_FEATURE(MRG_RXBUF) | NET_ALL_OFFLOADS, 16);
	assert_int_equal(ethtool_get(TAP, ETHTOOL_GTSO), 1);
	packet = packet_socket();

	fake_net_send(&fake, &plain, sizeof(frame), 0);
	frame_make(frame, sizeof(frame), 3);
	memcpy(fake_ptr(&fake.guest, fake.guest.next_free - sizeof(frame), sizeof(frame)), frame,
	       sizeof(frame));
	fake_kick(&fake.guest, NET_TX);
	fake_run(&fake.guest);
	assert_int_equal(recv(packet, got, sizeof(got), 0), sizeof(frame));
	assert_memory_equal(got, frame, sizeof(frame));

	assert_int_equal(send(packet, frame, sizeof(frame), 0), sizeof(frame));
	do {
		gpa = fake_net_post(&fake, HEADER + sizeof(frame));
		fake_kick(&fake.guest, NET_RX);
		assert_true(fake_run(&fake.guest) > 0);
		buffer = fake_ptr(&fake.guest, gpa, HEADER + sizeof(frame));
	} while (memcmp(buffer + HEADER, frame, sizeof(frame)) != 0);
	assert_int_equal(((struct virtio_net_hdr_v1 *)(void *)buffer)->num_buffers, 1);

	assert_true(fake_net_link_up(&fake));
	tun_delete(TAP);
	fake_net_post(&fake, HEADER + sizeof(frame));
	fake_kick(&fake.guest, NET_RX);
	fake_run(&fake.guest);
	assert_false(fake_net_link_up(&fake));
	net_destroy(fake.net);
	fake_guest_fini(&fake.guest);
	close(packet);
}

#define TAP_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TAP_TEST(test_open_refuses), TAP_TEST(test_open_not_permitted),
		TAP_TEST(test_frames),	     TAP_TEST(test_offloads),
		TAP_TEST(test_deleted),	     TAP_TEST(test_from_fd),
		TAP_TEST(test_device),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
