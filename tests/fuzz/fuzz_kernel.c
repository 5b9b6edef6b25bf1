/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes what loads a guest: the kernel image (ELF and bzImage), the initrd beside it, the command
 * line, the boot tables. Input: struct params, then the kernel file.
 *
 * After a load RAM is searched, all of it: each byte is one that had to be there, or is zero.
 * Around RAM there is memory that nothing may touch; it is looked at by page residency, so that a
 * system call that writes there (and would only fail on a guard page) is noticed as well.
 */
#include "fuzz.h"
#include "fuzz_log.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "boot_x86.h"
#include "layout_x86.h"
#include "util.h"

#define PAGE GUEST_PAGE_SIZE
#define MARGIN MIB(1)
#define LOW_MIN MIB(32) /* CONFIG_MEMORY_MIN */
#define LOW_PAGES_MAX 2048
#define LOW_MAX (LOW_MIN + LOW_PAGES_MAX * PAGE)
#define HIGH_MAX (256 * PAGE)
#define DEVICES_MAX 24

enum {
	FILE_SHRINKS = 1,   /* the kernel file is shorter than it was when opened */
	INITRD_SHRINKS = 2, /* the initrd */
	HAS_INITRD = 4,
};

struct params {
	uint16_t low_pages; /* above LOW_MIN */
	uint8_t high_pages; /* from 4 GiB */
	uint8_t flags;
	uint16_t initrd_size, initramfs_size, cmdline_len;
	uint8_t cpus, devices;
	uint32_t missing; /* bytes, of the files that shrink */
} __attribute__((packed));

/* RAM ends where the arena's second margin begins. */
struct arena {
	uint8_t *host;
	size_t size;
};

static struct arena low, high;
static int kernel_fd, initrd_fd;
static uint8_t pattern[UINT16_MAX]; /* of initrd and initramfs; no zero in it */
static char cmdline[UINT16_MAX + 1];

static void arena_init(struct arena *arena, size_t ram_max)
{
	uint8_t *host;

	arena->size = ram_max + 2 * MARGIN;
	host = mmap(NULL, arena->size + 2 * PAGE, PROT_NONE,
		    MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	FUZZ_CHECK(host != MAP_FAILED);
	arena->host = host + PAGE;
	FUZZ_CHECK(!mprotect(arena->host, arena->size, PROT_READ | PROT_WRITE));
	madvise(arena->host, arena->size, MADV_NOHUGEPAGE);
}

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	size_t i;

	(void)argc;
	(void)argv;
	arena_init(&low, LOW_MAX);
	arena_init(&high, HIGH_MAX);
	kernel_fd = memfd_create("kernel", MFD_CLOEXEC);
	initrd_fd = memfd_create("initrd", MFD_CLOEXEC);
	for (i = 0; i < sizeof(pattern); i++)
		pattern[i] = (uint8_t)(1 + i % 255);
	memset(cmdline, 'c', sizeof(cmdline) - 1);
	FUZZ_CHECK(kernel_fd >= 0 && initrd_fd >= 0);
	FUZZ_CHECK(pwrite(initrd_fd, pattern, sizeof(pattern), 0) == sizeof(pattern));
	return 0;
}

/* Fresh RAM of these sizes. */
static void ram_init(struct guest_mem *mem, const struct params *params)
{
	uint64_t low_size = LOW_MIN + params->low_pages % LOW_PAGES_MAX * PAGE;
	uint64_t high_size = params->high_pages * PAGE;

	*mem = (struct guest_mem){.nr_regions = 0};
	madvise(low.host, low.size, MADV_DONTNEED);
	madvise(high.host, high.size, MADV_DONTNEED);
	FUZZ_CHECK(!guest_mem_add(mem, 0, low_size, low.host + low.size - MARGIN - low_size));
	if (high_size)
		FUZZ_CHECK(!guest_mem_add(mem, HOLE_END, high_size,
					  high.host + high.size - MARGIN - high_size));
}

