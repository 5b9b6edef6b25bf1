/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "timeline.h"

#include <stdio.h>

static void late_marks_are_put_in_order(void **state)
{
	static const uint64_t times[] = {100, 300, 200, 200, 50, 400};
	static const char *const names[] = {"a", "c", "b", "b2", "first", "d"};
	static const char *const order[] = {"first", "a", "b", "b2", "c", "d"};
	struct timeline timeline = {.nr_marks = 0};
	unsigned int i;

	(void)state;
	for (i = 0; i < 6; i++)
		timeline_mark_at(&timeline, names[i], times[i]);
	timeline_mark(&timeline, "now");
	assert_int_equal(timeline.nr_marks, 7);
	for (i = 0; i < 6; i++)
		assert_string_equal(timeline.marks[i].name, order[i]);
	assert_string_equal(timeline.marks[6].name, "now");
	assert_true(timeline.marks[6].ns > 400);
}

static void too_many_marks_are_dropped(void **state)
{
	struct {
		struct timeline timeline;
		uint64_t canary;
	} guarded = {.canary = 0x5a5a};
	unsigned int i;

	(void)state;
	for (i = 0; i < 3 * TIMELINE_MARKS_MAX; i++)
		timeline_mark_at(&guarded.timeline, i < TIMELINE_MARKS_MAX ? "kept" : "late",
				 100 - i);
	assert_int_equal(guarded.timeline.nr_marks, TIMELINE_MARKS_MAX);
	for (i = 0; i < TIMELINE_MARKS_MAX; i++)
		assert_string_equal(guarded.timeline.marks[i].name, "kept");
	assert_int_equal(guarded.canary, 0x5a5a);
}

static void print(const struct timeline *timeline, struct capture *capture)
{
	capture_begin(capture, STDERR_FILENO);
	timeline_print(timeline);
	fflush(stderr);
	capture_end(capture);
}

static void one_line_for_each_step(void **state)
{
	struct timeline timeline = {.nr_marks = 0};
	struct capture capture;
	char name[32];
	double at, took;
	const char *line;

	(void)state;
	print(&timeline, &capture);
	assert_string_equal(capture.text, "");
	timeline_mark_at(&timeline, "start", 5000000000);
	print(&timeline, &capture);
	assert_string_equal(capture.text, "");
	timeline_mark_at(&timeline, "kernel", 5001500000);
	timeline_mark_at(&timeline, "init", 5002000000);
	print(&timeline, &capture);
	assert_int_equal(capture_lines(&capture), 3);
	line = strstr(capture.text, "kernel");
	assert_non_null(line);
	assert_int_equal(sscanf(line, "%31s %lf %lf", name, &at, &took), 3);
	assert_true(at > 1.499 && at < 1.501 && took > 1.499 && took < 1.501);
	line = strstr(capture.text, "init");
	assert_non_null(line);
	assert_int_equal(sscanf(line, "%31s %lf %lf", name, &at, &took), 3);
	assert_true(at > 1.999 && at < 2.001 && took > 0.499 && took < 0.501);
	/* Three quarters of the width, then the last quarter. */
	assert_non_null(strstr(capture.text, "1.500  ##############################\n"));
	assert_non_null(strstr(capture.text, "0.500                                ##########\n"));
	/* All at once. */
	timeline.nr_marks = 0;
	timeline_mark_at(&timeline, "a", 7);
	timeline_mark_at(&timeline, "b", 7);
	print(&timeline, &capture);
	assert_int_equal(capture_lines(&capture), 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(late_marks_are_put_in_order),
		cmocka_unit_test(too_many_marks_are_dropped),
		cmocka_unit_test(one_line_for_each_step),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
