/* SPDX-License-Identifier: Apache-2.0 */
/* Linked into every fuzzer: the count of its steps, and husk's log. */
#include "fuzz.h"
#include "fuzz_log.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "util.h"

#define LOG_LINE_MAX 1024 /* of vmm/util.c */

uint64_t fuzz_steps;

static unsigned int lines;
static char last[LOG_LINE_MAX];

/* The linker leads what husk writes here (--wrap=write). */
ssize_t __wrap_write(int fd, const void *data, size_t len);
ssize_t __real_write(int fd, const void *data, size_t len);

ssize_t __wrap_write(int fd, const void *data, size_t len)
{
	const char *text = data;
	size_t i;

	if (fd != STDERR_FILENO)
		return __real_write(fd, data, len);
	FUZZ_CHECK(len && len <= LOG_LINE_MAX && text[len - 1] == '\n');
	for (i = 0; i < len - 1; i++)
		FUZZ_CHECK((unsigned char)text[i] >= ' ' && text[i] != 0x7f);
	memcpy(last, text, len - 1);
	last[len - 1] = '\0';
	lines++;
	return (ssize_t)len;
}

unsigned int fuzz_log_take(void)
{
	unsigned int taken = lines;

	lines = 0;
	return taken;
}

const char *fuzz_log_last(void)
{
	return last;
}

/* Where HUSK_FUZZ_STEPS names a file of 8 bytes: the steps of all processes are added up in it. */
static uint64_t *shared_steps(void)
{
	const char *path = getenv("HUSK_FUZZ_STEPS");
	cleanup_fd int fd = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
	void *map = MAP_FAILED;

	if (fd >= 0)
		map = mmap(NULL, sizeof(uint64_t), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	return map == MAP_FAILED ? &fuzz_steps : map;
}

/* Whoever runs a fuzzer may end it at any time, so it is told after each input. */
int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);
int __real_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int __wrap_LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static uint64_t *shared;
	uint64_t before = fuzz_steps;
	int ret = __real_LLVMFuzzerTestOneInput(data, size);

	if (!shared)
		shared = shared_steps();
	if (shared != &fuzz_steps)
		*shared += fuzz_steps - before;
	return ret;
}
