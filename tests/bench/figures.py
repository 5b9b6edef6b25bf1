# SPDX-License-Identifier: Apache-2.0
"""
Every figure there is: what it is, where its clock starts and stops, and what husk promises. The only
place with limits; the page, the documentation and the budget read them here.
"""
from dataclasses import dataclass
from typing import Optional

QEMU = "qemu-microvm"

FIRST_BYTE = ("from just before the launcher is forked until its parent has read the guest's first byte "
              "from a pipe; the guest's first visible instruction writes it to COM1")
EXIT = "from just before the launcher is forked until its parent has its exit status"
INIT = ("from just before the launcher is forked until its parent has read, from a pipe, the byte that "
        "the guest's init writes to COM1's port as its first act")
VIRTUAL = "one instruction of the emulated host is one nanosecond; counts launcher, host kernel and guest"
COUNTED = "One instruction is one nanosecond, and time in which the emulated host is idle is real"
FIO = "fio in the guest: libaio, direct; the disk is a file in the host's memory (tmpfs)"


@dataclass
class Figure:
    id: str
    title: str
    unit: str
    clock: str
    limit: Optional[float] = None   # of husk's median: at most this
    ratio: Optional[float] = None   # husk is at least so many times better than QEMU's microvm
    enforced: bool = False          # repeatable: tests/bench/budget fails where it is over
    more_is_better: bool = False


# By part: where it is measured is said there (tests/bench/parts).
FIGURES = {
    "start": [
        Figure("first_instruction", "exec to the first guest instruction, as husk sees it", "ms",
               "husk's --metrics: from the start of its process to the first KVM_RUN", limit=2),
        Figure("first_byte", "start to the guest's first byte", "ms", FIRST_BYTE, ratio=8),
        Figure("exit", "start to the exit status", "ms", EXIT + "; the guest writes a byte and resets",
               ratio=8),
        Figure("end", "guest's last instruction to the exit status", "ms",
               "from when the parent has read the last byte (the guest's next instruction resets "
               "the VM) until it has the exit status", limit=3),
    ],
    "density": [
        Figure("together_first_byte", "64 VMs started at once: start to first byte", "ms", FIRST_BYTE),
        Figure("together_all", "64 VMs started at once: until all have ended", "ms",
               "from just before the first fork until the last exit status"),
        Figure("together_failed", "64 VMs started at once: failures", "VMs",
               "VMs without their byte, or with another exit status than 0", limit=0),
        Figure("rate_1", "VMs per second, one at a time", "1/s",
               "VMs that started, wrote their byte and ended, by the time that took", more_is_better=True),
        Figure("rate_2", "VMs per second, two at a time", "1/s", "the same", more_is_better=True),
        Figure("rate_4", "VMs per second, four at a time", "1/s", "the same", more_is_better=True),
    ],
    "virtual": [
        Figure("virtual_init", "exec to the first instruction of init", "virtual ms",
               VIRTUAL + ". husk's --metrics: from the start of its process", limit=44, enforced=True),
        Figure("virtual_kernel", "kernel entry to the first instruction of init", "virtual ms",
               VIRTUAL, limit=30, enforced=True),
        Figure("exits_user", "VM exits to husk before init", "exits",
               "returns of KVM_RUN, counted by husk", limit=100, enforced=True),
        Figure("exits_all", "VM exits of all kinds before init", "exits",
               "KVM's statistics of the vCPUs", limit=1500, enforced=True),
    ],
    "boot": [
        Figure("boot_init", "start to the first instruction of init", "ms", INIT, ratio=3),
        Figure("boot_initrd", "the same in an initramfs, without any disk", "ms", INIT),
        Figure("boot_exit", "start to the exit status, with the disk", "ms", EXIT + "; init ends the VM at once"),
    ],
    "counted": [
        Figure("counted_init", "start to the first instruction of init", "counted ms", INIT + ". " + COUNTED),
        Figure("counted_exit", "start to the exit status", "counted ms", EXIT + ". " + COUNTED),
    ],
    "memory": [
        Figure("overhead", "memory beside the guest's", "KiB",
               "an idle VM with one disk and one network interface, 1 s after init's start: "
               "proportional set size of all its processes, without guest RAM", limit=700, enforced=True),
        Figure("guest_private", "guest memory of its own", "MiB",
               "the same VM: anonymous pages of guest RAM, so not those of the kernel's file that nobody wrote", limit=12, enforced=True),
        Figure("exits_boot", "VM exits of all kinds, until idle", "exits",
               "the same VM: KVM's statistics in debugfs"),
    ],
    "size": [
        Figure("kernel_size", "guest kernel as loaded", "MiB",
               "memory of all segments of vmlinux", limit=8, enforced=True),
        Figure("husk_size", "husk, stripped and static", "MiB",
               "size of the file; it must have no interpreter", limit=0.5, enforced=True),
    ],
    "block": [Figure(name, title + ", " + how, unit, FIO, ratio=1, more_is_better=True)
              for name, title, unit, how in [
                  ("rand_read_1", "random read", "IOPS", "4 KiB, depth 1"),
                  ("rand_read_32", "random read", "IOPS", "4 KiB, depth 32"),
                  ("rand_write_1", "random write", "IOPS", "4 KiB, depth 1"),
                  ("rand_write_32", "random write", "IOPS", "4 KiB, depth 32"),
                  ("read_1", "sequential read", "MiB/s", "128 KiB, depth 1"),
                  ("read_32", "sequential read", "MiB/s", "128 KiB, depth 32"),
                  ("write_1", "sequential write", "MiB/s", "128 KiB, depth 1"),
                  ("write_32", "sequential write", "MiB/s", "128 KiB, depth 32")]],
    "net": [
        Figure("tcp_to_guest", "TCP to the guest", "Mbit/s",
               "iperf3, one stream through TAP, received by the guest", ratio=1, more_is_better=True),
        Figure("tcp_from_guest", "TCP from the guest", "Mbit/s",
               "iperf3 -R, one stream through TAP, received by the host", ratio=1, more_is_better=True),
        Figure("ping", "ping round trip", "ms", "ping from the host, average", ratio=1),
    ],
    "virtio": [],
}

# Parts that name more figures by themselves, and what those have in common.
OPEN = {
    "virtio": Figure("", "", "per CPU second",
                     "requests or frames by the device's CPU time: of husk's loop on a thread of its own with its "
                     "ring's helpers, or of QEMU's process; from before the first kick until after the last answer. "
                     "The driver in another process or thread does not count (tests/bench/virtio/main.c)",
                     ratio=1, more_is_better=True),
}
