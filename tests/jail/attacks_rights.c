/* SPDX-License-Identifier: Apache-2.0 */
/* Attacks on what a process may do: ids, capabilities, limits, keys, and the kernel's doors. */
#include "attacks.h"

#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/bpf.h>
#include <linux/capability.h>
#include <linux/io_uring.h>
#include <linux/keyctl.h>
#include <linux/perf_event.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/io.h>
#include <sys/klog.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/quota.h>
#include <sys/reboot.h>
#include <sys/resource.h>
#include <sys/swap.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timex.h>
#include <unistd.h>

#include "probe.h"
#include "util.h"

/*
 * Privileges.
 */

static long host_name(void)
{
	char name[65];

	return gethostname(name, sizeof(name)) || strcmp(name, "husk") != 0;
}

static long set_host_name(void)
{
	return sys(sethostname("x", 1));
}

static long become_root(void)
{
	return sys(setresuid(0, 0, 0));
}

static long become_root_group(void)
{
	return sys(setresgid(0, 0, 0));
}

static long join_groups(void)
{
	gid_t groups[] = {0};

	return sys(setgroups(1, groups));
}

static long has_root_id(void)
{
	uid_t ids[3];

	getresuid(&ids[0], &ids[1], &ids[2]);
	return !(ids[0] && ids[1] && ids[2] && getgroups(0, NULL) <= 1);
}

/* Whether any capability is in any set. */
static long has_capability(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2];
	int cap;

	if (syscall(SYS_capget, &header, data))
		return -errno;
	for (cap = 0; cap < 2; cap++)
		if (data[cap].effective || data[cap].permitted || data[cap].inheritable)
			return 1;
	for (cap = 0; cap < 64; cap++)
		if (prctl(PR_CAPBSET_READ, cap) == 1 ||
		    prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, cap, 0, 0) == 1)
			return 1;
	return 0;
}

static long take_capability(void)
{
	struct __user_cap_header_struct header = {.version = _LINUX_CAPABILITY_VERSION_3};
	struct __user_cap_data_struct data[2] = {{.permitted = 1 << CAP_SYS_CHROOT}};

	return sys(syscall(SYS_capset, &header, data));
}

static long raise_ambient(void)
{
	return sys(prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_RAISE, CAP_NET_ADMIN, 0, 0));
}

static long unlock_securebits(void)
{
	return sys(prctl(PR_SET_SECUREBITS, 0));
}

static long may_gain_privileges(void)
{
	return prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1;
}

static long is_dumpable(void)
{
	return prctl(PR_GET_DUMPABLE);
}

static long raise_limits(void)
{
	const struct rlimit wanted = {RLIM_INFINITY, RLIM_INFINITY};

	return sys(setrlimit(RLIMIT_CORE, &wanted));
}

/* What host.py planted: the session's keys come along by themselves. */
static long read_key(void)
{
	char name[32], secret[32];
	long key;

	snprintf(name, sizeof(name), "husk-%d", probe_host.port);
	key = syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_SESSION_KEYRING, "user", name, 0);
	if (key < 0)
		return -errno;
	return sys(syscall(SYS_keyctl, KEYCTL_READ, key, secret, sizeof(secret)));
}

static long read_user_key(void)
{
	char name[32];

	snprintf(name, sizeof(name), "husk-%d", probe_host.port);
	return sys(syscall(SYS_keyctl, KEYCTL_SEARCH, KEY_SPEC_USER_KEYRING, "user", name, 0));
}

/*
 * The kernel's doors.
 */

static long load_bpf(void)
{
	union bpf_attr attr = {
		.map_type = BPF_MAP_TYPE_ARRAY, .key_size = 4, .value_size = 4, .max_entries = 1};

	return sys(syscall(SYS_bpf, BPF_MAP_CREATE, &attr, sizeof(attr)));
}

