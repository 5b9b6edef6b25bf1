/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A host that fails while a network backend is made: one line in the log that says which step and
 * why, and no descriptor left. This program has its own system calls, which the linker takes before
 * those of libc.
 */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>

#include "fake_net.h"
#include "net_passt.h"
#include "net_stream.h"
#include "net_tap.h"

/* Which call fails, and with what. */
enum fault { NONE, OPEN_TUN, SET_IFF, SET_HEADER, SOCKETPAIR, PIPE, FORK, PEER };

static struct {
	enum fault fault;
	int error;
	unsigned int index, lookups; /* of the interface; 0 after so many */
	const char *resolv_conf, *systemd_conf;
} host;

static int fails(enum fault fault)
{
	if (host.fault != fault)
		return 0;
	errno = host.error;
	return -1;
}

/* By another name here, as the headers may have them as inline functions. */
int own_open(const char *path, int flags, int mode) __asm__("open");
int own_ioctl(int fd, unsigned long request, void *arg) __asm__("ioctl");
int own_socketpair(int domain, int type, int protocol, int fds[2]) __asm__("socketpair");
int own_pipe2(int fds[2], int flags) __asm__("pipe2");
int own_fork(void) __asm__("fork");
int own_getpeername(int fd, void *address, socklen_t *len) __asm__("getpeername");
unsigned int own_if_nametoindex(const char *name) __asm__("if_nametoindex");
FILE *own_fopen(const char *path, const char *mode) __asm__("fopen");

int own_open(const char *path, int flags, int mode)
{
	if (strcmp(path, "/dev/net/tun") != 0)
		return (int)syscall(SYS_openat, AT_FDCWD, path, flags, mode);
	return fails(OPEN_TUN) ? -1 : memfd_create("tun", MFD_CLOEXEC);
}

int own_ioctl(int fd, unsigned long request, void *arg)
{
	if (request == TUNSETIFF)
		return fails(SET_IFF);
	if (request == TUNSETVNETHDRSZ)
		return fails(SET_HEADER);
	if (request == TUNGETIFF) {
		((struct ifreq *)arg)->ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR;
		return 0;
	}
	return request == TUNSETOFFLOAD ? 0 : (int)syscall(SYS_ioctl, fd, request, arg);
}

int own_socketpair(int domain, int type, int protocol, int fds[2])
{
	return fails(SOCKETPAIR) ? -1 : (int)syscall(SYS_socketpair, domain, type, protocol, fds);
}

int own_pipe2(int fds[2], int flags)
{
	return fails(PIPE) ? -1 : (int)syscall(SYS_pipe2, fds, flags);
}

/* A child that does nothing. */
int own_fork(void)
{
	int pid = fails(FORK) ? -1 : _Fork();

	if (!pid)
		_exit(0);
	return pid;
}

int own_getpeername(int fd, void *address, socklen_t *len)
{
	return fails(PEER) ? -1 : (int)syscall(SYS_getpeername, fd, address, len);
}

unsigned int own_if_nametoindex(const char *name)
{
	(void)name;
	return host.lookups && host.lookups-- ? host.index : 0;
}

FILE *own_fopen(const char *path, const char *mode)
{
	const char *text = strstr(path, "systemd") ? host.systemd_conf : host.resolv_conf;

	(void)mode;
	/* fmemopen refuses an empty text. */
	return text ? fmemopen((void *)(uintptr_t)text, strlen(text), "r") : NULL;
}

static unsigned int nr_descriptors(void)
{
	unsigned int nr = 0;
	int fd;

	for (fd = 0; fd < 64; fd++)
		nr += fcntl(fd, F_GETFD) >= 0;
	return nr;
}

static void assert_logged(const struct capture *capture, const char *text)
{
	if (!strstr(capture->text, text))
		print_error("%s\n", capture->text);
	assert_non_null(strstr(capture->text, text));
	assert_int_equal(capture_lines(capture), 1);
}

static void a_tap_device_is_refused(void **state)
{
	static const struct {
		enum fault fault;
		int error;
		const char *text;
	} cases[] = {
		{OPEN_TUN, ENOENT, "modprobe tun"},
		{OPEN_TUN, ENODEV, "modprobe tun"},
		{OPEN_TUN, EACCES, "chmod 666"},
		{OPEN_TUN, EMFILE, "Too many open files"},
		{SET_IFF, EBUSY, "in use"},
		{SET_IFF, EPERM, "someone else"},
		{SET_IFF, EINVAL, "not a TAP device"},
		{SET_IFF, EIO, "Input/output error"},
		{SET_HEADER, EBADFD, "cannot set up as a TAP device"},
	};
	struct net_backend *backend;
	struct capture capture;
	unsigned int before, i;
	int err;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		host.fault = cases[i].fault;
		host.error = cases[i].error;
		host.index = 3;
		host.lookups = 2;
		before = nr_descriptors();
		capture_begin(&capture, STDERR_FILENO);
		err = net_tap_open("tap0", &backend);
		capture_end(&capture);
		assert_int_equal(err, -cases[i].error);
		assert_logged(&capture, cases[i].text);
		assert_int_equal(nr_descriptors(), before);
	}
	host.fault = NONE;
}

/* The kernel would have made another one of that name. */
static void a_tap_device_is_deleted_meanwhile(void **state)
{
	struct net_backend *backend;
	struct capture capture;
	unsigned int before = nr_descriptors();
	int err;

	(void)state;
	host.index = 3;
	host.lookups = 1;
	capture_begin(&capture, STDERR_FILENO);
	err = net_tap_open("tap0", &backend);
	capture_end(&capture);
	assert_int_equal(err, -ENODEV);
	assert_logged(&capture, "was deleted");
	assert_int_equal(nr_descriptors(), before);
}

