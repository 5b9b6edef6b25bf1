/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "child.h"
#include "isolate.h"

#include <fcntl.h>
#include <linux/securebits.h>
#include <sched.h>
#include <sys/capability.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/utsname.h>
#include <sys/vfs.h>

#include "util.h"

#define NOBODY 65534
#define SECRET "HUSK_TEST_SECRET"
#define TMPFS 0x01021994
#define MOUNT_FLAGS (ST_RDONLY | ST_NOSUID | ST_NODEV | ST_NOEXEC)

static const char *const namespaces[] = {"mnt", "net", "ipc", "uts", "cgroup"};

/* What is compared before and after; opened before, since no path leads there after. */
struct view {
	int proc, status;
	uid_t uid;
	char links[ARRAY_SIZE(namespaces)][64];
};

static void view_links(const struct view *view, char links[ARRAY_SIZE(namespaces)][64])
{
	char path[64];
	size_t i;

	memset(links, 0, sizeof(view->links));
	for (i = 0; i < ARRAY_SIZE(namespaces); i++) {
		snprintf(path, sizeof(path), "self/ns/%s", namespaces[i]);
		check(readlinkat(view->proc, path, links[i], 63) > 0);
	}
}

static void view_take(struct view *view)
{
	view->proc = open("/proc", O_PATH | O_DIRECTORY | O_CLOEXEC);
	view->status = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	check(view->proc >= 0 && view->status >= 0);
	view->uid = geteuid();
	view_links(view, view->links);
}

/* A jail that this host allows, or the test is skipped. */
static void jail(void)
{
	const char *stage;
	int err = isolate_probe(&stage);

#ifdef __SANITIZE_THREAD__
	if (err == -EINVAL)
		child_skip("not with a second thread, the sanitizer's");
#endif
	if ((err == -EPERM || err == -EACCES || err == -ENOSPC) &&
	    (!strcmp(stage, "namespaces") || !strcmp(stage, "empty root"))) {
		errno = -err;
		child_skip("this host forbids it");
	}
	check(!isolate());
}

static void look_at_process(void)
{
	static const char *const zero[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};
	char links[ARRAY_SIZE(namespaces)][64];
	struct utsname host;
	struct view view;
	size_t i;

	view_take(&view);
	jail();
	for (i = 0; i < ARRAY_SIZE(zero); i++)
		check(child_status_value(view.status, zero[i], 16) == 0);
	check(child_status_value(view.status, "NoNewPrivs:", 10) == 1);
	check(prctl(PR_GET_DUMPABLE) == 0);
	view_links(&view, links);
	for (i = 0; i < ARRAY_SIZE(namespaces); i++)
		check(strcmp(links[i], view.links[i]) != 0);
	check(!uname(&host) && !strcmp(host.nodename, "husk"));
	/* Root of a container may have no other id to take. */
	check(getuid() == view.uid || (view.uid == 0 && getuid() == NOBODY));
	check(setuid(0) || view.uid == 0);
}

static void what_a_process_has_left(void **state)
{
	(void)state;
	assert_child(look_at_process);
}

static void look_at_uid(void)
{
	char map[64] = "";
	int map_fd = open("/proc/self/uid_map", O_RDONLY);

	check(read(map_fd, map, sizeof(map) - 1) > 0);
	if (geteuid() != 0 || !strstr(map, " 4294967295\n"))
		child_skip("takes the host's root");
	jail();
	check(getuid() == NOBODY && getgid() == NOBODY && getgroups(0, NULL) == 0);
}

static void root_becomes_nobody(void **state)
{
	(void)state;
	assert_child(look_at_uid);
}

