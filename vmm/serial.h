/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Serial port: a 16550A UART. National Semiconductor PC16550D data sheet.
 *
 * Silent. Registers are served on vCPU threads; bytes leave and enter on the loop thread. Both
 * under the device's lock.
 *
 * Theory. There is no baud rate: a byte is sent as soon as it is written, unless the host is
 * behind; then the transmitter stays "not empty" and the guest waits, so what husk keeps is
 * bounded. A received byte is shown to the guest while RTS is raised only, which is how a guest
 * with RTS/CTS flow control holds off what it has no room for; no byte is ever overrun.
 */
#ifndef HUSK_SERIAL_H
#define HUSK_SERIAL_H

#include <stddef.h>
#include <stdint.h>

#include "device.h"
#include "event_loop.h"
#include "irq_line.h"

#define SERIAL_BUFFER 4096u

/*
 * The host side; called on the loop thread with the lock held. Either may be NULL.
 */
struct serial_host {
	/* Bytes the guest sent; returns how many were taken. After fewer than len: serial_resume.
	 */
	size_t (*transmit)(void *ctx, const uint8_t *data, size_t len);
	/* There is room for serial_receive again. */
	void (*room)(void *ctx);
	void *ctx;
	/* The guest wrote the scratch register. On a vCPU's thread, with the lock; may be NULL. */
	void (*scratch)(void *ctx, uint8_t value);
};

/* What a snapshot keeps; flat. */
struct serial_state {
	uint8_t ier, fcr, lcr, mcr, scr, dll, dlm;
	uint8_t thr_interrupt; /* the transmitter became empty and nobody has been told */
	uint8_t line;	       /* level of the interrupt line */
	uint32_t tx_len, rx_len, rx_start;
	uint8_t tx[SERIAL_BUFFER]; /* from the guest, in order from 0 */
	uint8_t rx[SERIAL_BUFFER]; /* to the guest, a ring */
};

struct serial {
	struct device device;
	struct serial_state state;
	struct irq_line irq;
	struct serial_host host;
	struct event_loop *loop;
	int wake_fd; /* a vCPU has work for the loop thread */
	bool ended;
	struct event_watch wake;
};

/* `name` and `loop` are borrowed. 0 or -errno. serial_fini takes a zeroed one. */
int serial_init(struct serial *serial, const char *name, const struct serial_host *host,
		struct event_loop *loop);
void serial_fini(struct serial *serial);

/*
 * For the loop thread.
 */

/* Bytes that serial_receive would take now. */
size_t serial_room(struct serial *serial);
/* Sends bytes to the guest; all of them, or none (false) if there is no room. */
bool serial_receive(struct serial *serial, const void *data, size_t len);
/* The host takes transmitted bytes again. */
void serial_resume(struct serial *serial);
/* The same, for who does not hold the lock. */
void serial_flush(struct serial *serial);
/* The guest is at its end: what it sends from now on is lost. For who does not hold the lock. */
void serial_end(struct serial *serial);

#endif
