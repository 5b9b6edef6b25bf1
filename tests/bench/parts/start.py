# SPDX-License-Identifier: Apache-2.0
"""From nothing to the first guest instruction, and from the last one to nothing."""
import json

from bench import steps
from vm import BUILD, Vm

WHERE = "here"
TIMES = 20


def measure(bench):
    def from_outside(words):
        first, end = bench.once(words)
        return {"first_byte": first, "exit": end, "end": end - first}

    def from_inside(words):
        bench.once(words)
        with open(vm.metrics) as file:
            metrics = json.load(file)
        bench.waterfall("a guest of a few bytes, on this machine", metrics)
        return {"first_instruction": steps(metrics)["first guest instruction"]}

    guest = bench.stage(BUILD + "/bench/instant")
    bench.compare(Vm(guest), from_outside)
    vm = Vm(guest, metrics=bench.folder + "/metrics")
    bench.compare(vm, from_inside, only=["husk"])
