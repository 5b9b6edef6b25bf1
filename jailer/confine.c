/* SPDX-License-Identifier: Apache-2.0 */
#include "confine.h"

#include <errno.h>
#include <grp.h>
#include <linux/keyctl.h>
#include <linux/landlock.h>
#include <linux/securebits.h>
#include <stdbool.h>
#include <stdint.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "util.h"

/* Landlock's rights by the ABI they came with; newer ones are not in every host's headers. */
#define LANDLOCK_FS_ABI_1 ((LANDLOCK_ACCESS_FS_MAKE_SYM << 1) - 1)
#define LANDLOCK_FS_REFER (1ull << 13)	   /* ABI 2 */
#define LANDLOCK_FS_TRUNCATE (1ull << 14)  /* ABI 3 */
#define LANDLOCK_NET_TCP 3ull		   /* ABI 4: bind, connect */
#define LANDLOCK_FS_IOCTL_DEV (1ull << 15) /* ABI 5 */
#define LANDLOCK_SCOPES 3ull		   /* ABI 6: abstract sockets, signals */

/* Nothing comes with uid 0, nor with a change of uid, nor by exec; and this cannot be undone. */
#define SECUREBITS \
	(SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP | \
	 SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED | SECBIT_NO_CAP_AMBIENT_RAISE | \
	 SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED)

/* Of errno. */
static int failed(const char *what, const char *advice)
{
	int err = -errno;

	log_error("cannot %s: %s%s", what, strerror(-err), advice);
	return err;
}

int confine_ids(uid_t uid, gid_t gid)
{
	/* The uid comes last: the right to change the others goes with it. */
	if (setgroups(0, NULL) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return failed("change user and group",
			      "; it takes CAP_SETUID and CAP_SETGID, and ids that exist in this "
			      "user namespace");
	return 0;
}

int confine_keyring(void)
{
	long joined = syscall(SYS_keyctl, KEYCTL_JOIN_SESSION_KEYRING, NULL);

	return joined < 0 && errno != ENOSYS && errno != EPERM
		       ? failed("leave the caller's keyring", "")
		       : 0;
}

static void cap_free_ptr(cap_t *caps)
{
	if (*caps)
		cap_free(*caps);
}
#define cleanup_cap __attribute__((cleanup(cap_free_ptr)))

/* Whether it has CAP_SETPCAP. 0 or -errno. */
static int may_drop(bool *ret)
{
	cleanup_cap cap_t own = cap_get_proc();
	cap_flag_value_t has;

	if (!own || cap_get_flag(own, CAP_SETPCAP, CAP_EFFECTIVE, &has))
		return failed("read the capabilities", "");
	*ret = has == CAP_SET;
	return 0;
}

int confine_bounding_set(void)
{
	cap_value_t cap;
	bool may = false;
	int err = may_drop(&may);

	for (cap = 0; !err && may && cap < cap_max_bits(); cap++)
		if (cap_drop_bound(cap))
			err = failed("empty the bounding set of capabilities", "");
	return err;
}

int confine_capabilities(void)
{
	cleanup_cap cap_t none = cap_init();
	bool may = false;
	int err = may_drop(&may);

	if (err)
		return err;
	if (may && prctl(PR_SET_SECUREBITS, SECUREBITS, 0, 0, 0))
		return failed("lock the securebits",
			      "; is husk started with securebits that are locked in another way?");
	/* Not cap_reset_ambient: it asks for each of them first. */
	if (prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_CLEAR_ALL, 0, 0, 0) || !none || cap_set_proc(none))
		return failed("drop the capabilities", "");
	return 0;
}

int confine_privileges(void)
{
	if (prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0))
		return failed("set no_new_privs", "");
	if (prctl(PR_SET_DUMPABLE, 0, 0, 0, 0))
		return failed("keep other processes from tracing this one", "");
	return 0;
}

struct landlock_rights {
	uint64_t fs, net, scopes;
};

/* The newest ABI there is, 0: the kernel has no Landlock. Or -errno. */
static int landlock_abi(void)
{
	long abi = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

	if (abi >= 0)
		return (int)abi;
	/* Not built, or not among the security modules that were switched on. */
	return errno == ENOSYS || errno == EOPNOTSUPP ? 0 : failed("use Landlock", "");
}

/* A ruleset that handles these rights and allows none of them. */
static int landlock_forbid(const struct landlock_rights *rights, const char *what)
{
	/* An older kernel takes the longer struct, as what it does not know is zero. */
	cleanup_fd int ruleset =
		(int)syscall(SYS_landlock_create_ruleset, rights, sizeof(*rights), 0);

	if (ruleset < 0 || syscall(SYS_landlock_restrict_self, ruleset, 0))
		return failed(what, "");
	return 0;
}

int confine_scopes(void)
{
	const struct landlock_rights rights = {.scopes = LANDLOCK_SCOPES};
	int abi = landlock_abi();

	if (abi < 0)
		return abi;
	return abi >= 6 ? landlock_forbid(&rights, "keep to itself by Landlock") : 0;
}

/*
 * Rights on a file that is open are those it was opened with, so disks may still be truncated, and
 * devices take any ioctl. Source: Linux, Documentation/userspace-api/landlock.rst.
 */
int confine_files(int *ret_abi)
{
	struct landlock_rights rights = {.fs = LANDLOCK_FS_ABI_1};
	int abi = landlock_abi();

	if (ret_abi)
		*ret_abi = MAX(abi, 0);
	if (abi <= 0)
		return abi;
	rights.fs |= abi >= 2 ? LANDLOCK_FS_REFER : 0;
	rights.fs |= abi >= 3 ? LANDLOCK_FS_TRUNCATE : 0;
	rights.net = abi >= 4 ? LANDLOCK_NET_TCP : 0;
	rights.fs |= abi >= 5 ? LANDLOCK_FS_IOCTL_DEV : 0;
	return landlock_forbid(&rights, "forbid access to files by Landlock");
}

/*
 * Not the number of processes: KVM itself starts a thread in a process that runs its first vCPU
 * (Linux 6.13 and later), and the limit counts whatever else the user runs.
 */
int confine_limits(void)
{
	static const struct {
		int resource;
		const char *name;
		rlim_t value;
	} limits[] = {
		{RLIMIT_CORE, "core dumps", 0},
		{RLIMIT_MEMLOCK, "locked memory", 0},
		{RLIMIT_MSGQUEUE, "message queues", 0},
		{RLIMIT_NOFILE, "open files", 1},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(limits); i++) {
		struct rlimit limit = {limits[i].value, limits[i].value};

		if (setrlimit(limits[i].resource, &limit)) {
			int err = -errno;

			log_error("cannot limit %s: %s", limits[i].name, strerror(-err));
			return err;
		}
	}
	return 0;
}

static bool has_no_capability(void)
{
	cleanup_cap cap_t own = cap_get_proc();
	cleanup_cap cap_t none = cap_init();
	cap_value_t cap;

	/* An ambient one is inheritable too. */
	if (!own || !none || cap_compare(own, none) != 0)
		return false;
	for (cap = 0; cap < cap_max_bits(); cap++)
		if (cap_get_bound(cap))
			return false;
	return true;
}

int confine_verify(void)
{
	const char *missing = NULL;

	if (!has_no_capability())
		missing = "it has capabilities, at least in its bounding set";
	else if (prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0) != 1)
		missing = "no_new_privs is not set";
	if (!missing)
		return 0;
	log_error("--jailed, but this process is not in a jail: %s; start it by husk-jailer, or "
		  "without --jailed",
		  missing);
	return -EPERM;
}
