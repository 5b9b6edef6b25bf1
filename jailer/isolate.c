/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The stages of husk's own jail.
 *
 * Everything the VM needs is open by now, and no path is looked up once this is over. What a stage
 * needs, a later one gives up: that makes the order.
 *
 *  1. Environment: may hold secrets of the user's, of which the VM needs none.
 *  2. The namespaces of users and processes. Take CAP_SYS_ADMIN. Who lacks that, or what the other
 *     stages need besides, gets it within a user namespace of its own, in which only its own ids
 *     exist. Its maps are written to /proc/self, so while there is a /proc, and while the process
 *     is dumpable: otherwise those files belong to root. The PID namespace is for children:
 *     supervise.c forks the first.
 *     Scopes, by Landlock: the supervisor may signal its child, and neither anybody else. Both are
 *     to be in one domain for it, so before the fork.
 *  3. The other namespaces. What is mounted from here on must not get out to the host: mounts
 *     become private before anything is mounted.
 *  4. An empty root: a tmpfs, which is not writable and has no room for even one file. It is
 *     mounted on /dev, because that is there wherever /dev/kvm is. It becomes the root by
 *     pivot_root rather than chroot, so that the old root with all mounts in it can be detached:
 *     nothing is left to climb back to. The host's name goes as well.
 *  5. The session keyring, which no namespace keeps out, and the bounding set of capabilities:
 *     limits what an exec may bring, and there is none from here on. Takes one, CAP_SETPCAP, and
 *     forty calls.
 *  6. User: root becomes "nobody", so that a descriptor or a hole that leads to the host's files
 *     leads there as somebody who owns none. Needs CAP_SETUID and CAP_SETGID, and must come after
 *     what only root may do: mounts.
 *  7. Capabilities. Stage 6 has not taken them away (SECBIT_NO_SETUID_FIXUP), because to lock the
 *     securebits takes one.
 *  8. Privileges. After stage 6: a change of ids makes a process dumpable or not by a setting of
 *     the host's. Before 9 and before system call filters, which need no_new_privs.
 *  9. Files: Landlock, in case a way to a file is found all the same. Last, as it would forbid
 *     stages 3 and 4.
 *
 * Stages 3 and 4 take the kernel longer than all of the others, and as long as it takes to make a
 * VM. So there are two processes after stage 2: the supervisor does 3 and 4 while its child makes
 * the VM; the child then enters what the supervisor has made, and each does the rest for itself.
 * Stage 5 has nothing to do with the others' namespaces: the child does it before it makes the VM,
 * the supervisor while its child has not entered yet. From stage 6 on the supervisor is another
 * user, or not dumpable: then its namespaces are there only for a child that may trace anybody
 * (ptrace(2), "Ptrace access mode checking"), as root's may. So an ordinary user's supervisor must
 * not go further while its child has not entered.
 *
 * Not here: descriptors (the caller closes what the VM does not need), limits (threads are yet to
 * be made) and system call filters.
 */
#include "isolate.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <stdio.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "confine.h"
#include "util.h"

#define SHARED_NAMESPACES \
	(CLONE_NEWNS | CLONE_NEWNET | CLONE_NEWIPC | CLONE_NEWUTS | CLONE_NEWCGROUP)
#define ROOT_FLAGS (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC)
#define ROOT_OPTIONS "size=4k,nr_inodes=1,mode=111" /* the one inode is the root folder's */
#define HOST_NAME "husk"
#define NOBODY 65534

static int leave_environment(void)
{
	char **variable;

	for (variable = environ; variable && *variable; variable++)
		explicit_bzero(*variable, strlen(*variable));
	environ = NULL;
	return 0;
}

/* What the stages take, and last what makes the parent's state no matter to the child. */
static const cap_value_t needed[] = {CAP_SYS_ADMIN, CAP_SYS_CHROOT, CAP_SETUID,
				     CAP_SETGID,    CAP_SETPCAP,    CAP_SYS_PTRACE};

enum { NEEDED_BY_STAGES = ARRAY_SIZE(needed) - 1 };

