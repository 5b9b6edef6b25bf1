/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How a VM ended, and what husk's exit status and last words are for it.
 *
 * verdict_report logs; the rest is silent and pure.
 */
#ifndef HUSK_VERDICT_H
#define HUSK_VERDICT_H

#include <stdbool.h>
#include <stdint.h>

#include "vcpu.h"

#define STATUS_TIMEOUT 124
#define STATUS_HUSK_FAILED 125

enum verdict_kind {
	VERDICT_NONE,
	/* The guest's side. */
	VERDICT_EXIT,	   /* the command ended: status, text */
	VERDICT_RESET,	   /* the guest reset itself */
	VERDICT_POWER_OFF, /* the guest powered off */
	VERDICT_HALT,	   /* the guest's kernel halted */
	VERDICT_CRASH,	   /* a vCPU cannot go on: vcpu, detail */
	/* The host's side. */
	VERDICT_TIMEOUT, /* --timeout passed */
	VERDICT_SIGNAL,	 /* husk was told to end: detail is the signal */
	VERDICT_QUIT,	 /* the user typed the escape sequence */
	VERDICT_OUTPUT,	 /* standard output or error cannot be written: detail is the errno */
	VERDICT_HOST,	 /* something of the host's failed, and was logged */
};

struct verdict {
	enum verdict_kind kind;
	uint8_t status;	   /* VERDICT_EXIT */
	const char *text;  /* VERDICT_EXIT: why it is not the command's own; else NULL. Borrowed. */
	const char *panic; /* the guest kernel's panic message, or NULL. Borrowed. */
	enum vcpu_verdict vcpu;
	uint64_t detail;
};

/* A later verdict wins over an earlier one only if it says more: `a` over `b`. */
bool verdict_beats(enum verdict_kind a, enum verdict_kind b);

/* The exit status for a VM whose process signal `nr` killed. */
int verdict_killed_run(int nr);
int verdict_killed_firecracker(int nr);

/* Logs what there is to say and returns husk's exit status: of husk run, or as Firecracker has it.
 */
int verdict_report(const struct verdict *verdict, bool firecracker);

#endif
