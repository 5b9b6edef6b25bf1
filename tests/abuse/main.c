/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Words on the command line:
 *
 *	class=N		this class only (several are possible)
 *	peer=ADDRESS	answers ARP on the network
 *	cpus=2		there is a second vCPU
 *	port-step=N	a sweep over ports takes every Nth, for slow hosts
 *	host		the runner does its part of the classes that need the host's help
 */
#include "kit.h"

#define DEVICES_MAX 8
#define CMDLINE_MAX 4096
#define MMIO_MAGIC 0x74726976 /* "virt" */
#define PAGE 4096u

GUEST_PVH;

/* Xen, xen/include/public/arch-x86/hvm/start_info.h */
struct start_info {
	uint32_t magic, version, flags, nr_modules;
	uint64_t modules, cmdline, rsdp, memory_map;
	uint32_t nr_memory_map, reserved;
};

struct memory_range {
	uint64_t addr, size;
	uint32_t type, reserved;
};

static const char *const outcome_names[] = {
	[SKIPPED] = "skipped",	       [SERVED] = "served",
	[IGNORED] = "ignored",	       [REFUSED] = "refused",
	[NEEDS_RESET] = "needs-reset", [SILENT] = "silent",
	[FAIL_RULE] = "FAIL rule",     [FAIL_DATA] = "FAIL data",
	[FAIL_MEMORY] = "FAIL memory", [FAIL_OTHER] = "FAIL other-device",
	[FAIL_DEAD] = "FAIL dead",
};

static const char *const class_names[] = {
	[1] = "queue and config registers written while the queue is in use",
	[2] = "queue sizes",
	[3] = "queues that are not there",
	[4] = "ring addresses",
	[5] = "status out of order",
	[6] = "reset with requests in flight",
	[7] = "features",
	[8] = "configuration space",
	[9] = "widths and places of register, memory hole and port accesses",
	[10] = "interrupt acknowledgement",
	[11] = "available index",
	[12] = "head past the queue",
	[13] = "the same head twice",
	[14] = "next past the queue",
	[15] = "loops and endless chains",
	[16] = "total length over 2^32",
	[17] = "zero-length descriptors",
	[18] = "descriptor addresses",
	[19] = "descriptor directions",
	[20] = "indirect tables",
	[21] = "used ring over other things",
	[22] = "rings rewritten by another vCPU",
	[23] = "rubbish in used_event and avail_event",
	[24] = "no room, little room, floods of kicks",
	[25] = "sectors past the end",
	[26] = "lengths that are no multiple of a sector",
	[27] = "requests without data or status, or in odd pieces",
	[28] = "request types and their arguments",
	[29] = "writes to a read-only disk",
	[30] = "a disk that says it is a qcow2 image",
	[31] = "a disk that shrinks",
	[32] = "a disk whose host has no space",
	[33] = "frame lengths",
	[34] = "offload headers",
	[35] = "receive into read-only buffers",
	[36] = "mergeable receive buffers",
	[37] = "the control queue",
	[38] = "a source address that is not the guest's",
};
#define CLASS_MIN 1u
#define CLASS_MAX ((unsigned int)ARRAY_SIZE(class_names) - 1)

struct virtio devices[DEVICES_MAX];
unsigned int nr_devices;
uint64_t ram_end;
uint32_t port_step = 1;
uint32_t peer;
bool second_cpu, host_helps;

static const char *why = "";
static char cmdline[CMDLINE_MAX];
static uint32_t cpu_arrived;

enum outcome fail(enum outcome kind, const char *text)
{
	why = text;
	return kind;
}

enum outcome skip(const char *text)
{
	why = text;
	return SKIPPED;
}

const char *kit_why(void)
{
	return why;
}

/*
 * What there is
 */

static uint32_t parse_number(const char **text)
{
	uint32_t value = 0;

	for (; **text >= '0' && **text <= '9'; (*text)++)
		value = value * 10 + (uint32_t)(**text - '0');
	return value;
}

static uint32_t word_number(const char *prefix, uint32_t otherwise)
{
	const char *rest = cmdline, *text = cmdline_next(&rest, prefix);

	return text ? parse_number(&text) : otherwise;
}

