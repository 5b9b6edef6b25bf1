/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A disk under attack: each attack is sent as a chain of the ring and as an indirect table, and
 * after each the device, another device, guest RAM and the disk are looked at.
 */
#ifndef HUSK_TESTS_HOSTILE_BLK_H
#define HUSK_TESTS_HOSTILE_BLK_H

#include "capture.h"
#include "fake_bystander.h"
#include "hostile_ram.h"
#include "test_blk.h"

#include <stdio.h>

/* In the place of a status byte: no answer, NEEDS_RESET, and nothing more until the reset. */
#define RESET (-1)
/* Bytes of the file that lie behind the disk. */
#define TAIL KIB(64)

#define RANGE sizeof(struct virtio_blk_discard_write_zeroes)

enum {
	OK = VIRTIO_BLK_S_OK,
	IOERR = VIRTIO_BLK_S_IOERR,
	UNSUPP = VIRTIO_BLK_S_UNSUPP,
	IN = VIRTIO_BLK_T_IN,
	OUT = VIRTIO_BLK_T_OUT,
	FLUSH = VIRTIO_BLK_T_FLUSH,
	GET_ID = VIRTIO_BLK_T_GET_ID,
	DISCARD = VIRTIO_BLK_T_DISCARD,
	ZEROES = VIRTIO_BLK_T_WRITE_ZEROES,
};

static struct fake_bystander bystander;
static struct hostile_ram ram;
static struct capture capture;
static uint8_t *disk;			/* the file, mapped */
static uint8_t model[DISK_SIZE + TAIL]; /* what is to be in it */
static bool partly;			/* the host may fail in the middle of a read */
static gpa_t mark;			/* rings of a restart go here */
static unsigned int good_requests;

static inline int hostile_setup(void **state)
{
	struct fixture *f;
	size_t i;

	setup(state);
	f = *state;
	fake_bystander_init(&bystander, &f->guest);
	mark = f->guest.next_free;
	f->header = HOSTILE_LOW_END - sizeof(struct virtio_blk_outhdr);
	f->data = 0;
	f->status = FAKE_HIGH_BASE;
	assert_int_equal(ftruncate(f->fd, sizeof(model)), 0);
	disk = mmap(NULL, sizeof(model), PROT_READ | PROT_WRITE, MAP_SHARED, f->fd, 0);
	assert_true(disk != MAP_FAILED);
	for (i = 0; i < sizeof(model); i++)
		model[i] = (uint8_t)(i * 7 + i / SECTOR * 13 + 1);
	memcpy(disk, model, sizeof(model));
	partly = false;
	log_set_level(LOG_WARN);
	return 0;
}

static inline int hostile_teardown(void **state)
{
	munmap(disk, sizeof(model));
	fake_bystander_fini(&bystander);
	return teardown(state);
}

static inline void assert_disk_as_it_should_be(void)
{
	assert_int_equal(memcmp(disk, model, sizeof(model)), 0);
}

static inline uint8_t *buffer(struct fixture *f, gpa_t gpa, uint64_t len)
{
	return fake_ptr(&f->guest, gpa, len);
}

