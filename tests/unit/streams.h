/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of what uses husk's own standard streams: pipes in the place of 0, 1 and 2, and the
 * event loop, one round at a time.
 */
#ifndef HUSK_TEST_STREAMS_H
#define HUSK_TEST_STREAMS_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "event_loop.h"

/* A page that takes bytes, and one more: a pipe with data in its last page counts as full. */
#define STREAMS_PIPE (2 * PIPE_BUF)

struct streams {
	int saved[3];
	int in;	      /* what is written here is on standard input */
	int out, err; /* what was written to the other two; reading does not block */
};

static inline void streams_pipe(int target, int *ret_saved, int *ret_ours)
{
	int ends[2], theirs = target == STDIN_FILENO ? 0 : 1;

	*ret_saved = fcntl(target, F_DUPFD_CLOEXEC, 10);
	assert_true(*ret_saved >= 0);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	*ret_ours = fcntl(ends[!theirs], F_DUPFD_CLOEXEC, 10);
	assert_int_equal(fcntl(*ret_ours, F_SETFL, O_NONBLOCK), 0);
	if (theirs) /* small: it is full soon */
		assert_int_equal(fcntl(ends[1], F_SETPIPE_SZ, STREAMS_PIPE), STREAMS_PIPE);
	assert_int_equal(dup2(ends[theirs], target), target);
	close(ends[0]);
	close(ends[1]);
}

static inline void streams_begin(struct streams *streams)
{
	streams_pipe(STDIN_FILENO, &streams->saved[0], &streams->in);
	streams_pipe(STDOUT_FILENO, &streams->saved[1], &streams->out);
	streams_pipe(STDERR_FILENO, &streams->saved[2], &streams->err);
}

static inline void streams_end(struct streams *streams)
{
	int *const ours[] = {&streams->in, &streams->out, &streams->err};
	int fd;

	for (fd = 0; fd < 3; fd++) {
		dup2(streams->saved[fd], fd);
		close(streams->saved[fd]);
		if (*ours[fd] >= 0)
			close(*ours[fd]);
	}
}

/* Whatever there is, up to `size` less one, with a NUL behind it. */
static inline size_t streams_read(int fd, char *ret_text, size_t size)
{
	ssize_t len = read(fd, ret_text, size - 1);

	ret_text[len > 0 ? len : 0] = '\0';
	return len > 0 ? (size_t)len : 0;
}

/* Fills a pipe with dots; how many. */
static inline size_t streams_fill(int fd)
{
	struct pollfd pollfd = {.fd = fd, .events = POLLOUT};
	char dots[PIPE_BUF];
	size_t len = 0;

	memset(dots, '.', sizeof(dots));
	while (poll(&pollfd, 1, 0) == 1)
		len += (size_t)write(fd, dots, PIPE_BUF);
	return len;
}

/*
 * Serves what is ready until nothing is, or the loop is stopped; the number served. Fails if there
 * is no end to it: a callback that does not consume its event would have the loop spin.
 */
static inline unsigned int streams_serve(struct event_loop *loop)
{
	struct epoll_event event;
	unsigned int served = 0;

	while (!loop->stopped && epoll_wait(loop->epoll_fd, &event, 1, 0) == 1) {
		struct event_watch *watch = event.data.ptr;

		if (watch->lock)
			pthread_mutex_lock(watch->lock);
		watch->fn(watch->ctx, event.events);
		if (watch->lock)
			pthread_mutex_unlock(watch->lock);
		assert_true(++served < 1000);
	}
	return served;
}

#endif
