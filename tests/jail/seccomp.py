#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
What each kind of thread may call, tried on running VMs by husk-probe (probe.h).

	seccomp.py numbers PLACE    every system call number, with arguments of each sort
	seccomp.py abi PLACE        the same by the x32 and the 32-bit entries
	seccomp.py arguments PLACE  the calls that are allowed, with what is not: other descriptors,
	                            other operations
	seccomp.py terminal         the same for a VM on a terminal

PLACE is vcpu, loop or supervisor. The lists here are written from what husk has to do, not from its
policy: a call that the policy gains has to be added here as well, or the test fails.

$PROBE is husk-probe, $GUESTS the folder of guests, $STEP tries one number in so many. Works in the
current folder. Exit status 1, and a line for each that went wrong.
"""
import concurrent.futures
import fcntl
import itertools
import json
import os
import pty
import re
import signal
import socket
import struct
import subprocess
import sys
import termios

PROBE, GUESTS, STEP = os.environ["PROBE"], os.environ["GUESTS"], int(os.environ.get("STEP", 1))
THREADS = {"vcpu": "vcpu0", "loop": "main", "supervisor": "supervisor"}
DISK_SIZE = 64 * 1024
FAR = 1 << 40

# Linux, arch/x86/entry/syscalls/syscall_64.tbl.
NR = dict(read=0, write=1, open=2, close=3, poll=7, lseek=8, mmap=9, mprotect=10, rt_sigaction=13,
          rt_sigprocmask=14, ioctl=16, madvise=28, pread64=17, pwrite64=18, readv=19, writev=20, dup=32,
          sendfile=40, sendto=44, recvfrom=45, sendmsg=46, recvmsg=47, exit=60, wait4=61, kill=62,
          fcntl=72, fsync=74, fdatasync=75, ftruncate=77, tkill=200, futex=202,
          restart_syscall=219, clock_gettime=228, exit_group=231, epoll_wait=232, epoll_ctl=233,
          tgkill=234, openat=257, epoll_pwait=281, fallocate=285, preadv=295, pwritev=296,
          rt_tgsigqueueinfo=297, preadv2=327, pwritev2=328, pidfd_send_signal=424, clone3=435,
          pidfd_getfd=438, io_uring_setup=425, io_uring_enter=426, io_uring_register=427)
NUMBERS = list(range(0, 501)) + [512, 547, 548, 600, 1023, 1024, 4095, 65535, 1 << 29, (1 << 30) - 1]
X32 = 1 << 30

# Arguments of every sort, and which calls may be made with them, by whom: those whose arguments are
# not looked at, a byte to the log. Nothing else.
SORTS = {"zero": "0 0 0 0 0 0", "ones": "-1 -1 -1 -1 -1 -1", "plausible": "2 buf 1 0 0 0"}
FREE = {"vcpu": {"exit", "restart_syscall"}, "loop": {"exit_group", "restart_syscall", "close"},
        "supervisor": {"exit_group", "restart_syscall", "wait4"}}
FREE_SORT = {("vcpu", "write", "plausible"), ("loop", "write", "plausible"),
             ("supervisor", "write", "plausible")}
# uretprobe and uprobe: Linux 6.14 and later show them to no filter (kernel/seccomp.c). They are for
# the kernel's own trampolines; whoever else makes them gets SIGILL, or ENXIO.
UNFILTERED = {335, 336}
# Allowed, but the VM would wait for ever, or could not say so.
UNTRIED = {("vcpu", "exit"), ("supervisor", "wait4"), ("loop", "close")}

failures = []
disk_number = itertools.count()


def fail(what, status, text):
    failures.append(what)
    print("FAIL %s: status %d: %s" % (what, status, text.strip().replace("\n", " | ")), flush=True)


def spawn(command, place, steps, **options):
    """Exit status (128 + N for signal N, as a shell has it) and standard error."""
    environment = dict(os.environ, HUSK_PROBE="%s %s" % (place, steps))
    done = subprocess.Popen(command, env=environment, stderr=subprocess.PIPE, text=True,
                            **{"stdin": subprocess.DEVNULL, "stdout": subprocess.DEVNULL, **options})
    try:
        text = done.communicate(timeout=60)[1]
    except subprocess.TimeoutExpired:
        done.kill()
        text = done.communicate()[1] + " (hangs)"
    return done.returncode if done.returncode >= 0 else 128 - done.returncode, text


def make_disk(name):
    with open(name, "ab") as file:
        file.truncate(DISK_SIZE)


def config_file():
    drives = [{"drive_id": "ro", "path_on_host": "disk-ro", "is_root_device": False, "is_read_only": True}]
    with open("vm.json", "w") as file:
        json.dump({"boot-source": {"kernel_image_path": GUESTS + "/hello", "boot_args": ""},
                   "machine-config": {"vcpu_count": 2, "mem_size_mib": 32}, "drives": drives}, file)
    return [PROBE, "--config-file", "vm.json", "--no-api"]


def run_command(*options):
    # One VM at a time may write a disk, and one whose supervisor was killed outlives it by a moment.
    disk = "disk-%d" % next(disk_number)
    make_disk(disk)
    return [PROBE, "run", "--kernel", GUESTS + "/hello", "--rootfs", "disk-ro,ro", "--cpus", "2",
            "--memory", "32M", "--drive", disk, *options, "--", "true"]


def is_killed(place, mode, number, status, text, named=True):
    """By the filter: the report names the thread and the call, and the exit status says it."""
    want = 159 if mode == "run" or place == "supervisor" else 148
    if "probe: call" in text or "probe: int80" in text or status != want:
        return False
    return not named or re.search(r"^husk: seccomp: thread %s may not call \S+\(.*\), number %d\b"
                                  % (THREADS[place], number), text, re.M) is not None


def try_number(place, command, number, sort):
    names = {value: name for name, value in NR.items()}
    name = names.get(number, str(number))
    allowed = name in FREE[place] or (place, name, sort) in FREE_SORT
    if allowed and (place, name) in UNTRIED:
        return
    status, text = spawn(command, place, "call %d %s" % (number, SORTS[sort]))
    what = "%s: %s, %s" % (place, name, sort)
    if number in UNFILTERED and (status in (128 + signal.SIGILL, 157) or "call ENXIO" in text):
        return
    if not allowed:
        if not is_killed(place, "file", number, status, text):
            fail(what + " is not stopped", status, text)
    elif "seccomp" in text or ("probe: call" not in text and name != "exit_group"):
        fail(what + " is stopped", status, text)
    # What the report says of the arguments is what they were.
    if sort == "ones" and not allowed and "0xffffffffffffffff, " * 5 not in text:
        fail(what + ": arguments are not in the report", status, text)


def in_parallel(function, cases):
    with concurrent.futures.ThreadPoolExecutor(max_workers=os.cpu_count() * 2) as pool:
        for task in [pool.submit(function, *case) for case in cases]:
            task.result()
    print("%d tried" % len(cases))


def numbers(place):
    command = config_file()
    known = set(NR.values())
    in_parallel(try_number, [(place, command, number, sort) for sort in SORTS
                             for number in NUMBERS if number % STEP == 0 or number in known])


def try_abi(place, command, step, report_is_needed):
    status, text = spawn(command, place, step)
    if not is_killed(place, "file", 0, status, text, named=False):
        fail("%s: %s is not stopped" % (place, step), status, text)


def abi(place):
    command = config_file()
    steps = ["call %d %s" % (X32 | number, SORTS["plausible"])
             for number in NUMBERS if number < 600 and (number % STEP == 0 or number in NR.values())]
    # A kernel without 32-bit programs has no such entry: the thread faults.
    if "probe: int80" in spawn(command + ["--no-seccomp"], place, "int80 20")[1]:
        # exit, fork, read, write, open, close, execve, mount, ptrace, ioctl, mmap, socketcall, ...
        listed = [1, 2, 3, 4, 5, 6, 11, 21, 26, 54, 90, 102, 120, 192, 240, 252, 295, 359, 362]
        steps += ["int80 %d %s" % (number, SORTS["plausible"])
                  for number in sorted(set(listed + list(range(0, 460, 4 * STEP))))]
    else:
        print("no 32-bit entry on this host")
    in_parallel(try_abi, [(place, command, step, False) for step in steps])


def calls(text):
    """A table of "call arguments" lines, with names for numbers."""
    lines = [line.split("#")[0].split() for line in text.strip().splitlines()]
    return ["call %d %s" % (NR[words[0]], " ".join(words[1:])) for words in lines if words]


KVM_CREATE_VM, KVM_RUN, KVM_GET_REGS, KVM_SET_REGS = 0xAE01, 0xAE80, 0x8090AE81, 0x4090AE82
KVM_SET_SREGS, KVM_SET_GUEST_DEBUG, KVM_CREATE_VCPU = 0x4138AE84, 0x4048AE9B, 0xAE41
KVM_SET_USER_MEMORY_REGION, KVM_CREATE_DEVICE, KVM_IOEVENTFD = 0x4020AE46, 0xC00CAEE0, 0x4040AE79
TUNSETIFF, TUNSETOFFLOAD, TUNATTACHFILTER, TUNSETOWNER = 0x400454CA, 0x400454D0, 0x401054D5, 0x400454CC
TIOCGWINSZ, TIOCSTI, TIOCSCTTY, TIOCSETD, TIOCLINUX, TCGETS, TCSETS = (
    0x5413, 0x5412, 0x540E, 0x5423, 0x541C, 0x5401, 0x5402)
FIFREEZE, FICLONE, BLKDISCARD, FIONBIO, FIOASYNC = 0xC0045877, 0x40049409, 0x1277, 0x5421, 0x5452

# Each of these has to work (whatever it returns): else the lists below prove nothing.
ALLOWED_BOTH = """
write event buf 0
write irq buf 0
write log buf 0
poll buf 1 0
clock_gettime 1 buf
futex buf 129 1          # FUTEX_WAKE_PRIVATE
futex buf 128 1          # FUTEX_WAIT_PRIVATE: the value differs
"""
ALLOWED = {
    "vcpu": ALLOWED_BOTH,
    "loop": ALLOWED_BOTH + f"""
