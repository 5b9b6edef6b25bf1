/* SPDX-License-Identifier: Apache-2.0 */
/*
 * husk: the life of a VM. Parse what is asked for, create everything, run it, pass on how it ended.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#include "assets.h"
#include "config.h"
#include "confine.h"
#include "doctor.h"
#include "ending.h"
#include "machine.h"
#include "seccomp_print.h"
#include "supervise.h"
#include "timeline.h"
#include "util.h"

/*
 * A standard stream that is closed would be taken by the next file husk opens. It becomes
 * /dev/null, opened the wrong way round: to use it fails as before.
 */
static int fill_standard_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return -errno;
	return 0;
}

/* What is switched off is for debugging, and nobody is to forget it. */
static void warn(const struct vm_config *config)
{
	if (!config->sandbox)
		log_warn("--no-sandbox: a guest that breaks out of the VM reaches all you can");
	if (config->seccomp == SECCOMP_OFF)
		log_warn("--no-seccomp: a guest that breaks out of the VM may make any system "
			 "call");
	else if (config->seccomp == SECCOMP_LOG)
		log_warn("--seccomp log: forbidden system calls are made, and logged by the "
			 "kernel (dmesg)");
}

static int failed_status(const struct vm_config *config)
{
	return config->mode == CONFIG_FILE ? CONFIG_EXIT_FILE : CONFIG_EXIT_HUSK;
}

/* Everything is open. From here on this is the child, and its parent makes the jail. */
static int begin_jail(const struct vm_config *config, struct supervised *ret_child)
{
	struct supervise_spec spec = {.jail = true,
				      .seccomp = config->seccomp,
				      .failed_status = failed_status(config),
				      .killed_status = config->mode == CONFIG_FILE
							       ? verdict_killed_firecracker
							       : verdict_killed_run};

	*ret_child = (struct supervised){.parent_fd = -1, .alive_fd = -1, .tell_fd = -1};
	return config->sandbox && !config->jailed ? supervise(&spec, ret_child) : 0;
}

/* From here on the process that holds what is open can reach nothing else. */
static int enter_jail(const struct vm_config *config, struct supervised *child)
{
	int err;

	if (config->jailed) {
		err = confine_verify();
		if (!err)
			err = confine_scopes();
		return err ? err : confine_files(NULL);
	}
	return config->sandbox ? supervise_enter(child) : 0;
}

static int run_machine(struct vm_config *config, struct timeline *timeline)
{
	struct resources resources;
	struct supervised child;
	struct machine *machine;
	struct verdict verdict;
	int status;

	warn(config);
	ending_block_signals();
	status = assets_fill(config) || resources_open(config, &resources);
	timeline_mark(timeline, "disks and networks open");
	if (status || begin_jail(config, &child))
		return failed_status(config);
	timeline_mark(timeline, "process for the VM");
	resources.verdict_fd = child.tell_fd;
	if (machine_create(config, &resources, timeline, &machine) || enter_jail(config, &child))
		return failed_status(config);
	timeline_mark(timeline, "jailed");
	if (machine_load(machine))
		return failed_status(config);
	if (config->print_seccomp)
		return machine_print_seccomp(machine, stdout) ? CONFIG_EXIT_HUSK : 0;
	verdict = machine_run(machine);
	status = verdict_report(&verdict, config->mode == CONFIG_FILE);
	/*
	 * vCPU threads still hold on to the machine: the kernel takes it apart with the process,
	 * for which nobody waits. What the guest flushed is on its disks.
	 */
	machine_end(machine, status);
	supervise_tell(&child, status);
	_exit(status);
}

int main(int argc, char **argv)
{
	struct timeline timeline = {.nr_marks = 0};
	struct vm_config config = {0};
	int status;

	timeline_begin(&timeline);
	if (fill_standard_streams()) {
		log_error("a standard stream is closed, and /dev/null cannot be opened for it: %s",
			  strerror(errno));
		return CONFIG_EXIT_HUSK;
	}
	status = config_parse(&config, argc, argv);
	timeline_mark(&timeline, "options parsed");
	if (!status) {
		if (config.verbose)
			log_set_level(LOG_INFO);
		switch (config.mode) {
		case CONFIG_HELP:
			break;
		case CONFIG_DOCTOR:
			status = doctor_run(config.quiet);
			break;
		case CONFIG_SECCOMP:
			status = seccomp_print_all(stdout) ? CONFIG_EXIT_HUSK : 0;
			break;
		case CONFIG_RUN:
		case CONFIG_FILE:
			status = run_machine(&config, &timeline);
			break;
		}
	}
	config_fini(&config);
	return status;
}
