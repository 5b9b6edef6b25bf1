/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory. There is no firmware: husk leaves memory as firmware and boot loader would have, and
 * starts the kernel at its own entry. What a kernel is told:
 *
 *	         64-bit entry               PVH entry
 *	what     boot_params in RSI         start info in EBX
 *	memory   its e820 table             its memory map
 *	initrd   ramdisk_image, _size       first module
 *	CPUs     ACPI, or the MP table      the same
 *	devices  ACPI, or the command line  the same
 *
 * Both kinds of tables are always there: a kernel built without ACPI takes the MP table and
 * virtio_mmio.device= from the command line, a distribution's kernel takes ACPI.
 *
 * RAM, from the bottom: husk's tables (layout_x86.h), firmware tables, the kernel from 1 MiB or
 * where it wants to be, and the initrd at the top of what the kernel can reach.
 */
#include "boot_x86.h"

#include <asm/bootparam.h>
#include <errno.h>
#include <linux/types.h>
#include <stddef.h>
#include <string.h>
#include <sys/sysinfo.h>

#include "layout_x86.h"
#include "mptable.h"
#include "util.h"

#define LOADER_TYPE_UNKNOWN 0xff
/*
 * What a booting kernel touches lies scattered: huge pages would double the memory that a small VM
 * takes, and to zero them takes longer than the faults they save. Above this the host decides.
 */
#define SMALL_PAGES_END MIB(256)
#define FIRST_PAGES_END MIB(4)
#define BYTES_PER_STRUCT_PAGE_BYTE 64 /* a struct page of 64 bytes for a page of 4096 */
#define MEMORY_MAP_MAX 8
#define PVH_MAGIC 0x336ec578

enum { MAP_RAM = 1, MAP_RESERVED = 2 };

/* Xen, xen/include/public/arch-x86/hvm/start_info.h */
struct pvh_start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp, memory_map;
	uint32_t nr_memory_map, reserved;
} __attribute__((packed));

struct pvh_module {
	uint64_t addr, size, cmdline, reserved;
} __attribute__((packed));

struct pvh_memory_map_entry {
	uint64_t addr, size;
	uint32_t type, reserved;
} __attribute__((packed));

/* All of it, as it lies in guest RAM. */
struct pvh_info {
	struct pvh_start_info start;
	struct pvh_module module;
	struct pvh_memory_map_entry map[MEMORY_MAP_MAX];
};
_Static_assert(PVH_START_INFO_ADDR + sizeof(struct pvh_info) <= CMDLINE_ADDR, "layout_x86.h");

struct memory_map {
	struct pvh_memory_map_entry entries[MEMORY_MAP_MAX];
	unsigned int nr;
};

/* Where things are, as both entries are told. */
struct boot_info {
	struct kernel_image kernel;
	struct memory_map map;
	gpa_t initrd;
	uint64_t initrd_size;
};

static int memory_too_big(uint64_t size, uint64_t host_size)
{
	log_error(
		"the guest's memory of %llu MiB is more than this machine has (%llu MiB); ask for "
		"less with --memory",
		(unsigned long long)(size >> 20), (unsigned long long)(host_size >> 20));
	return -ENOMEM;
}

int boot_x86_map_memory(struct guest_mem *mem, uint64_t size)
{
	uint64_t low = MIN(size, HOLE_ADDR), host_size;
	struct sysinfo host;
	int err;

	sysinfo(&host);
	host_size = ((uint64_t)host.totalram + host.totalswap) * host.mem_unit;
	if (size > host_size)
		return memory_too_big(size, host_size);
	err = guest_mem_map(mem, 0, low);
	if (!err && size > low)
		err = guest_mem_map(mem, HOLE_END, size - low);
	if (!err)
		guest_mem_small_pages(mem, 0, MIN(low, SMALL_PAGES_END));
	if (err)
		log_error("cannot map %llu MiB of memory for the guest: %s",
			  (unsigned long long)(size >> 20), strerror(-err));
	return err;
}

static void map_add(struct memory_map *map, gpa_t from, gpa_t to, uint32_t type)
{
	map->entries[map->nr++] =
		(struct pvh_memory_map_entry){.addr = from, .size = to - from, .type = type};
}

static void map_build(struct memory_map *map, const struct guest_mem *mem)
{
	unsigned int i;

	map->nr = 0;
	map_add(map, 0, EBDA_ADDR, MAP_RAM);
	map_add(map, EBDA_ADDR, HIGH_MEMORY_ADDR, MAP_RESERVED);
	map_add(map, HIGH_MEMORY_ADDR, mem->regions[0].size, MAP_RAM);
	for (i = 1; i < mem->nr_regions; i++)
		map_add(map, mem->regions[i].gpa, mem->regions[i].gpa + mem->regions[i].size,
			MAP_RAM);
}

/* Places initrd and initramfs, as one, at the top of low RAM that the kernel reaches. */
static int initrd_load(const struct boot_spec *spec, const struct guest_mem *mem,
		       struct boot_info *info)
{
	uint64_t initrd_size = spec->initrd ? spec->initrd->size : 0;
	/* A cpio archive may follow another at any multiple of 4. */
	uint64_t initramfs_offset = spec->initramfs_size ? ALIGN_UP(initrd_size, 4) : initrd_size;
	uint64_t size = initramfs_offset + spec->initramfs_size;
	uint64_t top = MIN(mem->regions[0].size, info->kernel.initrd_addr_max + 1);
	uint8_t *dst;

