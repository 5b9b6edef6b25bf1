# SPDX-License-Identifier: Apache-2.0
# For tests that break the host under a VM. The guest (tests/guest/faults.c) does what it is told, a
# line at a time. tests/guest/common.bash has the rest, and changes to the test's folder.

FAULTS=$BATS_TEST_DIRNAME
. "$FAULTS/../guest/common.bash"
export HUSK GUESTS
# Names that no other run of these tests has.
TAP=hf${BATS_RUN_TMPDIR##*-}
TAP=${TAP:0:15}
CGROUP=husk-faults-${BATS_RUN_TMPDIR##*-}

needs_root() {
	[ "$(id -u)" = 0 ] || skip "needs root, for $1"
}

# Waits up to half a minute for a command to succeed.
wait_for() {
	for _ in $(seq 600); do
		"$@" >/dev/null 2>&1 && return
		sleep 0.05
	done
	echo "waited in vain for: $*" >&2
	cat -v out err >&2 2>/dev/null || :
	return 1
}

has_lines() {
	[ "$(wc -l <out)" -ge "$1" ]
}

# Starts husk, as words before it say, on vm.json and with $options; waits for its guest to listen.
start_guest() {
	[ -p in ] || mkfifo in
	"$@" "$HUSK" --config-file vm.json --no-api ${options-} <in >out 2>err 3>&- &
	husk=$!
	exec 8>in
	answers=1
	wait_for has_lines 1
	[ "$(cat out)" = ready ]
	vm=$(cat "/proc/$husk/task/$husk/children")
	vm=${vm% }
}

# Has the guest do something: ask "COMMAND" ANSWER
ask() {
	local answer
	echo "$1" >&8
	answers=$((answers + 1))
	wait_for has_lines $answers
	answer=$(sed -n "${answers}p" out)
	[ "$answer" = "$2" ] || {
		echo "$1: $answer, not $2" >&2
		return 1
	}
}

# The guest is well, and ends when it is told to; $1 lines were logged, besides those that say why the
# disk failed, which is $2.
end_guest() {
	echo q >&8
	exec 8>&-
	status=0
	wait "$husk" || status=$?
	husk=
	cat -v err
	[ "$status" -eq 0 ]
	[ "$(tail -n 1 out)" = end ]
	if [ -n "${2-}" ]; then
		grep -q "^husk: disk \"data\": $2; the guest sees an I/O error\$" err
		sed -i "/^husk: disk \"data\": $2; /d" err
	fi
	[ "$(wc -l <err)" -eq "${1:-0}" ]
}

# For teardown, whatever came of the test.
clean_up() {
	if [ -n "${husk-}" ]; then
		kill -KILL "$husk" || :
		wait "$husk" || :
	fi
	exec 8>&-
	cd "$BATS_TEST_TMPDIR"
	# The VM may outlive its supervisor by a moment.
	! mountpoint -q fs || wait_for umount fs
	[ ! -e "/sys/class/net/$TAP" ] || ip link del "$TAP"
	[ ! -d "${cgroup-}" ] || rmdir_cgroup
	[ -z "${shared-}" ] || rm -rf "$shared"
}

# A file system of its own at "fs", on a disk of $1: with all of its blocks there, so that no write
# to it makes the host use more memory.
make_fs() {
	head -c "$1" /dev/zero >fs.img
	mke2fs -q -t ext4 fs.img
	mkdir fs
	mount_fs
}

mount_fs() {
	mount fs.img fs -o loop 2>mount.err || skip "no loop devices, or no ext4, on this host"
}

# Down at once, as if its device were gone.
break_fs() {
	python3 -c 'import fcntl, os, struct; fcntl.ioctl(os.open("fs", os.O_RDONLY), 0x8004587d, struct.pack("I", 2))'
}

# A TAP for the guest.
add_tap() {
	ip tuntap add dev "$TAP" mode tap
	ip link set "$TAP" up
}

# Makes it the network of vm.json.
add_network() {
	sed -i '$d' vm.json
	echo ', "network-interfaces": [{"iface_id": "net", "host_dev_name": "'"$TAP"'"}]}' >>vm.json
}

# Frames that came out of it so far.
frames() {
	cat "/sys/class/net/$TAP/statistics/rx_packets"
}

# Makes a cgroup that may use $1 bytes of memory.
make_cgroup() {
	if [ -e /sys/fs/cgroup/cgroup.controllers ]; then
		cgroup=/sys/fs/cgroup/$CGROUP
		mkdir "$cgroup"
		echo "$1" >"$cgroup/memory.max"
	else
		cgroup=/sys/fs/cgroup/memory/$CGROUP
		mkdir "$cgroup"
		echo "$1" >"$cgroup/memory.limit_in_bytes"
	fi
}

# The kernel had to take memory back to stay below the cgroup's limit.
was_reached() {
	if [ -e "$cgroup/memory.events" ]; then
		grep -q '^max [1-9]' "$cgroup/memory.events"
	else
		[ "$(cat "$cgroup/memory.failcnt")" -gt 0 ]
	fi
}

# A cgroup can be removed when all that was in it has really gone.
rmdir_cgroup() {
	wait_for rmdir "$cgroup"
}

# Runs a command in the cgroup.
in_cgroup() {
	sh -c 'echo $$ >"$0/cgroup.procs" && exec "$@"' "$cgroup" "$@"
}

# passt that says which process it is, in "$shared/pid": it goes into the background by itself, as
# another user. "$shared" goes on the PATH.
passt_with_pid() {
	command -v passt >/dev/null || skip "needs passt"
	shared=$(mktemp -d "${TMPDIR:-/tmp}/husk faults.XXXXXX")
	chmod 777 "$shared"
	printf '#!/bin/sh\nexec "%s" --pid "%s" "$@"\n' "$(command -v passt)" "$shared/pid" >"$shared/passt"
	chmod +x "$shared/passt"
}
