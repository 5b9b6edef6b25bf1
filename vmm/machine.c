/* SPDX-License-Identifier: Apache-2.0 */
#include "machine.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <linux/virtio_mmio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "blk.h"
#include "console.h"
#include "ending.h"
#include "guest_link.h"
#include "layout_x86.h"
#include "net.h"
#include "net_passt.h"
#include "net_stream.h"
#include "net_tap.h"
#include "payload.h"
#include "power.h"
#include "util.h"
#include "virtio_mmio.h"
#include "vm.h"

#define VIRTIO_DEVICES_MAX (CONFIG_DRIVES_MAX + CONFIG_NICS_MAX)
#define PLATFORM_DEVICES_MAX (VIRTIO_DEVICES_MAX + 2)

/* Where virtio devices interrupt; where there are more devices than these, they share. */
static const uint32_t virtio_irqs[] = {5, 6, 7, 9, 10, 11, 12, 14, 15};

struct machine {
	const struct vm_config *config;
	struct timeline *timeline;
	struct event_loop loop;
	struct guest_mem mem;
	struct vm vm;
	struct bus pio, mmio;
	struct vcpu vcpus[CONFIG_CPUS_MAX];
	unsigned int nr_vcpus;

	struct power power;
	struct console console;
	struct guest_link link; /* husk run */
	struct blk *blks[CONFIG_DRIVES_MAX];
	struct net_backend *backends[CONFIG_NICS_MAX]; /* until their device takes them */
	struct net_passt passts[CONFIG_NICS_MAX];
	struct net *nets[CONFIG_NICS_MAX];
	uint8_t macs[CONFIG_NICS_MAX][6];
	struct virtio_device *virtios[VIRTIO_DEVICES_MAX];
	unsigned int nr_virtios;

	/* The address and interrupt map, as the guest is told it. */
	struct platform_device devices[PLATFORM_DEVICES_MAX];
	unsigned int nr_devices;

