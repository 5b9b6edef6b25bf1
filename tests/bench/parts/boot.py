# SPDX-License-Identifier: Apache-2.0
"""A Linux guest to the first instruction of its init."""
from vm import BUILD, CMDLINE, Vm

WHERE = "linux"
TIMES = 2


def measure(bench):
    def from_disk(words):
        first, end = bench.once(words)
        return {"boot_init": first, "boot_exit": end}

    def from_initramfs(words):
        return {"boot_initrd": bench.once(words)[0]}

    kernel = bench.stage(BUILD + "/vmlinux")
    bench.compare(Vm(kernel, CMDLINE + " init=/first", root=bench.stage(BUILD + "/bench/first.img")), from_disk)
    bench.compare(Vm(kernel, CMDLINE + " rdinit=/first", initrd=bench.stage(BUILD + "/bench/first.cpio")),
                  from_initramfs)
