/* SPDX-License-Identifier: Apache-2.0 */
#include "config_run.h"

#include "config_build.h"
#include "config_net.h"
#include "util.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct run_args {
	struct vm_config *config;
	const char *rootfs; /* the last --rootfs */
	const char *mac;    /* --mac; for the first interface, which may still follow */
	unsigned int drives;
};

/* `where` is the option, "--cpus"; `value` is NULL where the option takes none. */
typedef int run_setter(struct run_args *args, const char *where, const char *value);

struct run_option {
	const char *name;
	char letter;	   /* 0: none */
	const char *value; /* as the help calls it; NULL: the option takes none */
	run_setter *set;
	const char *help; /* several lines are allowed */
};

static int set_kernel(struct run_args *args, const char *where, const char *value)
{
	return config_set_path(&args->config->kernel, where, value);
}

static int set_initrd(struct run_args *args, const char *where, const char *value)
{
	return config_set_path(&args->config->initrd, where, value);
}

static int add_cmdline(struct run_args *args, const char *where, const char *value)
{
	return config_add_cmdline(args->config, where, value);
}

static int set_cpus(struct run_args *args, const char *where, const char *value)
{
	uint64_t cpus;

	if (parse_u64(value, &cpus) || cpus < 1 || cpus > CONFIG_CPUS_MAX) {
		log_error("%s: \"%s\" is not a number of vCPUs from 1 to %d", where, value,
			  CONFIG_CPUS_MAX);
		return -EINVAL;
	}
	args->config->cpus = (unsigned int)cpus;
	return 0;
}

static int set_memory(struct run_args *args, const char *where, const char *value)
{
	uint64_t memory, plain;
	int err = parse_size(value, &memory);

	if (err == -EINVAL)
		log_error("%s: \"%s\" is not a size; expected a form like 128M or 1G", where,
			  value);
	else if (err || memory > CONFIG_MEMORY_MAX)
		log_error("%s: \"%s\" is too large; a guest can have at most 4T", where, value);
	else if (memory >= CONFIG_MEMORY_MIN / MIB(1) && memory < CONFIG_MEMORY_MIN &&
		 !parse_u64(value, &plain))
		log_error("%s: \"%s\" is in bytes, which is too small; did you mean \"%sM\"?",
			  where, value, value);
	else if (memory < CONFIG_MEMORY_MIN)
		log_error("%s: \"%s\" is too small; a guest needs at least 32M", where, value);
	else if (memory % MIB(1))
		log_error("%s: \"%s\" is not a whole number of MiB", where, value);
	else {
		args->config->memory = memory;
		return 0;
	}
	return -EINVAL;
}

/* Cuts `suffix` off the end of `text`. */
static bool cut_suffix(char *text, const char *suffix)
{
	size_t text_len = strlen(text), len = strlen(suffix);

	if (text_len < len || strcmp(text + text_len - len, suffix) != 0)
		return false;
	text[text_len - len] = '\0';
	return true;
}

/*
 * FILE[,ro][,id=NAME], the last two in any order. A file name may hold commas: only these words are
 * cut off, from the end, each at most once.
 */
static int parse_drive(struct drive_config *drive, const char *where, const char *value)
{
	cleanup_free char *path = strdup(value);
	char *comma;
	int err = path ? 0 : -ENOMEM;

	while (!err) {
		if (!drive->read_only && cut_suffix(path, ",ro")) {
			drive->read_only = true;
			continue;
		}
		comma = strrchr(path, ',');
		if (drive->is_root || drive->id || !comma || strncmp(comma, ",id=", 4) != 0)
			break;
		err = config_check_id(where, comma + 4);
		if (!err)
			err = config_set_string(&drive->id, comma + 4);
		*comma = '\0';
	}
	return err ? err : config_set_path(&drive->path, where, path);
}

static int add_drive(struct run_args *args, const char *where, const char *value, bool is_root)
{
	struct drive_config drive = {.is_root = is_root};
	char id[16] = "root";
	int err = parse_drive(&drive, where, value);

	if (!is_root)
		snprintf(id, sizeof(id), "drive%u", ++args->drives);
	if (!err && !drive.id)
		err = config_set_string(&drive.id, id);
	if (err) {
		config_drive_fini(&drive);
		return err;
	}
	return config_add_drive(args->config, where, &drive);
}

