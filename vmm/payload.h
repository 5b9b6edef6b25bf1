/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a guest boots, from the configuration into its RAM: kernel, initrd, command line, and for
 * husk run the archive with init and what to run.
 *
 * Logs why it cannot, once. For the main thread, before vCPUs run.
 */
#ifndef HUSK_PAYLOAD_H
#define HUSK_PAYLOAD_H

#include "acpi.h"
#include "cmdline.h"
#include "config.h"
#include "cpu_x86.h"
#include "guest_mem.h"
#include "kernel_image.h"

/* All borrowed. */
struct payload_spec {
	const struct vm_config *config;
	const struct cmdline_nic *nics; /* config->nr_nics of them */
	const struct platform_device *devices;
	unsigned int nr_devices;
	const struct input_file *kernel, *initrd; /* without an initrd its fd is -1 */
	bool tty;				  /* husk run: the command gets a terminal */
};

/* Fills the guest's RAM; *ret_start says how the first vCPU begins. 0 or -errno. */
int payload_load(const struct payload_spec *spec, const struct guest_mem *mem,
		 struct cpu_start *ret_start);

#endif
