/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Everything a VM needs of the host, as descriptors: opened before the process is jailed, as
 * nothing can be opened after that.
 *
 * Logs what cannot be opened, once. For the main thread, while it is the only one.
 */
#ifndef HUSK_RESOURCES_H
#define HUSK_RESOURCES_H

#include <stdbool.h>
#include <stdint.h>

#include "blk_file.h"
#include "config.h"
#include "host_io.h"
#include "kernel_image.h"
#include "net_backend.h"
#include "net_passt.h"

struct kvm_cpuid2;

struct resources {
	struct host_streams streams;
	bool is_terminal; /* standard input and output are a terminal, and ours */
	int kvm_fd;
	struct kvm_cpuid2 *cpuid; /* what KVM offers (cpuid.h) */
	int metrics_fd;		  /* -1: none */
	int verdict_fd; /* the pipe to the supervisor; -1: none. Borrowed, put in by the caller */
	struct input_file kernel, initrd; /* initrd.fd is -1 without one */
	struct blk_file drives[CONFIG_DRIVES_MAX];
	struct nic_resources {
		struct net_backend *backend;
		bool is_socket; /* else a TAP device */
		uint8_t mac[ETH_ALEN];
	} nics[CONFIG_NICS_MAX];
	char dns[NET_PASST_ADDRESS_MAX]; /* the name server behind passt */
};

/*
 * Opens what `config` (borrowed) names, starts passt, and closes every descriptor that was
 * inherited and is not named. 0 or -errno; resources_close takes half of it, and a part that was
 * taken out.
 */
int resources_open(const struct vm_config *config, struct resources *ret_resources);
void resources_close(struct resources *resources);

#endif
