/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Whether the programs do what the tables say. Both are asked about calls that keep to a rule, and
 * about calls that almost do; a small interpreter stands in for the kernel, so these can be many.
 */
#include "test_seccomp.h"

#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>

#include "seccomp_policy.h"

#define CALLS_PER_KIND 200000

/* Linux, Documentation/networking/filter.rst, as far as seccomp goes. */
static uint32_t interpret(const struct seccomp_filter *filter, const struct seccomp_data *data)
{
	const struct sock_filter *insn = filter->insns;
	uint32_t acc = 0;

	for (;; insn++) {
		bool taken = false;

		assert_in_range(insn - filter->insns, 0, filter->nr - 1);
		switch (insn->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			memcpy(&acc, (const char *)data + insn->k, sizeof(acc));
			continue;
		case BPF_ALU | BPF_AND | BPF_K:
			acc &= insn->k;
			continue;
		case BPF_JMP | BPF_JA:
			insn += insn->k;
			continue;
		case BPF_JMP | BPF_JEQ | BPF_K:
			taken = acc == insn->k;
			break;
		case BPF_JMP | BPF_JGT | BPF_K:
			taken = acc > insn->k;
			break;
		case BPF_JMP | BPF_JGE | BPF_K:
			taken = acc >= insn->k;
			break;
		case BPF_RET | BPF_K:
			return insn->k;
		default:
			fail_msg("instruction %#x", insn->code);
		}
		insn += taken ? insn->jt : insn->jf;
	}
}

static bool holds(const struct seccomp_condition *condition, const uint64_t *args, uint64_t size)
{
	const uint64_t value = args[condition->arg];

	switch (condition->op) {
	case SECCOMP_OP_NONE:
		return true;
	case SECCOMP_OP_INT:
		return (uint32_t)value == condition->value;
	case SECCOMP_OP_WORD:
		return value == condition->value;
	case SECCOMP_OP_BELOW_SIZE:
		return value < size;
	case SECCOMP_OP_UP_TO_SIZE:
		return value <= size;
	case SECCOMP_OP_OWN_PROCESS:
		return (uint32_t)value == (uint32_t)getpid();
	}
	return false;
}

static bool rule_allows(const struct seccomp_rule *rule, const struct seccomp_fds *fds,
			const struct seccomp_data *data)
{
	const uint64_t *args = (const uint64_t *)data->args;
	uint64_t size = 0;
	unsigned int i;
	bool found = rule->use == SECCOMP_NO_FD;

	if (rule->use == SECCOMP_VCPU_FD)
		found = (uint32_t)args[0] == FD_VCPU;
	for (i = 0; i < fds->nr; i++) {
		if ((int)fds->fds[i].use != rule->use ||
		    (uint32_t)args[0] != (uint32_t)fds->fds[i].fd)
			continue;
		found = true;
		size = fds->fds[i].size;
	}
	for (i = 0; found && i < SECCOMP_CONDITIONS_MAX; i++)
		found = holds(&rule->conditions[i], args, size);
	return found;
}

static bool policy_allows(enum seccomp_kind kind, const struct seccomp_fds *fds,
			  const struct seccomp_data *data)
{
	unsigned int i;

	for (i = 0; i < seccomp_policy_nr; i++)
		if (seccomp_policy[i].kinds & 1u << kind &&
		    seccomp_policy[i].call == (unsigned int)data->nr &&
		    rule_allows(&seccomp_policy[i], fds, data))
			return true;
	return false;
}

static unsigned int pick(unsigned int nr)
{
	return (unsigned int)random() % nr;
}

/* A value that some condition is about, or one next to it. */
static uint64_t pick_value(const struct seccomp_fds *fds)
{
	const struct seccomp_rule *rule = &seccomp_policy[pick(seccomp_policy_nr)];
	uint64_t value = rule->conditions[pick(SECCOMP_CONDITIONS_MAX)].value;

	switch (pick(6)) {
	case 0:
		return fds->fds[pick(fds->nr)].size + pick(3) - 1;
	case 1:
		return (uint64_t)getpid() + (pick(2) ? 1ull << 32 : 0);
	case 2:
		return value + pick(3) - 1;
	case 3:
		return value | (uint64_t)pick(3) << (pick(2) ? 32 : 31);
	case 4:
		return ((uint64_t)random() << 33) ^ (uint64_t)random();
	default:
		return (uint64_t)fds->fds[pick(fds->nr)].fd + (pick(8) ? 0 : 1);
	}
}

