/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's init, PID 1: makes the machine a place where a command can run, runs the one
 * command husk was asked to run, relays its stdio, and ends the machine with its exit status.
 *
 * It comes in the initramfs that husk adds to every boot, so it needs nothing of the image: no
 * agent, no shell, not even a writable disk. It is static and small, as unpacking it is part of
 * every boot, and nothing in it waits for a fixed time.
 *
 * init_end.c is the only way out, on failure as on success.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "init_end.h"
#include "init_file.h"
#include "init_link.h"
#include "init_mount.h"
#include "init_net.h"
#include "init_proc.h"
#include "init_relay.h"
#include "init_timing.h"

/* Descriptors 0 to 2 must be taken, or pipes to the command would get these numbers. */
static void stdio_ensure(void)
{
	int fd;

	do
		fd = open("/dev/null", O_RDWR);
	while (fd >= 0 && fd <= STDERR_FILENO);
	if (fd >= 0)
		close(fd);
}

static void read_run(struct run_spec *run)
{
	const char *bad;
	size_t len;
	char *text = file_read(LINK_RUN_PATH, &len);
	int ret;

	if (!text)
		give_up("cannot read %s: %s", LINK_RUN_PATH, strerror(errno));
	ret = run_parse(text, len, run, &bad);
	if (ret < 0)
		give_up("%s: %s at \"%s\"", LINK_RUN_PATH, strerror(-ret), bad);
}

static void read_cmdline(struct boot_spec *boot)
{
	char *text = file_read("/proc/cmdline", NULL);

	if (!text)
		give_up("cannot read /proc/cmdline: %s", strerror(errno));
	cmdline_parse(text, boot);
}

int main(void)
{
	struct run_spec run;
	struct boot_spec boot;
	struct command command;
	uint8_t status;
	int ret;

	timing_start();
	proc_init();
	mount_early();
	stdio_ensure();
	ret = link_open();
	if (ret < 0)
		give_up("cannot open %s: %s", LINK_TTY, strerror(-ret));
	link_send(LINK_READY, NULL, 0);
	timing_send();

	read_run(&run);
	read_cmdline(&boot);
	mount_root(&boot);
	mount_rest();
	net_up(&boot);

	command_start(&run, &command);
	link_send(LINK_STARTED, NULL, 0);
	status = relay_run(&command);
	proc_end_all();
	relay_rest(&command);
	machine_end(status, "");
}
