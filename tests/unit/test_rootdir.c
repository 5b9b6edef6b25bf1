/* SPDX-License-Identifier: Apache-2.0 */
/* Needs root. All happens in a tmpfs on /tmp, in a mount namespace that goes with the test. */
#include "capture.h"

#include <errno.h>
#include <fcntl.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <sys/wait.h>

#include "rootdir.h"
#include "util.h"

#define BASE "/tmp/base"
#define EXEC BASE "/husk"
#define ID EXEC "/vm"
#define ROOT ID "/root"
#define CANARY "/tmp/canary"
#define USER 1234
#define DEEP 5000
#define STARTERS 6

static struct jail_spec spec;
static struct rootdir dir;
static struct capture capture;
static bool is_able;

static int group_setup(void **state)
{
	(void)state;
	is_able = geteuid() == 0 && !unshare(CLONE_NEWNS) &&
		  !mount(NULL, "/", NULL, MS_REC | MS_PRIVATE, NULL);
	return 0;
}

static void write_file(const char *path, const char *text)
{
	FILE *file = fopen(path, "w");

	assert_non_null(file);
	assert_true(fputs(text, file) >= 0);
	assert_int_equal(fclose(file), 0);
}

static void assert_text(const char *path, const char *text)
{
	FILE *file = fopen(path, "r");
	char line[256] = "";

	assert_non_null(file);
	if (!fgets(line, sizeof(line), file))
		assert_string_equal(text, "");
	fclose(file);
	assert_string_equal(line, text);
}

static struct rootdir_made made;

static bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static int setup(void **state)
{
	(void)state;
	if (!is_able)
		return 0;
	assert_int_equal(mount("tmpfs", "/tmp", "tmpfs", 0, "mode=1777"), 0);
	umask(0);
	assert_int_equal(mkdir(BASE, 0755), 0);
	assert_int_equal(mkdir(CANARY, 0700), 0);
	write_file(CANARY "/file", "precious");
	assert_int_equal(chmod(CANARY "/file", 0600), 0);
	spec = (struct jail_spec){.id = "vm", .base = BASE, .uid = USER, .gid = USER};
	return 0;
}

static int teardown(void **state)
{
	struct stat st;

	(void)state;
	if (!is_able)
		return 0;
	assert_text(CANARY "/file", "precious");
	assert_int_equal(stat(CANARY, &st), 0);
	assert_true(st.st_uid == 0 && (st.st_mode & 07777) == 0700 && st.st_nlink == 2);
	assert_int_equal(stat(CANARY "/file", &st), 0);
	assert_true(st.st_uid == 0 && (st.st_mode & 07777) == 0600);
	return umount2("/tmp", MNT_DETACH);
}

static void need_root(void)
{
	if (!is_able) {
		print_message("needs root, and mount namespaces\n");
		skip();
	}
}

static int open_quietly(struct rootdir *other)
{
	static struct rootdir_made other_made;
	int err;

	other_made = (struct rootdir_made){0};
	capture_begin(&capture, STDERR_FILENO);
	err = rootdir_open(other, &spec, "husk", &other_made);
	capture_end(&capture);
	return err;
}

static void open_jail(void)
{
	made = (struct rootdir_made){0};
	assert_int_equal(rootdir_open(&dir, &spec, "husk", &made), 0);
}

static void refuses_to_open(const char *text)
{
	assert_true(open_quietly(&dir) < 0);
	rootdir_clean(&dir, false);
	if (!strstr(capture.text, text) || capture_lines(&capture) != 1)
		fail_msg("\"%s\" is not in: %s", text, capture.text);
}

static void refuses_to_fill(const char *text)
{
	int err;

	open_jail();
	capture_begin(&capture, STDERR_FILENO);
	err = rootdir_fill(&dir);
	capture_end(&capture);
	rootdir_clean(&dir, false);
	assert_true(err < 0);
	if (!strstr(capture.text, text) || capture_lines(&capture) != 1)
		fail_msg("\"%s\" is not in: %s", text, capture.text);
}

