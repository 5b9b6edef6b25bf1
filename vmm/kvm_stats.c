/* SPDX-License-Identifier: Apache-2.0 */
#include "kvm_stats.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "util.h"

/* A kernel has some sixty, with names of up to 48 bytes. */
#define DESCRIPTORS_MAX 1024
#define NAME_SIZE_MAX 256

static const struct {
	const char *kvm, *name;
} names[KVM_STATS_NR] = {
	[KVM_STAT_EXITS] = {"exits", "all"},
	[KVM_STAT_IO] = {"io_exits", "io"},
	[KVM_STAT_MMIO] = {"mmio_exits", "mmio"},
	[KVM_STAT_HALT] = {"halt_exits", "halt"},
	[KVM_STAT_HOST_INTERRUPT] = {"irq_exits", "host_interrupt"},
	[KVM_STAT_INTERRUPT_WINDOW] = {"irq_window_exits", "interrupt_window"},
	[KVM_STAT_HYPERCALL] = {"hypercalls", "hypercall"},
	[KVM_STAT_EMULATED] = {"insn_emulation", "emulated_instructions"},
	[KVM_STAT_INJECTED] = {"irq_injections", "injected_interrupts"},
	[KVM_STAT_PAGE_FAULT] = {"pf_taken", "page_faults"},
};

static void find(struct kvm_stats *stats, const struct kvm_stats_header *header,
		 const struct kvm_stats_desc *descriptor)
{
	size_t i;

	for (i = 0; i < KVM_STATS_NR; i++)
		if (!strncmp(descriptor->name, names[i].kvm, header->name_size))
			stats->offsets[i] = header->data_offset + descriptor->offset;
}

static int read_descriptors(struct kvm_stats *stats)
{
	struct kvm_stats_header header;
	cleanup_free char *descriptors = NULL;
	size_t size, i;

	if (pread(stats->fd, &header, sizeof(header), 0) != sizeof(header) ||
	    header.num_desc > DESCRIPTORS_MAX || header.name_size > NAME_SIZE_MAX)
		return -EPROTO;
	size = sizeof(struct kvm_stats_desc) + header.name_size;
	descriptors = calloc(header.num_desc, size);
	if (!descriptors)
		return -ENOMEM;
	if (pread(stats->fd, descriptors, header.num_desc * size, header.desc_offset) !=
	    (ssize_t)(header.num_desc * size))
		return -EPROTO;
	for (i = 0; i < header.num_desc; i++)
		find(stats, &header, (const void *)(descriptors + i * size));
	return 0;
}

int kvm_stats_open(struct kvm_stats *stats, int vcpu_fd)
{
	int err;

	memset(stats->offsets, 0, sizeof(stats->offsets));
	stats->fd = ioctl(vcpu_fd, KVM_GET_STATS_FD, NULL);
	if (stats->fd < 0)
		return -errno;
	err = read_descriptors(stats);
	if (err)
		kvm_stats_close(stats);
	return err;
}

void kvm_stats_close(struct kvm_stats *stats)
{
	close_fd_ptr(&stats->fd);
	stats->fd = -1;
}

void kvm_stats_add(const struct kvm_stats *stats, struct kvm_stat_values *values)
{
	size_t i;

	for (i = 0; i < KVM_STATS_NR; i++) {
		uint64_t value;

		if (stats->fd < 0 || !stats->offsets[i] ||
		    pread(stats->fd, &value, sizeof(value), (off_t)stats->offsets[i]) !=
			    sizeof(value))
			values->values[i] = UINT64_MAX;
		else if (values->values[i] != UINT64_MAX)
			values->values[i] += value;
	}
}

const char *kvm_stat_name(enum kvm_stat stat)
{
	return names[stat].name;
}
