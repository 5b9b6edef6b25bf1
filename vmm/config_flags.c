/* SPDX-License-Identifier: Apache-2.0 */
#include "config_flags.h"

#include "config_build.h"
#include "config_json.h"
#include "util.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>

#define ID_MAX 64

/* The flags husk has; the others of the table are refused by name. */
enum {
	FLAG_CONFIG_FILE,
	FLAG_NO_API,
	FLAG_ID,
	FLAG_HELP,
	FLAG_VERSION,
	FLAG_NO_SECCOMP,
	FLAG_SECCOMP,
	FLAG_NO_SANDBOX,
	FLAG_JAILED,
	FLAG_PRINT_SECCOMP,
	FLAG_METRICS,
	FLAG_START_TIME,
	FLAG_START_CPU_TIME,
	FLAG_PARENT_CPU_TIME,
	FLAG_SUPPORTED
};

struct flag {
	const char *name;
	bool has_value;
};

static const struct flag flags[] = {
	[FLAG_CONFIG_FILE] = {"--config-file", true},
	[FLAG_NO_API] = {"--no-api", false},
	[FLAG_ID] = {"--id", true},
	[FLAG_HELP] = {"--help", false},
	[FLAG_VERSION] = {"--version", false},
	[FLAG_NO_SECCOMP] = {"--no-seccomp", false},
	[FLAG_SECCOMP] = {"--seccomp", true},
	[FLAG_NO_SANDBOX] = {"--no-sandbox", false},
	[FLAG_JAILED] = {"--jailed", false},
	[FLAG_PRINT_SECCOMP] = {"--print-seccomp", false},
	[FLAG_METRICS] = {"--metrics", true},
	/* From a jailer, for metrics: there are none yet. */
	[FLAG_START_TIME] = {"--start-time-us", true},
	[FLAG_START_CPU_TIME] = {"--start-time-cpu-us", true},
	[FLAG_PARENT_CPU_TIME] = {"--parent-cpu-time-us", true},
	{"--api-sock", true},
	{"--boot-timer", false},
	{"--describe-snapshot", true},
	{"--enable-pci", false},
	{"--http-api-max-payload-size", true},
	{"--level", true},
	{"--log-path", true},
	{"--metadata", true},
	{"--metrics-path", true},
	{"--mmds-size-limit", true},
	{"--module", true},
	{"--seccomp-filter", true},
	{"--show-level", false},
	{"--show-log-origin", false},
	{"--snapshot-version", false},
};

static void print_help(void)
{
	puts("Usage: husk run [OPTION...] [--] COMMAND [ARG...]\n"
	     "       husk doctor [-q|--quiet]\n"
	     "       husk --config-file FILE --no-api [--id ID]\n"
	     "\n"
	     "husk is a microVM launcher for Linux guests on KVM.\n"
	     "\n"
	     "  run            boot a microVM, run COMMAND in it, exit with its status\n"
	     "  doctor         check whether this host can run guests; if not, say why\n"
	     "  --config-file  boot what FILE describes, in the format of Firecracker\n"
	     "  --no-api       needed with --config-file\n"
	     "  --id           name of the microVM: letters, digits and \"-\"\n"
	     "  --no-sandbox, --no-seccomp, --seccomp kill|log\n"
	     "                 as for run\n"
	     "  --jailed       husk-jailer has jailed husk: check that, do not do it again\n"
	     "  --print-seccomp\n"
	     "                 print the system call filters of this VM instead of running\n"
	     "                 it; alone: those of a VM that has everything\n"
	     "  --metrics FILE write time, exits and faults to FILE at the end, as JSON\n"
	     "  --version      print the version\n"
	     "  -h, --help     print this text\n"
	     "\n"
	     "\"husk run --help\" lists the options of run.\n"
	     "\n"
	     "Examples:\n"
	     "  husk doctor\n"
	     "  husk run -- uname -a\n"
	     "  husk --config-file vm.json --no-api");
}

