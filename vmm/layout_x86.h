/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's physical address map on x86-64: every fixed address.
 */
#ifndef HUSK_LAYOUT_X86_H
#define HUSK_LAYOUT_X86_H

/*
 * Each page that husk writes or the kernel reads takes a fault on the way to the first instruction,
 * or one right after it: what is small shares pages.
 */

/* Below 640 KiB: what husk writes for the kernel's first steps; all of it is RAM to the kernel. */
#define BOOT_PARAMS_ADDR 0x7000ull /* "zero page" */
#define PAGE_TABLES_ADDR 0x9000ull /* PML4, PDPT, four page directories: 6 pages */
#define BOOT_STACK_ADDR 0x8ff0ull  /* grows down, below the page tables */
#define GDT_ADDR 0x20000ull
#define PVH_START_INFO_ADDR 0x20040ull /* start info, module list, memory map */
#define CMDLINE_ADDR 0x20200ull
#define CMDLINE_MAX 0x10000ull

/* Where the kernel looks for firmware tables; reserved in the memory map. */
#define EBDA_ADDR 0x9fc00ull
#define MPTABLE_ADDR 0xf0000ull /* floating pointer, then the table; up to 1 KiB */
#define ACPI_ADDR 0xf0400ull	/* RSDP first; up to 63 KiB */
#define ACPI_SIZE 0xfc00ull

#define HIGH_MEMORY_ADDR 0x100000ull

/* No RAM from 3 to 4 GiB: the device hole. */
#define HOLE_ADDR 0xc0000000ull
#define HOLE_END 0x100000000ull
#define VIRTIO_MMIO_ADDR 0xd0000000ull /* one page per device */
#define IOAPIC_ADDR 0xfec00000ull
#define LAPIC_ADDR 0xfee00000ull
/* What KVM needs of guest physical space on Intel: one page, then three. */
#define KVM_IDENTITY_MAP_ADDR 0xfffbc000ull
#define KVM_TSS_ADDR 0xfffbd000ull

/* I/O ports */
#define COM1_PORT 0x3f8u
#define COM2_PORT 0x2f8u
#define SERIAL_PORTS 8u
#define POWER_PORT 0x600u /* ACPI sleep control, sleep status and reset registers */
#define I8042_PORT 0x60u

/*
 * Interrupts: the legacy 16, which a kernel knows without being told more. 0 is the PIT, 1 the
 * keyboard, 2 the cascade, 8 the clock, 13 the FPU.
 */
#define COM1_IRQ 4u
#define COM2_IRQ 3u
#define IOAPIC_PINS 24u

#endif
