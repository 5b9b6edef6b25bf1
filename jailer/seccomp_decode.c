/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory. The program is run with a known architecture and call, and with arguments that are not
 * known: where it branches on one, both ways are taken, each with what it then knows of that
 * argument; what cannot be is not followed. Each way that ends in "allow" is a rule. Programs only
 * jump forward, so every run ends.
 *
 * As a program compares a call's number with constants only, these and their neighbours stand for
 * all numbers there are: nothing that is allowed can be missed.
 */
#include "seccomp_decode.h"

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define X32_BIT 0x40000000u
#define CALLS_MAX 1024u	     /* more than any kernel has */
#define STEPS_MAX (1u << 24) /* in all; a program of husk's takes about 50,000 */

/* What a branch says of a 32-bit half of an argument: it is in a range, and passes a test. */
struct fact {
	unsigned int half; /* 2 * n is the lower half of argument n */
	uint32_t from, to;
	uint32_t mask, value;
	bool equal;
};

/* All that is known of a half. */
struct range {
	uint32_t from, to;
};

/* BPF's accumulator: a known value, or a half of an argument under a mask. */
struct accumulator {
	bool known;
	uint32_t value;
	unsigned int half;
	uint32_t mask;
};

struct decoder {
	const struct sock_filter *insns;
	unsigned int nr;
	uint32_t arch, call; /* of this run */
	struct fact facts[BPF_MAXINSNS];
	unsigned int nr_facts;
	struct seccomp_endings *endings;

	unsigned int steps;
	struct seccomp_decoded *decoded;
};

/*
 * What is known.
 */

/* What a comparison says; false if it cannot come out like that. `op` is JEQ, JGT, JGE or JSET. */
static bool fact_make(struct fact *fact, const struct accumulator *acc, uint16_t op, uint32_t k,
		      bool taken)
{
	*fact = (struct fact){.half = acc->half, .to = UINT32_MAX, .equal = true};
	if (op == BPF_JSET || op == BPF_JEQ) {
		fact->mask = op == BPF_JSET ? acc->mask & k : acc->mask;
		fact->value = op == BPF_JSET ? 0 : k;
		fact->equal = op == BPF_JSET ? !taken : taken;
		if (fact->mask == UINT32_MAX && fact->equal)
			fact->from = fact->to = fact->value;
		return !(fact->equal && fact->value & ~fact->mask);
	}
	/* "At least k" is "more than k - 1". */
	if (op == BPF_JGE && !k--)
		return taken;
	if (taken && k == UINT32_MAX)
		return false;
	if (taken)
		fact->from = k + 1;
	else
		fact->to = k;
	return true;
}

/* Applies a fact to what is known of its half. True if that changed. */
static bool range_narrow(struct range *range, const struct fact *fact)
{
	const struct range old = *range;

	range->from = MAX(range->from, fact->from);
	range->to = MIN(range->to, fact->to);
	/* "Is not", where it cuts off an end. */
	if (fact->mask == UINT32_MAX && !fact->equal && range->from < range->to) {
		range->from += range->from == fact->value;
		range->to -= range->to == fact->value;
	}
	return old.from != range->from || old.to != range->to;
}

/* Whether a fact's test still says something; true in *ret_wrong if it says that this cannot be. */
static bool test_matters(const struct range *range, const struct fact *fact, bool *ret_wrong)
{
	if (range->from == range->to) {
		if (((range->from & fact->mask) == fact->value) != fact->equal)
			*ret_wrong = true;
		return false;
	}
	if (fact->mask == UINT32_MAX)
		return fact->value >= range->from && fact->value <= range->to;
	return fact->mask;
}

