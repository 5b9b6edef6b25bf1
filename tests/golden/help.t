SPDX-License-Identifier: Apache-2.0

Help goes to standard output.

  $ husk
  Usage: husk run [OPTION...] [--] COMMAND [ARG...]
         husk doctor [-q|--quiet]
         husk --config-file FILE --no-api [--id ID]
  
  husk is a microVM launcher for Linux guests on KVM.
  
    run            boot a microVM, run COMMAND in it, exit with its status
    doctor         check whether this host can run guests; if not, say why
    --config-file  boot what FILE describes, in the format of Firecracker
    --no-api       needed with --config-file
    --id           name of the microVM: letters, digits and "-"
    --no-sandbox, --no-seccomp, --seccomp kill|log
                   as for run
    --jailed       husk-jailer has jailed husk: check that, do not do it again
    --print-seccomp
                   print the system call filters of this VM instead of running
                   it; alone: those of a VM that has everything
    --metrics FILE write time, exits and faults to FILE at the end, as JSON
    --version      print the version
    -h, --help     print this text
  
  "husk run --help" lists the options of run.
  
  Examples:
    husk doctor
    husk run -- uname -a
    husk --config-file vm.json --no-api
  $ husk >all
  $ husk --help | cmp - all
  $ husk -h | cmp - all
  $ husk run --help
  Usage: husk run [OPTION...] [--] COMMAND [ARG...]
  
  Boots a microVM, runs COMMAND in it and exits with COMMAND's status.
  
    -k, --kernel FILE          kernel to boot (default: the one of husk)
    -r, --rootfs FILE[,ro]     raw disk image with the root file system
                               (default: the one of husk); none: run in the initrd
        --initrd FILE          initial RAM disk
        --append TEXT          add TEXT to the kernel's command line*
    -c, --cpus N               number of vCPUs, 1 to 32 (default: 1)
    -m, --memory SIZE          memory in whole MiB: 64M, 1G (default: 128M, least: 32M)
    -d, --drive FILE[,ro][,id=NAME]
                               one more drive: a raw disk image or block device*
    -n, --net KIND[,KEY=VALUE...]
                               network interface* (default: none); KIND is one of
                                 passt     user-mode network, needs no privileges
                                 tap=NAME  TAP device of the host
                                 fd=N      open descriptor of a TAP device
                                 none      no network; drops what was named before
                               and KEY one of mac, mtu, ip (ADDR/PREFIX), gw, dns,
                               with passt also tcp*, udp* (HOSTPORT:GUESTPORT) and
                               host (on: 10.0.2.2 leads to this host's loopback)
        --mac ADDR             MAC address of the first network interface
    -e, --env NAME[=VALUE]     set a variable for COMMAND*; NAME alone passes husk's own
    -w, --workdir DIR          folder COMMAND starts in (default: /)
    -t, --timeout DURATION     end the VM after 500ms, 30s, 5m, 1h (default: never)
        --timing               print where the time to boot went
        --metrics FILE         write time, exits and faults to FILE, as JSON
        --no-sandbox           run without namespaces and empty root (for debugging)
        --no-seccomp           run without system call filters (for debugging)
        --seccomp kill|log     what becomes of a call the filters forbid: it ends the
                               VM (kill), or the kernel logs it (log, for debugging)
        --print-seccomp        print the filters of this VM instead of running it
    -v, --verbose              say what husk does
    -h, --help                 print this text
  
    *  may be given several times; of the others the last one counts
  
  Exit status: that of COMMAND, or
    124     the timeout passed
    125     husk or the guest failed; one line says why
    126     COMMAND could not be run
    127     COMMAND was not found
    128+N   COMMAND or husk was ended by signal N
  
  Examples:
    husk run -- uname -a
    husk run -c 2 -m 512M -r debian.img,ro -- /bin/sh -c 'nproc; free'
    husk run -n passt,tcp=8080:80 -d data.img,id=data -e TOKEN -- httpd -f
  $ husk run -h -- true | head -1
  Usage: husk run [OPTION...] [--] COMMAND [ARG...]
  $ husk doctor --help
  Usage: husk doctor [-q|--quiet]
  
  Checks whether this host can run guests: exit status 0 if it can; if not, why,
  and what to do.
  
    -q, --quiet  print only the reason, if guests cannot run
  $ husk --version
  husk 0.1.0

Words that are no command:

  $ husk rum -- true
  ! husk: unknown command "rum"; did you mean "husk run"?
  [125]
  $ husk doktor
  ! husk: unknown command "doktor"; did you mean "husk doctor"?
  [125]
  $ husk uname -a
  ! husk: unknown command "uname"; to run it in a guest: "husk run -- uname"; see also "husk --help"
  [125]
  $ husk ""
  ! husk: unknown command ""; to run it in a guest: "husk run -- "; see also "husk --help"
  [125]
  $ husk doctor --loud
  ! husk: unknown option "--loud"; see "husk doctor --help"
  [125]
  $ husk doctor now
  ! husk: unexpected argument "now"; see "husk doctor --help"
  [125]
