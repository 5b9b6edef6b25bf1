/* SPDX-License-Identifier: Apache-2.0 */
/* COM1 as an 8250: its registers, what it sends and what it receives. */
#include "guest.h"

#include <linux/serial_reg.h>

#define OUTPUT_SIZE 65536
#define FIFO_SIZE 16
#define LINE_SIZE 64

/* What a driver looks at to tell that a UART is there: 8250_port.c of Linux, autoconfig. */
static void check_registers(void)
{
	out8(COM1 + UART_SCR, 0xa5);
	check_equal("scratch register", in8(COM1 + UART_SCR), 0xa5);
	out8(COM1 + UART_IER, 0xff);
	check_equal("interrupt enable has four bits", in8(COM1 + UART_IER), 0xf);
	out8(COM1 + UART_IER, 0);
	check_equal("no interrupt", in8(COM1 + UART_IIR), UART_IIR_NO_INT);
	out8(COM1 + UART_FCR, UART_FCR_ENABLE_FIFO);
	check_equal("FIFO", in8(COM1 + UART_IIR), 0xc0 | UART_IIR_NO_INT);
	check_equal("line control", in8(COM1 + UART_LCR), 0);
	out8(COM1 + UART_LCR, UART_LCR_DLAB);
	out8(COM1 + UART_DLL, 12);
	out8(COM1 + UART_DLM, 34);
	out8(COM1 + UART_LCR, UART_LCR_WLEN8);
	check_equal("divisor latch hides", in8(COM1 + UART_IER), 0);
	out8(COM1 + UART_LCR, UART_LCR_DLAB);
	check_equal("divisor low", in8(COM1 + UART_DLL), 12);
	check_equal("divisor high", in8(COM1 + UART_DLM), 34);
	out8(COM1 + UART_LCR, UART_LCR_WLEN8);
	check_equal("modem lines", in8(COM1 + UART_MSR) & 0xf0,
		    UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS);
}

static void check_loopback(void)
{
	static const struct {
		const char *name;
		uint8_t out, in;
	} lines[] = {{"loop-back of DTR", UART_MCR_DTR, UART_MSR_DSR},
		     {"loop-back of RTS", UART_MCR_RTS, UART_MSR_CTS},
		     {"loop-back of OUT1", UART_MCR_OUT1, UART_MSR_RI},
		     {"loop-back of OUT2", UART_MCR_OUT2, UART_MSR_DCD}};
	uint8_t found[ARRAY_SIZE(lines)];
	size_t i;

	for (i = 0; i < ARRAY_SIZE(lines); i++) {
		out8(COM1 + UART_MCR, UART_MCR_LOOP | lines[i].out);
		found[i] = in8(COM1 + UART_MSR) & 0xf0;
		out8(COM1 + UART_TX, '!'); /* goes nowhere */
	}
	out8(COM1 + UART_MCR, 0);
	for (i = 0; i < ARRAY_SIZE(lines); i++)
		check_equal(lines[i].name, found[i], lines[i].in);
}

/* As many bytes as a FIFO takes, in one instruction: KVM may hand them over in one exit. */
static void send_fifo(const uint8_t *data, uint64_t len)
{
	while (!(in8(COM1 + UART_LSR) & UART_LSR_THRE))
		cpu_relax();
	__asm__ volatile("rep outsb" : "+S"(data), "+c"(len) : "d"(COM1 + UART_TX) : "memory");
}

/* Lines of letters in no order, then their checksum. */
static void send_output(void)
{
	uint8_t fifo[FIFO_SIZE];
	uint32_t random = 1, crc = 0, i;

	for (i = 0; i < OUTPUT_SIZE; i++) {
		random = random * 1664525 + 1013904223;
		fifo[i % FIFO_SIZE] = 'A' + (random >> 28);
		if (i % LINE_SIZE == LINE_SIZE - 1)
			fifo[i % FIFO_SIZE] = '\n';
		crc = crc32_add(crc, fifo[i % FIFO_SIZE]);
		if (i % FIFO_SIZE == FIFO_SIZE - 1)
			send_fifo(fifo, FIFO_SIZE);
	}
	print_number(crc);
	print("\n");
}

/*
 * Nothing comes before RTS says that somebody listens, and then nothing is lost, though this
 * guest stops listening after every so many bytes. Ends with a NUL byte.
 */
static void echo_input(void)
{
	uint8_t fifo[FIFO_SIZE];
	uint32_t got = 0;
	bool early = false, ended = false;

	while (!ended) {
		uint32_t len = 0;

		if (got % 4096 == 0) {
			out8(COM1 + UART_MCR, 0);
			early |= in8(COM1 + UART_LSR) & UART_LSR_DR;
			out8(COM1 + UART_MCR, UART_MCR_RTS);
		}
		while (len < FIFO_SIZE && !ended) {
			uint8_t byte = serial_in();

			ended = !byte;
			if (!ended)
				fifo[len++] = byte >= 'a' && byte <= 'z' ? byte - 32 : byte;
		}
		got += len;
		send_fifo(fifo, len);
	}
	check("nothing was received without RTS", !early);
}

void guest_main(const void *info)
{
	const char *cmdline = guest_cmdline(info);

	if (cmdline_has(cmdline, "output"))
		send_output();
	else if (cmdline_has(cmdline, "echo"))
		echo_input();
	else {
		check_registers();
		check_loopback();
	}
}
