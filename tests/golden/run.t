SPDX-License-Identifier: Apache-2.0

What "husk run" refuses before it opens anything.

No command:

  $ husk run
  ! husk: the command to run is missing, as in "husk run -- uname -a"; see "husk run --help"
  [125]
  $ husk run -c 2
  ! husk: the command to run is missing, as in "husk run -- uname -a"; see "husk run --help"
  [125]
  $ husk run --
  ! husk: the command to run is missing, as in "husk run -- uname -a"; see "husk run --help"
  [125]

Options it does not know:

  $ husk run --foo -- true
  ! husk: unknown option "--foo"; see "husk run --help"
  [125]
  $ husk run --foo=bar -- true
  ! husk: unknown option "--foo"; see "husk run --help"
  [125]
  $ husk run --memroy 1G -- true
  ! husk: unknown option "--memroy"; did you mean "--memory"?
  [125]
  $ husk run --kernal=vmlinux -- true
  ! husk: unknown option "--kernal"; did you mean "--kernel"?
  [125]
  $ husk run -x -- true
  ! husk: unknown option "-x"; see "husk run --help"
  [125]
  $ husk run -vx -- true
  ! husk: unknown option "-x"; see "husk run --help"
  [125]

An abbreviation is not an option:

  $ husk run --mem 1G -- true
  ! husk: unknown option "--mem"; see "husk run --help"
  [125]
  $ husk run --time 1 -- true
  ! husk: unknown option "--time"; did you mean "--timeout"?
  [125]

Values that are missing, or too many:

  $ husk run --cpus
  ! husk: --cpus: the value is missing; see "husk run --help"
  [125]
  $ husk run -vm
  ! husk: --memory: the value is missing; see "husk run --help"
  [125]
  $ husk run --timing=yes -- true
  ! husk: --timing: takes no value; see "husk run --help"
  [125]

vCPUs:

  $ husk run --cpus 0 -- true
  ! husk: --cpus: "0" is not a number of vCPUs from 1 to 32
  [125]
  $ husk run -c 33 -- true
  ! husk: --cpus: "33" is not a number of vCPUs from 1 to 32
  [125]
  $ husk run -c -1 -- true
  ! husk: --cpus: "-1" is not a number of vCPUs from 1 to 32
  [125]
  $ husk run -c 2x -- true
  ! husk: --cpus: "2x" is not a number of vCPUs from 1 to 32
  [125]
  $ husk run --cpus= -- true
  ! husk: --cpus: "" is not a number of vCPUs from 1 to 32
  [125]
  $ husk run -c 99999999999999999999 -- true
  ! husk: --cpus: "99999999999999999999" is not a number of vCPUs from 1 to 32
  [125]

Memory:

  $ husk run --memory 31M -- true
  ! husk: --memory: "31M" is too small; a guest needs at least 32M
  [125]
  $ husk run -m 0 -- true
  ! husk: --memory: "0" is too small; a guest needs at least 32M
  [125]
  $ husk run -m 512 -- true
  ! husk: --memory: "512" is in bytes, which is too small; did you mean "512M"?
  [125]
  $ husk run -m 8 -- true
  ! husk: --memory: "8" is too small; a guest needs at least 32M
  [125]
  $ husk run -m lots -- true
  ! husk: --memory: "lots" is not a size; expected a form like 128M or 1G
  [125]
  $ husk run -m 128MB -- true
  ! husk: --memory: "128MB" is not a size; expected a form like 128M or 1G
  [125]
  $ husk run -m 65537K -- true
  ! husk: --memory: "65537K" is not a whole number of MiB
  [125]
  $ husk run -m 5T -- true
  ! husk: --memory: "5T" is too large; a guest can have at most 4T
  [125]
  $ husk run -m 99999999999T -- true
  ! husk: --memory: "99999999999T" is too large; a guest can have at most 4T
  [125]

Files with no name:

  $ husk run --kernel "" -- true
  ! husk: --kernel: the file name is empty
  [125]
  $ husk run --initrd= -- true
  ! husk: --initrd: the file name is empty
  [125]
  $ husk run --rootfs "" -- true
  ! husk: --rootfs: the file name is empty
  [125]
  $ husk run -r ,ro -- true
  ! husk: --rootfs: the file name is empty
  [125]
  $ husk run -d "" -- true
  ! husk: --drive: the file name is empty
  [125]
  $ husk run -d ,ro,id=data -- true
  ! husk: --drive: the file name is empty
  [125]

Drives:

  $ husk run -d disk.img,id= -- true
  ! husk: --drive: "" is no valid id: use letters, digits and "_"
  [125]
  $ husk run -d disk.img,id=my-disk -- true
  ! husk: --drive: "my-disk" is no valid id: use letters, digits and "_"
  [125]
  $ husk run -d a.img,id=data -d b.img,id=data -- true
  ! husk: --drive: the id "data" is in use by another drive
  [125]
  $ husk run -d a.img,id=root -r b.img -- true
  ! husk: --rootfs: the id "root" is in use by another drive
  [125]
  $ husk run -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9 -d 10 -d 11 -d 12 -- true
  ! husk: --drive: too many drives; a VM has at most 12, the root file system included
  [125]
  $ husk run -r 0 -d 1 -d 2 -d 3 -d 4 -d 5 -d 6 -d 7 -d 8 -d 9 -d 10 -d 11 -d 12 -- true
  ! husk: --rootfs: too many drives; a VM has at most 12
  [125]

Kernel command line:

  $ husk run --append "$(printf 'quiet\ninit=/bin/sh')" -- true
  ! husk: --append: only printable ASCII fits on a kernel command line
  [125]
  $ husk run --append "héllo" -- true
  ! husk: --append: only printable ASCII fits on a kernel command line
  [125]

Environment, folder, time:

  $ husk run -e =value -- true
  ! husk: --env: "=value" has no name; expected NAME=VALUE or NAME
  [125]
  $ husk run -e "" -- true
  ! husk: --env: "" has no name; expected NAME=VALUE or NAME
  [125]
  $ husk run -w tmp -- true
  ! husk: --workdir: "tmp" is not an absolute path; it must start with "/"
  [125]
  $ husk run -w "" -- true
  ! husk: --workdir: "" is not an absolute path; it must start with "/"
  [125]
  $ husk run -t soon -- true
  ! husk: --timeout: "soon" is not a duration; expected a form like 500ms, 30s, 5m or 1h
  [125]
  $ husk run -t -5 -- true
  ! husk: --timeout: "-5" is not a duration; expected a form like 500ms, 30s, 5m or 1h
  [125]
  $ husk run -t 5d -- true
  ! husk: --timeout: "5d" is not a duration; expected a form like 500ms, 30s, 5m or 1h
  [125]
