#!/usr/bin/env bats
# SPDX-License-Identifier: Apache-2.0
# Networks: a TAP as root, passt as an ordinary user.

load common

SIZE=67108864

setup_file() {
	export WWW=$BATS_FILE_TMPDIR/www
	mkdir -p "$WWW"
	chmod 755 "$BATS_RUN_TMPDIR" "$BATS_FILE_TMPDIR" "$WWW"
	head -c $SIZE /dev/urandom >"$WWW/file"
	export SUM
	SUM=$(sha256sum <"$WWW/file")
	cp -L build/husk build/vmlinux build/rootfs.img "$BATS_FILE_TMPDIR"
	chmod a+rX "$BATS_FILE_TMPDIR"/*
}

teardown() {
	[ -z "${server:-}" ] || kill "$server"
	ip link del husk0 2>/dev/null || :
	ip addr del 192.0.2.1/32 dev lo 2>/dev/null || :
}

# Serves $WWW on address $1.
serve() {
	busybox httpd -f -p "$1" -h "$WWW" 3>&- &
	server=$!
	wait_for bash -c ": </dev/tcp/${1%:*}/${1#*:}"
}

tap_up() {
	[ "$(id -u)" = 0 ] || skip "needs root, for a TAP"
	ip tuntap add dev husk0 mode tap
	ip addr add 172.31.7.1/24 dev husk0
	ip link set husk0 up
}

TAP=tap=husk0,ip=172.31.7.2/24,gw=172.31.7.1

# As an ordinary user who may use KVM, husk run with files that anyone may read.
user_husk() {
	local as=
	[ "$(id -u)" != 0 ] ||
		as="setpriv --reuid=65534 --regid=65534 --groups=$(stat -c %g /dev/kvm) env HOME=/"
	exec $as timeout -k 5 270 "$BATS_FILE_TMPDIR/husk" run -t 250s "$@"
}

# What the guest does to download, hash and hand out 64 MiB.
download() {
	echo "wget -q -O - http://$1/file | sha256sum"
}

@test "TAP: ping both ways" {
	tap_up
	start_husk -n "$TAP" -- sh -c 'ping -c 3 -W 5 172.31.7.1 && echo up; sleep 60'
	ping -c 3 -W 5 172.31.7.2
	kill "$pid"
	wait "$pid" || :
}

@test "TAP: 64 MiB by HTTP into the guest" {
	tap_up
	serve 172.31.7.1:8080
	run -0 husk -n "$TAP" -- sh -c "$(download 172.31.7.1:8080)"
	[ "$output" = "$SUM" ]
}

@test "TAP: 64 MiB by HTTP out of the guest" {
	tap_up
	start_husk -m 256M -n "$TAP" -- sh -c "mkdir /dev/shm/www; head -c $SIZE /dev/urandom >/dev/shm/www/file; sha256sum </dev/shm/www/file; httpd -p 80 -h /dev/shm/www; echo up; sleep 240"
	[ "$(busybox wget -q -O - http://172.31.7.2/file | sha256sum)" = "$(head -n 1 "$BATS_TEST_TMPDIR/out")" ]
	kill "$pid"
	wait "$pid" || :
}

@test "TAP: IPv6 link-local, a MAC and an MTU of one's own" {
	tap_up
	ip link set husk0 mtu 9000
	run -0 husk -n "$TAP,mac=06:00:ac:10:00:02,mtu=9000" -- sh -c '
		cat /sys/class/net/eth0/address /sys/class/net/eth0/mtu
		ping -c 1 -s 8000 -W 5 172.31.7.1 >/dev/null && echo jumbo
		for i in 1 2 3 4 5; do ip -6 addr show dev eth0 | grep -q fe80 && break; sleep 1; done
		ip -6 addr show dev eth0 | grep -c fe80'
	[ "${lines[0]}" = 06:00:ac:10:00:02 ]
	[ "${lines[1]}" = 9000 ]
	[ "${lines[2]}" = jumbo ]
	[ "${lines[3]}" = 1 ]
}

@test "TAP: an inherited descriptor" {
	[ "$(id -u)" = 0 ] || skip "needs root, for a TAP"
	ip tuntap add dev husk0 mode tap
	ip addr add 172.31.7.1/24 dev husk0
	ip link set husk0 up
	run -0 timeout 100 python3 - "$HUSK" <<-'END'
	import fcntl, os, struct, subprocess, sys
	fd = os.open("/dev/net/tun", os.O_RDWR)
	fcntl.ioctl(fd, 0x400454ca, struct.pack("16sH22x", b"husk0", 0x5002))  # TUNSETIFF: TAP, NO_PI, VNET_HDR
	done = subprocess.run([sys.argv[1], "run", "-t", "60s", "-n", f"fd={fd},ip=172.31.7.2/24", "--",
	                       "ping", "-c", "1", "-W", "5", "172.31.7.1"], pass_fds=[fd])
	sys.exit(done.returncode)
	END
}

@test "passt, as an ordinary user: 64 MiB by HTTP into the guest" {
	serve 127.0.0.1:8081
	run -0 user_husk -n passt,host=on -- sh -c "$(download 10.0.2.2:8081)"
	[ "$output" = "$SUM" ]
}

@test "passt, as an ordinary user: 64 MiB by HTTP out of the guest, through a forwarded port" {
	user_husk -m 256M -n passt,tcp=8082:80 -- sh -c "mkdir /dev/shm/www; head -c $SIZE /dev/urandom >/dev/shm/www/file; sha256sum </dev/shm/www/file; httpd -p 80 -h /dev/shm/www; echo up; sleep 240" \
		>"$BATS_TEST_TMPDIR/out" 2>"$BATS_TEST_TMPDIR/err" </dev/null 3>&- &
	pid=$!
	wait_for grep -q up "$BATS_TEST_TMPDIR/out"
	[ "$(busybox wget -q -O - http://127.0.0.1:8082/file | sha256sum)" = "$(head -n 1 "$BATS_TEST_TMPDIR/out")" ]
	kill "$pid"
	wait "$pid" || :
}

@test "passt, as an ordinary user: ping" {
	[ "$(id -u)" = 0 ] || skip "needs root, for an address to ping"
	ip addr add 192.0.2.1/32 dev lo
	run -0 user_husk -n passt -- ping -c 1 -W 5 192.0.2.1
}

@test "two networks in one guest" {
	tap_up
	run -0 husk -n "$TAP" -n passt -- sh -c 'ip -4 -o addr show | grep -c "eth[01]"; ping -c 1 -W 5 172.31.7.1 >/dev/null && echo first'
	[ "${lines[0]}" = 2 ]
	[ "${lines[1]}" = first ]
}
