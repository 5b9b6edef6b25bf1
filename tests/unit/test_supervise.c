/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "child.h"
#include "supervise.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <termios.h>

#include "isolate.h"
#include "util.h"

#define KILLED 100 /* and the signal's number */
#define FAILED 98

/* Sanitizers make calls of their own. */
#if defined(__SANITIZE_ADDRESS__) || defined(__SANITIZE_THREAD__)
#define FILTER SECCOMP_LOG
#else
#define FILTER SECCOMP_ENFORCE
#endif

/* A supervisor and the "VM" below it, seen from the test. */
struct family {
	bool jailed;	   /* in jails of their own: the VM is init of its namespace */
	void (*vm)(void);  /* what the VM does; its end is the family's */
	void (*who)(void); /* what the supervisor does first */
	pid_t supervisor;
	int lock;   /* a file the VM locks: tells who it is, and whether it lives */
	int log;    /* a file: standard error */
	int pipe;   /* what the VM alone has the other end of */
	int stdin_; /* for both */
};

/* Shared by all of a family. */
static struct shared {
	unsigned int ticks;
} * shared;

static int killed_status(int nr)
{
	return KILLED + nr;
}

static void block_signals(void)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGQUIT);
	sigprocmask(SIG_SETMASK, &set, NULL);
}

static void give_up(int nr)
{
	(void)nr;
	_exit(FAILED);
}

static void be_family(const struct family *family, int pipe_fd)
{
	const struct supervise_spec spec = {family->jailed, FILTER, FAILED, killed_status};
	struct supervised child;
	struct flock lock = {.l_type = F_WRLCK};

	/* If the test fails and leaves them. */
	signal(SIGALRM, give_up);
	alarm(10);
	dup2(family->log, STDERR_FILENO);
	dup2(family->stdin_, STDIN_FILENO);
	block_signals();
	if (family->who)
		family->who();
	check(!supervise(&spec, &child));
	check(!supervise_enter(&child));
	alarm(10);
	check(!fcntl(family->lock, F_SETLK, &lock));
	check(write(pipe_fd, "x", 1) == 1);
	family->vm();
	_exit(0);
}

static void family_start(struct family *family)
{
	int ends[2];
	char word;

	shared->ticks = 0;
	family->lock = memfd_create("lock", MFD_CLOEXEC);
	family->log = memfd_create("log", MFD_CLOEXEC);
	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	family->pipe = ends[0];
	family->supervisor = fork();
	assert_true(family->supervisor >= 0);
	if (!family->supervisor) {
		close(ends[0]);
		be_family(family, ends[1]);
	}
	close(ends[1]);
	assert_int_equal(read(family->pipe, &word, 1), 1);
}

/* The VM's process; 0: it is gone. In whatever namespace, as the kernel translates it. */
static pid_t vm_pid(const struct family *family)
{
	struct flock lock = {.l_type = F_WRLCK};

	assert_int_equal(fcntl(family->lock, F_GETLK, &lock), 0);
	return lock.l_type == F_UNLCK ? 0 : lock.l_pid;
}

static int family_wait(const struct family *family)
{
	int status;

	assert_int_equal(waitpid(family->supervisor, &status, 0), family->supervisor);
	return status;
}

/* What they have logged. */
static const char *family_log(const struct family *family)
{
	static char text[4096];
	ssize_t len = pread(family->log, text, sizeof(text) - 1, 0);

	text[MAX(len, 0)] = '\0';
	return text;
}

static void family_end(struct family *family)
{
	close(family->lock);
	close(family->log);
	close(family->pipe);
}

static void assert_exited(const struct family *family, int want)
{
	int status = family_wait(family);

	if (!WIFEXITED(status) || WEXITSTATUS(status) != want)
		print_error("%s", family_log(family));
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), want);
}

/* Waits for something another process does. */
#define eventually(condition) \
	do { \
		unsigned int eventually_tries = 0; \
\
		while (!(condition) && eventually_tries++ < 5000) \
			usleep(1000); \
		assert_true(condition); \
	} while (0)

/* Runs `body` for a family without and one with a jail, where the host has it. */
static void for_families(struct family family, void (*body)(struct family *))
{
	const char *stage;

	family.stdin_ = family.stdin_ ? family.stdin_ : STDIN_FILENO;
	family_start(&family);
	body(&family);
	family_end(&family);
	family.jailed = !isolate_probe(&stage);
	if (!family.jailed) {
		print_message("without a jail only: this host forbids it\n");
		return;
	}
	family_start(&family);
	body(&family);
	family_end(&family);
}

static void wait_forever(void)
{
	for (;;)
		pause();
}

static void exit_7(void)
{
	_exit(7);
}

static void check_exit(struct family *family)
{
	assert_exited(family, 7);
	assert_string_equal(family_log(family), "");
}

static void the_childs_status(void **state)
{
	(void)state;
	for_families((struct family){.vm = exit_7}, check_exit);
}

static void ignore_sigchld(void)
{
	signal(SIGCHLD, SIG_IGN);
}

