# SPDX-License-Identifier: Apache-2.0
#
# husk. `make run` boots a program in a microVM, `make test` runs every test; both install what
# they need first. `make help` lists the rest.
#
# make CC=clang             another compiler
# make SAN=address,undefined check    unit tests under sanitizers (or SAN=thread)

comma := ,
CC := gcc
MUSL_CC := musl-gcc
SAN :=
PREFIX := /usr/local
DESTDIR :=
TOP := build
BUILD := $(TOP)$(if $(SAN),/san-$(subst $(comma),-,$(SAN)))$(if $(filter-out gcc,$(CC)),/$(CC))

CPPFLAGS := -D_GNU_SOURCE $(addprefix -iquote ,vmm virtio jailer rootfs tests/unit $(TOP)/jailer)
WARNINGS := -Wall -Wextra -Wshadow -Wmissing-prototypes -Wstrict-prototypes -Wformat=2 \
	-Wcast-qual -Wvla -Wundef -Werror
CFLAGS := -std=gnu17 -O2 -g $(WARNINGS) -fPIE -ffunction-sections -fdata-sections
ifeq ($(SAN),)
CFLAGS += -fstack-protector-strong -D_FORTIFY_SOURCE=2
LDFLAGS := -static-pie -Wl,-z,relro,-z,now -Wl,--gc-sections
else
CFLAGS += -fsanitize=$(SAN) -fno-sanitize-recover=all -fno-omit-frame-pointer
LDFLAGS := -fsanitize=$(SAN) -pie
endif
# For tests/coverage.
COVERAGE :=
ifneq ($(COVERAGE),)
CFLAGS := -std=gnu17 -O0 -g $(WARNINGS) -fPIE --coverage -fprofile-update=atomic
LDFLAGS := --coverage -pie
endif
# Debian 12's liburing.so lacks half of its functions.
LDLIBS := -ljansson -lcap -l:liburing.a -lpthread

# husk itself is linked with musl: it starts sooner and is a third as large. All else (units, sanitizers,
# coverage, husk-jailer, which makes calls that musl has no functions for) has the system's C library.
# musl's headers come before the system's, which still have the kernel's; the libraries are the
# distribution's (vmm/fortify.c). musl knows no _FORTIFY_SOURCE; instead, an index past its array traps.
MUSL_INCLUDE := /usr/include/x86_64-linux-musl
MUSL_LIB := /usr/lib/x86_64-linux-musl
ifeq ($(SAN)$(COVERAGE),)
SHIP := $(BUILD)/musl
SHIP_SRCS := vmm/fortify.c
SHIP_CPPFLAGS := $(CPPFLAGS) -isystem $(MUSL_INCLUDE)
SHIP_CFLAGS := $(filter-out -D_FORTIFY_SOURCE=2,$(CFLAGS)) -fsanitize=bounds -fsanitize-undefined-trap-on-error
SHIP_LDFLAGS := $(LDFLAGS) -nostdlib $(addprefix $(MUSL_LIB)/,rcrt1.o crti.o)
SHIP_LDLIBS := $(addprefix -l:lib,jansson.a cap.a uring.a) $(MUSL_LIB)/libc.a -lgcc $(MUSL_LIB)/crtn.o
else
SHIP := $(BUILD)
SHIP_LDFLAGS := $(LDFLAGS)
SHIP_LDLIBS := $(LDLIBS)
endif

# mke2fs and the like are not on an ordinary user's path.
export PATH := $(PATH):/usr/sbin:/sbin

# Says what it does in a word; V=1 shows the commands.
V :=
Q := $(if $(V),,@)
say = $(if $(V),,@printf '%-8s%s\n' $(1) $(2);)

