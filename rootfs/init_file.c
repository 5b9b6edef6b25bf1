/* SPDX-License-Identifier: Apache-2.0 */
#include "init_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

/* Read fd to its end; size is a first guess. */
static char *fd_read_all(int fd, size_t size, size_t *ret_len)
{
	char *text = malloc(size + 1), *bigger;
	size_t len = 0;
	ssize_t n;

	while (text && (n = read(fd, text + len, size - len)) != 0) {
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			free(text);
			return NULL;
		}
		len += (size_t)n;
		if (len < size)
			continue;
		size *= 2;
		bigger = realloc(text, size + 1);
		if (!bigger)
			free(text);
		text = bigger;
	}
	if (text) {
		text[len] = '\0';
		*ret_len = len;
	}
	return text;
}

char *file_read(const char *path, size_t *ret_len)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), err;
	size_t len;
	char *text;

	if (fd < 0)
		return NULL;
	text = fd_read_all(fd, 4096, ret_len ? ret_len : &len);
	err = errno;
	close(fd);
	errno = err;
	return text;
}

int file_write(const char *path, const char *text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644), err = 0;
	size_t len = strlen(text);

	if (fd < 0)
		return -errno;
	if (write(fd, text, len) != (ssize_t)len)
		err = -errno;
	close(fd);
	return err;
}
