/* SPDX-License-Identifier: Apache-2.0 */
#include "util.h"

#include <ctype.h>
#include <elf.h>
#include <errno.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#define LOG_LINE_MAX 1024
#define LOG_LINES_PER_SECOND 5
#define ERROR_WAIT_MS 1000
#define NS_PER_S 1000000000ull

static enum log_level log_level = LOG_WARN;

void log_set_level(enum log_level level)
{
	log_level = level;
}

void log_line(enum log_level level, const char *fmt, ...)
{
	struct pollfd room = {.fd = STDERR_FILENO, .events = POLLOUT};
	char line[LOG_LINE_MAX];
	size_t used, i;
	va_list args;
	int len;

	if (level > log_level)
		return;
	used = (size_t)snprintf(line, sizeof(line), "husk: ");
	va_start(args, fmt);
	len = vsnprintf(line + used, sizeof(line) - used, fmt, args);
	va_end(args);
	if (len < 0)
		return;
	used = MIN(used + (size_t)len, sizeof(line) - 1);
	/* Paths and guest text may hold anything: a log line holds no control characters. */
	for (i = 0; i < used; i++)
		if (iscntrl((unsigned char)line[i]))
			line[i] = '?';
	line[used++] = '\n';
	/*
	 * One write, so that lines of several processes do not mix; and none that waits for a
	 * reader for long, since a guest can cause lines.
	 */
	if (poll(&room, 1, level == LOG_ERROR ? ERROR_WAIT_MS : 0) == 1 &&
	    write(STDERR_FILENO, line, used) < 0)
		return;
}

bool log_limit_ok(struct log_limit *limit)
{
	uint64_t second = clock_now_ns() / NS_PER_S;

	if (second != limit->second) {
		limit->second = second;
		limit->seen = 0;
	}
	if (limit->seen >= LOG_LINES_PER_SECOND)
		return false;
	limit->seen++;
	return true;
}

