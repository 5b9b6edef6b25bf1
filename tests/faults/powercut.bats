#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The plug is pulled at random moments: what the guest was told is stable is on the disk, whole
# (powercut.py). HUSK_POWER_CUTS is how often.

load common

teardown() {
	! mountpoint -q fs || umount fs
}

@test "SIGKILL, to the VM, its supervisor or both" {
	times=200
	! is_slow || times=20
	"$FAULTS/powercut.py" kill "${HUSK_POWER_CUTS:-$times}"
}

@test "a power cut: what was not on stable storage is lost" {
	needs_root 'a mount'
	make_fs 4M # or skips
	umount fs
	rm -r fs fs.img
	"$FAULTS/powercut.py" cut "${HUSK_POWER_CUTS:-20}"
}
