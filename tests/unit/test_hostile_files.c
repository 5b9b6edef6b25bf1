/* SPDX-License-Identifier: Apache-2.0 */
/* Kernel images that lie. */
#include "hostile_kernel.h"

static int load(const void *kernel, uint64_t size)
{
	int err;

	vm_new(kernel, size);
	err = vm_load();
	vm_free();
	return err;
}

/* One field of a good image, and what comes of the change. */
struct field_case {
	size_t offset;
	unsigned int size;
	uint64_t value;
	int err;
	bool linux_entry; /* taken, but by the 64-bit entry */
};

#define FIELD(type, member, value, err) \
	{ \
		offsetof(type, member), sizeof(((type *)0)->member), value, err, false \
	}
#define ELF(member, value, err) FIELD(struct elf, member, value, err)
#define NOTE(member, value) \
	{ \
		offsetof(struct elf, member), sizeof(((struct elf *)0)->member), value, 0, true \
	}
#define BZ(member, value, err) FIELD(struct bzimage, header.member, value, err)

static void expect_fields(const void *image, size_t size, enum cpu_entry entry,
			  const struct field_case *cases, size_t nr)
{
	uint8_t bytes[4096];
	size_t i;
	int err;

	assert_true(size <= sizeof(bytes));
	for (i = 0; i < nr; i++) {
		memcpy(bytes, image, size);
		memcpy(bytes + cases[i].offset, &cases[i].value, cases[i].size);
		err = load(bytes, size);
		if (err != cases[i].err)
			print_error("case %zu: %s\n", i, vm.capture.text);
		assert_int_equal(err, cases[i].err);
		if (!err)
			assert_int_equal(vm.start.entry,
					 cases[i].linux_entry ? CPU_ENTRY_LINUX64 : entry);
	}
}

static void class_39_elf_headers(void **state)
{
	const struct elf elf = elf_good();
	static const struct field_case cases[] = {
		ELF(ehdr.e_phnum, 0, -ENOEXEC),
		ELF(ehdr.e_phnum, 4, 0), /* the note read as one more, of a type of no interest */
		ELF(ehdr.e_phnum, 128, -ENOEXEC),
		ELF(ehdr.e_phnum, 0xffff, -ENOEXEC),
		ELF(ehdr.e_phentsize, 0, -ENOEXEC),
		ELF(ehdr.e_phentsize, sizeof(Elf64_Phdr) - 1, -ENOEXEC),
		ELF(ehdr.e_phentsize, sizeof(Elf64_Phdr) + 1, -ENOEXEC),
		ELF(ehdr.e_phentsize, 0xffff, -ENOEXEC),
		ELF(ehdr.e_phoff, UINT64_MAX, -ENOEXEC),
		ELF(ehdr.e_phoff, UINT64_MAX - 55, -ENOEXEC),
		ELF(ehdr.e_phoff, UINT64_MAX - 111, -ENOEXEC), /* the third wraps to nought */
		ELF(ehdr.e_phoff, 1ull << 63, -ENOEXEC),
		ELF(ehdr.e_phoff, sizeof(struct elf) - 1, -ENOEXEC),
		ELF(ehdr.e_machine, EM_386, -ENOEXEC),
		ELF(ehdr.e_type, ET_DYN, -ENOEXEC),
		ELF(ehdr.e_ident[EI_CLASS], ELFCLASS32, -ENOEXEC),
		ELF(ehdr.e_ident[EI_DATA], ELFDATA2MSB, -ENOEXEC),
		ELF(ehdr.e_entry, UINT64_MAX, 0), /* the note's counts */
	};

	(void)state;
	expect_fields(&elf, sizeof(elf), CPU_ENTRY_PVH, cases, ARRAY_SIZE(cases));
}

