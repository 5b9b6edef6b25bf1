/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The value of --net: a kind of network interface and its sub-options.
 *
 *	none | tap=NAME | fd=N | passt
 *	[,mac=ADDR] [,mtu=N] [,ip=ADDR/PREFIX [,gw=ADDR] [,dns=ADDR]]
 *	[,tcp=HOSTPORT:GUESTPORT]... [,udp=HOSTPORT:GUESTPORT]...	(passt only)
 *
 * Logs, once, what it refuses.
 */
#ifndef HUSK_CONFIG_NET_H
#define HUSK_CONFIG_NET_H

#include "config.h"

/* Appends the interface to `config`; "none" drops those added before. 0, -EINVAL or -ENOMEM. */
int config_net_parse(struct vm_config *config, const char *where, const char *value);

#endif
