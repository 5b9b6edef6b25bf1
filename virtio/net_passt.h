/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Starting passt (https://passt.top), which gives a guest the network of the user who started
 * husk, without any privilege: connections the guest opens are opened by passt on the host.
 *
 * Logs its failure, once. Runs while the process has one thread and is not jailed yet.
 *
 * The guest sees a network of its own, the same on every host. It needs no DHCP, though passt
 * would answer it.
 */
#ifndef HUSK_VIRTIO_NET_PASST_H
#define HUSK_VIRTIO_NET_PASST_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "net_backend.h"

#define NET_PASST_GUEST "10.0.2.15"
#define NET_PASST_NETMASK "255.255.255.0"
#define NET_PASST_GATEWAY "10.0.2.2" /* with map_host, also the host itself */
#define NET_PASST_DNS "10.0.2.3"     /* the host's first name server */
#define NET_PASST_MTU 65520	     /* without offloads, long frames are what is fast */
/*
 * For the guest's net.ipv4.tcp_rmem. What passt of 2023 sends at once must fit into a socket
 * buffer of the default net.core.wmem_max, or it is lost and the connection stalls for seconds.
 * A larger window would gain nothing: it spans the way to passt only, not that to the peer.
 */
#define NET_PASST_TCP_RMEM "4096 131072 400000"

#define NET_PASST_FORWARDS_MAX 32
#define NET_PASST_ADDRESS_MAX 16

struct net_passt_config {
	uint8_t mac[ETH_ALEN]; /* of the guest */
	/*
	 * Ports of the host that lead into the guest: "tcp=PORTS" or "udp=PORTS", where PORTS is as
	 * for passt's --tcp-ports: "8080:80", "127.0.0.1/2222:22", "5000-5010". Borrowed.
	 */
	const char *const *forwards;
	unsigned int nr_forwards;
	/*
	 * Connections to the gateway's address go to the host's own, 127.0.0.1. Without it they go
	 * nowhere, and there is no DNS if the host's name server is at a loopback address.
	 */
	bool map_host;
};

/*
 * The name server the guest is to ask: NET_PASST_DNS, which passt relays to the host's, or, where
 * the host's is a local stub (systemd-resolved), the one behind that. Never fails.
 */
void net_passt_dns(char ret_address[NET_PASST_ADDRESS_MAX]);

/* A passt that starts up. */
struct net_passt {
	pid_t pid;
	int log_fd; /* what passt says; hangs up when the start-up is over */
};

/*
 * Starts passt and makes a backend of the socket to it; frames wait there until it is ready. 0 or
 * -errno. passt ends when the backend is destroyed or husk dies, in whatever way. SIGCHLD must not
 * be ignored until net_passt_wait was called.
 */
int net_passt_start(const struct net_passt_config *config, struct net_passt *ret_passt,
		    struct net_backend **ret_backend);

/*
 * Waits until passt is ready (some 20 ms after its start) and frees `passt`. 0, or -errno and a
 * line in the log that says what passt says. Does not block once log_fd has hung up.
 */
int net_passt_wait(struct net_passt *passt);

#endif