static void make_root(void)
{
	assert_int_equal(mkdir(EXEC, 0755) | mkdir(ID, 0755) | mkdir(ROOT, 0755), 0);
}

static void links_on_the_way(void **state)
{
	(void)state;
	need_root();
	assert_int_equal(symlink(CANARY, EXEC), 0);
	refuses_to_open("husk");
	unlink(EXEC);
	assert_int_equal(mkdir(EXEC, 0755), 0);
	assert_int_equal(symlink(CANARY, ID), 0);
	refuses_to_open("vm");
	unlink(ID);
	write_file(ID, "");
	refuses_to_open("vm");
	unlink(ID);
	assert_int_equal(mkdir(ID, 0755), 0);
	assert_int_equal(symlink(CANARY, ROOT), 0);
	refuses_to_fill("root");
	assert_true(exists(ROOT));
}

static void owners_on_the_way(void **state)
{
	static const char *const folders[] = {BASE, EXEC, ID};
	size_t i;

	(void)state;
	need_root();
	assert_int_equal(mkdir(EXEC, 0755) | mkdir(ID, 0755), 0);
	for (i = 0; i < 3; i++) {
		assert_int_equal(chown(folders[i], USER, 0), 0);
		refuses_to_open("belongs to user 1234");
		assert_int_equal(chown(folders[i], 0, 0), 0);
		assert_int_equal(chmod(folders[i], 0775), 0);
		refuses_to_open("writable for others");
		assert_int_equal(chmod(folders[i], 01757), 0);
		refuses_to_open("writable for others");
		assert_int_equal(chmod(folders[i], 0755), 0);
	}
	/* /tmp above it is anyone's, but sticky. */
	open_jail();
	rootdir_clean(&dir, false);
	assert_int_equal(chmod("/tmp", 0777), 0);
	refuses_to_open("/tmp is writable for others");
}

static void one_at_a_time(void **state)
{
	struct rootdir other;

	(void)state;
	need_root();
	open_jail();
	assert_int_equal(open_quietly(&other), -EBUSY);
	assert_non_null(strstr(capture.text, "in use"));
	rootdir_clean(&other, false);
	assert_true(exists(ID));
	assert_int_equal(open_quietly(&other), -EBUSY);
	rootdir_clean(&other, false);
	rootdir_clean(&dir, true);
	assert_false(exists(EXEC));
	open_jail();
	rootdir_clean(&dir, true);
	/* Cleaning twice is no harm. */
	rootdir_clean(&dir, true);
}

/* Whoever holds a lock holds it on the folder that has the name. */
static void starter(void)
{
	unsigned int won = 0;
	int err;

	close(STDERR_FILENO);
	alarm(30);
	while (won < 150) {
		made = (struct rootdir_made){0};
		err = rootdir_open(&dir, &spec, "husk", &made);
		/* Two in it at once would meet here. */
		if (!err && (mkdir(ID "/mutex", 0700) || rmdir(ID "/mutex")))
			_exit(1);
		if (err && err != -EBUSY && err != -EAGAIN)
			_exit(2);
		rootdir_clean(&dir, true);
		won += !err;
	}
	_exit(0);
}

static void many_starters(void **state)
{
	unsigned int i;
	int status;
	pid_t pid;

	(void)state;
	need_root();
	for (i = 0; i < STARTERS; i++) {
		pid = fork();
		assert_true(pid >= 0);
		if (!pid)
			starter();
	}
	for (i = 0; i < STARTERS; i++) {
		assert_true(wait(&status) > 0);
		assert_int_equal(status, 0);
	}
	assert_false(exists(ID));
}

