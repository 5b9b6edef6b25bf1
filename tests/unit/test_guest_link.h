/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the guest link: both ends of it. */
#ifndef HUSK_TEST_GUEST_LINK_H
#define HUSK_TEST_GUEST_LINK_H

#include "guest_link.h"
#include "streams.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>

#include "ending.h"
#include "util.h"

#define STREAM_MAX 300000

/* Both ends: the link, and what a guest's init would see and do. */
struct pair {
	struct streams streams;
	struct event_loop loop;
	struct guest_link link;
	unsigned int events[GUEST_LINK_QUIT + 1];
	struct ending *ending; /* told what the machine tells it; or NULL */

	uint8_t received[STREAM_MAX]; /* by the guest */
	size_t nr_received, nr_parsed;
};

static inline void on_event(void *ctx, enum guest_link_event event)
{
	struct pair *pair = ctx;
	struct verdict verdict = {.kind = VERDICT_EXIT};

	pair->events[event]++;
	if (!pair->ending)
		return;
	if (event == GUEST_LINK_EXIT)
		ending_declare(pair->ending, &verdict);
	if (event == GUEST_LINK_DRAINED)
		ending_recheck(pair->ending);
}

static inline void pair_start(struct pair *pair, bool tty)
{
	struct host_streams streams;

	memset(pair->events, 0, sizeof(pair->events));
	pair->nr_received = pair->nr_parsed = 0;
	host_streams_open(&streams);
	assert_int_equal(guest_link_init(&pair->link, &pair->loop, &streams, tty, on_event, pair),
			 0);
	host_streams_close(&streams);
}

static inline void pair_restart(struct pair *pair, bool tty)
{
	guest_link_fini(&pair->link);
	pair_start(pair, tty);
}

static inline int pair_setup(void **state)
{
	struct pair *pair = test_calloc(1, sizeof(*pair));

	signal(SIGPIPE, SIG_IGN);
	streams_begin(&pair->streams);
	assert_int_equal(event_loop_init(&pair->loop), 0);
	pair_start(pair, false);
	*state = pair;
	return 0;
}

static inline int pair_teardown(void **state)
{
	struct pair *pair = *state;

	guest_link_fini(&pair->link);
	guest_link_fini(&pair->link);
	event_loop_fini(&pair->loop);
	streams_end(&pair->streams);
	test_free(pair);
	return 0;
}

static inline uint8_t in(struct pair *pair, uint64_t offset)
{
	struct device *device = &pair->link.serial.device;
	uint8_t value = 0;

	pthread_mutex_lock(&device->lock);
	device->ops->read(device, offset, &value, 1);
	pthread_mutex_unlock(&device->lock);
	return value;
}

static inline void out(struct pair *pair, uint64_t offset, uint8_t value)
{
	struct device *device = &pair->link.serial.device;

	pthread_mutex_lock(&device->lock);
	device->ops->write(device, offset, &value, 1);
	pthread_mutex_unlock(&device->lock);
}

/* Sends while the transmitter is empty; how much went. */
static inline size_t guest_send(struct pair *pair, const void *data, size_t len)
{
	const uint8_t *bytes = data;
	size_t i;

	for (i = 0; i < len && in(pair, UART_LSR) & UART_LSR_THRE; i++)
		out(pair, UART_TX, bytes[i]);
	return i;
}

/* Takes all that is there. */
static inline void guest_receive(struct pair *pair)
{
	out(pair, UART_MCR, UART_MCR_RTS);
	while (in(pair, UART_LSR) & UART_LSR_DR) {
		assert_true(pair->nr_received < sizeof(pair->received));
		pair->received[pair->nr_received++] = in(pair, UART_RX);
	}
}

static inline size_t frame_put(uint8_t *at, uint8_t type, const void *payload, size_t len)
{
	struct link_header header = {.type = type, .len = (uint16_t)len};

	memcpy(at, &header, sizeof(header));
	memcpy(at + sizeof(header), payload, len);
	return sizeof(header) + len;
}

static inline void send_frame(struct pair *pair, uint8_t type, const void *payload, size_t len)
{
	uint8_t frame[sizeof(struct link_header) + LINK_PAYLOAD_MAX];
	size_t size = frame_put(frame, type, payload, len);

	assert_int_equal(guest_send(pair, frame, size), size);
}

static inline void assert_stream(int fd, const char *text)
{
	char got[2 * STREAMS_PIPE];

	streams_read(fd, got, sizeof(got));
	assert_string_equal(got, text);
}

static inline uint8_t pattern(size_t number)
{
	return (uint8_t)(number * 7 + number / 251);
}

/* Tells husk that the command took what came in whole frames since the last call. */
static inline void guest_take(struct pair *pair)
{
	struct link_taken taken = {.bytes = 0};
	struct link_header header;

	while (pair->nr_received - pair->nr_parsed >= sizeof(header)) {
		memcpy(&header, pair->received + pair->nr_parsed, sizeof(header));
		if (pair->nr_received - pair->nr_parsed - sizeof(header) < header.len)
			break;
		pair->nr_parsed += sizeof(header) + header.len;
		if (header.type == LINK_STDIN)
			taken.bytes += header.len;
	}
	if (taken.bytes)
		send_frame(pair, LINK_TAKEN, &taken, sizeof(taken));
}

/* Payload of the STDIN frames the guest got, and whether the end was told. */
static inline size_t guest_stdin(const struct pair *pair, uint8_t *ret_data, unsigned int *ret_ends)
{
	struct link_header header;
	size_t at = 0, len = 0;

	*ret_ends = 0;
	while (at < pair->nr_received) {
		assert_true(pair->nr_received - at >= sizeof(header));
		memcpy(&header, pair->received + at, sizeof(header));
		at += sizeof(header);
		assert_true(header.len <= LINK_PAYLOAD_MAX && header.len <= pair->nr_received - at);
		if (header.type == LINK_STDIN) {
			assert_int_equal(*ret_ends, 0);
			memcpy(ret_data + len, pair->received + at, header.len);
			len += header.len;
			*ret_ends += !header.len;
		} else {
			assert_int_equal(header.type, LINK_WINSIZE);
			assert_int_equal(header.len, sizeof(struct link_winsize));
		}
		at += header.len;
	}
	return len;
}

#define pair_test(f) cmocka_unit_test_setup_teardown(f, pair_setup, pair_teardown)

#endif
