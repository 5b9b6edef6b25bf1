/* SPDX-License-Identifier: Apache-2.0 */
/* What init parses: the run file, the kernel command line, ip=, frames, mounts, PATH. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>

#include <arpa/inet.h>
#include <cmocka.h>

#include "init_parse.h"

/* Bytes right before an inaccessible page: a parser that reads past their end crashes. */
static uint8_t *guarded(const void *bytes, size_t len)
{
	uint8_t *pages =
		mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	assert_ptr_not_equal(pages, MAP_FAILED);
	assert_int_equal(mprotect(pages + 4096, 4096, PROT_NONE), 0);
	memcpy(pages + 4096 - len, bytes, len);
	return pages + 4096 - len;
}

static int run(const char *bytes, size_t len, struct run_spec *spec)
{
	const char *bad = NULL;
	int ret = run_parse((char *)guarded(bytes, len), len, spec, &bad);

	assert_non_null(bad);
	return ret;
}

static void run_free(struct run_spec *spec)
{
	free(spec->argv);
	free(spec->envp);
}

/* A string literal with NUL bytes inside, and its length without the last of them. */
#define BYTES(literal) literal, sizeof(literal) - 1

static void run_full(void **state)
{
	struct run_spec spec;

	(void)state;
	assert_int_equal(run(BYTES("tty=1\0rows=24\0cols=65535\0cwd=/a b\0env=A=1\0env=PATH=/x=y\0"
				   "arg=sh\0arg=\0arg=env=B\0"),
			     &spec),
			 0);
	assert_true(spec.tty);
	assert_int_equal(spec.rows, 24);
	assert_int_equal(spec.cols, 65535);
	assert_string_equal(spec.cwd, "/a b");
	assert_string_equal(spec.argv[0], "sh");
	assert_string_equal(spec.argv[1], "");
	assert_string_equal(spec.argv[2], "env=B");
	assert_null(spec.argv[3]);
	assert_string_equal(spec.envp[0], "A=1");
	assert_string_equal(spec.envp[1], "PATH=/x=y");
	assert_string_equal(spec.envp[2], "HOME=/root");
	assert_string_equal(spec.envp[3], "TERM=linux");
	assert_null(spec.envp[4]);
	run_free(&spec);
}

static void run_defaults(void **state)
{
	struct run_spec spec;

	(void)state;
	assert_int_equal(run(BYTES("arg=true\0"), &spec), 0);
	assert_false(spec.tty);
	assert_string_equal(spec.cwd, "/");
	assert_non_null(env_get(spec.envp, "PATH"));
	assert_string_equal(env_get(spec.envp, "HOME"), "/root");
	assert_null(env_get(spec.envp, "TERM"));
	assert_null(env_get(spec.envp, "PAT"));
	run_free(&spec);
}

static void run_bad(void **state)
{
	struct run_spec spec;

	(void)state;
	assert_int_equal(run(BYTES(""), &spec), -EINVAL);
	assert_int_equal(run(BYTES("tty=0\0"), &spec), -EINVAL);
	assert_int_equal(run(BYTES("arg=a"), &spec), -EINVAL);
	assert_int_equal(run(BYTES("arg=a\0\0"), &spec), -EINVAL);
	assert_int_equal(run(BYTES("what=a\0arg=a\0"), &spec), -EINVAL);
	assert_int_equal(run(BYTES("tty=2\0arg=a\0"), &spec), -EINVAL);
	assert_int_equal(run(BYTES("rows=65536\0arg=a\0"), &spec), -EINVAL);
	assert_int_equal(run(BYTES("rows=-1\0arg=a\0"), &spec), -EINVAL);
	assert_int_equal(run(BYTES("cols=8x\0arg=a\0"), &spec), -EINVAL);
	assert_int_equal(run(BYTES("cols=\0arg=a\0"), &spec), -EINVAL);
	assert_int_equal(run(BYTES("env=A\0arg=a\0"), &spec), -EINVAL);
}

/* No fixed limit: 2 MiB in one argument, and in very many. */
static void run_large(void **state)
{
	const size_t size = 2 << 20;
	char *text = malloc(size);
	struct run_spec spec;
	const char *bad;
	size_t argc = 0;

	(void)state;
	memset(text, 'a', size);
	memcpy(text, "arg=", 4);
	text[size - 1] = '\0';
	assert_int_equal(run_parse(text, size, &spec, &bad), 0);
	assert_int_equal(strlen(spec.argv[0]), size - 5);
	run_free(&spec);

	for (size_t i = 0; i < size; i += 8)
		memcpy(text + i, "arg=abc", 8);
	assert_int_equal(run_parse(text, size, &spec, &bad), 0);
	while (spec.argv[argc])
		argc++;
	assert_int_equal(argc, size / 8);
	run_free(&spec);
	free(text);
}

