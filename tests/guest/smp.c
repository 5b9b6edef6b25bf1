/* SPDX-License-Identifier: Apache-2.0 */
/* Starts every other vCPU; the MADT says how many there are. */
#include "guest.h"

#define LAPIC_ID (LAPIC + 0x20)

#define ADDITIONS 1000
#define WAIT_TURNS 100000

struct acpi_header {
	char signature[4];
	uint32_t length;
	uint8_t rest[28];
} __attribute__((packed));

static uint32_t arrived, finished, counter;
static uint32_t apic_ids[GUEST_CPUS_MAX];

/* All add to one counter at the same time: each addition must count. */
void guest_ap_main(unsigned int number)
{
	unsigned int i;

	if (number < GUEST_CPUS_MAX)
		apic_ids[number] = mmio_read32(LAPIC_ID) >> 24;
	__atomic_add_fetch(&arrived, 1, __ATOMIC_SEQ_CST);
	for (i = 0; i < ADDITIONS; i++)
		__atomic_add_fetch(&counter, 1, __ATOMIC_SEQ_CST);
	__atomic_add_fetch(&finished, 1, __ATOMIC_SEQ_CST);
}

static const struct acpi_header *find_madt(const struct boot_params *params)
{
	uint64_t xsdt_addr = *(const uint64_t *)(params->acpi_rsdp_addr + 24);
	const struct acpi_header *xsdt = (const void *)xsdt_addr;
	const uint64_t *entry = (const void *)(xsdt + 1);
	uint32_t nr = (xsdt->length - sizeof(*xsdt)) / sizeof(*entry);

	for (; nr; nr--, entry++)
		if (!memcmp((const void *)*entry, "APIC", 4))
			return (const void *)*entry;
	return NULL;
}

static uint32_t count_cpus(const struct acpi_header *madt)
{
	const uint8_t *at = (const uint8_t *)madt + 44, *end = (const uint8_t *)madt + madt->length;
	uint32_t nr = 0;

	for (; at < end && at[1]; at += at[1])
		if (at[0] == 0 && at[4] & 1) /* a local APIC, enabled */
			nr++;
	return nr;
}

void guest_main(const void *info)
{
	const struct acpi_header *madt = find_madt(info);
	uint32_t nr = madt ? count_cpus(madt) : 0, i, seen = 0;

	print("vCPUs ");
	print_number(nr);
	print("\n");
	check_equal("the first vCPU has APIC ID 0", mmio_read32(LAPIC_ID) >> 24, 0);
	for (i = 1; i < nr; i++)
		guest_start_cpu(i);
	for (i = 0; i < WAIT_TURNS && __atomic_load_n(&finished, __ATOMIC_SEQ_CST) < nr - 1; i++)
		in8(0x80); /* slow everywhere */
	check_equal("each other vCPU arrived once", arrived, nr - 1);
	check_equal("no addition is lost", counter, (nr - 1) * ADDITIONS);
	for (i = 1; i < nr && i < GUEST_CPUS_MAX; i++)
		seen |= 1u << apic_ids[i];
	check_equal("each has an APIC ID of its own", seen, (1u << nr) - 2);
}
