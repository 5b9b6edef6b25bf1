/* SPDX-License-Identifier: Apache-2.0 */
#include "acpi.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>

#include "layout_x86.h"
#include "power.h"
#include "util.h"

#define VIRTIO_WINDOW 0x1000u

/* Fixed ACPI description table flags, and what an IBM PC has that this machine has not. */
#define FADT_RESET_REGISTER (1u << 10)
#define FADT_HARDWARE_REDUCED (1u << 20)
#define BOOT_NO_VGA (1u << 2)
#define BOOT_NO_CMOS_CLOCK (1u << 5)

struct acpi_rsdp {
	char signature[8];
	uint8_t checksum;
	char oem[6];
	uint8_t revision;
	uint32_t rsdt;
	uint32_t length;
	uint64_t xsdt;
	uint8_t extended_checksum;
	uint8_t reserved[3];
} __attribute__((packed));

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t revision;
	uint8_t checksum;
	char oem[6];
	char oem_table[8];
	uint32_t oem_revision;
	char creator[4];
	uint32_t creator_revision;
} __attribute__((packed));

/* Generic address: where a register is. */
struct acpi_gas {
	uint8_t space; /* 1: I/O ports */
	uint8_t bits;
	uint8_t bit_offset;
	uint8_t access; /* 1: bytes */
	uint64_t addr;
} __attribute__((packed));

struct acpi_fadt {
	struct acpi_header header;
	uint8_t legacy1[109 - 36];
	uint16_t boot_arch;
	uint8_t reserved;
	uint32_t flags;
	struct acpi_gas reset_register;
	uint8_t reset_value;
	uint16_t arm_boot_arch;
	uint8_t minor_version;
	uint64_t facs;
	uint64_t dsdt;
	uint8_t legacy2[244 - 148];
	struct acpi_gas sleep_control;
	struct acpi_gas sleep_status;
	uint64_t hypervisor;
} __attribute__((packed));
_Static_assert(offsetof(struct acpi_fadt, flags) == 112, "ACPI 6.4, table 5.9");
_Static_assert(offsetof(struct acpi_fadt, sleep_control) == 244, "ACPI 6.4, table 5.9");
_Static_assert(sizeof(struct acpi_fadt) == 276, "ACPI 6.4, table 5.9");

struct acpi_madt {
	struct acpi_header header;
	uint32_t lapic;
	uint32_t flags;
} __attribute__((packed));

struct acpi_xsdt {
	struct acpi_header header;
	uint64_t tables[2];
} __attribute__((packed));

struct acpi_madt_lapic {
	uint8_t type, length, uid, apic_id;
	uint32_t flags;
} __attribute__((packed));

struct acpi_madt_ioapic {
	uint8_t type, length, id, reserved;
	uint32_t addr, gsi_base;
} __attribute__((packed));

/*
 * A table under construction; what does not fit is counted, not written. No bigger than the
 * lengths in AML, see aml_end.
 */
struct acpi_table {
	uint8_t data[4096];
	size_t len;
};

static void table_add(struct acpi_table *table, const void *data, size_t len)
{
	if (table->len + len <= sizeof(table->data))
		memcpy(table->data + table->len, data, len);
	table->len += len;
}

static void table_begin(struct acpi_table *table, const void *data, size_t len)
{
	table->len = 0;
	table_add(table, data, len);
}

static void table_add_byte(struct acpi_table *table, uint8_t byte)
{
	table_add(table, &byte, 1);
}

static uint8_t checksum(const void *data, size_t len)
{
	const uint8_t *bytes = data;
	uint8_t sum = 0;

	while (len--)
		sum = (uint8_t)(sum + *bytes++);
	return (uint8_t)-sum;
}

static struct acpi_header header_make(const char signature[4], uint8_t revision)
{
	struct acpi_header header = {
		.revision = revision, .oem_revision = 1, .creator_revision = 1};

	memcpy(header.signature, signature, 4);
	memcpy(header.oem, "HUSK  ", 6);
	memcpy(header.oem_table, "MICROVM ", 8);
	memcpy(header.creator, "HUSK", 4);
	return header;
}

/*
 * AML, the byte code of the device description. ACPI 6.4, 20.2.
 */

