/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes command lines: of husk run, of husk in Firecracker's way, of husk-jailer. Input: a byte
 * that chooses, then the arguments, each but the last with a NUL byte behind it.
 */
#include "config_check.h"
#include "fuzz_log.h"

#include <errno.h>
#include <sys/resource.h>

#include "cmdline.h"
#include "initramfs.h"
#include "jailer_args.h"

#define WORDS_MAX 128

enum { HUSK_RUN, HUSK, JAILER, PROGRAMS };

struct words {
	char *argv[WORDS_MAX + 3];
	int argc;
	char *text; /* what they are in */
};

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	/* Help goes there. */
	FUZZ_CHECK(freopen("/dev/null", "w", stdout));
	return 0;
}

static void words_init(struct words *words, struct fuzz_input *in, unsigned int program)
{
	static char husk[] = "husk", run[] = "run";
	size_t at;

	words->text = malloc(in->size + 1);
	memcpy(words->text, in->data, in->size);
	words->text[in->size] = '\0';
	words->argc = 0;
	words->argv[words->argc++] = husk;
	if (program == HUSK_RUN)
		words->argv[words->argc++] = run;
	for (at = 0; at < in->size && words->argc < WORDS_MAX + 2;
	     at += strlen(words->text + at) + 1)
		words->argv[words->argc++] = words->text + at;
	words->argv[words->argc] = NULL;
}

/*
 * husk
 */

/* The run file in the archive: one record for each word of the command, in order, whole. */
static void check_initramfs(const struct vm_config *config)
{
	struct run_spec spec = {.argv = config->argv,
				.env = config->env,
				.workdir = config->workdir,
				.tty = true,
				.rows = 1,
				.cols = 2};
	struct buffer cpio;
	const char *at;
	size_t i;

	FUZZ_CHECK(!initramfs_build(&spec, &cpio));
	FUZZ_CHECK(cpio.len % 4 == 0);
	at = memmem(cpio.data, cpio.len, "tty=1\0rows=1\0cols=2", 20);
	FUZZ_CHECK(at);
	at += 20;
	if (config->workdir) {
		FUZZ_CHECK(!strncmp(at, "cwd=", 4) && !strcmp(at + 4, config->workdir));
		at += strlen(at) + 1;
	}
	for (i = 0; config->env[i]; i++, at += strlen(at) + 1)
		FUZZ_CHECK(!strncmp(at, "env=", 4) && !strcmp(at + 4, config->env[i]));
	for (i = 0; config->argv[i]; i++, at += strlen(at) + 1)
		FUZZ_CHECK(!strncmp(at, "arg=", 4) && !strcmp(at + 4, config->argv[i]));
	free(cpio.data);
}

static void check_cmdline(const struct vm_config *config)
{
	struct cmdline_nic nics[CONFIG_NICS_MAX] = {0};
	unsigned int i;
	char *cmdline;

	for (i = 0; i < config->nr_nics; i++) {
		nics[i].address = config->nics[i].address;
		nics[i].gateway = config->nics[i].gateway;
		nics[i].dns = config->nics[i].dns;
	}
	FUZZ_CHECK(!cmdline_build(config, nics, NULL, 0, &cmdline));
	FUZZ_CHECK(is_printable(cmdline));
	free(cmdline);
}

static void check_run(const struct vm_config *config, const struct words *words)
{
	unsigned int i, j;

	FUZZ_CHECK(config->argv >= words->argv && config->argv < words->argv + words->argc);
	FUZZ_CHECK(!config->workdir || *config->workdir == '/');
	for (i = 0; config->env[i]; i++) {
		size_t len = strcspn(config->env[i], "=");

		FUZZ_CHECK(len && config->env[i][len] == '=');
		for (j = 0; j < i; j++)
			FUZZ_CHECK(strncmp(config->env[i], config->env[j], len + 1) != 0);
	}
	check_cmdline(config);
	check_initramfs(config);
}

