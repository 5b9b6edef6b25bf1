/* SPDX-License-Identifier: Apache-2.0 */
#include "net_tap.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/if_tun.h>
#include <linux/virtio_net.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util.h"

#define TUN_DEVICE "/dev/net/tun"
#define TAP_FLAGS (IFF_TAP | IFF_NO_PI | IFF_VNET_HDR)
#define TUN_OFFLOADS (TUN_F_CSUM | TUN_F_TSO4 | TUN_F_TSO6 | TUN_F_TSO_ECN)
#define FEATURE(name) (1ull << VIRTIO_NET_F_##name)

static int tap_send(struct net_backend *backend, struct iovec *iov, unsigned int nr)
{
	if (writev(backend->fd, iov, (int)nr) >= 0)
		return 0;
	switch (errno) {
	case EAGAIN:
		return -EAGAIN;
	case EBADFD: /* the device was deleted */
		return -EPIPE;
	}
	/* It is down, is out of memory, or does not like the frame. */
	return 0;
}

static ssize_t tap_receive(struct net_backend *backend, struct iovec *iov, unsigned int nr)
{
	ssize_t len;

	len = readv(backend->fd, iov, (int)nr);
	if (len >= 0)
		return len;
	return errno == EAGAIN || errno == EINTR ? -EAGAIN : -EPIPE;
}

/* The guest's half of the offloads; what it may ask of the host needs no switch. */
static int tap_set_features(struct net_backend *backend, uint64_t features)
{
	unsigned long offloads = 0;

	if (features & FEATURE(GUEST_CSUM)) {
		offloads |= TUN_F_CSUM;
		if (features & FEATURE(GUEST_TSO4))
			offloads |= TUN_F_TSO4;
		if (features & FEATURE(GUEST_TSO6))
			offloads |= TUN_F_TSO6;
		if ((offloads & (TUN_F_TSO4 | TUN_F_TSO6)) && (features & FEATURE(GUEST_ECN)))
			offloads |= TUN_F_TSO_ECN;
	}
	return ioctl(backend->fd, TUNSETOFFLOAD, offloads) ? -errno : 0;
}

static void tap_destroy(struct net_backend *backend)
{
	close(backend->fd);
	free(backend);
}

static const struct net_backend_ops tap_ops = {
	.send = tap_send,
	.receive = tap_receive,
	.set_features = tap_set_features,
	.destroy = tap_destroy,
};

/* Makes the backend of an attached descriptor, called `what` in the log; takes it on success. */
static int tap_create(int fd, const char *what, struct net_backend **ret_backend)
{
	int header_size = sizeof(struct virtio_net_hdr_v1);
	int flags = fcntl(fd, F_GETFL);
	struct net_backend *tap;
	int err;

	if (flags < 0 || fcntl(fd, F_SETFL, flags | O_NONBLOCK) || fcntl(fd, F_SETFD, FD_CLOEXEC) ||
	    ioctl(fd, TUNSETVNETHDRSZ, &header_size)) {
		err = -errno;
		log_error("%s: cannot set up as a TAP device: %s", what, strerror(-err));
		return err;
	}
	tap = calloc(1, sizeof(*tap));
	if (!tap) {
		log_error("%s: out of memory", what);
		return -ENOMEM;
	}
	tap->ops = &tap_ops;
	tap->fd = fd;
	if (!ioctl(fd, TUNSETOFFLOAD, (unsigned long)TUN_OFFLOADS))
		tap->features = FEATURE(CSUM) | FEATURE(GUEST_CSUM) | FEATURE(HOST_TSO4) |
				FEATURE(HOST_TSO6) | FEATURE(HOST_ECN) | FEATURE(GUEST_TSO4) |
				FEATURE(GUEST_TSO6) | FEATURE(GUEST_ECN);
	/* None until a driver accepts them. */
	ioctl(fd, TUNSETOFFLOAD, 0ul);
	*ret_backend = tap;
	return 0;
}

static int tap_open_device(void)
{
	int fd, err;

	fd = open(TUN_DEVICE, O_RDWR | O_NONBLOCK | O_CLOEXEC);
	if (fd >= 0)
		return fd;
	err = -errno;
	switch (-err) {
	case ENOENT:
	case ENODEV:
	case ENXIO:
		log_error(TUN_DEVICE ": the kernel has no TAP devices here; try: modprobe tun");
		break;
	case EACCES:
	case EPERM:
		log_error("no permission to open " TUN_DEVICE ", which most systems let everybody "
			  "open; as root: chmod 666 " TUN_DEVICE);
		break;
	default:
		log_error("cannot open " TUN_DEVICE ": %s", strerror(-err));
	}
	return err;
}

/* One line for a TUNSETIFF that failed with `err`. */
static void tap_log_attach(const char *name, int err)
{
	switch (-err) {
	case EBUSY:
		log_error("TAP device %s: in use, maybe by another VM", name);
		break;
	case EPERM:
		log_error("TAP device %s: it belongs to someone else; its owner is set with: "
			  "ip tuntap add dev %s mode tap user NAME",
			  name, name);
		break;
	case EINVAL:
		log_error("network device %s: not a TAP device, or one made with multi_queue",
			  name);
		break;
	default:
		log_error("TAP device %s: cannot attach: %s", name, strerror(-err));
	}
}

int net_tap_open(const char *name, struct net_backend **ret_backend)
{
	cleanup_fd int fd = -1;
	struct ifreq request = {.ifr_flags = TAP_FLAGS};
	unsigned int index;
	int err;

	/* The kernel would make a device that is not there, for as long as the VM lives. */
	index = if_nametoindex(name);
	if (!index || strlen(name) >= sizeof(request.ifr_name)) {
		log_error("TAP device %.*s: there is none of that name; to make it: "
			  "ip tuntap add dev NAME mode tap user \"$USER\" && ip link set NAME up",
			  IFNAMSIZ, name);
		return -ENODEV;
	}
	fd = tap_open_device();
	if (fd < 0)
		return fd;
	memcpy(request.ifr_name, name, strlen(name));
	if (ioctl(fd, TUNSETIFF, &request)) {
		err = -errno;
		tap_log_attach(name, err);
		return err;
	}
	if (if_nametoindex(name) != index) {
		log_error("TAP device %s: was deleted while husk attached to it", name);
		return -ENODEV;
	}
	err = tap_create(fd, name, ret_backend);
	if (!err)
		steal_fd(&fd);
	return err;
}

int net_tap_from_fd(int fd, struct net_backend **ret_backend)
{
	struct ifreq request = {0};
	char what[32];
	int err;

	snprintf(what, sizeof(what), "descriptor %d", fd);
	if (ioctl(fd, TUNGETIFF, &request)) {
		err = -errno;
		log_error("%s: not an attached TAP device: %s", what, strerror(-err));
		return err;
	}
	if ((request.ifr_flags & TAP_FLAGS) != TAP_FLAGS) {
		log_error("%s: must be attached with IFF_TAP, IFF_NO_PI and IFF_VNET_HDR", what);
		return -EINVAL;
	}
	return tap_create(fd, what, ret_backend);
}
