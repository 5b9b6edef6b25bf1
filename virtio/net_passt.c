/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Theory. passt is started to go into the background by itself: the process that husk forks is
 * only its launcher, which exits with a status when passt is ready or has failed. So husk has a
 * verdict, nobody to reap later, and passt can move to a PID namespace of its own. It holds
 * one end of a socket pair and ends when the other is closed, which the kernel does for a husk
 * that was killed.
 *
 * All that passt would otherwise take from the host's interface with the default route is
 * given, so that every guest sees the same network, also on a host without a route; the interface
 * "lo" because it insists on one to take the rest from, of which there is none.
 */
#include "net_passt.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_net.h>
#include <net/if_arp.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net_stream.h"
#include "util.h"

#define PASST_FD 3
#define STRING(x) #x
#define TEXT(x) STRING(x)

/* Exit statuses of the launcher that passt itself does not use; as a shell has them. */
enum { EXIT_CANNOT_RUN = 126, EXIT_NOT_FOUND = 127 };

#define FIXED_ARGS \
	"passt", "--quiet", "--fd", TEXT(PASST_FD), "--ipv4-only", "--interface", "lo", \
		"--address", NET_PASST_GUEST, "--netmask", NET_PASST_NETMASK, "--gateway", \
		NET_PASST_GATEWAY, "--mac-addr", "52:55:0a:00:02:02", "--dns-forward", \
		NET_PASST_DNS, "--mtu", TEXT(NET_PASST_MTU)

struct passt_args {
	const char *argv[32 + 2 * NET_PASST_FORWARDS_MAX];
	unsigned int nr;
};

static void args_add(struct passt_args *args, const char *arg)
{
	args->argv[args->nr++] = arg;
}

/* 0; -EINVAL, with a line in the log. */
static int args_add_forwards(struct passt_args *args, const struct net_passt_config *config)
{
	bool has_udp = false;
	unsigned int i;

	if (config->nr_forwards > NET_PASST_FORWARDS_MAX) {
		log_error("more than %d port forwards", NET_PASST_FORWARDS_MAX);
		return -EINVAL;
	}
	for (i = 0; i < config->nr_forwards; i++) {
		const char *forward = config->forwards[i];
		bool udp = !strncmp(forward, "udp=", 4);

		if ((!udp && strncmp(forward, "tcp=", 4) != 0) || !forward[4]) {
			log_error(
				"port forward \"%s\": not of the form tcp=HOST_PORT:GUEST_PORT or "
				"udp=HOST_PORT:GUEST_PORT",
				forward);
			return -EINVAL;
		}
		has_udp |= udp;
		args_add(args, udp ? "--udp-ports" : "--tcp-ports");
		args_add(args, forward + 4);
	}
	/* Or else the ports of TCP are forwarded for UDP too. */
	if (!has_udp) {
		args_add(args, "--udp-ports");
		args_add(args, "none");
	}
	return 0;
}

/*
 * passt writes many frames at once, and those that do not fit are lost to the guest; passt of
 * 2023 then stalls a connection for seconds. For a socket it is given it leaves the buffer as it
 * is. More than net.core.wmem_max takes privilege.
 */
static void passt_widen(int socket_fd)
{
	const int size = (int)MIB(16);

	if (setsockopt(socket_fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof(size)))
		setsockopt(socket_fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof(size));
}

/*
 * passt learns the guest's MAC address from the frames it sends, and until then forwards to the
 * broadcast address, where no TCP listens. A guest that only serves may never send one; so husk
 * announces it (RFC 5227, 2.3).
 */
static void passt_announce(struct net_backend *backend, const uint8_t mac[ETH_ALEN])
{
	const in_addr_t address = inet_addr(NET_PASST_GUEST);
	struct virtio_net_hdr_v1 header = {0};
	struct {
		struct ethhdr ethernet;
		struct arphdr arp;
		uint8_t sender_mac[ETH_ALEN], sender[sizeof(address)];
		uint8_t target_mac[ETH_ALEN], target[sizeof(address)];
	} frame = {
		.ethernet.h_proto = htons(ETH_P_ARP),
		.arp = {htons(ARPHRD_ETHER), htons(ETH_P_IP), ETH_ALEN, sizeof(address),
			htons(ARPOP_REQUEST)},
	};
	struct iovec iov[] = {{&header, sizeof(header)}, {&frame, sizeof(frame)}};

	memset(frame.ethernet.h_dest, 0xff, ETH_ALEN);
	memcpy(frame.ethernet.h_source, mac, ETH_ALEN);
	memcpy(frame.sender_mac, mac, ETH_ALEN);
	memcpy(frame.sender, &address, sizeof(address));
	memcpy(frame.target, &address, sizeof(address));
	backend->ops->send(backend, iov, ARRAY_SIZE(iov));
}

