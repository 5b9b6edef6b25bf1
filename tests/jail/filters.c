/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The system call filters of a running process, out of the kernel:
 *
 *	filters PID	one line per thread and filter: "filter NAME NUMBER HEX", as husk-probe's
 *dump
 *
 * Needs CAP_SYS_ADMIN in the first user namespace. Exit status 77: the kernel does not show them.
 */
#include <dirent.h>
#include <errno.h>
#include <linux/filter.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ptrace.h>
#include <sys/wait.h>

static int show_thread(pid_t pid, pid_t tid)
{
	static struct sock_filter insns[4096];
	char path[64], name[32] = "";
	unsigned long index;
	long nr, i;
	FILE *comm;

	snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, tid);
	comm = fopen(path, "r");
	if (!comm || !fgets(name, sizeof(name), comm))
		return 1;
	fclose(comm);
	name[strcspn(name, "\n")] = 0;
	if (ptrace(PTRACE_SEIZE, tid, 0, 0) || ptrace(PTRACE_INTERRUPT, tid, 0, 0) ||
	    waitpid(tid, NULL, __WALL) != tid)
		return 1;
	for (index = 0;; index++) {
		nr = ptrace(PTRACE_SECCOMP_GET_FILTER, tid, index, insns);
		if (nr < 0)
			break;
		printf("filter %s %ld ", name, nr);
		for (i = 0; i < nr; i++)
			printf("%04x%02x%02x%08x", insns[i].code, insns[i].jt, insns[i].jf,
			       insns[i].k);
		putchar('\n');
	}
	/* ENOENT: there are no more, or is none. */
	if (errno == ENOENT)
		return 0;
	fprintf(stderr, "filters: thread %s: %s\n", name, strerror(errno));
	return errno == EACCES || errno == EPERM || errno == EIO ? 77 : 1;
}

int main(int argc, char **argv)
{
	pid_t pid = argc == 2 ? atoi(argv[1]) : 0;
	struct dirent *entry;
	char path[64];
	int status = 0;
	DIR *tasks;

	snprintf(path, sizeof(path), "/proc/%d/task", pid);
	tasks = opendir(path);
	if (!tasks) {
		perror(path);
		return 1;
	}
	while (!status && (entry = readdir(tasks)))
		if (entry->d_name[0] != '.')
			status = show_thread(pid, atoi(entry->d_name));
	closedir(tasks);
	return status;
}
