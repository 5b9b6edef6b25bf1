# SPDX-License-Identifier: Apache-2.0
"""What virtio/ and QEMU's devices move, without a guest: tests/bench/virtio/main.c."""
import json
import os
import subprocess

from figures import QEMU
from vm import BUILD, Unable

WHERE = "here"
TIMES = 0
LIMIT = 400


def measure(bench):
    program = bench.stage(BUILD + "/bench/virtio")
    try:
        done = subprocess.run([program], stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=LIMIT,
                              env=dict(os.environ, TMPDIR=bench.folder))
    except subprocess.TimeoutExpired:
        raise Unable("build/bench/virtio did not end in %d s" % LIMIT) from None
    if done.returncode:
        raise Unable("build/bench/virtio ends with %d: %s" % (done.returncode, done.stderr.strip()))
    for case in json.loads(done.stdout)["cases"]:
        bench.add(case["name"], case["husk"])
        if "qemu" in case:
            bench.add(case["name"], case["qemu"], QEMU)
        elif QEMU in bench.launchers:
            bench.unable[QEMU] = "its devices could not be set up without a guest: " + done.stderr.strip()[:400]