static void cmdline(void **state)
{
	char text[] =
		"console=ttyS0 root=/dev/vda  rootfstype=ext4,squashfs\trw ip=10.0.0.2::: ip=off "
		"rootflags=\"a b\" \"root=/dev/vdb\" -- ro root=/dev/vdc\n";
	char empty[] = "\n";
	char last[] = "rw noro ro=1 root= ro\n";
	struct boot_spec boot;

	(void)state;
	cmdline_parse(text, &boot);
	assert_string_equal(boot.root, "/dev/vdb");
	assert_string_equal(boot.rootfstype, "ext4,squashfs");
	assert_string_equal(boot.rootflags, "a b");
	assert_int_equal(boot.nr_ips, 2);
	assert_string_equal(boot.ips[0], "10.0.0.2:::");
	assert_string_equal(boot.ips[1], "off");
	assert_true(boot.rw);

	cmdline_parse(empty, &boot);
	assert_null(boot.root);
	assert_int_equal(boot.nr_ips, 0);
	assert_false(boot.rw);

	cmdline_parse(last, &boot);
	assert_false(boot.rw);
}

static int ip(const char *value, struct ip_spec *spec)
{
	static char text[256];
	const char *bad = NULL;

	strcpy(text, value);
	return ip_parse(text, spec, &bad);
}

static void assert_addr(struct in_addr addr, const char *text)
{
	char buf[INET_ADDRSTRLEN];

	assert_string_equal(inet_ntop(AF_INET, &addr, buf, sizeof(buf)), text);
}

static void ip_full(void **state)
{
	struct ip_spec spec;

	(void)state;
	assert_int_equal(
		ip("10.0.2.15:9.9.9.9:10.0.2.2:255.255.255.0:box:eth1:off:1.1.1.1:8.8.8.8:7.7.7.7",
		   &spec),
		0);
	assert_int_equal(spec.mode, IP_STATIC);
	assert_addr(spec.client, "10.0.2.15");
	assert_addr(spec.gateway, "10.0.2.2");
	assert_addr(spec.netmask, "255.255.255.0");
	assert_addr(spec.dns[0], "1.1.1.1");
	assert_addr(spec.dns[1], "8.8.8.8");
	assert_string_equal(spec.hostname, "box");
	assert_string_equal(spec.device, "eth1");
}

static void ip_short(void **state)
{
	struct ip_spec spec;

	(void)state;
	assert_int_equal(ip("10.0.2.15/20::10.0.2.2", &spec), 0);
	assert_int_equal(spec.mode, IP_STATIC);
	assert_addr(spec.netmask, "255.255.240.0");
	assert_null(spec.hostname);
	assert_string_equal(spec.device, "eth0");
	assert_int_equal(spec.dns[0].s_addr, 0);

	assert_int_equal(ip("10.0.2.15/32", &spec), 0);
	assert_addr(spec.netmask, "255.255.255.255");
	assert_int_equal(ip("10.0.2.15", &spec), 0);
	assert_int_equal(spec.netmask.s_addr, 0);
}

static void ip_modes(void **state)
{
	struct ip_spec spec;

	(void)state;
	assert_int_equal(ip("off", &spec), 0);
	assert_int_equal(spec.mode, IP_NONE);
	assert_int_equal(ip("none", &spec), 0);
	assert_int_equal(spec.mode, IP_NONE);
	assert_int_equal(ip("dhcp", &spec), 0);
	assert_int_equal(spec.mode, IP_DHCP);
	assert_string_equal(spec.device, "eth0");
	assert_int_equal(ip("::::box:eth1:dhcp", &spec), 0);
	assert_int_equal(spec.mode, IP_DHCP);
	assert_string_equal(spec.hostname, "box");
	assert_string_equal(spec.device, "eth1");
	assert_int_equal(ip(":::::eth0:none", &spec), 0);
	assert_null(spec.hostname);
	assert_int_equal(spec.mode, IP_NONE);
}

static void ip_bad(void **state)
{
	static const char *const bad[] = {
		"bootp",
		"10.0.0",
		"10.0.0.256",
		"10.0.0.1/33",
		"10.0.0.1/0",
		"10.0.0.1/",
		"10.0.0.1/x",
		"10.0.0.1::gw",
		"10.0.0.1:::24",
		"10.0.0.1::::::maybe",
		"10.0.0.1:::::::x",
		"1.1.1.1::::::::x",
		"1.1.1.1::::::::::",
	};
	struct ip_spec spec;

	(void)state;
	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++)
		assert_int_equal(ip(bad[i], &spec), -EINVAL);
}