/* Of the whole machine. */
static long watch_machine(void)
{
	struct perf_event_attr attr = {.type = PERF_TYPE_SOFTWARE,
				       .size = sizeof(attr),
				       .config = PERF_COUNT_SW_CPU_CLOCK};

	return sys(syscall(SYS_perf_event_open, &attr, -1, 0, -1, 0));
}

static long kernel_faults(void)
{
	return sys(syscall(SYS_userfaultfd, O_CLOEXEC));
}

/* Opens a file by a ring: another way to the same place. */
static long open_by_ring(void)
{
	struct io_uring_params params = {0};
	struct io_uring_sqe *sqes;
	uint8_t *rings;
	int fd = (int)syscall(SYS_io_uring_setup, 1, &params);

	if (fd < 0)
		return -errno;
	rings = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQ_RING);
	sqes = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED, fd, IORING_OFF_SQES);
	if (rings == MAP_FAILED || sqes == MAP_FAILED)
		return -errno;
	sqes[0] = (struct io_uring_sqe){.opcode = IORING_OP_OPENAT,
					.fd = AT_FDCWD,
					.addr = (uintptr_t) "/etc/passwd",
					.open_flags = O_RDONLY};
	*(uint32_t *)(void *)(rings + params.sq_off.array) = 0;
	__atomic_store_n((uint32_t *)(void *)(rings + params.sq_off.tail), 1, __ATOMIC_RELEASE);
	if (syscall(SYS_io_uring_enter, fd, 1, 1, IORING_ENTER_GETEVENTS, NULL, 0) < 0)
		return -errno;
	/* One mapping holds both rings (IORING_FEAT_SINGLE_MMAP, Linux 5.4). */
	return ((struct io_uring_cqe *)(void *)(rings + params.cq_off.cqes))[0].res;
}

static long load_kernel(void)
{
	return sys(syscall(SYS_kexec_load, 0, 0, NULL, 0));
}

static long load_module(void)
{
	return sys(syscall(SYS_init_module, "x", 1, ""));
}

static long add_swap(void)
{
	return sys(swapon("/x", 0));
}

static long restart_host(void)
{
	return sys(reboot(RB_DISABLE_CAD));
}

static long use_all_ports(void)
{
	return sys(iopl(3));
}

static long use_ports(void)
{
	return sys(ioperm(0x70, 2, 1));
}

static long change_quota(void)
{
	return sys(quotactl(QCMD(Q_SYNC, USRQUOTA), "/x", 0, NULL));
}

static long set_clock(void)
{
	struct timeval now;

	gettimeofday(&now, NULL);
	return sys(settimeofday(&now, NULL));
}

static long adjust_clock(void)
{
	struct timex change = {.modes = ADJ_TICK, .tick = 10000};

	return sys(adjtimex(&change));
}

static long open_by_handle(void)
{
	struct {
		struct file_handle handle;
		uint8_t bytes[8];
	} file = {.handle = {.handle_bytes = 8, .handle_type = 1}};

	return sys(open_by_handle_at(STDIN_FILENO, &file.handle, O_RDONLY));
}

static long account(void)
{
	return sys(acct("/x"));
}

static long watch_files(void)
{
	return sys(syscall(SYS_fanotify_init, 0, O_RDONLY));
}

static long switch_kernel_log(void)
{
	return sys(klogctl(7 /* SYSLOG_ACTION_CONSOLE_ON */, NULL, 0));
}

/* The loader is reached: no layer below the filters keeps a program in memory from running. */
static long run_from_memory(void)
{
	char *const none[] = {NULL};
	int fd = memfd_create("x", 0);

	if (fd < 0)
		return -errno;
	if (write(fd, "x", 1) != 1)
		return 1;
	syscall(SYS_execveat, fd, "", none, none, AT_EMPTY_PATH);
	return -errno;
}

static long dump_core(void)
{
	struct rlimit limit;

	return getrlimit(RLIMIT_CORE, &limit) || limit.rlim_cur || limit.rlim_max;
}

static long fork_once(void)
{
	pid_t pid = fork();

	if (!pid)
		_exit(0);
	return pid < 0 ? -errno : 0;
}

