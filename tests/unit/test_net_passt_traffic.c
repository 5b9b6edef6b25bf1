/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Traffic through passt, for real. The guest is a network namespace of the kernel's, in a child
 * process: a thread carries frames between a TAP device in it and passt, through the backends
 * husk uses.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <net/if_arp.h>
#include <net/route.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net_passt.h"
#include "net_tap.h"
#include "util.h"

#define TAP "huskguest0"

static bool have_passt;

static int group_setup(void **state)
{
	(void)state;
	have_passt = !system("command -v passt >/dev/null");
	return 0;
}

static int start(const struct net_passt_config *config, struct net_backend **ret_backend)
{
	struct net_passt passt;

	if (!have_passt) {
		print_message("passt is not installed\n");
		skip();
	}
	return net_passt_start(config, &passt, ret_backend) || net_passt_wait(&passt);
}

/* Ends when either link does. */
struct relay {
	struct net_backend *from, *to;
};

static void relay_one(const struct relay *relay)
{
	static _Thread_local uint8_t frame[NET_FRAME_MAX + 1];
	struct virtio_net_hdr_v1 header;
	struct pollfd room = {.fd = relay->to->fd, .events = POLLOUT};
	ssize_t len;
	int err;

	for (;;) {
		struct iovec iov[] = {{&header, sizeof(header)}, {frame, sizeof(frame)}};

		len = relay->from->ops->receive(relay->from, iov, 2);
		if (len < 0)
			return;
		header = (struct virtio_net_hdr_v1){0};
		do {
			iov[0] = (struct iovec){&header, sizeof(header)};
			iov[1] = (struct iovec){frame, (size_t)len - sizeof(header)};
			err = relay->to->ops->send(relay->to, iov, 2);
			if (err == -EAGAIN)
				poll(&room, 1, 1000);
		} while (err == -EAGAIN);
		while (err == -EINPROGRESS && relay->to->ops->flush(relay->to) == -EAGAIN)
			poll(&room, 1, 1000);
	}
}

static void *relay_run(void *arg)
{
	const struct relay *both = arg;
	struct pollfd ready[] = {{.fd = both[0].from->fd, .events = POLLIN},
				 {.fd = both[1].from->fd, .events = POLLIN}};

	while (poll(ready, 2, -1) > 0 && !((ready[0].revents | ready[1].revents) & POLLHUP)) {
		relay_one(&both[0]);
		relay_one(&both[1]);
	}
	return NULL;
}

static bool guest_address(int fd, struct ifreq *request, unsigned long command, const char *address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr.s_addr = inet_addr(address)};

	memcpy(&request->ifr_addr, &in, sizeof(in));
	return !ioctl(fd, command, request);
}

/* A network namespace whose only way out is `passt`; false if that is not possible here. */
static bool guest_enter(struct net_backend *passt)
{
	static struct relay both[2];
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	struct rtentry route = {.rt_flags = RTF_UP | RTF_GATEWAY};
	struct sockaddr_in any = {.sin_family = AF_INET}, gateway = any;
	struct net_backend *tap;
	pthread_t thread;
	int fd, control;

	if (unshare(geteuid() ? CLONE_NEWNET | CLONE_NEWUSER : CLONE_NEWNET))
		return false;
	/* A guest that sends nothing of its own accord. */
	fd = open("/proc/sys/net/ipv6/conf/default/disable_ipv6", O_WRONLY);
	if (fd >= 0 && write(fd, "1", 1) != 1)
		return false;
	close_fd_ptr(&fd);
	fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK);
	strcpy(request.ifr_name, TAP);
	if (fd < 0 || ioctl(fd, TUNSETIFF, &request) || net_tap_from_fd(fd, &tap))
		return false;
	control = socket(AF_INET, SOCK_DGRAM, 0);
	request.ifr_hwaddr = (struct sockaddr){ARPHRD_ETHER, {2}};
	if (ioctl(control, SIOCSIFHWADDR, &request))
		return false;
	gateway.sin_addr.s_addr = inet_addr(NET_PASST_GATEWAY);
	memcpy(&route.rt_dst, &any, sizeof(any));
	memcpy(&route.rt_genmask, &any, sizeof(any));
	memcpy(&route.rt_gateway, &gateway, sizeof(any));
	if (!guest_address(control, &request, SIOCSIFADDR, NET_PASST_GUEST) ||
	    !guest_address(control, &request, SIOCSIFNETMASK, NET_PASST_NETMASK))
		return false;
	request.ifr_mtu = NET_PASST_MTU;
	if (ioctl(control, SIOCSIFMTU, &request))
		return false;
	request.ifr_flags = IFF_UP;
	if (ioctl(control, SIOCSIFFLAGS, &request) || ioctl(control, SIOCADDRT, &route))
		return false;
	both[0] = (struct relay){tap, passt};
	both[1] = (struct relay){passt, tap};
	return !pthread_create(&thread, NULL, relay_run, both);
}

