/* SPDX-License-Identifier: Apache-2.0 */
/* What a hostile guest, or a host that fails, does to a disk's file: read-only, raw, short, full.
 */
#include "hostile_blk.h"

#include <errno.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>

/* One request of the usual framing over data that starts with `start`; no look at the disk. */
static int ask(struct fixture *f, uint32_t type, uint64_t sector, uint32_t len, const void *start,
	       size_t start_len)
{
	struct fake_buf bufs[3];

	usual(f, type, len, bufs);
	if (start_len)
		memcpy(buffer(f, bufs[1].gpa, start_len), start, start_len);
	set_header(f, type, sector);
	return submit(f, bufs, 3);
}

static int ask_range(struct fixture *f, uint32_t type, uint64_t sector, uint32_t nr, uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes range = {sector, nr, flags};

	return ask(f, type, 0, RANGE, &range, RANGE);
}

static void assert_sector(struct fixture *f, uint64_t sector, const uint8_t *content)
{
	assert_int_equal(ask(f, IN, sector, SECTOR, NULL, 0), OK);
	assert_int_equal(f->used_len, SECTOR + 1);
	assert_memory_equal(buffer(f, HOSTILE_HIGH_END - SECTOR, SECTOR), content, SECTOR);
}

static void assert_bystander_and_reset(struct fixture *f)
{
	fake_bystander_works(&bystander);
	assert_false(needs_reset(f));
	restart(f);
	fake_bystander_works(&bystander);
}

/* Behind the fields there are zeroes, and not what husk keeps there. */
static void class_08_disk_configuration(void **state)
{
	const uint64_t end = offsetof(struct virtio_blk_config, write_zeroes_may_unmap) + 1;
	struct fixture *f = *state;
	unsigned int width;
	uint64_t at;

	assert_int_equal(fake_mmio_read(&f->guest, VIRTIO_MMIO_CONFIG, 8), SECTORS);
	for (width = 1; width <= 8; width *= 2)
		for (at = end; at <= 0xf00 - width; at++)
			assert_int_equal(fake_mmio_read(&f->guest, VIRTIO_MMIO_CONFIG + at, width),
					 0);
}

/* Offsets of more than 32 bits are not those of the sectors 4 GiB before. */
static void class_25_beyond_four_gigabytes(void **state)
{
	const uint64_t sector = GIB(4) / SECTOR + 8;
	static const uint8_t zeroes[SECTOR];
	static const uint32_t types[] = {ZEROES, DISCARD};
	struct fixture *f = *state;
	int fd = memfd_create("big", MFD_CLOEXEC);
	size_t i;

	assert_int_equal(ftruncate(fd, (off_t)GIB(5)), 0);
	device_replace(f, fd, false, 0);
	for (i = 0; i < ARRAY_SIZE(types); i++) {
		assert_int_equal(ask(f, OUT, 8, SECTOR, model, SECTOR), OK);
		assert_int_equal(ask(f, OUT, sector, SECTOR, model + SECTOR, SECTOR), OK);
		assert_sector(f, 8, model);
		assert_sector(f, sector, model + SECTOR);
		assert_int_equal(ask_range(f, types[i], sector, 8, 0), OK);
		assert_sector(f, 8, model);
		assert_sector(f, sector, zeroes);
	}
	assert_bystander_and_reset(f);
}

