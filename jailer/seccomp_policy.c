/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The policy. What is not in the table is not allowed, and ends the VM. Knowingly left out:
 *
 * - open, openat, creat, openat2, memfd_create: everything is open before the guest runs.
 * - socket, connect, bind, accept, socketpair: so are the networks.
 * - dup, fcntl: descriptors are pinned by number below; no number may come to mean another. To
 * close them is allowed to the loop: as nothing can be opened, it can only lose them.
 * - clone, clone3, fork, vfork, execve, execveat: all threads exist, and nothing is ever started.
 * - mmap, mprotect, munmap, mremap, brk: all memory is mapped; none becomes executable.
 *   So whoever allocates while the guest runs is ended: a loop thread that does so is a defect.
 * - rt_sigaction, rt_sigprocmask, rt_sigreturn, sigaltstack: signals come by descriptor. The only
 *   handler is the one that reports a forbidden call, and it does not return.
 * - kill, tkill, tgkill: nobody is signalled. (The supervisor: below.) abort() is ended as well.
 * - prctl, seccomp, capset, setuid and its kin, setrlimit, prlimit64: what was given up stays so.
 * - io_uring_setup, io_uring_register, aio: a ring makes calls of its own, past every filter. Those
 *   that exist are made to read, write, flush and discard one disk and nothing else, for good
 *   (virtio/blk_ring.h): io_uring_enter is allowed on them.
 * - unshare, setns, mount, ptrace, process_vm_*, bpf, keyctl, userfaultfd, perf_event_open: the
 *   parts of a kernel that attackers start from.
 * - ioctl but for the few requests below: not KVM_* on the VM, not TIOCSTI (types into a terminal).
 *
 * What a filter does not see is memory. So a ring may write behind a disk's end (and without one, a
 * write that starts before it may run past it), the frames of a socket may carry descriptors (of
 * which this process has none that the peer is not to have, but for the disks), and a futex or a
 * buffer may be anywhere.
 */
#include "seccomp_policy.h"

#include <linux/falloc.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/kvm.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <termios.h>
#include <time.h>
#include <unistd.h>

#include "util.h"

#define VCPU (1u << SECCOMP_VCPU)
#define LOOP (1u << SECCOMP_LOOP)
#define WAIT (1u << SECCOMP_SUPERVISOR)
#define ALL (VCPU | LOOP | WAIT)

#define FD(name) SECCOMP_FD_##name
#define NO_FD SECCOMP_NO_FD

/* A row per line. */
/* clang-format off */

/* Conditions: argument `n` ... */
#define INT(n, value) {SECCOMP_OP_INT, n, (uint32_t)(value)}
#define WORD(n, value) {SECCOMP_OP_WORD, n, value}
#define BELOW_SIZE(n) {SECCOMP_OP_BELOW_SIZE, n, 0}
#define UP_TO_SIZE(n) {SECCOMP_OP_UP_TO_SIZE, n, 0}
#define OWN_PROCESS(n) {SECCOMP_OP_OWN_PROCESS, n, 0}
#define ANY {{0}}

#define PUNCH (FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE)
#define ZERO (FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE)
#define SEND_FLAGS (MSG_DONTWAIT | MSG_NOSIGNAL)