/* Otherwise the kernel throws the status away. */
static void its_status_with_sigchld_ignored(void **state)
{
	(void)state;
	for_families((struct family){.vm = exit_7, .who = ignore_sigchld}, check_exit);
}

static void check_killed(struct family *family)
{
	const char *log;

	kill(vm_pid(family), SIGKILL);
	assert_exited(family, KILLED + SIGKILL);
	log = family_log(family);
	assert_non_null(strstr(log, "killed by signal 9 (Killed)"));
	assert_non_null(strstr(log, "memory"));
	assert_ptr_equal(strchr(log, '\n'), strrchr(log, '\n'));
}

static void a_child_that_was_killed(void **state)
{
	(void)state;
	for_families((struct family){.vm = wait_forever}, check_killed);
}

static void crash(void)
{
	signal(SIGILL, SIG_DFL);
	__builtin_trap();
}

static void break_filter(void)
{
	prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0);
	/* As the kernel does it after the filter's report. */
	signal(SIGSYS, SIG_DFL);
	raise(SIGSYS);
}

static void check_crash(struct family *family)
{
	assert_exited(family, KILLED + SIGILL);
	assert_non_null(strstr(family_log(family), "signal 4 (Illegal instruction)\n"));
}

/* The filter has said why. */
static void check_sigsys(struct family *family)
{
	assert_exited(family, KILLED + SIGSYS);
	assert_string_equal(family_log(family), "");
	family_end(family);
}

static void a_child_that_crashed(void **state)
{
	struct family family = {.vm = break_filter};

	(void)state;
	for_families((struct family){.vm = crash}, check_crash);
	family_start(&family);
	check_sigsys(&family);
}

static void check_orphan(struct family *family)
{
	kill(family->supervisor, SIGKILL);
	family_wait(family);
	eventually(!vm_pid(family));
}

static void the_child_dies_with_its_parent(void **state)
{
	(void)state;
	for_families((struct family){.vm = wait_forever}, check_orphan);
}

/* The signals the caller had blocked, and no other, are blocked; tells which came. */
static void exit_by_signal(void)
{
	sigset_t set;
	int nr;

	sigprocmask(SIG_SETMASK, NULL, &set);
	check(sigismember(&set, SIGTERM) && !sigismember(&set, SIGTSTP) &&
	      !sigismember(&set, SIGCHLD) && !sigismember(&set, SIGCONT));
	check(!sigwait(&set, &nr));
	_exit(nr);
}

static const int *signal_to_send;

static void check_signal(struct family *family)
{
	kill(family->supervisor, *signal_to_send);
	assert_exited(family, *signal_to_send);
}

static void signals_are_passed_on(void **state)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		signal_to_send = &signals[i];
		for_families((struct family){.vm = exit_by_signal}, check_signal);
	}
}

static void check_deaf(struct family *family)
{
	uint64_t start = clock_now_ns();

	kill(family->supervisor, SIGTERM);
	assert_exited(family, 128 + SIGTERM);
	assert_true(clock_now_ns() - start > 4000000000ull);
	assert_non_null(strstr(family_log(family), "did not end within 5 seconds of signal 15"));
}

static void who_does_not_end_is_killed(void **state)
{
	(void)state;
	/* It has the signal blocked. */
	for_families((struct family){.vm = wait_forever}, check_deaf);
}

/* One that comes before there is a child. */
static void send_early(void)
{
	kill(getpid(), SIGINT);
}

static void check_early(struct family *family)
{
	assert_exited(family, SIGINT);
}

static void a_signal_before_the_fork(void **state)
{
	(void)state;
	for_families((struct family){.vm = exit_by_signal, .who = send_early}, check_early);
}

static void ignore_sighup(void)
{
	signal(SIGHUP, SIG_IGN);
}

static void check_nohup(struct family *family)
{
	kill(family->supervisor, SIGHUP);
	usleep(20000);
	kill(family->supervisor, SIGTERM);
	assert_exited(family, SIGTERM);
}

static void what_is_ignored_stays_so(void **state)
{
	(void)state;
	for_families((struct family){.vm = exit_by_signal, .who = ignore_sighup}, check_nohup);
}

static void tick(void)
{
	sigset_t pending;

	do {
		__atomic_add_fetch(&shared->ticks, 1, __ATOMIC_RELAXED);
		usleep(500);
		sigpending(&pending);
	} while (!sigismember(&pending, SIGTERM));
	_exit(5);
}

static unsigned int ticks(void)
{
	return __atomic_load_n(&shared->ticks, __ATOMIC_RELAXED);
}

static void stop(const struct family *family, int nr)
{
	int status;

	kill(family->supervisor, nr);
	assert_int_equal(waitpid(family->supervisor, &status, WUNTRACED), family->supervisor);
	assert_true(WIFSTOPPED(status));
}

static void check_stop(struct family *family)
{
	static const int signals[] = {SIGTSTP, SIGTTIN, SIGTTOU};
	unsigned int then;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(signals); i++) {
		stop(family, signals[i]);
		/* The child stops before the parent, on whatever CPU it is. */
		usleep(5000);
		then = ticks();
		usleep(20000);
		assert_int_equal(ticks(), then);
		kill(family->supervisor, SIGCONT);
		eventually(ticks() > then + 2);
	}
	kill(family->supervisor, SIGTERM);
	assert_exited(family, 5);
}

