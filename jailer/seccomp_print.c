/* SPDX-License-Identifier: Apache-2.0 */
#include "seccomp_print.h"

#include <errno.h>
#include <inttypes.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "seccomp_decode.h"
#include "seccomp_policy.h"
#include "util.h"

struct printer {
	FILE *out;
	const struct seccomp_fds *fds;
	int vcpu_fd;
};

/* The descriptor that argument 0 is; NULL if it is none, or none that is known. */
static const struct seccomp_fd *find_fd(const struct printer *printer,
					const struct seccomp_allowed *rule)
{
	const struct seccomp_value *value = &rule->args[0];
	unsigned int i;

	if (!seccomp_call_form(rule->call)->has_fd || value->from != value->to)
		return NULL;
	for (i = 0; i < MIN(printer->fds->nr, SECCOMP_FDS_MAX); i++)
		if ((uint64_t)printer->fds->fds[i].fd == value->from)
			return &printer->fds->fds[i];
	return NULL;
}

static void print_fd(const struct printer *printer, const struct seccomp_allowed *rule)
{
	const struct seccomp_fd *fd = find_fd(printer, rule);
	const uint64_t number = rule->args[0].from;

	if (printer->vcpu_fd >= 0 && number == (uint64_t)printer->vcpu_fd)
		fprintf(printer->out, "fd %" PRIu64 " \"vCPU\"", number);
	else if (fd && fd->name)
		fprintf(printer->out, "fd %" PRIu64 " \"%s%s\"", number, fd->name,
			fd->use == SECCOMP_FD_IRQ     ? " irq"
			: fd->use == SECCOMP_FD_EVENT ? " event"
						      : "");
	else
		fprintf(printer->out, "fd %" PRIu64, number);
}

static void print_range(const struct printer *printer, const struct seccomp_allowed *rule,
			const struct seccomp_value *value)
{
	const struct seccomp_fd *fd = find_fd(printer, rule);

	if (value->from)
		fprintf(printer->out, "%#" PRIx64 " to %#" PRIx64, value->from, value->to);
	else if (fd && fd->size && value->to == fd->size - 1)
		fprintf(printer->out, "< size %" PRIu64, fd->size);
	else if (fd && fd->size && value->to == fd->size)
		fprintf(printer->out, "<= size %" PRIu64, fd->size);
	else
		fprintf(printer->out, "<= %" PRIu64, value->to);
}

static void print_arg(const struct printer *printer, const struct seccomp_allowed *rule,
		      unsigned int arg)
{
	const struct seccomp_value *value = &rule->args[arg];
	const char *name;

	if (!value->from && value->to == UINT64_MAX && !value->is_int) {
		fputs("any", printer->out);
		return;
	}
	if (value->from == value->to && !arg && seccomp_call_form(rule->call)->has_fd) {
		print_fd(printer, rule);
		return;
	}
	name = seccomp_constant_name(rule->call, arg, value->from);
	if (value->from == value->to && name) {
		fputs(name, printer->out);
		return;
	}
	if (value->is_int)
		fputs("int ", printer->out);
	if (value->from == value->to)
		fprintf(printer->out, "%" PRIu64, value->from);
	else
		print_range(printer, rule, value);
}

static void print_rule(const struct printer *printer, const struct seccomp_allowed *rule)
{
	unsigned int i;

	fprintf(printer->out, "  %s(", seccomp_call_name(rule->call));
	for (i = 0; i < seccomp_call_form(rule->call)->nr_args; i++) {
		fputs(i ? ", " : "", printer->out);
		print_arg(printer, rule, i);
	}
	fputc(')', printer->out);
	if (!strcmp(seccomp_call_name(rule->call), "?"))
		fprintf(printer->out, " number %#" PRIx32, rule->call);
	for (i = 0; i < rule->nr_tests; i++) {
		const struct seccomp_test *test = &rule->tests[i];

		fprintf(printer->out, "%s argument %u & %#" PRIx64 " is %s0x%" PRIx64,
			i ? " and" : " if", test->arg + 1, test->mask, test->equal ? "" : "not ",
			test->value);
	}
	fputc('\n', printer->out);
}

