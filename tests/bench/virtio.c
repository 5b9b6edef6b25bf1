/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much virtio/ moves for each second of CPU time, without KVM: a fake guest (tests/unit) puts
 * requests into its rings, kicks, runs the device's loop, and takes the answers. What counts is the
 * CPU time of the process from the kick to the answers, with the kernel's part and its helper
 * threads; what the other end of a network costs does not count.
 *
 * A JSON object goes to standard output, lines to read to standard error. Files are made in
 * TMPDIR (/tmp), which should be on a disk, and in /dev/shm.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/if_packet.h>
#include <linux/if_tun.h>
#include <linux/virtio_blk.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>
#include <net/if.h>
#include <sched.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include <jansson.h>

#include "blk.h"
#include "fake_guest.h"
#include "net.h"
#include "net_stream.h"
#include "net_tap.h"
#include "virtio_mmio.h"

#define RUNS 7
#define RUN_NS 150000000ull /* wall time of a run, at least */
#define QUEUE_SIZE 256
#define SECTOR 512u
#define DISK_SIZE MIB(64)
#define RAM_BASE GIB(16)
#define RAM_SIZE MIB(16)
#define BATCH 32 /* frames that the other end takes or gives at a time */

struct bench {
	struct fake_guest guest;
	struct fake_queue *queue;
	char *ram;
	gpa_t next; /* free memory in it */
	uint64_t cpu_ns, wall_ns, done;
	json_t *cases;
};

static uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

static uint64_t next_random(void)
{
	static uint64_t seed = 88172645463325252ull;

	seed ^= seed << 13;
	seed ^= seed >> 7;
	seed ^= seed << 17;
	return seed;
}

