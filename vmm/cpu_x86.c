/* SPDX-License-Identifier: Apache-2.0 */
#include "cpu_x86.h"

#include <errno.h>
#include <linux/kvm.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>

#include "cpuid.h"
#include "layout_x86.h"
#include "util.h"

/* Control registers and flags; Intel SDM volume 3, 2.5 */
#define CR0_PE (1ull << 0)
#define CR0_ET (1ull << 4)
#define CR0_PG (1ull << 31)
#define CR4_PAE (1ull << 5)
#define EFER_LME (1ull << 8)
#define EFER_LMA (1ull << 10)
#define RFLAGS_FIXED 0x2ull

#define MSR_IA32_MISC_ENABLE 0x1a0
#define MISC_ENABLE_FAST_STRING 1
#define MSR_MTRR_DEF_TYPE 0x2ff
#define MTRR_ENABLE_WRITE_BACK 0x806

#define PTE_PRESENT_WRITE 0x3ull
#define PTE_LARGE 0x80ull

/* Descriptor table slots, as the Linux boot protocol names them. */
enum { GDT_NULL, GDT_UNUSED, GDT_CODE, GDT_DATA, GDT_TSS, GDT_SLOTS };

static int cpu_failed(const char *what, unsigned int index)
{
	int err = errno ? -errno : -EINVAL;

	log_error("KVM refused %s of vCPU %u: %s", what, index, strerror(-err));
	return err;
}

/*
 * KVM lists the first level of a topology leaf only, which means that there is none. The second,
 * and the one that ends the list, are added where they are missing; cpuid_finish fills them in.
 */
static void add_topology_levels(struct kvm_cpuid2 *cpuid, uint32_t function)
{
	uint32_t i, level, levels = 0;

	for (i = 0; i < cpuid->nent; i++)
		levels += cpuid->entries[i].function == function;
	for (level = levels; levels && level <= 2 && cpuid->nent < CPUID_ENTRIES_MAX; level++)
		cpuid->entries[cpuid->nent++] =
			(struct kvm_cpuid_entry2){.function = function,
						  .index = level,
						  .flags = KVM_CPUID_FLAG_SIGNIFCANT_INDEX};
}

/*
 * One vCPU is one core of one package, so that a guest finds no sibling threads to trust. Intel
 * SDM, CPUID; AMD APM volume 3, appendix E.
 */
static void cpuid_finish(struct kvm_cpuid2 *cpuid, unsigned int index, unsigned int nr_cpus)
{
	unsigned int apic_id_bits = 0;
	uint32_t i;

	add_topology_levels(cpuid, 0xb);
	add_topology_levels(cpuid, 0x1f);
	while (1u << apic_id_bits < nr_cpus)
		apic_id_bits++;
	for (i = 0; i < cpuid->nent; i++) {
		struct kvm_cpuid_entry2 *e = &cpuid->entries[i];

		switch (e->function) {
		case 0x1:
			e->ebx = (e->ebx & 0xffff) | nr_cpus << 16 | index << 24;
			e->ecx |= 1u << 31; /* a hypervisor is present */
			/* KVM emulates it always, but does not list it before it knows the APIC is
			 * its own. */
			e->ecx |= 1u << 24; /* TSC deadline timer */
			e->edx &= ~(1u << 28);
			if (nr_cpus > 1)
				e->edx |= 1u << 28; /* EBX counts logical processors */
			break;
		case 0x4: /* cache topology: no cache is shared, all cores in one package */
			if (e->eax & 0x1f)
				e->eax = (e->eax & 0x3fff) | ((1u << apic_id_bits) - 1) << 26;
			break;
		case 0xb:
		case 0x1f: /* topology: level 0 thread, level 1 core */
			e->edx = index;
			e->ebx = 0;
			e->eax = 0;
			e->ecx = e->index;
			if (e->index == 0) {
				e->ebx = 1;
				e->ecx |= 1u << 8;
			} else if (e->index == 1) {
				e->eax = apic_id_bits;
				e->ebx = nr_cpus;
				e->ecx |= 2u << 8;
			}
			break;
		case 0x80000008:
			e->ecx = apic_id_bits << 12 | (nr_cpus - 1);
			break;
		case 0x8000001e: /* AMD: extended APIC ID, core ID, one thread per core */
			e->eax = index;
			e->ebx = index;
			e->ecx = 0;
			break;
		default:
			break;
		}
	}
}

static int cpu_set_msrs(int vcpu_fd, unsigned int index)
{
	static const struct kvm_msr_entry entries[] = {
		{.index = MSR_IA32_MISC_ENABLE, .data = MISC_ENABLE_FAST_STRING},
		{.index = MSR_MTRR_DEF_TYPE, .data = MTRR_ENABLE_WRITE_BACK},
	};
	struct kvm_msrs *msrs = calloc(1, sizeof(*msrs) + sizeof(entries));
	int set;

	if (!msrs)
		return -ENOMEM;
	msrs->nmsrs = ARRAY_SIZE(entries);
	memcpy(msrs->entries, entries, sizeof(entries));
	errno = 0;
	set = ioctl(vcpu_fd, KVM_SET_MSRS, msrs);
	free(msrs);
	return set == ARRAY_SIZE(entries) ? 0 : cpu_failed("the MSRs", index);
}

/*
 * Virtual wire mode, as firmware leaves it: the PIC reaches the first CPU by LINT0. KVM has it so
 * by itself, but without this a second of two vCPUs does not get its INIT (Linux 6.18, kvm_pvm).
 */