static inline bool needs_reset(struct fixture *f)
{
	return fake_reg_read(&f->guest, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET;
}

/* The usual framing, each part at an end of RAM. */
static inline unsigned int usual(struct fixture *f, uint32_t type, uint32_t len,
				 struct fake_buf bufs[3])
{
	const bool to_guest = type == VIRTIO_BLK_T_IN || type == VIRTIO_BLK_T_GET_ID;

	bufs[0] = (struct fake_buf){f->header, sizeof(struct virtio_blk_outhdr), false};
	bufs[1] = (struct fake_buf){HOSTILE_HIGH_END - len, len, to_guest};
	bufs[2] = (struct fake_buf){f->status, 1, true};
	return 3;
}

/* A whole good read and a whole good write. */
static inline void assert_works(struct fixture *f)
{
	const uint64_t from = good_requests++ % SECTORS, to = good_requests * 97 % SECTORS;
	struct fake_buf bufs[3];
	uint8_t *data;

	data = buffer(f, HOSTILE_HIGH_END - SECTOR, SECTOR);
	memset(data, 0, SECTOR);
	set_header(f, VIRTIO_BLK_T_IN, from);
	usual(f, VIRTIO_BLK_T_IN, SECTOR, bufs);
	assert_int_equal(submit(f, bufs, 3), VIRTIO_BLK_S_OK);
	assert_int_equal(f->used_len, SECTOR + 1);
	assert_memory_equal(data, model + from * SECTOR, SECTOR);
	memset(data, (int)good_requests, SECTOR);
	memset(model + to * SECTOR, (int)good_requests, SECTOR);
	set_header(f, VIRTIO_BLK_T_OUT, to);
	usual(f, VIRTIO_BLK_T_OUT, SECTOR, bufs);
	assert_int_equal(submit(f, bufs, 3), VIRTIO_BLK_S_OK);
	assert_int_equal(f->used_len, 1);
}

static inline void restart(struct fixture *f)
{
	/* Rings begin as zeroes. */
	f->guest.next_free = mark;
	memset(buffer(f, mark, KIB(8)), 0, KIB(8));
	fake_guest_start(&f->guest, fake_offered_features(&f->guest), QUEUE_SIZE);
}

/* Requests are not looked at, nothing is written, nobody is interrupted. */
static inline void assert_stands_still(struct fixture *f)
{
	struct fake_buf bufs[3];

	set_header(f, VIRTIO_BLK_T_OUT, 0);
	fake_add(&f->guest, f->queue, bufs, usual(f, VIRTIO_BLK_T_OUT, SECTOR, bufs));
	fake_irqs(&f->guest);
	hostile_ram_keep(&ram, &f->guest);
	fake_kick(&f->guest, 0);
	assert_int_equal(fake_run(&f->guest), 1);
	assert_true(hostile_ram_same(&ram, &f->guest));
	assert_int_equal(fake_irqs(&f->guest), 0);
	assert_disk_as_it_should_be();
	assert_true(needs_reset(f));
}

static inline void assert_recovers(struct fixture *f)
{
	if (needs_reset(f))
		assert_stands_still(f);
	else
		assert_works(f);
	fake_bystander_works(&bystander);
	restart(f);
	assert_works(f);
	fake_bystander_works(&bystander);
	assert_disk_as_it_should_be();
}

/* Of the writable buffers, the first `written` - 1 bytes and the last one may be written. */
static inline void allow_answer(struct fixture *f, const struct fake_buf *bufs, unsigned int nr,
				uint32_t written)
{
	uint32_t data = written - 1;
	unsigned int i;

	for (i = 0; i < nr; i++) {
		uint32_t len = partly ? bufs[i].len : MIN(bufs[i].len, data);

		if (!bufs[i].writable)
			continue;
		hostile_ram_allow(&ram, &f->guest, bufs[i].gpa, len);
		data -= MIN(len, data);
	}
	assert_int_equal(data, 0);
}

/* Where the status goes: the last writable byte; the status buffer where there is none. */
static inline gpa_t status_at(struct fixture *f, const struct fake_buf *bufs, unsigned int nr)
{
	for (; nr; nr--)
		if (bufs[nr - 1].writable && bufs[nr - 1].len)
			return bufs[nr - 1].gpa + bufs[nr - 1].len - 1;
	return f->status;
}

/* Sends the buffers as one request. The status byte, or RESET. */
static inline int attack(struct fixture *f, const struct fake_buf *bufs, unsigned int nr,
			 bool indirect)
{
	const gpa_t status = status_at(f, bufs, nr);
	uint16_t idx = *fake_used_idx(&f->guest, f->queue), head, used;

	head = fake_chain(&f->guest, f->queue, bufs, nr, indirect);
	fake_publish(&f->guest, f->queue, head);
	fake_irqs(&f->guest);
	hostile_ram_keep(&ram, &f->guest);
	capture_begin(&capture, STDERR_FILENO);
	fake_kick(&f->guest, 0);
	assert_in_range(fake_run(&f->guest), 1, 2);
	capture_end(&capture);
	assert_int_equal(fake_irqs(&f->guest), 1);
	assert_disk_as_it_should_be();
	hostile_ram_allow_used(&ram, &f->guest, f->queue);
	if (needs_reset(f)) {
		assert_int_equal(*fake_used_idx(&f->guest, f->queue), idx);
		assert_true(hostile_ram_same(&ram, &f->guest));
		assert_in_range(capture_lines(&capture), 0, 1);
		return RESET;
	}
	assert_true(fake_collect(&f->guest, f->queue, &used, &f->used_len));
	assert_int_equal(used, head);
	hostile_ram_allow(&ram, &f->guest, f->queue->avail + 4 + 2ull * f->queue->size, 2);
	allow_answer(f, bufs, nr, f->used_len);
	hostile_ram_allow(&ram, &f->guest, status, 1);
	assert_true(hostile_ram_same(&ram, &f->guest));
	assert_int_equal(capture_lines(&capture), 0);
	return *buffer(f, status, 1);
}

/* The request has this outcome, and no other consequence. A refused one tells of no data. */
static inline void expect(struct fixture *f, uint32_t type, uint64_t sector,
			  const struct fake_buf *bufs, unsigned int nr, int outcome)
{
	int got, indirect;

	for (indirect = 0; indirect < 2; indirect++) {
		set_header(f, type, sector);
		if (guest_mem_ptr(&f->guest.mem, status_at(f, bufs, nr), 1))
			*buffer(f, status_at(f, bufs, nr), 1) = NEVER;
		got = attack(f, bufs, nr, indirect);
		if (got != outcome)
			print_error("type %u, sector %#llx, %u buffers, the second of %u\n", type,
				    (unsigned long long)sector, nr, bufs[1].len);
		assert_int_equal(got, outcome);
		if (outcome > 0)
			assert_int_equal(f->used_len, 1);
		assert_recovers(f);
	}
}

static inline void expect_usual(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len,
				int outcome)
{
	struct fake_buf bufs[3];

	expect(f, type, sector, bufs, usual(f, type, len, bufs), outcome);
}

#define hostile_test(name) cmocka_unit_test_setup_teardown(name, hostile_setup, hostile_teardown)

#endif
