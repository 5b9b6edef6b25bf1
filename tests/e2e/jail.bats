#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Whole lives of Linux guests in the jail, beyond those of all other tests, which are jailed as well:
# as an ordinary user, under husk-jailer, and what the kernel logs of the filters.

load common

setup_file() {
	# On the rig, build/ holds links into a folder that is root's alone.
	export SHARED=$BATS_FILE_TMPDIR/shared
	mkdir "$SHARED"
	cp -L "$HUSK" build/husk-jailer build/vmlinux build/rootfs.img "$SHARED"
	chmod -R a+rX "$SHARED"
	for folder in "$BATS_FILE_TMPDIR" "$BATS_RUN_TMPDIR" "$BATS_RUN_TMPDIR/file"; do
		[ ! -d "$folder" ] || chmod a+x "$folder"
	done
}

as_user() {
	setpriv --reuid 1000 --regid 1000 --clear-groups --bounding-set=-all --inh-caps=-all "$@"
}

teardown() {
	[ -z "${server:-}" ] || kill "$server"
	ip link del tap9 2>/dev/null || :
}

@test "an ordinary user: a disk, passt, standard streams, several vCPUs, a reset" {
	make_disk "$BATS_TEST_TMPDIR/disk" 16M
	chown 1000:1000 "$BATS_TEST_TMPDIR/disk"
	chmod a+x "$BATS_TEST_TMPDIR"
	mkdir -m 755 "$BATS_TEST_TMPDIR/www"
	echo pong >"$BATS_TEST_TMPDIR/www/index.html"
	busybox httpd -f -p 127.0.0.1:8084 -h "$BATS_TEST_TMPDIR/www" 3>&- &
	server=$!
	echo typed | as_user timeout -k 5 120 "$SHARED/husk" run -c 2 -n passt,host=on -d "$BATS_TEST_TMPDIR/disk" -- \
		sh -c 'cat; mount /dev/vdb /mnt && echo kept >/mnt/file && umount /mnt
			wget -q -O - http://10.0.2.2:8084/; nproc; exit 9' \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" || status=$?
	cat "$BATS_TEST_TMPDIR/err"
	[ "$status" -eq 9 ]
	[ "$(head -n 1 "$BATS_TEST_TMPDIR/out")" = typed ]
	grep -x pong "$BATS_TEST_TMPDIR/out"
	[ "$(tail -n 1 "$BATS_TEST_TMPDIR/out")" = 2 ]
	[ "$(debugfs -R 'cat file' "$BATS_TEST_TMPDIR/disk" 2>/dev/null)" = kept ]
	status=0
	as_user timeout -k 5 120 "$SHARED/husk" run -- reboot -f 2>"$BATS_TEST_TMPDIR/err" || status=$?
	[ "$status" -eq 125 ]
	grep rebooted "$BATS_TEST_TMPDIR/err"
}

@test "the kernel logs no call that the filters would have stopped" {
	make_disk "$BATS_TEST_TMPDIR/disk" 16M
	dmesg -C
	husk --seccomp log -c 2 -n passt -d "$BATS_TEST_TMPDIR/disk" -- sh -c '
		mount -o discard /dev/vdb /mnt && dd if=/dev/zero of=/mnt/a bs=64k count=64 conv=fsync &&
		rm /mnt/a && sync && umount /mnt; mount; ping -c 1 10.0.2.2; ip link set eth0 down; echo x >&2' >/dev/null
	husk --seccomp log -t 2s -- sleep 100 || true
	dmesg >"$BATS_TEST_TMPDIR/log"
	[ -z "$(grep 'type=1326' "$BATS_TEST_TMPDIR/log")" ]
	# The log works: a process outside of the rules shows up in it.
	python3 - <<-'END'
		import ctypes, struct
		libc = ctypes.CDLL(None)
		# One instruction: SECCOMP_RET_LOG.
		program = ctypes.create_string_buffer(struct.pack("HBBI", 6, 0, 0, 0x7ffc0000))
		fprog = ctypes.create_string_buffer(struct.pack("HxxxxxxP", 1, ctypes.addressof(program)))
		libc.prctl(38, 1, 0, 0, 0)
		assert libc.prctl(22, 2, ctypes.byref(fprog), 0, 0) == 0
	END
	dmesg | grep 'type=1326'
}

@test "husk-jailer: a Linux guest with a disk, a TAP device and limits, and nothing is left" {
	base=$BATS_TEST_TMPDIR/jails
	mkdir -p "$base/husk/vm-1/root"
	root=$base/husk/vm-1/root
	make_disk "$BATS_TEST_TMPDIR/disk" 16M
	cp "$SHARED/vmlinux" "$SHARED/rootfs.img" "$root"
	cp "$BATS_TEST_TMPDIR/disk" "$root/disk"
	chown 4321:4321 "$root/disk"
	ip tuntap add dev tap9 mode tap user 4321
	cat >"$root/vm.json" <<-END
		{
			"boot-source": {"kernel_image_path": "vmlinux", "boot_args": "console=ttyS0 reboot=k panic=-1 root=/dev/vda ro init=/sbin/poweroff -- -f"},
			"drives": [
				{"drive_id": "root", "path_on_host": "rootfs.img", "is_root_device": true, "is_read_only": true},
				{"drive_id": "data", "path_on_host": "disk", "is_root_device": false, "is_read_only": false}
			],
			"machine-config": {"vcpu_count": 1, "mem_size_mib": 128},
			"network-interfaces": [{"iface_id": "eth0", "host_dev_name": "tap9"}]
		}
	END
	status=0
	timeout -k 5 120 "$SHARED/husk-jailer" --id vm-1 --exec-file "$SHARED/husk" --uid 4321 --gid 4321 \
		--chroot-base-dir "$base" --cgroup-version 2 --cgroup pids.max=20 --cgroup memory.max=300M \
		--resource-limit no-file=64 -- --config-file vm.json --no-api \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null || status=$?
	cat "$BATS_TEST_TMPDIR/err"
	grep -a 'reboot: System halted' "$BATS_TEST_TMPDIR/out"
	[ "$status" -eq 0 ]
	[ -e "$base/husk" ] && [ ! -e "$base/husk/vm-1" ]
	[ -z "$(find /sys/fs/cgroup -name 'vm-1')" ]
}
