/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The doctor's test guest: does, in the smallest way, what every 64-bit Linux does in its first moments and
 * what an emulating KVM may lack. Before each step it writes the step's number (doctor.c) to
 * DOCTOR_PORT. Loaded at DOCTOR_GUEST_ADDR; starts in 64-bit mode, with 4 GiB mapped one to one.
 */
#include "doctor_guest.h"

#define IDT DOCTOR_DATA_ADDR
#define SAVE_AREA (DOCTOR_DATA_ADDR + 0x1000)
#define CELL (DOCTOR_DATA_ADDR + 0x3000)
#define GATE_BREAKPOINT (IDT + 3 * 16)

#define KERNEL_CODE 0x08
#define KERNEL_DATA 0x10
#define USER_DATA 0x1b
#define USER_CODE 0x23

#define MSR_EFER 0xc0000080
#define MSR_STAR 0xc0000081
#define MSR_LSTAR 0xc0000082
#define MSR_FMASK 0xc0000084
#define MSR_KERNEL_GS_BASE 0xc0000102
#define EFER_SCE 1
#define CR4_OSFXSR (1 << 9)
#define CR4_OSXSAVE (1 << 18)
#define CPUID_XSAVE (1 << 26)

	.macro step number
	mov	$\number, %al
	out	%al, $DOCTOR_PORT
	.endm

	.section .rodata
	.code64
	.balign 16
	.global doctor_guest, doctor_guest_size
doctor_guest:
	step	DOCTOR_LONG_MODE
	lgdt	gdt_pointer(%rip)
	pushq	$KERNEL_CODE
	lea	1f(%rip), %rax
	push	%rax
	lretq
1:	mov	$KERNEL_DATA, %eax
	mov	%eax, %ss
	mov	%eax, %ds
	mov	%eax, %es

	step	DOCTOR_BREAKPOINT
	lea	breakpoint(%rip), %rax
	mov	%ax, GATE_BREAKPOINT
	movw	$KERNEL_CODE, GATE_BREAKPOINT + 2
	movw	$0x8e00, GATE_BREAKPOINT + 4	/* present, interrupt gate */
	shr	$16, %rax
	mov	%ax, GATE_BREAKPOINT + 6
	shr	$16, %rax
	mov	%eax, GATE_BREAKPOINT + 8
	lidt	idt_pointer(%rip)
	int3

	step	DOCTOR_CMPXCHG16B
	xor	%eax, %eax
	xor	%edx, %edx
	mov	$1, %ebx
	mov	$2, %ecx
	lock cmpxchg16b CELL

	step	DOCTOR_XSAVE
	mov	%cr4, %rax
	or	$CR4_OSFXSR, %eax
	mov	%rax, %cr4
	fninit
	fxsave	SAVE_AREA
	mov	$1, %eax
	xor	%ecx, %ecx
	cpuid
	test	$CPUID_XSAVE, %ecx
	jz	2f
	mov	%cr4, %rax
	or	$CR4_OSXSAVE, %eax
	mov	%rax, %cr4
	xor	%ecx, %ecx
	xgetbv
	mov	$3, %eax
	xor	%edx, %edx
	xsave	SAVE_AREA
2:
	step	DOCTOR_MSRS
	mov	$MSR_KERNEL_GS_BASE, %ecx
	mov	$CELL, %eax
	xor	%edx, %edx
	wrmsr
	swapgs
	swapgs
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$EFER_SCE, %eax
	wrmsr
	mov	$MSR_STAR, %ecx
	xor	%eax, %eax
	mov	$((KERNEL_DATA << 16) | KERNEL_CODE), %edx
	wrmsr
	mov	$MSR_LSTAR, %ecx
	lea	system_call(%rip), %rax
	mov	%rax, %rdx
	shr	$32, %rdx
	wrmsr
	mov	$MSR_FMASK, %ecx
	xor	%eax, %eax
	xor	%edx, %edx
	wrmsr

	/* User pages: one bit in each level of the page tables that map us. */
	step	DOCTOR_USER_MODE
	mov	%cr3, %rbx
	orl	$4, (%rbx)
	orl	$4, 0x1000(%rbx)
	orl	$4, 0x2000(%rbx)
	mov	%rbx, %cr3
	pushq	$USER_DATA
	pushq	$DOCTOR_DATA_ADDR
	pushq	$2
	pushq	$USER_CODE
	lea	user(%rip), %rax
	push	%rax
	iretq
user:
	syscall
system_call:
	step	DOCTOR_DONE
	/* No more interrupt table, then a fault: the shortest way to stop. */
	lidt	no_idt(%rip)
	ud2

breakpoint:
	iretq

	.balign 8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* KERNEL_CODE */
	.quad	0x00cf93000000ffff	/* KERNEL_DATA */
	.quad	0x00cff3000000ffff	/* USER_DATA */
	.quad	0x00affb000000ffff	/* USER_CODE */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	DOCTOR_GUEST_ADDR + gdt - doctor_guest
idt_pointer:
	.word	4 * 16 - 1
	.quad	IDT
no_idt:
	.word	0
	.quad	0
doctor_guest_end:

	.balign 8
doctor_guest_size:
	.quad	doctor_guest_end - doctor_guest

	.section .note.GNU-stack, "", @progbits
