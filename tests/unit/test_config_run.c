/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The command line: what each option puts into struct vm_config, and that what is refused
 * leaves nothing behind. The exact messages are held by tests/golden.
 */
#include "test_config.h"
#include "util.h"

#include <stdlib.h>

#define WORDS(...) \
	(const char *const[]) \
	{ \
		__VA_ARGS__, NULL \
	}

static void run(struct parsed *parsed, const char *const *words)
{
	parse_words(parsed, words);
	assert_accepted(parsed);
	assert_int_equal(parsed->config.mode, CONFIG_RUN);
}

static void test_defaults(void **state)
{
	struct parsed parsed;

	(void)state;
	run(&parsed, WORDS("run", "true"));
	assert_null(parsed.config.kernel);
	assert_null(parsed.config.initrd);
	assert_null(parsed.config.cmdline);
	assert_int_equal(parsed.config.cpus, 1);
	assert_int_equal(parsed.config.memory, MIB(128));
	assert_int_equal(parsed.config.nr_drives, 0);
	assert_int_equal(parsed.config.nr_nics, 0);
	assert_true(parsed.config.default_root);
	assert_null(*parsed.config.env);
	assert_null(parsed.config.workdir);
	assert_int_equal(parsed.config.timeout_ns, 0);
	assert_false(parsed.config.timing);
	assert_true(parsed.config.sandbox);
	assert_int_equal(parsed.config.seccomp, SECCOMP_ENFORCE);
	assert_false(parsed.config.verbose);
	parsed_fini(&parsed);
}

static void test_command(void **state)
{
	static const struct {
		const char *words[6];
		size_t command; /* its index in argv */
	} cases[] = {
		{{"run", "ls", "-c", "0"}, 2},	      {{"run", "--", "--cpus"}, 3},
		{{"run", "-v", "ls", "--", "-v"}, 3}, {{"run", "-v", "--", "--", "a"}, 4},
		{{"run", "-c2", "sh", "--help"}, 3},  {{"run", "--", ""}, 3},
	};
	struct parsed parsed;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		run(&parsed, cases[i].words);
		assert_ptr_equal(parsed.config.argv, &parsed.argv[cases[i].command]);
		parsed_fini(&parsed);
	}
}

static void check_all(struct parsed *parsed)
{
	const struct vm_config *config = &parsed->config;

	assert_string_equal(config->kernel, "vmlinux");
	assert_string_equal(config->initrd, "initrd.cpio");
	assert_string_equal(config->cmdline, "quiet panic=1");
	assert_int_equal(config->cpus, 4);
	assert_int_equal(config->memory, GIB(1));
	assert_string_equal(config->workdir, "/srv");
	assert_int_equal(config->timeout_ns, 1500000000);
	assert_true(config->timing);
	assert_false(config->sandbox);
	assert_int_equal(config->seccomp, SECCOMP_LOG);
	assert_true(config->print_seccomp);
	assert_true(config->verbose);
	assert_string_equal(*config->argv, "true");
	parsed_fini(parsed);
}

static void test_every_option(void **state)
{
	struct parsed parsed;

	(void)state;
	run(&parsed, WORDS("run", "--kernel", "vmlinux", "--initrd", "initrd.cpio", "--append",
			   "quiet", "--append", "panic=1", "--cpus", "4", "--memory", "1G",
			   "--workdir", "/srv", "--timeout", "1.5s", "--timing", "--no-sandbox",
			   "--verbose", "--seccomp", "log", "--print-seccomp", "true"));
	check_all(&parsed);
	run(&parsed,
	    WORDS("run", "-kvmlinux", "--initrd=initrd.cpio", "--append=quiet panic=1", "-c4", "-m",
		  "1024m", "-w/srv", "-t", "1500ms", "-v", "--timing", "--no-sandbox",
		  "--no-seccomp", "--seccomp=log", "--print-seccomp", "--", "true"));
	check_all(&parsed);
}

