/* SPDX-License-Identifier: Apache-2.0 */
#include "capture.h"
#include "child.h"
#include "confine.h"

#include <arpa/inet.h>
#include <fcntl.h>
#include <grp.h>
#include <linux/securebits.h>
#include <netinet/in.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/capability.h>
#include <sys/fsuid.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>

#include "util.h"

#define SOMEBODY 1234

static const char *const cap_lines[] = {"CapInh:", "CapPrm:", "CapEff:", "CapBnd:", "CapAmb:"};

/* All of them, if need be in a user namespace, where nothing can be done with them. */
static void need_capabilities(void)
{
	cap_t caps = cap_get_proc();
	cap_flag_value_t has;

	check(caps && !cap_get_flag(caps, CAP_SETPCAP, CAP_EFFECTIVE, &has));
	cap_free(caps);
	if (has != CAP_SET && unshare(CLONE_NEWUSER))
		child_skip("no capabilities, and no user namespace");
}

static int open_status(void)
{
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);

	check(fd >= 0);
	return fd;
}

/* From all five sets in use to none. */
static void drop_capabilities(void)
{
	cap_value_t cap = CAP_NET_RAW;
	int status_fd;
	cap_t caps;
	size_t i;

	need_capabilities();
	status_fd = open_status();
	caps = cap_get_proc();
	check(!cap_set_flag(caps, CAP_INHERITABLE, 1, &cap, CAP_SET));
	check(!cap_set_proc(caps) && !cap_set_ambient(cap, CAP_SET));
	cap_free(caps);
	for (i = 0; i < ARRAY_SIZE(cap_lines); i++)
		check(child_status_value(status_fd, cap_lines[i], 16) != 0);

	/* One set after the other: the first step takes nothing that is in use. */
	check(!confine_bounding_set());
	for (i = 0; i < ARRAY_SIZE(cap_lines); i++)
		check((i == 3) == (child_status_value(status_fd, cap_lines[i], 16) == 0));
	check(!confine_capabilities());
	for (i = 0; i < ARRAY_SIZE(cap_lines); i++)
		check(child_status_value(status_fd, cap_lines[i], 16) == 0);
	check(prctl(PR_GET_SECUREBITS) ==
	      (SECBIT_NOROOT | SECBIT_NOROOT_LOCKED | SECBIT_NO_SETUID_FIXUP |
	       SECBIT_NO_SETUID_FIXUP_LOCKED | SECBIT_KEEP_CAPS_LOCKED |
	       SECBIT_NO_CAP_AMBIENT_RAISE | SECBIT_NO_CAP_AMBIENT_RAISE_LOCKED));
	/* Nor can they come back. */
	check(!confine_bounding_set() && !confine_capabilities());
}

static void capabilities_are_gone(void **state)
{
	(void)state;
	assert_child(drop_capabilities);
}

static void exec_without_capabilities(void)
{
	need_capabilities();
	check(!confine_bounding_set() && !confine_capabilities());
	execl("/bin/sh", "sh", "-c", "! grep ^Cap /proc/self/status | grep -qv '0000000000000000$'",
	      NULL);
	check(!"exec");
}

static void root_gains_nothing_by_exec(void **state)
{
	(void)state;
	assert_child(exec_without_capabilities);
}

/* Which can keep its bounding set, of no use to it. */
static void drop_as_ordinary_user(void)
{
	int status_fd;
	size_t i;

	check(geteuid() != 0 || !confine_ids(SOMEBODY, SOMEBODY));
	status_fd = open_status();
	check(!confine_bounding_set() && !confine_capabilities());
	for (i = 0; i < ARRAY_SIZE(cap_lines); i++)
		check(i == 3 || child_status_value(status_fd, cap_lines[i], 16) == 0);
}

static void an_ordinary_user_has_no_capabilities_to_lose(void **state)
{
	(void)state;
	assert_child(drop_as_ordinary_user);
}