static void look_at_root(void)
{
	int ends[2], file = memfd_create("file", 0);
	struct statfs root;
	char text[8];

	check(!pipe(ends));
	jail();
	check(!statfs("/", &root) && root.f_type == TMPFS);
	check((root.f_flags & MOUNT_FLAGS) == MOUNT_FLAGS);
	/* It has the root folder, and room for nothing more. */
	check(root.f_files == 1 && root.f_ffree == 0);
	check(mkdir("/x", 0700) && (errno == EROFS || errno == EACCES));
	check(open("/x", O_CREAT | O_WRONLY, 0600) < 0);
	check(open("/dev/null", O_RDONLY) < 0 && access("/proc", F_OK) && access("/..", R_OK));
	check(mount("x", "/", "tmpfs", 0, NULL) && errno == EPERM);
	check(umount2("/", MNT_DETACH) && chroot("/"));
	/* What was open is of use. */
	check(write(ends[1], "x", 1) == 1 && read(ends[0], text, sizeof(text)) == 1);
	check(write(file, "x", 1) == 1);
}

static void the_root_is_empty(void **state)
{
	(void)state;
	assert_child(look_at_root);
}

static size_t read_all(const char *path, char *ret_text, size_t size)
{
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC);
	size_t used = 0;
	ssize_t len;

	check(fd >= 0);
	while (used < size - 1 && (len = read(fd, ret_text + used, size - 1 - used)) > 0)
		used += (size_t)len;
	ret_text[used] = '\0';
	return used;
}

/* Seen from outside: one mount in there, and what is mounted in there does not come out here. */
static void look_at_mounts(void)
{
	static char before[65536], after[65536], inside[65536];
	int ready[2], end[2], status;
	char path[64], word = 0;
	pid_t child;

	/* The worst case: the host's mounts are shared, as systemd has it. */
	if (!unshare(CLONE_NEWNS))
		check(!mount(NULL, "/", NULL, MS_REC | MS_SHARED, NULL));
	check(read_all("/proc/self/mountinfo", before, sizeof(before)) > 0);
	check(!pipe(ready) && !pipe(end));
	child = fork();
	if (!child) {
		close(end[1]);
		jail();
		check(write(ready[1], "x", 1) == 1);
		check(read(end[0], &word, 1) == 0);
		_exit(0);
	}
	close(ready[1]);
	if (read(ready[0], &word, 1) != 1) {
		check(waitpid(child, &status, 0) == child);
		_exit(WEXITSTATUS(status));
	}
	snprintf(path, sizeof(path), "/proc/%d/mountinfo", child);
	check(read_all(path, inside, sizeof(inside)) > 0);
	check(strchr(inside, '\n') == strrchr(inside, '\n'));
	check(strstr(inside, " / / ro,nosuid,nodev,noexec") && strstr(inside, " - tmpfs husk ro"));
	check(read_all("/proc/self/mountinfo", after, sizeof(after)) > 0);
	check(!strcmp(before, after));
	close(end[1]);
	check(waitpid(child, NULL, 0) == child);
}

static void no_other_mount_is_left(void **state)
{
	(void)state;
	assert_child(look_at_mounts);
}

static void look_at_environment(void)
{
	static const char zero[sizeof(SECRET "=secret")];
	char *value, **variable, *first;

	check(!setenv(SECRET, "secret", 1));
	value = getenv(SECRET) - strlen(SECRET "=");
	/* And one that came with exec. */
	for (variable = environ, first = NULL; *variable && !first; variable++)
		if (strlen(*variable) > 1 && *variable != value)
			first = *variable;
	jail();
	check(!environ && !getenv(SECRET));
	check(!memcmp(value, zero, sizeof(zero)));
	check(!first || (!first[0] && !first[1]));
}

static void the_environment_is_wiped(void **state)
{
	(void)state;
	assert_child(look_at_environment);
}

static void look_at_pid(void)
{
	int status;
	pid_t child;

	jail();
	child = fork();
	check(child >= 0);
	if (!child)
		_exit(getpid() != 1 || getppid() != 0);
	check(waitpid(child, &status, 0) == child && status == 0);
}

static void a_child_is_init(void **state)
{
	(void)state;
	assert_child(look_at_pid);
}

static void write_file(const char *path, const char *text)
{
	cleanup_fd int fd = open(path, O_WRONLY | O_CLOEXEC);

	check(fd >= 0 && write(fd, text, strlen(text)) == (ssize_t)strlen(text));
}

/* As `unshare --map-root-user` has it: root, with the caller's rights; here, without a group too.
 */
