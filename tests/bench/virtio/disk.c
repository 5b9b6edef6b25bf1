/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <linux/virtio_blk.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "blk.h"

#define SECTOR 512u
#define DISK_SIZE MIB(64)
#define HEADER_PLACE 32 /* a header, and a status behind it */

struct disk_case {
	bool write, sequential;
	uint32_t len;
	unsigned int depth;
};

struct disk {
	struct driver driver;
	const struct disk_case *how;
	struct blk *blk; /* husk's */
	uint64_t position;
	gpa_t headers;
};

static uint64_t next_random(void)
{
	static uint64_t seed = 88172645463325252ull;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void submit(struct disk *disk, unsigned int slot)
{
	const struct disk_case *how = disk->how;
	const uint64_t place = how->sequential ? disk->position++ : next_random();
	const struct virtio_blk_outhdr header = {
		.type = how->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN,
		.sector = place % (DISK_SIZE / how->len) * (how->len / SECTOR)};
	struct fake_guest *guest = &disk->driver.guest;

	memcpy(fake_ptr(guest, disk->headers + HEADER_PLACE * slot, sizeof(header)), &header,
	       sizeof(header));
	*(uint8_t *)fake_ptr(guest, disk->headers + HEADER_PLACE * slot + 16, 1) = 0xff;
	fake_publish(guest, &guest->queues[0], (uint16_t)(3 * slot));
}

static unsigned int disk_turn(struct driver *driver)
{
	struct disk *disk = container_of(driver, struct disk, driver);
	struct fake_guest *guest = &driver->guest;
	const unsigned int depth = disk->how->depth;
	unsigned int i;
	uint16_t head;
	uint32_t len;

	driver_expect(driver, 0, depth);
	for (i = 0; i < depth; i++)
		submit(disk, i);
	driver_kick(driver, 0);
	while (!driver_wait(driver, 0, depth))
		;
	for (i = 0; i < depth; i++) {
		FAKE_CHECK(fake_collect(guest, &guest->queues[0], &head, &len));
		FAKE_CHECK(!*(char *)fake_ptr(guest,
					      disk->headers + HEADER_PLACE * (head / 3u) + 16, 1));
	}
	return depth;
}

/* Descriptors of all requests that there are at a time. */
static void disk_fill_queue(struct disk *disk)
{
	const struct disk_case *how = disk->how;
	struct fake_guest *guest = &disk->driver.guest;
	gpa_t header, data;
	unsigned int slot;

	disk->headers = driver_alloc(&disk->driver, HEADER_PLACE * how->depth);
	data = driver_alloc(&disk->driver, (uint64_t)how->len * how->depth);
	for (slot = 0; slot < how->depth; slot++) {
		header = disk->headers + HEADER_PLACE * slot;
		const struct fake_buf bufs[] = {
			{header, 16, false},
			{data + (uint64_t)slot * how->len, how->len, !how->write},
			{header + 16, 1, true}};

		fake_chain(guest, &guest->queues[0], bufs, 3, false);
	}
}

static void disk_init(struct disk *disk, const struct disk_case *how)
{
	*disk = (struct disk){.how = how};
	driver_init(&disk->driver);
}

static void disk_fini(struct disk *disk)
{
	driver_stop(&disk->driver);
	blk_destroy(disk->blk);
	driver_fini(&disk->driver);
}

static void disk_start_husk(struct disk *disk, const char *path, bool ring)
{
	struct fake_guest *guest = &disk->driver.guest;
	struct blk_file file;

	FAKE_CHECK(!blk_file_open(&file, path, false));
	if (!ring)
		blk_file_close_async(&file);
	FAKE_CHECK(!blk_create(&file, "bench", &guest->mem, &guest->loop, &disk->blk));
	FAKE_CHECK(!ring || blk_ring(disk->blk) >= 0);
	driver_start(&disk->driver, blk_virtio(disk->blk), 0);
	disk_fill_queue(disk);
}

static bool disk_start_qemu(struct disk *disk, const char *path, const char *aio, uint64_t features)
{
	char drive[4200];

	snprintf(drive, sizeof(drive), "file=%s,format=raw,if=none,id=disk,aio=%s", path, aio);
	if (!qemu_start(&disk->driver, QEMU_DISK, "-drive", drive, "virtio-blk-device,drive=disk",
			-1, features))
		return false;
	disk_fill_queue(disk);
	return true;
}

static void disk_run(struct bench *bench, const struct disk_case *how, const char *path,
		     const char *what, bool ring, const char *aio)
{
	static struct disk husk, qemu;
	char name[128];

	snprintf(name, sizeof(name), "disk %s, %s%s, %u KiB, depth %u", what,
		 how->write ? "write" : "read", how->sequential ? " sequential" : "",
		 how->len / 1024, how->depth);
	if (!bench_wants(bench, name))
		return;
	disk_init(&husk, how);
	disk_init(&qemu, how);
	disk_start_husk(&husk, path, ring);
	bench->has_qemu =
		bench->has_qemu &&
		disk_start_qemu(&qemu, path, aio, husk.driver.guest.virtio->state.driver_features);
	bench_measure(bench, name, how->len, &husk.driver, bench->has_qemu ? &qemu.driver : NULL,
		      disk_turn);
	disk_fini(&qemu);
	disk_fini(&husk);
}

void bench_disks(struct bench *bench, const char *folder, const char *what, bool ring,
		 const char *aio)
{
	static const struct disk_case cases[] = {
		{.len = 4096, .depth = 1},
		{.len = 4096, .depth = 32},
		{.len = KIB(128), .depth = 1, .sequential = true},
		{.len = KIB(128), .depth = 32, .sequential = true},
	};
	static char zeroes[1 << 20];
	char path[4096];
	unsigned int i;
	uint64_t at;
	int fd;

	snprintf(path, sizeof(path), "%s/husk-bench-XXXXXX", folder);
	fd = mkstemp(path);
	if (fd < 0) {
		fprintf(stderr, "%s: %s; left out\n", path, strerror(errno));
		return;
	}
	for (at = 0; at < DISK_SIZE; at += sizeof(zeroes))
		FAKE_CHECK(pwrite(fd, zeroes, sizeof(zeroes), (off_t)at) == sizeof(zeroes));
	for (i = 0; i < 2 * ARRAY_SIZE(cases); i++) {
		struct disk_case how = cases[i % ARRAY_SIZE(cases)];

		how.write = i >= ARRAY_SIZE(cases);
		disk_run(bench, &how, path, what, ring, aio);
	}
	close(fd);
	unlink(path);
}
