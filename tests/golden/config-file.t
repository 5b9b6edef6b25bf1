SPDX-License-Identifier: Apache-2.0

What is refused in a config file. "./vm JSON" boots from JSON:

  $ cat >vm <<'END'
  > #!/bin/sh
  > printf '%s' "$1" >vm.json
  > exec husk --config-file vm.json --no-api
  > END
  $ chmod +x vm

The file itself:

  $ husk --config-file missing.json --no-api
  ! husk: config file "missing.json": No such file or directory
  [1]
  $ husk --config-file . --no-api
  ! husk: config file ".": Is a directory
  [1]
  $ head -c 1048577 /dev/zero | tr '\0' ' ' >large.json
  $ husk --config-file large.json --no-api
  ! husk: config file "large.json": larger than 1 MiB
  [1]

Not JSON, or not the right JSON:

  $ ./vm ''
  ! husk: config file "vm.json": line 1, column 0: '[' or '{' expected near end of file
  [1]
  $ ./vm '{"drives": [],}'
  ! husk: config file "vm.json": line 1, column 15: string or '}' expected near '}'
  [1]
  $ ./vm '{"drives": [}'
  ! husk: config file "vm.json": line 1, column 13: unexpected token near '}'
  [1]
  $ ./vm '[]'
  ! husk: config file "vm.json": expected an object, found an array
  [1]
  $ ./vm '"drives"'
  ! husk: config file "vm.json": line 1, column 8: '[' or '{' expected near '"drives"'
  [1]
  $ ./vm '{"drives": [], "drives": []}'
  ! husk: config file "vm.json": line 1, column 23: duplicate object key near '"drives"'
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": []} x'
  ! husk: config file "vm.json": line 1, column 59: end of file expected near 'x'
  [1]

What must be there:

  $ ./vm '{}'
  ! husk: config file "vm.json": boot-source is missing
  [1]
  $ ./vm '{"drives": []}'
  ! husk: config file "vm.json": boot-source is missing
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}}'
  ! husk: config file "vm.json": drives is missing
  [1]
  $ ./vm '{"boot-source": {}, "drives": []}'
  ! husk: config file "vm.json": boot-source.kernel_image_path is missing
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{}]}'
  ! husk: config file "vm.json": drives[0].drive_id is missing
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "p"}]}'
  ! husk: config file "vm.json": drives[0].is_root_device is missing
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {}}'
  ! husk: config file "vm.json": machine-config.vcpu_count is missing
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1}}'
  ! husk: config file "vm.json": machine-config.mem_size_mib is missing
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a"}]}'
  ! husk: config file "vm.json": network-interfaces[0].host_dev_name is missing
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": null}'
  ! husk: config file "vm.json": drives: expected an array, found null
  [1]

Keys that nobody has:

  $ ./vm '{"boot_source": {}}'
  ! husk: config file "vm.json": boot_source: unknown key; there are: boot-source, drives, machine-config, network-interfaces
  [1]
  $ ./vm '{"boot-source": {"kernel": "k"}, "drives": []}'
  ! husk: config file "vm.json": boot-source.kernel: unknown key; there are: kernel_image_path, boot_args, initrd_path
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"path": "p"}]}'
  ! husk: config file "vm.json": drives[0].path: unknown key; there are: drive_id, path_on_host, is_root_device, is_read_only, partuuid, cache_type, io_engine
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"cpus": 1}}'
  ! husk: config file "vm.json": machine-config.cpus: unknown key; there are: vcpu_count, mem_size_mib, smt, track_dirty_pages, huge_pages, cpu_template
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"tap": "a"}]}'
  ! husk: config file "vm.json": network-interfaces[0].tap: unknown key; there are: iface_id, host_dev_name, guest_mac, mtu
  [1]

