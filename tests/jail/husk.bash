# SPDX-License-Identifier: Apache-2.0
# For tests of husk's own jail, with freestanding guests; tests/guest/common.bash has the rest, and
# changes to the test's folder.

JAIL=$BATS_TEST_DIRNAME
. "$JAIL/../guest/common.bash"
PROBE=${HUSK%/*}/jail/husk-probe
FILTERS=${HUSK%/*}/jail/filters
export PROBE GUESTS

# For an ordinary user (as-user), a folder with copies of what it runs: bats' own is root's alone.
enter_shared() {
	shared=$(mktemp -d "${TMPDIR:-/tmp}/husk jail.XXXXXX")
	chmod 777 "$shared"
	cp "$HUSK" "$PROBE" "$GUESTS/hello" "$GUESTS/end" "$JAIL/host.py" "$shared"
	cd "$shared"
	HUSK=$shared/husk PROBE=$shared/husk-probe GUESTS=$shared
}

leave_shared() {
	[ -z "${shared-}" ] || rm -rf "$shared"
}

# Succeeds unless a line matches: bats does not notice a failed "! grep". lacks PATTERN FILE
lacks() {
	if grep "$1" "$2"; then
		return 1
	fi
}

# Starts what is given, husk with a guest that never ends, in the background, and waits until the
# guest runs: $supervisor and $vm are its processes.
start_vm() {
	"$@" >out 2>err </dev/null 3>&- &
	supervisor=$!
	for _ in $(seq 400); do
		grep -qs started out err && break
		sleep 0.02
	done
	grep started out err
	vm=$(pgrep -P "$supervisor")
	[ -n "$vm" ]
}

end_vm() {
	kill -KILL "$supervisor" || :
	wait "$supervisor" || :
}

# Succeeds when process $1 is gone, which the kernel may take a moment for.
gone() {
	for _ in $(seq 50); do
		[ -e "/proc/$1" ] && [ "$(ps -o stat= -p "$1")" != Z ] || return 0
		sleep 0.02
	done
	return 1
}
