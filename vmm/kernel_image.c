/* SPDX-License-Identifier: Apache-2.0 */
#include "kernel_image.h"

#include <asm/bootparam.h>
#include <elf.h>
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "layout_x86.h"
#include "util.h"

#define ELF_PHDRS_MAX 128
#define ELF_NOTES_MAX 4096 /* bytes of a segment that are searched; a vmlinux has some hundred */
#define XEN_ELFNOTE_PHYS32_ENTRY 18
/* COMMAND_LINE_SIZE of x86, for kernels that do not say. */
#define CMDLINE_MAX_DEFAULT 2047
#define INITRD_ADDR_MAX_DEFAULT 0x7fffffff

#define BZIMAGE_MAGIC_OFFSET 0x202
#define BZIMAGE_HEADER_OFFSET 0x1f1
#define BZIMAGE_MAGIC 0x53726448  /* "HdrS" */
#define BZIMAGE_VERSION_MIN 0x20c /* 2.12, Linux 3.8: xloadflags */
#define BZIMAGE_ENTRY64_OFFSET 0x200
#define SECTOR_SIZE 512

int input_file_open(struct input_file *file, const char *what, const char *path)
{
	/* O_NONBLOCK: a FIFO must not hang us. */
	cleanup_fd int fd = open(path, O_RDONLY | O_CLOEXEC | O_NONBLOCK);
	struct stat st;
	int err;

	*file = (struct input_file){.path = path, .fd = -1};
	if (fd < 0 || fstat(fd, &st)) {
		err = -errno;
		log_error("cannot open %s \"%s\": %s", what, path, strerror(-err));
		return err;
	}
	if (S_ISDIR(st.st_mode)) {
		log_error("%s \"%s\" is a folder, not a file", what, path);
		return -EISDIR;
	}
	if (!S_ISREG(st.st_mode)) {
		log_error("%s \"%s\" is not a regular file", what, path);
		return -EINVAL;
	}
	if (!st.st_size) {
		log_error("%s \"%s\" is empty", what, path);
		return -ENODATA;
	}
	file->fd = steal_fd(&fd);
	file->size = (uint64_t)st.st_size;
	return 0;
}

void input_file_close(struct input_file *file)
{
	close_fd_ptr(&file->fd);
}

int input_file_read(const struct input_file *file, uint64_t offset, void *ret_data, uint64_t len)
{
	uint8_t *at = ret_data;
	ssize_t got;

	if (offset > file->size || len > file->size - offset)
		return -ENODATA;
	while (len) {
		got = pread(file->fd, at, len, (off_t)offset);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return got ? -errno : -ENODATA;
		at += got;
		offset += (uint64_t)got;
		len -= (uint64_t)got;
	}
	return 0;
}

int input_file_load(const struct input_file *file, uint64_t offset, const struct guest_mem *mem,
		    gpa_t gpa, uint64_t len)
{
	const uint64_t head = ALIGN_UP(gpa, GUEST_PAGE_SIZE) - gpa;
	const uint64_t pages = len > head ? ALIGN_DOWN(len - head, GUEST_PAGE_SIZE) : 0;
	uint8_t *dst = guest_mem_ptr(mem, gpa, len);
	int err;

	if (!len)
		return 0;
	if (!dst)
		return -EFAULT;
	/* The last page of a file may end early: beyond that there is nothing to map. */
	if (!pages || (gpa ^ offset) % GUEST_PAGE_SIZE || offset + len > file->size ||
	    guest_mem_map_file(mem, gpa + head, pages, file->fd, offset + head))
		return input_file_read(file, offset, dst, len);
	err = input_file_read(file, offset, dst, head);
	return err ? err
		   : input_file_read(file, offset + head + pages, dst + head + pages,
				     len - head - pages);
}

static int kernel_bad(const struct input_file *file, const char *why)
{
	log_error("kernel \"%s\": %s", file->path, why);
	return -ENOEXEC;
}

static int kernel_too_big(const struct input_file *file, uint64_t end, const struct guest_mem *mem)
{
	log_error("kernel \"%s\" needs memory up to %llu MiB, the guest has %llu MiB; give it more "
		  "with --memory",
		  file->path, (unsigned long long)(ALIGN_UP(end, MIB(1)) >> 20),
		  (unsigned long long)(guest_mem_size(mem) >> 20));
	return -ENOMEM;
}

/* What the notes of an ELF file say about how it is entered. */
struct elf_notes {
	bool is_linux;
	bool has_pvh;
	gpa_t pvh_ip;
};

/* The name of a note, of `size` with its NUL, is `owner`. */
static bool is_owner(const struct input_file *file, uint64_t at, uint64_t size, const char *owner)
{
	char name[8];

	return size == strlen(owner) + 1 && !input_file_read(file, at, name, size) &&
	       !memcmp(name, owner, size);
}

