/* SPDX-License-Identifier: Apache-2.0 */
#include "test_seccomp.h"

#include <seccomp.h>

#include <errno.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stdio.h>
#include <stdlib.h>

#include "seccomp_policy.h"
#include "seccomp_print.h"

/* What a filter reads as; to be freed. */
static char *print(const struct seccomp_filter *filter, const struct seccomp_fds *fds, int *ret_err)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	*ret_err = seccomp_print(out, filter, fds, FD_VCPU);
	fclose(out);
	return text;
}

static void assert_prints(enum seccomp_kind kind, enum seccomp_mode mode, const char *expected)
{
	struct seccomp_filter filter;
	struct seccomp_fds fds;
	char *text;
	int err;

	fds_fill(&fds);
	assert_int_equal(seccomp_compile(kind, mode, &fds, &filter), 0);
	text = print(&filter, &fds, &err);
	assert_int_equal(err, 0);
	assert_string_equal(text, expected);
	free(text);
	seccomp_filter_fini(&filter);
}

#define REST \
	"  any other call: reported by SIGSYS, which ends the process\n" \
	"  an x32 call: kills the process\n" \
	"  a 32-bit call (int 0x80): kills the process\n"

/* All of the policy, word for word: what changes there has to be changed here as well. */
static const char *const texts[SECCOMP_KINDS] = {
	[SECCOMP_VCPU] = "vCPU thread: 8 system calls, 11 rules\n"
			 "  write(fd 2 \"log\", any, any)\n"
			 "  write(fd 41 \"kick event\", any, any)\n"
			 "  write(fd 42 \"disk irq\", any, any)\n"
			 "  poll(any, int 1, any)\n"
			 "  ioctl(fd 54 \"vCPU\", KVM_RUN, 0)\n"
			 "  pread64(fd 61 \"counters\", any, any, any)\n"
			 "  exit(any)\n"
			 "  futex(any, FUTEX_WAIT_PRIVATE, any, any, any, any)\n"
			 "  futex(any, FUTEX_WAKE_PRIVATE, any, any, any, any)\n"
			 "  restart_syscall()\n"
			 "  clock_gettime(CLOCK_MONOTONIC, any)\n" REST,
	[SECCOMP_LOOP] = "main thread: 22 system calls, 38 rules\n"
			 "  read(fd 41 \"kick event\", any, any)\n"
			 "  read(fd 43 \"timer\", any, any)\n"
			 "  read(fd 44 \"stdin\", any, any)\n"
			 "  write(fd 2 \"log\", any, any)\n"
			 "  write(fd 41 \"kick event\", any, any)\n"
			 "  write(fd 42 \"disk irq\", any, any)\n"
			 "  write(fd 45 \"stdout\", any, any)\n"
			 "  write(fd 60 \"verdict\", any, any)\n"
			 "  close(any)\n"
			 "  poll(any, int 1, any)\n"
			 "  ioctl(fd 46 \"tty\", TCGETS, any)\n"
			 "  ioctl(fd 46 \"tty\", TCSETS, any)\n"
			 "  ioctl(fd 46 \"tty\", TCSETSW, any)\n"
			 "  ioctl(fd 46 \"tty\", TCSETSF, any)\n"
			 "  ioctl(fd 46 \"tty\", TIOCGWINSZ, any)\n"
			 "  ioctl(fd 50 \"tap0\", TUNSETOFFLOAD, any)\n"
			 "  pread64(fd 61 \"counters\", any, any, any)\n"
			 "  readv(fd 50 \"tap0\", any, any)\n"
			 "  writev(fd 50 \"tap0\", any, any)\n"
			 "  madvise(any, any, MADV_DONTNEED)\n"
			 "  recvfrom(fd 51 \"passt\", any, any, MSG_DONTWAIT, 0, any)\n"
			 "  sendmsg(fd 51 \"passt\", any, MSG_DONTWAIT | MSG_NOSIGNAL)\n"
			 "  fdatasync(fd 48 \"data\")\n"
			 "  futex(any, FUTEX_WAIT_PRIVATE, any, any, any, any)\n"
			 "  futex(any, FUTEX_WAKE_PRIVATE, any, any, any, any)\n"
			 "  restart_syscall()\n"
			 "  clock_gettime(CLOCK_MONOTONIC, any)\n"
			 "  exit_group(any)\n"
			 "  epoll_ctl(fd 40 \"loop\", EPOLL_CTL_ADD, any, any)\n"
			 "  epoll_ctl(fd 40 \"loop\", EPOLL_CTL_DEL, any, any)\n"
			 "  epoll_ctl(fd 40 \"loop\", EPOLL_CTL_MOD, any, any)\n"
			 "  epoll_pwait(fd 40 \"loop\", any, any, any, 0, any)\n"
			 "  fallocate(fd 48 \"data\", FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE, "
			 "< size 4294971392, <= size 4294971392)\n"
			 "  fallocate(fd 48 \"data\", FALLOC_FL_KEEP_SIZE | FALLOC_FL_ZERO_RANGE, "
			 "< size 4294971392, <= size 4294971392)\n"
			 "  preadv(fd 47 \"root\", any, any, < size 65536, any)\n"
			 "  preadv(fd 48 \"data\", any, any, < size 4294971392, any)\n"
			 "  pwritev(fd 48 \"data\", any, any, < size 4294971392, any)\n"
			 "  io_uring_enter(fd 49 \"data\", any, int 0, int 0, 0, any)\n" REST,
	[SECCOMP_SUPERVISOR] = "supervisor: 11 system calls, 14 rules\n"
			       "  read(fd 53 \"signals\", any, any)\n"
			       "  write(fd 2 \"log\", any, any)\n"
			       "  poll(any, int 1, any)\n"
			       "  ioctl(fd 46 \"tty\", TCGETS, any)\n"
			       "  ioctl(fd 46 \"tty\", TCSETS, any)\n"
			       "  ioctl(fd 46 \"tty\", TCSETSW, any)\n"
			       "  ioctl(fd 46 \"tty\", TCSETSF, any)\n"
			       "  wait4(any, any, any, any)\n"
			       "  kill(itself, SIGSTOP)\n"
			       "  restart_syscall()\n"
			       "  clock_gettime(CLOCK_MONOTONIC, any)\n"
			       "  exit_group(any)\n"
			       "  epoll_pwait(fd 40 \"loop\", any, any, any, 0, any)\n"
			       "  pidfd_send_signal(fd 52 \"VM\", any, 0, int 0)\n" REST,
};

