/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include <errno.h>
#include <linux/kvm.h>
#include <string.h>
#include <unistd.h>

#include "boot_x86.h"
#include "confine.h"
#include "console.h"
#include "ending.h"
#include "guest_link.h"
#include "layout_x86.h"
#include "metrics.h"
#include "payload.h"
#include "power.h"
#include "seccomp.h"
#include "seccomp_print.h"
#include "util.h"
#include "virtio_slots.h"
#include "vm.h"

/* How long the end of a VM waits for what is under way on its disks. */
#define DISKS_END_NS 2000000000ull
#define PLATFORM_DEVICES_MAX (VIRTIO_SLOTS_MAX + 2)

/* Large, and mostly not used: what every VM uses on its way to the guest is in front, together. */
struct machine {
	const struct vm_config *config;
	struct resources *resources;
	struct timeline *timeline;
	struct event_loop loop;
	struct guest_mem mem;
	struct vm vm;
	struct bus pio, mmio;
	unsigned int nr_vcpus;
	struct seccomp_filter vcpu_filter, loop_filter;
	struct vcpu_gate gate;

	struct power power;
	struct virtio_slots virtio;
	uint32_t milestones; /* bit: enum link_milestone_kind, as it was told */

	/* The address and interrupt map, as the guest is told it. */
	struct platform_device devices[PLATFORM_DEVICES_MAX];
	unsigned int nr_devices;

	struct ending ending;
	struct termios terminal;
	bool is_raw;

	struct vcpu vcpus[CONFIG_CPUS_MAX];
	struct console console;
	struct seccomp_fds fds; /* all there are once the VM is made */
	struct guest_link link; /* husk run */
	struct metrics metrics; /* with --timing or --metrics */
};

static bool is_run(const struct machine *machine)
{
	return machine->config->mode == CONFIG_RUN;
}

static void declare(struct machine *machine, enum verdict_kind kind, uint64_t detail)
{
	struct verdict verdict = {.kind = kind, .detail = detail};

	ending_declare(&machine->ending, &verdict);
}

/*
 * What the parts tell the machine.
 */

static void on_power(void *ctx, enum power_event event)
{
	declare(ctx, event == POWER_EVENT_OFF ? VERDICT_POWER_OFF : VERDICT_RESET, 0);
}

static void on_console(void *ctx, enum console_event event)
{
	struct machine *machine = ctx;

	if (event == CONSOLE_HALTED)
		declare(machine, VERDICT_HALT, 0);
	else
		ending_recheck(&machine->ending);
}

static void on_vcpu_end(void *ctx, const struct vcpu *vcpu)
{
	struct machine *machine = ctx;
	struct verdict verdict = {
		.kind = VERDICT_CRASH, .vcpu = vcpu->verdict, .detail = vcpu->detail};

	ending_declare(&machine->ending, &verdict);
}

/* The guest knows how long before init the kernel was where, husk when init started. */
static void on_milestone(struct machine *machine, const struct link_milestone *milestone)
{
	static const char *const names[LINK_MILESTONES] = {
		[LINK_KERNEL_STARTS] = "kernel has a clock",
		[LINK_KERNEL_MEMORY] = "kernel: memory",
		[LINK_KERNEL_CPUS] = "kernel: CPUs",
		[LINK_KERNEL_DONE] = "kernel is up",
	};
	uint64_t init_ns = metrics_init_ns(&machine->metrics), before;
	uint32_t bit = 1u << milestone->which;

	/* Each once: what husk itself has to say needs its room. */
	if (machine->milestones & bit)
		return;
	machine->milestones |= bit;
	if (init_ns && !__builtin_mul_overflow(milestone->before_us, 1000ull, &before) &&
	    before < init_ns - machine->timeline->marks[0].ns)
		timeline_mark_at(machine->timeline, names[milestone->which], init_ns - before);
}

