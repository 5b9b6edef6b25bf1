/* SPDX-License-Identifier: Apache-2.0 */
#include "test_kernel.h"

/* A bzImage: boot sector, setup code, then what is loaded. */
#define SETUP_SECTS 3
#define SETUP_SIZE ((SETUP_SECTS + 1) * 512)
#define CODE_SIZE 0x2000
#define BZIMAGE_SIZE (SETUP_SIZE + CODE_SIZE)

struct bzimage {
	uint8_t bytes[BZIMAGE_SIZE];
};

static struct bzimage bzimage_good(void)
{
	struct bzimage bz = {0};
	struct setup_header header = {
		.setup_sects = SETUP_SECTS,
		.syssize = CODE_SIZE / 16,
		.boot_flag = 0xaa55,
		.jump = 0x6aeb, /* to 0x26c, the end of the header */
		.header = 0x53726448,
		.version = 0x20f,
		.loadflags = LOADED_HIGH,
		.initrd_addr_max = 0x7fffffff,
		.kernel_alignment = 0x200000,
		.relocatable_kernel = 1,
		.xloadflags = XLF_KERNEL_64,
		.cmdline_size = 2047,
		.pref_address = 0x1000000,
		.init_size = 0x100000,
		.kernel_info_offset = 0x1234,
	};
	size_t i;

	memcpy(bz.bytes + 0x1f1, &header, sizeof(header));
	for (i = SETUP_SIZE; i < sizeof(bz.bytes); i++)
		bz.bytes[i] = (uint8_t)(i * 7);
	return bz;
}

static struct setup_header *header_of(struct bzimage *bz)
{
	return (struct setup_header *)(void *)(bz->bytes + 0x1f1);
}

static void bzimage_is_loaded(void **state)
{
	struct bzimage bz = bzimage_good();
	struct setup_header header;
	uint8_t *ram = guest_mem_ptr(&mem, 0, RAM);

	(void)state;
	assert_int_equal(load(&bz, sizeof(bz)), 0);
	assert_int_equal(image.entry, CPU_ENTRY_LINUX64);
	assert_int_equal(image.ip, 0x1000200);
	assert_int_equal(image.start, 0x1000000);
	assert_int_equal(image.end, 0x1100000);
	assert_int_equal(image.cmdline_max, 2047);
	assert_int_equal(image.initrd_addr_max, 0x7fffffff);
	assert_memory_equal(ram + 0x1000000, bz.bytes + SETUP_SIZE, CODE_SIZE);
	assert_int_equal(image.setup_header_size, sizeof(header));
	memcpy(&header, image.setup_header, sizeof(header));
	assert_int_equal(header.version, 0x20f);
	assert_int_equal(header.kernel_info_offset, 0x1234);
	/* An older one has a shorter header; code follows it. */
	header_of(&bz)->jump = 0x66eb;
	assert_int_equal(load(&bz, sizeof(bz)), 0);
	memcpy(&header, image.setup_header, sizeof(header));
	assert_int_equal(header.init_size, 0x100000);
	assert_int_equal(header.kernel_info_offset, 0);
}

/* It begins at 1 MiB and moves itself to where it runs: all of that must be its own. */
static void bzimage_not_relocatable(void **state)
{
	struct bzimage bz = bzimage_good();
	uint8_t *ram = guest_mem_ptr(&mem, 0, RAM);

	(void)state;
	header_of(&bz)->relocatable_kernel = 0;
	assert_int_equal(load(&bz, sizeof(bz)), 0);
	assert_int_equal(image.ip, 0x100200);
	assert_int_equal(image.end, 0x1100000);
	assert_memory_equal(ram + 0x100000, bz.bytes + SETUP_SIZE, CODE_SIZE);
	header_of(&bz)->init_size = (uint32_t)(RAM - 0x1000000);
	assert_int_equal(load(&bz, sizeof(bz)), 0);
	header_of(&bz)->init_size++;
	assert_int_equal(load(&bz, sizeof(bz)), -ENOMEM);
}