const struct seccomp_rule seccomp_policy[] = {
	/* The guest. */
	{VCPU, SYS_ioctl, SECCOMP_VCPU_FD, {INT(1, KVM_RUN), WORD(2, 0)}, "runs the guest"},

	/* The event loop. */
	{LOOP, SYS_epoll_pwait, FD(EPOLL), {WORD(4, 0)}, "waits for events"},
	{LOOP, SYS_epoll_ctl, FD(EPOLL), {INT(1, EPOLL_CTL_ADD)}, "waits for room in a stream"},
	{LOOP, SYS_epoll_ctl, FD(EPOLL), {INT(1, EPOLL_CTL_MOD)}, "waits for frames or for room"},
	{LOOP, SYS_epoll_ctl, FD(EPOLL), {INT(1, EPOLL_CTL_DEL)}, "does not wait any more"},
	{LOOP, SYS_read, FD(EVENT), ANY, "takes a kick or a wake-up"},
	{LOOP, SYS_read, FD(NOTICE), ANY, "takes a signal, or the time limit"},
	{VCPU | LOOP, SYS_write, FD(EVENT), ANY, "wakes the loop"},
	{VCPU | LOOP, SYS_write, FD(IRQ), ANY, "interrupts the guest"},

	/* Devices. */
	{LOOP, SYS_preadv, FD(DISK), {BELOW_SIZE(3)}, "reads a disk"},
	{LOOP, SYS_preadv, FD(DISK_RO), {BELOW_SIZE(3)}, "reads a disk"},
	{LOOP, SYS_pwritev, FD(DISK), {BELOW_SIZE(3)}, "writes a disk"},
	{LOOP, SYS_fdatasync, FD(DISK), ANY, "flushes a disk"},
	{LOOP, SYS_fallocate, FD(DISK), {INT(1, PUNCH), BELOW_SIZE(2), UP_TO_SIZE(3)}, "discards"},
	{LOOP, SYS_fallocate, FD(DISK), {INT(1, ZERO), BELOW_SIZE(2), UP_TO_SIZE(3)}, "zeroes"},
	{LOOP, SYS_io_uring_enter, FD(RING), {INT(2, 0), INT(3, 0), WORD(4, 0)}, "starts disk I/O"},
	{LOOP, SYS_readv, FD(TAP), ANY, "takes a frame"},
	{LOOP, SYS_writev, FD(TAP), ANY, "sends a frame"},
	{LOOP, SYS_ioctl, FD(TAP), {INT(1, TUNSETOFFLOAD)}, "tells what the driver negotiated"},
	{LOOP, SYS_recvfrom, FD(SOCKET), {INT(3, MSG_DONTWAIT), WORD(4, 0)}, "takes frames"},
	{LOOP, SYS_sendmsg, FD(SOCKET), {INT(2, SEND_FLAGS)}, "sends a frame"},

	/* The user's streams and terminal. */
	{LOOP, SYS_read, FD(INPUT), ANY, "takes input for the guest"},
	{LOOP, SYS_write, FD(OUTPUT), ANY, "passes the guest's output on"},
	{LOOP, SYS_ioctl, FD(TERMINAL), {INT(1, TIOCGWINSZ)}, "tells the guest the window's size"},
	{LOOP | WAIT, SYS_ioctl, FD(TERMINAL), {INT(1, TCGETS)}, "by tcsetattr, before and after"},
	{LOOP | WAIT, SYS_ioctl, FD(TERMINAL), {INT(1, TCSETS)}, "puts the settings back"},
	{LOOP | WAIT, SYS_ioctl, FD(TERMINAL), {INT(1, TCSETSW)}, "the same, after the output"},
	{LOOP | WAIT, SYS_ioctl, FD(TERMINAL), {INT(1, TCSETSF)}, "the same, without the input"},

	{LOOP, SYS_madvise, NO_FD, {INT(2, MADV_DONTNEED)}, "lets go of what only the start needed"},

	/* The end, and what there is to say about it. */
	{LOOP, SYS_close, NO_FD, ANY, "at the end: others may wait for a disk or a stream"},
	{LOOP, SYS_write, FD(VERDICT), ANY, "tells the exit status"},
	{VCPU | LOOP, SYS_pread64, FD(STATS), ANY, "counts exits and faults, where one asked"},

	/* Waiting for the VM. */
	{WAIT, SYS_read, FD(SIGNALS), ANY, "takes a signal, or the exit status"},
	{WAIT, SYS_epoll_pwait, FD(EPOLL), {WORD(4, 0)}, "waits for either"},
	{WAIT, SYS_wait4, NO_FD, ANY, "takes the VM's exit status"},
	{WAIT, SYS_pidfd_send_signal, FD(PROCESS), {WORD(2, 0), INT(3, 0)}, "passes a signal on"},
	{WAIT, SYS_kill, NO_FD, {OWN_PROCESS(0), INT(1, SIGSTOP)}, "stops together with the VM"},

	/* Everybody. */
	{ALL, SYS_write, FD(LOG), ANY, "writes a line to the log"},
	{ALL, SYS_poll, NO_FD, {INT(1, 1)}, "asks whether a stream has room"},
	{VCPU | LOOP, SYS_futex, NO_FD, {INT(1, FUTEX_WAIT_PRIVATE)}, "waits for a lock"},
	{VCPU | LOOP, SYS_futex, NO_FD, {INT(1, FUTEX_WAKE_PRIVATE)}, "lets go of a lock"},
	{ALL, SYS_clock_gettime, NO_FD, {INT(0, CLOCK_MONOTONIC)}, "where the vDSO has no clock"},
	{ALL, SYS_restart_syscall, NO_FD, ANY, "by the kernel: goes on with poll after a stop"},
	{VCPU, SYS_exit, NO_FD, ANY, "the thread ends"},
	{LOOP | WAIT, SYS_exit_group, NO_FD, ANY, "the process ends"},
};

