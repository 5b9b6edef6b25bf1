/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "verdict.h"

#include <errno.h>
#include <signal.h>

#include "util.h"

static void status_and_last_words(void **state)
{
	static const struct {
		struct verdict verdict;
		int run, firecracker;
		const char *text; /* of husk run's one line; NULL: it says nothing */
		bool told;	  /* Firecracker's mode says something, too */
	} cases[] = {
		{{.kind = VERDICT_EXIT, .status = 0}, 0, 1, NULL, false},
		{{.kind = VERDICT_EXIT, .status = 255}, 255, 1, NULL, false},
		{{.kind = VERDICT_EXIT, .status = 127, .text = "no such file"},
		 127,
		 1,
		 "the guest says: no such file",
		 false},
		{{.kind = VERDICT_RESET}, 125, 0, "rebooted", false},
		{{.kind = VERDICT_POWER_OFF}, 125, 0, "powered off", false},
		{{.kind = VERDICT_HALT}, 125, 0, "halted", false},
		{{.kind = VERDICT_RESET, .panic = "no root"}, 125, 0, "panicked: no root", false},
		{{.kind = VERDICT_CRASH, .vcpu = VCPU_TRIPLE_FAULT}, 125, 1, "triple fault", true},
		{{.kind = VERDICT_CRASH, .vcpu = VCPU_ENTRY_FAILED, .detail = 0x21},
		 125,
		 1,
		 "0x21",
		 true},
		{{.kind = VERDICT_CRASH, .vcpu = VCPU_INTERNAL_ERROR}, 125, 1, "doctor", true},
		{{.kind = VERDICT_CRASH, .vcpu = VCPU_KVM_ERROR, .panic = "odd"},
		 125,
		 1,
		 "panicked: odd",
		 true},
		{{.kind = VERDICT_TIMEOUT}, 124, 1, "--timeout", false},
		{{.kind = VERDICT_SIGNAL, .detail = SIGTERM}, 143, 143, NULL, false},
		{{.kind = VERDICT_SIGNAL, .detail = SIGHUP}, 129, 129, NULL, false},
		{{.kind = VERDICT_QUIT}, 130, 1, NULL, false},
		{{.kind = VERDICT_OUTPUT, .detail = EPIPE}, 141, 1, NULL, false},
		{{.kind = VERDICT_OUTPUT, .detail = ENOSPC}, 125, 1, "No space left", false},
		{{.kind = VERDICT_HOST}, 125, 1, NULL, false},
		{{.kind = VERDICT_NONE}, 125, 1, NULL, false},
	};
	struct capture capture;
	size_t i;
	int status;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		capture_begin(&capture, STDERR_FILENO);
		status = verdict_report(&cases[i].verdict, false);
		capture_end(&capture);
		assert_int_equal(status, cases[i].run);
		assert_int_equal(capture_lines(&capture), cases[i].text ? 1 : 0);
		if (cases[i].text)
			assert_non_null(strstr(capture.text, cases[i].text));
		capture_begin(&capture, STDERR_FILENO);
		status = verdict_report(&cases[i].verdict, true);
		capture_end(&capture);
		assert_int_equal(status, cases[i].firecracker);
		assert_int_equal(capture_lines(&capture), cases[i].told);
	}
}

/* Row over column. */
static void which_verdict_wins(void **state)
{
	static const char *const wins[] = {
		/* b:              NERPHCTSQOH */
		[VERDICT_NONE] = "1----------",	   [VERDICT_EXIT] = "1-1111-----",
		[VERDICT_RESET] = "1----------",   [VERDICT_POWER_OFF] = "1----------",
		[VERDICT_HALT] = "1----------",	   [VERDICT_CRASH] = "1----------",
		[VERDICT_TIMEOUT] = "111111-----", [VERDICT_SIGNAL] = "111111-----",
		[VERDICT_QUIT] = "111111-----",	   [VERDICT_OUTPUT] = "111111-----",
		[VERDICT_HOST] = "111111-----",
	};
	enum verdict_kind a, b;

	(void)state;
	for (a = VERDICT_NONE; a <= VERDICT_HOST; a++)
		for (b = VERDICT_NONE; b <= VERDICT_HOST; b++)
			assert_int_equal(verdict_beats(a, b), wins[a][b] == '1');
}

static void a_killed_process(void **state)
{
	static const struct {
		int signal, firecracker;
	} cases[] = {{SIGSYS, 148},  {SIGBUS, 149}, {SIGSEGV, 150}, {SIGXFSZ, 151},
		     {SIGXCPU, 154}, {SIGILL, 157}, {SIGKILL, 137}};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		assert_int_equal(verdict_killed_run(cases[i].signal), 128 + cases[i].signal);
		assert_int_equal(verdict_killed_firecracker(cases[i].signal), cases[i].firecracker);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(status_and_last_words),
		cmocka_unit_test(which_verdict_wins),
		cmocka_unit_test(a_killed_process),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