void close_fd_ptr(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

int close_fds(unsigned int first, unsigned int last, unsigned int flags)
{
	return (int)syscall(SYS_close_range, first, last, flags);
}

void free_ptr(void *ptr)
{
	/* `ptr` is the address of the caller's pointer, of whatever type. */
	void *memory;

	memcpy(&memory, ptr, sizeof(memory));
	free(memory);
}

#ifdef __has_feature /* clang */
#if __has_feature(address_sanitizer)
#define __SANITIZE_ADDRESS__ 1 /* as gcc has it */
#endif
#endif

/* The sanitizer guards the ends of what comes from the heap, and looks for pointers there. */
#ifdef __SANITIZE_ADDRESS__

void *pages_alloc(size_t size)
{
	return calloc(1, size);
}

void pages_free(void *pages, size_t size)
{
	(void)size;
	free(pages);
}

#else

void *pages_alloc(size_t size)
{
	void *pages = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	return pages == MAP_FAILED ? NULL : pages;
}

void pages_free(void *pages, size_t size)
{
	if (pages)
		munmap(pages, size);
}

#endif

/* A decimal number at *text; moves *text past it. */
static int parse_digits(const char **text, uint64_t *ret)
{
	unsigned long long value;
	char *end;

	/* strtoull would take a sign and leading space. */
	if (!isdigit((unsigned char)**text))
		return -EINVAL;
	errno = 0;
	value = strtoull(*text, &end, 10);
	if (errno)
		return -ERANGE;
	*text = end;
	*ret = value;
	return 0;
}

int parse_u64(const char *text, uint64_t *ret)
{
	uint64_t value;
	int err = parse_digits(&text, &value);

	if (err)
		return err;
	if (*text)
		return -EINVAL;
	*ret = value;
	return 0;
}

int parse_size(const char *text, uint64_t *ret_bytes)
{
	static const char suffixes[] = "KMGT";
	const char *suffix;
	uint64_t value;
	unsigned int shift = 0;
	int err = parse_digits(&text, &value);

	if (err)
		return err;
	if (*text) {
		suffix = strchr(suffixes, toupper((unsigned char)*text));
		if (!suffix || text[1])
			return -EINVAL;
		shift = 10 * (unsigned int)(suffix - suffixes + 1);
	}
	if (value > UINT64_MAX >> shift)
		return -ERANGE;
	*ret_bytes = value << shift;
	return 0;
}

int parse_duration(const char *text, uint64_t *ret_ns)
{
	static const struct {
		const char *suffix;
		uint64_t ns;
	} units[] = {
		{"", NS_PER_S}, {"s", NS_PER_S},      {"ms", 1000000},
		{"us", 1000},	{"m", 60 * NS_PER_S}, {"h", 3600 * NS_PER_S},
	};
	uint64_t value, fraction = 0, scale = 1, whole, sum;
	size_t i;
	int err = parse_digits(&text, &value);

	if (err)
		return err;
	if (*text == '.') {
		const char *digits = ++text;

		err = parse_digits(&text, &fraction);
		if (err || text - digits > 9)
			return -EINVAL;
		for (; digits < text; digits++)
			scale *= 10;
	}
	for (i = 0; i < ARRAY_SIZE(units); i++)
		if (!strcmp(text, units[i].suffix))
			break;
	if (i == ARRAY_SIZE(units))
		return -EINVAL;
	if (__builtin_mul_overflow(value, units[i].ns, &whole) ||
	    add_overflows(whole, (uint64_t)((__uint128_t)fraction * units[i].ns / scale), &sum))
		return -ERANGE;
	*ret_ns = sum;
	return 0;
}

int parse_mac(const char *text, uint8_t ret_mac[6])
{
	unsigned int byte[6], i;
	int end = 0;

	if (strspn(text, "0123456789abcdefABCDEF:") != 17 ||
	    sscanf(text, "%2x:%2x:%2x:%2x:%2x:%2x%n", &byte[0], &byte[1], &byte[2], &byte[3],
		   &byte[4], &byte[5], &end) != 6 ||
	    end != 17 || text[17] || byte[0] & 1)
		return -EINVAL;
	for (i = 0; i < 6; i++)
		ret_mac[i] = (uint8_t)byte[i];
	return 0;
}

size_t text_add(char *text, size_t size, size_t used, const char *part)
{
	size_t len = strnlen(part, size - used - 1);

	memcpy(text + used, part, len);
	text[used + len] = '\0';
	return used + len;
}

sigset_t signals_not_ignored(const int *signals, size_t nr)
{
	struct sigaction action;
	sigset_t set;
	size_t i;

	sigemptyset(&set);
	for (i = 0; i < nr; i++)
		if (!sigaction(signals[i], NULL, &action) && action.sa_handler != SIG_IGN)
			sigaddset(&set, signals[i]);
	return set;
}

uint64_t clock_now_ns(void)
{
	struct timespec now;

	clock_gettime(CLOCK_MONOTONIC, &now);
	return (uint64_t)now.tv_sec * NS_PER_S + (uint64_t)now.tv_nsec;
}

extern Elf64_Ehdr __ehdr_start __attribute__((visibility("hidden"))); /* the linker's */

void program_trim(void)
{
	/* Position independent: its addresses count from its start. */
	char *start = (char *)&__ehdr_start;
	const Elf64_Phdr *phdr = (const void *)(start + __ehdr_start.e_phoff);
	const Elf64_Phdr *end = phdr + __ehdr_start.e_phnum;
	const uintptr_t page = (uintptr_t)sysconf(_SC_PAGESIZE);
	uintptr_t from = 0, to = 0;

	/* What lies side by side goes at once: each call brings the code back that makes it. */
	for (; phdr < end; phdr++) {
		/* What may be written is not as it was in the file. */
		if (phdr->p_type != PT_LOAD || phdr->p_flags & PF_W)
			continue;
		if (ALIGN_DOWN(phdr->p_vaddr, page) != ALIGN_UP(to, page)) {
			madvise(start + from, to - from, MADV_DONTNEED);
			from = ALIGN_DOWN(phdr->p_vaddr, page);
		}
		to = phdr->p_vaddr + phdr->p_filesz;
	}
	madvise(start + from, to - from, MADV_DONTNEED);
}
