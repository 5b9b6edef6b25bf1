/* SPDX-License-Identifier: Apache-2.0 */
#include "init_exec.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "init_end.h"
#include "init_proc.h"

#define STATUS_CANNOT_RUN 126
#define STATUS_NOT_FOUND 127

/* What the child tells of its failure, in one write: it fits PIPE_BUF. */
struct failure {
	int error;
	enum failure_step { STEP_CWD, STEP_STDIO, STEP_INTERPRETER, STEP_EXEC } step;
	char path[1024];
};

/* The child's ends of its stdio. */
struct child_stdio {
	int fds[3];
	bool tty;
};

static bool file_is_script(const char *path)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char start[256];
	ssize_t n = fd < 0 ? -1 : read(fd, start, sizeof(start));

	if (fd >= 0)
		close(fd);
	return n >= 0 && is_script(start, (size_t)n);
}

/* A script without "#!" is run by sh, as the shell and execvp do. */
static void exec_script(const char *path, char *const argv[], char *const envp[])
{
	static char sh[] = "/bin/sh";
	size_t argc = 0;
	char **args;

	while (argv[argc])
		argc++;
	args = calloc(argc + 2, sizeof(*args));
	if (!args)
		return;
	args[0] = sh;
	args[1] = strdup(path);
	memcpy(args + 2, argv + 1, argc * sizeof(*args)); /* with the NULL */
	execve(sh, args, envp);
	free(args);
}

/* Returns, with failure filled in, only if path could not be executed. */
static void exec_path(const char *path, const struct run_spec *run, struct failure *failure)
{
	execve(path, run->argv, run->envp);
	failure->error = errno;
	failure->step = STEP_EXEC;
	if (failure->error == ENOEXEC && file_is_script(path)) {
		exec_script(path, run->argv, run->envp);
		failure->error = errno;
	}
	if (failure->error == ENOENT && access(path, F_OK) == 0)
		failure->step = STEP_INTERPRETER;
	snprintf(failure->path, sizeof(failure->path), "%s", path);
}

/*
 * Look the command up in the PATH of its own environment. One without permission does not end
 * the search, as there may be a better one further on.
 */
static void exec_search(const struct run_spec *run, struct failure *failure)
{
	const char *name = run->argv[0], *cursor = env_get(run->envp, "PATH");
	char path[PATH_MAX];

	failure->error = ENOENT;
	failure->step = STEP_EXEC;
	snprintf(failure->path, sizeof(failure->path), "%s", name);
	if (strchr(name, '/')) {
		exec_path(name, run, failure);
		return;
	}
	while (*name && path_next(&cursor, name, path, sizeof(path))) {
		if (access(path, F_OK) < 0)
			continue;
		exec_path(path, run, failure);
		if (failure->error != EACCES)
			return;
	}
}

static _Noreturn void child_run(const struct run_spec *run, const struct child_stdio *stdio,
				int report)
{
	struct failure failure = {.step = STEP_STDIO};

	proc_reset_signals();
	setsid();
	if (stdio->tty && ioctl(stdio->fds[0], TIOCSCTTY, 0) < 0)
		goto failed;
	for (int i = 0; i < 3; i++)
		if (dup2(stdio->fds[i], i) < 0)
			goto failed;
	failure.step = STEP_CWD;
	if (chdir(run->cwd) < 0) {
		snprintf(failure.path, sizeof(failure.path), "%s", run->cwd);
		goto failed;
	}
	exec_search(run, &failure);
	errno = failure.error;
failed:
	failure.error = errno;
	(void)!write(report, &failure, sizeof(failure));
	_exit(STATUS_CANNOT_RUN);
}

static _Noreturn void command_failed(const struct failure *failure)
{
	const char *reason = strerror(failure->error);
	uint8_t status = STATUS_CANNOT_RUN;
	char text[LINK_PAYLOAD_MAX];

	switch (failure->step) {
	case STEP_CWD:
		snprintf(text, sizeof(text), "cannot enter the working folder %.900s: %s",
			 failure->path, reason);
		break;
	case STEP_STDIO:
		snprintf(text, sizeof(text), "cannot set up the command's terminal: %s", reason);
		break;
	case STEP_INTERPRETER:
		snprintf(text, sizeof(text),
			 "cannot run %.900s: the program it needs to run (on its #! line, or its "
			 "dynamic loader) is not in the image",
			 failure->path);
		break;
	case STEP_EXEC:
		if (failure->error == ENOENT || failure->error == ENOTDIR) {
			status = STATUS_NOT_FOUND;
			reason = "not found in the guest";
		}
		snprintf(text, sizeof(text), "cannot run %.900s: %s", failure->path, reason);
		break;
	}
	machine_end(status, text);
}

static void stdio_pipes(struct child_stdio *stdio, struct command *command)
{
	int in[2], out[2], err[2];

	if (pipe2(in, O_CLOEXEC) < 0 || pipe2(out, O_CLOEXEC) < 0 || pipe2(err, O_CLOEXEC) < 0)
		give_up("cannot make a pipe: %s", strerror(errno));
	*stdio = (struct child_stdio){.fds = {in[0], out[1], err[1]}};
	command->in = in[1];
	command->out = out[0];
	command->err = err[0];
	fcntl(command->in, F_SETFL, O_NONBLOCK);
	fcntl(command->out, F_SETFL, O_NONBLOCK);
	fcntl(command->err, F_SETFL, O_NONBLOCK);
}

/*
 * The terminal's slave stays open in init as well: so the master never reports that the last user
 * hung up, which is no news here, and what was written can be read to the end.
 */
static void stdio_tty(struct child_stdio *stdio, struct command *command)
{
	int master = open("/dev/ptmx", O_RDWR | O_NOCTTY | O_NONBLOCK | O_CLOEXEC), slave;

	if (master < 0 || unlockpt(master) < 0)
		give_up("cannot make a terminal: %s", strerror(errno));
	slave = ioctl(master, TIOCGPTPEER, O_RDWR | O_NOCTTY | O_CLOEXEC);
	if (slave < 0)
		give_up("cannot open the terminal: %s", strerror(errno));
	*stdio = (struct child_stdio){.fds = {slave, slave, slave}, .tty = true};
	command->in = command->out = master;
	command->err = -1;
}

void command_resize(const struct command *command, uint16_t rows, uint16_t cols)
{
	struct winsize size = {.ws_row = rows, .ws_col = cols};

	if (command->tty)
		ioctl(command->in, TIOCSWINSZ, &size);
}

void command_start(const struct run_spec *run, struct command *ret_command)
{
	struct command command = {.tty = run->tty};
	struct failure failure;
	struct child_stdio stdio;
	int report[2];

	if (run->tty)
		stdio_tty(&stdio, &command);
	else
		stdio_pipes(&stdio, &command);
	command_resize(&command, run->rows, run->cols);

	/* Closed by a successful exec; a failure is written to it. */
	if (pipe2(report, O_CLOEXEC) < 0)
		give_up("cannot make a pipe: %s", strerror(errno));
	command.pid = fork();
	if (command.pid < 0)
		give_up("cannot start a process: %s", strerror(errno));
	if (command.pid == 0)
		child_run(run, &stdio, report[1]);

	for (int i = 0; !run->tty && i < 3; i++)
		close(stdio.fds[i]);
	close(report[1]);
	if (read(report[0], &failure, sizeof(failure)) == sizeof(failure))
		command_failed(&failure);
	close(report[0]);
	*ret_command = command;
}