static int unknown_flag(const char *word)
{
	size_t len = strcspn(word, "="), i;
	cleanup_free char *name = strndup(word, len);

	if (*word != '-') {
		log_error("unexpected argument \"%s\"; see \"husk --help\"", word);
		return -EINVAL;
	}
	for (i = 0; name && i < ARRAY_SIZE(flags); i++) {
		if (!strcmp(name, flags[i].name)) {
			log_error("unknown option \"%s\"; %s \"%s%s\"", word,
				  flags[i].has_value ? "the value goes in a word of its own:"
						     : "write",
				  name, flags[i].has_value ? " VALUE" : "");
			return -EINVAL;
		}
		if (i < FLAG_SUPPORTED && config_similar(name, flags[i].name)) {
			log_error("unknown option \"%s\"; did you mean \"%s\"?", name,
				  flags[i].name);
			return -EINVAL;
		}
	}
	log_error("unknown option \"%s\"; see \"husk --help\"", word);
	return -EINVAL;
}

/* Points values[i] to the value of flag i, or to its name where it takes none. */
static int read_flags(char **argv, const char *values[])
{
	size_t i;

	while (*++argv) {
		const char *word = strcmp(*argv, "-h") != 0 ? *argv : "--help";

		for (i = 0; i < ARRAY_SIZE(flags); i++)
			if (!strcmp(word, flags[i].name))
				break;
		if (i == ARRAY_SIZE(flags))
			return unknown_flag(word);
		if (i >= FLAG_SUPPORTED) {
			log_error("%s is not supported yet", word);
			return -EINVAL;
		}
		if (values[i]) {
			log_error("%s is given twice", word);
			return -EINVAL;
		}
		if (flags[i].has_value && (!argv[1] || !strncmp(argv[1], "--", 2))) {
			log_error("%s: the value is missing", word);
			return -EINVAL;
		}
		values[i] = flags[i].has_value ? *++argv : word;
	}
	return 0;
}

static int check_flags(const char *const values[])
{
	static const char id_chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				       "0123456789-";
	const char *id = values[FLAG_ID];

	if (!values[FLAG_CONFIG_FILE])
		log_error("--config-file is missing: husk takes its VM from \"--config-file FILE "
			  "--no-api\"; see \"husk --help\"");
	else if (!values[FLAG_NO_API])
		log_error("--config-file without --no-api is not supported yet; add --no-api");
	else if (id && (!*id || strlen(id) > ID_MAX || id[strspn(id, id_chars)]))
		log_error("--id: \"%s\" is no valid id: use 1 to %d letters, digits and \"-\"", id,
			  ID_MAX);
	else
		return 0;
	return -EINVAL;
}

static int set_jail(struct vm_config *config, const char *const values[])
{
	config->sandbox = !values[FLAG_NO_SANDBOX];
	config->jailed = values[FLAG_JAILED];
	if (values[FLAG_NO_SECCOMP])
		config->seccomp = SECCOMP_OFF;
	if (!values[FLAG_SECCOMP])
		return 0;
	if (values[FLAG_NO_SECCOMP]) {
		log_error("--seccomp and --no-seccomp exclude each other");
		return -EINVAL;
	}
	return config_set_seccomp(config, "--seccomp", values[FLAG_SECCOMP]);
}

int config_flags_parse(struct vm_config *config, int argc, char **argv)
{
	const char *values[FLAG_SUPPORTED] = {0};

	if (argc >= 2 && read_flags(argv, values))
		return CONFIG_EXIT_ARGUMENTS;
	if (argc < 2 || values[FLAG_HELP] || values[FLAG_VERSION]) {
		config->mode = CONFIG_HELP;
		if (values[FLAG_VERSION])
			puts("husk " HUSK_VERSION);
		else
			print_help();
		return 0;
	}
	if (set_jail(config, values))
		return CONFIG_EXIT_ARGUMENTS;
	config->print_seccomp = values[FLAG_PRINT_SECCOMP];
	if (config->print_seccomp && !values[FLAG_CONFIG_FILE]) {
		config->mode = CONFIG_SECCOMP;
		return 0;
	}
	if (check_flags(values) || config_set_string(&config->id, values[FLAG_ID]) ||
	    (values[FLAG_METRICS] &&
	     config_set_path(&config->metrics, "--metrics", values[FLAG_METRICS])))
		return CONFIG_EXIT_ARGUMENTS;
	config->mode = CONFIG_FILE;
	return config_json_load(config, values[FLAG_CONFIG_FILE]) ? CONFIG_EXIT_FILE : 0;
}