/* Sums up all facts. False if they contradict each other. */
static bool facts_hold(const struct decoder *decoder, struct range ret_halves[2 * SECCOMP_ARGS])
{
	bool changed = true, wrong = false;
	unsigned int i;

	for (i = 0; i < 2 * SECCOMP_ARGS; i++)
		ret_halves[i] = (struct range){0, UINT32_MAX};
	while (changed) {
		changed = false;
		for (i = 0; i < decoder->nr_facts; i++)
			changed |= range_narrow(&ret_halves[decoder->facts[i].half],
						&decoder->facts[i]);
	}
	for (i = 0; i < decoder->nr_facts; i++) {
		const struct range *range = &ret_halves[decoder->facts[i].half];

		wrong |= range->from > range->to;
		test_matters(range, &decoder->facts[i], &wrong);
	}
	return !wrong;
}

/*
 * Rules.
 */

/* Both halves of an argument in one. 0; -EOPNOTSUPP: they make no range. */
static int value_join(const struct range *low, const struct range *high, struct seccomp_value *ret)
{
	bool low_any = !low->from && low->to == UINT32_MAX;
	bool high_any = !high->from && high->to == UINT32_MAX;

	if (high_any && !low_any) {
		*ret = (struct seccomp_value){low->from, low->to, true};
		return 0;
	}
	*ret = (struct seccomp_value){(uint64_t)high->from << 32 | low->from,
				      (uint64_t)high->to << 32 | low->to, false};
	return low_any || high->from == high->to ? 0 : -EOPNOTSUPP;
}

static bool value_is(const struct seccomp_value *a, const struct seccomp_value *b)
{
	return a->from == b->from && a->to == b->to && a->is_int == b->is_int;
}

static bool tests_are(const struct seccomp_allowed *a, const struct seccomp_allowed *b)
{
	unsigned int i;

	for (i = 0; i < a->nr_tests && i < b->nr_tests; i++)
		if (a->tests[i].arg != b->tests[i].arg || a->tests[i].mask != b->tests[i].mask ||
		    a->tests[i].value != b->tests[i].value ||
		    a->tests[i].equal != b->tests[i].equal)
			return false;
	return a->nr_tests == b->nr_tests;
}

/* Puts `b` into `a` if together they are one rule: they differ in one range, without a gap. */
static bool rule_merge(struct seccomp_allowed *a, const struct seccomp_allowed *b)
{
	struct seccomp_value *value = NULL;
	const struct seccomp_value *other = NULL;
	unsigned int i;

	if (a->call != b->call || !tests_are(a, b))
		return false;
	for (i = 0; i < SECCOMP_ARGS; i++) {
		if (value_is(&a->args[i], &b->args[i]))
			continue;
		if (value || a->args[i].is_int != b->args[i].is_int)
			return false;
		value = &a->args[i];
		other = &b->args[i];
	}
	if (!value)
		return true;
	/* Descriptors and flags in a row are not a range. */
	if (a->nr_tests || value->is_int ||
	    (value->to != UINT64_MAX && value->to + 1 < other->from) ||
	    (other->to != UINT64_MAX && other->to + 1 < value->from))
		return false;
	value->from = MIN(value->from, other->from);
	value->to = MAX(value->to, other->to);
	return true;
}

/* What was merged may be merged again. */
static void rules_merge(struct seccomp_decoded *decoded)
{
	bool merged = true;
	unsigned int i, j;

	while (merged) {
		merged = false;
		for (i = 0; i < decoded->nr_rules; i++) {
			for (j = decoded->nr_rules - 1; j > i; j--) {
				if (!rule_merge(&decoded->rules[i], &decoded->rules[j]))
					continue;
				decoded->rules[j] = decoded->rules[--decoded->nr_rules];
				merged = true;
			}
		}
	}
}

