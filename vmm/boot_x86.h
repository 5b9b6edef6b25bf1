/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Puts everything a kernel needs for its first instruction into guest RAM: the kernel itself, the
 * initrd, the command line, the memory map, firmware tables.
 * Linux, Documentation/arch/x86/boot.rst and zero-page.rst; Xen, docs/misc/pvh.
 *
 * Logs why it cannot, once. For the main thread, before vCPUs run.
 */
#ifndef HUSK_BOOT_X86_H
#define HUSK_BOOT_X86_H

#include "acpi.h"
#include "cpu_x86.h"
#include "guest_mem.h"
#include "kernel_image.h"

/* All borrowed. */
struct boot_spec {
	const struct input_file *kernel;
	const struct input_file *initrd; /* NULL: none */
	const void *initramfs;		 /* a cpio archive that follows the initrd; NULL: none */
	uint64_t initramfs_size;
	const char *cmdline;
	unsigned int nr_cpus;
	const struct platform_device *devices;
	unsigned int nr_devices;
};

/*
 * Fresh RAM of `size` bytes (a multiple of the page size) in `mem`, around the device hole. 0 or
 * -errno.
 */
int boot_x86_map_memory(struct guest_mem *mem, uint64_t size);

/* Fills the RAM; *ret_start says how the first vCPU begins. 0 or -errno. */
int boot_x86_load(const struct boot_spec *spec, const struct guest_mem *mem,
		  struct cpu_start *ret_start);

#endif
