# SPDX-License-Identifier: Apache-2.0
"""
QEMU's microvm machine with all that it can do without taken away, which is how it starts fastest; the
kernel is entered by its PVH note. Disks and network as QEMU does them by itself (host page cache, its
own threads), like husk.
"""
from vm import first_line

QEMU = "qemu-system-x86_64"
MACHINE = "microvm,acpi=off,pit=off,pic=off,rtc=off,x-option-roms=off,isa-serial=on"
# kvm_pvm has no MSR for it, which QEMU takes for a fatal error.
CPU = "host,-arch-capabilities"


def version():
    return first_line(QEMU, "--version")


def command(vm, folder, net="vhost=off"):
    words = [QEMU, "-M", MACHINE, "-accel", "kvm", "-cpu", CPU, "-smp", "1", "-m", str(vm.memory_mib),
             "-nodefaults", "-no-user-config", "-nographic", "-no-reboot", "-serial", "stdio",
             "-global", "virtio-mmio.force-legacy=false", "-kernel", vm.kernel,
             "-append", vm.cmdline + (" root=/dev/vda ro" if vm.root else "")]
    if vm.initrd:
        words += ["-initrd", vm.initrd]
    images = [(vm.root, "on")] if vm.root else []
    images += [(path, "off") for path in vm.disks]
    for i, (path, read_only) in enumerate(images):
        words += ["-drive", "file=%s,format=raw,if=none,id=disk%d,readonly=%s" % (path, i, read_only),
                  "-device", "virtio-blk-device,drive=disk%d" % i]
    if vm.tap:
        words += ["-netdev", "tap,id=net,ifname=%s,script=no,downscript=no,%s" % (vm.tap, net),
                  "-device", "virtio-net-device,netdev=net"]
    return words
