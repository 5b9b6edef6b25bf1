/* SPDX-License-Identifier: Apache-2.0 */
#include "config_build.h"

#include "util.h"

#include <errno.h>
#include <net/if.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static int out_of_memory(void)
{
	log_error("out of memory");
	return -ENOMEM;
}

int config_set_string(char **slot, const char *value)
{
	char *copy = value ? strdup(value) : NULL;

	if (value && !copy)
		return out_of_memory();
	free(*slot);
	*slot = copy;
	return 0;
}

int config_set_path(char **slot, const char *where, const char *path)
{
	if (!*path) {
		log_error("%s: the file name is empty", where);
		return -EINVAL;
	}
	return config_set_string(slot, path);
}

int config_set_seccomp(struct vm_config *config, const char *where, const char *value)
{
	if (!strcmp(value, "kill")) {
		config->seccomp = SECCOMP_ENFORCE;
	} else if (!strcmp(value, "log")) {
		config->seccomp = SECCOMP_LOG;
	} else {
		log_error("%s: \"%s\" is neither kill nor log", where, value);
		return -EINVAL;
	}
	return 0;
}

int config_list_add(char ***list, char *item)
{
	size_t nr = 0;
	char **grown;

	while (*list && (*list)[nr])
		nr++;
	grown = item ? reallocarray(*list, nr + 2, sizeof(char *)) : NULL;
	if (!grown) {
		free(item);
		return out_of_memory();
	}
	grown[nr] = item;
	grown[nr + 1] = NULL;
	*list = grown;
	return 0;
}

void config_list_fini(char **list)
{
	size_t i;

	for (i = 0; list && list[i]; i++)
		free(list[i]);
	free(list);
}

int config_add_cmdline(struct vm_config *config, const char *where, const char *text)
{
	const char *c;
	char *joined;

	for (c = text; *c; c++) {
		if (*c < ' ' || *c > '~') {
			log_error("%s: only printable ASCII fits on a kernel command line", where);
			return -EINVAL;
		}
	}
	if (!config->cmdline)
		return config_set_string(&config->cmdline, text);
	if (asprintf(&joined, "%s %s", config->cmdline, text) < 0)
		return out_of_memory();
	free(config->cmdline);
	config->cmdline = joined;
	return 0;
}

