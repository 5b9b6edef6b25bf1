# SPDX-License-Identifier: Apache-2.0
"""What the parts measure with."""
import contextlib
import os
import select
import shutil
import subprocess
import tempfile
import time

import vm as vms
from vm import BUILD, MARK, Unable


PATIENCE = 120  # seconds; a guest that takes longer to be there hangs


class Bench:
    """One part's measurement, in the place where it is measured."""

    def __init__(self, runs, launchers):
        self.runs = runs
        self.launchers = launchers
        self.values = {}        # by figure and launcher
        self.waterfalls = {}    # husk's metrics, by what was done
        self.unable = {}        # why a launcher is not in this part
        self.folder = tempfile.mkdtemp(prefix="husk bench.")
        self.stopwatch_path = self.stage(BUILD + "/bench/stopwatch")

    def close(self):
        shutil.rmtree(self.folder)

    def add(self, figure, value, launcher="husk"):
        self.values.setdefault(figure, {}).setdefault(launcher, []).extend(
            value if isinstance(value, list) else [value])

    def waterfall(self, title, metrics):
        self.waterfalls.setdefault(title, []).append(metrics["timeline"])

    def stage(self, path):
        """A copy on a fast file system: on the rig, the host's files are slow."""
        if not os.path.exists(path):
            raise Unable("%s is missing" % os.path.relpath(path, vms.TREE))
        return shutil.copy(path, self.folder)

    def file(self, name, mib):
        """An image of that size, full of what is no zero."""
        path = os.path.join(self.folder, name)
        block = os.urandom(1 << 20)
        with open(path, "wb") as file:
            for _ in range(mib):
                file.write(block)
        return path

    def compare(self, vm, measure, warm_up=True, only=None):
        """
        All launchers in turn, `runs` times, and once before to warm up: measure(words that start the
        VM) is {figure: value or list of values}. A launcher that cannot is left out from there on.
        """
        able = list(only or self.launchers)
        for turn in range(0 if warm_up else 1, self.runs + 1):
            for name in list(able):
                try:
                    values = measure(vms.launcher(name).command(vm, self.folder))
                except Unable as error:
                    self.unable[name] = str(error)
                    able.remove(name)
                    continue
                for figure, value in values.items() if turn else ():
                    self.add(figure, value, name)

    def stopwatch(self, words, runs=1, at_once=1):
        """[(ms to the first byte, ms to the end, exit status, ms of the start)], complaints; see stopwatch.c."""
        done = subprocess.run([self.stopwatch_path, str(runs), str(at_once)] + words,
                              capture_output=True, text=True)
        if done.returncode:
            raise Unable("%s: %s" % (words[0], done.stderr.strip()))
        lines = [line.split() for line in done.stdout.splitlines()]
        return [(float(first) / 1000, float(end) / 1000, int(status), float(start) / 1000)
                for first, end, status, start in lines], done.stderr

    def once(self, words):
        """(ms to the first byte, ms to the end) of one VM, which has to have worked."""
        ((first, end, status, _),), complaints = self.stopwatch(words)
        if first < 0 or status:
            raise Unable("%s: exit status %d%s\n%s" % (" ".join(words), status,
                                                     "" if first >= 0 else ", no byte", complaints))
        return first, end

    @contextlib.contextmanager
    def started(self, words, mark=MARK):
        """A VM that has written `mark`; it is ended by force."""
        with subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE) as child:
            try:
                text, end = b"", time.monotonic() + PATIENCE
                while mark not in text:
                    if not select.select([child.stdout], [], [], max(0, end - time.monotonic()))[0]:
                        raise Unable("%s: nothing from the guest in %d s" % (" ".join(words), PATIENCE))
                    some = os.read(child.stdout.fileno(), 4096)
                    if not some:
                        raise Unable("%s ended before its guest was there" % " ".join(words))
                    text += some
                yield child
            finally:
                for pid in reversed(family(child.pid)):
                    with contextlib.suppress(ProcessLookupError):
                        os.kill(pid, 9)


@contextlib.contextmanager
def tap():
    """A TAP device with an address on this side; its name."""
    if os.geteuid():
        raise Unable("a TAP device takes root")
    name = "hb%d" % os.getpid()
    subprocess.run(["ip", "tuntap", "add", "dev", name, "mode", "tap"], check=True)
    try:
        subprocess.run(["ip", "address", "add", "172.16.0.1/24", "dev", name], check=True)
        subprocess.run(["ip", "link", "set", name, "up"], check=True)
        yield name
    finally:
        subprocess.run(["ip", "link", "del", name], check=True)


def family(pid):
    """The process and all its descendants."""
    pids = [pid]
    for parent in pids:
        with contextlib.suppress(OSError):
            for thread in os.listdir("/proc/%d/task" % parent):
                with open("/proc/%d/task/%s/children" % (parent, thread)) as file:
                    pids += map(int, file.read().split())
    return pids


def steps(metrics):
    """husk's timeline: milliseconds by step."""
    return {mark["step"]: mark["at_us"] / 1000 for mark in metrics["timeline"]}
