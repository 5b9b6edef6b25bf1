/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Does what lines on its serial port say, and answers each with a line; tests/faults has them typed
 * while it breaks the host. Blocks are of 4 KiB, numbers hexadecimal.
 *
 *	w BLOCK BYTE    fills a block: status
 *	z BLOCK         makes it zeroes: status
 *	d BLOCK         discards it: status
 *	f               flushes: status
 *	r BLOCK         reads it: status, and the byte it is full of, or "mixed"
 *	h COUNT         writes the first COUNT MiB: status
 *	m COUNT         uses the COUNT MiB of memory from 4 MiB up: 0
 *	s               sends 64 frames: how many the device took
 *	l               the link: 1 or 0
 *
 * Anything else ends it. With "watch" on the command line, where nobody can type, it sends frames
 * until the link goes down, and then some more.
 */
#include "virtio_net.h"

#include <linux/serial_reg.h>

#define BLOCK 4096
#define BLOCK_SECTORS (BLOCK / SECTOR_SIZE)
#define MIB (1u << 20)
#define CHUNK (64u << 10)
#define MEMORY_START (4ull * MIB)
#define FRAMES 64
#define FRAME_LEN 60
#define PATIENCE 200000
#define BLK_FEATURES \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_DISCARD | \
	 1ull << VIRTIO_BLK_F_WRITE_ZEROES)

static uint8_t block[BLOCK], chunk[CHUNK];
static uint64_t disk, net;

static uint32_t do_send(void)
{
	uint32_t sent, turns;

	for (sent = 0; sent < FRAMES; sent++) {
		struct net_queue *queue = &net_queues[NET_TX];
		uint32_t slot = queue->avail.idx % QUEUE_SIZE;

		queue->desc[slot].len = NET_HEADER + FRAME_LEN;
		memset(queue->buffers[slot] + NET_HEADER, 0xff, 6); /* to all */
		net_offer(net, NET_TX, 1);
		for (turns = 0; net_pending(NET_TX); turns++) {
			if (turns == PATIENCE)
				return sent;
			in8(COM1 + UART_LSR); /* an exit: the host has its turn, too */
			net_receive(net);
		}
	}
	return sent;
}

static uint8_t do_range(uint32_t type, uint64_t number)
{
	struct virtio_blk_discard_write_zeroes range = {.sector = number * BLOCK_SECTORS,
							.num_sectors = BLOCK_SECTORS};

	return blk_request(disk, type, 0, &range, sizeof(range));
}

static uint8_t do_block(uint32_t type, uint64_t number, uint8_t byte)
{
	memset(block, byte, sizeof(block));
	return blk_request(disk, type, number * BLOCK_SECTORS, block, sizeof(block));
}

static uint8_t do_write_much(uint64_t mib)
{
	uint64_t sector, end = mib * (MIB / SECTOR_SIZE);
	uint8_t status = 0;

	memset(chunk, 'h', sizeof(chunk));
	for (sector = 0; sector < end && !status; sector += CHUNK / SECTOR_SIZE)
		status = blk_request(disk, VIRTIO_BLK_T_OUT, sector, chunk, sizeof(chunk));
	return status;
}

static uint8_t do_use_memory(uint64_t mib)
{
	uint64_t addr;

	for (addr = MEMORY_START; addr < MEMORY_START + mib * MIB; addr += 4096)
		*(volatile uint8_t *)addr = 1;
	return 0;
}

static void do_read(uint64_t number)
{
	uint8_t status = do_block(VIRTIO_BLK_T_IN, number, 0xaa);

	print_number(status);
	if (status)
		return;
	print(" ");
	if (memcmp(block, block + 1, sizeof(block) - 1))
		print("mixed");
	else
		print_number(block[0]);
}

static void read_line(char *line, size_t size)
{
	size_t len = 0;
	uint8_t byte;

	while ((byte = serial_in()) != '\n')
		if (len < size - 1)
			line[len++] = (char)byte;
	line[len] = 0;
}

static uint64_t next_number(const char **line)
{
	const char *word = cmdline_next(line, "");

	return word ? parse_hex(word) : 0;
}

/* False at the end. */
static bool command(const char *line)
{
	const char *rest = line + 1;
	const uint64_t number = next_number(&rest);

	switch (*line) {
	case 'w':
		print_number(do_block(VIRTIO_BLK_T_OUT, number, (uint8_t)next_number(&rest)));
		break;
	case 'z':
		print_number(do_range(VIRTIO_BLK_T_WRITE_ZEROES, number));
		break;
	case 'd':
		print_number(do_range(VIRTIO_BLK_T_DISCARD, number));
		break;
	case 'f':
		print_number(blk_request(disk, VIRTIO_BLK_T_FLUSH, 0, NULL, 0));
		break;
	case 'h':
		print_number(do_write_much(number));
		break;
	case 'm':
		print_number(do_use_memory(number));
		break;
	case 'r':
		do_read(number);
		break;
	case 's':
		print_number(do_send());
		break;
	case 'l':
		print_number(net_link_is_up(net));
		break;
	default:
		return false;
	}
	print("\n");
	return true;
}

static void watch(void)
{
	print("up\n");
	while (net_link_is_up(net))
		do_send();
	print("link down\n");
	check_equal("frames are still taken", do_send(), FRAMES);
	if (disk)
		check_equal("the disk still works", do_block(VIRTIO_BLK_T_IN, 0, 0), 0);
}

void guest_main(const void *info)
{
	const char *cmdline = guest_cmdline(info), *words = cmdline;
	char line[64];
	uint64_t window;

	while ((window = virtio_next(&words))) {
		if (mmio_read32(window + VIRTIO_MMIO_DEVICE_ID) == VIRTIO_ID_NET)
			net = window;
		else if (!disk)
			disk = window;
	}
	if (disk && virtio_negotiate(disk, virtio_features(disk) & BLK_FEATURES))
		virtio_start(disk);
	if (net && net_start(net))
		net_receive(net);
	if (cmdline_has(cmdline, "watch")) {
		watch();
		return;
	}
	out8(COM1 + UART_MCR, UART_MCR_RTS);
	print("ready\n");
	do
		read_line(line, sizeof(line));
	while (command(line));
}
