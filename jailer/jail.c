/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages of a jail.
 *
 * On the host, as root (jail_prepare). Nothing of this may follow a name that others can change,
 * and all of it can be undone:
 *
 *  1. The program is opened and looked at before anything is made, since most mistakes show here.
 *     So are the network namespace and /dev/null: inside the jail their paths lead nowhere.
 *  2. The folder is opened and locked. From here on the id is ours, and with it everything that is
 *     named after it; before, not even a leftover may be touched.
 *  3. The root is taken over and filled, the program copied in.
 *  4. The cgroups are made and have their limits, before any process is in them.
 *
 * In the VM's process, PID 1 of its PID namespace (jail_enter). Nothing may leave the process
 * before the last stage, and no stage needs a privilege that an earlier one gave up:
 *
 *  5. The network namespace is joined. Without --netns the VM stays in the caller's, as with
 *     Firecracker: the TAP devices it opens are there.
 *  6. It moves into the cgroups, so that all it uses from here on is counted; then it gets a cgroup
 *     namespace, whose root is where the process is at that moment. Mounts, IPC objects and host
 *     name become its own at the same time, as does the session keyring. Mounts must be its own
 * before stage 7.
 *  7. The root: see rootmount.h. After this no path leads to the host, and all that is left of it
 *     is descriptors, each close-on-exec.
 *  8. Limits: raising one needs a privilege. They come late, so that a small one does not break the
 *     stages before.
 *  9. User and group, then capabilities: none is left, not even to be gained by an exec. Then
 *     no_new_privs.
 * 10. The order to die with the janitor: a change of user or privileges would take it back, so it
 *     comes now; and a janitor that died before it is looked for after it.
 * 11. The streams, umask and signal mask, and the program, by descriptor: the mount it was
 *     copied by is the host's, so that the jail's may be noexec.
 *
 * Not here: the environment and descriptors that came with the caller go away first of all, in
 * jailer.c; system call filters and Landlock are the program's own, since it has yet to open its
 * files.
 */
#include "jail.h"

#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/securebits.h>
#include <poll.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "confine.h"
#include "rootmount.h"
#include "util.h"

#define HOST_NAME "husk"
#define NUMBER_SIZE 24

/* On the host */

/* A program that asks for a loader would not start: there is none in the jail. */
static bool is_static(int fd)
{
	Elf64_Ehdr header;
	Elf64_Phdr segment;
	unsigned int i;

	if (pread(fd, &header, sizeof(header), 0) != sizeof(header) ||
	    memcmp(header.e_ident, ELFMAG, SELFMAG) != 0 ||
	    header.e_ident[EI_CLASS] != ELFCLASS64 || header.e_phentsize != sizeof(segment))
		return false;
	for (i = 0; i < header.e_phnum; i++)
		if (pread(fd, &segment, sizeof(segment),
			  (off_t)(header.e_phoff + i * sizeof(segment))) != sizeof(segment) ||
		    segment.p_type == PT_INTERP)
			return false;
	return true;
}

/* A descriptor for the program on the host, or -errno. */
static int open_program(struct jail *jail)
{
	const char *path = jail->spec->exec_file;
	cleanup_fd int fd = -1;
	struct stat st;
	int err;

	if (realpath(path, jail->exec_path))
		fd = open(jail->exec_path, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC);
	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		log_error("--exec-file %s: %s", path, strerror(-err));
		return err;
	}
	jail->exec_name = strrchr(jail->exec_path, '/') + 1;
	if (!S_ISREG(st.st_mode)) {
		log_error("--exec-file %s: this is not a regular file", path);
		return -EINVAL;
	}
	if (!is_static(fd)) {
		log_error(
			"--exec-file %s: it must be a static 64-bit program: there is no loader in "
			"the jail, and no library",
			path);
		return -EINVAL;
	}
	return steal_fd(&fd);
}

static int open_netns(struct jail *jail)
{
	const char *path = jail->spec->netns;

	if (!path)
		return 0;
	jail->netns = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
	if (jail->netns >= 0)
		return 0;
	log_error("--netns %s: %s; \"ip netns add NAME\" makes /var/run/netns/NAME", path,
		  strerror(errno));
	return -ENOENT;
}

