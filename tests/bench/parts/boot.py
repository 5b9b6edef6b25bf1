# SPDX-License-Identifier: Apache-2.0
"""A Linux guest to the first instruction of its init."""
from vm import BUILD, CMDLINE, Vm

WHERE = "linux"
TIMES = 2


def measure(bench):
    def boot(words):
        first, end = bench.once(words)
        return {"boot_init": first, "boot_exit": end}

    bench.compare(Vm(bench.stage(BUILD + "/vmlinux"), CMDLINE + " init=/first",
                     root=bench.stage(BUILD + "/bench/first.img")), boot)