static void print_endings(FILE *out, const char *what, const struct seccomp_endings *endings)
{
	unsigned int i;

	for (i = 0; i < endings->nr; i++) {
		const uint32_t action = endings->actions[i];

		fprintf(out, "  %s: ", what);
		switch (action) {
		case SECCOMP_RET_TRAP:
			fputs("reported by SIGSYS, which ends the process\n", out);
			break;
		case SECCOMP_RET_KILL_PROCESS:
			fputs("kills the process\n", out);
			break;
		case SECCOMP_RET_KILL_THREAD:
			fputs("kills the thread\n", out);
			break;
		case SECCOMP_RET_LOG:
			fputs("is made, and logged by the kernel\n", out);
			break;
		case SECCOMP_RET_ALLOW:
			fputs("is allowed\n", out);
			break;
		default:
			fprintf(out, "ends in action 0x%" PRIx32 "\n", action);
		}
	}
}

static void print_decoded(const struct printer *printer, enum seccomp_kind kind,
			  const struct seccomp_decoded *decoded)
{
	static const char *const kinds[] = {[SECCOMP_VCPU] = "vCPU thread",
					    [SECCOMP_LOOP] = "main thread",
					    [SECCOMP_SUPERVISOR] = "supervisor"};
	unsigned int i;

	fprintf(printer->out, "%s: %u system calls, %u rules\n", kinds[kind], decoded->nr_calls,
		decoded->nr_rules);
	for (i = 0; i < decoded->nr_rules; i++)
		print_rule(printer, &decoded->rules[i]);
	print_endings(printer->out, "any other call", &decoded->own);
	print_endings(printer->out, "an x32 call", &decoded->x32);
	print_endings(printer->out, "a 32-bit call (int 0x80)", &decoded->alien);
}

int seccomp_print(FILE *out, const struct seccomp_filter *filter, const struct seccomp_fds *fds,
		  int vcpu_fd)
{
	const bool is_vcpu = filter->kind == SECCOMP_VCPU;
	const struct printer printer = {out, fds, is_vcpu ? vcpu_fd : -1};
	static struct seccomp_decoded decoded; /* these are large */
	static struct sock_filter insns[BPF_MAXINSNS];
	int err;

	if (!filter->insns) {
		fputs("no filter: every system call is allowed\n", out);
		return 0;
	}
	/* As seccomp_apply loads it. */
	memcpy(insns, filter->insns, filter->nr * sizeof(*insns));
	if (is_vcpu)
		insns[filter->vcpu_fd_at].k = (uint32_t)vcpu_fd;
	err = seccomp_decode(insns, filter->nr, &decoded);
	if (err)
		fprintf(out, "cannot decode the filter: instruction %u: %s\n", decoded.bad_at,
			strerror(-err));
	else
		print_decoded(&printer, filter->kind, &decoded);
	return err;
}

int seccomp_print_all(FILE *out)
{
	static const struct seccomp_fd vm[] = {
		{SECCOMP_FD_TERMINAL, 0, 0, "terminal"},    {SECCOMP_FD_LOG, 2, 0, "log"},
		{SECCOMP_FD_EPOLL, 3, 0, "event loop"},	    {SECCOMP_FD_EVENT, 4, 0, "disk"},
		{SECCOMP_FD_NOTICE, 5, 0, "notice"},	    {SECCOMP_FD_INPUT, 6, 0, "stdin"},
		{SECCOMP_FD_OUTPUT, 7, 0, "stdout"},	    {SECCOMP_FD_DISK_RO, 8, GIB(1), "root"},
		{SECCOMP_FD_DISK, 9, GIB(4), "disk"},	    {SECCOMP_FD_TAP, 10, 0, "tap"},
		{SECCOMP_FD_SOCKET, 11, 0, "passt"},	    {SECCOMP_FD_PROCESS, 12, 0, "VM"},
		{SECCOMP_FD_SIGNALS, 13, 0, "signals"},	    {SECCOMP_FD_IRQ, 14, 0, "disk"},
		{SECCOMP_FD_VERDICT, 15, 0, "exit status"}, {SECCOMP_FD_RING, 16, 0, "disk"},
	};
	const int vcpu_fd = 17;
	struct seccomp_fds fds = {.nr = ARRAY_SIZE(vm)};
	struct seccomp_filter filter;
	enum seccomp_kind kind;
	int err = 0;

	memcpy(fds.fds, vm, sizeof(vm));
	for (kind = 0; !err && kind < SECCOMP_KINDS; kind++) {
		err = seccomp_compile(kind, SECCOMP_ENFORCE, &fds, &filter);
		if (!err)
			err = seccomp_print(out, &filter, &fds, vcpu_fd);
		seccomp_filter_fini(&filter);
	}
	return err;
}
