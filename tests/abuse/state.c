/* SPDX-License-Identifier: Apache-2.0 */
/* Classes 5 to 7: the order of things: status, reset, features. */
#include "kit.h"

/*
 * 5: status
 */

static enum outcome status_after_reset(struct victim *v, uint64_t status)
{
	uint32_t now;

	if (!device_reset(v->dev))
		return fail(FAIL_DEAD, "it does not reset");
	reg_write(v->dev, VIRTIO_MMIO_STATUS, (uint32_t)status);
	now = reg_read(v->dev, VIRTIO_MMIO_STATUS);
	if (now & ~status & VIRTIO_CONFIG_S_NEEDS_RESET)
		return NEEDS_RESET;
	return now == status ? SERVED : IGNORED;
}

static enum outcome status_in_use(struct victim *v, uint64_t status)
{
	reg_write(v->dev, VIRTIO_MMIO_STATUS, (uint32_t)status);
	return victim_look(v);
}

/* The driver has given up: that no more is served is as it should be. */
static enum outcome given_up(struct victim *v, uint64_t arg)
{
	enum outcome found;

	(void)arg;
	reg_write(v->dev, VIRTIO_MMIO_STATUS, RUNNING | VIRTIO_CONFIG_S_FAILED);
	found = victim_look(v);
	return found == SILENT ? REFUSED : found;
}

/* virtio 1.2, 2.1.2: no buffer is consumed before DRIVER_OK. */
static enum outcome before_driver_ok(struct victim *v, uint64_t arg)
{
	unsigned int i;

	(void)arg;
	if (!device_reset(v->dev) || !device_negotiate(v->dev, 0))
		return fail(FAIL_DEAD, "it does not start");
	for (i = 0; i < v->dev->nr_queues; i++)
		queue_setup(v->dev, i);
	victim_chain(v);
	queue_offer(v->q, 0);
	victim_kick(v);
	return victim_is_quiet(v) ? IGNORED
				  : fail(FAIL_RULE, "a request is served before DRIVER_OK");
}

static enum outcome without_features_ok(struct victim *v, uint64_t arg)
{
	unsigned int i;

	(void)arg;
	if (!device_reset(v->dev))
		return fail(FAIL_DEAD, "it does not reset");
	reg_write(v->dev, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (i = 0; i < v->dev->nr_queues; i++)
		queue_setup(v->dev, i);
	reg_write(v->dev, VIRTIO_MMIO_STATUS, RUNNING & ~VIRTIO_CONFIG_S_FEATURES_OK);
	if (device_needs_reset(v->dev))
		return NEEDS_RESET;
	victim_chain(v);
	queue_offer(v->q, 0);
	victim_kick(v);
	return victim_is_quiet(v) ? IGNORED : SERVED;
}

/*
 * 6: reset
 */

/* virtio 1.2, 2.4.1: nothing is touched once the status reads as 0. */
static enum outcome reset_in_flight(struct victim *v, uint64_t turns)
{
	uint8_t *buffer = victim_is_disk(v) ? v->dev->sector : v->dev->rx[0];
	uint16_t used;
	unsigned int i;

