/* SPDX-License-Identifier: Apache-2.0 */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cmocka.h>

#include "guest_mem.h"
#include "util.h"

#define LOW_SIZE KIB(64)
#define HIGH_BASE GIB(4)
#define HIGH_SIZE KIB(32)

static int setup(void **state)
{
	static struct guest_mem mem;

	mem = (struct guest_mem){0};
	assert_int_equal(guest_mem_map(&mem, 0, LOW_SIZE), 0);
	assert_int_equal(guest_mem_map(&mem, HIGH_BASE, HIGH_SIZE), 0);
	*state = &mem;
	return 0;
}

static int teardown(void **state)
{
	struct guest_mem *mem = *state;

	guest_mem_fini(mem);
	assert_int_equal(mem->nr_regions, 0);
	return 0;
}

static void ranges_are_checked_whole(void **state)
{
	const struct guest_mem *mem = *state;
	static const struct {
		gpa_t gpa;
		uint64_t len;
		bool there;
	} cases[] = {
		{0, 1, true},
		{0, LOW_SIZE, true},
		{LOW_SIZE - 1, 1, true},
		{HIGH_BASE, HIGH_SIZE, true},
		{HIGH_BASE + HIGH_SIZE - 1, 1, true},
		{0, 0, false},
		{LOW_SIZE - 1, 0, false},
		{0, LOW_SIZE + 1, false},
		{1, LOW_SIZE, false},
		{LOW_SIZE - 1, 2, false},
		{LOW_SIZE, 1, false},
		{HIGH_BASE - 1, 1, false},
		{HIGH_BASE - 1, 2, false},
		{HIGH_BASE, HIGH_SIZE + 1, false},
		{HIGH_BASE + HIGH_SIZE, 1, false},
		/* From one region to the next, and sums that wrap. */
		{0, HIGH_BASE + HIGH_SIZE, false},
		{1, UINT64_MAX, false},
		{0, UINT64_MAX, false},
		{UINT64_MAX, 1, false},
		{UINT64_MAX, 2, false},
		{HIGH_BASE, UINT64_MAX - HIGH_BASE + 1, false},
		{HIGH_BASE, UINT64_MAX, false},
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(cases); i++)
		assert_int_equal(guest_mem_ptr(mem, cases[i].gpa, cases[i].len) != NULL,
				 cases[i].there);
	assert_ptr_equal(guest_mem_ptr(mem, 100, 1), (char *)guest_mem_ptr(mem, 0, 1) + 100);
	assert_int_equal(guest_mem_size(mem), LOW_SIZE + HIGH_SIZE);
}

static void regions_are_checked(void **state)
{
	struct guest_mem *mem = *state;
	char host[1]; /* never touched */

	assert_int_equal(guest_mem_add(mem, HIGH_BASE + HIGH_SIZE + 1, 4096, host), -EINVAL);
	assert_int_equal(guest_mem_add(mem, GIB(8), 0, host), -EINVAL);
	assert_int_equal(guest_mem_add(mem, GIB(8), 100, host), -EINVAL);
	assert_int_equal(guest_mem_add(mem, 0 - 4096ull, 4096, host), -EINVAL);
	assert_int_equal(guest_mem_add(mem, 0 - 4096ull, 8192, host), -EINVAL);
	/* Below, over and at the end of the last one. */
	assert_int_equal(guest_mem_add(mem, MIB(1), 4096, host), -EINVAL);
	assert_int_equal(guest_mem_add(mem, HIGH_BASE + 4096, 4096, host), -EINVAL);
	assert_int_equal(guest_mem_add(mem, HIGH_BASE + HIGH_SIZE, 4096, host), -EINVAL);
	assert_int_equal(guest_mem_map(mem, HIGH_BASE, 4096), -EINVAL);
	assert_int_equal(guest_mem_add(mem, GIB(8), 4096, host), 0);
	assert_int_equal(guest_mem_add(mem, GIB(9), 4096, host), 0);
	assert_int_equal(guest_mem_add(mem, GIB(10), 4096, host), -ENOSPC);
	mem->nr_regions = 2;
	/* What was once behind the last region is not there. */
	assert_null(guest_mem_ptr(mem, GIB(8), 1));
	assert_int_equal(guest_mem_size(mem), LOW_SIZE + HIGH_SIZE);
	/* No process has as much room. */
	assert_int_equal(guest_mem_map(mem, GIB(8), 1ull << 62), -ENOMEM);
	assert_int_equal(mem->nr_regions, 2);
}

/* How much address space this process has in use. */
static uint64_t mapped_bytes(void)
{
	unsigned long pages;
	FILE *file = fopen("/proc/self/statm", "re");

	assert_non_null(file);
	assert_int_equal(fscanf(file, "%lu", &pages), 1);
	fclose(file);
	return pages * 4096ull;
}

static void memory_is_given_back(void **state)
{
	struct guest_mem *mem = *state, other = {.nr_regions = 0};
	const uint64_t before = mapped_bytes();

	assert_int_equal(guest_mem_map(&other, 0, GIB(1)), 0);
	assert_true(mapped_bytes() > before + GIB(1) - MIB(64));
	guest_mem_fini(&other);
	assert_true(mapped_bytes() < before + MIB(64));
	/* Mapped, then refused. */
	assert_int_equal(guest_mem_map(mem, HIGH_BASE, GIB(1)), -EINVAL);
	assert_true(mapped_bytes() < before + MIB(64));
}

