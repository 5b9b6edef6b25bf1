/* SPDX-License-Identifier: Apache-2.0 */
#include "serial.h"

#include <errno.h>
#include <linux/serial_reg.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "util.h"

/* A driver that saw the transmitter empty sends a FIFO's worth without looking again. */
#define FIFO_SIZE 16u

static bool tx_ready(const struct serial_state *state)
{
	return state->tx_len <= SERIAL_BUFFER - FIFO_SIZE;
}

static bool rx_ready(const struct serial_state *state)
{
	return state->rx_len && (state->mcr & (UART_MCR_RTS | UART_MCR_LOOP)) == UART_MCR_RTS;
}

/* The most urgent interrupt that is enabled, as the identification register codes it. */
static uint8_t pending_interrupt(const struct serial_state *state)
{
	if (state->ier & UART_IER_RDI && rx_ready(state))
		return UART_IIR_RDI;
	if (state->ier & UART_IER_THRI && state->thr_interrupt)
		return UART_IIR_THRI;
	return UART_IIR_NO_INT;
}

/* The interrupt is an edge: told once each time the line goes up. OUT2 gates it, as on a PC. */
static void update_line(struct serial *serial)
{
	bool up = pending_interrupt(&serial->state) != UART_IIR_NO_INT &&
		  serial->state.mcr & UART_MCR_OUT2;

	if (up && !serial->state.line)
		irq_line_trigger(&serial->irq);
	serial->state.line = up;
}

static void wake_loop(struct serial *serial)
{
	eventfd_write(serial->wake_fd, 1);
}

static bool rx_push(struct serial_state *state, const uint8_t *data, size_t len)
{
	uint32_t end, first;

	if (len > SERIAL_BUFFER - state->rx_len)
		return false;
	end = (state->rx_start + state->rx_len) % SERIAL_BUFFER;
	first = MIN((uint32_t)len, SERIAL_BUFFER - end);
	memcpy(state->rx + end, data, first);
	memcpy(state->rx, data + first, len - first);
	state->rx_len += (uint32_t)len;
	return true;
}

static uint8_t rx_pop(struct serial *serial)
{
	struct serial_state *state = &serial->state;
	uint8_t byte;

	if (!rx_ready(state))
		return 0;
	byte = state->rx[state->rx_start];
	state->rx_start = (state->rx_start + 1) % SERIAL_BUFFER;
	state->rx_len--;
	/* Half empty: the time to fetch more, without one wake-up per byte. */
	if (state->rx_len == SERIAL_BUFFER / 2 || !state->rx_len)
		wake_loop(serial);
	return byte;
}

static void tx_push(struct serial *serial, uint8_t byte)
{
	struct serial_state *state = &serial->state;

	/* In loop-back mode nothing leaves; drivers only look at the modem lines there. */
	if (!(state->mcr & UART_MCR_LOOP) && state->tx_len < SERIAL_BUFFER && !serial->ended) {
		state->tx[state->tx_len++] = byte;
		if (state->tx_len == 1)
			wake_loop(serial);
	}
	/* A write takes back what was said before: there may be no room left for a FIFO's worth. */
	state->thr_interrupt = tx_ready(state);
}

static uint8_t read_iir(struct serial *serial)
{
	struct serial_state *state = &serial->state;
	uint8_t iir = pending_interrupt(state);

	if (iir == UART_IIR_THRI)
		state->thr_interrupt = false;
	return state->fcr & UART_FCR_ENABLE_FIFO ? iir | 0xc0 : iir;
}

static uint8_t read_lsr(const struct serial_state *state)
{
	uint8_t lsr = 0;

	if (rx_ready(state))
		lsr |= UART_LSR_DR;
	if (tx_ready(state))
		lsr |= UART_LSR_THRE | UART_LSR_TEMT;
	return lsr;
}

/* The other end is always there and ready; in loop-back mode it is our own outputs. */
static uint8_t read_msr(const struct serial_state *state)
{
	uint8_t msr = 0;

	if (!(state->mcr & UART_MCR_LOOP))
		return UART_MSR_DCD | UART_MSR_DSR | UART_MSR_CTS;
	if (state->mcr & UART_MCR_DTR)
		msr |= UART_MSR_DSR;
	if (state->mcr & UART_MCR_RTS)
		msr |= UART_MSR_CTS;
	if (state->mcr & UART_MCR_OUT1)
		msr |= UART_MSR_RI;
	if (state->mcr & UART_MCR_OUT2)
		msr |= UART_MSR_DCD;
	return msr;
}

