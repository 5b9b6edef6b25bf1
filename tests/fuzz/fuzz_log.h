/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What husk logs while it is fuzzed: nothing of it is printed, and each line is checked. It must be
 * one line, with no character that could harm a terminal, and bounded. All fuzzers are linked so.
 */
#ifndef HUSK_TESTS_FUZZ_LOG_H
#define HUSK_TESTS_FUZZ_LOG_H

/* Lines logged since the last call. */
unsigned int fuzz_log_take(void);
/* The last of them, without its newline. */
const char *fuzz_log_last(void);

#endif
