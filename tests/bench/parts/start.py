# SPDX-License-Identifier: Apache-2.0
"""From nothing to the first guest instruction, and from the last one to nothing."""
import json
import os
import tempfile
import time

from bench import steps
from vm import BUILD, Vm

WHERE = "here"
TIMES = 20
# KVM takes a VM apart for up to 20 ms after its end, which holds up whatever makes one meanwhile. The price
# of that is in density; here, each VM is alone.
SETTLE = 0.05  # seconds


def measure(bench):
    def from_outside(words):
        time.sleep(SETTLE)
        first, end = bench.once(words)
        return {"first_byte": first, "exit": end, "end": end - first}

    def from_inside(words):
        time.sleep(SETTLE)
        bench.once(words)
        with open(vm.metrics) as file:
            metrics = json.load(file)
        bench.waterfall("a guest of a few bytes, on this machine", metrics)
        return {"first_instruction": steps(metrics)["first guest instruction"]}

    guest = bench.stage(BUILD + "/bench/instant")
    bench.compare(Vm(guest), from_outside)
    # In memory: on a disk, to empty the file of the last run takes longer than most steps of the start.
    memory = "/dev/shm" if os.path.isdir("/dev/shm") else bench.folder
    with tempfile.NamedTemporaryFile(dir=memory) as metrics:
        vm = Vm(guest, metrics=metrics.name)
        bench.compare(vm, from_inside, only=["husk"])
