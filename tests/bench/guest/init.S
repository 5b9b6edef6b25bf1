/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A Linux guest's init that is seen from outside at its first instruction: it writes one byte to COM1's
 * port, past the kernel's driver, so every launcher shows it the same way. Called /first, it then ends
 * the VM; called /hold, it sleeps for ever, and the VM is there to be looked at.
 */
#include <asm/unistd_64.h>
#include <linux/reboot.h>

#define MARK 6 /* as in instant.S */
#define COM1 0x3f8
#define I8042_COMMAND 0x64
#define I8042_RESET 0xfe

	.text
	.global _start
_start:
	mov	$__NR_iopl, %eax
	mov	$3, %edi
	syscall
	mov	$MARK, %al
	mov	$COM1, %dx
	outb	%al, %dx
	mov	8(%rsp), %rax		/* argv[0] */
	cmpb	$'h', 1(%rax)
	je	hold
	mov	$I8042_RESET, %al
	outb	%al, $I8042_COMMAND
	/* No keyboard controller (QEMU): reboot=t on the kernel's command line is a triple fault. */
	mov	$__NR_reboot, %eax
	mov	$LINUX_REBOOT_MAGIC1, %edi
	mov	$LINUX_REBOOT_MAGIC2, %esi
	mov	$LINUX_REBOOT_CMD_RESTART, %edx
	syscall
hold:
	mov	$__NR_pause, %eax
	syscall
	jmp	hold

	.section .note.GNU-stack, "", @progbits
