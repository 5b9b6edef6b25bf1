/* SPDX-License-Identifier: Apache-2.0 */
#include "acpi.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "layout_x86.h"
#include "util.h"

#define DEVICES_MAX 128

/* Read with offsets out of the specification, not with the structures they were written with. */
static struct guest_mem mem;
static struct platform_device devices[DEVICES_MAX];

static int setup(void **state)
{
	(void)state;
	return guest_mem_map(&mem, 0, HIGH_MEMORY_ADDR);
}

static int teardown(void **state)
{
	(void)state;
	guest_mem_fini(&mem);
	return 0;
}

static uint64_t get(gpa_t gpa, unsigned int size)
{
	uint64_t value = 0;

	assert_int_equal(guest_mem_read(&mem, gpa, &value, size), 0);
	return value;
}

static bool is_text(gpa_t gpa, const char *text)
{
	const char *found = guest_mem_ptr(&mem, gpa, strlen(text));

	return found && !memcmp(found, text, strlen(text));
}

static void assert_checksum(gpa_t gpa, uint64_t len)
{
	uint8_t sum = 0;
	uint64_t i;

	for (i = 0; i < len; i++)
		sum = (uint8_t)(sum + get(gpa + i, 1));
	assert_int_equal(sum, 0);
}

/* A table with the right name, checksum and place; its length. */
static uint64_t table_check(gpa_t gpa, const char *signature, unsigned int revision)
{
	uint64_t len = get(gpa + 4, 4);

	assert_true(is_text(gpa, signature));
	assert_true(gpa >= ACPI_ADDR && len >= 36 && gpa + len <= ACPI_ADDR + ACPI_SIZE);
	assert_int_equal(get(gpa + 8, 1), revision);
	assert_checksum(gpa, len);
	return len;
}

struct tables {
	gpa_t xsdt, fadt, madt, dsdt;
	uint64_t madt_len, dsdt_len;
};

/* As a kernel finds them, from the root pointer. ACPI 6.4, 5.2.5. */
static struct tables tables_find(void)
{
	struct tables tables = {0};

	assert_true(is_text(ACPI_ADDR, "RSD PTR "));
	assert_int_equal(ACPI_ADDR % 16, 0);
	assert_int_equal(get(ACPI_ADDR + 15, 1), 2);
	assert_int_equal(get(ACPI_ADDR + 20, 4), 36);
	assert_checksum(ACPI_ADDR, 20);
	assert_checksum(ACPI_ADDR, 36);
	tables.xsdt = get(ACPI_ADDR + 24, 8);
	assert_int_equal(table_check(tables.xsdt, "XSDT", 1), 36 + 2 * 8);
	tables.fadt = get(tables.xsdt + 36, 8);
	tables.madt = get(tables.xsdt + 44, 8);
	assert_int_equal(table_check(tables.fadt, "FACP", 6), 276);
	tables.madt_len = table_check(tables.madt, "APIC", 5);
	tables.dsdt = get(tables.fadt + 140, 8);
	tables.dsdt_len = table_check(tables.dsdt, "DSDT", 2);
	/* Nothing lies on anything else. */
	assert_true(ACPI_ADDR + 36 <= tables.dsdt && tables.dsdt + tables.dsdt_len <= tables.fadt &&
		    tables.fadt + 276 <= tables.madt &&
		    tables.madt + tables.madt_len <= tables.xsdt);
	return tables;
}

static void devices_fill(unsigned int nr_serial, unsigned int nr_virtio)
{
	unsigned int i;

	for (i = 0; i < nr_serial + nr_virtio; i++)
		if (i < nr_serial)
			devices[i] =
				(struct platform_device){PLATFORM_SERIAL, i ? COM2_PORT : COM1_PORT,
							 i ? COM2_IRQ : COM1_IRQ};
		else
			devices[i] = (struct platform_device){
				PLATFORM_VIRTIO, VIRTIO_MMIO_ADDR + (i - nr_serial) * 0x1000,
				5 + i % 11};
}

/* Generic address: I/O space, eight bits, byte access. */
static void assert_port(gpa_t gpa, uint64_t port)
{
	assert_int_equal(get(gpa, 4), 0x01000801);
	assert_int_equal(get(gpa + 4, 8), port);
}

