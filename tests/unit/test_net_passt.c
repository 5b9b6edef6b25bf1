/* SPDX-License-Identifier: Apache-2.0 */
/* Starting passt, for real: that it runs, ends, gets nothing of ours, and says why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net_passt.h"
#include "util.h"

static bool have_passt;

static int group_setup(void **state)
{
	(void)state;
	have_passt = !system("command -v passt >/dev/null");
	return 0;
}

#define NEEDS_PASST() \
	do { \
		if (!have_passt) { \
			print_message("passt is not installed\n"); \
			skip(); \
		} \
	} while (0)

/* A port nobody else forwards: it marks our passt among those of others. */
static const char *mark(void)
{
	static char forward[32];

	snprintf(forward, sizeof(forward), "tcp=127.0.0.1/%d:9", 20000 + getpid() % 10000);
	return forward;
}

static unsigned int count_passt(void)
{
	DIR *proc = opendir("/proc");
	struct dirent *entry;
	unsigned int nr = 0;
	char path[300], line[1024];
	size_t len;
	FILE *file;

	while ((entry = readdir(proc))) {
		snprintf(path, sizeof(path), "/proc/%s/cmdline", entry->d_name);
		file = fopen(path, "re");
		if (!file)
			continue;
		len = fread(line, 1, sizeof(line), file);
		nr += memmem(line, len, mark() + 4, strlen(mark() + 4)) != NULL;
		fclose(file);
	}
	closedir(proc);
	return nr;
}

/* Within five seconds. */
static bool passt_ends(void)
{
	unsigned int tries;

	for (tries = 0; tries < 500; tries++) {
		if (!count_passt())
			return true;
		usleep(10000);
	}
	return false;
}

/* An address request for the gateway, and its answer: passt is there and speaks our protocol. */
static bool answers_arp(struct net_backend *backend)
{
	uint8_t arp[42] = {0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0,  5, 8, 6,
			   0,	 1,    8,    0,	   6,	 4,    0, 1, 2, 0, 0,  0, 0, 5,
			   10,	 0,    2,    15,   0,	 0,    0, 0, 0, 0, 10, 0, 2, 2};
	struct virtio_net_hdr_v1 header = {0};
	struct iovec out[] = {{&header, sizeof(header)}, {arp, sizeof(arp)}};
	static uint8_t frame[NET_FRAME_MAX + 1];
	struct iovec in[] = {{&header, sizeof(header)}, {frame, sizeof(frame)}};
	struct pollfd ready = {.fd = backend->fd, .events = POLLIN};
	ssize_t len;

	if (backend->ops->send(backend, out, 2))
		return false;
	while (poll(&ready, 1, 2000) == 1) {
		in[0] = (struct iovec){&header, sizeof(header)};
		len = backend->ops->receive(backend, in, 2);
		if (len == -EAGAIN)
			continue;
		if (len < 0)
			return false;
		/* A reply, from the gateway. */
		if (frame[12] == 8 && frame[13] == 6 && frame[21] == 2 && frame[31] == 2)
			return true;
	}
	return false;
}

static int start(const struct net_passt_config *config, struct net_backend **ret_backend)
{
	struct net_passt passt;
	int err;

	err = net_passt_start(config, &passt, ret_backend);
	if (err)
		return err;
	err = net_passt_wait(&passt);
	if (err)
		(*ret_backend)->ops->destroy(*ret_backend);
	return err;
}

