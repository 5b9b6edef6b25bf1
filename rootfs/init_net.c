/* SPDX-License-Identifier: Apache-2.0 */
#include "init_net.h"

#include <arpa/inet.h>
#include <errno.h>
#include <net/if.h>
#include <net/route.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "init_end.h"
#include "init_file.h"
#include "init_parse.h"
#include "init_proc.h"

#define RESOLV_CONF "/etc/resolv.conf"

static struct ifreq device_request(const char *device)
{
	struct ifreq request = {0};

	snprintf(request.ifr_name, sizeof(request.ifr_name), "%s", device);
	return request;
}

static int device_up(int fd, const char *device)
{
	struct ifreq request = device_request(device);

	if (ioctl(fd, SIOCGIFFLAGS, &request) < 0)
		return -errno;
	request.ifr_flags |= IFF_UP;
	return ioctl(fd, SIOCSIFFLAGS, &request) < 0 ? -errno : 0;
}

static struct sockaddr inet_sockaddr(struct in_addr address)
{
	struct sockaddr_in in = {.sin_family = AF_INET, .sin_addr = address};
	struct sockaddr generic;

	_Static_assert(sizeof(in) == sizeof(generic), "same size by design");
	memcpy(&generic, &in, sizeof(generic));
	return generic;
}

/* Add a route over device; a zero gateway: target is on the link, a zero target: everything. */
static int route_add(int fd, struct in_addr target, struct in_addr gateway, char *device)
{
	struct in_addr mask = {.s_addr = target.s_addr ? INADDR_NONE : INADDR_ANY};
	struct rtentry route = {
		.rt_dst = inet_sockaddr(target),
		.rt_gateway = inet_sockaddr(gateway),
		.rt_genmask = inet_sockaddr(mask),
		.rt_flags = RTF_UP,
		.rt_dev = device,
	};

	route.rt_flags |= target.s_addr ? RTF_HOST : 0;
	route.rt_flags |= gateway.s_addr ? RTF_GATEWAY : 0;
	return ioctl(fd, SIOCADDRT, &route) < 0 ? -errno : 0;
}

/* The default route; a gateway outside the device's own network is on the link all the same. */
static int gateway_add(int fd, struct in_addr gateway, const char *device)
{
	struct in_addr any = {.s_addr = INADDR_ANY};
	char name[IFNAMSIZ];
	int ret;

	snprintf(name, sizeof(name), "%s", device);
	ret = route_add(fd, any, gateway, name);
	if (ret == -ENETUNREACH) {
		ret = route_add(fd, gateway, any, name);
		if (ret == 0)
			ret = route_add(fd, any, gateway, name);
	}
	return ret;
}

static int address_set(int fd, unsigned long what, struct in_addr address, const char *device)
{
	struct ifreq request = device_request(device);

	request.ifr_addr = inet_sockaddr(address);
	return ioctl(fd, what, &request) < 0 ? -errno : 0;
}

static _Noreturn void device_failed(const char *device, int err)
{
	give_up("ip=: cannot set up %s: %s%s", device, strerror(err),
		err == ENODEV ? ". Has the guest a network device?" : "");
}

static void static_up(int fd, const struct ip_spec *ip)
{
	int ret = address_set(fd, SIOCSIFADDR, ip->client, ip->device);

	/* Without a netmask the kernel takes that of the address class. */
	if (ret == 0 && ip->netmask.s_addr)
		ret = address_set(fd, SIOCSIFNETMASK, ip->netmask, ip->device);
	if (ret == 0)
		ret = device_up(fd, ip->device);
	if (ret < 0)
		device_failed(ip->device, -ret);
	if (ip->gateway.s_addr) {
		ret = gateway_add(fd, ip->gateway, ip->device);
		if (ret < 0)
			give_up("cannot set the gateway %s: %s", inet_ntoa(ip->gateway),
				strerror(-ret));
	}
}