/* Name size, descriptor size, type, name, descriptor, each padded to 4 bytes. */
static void elf_read_notes(const struct input_file *file, const Elf64_Phdr *phdr,
			   struct elf_notes *notes)
{
	uint64_t at = phdr->p_offset, end, name, desc;
	Elf64_Nhdr note;
	uint32_t entry;

	if (add_overflows(at, MIN(phdr->p_filesz, (uint64_t)ELF_NOTES_MAX), &end))
		return;
	while (at < end && !input_file_read(file, at, &note, sizeof(note))) {
		name = at + sizeof(note);
		desc = name + ALIGN_UP((uint64_t)note.n_namesz, 4);
		at = desc + ALIGN_UP((uint64_t)note.n_descsz, 4);
		if (is_owner(file, name, note.n_namesz, "Linux"))
			notes->is_linux = true;
		if (note.n_type == XEN_ELFNOTE_PHYS32_ENTRY && note.n_descsz >= sizeof(entry) &&
		    !notes->has_pvh && is_owner(file, name, note.n_namesz, "Xen") &&
		    !input_file_read(file, desc, &entry, sizeof(entry))) {
			notes->has_pvh = true;
			notes->pvh_ip = entry;
		}
	}
}

static int elf_load_segment(struct kernel_image *image, const struct input_file *file,
			    const Elf64_Phdr *phdr, const struct guest_mem *mem)
{
	uint64_t end, file_end;
	int err;

	if (phdr->p_filesz > phdr->p_memsz)
		return kernel_bad(file, "a segment has more bytes in the file than in memory");
	if (!phdr->p_memsz)
		return 0;
	if (add_overflows(phdr->p_offset, phdr->p_filesz, &file_end) || file_end > file->size)
		return kernel_bad(file, "is truncated: a segment ends past the end of the file");
	if (add_overflows(phdr->p_paddr, phdr->p_memsz, &end))
		return kernel_bad(file, "a segment wraps around the end of memory");
	if (phdr->p_paddr < HIGH_MEMORY_ADDR)
		return kernel_bad(file,
				  "a segment lies below 1 MiB, where husk puts its own tables");
	/* Rising order, so that no segment can cover another. */
	if (phdr->p_paddr < image->end)
		return kernel_bad(file, "segments overlap or are not in rising order");
	if (!guest_mem_ptr(mem, phdr->p_paddr, phdr->p_memsz))
		return kernel_too_big(file, end, mem);
	/*
	 * Code and constants are shared by all VMs that run this kernel. Data is written at boot: a
	 * copy at once is cheaper than one page by page, each by two faults.
	 */
	if (phdr->p_flags & PF_W)
		err = input_file_read(file, phdr->p_offset,
				      guest_mem_ptr(mem, phdr->p_paddr, phdr->p_memsz),
				      phdr->p_filesz);
	else
		err = input_file_load(file, phdr->p_offset, mem, phdr->p_paddr, phdr->p_filesz);
	if (err)
		return kernel_bad(file, "cannot be read to its end");
	if (!image->end)
		image->start = phdr->p_paddr;
	image->end = end;
	return 0;
}

static int elf_load(struct kernel_image *image, const struct input_file *file,
		    const struct guest_mem *mem)
{
	Elf64_Ehdr ehdr;
	Elf64_Phdr phdr;
	struct elf_notes notes = {0};
	uint64_t i;
	int err;

	if (input_file_read(file, 0, &ehdr, sizeof(ehdr)))
		return kernel_bad(file, "is truncated: its ELF header is not complete");
	if (ehdr.e_ident[EI_CLASS] != ELFCLASS64 || ehdr.e_ident[EI_DATA] != ELFDATA2LSB ||
	    ehdr.e_machine != EM_X86_64)
		return kernel_bad(file, "is an ELF file, but not for 64-bit x86");
	if (ehdr.e_type != ET_EXEC || ehdr.e_phentsize != sizeof(phdr) || !ehdr.e_phnum ||
	    ehdr.e_phnum > ELF_PHDRS_MAX)
		return kernel_bad(file, "is an ELF file, but not a bootable executable");
	image->entry = CPU_ENTRY_LINUX64;
	image->ip = ehdr.e_entry;
	for (i = 0; i < ehdr.e_phnum; i++) {
		uint64_t at;

		if (add_overflows(ehdr.e_phoff, i * sizeof(phdr), &at) ||
		    input_file_read(file, at, &phdr, sizeof(phdr)))
			return kernel_bad(file,
					  "is truncated: its program headers are not complete");
		if (phdr.p_type == PT_NOTE)
			elf_read_notes(file, &phdr, &notes);
		if (phdr.p_type != PT_LOAD)
			continue;
		err = elf_load_segment(image, file, &phdr, mem);
		if (err)
			return err;
	}
	if (!image->end)
		return kernel_bad(file, "has no segment to load");
	/*
	 * The ELF entry of Linux is the one of its 64-bit protocol. By way of PVH it first looks
	 * for Xen, which takes 256 exits.
	 */
	if (notes.has_pvh && !notes.is_linux) {
		image->entry = CPU_ENTRY_PVH;
		image->ip = notes.pvh_ip;
	}
	image->cmdline_max = CMDLINE_MAX_DEFAULT;
	image->initrd_addr_max = INITRD_ADDR_MAX_DEFAULT;
	return 0;
}

