SPDX-License-Identifier: Apache-2.0

Networks that cannot be used.

Requires: test -w /dev/kvm

  $ CODE=f4ebfd elf vmlinux 0x100000 0x100000:0x3:0x3
  $ cat >net <<'END'
  > #!/bin/sh
  > exec husk run --kernel vmlinux --rootfs root.img,ro --net "$1" -- true
  > END
  $ cat >vm <<'END'
  > #!/bin/sh
  > printf '{"drives": [], "boot-source": {"kernel_image_path": "vmlinux"},
  >     "network-interfaces": [{"iface_id": "eth0", %s}]}' "$1" >vm.json
  > exec husk --config-file vm.json --no-api
  > END
  $ chmod +x net vm
  $ truncate -s 1M root.img

TAP devices:

  $ ./net tap=nosuchtap0
  ! husk: TAP device nosuchtap0: there is none of that name; to make it: ip tuntap add dev NAME mode tap user "$USER" && ip link set NAME up
  [125]
  $ ./net tap=lo
  ! husk: network device lo: not a TAP device, or one made with multi_queue
  [125]
  $ ./vm '"host_dev_name": "nosuchtap0"'
  ! husk: TAP device nosuchtap0: there is none of that name; to make it: ip tuntap add dev NAME mode tap user "$USER" && ip link set NAME up
  [1]

Descriptors:

  $ ./net fd=9
  ! husk: descriptor 9 is not open; whoever starts husk is to pass it in
  [125]
  $ ./net fd=9 9<root.img
  ! husk: descriptor 9: not an attached TAP device: Not a tty
  [125]
  $ ./net fd=9 9</dev/null
  ! husk: descriptor 9: not an attached TAP device: Not a tty
  [125]
  $ ./net fd=999999
  ! husk: descriptor 999999 is not open; whoever starts husk is to pass it in
  [125]

passt, which is waited for last:

  $ PATH=/nonexistent "$(command -v husk)" run -k vmlinux -r root.img,ro -n passt -- true
  ! husk: passt is not installed; install the package "passt"
  [125]
  $ mkdir bin
  $ printf '#!/bin/sh\necho "no such port" >&2\necho "nor that one" >&2\nexit 1\n' >bin/passt
  $ chmod +x bin/passt
  $ PATH=$PWD/bin:$PATH ./net passt
  ! husk: passt failed: no such port; nor that one
  [125]
  $ printf '#!/bin/sh\nkill -9 $$\n' >bin/passt
  $ PATH=$PWD/bin:$PATH ./net passt
  ! husk: passt failed: it did not say why
  [125]
  $ printf '#!/bin/sh\nexit 1\n' >bin/passt
  $ PATH=$PWD/bin:$PATH ./net passt
  ! husk: passt failed: it did not say why
  [125]
  $ chmod -x bin/passt
  $ PATH=$PWD/bin "$(command -v husk)" run -k vmlinux -r root.img,ro -n passt -- true
  ! husk: passt failed: Permission denied
  [125]
