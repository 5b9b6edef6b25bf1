/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of kernel images: RAM, and bytes loaded into it as a kernel. */
#ifndef HUSK_TEST_KERNEL_H
#define HUSK_TEST_KERNEL_H

#include "capture.h"
#include "kernel_image.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>

#include "layout_x86.h"
#include "util.h"

#define RAM MIB(64)

static struct guest_mem mem;
static struct kernel_image image;
static struct capture capture;

/* Loads the bytes as a kernel. A refusal says so in one line, a success says nothing. */
static inline int load(const void *data, size_t size)
{
	struct input_file file = {.path = "kernel", .fd = memfd_create("kernel", MFD_CLOEXEC)};
	int err;

	assert_true(file.fd >= 0);
	assert_int_equal(write(file.fd, data, size), size);
	file.size = size;
	capture_begin(&capture, STDERR_FILENO);
	err = kernel_image_load(&image, &file, &mem);
	capture_end(&capture);
	input_file_close(&file);
	assert_int_equal(capture_lines(&capture), err ? 1 : 0);
	return err;
}

static inline int setup(void **state)
{
	(void)state;
	return guest_mem_map(&mem, 0, RAM);
}

static inline int teardown(void **state)
{
	(void)state;
	guest_mem_fini(&mem);
	return 0;
}

#define image_test(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

#endif
