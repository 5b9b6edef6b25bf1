/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernel images: finds out what a file is and puts it into guest RAM.
 *
 * Understood are 64-bit x86 ELF executables, entered by their PVH note if they have one and else at
 * their 64-bit entry point, and bzImage with a 64-bit entry. Sources: ELF-64 object file
 * format 1.5; Xen, docs/misc/pvh; Linux, Documentation/arch/x86/boot.rst.
 *
 * Logs why a file is refused, once, with its path and what to do. The file is not trusted:
 * every offset, size and address in it is checked.
 */
#ifndef HUSK_KERNEL_IMAGE_H
#define HUSK_KERNEL_IMAGE_H

#include <stddef.h>
#include <stdint.h>

#include "cpu_x86.h"
#include "guest_mem.h"

struct setup_header;

struct kernel_image {
	enum cpu_entry entry;
	gpa_t ip;
	gpa_t start;	      /* lowest address of the kernel */
	gpa_t end;	      /* first address above the kernel and what it needs around it */
	uint64_t cmdline_max; /* bytes, without the final NUL */
	uint64_t initrd_addr_max;
	/* The setup header of a bzImage for boot_params, or a zeroed one. */
	uint8_t setup_header[512];
	size_t setup_header_size; /* 0: not a bzImage */
};

/* A file husk reads into guest RAM. */
struct input_file {
	const char *path; /* borrowed */
	int fd;
	uint64_t size;
};

/*
 * Opens a regular file; `what` names it in messages ("kernel", "initrd"). 0 or -errno, after one
 * line: missing, a folder, not permitted, empty. input_file_close takes a closed one.
 */
int input_file_open(struct input_file *file, const char *what, const char *path);
void input_file_close(struct input_file *file);

/* Copies [offset, offset + len) of the file. 0; -ENODATA: it ends before that; or -errno. */
int input_file_read(const struct input_file *file, uint64_t offset, void *ret_data, uint64_t len);

/*
 * Puts [offset, offset + len) of the file to `gpa` in guest RAM. Whole pages are mapped rather than
 * copied where file and memory allow it (guest_mem_map_file), so the file is to stay as it is. 0;
 * -EFAULT: outside of RAM; otherwise as input_file_read.
 */
int input_file_load(const struct input_file *file, uint64_t offset, const struct guest_mem *mem,
		    gpa_t gpa, uint64_t len);

/* Loads the kernel in `file`. 0; -ENOEXEC: not a kernel husk can boot; -ENOMEM: RAM too small. */
int kernel_image_load(struct kernel_image *image, const struct input_file *file,
		      const struct guest_mem *mem);

#endif
