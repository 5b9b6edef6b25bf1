/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "util.h"

#define BAR_WIDTH 40

void timeline_mark_at(struct timeline *timeline, const char *name, uint64_t ns)
{
	unsigned int at = timeline->nr_marks;

	if (at == TIMELINE_MARKS_MAX)
		return;
	/* Marks may come late: kept in order of time. */
	for (; at && timeline->marks[at - 1].ns > ns; at--)
		timeline->marks[at] = timeline->marks[at - 1];
	timeline->marks[at].name = name;
	timeline->marks[at].ns = ns;
	timeline->nr_marks++;
}

void timeline_begin(struct timeline *timeline)
{
	uint64_t now = clock_now_ns();
	struct timespec used;

	clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
	timeline_mark_at(timeline, "exec",
			 now - (uint64_t)used.tv_sec * 1000000000ull - (uint64_t)used.tv_nsec);
	timeline_mark_at(timeline, "husk starts", now);
}

void timeline_mark(struct timeline *timeline, const char *name)
{
	timeline_mark_at(timeline, name, clock_now_ns());
}

void timeline_print(const struct timeline *timeline)
{
	static const char bar[] = "########################################";
	uint64_t start, total, at, took;
	unsigned int i;
	int from, to;

	if (timeline->nr_marks < 2)
		return;
	start = timeline->marks[0].ns;
	total = MAX(timeline->marks[timeline->nr_marks - 1].ns - start, 1);
	fprintf(stderr, "%-28s %10s %10s\n", "step", "at ms", "took ms");
	for (i = 1; i < timeline->nr_marks; i++) {
		at = timeline->marks[i].ns - start;
		took = timeline->marks[i].ns - timeline->marks[i - 1].ns;
		from = (int)((at - took) * BAR_WIDTH / total);
		to = (int)(at * BAR_WIDTH / total);
		fprintf(stderr, "%-28s %10.3f %10.3f  %*s%.*s\n", timeline->marks[i].name,
			(double)at / 1e6, (double)took / 1e6, from, "", MAX(to - from, 1), bar);
	}
}