/* What one request may cost is bounded by a number of husk's, not by the disk. */
static void class_28_work_of_one_request(void **state)
{
	static const struct {
		uint32_t type;
		size_t told; /* in the configuration: the most sectors */
		uint64_t bytes;
	} cases[] = {
		{ZEROES, offsetof(struct virtio_blk_config, max_write_zeroes_sectors), MIB(16)},
		{DISCARD, offsetof(struct virtio_blk_config, max_discard_sectors), MIB(8)},
	};
	struct fixture *f = *state;
	int fd = memfd_create("big", MFD_CLOEXEC);
	size_t i;

	assert_int_equal(ftruncate(fd, (off_t)GIB(3)), 0);
	device_replace(f, fd, false, 0);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint32_t most = (uint32_t)(cases[i].bytes / SECTOR);

		assert_int_equal(fake_mmio_read(&f->guest, VIRTIO_MMIO_CONFIG + cases[i].told, 4),
				 most);
		assert_int_equal(ask_range(f, cases[i].type, 1, most, 0), OK);
		assert_int_equal(ask_range(f, cases[i].type, 1, most + 1, 0), IOERR);
	}
	assert_bystander_and_reset(f);
}

/* The descriptor could write, so it is the device that does not. */
static void class_29_write_to_read_only(void **state)
{
	static const uint64_t sectors[] = {0, 1, SECTORS - 1, SECTORS, UINT64_MAX};
	static const uint32_t lengths[] = {0, 1, SECTOR, 8 * SECTOR, 65024};
	struct fixture *f = *state;
	uint64_t ranges = FEATURE(VIRTIO_BLK_F_DISCARD) | FEATURE(VIRTIO_BLK_F_WRITE_ZEROES);
	size_t i, l;

	device_replace(f, dup(f->fd), true, 0);
	assert_true(fake_offered_features(&f->guest) & FEATURE(VIRTIO_BLK_F_RO));
	for (i = 0; i < ARRAY_SIZE(sectors); i++) {
		for (l = 0; l < ARRAY_SIZE(lengths); l++)
			assert_int_equal(ask(f, OUT, sectors[i], lengths[l], NULL, 0), IOERR);
		assert_int_equal(ask_range(f, DISCARD, sectors[i], 1, 0), IOERR);
		assert_int_equal(ask_range(f, ZEROES, sectors[i], 1, 0), IOERR);
		assert_int_equal(ask_range(f, ZEROES, sectors[i], 1, 1), IOERR);
	}
	assert_disk_as_it_should_be();
	assert_int_equal(ask(f, FLUSH, 0, 0, NULL, 0), OK);
	assert_sector(f, SECTORS - 1, model + (SECTORS - 1) * SECTOR);
	/* Nor does a driver that does not take RO, or takes what is not offered. */
	fake_guest_start(&f->guest, fake_offered_features(&f->guest) & ~FEATURE(VIRTIO_BLK_F_RO),
			 QUEUE_SIZE);
	assert_int_equal(ask(f, OUT, 0, SECTOR, NULL, 0), IOERR);
	assert_false(fake_negotiate(&f->guest, fake_offered_features(&f->guest) | ranges) &
		     VIRTIO_CONFIG_S_FEATURES_OK);
	restart(f);
	assert_bystander_and_reset(f);
	assert_sector(f, 5, model + 5 * SECTOR);
	assert_disk_as_it_should_be();
}

/* What other formats begin with, at their places. */
static void class_30_a_raw_disk_stays_raw(void **state)
{
	static const struct {
		const char *magic;
		size_t len, at;
	} formats[] = {
		{"QFI\xfb\0\0\0\3\0\0\0\0\0\0\0\150", 16, 0}, /* qcow2, with a backing file */
		{"KDMV\1\0\0\0", 8, 0},
		{"conectix", 8, 0},
		{"vhdxfile", 8, 0},
		{"\x7f\x10\xda\xbe", 4, 64}, /* vdi */
		{"QED\0", 4, 0},
		{"# Disk DescriptorFile\nversion=1\n", 32, 0},
	};
	struct fixture *f = *state;
	uint8_t sector[SECTOR];
	char path[32];
	size_t i;

	snprintf(path, sizeof(path), "/proc/self/fd/%d", f->fd);
	for (i = 0; i < ARRAY_SIZE(formats); i++) {
		struct blk_file file;

		memset(sector, 0, sizeof(sector));
		memcpy(sector + formats[i].at, formats[i].magic, formats[i].len);
		memcpy(model, sector, SECTOR);
		assert_int_equal(ask(f, OUT, 0, SECTOR, sector, SECTOR), OK);
		/* To the next start of the VM, these are bytes. */
		blk_destroy(f->blk);
		assert_int_equal(blk_file_open(&file, path, false), 0);
		assert_int_equal(file.size, sizeof(model));
		assert_int_equal(
			blk_create(&file, "disk-id", &f->guest.mem, &f->guest.loop, &f->blk), 0);
		virtio_mmio_init(blk_virtio(f->blk), NULL);
		fake_guest_attach(&f->guest, blk_virtio(f->blk));
		restart(f);
		assert_int_equal(fake_mmio_read(&f->guest, VIRTIO_MMIO_CONFIG, 8),
				 sizeof(model) / SECTOR);
		assert_sector(f, 0, sector);
		assert_recovers(f);
	}
}