static void on_link(void *ctx, enum guest_link_event event)
{
	struct machine *machine = ctx;
	struct guest_link *link = &machine->link;
	struct verdict verdict = {.kind = VERDICT_EXIT};

	switch (event) {
	case GUEST_LINK_INIT:
		metrics_init_starts(&machine->metrics);
		break;
	case GUEST_LINK_MILESTONE:
		on_milestone(machine, &link->milestone);
		break;
	case GUEST_LINK_READY:
		timeline_mark(machine->timeline, "init runs");
		break;
	case GUEST_LINK_STARTED:
		timeline_mark(machine->timeline, "command starts");
		break;
	case GUEST_LINK_EXIT:
		timeline_mark(machine->timeline, "command ended, disks synced");
		verdict.status = link->exit_status;
		verdict.text = link->exit_text[0] ? link->exit_text : NULL;
		ending_declare(&machine->ending, &verdict);
		break;
	case GUEST_LINK_DRAINED:
		ending_recheck(&machine->ending);
		break;
	case GUEST_LINK_OUTPUT_LOST:
		declare(machine, VERDICT_OUTPUT, (uint64_t)link->lost_error);
		break;
	case GUEST_LINK_QUIT:
		declare(machine, VERDICT_QUIT, 0);
		break;
	}
}

/*
 * The serial ports may hold the guest's last words. No more of them: a vCPU that goes on talking to
 * a slow reader would put off the end for ever.
 */
static bool on_settle(void *ctx)
{
	struct machine *machine = ctx;

	serial_end(&machine->console.serial);
	serial_flush(&machine->console.serial);
	if (!is_run(machine))
		return !console_is_blocked(&machine->console);
	serial_end(&machine->link.serial);
	serial_flush(&machine->link.serial);
	return !guest_link_is_blocked(&machine->link);
}

static void on_resize(void *ctx)
{
	struct machine *machine = ctx;

	if (is_run(machine) && machine->resources->is_terminal)
		guest_link_resized(&machine->link);
}

/*
 * Creation.
 */

static int add_serial(struct machine *machine, struct serial *serial, uint16_t port, uint32_t irq)
{
	machine->devices[machine->nr_devices++] =
		(struct platform_device){PLATFORM_SERIAL, port, irq};
	return bus_add(&machine->pio, port, SERIAL_PORTS, &serial->device);
}

/* The devices that every machine has. */
static int create_platform(struct machine *machine)
{
	const struct host_streams *streams = &machine->resources->streams;
	enum console_mode mode = CONSOLE_USER;
	int err;

	if (is_run(machine))
		mode = machine->config->verbose ? CONSOLE_LOG : CONSOLE_HIDDEN;
	power_init(&machine->power, on_power, machine);
	err = bus_add(&machine->pio, POWER_PORT, POWER_PORTS, &machine->power.acpi);
	if (!err)
		err = bus_add(&machine->pio, I8042_PORT, I8042_PORTS, &machine->power.i8042);
	if (!err)
		err = console_init(&machine->console, &machine->loop, streams, mode, on_console,
				   machine);
	if (!err)
		err = add_serial(machine, &machine->console.serial, COM1_PORT, COM1_IRQ);
	if (!err && is_run(machine))
		err = guest_link_init(&machine->link, &machine->loop, streams,
				      machine->resources->is_terminal, on_link, machine);
	if (!err && is_run(machine))
		err = add_serial(machine, &machine->link.serial, COM2_PORT, COM2_IRQ);
	return err;
}

static int create_virtios(struct machine *machine)
{
	const struct virtio_slots_spec spec = {.config = machine->config,
					       .resources = machine->resources,
					       .mem = &machine->mem,
					       .loop = &machine->loop,
					       .mmio = &machine->mmio};
	int err = virtio_slots_create(&machine->virtio, &spec, &machine->fds);

	virtio_slots_describe(&machine->virtio, machine->devices, &machine->nr_devices);
	return err;
}