static void dhcp_up(const struct ip_spec *ip)
{
	static const char *const paths[] = {"/sbin/udhcpc", "/usr/sbin/udhcpc", "/bin/udhcpc"};
	char device[IFNAMSIZ], path[32];
	/* Now, quit when it has an address or when there is none to be had. */
	char *argv[] = {path, (char[]){"-i"}, device, (char[]){"-nqf"}, NULL};
	int status;

	snprintf(device, sizeof(device), "%s", ip->device);
	for (size_t i = 0; i < sizeof(paths) / sizeof(*paths); i++) {
		if (access(paths[i], X_OK) < 0)
			continue;
		snprintf(path, sizeof(path), "%s", paths[i]);
		status = proc_run(argv);
		if (status < 0 || exit_status(status) != 0)
			give_up("ip=dhcp: %s got no address for %s", path, device);
		return;
	}
	give_up("ip=dhcp: the image has no udhcpc. Give the address instead (ip=ADDRESS/BITS)");
}

static void resolver_set(const struct in_addr *dns, size_t count)
{
	char text[128] = "";
	int ret;

	for (size_t i = 0, len = 0; i < count; i++)
		if (dns[i].s_addr)
			len += (size_t)snprintf(text + len, sizeof(text) - len, "nameserver %s\n",
						inet_ntoa(dns[i]));
	if (!*text)
		return;
	/* In an image it is often a link to a file that only a service makes. */
	ret = file_write(RESOLV_CONF, text);
	if (ret == -ENOENT) {
		unlink(RESOLV_CONF);
		file_write(RESOLV_CONF, text);
	} else if (ret == -EROFS) {
		file_write("/run/resolv.conf", text);
		mount("/run/resolv.conf", RESOLV_CONF, NULL, MS_BIND, NULL);
	}
}

/* ip='s host name, or the image's, or a name at least. */
static void hostname_set(const char *name)
{
	char *own = name ? NULL : file_read("/etc/hostname", NULL);

	if (own) {
		own[strcspn(own, "\n")] = '\0';
		name = *own ? own : NULL;
	}
	if (!name)
		name = "husk";
	(void)!sethostname(name, strlen(name));
	free(own);
}

static void interface_up(int fd, const struct ip_spec *ip)
{
	int ret = 0;

	if (fd < 0 && ip->mode != IP_NONE)
		give_up("the guest kernel has no network: %s", strerror(errno));
	if (fd < 0)
		return;
	if (ip->mode == IP_STATIC)
		static_up(fd, ip);
	else
		ret = device_up(fd, ip->device); /* for IPv6; there may be none */
	if (ip->mode == IP_DHCP) {
		if (ret < 0)
			device_failed(ip->device, -ret);
		dhcp_up(ip);
	}
}

/* Parses each ip=; one for an interface that had one replaces it. Returns how many are left. */
static size_t parse_all(struct boot_spec *boot, struct ip_spec *ips)
{
	size_t i, at, nr = 0;
	const char *bad;

	for (i = 0; i < boot->nr_ips; i++) {
		struct ip_spec ip;

		if (ip_parse(boot->ips[i], &ip, &bad) < 0)
			give_up("ip=: \"%s\" is not valid here. The form is "
				"CLIENT:SERVER:GATEWAY:NETMASK:HOSTNAME:DEVICE:AUTOCONF:DNS0:DNS1",
				bad);
		for (at = 0; at < nr; at++)
			if (!strcmp(ips[at].device, ip.device))
				break;
		ips[at] = ip;
		nr += at == nr;
	}
	return nr;
}

void net_up(struct boot_spec *boot)
{
	struct ip_spec ips[BOOT_IPS_MAX] = {{.device = "eth0"}};
	size_t i, nr = parse_all(boot, ips);
	int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	const char *hostname = NULL;

	for (i = 0; i < nr; i++)
		if (ips[i].hostname)
			hostname = ips[i].hostname;
	hostname_set(hostname);
	if (fd >= 0)
		device_up(fd, "lo");
	for (i = 0; i < (nr ? nr : 1); i++)
		interface_up(fd, &ips[i]);
	/* The first that names a server; the file holds one set. */
	for (i = 0; i < nr; i++)
		if (ips[i].dns[0].s_addr)
			break;
	if (i < nr)
		resolver_set(ips[i].dns, sizeof(ips[i].dns) / sizeof(*ips[i].dns));
	if (fd >= 0)
		close(fd);
}
