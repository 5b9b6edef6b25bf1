/* SPDX-License-Identifier: Apache-2.0 */
/* The PVH entry. Xen, docs/misc/pvh; xen/include/public/arch-x86/hvm/start_info.h */
#include "guest.h"

#define START_INFO_MAGIC 0x336ec578
#define MEMORY_RAM 1

struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp, memory_map;
	uint32_t nr_memory_map, reserved;
};

struct module {
	uint64_t addr, size, cmdline, reserved;
};

struct memory_range {
	uint64_t addr, size;
	uint32_t type, reserved;
};

GUEST_PVH;

static void print_memory(const struct start_info *start)
{
	const struct memory_range *range = (const void *)start->memory_map;
	uint64_t ram = 0, end = 0;
	bool rising = true;
	uint32_t i;

	for (i = 0; i < start->nr_memory_map; i++, range++) {
		rising &= range->addr >= end;
		end = range->addr + range->size;
		if (range->type == MEMORY_RAM)
			ram += range->size;
	}
	check("memory map in rising order", rising && i);
	print("memory ");
	print_number(ram >> 10);
	print(" KiB\n");
}

void guest_main(const void *info)
{
	const struct start_info *start = info;
	const struct module *module = (const void *)start->modules;

	check_equal("protected mode, no paging", pvh_entry_cr0 & 0x80000001, 1);
	check_equal("magic", start->magic, START_INFO_MAGIC);
	check_equal("version", start->version, 1);
	check("rsdp", !memcmp((const void *)start->rsdp, "RSD PTR ", 8));
	print_memory(start);
	print("command line ");
	print((const char *)start->cmdline);
	print("\n");
	check_equal("one module", start->nr_modules, 1);
	print("initrd ");
	print_number(crc32((const void *)module->addr, module->size));
	print(" ");
	print_number(module->size);
	print("\n");
}