/* All that is in guest RAM before the first instruction. */
int machine_load(struct machine *machine)
{
	const struct vm_config *config = machine->config;
	struct resources *resources = machine->resources;
	struct cmdline_nic nics[CONFIG_NICS_MAX];
	struct payload_spec spec = {.config = config,
				    .nics = nics,
				    .devices = machine->devices,
				    .nr_devices = machine->nr_devices,
				    .kernel = &resources->kernel,
				    .initrd = &resources->initrd,
				    .tty = resources->is_terminal};
	struct cpu_start start;
	unsigned int i;
	int err;

	for (i = 0; i < config->nr_nics; i++) {
		const struct nic_config *nic = &config->nics[i];

		nics[i] = (struct cmdline_nic){
			.address = nic->address, .gateway = nic->gateway, .dns = nic->dns};
		if (nic->kind == NIC_PASST)
			nics[i] = (struct cmdline_nic){
				NET_PASST_GUEST, NET_PASST_NETMASK, NET_PASST_GATEWAY,
				nic->dns ? nic->dns : resources->dns, NET_PASST_TCP_RMEM};
	}
	err = payload_load(&spec, &machine->mem, &start);
	if (!err)
		err = cpu_x86_start(machine->vcpus[0].fd, &start);
	input_file_close(&resources->kernel);
	input_file_close(&resources->initrd);
	timeline_mark(machine->timeline, "kernel loaded");
	return err;
}

static int create_vcpus(struct machine *machine)
{
	unsigned int i, nr = machine->config->cpus;
	int err = 0;

	/*
	 * All are made before the first is set up: the set-up of the first one's local APIC has
	 * KVM list the APICs there are, and what is not in the list gets no start-up message.
	 */
	for (i = 0; !err && i < nr; i++) {
		err = vcpu_init(&machine->vcpus[i], &machine->vm, i, &machine->pio, &machine->mmio);
		if (!err)
			machine->nr_vcpus++;
	}
	for (i = 0; !err && i < nr; i++)
		err = cpu_x86_init(machine->vcpus[i].fd, i, nr, machine->resources->cpuid);
	timeline_mark(machine->timeline, "vCPUs");
	return err;
}

/* Ties kicks and interrupts to KVM: last, in one go (vm.h). */
static int connect_devices(struct machine *machine)
{
	int err = vm_add_irqfd(&machine->vm, COM1_IRQ, machine->console.serial.irq.fd);

	if (!err && is_run(machine))
		err = vm_add_irqfd(&machine->vm, COM2_IRQ, machine->link.serial.irq.fd);
	if (!err)
		err = virtio_slots_connect(&machine->virtio, &machine->vm);
	bus_freeze(&machine->pio);
	bus_freeze(&machine->mmio);
	timeline_mark(machine->timeline, "devices connected");
	return err;
}

static int create_vm(struct machine *machine)
{
	int err = boot_x86_map_memory(&machine->mem, machine->config->memory);

	if (!err)
		err = vm_init(&machine->vm, steal_fd(&machine->resources->kvm_fd));

	if (!err)
		err = vm_set_memory(&machine->vm, &machine->mem);
	if (!err)
		err = virtio_slots_map(&machine->virtio, &machine->vm);
	if (!err)
		err = vm_create_irqchip(&machine->vm);
	timeline_mark(machine->timeline, "VM");
	if (!err)
		err = create_vcpus(machine);
	/* With it, whoever takes over the process could make VMs. */
	close_fd_ptr(&machine->vm.kvm_fd);
	return err ? err : connect_devices(machine);
}

static int create_loop(struct machine *machine)
{
	int err = event_loop_init(&machine->loop);

	if (err)
		return err;
	machine->ending = (struct ending){
		.loop = &machine->loop, .settle = on_settle, .resized = on_resize, .ctx = machine};
	return ending_init(&machine->ending);
}

static void add_fd(struct machine *machine, enum seccomp_use use, int fd, const char *name)
{
	seccomp_fds_add(&machine->fds, use, fd, 0, name);
}

static void add_serial_fds(struct machine *machine, const struct serial *serial, const char *name)
{
	add_fd(machine, SECCOMP_FD_IRQ, serial->irq.fd, name);
	add_fd(machine, SECCOMP_FD_EVENT, serial->wake_fd, name);
}

