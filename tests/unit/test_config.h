/* SPDX-License-Identifier: Apache-2.0 */
/* For the tests of config_parse: runs it on a list of words and catches what it prints. */
#ifndef HUSK_TEST_CONFIG_H
#define HUSK_TEST_CONFIG_H

#include "config.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#define WORDS_MAX 32

struct parsed {
	struct vm_config config;
	char *argv[WORDS_MAX + 1];
	int status;
	char err[2048]; /* what went to standard error */
};

/* Parses the words, NULL-terminated, behind "husk". End with parsed_fini. */
static inline void parse_words(struct parsed *parsed, const char *const *words)
{
	int err = memfd_create("stderr", MFD_CLOEXEC);
	int saved = dup(STDERR_FILENO);
	ssize_t len;
	int argc = 0;

	assert_true(err >= 0 && saved >= 0);
	parsed->argv[argc++] = strdup("husk");
	while (*words && argc < WORDS_MAX)
		parsed->argv[argc++] = strdup(*words++);
	assert_null(*words);
	parsed->argv[argc] = NULL;
	memset(&parsed->config, 0xa5, sizeof(parsed->config));
	assert_int_equal(dup2(err, STDERR_FILENO), STDERR_FILENO);
	parsed->status = config_parse(&parsed->config, argc, parsed->argv);
	assert_int_equal(dup2(saved, STDERR_FILENO), STDERR_FILENO);
	close(saved);
	len = pread(err, parsed->err, sizeof(parsed->err) - 1, 0);
	assert_true(len >= 0);
	parsed->err[len] = '\0';
	close(err);
}

static inline void parsed_fini(struct parsed *parsed)
{
	size_t i;

	config_fini(&parsed->config);
	for (i = 0; parsed->argv[i]; i++)
		free(parsed->argv[i]);
}

/* A refusal: this status, one line with `text` in it, and nothing left to free. */
static inline void assert_refused(const struct parsed *parsed, int status, const char *text)
{
	static const struct vm_config nothing;

	if (parsed->status != status || !strstr(parsed->err, text))
		print_error("status %d: %s", parsed->status, parsed->err);
	assert_int_equal(parsed->status, status);
	assert_non_null(strstr(parsed->err, text));
	assert_ptr_equal(strchr(parsed->err, '\n'), parsed->err + strlen(parsed->err) - 1);
	assert_memory_equal(&parsed->config, &nothing, sizeof(nothing));
}

static inline void assert_accepted(const struct parsed *parsed)
{
	assert_string_equal(parsed->err, "");
	assert_int_equal(parsed->status, 0);
}

#endif
