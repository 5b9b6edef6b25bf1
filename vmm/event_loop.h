/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The event loop: one epoll set, one thread, which owns all data-plane work.
 *
 * Silent. Every function but event_loop_stop is for the loop's own thread, or for set-up
 * before it runs. Watches are caller-owned storage and must outlive their time in the loop.
 *
 * Theory. A watch ties a descriptor to a callback. The loop takes the watch's lock (that of
 * the device it belongs to, or none) around the callback, so device code is the same whether a
 * vCPU thread or the loop called it. Sources are level-triggered: a callback that leaves work
 * behind is called again, after all other ready watches had their turn, which is what bounds
 * the share one busy device can take. A callback may change or remove its own watch or any
 * other; events already fetched for a removed watch are dropped.
 */
#ifndef HUSK_EVENT_LOOP_H
#define HUSK_EVENT_LOOP_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

/* `events` are EPOLLIN, EPOLLOUT, EPOLLHUP, EPOLLERR. */
typedef void event_fn(void *ctx, uint32_t events);

struct event_watch {
	int fd; /* borrowed */
	event_fn *fn;
	void *ctx;
	pthread_mutex_t *lock; /* held around fn; may be NULL */

	uint32_t events; /* the loop's: what is waited for */
	bool active;	 /* the loop's: in the set */
};

struct event_loop {
	int epoll_fd;
	int stop_fd;
	struct event_watch stop_watch;
	struct event_watch **ready; /* what one epoll_pwait returned and is not yet served */
	int nr_ready;
	bool stopped;
};

/* 0 or -errno; fini takes an initialised loop. */
int event_loop_init(struct event_loop *loop);
void event_loop_fini(struct event_loop *loop);

/*
 * Puts `watch` (borrowed; fd, fn, ctx and lock filled in) into the set. `events` may be 0: errors
 * and hang-ups are then still reported. 0 or -errno; -EPERM: the descriptor cannot be polled
 * (a regular file).
 */
int event_loop_add(struct event_loop *loop, struct event_watch *watch, uint32_t events);

/* Waits for other events from now on. No system call if nothing changes. */
void event_loop_modify(struct event_loop *loop, struct event_watch *watch, uint32_t events);

/* Takes the watch out, for good or until added again. Does nothing if it is not in. */
void event_loop_remove(struct event_loop *loop, struct event_watch *watch);

/* Serves events until event_loop_stop. 0 or -errno of epoll_pwait. */
int event_loop_run(struct event_loop *loop);

/* Ends event_loop_run after the callback in progress. Any thread, and signal handlers. */
void event_loop_stop(struct event_loop *loop);

#endif
