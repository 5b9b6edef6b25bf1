/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A vCPU: one thread that runs the guest and hands its register accesses to the buses.
 *
 * Creation logs why it failed, once. A running vCPU never ends the process: it returns a
 * verdict to whoever started it.
 */
#ifndef HUSK_VCPU_H
#define HUSK_VCPU_H

#include <pthread.h>
#include <stdint.h>

#include <stdatomic.h>
#include <stdbool.h>

#include "bus.h"
#include "seccomp.h"
#include "vm.h"

enum vcpu_verdict {
	VCPU_TRIPLE_FAULT,   /* the guest crashed its CPU, which is a reset */
	VCPU_ENTRY_FAILED,   /* the CPU refused the guest's state */
	VCPU_INTERNAL_ERROR, /* KVM could not emulate what the guest did */
	VCPU_UNKNOWN_EXIT,   /* KVM left the guest for a reason nobody asked for */
	VCPU_KVM_ERROR,	     /* the ioctl itself failed */
};

struct kvm_run;
struct vcpu;

/* Called once, on the vCPU's thread, when it can run no further; it runs nothing after that. */
typedef void vcpu_ended_fn(void *ctx, const struct vcpu *vcpu);

struct vcpu {
	unsigned int index;
	int fd;
	struct kvm_run *run;
	unsigned int run_size;
	const struct bus *pio;
	const struct bus *mmio;
	struct vcpu_gate *gate;
	vcpu_ended_fn *ended;
	void *ended_ctx;
	pthread_t thread;

	/* How often the guest was left for husk to do something. Written by its thread alone. */
	struct {
		_Atomic uint64_t pio, mmio, other;
	} exits;
	enum vcpu_verdict verdict; /* valid in `ended` */
	uint64_t detail;	   /* of the verdict: hardware reason, KVM suberror or errno */
	uint64_t entered_ns;	   /* clock before the first instruction */
};

/*
 * Makes vCPU number `index` in `vm`. Accesses go to `pio` and `mmio` (borrowed, frozen before
 * vcpu_start). 0 or -errno. vcpu_fini takes a half-made one, not a running one.
 */
int vcpu_init(struct vcpu *vcpu, struct vm *vm, unsigned int index, const struct bus *pio,
	      const struct bus *mmio);
void vcpu_fini(struct vcpu *vcpu);

/*
 * What all threads of a VM pass together, each under its filter, before the first one enters the
 * guest.
 */
struct vcpu_gate {
	pthread_barrier_t barrier;
	atomic_bool failed; /* a thread could not load its filter */
	const struct seccomp_filter *filter;
};

/* For `nr_vcpus` threads, which load `filter` (borrowed), and the caller's. */
void vcpu_gate_init(struct vcpu_gate *gate, unsigned int nr_vcpus,
		    const struct seccomp_filter *filter);

/*
 * Starts the thread, which waits at `gate` (borrowed). 0 or -errno. It has the caller's signal
 * mask.
 */
int vcpu_start(struct vcpu *vcpu, struct vcpu_gate *gate, vcpu_ended_fn *ended, void *ctx);

/* For who started all threads, once: lets them run. 0; -EPERM: one is not filtered, none runs. */
int vcpu_gate_pass(struct vcpu_gate *gate);

/* What the verdict means, for the user: "the guest ..."; static storage. */
const char *vcpu_verdict_text(enum vcpu_verdict verdict);

#endif
