/* SPDX-License-Identifier: Apache-2.0 */
#include "config.h"

#include "config_build.h"
#include "config_flags.h"
#include "config_run.h"
#include "util.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

typedef int command_parser(struct vm_config *config, int argc, char **argv);

static int parse_doctor(struct vm_config *config, int argc, char **argv)
{
	int i;

	config->mode = CONFIG_DOCTOR;
	for (i = 1; i < argc; i++) {
		if (!strcmp(argv[i], "--quiet") || !strcmp(argv[i], "-q")) {
			config->quiet = true;
		} else if (!strcmp(argv[i], "--help") || !strcmp(argv[i], "-h")) {
			config->mode = CONFIG_HELP;
			puts("Usage: husk doctor [-q|--quiet]\n"
			     "\n"
			     "Checks whether this host can run guests: exit status 0 if it can; if "
			     "not, why,\n"
			     "and what to do.\n"
			     "\n"
			     "  -q, --quiet  print only the reason, if guests cannot run");
			return 0;
		} else {
			log_error("%s \"%s\"; see \"husk doctor --help\"",
				  *argv[i] == '-' ? "unknown option" : "unexpected argument",
				  argv[i]);
			return CONFIG_EXIT_HUSK;
		}
	}
	return 0;
}

static const struct {
	const char *name;
	command_parser *parse;
} commands[] = {
	{"run", config_run_parse},
	{"doctor", parse_doctor},
};

static int unknown_command(const char *name)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(commands); i++) {
		if (config_similar(name, commands[i].name)) {
			log_error("unknown command \"%s\"; did you mean \"husk %s\"?", name,
				  commands[i].name);
			return CONFIG_EXIT_HUSK;
		}
	}
	log_error("unknown command \"%s\"; to run it in a guest: \"husk run -- %s\"; see also "
		  "\"husk --help\"",
		  name, name);
	return CONFIG_EXIT_HUSK;
}

static int parse(struct vm_config *config, int argc, char **argv)
{
	size_t i;

	if (argc < 2 || *argv[1] == '-')
		return config_flags_parse(config, argc, argv);
	for (i = 0; i < ARRAY_SIZE(commands); i++)
		if (!strcmp(argv[1], commands[i].name))
			return commands[i].parse(config, argc - 1, argv + 1);
	return unknown_command(argv[1]);
}

int config_parse(struct vm_config *config, int argc, char **argv)
{
	int status;

	memset(config, 0, sizeof(*config));
	config->cpus = 1;
	config->memory = MIB(128);
	config->sandbox = true;
	status = parse(config, argc, argv);
	if (status)
		config_fini(config);
	return status;
}

void config_fini(struct vm_config *config)
{
	unsigned int i;

	for (i = 0; i < config->nr_drives; i++)
		config_drive_fini(&config->drives[i]);
	for (i = 0; i < config->nr_nics; i++)
		config_nic_fini(&config->nics[i]);
	free(config->kernel);
	free(config->initrd);
	free(config->cmdline);
	config_list_fini(config->env);
	free(config->workdir);
	free(config->metrics);
	free(config->id);
	memset(config, 0, sizeof(*config));
}
