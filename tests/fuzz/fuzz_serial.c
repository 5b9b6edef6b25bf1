/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Fuzzes the serial port, over the bus: a driver that does anything, a host that takes and sends
 * what it likes. A model of the port, made from what its header promises, says what must come out.
 *
 * Input: operations, a byte each and what it needs (tests/fuzz/make-seeds).
 */
#include "fuzz.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>

#include "bus.h"
#include "layout_x86.h"
#include "serial.h"
#include "util.h"

#define FIFO 16
#define STEPS_MAX 4096

enum { WRITE, READ, RECEIVE, BUDGET, SERVE, SEND_MANY, READ_MANY, DRAIN, OPERATIONS };

struct port {
	struct event_loop loop;
	struct bus bus;
	struct serial serial;

	/* The model: what the guest sees in registers that keep their value. */
	uint8_t ier, lcr, mcr, scr, dll, dlm;
	/* Bytes are numbered, and their values follow from that: so lost ones show. */
	size_t sent, delivered;	    /* by the guest; to the host */
	size_t received, got;	    /* by the host; by the guest */
	size_t budget;		    /* what the host takes before it is full */
	bool was_full, was_refused; /* the host, since it made room; the host, since it was told */
};

static uint8_t pattern(size_t number)
{
	return (uint8_t)(1 + (number * 7 + number / 251) % 255);
}

static size_t host_transmit(void *ctx, const uint8_t *data, size_t len)
{
	struct port *port = ctx;
	size_t take = MIN(len, port->budget), i;

	FUZZ_CHECK(len == port->sent - port->delivered);
	for (i = 0; i < take; i++)
		FUZZ_CHECK(data[i] == pattern(port->delivered + i));
	port->delivered += take;
	port->budget -= take;
	port->was_full |= take < len;
	return take;
}

static void host_room(void *ctx)
{
	((struct port *)ctx)->was_refused = false;
}

static size_t tx_len(const struct port *port)
{
	return port->sent - port->delivered;
}

/* The guest can see a byte, and gets an interrupt for it. */
static bool rx_shown(const struct port *port)
{
	return port->received > port->got && port->mcr & UART_MCR_RTS &&
	       !(port->mcr & UART_MCR_LOOP);
}

static bool rx_interrupts(const struct port *port)
{
	return rx_shown(port) && port->ier & UART_IER_RDI && port->mcr & UART_MCR_OUT2;
}

static uint64_t edges(struct port *port)
{
	eventfd_t count;

	return eventfd_read(port->serial.irq.fd, &count) ? 0 : count;
}

static void check_state(const struct port *port)
{
	const struct serial_state *state = &port->serial.state;

	FUZZ_CHECK(state->tx_len == tx_len(port) && state->tx_len <= SERIAL_BUFFER);
	FUZZ_CHECK(state->rx_len == port->received - port->got && state->rx_len <= SERIAL_BUFFER);
	FUZZ_CHECK(state->rx_start < SERIAL_BUFFER);
}

/*
 * The guest
 */

static void model_write(struct port *port, uint64_t reg, uint8_t value)
{
	bool divisor = port->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_TX:
		if (divisor)
			port->dll = value;
		else if (!(port->mcr & UART_MCR_LOOP) && tx_len(port) < SERIAL_BUFFER)
			port->sent++;
		break;
	case UART_IER:
		*(divisor ? &port->dlm : &port->ier) = divisor ? value : value & 0xf;
		break;
	case UART_LCR:
		port->lcr = value;
		break;
	case UART_MCR:
		port->mcr = value & 0x1f;
		break;
	case UART_SCR:
		port->scr = value;
		break;
	default:
		break;
	}
}

/* What is known of a register; -1: nothing. */
static int model_read(struct port *port, uint64_t reg)
{
	bool divisor = port->lcr & UART_LCR_DLAB;

	switch (reg) {
	case UART_RX:
		if (divisor)
			return port->dll;
		return rx_shown(port) ? pattern(port->got++) : 0;
	case UART_IER:
		return divisor ? port->dlm : port->ier;
	case UART_LCR:
		return port->lcr;
	case UART_MCR:
		return port->mcr;
	case UART_LSR:
		/* Empty: there is room for a FIFO's worth. */
		return (rx_shown(port) ? UART_LSR_DR : 0) |
		       (tx_len(port) + FIFO <= SERIAL_BUFFER ? UART_LSR_THRE | UART_LSR_TEMT : 0);
	case UART_SCR:
		return port->scr;
	default:
		return -1;
	}
}

static bool in_range(uint64_t reg)
{
	return reg < SERIAL_PORTS;
}

/* The data lies at the end of the array, so that an access past it shows. */
static void guest_write(struct port *port, uint64_t reg, uint8_t value, unsigned int len)
{
	bool divisor = port->lcr & UART_LCR_DLAB, interrupted = rx_interrupts(port);
	uint8_t data[8];

	memset(data, 0xff, sizeof(data));
	/* A byte that is sent has the value that its number gives it. */
	data[8 - len] = reg == UART_TX && !divisor ? pattern(port->sent) : value;
	edges(port);
	FUZZ_CHECK(bus_write(&port->bus, COM1_PORT + reg, data + 8 - len, len) == in_range(reg));
	model_write(port, reg, value);
	if (!interrupted && rx_interrupts(port) && !(port->ier & UART_IER_THRI))
		FUZZ_CHECK(edges(port));
}

