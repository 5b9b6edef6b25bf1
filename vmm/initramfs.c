/* SPDX-License-Identifier: Apache-2.0 */
#include "initramfs.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "link.h"
#include "util.h"

/* The guest's init, put into husk by init_blob.S: the two can never be of different versions. */
extern const uint8_t init_blob[];
extern const uint64_t init_blob_size;

#define MODE_DIR 0040755u
#define MODE_FILE 0100644u
#define MODE_PROGRAM 0100755u

static int buffer_append(struct buffer *buffer, const void *data, size_t len)
{
	if (len > buffer->capacity - buffer->len) {
		size_t capacity = MAX(2 * buffer->capacity, buffer->len + len + 4096);
		uint8_t *grown = realloc(buffer->data, capacity);

		if (!grown)
			return -ENOMEM;
		buffer->data = grown;
		buffer->capacity = capacity;
	}
	memcpy(buffer->data + buffer->len, data, len);
	buffer->len += len;
	return 0;
}

static int buffer_pad4(struct buffer *buffer)
{
	return buffer_append(buffer, "\0\0\0", -buffer->len % 4);
}

/* One entry of the "newc" format: a header of hex digits, the name, the data, each padded to 4. */
static int cpio_add(struct buffer *cpio, const char *name, unsigned int mode, const void *data,
		    size_t len)
{
	char header[6 + 13 * 8 + 1];
	size_t name_len = strlen(name) + 1;
	int err;

	if (len > UINT32_MAX)
		return -ENOMEM;
	snprintf(header, sizeof(header),
		 "070701%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x%08x", 0u, mode, 0u, 0u, 1u,
		 0u, (uint32_t)len, 0u, 0u, 0u, 0u, (uint32_t)name_len, 0u);
	err = buffer_append(cpio, header, sizeof(header) - 1);
	if (!err)
		err = buffer_append(cpio, name, name_len);
	if (!err)
		err = buffer_pad4(cpio);
	if (!err && len)
		err = buffer_append(cpio, data, len);
	if (!err)
		err = buffer_pad4(cpio);
	return err;
}

static int run_add(struct buffer *run, const char *key, const char *value)
{
	int err = buffer_append(run, key, strlen(key));

	return err ? err : buffer_append(run, value, strlen(value) + 1);
}

static int run_add_number(struct buffer *run, const char *key, unsigned int value)
{
	char text[16];

	snprintf(text, sizeof(text), "%u", value);
	return run_add(run, key, text);
}

static int run_build(const struct run_spec *spec, struct buffer *run)
{
	char *const *at;
	int err = run_add_number(run, "tty=", spec->tty);

	if (!err && spec->tty)
		err = run_add_number(run, "rows=", spec->rows);
	if (!err && spec->tty)
		err = run_add_number(run, "cols=", spec->cols);
	if (!err && spec->workdir)
		err = run_add(run, "cwd=", spec->workdir);
	for (at = spec->env; !err && at && *at; at++)
		err = run_add(run, "env=", *at);
	for (at = spec->argv; !err && *at; at++)
		err = run_add(run, "arg=", *at);
	return err;
}

int initramfs_build(const struct run_spec *spec, struct buffer *ret_cpio)
{
	struct buffer run = {0}, cpio = {0};
	int err = run_build(spec, &run);

	/*
	 * The kernel opens /dev/console for its init. It gets an empty file, in place of the device
	 * that is there: to open a serial port costs 35 exits, and init uses the other one.
	 */
	if (!err)
		err = cpio_add(&cpio, "dev", MODE_DIR, NULL, 0);
	if (!err)
		err = cpio_add(&cpio, "dev/console", MODE_FILE, NULL, 0);
	if (!err)
		err = cpio_add(&cpio, "husk", MODE_DIR, NULL, 0);
	if (!err)
		err = cpio_add(&cpio, &LINK_INIT_PATH[1], MODE_PROGRAM, init_blob, init_blob_size);
	if (!err)
		err = cpio_add(&cpio, &LINK_RUN_PATH[1], MODE_FILE, run.data, run.len);
	if (!err)
		err = cpio_add(&cpio, "TRAILER!!!", 0, NULL, 0);
	free(run.data);
	if (err) {
		free(cpio.data);
		return err;
	}
	*ret_cpio = cpio;
	return 0;
}