static void test_life(void **state)
{
	const char *const forward = mark();
	const struct net_passt_config config = {{2}, &forward, 1, true};
	struct net_backend *backend;

	(void)state;
	NEEDS_PASST();
	assert_int_equal(start(&config, &backend), 0);
	assert_true(answers_arp(backend));
	assert_int_equal(count_passt(), 1);
	/* No child is left to reap. */
	assert_int_equal(waitpid(-1, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	backend->ops->destroy(backend);
	assert_true(passt_ends());
}

/* Frames sent before passt is ready are not lost. */
static void test_no_wait(void **state)
{
	const struct net_passt_config config = {.mac = {2}, .map_host = true};
	struct net_backend *backend;
	struct net_passt passt;

	(void)state;
	NEEDS_PASST();
	assert_int_equal(net_passt_start(&config, &passt, &backend), 0);
	assert_true(answers_arp(backend));
	assert_int_equal(net_passt_wait(&passt), 0);
	backend->ops->destroy(backend);
}

/* passt goes with husk, however that ends. */
static void test_killed(void **state)
{
	const char *const forward = mark();
	const struct net_passt_config config = {{2}, &forward, 1, true};
	struct net_backend *backend;
	int fds[2];
	char done;
	pid_t pid;

	(void)state;
	NEEDS_PASST();
	assert_int_equal(pipe(fds), 0);
	pid = fork();
	if (!pid) {
		alarm(30);
		done = !start(&config, &backend) && answers_arp(backend);
		if (write(fds[1], &done, 1) == 1)
			pause();
		_exit(0);
	}
	assert_int_equal(read(fds[0], &done, 1), 1);
	assert_true(done);
	assert_int_equal(count_passt(), 1);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	assert_true(passt_ends());
	close(fds[0]);
	close(fds[1]);
}

/* This program as passt: tells what it was given. */
static int pretend_passt(void)
{
	char path[32], target[256];
	sigset_t blocked;
	ssize_t len;
	int fd, i;

	dprintf(2, "session %d\n", getsid(0) == getpid());
	for (i = 0; environ[i]; i++)
		dprintf(2, "environment %s\n", environ[i]);
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	for (i = 1; i < NSIG; i++) {
		if (sigismember(&blocked, i) > 0 || signal(i, SIG_DFL) == SIG_IGN)
			dprintf(2, "signal %d\n", i);
	}
	for (fd = 0; fd < 1024; fd++) {
		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		len = readlink(path, target, sizeof(target) - 1);
		target[MAX(len, 0)] = '\0';
		if (len > 0)
			dprintf(2, "descriptor %d %.6s\n", fd, target);
	}
	return 1;
}

/* Nothing of husk's reaches passt: descriptors, environment, session, signal settings. */
static void test_clean(void **state)
{
	static const char want[] = "session 1\n"
				   "descriptor 0 /dev/n\n"
				   "descriptor 1 /dev/n\n"
				   "descriptor 2 pipe:[\n"
				   "descriptor 3 socket\n";
	const struct net_passt_config config = {.mac = {2}, .map_host = true};
	char directory[] = "/tmp/husk-test-XXXXXX", path[64], self[256] = "", log[4096];
	char *saved = strdup(getenv("PATH"));
	struct net_backend *backend;
	struct net_passt passt;
	sigset_t all, old;
	ssize_t got;
	int leak;

	(void)state;
	assert_true(readlink("/proc/self/exe", self, sizeof(self) - 1) > 0);
	assert_non_null(mkdtemp(directory));
	snprintf(path, sizeof(path), "%s/passt", directory);
	assert_int_equal(symlink(self, path), 0);
	setenv("PATH", directory, 1);
	setenv("HUSK_SECRET", "x", 1);
	leak = fcntl(2, F_DUPFD, 50);
	signal(SIGPIPE, SIG_IGN);
	sigfillset(&all);
	sigprocmask(SIG_SETMASK, &all, &old);
	assert_int_equal(net_passt_start(&config, &passt, &backend), 0);
	sigprocmask(SIG_SETMASK, &old, NULL);
	signal(SIGPIPE, SIG_DFL);
	setenv("PATH", saved, 1);
	free(saved);
	close(leak);
	waitid(P_PID, (id_t)passt.pid, NULL, WEXITED | WNOWAIT);
	unlink(path);
	rmdir(directory);
	got = read(passt.log_fd, log, sizeof(log) - 1);
	log[MAX(got, 0)] = '\0';
	assert_int_equal(net_passt_wait(&passt), -ECHILD);
	backend->ops->destroy(backend);
	assert_string_equal(log, want);
}

/* net_passt_start or _wait fails with one line that says why. */
static void check_failure(const struct net_passt_config *config, const char *reason)
{
	struct net_backend *backend;
	int fds[2], saved = dup(2), err;
	char log[512];
	ssize_t got;

	assert_int_equal(pipe2(fds, O_NONBLOCK | O_CLOEXEC), 0);
	dup2(fds[1], 2);
	err = start(config, &backend);
	dup2(saved, 2);
	got = read(fds[0], log, sizeof(log) - 1);
	log[MAX(got, 0)] = '\0';
	close(saved);
	close(fds[0]);
	close(fds[1]);
	if (!err || !strstr(log, reason) || strchr(log, '\n') != log + strlen(log) - 1)
		fail_msg("%d, not \"%s\" but: %s", err, reason, log);
}

static void test_failures(void **state)
{
	const char *const bad_form[] = {"8080:80"};
	const char *const no_ports[] = {"tcp="};
	const char *const bad_ports[] = {"tcp=x"};
	const struct net_passt_config plain = {.mac = {2}, .map_host = true};
	const struct net_passt_config configs[] = {{{2}, bad_form, 1, true},
						   {{2}, no_ports, 1, true}};
	char *saved = strdup(getenv("PATH"));
	unsigned int i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(configs); i++)
		check_failure(&configs[i], "not of the form");
	setenv("PATH", "/nonexistent", 1);
	check_failure(&plain, "install the package \"passt\"");
	setenv("PATH", saved, 1);
	free(saved);
	NEEDS_PASST();
	check_failure(&(struct net_passt_config){{2}, bad_ports, 1, true},
		      "Invalid port specifier");
}

int main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),	 cmocka_unit_test(test_no_wait),
		cmocka_unit_test(test_killed),	 cmocka_unit_test(test_clean),
		cmocka_unit_test(test_failures),
	};

	if (argc > 1 && !strcmp(argv[0], "passt"))
		return pretend_passt();
	alarm(120);
	return cmocka_run_group_tests(tests, group_setup, NULL);
}
