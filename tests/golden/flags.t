SPDX-License-Identifier: Apache-2.0

Firecracker's flags: those husk has, those it does not have yet, and those nobody has. The exit
status for arguments is Firecracker's.

  $ husk --config-file vm.json
  ! husk: --config-file without --no-api is not supported yet; add --no-api
  [153]
  $ husk --no-api
  ! husk: --config-file is missing: husk takes its VM from "--config-file FILE --no-api"; see "husk --help"
  [153]
  $ husk --id vm1
  ! husk: --config-file is missing: husk takes its VM from "--config-file FILE --no-api"; see "husk --help"
  [153]
  $ husk --config-file
  ! husk: --config-file: the value is missing
  [153]
  $ husk --config-file --no-api
  ! husk: --config-file: the value is missing
  [153]
  $ husk --config-file a.json --no-api --config-file b.json
  ! husk: --config-file is given twice
  [153]
  $ husk --config-file=vm.json --no-api
  ! husk: unknown option "--config-file=vm.json"; the value goes in a word of its own: "--config-file VALUE"
  [153]
  $ husk --no-api=1
  ! husk: unknown option "--no-api=1"; write "--no-api"
  [153]
  $ husk --config-file vm.json --no-api vm.json
  ! husk: unexpected argument "vm.json"; see "husk --help"
  [153]
  $ husk --confg-file vm.json
  ! husk: unknown option "--confg-file"; did you mean "--config-file"?
  [153]
  $ husk --foo
  ! husk: unknown option "--foo"; see "husk --help"
  [153]
  $ husk -x
  ! husk: unknown option "-x"; see "husk --help"
  [153]
  $ husk --no-api --version
  husk 0.1.0

The id:

  $ husk --config-file vm.json --no-api --id ""
  ! husk: --id: "" is no valid id: use 1 to 64 letters, digits and "-"
  [153]
  $ husk --config-file vm.json --no-api --id my_vm
  ! husk: --id: "my_vm" is no valid id: use 1 to 64 letters, digits and "-"
  [153]
  $ husk --config-file vm.json --no-api --id "$(printf %065d 0)"
  ! husk: --id: "00000000000000000000000000000000000000000000000000000000000000000" is no valid id: use 1 to 64 letters, digits and "-"
  [153]

Not there yet:

  $ husk --api-sock /run/firecracker.socket
  ! husk: --api-sock is not supported yet
  [153]
  $ husk --boot-timer
  ! husk: --boot-timer is not supported yet
  [153]
  $ husk --describe-snapshot file
  ! husk: --describe-snapshot is not supported yet
  [153]
  $ husk --enable-pci
  ! husk: --enable-pci is not supported yet
  [153]
  $ husk --http-api-max-payload-size 51200
  ! husk: --http-api-max-payload-size is not supported yet
  [153]
  $ husk --level Debug
  ! husk: --level is not supported yet
  [153]
  $ husk --log-path log
  ! husk: --log-path is not supported yet
  [153]
  $ husk --metadata file.json
  ! husk: --metadata is not supported yet
  [153]
  $ husk --metrics-path metrics
  ! husk: --metrics-path is not supported yet
  [153]
  $ husk --mmds-size-limit 51200
  ! husk: --mmds-size-limit is not supported yet
  [153]
  $ husk --module vmm
  ! husk: --module is not supported yet
  [153]
  $ husk --no-seccomp
  ! husk: --config-file is missing: husk takes its VM from "--config-file FILE --no-api"; see "husk --help"
  [153]
  $ husk --parent-cpu-time-us 1
  ! husk: --config-file is missing: husk takes its VM from "--config-file FILE --no-api"; see "husk --help"
  [153]
  $ husk --seccomp-filter file
  ! husk: --seccomp-filter is not supported yet
  [153]
  $ husk --show-level
  ! husk: --show-level is not supported yet
  [153]
  $ husk --show-log-origin
  ! husk: --show-log-origin is not supported yet
  [153]
  $ husk --snapshot-version
  ! husk: --snapshot-version is not supported yet
  [153]
  $ husk --start-time-cpu-us 1
  ! husk: --config-file is missing: husk takes its VM from "--config-file FILE --no-api"; see "husk --help"
  [153]
  $ husk --start-time-us 1
  ! husk: --config-file is missing: husk takes its VM from "--config-file FILE --no-api"; see "husk --help"
  [153]