read event buf 8
read notice buf 128
write output buf 0
write verdict buf 0
madvise buf 0 4
close disk
epoll_ctl epoll 3 9999 buf
preadv disk iov 1 0
preadv disk iov 1 {DISK_SIZE - 1}
preadv disk-ro iov 1 0
pwritev disk iov 1 {DISK_SIZE - 1}
fdatasync disk
fallocate disk 3 0 4096        # PUNCH_HOLE, KEEP_SIZE
fallocate disk 17 0 4096       # ZERO_RANGE, KEEP_SIZE
io_uring_enter ring 0 0 0 0 8
readv tap iov 1
writev tap iov 0
ioctl tap {TUNSETOFFLOAD} 0
sendmsg socket buf {0x4040}    # MSG_DONTWAIT, MSG_NOSIGNAL
recvfrom socket buf 1 {0x40} 0 0
""",
    "supervisor": """
write log buf 0
poll buf 1 0
epoll_pwait epoll buf 1 0 0 8
clock_gettime 1 buf
pidfd_send_signal process 0 0 0
""",
}

# None of these may work.
FORBIDDEN_BOTH = f"""
read 0 buf 1
read 9999 buf 1
read -1 buf 1
read disk buf 1
read kvm buf 1
write 0 buf 1
write 1 buf 1
write 9999 buf 1
write -1 buf 1
write disk buf 1
write disk-ro buf 1
write epoll buf 1
write notice buf 8
write input buf 1
write tap buf 1
write socket buf 1
write vm buf 1
write kvm buf 1
poll buf 0 0
poll buf 2 0
epoll_wait epoll buf 1 0
clock_gettime 0 buf
clock_gettime 2 buf
clock_gettime -2 buf
clock_gettime -6 buf
futex buf 0 1
futex buf 1 1
futex buf 3 1
futex buf 4 1
futex buf 5 1
futex buf 6 0
futex buf 7 0
futex buf 9 1
futex buf 11 1
futex buf 131 1
futex buf 132 1
futex buf 133 1
futex buf 134 1
futex buf 137 1
futex buf 139 1
futex buf 384 1
kill pid 0
kill pid 9
kill 0 0
kill -1 9
kill 1 19
tgkill pid pid 0
tkill pid 9
rt_tgsigqueueinfo pid pid 9 buf
ioctl vm {KVM_CREATE_VCPU} 7
ioctl vm {KVM_SET_USER_MEMORY_REGION} buf
ioctl vm {KVM_CREATE_DEVICE} buf
ioctl vm {KVM_IOEVENTFD} buf
ioctl vm {KVM_RUN} 0
ioctl kvm {KVM_CREATE_VM} 0
ioctl kvm {KVM_RUN} 0
ioctl vcpu0 {KVM_GET_REGS} buf
ioctl vcpu0 {KVM_SET_REGS} buf
ioctl vcpu0 {KVM_SET_SREGS} buf
ioctl vcpu0 {KVM_SET_GUEST_DEBUG} buf
ioctl vcpu1 {KVM_RUN} 0
ioctl tap {TUNSETIFF} buf
ioctl tap {TUNATTACHFILTER} buf
ioctl tap {TUNSETOWNER} 0
ioctl 0 {TIOCSTI} buf
ioctl 2 {TIOCSTI} buf
ioctl 0 {TCGETS} buf
ioctl disk {FIFREEZE} 0
ioctl disk {FICLONE} disk-ro
ioctl disk {BLKDISCARD} buf
ioctl event {FIONBIO} buf
ioctl socket {FIOASYNC} buf
openat -100 path 0 0
open path 0 0
fcntl disk 4 0
dup disk
mmap 0 4096 7 34 -1 0
mprotect buf 4096 5
madvise buf 4096 9
madvise buf 4096 21
clone3 buf 88
pidfd_getfd 9999 1 0
"""
FORBIDDEN_DISK = f"""
preadv disk-ro iov 1 {DISK_SIZE}
preadv disk iov 1 {DISK_SIZE}
preadv disk iov 1 {FAR}
preadv disk iov 1 -1
preadv event iov 1 0
preadv 9999 iov 1 0
pwritev disk iov 1 {DISK_SIZE}
pwritev disk iov 1 {DISK_SIZE + 4096}
pwritev disk iov 1 {FAR}
pwritev disk iov 1 {1 << 63}
pwritev disk iov 1 -1
pwritev disk-ro iov 1 0
pwritev log iov 1 0
pwritev 9999 iov 1 0
preadv2 disk iov 1 0 0 0
io_uring_enter ring 0 1 0 0 8
io_uring_enter ring 0 0 1 0 8          # GETEVENTS
io_uring_enter ring 0 0 16 0 8         # REGISTERED_RING: an index, not a descriptor
io_uring_enter ring 0 0 0 buf 8
io_uring_enter disk 0 0 0 0 8
io_uring_enter event 0 0 0 0 8
io_uring_enter 9999 0 0 0 0 8
io_uring_register ring 2 buf 1
io_uring_register ring 12 0 0
io_uring_setup 1 buf
pwritev2 disk iov 1 0 0 16
pread64 disk buf 1 0
pwrite64 disk buf 1 0
lseek disk 0 2
ftruncate disk 0
sendfile output disk 0 1
fsync disk
fdatasync event
read irq buf 8
fdatasync log
fdatasync 9999
fallocate disk 0 0 4096
fallocate disk 1 0 4096
fallocate disk 2 0 4096
fallocate disk 8 0 4096
fallocate disk 16 0 4096
fallocate disk 32 0 4096
fallocate disk 67 0 4096
fallocate disk 3 {DISK_SIZE} 4096
fallocate disk 17 {FAR} 4096
fallocate disk 3 -1 4096
fallocate disk-ro 3 0 4096
fallocate event 3 0 4096
"""
FORBIDDEN = {
    "vcpu": FORBIDDEN_BOTH + FORBIDDEN_DISK + f"""