static void fixed_tables(void **state)
{
	static const unsigned int cpus[] = {1, 2, 32};
	struct tables tables;
	size_t i;
	unsigned int cpu;
	gpa_t at;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cpus); i++) {
		devices_fill(1, 1);
		assert_int_equal(acpi_write(&mem, cpus[i], devices, 2), 0);
		tables = tables_find();
		/* FADT: hardware-reduced, reset register; no VGA, no CMOS clock. */
		assert_int_equal(get(tables.fadt + 112, 4), 1u << 20 | 1u << 10);
		assert_int_equal(get(tables.fadt + 109, 2), 1u << 2 | 1u << 5);
		assert_int_equal(get(tables.fadt + 131, 1), 4);
		assert_int_equal(get(tables.fadt + 128, 1), 1);
		assert_port(tables.fadt + 116, POWER_PORT + 2);
		assert_port(tables.fadt + 244, POWER_PORT);
		assert_port(tables.fadt + 256, POWER_PORT + 1);
		/* MADT: processors in order, then one I/O APIC with an id of its own. */
		assert_int_equal(get(tables.madt + 36, 4), LAPIC_ADDR);
		assert_int_equal(tables.madt_len, 44 + 8 * cpus[i] + 12);
		for (cpu = 0, at = tables.madt + 44; cpu < cpus[i]; cpu++, at += 8)
			assert_int_equal(get(at, 8), 0x100000800ull | cpu << 16 | cpu << 24);
		assert_int_equal(get(at, 4), 0x0c01u | cpus[i] << 16);
		assert_int_equal(get(at + 4, 4), IOAPIC_ADDR);
		assert_int_equal(get(at + 8, 4), 0);
	}
}

/*
 * AML, as far as it is used: every package must end exactly where its parent or the next one has
 * its place. ACPI 6.4, 20.2.
 */
struct aml {
	gpa_t at, end;
};

static uint8_t aml_byte(struct aml *aml)
{
	assert_true(aml->at < aml->end);
	return (uint8_t)get(aml->at++, 1);
}

static struct aml aml_package(struct aml *aml)
{
	gpa_t start = aml->at;
	uint8_t lead = aml_byte(aml);
	uint64_t len = lead & 0x3f;
	unsigned int i;
	struct aml inner;

	if (lead >> 6) {
		assert_int_equal(lead & 0x30, 0); /* reserved */
		len = lead & 0xf;
	}
	for (i = 0; i < lead >> 6; i++)
		len |= (uint64_t)aml_byte(aml) << (4 + 8 * i);
	inner = (struct aml){aml->at, start + len};
	assert_true(inner.at <= inner.end && inner.end <= aml->end);
	aml->at = inner.end;
	return inner;
}

static void aml_expect(struct aml *aml, const char *bytes, size_t len)
{
	while (len--)
		assert_int_equal(aml_byte(aml), (uint8_t)*bytes++);
}

#define AML_EXPECT(aml, text) aml_expect(aml, text, sizeof(text) - 1)

static uint64_t aml_number(struct aml *aml, unsigned int size)
{
	uint64_t value = 0;
	unsigned int i;

	for (i = 0; i < size; i++)
		value |= (uint64_t)aml_byte(aml) << 8 * i;
	return value;
}

static void check_resources(struct aml *aml, const struct platform_device *device)
{
	struct aml crs;
	uint8_t size;

	AML_EXPECT(aml, "\x08_CRS\x11");
	crs = aml_package(aml);
	AML_EXPECT(&crs, "\x0a");
	size = aml_byte(&crs);
	assert_int_equal(size, crs.end - crs.at);
	if (device->kind == PLATFORM_SERIAL) {
		AML_EXPECT(&crs, "\x47\x01");
		assert_int_equal(aml_number(&crs, 2), device->addr);
		assert_int_equal(aml_number(&crs, 2), device->addr);
		AML_EXPECT(&crs, "\x01\x08");
	} else {
		AML_EXPECT(&crs, "\x86\x09\x00\x01");
		assert_int_equal(aml_number(&crs, 4), device->addr);
		assert_int_equal(aml_number(&crs, 4), 0x1000);
	}
	AML_EXPECT(&crs, "\x89\x06\x00\x0b\x01");
	assert_int_equal(aml_number(&crs, 4), device->irq);
	AML_EXPECT(&crs, "\x79\x00");
	assert_int_equal(crs.at, crs.end);
}

