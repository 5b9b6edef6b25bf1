# SPDX-License-Identifier: Apache-2.0
"""
A VM to be measured, in the words all launchers share, and the launchers.

A launcher is a file launchers/NAME.py with
    version()           its version in one line; raises Unable where it is not installed
    command(vm, folder) the words that start it; what they name goes into `folder`; raises Unable where
                        it cannot do what `vm` asks
The first serial port is its standard output, and a reset ends it, be it by the keyboard controller or
by a triple fault.
"""
import importlib
import os
import subprocess
import sys
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
TREE = os.path.dirname(os.path.dirname(HERE))
BUILD = os.path.join(TREE, "build")
MARK = b"\x06"  # what the guests in guest/ write

# What a guest that is measured is told; a launcher adds its devices and the root file system.
CMDLINE = "console=ttyS0 quiet reboot=t panic=-1 8250.nr_uarts=1 swiotlb=noforce"


class Unable(Exception):
    """This is not to be had here; the words say why."""


@dataclass
class Vm:
    kernel: str                                 # an ELF image
    cmdline: str = ""
    initrd: str = ""
    root: str = ""                              # image of the root file system, read only; none
    disks: list = field(default_factory=list)   # further images
    tap: str = ""
    memory_mib: int = 128
    metrics: str = ""                           # file for husk's own figures


def names():
    return sorted(file[:-len(".py")].replace("_", "-")
                  for file in os.listdir(os.path.join(HERE, "launchers")) if file.endswith(".py"))


def launcher(name):
    sys.path.insert(0, os.path.join(HERE, "launchers"))
    return importlib.import_module(name.replace("-", "_"))


def first_line(*command):
    """Of what a program prints; Unable where it is not there."""
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.split("\n")[0]
    except FileNotFoundError:
        raise Unable("%s is not installed" % command[0]) from None
    except subprocess.CalledProcessError as error:
        raise Unable("%s fails: %s" % (" ".join(command), error.stderr.strip())) from None