static bool is_zero(const uint8_t *data, size_t len)
{
	return !len || (!*data && !memcmp(data, data + 1, len - 1));
}

/* Nothing outside of RAM was touched; with `zero`, RAM is all zero. */
static void check_arena(const struct arena *arena, const struct guest_region *ram, bool zero)
{
	static unsigned char resident[(LOW_MAX + 2 * MARGIN) / PAGE];
	size_t i;

	FUZZ_CHECK(!mincore(arena->host, arena->size, resident));
	for (i = 0; i < arena->size / PAGE; i++) {
		const uint8_t *page = arena->host + i * PAGE;

		if (!(resident[i] & 1))
			continue;
		FUZZ_CHECK(ram && page >= ram->host && page < ram->host + ram->size);
		FUZZ_CHECK(!zero || is_zero(page, PAGE));
	}
}

static void check_ram(const struct guest_mem *mem, bool zero)
{
	check_arena(&low, &mem->regions[0], zero);
	check_arena(&high, mem->nr_regions > 1 ? &mem->regions[1] : NULL, zero);
}

/* This must be there; it is zeroed, so that in the end all of RAM is. NULL: whatever it is. */
static void expect(const struct guest_mem *mem, gpa_t gpa, const void *data, uint64_t len)
{
	uint8_t *host = guest_mem_ptr(mem, gpa, len);

	if (!len)
		return;
	FUZZ_CHECK(host);
	FUZZ_CHECK(!data || !memcmp(host, data, len));
	memset(host, 0, len);
}

/* The kernel lies where it says, and there only. It was accepted, so its headers are whole. */
static void expect_kernel(const struct kernel_image *image, const struct guest_mem *mem,
			  const uint8_t *data, size_t size)
{
	struct setup_header header;
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	size_t skip, i;

	if (memcmp(data, ELFMAG, SELFMAG) != 0) {
		memcpy(&header, data + 0x1f1, sizeof(header));
		skip = ((header.setup_sects ? header.setup_sects : 4) + 1u) * 512;
		FUZZ_CHECK(skip < size && size - skip > 0x200);
		FUZZ_CHECK(image->end >= header.pref_address + header.init_size);
		expect(mem, header.relocatable_kernel ? header.pref_address : MIB(1), data + skip,
		       size - skip);
		return;
	}
	memcpy(&ehdr, data, sizeof(ehdr));
	for (i = 0; i < ehdr.e_phnum; i++) {
		memcpy(&phdr, data + ehdr.e_phoff + i * sizeof(phdr), sizeof(phdr));
		if (phdr.p_type != PT_LOAD || !phdr.p_memsz)
			continue;
		FUZZ_CHECK(phdr.p_offset + phdr.p_filesz <= size && phdr.p_filesz <= phdr.p_memsz);
		FUZZ_CHECK(phdr.p_paddr >= image->start &&
			   phdr.p_paddr + phdr.p_memsz <= image->end);
		FUZZ_CHECK(guest_mem_ptr(mem, phdr.p_paddr, phdr.p_memsz));
		expect(mem, phdr.p_paddr, data + phdr.p_offset, phdr.p_filesz);
	}
}

static void check_image(const struct kernel_image *image, const struct guest_mem *mem)
{
	FUZZ_CHECK(image->start >= HIGH_MEMORY_ADDR && image->start < image->end);
	FUZZ_CHECK(guest_mem_ptr(mem, image->start, 1) && guest_mem_ptr(mem, image->end - 1, 1));
	FUZZ_CHECK(image->ip >= image->start && image->ip < image->end);
	FUZZ_CHECK(guest_mem_ptr(mem, image->ip, 1));
	FUZZ_CHECK(image->setup_header_size <= sizeof(struct setup_header));
}

