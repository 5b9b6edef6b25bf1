/* SPDX-License-Identifier: Apache-2.0 */
#include "mptable.h"

#include <string.h>

#include "layout_x86.h"

#define ISA_INTERRUPTS 16
#define BUS_ISA 0
#define LAPIC_VERSION 0x14
#define IOAPIC_VERSION 0x11
#define LAPIC_ALL 0xff

enum { CPU_ENABLED = 1, CPU_BOOT = 2 };
enum { ENTRY_CPU, ENTRY_BUS, ENTRY_IOAPIC, ENTRY_INTERRUPT, ENTRY_LOCAL_INTERRUPT };
enum { INTERRUPT_INT, INTERRUPT_NMI, INTERRUPT_SMI, INTERRUPT_EXTINT };

struct mp_pointer {
	char signature[4];
	uint32_t table;
	uint8_t length; /* in 16 bytes */
	uint8_t version;
	uint8_t checksum;
	uint8_t features[5];
} __attribute__((packed));

struct mp_header {
	char signature[4];
	uint16_t length;
	uint8_t version;
	uint8_t checksum;
	char oem[8];
	char product[12];
	uint32_t oem_table;
	uint16_t oem_table_size;
	uint16_t entries;
	uint32_t lapic;
	uint32_t extended;
} __attribute__((packed));

struct mp_cpu {
	uint8_t type, apic_id, apic_version, flags;
	uint32_t signature, features, reserved[2];
} __attribute__((packed));

struct mp_bus {
	uint8_t type, id;
	char name[6];
} __attribute__((packed));

struct mp_ioapic {
	uint8_t type, id, version, flags;
	uint32_t addr;
} __attribute__((packed));

struct mp_interrupt {
	uint8_t type, kind;
	uint16_t flags; /* 0: polarity and trigger as the bus has them; ISA: edge, active high */
	uint8_t bus, bus_irq, apic, pin;
} __attribute__((packed));

/* The table under construction. */
struct mp_table {
	struct mp_header header;
	uint8_t entries[2048];
	uint16_t used;
} __attribute__((packed));

static void mp_add(struct mp_table *table, const void *entry, uint16_t size)
{
	memcpy(table->entries + table->used, entry, size);
	table->used = (uint16_t)(table->used + size);
	table->header.entries++;
}

static void mp_add_interrupt(struct mp_table *table, uint8_t type, uint8_t kind, uint8_t irq,
			     uint8_t apic, uint8_t pin)
{
	struct mp_interrupt entry = {type, kind, 0, BUS_ISA, irq, apic, pin};

	mp_add(table, &entry, sizeof(entry));
}

/* What makes the sum of all bytes zero. */
static uint8_t mp_checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *bytes++);
	return (uint8_t)-sum;
}

int mptable_write(const struct guest_mem *mem, unsigned int nr_cpus)
{
	struct mp_pointer pointer = {"_MP_", MPTABLE_ADDR + sizeof(pointer), 1, 4, 0, {0}};
	struct mp_bus bus = {ENTRY_BUS, BUS_ISA, "ISA   "};
	struct mp_ioapic ioapic = {ENTRY_IOAPIC, (uint8_t)nr_cpus, IOAPIC_VERSION, 1, IOAPIC_ADDR};
	struct mp_table table = {
		.header = {.signature = "PCMP",
			   .version = 4,
			   .oem = "HUSK    ",
			   .product = "MICROVM     ",
			   .lapic = LAPIC_ADDR},
	};
	unsigned int i;
	int err;

	for (i = 0; i < nr_cpus; i++) {
		struct mp_cpu cpu = {.type = ENTRY_CPU,
				     .apic_id = (uint8_t)i,
				     .apic_version = LAPIC_VERSION,
				     .flags = CPU_ENABLED | (i ? 0 : CPU_BOOT)};

		mp_add(&table, &cpu, sizeof(cpu));
	}
	mp_add(&table, &bus, sizeof(bus));
	mp_add(&table, &ioapic, sizeof(ioapic));
	for (i = 0; i < ISA_INTERRUPTS; i++)
		mp_add_interrupt(&table, ENTRY_INTERRUPT, INTERRUPT_INT, (uint8_t)i, ioapic.id,
				 (uint8_t)i);
	mp_add_interrupt(&table, ENTRY_LOCAL_INTERRUPT, INTERRUPT_EXTINT, 0, LAPIC_ALL, 0);
	mp_add_interrupt(&table, ENTRY_LOCAL_INTERRUPT, INTERRUPT_NMI, 0, LAPIC_ALL, 1);

	table.header.length = (uint16_t)(sizeof(table.header) + table.used);
	table.header.checksum = mp_checksum(&table, table.header.length);
	pointer.checksum = mp_checksum(&pointer, sizeof(pointer));
	err = guest_mem_write(mem, MPTABLE_ADDR, &pointer, sizeof(pointer));
	return err ? err : guest_mem_write(mem, pointer.table, &table, table.header.length);
}
