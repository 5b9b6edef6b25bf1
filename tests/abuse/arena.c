/* SPDX-License-Identifier: Apache-2.0 */
#include "kit.h"

#define GAP 128
#define ARENA_SIZE (96u << 10)
#define CANARY 0x5cc55cc55cc55cc5

static uint64_t arena[ARENA_SIZE / 8] __attribute__((aligned(4096)));
/* Which words are canaries: [end of a piece, begin of the next). */
static struct {
	uint32_t begin, end;
} pieces[128];
static unsigned int nr_pieces, nr_kept;

/* Memory far from all buffers, too: what a wild length or a wrapped address would hit. */
static const uint64_t far_places[] = {0, 0x40000, 0x1000000, 0x2000000};
#define FAR_WORDS 8

uint64_t arena_written, arena_value;

static void paint(uint64_t *at, uint64_t words)
{
	for (; words; words--)
		*at++ = CANARY;
}

/* Whether all are canaries; paints over those that are not. The first of them is told of. */
static bool check_words(uint64_t *at, uint64_t words, bool intact)
{
	for (; words; words--, at++) {
		uint64_t found = *(volatile uint64_t *)at;

		if (found == CANARY)
			continue;
		if (intact) {
			arena_written = (uint64_t)at;
			arena_value = found;
		}
		intact = false;
		*at = CANARY;
	}
	return intact;
}

void *arena_take(size_t size, size_t align)
{
	uint32_t begin = nr_pieces ? pieces[nr_pieces - 1].end : 0;
	size_t i;

	if (!nr_pieces) {
		paint(arena, ARRAY_SIZE(arena));
		for (i = 0; i < ARRAY_SIZE(far_places); i++)
			paint((uint64_t *)far_places[i], FAR_WORDS);
	}
	begin = (uint32_t)((begin * 8 + GAP + align - 1) / align * align);
	pieces[nr_pieces].begin = begin / 8;
	/* Up to the last whole word: a canary begins less than a word behind a piece. */
	pieces[nr_pieces].end = (uint32_t)(begin + size + 7) / 8;
	if (nr_pieces + 1 == ARRAY_SIZE(pieces) ||
	    pieces[nr_pieces].end + GAP / 8 > ARRAY_SIZE(arena)) {
		print("the arena is too small\n");
		guest_end();
	}
	nr_pieces++;
	return (char *)arena + begin;
}

void arena_keep(void)
{
	nr_kept = nr_pieces;
}

void arena_release(void)
{
	for (; nr_pieces > nr_kept; nr_pieces--)
		paint(arena + pieces[nr_pieces - 1].begin,
		      pieces[nr_pieces - 1].end - pieces[nr_pieces - 1].begin);
}

bool arena_intact(void)
{
	uint32_t from = 0;
	unsigned int i;
	bool intact = true;

	for (i = 0; i < nr_pieces; i++) {
		intact = check_words(arena + from, pieces[i].begin - from, intact);
		from = pieces[i].end;
	}
	intact = check_words(arena + from, ARRAY_SIZE(arena) - from, intact);
	for (i = 0; i < ARRAY_SIZE(far_places); i++)
		intact = check_words((uint64_t *)far_places[i], FAR_WORDS, intact);
	return intact;
}
