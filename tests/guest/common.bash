# SPDX-License-Identifier: Apache-2.0
# For tests with freestanding guests: they run on every KVM, also one that only emulates.

cd "$BATS_TEST_DIRNAME/../.." || exit 1
HUSK=$PWD/build/husk
GUESTS=$PWD/build/guest
cd "$BATS_TEST_TMPDIR" || exit 1

# One drive of a config file: drive ID PATH [READ_ONLY]
drive() {
	printf '{"drive_id": "%s", "path_on_host": "%s", "is_root_device": false, "is_read_only": %s}' \
		"$1" "$2" "${3:-false}"
}

# Writes vm.json: config GUEST BOOT_ARGS [MEMORY_MIB [CPUS [DRIVES]]]; INITRD names an initrd.
config() {
	cat >vm.json <<-END
		{
			"boot-source": {
				"kernel_image_path": "$GUESTS/$1",
				${INITRD:+"\"initrd_path\": \"$INITRD\","}
				"boot_args": "$2"
			},
			"machine-config": {"vcpu_count": ${4:-1}, "mem_size_mib": ${3:-64}},
			"drives": [${5-}]
		}
	END
}

# Runs husk on vm.json, ended by force if it hangs: stdout and stderr in "out" and "err", the
# exit status in $status. Standard input is the caller's.
run_vm() {
	status=0
	timeout -k 5 "${LIMIT:-60}" "$HUSK" --config-file vm.json --no-api >out 2>err || status=$?
	echo "status $status" && cat -v err && head -c 2000 out | cat -v # for the log of a failed test
}

# A KVM host under QEMU's TCG: an exit takes so long that tests with many do less.
is_slow() {
	grep -q 'QEMU TCG' /proc/cpuinfo
}

# The CRC-32 and the size of standard input, as a gzip file ends with them.
crc32() {
	gzip -1 | tail -c 8 | od -A n -t u4 | awk '{ print $1, $2 }'
}
