/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The driver's side of a device that works by itself: husk's on a thread of this process, or QEMU's
 * in a process of its own (qemu.h). Rings lie in memory that both see; one kick and one interrupt
 * go with each batch of requests. What a device costs is the CPU time of all threads but the
 * driver's.
 *
 * What fails in here ends the process, as in fake_guest.h.
 */
#ifndef HUSK_BENCH_DRIVER_H
#define HUSK_BENCH_DRIVER_H

#include <pthread.h>
#include <stdint.h>
#include <time.h>

#include "fake_guest.h"
#include "qemu.h"

#define QUEUE_SIZE 256
#define DRIVER_RAM_SIZE MIB(32)

struct driver {
	struct fake_guest guest;
	int ram_fd;
	char *ram;
	gpa_t next;			    /* free memory in it */
	uint16_t kicked[VIRTIO_QUEUES_MAX]; /* what was available at the last kick */
	int kick_fds[VIRTIO_QUEUES_MAX];    /* eventfds; of husk borrowed, of QEMU our own */
	pthread_t thread;		    /* husk's loop */
	struct qemu qemu;		    /* pid 0: husk */
};

uint64_t now_ns(clockid_t clock);

void driver_init(struct driver *driver);
/* Ends the device's thread or process, if there is one. husk's is then to be destroyed. */
void driver_stop(struct driver *driver);
void driver_fini(struct driver *driver);

/* Sets up husk's device, taking all features but `without`, and has it run. */
void driver_start(struct driver *driver, struct virtio_device *virtio, uint64_t without);

gpa_t driver_alloc(struct driver *driver, uint64_t size);

/*
 * A batch: driver_expect asks for one interrupt, after `nr` answers; then fake_publish; driver_kick
 * kicks if the device wants it. driver_wait: the answers are there, or (false) a millisecond
 * passed.
 */
void driver_expect(struct driver *driver, unsigned int index, unsigned int nr);
void driver_kick(struct driver *driver, unsigned int index);
bool driver_wait(struct driver *driver, unsigned int index, unsigned int nr);

/* What the device took so far. */
uint64_t driver_cpu_ns(const struct driver *driver);

#endif
