/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Firecracker's flags and config file: what each key puts into struct vm_config, and that every
 * damaged file is refused. The exact messages are held by tests/golden.
 */
#include "test_config.h"
#include "util.h"

#include <stdlib.h>

/* Every key husk takes, with the neutral value of those it has no use for. */
static const char full[] =
	"{\n"
	"  \"boot-source\": {\"kernel_image_path\": \"vmlinux\", \"boot_args\": "
	"\"console=ttyS0\",\n"
	"    \"initrd_path\": \"initrd.img\"},\n"
	"  \"drives\": [\n"
	"    {\"drive_id\": \"data_1\", \"path_on_host\": \"data.img\", \"is_root_device\": "
	"false,\n"
	"     \"is_read_only\": false, \"partuuid\": null, \"cache_type\": \"Unsafe\",\n"
	"     \"io_engine\": \"Async\", \"rate_limiter\": null, \"socket\": null},\n"
	"    {\"drive_id\": \"root\", \"path_on_host\": \"root.img\", \"is_root_device\": true,\n"
	"     \"is_read_only\": true, \"partuuid\": \"0eaa91a0-01\", \"cache_type\": "
	"\"Writeback\",\n"
	"     \"io_engine\": \"Sync\"}],\n"
	"  \"machine-config\": {\"vcpu_count\": 2, \"mem_size_mib\": 333, \"smt\": false,\n"
	"    \"track_dirty_pages\": false, \"huge_pages\": \"None\", \"cpu_template\": \"None\"},\n"
	"  \"network-interfaces\": [\n"
	"    {\"iface_id\": \"eth0\", \"host_dev_name\": \"tap0\", \"mtu\": 1400,\n"
	"     \"guest_mac\": \"AA:FC:00:00:00:01\", \"rx_rate_limiter\": null,\n"
	"     \"tx_rate_limiter\": null},\n"
	"    {\"iface_id\": \"net1\", \"host_dev_name\": \"tap1\"}],\n"
	"  \"balloon\": null, \"cpu-config\": null, \"entropy\": null, \"logger\": null,\n"
	"  \"memory-hotplug\": null, \"metrics\": null, \"mmds-config\": null, \"pmem\": [],\n"
	"  \"vsock\": null\n"
	"}";

/* Parses a config file with this content. End with parsed_fini. */
static void load(struct parsed *parsed, const void *json, size_t len)
{
	int fd = memfd_create("config", MFD_CLOEXEC);
	char path[32];

	assert_true(fd >= 0);
	assert_int_equal(write(fd, json, len), len);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	parse_words(parsed, (const char *const[]){"--config-file", path, "--no-api", NULL});
	close(fd);
}

static void load_text(struct parsed *parsed, const char *json)
{
	load(parsed, json, strlen(json));
}

static void test_every_key(void **state)
{
	static const uint8_t mac[] = {0xAA, 0xFC, 0, 0, 0, 1};
	struct parsed parsed;
	struct vm_config *config = &parsed.config;

	(void)state;
	load_text(&parsed, full);
	assert_accepted(&parsed);
	assert_int_equal(config->mode, CONFIG_FILE);
	assert_true(config->sandbox);
	assert_false(config->default_root);
	assert_null(config->id);
	assert_string_equal(config->kernel, "vmlinux");
	assert_string_equal(config->initrd, "initrd.img");
	assert_string_equal(config->cmdline, "console=ttyS0");
	assert_int_equal(config->cpus, 2);
	assert_int_equal(config->memory, MIB(333));
	assert_int_equal(config->nr_drives, 2);
	assert_string_equal(config->drives[0].id, "root");
	assert_string_equal(config->drives[0].path, "root.img");
	assert_true(config->drives[0].is_root);
	assert_true(config->drives[0].read_only);
	assert_string_equal(config->drives[0].partuuid, "0eaa91a0-01");
	assert_string_equal(config->drives[1].id, "data_1");
	assert_string_equal(config->drives[1].path, "data.img");
	assert_false(config->drives[1].is_root);
	assert_false(config->drives[1].read_only);
	assert_null(config->drives[1].partuuid);
	assert_int_equal(config->nr_nics, 2);
	assert_string_equal(config->nics[0].id, "eth0");
	assert_int_equal(config->nics[0].kind, NIC_TAP);
	assert_string_equal(config->nics[0].tap, "tap0");
	assert_true(config->nics[0].has_mac);
	assert_memory_equal(config->nics[0].mac, mac, sizeof(mac));
	assert_int_equal(config->nics[0].mtu, 1400);
	assert_string_equal(config->nics[1].id, "net1");
	assert_false(config->nics[1].has_mac);
	assert_int_equal(config->nics[1].mtu, 0);
	parsed_fini(&parsed);
}

