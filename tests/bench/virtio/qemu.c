/* SPDX-License-Identifier: Apache-2.0 */
#include "qemu.h"

#include <dirent.h>
#include <fcntl.h>
#include <inttypes.h>
#include <linux/virtio_ring.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "driver.h"

#define ANSWER_SECONDS 10
#define REGISTERS 0xfeb00000u /* of the first virtio-mmio device of a microvm */
#define FIRMWARE_SIZE KIB(64)
#define FDS_MAX 256

/* Firmware that halts the machine's CPU for good. */
static int make_firmware(void)
{
	static const uint8_t halt[] = {0xfa, 0xf4, 0xeb, 0xfd}; /* cli; hlt; jmp to the hlt */
	int fd = memfd_create("firmware", MFD_CLOEXEC);

	FAKE_CHECK(fd >= 0 && !ftruncate(fd, FIRMWARE_SIZE));
	FAKE_CHECK(pwrite(fd, halt, sizeof(halt), FIRMWARE_SIZE - 16) == sizeof(halt));
	return fd;
}

/* Starts a program that has `fds` (-1: none) besides its standard streams. */
static pid_t spawn(char *const argv[], const int fds[], unsigned int nr)
{
	pid_t pid = fork();
	unsigned int i;

	FAKE_CHECK(pid >= 0);
	if (pid)
		return pid;
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), STDIN_FILENO);
	dup2(STDERR_FILENO, STDOUT_FILENO);
	for (i = 0; i < nr; i++)
		fcntl(fds[i], F_SETFD, 0);
	execvp(argv[0], argv);
	_exit(127);
}

