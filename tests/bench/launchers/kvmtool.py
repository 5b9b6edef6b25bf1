# SPDX-License-Identifier: Apache-2.0
"""
kvmtool. It boots the bzImage that was built with vmlinux, and no ELF image; its disks and networks are
PCI devices, for which the guest kernel of husk has no driver.
"""
import os

from vm import BUILD, Unable, first_line


def version():
    return first_line("lkvm", "version")


def command(vm, folder):
    if os.path.basename(vm.kernel) != "vmlinux":
        raise Unable("it cannot start an ELF image")
    if vm.root or vm.disks or vm.tap:
        raise Unable("its disks and networks are PCI devices, which the guest kernel does not know")
    kernel = os.path.join(os.path.dirname(os.path.realpath(BUILD + "/vmlinux")), "bzImage")
    return ["lkvm", "run", "--kernel", kernel, "--cpus", "1", "--mem", str(vm.memory_mib), "--initrd", vm.initrd,
            "--console", "serial", "--network", "mode=none", "--params", vm.cmdline]
