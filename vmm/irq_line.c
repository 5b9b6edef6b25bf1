/* SPDX-License-Identifier: Apache-2.0 */
#include "irq_line.h"

#include <errno.h>
#include <sys/eventfd.h>
#include <unistd.h>

int irq_line_init(struct irq_line *line)
{
	line->fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	return line->fd < 0 ? -errno : 0;
}

void irq_line_fini(struct irq_line *line)
{
	if (line->fd >= 0)
		close(line->fd);
	line->fd = -1;
}

void irq_line_trigger(const struct irq_line *line)
{
	/* Can only fail with EAGAIN at 2^64-2 triggers nobody took: the edge is pending anyway. */
	eventfd_write(line->fd, 1);
}
