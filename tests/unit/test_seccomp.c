/* SPDX-License-Identifier: Apache-2.0 */
#include "test_seccomp.h"

#include <errno.h>
#include <linux/falloc.h>
#include <linux/filter.h>
#include <linux/futex.h>
#include <linux/if_tun.h>
#include <linux/io_uring.h>
#include <linux/kvm.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <sys/uio.h>
#include <termios.h>

#define ANY_ADDRESS 0x1000

static const char *const names[] = {"vcpu0", "main", "supervisor"};

/*
 * Children.
 */

/* How a child ended, and what it wrote to its log. */
struct ended {
	int status;
	char text[1024];
};

static void move_fd(int from, int to)
{
	assert_true(from >= 0);
	assert_int_equal(dup2(from, to), to);
	close(from);
}

static int disk_make(uint64_t size)
{
	int fd = memfd_create("disk", MFD_CLOEXEC);

	assert_int_equal(ftruncate(fd, (off_t)size), 0);
	return fd;
}

/* In a child: makes what fds_fill says. */
static void open_all(int log_fd)
{
	int pair[2];
	sigset_t none;

	sigemptyset(&none);
	dup2(log_fd, STDERR_FILENO);
	move_fd(epoll_create1(0), FD_EPOLL);
	move_fd(eventfd(0, EFD_NONBLOCK), FD_EVENT);
	move_fd(eventfd(0, EFD_NONBLOCK), FD_IRQ);
	move_fd(timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK), FD_NOTICE);
	assert_int_equal(pipe2(pair, O_NONBLOCK), 0);
	move_fd(pair[0], FD_INPUT);
	move_fd(pair[1], FD_INPUT_FEED);
	assert_int_equal(pipe2(pair, O_NONBLOCK), 0);
	move_fd(pair[1], FD_OUTPUT);
	move_fd(pair[0], FD_OUTPUT_END);
	/* No device: what is allowed fails in a way of its own. */
	move_fd(eventfd(0, EFD_NONBLOCK), FD_TERMINAL);
	move_fd(disk_make(KIB(64)), FD_DISK_RO);
	move_fd(disk_make(8), FD_STATS);
	move_fd(eventfd(0, EFD_NONBLOCK), FD_VERDICT);
	move_fd(disk_make(DISK_SIZE), FD_DISK);
	move_fd(eventfd(0, EFD_NONBLOCK), FD_RING);
	move_fd(eventfd(0, EFD_NONBLOCK), FD_TAP);
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, pair), 0);
	move_fd(pair[0], FD_SOCKET);
	move_fd(pair[1], FD_SOCKET_PEER);
	move_fd((int)syscall(SYS_pidfd_open, getpid(), 0), FD_PROCESS);
	move_fd(signalfd(-1, &none, SFD_NONBLOCK), FD_SIGNALS);
	move_fd(eventfd(0, EFD_NONBLOCK), FD_VCPU);
	move_fd(eventfd(0, EFD_NONBLOCK), FD_OTHER_VCPU);
	move_fd(eventfd(0, EFD_NONBLOCK), FD_NONE);
}

static void confine(enum seccomp_kind kind, enum seccomp_mode mode, int vcpu_fd)
{
	struct seccomp_filter filter;
	struct seccomp_fds fds;

	fds_fill(&fds);
	if (seccomp_prepare(mode) || seccomp_compile(kind, mode, &fds, &filter) ||
	    seccomp_apply(&filter, vcpu_fd, names[kind]))
		_exit(99);
}

/* What a thread of this kind may end by. */
static void __attribute__((noreturn)) leave(enum seccomp_kind kind, int status)
{
	for (;;)
		syscall(kind == SECCOMP_VCPU ? SYS_exit : SYS_exit_group, status);
}

/* Has a child under a filter call `work`, which gives the status to exit with. */
static struct ended run_child(enum seccomp_kind kind, enum seccomp_mode mode,
			      int (*work)(const void *arg), const void *arg)
{
	int log_fd = memfd_create("log", MFD_CLOEXEC);
	struct ended ended = {0};
	pid_t pid;

	assert_true(log_fd >= 0);
	pid = fork();
	if (!pid) {
		prctl(PR_SET_DUMPABLE, 0); /* no core file */
		open_all(log_fd);
		confine(kind, mode, FD_VCPU);
		leave(kind, work(arg));
	}
	assert_int_equal(waitpid(pid, &ended.status, 0), pid);
	assert_true(pread(log_fd, ended.text, sizeof(ended.text) - 1, 0) >= 0);
	close(log_fd);
	return ended;
}

