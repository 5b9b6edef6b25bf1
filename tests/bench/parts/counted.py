# SPDX-License-Identifier: Apache-2.0
"""As boot, by a clock that does not care how busy this machine is, if the launchers do not wait for it."""
from vm import BUILD, CMDLINE, Vm

WHERE = "counted"
TIMES = 2


def measure(bench):
    def boot(words):
        first, end = bench.once(words)
        return {"counted_init": first, "counted_exit": end}

    bench.compare(Vm(bench.stage(BUILD + "/vmlinux"), CMDLINE + " init=/first",
                     root=bench.stage(BUILD + "/bench/first.img")), boot)
