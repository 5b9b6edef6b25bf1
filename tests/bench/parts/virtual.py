# SPDX-License-Identifier: Apache-2.0
"""husk run, as a user has it, in virtual time: kernel, root file system and init are husk's own."""
import json
import subprocess

from bench import steps
from launchers.husk import HUSK
from vm import Unable

WHERE = "virtual"
TIMES = 3


def measure(bench):
    path = bench.folder + "/metrics"
    command = [HUSK, "run", "--metrics", path, "-c", "1", "-m", "128M", "--", "true"]
    for turn in range(bench.runs + 1):
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