static void class_39_elf_segments(void **state)
{
	const struct elf elf = elf_good();
	static const struct field_case cases[] = {
		/* In the file. */
		ELF(phdr[1].p_offset, UINT64_MAX, -ENOEXEC),
		ELF(phdr[1].p_offset, UINT64_MAX - TEXT + 1, -ENOEXEC), /* offset + size = 2^64 */
		ELF(phdr[1].p_offset, 1ull << 63, -ENOEXEC),
		ELF(phdr[1].p_offset, sizeof(struct elf) - TEXT, 0),
		ELF(phdr[1].p_offset, sizeof(struct elf) - TEXT + 1, -ENOEXEC),
		ELF(phdr[1].p_filesz, TEXT + 1, -ENOEXEC),
		ELF(phdr[1].p_filesz, UINT64_MAX, -ENOEXEC),
		ELF(phdr[1].p_filesz, 0, 0),
		ELF(phdr[0].p_memsz, TEXT - 1, -ENOEXEC),
		ELF(phdr[0].p_memsz, 0, -ENOEXEC),
		/* In memory: order and overlap, the end of RAM, the end of all memory. */
		ELF(phdr[1].p_paddr, KERNEL + TEXT, 0),
		ELF(phdr[1].p_paddr, KERNEL + TEXT - 1, -ENOEXEC),
		ELF(phdr[1].p_paddr, KERNEL, -ENOEXEC),
		ELF(phdr[1].p_paddr, KERNEL - 4096, -ENOEXEC),
		ELF(phdr[0].p_memsz, 4096, 0),
		ELF(phdr[0].p_memsz, 4097, -ENOEXEC),
		ELF(phdr[1].p_paddr, RAM - (KERNEL_MEM - 4096), 0),
		ELF(phdr[1].p_paddr, RAM - (KERNEL_MEM - 4096) + 1, -ENOMEM),
		ELF(phdr[1].p_paddr, RAM - 1, -ENOMEM),
		ELF(phdr[1].p_paddr, RAM, -ENOMEM),
		ELF(phdr[1].p_paddr, HOLE_ADDR, -ENOMEM),
		ELF(phdr[1].p_paddr, HOLE_END, -ENOMEM),
		ELF(phdr[1].p_paddr, UINT64_MAX - (KERNEL_MEM - 4096), -ENOMEM),
		ELF(phdr[1].p_paddr, UINT64_MAX - (KERNEL_MEM - 4096) + 1, -ENOEXEC), /* 2^64 */
		ELF(phdr[1].p_paddr, UINT64_MAX, -ENOEXEC),
		ELF(phdr[1].p_memsz, RAM - KERNEL - 4096, 0),
		ELF(phdr[1].p_memsz, RAM - KERNEL - 4096 + 1, -ENOMEM),
		ELF(phdr[1].p_memsz, GIB(1024), -ENOMEM),
		ELF(phdr[1].p_memsz, UINT64_MAX - KERNEL - 4096, -ENOMEM),
		ELF(phdr[1].p_memsz, UINT64_MAX, -ENOEXEC),
		/* Over husk's tables. */
		ELF(phdr[0].p_paddr, 0, -ENOEXEC),
		ELF(phdr[0].p_paddr, GDT_ADDR, -ENOEXEC),
		ELF(phdr[0].p_paddr, PVH_START_INFO_ADDR, -ENOEXEC),
		ELF(phdr[0].p_paddr, BOOT_PARAMS_ADDR, -ENOEXEC),
		ELF(phdr[0].p_paddr, PAGE_TABLES_ADDR, -ENOEXEC),
		ELF(phdr[0].p_paddr, CMDLINE_ADDR, -ENOEXEC),
		ELF(phdr[0].p_paddr, ACPI_ADDR, -ENOEXEC),
		ELF(phdr[0].p_paddr, MPTABLE_ADDR, -ENOEXEC),
		ELF(phdr[0].p_paddr, HIGH_MEMORY_ADDR - 1, -ENOEXEC),
		ELF(phdr[0].p_paddr, HIGH_MEMORY_ADDR, 0),
		/* The entry. */
		ELF(entry, 0, -ENOEXEC),
		ELF(entry, KERNEL - 1, -ENOEXEC),
		ELF(entry, KERNEL, 0),
		ELF(entry, KERNEL + KERNEL_MEM - 1, 0),
		ELF(entry, KERNEL + KERNEL_MEM, -ENOEXEC),
		ELF(entry, RAM, -ENOEXEC),
		ELF(entry, UINT32_MAX, -ENOEXEC),
	};

	(void)state;
	expect_fields(&elf, sizeof(elf), CPU_ENTRY_PVH, cases, ARRAY_SIZE(cases));
}

