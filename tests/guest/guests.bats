#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# Freestanding guests (build/guest) against the whole of husk: what a kernel finds at its entry,
# every device from the guest's side, each way a VM ends. All a guest prints is compared.

load common

# The guest did its checks, all held, and it ended: "all_ok NUMBER".
all_ok() {
	[ "$status" -eq 0 ]
	[ -z "$(grep FAIL out)" ]
	[ "$(grep -c '^ok ' out)" -eq "$1" ]
	[ "$(tail -n 1 out)" = end ]
	[ ! -s err ]
}

@test "the 64-bit entry" {
	config hello ''
	run_vm
	all_ok 8
	[ "$(head -n 1 out)" = hello ]
}

@test "boot_params: memory, command line, initrd" {
	head -c 20001 /dev/urandom >initrd
	INITRD=initrd config boot_params 'one two=3' 64
	run_vm
	all_ok 4
	# 640 KiB to 1 MiB, and 1 KiB below, belong to firmware.
	grep -x "memory $((64 * 1024 - 385)) KiB" out
	grep -x 'command line one two=3' out
	grep -x "initrd $(crc32 <initrd)" out
}

@test "memory on both sides of the device hole" {
	# Not reserved, but husk refuses more than the machine has.
	[ "$(awk '/^(MemTotal|SwapTotal)/ { kib += $2 } END { print int(kib / 1024) }' /proc/meminfo)" -gt 5120 ] ||
		skip "this machine has less than 5 GiB of memory"
	config boot_params '' 5120
	run_vm
	all_ok 4
	grep -x "memory $((5120 * 1024 - 385)) KiB" out
}

@test "the PVH entry" {
	head -c 5000 /dev/urandom >initrd
	INITRD=initrd config pvh 'one two=3' 33
	run_vm
	all_ok 6
	grep -x "memory $((33 * 1024 - 385)) KiB" out
	grep -x 'command line one two=3' out
	grep -x "initrd $(crc32 <initrd)" out
}

@test "a disk: identity, negotiation, reads, writes, flush, and what is refused" {
	head -c 8192 /dev/urandom >disk
	cp disk before
	head -c 8192 /dev/urandom >read-only
	cp read-only read-only.before
	chmod 400 read-only
	config blk '' 64 1 "$(drive data disk), $(drive other read-only true)"
	run_vm
	all_ok 35
	grep -x 'ID data' out
	grep -x "sector 1 $(dd if=before bs=512 skip=1 count=1 status=none | crc32 | cut -d ' ' -f 1)" out
	# In sector 1 each byte is one more, 12 to 15 filled with a letter each, the rest as it was.
	{
		dd if=before bs=512 count=1 status=none
		dd if=before bs=512 skip=1 count=1 status=none | LC_ALL=C tr '\000-\377' '\001-\377\000'
		dd if=before bs=512 skip=2 count=10 status=none
		for letter in a b c d; do printf '%512s' '' | tr ' ' $letter; done
	} >expected
	cmp expected disk
	cmp read-only.before read-only
}

@test "serial: registers and loop-back" {
	config serial ''
	run_vm
	all_ok 11
}

@test "serial: 64 KiB of output, complete" {
	config serial output
	run_vm
	[ "$status" -eq 0 ]
	[ "$(wc -l <out)" -eq 1026 ]
	[ "$(head -n 1024 out | crc32)" = "$(sed -n 1025p out) 65536" ]
}