static void the_whole_policy(void **state)
{
	enum seccomp_kind kind;

	(void)state;
	for (kind = 0; kind < SECCOMP_KINDS; kind++)
		assert_prints(kind, SECCOMP_ENFORCE, texts[kind]);
}

static unsigned int calls_of(const char *kind, const char *text)
{
	const char *at = strstr(text, kind);

	assert_non_null(at);
	return (unsigned int)atoi(at + strlen(kind));
}

static void few_calls_are_enough(void **state)
{
	char *text = NULL;
	size_t size;
	FILE *out = open_memstream(&text, &size);

	(void)state;
	assert_int_equal(seccomp_print_all(out), 0);
	fclose(out);
	assert_in_range(calls_of("vCPU thread: ", text), 1, 8);
	assert_in_range(calls_of("main thread: ", text), 1, 22);
	assert_in_range(calls_of("supervisor: ", text), 1, 11);
	free(text);
}

static void modes_are_told(void **state)
{
	struct seccomp_filter off = {.kind = SECCOMP_LOOP, .mode = SECCOMP_OFF};
	struct seccomp_fds fds = {.nr = 0};
	char expected[2048], *text;
	const char *rest = strstr(texts[SECCOMP_VCPU], "  any other call");
	int err;

	(void)state;
	snprintf(expected, sizeof(expected), "%.*s%s", (int)(rest - texts[SECCOMP_VCPU]),
		 texts[SECCOMP_VCPU],
		 "  any other call: is made, and logged by the kernel\n"
		 "  an x32 call: kills the process\n"
		 "  a 32-bit call (int 0x80): kills the process\n");
	assert_prints(SECCOMP_VCPU, SECCOMP_LOG, expected);
	text = print(&off, &fds, &err);
	assert_int_equal(err, 0);
	assert_string_equal(text, "no filter: every system call is allowed\n");
	free(text);
}

/* A VM without something has no calls for it; many descriptors make for long jumps. */
static void as_many_rules_as_descriptors(void **state)
{
	struct seccomp_fds fds = {.nr = 0};
	struct seccomp_filter filter;
	char *text;
	int i, err;

	(void)state;
	for (i = 0; i < 190; i++)
		seccomp_fds_add(&fds, SECCOMP_FD_EVENT, 10 + i, 0, "event");
	assert_int_equal(seccomp_compile(SECCOMP_LOOP, SECCOMP_ENFORCE, &fds, &filter), 0);
	text = print(&filter, &fds, &err);
	assert_int_equal(err, 0);
	/* read and write; and close, madvise, poll, futex (2), clock_gettime, restart_syscall,
	 * exit_group */
	assert_memory_equal(text, "main thread: 9 system calls, 388 rules\n", 39);
	assert_non_null(strstr(text, "  read(fd 10 \"event event\", any, any)\n"));
	assert_non_null(strstr(text, "  write(fd 199 \"event event\", any, any)\n"));
	assert_null(strstr(text, "pwritev"));
	free(text);
	seccomp_filter_fini(&filter);
}

