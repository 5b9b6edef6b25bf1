SPDX-License-Identifier: Apache-2.0

Memory and vCPUs that this or any machine does not have.

  $ cat >run <<'END'
  > #!/bin/sh
  > exec husk run --kernel vmlinux --rootfs root.img,ro "$@" -- true
  > END
  $ cat >vm <<'END'
  > #!/bin/sh
  > printf '{"drives": [], "boot-source": {"kernel_image_path": "vmlinux"},
  >     "machine-config": {"mem_size_mib": %s, "vcpu_count": %s}}' "$1" "$2" >vm.json
  > exec husk --config-file vm.json --no-api
  > END
  $ chmod +x run vm
  $ truncate -s 1M root.img vmlinux

Memory:

  $ ./run --memory 0
  ! husk: --memory: "0" is too small; a guest needs at least 32M
  [125]
  $ ./run --memory 31M
  ! husk: --memory: "31M" is too small; a guest needs at least 32M
  [125]
  $ ./run --memory 4097G
  ! husk: --memory: "4097G" is too large; a guest can have at most 4T
  [125]
  $ ./run --memory 4T 2>&1 | sed 's/has ([0-9]* MiB)/has (N MiB)/'
  husk: the guest's memory of 4194304 MiB is more than this machine has (N MiB); ask for less with --memory
  $ ./vm 0 1
  ! husk: config file "vm.json": machine-config.mem_size_mib: expected 32 to 4194304, found 0
  [1]
  $ ./vm 31 1
  ! husk: config file "vm.json": machine-config.mem_size_mib: expected 32 to 4194304, found 31
  [1]
  $ ./vm -1 1
  ! husk: config file "vm.json": machine-config.mem_size_mib: expected 32 to 4194304, found -1
  [1]
  $ ./vm 4194305 1
  ! husk: config file "vm.json": machine-config.mem_size_mib: expected 32 to 4194304, found 4194305
  [1]
  $ ./vm 4194304 1 2>&1 | sed 's/has ([0-9]* MiB)/has (N MiB)/'
  husk: the guest's memory of 4194304 MiB is more than this machine has (N MiB); ask for less with --memory

Memory that may not be mapped:

  $ (ulimit -v 65536; exec ./run --memory 128M)
  ! husk: cannot map 128 MiB of memory for the guest: Out of memory
  [125]

vCPUs:

  $ ./run --cpus 0
  ! husk: --cpus: "0" is not a number of vCPUs from 1 to 32
  [125]
  $ ./run --cpus 33
  ! husk: --cpus: "33" is not a number of vCPUs from 1 to 32
  [125]
  $ ./vm 128 0
  ! husk: config file "vm.json": machine-config.vcpu_count: expected 1 to 32, found 0
  [1]
  $ ./vm 128 33
  ! husk: config file "vm.json": machine-config.vcpu_count: expected 1 to 32, found 33
  [1]
  $ ./vm 128 -1
  ! husk: config file "vm.json": machine-config.vcpu_count: expected 1 to 32, found -1
  [1]
