/* SPDX-License-Identifier: Apache-2.0 */
#include "init_proc.h"

#include <errno.h>
#include <signal.h>
#include <sys/reboot.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GRACE_MS 100 /* from SIGTERM to SIGKILL */
#define KILL_MS 1000 /* after SIGKILL: a process in an uninterruptible sleep may never end */

/*
 * busybox halt, poweroff, reboot; Ctrl-Alt-Del; and systemd's SIGRTMIN+3 to +5 in the numbers of
 * glibc (37 to 39) and of musl (38 to 40). All end the machine: a microVM has one way to stop.
 */
static const int end_signals[] = {SIGUSR1, SIGUSR2, SIGTERM, SIGINT, 37, 38, 39, 40};

static volatile sig_atomic_t child_event;
static volatile sig_atomic_t end_asked;

static void on_child(int sig)
{
	(void)sig;
	child_event = 1;
}

static void on_end(int sig)
{
	(void)sig;
	end_asked = 1;
}

void proc_init(void)
{
	struct sigaction child = {.sa_handler = on_child, .sa_flags = SA_NOCLDSTOP};
	struct sigaction end = {.sa_handler = on_end};
	sigset_t blocked;

	sigemptyset(&blocked);
	sigaddset(&blocked, SIGCHLD);
	for (size_t i = 0; i < sizeof(end_signals) / sizeof(*end_signals); i++)
		sigaddset(&blocked, end_signals[i]);
	sigprocmask(SIG_BLOCK, &blocked, NULL);

	sigaction(SIGCHLD, &child, NULL);
	for (size_t i = 0; i < sizeof(end_signals) / sizeof(*end_signals); i++)
		sigaction(end_signals[i], &end, NULL);
	signal(SIGPIPE, SIG_IGN);
	reboot(RB_DISABLE_CAD); /* Ctrl-Alt-Del is a SIGINT to init, not a reset */
}

void proc_reset_signals(void)
{
	sigset_t none;

	/* The handlers go by themselves at exec, but not before it, and ignored ones stay. */
	signal(SIGCHLD, SIG_DFL);
	signal(SIGPIPE, SIG_DFL);
	for (size_t i = 0; i < sizeof(end_signals) / sizeof(*end_signals); i++)
		signal(end_signals[i], SIG_DFL);
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
}

int proc_poll(struct pollfd *fds, nfds_t count)
{
	sigset_t none;

	sigemptyset(&none);
	return ppoll(fds, count, NULL, &none);
}

bool proc_child_event(void)
{
	bool event = child_event;

	child_event = 0;
	return event;
}

bool proc_end_asked(void)
{
	return end_asked;
}

int proc_run(char *const argv[])
{
	int status;
	pid_t pid = fork();

	if (pid < 0)
		return -errno;
	if (pid == 0) {
		proc_reset_signals();
		execv(argv[0], argv);
		_exit(127);
	}
	while (waitpid(pid, &status, 0) < 0)
		if (errno != EINTR)
			return -errno;
	return status;
}

long long proc_now_ms(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return t.tv_sec * 1000LL + t.tv_nsec / 1000000;
}

/*
 * Reap until no child is left (true) or the time is over (false). Every process descends from
 * PID 1 and orphans become its children, so no child means no process.
 */
static bool reap_all(long long timeout_ms)
{
	long long end = proc_now_ms() + timeout_ms;
	sigset_t child;

	sigemptyset(&child);
	sigaddset(&child, SIGCHLD);
	for (;;) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		long long left = end - proc_now_ms();

		if (pid > 0)
			continue;
		if (pid < 0 && errno == ECHILD)
			return true;
		if (left <= 0)
			return false;
		sigtimedwait(&child, NULL,
			     &(struct timespec){.tv_sec = left / 1000,
						.tv_nsec = left % 1000 * 1000000});
	}
}

void proc_end_all(void)
{
	if (reap_all(0))
		return;
	kill(-1, SIGTERM);
	kill(-1, SIGCONT); /* a stopped process ends only when it runs */
	if (reap_all(GRACE_MS))
		return;
	kill(-1, SIGKILL);
	reap_all(KILL_MS);
}