static int cpu_set_lapic(int vcpu_fd, unsigned int index)
{
	enum { LVT_LINT0 = 0x350, LVT_LINT1 = 0x360, MODE_NMI = 0x400, MODE_EXTINT = 0x700 };
	static const struct {
		uint32_t offset, mode;
	} pins[] = {{LVT_LINT0, MODE_EXTINT}, {LVT_LINT1, MODE_NMI}};
	struct kvm_lapic_state lapic;
	uint32_t value;
	size_t i;

	if (ioctl(vcpu_fd, KVM_GET_LAPIC, &lapic))
		return cpu_failed("the local APIC", index);
	for (i = 0; i < ARRAY_SIZE(pins); i++) {
		memcpy(&value, lapic.regs + pins[i].offset, sizeof(value));
		value = (value & ~0x700u) | pins[i].mode;
		memcpy(lapic.regs + pins[i].offset, &value, sizeof(value));
	}
	if (ioctl(vcpu_fd, KVM_SET_LAPIC, &lapic))
		return cpu_failed("the local APIC", index);
	return 0;
}

/* A flat 4 GiB segment; `type` as in its descriptor. */
static struct kvm_segment flat_segment(unsigned int slot, uint8_t type, bool long_mode)
{
	return (struct kvm_segment){
		.limit = UINT32_MAX,
		.selector = (uint16_t)(slot * 8),
		.type = type,
		.present = 1,
		.db = !long_mode,
		.s = 1,
		.l = long_mode,
		.g = 1,
	};
}

static void sregs_fill(struct kvm_sregs *sregs, enum cpu_entry entry)
{
	bool long_mode = entry == CPU_ENTRY_LINUX64;

	sregs->cs = flat_segment(GDT_CODE, 0xb, long_mode);
	sregs->ds = flat_segment(GDT_DATA, 0x3, false);
	sregs->es = sregs->fs = sregs->gs = sregs->ss = sregs->ds;
	sregs->tr = (struct kvm_segment){
		.limit = 0x67, .selector = GDT_TSS * 8, .type = 0xb, .present = 1};
	sregs->gdt.base = GDT_ADDR;
	sregs->gdt.limit = GDT_SLOTS * 8 - 1;
	sregs->idt.base = 0;
	sregs->idt.limit = 0;
	sregs->cr0 = CR0_PE | CR0_ET;
	if (long_mode) {
		sregs->cr3 = PAGE_TABLES_ADDR;
		sregs->cr4 = CR4_PAE;
		sregs->efer = EFER_LME | EFER_LMA;
		sregs->cr0 |= CR0_PG;
	}
}

int cpu_x86_start(int vcpu_fd, const struct cpu_start *start)
{
	struct kvm_regs regs = {
		.rip = start->ip,
		.rsp = BOOT_STACK_ADDR,
		.rflags = RFLAGS_FIXED,
	};
	struct kvm_sregs sregs;

	if (start->entry == CPU_ENTRY_LINUX64)
		regs.rsi = start->info;
	else
		regs.rbx = start->info;
	if (ioctl(vcpu_fd, KVM_GET_SREGS, &sregs))
		return cpu_failed("the system registers", 0);
	sregs_fill(&sregs, start->entry);
	if (ioctl(vcpu_fd, KVM_SET_SREGS, &sregs) || ioctl(vcpu_fd, KVM_SET_REGS, &regs))
		return cpu_failed("the registers", 0);
	return 0;
}

int cpu_x86_init(int vcpu_fd, unsigned int index, unsigned int nr_cpus, struct kvm_cpuid2 *cpuid)
{
	int err;

	cpuid_finish(cpuid, index, nr_cpus);
	if (ioctl(vcpu_fd, KVM_SET_CPUID2, cpuid))
		return cpu_failed("the features", index);
	err = cpu_set_msrs(vcpu_fd, index);
	if (!err && index == 0)
		err = cpu_set_lapic(vcpu_fd, index);
	return err;
}

int cpu_x86_write_tables(const struct guest_mem *mem, enum cpu_entry entry)
{
	static const uint64_t gdt[GDT_SLOTS] = {
		[GDT_CODE] = 0x00af9b000000ffff,
		[GDT_DATA] = 0x00cf93000000ffff,
		[GDT_TSS] = 0x00008b0000000067,
	};
	const uint64_t entries = 512, directories = 4, pages = 2 + directories;
	uint64_t *table;
	uint64_t i;

	if (entry == CPU_ENTRY_PVH)
		return guest_mem_write(mem, GDT_ADDR, gdt, sizeof(gdt));
	table = guest_mem_ptr(mem, PAGE_TABLES_ADDR, pages * GUEST_PAGE_SIZE);
	if (!table)
		return -EFAULT;
	table[0] = (PAGE_TABLES_ADDR + GUEST_PAGE_SIZE) | PTE_PRESENT_WRITE;
	for (i = 0; i < directories; i++)
		table[entries + i] =
			(PAGE_TABLES_ADDR + (2 + i) * GUEST_PAGE_SIZE) | PTE_PRESENT_WRITE;
	for (i = 0; i < directories * entries; i++)
		table[2 * entries + i] = i * MIB(2) | PTE_PRESENT_WRITE | PTE_LARGE;
	return guest_mem_write(mem, GDT_ADDR, gdt, sizeof(gdt));
}
