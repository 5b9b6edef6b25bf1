/* SPDX-License-Identifier: Apache-2.0 */
#include "boot_x86.h"
#include "capture.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <sys/syscall.h>
#include <sys/sysinfo.h>

#include "layout_x86.h"
#include "util.h"

/* Swap that the host has on top of its own; this program has its own sysinfo. */
static uint64_t more_swap;

int own_sysinfo(struct sysinfo *ret_host) __asm__("sysinfo");
int own_sysinfo(struct sysinfo *ret_host)
{
	int err = (int)syscall(SYS_sysinfo, ret_host);

	ret_host->totalswap += more_swap / ret_host->mem_unit;
	return err;
}

#define KERNEL_END 0x2000000ull /* 32 MiB, by its zeroed part */

/* The smallest kernels there are, one of each kind. */
static const struct {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr[2];
	Elf64_Nhdr note;
	char name[4];
	uint32_t entry;
} elf = {
	.ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		 .e_type = ET_EXEC,
		 .e_machine = EM_X86_64,
		 .e_entry = 0x1000010,
		 .e_phoff = sizeof(Elf64_Ehdr),
		 .e_phentsize = sizeof(Elf64_Phdr),
		 .e_phnum = 2},
	.phdr = {{.p_type = PT_LOAD,
		  .p_paddr = 0x1000000,
		  .p_filesz = 64,
		  .p_memsz = KERNEL_END - 0x1000000},
		 {.p_type = PT_NOTE,
		  .p_offset = sizeof(Elf64_Ehdr) + 2 * sizeof(Elf64_Phdr),
		  .p_filesz = 20}},
	.note = {4, 4, 18},
	.name = "Xen",
	.entry = 0x1000020,
};

static struct {
	uint8_t sector[0x1f1];
	struct setup_header header;
	uint8_t code[4096];
} __attribute__((packed)) bzimage = {
	.header = {.setup_sects = 1,
		   .boot_flag = 0xaa55,
		   .jump = 0x6aeb,
		   .header = 0x53726448,
		   .version = 0x20f,
		   .loadflags = LOADED_HIGH,
		   .initrd_addr_max = 0x7fffffff,
		   .kernel_alignment = 0x200000,
		   .relocatable_kernel = 1,
		   .xloadflags = XLF_KERNEL_64,
		   .cmdline_size = 100,
		   .pref_address = 0x1000000,
		   .init_size = KERNEL_END - 0x1000000},
};

struct boot {
	struct guest_mem mem;
	struct input_file kernel, initrd;
	struct boot_spec spec;
	struct cpu_start start;
	struct capture capture;
};

static struct input_file file_new(const void *data, uint64_t size)
{
	struct input_file file = {
		.path = "file", .fd = memfd_create("file", MFD_CLOEXEC), .size = size};

	assert_true(file.fd >= 0);
	if (data)
		assert_int_equal(write(file.fd, data, size), size);
	else
		assert_int_equal(ftruncate(file.fd, (off_t)size), 0);
	return file;
}

/* Memory without asking the host for as much. */
static void ram_map(struct guest_mem *mem, uint64_t size)
{
	*mem = (struct guest_mem){.nr_regions = 0};
	assert_int_equal(guest_mem_map(mem, 0, MIN(size, HOLE_ADDR)), 0);
	if (size > HOLE_ADDR)
		assert_int_equal(guest_mem_map(mem, HOLE_END, size - HOLE_ADDR), 0);
}

static void boot_new(struct boot *vm, uint64_t memory, const void *kernel, uint64_t size)
{
	*vm = (struct boot){.kernel = file_new(kernel, size), .initrd = {.fd = -1}};
	vm->spec = (struct boot_spec){.kernel = &vm->kernel, .cmdline = "quiet", .nr_cpus = 1};
	ram_map(&vm->mem, memory);
}

static void boot_free(struct boot *vm)
{
	guest_mem_fini(&vm->mem);
	input_file_close(&vm->kernel);
	input_file_close(&vm->initrd);
}

