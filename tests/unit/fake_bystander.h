/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A second device of a fake guest: a disk that an attack on the first device is not about. It
 * shares the guest's RAM and the event loop, and has to go on working whatever the first went
 * through.
 *
 * As in fake_guest.h, what fails in here ends the process.
 */
#ifndef HUSK_TESTS_FAKE_BYSTANDER_H
#define HUSK_TESTS_FAKE_BYSTANDER_H

#include "fake_guest.h"

struct blk;

struct fake_bystander {
	struct fake_guest guest; /* a driver of its own; RAM and loop are the first device's */
	struct blk *blk;
	gpa_t header, data, status;
	uint64_t requests;
};

/* Makes the disk beside the device of `guest` and starts it. */
void fake_bystander_init(struct fake_bystander *bystander, struct fake_guest *guest);
/* Before fake_guest_fini of the first. */
void fake_bystander_fini(struct fake_bystander *bystander);

/* Reads the next sector: it has to arrive, with the right contents and an interrupt. */
void fake_bystander_works(struct fake_bystander *bystander);

#endif
