/* SPDX-License-Identifier: Apache-2.0 */
/* Fuzzes the config file: the input is one. */
#include "config_check.h"
#include "fuzz_log.h"

#include <sys/mman.h>
#include <unistd.h>

#include "cmdline.h"

static int file_fd;
static char file_path[64];

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	file_fd = memfd_create("config", MFD_CLOEXEC);
	FUZZ_CHECK(file_fd >= 0);
	snprintf(file_path, sizeof(file_path), "/proc/self/fd/%d", file_fd);
	return 0;
}

/* As main does it. A refusal says why in one line, and leaves nothing. */
static int parse(struct vm_config *config, char **argv)
{
	int status = config_parse(config, 4, argv);

	FUZZ_CHECK(!status || status == CONFIG_EXIT_FILE);
	FUZZ_CHECK(fuzz_log_take() == (status ? 1 : 0));
	if (status)
		check_nothing_left(config);
	fuzz_steps++;
	return status;
}

/* The file's own words are on the kernel's command line, and nothing that is not one word each. */
static void check_cmdline(const struct vm_config *config)
{
	char *cmdline;

	FUZZ_CHECK(!cmdline_build(config, NULL, NULL, 0, &cmdline));
	FUZZ_CHECK(is_printable(cmdline));
	if (config->nr_drives && config->drives[0].is_root)
		FUZZ_CHECK(strstr(cmdline, config->drives[0].read_only ? " ro" : " rw"));
	free(cmdline);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	char *argv[] = {(char[]){"husk"}, (char[]){"--config-file"}, file_path,
			(char[]){"--no-api"}, NULL};
	struct vm_config config, again;
	int status;

	FUZZ_CHECK(!ftruncate(file_fd, 0));
	FUZZ_CHECK(pwrite(file_fd, data, size, 0) == (ssize_t)size);
	status = parse(&config, argv);
	FUZZ_CHECK(parse(&again, argv) == status);
	if (status)
		return 0;
	FUZZ_CHECK(config.mode == CONFIG_FILE && config.kernel && config.sandbox);
	check_config(&config);
	check_same(&config, &again);
	check_cmdline(&config);
	config_fini(&config);
	config_fini(&again);
	check_nothing_left(&config);
	return 0;
}
