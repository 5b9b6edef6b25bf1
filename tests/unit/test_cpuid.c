/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What is remembered of the CPU, with a KVM, a kernel, a clock and a user of this program's own,
 * which the linker takes before those of libc. Each test begins with a file that is good.
 */
#include "capture.h"

#include <cpuid.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/kvm.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/auxv.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <time.h>

#include "cpuid.h"
#include "util.h"

#define ENTRIES 75
#define ENTRY sizeof(struct kvm_cpuid_entry2)
#define TABLE (sizeof(struct kvm_cpuid2) + ENTRIES * ENTRY)
#define FILE_MAX 16384
#define OTHER_USER 4321

static struct {
	unsigned int asks;
	uint32_t told; /* in each entry */
	uint32_t entries;
	uint64_t takes_ns;
	int error;
} kvm;
static struct utsname kernel;
static struct stat node;
static uint64_t now_ns;
static unsigned long user;

/* In a folder of this test's own. */
static char base[] = "/tmp/husk-cpuid-XXXXXX";
static const char folder[] = "husk", file[] = "husk/cpuid", new_file[] = "husk/cpuid.new";
static const char aside[] = "aside";
static int kvm_fd;
static char content[FILE_MAX]; /* of the good file */
static size_t size, key_size;

int own_ioctl(int fd, unsigned long request, struct kvm_cpuid2 *table) __asm__("ioctl");
int own_uname(struct utsname *ret_name) __asm__("uname");
int own_fstat(int fd, struct stat *ret_stat) __asm__("fstat");
int own_clock_gettime(clockid_t clock, struct timespec *ret_time) __asm__("clock_gettime");
unsigned long own_getauxval(unsigned long type) __asm__("getauxval");

int own_ioctl(int fd, unsigned long request, struct kvm_cpuid2 *table)
{
	uint32_t i;

	if (fd != kvm_fd || request != KVM_GET_SUPPORTED_CPUID)
		return (int)syscall(SYS_ioctl, fd, request, table);
	kvm.asks++;
	now_ns += kvm.takes_ns;
	errno = kvm.error;
	if (kvm.error)
		return -1;
	assert_true(table->nent >= kvm.entries);
	table->nent = kvm.entries;
	for (i = 0; i < kvm.entries; i++)
		table->entries[i] =
			(struct kvm_cpuid_entry2){.function = i, .eax = kvm.told, .edx = ~i};
	return 0;
}

int own_uname(struct utsname *ret_name)
{
	*ret_name = kernel;
	return 0;
}

int own_fstat(int fd, struct stat *ret_stat)
{
	if (fd != kvm_fd)
		return (int)syscall(SYS_fstat, fd, ret_stat);
	*ret_stat = node;
	return 0;
}

int own_clock_gettime(clockid_t clock, struct timespec *ret_time)
{
	(void)clock;
	ret_time->tv_sec = (time_t)(now_ns / 1000000000);
	ret_time->tv_nsec = (long)(now_ns % 1000000000);
	return 0;
}

/* The sanitizers ask for other values, before there is anything else in this process. */
unsigned long own_getauxval(unsigned long type)
{
	return type == AT_EUID ? user : type == AT_PAGESZ ? 4096 : 0;
}

/* Whether KVM was asked. What comes back is what it tells now. */
static bool is_asked_in(const char *where)
{
	unsigned int asks = kvm.asks;
	struct kvm_cpuid2 *table;
	uint32_t i;

	assert_int_equal(cpuid_recall(kvm_fd, where, &table), 0);
	assert_int_equal(table->nent, kvm.entries);
	for (i = 0; i < table->nent; i++) {
		assert_int_equal(table->entries[i].function, i);
		assert_int_equal(table->entries[i].edx, ~i);
		assert_int_equal(table->entries[i].eax, kvm.told);
	}
	free(table);
	return kvm.asks != asks;
}

static bool is_asked(void)
{
	return is_asked_in(folder);
}

static bool exists(const char *path)
{
	struct stat st;

	return !lstat(path, &st);
}

static void write_file(const char *data, size_t len)
{
	int fd = open(file, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, data, len), len);
	close(fd);
}

