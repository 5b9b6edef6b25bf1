/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtio-mmio transport, version 2 only: a register table onto the state machine.
 * virtio 1.2, 4.2.2.
 *
 * Silent. Runs on vCPU threads under the device's lock (the bus takes it).
 */
#ifndef HUSK_VIRTIO_MMIO_H
#define HUSK_VIRTIO_MMIO_H

#include "virtio.h"

/* Size of the register window; the device-specific configuration starts at 0x100. */
#define VIRTIO_MMIO_SIZE 0x1000u

/*
 * Makes virtio->device answer as virtio-mmio registers. Call after virtio_init, then put
 * &virtio->device on the bus at a range of VIRTIO_MMIO_SIZE.
 */
void virtio_mmio_init(struct virtio_device *virtio);

#endif
