/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_bystander.h"

#include <linux/virtio_blk.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "blk.h"
#include "virtio_mmio.h"

#define SECTOR 512u
#define SECTORS 64u
#define QUEUE_SIZE 8
/* Of guest RAM: two rings of 8, a sector, header and status. */
#define MEMORY KIB(4)

static void disk_create(struct fake_bystander *bystander, struct event_loop *loop)
{
	struct blk_file file = {.size = (uint64_t)SECTORS * SECTOR, .block_size = SECTOR};
	uint8_t sector[SECTOR];
	unsigned int i;

	file.fd = memfd_create("bystander", MFD_CLOEXEC);
	FAKE_CHECK(file.fd >= 0);
	for (i = 0; i < SECTORS; i++) {
		memset(sector, (int)i + 1, sizeof(sector));
		FAKE_CHECK(write(file.fd, sector, sizeof(sector)) == sizeof(sector));
	}
	FAKE_CHECK(!blk_create(&file, "bystander", &bystander->guest.mem, loop, &bystander->blk));
}

void fake_bystander_init(struct fake_bystander *bystander, struct fake_guest *guest)
{
	gpa_t memory = fake_alloc(guest, MEMORY, GUEST_PAGE_SIZE);
	struct fake_guest *own = &bystander->guest;

	*bystander = (struct fake_bystander){0};
	fake_guest_share(own, guest, memory);
	bystander->header = fake_alloc(own, sizeof(struct virtio_blk_outhdr), 16);
	bystander->data = fake_alloc(own, SECTOR, 1);
	bystander->status = fake_alloc(own, 1, 1);
	disk_create(bystander, &guest->loop);
	virtio_mmio_init(blk_virtio(bystander->blk), NULL);
	fake_guest_attach(own, blk_virtio(bystander->blk));
	fake_guest_start(own, fake_offered_features(own), QUEUE_SIZE);
	FAKE_CHECK(own->next_free <= memory + MEMORY);
}

void fake_bystander_fini(struct fake_bystander *bystander)
{
	blk_destroy(bystander->blk);
}

void fake_bystander_works(struct fake_bystander *bystander)
{
	struct fake_guest *guest = &bystander->guest;
	const uint64_t sector = bystander->requests++ % SECTORS;
	const struct virtio_blk_outhdr header = {.type = VIRTIO_BLK_T_IN, .sector = sector};
	const struct fake_buf bufs[] = {{bystander->header, sizeof(header), false},
					{bystander->data, SECTOR, true},
					{bystander->status, 1, true}};
	const uint8_t *data = fake_ptr(guest, bystander->data, SECTOR);
	uint8_t *status = fake_ptr(guest, bystander->status, 1);
	uint16_t head, used;
	uint32_t len;
	unsigned int i;

	*status = 0xee;
	memcpy(fake_ptr(guest, bystander->header, sizeof(header)), &header, sizeof(header));
	head = fake_add(guest, &guest->queues[0], bufs, ARRAY_SIZE(bufs));
	fake_kick(guest, 0);
	fake_run(guest);
	FAKE_CHECK(fake_collect(guest, &guest->queues[0], &used, &len));
	FAKE_CHECK(used == head && len == SECTOR + 1 && *status == VIRTIO_BLK_S_OK);
	FAKE_CHECK(fake_irqs(guest) > 0);
	for (i = 0; i < SECTOR; i++)
		FAKE_CHECK(data[i] == sector + 1);
}
