/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A device of QEMU's microvm machine, in a process of its own, which ends with this one at the
 * latest. Its vCPU stands still; the driver is outside. It reaches registers through the protocol
 * of QEMU's own tests (qtest: lines of text), and kicks by QEMU's own ioeventfds, so that the
 * device is woken as by a guest. That takes KVM, but nothing that KVM could not do: no guest runs.
 */
#ifndef HUSK_BENCH_QEMU_H
#define HUSK_BENCH_QEMU_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "virtio.h"

struct driver;

struct qemu {
	pid_t pid;
	clockid_t clock;
	int socket;
	struct virtio_device registers; /* stands for the device in the fake guest */
};

/* One queue; three, of which the third, for control, is not used. */
enum qemu_device { QEMU_DISK, QEMU_NET };

/*
 * Starts QEMU with the options that make a device and what is behind it, and sets the device up.
 * Only `features` are accepted; `fd` (-1: none) is known to QEMU by the same number, and not taken.
 * False if QEMU or KVM is not there: then the driver is still to be stopped.
 */
bool qemu_start(struct driver *driver, enum qemu_device kind, const char *backend_option,
		const char *backend, const char *device, int fd, uint64_t features);
void qemu_stop(struct driver *driver);

#endif
