/* SPDX-License-Identifier: Apache-2.0 */
#include "jailer_args.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>

#include "util.h"

#define ID_MAX 64
#define BASE_DEFAULT "/srv/jailer"

/* Names as the shell's ulimit and limits.conf have them; no-file is Firecracker's. */
static const struct {
	const char *name;
	int resource;
} resources[] = {
	{"as", RLIMIT_AS},
	{"core", RLIMIT_CORE},
	{"cpu", RLIMIT_CPU},
	{"data", RLIMIT_DATA},
	{"fsize", RLIMIT_FSIZE},
	{"locks", RLIMIT_LOCKS},
	{"memlock", RLIMIT_MEMLOCK},
	{"msgqueue", RLIMIT_MSGQUEUE},
	{"nice", RLIMIT_NICE},
	{"no-file", RLIMIT_NOFILE},
	{"nproc", RLIMIT_NPROC},
	{"rss", RLIMIT_RSS},
	{"rtprio", RLIMIT_RTPRIO},
	{"rttime", RLIMIT_RTTIME},
	{"sigpending", RLIMIT_SIGPENDING},
	{"stack", RLIMIT_STACK},
};

/* Each takes the value of one flag: 0, -EINVAL for a bad one, -E2BIG for one too many. */

static int set_base(struct jail_spec *spec, const char *text)
{
	spec->base = text;
	return *text ? 0 : -EINVAL;
}

static int set_cgroup(struct jail_spec *spec, const char *text)
{
	struct jail_cgroup *cgroup = &spec->cgroups[spec->nr_cgroups];
	const char *value = strchr(text, '=');
	size_t len = value ? (size_t)(value - text) : 0;

	if (spec->nr_cgroups == JAIL_MANY_MAX)
		return -E2BIG;
	if (!len || !value[1] || len >= sizeof(cgroup->file))
		return -EINVAL;
	memcpy(cgroup->file, text, len);
	cgroup->file[len] = '\0';
	cgroup->value = value + 1;
	if (strchr(cgroup->file, '/') || strstr(cgroup->file, "..") || *cgroup->file == '.' ||
	    !strchr(cgroup->file, '.'))
		return -EINVAL;
	spec->nr_cgroups++;
	return 0;
}

static int set_cgroup_version(struct jail_spec *spec, const char *text)
{
	spec->cgroup_version = *text == '2' ? 2 : 1;
	return strcmp(text, "1") != 0 && strcmp(text, "2") != 0 ? -EINVAL : 0;
}

static int set_daemonize(struct jail_spec *spec, const char *text)
{
	(void)text;
	spec->daemonize = true;
	return 0;
}

static int set_exec_file(struct jail_spec *spec, const char *text)
{
	spec->exec_file = text;
	return *text ? 0 : -EINVAL;
}

/* Of 32 bits, the last of which says "no change" to the kernel. */
static int parse_account(const char *text, uint32_t *ret)
{
	uint64_t value;

	if (parse_u64(text, &value) || value >= UINT32_MAX)
		return -EINVAL;
	*ret = (uint32_t)value;
	return 0;
}

static int set_gid(struct jail_spec *spec, const char *text)
{
	return parse_account(text, &spec->gid);
}

