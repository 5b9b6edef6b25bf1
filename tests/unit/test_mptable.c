/* SPDX-License-Identifier: Apache-2.0 */
#include "mptable.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <errno.h>
#include <string.h>

#include "layout_x86.h"
#include "util.h"

static uint8_t *bytes_at(const struct guest_mem *mem, gpa_t gpa, uint64_t len)
{
	uint8_t *bytes = guest_mem_ptr(mem, gpa, len);
	uint8_t sum = 0;
	uint64_t i;

	assert_non_null(bytes);
	for (i = 0; i < len; i++)
		sum = (uint8_t)(sum + bytes[i]);
	assert_int_equal(sum, 0);
	return bytes;
}

static uint32_t get(const uint8_t *at, unsigned int size)
{
	uint32_t value = 0;

	memcpy(&value, at, size);
	return value;
}

/* As a kernel reads it: MultiProcessor Specification 1.4, chapter 4, by its offsets. */
static void check_table(const struct guest_mem *mem, unsigned int nr_cpus)
{
	static const unsigned int sizes[] = {20, 8, 8, 8, 8};
	unsigned int counts[5] = {0}, i, entries;
	const uint8_t *at = bytes_at(mem, MPTABLE_ADDR, 16), *table;
	gpa_t gpa = get(at + 4, 4);
	uint32_t len, pins = 0, lints = 0;

	assert_memory_equal(at, "_MP_", 4);
	assert_int_equal(at[8], 1);
	assert_int_equal(at[9], 4);
	/* A table, not a default configuration; PIC mode is not there. */
	assert_int_equal(at[11], 0);
	assert_int_equal(at[12], 0);
	assert_true(gpa >= MPTABLE_ADDR + 16 && gpa % 4 == 0);
	len = get(guest_mem_ptr(mem, gpa + 4, 2), 2);
	assert_true(gpa + len <= ACPI_ADDR);
	table = bytes_at(mem, gpa, len);
	assert_memory_equal(table, "PCMP", 4);
	assert_int_equal(table[6], 4);
	assert_int_equal(get(table + 36, 4), LAPIC_ADDR);
	entries = get(table + 34, 2);
	for (at = table + 44; entries; entries--, at += sizes[at[0]]) {
		assert_true(at < table + len && at[0] < ARRAY_SIZE(sizes));
		/* In the order of their types. */
		for (i = at[0] + 1u; i < ARRAY_SIZE(counts); i++)
			assert_int_equal(counts[i], 0);
		switch (at[0]) {
		case 0: /* processor: enabled, the first one boots */
			assert_int_equal(at[1], counts[0]);
			assert_int_equal(at[3], counts[0] ? 1 : 3);
			break;
		case 1:
			assert_memory_equal(at + 2, "ISA   ", 6);
			break;
		case 2: /* I/O APIC: enabled, an id that no processor has */
			assert_int_equal(at[1], nr_cpus);
			assert_int_equal(at[3], 1);
			assert_int_equal(get(at + 4, 4), IOAPIC_ADDR);
			break;
		case 3: /* ISA interrupts go to the pin of their number */
			assert_int_equal(get(at + 1, 4), 0);
			assert_int_equal(at[5], at[7]);
			assert_int_equal(at[6], nr_cpus);
			pins |= 1u << at[7];
			break;
		default: /* local: ExtINT at pin 0, NMI at pin 1 */
			assert_int_equal(at[1], at[7] ? 1 : 3);
			lints |= 1u << at[7];
			break;
		}
		counts[at[0]]++;
	}
	assert_ptr_equal(at, table + len);
	assert_int_equal(counts[0], nr_cpus);
	assert_int_equal(counts[1], 1);
	assert_int_equal(counts[2], 1);
	assert_int_equal(counts[3], 16);
	assert_int_equal(pins, 0xffff);
	assert_int_equal(lints, 3);
}

static void tables_can_be_read(void **state)
{
	struct guest_mem mem = {.nr_regions = 0};
	unsigned int cpus;

	(void)state;
	assert_int_equal(guest_mem_map(&mem, 0, HIGH_MEMORY_ADDR), 0);
	for (cpus = 1; cpus <= 32; cpus++) {
		assert_int_equal(mptable_write(&mem, cpus), 0);
		check_table(&mem, cpus);
	}
	guest_mem_fini(&mem);
	assert_int_equal(mptable_write(&mem, 1), -EFAULT);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(tables_can_be_read),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
