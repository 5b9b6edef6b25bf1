/* SPDX-License-Identifier: Apache-2.0 */
/* From a configuration into RAM, and what stops on the way. */
#include "capture.h"

#include <dlfcn.h>
#include <elf.h>
#include <errno.h>
#include <stdio.h>

#include "layout_x86.h"
#include "payload.h"
#include "util.h"

/* What a command line grows in; this program has its own realloc. */
static enum { MEMORY, NO_MEMORY, NO_MORE_MEMORY } host;

void *own_realloc(void *memory, size_t size) __asm__("realloc");
void *own_realloc(void *memory, size_t size)
{
	void *(*real)(void *memory, size_t size) = NULL;

	if (host == NO_MEMORY || (host == NO_MORE_MEMORY && memory))
		return NULL;
	*(void **)&real = dlsym(RTLD_NEXT, "realloc");
	return real(memory, size);
}

static const struct {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
} elf = {
	.ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
		 .e_type = ET_EXEC,
		 .e_machine = EM_X86_64,
		 .e_entry = 0x1000000,
		 .e_phoff = sizeof(Elf64_Ehdr),
		 .e_phentsize = sizeof(Elf64_Phdr),
		 .e_phnum = 1},
	.phdr = {.p_type = PT_LOAD, .p_paddr = 0x1000000, .p_filesz = 64, .p_memsz = 4096},
};

struct boot {
	struct vm_config config;
	struct input_file kernel, initrd;
	struct payload_spec spec;
	struct guest_mem mem;
	struct cpu_start start;
	struct capture capture;
};

static char *command[] = {(char[]){"true"}, NULL};

static void boot_new(struct boot *vm, enum config_mode mode)
{
	static const struct platform_device serial = {PLATFORM_SERIAL, COM1_PORT, COM1_IRQ};

	host = MEMORY;
	*vm = (struct boot){
		.config = {.mode = mode, .cpus = 1, .memory = MIB(64), .argv = command},
		.kernel = {"kernel", memfd_create("kernel", MFD_CLOEXEC), sizeof(elf)},
		.initrd = {.fd = -1},
	};
	assert_int_equal(write(vm->kernel.fd, &elf, sizeof(elf)), sizeof(elf));
	assert_int_equal(guest_mem_map(&vm->mem, 0, vm->config.memory), 0);
	vm->spec = (struct payload_spec){.config = &vm->config,
					 .devices = &serial,
					 .nr_devices = 1,
					 .kernel = &vm->kernel,
					 .initrd = &vm->initrd};
}

static int boot_load(struct boot *vm)
{
	int err;

	capture_begin(&vm->capture, STDERR_FILENO);
	err = payload_load(&vm->spec, &vm->mem, &vm->start);
	capture_end(&vm->capture);
	assert_int_equal(capture_lines(&vm->capture), err ? 1 : 0);
	return err;
}

static void boot_free(struct boot *vm)
{
	guest_mem_fini(&vm->mem);
	input_file_close(&vm->kernel);
	input_file_close(&vm->initrd);
}

static uint64_t initrd_size(const struct boot *vm)
{
	uint32_t size = 0;

	/* ramdisk_size in boot_params */
	assert_int_equal(guest_mem_read(&vm->mem, BOOT_PARAMS_ADDR + 0x21c, &size, sizeof(size)),
			 0);
	return size;
}

/* husk run brings its own init; a config file boots what it names, and no more. */
static void what_a_guest_finds(void **state)
{
	char cmdline[5];
	struct boot vm;

	(void)state;
	boot_new(&vm, CONFIG_RUN);
	assert_int_equal(boot_load(&vm), 0);
	assert_int_equal(vm.start.ip, 0x1000000);
	assert_int_equal(guest_mem_size(&vm.mem), MIB(64));
	assert_true(initrd_size(&vm) > 4096);
	assert_int_equal(guest_mem_read(&vm.mem, CMDLINE_ADDR, cmdline, 5), 0);
	assert_memory_equal(cmdline, "conso", 5);
	boot_free(&vm);

	boot_new(&vm, CONFIG_FILE);
	assert_int_equal(boot_load(&vm), 0);
	assert_int_equal(initrd_size(&vm), 0);
	boot_free(&vm);

	boot_new(&vm, CONFIG_FILE);
	vm.initrd = (struct input_file){"initrd", memfd_create("initrd", MFD_CLOEXEC), 100};
	assert_int_equal(ftruncate(vm.initrd.fd, 100), 0);
	assert_int_equal(boot_load(&vm), 0);
	assert_int_equal(initrd_size(&vm), 100);
	boot_free(&vm);
}

static void a_host_without_memory(void **state)
{
	char text[1000];
	struct boot vm;
	unsigned int i;
	int err;

	(void)state;
	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	for (i = NO_MEMORY; i <= NO_MORE_MEMORY; i++) {
		boot_new(&vm, CONFIG_RUN);
		vm.config.cmdline = text;
		host = i;
		err = boot_load(&vm);
		host = MEMORY;
		assert_int_equal(err, -ENOMEM);
		assert_non_null(strstr(vm.capture.text, "out of memory"));
		boot_free(&vm);
	}
}

static void a_kernel_that_is_none(void **state)
{
	struct boot vm;

	(void)state;
	boot_new(&vm, CONFIG_RUN);
	vm.kernel.size = 10;
	assert_int_equal(boot_load(&vm), -ENOEXEC);
	boot_free(&vm);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_a_guest_finds),
		cmocka_unit_test(a_host_without_memory),
		cmocka_unit_test(a_kernel_that_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