static int set_rootfs(struct run_args *args, const char *where, const char *value)
{
	(void)where;
	args->rootfs = value;
	return 0;
}

static int add_data_drive(struct run_args *args, const char *where, const char *value)
{
	return add_drive(args, where, value, false);
}

static int add_net(struct run_args *args, const char *where, const char *value)
{
	return config_net_parse(args->config, where, value);
}

static int set_mac(struct run_args *args, const char *where, const char *value)
{
	struct nic_config checked = {0};

	args->mac = value;
	return config_set_mac(&checked, where, value);
}

/* NAME=VALUE, or NAME alone for husk's own value; unset there, it stays unset in the guest. */
static int set_env(struct run_args *args, const char *where, const char *value)
{
	size_t len = strcspn(value, "="), i;
	char **env = args->config->env;
	char *variable;

	if (!len) {
		log_error("%s: \"%s\" has no name; expected NAME=VALUE or NAME", where, value);
		return -EINVAL;
	}
	if (value[len])
		variable = strdup(value);
	else if (!getenv(value))
		return 0;
	else if (asprintf(&variable, "%s=%s", value, getenv(value)) < 0)
		variable = NULL;
	for (i = 0; variable && env && env[i]; i++) {
		if (!strncmp(env[i], value, len) && env[i][len] == '=') {
			free(env[i]);
			env[i] = variable;
			return 0;
		}
	}
	return config_list_add(&args->config->env, variable);
}

static int set_workdir(struct run_args *args, const char *where, const char *value)
{
	if (*value != '/') {
		log_error("%s: \"%s\" is not an absolute path; it must start with \"/\"", where,
			  value);
		return -EINVAL;
	}
	return config_set_string(&args->config->workdir, value);
}

static int set_timeout(struct run_args *args, const char *where, const char *value)
{
	if (parse_duration(value, &args->config->timeout_ns)) {
		log_error("%s: \"%s\" is not a duration; expected a form like 500ms, 30s, 5m or "
			  "1h",
			  where, value);
		return -EINVAL;
	}
	return 0;
}

static int set_timing(struct run_args *args, const char *where, const char *value)
{
	(void)where;
	(void)value;
	args->config->timing = true;
	return 0;
}

static int set_metrics(struct run_args *args, const char *where, const char *value)
{
	return config_set_path(&args->config->metrics, where, value);
}

static int set_no_sandbox(struct run_args *args, const char *where, const char *value)
{
	(void)where;
	(void)value;
	args->config->sandbox = false;
	return 0;
}

static int set_no_seccomp(struct run_args *args, const char *where, const char *value)
{
	(void)where;
	(void)value;
	args->config->seccomp = SECCOMP_OFF;
	return 0;
}

static int set_seccomp(struct run_args *args, const char *where, const char *value)
{
	return config_set_seccomp(args->config, where, value);
}

static int set_print_seccomp(struct run_args *args, const char *where, const char *value)
{
	(void)where;
	(void)value;
	args->config->print_seccomp = true;
	return 0;
}

static int set_verbose(struct run_args *args, const char *where, const char *value)
{
	(void)where;
	(void)value;
	args->config->verbose = true;
	return 0;
}

static int set_help(struct run_args *args, const char *where, const char *value)
{
	(void)where;
	(void)value;
	args->config->mode = CONFIG_HELP;
	return 0;
}

