/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory. Transmit: the header is copied out of guest memory and rebuilt from the fields that
 * apply, so that the host sees nothing the driver did not negotiate; the frame goes from guest
 * memory to the backend as iovecs. Receive: see net_rx.h.
 *
 * `start` and `stop` run on a vCPU thread, which makes no system call for this device and may
 * not touch the event loop. So they set state only, and the loop thread brings poll set and
 * backend into line at its next turn.
 */
#include "net.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_ids.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>

#include "net_header.h"
#include "net_rx.h"

enum { QUEUE_RX, QUEUE_TX, NR_QUEUES };

/* What one turn on the loop may move before others have theirs. */
#define TURN_FRAMES 64
#define TURN_BYTES KIB(256)

#define FEATURE(name) (1ull << VIRTIO_NET_F_##name)
#define OFFLOADS \
	(FEATURE(CSUM) | FEATURE(GUEST_CSUM) | FEATURE(HOST_TSO4) | FEATURE(HOST_TSO6) | \
	 FEATURE(HOST_ECN) | FEATURE(GUEST_TSO4) | FEATURE(GUEST_TSO6) | FEATURE(GUEST_ECN))

struct net {
	struct virtio_device virtio;
	struct virtio_net_config config;
	struct net_counters counters;
	char *id;

	struct net_backend *backend; /* owned */
	struct event_watch watch;
	bool link_up;
	bool poll_in;	 /* wait for frames from the backend */
	bool tx_blocked; /* wait for room in the backend; outlives a reset of the device */
	bool in_line;	 /* the backend knows what the driver negotiated */

	struct net_rx rx;
	struct virtq_chain tx_chain;
	struct iovec tx_iov[1 + VIRTQUEUE_SIZE_MAX];
};

/*
 * Link and polling
 */

static void net_update_watch(struct net *net)
{
	event_loop_modify(net->virtio.loop, &net->watch,
			  (net->poll_in ? EPOLLIN : 0u) | (net->tx_blocked ? EPOLLOUT : 0u));
}

/* For good: no backend comes back. The driver learns it, and its frames go nowhere. */
static void net_link_down(struct net *net)
{
	if (!net->link_up)
		return;
	net->link_up = false;
	log_warn("network \"%s\" is gone on the host's side; the guest's link is down",
		 net->virtio.device.name);
	net->tx_blocked = false;
	event_loop_remove(net->virtio.loop, &net->watch);
	net->config.status &= htole16((uint16_t)~VIRTIO_NET_S_LINK_UP);
	virtio_config_changed(&net->virtio);
}

/* Whether frames may move; the first time after DRIVER_OK, switches the backend's offloads. */
static bool net_is_ready(struct net *net)
{
	const struct net_backend_ops *ops = net->backend->ops;

	if (!virtio_is_running(&net->virtio))
		return false;
	if (!net->in_line && net->link_up && ops->set_features &&
	    ops->set_features(net->backend, net->virtio.state.driver_features))
		net_link_down(net);
	net->in_line = true;
	return true;
}

/*
 * Transmit
 */

/*
 * Sends the frame in net->tx_chain. 0: sent or dropped; -EINPROGRESS, -EAGAIN: as of the backend;
 * -EPROTO: that was no transmit request at all.
 */
