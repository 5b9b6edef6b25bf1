/* SPDX-License-Identifier: Apache-2.0 */
/*
 * replay_NAME FILE|FOLDER...: runs one fuzzer on those files, and on those in the folders. An
 * ordinary program, for any compiler and sanitizer.
 */
#include "fuzz.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>

/* For fuzzers that have none of their own. */
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	(void)argc;
	(void)argv;
	return 0;
}

static void __attribute__((noreturn)) fail(const char *path)
{
	fprintf(stderr, "%s: %s\n", path, strerror(errno));
	exit(1);
}

static void replay_file(const char *path)
{
	FILE *file = fopen(path, "re");
	uint8_t *data = NULL;
	long size;

	if (!file || fseek(file, 0, SEEK_END) || (size = ftell(file)) < 0)
		fail(path);
	rewind(file);
	/* Of just its size, so that a sanitizer sees each access past it. */
	data = malloc((size_t)size);
	if (fread(data, 1, (size_t)size, file) != (size_t)size)
		fail(path);
	fclose(file);
	LLVMFuzzerTestOneInput(data, (size_t)size);
	free(data);
}

static unsigned int replay(const char *path)
{
	char below[PATH_MAX];
	struct dirent *entry;
	unsigned int nr = 0;
	DIR *dir = opendir(path);

	if (!dir && errno != ENOTDIR)
		fail(path);
	if (!dir) {
		replay_file(path);
		return 1;
	}
	while ((entry = readdir(dir))) {
		if (*entry->d_name == '.')
			continue;
		if (snprintf(below, sizeof(below), "%s/%s", path, entry->d_name) >=
		    (int)sizeof(below))
			continue;
		replay_file(below);
		nr++;
	}
	closedir(dir);
	return nr;
}

int main(int argc, char **argv)
{
	unsigned int nr = 0;
	int i;

	LLVMFuzzerInitialize(&argc, &argv);
	for (i = 1; i < argc; i++)
		nr += replay(argv[i]);
	fprintf(stderr, "%-24s %4u inputs %10llu steps\n", program_invocation_short_name, nr,
		(unsigned long long)fuzz_steps);
	return !nr;
}