/* In the child: no descriptor, signal setting, session or environment of husk's gets across. */
static void __attribute__((noreturn))
passt_exec(const struct passt_args *args, int socket_fd, int log_fd)
{
	char *argv[ARRAY_SIZE(args->argv)], *environment[] = {NULL};
	int null_fd, signal_nr, status;
	sigset_t none;

	/* Out of the way of 0 to 3 first. */
	socket_fd = fcntl(socket_fd, F_DUPFD_CLOEXEC, PASST_FD + 1);
	log_fd = fcntl(log_fd, F_DUPFD_CLOEXEC, PASST_FD + 1);
	null_fd = open("/dev/null", O_RDWR);
	if (dup2(null_fd, 0) < 0 || dup2(null_fd, 1) < 0 || dup2(log_fd, 2) < 0 ||
	    dup2(socket_fd, PASST_FD) < 0 || close_fds(PASST_FD + 1, ~0u, 0)) {
		dprintf(2, "cannot arrange its descriptors: %s\n", strerror(errno));
		_exit(EXIT_CANNOT_RUN);
	}
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (signal_nr = 1; signal_nr < NSIG; signal_nr++)
		signal(signal_nr, SIG_DFL);
	setsid();
	memcpy(argv, args->argv, sizeof(argv)); /* exec changes none of it, but does not say so */
	execvpe(argv[0], argv, environment);
	status = errno == ENOENT ? EXIT_NOT_FOUND : EXIT_CANNOT_RUN;
	dprintf(2, "%s\n", strerror(errno));
	_exit(status);
}

int net_passt_start(const struct net_passt_config *config, struct net_passt *ret_passt,
		    struct net_backend **ret_backend)
{
	struct passt_args args = {.argv = {FIXED_ARGS}};
	cleanup_fd int ours = -1, theirs = -1, log_read = -1, log_write = -1;
	int fds[2], err;
	pid_t pid;

	while (args.argv[args.nr])
		args.nr++;
	if (!config->map_host)
		args_add(&args, "--no-map-gw");
	err = args_add_forwards(&args, config);
	if (err)
		return err;
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, fds))
		goto failed;
	ours = fds[0];
	theirs = fds[1];
	passt_widen(theirs);
	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK))
		goto failed;
	log_read = fds[0];
	log_write = fds[1];
	pid = fork();
	if (pid < 0)
		goto failed;
	if (!pid)
		passt_exec(&args, theirs, log_write);

	*ret_passt = (struct net_passt){.pid = pid, .log_fd = log_read};
	err = net_stream_from_fd(ours, ret_backend);
	if (err) {
		/* With the socket gone, passt goes too. */
		close_fd_ptr(&ours);
		ours = -1;
		waitpid(pid, NULL, 0);
		return err;
	}
	steal_fd(&ours);
	steal_fd(&log_read);
	passt_announce(*ret_backend, config->mac);
	return 0;
failed:
	err = -errno;
	log_error("cannot start passt: %s", strerror(-err));
	return err;
}

/*
 * Makes one line of what passt said, without what is no reason: complaints about the system
 * log, and that it drops root.
 */
static void passt_reason(int log_fd, char *ret_text, size_t size)
{
	char text[8192], *line, *rest = text;
	size_t used = 0;
	ssize_t got;

	ret_text[0] = '\0';
	got = read(log_fd, text, sizeof(text) - 1);
	text[MAX(got, 0)] = '\0';
	while ((line = strsep(&rest, "\n"))) {
		if (!*line || !strncmp(line, "Failed to send", 14) ||
		    !strncmp(line, "Don't run as root", 17))
			continue;
		used += (size_t)snprintf(ret_text + used, size - used, "%s%s", used ? "; " : "",
					 line);
		if (used >= size)
			return;
	}
}

int net_passt_wait(struct net_passt *passt)
{
	char reason[256];
	int status = 0;
	pid_t got;

	do
		got = waitpid(passt->pid, &status, 0);
	while (got < 0 && errno == EINTR);
	passt_reason(passt->log_fd, reason, sizeof(reason));
	close_fd_ptr(&passt->log_fd);
	passt->log_fd = -1;
	if (got == passt->pid && WIFEXITED(status) && !WEXITSTATUS(status))
		return 0;
	if (got == passt->pid && WIFEXITED(status) && WEXITSTATUS(status) == EXIT_NOT_FOUND)
		log_error("passt is not installed; install the package \"passt\"");
	else
		log_error("passt failed: %s", *reason ? reason : "it did not say why");
	return -ECHILD;
}

/* The first IPv4 name server in a file like resolv.conf that is not on the loopback network. */
static bool find_name_server(const char *path, char ret_address[NET_PASST_ADDRESS_MAX])
{
	FILE *file = fopen(path, "re");
	char line[256], address[NET_PASST_ADDRESS_MAX];
	struct in_addr parsed;
	bool found = false;

	while (file && !found && fgets(line, sizeof(line), file)) {
		found = sscanf(line, "nameserver %15s", address) == 1 &&
			inet_pton(AF_INET, address, &parsed) == 1 &&
			ntohl(parsed.s_addr) >> 24 != IN_LOOPBACKNET;
	}
	if (found)
		memcpy(ret_address, address, sizeof(address));
	if (file)
		fclose(file);
	return found;
}

void net_passt_dns(char ret_address[NET_PASST_ADDRESS_MAX])
{
	char first[NET_PASST_ADDRESS_MAX];

	snprintf(ret_address, NET_PASST_ADDRESS_MAX, "%s", NET_PASST_DNS);
	if (!find_name_server("/etc/resolv.conf", first))
		find_name_server("/run/systemd/resolve/resolv.conf", ret_address);
}