	if (!size)
		return 0;
	if (size > top || ALIGN_DOWN(top - size, GUEST_PAGE_SIZE) < info->kernel.end) {
		log_error("the initrd of %llu KiB does not fit beside the kernel in %llu MiB of "
			  "memory; "
			  "give the guest more with --memory",
			  (unsigned long long)(ALIGN_UP(size, KIB(1)) >> 10),
			  (unsigned long long)(guest_mem_size(mem) >> 20));
		return -ENOMEM;
	}
	info->initrd = ALIGN_DOWN(top - size, GUEST_PAGE_SIZE);
	info->initrd_size = size;
	dst = guest_mem_ptr(mem, info->initrd, size);
	if (!dst)
		return -EFAULT;
	if (initrd_size && input_file_read(spec->initrd, 0, dst, initrd_size)) {
		log_error("initrd \"%s\" cannot be read to its end", spec->initrd->path);
		return -EIO;
	}
	if (spec->initramfs_size)
		memcpy(dst + initramfs_offset, spec->initramfs, spec->initramfs_size);
	return 0;
}

/*
 * Where a booting kernel does write nearly every page: one fault each instead of up to 512. Linux
 * takes memory for its struct pages from the top, in huge pages, and what it needs later first from
 * the bottom.
 */
static void hint_dense_memory(const struct guest_mem *mem, const struct boot_info *info)
{
	const uint64_t size =
		ALIGN_UP(guest_mem_size(mem) / BYTES_PER_STRUCT_PAGE_BYTE, GUEST_HUGE_PAGE_SIZE);
	const gpa_t top = ALIGN_DOWN(info->initrd_size ? info->initrd : mem->regions[0].size,
				     GUEST_HUGE_PAGE_SIZE);

	if (mem->nr_regions > 1 || mem->regions[0].size > SMALL_PAGES_END || top <= size)
		return;
	guest_mem_huge_pages(mem, top - size, size);
	guest_mem_huge_pages(mem, 0, FIRST_PAGES_END);
}

static int cmdline_load(const struct boot_spec *spec, const struct guest_mem *mem,
			const struct kernel_image *kernel)
{
	uint64_t len = strlen(spec->cmdline);
	uint64_t max = MIN(kernel->cmdline_max, CMDLINE_MAX - 1);

	if (len > max) {
		log_error("the kernel command line has %llu bytes, this kernel takes %llu; shorten "
			  "what "
			  "--append or boot_args adds",
			  (unsigned long long)len, (unsigned long long)max);
		return -E2BIG;
	}
	return guest_mem_write(mem, CMDLINE_ADDR, spec->cmdline, len + 1);
}

static int boot_params_write(const struct guest_mem *mem, const struct boot_info *info)
{
	struct boot_params *params = guest_mem_ptr(mem, BOOT_PARAMS_ADDR, sizeof(*params));
	unsigned int i;

	if (!params)
		return -EFAULT;
	if (info->kernel.setup_header_size) {
		memcpy(&params->hdr, info->kernel.setup_header, sizeof(params->hdr));
	} else {
		params->hdr.boot_flag = 0xaa55;
		params->hdr.header = 0x53726448; /* "HdrS" */
		params->hdr.kernel_alignment = 0x1000000;
	}
	params->hdr.type_of_loader = LOADER_TYPE_UNKNOWN;
	params->hdr.cmd_line_ptr = (uint32_t)CMDLINE_ADDR;
	params->hdr.ramdisk_image = (uint32_t)info->initrd;
	params->hdr.ramdisk_size = (uint32_t)info->initrd_size;
	params->acpi_rsdp_addr = ACPI_ADDR;
	for (i = 0; i < info->map.nr; i++)
		params->e820_table[i] = (struct boot_e820_entry){
			.addr = info->map.entries[i].addr,
			.size = info->map.entries[i].size,
			.type = info->map.entries[i].type,
		};
	params->e820_entries = (uint8_t)info->map.nr;
	return 0;
}

static int start_info_write(const struct guest_mem *mem, const struct boot_info *info)
{
	struct pvh_info all = {
		.start = {.magic = PVH_MAGIC,
			  .version = 1,
			  .nr_modules = info->initrd_size ? 1 : 0,
			  .modules = PVH_START_INFO_ADDR + offsetof(struct pvh_info, module),
			  .cmdline = CMDLINE_ADDR,
			  .rsdp = ACPI_ADDR,
			  .memory_map = PVH_START_INFO_ADDR + offsetof(struct pvh_info, map),
			  .nr_memory_map = info->map.nr},
		.module = {.addr = info->initrd, .size = info->initrd_size},
	};

	memcpy(all.map, info->map.entries, sizeof(all.map));
	return guest_mem_write(mem, PVH_START_INFO_ADDR, &all, sizeof(all));
}

int boot_x86_load(const struct boot_spec *spec, const struct guest_mem *mem,
		  struct cpu_start *ret_start)
{
	struct boot_info info = {0};
	int err = kernel_image_load(&info.kernel, spec->kernel, mem);

	if (err)
		return err;
	map_build(&info.map, mem);
	err = initrd_load(spec, mem, &info);
	if (!err)
		hint_dense_memory(mem, &info);
	if (!err)
		err = cmdline_load(spec, mem, &info.kernel);
	if (err)
		return err;
	*ret_start = (struct cpu_start){.entry = info.kernel.entry, .ip = info.kernel.ip};
	if (info.kernel.entry == CPU_ENTRY_PVH) {
		ret_start->info = PVH_START_INFO_ADDR;
		err = start_info_write(mem, &info);
	} else {
		ret_start->info = BOOT_PARAMS_ADDR;
		err = boot_params_write(mem, &info);
	}
	if (!err)
		err = cpu_x86_write_tables(mem, info.kernel.entry);
	if (!err)
		err = mptable_write(mem, spec->nr_cpus);
	if (!err)
		err = acpi_write(mem, spec->nr_cpus, spec->devices, spec->nr_devices);
	if (err)
		log_error("cannot write the guest's boot tables: %s", strerror(-err));
	return err;
}
