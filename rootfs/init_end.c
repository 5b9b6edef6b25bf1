/* SPDX-License-Identifier: Apache-2.0 */
#include "init_end.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/reboot.h>
#include <unistd.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif

#include "init_file.h"
#include "init_link.h"
#include "init_mount.h"
#include "init_proc.h"

#define STATUS_FAILED 125

static _Noreturn void power_off(void)
{
#ifdef __x86_64__
	/*
	 * The keyboard controller's reset line, one port write: the kernel's own reboot() first
	 * shuts down devices and other CPUs, which takes far longer.
	 */
	if (ioperm(0x64, 1, 1) == 0)
		outb(0xfe, 0x64);
#endif
	reboot(RB_AUTOBOOT);
	for (;;)
		pause();
}

static void send_verdict(uint8_t status, const char *text)
{
	char payload[LINK_PAYLOAD_MAX];
	struct link_exit verdict = {.status = status};
	size_t len = strnlen(text, sizeof(payload) - sizeof(verdict));

	memcpy(payload, &verdict, sizeof(verdict));
	memcpy(payload + sizeof(verdict), text, len);
	link_send(LINK_EXIT, payload, sizeof(verdict) + len);
	link_drain();
}

static void log_verdict(const char *text)
{
	char line[LINK_PAYLOAD_MAX];

	/* <2>: critical, so that it is shown with "quiet", too. */
	snprintf(line, sizeof(line), "<2>husk init: %s\n", text);
	file_write("/dev/kmsg", line);
}

_Noreturn void machine_end(uint8_t status, const char *text)
{
	proc_end_all();
	mount_end_all();
	if (link_is_open())
		send_verdict(status, text);
	else
		log_verdict(text);
	power_off();
}

_Noreturn void give_up(const char *format, ...)
{
	char text[LINK_PAYLOAD_MAX - sizeof(struct link_exit)];
	va_list args;

	va_start(args, format);
	vsnprintf(text, sizeof(text), format, args);
	va_end(args);
	machine_end(STATUS_FAILED, text);
}
