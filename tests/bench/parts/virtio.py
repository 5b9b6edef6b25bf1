# SPDX-License-Identifier: Apache-2.0
"""What virtio/ moves, without KVM: tests/bench/virtio.c."""
import json
import subprocess

from vm import BUILD, Unable

WHERE = "here"
TIMES = 0


def measure(bench):
    program = bench.stage(BUILD + "/bench/virtio")
    done = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Unable("build/bench/virtio ends with %d: %s" % (done.returncode, done.stderr.strip()))
    for case in json.loads(done.stdout)["cases"]:
        rate = case["per_cpu_second"]
        bench.add(case["name"], [rate["min"], rate["median"], rate["max"]])
