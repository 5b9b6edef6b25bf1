/* SPDX-License-Identifier: Apache-2.0 */
/* Files, and ELF kernels. */
#include "test_kernel.h"

#include <sys/mman.h>
#include <sys/syscall.h>

/* What reads of files do; this program has its own pread. */
static struct {
	size_t most; /* bytes at once; 0: as many as are asked for */
	unsigned int interrupts;
	int error;
} host;

ssize_t own_pread(int fd, void *ret_data, size_t len, off_t offset) __asm__("pread");
ssize_t own_pread(int fd, void *ret_data, size_t len, off_t offset)
{
	if (host.interrupts) {
		host.interrupts--;
		errno = EINTR;
		return -1;
	}
	if (host.error) {
		errno = host.error;
		return -1;
	}
	return syscall(SYS_pread64, fd, ret_data, host.most ? MIN(len, host.most) : len, offset);
}

#define PHDRS 4
#define TEXT_OFFSET 0x1000
#define TEXT_SIZE 0x800
#define NOTE_OFFSET 0x400

/* A whole small kernel; tests spoil a copy of it. */
struct elf_file {
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr[PHDRS]; /* text, data, notes, something else */
	uint8_t pad1[NOTE_OFFSET - sizeof(Elf64_Ehdr) - PHDRS * sizeof(Elf64_Phdr)];
	Elf64_Nhdr other, pvh;
	char pvh_name[4];
	uint64_t pvh_entry;
	uint8_t pad2[TEXT_OFFSET - NOTE_OFFSET - 2 * sizeof(Elf64_Nhdr) - 12];
	uint8_t text[TEXT_SIZE];
	uint8_t data[100];
} __attribute__((packed));

static struct elf_file elf_good(void)
{
	struct elf_file elf = {
		.ehdr = {.e_ident = {0x7f, 'E', 'L', 'F', ELFCLASS64, ELFDATA2LSB, EV_CURRENT},
			 .e_type = ET_EXEC,
			 .e_machine = EM_X86_64,
			 .e_entry = 0x1000100,
			 .e_phoff = offsetof(struct elf_file, phdr),
			 .e_phentsize = sizeof(Elf64_Phdr),
			 .e_phnum = PHDRS},
		.phdr = {{.p_type = PT_LOAD,
			  .p_offset = TEXT_OFFSET,
			  .p_paddr = 0x1000000,
			  .p_filesz = TEXT_SIZE,
			  .p_memsz = TEXT_SIZE},
			 {.p_type = PT_LOAD,
			  .p_offset = TEXT_OFFSET + TEXT_SIZE,
			  .p_paddr = 0x1002000,
			  .p_filesz = 100,
			  .p_memsz = 0x3000},
			 {.p_type = PT_NOTE, .p_offset = NOTE_OFFSET, .p_filesz = 36},
			 {.p_type = PT_GNU_STACK}},
		.other = {0, 0, 7},
		.pvh = {4, 8, 18},
		.pvh_name = "Xen",
		.pvh_entry = 0x1000200,
	};

	memset(elf.text, 0x90, sizeof(elf.text));
	memset(elf.data, 0xda, sizeof(elf.data));
	return elf;
}

static void elf_is_loaded(void **state)
{
	struct elf_file elf = elf_good();
	uint8_t *ram = guest_mem_ptr(&mem, 0, RAM);

	(void)state;
	assert_int_equal(load(&elf, sizeof(elf)), 0);
	assert_int_equal(image.entry, CPU_ENTRY_PVH);
	assert_int_equal(image.ip, 0x1000200);
	assert_int_equal(image.end, 0x1005000);
	assert_int_equal(image.setup_header_size, 0);
	assert_int_equal(image.cmdline_max, 2047);
	assert_memory_equal(ram + 0x1000000, elf.text, sizeof(elf.text));
	assert_memory_equal(ram + 0x1002000, elf.data, sizeof(elf.data));
	assert_int_equal(ram[0x1002000 + 100], 0);
	assert_int_equal(ram[0x1000000 + TEXT_SIZE], 0);
	/* Linux: at its 64-bit entry, whatever the order of the notes. Others are not taken for it.
	 */
	elf.phdr[3].p_type = PT_NOTE;
	elf.phdr[3].p_offset = offsetof(struct elf_file, pad2);
	elf.phdr[3].p_filesz = 24;
	memcpy(elf.pad2, &(Elf64_Nhdr){6, 4, 0x101}, sizeof(Elf64_Nhdr));
	memcpy(elf.pad2 + sizeof(Elf64_Nhdr), "Linux", 6);
	assert_int_equal(load(&elf, sizeof(elf)), 0);
	assert_int_equal(image.entry, CPU_ENTRY_LINUX64);
	assert_int_equal(image.ip, 0x1000100);
	elf.pad2[sizeof(Elf64_Nhdr)] = 'l';
	assert_int_equal(load(&elf, sizeof(elf)), 0);
	assert_int_equal(image.entry, CPU_ENTRY_PVH);
	/* Without any note, at its 64-bit entry. */
	elf.phdr[2].p_type = PT_NULL;
	assert_int_equal(load(&elf, sizeof(elf)), 0);
	assert_int_equal(image.entry, CPU_ENTRY_LINUX64);
	assert_int_equal(image.ip, 0x1000100);
}