static int net_transmit(struct net *net)
{
	struct virtq_chain *chain = &net->tx_chain;
	struct virtio_net_hdr_v1 from_driver, header;
	unsigned int nr;
	uint64_t len;
	int err;

	if (chain->nr_writable || chain->readable_bytes < NET_HEADER_SIZE)
		return -EPROTO;
	len = chain->readable_bytes - NET_HEADER_SIZE;
	iov_to_buf(chain->iov, chain->nr_readable, 0, &from_driver, NET_HEADER_SIZE);
	if (!net->link_up || len < NET_FRAME_MIN || len > NET_FRAME_MAX ||
	    net_header_to_host(&from_driver, net->virtio.state.driver_features, (uint32_t)len,
			       &header)) {
		net->counters.tx_dropped++;
		return 0;
	}

	net->tx_iov[0] = (struct iovec){&header, NET_HEADER_SIZE};
	nr = iov_slice(chain->iov, chain->nr_readable, NET_HEADER_SIZE, len, net->tx_iov + 1);
	err = net->backend->ops->send(net->backend, net->tx_iov, 1 + nr);
	if (err == -EPIPE) {
		net_link_down(net);
		net->counters.tx_dropped++;
		return 0;
	}
	if (err != -EAGAIN) {
		net->counters.tx_frames++;
		net->counters.tx_bytes += len;
	}
	return err;
}

/* One chain of the transmit queue. True if there may be more to do. */
static bool net_tx_one(struct net *net, uint64_t *bytes)
{
	struct virtqueue *queue = &net->virtio.queues[QUEUE_TX];
	int err;

	err = virtqueue_pop(queue, &net->tx_chain);
	if (!err)
		return virtqueue_want_kicks(queue, true);
	if (err > 0)
		err = net_transmit(net);
	if (err == -EAGAIN)
		virtqueue_unpop(queue, 1);
	if (err == -EAGAIN || err == -EINPROGRESS)
		net->tx_blocked = true;
	if (err == -EPROTO) {
		virtio_broken(&net->virtio, "bad transmit descriptor chain");
		return false;
	}
	if (err != -EAGAIN) {
		virtqueue_push(queue, net->tx_chain.head, 0);
		*bytes += net->tx_chain.readable_bytes;
	}
	return !net->tx_blocked;
}

static void net_tx(struct net *net)
{
	uint64_t bytes = 0;
	unsigned int turn;
	bool more = true;

	if (!net_is_ready(net) || net->tx_blocked)
		return;
	virtqueue_want_kicks(&net->virtio.queues[QUEUE_TX], false);
	for (turn = 0; more && turn < TURN_FRAMES && bytes < TURN_BYTES; turn++)
		more = net_tx_one(net, &bytes);
	net_update_watch(net);
	if (bytes)
		virtio_notify(&net->virtio, QUEUE_TX);
	if (more)
		virtio_kick_again(&net->virtio, QUEUE_TX);
}

/* The backend has room again; also while the device is being reset. */
static void net_tx_unblock(struct net *net)
{
	const struct net_backend_ops *ops = net->backend->ops;
	int err;

	err = net->tx_blocked && ops->flush ? ops->flush(net->backend) : 0;
	if (err == -EAGAIN)
		return;
	if (err)
		net_link_down(net);
	net->tx_blocked = false;
	net_update_watch(net);
	net_tx(net);
}

/*
 * Receive
 */

/* One frame, and whatever its fate asks for. True if there may be more to do. */
static bool net_rx_one(struct net *net, uint64_t *bytes)
{
	struct virtqueue *queue = &net->virtio.queues[QUEUE_RX];
	int got;

	got = net_rx_frame(&net->rx, queue, net->virtio.state.driver_features, net->backend);
	switch (got) {
	case -ENOBUFS:
		net->poll_in = false;
		return virtqueue_want_kicks(queue, true);
	case -EAGAIN:
		net->poll_in = true;
		return false;
	case -EMSGSIZE:
		net->counters.rx_dropped++;
		return true;
	case -EPIPE:
		net_link_down(net);
		return false;
	case -EPROTO:
		net->poll_in = false;
		virtio_broken(&net->virtio, "bad receive descriptor chain");
		return false;
	}
	net->counters.rx_frames++;
	net->counters.rx_bytes += (unsigned int)got;
	*bytes += (unsigned int)got;
	return true;
}

