/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on others: networks, processes, shared memory. */
#include "attacks.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/vm_sockets.h>
#include <mqueue.h>
#include <net/if.h>
#include <sched.h>
#include <signal.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/ipc.h>
#include <sys/msg.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/sem.h>
#include <sys/shm.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <unistd.h>

#include "probe.h"
#include "util.h"

/*
 * Networks.
 */

static long connect_to(int family, int type, const void *address, socklen_t len)
{
	int fd = socket(family, type | SOCK_NONBLOCK, 0);

	return fd < 0 ? -errno : sys(connect(fd, address, len));
}

static long connect_tcp(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)probe_host.port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return connect_to(AF_INET, SOCK_STREAM, &to, sizeof(to));
}

static long connect_udp(void)
{
	struct sockaddr_in to = {.sin_family = AF_INET,
				 .sin_port = htons((uint16_t)probe_host.port),
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	return connect_to(AF_INET, SOCK_DGRAM, &to, sizeof(to));
}

static long connect_tcp6(void)
{
	struct sockaddr_in6 to = {.sin6_family = AF_INET6,
				  .sin6_port = htons((uint16_t)probe_host.port),
				  .sin6_addr = IN6ADDR_LOOPBACK_INIT};

	return connect_to(AF_INET6, SOCK_STREAM, &to, sizeof(to));
}

static long connect_abstract(void)
{
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	int len = sprintf(to.sun_path + 1, "husk-%d", probe_host.port);

	return connect_to(AF_UNIX, SOCK_STREAM, &to,
			  (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)len));
}

static long connect_vsock(void)
{
	struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_port = 1, .svm_cid = VMADDR_CID_HOST};

	return connect_to(AF_VSOCK, SOCK_STREAM, &to, sizeof(to));
}

/* Only lo, and that is down. */
static long list_interfaces(void)
{
	struct ifreq request = {.ifr_name = "lo"};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);
	struct if_nameindex *all;
	long nr = 0;

	if (fd < 0 || ioctl(fd, SIOCGIFFLAGS, &request))
		return -errno;
	all = if_nameindex(); /* musl: whatever goes wrong is ENOBUFS */
	if (!all)
		return -errno;
	while (all[nr].if_index)
		nr++;
	if (nr == 1 && strcmp(all[0].if_name, "lo") != 0)
		nr = 2;
	if_freenameindex(all);
	return nr == 1 && !(request.ifr_flags & IFF_UP) ? 0 : nr;
}

static long raise_interface(void)
{
	struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
	int fd = socket(AF_INET, SOCK_DGRAM, 0);

	return fd < 0 ? -errno : sys(ioctl(fd, SIOCSIFFLAGS, &request));
}

static long raw_socket(void)
{
	return sys(socket(AF_INET, SOCK_RAW, IPPROTO_ICMP));
}

static long packet_socket(void)
{
	return sys(socket(AF_PACKET, SOCK_RAW, htons(3)));
}

/*
 * Processes.
 */

static long signal_victim(void)
{
	return sys(kill(probe_host.victim, 0));
}

static long signal_supervisor(void)
{
	return sys(syscall(SYS_tgkill, probe_host.supervisor, probe_host.supervisor, 0));
}

static long signal_all(void)
{
	return sys(kill(-1, 0));
}

/* host.py catches it and says so, all others ignore it. */
static long signal_group(void)
{
	return sys(kill(0, SIGURG));
}

static long see_parent(void)
{
	/* The VM's own is nobody it can name. An attack may be in a child of it. */
	return getpid() == 1 ? getppid() : getppid() - 1;
}

static long trace_victim(void)
{
	return sys(ptrace(PTRACE_SEIZE, probe_host.victim, 0, 0));
}

static long read_victim(void)
{
	char byte;
	struct iovec to = {&byte, 1}, from = {&byte, 1};

	return sys(process_vm_readv(probe_host.victim, &to, 1, &from, 1, 0));
}

static long hold_victim(void)
{
	return sys(syscall(SYS_pidfd_open, probe_host.victim, 0));
}

static long limit_victim(void)
{
	struct rlimit limit;

	return sys(prlimit(probe_host.victim, RLIMIT_CPU, NULL, &limit));
}