static void bzimage_headers(void **state)
{
	static const struct {
		size_t offset;
		unsigned int size;
		uint64_t value;
		int err;
	} cases[] = {
#define SETUP(member, value, err) \
	{offsetof(struct setup_header, member), sizeof(((struct setup_header *)0)->member), value, \
	 err}
		SETUP(header, 0, -ENOEXEC),
		SETUP(version, 0x20b, -ENOEXEC),
		SETUP(version, 0x20c, 0),
		SETUP(xloadflags, 0, -ENOEXEC),
		SETUP(xloadflags, (uint16_t)~XLF_KERNEL_64, -ENOEXEC),
		SETUP(loadflags, 0, -ENOEXEC),
		SETUP(setup_sects, 255, -ENOEXEC),
		SETUP(setup_sects, 4, -ENOEXEC), /* shorter than syssize then */
		SETUP(setup_sects, 2, 0),
		SETUP(syssize, CODE_SIZE / 16 + 1, -ENOEXEC),
		SETUP(syssize, UINT32_MAX, -ENOEXEC),
		SETUP(syssize, 0, 0),
		SETUP(init_size, 0, 0),
		SETUP(init_size, RAM - 0x1000000, 0),
		SETUP(init_size, RAM - 0x1000000 + 1, -ENOMEM),
		SETUP(init_size, UINT32_MAX, -ENOMEM),
		SETUP(pref_address, 0, -ENOEXEC),
		SETUP(pref_address, HIGH_MEMORY_ADDR - 1, -ENOEXEC),
		SETUP(pref_address, HIGH_MEMORY_ADDR, 0),
		SETUP(pref_address, HOLE_ADDR - 1, -ENOMEM),
		SETUP(pref_address, HOLE_ADDR, -ENOEXEC),
		SETUP(pref_address, HOLE_END, -ENOEXEC),
		SETUP(pref_address, UINT64_MAX, -ENOEXEC),
		SETUP(pref_address, RAM, -ENOMEM),
		SETUP(jump, 0, 0),
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct bzimage bz = bzimage_good();
		int err;

		memcpy(bz.bytes + 0x1f1 + cases[i].offset, &cases[i].value, cases[i].size);
		err = load(&bz, sizeof(bz));
		if (err != cases[i].err)
			print_error("case %zu: %s", i, capture.text);
		assert_int_equal(err, cases[i].err);
	}
}

/* 0 stands for 4, as it did before there was the field. */
static void bzimage_without_setup_sects(void **state)
{
	struct bzimage bz = bzimage_good();
	uint8_t *ram = guest_mem_ptr(&mem, 0, RAM);

	(void)state;
	header_of(&bz)->setup_sects = 0;
	header_of(&bz)->syssize = (BZIMAGE_SIZE - 5 * 512) / 16;
	assert_int_equal(load(&bz, sizeof(bz)), 0);
	assert_memory_equal(ram + 0x1000000, bz.bytes + 5 * 512, BZIMAGE_SIZE - 5 * 512);
	assert_int_equal(load(&bz, BZIMAGE_SIZE - 1), -ENOEXEC);
}

static void every_truncation_of_a_bzimage(void **state)
{
	struct bzimage bz = bzimage_good();
	size_t size;

	(void)state;
	for (size = 1; size < sizeof(bz); size += size < 0x300 || size > sizeof(bz) - 32 ? 1 : 31)
		assert_int_equal(load(&bz, size), -ENOEXEC);
	/* So short that its entry is not in it. */
	header_of(&bz)->syssize = 0;
	assert_int_equal(load(&bz, SETUP_SIZE + 0x200), -ENOEXEC);
	assert_int_equal(load(&bz, SETUP_SIZE + 0x201), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		image_test(bzimage_is_loaded),
		image_test(bzimage_not_relocatable),
		image_test(bzimage_headers),
		image_test(bzimage_without_setup_sects),
		image_test(every_truncation_of_a_bzimage),
	};

	alarm(60); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