/* Whether the process has the first `nr` of them. */
static bool has_needed(size_t nr)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t has = CAP_SET;
	size_t i;

	for (i = 0; caps && i < nr && has == CAP_SET; i++)
		if (cap_get_flag(caps, needed[i], CAP_EFFECTIVE, &has))
			has = CAP_CLEAR;
	if (caps)
		cap_free(caps);
	return caps && has == CAP_SET;
}

static bool is_privileged(void)
{
	return has_needed(NEEDED_BY_STAGES);
}

/* Its capabilities are none over a process that is not dumpable: that was started outside. */
static bool has_user_namespace;

static int write_text(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	if (fd < 0 || write(fd, text, strlen(text)) < 0)
		return -errno;
	return 0;
}

static int map_id(const char *path, unsigned int id)
{
	char text[64];

	snprintf(text, sizeof(text), "%u %u 1", id, id);
	return write_text(path, text);
}

static int make_process_namespaces(void)
{
	uid_t uid = geteuid();
	gid_t gid = getegid();
	int err;

	if (is_privileged())
		return unshare(CLONE_NEWPID) ? -errno : 0;
	/* The user namespace is made first, and owns the others. */
	if (unshare(CLONE_NEWUSER | CLONE_NEWPID))
		return -errno;
	has_user_namespace = true;
	err = write_text("/proc/self/setgroups", "deny"); /* or else there is no gid_map for us */
	if (!err)
		err = map_id("/proc/self/uid_map", uid);
	return err ? err : map_id("/proc/self/gid_map", gid);
}

/*
 * Takes the kernel 0.5 ms, in which it may do nothing else on this CPU, though the child's VM waits
 * for work on it (KVM frees old memory maps by SRCU, which calls back on the first CPU). So it is
 * a call of its own, and comes first.
 */
static int make_network(void)
{
	return unshare(CLONE_NEWNET) ? -errno : 0;
}

static int make_namespaces(void)
{
	return unshare(SHARED_NAMESPACES & ~CLONE_NEWNET) ? -errno : 0;
}

static int enter_root(void)
{
	if (mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL) ||
	    mount("husk", "/dev", "tmpfs", ROOT_FLAGS, ROOT_OPTIONS) || chdir("/dev"))
		return -errno;
	/* The old root is now on top of the new one, until it is detached from there. */
	if (syscall(SYS_pivot_root, ".", ".") || umount2(".", MNT_DETACH) || chdir("/"))
		return -errno;
	return sethostname(HOST_NAME, strlen(HOST_NAME)) ? -errno : 0;
}

/* Whether ids for "nobody" exist in this user namespace. Setting a thread's id for files tells. */
static bool has_nobody(void)
{
	int uid, gid;

	setfsuid(NOBODY);
	setfsgid(NOBODY);
	uid = setfsuid(geteuid());
	gid = setfsgid(getegid());
	return uid == NOBODY && gid == NOBODY;
}

static int leave_user(void)
{
	if (geteuid() != 0 || !is_privileged())
		return 0;
	if (prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP, 0, 0, 0)) {
		int err = -errno;

		log_error("cannot set securebits: %s; does something lock them?", strerror(-err));
		return err;
	}
	/* Root of a namespace with few ids is not the host's root: it stays who it is. */
	return has_nobody() ? confine_ids(NOBODY, NOBODY) : 0;
}

static int leave_files(void)
{
	int abi, err = confine_files(&abi);

	if (!err && !abi)
		log_info("this kernel has no Landlock: the jail does without");
	return err;
}

static const struct stage {
	const char *name;
	int (*run)(void);
	bool logs; /* by itself */
} stages[] = {
	/* isolate_begin */
	{"environment", leave_environment, false},
	{"namespaces", make_process_namespaces, false},
	{"scopes", confine_scopes, true},
	/* isolate_make */
	{"network namespace", make_network, false},
	{"namespaces", make_namespaces, false},
	{"empty root", enter_root, false},
	/* isolate_each */
	{"keyring", confine_keyring, true},
	{"bounding set", confine_bounding_set, true},
	/* isolate_end */
	{"user", leave_user, true},
	{"capabilities", confine_capabilities, true},
	{"privileges", confine_privileges, true},
	{"files", leave_files, true},
};

enum { STAGE_BEGIN = 0, STAGE_MAKE = 3, STAGE_EACH = 6, STAGE_END = 8 };