read event buf 8
read notice buf 8
read input buf 1
write output buf 1
epoll_pwait epoll buf 1 0 0 8
epoll_ctl epoll 3 9999 buf
preadv disk iov 1 0
pwritev disk iov 1 0
fdatasync disk
fallocate disk 3 0 4096
io_uring_enter ring 0 0 0 0 8
readv tap iov 1
writev tap iov 1
ioctl tap {TUNSETOFFLOAD} 0
sendmsg socket buf {0x4040}
recvfrom socket buf 1 {0x40} 0 0
ioctl vcpu0 {KVM_RUN} 1
exit_group 0
""",
    "loop": FORBIDDEN_BOTH + FORBIDDEN_DISK + f"""
ioctl vcpu0 {KVM_RUN} 0
read output buf 1
read log buf 1
read tap buf 1
read socket buf 1
read vm buf 1
read epoll buf 1
epoll_pwait event buf 1 0 0 8
epoll_pwait 9999 buf 1 0 0 8
epoll_pwait epoll buf 1 0 buf 8          # with a signal mask
epoll_ctl event 1 epoll buf
epoll_ctl epoll 0 event buf
epoll_ctl epoll 4 event buf
readv disk iov 1
readv input iov 1
readv socket iov 1
writev disk iov 1
writev log iov 1
writev output iov 1
writev socket iov 1
ioctl disk {TUNSETOFFLOAD} 0
ioctl socket {TUNSETOFFLOAD} 0
sendmsg socket buf 0
sendmsg socket buf {0x4041}
sendmsg socket buf {0x4000}
sendmsg tap buf {0x4040}
sendmsg 9999 buf {0x4040}
sendto socket buf 1 {0x4040} 0 0
recvfrom socket buf 1 0 0 0
recvfrom socket buf 1 {0x42} 0 0
recvfrom socket buf 1 {0x40} buf 0
recvfrom 9999 buf 1 {0x40} 0 0
recvmsg socket buf {0x40}
exit 0
wait4 -1 0 1 0
""",
    "supervisor": f"""
