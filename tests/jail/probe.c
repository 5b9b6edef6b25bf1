/* SPDX-License-Identifier: Apache-2.0 */
#include "probe.h"

#include <errno.h>
#include <linux/filter.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

#include "confine.h"
#include "event_loop.h"
#include "isolate.h"
#include "machine.h"
#include "seccomp.h"
#include "seccomp_print.h"
#include "supervise.h"
#include "util.h"
#include "vm.h"

#define STEP_WORDS_MAX 8
#define VCPUS_MAX 8

static char script[4096], place[16];
static bool dump;

struct probe_host probe_host;

/* What the names in a script stand for. */
static struct seccomp_fds fds;
static int vcpu_fds[VCPUS_MAX], vm_fd = -1, kvm_fd = -1;
static pid_t own_pid;
static uint8_t *low; /* below 4 GiB, so that the 32-bit entry can be given it */

void probe_print(const char *fmt, ...)
{
	char line[512];
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(line, sizeof(line) - 1, fmt, args);
	va_end(args);
	len = MIN(len, (int)sizeof(line) - 2);
	line[len++] = '\n';
	syscall(SYS_write, STDERR_FILENO, line, len);
}

static const char *const error_names[] = {
#include "errno_names.inc" /* made from <errno.h>: [1] = "EPERM", ... */
};

const char *probe_result(long result, char buffer[24])
{
	const unsigned long error = -(unsigned long)result;

	snprintf(buffer, 24, "%ld", result);
	return error < ARRAY_SIZE(error_names) && error_names[error] ? error_names[error] : buffer;
}

/* Before main: husk wipes its environment. */
static void __attribute__((constructor)) read_script(void)
{
	const char *text = getenv("HUSK_PROBE"), *host = getenv("HUSK_PROBE_HOST");

	if (host)
		sscanf(host, "%d %d %d %d", &probe_host.victim, &probe_host.port, &probe_host.key,
		       &probe_host.shm);
	probe_host.supervisor = getpid();
	if (!text || strlen(text) >= sizeof(script))
		return;
	if (sscanf(text, "%15s %4095[^\n]", place, script) == 2)
		dump = strstr(script, "dump");
	low = mmap(NULL, 8192, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_32BIT, -1,
		   0);
}

/*
 * Steps.
 */

static int find_fd(const char *name)
{
	static const char *const uses[] = {
		[SECCOMP_FD_EPOLL] = "epoll",	  [SECCOMP_FD_EVENT] = "event",
		[SECCOMP_FD_IRQ] = "irq",	  [SECCOMP_FD_NOTICE] = "notice",
		[SECCOMP_FD_INPUT] = "input",	  [SECCOMP_FD_OUTPUT] = "output",
		[SECCOMP_FD_LOG] = "log",	  [SECCOMP_FD_TERMINAL] = "terminal",
		[SECCOMP_FD_DISK_RO] = "disk-ro", [SECCOMP_FD_DISK] = "disk",
		[SECCOMP_FD_RING] = "ring",	  [SECCOMP_FD_TAP] = "tap",
		[SECCOMP_FD_SOCKET] = "socket",	  [SECCOMP_FD_PROCESS] = "process",
		[SECCOMP_FD_SIGNALS] = "signals", [SECCOMP_FD_VERDICT] = "verdict",
		[SECCOMP_FD_STATS] = "stats"};
	unsigned int i;

	for (i = 0; i < fds.nr; i++)
		if (!strcmp(uses[fds.fds[i].use], name))
			return fds.fds[i].fd;
	return -1;
}

/* The first 4 KiB of the low page are zero, the second hold what names stand for. */
static bool resolve(const char *word, long *ret_value)
{
	struct iovec *iov = (void *)(low + 4096);
	char *path = (char *)low + 4200, *end;
	int fd = find_fd(word);

	*ret_value = strtol(word, &end, 0);
	if (!*end)
		return true;
	*iov = (struct iovec){low, 1};
	strcpy(path, "/etc/passwd");
	if (fd >= 0)
		*ret_value = fd;
	else if (!strncmp(word, "vcpu", 4))
		*ret_value = vcpu_fds[word[4] - '0'];
	else if (!strcmp(word, "vm"))
		*ret_value = vm_fd;
	else if (!strcmp(word, "kvm"))
		*ret_value = kvm_fd;
	else if (!strcmp(word, "pid"))
		*ret_value = own_pid;
	else if (!strcmp(word, "buf"))
		*ret_value = (long)low;
	else if (!strcmp(word, "iov"))
		*ret_value = (long)iov;
	else if (!strcmp(word, "path"))
		*ret_value = (long)path;
	else
		return false;
	return true;
}

