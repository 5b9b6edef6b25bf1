#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What is under a disk fails: the guest has an I/O error for what cannot be done, and all else goes on.
# Blocks are of 4 KiB, numbers hexadecimal; status 0 is well, 1 is an I/O error.

load common

teardown() {
	clean_up
}

# One disk of $2 at $1, and a guest.
disk_guest() {
	truncate -s "$2" "$1"
	config faults '' 32 1 "$(drive data "$1")"
}

# Byte $3 is all there is in block $2 of file $1.
block_is() {
	[ "$(dd if="$1" bs=4096 skip=$((0x$2)) count=1 status=none | tr -d "$3" | wc -c)" -eq 0 ]
	[ "$(dd if="$1" bs=4096 skip=$((0x$2)) count=1 status=none | wc -c)" -eq 4096 ]
}

@test "the host's file system is full, and has room again" {
	needs_root 'a mount'
	mkdir fs
	mount -t tmpfs -o size=1M tmpfs fs
	disk_guest fs/disk 4M
	start_guest
	ask 'w 0 41' 0
	ask f 0
	ask 'h 4' 1
	ask 'w 300 42' 1
	ask 'z 300' 1
	ask f 0
	ask 'r 0' '0 104'
	ask 'r 300' '0 0'
	# The guest itself can make room.
	ask 'd 1' 0
	ask 'w 300 42' 0
	mount -o remount,size=8M fs
	ask 'h 3' 0
	ask 'w 3ff 43' 0
	ask f 0
	end_guest 0 "No space left on device"
	block_is fs/disk 300 B
	block_is fs/disk 3ff C
}

@test "a limit on the size of files (SIGXFSZ)" {
	# In the sandbox, husk is PID 1 of its namespace, which is spared such signals in any case.
	for options in '' --no-sandbox; do
		rm -f disk
		disk_guest disk 4M
		start_guest prlimit --fsize=$((0x100800))
		ask 'w ff 41' 0
		ask 'w 101 41' 1
		# A part of it is below the limit.
		ask 'w 100 41' 1
		ask 'w 300 41' 1
		ask 'r 300' '0 0'
		ask f 0
		ask 'r ff' '0 65'
		end_guest "${options:+1}" "File too large"
		block_is disk ff A
	done
}

@test "the file is truncated, written to, made empty, and extended again" {
	disk_guest disk 4M
	start_guest
	ask 'w 1 41' 0
	ask 'w 5 42' 0
	truncate -s 10000 disk
	ask 'r 1' '0 65'
	ask 'r 2' 1
	ask 'r 5' 1
	# It grows under a write.
	ask 'w 7 43' 0
	ask 'r 5' '0 0'
	ask 'r 8' 1
	truncate -s 0 disk
	ask 'r 0' 1
	ask 'd 1' 0
	ask f 0
	truncate -s 4M disk
	ask 'r 1' '0 0'
	ask 'w 3ff 44' 0
	ask f 0
	end_guest 0 "I\/O error"
	block_is disk 3ff D
	[ "$(stat -c %s disk)" -eq $((4 << 20)) ]
}

@test "the file is replaced, and the old one unlinked" {
	disk_guest disk 4M
	start_guest
	ask 'w 1 41' 0
	truncate -s 1M new
	mv new disk
	# What the VM has is its disk still, of which nobody else sees anything.
	ask 'w 2 42' 0
	ask f 0
	ask 'r 1' '0 65'
	ask 'r 2' '0 66'
	ask 'r 3ff' '0 0'
	end_guest
	[ "$(tr -d '\0' <disk | wc -c)" -eq 0 ]
}

@test "the device fails (EIO)" {
	needs_root 'a mount'
	make_fs 16M
	disk_guest fs/disk 4M
	start_guest
	ask 'w 1 41' 0
	ask f 0
	break_fs
	ask 'w 2 42' 1
	ask f 1
	# The host's kernel tells of a loss once; husk does not forget it.
	ask f 1
	ask 'z 1' 1
	ask 'd 1' 1
	end_guest 0 "I\/O error"
	wait_for umount fs
	mount_fs
	block_is fs/disk 1 A
}

@test "a memory limit somewhat above what the guest uses, and twice as much data written" {
	needs_root 'a cgroup'
	case $(stat -f -c %T .) in
	tmpfs | overlay*) skip "files are kept in memory here; linux.bats has the same with a disk" ;;
	esac
	disk_guest disk 64M
	make_cgroup $((48 << 20))
	start_guest in_cgroup
	ask 'm 10' 0
	ask 'h 40' 0
	ask f 0
	ask 'r 3fff' '0 104'
	was_reached
	end_guest
	block_is disk 3fff h
}

@test "a memory limit below what the guest uses: one line, 137, and what was flushed is there" {
	needs_root 'a cgroup'
	disk_guest disk 4M
	make_cgroup $((16 << 20))
	start_guest in_cgroup
	ask 'w 1 41' 0
	ask f 0
	echo 'm 18' >&8
	status=0
	wait "$husk" || status=$?
	husk=
	cat err
	[ "$status" -eq 137 ]
	[ "$(cat err)" = "husk: the VM's process was killed by signal 9 (Killed); if nobody did that, the host ran out of memory: see its kernel's log (dmesg)" ]
	block_is disk 1 A
}
