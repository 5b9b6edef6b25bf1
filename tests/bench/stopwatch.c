/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How long VMs take, seen from outside, with as little in between as possible:
 *
 *	stopwatch RUNS AT_ONCE COMMAND [ARG...]
 *
 * starts COMMAND RUNS times, AT_ONCE of them at a time, each with nothing to read. One line each,
 *in the order of their ends: microseconds from just before the fork until the guest's mark was read
 *from its standard output (-1: it never came), the same until the exit status was here, that status
 * (128 + N: died of signal N), and when it was started, from the start of the first one.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define MARK 6 /* tests/bench/guest */
#define AT_ONCE_MAX 4096
#define SILENCE_MS 120000 /* a VM that takes longer hangs */

struct run {
	pid_t pid; /* 0: a free place */
	int64_t started_ns, marked_ns;
};

/* Two for each run. */
enum { OUTPUT, PROCESS, WATCHES };

static struct run runs[AT_ONCE_MAX];
static struct pollfd watches[WATCHES * AT_ONCE_MAX];
static int64_t first_ns;

static void die(const char *what)
{
	int i;

	fprintf(stderr, "stopwatch: %s: %s\n", what, strerror(errno));
	for (i = 0; i < AT_ONCE_MAX; i++)
		if (runs[i].pid > 0)
			kill(runs[i].pid, SIGTERM);
	exit(1);
}

static int64_t now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return now.tv_sec * 1000000000ll + now.tv_nsec;
}

static void start(struct run *run, struct pollfd *watch, char **command)
{
	extern char **environ;
	posix_spawn_file_actions_t actions;
	int ends[2];

	if (pipe2(ends, O_CLOEXEC))
		die("pipe");
	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_addopen(&actions, STDIN_FILENO, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_adddup2(&actions, ends[1], STDOUT_FILENO);
	*run = (struct run){.started_ns = now_ns()};
	errno = posix_spawnp(&run->pid, command[0], &actions, NULL, command, environ);
	if (errno)
		die(command[0]);
	posix_spawn_file_actions_destroy(&actions);
	close(ends[1]);
	watch[OUTPUT] = (struct pollfd){.fd = ends[0], .events = POLLIN};
	watch[PROCESS] = (struct pollfd){.fd = pidfd_open(run->pid, 0), .events = POLLIN};
	if (watch[PROCESS].fd < 0)
		die("pidfd_open");
	if (!first_ns)
		first_ns = run->started_ns;
}

static double us(int64_t from, int64_t to)
{
	return (double)(to - from) / 1000;
}

/* At its end the output is no longer watched. */
static void read_output(struct run *run, struct pollfd *output)
{
	char bytes[4096];
	ssize_t len = read(output->fd, bytes, sizeof(bytes));

	if (len < 0)
		die("read");
	if (!run->marked_ns && memchr(bytes, MARK, (size_t)len))
		run->marked_ns = now_ns();
	if (len)
		return;
	close(output->fd);
	output->fd = -1;
}

static void finish(struct run *run, struct pollfd *watch)
{
	int64_t ended;
	int status;

	if (waitpid(run->pid, &status, 0) < 0)
		die("waitpid");
	ended = now_ns();
	while (watch[OUTPUT].fd >= 0)
		read_output(run, &watch[OUTPUT]);
	printf("%.1f %.1f %d %.1f\n", run->marked_ns ? us(run->started_ns, run->marked_ns) : -1.0,
	       us(run->started_ns, ended),
	       WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status),
	       us(first_ns, run->started_ns));
	close(watch[PROCESS].fd);
	watch[PROCESS].fd = -1;
	run->pid = 0;
}

int main(int argc, char **argv)
{
	int left = argc > 3 ? atoi(argv[1]) : 0, places = argc > 3 ? atoi(argv[2]) : 0, busy = 0, i;

	if (left < 1 || places < 1 || places > AT_ONCE_MAX) {
		fprintf(stderr, "usage: stopwatch RUNS AT_ONCE COMMAND [ARG...]\n");
		return 1;
	}
	for (i = 0; i < WATCHES * places; i++)
		watches[i].fd = -1;
	while (left || busy) {
		for (i = 0; i < places && left; i++) {
			if (runs[i].pid)
				continue;
			start(&runs[i], &watches[WATCHES * i], argv + 3);
			left--;
			busy++;
		}
		errno = ETIMEDOUT;
		if (poll(watches, (nfds_t)(WATCHES * places), SILENCE_MS) <= 0)
			die("poll");
		for (i = 0; i < places; i++) {
			struct pollfd *watch = &watches[WATCHES * i];

			if (watch[OUTPUT].revents)
				read_output(&runs[i], &watch[OUTPUT]);
			if (watch[PROCESS].revents) {
				finish(&runs[i], watch);
				busy--;
			}
		}
	}
	return 0;
}
