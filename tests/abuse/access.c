/* SPDX-License-Identifier: Apache-2.0 */
/* Class 9: accesses of registers, of holes and of ports that no driver makes. */
#include "kit.h"

#include <linux/serial_reg.h>

/* virtio 1.2, 4.2.2.2: a driver uses 32 bits, aligned. */
static enum outcome narrow_registers(struct victim *v, uint64_t value)
{
	uint32_t status = reg_read(v->dev, VIRTIO_MMIO_STATUS), offset;

	for (offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
		volatile uint8_t *at = (volatile uint8_t *)(v->dev->window + offset);

		(void)*at;
		(void)*(volatile uint16_t *)at;
		*at = (uint8_t)value;
		*(volatile uint16_t *)at = (uint16_t)value;
		if (offset % 4 && offset < VIRTIO_MMIO_CONFIG - 4) {
			(void)*(volatile uint32_t *)at;
			*(volatile uint32_t *)at = (uint32_t)value;
		}
	}
	if (reg_read(v->dev, VIRTIO_MMIO_STATUS) != status)
		return device_needs_reset(v->dev) ? NEEDS_RESET : SERVED;
	return victim_look(v);
}

/* 64 bits may be taken for two registers, so not where that means something. */
static enum outcome wide_registers(struct victim *v, uint64_t value)
{
	uint32_t offset;

	for (offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++)
		(void)*(volatile uint64_t *)(v->dev->window + offset);
	for (offset = 0; offset < VIRTIO_MMIO_QUEUE_SEL - 8; offset++)
		*(volatile uint64_t *)(v->dev->window + offset) = value;
	return victim_look(v);
}

/* Every register that is there and that is not. */
static enum outcome all_registers(struct victim *v, uint64_t value)
{
	const volatile uint64_t *config = (const void *)(v->dev->window + VIRTIO_MMIO_CONFIG);
	const uint64_t before = *config;
	bool needs_reset;
	uint32_t offset;

	for (offset = 0; offset < v->dev->size; offset += 4) {
		reg_write(v->dev, offset, (uint32_t)value);
		reg_read(v->dev, offset);
	}
	needs_reset = device_needs_reset(v->dev);
	if (!device_reset(v->dev))
		return fail(FAIL_DEAD, "it does not reset");
	if (device_features(v->dev) != v->dev->offered || *config != before)
		return fail(FAIL_RULE, "it is another device after it");
	return needs_reset ? NEEDS_RESET : IGNORED;
}

/* Over the end of the window into whatever follows: reads, as that may be another device. */
static enum outcome across_window(struct victim *v, uint64_t arg)
{
	const uint64_t end = v->dev->window + v->dev->size;
	unsigned int i;

	(void)arg;
	for (i = 1; i < 8; i++) {
		(void)*(volatile uint64_t *)(end - i);
		(void)*(volatile uint32_t *)(end - i);
		(void)*(volatile uint16_t *)(end - i);
	}
	return victim_look(v);
}

static enum outcome string_registers(struct victim *v, uint64_t count)
{
	uint32_t *buffer = arena_take(count * 4, 8);
	const void *from = (const void *)v->dev->window;
	const uint64_t count_all = count;
	void *to = buffer;

	__asm__ volatile("rep movsl" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	/* Backwards, by bytes, to the other end. */
	from = (const char *)v->dev->window + 63;
	to = (char *)(buffer + count_all) - 1;
	count = 64;
	__asm__ volatile("std; rep movsb; cld" : "+D"(to), "+S"(from), "+c"(count) : : "memory");
	to = (void *)v->dev->window;
	count = 16;
	__asm__ volatile("rep stosl" : "+D"(to), "+c"(count) : "a"(~0) : "memory");
	return buffer[0] == 0x74726976 ? victim_look(v) : fail(FAIL_RULE, "MagicValue is wrong");
}

/* Read, changed and written in one instruction. */
static enum outcome locked_registers(struct victim *v, uint64_t arg)
{
	uint32_t offset;

	(void)arg;
	for (offset = 0; offset < VIRTIO_MMIO_QUEUE_SEL; offset += 4)
		__asm__ volatile("lock orl $0, %0" : "+m"(*(uint32_t *)(v->dev->window + offset)));
	return victim_look(v);
}

/* Memory where nothing is; written, then read. */
static enum outcome holes(struct victim *v, uint64_t arg)
{
	const uint64_t places[] = {ram_end,    ram_end + 1, 0x80000000, 0xbffffff8, 0xbffffffd,
				   0xc0000000, 0xcffffff8,  0xd0100000, 0xe0000000, 0xfd000003};
	bool ones = true;
	size_t i;

