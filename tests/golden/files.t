SPDX-License-Identifier: Apache-2.0

Kernels and initrds that cannot be booted. Most kernels here are made by "elf", from a list of
segments; none of these needs /dev/kvm.

  $ cat >kernel <<'END'
  > #!/bin/sh
  > exec husk run --rootfs disk.img,ro --kernel "$1" -- true
  > END
  $ cat >initrd <<'END'
  > #!/bin/sh
  > exec husk run --rootfs disk.img,ro --memory 64M --kernel vmlinux --initrd "$1" -- true
  > END
  $ cat >vm <<'END'
  > #!/bin/sh
  > printf '{"drives": [], "boot-source": %s}' "$1" >vm.json
  > exec husk --config-file vm.json --no-api
  > END
  $ chmod +x kernel initrd vm
  $ truncate -s 1M disk.img
  $ mkdir folder
  $ touch empty
  $ echo "#!/bin/sh" >text
  $ mkfifo fifo
  $ elf vmlinux 0x100000 0x100000:0x1000:0x2000

No file, or none of use:

  $ ./kernel missing
  ! husk: cannot open kernel "missing": No such file or directory
  [125]
  $ ./kernel vmlinux/vmlinux
  ! husk: cannot open kernel "vmlinux/vmlinux": Not a directory
  [125]
  $ ./kernel folder
  ! husk: kernel "folder" is a folder, not a file
  [125]
  $ ./kernel empty
  ! husk: kernel "empty" is empty
  [125]
  $ ./kernel fifo
  ! husk: kernel "fifo" is not a regular file
  [125]
  $ ./kernel /dev/null
  ! husk: kernel "/dev/null" is not a regular file
  [125]
  $ install -m 000 text forbidden
  $ unprivileged ./kernel forbidden
  ! husk: cannot open kernel "forbidden": Permission denied
  [125]
  $ ./kernel "$(printf 'two\nlines')"
  ! husk: cannot open kernel "two?lines": No such file or directory
  [125]

Not a kernel:

  $ ./kernel text
  ! husk: kernel "text": is not a kernel: neither an ELF vmlinux nor a bzImage
  [125]
  $ printf 'EL' >short
  $ ./kernel short
  ! husk: kernel "short": is too short to be a kernel
  [125]
  $ gzip -c vmlinux >vmlinux.gz
  $ ./kernel vmlinux.gz
  ! husk: kernel "vmlinux.gz": is compressed as a whole; unpack it first
  [125]
  $ ./kernel /bin/true
  ! husk: kernel "/bin/true": is an ELF file, but not a bootable executable
  [125]
  $ printf '\177ELF\1\1\1%0100d' 0 >elf32
  $ ./kernel elf32
  ! husk: kernel "elf32": is an ELF file, but not for 64-bit x86
  [125]

Truncated:

  $ head -c 60 vmlinux >head
  $ ./kernel head
  ! husk: kernel "head": is truncated: its ELF header is not complete
  [125]
  $ head -c 100 vmlinux >head
  $ ./kernel head
  ! husk: kernel "head": is truncated: its program headers are not complete
  [125]
  $ head -c 5000 vmlinux >head
  $ ./kernel head
  ! husk: kernel "head": is truncated: a segment ends past the end of the file
  [125]
  $ { head -c 514 /dev/zero; printf HdrS; } >bzImage
  $ ./kernel bzImage
  ! husk: kernel "bzImage": is truncated: its setup header is not complete
  [125]

bzImages; the fields are those of the setup header, Linux, Documentation/arch/x86/boot.rst:

  $ cat >field <<'END'
  > #!/bin/sh
  > # field OFFSET BYTES...
  > printf "$2" | dd of=bzImage bs=1 seek=$(($1)) conv=notrunc status=none
  > END
  $ chmod +x field
  $ truncate -s 20000 bzImage
  $ ./field 0x202 HdrS
  $ ./field 0x206 '\013\002'  # version 2.11
  $ ./kernel bzImage
  ! husk: kernel "bzImage": is a bzImage without a 64-bit entry (x86-64, Linux 3.8 or later)
  [125]
  $ ./field 0x206 '\014\002'
  $ ./kernel bzImage
  ! husk: kernel "bzImage": is a bzImage without a 64-bit entry (x86-64, Linux 3.8 or later)
  [125]
  $ ./field 0x211 '\001'  # loadflags: loaded high
  $ ./field 0x236 '\001'  # xloadflags: has a 64-bit entry
  $ ./kernel bzImage
  ! husk: kernel "bzImage": wants to be loaded where a guest has no memory
  [125]
  $ ./field 0x258 '\000\000\000\001'  # pref_address: 16 MiB
  $ ./field 0x1f1 '\377'  # setup_sects
  $ ./kernel bzImage
  ! husk: kernel "bzImage": is truncated: it ends within its setup code
  [125]
  $ ./field 0x1f1 '\001'
  $ ./field 0x1f4 '\377\377\377\377'  # syssize
  $ ./kernel bzImage
  ! husk: kernel "bzImage": is truncated: it is shorter than its header says
  [125]
  $ ./field 0x1f4 '\001\000\000\000'
  $ ./field 0x260 '\377\377\377\377'  # init_size
  $ ./kernel bzImage
  ! husk: kernel "bzImage" needs memory up to 4112 MiB, the guest has 128 MiB; give it more with --memory
  [125]

