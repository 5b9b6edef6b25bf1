/* SPDX-License-Identifier: Apache-2.0 */
#include "guest_mem.h"

#include <errno.h>
#include <stddef.h>
#include <string.h>
#include <sys/mman.h>

#include "util.h"

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
	mem->regions[mem->nr_regions++] = (struct guest_region){gpa, size, host};
	return 0;
}

int guest_mem_map(struct guest_mem *mem, gpa_t gpa, uint64_t size)
{
	void *host;
	int err;

	host = mmap(NULL, size, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE,
		    -1, 0);
	if (host == MAP_FAILED)
		return -errno;
	/* A guest's memory is not for core files, nor for a child. */
	madvise(host, size, MADV_DONTDUMP);
	madvise(host, size, MADV_DONTFORK);
	err = guest_mem_add(mem, gpa, size, host);
	if (err)
		munmap(host, size);
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
	unsigned int i;

	if (!len)
		return NULL;
	for (i = 0; i < mem->nr_regions; i++) {
		const struct guest_region *region = &mem->regions[i];
		uint64_t offset = gpa - region->gpa;

		/* Written so that no sum can wrap. */
		if (gpa >= region->gpa && offset < region->size && len <= region->size - offset)
			return region->host + offset;
	}
	return NULL;
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
