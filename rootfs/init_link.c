/* SPDX-License-Identifier: Apache-2.0 */
#include "init_link.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdint.h>
#include <string.h>
#include <termios.h>
#include <unistd.h>

#include "init_end.h"
#include "init_parse.h"

#define FRAME_MAX (sizeof(struct link_header) + LINK_PAYLOAD_MAX)

/* Bytes [start, end) wait: for the port, or to be consumed. */
struct buffer {
	size_t start;
	size_t end;
	uint8_t bytes[8 * FRAME_MAX];
};

static int port = -1;
static struct buffer out, in;
static struct link_header in_header;

/* Move what waits to the front, if that makes room for `need` more bytes. */
static bool buffer_make_room(struct buffer *b, size_t need)
{
	if (sizeof(b->bytes) - b->end >= need)
		return true;
	memmove(b->bytes, b->bytes + b->start, b->end - b->start);
	b->end -= b->start;
	b->start = 0;
	return sizeof(b->bytes) - b->end >= need;
}

static void buffer_drop(struct buffer *b, size_t len)
{
	b->start += len;
	if (b->start == b->end)
		b->start = b->end = 0;
}

int link_open(void)
{
	int fd = open(LINK_TTY, O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC);
	struct termios raw;

	if (fd < 0)
		return -errno;
	if (tcgetattr(fd, &raw) < 0) {
		int err = errno;

		close(fd);
		return -err;
	}
	cfmakeraw(&raw);
	raw.c_cflag |= CRTSCTS | CLOCAL | CREAD;
	raw.c_cflag &= ~(tcflag_t)HUPCL;
	cfsetspeed(&raw, B115200);
	tcsetattr(fd, TCSANOW, &raw);
	port = fd;
	return 0;
}

bool link_is_open(void)
{
	return port >= 0;
}

int link_fd(void)
{
	return port;
}

short link_events(void)
{
	short events = 0;

	if (out.start < out.end)
		events |= POLLOUT;
	if (in.end - in.start < sizeof(in.bytes))
		events |= POLLIN;
	return events;
}

void *link_reserve(void)
{
	if (!buffer_make_room(&out, FRAME_MAX))
		return NULL;
	return out.bytes + out.end + sizeof(struct link_header);
}

void link_commit(enum link_type type, size_t len)
{
	struct link_header header = {.type = (uint8_t)type, .len = (uint16_t)len};

	memcpy(out.bytes + out.end, &header, sizeof(header));
	out.end += sizeof(header) + len;
}

void link_send(enum link_type type, const void *payload, size_t len)
{
	struct pollfd writable = {.fd = port, .events = POLLOUT};
	void *room;

	while (!(room = link_reserve())) {
		poll(&writable, 1, -1);
		link_write();
	}
	if (len)
		memcpy(room, payload, len);
	link_commit(type, len);
	link_write();
}

void link_write(void)
{
	while (out.start < out.end) {
		ssize_t n = write(port, out.bytes + out.start, out.end - out.start);
		if (n <= 0)
			return;
		buffer_drop(&out, (size_t)n);
	}
}

void link_drain(void)
{
	struct pollfd writable = {.fd = port, .events = POLLOUT};

	for (link_write(); out.start < out.end; link_write())
		poll(&writable, 1, -1);
	while (tcdrain(port) < 0 && errno == EINTR)
		;
}

void link_read(void)
{
	ssize_t n;

	if (!buffer_make_room(&in, 1))
		return;
	n = read(port, in.bytes + in.end, sizeof(in.bytes) - in.end);
	if (n > 0)
		in.end += (size_t)n;
}

const struct link_header *link_peek(const void **ret_payload)
{
	ssize_t size = frame_parse(in.bytes + in.start, in.end - in.start, &in_header);

	if (size < 0)
		give_up("the link to husk is out of step: input was lost on the way");
	if (size == 0)
		return NULL;
	*ret_payload = in.bytes + in.start + sizeof(in_header);
	return &in_header;
}

void link_consume(void)
{
	buffer_drop(&in, sizeof(in_header) + in_header.len);
}
