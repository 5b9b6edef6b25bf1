/* SPDX-License-Identifier: Apache-2.0 */
#include "initramfs.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "link.h"
#include "util.h"

#define HEADER_SIZE 110

struct entry {
	char name[64];
	unsigned int mode, nlink, rdev_major, rdev_minor;
	const uint8_t *data;
	size_t len;
};

/* A field of the header: eight hex digits. */
static unsigned int field(const uint8_t *header, unsigned int number)
{
	char digits[9] = {0};
	char *end;
	unsigned long value;

	memcpy(digits, header + 6 + 8 * number, 8);
	value = strtoul(digits, &end, 16);
	assert_ptr_equal(end, digits + 8);
	return (unsigned int)value;
}

/* The entry at *at, as the kernel reads it; moves *at past it. */
static struct entry entry_next(const struct buffer *cpio, size_t *at)
{
	const uint8_t *header = cpio->data + *at;
	struct entry entry = {.nlink = 0};
	size_t name_len;

	assert_int_equal(*at % 4, 0);
	assert_true(cpio->len - *at >= HEADER_SIZE);
	assert_memory_equal(header, "070701", 6);
	entry.mode = field(header, 1);
	entry.nlink = field(header, 4);
	entry.len = field(header, 6);
	entry.rdev_major = field(header, 9);
	entry.rdev_minor = field(header, 10);
	name_len = field(header, 11);
	assert_int_equal(field(header, 2) + field(header, 3), 0); /* root's */
	assert_true(name_len > 1 && name_len <= sizeof(entry.name));
	memcpy(entry.name, header + HEADER_SIZE, name_len);
	assert_int_equal(strlen(entry.name) + 1, name_len);
	*at = ALIGN_UP(*at + HEADER_SIZE + name_len, 4);
	assert_true(*at <= cpio->len && entry.len <= cpio->len - *at);
	entry.data = cpio->data + *at;
	*at = ALIGN_UP(*at + entry.len, 4);
	return entry;
}

static void assert_run_file(const struct entry *run, const char *expected, size_t len)
{
	assert_string_equal(run->name, &LINK_RUN_PATH[1]);
	assert_int_equal(run->len, len);
	assert_memory_equal(run->data, expected, len);
}

/* All entries up to the run file and the trailer; the run file. */
static struct entry check_archive(const struct buffer *cpio)
{
	struct entry entry, run;
	size_t at = 0;

	entry = entry_next(cpio, &at);
	assert_string_equal(entry.name, "dev");
	assert_int_equal(entry.mode, S_IFDIR | 0755);
	entry = entry_next(cpio, &at);
	assert_string_equal(entry.name, "dev/console");
	assert_int_equal(entry.mode, S_IFREG | 0644);
	assert_int_equal(entry.len, 0);
	entry = entry_next(cpio, &at);
	assert_string_equal(entry.name, "husk");
	assert_int_equal(entry.mode, S_IFDIR | 0755);
	entry = entry_next(cpio, &at);
	assert_string_equal(entry.name, &LINK_INIT_PATH[1]);
	assert_int_equal(entry.mode, S_IFREG | 0755);
	assert_true(entry.len > 4096);
	assert_memory_equal(entry.data, "\177ELF", 4);
	/* No hard links: the inode number, which is the same for all, has no meaning then. */
	assert_int_equal(entry.nlink, 1);
	run = entry_next(cpio, &at);
	assert_int_equal(run.mode, S_IFREG | 0644);
	entry = entry_next(cpio, &at);
	assert_string_equal(entry.name, "TRAILER!!!");
	assert_int_equal(at, cpio->len);
	return run;
}