Wrong types:

  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": {}}'
  ! husk: config file "vm.json": drives: expected an array, found an object
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": ["a.img"]}'
  ! husk: config file "vm.json": drives[0]: expected an object, found a string
  [1]
  $ ./vm '{"boot-source": "k", "drives": []}'
  ! husk: config file "vm.json": boot-source: expected an object, found a string
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "p", "is_root_device": false}, {"drive_id": "b", "path_on_host": 1}]}'
  ! husk: config file "vm.json": drives[1].path_on_host: expected a string, found an integer
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "p", "is_root_device": "true"}]}'
  ! husk: config file "vm.json": drives[0].is_root_device: expected true or false, found a string
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": "2"}}'
  ! husk: config file "vm.json": machine-config.vcpu_count: expected an integer, found a string
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1.5}}'
  ! husk: config file "vm.json": machine-config.vcpu_count: expected an integer, found a number with a fraction
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 128, "smt": 0}}'
  ! husk: config file "vm.json": machine-config.smt: expected true or false, found an integer
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": null}, "drives": []}'
  ! husk: config file "vm.json": boot-source.kernel_image_path: expected a string, found null
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k", "boot_args": ["quiet"]}, "drives": []}'
  ! husk: config file "vm.json": boot-source.boot_args: expected a string, found an array
  [1]

Values out of range:

  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 0, "mem_size_mib": 128}}'
  ! husk: config file "vm.json": machine-config.vcpu_count: expected 1 to 32, found 0
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 33, "mem_size_mib": 128}}'
  ! husk: config file "vm.json": machine-config.vcpu_count: expected 1 to 32, found 33
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": -1, "mem_size_mib": 128}}'
  ! husk: config file "vm.json": machine-config.vcpu_count: expected 1 to 32, found -1
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 31}}'
  ! husk: config file "vm.json": machine-config.mem_size_mib: expected 32 to 4194304, found 31
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 4194305}}'
  ! husk: config file "vm.json": machine-config.mem_size_mib: expected 32 to 4194304, found 4194305
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 99999999999999999999}}'
  ! husk: config file "vm.json": line 1, column 130: too big integer near '99999999999999999999'
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": ""}, "drives": []}'
  ! husk: config file "vm.json": boot-source.kernel_image_path: the file name is empty
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k", "initrd_path": ""}, "drives": []}'
  ! husk: config file "vm.json": boot-source.initrd_path: the file name is empty
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k", "boot_args": "a\nb"}, "drives": []}'
  ! husk: config file "vm.json": boot-source.boot_args: only printable ASCII fits on a kernel command line
  [1]

Drives:

  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "", "path_on_host": "p", "is_root_device": false}]}'
  ! husk: config file "vm.json": drives[0].drive_id: "" is no valid id: use letters, digits and "_"
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a-b", "path_on_host": "p", "is_root_device": false}]}'
  ! husk: config file "vm.json": drives[0].drive_id: "a-b" is no valid id: use letters, digits and "_"
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "p", "is_root_device": false}, {"drive_id": "a", "path_on_host": "p", "is_root_device": false}]}'
  ! husk: config file "vm.json": drives[1]: the id "a" is in use by another drive
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "p", "is_root_device": true}, {"drive_id": "b", "path_on_host": "p", "is_root_device": true}]}'
  ! husk: config file "vm.json": drives[1]: there is a root drive already; a VM has one
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "p", "is_root_device": false, "partuuid": "a b"}]}'
  ! husk: config file "vm.json": drives[0].partuuid: "a b" is not the UUID of a partition
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "", "is_root_device": false}]}'
  ! husk: config file "vm.json": drives[0].path_on_host: the file name is empty
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "d0", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d1", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d2", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d3", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d4", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d5", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d6", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d7", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d8", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d9", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d10", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d11", "path_on_host": "p", "is_root_device": false}, {"drive_id": "d12", "path_on_host": "p", "is_root_device": false}]}'
  ! husk: config file "vm.json": drives[12]: too many drives; a VM has at most 12
  [1]

