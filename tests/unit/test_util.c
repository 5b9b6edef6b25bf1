/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "util.h"

#define UNTOUCHED 0x1122334455667788ull
#define MS 1000000ull
#define SECOND (1000 * MS)

struct parse_case {
	const char *text;
	int err;
	uint64_t value;
};

typedef int parse_fn(const char *text, uint64_t *ret);

static void check(parse_fn *parse, const struct parse_case *cases, size_t nr)
{
	size_t i;

	for (i = 0; i < nr; i++) {
		uint64_t value = UNTOUCHED;
		int err = parse(cases[i].text, &value);

		if (err != cases[i].err || value != (err ? UNTOUCHED : cases[i].value))
			fail_msg("\"%s\": %d, %llu", cases[i].text, err, (unsigned long long)value);
	}
}

static void numbers(void **state)
{
	static const struct parse_case cases[] = {
		{"0", 0, 0},
		{"1", 0, 1},
		{"0017", 0, 17},
		{"18446744073709551615", 0, UINT64_MAX},
		{"18446744073709551616", -ERANGE, 0},
		{"99999999999999999999999999999999", -ERANGE, 0},
		{"", -EINVAL, 0},
		{" 1", -EINVAL, 0},
		{"1 ", -EINVAL, 0},
		{"+1", -EINVAL, 0},
		{"-1", -EINVAL, 0},
		{"0x10", -EINVAL, 0},
		{"1.0", -EINVAL, 0},
		{"1e3", -EINVAL, 0},
		{"one", -EINVAL, 0},
		{"1\n", -EINVAL, 0},
	};

	(void)state;
	check(parse_u64, cases, ARRAY_SIZE(cases));
}

static void sizes(void **state)
{
	static const struct parse_case cases[] = {
		{"0", 0, 0},
		{"512", 0, 512},
		{"4K", 0, KIB(4)},
		{"128M", 0, MIB(128)},
		{"128m", 0, MIB(128)},
		{"1G", 0, GIB(1)},
		{"2T", 0, GIB(2048)},
		{"16777215T", 0, 16777215ull << 40},
		{"16777216T", -ERANGE, 0},
		{"18446744073709551615K", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"M", -EINVAL, 0},
		{"1MB", -EINVAL, 0},
		{"1MM", -EINVAL, 0},
		{"1P", -EINVAL, 0},
		{"1 M", -EINVAL, 0},
		{"1.5G", -EINVAL, 0},
		{"-1M", -EINVAL, 0},
	};

	(void)state;
	check(parse_size, cases, ARRAY_SIZE(cases));
}

static void durations(void **state)
{
	static const struct parse_case cases[] = {
		{"0", 0, 0},
		{"5", 0, 5 * SECOND},
		{"5s", 0, 5 * SECOND},
		{"1.5s", 0, 1500 * MS},
		{"1.5", 0, 1500 * MS},
		{"200ms", 0, 200 * MS},
		{"0.5ms", 0, MS / 2},
		{"7us", 0, 7000},
		{"2m", 0, 120 * SECOND},
		{"0.5h", 0, 1800 * SECOND},
		{"1.000000001s", 0, SECOND + 1},
		{"1.0000000001s", -EINVAL, 0},
		{"18446744073s", 0, 18446744073 * SECOND},
		{"18446744073.709551615s", 0, UINT64_MAX},
		{"5124096h", -ERANGE, 0},
		{"18446744074s", -ERANGE, 0},
		{"18446744073709551616", -ERANGE, 0},
		{"", -EINVAL, 0},
		{"s", -EINVAL, 0},
		{".5s", -EINVAL, 0},
		{"1.", -EINVAL, 0},
		{"1.s", -EINVAL, 0},
		{"1.5.5s", -EINVAL, 0},
		{"1 s", -EINVAL, 0},
		{"1S", -EINVAL, 0},
		{"1d", -EINVAL, 0},
		{"-1s", -EINVAL, 0},
	};

	(void)state;
	check(parse_duration, cases, ARRAY_SIZE(cases));
}

/* A sum that does not fit is found only when it is made: the output stays as it was. */
static void outputs_are_untouched_on_overflow(void **state)
{
	uint64_t value = UNTOUCHED;

	(void)state;
	assert_int_equal(parse_duration("18446744073.999999999s", &value), -ERANGE);
	assert_int_equal(value, UNTOUCHED);
}