/* The facts of this way are a rule. 0; -EOPNOTSUPP, -E2BIG. */
static int rule_add(struct decoder *decoder)
{
	struct seccomp_decoded *decoded = decoder->decoded;
	struct seccomp_allowed rule;
	struct range halves[2 * SECCOMP_ARGS];
	bool wrong = false;
	size_t i;
	int err;

	rule = (struct seccomp_allowed){.call = decoder->call};
	facts_hold(decoder, halves);
	for (i = 0; i < SECCOMP_ARGS; i++) {
		err = value_join(&halves[2 * i], &halves[2 * i + 1], &rule.args[i]);
		if (err)
			return err;
	}
	for (i = 0; i < decoder->nr_facts; i++) {
		const struct fact *fact = &decoder->facts[i];
		const unsigned int shift = fact->half % 2 ? 32 : 0;
		struct seccomp_test *test;

		if (!test_matters(&halves[fact->half], fact, &wrong))
			continue;
		if (rule.nr_tests == SECCOMP_TESTS_MAX)
			return -E2BIG;
		test = &rule.tests[rule.nr_tests++];
		test->arg = fact->half / 2;
		test->mask = (uint64_t)fact->mask << shift;
		test->value = (uint64_t)fact->value << shift;
		test->equal = fact->equal;
	}
	for (i = 0; i < decoded->nr_rules; i++)
		if (rule_merge(&decoded->rules[i], &rule))
			return 0;
	if (decoded->nr_rules == SECCOMP_RULES_MAX)
		return -E2BIG;
	decoded->rules[decoded->nr_rules++] = rule;
	return 0;
}

static int add_ending(struct seccomp_endings *endings, uint32_t action)
{
	unsigned int i;

	for (i = 0; i < endings->nr; i++)
		if (endings->actions[i] == action)
			return 0;
	if (endings->nr == SECCOMP_ENDINGS_MAX)
		return -E2BIG;
	endings->actions[endings->nr++] = action;
	return 0;
}

/*
 * Running.
 */

static int load(const struct decoder *decoder, uint32_t offset, struct accumulator *ret)
{
	const uint32_t args = offsetof(struct seccomp_data, args);

	*ret = (struct accumulator){.known = true};
	if (offset == offsetof(struct seccomp_data, nr))
		ret->value = decoder->call;
	else if (offset == offsetof(struct seccomp_data, arch))
		ret->value = decoder->arch;
	else if (offset >= args && offset < sizeof(struct seccomp_data) && offset % 4 == 0)
		*ret = (struct accumulator){.half = (offset - args) / 4, .mask = UINT32_MAX};
	else
		return -EINVAL;
	return 0;
}

/* Of a part of a call's number it would not hold what is said above of neighbours. */
static int mask(struct accumulator *acc, uint32_t k)
{
	if (acc->known)
		return -EOPNOTSUPP;
	acc->mask &= k;
	acc->known = !acc->mask; /* and value is 0 */
	return 0;
}

static bool is_taken(uint16_t op, uint32_t value, uint32_t k)
{
	switch (op) {
	case BPF_JEQ:
		return value == k;
	case BPF_JGT:
		return value > k;
	case BPF_JGE:
		return value >= k;
	default:
		return value & k;
	}
}

static int explore(struct decoder *decoder, unsigned int at, struct accumulator acc);

/* Takes a branch on an argument in one of its two ways, as far as that can be. */
static int explore_way(struct decoder *decoder, unsigned int at, const struct accumulator *acc,
		       bool taken)
{
	const struct sock_filter *insn = &decoder->insns[at];
	const uint16_t op = BPF_OP(insn->code);
	struct range halves[2 * SECCOMP_ARGS];
	int err = 0;

	/* Never of husk's filters. */
	if ((op == BPF_JGT || op == BPF_JGE) && acc->mask != UINT32_MAX)
		return -EOPNOTSUPP;
	if (!fact_make(&decoder->facts[decoder->nr_facts], acc, op, insn->k, taken))
		return 0;
	decoder->nr_facts++; /* one per instruction at most */
	if (facts_hold(decoder, halves))
		err = explore(decoder, at + 1 + (taken ? insn->jt : insn->jf), *acc);
	decoder->nr_facts--;
	return err;
}

static int explore_end(struct decoder *decoder, uint32_t action)
{
	if (action != SECCOMP_RET_ALLOW || decoder->arch != AUDIT_ARCH_X86_64)
		return add_ending(decoder->endings, action);
	return rule_add(decoder);
}

