/* SPDX-License-Identifier: Apache-2.0 */
/*
 * An interrupt line: an eventfd that whoever owns the VM binds to a guest interrupt (irqfd).
 * A device triggers it and knows no more; a test reads the eventfd instead.
 *
 * Silent. Any thread may trigger.
 */
#ifndef HUSK_IRQ_LINE_H
#define HUSK_IRQ_LINE_H

struct irq_line {
	int fd;
};

/* Makes the eventfd. 0 or -errno. irq_line_fini closes it; a line of fd -1 is fine there. */
int irq_line_init(struct irq_line *line);
void irq_line_fini(struct irq_line *line);

/* One edge. */
void irq_line_trigger(const struct irq_line *line);

#endif
