# SPDX-License-Identifier: Apache-2.0
# For all tests of husk-jailer. They need root; the program in the jail is inspect.c, not husk.

bats_require_minimum_version 1.5.0

cd "$BATS_TEST_DIRNAME/../.." || exit 1
JAILER=${HUSK_JAILER:-$PWD/build/husk-jailer}
# Cgroups are the host's: names that no other run of these tests has.
NAME=husk-probe-${BATS_RUN_TMPDIR##*-}
GROUP=husk-test-${BATS_RUN_TMPDIR##*-}
PROGRAM=$BATS_FILE_TMPDIR/$NAME
VM_UID=12345
VM_GID=23456
[ -e /sys/fs/cgroup/cgroup.controllers ] && CGROUP_V=2 || CGROUP_V=1

build_programs() {
	gcc -D_GNU_SOURCE -O1 -static -o "$PROGRAM" tests/jail/inspect.c -lcap
	gcc -D_GNU_SOURCE -O1 -static -o "$BATS_FILE_TMPDIR/swapper" tests/jail/swapper.c
}

# A place of its own for each test, with a space in its path.
make_base() {
	BASE="$BATS_TEST_TMPDIR/the jails"
	JAIL="$BASE/$NAME/vm-1"
	mkdir -m 755 "$BASE"
	launcher= vm= janitor= others=
}

# husk-jailer with what it needs, and a limit.
jail() {
	timeout -k 5 30 "$JAILER" --id vm-1 --exec-file "$PROGRAM" --uid $VM_UID --gid $VM_GID \
		--chroot-base-dir "$BASE" "$@" </dev/null
}

# Expects husk-jailer to refuse: status 1, one line that has $1, and nothing left behind.
refuses() {
	local text=$1
	shift
	run --separate-stderr "$@"
	echo "status $status: $stderr"
	[ "$status" -eq 1 ]
	[ "${#stderr_lines[@]}" -eq 1 ]
	[[ $stderr == "husk: "*"$text"* ]]
	[ -z "$output" ]
}

# Waits for a command to succeed, for up to 2 seconds, or as many as WAIT says; longer on the rig,
# whose one CPU is emulated.
wait_for() {
	local end=$((SECONDS + ${WAIT:-$(($(nproc) > 1 ? 2 : 10))}))
	while [ $SECONDS -le $end ]; do
		"$@" >/dev/null 2>&1 && return
		sleep 0.02
	done
	echo "waited in vain for: $*" >&2
	return 1
}

# For "!", which bats does not see.
no() {
	if "$@"; then
		echo "this was not to be: $*" >&2
		return 1
	fi
}

# Starts a VM that stays, and says who is who: launcher, janitor, vm.
start_jail() {
	env --default-signal=INT,QUIT,HUP,TERM "$JAILER" --id vm-1 --exec-file "$PROGRAM" --uid $VM_UID \
		--gid $VM_GID --chroot-base-dir "$BASE" "$@" \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- &
	launcher=$!
	WAIT=10 wait_for test -s "$JAIL/root/$NAME.pid" || {
		cat "$BATS_TEST_TMPDIR/err" >&2
		return 1
	}
	vm=$(cat "$JAIL/root/$NAME.pid")
	janitor=$(awk '/^PPid:/ { print $2 }' "/proc/$vm/status")
}

# ... and, where its output can be seen, has begun.
start_jail_up() {
	start_jail "$@"
	WAIT=10 wait_for grep -q '^up$' "$BATS_TEST_TMPDIR/out"
}

# The launcher's status, in $status.
wait_launcher() {
	wait_for is_dead "$launcher"
	status=0
	wait "$launcher" || status=$?
}

is_dead() {
	[ ! -e "/proc/$1" ] || grep -q '^State:.*Z' "/proc/$1/status"
}

all_gone() {
	[ ! -e "$BASE/$NAME" ] && is_dead "${vm:?}" && is_dead "${janitor:?}"
}

# A cgroup's folder as the tests see it: "cgroup_dir pids NAME".
cgroup_dir() {
	if [ $CGROUP_V -eq 2 ]; then
		echo "/sys/fs/cgroup/$2"
	else
		echo "/sys/fs/cgroup/$1/$2"
	fi
}

# No cgroup of these tests is left.
no_cgroups() {
	[ -z "$(find /sys/fs/cgroup -maxdepth 4 -type d \( -name "$NAME" -o -name "$GROUP" \))" ]
}

# Nothing outlives a test, whatever its outcome.
end_test() {
	local pid file pids=($launcher $janitor $vm $others)
	for file in "$BASE"/*/*/root/*.pid; do
		[ ! -f "$file" ] || pids+=("$(cat "$file")") # it has no line end
	done
	for pid in "${pids[@]}"; do
		[ ! -e "/proc/$pid" ] || kill -9 "$pid" 2>/dev/null || true
	done
	[ -z "$launcher" ] || wait "$launcher" 2>/dev/null || true
	! mountpoint -q "$BATS_TEST_TMPDIR/net" || umount "$BATS_TEST_TMPDIR/net"
	find /sys/fs/cgroup -maxdepth 4 -depth -type d \( -path "*/$NAME*" -o -path "*/$GROUP*" \) -exec rmdir {} + 2>/dev/null || true
}

# All there is to know of a folder's entries, to see whether anyone touched them.
snapshot() {
	find "$1" -printf '%p %y %m %U %G %s %i %n %C@ %l\n' | sort
	find "$1" -type f -exec sha256sum {} +
}
