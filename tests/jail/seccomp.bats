#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The system call filters, on running VMs: what each kind of thread may call is what it needs to, and
# the kernel has what the printer shows. seccomp.py has the lists.

load husk

setup_file() {
	make --no-print-directory -s -C "$BATS_TEST_DIRNAME/../.." build/jail/husk-probe build/jail/filters guests
}

setup() {
	# Each number is a VM of its own; where starting one takes long, one in so many is tried.
	export STEP=1
	! is_slow || STEP=29
}

@test "every system call number, from a vCPU's thread" {
	"$JAIL/seccomp.py" numbers vcpu
}

@test "every system call number, from the main thread" {
	"$JAIL/seccomp.py" numbers loop
}

@test "every system call number, from the supervisor" {
	"$JAIL/seccomp.py" numbers supervisor
}

@test "the x32 and the 32-bit entries, from every kind of thread" {
	STEP=$((STEP * 3))
	for place in vcpu loop supervisor; do
		"$JAIL/seccomp.py" abi $place
	done
}

@test "what is allowed, with other descriptors and other operations, from a vCPU's thread" {
	"$JAIL/seccomp.py" arguments vcpu
}

@test "what is allowed, with other descriptors and other operations, from the main thread" {
	"$JAIL/seccomp.py" arguments loop
}

@test "what is allowed, with other descriptors and other operations, from the supervisor" {
	"$JAIL/seccomp.py" arguments supervisor
}

@test "a terminal: its size and settings, and nothing typed into it" {
	"$JAIL/seccomp.py" terminal
}

# The number of system calls in what is printed for a thread: calls "NAME thread"
calls() {
	sed -n "s/^$1: \([0-9]*\) system calls.*/\1/p" printed
}

@test "a vCPU has at most 8 system calls, the main thread 21, the supervisor 11" {
	"$HUSK" --print-seccomp >printed
	cat printed
	[ "$(calls 'vCPU thread')" -le 8 ]
	[ "$(calls 'main thread')" -le 21 ]
	[ "$(calls supervisor)" -le 11 ]
	truncate -s 4096 disk
	"$HUSK" run --print-seccomp -k "$GUESTS/end" -r disk,ro -- true >printed
	[ "$(calls 'vCPU thread')" -le 8 ]
	[ "$(calls 'main thread')" -le 21 ]
}

@test "the kernel has, for each thread of a running VM, what is printed, and nothing else" {
	truncate -s 4096 disk
	set -- "$PROBE" run -v -k "$GUESTS/end" --append end=never -c 2 -m 32M -r disk,ro --drive disk,ro -- true
	HUSK_PROBE='print dump' start_vm "$@"
	status=0
	{ "$FILTERS" "$vm" && "$FILTERS" "$supervisor"; } >kernel || status=$?
	grep '^filter ' err | sort >loaded
	end_vm
	[ "$status" -ne 77 ] || skip "this kernel shows nobody its filters"
	# The kernel's own threads run no program's code, and have a filter by descent.
	sed -i '/^filter \(kvm-\|vhost-\|iou-\)/d' kernel
	[ "$(cut -d ' ' -f 2 loaded | tr '\n' ' ')" = 'main supervisor vcpu0 vcpu1 ' ]
	diff <(cut -d ' ' -f 3- kernel | sort) <(cut -d ' ' -f 3- loaded | sort)
	# And the printer decodes these very programs.
	HUSK_PROBE='print dump' "$1" run --print-seccomp "${@:3}" >out 2>err </dev/null
	[ "$(grep -c '^filter \(vcpu0\|main\) ' err)" -eq 2 ]
	grep '^filter \(vcpu0\|main\) ' err | while read -r _ thread rest; do
		grep -qx "filter $thread $rest" loaded
	done
}

@test "every thread: filtered, no new privileges, no capability" {
	config end end=never 32 2
	start_vm "$HUSK" --config-file vm.json --no-api
	for status in /proc/"$vm"/task/*/status /proc/"$supervisor"/task/*/status; do
		name=$(sed -n 's/^Name:\t//p' "$status")
		# The kernel's own, which never runs a program's code.
		case $name in kvm-* | vhost-* | iou-*) continue ;; esac
		grep -x 'Seccomp:	2' "$status"
		grep -x 'NoNewPrivs:	1' "$status"
		[ "$(grep -c '^Cap...:	0000000000000000$' "$status")" -eq 5 ]
		echo "$name" >>names
	done
	end_vm
	[ "$(sort names | tr '\n' ' ')" = 'husk husk vcpu0 vcpu1 ' ]
}

@test "the log mode lets calls through, --no-seccomp has no filter, and each says so" {
	config hello ''
	for options in '--seccomp log' --no-seccomp; do
		HUSK_PROBE='loop call 39' "$PROBE" --config-file vm.json --no-api $options >out 2>err
		grep '^probe: call 1$' err
		grep "^husk: ${options%% *}" err
		[ "$(tail -n 1 out)" = end ]
	done
}

@test "a call that is not allowed is not made: one line, 159, and with a config file 148" {
	truncate -s 4096 disk
	config hello ''
	status=0
	HUSK_PROBE='vcpu call 83 path 448' "$PROBE" --config-file vm.json --no-api >out 2>err || status=$?
	[ "$status" -eq 148 ]
	[ "$(wc -l <err)" -eq 1 ]
	grep '^husk: seccomp: thread vcpu0 may not call mkdir(0x[0-9a-f]*, 0x1c0, ' err
	status=0
	HUSK_PROBE='loop call 83 path 448' "$PROBE" run -k "$GUESTS/hello" -r disk,ro -- true >out 2>err || status=$?
	[ "$status" -eq 159 ]
	[ "$(wc -l <err)" -eq 1 ]
	grep '^husk: seccomp: thread main may not call mkdir(' err
}
