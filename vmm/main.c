/* SPDX-License-Identifier: Apache-2.0 */
/*
 * husk: the life of a VM. Parse what is asked for, create everything, run it, pass on how it ended.
 */
#include <fcntl.h>
#include <unistd.h>

#include "assets.h"
#include "config.h"
#include "doctor.h"
#include "ending.h"
#include "machine.h"
#include "timeline.h"
#include "util.h"

/*
 * A standard stream that is closed would be taken by the next file husk opens. It becomes
 * /dev/null, opened the wrong way round: to use it fails as before.
 */
static void fill_standard_streams(void)
{
	int fd;

	for (fd = STDIN_FILENO; fd <= STDERR_FILENO; fd++)
		if (fcntl(fd, F_GETFD) < 0 &&
		    open("/dev/null", fd == STDIN_FILENO ? O_WRONLY : O_RDONLY) < 0)
			return;
}

static int run_machine(struct vm_config *config, struct timeline *timeline)
{
	bool firecracker = config->mode == CONFIG_FILE;
	struct machine *machine;
	struct verdict verdict;
	int status;

	ending_block_signals();
	if (assets_fill(config) || machine_create(config, timeline, &machine))
		return firecracker ? CONFIG_EXIT_FILE : CONFIG_EXIT_HUSK;
	verdict = machine_run(machine);
	status = verdict_report(&verdict, firecracker);
	if (config->timing)
		timeline_print(timeline);
	/*
	 * vCPU threads still hold on to the machine: the kernel takes it apart with the process.
	 * What the guest flushed is on its disks.
	 */
	_exit(status);
}

int main(int argc, char **argv)
{
	struct timeline timeline = {.nr_marks = 0};
	struct vm_config config = {0};
	int status;

	timeline_mark(&timeline, "husk starts");
	fill_standard_streams();
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
		case CONFIG_RUN:
		case CONFIG_FILE:
			status = run_machine(&config, &timeline);
			break;
		}
	}
	config_fini(&config);
	return status;
}
