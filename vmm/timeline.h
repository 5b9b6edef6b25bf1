/* SPDX-License-Identifier: Apache-2.0 */
/*
 * When things happened in one run: the boot waterfall of --timing.
 *
 * timeline_print writes to standard error; the rest is silent. For the main thread.
 */
#ifndef HUSK_TIMELINE_H
#define HUSK_TIMELINE_H

#include <stdint.h>

#define TIMELINE_MARKS_MAX 32

struct timeline {
	struct {
		const char *name; /* borrowed */
		uint64_t ns;	  /* CLOCK_MONOTONIC */
	} marks[TIMELINE_MARKS_MAX];
	unsigned int nr_marks;
};

/*
 * Starts the clock where the program was started: by the time the process has had a CPU since, so
 * without what it waited for one. To be called first in main.
 */
void timeline_begin(struct timeline *timeline);

/* The step called `name` ended now, or at `ns`. The first mark is where the clock starts. */
void timeline_mark(struct timeline *timeline, const char *name);
void timeline_mark_at(struct timeline *timeline, const char *name, uint64_t ns);

/* One line per step: when it ended, how long it took, a bar. */
void timeline_print(const struct timeline *timeline);

#endif
