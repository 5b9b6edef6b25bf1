#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# What husk's own jail leaves to reach, without its system call filters: each layer by itself, from
# the inside (attacks.c) and seen from the host; how its processes end; what is left afterwards.

load husk

setup_file() {
	make --no-print-directory -s -C "$BATS_TEST_DIRNAME/../.." husk build/jail/husk-probe guests
}

teardown() {
	[ -z "${supervisor-}" ] || end_vm 2>/dev/null
	cd /
	leave_shared
}

# Runs every attack at both places: attack COMMAND-PREFIX...
attack() {
	local place number
	truncate -s 4242 secret
	config hello '' 32
	for place in jail loop; do
		HUSK_PROBE="$place attacks" "$@" timeout 60 ./host.py "$PROBE" --config-file \
			vm.json --no-api --no-seccomp >out 2>err </dev/null 7<secret
		cat out err
		lacks '^HOLE' err
		lacks '^reached' out
		[ "$(grep -c '^ok ' err)" -ge 90 ]
		grep -x 'probe: done' err
		grep -x end out
	done
}

@test "attacks on each layer, as root" {
	cp "$JAIL/host.py" .
	attack
}

@test "attacks on each layer, as an ordinary user" {
	enter_shared
	attack "$JAIL/as-user"
}

# Which namespaces process $1 shares with the test.
shared_namespaces() {
	local name
	for name in user mnt pid net ipc uts cgroup; do
		[ "$(readlink "/proc/$1/ns/$name")" != "$(readlink "/proc/self/ns/$name")" ] || echo "$name"
	done
}

@test "namespaces, seen from the host: root shares the user namespace alone, a user none" {
	config end end=never 32
	start_vm "$HUSK" --config-file vm.json --no-api
	[ "$(shared_namespaces "$vm")" = user ]
	[ "$(shared_namespaces "$supervisor")" = "$(printf 'user\npid')" ]
	grep -x 'Uid:	65534	65534	65534	65534' "/proc/$vm/status"
	grep -x 'Uid:	65534	65534	65534	65534' "/proc/$supervisor/status"
	grep -x 'Groups:	' "/proc/$vm/status" || grep -x 'Groups:	 *' "/proc/$vm/status"
	end_vm
	enter_shared
	config end end=never 32
	start_vm "$JAIL/as-user" "$HUSK" --config-file vm.json --no-api
	[ "$(shared_namespaces "$vm")" = '' ]
	[ "$(shared_namespaces "$supervisor")" = pid ]
	# One mount, the root.
	[ "$(cut -d ' ' -f 5 "/proc/$vm/mountinfo")" = / ]
	end_vm
}