/* clang-format on */

const unsigned int seccomp_policy_nr = ARRAY_SIZE(seccomp_policy);

/*
 * How it is printed.
 */

static const struct seccomp_form forms[] = {
	{SYS_read, 3, true},	    {SYS_write, 3, true},	   {SYS_poll, 3, false},
	{SYS_ioctl, 3, true},	    {SYS_readv, 3, true},	   {SYS_writev, 3, true},
	{SYS_recvfrom, 6, true},    {SYS_sendmsg, 3, true},	   {SYS_exit, 1, false},
	{SYS_wait4, 4, false},	    {SYS_kill, 2, false},	   {SYS_fdatasync, 1, true},
	{SYS_futex, 6, false},	    {SYS_preadv, 5, true},	   {SYS_restart_syscall, 0, false},
	{SYS_epoll_pwait, 6, true}, {SYS_epoll_ctl, 4, true},	   {SYS_clock_gettime, 2, false},
	{SYS_exit_group, 1, false}, {SYS_pwritev, 5, true},	   {SYS_pidfd_send_signal, 4, true},
	{SYS_fallocate, 4, true},   {SYS_close, 1, true},	   {SYS_pread64, 4, true},
	{SYS_madvise, 3, false},    {SYS_io_uring_enter, 6, true},
};

const struct seccomp_form *seccomp_call_form(uint64_t call)
{
	static const struct seccomp_form unknown = {.nr_args = 6};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(forms); i++)
		if (forms[i].call == call)
			return &forms[i];
	return &unknown;
}

/* A row per line. */
/* clang-format off */
static const struct {
	unsigned int call, arg;
	uint64_t value;
	const char *name;
} constants[] = {
#define CONSTANT(call, arg, value) {SYS_##call, arg, (uint32_t)(value), #value}
	CONSTANT(ioctl, 1, KVM_RUN),
	CONSTANT(ioctl, 1, TUNSETOFFLOAD),
	CONSTANT(ioctl, 1, TIOCGWINSZ),
	CONSTANT(ioctl, 1, TCGETS),
	CONSTANT(ioctl, 1, TCSETS),
	CONSTANT(ioctl, 1, TCSETSW),
	CONSTANT(ioctl, 1, TCSETSF),
	CONSTANT(epoll_ctl, 1, EPOLL_CTL_ADD),
	CONSTANT(epoll_ctl, 1, EPOLL_CTL_MOD),
	CONSTANT(epoll_ctl, 1, EPOLL_CTL_DEL),
	CONSTANT(fallocate, 1, FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE),
	CONSTANT(fallocate, 1, FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE),
	CONSTANT(recvfrom, 3, MSG_DONTWAIT),
	CONSTANT(sendmsg, 2, MSG_DONTWAIT | MSG_NOSIGNAL),
	CONSTANT(futex, 1, FUTEX_WAIT_PRIVATE),
	CONSTANT(futex, 1, FUTEX_WAKE_PRIVATE),
	CONSTANT(clock_gettime, 0, CLOCK_MONOTONIC),
	CONSTANT(kill, 1, SIGSTOP),
	CONSTANT(madvise, 2, MADV_DONTNEED),
};
/* clang-format on */

const char *seccomp_constant_name(uint64_t call, unsigned int arg, uint64_t value)
{
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(constants); i++)
		if (constants[i].call == call && constants[i].arg == arg &&
		    constants[i].value == value)
			return constants[i].name;
	return call == SYS_kill && !arg && value == (uint64_t)getpid() ? "itself" : NULL;
}

static const char *const call_names[] = {
#include "syscall_names.inc" /* made from <asm/unistd_64.h>: [0] = "read", ... */
};

const char *seccomp_call_name(uint64_t call)
{
	return call < ARRAY_SIZE(call_names) && call_names[call] ? call_names[call] : "?";
}
