/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What VM the user asked for: the command line, or a config file in Firecracker's format, turned
 * into one struct vm_config.
 *
 * config.c chooses among the commands; config_run.c reads the options of "husk run" (config_net.c
 * the value of --net), config_flags.c Firecracker's flags, config_json.c its config file;
 * config_build.c holds what they share.
 *
 * Pure: apart from the config file itself nothing is opened, so everything here can be checked
 * without a machine. Logs, once, why a request is refused: which option or key, and what to do.
 */
#ifndef HUSK_CONFIG_H
#define HUSK_CONFIG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "seccomp.h"

#define CONFIG_DRIVES_MAX 12
#define CONFIG_NICS_MAX 4
#define CONFIG_CPUS_MAX 32
#define CONFIG_MEMORY_MIN (32ull << 20)
#define CONFIG_MEMORY_MAX (4ull << 40) /* a KVM memory slot has fewer than 2^31 pages */
#define CONFIG_MTU_MIN 68	       /* virtio 1.2, 5.1.4.1 */
#define CONFIG_MTU_MAX 65535

#define CONFIG_EXIT_HUSK 125	  /* husk run, husk doctor */
#define CONFIG_EXIT_FILE 1	  /* Firecracker's, for a bad config file */
#define CONFIG_EXIT_ARGUMENTS 153 /* Firecracker's, for bad arguments */

enum config_mode {
	CONFIG_RUN,	/* husk run: boot, run a command, exit with its status */
	CONFIG_FILE,	/* --config-file F --no-api: boot what the file says */
	CONFIG_DOCTOR,	/* husk doctor */
	CONFIG_HELP,	/* text is on standard output already */
	CONFIG_SECCOMP, /* --print-seccomp: the filters of a VM that has everything */
};

struct drive_config {
	char *id; /* "root", "drive1", ... or what the user named it */
	char *path;
	bool read_only;
	bool is_root;	/* the kernel's root= points to it; such a drive is the first */
	char *partuuid; /* root=PARTUUID=...; NULL: the whole disk */
};

enum nic_kind { NIC_TAP, NIC_FD, NIC_PASST };

struct nic_config {
	char *id; /* "eth0", ... */
	enum nic_kind kind;
	char *tap;    /* NIC_TAP: name of the host's device */
	int fd;	      /* NIC_FD: descriptor of a TAP or a connected stream socket, inherited */
	bool has_mac; /* else one is made up */
	uint8_t mac[6];
	uint16_t mtu; /* 0: default */
	/* The guest's own address, all optional, for ip= on its command line: "172.16.0.2/24". */
	char *address;
	char *gateway;
	char *dns;
	bool map_host;	 /* NIC_PASST: the gateway's address leads to the host's loopback */
	char **forwards; /* NIC_PASST: "tcp=8080:80" ..., NULL-terminated; or NULL */
};

struct vm_config {
	enum config_mode mode;

	char *kernel;  /* NULL: the one that comes with husk */
	char *initrd;  /* NULL: none */
	char *cmdline; /* the user's kernel parameters (--append, boot_args), or NULL: not told */
	unsigned int cpus;
	uint64_t memory; /* bytes, whole MiB */

	struct drive_config drives[CONFIG_DRIVES_MAX];
	unsigned int nr_drives;
	struct nic_config nics[CONFIG_NICS_MAX];
	unsigned int nr_nics;

	/* CONFIG_RUN only. */
	bool default_root;   /* no --rootfs: use the image that comes with husk */
	char **argv;	     /* the command, NULL-terminated; borrowed from main's argv */
	char **env;	     /* NAME=VALUE, each name once, NULL-terminated */
	char *workdir;	     /* NULL: "/" */
	uint64_t timeout_ns; /* 0: none */
	bool timing;
	bool verbose;

	char *metrics; /* --metrics: the file for them, NULL: none */

	bool sandbox; /* jail the VM */
	bool jailed;  /* --jailed: husk-jailer has done so already */
	enum seccomp_mode seccomp;
	bool print_seccomp; /* print the filters instead of running */

	bool quiet; /* CONFIG_DOCTOR: --quiet, only the verdict */

	char *id; /* --id, config-file mode; NULL: "anonymous-instance" */
};

/*
 * Reads main's arguments. 0: `config` is filled in, for config_fini to free; otherwise the exit
 * status that fits the mode, after one line in the log, and `config` holds nothing.
 */
int config_parse(struct vm_config *config, int argc, char **argv);

/* Frees what `config` holds and zeroes it; takes a zeroed one, too. */
void config_fini(struct vm_config *config);

#endif
