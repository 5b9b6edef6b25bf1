/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The guest's network: loopback, and what ip= says. IPv6 is the kernel's own (router
 * advertisements). What cannot go on gives up (init_end.h). One thread.
 */
#ifndef HUSK_INIT_NET_H
#define HUSK_INIT_NET_H

/*
 * ip is the value of ip= on the kernel command line, cut up in place; NULL when not given. In the
 * new root, as it writes /etc/resolv.conf and may run the image's udhcpc.
 */
void net_up(char *ip);

#endif