/* What a kernel is told, by either way of entry. */
struct told {
	uint64_t initrd, initrd_size, cmdline, nr_map;
	struct {
		uint64_t addr, size;
		uint32_t type;
	} map[8];
};

static uint64_t get(const struct guest_mem *mem, gpa_t gpa, size_t len)
{
	uint64_t value = 0;

	FUZZ_CHECK(!guest_mem_read(mem, gpa, &value, len));
	return value;
}

/* Xen, docs/misc/pvh: start info, with offsets of its own. */
static void read_start_info(const struct guest_mem *mem, struct told *told)
{
	gpa_t info = PVH_START_INFO_ADDR, modules = get(mem, info + 16, 8);
	gpa_t map = get(mem, info + 40, 8);
	uint64_t i;

	told->cmdline = get(mem, info + 24, 8);
	told->nr_map = get(mem, info + 48, 4);
	FUZZ_CHECK(get(mem, info, 4) == 0x336ec578 && told->nr_map <= 8);
	if (get(mem, info + 12, 4)) {
		told->initrd = get(mem, modules, 8);
		told->initrd_size = get(mem, modules + 8, 8);
	}
	for (i = 0; i < told->nr_map; i++, map += 24) {
		told->map[i].addr = get(mem, map, 8);
		told->map[i].size = get(mem, map + 8, 8);
		told->map[i].type = (uint32_t)get(mem, map + 16, 4);
	}
	expect(mem, PVH_START_INFO_ADDR, NULL, CMDLINE_ADDR - PVH_START_INFO_ADDR);
}

static void read_boot_params(const struct guest_mem *mem, struct told *told)
{
	struct boot_params params;
	uint64_t i;

	FUZZ_CHECK(!guest_mem_read(mem, BOOT_PARAMS_ADDR, &params, sizeof(params)));
	told->cmdline = params.hdr.cmd_line_ptr;
	told->initrd = params.hdr.ramdisk_image;
	told->initrd_size = params.hdr.ramdisk_size;
	told->nr_map = params.e820_entries;
	FUZZ_CHECK(told->nr_map <= 8 && params.hdr.boot_flag && params.hdr.type_of_loader == 0xff);
	for (i = 0; i < told->nr_map; i++) {
		told->map[i].addr = params.e820_table[i].addr;
		told->map[i].size = params.e820_table[i].size;
		told->map[i].type = params.e820_table[i].type;
	}
	expect(mem, BOOT_PARAMS_ADDR, NULL, sizeof(params));
}

/* RAM that the kernel is told of is there, and is all that is there. */
static void check_map(const struct guest_mem *mem, const struct told *told)
{
	uint64_t i, top = 0, sum = 0;

	for (i = 0; i < told->nr_map; i++) {
		FUZZ_CHECK(told->map[i].addr >= top);
		top = told->map[i].addr + told->map[i].size;
		FUZZ_CHECK(guest_mem_ptr(mem, told->map[i].addr, told->map[i].size));
		sum += told->map[i].size;
	}
	FUZZ_CHECK(sum == guest_mem_size(mem));
}

static void check_initrd(const struct guest_mem *mem, const struct told *told,
			 const struct kernel_image *image, const struct boot_spec *spec)
{
	uint64_t initrd = spec->initrd ? spec->initrd->size : 0;
	uint64_t offset = spec->initramfs_size ? ALIGN_UP(initrd, 4) : initrd;

	FUZZ_CHECK(told->initrd_size == offset + spec->initramfs_size);
	if (!told->initrd_size)
		return;
	FUZZ_CHECK(told->initrd >= image->end && told->initrd % PAGE == 0);
	FUZZ_CHECK(told->initrd + told->initrd_size - 1 <= image->initrd_addr_max);
	expect(mem, told->initrd, pattern, initrd);
	expect(mem, told->initrd + offset, pattern, spec->initramfs_size);
}