/* A refusal says so in one line. */
static int boot_load(struct boot *vm)
{
	int err;

	capture_begin(&vm->capture, STDERR_FILENO);
	err = boot_x86_load(&vm->spec, &vm->mem, &vm->start);
	capture_end(&vm->capture);
	assert_int_equal(capture_lines(&vm->capture), err ? 1 : 0);
	return err;
}

static uint64_t get(const struct boot *vm, gpa_t gpa, unsigned int size)
{
	uint64_t value = 0;

	assert_int_equal(guest_mem_read(&vm->mem, gpa, &value, size), 0);
	return value;
}

static uint64_t host_memory(void)
{
	struct sysinfo host;

	sysinfo(&host);
	return (host.totalram + host.totalswap) * host.mem_unit;
}

static void memory_goes_around_the_hole(void **state)
{
	static const struct {
		uint64_t size;
		unsigned int regions;
	} cases[] = {{MIB(64), 1}, {GIB(3) - MIB(1), 1}, {GIB(3), 1}, {GIB(3) + MIB(1), 2}};
	struct guest_mem mem;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases) && cases[i].size <= host_memory(); i++) {
		mem = (struct guest_mem){.nr_regions = 0};
		assert_int_equal(boot_x86_map_memory(&mem, cases[i].size), 0);
		assert_int_equal(mem.nr_regions, cases[i].regions);
		assert_int_equal(guest_mem_size(&mem), cases[i].size);
		assert_int_equal(mem.regions[0].gpa, 0);
		assert_int_equal(mem.regions[0].size, MIN(cases[i].size, GIB(3)));
		if (cases[i].regions == 2)
			assert_int_equal(mem.regions[1].gpa, GIB(4));
		guest_mem_fini(&mem);
	}
}

static void more_memory_than_the_host_has(void **state)
{
	struct guest_mem mem = {.nr_regions = 0};
	struct capture capture;
	int err;

	(void)state;
	capture_begin(&capture, STDERR_FILENO);
	err = boot_x86_map_memory(&mem, ALIGN_UP(host_memory(), MIB(1)) + MIB(1));
	capture_end(&capture);
	assert_int_equal(err, -ENOMEM);
	assert_int_equal(capture_lines(&capture), 1);
	assert_int_equal(mem.nr_regions, 0);
	/* All of it is not too much, swap as well. */
	more_swap = MIB(64);
	assert_int_equal(boot_x86_map_memory(&mem, host_memory()), 0);
	assert_int_equal(guest_mem_size(&mem), host_memory());
	guest_mem_fini(&mem);
	/* No process can map as much. */
	more_swap = 1ull << 62;
	capture_begin(&capture, STDERR_FILENO);
	err = boot_x86_map_memory(&mem, 1ull << 61);
	capture_end(&capture);
	more_swap = 0;
	assert_int_equal(err, -ENOMEM);
	assert_int_equal(capture_lines(&capture), 1);
	guest_mem_fini(&mem);
}

struct range {
	uint64_t from, to;
	uint32_t type;
};

/* Of `nr` entries of `size` bytes each at gpa: address, size, type. */
static void assert_memory_map(const struct boot *vm, gpa_t gpa, uint64_t nr, unsigned int size,
			      uint64_t memory)
{
	const struct range expected[] = {
		{0, 0x9fc00, 1},
		{0x9fc00, MIB(1), 2},
		{MIB(1), MIN(memory, GIB(3)), 1},
		{GIB(4), memory + GIB(1), 1},
	};
	uint64_t i;

	assert_int_equal(nr, memory > GIB(3) ? 4 : 3);
	for (i = 0; i < nr; i++, gpa += size) {
		assert_int_equal(get(vm, gpa, 8), expected[i].from);
		assert_int_equal(get(vm, gpa + 8, 8), expected[i].to - expected[i].from);
		assert_int_equal(get(vm, gpa + 16, 4), expected[i].type);
	}
}