@test "serial: input is kept until the guest wants it, and none is lost" {
	size=100
	! is_slow || size=10
	# Lines without NUL; the NUL at the end is the guest's.
	tr -dc 'a-z0-9\n' </dev/urandom | head -c $((size * 1024)) >input
	config serial echo
	run_vm < <(cat input && printf '\0')
	[ "$status" -eq 0 ]
	head -c $((size * 1024)) out | cmp - <(tr a-z A-Z <input)
	[ "$(tail -c +$((size * 1024 + 1)) out)" = 'ok nothing was received without RTS
end' ]
}

@test "serial: a standard input that ended, or is closed, is no input" {
	for stdin in '</dev/null' '<&-' '<vm.json'; do
		config hello ''
		eval "run_vm $stdin"
		all_ok 8
	done
}

@test "the ends of a VM: power-off and reset are 0" {
	for end in power-off power-off-twice acpi-reset keyboard-reset; do
		config end "end=$end"
		run_vm
		[ "$status" -eq 0 ]
		[ "$(cat out)" = started ]
		[ ! -s err ]
	done
}

@test "the ends of a VM: a triple fault is 1, with one line" {
	config end end=triple-fault
	run_vm
	[ "$status" -eq 1 ]
	[ "$(cat out)" = started ]
	[ "$(wc -l <err)" -eq 1 ]
	grep '^husk: the guest crashed (triple fault)' err
}

@test "the ends of a VM: a signal to husk is 128 + its number, whatever the guest does" {
	for signal in TERM INT HUP QUIT; do
		config end end=never
		env --default-signal="$signal" "$HUSK" --config-file vm.json --no-api >out 2>err </dev/null 3>&- &
		pid=$!
		for _ in $(seq 100); do
			grep -q started out && break
			sleep 0.05
		done
		kill -s "$signal" "$pid"
		status=0
		wait "$pid" || status=$?
		[ "$status" -eq $((128 + $(kill -l "$signal"))) ]
		[ "$(cat out)" = started ]
		[ ! -s err ]
	done
}

@test "vCPUs started by each other, with an APIC ID each" {
	for cpus in 1 2 4 8; do
		config smp '' 64 $cpus
		run_vm
		all_ok 4
		[ "$(head -n 1 out)" = "vCPUs $cpus" ]
	done
}

@test "--metrics: the time to the first instruction, exits by kind, husk's own faults" {
	config hello ''
	status=0
	"$HUSK" --config-file vm.json --no-api --metrics metrics.json >out 2>err </dev/null || status=$?
	all_ok 8
	python3 - <<-'END'
		import json
		metrics = json.load(open("metrics.json"))
		assert metrics["status"] == 0
		times = {step["step"]: step["at_us"] for step in metrics["timeline"]}
		assert times["exec"] == 0 and 0 < times["husk starts"] < times["first guest instruction"] < times["end"]
		user = metrics["exits"]["user"]
		# Two for each byte and one to end: nothing else leaves this guest.
		assert user["pio"] == 2 * len(open("out").read()) + 1, user
		assert user["mmio"] == user["other"] == 0
		assert metrics["faults"]["minor"] > 0
		assert "exits_before_init" not in metrics
	END
}

@test "--metrics: a file that cannot be written is one line before anything runs, a full disk one after" {
	config hello ''
	status=0
	"$HUSK" --config-file vm.json --no-api --metrics no/such/folder >out 2>err </dev/null || status=$?
	[ "$status" -eq 1 ]
	[ ! -s out ]
	[ "$(cat err)" = 'husk: --metrics: cannot write "no/such/folder": No such file or directory' ]
	status=0
	"$HUSK" --config-file vm.json --no-api --metrics /dev/full >out 2>err </dev/null || status=$?
	[ "$status" -eq 0 ]
	[ "$(cat err)" = 'husk: --metrics: cannot write "/dev/full": No space left on device' ]
}

@test "--metrics where there is no /proc: faults are unknown, and the filter has nothing to say" {
	[ "$(id -u)" -eq 0 ] || skip "takes root"
	mkdir -p root/dev root/kernel
	cp "$HUSK" root/husk
	cp -a /dev/kvm root/dev/kvm
	GUESTS=/kernel config hello ''
	cp "$BATS_TEST_DIRNAME/../../build/guest/hello" root/kernel/hello
	cp vm.json root
	status=0
	chroot root /husk --config-file /vm.json --no-api --no-sandbox --metrics /metrics.json >out 2>err </dev/null ||
		status=$?
	cat err
	[ "$status" -eq 0 ]
	[ "$(tail -n 1 out)" = end ]
	python3 -c 'import json; assert json.load(open("root/metrics.json"))["faults"] == {"minor": None, "major": None}'
}

@test "who waits for husk has its status, and its streams are closed, before KVM has taken the VM apart" {
	truncate -s 1M disk
	config end end=power-off 64 1 "$(drive data disk)"
	for _ in $(seq 20); do
		# The reader of both streams sees their end; then the disk is free.
		[ "$("$HUSK" --config-file vm.json --no-api 2>&1 </dev/null)" = started ]
		flock -n disk true
	done
}