/* In the order of the bytes on the wire. */
static uint32_t word_address(const char *prefix)
{
	const char *rest = cmdline, *text = cmdline_next(&rest, prefix);
	uint8_t bytes[4] = {0};
	uint32_t address;
	unsigned int i;

	for (i = 0; text && i < sizeof(bytes); i++, text++)
		bytes[i] = (uint8_t)parse_number(&text);
	memcpy(&address, bytes, sizeof(address));
	return address;
}

static void take_start_info(const struct start_info *start)
{
	const struct memory_range *range = (const void *)start->memory_map;
	const char *text = (const char *)start->cmdline;
	uint32_t i;

	for (i = 0; i < CMDLINE_MAX - 1 && text[i]; i++)
		cmdline[i] = text[i];
	/* The firmware's own ranges at the end of RAM are RAM too. */
	for (i = 0; i < start->nr_memory_map; i++)
		if (range[i].addr < 1ull << 31 && range[i].addr + range[i].size > ram_end)
			ram_end = range[i].addr + range[i].size;
}

static void find_devices(void)
{
	const char *rest = cmdline, *text;

	while ((text = cmdline_next(&rest, "virtio_mmio.device=")) && nr_devices < DEVICES_MAX) {
		struct virtio *dev = &devices[nr_devices];

		dev->size = parse_number(&text);
		if (*text == 'K') {
			dev->size <<= 10;
			text++;
		}
		dev->window = parse_hex(text + 1);
		dev->id = reg_read(dev, VIRTIO_MMIO_DEVICE_ID);
		if (reg_read(dev, VIRTIO_MMIO_MAGIC_VALUE) != MMIO_MAGIC ||
		    reg_read(dev, VIRTIO_MMIO_VERSION) != 2 ||
		    (dev->id != VIRTIO_ID_BLOCK && dev->id != VIRTIO_ID_NET))
			continue;
		device_prepare(dev);
		dev->name = dev->id == VIRTIO_ID_NET ? "net" : dev->read_only ? "ro" : "disk";
		print("device ");
		print(dev->name);
		print("\n");
		nr_devices++;
	}
	arena_keep();
}

void guest_ap_main(unsigned int number)
{
	(void)number;
	__atomic_store_n(&cpu_arrived, 1, __ATOMIC_SEQ_CST);
	race_cpu_main();
}

static void start_second_cpu(void)
{
	uint64_t begin = cycles();

	guest_start_cpu(1);
	while (!second_cpu && cycles() - begin < WAIT_GOOD)
		second_cpu = __atomic_load_n(&cpu_arrived, __ATOMIC_SEQ_CST);
}

/*
 * Steps
 */

/* What an attack left behind. */
static enum outcome aftermath(struct virtio *dev)
{
	enum outcome found = SKIPPED;
	unsigned int i;

	if (!arena_intact())
		found = fail(FAIL_MEMORY, "memory outside of all buffers was written");
	for (i = 0; i < nr_devices; i++) {
		if (&devices[i] == dev || devices[i].dead || device_check(&devices[i]) == SERVED)
			continue;
		found = worse(found, FAIL_OTHER);
		if (!device_start(&devices[i], 0))
			devices[i].dead = true;
	}
	if (!device_start(dev, 0))
		found = fail(FAIL_DEAD, "it does not start after a reset");
	else
		found = worse(found, device_check(dev));
	if (found == FAIL_DEAD)
		dev->dead = true;
	if (!arena_intact())
		found = fail(worse(found, FAIL_MEMORY), "memory was written after a reset");
	return found == SERVED ? SKIPPED : found;
}

static enum outcome step_run(const struct step *step, struct virtio *dev, unsigned int queue)
{
	struct victim v = {.dev = dev, .queue = queue, .q = &dev->queues[queue]};
	enum outcome found, after;

	if (dev->dead)
		return skip("the device is dead");
	if (step->features & ~dev->offered)
		return skip("the feature is not offered");
	arena_release();
	if (!device_start(dev, step->features)) {
		dev->dead = true;
		return fail(FAIL_DEAD, "it does not start");
	}
	found = step->run(&v, step->arg);
	after = aftermath(dev);
	return worse(found, after);
}

static void print_outcome(enum outcome found)
{
	print(outcome_names[found]);
	if (found == SKIPPED || found >= FAIL_RULE) {
		print(": ");
		print(why);
	}
	if (found == FAIL_MEMORY) {
		print(", ");
		print_hex(arena_value);
		print(" at ");
		print_hex(arena_written);
	}
	print("\n");
}

