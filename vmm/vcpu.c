/* SPDX-License-Identifier: Apache-2.0 */
#include "vcpu.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

/* A vCPU thread's stack holds a few frames of ours and no guest data. */
#define VCPU_STACK_SIZE KIB(128)

int vcpu_init(struct vcpu *vcpu, struct vm *vm, unsigned int index, const struct bus *pio,
	      const struct bus *mmio)
{
	int err;

	*vcpu = (struct vcpu){.index = index,
			      .fd = -1,
			      .run = MAP_FAILED,
			      .run_size = vm->run_size,
			      .pio = pio,
			      .mmio = mmio};
	vcpu->fd = ioctl(vm->fd, KVM_CREATE_VCPU, (unsigned long)index);
	if (vcpu->fd >= 0)
		vcpu->run =
			mmap(NULL, vcpu->run_size, PROT_READ | PROT_WRITE, MAP_SHARED, vcpu->fd, 0);
	if (vcpu->run == MAP_FAILED) {
		err = -errno;
		log_error("KVM refused vCPU %u: %s", index, strerror(-err));
		vcpu_fini(vcpu);
		return err;
	}
	return 0;
}

void vcpu_fini(struct vcpu *vcpu)
{
	if (vcpu->run != MAP_FAILED && vcpu->run)
		munmap(vcpu->run, vcpu->run_size);
	if (vcpu->fd >= 0)
		close(vcpu->fd);
	vcpu->run = MAP_FAILED;
	vcpu->fd = -1;
}

/* One exit may carry many accesses of one port (string instructions). */
static void vcpu_pio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;
	uint8_t *data = (uint8_t *)run + run->io.data_offset;
	uint32_t i;

	for (i = 0; i < run->io.count; i++, data += run->io.size) {
		if (run->io.direction == KVM_EXIT_IO_IN) {
			bus_read(vcpu->pio, run->io.port, data, run->io.size);
		} else {
			bus_write(vcpu->pio, run->io.port, data, run->io.size);
		}
	}
}

static void vcpu_mmio(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	if (run->mmio.is_write) {
		bus_write(vcpu->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	} else {
		bus_read(vcpu->mmio, run->mmio.phys_addr, run->mmio.data, run->mmio.len);
	}
}

/* Not an atomic addition: nobody else writes. */
static void count(_Atomic uint64_t *counter)
{
	atomic_store_explicit(counter, atomic_load_explicit(counter, memory_order_relaxed) + 1,
			      memory_order_relaxed);
}

static enum vcpu_verdict vcpu_end(struct vcpu *vcpu, enum vcpu_verdict verdict, uint64_t detail)
{
	vcpu->detail = detail;
	return verdict;
}

/* Runs the guest until it can run no further. */
static enum vcpu_verdict vcpu_run(struct vcpu *vcpu)
{
	struct kvm_run *run = vcpu->run;

	vcpu->entered_ns = clock_now_ns();
	for (;;) {
		if (ioctl(vcpu->fd, KVM_RUN, 0)) {
			/*
			 * EAGAIN: a vCPU that waits to be woken was woken. The first one never
			 * waits: KVM could not start a thread of its own (ulimit -u).
			 */
			count(&vcpu->exits.other);
			if (errno == EINTR || (errno == EAGAIN && vcpu->index))
				continue;
			return vcpu_end(vcpu, VCPU_KVM_ERROR, (uint64_t)errno);
		}
		switch (run->exit_reason) {
		case KVM_EXIT_IO:
			count(&vcpu->exits.pio);
			vcpu_pio(vcpu);
			break;
		case KVM_EXIT_MMIO:
			count(&vcpu->exits.mmio);
			vcpu_mmio(vcpu);
			break;
		case KVM_EXIT_SHUTDOWN:
			return vcpu_end(vcpu, VCPU_TRIPLE_FAULT, 0);
		case KVM_EXIT_FAIL_ENTRY:
			return vcpu_end(vcpu, VCPU_ENTRY_FAILED,
					run->fail_entry.hardware_entry_failure_reason);
		case KVM_EXIT_INTERNAL_ERROR:
			return vcpu_end(vcpu, VCPU_INTERNAL_ERROR, run->internal.suberror);
		default: /* nothing else was asked for; a HLT is KVM's own business */
			return vcpu_end(vcpu, VCPU_UNKNOWN_EXIT, run->exit_reason);
		}
	}
}

void vcpu_gate_init(struct vcpu_gate *gate, unsigned int nr_vcpus,
		    const struct seccomp_filter *filter)
{
	pthread_barrier_init(&gate->barrier, NULL, nr_vcpus + 1);
	atomic_init(&gate->failed, false);
	gate->filter = filter;
}

int vcpu_gate_pass(struct vcpu_gate *gate)
{
	pthread_barrier_wait(&gate->barrier);
	return atomic_load(&gate->failed) ? -EPERM : 0;
}

static void *vcpu_thread(void *arg)
{
	struct vcpu *vcpu = arg;
	char name[16] = "vcpu", *digit = name + strlen(name);

	/* Without stdio: to load it takes four faults, and every VM waits for this thread. */
	if (vcpu->index >= 10)
		*digit++ = (char)('0' + vcpu->index / 10 % 10);
	*digit = (char)('0' + vcpu->index % 10);
	pthread_setname_np(pthread_self(), name);
	if (seccomp_apply(vcpu->gate->filter, vcpu->fd, name))
		atomic_store(&vcpu->gate->failed, true);
	if (!vcpu_gate_pass(vcpu->gate)) {
		vcpu->verdict = vcpu_run(vcpu);
		vcpu->ended(vcpu->ended_ctx, vcpu);
	}
	/* Nobody waits for it, and what the C library does at the end of a thread is filtered. */
	syscall(SYS_exit, 0);
	return NULL;
}

int vcpu_start(struct vcpu *vcpu, struct vcpu_gate *gate, vcpu_ended_fn *ended, void *ctx)
{
	pthread_attr_t attr;
	int err;

	vcpu->gate = gate;
	vcpu->ended = ended;
	vcpu->ended_ctx = ctx;
	pthread_attr_init(&attr);
	pthread_attr_setstacksize(&attr, VCPU_STACK_SIZE);
	pthread_attr_setdetachstate(&attr, PTHREAD_CREATE_DETACHED);
	err = pthread_create(&vcpu->thread, &attr, vcpu_thread, vcpu);
	pthread_attr_destroy(&attr);
	if (err) {
		log_error("cannot start the thread of vCPU %u: %s", vcpu->index, strerror(err));
		return -err;
	}
	return 0;
}

const char *vcpu_verdict_text(enum vcpu_verdict verdict)
{
	switch (verdict) {
	case VCPU_TRIPLE_FAULT:
		return "the guest crashed (triple fault)";
	case VCPU_ENTRY_FAILED:
		return "the CPU refused to enter the guest";
	case VCPU_INTERNAL_ERROR:
		return "KVM cannot emulate what the guest did; this host may be unable to run "
		       "64-bit Linux (see \"husk doctor\")";
	case VCPU_UNKNOWN_EXIT:
		return "KVM left the guest for a reason husk does not know";
	case VCPU_KVM_ERROR:
		return "KVM failed to run the guest";
	}
	return "the guest ended for an unknown reason";
}