/* A note that leads anywhere else is no note; then the entry is the header's, which counts now. */
static void class_39_elf_notes(void **state)
{
	static const struct field_case cases[] = {
		NOTE(note.n_namesz, 0),
		NOTE(note.n_namesz, UINT32_MAX),
		NOTE(note.n_namesz, UINT32_MAX - 3),
		NOTE(note.n_descsz, 0),
		NOTE(note.n_descsz, 3),
		ELF(note.n_descsz, UINT32_MAX, 0), /* four bytes of it are enough */
		NOTE(note.n_type, 17),
		NOTE(note.n_type, UINT32_MAX),
		NOTE(phdr[2].p_filesz, 0),
		ELF(phdr[2].p_filesz, UINT64_MAX / 2, 0),
		ELF(phdr[2].p_filesz, UINT64_MAX, 0), /* only its start is searched */
		NOTE(phdr[2].p_offset, UINT64_MAX),
		NOTE(phdr[2].p_offset, UINT64_MAX - 19), /* offset + size = 2^64 */
		NOTE(phdr[2].p_offset, 1ull << 63),
		NOTE(phdr[2].p_offset, sizeof(struct elf) - 4),
		NOTE(name, 0),
	};
	struct elf elf = elf_good();
	uint64_t start = clock_now_ns();

	(void)state;
	expect_fields(&elf, sizeof(elf), CPU_ENTRY_PVH, cases, ARRAY_SIZE(cases));
	elf.phdr[2].p_type = PT_NULL;
	elf.ehdr.e_entry = KERNEL - 1;
	assert_int_equal(load(&elf, sizeof(elf)), -ENOEXEC);
	elf.ehdr.e_entry = UINT64_MAX;
	assert_int_equal(load(&elf, sizeof(elf)), -ENOEXEC);
	assert_true(clock_now_ns() - start < 2000000000ull);
}

/* Between two segments, where a guest of more than 3 GiB has devices. */
static void class_39_entry_in_the_hole(void **state)
{
	static const struct {
		uint32_t entry;
		int err;
	} cases[] = {{KERNEL, 0}, {RAM, -ENOEXEC}, {HOLE_ADDR, -ENOEXEC}, {UINT32_MAX, -ENOEXEC}};
	struct elf elf = elf_good();
	size_t i;

	(void)state;
	elf.phdr[1].p_paddr = HOLE_END;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		elf.entry = cases[i].entry;
		vm_new(&elf, sizeof(elf));
		assert_int_equal(guest_mem_map(&vm.mem, HOLE_END, KERNEL_MEM), 0);
		assert_int_equal(vm_load(), cases[i].err);
		assert_int_equal(munmap(vm.mem.regions[1].host, KERNEL_MEM), 0);
		vm_free();
	}
}

/* There is memory, but a first vCPU does not see it. */
static void class_39_entry_above_4_gib(void **state)
{
	struct elf elf = elf_good();

	(void)state;
	elf.phdr[1].p_paddr = HOLE_END;
	elf.phdr[2].p_type = PT_NULL;
	for (elf.ehdr.e_entry = HOLE_END - 1; elf.ehdr.e_entry <= HOLE_END; elf.ehdr.e_entry++) {
		vm_new(&elf, sizeof(elf));
		assert_int_equal(guest_mem_map(&vm.mem, HOLE_END, KERNEL_MEM), 0);
		assert_int_equal(vm_load(), -ENOEXEC);
		assert_int_equal(!!strstr(vm.capture.text, "below 4 GiB"),
				 elf.ehdr.e_entry == HOLE_END);
		assert_int_equal(munmap(vm.mem.regions[1].host, KERNEL_MEM), 0);
		vm_free();
	}
}

/* More segments than any kernel has, all of them there and fine. */
static void class_39_many_segments(void **state)
{
	static struct {
		Elf64_Ehdr ehdr;
		Elf64_Phdr phdr[300];
	} file;
	const struct elf elf = elf_good();
	unsigned int nr;

	(void)state;
	file.ehdr = elf.ehdr;
	for (nr = 0; nr < ARRAY_SIZE(file.phdr); nr++) {
		file.ehdr.e_phnum = (Elf64_Half)nr;
		assert_int_equal(load(&file, sizeof(file)), -ENOEXEC);
		assert_true(nr == 0 || nr > 128 || strstr(vm.capture.text, "no segment"));
	}
	file.phdr[0] = elf.phdr[0];
	file.phdr[0].p_offset = 0;
	for (nr = 1; nr < ARRAY_SIZE(file.phdr); nr++) {
		file.ehdr.e_phnum = (Elf64_Half)nr;
		assert_int_equal(load(&file, sizeof(file)), nr <= 128 ? 0 : -ENOEXEC);
	}
}

