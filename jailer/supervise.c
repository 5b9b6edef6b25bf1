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
 * it asked was in time. (A pidfd of the parent would tell too late.) It can only ask when it is in
 * the jail, since a change of ids takes the wish back; until then it waits on that pipe.
 *
 * Two pipes, a byte at a time. To the child: the jail is ready. To the parent: the child is in it,
 * and "nobody" as the parent is, which may signal it from then on; later, the exit status.
 *
 * The parent is in nobody's way while it waits for that byte, but it is right after it: the vCPUs'
 * threads want a CPU then. So it confines itself before, if it can: as root. Otherwise the child's
 * setns takes a parent that is still who it was, and only what leaves it so can be done before.
 */
#include "supervise.h"

#include <asm/termbits.h>
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "isolate.h"
#include "util.h"

/*
 * How long a VM may take that was told to end. Its main thread may stand in a call that the host
 * does not let it out of, such as a write to a terminal nobody reads and that could not be opened
 * anew.
 */
#define END_MS 5000
#define HOSTS_PID_NAMESPACE 0xeffffffcu /* Linux, include/linux/proc_ns.h: PROC_PID_INIT_INO */
/* Of the parent: its ends of the pipes, behind the standard streams. */
enum { ALIVE_FD = STDERR_FILENO + 1, TOLD_FD };

struct supervisor {
	const struct supervise_spec *spec;
	bool has_terminal;
	struct termios terminal;
	sigset_t watched, inherited;
	pid_t self, child;
	int child_fd, signal_fd, epoll_fd;
	int told;    /* the signal by which the VM was told to end; 0: none yet */
	bool killed; /* as it did not end */
	bool must_reap;
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

static void __attribute__((noreturn)) say_killed(const struct supervisor *supervisor)
{
	log_error("the VM did not end within %d seconds of signal %d (%s) and was killed",
		  END_MS / 1000, supervisor->told, strsignal(supervisor->told));
	_exit(128 + supervisor->told);
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
	if (supervisor->killed)
		say_killed(supervisor);
	if (nr != SIGSYS) /* the filter has said more about it */
		log_error("the VM's process was killed by signal %d (%s)%s", nr, strsignal(nr),
			  nr == SIGKILL ? "; if nobody did that, the host ran out of memory: see "
					  "its kernel's log (dmesg)"
					: "");
	_exit(supervisor->spec->killed_status(nr));
}

/* The child has told its exit status: what is left of it is the kernel's business. */
static void follow_told(const struct supervisor *supervisor)
{
	unsigned char status;

	if (read(TOLD_FD, &status, 1) != 1)
		return;
	if (supervisor->must_reap)
		waitpid(supervisor->child, NULL, 0);
	_exit(status);
}

/* A signal is there. */
static void take_signal(struct supervisor *supervisor)
{
	struct signalfd_siginfo info;
	bool got = read(supervisor->signal_fd, &info, sizeof(info)) == sizeof(info);
	int status;

	/* Without signals (never seen) there is only waiting. */
	if (waitpid(supervisor->child, &status, got ? WNOHANG : 0) == supervisor->child)
		follow(supervisor, status);
	if (got)
		pass_on(supervisor, (int)info.ssi_signo);
}

static void __attribute__((noreturn)) watch(struct supervisor *supervisor)
{
	struct epoll_event event;

	for (;;) {
		switch (epoll_pwait(supervisor->epoll_fd, &event, 1, supervisor->told ? END_MS : -1,
				    NULL)) {
		case 0:
			if (supervisor->killed) /* and cannot even die: its end is the kernel's */
				say_killed(supervisor);
			supervisor->killed = true;
			signal_child(supervisor, SIGKILL);
			break;
		case 1:
			if (event.data.fd == TOLD_FD)
				follow_told(supervisor);
			else
				take_signal(supervisor);
			break;
		default:
			if (errno != EINTR) /* never seen */
				take_signal(supervisor);
		}
	}
}

/* By epoll, as poll takes no more descriptors than there may be open files (confine_limits). */
static int make_epoll(struct supervisor *supervisor)
{
	/* Edges: a child that ends without a word leaves the pipe at its end, and a signal comes.
	 */
	struct epoll_event told = {.events = EPOLLIN | EPOLLET, .data.fd = TOLD_FD};
	struct epoll_event signals = {.events = EPOLLIN, .data.fd = supervisor->signal_fd};

	supervisor->epoll_fd = epoll_create1(EPOLL_CLOEXEC);
	if (supervisor->epoll_fd < 0 ||
	    epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_ADD, TOLD_FD, &told) ||
	    epoll_ctl(supervisor->epoll_fd, EPOLL_CTL_ADD, supervisor->signal_fd, &signals))
		return -errno;
	return 0;
}

