/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What the tests of virtio-blk share: a device over a disk in memory, and requests to it through
 * the rings.
 */
#ifndef HUSK_TESTS_TEST_BLK_H
#define HUSK_TESTS_TEST_BLK_H

#include <fcntl.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "blk.h"
#include "fake_guest.h"
#include "rings.h"
#include "virtio_mmio.h"

#define SECTOR 512u
#define DISK_SIZE MIB(4)
#define SECTORS (DISK_SIZE / SECTOR)
#define QUEUE_SIZE 64
#define DATA_SIZE KIB(64)
#define FEATURE(bit) (1ull << (bit))
#define NEVER 0xee /* what stands in the status byte until the device writes it */

/* Whether devices are made with a ring; a disk in memory is one that the kernel's threads serve. */
static bool use_ring;

struct fixture {
	struct fake_guest guest;
	struct fake_queue *queue;
	struct blk *blk;
	int fd; /* the disk's content, our own descriptor */
	gpa_t header, data, status;
	uint32_t used_len; /* of the last request */
};

static inline void device_create(struct fixture *f, int fd, bool read_only)
{
	struct blk_file file = {.fd = fd,
				.read_only = read_only,
				.can_discard = !read_only,
				.size = DISK_SIZE,
				.block_size = SECTOR,
				.is_async = use_ring,
				.async_fd = use_ring ? dup(fd) : -1};
	struct stat st;

	/* A device such as /dev/null has no size of its own. */
	assert_int_equal(fstat(fd, &st), 0);
	if (st.st_size)
		file.size = (uint64_t)st.st_size;
	assert_int_equal(blk_create(&file, "disk-id", &f->guest.mem, &f->guest.loop, &f->blk), 0);
	assert_int_equal(file.fd, -1);
	assert_int_equal(blk_ring(f->blk) >= 0, use_ring);
	virtio_mmio_init(blk_virtio(f->blk), NULL);
	fake_guest_attach(&f->guest, blk_virtio(f->blk));
}

static inline void device_replace(struct fixture *f, int fd, bool read_only, uint64_t without)
{
	assert_true(fd >= 0);
	blk_destroy(f->blk);
	device_create(f, fd, read_only);
	fake_guest_start(&f->guest, fake_offered_features(&f->guest) & ~without, QUEUE_SIZE);
}

static inline int setup(void **state)
{
	struct fixture *f = calloc(1, sizeof(*f));

	fake_guest_init(&f->guest);
	f->queue = &f->guest.queues[0];
	f->header = fake_alloc(&f->guest, 64, 1);
	f->data = fake_alloc(&f->guest, DATA_SIZE, 1);
	f->status = fake_alloc(&f->guest, 1, 1);
	f->fd = memfd_create("disk", MFD_CLOEXEC);
	assert_int_equal(ftruncate(f->fd, DISK_SIZE), 0);
	device_create(f, dup(f->fd), false);
	fake_guest_start(&f->guest, fake_offered_features(&f->guest), QUEUE_SIZE);
	log_set_level(LOG_ERROR);
	*state = f;
	return 0;
}

static inline int teardown(void **state)
{
	struct fixture *f = *state;

	blk_destroy(f->blk);
	blk_destroy(NULL);
	close(f->fd);
	fake_guest_fini(&f->guest);
	free(f);
	return 0;
}

static inline void set_header(struct fixture *f, uint32_t type, uint64_t sector)
{
	struct virtio_blk_outhdr header = {.type = type, .sector = sector};

	memcpy(fake_ptr(&f->guest, f->header, sizeof(header)), &header, sizeof(header));
	*(uint8_t *)fake_ptr(&f->guest, f->status, 1) = NEVER;
}

/* Sends the buffers as one request and gives the status byte. */
static inline uint8_t submit(struct fixture *f, const struct fake_buf *bufs, unsigned int nr)
{
	uint16_t head = fake_add(&f->guest, f->queue, bufs, nr), used;

	fake_kick(&f->guest, 0);
	fake_run(&f->guest);
	while (!fake_collect(&f->guest, f->queue, &used, &f->used_len))
		fake_wait(&f->guest);
	assert_int_equal(used, head);
	assert_true(fake_irqs(&f->guest) > 0);
	return *(uint8_t *)fake_ptr(&f->guest, f->status, 1);
}

/* The usual framing: header, data if there is any, status. */
static inline uint8_t request(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len)
{
	const bool to_guest = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;
	const struct fake_buf bufs[] = {{f->header, sizeof(struct virtio_blk_outhdr), false},
					{f->data, len, to_guest},
					{f->status, 1, true}};

	set_header(f, type, sector);
	return submit(f, bufs, ARRAY_SIZE(bufs));
}

static inline unsigned char *data(struct fixture *f)
{
	return fake_ptr(&f->guest, f->data, DATA_SIZE);
}

static inline void disk_read(struct fixture *f, uint64_t sector, void *ret, size_t len)
{
	assert_int_equal(pread(f->fd, ret, len, (off_t)(sector * SECTOR)), len);
}

static inline void disk_fill(struct fixture *f, int byte)
{
	char sector[SECTOR];
	uint64_t i;

	memset(sector, byte, sizeof(sector));
	for (i = 0; i < SECTORS; i++)
		assert_int_equal(pwrite(f->fd, sector, SECTOR, (off_t)(i * SECTOR)), SECTOR);
}

static inline void assert_disk(struct fixture *f, uint64_t sector, uint64_t nr, int byte)
{
	unsigned char content[SECTOR];
	unsigned int i;

	for (; nr; sector++, nr--) {
		disk_read(f, sector, content, sizeof(content));
		for (i = 0; i < SECTOR; i++)
			assert_int_equal(content[i], byte);
	}
}

static inline void assert_running(struct fixture *f)
{
	assert_int_equal(request(f, VIRTIO_BLK_T_IN, 0, SECTOR), VIRTIO_BLK_S_OK);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

#endif
