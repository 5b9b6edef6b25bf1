/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_net.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "virtio_mmio.h"

static struct fake_net_backend *to_fake(struct net_backend *backend)
{
	return container_of(backend, struct fake_net_backend, backend);
}

static int fake_send(struct net_backend *backend, struct iovec *iov, unsigned int nr)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = nr};

	to_fake(backend)->sends++;
	FAKE_CHECK(iov[0].iov_len == sizeof(struct virtio_net_hdr_v1));
	if (sendmsg(backend->fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) >= 0)
		return 0;
	return errno == EAGAIN ? -EAGAIN : -EPIPE;
}

static int fake_flush(struct net_backend *backend)
{
	return to_fake(backend)->flush_result;
}

static ssize_t fake_receive(struct net_backend *backend, struct iovec *iov, unsigned int nr)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = nr};
	size_t room = 0;
	unsigned int i;
	ssize_t len;

	FAKE_CHECK(iov[0].iov_len == sizeof(struct virtio_net_hdr_v1));
	for (i = 0; i < nr; i++)
		room += iov[i].iov_len;
	FAKE_CHECK(room > sizeof(struct virtio_net_hdr_v1) + NET_FRAME_MAX);
	if (to_fake(backend)->empty) {
		to_fake(backend)->empty--;
		return 0;
	}
	if (to_fake(backend)->flood) {
		to_fake(backend)->flood--;
		memset(iov[0].iov_base, 0, iov[0].iov_len);
		return sizeof(struct virtio_net_hdr_v1) +
		       (to_fake(backend)->flood_len ? to_fake(backend)->flood_len : 60);
	}
	len = recvmsg(backend->fd, &msg, MSG_DONTWAIT);
	if (len < 0)
		return errno == EAGAIN ? -EAGAIN : -EPIPE;
	return len ? len : -EPIPE;
}

static int fake_set_features(struct net_backend *backend, uint64_t features)
{
	to_fake(backend)->features_set++;
	to_fake(backend)->features = features;
	return to_fake(backend)->features_result;
}

static void fake_destroy(struct net_backend *backend)
{
	close(backend->fd);
	free(to_fake(backend));
}

static const struct net_backend_ops fake_ops = {
	.send = fake_send,
	.flush = fake_flush,
	.receive = fake_receive,
	.set_features = fake_set_features,
	.destroy = fake_destroy,
};

void fake_net_init(struct fake_net *fake)
{
	const struct net_config config = {.mac = {0x52, 0x54, 0, 1, 2, 3}, .mtu = 1400};
	int fds[2];

	fake_guest_init(&fake->guest);
	FAKE_CHECK(!socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
	fake->peer = fds[1];
	fake->backend = calloc(1, sizeof(*fake->backend));
	FAKE_CHECK(fake->backend);
	fake->backend->backend.ops = &fake_ops;
	fake->backend->backend.fd = fds[0];
	fake->backend->backend.features = NET_ALL_OFFLOADS;
	FAKE_CHECK(!net_create(&fake->backend->backend, &config, "net0", &fake->guest.mem,
			       &fake->guest.loop, &fake->net));
	virtio_mmio_init(net_virtio(fake->net), NULL);
	fake_guest_attach(&fake->guest, net_virtio(fake->net));
}

void fake_net_fini(struct fake_net *fake)
{
	net_destroy(fake->net);
	close_fd_ptr(&fake->peer);
	fake_guest_fini(&fake->guest);
}

int fake_net_setup(void **state)
{
	static struct fake_net fake;

	fake_net_init(&fake);
	*state = &fake;
	return 0;
}

int fake_net_teardown(void **state)
{
	fake_net_fini(*state);
	return 0;
}

void fake_net_start(struct fake_net *fake, uint64_t features, uint16_t queue_size)
{
	fake_guest_start(&fake->guest, features, queue_size);
}

void fake_net_kick(struct fake_net *fake, unsigned int index)
{
	fake_kick(&fake->guest, index);
	fake_run(&fake->guest);
}

unsigned int fake_net_completed(struct fake_net *fake)
{
	unsigned int nr = 0;
	uint16_t head;
	uint32_t len;

	while (fake_collect(&fake->guest, &fake->guest.queues[NET_TX], &head, &len)) {
		FAKE_CHECK(!len);
		nr++;
	}
	return nr;
}

bool fake_net_needs_reset(struct fake_net *fake)
{
	return fake_reg_read(&fake->guest, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

bool fake_net_link_up(struct fake_net *fake)
{
	return fake_mmio_read(&fake->guest,
			      VIRTIO_MMIO_CONFIG + offsetof(struct virtio_net_config, status), 2) &
	       VIRTIO_NET_S_LINK_UP;
}

void fake_net_fill(uint8_t *data, size_t len, uint8_t seed)
{
	size_t i;

	/* A period that is prime shows bytes that are out of place. */
	for (i = 0; i < len; i++)
		data[i] = (uint8_t)(seed + i % 251);
}

bool fake_net_filled(const uint8_t *data, size_t len, uint8_t seed)
{
	size_t i;

	for (i = 0; i < len; i++)
		if (data[i] != (uint8_t)(seed + i % 251))
			return false;
	return true;
}

gpa_t fake_net_frame(struct fake_net *fake, uint32_t len, uint8_t seed)
{
	gpa_t gpa = fake_alloc(&fake->guest, MAX(len, 1u), 1);

	if (len)
		fake_net_fill(fake_ptr(&fake->guest, gpa, len), len, seed);
	return gpa;
}

void fake_net_send(struct fake_net *fake, const struct virtio_net_hdr_v1 *header, uint32_t len,
		   uint8_t seed)
{
	gpa_t gpa = fake_alloc(&fake->guest, sizeof(*header), 1);
	const struct fake_buf bufs[] = {
		{gpa, sizeof(*header), false},
		{fake_net_frame(fake, len, seed), len, false},
	};

	memcpy(fake_ptr(&fake->guest, gpa, sizeof(*header)), header, sizeof(*header));
	fake_add(&fake->guest, &fake->guest.queues[NET_TX], bufs, 2);
}

void fake_net_arrive(struct fake_net *fake, const struct virtio_net_hdr_v1 *header, uint32_t len,
		     uint8_t seed)
{
	static uint8_t data[sizeof(*header) + NET_FRAME_MAX + 64];

	FAKE_CHECK(len <= sizeof(data) - sizeof(*header));
	memcpy(data, header, sizeof(*header));
	fake_net_fill(data + sizeof(*header), len, seed);
	FAKE_CHECK(send(fake->peer, data, sizeof(*header) + len, MSG_DONTWAIT) ==
		   (ssize_t)(sizeof(*header) + len));
}

size_t fake_net_sent(struct fake_net *fake, uint8_t *ret_data, size_t size)
{
	ssize_t len = recv(fake->peer, ret_data, size, MSG_DONTWAIT);

	return len > 0 ? (size_t)len : 0;
}

gpa_t fake_net_post(struct fake_net *fake, uint32_t len)
{
	const struct fake_buf buf = {fake_alloc(&fake->guest, len, 1), len, true};

	fake_add(&fake->guest, &fake->guest.queues[NET_RX], &buf, 1);
	return buf.gpa;
}
