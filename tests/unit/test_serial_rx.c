/* SPDX-License-Identifier: Apache-2.0 */
/* The receiver, and both under two threads. */
#include "test_serial.h"

static void input_waits_for_rts(void **state)
{
	struct port *port = *state;

	out(port, UART_IER, UART_IER_RDI);
	assert_true(receive(port, "ab", 2));
	/* A driver that starts up reads whatever may be left, and clears the FIFOs. */
	out(port, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR_CLEAR_RCVR | UART_FCR_CLEAR_XMIT);
	assert_int_equal(in(port, UART_LSR) & UART_LSR_DR, 0);
	assert_int_equal(in(port, UART_RX), 0);
	assert_int_equal(in(port, UART_IIR) & 0xf, UART_IIR_NO_INT);
	out(port, UART_MCR, UART_MCR_OUT2);
	assert_int_equal(edges(port), 0);
	out(port, UART_MCR, UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(edges(port), 1);
	assert_int_equal(in(port, UART_IIR) & 0xf, UART_IIR_RDI);
	assert_int_equal(in(port, UART_LSR) & UART_LSR_DR, UART_LSR_DR);
	assert_int_equal(in(port, UART_RX), 'a');
	/* RTS falls: the other end holds off. */
	out(port, UART_MCR, UART_MCR_OUT2);
	assert_int_equal(in(port, UART_RX), 0);
	out(port, UART_MCR, UART_MCR_OUT2 | UART_MCR_RTS | UART_MCR_LOOP);
	assert_int_equal(in(port, UART_RX), 0);
	edges(port);
	out(port, UART_MCR, UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(edges(port), 1);
	assert_int_equal(in(port, UART_RX), 'b');
	assert_int_equal(in(port, UART_IIR) & 0xf, UART_IIR_NO_INT);
	assert_int_equal(in(port, UART_RX), 0);
}

/* Input comes before the transmitter, and each keeps the other's interrupt. */
static void the_more_urgent_interrupt_first(void **state)
{
	struct port *port = *state;

	out(port, UART_MCR, UART_MCR_OUT2 | UART_MCR_RTS);
	out(port, UART_IER, UART_IER_RDI | UART_IER_THRI);
	assert_true(receive(port, "a", 1));
	assert_int_equal(in(port, UART_IIR), UART_IIR_RDI);
	assert_int_equal(in(port, UART_IIR), UART_IIR_RDI);
	assert_int_equal(in(port, UART_RX), 'a');
	assert_int_equal(in(port, UART_IIR), UART_IIR_THRI);
	assert_int_equal(in(port, UART_IIR), UART_IIR_NO_INT);
}

/* Each delivery is an edge: a driver leaves its handler after so many rounds, input or not. */
static void each_delivery_interrupts(void **state)
{
	struct port *port = *state;

	out(port, UART_MCR, UART_MCR_OUT2 | UART_MCR_RTS);
	out(port, UART_IER, UART_IER_RDI);
	assert_true(receive(port, "abc", 3));
	assert_int_equal(edges(port), 1);
	assert_int_equal(in(port, UART_RX), 'a');
	assert_int_equal(edges(port), 0);
	assert_true(receive(port, "d", 1));
	assert_int_equal(edges(port), 1);
	out(port, UART_IER, 0);
	assert_true(receive(port, "e", 1));
	assert_int_equal(edges(port), 0);
}

static void input_ring(void **state)
{
	static const size_t lens[] = {SERIAL_BUFFER, 1, 4095, 1000, 3096, 2047, 2049, 17};
	struct port *port = *state;
	uint8_t data[SERIAL_BUFFER];
	size_t round, i, put = 0, got = 0;

	out(port, UART_MCR, UART_MCR_RTS);
	for (round = 0; round < 8 * ARRAY_SIZE(lens); round++) {
		size_t len = lens[round % ARRAY_SIZE(lens)];

		/* Some stays behind, so that the ring begins anywhere. */
		len = MIN(len, serial_room(&port->serial));
		for (i = 0; i < len; i++)
			data[i] = pattern(put++);
		assert_true(receive(port, data, len));
		assert_false(receive(port, data, SERIAL_BUFFER - (put - got) + 1));
		assert_int_equal(serial_room(&port->serial), SERIAL_BUFFER - (put - got));
		while (got + 3 < put) {
			assert_int_equal(in(port, UART_LSR) & UART_LSR_DR, UART_LSR_DR);
			assert_int_equal(in(port, UART_RX), pattern(got++));
		}
	}
	assert_true(put > 4 * SERIAL_BUFFER);
}

/* The host hears of room once at half full and once at empty. */
static void room_wakes_the_host(void **state)
{
	struct port *port = *state;
	uint8_t data[SERIAL_BUFFER] = {0};
	unsigned int i, wakes = 0;

	out(port, UART_MCR, UART_MCR_RTS);
	assert_true(receive(port, data, sizeof(data)));
	out(port, UART_TX, 'x');
	assert_true(run_loop(port));
	assert_int_equal(port->rooms, 0); /* full: no room */
	for (i = 0; i < SERIAL_BUFFER; i++) {
		in(port, UART_RX);
		if (run_loop(port)) {
			wakes++;
			assert_true(serial_room(&port->serial) == SERIAL_BUFFER / 2 ||
				    serial_room(&port->serial) == SERIAL_BUFFER);
		}
	}
	assert_int_equal(wakes, 2);
	assert_int_equal(port->rooms, 2);
}

/*
 * A vCPU writes, an interrupt handler answers, and the loop drains. The handler writes for edges
 * only, so a lost one ends in a hang.
 */
#define STREAM_LEN 60000u

static void *vcpu_writes(void *arg)
{
	struct port *port = arg;
	size_t at = 0;
	unsigned int i;

	out(port, UART_MCR, UART_MCR_OUT2 | UART_MCR_RTS);
	out(port, UART_IER, UART_IER_THRI);
	while (at < STREAM_LEN) {
		while (!edges(port))
			sched_yield();
		while (in(port, UART_IIR) == UART_IIR_THRI)
			for (i = 0; at < STREAM_LEN && i < FIFO; i++)
				out(port, UART_TX, pattern(at++));
	}
	return NULL;
}

static void two_threads(void **state)
{
	struct port *port = *state;
	pthread_t vcpu;
	size_t i;

	port->per_call = 1000;
	assert_int_equal(pthread_create(&vcpu, NULL, vcpu_writes, port), 0);
	while (port->nr_sent < STREAM_LEN) {
		/* Sometimes the host is full for a while. */
		port->budget = 1 + port->nr_sent % 3000;
		if (!run_loop(port))
			sched_yield();
		host_ready(port, 3000);
	}
	assert_int_equal(pthread_join(vcpu, NULL), 0);
	assert_int_equal(port->nr_sent, STREAM_LEN);
	for (i = 0; i < STREAM_LEN; i++)
		assert_int_equal(port->sent[i], pattern(i));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		port_test(input_waits_for_rts),	     port_test(the_more_urgent_interrupt_first),
		port_test(each_delivery_interrupts), port_test(input_ring),
		port_test(room_wakes_the_host),	     port_test(two_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
