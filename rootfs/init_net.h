/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's network: loopback, and what ip= says. IPv6 is the kernel's own (router
 * advertisements). What cannot go on gives up (init_end.h). One thread.
 */
#ifndef HUSK_INIT_NET_H
#define HUSK_INIT_NET_H

#include "init_parse.h"

/*
 * Obeys each ip= of the kernel command line, which is cut up in place; of several for one interface
 * the last one. Without any, the first interface is brought up. In the new root, as it writes
 * /etc/resolv.conf and may run the image's udhcpc.
 */
void net_up(struct boot_spec *boot);

#endif
