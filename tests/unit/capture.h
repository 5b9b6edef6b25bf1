/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of what logs: catches what is written to a standard stream. */
#ifndef HUSK_TEST_CAPTURE_H
#define HUSK_TEST_CAPTURE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

struct capture {
	int target; /* the stream's descriptor */
	int saved, file;
	char text[8192]; /* after capture_end */
};

static inline void capture_begin(struct capture *capture, int target)
{
	capture->target = target;
	capture->file = memfd_create("capture", MFD_CLOEXEC);
	capture->saved = dup(target);
	assert_true(capture->file >= 0 && capture->saved >= 0);
	assert_int_equal(dup2(capture->file, target), target);
}

static inline void capture_end(struct capture *capture)
{
	ssize_t len;

	assert_int_equal(dup2(capture->saved, capture->target), capture->target);
	len = pread(capture->file, capture->text, sizeof(capture->text) - 1, 0);
	assert_true(len >= 0);
	capture->text[len] = '\0';
	close(capture->saved);
	close(capture->file);
}

static inline unsigned int capture_lines(const struct capture *capture)
{
	const char *at = capture->text;
	unsigned int lines = 0;

	while ((at = strchr(at, '\n'))) {
		at++;
		lines++;
	}
	return lines;
}

#endif
