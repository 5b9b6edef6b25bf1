/* SPDX-License-Identifier: Apache-2.0 */
#include "resources.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "cpuid.h"
#include "net_stream.h"
#include "net_tap.h"
#include "util.h"
#include "vm.h"

/* The lowest descriptor that was passed in by name and is not below `from`; -1: there is none. */
static int next_passed_in(const struct vm_config *config, int from)
{
	int lowest = -1;
	unsigned int i;

	for (i = 0; i < config->nr_nics; i++) {
		const struct nic_config *nic = &config->nics[i];

		if (nic->kind == NIC_FD && nic->fd >= from && (lowest < 0 || nic->fd < lowest))
			lowest = nic->fd;
	}
	return lowest;
}

/*
 * A descriptor that nobody passed in would soon be one of husk's own files; one that somebody
 * left open would be in the jail, where it is a way out.
 */
static int sort_inherited(const struct vm_config *config)
{
	int from = STDERR_FILENO + 1, fd;

	while ((fd = next_passed_in(config, from)) >= 0) {
		if (fcntl(fd, F_GETFD) < 0) {
			log_error("descriptor %d is not open; whoever starts husk is to pass it in",
				  fd);
			return -EBADF;
		}
		if (fd > from)
			close_fds((unsigned int)from, (unsigned int)fd - 1, 0);
		from = fd + 1;
	}
	close_fds((unsigned int)from, ~0u, 0);
	return 0;
}

/* The user's, or a locally administered address nobody else has. */
static int choose_mac(const struct nic_config *nic, uint8_t mac[ETH_ALEN])
{
	if (nic->has_mac) {
		memcpy(mac, nic->mac, ETH_ALEN);
		return 0;
	}
	if (getrandom(mac, ETH_ALEN, 0) != ETH_ALEN) {
		log_error("cannot make up a MAC address: %s", strerror(errno));
		return -EIO;
	}
	mac[0] = (uint8_t)((mac[0] & 0xfc) | 0x02);
	return 0;
}

static int start_passt(const struct nic_config *config, struct nic_resources *nic,
		       struct net_passt *ret_passt)
{
	struct net_passt_config passt = {.forwards = (const char *const *)config->forwards,
					 .map_host = config->map_host};

	while (config->forwards && config->forwards[passt.nr_forwards])
		passt.nr_forwards++;
	memcpy(passt.mac, nic->mac, sizeof(passt.mac));
	nic->is_socket = true;
	return net_passt_start(&passt, ret_passt, &nic->backend);
}

static int open_nic(const struct nic_config *config, struct nic_resources *nic,
		    struct net_passt *ret_passt)
{
	struct stat st;
	int err = choose_mac(config, nic->mac);

	if (err)
		return err;
	switch (config->kind) {
	case NIC_TAP:
		return net_tap_open(config->tap, &nic->backend);
	case NIC_FD:
		nic->is_socket = !fstat(config->fd, &st) && S_ISSOCK(st.st_mode);
		return nic->is_socket ? net_stream_from_fd(config->fd, &nic->backend)
				      : net_tap_from_fd(config->fd, &nic->backend);
	case NIC_PASST:
		return start_passt(config, nic, ret_passt);
	}
	return -EINVAL;
}

static int open_metrics(const char *path, int *ret_fd)
{
	/* O_NONBLOCK: a FIFO must not hang us. */
	int err, fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOCTTY | O_NONBLOCK,
			   0644);

	if (fd < 0) {
		err = -errno;
		log_error("--metrics: cannot write \"%s\": %s", path, strerror(-err));
		return err;
	}
	*ret_fd = fd;
	return 0;
}

/* husk-jailer's folder has nothing that stays. */
static int open_kvm(const struct vm_config *config, struct resources *resources)
{
	char folder[PATH_MAX];
	bool has_folder = !config->jailed && cpuid_folder(folder);
	int err = vm_open_kvm_logged(&resources->kvm_fd);

	return err ? err
		   : cpuid_recall(resources->kvm_fd, has_folder ? folder : NULL, &resources->cpuid);
}

static int open_files(const struct vm_config *config, struct resources *resources)
{
	unsigned int i;
	int err = input_file_open(&resources->kernel, "kernel", config->kernel);

	if (!err && config->initrd)
		err = input_file_open(&resources->initrd, "initrd", config->initrd);
	for (i = 0; !err && i < config->nr_drives; i++)
		err = blk_file_open(&resources->drives[i], config->drives[i].path,
				    config->drives[i].read_only);
	if (!err && config->metrics)
		err = open_metrics(config->metrics, &resources->metrics_fd);
	return err ? err : open_kvm(config, resources);
}

/* passt takes its time to start: it is under way first, and waited for last. */
static int open_all(const struct vm_config *config, struct resources *resources)
{
	struct net_passt passts[CONFIG_NICS_MAX];
	unsigned int i;
	int err = 0;

	for (i = 0; !err && i < config->nr_nics; i++)
		err = open_nic(&config->nics[i], &resources->nics[i], &passts[i]);
	if (!err)
		err = open_files(config, resources);
	for (i = 0; !err && i < config->nr_nics; i++) {
		if (config->nics[i].kind != NIC_PASST)
			continue;
		net_passt_dns(resources->dns);
		err = net_passt_wait(&passts[i]);
	}
	return err;
}

int resources_open(const struct vm_config *config, struct resources *ret_resources)
{
	struct resources *resources = ret_resources;
	unsigned int i;
	int err = sort_inherited(config);

	memset(resources, 0, sizeof(*resources));
	resources->kvm_fd = resources->kernel.fd = resources->initrd.fd = -1;
	resources->metrics_fd = resources->verdict_fd = -1;
	resources->streams = (struct host_streams){-1, -1, -1};
	for (i = 0; i < CONFIG_DRIVES_MAX; i++)
		resources->drives[i].fd = -1;
	if (err)
		return err;
	host_streams_open(&resources->streams);
	/* The log must not wait for whoever should read it, either. */
	if (resources->streams.err >= 0)
		dup2(resources->streams.err, STDERR_FILENO);
	resources->is_terminal = host_terminal_is_ours(STDIN_FILENO, STDOUT_FILENO);
	err = open_all(config, resources);
	if (err)
		resources_close(resources);
	return err;
}

void resources_close(struct resources *resources)
{
	unsigned int i;

	host_streams_close(&resources->streams);
	close_fd_ptr(&resources->kvm_fd);
	free(resources->cpuid);
	resources->cpuid = NULL;
	close_fd_ptr(&resources->metrics_fd);
	input_file_close(&resources->kernel);
	input_file_close(&resources->initrd);
	for (i = 0; i < CONFIG_DRIVES_MAX; i++)
		blk_file_close(&resources->drives[i]);
	for (i = 0; i < CONFIG_NICS_MAX; i++) {
		struct net_backend *backend = resources->nics[i].backend;

		if (backend)
			backend->ops->destroy(backend);
		resources->nics[i].backend = NULL;
	}
}