static void test_least(void **state)
{
	struct parsed parsed;

	(void)state;
	load_text(&parsed, "{\"drives\": [], \"boot-source\": {\"kernel_image_path\": \"k\"}}");
	assert_accepted(&parsed);
	assert_int_equal(parsed.config.cpus, 1);
	assert_int_equal(parsed.config.memory, MIB(128));
	assert_null(parsed.config.cmdline);
	assert_null(parsed.config.initrd);
	assert_int_equal(parsed.config.nr_drives, 0);
	assert_int_equal(parsed.config.nr_nics, 0);
	parsed_fini(&parsed);
	/* An empty command line is not the same as none. */
	load_text(&parsed, "{\"drives\": [], \"machine-config\": null, \"boot-source\": "
			   "{\"kernel_image_path\": \"k\", \"boot_args\": \"\"}}");
	assert_accepted(&parsed);
	assert_string_equal(parsed.config.cmdline, "");
	parsed_fini(&parsed);
}

static void test_every_prefix_is_refused(void **state)
{
	struct parsed parsed;
	size_t len;

	(void)state;
	for (len = 0; len < sizeof(full) - 1; len++) {
		load(&parsed, full, len);
		assert_refused(&parsed, CONFIG_EXIT_FILE, ": line ");
		parsed_fini(&parsed);
	}
}

/* One byte overwritten at every place: refused or not, nothing crashes, leaks or says nothing. */
static void test_every_byte_damaged(void **state)
{
	static const char bytes[] = {'\0', '"', '}', ']', ',', '0', '-', '\\', '\x80', '\n'};
	char text[sizeof(full)];
	struct parsed parsed;
	size_t at, i, refused = 0;

	(void)state;
	for (at = 0; at < sizeof(full) - 1; at++) {
		for (i = 0; i < sizeof(bytes); i++) {
			memcpy(text, full, sizeof(full));
			text[at] = bytes[i];
			load(&parsed, text, sizeof(full) - 1);
			if (parsed.status) {
				assert_refused(&parsed, CONFIG_EXIT_FILE, "config file");
				refused++;
			} else {
				assert_accepted(&parsed);
			}
			parsed_fini(&parsed);
		}
	}
	/* Most of the file is structure and keys, where any damage shows. */
	assert_true(refused > (sizeof(full) - 1) * sizeof(bytes) / 2);
}