static void things_in_the_way_inside(void **state)
{
	static const char *const names[] = {"dev", "run", "data"};
	char path[64];
	size_t i;

	(void)state;
	need_root();
	make_root();
	spec.writables[spec.nr_writables++] = "data";
	for (i = 0; i < 3; i++) {
		snprintf(path, sizeof(path), "%s/%s", ROOT, names[i]);
		assert_int_equal(symlink(CANARY, path), 0);
		refuses_to_fill(names[i]);
		unlink(path);
		assert_int_equal(mkfifo(path, 0777), 0);
		refuses_to_fill(names[i]);
		unlink(path);
	}
	assert_int_equal(mkdir(ROOT "/other", 0755) | chown(ROOT "/other", 77, 77), 0);
	spec.writables[0] = "other/data";
	refuses_to_fill("not root's");
	assert_int_equal(chown(ROOT, 77, 0), 0);
	refuses_to_fill("belongs to user 77");
}

static void owner_and_mode(const char *path, uid_t uid, mode_t mode)
{
	struct stat st;

	assert_int_equal(lstat(path, &st), 0);
	assert_int_equal(st.st_uid, uid);
	assert_int_equal(st.st_mode & 07777, mode);
}

static void filled(void **state)
{
	(void)state;
	need_root();
	make_root();
	assert_int_equal(chown(ROOT, USER, USER) | chmod(ROOT, 0777), 0);
	assert_int_equal(mkdir(ROOT "/run", 0777), 0);
	write_file(ROOT "/kernel", "kernel");
	spec.writables[spec.nr_writables++] = "a/b";
	open_jail();
	assert_int_equal(rootdir_fill(&dir), 0);
	assert_string_equal(dir.path, ROOT);
	owner_and_mode(ROOT, 0, 0750);
	owner_and_mode(ROOT "/dev", 0, 0755);
	owner_and_mode(ROOT "/run", USER, 0700);
	owner_and_mode(ROOT "/a", 0, 0755);
	owner_and_mode(ROOT "/a/b", USER, 0700);
	assert_text(ROOT "/kernel", "kernel");
	rootdir_clean(&dir, true);
	assert_false(exists(EXEC "/vm"));
	assert_true(exists(EXEC)); /* it was there before */
}

static void programs_and_pids(void **state)
{
	cleanup_fd int source = -1, program = -1;
	struct stat st;
	int kind;

	(void)state;
	need_root();
	write_file("/tmp/program", "text");
	for (kind = 0; kind < 4; kind++) {
		open_jail();
		assert_int_equal(rootdir_fill(&dir), 0);
		if (kind == 1)
			assert_int_equal(symlink(CANARY "/file", ROOT "/husk") |
						 symlink(CANARY "/new", ROOT "/husk.pid"),
					 0);
		if (kind == 2)
			assert_int_equal(link(CANARY "/file", ROOT "/husk") |
						 link(CANARY "/file", ROOT "/husk.pid"),
					 0);
		if (kind == 3)
			assert_int_equal(
				mkfifo(ROOT "/husk", 0600) | mkfifo(ROOT "/husk.pid", 0600), 0);
		close_fd_ptr(&source);
		close_fd_ptr(&program);
		source = open("/tmp/program", O_RDONLY | O_CLOEXEC);
		program = rootdir_put_program(&dir, source);
		assert_true(program >= 0);
		assert_int_equal(fstat(program, &st), 0);
		assert_true(S_ISREG(st.st_mode) && st.st_nlink == 1 && st.st_size == 4);
		owner_and_mode(ROOT "/husk", 0, 0511);
		assert_text(ROOT "/husk", "text");
		assert_int_equal(rootdir_put_pid(&dir, 4711), 0);
		owner_and_mode(ROOT "/husk.pid", 0, 0444);
		assert_text(ROOT "/husk.pid", "4711");
		rootdir_clean(&dir, true);
	}
	assert_false(exists(CANARY "/new"));
}

