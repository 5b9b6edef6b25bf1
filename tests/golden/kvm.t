SPDX-License-Identifier: Apache-2.0

A host without a KVM that husk may use: what it says, and what the doctor says. In mount
namespaces of their own, so it takes root.

Requires: test "$(id -u)" = 0 && test -e /dev/kvm && unshare -m mount -t tmpfs none /mnt

  $ cat >without-kvm <<'END'
  > #!/bin/sh
  > # A /dev with "null" in it and nothing else.
  > mkdir -p dev && touch dev/null
  > exec unshare -m sh -c 'mount --bind /dev/null dev/null && mount --rbind dev /dev && exec "$@"' - "$@"
  > END
  $ cat >forbidden-kvm <<'END'
  > #!/bin/sh
  > install -m 000 /dev/null forbidden
  > exec unshare -m sh -c 'mount --bind forbidden /dev/kvm &&
  >     exec unprivileged "$@"' - "$@"
  > END
  $ cat >other-kvm <<'END'
  > #!/bin/sh
  > # Something that is no KVM.
  > exec unshare -m sh -c 'mount --bind /dev/null /dev/kvm && exec "$@"' - "$@"
  > END
  $ cat >run <<'END'
  > #!/bin/sh
  > exec husk run --kernel vmlinux --rootfs root.img,ro -- true
  > END
  $ cat >vm <<'END'
  > #!/bin/sh
  > echo '{"drives": [], "boot-source": {"kernel_image_path": "vmlinux"}}' >vm.json
  > exec husk --config-file vm.json --no-api
  > END
  $ chmod +x without-kvm forbidden-kvm other-kvm run vm
  $ truncate -s 1M root.img
  $ CODE=f4ebfd elf vmlinux 0x100000 0x100000:0x3:0x3

It is missing:

  $ ./without-kvm ./run
  ! husk: /dev/kvm is missing: load the module (modprobe kvm_intel or kvm_amd), or enable nested virtualisation for this machine
  [125]
  $ ./without-kvm ./vm
  ! husk: /dev/kvm is missing: load the module (modprobe kvm_intel or kvm_amd), or enable nested virtualisation for this machine
  [1]
  $ ./without-kvm husk doctor --quiet
  /dev/kvm is missing: load the module (modprobe kvm_intel or kvm_amd); in a virtual machine, have nested virtualisation enabled; in a container, pass the device in
  [125]
  $ ./without-kvm husk doctor | sed -n '1,2p;$p'
  FAILED  /dev/kvm is missing
          load the module (modprobe kvm_intel or kvm_amd); in a virtual machine, have nested virtualisation enabled; in a container, pass the device in
  No guest can run here: /dev/kvm is missing

It is there, and not for this user:

  $ ./forbidden-kvm ./run
  ! husk: no permission to open /dev/kvm: join its group (usermod -aG kvm "$USER", then log in again)
  [125]
  $ ./forbidden-kvm ./vm
  ! husk: no permission to open /dev/kvm: join its group (usermod -aG kvm "$USER", then log in again)
  [1]
  $ ./forbidden-kvm husk doctor --quiet
  no permission to open /dev/kvm: join its group: usermod -aG kvm "$USER", then log in again; or: setfacl -m u:"$USER":rw /dev/kvm
  [125]
  $ ./forbidden-kvm husk doctor | sed -n '1,2p;$p'
  FAILED  no permission to open /dev/kvm
          join its group: usermod -aG kvm "$USER", then log in again; or: setfacl -m u:"$USER":rw /dev/kvm
  No guest can run here: no permission to open /dev/kvm

It is something else:

  $ ./other-kvm ./run
  ! husk: /dev/kvm is not the KVM device, or not one of API version 12
  [125]
  $ ./other-kvm husk doctor --quiet
  /dev/kvm is not the KVM device, or not one of API version 12: load the module (modprobe kvm_intel or kvm_amd)
  [125]
  $ ./other-kvm husk doctor | sed -n '1,2p;$p'
  FAILED  /dev/kvm is not the KVM device, or not one of API version 12
          load the module (modprobe kvm_intel or kvm_amd)
  No guest can run here: /dev/kvm is not the KVM device, or not one of API version 12

What is here: the doctor's words and its exit status agree, whether guests can run or not.

  $ husk doctor --quiet >reason && expected="Guests can run here." ||
  >     expected="No guest can run here"
  > husk doctor >report && said=yes || said=no
  > [ "$(tail -n 1 report | cut -d : -f 1)" = "$expected" ] || cat report reason
  > case $said,$(grep -c ^FAILED report) in
  > yes,0 | no,1) ;;
  > *) cat report ;;
  > esac
  $ husk doctor | sed -n 1p
  ok      /dev/kvm opens