static long move_victim(void)
{
	cpu_set_t set;

	return sys(sched_getaffinity(probe_host.victim, sizeof(set), &set));
}

static long real_time(void)
{
	struct sched_param param = {.sched_priority = 1};

	return sys(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &param)); /* musl refuses */
}

static long high_priority(void)
{
	return sys(setpriority(PRIO_PROCESS, 0, -20));
}

/*
 * System V and POSIX IPC.
 */

static long shm_by_key(void)
{
	return sys(shmget(probe_host.key, 1, 0));
}

static long shm_by_id(void)
{
	return (long)shmat(probe_host.shm, NULL, SHM_RDONLY) == -1 ? -errno : 1;
}

static long msg_by_key(void)
{
	return sys(msgget(probe_host.key, 0));
}

static long sem_by_key(void)
{
	return sys(semget(probe_host.key, 1, 0));
}

static long queue_by_name(void)
{
	char name[32];

	snprintf(name, sizeof(name), "/husk-%d", probe_host.port);
	return sys(mq_open(name, O_RDONLY));
}

static long create_queue(void)
{
	return sys(mq_open("/husk-attack", O_CREAT | O_RDWR, 0600, NULL));
}

const struct attack attacks_others[] = {
	{"TCP to the host", connect_tcp, BOTH, {-ENETUNREACH, -EACCES, -EMFILE, END}},
	{"UDP to the host", connect_udp, BOTH, {-ENETUNREACH, -EMFILE, END}},
	{"TCP over IPv6 to the host",
	 connect_tcp6,
	 BOTH,
	 {-ENETUNREACH, -EADDRNOTAVAIL, -EACCES, -EAFNOSUPPORT, -EMFILE, END}},
	{"an abstract socket of the host",
	 connect_abstract,
	 BOTH,
	 {-ECONNREFUSED, -EPERM, -EMFILE, END}},
	/* Not in a namespace: where the host has a vsock, the filters alone keep it. */
	{"vsock to the host",
	 connect_vsock,
	 BOTH,
	 {-EAFNOSUPPORT, -ENODEV, -ECONNRESET, -EINPROGRESS, -EMFILE, END}},
	{"list interfaces", list_interfaces, BOTH, {0, -EMFILE, END}},
	{"raise an interface", raise_interface, BOTH, {-EPERM, -EMFILE, END}},
	{"a raw socket", raw_socket, BOTH, {-EPERM, -EMFILE, END}},
	{"a packet socket", packet_socket, BOTH, {-EPERM, -EAFNOSUPPORT, -EMFILE, END}},

	{"signal a process", signal_victim, BOTH, {-ESRCH, END}},
	{"signal the supervisor", signal_supervisor, BOTH, {-ESRCH, END}},
	{"signal all processes", signal_all, BOTH, {-ESRCH, -EPERM, END}},
	/* Itself is in the group; whether host.py got it is for the test to see. */
	{"signal the process group", signal_group, BOTH, {0, -EPERM, END}},
	{"see the parent", see_parent, BOTH, {0, END}},
	{"trace a process", trace_victim, BOTH, {-ESRCH, END}},
	{"read a process", read_victim, BOTH, {-ESRCH, END}},
	{"hold a process", hold_victim, BOTH, {-ESRCH, -EMFILE, END}},
	{"limit a process", limit_victim, BOTH, {-ESRCH, END}},
	{"move a process", move_victim, BOTH, {-ESRCH, END}},
	{"real-time priority", real_time, BOTH, {-EPERM, END}},
	{"high priority", high_priority, BOTH, {-EACCES, -EPERM, END}},

	{"shared memory by key", shm_by_key, BOTH, {-ENOENT, END}},
	{"shared memory by number", shm_by_id, BOTH, {-EINVAL, -EIDRM, END}},
	{"messages by key", msg_by_key, BOTH, {-ENOENT, END}},
	{"semaphores by key", sem_by_key, BOTH, {-ENOENT, END}},
	{"a message queue by name", queue_by_name, BOTH, {-ENOENT, -EMFILE, END}},
	{"create a message queue", create_queue, LIMITED, {-EMFILE, END}},
	{0},
};