static void become_somebody(void)
{
	const gid_t groups[] = {7, 8};
	gid_t rgid, egid, sgid;
	uid_t ruid, euid, suid;

	if (setgroups(ARRAY_SIZE(groups), groups))
		child_skip("takes root");
	check(!confine_ids(SOMEBODY, SOMEBODY + 1));
	check(!getresuid(&ruid, &euid, &suid) && !getresgid(&rgid, &egid, &sgid));
	check(ruid == SOMEBODY && euid == SOMEBODY && suid == SOMEBODY);
	check(rgid == SOMEBODY + 1 && egid == SOMEBODY + 1 && sgid == SOMEBODY + 1);
	check(setfsuid(-1u) == SOMEBODY && setfsgid(-1u) == SOMEBODY + 1);
	check(getgroups(0, NULL) == 0);
	check(setresuid(0, 0, 0) && setresgid(0, 0, 0) && setgroups(0, NULL));
}

static void ids_are_changed_for_good(void **state)
{
	(void)state;
	assert_child(become_somebody);
}

/* And one line tells. */
static void become_root(void)
{
	struct capture capture;

	check(geteuid() != 0 || !setresuid(SOMEBODY, SOMEBODY, SOMEBODY));
	capture_begin(&capture, STDERR_FILENO);
	check(confine_ids(0, 0) == -EPERM);
	capture_end(&capture);
	check(strstr(capture.text, "cannot change user and group: Operation not permitted"));
	check(strchr(capture.text, '\n') == strrchr(capture.text, '\n'));
}

static void an_ordinary_user_stays_who_he_is(void **state)
{
	(void)state;
	assert_child(become_root);
}

/* Whether another process of the same user may look into this one. */
static bool can_be_seen(void)
{
	char path[64];
	pid_t child;
	int status;

	snprintf(path, sizeof(path), "/proc/%d/environ", getpid());
	child = fork();
	check(child >= 0);
	if (!child)
		_exit(open(path, O_RDONLY) < 0);
	check(waitpid(child, &status, 0) == child && WIFEXITED(status));
	return !WEXITSTATUS(status);
}

static void drop_privileges(void)
{
	int status_fd;

	check(geteuid() != 0 || !confine_ids(SOMEBODY, SOMEBODY));
	check(!prctl(PR_SET_DUMPABLE, 1));
	status_fd = open_status();
	check(can_be_seen());
	check(child_status_value(status_fd, "NoNewPrivs:", 10) == 0);
	check(!confine_privileges());
	check(!can_be_seen());
	check(child_status_value(status_fd, "NoNewPrivs:", 10) == 1);
	check(prctl(PR_GET_DUMPABLE) == 0);
}

static void privileges(void **state)
{
	(void)state;
	assert_child(drop_privileges);
}

static void check_tcp(int tcp)
{
	struct sockaddr_in address = {.sin_family = AF_INET,
				      .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};

	check(bind(tcp, (struct sockaddr *)&address, sizeof(address)) && errno == EACCES);
	address.sin_port = htons(1);
	check(connect(tcp, (struct sockaddr *)&address, sizeof(address)) && errno == EACCES);
}

/* To what is outside: an abstract socket, a process. */
static void check_scopes(const struct sockaddr_un *address, socklen_t size, pid_t target)
{
	int client = socket(AF_UNIX, SOCK_STREAM, 0);

	check(connect(client, (const struct sockaddr *)address, size) && errno == EPERM);
	check(kill(target, 0) && errno == EPERM);
	check(!kill(getpid(), 0));
}