/* What it takes to be confined, and confines nothing yet. */
static int prepare(const struct supervisor *supervisor, struct seccomp_filter *ret_filter)
{
	enum seccomp_mode mode = supervisor->spec->seccomp;
	struct seccomp_fds fds = {.nr = 0};
	int err;

	seccomp_fds_add(&fds, SECCOMP_FD_LOG, STDERR_FILENO, 0, "stderr");
	seccomp_fds_add(&fds, SECCOMP_FD_EPOLL, supervisor->epoll_fd, 0, "events");
	seccomp_fds_add(&fds, SECCOMP_FD_SIGNALS, supervisor->signal_fd, 0, "signals");
	seccomp_fds_add(&fds, SECCOMP_FD_SIGNALS, TOLD_FD, 0, "exit status");
	seccomp_fds_add(&fds, SECCOMP_FD_PROCESS, supervisor->child_fd, 0, "VM's process");
	if (supervisor->has_terminal)
		seccomp_fds_add(&fds, SECCOMP_FD_TERMINAL, STDIN_FILENO, 0, "stdin");
	err = seccomp_prepare(mode);
	if (!err)
		err = seccomp_compile(SECCOMP_SUPERVISOR, mode, &fds, ret_filter);
	return err;
}

static int confine(const struct seccomp_filter *filter)
{
	int err = confine_limits();

	program_trim();
	/* The filter's memory stays: to free it takes calls that it forbids. */
	return err ? err : seccomp_apply(filter, -1, "supervisor");
}

static int failed(const char *what, const char *advice)
{
	int err = -errno;

	log_error("cannot %s: %s%s", what, strerror(-err), advice);
	return err;
}

/* The ends of the pipes go to their places, past each other. */
static int keep_pipes(int alive_fd, int told_fd)
{
	cleanup_fd int alive = fcntl(alive_fd, F_DUPFD_CLOEXEC, TOLD_FD + 1);
	cleanup_fd int told = fcntl(told_fd, F_DUPFD_CLOEXEC, TOLD_FD + 1);

	/* A file that the parent holds would stay open when the VM has closed it. */
	if (alive < 0 || told < 0 || dup2(alive, ALIVE_FD) < 0 || dup2(told, TOLD_FD) < 0 ||
	    close_fds(TOLD_FD + 1, ~0u, 0))
		return failed("close the supervisor's files", "");
	steal_fd(&alive);
	steal_fd(&told);
	return 0;
}

/*
 * Whether a child that outlives its parent may stay a zombie. The host's first process reaps all
 * that come to it; that of a container may be any program.
 */
static bool is_in_container(int proc_fd)
{
	struct stat st;

	return fstatat(proc_fd, "self/ns/pid", &st, 0) || st.st_ino != HOSTS_PID_NAMESPACE;
}

/* The jail, in which both end up. First of all, as the child will soon wait for it. */
static int make_jail(int alive_fd)
{
	char word = 0;
	int err = isolate_make();

	if (err)
		return err;
	if (write(alive_fd, &word, 1) != 1 && errno != EPIPE)
		return failed("tell the VM's process of its jail", "");
	return isolate_each();
}

/* Keeps nothing but what it watches the child by. */
static int begin_watch(struct supervisor *supervisor, int alive_fd, int told_fd)
{
	int err = keep_pipes(alive_fd, told_fd);

	if (err)
		return err;
	supervisor->child_fd = (int)syscall(SYS_pidfd_open, supervisor->child, 0);
	supervisor->signal_fd = signalfd(-1, &supervisor->watched, SFD_CLOEXEC);
	if (supervisor->child_fd < 0 || supervisor->signal_fd < 0 || make_epoll(supervisor))
		return failed("watch the VM's process", "; husk needs Linux 5.12 or later");
	return 0;
}

/* Until the child is in the jail, or has ended, which is seen later on. */
static void wait_for_child(void)
{
	char word;

	while (read(TOLD_FD, &word, 1) < 0 && errno == EINTR)
		;
}