/* Whether steps for `on` are for this queue of this device. */
static bool is_on(unsigned int on, const struct virtio *dev, unsigned int queue)
{
	if (dev->id == VIRTIO_ID_NET)
		return on & (queue == QUEUE_RX ? ON_RX : ON_TX) && (queue == QUEUE_TX || peer);
	return on & (dev->read_only ? ON_READ_ONLY : ON_DISK);
}

/* Tries a step wherever it belongs and tells each time; adds to `counts` by outcome. */
static void step_run_all(const struct step *step, unsigned int counts[])
{
	static const char *const queue_names[] = {"rx", "tx"};
	enum outcome found;
	unsigned int i, queue;

	for (i = 0; i < nr_devices; i++)
		for (queue = 0; queue < devices[i].nr_queues; queue++) {
			struct virtio *dev = &devices[i];

			if (!is_on(step->on, dev, queue))
				continue;
			/* Before: these may be the VMM's last words. */
			print("  ");
			print_number(step->class);
			print(" ");
			print(dev->id == VIRTIO_ID_NET ? queue_names[queue] : dev->name);
			print(" ");
			print(step->name);
			print(": ");
			found = step_run(step, dev, queue);
			print_outcome(found);
			counts[found]++;
		}
}

/* "WORST (5 WORST, 12 OTHER)" */
static void print_outcomes(const unsigned int counts[])
{
	unsigned int found, worst = FAIL_DEAD;
	bool first = true;

	while (worst > SKIPPED && !counts[worst])
		worst--;
	print(outcome_names[worst]);
	if (worst == SKIPPED) {
		print(": ");
		print(why);
	}
	for (found = worst; found > SKIPPED; found--) {
		if (!counts[found])
			continue;
		print(first ? " (" : ", ");
		print_number(counts[found]);
		print(" ");
		print(outcome_names[found]);
		first = false;
	}
	print(first ? "\n" : ")\n");
}

static void class_run(unsigned int class)
{
	const struct {
		const struct step *steps;
		size_t nr;
	} tables[] = {
		{transport_steps, nr_transport_steps},
		{state_steps, nr_state_steps},
		{access_steps, nr_access_steps},
		{ring_steps, nr_ring_steps},
		{indirect_steps, nr_indirect_steps},
		{race_steps, nr_race_steps},
		{blk_steps, nr_blk_steps},
		{net_steps, nr_net_steps},
	};
	unsigned int counts[FAIL_DEAD + 1] = {0};
	size_t i, k;

	why = "there is no such device";
	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (k = 0; k < tables[i].nr; k++)
			if (tables[i].steps[k].class == class)
				step_run_all(&tables[i].steps[k], counts);
	print("class ");
	print_number(class);
	print(" ");
	print(class_names[class]);
	print(": ");
	print_outcomes(counts);
}

/* Not every machine has a keyboard controller; all of them reset at a triple fault. */
static void __attribute__((noreturn)) end(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = {0, 0};

	print("end\n");
	out8(I8042_COMMAND, I8042_RESET);
	wait(WAIT_ANSWER);
	__asm__ volatile("lidt %0; ud2" : : "m"(none));
	for (;;)
		__asm__ volatile("hlt");
}

static bool good_before(void)
{
	unsigned int i;

	for (i = 0; i < nr_devices; i++) {
		bool started = device_start(&devices[i], 0);

		if (started && device_check(&devices[i]) == SERVED)
			continue;
		print("a good driver fails on ");
		print(devices[i].name);
		print(": ");
		print(started ? why : "it does not start");
		print("\n");
		return false;
	}
	return true;
}

void guest_main(const void *info)
{
	const char *rest, *text;
	unsigned int class;

	take_start_info(info);
	print("\nabuse kit\n");
	port_step = word_number("port-step=", 1);
	peer = word_address("peer=");
	host_helps = cmdline_has(cmdline, "host");
	find_devices();
	if (word_number("cpus=", 1) > 1)
		start_second_cpu();
	if (!good_before())
		end();
	rest = cmdline;
	text = cmdline_next(&rest, "class=");
	if (!text)
		for (class = CLASS_MIN; class <= CLASS_MAX; class ++)
			class_run(class);
	for (; text; text = cmdline_next(&rest, "class=")) {
		class = parse_number(&text);
		if (class >= CLASS_MIN && class <= CLASS_MAX)
			class_run(class);
	}
	end();
}
