# SPDX-License-Identifier: Apache-2.0
"""Sizes of what is shipped."""
import os
import struct
import subprocess

from launchers.husk import HUSK
from vm import BUILD, Unable

WHERE = "here"
TIMES = 0
PT_LOAD, PT_INTERP = 1, 3


def segments(path):
    """[(type, bytes of memory)] of an ELF file; elf(5)."""
    with open(path, "rb") as file:
        image = file.read()
    start, = struct.unpack_from("<Q", image, 32)
    size, count = struct.unpack_from("<HH", image, 54)
    return [(struct.unpack_from("<I", image, start + i * size)[0],
             struct.unpack_from("<Q", image, start + i * size + 40)[0]) for i in range(count)]


def measure(bench):
    stripped = bench.folder + "/husk"
    subprocess.run(["strip", "-o", stripped, HUSK], check=True)
    if any(kind == PT_INTERP for kind, _ in segments(stripped)):
        raise Unable("husk is not static")
    bench.add("husk_size", os.stat(stripped).st_size / 2**20)
    bench.add("kernel_size", sum(size for kind, size in segments(BUILD + "/vmlinux") if kind == PT_LOAD) / 2**20)