static void assert_killed(const struct ended *ended)
{
	assert_true(WIFSIGNALED(ended->status));
	assert_int_equal(WTERMSIG(ended->status), SIGSYS);
}

static void assert_exited(const struct ended *ended)
{
	if (ended->status)
		print_error("status %#x: %s\n", (unsigned int)ended->status, ended->text);
	assert_int_equal(ended->status, 0);
}

/* A system call, as it is. */
struct call {
	unsigned int kinds;
	long nr;
	long args[6];
};

static long make_call(const struct call *call)
{
	const long *args = call->args;

	return syscall(call->nr, args[0], args[1], args[2], args[3], args[4], args[5]);
}

static int make_call_work(const void *arg)
{
	make_call(arg);
	return 1; /* it should have died */
}

/*
 * What threads do, by the C library as husk does it. Each step that fails is the exit status.
 */

#define STEP(condition) \
	do { \
		if (!(condition)) \
			return __LINE__ % 200 + 1; \
	} while (0)

/* What every thread does. */
static int common_work(void)
{
	struct timespec now;

	log_error("a line: %s, %.3f", strerror(EIO), 1.5);
	STEP(clock_now_ns() > 0);
	STEP(!syscall(SYS_clock_gettime, CLOCK_MONOTONIC, &now));
	STEP(syscall(SYS_restart_syscall) == -1 && errno == EINTR);
	return 0;
}

static int futex_work(void)
{
	uint32_t word = 1;

	STEP(syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 0, NULL) == -1 && errno == EAGAIN);
	STEP(!syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1));
	return 0;
}

static int vcpu_work(const void *arg)
{
	(void)arg;
	STEP(ioctl(FD_VCPU, KVM_RUN, 0) == -1 && errno == ENOTTY);
	STEP(!eventfd_write(FD_EVENT, 1) && !eventfd_write(FD_IRQ, 1));
	STEP(!futex_work());
	return common_work();
}

static int stream_work(void)
{
	struct pollfd pollfd = {.fd = FD_OUTPUT, .events = POLLOUT};
	struct termios termios = {0};
	struct winsize size;
	eventfd_t count;
	char byte;

	STEP(!eventfd_write(FD_EVENT, 1) && !eventfd_read(FD_EVENT, &count));
	STEP(!eventfd_write(FD_IRQ, 1));
	STEP(read(FD_NOTICE, &count, sizeof(count)) == -1 && errno == EAGAIN);
	STEP(read(FD_INPUT, &byte, 1) == -1 && errno == EAGAIN);
	STEP(poll(&pollfd, 1, 0) == 1 && write(FD_OUTPUT, "x", 1) == 1);
	STEP(ioctl(FD_TERMINAL, TIOCGWINSZ, &size) == -1 && errno == ENOTTY);
	STEP(tcsetattr(FD_TERMINAL, TCSANOW, &termios) == -1 && errno == ENOTTY);
	STEP(tcsetattr(FD_TERMINAL, TCSADRAIN, &termios) == -1 && errno == ENOTTY);
	STEP(tcsetattr(FD_TERMINAL, TCSAFLUSH, &termios) == -1 && errno == ENOTTY);
	return 0;
}

static int disk_work(void)
{
	const int keep = FALLOC_FL_KEEP_SIZE;
	char block[512] = "data";
	struct iovec iov = {block, sizeof(block)};
	const off_t last = (off_t)(DISK_SIZE - sizeof(block));

	STEP(pwritev(FD_DISK, &iov, 1, last) == 512);
	STEP(preadv(FD_DISK, &iov, 1, last) == 512);
	STEP(preadv(FD_DISK, &iov, 1, (off_t)GIB(3)) == 512);
	STEP(preadv(FD_DISK_RO, &iov, 1, (off_t)KIB(64) - 1) == 1);
	STEP(!fdatasync(FD_DISK));
	STEP(syscall(SYS_io_uring_enter, FD_RING, 1, 0, 0, NULL, 8) == -1 && errno != EPERM);
	STEP(!fallocate(FD_DISK, FALLOC_FL_PUNCH_HOLE | keep, 0, (off_t)DISK_SIZE));
	STEP(fallocate(FD_DISK, FALLOC_FL_ZERO_RANGE | keep, last, 512) == -1 &&
	     errno == EOPNOTSUPP);
	return 0;
}

