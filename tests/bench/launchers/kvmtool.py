# SPDX-License-Identifier: Apache-2.0
"""kvmtool. It loads a bzImage (the one beside vmlinux), not an ELF image."""
import os

from vm import Unable, first_line


def version():
    return "kvmtool " + first_line("lkvm", "version")


def command(vm, folder):
    kernel = os.path.join(os.path.dirname(os.path.realpath(vm.kernel)), "bzImage")
    if not os.path.exists(kernel):
        raise Unable("it cannot start an ELF image")
    words = ["lkvm", "run", "--kernel", kernel, "--cpus", "1", "--mem", str(vm.memory_mib),
             "--console", "serial", "--virtio-transport", "mmio",
             "--params", vm.cmdline + (" root=/dev/vda ro" if vm.root else "")]
    for path, options in [(vm.root, ",ro")] * bool(vm.root) + [(path, "") for path in vm.disks]:
        words += ["--disk", path + options]
    return words + ["--network", "mode=tap,tapif=" + vm.tap if vm.tap else "mode=none"]
