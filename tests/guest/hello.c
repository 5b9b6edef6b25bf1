/* SPDX-License-Identifier: Apache-2.0 */
/* The 64-bit entry of the Linux boot protocol, "64-bit boot protocol". */
#include "guest.h"

#define MSR_EFER 0xc0000080
#define EFER_LMA (1 << 10)
#define RFLAGS_IF (1 << 9)

void guest_main(const void *info)
{
	const struct boot_params *params = info;
	uint64_t cr0, rflags;
	uint16_t cs, ds;

	__asm__ volatile("mov %%cr0, %0" : "=r"(cr0));
	__asm__ volatile("pushf; pop %0" : "=r"(rflags));
	__asm__ volatile("mov %%cs, %0" : "=r"(cs));
	__asm__ volatile("mov %%ds, %0" : "=r"(ds));
	print("hello\n");
	check("long mode", read_msr(MSR_EFER) & EFER_LMA);
	check("paging", cr0 >> 31);
	check("interrupts off", !(rflags & RFLAGS_IF));
	check_equal("code selector", cs, 0x10);
	check_equal("data selector", ds, 0x18);
	check_equal("boot flag", params->hdr.boot_flag, 0xaa55);
	check_equal("header", params->hdr.header, 0x53726448);
	check_equal("loader type", params->hdr.type_of_loader, 0xff);
}
