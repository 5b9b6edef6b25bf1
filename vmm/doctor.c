/* SPDX-License-Identifier: Apache-2.0 */
#include "doctor.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <poll.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "config.h"
#include "cpu_x86.h"
#include "cpuid.h"
#include "doctor_guest.h"
#include "isolate.h"
#include "util.h"
#include "vcpu.h"
#include "vm.h"

#define GUEST_MEMORY MIB(2)
#define GUEST_TIMEOUT_MS 5000
#define SLOW_CREATE_NS 4000000 /* elsewhere it takes some 0.2 ms */

extern const uint8_t doctor_guest[];
extern const uint64_t doctor_guest_size;

struct doctor {
	bool quiet;
	const char *todo;
	char reason[256]; /* the first that no guest can run for; empty: one can */
};

/* What a KVM lacks that stops at this step. */
static const char *const step_names[] = {
	[0] = "the first instruction",
	[DOCTOR_LONG_MODE] = "64-bit mode",
	[DOCTOR_BREAKPOINT] = "INT3 (exceptions in 64-bit mode)",
	[DOCTOR_CMPXCHG16B] = "CMPXCHG16B",
	[DOCTOR_XSAVE] = "FXSAVE and XSAVE",
	[DOCTOR_MSRS] = "model-specific registers and SWAPGS",
	[DOCTOR_USER_MODE] = "user mode and SYSCALL",
};

