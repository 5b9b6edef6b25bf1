/* SPDX-License-Identifier: Apache-2.0 */
#include "virtio_slots.h"

#include <errno.h>
#include <linux/virtio_mmio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>

#include "blk.h"
#include "layout_x86.h"
#include "net.h"
#include "util.h"
#include "virtio_mmio.h"

/* Where there are more devices than these, they share. */
static const uint32_t irqs[] = {5, 6, 7, 9, 10, 11, 12, 14, 15};

static uint64_t slot_addr(unsigned int number)
{
	return VIRTIO_MMIO_ADDR + (uint64_t)number * VIRTIO_MMIO_SIZE;
}

static uint32_t slot_irq(unsigned int number)
{
	return irqs[number % ARRAY_SIZE(irqs)];
}

/* Gives a device the next slot. */
static int add_slot(struct virtio_slots *slots, const struct virtio_slots_spec *spec,
		    struct virtio_device *virtio, struct seccomp_fds *fds)
{
	unsigned int number = slots->nr++, queue;
	const char *name = virtio->device.name;

	slots->virtios[number] = virtio;
	virtio_mmio_init(virtio, (char *)slots->register_pages + (size_t)number * VIRTIO_MMIO_SIZE);
	seccomp_fds_add(fds, SECCOMP_FD_IRQ, virtio->irq.fd, 0, name);
	for (queue = 0; queue < virtio->nr_queues; queue++)
		seccomp_fds_add(fds, SECCOMP_FD_EVENT, virtio->kicks[queue].fd, 0, name);
	return bus_add(spec->mmio, slot_addr(number), VIRTIO_MMIO_SIZE, &virtio->device);
}

static int create_drive(struct virtio_slots *slots, const struct virtio_slots_spec *spec,
			unsigned int number, struct seccomp_fds *fds)
{
	const struct drive_config *drive = &spec->config->drives[number];
	struct blk_file *file = &spec->resources->drives[number];
	struct blk **blk = &slots->blks[number];
	int err;

	seccomp_fds_add(fds, file->read_only ? SECCOMP_FD_DISK_RO : SECCOMP_FD_DISK, file->fd,
			file->size, drive->id);
	err = blk_create(file, drive->id, spec->mem, spec->loop, blk);
	if (!err) {
		seccomp_fds_add(fds, SECCOMP_FD_RING, blk_ring(*blk), 0, drive->id);
		err = add_slot(slots, spec, blk_virtio(*blk), fds);
	}
	if (err)
		log_error("cannot set up disk \"%s\": %s", drive->path, strerror(-err));
	return err;
}

static int create_nic(struct virtio_slots *slots, const struct virtio_slots_spec *spec,
		      unsigned int number, struct seccomp_fds *fds)
{
	const struct nic_config *nic = &spec->config->nics[number];
	struct nic_resources *resources = &spec->resources->nics[number];
	struct net_backend *backend = resources->backend;
	struct net_config config = {.mtu = nic->mtu};
	struct net **net = &slots->nets[number];
	int err;

	seccomp_fds_add(fds, resources->is_socket ? SECCOMP_FD_SOCKET : SECCOMP_FD_TAP, backend->fd,
			0, nic->id);
	memcpy(config.mac, resources->mac, sizeof(config.mac));
	if (!config.mtu && nic->kind == NIC_PASST)
		config.mtu = NET_PASST_MTU;
	resources->backend = NULL;
	err = net_create(backend, &config, nic->id, spec->mem, spec->loop, net);
	return err ? err : add_slot(slots, spec, net_virtio(*net), fds);
}

int virtio_slots_create(struct virtio_slots *slots, const struct virtio_slots_spec *spec,
			struct seccomp_fds *fds)
{
	const struct vm_config *config = spec->config;
	const size_t nr = config->nr_drives + config->nr_nics;
	unsigned int i;
	void *pages;
	int err = 0;

	if (!nr)
		return 0;
	pages = mmap(NULL, nr * VIRTIO_MMIO_SIZE, PROT_READ | PROT_WRITE,
		     MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
	if (pages == MAP_FAILED) {
		log_error("out of memory");
		return -ENOMEM;
	}
	slots->register_pages = pages;
	slots->register_size = nr * VIRTIO_MMIO_SIZE;
	for (i = 0; !err && i < config->nr_drives; i++)
		err = create_drive(slots, spec, i, fds);
	for (i = 0; !err && i < config->nr_nics; i++)
		err = create_nic(slots, spec, i, fds);
	return err;
}

void virtio_slots_destroy(struct virtio_slots *slots)
{
	unsigned int i;

	for (i = 0; i < CONFIG_NICS_MAX; i++)
		net_destroy(slots->nets[i]);
	for (i = 0; i < CONFIG_DRIVES_MAX; i++)
		blk_destroy(slots->blks[i]);
	if (slots->register_pages)
		munmap(slots->register_pages, slots->register_size);
}

void virtio_slots_describe(const struct virtio_slots *slots, struct platform_device *devices,
			   unsigned int *nr_devices)
{
	unsigned int i;

	for (i = 0; i < slots->nr; i++)
		devices[(*nr_devices)++] =
			(struct platform_device){PLATFORM_VIRTIO, slot_addr(i), slot_irq(i)};
}

int virtio_slots_map(const struct virtio_slots *slots, struct vm *vm)
{
	if (!slots->nr || !vm_has_readonly(vm))
		return 0;
	return vm_set_readonly(vm, VIRTIO_MMIO_ADDR, slots->register_size, slots->register_pages);
}

/*
 * That a driver has seen an interrupt of its rings is news to nobody, so KVM is to drop the write
 * that says so, by an eventfd that nobody reads, and the vCPU goes on. InterruptStatus keeps the
 * bit: drivers take it for a reason to look at the rings, and no other answer would do, as one
 * could come too late for a buffer that was used meanwhile.
 */
static int drop_ring_acks(const struct virtio_slots *slots, struct vm *vm)
{
	cleanup_fd int nobody = eventfd(0, EFD_CLOEXEC);
	unsigned int i;
	int err = 0;

	if (nobody < 0) {
		err = -errno;
		log_error("cannot make an eventfd: %s", strerror(-err));
	}
	for (i = 0; !err && i < slots->nr; i++)
		err = vm_add_ioeventfd(vm, slot_addr(i) + VIRTIO_MMIO_INTERRUPT_ACK,
				       VIRTIO_MMIO_INT_VRING, nobody);
	return err;
}

int virtio_slots_connect(const struct virtio_slots *slots, struct vm *vm)
{
	unsigned int i, queue;
	int err = 0;

	for (i = 0; !err && i < slots->nr; i++) {
		const struct virtio_device *virtio = slots->virtios[i];

		err = vm_add_irqfd(vm, slot_irq(i), virtio->irq.fd);
		for (queue = 0; !err && queue < virtio->nr_queues; queue++)
			err = vm_add_ioeventfd(vm, slot_addr(i) + VIRTIO_MMIO_QUEUE_NOTIFY, queue,
					       virtio->kicks[queue].fd);
	}
	return err || !slots->nr ? err : drop_ring_acks(slots, vm);
}

bool virtio_slots_end(struct virtio_slots *slots, uint64_t deadline_ns)
{
	bool ended = true;
	unsigned int i;

	for (i = 0; i < CONFIG_DRIVES_MAX; i++)
		if (slots->blks[i] && !blk_end(slots->blks[i], deadline_ns))
			ended = false;
	return ended;
}