/* A listening socket at 127.0.0.1 (of whatever namespace), its port in *ret_port. */
static int listen_at(const char *address, uint16_t *ret_port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(*ret_port),
				 .sin_addr.s_addr = inet_addr(address)};
	socklen_t len = sizeof(in);
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), yes = 1;

	setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &yes, sizeof(yes));
	if (bind(fd, (struct sockaddr *)&in, sizeof(in)) || listen(fd, 1) ||
	    getsockname(fd, (struct sockaddr *)&in, &len))
		return -1;
	*ret_port = ntohs(in.sin_port);
	return fd;
}

static int connect_to(const char *address, uint16_t port)
{
	struct sockaddr_in in = {.sin_family = AF_INET,
				 .sin_port = htons(port),
				 .sin_addr.s_addr = inet_addr(address)};
	struct timeval wait = {.tv_sec = 3};
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &wait, sizeof(wait));
	setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &wait, sizeof(wait));
	if (connect(fd, (struct sockaddr *)&in, sizeof(in))) {
		close(fd);
		return -1;
	}
	return fd;
}

/*
 * A pattern through `fd`, in which each word tells its place. The end is by count: passt of 2023,
 * as in Debian 12, repeats data to a guest that has shut down its own direction.
 */
#define STREAM_BYTES MIB(20)

static bool write_pattern(int fd)
{
	static uint32_t words[16384];
	uint64_t done;
	size_t i;

	for (done = 0; done < STREAM_BYTES; done += sizeof(words)) {
		const char *rest = (const char *)words;
		size_t left = sizeof(words);

		for (i = 0; i < ARRAY_SIZE(words); i++)
			words[i] = (uint32_t)(done / 4 + i) * 2654435761u;
		while (left) {
			ssize_t sent = send(fd, rest, left, MSG_NOSIGNAL);

			if (sent <= 0)
				return false;
			rest += sent;
			left -= (size_t)sent;
		}
	}
	return true;
}

static bool read_pattern(int fd)
{
	static uint32_t words[16384];
	uint64_t done;
	size_t i;

	for (done = 0; done < STREAM_BYTES; done += sizeof(words)) {
		if (recv(fd, words, sizeof(words), MSG_WAITALL) != sizeof(words))
			return false;
		for (i = 0; i < ARRAY_SIZE(words); i++)
			if (words[i] != (uint32_t)(done / 4 + i) * 2654435761u)
				return false;
	}
	return true;
}

/* Exit statuses of the guest process. */
enum { GUEST_OK, GUEST_FAILED, GUEST_IMPOSSIBLE };

static int guest_result(pid_t pid)
{
	int status;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	return WEXITSTATUS(status);
}