/*
 * What a segment of code holds besides whole pages is read, whatever its bounds, and what is behind
 * it stays as it was. A file whose offsets do not fit is read as a whole.
 */
static void pages_are_mapped_the_rest_is_read(void **state)
{
	static const struct {
		uint64_t gpa, offset, len;
		bool mapped;
	} cases[] = {
		{MIB(16), 4096, 3 * 4096, true},  {MIB(16), 4096, 3 * 4096 - 1, true},
		{MIB(16), 4096, 4096 + 1, true},  {MIB(16) + 5, 4096 + 5, 2 * 4096, true},
		{MIB(16) + 5, 4101, 4091, false}, {MIB(16), 4097, 2 * 4096, false},
		{MIB(16) + 4095, 8191, 2, false}, {MIB(16), 0, 1, false},
		{RAM - 4096, 4096, 4096, true},	  {MIB(16), 4096, 0, false},
	};
	static uint8_t bytes[5 * 4096];
	uint8_t *ram = guest_mem_ptr(&mem, 0, RAM);
	size_t i, at;

	(void)state;
	for (at = 0; at < sizeof(bytes); at++)
		bytes[at] = (uint8_t)(at * 7 + at / 256);
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		const uint64_t gpa = cases[i].gpa, len = cases[i].len;
		const uint64_t end = MIN(gpa + len + 64, RAM);
		struct input_file file = {"kernel", memfd_create("kernel", MFD_CLOEXEC),
					  sizeof(bytes)};

		assert_int_equal(write(file.fd, bytes, sizeof(bytes)), sizeof(bytes));
		memset(ram + gpa - 64, 'x', end - gpa + 64);
		assert_int_equal(input_file_load(&file, cases[i].offset, &mem, gpa, len), 0);
		assert_memory_equal(ram + gpa, bytes + cases[i].offset, len);
		for (at = gpa - 64; at < end; at++)
			assert_true((at >= gpa && at < gpa + len) || ram[at] == 'x');
		/* A page that is mapped follows the file. */
		at = ALIGN_UP(gpa, 4096);
		assert_int_equal(pwrite(file.fd, "?", 1, (off_t)(cases[i].offset + at - gpa)), 1);
		assert_true(!len || (ram[at] == '?' && bytes[cases[i].offset + at - gpa] != '?') ==
					    cases[i].mapped);
		close(file.fd);
		/* Fresh memory again. */
		assert_ptr_equal(mmap(ram + MIB(15), RAM - MIB(15), PROT_READ | PROT_WRITE,
				      MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
				 ram + MIB(15));
	}
	assert_int_equal(
		input_file_load(&(struct input_file){"kernel", -1, 4096}, 0, &mem, RAM - 100, 200),
		-EFAULT);
}

