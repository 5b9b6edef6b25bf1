/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of the serial port: a port, a driver's hands on it, and a host behind it. */
#ifndef HUSK_TEST_SERIAL_H
#define HUSK_TEST_SERIAL_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <linux/serial_reg.h>
#include <pthread.h>
#include <sched.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "serial.h"
#include "util.h"

#define FIFO 16

/* A host that takes what it is told to, and keeps it. */
struct port {
	struct event_loop loop;
	struct serial serial;
	uint8_t sent[65536];
	size_t nr_sent;
	size_t per_call, budget; /* bytes taken in one call, and before the host is full */
	unsigned int rooms;
};

static inline size_t port_transmit(void *ctx, const uint8_t *data, size_t len)
{
	struct port *port = ctx;

	len = MIN(len, port->per_call);
	len = MIN(len, port->budget);
	assert_true(port->nr_sent + len <= sizeof(port->sent));
	memcpy(port->sent + port->nr_sent, data, len);
	port->nr_sent += len;
	port->budget -= len;
	return len;
}

static inline void port_room(void *ctx)
{
	((struct port *)ctx)->rooms++;
}

static inline int port_setup(void **state)
{
	struct port *port = test_calloc(1, sizeof(*port));
	struct serial_host host = {.transmit = port_transmit, .room = port_room, .ctx = port};

	port->per_call = port->budget = SIZE_MAX;
	assert_int_equal(event_loop_init(&port->loop), 0);
	assert_int_equal(serial_init(&port->serial, "test", &host, &port->loop), 0);
	*state = port;
	return 0;
}

static inline int port_teardown(void **state)
{
	struct port *port = *state;

	serial_fini(&port->serial);
	serial_fini(&port->serial);
	event_loop_fini(&port->loop);
	test_free(port);
	return 0;
}

/* As the bus does it. */
static inline uint64_t port_read(struct port *port, uint64_t offset, unsigned int len)
{
	struct device *device = &port->serial.device;
	uint64_t value = 0;

	pthread_mutex_lock(&device->lock);
	device->ops->read(device, offset, &value, len);
	pthread_mutex_unlock(&device->lock);
	return value;
}

static inline void port_write(struct port *port, uint64_t offset, uint64_t value, unsigned int len)
{
	struct device *device = &port->serial.device;

	pthread_mutex_lock(&device->lock);
	device->ops->write(device, offset, &value, len);
	pthread_mutex_unlock(&device->lock);
}

static inline uint8_t in(struct port *port, uint64_t offset)
{
	return (uint8_t)port_read(port, offset, 1);
}

static inline void out(struct port *port, uint64_t offset, uint8_t value)
{
	port_write(port, offset, value, 1);
}

/* Serves the loop's watch if it is ready; whether it was. */
static inline bool run_loop(struct port *port)
{
	struct epoll_event event;

	if (epoll_wait(port->loop.epoll_fd, &event, 1, 0) <= 0)
		return false;
	if (event.data.ptr != &port->serial.wake)
		return false;
	pthread_mutex_lock(&port->serial.device.lock);
	port->serial.wake.fn(port->serial.wake.ctx, event.events);
	pthread_mutex_unlock(&port->serial.device.lock);
	return true;
}

static inline uint64_t edges(struct port *port)
{
	eventfd_t count = 0;

	return eventfd_read(port->serial.irq.fd, &count) ? 0 : count;
}

static inline bool receive(struct port *port, const void *data, size_t len)
{
	bool taken;

	pthread_mutex_lock(&port->serial.device.lock);
	taken = serial_receive(&port->serial, data, len);
	pthread_mutex_unlock(&port->serial.device.lock);
	return taken;
}

static inline void host_ready(struct port *port, size_t budget)
{
	port->budget = budget;
	serial_flush(&port->serial);
}

/* Bytes that follow from their number. */
static inline uint8_t pattern(size_t number)
{
	return (uint8_t)(number * 7 + number / 251);
}

#define port_test(f) cmocka_unit_test_setup_teardown(f, port_setup, port_teardown)

#endif
