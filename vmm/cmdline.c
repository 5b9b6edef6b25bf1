/* SPDX-License-Identifier: Apache-2.0 */
#include "cmdline.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"

/*
 * husk run: PID 1 is husk's own init. quiet: every character on the console costs an exit.
 * reboot=k: to the keyboard controller's reset line, without trying anything else first.
 * swiotlb=noforce: no 64 MiB of bounce buffers, which no device here needs.
 */
#define CMDLINE_RUN \
	"console=ttyS0 reboot=k panic=-1 8250.nr_uarts=2 swiotlb=noforce rdinit=" LINK_INIT_PATH
/* A config file without boot_args: what Firecracker gives its guests then. */
#define CMDLINE_FILE \
	"reboot=k panic=1 nomodule 8250.nr_uarts=0 i8042.noaux i8042.nomux i8042.dumbkbd"

struct text {
	char *data;
	size_t len, room;
	bool failed; /* out of memory, once or more */
};

static void add_part(struct text *text, const char *part, size_t len)
{
	size_t room = 2 * (text->len + len + 128);
	char *grown;

	/* With room for the end. */
	if (text->room - text->len <= len) {
		grown = realloc(text->data, room);
		if (!grown) {
			text->failed = true;
			return;
		}
		text->data = grown;
		text->room = room;
	}
	memcpy(text->data + text->len, part, len);
	text->len += len;
	text->data[text->len] = '\0';
}

/* All words up to NULL, with nothing between. Without stdio, to load which takes faults. */
static void __attribute__((sentinel)) add(struct text *text, const char *word, ...)
{
	va_list words;

	va_start(words, word);
	for (; word; word = va_arg(words, const char *))
		add_part(text, word, strlen(word));
	va_end(words);
}

static void add_root(struct text *out, const struct vm_config *config)
{
	const struct drive_config *root = &config->drives[0];

	if (!config->nr_drives || !root->is_root)
		return;
	/* The root drive is always the first, so the guest's first disk. */
	if (root->partuuid)
		add(out, " root=PARTUUID=", root->partuuid, NULL);
	else
		add(out, " root=/dev/vda", NULL);
	add(out, root->read_only ? " ro" : " rw", NULL);
}

/* ip=CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:AUTOCONF:DNS */
static void add_nic(struct text *out, const struct cmdline_nic *nic, unsigned int number)
{
	char name[16];

	snprintf(name, sizeof(name), "eth%u", number);
	if (nic->address)
		add(out, " ip=", nic->address, "::", nic->gateway ? nic->gateway : "", ":",
		    nic->netmask ? nic->netmask : "", "::", name, ":off:", nic->dns ? nic->dns : "",
		    NULL);
	if (nic->tcp_rmem)
		add(out, " sysctl.net.ipv4.tcp_rmem=\"", nic->tcp_rmem, "\"", NULL);
}

/* For kernels without ACPI; others find them in its tables. */
static void add_device(struct text *out, const struct platform_device *device)
{
	char place[64];

	if (device->kind != PLATFORM_VIRTIO)
		return;
	snprintf(place, sizeof(place), "%#llx:%u", (unsigned long long)device->addr, device->irq);
	add(out, " virtio_mmio.device=4K@", place, NULL);
}

int cmdline_build(const struct vm_config *config, const struct cmdline_nic *nics,
		  const struct platform_device *devices, unsigned int nr_devices,
		  char **ret_cmdline)
{
	bool run = config->mode == CONFIG_RUN;
	const char *file_text = config->cmdline ? config->cmdline : CMDLINE_FILE;
	const char *init_text = strstr(file_text, " -- ");
	size_t file_len = init_text ? (size_t)(init_text - file_text) : strlen(file_text);
	struct text out = {0};
	unsigned int i;

	if (run)
		add(&out, CMDLINE_RUN, config->verbose ? "" : " quiet", NULL);
	else
		add_part(&out, file_text, file_len);
	if (run && (config->timing || config->metrics))
		add(&out, " " LINK_TIMING "=1", NULL);
	add_root(&out, config);
	for (i = 0; run && i < config->nr_nics; i++)
		add_nic(&out, &nics[i], i);
	for (i = 0; i < nr_devices; i++)
		add_device(&out, &devices[i]);
	/* Last, so that the user's word counts; what stands behind "--" is for init. */
	if (run && config->cmdline)
		add(&out, " ", config->cmdline, NULL);
	else if (!run && init_text)
		add(&out, init_text, NULL);
	if (out.failed) {
		free(out.data);
		return -ENOMEM;
	}
	*ret_cmdline = out.data;
	return 0;
}
