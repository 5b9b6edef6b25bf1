/* SPDX-License-Identifier: Apache-2.0 */
/*
 * jansson is linked as the distribution compiled it: with glibc's headers and _FORTIFY_SOURCE,
 * which turn some of its calls into those below. musl, with which husk is linked, has none of them.
 * As glibc's do, they end the program where a destination is smaller than the caller says.
 *
 * What else jansson, libcap and liburing need of a C library is the same in both: on x86-64, musl
 * keeps to glibc's ABI. A function that it lacks fails to link.
 *
 * Silent, any thread.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

int __snprintf_chk(char *to, size_t max, int flag, size_t size, const char *fmt, ...);
int __vsnprintf_chk(char *to, size_t max, int flag, size_t size, const char *fmt, va_list args);
char *__strncpy_chk(char *to, const char *from, size_t max, size_t size);

int __attribute__((format(printf, 5, 0)))
__vsnprintf_chk(char *to, size_t max, int flag, size_t size, const char *fmt, va_list args)
{
	(void)flag; /* forbids %n: whose formats are constant has none */
	if (max > size)
		abort();
	return vsnprintf(to, max, fmt, args);
}

int __attribute__((format(printf, 5, 6)))
__snprintf_chk(char *to, size_t max, int flag, size_t size, const char *fmt, ...)
{
	va_list args;
	int length;

	va_start(args, fmt);
	length = __vsnprintf_chk(to, max, flag, size, fmt, args);
	va_end(args);
	return length;
}

char *__strncpy_chk(char *to, const char *from, size_t max, size_t size)
{
	if (max > size)
		abort();
	return strncpy(to, from, max);
}