int jail_init(struct jail *jail, const struct jail_spec *spec)
{
	jail->spec = spec;
	jail->program = jail->netns = -1;
	jail->dir = (struct rootdir){.base = -1, .exec_dir = -1, .id_dir = -1, .root = -1};
	jail->shared = mmap(NULL, sizeof(*jail->shared), PROT_READ | PROT_WRITE,
			    MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	jail->null = open("/dev/null", O_RDWR | O_CLOEXEC);
	if (jail->shared == MAP_FAILED || jail->null < 0) {
		log_error("cannot open /dev/null, or no memory: %s", strerror(errno));
		return -ENOMEM;
	}
	return 0;
}

int jail_prepare(struct jail *jail)
{
	const struct jail_spec *spec = jail->spec;
	const char *parent = spec->parent_cgroup;
	cleanup_fd int source = -1;
	int err;

	source = open_program(jail);
	if (source < 0)
		return source;
	err = open_netns(jail);
	if (!err)
		err = rootdir_open(&jail->dir, spec, jail->exec_name, &jail->shared->made);
	if (!err)
		err = rootdir_fill(&jail->dir);
	if (err)
		return err;
	jail->program = rootdir_put_program(&jail->dir, source);
	if (jail->program < 0)
		return jail->program;
	jail->cgroups.made_parent = &jail->shared->made_cgroup;
	return cgroup_prepare(&jail->cgroups, spec, parent ? parent : jail->exec_name);
}

void jail_clean(struct jail *jail)
{
	bool used = jail->shared->started;

	/* Cgroups first: what is left in them may use the folder. */
	cgroup_clean(&jail->cgroups, used && jail->spec->keep);
	rootdir_clean(&jail->dir, used);
	close_fd_ptr(&jail->program);
	close_fd_ptr(&jail->netns);
	close_fd_ptr(&jail->null);
}

/* In the VM's process */

static int enter_namespaces(const struct jail *jail)
{
	int err = 0;

	if (jail->netns >= 0 && setns(jail->netns, CLONE_NEWNET)) {
		err = -errno;
		log_error("--netns %s: %s", jail->spec->netns,
			  err == -EINVAL ? "this is no network namespace" : strerror(-err));
		return err;
	}
	err = cgroup_attach(&jail->cgroups);
	if (!err)
		err = confine_keyring();
	if (err)
		return err;
	if (unshare(CLONE_NEWNS | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP) ||
	    sethostname(HOST_NAME, strlen(HOST_NAME))) {
		err = -errno;
		log_error("cannot make namespaces for the VM: %s; the kernel needs mount, IPC, UTS "
			  "and cgroup namespaces",
			  strerror(-err));
	}
	return err;
}

static int set_limit(int resource, const char *name, uint64_t value)
{
	struct rlimit limit = {.rlim_cur = value, .rlim_max = value};
	int err = 0;

	if (setrlimit((__rlimit_resource_t)resource, &limit)) {
		err = -errno;
		log_error("--resource-limit %s=%llu: %s%s", name, (unsigned long long)value,
			  strerror(-err),
			  err == -EPERM ? "; it is above the limit that husk-jailer itself has"
					: "");
	}
	return err;
}

static int set_limits(const struct jail_spec *spec)
{
	bool has_core = false, has_no_file = false;
	struct rlimit limit;
	unsigned int i;
	int err = 0;

	for (i = 0; i < spec->nr_limits && !err; i++) {
		has_core |= spec->limits[i].resource == RLIMIT_CORE;
		has_no_file |= spec->limits[i].resource == RLIMIT_NOFILE;
		err = set_limit(spec->limits[i].resource, spec->limits[i].name,
				spec->limits[i].value);
	}
	if (!err && !has_core)
		err = set_limit(RLIMIT_CORE, "core", 0);
	if (!err && !has_no_file && !getrlimit(RLIMIT_NOFILE, &limit))
		err = set_limit(RLIMIT_NOFILE, "no-file",
				MIN(limit.rlim_max, JAIL_NO_FILE_DEFAULT));
	return err;
}

/* One-way: no privilege is left afterwards. */
static int drop_privileges(const struct jail_spec *spec)
{
	int err;

	/* A change of user leaves the capabilities: taking them out of all sets needs one. */
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP)) {
		err = -errno;
		log_error("cannot set securebits: %s; run as root, with CAP_SETPCAP",
			  strerror(-err));
		return err;
	}
	err = confine_bounding_set();
	if (!err)
		err = confine_ids(spec->uid, spec->gid);
	if (!err)
		err = confine_capabilities();
	if (!err)
		err = confine_privileges();
	return err;
}

static int die_with(int janitor)
{
	struct pollfd poll_janitor = {.fd = janitor};

	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || poll(&poll_janitor, 1, 0) != 0) {
		log_error("the jailer was killed");
		return -ESRCH;
	}
	return 0;
}

static int execute(struct jail *jail)
{
	const struct jail_spec *spec = jail->spec;
	char start[NUMBER_SIZE], cpu[NUMBER_SIZE];
	const char *const before[] = {
		jail->exec_name,	"--id", spec->id,   "--start-time-us", start,
		"--start-time-cpu-us",	"0", /* the clock of this process starts with it */
		"--parent-cpu-time-us", cpu,	"--jailed",
	};
	char *const environment[] = {NULL};
	cleanup_free const char **argv =
		calloc(ARRAY_SIZE(before) + spec->nr_args + 1, sizeof(*argv));
	cleanup_fd int errors = fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, 3);
	int i, err;

	if (!argv)
		return -ENOMEM;
	snprintf(start, sizeof(start), "%llu", (unsigned long long)jail->start_us);
	snprintf(cpu, sizeof(cpu), "%llu", (unsigned long long)jail->cpu_us);
	memcpy(argv, before, sizeof(before));
	if (spec->nr_args)
		memcpy(argv + ARRAY_SIZE(before), spec->args, spec->nr_args * sizeof(*argv));
	for (i = STDIN_FILENO; spec->daemonize && i <= STDERR_FILENO; i++)
		dup2(jail->null, i);
	umask(077);
	close_fds(STDERR_FILENO + 1, ~0u, CLOSE_RANGE_CLOEXEC);
	jail->shared->started = true;
	sigprocmask(SIG_SETMASK, &jail->signals, NULL);
	syscall(SYS_execveat, jail->program, "", argv, environment, AT_EMPTY_PATH);
	err = -errno;
	jail->shared->started = false;
	dup2(errors, STDERR_FILENO);
	log_error("cannot execute %s in the jail: %s", jail->exec_path, strerror(-err));
	return err;
}

int jail_enter(struct jail *jail, int janitor)
{
	int err = enter_namespaces(jail);

	if (!err)
		err = rootmount_enter(jail->dir.root, jail->dir.path, jail->spec->uid,
				      jail->spec->gid);
	if (!err)
		err = set_limits(jail->spec);
	/* Only for a terminal does it stay in the launcher's session: signals go out to that one.
	 */
	if (!err && (jail->spec->daemonize || !isatty(STDIN_FILENO)) && setsid() < 0)
		err = -errno;
	if (!err)
		err = drop_privileges(jail->spec);
	if (!err)
		err = die_with(janitor);
	return err ? err : execute(jail);
}
