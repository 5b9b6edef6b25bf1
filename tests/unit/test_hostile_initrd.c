/* SPDX-License-Identifier: Apache-2.0 */
/* Initrds that do not fit, and that change while they are read. */
#include "hostile_kernel.h"

/* By the way of a user: a path. */
static int open_initrd(const char *path)
{
	int err;

	capture_begin(&vm.capture, STDERR_FILENO);
	err = input_file_open(&vm.initrd, "initrd", path);
	capture_end(&vm.capture);
	assert_int_equal(capture_lines(&vm.capture), err ? 1 : 0);
	assert_int_equal(vm.initrd.fd >= 0, !err);
	vm.spec.initrd = &vm.initrd;
	return err;
}

static void class_39_initrd_sizes(void **state)
{
	/* Between the kernel and the end of RAM. */
	const uint64_t most = RAM - KERNEL - KERNEL_MEM;
	const struct {
		uint64_t size;
		int err;
	} cases[] = {
		{1, 0},
		{most, 0},
		{most + 1, -ENOMEM},
		{RAM, -ENOMEM},
		{RAM + 1, -ENOMEM},
		{GIB(1024), -ENOMEM},
		{INT64_MAX, -ENOMEM},
	};
	const struct elf elf = elf_good();
	const struct bzimage bz = bzimage_good();
	char path[32], byte = 0x77;
	size_t i, kind;

	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		struct input_file file = file_new(NULL, 0);

		kind = i % 2;
		vm_new(kind ? (const void *)&elf : &bz, kind ? sizeof(elf) : sizeof(bz));
		assert_int_equal(ftruncate(file.fd, (off_t)cases[i / 2].size), 0);
		if (cases[i / 2].size < RAM)
			assert_int_equal(pwrite(file.fd, &byte, 1, (off_t)cases[i / 2].size - 1),
					 1);
		snprintf(path, sizeof(path), "/proc/self/fd/%d", file.fd);
		assert_int_equal(open_initrd(path), 0);
		assert_int_equal(vm_load(), cases[i / 2].err);
		if (!cases[i / 2].err)
			assert_int_equal(
				vm.host[ALIGN_DOWN(RAM - cases[i / 2].size, GUEST_PAGE_SIZE) +
					cases[i / 2].size - 1],
				byte);
		vm_free();
		input_file_close(&file);
	}
	(void)state;
}

static void class_39_initrd_that_changes(void **state)
{
	const struct elf elf = elf_good();
	struct input_file file = file_new("abcdefgh", 8);
	char path[32];
	off_t left;

	(void)state;
	snprintf(path, sizeof(path), "/proc/self/fd/%d", file.fd);
	vm_new(&elf, sizeof(elf));
	/* Shrunk since it was opened, to each size. */
	for (left = 7; left >= 0; left--) {
		assert_int_equal(pwrite(file.fd, "abcdefgh", 8, 0), 8);
		assert_int_equal(open_initrd(path), 0);
		assert_int_equal(ftruncate(file.fd, left), 0);
		assert_int_equal(vm_load(), -EIO);
		input_file_close(&vm.initrd);
	}
	/* Of no length. */
	assert_int_equal(open_initrd(path), -ENODATA);
	/* Grown: as much as it was. */
	assert_int_equal(pwrite(file.fd, "abcdefgh", 8, 0), 8);
	assert_int_equal(open_initrd(path), 0);
	assert_int_equal(ftruncate(file.fd, (off_t)(2 * RAM)), 0);
	assert_int_equal(vm_load(), 0);
	assert_memory_equal(vm.host + RAM - GUEST_PAGE_SIZE, "abcdefgh", 8);
	vm_free();
	input_file_close(&file);
}

/* Where a bzImage says it can reach an initrd. */
static void class_39_initrd_out_of_reach(void **state)
{
	static const struct {
		uint32_t max;
		int err;
	} cases[] = {
		{0, -ENOMEM},
		{1, -ENOMEM},
		{KERNEL, -ENOMEM},
		{KERNEL + KERNEL_MEM - 1, -ENOMEM},
		{KERNEL + KERNEL_MEM + 4094, -ENOMEM},
		{KERNEL + KERNEL_MEM + 4095, 0},
		{UINT32_MAX, 0},
	};
	struct bzimage bz = bzimage_good();
	uint32_t initrd;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		bz.header.initrd_addr_max = cases[i].max;
		vm_new(&bz, sizeof(bz));
		vm.initrd = file_new(NULL, 4096);
		vm.spec.initrd = &vm.initrd;
		assert_int_equal(vm_load(), cases[i].err);
		memcpy(&initrd,
		       vm.host + BOOT_PARAMS_ADDR + offsetof(struct boot_params, hdr.ramdisk_image),
		       4);
		if (!cases[i].err)
			assert_int_equal(initrd,
					 MIN(RAM, (uint64_t)cases[i].max + 1) - GUEST_PAGE_SIZE);
		vm_free();
	}
}

/* A kernel that ends with the first byte of a page has all of that page. */
static void class_39_initrd_on_the_last_page(void **state)
{
	struct bzimage bz = bzimage_good();
	unsigned int i;

	(void)state;
	bz.header.init_size = KERNEL_MEM + 1;
	for (i = 0; i < 2; i++) {
		vm_new(&bz, sizeof(bz));
		vm.initrd = file_new(NULL, RAM - KERNEL - KERNEL_MEM - i * GUEST_PAGE_SIZE);
		vm.spec.initrd = &vm.initrd;
		assert_int_equal(vm_load(), i ? 0 : -ENOMEM);
		vm_free();
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(class_39_initrd_sizes),
		cmocka_unit_test(class_39_initrd_on_the_last_page),
		cmocka_unit_test(class_39_initrd_that_changes),
		cmocka_unit_test(class_39_initrd_out_of_reach),
	};

	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
