/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's init as data of husk: build/rootfs/init, made from rootfs/. */
	.section .rodata
	.balign 16
	.global init_blob, init_blob_end
init_blob:
	.incbin INIT_BLOB_PATH
init_blob_end:
	.byte 0

	.section .note.GNU-stack, "", @progbits
