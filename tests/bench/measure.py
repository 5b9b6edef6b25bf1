# SPDX-License-Identifier: Apache-2.0
"""Has a part measured in its place."""
import datetime
import importlib
import json
import os
import subprocess

import vm as vms
from vm import HERE, TREE, Unable

STOOD_STILL = 124  # the rig, which is QEMU's fault: tests/rig/run


def places():
    """The command that leads to a place, by its name."""
    rig = [TREE + "/tests/rig/run", "--timeout", "1500"]
    here = [] if os.access("/dev/kvm", os.R_OK | os.W_OK) else rig + ["--"]
    return {"here": here, "linux": [TREE + "/tests/rig/auto"] + rig[1:] + ["--"],
            "virtual": rig + ["--icount", "--"], "counted": rig + ["--icount-wait", "--"]}


def installed():
    """({launcher: version}, {launcher: why it is not there})"""
    versions, absent = {}, {}
    for name in vms.names():
        try:
            versions[name] = vms.launcher(name).version()
        except Unable as error:
            absent[name] = str(error)
    return versions, absent


def measure(part, runs, versions):
    """What results.json has for a part."""
    where = importlib.import_module("parts." + part).WHERE
    names = sorted(versions, key=lambda name: name != "husk")
    command = places()[where] + [HERE + "/part", part, str(runs)] + names
    for _ in range(2):
        done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
        if done.returncode != STOOD_STILL:
            break
    date = datetime.datetime.now(datetime.timezone.utc).strftime("%Y-%m-%d %H:%M UTC")
    result = {"where": where, "date": date, "runs": runs, "versions": versions}
    if done.returncode:
        return dict(result, values={}, failed="exit status %d" % done.returncode)
    return dict(json.loads(done.stdout), **result)
