/* SPDX-License-Identifier: Apache-2.0 */
#include "event_loop.h"

#include <errno.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util.h"

#define EVENTS_PER_WAIT 32

static void loop_stopped(void *ctx, uint32_t events)
{
	struct event_loop *loop = ctx;

	(void)events;
	loop->stopped = true;
}

int event_loop_init(struct event_loop *loop)
{
	int err;

	*loop = (struct event_loop){.epoll_fd = -1, .stop_fd = -1};
	loop->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	loop->stop_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (loop->epoll_fd < 0 || loop->stop_fd < 0) {
		err = -errno;
		event_loop_fini(loop);
		return err;
	}
	loop->stop_watch =
		(struct event_watch){.fd = loop->stop_fd, .fn = loop_stopped, .ctx = loop};
	err = event_loop_add(loop, &loop->stop_watch, EPOLLIN);
	if (err)
		event_loop_fini(loop);
	return err;
}

void event_loop_fini(struct event_loop *loop)
{
	close_fd_ptr(&loop->epoll_fd);
	close_fd_ptr(&loop->stop_fd);
	loop->epoll_fd = -1;
	loop->stop_fd = -1;
}

static int loop_control(struct event_loop *loop, int op, struct event_watch *watch)
{
	struct epoll_event event = {.events = watch->events, .data.ptr = watch};

	return epoll_ctl(loop->epoll_fd, op, watch->fd, &event) ? -errno : 0;
}

int event_loop_add(struct event_loop *loop, struct event_watch *watch, uint32_t events)
{
	int err;

	if (watch->active)
		return -EEXIST;
	watch->events = events;
	err = loop_control(loop, EPOLL_CTL_ADD, watch);
	watch->active = !err;
	return err;
}

void event_loop_modify(struct event_loop *loop, struct event_watch *watch, uint32_t events)
{
	if (!watch->active || watch->events == events)
		return;
	watch->events = events;
	loop_control(loop, EPOLL_CTL_MOD, watch);
}

void event_loop_remove(struct event_loop *loop, struct event_watch *watch)
{
	int i;

	if (!watch->active)
		return;
	watch->active = false;
	loop_control(loop, EPOLL_CTL_DEL, watch);
	/* Its events may be fetched already, and the storage may be gone when they come up. */
	for (i = 0; i < loop->nr_ready; i++)
		if (loop->ready[i] == watch)
			loop->ready[i] = NULL;
}

static void loop_serve(struct event_watch *watch, uint32_t events)
{
	if (watch->lock)
		pthread_mutex_lock(watch->lock);
	watch->fn(watch->ctx, events);
	if (watch->lock)
		pthread_mutex_unlock(watch->lock);
}

int event_loop_run(struct event_loop *loop)
{
	struct epoll_event events[EVENTS_PER_WAIT];
	struct event_watch *ready[EVENTS_PER_WAIT];
	int i, nr;

	while (!loop->stopped) {
		nr = epoll_pwait(loop->epoll_fd, events, EVENTS_PER_WAIT, -1, NULL);
		if (nr < 0 && errno != EINTR)
			return -errno;
		for (i = 0; i < nr; i++)
			ready[i] = events[i].data.ptr;
		loop->ready = ready;
		loop->nr_ready = MAX(nr, 0);
		for (i = 0; i < nr && !loop->stopped; i++)
			if (ready[i])
				loop_serve(ready[i], events[i].events);
		loop->nr_ready = 0;
	}
	return 0;
}

void event_loop_stop(struct event_loop *loop)
{
	eventfd_write(loop->stop_fd, 1);
}
