/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtual machine as KVM has it: all ioctls on /dev/kvm and on the VM.
 * Linux, Documentation/virt/kvm/api.rst.
 *
 * Logs why a step failed, once. For the main thread, before vCPUs run.
 *
 * Order matters for speed: memory slots first, then the interrupt controllers, then vCPUs, and
 * the ioeventfds last in one go. On Linux 6.18 a slot that is added after the interrupt
 * controllers waits 7 ms for a grace period.
 */
#ifndef HUSK_VM_H
#define HUSK_VM_H

#include <stdbool.h>
#include <stdint.h>

#include "guest_mem.h"

struct vm {
	int kvm_fd;
	int fd;
	unsigned int run_size; /* of the struct kvm_run mapping, in bytes */
	unsigned int nr_slots;
};

/* A capability of KVM that husk cannot do without. */
struct vm_capability {
	int number;
	const char *name;
};

/*
 * Opens /dev/kvm. 0: *ret_fd; or -errno, silent, for callers that explain it themselves; -ENOTTY:
 * that is something else, or a KVM of another API version.
 */
int vm_open_kvm(int *ret_fd);

/* The first needed capability that `kvm_fd` lacks, or NULL. */
const struct vm_capability *vm_missing_capability(int kvm_fd);

/* The same, and logs what is wrong; it must have what husk needs. For vm_init. */
int vm_open_kvm_logged(int *ret_fd);

/* Makes an empty VM. `kvm_fd` is taken, also on failure. 0 or -errno. vm_fini takes a half-made
 * one. */
int vm_init(struct vm *vm, int kvm_fd);
void vm_fini(struct vm *vm);

/* Gives the guest its RAM (borrowed). 0 or -errno. */
int vm_set_memory(struct vm *vm, const struct guest_mem *mem);

/*
 * Whether the guest may be given memory that it cannot write: its reads then do not leave it, its
 * writes do (KVM_CAP_READONLY_MEM).
 */
bool vm_has_readonly(const struct vm *vm);

/* Gives it such memory at `gpa`, `size` bytes of `host` (borrowed). 0 or -errno. */
int vm_set_readonly(struct vm *vm, gpa_t gpa, uint64_t size, void *host);

/* Local APICs, I/O APIC, PICs and PIT, in the kernel. 0 or -errno. */
int vm_create_irqchip(struct vm *vm);

/* A 32-bit write of `value` at `addr` signals `fd` (borrowed) instead of leaving the guest. */
int vm_add_ioeventfd(struct vm *vm, gpa_t addr, uint32_t value, int fd);

/* A signal on `fd` (borrowed) is one edge on the interrupt `irq`. */
int vm_add_irqfd(struct vm *vm, uint32_t irq, int fd);

#endif