static void what_was_there_before_a_failure(void **state)
{
	cleanup_fd int source = -1, program = -1;

	(void)state;
	need_root();
	make_root();
	write_file("/tmp/program", "text");
	write_file(ROOT "/kernel", "kernel");
	open_jail();
	assert_int_equal(rootdir_fill(&dir), 0);
	source = open("/tmp/program", O_RDONLY | O_CLOEXEC);
	program = rootdir_put_program(&dir, source);
	assert_int_equal(rootdir_put_pid(&dir, 1), 0);
	rootdir_clean(&dir, false);
	assert_text(ROOT "/kernel", "kernel");
	unlink(ROOT "/kernel");
	assert_int_equal(rmdir(ROOT) | rmdir(ID) | rmdir(EXEC), 0);
}

static void kept_and_stale(void **state)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = ROOT "/run/socket"};
	cleanup_fd int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);

	(void)state;
	need_root();
	spec.keep = true;
	open_jail();
	assert_int_equal(rootdir_fill(&dir), 0);
	rootdir_clean(&dir, true);
	write_file(ROOT "/run/file", "mine");
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	open_jail();
	assert_int_equal(rootdir_fill(&dir), 0);
	assert_text(ROOT "/run/file", "mine");
	assert_false(exists(ROOT "/run/socket"));
	rootdir_clean(&dir, true);
	/* A folder without the marker is a script's, with all that is in it. */
	assert_int_equal(unlink(ID "/.husk-jailer"), 0);
	close_fd_ptr(&fd);
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&address, sizeof(address)), 0);
	open_jail();
	assert_int_equal(rootdir_fill(&dir), 0);
	assert_true(exists(ROOT "/run/socket"));
	spec.keep = false;
	rootdir_clean(&dir, true);
	assert_false(exists(ID));
}

static void removal_of_what_is_deep(void **state)
{
	unsigned int i;

	(void)state;
	need_root();
	open_jail();
	assert_int_equal(rootdir_fill(&dir), 0);
	assert_int_equal(chdir(ROOT "/run"), 0);
	for (i = 0; i < DEEP; i++) {
		assert_int_equal(symlink(CANARY, "link"), 0);
		assert_int_equal(mkdir(".moved-0", 0), 0);
		write_file("file", "");
		assert_int_equal(mkdir("deep", 0700), 0);
		assert_int_equal(chdir("deep"), 0);
	}
	assert_int_equal(chdir("/"), 0);
	rootdir_clean(&dir, true);
	assert_false(exists(EXEC));
}

static void removal_crosses_no_mount(void **state)
{
	(void)state;
	need_root();
	open_jail();
	assert_int_equal(rootdir_fill(&dir), 0);
	assert_int_equal(mkdir(ROOT "/run/below", 0700) | mkdir(ROOT "/run/mounted", 0700), 0);
	assert_int_equal(mount(CANARY, ROOT "/run/mounted", NULL, MS_BIND, NULL), 0);
	assert_int_equal(mkdir(ID "/mounted", 0700), 0);
	assert_int_equal(mount(CANARY, ID "/mounted", NULL, MS_BIND, NULL), 0);
	capture_begin(&capture, STDERR_FILENO);
	rootdir_clean(&dir, true);
	capture_end(&capture);
	assert_non_null(strstr(capture.text, "cannot remove all"));
	assert_text(CANARY "/file", "precious");
}

#define ROOT_TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		ROOT_TEST(links_on_the_way),
		ROOT_TEST(owners_on_the_way),
		ROOT_TEST(one_at_a_time),
		ROOT_TEST(many_starters),
		ROOT_TEST(things_in_the_way_inside),
		ROOT_TEST(filled),
		ROOT_TEST(programs_and_pids),
		ROOT_TEST(what_was_there_before_a_failure),
		ROOT_TEST(kept_and_stale),
		ROOT_TEST(removal_of_what_is_deep),
		ROOT_TEST(removal_crosses_no_mount),
	};

	return cmocka_run_group_tests(tests, group_setup, NULL);
}
