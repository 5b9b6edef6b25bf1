/* SPDX-License-Identifier: Apache-2.0 */
/*
 * husk's own standard streams, on the event loop: nothing here blocks it, and the streams'
 * flags, which other processes share, are left as they are.
 *
 * Silent. For the loop thread.
 */
#ifndef HUSK_HOST_IO_H
#define HUSK_HOST_IO_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <termios.h>

#include "event_loop.h"

/*
 * Descriptors of husk's own for its standard streams; -1 with one that is closed. Of a pipe or a
 * terminal they are opened anew (by /proc/self/fd), so that they can be non-blocking while those
 * that other processes share stay as they are.
 */
struct host_streams {
	int in, out, err;
};
void host_streams_open(struct host_streams *ret_streams);
void host_streams_close(struct host_streams *streams);
/* The same for one stream, to read (O_RDONLY) or write (O_WRONLY). -1 and errno: it is closed. */
int host_stream_open(int fd, int mode);

/*
 * An output stream. A write that the other side has no room for is cut short; `ready` is called
 * when there is room again.
 */
struct host_output {
	struct event_loop *loop;
	struct event_watch watch; /* its fd is ours */
	bool pollable;		  /* false: a regular file, always ready */
	int error;		  /* errno of the write that failed; EPIPE: nobody reads any more */
	void (*ready)(void *ctx);
	void *ctx;
};

/*
 * `fd` is of host_streams; it is duplicated. `lock` (or NULL) is held around `ready`. 0 or -errno.
 * host_output_fini takes a zeroed one.
 */
int host_output_init(struct host_output *output, int fd, struct event_loop *loop,
		     pthread_mutex_t *lock, void (*ready)(void *ctx), void *ctx);
void host_output_fini(struct host_output *output);
/* Returns how much was written, perhaps 0. After an error, everything is taken and dropped. */
size_t host_output_write(struct host_output *output, const void *data, size_t len);

/* An input stream. It is read only while somebody wants it. */
struct host_input {
	int fd; /* ours */
	struct event_loop *loop;
	struct event_watch watch;
	int always_fd; /* for a regular file: something that always polls as readable */
	void (*ready)(void *ctx);
	void *ctx;
};

/*
 * `fd` as for host_output_init. `ready` means there is something to read, or the end; it calls
 * host_input_read. `lock` (or NULL) is held around it. 0 or -errno. host_input_fini takes a zeroed
 * one.
 */
int host_input_init(struct host_input *input, int fd, struct event_loop *loop,
		    pthread_mutex_t *lock, void (*ready)(void *ctx), void *ctx);
void host_input_fini(struct host_input *input);
/* Whether `ready` is to be called; not wanted to start with. */
void host_input_want(struct host_input *input, bool want);
/* Bytes read; 0: the end of the input; -EAGAIN: nothing there after all. From `ready` only. */
ssize_t host_input_read(struct host_input *input, void *ret_data, size_t len);

/* Whether both streams are a terminal that husk may take over. */
bool host_terminal_is_ours(int in_fd, int out_fd);
/* Size of the terminal; 24 by 80 if it does not say. */
void host_terminal_size(int fd, uint16_t *ret_rows, uint16_t *ret_cols);
/* Every key goes to the guest from now on; restore puts back what was there. 0 or -errno. */
int host_terminal_raw(int fd, struct termios *ret_saved);
void host_terminal_restore(int fd, const struct termios *saved);

#endif
