/* SPDX-License-Identifier: Apache-2.0 */
#include "payload.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

#include "boot_x86.h"
#include "host_io.h"
#include "initramfs.h"
#include "util.h"

static int build_initramfs(const struct payload_spec *spec, struct buffer *ret_cpio)
{
	const struct vm_config *config = spec->config;
	struct run_spec run = {.argv = config->argv,
			       .env = config->env,
			       .workdir = config->workdir,
			       .tty = spec->tty};

	if (config->mode != CONFIG_RUN)
		return 0;
	host_terminal_size(STDIN_FILENO, &run.rows, &run.cols);
	return initramfs_build(&run, ret_cpio);
}

int payload_load(const struct payload_spec *spec, const struct guest_mem *mem,
		 struct cpu_start *ret_start)
{
	cleanup_free char *cmdline = NULL;
	struct buffer initramfs = {0};
	struct boot_spec boot;
	int err =
		cmdline_build(spec->config, spec->nics, spec->devices, spec->nr_devices, &cmdline);

	if (!err)
		err = build_initramfs(spec, &initramfs);
	if (err) {
		log_error("out of memory");
		return err;
	}
	log_info("kernel command line: %s", cmdline);
	boot = (struct boot_spec){.kernel = spec->kernel,
				  .initrd = spec->initrd->fd >= 0 ? spec->initrd : NULL,
				  .initramfs = initramfs.data,
				  .initramfs_size = initramfs.len,
				  .cmdline = cmdline,
				  .nr_cpus = spec->config->cpus,
				  .devices = spec->devices,
				  .nr_devices = spec->nr_devices};
	err = boot_x86_load(&boot, mem, ret_start);
	free(initramfs.data);
	return err;
}