static void __attribute__((noreturn))
parent(struct supervisor *supervisor, int alive_fd, int told_fd)
{
	const bool has_jail = supervisor->spec->jail;
	int proc_fd = open("/proc", O_PATH | O_CLOEXEC); /* the jail hides it */
	int err = has_jail ? make_jail(alive_fd) : 0;
	struct seccomp_filter filter = {0};
	bool ends_first;

	supervisor->must_reap = is_in_container(proc_fd);
	if (!err)
		err = begin_watch(supervisor, alive_fd, told_fd);
	if (!err)
		err = prepare(supervisor, &filter);
	ends_first = has_jail && isolate_may_end_first();
	if (!err && has_jail && !ends_first)
		wait_for_child();
	if (!err && has_jail)
		err = isolate_end();
	if (!err)
		err = confine(&filter);
	if (!err && ends_first)
		wait_for_child();
	if (!err)
		watch(supervisor);
	/* The end of the pipe tells a child that may not be signalled yet. */
	close_fds(STDERR_FILENO + 1, ~0u, 0);
	kill(supervisor->child, SIGKILL);
	waitpid(supervisor->child, NULL, 0);
	_exit(supervisor->spec->failed_status);
}

static void close_pipe(const int ends[2])
{
	close(ends[0]);
	close(ends[1]);
}

static int make_pipes(int alive[2], int told[2])
{
	static const char advice[] = "; raise the limit on open files (ulimit -n)";

	if (pipe2(alive, O_CLOEXEC))
		return failed("make a pipe", advice);
	if (!pipe2(told, O_CLOEXEC))
		return 0;
	close_pipe(alive);
	return failed("make a pipe", advice);
}

int supervise(const struct supervise_spec *spec, struct supervised *ret_child)
{
	struct supervisor supervisor = {
		.spec = spec, .watched = watched_signals(), .self = getpid()};
	struct supervised *child = ret_child;
	int alive[2] = {-1, -1}, told[2] = {-1, -1}, err;

	err = spec->jail ? isolate_begin() : 0;
	if (!err)
		err = make_pipes(alive, told);
	if (err)
		return err;
	supervisor.has_terminal = !ioctl(STDIN_FILENO, TCGETS, &supervisor.terminal);
	child->jail = spec->jail;
	child->parent_fd = (int)syscall(SYS_pidfd_open, supervisor.self, 0);
	child->alive_fd = alive[0];
	child->tell_fd = told[1];
	signal(SIGCHLD, SIG_DFL); /* ignored, it would leave no status */
	sigprocmask(SIG_BLOCK, &supervisor.watched, &supervisor.inherited);
	supervisor.child = fork();
	if (supervisor.child < 0) {
		err = failed("make a process for the VM",
			     "; raise the limit on processes (ulimit -u; in a cgroup, pids.max)");
		close_pipe(alive);
		close_pipe(told);
		close_fd_ptr(&child->parent_fd);
		return err;
	}
	if (supervisor.child)
		parent(&supervisor, alive[1], told[0]);
	close(alive[1]);
	close(told[0]);
	sigprocmask(SIG_SETMASK, &supervisor.inherited, NULL);
	return spec->jail ? isolate_each() : 0;
}

static int enter_jail(struct supervised *child)
{
	char word;
	ssize_t got;
	int err;

	do
		got = read(child->alive_fd, &word, 1);
	while (got < 0 && errno == EINTR);
	if (got != 1)
		_exit(0); /* nobody is there to see it */
	err = isolate_enter(child->parent_fd);
	if (err == -ESRCH)
		_exit(0);
	if (err)
		return err;
	/* It would let the child signal its parent. */
	close_fd_ptr(&child->parent_fd);
	err = isolate_end();
	/* Not before: a parent that is "nobody" could not signal a child that is still root. */
	if (!err && write(child->tell_fd, &word, 1) != 1)
		_exit(0);
	return err;
}

int supervise_enter(struct supervised *child)
{
	struct pollfd parent_gone = {.fd = child->alive_fd};
	int err = child->jail ? enter_jail(child) : 0;

	close_fd_ptr(&child->parent_fd);
	if (err)
		return err;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0))
		return failed("tie the VM's process to its parent", "");
	if (poll(&parent_gone, 1, 0) != 0)
		_exit(0);
	close_fd_ptr(&child->alive_fd);
	return 0;
}

void supervise_tell(const struct supervised *child, int status)
{
	unsigned char byte = (unsigned char)status;

	if (child->tell_fd >= 0 && write(child->tell_fd, &byte, 1) != 1)
		return; /* then the exit status says it */
}