static void test_last_one_counts(void **state)
{
	struct parsed parsed;

	(void)state;
	run(&parsed, WORDS("run", "-k", "a", "-k", "b", "-c1", "-c2", "-m64M", "-m96M", "-w", "/a",
			   "-w", "/b", "-r", "a.img,ro", "-r", "b.img", "true"));
	assert_string_equal(parsed.config.kernel, "b");
	assert_int_equal(parsed.config.cpus, 2);
	assert_int_equal(parsed.config.memory, MIB(96));
	assert_string_equal(parsed.config.workdir, "/b");
	assert_int_equal(parsed.config.nr_drives, 1);
	assert_string_equal(parsed.config.drives[0].path, "b.img");
	assert_false(parsed.config.drives[0].read_only);
	parsed_fini(&parsed);
}

static void test_limits(void **state)
{
	struct parsed parsed;

	(void)state;
	run(&parsed, WORDS("run", "-c", "32", "-m", "32M", "true"));
	assert_int_equal(parsed.config.cpus, CONFIG_CPUS_MAX);
	assert_int_equal(parsed.config.memory, CONFIG_MEMORY_MIN);
	parsed_fini(&parsed);
	run(&parsed, WORDS("run", "-m", "4T", "true"));
	assert_int_equal(parsed.config.memory, CONFIG_MEMORY_MAX);
	parsed_fini(&parsed);
	run(&parsed, WORDS("run", "-m", "34603008", "true"));
	assert_int_equal(parsed.config.memory, MIB(33));
	parsed_fini(&parsed);
}

/* The forms of FILE[,ro][,id=NAME], and file names with commas of their own. */
static void test_drive_values(void **state)
{
	static const struct {
		const char *value;
		const char *path;
		const char *id;
		bool read_only;
	} cases[] = {
		{"a.img", "a.img", "drive1", false},
		{"a.img,ro", "a.img", "drive1", true},
		{"a.img,id=data", "a.img", "data", false},
		{"a.img,ro,id=data", "a.img", "data", true},
		{"a.img,id=data,ro", "a.img", "data", true},
		{"a,b.img", "a,b.img", "drive1", false},
		{"a,ro,b.img", "a,ro,b.img", "drive1", false},
		{"a,ro,ro", "a,ro", "drive1", true},
		{"a,id=b,id=c", "a,id=b", "c", false},
		{"a,rw", "a,rw", "drive1", false},
		{"ro", "ro", "drive1", false},
		{"id=x", "id=x", "drive1", false},
	};
	struct parsed parsed;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		run(&parsed, WORDS("run", "-d", cases[i].value, "true"));
		assert_int_equal(parsed.config.nr_drives, 1);
		assert_string_equal(parsed.config.drives[0].path, cases[i].path);
		assert_string_equal(parsed.config.drives[0].id, cases[i].id);
		assert_int_equal(parsed.config.drives[0].read_only, cases[i].read_only);
		assert_false(parsed.config.drives[0].is_root);
		assert_true(parsed.config.default_root);
		parsed_fini(&parsed);
	}
}

static void test_root_comes_first(void **state)
{
	struct parsed parsed;

	(void)state;
	run(&parsed,
	    WORDS("run", "-d", "a", "-d", "b,id=b", "-r", "root.img,ro", "-d", "c", "true"));
	assert_false(parsed.config.default_root);
	assert_int_equal(parsed.config.nr_drives, 4);
	assert_true(parsed.config.drives[0].is_root);
	assert_true(parsed.config.drives[0].read_only);
	assert_string_equal(parsed.config.drives[0].id, "root");
	assert_string_equal(parsed.config.drives[0].path, "root.img");
	assert_string_equal(parsed.config.drives[1].id, "drive1");
	assert_string_equal(parsed.config.drives[2].id, "b");
	assert_string_equal(parsed.config.drives[3].id, "drive3");
	parsed_fini(&parsed);
}