/* The full file with one piece of text in place of another, and how it is refused. */
static void test_refused(void **state)
{
	static const struct {
		const char *from;
		const char *to;
		const char *message;
	} cases[] = {
		{"\"vmlinux\"", "7", "boot-source.kernel_image_path: expected a string, found an"},
		{"\"vmlinux\"", "\"\"", "boot-source.kernel_image_path: the file name is empty"},
		{"console=", "a\\u0007", "boot-source.boot_args: only printable"},
		{"console=", "a\\u0000", ": line 2"},
		{"\"initrd_path\"", "\"initrd\"", "boot-source.initrd: unknown key"},
		{"\"data_1\"", "\"root\"", "drives[1]: the id \"root\" is in use"},
		{"data_1", "data-1", "drives[0].drive_id: \"data-1\" is no valid id"},
		{"\"is_root_device\": false", "\"is_root_device\": true", "drives[1]: there is a"},
		{"\"is_read_only\": false", "\"is_read_only\": null", NULL},
		{"\"is_read_only\": false", "\"is_read_only\": 0", "[0].is_read_only: expected"},
		{"0eaa91a0-01", "a init=/x", "drives[1].partuuid"},
		{"0eaa91a0-01", "a/PARTNROFF=1", NULL},
		{"\"Unsafe\"", "\"unsafe\"", "drives[0].cache_type"},
		{"\"Async\"", "\"\"", "drives[0].io_engine"},
		{"\"Async\"", "\"Sync, Async\"", "drives[0].io_engine"},
		{"\"rate_limiter\": null", "\"rate_limiter\": {}", "drives[0].rate_limiter is not"},
		{"\"socket\": null", "\"socket\": \"s\"", "drives[0].socket is not supported"},
		{"\"vcpu_count\": 2", "\"vcpu_count\": 33", "vcpu_count: expected 1 to 32"},
		{"\"vcpu_count\": 2", "\"vcpu_count\": -9223372036854775808", "expected 1 to 32"},
		{"\"vcpu_count\": 2, ", "", "machine-config.vcpu_count is missing"},
		{"333", "31", "mem_size_mib: expected 32 to"},
		{"333", "9223372036854775807", "mem_size_mib: expected 32 to"},
		{"\"smt\": false", "\"smt\": true", "machine-config.smt: true is not supported"},
		{"\"track_dirty_pages\": false", "\"track_dirty_pages\": true",
		 "track_dirty_pages"},
		{"\"None\"", "\"Transparent\"", "machine-config.huge_pages: \"Transparent\""},
		{"AA:FC", "AB:FC", "network-interfaces[0].guest_mac"},
		{"AA:FC:00:00:00:01", "00:00:00:00:00:00", "network-interfaces[0].guest_mac"},
		{"1400", "67", "network-interfaces[0].mtu: expected 68 to 65535"},
		{"1400", "65535", NULL},
		{"\"tap1\"", "\"tap0\"", "network-interfaces[1]: its host device"},
		{"\"tap1\"", "\"a/b\"", "network-interfaces[1].host_dev_name"},
		{"\"tap1\"", "\"tap1\", \"guest_mac\": \"aa:fc:00:00:00:01\"", "its MAC address"},
		{"\"net1\"", "\"eth0\"", "network-interfaces[1]: the id"},
		{"\"vsock\": null", "\"vsock\": {}", "vsock is not supported"},
		{"\"pmem\": []", "\"pmem\": null", NULL},
		{"\"pmem\": []", "\"pmem\": [1]", "pmem is not supported"},
		{"\"pmem\"", "\"PMEM\"", "PMEM: unknown key"},
		{"\"balloon\": null", "\"drives\": []", "duplicate object key"},
	};
	char text[2 * sizeof(full)];
	struct parsed parsed;
	const char *at;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		at = strstr(full, cases[i].from);
		assert_non_null(at);
		snprintf(text, sizeof(text), "%.*s%s%s", (int)(at - full), full, cases[i].to,
			 at + strlen(cases[i].from));
		load_text(&parsed, text);
		if (cases[i].message)
			assert_refused(&parsed, CONFIG_EXIT_FILE, cases[i].message);
		else
			assert_accepted(&parsed);
		parsed_fini(&parsed);
	}
}

static void test_files(void **state)
{
	struct parsed parsed;
	size_t len = MIB(1) + 1;
	char *text = malloc(len);

	(void)state;
	assert_non_null(text);
	memset(text, ' ', len);
	memcpy(text, full, sizeof(full) - 1);
	load(&parsed, text, len - 1);
	assert_accepted(&parsed);
	parsed_fini(&parsed);
	load(&parsed, text, len);
	assert_refused(&parsed, CONFIG_EXIT_FILE, "larger than 1 MiB");
	parsed_fini(&parsed);
	/* Nesting far deeper than any stack. */
	memset(text, '[', len - 1);
	load(&parsed, text, len - 1);
	assert_refused(&parsed, CONFIG_EXIT_FILE, "line 1");
	parsed_fini(&parsed);
	free(text);
	parse_words(&parsed,
		    (const char *const[]){"--config-file", "/nonexistent/x", "--no-api", NULL});
	assert_refused(&parsed, CONFIG_EXIT_FILE, "\"/nonexistent/x\": No such file");
	parsed_fini(&parsed);
}

/* A name longer than a log line still gives one line, and no overrun. */
static void test_long_names(void **state)
{
	struct parsed parsed;
	char name[3000], json[4000];

	(void)state;
	memset(name, 'x', sizeof(name) - 1);
	name[sizeof(name) - 1] = '\0';
	snprintf(json, sizeof(json), "{\"%s\": 1}", name);
	load_text(&parsed, json);
	assert_refused(&parsed, CONFIG_EXIT_FILE, ": xxxxx");
	parsed_fini(&parsed);
	parse_words(&parsed, (const char *const[]){"--config-file", name, "--no-api", NULL});
	assert_refused(&parsed, CONFIG_EXIT_FILE, "config file \"xxxxx");
	parsed_fini(&parsed);
}

