/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Small helpers over files. Silent; one thread.
 */
#ifndef HUSK_INIT_FILE_H
#define HUSK_INIT_FILE_H

#include <stddef.h>

/*
 * Read a whole file of any size; works for those of /proc and /sys, too. Returns its bytes, a NUL
 * byte after them, or NULL with errno set. The caller owns them. ret_len may be NULL.
 */
char *file_read(const char *path, size_t *ret_len);

/* Replace a file's content. Returns 0 or -errno. */
int file_write(const char *path, const char *text);

#endif