static void test_env(void **state)
{
	struct parsed parsed;

	(void)state;
	assert_int_equal(setenv("HUSK_TEST", "from=husk", 1), 0);
	assert_int_equal(unsetenv("HUSK_UNSET"), 0);
	run(&parsed, WORDS("run", "-e", "AB=2", "-e", "A=1", "-e", "HUSK_TEST", "-e", "HUSK_UNSET",
			   "-e", "EMPTY=", "-e", "A=3=4", "true"));
	assert_string_equal(parsed.config.env[0], "AB=2");
	assert_string_equal(parsed.config.env[1], "A=3=4");
	assert_string_equal(parsed.config.env[2], "HUSK_TEST=from=husk");
	assert_string_equal(parsed.config.env[3], "EMPTY=");
	assert_null(parsed.config.env[4]);
	parsed_fini(&parsed);
}

static void test_nics(void **state)
{
	static const uint8_t mac[] = {0x06, 0, 0xAC, 0x10, 0, 2};
	struct parsed parsed;
	struct nic_config *nics = parsed.config.nics;

	(void)state;
	run(&parsed, WORDS("run", "-n", "tap=tap0", "--mac", "06:00:ac:10:00:02", "-n",
			   "fd=7,mtu=68", "-n", "passt,tcp=8080:80,udp=53:53,mtu=65535", "--net",
			   "tap=t1,ip=172.16.0.2/24,gw=172.16.0.1,dns=1.1.1.1,"
			   "mac=06:00:AC:10:00:03",
			   "true"));
	assert_int_equal(parsed.config.nr_nics, 4);
	assert_string_equal(nics[0].id, "eth0");
	assert_int_equal(nics[0].kind, NIC_TAP);
	assert_string_equal(nics[0].tap, "tap0");
	assert_true(nics[0].has_mac);
	assert_memory_equal(nics[0].mac, mac, sizeof(mac));
	assert_int_equal(nics[0].mtu, 0);
	assert_int_equal(nics[1].kind, NIC_FD);
	assert_int_equal(nics[1].fd, 7);
	assert_int_equal(nics[1].mtu, 68);
	assert_false(nics[1].has_mac);
	assert_int_equal(nics[2].kind, NIC_PASST);
	assert_string_equal(nics[2].forwards[0], "tcp=8080:80");
	assert_string_equal(nics[2].forwards[1], "udp=53:53");
	assert_null(nics[2].forwards[2]);
	assert_int_equal(nics[2].mtu, 65535);
	assert_string_equal(nics[3].id, "eth3");
	assert_string_equal(nics[3].address, "172.16.0.2/24");
	assert_string_equal(nics[3].gateway, "172.16.0.1");
	assert_string_equal(nics[3].dns, "1.1.1.1");
	assert_true(nics[3].has_mac);
	parsed_fini(&parsed);
	run(&parsed, WORDS("run", "-n", "passt,tcp=1:1", "-n", "tap=a", "-n", "none", "true"));
	assert_int_equal(parsed.config.nr_nics, 0);
	parsed_fini(&parsed);
	run(&parsed, WORDS("run", "-n", "none", "-n", "passt", "-n", "passt", "true"));
	assert_int_equal(parsed.config.nr_nics, 2);
	parsed_fini(&parsed);
}

