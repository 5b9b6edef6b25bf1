/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The three ways into a test guest, each up to a C function in 64-bit mode with a stack: the
 * 64-bit entry of the Linux boot protocol, the PVH entry, and that of a vCPU started by another.
 */
#include "guest.h"

#define CODE64 0x08
#define DATA 0x10
#define CODE32 0x18

#define CR0_PE (1 << 0)
#define CR0_PG (1 << 31)
#define CR4_PAE (1 << 5)
#define MSR_EFER 0xc0000080
#define EFER_LME (1 << 8)

#define STACK_SIZE 16384
#define AP_STACK_SIZE 4096

/* Boot protocol: boot_params in RSI; 64-bit mode, 4 GiB mapped one to one. */
	.text
	.code64
	.global start64
start64:
	mov	%cr3, %rax
	mov	%eax, page_tables
	mov	$stack_end, %esp
	mov	%rsi, %rdi
	jmp	run

/* PVH: start info in EBX; 32-bit protected mode, paging off. */
	.code32
	.global start_pvh
start_pvh:
	mov	%cr0, %eax
	mov	%eax, pvh_entry_cr0
	mov	$pvh64, %esi
	jmp	enter_long_mode

/* From 32-bit protected mode to the 64-bit code at ESI; keeps EBX. */
enter_long_mode:
	lgdt	gdt_pointer
	mov	%cr4, %eax
	or	$CR4_PAE, %eax
	mov	%eax, %cr4
	mov	page_tables, %eax
	mov	%eax, %cr3
	mov	$MSR_EFER, %ecx
	rdmsr
	or	$EFER_LME, %eax
	wrmsr
	mov	%cr0, %eax
	or	$CR0_PG, %eax
	mov	%eax, %cr0
	ljmp	$CODE64, $1f
	.code64
1:	mov	$DATA, %eax
	mov	%eax, %ss
	mov	%eax, %ds
	mov	%eax, %es
	jmp	*%rsi

pvh64:
	mov	$stack_end, %esp
	mov	%ebx, %edi
run:
	call	guest_main
	call	guest_end

/*
 * A started vCPU: real mode, CS:IP of the page the start-up message names. A guest copies
 * [guest_ap_start, guest_ap_end) to GUEST_AP_ADDR; there it finds only itself.
 */
	.code16
	.global guest_ap_start, guest_ap_end
guest_ap_start:
	cli
	mov	%cs, %ax
	mov	%ax, %ds
	lgdtl	ap_gdt_pointer - guest_ap_start
	mov	%cr0, %eax
	or	$CR0_PE, %eax
	mov	%eax, %cr0
	ljmpl	$CODE32, $(GUEST_AP_ADDR + ap32 - guest_ap_start)
	.code32
ap32:
	mov	$DATA, %eax
	mov	%eax, %ds
	mov	%eax, %es
	mov	%eax, %ss
	mov	$ap64, %esi
	mov	$enter_long_mode, %eax
	jmp	*%eax
ap_gdt_pointer:
	.word	gdt_end - gdt - 1
	.long	gdt
guest_ap_end:

/* Each takes the next number, from 1, and the stack of that number. */
	.code64
ap64:
	mov	$1, %eax
	lock xadd %eax, ap_next
	mov	%eax, %edi
	shl	$12, %eax
	lea	ap_stacks(%rax), %rsp
	call	guest_ap_main
1:	hlt
	jmp	1b

	.data
	.global pvh_entry_cr0
pvh_entry_cr0:
	.long	0
ap_next:
	.long	1
page_tables:
	.long	pml4
	.balign	8
gdt:
	.quad	0
	.quad	0x00af9b000000ffff	/* CODE64 */
	.quad	0x00cf93000000ffff	/* DATA */
	.quad	0x00cf9b000000ffff	/* CODE32 */
gdt_end:
gdt_pointer:
	.word	gdt_end - gdt - 1
	.quad	gdt

/* For the PVH entry, which comes without: 4 GiB mapped one to one. */
	.balign	4096
pml4:
	.quad	pdpt + 3
	.fill	511, 8, 0
pdpt:
	.quad	directories + 0x0003, directories + 0x1003
	.quad	directories + 0x2003, directories + 0x3003
	.fill	508, 8, 0
directories:
	.set	addr, 0
	.rept	4 * 512
	.quad	addr + 0x83	/* present, writable, 2 MiB */
	.set	addr, addr + 0x200000
	.endr

	.bss
	.balign	16
	.skip	STACK_SIZE
stack_end:
	.balign	4096
ap_stacks:
	.skip	GUEST_CPUS_MAX * AP_STACK_SIZE

	.section .note.GNU-stack, "", @progbits
