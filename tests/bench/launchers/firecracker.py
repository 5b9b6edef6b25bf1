# SPDX-License-Identifier: Apache-2.0
"""Firecracker, without its jailer: the same config file as husk's."""
import husk

from vm import first_line


def version():
    return first_line("firecracker", "--version")


def command(vm, folder):
    words = husk.command(vm, folder)
    return ["firecracker"] + words[1:4]
