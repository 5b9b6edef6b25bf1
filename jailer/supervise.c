/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory. The child is init (PID 1) of its PID namespace, and init is spared any signal that it
 * neither handles nor blocks, unless it is SIGKILL or SIGSTOP from outside. So whoever can be
 * stopped, by a shell or by reading a terminal in the background, is the parent, which then stops
 * the child by SIGSTOP.
 *
 * What a terminal sends goes to both. The parent passes it on all the same, as the child was not
 * there yet when a signal arrived just before the fork; to be told twice to end does no harm.
 *
 * The child is to die with the parent. The kernel sees to that (PR_SET_PDEATHSIG), if the parent
 * was alive when it was asked to: it closes a dying process's descriptors before it looks for
 * children to kill. So the parent holds the end of a pipe, and a child that finds it open after
 * it asked was in time. (A pidfd of the parent would tell too late.)
 */
#include "supervise.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "util.h"

/*
 * How long a VM may take that was told to end. Its main thread may stand in a call that the host
 * does not let it out of, such as a write to a terminal nobody reads and that could not be opened
 * anew.
 */
#define END_MS 5000
#define ALIVE_FD 3 /* of the parent: the pipe's end, behind the standard streams */

struct supervisor {
	const struct supervise_spec *spec;
	bool has_terminal;
	struct termios terminal;
	sigset_t watched, inherited;
	pid_t self, child;
	int child_fd, signal_fd;
	int told;    /* the signal by which the VM was told to end; 0: none yet */
	bool killed; /* as it did not end */
};

static sigset_t watched_signals(void)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT, SIGTSTP, SIGTTIN, SIGTTOU};
	sigset_t set = signals_not_ignored(signals, ARRAY_SIZE(signals));

	sigaddset(&set, SIGCONT);
	sigaddset(&set, SIGCHLD);
	return set;
}

static void signal_child(const struct supervisor *supervisor, int nr)
{
	syscall(SYS_pidfd_send_signal, supervisor->child_fd, nr, NULL, 0);
}

static void pass_on(struct supervisor *supervisor, int nr)
{
	switch (nr) {
	case SIGCHLD:
		return;
	case SIGTSTP:
	case SIGTTIN:
	case SIGTTOU:
		signal_child(supervisor, SIGSTOP);
		kill(supervisor->self, SIGSTOP);
		/* Here once there was a SIGCONT, which is the next to be read. */
		return;
	case SIGCONT:
		signal_child(supervisor, nr);
		return;
	default:
		supervisor->told = nr;
		signal_child(supervisor, nr);
	}
}

/* Exits as the child did. */
static void __attribute__((noreturn)) follow(const struct supervisor *supervisor, int status)
{
	int nr;

	if (WIFEXITED(status))
		_exit(WEXITSTATUS(status));
	nr = WTERMSIG(status);
	/* Not tcsetattr: it looks at the result, by a call that the filter forbids. */
	if (supervisor->has_terminal)
		ioctl(STDIN_FILENO, TCSETS, &supervisor->terminal);
	if (supervisor->killed) {
		log_error("the VM did not end within %d seconds of signal %d (%s) and was killed",
			  END_MS / 1000, supervisor->told, strsignal(supervisor->told));
		_exit(128 + supervisor->told);
	}
	if (nr != SIGSYS) /* the filter has said more about it */
		log_error("the VM's process was killed by signal %d (%s)%s", nr, strsignal(nr),
			  nr == SIGKILL ? "; if nobody did that, the host ran out of memory: see "
					  "its kernel's log (dmesg)"
					: "");
	_exit(supervisor->spec->killed_status(nr));
}

static void __attribute__((noreturn)) watch(struct supervisor *supervisor)
{
	struct pollfd signals = {.fd = supervisor->signal_fd, .events = POLLIN};
	struct signalfd_siginfo info;
	int status;

	for (;;) {
		if (!poll(&signals, 1, supervisor->told ? END_MS : -1)) {
			supervisor->killed = true;
			signal_child(supervisor, SIGKILL);
		}
		bool got = read(supervisor->signal_fd, &info, sizeof(info)) == sizeof(info);

		/* Without signals (never seen) there is only waiting. */
		if (waitpid(supervisor->child, &status, got ? WNOHANG : 0) == supervisor->child)
			follow(supervisor, status);
		if (got)
			pass_on(supervisor, (int)info.ssi_signo);
	}
}

