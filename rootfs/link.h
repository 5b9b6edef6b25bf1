/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest link: how husk and its init (PID 1 of the guest) talk.
 *
 * Two channels, both written once, both with no limit a user would meet:
 *
 * 1. The run file. husk appends a cpio archive to the initrd. It holds the init
 *    (LINK_INIT_PATH) and the run file (LINK_RUN_PATH), which says what to run: records
 *    "key=value" that each end in a NUL byte, in this order of meaning:
 *
 *	tty=0|1		1: give the command a pseudo terminal for all of its stdio
 *	rows=N cols=N	first size of that terminal (two records)
 *	cwd=DIR		working folder (default "/")
 *	env=NAME=VALUE	one per variable
 *	arg=TEXT	one per argument, argv[0] first
 *
 *    Root and network travel under their standard names on the kernel command line
 *    (root=, rootfstype=, ro, rw, ip=), where the user may override them.
 *
 * 2. Frames on the second serial port (LINK_TTY, raw, RTS/CTS), both ways: a header, then
 *    `len` bytes of payload. The first serial port is the kernel's console alone, so the
 *    command's output never mixes with kernel messages.
 *
 * Everything a frame from the guest holds is untrusted: the receiver bounds `len` by
 * LINK_PAYLOAD_MAX and ignores types it does not know.
 */
#ifndef HUSK_LINK_H
#define HUSK_LINK_H

#include <stdint.h>

#define LINK_INIT_PATH "/husk/init"
#define LINK_RUN_PATH "/husk/run"
#define LINK_TTY "/dev/ttyS1"
#define LINK_PAYLOAD_MAX 1024u
/*
 * Bytes of standard input that husk may have sent and not seen taken (LINK_TAKEN): a port without
 * a baud rate would otherwise keep a guest in its interrupt handler for as long as there is input.
 */
#define LINK_WINDOW (3 * LINK_PAYLOAD_MAX)

/*
 * Where husk keeps time (--timing, --metrics), the kernel command line has this word, which the
 * kernel hands to init as a variable. Init then says that it starts by a write of LINK_INIT_STARTS
 * to the scratch register of its port, its very first act, and sends the kernel's milestones.
 */
#define LINK_TIMING "husk_timing"
#define LINK_SCRATCH_PORT 0x2ff
#define LINK_INIT_STARTS 0x69

/* On the wire: type, zero, length (little endian). x86 and aarch64 are both little endian. */
struct link_header {
	uint8_t type;
	uint8_t zero;
	uint16_t len;
} __attribute__((packed));

enum link_type {
	/* husk to guest */
	LINK_STDIN = 1,	  /* bytes for the command's standard input; empty: end of file */
	LINK_WINSIZE = 2, /* struct link_winsize; only with tty=1 */

	/* guest to husk */
	LINK_READY = 16,   /* init runs (no payload) */
	LINK_STARTED = 17, /* the command was executed (no payload) */
	LINK_STDOUT = 18,  /* bytes the command wrote; with tty=1 everything arrives here */
	LINK_STDERR = 19,
	/*
	 * The verdict, the last frame: struct link_exit, then, where it was not the command
	 * itself that ended, one line of text for the user (no newline). Sent after all
	 * output was relayed and all file systems are synced.
	 */
	LINK_EXIT = 20,
	LINK_MILESTONE = 22, /* struct link_milestone */
	LINK_TAKEN = 21,     /* struct link_taken: the command took that much of its input */
};

struct link_winsize {
	uint16_t rows;
	uint16_t cols;
} __attribute__((packed));

struct link_taken {
	uint32_t bytes;
} __attribute__((packed));

enum link_milestone_kind {
	LINK_KERNEL_STARTS, /* and has a clock */
	LINK_KERNEL_MEMORY, /* its memory is set up */
	LINK_KERNEL_CPUS,   /* its CPUs are up */
	LINK_KERNEL_DONE,   /* it has freed what only its start needed */
	LINK_MILESTONES
};

struct link_milestone {
	uint8_t which;	    /* enum link_milestone_kind */
	uint64_t before_us; /* how long it was before init's first act */
} __attribute__((packed));

struct link_exit {
	uint8_t status; /* as a shell has it: 0..255, 128 + N for signal N, 125, 126, 127 */
} __attribute__((packed));

#endif
