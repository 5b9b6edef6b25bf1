SPDX-License-Identifier: Apache-2.0

Disks that cannot be used. "vmlinux" is a kernel of ten bytes: it prints "w" and waits.

Requires: test -w /dev/kvm

  $ CODE=66baf803b077eef4ebfd elf vmlinux 0x100000 0x100000:0xa:0xa  # out 'w' to 0x3f8; hlt
  $ cat >disk <<'END'
  > #!/bin/sh
  > exec husk run --kernel vmlinux --rootfs root.img,ro --drive "$1" -- true
  > END
  $ cat >vm <<'END'
  > #!/bin/sh
  > # vm DRIVE...: a VM from a config file
  > for drive; do
  >     drives="${drives+$drives, }{\"drive_id\": \"d${#drives}\", \"is_root_device\": false, $drive}"
  > done
  > printf '{"drives": [%s], "boot-source": {"kernel_image_path": "vmlinux"}}' "$drives" >$$.json
  > exec timeout 60 husk --config-file $$.json --no-api
  > END
  $ chmod +x disk vm
  $ truncate -s 1M root.img data.img

No file, or none of use:

  $ ./disk missing
  ! husk: cannot open disk "missing": No such file or directory
  [125]
  $ ./disk missing,ro
  ! husk: cannot open disk "missing": No such file or directory
  [125]
  $ mkdir folder
  $ ./disk folder
  ! husk: disk "folder" is a folder; name an image file or a block device
  [125]
  $ ./disk folder,ro
  ! husk: disk "folder" is a folder; name an image file or a block device
  [125]
  $ touch empty
  $ ./disk empty
  ! husk: disk "empty" is empty; an image file gets a size with "truncate -s 1G empty"
  [125]
  $ truncate -s 513 odd
  $ ./disk odd
  ! husk: disk "odd" has 513 bytes, not a multiple of 512; grow it with "truncate -s %512 odd"
  [125]
  $ ./disk odd,ro
  ! husk: disk "odd" has 513 bytes, not a multiple of 512; grow it with "truncate -s %512 odd"
  [125]
  $ mkfifo fifo
  $ ./disk fifo
  ! husk: disk "fifo" is neither a file nor a block device
  [125]
  $ ./disk /dev/null
  ! husk: disk "/dev/null" is neither a file nor a block device
  [125]
  $ husk run --kernel vmlinux --rootfs missing -- true
  ! husk: cannot open disk "missing": No such file or directory
  [125]

What the user may not open:

  $ install -m 400 data.img read-only
  $ unprivileged ./disk read-only
  ! husk: cannot open disk "read-only" for writing: Permission denied; open it read-only (",ro") or make it writable for this user
  [125]
  $ install -m 000 data.img forbidden
  $ unprivileged ./disk forbidden
  ! husk: cannot open disk "forbidden" for writing: Permission denied; open it read-only (",ro") or make it writable for this user
  [125]
  $ unprivileged ./disk forbidden,ro
  ! husk: cannot open disk "forbidden": Permission denied
  [125]

A disk has one writer. The same disk twice in one VM:

  $ husk run --kernel vmlinux --rootfs root.img --drive root.img -- true
  ! husk: disk "root.img" is in use by another VM; open it read-only there and here (",ro") or make a copy
  [125]
  $ husk run --kernel vmlinux --rootfs root.img,ro --drive root.img -- true
  ! husk: disk "root.img" is in use by another VM; open it read-only there and here (",ro") or make a copy
  [125]

A disk of another VM that runs, which may be written there, or is only read:

  $ cat >beside <<'END'
  > #!/bin/sh
  > # beside DRIVE COMMAND...: runs the command while a VM with the drive runs
  > ./vm "$1" >console &
  > until [ -s console ]; do sleep 0.05; done
  > shift
  > "$@"
  > status=$?
  > kill $!
  > wait $! || [ $? = 143 ] || echo "the first VM ended with $?"
  > rm console
  > exit $status
  > END
  $ chmod +x beside
  $ ./beside '"path_on_host": "data.img"' ./disk data.img
  ! husk: disk "data.img" is in use by another VM; open it read-only there and here (",ro") or make a copy
  [125]
  $ ./beside '"path_on_host": "data.img"' ./disk data.img,ro
  ! husk: disk "data.img" is in use by another VM; open it read-only there and here (",ro") or make a copy
  [125]
  $ ./beside '"path_on_host": "data.img", "is_read_only": true' ./disk data.img
  ! husk: disk "data.img" is in use by another VM; open it read-only there and here (",ro") or make a copy
  [125]
  $ ln data.img other-name
  $ ./beside '"path_on_host": "data.img"' ./disk other-name
  ! husk: disk "other-name" is in use by another VM; open it read-only there and here (",ro") or make a copy
  [125]

From a config file:

  $ ./vm '"path_on_host": "missing"'
  ! husk: cannot open disk "missing": No such file or directory
  [1]
  $ ./vm '"path_on_host": "folder"'
  ! husk: disk "folder" is a folder; name an image file or a block device
  [1]
  $ ./vm '"path_on_host": "empty"'
  ! husk: disk "empty" is empty; an image file gets a size with "truncate -s 1G empty"
  [1]
  $ ./vm '"path_on_host": "data.img"' '"path_on_host": "missing"'
  ! husk: cannot open disk "missing": No such file or directory
  [1]

Too few descriptors: one line, whichever is the one that is missing.

  $ for limit in $(seq 4 40); do
  >     (ulimit -n $limit; exec husk run -k missing -r root.img,ro -d data.img -- true) 2>&1 | wc -l
  > done | sort -u
  1