/* What tests/bench/launchers/qemu_microvm.py starts, but for the RAM, the firmware and qtest. */
static void start_process(struct driver *driver, char *backend_option, char *backend, char *device,
			  int fd)
{
	struct qemu *qemu = &driver->qemu;
	const struct timeval limit = {.tv_sec = ANSWER_SECONDS};
	char ram[128], bios[64], socket[64], memory[32];
	char *argv[] = {"qemu-system-x86_64",
			"-M",
			"microvm,memory-backend=ram,acpi=off,pit=off,pic=off,rtc=off,"
			"x-option-roms=off",
			"-accel",
			"kvm",
			"-cpu",
			"host,-arch-capabilities",
			"-m",
			memory,
			"-nodefaults",
			"-no-user-config",
			"-nographic",
			"-bios",
			bios,
			"-object",
			ram,
			"-chardev",
			socket,
			"-object",
			"qtest,id=qtest,chardev=socket,log=none",
			"-global",
			"virtio-mmio.force-legacy=false",
			backend_option,
			backend,
			"-device",
			device,
			NULL};
	int firmware = make_firmware(), pair[2];

	FAKE_CHECK(!socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair));
	FAKE_CHECK(!setsockopt(pair[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
	qemu->socket = pair[0];
	snprintf(memory, sizeof(memory), "%u", (unsigned int)(DRIVER_RAM_SIZE >> 20));
	snprintf(ram, sizeof(ram),
		 "memory-backend-file,id=ram,size=%sM,share=on,mem-path=/proc/self/fd/%d", memory,
		 driver->ram_fd);
	snprintf(bios, sizeof(bios), "/proc/self/fd/%d", firmware);
	snprintf(socket, sizeof(socket), "socket,id=socket,fd=%d", pair[1]);
	qemu->pid = spawn(argv, (const int[]){driver->ram_fd, firmware, pair[1], fd}, 4);
	FAKE_CHECK(!clock_getcpuclockid(qemu->pid, &qemu->clock));
	close(firmware);
	close(pair[1]);
}

void qemu_stop(struct driver *driver)
{
	struct qemu *qemu = &driver->qemu;
	unsigned int i;

	kill(qemu->pid, SIGKILL);
	waitpid(qemu->pid, NULL, 0);
	close(qemu->socket);
	for (i = 0; i < ARRAY_SIZE(driver->kick_fds); i++)
		close_fd_ptr(&driver->kick_fds[i]);
}

/*
 * Registers, as a device on the bus has them.
 */

/* Has QEMU do a line. False: it is not there. */
static bool command(const struct qemu *qemu, const char *line, uint64_t *ret_value)
{
	char answer[64];
	size_t len = 0;
	ssize_t got;

	if (send(qemu->socket, line, strlen(line), MSG_NOSIGNAL) < 0)
		return false;
	do {
		got = recv(qemu->socket, answer + len, sizeof(answer) - 1 - len, 0);
		if (got <= 0)
			return false;
		len += (size_t)got;
	} while (answer[len - 1] != '\n');
	answer[len] = 0;
	return sscanf(answer, "OK 0x%" SCNx64, ret_value) == 1 || !strcmp(answer, "OK\n");
}

static bool command_read(const struct qemu *qemu, uint64_t offset, uint64_t *ret_value)
{
	char line[64];

	snprintf(line, sizeof(line), "readl 0x%" PRIx64 "\n", REGISTERS + offset);
	return command(qemu, line, ret_value);
}

static void register_read(struct device *device, uint64_t offset, void *ret_data, unsigned int len)
{
	struct driver *driver = container_of(device, struct driver, qemu.registers.device);
	uint64_t value;

	FAKE_CHECK(command_read(&driver->qemu, offset, &value));
	memcpy(ret_data, &value, len);
	/* The fake guest compares it with what is shown. */
	memcpy((char *)driver->guest.page + offset, &value, len);
}

static void register_write(struct device *device, uint64_t offset, const void *data,
			   unsigned int len)
{
	struct driver *driver = container_of(device, struct driver, qemu.registers.device);
	uint64_t none;
	uint32_t value;
	char line[64];

	FAKE_CHECK(len == sizeof(value));
	memcpy(&value, data, len);
	snprintf(line, sizeof(line), "writel 0x%" PRIx64 " 0x%x\n", REGISTERS + offset, value);
	FAKE_CHECK(command(&driver->qemu, line, &none));
}

static const struct device_ops register_ops = {.read = register_read, .write = register_write};

/*
 * Kicks.
 */

/* Marks which of QEMU's descriptors are eventfds. */
static void find_eventfds(const struct qemu *qemu, bool ret_is_eventfd[FDS_MAX])
{
	char path[64], target[64];
	ssize_t len;
	int fd;

	for (fd = 0; fd < FDS_MAX; fd++) {
		snprintf(path, sizeof(path), "/proc/%d/fd/%d", qemu->pid, fd);
		len = readlink(path, target, sizeof(target) - 1);
		target[MAX(len, 0)] = 0;
		ret_is_eventfd[fd] = !strcmp(target, "anon_inode:[eventfd]");
	}
}

/*
 * When the driver says that it is there, QEMU makes eventfds, last of all an ioeventfd for each
 * queue in turn, of which the driver may not know the last ones.
 */
static bool take_kicks(struct driver *driver, unsigned int nr_queues, const bool before[FDS_MAX])
{
	const int pidfd = (int)syscall(SYS_pidfd_open, driver->qemu.pid, 0);
	bool after[FDS_MAX];
	int fd;

	find_eventfds(&driver->qemu, after);
	for (fd = FDS_MAX - 1; fd >= 0 && nr_queues; fd--) {
		if (!after[fd] || before[fd] || --nr_queues >= driver->qemu.registers.nr_queues)
			continue;
		driver->kick_fds[nr_queues] = (int)syscall(SYS_pidfd_getfd, pidfd, fd, 0);
	}
	close(pidfd);
	return !nr_queues && driver->kick_fds[0] >= 0;
}

bool qemu_start(struct driver *driver, enum qemu_device kind, const char *backend_option,
		const char *backend, const char *device, int fd, uint64_t features)
{
	struct qemu *qemu = &driver->qemu;
	char option[16], behind[4200], what[128];
	bool before[FDS_MAX];
	uint64_t magic;

	/* execvp's words are not constant. */
	snprintf(option, sizeof(option), "%s", backend_option);
	snprintf(behind, sizeof(behind), "%s", backend);
	snprintf(what, sizeof(what), "%s,bus=virtio-mmio-bus.0", device);
	start_process(driver, option, behind, what, fd);
	if (!command_read(qemu, 0, &magic))
		return false;
	device_init(&qemu->registers.device, &register_ops, "qemu");
	qemu->registers.nr_queues = kind == QEMU_DISK ? 1 : 2;
	driver->guest.virtio = &qemu->registers;
	find_eventfds(qemu, before);
	features &= fake_offered_features(&driver->guest);
	FAKE_CHECK(features >> VIRTIO_RING_F_EVENT_IDX & features >> VIRTIO_RING_F_INDIRECT_DESC &
		   1);
	fake_guest_start(&driver->guest, features, QUEUE_SIZE);
	return take_kicks(driver, kind == QEMU_DISK ? 1 : 3, before);
}