static int net_work(void)
{
	char frame[64] = "frame";
	struct iovec iov = {frame, sizeof(frame)};
	struct msghdr msg = {.msg_iov = &iov, .msg_iovlen = 1};
	uint64_t one = 1;

	STEP(recv(FD_SOCKET, frame, sizeof(frame), MSG_DONTWAIT) == -1 && errno == EAGAIN);
	STEP(sendmsg(FD_SOCKET, &msg, MSG_DONTWAIT | MSG_NOSIGNAL) == sizeof(frame));
	STEP(ioctl(FD_TAP, TUNSETOFFLOAD, 0ul) == -1 && errno == ENOTTY);
	iov = (struct iovec){&one, sizeof(one)};
	STEP(writev(FD_TAP, &iov, 1) == sizeof(one) && readv(FD_TAP, &iov, 1) == sizeof(one));
	return 0;
}

static int epoll_work(void)
{
	struct epoll_event event = {.events = EPOLLIN};

	STEP(!epoll_ctl(FD_EPOLL, EPOLL_CTL_ADD, FD_INPUT, &event));
	STEP(!epoll_ctl(FD_EPOLL, EPOLL_CTL_MOD, FD_INPUT, &event));
	STEP(!epoll_pwait(FD_EPOLL, &event, 1, 0, NULL));
	STEP(!epoll_ctl(FD_EPOLL, EPOLL_CTL_DEL, FD_INPUT, &event));
	return 0;
}

static int end_work(void)
{
	uint64_t word = 1;

	STEP(pread(FD_STATS, &word, sizeof(word), 0) == sizeof(word));
	word = 1;
	STEP(write(FD_VERDICT, &word, sizeof(word)) == sizeof(word));
	STEP(!madvise(NULL, 0, MADV_DONTNEED));
	STEP(!close(FD_DISK) && !close(FD_OUTPUT));
	return 0;
}

static int loop_work(const void *arg)
{
	int (*const works[])(void) = {stream_work, disk_work,	net_work, epoll_work,
				      futex_work,  common_work, end_work};
	int status = 0;
	size_t i;

	(void)arg;
	for (i = 0; !status && i < ARRAY_SIZE(works); i++)
		status = works[i]();
	return status;
}

static int supervisor_work(const void *arg)
{
	struct pollfd none = {.fd = -1};
	struct signalfd_siginfo info;
	struct termios termios = {0};

	(void)arg;
	STEP(waitpid(-1, NULL, WNOHANG) == -1 && errno == ECHILD);
	STEP(read(FD_SIGNALS, &info, sizeof(info)) == -1 && errno == EAGAIN);
	STEP(!poll(&none, 1, 0));
	STEP(!syscall(SYS_pidfd_send_signal, FD_PROCESS, 0, NULL, 0));
	STEP(tcsetattr(FD_TERMINAL, TCSANOW, &termios) == -1 && errno == ENOTTY);
	STEP(tcsetattr(FD_TERMINAL, TCSADRAIN, &termios) == -1 && errno == ENOTTY);
	return common_work();
}

static int (*const works[])(const void *arg) = {vcpu_work, loop_work, supervisor_work};

static void threads_do_their_work(void **state)
{
	static const enum seccomp_mode modes[] = {SECCOMP_ENFORCE, SECCOMP_LOG, SECCOMP_OFF};
	enum seccomp_kind kind;
	size_t i;

	(void)state;
	for (kind = 0; kind < SECCOMP_KINDS; kind++) {
		for (i = 0; i < ARRAY_SIZE(modes); i++) {
			struct ended ended = run_child(kind, modes[i], works[kind], NULL);

			assert_exited(&ended);
			assert_string_equal(ended.text,
					    "husk: a line: Input/output error, 1.500\n");
		}
	}
}

/*
 * What they may not do.
 */

#define VCPU (1u << SECCOMP_VCPU)
#define LOOP (1u << SECCOMP_LOOP)
#define WAIT (1u << SECCOMP_SUPERVISOR)
#define ALL (VCPU | LOOP | WAIT)

#define PUNCH (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE)
#define TO_PEER (MSG_DONTWAIT | MSG_NOSIGNAL)
#define PAST_INT 0x100000000