/* KVM is asked instead of such a file; it tells something else by now. */
static void refuses(const char *data, size_t len)
{
	write_file(data, len);
	kvm.takes_ns = 0;
	kvm.told++;
	assert_true(is_asked());
}

static int group_setup(void **state)
{
	(void)state;
	signal(SIGXFSZ, SIG_IGN);
	kvm_fd = open("/dev/null", O_RDWR | O_CLOEXEC);
	return kvm_fd < 0 || !mkdtemp(base) || chdir(base);
}

static int group_teardown(void **state)
{
	(void)state;
	return rmdir(base);
}

static int setup(void **state)
{
	int fd;

	(void)state;
	user = geteuid();
	kvm.entries = ENTRIES;
	kvm.takes_ns = CPUID_SLOW_NS + 1;
	kvm.error = 0;
	strcpy(kernel.release, "6.1.0");
	strcpy(kernel.version, "#1 SMP");
	strcpy(kernel.machine, "x86_64");
	node = (struct stat){.st_dev = 1, .st_ino = 2, .st_rdev = 3, .st_ctim = {4, 5}};
	assert_true(is_asked());
	fd = open(file, O_RDONLY);
	size = (size_t)read(fd, content, sizeof(content));
	close(fd);
	assert_true(size > TABLE && size < sizeof(content));
	key_size = size - TABLE;
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	return system("rm -rf husk aside");
}

static void asked_once(void **state)
{
	struct stat st;
	int fd = dup(kvm_fd);

	(void)state;
	close(fd);
	assert_false(is_asked());
	assert_false(is_asked());
	assert_true(!stat(folder, &st) && (st.st_mode & 07777) == 0700);
	assert_true(!stat(file, &st) && (st.st_mode & 07777) == 0600);
	assert_false(exists(new_file));
	unlink(file);
	assert_true(is_asked());
	/* No descriptor stays open. */
	assert_int_equal(dup(kvm_fd), fd);
	close(fd);
}

static void quick_kvm_is_asked_each_time(void **state)
{
	(void)state;
	unlink(file);
	rmdir(folder);
	kvm.takes_ns = CPUID_SLOW_NS;
	assert_true(is_asked());
	assert_true(is_asked());
	assert_false(exists(folder));
}

static void no_folder(void **state)
{
	struct kvm_cpuid2 *table;

	(void)state;
	assert_true(is_asked_in(NULL));
	kvm.told++;
	assert_int_equal(cpuid_ask(kvm_fd, &table), 0);
	assert_int_equal(table->entries[ENTRIES - 1].eax, kvm.told);
	free(table);
}

static void kvm_refuses(void **state)
{
	struct capture capture;
	struct kvm_cpuid2 *table;

	(void)state;
	unlink(file);
	kvm.error = EPERM;
	capture_begin(&capture, STDERR_FILENO);
	assert_int_equal(cpuid_recall(kvm_fd, folder, &table), -EPERM);
	capture_end(&capture);
	assert_string_equal(
		capture.text,
		"husk: KVM refused to tell the features of vCPUs: Operation not permitted\n");
	assert_false(exists(file));
}

/* Another key: asked, and remembered by it. */
static void is_new(void)
{
	kvm.told++;
	assert_true(is_asked());
	assert_false(is_asked());
}

static void another_kernel(void **state)
{
	(void)state;
	strcpy(kernel.release, "6.1.1");
	is_new();
	strcpy(kernel.version, "#2 SMP");
	is_new();
	strcpy(kernel.machine, "i686");
	is_new();
	memset(kernel.release, 'r', sizeof(kernel.release) - 1);
	memset(kernel.version, 'v', sizeof(kernel.version) - 1);
	memset(kernel.machine, 'm', sizeof(kernel.machine) - 1);
	is_new();
	kernel.machine[sizeof(kernel.machine) - 2] = 'n';
	is_new();
	strcpy(kernel.nodename, "another");
	assert_false(is_asked());
	memset(&kernel, 0, sizeof(kernel));
}