/* Many notes, each of which looks as if it were the one: a start takes no time for them. */
static void class_39_endless_notes(void **state)
{
	enum { SEGMENTS = 128, NOTES = 65536 / 16 };
	static struct {
		Elf64_Ehdr ehdr;
		Elf64_Phdr phdr[SEGMENTS];
		struct {
			Elf64_Nhdr note;
			char name[4];
		} notes[NOTES];
	} file;
	const struct elf elf = elf_good();
	uint64_t start;
	unsigned int i;

	(void)state;
	file.ehdr = elf.ehdr;
	file.ehdr.e_phnum = SEGMENTS;
	for (i = 0; i < NOTES; i++) {
		file.notes[i].note = (Elf64_Nhdr){4, 0, 18};
		memcpy(file.notes[i].name, "Xem", 4);
	}
	for (i = 0; i < SEGMENTS; i++)
		file.phdr[i] = (Elf64_Phdr){.p_type = PT_NOTE,
					    .p_offset = sizeof(file) - sizeof(file.notes),
					    .p_filesz = sizeof(file.notes)};
	file.phdr[SEGMENTS - 1] = elf.phdr[0];
	file.phdr[SEGMENTS - 1].p_offset = 0;
	start = clock_now_ns();
	assert_int_equal(load(&file, sizeof(file)), 0);
	assert_int_equal(vm.start.entry, CPU_ENTRY_LINUX64);
	assert_true(clock_now_ns() - start < 2000000000ull);
}

static void class_39_bzimage_headers(void **state)
{
	const struct bzimage bz = bzimage_good();
	static const struct field_case cases[] = {
		BZ(setup_sects, 255, -ENOEXEC),
		BZ(setup_sects, 3, -ENOEXEC),
		BZ(setup_sects, 2, -ENOEXEC), /* what is left is less than syssize */
		BZ(setup_sects, 0, -ENOEXEC), /* which means 4 */
		BZ(syssize, UINT32_MAX, -ENOEXEC),
		BZ(syssize, 1u << 28, -ENOEXEC), /* 2^32 bytes */
		BZ(syssize, 1024 / 16 + 1, -ENOEXEC),
		BZ(syssize, 0, 0),
		BZ(version, 0, -ENOEXEC),
		BZ(version, 0x20b, -ENOEXEC),
		BZ(version, 0xffff, 0),
		BZ(loadflags, 0, -ENOEXEC),
		BZ(xloadflags, 0, -ENOEXEC),
		BZ(pref_address, 0, -ENOEXEC),
		BZ(pref_address, CMDLINE_ADDR, -ENOEXEC),
		BZ(pref_address, HIGH_MEMORY_ADDR - 1, -ENOEXEC),
		BZ(pref_address, HIGH_MEMORY_ADDR, 0),
		BZ(pref_address, RAM - KERNEL_MEM, 0),
		BZ(pref_address, RAM - KERNEL_MEM + 1, -ENOMEM),
		BZ(pref_address, HOLE_ADDR - 1, -ENOMEM),
		BZ(pref_address, HOLE_ADDR, -ENOEXEC),
		BZ(pref_address, 1ull << 63, -ENOEXEC),
		BZ(pref_address, UINT64_MAX, -ENOEXEC),
		BZ(init_size, 0, 0),
		BZ(init_size, RAM - KERNEL, 0),
		BZ(init_size, RAM - KERNEL + 1, -ENOMEM),
		BZ(init_size, UINT32_MAX, -ENOMEM),
		BZ(relocatable_kernel, 0, 0),
		BZ(cmdline_size, 0, -E2BIG),
		BZ(cmdline_size, sizeof(CMDLINE) - 2, -E2BIG),
		BZ(cmdline_size, sizeof(CMDLINE) - 1, 0),
		BZ(cmdline_size, UINT32_MAX, 0),
		BZ(jump, 0, 0),
		BZ(jump, 0xffff, 0),
		BZ(initrd_addr_max, 0, 0), /* there is none */
		BZ(header, 0, -ENOEXEC),
	};

	(void)state;
	expect_fields(&bz, sizeof(bz), CPU_ENTRY_LINUX64, cases, ARRAY_SIZE(cases));
}