/* Those from `first` on, before `end`. */
static int run_stages(size_t first, size_t end, const struct stage **ret_stage)
{
	size_t i;
	int err = 0;

	for (i = first; i < end && !err; i++) {
		*ret_stage = &stages[i];
		err = stages[i].run();
	}
	return err;
}

const char *isolate_advice(int err)
{
	switch (-err) {
	case ENOSPC:
	case EUSERS:
		return "raise the limits on namespaces (sysctl user.max_user_namespaces and "
		       "the like)";
	case ENOENT:
		return "husk needs /proc and /dev";
	case EINVAL:
	case ENOSYS:
		return "it takes a kernel with all namespaces and tmpfs, and a root file system "
		       "that is a mount (no chroot, no initramfs)";
	default:
		return "allow user namespaces (sysctl kernel.unprivileged_userns_clone=1; "
		       "kernel.apparmor_restrict_unprivileged_userns=0, or an AppArmor profile "
		       "for husk; in a container, a runtime profile that lets unshare, setns, "
		       "mount, pivot_root and umount2 pass) or run husk as root";
	}
}

static int failed(const char *stage, int err)
{
	log_error("cannot jail the VM: %s: %s; %s; or --no-sandbox to run without the jail", stage,
		  strerror(-err), isolate_advice(err));
	return err;
}

static int run_logged(size_t first, size_t end)
{
	const struct stage *stage;
	int err = run_stages(first, end, &stage);

	return err && !stage->logs ? failed(stage->name, err) : err;
}

int isolate_begin(void)
{
	return run_logged(STAGE_BEGIN, STAGE_MAKE);
}

int isolate_make(void)
{
	return run_logged(STAGE_MAKE, STAGE_EACH);
}

int isolate_each(void)
{
	return run_logged(STAGE_EACH, STAGE_END);
}

bool isolate_may_end_first(void)
{
	return !has_user_namespace && has_needed(ARRAY_SIZE(needed));
}

int isolate_enter(int pidfd)
{
	/* With the mount namespace come its root, and that as the working folder. */
	if (!setns(pidfd, SHARED_NAMESPACES))
		return 0;
	/* ESRCH: the parent was killed, and nobody is there to be told. */
	return errno == ESRCH ? -ESRCH : failed("namespaces", -errno);
}

int isolate_end(void)
{
	return run_logged(STAGE_END, ARRAY_SIZE(stages));
}

int isolate(void)
{
	return run_logged(STAGE_BEGIN, ARRAY_SIZE(stages));
}

struct probed {
	int err;
	size_t stage;
};

/* isolate_enter, which is silent here. */
static int enter_own(const struct stage **ret_stage)
{
	cleanup_fd int self = (int)syscall(SYS_pidfd_open, getpid(), 0);

	*ret_stage = &stages[STAGE_MAKE + 1];
	return self < 0 || setns(self, SHARED_NAMESPACES) ? -errno : 0;
}

static void __attribute__((noreturn)) probe(int report)
{
	const struct stage *stage = stages;
	int null_fd = open("/dev/null", O_WRONLY | O_CLOEXEC);
	struct probed probed;

	/* What the stages log is for those who run a VM. */
	dup2(null_fd, STDERR_FILENO);
	probed.err = run_stages(0, STAGE_END, &stage);
	if (!probed.err) /* as a child does, while that is allowed */
		probed.err = enter_own(&stage);
	if (!probed.err)
		probed.err = run_stages(STAGE_END, ARRAY_SIZE(stages), &stage);
	probed.stage = (size_t)(stage - stages);
	_exit(write(report, &probed, sizeof(probed)) != sizeof(probed));
}

int isolate_probe(const char **ret_stage)
{
	cleanup_fd int report = -1, childs = -1;
	struct probed probed = {.err = -ECHILD};
	int ends[2];
	pid_t child;

	*ret_stage = "process";
	if (pipe2(ends, O_CLOEXEC))
		return -errno;
	report = ends[0];
	childs = ends[1];
	child = fork();
	if (child < 0)
		return -errno;
	if (!child)
		probe(childs);
	close(steal_fd(&childs));
	if (read(report, &probed, sizeof(probed)) == sizeof(probed))
		*ret_stage = stages[probed.stage].name;
	waitpid(child, NULL, 0);
	return probed.err;
}
