/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_mem.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "util.h"

/* The region that all of [gpa, gpa + len) lies in, or NULL. */
static const struct guest_region *guest_mem_find(const struct guest_mem *mem, gpa_t gpa,
						 uint64_t len)
{
	unsigned int i;

	if (!len)
		return NULL;
	for (i = 0; i < mem->nr_regions; i++) {
		const struct guest_region *region = &mem->regions[i];
		uint64_t offset = gpa - region->gpa;

		/* Written so that no sum can wrap. */
		if (gpa >= region->gpa && offset < region->size && len <= region->size - offset)
			return region;
	}
	return NULL;
}

int guest_mem_add(struct guest_mem *mem, gpa_t gpa, uint64_t size, void *host)
{
	const struct guest_region *last;
	uint64_t end;

	if (!size || (gpa | size) % GUEST_PAGE_SIZE || add_overflows(gpa, size, &end))
		return -EINVAL;
	if (mem->nr_regions == GUEST_MEM_REGIONS_MAX)
		return -ENOSPC;
	if (mem->nr_regions) {
		last = &mem->regions[mem->nr_regions - 1];
		if (gpa <= last->gpa + last->size)
			return -EINVAL;
	}
	mem->regions[mem->nr_regions++] = (struct guest_region){gpa, size, host, false};
	return 0;
}

/* A guest's memory is not for core files, nor for a child. */
static void keep_private(void *host, uint64_t size)
{
	madvise(host, size, MADV_DONTDUMP);
	madvise(host, size, MADV_DONTFORK);
}

static void *map_fresh(uint64_t size)
{
	return mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
}

/* Fresh memory at an address that is `gpa` modulo the size of a huge page. */
static void *map_aligned(gpa_t gpa, uint64_t size)
{
	const uint64_t slack = GUEST_HUGE_PAGE_SIZE - GUEST_PAGE_SIZE;
	uint8_t *all = map_fresh(size);
	uint64_t head;

	/* Linux 6.7 and later put what is so large on such a boundary by themselves. */
	if (all == MAP_FAILED || (gpa - (uintptr_t)all) % GUEST_HUGE_PAGE_SIZE == 0)
		return all;
	munmap(all, size);
	all = map_fresh(size + slack);
	if (all == MAP_FAILED)
		return MAP_FAILED;
	head = (gpa - (uintptr_t)all) % GUEST_HUGE_PAGE_SIZE;
	if (head)
		munmap(all, head);
	if (head < slack)
		munmap(all + head + size, slack - head);
	return all + head;
}

int guest_mem_map(struct guest_mem *mem, gpa_t gpa, uint64_t size)
{
	void *host = map_aligned(gpa, size);
	int err;

	if (host == MAP_FAILED)
		return -errno;
	keep_private(host, size);
	err = guest_mem_add(mem, gpa, size, host);
	if (err)
		munmap(host, size);
	else
		mem->regions[mem->nr_regions - 1].owned = true;
	return err;
}

static void advise(const struct guest_mem *mem, gpa_t gpa, uint64_t size, int advice)
{
	const struct guest_region *region = guest_mem_find(mem, gpa, size);

	if (region && region->owned)
		madvise(region->host + (gpa - region->gpa), size, advice);
}

void guest_mem_small_pages(const struct guest_mem *mem, gpa_t gpa, uint64_t size)
{
	advise(mem, gpa, size, MADV_NOHUGEPAGE);
}

void guest_mem_huge_pages(const struct guest_mem *mem, gpa_t gpa, uint64_t size)
{
	advise(mem, gpa, size, MADV_HUGEPAGE);
}

int guest_mem_map_file(const struct guest_mem *mem, gpa_t gpa, uint64_t size, int fd,
		       uint64_t offset)
{
	const struct guest_region *region = guest_mem_find(mem, gpa, size);
	void *host;
	int err = 0;

	if (!region)
		return -EFAULT;
	if (!region->owned)
		return -ENOTSUP;
	host = region->host + (gpa - region->gpa);
	if (mmap(host, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_FIXED | MAP_NORESERVE, fd,
		 (off_t)offset) == MAP_FAILED) {
		err = -errno;
		/* Some kernels have taken away by then what was there. */
		if (mmap(host, size, PROT_READ | PROT_WRITE,
			 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1,
			 0) == MAP_FAILED)
			return err;
	}
	keep_private(host, size);
	return err;
}

void guest_mem_fini(struct guest_mem *mem)
{
	while (mem->nr_regions) {
		struct guest_region *region = &mem->regions[--mem->nr_regions];

		munmap(region->host, region->size);
	}
}

uint64_t guest_mem_size(const struct guest_mem *mem)
{
	uint64_t size = 0;
	unsigned int i;

	for (i = 0; i < mem->nr_regions; i++)
		size += mem->regions[i].size;
	return size;
}

void *guest_mem_ptr(const struct guest_mem *mem, gpa_t gpa, uint64_t len)
{
	const struct guest_region *region = guest_mem_find(mem, gpa, len);

	return region ? region->host + (gpa - region->gpa) : NULL;
}

int guest_mem_read(const struct guest_mem *mem, gpa_t gpa, void *ret_data, uint64_t len)
{
	const void *src = guest_mem_ptr(mem, gpa, len);

	if (!len)
		return 0;
	if (!src)
		return -EFAULT;
	memcpy(ret_data, src, len);
	return 0;
}

int guest_mem_write(const struct guest_mem *mem, gpa_t gpa, const void *data, uint64_t len)
{
	void *dst = guest_mem_ptr(mem, gpa, len);

	if (!len)
		return 0;
	if (!dst)
		return -EFAULT;
	memcpy(dst, data, len);
	return 0;
}
