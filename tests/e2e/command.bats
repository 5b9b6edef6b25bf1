#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# The command: how it is run, its standard streams, its exit status.

load common

@test "exit status 0" {
	run -0 husk -- true
}

@test "exit status 7" {
	run -7 husk -- sh -c 'exit 7'
}

@test "exit status 255" {
	run -255 husk -- sh -c 'exit 255'
}

@test "126: it cannot be run" {
	run -126 husk -- /etc/passwd
	[[ $output =~ /etc/passwd ]]
}

@test "127: it is not found" {
	run -127 husk -- no-such-program
	[[ $output =~ no-such-program ]]
}

@test "128 + N: it died of a signal" {
	run -137 husk -- sh -c 'kill -9 $$'
	run -139 husk -- sh -c 'kill -SEGV $$'
}

@test "124: the timeout passed" {
	run -124 timeout 60 "$HUSK" run -t 6s -- sleep 1000
	[[ $output =~ --timeout ]]
}

@test "125 and the reason: the guest's kernel panics" {
	run -125 husk -m 64M -- sh -c 'echo 2 >/proc/sys/vm/panic_on_oom; tail /dev/zero'
	[[ $output =~ "panicked: Out of memory" ]]
	run -125 husk --append 'root=/dev/nothing rdinit=/nothing' -- true
	[[ $output =~ "panicked: VFS: Unable to mount root fs" ]]
}

@test "125: the kernel finds no root" {
	run -125 husk --append root=/dev/nothing -- true
	[[ $output =~ /dev/nothing ]]
}

@test "poweroff, halt and reboot end the VM in order, with 0" {
	for how in poweroff halt reboot; do
		run -0 husk -- sh -c "$how; sleep 100"
		[ -z "$output" ]
	done
}

@test "forced poweroff, halt and reboot are no verdict: 125" {
	for how in poweroff halt reboot; do
		run -125 husk -- sh -c "$how -f; sleep 100"
		[[ $output =~ before\ the\ command\ ended ]]
	done
}

@test "arguments arrive as they are" {
	run -0 husk -- printf '%s|' 'a b' '' "c'd" '$x' '*' $'tab\there' 'ü'
	[ "$output" = "a b||c'd|\$x|*|"$'tab\there|ü|' ]
}

@test "an argument list of 100 KiB" {
	word=$(printf 'x%.0s' $(seq 1000))
	run -0 husk -- sh -c 'echo "$#"; printf "%s" "$*" | wc -c' sh $(for i in $(seq 100); do echo "$word"; done)
	[ "${lines[0]}" = 100 ]
	[ "${lines[1]}" = 100099 ]
}

@test "one argument of 100 KiB" {
	run -0 husk -- sh -c 'printf "%s" "$1" | wc -c' sh "$(head -c 100000 /dev/zero | tr '\0' x)"
	[ "$output" = 100000 ]
}

@test "environment and working folder" {
	export FROM_HOST=inherited
	run -0 husk -e A=1 -e 'B=two words' -e FROM_HOST -w /usr -- sh -c 'echo "$A|$B|$FROM_HOST|$PWD|$HOME"'
	[ "$output" = "1|two words|inherited|/usr|/root" ]
}

@test "standard output and error are apart" {
	run -0 --separate-stderr husk -- sh -c 'echo out; echo err >&2'
	[ "$output" = out ]
	[ "$stderr" = err ]
}

@test "standard input and output are binary-clean: 48 KiB there and back" {
	head -c 49152 /dev/urandom >"$BATS_TEST_TMPDIR/in"
	husk -- cat <"$BATS_TEST_TMPDIR/in" >"$BATS_TEST_TMPDIR/out"
	cmp "$BATS_TEST_TMPDIR/in" "$BATS_TEST_TMPDIR/out"
}

@test "both outputs at once are binary-clean" {
	husk -- sh -c 'head -c 40000 /dev/urandom >/tmp/x; sha256sum </tmp/x >/tmp/sum; cat /tmp/x & cat /tmp/x >&2; wait; cat /tmp/sum' \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err"
	sum=$(tail -c +40001 "$BATS_TEST_TMPDIR/out")
	[ "$(head -c 40000 "$BATS_TEST_TMPDIR/out" | sha256sum)" = "$sum" ]
	[ "$(sha256sum <"$BATS_TEST_TMPDIR/err")" = "$sum" ]
}

@test "the end of standard input arrives; without any it is empty" {
	run -0 husk -- sh -c 'cat; echo end' </dev/null
	[ "$output" = end ]
}

@test "standard input that nobody reads does not hold anything up" {
	head -c 200000 /dev/zero | husk -- true
}

@test "a reader that goes away ends the VM, as it would end the command" {
	husk -- yes 2>"$BATS_TEST_TMPDIR/err" | head -n 1
	[ "${PIPESTATUS[0]}" = 141 ]
}

@test "a slow reader loses nothing" {
	husk -- sh -c 'head -c 100000 /dev/zero' | (sleep 4; wc -c) >"$BATS_TEST_TMPDIR/out"
	[ "$(cat "$BATS_TEST_TMPDIR/out")" -eq 100000 ]
}

@test "what a background process still writes does not keep the VM" {
	run -0 husk -- sh -c 'sleep 1000 & echo done'
	[ "$output" = done ]
}

@test "on a terminal, the command has one, with its size" {
	run -0 script -qec "stty rows 33 cols 99; '$HUSK' run -t 60s -- sh -c 'tty; stty size; exit 3' || echo status \$?" /dev/null </dev/null
	[[ $output =~ /dev/pts/0 ]]
	[[ $output =~ "33 99" ]]
	[[ $output =~ "status 3" ]]
}

@test "kernel messages are on standard error with --verbose only" {
	run -0 --separate-stderr husk -- echo hi
	[ -z "$stderr" ]
	run -0 --separate-stderr husk -v -- echo hi
	[ "$output" = hi ]
	[[ $stderr =~ "Linux version 6.1" ]]
}

@test "--timing prints the boot waterfall, exits and faults" {
	run -0 --separate-stderr husk --timing -- true
	for step in 'first guest instruction' 'kernel is up' 'init starts' 'init runs' 'command starts' 'end' \
		'exits before init: [1-9]' 'exits in all: [1-9]' 'page faults of husk.*: [1-9]'; do
		[[ $stderr =~ $step ]]
	done
}

@test "--metrics writes the same as JSON, in order of time" {
	run -3 --separate-stderr husk --metrics metrics.json -- sh -c 'exit 3'
	[ -z "$stderr" ]
	python3 - <<-'END'
		import json
		metrics = json.load(open("metrics.json"))
		assert metrics["status"] == 3
		times = {step["step"]: step["at_us"] for step in metrics["timeline"]}
		assert list(times.values()) == sorted(times.values())
		order = ["exec", "husk starts", "jailed", "kernel loaded", "first guest instruction", "kernel has a clock",
		         "kernel is up", "init starts", "init runs", "command starts", "end"]
		assert [step for step in times if step in order] == order, times
		before, all = metrics["exits_before_init"], metrics["exits"]
		assert 0 < before["user"]["all"] <= all["user"]["all"] and before["user"]["all"] <= before["all"] <= all["all"]
		assert before["user"]["pio"] + before["user"]["mmio"] + before["user"]["other"] == before["user"]["all"]
		assert metrics["faults"]["minor"] > 0
	END
}
