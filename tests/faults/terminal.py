#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
terminal.py COMMAND...: runs it with a terminal for standard error that nobody reads, and that has room
for a few bytes more. Writes its process ID to "pid" and exits as it does.
"""
import os
import subprocess
import sys



def fill(terminal, size):
    """Writes up to `size` bytes; how many it took."""
    done = 0
    os.set_blocking(terminal, False)
    try:
        while done < size:
            done += os.write(terminal, b"x" * min(64, size - done))
    except BlockingIOError:
        pass
    os.set_blocking(terminal, True)
    return done


scratch = os.openpty()
room = fill(scratch[1], 1 << 30)
ours, theirs = os.openpty()
# So that a line that husk writes is the one that does not fit.
fill(theirs, room - 600)
command = subprocess.Popen(sys.argv[1:], stderr=theirs)
os.close(theirs)
with open("pid", "w") as file:
    file.write(str(command.pid))
status = command.wait()
sys.exit(status if status >= 0 else 128 - status)
