/* SPDX-License-Identifier: Apache-2.0 */
/* A device that cannot be made: whichever descriptor it is refused, it leaves nothing behind. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "blk.h"
#include "fake_guest.h"
#include "net.h"
#include "net_stream.h"

/* Far above what a device needs. */
#define DESCRIPTORS_MAX 16

static bool create_blk(struct fake_guest *guest, int *ret_err)
{
	struct blk_file file = {.fd = memfd_create("disk", 0), .size = 512, .block_size = 512};
	struct blk *blk = NULL;

	assert_true(file.fd >= 0);
	*ret_err = blk_create(&file, "disk", &guest->mem, &guest->loop, &blk);
	assert_int_equal(file.fd, -1);
	blk_destroy(blk);
	return blk;
}

static bool create_net(struct fake_guest *guest, int *ret_err)
{
	const struct net_config config = {.mac = {2}};
	struct net_backend *backend;
	struct net *net = NULL;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(net_stream_from_fd(fds[0], &backend), 0);
	*ret_err = net_create(backend, &config, "net", &guest->mem, &guest->loop, &net);
	net_destroy(net);
	close(fds[1]);
	return net;
}

/* Lets the process have `room` descriptors more than it has. */
static void limit_descriptors(rlim_t room)
{
	struct rlimit limit;
	int first = dup(STDERR_FILENO);

	assert_true(first >= 0);
	close(first);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &limit), 0);
	limit.rlim_cur = (rlim_t)first + room;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &limit), 0);
}

static void fails_at_each_descriptor(bool (*create)(struct fake_guest *guest, int *ret_err),
				     unsigned int own, unsigned int wanted)
{
	struct rlimit before;
	struct fake_guest guest;
	unsigned int room;
	bool created = false;
	int err;

	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	/* The guest's own end says whether a descriptor is left. */
	for (room = own; !created; room++) {
		assert_true(room < DESCRIPTORS_MAX);
		fake_guest_init(&guest);
		limit_descriptors(room);
		created = create(&guest, &err);
		assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
		assert_int_equal(err, created ? 0 : -EMFILE);
		/* What it never had is not closed instead. */
		assert_true(fcntl(STDIN_FILENO, F_GETFD) >= 0);
		fake_guest_fini(&guest);
	}
	assert_int_equal(room - 1, own + wanted);
}

/* Its disk, then an interrupt and a kick for its one queue. */
static void blk_fails_at_each_descriptor(void **state)
{
	(void)state;
	fails_at_each_descriptor(create_blk, 1, 2);
}

/* Its socket and the peer's, then an interrupt and a kick for each of two queues. */
static void net_fails_at_each_descriptor(void **state)
{
	(void)state;
	fails_at_each_descriptor(create_net, 2, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(blk_fails_at_each_descriptor),
		cmocka_unit_test(net_fails_at_each_descriptor),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