static int parse(struct vm_config *config, struct words *words)
{
	int status = config_parse(config, words->argc, words->argv);

	FUZZ_CHECK(!status || status == CONFIG_EXIT_HUSK || status == CONFIG_EXIT_ARGUMENTS ||
		   status == CONFIG_EXIT_FILE);
	FUZZ_CHECK(fuzz_log_take() == (status ? 1 : 0));
	if (status)
		check_nothing_left(config);
	fuzz_steps++;
	return status;
}

static void fuzz_husk(struct words *words)
{
	struct vm_config config, again;
	int status = parse(&config, words);

	FUZZ_CHECK(parse(&again, words) == status);
	if (status)
		return;
	check_config(&config);
	check_same(&config, &again);
	if (config.mode == CONFIG_RUN)
		check_run(&config, words);
	if (config.id)
		FUZZ_CHECK(is_made_of(config.id, CHARS_ALNUM "-") && strlen(config.id) <= 64);
	config_fini(&config);
	config_fini(&again);
}

/*
 * husk-jailer
 */

/* What becomes part of a path leads nowhere else. */
static bool is_plain(const char *path)
{
	char around[8192];

	if (snprintf(around, sizeof(around), "/%s/", path) >= (int)sizeof(around))
		return true;
	return !strstr(around, "//") && !strstr(around, "/./") && !strstr(around, "/../");
}

static void check_jail(const struct jail_spec *spec)
{
	unsigned int i;

	FUZZ_CHECK(is_made_of(spec->id, CHARS_ALNUM "-") && strlen(spec->id) <= 64);
	FUZZ_CHECK(*spec->exec_file && *spec->base && (!spec->netns || *spec->netns));
	FUZZ_CHECK(spec->uid != (uid_t)-1 && spec->gid != (gid_t)-1);
	FUZZ_CHECK(!spec->parent_cgroup || is_plain(spec->parent_cgroup));
	FUZZ_CHECK(spec->cgroup_version == 1 || spec->cgroup_version == 2);
	FUZZ_CHECK(spec->nr_cgroups <= JAIL_MANY_MAX && spec->nr_limits <= JAIL_MANY_MAX &&
		   spec->nr_writables <= JAIL_MANY_MAX);
	for (i = 0; i < spec->nr_cgroups; i++) {
		const char *file = spec->cgroups[i].file;

		FUZZ_CHECK(*file != '.' && strchr(file, '.') && !strchr(file, '/') &&
			   *spec->cgroups[i].value);
	}
	for (i = 0; i < spec->nr_limits; i++)
		FUZZ_CHECK(spec->limits[i].resource >= 0 &&
			   spec->limits[i].resource < (int)RLIM_NLIMITS && spec->limits[i].name);
	for (i = 0; i < spec->nr_writables; i++)
		FUZZ_CHECK(is_plain(spec->writables[i]) && *spec->writables[i] != '/' &&
			   strcmp(spec->writables[i], "dev") != 0 &&
			   strncmp(spec->writables[i], "dev/", 4) != 0);
}

static void fuzz_jailer(struct words *words)
{
	struct jail_spec spec;
	enum jailer_action action;
	int err = jailer_args_parse(words->argc, words->argv, &spec, &action);

	FUZZ_CHECK(!err || err == -EINVAL);
	FUZZ_CHECK(fuzz_log_take() == (err ? 1 : 0));
	fuzz_steps++;
	if (err || action != JAILER_RUN)
		return;
	check_jail(&spec);
	FUZZ_CHECK(spec.args >= words->argv &&
		   spec.args + spec.nr_args == words->argv + words->argc);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	unsigned int program = fuzz_u8(&in) % PROGRAMS;
	struct words words;

	words_init(&words, &in, program);
	if (program == JAILER)
		fuzz_jailer(&words);
	else
		fuzz_husk(&words);
	free(words.text);
	return 0;
}
