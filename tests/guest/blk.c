/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk of 16 sectors: reads sector 1, writes it and a counted pattern further on. guests.bats
 * makes the disk and looks at it afterwards.
 */
#include "virtio.h"

#define CAPACITY 16
#define FEATURES \
	(1ull << VIRTIO_F_VERSION_1 | 1ull << VIRTIO_BLK_F_FLUSH | 1ull << VIRTIO_BLK_F_BLK_SIZE)

static uint8_t buffer[4 * SECTOR_SIZE];

static void check_identity(uint64_t window, uint64_t features)
{
	check_equal("magic", mmio_read32(window + VIRTIO_MMIO_MAGIC_VALUE), MMIO_MAGIC);
	check_equal("version", mmio_read32(window + VIRTIO_MMIO_VERSION), 2);
	check_equal("device", mmio_read32(window + VIRTIO_MMIO_DEVICE_ID), VIRTIO_ID_BLOCK);
	check_equal("status after power-on", mmio_read32(window + VIRTIO_MMIO_STATUS), 0);
	check_equal("features it needs", features & FEATURES, FEATURES);
	check_equal("capacity", *(volatile uint64_t *)(window + VIRTIO_MMIO_CONFIG), CAPACITY);
}

static void check_negotiation(uint64_t window, uint64_t features)
{
	check("no device without VERSION_1",
	      !virtio_negotiate(window, FEATURES & ~(1ull << VIRTIO_F_VERSION_1)));
	check("no feature that is not offered", !virtio_negotiate(window, ~features | FEATURES));
	check("features agreed", virtio_negotiate(window, FEATURES));
	mmio_write32(window + VIRTIO_MMIO_QUEUE_SEL, 1);
	check_equal("one queue", mmio_read32(window + VIRTIO_MMIO_QUEUE_NUM_MAX), 0);
	mmio_write32(window + VIRTIO_MMIO_QUEUE_SEL, 0);
	check("queue size", mmio_read32(window + VIRTIO_MMIO_QUEUE_NUM_MAX) >= QUEUE_SIZE);
	virtio_start(window);
	check_equal("queue ready", mmio_read32(window + VIRTIO_MMIO_QUEUE_READY), 1);
	check_equal("running", mmio_read32(window + VIRTIO_MMIO_STATUS),
		    VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER |
			    VIRTIO_CONFIG_S_FEATURES_OK | VIRTIO_CONFIG_S_DRIVER_OK);
}

static void check_requests(uint64_t window)
{
	char id[VIRTIO_BLK_ID_BYTES + 1] = "";
	uint32_t i;

	check_equal("get ID", blk_request(window, VIRTIO_BLK_T_GET_ID, 0, id, sizeof(id) - 1), 0);
	print("ID ");
	print(id);
	print("\n");
	check_equal("read", blk_request(window, VIRTIO_BLK_T_IN, 1, buffer, SECTOR_SIZE), 0);
	check_equal("bytes it wrote", used.ring[(used.idx - 1) % QUEUE_SIZE].len, SECTOR_SIZE + 1);
	print("sector 1 ");
	print_number(crc32(buffer, SECTOR_SIZE));
	print("\n");
	for (i = 0; i < SECTOR_SIZE; i++)
		buffer[i]++;
	check_equal("write", blk_request(window, VIRTIO_BLK_T_OUT, 1, buffer, SECTOR_SIZE), 0);
	for (i = 0; i < sizeof(buffer); i++)
		buffer[i] = (uint8_t)('a' + i / SECTOR_SIZE);
	check_equal("write to the end",
		    blk_request(window, VIRTIO_BLK_T_OUT, CAPACITY - 4, buffer, sizeof(buffer)), 0);
	check_equal("flush", blk_request(window, VIRTIO_BLK_T_FLUSH, 0, NULL, 0), 0);
	memset(buffer, 0, SECTOR_SIZE);
	check_equal("read back",
		    blk_request(window, VIRTIO_BLK_T_IN, CAPACITY - 1, buffer, SECTOR_SIZE), 0);
	check("what was written is read", buffer[0] == 'd' && buffer[SECTOR_SIZE - 1] == 'd');
}

static void check_refusals(uint64_t window)
{
	static const struct {
		const char *name;
		uint32_t type, len;
		uint64_t sector;
		uint8_t status;
	} requests[] = {
		{"read past the end", VIRTIO_BLK_T_IN, SECTOR_SIZE, CAPACITY, VIRTIO_BLK_S_IOERR},
		{"write across the end", VIRTIO_BLK_T_OUT, 2 * SECTOR_SIZE, CAPACITY - 1,
		 VIRTIO_BLK_S_IOERR},
		{"write at a sector that wraps", VIRTIO_BLK_T_OUT, SECTOR_SIZE, 1ull << 55,
		 VIRTIO_BLK_S_IOERR},
		{"write at the last sector of all", VIRTIO_BLK_T_OUT, SECTOR_SIZE, ~0ull,
		 VIRTIO_BLK_S_IOERR},
		{"half a sector", VIRTIO_BLK_T_IN, SECTOR_SIZE / 2, 0, VIRTIO_BLK_S_IOERR},
		{"no such request", 99, SECTOR_SIZE, 0, VIRTIO_BLK_S_UNSUPP},
	};
	size_t i;

	memset(buffer, '!', sizeof(buffer));
	for (i = 0; i < ARRAY_SIZE(requests); i++)
		check_equal(requests[i].name,
			    blk_request(window, requests[i].type, requests[i].sector, buffer,
					requests[i].len),
			    requests[i].status);
	check_equal("interrupt status", mmio_read32(window + VIRTIO_MMIO_INTERRUPT_STATUS),
		    VIRTIO_MMIO_INT_VRING);
	mmio_write32(window + VIRTIO_MMIO_INTERRUPT_ACK, VIRTIO_MMIO_INT_VRING);
	check_equal("the rings' bit stays", mmio_read32(window + VIRTIO_MMIO_INTERRUPT_STATUS),
		    VIRTIO_MMIO_INT_VRING);
	mmio_write32(window + VIRTIO_MMIO_INTERRUPT_ACK,
		     VIRTIO_MMIO_INT_VRING | VIRTIO_MMIO_INT_CONFIG);
	check_equal("unless all is acknowledged",
		    mmio_read32(window + VIRTIO_MMIO_INTERRUPT_STATUS), 0);
}

static void check_read_only(uint64_t window)
{
	uint64_t features = virtio_features(window);

	check("read-only disk says so", features & 1ull << VIRTIO_BLK_F_RO);
	check("its features agreed", virtio_negotiate(window, FEATURES | 1ull << VIRTIO_BLK_F_RO));
	virtio_start(window);
	memset(buffer, '!', SECTOR_SIZE);
	check_equal("it refuses a write",
		    blk_request(window, VIRTIO_BLK_T_OUT, 0, buffer, SECTOR_SIZE),
		    VIRTIO_BLK_S_IOERR);
	check_equal("it is read", blk_request(window, VIRTIO_BLK_T_IN, 0, buffer, SECTOR_SIZE), 0);
}

void guest_main(const void *info)
{
	const char *cmdline = guest_cmdline(info);
	uint64_t disk = virtio_next(&cmdline), read_only = virtio_next(&cmdline), features;

	check("two windows", disk && read_only && !virtio_next(&cmdline));
	features = virtio_features(disk);
	check_identity(disk, features);
	check_negotiation(disk, features);
	check_requests(disk);
	check_refusals(disk);
	check_read_only(read_only);
}