static void bench_init(struct bench *bench)
{
	fake_guest_init(&bench->guest);
	bench->ram = mmap(NULL, RAM_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
	FAKE_CHECK(bench->ram != MAP_FAILED);
	FAKE_CHECK(!guest_mem_add(&bench->guest.mem, RAM_BASE, RAM_SIZE, bench->ram));
	bench->next = RAM_BASE;
}

static gpa_t bench_alloc(struct bench *bench, uint64_t size)
{
	gpa_t gpa = bench->next;

	bench->next += ALIGN_UP(size, 4096);
	FAKE_CHECK(bench->next <= RAM_BASE + RAM_SIZE);
	return gpa;
}

/* A new device, whose driver takes all features but `without`. */
static void bench_attach(struct bench *bench, struct virtio_device *virtio, uint64_t without)
{
	struct fake_guest *guest = &bench->guest;

	guest->next_free = FAKE_RAM_BASE;
	memset(fake_ptr(guest, FAKE_RAM_BASE, FAKE_RAM_SIZE), 0, FAKE_RAM_SIZE);
	bench->next = RAM_BASE;
	virtio_mmio_init(virtio, NULL);
	fake_guest_attach(guest, virtio);
	fake_guest_start(guest, fake_offered_features(guest) & ~without, QUEUE_SIZE);
}

/* Makes the chain at `head` available, and kicks as a driver does: if the device wants it. */
static void publish(struct bench *bench, uint16_t head, unsigned int index)
{
	struct fake_guest *guest = &bench->guest;
	struct fake_queue *queue = &guest->queues[index];
	uint16_t old = queue->avail_idx;

	fake_publish(guest, queue, head);
	__sync_synchronize();
	if (vring_need_event(*fake_avail_event(guest, queue), queue->avail_idx, old))
		fake_kick(guest, index);
}

/* The device's turn. */
static void serve(struct bench *bench)
{
	uint64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);

	fake_run(&bench->guest);
	bench->cpu_ns += now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

/*
 * What is printed.
 */

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static json_t *summary(double *values)
{
	qsort(values, RUNS, sizeof(*values), compare);
	return json_pack("{s:f, s:f, s:f}", "median", values[RUNS / 2], "min", values[0], "max",
			 values[RUNS - 1]);
}

/* Runs `work`, which moves things until time is over, RUNS times. `bytes` is the size of each. */
static void measure(struct bench *bench, const char *name, uint64_t bytes,
		    void (*work)(struct bench *bench, void *ctx), void *ctx)
{
	double per_cpu[RUNS], per_wall[RUNS];
	unsigned int run;
	json_t *cpu;

	work(bench, ctx); /* warms up */
	for (run = 0; run < RUNS; run++) {
		bench->cpu_ns = bench->done = 0;
		bench->wall_ns = now_ns(CLOCK_MONOTONIC);
		work(bench, ctx);
		bench->wall_ns = now_ns(CLOCK_MONOTONIC) - bench->wall_ns;
		FAKE_CHECK(bench->done && bench->cpu_ns);
		per_cpu[run] = (double)bench->done * 1e9 / (double)bench->cpu_ns;
		per_wall[run] = (double)bench->done * 1e9 / (double)bench->wall_ns;
	}
	cpu = summary(per_cpu);
	fprintf(stderr, "%-42s %10.0f per CPU second (%.0f to %.0f), %8.1f MiB\n", name,
		per_cpu[RUNS / 2], per_cpu[0], per_cpu[RUNS - 1],
		per_cpu[RUNS / 2] * (double)bytes / 1048576);
	json_array_append_new(bench->cases,
			      json_pack("{s:s, s:I, s:i, s:o, s:o}", "name", name, "bytes",
					(json_int_t)bytes, "runs", RUNS, "per_cpu_second", cpu,
					"per_second", summary(per_wall)));
}

/*
 * Disks.
 */

struct disk_case {
	struct blk *blk;
	bool write, sequential;
	uint32_t len;
	unsigned int depth;
	uint64_t position;
	gpa_t headers;
};

static void submit(struct bench *bench, struct disk_case *disk, unsigned int slot)
{
	const uint64_t places = DISK_SIZE / disk->len;
	const uint64_t place = disk->sequential ? disk->position++ : next_random();
	const struct virtio_blk_outhdr header = {.type = disk->write ? VIRTIO_BLK_T_OUT
								     : VIRTIO_BLK_T_IN,
						 .sector = place % places * (disk->len / SECTOR)};

	memcpy(fake_ptr(&bench->guest, disk->headers + 32 * slot, sizeof(header)), &header,
	       sizeof(header));
	publish(bench, (uint16_t)(3 * slot), 0);
}

static void disk_work(struct bench *bench, void *ctx)
{
	const uint64_t end = now_ns(CLOCK_MONOTONIC) + RUN_NS;
	struct disk_case *disk = ctx;
	uint64_t cpu = now_ns(CLOCK_PROCESS_CPUTIME_ID);
	unsigned int slot, in_flight = disk->depth;
	uint16_t head;
	uint32_t len;

	for (slot = 0; slot < disk->depth; slot++)
		submit(bench, disk, slot);
	while (in_flight) {
		const bool more = now_ns(CLOCK_MONOTONIC) < end;

		if (!fake_run(&bench->guest))
			fake_wait(&bench->guest);
		while (fake_collect(&bench->guest, bench->queue, &head, &len)) {
			FAKE_CHECK(!*(char *)fake_ptr(&bench->guest,
						      disk->headers + 32 * (head / 3u) + 16, 1));
			bench->done++;
			in_flight--;
			if (more) {
				submit(bench, disk, head / 3u);
				in_flight++;
			}
		}
	}
	bench->cpu_ns += now_ns(CLOCK_PROCESS_CPUTIME_ID) - cpu;
}

static void disk_open(struct bench *bench, struct disk_case *disk, const char *path, bool ring)
{
	struct fake_guest *guest = &bench->guest;
	struct blk_file file;
	unsigned int slot;
	gpa_t data;

	FAKE_CHECK(!blk_file_open(&file, path, false));
	if (!ring)
		blk_file_close_async(&file);
	FAKE_CHECK(!blk_create(&file, "bench", &guest->mem, &guest->loop, &disk->blk));
	FAKE_CHECK(!ring || blk_ring(disk->blk) >= 0);
	bench_attach(bench, blk_virtio(disk->blk), 0);
	bench->queue = &guest->queues[0];
	disk->headers = bench_alloc(bench, 32 * disk->depth);
	data = bench_alloc(bench, (uint64_t)disk->len * disk->depth);
	for (slot = 0; slot < disk->depth; slot++) {
		const struct fake_buf bufs[] = {
			{disk->headers + 32 * slot, 16, false},
			{data + (uint64_t)slot * disk->len, disk->len, !disk->write},
			{disk->headers + 32 * slot + 16, 1, true}};

		fake_chain(guest, bench->queue, bufs, 3, false);
	}
}

static void bench_disk(struct bench *bench, const char *folder, const char *what, bool ring)
{
	static const struct disk_case cases[] = {
		{.len = 4096, .depth = 1},
		{.len = 4096, .depth = 32},
		{.len = KIB(128), .depth = 1, .sequential = true},
		{.len = KIB(128), .depth = 32, .sequential = true},
	};
	static char zeroes[1 << 20];
	char path[4096], name[128];
	unsigned int i, write;
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
		struct disk_case disk = cases[i % ARRAY_SIZE(cases)];

		write = i / ARRAY_SIZE(cases);
		disk.write = write;
		disk_open(bench, &disk, path, ring);
		snprintf(name, sizeof(name), "disk %s, %s%s, %u KiB, depth %u", what,
			 write ? "write" : "read", disk.sequential ? " sequential" : "",
			 disk.len / 1024, disk.depth);
		measure(bench, name, disk.len, disk_work, &disk);
		blk_destroy(disk.blk);
	}
	close(fd);
	unlink(path);
}