static long call_64(long number, const long args[6])
{
	register long r10 __asm__("r10") = args[3];
	register long r8 __asm__("r8") = args[4];
	register long r9 __asm__("r9") = args[5];
	long result;

	__asm__ volatile("syscall"
			 : "=a"(result)
			 : "a"(number), "D"(args[0]), "S"(args[1]), "d"(args[2]), "r"(r10), "r"(r8),
			   "r"(r9)
			 : "rcx", "r11", "memory");
	return result;
}

static long call_32(long number, const long args[6])
{
	long result;

	__asm__ volatile("int $0x80"
			 : "=a"(result)
			 : "a"(number), "b"(args[0]), "c"(args[1]), "d"(args[2]), "S"(args[3]),
			   "D"(args[4])
			 : "r8", "r9", "r10", "r11", "memory");
	return result;
}

static void run_step(char *step, bool limited)
{
	char *words[STEP_WORDS_MAX] = {0}, *state, *word, buffer[24];
	long number, args[6] = {0};
	unsigned int i, nr = 0;

	for (word = strtok_r(step, " ", &state); word && nr < STEP_WORDS_MAX;
	     word = strtok_r(NULL, " ", &state))
		words[nr++] = word;
	if (nr == 1 && !strcmp(words[0], "attacks")) {
		attacks_run(limited);
		return;
	}
	if (nr == 1 && !strcmp(words[0], "overrun")) {
		volatile unsigned int past = STEP_WORDS_MAX;

		probe_print("probe: read %p", (void *)words[past]);
	}
	if (nr < 2)
		return;
	for (i = 1; i < nr; i++) {
		if (!resolve(words[i], i == 1 ? &number : &args[i - 2])) {
			probe_print("probe: no %s here", words[i]);
			return;
		}
	}
	probe_print("probe: %s %s", words[0],
		    probe_result(words[0][0] == 'i' ? call_32(number, args) : call_64(number, args),
				 buffer));
}

static void run_script(const char *here)
{
	static atomic_flag done = ATOMIC_FLAG_INIT;
	char *state, *step;

	if (strcmp(here, place) != 0 || atomic_flag_test_and_set(&done))
		return;
	for (step = strtok_r(script, ";", &state); step; step = strtok_r(NULL, ";", &state))
		run_step(step, strcmp(here, "jail") != 0);
	probe_print("probe: done");
}

/* For tests/bench/jail. */
static void took(const char *what, const char *who, uint64_t start_ns)
{
	uint64_t end_ns = clock_now_ns();

	if (!strcmp(place, "time"))
		probe_print("time %s: %s: %llu", who, what,
			    (unsigned long long)(end_ns - start_ns));
}

/* What the kernel gets, or the printer decodes; a vCPU's has its descriptor in it by then. */
static void dump_filter(const char *what, const struct seccomp_filter *filter, int vcpu_fd)
{
	static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
	static char hex[64 * 1024];
	struct sock_filter insn;
	size_t len = 0;
	unsigned int i;

	pthread_mutex_lock(&lock);
	for (i = 0; i < filter->nr && len < sizeof(hex) - 20; i++) {
		insn = filter->insns[i];
		if (filter->kind == SECCOMP_VCPU && i == filter->vcpu_fd_at)
			insn.k = (uint32_t)vcpu_fd;
		len += (size_t)sprintf(hex + len, "%04x%02x%02x%08x", insn.code, insn.jt, insn.jf,
				       insn.k);
	}
	dprintf(STDERR_FILENO, "filter %s %u %s\n", what, filter->nr, hex);
	pthread_mutex_unlock(&lock);
}

/*
 * Where the linker puts the probe: --wrap.
 */

void __real_seccomp_fds_add(struct seccomp_fds *all, enum seccomp_use use, int fd, uint64_t size,
			    const char *name);
void __wrap_seccomp_fds_add(struct seccomp_fds *all, enum seccomp_use use, int fd, uint64_t size,
			    const char *name);
int __real_seccomp_apply(const struct seccomp_filter *filter, int vcpu_fd, const char *thread);
int __wrap_seccomp_apply(const struct seccomp_filter *filter, int vcpu_fd, const char *thread);
int __real_seccomp_print(FILE *out, const struct seccomp_filter *filter,
			 const struct seccomp_fds *all, int vcpu_fd);
int __wrap_seccomp_print(FILE *out, const struct seccomp_filter *filter,
			 const struct seccomp_fds *all, int vcpu_fd);
int __real_seccomp_compile(enum seccomp_kind kind, enum seccomp_mode mode,
			   const struct seccomp_fds *all, struct seccomp_filter *ret_filter);