# What each program is made of.
JAIL_SRCS := $(wildcard jailer/seccomp*.c) jailer/confine.c jailer/isolate.c jailer/supervise.c
JAILER_SRCS := $(filter-out $(JAIL_SRCS),$(wildcard jailer/*.c)) jailer/confine.c vmm/util.c
HUSK_SRCS := $(filter-out vmm/fortify.c,$(wildcard vmm/*.c vmm/*.S virtio/*.c)) $(JAIL_SRCS)
objs = $(patsubst %,$(1)/%.o,$(basename $(2)))
HUSK_OBJS := $(call objs,$(BUILD),$(HUSK_SRCS))
SHIP_OBJS := $(call objs,$(SHIP),$(HUSK_SRCS) $(SHIP_SRCS))
JAILER_OBJS := $(call objs,$(BUILD),$(JAILER_SRCS))
JAILER_LIB_OBJS := $(filter-out $(BUILD)/jailer/jailer.o $(HUSK_OBJS),$(JAILER_OBJS))
LIB_OBJS := $(filter-out $(BUILD)/vmm/main.o,$(HUSK_OBJS))
INIT_SRCS := $(wildcard rootfs/init*.c)
INIT_LIB_OBJS := $(BUILD)/rootfs/init_parse.o
TEST_LIB_OBJS := $(patsubst %.c,$(BUILD)/%.o,$(wildcard tests/unit/fake_*.c))
UNITS := $(patsubst %.c,$(BUILD)/%,$(wildcard tests/unit/test_*.c))
GUEST_LIB := tests/guest/guest.c tests/guest/start.S
GUEST_CC = $(CC) -std=gnu17 -O2 $(WARNINGS) -ffreestanding -nostdlib -static -fno-pie -mno-red-zone \
	-mgeneral-regs-only -fno-stack-protector -fcf-protection=none -Wl,--build-id=none -Wl,-T,tests/guest/guest.ld
GUESTS := $(TOP)/guest/abuse-kit $(patsubst tests/guest/%.c,$(TOP)/guest/%,$(filter-out $(GUEST_LIB),$(wildcard tests/guest/*.c)))

.PHONY: all husk kernel rootfs guests probes run shell test check units lint check-layers check-classes golden mutants bench-programs \
	install clean help setup-run setup-test
.DELETE_ON_ERROR:
.SECONDARY:

all: husk kernel rootfs ## husk, its guest kernel and its root file system

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/  make \1|\2/p' $(MAKEFILE_LIST) | column -t -s '|'

# husk

husk: $(BUILD)/husk $(BUILD)/husk-jailer ## the programs alone

$(BUILD)/husk: $(SHIP_OBJS)
	$(call say,LINK,$@)$(CC) $(SHIP_LDFLAGS) -o $@ $^ $(SHIP_LDLIBS)

$(BUILD)/husk-jailer: $(JAILER_OBJS)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^ -lcap

$(BUILD)/musl/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(SHIP_CPPFLAGS) $(SHIP_CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(CC) $(CPPFLAGS) $(CFLAGS) -MMD -MP -c -o $@ $<

$(BUILD)/musl/%.o: %.S
	@mkdir -p $(@D)
	$(call say,AS,$@)$(CC) $(CPPFLAGS) -DINIT_BLOB_PATH='"$(TOP)/rootfs/init"' -MMD -MP -c -o $@ $<

$(BUILD)/%.o: %.S
	@mkdir -p $(@D)
	$(call say,AS,$@)$(CC) $(CPPFLAGS) -DINIT_BLOB_PATH='"$(TOP)/rootfs/init"' -MMD -MP -c -o $@ $<

# System calls by number.
SYSCALL_NAMES := $(TOP)/jailer/syscall_names.inc
$(BUILD)/jailer/seccomp_policy.o $(SHIP)/jailer/seccomp_policy.o $(TOP)/lint/jailer/seccomp_policy.tidy: $(SYSCALL_NAMES)

$(SYSCALL_NAMES):
	@mkdir -p $(@D)
	$(call say,GEN,$@)echo '#include <asm/unistd_64.h>' | $(CC) -E -dM - | \
		sed -n 's/^#define __NR_\([a-z0-9_]*\) \([0-9]*\)$$/[\2] = "\1",/p' >$@

# The guest's init is data of husk.
$(BUILD)/vmm/init_blob.o $(SHIP)/vmm/init_blob.o: $(TOP)/rootfs/init

# Small: it is unpacked at each boot.
$(TOP)/rootfs/init: $(INIT_SRCS) $(wildcard rootfs/*.h)
	@mkdir -p $(@D)
	$(call say,CC,$@)$(MUSL_CC) -std=gnu17 -D_GNU_SOURCE -Irootfs -Os $(WARNINGS) -ffunction-sections \
		-fdata-sections -fno-asynchronous-unwind-tables -static -s -Wl,--gc-sections \
		-Wl,-z,noseparate-code -o $@ $(INIT_SRCS)

# The kernel is kept outside of the tree, under a name made from all that went in.
kernel: | $(TOP) ## the guest kernel
	@path=$$(kernel-config/build) && ln -sfn "$$path/vmlinux" $(TOP)/vmlinux

rootfs: $(TOP)/rootfs.img ## the root file system

$(TOP)/rootfs.img: rootfs/build-image | $(TOP)
	$(call say,IMAGE,$@)rootfs/build-image $@

$(TOP):
	@mkdir -p $@

# Two commands for a newcomer

setup-run:
	@tests/setup build kernel rootfs rig

setup-test:
	@tests/setup build kernel rootfs rig test

run: setup-run ## boot a microVM, run a small program in it
	@$(MAKE) --no-print-directory -s all $(TOP)/disk.img
	@tests/rig/auto -- $(TOP)/husk run --timing --drive $(TOP)/disk.img -- sh -c "$$(cat rootfs/hello)"

shell: setup-run ## an interactive shell in a microVM
	@$(MAKE) --no-print-directory -s all
	@tests/rig/auto --timeout 0 -- $(TOP)/husk run -- sh -l

$(TOP)/disk.img: | $(TOP)
	@truncate -s 16M $@ && mke2fs -q -t ext4 $@

test: setup-test ## every test, native and in real guests
	@tests/run-all

# Tests, by part

check: units lint ## the quick part: unit tests and static checks

units: $(UNITS) ## unit tests (cmocka), no KVM
	@tests/unit/run $(UNITS)

$(BUILD)/tests/unit/test_%: $(BUILD)/tests/unit/test_%.o $(TEST_LIB_OBJS) $(LIB_OBJS) $(JAILER_LIB_OBJS) $(INIT_LIB_OBJS)
	$(call say,LINK,$@)$(CC) $(filter-out -static-pie,$(LDFLAGS)) -pie -o $@ $^ $(LDLIBS) -lseccomp -lcmocka

guests: $(GUESTS) ## freestanding guests for tests

$(TOP)/guest/%: tests/guest/%.c $(GUEST_LIB) $(wildcard tests/guest/*.h tests/guest/*.ld)
	@mkdir -p $(@D)
	$(GUEST_CC) -o $@ $< $(GUEST_LIB)

# The abuse kit: one guest of several files.
$(TOP)/guest/abuse-kit: $(wildcard tests/abuse/*.c) $(GUEST_LIB) \
		$(wildcard tests/abuse/*.h tests/guest/*.h tests/guest/*.ld)
	@mkdir -p $(@D)
	$(GUEST_CC) -o $@ $(wildcard tests/abuse/*.c) $(GUEST_LIB)

golden: husk ## messages and exit statuses of bad input
	@tests/golden/run $(TOP)/husk

# Benchmarks (tests/bench/run, docs/performance.md)
#
# make bench BENCH="boot memory" BENCH_RUNS=5   some parts of it, so many times

BENCH :=
BENCH_RUNS := 3
BENCHES := $(addprefix $(BUILD)/bench/,stopwatch virtio)
BENCH_VIRTIO_OBJS := $(call objs,$(SHIP),$(wildcard tests/bench/virtio/*.c tests/unit/fake_*.c))
BENCH_IMAGES := $(addprefix $(TOP)/bench/,instant first.img first.cpio jobs.img)
BENCH_GUEST_CC = $(CC) -nostdlib -static -fno-pie -no-pie -Wl,--build-id=none

.PHONY: bench budget bench-docs bench-programs setup-bench

setup-bench:
	@tests/setup build kernel rootfs rig bench

bench: setup-bench ## measure husk, and what else is installed beside it: BENCH="boot memory", BENCH_RUNS=3
	@$(MAKE) --no-print-directory -s all bench-programs
	@tests/bench/run --runs $(BENCH_RUNS) $(BENCH)

budget: $(addprefix $(TOP)/bench/,stopwatch first.img) | all ## fail where a repeatable figure is over its limit
	@tests/bench/budget

bench-docs: ## put the last figures of "make bench" into docs/performance.md
	@tests/bench/docs

bench-programs: $(BENCHES) $(BENCH_IMAGES) ## what "make bench" needs, built only

$(BUILD)/bench/stopwatch: $(BUILD)/tests/bench/stopwatch.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^

$(BUILD)/bench/virtio: $(BENCH_VIRTIO_OBJS) $(filter-out $(SHIP)/vmm/main.o,$(SHIP_OBJS))
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(SHIP_LDFLAGS) -o $@ $^ $(SHIP_LDLIBS)

# Guests of a few instructions: one that needs no kernel, and the init of one that has Linux.
$(TOP)/bench/instant: tests/bench/guest/instant.S tests/guest/guest.ld
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(BENCH_GUEST_CC) -Wl,-T,tests/guest/guest.ld -Wl,-e,start -o $@ $<

$(TOP)/bench/init: tests/bench/guest/init.S
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(BENCH_GUEST_CC) -Wl,-z,noseparate-code -s -o $@ $<

$(TOP)/bench/first.img: $(TOP)/bench/init tests/bench/guest/build-image
	$(call say,IMAGE,$@)tests/bench/guest/build-image $@ $<

$(TOP)/bench/first.cpio: $(TOP)/bench/init
	@mkdir -p $(@D)/initramfs/dev
	@cp $< $(@D)/initramfs/first
	$(call say,IMAGE,$@)cd $(@D)/initramfs && find . | busybox cpio -o -H newc >../first.cpio 2>/dev/null

$(TOP)/bench/jobs.img: $(TOP)/bench/init $(addprefix tests/bench/guest/,build-image job jobs)
	$(call say,IMAGE,$@)tests/bench/guest/build-image $@ $< busybox fio iperf3

-include $(BENCH_VIRTIO_OBJS:.o=.d) $(BUILD)/tests/bench/stopwatch.d

# Probes of the jail

PROBE_OBJS := $(call objs,$(SHIP),$(wildcard tests/jail/probe.c tests/jail/attacks*.c))
PROBE_WRAPS := seccomp_fds_add seccomp_compile seccomp_apply seccomp_print isolate_make supervise \
	supervise_enter confine_limits vm_init machine_load event_loop_run bus_write

probes: $(BUILD)/jail/husk-probe $(BUILD)/jail/filters ## for tests of the jail

# Names of errors, for which musl has no function.
$(SHIP)/tests/jail/probe.o: $(TOP)/jailer/errno_names.inc

$(TOP)/jailer/errno_names.inc:
	@mkdir -p $(@D)
	$(call say,GEN,$@)echo '#include <errno.h>' | $(CC) -E -dM - | \
		sed -n 's/^#define \(E[A-Z0-9]*\) \([0-9]*\)$$/[\2] = "\1",/p' >$@

# husk itself, with a probe put into its threads (tests/jail/probe.h).
$(BUILD)/jail/husk-probe: $(SHIP_OBJS) $(PROBE_OBJS)
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(SHIP_LDFLAGS) $(addprefix -Wl$(comma)--wrap=,$(PROBE_WRAPS)) -o $@ $^ $(SHIP_LDLIBS)

$(BUILD)/jail/filters: $(BUILD)/tests/jail/filters.o
	@mkdir -p $(@D)
	$(call say,LINK,$@)$(CC) $(LDFLAGS) -o $@ $^

-include $(PROBE_OBJS:.o=.d) $(BUILD)/tests/jail/filters.d

# Do the tests notice when the code is wrong?

# All of virtio/ but the backends that need a TAP device or passt.
MUTANTS := $(filter-out virtio/net_tap.c virtio/net_passt.c,$(wildcard virtio/*.c)) vmm/kernel_image.c vmm/boot_x86.c vmm/guest_mem.c vmm/bus.c

mutants: setup-test ## break the code in one place at a time: units must fail (hours; MUTANTS="FILE...")
	@tests/mutants $(MUTANTS)

# For scripts: the value of a variable.
print-%:
	@echo $($*)

# Fuzzers (tests/fuzz/fuzz.h), and what they found before, replayed
#
# make fuzz FUZZ_SECONDS=60 FUZZ_TARGETS="queue blk"   some of them, for that long each
# make fuzz FUZZER=afl                                 by AFL++ instead of libFuzzer

FUZZER := libfuzzer
FUZZ_SECONDS := 60
FUZZ_TARGETS := $(filter-out main,$(patsubst tests/fuzz/fuzz_%.c,%,$(wildcard tests/fuzz/fuzz_*.c)))
FUZZ_CC := $(if $(filter afl,$(FUZZER)),afl-clang-fast,clang)
FUZZ_DIR := $(TOP)/fuzz/$(FUZZER)
FUZZ_CFLAGS := -std=gnu17 -O1 -g $(WARNINGS) -fno-omit-frame-pointer -fsanitize=address,undefined \
	-fno-sanitize-recover=all -fsanitize=fuzzer-no-link
# Log lines and inputs pass through fuzz_main.c.
FUZZ_WRAP := -Wl,--wrap=write,--wrap=LLVMFuzzerTestOneInput
FUZZ_LIB_OBJS := $(LIB_OBJS) $(JAILER_LIB_OBJS) $(TEST_LIB_OBJS) $(BUILD)/tests/fuzz/fuzz_main.o
FUZZ_OBJS := $(patsubst $(BUILD)/%,$(FUZZ_DIR)/%,$(FUZZ_LIB_OBJS))
FUZZERS := $(addprefix $(FUZZ_DIR)/fuzz_,$(FUZZ_TARGETS))
REPLAYS := $(addprefix $(BUILD)/tests/fuzz/replay_,$(FUZZ_TARGETS))

.PHONY: fuzz fuzzers fuzz-minimize replay coverage setup-fuzz

setup-fuzz:
	@tests/setup build fuzz

fuzz: setup-fuzz ## fuzz every parser and device: FUZZ_SECONDS=60, FUZZ_TARGETS="queue blk", FUZZER=afl
	@$(MAKE) --no-print-directory -s fuzzers
	@tests/fuzz/run $(FUZZER) $(FUZZ_SECONDS) $(FUZZ_TARGETS)

fuzzers: $(FUZZERS) ## the fuzzers, built only

fuzz-minimize: setup-fuzz ## add to the tree's corpora what fuzzing found and they do not reach
	@$(MAKE) --no-print-directory -s FUZZER=libfuzzer fuzzers
	@tests/fuzz/minimize $(FUZZ_TARGETS)

replay: $(REPLAYS) ## the tree's corpora, once through
	@for target in $(FUZZ_TARGETS); do \
		$(BUILD)/tests/fuzz/replay_$$target tests/fuzz/corpus/$$target || exit; done

$(BUILD)/tests/fuzz/replay_%: $(BUILD)/tests/fuzz/fuzz_%.o $(BUILD)/tests/fuzz/replay.o $(FUZZ_LIB_OBJS)
	$(call say,LINK,$@)$(CC) $(filter-out -static-pie,$(LDFLAGS)) -pie $(FUZZ_WRAP) -o $@ $^ $(LDLIBS)

$(FUZZ_DIR)/fuzz_%: $(FUZZ_DIR)/tests/fuzz/fuzz_%.o $(FUZZ_OBJS)
	$(call say,LINK,$@)$(FUZZ_CC) -fsanitize=fuzzer -fsanitize=address,undefined $(FUZZ_WRAP) -o $@ $^ $(LDLIBS)

$(FUZZ_DIR)/%.o: %.c
	@mkdir -p $(@D)
	$(call say,CC,$@)$(FUZZ_CC) $(CPPFLAGS) $(FUZZ_CFLAGS) -MMD -MP -c -o $@ $<

$(FUZZ_DIR)/%.o: %.S
	@mkdir -p $(@D)
	$(call say,AS,$@)clang $(CPPFLAGS) -DINIT_BLOB_PATH='"$(TOP)/rootfs/init"' -MMD -MP -c -o $@ $<

$(FUZZ_DIR)/vmm/init_blob.o: $(TOP)/rootfs/init
$(FUZZ_DIR)/jailer/seccomp_policy.o: $(SYSCALL_NAMES)

coverage: ## which lines of virtio/ and of the loaders no test runs; fails under 95 %
	@tests/setup build test fuzz
	@tests/coverage

-include $(FUZZ_OBJS:.o=.d) $(patsubst %,$(FUZZ_DIR)/tests/fuzz/fuzz_%.d,$(FUZZ_TARGETS)) \
	$(patsubst %,$(BUILD)/tests/fuzz/fuzz_%.d,$(FUZZ_TARGETS) main) $(BUILD)/tests/fuzz/replay.d

# Static checks

C_FILES := $(wildcard vmm/*.[ch] virtio/*.[ch] jailer/*.[ch] rootfs/*.[ch] tests/unit/*.[ch] tests/guest/*.[ch] \
	tests/jail/*.[ch] tests/fuzz/*.[ch] tests/abuse/*.[ch] tests/bench/*.c tests/bench/virtio/*.[ch])
TIDY_STAMPS := $(patsubst %.c,$(TOP)/lint/%.tidy,$(filter vmm/%.c virtio/%.c jailer/%.c,$(C_FILES)))

lint: check-layers check-classes $(TOP)/lint/format $(TOP)/lint/cppcheck $(TIDY_STAMPS) ## style and static analysis

$(TOP)/lint/format: $(C_FILES) .clang-format
	@mkdir -p $(@D)
	$(call say,CHECK,clang-format)clang-format --dry-run -Werror $(C_FILES)
	@touch $@

$(TOP)/lint/cppcheck: $(C_FILES)
	@mkdir -p $(@D)
	$(call say,CHECK,cppcheck)cppcheck -q --std=c11 --error-exitcode=1 --inline-suppr --suppressions-list=tests/cppcheck.txt \
		-D__x86_64__ -Ivmm -Ivirtio -Ijailer -Irootfs vmm virtio jailer rootfs
	@touch $@

$(TOP)/lint/%.tidy: %.c .clang-tidy $(wildcard vmm/*.h virtio/*.h jailer/*.h)
	@mkdir -p $(@D)
	$(call say,TIDY,$<)clang-tidy --quiet --warnings-as-errors='*' $< -- -std=gnu17 $(CPPFLAGS) 2>/dev/null
	@touch $@

check-layers: ## who may include whom
	@tests/check-layers

check-classes: ## each class of attack has its tests
	@tests/check-classes

# Installation

install: ## husk with kernel and root file system, under PREFIX; build them first
	@for file in husk husk-jailer vmlinux rootfs.img; do \
		[ -e $(TOP)/$$file ] || { echo "$(TOP)/$$file is missing: run \"make all\" first" >&2; exit 1; }; done
	install -D -s -m 755 $(TOP)/husk $(DESTDIR)$(PREFIX)/bin/husk
	install -D -s -m 755 $(TOP)/husk-jailer $(DESTDIR)$(PREFIX)/bin/husk-jailer
	install -D -m 644 $(TOP)/vmlinux $(DESTDIR)$(PREFIX)/share/husk/vmlinux
	install -D -m 644 $(TOP)/rootfs.img $(DESTDIR)$(PREFIX)/share/husk/rootfs.img

clean: ## what was built here; the kernel's cache stays
	rm -rf $(TOP)

-include $(HUSK_OBJS:.o=.d) $(SHIP_OBJS:.o=.d) $(JAILER_OBJS:.o=.d) $(TEST_LIB_OBJS:.o=.d) $(UNITS:=.d) $(INIT_LIB_OBJS:.o=.d)