static void another_node(void **state)
{
	(void)state;
	node.st_dev++;
	is_new();
	node.st_ino++;
	is_new();
	node.st_rdev++;
	is_new();
	node.st_ctim.tv_sec++;
	is_new();
	node.st_ctim.tv_nsec++;
	is_new();
	node.st_atim.tv_sec++;
	assert_false(is_asked());
}

/* What the CPU says is in the key; any other byte of it is another CPU. */
static void another_cpu(void **state)
{
	static const uint32_t leaves[] = {0, 1, 7, 0x80000001, 0x80000008};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(leaves); i++) {
		uint32_t regs[4];

		__cpuid_count(leaves[i], 0, regs[0], regs[1], regs[2], regs[3]);
		if (leaves[i] == 1)
			regs[1] = 0;
		assert_non_null(memmem(content, key_size, regs, sizeof(regs)));
	}
	for (i = 0; i < key_size; i++) {
		content[i] ^= 1;
		refuses(content, size);
		content[i] ^= 1;
	}
}

static void another_cpu_of_this_host(void **state)
{
	cpu_set_t all, one;
	int cpu;

	(void)state;
	assert_int_equal(sched_getaffinity(0, sizeof(all), &all), 0);
	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &all))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		assert_int_equal(sched_setaffinity(0, sizeof(one), &one), 0);
		assert_false(is_asked());
	}
	sched_setaffinity(0, sizeof(all), &all);
}

static void wrong_size(void **state)
{
	size_t len;

	(void)state;
	for (len = 0; len < size; len++)
		refuses(content, len);
	memset(content + size, 0, FILE_MAX - size);
	refuses(content, size + 1);
	refuses(content, size + ENTRY);
	refuses(content, FILE_MAX);
}

/* A file with so many entries, and of the size for them. */
static size_t with_entries(uint32_t entries)
{
	memcpy(content + key_size, &entries, sizeof(entries));
	return size - ENTRIES * ENTRY + entries * ENTRY;
}

static void wrong_count(void **state)
{
	uint32_t entries;

	(void)state;
	refuses(content, with_entries(0));
	for (entries = CPUID_ENTRIES_MAX - 7; entries <= CPUID_ENTRIES_MAX + 1; entries++)
		refuses(content, with_entries(entries));
	with_entries(UINT32_MAX);
	refuses(content, size);
	with_entries(ENTRIES - 1);
	refuses(content, size);
}

static void many_entries(void **state)
{
	(void)state;
	unlink(file);
	kvm.entries = CPUID_ENTRIES_MAX;
	assert_true(is_asked());
	assert_false(exists(file));
	kvm.entries = CPUID_ENTRIES_MAX - 8;
	assert_true(is_asked());
	assert_false(is_asked());
}

static void others_may_write_it(void **state)
{
	static const mode_t modes[] = {0620, 0602, 0666};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(modes); i++) {
		assert_int_equal(chmod(file, modes[i]), 0);
		is_new();
	}
	assert_int_equal(chmod(file, 0444), 0);
	assert_false(is_asked());
}

static void others_own_it(void **state)
{
	(void)state;
	user++;
	kvm.told++;
	assert_true(is_asked());
	assert_true(is_asked());
	/* Nor is anything left in the folder of another. */
	unlink(file);
	assert_true(is_asked());
	assert_false(exists(file) || exists(new_file));
}

static void others_may_write_the_folder(void **state)
{
	(void)state;
	unlink(file);
	assert_int_equal(chmod(folder, 0770), 0);
	assert_true(is_asked());
	assert_int_equal(chmod(folder, 0707), 0);
	assert_true(is_asked());
	assert_false(exists(file) || exists(new_file));
	assert_int_equal(chmod(folder, 0755), 0);
	is_new();
}

static void file_is_a_link(void **state)
{
	struct stat st;

	(void)state;
	assert_int_equal(rename(file, aside), 0);
	assert_int_equal(symlink("../aside", file), 0);
	kvm.takes_ns = 0;
	kvm.told++;
	assert_true(is_asked());
	/* It is replaced, and what it leads to stays as it is. */
	kvm.takes_ns = CPUID_SLOW_NS + 1;
	is_new();
	assert_true(!lstat(file, &st) && S_ISREG(st.st_mode));
	assert_int_equal(rename(aside, file), 0);
	kvm.told -= 2;
	assert_false(is_asked());
}

