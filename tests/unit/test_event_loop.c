/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <cmocka.h>

#include "event_loop.h"
#include "util.h"

struct fixture {
	struct event_loop loop;
	struct counter {
		struct event_watch watch;
		struct fixture *f;
		unsigned int calls;
		unsigned int stop_at; /* stops the loop at this call */
		bool drain;
	} a, b;
};

static void count(void *ctx, uint32_t events)
{
	struct counter *counter = ctx;
	eventfd_t value;

	assert_true(events);
	if (counter->drain)
		eventfd_read(counter->watch.fd, &value);
	if (++counter->calls == counter->stop_at)
		event_loop_stop(&counter->f->loop);
}

static void counter_init(struct fixture *f, struct counter *counter)
{
	*counter = (struct counter){.f = f};
	counter->watch.fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	counter->watch.fn = count;
	counter->watch.ctx = counter;
	counter->drain = true;
}

static int setup(void **state)
{
	static struct fixture f;

	assert_int_equal(event_loop_init(&f.loop), 0);
	counter_init(&f, &f.a);
	counter_init(&f, &f.b);
	*state = &f;
	/* A loop that does not end is a failure. */
	alarm(20);
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;

	alarm(0);
	close(f->a.watch.fd);
	close(f->b.watch.fd);
	event_loop_fini(&f->loop);
	return 0;
}

static void serves_until_stopped(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(event_loop_add(&f->loop, &f->a.watch, EPOLLIN), 0);
	eventfd_write(f->a.watch.fd, 1);
	f->a.stop_at = 1;
	assert_int_equal(event_loop_run(&f->loop), 0);
	assert_int_equal(f->a.calls, 1);
}

static void stopped_before_it_runs(void **state)
{
	struct fixture *f = *state;

	event_loop_stop(&f->loop);
	assert_int_equal(event_loop_run(&f->loop), 0);
}

/* One that never drains does not keep the other from its turn. */
static void busy_watches_take_turns(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(event_loop_add(&f->loop, &f->a.watch, EPOLLIN), 0);
	assert_int_equal(event_loop_add(&f->loop, &f->b.watch, EPOLLIN), 0);
	f->a.drain = f->b.drain = false;
	f->b.stop_at = 100;
	eventfd_write(f->a.watch.fd, 1);
	eventfd_write(f->b.watch.fd, 1);
	assert_int_equal(event_loop_run(&f->loop), 0);
	assert_in_range(f->a.calls, 98, 102);
}

static void remove_other(void *ctx, uint32_t events)
{
	struct fixture *f = ctx;

	(void)events;
	/* Whichever of the two comes first takes both out: only one is ever called. */
	event_loop_remove(&f->loop, &f->a.watch);
	event_loop_remove(&f->loop, &f->b.watch);
	f->a.calls++;
	event_loop_stop(&f->loop);
}

static void removed_watches_are_not_called(void **state)
{
	struct fixture *f = *state;

	f->a.watch.fn = f->b.watch.fn = remove_other;
	f->a.watch.ctx = f->b.watch.ctx = f;
	assert_int_equal(event_loop_add(&f->loop, &f->a.watch, EPOLLIN), 0);
	assert_int_equal(event_loop_add(&f->loop, &f->b.watch, EPOLLIN), 0);
	eventfd_write(f->a.watch.fd, 1);
	eventfd_write(f->b.watch.fd, 1);
	assert_int_equal(event_loop_run(&f->loop), 0);
	assert_int_equal(f->a.calls, 1);
	/* Out already: nothing happens. */
	event_loop_remove(&f->loop, &f->a.watch);
	event_loop_modify(&f->loop, &f->a.watch, EPOLLIN);
}

static void modify_changes_what_is_waited_for(void **state)
{
	struct fixture *f = *state;
	eventfd_t value;

	assert_int_equal(event_loop_add(&f->loop, &f->a.watch, EPOLLIN), 0);
	assert_int_equal(event_loop_add(&f->loop, &f->b.watch, EPOLLIN), 0);
	eventfd_write(f->a.watch.fd, 1);
	event_loop_modify(&f->loop, &f->a.watch, 0);
	f->b.drain = false;
	f->b.stop_at = 3;
	eventfd_write(f->b.watch.fd, 1);
	assert_int_equal(event_loop_run(&f->loop), 0);
	assert_int_equal(f->a.calls, 0);
	/* Once more, now for both. */
	eventfd_read(f->loop.stop_fd, &value);
	f->loop.stopped = false;
	event_loop_modify(&f->loop, &f->a.watch, EPOLLIN);
	f->a.stop_at = 1;
	assert_int_equal(event_loop_run(&f->loop), 0);
	assert_int_equal(f->a.calls, 1);
}

static void regular_files_cannot_be_polled(void **state)
{
	struct fixture *f = *state;
	cleanup_fd int fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC);
	struct event_watch watch = {.fd = fd, .fn = count};

	assert_int_equal(event_loop_add(&f->loop, &watch, EPOLLIN), -EPERM);
	assert_false(watch.active);
	event_loop_remove(&f->loop, &watch);
}

static void locked(void *ctx, uint32_t events)
{
	struct fixture *f = ctx;

	(void)events;
	assert_int_equal(pthread_mutex_trylock(f->a.watch.lock), EBUSY);
	event_loop_stop(&f->loop);
}

static void the_lock_is_held_around_the_callback(void **state)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	struct fixture *f = *state;

	f->a.watch.fn = locked;
	f->a.watch.ctx = f;
	f->a.watch.lock = &lock;
	assert_int_equal(event_loop_add(&f->loop, &f->a.watch, EPOLLIN), 0);
	eventfd_write(f->a.watch.fd, 1);
	assert_int_equal(event_loop_run(&f->loop), 0);
	assert_int_equal(pthread_mutex_trylock(&lock), 0);
	pthread_mutex_unlock(&lock);
}

static void *stop_from_here(void *ctx)
{
	usleep(1000);
	event_loop_stop(ctx);
	return NULL;
}

static void stops_from_another_thread(void **state)
{
	struct fixture *f = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, stop_from_here, &f->loop), 0);
	assert_int_equal(event_loop_run(&f->loop), 0);
	pthread_join(thread, NULL);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(serves_until_stopped),
		TEST(stopped_before_it_runs),
		TEST(busy_watches_take_turns),
		TEST(removed_watches_are_not_called),
		TEST(modify_changes_what_is_waited_for),
		TEST(regular_files_cannot_be_polled),
		TEST(the_lock_is_held_around_the_callback),
		TEST(stops_from_another_thread),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
