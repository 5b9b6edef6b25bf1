#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
#
# The rig keeps its promises (see run): what the other tests rely on when they call it.

setup_file()
{
	"$BATS_TEST_DIRNAME/prepare" >/dev/null
}

setup()
{
	rig=$BATS_TEST_DIRNAME/run
	cd "$BATS_TEST_TMPDIR"
	export TMPDIR=$BATS_TEST_TMPDIR # where run keeps its temporary directory
}

# Succeeds once no process has a file open below, or works in, our directory.
nothing_left()
{
	for _ in $(seq 20); do
		find /proc/[0-9]*/cwd -maxdepth 0 -lname "$BATS_TEST_TMPDIR/husk-rig.*" 2>/dev/null | grep -q . || return 0
		sleep 0.1
	done
	return 1
}

wait_for()
{
	for _ in $(seq 300); do
		grep -qs "$1" "$2" && return 0
		sleep 0.1
	done
	return 1
}

@test "exit status: 255 passes through, 126 not executable, 127 not found, 128+N signal" {
	status=0; "$rig" -- sh -c 'exit 255' </dev/null || status=$?
	[ "$status" -eq 255 ]
	status=0; "$rig" -- /etc/passwd </dev/null || status=$?
	[ "$status" -eq 126 ]
	status=0; "$rig" -- /nonexistent </dev/null || status=$?
	[ "$status" -eq 127 ]
	status=0; "$rig" -- sh -c 'kill -INT $$' </dev/null 2>err || status=$?
	[ "$status" -eq 130 ]
	[ ! -s err ]
}

@test "stdin, stdout and stderr carry 1 MiB of any bytes each, unmixed" {
	for i in 0 1; do head -c 1048576 /dev/urandom >"$i"; done
	"$rig" -- sh -c 'cat; cat 1 >&2' <0 >out 2>err
	cmp 0 out
	cmp 1 err
}

@test "arguments: any bytes, 200 KiB; environment, umask and working directory" {
	umask 027
	mkdir "a dir, it's"
	cd "a dir, it's"
	set -- "it's" '' $'a\nb\n\n' $'\201\210\377' '*' '$HOME' '\n' $(seq 40000)
	export HUSK_RIG_TEST=$'two\nlines and \'quotes\''
	"$rig" -- sh -c 'printf "%s\0" "$@" "$HUSK_RIG_TEST" "$PWD" "$(umask)"' sh "$@" </dev/null >../out
	printf '%s\0' "$@" "$HUSK_RIG_TEST" "$PWD" 0027 | cmp - ../out
}

@test "the host's files are there, writes to them are not kept, except below HUSK_RIG_SAVE" {
	echo before >file
	"$rig" --save 'out, dir' -- sh -ec 'grep before file; echo after >file; >new; grep after file
		mkdir "$HUSK_RIG_SAVE/sub"; cp file "$HUSK_RIG_SAVE/sub"' </dev/null
	grep before file
	[ ! -e new ]
	grep after 'out, dir/sub/file'
}

