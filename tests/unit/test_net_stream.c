/* SPDX-License-Identifier: Apache-2.0 */
/* The stream backend: framing, partial writes and reads, a peer that misbehaves or goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <endian.h>
#include <errno.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "fake_net.h"
#include "net_stream.h"
#include "queue.h"
#include "virtio_mmio.h"

#define HEADER sizeof(struct virtio_net_hdr_v1)

/* What the host does: this program has its own sendmsg and recv. */
static struct {
	int error;	    /* the next call fails so */
	unsigned int after; /* or one after so many that do not */
	size_t most;	    /* bytes taken at once; 0: as many as there is room for */
} host;

static bool host_fails(void)
{
	if (!host.error || host.after--)
		return false;
	errno = host.error;
	host.error = 0;
	host.after = 0;
	return true;
}

ssize_t own_sendmsg(int fd, const struct msghdr *msg, int flags) __asm__("sendmsg");
ssize_t own_sendmsg(int fd, const struct msghdr *msg, int flags)
{
	uint8_t part[64];
	uint64_t len;

	if (host_fails())
		return -1;
	if (!host.most)
		return syscall(SYS_sendmsg, fd, msg, flags);
	len = iov_to_buf(msg->msg_iov, (unsigned int)msg->msg_iovlen, 0, part, host.most);
	return syscall(SYS_sendto, fd, part, len, flags, NULL, 0);
}

ssize_t own_recv(int fd, void *ret_data, size_t len, int flags) __asm__("recv");
ssize_t own_recv(int fd, void *ret_data, size_t len, int flags)
{
	if (host_fails())
		return -1;
	/* All of it must be there to be written to. */
	memset(ret_data, 0xee, len);
	return syscall(SYS_recvfrom, fd, ret_data, len, flags, NULL, NULL);
}

struct stream {
	struct net_backend *backend;
	int peer;
};

static uint8_t buffer[4 + NET_FRAME_MAX + 64];

static int setup(void **state)
{
	static struct stream stream;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(net_stream_from_fd(fds[0], &stream.backend), 0);
	stream.peer = fds[1];
	*state = &stream;
	return 0;
}

static int teardown(void **state)
{
	struct stream *stream = *state;

	stream->backend->ops->destroy(stream->backend);
	close_fd_ptr(&stream->peer);
	return 0;
}

/* Sends a frame, as two iovecs behind the header. */
static int stream_send(struct stream *stream, uint32_t len, uint8_t seed)
{
	static uint8_t frame[NET_FRAME_MAX];
	struct virtio_net_hdr_v1 header = {0};
	struct iovec iov[] = {
		{&header, HEADER}, {frame, len / 3}, {frame + len / 3, len - len / 3}};

	fake_net_fill(frame, len, seed);
	return stream->backend->ops->send(stream->backend, iov, 3);
}

/* Receives into iovecs of odd sizes; 0 and a check, or the error. */
static int stream_receive(struct stream *stream, uint32_t len, uint8_t seed)
{
	static uint8_t frame[NET_FRAME_MAX + 1];
	struct virtio_net_hdr_v1 header;
	struct iovec iov[] = {
		{&header, HEADER}, {frame, 1}, {frame + 1, 99}, {frame + 100, sizeof(frame) - 100}};
	static const struct virtio_net_hdr_v1 zero;
	ssize_t got;

	memset(&header, 0xff, HEADER);
	memset(frame, 0x5a, sizeof(frame));
	got = stream->backend->ops->receive(stream->backend, iov, ARRAY_SIZE(iov));
	if (got < 0)
		return (int)got;
	assert_int_equal(got, HEADER + len);
	assert_memory_equal(&header, &zero, HEADER);
	assert_true(fake_net_filled(frame, len, seed));
	/* Nothing of the frame after it. */
	assert_int_equal(frame[len], 0x5a);
	return 0;
}

static size_t peer_frame(uint8_t *ret, uint32_t len, uint8_t seed)
{
	uint32_t length = htobe32(len);

	memcpy(ret, &length, 4);
	fake_net_fill(ret + 4, len, seed);
	return 4 + len;
}

static void peer_write(struct stream *stream, const void *data, size_t len)
{
	assert_int_equal(send(stream->peer, data, len, MSG_DONTWAIT), len);
}

/* Reads `len` bytes of the peer's, flushing the other end whenever none are there. */
static void peer_read(struct stream *stream, uint8_t *ret, size_t len)
{
	ssize_t got;

	while (len) {
		got = recv(stream->peer, ret, len, MSG_DONTWAIT);
		if (got < 0) {
			assert_int_equal(errno, EAGAIN);
			stream->backend->ops->flush(stream->backend);
			got = recv(stream->peer, ret, len, MSG_DONTWAIT);
		}
		assert_true(got > 0);
		ret += got;
		len -= (size_t)got;
	}
}

