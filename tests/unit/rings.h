/* SPDX-License-Identifier: Apache-2.0 */
/* Whether this kernel gives a program an io_uring. */
#ifndef HUSK_TESTS_RINGS_H
#define HUSK_TESTS_RINGS_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blk_ring.h"

/* False, with a word why, where the kernel has no ring for us: old, or forbidden (containers). */
static inline bool rings_work(void)
{
	struct blk_ring *ring;
	int fd = memfd_create("probe", MFD_CLOEXEC);
	int err = blk_ring_create(fd, false, 1, &ring);

	close(fd);
	if (err)
		printf("no io_uring here: %s; skipped\n", strerror(-err));
	else
		blk_ring_destroy(ring);
	return !err;
}

#endif