static const struct call forbidden[] = {
	{ALL, SYS_openat, {AT_FDCWD, ANY_ADDRESS, O_RDWR}},
	{ALL, SYS_open, {ANY_ADDRESS}},
	{ALL, SYS_socket, {AF_INET, SOCK_STREAM}},
	{ALL, SYS_connect, {FD_SOCKET, ANY_ADDRESS, 16}},
	{ALL, SYS_execve, {ANY_ADDRESS}},
	{ALL, SYS_clone, {SIGCHLD}},
	{ALL, SYS_clone3, {ANY_ADDRESS, 88}},
	{ALL, SYS_mmap, {0, 4096, PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1}},
	{ALL, SYS_mprotect, {ANY_ADDRESS, 4096, PROT_EXEC}},
	{ALL, SYS_brk, {0}},
	{ALL, SYS_madvise, {ANY_ADDRESS, 4096, MADV_NORMAL}},
	{VCPU | WAIT, SYS_madvise, {ANY_ADDRESS, 4096, MADV_DONTNEED}},
	{VCPU | WAIT, SYS_close, {FD_NONE}},
	{VCPU | WAIT, SYS_write, {FD_VERDICT, ANY_ADDRESS, 1}},
	{ALL, SYS_pread64, {FD_DISK, ANY_ADDRESS, 8, 0}},
	{WAIT, SYS_pread64, {FD_STATS, ANY_ADDRESS, 8, 0}},
	{VCPU, SYS_epoll_pwait, {FD_EPOLL, ANY_ADDRESS, 1, 0, 0}},
	{LOOP | WAIT, SYS_epoll_pwait, {FD_EPOLL, ANY_ADDRESS, 1, 0, ANY_ADDRESS}},
	{ALL, SYS_epoll_wait, {FD_EPOLL, ANY_ADDRESS, 1, 0}},
	{ALL, SYS_dup2, {FD_NONE, FD_EVENT}},
	{ALL, SYS_fcntl, {FD_EVENT, F_SETFL, 0}},
	{ALL, SYS_prctl, {PR_GET_DUMPABLE}},
	{ALL, SYS_rt_sigaction, {SIGSYS}},
	{ALL, SYS_rt_sigprocmask, {0}},
	{ALL, SYS_io_uring_setup, {1, ANY_ADDRESS}},
	{ALL, SYS_ptrace, {0}},
	{ALL, SYS_unshare, {CLONE_NEWUSER}},
	{ALL, SYS_getppid, {0}},
	{ALL, SYS_tgkill, {1, 1, SIGKILL}},
	{ALL, 999, {1, 2, 3, 4, 5, 6}},
	{ALL, -1, {0}},
	/* Descriptors that are for others, or for nobody. */
	{ALL, SYS_write, {FD_NONE, ANY_ADDRESS, 1}},
	{ALL, SYS_write, {99, ANY_ADDRESS, 1}},
	{ALL, SYS_write, {FD_DISK, ANY_ADDRESS, 1}},
	{ALL, SYS_write, {FD_VCPU, ANY_ADDRESS, 1}},
	{ALL, SYS_read, {FD_NONE, ANY_ADDRESS, 1}},
	{ALL, SYS_read, {FD_LOG, ANY_ADDRESS, 1}},
	{ALL, SYS_read, {FD_SOCKET, ANY_ADDRESS, 1}},
	{VCPU, SYS_read, {FD_EVENT, ANY_ADDRESS, 8}},
	{VCPU | LOOP, SYS_read, {FD_IRQ, ANY_ADDRESS, 8}},
	{VCPU, SYS_write, {FD_OUTPUT, ANY_ADDRESS, 1}},
	{WAIT, SYS_write, {FD_EVENT, ANY_ADDRESS, 8}},
	/* Values that are not the ones. */
	{VCPU, SYS_ioctl, {FD_OTHER_VCPU, KVM_RUN, 0}},
	{VCPU, SYS_ioctl, {FD_VCPU, KVM_RUN, 1}},
	{VCPU, SYS_ioctl, {FD_VCPU, KVM_RUN, PAST_INT}},
	{VCPU, SYS_ioctl, {FD_VCPU, KVM_GET_REGS, ANY_ADDRESS}},
	{LOOP | WAIT, SYS_ioctl, {FD_VCPU, KVM_RUN, 0}},
	{ALL, SYS_ioctl, {FD_TERMINAL, TIOCSTI, ANY_ADDRESS}},
	{ALL, SYS_ioctl, {FD_EVENT, TIOCGWINSZ, ANY_ADDRESS}},
	{ALL, SYS_ioctl, {FD_TAP, TUNSETIFF, ANY_ADDRESS}},
	{VCPU | WAIT, SYS_ioctl, {FD_TAP, TUNSETOFFLOAD, 0}},
	{VCPU | LOOP, SYS_futex, {ANY_ADDRESS, FUTEX_WAIT, 0}},
	{VCPU | LOOP, SYS_futex, {ANY_ADDRESS, FUTEX_CMP_REQUEUE_PI_PRIVATE}},
	{ALL, SYS_poll, {ANY_ADDRESS, 2, 0}},
	{ALL, SYS_clock_gettime, {CLOCK_PROCESS_CPUTIME_ID, ANY_ADDRESS}},
	{LOOP, SYS_epoll_ctl, {FD_EPOLL, 4, FD_INPUT, ANY_ADDRESS}},
	{LOOP, SYS_epoll_ctl, {FD_NONE, EPOLL_CTL_ADD, FD_INPUT, ANY_ADDRESS}},
	{LOOP, SYS_preadv, {FD_DISK, ANY_ADDRESS, 1, DISK_SIZE}},
	{LOOP, SYS_preadv, {FD_DISK_RO, ANY_ADDRESS, 1, KIB(64)}},
	{LOOP, SYS_preadv, {FD_DISK_RO, ANY_ADDRESS, 1, GIB(4)}},
	{LOOP, SYS_pwritev, {FD_DISK, ANY_ADDRESS, 1, DISK_SIZE}},
	{LOOP, SYS_pwritev, {FD_DISK, ANY_ADDRESS, 1, 2 * GIB(4)}},
	{LOOP, SYS_pwritev, {FD_DISK, ANY_ADDRESS, 1, -1}},
	{LOOP, SYS_pwritev, {FD_DISK_RO, ANY_ADDRESS, 1, 0}},
	{LOOP, SYS_fdatasync, {FD_DISK_RO}},
	{LOOP, SYS_fallocate, {FD_DISK, 0, 0, 512}},
	{LOOP, SYS_fallocate, {FD_DISK, FALLOC_FL_COLLAPSE_RANGE, 0, 512}},
	{LOOP, SYS_fallocate, {FD_DISK, PUNCH, DISK_SIZE, 512}},
	{LOOP, SYS_fallocate, {FD_DISK, PUNCH, 0, DISK_SIZE + 1}},
	{LOOP, SYS_fallocate, {FD_DISK_RO, PUNCH, 0, 512}},
	{LOOP, SYS_io_uring_enter, {FD_DISK, 1, 0, 0, 0}},
	{LOOP, SYS_io_uring_enter, {FD_RING, 1, 1, 0, 0}},
	{LOOP, SYS_io_uring_enter, {FD_RING, 1, 0, IORING_ENTER_GETEVENTS, 0}},
	{LOOP, SYS_io_uring_enter, {FD_RING, 1, 0, IORING_ENTER_REGISTERED_RING, 0}},
	{LOOP, SYS_io_uring_enter, {FD_RING, 1, 0, 0, ANY_ADDRESS}},
	{LOOP, SYS_io_uring_register, {FD_RING, IORING_REGISTER_FILES_UPDATE, ANY_ADDRESS, 1}},
	{VCPU | WAIT, SYS_io_uring_enter, {FD_RING, 1, 0, 0, 0}},
	{ALL, SYS_io_uring_setup, {1, ANY_ADDRESS}},
	{LOOP, SYS_recvfrom, {FD_SOCKET, ANY_ADDRESS, 1, 0}},
	{LOOP, SYS_recvfrom, {FD_SOCKET, ANY_ADDRESS, 1, MSG_DONTWAIT, ANY_ADDRESS}},
	{LOOP, SYS_sendmsg, {FD_SOCKET, ANY_ADDRESS, TO_PEER | MSG_FASTOPEN}},
	{LOOP, SYS_sendmsg, {FD_SOCKET_PEER, ANY_ADDRESS, TO_PEER}},
	{VCPU, SYS_preadv, {FD_DISK, ANY_ADDRESS, 1, 0}},
	{VCPU, SYS_exit_group, {0}},
	{LOOP | WAIT, SYS_exit, {0}},
	{VCPU | LOOP, SYS_kill, {1, SIGSTOP}},
	{WAIT, SYS_kill, {1, SIGSTOP}},
	{WAIT, SYS_kill, {-1, SIGSTOP}},
	{WAIT, SYS_kill, {0, SIGSTOP}},
	{WAIT, SYS_pidfd_send_signal, {FD_PROCESS, SIGTERM, 0, 1}},
	{WAIT, SYS_pidfd_send_signal, {FD_PROCESS, SIGTERM, 1, 0}},
	{WAIT, SYS_pidfd_send_signal, {FD_NONE, SIGTERM, 0, 0}},
};

