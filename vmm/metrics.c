/* SPDX-License-Identifier: Apache-2.0 */
#include "metrics.h"

#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "util.h"

#define TEXT_MAX 8192

enum metrics_init { INIT_UNSEEN, INIT_CLAIMED, INIT_SEEN };

/* Text under construction; one that is too long is cut, which the end of it shows. */
struct text {
	char bytes[TEXT_MAX];
	size_t len;
};

static void __attribute__((format(printf, 2, 3))) put(struct text *text, const char *fmt, ...)
{
	size_t room = sizeof(text->bytes) - text->len;
	va_list args;
	int len;

	va_start(args, fmt);
	len = vsnprintf(text->bytes + text->len, room, fmt, args);
	va_end(args);
	text->len += MIN((size_t)MAX(len, 0), room - 1);
}

static int write_all(int fd, const struct text *text)
{
	size_t done = 0;

	while (done < text->len) {
		ssize_t ret = write(fd, text->bytes + done, text->len - done);

		if (ret < 0 && errno != EINTR)
			return -errno;
		done += (size_t)MAX(ret, 0);
	}
	return 0;
}

/* A number that may be missing. */
static void put_count(struct text *text, uint64_t count)
{
	if (count == UINT64_MAX)
		put(text, "null");
	else
		put(text, "%" PRIu64, count);
}

void metrics_open(struct metrics *metrics, struct timeline *timeline, const struct vcpu *vcpus,
		  unsigned int nr_vcpus)
{
	unsigned int i;

	metrics->timeline = timeline;
	metrics->vcpus = vcpus;
	metrics->nr_vcpus = MIN(nr_vcpus, METRICS_VCPUS_MAX);
	metrics->process_fd = open("/proc/self/stat", O_RDONLY | O_CLOEXEC);
	for (i = 0; i < metrics->nr_vcpus; i++)
		kvm_stats_open(&metrics->stats[i], vcpus[i].fd);
}

void metrics_close(struct metrics *metrics)
{
	unsigned int i;

	if (!metrics->timeline)
		return;
	for (i = 0; i < metrics->nr_vcpus; i++)
		kvm_stats_close(&metrics->stats[i]);
	close_fd_ptr(&metrics->process_fd);
	metrics->timeline = NULL;
}

static void read_exits(const struct metrics *metrics, struct metrics_exits *ret_exits)
{
	struct metrics_exits exits = {0};
	unsigned int i;

	for (i = 0; i < metrics->nr_vcpus; i++) {
		const struct vcpu *vcpu = &metrics->vcpus[i];

		exits.pio += atomic_load_explicit(&vcpu->exits.pio, memory_order_relaxed);
		exits.mmio += atomic_load_explicit(&vcpu->exits.mmio, memory_order_relaxed);
		exits.other += atomic_load_explicit(&vcpu->exits.other, memory_order_relaxed);
		kvm_stats_add(&metrics->stats[i], &exits.kvm);
	}
	*ret_exits = exits;
}

void metrics_init_starts(struct metrics *metrics)
{
	uint64_t now = clock_now_ns();
	int unseen = INIT_UNSEEN;

	if (!metrics->timeline ||
	    !atomic_compare_exchange_strong(&metrics->init, &unseen, INIT_CLAIMED))
		return;
	metrics->init_ns = now;
	read_exits(metrics, &metrics->before_init);
	atomic_store(&metrics->init, INIT_SEEN);
}

/* proc_pid_stat(5): fields 10 and 12, counted behind the name, which may hold anything. */
static void read_faults(const struct metrics *metrics, uint64_t *ret_minor, uint64_t *ret_major)
{
	char stat[512];
	ssize_t len =
		metrics->process_fd < 0 ? 0 : pread(metrics->process_fd, stat, sizeof(stat) - 1, 0);
	const char *at;

	*ret_minor = *ret_major = UINT64_MAX;
	stat[MAX(len, 0)] = '\0';
	at = strrchr(stat, ')');
	if (!at || sscanf(at + 1, " %*c %*d %*d %*d %*d %*d %*u %" SCNu64 " %*u %" SCNu64,
			  ret_minor, ret_major) != 2)
		*ret_minor = *ret_major = UINT64_MAX;
}