/*
 * Networks. The other end moves BATCH frames, then the device has its turn.
 */

struct net_case {
	struct net *net;
	uint32_t len;
	bool to_guest;
	int peer;
	bool is_tap;
	struct virtio_net_hdr_v1 header;
	char *frame;	  /* as the other end sends it, with what is before it */
	size_t frame_len; /* of that */
};

/* TCP over IPv4 between two addresses, of which only the headers matter. */
static void make_frame(char *ret_frame, uint32_t len)
{
	static const unsigned char head[] = {
		0x52, 0x54, 0, 1, 2,  3, 0x52, 0x54, 0,	 1, 2,	  4,  8,  0, 0x45, 0, 0, 0,
		0,    0,    0, 0, 64, 6, 0,    0,    10, 0, 2,	  15, 10, 0, 2,	   2, 0, 80,
		0,    80,   0, 0, 0,  0, 0,    0,    0,	 0, 0x50, 16, 1,  0, 0,	   0, 0, 0};
	const uint16_t total = htobe16((uint16_t)(len - 14));

	memset(ret_frame, 0, len);
	memcpy(ret_frame, head, MIN(sizeof(head), len));
	memcpy(ret_frame + 16, &total, sizeof(total));
}

/* The other end throws away all there is. */
static void drain(struct net_case *net)
{
	static char sink[1 << 20];

	while (!net->is_tap && recv(net->peer, sink, sizeof(sink), MSG_DONTWAIT) > 0)
		;
}

static void collect_frames(struct bench *bench, unsigned int index)
{
	struct fake_queue *queue = &bench->guest.queues[index];
	uint16_t head;
	uint32_t len;

	while (fake_collect(&bench->guest, queue, &head, &len)) {
		bench->done++;
		/* A buffer that was filled is posted again. */
		if (!index)
			publish(bench, head, index);
	}
}

static void to_host_work(struct bench *bench, void *ctx)
{
	const uint64_t end = now_ns(CLOCK_MONOTONIC) + RUN_NS;
	struct net_case *net = ctx;
	unsigned int i;

	while (now_ns(CLOCK_MONOTONIC) < end) {
		uint64_t want = bench->done + BATCH;

		for (i = 0; i < BATCH; i++)
			publish(bench, (uint16_t)i, 1);
		while (bench->done < want) {
			serve(bench);
			drain(net);
			collect_frames(bench, 1);
		}
	}
}

static void to_guest_work(struct bench *bench, void *ctx)
{
	const uint64_t end = now_ns(CLOCK_MONOTONIC) + RUN_NS;
	struct net_case *net = ctx;
	unsigned int i;

	while (now_ns(CLOCK_MONOTONIC) < end) {
		uint64_t want = bench->done;

		/* Until its buffers are full. */
		for (i = 0; i < BATCH; i++, want++)
			if (send(net->peer, net->frame, net->frame_len,
				 MSG_DONTWAIT | MSG_NOSIGNAL) != (ssize_t)net->frame_len)
				break;
		FAKE_CHECK(i);
		while (bench->done < want) {
			serve(bench);
			collect_frames(bench, 0);
		}
	}
}

/* Descriptors of the transmit queue, or buffers for a whole frame each in the receive queue. */
static void net_fill_queue(struct bench *bench, const struct net_case *net)
{
	const uint32_t len = (uint32_t)sizeof(net->header) + net->len;
	struct fake_queue *queue = &bench->guest.queues[net->to_guest ? 0 : 1];
	unsigned int i;

	for (i = 0; i < (net->to_guest ? 2u : 1u) * BATCH; i++) {
		const struct fake_buf buf = {bench_alloc(bench, len), len, net->to_guest};
		char *host = fake_ptr(&bench->guest, buf.gpa, len);

		memcpy(host, &net->header, sizeof(net->header));
		make_frame(host + sizeof(net->header), net->len);
		fake_chain(&bench->guest, queue, &buf, 1, false);
		if (net->to_guest)
			publish(bench, (uint16_t)i, 0);
	}
	fake_run(&bench->guest);
}

static void run_net(struct bench *bench, struct net_case *net, struct net_backend *backend,
		    const char *what)
{
	const struct net_config config = {.mac = {0x52, 0x54, 0, 1, 2, 3}};
	char name[128];

	FAKE_CHECK(!net_create(backend, &config, "bench", &bench->guest.mem, &bench->guest.loop,
			       &net->net));
	/* One buffer for a frame. */
	bench_attach(bench, net_virtio(net->net), 1ull << VIRTIO_NET_F_MRG_RXBUF);
	net_fill_queue(bench, net);
	snprintf(name, sizeof(name), "%s, to the %s, %u bytes", what,
		 net->to_guest ? "guest" : "host", net->len);
	measure(bench, name, net->len, net->to_guest ? to_guest_work : to_host_work, net);
	net_destroy(net->net);
	free(net->frame);
	close(net->peer);
}