/* Each is one change of a good file. */
static void elf_headers(void **state)
{
	struct {
		size_t offset;
		unsigned int size;
		uint64_t value;
		int err;
	} cases[] = {
#define EHDR(member, value, err) \
	{offsetof(Elf64_Ehdr, member), sizeof(((Elf64_Ehdr *)0)->member), value, err}
#define PHDR(n, member, value, err) \
	{ \
		offsetof(struct elf_file, phdr[n].member), sizeof(((Elf64_Phdr *)0)->member), \
			value, err \
	}
		{EI_CLASS, 1, ELFCLASS32, -ENOEXEC},
		{EI_DATA, 1, ELFDATA2MSB, -ENOEXEC},
		{EI_MAG1, 1, 'e', -ENOEXEC},
		EHDR(e_machine, EM_AARCH64, -ENOEXEC),
		EHDR(e_type, ET_DYN, -ENOEXEC),
		EHDR(e_type, ET_REL, -ENOEXEC),
		EHDR(e_phentsize, 32, -ENOEXEC),
		EHDR(e_phnum, 0, -ENOEXEC),
		EHDR(e_phnum, 129, -ENOEXEC),
		EHDR(e_phnum, 0xffff, -ENOEXEC),
		EHDR(e_phnum, 128, -ENOEXEC), /* past the file's end */
		EHDR(e_phoff, UINT64_MAX, -ENOEXEC),
		EHDR(e_phoff, UINT64_MAX - 100, -ENOEXEC),
		EHDR(e_phoff, sizeof(struct elf_file), -ENOEXEC),
		/* Nothing to load. */
		{offsetof(struct elf_file, phdr[0].p_memsz), 8, 0, -ENOEXEC}, /* filesz is more */
		PHDR(0, p_type, PT_NULL, -ENOEXEC),			      /* no entry then */
		/* Order, size, place. */
		PHDR(1, p_paddr, 0x1000000 + TEXT_SIZE, 0),
		PHDR(1, p_paddr, 0x1000000 + TEXT_SIZE - 1, -ENOEXEC),
		PHDR(1, p_paddr, 0x900000, -ENOEXEC),
		PHDR(1, p_filesz, 0x3001, -ENOEXEC),
		PHDR(1, p_filesz, 101, -ENOEXEC), /* truncated by one byte */
		PHDR(1, p_filesz, 0, 0),
		PHDR(1, p_offset, UINT64_MAX, -ENOEXEC),
		PHDR(1, p_offset, UINT64_MAX - 99, -ENOEXEC),
		PHDR(1, p_paddr, UINT64_MAX, -ENOEXEC),
		PHDR(1, p_paddr, UINT64_MAX - 0x2fff, -ENOEXEC),
		PHDR(1, p_memsz, UINT64_MAX, -ENOEXEC),
		PHDR(0, p_paddr, HIGH_MEMORY_ADDR - 1, -ENOEXEC),
		PHDR(0, p_paddr, 0, -ENOEXEC),
		PHDR(1, p_paddr, RAM - 0x3000, 0),
		PHDR(1, p_paddr, RAM - 0x2fff, -ENOMEM),
		PHDR(1, p_paddr, RAM, -ENOMEM),
		PHDR(1, p_paddr, HOLE_ADDR, -ENOMEM),
		PHDR(1, p_memsz, GIB(1), -ENOMEM),
		/* The entry. */
		{offsetof(struct elf_file, pvh_entry), 8, 0x1005000, -ENOEXEC},
		{offsetof(struct elf_file, pvh_entry), 8, 0x1004fff, 0},
		{offsetof(struct elf_file, pvh_entry), 8, 0xffffff, -ENOEXEC},
		{offsetof(struct elf_file, pvh_entry), 8, 0x1000000, 0},
		{offsetof(struct elf_file, pvh_entry), 8, 0, -ENOEXEC},
		{offsetof(struct elf_file, pvh_entry), 8, 0xffffffff, -ENOEXEC},
		EHDR(e_entry, 0, 0), /* not used */
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct elf_file elf = elf_good();
		int err;

		memcpy((uint8_t *)&elf + cases[i].offset, &cases[i].value, cases[i].size);
		err = load(&elf, sizeof(elf));
		if (err != cases[i].err)
			print_error("case %zu: %s", i, capture.text);
		assert_int_equal(err, cases[i].err);
	}
}

static void elf_with_nothing_to_load(void **state)
{
	struct elf_file elf = elf_good();

	(void)state;
	elf.phdr[0].p_memsz = elf.phdr[0].p_filesz = 0;
	assert_int_equal(load(&elf, sizeof(elf)), -ENOEXEC); /* the entry was in there */
	elf.phdr[1].p_memsz = elf.phdr[1].p_filesz = 0;
	assert_int_equal(load(&elf, sizeof(elf)), -ENOEXEC);
	elf.phdr[0].p_type = elf.phdr[1].p_type = PT_NULL;
	assert_int_equal(load(&elf, sizeof(elf)), -ENOEXEC);
}

