#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The abuse kit (kit.h) against husk: what comes of each class, and that husk says little about it.

bats_require_minimum_version 1.5.0

setup() {
	cd "$BATS_TEST_DIRNAME/../.." || exit 1
	# For slow machines; every wait of the kit has its own bound.
	export LIMIT=600
	# A KVM host under QEMU's TCG: an exit takes long there.
	! grep -q 'QEMU TCG' /proc/cpuinfo || export PORT_STEP=101
	unshare -mn true 2>/dev/null || unshare -rmn true 2>/dev/null || skip "no namespaces here"
	[ -w /dev/net/tun ] || skip "no /dev/net/tun here"
}

# What came of each class, and how often, is what "expected" says, but for $1 (of sed). How often a race
# is seen differs.
outcomes_are_expected() {
	cat "$BATS_TEST_TMPDIR/out" "$BATS_TEST_TMPDIR/err" # for the log of a failed test
	sed "${1-}" "$BATS_TEST_DIRNAME/expected" >"$BATS_TEST_TMPDIR/expected"
	sed -n 's/^class \([0-9]*\) [^:]*: /\1 /p' "$BATS_TEST_TMPDIR/out" | sed 's/^\(22 [^(]*\) (.*/\1/' |
		diff "$BATS_TEST_TMPDIR/expected" -
	# Each device tells up to five breaches in a second.
	[ "$(wc -l <"$BATS_TEST_TMPDIR/err")" -le $((10 * (SECONDS + 1))) ]
}

@test "all classes in one VM" {
	SECONDS=0
	tests/abuse/run husk >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	outcomes_are_expected 's/^22 .*/22 skipped: there is no second vCPU/'
}

@test "each class in a VM of its own, with two vCPUs" {
	SECONDS=0
	tests/abuse/run --cpus 2 husk $(seq 38) >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	outcomes_are_expected
}
