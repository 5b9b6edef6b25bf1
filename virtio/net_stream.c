/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory. In: the socket is read in big pieces into `in`, and frames are cut out of that, so a
 * system call brings many. Out: a frame goes from the caller's iovecs in one call. Where the
 * socket takes only a part, the length is out and the peer waits for that many bytes, whatever
 * happens to the device meanwhile; so the rest is copied to `out` and must leave before
 * anything else.
 */
#include "net_stream.h"

#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "util.h"

#define LENGTH_SIZE sizeof(uint32_t)
/* passt hangs up on, or drops, what is longer. */
#define SEND_MAX 65535

struct net_stream {
	struct net_backend backend;
	size_t in_start, in_end;   /* received, not yet handed out */
	size_t out_start, out_end; /* taken, not yet sent */
	uint8_t in[KIB(128)];
	uint8_t out[LENGTH_SIZE + NET_FRAME_MAX];
};

_Static_assert(sizeof(((struct net_stream *)0)->in) >= LENGTH_SIZE + NET_FRAME_MAX,
	       "a whole frame must fit");

static struct net_stream *to_stream(struct net_backend *backend)
{
	return container_of(backend, struct net_stream, backend);
}

/* Bytes sent, or -EAGAIN, -EPIPE. */
static ssize_t stream_write(struct net_stream *stream, struct iovec *iov, unsigned int nr)
{
	struct msghdr msg = {.msg_iov = iov, .msg_iovlen = nr};
	ssize_t sent;

	/* ENOBUFS and ENOMEM: there will be room when others have let go of theirs. */
	sent = sendmsg(stream->backend.fd, &msg, MSG_DONTWAIT | MSG_NOSIGNAL);
	if (sent >= 0)
		return sent;
	return errno == EAGAIN || errno == EINTR || errno == ENOBUFS || errno == ENOMEM ? -EAGAIN
											: -EPIPE;
}

static int stream_flush(struct net_backend *backend)
{
	struct net_stream *stream = to_stream(backend);
	ssize_t sent;

	while (stream->out_start < stream->out_end) {
		struct iovec iov = {stream->out + stream->out_start,
				    stream->out_end - stream->out_start};

		sent = stream_write(stream, &iov, 1);
		if (sent < 0)
			return (int)sent;
		stream->out_start += (size_t)sent;
	}
	return 0;
}

/* Keeps what lies past the first `sent` bytes of iov. */
static void stream_keep_rest(struct net_stream *stream, const struct iovec *iov, unsigned int nr,
			     size_t sent)
{
	stream->out_start = stream->out_end = 0;
	for (; nr; iov++, nr--) {
		size_t skip = MIN(sent, iov->iov_len);

		memcpy(stream->out + stream->out_end, (const uint8_t *)iov->iov_base + skip,
		       iov->iov_len - skip);
		stream->out_end += iov->iov_len - skip;
		sent -= skip;
	}
}

static int stream_send(struct net_backend *backend, struct iovec *iov, unsigned int nr)
{
	struct net_stream *stream = to_stream(backend);
	size_t len = 0;
	uint32_t length;
	unsigned int i;
	ssize_t sent;
	int err;

	err = stream_flush(backend);
	if (err)
		return err;
	for (i = 1; i < nr; i++)
		len += iov[i].iov_len;
	if (len > SEND_MAX)
		return 0;
	/* Without offloads, the virtio-net header says nothing: the length takes its place. */
	length = htobe32((uint32_t)len);
	iov[0] = (struct iovec){&length, LENGTH_SIZE};
	sent = stream_write(stream, iov, nr);
	if (sent < 0)
		return (int)sent;
	if ((size_t)sent == LENGTH_SIZE + len)
		return 0;
	stream_keep_rest(stream, iov, nr, (size_t)sent);
	return -EINPROGRESS;
}

/* Length of the frame at the start of `in`, or 0: not all of it is there; -EPIPE: nonsense. */
static ssize_t stream_next(const struct net_stream *stream)
{
	size_t avail = stream->in_end - stream->in_start;
	uint32_t length;

	if (avail < LENGTH_SIZE)
		return 0;
	memcpy(&length, stream->in + stream->in_start, LENGTH_SIZE);
	length = be32toh(length);
	if (!length || length > NET_FRAME_MAX)
		return -EPIPE;
	return avail - LENGTH_SIZE >= length ? (ssize_t)length : 0;
}

/* Reads as much as there is and fits. 0, -EAGAIN, -EPIPE. */
static int stream_fill(struct net_stream *stream)
{
	ssize_t got;

	/* What is left over is less than a frame. */
	memmove(stream->in, stream->in + stream->in_start, stream->in_end - stream->in_start);
	stream->in_end -= stream->in_start;
	stream->in_start = 0;
	got = recv(stream->backend.fd, stream->in + stream->in_end,
		   sizeof(stream->in) - stream->in_end, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	if (got <= 0)
		return -EPIPE;
	stream->in_end += (size_t)got;
	return 0;
}

static ssize_t stream_receive(struct net_backend *backend, struct iovec *iov, unsigned int nr)
{
	struct net_stream *stream = to_stream(backend);
	ssize_t length;
	size_t done, part;
	int err;

	while (!(length = stream_next(stream))) {
		err = stream_fill(stream);
		if (err)
			return err;
	}
	if (length < 0)
		return length;
	memset(iov[0].iov_base, 0, iov[0].iov_len);
	stream->in_start += LENGTH_SIZE;
	for (done = 0, iov++, nr--; nr && done < (size_t)length; iov++, nr--) {
		part = MIN(iov->iov_len, (size_t)length - done);
		memcpy(iov->iov_base, stream->in + stream->in_start + done, part);
		done += part;
	}
	stream->in_start += (size_t)length;
	return (ssize_t)sizeof(struct virtio_net_hdr_v1) + length;
}

static void stream_destroy(struct net_backend *backend)
{
	close(backend->fd);
	pages_free(to_stream(backend), sizeof(struct net_stream));
}

static const struct net_backend_ops stream_ops = {
	.send = stream_send,
	.flush = stream_flush,
	.receive = stream_receive,
	.destroy = stream_destroy,
};

int net_stream_from_fd(int fd, struct net_backend **ret_backend)
{
	struct sockaddr_storage peer;
	socklen_t peer_len = sizeof(peer), type_len = sizeof(int);
	struct net_stream *stream;
	int err = 0, type;

	if (getsockopt(fd, SOL_SOCKET, SO_TYPE, &type, &type_len) ||
	    getpeername(fd, (struct sockaddr *)&peer, &peer_len) || fcntl(fd, F_SETFD, FD_CLOEXEC))
		err = -errno;
	else if (type != SOCK_STREAM)
		err = -EPROTOTYPE;
	if (err) {
		log_error("descriptor %d: not a connected stream socket: %s", fd, strerror(-err));
		return err;
	}
	stream = pages_alloc(sizeof(*stream));
	if (!stream) {
		log_error("descriptor %d: out of memory", fd);
		return -ENOMEM;
	}
	stream->backend.ops = &stream_ops;
	stream->backend.fd = fd;
	*ret_backend = &stream->backend;
	return 0;
}
