/* SPDX-License-Identifier: Apache-2.0 */
#include "driver.h"

#include <linux/virtio_ring.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <unistd.h>

/* Rings are in the first of it (fake_alloc), under what a PC has no RAM at; data behind them. */
#define DATA_BASE MIB(2)
#define LOOK_NS 20000 /* how often the ring is looked at */

uint64_t now_ns(clockid_t clock)
{
	struct timespec now;

	clock_gettime(clock, &now);
	return (uint64_t)now.tv_sec * 1000000000u + (uint64_t)now.tv_nsec;
}

void driver_init(struct driver *driver)
{
	*driver = (struct driver){
		.guest.next_free = FAKE_RAM_BASE, .next = DATA_BASE, .kick_fds = {-1, -1}};
	driver->ram_fd = memfd_create("ram", MFD_CLOEXEC);
	FAKE_CHECK(driver->ram_fd >= 0 && !ftruncate(driver->ram_fd, DRIVER_RAM_SIZE));
	driver->ram = mmap(NULL, DRIVER_RAM_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_POPULATE,
			   driver->ram_fd, 0);
	FAKE_CHECK(driver->ram != MAP_FAILED);
	FAKE_CHECK(!guest_mem_add(&driver->guest.mem, 0, DRIVER_RAM_SIZE, driver->ram));
	FAKE_CHECK(!event_loop_init(&driver->guest.loop));
}

void driver_stop(struct driver *driver)
{
	if (driver->qemu.pid) {
		qemu_stop(driver);
	} else if (driver->thread) {
		event_loop_stop(&driver->guest.loop);
		FAKE_CHECK(!pthread_join(driver->thread, NULL));
	}
}

void driver_fini(struct driver *driver)
{
	event_loop_fini(&driver->guest.loop);
	munmap(driver->ram, DRIVER_RAM_SIZE);
	close(driver->ram_fd);
}

gpa_t driver_alloc(struct driver *driver, uint64_t size)
{
	gpa_t gpa = driver->next;

	driver->next += ALIGN_UP(size, 4096);
	FAKE_CHECK(driver->next <= DRIVER_RAM_SIZE);
	return gpa;
}

static void *run_loop(void *loop)
{
	FAKE_CHECK(!event_loop_run(loop));
	return NULL;
}

void driver_start(struct driver *driver, struct virtio_device *virtio, uint64_t without)
{
	struct fake_guest *guest = &driver->guest;
	unsigned int i;

	fake_guest_attach(guest, virtio);
	fake_guest_start(guest, fake_offered_features(guest) & ~without, QUEUE_SIZE);
	for (i = 0; i < virtio->nr_queues; i++)
		driver->kick_fds[i] = virtio->kicks[i].fd;
	FAKE_CHECK(!pthread_create(&driver->thread, NULL, run_loop, &guest->loop));
}

void driver_expect(struct driver *driver, unsigned int index, unsigned int nr)
{
	struct fake_queue *queue = &driver->guest.queues[index];

	__atomic_store_n(fake_used_event(&driver->guest, queue),
			 (uint16_t)(queue->last_used + nr - 1), __ATOMIC_SEQ_CST);
}

void driver_kick(struct driver *driver, unsigned int index)
{
	struct fake_queue *queue = &driver->guest.queues[index];
	const uint16_t old = driver->kicked[index];

	driver->kicked[index] = queue->avail_idx;
	__sync_synchronize();
	if (vring_need_event(*fake_avail_event(&driver->guest, queue), queue->avail_idx, old))
		FAKE_CHECK(!eventfd_write(driver->kick_fds[index], 1));
}

bool driver_wait(struct driver *driver, unsigned int index, unsigned int nr)
{
	const struct timespec look = {.tv_nsec = LOOK_NS};
	const uint64_t end = now_ns(CLOCK_MONOTONIC) + 1000000;
	struct fake_queue *queue = &driver->guest.queues[index];
	const uint16_t *used = fake_used_idx(&driver->guest, queue);

	while ((uint16_t)(__atomic_load_n(used, __ATOMIC_ACQUIRE) - queue->last_used) < nr) {
		if (now_ns(CLOCK_MONOTONIC) > end)
			return false;
		nanosleep(&look, NULL);
	}
	return true;
}

uint64_t driver_cpu_ns(const struct driver *driver)
{
	if (driver->qemu.pid)
		return now_ns(driver->qemu.clock);
	/* With what the kernel's threads of a ring take. */
	return now_ns(CLOCK_PROCESS_CPUTIME_ID) - now_ns(CLOCK_THREAD_CPUTIME_ID);
}