static const struct run_option run_options[] = {
	{"kernel", 'k', "FILE", set_kernel, "kernel to boot (default: the one of husk)"},
	{"rootfs", 'r', "FILE[,ro]", set_rootfs,
	 "raw disk image with the root file system\n(default: the one of husk); none: run in the "
	 "initrd"},
	{"initrd", 0, "FILE", set_initrd, "initial RAM disk"},
	{"append", 0, "TEXT", add_cmdline, "add TEXT to the kernel's command line*"},
	{"cpus", 'c', "N", set_cpus, "number of vCPUs, 1 to 32 (default: 1)"},
	{"memory", 'm', "SIZE", set_memory,
	 "memory in whole MiB: 64M, 1G (default: 128M, least: 32M)"},
	{"drive", 'd', "FILE[,ro][,id=NAME]", add_data_drive,
	 "one more drive: a raw disk image or block device*"},
	{"net", 'n', "KIND[,KEY=VALUE...]", add_net,
	 "network interface* (default: none); KIND is one of\n"
	 "  passt     user-mode network, needs no privileges\n"
	 "  tap=NAME  TAP device of the host\n"
	 "  fd=N      open descriptor of a TAP device\n"
	 "  none      no network; drops what was named before\n"
	 "and KEY one of mac, mtu, ip (ADDR/PREFIX), gw, dns,\n"
	 "with passt also tcp*, udp* (HOSTPORT:GUESTPORT) and\n"
	 "host (on: 10.0.2.2 leads to this host's loopback)"},
	{"mac", 0, "ADDR", set_mac, "MAC address of the first network interface"},
	{"env", 'e', "NAME[=VALUE]", set_env,
	 "set a variable for COMMAND*; NAME alone passes husk's own"},
	{"workdir", 'w', "DIR", set_workdir, "folder COMMAND starts in (default: /)"},
	{"timeout", 't', "DURATION", set_timeout,
	 "end the VM after 500ms, 30s, 5m, 1h (default: never)"},
	{"timing", 0, NULL, set_timing, "print where the time to boot went"},
	{"metrics", 0, "FILE", set_metrics, "write time, exits and faults to FILE, as JSON"},
	{"no-sandbox", 0, NULL, set_no_sandbox,
	 "run without namespaces and empty root (for debugging)"},
	{"no-seccomp", 0, NULL, set_no_seccomp, "run without system call filters (for debugging)"},
	{"seccomp", 0, "kill|log", set_seccomp,
	 "what becomes of a call the filters forbid: it ends the\n"
	 "VM (kill), or the kernel logs it (log, for debugging)"},
	{"print-seccomp", 0, NULL, set_print_seccomp,
	 "print the filters of this VM instead of running it"},
	{"verbose", 'v', NULL, set_verbose, "say what husk does"},
	{"help", 'h', NULL, set_help, "print this text"},
};

static void print_option(const struct run_option *option)
{
	enum { WIDTH = 28 }; /* of the left column */
	const char *line = option->help, *end;
	char left[64];

	snprintf(left, sizeof(left), "  %c%c%c --%s %s", option->letter ? '-' : ' ',
		 option->letter ? option->letter : ' ', option->letter ? ',' : ' ', option->name,
		 option->value ? option->value : "");
	if (strlen(left) > WIDTH) {
		puts(left);
		*left = '\0';
	}
	printf("%-*s", WIDTH, left);
	while ((end = strchr(line, '\n'))) {
		printf(" %.*s\n%*s", (int)(end - line), line, WIDTH, "");
		line = end + 1;
	}
	printf(" %s\n", line);
}

static void print_help(void)
{
	size_t i;

	puts("Usage: husk run [OPTION...] [--] COMMAND [ARG...]\n"
	     "\n"
	     "Boots a microVM, runs COMMAND in it and exits with COMMAND's status.\n");
	for (i = 0; i < ARRAY_SIZE(run_options); i++)
		print_option(&run_options[i]);
	puts("\n"
	     "  *  may be given several times; of the others the last one counts\n"
	     "\n"
	     "Exit status: that of COMMAND, or\n"
	     "  124     the timeout passed\n"
	     "  125     husk or the guest failed; one line says why\n"
	     "  126     COMMAND could not be run\n"
	     "  127     COMMAND was not found\n"
	     "  128+N   COMMAND or husk was ended by signal N\n"
	     "\n"
	     "Examples:\n"
	     "  husk run -- uname -a\n"
	     "  husk run -c 2 -m 512M -r debian.img,ro -- /bin/sh -c 'nproc; free'\n"
	     "  husk run -n passt,tcp=8080:80 -d data.img,id=data -e TOKEN -- httpd -f");
}

enum { CODE_LONG = 256 }; /* getopt's code of long option i is CODE_LONG + i */

static const struct run_option *find_option(int code)
{
	size_t i;

	if (code >= CODE_LONG)
		return &run_options[code - CODE_LONG];
	for (i = 0; i < ARRAY_SIZE(run_options); i++)
		if (code && run_options[i].letter == code)
			return &run_options[i];
	return NULL;
}

