/* SPDX-License-Identifier: Apache-2.0 */
/* What all test guests share. */
#include "guest.h"

#include <linux/serial_reg.h>

#define LAPIC_ICR_LOW (LAPIC + 0x300)
#define LAPIC_ICR_HIGH (LAPIC + 0x310)
#define ICR_INIT 0x4500
#define ICR_STARTUP 0x4600
#define ICR_PENDING (1 << 12)

void *memcpy(void *to, const void *from, size_t len)
{
	void *at = to;

	__asm__ volatile("rep movsb" : "+D"(at), "+S"(from), "+c"(len) : : "memory");
	return to;
}

void *memset(void *to, int byte, size_t len)
{
	void *at = to;

	__asm__ volatile("rep stosb" : "+D"(at), "+c"(len) : "a"(byte) : "memory");
	return to;
}

int memcmp(const void *a, const void *b, size_t len)
{
	const uint8_t *left = a, *right = b;

	for (; len && *left == *right; len--) {
		left++;
		right++;
	}
	return len ? *left - *right : 0;
}

void __attribute__((weak)) guest_ap_main(unsigned int number)
{
	(void)number;
}

/* By the local APIC, as an operating system does it. Intel SDM volume 3, 9.4.4 and 11.6.1. */
static void lapic_send(uint32_t apic_id, uint32_t message)
{
	mmio_write32(LAPIC_ICR_HIGH, apic_id << 24);
	mmio_write32(LAPIC_ICR_LOW, message);
	while (mmio_read32(LAPIC_ICR_LOW) & ICR_PENDING)
		cpu_relax();
}

void guest_start_cpu(uint32_t apic_id)
{
	memcpy((void *)GUEST_AP_ADDR, guest_ap_start, (size_t)(guest_ap_end - guest_ap_start));
	lapic_send(apic_id, ICR_INIT);
	lapic_send(apic_id, ICR_STARTUP | GUEST_AP_ADDR >> 12);
}

uint8_t serial_in(void)
{
	while (!(in8(COM1 + UART_LSR) & UART_LSR_DR))
		cpu_relax();
	return in8(COM1 + UART_RX);
}

void serial_out(uint8_t byte)
{
	while (!(in8(COM1 + UART_LSR) & UART_LSR_THRE))
		cpu_relax();
	out8(COM1 + UART_TX, byte);
}

void print(const char *text)
{
	while (*text)
		serial_out((uint8_t)*text++);
}

static void print_based(uint64_t value, unsigned int base)
{
	char digits[24], *at = digits + sizeof(digits) - 1;

	*at = 0;
	do
		*--at = "0123456789abcdef"[value % base];
	while (value /= base);
	print(at);
}

void print_number(uint64_t value)
{
	print_based(value, 10);
}

void print_hex(uint64_t value)
{
	print("0x");
	print_based(value, 16);
}

void check(const char *name, bool holds)
{
	print(holds ? "ok " : "FAIL ");
	print(name);
	print("\n");
}

void check_equal(const char *name, uint64_t found, uint64_t expected)
{
	if (found == expected) {
		check(name, true);
		return;
	}
	print("FAIL ");
	print(name);
	print(": found ");
	print_hex(found);
	print(", expected ");
	print_hex(expected);
	print("\n");
}

void guest_end(void)
{
	print("end\n");
	out8(I8042_COMMAND, I8042_RESET);
	for (;;)
		__asm__ volatile("hlt");
}

const char *guest_cmdline(const struct boot_params *params)
{
	return (const char *)(uintptr_t)params->hdr.cmd_line_ptr;
}

const char *cmdline_next(const char **cmdline, const char *prefix)
{
	const char *word = *cmdline;
	size_t len;

	while (*word) {
		while (*word == ' ')
			word++;
		for (len = 0; prefix[len] && word[len] == prefix[len];)
			len++;
		*cmdline = word;
		while (**cmdline && **cmdline != ' ')
			(*cmdline)++;
		if (!prefix[len])
			return word + len;
		word = *cmdline;
	}
	return NULL;
}

bool cmdline_has(const char *cmdline, const char *word)
{
	const char *rest;

	while ((rest = cmdline_next(&cmdline, word)))
		if (!*rest || *rest == ' ')
			return true;
	return false;
}

uint64_t parse_hex(const char *text)
{
	uint64_t value = 0;

	if (text[0] == '0' && text[1] == 'x')
		text += 2;
	for (;; text++) {
		if (*text >= '0' && *text <= '9')
			value = value << 4 | (uint64_t)(*text - '0');
		else if (*text >= 'a' && *text <= 'f')
			value = value << 4 | (uint64_t)(*text - 'a' + 10);
		else
			return value;
	}
}

/* By table: where KVM emulates, an instruction takes about a microsecond. */
static uint32_t crc32_table[256];

static void crc32_prepare(void)
{
	uint32_t byte, crc;
	unsigned int bit;

	for (byte = 0; byte < 256; byte++) {
		crc = byte;
		for (bit = 0; bit < 8; bit++)
			crc = crc >> 1 ^ (crc & 1 ? 0xedb88320 : 0);
		crc32_table[byte] = crc;
	}
}

uint32_t crc32_add(uint32_t crc, uint8_t byte)
{
	if (!crc32_table[1])
		crc32_prepare();
	crc = ~crc;
	return ~(crc >> 8 ^ crc32_table[(uint8_t)crc ^ byte]);
}

uint32_t crc32(const void *data, uint64_t len)
{
	const uint8_t *bytes = data;
	uint32_t crc = 0;
	uint64_t i;

	for (i = 0; i < len; i++)
		crc = crc32_add(crc, bytes[i]);
	return crc;
}
