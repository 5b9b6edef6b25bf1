/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory. A forbidden call is answered by SIGSYS (SECCOMP_RET_TRAP), so that it can be reported:
 * the handler runs on the thread that called, under the same filter, with SIGSYS blocked. It writes
 * its line, and makes a forbidden call itself. For a SIGSYS that is blocked the kernel takes the
 * default action: the process dies of it, also where it is PID 1 of a namespace, and its parent
 * sees that.
 *
 * What the kernel takes as an int is compared in 32 bits, as the upper half of a register may hold
 * anything then; the kernel does not look at it either.
 */
#include "seccomp.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <seccomp.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <ucontext.h>
#include <unistd.h>

#include "seccomp_policy.h"
#include "util.h"

/* In place of a vCPU's descriptor in a filter that was just made; no process has that many. */
#define VCPU_FD_PLACE 0x7ffffffe

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
 * Making filters.
 */

static struct scmp_arg_cmp compare_int(unsigned int arg, uint64_t value)
{
	return (struct scmp_arg_cmp){arg, SCMP_CMP_MASKED_EQ, UINT32_MAX, value};
}

static struct scmp_arg_cmp compare(const struct seccomp_condition *condition, uint64_t size)
{
	const unsigned int arg = condition->arg;
	const uint64_t value = condition->value;

	switch (condition->op) {
	case SECCOMP_OP_WORD:
		return (struct scmp_arg_cmp){arg, SCMP_CMP_EQ, value, 0};
	case SECCOMP_OP_AT_MOST:
		return (struct scmp_arg_cmp){arg, SCMP_CMP_LE, value, 0};
	case SECCOMP_OP_BELOW_SIZE:
		return (struct scmp_arg_cmp){arg, SCMP_CMP_LT, size, 0};
	case SECCOMP_OP_UP_TO_SIZE:
		return (struct scmp_arg_cmp){arg, SCMP_CMP_LE, size, 0};
	case SECCOMP_OP_OWN_PROCESS:
		return compare_int(arg, (uint64_t)getpid());
	case SECCOMP_OP_INT:
	case SECCOMP_OP_NONE:
		break;
	}
	return compare_int(arg, value);
}

/* Allows what `rule` says, on descriptor `fd` unless that is negative. */
static int add_rule(scmp_filter_ctx ctx, const struct seccomp_rule *rule, int fd, uint64_t size)
{
	struct scmp_arg_cmp comparisons[SECCOMP_CONDITIONS_MAX + 1];
	unsigned int i, nr = 0;
	int err;

	if (fd >= 0)
		comparisons[nr++] = compare_int(0, (uint64_t)fd);
	for (i = 0; i < SECCOMP_CONDITIONS_MAX && rule->conditions[i].op; i++)
		comparisons[nr++] = compare(&rule->conditions[i], size);
	err = seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, (int)rule->call, nr, comparisons);
	/* A descriptor may have two uses that allow the same. */
	return err == -EEXIST ? 0 : err;
}

static int add_rules(scmp_filter_ctx ctx, enum seccomp_kind kind, const struct seccomp_fds *fds)
{
	unsigned int i, j;
	int err = 0;

	for (i = 0; !err && i < seccomp_policy_nr; i++) {
		const struct seccomp_rule *rule = &seccomp_policy[i];

		if (!(rule->kinds & 1u << kind))
			continue;
		if (rule->use == SECCOMP_NO_FD)
			err = add_rule(ctx, rule, -1, 0);
		else if (rule->use == SECCOMP_VCPU_FD)
			err = add_rule(ctx, rule, VCPU_FD_PLACE, 0);
		for (j = 0; !err && rule->use >= 0 && j < fds->nr; j++)
			if (fds->fds[j].use == (enum seccomp_use)rule->use)
				err = add_rule(ctx, rule, fds->fds[j].fd, fds->fds[j].size);
	}
	/* All that a busy guest has its vCPU's thread do. */
	if (!err && kind == SECCOMP_VCPU)
		err = seccomp_syscall_priority(ctx, SYS_ioctl, UINT8_MAX);
	return err;
}

/* Takes the program out of the library, which gives it to a file only. */
static int export_program(scmp_filter_ctx ctx, struct seccomp_filter *filter)
{
	cleanup_fd int fd = memfd_create("filter", MFD_CLOEXEC);
	cleanup_free struct sock_filter *insns = NULL;
	off_t size;
	int err;

	if (fd < 0)
		return -errno;
	err = seccomp_export_bpf(ctx, fd);
	if (err)
		return err;
	size = lseek(fd, 0, SEEK_END);
	if (size <= 0 || size % (off_t)sizeof(*insns) ||
	    size > (off_t)(BPF_MAXINSNS * sizeof(*insns)))
		return -E2BIG;
	insns = malloc((size_t)size);
	if (!insns)
		return -ENOMEM;
	if (pread(fd, insns, (size_t)size, 0) != size)
		return -EIO;
	filter->nr = (unsigned int)((size_t)size / sizeof(*insns));
	filter->insns = insns;
	insns = NULL;
	return 0;
}

/* 0 if there is just one place for the vCPU's descriptor. */
static int find_vcpu_fd(struct seccomp_filter *filter)
{
	unsigned int i, found = 0;

	for (i = 0; i < filter->nr; i++) {
		const struct sock_filter *insn = &filter->insns[i];

		if (BPF_CLASS(insn->code) != BPF_JMP || insn->k != VCPU_FD_PLACE)
			continue;
		filter->vcpu_fd_at = i;
		found++;
	}
	return found == 1 ? 0 : -ENOTUNIQ;
}

static int compile(scmp_filter_ctx ctx, const struct seccomp_fds *fds,
		   struct seccomp_filter *filter)
{
	int err;

	if (!ctx)
		return -ENOMEM;
	if (fds->nr > SECCOMP_FDS_MAX)
		return -EMFILE;
	err = seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS);
	if (!err)
		err = add_rules(ctx, filter->kind, fds);
	if (!err)
		err = export_program(ctx, filter);
	if (!err && filter->kind == SECCOMP_VCPU)
		err = find_vcpu_fd(filter);
	return err;
}

int seccomp_compile(enum seccomp_kind kind, enum seccomp_mode mode, const struct seccomp_fds *fds,
		    struct seccomp_filter *ret_filter)
{
	scmp_filter_ctx ctx;
	int err;

	*ret_filter = (struct seccomp_filter){.kind = kind, .mode = mode};
	if (mode == SECCOMP_OFF)
		return 0;
	ctx = seccomp_init(mode == SECCOMP_LOG ? SCMP_ACT_LOG : SCMP_ACT_TRAP);
	err = compile(ctx, fds, ret_filter);
	seccomp_release(ctx);
	if (err) {
		seccomp_filter_fini(ret_filter);
		log_error("cannot make a system call filter: %s; husk needs Linux 4.14 or "
			  "later; " NO_FILTERS_HINT,
			  strerror(-err));
	}
	return err;
}

void seccomp_filter_fini(struct seccomp_filter *filter)
{
	free(filter->insns);
	*filter = (struct seccomp_filter){0};
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
