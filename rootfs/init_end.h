/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The end of the machine, the only one: PID 1 must never return or exit, as that is a kernel
 * panic. One thread.
 */
#ifndef HUSK_INIT_END_H
#define HUSK_INIT_END_H

#include <stdint.h>

/*
 * End every process, make the disks clean, give husk the verdict (to the kernel log where the
 * link is not open), power off.
 *
 * text is for the user, one line without a newline; "" where the command itself ended.
 */
_Noreturn void machine_end(uint8_t status, const char *text);

/* machine_end because init cannot go on: status 125 and what went wrong. */
_Noreturn void give_up(const char *format, ...) __attribute__((format(printf, 1, 2)));

#endif