	struct ending ending;
	struct termios terminal;
	bool is_terminal; /* standard input and output are a terminal, and ours */
	bool is_raw;
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

static void on_link(void *ctx, enum guest_link_event event)
{
	struct machine *machine = ctx;
	struct guest_link *link = &machine->link;
	struct verdict verdict = {.kind = VERDICT_EXIT};

	switch (event) {
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

/* The serial ports may hold the guest's last words. */
static bool on_settle(void *ctx)
{
	struct machine *machine = ctx;

	serial_flush(&machine->console.serial);
	if (!is_run(machine))
		return !console_is_blocked(&machine->console);
	serial_flush(&machine->link.serial);
	return !guest_link_is_blocked(&machine->link);
}

static void on_resize(void *ctx)
{
	struct machine *machine = ctx;

	if (is_run(machine) && machine->is_terminal)
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
	enum console_mode mode = CONSOLE_USER;
	int err;

	if (is_run(machine))
		mode = machine->config->verbose ? CONSOLE_LOG : CONSOLE_HIDDEN;
	power_init(&machine->power, on_power, machine);
	err = bus_add(&machine->pio, POWER_PORT, POWER_PORTS, &machine->power.acpi);
	if (!err)
		err = bus_add(&machine->pio, I8042_PORT, I8042_PORTS, &machine->power.i8042);
	if (!err)
		err = console_init(&machine->console, &machine->loop, mode, on_console, machine);
	if (!err)
		err = add_serial(machine, &machine->console.serial, COM1_PORT, COM1_IRQ);
	if (!err && is_run(machine))
		err = guest_link_init(&machine->link, &machine->loop, machine->is_terminal, on_link,
				      machine);
	if (!err && is_run(machine))
		err = add_serial(machine, &machine->link.serial, COM2_PORT, COM2_IRQ);
	return err;
}

/* Where the registers of virtio device `number` are. */
static uint64_t virtio_addr(unsigned int number)
{
	return VIRTIO_MMIO_ADDR + (uint64_t)number * VIRTIO_MMIO_SIZE;
}

/* Gives a virtio device its page of registers and its interrupt. */
static int add_virtio(struct machine *machine, struct virtio_device *virtio)
{
	unsigned int number = machine->nr_virtios++;
	uint64_t addr = virtio_addr(number);

	machine->virtios[number] = virtio;
	machine->devices[machine->nr_devices++] = (struct platform_device){
		PLATFORM_VIRTIO, addr, virtio_irqs[number % ARRAY_SIZE(virtio_irqs)]};
	virtio_mmio_init(virtio);
	return bus_add(&machine->mmio, addr, VIRTIO_MMIO_SIZE, &virtio->device);
}

static int create_drive(struct machine *machine, unsigned int number)
{
	const struct drive_config *drive = &machine->config->drives[number];
	struct blk_file file;
	int err = blk_file_open(&file, drive->path, drive->read_only);

	if (err)
		return err;
	err = blk_create(&file, drive->id, &machine->mem, &machine->loop, &machine->blks[number]);
	if (!err)
		err = add_virtio(machine, blk_virtio(machine->blks[number]));
	if (err)
		log_error("cannot set up disk \"%s\": %s", drive->path, strerror(-err));
	return err;
}

static int open_nic(struct machine *machine, unsigned int number)
{
	const struct nic_config *nic = &machine->config->nics[number];
	struct net_backend **backend = &machine->backends[number];
	struct net_passt_config passt = {.forwards = (const char *const *)nic->forwards,
					 .map_host = nic->map_host};
	struct stat st;

	switch (nic->kind) {
	case NIC_TAP:
		return net_tap_open(nic->tap, backend);
	case NIC_FD:
		if (!fstat(nic->fd, &st) && S_ISSOCK(st.st_mode))
			return net_stream_from_fd(nic->fd, backend);
		return net_tap_from_fd(nic->fd, backend);
	case NIC_PASST:
		while (nic->forwards && nic->forwards[passt.nr_forwards])
			passt.nr_forwards++;
		memcpy(passt.mac, machine->macs[number], sizeof(passt.mac));
		return net_passt_start(&passt, &machine->passts[number], backend);
	}
	return -EINVAL;
}

/* The user's, or a locally administered address nobody else has. */
static int choose_mac(const struct nic_config *nic, uint8_t mac[6])
{
	if (nic->has_mac) {
		memcpy(mac, nic->mac, 6);
		return 0;
	}
	if (getrandom(mac, 6, 0) != 6) {
		log_error("cannot make up a MAC address: %s", strerror(errno));
		return -EIO;
	}
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
	return 0;
}

static int create_nic(struct machine *machine, unsigned int number)
{
	const struct nic_config *nic = &machine->config->nics[number];
	struct net_backend *backend = machine->backends[number];
	struct net_config config = {.mtu = nic->mtu};
	int err;

	memcpy(config.mac, machine->macs[number], sizeof(config.mac));
	if (!config.mtu && nic->kind == NIC_PASST)
		config.mtu = NET_PASST_MTU;
	machine->backends[number] = NULL;
	err = net_create(backend, &config, nic->id, &machine->mem, &machine->loop,
			 &machine->nets[number]);
	return err ? err : add_virtio(machine, net_virtio(machine->nets[number]));
}

/* Disks and networks; passt, which takes its time to start, is under way first. */
static int create_virtios(struct machine *machine)
{
	const struct vm_config *config = machine->config;
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < config->nr_nics; i++) {
		err = choose_mac(&config->nics[i], machine->macs[i]);
		if (!err)
			err = open_nic(machine, i);
	}
	for (i = 0; !err && i < config->nr_drives; i++)
		err = create_drive(machine, i);
	for (i = 0; !err && i < config->nr_nics; i++)
		err = create_nic(machine, i);
	timeline_mark(machine->timeline, "disks and networks open");
	return err;
}

/* Guest RAM, and all that is in it before the first instruction. */
static int create_memory(struct machine *machine, struct cpu_start *ret_start)
{
	const struct vm_config *config = machine->config;
	struct cmdline_nic nics[CONFIG_NICS_MAX];
	char dns[NET_PASST_ADDRESS_MAX];
	struct payload_spec spec = {.config = config,
				    .nics = nics,
				    .devices = machine->devices,
				    .nr_devices = machine->nr_devices,
				    .tty = machine->is_terminal};
	unsigned int i;
	int err;

	net_passt_dns(dns);
	for (i = 0; i < config->nr_nics; i++) {
		const struct nic_config *nic = &config->nics[i];

		nics[i] = (struct cmdline_nic){
			.address = nic->address, .gateway = nic->gateway, .dns = nic->dns};
		if (nic->kind == NIC_PASST)
			nics[i] = (struct cmdline_nic){NET_PASST_GUEST, NET_PASST_NETMASK,
						       NET_PASST_GATEWAY, nic->dns ? nic->dns : dns,
						       NET_PASST_TCP_RMEM};
	}
	err = payload_load(&spec, &machine->mem, ret_start);
	timeline_mark(machine->timeline, "memory and kernel loaded");
	return err;
}

static int create_vcpus(struct machine *machine, const struct cpu_start *start)
{
	unsigned int i, nr = machine->config->cpus;
	struct kvm_cpuid2 *cpuid;
	int err = cpu_x86_cpuid(machine->vm.kvm_fd, &cpuid);

	if (err)
		return err;
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
		err = cpu_x86_init(machine->vcpus[i].fd, i, nr, cpuid, start);
	free(cpuid);
	timeline_mark(machine->timeline, "vCPUs");
	return err;
}

/* Ties kicks and interrupts to KVM: last, in one go (vm.h). */
static int connect_devices(struct machine *machine)
{
	unsigned int i, queue;
	int err = vm_add_irqfd(&machine->vm, COM1_IRQ, machine->console.serial.irq.fd);

	if (!err && is_run(machine))
		err = vm_add_irqfd(&machine->vm, COM2_IRQ, machine->link.serial.irq.fd);
	for (i = 0; !err && i < machine->nr_virtios; i++) {
		struct virtio_device *virtio = machine->virtios[i];
		gpa_t notify = virtio_addr(i) + VIRTIO_MMIO_QUEUE_NOTIFY;

		err = vm_add_irqfd(&machine->vm, virtio_irqs[i % ARRAY_SIZE(virtio_irqs)],
				   virtio->irq.fd);
		for (queue = 0; !err && queue < virtio->nr_queues; queue++)
			err = vm_add_ioeventfd(&machine->vm, notify, queue,
					       virtio->kicks[queue].fd);
	}
	bus_freeze(&machine->pio);
	bus_freeze(&machine->mmio);
	timeline_mark(machine->timeline, "devices connected");
	return err;
}

static int create_vm(struct machine *machine, const struct cpu_start *start)
{
	int err = vm_init(&machine->vm);

	if (!err)
		err = vm_set_memory(&machine->vm, &machine->mem);
	if (!err)
		err = vm_create_irqchip(&machine->vm);
	timeline_mark(machine->timeline, "VM");
	if (!err)
		err = create_vcpus(machine, start);
	return err ? err : connect_devices(machine);
}

static int wait_for_passts(struct machine *machine)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < machine->config->nr_nics; i++)
		if (machine->config->nics[i].kind == NIC_PASST)
			err = net_passt_wait(&machine->passts[i]);
	return err;
}