static bool init_seen(const struct metrics *metrics)
{
	return atomic_load(&metrics->init) == INIT_SEEN;
}

uint64_t metrics_init_ns(const struct metrics *metrics)
{
	return init_seen(metrics) ? metrics->init_ns : 0;
}

void metrics_end(struct metrics *metrics)
{
	if (metrics->vcpus[0].entered_ns)
		timeline_mark_at(metrics->timeline, "first guest instruction",
				 metrics->vcpus[0].entered_ns);
	if (init_seen(metrics))
		timeline_mark_at(metrics->timeline, "init starts", metrics->init_ns);
}

static void print_exits(const char *when, const struct metrics_exits *exits)
{
	struct text text = {.len = 0};
	unsigned int i;

	put(&text,
	    "exits %s: %" PRIu64 " to husk (%" PRIu64 " port, %" PRIu64 " memory, %" PRIu64
	    " other)",
	    when, exits->pio + exits->mmio + exits->other, exits->pio, exits->mmio, exits->other);
	for (i = 0; i < KVM_STATS_NR; i++)
		if (exits->kvm.values[i] != UINT64_MAX)
			put(&text, "%s %s %" PRIu64, i ? "," : "; KVM:", kvm_stat_name(i),
			    exits->kvm.values[i]);
	put(&text, "\n");
	write_all(STDERR_FILENO, &text);
}

void metrics_print(const struct metrics *metrics)
{
	struct text text = {.len = 0};
	struct metrics_exits exits;
	uint64_t minor, major;

	read_exits(metrics, &exits);
	read_faults(metrics, &minor, &major);
	timeline_print(metrics->timeline);
	if (init_seen(metrics))
		print_exits("before init", &metrics->before_init);
	print_exits("in all", &exits);
	put(&text, "page faults of husk, guest memory included: ");
	put_count(&text, minor);
	put(&text, " minor, ");
	put_count(&text, major);
	put(&text, " major\n");
	write_all(STDERR_FILENO, &text);
}

static void put_exits(struct text *text, const char *name, const struct metrics_exits *exits)
{
	unsigned int i;

	put(text,
	    ", \"%s\": {\"user\": {\"pio\": %" PRIu64 ", \"mmio\": %" PRIu64 ", \"other\": %" PRIu64
	    ", \"all\": %" PRIu64 "}",
	    name, exits->pio, exits->mmio, exits->other, exits->pio + exits->mmio + exits->other);
	for (i = 0; i < KVM_STATS_NR; i++) {
		put(text, ", \"%s\": ", kvm_stat_name(i));
		put_count(text, exits->kvm.values[i]);
	}
	put(text, "}");
}

int metrics_write(const struct metrics *metrics, int fd, int status)
{
	const struct timeline *timeline = metrics->timeline;
	struct text text = {.len = 0};
	struct metrics_exits exits;
	uint64_t minor, major;
	unsigned int i;

	read_exits(metrics, &exits);
	read_faults(metrics, &minor, &major);
	put(&text, "{\"husk\": \"%s\", \"status\": %d, \"timeline\": [", HUSK_VERSION, status);
	for (i = 0; i < timeline->nr_marks; i++)
		put(&text, "%s{\"step\": \"%s\", \"at_us\": %.3f}", i ? ", " : "",
		    timeline->marks[i].name,
		    (double)(timeline->marks[i].ns - timeline->marks[0].ns) / 1e3);
	put(&text, "]");
	put_exits(&text, "exits", &exits);
	if (init_seen(metrics))
		put_exits(&text, "exits_before_init", &metrics->before_init);
	put(&text, ", \"faults\": {\"minor\": ");
	put_count(&text, minor);
	put(&text, ", \"major\": ");
	put_count(&text, major);
	put(&text, "}}\n");
	return write_all(fd, &text);
}
