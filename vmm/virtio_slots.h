/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio devices of a machine, each in a slot: a page of registers, which the guest reads by
 * itself, an interrupt, and an eventfd for each queue. What ties blk and net, which know of no VM,
 * to KVM, which knows of no virtio.
 *
 * Logs why a step failed, once. For the main thread, before vCPUs run; virtio_slots_end after it.
 */
#ifndef HUSK_VIRTIO_SLOTS_H
#define HUSK_VIRTIO_SLOTS_H

#include "acpi.h"
#include "bus.h"
#include "config.h"
#include "event_loop.h"
#include "guest_mem.h"
#include "resources.h"
#include "seccomp.h"
#include "vm.h"

#define VIRTIO_SLOTS_MAX (CONFIG_DRIVES_MAX + CONFIG_NICS_MAX)

struct blk;
struct net;
struct virtio_device;

/* Zeroed to start with. In the order of the configuration: disks, then networks. */
struct virtio_slots {
	struct blk *blks[CONFIG_DRIVES_MAX];
	struct net *nets[CONFIG_NICS_MAX];
	struct virtio_device *virtios[VIRTIO_SLOTS_MAX];
	unsigned int nr;
	void *register_pages; /* of all of them, in a row */
	size_t register_size;
};

/* What the devices live with; all borrowed, for as long as they live. */
struct virtio_slots_spec {
	const struct vm_config *config;
	struct resources *resources; /* disks are borrowed, networks taken */
	const struct guest_mem *mem;
	struct event_loop *loop;
	struct bus *mmio;
};

/*
 * Makes the devices of `spec->config`, and adds what they hold open to `fds`. 0 or -errno.
 * virtio_slots_destroy takes half of it, and zeroed storage.
 */
int virtio_slots_create(struct virtio_slots *slots, const struct virtio_slots_spec *spec,
			struct seccomp_fds *fds);
void virtio_slots_destroy(struct virtio_slots *slots);

/* Where they are, as the guest is told it: appends to `devices`, which has room for all. */
void virtio_slots_describe(const struct virtio_slots *slots, struct platform_device *devices,
			   unsigned int *nr_devices);

/*
 * Has the guest read the registers by itself, where this KVM has memory for that; elsewhere reads
 * leave the guest as writes do. With the other memory slots, before the vCPUs. 0 or -errno.
 */
int virtio_slots_map(const struct virtio_slots *slots, struct vm *vm);

/* Ties kicks and interrupts to KVM: last, in one go (vm.h). 0 or -errno. */
int virtio_slots_connect(const struct virtio_slots *slots, struct vm *vm);

/* Waits for what is under way on the disks, up to `deadline_ns` of clock_now_ns. False: in vain. */
bool virtio_slots_end(struct virtio_slots *slots, uint64_t deadline_ns);

#endif
