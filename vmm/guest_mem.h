/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Guest RAM: the one place where a guest address becomes a pointer.
 *
 * Silent. The map is built before the first vCPU runs and is read-only from then on, so any
 * thread may use it without a lock. What the pointers lead to is shared with a hostile guest:
 * copy first, then check, then use.
 */
#ifndef HUSK_GUEST_MEM_H
#define HUSK_GUEST_MEM_H

#include <stdbool.h>
#include <stdint.h>

#define GUEST_HUGE_PAGE_SIZE (2ull << 20)

/* A guest physical address. */
typedef uint64_t gpa_t;

#define GUEST_MEM_REGIONS_MAX 4
#define GUEST_PAGE_SIZE 4096ull

struct guest_region {
	gpa_t gpa;
	uint64_t size;
	uint8_t *host;
	bool owned; /* by guest_mem_map */
};

/* Regions are sorted by address, do not overlap and do not touch. */
struct guest_mem {
	struct guest_region regions[GUEST_MEM_REGIONS_MAX];
	unsigned int nr_regions;
};

/*
 * Adds the region [gpa, gpa + size), which `host` (borrowed) backs. Regions are added in
 * rising order. 0; -EINVAL if empty, unaligned, wrapping, or not above the last one; -ENOSPC.
 */
int guest_mem_add(struct guest_mem *mem, gpa_t gpa, uint64_t size, void *host);

/*
 * Maps `size` bytes of fresh, zeroed, private memory (not reserved: the host pays for what
 * the guest touches) and adds them at gpa. Host and guest addresses agree modulo 2 MiB, without
 * which KVM could not map huge pages. 0 or -errno. guest_mem_fini unmaps every region that was made
 * so.
 */
int guest_mem_map(struct guest_mem *mem, gpa_t gpa, uint64_t size);

/*
 * Has the host back this part of one region by small or by huge pages; a wish, which cannot fail,
 * and is for memory that guest_mem_map made.
 */
void guest_mem_small_pages(const struct guest_mem *mem, gpa_t gpa, uint64_t size);
void guest_mem_huge_pages(const struct guest_mem *mem, gpa_t gpa, uint64_t size);

/*
 * Puts [offset, offset + size) of a file in place of the memory at gpa, without a copy: pages that
 * nobody writes are shared with all who map the file, and what is written stays here. All are
 * multiples of the page size. The file is to stay as it is for as long as the VM lives, as that of
 * a running program. 0; -EFAULT outside of one region; -ENOTSUP for memory that guest_mem_map did
 * not make; -errno of mmap, and the memory is zeroed.
 */
int guest_mem_map_file(const struct guest_mem *mem, gpa_t gpa, uint64_t size, int fd,
		       uint64_t offset);

/* Unmaps all regions; for memory that was mapped by guest_mem_map only. */
void guest_mem_fini(struct guest_mem *mem);

/* Sum of all regions, in bytes. */
uint64_t guest_mem_size(const struct guest_mem *mem);

/*
 * The host address of [gpa, gpa + len), or NULL unless all of it lies inside one region.
 * NULL too for len 0, which has no address. Valid for the life of `mem`.
 */
void *guest_mem_ptr(const struct guest_mem *mem, gpa_t gpa, uint64_t len);

/* Copies out of and into guest RAM. 0, or -EFAULT with nothing copied. len may be 0. */
int guest_mem_read(const struct guest_mem *mem, gpa_t gpa, void *ret_data, uint64_t len);
int guest_mem_write(const struct guest_mem *mem, gpa_t gpa, const void *data, uint64_t len);

#endif
