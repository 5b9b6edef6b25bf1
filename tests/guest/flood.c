/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does one thing as fast as it can, for ever: the word "mode=" on the command line says what. The
 * host looks at what that costs (tests/bench/abuse). It says "flooding" when it begins.
 */
#include "virtio_net.h"

#include <linux/serial_reg.h>

#define DEVICES_MAX 8
#define CHUNK 4096

static uint64_t windows[DEVICES_MAX], disk, net;
static unsigned int nr_windows;
static uint8_t chunk[CHUNK];

/* Nothing that leaves the guest: what a neighbour has to live with in any case. */
static void spin(void)
{
	cpu_relax();
}

/* Every queue there is, and some there are not. */
static void kicks(void)
{
	unsigned int i, queue;

	for (i = 0; i < nr_windows; i++)
		for (queue = 0; queue < 4; queue++)
			mmio_write32(windows[i] + VIRTIO_MMIO_QUEUE_NOTIFY, queue);
}

/* Rings that claim more than they can hold: the device breaks, is told so, and is reset. */
static void rubbish(void)
{
	virtio_negotiate(disk, NET_FEATURES & 1ull << VIRTIO_F_VERSION_1);
	virtio_start(disk);
	memset(desc, 0xff, sizeof(desc));
	avail.idx += QUEUE_SIZE + 1;
	mmio_write32(disk + VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	while (!(mmio_read32(disk + VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET))
		cpu_relax();
}

/* Each with frames and a request on their way. */
static void resets(void)
{
	static uint16_t turn;

	net_start(net);
	net_offer(net, NET_RX, QUEUE_SIZE);
	net_offer(net, NET_TX, QUEUE_SIZE);
	virtio_negotiate(disk, 1ull << VIRTIO_F_VERSION_1);
	virtio_start(disk);
	if (turn++ % 2)
		mmio_write32(disk + VIRTIO_MMIO_QUEUE_NOTIFY, 0);
	set_status(disk, 0);
}

/* Whether or not there is room. */
static void serial(void)
{
	static const char line[] = "Lorem ipsum \033[31m dolor\007 sit amet\r\n";
	const char *at;

	for (at = line; *at; at++)
		out8(COM1 + UART_TX, (uint8_t)*at);
}

/* Every port but those that end the VM, read and written at each width. */
static void ports(void)
{
	static uint16_t port;

	port++;
	if (port >= ACPI_POWER && port < ACPI_POWER + 8)
		return;
	in8(port);
	in32(port);
	if (port == I8042_COMMAND || port == COM1)
		return;
	out8(port, 0);
	out16(port, 0xffff);
}

/* Holes, and registers that mean nothing. */
static void mmio(void)
{
	unsigned int i;

	for (i = 0; i < 0x1000; i += 4) {
		mmio_read32(windows[0] + i);
		mmio_read32(windows[nr_windows - 1] + 0x1000 + i);
		mmio_write32(windows[nr_windows - 1] + 0x1000 + i, i);
	}
}

static void tx(void)
{
	uint16_t room = (uint16_t)(QUEUE_SIZE - net_pending(NET_TX));

	if (room)
		net_offer(net, NET_TX, room);
	net_receive(net);
}

/* The host has the flood; no buffer is ever missing for long. */
static void rx(void)
{
	net_receive(net);
}

/* Requests of every kind, each with all the sectors it may have, and a flush. */
static void requests(void)
{
	blk_request(disk, VIRTIO_BLK_T_OUT, 0, chunk, sizeof(chunk));
	blk_request(disk, VIRTIO_BLK_T_IN, 0, chunk, sizeof(chunk));
	blk_request(disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0);
	blk_request(disk, 77, 0, chunk, sizeof(chunk));
	blk_request(disk, VIRTIO_BLK_T_IN, ~0ull, chunk, sizeof(chunk));
}

/* No flood: what a neighbour gets done is told by a dot for each piece of work. */
static void work(void)
{
	crc32(chunk, 256);
	blk_request(disk, VIRTIO_BLK_T_IN, 0, chunk, SECTOR_SIZE);
	serial_out('.');
}

/* A disk that breaks all the time, and a network at work; a dot when both had a turn. */
static void beside(void)
{
	rubbish();
	tx();
	serial_out('.');
}

static const struct {
	const char *name;
	void (*fn)(void);
} modes[] = {
	{"spin", spin},	    {"kicks", kicks}, {"rubbish", rubbish},   {"resets", resets},
	{"serial", serial}, {"ports", ports}, {"mmio", mmio},	      {"tx", tx},
	{"rx", rx},	    {"work", work},   {"requests", requests}, {"beside", beside},
};

static void find_devices(const char *words)
{
	uint64_t window;

	while (nr_windows < DEVICES_MAX && (window = virtio_next(&words))) {
		windows[nr_windows++] = window;
		if (mmio_read32(window + VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_NET)
			net = window;
		else
			disk = window;
	}
	if (disk && virtio_negotiate(disk, virtio_features(disk)))
		virtio_start(disk);
	if (net && net_start(net))
		net_receive(net);
}

void guest_main(const void *info)
{
	const char *cmdline = guest_cmdline(info);
	char word[32];
	size_t i;

	find_devices(cmdline);
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		size_t len = 0;

		while (modes[i].name[len])
			len++;
		memcpy(word, "mode=", 5);
		memcpy(word + 5, modes[i].name, len + 1);
		if (!cmdline_has(cmdline, word))
			continue;
		print("flooding\n");
		for (;;)
			modes[i].fn();
	}
}
