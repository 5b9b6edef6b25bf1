/* SPDX-License-Identifier: Apache-2.0 */
/*
 * For the fuzzers of what a guest says and is told over a serial port: the user's side (pipes as
 * standard streams, small ones, so that they are full soon) and the driver's.
 */
#ifndef HUSK_TESTS_TERMINAL_H
#define HUSK_TESTS_TERMINAL_H

#include "fuzz.h"

#include <fcntl.h>
#include <linux/serial_reg.h>
#include <signal.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "host_io.h"
#include "serial.h"
#include "util.h"

/* A pipe that takes little is full soon. */
#define TERMINAL_PIPE 8192
#define TERMINAL_SENT_MAX 65536u /* by the guest, for one input */

/* Bytes that must come out, and how many of them did. */
struct expected {
	uint8_t *data;
	size_t len, capacity, got;
};

struct terminal {
	struct event_loop loop;
	struct host_streams streams; /* husk's ends */
	int in, out, err;	     /* ours; -1: closed */
	struct expected typed, shown, shown_err;
	struct serial *serial; /* the guest's end */
	size_t sent;	       /* by the guest */
};

static inline void expected_add(struct expected *expected, const void *data, size_t len)
{
	if (expected->len + len > expected->capacity) {
		expected->capacity = 2 * (expected->len + len);
		expected->data = realloc(expected->data, expected->capacity);
		FUZZ_CHECK(expected->data);
	}
	if (len)
		memcpy(expected->data + expected->len, data, len);
	expected->len += len;
}

/* These came out, in this order. */
static inline void expected_take(struct expected *expected, const void *data, size_t len)
{
	FUZZ_CHECK(len <= expected->len - expected->got);
	FUZZ_CHECK(!len || !memcmp(expected->data + expected->got, data, len));
	expected->got += len;
}

static inline void terminal_pipe(int *ret_read, int *ret_write)
{
	int ends[2];

	FUZZ_CHECK(!pipe2(ends, O_CLOEXEC | O_NONBLOCK));
	FUZZ_CHECK(fcntl(ends[1], F_SETPIPE_SZ, TERMINAL_PIPE) > 0);
	*ret_read = ends[0];
	*ret_write = ends[1];
}

static inline void terminal_init(struct terminal *terminal)
{
	*terminal = (struct terminal){.in = -1};
	FUZZ_CHECK(!event_loop_init(&terminal->loop));
	terminal_pipe(&terminal->streams.in, &terminal->in);
	terminal_pipe(&terminal->out, &terminal->streams.out);
	terminal_pipe(&terminal->err, &terminal->streams.err);
	signal(SIGPIPE, SIG_IGN);
}

static inline void terminal_fini(struct terminal *terminal)
{
	host_streams_close(&terminal->streams);
	close_fd_ptr(&terminal->in);
	close_fd_ptr(&terminal->out);
	close_fd_ptr(&terminal->err);
	event_loop_fini(&terminal->loop);
	free(terminal->typed.data);
	free(terminal->shown.data);
	free(terminal->shown_err.data);
}

/* Runs the loop until there is nothing to do, which must come to be. How much there was. */
static inline unsigned int terminal_serve(struct terminal *terminal)
{
	struct epoll_event event;
	unsigned int served = 0;

	while (epoll_wait(terminal->loop.epoll_fd, &event, 1, 0) == 1) {
		struct event_watch *watch = event.data.ptr;

		pthread_mutex_lock(watch->lock);
		watch->fn(watch->ctx, event.events);
		pthread_mutex_unlock(watch->lock);
		FUZZ_CHECK(++served < 1000);
	}
	return served;
}

/* The user reads what is shown; how much. */
static inline size_t terminal_look(int fd, struct expected *expected, size_t max)
{
	uint8_t data[4096];
	ssize_t got;
	size_t sum = 0;

	while (fd >= 0 && sum < max) {
		got = read(fd, data, MIN(max - sum, sizeof(data)));
		if (got <= 0)
			break;
		expected_take(expected, data, (size_t)got);
		sum += (size_t)got;
	}
	return sum;
}

static inline void terminal_type(struct terminal *terminal, const void *data, size_t len)
{
	ssize_t wrote = terminal->in < 0 ? 0 : write(terminal->in, data, len);

	expected_add(&terminal->typed, data, wrote > 0 ? (size_t)wrote : 0);
}

static inline uint8_t terminal_reg(struct terminal *terminal, uint64_t reg)
{
	struct device *device = &terminal->serial->device;
	uint8_t value = 0;

	pthread_mutex_lock(&device->lock);
	device->ops->read(device, reg, &value, 1);
	pthread_mutex_unlock(&device->lock);
	return value;
}

static inline void terminal_reg_write(struct terminal *terminal, uint64_t reg, uint8_t value)
{
	struct device *device = &terminal->serial->device;

	pthread_mutex_lock(&device->lock);
	device->ops->write(device, reg, &value, 1);
	pthread_mutex_unlock(&device->lock);
}

/* A byte from the guest, if the transmitter is empty. */
static inline bool terminal_send(struct terminal *terminal, uint8_t byte)
{
	if (terminal->sent >= TERMINAL_SENT_MAX ||
	    !(terminal_reg(terminal, UART_LSR) & UART_LSR_THRE))
		return false;
	terminal_reg_write(terminal, UART_TX, byte);
	terminal->sent++;
	return true;
}

/* A byte for the guest, if there is one. */
static inline bool terminal_receive(struct terminal *terminal, uint8_t *ret_byte)
{
	terminal_reg_write(terminal, UART_MCR, UART_MCR_RTS);
	if (!(terminal_reg(terminal, UART_LSR) & UART_LSR_DR))
		return false;
	*ret_byte = terminal_reg(terminal, UART_RX);
	return true;
}

#endif
