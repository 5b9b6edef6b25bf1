/* SPDX-License-Identifier: Apache-2.0 */
#include "ending.h"
#include "streams.h"

#include <errno.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

struct fake_vm {
	struct event_loop loop;
	struct ending ending;
	bool settled; /* what settle says */
	unsigned int settles, resizes;
};

static bool vm_settle(void *ctx)
{
	struct fake_vm *vm = ctx;
	struct timespec deadline;

	/* It may take locks, so this thread holds none of ours; another one may, for a moment. */
	clock_gettime(CLOCK_REALTIME, &deadline);
	deadline.tv_sec += 10;
	assert_int_equal(pthread_mutex_timedlock(&vm->ending.lock, &deadline), 0);
	pthread_mutex_unlock(&vm->ending.lock);
	vm->settles++;
	return vm->settled;
}

static void vm_resized(void *ctx)
{
	((struct fake_vm *)ctx)->resizes++;
}

static int vm_setup(void **state)
{
	struct fake_vm *vm = test_calloc(1, sizeof(*vm));

	vm->settled = true;
	assert_int_equal(event_loop_init(&vm->loop), 0);
	vm->ending = (struct ending){
		.loop = &vm->loop, .settle = vm_settle, .resized = vm_resized, .ctx = vm};
	assert_int_equal(ending_init(&vm->ending), 0);
	*state = vm;
	return 0;
}

static int vm_teardown(void **state)
{
	struct fake_vm *vm = *state;

	ending_fini(&vm->ending);
	ending_fini(&vm->ending);
	event_loop_fini(&vm->loop);
	test_free(vm);
	return 0;
}

static void declare(struct fake_vm *vm, enum verdict_kind kind, uint8_t status)
{
	struct verdict verdict = {.kind = kind, .status = status};

	ending_declare(&vm->ending, &verdict);
}

/* Serves what is ready now; whether the loop was told to stop. */
static bool serve(struct fake_vm *vm)
{
	streams_serve(&vm->loop);
	return vm->loop.stopped;
}

static void *declare_later(void *arg)
{
	usleep(10000);
	declare(arg, VERDICT_POWER_OFF, 0);
	return NULL;
}

static void a_verdict_from_another_thread(void **state)
{
	struct fake_vm *vm = *state;
	pthread_t thread;

	assert_int_equal(pthread_create(&thread, NULL, declare_later, vm), 0);
	assert_int_equal(event_loop_run(&vm->loop), 0);
	pthread_join(thread, NULL);
	assert_int_equal(vm->ending.verdict.kind, VERDICT_POWER_OFF);
	assert_int_equal(vm->settles, 1);
}

static void *declare_many(void *arg)
{
	unsigned int i;

	for (i = 0; i < 1000; i++)
		declare(arg, VERDICT_RESET, 0);
	return NULL;
}

static void verdicts_from_many_threads(void **state)
{
	struct fake_vm *vm = *state;
	pthread_t threads[2];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(threads); i++)
		assert_int_equal(pthread_create(&threads[i], NULL, declare_many, vm), 0);
	assert_int_equal(event_loop_run(&vm->loop), 0);
	for (i = 0; i < ARRAY_SIZE(threads); i++)
		pthread_join(threads[i], NULL);
	assert_int_equal(vm->ending.verdict.kind, VERDICT_RESET);
}

static void the_first_word_counts(void **state)
{
	struct fake_vm *vm = *state;

	declare(vm, VERDICT_EXIT, 3);
	declare(vm, VERDICT_EXIT, 4);
	declare(vm, VERDICT_RESET, 0);
	assert_true(serve(vm));
	assert_int_equal(vm->ending.verdict.kind, VERDICT_EXIT);
	assert_int_equal(vm->ending.verdict.status, 3);
}

/* The guest's last words are not out yet. */
static void the_end_waits_until_settled(void **state)
{
	struct fake_vm *vm = *state;

	ending_recheck(&vm->ending);
	assert_false(serve(vm));
	assert_int_equal(vm->settles, 0);
	vm->settled = false;
	declare(vm, VERDICT_RESET, 0);
	assert_false(serve(vm));
	assert_int_equal(vm->settles, 1);
	/* No spinning meanwhile. */
	assert_int_equal(streams_serve(&vm->loop), 0);
	declare(vm, VERDICT_EXIT, 7);
	assert_false(serve(vm));
	vm->settled = true;
	ending_recheck(&vm->ending);
	assert_true(serve(vm));
	assert_int_equal(vm->ending.verdict.kind, VERDICT_EXIT);
	assert_int_equal(vm->ending.verdict.status, 7);
}

