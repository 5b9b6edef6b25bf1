/* SPDX-License-Identifier: Apache-2.0 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "cmdline.h"
#include "util.h"

#define FILE_DEFAULT \
	"reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd"

static const struct platform_device devices[] = {
	{PLATFORM_SERIAL, 0x3f8, 4},
	{PLATFORM_VIRTIO, 0xd0000000, 5},
	{PLATFORM_VIRTIO, 0xd0001000, 11},
};

static void assert_cmdline(const struct vm_config *config, const struct cmdline_nic *nics,
			   unsigned int nr_devices, const char *expected)
{
	char *cmdline = NULL;

	assert_int_equal(cmdline_build(config, nics, devices, nr_devices, &cmdline), 0);
	assert_string_equal(cmdline, expected);
	free(cmdline);
}

/* husk run: what every guest is given, then this. */
static void assert_run(const struct vm_config *config, const struct cmdline_nic *nics,
		       unsigned int nr_devices, const char *expected)
{
	static const char *const words[] = {"console=ttyS0 ", " reboot=k ", " panic=-1 ",
					    " 8250.nr_uarts=2 ", " rdinit=/husk/init"};
	struct vm_config plain = {.mode = CONFIG_RUN, .verbose = true};
	char *base = NULL, *cmdline = NULL;
	size_t i;

	assert_int_equal(cmdline_build(&plain, NULL, NULL, 0, &base), 0);
	for (i = 0; i < ARRAY_SIZE(words); i++)
		assert_non_null(strstr(base, words[i]));
	assert_int_equal(cmdline_build(config, nics, devices, nr_devices, &cmdline), 0);
	assert_memory_equal(cmdline, base, strlen(base));
	assert_string_equal(cmdline + strlen(base), expected);
	free(base);
	free(cmdline);
}

static void husk_run(void **state)
{
	struct vm_config config = {.mode = CONFIG_RUN};
	char append[] = "debug panic=5 -- shell", partuuid[] = "0a-01";

	(void)state;
	assert_run(&config, NULL, 0, " quiet");
	config.verbose = true;
	assert_run(&config, NULL, 0, "");
	config.nr_drives = 1;
	assert_run(&config, NULL, 0, ""); /* not a root drive */
	config.drives[0].is_root = true;
	assert_run(&config, NULL, 0, " root=/dev/vda rw");
	config.drives[0].read_only = true;
	config.drives[0].partuuid = partuuid;
	assert_run(&config, NULL, 1, " root=PARTUUID=0a-01 ro");
	/* The user's text is last. */
	config.cmdline = append;
	assert_run(&config, NULL, 3,
		   " root=PARTUUID=0a-01 ro virtio_mmio.device=4K@0xd0000000:5 "
		   "virtio_mmio.device=4K@0xd0001000:11 debug panic=5 -- shell");
}

static void addresses(void **state)
{
	static const struct cmdline_nic nics[] = {
		{.address = "10.0.0.2",
		 .netmask = "255.255.255.0",
		 .gateway = "10.0.0.1",
		 .dns = "10.0.0.3"},
		{.gateway = "1.2.3.4"}, /* nothing without an address */
		{.address = "172.16.0.2/30", .tcp_rmem = "4096 131072 6291456"},
	};
	struct vm_config config = {.mode = CONFIG_RUN, .verbose = true, .nr_nics = 3};

	(void)state;
	assert_run(&config, nics, 0,
		   " ip=10.0.0.2::10.0.0.1:255.255.255.0::eth0:off:10.0.0.3 "
		   "ip=172.16.0.2/30:::::eth2:off: "
		   "sysctl.net.ipv4.tcp_rmem=\"4096 131072 6291456\"");
	/* A config file has its own way, boot_args. */
	config.mode = CONFIG_FILE;
	assert_cmdline(&config, nics, 0, FILE_DEFAULT);
}

static void config_file(void **state)
{
	struct vm_config config = {.mode = CONFIG_FILE, .nr_drives = 1};
	char empty[] = "", args[] = "console=ttyS0 a=--  b", init[] = "quiet -- init --x -- y";

	(void)state;
	config.drives[0].is_root = true;
	/* boot_args absent, empty, given. */
	assert_cmdline(&config, NULL, 2,
		       FILE_DEFAULT " root=/dev/vda rw virtio_mmio.device=4K@0xd0000000:5");
	config.cmdline = empty;
	assert_cmdline(&config, NULL, 0, " root=/dev/vda rw");
	config.cmdline = args;
	assert_cmdline(&config, NULL, 2,
		       "console=ttyS0 a=--  b root=/dev/vda rw virtio_mmio.device=4K@0xd0000000:5");
	/* What is for init stays behind what is for the kernel. */
	config.cmdline = init;
	assert_cmdline(
		&config, NULL, 2,
		"quiet root=/dev/vda rw virtio_mmio.device=4K@0xd0000000:5 -- init --x -- y");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(husk_run),
		cmocka_unit_test(addresses),
		cmocka_unit_test(config_file),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
