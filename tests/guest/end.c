/* SPDX-License-Identifier: Apache-2.0 */
/* The ways a VM ends, by the word "end=" on the command line; "end=never" waits to be ended. */
#include "guest.h"

#define SLEEP_TYPE_OFF (5 << 2)
#define SLEEP_ENABLE (1 << 5)

/* A fault without a table of handlers becomes a double and then a triple fault. */
static void triple_fault(void)
{
	static const struct {
		uint16_t limit;
		uint64_t base;
	} __attribute__((packed)) none = {0, 0};

	__asm__ volatile("lidt %0; ud2" : : "m"(none));
}

void guest_main(const void *info)
{
	const char *cmdline = guest_cmdline(info);

	print("started\n");
	if (cmdline_has(cmdline, "end=power-off"))
		out8(ACPI_POWER, SLEEP_TYPE_OFF | SLEEP_ENABLE);
	else if (cmdline_has(cmdline, "end=acpi-reset"))
		out8(ACPI_POWER + 2, 1);
	else if (cmdline_has(cmdline, "end=keyboard-reset"))
		out8(I8042_COMMAND, I8042_RESET);
	else if (cmdline_has(cmdline, "end=triple-fault"))
		triple_fault();
	else if (cmdline_has(cmdline, "end=power-off-twice"))
		__asm__ volatile("rep outsb" : : "S"("\64\64"), "d"(ACPI_POWER), "c"(2l));
	for (;;)
		__asm__ volatile("hlt");
}
