/* SPDX-License-Identifier: Apache-2.0 */
/* What boot_params says of memory, command line and initrd. Linux, Documentation/arch/x86/boot.rst
 */
#include "guest.h"

#define E820_RAM 1

static void print_memory(const struct boot_params *params)
{
	const struct boot_e820_entry *entry = params->e820_table;
	uint64_t ram = 0, end = 0;
	bool rising = true, above = false;
	uint8_t i;

	for (i = 0; i < params->e820_entries; i++, entry++) {
		rising &= entry->addr >= end;
		end = entry->addr + entry->size;
		if (entry->type != E820_RAM)
			continue;
		ram += entry->size;
		above |= entry->addr < 1ull << 32 && end > 0xc0000000;
	}
	check("memory map in rising order", rising && i);
	check("device hole is not memory", !above);
	print("memory ");
	print_number(ram >> 10);
	print(" KiB\n");
}

void guest_main(const void *info)
{
	const struct boot_params *params = info;
	uint64_t initrd = params->hdr.ramdisk_image, size = params->hdr.ramdisk_size;

	print_memory(params);
	check("rsdp", !memcmp((const void *)params->acpi_rsdp_addr, "RSD PTR ", 8));
	print("command line ");
	print(guest_cmdline(params));
	print("\ninitrd ");
	print_number(crc32((const void *)initrd, size));
	print(" ");
	print_number(size);
	print("\n");
	check("initrd on a page", !(initrd & 0xfff));
}
