/* SPDX-License-Identifier: Apache-2.0 */
/*
 * From the policy and the descriptors there are to a program for the kernel.
 *
 * Theory. A program asks for the architecture, then looks for the call by halving, then asks, one
 * after the other, for each thing that is allowed of it:
 *
 *	is it x86-64, and not x32?	no: kill
 *	is it ioctl or above?		...
 *	is it ioctl?			no: trap
 *	  descriptor 24, KVM_RUN, 0?	yes: allow
 *	  (the next rule)
 *	  other				trap
 *
 * By halving, as the kernel tries every call there is when it takes a program (to know which it
 * need not run it for): one call after the other made that twice as long.
 *
 * What the kernel takes as an int is compared in 32 bits, as the upper half of a register may hold
 * anything then; the kernel does not look at it either.
 *
 * A library could do this. libseccomp takes some 0.35 ms for the filters of a VM with two disks, a
 * good part of what a whole start takes, and this a tenth of that. It is what the tests hold these
 * programs against.
 */
#include "seccomp.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "seccomp_policy.h"
#include "util.h"

#define X32_BIT 0x40000000u
#define VCPU_FD_PLACE 0x7fffffff /* until a vCPU loads its filter; no process has that many */
#define CALLS_MAX 64
#define TO_RULE_END 255 /* a jump whose distance is not known yet */

struct compiler {
	enum seccomp_kind kind;
	const struct seccomp_fds *fds;
	uint32_t other; /* what becomes of a call that is not allowed */
	struct sock_filter insns[BPF_MAXINSNS];
	unsigned int nr; /* may be more than fit */
	unsigned int vcpu_fd_at;
	bool has_fd; /* what was loaded last, wherever the program comes from: argument 0 */
};

static void emit(struct compiler *compiler, uint16_t code, uint32_t k, uint8_t if_true,
		 uint8_t if_false)
{
	if (compiler->nr < BPF_MAXINSNS)
		compiler->insns[compiler->nr] = (struct sock_filter){code, if_true, if_false, k};
	compiler->nr++;
}

static void emit_load(struct compiler *compiler, size_t offset)
{
	emit(compiler, BPF_LD | BPF_W | BPF_ABS, (uint32_t)offset, 0, 0);
}

static void emit_return(struct compiler *compiler, uint32_t action)
{
	emit(compiler, BPF_RET | BPF_K, action, 0, 0);
}

/* Arguments are compared in halves: x86-64 has the lower one first. */
static void emit_load_half(struct compiler *compiler, unsigned int arg, bool upper)
{
	emit_load(compiler,
		  offsetof(struct seccomp_data, args) + 8 * (size_t)arg + (upper ? 4 : 0));
}

/* Goes on if the half that was loaded is `value`. */
static void emit_is(struct compiler *compiler, uint32_t value)
{
	emit(compiler, BPF_JMP | BPF_JEQ | BPF_K, value, 0, TO_RULE_END);
}

/* Goes on if argument `arg` is at most `value`. */
static void emit_at_most(struct compiler *compiler, unsigned int arg, uint64_t value)
{
	const uint32_t upper = (uint32_t)(value >> 32);

	emit_load_half(compiler, arg, true);
	emit(compiler, BPF_JMP | BPF_JGT | BPF_K, upper, TO_RULE_END, 0);
	/* Less there is less altogether. */
	emit(compiler, BPF_JMP | BPF_JEQ | BPF_K, upper, 0, 2);
	emit_load_half(compiler, arg, false);
	emit(compiler, BPF_JMP | BPF_JGT | BPF_K, (uint32_t)value, TO_RULE_END, 0);
}

static void emit_condition(struct compiler *compiler, const struct seccomp_condition *condition,
			   uint64_t size)
{
	const unsigned int arg = condition->arg;

	switch (condition->op) {
	case SECCOMP_OP_NONE:
		break;
	case SECCOMP_OP_WORD:
		emit_load_half(compiler, arg, true);
		emit_is(compiler, (uint32_t)(condition->value >> 32));
		/* fallthrough */
	case SECCOMP_OP_INT:
		emit_load_half(compiler, arg, false);
		emit_is(compiler, (uint32_t)condition->value);
		break;
	case SECCOMP_OP_BELOW_SIZE: /* a disk is never empty */
		emit_at_most(compiler, arg, size - 1);
		break;
	case SECCOMP_OP_UP_TO_SIZE:
		emit_at_most(compiler, arg, size);
		break;
	case SECCOMP_OP_OWN_PROCESS:
		emit_load_half(compiler, arg, false);
		emit_is(compiler, (uint32_t)getpid());
		break;
	}
}

