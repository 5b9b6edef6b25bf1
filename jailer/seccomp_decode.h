/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a filter allows, read back from its program.
 *
 * Silent.
 */
#ifndef HUSK_SECCOMP_DECODE_H
#define HUSK_SECCOMP_DECODE_H

#include <stdbool.h>
#include <stdint.h>

struct sock_filter;

#define SECCOMP_ARGS 6
#define SECCOMP_RULES_MAX 2048
#define SECCOMP_TESTS_MAX 4   /* in one rule */
#define SECCOMP_ENDINGS_MAX 8 /* actions that are not "allow" */

/* An argument is from..to; `is_int`: in its lower 32 bits, and the upper ones may be anything. */
struct seccomp_value {
	uint64_t from, to;
	bool is_int;
};

/* (argument & mask) is, or is not, value: what no range can say. */
struct seccomp_test {
	unsigned int arg;
	uint64_t mask, value;
	bool equal;
};

struct seccomp_allowed {
	uint32_t call;
	struct seccomp_value args[SECCOMP_ARGS];
	struct seccomp_test tests[SECCOMP_TESTS_MAX];
	unsigned int nr_tests;
};

/* The kernel's actions (SECCOMP_RET_...) on what is not allowed. */
struct seccomp_endings {
	uint32_t actions[SECCOMP_ENDINGS_MAX];
	unsigned int nr;
};

struct seccomp_decoded {
	/* By number, then by arguments. */
	struct seccomp_allowed rules[SECCOMP_RULES_MAX];
	unsigned int nr_rules, nr_calls;
	/* All other calls: of this machine, of x32, of other machines (allowed ones as well). */
	struct seccomp_endings own, x32, alien;
	unsigned int bad_at; /* on error: the instruction that cannot be decoded */
};

/*
 * Decodes a program. 0; -EINVAL: not a valid one; -EOPNOTSUPP, -E2BIG: it is none that husk
 * makes. *ret_decoded is large. For one thread.
 */
int seccomp_decode(const struct sock_filter *insns, unsigned int nr,
		   struct seccomp_decoded *ret_decoded);

#endif