static void class_31_truncated_under_the_vm(void **state)
{
	static const uint64_t sizes[] = {
		0, 1, SECTOR - 1, SECTOR, 3 * SECTOR + 1, 100 * SECTOR, DISK_SIZE - 1};
	struct fixture *f = *state;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		const uint64_t whole = sizes[i] / SECTOR;

		assert_int_equal(ftruncate(f->fd, (off_t)sizes[i]), 0);
		if (whole)
			assert_sector(f, whole - 1, model + (whole - 1) * SECTOR);
		assert_int_equal(ask(f, IN, whole, SECTOR, NULL, 0), IOERR);
		assert_int_equal(f->used_len, 1);
		assert_int_equal(ask(f, IN, SECTORS - 1, SECTOR, NULL, 0), IOERR);
		if (whole)
			assert_int_equal(ask(f, IN, whole - 1, 2 * SECTOR, NULL, 0), IOERR);
		assert_int_equal(ask(f, FLUSH, 0, 0, NULL, 0), OK);
		/* The capacity is as it was: no more of the file can be had than before. */
		assert_int_equal(ask(f, OUT, sizeof(model) / SECTOR, SECTOR, NULL, 0), IOERR);
		assert_int_equal(fake_mmio_read(&f->guest, VIRTIO_MMIO_CONFIG, 8), SECTORS);
		assert_bystander_and_reset(f);
		/* What is written is there again, wherever the file ended. */
		assert_int_equal(ask(f, OUT, SECTORS - 1, SECTOR, model, SECTOR), OK);
		assert_sector(f, SECTORS - 1, model);
		assert_int_equal(ftruncate(f->fd, sizeof(model)), 0);
		memcpy(disk, model, sizeof(model));
		assert_recovers(f);
	}
}

/* In a child, a file system of 64 KiB of which nothing remains but a descriptor. */
static void make_small_disk(int socket)
{
	char dir[] = "/tmp/husk-full-XXXXXX", path[64], byte = 0;
	char control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	struct cmsghdr *cmsg = CMSG_FIRSTHDR(&msg);
	int fd = -1;

	if (!mkdtemp(dir))
		_exit(1);
	snprintf(path, sizeof(path), "%s/disk", dir);
	if (!unshare(CLONE_NEWNS) && !mount("none", "/", NULL, MS_REC | MS_PRIVATE, NULL) &&
	    !mount("husk", dir, "tmpfs", 0, "size=64k")) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		umount2(dir, MNT_DETACH);
	}
	rmdir(dir);
	if (fd < 0)
		_exit(1);
	*cmsg = (struct cmsghdr){CMSG_LEN(sizeof(int)), SOL_SOCKET, SCM_RIGHTS};
	memcpy(CMSG_DATA(cmsg), &fd, sizeof(fd));
	_exit(sendmsg(socket, &msg, 0) != 1);
}

