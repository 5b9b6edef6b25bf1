#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Kernels, CPUs, memory, command lines.

load common

@test "the default: husk's own kernel and root file system" {
	run -0 --separate-stderr husk -- uname -srm
	[[ $output =~ ^Linux\ 6\.1\.[0-9]+.*\ x86_64$ ]]
	[ -z "$stderr" ]
}

@test "one vCPU, 64 MiB" {
	run -0 husk -c 1 -m 64M -- sh -c 'nproc; grep MemTotal /proc/meminfo'
	[ "${lines[0]}" = 1 ]
	[[ ${lines[1]} =~ ([0-9]+) ]]
	[ "${BASH_REMATCH[1]}" -gt 40000 ]
	[ "${BASH_REMATCH[1]}" -lt 65536 ]
}

@test "four vCPUs, 5 GiB around the device hole" {
	run -0 husk -c 4 -m 5G -- sh -c 'nproc; grep MemTotal /proc/meminfo; dd if=/dev/zero of=/dev/shm/x bs=1M count=64 2>/dev/null; wc -c </dev/shm/x'
	[ "${lines[0]}" = 4 ]
	[[ ${lines[1]} =~ ([0-9]+) ]]
	[ "${BASH_REMATCH[1]}" -gt 4900000 ]
	[ "${lines[2]}" = 67108864 ]
}

@test "as many vCPUs as there may be" {
	run -0 husk -c 32 -m 256M -- nproc
	[ "$output" = 32 ]
}

@test "the smallest memory there is, 32 MiB" {
	run -0 husk -m 32M -- echo small
	[ "$output" = small ]
}

@test "all vCPUs work, each on its own" {
	run -0 husk -c 4 -- sh -c 'for i in 0 1 2 3; do taskset -c $i sh -c "echo cpu $i" & done; wait'
	[ "${#lines[@]}" = 4 ]
}

@test "a bzImage" {
	run -0 husk -k "$(kernel-config/build)/bzImage" -- uname -s
	[ "$output" = Linux ]
}

@test "Debian's stock cloud kernel with its modules, and it powers off" {
	stock=$(kernel-config/stock)
	run -0 husk -m 256M -k "$stock/vmlinuz" --initrd "$stock/initrd" -- uname -r
	[[ $output =~ cloud-amd64$ ]]
}

@test "an initrd of one's own, without a root file system on a disk" {
	mkdir -p "$BATS_TEST_TMPDIR/tree"
	cp -a "$(command -v busybox)" "$BATS_TEST_TMPDIR/tree/busybox"
	echo content >"$BATS_TEST_TMPDIR/tree/file"
	(cd "$BATS_TEST_TMPDIR/tree" && find . | cpio -o -H newc --quiet) >"$BATS_TEST_TMPDIR/initrd"
	run -0 husk --initrd "$BATS_TEST_TMPDIR/initrd" -r none -- /busybox cat /file
	[ "$output" = content ]
}

@test "--append reaches the kernel, last" {
	run -0 husk --append 'husk.test=1 loglevel=3' -- cat /proc/cmdline
	[[ $output =~ husk.test=1\ loglevel=3$ ]]
}

@test "a config file in Firecracker's format boots, and the guest's reset ends it with 0" {
	cat >"$BATS_TEST_TMPDIR/vm.json" <<-END
	{
	  "boot-source": {
	    "kernel_image_path": "$PWD/build/vmlinux",
	    "boot_args": "console=ttyS0 quiet reboot=k panic=-1 init=/bin/sh -- -c \"echo from the console; reboot -f\""
	  },
	  "drives": [
	    { "drive_id": "rootfs", "path_on_host": "$PWD/build/rootfs.img", "is_root_device": true, "is_read_only": true }
	  ],
	  "machine-config": { "vcpu_count": 2, "mem_size_mib": 128 }
	}
	END
	run -0 timeout 100 "$HUSK" --config-file "$BATS_TEST_TMPDIR/vm.json" --no-api </dev/null
	[[ $output =~ "from the console" ]]
}

@test "four guests at once" {
	for i in 1 2 3 4; do
		husk -- sh -c "echo guest $i; sleep 1" >"$BATS_TEST_TMPDIR/$i" 3>&- &
	done
	wait
	for i in 1 2 3 4; do
		[ "$(cat "$BATS_TEST_TMPDIR/$i")" = "guest $i" ]
	done
}