/* What is the same however a kernel is entered. */
static void assert_tables(const struct boot *vm)
{
	uint64_t pml4 = get(vm, PAGE_TABLES_ADDR, 8);

	assert_string_equal(guest_mem_ptr(&vm->mem, CMDLINE_ADDR, 8), vm->spec.cmdline);
	assert_memory_equal(guest_mem_ptr(&vm->mem, ACPI_ADDR, 8), "RSD PTR ", 8);
	assert_memory_equal(guest_mem_ptr(&vm->mem, MPTABLE_ADDR, 4), "_MP_", 4);
	/* By way of PVH it begins without paging. */
	assert_int_equal(pml4 & 1, vm->start.entry == CPU_ENTRY_LINUX64);
}

/* Xen, start_info.h, by its offsets. */
static void pvh_start_info(void **state)
{
	static const uint64_t sizes[] = {MIB(64), GIB(3), GIB(5)};
	struct boot vm;
	gpa_t info;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		boot_new(&vm, sizes[i], &elf, sizeof(elf));
		vm.spec.initramfs = "archive";
		vm.spec.initramfs_size = 7;
		assert_int_equal(boot_load(&vm), 0);
		assert_int_equal(vm.start.entry, CPU_ENTRY_PVH);
		assert_int_equal(vm.start.ip, 0x1000020);
		info = vm.start.info;
		assert_int_equal(get(&vm, info, 4), 0x336ec578);
		assert_int_equal(get(&vm, info + 4, 4), 1);
		assert_int_equal(get(&vm, info + 8, 4), 0);
		assert_int_equal(get(&vm, info + 12, 4), 1);
		assert_int_equal(get(&vm, info + 24, 8), CMDLINE_ADDR);
		assert_int_equal(get(&vm, info + 32, 8), ACPI_ADDR);
		assert_memory_map(&vm, get(&vm, info + 40, 8), get(&vm, info + 48, 4), 24,
				  sizes[i]);
		info = get(&vm, info + 16, 8);
		assert_int_equal(get(&vm, info + 8, 8), 7);
		assert_memory_equal(guest_mem_ptr(&vm.mem, get(&vm, info, 8), 7), "archive", 7);
		assert_tables(&vm);
		boot_free(&vm);
	}
	/* Without an initrd there is no module. */
	boot_new(&vm, MIB(64), &elf, sizeof(elf));
	assert_int_equal(boot_load(&vm), 0);
	assert_int_equal(get(&vm, vm.start.info + 12, 4), 0);
	boot_free(&vm);
}

/* Linux, zero-page.rst, by its offsets. */
static void linux_boot_params(void **state)
{
	static const uint64_t sizes[] = {MIB(64), GIB(3), GIB(5)};
	struct boot vm;
	gpa_t params;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		boot_new(&vm, sizes[i], &bzimage, sizeof(bzimage));
		vm.spec.initramfs = "archive";
		vm.spec.initramfs_size = 7;
		assert_int_equal(boot_load(&vm), 0);
		assert_int_equal(vm.start.entry, CPU_ENTRY_LINUX64);
		assert_int_equal(vm.start.ip, 0x1000200);
		params = vm.start.info;
		assert_int_equal(get(&vm, params + 0x1fe, 2), 0xaa55);
		assert_int_equal(get(&vm, params + 0x202, 4), 0x53726448);
		assert_int_equal(get(&vm, params + 0x206, 2), 0x20f);
		assert_int_equal(get(&vm, params + 0x210, 1), 0xff);
		assert_int_equal(get(&vm, params + 0x228, 4), CMDLINE_ADDR);
		assert_int_equal(get(&vm, params + 0x260, 4), KERNEL_END - 0x1000000);
		assert_int_equal(get(&vm, params + 0x070, 8), ACPI_ADDR);
		/* The sentinel: we did not copy what lies around the header. */
		assert_int_equal(get(&vm, params + 0x1ef, 1), 0);
		assert_memory_map(&vm, params + 0x2d0, get(&vm, params + 0x1e8, 1), 20, sizes[i]);
		assert_int_equal(get(&vm, params + 0x21c, 4), 7);
		assert_memory_equal(guest_mem_ptr(&vm.mem, get(&vm, params + 0x218, 4), 7),
				    "archive", 7);
		assert_tables(&vm);
		boot_free(&vm);
	}
}

