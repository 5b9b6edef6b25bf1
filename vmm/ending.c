/* SPDX-License-Identifier: Apache-2.0 */
#include "ending.h"

#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <unistd.h>

#include "util.h"

#define NS_PER_S 1000000000ull

static sigset_t watched_signals(void)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGWINCH};

	/* What is ignored would reach us, blocked. */
	return signals_not_ignored(signals, ARRAY_SIZE(signals));
}

void ending_block_signals(void)
{
	sigset_t set = watched_signals();

	pthread_sigmask(SIG_BLOCK, &set, NULL);
	/* Ignored, it would take the exit status of passt away. */
	signal(SIGCHLD, SIG_DFL);
	/* A write to nobody, or past a size limit, is an error of that write. */
	signal(SIGPIPE, SIG_IGN);
	signal(SIGXFSZ, SIG_IGN);
}

/* The host's reasons do not wait for a reader of the guest's last words. */
static bool is_guests_own(enum verdict_kind kind)
{
	return kind >= VERDICT_EXIT && kind <= VERDICT_CRASH;
}

/* By way of the loop, so that `settle` may take any device's lock. */
static void ending_declared(void *ctx, uint32_t events)
{
	struct ending *ending = ctx;
	enum verdict_kind kind;
	eventfd_t count;
	bool settled;

	(void)events;
	eventfd_read(ending->declared_fd, &count);
	pthread_mutex_lock(&ending->lock);
	kind = ending->verdict.kind;
	pthread_mutex_unlock(&ending->lock);
	if (kind == VERDICT_NONE)
		return;
	settled = ending->settle(ending->ctx);
	if (settled || !is_guests_own(kind))
		event_loop_stop(ending->loop);
}

void ending_recheck(struct ending *ending)
{
	eventfd_write(ending->declared_fd, 1);
}

void ending_declare(struct ending *ending, const struct verdict *verdict)
{
	pthread_mutex_lock(&ending->lock);
	if (verdict_beats(verdict->kind, ending->verdict.kind))
		ending->verdict = *verdict;
	pthread_mutex_unlock(&ending->lock);
	ending_recheck(ending);
}

static void ending_signalled(void *ctx, uint32_t events)
{
	struct ending *ending = ctx;
	struct verdict verdict = {.kind = VERDICT_SIGNAL};
	struct signalfd_siginfo info;

	(void)events;
	if (read(ending->signal_fd, &info, sizeof(info)) != sizeof(info))
		return;
	if (info.ssi_signo == SIGWINCH) {
		ending->resized(ending->ctx);
		return;
	}
	verdict.detail = info.ssi_signo;
	ending_declare(ending, &verdict);
}

static void ending_timed_out(void *ctx, uint32_t events)
{
	struct ending *ending = ctx;
	struct verdict verdict = {.kind = VERDICT_TIMEOUT};

	(void)events;
	event_loop_remove(ending->loop, &ending->timer_watch);
	ending_declare(ending, &verdict);
}

static int ending_watch(struct ending *ending, struct event_watch *watch, int fd, event_fn *fn)
{
	if (fd < 0)
		return -errno;
	*watch = (struct event_watch){.fd = fd, .fn = fn, .ctx = ending};
	return event_loop_add(ending->loop, watch, EPOLLIN);
}

int ending_init(struct ending *ending)
{
	sigset_t set = watched_signals();
	int err;

	pthread_mutex_init(&ending->lock, NULL);
	ending->verdict = (struct verdict){.kind = VERDICT_NONE};
	ending->declared_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	ending->signal_fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
	ending->timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_CLOEXEC | TFD_NONBLOCK);
	err = ending_watch(ending, &ending->declared_watch, ending->declared_fd, ending_declared);
	if (!err)
		err = ending_watch(ending, &ending->signal_watch, ending->signal_fd,
				   ending_signalled);
	if (!err)
		err = ending_watch(ending, &ending->timer_watch, ending->timer_fd,
				   ending_timed_out);
	return err;
}

void ending_fini(struct ending *ending)
{
	if (!ending->loop)
		return;
	event_loop_remove(ending->loop, &ending->declared_watch);
	event_loop_remove(ending->loop, &ending->signal_watch);
	event_loop_remove(ending->loop, &ending->timer_watch);
	close_fd_ptr(&ending->declared_fd);
	close_fd_ptr(&ending->signal_fd);
	close_fd_ptr(&ending->timer_fd);
	ending->loop = NULL;
}

int ending_start_timer(struct ending *ending, uint64_t timeout_ns)
{
	struct itimerspec spec = {
		.it_value = {.tv_sec = (time_t)(timeout_ns / NS_PER_S),
			     .tv_nsec = (long)(timeout_ns % NS_PER_S)},
	};

	return timerfd_settime(ending->timer_fd, 0, &spec, NULL) ? -errno : 0;
}
