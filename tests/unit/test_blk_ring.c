/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The ring of a disk, by the kernel: what it refuses to do; and a block device over a disk that is
 * as slow as the test wants: a socket, which is read when the test has written to it.
 */
#include "test_blk.h"

#include <errno.h>
#include <liburing.h>
#include <pthread.h>
#include <signal.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <sys/wait.h>

/*
 * What a ring does.
 */

/* The memory of the ring behind `fd`, mapped once more, as who took over the process could do. */
static void map_ring(int fd, struct io_uring *ret_ring)
{
	struct io_uring_params params = {0};
	int other = (int)io_uring_setup(8, &params);

	assert_true(other >= 0);
	assert_int_equal(io_uring_queue_mmap(fd, &params, ret_ring), 0);
	close(other);
}

/* The result of one operation with every other field harmless. */
static int operate(struct io_uring *ring, int opcode, unsigned int flags, int fd)
{
	static char data[SECTOR];
	static struct iovec iov = {data, sizeof(data)};
	struct io_uring_sqe *sqe = io_uring_get_sqe(ring);
	struct io_uring_cqe *cqe;
	int result;

	io_uring_prep_rw(opcode, sqe, fd, &iov, 1, 0);
	sqe->flags = (uint8_t)flags;
	assert_int_equal(io_uring_submit_and_wait(ring, 1), 1);
	assert_int_equal(io_uring_peek_cqe(ring, &cqe), 0);
	result = cqe->res;
	io_uring_cqe_seen(ring, cqe);
	return result;
}

static void a_ring_does_nothing_else(void **state)
{
	static const int allowed[] = {IORING_OP_READV, IORING_OP_WRITEV, IORING_OP_FSYNC};
	int fd = memfd_create("disk", MFD_CLOEXEC), opcode, read_only;

	(void)state;
	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	for (read_only = 0; read_only < 2; read_only++) {
		struct blk_ring *ring;
		struct io_uring uring = {0};
		unsigned int bit;
		size_t i;

		assert_int_equal(blk_ring_create(fd, read_only, 8, &ring), 0);
		map_ring(blk_ring_fd(ring), &uring);
		assert_int_equal(operate(&uring, IORING_OP_READV, IOSQE_FIXED_FILE, 0), SECTOR);
		for (opcode = 0; opcode <= 255; opcode++) {
			bool may = opcode == IORING_OP_READV;

			for (i = 0; i < ARRAY_SIZE(allowed); i++)
				may |= !read_only && opcode == allowed[i];
			may |= !read_only && opcode == IORING_OP_FALLOCATE;
			if (!may && opcode < IORING_OP_LAST)
				assert_int_equal(operate(&uring, opcode, IOSQE_FIXED_FILE, 0),
						 -EACCES);
		}
		/* No descriptor, but the first place in the ring; and no other flag with it. */
		assert_int_equal(operate(&uring, IORING_OP_READV, 0, fd), -EACCES);
		assert_int_equal(operate(&uring, IORING_OP_READV, IOSQE_FIXED_FILE, 1), -EBADF);
		for (bit = 0; bit <= IOSQE_CQE_SKIP_SUCCESS_BIT; bit++)
			if (1u << bit != IOSQE_FIXED_FILE)
				assert_int_equal(operate(&uring, IORING_OP_READV,
							 IOSQE_FIXED_FILE | 1u << bit, 0),
						 -EACCES);
		/* Nor can that be changed. */
		for (i = 0; i < IORING_REGISTER_LAST; i++)
			assert_int_equal(io_uring_register((unsigned int)blk_ring_fd(ring),
							   (unsigned int)i, NULL, 0),
					 -EACCES);
		assert_int_equal(operate(&uring, IORING_OP_READV, IOSQE_FIXED_FILE, 0), SECTOR);
		munmap(uring.sq.sqes, 8 * sizeof(struct io_uring_sqe));
		munmap(uring.sq.ring_ptr, uring.sq.ring_sz);
		blk_ring_destroy(ring);
	}
	close(fd);
}

/* The kernel takes a ring apart some time after its process has ended; who comes next may not see.
 */
