/* SPDX-License-Identifier: Apache-2.0 */
/*
 * husk doctor: can this host run guests, and if not, exactly why and what to do.
 *
 * Writes its findings to standard output.
 */
#ifndef HUSK_DOCTOR_H
#define HUSK_DOCTOR_H

#include <stdbool.h>

/*
 * Looks at everything husk needs of the host. The exit status: 0 only if a guest can run. With
 * `quiet`, prints the verdict alone.
 */
int doctor_run(bool quiet);

#endif
