/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The kernel command line: what husk needs on it, and what the user adds.
 * Linux, Documentation/admin-guide/kernel-parameters.rst and nfs/nfsroot.rst (ip=).
 *
 * Silent and pure.
 */
#ifndef HUSK_CMDLINE_H
#define HUSK_CMDLINE_H

#include "acpi.h"
#include "config.h"

/* The guest's own address on one network interface; all but `address` may be NULL. Borrowed. */
struct cmdline_nic {
	const char *address; /* may end in /PREFIX; NULL: not told */
	const char *netmask;
	const char *gateway;
	const char *dns;
	const char *tcp_rmem; /* net.ipv4.tcp_rmem, where the network asks for one */
};

/* `nics` has config->nr_nics places. 0 or -ENOMEM; the caller frees *ret_cmdline. */
int cmdline_build(const struct vm_config *config, const struct cmdline_nic *nics,
		  const struct platform_device *devices, unsigned int nr_devices,
		  char **ret_cmdline);

#endif
