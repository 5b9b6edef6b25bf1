# SPDX-License-Identifier: Apache-2.0
"""Disk throughput, by fio in the guest."""
import subprocess

from figures import FIGURES
from vm import BUILD, CMDLINE, Unable, Vm

WHERE = "linux"
TIMES = 1
# fio's terse format 3, from 0: reads (KiB/s, IOPS), then writes.
NAME, READ, WRITE = 2, 6, 47
LIMIT = 400


def measure(bench):
    def work(words):
        try:
            done = subprocess.run(words, stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT)
        except subprocess.TimeoutExpired:
            raise Unable("fio did not end in %d s" % LIMIT) from None
        rows = [line.strip().split(";") for line in done.stdout.splitlines() if line.startswith("3;fio")]
        if {row[NAME] for row in rows} != set(units):
            raise Unable("fio did not do all its work: %s" % (done.stdout + done.stderr)[-2000:])
        return {row[NAME]: value(row) for row in rows}

    def value(row):
        kib_s, iops = (float(row[READ + i]) + float(row[WRITE + i]) for i in (0, 1))
        return iops if units[row[NAME]] == "IOPS" else kib_s / 1024

    units = {figure.id: figure.unit for figure in FIGURES["block"]}
    vm = Vm(bench.stage(BUILD + "/vmlinux"), CMDLINE + " init=/job job=block",
            root=bench.stage(BUILD + "/bench/jobs.img"), disks=[bench.file("disk", 256)], memory_mib=256)
    bench.compare(vm, work, warm_up=False)
