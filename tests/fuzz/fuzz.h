/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What all fuzzers share. A fuzzer is one file, fuzz_NAME.c, with LLVMFuzzerTestOneInput: it takes
 * one input, does with it what a guest (or a file, or a user) could do, and checks what must hold
 * whatever the input was. A breach ends the process. libFuzzer, AFL++ and tests/fuzz/replay.c,
 * which only replays files, all call the same function.
 *
 * An input is read as a program: numbers are taken off its front, and zeroes follow its end. So
 * each input means something, and a small change of it is a small change of what happens.
 */
#ifndef HUSK_TESTS_FUZZ_H
#define HUSK_TESTS_FUZZ_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FUZZ_CHECK(cond) \
	do { \
		if (!(cond)) { \
			fprintf(stderr, "%s:%d: does not hold: %s\n", __FILE__, __LINE__, #cond); \
			abort(); \
		} \
	} while (0)

/* Once per process, before the first input; optional. 0. */
int LLVMFuzzerInitialize(int *argc, char ***argv);
/* One input; 0. It leaves nothing behind: no descriptor, no memory, no state. */
int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/*
 * Steps taken so far: register accesses, requests, parsed files, whatever one step of this fuzzer
 * is. Defined by fuzz_main.c, which adds up those of all runs.
 */
extern uint64_t fuzz_steps;

/* What is left of an input. */
struct fuzz_input {
	const uint8_t *data;
	size_t size;
};

/* Takes the next `len` bytes; zeroes where there are none left. */
static inline void fuzz_take(struct fuzz_input *in, void *ret, size_t len)
{
	size_t part = len < in->size ? len : in->size;

	memset(ret, 0, len);
	if (part)
		memcpy(ret, in->data, part);
	in->data += part;
	in->size -= part;
}

static inline uint8_t fuzz_u8(struct fuzz_input *in)
{
	uint8_t value;

	fuzz_take(in, &value, sizeof(value));
	return value;
}

static inline uint16_t fuzz_u16(struct fuzz_input *in)
{
	uint16_t value;

	fuzz_take(in, &value, sizeof(value));
	return value;
}

static inline uint32_t fuzz_u32(struct fuzz_input *in)
{
	uint32_t value;

	fuzz_take(in, &value, sizeof(value));
	return value;
}

static inline uint64_t fuzz_u64(struct fuzz_input *in)
{
	uint64_t value;

	fuzz_take(in, &value, sizeof(value));
	return value;
}

#endif
