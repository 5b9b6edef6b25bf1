#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# A guest that does its worst, for a few seconds each way: what it may cost the host. Bounds and
# figures are in tests/bench/abuse.

load common

@test "floods: husk's memory grows by less than 1 MiB, CPU time and log lines are bounded" {
	needs_root 'a TAP'
	"$FAULTS/../bench/abuse" --check --seconds 2
}

@test "floods: a VM on a CPU of its own gets its work done" {
	[ "$(nproc)" -ge 2 ] || skip "needs two CPUs"
	# Not of requests: a flood of flushes slows down everyone on the same host file system.
	"$FAULTS/../bench/abuse" --check --seconds 0.5 neighbour kicks rubbish ports
}