static int explore(struct decoder *decoder, unsigned int at, struct accumulator acc)
{
	int err = 0;

	for (; !err && at < decoder->nr; at++) {
		const struct sock_filter *insn = &decoder->insns[at];

		decoder->decoded->bad_at = at;
		if (decoder->steps++ == STEPS_MAX)
			return -E2BIG;
		switch (insn->code) {
		case BPF_LD | BPF_W | BPF_ABS:
			err = load(decoder, insn->k, &acc);
			break;
		case BPF_ALU | BPF_AND | BPF_K:
			err = mask(&acc, insn->k);
			break;
		case BPF_JMP | BPF_JA:
			at += MIN(insn->k, decoder->nr);
			break;
		case BPF_JMP | BPF_JEQ | BPF_K:
		case BPF_JMP | BPF_JGT | BPF_K:
		case BPF_JMP | BPF_JGE | BPF_K:
		case BPF_JMP | BPF_JSET | BPF_K:
			if (!acc.known) {
				err = explore_way(decoder, at, &acc, true);
				return err ? err : explore_way(decoder, at, &acc, false);
			}
			at += is_taken(BPF_OP(insn->code), acc.value, insn->k) ? insn->jt
									       : insn->jf;
			break;
		case BPF_RET | BPF_K:
			return explore_end(decoder, insn->k);
		default:
			return -EINVAL;
		}
	}
	return err ? err : -EINVAL; /* past its end */
}

static int run(struct decoder *decoder, uint32_t arch, uint32_t call,
	       struct seccomp_endings *endings)
{
	decoder->arch = arch;
	decoder->call = call;
	decoder->endings = endings;
	return explore(decoder, 0, (struct accumulator){.known = true});
}

/* Every number that can matter; the two architectures are all that an x86-64 kernel has. */
static int run_all(struct decoder *decoder)
{
	struct seccomp_decoded *decoded = decoder->decoded;
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < CALLS_MAX + 3 * decoder->nr; i++) {
		uint32_t call = i;
		bool is_x32;

		if (i >= CALLS_MAX)
			call = decoder->insns[(i - CALLS_MAX) / 3].k + (i - CALLS_MAX) % 3 - 1;
		/* -1 is what a tracer has the kernel skip. */
		is_x32 = call >= X32_BIT && call != UINT32_MAX;
		err = run(decoder, AUDIT_ARCH_X86_64, call, is_x32 ? &decoded->x32 : &decoded->own);
		if (!err)
			err = run(decoder, AUDIT_ARCH_I386, call, &decoded->alien);
	}
	return err;
}

static int compare_rules(const void *a, const void *b)
{
	const struct seccomp_allowed *x = a, *y = b;
	unsigned int i;

	if (x->call != y->call)
		return x->call < y->call ? -1 : 1;
	for (i = 0; i < SECCOMP_ARGS; i++)
		if (x->args[i].from != y->args[i].from)
			return x->args[i].from < y->args[i].from ? -1 : 1;
	return 0;
}

int seccomp_decode(const struct sock_filter *insns, unsigned int nr,
		   struct seccomp_decoded *ret_decoded)
{
	static struct decoder decoder; /* it is large */
	struct seccomp_decoded *decoded = ret_decoded;
	unsigned int i;
	int err;

	if (nr > BPF_MAXINSNS)
		return -EINVAL;
	memset(decoded, 0, sizeof(*decoded));
	decoder = (struct decoder){.insns = insns, .nr = nr, .decoded = decoded};
	err = run_all(&decoder);
	rules_merge(decoded);
	qsort(decoded->rules, decoded->nr_rules, sizeof(*decoded->rules), compare_rules);
	for (i = 0; i < decoded->nr_rules; i++)
		decoded->nr_calls += !i || decoded->rules[i].call != decoded->rules[i - 1].call;
	return err;
}