/* A sparse file of the disk's size on a file system with room for 64 KiB; -1: not allowed to. */
static int small_disk(void)
{
	char byte, control[CMSG_SPACE(sizeof(int))] = {0};
	struct iovec iov = {&byte, 1};
	struct msghdr msg = {.msg_iov = &iov,
			     .msg_iovlen = 1,
			     .msg_control = control,
			     .msg_controllen = sizeof(control)};
	int sockets[2], fd = -1;
	pid_t child;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, sockets), 0);
	child = fork();
	assert_true(child >= 0);
	if (!child)
		make_small_disk(sockets[1]);
	close(sockets[1]);
	if (recvmsg(sockets[0], &msg, MSG_CMSG_CLOEXEC) == 1 && CMSG_FIRSTHDR(&msg))
		memcpy(&fd, CMSG_DATA(CMSG_FIRSTHDR(&msg)), sizeof(fd));
	close(sockets[0]);
	assert_int_equal(waitpid(child, NULL, 0), child);
	if (fd >= 0)
		assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	return fd;
}

/* Full in the middle of a write; what was there stays; space that comes back is used. */
static void class_32_a_full_file_system(void **state)
{
	struct fixture *f = *state;
	int fd = small_disk();

	if (fd < 0)
		skip();
	device_replace(f, fd, false, 0);
	assert_int_equal(ask(f, OUT, 0, 4096, model, 4096), OK);
	assert_int_equal(ask(f, OUT, 64, 65024, NULL, 0), IOERR);
	assert_int_equal(f->used_len, 1);
	assert_int_equal(ask(f, OUT, 1024, 4096, NULL, 0), IOERR);
	assert_int_equal(ask_range(f, ZEROES, 1024, 4096, 0), IOERR);
	assert_sector(f, 7, model + 7 * SECTOR);
	assert_bystander_and_reset(f);
	assert_int_equal(ask_range(f, DISCARD, 64, 128, 0), OK);
	assert_int_equal(ask(f, OUT, 1024, 4096, model + 4096, 4096), OK);
	assert_sector(f, 1031, model + 4096 + 7 * SECTOR);
	assert_sector(f, 7, model + 7 * SECTOR);
	assert_int_equal(ask(f, FLUSH, 0, 0, NULL, 0), OK);
}

/* /dev/full has no space; low addresses of a process give EIO; a descriptor may not write. */
static void class_32_host_errors(void **state)
{
	struct fixture *f = *state;

	device_replace(f, open("/dev/full", O_RDWR | O_CLOEXEC), false, 0);
	assert_int_equal(ask(f, OUT, 0, SECTOR, NULL, 0), IOERR);
	assert_int_equal(ask(f, IN, 0, SECTOR, NULL, 0), OK);
	assert_bystander_and_reset(f);

	device_replace(f, open("/proc/self/mem", O_RDWR | O_CLOEXEC), false, 0);
	assert_int_equal(ask(f, IN, 0, SECTOR, NULL, 0), IOERR);
	assert_int_equal(f->used_len, 1);
	assert_int_equal(ask(f, OUT, 0, SECTOR, NULL, 0), IOERR);
	assert_int_equal(ask_range(f, ZEROES, 0, 8, 0), IOERR);
	assert_bystander_and_reset(f);

	device_replace(f, open("/proc/self/exe", O_RDONLY | O_CLOEXEC), false, 0);
	assert_int_equal(ask(f, OUT, 0, SECTOR, NULL, 0), IOERR);
	assert_int_equal(ask_range(f, DISCARD, 0, 8, 0), IOERR);
	assert_int_equal(ask_range(f, ZEROES, 0, 8, 0), IOERR);
	assert_int_equal(ask_range(f, ZEROES, 0, 8, 1), IOERR);
	assert_int_equal(ask(f, IN, 0, SECTOR, NULL, 0), OK);
	assert_memory_equal(buffer(f, HOSTILE_HIGH_END - SECTOR, 4), "\177ELF", 4);
	assert_bystander_and_reset(f);

	device_replace(f, dup(f->fd), false, 0);
	assert_recovers(f);
}