/* Opens something with a length in front; its place is left open for aml_end. */
static size_t aml_begin(struct acpi_table *table)
{
	table->len += 2;
	return table->len - 2;
}

/* The length counts itself; always in its two-byte form, good for 4095. */
static void aml_end(struct acpi_table *table, size_t start)
{
	size_t len = table->len - start;

	if (table->len > sizeof(table->data))
		return;
	table->data[start] = (uint8_t)(1 << 6 | (len & 0xf));
	table->data[start + 1] = (uint8_t)(len >> 4);
}

static void aml_name(struct acpi_table *table, const char name[4])
{
	table_add_byte(table, 0x08); /* NameOp */
	table_add(table, name, 4);
}

static void aml_dword(struct acpi_table *table, uint32_t value)
{
	table_add_byte(table, 0x0c); /* DWordPrefix */
	table_add(table, &value, sizeof(value));
}

/* \_S5: the sleep type that powers off. */
static void aml_power_off(struct acpi_table *table)
{
	size_t package;

	aml_name(table, "_S5_");
	table_add_byte(table, 0x12); /* PackageOp */
	package = aml_begin(table);
	table_add(table, (uint8_t[]){4, 0x0a, POWER_SLEEP_TYPE_OFF, 0, 0, 0}, 6);
	aml_end(table, package);
}

/* _CRS: the device's registers and interrupt, as resource descriptors. ACPI 6.4, 6.4.2 and 6.4.3.
 */
static void aml_resources(struct acpi_table *table, const struct platform_device *device)
{
	uint8_t port_low = (uint8_t)device->addr, port_high = (uint8_t)(device->addr >> 8);
	uint32_t addr = (uint32_t)device->addr, size = VIRTIO_WINDOW;
	size_t buffer, size_at;

	aml_name(table, "_CRS");
	table_add_byte(table, 0x11); /* BufferOp */
	buffer = aml_begin(table);
	table_add(table, (uint8_t[]){0x0a, 0}, 2); /* its size, filled in below */
	size_at = table->len - 1;
	if (device->kind == PLATFORM_SERIAL) {
		table_add(table,
			  (uint8_t[]){0x47, 1, port_low, port_high, port_low, port_high, 1,
				      SERIAL_PORTS},
			  8);
	} else {
		table_add(table, (uint8_t[]){0x86, 9, 0, 1}, 4);
		table_add(table, &addr, sizeof(addr));
		table_add(table, &size, sizeof(size));
	}
	/* Consumer, edge, active high, shared. */
	table_add(table, (uint8_t[]){0x89, 6, 0, 0xb, 1}, 5);
	table_add(table, &device->irq, sizeof(device->irq));
	table_add(table, (uint8_t[]){0x79, 0}, 2); /* end */
	if (table->len <= sizeof(table->data))
		table->data[size_at] = (uint8_t)(table->len - size_at - 1);
	aml_end(table, buffer);
}

static void aml_device(struct acpi_table *table, const struct platform_device *device,
		       unsigned int number)
{
	static const char digits[] = "0123456789ABCDEF";
	const char name[4] = {'D', 'V', digits[number >> 4 & 0xf], digits[number & 0xf]};
	size_t start;

	table_add(table, (uint8_t[]){0x5b, 0x82}, 2); /* DeviceOp */
	start = aml_begin(table);
	table_add(table, name, sizeof(name));
	aml_name(table, "_HID");
	if (device->kind == PLATFORM_SERIAL) {
		aml_dword(table, 0x0105d041); /* EISA ID PNP0501 */
	} else {
		table_add_byte(table, 0x0d); /* StringPrefix */
		table_add(table, "LNRO0005", sizeof("LNRO0005"));
		aml_name(table, "_CCA"); /* coherent with the CPU's caches */
		table_add_byte(table, 1);
	}
	aml_name(table, "_UID");
	aml_dword(table, number);
	aml_resources(table, device);
	aml_end(table, start);
}

