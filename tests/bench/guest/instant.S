/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The smallest guest there is: it writes one byte to COM1 as its first instruction that can be seen,
 * and ends the VM with the next one. Time from here to there is the launcher's alone.
 *
 * Each instruction has the same bytes in 32-bit mode (PVH, QEMU) and in 64-bit mode (the Linux boot
 * protocol), so every launcher enters at the same place.
 */
#define MARK 6 /* ASCII ACK: no boot message has one. tests/bench/vm.py waits for it. */
#define COM1 0x3f8
#define I8042_COMMAND 0x64
#define I8042_RESET 0xfe

	.text
	.code32
	.global start
start:
	mov	$COM1, %edx
	mov	$MARK, %eax
	outb	%al, %dx
	mov	$I8042_RESET, %eax
	outb	%al, $I8042_COMMAND
	/* No keyboard controller (QEMU): a fault without a table of handlers, which becomes a triple fault. */
	mov	$nothing, %esp
	lidt	(%esp)
	ud2
1:	hlt
	jmp	1b

nothing:
	.skip	16

/* PVH. Xen, docs/misc/pvh: note type 18 holds the 32-bit entry address. */
	.section .note.pvh, "a", @note
	.balign	4
	.long	4, 4, 18
	.asciz	"Xen"
	.long	start

	.section .note.GNU-stack, "", @progbits