	(void)arg;
	for (i = 0; i < ARRAY_SIZE(places); i++) {
		const uint64_t at = places[i];

		*(volatile uint8_t *)at = 0;
		*(volatile uint16_t *)at = 0;
		*(volatile uint32_t *)at = 0;
		*(volatile uint64_t *)at = 0x0123456789abcdef;
		ones &= *(volatile uint8_t *)at == UINT8_MAX || !*(volatile uint8_t *)at;
		ones &= *(volatile uint16_t *)at == UINT16_MAX || !*(volatile uint16_t *)at;
		ones &= *(volatile uint32_t *)at == UINT32_MAX || !*(volatile uint32_t *)at;
		ones &= *(volatile uint64_t *)at == UINT64_MAX || !*(volatile uint64_t *)at;
	}
	/* Half in RAM, half not. */
	*(volatile uint64_t *)(ram_end - 4) = 0x1122334455667788;
	ones &= *(volatile uint32_t *)(ram_end - 4) == 0x55667788;
	ones &= (uint32_t) * (volatile uint64_t *)(ram_end - 4) == 0x55667788;
	return ones ? victim_look(v)
		    : fail(FAIL_MEMORY, "what was written where nothing is comes back");
}

/* Ports behind which a PC has something, and those from which a wide access reaches them. */
static bool is_port_of_pc(uint32_t port)
{
	static const struct {
		uint16_t first, last;
	} used[] = {
		{0x00, 0xff}, /* what is on the board: DMA, interrupts, timer, keyboard, clock,
				 reset */
		{0x2f8, 0x2ff}, {0x3f8, 0x3ff}, /* COM2, COM1 */
		{0x4d0, 0x4d1},			/* interrupt controllers */
		{0x510, 0x51b},			/* a firmware's configuration */
		{0x600, 0x607},			/* power */
		{0xcf8, 0xcff},			/* PCI, reset */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(used); i++)
		if (port + 3 >= used[i].first && port <= used[i].last)
			return true;
	return false;
}

/* What a port without a device reads as is not said anywhere: nothing may come of it, that is all.
 */
static enum outcome ports(struct victim *v, uint64_t arg)
{
	uint32_t port;

	(void)arg;
	for (port = 0; port <= UINT16_MAX; port += port_step) {
		if (is_port_of_pc(port))
			continue;
		in8((uint16_t)port);
		in16((uint16_t)port);
		in32((uint16_t)port);
		out8((uint16_t)port, UINT8_MAX);
		out16((uint16_t)port, 0);
		out32((uint16_t)port, UINT32_MAX);
	}
	return victim_look(v);
}

/* COM1, which all of them have, in widths and places that no driver uses. */
static enum outcome serial_ports(struct victim *v, uint64_t arg)
{
	uint16_t port;

	(void)arg;
	for (port = COM1 - 3; port < COM1 + 8; port++) {
		in16(port);
		in32(port);
	}
	for (port = COM1 + 1; port < COM1 + 8; port++) {
		out8(port, UINT8_MAX);
		out16(port, 0xf0f0);
		out32(port, 0x0f0f0f0f);
	}
	/* As it was: 115200 baud, no FIFO, no loop. */
	out8(COM1 + UART_LCR, UART_LCR_DLAB);
	out8(COM1 + UART_DLL, 1);
	out8(COM1 + UART_DLM, 0);
	out8(COM1 + UART_LCR, UART_LCR_WLEN8);
	out8(COM1 + UART_IER, 0);
	out8(COM1 + UART_MCR, 0);
	out8(COM1 + UART_FCR, 0);
	return victim_look(v);
}

static enum outcome string_ports(struct victim *v, uint64_t count)
{
	static const uint16_t string_targets[] = {0x80, 0x1234, COM1 + UART_SCR, UINT16_MAX};
	char *buffer = arena_take(count * 4, 8);
	size_t i;

	for (i = 0; i < ARRAY_SIZE(string_targets); i++) {
		void *at = buffer;
		uint64_t left = count;

		__asm__ volatile("rep insb"
				 : "+D"(at), "+c"(left)
				 : "d"(string_targets[i])
				 : "memory");
		at = buffer;
		left = count;
		__asm__ volatile("rep insl"
				 : "+D"(at), "+c"(left)
				 : "d"(string_targets[i])
				 : "memory");
		at = buffer;
		left = count;
		__asm__ volatile("rep outsb" : "+S"(at), "+c"(left) : "d"(string_targets[i]));
		at = buffer;
		left = count;
		__asm__ volatile("rep outsl" : "+S"(at), "+c"(left) : "d"(string_targets[i]));
	}
	out8(COM1 + UART_SCR, 0);
	return victim_look(v);
}

const struct step access_steps[] = {
	{9, EACH_DEVICE, "8, 16 and unaligned 32 bits, ones", narrow_registers, UINT64_MAX, 0},
	{9, EACH_DEVICE, "8, 16 and unaligned 32 bits, zeroes", narrow_registers, 0, 0},
	{9, EACH_DEVICE, "64 bits", wide_registers, UINT64_MAX, 0},
	{9, EACH_DEVICE, "1 in every register", all_registers, 1, 0},
	{9, EACH_DEVICE, "2^31 in every register", all_registers, 1u << 31, 0},
	{9, EACH_DEVICE, "ones in every register", all_registers, UINT32_MAX, 0},
	{9, EACH_DEVICE, "across the end of the window", across_window, 0, 0},
	{9, EACH_DEVICE, "string instructions on registers", string_registers, 64, 0},
	{9, EACH_DEVICE, "locked instructions on registers", locked_registers, 0, 0},
	{9, ON_DISK, "memory where nothing is", holes, 0, 0},
	{9, ON_DISK, "every port", ports, 0, 0},
	{9, ON_DISK, "the serial port", serial_ports, 0, 0},
	{9, ON_DISK, "string instructions on ports", string_ports, 300, 0},
};
const size_t nr_access_steps = ARRAY_SIZE(access_steps);
