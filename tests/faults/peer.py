#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
Is the other end of a VM's network, for a while: peer.py HOW HUSK [OPTION...] starts husk with one
end of a socket, takes frames until there were some, and then goes away: close, shutdown, reset (with
frames unread) or nonsense (a frame longer than any). Exits as husk does.
"""
import os
import socket
import struct
import subprocess
import sys

how, command = sys.argv[1], sys.argv[2:]
if how == "reset":
    listener = socket.create_server(("127.0.0.1", 0))
    theirs = socket.create_connection(listener.getsockname())
    ours = listener.accept()[0]
    listener.close()
else:
    ours, theirs = socket.socketpair()
fd = theirs.fileno()
os.set_inheritable(fd, True)
husk = subprocess.Popen(command + ["--net", "fd=%d" % fd, "--", "true"], pass_fds=[fd])
theirs.close()
frames = 0
while frames < 100:
    header = ours.recv(4, socket.MSG_WAITALL)
    assert len(header) == 4, "husk hung up"
    ours.recv(struct.unpack(">I", header)[0], socket.MSG_WAITALL)
    frames += 1
if how == "reset":
    # Linger for no time: a TCP reset.
    ours.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
if how == "shutdown":
    ours.shutdown(socket.SHUT_RDWR)
elif how == "nonsense":
    ours.send(struct.pack(">I", 0x7fffffff))
else:
    ours.close()
sys.exit(husk.wait())