static void check_guest(const struct guest_mem *mem, const struct cpu_start *start,
			const struct kernel_image *image, const struct boot_spec *spec)
{
	uint64_t cmdline_len = strlen(spec->cmdline);
	struct told told = {0};

	FUZZ_CHECK(start->entry == image->entry && start->ip == image->ip);
	FUZZ_CHECK(start->info ==
		   (start->entry == CPU_ENTRY_PVH ? PVH_START_INFO_ADDR : BOOT_PARAMS_ADDR));
	if (start->entry == CPU_ENTRY_PVH)
		read_start_info(mem, &told);
	else
		read_boot_params(mem, &told);
	check_map(mem, &told);
	check_initrd(mem, &told, image, spec);
	FUZZ_CHECK(told.cmdline == CMDLINE_ADDR && cmdline_len <= image->cmdline_max);
	expect(mem, CMDLINE_ADDR, spec->cmdline, cmdline_len);
	FUZZ_CHECK(!get(mem, CMDLINE_ADDR + cmdline_len, 1));
	expect(mem, GDT_ADDR, NULL, 64);
	expect(mem, PAGE_TABLES_ADDR, NULL, 6 * PAGE);
	expect(mem, ACPI_ADDR, NULL, ACPI_SIZE);
	expect(mem, MPTABLE_ADDR, NULL, ACPI_ADDR - MPTABLE_ADDR);
}

static void boot(const struct params *params, const struct input_file *kernel,
		 const struct kernel_image *image, const uint8_t *data, size_t size)
{
	struct input_file initrd = {"initrd", initrd_fd, params->initrd_size};
	struct platform_device devices[DEVICES_MAX];
	struct boot_spec spec = {.kernel = kernel,
				 .initrd = params->flags & HAS_INITRD ? &initrd : NULL,
				 .initramfs = pattern,
				 .initramfs_size = params->initramfs_size,
				 .cmdline = cmdline + UINT16_MAX - params->cmdline_len,
				 .nr_cpus = 1 + params->cpus % 32,
				 .devices = devices,
				 .nr_devices = params->devices % (DEVICES_MAX + 1)};
	struct cpu_start start;
	struct guest_mem mem;
	unsigned int i;
	int err;

	for (i = 0; i < DEVICES_MAX; i++)
		devices[i] = (struct platform_device){i % 3 ? PLATFORM_VIRTIO : PLATFORM_SERIAL,
						      VIRTIO_MMIO_ADDR + i * PAGE, 5 + i};
	if (params->flags & INITRD_SHRINKS)
		initrd.size += params->missing;
	ram_init(&mem, params);
	err = boot_x86_load(&spec, &mem, &start);
	FUZZ_CHECK(fuzz_log_take() == (err ? 1 : 0));
	if (!err) {
		check_guest(&mem, &start, image, &spec);
		expect_kernel(image, &mem, data, size);
	}
	check_ram(&mem, !err);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct input_file kernel = {.path = "kernel", .fd = kernel_fd};
	struct kernel_image image;
	struct params params;
	struct guest_mem mem;
	int err;

	fuzz_take(&in, &params, sizeof(params));
	FUZZ_CHECK(!ftruncate(kernel_fd, 0));
	FUZZ_CHECK(pwrite(kernel_fd, in.data, in.size, 0) == (ssize_t)in.size);
	kernel.size = in.size + (params.flags & FILE_SHRINKS ? params.missing : 0);
	ram_init(&mem, &params);
	err = kernel_image_load(&image, &kernel, &mem);
	FUZZ_CHECK(fuzz_log_take() == (err ? 1 : 0));
	FUZZ_CHECK(!err || err == -ENOEXEC || err == -ENOMEM);
	fuzz_steps++;
	if (err) {
		check_ram(&mem, false);
		return 0;
	}
	check_image(&image, &mem);
	expect_kernel(&image, &mem, in.data, in.size);
	check_ram(&mem, true);
	boot(&params, &kernel, &image, in.data, in.size);
	fuzz_steps++;
	return 0;
}