static void open_metrics(struct machine *machine)
{
	const struct vm_config *config = machine->config;
	struct metrics *metrics = &machine->metrics;
	unsigned int i;

	if (!config->timing && !config->metrics)
		return;
	metrics_open(metrics, machine->timeline, machine->vcpus, machine->nr_vcpus);
	for (i = 0; i < metrics->nr_vcpus; i++)
		add_fd(machine, SECCOMP_FD_STATS, metrics->stats[i].fd, "KVM's counters");
	add_fd(machine, SECCOMP_FD_STATS, metrics->process_fd, "faults");
	add_fd(machine, SECCOMP_FD_OUTPUT, machine->resources->metrics_fd, "metrics");
}

/* All descriptors that a thread uses while the guest runs; the virtio devices' are there already.
 */
static void add_descriptors(struct machine *machine)
{
	add_fd(machine, SECCOMP_FD_EPOLL, machine->loop.epoll_fd, "event loop");
	add_fd(machine, SECCOMP_FD_EVENT, machine->loop.stop_fd, "stop");
	add_fd(machine, SECCOMP_FD_EVENT, machine->ending.declared_fd, "end");
	add_fd(machine, SECCOMP_FD_NOTICE, machine->ending.signal_fd, "signals");
	add_fd(machine, SECCOMP_FD_NOTICE, machine->ending.timer_fd, "time limit");
	add_fd(machine, SECCOMP_FD_VERDICT, machine->resources->verdict_fd, "exit status");
	add_fd(machine, SECCOMP_FD_LOG, STDERR_FILENO, "log");
	if (machine->resources->is_terminal)
		add_fd(machine, SECCOMP_FD_TERMINAL, STDIN_FILENO, "terminal");
	add_serial_fds(machine, &machine->console.serial, "console");
	if (is_run(machine)) {
		add_serial_fds(machine, &machine->link.serial, "link");
		add_fd(machine, SECCOMP_FD_INPUT, machine->link.in.fd, "stdin");
		add_fd(machine, SECCOMP_FD_OUTPUT, machine->link.out.watch.fd, "stdout");
		add_fd(machine, SECCOMP_FD_OUTPUT, machine->link.err.watch.fd, "stderr");
	}
	if (machine->console.out.loop)
		add_fd(machine, SECCOMP_FD_OUTPUT, machine->console.out.watch.fd, "console");
	if (machine->console.in.loop)
		add_fd(machine, SECCOMP_FD_INPUT, machine->console.in.fd, "stdin");
}

int machine_create(const struct vm_config *config, struct resources *resources,
		   struct timeline *timeline, struct machine **ret_machine)
{
	struct machine *machine;
	int err;

	machine = pages_alloc(sizeof(*machine));
	if (!machine) {
		log_error("out of memory");
		return -ENOMEM;
	}
	machine->config = config;
	machine->resources = resources;
	machine->timeline = timeline;
	machine->vm = (struct vm){.kvm_fd = -1, .fd = -1};
	err = create_loop(machine);
	if (!err)
		err = create_platform(machine);
	if (err)
		log_error("cannot set up the event loop or the serial ports: %s", strerror(-err));
	if (!err)
		err = create_virtios(machine);
	if (!err)
		err = create_vm(machine);
	host_streams_close(&resources->streams);
	if (!err) {
		add_descriptors(machine);
		open_metrics(machine);
	}
	if (err) {
		machine_destroy(machine);
		return err;
	}
	*ret_machine = machine;
	return 0;
}

void machine_destroy(struct machine *machine)
{
	unsigned int i;

	if (!machine)
		return;
	metrics_close(&machine->metrics);
	for (i = 0; i < machine->nr_vcpus; i++)
		vcpu_fini(&machine->vcpus[i]);
	virtio_slots_destroy(&machine->virtio);
	guest_link_fini(&machine->link);
	console_fini(&machine->console);
	ending_fini(&machine->ending);
	vm_fini(&machine->vm);
	guest_mem_fini(&machine->mem);
	if (machine->loop.epoll_fd > 0)
		event_loop_fini(&machine->loop);
	pages_free(machine, sizeof(*machine));
}

/*
 * Running.
 */

/*
 * Every thread is under its filter before the first one enters the guest. What a filter forbids
 * (to make threads, to change limits) comes before.
 */