static void check_report(enum seccomp_kind kind, const struct call *call, const char *text)
{
	const unsigned long *args = (const unsigned long *)call->args;
	char head[64], tail[256];
	const char *name;

	snprintf(head, sizeof(head), "husk: seccomp: thread %s may not call ", names[kind]);
	snprintf(tail, sizeof(tail),
		 "(0x%lx, 0x%lx, 0x%lx, 0x%lx, 0x%lx, 0x%lx), number %u; the VM is ended\n",
		 args[0], args[1], args[2], args[3], args[4], args[5], (unsigned int)call->nr);
	assert_memory_equal(text, head, strlen(head));
	name = text + strlen(head);
	assert_string_equal(name + strcspn(name, "("), tail);
	if (call->nr == SYS_openat)
		assert_memory_equal(name, "openat(", 7);
	if (call->nr == 999 || call->nr == -1)
		assert_memory_equal(name, "?(", 2);
}

static void the_rest_is_fatal(void **state)
{
	enum seccomp_kind kind;
	size_t i;

	(void)state;
	for (kind = 0; kind < SECCOMP_KINDS; kind++) {
		for (i = 0; i < ARRAY_SIZE(forbidden); i++) {
			const struct call *call = &forbidden[i];
			struct ended ended;

			if (!(call->kinds & 1u << kind))
				continue;
			ended = run_child(kind, SECCOMP_ENFORCE, make_call_work, call);
			if (!WIFSIGNALED(ended.status))
				print_error("%s survived row %zu, call %ld\n", names[kind], i,
					    call->nr);
			assert_killed(&ended);
			check_report(kind, call, ended.text);
		}
	}
}