/* There is nothing to flush, and nothing that husk's filters would let it call. */
static void class_29_flush_of_a_read_only_disk(void **state)
{
	struct fixture *f = *state;

	/* It knows no fdatasync. */
	device_replace(f, open("/dev/null", O_RDONLY | O_CLOEXEC), true, 0);
	assert_int_equal(ask(f, FLUSH, 0, 0, NULL, 0), OK);
	device_replace(f, dup(f->fd), false, 0);
}

/* The log says what the host could not do, but a guest that goes on trying does not fill it. */
static void class_32_host_errors_are_told(void **state)
{
	static const char line[] =
		"husk: disk \"disk-id\": No space left on device; the guest sees an I/O error\n";
	struct fixture *f = *state;
	unsigned int i;

	device_replace(f, open("/dev/full", O_RDWR | O_CLOEXEC), false, 0);
	/* What a driver does to be told off does not use up these lines. */
	log_set_level(LOG_ERROR);
	for (i = 0; i < 20; i++) {
		fake_reg_write(&f->guest, VIRTIO_MMIO_STATUS, 0);
		fake_reg_write(&f->guest, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_DRIVER);
		assert_true(needs_reset(f));
	}
	restart(f);
	log_set_level(LOG_WARN);
	capture_begin(&capture, STDERR_FILENO);
	for (i = 0; i < 50; i++)
		assert_int_equal(ask(f, OUT, 0, SECTOR, NULL, 0), IOERR);
	/* The driver's own mistakes are no news. */
	assert_int_equal(ask(f, OUT, sizeof(model) / SECTOR, SECTOR, NULL, 0), IOERR);
	capture_end(&capture);
	/* Five in a second. */
	assert_in_range(capture_lines(&capture), 5, 10);
	assert_int_equal(strncmp(capture.text, line, strlen(line)), 0);
	capture_begin(&capture, STDERR_FILENO);
	device_replace(f, dup(f->fd), false, 0);
	assert_int_equal(ask(f, OUT, sizeof(model) / SECTOR, SECTOR, NULL, 0), IOERR);
	capture_end(&capture);
	assert_string_equal(capture.text, "");
}

/* A disk that cannot be written to stable storage says so, to drivers of either kind. */
static void class_32_flush_fails(void **state)
{
	struct fixture *f = *state;

	/* It takes writes and knows no fdatasync. */
	device_replace(f, open("/dev/null", O_RDWR | O_CLOEXEC), false, 0);
	assert_int_equal(ask(f, OUT, 0, SECTOR, NULL, 0), OK);
	assert_int_equal(ask(f, FLUSH, 0, 0, NULL, 0), IOERR);
	assert_int_equal(ask(f, FLUSH, 0, 0, NULL, 0), IOERR);
	assert_bystander_and_reset(f);
	assert_int_equal(ask(f, FLUSH, 0, 0, NULL, 0), IOERR);
	device_replace(f, open("/dev/null", O_RDWR | O_CLOEXEC), false,
		       FEATURE(VIRTIO_BLK_F_FLUSH));
	assert_int_equal(ask(f, OUT, 0, SECTOR, NULL, 0), IOERR);
	assert_bystander_and_reset(f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		hostile_test(class_08_disk_configuration),
		hostile_test(class_25_beyond_four_gigabytes),
		hostile_test(class_28_work_of_one_request),
		hostile_test(class_29_write_to_read_only),
		hostile_test(class_29_flush_of_a_read_only_disk),
		hostile_test(class_30_a_raw_disk_stays_raw),
		hostile_test(class_31_truncated_under_the_vm),
		hostile_test(class_32_a_full_file_system),
		hostile_test(class_32_host_errors),
		hostile_test(class_32_host_errors_are_told),
		hostile_test(class_32_flush_fails),
	};

	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
