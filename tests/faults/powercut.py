#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Pulls the plug on VMs that write, and looks at what is left: each record that the guest told as
stable is there, whole, and at most one that it had not told is torn.

	powercut.py kill COUNT   SIGKILL, to the VM, its supervisor or both; what the host's kernel
	                         holds in memory survives
	powercut.py cut COUNT    the disk is a file on an ext4 file system, which goes down in an
	                         instant: what was not on stable storage is lost. Takes root.

The guest is build/guest/powercut, with FLUSH and without, in turn. $HUSK and $GUESTS say where things
are, if not in build/; works in the current folder. Exit status 1 and a line for each disk that is not
as it has to be.
"""
import fcntl
import json
import os
import random
import re
import signal
import struct
import subprocess
import sys
import time

TREE = os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__))))
HUSK = os.environ.get("HUSK", TREE + "/build/husk")
GUESTS = os.environ.get("GUESTS", TREE + "/build/guest")
# As tests/guest/powercut.c has them.
SLOTS, SECTORS, FACTOR, MASK = 16, 32, 0x9e3779b97f4a7c15, (1 << 64) - 1
INVERSE = pow(FACTOR, -1, 1 << 64)
RECORD = SECTORS * 512
# On a KVM host under QEMU's TCG.
SLOWER = 10 if "QEMU TCG" in open("/proc/cpuinfo").read() else 1
# Linux, include/uapi/linux/ext4.h: down at once, without a flush of the journal.
EXT4_IOC_SHUTDOWN, EXT4_GOING_NOLOGFLUSH = 0x8004587d, 2
REFUSED = re.compile(
    '(husk: disk "disk": (I/O error|Read-only file system); the guest sees an I/O error\n)+')


def expected(number):
    return b"".join(struct.pack("<Q", number * FACTOR + i & MASK) * 64 for i in range(SECTORS))


def check(disk, told):
    """What is wrong with the disk, or None; and whether a record is torn."""
    data = open(disk, "rb").read()
    whole, torn = {}, False
    for slot in range(SLOTS):
        record = data[slot * RECORD:(slot + 1) * RECORD]
        number = struct.unpack_from("<Q", record)[0] * INVERSE & MASK
        if number and number % SLOTS == slot and record == expected(number):
            whole[slot] = number
    last = max(whole.values(), default=0)
    if last < told:
        return "record %d was told, but %d is the last one there" % (told, last), torn
    for number in range(max(1, last - SLOTS + 2), last + 1):
        if whole.get(number % SLOTS) != number:
            return "record %d is not there, or not whole, but %d is" % (number, last), torn
    slot = (last + 1) % SLOTS
    if slot not in whole:
        torn = any(data[slot * RECORD:(slot + 1) * RECORD])
    elif whole[slot] != last + 1 - SLOTS:
        return "the slot after record %d holds %d" % (last, whole[slot]), torn
    return None, torn


def start(disk, words):
    with open(disk, "wb") as file:
        file.truncate(SLOTS * RECORD)
        os.fsync(file.fileno())  # that there is a disk is not the guest's business
    with open("vm.json", "w") as file:
        json.dump({"boot-source": {"kernel_image_path": GUESTS + "/powercut", "boot_args": words},
                   "machine-config": {"vcpu_count": 1, "mem_size_mib": 32},
                   "drives": [{"drive_id": "disk", "path_on_host": disk, "is_root_device": False,
                               "is_read_only": False}]}, file)
    with open("told", "wb") as out, open("err", "wb") as err:
        return subprocess.Popen([HUSK, "--config-file", "vm.json", "--no-api"], stdout=out,
                                stderr=err, stdin=subprocess.DEVNULL, start_new_session=True)


def told_lines():
    """The lines that are complete; the records told must be 1, 2, 3, ..."""
    lines = open("told").read().split("\n")[:-1]
    numbers = [int(line) for line in lines if line.isdigit()]
    assert numbers == list(range(1, len(numbers) + 1)), lines
    return lines, len(numbers)


def some_time(husk, number):
    """Until the guest has told some records, and a moment more; now and then before it does anything."""
    if number % 7 == 0:
        time.sleep(random.uniform(0, 0.05 * SLOWER))
        return
    goal, end = random.randint(1, 2 * SLOTS), time.monotonic() + 60
    while told_lines()[1] < goal:
        if husk.poll() is not None or time.monotonic() > end:
            husk.kill()
            husk.wait()
            sys.exit("the guest does not go on: " + open("err").read())
        time.sleep(0.001)
    time.sleep(random.uniform(0, 0.005 * SLOWER))


def kill(number, words):
    husk = start("disk", words)
    some_time(husk, number)
    target = ("vm", "supervisor", "group")[number % 3]
    if target == "group":
        os.killpg(husk.pid, signal.SIGKILL)
    elif target == "supervisor":
        husk.kill()
    else:
        children = open("/proc/%d/task/%d/children" % (husk.pid, husk.pid)).read().split()
        os.kill(int(children[0]) if children else husk.pid, signal.SIGKILL)
    husk.wait()
    with open("disk", "rb") as file:
        fcntl.flock(file, fcntl.LOCK_EX)  # the VM had it until it was gone
    return check("disk", told_lines()[1])


def umount():
    # The kernel takes an io_uring apart, and lets go of its file, some 25 ms after husk has ended.
    for _ in range(100):
        if not subprocess.run(["umount", "fs"], stderr=subprocess.DEVNULL).returncode:
            return
        time.sleep(0.02)
    subprocess.run(["umount", "fs"], check=True)


def cut(number, words):
    subprocess.run(["mount", "fs.img", "fs", "-o", "loop"], check=True)
    try:
        husk = start("fs/disk", words)
        folder = os.open("fs", os.O_RDONLY)
        some_time(husk, number)
        # What is told later does not count: a fdatasync that is under way when the journal is
        # aborted may say that all went well (Linux 6.18, also without husk).
        told = told_lines()[1]
        fcntl.ioctl(folder, EXT4_IOC_SHUTDOWN, struct.pack("I", EXT4_GOING_NOLOGFLUSH))
        os.close(folder)
        # The guest is told by an I/O error, and ends by itself.
        try:
            status = husk.wait(timeout=60)
        finally:
            husk.kill()
            husk.wait()
    finally:
        umount()
    lines = told_lines()[0]
    err = open("err").read()
    if status and not lines:
        return None, False  # it went down before husk had its disk
    if status or lines[-2:] != ["refused", "end"] or not REFUSED.fullmatch(err):
        return "status %s, the guest's last words are %s, husk's: %s" % (status, lines[-2:], err), False
    subprocess.run(["mount", "fs.img", "fs", "-o", "loop"], check=True)
    try:
        return check("fs/disk", told)
    finally:
        umount()


def main():
    way, count = {"kill": kill, "cut": cut}[sys.argv[1]], int(sys.argv[2])
    failed, torn, told = 0, 0, []
    if way is cut:
        os.mkdir("fs")
        with open("fs.img", "wb") as file:
            file.truncate(16 << 20)
        subprocess.run(["mke2fs", "-q", "-t", "ext4", "fs.img"], check=True)
    for number in range(count):
        words = ("flush", "through")[number // 3 % 2]
        wrong, is_torn = way(number, words)
        torn += is_torn
        told.append(told_lines()[1])
        if wrong:
            failed += 1
            print("%s %d (%s): %s" % (way.__name__, number, words, wrong))
    told.sort()
    print("%d times: %d to %d records told, %d in the middle; %d torn; %d disks are wrong" %
          (count, told[0], told[-1], told[count // 2], torn, failed))
    sys.exit(failed != 0)


if __name__ == "__main__":
    main()
