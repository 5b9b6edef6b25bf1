# SPDX-License-Identifier: Apache-2.0
"""cloud-hypervisor. Its disks are PCI devices, for which the guest kernel of husk has no driver."""
from vm import Unable, first_line


def version():
    return first_line("cloud-hypervisor", "--version")


def command(vm, folder):
    if vm.root or vm.disks or vm.tap:
        raise Unable("its disks and networks are PCI devices, which the guest kernel does not know")
    return ["cloud-hypervisor", "--kernel", vm.kernel, "--cpus", "boot=1",
            "--memory", "size=%dM" % vm.memory_mib, "--serial", "tty", "--console", "off"] + \
        (["--cmdline", vm.cmdline] if vm.cmdline else []) + (["--initramfs", vm.initrd] if vm.initrd else [])