/* An ELF kernel without a PVH note gets boot_params as well. */
static void elf_at_its_64_bit_entry(void **state)
{
	uint8_t copy[sizeof(elf)];
	struct boot vm;

	(void)state;
	memcpy(copy, &elf, sizeof(elf));
	copy[offsetof(__typeof__(elf), name)] = 'Y';
	boot_new(&vm, MIB(64), copy, sizeof(copy));
	assert_int_equal(boot_load(&vm), 0);
	assert_int_equal(vm.start.entry, CPU_ENTRY_LINUX64);
	assert_int_equal(vm.start.ip, 0x1000010);
	assert_int_equal(get(&vm, vm.start.info + 0x1fe, 2), 0xaa55);
	assert_int_equal(get(&vm, vm.start.info + 0x202, 4), 0x53726448);
	assert_int_equal(get(&vm, vm.start.info + 0x210, 1), 0xff);
	assert_int_equal(get(&vm, vm.start.info + 0x230, 4), 0x1000000);
	assert_memory_map(&vm, vm.start.info + 0x2d0, get(&vm, vm.start.info + 0x1e8, 1), 20,
			  MIB(64));
	boot_free(&vm);
}

/* User's initrd, then husk's archive at the next multiple of 4, zeroes between them. */
static void initrd_is_placed(void **state)
{
	static const uint64_t sizes[] = {0, 1, 2, 3, 4, 4095, 4096, 4097, MIB(20)};
	static char archive[5000];
	struct boot vm;
	size_t i, both;

	(void)state;
	memset(archive, 'a', sizeof(archive));
	for (i = 0; i < ARRAY_SIZE(sizes); i++)
		for (both = 0; both < 2; both++) {
			uint64_t first = both ? ALIGN_UP(sizes[i], 4) : sizes[i], addr, size, at;

			boot_new(&vm, MIB(64), &bzimage, sizeof(bzimage));
			vm.initrd = file_new(NULL, sizes[i]);
			assert_int_equal(pwrite(vm.initrd.fd, "iiii", MIN(sizes[i], 4), 0),
					 MIN(sizes[i], 4));
			if (sizes[i])
				vm.spec.initrd = &vm.initrd;
			if (both) {
				vm.spec.initramfs = archive;
				vm.spec.initramfs_size = sizeof(archive);
			}
			assert_int_equal(boot_load(&vm), 0);
			addr = get(&vm, vm.start.info + 0x218, 4);
			size = get(&vm, vm.start.info + 0x21c, 4);
			if (!sizes[i] && !both) {
				assert_int_equal(addr, 0);
				assert_int_equal(size, 0);
				boot_free(&vm);
				continue;
			}
			assert_int_equal(size, first + (both ? sizeof(archive) : 0));
			assert_int_equal(addr % 4096, 0);
			assert_true(addr >= KERNEL_END && addr + size <= MIB(64) &&
				    addr + size > MIB(64) - 4096);
			if (sizes[i])
				assert_int_equal(get(&vm, addr, 1), 'i');
			for (at = sizes[i]; at < first; at++)
				assert_int_equal(get(&vm, addr + at, 1), 0);
			if (both)
				assert_memory_equal(
					guest_mem_ptr(&vm.mem, addr + first, sizeof(archive)),
					archive, sizeof(archive));
			boot_free(&vm);
		}
}