static void folder_is_a_link(void **state)
{
	(void)state;
	assert_int_equal(rename(folder, aside), 0);
	assert_int_equal(symlink(aside, folder), 0);
	kvm.told++;
	assert_true(is_asked());
	unlink(file);
	assert_true(is_asked());
	assert_false(exists(file) || exists(new_file));
}

static void file_is_no_file(void **state)
{
	int fd;

	(void)state;
	unlink(file);
	assert_int_equal(mkfifo(file, 0600), 0);
	is_new();
	unlink(file);
	/* One that has what the file would have. */
	assert_int_equal(mkfifo(file, 0600), 0);
	fd = open(file, O_RDWR);
	assert_int_equal(write(fd, content, size), size);
	is_new();
	close(fd);
	unlink(file);
	assert_int_equal(mkdir(file, 0700), 0);
	assert_true(is_asked());
	assert_true(is_asked());
	assert_false(exists(new_file));
}

static void folder_cannot_be_made(void **state)
{
	char path[2 * PATH_MAX] = "/tmp/";

	(void)state;
	assert_true(is_asked_in("/proc/self/husk"));
	assert_true(is_asked_in("/nowhere/husk"));
	assert_int_equal(mkfifo(aside, 0600), 0);
	assert_true(is_asked_in(aside));
	memset(path + strlen(path), 'x', sizeof(path) - strlen(path) - 1);
	assert_true(is_asked_in(path));
}

static void disk_is_full(void **state)
{
	struct rlimit none = {1000, RLIM_INFINITY}, before;

	(void)state;
	unlink(file);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &before), 0);
	none.rlim_max = before.rlim_max;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_true(is_asked());
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &before), 0);
	assert_false(exists(file) || exists(new_file));
	is_new();
}

static void killed_before_the_name(void **state)
{
	int fd;

	(void)state;
	unlink(file);
	fd = open(new_file, O_WRONLY | O_CREAT, 0600);
	close(fd);
	assert_true(fd >= 0 && is_asked());
	assert_false(exists(file) || exists(new_file));
	is_new();
}

static void folder_of_each_user(void **state)
{
	static char long_path[PATH_MAX + 1] = "/";
	char path[PATH_MAX];

	(void)state;
	user = 0;
	setenv("XDG_RUNTIME_DIR", "/elsewhere", 1);
	assert_true(cpuid_folder(path));
	assert_string_equal(path, "/run/husk");
	user = OTHER_USER;
	assert_true(cpuid_folder(path));
	assert_string_equal(path, "/elsewhere/husk");
	setenv("XDG_RUNTIME_DIR", "here", 1);
	assert_false(cpuid_folder(path));
	setenv("XDG_RUNTIME_DIR", "", 1);
	assert_false(cpuid_folder(path));
	memset(long_path + 1, 'x', PATH_MAX - strlen("/husk") - 1);
	setenv("XDG_RUNTIME_DIR", long_path, 1);
	assert_false(cpuid_folder(path));
	unsetenv("XDG_RUNTIME_DIR");
	assert_false(cpuid_folder(path));
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		TEST(asked_once),	   TEST(quick_kvm_is_asked_each_time),
		TEST(no_folder),	   TEST(kvm_refuses),
		TEST(another_kernel),	   TEST(another_node),
		TEST(another_cpu),	   TEST(another_cpu_of_this_host),
		TEST(wrong_size),	   TEST(wrong_count),
		TEST(many_entries),	   TEST(others_may_write_it),
		TEST(others_own_it),	   TEST(others_may_write_the_folder),
		TEST(file_is_a_link),	   TEST(folder_is_a_link),
		TEST(file_is_no_file),	   TEST(folder_cannot_be_made),
		TEST(disk_is_full),	   TEST(killed_before_the_name),
		TEST(folder_of_each_user),
	};

	return cmocka_run_group_tests(tests, group_setup, group_teardown);
}