static void what_to_run(void **state)
{
	char echo[] = "echo", empty[] = "", text[] = "a b\n=c", path[] = "PATH=/bin", x[] = "X=";
	char *argv[] = {echo, empty, text, NULL}, *env[] = {path, x, NULL}, *none[] = {NULL};
	struct run_spec spec = {.argv = argv, .rows = 24, .cols = 80};
	static const char bare[] = "tty=0\0arg=echo\0arg=\0arg=a b\n=c";
	static const char full[] = "tty=1\0rows=24\0cols=80\0cwd=/w\0env=PATH=/bin\0env=X=\0"
				   "arg=echo\0arg=\0arg=a b\n=c";
	struct buffer cpio;
	struct entry run;

	(void)state;
	assert_int_equal(initramfs_build(&spec, &cpio), 0);
	run = check_archive(&cpio);
	assert_run_file(&run, bare, sizeof(bare));
	free(cpio.data);
	spec.env = none;
	assert_int_equal(initramfs_build(&spec, &cpio), 0);
	run = check_archive(&cpio);
	assert_run_file(&run, bare, sizeof(bare));
	free(cpio.data);
	spec.env = env;
	spec.workdir = "/w";
	spec.tty = true;
	assert_int_equal(initramfs_build(&spec, &cpio), 0);
	run = check_archive(&cpio);
	assert_run_file(&run, full, sizeof(full));
	free(cpio.data);
}

/* Each length modulo 4, and an argument as big as an execve takes and more. */
static void arguments_of_all_lengths(void **state)
{
	static const size_t lens[] = {0, 1, 2, 3, 4, 5, 4095, 4096, 131072, MIB(1)};
	char *argv[] = {NULL, NULL};
	struct run_spec spec = {.argv = argv};
	struct buffer cpio;
	struct entry run;
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(lens); i++) {
		argv[0] = test_calloc(1, lens[i] + 1);
		memset(argv[0], 'x', lens[i]);
		assert_int_equal(initramfs_build(&spec, &cpio), 0);
		run = check_archive(&cpio);
		assert_int_equal(run.len, sizeof("tty=0") + 4 + lens[i] + 1);
		assert_memory_equal(run.data, "tty=0\0arg=", 10);
		assert_memory_equal(run.data + 10, argv[0], lens[i] + 1);
		test_free(argv[0]);
		free(cpio.data);
	}
}

/* What the reference program makes of it. */
static void the_cpio_program_reads_it(void **state)
{
	char a[] = "true", *argv[] = {a, NULL};
	struct run_spec spec = {.argv = argv};
	char list[] = "/tmp/husk-cpio-XXXXXX", command[128], line[256], *name;
	static const char *const expected[] = {"drwxr-xr-x dev", "-rw-r--r-- dev/console",
					       "drwxr-xr-x husk", "-rwxr-xr-x husk/init",
					       "-rw-r--r-- husk/run"};
	struct buffer cpio;
	unsigned int lines = 0;
	FILE *pipe;
	int fd;

	(void)state;
	if (system("command -v cpio >/dev/null"))
		skip();
	assert_int_equal(initramfs_build(&spec, &cpio), 0);
	fd = mkstemp(list);
	assert_true(fd >= 0);
	pipe = fdopen(fd, "w");
	assert_int_equal(fwrite(cpio.data, 1, cpio.len, pipe), cpio.len);
	fclose(pipe);
	free(cpio.data);
	snprintf(command, sizeof(command), "cpio -itv --quiet <%s 2>&1", list);
	pipe = popen(command, "r");
	assert_non_null(pipe);
	while (fgets(line, sizeof(line), pipe)) {
		assert_true(lines < ARRAY_SIZE(expected));
		line[strcspn(line, "\n")] = '\0';
		name = strrchr(line, ' ');
		assert_non_null(name);
		assert_memory_equal(line, expected[lines], 10);
		assert_string_equal(name, strchr(expected[lines], ' '));
		lines++;
	}
	assert_int_equal(pclose(pipe), 0);
	remove(list);
	assert_int_equal(lines, ARRAY_SIZE(expected));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_to_run),
		cmocka_unit_test(arguments_of_all_lengths),
		cmocka_unit_test(the_cpio_program_reads_it),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