/*
 * Filters that are not husk's.
 */

/* A program out of libseccomp, with one rule. */
static struct seccomp_filter foreign(int call, const struct scmp_arg_cmp *condition,
				     unsigned int nr_conditions)
{
	struct seccomp_filter filter = {.kind = SECCOMP_LOOP};
	scmp_filter_ctx ctx = seccomp_init(SCMP_ACT_ERRNO(1));
	int fd = memfd_create("filter", MFD_CLOEXEC);
	const size_t size = 256 * sizeof(*filter.insns);

	assert_int_equal(
		seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, call, nr_conditions, condition), 0);
	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	filter.insns = malloc(size);
	filter.nr =
		(unsigned int)((size_t)pread(fd, filter.insns, size, 0) / sizeof(*filter.insns));
	close(fd);
	seccomp_release(ctx);
	return filter;
}

static void a_hole_shows(void **state)
{
	static const struct {
		int call;
		unsigned int nr_conditions;
		struct scmp_arg_cmp condition;
		const char *text;
	} holes[] = {
		{SCMP_SYS(openat), 0, {0}, "1 rules\n  openat(any, any, any, any, any, any)\n"},
		{SCMP_SYS(write), 1, {0, SCMP_CMP_EQ, 7, 0}, "1 rules\n  write(fd 7, any, any)\n"},
		{SCMP_SYS(write),
		 1,
		 {0, SCMP_CMP_GE, 7, 0},
		 "1 rules\n  write(0x7 to 0xffffffffffffffff, any, any)\n"},
		{SCMP_SYS(write),
		 1,
		 {2, SCMP_CMP_GT, GIB(8), 0},
		 "1 rules\n  write(any, any, 0x200000001 to 0xffffffffffffffff)\n"},
		{SCMP_SYS(pwritev),
		 1,
		 {3, SCMP_CMP_LE, GIB(5), 0},
		 "1 rules\n  pwritev(any, any, any, <= 5368709120, any)\n"},
		{SCMP_SYS(mmap),
		 1,
		 {2, SCMP_CMP_MASKED_EQ, 4, 0},
		 "1 rules\n  mmap(any, any, any, any, any, any) if argument 3 & 0x4 is 0x0\n"},
		{SCMP_SYS(socket),
		 1,
		 {0, SCMP_CMP_MASKED_EQ, 0xff00000000, 0x1200000000},
		 "1 rules\n  socket(any, any, any, any, any, any) if argument 1 & 0xff00000000 "
		 "is 0x1200000000\n"},
		{SCMP_SYS(kill), 1, {1, SCMP_CMP_EQ, 9, 0}, "1 rules\n  kill(any, 9)\n"},
		{SCMP_SYS(kill),
		 1,
		 {1, SCMP_CMP_MASKED_EQ, UINT32_MAX, 9},
		 "1 rules\n  kill(any, int 9)\n"},
		{SCMP_SYS(futex),
		 1,
		 {1, SCMP_CMP_NE, 5, 0},
		 "2 rules\n"
		 "  futex(any, <= 4294967295, any, any, any, any) if argument 2 & 0xffffffff is "
		 "not 0x5\n"
		 "  futex(any, 0x100000000 to 0xffffffffffffffff, any, any, any, any)\n"},
		{1000, 0, {0}, "1 rules\n  ?(any, any, any, any, any, any) number 0x3e8\n"},
	};
	struct seccomp_fds fds = {.nr = 0};
	char expected[512], *text;
	size_t i;
	int err;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(holes); i++) {
		struct seccomp_filter filter =
			foreign(holes[i].call, &holes[i].condition, holes[i].nr_conditions);

		snprintf(expected, sizeof(expected), "main thread: 1 system calls, %s%s",
			 holes[i].text,
			 "  any other call: ends in action 0x50001\n"
			 "  an x32 call: kills the thread\n"
			 "  a 32-bit call (int 0x80): kills the thread\n");
		text = print(&filter, &fds, &err);
		assert_int_equal(err, 0);
		assert_string_equal(text, expected);
		free(text);
		seccomp_filter_fini(&filter);
	}
}

#define LOAD(field) BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, field))
#define JUMP(op, k, jt, jf) BPF_JUMP(BPF_JMP | (op) | BPF_K, k, jt, jf)
#define RET(action) BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_##action)

