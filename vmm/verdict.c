/* SPDX-License-Identifier: Apache-2.0 */
#include "verdict.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>

#include "util.h"

bool verdict_beats(enum verdict_kind a, enum verdict_kind b)
{
	if (b == VERDICT_NONE)
		return true;
	/* The guest is done, but nobody reads what it said last; the host waits no longer. */
	if (a >= VERDICT_TIMEOUT)
		return b < VERDICT_TIMEOUT;
	/* Init reports, then resets the machine; the reset may be seen first. */
	return a == VERDICT_EXIT && (b == VERDICT_RESET || b == VERDICT_POWER_OFF ||
				     b == VERDICT_HALT || b == VERDICT_CRASH);
}

/* The guest ended on its own side, without a word about the command. */
static int report_no_verdict(const struct verdict *verdict)
{
	static const char *const texts[] = {
		[VERDICT_RESET] = "the guest rebooted before the command ended",
		[VERDICT_POWER_OFF] = "the guest powered off before the command ended",
		[VERDICT_HALT] = "the guest halted before the command ended",
	};

	if (verdict->panic)
		log_error("the guest's kernel panicked: %s", verdict->panic);
	else if (verdict->kind == VERDICT_CRASH)
		log_error("%s; detail %#llx", vcpu_verdict_text(verdict->vcpu),
			  (unsigned long long)verdict->detail);
	else
		log_error("%s; --verbose shows the kernel's messages", texts[verdict->kind]);
	return STATUS_HUSK_FAILED;
}

static int report_output(const struct verdict *verdict)
{
	if (verdict->detail != EPIPE)
		log_error("cannot write the command's output: %s", strerror((int)verdict->detail));
	return verdict->detail == EPIPE ? 128 + SIGPIPE : STATUS_HUSK_FAILED;
}

static int report_run(const struct verdict *verdict)
{
	switch (verdict->kind) {
	case VERDICT_EXIT:
		if (verdict->text)
			/* Whatever it says, it is not husk that says it. */
			log_error("the guest says: %s", verdict->text);
		return verdict->status;
	case VERDICT_RESET:
	case VERDICT_POWER_OFF:
	case VERDICT_HALT:
	case VERDICT_CRASH:
		return report_no_verdict(verdict);
	case VERDICT_TIMEOUT:
		log_error("the command did not end within --timeout");
		return STATUS_TIMEOUT;
	case VERDICT_SIGNAL:
		return 128 + (int)verdict->detail;
	case VERDICT_QUIT:
		return 128 + SIGINT;
	case VERDICT_OUTPUT:
		return report_output(verdict);
	case VERDICT_NONE:
	case VERDICT_HOST:
		break;
	}
	return STATUS_HUSK_FAILED;
}

/* Firecracker: the guest's own end is 0, whatever it was about; a crash or a failure is 1. */
static int report_firecracker(const struct verdict *verdict)
{
	switch (verdict->kind) {
	case VERDICT_RESET:
	case VERDICT_POWER_OFF:
	case VERDICT_HALT:
		return 0;
	case VERDICT_SIGNAL:
		return 128 + (int)verdict->detail;
	case VERDICT_CRASH:
		report_no_verdict(verdict);
		return 1;
	default:
		return 1;
	}
}

int verdict_killed_run(int nr)
{
	return 128 + nr;
}

int verdict_killed_firecracker(int nr)
{
	switch (nr) {
	case SIGSYS:
		return 148;
	case SIGBUS:
		return 149;
	case SIGSEGV:
		return 150;
	case SIGXFSZ:
		return 151;
	case SIGXCPU:
		return 154;
	case SIGILL:
		return 157;
	default:
		return 128 + nr;
	}
}

int verdict_report(const struct verdict *verdict, bool firecracker)
{
	return firecracker ? report_firecracker(verdict) : report_run(verdict);
}
