#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# A guest that does its worst, for a few seconds each way: what it may cost the host. Bounds and
# figures are in tests/bench/abuse.

load common

teardown() {
	exec 9>&-
	clean_up
}

@test "floods: husk's memory grows by less than 1 MiB, CPU time and log lines are bounded" {
	needs_root 'a TAP'
	"$FAULTS/../bench/abuse" --check --seconds 2
}

@test "floods: a VM on a CPU of its own gets its work done" {
	[ "$(nproc)" -ge 2 ] || skip "needs two CPUs"
	"$FAULTS/../bench/abuse" --check --seconds 0.5 neighbour kicks rubbish ports
}

@test "nobody reads the log: a guest that causes lines goes on, and SIGTERM ends it" {
	needs_root 'a TAP'
	add_tap
	truncate -s 4M disk
	config flood mode=beside 32 1 "$(drive data disk)"
	add_network
	mkfifo log
	exec 9<>log
	"$HUSK" --config-file vm.json --no-api </dev/null >out 2>log 3>&- &
	husk=$!
	read -r -t 30 line <&9
	[[ "$line" == *'broke the rules'* ]]
	# No more room; and then lines enough, as there may be five in a second.
	dd if=/dev/zero of=log bs=4096 oflag=nonblock 2>dd.err || grep 'temporarily unavailable' dd.err
	sleep 2
	wait_for is_past $(($(stat -c %s out) + 500)) $(($(frames) + 500))
	kill -TERM "$husk"
	timeout 5 tail -s 0.1 --pid "$husk" -f /dev/null
	status=0
	wait "$husk" || status=$?
	husk=
	[ "$status" -eq 143 ]
}

# Of a terminal, polling says that there is room for a byte, not for a line.
@test "nobody reads the log, on a terminal: the same" {
	needs_root 'a TAP'
	add_tap
	truncate -s 4M disk
	config flood mode=beside 32 1 "$(drive data disk)"
	add_network
	"$FAULTS/terminal.py" "$HUSK" --config-file vm.json --no-api </dev/null >out 3>&- &
	runner=$!
	wait_for test -s pid
	husk=$(cat pid)
	sleep 4
	wait_for is_past $(($(stat -c %s out) + 500)) $(($(frames) + 500))
	kill -TERM "$husk"
	# Not by its supervisor, after five.
	timeout 3 tail -s 0.1 --pid "$husk" -f /dev/null
	husk=
	status=0
	wait "$runner" || status=$?
	[ "$status" -eq 143 ]
}

# Turns and frames.
is_past() {
	[ "$(stat -c %s out)" -ge "$1" ] && [ "$(frames)" -ge "$2" ]
}