	for (; turns; turns--) {
		if (!device_start(v->dev, 0))
			return fail(FAIL_DEAD, "it does not start");
		victim_chain(v);
		for (i = 0; i < 8; i++)
			queue_offer(v->q, 0);
		victim_kick(v);
		if (!device_reset(v->dev))
			return fail(FAIL_DEAD, "it does not reset");
		used = *(volatile uint16_t *)&v->q->used->idx;
		fill_junk(buffer, 64);
		v->q->seen = used;
		if (!victim_is_quiet(v))
			return fail(FAIL_RULE, "the used ring is written after a reset");
		if (!is_junk(buffer, 64))
			return fail(FAIL_MEMORY, "a buffer is written after a reset");
	}
	return IGNORED;
}

static enum outcome reset_storm(struct victim *v, uint64_t turns)
{
	for (; turns; turns--) {
		victim_chain(v);
		queue_offer(v->q, 0);
		queue_kick(v->dev, v->queue);
		reg_write(v->dev, VIRTIO_MMIO_STATUS, 0);
		reg_write(v->dev, VIRTIO_MMIO_STATUS, 0);
		device_negotiate(v->dev, 0);
		queue_setup(v->dev, v->queue);
		reg_write(v->dev, VIRTIO_MMIO_STATUS, RUNNING);
	}
	return IGNORED;
}

/* Reset, then on with what the rings still hold. */
static enum outcome old_rings(struct victim *v, uint64_t status)
{
	victim_chain(v);
	if (!device_reset(v->dev))
		return fail(FAIL_DEAD, "it does not reset");
	reg_write(v->dev, VIRTIO_MMIO_QUEUE_SEL, v->queue);
	if (reg_read(v->dev, VIRTIO_MMIO_QUEUE_READY))
		return fail(FAIL_RULE, "a queue is ready after a reset");
	if (status && !device_negotiate(v->dev, 0))
		return fail(FAIL_DEAD, "it does not start");
	reg_write(v->dev, VIRTIO_MMIO_STATUS, (uint32_t)status);
	queue_offer(v->q, 0);
	victim_kick(v);
	if (!victim_is_quiet(v))
		return fail(FAIL_RULE, "a queue from before the reset is served");
	return status && device_needs_reset(v->dev) ? NEEDS_RESET : IGNORED;
}

/*
 * 7: features
 */

/* Negotiates and goes on whatever the device says. */
static enum outcome accept_features(struct victim *v, uint64_t features)
{
	struct virtio *dev = v->dev;
	unsigned int i;

	if (!device_reset(dev))
		return fail(FAIL_DEAD, "it does not reset");
	reg_write(dev, VIRTIO_MMIO_STATUS, VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER);
	for (i = 0; i < 2; i++) {
		reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, i);
		reg_write(dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i));
	}
	reg_write(dev, VIRTIO_MMIO_STATUS, DRIVER_READY);
	if (!(reg_read(dev, VIRTIO_MMIO_STATUS) & VIRTIO_CONFIG_S_FEATURES_OK))
		return REFUSED;
	for (i = 0; i < dev->nr_queues; i++)
		queue_setup(dev, i);
	reg_write(dev, VIRTIO_MMIO_STATUS, RUNNING);
	return victim_look(v);
}

static enum outcome accept_not_offered(struct victim *v, uint64_t keep)
{
	return accept_features(v, ~v->dev->offered | keep);
}

static enum outcome accept_after_features_ok(struct victim *v, uint64_t features)
{
	reg_write(v->dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 0);
	reg_write(v->dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)features);
	reg_write(v->dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, 1);
	reg_write(v->dev, VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32));
	return victim_look(v);
}

static enum outcome select_features(struct victim *v, uint64_t sel)
{
	uint32_t features;

	reg_write(v->dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, (uint32_t)sel);
	features = reg_read(v->dev, VIRTIO_MMIO_DEVICE_FEATURES);
	reg_write(v->dev, VIRTIO_MMIO_DEVICE_FEATURES_SEL, 0);
	reg_write(v->dev, VIRTIO_MMIO_DRIVER_FEATURES_SEL, (uint32_t)sel);
	reg_write(v->dev, VIRTIO_MMIO_DRIVER_FEATURES, UINT32_MAX);
	if (features)
		return fail(FAIL_RULE, "it offers features from number 64 up");
	return victim_look(v);
}

static enum outcome indirect_uninvited(struct victim *v, uint64_t arg)
{
	struct vring_desc *table = arena_take(3 * sizeof(*table), 16);