/* Its queue is full: the frame stays with the caller. */
static void a_full_tap_device(void **state)
{
	struct net_backend *backend;
	struct iovec iov;
	char bytes[4096] = {0};
	int fds[2], err;

	(void)state;
	assert_int_equal(pipe2(fds, O_CLOEXEC), 0);
	assert_int_equal(net_tap_from_fd(fds[1], &backend), 0);
	do {
		iov = (struct iovec){bytes, sizeof(bytes)};
		err = backend->ops->send(backend, &iov, 1);
	} while (!err);
	assert_int_equal(err, -EAGAIN);
	backend->ops->destroy(backend);
	close(fds[0]);
}

static void passt_is_not_started(void **state)
{
	static const struct net_passt_config config = {.mac = {2}};
	static const struct {
		enum fault fault;
		const char *text;
	} cases[] = {{SOCKETPAIR, "cannot start passt"},
		     {PIPE, "cannot start passt"},
		     {FORK, "cannot start passt"},
		     {PEER, "not a connected stream socket"}};
	struct net_backend *backend;
	struct net_passt passt;
	struct capture capture;
	unsigned int before, i;
	int err;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		host.fault = cases[i].fault;
		host.error = ENFILE;
		before = nr_descriptors();
		capture_begin(&capture, STDERR_FILENO);
		err = net_passt_start(&config, &passt, &backend);
		capture_end(&capture);
		assert_int_equal(err, -ENFILE);
		assert_logged(&capture, cases[i].text);
		assert_int_equal(nr_descriptors(), before);
	}
	host.fault = NONE;
}

static void too_many_forwards(void **state)
{
	const struct net_passt_config config = {.nr_forwards = NET_PASST_FORWARDS_MAX + 1};
	struct net_backend *backend;
	struct net_passt passt;
	struct capture capture;
	int err;

	(void)state;
	capture_begin(&capture, STDERR_FILENO);
	err = net_passt_start(&config, &passt, &backend);
	capture_end(&capture);
	assert_int_equal(err, -EINVAL);
	assert_logged(&capture, "more than 32 port forwards");
}

/* passt relays to the first one, unless that is a local stub. */
static void name_servers(void **state)
{
	static const struct {
		const char *resolv_conf, *systemd_conf, *expected;
	} cases[] = {
		{NULL, NULL, NET_PASST_DNS},
		{"nameserver 192.0.2.1\n", "nameserver 192.0.2.9\n", NET_PASST_DNS},
		{"nameserver 127.0.0.53\n", "nameserver 192.0.2.9\n", "192.0.2.9"},
		{"# none\nsearch here\n", "nameserver ::1\nnameserver 192.0.2.8\n", "192.0.2.8"},
		{"nameserver 127.0.0.53\n", "nameserver 127.0.0.1\n", NET_PASST_DNS},
		{"nameserver 1.2.3.4567890123456789\n", NULL, NET_PASST_DNS},
	};
	char address[NET_PASST_ADDRESS_MAX];
	unsigned int i;

	(void)state;
	for (i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		host.resolv_conf = cases[i].resolv_conf;
		host.systemd_conf = cases[i].systemd_conf;
		net_passt_dns(address);
		assert_string_equal(address, cases[i].expected);
	}
}

/*
 * A backend whose other side goes away
 */

static int answers[4]; /* of send and flush, in turn */
static unsigned int answered;

static int stub_send(struct net_backend *backend, struct iovec *iov, unsigned int nr)
{
	(void)backend;
	(void)iov;
	(void)nr;
	return answers[answered++];
}

static int stub_flush(struct net_backend *backend)
{
	(void)backend;
	return answers[answered++];
}

static void stub_start(struct fake_net *fake)
{
	static struct net_backend_ops ops;

	ops = *fake->backend->backend.ops;
	ops.send = stub_send;
	ops.flush = stub_flush;
	fake->backend->backend.ops = &ops;
	answered = 0;
	fake_net_start(fake, 1ull << VIRTIO_NET_F_STATUS, 8);
	assert_true(fake_net_link_up(fake));
}

/* What is sent over a link that is down goes nowhere. */
static void two_frames(struct fake_net *fake)
{
	static const struct virtio_net_hdr_v1 header;

	fake_net_send(fake, &header, 60, 1);
	fake_net_send(fake, &header, 60, 2);
	fake_net_kick(fake, NET_TX);
	/* The driver gets both back, and is told. */
	assert_int_equal(fake_net_completed(fake), 2);
	assert_false(fake_net_link_up(fake));
	assert_false(fake_net_needs_reset(fake));
}

static void a_backend_that_is_gone(void **state)
{
	struct fake_net *fake = *state;

	answers[0] = -EPIPE;
	stub_start(fake);
	two_frames(fake);
	assert_int_equal(answered, 1);
}

/* In the middle of a frame. */
static void a_backend_that_goes(void **state)
{
	struct fake_net *fake = *state;

	answers[0] = -EINPROGRESS;
	answers[1] = -EAGAIN;
	answers[2] = -EPIPE;
	stub_start(fake);
	two_frames(fake);
	assert_int_equal(answered, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_tap_device_is_refused),
		cmocka_unit_test(a_tap_device_is_deleted_meanwhile),
		cmocka_unit_test(a_full_tap_device),
		cmocka_unit_test(passt_is_not_started),
		cmocka_unit_test(too_many_forwards),
		cmocka_unit_test(name_servers),
		cmocka_unit_test_setup_teardown(a_backend_that_is_gone, fake_net_setup,
						fake_net_teardown),
		cmocka_unit_test_setup_teardown(a_backend_that_goes, fake_net_setup,
						fake_net_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
