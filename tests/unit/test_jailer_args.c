/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"

#include <errno.h>
#include <stdio.h>
#include <sys/resource.h>

#include "jailer_args.h"
#include "util.h"

#define NEEDED "--exec-file", "/bin/husk", "--uid", "123", "--gid", "100", "--id", "vm-1"

static struct jail_spec spec;
static enum jailer_action action;

/* Parses what is given after the program's name; captures what is logged. */
static int parse(struct capture *capture, char *const words[])
{
	char *argv[256] = {"husk-jailer"};
	int argc = 1, err;

	for (; words[argc - 1]; argc++)
		argv[argc] = words[argc - 1];
	capture_begin(capture, STDERR_FILENO);
	err = jailer_args_parse(argc, argv, &spec, &action);
	capture_end(capture);
	return err;
}

#define WORDS(...) \
	(char *const[]) \
	{ \
		__VA_ARGS__, NULL \
	}

static void accepts(char *const words[])
{
	static struct capture capture;

	if (parse(&capture, words))
		fail_msg("refused: %s", capture.text);
	assert_string_equal(capture.text, "");
}

/* One line, which names the flag. */
static void refuses(const char *text, char *const words[])
{
	static struct capture capture;

	assert_int_equal(parse(&capture, words), -EINVAL);
	if (!strstr(capture.text, text) || capture_lines(&capture) != 1)
		fail_msg("\"%s\" is not in: %s", text, capture.text);
}

static void defaults(void **state)
{
	(void)state;
	accepts(WORDS(NEEDED));
	assert_int_equal(action, JAILER_RUN);
	assert_string_equal(spec.exec_file, "/bin/husk");
	assert_string_equal(spec.id, "vm-1");
	assert_string_equal(spec.base, "/srv/jailer");
	assert_int_equal(spec.uid, 123);
	assert_int_equal(spec.gid, 100);
	assert_int_equal(spec.cgroup_version, 1);
	assert_null(spec.netns);
	assert_null(spec.parent_cgroup);
	assert_false(spec.daemonize || spec.new_pid_ns || spec.keep);
	assert_int_equal(spec.nr_cgroups + spec.nr_limits + spec.nr_writables + spec.nr_args, 0);
}

static void every_flag(void **state)
{
	(void)state;
	accepts(WORDS(NEEDED, "--chroot-base-dir", "/b", "--netns=/n=1", "--daemonize",
		      "--new-pid-ns", "--keep", "--cgroup", "cpu.shares=10", "--cgroup",
		      "io.max=8:0 rbps=1", "--cgroup-version", "2", "--parent-cgroup", "a/b..c",
		      "--resource-limit", "no-file=5", "--resource-limit",
		      "fsize=18446744073709551615", "--writable", "/x/y", "--writable", "z", "--",
		      "--id", "other", "--"));
	assert_string_equal(spec.base, "/b");
	assert_string_equal(spec.netns, "/n=1");
	assert_true(spec.daemonize && spec.new_pid_ns && spec.keep);
	assert_int_equal(spec.nr_cgroups, 2);
	assert_string_equal(spec.cgroups[0].file, "cpu.shares");
	assert_string_equal(spec.cgroups[0].value, "10");
	assert_string_equal(spec.cgroups[1].file, "io.max");
	assert_string_equal(spec.cgroups[1].value, "8:0 rbps=1");
	assert_int_equal(spec.cgroup_version, 2);
	assert_string_equal(spec.parent_cgroup, "a/b..c");
	assert_int_equal(spec.nr_limits, 2);
	assert_int_equal(spec.limits[0].resource, RLIMIT_NOFILE);
	assert_int_equal(spec.limits[0].value, 5);
	assert_int_equal(spec.limits[1].resource, RLIMIT_FSIZE);
	assert_true(spec.limits[1].value == UINT64_MAX);
	assert_int_equal(spec.nr_writables, 2);
	assert_string_equal(spec.writables[0], "x/y");
	assert_string_equal(spec.writables[1], "z");
	assert_string_equal(spec.id, "vm-1");
	assert_int_equal(spec.nr_args, 3);
	assert_string_equal(spec.args[0], "--id");
	assert_string_equal(spec.args[2], "--");
}

static void every_limit_by_its_name(void **state)
{
	static const struct {
		char *text;
		int resource;
	} limits[] = {
		{"as=1", RLIMIT_AS},
		{"core=1", RLIMIT_CORE},
		{"cpu=1", RLIMIT_CPU},
		{"data=1", RLIMIT_DATA},
		{"fsize=1", RLIMIT_FSIZE},
		{"locks=1", RLIMIT_LOCKS},
		{"memlock=1", RLIMIT_MEMLOCK},
		{"msgqueue=1", RLIMIT_MSGQUEUE},
		{"nice=1", RLIMIT_NICE},
		{"no-file=1", RLIMIT_NOFILE},
		{"nproc=1", RLIMIT_NPROC},
		{"rss=1", RLIMIT_RSS},
		{"rtprio=1", RLIMIT_RTPRIO},
		{"rttime=1", RLIMIT_RTTIME},
		{"sigpending=1", RLIMIT_SIGPENDING},
		{"stack=1", RLIMIT_STACK},
	};
	size_t i;

	(void)state;
	assert_int_equal(ARRAY_SIZE(limits), RLIMIT_NLIMITS);
	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		accepts(WORDS(NEEDED, "--resource-limit", limits[i].text));
		assert_int_equal(spec.limits[0].resource, limits[i].resource);
	}
}