static void net_rx(struct net *net)
{
	uint64_t bytes = 0;
	unsigned int turn;
	bool more = true;

	if (!net_is_ready(net) || !net->link_up) {
		net->poll_in = false;
		net_update_watch(net);
		return;
	}
	virtqueue_want_kicks(&net->virtio.queues[QUEUE_RX], false);
	for (turn = 0; more && turn < TURN_FRAMES && bytes < TURN_BYTES; turn++)
		more = net_rx_one(net, &bytes);
	net_update_watch(net);
	if (bytes)
		virtio_notify(&net->virtio, QUEUE_RX);
	if (more)
		virtio_kick_again(&net->virtio, QUEUE_RX);
}

/*
 * The device
 */

static void net_event(void *ctx, uint32_t events)
{
	struct net *net = ctx;

	if (events & (EPOLLERR | EPOLLHUP)) {
		net_link_down(net);
		net_tx(net); /* what waited for room is dropped */
		return;
	}
	if (events & EPOLLOUT)
		net_tx_unblock(net);
	if (events & EPOLLIN)
		net_rx(net);
}

static void net_start(struct virtio_device *virtio)
{
	struct net *net = container_of(virtio, struct net, virtio);

	net->in_line = false;
}

static void net_stop(struct virtio_device *virtio)
{
	struct net *net = container_of(virtio, struct net, virtio);

	net_rx_reset(&net->rx);
}

static void net_kick(struct virtio_device *virtio, unsigned int index)
{
	struct net *net = container_of(virtio, struct net, virtio);

	if (index == QUEUE_TX)
		net_tx(net);
	else
		net_rx(net);
}

static const struct virtio_ops net_virtio_ops = {
	.start = net_start,
	.stop = net_stop,
	.kick = net_kick,
};

static void net_describe(struct net *net, const struct net_config *config)
{
	struct virtio_device *virtio = &net->virtio;

	memcpy(net->config.mac, config->mac, sizeof(net->config.mac));
	net->config.status = htole16(VIRTIO_NET_S_LINK_UP);
	net->config.mtu = htole16(config->mtu);

	virtio->ops = &net_virtio_ops;
	virtio->id = VIRTIO_ID_NET;
	virtio->features = FEATURE(MAC) | FEATURE(STATUS) | FEATURE(MRG_RXBUF) |
			   (net->backend->features & OFFLOADS);
	if (config->mtu)
		virtio->features |= FEATURE(MTU);
	virtio->nr_queues = NR_QUEUES;
	virtio->config = &net->config;
	/* The fields after it belong to features that are not offered. */
	virtio->config_size = offsetof(struct virtio_net_config, speed);
}

int net_create(struct net_backend *backend, const struct net_config *config, const char *id,
	       const struct guest_mem *mem, struct event_loop *loop, struct net **ret_net)
{
	struct net *net;
	int err;

	net = pages_alloc(sizeof(*net));
	if (!net) {
		backend->ops->destroy(backend);
		return -ENOMEM;
	}
	net->backend = backend;
	net->link_up = true;
	net->id = strdup(id);
	net_describe(net, config);
	err = net->id ? 0 : -ENOMEM;
	if (!err && config->mtu && config->mtu < ETH_MIN_MTU)
		err = -EINVAL;
	if (!err)
		err = virtio_init(&net->virtio, net->id, mem, loop);
	if (!err) {
		net->watch = (struct event_watch){
			.fd = backend->fd,
			.fn = net_event,
			.ctx = net,
			.lock = &net->virtio.device.lock,
		};
		err = event_loop_add(loop, &net->watch, 0);
	}
	if (err) {
		net_destroy(net);
		return err;
	}
	*ret_net = net;
	return 0;
}

void net_destroy(struct net *net)
{
	if (!net)
		return;
	event_loop_remove(net->virtio.loop, &net->watch);
	virtio_fini(&net->virtio);
	net->backend->ops->destroy(net->backend);
	free(net->id);
	pages_free(net, sizeof(*net));
}

struct virtio_device *net_virtio(struct net *net)
{
	return &net->virtio;
}

const struct net_counters *net_counters(const struct net *net)
{
	return &net->counters;
}