/* Allows what `rule` says; `fd`, if there is one, is what argument 0 has to be. */
static void emit_rule(struct compiler *compiler, const struct seccomp_rule *rule,
		      const struct seccomp_fd *fd)
{
	unsigned int i, start = compiler->nr;

	if (fd) {
		if (!compiler->has_fd)
			emit_load_half(compiler, 0, false);
		if (rule->use == SECCOMP_VCPU_FD)
			compiler->vcpu_fd_at = compiler->nr;
		emit_is(compiler, (uint32_t)fd->fd);
	}
	for (i = 0; i < SECCOMP_CONDITIONS_MAX; i++)
		emit_condition(compiler, &rule->conditions[i], fd ? fd->size : 0);
	compiler->has_fd = fd && rule->conditions[0].op == SECCOMP_OP_NONE;
	emit_return(compiler, SECCOMP_RET_ALLOW);
	for (i = start; i < MIN(compiler->nr, BPF_MAXINSNS); i++) {
		struct sock_filter *insn = &compiler->insns[i];

		if (insn->jt == TO_RULE_END)
			insn->jt = (uint8_t)(compiler->nr - i - 1);
		if (insn->jf == TO_RULE_END)
			insn->jf = (uint8_t)(compiler->nr - i - 1);
	}
}

static void emit_rules(struct compiler *compiler, const struct seccomp_rule *rule)
{
	static const struct seccomp_fd vcpu = {.fd = VCPU_FD_PLACE};
	unsigned int i;

	if (rule->use == SECCOMP_NO_FD)
		emit_rule(compiler, rule, NULL);
	else if (rule->use == SECCOMP_VCPU_FD)
		emit_rule(compiler, rule, &vcpu);
	for (i = 0; rule->use >= 0 && i < compiler->fds->nr; i++)
		if (compiler->fds->fds[i].use == (enum seccomp_use)rule->use)
			emit_rule(compiler, rule, &compiler->fds->fds[i]);
}

static bool is_for(const struct compiler *compiler, const struct seccomp_rule *rule,
		   unsigned int call)
{
	return rule->call == call && rule->kinds & 1u << compiler->kind;
}

/* Whether there is something it may be made on. */
static bool has_subject(const struct compiler *compiler, const struct seccomp_rule *rule)
{
	unsigned int i;

	for (i = 0; rule->use >= 0 && i < compiler->fds->nr; i++)
		if (compiler->fds->fds[i].use == (enum seccomp_use)rule->use)
			return true;
	return rule->use < 0;
}

/* The calls that are allowed, in rising order, each once. */
static unsigned int list_calls(const struct compiler *compiler, unsigned int calls[CALLS_MAX])
{
	unsigned int i, at, nr = 0;

	for (i = 0; i < seccomp_policy_nr; i++) {
		const struct seccomp_rule *rule = &seccomp_policy[i];

		for (at = 0; at < nr && calls[at] < rule->call;)
			at++;
		if (!is_for(compiler, rule, rule->call) || !has_subject(compiler, rule) ||
		    (at < nr && calls[at] == rule->call) || nr == CALLS_MAX)
			continue;
		memmove(&calls[at + 1], &calls[at], (nr - at) * sizeof(calls[0]));
		calls[at] = rule->call;
		nr++;
	}
	return nr;
}

/*
 * The jump at `at` leads to here if its condition is `if_true`, and else goes on: by itself or,
 * where that is too far for it, by another one behind it.
 */
