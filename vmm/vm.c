/* SPDX-License-Identifier: Apache-2.0 */
#include "vm.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include "layout_x86.h"
#include "util.h"

static const struct vm_capability needed_capabilities[] = {
	{KVM_CAP_USER_MEMORY, "KVM_CAP_USER_MEMORY"},
	{KVM_CAP_SET_TSS_ADDR, "KVM_CAP_SET_TSS_ADDR"},
	{KVM_CAP_IRQCHIP, "KVM_CAP_IRQCHIP"},
	{KVM_CAP_PIT2, "KVM_CAP_PIT2"},
	{KVM_CAP_EXT_CPUID, "KVM_CAP_EXT_CPUID"},
	{KVM_CAP_IOEVENTFD, "KVM_CAP_IOEVENTFD"},
	{KVM_CAP_IRQFD, "KVM_CAP_IRQFD"},
	{KVM_CAP_TSC_DEADLINE_TIMER, "KVM_CAP_TSC_DEADLINE_TIMER"},
};

int vm_open_kvm(int *ret_fd)
{
	cleanup_fd int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC);

	if (fd < 0)
		return -errno;
	if (ioctl(fd, KVM_GET_API_VERSION, 0) != KVM_API_VERSION)
		return -ENOTTY;
	*ret_fd = steal_fd(&fd);
	return 0;
}

const struct vm_capability *vm_missing_capability(int kvm_fd)
{
	size_t i;

	for (i = 0; i < ARRAY_SIZE(needed_capabilities); i++)
		if (ioctl(kvm_fd, KVM_CHECK_EXTENSION, needed_capabilities[i].number) <= 0)
			return &needed_capabilities[i];
	return NULL;
}

/* Logs that a KVM call failed, with the reason KVM gave. */
static int vm_failed(const char *call)
{
	int err = -errno;

	log_error("KVM refused %s: %s; \"husk doctor\" tells what this host can do", call,
		  strerror(-err));
	return err;
}

static int kvm_check(int kvm_fd)
{
	const struct vm_capability *missing = vm_missing_capability(kvm_fd);

	if (missing) {
		log_error("/dev/kvm lacks %s, which husk needs; a newer kernel has it",
			  missing->name);
		return -ENOSYS;
	}
	return 0;
}

int vm_open_kvm_logged(int *ret_fd)
{
	cleanup_fd int fd = -1;
	int err = vm_open_kvm(&fd);

	if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
		log_error(
			"/dev/kvm is missing: load the module (modprobe kvm_intel or kvm_amd), or "
			"enable nested virtualisation for this machine");
	else if (err == -EACCES || err == -EPERM)
		log_error("no permission to open /dev/kvm: join its group (usermod -aG kvm "
			  "\"$USER\", then log in again)");
	else if (err == -ENOTTY)
		log_error("/dev/kvm is not the KVM device, or not one of API version %d",
			  KVM_API_VERSION);
	else if (err)
		log_error("cannot open /dev/kvm: %s", strerror(-err));
	if (!err)
		err = kvm_check(fd);
	if (!err)
		*ret_fd = steal_fd(&fd);
	return err;
}

int vm_init(struct vm *vm, int kvm_fd)
{
	int err = 0, run_size;

	*vm = (struct vm){.kvm_fd = kvm_fd, .fd = -1};
	/* A signal may interrupt it; nothing is lost by asking again. */
	do
		vm->fd = ioctl(vm->kvm_fd, KVM_CREATE_VM, 0);
	while (vm->fd < 0 && errno == EINTR);
	if (vm->fd < 0) {
		err = vm_failed("to create a VM");
		goto out;
	}
	run_size = ioctl(vm->kvm_fd, KVM_GET_VCPU_MMAP_SIZE, 0);
	if (run_size < 0) {
		err = vm_failed("the size of its vCPU state");
		goto out;
	}
	vm->run_size = (unsigned int)run_size;
out:
	if (err)
		vm_fini(vm);
	return err;
}

void vm_fini(struct vm *vm)
{
	close_fd_ptr(&vm->fd);
	close_fd_ptr(&vm->kvm_fd);
	*vm = (struct vm){.kvm_fd = -1, .fd = -1};
}

static int set_slot(struct vm *vm, gpa_t gpa, uint64_t size, void *host, uint32_t flags)
{
	struct kvm_userspace_memory_region slot = {
		.slot = vm->nr_slots,
		.flags = flags,
		.guest_phys_addr = gpa,
		.memory_size = size,
		.userspace_addr = (uintptr_t)host,
	};

	if (ioctl(vm->fd, KVM_SET_USER_MEMORY_REGION, &slot))
		return vm_failed("the guest's memory");
	vm->nr_slots++;
	return 0;
}

int vm_set_memory(struct vm *vm, const struct guest_mem *mem)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < mem->nr_regions && !err; i++)
		err = set_slot(vm, mem->regions[i].gpa, mem->regions[i].size, mem->regions[i].host,
			       0);
	return err;
}

bool vm_has_readonly(const struct vm *vm)
{
	return ioctl(vm->kvm_fd, KVM_CHECK_EXTENSION, KVM_CAP_READONLY_MEM) > 0;
}

int vm_set_readonly(struct vm *vm, gpa_t gpa, uint64_t size, void *host)
{
	return set_slot(vm, gpa, size, host, KVM_MEM_READONLY);
}

int vm_create_irqchip(struct vm *vm)
{
	uint64_t identity_map = KVM_IDENTITY_MAP_ADDR;
	/* The speaker port is where old kernels time the PIT. */
	struct kvm_pit_config pit = {.flags = KVM_PIT_SPEAKER_DUMMY};

	if (ioctl(vm->fd, KVM_SET_IDENTITY_MAP_ADDR, &identity_map) ||
	    ioctl(vm->fd, KVM_SET_TSS_ADDR, KVM_TSS_ADDR))
		return vm_failed("its own pages in guest memory");
	if (ioctl(vm->fd, KVM_CREATE_IRQCHIP, 0))
		return vm_failed("interrupt controllers");
	if (ioctl(vm->fd, KVM_CREATE_PIT2, &pit))
		return vm_failed("a timer (PIT)");
	return 0;
}

int vm_add_ioeventfd(struct vm *vm, gpa_t addr, uint32_t value, int fd)
{
	struct kvm_ioeventfd ioeventfd = {
		.datamatch = value,
		.addr = addr,
		.len = sizeof(value),
		.fd = fd,
		.flags = KVM_IOEVENTFD_FLAG_DATAMATCH,
	};

	return ioctl(vm->fd, KVM_IOEVENTFD, &ioeventfd) ? vm_failed("an ioeventfd") : 0;
}

int vm_add_irqfd(struct vm *vm, uint32_t irq, int fd)
{
	struct kvm_irqfd irqfd = {.fd = (uint32_t)fd, .gsi = irq};

	return ioctl(vm->fd, KVM_IRQFD, &irqfd) ? vm_failed("an irqfd") : 0;
}
