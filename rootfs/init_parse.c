/* SPDX-License-Identifier: Apache-2.0 */
#include "init_parse.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>

static char default_path[] = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";
static char default_home[] = "HOME=/root";
static char default_term[] = "TERM=linux";

/* If text starts with prefix, what follows it, else NULL. */
static char *after(char *text, const char *prefix)
{
	size_t len = strlen(prefix);

	return strncmp(text, prefix, len) == 0 ? text + len : NULL;
}

/* A decimal number from 0 to max, and nothing else. */
static int number_parse(const char *text, unsigned long max, unsigned long *ret)
{
	char *end;

	if (!isdigit((unsigned char)*text))
		return -EINVAL;
	errno = 0;
	*ret = strtoul(text, &end, 10);
	return errno || *end || *ret > max ? -EINVAL : 0;
}

const char *env_get(char *const *envp, const char *name)
{
	size_t len = strlen(name);

	for (; *envp; envp++)
		if (strncmp(*envp, name, len) == 0 && (*envp)[len] == '=')
			return *envp + len + 1;
	return NULL;
}

static void env_default(char **envp, size_t *count, const char *name, char *entry)
{
	if (env_get(envp, name))
		return;
	envp[(*count)++] = entry;
	envp[*count] = NULL;
}

static int run_record(char *record, struct run_spec *spec, size_t *argc, size_t *envc)
{
	unsigned long number;
	char *value;

	if ((value = after(record, "arg="))) {
		spec->argv[(*argc)++] = value;
	} else if ((value = after(record, "env="))) {
		if (!strchr(value, '='))
			return -EINVAL;
		spec->envp[(*envc)++] = value;
	} else if ((value = after(record, "cwd="))) {
		spec->cwd = value;
	} else if ((value = after(record, "tty="))) {
		if (number_parse(value, 1, &number) < 0)
			return -EINVAL;
		spec->tty = number;
	} else if ((value = after(record, "rows="))) {
		if (number_parse(value, UINT16_MAX, &number) < 0)
			return -EINVAL;
		spec->rows = (uint16_t)number;
	} else if ((value = after(record, "cols="))) {
		if (number_parse(value, UINT16_MAX, &number) < 0)
			return -EINVAL;
		spec->cols = (uint16_t)number;
	} else {
		return -EINVAL;
	}
	return 0;
}

/* Every record, and then the defaults; the arrays have room. */
static int run_fill(char *text, size_t len, struct run_spec *spec, const char **ret_bad)
{
	size_t argc = 0, envc = 0;

	for (char *record = text; record < text + len; record += strlen(record) + 1) {
		*ret_bad = record;
		if (run_record(record, spec, &argc, &envc) < 0)
			return -EINVAL;
	}
	*ret_bad = "no arg=";
	if (argc == 0)
		return -EINVAL;

	env_default(spec->envp, &envc, "PATH", default_path);
	env_default(spec->envp, &envc, "HOME", default_home);
	if (spec->tty)
		env_default(spec->envp, &envc, "TERM", default_term);
	return 0;
}

int run_parse(char *text, size_t len, struct run_spec *ret_spec, const char **ret_bad)
{
	struct run_spec spec = {.cwd = "/"};
	size_t records = 0;
	int ret = -ENOMEM;

	*ret_bad = "end of file";
	if (len && text[len - 1])
		return -EINVAL;
	for (size_t i = 0; i < len; i++)
		records += !text[i];

	/* Room for every record in both; the defaults and the final NULL. */
	spec.argv = calloc(records + 1, sizeof(*spec.argv));
	spec.envp = calloc(records + 4, sizeof(*spec.envp));
	if (spec.argv && spec.envp)
		ret = run_fill(text, len, &spec, ret_bad);
	if (ret < 0) {
		free(spec.argv);
		free(spec.envp);
		return ret;
	}
	*ret_spec = spec;
	return 0;
}

/* Cut the next parameter off *cursor and take its quotes away; NULL at the end. */
static char *cmdline_next(char **cursor)
{
	char *in = *cursor, *out, *word;
	bool quoted = false;

	while (isspace((unsigned char)*in))
		in++;
	if (!*in)
		return NULL;
	for (word = out = in; *in && (quoted || !isspace((unsigned char)*in)); in++) {
		if (*in == '"')
			quoted = !quoted;
		else
			*out++ = *in;
	}
	*cursor = *in ? in + 1 : in;
	*out = '\0';
	return word;
}

void cmdline_parse(char *text, struct boot_spec *ret_spec)
{
	struct boot_spec spec = {0};
	char *word, *value;

	while ((word = cmdline_next(&text)) && strcmp(word, "--") != 0) {
		if ((value = after(word, "root=")))
			spec.root = value;
		else if ((value = after(word, "rootfstype=")))
			spec.rootfstype = value;
		else if ((value = after(word, "rootflags=")))
			spec.rootflags = value;
		else if ((value = after(word, "ip=")) && spec.nr_ips < BOOT_IPS_MAX)
			spec.ips[spec.nr_ips++] = value;
		else if (strcmp(word, "ro") == 0)
			spec.rw = false;
		else if (strcmp(word, "rw") == 0)
			spec.rw = true;
	}
	*ret_spec = spec;
}