static void unknown_option(const char *word, int letter)
{
	size_t len = strcspn(word, "="), i;
	cleanup_free char *name = strndup(word, len);

	if (letter) {
		log_error("unknown option \"-%c\"; see \"husk run --help\"", letter);
		return;
	}
	for (i = 0; name && i < ARRAY_SIZE(run_options); i++) {
		if (!config_similar(name + strlen("--"), run_options[i].name))
			continue;
		log_error("unknown option \"%s\"; did you mean \"--%s\"?", name,
			  run_options[i].name);
		return;
	}
	log_error("unknown option \"%.*s\"; see \"husk run --help\"", (int)len, word);
}

/* Acts on what getopt_long found in `word`. */
static int apply_option(struct run_args *args, int found, const char *word)
{
	bool failed = found == '?' || found == ':';
	int code = failed ? optopt : found;
	const struct run_option *option = find_option(code);
	char where[32];

	/* getopt takes abbreviations; options that come later would change what they mean. */
	if (code >= CODE_LONG && strcspn(word + strlen("--"), "=") != strlen(option->name))
		option = NULL;
	if (!option) {
		unknown_option(word, code < CODE_LONG ? code : 0);
		return -EINVAL;
	}
	snprintf(where, sizeof(where), "--%s", option->name);
	if (failed) {
		log_error("%s: %s; see \"husk run --help\"", where,
			  option->value ? "the value is missing" : "takes no value");
		return -EINVAL;
	}
	return option->set(args, where, optarg);
}

static int parse_options(struct run_args *args, int argc, char **argv)
{
	struct option long_options[ARRAY_SIZE(run_options) + 1] = {0};
	char letters[2 * ARRAY_SIZE(run_options) + sizeof("+:")] = "+:";
	size_t used = strlen(letters), i;
	int code, at = 1, err = 0;

	for (i = 0; i < ARRAY_SIZE(run_options); i++) {
		const struct run_option *option = &run_options[i];

		long_options[i].name = option->name;
		long_options[i].has_arg = option->value ? required_argument : no_argument;
		long_options[i].val = CODE_LONG + (int)i;
		if (option->letter)
			letters[used++] = option->letter;
		if (option->letter && option->value)
			letters[used++] = ':';
	}
	opterr = 0;
	optind = 0; /* starts afresh */
	while (!err && args->config->mode != CONFIG_HELP) {
		code = getopt_long(argc, argv, letters, long_options, NULL);
		if (code < 0)
			break;
		err = apply_option(args, code, argv[at]);
		at = optind;
	}
	return err;
}

static int add_root(struct run_args *args)
{
	struct vm_config *config = args->config;

	if (args->rootfs && !strcmp(args->rootfs, "none"))
		return 0;
	if (args->rootfs)
		return add_drive(args, "--rootfs", args->rootfs, true);
	config->default_root = true;
	if (config->nr_drives < CONFIG_DRIVES_MAX)
		return 0;
	log_error("--drive: too many drives; a VM has at most %d, the root file system included",
		  CONFIG_DRIVES_MAX);
	return -EINVAL;
}

static int apply_mac(struct run_args *args)
{
	struct vm_config *config = args->config;
	const char *refused = NULL;
	unsigned int i;

	if (!args->mac)
		return 0;
	if (!config->nr_nics)
		refused = "there is no network interface; add --net";
	else if (config->nics[0].has_mac)
		refused = "the first --net has mac= already";
	else if (config_set_mac(&config->nics[0], "--mac", args->mac))
		return -EINVAL;
	for (i = 1; !refused && i < config->nr_nics; i++)
		if (config->nics[i].has_mac && !memcmp(config->nics[i].mac, config->nics[0].mac, 6))
			refused = "another --net has this address";
	if (!refused)
		return 0;
	log_error("--mac: %s", refused);
	return -EINVAL;
}

int config_run_parse(struct vm_config *config, int argc, char **argv)
{
	struct run_args args = {.config = config};

	config->mode = CONFIG_RUN;
	config->env = calloc(1, sizeof(*config->env));
	if (!config->env) {
		log_error("out of memory");
		return CONFIG_EXIT_HUSK;
	}
	if (parse_options(&args, argc, argv))
		return CONFIG_EXIT_HUSK;
	if (config->mode == CONFIG_HELP) {
		print_help();
		return 0;
	}
	if (optind == argc) {
		log_error("the command to run is missing, as in \"husk run -- uname -a\"; see "
			  "\"husk run --help\"");
		return CONFIG_EXIT_HUSK;
	}
	config->argv = &argv[optind];
	return add_root(&args) || apply_mac(&args) ? CONFIG_EXIT_HUSK : 0;
}