/* The upper half of an int's register means nothing, to the kernel and to the filter. */
static int wide_int_work(const void *arg)
{
	uint64_t one = 1;

	(void)arg;
	STEP(syscall(SYS_write, FD_EVENT | PAST_INT, &one, sizeof(one)) == sizeof(one));
	return 0;
}

static void an_int_has_32_bits(void **state)
{
	struct ended ended = run_child(SECCOMP_VCPU, SECCOMP_ENFORCE, wide_int_work, NULL);

	(void)state;
	assert_exited(&ended);
}

static int own_pid_work(const void *arg)
{
	return (int)syscall(SYS_kill, getpid(), *(const int *)arg);
}

static void a_supervisor_stops_itself_only(void **state)
{
	static const int term = SIGTERM;
	int log_fd = memfd_create("log", MFD_CLOEXEC), status, pid = fork();
	struct ended ended;

	(void)state;
	if (!pid) {
		int self = getpid(); /* is not allowed later */

		open_all(log_fd);
		confine(SECCOMP_SUPERVISOR, SECCOMP_ENFORCE, -1);
		kill(self, SIGSTOP);
		leave(SECCOMP_SUPERVISOR, 0);
	}
	close(log_fd);
	assert_int_equal(waitpid(pid, &status, WUNTRACED), pid);
	assert_true(WIFSTOPPED(status));
	kill(pid, SIGCONT);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	ended = run_child(SECCOMP_SUPERVISOR, SECCOMP_ENFORCE, own_pid_work, &term);
	assert_killed(&ended);
}

/*
 * Other ways to call.
 */

#ifdef __x86_64__
static int int80_work(const void *arg)
{
	long ret = 20; /* getpid */

	(void)arg;
	__asm__ volatile("int $0x80" : "+a"(ret) : : "r8", "r9", "r10", "r11", "memory");
	return ret > 0 ? 0 : 1;
}