static void check_device(struct aml *scope, const struct platform_device *device,
			 unsigned int number)
{
	struct aml aml;
	char name[8];

	AML_EXPECT(scope, "\x5b\x82");
	aml = aml_package(scope);
	snprintf(name, sizeof(name), "DV%02X", number);
	aml_expect(&aml, name, 4);
	if (device->kind == PLATFORM_SERIAL)
		AML_EXPECT(&aml, "\x08_HID\x0c\x41\xd0\x05\x01");
	else
		AML_EXPECT(&aml, "\x08_HID\x0dLNRO0005\0\x08_CCA\x01");
	AML_EXPECT(&aml, "\x08_UID\x0c");
	assert_int_equal(aml_number(&aml, 4), number);
	check_resources(&aml, device);
	assert_int_equal(aml.at, aml.end);
}

static void check_dsdt(unsigned int nr_devices)
{
	struct tables tables = tables_find();
	struct aml aml = {tables.dsdt + 36, tables.dsdt + tables.dsdt_len}, inner;
	unsigned int i;

	AML_EXPECT(&aml, "\x08_S5_\x12");
	inner = aml_package(&aml);
	AML_EXPECT(&inner, "\x04\x0a\x05\0\0\0");
	assert_int_equal(inner.at, inner.end);
	AML_EXPECT(&aml, "\x10");
	inner = aml_package(&aml);
	AML_EXPECT(&inner, "\\_SB_");
	for (i = 0; i < nr_devices; i++)
		check_device(&inner, &devices[i], i);
	assert_int_equal(inner.at, inner.end);
	assert_int_equal(aml.at, aml.end);
}

static void devices_are_described(void **state)
{
	unsigned int virtios;

	(void)state;
	for (virtios = 0; virtios <= 16; virtios++) {
		devices_fill(2, virtios);
		assert_int_equal(acpi_write(&mem, 1, devices, 2 + virtios), 0);
		check_dsdt(2 + virtios);
	}
}

/* As many as there is room for are all right, one more is refused; never a broken table. */
static void too_many_devices_are_refused(void **state)
{
	unsigned int nr, fits = 0;
	int err;

	(void)state;
	devices_fill(2, DEVICES_MAX - 2);
	for (nr = 1; nr <= DEVICES_MAX; nr++) {
		err = acpi_write(&mem, 1, devices, nr);
		assert_true(!err || err == -ENOSPC);
		if (!err) {
			assert_int_equal(fits, nr - 1);
			fits = nr;
			check_dsdt(nr);
		}
	}
	assert_true(fits >= 18 && fits < DEVICES_MAX);
}

static void no_memory_for_tables(void **state)
{
	struct guest_mem none = {.nr_regions = 0};

	(void)state;
	assert_int_equal(acpi_write(&none, 1, devices, 0), -EFAULT);
}

/* What the reference implementation makes of it, where it is installed. */
static void reference_disassembler(void **state)
{
	char dir[] = "/tmp/husk-acpi-XXXXXX", command[256], line[256];
	struct tables tables;
	unsigned int found = 0;
	FILE *file;
	int status;

	(void)state;
	if (system("command -v iasl >/dev/null"))
		skip();
	devices_fill(2, 16);
	assert_int_equal(acpi_write(&mem, 32, devices, 18), 0);
	tables = tables_find();
	assert_non_null(mkdtemp(dir));
	snprintf(command, sizeof(command), "%s/dsdt.aml", dir);
	file = fopen(command, "w");
	assert_non_null(file);
	fwrite(guest_mem_ptr(&mem, tables.dsdt, tables.dsdt_len), 1, tables.dsdt_len, file);
	fclose(file);
	/* There and back: what it reads compiles without an error or a warning. */
	snprintf(command, sizeof(command),
		 "cd %s && iasl -d dsdt.aml >out 2>&1 && iasl -we dsdt.dsl >>out 2>&1", dir);
	status = system(command);
	snprintf(command, sizeof(command), "%s/dsdt.dsl", dir);
	file = fopen(command, "r");
	assert_non_null(file);
	while (fgets(line, sizeof(line), file))
		found += strstr(line, "LNRO0005") || strstr(line, "PNP0501");
	fclose(file);
	snprintf(command, sizeof(command), "rm -r %s", dir);
	assert_int_equal(system(command), 0);
	assert_int_equal(status, 0);
	assert_int_equal(found, 18);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(fixed_tables, setup, teardown),
		cmocka_unit_test_setup_teardown(devices_are_described, setup, teardown),
		cmocka_unit_test_setup_teardown(too_many_devices_are_refused, setup, teardown),
		cmocka_unit_test(no_memory_for_tables),
		cmocka_unit_test_setup_teardown(reference_disassembler, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