static long duplicate(void)
{
	return sys(dup(STDERR_FILENO));
}

static long make_pipe(void)
{
	int fds[2];

	return sys(pipe(fds));
}

static long lock_memory(void)
{
	void *page = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return sys(mlock(page, 4096));
}

const struct attack attacks_rights[] = {
	{"the host's name", host_name, BOTH, {0, END}},
	{"change the host's name", set_host_name, BOTH, {-EPERM, END}},
	{"become root", become_root, BOTH, {-EPERM, -EINVAL, END}},
	{"become root's group", become_root_group, BOTH, {-EPERM, -EINVAL, END}},
	{"join groups", join_groups, BOTH, {-EPERM, -EINVAL, END}},
	{"root's id", has_root_id, BOTH, {0, END}},
	{"any capability", has_capability, BOTH, {0, END}},
	{"take a capability", take_capability, BOTH, {-EPERM, END}},
	{"raise a capability", raise_ambient, BOTH, {-EPERM, END}},
	{"unlock securebits", unlock_securebits, BOTH, {-EPERM, END}},
	{"gain privileges", may_gain_privileges, BOTH, {0, END}},
	{"be dumped", is_dumpable, BOTH, {0, END}},
	{"a key of the session", read_key, BOTH, {-ENOKEY, -EACCES, -ENOSYS, END}},
	{"a key of the user", read_user_key, BOTH, {-ENOKEY, -EACCES, -ENOSYS, END}},

	{"load a BPF map", load_bpf, BOTH, {-EPERM, -ENOSYS, -EMFILE, END}},
	{"watch the machine", watch_machine, BOTH, {-EPERM, -EACCES, -ENOSYS, -EMFILE, END}},
	{"hold up the kernel", kernel_faults, BOTH, {-EPERM, -ENOSYS, -EMFILE, END}},
	{"open by a ring",
	 open_by_ring,
	 BOTH,
	 {-ENOENT, -EACCES, -EPERM, -ENOSYS, -EMFILE, -ENOMEM, END}},
	{"load a kernel", load_kernel, BOTH, {-EPERM, -ENOSYS, END}},
	{"load a module", load_module, BOTH, {-EPERM, -ENOSYS, END}},
	{"add swap", add_swap, BOTH, {-EPERM, -ENOSYS, END}},
	{"restart the host", restart_host, BOTH, {-EPERM, END}},
	{"use all I/O ports", use_all_ports, BOTH, {-EPERM, -ENOSYS, END}},
	{"use an I/O port", use_ports, BOTH, {-EPERM, -ENOSYS, END}},
	{"change quotas", change_quota, BOTH, {-EPERM, -ENOENT, -ENOSYS, -ENODEV, -EACCES, END}},
	{"set the clock", set_clock, BOTH, {-EPERM, END}},
	{"adjust the clock", adjust_clock, BOTH, {-EPERM, END}},
	{"open by a handle", open_by_handle, BOTH, {-EPERM, -ENOSYS, -EMFILE, END}},
	{"write accounts", account, BOTH, {-EPERM, -ENOSYS, END}},
	{"watch files", watch_files, BOTH, {-EPERM, -ENOSYS, -EMFILE, END}},
	{"switch the kernel's log", switch_kernel_log, BOTH, {-EPERM, END}},
	{"run a program from memory", run_from_memory, BOTH, {-ENOEXEC, -EACCES, -EMFILE, END}},

	{"dump core", dump_core, LIMITED, {0, END}},
	{"raise limits", raise_limits, LIMITED, {-EPERM, END}},
	/* KVM itself makes a thread in the VM's process, late: the filters alone forbid this. */
	{"fork", fork_once, LIMITED, {0, -EAGAIN, END}},
	{"duplicate a descriptor", duplicate, LIMITED, {-EMFILE, END}},
	{"make a pipe", make_pipe, LIMITED, {-EMFILE, END}},
	{"lock memory", lock_memory, LIMITED, {-ENOMEM, -EPERM, -EAGAIN, END}},
	{0},
};