/* A descriptor that nobody passed in would soon be one of husk's own files. */
static int check_passed_in(const struct vm_config *config)
{
	unsigned int i;

	for (i = 0; i < config->nr_nics; i++) {
		const struct nic_config *nic = &config->nics[i];

		if (nic->kind == NIC_FD && fcntl(nic->fd, F_GETFD) < 0) {
			log_error("descriptor %d is not open; whoever starts husk is to pass it in",
				  nic->fd);
			return -EBADF;
		}
	}
	return 0;
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

int machine_create(const struct vm_config *config, struct timeline *timeline,
		   struct machine **ret_machine)
{
	struct machine *machine;
	struct cpu_start start;
	int err = check_passed_in(config);

	if (err)
		return err;
	machine = calloc(1, sizeof(*machine));
	if (!machine)
		return -ENOMEM;
	machine->config = config;
	machine->timeline = timeline;
	machine->vm = (struct vm){.kvm_fd = -1, .fd = -1};
	machine->is_terminal = host_terminal_is_ours(STDIN_FILENO, STDOUT_FILENO);
	err = create_loop(machine);
	if (!err)
		err = create_platform(machine);
	if (err)
		log_error("cannot set up the event loop or the serial ports: %s", strerror(-err));
	if (!err)
		err = create_virtios(machine);
	if (!err)
		err = create_memory(machine, &start);
	if (!err)
		err = create_vm(machine, &start);
	if (!err)
		err = wait_for_passts(machine);
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
	for (i = 0; i < machine->nr_vcpus; i++)
		vcpu_fini(&machine->vcpus[i]);
	for (i = 0; i < CONFIG_NICS_MAX; i++) {
		net_destroy(machine->nets[i]);
		if (machine->backends[i])
			machine->backends[i]->ops->destroy(machine->backends[i]);
	}
	for (i = 0; i < CONFIG_DRIVES_MAX; i++)
		blk_destroy(machine->blks[i]);
	guest_link_fini(&machine->link);
	console_fini(&machine->console);
	ending_fini(&machine->ending);
	vm_fini(&machine->vm);
	guest_mem_fini(&machine->mem);
	if (machine->loop.epoll_fd > 0)
		event_loop_fini(&machine->loop);
	free(machine);
}

/*
 * Running.
 */

static int start_vcpus(struct machine *machine)
{
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < machine->nr_vcpus; i++)
		err = vcpu_start(&machine->vcpus[i], on_vcpu_end, machine);
	return err;
}

struct verdict machine_run(struct machine *machine)
{
	struct verdict failed = {.kind = VERDICT_HOST}, verdict;
	int err = ending_start_timer(&machine->ending, machine->config->timeout_ns);

	if (machine->is_terminal)
		machine->is_raw = !host_terminal_raw(STDIN_FILENO, &machine->terminal);
	if (!err)
		err = start_vcpus(machine);
	if (!err) {
		err = event_loop_run(&machine->loop);
		if (err)
			log_error("the event loop failed: %s", strerror(-err));
	}
	if (machine->is_raw)
		host_terminal_restore(STDIN_FILENO, &machine->terminal);
	timeline_mark(machine->timeline, "end");
	if (machine->vcpus[0].entered_ns)
		timeline_mark_at(machine->timeline, "first guest instruction",
				 machine->vcpus[0].entered_ns);
	if (err)
		return failed;
	pthread_mutex_lock(&machine->ending.lock);
	verdict = machine->ending.verdict;
	pthread_mutex_unlock(&machine->ending.lock);
	verdict.panic = machine->console.panic[0] ? machine->console.panic : NULL;
	return verdict;
}