static int confine(const struct supervisor *supervisor)
{
	enum seccomp_mode mode = supervisor->spec->seccomp;
	struct seccomp_fds fds = {.nr = 0};
	struct seccomp_filter filter = {0};
	int err;

	seccomp_fds_add(&fds, SECCOMP_FD_LOG, STDERR_FILENO, 0, "stderr");
	seccomp_fds_add(&fds, SECCOMP_FD_SIGNALS, supervisor->signal_fd, 0, "signals");
	seccomp_fds_add(&fds, SECCOMP_FD_PROCESS, supervisor->child_fd, 0, "VM's process");
	if (supervisor->has_terminal)
		seccomp_fds_add(&fds, SECCOMP_FD_TERMINAL, STDIN_FILENO, 0, "stdin");
	err = seccomp_prepare(mode);
	if (!err)
		err = seccomp_compile(SECCOMP_SUPERVISOR, mode, &fds, &filter);
	if (!err)
		err = confine_limits(); /* the filter was made by way of a file */
	/* The filter's memory stays: to free it takes calls that it forbids. */
	return err ? err : seccomp_apply(&filter, -1, "supervisor");
}

static int failed(const char *what, const char *advice)
{
	int err = -errno;

	log_error("cannot %s: %s%s", what, strerror(-err), advice);
	return err;
}

static void __attribute__((noreturn)) parent(struct supervisor *supervisor, int alive_fd)
{
	int err = 0;

	/* A file that the parent holds would stay open when the VM has closed it. */
	if (dup2(alive_fd, ALIVE_FD) < 0 || close_range(ALIVE_FD + 1, ~0u, 0))
		err = failed("close the supervisor's files", "");
	supervisor->child_fd = (int)syscall(SYS_pidfd_open, supervisor->child, 0);
	supervisor->signal_fd = signalfd(-1, &supervisor->watched, SFD_CLOEXEC);
	if (!err && (supervisor->child_fd < 0 || supervisor->signal_fd < 0))
		err = failed("watch the VM's process", "; husk needs Linux 5.12 or later");
	if (!err)
		err = confine(supervisor);
	if (!err)
		watch(supervisor);
	kill(supervisor->child, SIGKILL);
	waitpid(supervisor->child, NULL, 0);
	_exit(supervisor->spec->failed_status);
}

static int child(const struct supervisor *supervisor, const int alive[2])
{
	struct pollfd parent_gone = {.fd = alive[0]};

	close(alive[1]);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return failed("tie the VM's process to its parent", "");
	if (poll(&parent_gone, 1, 0) != 0)
		_exit(0); /* nobody is there to see it */
	close(alive[0]);
	sigprocmask(SIG_SETMASK, &supervisor->inherited, NULL);
	return 0;
}

int supervise(const struct supervise_spec *spec)
{
	struct supervisor supervisor = {
		.spec = spec, .watched = watched_signals(), .self = getpid()};
	int alive[2];

	supervisor.has_terminal = !ioctl(STDIN_FILENO, TCGETS, &supervisor.terminal);
	if (pipe2(alive, O_CLOEXEC))
		return failed("make a pipe", "; raise the limit on open files (ulimit -n)");
	signal(SIGCHLD, SIG_DFL); /* ignored, it would leave no status */
	sigprocmask(SIG_BLOCK, &supervisor.watched, &supervisor.inherited);
	supervisor.child = fork();
	if (supervisor.child < 0)
		return failed("make a process for the VM",
			      "; raise the limit on processes (ulimit -u; in a cgroup, pids.max)");
	if (supervisor.child)
		parent(&supervisor, alive[1]);
	return child(&supervisor, alive);
}
