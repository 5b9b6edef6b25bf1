/* SPDX-License-Identifier: Apache-2.0 */
/* The transmitter, and all registers. */
#include "test_serial.h"

/* What Linux' 8250 driver does to find out that this is a 16550A. */
static void probed_as_16550a(void **state)
{
	struct port *port = *state;

	out(port, UART_IER, 0);
	assert_int_equal(in(port, UART_IER) & 0xf, 0);
	out(port, UART_IER, 0xff);
	assert_int_equal(in(port, UART_IER), 0xf);
	out(port, UART_IER, 0);
	/* Loop-back: OUT2 and RTS come back as DCD and CTS, nothing else. */
	out(port, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT2 | UART_MCR_RTS);
	assert_int_equal(in(port, UART_MSR) & 0xf0, UART_MSR_DCD | UART_MSR_CTS);
	out(port, UART_MCR, UART_MCR_LOOP | UART_MCR_OUT1 | UART_MCR_DTR);
	assert_int_equal(in(port, UART_MSR) & 0xf0, UART_MSR_RI | UART_MSR_DSR);
	out(port, UART_MCR, 0);
	assert_int_equal(in(port, UART_MSR), UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
	/* FIFOs: none, until they are enabled. */
	assert_int_equal(in(port, UART_IIR) >> 6, 0);
	out(port, UART_LCR, 0);
	out(port, UART_FCR, UART_FCR_ENABLE_FIFO);
	assert_int_equal(in(port, UART_IIR) >> 6, 3);
	/* Not one of the 16550's successors: no extended registers behind LCR, no 64-byte FIFO. */
	out(port, UART_LCR, UART_LCR_DLAB);
	assert_int_not_equal(in(port, UART_EFR), 0);
	out(port, UART_LCR, UART_LCR_CONF_MODE_B);
	assert_int_not_equal(in(port, UART_EFR), 0);
	out(port, UART_LCR, 0);
	out(port, UART_FCR, UART_FCR_ENABLE_FIFO | UART_FCR7_64BYTE);
	assert_int_equal(in(port, UART_IIR) >> 5, 6);
	/* Divisor latch, beside IER and data. */
	out(port, UART_LCR, UART_LCR_DLAB);
	out(port, UART_DLL, 1);
	out(port, UART_DLM, 2);
	assert_int_equal(in(port, UART_DLL), 1);
	assert_int_equal(in(port, UART_DLM), 2);
	out(port, UART_LCR, UART_LCR_WLEN8);
	assert_int_equal(in(port, UART_LCR), UART_LCR_WLEN8);
	assert_int_equal(in(port, UART_IER), 0);
	out(port, UART_SCR, 0x5a);
	assert_int_equal(in(port, UART_SCR), 0x5a);
	assert_int_equal(in(port, UART_LSR), UART_LSR_THRE | UART_LSR_TEMT);
	assert_false(run_loop(port));
	assert_int_equal(port->nr_sent, 0);
}

/* The driver's test for transmitters that do not raise their interrupt when it is enabled. */
static void transmitter_interrupt(void **state)
{
	struct port *port = *state;
	unsigned int i;

	out(port, UART_MCR, UART_MCR_OUT2);
	assert_int_equal(edges(port), 0);
	for (i = 0; i < 2; i++) {
		out(port, UART_IER, UART_IER_THRI);
		assert_int_equal(in(port, UART_IIR), UART_IIR_THRI);
		assert_int_equal(in(port, UART_IIR), UART_IIR_NO_INT);
		out(port, UART_IER, 0);
		assert_int_equal(edges(port), 1);
	}
	/* Told once: not again by a write of what is enabled already. */
	out(port, UART_IER, UART_IER_THRI);
	assert_int_equal(in(port, UART_IIR), UART_IIR_THRI);
	out(port, UART_IER, UART_IER_THRI);
	assert_int_equal(in(port, UART_IIR), UART_IIR_NO_INT);
	assert_int_equal(edges(port), 1);
	/* One edge for each burst. */
	for (i = 0; i < FIFO; i++)
		out(port, UART_TX, 'x');
	assert_int_equal(edges(port), 1);
	assert_int_equal(in(port, UART_IIR), UART_IIR_THRI);
	out(port, UART_TX, 'y');
	assert_int_equal(edges(port), 1);
	/* OUT2 is the gate. */
	assert_int_equal(in(port, UART_IIR), UART_IIR_THRI);
	out(port, UART_MCR, 0);
	out(port, UART_TX, 'z');
	assert_int_equal(edges(port), 0);
	out(port, UART_MCR, UART_MCR_OUT2);
	assert_int_equal(edges(port), 1);
	assert_true(run_loop(port));
	assert_memory_equal(port->sent, "xxxxxxxxxxxxxxxxyz", port->nr_sent);
	assert_int_equal(port->nr_sent, FIFO + 2);
}

static bool transmitter_empty(struct port *port)
{
	uint8_t lsr = in(port, UART_LSR) & (UART_LSR_THRE | UART_LSR_TEMT);

	assert_true(!lsr || lsr == (UART_LSR_THRE | UART_LSR_TEMT));
	return lsr;
}

/* A FIFO's worth each time the transmitter is empty, as drivers do; how much went in. */
static size_t send_until_full(struct port *port, size_t from)
{
	size_t at = from;
	unsigned int i;

	while (transmitter_empty(port)) {
		for (i = 0; i < FIFO; i++)
			out(port, UART_TX, pattern(at++));
		assert_true(at - from <= SERIAL_BUFFER + FIFO);
	}
	return at;
}

static void a_slow_host_loses_nothing(void **state)
{
	static const size_t budgets[] = {0, 1, 1, 5, 16, 17, 100, 4095, 0, 4096, 1};
	struct port *port = *state;
	size_t total = 0, i;

	out(port, UART_MCR, UART_MCR_OUT2);
	out(port, UART_IER, UART_IER_THRI);
	port->budget = 0;
	port->per_call = 7;
	for (i = 0; i < ARRAY_SIZE(budgets); i++) {
		total = send_until_full(port, total);
		run_loop(port);
		assert_false(transmitter_empty(port));
		assert_true(port->serial.state.tx_len <= SERIAL_BUFFER);
		/* Full is not "empty": no such interrupt. */
		assert_int_equal(in(port, UART_IIR), UART_IIR_NO_INT);
		edges(port);
		host_ready(port, budgets[i]);
		assert_int_equal(edges(port), transmitter_empty(port));
	}
	host_ready(port, SIZE_MAX);
	assert_int_equal(port->nr_sent, total);
	for (i = 0; i < total; i++)
		assert_int_equal(port->sent[i], pattern(i));
}

/* A driver that goes by the interrupt alone, and never looks at the line status. */
static void the_interrupt_means_room_for_a_fifo(void **state)
{
	struct port *port = *state;
	size_t start, total, i;

	out(port, UART_MCR, UART_MCR_OUT2);
	for (start = 0; start < FIFO; start++) {
		port->budget = port->nr_sent = total = 0;
		for (i = 0; i < start; i++)
			out(port, UART_TX, pattern(total++));
		out(port, UART_IER, UART_IER_THRI);
		while (in(port, UART_IIR) == UART_IIR_THRI)
			for (i = 0; i < FIFO; i++)
				out(port, UART_TX, pattern(total++));
		host_ready(port, SIZE_MAX);
		assert_int_equal(in(port, UART_IIR), UART_IIR_THRI);
		out(port, UART_IER, 0);
		assert_int_equal(port->nr_sent, total);
		for (i = 0; i < total; i++)
			assert_int_equal(port->sent[i], pattern(i));
	}
}

static void a_driver_that_ignores_full_is_bounded(void **state)
{
	struct port *port = *state;
	size_t i;

	port->budget = 0;
	for (i = 0; i < 3 * SERIAL_BUFFER; i++)
		out(port, UART_TX, pattern(i));
	assert_int_equal(port->serial.state.tx_len, SERIAL_BUFFER);
	host_ready(port, SIZE_MAX);
	assert_int_equal(port->nr_sent, SERIAL_BUFFER);
	for (i = 0; i < SERIAL_BUFFER; i++)
		assert_int_equal(port->sent[i], pattern(i));
	/* Nothing leaves in loop-back. */
	out(port, UART_MCR, UART_MCR_LOOP);
	out(port, UART_TX, 'x');
	serial_flush(&port->serial);
	assert_int_equal(port->nr_sent, SERIAL_BUFFER);
	assert_int_equal(in(port, UART_LSR) & UART_LSR_DR, 0);
}

/* What the guest sent before its end leaves, nothing after it does. */
static void the_end_is_the_end(void **state)
{
	struct port *port = *state;

	out(port, UART_TX, pattern(0));
	serial_end(&port->serial);
	out(port, UART_TX, pattern(1));
	assert_true(in(port, UART_LSR) & UART_LSR_THRE);
	host_ready(port, SIZE_MAX);
	out(port, UART_TX, pattern(2));
	host_ready(port, SIZE_MAX);
	assert_int_equal(port->nr_sent, 1);
	assert_int_equal(port->sent[0], pattern(0));
}

/* The first byte wakes the loop; there is no need to for those behind it. */
static void output_wakes_the_loop(void **state)
{
	struct port *port = *state;
	size_t i;

	for (i = 1; i <= 3; i++) {
		assert_false(run_loop(port));
		out(port, UART_TX, 'x');
		out(port, UART_TX, 'x');
		assert_true(run_loop(port));
		assert_int_equal(port->nr_sent, 2 * i);
	}
}

static void any_width_offset_and_value(void **state)
{
	struct port *port = *state;
	uint64_t offset;
	unsigned int len, value;

	for (offset = 0; offset < 16; offset++)
		for (len = 1; len <= 8; len++)
			for (value = 0; value < 256; value++) {
				uint64_t read;

				port_write(port, offset, value * 0x0101010101010101u, len);
				read = port_read(port, offset, len);
				/* One register, whatever the width. */
				assert_true(read <= 0xff);
				if (offset > UART_SCR)
					assert_int_equal(read, 0);
				run_loop(port);
				port->nr_sent = 0;
			}
	port_write(port, UINT64_MAX, 1, 8);
	assert_int_equal(port_read(port, UINT64_MAX, 8), 0);
	assert_true(port->serial.state.tx_len <= SERIAL_BUFFER);
}

/* No host at all: output goes nowhere and is never in the way. */
static void nobody_listens(void **state)
{
	struct serial_host nobody = {0};
	struct event_loop loop;
	struct serial serial;
	unsigned int i;

	(void)state;
	assert_int_equal(event_loop_init(&loop), 0);
	assert_int_equal(serial_init(&serial, "nobody", &nobody, &loop), 0);
	for (i = 0; i < SERIAL_BUFFER; i++)
		serial.device.ops->write(&serial.device, UART_TX, "x", 1);
	serial_flush(&serial);
	assert_int_equal(serial.state.tx_len, 0);
	serial_fini(&serial);
	event_loop_fini(&loop);
	serial = (struct serial){.wake_fd = -1};
	serial_fini(&serial);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		port_test(probed_as_16550a),
		port_test(transmitter_interrupt),
		port_test(the_end_is_the_end),
		port_test(a_slow_host_loses_nothing),
		port_test(the_interrupt_means_room_for_a_fifo),
		port_test(a_driver_that_ignores_full_is_bounded),
		port_test(output_wakes_the_loop),
		port_test(any_width_offset_and_value),
		cmocka_unit_test(nobody_listens),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