static void int80_is_fatal(void **state)
{
	struct ended ended = run_child(SECCOMP_LOOP, SECCOMP_OFF, int80_work, NULL);
	enum seccomp_kind kind;

	(void)state;
	if (ended.status)
		skip(); /* this kernel has none */
	for (kind = 0; kind < SECCOMP_KINDS; kind++) {
		ended = run_child(kind, SECCOMP_ENFORCE, int80_work, NULL);
		assert_killed(&ended);
		assert_string_equal(ended.text, "");
		ended = run_child(kind, SECCOMP_LOG, int80_work, NULL);
		assert_killed(&ended);
	}
}
#endif

static void x32_is_fatal(void **state)
{
	static const struct call calls[] = {
		{ALL, 0x40000000 | SYS_write, {FD_LOG, ANY_ADDRESS, 0}},
		{ALL, 0x40000000 | SYS_exit, {0}},
		{ALL, 0x40000000 | SYS_exit_group, {0}},
	};
	enum seccomp_kind kind;
	size_t i;

	(void)state;
	for (kind = 0; kind < SECCOMP_KINDS; kind++) {
		for (i = 0; i < ARRAY_SIZE(calls); i++) {
			struct ended ended =
				run_child(kind, SECCOMP_ENFORCE, make_call_work, &calls[i]);

			assert_killed(&ended);
			assert_string_equal(ended.text, "");
		}
	}
}

/*
 * The report, and the end.
 */

static int log_mode_work(const void *arg)
{
	(void)arg;
	STEP(getppid() > 0);
	STEP(write(FD_NONE, "12345678", 8) == 8);
	return 0;
}

static void log_mode_lets_through(void **state)
{
	enum seccomp_kind kind;

	(void)state;
	for (kind = 0; kind < SECCOMP_KINDS; kind++) {
		struct ended ended = run_child(kind, SECCOMP_LOG, log_mode_work, NULL);

		assert_exited(&ended);
		assert_string_equal(ended.text, "");
	}
}

/* PID 1 of a namespace is spared the signals that it does not handle, but not this one. */
static void pid_1_dies_too(void **state)
{
	int log_fd = memfd_create("log", MFD_CLOEXEC), status;
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		if (unshare(CLONE_NEWPID) && unshare(CLONE_NEWUSER | CLONE_NEWPID))
			_exit(77);
		pid = fork();
		if (!pid) {
			if (getpid() != 1)
				_exit(1);
			open_all(log_fd);
			confine(SECCOMP_LOOP, SECCOMP_ENFORCE, -1);
			leave(SECCOMP_LOOP, make_call_work(&forbidden[0]));
		}
		if (waitpid(pid, &status, 0) != pid)
			_exit(1);
		_exit(WIFSIGNALED(status) && WTERMSIG(status) == SIGSYS ? 0 : 2);
	}
	close(log_fd);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	if (WEXITSTATUS(status) == 77)
		skip(); /* this host has no PID namespaces for this user */
	assert_int_equal(WEXITSTATUS(status), 0);
}

static void a_sigsys_that_was_sent_kills(void **state)
{
	int log_fd = memfd_create("log", MFD_CLOEXEC), status;
	char text[64];
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		open_all(log_fd);
		confine(SECCOMP_LOOP, SECCOMP_LOG, -1);
		kill(getpid(), SIGSYS);
		leave(SECCOMP_LOOP, 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	/* What is only logged does not kill it again: it says the same by its status. */
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 128 + SIGSYS);
	assert_int_equal(pread(log_fd, text, sizeof(text), 0), 0);
	close(log_fd);
}

/* A blocked SIGSYS is not inherited: there would be no report. */
static void a_blocked_sigsys_is_unblocked(void **state)
{
	struct ended ended;
	sigset_t set, old;

	(void)state;
	sigemptyset(&set);
	sigaddset(&set, SIGSYS);
	sigprocmask(SIG_BLOCK, &set, &old);
	ended = run_child(SECCOMP_LOOP, SECCOMP_ENFORCE, make_call_work, &forbidden[0]);
	sigprocmask(SIG_SETMASK, &old, NULL);
	assert_killed(&ended);
	check_report(SECCOMP_LOOP, &forbidden[0], ended.text);
}

/*
 * vCPUs.
 */

struct vcpu_thread {
	const struct seccomp_filter *filter;
	int fd;
	const char *name;
	pthread_barrier_t *barrier;
	bool misbehaves;
};

