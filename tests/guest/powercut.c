/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Writes record after record to its disk, of several sectors each, and tells the number of each one
 * that is on stable storage, until somebody pulls the plug. tests/faults/powercut.py looks at the
 * disk then, and has the format. "through" does without FLUSH: what is answered is to be stable.
 */
#include "virtio.h"

#define RECORD_SECTORS 32
#define SECTOR_WORDS (SECTOR_SIZE / sizeof(uint64_t))
#define SLOTS 16
#define FLUSH (1ull << VIRTIO_BLK_F_FLUSH)

static uint64_t record[RECORD_SECTORS][SECTOR_WORDS];

/* No sector of a record is like that of another, or like another sector of it. */
static void record_make(uint64_t number)
{
	uint64_t i;

	for (i = 0; i < RECORD_SECTORS; i++) {
		void *at = record[i];
		uint64_t left = SECTOR_WORDS;

		/* One instruction: where KVM emulates, a loop takes long. */
		__asm__ volatile("rep stosq"
				 : "+D"(at), "+c"(left)
				 : "a"(number * 0x9e3779b97f4a7c15 + i)
				 : "memory");
	}
}

void guest_main(const void *info)
{
	const char *cmdline = guest_cmdline(info), *words = cmdline;
	const uint64_t flush = cmdline_has(cmdline, "through") ? 0 : FLUSH;
	uint64_t window = virtio_next(&words), number;
	uint8_t status = 0;

	if (!virtio_negotiate(window, 1ull << VIRTIO_F_VERSION_1 | flush))
		return;
	virtio_start(window);
	for (number = 1; !status; number++) {
		record_make(number);
		status = blk_request(window, VIRTIO_BLK_T_OUT, number % SLOTS * RECORD_SECTORS,
				     record, sizeof(record));
		if (!status && flush)
			status = blk_request(window, VIRTIO_BLK_T_FLUSH, 0, NULL, 0);
		if (!status) {
			print_number(number);
			print("\n");
		}
	}
	print("refused\n");
}