/* From the guest to a service at the host's 127.0.0.1, both ways. */
static void test_to_host(void **state)
{
	const struct net_passt_config config = {.mac = {2}, .map_host = true};
	struct net_backend *backend;
	uint16_t port = 0;
	int listening, fd;
	pid_t pid;

	(void)state;
	listening = listen_at("127.0.0.1", &port);
	assert_int_equal(start(&config, &backend), 0);
	pid = fork();
	if (!pid) {
		alarm(100);
		if (!guest_enter(backend))
			_exit(GUEST_IMPOSSIBLE);
		fd = connect_to(NET_PASST_GATEWAY, port);
		_exit(fd >= 0 && write_pattern(fd) && read_pattern(fd) ? GUEST_OK : GUEST_FAILED);
	}
	backend->ops->destroy(backend);
	fcntl(listening, F_SETFL, O_NONBLOCK);
	poll(&(struct pollfd){.fd = listening, .events = POLLIN}, 1, 5000);
	fd = accept(listening, NULL, NULL);
	if (fd >= 0) {
		fcntl(fd, F_SETFL, 0);
		assert_true(read_pattern(fd));
		assert_true(write_pattern(fd));
		close(fd);
	}
	close(listening);
	switch (guest_result(pid)) {
	case GUEST_OK:
		break;
	case GUEST_IMPOSSIBLE:
		print_message("no network namespace can be made here\n");
		skip();
	default:
		fail_msg("the guest could not reach the host");
	}
}

/* Without map_host, the host's own services are out of reach. */
static void test_not_to_host(void **state)
{
	const struct net_passt_config config = {.mac = {2}, .map_host = false};
	struct net_backend *backend;
	uint16_t port = 0;
	int listening, fd, result;
	pid_t pid;

	(void)state;
	listening = listen_at("127.0.0.1", &port);
	assert_int_equal(start(&config, &backend), 0);
	pid = fork();
	if (!pid) {
		alarm(100);
		if (!guest_enter(backend))
			_exit(GUEST_IMPOSSIBLE);
		_exit(connect_to(NET_PASST_GATEWAY, port) >= 0 ? GUEST_FAILED : GUEST_OK);
	}
	backend->ops->destroy(backend);
	fcntl(listening, F_SETFL, O_NONBLOCK);
	result = guest_result(pid);
	fd = accept(listening, NULL, NULL);
	close(listening);
	if (result == GUEST_IMPOSSIBLE)
		skip();
	assert_int_equal(fd, -1);
	assert_int_equal(result, GUEST_OK);
}

/* From the host, through a forwarded port, to a service in the guest. */
static void test_forward(void **state)
{
	const int host_port = 20000 + getpid() % 10000;
	char forward[40];
	const char *const forwards[] = {forward};
	const struct net_passt_config config = {{2}, forwards, 1, false};
	struct net_backend *backend;
	int fd, result, fds[2];
	uint16_t port = 80;
	char ready = 0;
	pid_t pid;

	(void)state;
	snprintf(forward, sizeof(forward), "tcp=127.0.0.1/%d:80", host_port);
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(start(&config, &backend), 0);
	pid = fork();
	if (!pid) {
		alarm(100);
		int listening;

		if (!guest_enter(backend))
			_exit(GUEST_IMPOSSIBLE);
		listening = listen_at(NET_PASST_GUEST, &port);
		if (listening < 0 || write(fds[1], "", 1) != 1)
			_exit(GUEST_FAILED);
		fd = accept(listening, NULL, NULL);
		/* The network ends with this process: wait until the host has read it all. */
		_exit(read_pattern(fd) && write_pattern(fd) && recv(fd, &ready, 1, 0) == 0
			      ? GUEST_OK
			      : GUEST_FAILED);
	}
	backend->ops->destroy(backend);
	close(fds[1]);
	if (read(fds[0], &ready, 1) == 1) {
		fd = connect_to("127.0.0.1", (uint16_t)host_port);
		assert_true(fd >= 0);
		assert_true(write_pattern(fd));
		assert_true(read_pattern(fd));
		close(fd);
	}
	close(fds[0]);
	result = guest_result(pid);
	if (result == GUEST_IMPOSSIBLE)
		skip();
	assert_int_equal(result, GUEST_OK);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_to_host),
		cmocka_unit_test(test_not_to_host),
		cmocka_unit_test(test_forward),
	};

	alarm(120);
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