static void ids(void **state)
{
	static char long_id[66];
	static char *const bad[] = {"", ".", "..", "a/b", "a b", "a_b", "a.b", "\303\244", "a\n"};
	size_t i;

	(void)state;
	memset(long_id, 'x', 65);
	refuses("--id", WORDS("--id", long_id));
	long_id[64] = '\0';
	accepts(WORDS("--exec-file", "x", "--uid", "1", "--gid", "1", "--id", long_id));
	accepts(WORDS("--exec-file", "x", "--uid", "1", "--gid", "1", "--id", "-a-0Z"));
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		refuses("--id", WORDS("--id", bad[i]));
}

static void bad_values(void **state)
{
	static const struct {
		char *flag;
		char *values[12];
	} bad[] = {
		{"--uid", {"", "-1", "x", "1x", "4294967295", "4294967296", " 1"}},
		{"--gid", {"", "-1", "x", "4294967295"}},
		{"--cgroup-version", {"", "0", "3", "11", "2 "}},
		{"--cgroup",
		 {"", "a", "a.b", "a.b=", "=x", "ab=x", ".a=x", "a/b.c=x", "../a.b=x", "a..b=x"}},
		{"--parent-cgroup",
		 {"", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "../a", "a/."}},
		{"--resource-limit",
		 {"", "fsize", "fsize=", "fsize=x", "=1", "no=1", "no-filex=1"}},
		{"--writable",
		 {"", "/", "..", "a/..", "a//b", "a/", "//a", "dev", "/dev", "dev/net"}},
		{"--chroot-base-dir", {""}},
		{"--exec-file", {""}},
		{"--netns", {""}},
	};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		for (k = 0; bad[i].values[k]; k++)
			refuses(bad[i].flag, WORDS(bad[i].flag, bad[i].values[k]));
}

static void bad_command_lines(void **state)
{
	(void)state;
	refuses("--exec-file is missing", WORDS("--gid", "1"));
	refuses("--gid is missing", WORDS("--exec-file", "x"));
	refuses("--id is missing", WORDS("--exec-file", "x", "--gid", "1"));
	refuses("--uid is missing", WORDS("--exec-file", "x", "--gid", "1", "--id", "a"));
	refuses("--uid is missing",
		WORDS("--exec-file", "x", "--gid", "1", "--id", "a", "--", "--uid", "1"));
	refuses("--id is given twice", WORDS("--id", "a", "--id", "a"));
	refuses("--keep is given twice", WORDS("--keep", "--keep"));
	refuses("value is missing", WORDS("--id"));
	refuses("value is missing", WORDS("--id", "--uid", "1"));
	refuses("value is missing", WORDS("--netns", "--", "x"));
	refuses("unknown argument \"--keep=1\"", WORDS("--keep=1"));
	refuses("unknown argument \"--i\"", WORDS("--i", "a"));
	refuses("unknown argument \"--idx\"", WORDS("--idx", "a"));
	refuses("unknown argument \"vm\"", WORDS("vm"));
	refuses("unknown argument \"\"", WORDS(""));
}

static void too_many(void **state)
{
	static char *const flags[][2] = {
		{"--cgroup", "a.b=1"}, {"--resource-limit", "cpu=1"}, {"--writable", "x"}};
	char *words[2 * (JAIL_MANY_MAX + 1) + 9] = {NEEDED};
	size_t i, k;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		for (k = 0; k < JAIL_MANY_MAX; k++)
			memcpy(&words[8 + 2 * k], flags[i], sizeof(flags[i]));
		words[8 + 2 * k] = NULL;
		accepts(words);
		memcpy(&words[8 + 2 * k], flags[i], sizeof(flags[i]));
		words[10 + 2 * k] = NULL;
		refuses("more than 64 times", words);
	}
}

static void help_and_version_win(void **state)
{
	(void)state;
	accepts(WORDS("--id", "bad/id", "--version"));
	assert_int_equal(action, JAILER_VERSION);
	accepts(WORDS("--nonsense", "--version", "--help"));
	assert_int_equal(action, JAILER_HELP);
	accepts(WORDS(NEEDED, "--", "--help", "--version"));
	assert_int_equal(action, JAILER_RUN);
}

static void the_help_has_every_flag(void **state)
{
	static const char *const flags[] = {"--cgroup ",    "--cgroup-version", "--chroot-base-dir",
					    "--daemonize",  "--exec-file",	"--gid",
					    "--id",	    "--keep",		"--netns",
					    "--new-pid-ns", "--parent-cgroup",	"--resource-limit",
					    "--uid",	    "--writable",	"--help",
					    "--version"};
	static struct capture capture;
	size_t i;

	(void)state;
	capture_begin(&capture, STDOUT_FILENO);
	jailer_args_help();
	fflush(stdout);
	capture_end(&capture);
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		assert_non_null(strstr(capture.text, flags[i]));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(defaults),
		cmocka_unit_test(every_flag),
		cmocka_unit_test(every_limit_by_its_name),
		cmocka_unit_test(ids),
		cmocka_unit_test(bad_values),
		cmocka_unit_test(bad_command_lines),
		cmocka_unit_test(too_many),
		cmocka_unit_test(help_and_version_win),
		cmocka_unit_test(the_help_has_every_flag),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