	(void)arg;
	victim_chain(v);
	memcpy(table, v->q->desc, 3 * sizeof(*table));
	desc_set(v->q, 5, table, (v->last + 1) * (uint32_t)sizeof(*table), VRING_DESC_F_INDIRECT,
		 0);
	return victim_submit(v, 5);
}

static enum outcome event_index_uninvited(struct victim *v, uint64_t event)
{
	enum outcome found;

	v->q->avail->used_event = (uint16_t)event;
	found = victim_look(v);
	if (found == IGNORED && !victim_interrupts(v, VIRTIO_MMIO_INT_VRING))
		return fail(FAIL_RULE, "used_event counts without EVENT_IDX");
	return found;
}

const struct step state_steps[] = {
	{5, EACH_DEVICE, "DRIVER_OK first", status_after_reset, VIRTIO_CONFIG_S_DRIVER_OK, 0},
	{5, EACH_DEVICE, "FEATURES_OK first", status_after_reset, VIRTIO_CONFIG_S_FEATURES_OK, 0},
	{5, EACH_DEVICE, "all at once", status_after_reset, RUNNING, 0},
	{5, EACH_DEVICE, "needs-reset first", status_after_reset, VIRTIO_CONFIG_S_NEEDS_RESET, 0},
	{5, EACH_DEVICE, "FAILED first", status_after_reset, VIRTIO_CONFIG_S_FAILED, 0},
	{5, EACH_DEVICE, "2^32 - 1 first", status_after_reset, UINT32_MAX, 0},
	{5, EACH_QUEUE, "a request before DRIVER_OK", before_driver_ok, 0, 0},
	{5, EACH_QUEUE, "DRIVER_OK without FEATURES_OK", without_features_ok, 0, 0},
	{5, EACH_DEVICE, "DRIVER_OK twice", status_in_use, RUNNING, 0},
	{5, EACH_DEVICE, "all but DRIVER_OK cleared", status_in_use, VIRTIO_CONFIG_S_DRIVER_OK, 0},
	{5, EACH_DEVICE, "DRIVER_OK cleared", status_in_use, DRIVER_READY, 0},
	{5, EACH_DEVICE, "FAILED in use", given_up, 0, 0},
	{5, EACH_DEVICE, "needs-reset in use", status_in_use, RUNNING | VIRTIO_CONFIG_S_NEEDS_RESET,
	 0},
	{5, EACH_DEVICE, "unknown bits", status_in_use, RUNNING | 0xffffff30, 0},

	{6, EACH_QUEUE, "reset in flight", reset_in_flight, 5, 0},
	{6, EACH_QUEUE, "reset storm", reset_storm, 100, 0},
	{6, EACH_QUEUE, "old rings after a reset", old_rings, 0, 0},
	{6, EACH_QUEUE, "old rings after a reset, with DRIVER_OK", old_rings, RUNNING, 0},

	{7, EACH_DEVICE, "all that are not offered", accept_not_offered,
	 FEATURE(VIRTIO_F_VERSION_1), 0},
	{7, EACH_DEVICE, "all that there can be", accept_features, UINT64_MAX, 0},
	{7, EACH_DEVICE, "none", accept_features, 0, 0},
	{7, EACH_QUEUE, "others after FEATURES_OK", accept_after_features_ok, UINT64_MAX, 0},
	{7, EACH_QUEUE, "none after FEATURES_OK", accept_after_features_ok, 0, 0},
	{7, EACH_DEVICE, "numbers 64 to 95", select_features, 2, 0},
	{7, EACH_DEVICE, "numbers from 2^31 * 32", select_features, 1u << 31, 0},
	{7, EACH_DEVICE, "the last numbers", select_features, UINT32_MAX, 0},
	{7, EACH_QUEUE, "an indirect table without INDIRECT_DESC", indirect_uninvited, 0, 0},
	{7, EACH_QUEUE, "used_event without EVENT_IDX", event_index_uninvited, 0x8000, 0},
};
const size_t nr_state_steps = ARRAY_SIZE(state_steps);