/* Each after much has been allocated: the leak checker watches. */
static void test_refused(void **state)
{
	static const struct {
		const char *option;
		const char *value;
		const char *message;
	} cases[] = {
		{"-c", "0", "--cpus: \"0\" is not a number of vCPUs from 1 to 32"},
		{"-m", "31M", "--memory: \"31M\" is too small"},
		{"-m", "33000K", "not a whole number of MiB"},
		{"-d", "", "--drive: the file name is empty"},
		{"-d", "x,id=a b", "--drive: \"a b\" is no valid id"},
		{"-d", "x,id=data", "the id \"data\" is in use"},
		{"-r", ",ro", "--rootfs: the file name is empty"},
		{"-n", "user", "--net: expected none"},
		{"-n", "tap=tap0", "its host device is in use"},
		{"-n", "passt,mac=06:00:00:00:00:01,tcp=1:2,tcp=2", "--net: tcp: \"2\""},
		{"-n", "tap=x,ip=10.0.0.1/8,gw=10.0.0.2,tcp=1:2", "passt only"},
		{"--mac", "03:00:00:00:00:01", "--mac: \"03:"},
		{"-e", "=x", "--env"},
		{"-w", "relative", "--workdir"},
		{"-t", "1d", "--timeout"},
		{"--append", "\033[2J", "--append"},
		{"--foo", "x", "unknown option \"--foo\""},
		{"--mem", "1G", "unknown option \"--mem\""},
		{"--timing=1", "x", "--timing: takes no value"},
	};
	struct parsed parsed;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		parse_words(&parsed,
			    WORDS("run", "-k", "k", "--initrd", "i", "--append", "a", "-r", "root",
				  "-d", "x,id=data", "-n", "tap=tap0", "-n", "passt,tcp=1:2", "-e",
				  "A=1", "-w", "/", cases[i].option, cases[i].value, "true"));
		assert_refused(&parsed, CONFIG_EXIT_HUSK, cases[i].message);
		parsed_fini(&parsed);
	}
	parse_words(&parsed, WORDS("run", "-e", "A=1", "-k"));
	assert_refused(&parsed, CONFIG_EXIT_HUSK, "--kernel: the value is missing");
	parsed_fini(&parsed);
	parse_words(&parsed, WORDS("run", "-e", "A=1"));
	assert_refused(&parsed, CONFIG_EXIT_HUSK, "command to run is missing");
	parsed_fini(&parsed);
}

/* getopt keeps its place in global variables; one command line must not reach into the next. */
static void test_starts_afresh(void **state)
{
	struct parsed refused, parsed;

	(void)state;
	parse_words(&refused, WORDS("run", "-vxh", "true"));
	assert_refused(&refused, CONFIG_EXIT_HUSK, "unknown option \"-x\"");
	run(&parsed, WORDS("run", "-c2", "ls", "-c3"));
	assert_int_equal(parsed.config.cpus, 2);
	assert_string_equal(*parsed.config.argv, "ls");
	parsed_fini(&parsed);
	parsed_fini(&refused);
}

static void test_too_many(void **state)
{
	const char *words[WORDS_MAX] = {"run", "-d", "0", "-d", "1", "-d", "2",	 "-d",
					"3",   "-d", "4", "-d", "5", "-d", "6",	 "-d",
					"7",   "-d", "8", "-d", "9", "-d", "10", "true"};
	struct parsed parsed;

	(void)state;
	run(&parsed, words);
	assert_int_equal(parsed.config.nr_drives, CONFIG_DRIVES_MAX - 1);
	parsed_fini(&parsed);
	words[23] = "-r";
	words[24] = "root";
	words[25] = "true";
	run(&parsed, words);
	assert_int_equal(parsed.config.nr_drives, CONFIG_DRIVES_MAX);
	assert_string_equal(parsed.config.drives[CONFIG_DRIVES_MAX - 1].path, "10");
	parsed_fini(&parsed);
	words[23] = "-d";
	parse_words(&parsed, words);
	assert_refused(&parsed, CONFIG_EXIT_HUSK, "too many drives");
	parsed_fini(&parsed);
}

static void test_doctor(void **state)
{
	struct parsed parsed;

	(void)state;
	parse_words(&parsed, WORDS("doctor"));
	assert_accepted(&parsed);
	assert_int_equal(parsed.config.mode, CONFIG_DOCTOR);
	assert_false(parsed.config.quiet);
	parsed_fini(&parsed);
	parse_words(&parsed, WORDS("doctor", "--quiet"));
	assert_accepted(&parsed);
	assert_true(parsed.config.quiet);
	parsed_fini(&parsed);
	parse_words(&parsed, WORDS("docker"));
	assert_refused(&parsed, CONFIG_EXIT_HUSK, "did you mean \"husk doctor\"?");
	parsed_fini(&parsed);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_command),
		cmocka_unit_test(test_every_option),
		cmocka_unit_test(test_last_one_counts),
		cmocka_unit_test(test_limits),
		cmocka_unit_test(test_drive_values),
		cmocka_unit_test(test_root_comes_first),
		cmocka_unit_test(test_env),
		cmocka_unit_test(test_nics),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_starts_afresh),
		cmocka_unit_test(test_too_many),
		cmocka_unit_test(test_doctor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
