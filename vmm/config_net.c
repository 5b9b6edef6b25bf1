/* SPDX-License-Identifier: Apache-2.0 */
#include "config_net.h"

#include "config_build.h"
#include "util.h"

#include <arpa/inet.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define PORT_MAX 65535
#define IPV4_PREFIX_MAX 32

/* A setter gets the text behind "key=", and `where` with the key in it: "--net: mac". */
struct net_key {
	const char *name;
	int (*set)(struct nic_config *nic, const char *where, char *value);
};

static int set_mac(struct nic_config *nic, const char *where, char *value)
{
	return config_set_mac(nic, where, value);
}

static int set_mtu(struct nic_config *nic, const char *where, char *value)
{
	uint64_t mtu;

	if (parse_u64(value, &mtu) || mtu < CONFIG_MTU_MIN || mtu > CONFIG_MTU_MAX) {
		log_error("%s: \"%s\" is not a number of bytes from %d to %d", where, value,
			  CONFIG_MTU_MIN, CONFIG_MTU_MAX);
		return -EINVAL;
	}
	nic->mtu = (uint16_t)mtu;
	return 0;
}

static bool is_ipv4(const char *text)
{
	struct in_addr address;

	return inet_pton(AF_INET, text, &address) == 1;
}

static int set_ip(struct nic_config *nic, const char *where, char *value)
{
	char *slash = strchr(value, '/');
	uint64_t prefix;
	bool ok = false;

	if (slash) {
		*slash = '\0';
		ok = is_ipv4(value) && !parse_u64(slash + 1, &prefix) && prefix >= 1 &&
		     prefix <= IPV4_PREFIX_MAX;
		*slash = '/';
	}
	if (!ok) {
		log_error("%s: \"%s\" is not an IPv4 address with its prefix length; expected a "
			  "form like 172.16.0.2/24",
			  where, value);
		return -EINVAL;
	}
	return config_set_string(&nic->address, value);
}

static int set_ipv4(char **slot, const char *where, const char *value)
{
	if (!is_ipv4(value)) {
		log_error("%s: \"%s\" is not an IPv4 address", where, value);
		return -EINVAL;
	}
	return config_set_string(slot, value);
}

static int set_gw(struct nic_config *nic, const char *where, char *value)
{
	return set_ipv4(&nic->gateway, where, value);
}

static int set_dns(struct nic_config *nic, const char *where, char *value)
{
	return set_ipv4(&nic->dns, where, value);
}

static bool is_port(const char *text)
{
	uint64_t port;

	return !parse_u64(text, &port) && port >= 1 && port <= PORT_MAX;
}

static int add_forward(struct nic_config *nic, const char *where, const char *protocol, char *value)
{
	char *colon = strchr(value, ':');
	char *forward;
	bool ok = false;

	if (colon) {
		*colon = '\0';
		ok = is_port(value) && is_port(colon + 1);
		*colon = ':';
	}
	if (!ok) {
		log_error("%s: \"%s\" is not HOSTPORT:GUESTPORT, two numbers from 1 to %d", where,
			  value, PORT_MAX);
		return -EINVAL;
	}
	if (asprintf(&forward, "%s=%s", protocol, value) < 0)
		forward = NULL;
	return config_list_add(&nic->forwards, forward);
}

static int add_tcp(struct nic_config *nic, const char *where, char *value)
{
	return add_forward(nic, where, "tcp", value);
}

static int add_udp(struct nic_config *nic, const char *where, char *value)
{
	return add_forward(nic, where, "udp", value);
}

static int set_host(struct nic_config *nic, const char *where, char *value)
{
	if (strcmp(value, "on") != 0 && strcmp(value, "off") != 0) {
		log_error("%s: \"%s\" is neither on nor off", where, value);
		return -EINVAL;
	}
	nic->map_host = !strcmp(value, "on");
	return 0;
}

static const struct net_key net_keys[] = {
	{"mac", set_mac}, {"mtu", set_mtu}, {"ip", set_ip},   {"gw", set_gw},
	{"dns", set_dns}, {"tcp", add_tcp}, {"udp", add_udp}, {"host", set_host},
};

static int set_key(struct nic_config *nic, const char *where, char *option)
{
	char *value = strchr(option, '=');
	char sub[64];
	size_t i;

	if (value)
		*value++ = '\0';
	for (i = 0; i < ARRAY_SIZE(net_keys); i++) {
		if (strcmp(option, net_keys[i].name) != 0)
			continue;
		snprintf(sub, sizeof(sub), "%s: %s", where, option);
		if (value && *value)
			return net_keys[i].set(nic, sub, value);
		log_error("%s: needs a value, %s=...", sub, option);
		return -EINVAL;
	}
	log_error("%s: unknown sub-option \"%s\"; there are mac=, mtu=, ip=, gw=, dns=, tcp=, "
		  "udp= and host=",
		  where, option);
	return -EINVAL;
}

static int set_kind(struct nic_config *nic, const char *where, char *kind)
{
	char *value = strchr(kind, '=');
	uint64_t fd;

	if (value)
		*value++ = '\0';
	if (!strcmp(kind, "tap") && value)
		return config_set_tap(nic, where, value);
	if (!strcmp(kind, "fd") && value) {
		if (parse_u64(value, &fd) || fd <= STDERR_FILENO || fd > INT_MAX) {
			log_error("%s: \"%s\" is not the number of an open descriptor; expected 3 "
				  "or more",
				  where, value);
			return -EINVAL;
		}
		nic->kind = NIC_FD;
		nic->fd = (int)fd;
		return 0;
	}
	if (!strcmp(kind, "passt") && !value) {
		nic->kind = NIC_PASST;
		return 0;
	}
	log_error("%s: expected none, tap=NAME, fd=N or passt, found \"%s%s%s\"", where, kind,
		  value ? "=" : "", value ? value : "");
	return -EINVAL;
}

/* What only shows when all sub-options are known. */
static int check_nic(const struct nic_config *nic, const char *where)
{
	if ((nic->gateway || nic->dns) && !nic->address) {
		log_error("%s: %s= needs ip=ADDR/PREFIX", where, nic->gateway ? "gw" : "dns");
		return -EINVAL;
	}
	if (nic->forwards && nic->kind != NIC_PASST) {
		log_error("%s: %.3s= works with passt only", where, nic->forwards[0]);
		return -EINVAL;
	}
	if (nic->map_host && nic->kind != NIC_PASST) {
		log_error("%s: host= works with passt only", where);
		return -EINVAL;
	}
	return 0;
}

static int parse_nic(struct nic_config *nic, const char *where, const char *value)
{
	cleanup_free char *copy = strdup(value);
	char *rest = copy;
	char *option;
	int err;

	err = copy ? set_kind(nic, where, strsep(&rest, ",")) : -ENOMEM;
	while (!err && (option = strsep(&rest, ",")))
		err = set_key(nic, where, option);
	return err ? err : check_nic(nic, where);
}

int config_net_parse(struct vm_config *config, const char *where, const char *value)
{
	struct nic_config nic = {.fd = -1};
	char id[16];
	int err;

	if (!strcmp(value, "none")) {
		while (config->nr_nics)
			config_nic_fini(&config->nics[--config->nr_nics]);
		return 0;
	}
	snprintf(id, sizeof(id), "eth%u", config->nr_nics);
	err = config_set_string(&nic.id, id);
	if (!err)
		err = parse_nic(&nic, where, value);
	if (err) {
		config_nic_fini(&nic);
		return err;
	}
	return config_add_nic(config, where, &nic);
}