static void serial_read(struct device *device, uint64_t offset, void *ret_data, unsigned int len)
{
	struct serial *serial = container_of(device, struct serial, device);
	struct serial_state *state = &serial->state;
	bool divisor = state->lcr & UART_LCR_DLAB;
	uint8_t value = 0;

	(void)len; /* a wider access finds one register, and zeroes */
	switch (offset) {
	case UART_RX:
		value = divisor ? state->dll : rx_pop(serial);
		break;
	case UART_IER:
		value = divisor ? state->dlm : state->ier;
		break;
	case UART_IIR:
		value = read_iir(serial);
		break;
	case UART_LCR:
		value = state->lcr;
		break;
	case UART_MCR:
		value = state->mcr;
		break;
	case UART_LSR:
		value = read_lsr(state);
		break;
	case UART_MSR:
		value = read_msr(state);
		break;
	case UART_SCR:
		value = state->scr;
		break;
	default:
		break;
	}
	*(uint8_t *)ret_data = value;
	update_line(serial);
}

static void write_ier(struct serial_state *state, uint8_t value)
{
	/* To enable the transmitter's interrupt while it is empty raises it. */
	if (value & UART_IER_THRI && !(state->ier & UART_IER_THRI) && tx_ready(state))
		state->thr_interrupt = true;
	state->ier = value & 0xf;
}

static void serial_write(struct device *device, uint64_t offset, const void *data, unsigned int len)
{
	struct serial *serial = container_of(device, struct serial, device);
	struct serial_state *state = &serial->state;
	bool divisor = state->lcr & UART_LCR_DLAB;
	uint8_t value = *(const uint8_t *)data;

	(void)len;
	switch (offset) {
	case UART_TX:
		if (divisor)
			state->dll = value;
		else
			tx_push(serial, value);
		break;
	case UART_IER:
		if (divisor)
			state->dlm = value;
		else
			write_ier(state, value);
		break;
	case UART_FCR:
		/* Clearing the receive FIFO would lose input that a real line had not yet sent. */
		state->fcr = value & UART_FCR_ENABLE_FIFO;
		break;
	case UART_LCR:
		state->lcr = value;
		break;
	case UART_MCR:
		state->mcr = value & 0x1f;
		break;
	case UART_SCR:
		state->scr = value;
		if (serial->host.scratch)
			serial->host.scratch(serial->host.ctx, value);
		break;
	default:
		break;
	}
	update_line(serial);
}

static const struct device_ops serial_ops = {serial_read, serial_write};

void serial_resume(struct serial *serial)
{
	struct serial_state *state = &serial->state;
	bool was_ready = tx_ready(state);
	size_t taken;

	while (state->tx_len) {
		taken = serial->host.transmit
				? serial->host.transmit(serial->host.ctx, state->tx, state->tx_len)
				: state->tx_len;
		if (!taken)
			break;
		state->tx_len -= (uint32_t)taken;
		memmove(state->tx, state->tx + taken, state->tx_len);
	}
	if (!was_ready && tx_ready(state)) {
		state->thr_interrupt = true;
		update_line(serial);
	}
}

void serial_flush(struct serial *serial)
{
	pthread_mutex_lock(&serial->device.lock);
	serial_resume(serial);
	pthread_mutex_unlock(&serial->device.lock);
}

void serial_end(struct serial *serial)
{
	pthread_mutex_lock(&serial->device.lock);
	serial->ended = true;
	pthread_mutex_unlock(&serial->device.lock);
}

/* Loop thread: the guest sent something, or made room for more. */
static void serial_work(void *ctx, uint32_t events)
{
	struct serial *serial = ctx;
	eventfd_t count;

	(void)events;
	eventfd_read(serial->wake_fd, &count);
	serial_resume(serial);
	if (serial->host.room && serial->state.rx_len <= SERIAL_BUFFER / 2)
		serial->host.room(serial->host.ctx);
}

size_t serial_room(struct serial *serial)
{
	return SERIAL_BUFFER - serial->state.rx_len;
}

bool serial_receive(struct serial *serial, const void *data, size_t len)
{
	if (!rx_push(&serial->state, data, len))
		return false;
	/* An edge even if the line is up: drivers give up on long bursts, with input left. */
	serial->state.line = false;
	update_line(serial);
	return true;
}

int serial_init(struct serial *serial, const char *name, const struct serial_host *host,
		struct event_loop *loop)
{
	int err;

	*serial = (struct serial){.host = *host, .loop = loop, .irq.fd = -1};
	device_init(&serial->device, &serial_ops, name);
	serial->wake_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (serial->wake_fd < 0)
		return -errno;
	err = irq_line_init(&serial->irq);
	if (err)
		return err;
	serial->wake = (struct event_watch){.fd = serial->wake_fd,
					    .fn = serial_work,
					    .ctx = serial,
					    .lock = &serial->device.lock};
	return event_loop_add(loop, &serial->wake, EPOLLIN);
}

void serial_fini(struct serial *serial)
{
	if (!serial->loop)
		return;
	event_loop_remove(serial->loop, &serial->wake);
	irq_line_fini(&serial->irq);
	close_fd_ptr(&serial->wake_fd);
	serial->loop = NULL;
}
