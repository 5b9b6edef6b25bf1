/* SPDX-License-Identifier: Apache-2.0 */
#include "host_io.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "util.h"

/* Opened anew, as another writer may take the room that polling first would have found. */
int host_stream_open(int fd, int mode)
{
	char path[32];
	struct stat st;
	int own = -1;

	if (fstat(fd, &st))
		return -1;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	if (S_ISFIFO(st.st_mode) || isatty(fd))
		own = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
	return own >= 0 ? own : fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

void host_streams_open(struct host_streams *ret_streams)
{
	ret_streams->in = host_stream_open(STDIN_FILENO, O_RDONLY);
	ret_streams->out = host_stream_open(STDOUT_FILENO, O_WRONLY);
	ret_streams->err = host_stream_open(STDERR_FILENO, O_WRONLY);
}

void host_streams_close(struct host_streams *streams)
{
	close_fd_ptr(&streams->in);
	close_fd_ptr(&streams->out);
	close_fd_ptr(&streams->err);
}

/* An epoll set holds a descriptor once, and two devices may share a stream. */
static int stream_dup(int fd)
{
	return fcntl(fd, F_DUPFD_CLOEXEC, STDERR_FILENO + 1);
}

static void output_ready(void *ctx, uint32_t events)
{
	struct host_output *output = ctx;

	(void)events;
	event_loop_remove(output->loop, &output->watch);
	output->ready(output->ctx);
}

int host_output_init(struct host_output *output, int fd, struct event_loop *loop,
		     pthread_mutex_t *lock, void (*ready)(void *ctx), void *ctx)
{
	int err;

	*output = (struct host_output){.loop = loop, .ready = ready, .ctx = ctx};
	output->watch = (struct event_watch){
		.fd = stream_dup(fd), .fn = output_ready, .ctx = output, .lock = lock};
	if (output->watch.fd < 0) {
		/* Standard streams may be closed (">&-"). */
		output->error = errno;
		return errno == EBADF ? 0 : -errno;
	}
	/* Tried once: the loop refuses regular files, which never block. */
	err = event_loop_add(loop, &output->watch, EPOLLOUT);
	output->pollable = !err;
	event_loop_remove(loop, &output->watch);
	return err == -EPERM ? 0 : err;
}

void host_output_fini(struct host_output *output)
{
	if (!output->loop)
		return;
	event_loop_remove(output->loop, &output->watch);
	close_fd_ptr(&output->watch.fd);
	output->loop = NULL;
}

/* For what could not be opened anew (a socket): what polls as writable takes PIPE_BUF bytes. */
static bool output_has_room(const struct host_output *output)
{
	struct pollfd pollfd = {.fd = output->watch.fd, .events = POLLOUT};

	return !output->pollable || poll(&pollfd, 1, 0) > 0;
}

size_t host_output_write(struct host_output *output, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	size_t done = 0;
	ssize_t wrote;

	while (done < len && !output->error) {
		wrote = -1;
		errno = EAGAIN;
		if (output_has_room(output))
			wrote = write(output->watch.fd, bytes + done,
				      MIN(len - done, (size_t)PIPE_BUF));
		if (wrote >= 0) {
			done += (size_t)wrote;
		} else if (errno == EAGAIN) {
			/* Perhaps it waits already: a device tries again whenever it has more. */
			if (!output->watch.active)
				event_loop_add(output->loop, &output->watch, EPOLLOUT);
			return done;
		} else if (errno != EINTR) {
			output->error = errno;
		}
	}
	return len;
}

static void input_ready(void *ctx, uint32_t events)
{
	struct host_input *input = ctx;

	(void)events;
	input->ready(input->ctx);
}

int host_input_init(struct host_input *input, int fd, struct event_loop *loop,
		    pthread_mutex_t *lock, void (*ready)(void *ctx), void *ctx)
{
	int err = -EBADF;

	*input = (struct host_input){.loop = loop, .always_fd = -1, .ready = ready, .ctx = ctx};
	input->fd = stream_dup(fd);
	input->watch = (struct event_watch){
		.fd = input->fd, .fn = input_ready, .ctx = input, .lock = lock};
	if (input->fd >= 0)
		err = event_loop_add(loop, &input->watch, EPOLLIN);
	event_loop_remove(loop, &input->watch);
	/* A regular file, or a stream that is closed: its end comes by reading. */
	if (err == -EPERM || err == -EBADF) {
		input->always_fd = eventfd(1, EFD_CLOEXEC | EFD_NONBLOCK);
		input->watch.fd = input->always_fd;
		err = input->always_fd < 0 ? -errno : 0;
	}
	return err;
}

void host_input_fini(struct host_input *input)
{
	if (!input->loop)
		return;
	event_loop_remove(input->loop, &input->watch);
	close_fd_ptr(&input->fd);
	close_fd_ptr(&input->always_fd);
	input->loop = NULL;
}

void host_input_want(struct host_input *input, bool want)
{
	if (want && !input->watch.active)
		event_loop_add(input->loop, &input->watch, EPOLLIN);
	else if (!want)
		event_loop_remove(input->loop, &input->watch);
}

ssize_t host_input_read(struct host_input *input, void *ret_data, size_t len)
{
	ssize_t got = read(input->fd, ret_data, len);

	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return -EAGAIN;
	/* Any other error ends the input. */
	return MAX(got, 0);
}

bool host_terminal_is_ours(int in_fd, int out_fd)
{
	return isatty(in_fd) && isatty(out_fd) && tcgetpgrp(in_fd) == getpgrp();
}

void host_terminal_size(int fd, uint16_t *ret_rows, uint16_t *ret_cols)
{
	struct winsize size = {0};

	ioctl(fd, TIOCGWINSZ, &size);
	*ret_rows = size.ws_row ? size.ws_row : 24;
	*ret_cols = size.ws_col ? size.ws_col : 80;
}

int host_terminal_raw(int fd, struct termios *ret_saved)
{
	struct termios raw;

	if (tcgetattr(fd, ret_saved))
		return -errno;
	raw = *ret_saved;
	cfmakeraw(&raw);
	return tcsetattr(fd, TCSADRAIN, &raw) ? -errno : 0;
}

void host_terminal_restore(int fd, const struct termios *saved)
{
	tcsetattr(fd, TCSADRAIN, saved);
}