static void the_lock_goes_with_the_process(void **state)
{
	char path[] = "/tmp/husk-test-XXXXXX";
	struct fixture *f = *state;
	struct blk_file file;
	struct blk *blk;
	int fd = mkstemp(path), status, round;

	assert_int_equal(ftruncate(fd, DISK_SIZE), 0);
	for (round = 0; round < 5; round++) {
		pid_t pid = fork();

		if (!pid) {
			if (blk_file_open(&file, path, false) ||
			    blk_create(&file, "disk", &f->guest.mem, &f->guest.loop, &blk))
				_exit(1);
			_exit(0);
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_int_equal(status, 0);
	}
	close(fd);
	unlink(path);
}

/*
 * A slow disk.
 */

struct slow {
	struct fixture *f;
	int peer;
};

static int slow_setup(void **state)
{
	struct slow *s = calloc(1, sizeof(*s));
	void *fixture;
	int pair[2];

	signal(SIGPIPE, SIG_IGN);
	setup(&fixture);
	s->f = fixture;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	s->peer = pair[1];
	device_replace(s->f, pair[0], false, 0);
	*state = s;
	return 0;
}

static int slow_teardown(void **state)
{
	struct slow *s = *state;
	void *fixture = s->f;

	close(s->peer);
	teardown(&fixture);
	free(s);
	return 0;
}

static void feed(struct slow *s, size_t len, int byte)
{
	char data[4096];

	memset(data, byte, sizeof(data));
	assert_true(len <= sizeof(data));
	assert_int_equal(write(s->peer, data, len), len);
}

/* A read of one sector into place `at` of the data, with a status of its own; its head. */
static uint16_t begin_read(struct slow *s, unsigned int at)
{
	struct fixture *f = s->f;
	const struct fake_buf bufs[] = {{f->header, 16, false},
					{f->data + at * SECTOR, SECTOR, true},
					{f->status + at, 1, true}};
	uint16_t head;

	set_header(f, VIRTIO_BLK_T_IN, 0);
	memset(fake_ptr(&f->guest, f->status + at, 1), NEVER, 1);
	memset(data(f) + at * SECTOR, 0, SECTOR);
	head = fake_chain(&f->guest, f->queue, bufs, 3, true);
	fake_publish(&f->guest, f->queue, head);
	fake_kick(&f->guest, 0);
	fake_run(&f->guest);
	return head;
}

static bool collect(struct slow *s, uint16_t *ret_head)
{
	uint32_t len;

	fake_run(&s->f->guest);
	return fake_collect(&s->f->guest, s->f->queue, ret_head, &len);
}

static void assert_read(struct slow *s, unsigned int at, uint16_t head, int byte)
{
	unsigned char *place = data(s->f) + at * SECTOR;
	uint16_t used;
	unsigned int i;

	while (!collect(s, &used))
		fake_wait(&s->f->guest);
	assert_int_equal(used, head);
	assert_int_equal(*(uint8_t *)fake_ptr(&s->f->guest, s->f->status + at, 1), VIRTIO_BLK_S_OK);
	for (i = 0; i < SECTOR; i++)
		assert_int_equal(place[i], byte);
}

static void assert_never(struct slow *s, unsigned int at)
{
	assert_int_equal(*(uint8_t *)fake_ptr(&s->f->guest, s->f->status + at, 1), NEVER);
}

static void a_slow_read_stops_nothing(void **state)
{
	struct slow *s = *state;
	char written[SECTOR];
	uint16_t head = begin_read(s, 8), used;

	assert_false(collect(s, &used));
	/* Requests after it are answered before it. */
	assert_int_equal(request(s->f, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
	memset(data(s->f), 'w', SECTOR);
	assert_int_equal(request(s->f, VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_OK);
	assert_int_equal(read(s->peer, written, SECTOR), SECTOR);
	assert_int_equal(written[SECTOR - 1], 'w');
	assert_never(s, 8);
	feed(s, SECTOR, 'r');
	assert_read(s, 8, head, 'r');
	assert_true(fake_irqs(&s->f->guest) > 0);
}

static void the_end_of_a_disk(void **state)
{
	struct slow *s = *state;
	uint16_t head = begin_read(s, 0), used;

	shutdown(s->peer, SHUT_WR);
	while (!collect(s, &used))
		fake_wait(&s->f->guest);
	assert_int_equal(used, head);
	assert_int_equal(*(uint8_t *)fake_ptr(&s->f->guest, s->f->status, 1), VIRTIO_BLK_S_IOERR);
	/* A socket cannot be synced; nobody reads what is written. */
	assert_int_equal(request(s->f, VIRTIO_BLK_T_FLUSH, 0, 0), VIRTIO_BLK_S_IOERR);
	shutdown(s->peer, SHUT_RD);
	assert_int_equal(request(s->f, VIRTIO_BLK_T_OUT, 0, SECTOR), VIRTIO_BLK_S_IOERR);
}

/* More requests than the device has places for wait in the ring, without a kick of their own. */
static void more_than_there_are_places(void **state)
{
	enum { ALL = QUEUE_SIZE + 20 };
	struct slow *s = *state;
	struct fixture *f = s->f;
	uint16_t head;
	unsigned int i;

	fake_guest_start(&f->guest, fake_offered_features(&f->guest), 128);
	for (i = 0; i < ALL; i++)
		begin_read(s, i);
	assert_false(collect(s, &head));
	assert_int_equal(f->guest.virtio->queues[0].state.next_avail, 64);
	for (i = 0; i < ALL; i++) {
		feed(s, SECTOR, 'a' + (int)i % 26);
		while (!collect(s, &head))
			fake_wait(&f->guest);
	}
	assert_int_equal(f->guest.virtio->queues[0].state.next_avail, ALL);
	for (i = 0; i < ALL; i++)
		assert_int_equal(*(uint8_t *)fake_ptr(&f->guest, f->status + i, 1),
				 VIRTIO_BLK_S_OK);
	/* And it wants to be kicked again. */
	assert_int_equal(*fake_avail_event(&f->guest, f->queue), f->queue->avail_idx);
}

struct reset {
	struct fixture *f;
	atomic_bool over;
	pthread_t thread;
};

static void *reset_main(void *ctx)
{
	struct reset *reset = ctx;

	fake_reg_write(&reset->f->guest, VIRTIO_MMIO_STATUS, 0);
	atomic_store(&reset->over, true);
	return NULL;
}

/* A reset on a vCPU's thread lasts until the kernel lets go of guest memory. */
static void reset_in_flight(struct slow *s)
{
	struct reset reset = {.f = s->f};

	assert_int_equal(pthread_create(&reset.thread, NULL, reset_main, &reset), 0);
	usleep(100000);
	assert_false(atomic_load(&reset.over));
	/* It is read into guest memory, and no more of it is asked for. */
	feed(s, 10, 'q');
	pthread_join(reset.thread, NULL);
	assert_int_equal(fake_reg_read(&s->f->guest, VIRTIO_MMIO_STATUS), 0);
}

static void a_reset_waits_for_the_disk(void **state)
{
	struct slow *s = *state;
	struct fixture *f = s->f;
	uint16_t used = *fake_used_idx(&f->guest, f->queue), head;

	begin_read(s, 0);
	reset_in_flight(s);
	assert_never(s, 0);
	assert_int_equal(*fake_used_idx(&f->guest, f->queue), used);
	/* From here on it is the driver's. */
	memset(data(f), 'd', SECTOR);
	feed(s, SECTOR, 'n');
	fake_run(&f->guest);
	assert_int_equal(data(f)[0], 'd');
	assert_int_equal(data(f)[SECTOR - 1], 'd');
	/* And all places for requests are there again. */
	fake_guest_start(&f->guest, fake_offered_features(&f->guest), QUEUE_SIZE);
	head = begin_read(s, 1);
	assert_read(s, 1, head, 'n');
	assert_int_equal(request(f, VIRTIO_BLK_T_GET_ID, 0, 20), VIRTIO_BLK_S_OK);
}

/* A driver that broke the rules gets no answers; the device is quiet until the reset. */
static void a_broken_driver_in_flight(void **state)
{
	struct slow *s = *state;
	struct fixture *f = s->f;
	const struct fake_buf bad = {UINT64_MAX, 16, false};
	uint16_t used, head;

	begin_read(s, 0);
	begin_read(s, 1);
	fake_add(&f->guest, f->queue, &bad, 1);
	fake_kick(&f->guest, 0);
	fake_run(&f->guest);
	assert_true(fake_reg_read(&f->guest, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_NEEDS_RESET);
	feed(s, SECTOR, 'b');
	fake_wait(&f->guest);
	/* Nothing is left that would call the loop for ever. */
	assert_int_equal(fake_run(&f->guest), 0);
	assert_false(collect(s, &used));
	assert_never(s, 0);
	assert_never(s, 1);
	reset_in_flight(s);
	fake_guest_start(&f->guest, fake_offered_features(&f->guest), QUEUE_SIZE);
	head = begin_read(s, 2);
	feed(s, SECTOR, 'g');
	assert_read(s, 2, head, 'g');
}

/* The device goes while a request is under way; guest memory goes after it. */
static void destroyed_in_flight(void **state)
{
	struct slow *s = *state;

	begin_read(s, 0);
	feed(s, SECTOR, 'z');
	blk_destroy(s->f->blk);
	s->f->blk = NULL;
	assert_never(s, 0);
}

#define SLOW(name) cmocka_unit_test_setup_teardown(name, slow_setup, slow_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_ring_does_nothing_else),
		TEST(the_lock_goes_with_the_process),
		SLOW(a_slow_read_stops_nothing),
		SLOW(the_end_of_a_disk),
		SLOW(more_than_there_are_places),
		SLOW(a_reset_waits_for_the_disk),
		SLOW(a_broken_driver_in_flight),
		SLOW(destroyed_in_flight),
	};

	/* A reset that waits for what never comes is a failure. */
	alarm(100);
	use_ring = rings_work();
	return use_ring ? cmocka_run_group_tests(tests, NULL, NULL) : 0;
}