/* However much the header claims of the page it is copied to, what husk tells stands in there. */
static void class_39_bzimage_over_boot_params(void **state)
{
	struct bzimage bz = bzimage_good();
	struct boot_params params;
	struct kernel_image image;

	(void)state;
	memset(bz.pad, 0xff, sizeof(bz.pad));
	bz.header.jump = 0xffeb;
	bz.header.cmd_line_ptr = bz.header.ramdisk_image = bz.header.ramdisk_size = UINT32_MAX;
	bz.header.setup_data = UINT64_MAX;
	vm_new(&bz, sizeof(bz));
	assert_int_equal(vm_load(), 0);
	memcpy(&params, vm.host + BOOT_PARAMS_ADDR, sizeof(params));
	assert_int_equal(params.hdr.cmd_line_ptr, CMDLINE_ADDR);
	assert_int_equal(params.hdr.ramdisk_image, 0);
	assert_int_equal(params.hdr.ramdisk_size, 0);
	assert_int_equal(params.hdr.type_of_loader, 0xff);
	assert_int_equal(params.e820_entries, 3);
	assert_int_equal(params.e820_table[2].addr, HIGH_MEMORY_ADDR);
	assert_int_equal(params.eddbuf_entries, 0);
	assert_int_equal(kernel_image_load(&image, &vm.kernel, &vm.mem), 0);
	assert_int_equal(image.setup_header_size, sizeof(struct setup_header));
	vm_free();
}

/* From `told` bytes on, it is clear that the rest is missing. */
static void expect_truncations(const void *image, uint64_t size, uint64_t told)
{
	uint64_t left;

	vm_new(image, size);
	assert_int_equal(vm_load(), 0);
	for (left = size; left--;) {
		assert_int_equal(ftruncate(vm.kernel.fd, (off_t)left), 0);
		vm.kernel.size = left;
		assert_int_equal(vm_load(), -ENOEXEC);
		assert_true(left < told || strstr(vm.capture.text, "truncated"));
		/* The same, when it shrank since it was opened. */
		vm.kernel.size = size;
		assert_int_equal(vm_load(), -ENOEXEC);
	}
	vm_free();
}

static void class_39_every_truncation(void **state)
{
	struct elf elf = elf_good();
	struct bzimage bz = bzimage_good();

	(void)state;
	expect_truncations(&elf, sizeof(elf), SELFMAG);
	expect_truncations(&bz, sizeof(bz), 0x206);
}

/* Each 16, 32 and 64 bits of the headers at extremes: refused, or sound (vm_load). */
static void expect_no_harm(const void *image, size_t size, size_t from, size_t to)
{
	static const uint64_t extremes[] = {0,		1,	   0x7f,      0x7fff,
					    0x7fffffff, INT64_MAX, INT64_MIN, UINT64_MAX - 4095,
					    UINT64_MAX, KERNEL,	   RAM,	      HOLE_END};
	uint8_t bytes[4096];
	unsigned int width, e;
	size_t at;
	int err;

	for (at = from; at < to; at += 2) {
		for (e = 0; e < ARRAY_SIZE(extremes); e++) {
			for (width = 2; width <= 8; width *= 2) {
				if (at % width)
					continue;
				memcpy(bytes, image, size);
				memcpy(bytes + at, &extremes[e], width);
				err = load(bytes, size);
				assert_true(!err || err == -ENOEXEC || err == -ENOMEM ||
					    err == -E2BIG);
			}
		}
	}
}

static void class_39_fields_at_extremes(void **state)
{
	const struct elf elf = elf_good();
	const struct bzimage bz = bzimage_good();

	(void)state;
	expect_no_harm(&elf, sizeof(elf), 0, offsetof(struct elf, text));
	expect_no_harm(&bz, sizeof(bz), 0x1f0, 0x1f1 + sizeof(struct setup_header) + 7);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(class_39_elf_headers),
		cmocka_unit_test(class_39_elf_segments),
		cmocka_unit_test(class_39_elf_notes),
		cmocka_unit_test(class_39_entry_in_the_hole),
		cmocka_unit_test(class_39_entry_above_4_gib),
		cmocka_unit_test(class_39_many_segments),
		cmocka_unit_test(class_39_endless_notes),
		cmocka_unit_test(class_39_bzimage_headers),
		cmocka_unit_test(class_39_bzimage_over_boot_params),
		cmocka_unit_test(class_39_every_truncation),
		cmocka_unit_test(class_39_fields_at_extremes),
	};

	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