Segments that overlap, overflow, or are too big:

  $ elf segments 0x100000
  $ ./kernel segments
  ! husk: kernel "segments": is an ELF file, but not a bootable executable
  [125]
  $ elf segments 0x100000 0x100000:0x2000:0x2000 0x101000:0x1000:0x1000
  $ ./kernel segments
  ! husk: kernel "segments": segments overlap or are not in rising order
  [125]
  $ elf segments 0x100000 0x200000:0x1000:0x1000 0x100000:0x1000:0x1000
  $ ./kernel segments
  ! husk: kernel "segments": segments overlap or are not in rising order
  [125]
  $ elf segments 0x100000 0x100000:0x2000:0x1000
  $ ./kernel segments
  ! husk: kernel "segments": a segment has more bytes in the file than in memory
  [125]
  $ elf segments 0x100000 0x100000:0xffffffffffffffff:0xffffffffffffffff
  $ ./kernel segments
  ! husk: kernel "segments": is truncated: a segment ends past the end of the file
  [125]
  $ elf segments 0x100000 0xfffffffffffff000:0x1000:0x1000
  $ ./kernel segments
  ! husk: kernel "segments": a segment wraps around the end of memory
  [125]
  $ elf segments 0x100000 0x100000:0x0:0xffffffffffffffff
  $ ./kernel segments
  ! husk: kernel "segments": a segment wraps around the end of memory
  [125]
  $ elf segments 0x100000 0x100000:0x1000:0x8000000
  $ ./kernel segments
  ! husk: kernel "segments" needs memory up to 129 MiB, the guest has 128 MiB; give it more with --memory
  [125]
  $ elf segments 0x1000 0x1000:0x1000:0x1000
  $ ./kernel segments
  ! husk: kernel "segments": a segment lies below 1 MiB, where husk puts its own tables
  [125]
  $ elf segments 0x200000 0x100000:0x1000:0x1000
  $ ./kernel segments
  ! husk: kernel "segments": its entry point is not inside of what it loads
  [125]

Initrds:

  $ ./initrd missing
  ! husk: cannot open initrd "missing": No such file or directory
  [125]
  $ ./initrd folder
  ! husk: initrd "folder" is a folder, not a file
  [125]
  $ ./initrd empty
  ! husk: initrd "empty" is empty
  [125]
  $ unprivileged ./initrd forbidden
  ! husk: cannot open initrd "forbidden": Permission denied
  [125]
  $ truncate -s 64M big
  $ ./initrd big 2>&1 | sed 's/of [0-9]* KiB/of N KiB/'
  husk: the initrd of N KiB does not fit beside the kernel in 64 MiB of memory; give the guest more with --memory
  $ husk run --rootfs disk.img,ro --memory 64M --kernel vmlinux --append "$(printf %03000d 0)" -- true
  ! husk: the kernel command line has 3140 bytes, this kernel takes 2047; shorten what --append or boot_args adds
  [125]

The same from a config file:

  $ ./vm '{"kernel_image_path": "missing"}'
  ! husk: cannot open kernel "missing": No such file or directory
  [1]
  $ ./vm '{"kernel_image_path": "text"}'
  ! husk: kernel "text": is not a kernel: neither an ELF vmlinux nor a bzImage
  [1]
  $ ./vm '{"kernel_image_path": "vmlinux", "initrd_path": "missing"}'
  ! husk: cannot open initrd "missing": No such file or directory
  [1]
  $ truncate -s 127M big
  $ ./vm '{"kernel_image_path": "vmlinux", "initrd_path": "big"}'
  ! husk: the initrd of 130048 KiB does not fit beside the kernel in 128 MiB of memory; give the guest more with --memory
  [1]
