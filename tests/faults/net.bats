#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What is behind a network goes away: the guest's link is down, its frames go nowhere, and all else
# goes on. A guest sends 64 frames at a time.

load common

teardown() {
	clean_up
}

# One disk and one TAP, and a guest.
tap_guest() {
	needs_root 'a TAP'
	truncate -s 4M disk
	add_tap
	config faults '' 32 1 "$(drive data disk)"
	add_network
	start_guest
	ask l 1
	ask s 64
}

# The event loop waits, and does not turn round and round: no more than 50 ms of CPU time in a second.
loop_is_idle() {
	local before after
	before=$(awk '{ print $14 + $15 }' "/proc/$vm/task/$vm/stat")
	sleep 1
	after=$(awk '{ print $14 + $15 }' "/proc/$vm/task/$vm/stat")
	[ $((after - before)) -le 5 ]
}

disk_works() {
	ask 'w 1 41' 0
	ask f 0
	ask 'r 1' '0 65'
}

@test "a TAP is deleted" {
	tap_guest
	ip link del "$TAP"
	wait_for grep 'gone on the host' err
	ask l 0
	ask s 64
	disk_works
	loop_is_idle
	end_guest 1
	[ "$(cat err)" = "husk: network \"net\" is gone on the host's side; the guest's link is down" ]
}

@test "a TAP is set down, and up again" {
	tap_guest
	ip link set "$TAP" down
	before=$(frames)
	ask s 64
	ask l 1
	[ "$(frames)" -eq "$before" ]
	disk_works
	loop_is_idle
	ip link set "$TAP" up
	ask s 64
	[ "$(frames)" -eq $((before + 64)) ]
	ask l 1
	end_guest
}

# A guest to whom nobody can type: husk run has COM1 for the kernel's log alone. It ends by itself
# when its link is down, without a verdict.
watching_guest() {
	truncate -s 4M disk
	watching=("$HUSK" run --verbose --kernel "$GUESTS/faults" --rootfs disk --append watch --memory 32M
		--timeout 50s)
}

goes_on() {
	cat -v err
	[ "$status" -eq 125 ]
	grep -q 'link down' err
	grep -q 'ok frames are still taken' err
	grep -q 'ok the disk still works' err
	[ -z "$(grep FAIL err)" ]
	[ "$(grep -c 'gone on the host' err)" -eq 1 ]
}

@test "the peer of a socket (net fd=) closes it, shuts it down, or talks nonsense" {
	for how in close shutdown reset nonsense; do
		watching_guest
		status=0
		"$FAULTS/peer.py" $how "${watching[@]}" >out 2>err </dev/null || status=$?
		goes_on
	done
}

@test "passt is killed" {
	passt_with_pid
	watching_guest
	PATH=$shared:$PATH "${watching[@]}" --net passt -- true >out 2>err </dev/null 3>&- &
	husk=$!
	wait_for grep -q up err
	wait_for test -s "$shared/pid"
	kill -KILL "$(cat "$shared/pid")"
	status=0
	wait "$husk" || status=$?
	husk=
	goes_on
}
