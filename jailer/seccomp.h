/* SPDX-License-Identifier: Apache-2.0 */
/*
 * System call filters: one allow-list per kind of thread, with the descriptors that exist pinned in
 * it. What is allowed, and why, is in the tables of seccomp_policy.c; seccomp_compile.c
 * makes programs of them, seccomp.c loads those and reports the call that ended a VM.
 *
 * A call that is not allowed is not made: its thread gets SIGSYS, whose handler writes one line
 * (which thread, which call, which arguments) and has the kernel kill the process. Calls of another
 * architecture (32-bit, x32) kill it at once. Linux,
 * Documentation/userspace-api/seccomp_filter.rst.
 *
 * Functions that return an int log why they failed, once.
 */
#ifndef HUSK_SECCOMP_H
#define HUSK_SECCOMP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sock_filter;

enum seccomp_kind {
	SECCOMP_VCPU,	    /* runs the guest, serves its register accesses */
	SECCOMP_LOOP,	    /* the main thread: all devices' data */
	SECCOMP_SUPERVISOR, /* the process that waits for the VM (supervise.h) */
	SECCOMP_KINDS,
};

enum seccomp_mode {
	SECCOMP_ENFORCE,
	SECCOMP_LOG, /* what is not allowed is made all the same, and logged by the kernel */
	SECCOMP_OFF, /* no filter */
};

/* What a descriptor is for, which says what calls may be made on it, by which threads. */
enum seccomp_use {
	SECCOMP_FD_EPOLL,    /* the event loop's set */
	SECCOMP_FD_IRQ,	     /* an eventfd that interrupts the guest: every thread writes it */
	SECCOMP_FD_EVENT,    /* an eventfd that wakes the loop: the same, and the loop reads it */
	SECCOMP_FD_NOTICE,   /* a signalfd, timerfd or kick: the loop reads it */
	SECCOMP_FD_INPUT,    /* a stream husk reads */
	SECCOMP_FD_OUTPUT,   /* a stream husk writes */
	SECCOMP_FD_LOG,	     /* standard error: every thread writes its log lines */
	SECCOMP_FD_TERMINAL, /* the user's: its size is read, its settings are put back */
	SECCOMP_FD_DISK_RO,  /* a disk: read up to its size */
	SECCOMP_FD_DISK,     /* a disk: read, written, flushed, discarded up to its size */
	SECCOMP_FD_RING,     /* an io_uring that knows one disk only: calls are passed on to it */
	SECCOMP_FD_TAP,	     /* a TAP device: frames, and its offloads */
	SECCOMP_FD_SOCKET,   /* a stream socket to passt or the like */
	SECCOMP_FD_PROCESS,  /* a pidfd: the supervisor passes signals on to the VM */
	SECCOMP_FD_SIGNALS,  /* of the supervisor: a signalfd; a pipe with the VM's exit status */
	SECCOMP_FD_VERDICT,  /* the pipe's other end */
	SECCOMP_FD_STATS,    /* what the kernel counts of this VM; only with --timing, --metrics */
	SECCOMP_USES,
};

#define SECCOMP_FDS_MAX 192

/* The descriptors that exist when the filters are made. Zeroed to start with. */
struct seccomp_fds {
	struct seccomp_fd {
		enum seccomp_use use;
		int fd;
		uint64_t size;	  /* of a disk, in bytes */
		const char *name; /* for those who read the filter: "drive1"; borrowed */
	} fds[SECCOMP_FDS_MAX];
	unsigned int nr;
};

/* Adds a descriptor; a negative one (a stream that is closed) is not there. */
void seccomp_fds_add(struct seccomp_fds *fds, enum seccomp_use use, int fd, uint64_t size,
		     const char *name);

/* A program for the kernel. */
struct seccomp_filter {
	enum seccomp_kind kind;
	enum seccomp_mode mode;
	struct sock_filter *insns; /* NULL: off */
	unsigned int nr;
	unsigned int vcpu_fd_at; /* SECCOMP_VCPU: the instruction with the vCPU's descriptor */
};

/*
 * Compiles the policy for one kind of thread. A vCPU's filter is made once and serves all vCPUs:
 * each loads it with its own descriptor put in. 0 or -errno. seccomp_filter_fini also takes a
 * zeroed one.
 */
int seccomp_compile(enum seccomp_kind kind, enum seccomp_mode mode, const struct seccomp_fds *fds,
		    struct seccomp_filter *ret_filter);
void seccomp_filter_fini(struct seccomp_filter *filter);

/*
 * Call once, before threads are made: sets no_new_privs, which filters need and threads inherit,
 * and catches SIGSYS. 0 or -errno.
 */
int seccomp_prepare(enum seccomp_mode mode);

/*
 * Puts the calling thread under `filter`, for good. `thread` names it in the report ("vCPU 3");
 * borrowed for as long as the thread lives. `vcpu_fd` is the vCPU's descriptor, or -1 for other
 * kinds. 0 or -errno.
 */
int seccomp_apply(const struct seccomp_filter *filter, int vcpu_fd, const char *thread);

#endif
