/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For tests of what a process cannot take back: they run in a child, which ends with its first
 * check that fails.
 */
#ifndef HUSK_TEST_CHILD_H
#define HUSK_TEST_CHILD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#define CHILD_SKIPPED 77
#define CHILD_FAILED 99

/* In a child. */
#define check(condition) \
	do { \
		if (!(condition)) { \
			dprintf(STDERR_FILENO, "%s:%d: not so: %s (errno: %s)\n", __FILE__, \
				__LINE__, #condition, strerror(errno)); \
			_exit(CHILD_FAILED); \
		} \
	} while (0)

static inline void child_skip(const char *why)
{
	dprintf(STDERR_FILENO, "skipped: %s: %s\n", why, strerror(errno));
	_exit(CHILD_SKIPPED);
}

/* Runs `fn` in a child; its wait status. */
static inline int child_run(void (*fn)(void))
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (!child) {
		alarm(30); /* a hang is a failure */
		fn();
		_exit(0);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return status;
}

/* In a test. */
#define assert_child(fn) \
	do { \
		int child_status = child_run(fn); \
\
		if (WIFEXITED(child_status) && WEXITSTATUS(child_status) == CHILD_SKIPPED) \
			skip(); \
		assert_int_equal(child_status, 0); \
	} while (0)

/* The number behind `name` in a status file of /proc, read from its start, by `base`. */
static inline uint64_t child_status_value(int status_fd, const char *name, int base)
{
	char text[8192], *line;
	ssize_t len = pread(status_fd, text, sizeof(text) - 1, 0);

	text[len > 0 ? len : 0] = '\0';
	line = strstr(text, name);
	return line ? strtoull(line + strlen(name), NULL, base) : UINT64_MAX;
}

#endif