/* No higher than the kernel reaches, no lower than it ends. */
static void initrd_bounds(void **state)
{
	static const struct {
		uint64_t memory;
		uint32_t addr_max;
		uint64_t size;
		int err;
		uint64_t addr;
	} cases[] = {
		{MIB(64), 0x7fffffff, MIB(32), 0, MIB(32)},
		{MIB(64), 0x7fffffff, MIB(32) + 1, -ENOMEM, 0},
		{MIB(64), 0x7fffffff, GIB(1024), -ENOMEM, 0},
		{MIB(64), 0x7fffffff, INT64_MAX, -ENOMEM, 0},
		{MIB(64), MIB(48) - 1, MIB(16), 0, MIB(32)},
		{MIB(64), MIB(48) - 1, MIB(16) + 1, -ENOMEM, 0},
		{MIB(64), MIB(48) - 2, 1, 0, MIB(48) - 4096},
		{MIB(64), 0, 1, -ENOMEM, 0},
		{GIB(5), 0x7fffffff, 5, 0, GIB(2) - 4096},
		{GIB(5), 0xffffffff, 5, 0, GIB(3) - 4096},
	};
	struct boot vm;
	size_t i;
	int err;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		__typeof__(bzimage) kernel = bzimage;

		kernel.header.initrd_addr_max = cases[i].addr_max;
		boot_new(&vm, cases[i].memory, &kernel, sizeof(kernel));
		vm.initrd = file_new(NULL, MIN(cases[i].size, MIB(64)));
		vm.initrd.size = cases[i].size;
		vm.spec.initrd = &vm.initrd;
		err = boot_load(&vm);
		if (err != cases[i].err)
			print_error("case %zu: %s", i, vm.capture.text);
		assert_int_equal(err, cases[i].err);
		if (!err)
			assert_int_equal(get(&vm, vm.start.info + 0x218, 4), cases[i].addr);
		boot_free(&vm);
	}
	/* It became shorter after it was opened. */
	boot_new(&vm, MIB(64), &bzimage, sizeof(bzimage));
	vm.initrd = file_new("abc", 3);
	vm.initrd.size = 4;
	vm.spec.initrd = &vm.initrd;
	assert_int_equal(boot_load(&vm), -EIO);
	boot_free(&vm);
}

static void command_line_bounds(void **state)
{
	char text[CMDLINE_MAX + 2];
	struct boot vm;
	size_t i;
	/* The kernel's own limit; ELF kernels do not say; and the room there is for it. */
	const struct {
		const void *kernel;
		uint64_t size;
		uint32_t cmdline_size;
		size_t max;
	} cases[] = {
		{&bzimage, sizeof(bzimage), 100, 100},
		{&elf, sizeof(elf), 0, 2047},
		{&bzimage, sizeof(bzimage), UINT32_MAX, CMDLINE_MAX - 1},
		{&bzimage, sizeof(bzimage), 0, 0},
	};

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		bzimage.header.cmdline_size = cases[i].cmdline_size;
		boot_new(&vm, MIB(64), cases[i].kernel, cases[i].size);
		memset(text, 'x', sizeof(text));
		text[cases[i].max] = '\0';
		vm.spec.cmdline = text;
		assert_int_equal(boot_load(&vm), 0);
		assert_string_equal(guest_mem_ptr(&vm.mem, CMDLINE_ADDR, CMDLINE_MAX), text);
		text[cases[i].max] = 'x';
		text[cases[i].max + 1] = '\0';
		assert_int_equal(boot_load(&vm), -E2BIG);
		boot_free(&vm);
	}
	bzimage.header.cmdline_size = 100;
}

static void what_else_is_refused(void **state)
{
	static struct platform_device devices[200];
	struct boot vm;

	(void)state;
	boot_new(&vm, MIB(64), "not a kernel", 12);
	assert_int_equal(boot_load(&vm), -ENOEXEC);
	boot_free(&vm);
	boot_new(&vm, MIB(31), &elf, sizeof(elf));
	assert_int_equal(boot_load(&vm), -ENOMEM);
	boot_free(&vm);
	boot_new(&vm, MIB(64), &elf, sizeof(elf));
	vm.spec.devices = devices;
	vm.spec.nr_devices = ARRAY_SIZE(devices);
	assert_int_equal(boot_load(&vm), -ENOSPC);
	boot_free(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(memory_goes_around_the_hole),
		cmocka_unit_test(more_memory_than_the_host_has),
		cmocka_unit_test(pvh_start_info),
		cmocka_unit_test(linux_boot_params),
		cmocka_unit_test(elf_at_its_64_bit_entry),
		cmocka_unit_test(initrd_is_placed),
		cmocka_unit_test(initrd_bounds),
		cmocka_unit_test(command_line_bounds),
		cmocka_unit_test(what_else_is_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
