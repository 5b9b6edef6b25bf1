/* SPDX-License-Identifier: Apache-2.0 */
/* What cgroup.c reads; what it does needs a host, and is in tests/jail. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>

#include "cgroup.h"

#define V1(path, options) \
	"33 30 0:28 / " path " rw,nosuid shared:9 - cgroup cgroup rw," options "\n"
#define V2(path) "30 24 0:26 / " path " rw,nosuid - cgroup2 cgroup2 rw,nsdelegate\n"

static void words(void **state)
{
	(void)state;
	assert_true(cgroup_has_word("cpuset cpu io\n", ' ', "cpu"));
	assert_true(cgroup_has_word("cpuset cpu io\n", ' ', "cpuset"));
	assert_true(cgroup_has_word("cpuset cpu io\n", ' ', "io"));
	assert_true(cgroup_has_word("io", ' ', "io"));
	assert_false(cgroup_has_word("cpuset cpuacct io\n", ' ', "cpu"));
	assert_false(cgroup_has_word("cpuset io", ' ', "set"));
	assert_false(cgroup_has_word("", ' ', "cpu"));
	assert_false(cgroup_has_word("\n", ' ', "cpu"));
	assert_true(cgroup_has_word("rw,cpu,cpuacct", ',', "cpuacct"));
	assert_false(cgroup_has_word("rw cpu", ',', "cpu"));
}

static void version_1(void **state)
{
	char path[PATH_MAX] = "untouched";

	(void)state;
	assert_false(cgroup_parse_mount(V1("/a", "cpuset"), 1, "cpu", path));
	assert_false(cgroup_parse_mount(V2("/a"), 1, "cpu", path));
	assert_string_equal(path, "untouched");
	assert_true(cgroup_parse_mount(V1("/sys/fs/cgroup/cpu", "cpu"), 1, "cpu", path));
	assert_string_equal(path, "/sys/fs/cgroup/cpu");
	/* Two controllers in one hierarchy. */
	assert_true(cgroup_parse_mount(V1("/b", "cpu,cpuacct"), 1, "cpu", path));
	assert_true(cgroup_parse_mount(V1("/c", "cpu,cpuacct"), 1, "cpuacct", path));
	assert_string_equal(path, "/c");
	/* A named hierarchy has no controller, whatever its name. */
	assert_false(cgroup_parse_mount(V1("/d", "name=cpu"), 1, "cpu", path));
}

static void version_2(void **state)
{
	char path[PATH_MAX];

	(void)state;
	assert_true(cgroup_parse_mount(V2("/sys/fs/cgroup/unified"), 2, NULL, path));
	assert_string_equal(path, "/sys/fs/cgroup/unified");
	assert_false(cgroup_parse_mount(V1("/a", "cpu"), 2, NULL, path));
	assert_false(cgroup_parse_mount("1 2 0:3 / /x rw - cgroup2fs a rw\n", 2, NULL, path));
}

static void paths_are_unescaped(void **state)
{
	char path[PATH_MAX];

	(void)state;
	assert_true(cgroup_parse_mount(V2("/my\\040cgroups\\134x\\011"), 2, NULL, path));
	assert_string_equal(path, "/my cgroups\\x\t");
	/* A path that looks like the end of the fields. */
	assert_true(cgroup_parse_mount(V2("/a\\040-\\040cgroup"), 2, NULL, path));
	assert_string_equal(path, "/a - cgroup");
	/* Cut off. */
	assert_true(cgroup_parse_mount(V2("/a\\04"), 2, NULL, path));
	assert_string_equal(path, "/a\\04");
}

static void lines_that_are_none(void **state)
{
	static const char *const lines[] = {
		"",
		"\n",
		" - ",
		" - cgroup2 ",
		"1 2 3 4",
		"1 2 3 4 5 6",
		"1 2 3 / - cgroup2 cgroup2 rw\n",
		"1 2 - cgroup2 3 4 5 6 7\n",
		"30 24 0:26 / /proc rw - proc proc rw\n",
	};
	static char line[2 * PATH_MAX];
	char path[PATH_MAX] = "untouched";
	size_t i;

	(void)state;
	for (i = 0; i < sizeof(lines) / sizeof(lines[0]); i++) {
		assert_false(cgroup_parse_mount(lines[i], 2, NULL, path));
		assert_false(cgroup_parse_mount(lines[i], 1, "cpu", path));
	}
	/* One that would not fit. */
	strcpy(line, "1 2 0:3 / /");
	memset(line + strlen(line), 'x', PATH_MAX);
	strcat(line, " rw - cgroup2 cgroup2 rw\n");
	assert_false(cgroup_parse_mount(line, 2, NULL, path));
	assert_string_equal(path, "untouched");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(words),
		cmocka_unit_test(version_1),
		cmocka_unit_test(version_2),
		cmocka_unit_test(paths_are_unescaped),
		cmocka_unit_test(lines_that_are_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
