/* SPDX-License-Identifier: Apache-2.0 */
#include "cmdline.h"

#include <errno.h>
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

static void add_root(FILE *out, const struct vm_config *config)
{
	const struct drive_config *root = &config->drives[0];

	if (!config->nr_drives || !root->is_root)
		return;
	/* The root drive is always the first, so the guest's first disk. */
	if (root->partuuid)
		fprintf(out, " root=PARTUUID=%s", root->partuuid);
	else
		fprintf(out, " root=/dev/vda");
	fprintf(out, " %s", root->read_only ? "ro" : "rw");
}

/* ip=CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:AUTOCONF:DNS */
static void add_nic(FILE *out, const struct cmdline_nic *nic, unsigned int number)
{
	if (nic->address)
		fprintf(out, " ip=%s::%s:%s::eth%u:off:%s", nic->address,
			nic->gateway ? nic->gateway : "", nic->netmask ? nic->netmask : "", number,
			nic->dns ? nic->dns : "");
	if (nic->tcp_rmem)
		fprintf(out, " sysctl.net.ipv4.tcp_rmem=\"%s\"", nic->tcp_rmem);
}

/* For kernels without ACPI; others find them in its tables. */
static void add_device(FILE *out, const struct platform_device *device)
{
	if (device->kind == PLATFORM_VIRTIO)
		fprintf(out, " virtio_mmio.device=4K@%#llx:%u", (unsigned long long)device->addr,
			device->irq);
}

int cmdline_build(const struct vm_config *config, const struct cmdline_nic *nics,
		  const struct platform_device *devices, unsigned int nr_devices,
		  char **ret_cmdline)
{
	bool run = config->mode == CONFIG_RUN;
	const char *file_text = config->cmdline ? config->cmdline : CMDLINE_FILE;
	const char *init_text = strstr(file_text, " -- ");
	size_t file_len = init_text ? (size_t)(init_text - file_text) : strlen(file_text);
	char *cmdline = NULL;
	unsigned int i;
	size_t len;
	FILE *out;

	out = open_memstream(&cmdline, &len);
	if (!out)
		return -ENOMEM;
	if (run)
		fprintf(out, "%s%s", CMDLINE_RUN, config->verbose ? "" : " quiet");
	else
		fprintf(out, "%.*s", (int)file_len, file_text);
	if (run && (config->timing || config->metrics))
		fprintf(out, " " LINK_TIMING "=1");
	add_root(out, config);
	for (i = 0; run && i < config->nr_nics; i++)
		add_nic(out, &nics[i], i);
	for (i = 0; i < nr_devices; i++)
		add_device(out, &devices[i]);
	/* Last, so that the user's word counts; what stands behind "--" is for init. */
	if (run && config->cmdline)
		fprintf(out, " %s", config->cmdline);
	else if (!run && init_text)
		fputs(init_text, out);
	if (fclose(out)) {
		free(cmdline);
		return -ENOMEM;
	}
	*ret_cmdline = cmdline;
	return 0;
}
