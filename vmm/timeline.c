/* SPDX-License-Identifier: Apache-2.0 */
#include "timeline.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define BAR_WIDTH 40
#define LINE_MAX_BYTES 160

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

/* By write: streams of the C library would make calls that the filters forbid by now. */
static void __attribute__((format(printf, 1, 2))) print_line(const char *fmt, ...)
{
	char line[LINE_MAX_BYTES];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line), fmt, args);
	va_end(args);
	if (len > 0 && write(STDERR_FILENO, line, MIN((size_t)len, sizeof(line) - 1)) < 0)
		return; /* nobody reads it */
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
	print_line("%-28s %10s %10s\n", "step", "at ms", "took ms");
	for (i = 1; i < timeline->nr_marks; i++) {
		at = timeline->marks[i].ns - start;
		took = timeline->marks[i].ns - timeline->marks[i - 1].ns;
		from = (int)((at - took) * BAR_WIDTH / total);
		to = (int)(at * BAR_WIDTH / total);
		print_line("%-28s %10.3f %10.3f  %*s%.*s\n", timeline->marks[i].name,
			   (double)at / 1e6, (double)took / 1e6, from, "", MAX(to - from, 1), bar);
	}
}