int config_check_id(const char *where, const char *id)
{
	const char *c = id;

	/* Not isalnum(), which follows the locale. */
	while ((*c >= '0' && *c <= '9') || (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
	       *c == '_')
		c++;
	if (c > id && !*c)
		return 0;
	log_error("%s: \"%s\" is no valid id: use letters, digits and \"_\"", where, id);
	return -EINVAL;
}

int config_set_tap(struct nic_config *nic, const char *where, const char *name)
{
	/* The kernel's own rule: dev_valid_name() in net/core/dev.c. */
	if (!*name || strlen(name) >= IFNAMSIZ || strpbrk(name, "/: \t\n\v\f\r") ||
	    !strcmp(name, ".") || !strcmp(name, "..")) {
		log_error("%s: \"%s\" is no valid name of a network interface (1 to %d characters)",
			  where, name, IFNAMSIZ - 1);
		return -EINVAL;
	}
	nic->kind = NIC_TAP;
	return config_set_string(&nic->tap, name);
}

int config_set_mac(struct nic_config *nic, const char *where, const char *text)
{
	static const uint8_t zero[6];

	if (parse_mac(text, nic->mac) || !memcmp(nic->mac, zero, sizeof(zero))) {
		log_error("%s: \"%s\" is not the MAC address of one interface; expected a form "
			  "like 06:00:ac:10:00:02, the first byte even",
			  where, text);
		return -EINVAL;
	}
	nic->has_mac = true;
	return 0;
}

static int check_drive(const struct vm_config *config, const char *where,
		       const struct drive_config *drive)
{
	unsigned int i;

	if (drive->is_root && config->nr_drives && config->drives[0].is_root) {
		log_error("%s: there is a root drive already; a VM has one", where);
		return -EINVAL;
	}
	if (config->nr_drives == CONFIG_DRIVES_MAX) {
		log_error("%s: too many drives; a VM has at most %d", where, CONFIG_DRIVES_MAX);
		return -EINVAL;
	}
	for (i = 0; i < config->nr_drives; i++) {
		if (!strcmp(config->drives[i].id, drive->id)) {
			log_error("%s: the id \"%s\" is in use by another drive", where, drive->id);
			return -EINVAL;
		}
	}
	return 0;
}

int config_add_drive(struct vm_config *config, const char *where, struct drive_config *drive)
{
	unsigned int at = drive->is_root ? 0 : config->nr_drives;
	int err = check_drive(config, where, drive);

	if (err) {
		config_drive_fini(drive);
		return err;
	}
	memmove(&config->drives[at + 1], &config->drives[at],
		(config->nr_drives - at) * sizeof(*drive));
	config->drives[at] = *drive;
	config->nr_drives++;
	return 0;
}

static int check_nic_pair(const char *where, const struct nic_config *nic,
			  const struct nic_config *other)
{
	if (!strcmp(nic->id, other->id)) {
		log_error("%s: the id \"%s\" is in use by another interface", where, nic->id);
		return -EINVAL;
	}
	if (nic->has_mac && other->has_mac && !memcmp(nic->mac, other->mac, sizeof(nic->mac))) {
		log_error("%s: its MAC address is in use by interface \"%s\"", where, other->id);
		return -EINVAL;
	}
	if (nic->kind != other->kind || nic->kind == NIC_PASST)
		return 0;
	if (nic->kind == NIC_TAP ? !strcmp(nic->tap, other->tap) : nic->fd == other->fd) {
		log_error("%s: its host device is in use by interface \"%s\"", where, other->id);
		return -EINVAL;
	}
	return 0;
}

int config_add_nic(struct vm_config *config, const char *where, struct nic_config *nic)
{
	unsigned int i;
	int err = 0;

	if (config->nr_nics == CONFIG_NICS_MAX) {
		log_error("%s: too many network interfaces; a VM has at most %d", where,
			  CONFIG_NICS_MAX);
		err = -EINVAL;
	}
	for (i = 0; !err && i < config->nr_nics; i++)
		err = check_nic_pair(where, nic, &config->nics[i]);
	if (err) {
		config_nic_fini(nic);
		return err;
	}
	config->nics[config->nr_nics++] = *nic;
	return 0;
}

void config_drive_fini(struct drive_config *drive)
{
	free(drive->id);
	free(drive->path);
	free(drive->partuuid);
}

void config_nic_fini(struct nic_config *nic)
{
	free(nic->id);
	free(nic->tap);
	free(nic->address);
	free(nic->gateway);
	free(nic->dns);
	config_list_fini(nic->forwards);
}

/* Edit distance, a swap of neighbours counting as one: at most a third of the letters differ. */
bool config_similar(const char *word, const char *known)
{
	enum { LEN_MAX = 32 };
	unsigned int cost[LEN_MAX + 1][LEN_MAX + 1];
	size_t rows = strlen(word), cols = strlen(known), i, j;

	if (rows > LEN_MAX || cols > LEN_MAX)
		return false;
	for (i = 0; i <= rows; i++) {
		for (j = 0; j <= cols; j++) {
			if (!i || !j) {
				cost[i][j] = (unsigned int)(i + j);
				continue;
			}
			cost[i][j] = cost[i - 1][j - 1] + (word[i - 1] != known[j - 1]);
			cost[i][j] = MIN(cost[i][j], cost[i - 1][j] + 1);
			cost[i][j] = MIN(cost[i][j], cost[i][j - 1] + 1);
			if (i > 1 && j > 1 && word[i - 1] == known[j - 2] &&
			    word[i - 2] == known[j - 1])
				cost[i][j] = MIN(cost[i][j], cost[i - 2][j - 2] + 1);
		}
	}
	return cost[rows][cols] <= (cols + 2) / 3;
}
