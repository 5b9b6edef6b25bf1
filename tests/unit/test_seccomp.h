/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of system call filters: a descriptor of every use, and children under a filter. */
#ifndef HUSK_TEST_SECCOMP_H
#define HUSK_TEST_SECCOMP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/timerfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include "seccomp.h"
#include "util.h"

#define FIRST_FD 40 /* the test's own are out of the way of what is open */
#define DISK_SIZE (GIB(4) + 4096)

/* Numbers that every test has the same. */
enum {
	FD_LOG = STDERR_FILENO,
	FD_EPOLL = FIRST_FD,
	FD_EVENT,
	FD_IRQ,
	FD_NOTICE,
	FD_INPUT,
	FD_OUTPUT,
	FD_TERMINAL,
	FD_DISK_RO,
	FD_DISK,
	FD_RING,
	FD_TAP,
	FD_SOCKET,
	FD_PROCESS,
	FD_SIGNALS,
	FD_VCPU,
	FD_OTHER_VCPU,
	FD_NONE, /* open, but for nobody */
	FD_INPUT_FEED,
	FD_OUTPUT_END,
	FD_SOCKET_PEER,
	FD_VERDICT,
	FD_STATS,
	FD_END,
};

/* One descriptor of every use, as numbers. */
static inline void fds_fill(struct seccomp_fds *fds)
{
	*fds = (struct seccomp_fds){.nr = 0};
	seccomp_fds_add(fds, SECCOMP_FD_LOG, FD_LOG, 0, "log");
	seccomp_fds_add(fds, SECCOMP_FD_EPOLL, FD_EPOLL, 0, "loop");
	seccomp_fds_add(fds, SECCOMP_FD_EVENT, FD_EVENT, 0, "kick");
	seccomp_fds_add(fds, SECCOMP_FD_IRQ, FD_IRQ, 0, "disk");
	seccomp_fds_add(fds, SECCOMP_FD_NOTICE, FD_NOTICE, 0, "timer");
	seccomp_fds_add(fds, SECCOMP_FD_INPUT, FD_INPUT, 0, "stdin");
	seccomp_fds_add(fds, SECCOMP_FD_OUTPUT, FD_OUTPUT, 0, "stdout");
	seccomp_fds_add(fds, SECCOMP_FD_TERMINAL, FD_TERMINAL, 0, "tty");
	seccomp_fds_add(fds, SECCOMP_FD_DISK_RO, FD_DISK_RO, KIB(64), "root");
	seccomp_fds_add(fds, SECCOMP_FD_DISK, FD_DISK, DISK_SIZE, "data");
	seccomp_fds_add(fds, SECCOMP_FD_RING, FD_RING, 0, "data");
	seccomp_fds_add(fds, SECCOMP_FD_TAP, FD_TAP, 0, "tap0");
	seccomp_fds_add(fds, SECCOMP_FD_SOCKET, FD_SOCKET, 0, "passt");
	seccomp_fds_add(fds, SECCOMP_FD_PROCESS, FD_PROCESS, 0, "VM");
	seccomp_fds_add(fds, SECCOMP_FD_SIGNALS, FD_SIGNALS, 0, "signals");
	seccomp_fds_add(fds, SECCOMP_FD_VERDICT, FD_VERDICT, 0, "verdict");
	seccomp_fds_add(fds, SECCOMP_FD_STATS, FD_STATS, 0, "counters");
	seccomp_fds_add(fds, SECCOMP_FD_INPUT, -1, 0, "closed");
}

#endif