static void dsdt_build(struct acpi_table *table, const struct platform_device *devices,
		       unsigned int nr_devices)
{
	struct acpi_header header = header_make("DSDT", 2);
	size_t scope;
	unsigned int i;

	table_begin(table, &header, sizeof(header));
	aml_power_off(table);
	table_add_byte(table, 0x10); /* ScopeOp */
	scope = aml_begin(table);
	table_add(table, "\\_SB_", 5);
	for (i = 0; i < nr_devices; i++)
		aml_device(table, &devices[i], i);
	aml_end(table, scope);
}

static void madt_build(struct acpi_table *table, unsigned int nr_cpus)
{
	struct acpi_madt madt = {.header = header_make("APIC", 5), .lapic = LAPIC_ADDR};
	struct acpi_madt_ioapic ioapic = {1, sizeof(ioapic), (uint8_t)nr_cpus, 0, IOAPIC_ADDR, 0};
	unsigned int i;

	table_begin(table, &madt, sizeof(madt));
	for (i = 0; i < nr_cpus; i++) {
		struct acpi_madt_lapic lapic = {0, sizeof(lapic), (uint8_t)i, (uint8_t)i, 1};

		table_add(table, &lapic, sizeof(lapic));
	}
	table_add(table, &ioapic, sizeof(ioapic));
}

static void fadt_build(struct acpi_table *table, gpa_t dsdt)
{
	struct acpi_gas port = {.space = 1, .bits = 8, .access = 1};
	struct acpi_fadt fadt = {
		.header = header_make("FACP", 6),
		.boot_arch = BOOT_NO_VGA | BOOT_NO_CMOS_CLOCK,
		.flags = FADT_HARDWARE_REDUCED | FADT_RESET_REGISTER,
		.reset_value = POWER_RESET_VALUE,
		.minor_version = 4,
		.dsdt = dsdt,
	};

	fadt.reset_register = fadt.sleep_control = fadt.sleep_status = port;
	fadt.sleep_control.addr = POWER_PORT + POWER_SLEEP_CONTROL;
	fadt.sleep_status.addr = POWER_PORT + POWER_SLEEP_STATUS;
	fadt.reset_register.addr = POWER_PORT + POWER_RESET;
	table_begin(table, &fadt, sizeof(fadt));
}

/* Finishes a table, writes it at *gpa and moves *gpa past it. */
static int table_write(const struct guest_mem *mem, struct acpi_table *table, gpa_t *gpa)
{
	uint32_t len = (uint32_t)table->len;
	int err;

	if (table->len > sizeof(table->data))
		return -ENOSPC;
	memcpy(table->data + offsetof(struct acpi_header, length), &len, sizeof(len));
	table->data[offsetof(struct acpi_header, checksum)] = checksum(table->data, len);
	err = guest_mem_write(mem, *gpa, table->data, len);
	*gpa += ALIGN_UP(len, 16u);
	return err;
}

int acpi_write(const struct guest_mem *mem, unsigned int nr_cpus,
	       const struct platform_device *devices, unsigned int nr_devices)
{
	struct acpi_rsdp rsdp = {
		.signature = "RSD PTR ", .oem = "HUSK  ", .revision = 2, .length = sizeof(rsdp)};
	struct acpi_xsdt xsdt = {.header = header_make("XSDT", 1)};
	struct acpi_table table; /* one after the other: each page of stack takes a fault, too */
	gpa_t gpa = ACPI_ADDR + ALIGN_UP(sizeof(rsdp), 16);
	gpa_t dsdt = gpa;
	int err;

	dsdt_build(&table, devices, nr_devices);
	err = table_write(mem, &table, &gpa);
	if (err)
		return err;
	xsdt.tables[0] = gpa;
	fadt_build(&table, dsdt);
	err = table_write(mem, &table, &gpa);
	if (err)
		return err;
	xsdt.tables[1] = gpa;
	madt_build(&table, nr_cpus);
	err = table_write(mem, &table, &gpa);
	if (err)
		return err;
	rsdp.xsdt = gpa;
	table_begin(&table, &xsdt, sizeof(xsdt));
	err = table_write(mem, &table, &gpa);
	if (err)
		return err;
	rsdp.checksum = checksum(&rsdp, 20); /* the part ACPI 1.0 had */
	rsdp.extended_checksum = checksum(&rsdp, sizeof(rsdp));
	return guest_mem_write(mem, ACPI_ADDR, &rsdp, sizeof(rsdp));
}