/* Notes that are not what they should be leave the 64-bit entry. */
static void elf_notes(void **state)
{
	static const struct {
		Elf64_Nhdr other, pvh;
		const char *name;
		uint64_t offset, filesz;
		enum cpu_entry entry;
	} cases[] = {
		{{0, 0, 7}, {4, 8, 18}, "Xen", NOTE_OFFSET, 36, CPU_ENTRY_PVH},
		{{0, 0, 7}, {4, 4, 18}, "Xen", NOTE_OFFSET, 36, CPU_ENTRY_PVH},
		{{0, 0, 7}, {4, 3, 18}, "Xen", NOTE_OFFSET, 36, CPU_ENTRY_LINUX64},
		{{0, 0, 7}, {4, 8, 17}, "Xen", NOTE_OFFSET, 36, CPU_ENTRY_LINUX64},
		{{0, 0, 7}, {4, 8, 18}, "Xem", NOTE_OFFSET, 36, CPU_ENTRY_LINUX64},
		{{0, 0, 7}, {3, 8, 18}, "Xen", NOTE_OFFSET, 36, CPU_ENTRY_LINUX64},
		{{0, 0, 7}, {4, 8, 18}, "Xen", NOTE_OFFSET, 12, CPU_ENTRY_LINUX64},
		{{0, 0, 7}, {4, 8, 18}, "Xen", NOTE_OFFSET, 0, CPU_ENTRY_LINUX64},
		{{0, 0, 7}, {4, 8, 18}, "Xen", UINT64_MAX, 36, CPU_ENTRY_LINUX64},
		{{0, 0, 7}, {4, 8, 18}, "Xen", UINT64_MAX - 40, UINT64_MAX, CPU_ENTRY_LINUX64},
		{{0, 0, 7}, {4, 8, 18}, "Xen", sizeof(struct elf_file), 36, CPU_ENTRY_LINUX64},
		{{0, 0, 7}, {4, 8, 18}, "Xen", NOTE_OFFSET, UINT64_MAX / 2, CPU_ENTRY_PVH},
		/* The note before leads somewhere else. */
		{{UINT32_MAX, 0, 7}, {4, 8, 18}, "Xen", NOTE_OFFSET, 36, CPU_ENTRY_LINUX64},
		{{0, UINT32_MAX, 7}, {4, 8, 18}, "Xen", NOTE_OFFSET, 36, CPU_ENTRY_LINUX64},
		{{UINT32_MAX, UINT32_MAX, 18},
		 {4, 8, 18},
		 "Xen",
		 NOTE_OFFSET,
		 UINT64_MAX / 2,
		 CPU_ENTRY_LINUX64},
		{{0, 0, 7}, {4, UINT32_MAX, 18}, "Xen", NOTE_OFFSET, 36, CPU_ENTRY_PVH},
	};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(cases); i++) {
		struct elf_file elf = elf_good();

		elf.other = cases[i].other;
		elf.pvh = cases[i].pvh;
		memcpy(elf.pvh_name, cases[i].name, 4);
		elf.phdr[2].p_offset = cases[i].offset;
		elf.phdr[2].p_filesz = cases[i].filesz;
		assert_int_equal(load(&elf, sizeof(elf)), 0);
		if (image.entry != cases[i].entry)
			print_error("case %zu\n", i);
		assert_int_equal(image.entry, cases[i].entry);
	}
}

/* A huge segment of empty notes takes no time. */
static void elf_endless_notes(void **state)
{
	struct elf_file elf = elf_good();
	struct input_file file = {.path = "kernel", .fd = memfd_create("kernel", MFD_CLOEXEC)};
	uint64_t start = clock_now_ns();

	(void)state;
	elf.phdr[2].p_offset = MIB(1);
	elf.phdr[2].p_filesz = GIB(1024);
	assert_int_equal(write(file.fd, &elf, sizeof(elf)), sizeof(elf));
	file.size = GIB(1025);
	assert_int_equal(ftruncate(file.fd, (off_t)file.size), 0);
	assert_int_equal(kernel_image_load(&image, &file, &mem), 0);
	assert_int_equal(image.entry, CPU_ENTRY_LINUX64);
	assert_true(clock_now_ns() - start < 5000000000ull);
	input_file_close(&file);
}

static void every_truncation_of_an_elf(void **state)
{
	struct elf_file elf = elf_good();
	size_t size;

	(void)state;
	/* In steps, where there is only padding or text. */
	for (size = 1; size < sizeof(elf); size += size < 0x440 || size > 0x17f0 ? 1 : 16)
		assert_int_equal(load(&elf, size), -ENOEXEC);
}

static void random_damage(void **state)
{
	struct elf_file elf;
	unsigned int round, i, good = 0;

	(void)state;
	srandom(1);
	for (round = 0; round < 3000; round++) {
		elf = elf_good();
		for (i = 0; i < 1 + round % 4; i++)
			((uint8_t *)&elf)[random() % (NOTE_OFFSET + 36)] = (uint8_t)random();
		good += !load(&elf, sizeof(elf));
	}
	assert_true(good > 0 && good < round);
}

