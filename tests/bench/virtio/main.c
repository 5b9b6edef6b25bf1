/* SPDX-License-Identifier: Apache-2.0 */
/*
 * How much virtio/ moves for each second of CPU time, without KVM, and beside it how much QEMU's
 * devices move, where QEMU is installed. A driver in this process puts a batch of requests into a
 * ring, kicks once, sleeps, and takes the answers; the device works on a thread (husk) or in a
 * process (QEMU) of its own. Only what the device takes counts, with the kernel's part of its calls
 * and its helper threads: neither the driver nor the other end of a network does.
 *
 *	virtio [WORDS]	only the cases whose names have these words in them
 *
 * A JSON object goes to standard output, lines to read to standard error. Files are made in
 * TMPDIR (/tmp), which should be on a disk, and in /dev/shm.
 */
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "bench.h"
#include "util.h"

#define RUNS 7
#define RUN_NS 150000000ull /* wall time of a run, at least */
#define CASE_SECONDS 60	    /* a device that does not answer ends it all */

static int compare(const void *a, const void *b)
{
	const double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

static double run(struct driver *driver, turn_fn *turn)
{
	const uint64_t end = now_ns(CLOCK_MONOTONIC) + RUN_NS, cpu = driver_cpu_ns(driver);
	uint64_t done = 0;

	do {
		done += turn(driver);
	} while (now_ns(CLOCK_MONOTONIC) < end);
	return (double)done * 1e9 / (double)(driver_cpu_ns(driver) - cpu);
}

static json_t *summary(const char *who, double *values, uint32_t bytes)
{
	json_t *all = json_array();
	unsigned int i;

	qsort(values, RUNS, sizeof(*values), compare);
	fprintf(stderr, "  %-6s %10.0f per CPU second (%.0f to %.0f), %8.1f MiB\n", who,
		values[RUNS / 2], values[0], values[RUNS - 1], values[RUNS / 2] * bytes / 1048576);
	for (i = 0; i < RUNS; i++)
		json_array_append_new(all, json_real(values[i]));
	return all;
}

bool bench_wants(const struct bench *bench, const char *name)
{
	return strstr(name, bench->only);
}

void bench_measure(struct bench *bench, const char *name, uint32_t bytes, struct driver *husk,
		   struct driver *qemu, turn_fn *turn)
{
	double of_husk[RUNS + 1], of_qemu[RUNS + 1];
	json_t *found = json_pack("{s:s, s:I}", "name", name, "bytes", (json_int_t)bytes);
	unsigned int i;

	alarm(CASE_SECONDS);
	/* The first one warms up; it is the last place's, which does not count. */
	for (i = 0; i <= RUNS; i++) {
		of_husk[i ? i - 1 : RUNS] = run(husk, turn);
		if (qemu)
			of_qemu[i ? i - 1 : RUNS] = run(qemu, turn);
	}
	fprintf(stderr, "%s\n", name);
	json_object_set_new(found, "husk", summary("husk", of_husk, bytes));
	if (qemu)
		json_object_set_new(found, "qemu", summary("QEMU", of_qemu, bytes));
	json_array_append_new(bench->cases, found);
}

int main(int argc, char **argv)
{
	struct bench bench = {
		.cases = json_array(), .only = argc > 1 ? argv[1] : "", .has_qemu = true};
	const char *folder = getenv("TMPDIR");
	json_t *all;

	log_set_level(LOG_ERROR);
	folder = folder ? folder : "/tmp";
	bench_disks(&bench, folder, "in the page cache by ring", true, "io_uring");
	bench_disks(&bench, folder, "in the page cache by calls", false, "threads");
	bench_disks(&bench, "/dev/shm", "in memory", false, "io_uring");
	bench_nets(&bench);
	all = json_pack("{s:s, s:o}", "unit", "requests or frames per second of CPU time", "cases",
			bench.cases);
	json_dumpf(all, stdout, JSON_INDENT(1) | JSON_REAL_PRECISION(9));
	putchar('\n');
	json_decref(all);
	return 0;
}
