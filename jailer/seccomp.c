/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory. A forbidden call is answered by SIGSYS (SECCOMP_RET_TRAP), so that it can be reported:
 * the handler runs on the thread that called, under the same filter, with SIGSYS blocked. It writes
 * its line, and makes a forbidden call itself. For a SIGSYS that is blocked the kernel takes the
 * default action: the process dies of it, also where it is PID 1 of a namespace, and its parent
 * sees that.
 */
#include "seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "seccomp_policy.h"
#include "util.h"

#define NO_FILTERS_HINT "--no-seccomp runs without system call filters"

static _Thread_local const char *thread_name = "?";

void seccomp_fds_add(struct seccomp_fds *fds, enum seccomp_use use, int fd, uint64_t size,
		     const char *name)
{
	if (fd < 0)
		return;
	/* One too many is noticed when the filter is made. */
	if (fds->nr < SECCOMP_FDS_MAX)
		fds->fds[fds->nr] = (struct seccomp_fd){use, fd, size, name};
	fds->nr++;
}

/*
 * Reporting. In a signal handler, under a filter: no library function but memcpy, and one write.
 */

struct report {
	char text[384];
	size_t len;
};

static void put_text(struct report *report, const char *text)
{
	for (; *text && report->len < sizeof(report->text); text++)
		report->text[report->len++] = *text;
}

static void put_number(struct report *report, uint64_t number, unsigned int base)
{
	char digits[24], *at = digits + sizeof(digits);

	*--at = '\0';
	do
		*--at = "0123456789abcdef"[number % base];
	while (number /= base);
	put_text(report, at);
}

static void report_call(uint64_t call, const ucontext_t *context)
{
	static const int arguments[] = {REG_RDI, REG_RSI, REG_RDX, REG_R10, REG_R8, REG_R9};
	struct report report = {.len = 0};
	unsigned int i;

	put_text(&report, "husk: seccomp: thread ");
	put_text(&report, thread_name);
	put_text(&report, " may not call ");
	put_text(&report, seccomp_call_name(call));
	for (i = 0; i < ARRAY_SIZE(arguments); i++) {
		put_text(&report, i ? ", 0x" : "(0x");
		put_number(&report, (uint64_t)context->uc_mcontext.gregs[arguments[i]], 16);
	}
	put_text(&report, "), number ");
	put_number(&report, call, 10);
	put_text(&report, "; the VM is ended\n");
	syscall(SYS_write, STDERR_FILENO, report.text, report.len);
}

static void on_sigsys(int signal_nr, siginfo_t *info, void *context)
{
	(void)signal_nr;
	/* Or else a process sent it, and means it. */
	if (info->si_code > 0)
		report_call((unsigned int)info->si_syscall, context);
	/* Forbidden to all, and harmless in the thread that has no filter yet. */
	syscall(SYS_getppid);
	syscall(SYS_exit_group, 128 + SIGSYS);
	__builtin_unreachable();
}

int seccomp_prepare(enum seccomp_mode mode)
{
	struct sigaction action = {.sa_sigaction = on_sigsys, .sa_flags = SA_SIGINFO};
	sigset_t set;
	int err;

	if (mode == SECCOMP_OFF)
		return 0;
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0) || sigaction(SIGSYS, &action, NULL) ||
	    sigprocmask(SIG_UNBLOCK, &set, NULL)) {
		err = -errno;
		log_error("cannot prepare for system call filters: %s; " NO_FILTERS_HINT,
			  strerror(-err));
		return err;
	}
	return 0;
}

int seccomp_apply(const struct seccomp_filter *filter, int vcpu_fd, const char *thread)
{
	/* On the stack, since threads share the filter, and to allocate would map memory. */
	struct sock_filter own[BPF_MAXINSNS];
	struct sock_fprog program = {.len = (unsigned short)filter->nr, .filter = own};
	int err;

	if (!filter->insns)
		return 0;
	memcpy(own, filter->insns, filter->nr * sizeof(*own));
	if (filter->kind == SECCOMP_VCPU)
		own[filter->vcpu_fd_at].k = (uint32_t)vcpu_fd;
	thread_name = thread;
	if (syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, 0, &program)) {
		err = -errno;
		log_error("the kernel refused a system call filter: %s; it needs "
			  "CONFIG_SECCOMP_FILTER; " NO_FILTERS_HINT,
			  strerror(-err));
		return err;
	}
	return 0;
}