int __wrap_seccomp_compile(enum seccomp_kind kind, enum seccomp_mode mode,
			   const struct seccomp_fds *all, struct seccomp_filter *ret_filter);
int __real_isolate_make(void);
int __wrap_isolate_make(void);
int __real_supervise(const struct supervise_spec *spec, struct supervised *ret_child);
int __wrap_supervise(const struct supervise_spec *spec, struct supervised *ret_child);
int __real_supervise_enter(struct supervised *child);
int __wrap_supervise_enter(struct supervised *child);
int __real_confine_limits(void);
/* With what there is to wait for the supervisor. */
int __wrap_supervise_enter(struct supervised *child)
{
	uint64_t start = clock_now_ns();
	int err = __real_supervise_enter(child);

	took("enter the jail", "main", start);
	return err;
}

int __wrap_confine_limits(void);
int __real_vm_init(struct vm *vm, int fd);
int __wrap_vm_init(struct vm *vm, int fd);
int __real_machine_load(struct machine *machine);
int __wrap_machine_load(struct machine *machine);
int __real_event_loop_run(struct event_loop *loop);
int __wrap_event_loop_run(struct event_loop *loop);
bool __real_bus_write(const struct bus *bus, uint64_t addr, const void *data, unsigned int len);
bool __wrap_bus_write(const struct bus *bus, uint64_t addr, const void *data, unsigned int len);

void __wrap_seccomp_fds_add(struct seccomp_fds *all, enum seccomp_use use, int fd, uint64_t size,
			    const char *name)
{
	__real_seccomp_fds_add(all, use, fd, size, name);
	__real_seccomp_fds_add(&fds, use, fd, size, name);
}

int __wrap_seccomp_apply(const struct seccomp_filter *filter, int vcpu_fd, const char *thread)
{
	unsigned int number;
	uint64_t start;
	int err;

	own_pid = getpid();
	if (sscanf(thread, "vcpu%u", &number) == 1 && number < VCPUS_MAX)
		vcpu_fds[number] = vcpu_fd;
	if (dump && filter->insns)
		dump_filter(thread, filter, vcpu_fd);
	start = clock_now_ns();
	err = __real_seccomp_apply(filter, vcpu_fd, thread);
	took("load the filter", thread, start);
	if (filter->kind == SECCOMP_SUPERVISOR)
		run_script("supervisor");
	return err;
}

int __wrap_seccomp_print(FILE *out, const struct seccomp_filter *filter,
			 const struct seccomp_fds *all, int vcpu_fd)
{
	if (dump)
		dump_filter(filter->kind == SECCOMP_VCPU ? "vcpu0" : "main", filter, vcpu_fd);
	return __real_seccomp_print(out, filter, all, vcpu_fd);
}

int __wrap_seccomp_compile(enum seccomp_kind kind, enum seccomp_mode mode,
			   const struct seccomp_fds *all, struct seccomp_filter *ret_filter)
{
	static const char *const kinds[] = {[SECCOMP_VCPU] = "vcpu0",
					    [SECCOMP_LOOP] = "main",
					    [SECCOMP_SUPERVISOR] = "supervisor"};
	uint64_t start = clock_now_ns();
	int err = __real_seccomp_compile(kind, mode, all, ret_filter);

	took("compile the filter", kinds[kind], start);
	return err;
}

int __wrap_isolate_make(void)
{
	uint64_t start = clock_now_ns();
	int err = __real_isolate_make();

	took("make the jail", "supervisor", start);
	return err;
}

/* Until the child goes on. */
int __wrap_supervise(const struct supervise_spec *spec, struct supervised *ret_child)
{
	uint64_t start = clock_now_ns();
	int err = __real_supervise(spec, ret_child);

	took("fork the VM", "main", start);
	return err;
}

int __wrap_confine_limits(void)
{
	uint64_t start = clock_now_ns();
	int err = __real_confine_limits();

	took("limits", "main", start);
	return err;
}

int __wrap_vm_init(struct vm *vm, int fd)
{
	int err = __real_vm_init(vm, fd);

	vm_fd = vm->fd;
	kvm_fd = vm->kvm_fd;
	return err;
}

int __wrap_machine_load(struct machine *machine)
{
	run_script("jail");
	return __real_machine_load(machine);
}

int __wrap_event_loop_run(struct event_loop *loop)
{
	run_script("loop");
	return __real_event_loop_run(loop);
}

bool __wrap_bus_write(const struct bus *bus, uint64_t addr, const void *data, unsigned int len)
{
	run_script("vcpu");
	return __real_bus_write(bus, addr, data, len);
}