@test "inherited descriptors and the environment are gone, limits are tight" {
	echo secret >secret
	config end end=never 32
	exec 5<secret 17<secret 300<secret
	SECRET=swordfish start_vm "$HUSK" --config-file vm.json --no-api
	exec 5<&- 17<&- 300<&-
	for pid in "$vm" "$supervisor"; do
		ls -l "/proc/$pid/fd" | tee -a fds
		[ -z "$(tr -d '\0' <"/proc/$pid/environ")" ]
	done
	lacks secret fds
	# No folder either.
	for fd in /proc/"$vm"/fd/* /proc/"$supervisor"/fd/*; do
		[ ! -d "$fd" ]
	done
	cat "/proc/$vm/limits" | tr -s ' ' >limits
	for limit in 'Max core file size 0 0' 'Max open files 1 1' \
		'Max locked memory 0 0' 'Max msgqueue size 0 0'; do
		grep "^$limit " limits
	done
	[ ! -e "/proc/$vm/root/etc" ]
	[ -z "$(ls -A "/proc/$vm/root")" ]
}

@test "other processes of the same user cannot look into it" {
	enter_shared
	config end end=never 32
	start_vm "$JAIL/as-user" "$HUSK" --config-file vm.json --no-api
	for pid in "$vm" "$supervisor"; do
		for look in 'cat maps' 'cat environ' 'ls fd' 'ls root'; do
			if (cd "/proc/$pid" && setpriv --reuid 1000 --regid 1000 --clear-groups $look); then
				return 1
			fi
		done
	done
}

@test "the VM dies with its supervisor" {
	config end end=never 32
	start_vm "$HUSK" --config-file vm.json --no-api
	kill -KILL "$supervisor"
	gone "$vm"
}

@test "a VM that is killed: one line, and 128 + the signal" {
	config end end=never 32
	start_vm "$HUSK" --config-file vm.json --no-api
	kill -KILL "$vm"
	status=0
	wait "$supervisor" || status=$?
	[ "$status" -eq 137 ]
	[ "$(wc -l <err)" -eq 1 ]
	grep 'killed by signal 9' err
	supervisor=
}

@test "SIGTERM, INT, HUP and QUIT to husk reach the VM: 128 + the signal" {
	config end end=never 32
	for signal in TERM INT HUP QUIT; do
		start_vm env --default-signal="$signal" "$HUSK" --config-file vm.json --no-api
		kill -s "$signal" "$supervisor"
		status=0
		wait "$supervisor" || status=$?
		[ "$status" -eq $((128 + $(kill -l "$signal"))) ]
		[ ! -s err ]
		gone "$vm"
	done
	supervisor=
}

@test "an index past its array ends the VM" {
	config hello '' 32
	status=0
	HUSK_PROBE="loop overrun" "$PROBE" --config-file vm.json --no-api </dev/null >out 2>err || status=$?
	cat err
	[ "$status" -ne 0 ]
	lacks '^probe: read' err
	grep 'killed by signal 4 ' err
}

@test "root that may not trace anybody is jailed all the same" {
	config hello '' 32
	for try in $(seq 20); do
		setpriv --bounding-set -sys_ptrace "$HUSK" --config-file vm.json --no-api </dev/null >out 2>err
		[ ! -s err ]
	done
}

@test "a host without user namespaces: an ordinary user is told so, and --no-sandbox runs" {
	enter_shared
	config hello '' 32
	truncate -s 4096 disk
	# In a user namespace of the test's own, so that the limit is no one else's.
	cat >forbid <<-'END'
		echo 0 >/proc/sys/user/max_user_namespaces
		exec setpriv --bounding-set -sys_admin --inh-caps -all sh -c "$@"
	END
	run_forbidden() {
		status=0
		"$JAIL/as-user" unshare -Ur sh ./forbid "exec \"\$0\" \"\$@\"" "$@" >out 2>err </dev/null || status=$?
		cat out err
	}
	run_forbidden "$HUSK" run -k "$GUESTS/hello" -r disk,ro -- true
	[ "$status" -eq 125 ]
	[ "$(wc -l <err)" -eq 1 ]
	grep 'user\.max_user_namespaces' err
	grep -e '--no-sandbox' err
	run_forbidden "$HUSK" --config-file vm.json --no-api
	[ "$status" -eq 1 ]
	[ ! -s out ]
	run_forbidden "$HUSK" --config-file vm.json --no-api --no-sandbox
	[ "$status" -eq 0 ]
	[ "$(tail -n 1 out)" = end ]
}

@test "a host without seccomp: husk stops" {
	config hello '' 32
	cat >without.py <<-'END'
		# A filter that answers seccomp(2) and prctl(PR_SET_SECCOMP) as a kernel without it: ENOSYS.
		import ctypes, os, struct, sys
		insns = [(0x20, 0, 0, 0), (0x15, 0, 1, 317), (0x06, 0, 0, 0x00050026), (0x06, 0, 0, 0x7FFF0000)]
		code = ctypes.create_string_buffer(b"".join(struct.pack("HBBI", *insn) for insn in insns))
		program = ctypes.create_string_buffer(struct.pack("HxxxxxxQ", len(insns), ctypes.addressof(code)))
		libc = ctypes.CDLL(None)
		assert not libc.prctl(38, 1, 0, 0, 0) and not libc.prctl(22, 2, program)
		os.execv(sys.argv[1], sys.argv[1:])
	END
	status=0
	python3 without.py "$HUSK" --config-file vm.json --no-api >out 2>err </dev/null || status=$?
	cat err
	[ "$status" -eq 1 ]
	[ ! -s out ]
	grep -i seccomp err
}

@test "a thousand VMs killed at any moment leave nothing" {
	number=1000
	! is_slow || number=100
	config end end=never 32
	cp "$HUSK" husk
	python3 "$JAIL/cycles.py" "$number" ./husk --config-file vm.json --no-api
}