static int set_id(struct jail_spec *spec, const char *text)
{
	static const char chars[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"
				    "0123456789-";
	size_t len = strlen(text);

	spec->id = text;
	return !len || len > ID_MAX || text[strspn(text, chars)] ? -EINVAL : 0;
}

static int set_keep(struct jail_spec *spec, const char *text)
{
	(void)text;
	spec->keep = true;
	return 0;
}

static int set_netns(struct jail_spec *spec, const char *text)
{
	spec->netns = text;
	return *text ? 0 : -EINVAL;
}

static int set_new_pid_ns(struct jail_spec *spec, const char *text)
{
	(void)text;
	spec->new_pid_ns = true;
	return 0;
}

/* Names joined by '/', none of them empty, "." or "..". */
static bool is_plain_path(const char *path)
{
	size_t len;

	for (;; path += len + 1) {
		len = strcspn(path, "/");
		if (!len || (len == 1 && *path == '.') || (len == 2 && !strncmp(path, "..", 2)))
			return false;
		if (!path[len])
			return true;
	}
}

static int set_parent_cgroup(struct jail_spec *spec, const char *text)
{
	spec->parent_cgroup = text;
	return is_plain_path(text) ? 0 : -EINVAL;
}

static int set_limit(struct jail_spec *spec, const char *text)
{
	size_t len = strcspn(text, "="), i;
	uint64_t value;

	if (spec->nr_limits == JAIL_MANY_MAX)
		return -E2BIG;
	if (!text[len] || parse_u64(text + len + 1, &value))
		return -EINVAL;
	for (i = 0; i < ARRAY_SIZE(resources); i++) {
		if (strlen(resources[i].name) != len || strncmp(text, resources[i].name, len) != 0)
			continue;
		spec->limits[spec->nr_limits++] = (struct jail_limit){
			.resource = resources[i].resource,
			.name = resources[i].name,
			.value = value,
		};
		return 0;
	}
	return -EINVAL;
}

static int set_uid(struct jail_spec *spec, const char *text)
{
	return parse_account(text, &spec->uid);
}

static int set_writable(struct jail_spec *spec, const char *text)
{
	if (spec->nr_writables == JAIL_MANY_MAX)
		return -E2BIG;
	text += *text == '/';
	spec->writables[spec->nr_writables++] = text;
	if (!strcmp(text, "dev") || !strncmp(text, "dev/", 4))
		return -EINVAL; /* made by the jailer, and read-only */
	return is_plain_path(text) ? 0 : -EINVAL;
}

enum { REQUIRED = 1, MANY = 2 };

struct jailer_flag {
	const char *name;
	int (*set)(struct jail_spec *spec, const char *text);
	const char *value; /* as the help shows it; NULL: the flag takes none */
	const char *help;  /* with a value: what it is, after "must be" as well */
	unsigned int how;
};

static const struct jailer_flag flags[] = {
	{"--cgroup", set_cgroup, "FILE=VALUE",
	 "a file of a cgroup controller and what to write to it, as cpu.shares=10", MANY},
	{"--cgroup-version", set_cgroup_version, "1|2", "1 (the default) or 2", 0},
	{"--chroot-base-dir", set_base, "DIR", "the folder of all jails, " BASE_DEFAULT, 0},
	{"--daemonize", set_daemonize, NULL, "a session of its own, no terminal, no waiting", 0},
	{"--exec-file", set_exec_file, "FILE", "the program to run, static", REQUIRED},
	{"--gid", set_gid, "NUMBER", "the group of the VM, a number", REQUIRED},
	{"--id", set_id, "ID", "the name of the VM: 1 to 64 letters, digits and \"-\"", REQUIRED},
	{"--keep", set_keep, NULL, "leave the jail's folder and cgroups at the end", 0},
	{"--netns", set_netns, "FILE", "the network namespace to join, as /var/run/netns/NAME", 0},
	{"--new-pid-ns", set_new_pid_ns, NULL,
	 "do not wait for the VM (which always has a PID namespace of its own)", 0},
	{"--parent-cgroup", set_parent_cgroup, "NAME",
	 "the cgroup in which to make the VM's, relative to the top; no \".\" or \"..\"", 0},
	{"--resource-limit", set_limit, "NAME=NUMBER",
	 "one of as core cpu data fsize locks memlock msgqueue nice no-file nproc rss rtprio "
	 "rttime sigpending stack, and a number",
	 MANY},
	{"--uid", set_uid, "NUMBER", "the user of the VM, a number", REQUIRED},
	{"--writable", set_writable, "PATH",
	 "a folder in the jail that the VM may write; not / or /dev, no \".\" or \"..\"", MANY},
};

void jailer_args_help(void)
{
	size_t i;

	puts("Usage: husk-jailer FLAG... [-- ARG...]\n"
	     "\n"
	     "Runs husk, or another static program, in a jail made as root, as a user without any\n"
	     "privilege; cleans up when it ends. ARG... go to the program.\n");
	for (i = 0; i < ARRAY_SIZE(flags); i++)
		printf("  %s%s%s%s\n        %s\n", flags[i].name, flags[i].value ? " " : "",
		       flags[i].value ? flags[i].value : "",
		       flags[i].how & REQUIRED ? "   (required)" : "", flags[i].help);
	puts("  --help, --version");
}

static const struct jailer_flag *find_flag(const char *word)
{
	size_t i, len = strcspn(word, "=");

	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		if (strlen(flags[i].name) != len || strncmp(word, flags[i].name, len) != 0)
			continue;
		return word[len] && !flags[i].value ? NULL : &flags[i];
	}
	return NULL;
}

/* The flag at argv[*at], with its value; *at moves to what follows. */
static int parse_flag(struct jail_spec *spec, char **argv, int *at, bool seen[])
{
	const char *word = argv[(*at)++];
	const struct jailer_flag *flag = find_flag(word);
	const char *value = NULL;
	int err;

	if (!flag) {
		log_error("unknown argument \"%s\"; see \"husk-jailer --help\"", word);
		return -EINVAL;
	}
	if (flag->value) {
		value = strchr(word, '=');
		value = value ? value + 1 : argv[*at];
		if (value == argv[*at] && value && strncmp(value, "--", 2) != 0)
			(*at)++;
		else if (value == argv[*at])
			value = NULL;
		if (!value) {
			log_error("%s: the value is missing: %s", flag->name, flag->help);
			return -EINVAL;
		}
	}
	if (seen[flag - flags] && !(flag->how & MANY)) {
		log_error("%s is given twice", flag->name);
		return -EINVAL;
	}
	seen[flag - flags] = true;
	err = flag->set(spec, value);
	if (err == -E2BIG)
		log_error("%s is given more than %d times", flag->name, JAIL_MANY_MAX);
	else if (err)
		log_error("%s: \"%s\" is not valid: it must be %s", flag->name, value, flag->help);
	return err ? -EINVAL : 0;
}

static bool has_word(char **argv, const char *word)
{
	for (argv++; *argv && strcmp(*argv, "--") != 0; argv++)
		if (!strcmp(*argv, word))
			return true;
	return false;
}

int jailer_args_parse(int argc, char **argv, struct jail_spec *ret_spec,
		      enum jailer_action *ret_action)
{
	bool seen[ARRAY_SIZE(flags)] = {false};
	int at = 1, err;
	size_t i;

	*ret_spec = (struct jail_spec){.base = BASE_DEFAULT, .cgroup_version = 1};
	*ret_action = has_word(argv, "--help") || has_word(argv, "-h") ? JAILER_HELP
		      : has_word(argv, "--version")		       ? JAILER_VERSION
								       : JAILER_RUN;
	if (*ret_action != JAILER_RUN)
		return 0;
	while (at < argc && strcmp(argv[at], "--") != 0) {
		err = parse_flag(ret_spec, argv, &at, seen);
		if (err)
			return err;
	}
	for (i = 0; i < ARRAY_SIZE(flags); i++) {
		if ((flags[i].how & REQUIRED) && !seen[i]) {
			log_error("%s is missing: %s; see \"husk-jailer --help\"", flags[i].name,
				  flags[i].help);
			return -EINVAL;
		}
	}
	at += at < argc;
	ret_spec->args = argv + at;
	ret_spec->nr_args = (unsigned int)(argc - at);
	return 0;
}
