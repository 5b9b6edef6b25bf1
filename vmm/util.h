/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small helpers for everyone: log lines, cleanup attributes, parsing of numbers, the clock.
 *
 * The log functions write one line to standard error and may be called from any thread; the
 * rest is silent and pure.
 */
#ifndef HUSK_UTIL_H
#define HUSK_UTIL_H

#include <signal.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define HUSK_VERSION "0.1.0"

#define ARRAY_SIZE(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b) ((a) < (b) ? (a) : (b))
#define MAX(a, b) ((a) > (b) ? (a) : (b))
#define ALIGN_DOWN(x, a) ((x) & ~((a)-1))
#define ALIGN_UP(x, a) ALIGN_DOWN((x) + (a)-1, (a))
#define container_of(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

#define KIB(n) ((uint64_t)(n) << 10)
#define MIB(n) ((uint64_t)(n) << 20)
#define GIB(n) ((uint64_t)(n) << 30)

/*
 * Log
 *
 * A file either logs or is silent; its header says which. log_error is for the one line that
 * tells why something ended; log_info shows with --verbose only.
 */
enum log_level { LOG_ERROR, LOG_WARN, LOG_INFO };

/* Highest level that is shown. Set once, before threads exist. Default: LOG_WARN. */
void log_set_level(enum log_level level);

void log_line(enum log_level level, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

#define log_error(...) log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...) log_line(LOG_WARN, __VA_ARGS__)
#define log_info(...) log_line(LOG_INFO, __VA_ARGS__)

/*
 * For events a guest can cause: true for the first few calls in each second, false after
 * that, so that a guest cannot flood the log. One `struct log_limit` per kind of event,
 * zeroed to start with; the caller holds the lock that guards it.
 */
struct log_limit {
	uint64_t second;
	unsigned int seen;
};
bool log_limit_ok(struct log_limit *limit);

/*
 * Cleanup: `cleanup_fd int fd = -1;` closes at the end of the scope what steal_fd() has not
 * taken over.
 */
void close_fd_ptr(int *fd);
void free_ptr(void *ptr);
#define cleanup_fd __attribute__((cleanup(close_fd_ptr)))
#define cleanup_free __attribute__((cleanup(free_ptr)))

static inline int steal_fd(int *fd)
{
	int taken = *fd;

	*fd = -1;
	return taken;
}

/*
 * For what is large and mostly of later use, such as a device: pages that are zero, and take memory
 * once they are touched (calloc would clear them). NULL if there is no memory. pages_free takes
 * the size asked for; NULL is ignored.
 */
void *pages_alloc(size_t size);
void pages_free(void *pages, size_t size);

/*
 * close_range(2), for which not every C library has a function: closes all from `first` to `last`,
 * or does what `flags` say (CLOSE_RANGE_CLOEXEC). 0, or -1 and errno.
 */
int close_fds(unsigned int first, unsigned int last, unsigned int flags);

/*
 * Parsing. All take the whole string or fail: 0, -EINVAL for text that is not such a value,
 * -ERANGE for one that does not fit. Outputs are untouched on failure.
 */
int parse_u64(const char *text, uint64_t *ret);
/* Bytes, with an optional suffix K, M, G or T (powers of 1024), "128M". */
int parse_size(const char *text, uint64_t *ret_bytes);
/* Seconds, or with suffix ms, s, m, h: "1.5s", "200ms", "2m". */
int parse_duration(const char *text, uint64_t *ret_ns);
/* "aa:bb:cc:dd:ee:ff"; -EINVAL for a multicast address. */
int parse_mac(const char *text, uint8_t ret_mac[6]);

/*
 * Those of `signals` that the caller of the program did not have it ignore (nohup, a shell's
 * background): what came ignored stays so.
 */
sigset_t signals_not_ignored(const int *signals, size_t nr);

/*
 * Puts `part` behind the first `used` bytes of `text`, or as much of it as fits into `size` bytes
 * with the NUL. The new length. What printf does, on the way to the guest, where each page of
 * printf that is used first takes a fault.
 */
size_t text_add(char *text, size_t size, size_t used, const char *part);

/*
 * Lets go of the pages of the program's own code and constants, most of which only its start
 * needed. What is used after it comes back from the page cache.
 */
void program_trim(void);

/* CLOCK_MONOTONIC in nanoseconds. */
uint64_t clock_now_ns(void);

/* True if the sum does not fit; otherwise *ret is a + b. */
static inline bool add_overflows(uint64_t a, uint64_t b, uint64_t *ret)
{
	return __builtin_add_overflow(a, b, ret);
}

#endif
