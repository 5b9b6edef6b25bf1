# SPDX-License-Identifier: Apache-2.0
"""Network throughput through TAP, by iperf3, which is client on the host and server in the guest."""
import json
import re
import subprocess

from bench import tap
from vm import BUILD, CMDLINE, Unable, Vm

WHERE = "linux"
TIMES = 1
GUEST = "172.16.0.2"
SECONDS = "3"


def run(*command):
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise Unable("%s: %s" % (" ".join(command), (done.stdout + done.stderr).strip()[-1000:]))
    return done.stdout


def stream(*options):
    result = json.loads(run("iperf3", "-c", GUEST, "-J", "-t", SECONDS, "-O", "1", *options))
    return result["end"]["sum_received"]["bits_per_second"] / 1e6


def measure(bench):
    def work(words):
        with bench.started(words, mark=b"ready"):
            ping = run("ping", "-q", "-c", "50", "-i", "0.02", GUEST)
            return {"ping": float(re.search(r"= [\d.]+/([\d.]+)/", ping).group(1)),
                    "tcp_to_guest": stream(), "tcp_from_guest": stream("-R")}

    with tap() as device:
        vm = Vm(bench.stage(BUILD + "/vmlinux"), CMDLINE + " init=/job job=net", tap=device,
                root=bench.stage(BUILD + "/bench/jobs.img"), memory_mib=256)
        bench.compare(vm, work, warm_up=False)