/* An optional address: an empty field leaves it zero. */
static int addr_parse(const char *text, struct in_addr *ret_addr)
{
	if (*text && inet_pton(AF_INET, text, ret_addr) != 1)
		return -EINVAL;
	return 0;
}

/* "ADDRESS" or "ADDRESS/BITS". */
static int client_parse(char *text, struct ip_spec *spec)
{
	char *slash = strchr(text, '/');
	unsigned long bits;

	if (slash) {
		*slash++ = '\0';
		if (number_parse(slash, 32, &bits) < 0 || bits == 0) {
			slash[-1] = '/'; /* for the message */
			return -EINVAL;
		}
		spec->netmask.s_addr = htonl(UINT32_MAX << (32 - bits));
	}
	return addr_parse(text, &spec->client);
}

/* The seventh field, or all of a short ip=. Only DHCP of the automatic ways is offered. */
static int autoconf_parse(const char *text, enum ip_mode *mode)
{
	if (strcmp(text, "dhcp") == 0 || strcmp(text, "on") == 0 || strcmp(text, "any") == 0)
		*mode = IP_DHCP;
	else if (*text && strcmp(text, "off") != 0 && strcmp(text, "none") != 0)
		return -EINVAL;
	return 0;
}

static int ip_field(int index, char *field, struct ip_spec *spec)
{
	switch (index) {
	case 0:
		return client_parse(field, spec);
	case 2:
		return addr_parse(field, &spec->gateway);
	case 3:
		return addr_parse(field, &spec->netmask);
	case 4:
		spec->hostname = *field ? field : NULL;
		return 0;
	case 5:
		spec->device = *field ? field : spec->device;
		return 0;
	case 6:
		return autoconf_parse(field, &spec->mode);
	case 7:
	case 8:
		return addr_parse(field, &spec->dns[index - 7]);
	default: /* 1: the NFS server, 9: an NTP server */
		return index > 9 ? -EINVAL : 0;
	}
}

int ip_parse(char *text, struct ip_spec *ret_spec, const char **ret_bad)
{
	struct ip_spec spec = {.mode = IP_NONE, .device = "eth0"};
	char *field;

	*ret_bad = text;
	if (isalpha((unsigned char)*text) && !strchr(text, ':')) {
		if (autoconf_parse(text, &spec.mode) < 0)
			return -EINVAL;
		*ret_spec = spec;
		return 0;
	}
	for (int i = 0; (field = strsep(&text, ":")); i++) {
		*ret_bad = field;
		if (ip_field(i, field, &spec) < 0)
			return -EINVAL;
	}
	if (spec.mode == IP_NONE && spec.client.s_addr)
		spec.mode = IP_STATIC;
	*ret_spec = spec;
	return 0;
}

ssize_t frame_parse(const void *bytes, size_t len, struct link_header *ret_header)
{
	if (len < sizeof(*ret_header))
		return 0;
	memcpy(ret_header, bytes, sizeof(*ret_header));
	if (ret_header->zero || ret_header->len > LINK_PAYLOAD_MAX)
		return -EPROTO;
	if (len < sizeof(*ret_header) + ret_header->len)
		return 0;
	return (ssize_t)(sizeof(*ret_header) + ret_header->len);
}

/* Undo the kernel's escapes in place: \040 and the like. */
static char *mount_unescape(char *text)
{
	char *out = text;

	for (const char *in = text; *in; out++) {
		if (in[0] == '\\' && isdigit((unsigned char)in[1]) &&
		    isdigit((unsigned char)in[2]) && isdigit((unsigned char)in[3])) {
			*out = (char)((in[1] - '0') * 64 + (in[2] - '0') * 8 + (in[3] - '0'));
			in += 4;
		} else {
			*out = *in++;
		}
	}
	*out = '\0';
	return text;
}

bool mount_parse(char **cursor, struct mount_entry *ret_entry)
{
	char *line = strsep(cursor, "\n"), *source, *dir, *options;

	if (!line)
		return false;
	source = strsep(&line, " ");
	dir = strsep(&line, " ");
	(void)strsep(&line, " "); /* the type */
	options = strsep(&line, " ");
	if (!options)
		return false;
	ret_entry->source = mount_unescape(source);
	ret_entry->dir = mount_unescape(dir);
	ret_entry->rw = strncmp(options, "rw", 2) == 0;
	return true;
}

bool path_next(const char **cursor, const char *name, char *buf, size_t size)
{
	while (*cursor) {
		const char *dir = *cursor;
		size_t len = strcspn(dir, ":"), name_len = strlen(name);

		*cursor = dir[len] ? dir + len + 1 : NULL;
		if (len == 0) { /* an empty entry is the current folder */
			dir = ".";
			len = 1;
		}
		if (len + 1 + name_len + 1 > size)
			continue;
		memcpy(buf, dir, len);
		buf[len] = '/';
		memcpy(buf + len + 1, name, name_len + 1);
		return true;
	}
	return false;
}

bool is_script(const void *bytes, size_t len)
{
	return !memchr(bytes, '\0', len);
}

uint8_t exit_status(int wait_status)
{
	if (WIFSIGNALED(wait_status))
		return (uint8_t)(128 + WTERMSIG(wait_status));
	return (uint8_t)WEXITSTATUS(wait_status);
}
