/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of a VM: whoever sees it declares a verdict, from any thread; the loop thread waits until
 * what the guest said last is out, and stops the loop. Signals to husk and the time limit end it
 * here as well.
 *
 * Silent.
 */
#ifndef HUSK_ENDING_H
#define HUSK_ENDING_H

#include <pthread.h>

#include "event_loop.h"
#include "verdict.h"

struct ending {
	struct event_loop *loop;
	/*
	 * Pushes out what the guest said; true when nothing is left. On the loop thread, with no
	 * lock held.
	 */
	bool (*settle)(void *ctx);
	/* SIGWINCH came. On the loop thread. */
	void (*resized)(void *ctx);
	void *ctx;

	pthread_mutex_t lock; /* guards verdict */
	struct verdict verdict;
	int declared_fd, signal_fd, timer_fd;
	struct event_watch declared_watch, signal_watch, timer_watch;
};

/*
 * Fill in loop, settle, resized and ctx before. The signals that end husk must be blocked in all
 * threads (ending_block_signals). 0 or -errno. ending_fini takes a zeroed one.
 */
int ending_init(struct ending *ending);
void ending_fini(struct ending *ending);

/* Blocks what ending takes by descriptor; call before any thread is made. */
void ending_block_signals(void);

/* The time limit runs from now on; 0: there is none. 0 or -errno. */
int ending_start_timer(struct ending *ending, uint64_t timeout_ns);

/* Declares how the VM ended. Any thread; the first word counts (verdict_beats). */
void ending_declare(struct ending *ending, const struct verdict *verdict);

/* What held up `settle` may be gone: the loop thread calls it again. Any thread, any lock held. */
void ending_recheck(struct ending *ending);

#endif