static void frames(void **state)
{
	uint8_t bytes[4 + LINK_PAYLOAD_MAX] = {LINK_STDIN, 0, 3, 0, 'a', 'b', 'c'};
	struct link_header header;

	(void)state;
	for (size_t len = 0; len < 7; len++)
		assert_int_equal(frame_parse(guarded(bytes, len), len, &header), 0);
	assert_int_equal(frame_parse(guarded(bytes, 7), 7, &header), 7);
	assert_int_equal(header.type, LINK_STDIN);
	assert_int_equal(header.len, 3);
	assert_int_equal(frame_parse(bytes, 100, &header), 7);

	bytes[2] = 0; /* empty: end of file */
	assert_int_equal(frame_parse(guarded(bytes, 4), 4, &header), 4);

	bytes[2] = 0x00; /* 1024, the most */
	bytes[3] = 0x04;
	assert_int_equal(frame_parse(bytes, sizeof(bytes) - 1, &header), 0);
	assert_int_equal(frame_parse(bytes, sizeof(bytes), &header), sizeof(bytes));
	bytes[2] = 0x01;
	assert_int_equal(frame_parse(bytes, sizeof(bytes), &header), -EPROTO);
	bytes[1] = 1;
	bytes[3] = 0;
	assert_int_equal(frame_parse(bytes, sizeof(bytes), &header), -EPROTO);
}

static void mounts(void **state)
{
	char text[] = "/dev/vda / ext4 rw,relatime 0 0\nroot /a\\040b\\134 overlay ro 0 0\n"
		      "/dev/vdb /mnt ext4 ro,rw=x 0 0\n";
	char short_line[] = "a b c";
	struct mount_entry entry;
	char *cursor = text;

	(void)state;
	assert_true(mount_parse(&cursor, &entry));
	assert_string_equal(entry.source, "/dev/vda");
	assert_string_equal(entry.dir, "/");
	assert_true(entry.rw);
	assert_true(mount_parse(&cursor, &entry));
	assert_string_equal(entry.dir, "/a b\\");
	assert_false(entry.rw);
	assert_true(mount_parse(&cursor, &entry));
	assert_false(entry.rw);
	assert_false(mount_parse(&cursor, &entry));

	cursor = short_line;
	assert_false(mount_parse(&cursor, &entry));
}

static void path(void **state)
{
	const char *cursor = "/bin::/a/very/long/one:/x";
	char buf[10];

	(void)state;
	assert_true(path_next(&cursor, "cmd", buf, sizeof(buf)));
	assert_string_equal(buf, "/bin/cmd");
	assert_true(path_next(&cursor, "cmd", buf, sizeof(buf)));
	assert_string_equal(buf, "./cmd");
	assert_true(path_next(&cursor, "cmd", buf, sizeof(buf)));
	assert_string_equal(buf, "/x/cmd");
	assert_false(path_next(&cursor, "cmd", buf, sizeof(buf)));

	cursor = "/12345:";
	assert_false(path_next(&cursor, "cmd", buf, 4));
	cursor = "/bin"; /* "/bin/c" and its NUL: 7 bytes */
	assert_true(path_next(&cursor, "c", buf, 7));
	cursor = "/bin";
	assert_false(path_next(&cursor, "c", buf, 6));
}

static void scripts(void **state)
{
	(void)state;
	assert_true(is_script("echo hi\n", 8));
	assert_true(is_script("", 0));
	assert_false(is_script("\177ELF\0", 5));
}

static void statuses(void **state)
{
	(void)state;
	/* As the kernel reports them. */
	assert_int_equal(exit_status(0), 0);
	assert_int_equal(exit_status(42 << 8), 42);
	assert_int_equal(exit_status(255 << 8), 255);
	assert_int_equal(exit_status(SIGKILL), 137);
	assert_int_equal(exit_status(SIGSEGV | 0x80 /* core dumped */), 139);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(run_full), cmocka_unit_test(run_defaults),
		cmocka_unit_test(run_bad),  cmocka_unit_test(run_large),
		cmocka_unit_test(cmdline),  cmocka_unit_test(ip_full),
		cmocka_unit_test(ip_short), cmocka_unit_test(ip_modes),
		cmocka_unit_test(ip_bad),   cmocka_unit_test(frames),
		cmocka_unit_test(mounts),   cmocka_unit_test(path),
		cmocka_unit_test(scripts),  cmocka_unit_test(statuses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
