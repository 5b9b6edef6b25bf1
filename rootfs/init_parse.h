/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What init reads, turned into structs: the run file, the kernel command line, ip=, frames,
 * /proc/self/mounts. Pure: no system call, no state, silent; so all of it is unit-tested.
 *
 * Parsers that take a `char *` cut that text into strings in place, and what they return points
 * into it: the text must outlive the result.
 */
#ifndef HUSK_INIT_PARSE_H
#define HUSK_INIT_PARSE_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include "link.h"

/* The run file (link.h). */
struct run_spec {
	bool tty;
	uint16_t rows;
	uint16_t cols;
	const char *cwd;
	char **argv; /* NULL-terminated, at least one string */
	char **envp; /* NULL-terminated, with PATH, HOME and (tty) TERM where they were not given */
};

/*
 * Parse the `len` bytes of a run file. Returns 0, -EINVAL with *ret_bad naming the record at
 * fault, or -ENOMEM. The caller owns the arrays argv and envp.
 */
int run_parse(char *text, size_t len, struct run_spec *ret_spec, const char **ret_bad);

/* As many interfaces as husk gives a guest, each told once by husk and once by the user. */
#define BOOT_IPS_MAX 8

/* What init obeys of the kernel command line; NULL where it says nothing. */
struct boot_spec {
	const char *root;	 /* root= */
	const char *rootfstype;	 /* rootfstype=, a list with commas */
	const char *rootflags;	 /* rootflags= */
	char *ips[BOOT_IPS_MAX]; /* ip=, one for each interface; in order */
	size_t nr_ips;
	bool rw; /* the last of ro and rw; read-only like the kernel when neither */
};

/* Parse a kernel command line with the kernel's rules: double quotes, "--" ends, last one wins. */
void cmdline_parse(char *text, struct boot_spec *ret_spec);

enum ip_mode { IP_NONE, IP_STATIC, IP_DHCP };

/* ip=, as in the kernel's Documentation/admin-guide/nfs/nfsroot.rst. Absent addresses are zero. */
struct ip_spec {
	enum ip_mode mode;
	struct in_addr client;
	struct in_addr gateway;
	struct in_addr netmask; /* also from "CLIENT/BITS" */
	struct in_addr dns[2];
	const char *hostname; /* NULL when not given */
	const char *device;
};

/* Returns 0, or -EINVAL with *ret_bad naming the field at fault. */
int ip_parse(char *text, struct ip_spec *ret_spec, const char **ret_bad);

/*
 * Look at the start of `len` received bytes. Returns the size of the frame there, header
 * included, 0 when more bytes are needed, or -EPROTO when this cannot be a frame.
 */
ssize_t frame_parse(const void *bytes, size_t len, struct link_header *ret_header);

/* One line of /proc/self/mounts. */
struct mount_entry {
	const char *source;
	const char *dir;
	bool rw;
};

/* Parse the line at *cursor and step past it; false at the end. */
bool mount_parse(char **cursor, struct mount_entry *ret_entry);

/*
 * Candidates for `name` in a PATH-like list, in turn: writes "DIR/NAME" into buf. Start with
 * *cursor = path; false when there are no more. Candidates too long for buf are left out.
 */
bool path_next(const char **cursor, const char *name, char *buf, size_t size);

/* The value of `name` in an environment, or NULL. */
const char *env_get(char *const *envp, const char *name);

/* Do these first bytes of a file, which has no program format the kernel knows, look like a
 * script? Shells decide it the same way: text has no NUL byte. */
bool is_script(const void *bytes, size_t len);

/* A wait status as a shell has it. */
uint8_t exit_status(int wait_status);

#endif
