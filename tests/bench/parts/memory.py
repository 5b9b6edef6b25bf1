# SPDX-License-Identifier: Apache-2.0
"""What an idle VM takes of the host's memory."""
import glob
import re
import time

from bench import family, tap
from vm import BUILD, CMDLINE, Unable, Vm

WHERE = "linux"
TIMES = 1


def mappings(pid):
    """[(start, end, {name: KiB})] of a process."""
    with open("/proc/%d/smaps" % pid) as file:
        areas = re.split(r"\n(?=[0-9a-f]+-[0-9a-f]+ )", file.read().strip())
    return [(*(int(at, 16) for at in area.split(None, 1)[0].split("-")),
             {name: int(kib) for name, kib in re.findall(r"^(\w+): +(\d+) kB", area, re.M)})
            for area in areas if area]


def split_ram(areas, size):
    """(guest RAM, the rest). RAM may be several mappings, if a kernel was mapped into it: side by side."""
    for first, (start, _, _) in enumerate(areas):
        last, end = first, start
        while last < len(areas) and areas[last][0] == end and end - start < size:
            end = areas[last][1]
            last += 1
        if end - start == size:
            return areas[first:last], areas[:first] + areas[last:]
    return [], areas


def look(pids, memory):
    """KiB: (beside guest RAM, pages of guest RAM that are no file's and that no other process shares)."""
    overhead = private = found = 0
    for pid in pids:
        ram, rest = split_ram(mappings(pid), memory)
        found += bool(ram)
        overhead += sum(sizes["Pss"] for _, _, sizes in rest)
        # Not Private_Dirty: pages of a kernel's file in memory (tmpfs) count as dirty.
        private += sum(sizes["Anonymous"] for _, _, sizes in ram)
    if found != 1:
        raise Unable("guest RAM was found in %d of the processes %s" % (found, pids))
    return overhead, private


def exits(pids):
    """All exits of the VM that one of these processes has made, where KVM's statistics can be read."""
    for pid in pids:
        files = glob.glob("/sys/kernel/debug/kvm/%d-*/vcpu*/exits" % pid) or \
            glob.glob("/sys/kernel/debug/kvm/%d-*/exits" % pid)
        if files:
            return {"exits_boot": sum(int(open(path).read()) for path in files)}
    return {}


def measure(bench):
    def idle(words):
        with bench.started(words) as child:
            time.sleep(1)
            pids = family(child.pid)
            overhead, private = look(pids, vm.memory_mib << 20)
            return dict(exits(pids), overhead=overhead, guest_private=private / 1024)

    with tap() as device:
        vm = Vm(bench.stage(BUILD + "/vmlinux"), CMDLINE + " init=/hold", tap=device,
                root=bench.stage(BUILD + "/bench/first.img"))
        bench.compare(vm, idle, warm_up=False)