/* Neither in a core file nor in a child: the kernel's flags dd and dc of the mapping. */
static void memory_stays_in_this_process(void **state)
{
	const struct guest_mem *mem = *state;
	const uintptr_t host = (uintptr_t)guest_mem_ptr(mem, 0, 1);
	FILE *file = fopen("/proc/self/smaps", "re");
	uintptr_t from = 0, to = 0, first, last;
	char line[512];

	assert_non_null(file);
	do {
		assert_non_null(fgets(line, sizeof(line), file));
		if (sscanf(line, "%lx-%lx ", &first, &last) == 2) {
			from = first;
			to = last;
		}
	} while (host < from || host >= to || strncmp(line, "VmFlags:", 8) != 0);
	assert_non_null(strstr(line, " dd"));
	assert_non_null(strstr(line, " dc"));
	fclose(file);
}

static void copies_all_or_nothing(void **state)
{
	const struct guest_mem *mem = *state;
	char data[4] = "....";

	assert_int_equal(guest_mem_write(mem, LOW_SIZE - 4, "husk", 4), 0);
	assert_int_equal(guest_mem_read(mem, LOW_SIZE - 4, data, 4), 0);
	assert_memory_equal(data, "husk", 4);
	assert_int_equal(guest_mem_write(mem, LOW_SIZE - 3, "XXXX", 4), -EFAULT);
	assert_int_equal(guest_mem_read(mem, LOW_SIZE - 3, data, 4), -EFAULT);
	assert_memory_equal(data, "husk", 4);
	assert_int_equal(guest_mem_read(mem, LOW_SIZE - 4, data, 4), 0);
	assert_memory_equal(data, "husk", 4);
	/* Nothing can be copied anywhere. */
	assert_int_equal(guest_mem_read(mem, UINT64_MAX, data, 0), 0);
	assert_int_equal(guest_mem_write(mem, UINT64_MAX, data, 0), 0);
}

/* Pages of a file: shared until somebody writes, and the file never sees it. */
static void a_file_in_place_of_memory(void **state)
{
	const struct guest_mem *mem = *state;
	static uint8_t page[4096];
	int fd = memfd_create("file", MFD_CLOEXEC);
	uint8_t *low = guest_mem_ptr(mem, 0, LOW_SIZE);
	struct guest_mem borrowed = {0};

	memset(page, 'f', sizeof(page));
	assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	assert_int_equal(write(fd, page, sizeof(page)), sizeof(page));
	memset(low, 'm', LOW_SIZE);
	assert_int_equal(guest_mem_map_file(mem, 4096, 8192, fd, 0), 0);
	assert_int_equal(low[4095], 'm');
	assert_memory_equal(low + 4096, page, 4096);
	assert_memory_equal(low + 8192, page, 4096);
	assert_int_equal(low[4096 + 8192], 'm');
	/* Not yet written, it follows the file; afterwards both are alone. */
	assert_int_equal(pwrite(fd, "1", 1, 0), 1);
	assert_int_equal(low[4096], '1');
	low[4096] = 'g';
	assert_int_equal(pwrite(fd, "2", 1, 0), 1);
	assert_int_equal(low[4096], 'g');
	assert_int_equal(pread(fd, page, 1, 0), 1);
	assert_int_equal(page[0], '2');

	/* Past a region nothing changes; where it fails, memory is there, and zero. */
	assert_int_equal(guest_mem_map_file(mem, LOW_SIZE - 4096, 8192, fd, 0), -EFAULT);
	assert_int_equal(guest_mem_map_file(mem, HIGH_BASE - 4096, 8192, fd, 0), -EFAULT);
	assert_int_equal(low[0], 'm');
	assert_int_equal(guest_mem_map_file(mem, 0, 4096, -1, 0), -EBADF);
	assert_int_equal(low[0], 0);
	assert_int_equal(guest_mem_add(&borrowed, 0, 4096, low), 0);
	assert_int_equal(guest_mem_map_file(&borrowed, 0, 4096, fd, 0), -ENOTSUP);
	assert_int_equal(low[4095], 0);
	assert_int_equal(low[4096 + 8192], 'm');
	close(fd);
}

static void huge_pages_are_possible(void **state)
{
	static const gpa_t addresses[] = {0, 4096, MIB(2) - 4096, MIB(3), GIB(4)};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(addresses); i++) {
		struct guest_mem mem = {0};

		assert_int_equal(guest_mem_map(&mem, addresses[i], MIB(5)), 0);
		assert_int_equal((uintptr_t)mem.regions[0].host % MIB(2), addresses[i] % MIB(2));
		memset(mem.regions[0].host, 1, MIB(5));
		guest_mem_fini(&mem);
	}
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(ranges_are_checked_whole), TEST(regions_are_checked),
		TEST(memory_is_given_back),	TEST(memory_stays_in_this_process),
		TEST(copies_all_or_nothing),	TEST(a_file_in_place_of_memory),
		TEST(huge_pages_are_possible),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
