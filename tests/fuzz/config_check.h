/* SPDX-License-Identifier: Apache-2.0 */
/* What holds for every configuration that was accepted, whatever it was read from. */
#ifndef HUSK_TESTS_CONFIG_CHECK_H
#define HUSK_TESTS_CONFIG_CHECK_H

#include "fuzz.h"

#include "config.h"
#include "util.h"

static inline bool same_text(const char *a, const char *b)
{
	return a && b ? !strcmp(a, b) : a == b;
}

static inline bool same_list(char **a, char **b)
{
	for (; a && b && *a && *b; a++, b++)
		if (strcmp(*a, *b) != 0)
			return false;
	return (!a && !b) || (a && b && !*a && !*b);
}

static inline bool same_drive(const struct drive_config *a, const struct drive_config *b)
{
	return same_text(a->id, b->id) && same_text(a->path, b->path) &&
	       a->read_only == b->read_only && a->is_root == b->is_root &&
	       same_text(a->partuuid, b->partuuid);
}

static inline bool same_nic(const struct nic_config *a, const struct nic_config *b)
{
	return same_text(a->id, b->id) && a->kind == b->kind && same_text(a->tap, b->tap) &&
	       a->fd == b->fd && a->has_mac == b->has_mac && !memcmp(a->mac, b->mac, 6) &&
	       a->mtu == b->mtu && same_text(a->address, b->address) &&
	       same_text(a->gateway, b->gateway) && same_text(a->dns, b->dns) &&
	       a->map_host == b->map_host && same_list(a->forwards, b->forwards);
}

/* The same request, understood twice. */
static inline void check_same(const struct vm_config *a, const struct vm_config *b)
{
	unsigned int i;

	FUZZ_CHECK(a->mode == b->mode && a->cpus == b->cpus && a->memory == b->memory);
	FUZZ_CHECK(same_text(a->kernel, b->kernel) && same_text(a->initrd, b->initrd));
	FUZZ_CHECK(same_text(a->cmdline, b->cmdline) && same_text(a->workdir, b->workdir));
	FUZZ_CHECK(same_text(a->id, b->id) && same_list(a->env, b->env) && a->argv == b->argv);
	FUZZ_CHECK(a->nr_drives == b->nr_drives && a->nr_nics == b->nr_nics);
	for (i = 0; i < a->nr_drives; i++)
		FUZZ_CHECK(same_drive(&a->drives[i], &b->drives[i]));
	for (i = 0; i < a->nr_nics; i++)
		FUZZ_CHECK(same_nic(&a->nics[i], &b->nics[i]));
	FUZZ_CHECK(a->default_root == b->default_root && a->timeout_ns == b->timeout_ns);
	FUZZ_CHECK(a->timing == b->timing && a->verbose == b->verbose && a->quiet == b->quiet);
	FUZZ_CHECK(a->sandbox == b->sandbox && a->jailed == b->jailed);
	FUZZ_CHECK(a->seccomp == b->seccomp && a->print_seccomp == b->print_seccomp);
}

/* Of these characters only, and not empty. */
static inline bool is_made_of(const char *text, const char *chars)
{
	return *text && !text[strspn(text, chars)];
}

#define CHARS_DIGITS "0123456789"
#define CHARS_ALNUM CHARS_DIGITS "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

static inline void check_drives(const struct vm_config *config)
{
	unsigned int i, j;

	FUZZ_CHECK(config->nr_drives <= CONFIG_DRIVES_MAX);
	for (i = 0; i < config->nr_drives; i++) {
		const struct drive_config *drive = &config->drives[i];

		FUZZ_CHECK(drive->path && *drive->path && is_made_of(drive->id, CHARS_ALNUM "_"));
		FUZZ_CHECK(!drive->is_root || !i);
		FUZZ_CHECK(!drive->partuuid || is_made_of(drive->partuuid, CHARS_ALNUM "-/="));
		for (j = 0; j < i; j++)
			FUZZ_CHECK(strcmp(config->drives[j].id, drive->id) != 0);
	}
}

static inline void check_nic(const struct nic_config *nic)
{
	static const uint8_t zero[6];
	char **forward;

	FUZZ_CHECK(is_made_of(nic->id, CHARS_ALNUM "_"));
	FUZZ_CHECK(!nic->mtu || nic->mtu >= CONFIG_MTU_MIN);
	FUZZ_CHECK(!nic->has_mac || (!(nic->mac[0] & 1) && memcmp(nic->mac, zero, 6) != 0));
	/* A name that could lead out of /sys/class/net, or is longer than the kernel's 15. */
	if (nic->kind == NIC_TAP)
		FUZZ_CHECK(*nic->tap && strlen(nic->tap) < 16 && !strpbrk(nic->tap, "/: \t\n") &&
			   strcmp(nic->tap, ".") != 0 && strcmp(nic->tap, "..") != 0);
	if (nic->kind == NIC_FD)
		FUZZ_CHECK(nic->fd > 2);
	/* These become words of the kernel's command line, or of another program's. */
	FUZZ_CHECK(!nic->address || is_made_of(nic->address, CHARS_DIGITS "./"));
	FUZZ_CHECK(!nic->gateway || is_made_of(nic->gateway, CHARS_DIGITS "."));
	FUZZ_CHECK(!nic->dns || is_made_of(nic->dns, CHARS_DIGITS "."));
	for (forward = nic->forwards; forward && *forward; forward++)
		FUZZ_CHECK(nic->kind == NIC_PASST && is_made_of(*forward, CHARS_DIGITS "tcpud=:"));
}

static inline void check_config(const struct vm_config *config)
{
	unsigned int i, j;

	FUZZ_CHECK(config->cpus >= 1 && config->cpus <= CONFIG_CPUS_MAX);
	FUZZ_CHECK(config->memory >= CONFIG_MEMORY_MIN && config->memory <= CONFIG_MEMORY_MAX);
	FUZZ_CHECK(config->memory % MIB(1) == 0);
	FUZZ_CHECK(!config->kernel || *config->kernel);
	FUZZ_CHECK(!config->initrd || *config->initrd);
	check_drives(config);
	FUZZ_CHECK(config->nr_nics <= CONFIG_NICS_MAX);
	for (i = 0; i < config->nr_nics; i++) {
		check_nic(&config->nics[i]);
		for (j = 0; j < i; j++)
			FUZZ_CHECK(!config->nics[i].has_mac || !config->nics[j].has_mac ||
				   memcmp(config->nics[i].mac, config->nics[j].mac, 6) != 0);
	}
}

static inline bool is_printable(const char *text)
{
	while (*text >= ' ' && *text <= '~')
		text++;
	return !*text;
}

static inline void check_nothing_left(const struct vm_config *config)
{
	static const struct vm_config nothing;

	FUZZ_CHECK(!memcmp(config, &nothing, sizeof(nothing)));
}

#endif