static void not_kernels(void **state)
{
	static const char *const texts[] = {
		"\037\213\b", "\3757zXZ", "\050\265\057\375", "#!/bin/sh\n", "\177ELF", "MZ", "a"};
	uint8_t data[4096];
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(texts); i++) {
		memset(data, 0, sizeof(data));
		memcpy(data, texts[i], strlen(texts[i]));
		assert_int_equal(load(data, sizeof(data)), -ENOEXEC);
		assert_int_equal(!!strstr(capture.text, "unpack it first"), i < 3);
		assert_int_equal(load(data, strlen(texts[i])), -ENOEXEC);
	}
}

static int open_file(const char *path, struct input_file *file)
{
	int err;

	capture_begin(&capture, STDERR_FILENO);
	err = input_file_open(file, "kernel", path);
	capture_end(&capture);
	assert_int_equal(capture_lines(&capture), err ? 1 : 0);
	assert_int_equal(file->fd >= 0, !err);
	input_file_close(file);
	input_file_close(file);
	return err;
}

static void files_that_cannot_be_read(void **state)
{
	char dir[] = "/tmp/husk-kernel-XXXXXX", path[64];
	struct input_file file;
	int fd;

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(path, sizeof(path), "%s/file", dir);
	assert_int_equal(open_file(path, &file), -ENOENT);
	assert_int_equal(open_file(dir, &file), -EISDIR);
	assert_int_equal(mkfifo(path, 0600), 0);
	assert_int_equal(open_file(path, &file), -EINVAL); /* and does not wait for a writer */
	unlink(path);
	assert_int_equal(open_file("/dev/null", &file), -EINVAL);
	fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_int_equal(open_file(path, &file), -ENODATA);
	assert_int_equal(write(fd, "abc", 3), 3);
	assert_int_equal(open_file(path, &file), 0);
	assert_int_equal(file.size, 3);
	if (geteuid()) {
		fchmod(fd, 0);
		assert_int_equal(open_file(path, &file), -EACCES);
	}
	close(fd);
	unlink(path);
	rmdir(dir);
}

static void reads_are_within_the_file(void **state)
{
	struct input_file file = {
		.path = "file", .fd = memfd_create("file", MFD_CLOEXEC), .size = 6};
	char text[8] = "";

	(void)state;
	/* It grew since. */
	assert_int_equal(write(file.fd, "abcdefgh", 8), 8);
	assert_int_equal(input_file_read(&file, 2, text, 4), 0);
	assert_string_equal(text, "cdef");
	assert_int_equal(input_file_read(&file, 6, text, 0), 0);
	assert_int_equal(input_file_read(&file, 3, text, 4), -ENODATA);
	assert_int_equal(input_file_read(&file, 7, text, 0), -ENODATA);
	assert_int_equal(input_file_read(&file, UINT64_MAX, text, 2), -ENODATA);
	assert_int_equal(input_file_read(&file, 2, text, UINT64_MAX), -ENODATA);
	/* It shrank since. */
	assert_int_equal(ftruncate(file.fd, 4), 0);
	errno = EINTR; /* of an older call */
	assert_int_equal(input_file_read(&file, 2, text, 4), -ENODATA);
	input_file_close(&file);
}

/* However little the host gives at once, and however often it is interrupted. */
static void reads_are_whole(void **state)
{
	struct input_file file = {
		.path = "file", .fd = memfd_create("file", MFD_CLOEXEC), .size = 100};
	uint8_t in[100], out[100];
	size_t i;
	int fd;

	(void)state;
	for (i = 0; i < sizeof(in); i++)
		in[i] = (uint8_t)(i + 1);
	assert_int_equal(write(file.fd, in, sizeof(in)), sizeof(in));
	memset(out, 0, sizeof(out));
	host.most = 7;
	host.interrupts = 3;
	assert_int_equal(input_file_read(&file, 10, out, 80), 0);
	assert_int_equal(host.interrupts, 0);
	assert_memory_equal(out, in + 10, 80);
	assert_int_equal(out[80], 0);
	host.error = EIO;
	assert_int_equal(input_file_read(&file, 10, out, 80), -EIO);
	host.most = 0;
	host.error = 0;
	fd = file.fd;
	input_file_close(&file);
	assert_int_equal(fcntl(fd, F_GETFD), -1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		image_test(elf_is_loaded),
		image_test(pages_are_mapped_the_rest_is_read),
		image_test(elf_headers),
		image_test(elf_with_nothing_to_load),
		image_test(elf_notes),
		image_test(elf_endless_notes),
		image_test(every_truncation_of_an_elf),
		image_test(random_damage),
		image_test(not_kernels),
		cmocka_unit_test(files_that_cannot_be_read),
		cmocka_unit_test(reads_are_within_the_file),
		cmocka_unit_test(reads_are_whole),
	};

	alarm(60); /* a hang is a failure */
	return cmocka_run_group_tests(tests, NULL, NULL);
}
