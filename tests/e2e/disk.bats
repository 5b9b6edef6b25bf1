#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Disks: what the guest writes is there, and nothing else is.

load common

setup() {
	disk=$BATS_TEST_TMPDIR/disk.img
}

@test "64 MiB written and read back, and checked again from the host; fsck is clean" {
	make_disk "$disk" 128M
	run -0 husk -m 256M -d "$disk" -- sh -ec '
		mount /dev/vdb /mnt
		head -c 67108864 /dev/urandom >/mnt/file
		sha256sum </mnt/file
		umount /mnt
		echo 3 >/proc/sys/vm/drop_caches
		mount /dev/vdb /mnt
		sha256sum </mnt/file'
	[ "${lines[0]}" = "${lines[1]}" ]
	debugfs -R "dump /file $BATS_TEST_TMPDIR/file" "$disk"
	[ "$(sha256sum <"$BATS_TEST_TMPDIR/file")" = "${lines[0]}" ]
	e2fsck -fn "$disk"
}

@test "what init syncs at the end is enough: no umount by the command" {
	make_disk "$disk" 16M
	husk -d "$disk" -- sh -c 'mount /dev/vdb /mnt; echo kept >/mnt/file'
	[ "$(debugfs -R 'cat /file' "$disk" 2>/dev/null)" = kept ]
	e2fsck -fn "$disk"
}

@test "a root file system of one's own is written to; with ,ro it is not" {
	cp build/rootfs.img "$disk"
	husk -r "$disk" -- sh -c 'echo mine >/root/file'
	run -0 husk -r "$disk" -- cat /root/file
	[ "$output" = mine ]
	before=$(sha256sum <"$disk")
	run -0 husk -r "$disk,ro" -- sh -c 'echo other >/root/file; cat /root/file'
	[ "$output" = other ]
	[ "$(sha256sum <"$disk")" = "$before" ]
}

@test "writes to a read-only disk are refused" {
	truncate -s 4M "$disk"
	before=$(sha256sum <"$disk")
	# A flush has nothing to do, and is fine.
	husk -d "$disk,ro" -- sync /dev/vdb
	run husk -d "$disk,ro" -- sh -c 'cat /sys/block/vdb/ro; dd if=/dev/urandom of=/dev/vdb bs=4k count=4 conv=fsync'
	[ "$status" -ne 0 ]
	[ "${lines[0]}" = 1 ]
	[ "$(sha256sum <"$disk")" = "$before" ]
}

@test "a request and its interrupt cost no exit to husk" {
	truncate -s 4M "$disk"
	for count in 10 510; do
		husk --metrics "$BATS_TEST_TMPDIR/$count" -d "$disk" -- \
			dd if=/dev/vdb of=/dev/null bs=4k iflag=direct count="$count" 2>/dev/null
	done
	python3 - "$BATS_TEST_TMPDIR"/{10,510} <<-'END'
		import json, sys
		few, many = [json.load(open(path))["exits"] for path in sys.argv[1:]]
		assert many["user"]["mmio"] - few["user"]["mmio"] < 50, (few, many)
		assert many["all"] - few["all"] > 500, (few, many)
	END
}

@test "discard gives blocks back on the host" {
	make_disk "$disk" 64M
	husk -d "$disk" -- sh -ec 'mount /dev/vdb /mnt; head -c 33554432 /dev/urandom >/mnt/file'
	full=$(du -k "$disk" | cut -f 1)
	[ "$full" -gt 32768 ]
	husk -d "$disk" -- sh -ec 'mount /dev/vdb /mnt; rm /mnt/file; sync; fstrim /mnt'
	[ "$(du -k "$disk" | cut -f 1)" -lt $((full - 30000)) ]
	e2fsck -fn "$disk"
}

@test "a file system made in the guest, with discard and write zeroes" {
	truncate -s 64M "$disk"
	head -c 33554432 /dev/urandom | dd of="$disk" conv=notrunc status=none
	husk -d "$disk" -- sh -ec 'blkdiscard /dev/vdb; dd if=/dev/vdb bs=1M count=32 2>/dev/null | tr -d "\0" | wc -c'
	[ "$(du -k "$disk" | cut -f 1)" -lt 1000 ]
}

# In memory, where a disk has no ring: nobody can trace what a ring does (tests/faults/powercut.bats has that).
@test "a flush of the guest is an fdatasync of the host" {
	memory=$(mktemp /dev/shm/husk-XXXXXX)
	truncate -s 4M "$memory"
	run -0 timeout 100 strace -f -y -e trace=fdatasync -o "$BATS_TEST_TMPDIR/trace" \
		"$HUSK" run -d "$memory" -- sh -c 'for i in 1 2 3 4 5; do dd if=/dev/zero of=/dev/vdb bs=4k count=1 conv=fsync 2>/dev/null; done'
	rm "$memory"
	[ "$(grep -c "fdatasync(.*$memory" "$BATS_TEST_TMPDIR/trace")" -ge 5 ]
}

@test "several drives, in order, with their names" {
	for i in 1 2 3; do
		truncate -s ${i}M "$BATS_TEST_TMPDIR/$i.img"
	done
	run -0 husk -d "$BATS_TEST_TMPDIR/1.img" -d "$BATS_TEST_TMPDIR/2.img,id=second" -d "$BATS_TEST_TMPDIR/3.img,ro" -- \
		sh -c 'for d in vdb vdc vdd; do cat /sys/block/$d/size /sys/block/$d/serial /sys/block/$d/ro; echo; done'
	[ "${lines[0]}" = 2048 ]
	[[ ${lines[1]} =~ ^drive1 ]]
	[ "${lines[3]:-x}" != "" ]
	[[ $output =~ 4096.*second ]]
	[[ $output =~ 6144 ]]
}

@test "every kind of block size: 512-byte direct reads at odd places" {
	head -c 1048576 /dev/urandom >"$disk"
	run -0 husk -d "$disk,ro" -- sh -c 'dd if=/dev/vdb bs=512 skip=1001 count=13 iflag=direct 2>/dev/null | sha256sum'
	[ "$output" = "$(dd if="$disk" bs=512 skip=1001 count=13 2>/dev/null | sha256sum)" ]
}

@test "the same disk twice, writable: the second VM is refused; read-only twice is fine" {
	truncate -s 4M "$disk"
	start_husk -d "$disk" -- sh -c 'echo up; sleep 60'
	run -125 husk -d "$disk" -- true
	[[ $output =~ "in use" ]]
	run -125 husk -d "$disk,ro" -- true
	kill "$pid"
	wait "$pid" || :
	start_husk -d "$disk,ro" -- sh -c 'echo up; sleep 60'
	run -0 husk -d "$disk,ro" -- true
	kill "$pid"
	wait "$pid" || :
}

@test "a squashfs root file system" {
	mkdir "$BATS_TEST_TMPDIR/tree"
	debugfs -R "rdump / $BATS_TEST_TMPDIR/tree" build/rootfs.img
	rm -rf "$BATS_TEST_TMPDIR/tree/lost+found"
	mksquashfs "$BATS_TEST_TMPDIR/tree" "$BATS_TEST_TMPDIR/root.sqfs" -quiet -no-progress
	truncate -s %512 "$BATS_TEST_TMPDIR/root.sqfs"
	run -0 husk -r "$BATS_TEST_TMPDIR/root.sqfs,ro" -- sh -c 'echo x >/x; cat /x'
	[ "$output" = x ]
}