@test "an ordinary user on the rig creates a VM and a tap, root has cgroup v2 and its own host name" {
	cat >kvm.c <<-'EOF'
		#include <fcntl.h>
		#include <linux/kvm.h>
		#include <stdint.h>
		#include <stdio.h>
		#include <string.h>
		#include <sys/ioctl.h>
		#include <sys/mman.h>

		/* Real mode: out 'K' to port 0x10, hlt. Exits 0 if a vCPU really did so. */
		static const uint8_t code[] = { 0xb0, 'K', 0xe6, 0x10, 0xf4 };

		int main(void)
		{
			int kvm = open("/dev/kvm", O_RDWR), vm, vcpu;
			uint8_t *ram = mmap(0, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
			struct kvm_userspace_memory_region slot = { .memory_size = 4096, .userspace_addr = (uintptr_t)ram };
			struct kvm_sregs sregs;
			struct kvm_regs regs = { .rflags = 2 };
			struct kvm_run *run;

			memcpy(ram, code, sizeof(code));
			vm = ioctl(kvm, KVM_CREATE_VM, 0);
			if (vm < 0 || ioctl(vm, KVM_SET_USER_MEMORY_REGION, &slot))
				return 1;
			vcpu = ioctl(vm, KVM_CREATE_VCPU, 0);
			run = mmap(0, ioctl(kvm, KVM_GET_VCPU_MMAP_SIZE, 0), PROT_READ | PROT_WRITE, MAP_SHARED, vcpu, 0);
			ioctl(vcpu, KVM_GET_SREGS, &sregs);
			sregs.cs.base = sregs.cs.selector = 0;
			if (ioctl(vcpu, KVM_SET_SREGS, &sregs) || ioctl(vcpu, KVM_SET_REGS, &regs) || ioctl(vcpu, KVM_RUN, 0))
				return 2;
			if (run->exit_reason != KVM_EXIT_IO || run->io.port != 0x10 || ((char *)run)[run->io.data_offset] != 'K')
				return 3;
			return ioctl(vcpu, KVM_RUN, 0) || run->exit_reason != KVM_EXIT_HLT;
		}
	EOF
	cc -o kvm kvm.c
	"$rig" -- sh -ec 'cp kvm /dev/shm; cd /; [ "$(hostname)" = husk-rig ]
		setpriv --reuid 65534 --regid 65534 --clear-groups /dev/shm/kvm
		setpriv --reuid 65534 --regid 65534 --clear-groups unshare -Ur true
		setpriv --reuid 65534 --regid 65534 --clear-groups sh -c "echo x >/dev/stdout; exec 3<>/dev/net/tun"
		grep -w memory /sys/fs/cgroup/cgroup.subtree_control; mkdir /sys/fs/cgroup/x; ls /sys/fs/cgroup/x/pids.max
		ping -c 1 127.0.0.1 || ip link show up lo | grep lo' </dev/null
}

@test "two rigs at once, also with nothing prepared" {
	export XDG_CACHE_HOME=$BATS_TEST_TMPDIR/cache
	"$rig" -- sh -c 'echo one; exit 1' </dev/null >one & one=$!
	"$rig" -- sh -c 'echo two; exit 2' </dev/null >two & two=$!
	status=0; wait "$one" || status=$?
	[ "$status" -eq 1 ]
	status=0; wait "$two" || status=$?
	[ "$status" -eq 2 ]
	grep one one
	grep two two
	[ "$(ls cache/husk | wc -l)" -eq 1 ]
}

@test "time limit: 124, one line, and what was written before arrives" {
	status=0; "$rig" --timeout 20 -- sh -c 'echo early; sleep 1000' </dev/null >out 2>err || status=$?
	[ "$status" -eq 124 ]
	grep early out
	[ "$(wc -l <err)" -eq 1 ]
	grep 'time limit of 20 s' err
	nothing_left
}

@test "a rig that dies is 125 with the reason; a bad option too" {
	status=0; "$rig" -- sh -c 'echo c >/proc/sysrq-trigger' </dev/null 2>err || status=$?
	[ "$status" -eq 125 ]
	grep 'sysrq' err
	status=0; "$rig" --memory nonsense -- true </dev/null 2>err || status=$?
	[ "$status" -eq 125 ]
	grep 'QEMU failed' err
	status=0; "$rig" --nonsense -- true 2>err || status=$?
	[ "$status" -eq 125 ]
	nothing_left
	[ -z "$(ls -d husk-rig.* 2>/dev/null)" ]
}

@test "SIGINT and SIGTERM end it at once and leave nothing; nor does SIGKILL leave a process" {
	for signal in INT TERM KILL; do
		env --default-signal=INT "$rig" -- sh -c 'echo started; sleep 1000' </dev/null >"$signal" 3>&- &
		echo $! >"$signal.pid"
	done
	for signal in INT TERM KILL; do
		wait_for started "$signal"
		kill -"$signal" "$(cat "$signal.pid")"
		status=0; wait "$(cat "$signal.pid")" || status=$?
		[ "$status" -eq $((128 + $(kill -l "$signal"))) ]
	done
	nothing_left
	[ "$(ls -d husk-rig.* | wc -l)" -eq 1 ]
	# The next one tidies up after it.
	touch -d '2 minutes ago' husk-rig.*
	"$rig" -- true </dev/null
	[ -z "$(ls -d husk-rig.* 2>/dev/null)" ]
}

@test "what COMMAND leaves running does not keep it, nor does an open stdin or a reader that goes away" {
	mkfifo stdin
	sleep 60 >stdin 3>&- &
	sleeper=$!
	timeout 50 "$rig" -- sh -c 'sleep 1000 & exit 3' <stdin || status=$?
	kill "$sleeper"
	[ "$status" -eq 3 ]
	timeout 50 "$rig" -- yes </dev/null | head -n 1 | grep y
	nothing_left
}

@test "with a terminal: its size, line editing and Ctrl-C reach COMMAND" {
	cat >inner <<-'EOF'
		trap 'echo interrupted' INT
		tty && stty size
		read -r line
		echo "got $line"
		sleep 30 || exit 5
	EOF
	printf '%s\n' 'stty rows 33 cols 111' "exec '$rig' -- sh inner" >outer
	mkfifo keys
	script -qec 'sh outer' /dev/null <keys >out 3>&- &
	pid=$!
	exec 4>keys
	wait_for '33 111' out
	printf 'hellx\177o\n' >&4
	wait_for 'got hello' out
	sleep 1
	printf '\003' >&4
	status=0; wait "$pid" || status=$?
	exec 4>&-
	[ "$status" -eq 5 ]
	grep interrupted out
}

@test "--icount: one CPU, and the same work takes the same virtual time" {
	# Shell built-ins only: where the rig waits for the real world, as for a file, virtual time jumps ahead.
	"$rig" --icount -- sh -c 'nproc; for i in 1 2 3; do
			read -r start _ </proc/uptime; n=0; while [ $n -lt 200000 ]; do n=$((n + 1)); done
			read -r end _ </proc/uptime; echo "$start $end"
		done | awk "{ print int(100 * (\$2 - \$1) + 0.5) }"' </dev/null >out
	cat out
	{ read -r cpus; read -r _; read -r first; read -r second; } <out # the first of three warms up
	[ "$cpus" -eq 1 ]
	difference=$((first - second))
	[ "$first" -gt 0 ] && [ $((${difference#-} * 20)) -lt "$first" ]
}