static void both_stop_and_go_on(void **state)
{
	(void)state;
	for_families((struct family){.vm = tick}, check_stop);
}

static void check_end_while_stopped(struct family *family)
{
	stop(family, SIGTSTP);
	kill(vm_pid(family), SIGKILL);
	eventually(!vm_pid(family));
	kill(family->supervisor, SIGCONT);
	assert_exited(family, KILLED + SIGKILL);
}

static void an_end_while_the_parent_is_stopped(void **state)
{
	(void)state;
	for_families((struct family){.vm = tick}, check_end_while_stopped);
}

static void make_raw(void)
{
	struct termios raw;

	check(!tcgetattr(STDIN_FILENO, &raw));
	cfmakeraw(&raw);
	check(!tcsetattr(STDIN_FILENO, TCSANOW, &raw));
	tick();
}

/* The child's settings, then those that were before it. */
static void check_terminal(struct family *family)
{
	struct termios settings;

	eventually(ticks() > 0);
	assert_int_equal(tcgetattr(family->stdin_, &settings), 0);
	assert_false(settings.c_lflag & (ICANON | ECHO));
	kill(vm_pid(family), SIGKILL);
	assert_exited(family, KILLED + SIGKILL);
	assert_int_equal(tcgetattr(family->stdin_, &settings), 0);
	assert_int_equal(settings.c_lflag & (ICANON | ECHO | ISIG), ICANON | ECHO | ISIG);
}

static void the_terminal_is_put_back(void **state)
{
	struct family family = {.vm = make_raw};
	int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

	(void)state;
	if (master < 0 || grantpt(master) || unlockpt(master))
		skip();
	family.stdin_ = open(ptsname(master), O_RDWR | O_NOCTTY | O_CLOEXEC);
	assert_true(family.stdin_ >= 0);
	for_families(family, check_terminal);
	close(family.stdin_);
	close(master);
}

static void close_pipe(void)
{
	close_range(3, ~0u, 0);
	wait_forever();
}

/* Which the child alone had, that is, once its end is closed there. */
static void check_confined(struct family *family)
{
	struct pollfd hung_up = {.fd = family->pipe};
	char path[64];
	int status_fd;

	assert_int_equal(poll(&hung_up, 1, 5000), 1);
	snprintf(path, sizeof(path), "/proc/%d/status", family->supervisor);
	status_fd = open(path, O_RDONLY | O_CLOEXEC);
	assert_true(status_fd >= 0);
	/* The filter may come after the child is at work. */
	eventually(child_status_value(status_fd, "Seccomp:", 10) == 2);
	assert_int_equal(child_status_value(status_fd, "NoNewPrivs:", 10), 1);
	close(status_fd);
	kill(family->supervisor, SIGKILL);
	family_wait(family);
}

static void the_parent_holds_and_may_do_little(void **state)
{
	(void)state;
	for_families((struct family){.vm = close_pipe}, check_confined);
}

/* Not even a child: one line says so. */
static void fail_to_fork(void)
{
	const struct supervise_spec spec = {false, FILTER, FAILED, killed_status};
	struct supervised child;
	const struct rlimit none = {0, 0};
	struct capture capture;
	int err;

	check(geteuid() != 0 || !setresuid(1234, 1234, 1234));
	check(!setrlimit(RLIMIT_NPROC, &none));
	capture_begin(&capture, STDERR_FILENO);
	err = supervise(&spec, &child);
	capture_end(&capture);
	check(err == -EAGAIN && strstr(capture.text, "ulimit -u"));
}

static void without_a_child(void **state)
{
	(void)state;
	assert_child(fail_to_fork);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_childs_status),
		cmocka_unit_test(its_status_with_sigchld_ignored),
		cmocka_unit_test(a_child_that_was_killed),
		cmocka_unit_test(a_child_that_crashed),
		cmocka_unit_test(the_child_dies_with_its_parent),
		cmocka_unit_test(signals_are_passed_on),
		cmocka_unit_test(who_does_not_end_is_killed),
		cmocka_unit_test(a_signal_before_the_fork),
		cmocka_unit_test(what_is_ignored_stays_so),
		cmocka_unit_test(both_stop_and_go_on),
		cmocka_unit_test(an_end_while_the_parent_is_stopped),
		cmocka_unit_test(the_terminal_is_put_back),
		cmocka_unit_test(the_parent_holds_and_may_do_little),
		cmocka_unit_test(without_a_child),
	};

	/* Ignored from the start under nohup, or in the background of a script. */
	signal(SIGHUP, SIG_DFL);
	signal(SIGINT, SIG_DFL);
	signal(SIGQUIT, SIG_DFL);
	alarm(120); /* a hang is a failure */
	shared = mmap(NULL, sizeof(*shared), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1,
		      0);
	assert_true(shared != MAP_FAILED);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
