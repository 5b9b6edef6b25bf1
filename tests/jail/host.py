#!/usr/bin/python3
# SPDX-License-Identifier: Apache-2.0
"""
host.py COMMAND [ARG...]: runs COMMAND beside what a jailed process must not reach (attacks.c says
how it tries), passes on its exit status, and takes everything away again. Prints what was reached.
"""
import ctypes
import os
import signal
import socket
import subprocess
import sys

libc = ctypes.CDLL(None)
reached = []

IPC_CREAT, IPC_RMID = 0o1000, 0
SYS_ADD_KEY, SYS_KEYCTL = 248, 250
KEYCTL_JOIN_SESSION_KEYRING, KEYCTL_UNLINK = 1, 9
SYS_LANDLOCK_CREATE_RULESET = 444
SESSION_KEYRING, USER_KEYRING = -3, -4


def main():
    signal.signal(signal.SIGURG, lambda *_: reached.append("a signal"))
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # by way of what is below
    tcp = socket.create_server(("127.0.0.1", 0))
    port = tcp.getsockname()[1]
    udp = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    udp.bind(("127.0.0.1", port))
    abstract = socket.socket(socket.AF_UNIX)
    abstract.bind("\0husk-%d" % port)
    abstract.listen()
    key = 0x68750000 + port
    shm = libc.shmget(key, 4096, IPC_CREAT | 0o666)
    msg = libc.msgget(key, IPC_CREAT | 0o666)
    sem = libc.semget(key, 1, IPC_CREAT | 0o666)
    name = b"/husk-%d" % port
    queue = libc.mq_open(name, os.O_CREAT | os.O_RDWR, 0o666, None)
    libc.syscall(SYS_KEYCTL, KEYCTL_JOIN_SESSION_KEYRING, None)
    planted = [libc.syscall(SYS_ADD_KEY, b"user", name[1:], b"secret", 6, ring)
               for ring in (SESSION_KEYRING, USER_KEYRING)]
    if min(shm, msg, sem, queue) < 0:
        sys.exit("host.py: cannot make System V objects or a message queue")
    print("keys", "there" if min(planted) >= 0 else "not known to this kernel", flush=True)
    try:
        environment = dict(os.environ, HUSK_PROBE_HOST="%d %d %d %d" % (os.getpid(), port, key, shm))
        status = subprocess.run(sys.argv[1:], env=environment, close_fds=False).returncode
    finally:
        libc.shmctl(shm, IPC_RMID, None)
        libc.msgctl(msg, IPC_RMID, None)
        libc.semctl(sem, 0, IPC_RMID)
        libc.mq_unlink(name)
        for number, ring in zip(planted, (SESSION_KEYRING, USER_KEYRING)):
            if number >= 0:
                libc.syscall(SYS_KEYCTL, KEYCTL_UNLINK, number, ring)
    for what, server in (("TCP", tcp), ("UDP", udp), ("an abstract socket", abstract)):
        server.setblocking(False)
        try:
            server.recv(1) if server is udp else server.accept()
            reached.append(what)
        except BlockingIOError:
            pass
    # A user's own process group reaches past the PID namespace. Landlock forbids it from version 6
    # on (Linux 6.12); before that, and only for the same user, the system call filters do alone.
    if os.getuid() and libc.syscall(SYS_LANDLOCK_CREATE_RULESET, None, 0, 1) < 6:
        reached[:] = [what for what in reached if what != "a signal"]
    for what in reached:
        print("reached: " + what)
    sys.exit(128 - status if status < 0 else status)


main()
