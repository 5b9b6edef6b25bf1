/* SPDX-License-Identifier: Apache-2.0 */
#include "fake_guest.h"

#include <dirent.h>
#include <linux/virtio_config.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

/* Far above what any test needs. */
#define FAKE_RUN_MAX (1u << 20)

/* A region between two pages that nobody may touch. */
static void ram_add(struct fake_guest *guest, gpa_t gpa, uint64_t size)
{
	char *host = mmap(NULL, size + 2 * GUEST_PAGE_SIZE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS,
			  -1, 0);

	FAKE_CHECK(host != MAP_FAILED);
	host += GUEST_PAGE_SIZE;
	FAKE_CHECK(!mprotect(host, size, PROT_READ | PROT_WRITE));
	FAKE_CHECK(!guest_mem_add(&guest->mem, gpa, size, host));
}

static unsigned int count_open_fds(void)
{
	DIR *dir = opendir("/proc/self/fd");
	unsigned int nr = 0;

	FAKE_CHECK(dir);
	while (readdir(dir))
		nr++;
	closedir(dir);
	return nr;
}

void fake_guest_init(struct fake_guest *guest)
{
	*guest = (struct fake_guest){.next_free = FAKE_RAM_BASE, .open_fds = count_open_fds()};
	ram_add(guest, FAKE_RAM_BASE, FAKE_RAM_SIZE);
	ram_add(guest, FAKE_HIGH_BASE, FAKE_HIGH_SIZE);
	FAKE_CHECK(!event_loop_init(&guest->loop));
}

void fake_guest_fini(struct fake_guest *guest)
{
	unsigned int i;

	event_loop_fini(&guest->loop);
	FAKE_CHECK(count_open_fds() <= guest->open_fds);
	for (i = 0; i < guest->mem.nr_regions; i++) {
		const struct guest_region *region = &guest->mem.regions[i];

		munmap(region->host - GUEST_PAGE_SIZE, region->size + 2 * GUEST_PAGE_SIZE);
	}
}

void fake_guest_share(struct fake_guest *other, const struct fake_guest *guest, gpa_t next_free)
{
	/* Of the loop, only the epoll descriptor is used through this copy. */
	*other =
		(struct fake_guest){.mem = guest->mem, .loop = guest->loop, .next_free = next_free};
}

gpa_t fake_alloc(struct fake_guest *guest, uint64_t size, uint64_t align)
{
	gpa_t gpa = ALIGN_UP(guest->next_free, align);

	FAKE_CHECK(size <= FAKE_RAM_BASE + FAKE_RAM_SIZE - gpa);
	guest->next_free = gpa + size;
	return gpa;
}

void *fake_ptr(struct fake_guest *guest, gpa_t gpa, uint64_t len)
{
	void *host = guest_mem_ptr(&guest->mem, gpa, len);

	FAKE_CHECK(host);
	return host;
}

void fake_guest_attach(struct fake_guest *guest, struct virtio_device *virtio)
{
	guest->virtio = virtio;
	memset(guest->page, 0, sizeof(guest->page));
	virtio_mmio_init(virtio, guest->page);
}

/* A guest that reads the page finds what one that asks the device is told. */
static void check_page(const struct fake_guest *guest, uint64_t offset, unsigned int len,
		       uint64_t value)
{
	const uint8_t *page = (const uint8_t *)guest->page;
	uint64_t shown = 0;

	if (offset >= VIRTIO_MMIO_SIZE || len > VIRTIO_MMIO_SIZE - offset)
		return;
	if (offset < VIRTIO_MMIO_CONFIG && (offset % 4 || len != 4))
		return; /* as memory the one, as a register the other */
	memcpy(&shown, page + offset, len);
	FAKE_CHECK(shown == value);
}

uint64_t fake_mmio_read(struct fake_guest *guest, uint64_t offset, unsigned int len)
{
	struct device *device = &guest->virtio->device;
	uint64_t value = 0;

	FAKE_CHECK(len <= sizeof(value));
	pthread_mutex_lock(&device->lock);
	device->ops->read(device, offset, &value, len);
	check_page(guest, offset, len, value);
	pthread_mutex_unlock(&device->lock);
	return value;
}

void fake_mmio_write(struct fake_guest *guest, uint64_t offset, uint64_t value, unsigned int len)
{
	struct device *device = &guest->virtio->device;

	FAKE_CHECK(len <= sizeof(value));
	pthread_mutex_lock(&device->lock);
	device->ops->write(device, offset, &value, len);
	pthread_mutex_unlock(&device->lock);
}

uint32_t fake_reg_read(struct fake_guest *guest, uint64_t reg)
{
	return (uint32_t)fake_mmio_read(guest, reg, sizeof(uint32_t));
}

void fake_reg_write(struct fake_guest *guest, uint64_t reg, uint32_t value)
{
	fake_mmio_write(guest, reg, value, sizeof(uint32_t));
}