static void bench_stream(struct bench *bench, uint32_t len, bool to_guest)
{
	struct net_case net = {.len = len, .to_guest = to_guest};
	const uint32_t length = htobe32(len);
	struct net_backend *backend;
	int pair[2], size = 4 << 20;

	FAKE_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	setsockopt(pair[0], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	setsockopt(pair[1], SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
	FAKE_CHECK(!net_stream_from_fd(pair[0], &backend));
	net.peer = pair[1];
	net.frame_len = sizeof(length) + len;
	net.frame = malloc(net.frame_len);
	FAKE_CHECK(net.frame);
	memcpy(net.frame, &length, sizeof(length));
	make_frame(net.frame + sizeof(length), len);
	run_net(bench, &net, backend, "socket");
}

/* A TAP device, and a packet socket that sends frames out of it, which is into the guest. */
static int tap_open(int *ret_peer)
{
	struct ifreq request = {.ifr_flags = IFF_TAP | IFF_NO_PI | IFF_VNET_HDR};
	struct sockaddr_ll address = {.sll_family = AF_PACKET};
	int fd = open("/dev/net/tun", O_RDWR | O_NONBLOCK | O_CLOEXEC), one = 1;
	int peer = socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0);

	*ret_peer = peer;
	if (fd < 0 || peer < 0 || ioctl(fd, TUNSETIFF, &request) ||
	    ioctl(peer, SIOCGIFFLAGS, &request))
		return -1;
	request.ifr_flags |= IFF_UP;
	if (ioctl(peer, SIOCSIFFLAGS, &request) || ioctl(peer, SIOCGIFINDEX, &request) ||
	    setsockopt(peer, SOL_PACKET, PACKET_VNET_HDR, &one, sizeof(one)))
		return -1;
	address.sll_ifindex = request.ifr_ifindex;
	return bind(peer, (struct sockaddr *)&address, sizeof(address)) ? -1 : fd;
}

static bool bench_tap(struct bench *bench, uint32_t len, bool to_guest)
{
	struct net_case net = {.len = len, .to_guest = to_guest, .is_tap = true};
	/* A packet socket's header has no num_buffers. */
	const size_t header = sizeof(struct virtio_net_hdr);
	struct net_backend *backend;
	int fd = tap_open(&net.peer);

	if (fd < 0) {
		fprintf(stderr, "no TAP device: %s; left out\n", strerror(errno));
		return false;
	}
	if (len > 1514)
		net.header = (struct virtio_net_hdr_v1){.flags = VIRTIO_NET_HDR_F_NEEDS_CSUM,
							.gso_type = VIRTIO_NET_HDR_GSO_TCPV4,
							.hdr_len = 54,
							.gso_size = 1448,
							.csum_start = 34,
							.csum_offset = 16};
	FAKE_CHECK(!net_tap_from_fd(fd, &backend));
	net.frame_len = header + len;
	net.frame = malloc(net.frame_len);
	FAKE_CHECK(net.frame);
	memcpy(net.frame, &net.header, header);
	make_frame(net.frame + header, len);
	run_net(bench, &net, backend, "TAP");
	return true;
}

static void bench_nets(struct bench *bench)
{
	static const uint32_t lengths[] = {64, 1514, 65000};
	bool tap = true;
	unsigned int i;

	if (unshare(CLONE_NEWNET) && unshare(CLONE_NEWUSER | CLONE_NEWNET)) {
		fprintf(stderr, "no network namespace: %s; TAP is left out\n", strerror(errno));
		tap = false;
	}
	for (i = 0; i < 2 * ARRAY_SIZE(lengths); i++) {
		bench_stream(bench, lengths[i / 2], i % 2);
		tap = tap && bench_tap(bench, lengths[i / 2], i % 2);
	}
}

int main(void)
{
	const char *folder = getenv("TMPDIR");
	struct bench bench = {.cases = json_array()};
	json_t *all;

	log_set_level(LOG_ERROR);
	bench_init(&bench);
	folder = folder ? folder : "/tmp";
	bench_disk(&bench, folder, "in the page cache by ring", true);
	bench_disk(&bench, folder, "in the page cache by calls", false);
	bench_disk(&bench, "/dev/shm", "in memory", false);
	bench_nets(&bench);
	all = json_pack("{s:s, s:s, s:o}", "benchmark", "virtio", "unit",
			"requests or frames per second of CPU time", "cases", bench.cases);
	json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(all);
	return 0;
}
