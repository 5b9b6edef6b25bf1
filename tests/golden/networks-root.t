SPDX-License-Identifier: Apache-2.0

What takes root to try: networks in a namespace of their own, and what is left behind.

Requires: test "$(id -u)" = 0 && test -w /dev/net/tun && unshare -n ip tuntap add t0 mode tap && command -v passt

  $ cat >net <<'END'
  > #!/bin/sh
  > exec husk run --kernel missing --rootfs root.img,ro --net "$1" -- true
  > END
  $ chmod +x net
  $ truncate -s 1M root.img

A TAP device that is fine, so that the kernel's name is next:

  $ unshare -n sh -c 'ip tuntap add t0 mode tap && ./net tap=t0'
  ! husk: cannot open kernel "missing": No such file or directory
  [125]

One that belongs to somebody else, and husk not privileged:

  $ unshare -n sh -c 'ip tuntap add t0 mode tap user 12345 &&
  >     exec unprivileged ./net tap=t0'
  ! husk: TAP device t0: it belongs to someone else; its owner is set with: ip tuntap add dev t0 mode tap user NAME
  [125]

One made for something else:

  $ unshare -n sh -c 'ip tuntap add t0 mode tun && ./net tap=t0'
  ! husk: network device t0: not a TAP device, or one made with multi_queue
  [125]
  $ unshare -n sh -c 'ip tuntap add t0 mode tap multi_queue && ./net tap=t0'
  ! husk: network device t0: not a TAP device, or one made with multi_queue
  [125]

One that is in use:

  $ CODE=66baf803b077eef4ebfd elf vmlinux 0x100000 0x100000:0xa:0xa  # out 'w' to 0x3f8; hlt
  $ cat >vm.json <<'END'
  > {"drives": [], "boot-source": {"kernel_image_path": "vmlinux"},
  >     "network-interfaces": [{"iface_id": "eth0", "host_dev_name": "t0"}]}
  > END
  $ unshare -n sh -c 'ip tuntap add t0 mode tap
  >     timeout 60 husk --config-file vm.json --no-api >console &
  >     until [ -s console ]; do sleep 0.05; done
  >     ./net tap=t0; echo $?; kill $!'
  125
  ! husk: TAP device t0: in use, maybe by another VM

No /dev/net/tun, or none that this user may open:

  $ unshare -nm sh -c 'ip tuntap add t0 mode tap && mount -t tmpfs none /dev/net && ./net tap=t0'
  ! husk: /dev/net/tun: the kernel has no TAP devices here; try: modprobe tun
  [125]
  $ unshare -nm sh -c 'ip tuntap add t0 mode tap && touch file && chmod 0 file &&
  >     mount --bind file /dev/net/tun && exec unprivileged ./net tap=t0'
  ! husk: no permission to open /dev/net/tun, which most systems let everybody open; as root: chmod 666 /dev/net/tun
  [125]

passt ends with a husk that failed:

  $ unshare -pnm --fork --mount-proc sh -c './net passt; sleep 1; ls -d /proc/[0-9]*'
  /proc/1
  ! husk: cannot open kernel "missing": No such file or directory