uint64_t fake_offered_features(struct fake_guest *guest)
{
	uint64_t features;

	fake_reg_write(guest, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 1);
	features = (uint64_t)fake_reg_read(guest, VIRTIO_MMIO_DEVICE_FEATURES) << 32;
	fake_reg_write(guest, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	return features | fake_reg_read(guest, VIRTIO_MMIO_DEVICE_FEATURES);
}

uint32_t fake_negotiate(struct fake_guest *guest, uint64_t features)
{
	static const uint32_t steps[] = {0, VIRTIO_CONFIG_S_ACKNOWLEDGE,
					 VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(steps); i++)
		fake_reg_write(guest, VIRTIO_MMIO_STATUS, steps[i]);
	for (i = 0; i < 2; i++) {
		fake_reg_write(guest, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		fake_reg_write(guest, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
	fake_reg_write(guest, VIRTIO_MMIO_STATUS,
		       steps[ARRAY_SIZE(steps) - 1] | VIRTIO_CONFIG_S_FEATURES_OK);
	return fake_reg_read(guest, VIRTIO_MMIO_STATUS);
}

void fake_queue_alloc(struct fake_guest *guest, struct fake_queue *queue, uint16_t size)
{
	*queue = (struct fake_queue){.size = size};
	queue->desc = fake_alloc(guest, sizeof(struct vring_desc) * size, VRING_DESC_ALIGN_SIZE);
	queue->avail = fake_alloc(guest, 6 + sizeof(__virtio16) * size, VRING_AVAIL_ALIGN_SIZE);
	queue->used =
		fake_alloc(guest, 6 + sizeof(struct vring_used_elem) * size, VRING_USED_ALIGN_SIZE);
}

void fake_queue_program(struct fake_guest *guest, unsigned int index)
{
	const struct fake_queue *queue = &guest->queues[index];
	const struct {
		uint64_t reg;
		gpa_t gpa;
	} rings[] = {
		{VIRTIO_MMIO_QUEUE_DESC_LOW, queue->desc},
		{VIRTIO_MMIO_QUEUE_AVAIL_LOW, queue->avail},
		{VIRTIO_MMIO_QUEUE_USED_LOW, queue->used},
	};
	unsigned int i;

	fake_reg_write(guest, VIRTIO_MMIO_QUEUE_SEL, index);
	fake_reg_write(guest, VIRTIO_MMIO_QUEUE_NUM, queue->size);
	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		fake_reg_write(guest, rings[i].reg, (uint32_t)rings[i].gpa);
		fake_reg_write(guest, rings[i].reg + 4, (uint32_t)(rings[i].gpa >> 32));
	}
	fake_reg_write(guest, VIRTIO_MMIO_QUEUE_READY, 1);
}

void fake_queue_setup(struct fake_guest *guest, unsigned int index, uint16_t size)
{
	fake_queue_alloc(guest, &guest->queues[index], size);
	fake_queue_program(guest, index);
	FAKE_CHECK(fake_reg_read(guest, VIRTIO_MMIO_QUEUE_READY) == 1);
}

void fake_guest_start(struct fake_guest *guest, uint64_t features, uint16_t queue_size)
{
	uint32_t status;
	unsigned int i;

	features |= 1ull << VIRTIO_F_VERSION_1;
	status = fake_negotiate(guest, features);
	FAKE_CHECK(status & VIRTIO_CONFIG_S_FEATURES_OK);
	for (i = 0; i < guest->virtio->nr_queues; i++)
		fake_queue_setup(guest, i, queue_size);
	status |= VIRTIO_CONFIG_S_DRIVER_OK;
	fake_reg_write(guest, VIRTIO_MMIO_STATUS, status);
	FAKE_CHECK(fake_reg_read(guest, VIRTIO_MMIO_STATUS) == status);
	fake_run(guest);
}

void fake_desc(struct fake_guest *guest, struct fake_queue *queue, unsigned int index, gpa_t addr,
	       uint32_t len, uint16_t flags, uint16_t next)
{
	struct vring_desc desc = {addr, len, flags, next};

	memcpy(fake_ptr(guest, queue->desc + sizeof(desc) * index, sizeof(desc)), &desc,
	       sizeof(desc));
}

static uint16_t buf_flags(const struct fake_buf *buf, bool last)
{
	return (uint16_t)((buf->writable ? VRING_DESC_F_WRITE : 0) |
			  (last ? 0 : VRING_DESC_F_NEXT));
}

static void fake_table(struct fake_guest *guest, gpa_t table, const struct fake_buf *bufs,
		       unsigned int nr)
{
	unsigned int i;

	for (i = 0; i < nr; i++) {
		struct vring_desc desc = {bufs[i].gpa, bufs[i].len,
					  buf_flags(&bufs[i], i + 1 == nr), (uint16_t)(i + 1)};

		memcpy(fake_ptr(guest, table + sizeof(desc) * i, sizeof(desc)), &desc,
		       sizeof(desc));
	}
}

uint16_t fake_chain(struct fake_guest *guest, struct fake_queue *queue, const struct fake_buf *bufs,
		    unsigned int nr, bool indirect)
{
	uint16_t head = queue->next_desc % queue->size;
	uint32_t bytes = (uint32_t)sizeof(struct vring_desc) * nr;
	unsigned int i;
	gpa_t table;

	FAKE_CHECK(nr);
	if (indirect) {
		table = fake_alloc(guest, bytes, sizeof(struct vring_desc));
		fake_table(guest, table, bufs, nr);
		fake_desc(guest, queue, head, table, bytes, VRING_DESC_F_INDIRECT, 0);
		queue->next_desc++;
		return head;
	}
	FAKE_CHECK(nr <= queue->size);
	for (i = 0; i < nr; i++) {
		uint16_t index = queue->next_desc++ % queue->size;

		fake_desc(guest, queue, index, bufs[i].gpa, bufs[i].len,
			  buf_flags(&bufs[i], i + 1 == nr), queue->next_desc % queue->size);
	}
	return head;
}

void fake_publish(struct fake_guest *guest, struct fake_queue *queue, uint16_t head)
{
	uint64_t place = queue->avail_idx % queue->size;
	uint16_t *ring = fake_ptr(guest, queue->avail + 4 + sizeof(head) * place, sizeof(head));

	__atomic_store_n(ring, head, __ATOMIC_RELAXED);
	__atomic_store_n(fake_avail_idx(guest, queue), ++queue->avail_idx, __ATOMIC_RELEASE);
}

uint16_t fake_add(struct fake_guest *guest, struct fake_queue *queue, const struct fake_buf *bufs,
		  unsigned int nr)
{
	uint16_t head = fake_chain(guest, queue, bufs, nr, false);

	fake_publish(guest, queue, head);
	return head;
}

bool fake_collect(struct fake_guest *guest, struct fake_queue *queue, uint16_t *ret_head,
		  uint32_t *ret_len)
{
	struct vring_used_elem *elem;
	uint64_t place = queue->last_used % queue->size;

	if (__atomic_load_n(fake_used_idx(guest, queue), __ATOMIC_ACQUIRE) == queue->last_used)
		return false;
	elem = fake_ptr(guest, queue->used + 4 + sizeof(*elem) * place, sizeof(*elem));
	*ret_head = (uint16_t)elem->id;
	*ret_len = elem->len;
	queue->last_used++;
	/* With EVENT_IDX: interrupt for the next one. */
	__atomic_store_n(fake_used_event(guest, queue), queue->last_used, __ATOMIC_SEQ_CST);
	return true;
}

static uint16_t *ring_word(struct fake_guest *guest, gpa_t gpa)
{
	return fake_ptr(guest, gpa, sizeof(uint16_t));
}

uint16_t *fake_avail_flags(struct fake_guest *guest, const struct fake_queue *queue)
{
	return ring_word(guest, queue->avail);
}

uint16_t *fake_avail_idx(struct fake_guest *guest, const struct fake_queue *queue)
{
	return ring_word(guest, queue->avail + 2);
}

uint16_t *fake_used_event(struct fake_guest *guest, const struct fake_queue *queue)
{
	return ring_word(guest, queue->avail + 4 + sizeof(__virtio16) * queue->size);
}

uint16_t *fake_used_flags(struct fake_guest *guest, const struct fake_queue *queue)
{
	return ring_word(guest, queue->used);
}

uint16_t *fake_used_idx(struct fake_guest *guest, const struct fake_queue *queue)
{
	return ring_word(guest, queue->used + 2);
}

uint16_t *fake_avail_event(struct fake_guest *guest, const struct fake_queue *queue)
{
	return ring_word(guest, queue->used + 4 + sizeof(struct vring_used_elem) * queue->size);
}

void fake_kick(struct fake_guest *guest, unsigned int index)
{
	FAKE_CHECK(!eventfd_write(guest->virtio->kicks[index].fd, 1));
}

unsigned int fake_run(struct fake_guest *guest)
{
	struct epoll_event event;
	unsigned int served = 0;

	/* What event_loop_run does, one at a time and without waiting. */
	while (epoll_wait(guest->loop.epoll_fd, &event, 1, 0) == 1) {
		struct event_watch *watch = event.data.ptr;

		if (watch->lock)
			pthread_mutex_lock(watch->lock);
		watch->fn(watch->ctx, event.events);
		if (watch->lock)
			pthread_mutex_unlock(watch->lock);
		/* Kicks itself for ever, or does not drain its descriptor. */
		FAKE_CHECK(++served < FAKE_RUN_MAX);
	}
	return served;
}

void fake_wait(struct fake_guest *guest)
{
	struct pollfd loop = {.fd = guest->loop.epoll_fd, .events = POLLIN};

	FAKE_CHECK(poll(&loop, 1, 10000) == 1);
	fake_run(guest);
}

uint64_t fake_irqs(struct fake_guest *guest)
{
	eventfd_t count = 0;

	return eventfd_read(guest->virtio->irq.fd, &count) ? 0 : count;
}