/* Decodes a program made by hand; its text starts with `expected`. */
static void check_program(struct sock_filter *insns, unsigned int nr, int expected_err,
			  const char *expected)
{
	struct seccomp_filter filter = {.kind = SECCOMP_LOOP, .insns = insns, .nr = nr};
	struct seccomp_fds fds = {.nr = 0};
	int err;
	char *text = print(&filter, &fds, &err);

	assert_int_equal(err, expected_err);
	if (strncmp(text, expected, strlen(expected)) != 0)
		assert_string_equal(text, expected);
	free(text);
}

static void other_instructions(void **state)
{
	struct sock_filter allows_all[] = {RET(ALLOW)};
	/* All but clone with a flag in 0x10; by a jump further than a branch can. */
	struct sock_filter by_set[] = {
		LOAD(nr),
		JUMP(BPF_JEQ, 56, 1, 0),
		RET(TRAP),
		LOAD(args[0]),
		JUMP(BPF_JSET, 0x10, 0, 1),
		RET(TRAP),
		BPF_STMT(BPF_JMP | BPF_JA, 1),
		RET(KILL),
		RET(ALLOW),
	};
	/* A number beyond those that exist, and one of x32. */
	struct sock_filter odd_numbers[] = {
		LOAD(nr),
		JUMP(BPF_JGT, 0x12344, 0, 1),
		JUMP(BPF_JGE, 0x12346, 0, 2),
		JUMP(BPF_JEQ, 0x40000005, 1, 0),
		RET(TRAP),
		RET(ALLOW),
	};
	struct sock_filter alien[] = {
		LOAD(arch),
		JUMP(BPF_JEQ, AUDIT_ARCH_I386, 0, 1),
		RET(ALLOW),
		RET(TRAP),
	};
	/* What cannot be is not followed: more than 5, and 5. */
	struct sock_filter impossible[] = {
		LOAD(args[0]), JUMP(BPF_JGT, 5, 0, 2), JUMP(BPF_JEQ, 5, 0, 1), RET(ALLOW),
		RET(TRAP),
	};

	(void)state;
	check_program(allows_all, 1, 0, "main thread: 1");
	check_program(by_set, ARRAY_SIZE(by_set), 0,
		      "main thread: 1 system calls, 1 rules\n"
		      "  clone(any, any, any, any, any, any) if argument 1 & 0x10 is 0x0\n");
	check_program(odd_numbers, ARRAY_SIZE(odd_numbers), 0,
		      "main thread: 2 system calls, 2 rules\n"
		      "  ?(any, any, any, any, any, any) number 0x12345\n"
		      "  ?(any, any, any, any, any, any) number 0x40000005\n");
	check_program(alien, ARRAY_SIZE(alien), 0,
		      "main thread: 0 system calls, 0 rules\n"
		      "  any other call: reported by SIGSYS, which ends the process\n"
		      "  an x32 call: reported by SIGSYS, which ends the process\n"
		      "  a 32-bit call (int 0x80): is allowed\n");
	check_program(impossible, ARRAY_SIZE(impossible), 0,
		      "main thread: 0 system calls, 0 rules\n");
}

static void what_cannot_be_decoded_is_told(void **state)
{
	struct sock_filter endless[] = {LOAD(nr)};
	struct sock_filter outside[] = {BPF_STMT(BPF_JMP | BPF_JA, UINT32_MAX), RET(TRAP)};
	struct sock_filter adds[] = {LOAD(nr), BPF_STMT(BPF_ALU | BPF_ADD | BPF_K, 1), RET(ALLOW)};
	struct sock_filter half_number[] = {LOAD(nr), BPF_STMT(BPF_ALU | BPF_AND | BPF_K, 0xff),
					    RET(ALLOW)};
	struct sock_filter address[] = {
		BPF_STMT(BPF_LD | BPF_W | BPF_ABS,
			 offsetof(struct seccomp_data, instruction_pointer)),
		RET(ALLOW)};

	(void)state;
	check_program(endless, 1, -EINVAL, "cannot decode the filter: instruction 0: ");
	check_program(outside, 2, -EINVAL, "cannot decode the filter: instruction 0: ");
	check_program(adds, 3, -EINVAL, "cannot decode the filter: instruction 1: ");
	check_program(half_number, 3, -EOPNOTSUPP, "cannot decode the filter: instruction 1: ");
	check_program(address, 2, -EINVAL, "cannot decode the filter: instruction 0: ");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_whole_policy),
		cmocka_unit_test(few_calls_are_enough),
		cmocka_unit_test(modes_are_told),
		cmocka_unit_test(as_many_rules_as_descriptors),
		cmocka_unit_test(a_hole_shows),
		cmocka_unit_test(other_instructions),
		cmocka_unit_test(what_cannot_be_decoded_is_told),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