static uint8_t guest_read(struct port *port, uint64_t reg, unsigned int len)
{
	uint8_t data[8];
	unsigned int i;
	bool there = bus_read(&port->bus, COM1_PORT + reg, data + 8 - len, len);
	int expected = in_range(reg) ? model_read(port, reg) : 0xff;

	FUZZ_CHECK(there == in_range(reg));
	FUZZ_CHECK(expected < 0 || data[8 - len] == expected);
	for (i = 1; i < len; i++)
		FUZZ_CHECK(data[8 - len + i] == (there ? 0 : 0xff));
	return data[8 - len];
}

/*
 * The host
 */

static void host_send(struct port *port, size_t len)
{
	uint8_t data[256];
	size_t i, room;
	bool interrupts;

	for (i = 0; i < len; i++)
		data[i] = pattern(port->received + i);
	edges(port);
	pthread_mutex_lock(&port->serial.device.lock);
	room = serial_room(&port->serial);
	FUZZ_CHECK(room == SERIAL_BUFFER - (port->received - port->got));
	if (serial_receive(&port->serial, data, len)) {
		FUZZ_CHECK(len <= room);
		port->received += len;
	} else {
		FUZZ_CHECK(len > room);
		port->was_refused = true;
	}
	interrupts = rx_interrupts(port) && len && len <= room;
	pthread_mutex_unlock(&port->serial.device.lock);
	FUZZ_CHECK(!interrupts || edges(port));
}

/* The host takes so many more. A driver that waits for room is told of it. */
static void host_budget(struct port *port, size_t len)
{
	bool was_ready = tx_len(port) + FIFO <= SERIAL_BUFFER, up = port->serial.state.line;

	port->budget = len;
	port->was_full = false;
	edges(port);
	serial_flush(&port->serial);
	if (!was_ready && tx_len(port) + FIFO <= SERIAL_BUFFER && !up &&
	    port->ier & UART_IER_THRI && port->mcr & UART_MCR_OUT2)
		FUZZ_CHECK(edges(port));
}

/* Until there is nothing to do. What the guest sent is out, if the host is not full. */
static void serve(struct port *port)
{
	struct epoll_event event;
	unsigned int served = 0;

	while (epoll_wait(port->loop.epoll_fd, &event, 1, 0) == 1) {
		struct event_watch *watch = event.data.ptr;

		pthread_mutex_lock(watch->lock);
		watch->fn(watch->ctx, event.events);
		pthread_mutex_unlock(watch->lock);
		FUZZ_CHECK(++served < 4);
	}
	FUZZ_CHECK(!tx_len(port) || port->was_full);
}

/* All that the host sent arrives, and it learns that there is room. */
static void drain(struct port *port)
{
	size_t left = port->received - port->got;

	guest_write(port, UART_LCR, 3, 1);
	guest_write(port, UART_MCR, UART_MCR_RTS, 1);
	while (left--)
		guest_read(port, UART_RX, 1);
	FUZZ_CHECK(port->got == port->received);
	serve(port);
	FUZZ_CHECK(!port->was_refused);
}

static void step(struct port *port, struct fuzz_input *in)
{
	unsigned int nr, len;
	uint64_t reg;
	uint8_t value;

	switch (fuzz_u8(in) % OPERATIONS) {
	case WRITE:
		/* From eight ports below to past the last one. */
		reg = fuzz_u8(in) % 32 - 8ull;
		len = 1 + fuzz_u8(in) % 8;
		guest_write(port, reg, fuzz_u8(in), len);
		break;
	case READ:
		reg = fuzz_u8(in) % 32 - 8ull;
		guest_read(port, reg, 1 + fuzz_u8(in) % 8);
		break;
	case RECEIVE:
		host_send(port, fuzz_u8(in));
		break;
	case BUDGET:
		value = fuzz_u8(in);
		host_budget(port, value == 255 ? SIZE_MAX : value);
		break;
	case SERVE:
		serve(port);
		break;
	case SEND_MANY:
		for (nr = fuzz_u8(in); nr; nr--)
			guest_write(port, UART_TX, 0, 1);
		break;
	case READ_MANY:
		for (nr = fuzz_u8(in); nr; nr--)
			guest_read(port, UART_RX, 1);
		break;
	default:
		drain(port);
		break;
	}
	check_state(port);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	struct port *port = calloc(1, sizeof(*port));
	struct serial_host host = {.transmit = host_transmit, .room = host_room, .ctx = port};
	unsigned int steps = 0;

	FUZZ_CHECK(port);
	port->budget = SIZE_MAX;
	FUZZ_CHECK(!event_loop_init(&port->loop));
	FUZZ_CHECK(!serial_init(&port->serial, "serial", &host, &port->loop));
	FUZZ_CHECK(!bus_add(&port->bus, COM1_PORT, SERIAL_PORTS, &port->serial.device));
	bus_freeze(&port->bus);
	while (in.size && steps++ < STEPS_MAX)
		step(port, &in);
	/* In the end no byte is missing on either side. */
	host_budget(port, SIZE_MAX);
	FUZZ_CHECK(!tx_len(port));
	drain(port);
	fuzz_steps += steps;
	serial_fini(&port->serial);
	event_loop_fini(&port->loop);
	free(port);
	return 0;
}