static void report(const struct doctor *doctor, const char *mark, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void report(const struct doctor *doctor, const char *mark, const char *fmt, ...)
{
	va_list args;

	if (doctor->quiet)
		return;
	printf("%-8s", mark);
	va_start(args, fmt);
	vprintf(fmt, args);
	va_end(args);
	putchar('\n');
}

/* No guest can run: `reason`, and what to do about it. */
static void fail(struct doctor *doctor, const char *todo, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

static void fail(struct doctor *doctor, const char *todo, const char *fmt, ...)
{
	char reason[sizeof(doctor->reason)];
	va_list args;

	va_start(args, fmt);
	vsnprintf(reason, sizeof(reason), fmt, args);
	va_end(args);
	report(doctor, "FAILED", "%s", reason);
	report(doctor, "", "%s", todo);
	if (doctor->todo)
		return;
	memcpy(doctor->reason, reason, sizeof(reason));
	doctor->todo = todo;
}

static int open_kvm(struct doctor *doctor)
{
	int fd = -1, err = vm_open_kvm(&fd);

	if (!err)
		report(doctor, "ok", "/dev/kvm opens");
	else if (err == -ENOENT || err == -ENODEV || err == -ENXIO)
		fail(doctor,
		     "load the module (modprobe kvm_intel or kvm_amd); in a virtual machine, have "
		     "nested virtualisation enabled; in a container, pass the device in",
		     "/dev/kvm is missing");
	else if (err == -EACCES || err == -EPERM)
		fail(doctor,
		     "join its group: usermod -aG kvm \"$USER\", then log in again; or: setfacl -m "
		     "u:\"$USER\":rw /dev/kvm",
		     "no permission to open /dev/kvm");
	else if (err == -ENOTTY)
		fail(doctor, "load the module (modprobe kvm_intel or kvm_amd)",
		     "/dev/kvm is not the KVM device, or not one of API version %d",
		     KVM_API_VERSION);
	else
		fail(doctor, "see the kernel's log (dmesg)", "cannot open /dev/kvm: %s",
		     strerror(-err));
	return fd;
}

static bool check_capabilities(struct doctor *doctor, int kvm_fd)
{
	const struct vm_capability *missing = vm_missing_capability(kvm_fd);

	if (missing)
		fail(doctor, "a newer kernel, or another hypervisor below this machine, has it",
		     "KVM lacks %s", missing->name);
	else
		report(doctor, "ok", "KVM has every capability husk needs");
	return !missing;
}

/*
 * The test guest, on a VM of its own.
 */

struct test_guest {
	struct device port;
	unsigned int step;
	int ended_fd;
};

static void port_read(struct device *device, uint64_t offset, void *ret_data, unsigned int len)
{
	(void)device;
	(void)offset;
	(void)ret_data;
	(void)len;
}

static void port_write(struct device *device, uint64_t offset, const void *data, unsigned int len)
{
	struct test_guest *guest = container_of(device, struct test_guest, port);

	(void)offset;
	(void)len;
	guest->step = *(const uint8_t *)data;
}

static void guest_ended(void *ctx, const struct vcpu *vcpu)
{
	struct test_guest *guest = ctx;

	(void)vcpu;
	eventfd_write(guest->ended_fd, 1);
}

static int guest_build(struct vm *vm, struct vcpu *vcpu, const struct bus *pio,
		       const struct bus *mmio, const struct guest_mem *mem)
{
	struct cpu_start start = {.entry = CPU_ENTRY_LINUX64, .ip = DOCTOR_GUEST_ADDR};
	struct kvm_cpuid2 *cpuid;
	int err = guest_mem_write(mem, DOCTOR_GUEST_ADDR, doctor_guest, doctor_guest_size);

	if (!err)
		err = cpu_x86_write_tables(mem, start.entry);
	if (!err)
		err = vm_set_memory(vm, mem);
	if (!err)
		err = vm_create_irqchip(vm);
	if (!err)
		err = vcpu_init(vcpu, vm, 0, pio, mmio);
	if (!err)
		err = cpuid_ask(vm->kvm_fd, &cpuid);
	if (err)
		return err;
	err = cpu_x86_init(vcpu->fd, 0, 1, cpuid);
	if (!err)
		err = cpu_x86_start(vcpu->fd, &start);
	free(cpuid);
	return err;
}

/* Runs the guest; false if it does not come to an end. */
static bool guest_run(struct test_guest *guest, struct vcpu *vcpu)
{
	struct pollfd ended = {.fd = guest->ended_fd, .events = POLLIN};
	static const struct seccomp_filter no_filter; /* the guest is husk's own */
	static struct vcpu_gate gate;

	vcpu_gate_init(&gate, 1, &no_filter);
	return !vcpu_start(vcpu, &gate, guest_ended, guest) && !vcpu_gate_pass(&gate) &&
	       poll(&ended, 1, GUEST_TIMEOUT_MS) == 1;
}

static void judge_guest(struct doctor *doctor, const struct test_guest *guest,
			const struct vcpu *vcpu, bool ended)
{
	static const char todo[] =
		"64-bit Linux needs real VMX or SVM below it: use a machine with hardware "
		"virtualisation, or enable nested virtualisation for this one";

	if (ended && guest->step == DOCTOR_DONE)
		report(doctor, "ok", "KVM runs a 64-bit guest");
	else
		fail(doctor, todo, "KVM is there, but cannot run 64-bit Linux: it %s at %s",
		     !ended				    ? "hangs"
		     : vcpu->verdict == VCPU_INTERNAL_ERROR ? "has no emulation"
							    : "crashes the guest",
		     guest->step < ARRAY_SIZE(step_names) ? step_names[guest->step]
							  : "nothing known");
}

/*
 * Linux before 6.13 makes a thread for each VM, and puts it into the caller's cgroup by a way that
 * waits for a grace period of RCU, unless cgroups are mounted to favour such moves.
 */
static void judge_speed(const struct doctor *doctor, uint64_t create_ns)
{
	if (create_ns >= SLOW_CREATE_NS)
		report(doctor, "slow",
		       "it took KVM %.1f ms to make a VM, which each start waits for; as root: "
		       "mount -o remount,favordynmods /sys/fs/cgroup",
		       (double)create_ns / 1e6);
}

/* Takes `kvm_fd`. */
static void check_guest(struct doctor *doctor, int kvm_fd)
{
	/* Static: a vCPU that hangs still uses them when this function returns. */
	static struct test_guest guest;
	static struct bus pio, mmio;
	static struct guest_mem mem;
	static struct vcpu vcpu = {.fd = -1};
	static const struct device_ops port_ops = {port_read, port_write};
	struct vm vm;
	uint64_t start_ns, took_ns = 0;
	bool ended = false;
	int err;

	device_init(&guest.port, &port_ops, "doctor");
	guest.ended_fd = eventfd(0, EFD_CLOEXEC);
	err = guest_mem_map(&mem, 0, GUEST_MEMORY);
	if (!err)
		err = bus_add(&pio, DOCTOR_PORT, 1, &guest.port);
	start_ns = clock_now_ns();
	if (!err)
		err = vm_init(&vm, kvm_fd);
	took_ns = clock_now_ns() - start_ns;
	if (!err)
		err = guest_build(&vm, &vcpu, &pio, &mmio, &mem);
	if (err) {
		fail(doctor, "see the message above and the kernel's log (dmesg)",
		     "KVM cannot make a VM: %s", strerror(-err));
		return;
	}
	ended = guest_run(&guest, &vcpu);
	judge_guest(doctor, &guest, &vcpu, ended);
	judge_speed(doctor, took_ns);
}

static void check_jail(struct doctor *doctor)
{
	const char *stage;
	int err = isolate_probe(&stage);

	if (!err)
		report(doctor, "ok", "the jail works for this user");
	else
		fail(doctor, isolate_advice(err), "the jail cannot be built: %s: %s", stage,
		     strerror(-err));
}

/*
 * Networks: useful, not needed.
 */

static void check_tun(const struct doctor *doctor)
{
	cleanup_fd int fd = open("/dev/net/tun", O_RDWR | O_CLOEXEC);

	if (fd >= 0)
		report(doctor, "ok", "/dev/net/tun opens (--net tap=NAME)");
	else if (errno == ENOENT || errno == ENODEV)
		report(doctor, "missing",
		       "/dev/net/tun, for --net tap=NAME; load the module: modprobe tun");
	else
		report(doctor, "missing", "/dev/net/tun cannot be opened, for --net tap=NAME: %s",
		       strerror(errno));
}

static void check_passt(const struct doctor *doctor)
{
	const char *path = getenv("PATH");
	cleanup_free char *folders = strdup(path ? path : "/usr/bin:/bin");
	char program[4096], *folder, *rest = folders;

	while (folders && (folder = strsep(&rest, ":"))) {
		snprintf(program, sizeof(program), "%s/passt", folder);
		if (!access(program, X_OK)) {
			report(doctor, "ok", "%s is there (--net passt)", program);
			return;
		}
	}
	report(doctor, "missing", "passt, for --net passt; install the package \"passt\"");
}

int doctor_run(bool quiet)
{
	struct doctor doctor = {.quiet = quiet};
	cleanup_fd int kvm_fd = open_kvm(&doctor);

	if (kvm_fd >= 0 && check_capabilities(&doctor, kvm_fd))
		check_guest(&doctor, steal_fd(&kvm_fd));
	check_jail(&doctor);
	check_tun(&doctor);
	check_passt(&doctor);
	if (doctor.reason[0] && quiet)
		printf("%s: %s\n", doctor.reason, doctor.todo);
	else if (doctor.reason[0])
		printf("No guest can run here: %s\n", doctor.reason);
	else if (!quiet)
		printf("Guests can run here.\n");
	fflush(stdout);
	return doctor.reason[0] ? CONFIG_EXIT_HUSK : 0;
}