static void test_flags(void **state)
{
	static const struct {
		const char *words[8];
		const char *message;
	} cases[] = {
		{{"--config-file", "/dev/null"}, "without --no-api"},
		{{"--no-api"}, "--config-file is missing"},
		{{"--no-api", "--config-file"}, "--config-file: the value is missing"},
		{{"--config-file", "--no-api"}, "--config-file: the value is missing"},
		{{"--no-api", "--no-api"}, "--no-api is given twice"},
		{{"--config-file", "f", "--no-api", "--id", "a_b"}, "--id: \"a_b\""},
		{{"--config-file=f", "--no-api"}, "in a word of its own"},
		{{"--api-sock", "s"}, "--api-sock is not supported yet"},
		{{"--config-file", "f", "--no-api", "--level", "Info"}, "--level is not supported"},
		{{"--config-file", "f", "--no-api", "--seccomp", "no"}, "neither kill nor log"},
		{{"--no-seccomp", "--seccomp", "log"}, "exclude each other"},
		{{"--seccomp-filter", "f"}, "--seccomp-filter is not supported"},
		{{"--wrong"}, "unknown option \"--wrong\""},
		{{"--config-file", "f", "--no-api", "--"}, "unknown option \"--\""},
		{{"--no-api", "x"}, "unexpected argument \"x\""},
	};
	struct parsed parsed;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		parse_words(&parsed, cases[i].words);
		assert_refused(&parsed, CONFIG_EXIT_ARGUMENTS, cases[i].message);
		parsed_fini(&parsed);
	}
}

static void test_jail_flags(void **state)
{
	static const struct {
		const char *words[10];
		bool sandbox, jailed;
		enum seccomp_mode seccomp;
	} cases[] = {
		{{NULL}, true, false, SECCOMP_ENFORCE},
		{{"--no-sandbox"}, false, false, SECCOMP_ENFORCE},
		{{"--no-seccomp"}, true, false, SECCOMP_OFF},
		{{"--seccomp", "log"}, true, false, SECCOMP_LOG},
		{{"--seccomp", "kill"}, true, false, SECCOMP_ENFORCE},
		/* As husk-jailer calls it. */
		{{"--start-time-us", "1", "--start-time-cpu-us", "2", "--parent-cpu-time-us", "3",
		  "--jailed"},
		 true,
		 true,
		 SECCOMP_ENFORCE},
	};
	int fd = memfd_create("config", MFD_CLOEXEC);
	struct parsed parsed;
	char path[32];
	size_t i, j;

	(void)state;
	assert_int_equal(write(fd, full, sizeof(full) - 1), sizeof(full) - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const char *words[16] = {"--no-api", "--config-file", path};

		for (j = 0; cases[i].words[j]; j++)
			words[3 + j] = cases[i].words[j];
		parse_words(&parsed, words);
		assert_accepted(&parsed);
		assert_int_equal(parsed.config.sandbox, cases[i].sandbox);
		assert_int_equal(parsed.config.jailed, cases[i].jailed);
		assert_int_equal(parsed.config.seccomp, cases[i].seccomp);
		parsed_fini(&parsed);
	}
	close(fd);
}

static void test_id(void **state)
{
	int fd = memfd_create("config", MFD_CLOEXEC);
	struct parsed parsed;
	char path[32];

	(void)state;
	assert_int_equal(write(fd, full, sizeof(full) - 1), sizeof(full) - 1);
	snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
	parse_words(&parsed, (const char *const[]){"--id", "My-VM-1", "--no-api", "--config-file",
						   path, NULL});
	assert_accepted(&parsed);
	assert_string_equal(parsed.config.id, "My-VM-1");
	parsed_fini(&parsed);
	close(fd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_every_key),
		cmocka_unit_test(test_least),
		cmocka_unit_test(test_every_prefix_is_refused),
		cmocka_unit_test(test_every_byte_damaged),
		cmocka_unit_test(test_refused),
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_long_names),
		cmocka_unit_test(test_flags),
		cmocka_unit_test(test_jail_flags),
		cmocka_unit_test(test_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
