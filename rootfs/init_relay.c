/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything here is non-blocking but the one poll. Output is read only when the link has room
 * for it, input only as fast as the command takes it: the buffers between are the kernel's
 * pipes and the link's two queues, and neither direction waits for the other.
 */
#include "init_relay.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <termios.h>
#include <unistd.h>

#include "init_link.h"
#include "init_proc.h"

/* How much of the first input frame the command has taken. */
static size_t in_done;

/* How much the command has taken that husk has not been told of. */
static uint32_t in_taken;

/* The last byte of input on a terminal: is it in the middle of a line? */
static char in_last = '\n';

static void input_close(struct command *command)
{
	if (command->in >= 0 && !command->tty) {
		close(command->in);
		command->in = -1;
	}
}

/*
 * End of file. A terminal has none, but a character that ends the line being read, and an empty
 * line is end of file: where a line is begun, the first one only passes it on. A program that has
 * switched its terminal to single characters is not told. False when the terminal takes no more.
 */
static bool end_input(struct command *command)
{
	ssize_t wanted = in_last == '\n' ? 1 : 2, n;
	struct termios tty;
	char eof[2];

	if (!command->tty) {
		input_close(command);
		return true;
	}
	if (tcgetattr(command->in, &tty) < 0 || !(tty.c_lflag & ICANON))
		return true;
	eof[0] = eof[1] = (char)tty.c_cc[VEOF];
	n = write(command->in, eof, (size_t)wanted);
	if (n > 0)
		in_last = '\n';
	return n == wanted;
}

/* Pass a frame's bytes on; true when all are gone. */
static bool feed_input(struct command *command, const char *bytes, size_t len)
{
	while (command->in >= 0 && in_done < len) {
		ssize_t n = write(command->in, bytes + in_done, len - in_done);

		if (n > 0) {
			in_done += (size_t)n;
			in_last = bytes[in_done - 1];
		} else if (n == 0 || errno == EAGAIN) {
			return false;
		} else if (errno != EINTR) {
			/* The command has closed its input: the rest is dropped. */
			input_close(command);
			break;
		}
	}
	in_done = 0;
	return true;
}

/* Obey the frames received; true while the first of them waits for the command to read. */
static bool handle_input(struct command *command)
{
	const struct link_header *header;
	struct link_winsize size;
	const void *payload;

	while ((header = link_peek(&payload))) {
		switch (header->type) {
		case LINK_STDIN:
			if (header->len ? !feed_input(command, payload, header->len)
					: !end_input(command))
				return true;
			in_taken += header->len;
			break;
		case LINK_WINSIZE:
			if (header->len == sizeof(size)) {
				memcpy(&size, payload, sizeof(size));
				command_resize(command, size.rows, size.cols);
			}
			break;
		}
		link_consume();
	}
	return false;
}

/* Relay one frame from *fd, which is closed at its end; false when there was none. */
static bool relay_output(int *fd, enum link_type type)
{
	void *room = link_reserve();
	ssize_t n;

	if (!room || *fd < 0)
		return false;
	n = read(*fd, room, LINK_PAYLOAD_MAX);
	if (n > 0) {
		link_commit(type, (size_t)n);
	} else if (n == 0) {
		close(*fd);
		*fd = -1;
	}
	return n > 0;
}

/* Lets husk send more input, as soon as the link has room to say so. */
static void tell_taken(void)
{
	struct link_taken taken = {.bytes = in_taken};
	void *room = in_taken ? link_reserve() : NULL;

	if (!room)
		return;
	memcpy(room, &taken, sizeof(taken));
	link_commit(LINK_TAKEN, sizeof(taken));
	in_taken = 0;
	link_write();
}

/* One wait, and all that is possible after it. */
static void relay_step(struct command *command, bool *in_waits)
{
	bool room = link_reserve() != NULL;
	struct pollfd fds[] = {
		{.fd = link_fd(), .events = link_events()},
		{.fd = *in_waits ? command->in : -1, .events = POLLOUT},
		{.fd = room ? command->out : -1, .events = POLLIN},
		{.fd = room ? command->err : -1, .events = POLLIN},
	};

	if (proc_poll(fds, sizeof(fds) / sizeof(*fds)) <= 0)
		return;
	if (fds[2].revents)
		relay_output(&command->out, LINK_STDOUT);
	if (fds[3].revents)
		relay_output(&command->err, LINK_STDERR);
	link_write();
	if (fds[0].revents & POLLIN)
		link_read();
	*in_waits = handle_input(command);
	tell_taken();
}

/* Reap what ended; true, with its exit status, if the command is among it. */
static bool command_ended(const struct command *command, uint8_t *ret_status)
{
	int status;
	pid_t pid;

	while ((pid = waitpid(-1, &status, WNOHANG)) > 0) {
		if (pid == command->pid) {
			*ret_status = exit_status(status);
			return true;
		}
	}
	return false;
}

uint8_t relay_run(struct command *command)
{
	bool in_waits = false;
	uint8_t status;

	for (;;) {
		if (proc_child_event() && command_ended(command, &status))
			return status;
		if (proc_end_asked())
			return 0;
		relay_step(command, &in_waits);
	}
}

static void relay_stream(int *fd, enum link_type type)
{
	struct pollfd writable = {.fd = link_fd(), .events = POLLOUT};

	for (;;) {
		if (!link_reserve()) {
			poll(&writable, 1, -1);
			link_write();
		} else if (!relay_output(fd, type)) {
			return;
		}
	}
}

void relay_rest(struct command *command)
{
	relay_stream(&command->out, LINK_STDOUT);
	relay_stream(&command->err, LINK_STDERR);
}