static void jump_to_here(struct compiler *compiler, unsigned int at, bool if_true)
{
	unsigned int distance = compiler->nr - at - 1;
	uint8_t taken = (uint8_t)distance, other = 0;
	struct sock_filter *insn;

	if (compiler->nr >= BPF_MAXINSNS)
		return; /* too many: nobody will run it */
	insn = &compiler->insns[at];
	if (distance > UINT8_MAX) {
		memmove(insn + 2, insn + 1, distance * sizeof(*insn));
		insn[1] = (struct sock_filter){BPF_JMP | BPF_JA, 0, 0, distance};
		compiler->nr++;
		compiler->vcpu_fd_at += compiler->vcpu_fd_at > at;
		taken = 0;
		other = 1;
	}
	insn->jt = if_true ? taken : other;
	insn->jf = if_true ? other : taken;
}

/* Is it this call, and as one of its rules has it? */
static void emit_call(struct compiler *compiler, unsigned int call)
{
	const unsigned int at = compiler->nr;
	unsigned int i;

	emit(compiler, BPF_JMP | BPF_JEQ | BPF_K, call, 0, 0);
	compiler->has_fd = false;
	for (i = 0; i < seccomp_policy_nr; i++)
		if (is_for(compiler, &seccomp_policy[i], call))
			emit_rules(compiler, &seccomp_policy[i]);
	jump_to_here(compiler, at, false);
	emit_return(compiler, compiler->other);
}

/* Halves what is left of the list until it is one call. */
static void emit_search(struct compiler *compiler, const unsigned int *calls, unsigned int nr)
{
	const unsigned int half = nr / 2, at = compiler->nr;

	if (nr <= 1) {
		emit_call(compiler, nr ? calls[0] : UINT32_MAX);
		return;
	}
	emit(compiler, BPF_JMP | BPF_JGE | BPF_K, calls[half], 0, 0);
	emit_search(compiler, calls, half);
	jump_to_here(compiler, at, true);
	emit_search(compiler, calls + half, nr - half);
}

static void emit_program(struct compiler *compiler)
{
	unsigned int calls[CALLS_MAX], nr = list_calls(compiler, calls);

	emit_load(compiler, offsetof(struct seccomp_data, arch));
	emit(compiler, BPF_JMP | BPF_JEQ | BPF_K, AUDIT_ARCH_X86_64, 1, 0);
	emit_return(compiler, SECCOMP_RET_KILL_PROCESS);
	emit_load(compiler, offsetof(struct seccomp_data, nr));
	emit(compiler, BPF_JMP | BPF_JGE | BPF_K, X32_BIT, 0, 2);
	emit(compiler, BPF_JMP | BPF_JEQ | BPF_K, UINT32_MAX, 1, 0); /* -1 is of no machine */
	emit_return(compiler, SECCOMP_RET_KILL_PROCESS);
	emit_search(compiler, calls, nr);
}

static int compile(struct compiler *compiler, struct seccomp_filter *filter)
{
	if (compiler->fds->nr > SECCOMP_FDS_MAX)
		return -EMFILE;
	emit_program(compiler);
	if (!compiler->nr || compiler->nr > BPF_MAXINSNS)
		return -E2BIG;
	filter->insns = calloc(compiler->nr, sizeof(*filter->insns));
	if (!filter->insns)
		return -ENOMEM;
	memcpy(filter->insns, compiler->insns, compiler->nr * sizeof(*filter->insns));
	filter->nr = compiler->nr;
	filter->vcpu_fd_at = compiler->vcpu_fd_at;
	return 0;
}

int seccomp_compile(enum seccomp_kind kind, enum seccomp_mode mode, const struct seccomp_fds *fds,
		    struct seccomp_filter *ret_filter)
{
	struct compiler compiler;
	int err;

	*ret_filter = (struct seccomp_filter){.kind = kind, .mode = mode};
	if (mode == SECCOMP_OFF)
		return 0;
	compiler.kind = kind;
	compiler.fds = fds;
	compiler.other = mode == SECCOMP_LOG ? SECCOMP_RET_LOG : SECCOMP_RET_TRAP;
	compiler.nr = compiler.vcpu_fd_at = 0;
	compiler.has_fd = false;
	err = compile(&compiler, ret_filter);
	if (err)
		log_error("cannot make a system call filter: %s; --no-seccomp runs without",
			  strerror(-err));
	return err;
}

void seccomp_filter_fini(struct seccomp_filter *filter)
{
	free(filter->insns);
	*filter = (struct seccomp_filter){0};
}
