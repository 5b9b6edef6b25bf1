/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Touches whatever can be touched in ways no driver would: every port, holes of the memory
 * map, the registers of a disk; in every width. Nothing may come of it. "step=N" on the
 * command line takes every Nth port, for slow hosts.
 */
#include "virtio.h"

#include <linux/serial_reg.h>

#define FEATURES (1ull << VIRTIO_F_VERSION_1)
#define CRC32_OF_ZEROES 0xb2aa7578 /* of a sector */

/* Ports behind which there is something, and those from which a wide access reaches them. */
static bool is_device(uint32_t port)
{
	static const struct {
		uint16_t first, last;
	} devices[] = {
		{0x20, 0x21},	{0xa0, 0xa1},	{0x4d0, 0x4d1}, /* KVM: interrupt controllers */
		{0x40, 0x43},	{0x60, 0x64},	/* KVM: timer; and speaker, keyboard */
		{0x3f8, 0x3ff}, {0x600, 0x602}, /* COM1, power */
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(devices); i++)
		if (port + 3 >= devices[i].first && port <= devices[i].last)
			return true;
	return false;
}

static void abuse_ports(uint32_t step)
{
	uint32_t port, wrong = 0;

	for (port = 0; port <= UINT16_MAX; port += step) {
		bool ones = in8((uint16_t)port) == UINT8_MAX;

		ones &= in16((uint16_t)port) == UINT16_MAX;
		ones &= in32((uint16_t)port) == UINT32_MAX;
		if (!ones && !wrong && !is_device(port))
			wrong = port;
		/* Not what is sent to the console, nor the interrupt controllers' set-up. */
		if (port == COM1)
			continue;
		/* What ends a VM is neither all ones nor all zeroes. */
		out8((uint16_t)port, UINT8_MAX);
		out16((uint16_t)port, 0);
		out32((uint16_t)port, UINT32_MAX);
	}
	out8(COM1 + UART_LCR, UART_LCR_WLEN8);
	out8(COM1 + UART_IER, 0);
	out8(COM1 + UART_MCR, 0);
	check_equal("ports without a device read as ones", wrong, 0);
}

static bool hole_is_ones(uint64_t addr)
{
	bool ones = *(volatile uint8_t *)addr == UINT8_MAX;

	ones &= *(volatile uint16_t *)addr == UINT16_MAX;
	ones &= *(volatile uint32_t *)addr == UINT32_MAX;
	ones &= *(volatile uint64_t *)addr == UINT64_MAX;
	return ones;
}

static void write_everywhere(uint64_t addr, uint64_t value)
{
	*(volatile uint8_t *)addr = (uint8_t)value;
	*(volatile uint16_t *)addr = (uint16_t)value;
	*(volatile uint32_t *)addr = (uint32_t)value;
	*(volatile uint64_t *)addr = value;
}

static void abuse_holes(uint64_t ram_end, uint64_t after_windows)
{
	const uint64_t holes[] = {
		ram_end,    ram_end + 1,   0x80000000,	      0xbffffff8, 0xbffffffd, 0xc0000000,
		0xcffffff8, after_windows, after_windows + 3, 0xd0100000, 0xe0000000, 0xfebffff8,
		0xfed00000, 0xfee01000,	   0xff000000,	      0xfffb0000, 0xfffffff0,
	};
	uint64_t wrong = 0;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		write_everywhere(holes[i], 0);
		write_everywhere(holes[i], 0x0123456789abcdef);
		if (!hole_is_ones(holes[i]) && !wrong)
			wrong = holes[i];
	}
	check_equal("holes read as ones", wrong, 0);
}

/* Half in RAM, half in a hole: KVM takes it apart. */
static void abuse_ram_end(uint64_t ram_end)
{
	volatile uint64_t *across = (volatile uint64_t *)(ram_end - 4);

	*across = 0x1122334455667788;
	check_equal("across the end of RAM", *across, 0xffffffff55667788);
}

