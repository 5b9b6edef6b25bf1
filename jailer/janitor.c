/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Three processes:
 *
 *   launcher   what the user started: waits, passes signals on, ends with the VM's status; or ends
 *              at once, when the VM runs (--daemonize, --new-pid-ns)
 *     janitor  waits for the VM and cleans up, in a session of its own, deaf to all but SIGKILL
 *       VM     PID 1 of its PID namespace, so that whatever it starts dies with it; it stays in the
 *              launcher's session, for its terminal
 *
 * Whichever is killed, the rest follows: the VM dies with the janitor (PR_SET_PDEATHSIG; jail.c).
 * The janitor kills the VM when the launcher dies, unless that was to end first. If the janitor is
 * killed itself, its child falls to the launcher, which waits for it and cleans up instead: it
 * prepares the jail once more, which finds and takes over all that is left. If both are killed at
 * once, the folder stays with its marker, unlocked, and the next jail of that id uses it up.
 *
 * Nothing is made before the janitor is there, so that the launcher may be killed at any moment.
 */
#include "janitor.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define STATUS_FAILED 1
#define PARENT_DIED SIGUSR1

static bool stays(const struct jail *jail)
{
	return !jail->spec->daemonize && !jail->spec->new_pid_ns;
}

/* What is passed on to the VM. */
static sigset_t passed_signals(void)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGQUIT};
	sigset_t set = signals_not_ignored(signals, ARRAY_SIZE(signals));

	sigaddset(&set, SIGCHLD);
	return set;
}

void janitor_block_signals(struct jail *jail)
{
	sigset_t set;

	/* Ignored, it would have children vanish before they are waited for. */
	signal(SIGCHLD, SIG_DFL);
	set = passed_signals();
	sigprocmask(SIG_BLOCK, &set, &jail->signals);
}

static uint64_t cpu_now_us(void)
{
	struct timespec now;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
	return (uint64_t)now.tv_sec * 1000000 + (uint64_t)now.tv_nsec / 1000;
}

static int exit_status(int status)
{
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

/*
 * Waits for `child`, passing on signals; those of a terminal came to the VM as well as to us. Kills
 * it if the parent dies, where that sends us a signal. A wait status.
 */
static int wait_for(pid_t child, bool has_parent)
{
	sigset_t set = passed_signals();
	siginfo_t info;
	int status, nr;

	if (has_parent)
		sigaddset(&set, PARENT_DIED);
	while (waitpid(child, &status, WNOHANG) != child) {
		nr = sigwaitinfo(&set, &info);
		if (nr == PARENT_DIED)
			kill(child, SIGKILL);
		else if (nr > 0 && nr != SIGCHLD && info.si_code <= 0)
			kill(child, nr);
	}
	return status;
}

/* The VM's process, up to its program. `go` hangs up when the janitor dies. */
static int vm_main(struct jail *jail, int go)
{
	char byte;

	if (read(go, &byte, 1) == 1)
		jail_enter(jail, go);
	return STATUS_FAILED;
}

/* Starts the VM; its PID, or -errno. */
static pid_t start_vm(struct jail *jail)
{
	int go[2], err;
	pid_t vm = -1;

	jail->cpu_us += cpu_now_us();
	if (!pipe2(go, O_CLOEXEC) && !unshare(CLONE_NEWPID))
		vm = fork();
	if (vm < 0) {
		err = -errno;
		log_error("cannot make a process for the VM: %s", strerror(-err));
		return err;
	}
	if (!vm) {
		close(go[1]);
		_exit(vm_main(jail, go[0]));
	}
	close(go[0]);
	/* Without a PID file it is not let go, and ends. Our end stays open for as long as we live.
	 */
	if (rootdir_put_pid(&jail->dir, vm)) {
		close(go[1]);
	} else if (write(go[1], "", 1) != 1) {
		log_error("cannot start the VM: %s", strerror(errno));
		close(go[1]);
	}
	return vm;
}

static int janitor_main(struct jail *jail, pid_t launcher, int report)
{
	int status = STATUS_FAILED, fd;
	sigset_t all;
	pid_t vm;

	sigfillset(&all);
	sigprocmask(SIG_BLOCK, &all, NULL);
	/* A launcher that dies before that is no longer the parent. */
	prctl(PR_SET_PDEATHSIG, PARENT_DIED);
	if (getppid() != launcher)
		return STATUS_FAILED;
	vm = jail_prepare(jail);
	if (!vm)
		vm = start_vm(jail);
	/* The VM has it until its program runs, or it failed. */
	close(report);
	/* The VM has what it needs of them; a reader must see their end when the VM ends. */
	setsid();
	for (fd = STDIN_FILENO; fd <= (stays(jail) ? STDOUT_FILENO : STDERR_FILENO); fd++)
		dup2(jail->null, fd);
	if (vm > 0)
		status = exit_status(wait_for(vm, stays(jail)));
	jail_clean(jail);
	return status;
}

int janitor_run(struct jail *jail, const struct jail_spec *spec)
{
	pid_t launcher = getpid(), janitor = -1;
	int report[2], status;
	char byte;

	if (jail_init(jail, spec))
		return STATUS_FAILED;
	jail->cpu_us = cpu_now_us();
	/* The VM becomes our child if the janitor dies. */
	if (!prctl(PR_SET_CHILD_SUBREAPER, 1) && !pipe2(report, O_CLOEXEC))
		janitor = fork();
	if (janitor < 0) {
		log_error("cannot make a process: %s", strerror(errno));
		return STATUS_FAILED;
	}
	if (!janitor)
		_exit(janitor_main(jail, launcher, report[1]));
	close(report[1]);
	if (!stays(jail)) {
		while (read(report[0], &byte, 1) < 0 && errno == EINTR)
			;
		if (jail->shared->started)
			return 0;
	}
	status = wait_for(janitor, false);
	if (!WIFSIGNALED(status))
		return WEXITSTATUS(status);
	while (waitpid(-1, NULL, 0) > 0)
		;
	jail_prepare(jail);
	jail_clean(jail);
	return exit_status(status);
}