static void mac_addresses(void **state)
{
	static const char *const bad[] = {
		"",
		"02:00:00:00:00",
		"02:00:00:00:00:0",
		"02:00:00:00:00:000",
		"02:00:00:00:00:00:00",
		"02-00-00-00-00-00",
		"02:00:00:00:00:0g",
		" 2:00:00:00:00:00",
		"0x:00:00:00:00:00",
		"2:000:00:00:00:00",
		"02:00:00:00:0:000",
		"02:00:00:00:00:00 ",
		"01:00:00:00:00:00",
		"ff:ff:ff:ff:ff:ff",
		"::::::::::::::::: ",
		":::::::::::::::::",
	};
	static const uint8_t expected[] = {0x02, 0xAB, 0xcd, 0xef, 0x00, 0xff};
	static const uint8_t untouched[] = {9, 9, 9, 9, 9, 9};
	uint8_t mac[6];
	size_t i;

	(void)state;
	assert_int_equal(parse_mac("02:AB:cd:eF:00:ff", mac), 0);
	assert_memory_equal(mac, expected, 6);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		memcpy(mac, untouched, 6);
		if (parse_mac(bad[i], mac) != -EINVAL)
			fail_msg("\"%s\" was taken", bad[i]);
		assert_memory_equal(mac, untouched, 6);
	}
}

/*
 * Log
 */

/* What `level` and `text` write. */
static size_t logged(enum log_level level, const char *text, char *ret_line, size_t size)
{
	cleanup_fd int fd = memfd_create("log", MFD_CLOEXEC);
	cleanup_fd int saved = dup(STDERR_FILENO);
	ssize_t len;

	dup2(fd, STDERR_FILENO);
	log_line(level, "%s", text);
	dup2(saved, STDERR_FILENO);
	len = pread(fd, ret_line, size - 1, 0);
	assert_true(len >= 0);
	ret_line[len] = '\0';
	return (size_t)len;
}

static void log_lines_are_clean(void **state)
{
	char line[4096], text[3000];

	(void)state;
	logged(LOG_ERROR, "a \"b\"", line, sizeof(line));
	assert_string_equal(line, "husk: a \"b\"\n");
	/* What a terminal would act on. */
	logged(LOG_ERROR, "a\033[2J\n\r\tb\x7f", line, sizeof(line));
	assert_string_equal(line, "husk: a?[2J???b?\n");
	/* Cut, but still one line. */
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_true(logged(LOG_ERROR, text, line, sizeof(line)) <= 1024);
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
}

static void log_levels(void **state)
{
	char line[100];

	(void)state;
	assert_int_equal(logged(LOG_INFO, "x", line, sizeof(line)), 0);
	assert_int_not_equal(logged(LOG_WARN, "x", line, sizeof(line)), 0);
	log_set_level(LOG_INFO);
	assert_int_not_equal(logged(LOG_INFO, "x", line, sizeof(line)), 0);
	log_set_level(LOG_ERROR);
	assert_int_equal(logged(LOG_WARN, "x", line, sizeof(line)), 0);
	log_set_level(LOG_WARN);
	logged(LOG_WARN, "x", line, sizeof(line));
	assert_string_equal(line, "husk: x\n");
}

static void log_limit_ends_a_flood(void **state)
{
	struct log_limit limit = {0};
	unsigned int i, seen = 0;

	(void)state;
	for (i = 0; i < 10000; i++)
		seen += log_limit_ok(&limit);
	/* The clock may pass a second or two in between. */
	assert_in_range(seen, 1, 50);
	/* A second later it goes on. */
	limit.second--;
	assert_true(log_limit_ok(&limit));
}

static void fds_close_at_the_end_of_the_scope(void **state)
{
	int closed, kept;

	(void)state;
	{
		cleanup_fd int a = open("/dev/null", O_RDONLY | O_CLOEXEC);
		cleanup_fd int b = open("/dev/null", O_RDONLY | O_CLOEXEC);
		cleanup_fd int none = -1;

		closed = a;
		kept = steal_fd(&b);
		assert_int_equal(b, -1);
		assert_int_equal(none, -1);
	}
	assert_int_equal(fcntl(closed, F_GETFD), -1);
	assert_int_not_equal(fcntl(kept, F_GETFD), -1);
	close(kept);
}

/* As much as fits, with its NUL; nothing behind it is touched. */
static void text(void **state)
{
	char text[9] = "????????";
	size_t used;

	(void)state;
	used = text_add(text, 6, 0, "ab");
	assert_int_equal(used, 2);
	used = text_add(text, 6, used, "");
	assert_int_equal(used, 2);
	used = text_add(text, 6, used, "cdefgh");
	assert_int_equal(used, 5);
	used = text_add(text, 6, used, "x");
	assert_int_equal(used, 5);
	assert_memory_equal(text, "abcde\0??", 8);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(text),
		cmocka_unit_test(numbers),
		cmocka_unit_test(sizes),
		cmocka_unit_test(durations),
		cmocka_unit_test(outputs_are_untouched_on_overflow),
		cmocka_unit_test(mac_addresses),
		cmocka_unit_test(log_lines_are_clean),
		cmocka_unit_test(log_levels),
		cmocka_unit_test(log_limit_ends_a_flood),
		cmocka_unit_test(fds_close_at_the_end_of_the_scope),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
