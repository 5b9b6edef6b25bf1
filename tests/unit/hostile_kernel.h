/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Kernels and initrds made to harm who loads them. Guest RAM lies between pages nobody may touch.
 * What is refused is refused before the start, with one line; what is taken leaves husk's own
 * tables whole.
 */
#ifndef HUSK_TESTS_HOSTILE_KERNEL_H
#define HUSK_TESTS_HOSTILE_KERNEL_H

#include "boot_x86.h"
#include "capture.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "layout_x86.h"
#include "util.h"

#define RAM MIB(64)
#define KERNEL 0x1000000ull
#define KERNEL_MEM 0x100000ull
#define TEXT 64
#define CMDLINE "quiet panic=-1"

/* Small, and valid; tests spoil copies. */
struct elf {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr[3]; /* text, data, notes */
	Elf64_Nhdr note;
	char name[4];
	uint32_t entry;
	uint8_t text[TEXT], data[TEXT];
} __attribute__((packed));

struct bzimage {
	uint8_t sector[0x1f1];
	struct setup_header header;
	uint8_t pad[1024 - 0x1f1 - sizeof(struct setup_header)];
	uint8_t code[1024];
} __attribute__((packed));

struct vm {
	struct guest_mem mem;
	struct input_file kernel, initrd;
	struct boot_spec spec;
	struct cpu_start start;
	char *host; /* RAM */
	struct capture capture;
};

static struct vm vm;

static inline struct elf elf_good(void)
{
	struct elf elf = {
		.ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_entry = KERNEL,
			 .e_phoff = offsetof(struct elf, phdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = 3},
		.phdr = {{.p_type = PT_LOAD,
			  .p_offset = offsetof(struct elf, text),
			  .p_paddr = KERNEL,
			  .p_filesz = TEXT,
			  .p_memsz = TEXT},
			 {.p_type = PT_LOAD,
			  .p_offset = offsetof(struct elf, data),
			  .p_paddr = KERNEL + 4096,
			  .p_filesz = TEXT,
			  .p_memsz = KERNEL_MEM - 4096},
			 {.p_type = PT_NOTE,
			  .p_offset = offsetof(struct elf, note),
			  .p_filesz = 20}},
		.note = {4, 4, 18},
		.name = "Xen",
		.entry = KERNEL + 1,
	};

	memset(elf.text, 0x90, TEXT);
	memset(elf.data, 0xda, TEXT);
	return elf;
}

static inline struct bzimage bzimage_good(void)
{
	struct bzimage bz = {
		.header = {.setup_sects = 1,
			   .syssize = sizeof(bz.code) / 16,
			   .boot_flag = 0xaa55,
			   .jump = 0x6aeb,
			   .header = 0x53726448,
			   .version = 0x20f,
			   .loadflags = LOADED_HIGH,
			   .initrd_addr_max = 0x7fffffff,
			   .kernel_alignment = 0x200000,
			   .relocatable_kernel = 1,
			   .xloadflags = XLF_KERNEL_64,
			   .cmdline_size = 2047,
			   .pref_address = KERNEL,
			   .init_size = KERNEL_MEM},
	};

	memset(bz.code, 0x90, sizeof(bz.code));
	return bz;
}

static inline struct input_file file_new(const void *data, uint64_t size)
{
	struct input_file file = {
		.path = "file", .fd = memfd_create("file", MFD_CLOEXEC), .size = size};

	assert_true(file.fd >= 0);
	assert_int_equal(ftruncate(file.fd, (off_t)size), 0);
	if (data)
		assert_int_equal(pwrite(file.fd, data, size, 0), size);
	return file;
}

static inline void vm_new(const void *kernel, uint64_t size)
{
	char *host = mmap(NULL, RAM + 2 * GUEST_PAGE_SIZE, PROT_NONE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	assert_true(host != MAP_FAILED);
	vm = (struct vm){.kernel = file_new(kernel, size),
			 .initrd = {.fd = -1},
			 .host = host + GUEST_PAGE_SIZE};
	assert_int_equal(mprotect(vm.host, RAM, PROT_READ | PROT_WRITE), 0);
	assert_int_equal(guest_mem_add(&vm.mem, 0, RAM, vm.host), 0);
	vm.spec = (struct boot_spec){.kernel = &vm.kernel, .cmdline = CMDLINE, .nr_cpus = 1};
}

static inline void vm_free(void)
{
	munmap(vm.host - GUEST_PAGE_SIZE, RAM + 2 * GUEST_PAGE_SIZE);
	input_file_close(&vm.kernel);
	input_file_close(&vm.initrd);
}

/* 0 or the refusal, which is one line of a bounded length, without control characters. */
static inline int vm_load(void)
{
	const char *at;
	int err;

	capture_begin(&vm.capture, STDERR_FILENO);
	err = boot_x86_load(&vm.spec, &vm.mem, &vm.start);
	capture_end(&vm.capture);
	assert_int_equal(capture_lines(&vm.capture), err ? 1 : 0);
	assert_true(strlen(vm.capture.text) <= 1024);
	for (at = vm.capture.text; *at; at++)
		assert_true((*at >= ' ' && *at <= '~') || (*at == '\n' && !at[1]));
	if (err)
		return err;
	/* It begins in its own memory; what husk put below is there. */
	assert_in_range(vm.start.ip, HIGH_MEMORY_ADDR, RAM - 1);
	assert_memory_equal(vm.host + CMDLINE_ADDR, CMDLINE, sizeof(CMDLINE));
	assert_memory_equal(vm.host + ACPI_ADDR, "RSD PTR ", 8);
	assert_memory_equal(vm.host + MPTABLE_ADDR, "_MP_", 4);
	assert_int_equal(vm.host[PAGE_TABLES_ADDR] & 1, vm.start.entry == CPU_ENTRY_LINUX64);
	return 0;
}

#endif
