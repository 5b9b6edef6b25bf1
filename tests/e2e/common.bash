# SPDX-License-Identifier: Apache-2.0
# For all end-to-end tests: real Linux guests on a real KVM, through husk alone.

bats_require_minimum_version 1.5.0

cd "$BATS_TEST_DIRNAME/../.." || exit 1
HUSK=$PWD/build/husk

# husk run with a limit, so that a guest that hangs fails its test and no other.
husk() {
	timeout -k 5 270 "$HUSK" run -t 250s "$@"
}

# An empty ext4 disk of size $2.
make_disk() {
	truncate -s "$2" "$1"
	mke2fs -q -t ext4 "$1"
}

# Waits up to a minute for a command to succeed.
wait_for() {
	for _ in $(seq 600); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.1
	done
	echo "waited in vain for: $*" >&2
	return 1
}

# Starts husk in the background, its output in files; waits until the guest says "up".
start_husk() {
	env --default-signal=INT,HUP "$HUSK" run -t 100s "$@" >"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- &
	pid=$!
	wait_for grep -q up "$BATS_TEST_TMPDIR/out" || {
		cat "$BATS_TEST_TMPDIR/err" >&2
		return 1
	}
}