static void peer_expect(struct stream *stream, uint32_t len, uint8_t seed)
{
	uint32_t length;

	peer_read(stream, buffer, 4);
	memcpy(&length, buffer, 4);
	assert_int_equal(be32toh(length), len);
	peer_read(stream, buffer, len);
	assert_true(fake_net_filled(buffer, len, seed));
}

static void test_send(void **state)
{
	struct stream *stream = *state;

	assert_int_equal(stream_send(stream, 14, 1), 0);
	assert_int_equal(stream_send(stream, 1514, 2), 0);
	/* Longer than passt takes: dropped, and the next one is in step. */
	assert_int_equal(stream_send(stream, 65536, 3), 0);
	assert_int_equal(stream_send(stream, 65535, 4), 0);
	peer_expect(stream, 14, 1);
	peer_expect(stream, 1514, 2);
	peer_expect(stream, 65535, 4);
	assert_int_equal(recv(stream->peer, buffer, 1, MSG_DONTWAIT), -1);
}

/* The socket takes a part: the rest is kept, nothing comes in between, and order holds. */
static void test_send_partial(void **state)
{
	struct stream *stream = *state;
	unsigned int i, sent = 0, partial = 0, round;
	int err;

	for (round = 0; round < 20; round++) {
		uint8_t first = (uint8_t)sent;

		for (i = 0;; i++) {
			err = stream_send(stream, 60001 + round, (uint8_t)sent);
			if (err == -EAGAIN)
				break;
			assert_true(!err || err == -EINPROGRESS);
			partial += !!err;
			sent++;
		}
		assert_int_equal(stream_send(stream, 100, 99), -EAGAIN);
		/* Room for the rest and for more: the rest goes first. */
		peer_expect(stream, 60001 + round, first++);
		err = stream_send(stream, 60001 + round, (uint8_t)sent++);
		assert_true(!err || err == -EINPROGRESS);
		while (i--)
			peer_expect(stream, 60001 + round, first++);
		assert_int_equal(stream->backend->ops->flush(stream->backend), 0);
	}
	assert_int_equal(recv(stream->peer, buffer, 1, MSG_DONTWAIT), -1);
	assert_true(partial > 0);
}

static void test_send_peer_gone(void **state)
{
	struct stream *stream = *state;

	close_fd_ptr(&stream->peer);
	stream->peer = -1;
	/* And no SIGPIPE. */
	assert_int_equal(stream_send(stream, 60, 1), -EPIPE);
}

/* A frame cut at each byte, whose rest then leaves in pieces, and nothing before all of it. */
static void test_send_any_part(void **state)
{
	struct stream *stream = *state;
	const size_t len = 50;
	size_t cut;
	int err;

	for (cut = 1; cut < 4 + len; cut++) {
		host.most = cut;
		assert_int_equal(stream_send(stream, len, (uint8_t)cut), -EINPROGRESS);
		host.most = 7;
		host.error = EAGAIN;
		assert_int_equal(stream_send(stream, len, 99), -EAGAIN);
		do {
			host.error = EAGAIN;
			host.after = 1;
			err = stream->backend->ops->flush(stream->backend);
		} while (err == -EAGAIN);
		host.error = 0;
		host.after = 0;
		host.most = 0;
		assert_int_equal(err, 0);
		peer_expect(stream, len, (uint8_t)cut);
		assert_int_equal(recv(stream->peer, buffer, 1, MSG_DONTWAIT), -1);
	}
}

/* What passes is waited for, and nothing is lost by it; anything else is the end of the link. */
static void test_host_errors(void **state)
{
	static const struct {
		int error, send, receive;
	} rows[] = {
		{EAGAIN, -EAGAIN, -EAGAIN}, {EINTR, -EAGAIN, -EAGAIN}, {ENOBUFS, -EAGAIN, -EPIPE},
		{ENOMEM, -EAGAIN, -EPIPE},  {EPIPE, -EPIPE, -EPIPE},   {ECONNRESET, -EPIPE, -EPIPE},
	};
	struct stream *stream = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		host.error = rows[i].error;
		assert_int_equal(stream_send(stream, 60, 1), rows[i].send);
		assert_int_equal(stream_send(stream, 61, 2), 0);
		peer_expect(stream, 61, 2);
		peer_write(stream, buffer, peer_frame(buffer, 62, 3));
		host.error = rows[i].error;
		assert_int_equal(stream_receive(stream, 0, 0), rows[i].receive);
		assert_int_equal(stream_receive(stream, 62, 3), 0);
	}
}