/* Who holds a lock that settle takes may ask for it. */
static void recheck_under_a_lock(void **state)
{
	struct fake_vm *vm = *state;

	declare(vm, VERDICT_RESET, 0);
	pthread_mutex_lock(&vm->ending.lock);
	ending_recheck(&vm->ending);
	assert_int_equal(vm->settles, 0);
	pthread_mutex_unlock(&vm->ending.lock);
	assert_true(serve(vm));
}

/* The host does not wait for a reader; not even if the guest ended before. */
static void the_hosts_word_ends_the_wait(void **state)
{
	static const enum verdict_kind kinds[] = {VERDICT_TIMEOUT, VERDICT_SIGNAL, VERDICT_QUIT,
						  VERDICT_OUTPUT, VERDICT_HOST};
	struct fake_vm *vm = *state;
	size_t i;

	vm->settled = false;
	for (i = 0; i < ARRAY_SIZE(kinds); i++) {
		vm_teardown(state);
		vm_setup(state);
		vm = *state;
		vm->settled = false;
		declare(vm, VERDICT_EXIT, 0);
		assert_false(serve(vm));
		declare(vm, kinds[i], 0);
		assert_true(serve(vm));
		assert_int_equal(vm->ending.verdict.kind, kinds[i]);
	}
}

static void the_time_limit(void **state)
{
	struct fake_vm *vm = *state;
	uint64_t start = clock_now_ns();

	assert_int_equal(ending_start_timer(&vm->ending, 0), 0);
	usleep(1000);
	assert_false(serve(vm));
	assert_int_equal(ending_start_timer(&vm->ending, 20000000), 0);
	assert_int_equal(event_loop_run(&vm->loop), 0);
	assert_true(clock_now_ns() - start >= 20000000);
	assert_int_equal(vm->ending.verdict.kind, VERDICT_TIMEOUT);
	/* The longest there is. */
	assert_int_equal(ending_start_timer(&vm->ending, UINT64_MAX), 0);
}

static void signals(void **state)
{
	static const int numbers[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
	struct fake_vm *vm;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(numbers); i++) {
		vm_teardown(state);
		vm_setup(state);
		vm = *state;
		kill(getpid(), SIGWINCH);
		assert_false(serve(vm));
		assert_int_equal(vm->resizes, 1);
		kill(getpid(), numbers[i]);
		assert_true(serve(vm));
		assert_int_equal(vm->ending.verdict.kind, VERDICT_SIGNAL);
		assert_int_equal(vm->ending.verdict.detail, numbers[i]);
	}
}

/* As under nohup: what is ignored from the start does not end husk. */
static void ignored_signals_stay_ignored(void **state)
{
	int status;
	pid_t child = fork();

	(void)state;
	assert_true(child >= 0);
	if (!child) {
		struct event_loop loop;
		struct ending ending = {.loop = &loop};
		sigset_t none;

		sigemptyset(&none);
		sigprocmask(SIG_SETMASK, &none, NULL);
		signal(SIGHUP, SIG_IGN);
		ending_block_signals();
		if (event_loop_init(&loop) || ending_init(&ending))
			_exit(1);
		kill(getpid(), SIGHUP);
		streams_serve(&loop);
		_exit(ending.verdict.kind == VERDICT_NONE ? 0 : 2);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(status, 0);
}

/* A write to nobody, or past a size limit, is an error of that write. */
static void writes_do_not_kill(void **state)
{
	int ends[2];

	(void)state;
	assert_int_equal(pipe(ends), 0);
	close(ends[0]);
	assert_int_equal(write(ends[1], "x", 1), -1);
	assert_int_equal(errno, EPIPE);
	close(ends[1]);
	kill(getpid(), SIGXFSZ);
}

#define vm_test(f) cmocka_unit_test_setup_teardown(f, vm_setup, vm_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		vm_test(a_verdict_from_another_thread),
		vm_test(verdicts_from_many_threads),
		vm_test(the_first_word_counts),
		vm_test(the_end_waits_until_settled),
		vm_test(recheck_under_a_lock),
		vm_test(the_hosts_word_ends_the_wait),
		vm_test(the_time_limit),
		vm_test(signals),
		cmocka_unit_test(ignored_signals_stay_ignored),
		cmocka_unit_test(writes_do_not_kill),
	};

	/* Ignored from the start under nohup, or in the background of a script. */
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	alarm(60); /* a hang is a failure */
	ending_block_signals();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
