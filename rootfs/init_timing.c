/* SPDX-License-Identifier: Apache-2.0 */
#include "init_timing.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>
#ifdef __x86_64__
#include <sys/io.h>
#endif

#include "init_link.h"

#define MARK "husk init"

static struct timespec started;

static bool is_asked(void)
{
	return getenv(LINK_TIMING) != NULL;
}

static unsigned long long us_since_start(void)
{
	struct timespec now;
	long long ns;

	clock_gettime(CLOCK_MONOTONIC, &now);
	ns = (long long)(now.tv_sec - started.tv_sec) * 1000000000 + now.tv_nsec - started.tv_nsec;
	return (unsigned long long)ns / 1000;
}

void timing_start(void)
{
	if (!is_asked())
		return;
#ifdef __x86_64__
	if (ioperm(LINK_SCRATCH_PORT, 1, 1) == 0) {
		outb(LINK_INIT_STARTS, LINK_SCRATCH_PORT);
		ioperm(LINK_SCRATCH_PORT, 1, 0);
	}
#endif
	clock_gettime(CLOCK_MONOTONIC, &started);
}

/* How the line begins that the kernel logs there. */
static const char *const lines[LINK_MILESTONES] = {
	[LINK_KERNEL_STARTS] = "Linux version ",
	[LINK_KERNEL_MEMORY] = "Memory: ",
	[LINK_KERNEL_CPUS] = "smp: Brought up ",
	[LINK_KERNEL_DONE] = "Freeing unused kernel image (initmem) memory",
};

/*
 * One record: "PRIORITY,NUMBER,MICROSECONDS,FLAGS;TEXT". Linux, Documentation/ABI/testing/dev-kmsg.
 * False: there is no more.
 */
static bool read_record(int fd, char *record, size_t size, unsigned long long *ret_us,
			const char **ret_text)
{
	ssize_t len;

	do
		len = read(fd, record, size - 1);
	while (len < 0 &&
	       (errno == EPIPE || errno == EINVAL)); /* overwritten, or too long: the next */
	if (len <= 0)
		return false;
	record[len] = '\0';
	*ret_text = strchr(record, ';');
	if (!*ret_text || sscanf(record, "%*u,%*u,%llu", ret_us) != 1)
		return false;
	(*ret_text)++;
	return true;
}

/* `mark_us`: how long after init's start the mark was written, which is the last record. */
static void send_milestones(int fd, unsigned long long mark_us)
{
	unsigned long long at[LINK_MILESTONES] = {0}, us, now = 0;
	bool seen[LINK_MILESTONES] = {false};
	char record[2048];
	const char *text;

	while (read_record(fd, record, sizeof(record), &us, &text)) {
		for (size_t i = 0; i < LINK_MILESTONES; i++) {
			if (!seen[i] && strncmp(text, lines[i], strlen(lines[i])) == 0) {
				seen[i] = true;
				at[i] = us;
			}
		}
		now = us; /* in the end of the mark that was just written */
	}
	for (uint8_t i = 0; i < LINK_MILESTONES; i++) {
		struct link_milestone milestone = {.which = i};

		/* The two clocks differ by some microseconds. */
		if (now - at[i] > mark_us)
			milestone.before_us = now - at[i] - mark_us;
		if (seen[i])
			link_send(LINK_MILESTONE, &milestone, sizeof(milestone));
	}
}

void timing_send(void)
{
	int fd = is_asked() ? open("/dev/kmsg", O_RDWR | O_NONBLOCK | O_CLOEXEC) : -1;
	unsigned long long mark_us;

	if (fd < 0)
		return;
	/* The kernel's clock for its log is no other clock: what it says of this line is "now". */
	mark_us = us_since_start();
	if (write(fd, "<7>" MARK, sizeof("<7>" MARK) - 1) > 0)
		send_milestones(fd, mark_us);
	close(fd);
}
