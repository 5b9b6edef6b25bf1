# SPDX-License-Identifier: Apache-2.0
"""husk run, as a user has it, in virtual time: kernel, root file system and init are husk's own."""
import json
import subprocess
import time

from bench import steps
from launchers.husk import HUSK
from vm import BUILD, Unable

WHERE = "virtual"
TIMES = 3
# As in start: each VM alone. KVM takes the one before apart after its end; in virtual time waiting is free.
SETTLE = 0.5  # seconds


def measure(bench):
    path = bench.folder + "/metrics"
    # Where the rig has to ask for a file, its clock goes on as long as that takes.
    command = [bench.stage(HUSK), "run", "--metrics", path, "-k", bench.stage(BUILD + "/vmlinux"),
               "-r", bench.stage(BUILD + "/rootfs.img") + ",ro", "-c", "1", "-m", "128M", "--", "true"]
    for turn in range(bench.runs + 1):
        time.sleep(SETTLE)
        done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if done.returncode:
            raise Unable("husk run ends with %d: %s" % (done.returncode, done.stderr.strip()))
        if not turn:  # warms up
            continue
        with open(path) as file:
            metrics = json.load(file)
        at = steps(metrics)
        bench.add("virtual_init", at["init starts"])
        bench.add("virtual_kernel", at["init starts"] - at["first guest instruction"])
        bench.add("exits_user", metrics["exits_before_init"]["user"]["all"])
        bench.add("exits_all", metrics["exits_before_init"]["all"])
        bench.waterfall("husk run -- true, in virtual time", metrics)
