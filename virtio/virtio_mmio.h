/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport, version 2 only: a register table onto the state machine.
 * virtio 1.2, 4.2.2.
 *
 * With a page to show them in, registers are read without leaving the guest: the page lies
 * read-only where they are (KVM API, KVM_MEM_READONLY), and is written anew whenever one of them
 * changes, before the driver can know that it did. So a read there has the width and alignment it
 * likes, as in memory. Writes always come here.
 *
 * Silent. Runs on vCPU threads under the device's lock (the bus takes it), and on the loop thread.
 */
#ifndef HUSK_VIRTIO_MMIO_H
#define HUSK_VIRTIO_MMIO_H

#include "virtio.h"

/* Size of the register window; the device-specific configuration starts at 0x100. */
#define VIRTIO_MMIO_SIZE 0x1000u

/*
 * Makes virtio->device answer as virtio-mmio registers. Call after virtio_init, then put
 * &virtio->device on the bus at a range of VIRTIO_MMIO_SIZE. `page` (borrowed, NULL: none) is where
 * they are shown: zeroed, of VIRTIO_MMIO_SIZE, aligned to 4.
 */
void virtio_mmio_init(struct virtio_device *virtio, void *page);

#endif