/* Arguments that keep to a rule, but for what is changed in them afterwards. */
static void make_call(struct seccomp_data *data, const struct seccomp_fds *fds)
{
	const struct seccomp_rule *rule = &seccomp_policy[pick(seccomp_policy_nr)];
	uint64_t *args = (uint64_t *)data->args;
	uint64_t size = 0;
	unsigned int i;

	for (i = 0; i < 6; i++)
		args[i] = pick_value(fds);
	if (rule->use == SECCOMP_VCPU_FD)
		args[0] = FD_VCPU;
	for (i = 0; i < fds->nr; i++) {
		if ((int)fds->fds[i].use != rule->use)
			continue;
		args[0] = (uint64_t)fds->fds[i].fd;
		size = fds->fds[i].size;
	}
	for (i = 0; i < SECCOMP_CONDITIONS_MAX; i++) {
		const struct seccomp_condition *condition = &rule->conditions[i];

		if (condition->op == SECCOMP_OP_OWN_PROCESS)
			args[condition->arg] = (uint64_t)getpid();
		else if (condition->op == SECCOMP_OP_BELOW_SIZE)
			args[condition->arg] = size ? size - 1 - pick(2) * (size / 2) : 0;
		else if (condition->op == SECCOMP_OP_UP_TO_SIZE)
			args[condition->arg] = size - pick(2) * (size / 2);
		else if (condition->op)
			args[condition->arg] = condition->value;
	}
	for (i = pick(3); i; i--)
		args[pick(6)] = pick_value(fds);
	data->nr = (int)(pick(10) ? rule->call : pick(500));
	data->arch = AUDIT_ARCH_X86_64;
}

static void programs_follow_the_tables(void **state)
{
	struct seccomp_filter filter;
	struct seccomp_data data = {0};
	struct seccomp_fds fds;
	enum seccomp_kind kind;
	unsigned int i, allowed;

	(void)state;
	srandom(1);
	fds_fill(&fds);
	for (kind = 0; kind < SECCOMP_KINDS; kind++) {
		assert_int_equal(seccomp_compile(kind, SECCOMP_ENFORCE, &fds, &filter), 0);
		if (kind == SECCOMP_VCPU)
			filter.insns[filter.vcpu_fd_at].k = FD_VCPU;
		allowed = 0;
		for (i = 0; i < CALLS_PER_KIND; i++) {
			bool expected;

			make_call(&data, &fds);
			expected = policy_allows(kind, &fds, &data);
			allowed += expected;
			if (interpret(&filter, &data) ==
			    (expected ? SECCOMP_RET_ALLOW : SECCOMP_RET_TRAP))
				continue;
			fail_msg("kind %u: %s(%#llx, %#llx, %#llx, %#llx, %#llx, %#llx) is %s",
				 kind, seccomp_call_name((uint64_t)data.nr), data.args[0],
				 data.args[1], data.args[2], data.args[3], data.args[4],
				 data.args[5], expected ? "forbidden" : "allowed");
		}
		/* Or else this would test little. */
		assert_in_range(allowed, CALLS_PER_KIND / 20, CALLS_PER_KIND * 19 / 20);
		seccomp_filter_fini(&filter);
	}
}

static void every_rule_is_complete(void **state)
{
	unsigned int i;

	(void)state;
	for (i = 0; i < seccomp_policy_nr; i++) {
		assert_non_null(seccomp_policy[i].why);
		assert_true(seccomp_policy[i].kinds);
		assert_int_equal(seccomp_call_form(seccomp_policy[i].call)->call,
				 seccomp_policy[i].call);
	}
}

static void calls_have_names(void **state)
{
	(void)state;
	assert_string_equal(seccomp_call_name(SYS_read), "read");
	assert_string_equal(seccomp_call_name(SYS_openat), "openat");
	assert_string_equal(seccomp_call_name(SYS_process_madvise), "process_madvise");
	assert_string_equal(seccomp_call_name(400), "?");
	assert_string_equal(seccomp_call_name(100000), "?");
	assert_string_equal(seccomp_call_name(UINT64_MAX), "?");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(programs_follow_the_tables),
		cmocka_unit_test(every_rule_is_complete),
		cmocka_unit_test(calls_have_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