static void *vcpu_main(void *arg)
{
	struct vcpu_thread *thread = arg;

	/* The one that will be reported is not the one that came last. */
	if (!thread->misbehaves)
		pthread_barrier_wait(thread->barrier);
	if (seccomp_apply(thread->filter, thread->fd, thread->name) ||
	    ioctl(thread->fd, KVM_RUN, 0) != -1 || errno != ENOTTY)
		log_error("%s cannot run", thread->name);
	if (thread->misbehaves)
		pthread_barrier_wait(thread->barrier);
	pthread_barrier_wait(thread->barrier);
	if (thread->misbehaves)
		ioctl(FD_VCPU, KVM_RUN, 0); /* the other one's */
	syscall(SYS_exit, 0);
	return NULL;
}

static void each_vcpu_has_its_own_descriptor(void **state)
{
	int log_fd = memfd_create("log", MFD_CLOEXEC);
	struct ended ended = {0};
	pid_t pid = fork();

	(void)state;
	if (!pid) {
		struct seccomp_filter filter;
		pthread_barrier_t barrier;
		struct vcpu_thread threads[] = {
			{&filter, FD_VCPU, "vcpu0", &barrier, false},
			{&filter, FD_OTHER_VCPU, "vcpu1", &barrier, true},
		};
		struct seccomp_fds fds;
		pthread_t ids[2];

		open_all(log_fd);
		fds_fill(&fds);
		pthread_barrier_init(&barrier, NULL, 2);
		if (seccomp_prepare(SECCOMP_ENFORCE) ||
		    seccomp_compile(SECCOMP_VCPU, SECCOMP_ENFORCE, &fds, &filter) ||
		    pthread_create(&ids[0], NULL, vcpu_main, &threads[0]) ||
		    pthread_create(&ids[1], NULL, vcpu_main, &threads[1]))
			_exit(99);
		sleep(10);
		_exit(98);
	}
	assert_int_equal(waitpid(pid, &ended.status, 0), pid);
	assert_true(pread(log_fd, ended.text, sizeof(ended.text) - 1, 0) > 0);
	close(log_fd);
	assert_killed(&ended);
	assert_non_null(strstr(ended.text, "husk: seccomp: thread vcpu1 may not call ioctl("));
	assert_null(strstr(ended.text, "vcpu0"));
	assert_null(strstr(ended.text, "cannot run"));
}

static void too_many_descriptors(void **state)
{
	struct seccomp_filter filter;
	struct seccomp_fds fds = {.nr = 0};
	int i, log_fd = memfd_create("log", MFD_CLOEXEC), saved = dup(STDERR_FILENO);

	(void)state;
	for (i = 0; i < SECCOMP_FDS_MAX; i++)
		seccomp_fds_add(&fds, SECCOMP_FD_EVENT, 10 + i, 0, "event");
	assert_int_equal(seccomp_compile(SECCOMP_LOOP, SECCOMP_ENFORCE, &fds, &filter), 0);
	seccomp_filter_fini(&filter);
	seccomp_fds_add(&fds, SECCOMP_FD_EVENT, 10 + i, 0, "event");
	move_fd(log_fd, STDERR_FILENO);
	i = seccomp_compile(SECCOMP_LOOP, SECCOMP_ENFORCE, &fds, &filter);
	move_fd(saved, STDERR_FILENO);
	assert_int_equal(i, -EMFILE);
	assert_null(filter.insns);
}

#ifdef __has_feature
#if __has_feature(thread_sanitizer)
#define __SANITIZE_THREAD__
#endif
#endif

int main(void)
{
#ifdef __SANITIZE_THREAD__
	/* It has a thread of its own, with calls of its own, which outlives a vCPU's. */
	return 0;
#endif
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(threads_do_their_work),
		cmocka_unit_test(the_rest_is_fatal),
		cmocka_unit_test(an_int_has_32_bits),
		cmocka_unit_test(a_supervisor_stops_itself_only),
#ifdef __x86_64__
		cmocka_unit_test(int80_is_fatal),
#endif
		cmocka_unit_test(x32_is_fatal),
		cmocka_unit_test(log_mode_lets_through),
		cmocka_unit_test(pid_1_dies_too),
		cmocka_unit_test(a_sigsys_that_was_sent_kills),
		cmocka_unit_test(a_blocked_sigsys_is_unblocked),
		cmocka_unit_test(each_vcpu_has_its_own_descriptor),
		cmocka_unit_test(too_many_descriptors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