static void test_receive(void **state)
{
	struct stream *stream = *state;
	struct virtio_net_hdr_v1 header;
	uint8_t frame[10];
	struct iovec small[] = {{&header, HEADER}, {frame, sizeof(frame)}};
	size_t len;

	assert_int_equal(stream_receive(stream, 0, 0), -EAGAIN);
	len = peer_frame(buffer, 60, 1);
	len += peer_frame(buffer + len, 1, 2);
	len += peer_frame(buffer + len, 1514, 3);
	peer_write(stream, buffer, len);
	assert_int_equal(stream_receive(stream, 60, 1), 0);
	assert_int_equal(stream_receive(stream, 1, 2), 0);
	assert_int_equal(stream_receive(stream, 1514, 3), 0);
	assert_int_equal(stream_receive(stream, 0, 0), -EAGAIN);
	peer_write(stream, buffer, peer_frame(buffer, NET_FRAME_MAX, 4));
	assert_int_equal(stream_receive(stream, NET_FRAME_MAX, 4), 0);
	/* Less room than a device gives: what fits. */
	peer_write(stream, buffer, peer_frame(buffer, 60, 5));
	assert_int_equal(stream->backend->ops->receive(stream->backend, small, 2), HEADER + 60);
	assert_true(fake_net_filled(frame, sizeof(frame), 5));
	assert_int_equal(stream_receive(stream, 0, 0), -EAGAIN);
}

/* Byte by byte, and in pieces that end anywhere. */
static void test_receive_pieces(void **state)
{
	struct stream *stream = *state;
	size_t len, i;

	len = peer_frame(buffer, 70, 5);
	for (i = 0; i < len; i++) {
		assert_int_equal(stream_receive(stream, 0, 0), -EAGAIN);
		peer_write(stream, buffer + i, 1);
	}
	assert_int_equal(stream_receive(stream, 70, 5), 0);

	/* The end of the buffer comes in the middle of frames. */
	for (i = 1; i < 200; i++) {
		len = peer_frame(buffer, (uint32_t)(20000 + i), (uint8_t)i);
		peer_write(stream, buffer, len - i);
		assert_int_equal(stream_receive(stream, 0, 0), -EAGAIN);
		peer_write(stream, buffer + len - i, i);
		len = peer_frame(buffer, 3, 7);
		peer_write(stream, buffer, len);
		assert_int_equal(stream_receive(stream, (uint32_t)(20000 + i), (uint8_t)i), 0);
		assert_int_equal(stream_receive(stream, 3, 7), 0);
	}
	/* The longest, of which the last byte is late. */
	len = peer_frame(buffer, NET_FRAME_MAX, 8);
	peer_write(stream, buffer, len - 1);
	assert_int_equal(stream_receive(stream, 0, 0), -EAGAIN);
	peer_write(stream, buffer + len - 1, 1);
	assert_int_equal(stream_receive(stream, NET_FRAME_MAX, 8), 0);
}

/* As many bytes as the socket holds, in frames that do not divide the buffer. */
static void test_receive_backlog(void **state)
{
	struct stream *stream = *state;
	unsigned int written = 0, got = 0, left;
	size_t len;

	for (left = 400; left; left--) {
		len = peer_frame(buffer, 7001, (uint8_t)written);
		if (written - got < 20) {
			peer_write(stream, buffer, len);
			written++;
			continue;
		}
		while (got < written) {
			assert_int_equal(stream_receive(stream, 7001, (uint8_t)got), 0);
			got++;
		}
	}
}

static void test_receive_nonsense(void **state)
{
	static const uint32_t lengths[] = {0, NET_FRAME_MAX + 1, 0x80000000, 0xffffffff};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(lengths); i++) {
		struct stream *stream = *state;
		uint32_t length = htobe32(lengths[i]);

		peer_write(stream, buffer, peer_frame(buffer, 60, 1));
		peer_write(stream, &length, 4);
		assert_int_equal(stream_receive(stream, 60, 1), 0);
		assert_int_equal(stream_receive(stream, 0, 0), -EPIPE);
		assert_int_equal(stream_receive(stream, 0, 0), -EPIPE);
		teardown(state);
		setup(state);
	}
}

static void test_receive_peer_gone(void **state)
{
	struct stream *stream = *state;

	peer_write(stream, buffer, peer_frame(buffer, 60, 1));
	peer_write(stream, buffer, 40);
	close_fd_ptr(&stream->peer);
	stream->peer = -1;
	assert_int_equal(stream_receive(stream, 60, 1), 0);
	/* What an older call left in errno says nothing. */
	errno = EAGAIN;
	assert_int_equal(stream_receive(stream, 0, 0), -EPIPE);
}

