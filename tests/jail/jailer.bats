#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# husk-jailer, from outside: flags, what a VM finds inside, who ends when, what is left.

setup_file() {
	load common
	build_programs
}

setup() {
	load common
	[ "$(id -u)" -eq 0 ] || skip "needs root"
	make_base
}

teardown() {
	end_test
}

# What the program in the jail sees

@test "the program gets its arguments, then ours, and no environment" {
	SECRET=1 run -0 jail -- --config-file 'a b' --id
	[[ $output == "argument $NAME
argument --id
argument vm-1
argument --start-time-us
argument "*"
argument --start-time-cpu-us
argument "*"
argument --parent-cpu-time-us
argument "*"
argument --jailed
argument --config-file
argument a b
argument --id
uid "* ]]
	[[ $output != *environment* ]]
	[ "$(grep -cE '^argument [0-9]+$' <<<"$output")" -eq 3 ]
}

@test "no privilege is left" {
	run -0 jail
	grep -qx "uid $VM_UID $VM_UID $VM_UID" <<<"$output"
	grep -qx "gid $VM_GID $VM_GID $VM_GID" <<<"$output"
	grep -qx "groups 0" <<<"$output"
	grep -qx "caps =" <<<"$output"
	grep -qx "bounding 0" <<<"$output"
	grep -qx "ambient 0" <<<"$output"
	grep -qx "no_new_privs 1" <<<"$output"
	grep -qx "dumpable [02]" <<<"$output"
	grep -qx "setuid EPERM" <<<"$output"
}

@test "even a VM with uid 0 has none" {
	run -0 timeout 30 "$JAILER" --id z --exec-file "$PROGRAM" --uid 0 --gid 0 --chroot-base-dir "$BASE"
	grep -qx "caps =" <<<"$output"
	grep -qx "create / EROFS" <<<"$output"
	grep -qx "create /dev EROFS" <<<"$output"
}

@test "descriptors, umask, signals and name are not the caller's" {
	run -0 --separate-stderr env -S --block-signal=USR1 bash -c '
		umask 0; exec 7</etc/passwd 200</
		exec "$@"' - timeout 30 "$JAILER" --id vm-1 --exec-file "$PROGRAM" --uid $VM_UID --gid $VM_GID --chroot-base-dir "$BASE"
	[ "$(grep '^descriptor' <<<"$output")" = "descriptor 0
descriptor 1
descriptor 2" ]
	grep -qx "umask 077" <<<"$output"
	grep -qx "hostname husk" <<<"$output"
	grep -qx "pid 1" <<<"$output"
	grep -qx "pdeathsig 9" <<<"$output"
	[ "$(grep -c '^blocked' <<<"$output")" -eq 1 ] # as it was
}

@test "no process of the jail keeps the caller's descriptors" {
	exec 77<"$PROGRAM"
	start_jail_up -- --sleep
	exec 77<&-
	local pid
	for pid in $launcher $janitor $vm; do
		no readlink "/proc/$pid/fd/77"
	done
}

@test "streams that are closed become /dev/null" {
	timeout 30 "$JAILER" --id vm-1 --exec-file "$PROGRAM" --uid $VM_UID --gid $VM_GID \
		--chroot-base-dir "$BASE" <&- >"$BATS_TEST_TMPDIR/out" 2>&-
	[ "$(grep -c '^descriptor' "$BATS_TEST_TMPDIR/out")" -eq 3 ]
}

@test "the root is read-only, nosuid, nodev and noexec; /run and /dev are there" {
	run -0 jail
	grep -qx "mount / ro nosuid nodev noexec" <<<"$output"
	grep -qx "mount /dev ro nosuid noexec" <<<"$output"
	grep -qx "mount /run rw nosuid nodev noexec" <<<"$output"
	grep -qx "create / EROFS" <<<"$output"
	grep -qx "create /dev EROFS" <<<"$output"
	grep -qx "create /run works" <<<"$output"
	grep -qx "entry /run 40700 $VM_UID $VM_GID" <<<"$output"
	grep -qx "entry /dev/kvm 20600 $VM_UID $VM_GID 10:232 open .*" <<<"$output"
	grep -qx "entry /dev/net/tun 20600 $VM_UID $VM_GID 10:200 open .*" <<<"$output"
	grep -qx "entry /dev/urandom 20444 0 0 1:9 open EACCES" <<<"$output"
	grep -qx "entry /dev/null 20666 0 0 1:3 open works" <<<"$output"
	grep -qx "entry /$NAME 100511 0 0 chmod EROFS open EACCES" <<<"$output"
	grep -qx "entry /$NAME.pid 100444 0 0 chmod EROFS open EACCES" <<<"$output"
	[ "$(grep -c '^entry /[^/]*$' <<<"$output")" -eq 4 ]
}

@test "what belongs to the VM's user may be written, the rest may not" {
	local root=$JAIL/root
	mkdir -p "$root"/{given/below,kept/nested}
	touch "$root"/{disk,kernel,readonly} "$root"/given/below/file "$root"/kept/nested/{disk,other}
	chown $VM_UID "$root"/{disk,readonly} "$root"/kept/nested/disk
	chown -R $VM_UID "$root/given"
	chmod 666 "$root/kernel"
	chmod 400 "$root/readonly"
	mknod "$root/device" c 1 5
	mknod "$root/not-given" c 1 5
	chmod 666 "$root/not-given"
	chown $VM_UID "$root/device"
	run -0 jail
	grep -q "^entry /disk .* chmod works open works" <<<"$output"
	grep -q "^entry /kept/nested/disk .* open works" <<<"$output"
	grep -q "^entry /given/below/file .* open works" <<<"$output"
	grep -q "^entry /device .* open works" <<<"$output"
	grep -qx "mount /given rw nosuid nodev noexec" <<<"$output"
	grep -q "^entry /kernel .* open EROFS" <<<"$output"
	grep -q "^entry /not-given .* open EACCES" <<<"$output"
	grep -q "^entry /readonly .* chmod EROFS open EACCES" <<<"$output"
	grep -qx "create /kept EROFS" <<<"$output"
}

@test "a bind mount of the administrator is there; a read-only one stays that; the end spares it" {
	local root=$JAIL/root
	mkdir -p "$root"/{ro,rw} "$BATS_TEST_TMPDIR"/{ro,rw}
	touch "$BATS_TEST_TMPDIR"/{ro,rw}/file
	chown -R $VM_UID "$BATS_TEST_TMPDIR"/{ro,rw}
	mount --bind "$BATS_TEST_TMPDIR/ro" "$root/ro"
	mount -o remount,bind,ro "$root/ro"
	mount --bind "$BATS_TEST_TMPDIR/rw" "$root/rw"
	run jail
	umount "$JAIL"/*/ro "$JAIL"/*/rw
	[ "$status" -eq 0 ]
	grep -qx "create /ro EROFS" <<<"$output"
	grep -qx "create /rw works" <<<"$output"
	grep -q "cannot remove all" <<<"$output"
	[ -e "$BATS_TEST_TMPDIR/ro/file" ]
	[ -e "$BATS_TEST_TMPDIR/rw/file" ]
}

@test "namespaces: all are the VM's own, but for the network" {
	start_jail_up -- --sleep
	local ns
	for ns in mnt ipc uts cgroup pid; do
		[ "$(readlink /proc/$vm/ns/$ns)" != "$(readlink /proc/self/ns/$ns)" ]
	done
	for ns in net user; do
		[ "$(readlink /proc/$vm/ns/$ns)" = "$(readlink /proc/self/ns/$ns)" ]
	done
	# Nothing of its mounts is to be seen here, or of ours there: root, run, dev.
	no grep -F "$BATS_TEST_TMPDIR" /proc/self/mountinfo
	[ "$(wc -l <"/proc/$vm/mountinfo")" -eq 3 ]
}

@test "no memory of the program is shared with another VM" {
	start_jail_up -- --sleep
	[ "$(stat -c %i "$JAIL/root/$NAME")" != "$(stat -c %i "$PROGRAM")" ]
	cmp "$JAIL/root/$NAME" "$PROGRAM"
}

# Flags

@test "--writable makes a folder that the VM may write" {
	run -0 jail --writable data --writable /a/b
	grep -qx "create /data works" <<<"$output"
	grep -qx "create /a EROFS" <<<"$output"
	grep -qx "create /a/b works" <<<"$output"
	grep -qx "mount /a/b rw nosuid nodev noexec" <<<"$output"
	refuses "not root's" jail --writable run/x
	local bad
	for bad in / "" ../x a/../b a//b dev dev/x; do
		refuses "--writable" jail --writable "$bad"
	done
}

@test "--keep leaves the folder, and the next start uses it" {
	run -0 jail --keep
	[ -e "$JAIL/root/$NAME" ]
	echo mine >"$JAIL/root/kernel"
	python3 -c 'import socket, sys; socket.socket(socket.AF_UNIX).bind(sys.argv[1])' "$JAIL/root/run/api.socket"
	touch "$JAIL/root/run/kept"
	run -0 jail
	grep -q "^entry /kernel" <<<"$output"
	grep -q "^entry /run/kept" <<<"$output"
	no grep -q "^entry /run/api.socket" <<<"$output"
	[ ! -e "$JAIL" ]
}

@test "--resource-limit" {
	run -0 jail --resource-limit no-file=100 --resource-limit fsize=1000 --resource-limit core=5 \
		--resource-limit stack=100000 --resource-limit nproc=50
	grep -qx "limit no-file 100 100" <<<"$output"
	grep -qx "limit fsize 1000 1000" <<<"$output"
	grep -qx "limit core 5 5" <<<"$output"
	grep -qx "limit stack 100000 100000" <<<"$output"
	grep -qx "limit nproc 50 50" <<<"$output"
	run -0 jail
	grep -qx "limit core 0 0" <<<"$output"
	grep -qx "limit no-file 2048 2048" <<<"$output"
	run -0 bash -c 'ulimit -n 1500; exec setpriv --bounding-set -sys_resource "$@"' - "$JAILER" --id vm-1 \
		--exec-file "$PROGRAM" --uid 1 --gid 1 --chroot-base-dir "$BASE"
	grep -qx "limit no-file 1500 1500" <<<"$output"
}

@test "--netns joins that namespace" {
	touch "$BATS_TEST_TMPDIR/net"
	unshare --net="$BATS_TEST_TMPDIR/net" true
	start_jail_up --netns "$BATS_TEST_TMPDIR/net" -- --sleep
	local ns
	ns=$(readlink "/proc/$vm/ns/net")
	[ "$ns" = "net:[$(stat -L -c %i "$BATS_TEST_TMPDIR/net")]" ]
	[ "$ns" != "$(readlink /proc/self/ns/net)" ]
}

@test "--daemonize: status 0 when it runs; no terminal, no streams, a session of its own" {
	jail --daemonize -- --sleep >"$BATS_TEST_TMPDIR/out" 2>&1
	[ ! -s "$BATS_TEST_TMPDIR/out" ]
	vm=$(cat "$JAIL/root/$NAME.pid")
	janitor=$(awk '/^PPid:/ { print $2 }' "/proc/$vm/status")
	[ "$(cat "/proc/$vm/comm")" != husk-jailer ]
	local nr
	for nr in 0 1 2; do
		[[ $(readlink "/proc/$vm/fd/$nr") == */null ]]
		[[ $(readlink "/proc/$janitor/fd/$nr") == */null ]]
	done
	[ "$(ps -o sid= -p "$vm" | tr -d ' ')" = "$vm" ]
	kill -9 "$vm"
	wait_for all_gone
}

@test "--new-pid-ns: status 0 when it runs; the streams stay" {
	start_jail_up --new-pid-ns -- --sleep
	wait_launcher
	[ "$status" -eq 0 ]
	no is_dead "$vm"
	kill -9 "$vm"
	wait_for all_gone
}

@test "--daemonize, --new-pid-ns: a failure before the program runs is status 1, and clean" {
	refuses "no-file=100000000000" jail --daemonize --resource-limit no-file=100000000000
	refuses "no-file=100000000000" jail --new-pid-ns --resource-limit no-file=100000000000
	[ -z "$(ls -A "$BASE")" ]
}

@test "the command lines of Firecracker's clients are taken" {
	touch "$BATS_TEST_TMPDIR/net"
	unshare --net="$BATS_TEST_TMPDIR/net" true
	local group=(--cgroup pids.max=50 --cgroup-version 2)
	[ $CGROUP_V -eq 2 ] || group=(--cgroup cpu.shares=10 --cgroup cpuset.mems=0 --cgroup cpuset.cpus=0-1)
	timeout 30 "$JAILER" --id vm-1 --uid 123 --gid 100 --exec-file "$PROGRAM" "${group[@]}" \
		--chroot-base-dir "$BASE" --netns "$BATS_TEST_TMPDIR/net" --daemonize \
		-- --config-file vm.json --sleep --no-seccomp </dev/null
	vm=$(cat "$JAIL/root/$NAME.pid")
	kill -9 "$vm"
	wait_for test ! -e "$JAIL"
	no_cgroups
}

@test "--version and --help win over all else" {
	run -0 "$JAILER" --version
	[[ $output == "husk-jailer "* ]]
	run -0 "$JAILER" --id bad/id --help
	[[ $output == *--chroot-base-dir* && $output == *--resource-limit* ]]
	run -0 "$JAILER" --help
	[[ $output == Usage:* ]]
}

# Bad input

@test "bad flags: one error, status 1, nothing made" {
	local args=(--exec-file "$PROGRAM" --uid 1 --gid 1 --chroot-base-dir "$BASE") bad
	for bad in .. a/b ../x a.b "" "a b" "$(printf 'a%.0s' $(seq 65))"; do
		refuses "--id" "$JAILER" --id "$bad" "${args[@]}"
	done
	refuses "--exec-file is missing" "$JAILER"
	refuses "--gid is missing" "$JAILER" --exec-file x
	refuses "--id is missing" "$JAILER" "${args[@]}"
	refuses "--id is given twice" jail --id b
	refuses "unknown argument" jail --frobnicate
	refuses "unknown argument" jail --keep=yes
	refuses "value is missing" jail --netns
	refuses "value is missing" jail --netns --daemonize
	for bad in cpu cpu.shares cpu.shares= =1 ../x.y=1 cpu/x.y=1 .x=1 cpu..x=1; do
		refuses "--cgroup" jail --cgroup "$bad"
	done
	refuses "--cgroup-version" jail --cgroup-version 3
	for bad in x=1 no-file no-file=-1 no-file=1x no-file= fsize=99999999999999999999; do
		refuses "--resource-limit" jail --resource-limit "$bad"
	done
	for bad in ../x /x x//y ""; do
		refuses "--parent-cgroup" jail --parent-cgroup "$bad"
	done
	refuses "--uid" "$JAILER" --uid 4294967295 --id a
	refuses "--uid" "$JAILER" --uid root --id a
	[ -z "$(ls -A "$BASE")" ]
}

@test "bad files: one error, status 1, nothing made" {
	refuses "No such file" jail --netns /nowhere
	echo text >"$BATS_TEST_TMPDIR/text"
	mkfifo "$BATS_TEST_TMPDIR/fifo"
	local args=(--id a --uid 1 --gid 1 --chroot-base-dir "$BASE")
	refuses "static" "$JAILER" "${args[@]}" --exec-file "$BATS_TEST_TMPDIR/text"
	refuses "static" "$JAILER" "${args[@]}" --exec-file /usr/bin/env
	refuses "regular" "$JAILER" "${args[@]}" --exec-file "$BATS_TEST_TMPDIR/fifo"
	refuses "regular" "$JAILER" "${args[@]}" --exec-file /tmp
	refuses "No such file" "$JAILER" "${args[@]}" --exec-file /nowhere
	refuses "No such file" "$JAILER" --id a --uid 1 --gid 1 --exec-file "$PROGRAM" --chroot-base-dir /nowhere
	refuses "network namespace" jail --netns /proc/self/ns/uts
	[ -z "$(ls -A "$BASE")" ]
}

@test "only root may run it" {
	cp "$JAILER" "$BATS_TEST_TMPDIR/husk-jailer"
	chmod 755 "$BATS_TEST_TMPDIR/husk-jailer"
	exec 9<"$BATS_TEST_TMPDIR/husk-jailer" # the way there may be closed to others
	refuses "as root" setpriv --reuid 1000 --regid 1000 --clear-groups /proc/self/fd/9 \
		--id a --exec-file x --uid 1 --gid 1
	exec 9<&-
}

# Ends

@test "the status is the program's; 128 + N for a signal" {
	run -0 jail
	run -7 jail -- --exit 7
	run -255 jail -- --exit 255
	start_jail_up -- --sleep
	kill -SEGV "$vm" || true
	kill -9 "$vm"
	wait_launcher
	[ "$status" -eq 137 ]
	all_gone
}

@test "signals to the launcher go to the VM" {
	local nr
	for nr in 15 2 1 3; do
		start_jail_up -- --wait
		kill -$nr "$launcher"
		wait_launcher
		[ "$status" -eq $((40 + nr)) ]
		all_gone
	done
}

@test "signals that are ignored (nohup) stay ignored" {
	local args=(--id vm-1 --exec-file "$PROGRAM" --uid $VM_UID --gid $VM_GID --chroot-base-dir "$BASE")
	env --ignore-signal=HUP "$JAILER" "${args[@]}" -- --wait >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
	launcher=$!
	WAIT=10 wait_for grep -q '^up$' "$BATS_TEST_TMPDIR/out"
	kill -HUP "$launcher"
	kill -TERM "$launcher"
	wait_launcher
	[ "$status" -eq 55 ]
}

@test "Ctrl-C at a terminal ends the VM once, and does not hit the janitor" {
	{ WAIT=10 wait_for grep -q up "$BATS_TEST_TMPDIR/typescript"; printf '\003'; sleep 1; } |
		timeout 20 script -q -e -f -c "exec '$JAILER' --id vm-1 --exec-file '$PROGRAM' --uid $VM_UID \
			--gid $VM_GID --chroot-base-dir '$BASE' -- --wait" \
			"$BATS_TEST_TMPDIR/typescript" >/dev/null || status=$?
	[ "$status" -eq 42 ]
	[ ! -e "$BASE/$NAME" ]
}

@test "kill -9 of the VM: clean within 2 s" {
	start_jail_up -- --spawn
	kill -9 "$vm"
	wait_launcher
	[ "$status" -eq 137 ]
	all_gone
}

@test "kill -9 of the launcher: clean within 2 s" {
	start_jail_up -- --spawn
	kill -9 "$launcher"
	wait_for all_gone
}

@test "kill -9 of the process group, as shells and service managers do: clean within 2 s" {
	setsid "$JAILER" --id vm-1 --exec-file "$PROGRAM" --uid $VM_UID --gid $VM_GID --chroot-base-dir "$BASE" \
		-- --spawn >"$BATS_TEST_TMPDIR/out" 2>&1 </dev/null 3>&- &
	launcher=$!
	WAIT=10 wait_for grep -q '^up$' "$BATS_TEST_TMPDIR/out"
	vm=$(cat "$JAIL/root/$NAME.pid")
	janitor=$(awk '/^PPid:/ { print $2 }' "/proc/$vm/status")
	kill -9 -- "-$launcher"
	wait_for all_gone
}

@test "kill -9 of the janitor: clean within 2 s" {
	start_jail_up -- --spawn
	kill -9 "$janitor"
	wait_launcher
	[ "$status" -eq 137 ]
	all_gone
}

@test "kill -9 of the janitor of a daemon: the VM is gone, and the folder with the next start" {
	start_jail --daemonize -- --sleep
	kill -9 "$janitor"
	wait_for is_dead "$vm"
	[ -e "$JAIL/.husk-jailer" ]
	run -0 jail
	[ ! -e "$JAIL" ]
}

@test "kill -9 of launcher and janitor at once: the VM is gone, and the folder with the next start" {
	start_jail_up -- --sleep
	echo mine >"$JAIL/root/kernel"
	kill -STOP "$janitor" # it would be quick to clean up
	kill -9 "$launcher" "$janitor"
	wait_for is_dead "$vm"
	run -0 jail
	grep -q "^entry /kernel" <<<"$output"
	[ ! -e "$JAIL" ]
}

@test "an id has one VM" {
	start_jail_up -- --sleep
	refuses "in use" jail
	no is_dead "$vm"
	[ -e "$JAIL/root/$NAME.pid" ]
	run -0 timeout 30 "$JAILER" --id vm-2 --exec-file "$PROGRAM" --uid $VM_UID --gid $VM_GID --chroot-base-dir "$BASE"
	[ ! -e "$BASE/$NAME/vm-2" ]
	[ -e "$JAIL/root/$NAME.pid" ]
}

@test "many at once, of one id and of others" {
	local n pids=() ids=(a b c d e same same same) won=0
	for n in "${ids[@]}"; do
		timeout 30 "$JAILER" --id "$n" --exec-file "$PROGRAM" --uid $VM_UID --gid $VM_GID \
			--chroot-base-dir "$BASE" >/dev/null 2>"$BATS_TEST_TMPDIR/err.$n.${#pids[@]}" </dev/null 3>&- &
		pids+=($!)
	done
	for n in "${pids[@]}"; do
		wait "$n" && won=$((won + 1))
	done
	[ "$won" -ge 6 ]
	[ "$(cat "$BATS_TEST_TMPDIR"/err.[a-e].* | wc -c)" -eq 0 ]
	no ls -A "$BASE"/$NAME/* 2>/dev/null
}

@test "what a VM leaves is removed: folders 3000 deep, closed ones, links, sockets" {
	mkdir "$BATS_TEST_TMPDIR/canary"
	touch "$BATS_TEST_TMPDIR/canary/file"
	run -0 jail --writable data -- --litter /data
	[ ! -e "$BASE/$NAME" ]
	[ -e "$BATS_TEST_TMPDIR/canary/file" ]
}

@test "a start that fails spares what was there before" {
	mkdir -p "$JAIL/root/data"
	echo kernel >"$JAIL/root/kernel"
	refuses "no-file=100000000000" jail --resource-limit no-file=100000000000
	[ "$(find "$JAIL" | sort)" = "$JAIL
$JAIL/root
$JAIL/root/data
$JAIL/root/kernel" ]
}

# Cgroups

@test "--cgroup: limits are set, the VM is in, and all is gone at the end" {
	local args=(--cgroup cpu.shares=100 --cgroup pids.max=33 --cgroup memory.limit_in_bytes=67108864 --cgroup cpuset.cpus=0)
	[ $CGROUP_V -eq 1 ] || args=(--cgroup cpu.weight=50 --cgroup pids.max=33 --cgroup memory.max=67108864 --cgroup cpuset.cpus=0 --cgroup-version 2)
	start_jail_up "${args[@]}" --parent-cgroup $GROUP/of-mine -- --spawn
	local dir name
	for name in cpu pids memory cpuset; do
		dir=$(cgroup_dir $name $GROUP/of-mine/vm-1)
		grep -qx "$vm" "$dir/cgroup.procs"
		no grep -qx "$janitor" "$dir/cgroup.procs"
		no grep -qx "$launcher" "$dir/cgroup.procs"
	done
	# Whoever joined it ends with the VM.
	sleep 60 3>&- &
	others=$!
	echo $others >"$(cgroup_dir pids $GROUP/of-mine/vm-1)/cgroup.procs"
	grep -qx 33 "$(cgroup_dir pids $GROUP/of-mine/vm-1)/pids.max"
	grep -qx 0 "$(cgroup_dir cpuset $GROUP/of-mine/vm-1)/cpuset.cpus"
	kill -9 "$vm"
	wait_launcher
	all_gone
	is_dead $others
	no_cgroups
}

@test "kill -9 of each process: no cgroup is left" {
	local who args=(--cgroup pids.max=33 --cgroup-version $CGROUP_V)
	for who in vm launcher janitor; do
		start_jail_up "${args[@]}" -- --spawn
		kill -9 "${!who}"
		wait_for all_gone
		wait_for no_cgroups
	done
}

@test "cgroups: the last VM takes the shared parent with it; another's parent stays" {
	local args=(--cgroup pids.max=33 --cgroup-version $CGROUP_V --parent-cgroup $GROUP) parent
	parent=$(cgroup_dir pids $GROUP)
	start_jail_up "${args[@]}" -- --sleep
	timeout 30 "$JAILER" --id vm-2 --exec-file "$PROGRAM" --uid 1 --gid 1 --chroot-base-dir "$BASE" \
		"${args[@]}" --daemonize -- --sleep </dev/null
	kill -9 "$vm"
	wait_launcher
	[ -d "$parent/vm-2" ]
	[ ! -e "$parent/vm-1" ]
	kill -9 "$(cat "$BASE/$NAME/vm-2/root/$NAME.pid")"
	wait_for no_cgroups
	mkdir "$parent"
	run -0 jail "${args[@]}"
	[ -d "$parent" ]
	[ ! -e "$parent/vm-1" ]
}

@test "cgroups: what is not there is one error, and nothing is left" {
	refuses "nosuch" jail --cgroup nosuch.max=1 --cgroup-version $CGROUP_V
	refuses "no such file" jail --cgroup pids.nosuch=1 --cgroup-version $CGROUP_V
	refuses "Invalid argument" jail --cgroup pids.max=many --cgroup-version $CGROUP_V
	[ -z "$(ls -A "$BASE")" ]
	no_cgroups
}

@test "cgroups: one with other processes in it is not taken, or killed" {
	local leaf
	leaf=$(cgroup_dir pids $GROUP/vm-1)
	mkdir -p "$(dirname "$leaf")"
	[ $CGROUP_V -eq 1 ] || echo +pids >"$(dirname "$leaf")/cgroup.subtree_control"
	mkdir "$leaf"
	sleep 20 3>&- &
	launcher=$!
	echo $launcher >"$leaf/cgroup.procs"
	refuses "has processes" jail --cgroup pids.max=33 --cgroup-version $CGROUP_V --parent-cgroup $GROUP
	[ -d "/proc/$launcher" ]
	kill $launcher
	wait_for rmdir "$leaf"
}

@test "cgroups v2 without --cgroup: the VM goes to the parent, if it is there" {
	local top=/sys/fs/cgroup
	[ $CGROUP_V -eq 2 ] || top=/sys/fs/cgroup/unified
	[ -e $top/cgroup.procs ] || skip "no cgroup v2 here"
	mkdir $top/$GROUP
	start_jail_up --cgroup-version 2 --parent-cgroup $GROUP -- --sleep
	grep -qx "$vm" $top/$GROUP/cgroup.procs
	kill -9 "$vm"
	wait_launcher
	[ -d $top/$GROUP ]
	run -0 jail --cgroup-version 2 --parent-cgroup $GROUP-none
	[ ! -e $top/$GROUP-none ]
}

# What others planted

@test "planted links, hard links, fifos: replaced or refused, never followed" {
	local canary=$BATS_TEST_TMPDIR/canary root=$JAIL/root name before
	mkdir "$canary"
	echo precious >"$canary/file"
	before=$(snapshot "$canary")
	for name in $NAME $NAME.pid; do
		mkdir -p "$root"
		ln -s "$canary/file" "$root/$name"
		run -0 jail
		mkdir -p "$root"
		mkfifo "$root/$name"
		run -0 jail
	done
	for name in dev run data; do
		mkdir -p "$root"
		ln -s "$canary" "$root/$name"
		refuses "remove it" jail --writable data
		rm "$root/$name"
		touch "$root/$name"
		refuses "remove it" jail --writable data
		rm -r "$JAIL"
	done
	[ "$(snapshot "$canary")" = "$before" ]
	# A hard link changes the canary's ctime by itself.
	for name in $NAME $NAME.pid; do
		mkdir -p "$root"
		ln "$canary/file" "$root/$name"
		run -0 jail
	done
	[ "$(stat -c '%a %u %h' "$canary/file")" = "644 0 1" ]
	[ "$(cat "$canary/file")" = precious ]
}

@test "planted links and owners on the way to the jail are refused" {
	local canary=$BATS_TEST_TMPDIR/canary before
	mkdir -m 755 "$canary"
	before=$(snapshot "$canary")
	ln -s "$canary" "$BASE/$NAME"
	refuses "a link" jail
	rm "$BASE/$NAME"
	mkdir -m 755 "$BASE/$NAME"
	ln -s "$canary" "$BASE/$NAME/vm-1"
	refuses "a link" jail
	rm "$BASE/$NAME/vm-1"
	mkdir -m 755 "$JAIL"
	ln -s "$canary" "$JAIL/root"
	refuses "cannot open" jail
	rm "$JAIL/root"
	mkdir "$JAIL/root"
	chown 77 "$JAIL/root"
	refuses "belongs to user 77" jail
	rmdir "$JAIL/root"
	chmod 775 "$JAIL"
	refuses "writable for others" jail
	chmod 755 "$JAIL"
	chown $VM_UID "$JAIL"
	refuses "belongs to user $VM_UID" jail
	rm -r "$BASE/$NAME"
	chmod 1777 "$BASE"
	refuses "writable for others" jail
	chmod 755 "$BASE"
	mkdir -p "$BATS_TEST_TMPDIR/theirs/base"
	chown $VM_UID "$BATS_TEST_TMPDIR/theirs"
	refuses "theirs belongs to user $VM_UID" timeout 30 "$JAILER" --id a --exec-file "$PROGRAM" --uid 1 --gid 1 \
		--chroot-base-dir "$BATS_TEST_TMPDIR/theirs/base"
	[ "$(snapshot "$canary")" = "$before" ]
	# The administrator's own link to the base is no harm.
	ln -s "$BASE" "$BATS_TEST_TMPDIR/link"
	run -0 timeout 30 "$JAILER" --id a --exec-file "$PROGRAM" --uid 1 --gid 1 --chroot-base-dir "$BATS_TEST_TMPDIR/link"
}

@test "names exchanged all the time: 200 starts touch nothing outside" {
	# One CPU, as on the rig: they take turns, and it takes seconds for each start.
	local starts=$(($(nproc) > 1 ? 200 : 20))
	local canary=$BATS_TEST_TMPDIR/canary root=$JAIL/root before name n swapper swaps ran=0
	mkdir -m 755 "$canary"
	mkdir "$canary/folder"
	echo precious >"$canary/file"
	before=$(snapshot "$canary")
	"$BATS_FILE_TMPDIR/swapper" $VM_UID $VM_GID "$BASE" $NAME/vm-1/root run dev data $NAME $NAME.pid data/folder data/file \
		>"$BATS_TEST_TMPDIR/swaps" 3>&- &
	swapper=$!
	others=$swapper # ends with the test
	for n in $(seq $starts); do
		mkdir -p "$root"/{run,dev,data/folder/sub}
		touch "$root"/{$NAME,$NAME.pid,data/file,data/folder/x}
		for name in run dev data $NAME $NAME.pid data/folder; do
			ln -s "$canary" "$root/$name.swap"
		done
		ln -s "$canary/file" "$root/data/file.swap"
		chown -hR $VM_UID "$JAIL/root"
		jail --writable data >/dev/null 2>&1 && ran=$((ran + 1))
		until rm -rf "$JAIL" 2>/dev/null; do
			:
		done
	done
	kill $swapper
	wait $swapper
	swaps=$(cat "$BATS_TEST_TMPDIR/swaps")
	echo "# $swaps exchanges, $ran of $starts started" >&3
	[ "$(snapshot "$canary")" = "$before" ]
	[ "$swaps" -gt $((10 * starts)) ]
	[ "$ran" -gt 0 ]
}

@test "a thousand jails, each with one process killed at any moment, leave nothing" {
	local number=1000
	[ "$(nproc)" -gt 1 ] || number=100
	cd "$BATS_TEST_TMPDIR"
	cp "$JAILER" husk-jailer
	cp "$PROGRAM" program
	mkdir "$BASE/program" # that of all jails, which nobody of them may find empty at its end
	set -- ./husk-jailer --id 'vm-{}' --exec-file program --uid $VM_UID --gid $VM_GID --chroot-base-dir "$BASE" \
		--cgroup-version $CGROUP_V --cgroup pids.max=10 --parent-cgroup "$GROUP" -- --sleep
	python3 "$OLDPWD/tests/jail/cycles.py" $number "$@"
	no_cgroups
}

# husk itself

@test "husk boots a guest in the jail, on a disk that is the VM's" {
	[ -x build/husk ] && [ -e build/guest/hello ] && [ -c /dev/kvm ] || skip "needs husk, its guests, KVM"
	local root=$BASE/husk/vm-1/root
	mkdir -p "$root"
	cp build/guest/hello "$root/kernel"
	truncate -s 1M "$root/disk"
	chown $VM_UID "$root/disk"
	cat >"$root/vm.json" <<-END
		{
			"boot-source": {"kernel_image_path": "/kernel", "boot_args": "x"},
			"machine-config": {"vcpu_count": 1, "mem_size_mib": 64},
			"drives": [{"drive_id": "d", "path_on_host": "/disk", "is_root_device": false, "is_read_only": false}]
		}
	END
	run -0 --separate-stderr timeout 30 "$JAILER" --id vm-1 --exec-file "$PWD/build/husk" --uid $VM_UID --gid $VM_GID \
		--chroot-base-dir "$BASE" -- --config-file /vm.json --no-api
	[[ $output == "hello"* ]]
	[ ! -e "$BASE/husk/vm-1" ]
}
