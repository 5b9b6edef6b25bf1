/* SPDX-License-Identifier: Apache-2.0 */
/* The guest's init as data of husk: build/rootfs/init, made from rootfs/. */
	.section .rodata
	.balign 16
	.global init_blob, init_blob_size
init_blob:
	.incbin INIT_BLOB_PATH
init_blob_end:
	.byte 0

	.balign 8
init_blob_size:
	.quad init_blob_end - init_blob

	.section .note.GNU-stack, "", @progbits