static void test_from_fd(void **state)
{
	struct net_backend *backend = NULL;
	int fds[2];

	(void)state;
	assert_int_equal(pipe(fds), 0);
	assert_int_equal(net_stream_from_fd(fds[0], &backend), -ENOTSOCK);
	close(fds[0]);
	close(fds[1]);
	assert_int_equal(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds), 0);
	assert_int_equal(net_stream_from_fd(fds[0], &backend), -EPROTOTYPE);
	close(fds[0]);
	close(fds[1]);
	fds[0] = socket(AF_UNIX, SOCK_STREAM, 0);
	assert_int_equal(net_stream_from_fd(fds[0], &backend), -ENOTCONN);
	close(fds[0]);
	assert_int_equal(net_stream_from_fd(-1, &backend), -EBADF);
	assert_null(backend);
}

static void rewind_ram(struct fake_guest *guest)
{
	guest->next_free = FAKE_RAM_BASE;
	memset(fake_ptr(guest, FAKE_RAM_BASE, FAKE_RAM_SIZE), 0, FAKE_RAM_SIZE);
}

/* With the device on top, in a socket that is nearly always full, over resets. */
static void test_device(void **state)
{
	static const struct net_config config = {.mac = {2}};
	static const struct virtio_net_hdr_v1 plain;
	struct stream *stream = *state;
	struct fake_net fake = {0};
	unsigned int round, i;
	uint32_t length;

	fake_guest_init(&fake.guest);
	assert_int_equal(net_create(stream->backend, &config, "net0", &fake.guest.mem,
				    &fake.guest.loop, &fake.net),
			 0);
	virtio_mmio_init(net_virtio(fake.net), NULL);
	fake_guest_attach(&fake.guest, net_virtio(fake.net));
	for (round = 0; round < 3; round++) {
		rewind_ram(&fake.guest);
		fake_net_start(&fake, 0, 64);
		for (i = 0; i < 12; i++)
			fake_net_send(&fake, &plain, 50000, (uint8_t)i);
		fake_kick(&fake.guest, NET_TX);
		fake_run(&fake.guest);
		assert_in_range(*fake_used_idx(&fake.guest, &fake.guest.queues[NET_TX]), 1, 11);
		/* Half a frame is out when the driver resets: the other half follows. */
		fake_reg_write(&fake.guest, VIRTIO_MMIO_STATUS, 0);
		for (i = 0; fake_run(&fake.guest),
		    recv(stream->peer, &length, 4, MSG_DONTWAIT | MSG_WAITALL) == 4;
		     i++) {
			size_t done = 0;

			assert_int_equal(be32toh(length), 50000);
			while (done < 50000) {
				ssize_t got = recv(stream->peer, buffer + done, 50000 - done,
						   MSG_DONTWAIT);

				assert_true(got > 0);
				done += (size_t)got;
				fake_run(&fake.guest);
			}
			assert_true(fake_net_filled(buffer, 50000, (uint8_t)i));
		}
		assert_in_range(i, 1, 12);
	}
	/* More frames than one turn takes, read from the socket at once: all arrive. */
	rewind_ram(&fake.guest);
	fake_net_start(&fake, 0, 256);
	for (i = 0; i < 200; i++) {
		fake_net_post(&fake, 100);
		peer_write(stream, buffer, peer_frame(buffer, 20, 1));
	}
	fake_kick(&fake.guest, NET_RX);
	fake_run(&fake.guest);
	assert_int_equal(net_counters(fake.net)->rx_frames, 200);

	net_destroy(fake.net);
	fake_guest_fini(&fake.guest);
	assert_int_equal(recv(stream->peer, buffer, 1, MSG_DONTWAIT), 0);
	/* The device took the backend; teardown wants another. */
	close_fd_ptr(&stream->peer);
	setup(state);
}

#define STREAM_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		STREAM_TEST(test_send),
		STREAM_TEST(test_send_partial),
		STREAM_TEST(test_send_peer_gone),
		STREAM_TEST(test_send_any_part),
		STREAM_TEST(test_host_errors),
		STREAM_TEST(test_receive),
		STREAM_TEST(test_receive_pieces),
		STREAM_TEST(test_receive_backlog),
		STREAM_TEST(test_receive_nonsense),
		STREAM_TEST(test_receive_peer_gone),
		cmocka_unit_test(test_from_fd),
		STREAM_TEST(test_device),
	};

	alarm(60);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