Network interfaces:

  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "eth-0", "host_dev_name": "tap0"}]}'
  ! husk: config file "vm.json": network-interfaces[0].iface_id: "eth-0" is no valid id: use letters, digits and "_"
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": ""}]}'
  ! husk: config file "vm.json": network-interfaces[0].host_dev_name: "" is no valid name of a network interface (1 to 15 characters)
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": "a-name-too-long1"}]}'
  ! husk: config file "vm.json": network-interfaces[0].host_dev_name: "a-name-too-long1" is no valid name of a network interface (1 to 15 characters)
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": "tap0", "guest_mac": "01:00:00:00:00:00"}]}'
  ! husk: config file "vm.json": network-interfaces[0].guest_mac: "01:00:00:00:00:00" is not the MAC address of one interface; expected a form like 06:00:ac:10:00:02, the first byte even
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": "tap0", "guest_mac": "x"}]}'
  ! husk: config file "vm.json": network-interfaces[0].guest_mac: "x" is not the MAC address of one interface; expected a form like 06:00:ac:10:00:02, the first byte even
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": "tap0", "mtu": 67}]}'
  ! husk: config file "vm.json": network-interfaces[0].mtu: expected 68 to 65535, found 67
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": "tap0", "mtu": 65536}]}'
  ! husk: config file "vm.json": network-interfaces[0].mtu: expected 68 to 65535, found 65536
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": "tap0"}, {"iface_id": "a", "host_dev_name": "tap1"}]}'
  ! husk: config file "vm.json": network-interfaces[1]: the id "a" is in use by another interface
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": "tap0"}, {"iface_id": "b", "host_dev_name": "tap0"}]}'
  ! husk: config file "vm.json": network-interfaces[1]: its host device is in use by interface "a"
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": "tap0", "guest_mac": "06:00:00:00:00:01"}, {"iface_id": "b", "host_dev_name": "tap1", "guest_mac": "06:00:00:00:00:01"}]}'
  ! husk: config file "vm.json": network-interfaces[1]: its MAC address is in use by interface "a"
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "n0", "host_dev_name": "tap0"}, {"iface_id": "n1", "host_dev_name": "tap1"}, {"iface_id": "n2", "host_dev_name": "tap2"}, {"iface_id": "n3", "host_dev_name": "tap3"}, {"iface_id": "n4", "host_dev_name": "tap4"}]}'
  ! husk: config file "vm.json": network-interfaces[4]: too many network interfaces; a VM has at most 4
  [1]

What husk does not have, so far or ever:

  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "balloon": {}}'
  ! husk: config file "vm.json": balloon is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "cpu-config": "cpu.json"}'
  ! husk: config file "vm.json": cpu-config is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "entropy": {}}'
  ! husk: config file "vm.json": entropy is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "logger": {"level": "Info"}}'
  ! husk: config file "vm.json": logger is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "memory-hotplug": {}}'
  ! husk: config file "vm.json": memory-hotplug is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "metrics": {"metrics_path": "m"}}'
  ! husk: config file "vm.json": metrics is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "mmds-config": {"network_interfaces": []}}'
  ! husk: config file "vm.json": mmds-config is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "pmem": [{}]}'
  ! husk: config file "vm.json": pmem is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "vsock": {"guest_cid": 3, "uds_path": "v.sock"}}'
  ! husk: config file "vm.json": vsock is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 128, "smt": true}}'
  ! husk: config file "vm.json": machine-config.smt: true is not supported; husk has: false
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 128, "track_dirty_pages": true}}'
  ! husk: config file "vm.json": machine-config.track_dirty_pages: true is not supported; husk has: false
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 128, "huge_pages": "2M"}}'
  ! husk: config file "vm.json": machine-config.huge_pages: "2M" is not supported; husk has: None
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 128, "cpu_template": "T2"}}'
  ! husk: config file "vm.json": machine-config.cpu_template: "T2" is not supported; husk has: None
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "machine-config": {"vcpu_count": 1, "mem_size_mib": 128, "gdb_socket_path": "s"}}'
  ! husk: config file "vm.json": machine-config.gdb_socket_path is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "p", "is_root_device": false, "cache_type": "Off"}]}'
  ! husk: config file "vm.json": drives[0].cache_type: "Off" is not supported; husk has: Unsafe, Writeback
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "p", "is_root_device": false, "io_engine": "Fast"}]}'
  ! husk: config file "vm.json": drives[0].io_engine: "Fast" is not supported; husk has: Sync, Async
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "p", "is_root_device": false, "rate_limiter": {}}]}'
  ! husk: config file "vm.json": drives[0].rate_limiter is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [{"drive_id": "a", "path_on_host": "p", "is_root_device": false, "socket": "s"}]}'
  ! husk: config file "vm.json": drives[0].socket is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": "tap0", "rx_rate_limiter": {}}]}'
  ! husk: config file "vm.json": network-interfaces[0].rx_rate_limiter is not supported; leave it out
  [1]
  $ ./vm '{"boot-source": {"kernel_image_path": "k"}, "drives": [], "network-interfaces": [{"iface_id": "a", "host_dev_name": "tap0", "tx_rate_limiter": {"ops": {"size": 1, "refill_time": 1}}}]}'
  ! husk: config file "vm.json": network-interfaces[0].tx_rate_limiter is not supported; leave it out
  [1]
