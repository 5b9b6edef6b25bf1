/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk for the fuzzers of virtio-blk: a file in memory that goes on behind the disk's end, and
 * the check that a device over it serves good requests.
 */
#ifndef HUSK_TESTS_FUZZ_DISK_H
#define HUSK_TESTS_FUZZ_DISK_H

#include <linux/virtio_blk.h>
#include <linux/virtio_mmio.h>
#include <sys/stat.h>

#include "blk.h"
#include "fuzz_guest.h"
#include "virtio_mmio.h"

#define FUZZ_SECTOR 512u
#define FUZZ_SECTORS 32u
#define FUZZ_DISK (FUZZ_SECTORS * FUZZ_SECTOR)
#define FUZZ_TAIL 4096u /* bytes of the file behind the disk */
#define FUZZ_DISK_ID "disk"

struct fuzz_disk {
	int fd;
	uint8_t *content;		      /* the file, mapped */
	uint8_t model[FUZZ_DISK + FUZZ_TAIL]; /* as it should be */
	struct blk *blk;
};

/* All bytes of the file as they are at the start. */
static inline void fuzz_disk_clear(struct fuzz_disk *disk)
{
	memset(disk->model, 0xd1, sizeof(disk->model));
	memcpy(disk->content, disk->model, sizeof(disk->model));
}

static inline void fuzz_disk_init(struct fuzz_disk *disk, const struct guest_mem *mem,
				  struct event_loop *loop, bool read_only, bool can_discard)
{
	struct blk_file file = {.read_only = read_only,
				.can_discard = can_discard,
				.size = FUZZ_DISK,
				.block_size = FUZZ_SECTOR};

	disk->fd = memfd_create("disk", MFD_CLOEXEC);
	FUZZ_CHECK(!ftruncate(disk->fd, sizeof(disk->model)));
	disk->content =
		mmap(NULL, sizeof(disk->model), PROT_READ | PROT_WRITE, MAP_SHARED, disk->fd, 0);
	FUZZ_CHECK(disk->content != MAP_FAILED);
	fuzz_disk_clear(disk);
	file.fd = dup(disk->fd);
	FUZZ_CHECK(!blk_create(&file, FUZZ_DISK_ID, mem, loop, &disk->blk));
	virtio_mmio_init(blk_virtio(disk->blk), NULL);
}

static inline void fuzz_disk_check(const struct fuzz_disk *disk)
{
	struct stat st;

	FUZZ_CHECK(!memcmp(disk->content, disk->model, sizeof(disk->model)));
	FUZZ_CHECK(!fstat(disk->fd, &st) && st.st_size == sizeof(disk->model));
}

/* One good request of one sector, in fresh RAM; its status. */
static inline uint8_t fuzz_disk_request(struct fake_guest *fake, uint32_t type, uint64_t sector,
					uint8_t *data)
{
	const bool read = type == VIRTIO_BLK_T_IN;
	struct virtio_blk_outhdr header = {.type = type, .sector = sector};
	const struct fake_buf bufs[] = {
		{fake_alloc(fake, sizeof(header), 1), sizeof(header), false},
		{fake_alloc(fake, FUZZ_SECTOR, 1), FUZZ_SECTOR, read},
		{fake_alloc(fake, 1, 1), 1, true},
	};
	uint8_t *status = fake_ptr(fake, bufs[2].gpa, 1);
	uint16_t head, used;
	uint32_t len;

	*status = 0xee;
	memcpy(fake_ptr(fake, bufs[0].gpa, sizeof(header)), &header, sizeof(header));
	memcpy(fake_ptr(fake, bufs[1].gpa, FUZZ_SECTOR), data, FUZZ_SECTOR);
	head = fake_add(fake, &fake->queues[0], bufs, ARRAY_SIZE(bufs));
	fake_kick(fake, 0);
	fuzz_run(fake, 16);
	FUZZ_CHECK(fake_collect(fake, &fake->queues[0], &used, &len) && used == head);
	FUZZ_CHECK(len == (read ? FUZZ_SECTOR : 0) + 1);
	memcpy(data, fake_ptr(fake, bufs[1].gpa, FUZZ_SECTOR), FUZZ_SECTOR);
	return *status;
}

/*
 * Whatever was done to the device: after a reset it serves. Takes all of RAM, leaves the device
 * reset.
 */
static inline void fuzz_disk_works(struct fuzz_guest *guest, struct fuzz_disk *disk, bool read_only)
{
	struct fake_guest *fake = guest->fake;
	uint8_t data[FUZZ_SECTOR];

	fake_guest_attach(fake, blk_virtio(disk->blk));
	fake_reg_write(fake, VIRTIO_MMIO_STATUS, 0);
	fuzz_guest_clear(guest);
	fuzz_run(fake, 64);
	fake_guest_start(fake, fake_offered_features(fake), 4);
	memset(data, 0x3c, sizeof(data));
	FUZZ_CHECK(fuzz_disk_request(fake, VIRTIO_BLK_T_OUT, FUZZ_SECTORS - 1, data) ==
		   (read_only ? VIRTIO_BLK_S_IOERR : VIRTIO_BLK_S_OK));
	memset(data, 0, sizeof(data));
	FUZZ_CHECK(!fuzz_disk_request(fake, VIRTIO_BLK_T_IN, FUZZ_SECTORS - 1, data));
	FUZZ_CHECK(!memcmp(data, disk->content + (FUZZ_SECTORS - 1) * FUZZ_SECTOR, sizeof(data)));
	FUZZ_CHECK(read_only || (data[0] == 0x3c && data[FUZZ_SECTOR - 1] == 0x3c));
	fake_reg_write(fake, VIRTIO_MMIO_STATUS, 0);
	fake_irqs(fake);
}

#endif