static void become_small_root(void)
{
	char map[64];

	snprintf(map, sizeof(map), "0 %u 1", geteuid());
	if (unshare(CLONE_NEWUSER))
		child_skip("no user namespaces");
	write_file("/proc/self/setgroups", "deny");
	write_file("/proc/self/uid_map", map);
}

static void jail_small_root(void)
{
	struct capture capture;
	int err;

	become_small_root();
	capture_begin(&capture, STDERR_FILENO);
	err = isolate();
	capture_end(&capture);
	check(!err && !capture.text[0]);
	check(getuid() == 0 && mkdir("/x", 0700));
	check(prctl(PR_CAPBSET_READ, CAP_SYS_ADMIN) == 0);
}

static void root_of_few_ids_stays_root(void **state)
{
	(void)state;
	assert_child(jail_small_root);
}

/* One line that says what, why and what to do; and the probe sees the same. */
static void check_refused(int want, const char *stage, const char *advice)
{
	struct capture capture;
	const char *probed;
	int err;

	capture_begin(&capture, STDERR_FILENO);
	err = isolate_probe(&probed);
	capture_end(&capture);
	check(err == want && !strcmp(probed, stage) && !capture.text[0]);
	capture_begin(&capture, STDERR_FILENO);
	err = isolate();
	capture_end(&capture);
	check(err == want && strstr(capture.text, advice));
	check(strchr(capture.text, '\n') == strrchr(capture.text, '\n'));
}

static void without_user_namespaces(void)
{
	cap_t none = cap_init();

	become_small_root();
	write_file("/proc/sys/user/max_user_namespaces", "0");
	check(!cap_set_proc(none));
	cap_free(none);
	check_refused(-ENOSPC, "namespaces",
		      "namespaces: No space left on device; raise the limits on namespaces (sysctl "
		      "user.max_user");
}

/* A stage that logs by itself. */
static void with_locked_securebits(void)
{
	become_small_root();
	check(!prctl(PR_SET_SECUREBITS, SECBIT_NO_SETUID_FIXUP_LOCKED));
	check_refused(-EPERM, "user", "securebits");
}

static void in_a_chroot(void)
{
	if (chroot(getenv("HUSK_TEST_FOLDER")))
		child_skip("takes root");
	check(!chdir("/"));
	check_refused(-EINVAL, "empty root", "--no-sandbox to run without the jail\n");
}

static void a_host_that_forbids_it(void **state)
{
	char folder[] = "/tmp/husk test XXXXXX";
	int status;

	(void)state;
	assert_non_null(mkdtemp(folder));
	setenv("HUSK_TEST_FOLDER", folder, 1);
	status = child_run(in_a_chroot);
	rmdir(folder);
	if (!WIFEXITED(status) || WEXITSTATUS(status) != CHILD_SKIPPED)
		assert_int_equal(status, 0);
	assert_child(without_user_namespaces);
	assert_child(with_locked_securebits);
}

/* It leaves the caller as it was, with no child. */
static void the_probe_changes_nothing(void **state)
{
	struct capture capture;
	struct view before, after;
	const char *stage = NULL;

	(void)state;
	view_take(&before);
	capture_begin(&capture, STDERR_FILENO);
	isolate_probe(&stage);
	capture_end(&capture);
	assert_non_null(stage);
	assert_string_equal(capture.text, "");
	view_take(&after);
	assert_memory_equal(before.links, after.links, sizeof(before.links));
	assert_int_equal(before.uid, after.uid);
	assert_non_null(environ);
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	/* No descriptor has leaked: these are the next free ones. */
	assert_int_equal(after.proc, before.status + 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_process_has_left),
		cmocka_unit_test(root_becomes_nobody),
		cmocka_unit_test(the_root_is_empty),
		cmocka_unit_test(no_other_mount_is_left),
		cmocka_unit_test(the_environment_is_wiped),
		cmocka_unit_test(a_child_is_init),
		cmocka_unit_test(root_of_few_ids_stays_root),
		cmocka_unit_test(a_host_that_forbids_it),
		cmocka_unit_test(the_probe_changes_nothing),
	};

	alarm(120); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