/* Names are tried that are there and may be used by anyone. */
static void forbid_files(void)
{
	int file = memfd_create("file", 0), device = open("/dev/ptmx", O_RDWR);
	struct sockaddr_un address = {.sun_family = AF_UNIX};
	int server = socket(AF_UNIX, SOCK_STREAM, 0), tcp = socket(AF_INET, SOCK_STREAM, 0);
	socklen_t size = sizeof(sa_family_t);
	struct winsize window;
	int abi;

	check(file >= 0 && device >= 0 && server >= 0 && tcp >= 0);
	/* The kernel chooses an abstract name. */
	check(!bind(server, (struct sockaddr *)&address, size) && !listen(server, 1));
	size = sizeof(address);
	check(!getsockname(server, (struct sockaddr *)&address, &size));
	check(!access("/dev/null", R_OK | W_OK));

	check(!confine_privileges());
	check(!confine_scopes());
	check(!confine_files(&abi));
	if (!abi) {
		check(open("/dev/null", O_RDONLY) >= 0);
		errno = 0;
		child_skip("no Landlock");
	}
	check(open("/dev/null", O_RDONLY) < 0 && errno == EACCES);
	check(open("/dev/null", O_WRONLY) < 0 && errno == EACCES);
	check(open("/", O_RDONLY | O_DIRECTORY) < 0 && errno == EACCES);
	check(open("/proc/self/status", O_RDONLY) < 0 && errno == EACCES);
	check(open("/tmp", O_TMPFILE | O_RDWR, 0600) < 0); /* which not every file system has */
	if (abi >= 4)
		check_tcp(tcp);
	if (abi >= 6)
		check_scopes(&address, size, getppid());
	/* What is open stays so. */
	check(write(file, "x", 1) == 1 && !ftruncate(file, 100));
	check(!ioctl(device, TIOCGWINSZ, &window));
	check(!confine_files(NULL));
}

static void files_are_out_of_reach(void **state)
{
	(void)state;
	assert_child(forbid_files);
}

static void take_limits(void)
{
	static const int zero[] = {RLIMIT_CORE, RLIMIT_MEMLOCK, RLIMIT_MSGQUEUE};
	struct pollfd pollfd = {.events = POLLOUT};
	struct rlimit limit;
	char page[1];
	size_t i;

	/* Root is above some; and a sanitizer makes mlock succeed. */
	check(geteuid() != 0 || !confine_ids(SOMEBODY, SOMEBODY));
	pollfd.fd = memfd_create("file", 0);
	check(pollfd.fd >= 0);
	check(!confine_limits());
	for (i = 0; i < ARRAY_SIZE(zero); i++) {
		check(!getrlimit((__rlimit_resource_t)zero[i], &limit));
		check(limit.rlim_cur == 0 && limit.rlim_max == 0);
	}
	check(syscall(SYS_mlock, page, sizeof(page)) && (errno == EPERM || errno == ENOMEM));
	check(dup(pollfd.fd) < 0 && errno == EMFILE);
	check(open("/dev/null", O_RDONLY) < 0 && errno == EMFILE);
	check(write(pollfd.fd, "x", 1) == 1);
	check(poll(&pollfd, 1, 0) == 1 && pollfd.revents == POLLOUT);
	limit = (struct rlimit){10, 10};
	check(setrlimit(RLIMIT_NOFILE, &limit) && errno == EPERM);
}

static void limits(void **state)
{
	(void)state;
	assert_child(take_limits);
}

static void verify_refuses(const char *why)
{
	struct capture capture;
	int err;

	capture_begin(&capture, STDERR_FILENO);
	err = confine_verify();
	capture_end(&capture);
	check(err == -EPERM && strstr(capture.text, why) && strstr(capture.text, "husk-jailer"));
	check(strchr(capture.text, '\n') == strrchr(capture.text, '\n'));
}

static void verify(void)
{
	need_capabilities();
	check(!prctl(PR_SET_DUMPABLE, 0));
	verify_refuses("capabilities");
	check(!confine_bounding_set() && !confine_capabilities());
	verify_refuses("no_new_privs");
	check(!confine_privileges());
	check(!confine_verify());
}

/* The bounding set is left: an exec of root's would bring all back. */
static void verify_bounding_set(void)
{
	cap_t none = cap_init();

	need_capabilities();
	check(!cap_set_proc(none) && !confine_privileges());
	cap_free(none);
	verify_refuses("capabilities");
}

static void a_jail_is_verified(void **state)
{
	(void)state;
	assert_child(verify);
	assert_child(verify_bounding_set);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(capabilities_are_gone),
		cmocka_unit_test(root_gains_nothing_by_exec),
		cmocka_unit_test(an_ordinary_user_has_no_capabilities_to_lose),
		cmocka_unit_test(ids_are_changed_for_good),
		cmocka_unit_test(an_ordinary_user_stays_who_he_is),
		cmocka_unit_test(privileges),
		cmocka_unit_test(files_are_out_of_reach),
		cmocka_unit_test(limits),
		cmocka_unit_test(a_jail_is_verified),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