/* virtio 1.2, 4.2.2.2: registers are 32 bits wide and aligned. All other accesses do nothing. */
static void abuse_register_widths(uint64_t window)
{
	uint32_t offset, wrong = 0;

	for (offset = 0; offset < VIRTIO_MMIO_CONFIG; offset++) {
		volatile uint8_t *at = (volatile uint8_t *)(window + offset);

		wrong |= *at | *(volatile uint16_t *)at;
		*at = UINT8_MAX;
		*(volatile uint16_t *)at = UINT16_MAX;
		if (offset % 4 && offset < VIRTIO_MMIO_CONFIG - 4) {
			wrong |= *(volatile uint32_t *)at;
			*(volatile uint32_t *)at = UINT32_MAX;
		}
	}
	check_equal("registers in wrong widths read as zero", wrong, 0);
	check_equal("writes in wrong widths do nothing", mmio_read32(window + VIRTIO_MMIO_STATUS),
		    0);
}

/* Every register that is there and that is not, before a driver is there; then what is left. */
static void abuse_registers(uint64_t window)
{
	uint64_t features = virtio_features(window);
	uint32_t capacity = mmio_read32(window + VIRTIO_MMIO_CONFIG), offset, i;
	static const uint32_t values[] = {1, UINT32_MAX, 0x80000000, 0};

	for (i = 0; i < ARRAY_SIZE(values); i++)
		for (offset = 0; offset < 0x1000; offset += 4) {
			mmio_write32(window + offset, values[i]);
			mmio_read32(window + offset);
		}
	set_status(window, 0);
	check_equal("status after reset", mmio_read32(window + VIRTIO_MMIO_STATUS), 0);
	check("features are as before", virtio_features(window) == features);
	check_equal("capacity is as before", mmio_read32(window + VIRTIO_MMIO_CONFIG), capacity);
	check_equal("past the last register reads as zero", mmio_read32(window + 0xffc), 0);
}

static void notify_wildly(uint64_t window)
{
	uint32_t i;

	for (i = 0; i < 64; i++) {
		mmio_write32(window + VIRTIO_MMIO_QUEUE_NOTIFY, i);
		mmio_write32(window + VIRTIO_MMIO_QUEUE_NOTIFY, ~i);
		mmio_write32(window + VIRTIO_MMIO_QUEUE_NOTIFY, i << 16);
	}
}

static bool wait_for_needs_reset(uint64_t window)
{
	uint32_t turns;

	for (turns = 0; turns < 100000; turns++)
		if (mmio_read32(window + VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET)
			return true;
	return false;
}

static void abuse_queue(uint64_t window)
{
	static uint8_t sector[SECTOR_SIZE];

	notify_wildly(window);
	check("features agreed", virtio_negotiate(window, FEATURES));
	notify_wildly(window);
	virtio_start(window);
	notify_wildly(window);
	check_equal("reads after wild notifications",
		    blk_request(window, VIRTIO_BLK_T_IN, 0, sector, sizeof(sector)), 0);
	check_equal("contents", crc32(sector, sizeof(sector)), CRC32_OF_ZEROES);
	/* A ring that claims more than it can hold. */
	avail.idx += QUEUE_SIZE + 1;
	notify_wildly(window);
	check("a broken ring needs a reset", wait_for_needs_reset(window));
	notify_wildly(window);
	check("reset mends it", virtio_negotiate(window, FEATURES));
	virtio_start(window);
	check_equal("reads after a reset",
		    blk_request(window, VIRTIO_BLK_T_IN, 0, sector, sizeof(sector)), 0);
}

void guest_main(const void *info)
{
	const struct boot_params *params = info;
	const char *cmdline = guest_cmdline(params), *rest = cmdline;
	const char *step = cmdline_next(&rest, "step=");
	const struct boot_e820_entry *ram = &params->e820_table[2];
	uint64_t ram_end = ram->addr + ram->size, window = virtio_next(&cmdline);
	uint32_t before = crc32((const void *)0x1000, 0x8000);

	check("a disk", window);
	if (!window)
		return;
	abuse_ports(step ? (uint32_t)parse_hex(step) : 1);
	abuse_holes(ram_end, window + 0x1000);
	abuse_ram_end(ram_end);
	abuse_register_widths(window);
	abuse_registers(window);
	abuse_queue(window);
	check_equal("low memory is as before", crc32((const void *)0x1000, 0x8000), before);
}
