#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# However husk is ended, nothing of it stays.

load common

# Processes of husk and passt, sockets and network devices there are.
census() {
	pgrep -c -x husk
	pgrep -c passt
	find /tmp /run -type s 2>/dev/null | grep -c -e husk -e passt
	ls /sys/class/net
	ls /dev/shm
}

setup() {
	before=$(census || :)
	mkdir -p "$BATS_TEST_TMPDIR"
}

teardown() {
	for _ in $(seq 50); do
		[ "$(census || :)" = "$before" ] && return
		sleep 0.1
	done
	diff <(echo "$before") <(census || :)
}

# Starts a guest with a network and a disk, ends husk by $1, wants status $2.
end_by() {
	truncate -s 1M "$BATS_TEST_TMPDIR/disk"
	start_husk -n passt -d "$BATS_TEST_TMPDIR/disk" -- sh -c 'echo up; sleep 100'
	kill "-$1" "$pid"
	run wait "$pid"
	wait "$pid" || status=$?
	[ "$status" = "$2" ]
}

@test "SIGTERM" {
	end_by TERM 143
}

@test "SIGINT" {
	end_by INT 130
}

@test "SIGHUP" {
	end_by HUP 129
}

@test "SIGKILL" {
	end_by KILL 137
}

@test "SIGTERM while nobody reads the output" {
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	sleep 100 <"$BATS_TEST_TMPDIR/fifo" 3>&- &
	reader=$!
	"$HUSK" run -t 100s -- sh -c 'yes' >"$BATS_TEST_TMPDIR/fifo" </dev/null 3>&- &
	pid=$!
	sleep 8
	kill "$pid"
	status=0
	wait "$pid" || status=$?
	kill "$reader"
	wait "$reader" || :
	[ "$status" = 143 ]
}

@test "the end of the command, with a network" {
	husk -n passt -- true
}

@test "a TAP that was there stays, and is free again" {
	[ "$(id -u)" = 0 ] || skip "needs root, for a TAP"
	ip tuntap add dev husk-tap mode tap
	husk -n tap=husk-tap -- true
	start_husk -n tap=husk-tap -- sh -c 'echo up; sleep 100'
	run -125 husk -n tap=husk-tap -- true
	kill -KILL "$pid"
	wait "$pid" || :
	husk -n tap=husk-tap -- true
	ip tuntap del dev husk-tap mode tap
}
