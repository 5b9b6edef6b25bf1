/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the doctor and its test guest agree on; for C and assembler.
 */
#ifndef HUSK_DOCTOR_GUEST_H
#define HUSK_DOCTOR_GUEST_H

#define DOCTOR_GUEST_ADDR 0x100000
#define DOCTOR_DATA_ADDR 0x110000
#define DOCTOR_PORT 0x10

/* Steps, in order. */
#define DOCTOR_LONG_MODE 1
#define DOCTOR_BREAKPOINT 2
#define DOCTOR_CMPXCHG16B 3
#define DOCTOR_XSAVE 4
#define DOCTOR_MSRS 5
#define DOCTOR_USER_MODE 6
#define DOCTOR_DONE 7

#endif