static int start_vcpus(struct machine *machine)
{
	enum seccomp_mode mode = machine->config->seccomp;
	unsigned int i;
	int err = seccomp_prepare(mode);

	if (!err)
		err = seccomp_compile(SECCOMP_VCPU, mode, &machine->fds, &machine->vcpu_filter);
	if (!err)
		vcpu_gate_init(&machine->gate, machine->nr_vcpus, &machine->vcpu_filter);
	for (i = 0; !err && i < machine->nr_vcpus; i++)
		err = vcpu_start(&machine->vcpus[i], &machine->gate, on_vcpu_end, machine);
	/* The threads wake up and load their filter meanwhile. */
	if (!err)
		err = seccomp_compile(SECCOMP_LOOP, mode, &machine->fds, &machine->loop_filter);
	if (!err && machine->config->sandbox)
		err = confine_limits();
	if (!err)
		err = seccomp_apply(&machine->loop_filter, -1, "main");
	/* The filters stay: to free memory may take calls that they forbid. */
	return err ? err : vcpu_gate_pass(&machine->gate);
}

struct verdict machine_run(struct machine *machine)
{
	struct verdict failed = {.kind = VERDICT_HOST}, verdict;
	int err = ending_start_timer(&machine->ending, machine->config->timeout_ns);

	if (machine->resources->is_terminal)
		machine->is_raw = !host_terminal_raw(STDIN_FILENO, &machine->terminal);
	if (!err)
		err = start_vcpus(machine);
	if (!err) {
		program_trim();
		err = event_loop_run(&machine->loop);
		if (err)
			log_error("the event loop failed: %s", strerror(-err));
	}
	if (machine->is_raw)
		host_terminal_restore(STDIN_FILENO, &machine->terminal);
	timeline_mark(machine->timeline, "end");
	if (err)
		return failed;
	pthread_mutex_lock(&machine->ending.lock);
	verdict = machine->ending.verdict;
	pthread_mutex_unlock(&machine->ending.lock);
	verdict.panic = machine->console.panic[0] ? machine->console.panic : NULL;
	return verdict;
}

static bool is_disk(enum seccomp_use use)
{
	return use == SECCOMP_FD_DISK || use == SECCOMP_FD_DISK_RO;
}

/* Whether somebody may wait for this descriptor to be closed. */
static bool is_awaited(enum seccomp_use use)
{
	switch (use) {
	case SECCOMP_FD_DISK:
	case SECCOMP_FD_DISK_RO:
	case SECCOMP_FD_TAP:
	case SECCOMP_FD_SOCKET:
	case SECCOMP_FD_INPUT:
	case SECCOMP_FD_OUTPUT:
		return true;
	default:
		return false;
	}
}

void machine_end(struct machine *machine, int status)
{
	const struct vm_config *config = machine->config;
	const struct seccomp_fds *fds = &machine->fds;
	const uint64_t deadline_ns = clock_now_ns() + DISKS_END_NS;
	bool disks_ended;
	unsigned int i;
	int fd, err;

	if (machine->metrics.timeline)
		metrics_end(&machine->metrics);
	if (config->timing)
		metrics_print(&machine->metrics);
	if (config->metrics) {
		err = metrics_write(&machine->metrics, machine->resources->metrics_fd, status);
		if (err)
			log_error("--metrics: cannot write \"%s\": %s", config->metrics,
				  strerror(-err));
	}
	disks_ended = virtio_slots_end(&machine->virtio, deadline_ns);
	for (i = 0; i < fds->nr; i++)
		if ((disks_ended || !is_disk(fds->fds[i].use)) && is_awaited(fds->fds[i].use))
			close(fds->fds[i].fd);
	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		close(fd);
}

int machine_print_seccomp(struct machine *machine, FILE *out)
{
	static const enum seccomp_kind kinds[] = {SECCOMP_VCPU, SECCOMP_LOOP};
	struct seccomp_filter filter = {0};
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < ARRAY_SIZE(kinds); i++) {
		err = seccomp_compile(kinds[i], machine->config->seccomp, &machine->fds, &filter);
		if (!err)
			err = seccomp_print(out, &filter, &machine->fds, machine->vcpus[0].fd);
		seccomp_filter_fini(&filter);
	}
	return err;
}
