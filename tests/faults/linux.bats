#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Linux guests on a host that fails: the guest sees an I/O error, or a link that is down, and husk run
# ends as its command does.

load common

setup() {
	needs_root 'mounts, cgroups and a TAP'
	disk=fs/disk
}

teardown() {
	[ ! -d fs ] || fsfreeze -u fs 2>/dev/null || : # or nothing below could end
	clean_up
}

# Starts husk run with the options given, as $before says. The guest does $1, waits, and does $2.
start_linux() {
	local first=$1 second=$2
	shift 2
	mkfifo in
	"${before[@]}" "$HUSK" run -t 250s "$@" -- sh -c "$first; echo up; read go; $second" <in >out 2>err 3>&- &
	husk=$!
	exec 8>in
	wait_for grep -q '^up$' out
}

# Lets the guest go on; husk is to end with status $1.
ends_with() {
	echo go >&8
	exec 8>&-
	status=0
	wait "$husk" || status=$?
	husk=
	cat out err
	[ "$status" -eq "$1" ]
}

# An ext4 disk of $1 on the file system at "fs", and what a guest puts there before the host breaks.
linux_disk() {
	truncate -s "$1" $disk
	mke2fs -q -t ext4 $disk
}
KEEP='mount /dev/vdb /mnt && echo kept >/mnt/kept && sync'

is_kept() {
	e2fsck -fy $disk || [ $? -eq 1 ]
	[ "$(debugfs -R 'cat /kept' $disk 2>/dev/null)" = kept ]
}

@test "Linux on a disk whose file system is full" {
	mkdir fs
	mount -t tmpfs -o size=16M tmpfs fs
	linux_disk 64M
	start_linux "$KEEP" 'dd if=/dev/urandom of=/mnt/big bs=64k count=400 conv=fsync || echo no room
		cat /mnt/kept; exit 7' -d $disk
	ends_with 7
	grep -x 'no room' out
	grep -x kept out
	is_kept
}

@test "Linux on a disk whose device fails" {
	make_fs 40M
	linux_disk 32M
	start_linux "$KEEP" 'dd if=/dev/urandom of=/mnt/new bs=64k count=1 conv=fsync || echo not written
		sync; sleep 1; touch /mnt/other || echo read-only; cat /mnt/kept; exit 3' -d $disk
	break_fs
	ends_with 3
	grep -x 'not written' out
	grep -x read-only out
	grep -x kept out
	wait_for umount fs
	mount_fs
	is_kept
}

# A TAP as the guest's network, with $1 for the guest to do once "up".
linux_tap() {
	ip tuntap add dev "$TAP" mode tap
	ip addr add 172.31.9.1/24 dev "$TAP"
	ip link set "$TAP" up
	start_linux 'ping -c 1 -W 5 172.31.9.1' "$1" -n "tap=$TAP,ip=172.31.9.2/24,gw=172.31.9.1"
}
# A guest's view of its link, within 10 s.
UNTIL_DOWN='for i in $(seq 100); do [ "$(cat /sys/class/net/eth0/carrier)" = 0 ] && echo down && break; sleep 0.1; done'

@test "Linux on a TAP that is deleted" {
	linux_tap "$UNTIL_DOWN; ping -c 1 -W 1 172.31.9.1; exit 5"
	ip link del "$TAP"
	ends_with 5
	grep -x down out
	grep 'gone on the host' err
}

@test "Linux on a TAP that is set down, and up again" {
	linux_tap 'ping -c 1 -W 2 172.31.9.1 || echo silent; echo tell; read go; ping -c 3 -W 5 172.31.9.1; exit $?'
	ip link set "$TAP" down
	echo go >&8
	wait_for grep -x tell out
	grep -x silent out
	ip link set "$TAP" up
	ends_with 0
	[ ! -s err ]
}

@test "Linux on passt, which is killed" {
	passt_with_pid
	PATH=$shared:$PATH start_linux : "$UNTIL_DOWN; exit 6" -n passt
	kill -KILL "$(cat "$shared/pid")"
	ends_with 6
	grep -x down out
	grep 'gone on the host' err
}

@test "Linux below a memory limit, and much written" {
	make_fs 80M
	linux_disk 64M
	make_cgroup $((96 << 20))
	before=(in_cgroup)
	start_linux "$KEEP" 'dd if=/dev/zero of=/mnt/big bs=1M count=48 conv=fsync && cat /mnt/kept; exit 4' \
		-m 64M -d $disk
	ends_with 4
	grep -x kept out
	is_kept
}

@test "Linux above a memory limit: one line, 137, and what was synced is there" {
	make_fs 20M
	linux_disk 16M
	make_cgroup $((80 << 20))
	before=(in_cgroup)
	start_linux "$KEEP" 'mount -o remount,size=200M /dev/shm; head -c $((150 << 20)) /dev/zero >/dev/shm/x; exit 4' \
		-m 256M -d $disk
	ends_with 137
	[ "$(cat err)" = "husk: the VM's process was killed by signal 9 (Killed); if nobody did that, the host ran out of memory: see its kernel's log (dmesg)" ]
	is_kept
}

@test "a disk that does not answer holds up neither the status nor who is told to end" {
	make_fs 40M
	linux_disk 32M
	start_linux : 'dd if=/dev/urandom of=/dev/vdb bs=4k count=1 oflag=direct & sleep 2; exit 6' -d $disk
	fsfreeze -f fs
	start=$(date +%s)
	ends_with 6
	[ $(($(date +%s) - start)) -lt 60 ]
	grep 'does not answer' err
	fsfreeze -u fs
}
