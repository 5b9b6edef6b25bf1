#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
cycles.py NUMBER COMMAND [ARG...]: starts COMMAND so many times, and kills its first process, or a
descendant, with SIGKILL at a random moment; counts what there is on the host before and after. "{}" in
an argument is the number of the cycle.
"""
import collections
import concurrent.futures
import glob
import os
import random
import signal
import subprocess
import sys
import time

MOMENTS_S = 0.02
number, command = int(sys.argv[1]), sys.argv[2:]
program = os.path.realpath(command[0])


def processes():
    """Those of COMMAND: pid to parent."""
    found = {}
    for path in glob.glob("/proc/[0-9]*/stat"):
        try:
            with open(path) as file:
                fields = file.read().rsplit(")", 1)[1].split()
            if os.path.realpath(os.path.dirname(path) + "/exe").startswith(program):
                found[int(path.split("/")[2])] = int(fields[1])
        except (OSError, IndexError):
            pass
    return found


def lines(path):
    try:
        with open(path) as file:
            return len(file.readlines())
    except OSError:
        return 0


def survey():
    return collections.OrderedDict([
        ("processes", len(processes())),
        ("mounts", lines("/proc/self/mountinfo")),
        ("network devices", lines("/proc/net/dev")),
        ("shared memory", lines("/proc/sysvipc/shm")),
        ("message queues", lines("/proc/sysvipc/msg")),
        ("semaphores", lines("/proc/sysvipc/sem")),
        ("cgroups", sum(len(folders) for _, folders, _ in os.walk("/sys/fs/cgroup"))),
        ("files", sorted(os.path.join(folder, name) for folder, folders, names in os.walk(".")
                         for name in folders + names)),
        ("files in /tmp", len([name for name in os.listdir("/tmp") if "husk" in name])),
    ])


def child_of(pid):
    with open("/proc/%d/task/%d/children" % (pid, pid)) as file:
        return int(file.read().split()[0])


def cycle(generator, turn):
    words = [word.replace("{}", str(turn)) for word in command]
    child = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                             stderr=subprocess.DEVNULL)
    time.sleep(generator.random() * MOMENTS_S)
    victim = child.pid
    try:
        while generator.random() < 0.5:
            victim = child_of(victim)
    except (OSError, IndexError):
        pass
    try:
        os.kill(victim, signal.SIGKILL)
    except ProcessLookupError:
        pass
    child.wait(timeout=20)


before = survey()
generator = random.Random(number)
with concurrent.futures.ThreadPoolExecutor(max_workers=2 * os.cpu_count()) as pool:
    for task in [pool.submit(cycle, generator, turn) for turn in range(number)]:
        task.result()
deadline = time.monotonic() + 10
while (after := survey()) != before and time.monotonic() < deadline:
    time.sleep(0.1)
for what, value in before.items():
    if after[what] != value:
        print("%s: %s before, %s after" % (what, value, after[what]))
print("%d cycles" % number)
sys.exit(after != before)