static int bzimage_load(struct kernel_image *image, const struct input_file *file,
			const struct guest_mem *mem)
{
	struct setup_header header;
	uint64_t setup_size, code_size, header_size, end, addr = HIGH_MEMORY_ADDR;
	uint8_t *dst;

	if (input_file_read(file, BZIMAGE_HEADER_OFFSET, &header, sizeof(header)))
		return kernel_bad(file, "is truncated: its setup header is not complete");
	if (header.version < BZIMAGE_VERSION_MIN || !(header.xloadflags & XLF_KERNEL_64) ||
	    !(header.loadflags & LOADED_HIGH))
		return kernel_bad(
			file, "is a bzImage without a 64-bit entry (x86-64, Linux 3.8 or later)");
	setup_size = ((header.setup_sects ? header.setup_sects : 4) + 1ull) * SECTOR_SIZE;
	if (setup_size >= file->size)
		return kernel_bad(file, "is truncated: it ends within its setup code");
	code_size = file->size - setup_size;
	/* syssize is in paragraphs of 16 bytes; what may follow it is a signature. */
	if (code_size < (uint64_t)header.syssize * 16 || code_size <= BZIMAGE_ENTRY64_OFFSET)
		return kernel_bad(file, "is truncated: it is shorter than its header says");
	if (header.relocatable_kernel)
		addr = header.pref_address;
	if (header.pref_address < HIGH_MEMORY_ADDR || header.pref_address >= HOLE_ADDR)
		return kernel_bad(file, "wants to be loaded where a guest has no memory");
	/* A kernel that is not relocatable moves itself to where it wants to be. */
	end = MAX(addr + code_size, header.pref_address + header.init_size);
	dst = guest_mem_ptr(mem, addr, end - addr);
	if (!dst)
		return kernel_too_big(file, end, mem);
	if (input_file_read(file, setup_size, dst, code_size))
		return kernel_bad(file, "cannot be read to its end");

	image->entry = CPU_ENTRY_LINUX64;
	image->ip = addr + BZIMAGE_ENTRY64_OFFSET;
	image->start = addr;
	image->end = end;
	image->cmdline_max = header.cmdline_size;
	image->initrd_addr_max = header.initrd_addr_max;
	/* Up to where its own jump over the header leads; after that comes code. */
	header_size = BZIMAGE_MAGIC_OFFSET + (header.jump >> 8) - BZIMAGE_HEADER_OFFSET;
	image->setup_header_size = MIN(header_size, sizeof(header));
	memcpy(image->setup_header, &header, image->setup_header_size);
	return 0;
}

/* gzip, xz or zstd, the ways distributions wrap a vmlinux. */
static bool is_compressed(const uint8_t start[SELFMAG])
{
	return !memcmp(start, "\037\213", 2) || !memcmp(start, "\3757zX", 4) ||
	       !memcmp(start, "\050\265\057\375", 4);
}

int kernel_image_load(struct kernel_image *image, const struct input_file *file,
		      const struct guest_mem *mem)
{
	uint8_t start[SELFMAG];
	uint32_t magic;
	int err;

	*image = (struct kernel_image){0};
	if (input_file_read(file, 0, start, sizeof(start)))
		return kernel_bad(file, "is too short to be a kernel");
	if (!memcmp(start, ELFMAG, SELFMAG))
		err = elf_load(image, file, mem);
	else if (!input_file_read(file, BZIMAGE_MAGIC_OFFSET, &magic, sizeof(magic)) &&
		 magic == BZIMAGE_MAGIC)
		err = bzimage_load(image, file, mem);
	else if (is_compressed(start))
		return kernel_bad(file, "is compressed as a whole; unpack it first");
	else
		return kernel_bad(file, "is not a kernel: neither an ELF vmlinux nor a bzImage");
	if (err)
		return err;
	if (!guest_mem_ptr(mem, image->ip, 1) || image->ip < image->start ||
	    image->ip >= image->end)
		return kernel_bad(file, "its entry point is not inside of what it loads");
	/* A first vCPU begins with 4 GiB of memory mapped. */
	if (image->ip >= HOLE_END)
		return kernel_bad(file, "its entry point is not below 4 GiB");
	return 0;
}