read 0 buf 1
read 9999 buf 1
read process buf 1
write 0 buf 1
write 1 buf 1
write signals buf 1
write process buf 1
write 9999 buf 1
poll buf 2 0
clock_gettime 0 buf
kill pid 0
kill pid 9
kill pid 15
kill 0 19
kill -1 19
kill -1 9
kill 1 19
tgkill pid pid 9
tkill pid 9
pidfd_send_signal signals 0 0 0
pidfd_send_signal 9999 9 0 0
pidfd_send_signal process 0 0 1
pidfd_send_signal process 0 1 0
pidfd_getfd process 0 0
ioctl 0 {TIOCSTI} buf
ioctl 2 {TIOCSTI} buf
ioctl 0 {TCGETS} buf
openat -100 path 0 0
exit 0
futex buf 0 1
epoll_pwait signals buf 1 0 0 8
epoll_pwait epoll buf 1 0 buf 8
""",
}


def run_with_network(place, steps):
    """A VM with a TAP device, where there can be one, and a socket."""
    ours, theirs = socket.socketpair()
    files, options = [theirs.fileno()], ["--net", "fd=%d" % theirs.fileno()]
    try:
        tun = os.open("/dev/net/tun", os.O_RDWR)
        # IFF_TAP, IFF_NO_PI, IFF_VNET_HDR: a device that goes when this descriptor does.
        fcntl.ioctl(tun, TUNSETIFF, struct.pack("16sH22x", b"", 0x5002))
        files.append(tun)
        options += ["--net", "fd=%d" % tun]
    except OSError:
        tun = -1
    try:
        return spawn(run_command(*options), place, steps, pass_fds=files)
    finally:
        ours.close()
        theirs.close()
        if tun >= 0:
            os.close(tun)


def try_forbidden(place, step, run):
    status, text = run(place, step)
    if "probe: no tap here" in text or "probe: no ring here" in text:
        return
    if not is_killed(place, "run", int(step.split()[1]), status, text):
        fail("%s: %s is not stopped" % (place, step), status, text)


def try_allowed(place, steps, run):
    status, text = run(place, ";".join(steps))
    if "seccomp: " in text.replace("--seccomp", "") or "probe: done" not in text:
        fail("%s: what is needed is stopped" % place, status, text)
    missing = [what for what in ("tap", "ring") if "probe: no %s here" % what in text]
    wanted = [step for step in steps if not set(missing) & set(step.split())]
    if text.count("probe: call") < len(wanted):
        fail("%s: not all was tried" % place, status, text)


def arguments(place):
    try_allowed(place, calls(ALLOWED[place]), run_with_network)
    in_parallel(try_forbidden, [(place, step, run_with_network) for step in calls(FORBIDDEN[place])])


def run_on_terminal(place, steps):
    controller, terminal = pty.openpty()

    def take():
        os.setsid()
        fcntl.ioctl(0, termios.TIOCSCTTY, 0)
    try:
        return spawn(run_command(), place, steps, stdin=terminal, stdout=terminal, preexec_fn=take)
    finally:
        os.close(controller)
        os.close(terminal)


def terminal():
    forbidden = f"""
ioctl terminal {TIOCSTI} buf
ioctl terminal {TIOCSCTTY} 1
ioctl terminal {TIOCSETD} buf
ioctl terminal {TIOCLINUX} buf
ioctl terminal {1 << 32 | TIOCSTI} buf
write terminal buf 1
ioctl 1 {TIOCSTI} buf
"""
    try_allowed("loop", calls("ioctl terminal %d buf" % TIOCGWINSZ), run_on_terminal)
    in_parallel(try_forbidden, [(place, step, run_on_terminal) for place in ("loop", "supervisor")
                                for step in calls(forbidden)])


def main():
    make_disk("disk-ro")
    signal.alarm(1800)
    what = {"numbers": numbers, "abi": abi, "arguments": arguments, "terminal": terminal}[sys.argv[1]]
    what(*sys.argv[2:])
    sys.exit(1 if failures else 0)


main()
