/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Test guests: freestanding 64-bit kernels of a few pages. They use no interrupts, exceptions,
 * SSE or exotic instructions, so that a KVM that emulates runs them too. Each tells on COM1, in
 * lines, what it found:
 *
 *	ok NAME
 *	FAIL NAME: found 0x1, expected 0x2
 *
 * and ends by itself; guests.bats compares all of it. What a guest shall do besides is said
 * in words on its command line. Memory is mapped one to one: a pointer is a guest address.
 */
#ifndef HUSK_TEST_GUEST_H
#define HUSK_TEST_GUEST_H

#define GUEST_AP_ADDR 0x10000 /* where started vCPUs begin; below 1 MiB, a whole page */
#define GUEST_CPUS_MAX 8

#ifndef __ASSEMBLER__

#include <asm/bootparam.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define ARRAY_SIZE(array) (sizeof(array) / sizeof((array)[0]))

#define LAPIC 0xfee00000
#define COM1 0x3f8
#define ACPI_POWER 0x600
#define I8042_COMMAND 0x64
#define I8042_RESET 0xfe

/* What a guest is made of: `info` is boot_params, or PVH start info (GUEST_PVH). */
void guest_main(const void *info);
/* A vCPU started at GUEST_AP_ADDR, in the order of their arrival: 1, 2, ... */
void guest_ap_main(unsigned int number);
/* Starts the vCPU with this APIC ID there. Does not wait for it to arrive. */
void guest_start_cpu(uint32_t apic_id);

/* Makes this guest enter by PVH. Xen, docs/misc/pvh: note type 18, the 32-bit entry address. */
#define GUEST_PVH \
	__asm__(".pushsection .note.pvh, \"a\", @note\n" \
		".balign 4\n" \
		".long 4, 4, 18\n" \
		".asciz \"Xen\"\n" \
		".long start_pvh\n" \
		".popsection")

/* start.S */
extern uint32_t pvh_entry_cr0;
extern const uint8_t guest_ap_start[], guest_ap_end[];
/* guest.ld: the guest itself lies in [1 MiB, guest_image_end). */
extern const uint8_t guest_image_end[];

/* guest.c. The compiler may call the first three. */
void *memcpy(void *to, const void *from, size_t len);
void *memset(void *to, int byte, size_t len);
int memcmp(const void *a, const void *b, size_t len);
void print(const char *text);
void print_number(uint64_t value);
void print_hex(uint64_t value);
/* One line about `name`. */
void check(const char *name, bool holds);
void check_equal(const char *name, uint64_t found, uint64_t expected);
/* Ends the VM by the keyboard controller's reset line, after a line "end". */
void __attribute__((noreturn)) guest_end(void);

const char *guest_cmdline(const struct boot_params *params);
/* The text behind `prefix` in the next word of *cmdline that begins with it, or NULL; moves on. */
const char *cmdline_next(const char **cmdline, const char *prefix);
bool cmdline_has(const char *cmdline, const char *word);
uint64_t parse_hex(const char *text);

/* The CRC of gzip, zip and Ethernet; adding begins with 0. */
uint32_t crc32_add(uint32_t crc, uint8_t byte);
uint32_t crc32(const void *data, uint64_t len);

uint8_t serial_in(void);
void serial_out(uint8_t byte);

static inline void out8(uint16_t port, uint8_t value)
{
	__asm__ volatile("outb %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out16(uint16_t port, uint16_t value)
{
	__asm__ volatile("outw %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline void out32(uint16_t port, uint32_t value)
{
	__asm__ volatile("outl %0, %1" : : "a"(value), "Nd"(port) : "memory");
}

static inline uint8_t in8(uint16_t port)
{
	uint8_t value;

	__asm__ volatile("inb %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint16_t in16(uint16_t port)
{
	uint16_t value;

	__asm__ volatile("inw %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t in32(uint16_t port)
{
	uint32_t value;

	__asm__ volatile("inl %1, %0" : "=a"(value) : "Nd"(port) : "memory");
	return value;
}

static inline uint32_t mmio_read32(uint64_t addr)
{
	return *(volatile uint32_t *)addr;
}

static inline void mmio_write32(uint64_t addr, uint32_t value)
{
	*(volatile uint32_t *)addr = value;
}

static inline uint64_t read_msr(uint32_t number)
{
	uint32_t low, high;

	__asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(number));
	return (uint64_t)high << 32 | low;
}

static inline void cpu_relax(void)
{
	__asm__ volatile("pause" : : : "memory");
}

#endif
#endif
