/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What each kind of thread may call, and why: tables, which seccomp.c makes into filters.
 *
 * Pure, and safe in signal handlers.
 */
#ifndef HUSK_SECCOMP_POLICY_H
#define HUSK_SECCOMP_POLICY_H

#include <stdbool.h>
#include <stdint.h>

#include "seccomp.h"

#define SECCOMP_CONDITIONS_MAX 3

/* In struct seccomp_rule, `use`: not a descriptor of seccomp_fds. */
enum { SECCOMP_NO_FD = -1, SECCOMP_VCPU_FD = -2 };

/* One condition. Arguments count from 0. */
struct seccomp_condition {
	enum seccomp_op {
		SECCOMP_OP_NONE,
		SECCOMP_OP_INT,		/* is `value`: 32 bits, for what the kernel takes as int */
		SECCOMP_OP_WORD,	/* is `value`: all 64 bits */
		SECCOMP_OP_BELOW_SIZE,	/* less than the descriptor's size */
		SECCOMP_OP_UP_TO_SIZE,	/* at most the descriptor's size */
		SECCOMP_OP_OWN_PROCESS, /* is the caller's PID when the filter was made */
	} op;
	unsigned int arg;
	uint64_t value;
};

/* One form of a call that is allowed; a rule with a use stands for each descriptor of that use. */
struct seccomp_rule {
	unsigned int kinds; /* bit: enum seccomp_kind */
	unsigned int call;  /* SYS_... */
	int use;	    /* what argument 0 is */
	struct seccomp_condition conditions[SECCOMP_CONDITIONS_MAX];
	const char *why;
};

extern const struct seccomp_rule seccomp_policy[];
extern const unsigned int seccomp_policy_nr;

/* How a call is written. */
struct seccomp_form {
	unsigned int call;
	unsigned int nr_args;
	bool has_fd; /* as argument 0 */
};

/* For calls of the policy; others are taken to have six arguments and no descriptor. */
const struct seccomp_form *seccomp_call_form(uint64_t call);

/* The name of a value that an argument may have; NULL: it has none. */
const char *seccomp_constant_name(uint64_t call, unsigned int arg, uint64_t value);

/* The name of an x86-64 system call; "?" for a number that has none. */
const char *seccomp_call_name(uint64_t call);

#endif
