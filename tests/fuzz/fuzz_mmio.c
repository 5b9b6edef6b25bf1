/* SPDX-License-Identifier: Apache-2.0 */
/*
 * A block device as the guest sees it: registers, rings, memory. The input is a program of
 * accesses of any width and place, of writes to RAM, of kicks and turns of the loop. After each
 * the device's state obeys the rules of virtio 1.2, 2.1 to 2.4 and 4.2.2; after each turn it has
 * answered what was to be answered and written nowhere else. At the end a reset makes it as good
 * as new, and a second device on the same loop has gone on working.
 */
#include "fuzz_disk.h"

#define LOW KIB(32)
#define HIGH KIB(8)
#define STEPS_MAX 256
#define RUN_MAX 32 /* turns, where the guest may feed itself for ever */

/* Where the driver puts its things if it does not choose otherwise. */
#define DESC FAKE_RAM_BASE
#define AVAIL (FAKE_RAM_BASE + KIB(4))
#define USED (FAKE_RAM_BASE + KIB(5))
#define TABLE (FAKE_RAM_BASE + KIB(8))
#define HEADERS (FAKE_RAM_BASE + KIB(12))
#define DATA (FAKE_RAM_BASE + KIB(16))

#define RUNNING \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK | \
	 VIRTIO_CONFIG_S_DRIVER_OK)
#define DEAD (VIRTIO_CONFIG_S_NEEDS_RESET | VIRTIO_CONFIG_S_FAILED)

struct range {
	gpa_t gpa;
	uint64_t len;
};

/* What a turn of the loop is to do, worked out before it. */
struct plan {
	unsigned int nr; /* requests that will be answered */
	bool breaks;	 /* after these, a chain that breaks the device */
	bool wild;	 /* the device will write over what it reads: no forecast */
	struct {
		uint16_t head;
		uint64_t writable;
	} requests[VIRTQUEUE_SIZE_MAX];
	unsigned int nr_reads, nr_writes;
	struct range reads[2 + VIRTQUEUE_SIZE_MAX];
	struct range writes[1024];
};

static struct fuzz_guest guest;
static struct fuzz_disk disk;
static struct virtio_device *virtio;
static struct virtqueue_state *queue;
static bool kicked;

static struct fake_guest second_guest;
static struct fuzz_disk second_disk;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct fake_guest fake;

	(void)argc;
	(void)argv;
	log_set_level(LOG_ERROR);
	fake_guest_init(&fake);
	fuzz_guest_init(&guest, &fake, LOW, HIGH);
	fuzz_disk_init(&disk, &fake.mem, &fake.loop, false, true);
	virtio = blk_virtio(disk.blk);
	queue = &virtio->queues[0].state;
	fake_guest_attach(&fake, virtio);

	/* RAM of its own, so that it can go on through all of it; the loop of the first. */
	fake_guest_init(&second_guest);
	fuzz_disk_init(&second_disk, &second_guest.mem, &fake.loop, false, true);
	fake_guest_attach(&second_guest, blk_virtio(second_disk.blk));
	fake_guest_start(&second_guest, fake_offered_features(&second_guest), 4);
	event_loop_fini(&second_guest.loop);
	second_guest.loop = fake.loop;
	fuzz_run(&fake, RUN_MAX);
	return 0;
}

/* The second device reads a sector, and is asked to do so by nothing but a kick. */
static void check_second(void)
{
	uint8_t data[FUZZ_SECTOR] = {0};
	gpa_t free = second_guest.next_free;

	FUZZ_CHECK(!fuzz_disk_request(&second_guest, VIRTIO_BLK_T_IN, 0, data));
	FUZZ_CHECK(data[0] == 0xd1 && data[FUZZ_SECTOR - 1] == 0xd1);
	second_guest.next_free = free;
}

/*
 * Registers
 */

static void check_state(void)
{
	const uint32_t status = virtio->state.status;
	const uint64_t features = virtio->state.driver_features;

	if (status & VIRTIO_CONFIG_S_DRIVER_OK) {
		FUZZ_CHECK((status & RUNNING) == RUNNING);
		FUZZ_CHECK(queue->ready);
	}
	FUZZ_CHECK(!(status & VIRTIO_CONFIG_S_DRIVER) || (status & VIRTIO_CONFIG_S_ACKNOWLEDGE));
	if (status & VIRTIO_CONFIG_S_FEATURES_OK) {
		FUZZ_CHECK(status & VIRTIO_CONFIG_S_DRIVER);
		FUZZ_CHECK(!(features & ~virtio->features));
		FUZZ_CHECK(features >> VIRTIO_F_VERSION_1 & 1);
	}
	if (queue->ready) {
		FUZZ_CHECK(status & VIRTIO_CONFIG_S_FEATURES_OK);
		FUZZ_CHECK(fuzz_rings_ok(&guest, queue));
	}
	if (status & VIRTIO_CONFIG_S_NEEDS_RESET)
		FUZZ_CHECK(queue->broken);
	FUZZ_CHECK(virtio->state.config_generation == 0);
	FUZZ_CHECK(virtio_is_running(virtio) ==
		   ((status & VIRTIO_CONFIG_S_DRIVER_OK) && !(status & DEAD)));
}

/* What a write may never change, unless it resets the device or the queue. */
static void check_frozen(const struct virtio_state *state, const struct virtqueue_state *before,
			 uint64_t offset)
{
	const bool was_set_up = state->status & VIRTIO_CONFIG_S_FEATURES_OK;

	if (was_set_up) {
		FUZZ_CHECK(virtio->state.driver_features == state->driver_features);
		FUZZ_CHECK(virtio->state.status & VIRTIO_CONFIG_S_FEATURES_OK);
	} else {
		FUZZ_CHECK(queue->desc == before->desc && queue->avail == before->avail);
		FUZZ_CHECK(queue->used == before->used && queue->size == before->size);
	}
	FUZZ_CHECK(!(state->status & DEAD & ~virtio->state.status));
	if (before->ready && queue->ready) {
		FUZZ_CHECK(queue->desc == before->desc && queue->avail == before->avail);
		FUZZ_CHECK(queue->used == before->used && queue->size == before->size);
		FUZZ_CHECK(queue->next_avail == before->next_avail);
		FUZZ_CHECK(queue->next_used == before->next_used);
	}
	if (state->status & (VIRTIO_CONFIG_S_DRIVER_OK | DEAD))
		FUZZ_CHECK(queue->ready == before->ready && queue->desc == before->desc &&
			   queue->avail == before->avail && queue->used == before->used &&
			   queue->size == before->size);
	if (before->ready && !queue->ready)
		FUZZ_CHECK(offset == VIRTIO_MMIO_QUEUE_READY);
}

static void reg_write(uint64_t offset, uint64_t value, unsigned int len)
{
	const bool legal = len == 4 && offset % 4 == 0 && offset < VIRTIO_MMIO_CONFIG;
	struct virtqueue_state queue_before;
	struct virtio_state before;

	memcpy(&before, &virtio->state, sizeof(before));
	memcpy(&queue_before, queue, sizeof(queue_before));
	fake_mmio_write(guest.fake, offset, value, len);
	fuzz_steps++;
	if (!legal) {
		FUZZ_CHECK(!memcmp(&before, &virtio->state, sizeof(before)));
		FUZZ_CHECK(!memcmp(&queue_before, queue, sizeof(queue_before)));
		return;
	}
	if (offset == VIRTIO_MMIO_STATUS && !(uint32_t)value) {
		FUZZ_CHECK(!virtio->state.status && !virtio->state.driver_features);
		FUZZ_CHECK(!virtio->state.interrupt_status);
		FUZZ_CHECK(!queue->ready && !queue->size && !queue->desc && !queue->next_avail);
	} else {
		check_frozen(&before, &queue_before, offset);
	}
	if (queue->size != queue_before.size && offset == VIRTIO_MMIO_QUEUE_NUM)
		FUZZ_CHECK(queue->size ==
			   ((uint32_t)value > VIRTQUEUE_SIZE_MAX ? 0 : (uint32_t)value));
	/* DRIVER_OK and a notification both start a turn. */
	if ((offset == VIRTIO_MMIO_QUEUE_NOTIFY && !(uint32_t)value) ||
	    (virtio->state.status & ~before.status & VIRTIO_CONFIG_S_DRIVER_OK))
		kicked = true;
	check_state();
}

static void reg_read(uint64_t offset, unsigned int len)
{
	uint64_t value = fake_mmio_read(guest.fake, offset, len), expected = 0;
	uint64_t at = offset - VIRTIO_MMIO_CONFIG;

	fuzz_steps++;
	if (offset >= VIRTIO_MMIO_CONFIG) {
		if (at < virtio->config_size)
			memcpy(&expected, (const char *)virtio->config + at,
			       MIN(len, virtio->config_size - at));
		FUZZ_CHECK(value == expected);
		return;
	}
	if (len != 4 || offset % 4) {
		FUZZ_CHECK(!value);
		return;
	}
	if (offset == VIRTIO_MMIO_STATUS)
		FUZZ_CHECK(value == virtio->state.status);
	if (offset == VIRTIO_MMIO_QUEUE_READY)
		FUZZ_CHECK(value == (virtio->state.queue_sel == 0 && queue->ready));
	if (offset == VIRTIO_MMIO_QUEUE_NUM_MAX)
		FUZZ_CHECK(value == (virtio->state.queue_sel ? 0 : VIRTQUEUE_SIZE_MAX));
	if (offset == VIRTIO_MMIO_DEVICE_FEATURES && virtio->state.device_features_sel > 1)
		FUZZ_CHECK(!value);
}

static uint64_t take_reg(struct fuzz_input *in)
{
	static const uint16_t regs[] = {
		VIRTIO_MMIO_STATUS,
		VIRTIO_MMIO_QUEUE_READY,
		VIRTIO_MMIO_QUEUE_NUM,
		VIRTIO_MMIO_QUEUE_SEL,
		VIRTIO_MMIO_QUEUE_DESC_LOW,
		VIRTIO_MMIO_QUEUE_DESC_HIGH,
		VIRTIO_MMIO_QUEUE_AVAIL_LOW,
		VIRTIO_MMIO_QUEUE_AVAIL_HIGH,
		VIRTIO_MMIO_QUEUE_USED_LOW,
		VIRTIO_MMIO_QUEUE_USED_HIGH,
		VIRTIO_MMIO_DRIVER_FEATURES,
		VIRTIO_MMIO_DRIVER_FEATURES_SEL,
		VIRTIO_MMIO_DEVICE_FEATURES,
		VIRTIO_MMIO_DEVICE_FEATURES_SEL,
		VIRTIO_MMIO_QUEUE_NOTIFY,
		VIRTIO_MMIO_INTERRUPT_ACK,
		VIRTIO_MMIO_QUEUE_NUM_MAX,
		VIRTIO_MMIO_INTERRUPT_STATUS,
		VIRTIO_MMIO_CONFIG_GENERATION,
		VIRTIO_MMIO_CONFIG,
	};
	uint8_t which = fuzz_u8(in);

	if (which < 0xc0)
		return regs[which % ARRAY_SIZE(regs)];
	if (which < 0xe0)
		return VIRTIO_MMIO_CONFIG + fuzz_u8(in);
	return which < 0xf0 ? fuzz_u16(in) % (VIRTIO_MMIO_SIZE + 8) : fuzz_u64(in);
}

static uint32_t take_value(struct fuzz_input *in)
{
	uint8_t how = fuzz_u8(in);

	switch (how & 3) {
	case 0:
		return fuzz_u32(in);
	case 1:
		return (uint32_t)fuzz_gpa(in, &guest);
	default:
		return how >> 2;
	}
}

/*
 * What a driver does as a whole
 */

static void negotiate(uint64_t features)
{
	unsigned int i;

	for (i = 0; i < 2; i++) {
		reg_write(VIRTIO_MMIO_STATUS, i ? 3 : 1, 4);
		reg_write(VIRTIO_MMIO_DRIVER_FEATURES_SEL, i, 4);
		reg_write(VIRTIO_MMIO_DRIVER_FEATURES, (uint32_t)(features >> 32 * i), 4);
	}
	reg_write(VIRTIO_MMIO_STATUS, 11, 4);
}

static void set_up_queue(gpa_t desc, gpa_t avail, gpa_t used, uint32_t size)
{
	const gpa_t rings[] = {desc, avail, used};
	unsigned int i;
	bool possible, good;

	reg_write(VIRTIO_MMIO_QUEUE_SEL, 0, 4);
	reg_write(VIRTIO_MMIO_QUEUE_NUM, size, 4);
	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		reg_write(VIRTIO_MMIO_QUEUE_DESC_LOW + 16 * i, (uint32_t)rings[i], 4);
		reg_write(VIRTIO_MMIO_QUEUE_DESC_HIGH + 16 * i, (uint32_t)(rings[i] >> 32), 4);
	}
	possible = virtio_can_configure(virtio) && !queue->ready;
	good = fuzz_rings_ok(&guest, queue);
	reg_write(VIRTIO_MMIO_QUEUE_READY, 1, 4);
	if (possible)
		FUZZ_CHECK(queue->ready == good &&
			   !(virtio->state.status & VIRTIO_CONFIG_S_NEEDS_RESET) == good);
}

static void do_negotiate(struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	uint64_t features = virtio->features;

	if (how & 1)
		features &= ~(uint64_t)fuzz_u32(in);
	if (how & 2)
		features &= ~((uint64_t)fuzz_u32(in) << 32 & ~(1ull << VIRTIO_F_VERSION_1));
	if (how & 4)
		features = fuzz_u64(in);
	negotiate(features);
}

static void do_set_up_queue(struct fuzz_input *in)
{
	const uint8_t how = fuzz_u8(in);
	gpa_t rings[3] = {DESC, AVAIL, USED};
	unsigned int i;

	for (i = 0; i < ARRAY_SIZE(rings); i++) {
		if (how >> i & 1)
			rings[i] = fuzz_gpa(in, &guest);
		if (how & 8)
			rings[i] = ALIGN_DOWN(rings[i], 16);
	}
	set_up_queue(rings[0], rings[1], rings[2], how & 16 ? fuzz_u32(in) : 1u << (how >> 5));
}

static gpa_t desc_ring(void)
{
	return queue->ready ? queue->desc : DESC;
}

static void write_desc(unsigned int index, gpa_t addr, uint32_t len, uint16_t flags, uint16_t next)
{
	const struct vring_desc desc = {addr, len, flags, next};

	fuzz_poke(&guest, desc_ring() + sizeof(desc) * index, &desc, sizeof(desc));
}

static void publish(uint16_t head)
{
	uint16_t idx;

	if (!queue->ready)
		return;
	idx = fuzz_load16(&guest, queue->avail + 2);
	fuzz_poke16(&guest, queue->avail + 4 + 2ull * (idx % queue->size), head);
	fuzz_poke16(&guest, queue->avail + 2, idx + 1);
}

/*
 * A request in three descriptors from `index` on, or in a table behind the one at `index`; good
 * unless the input says otherwise.
 */
static void do_request(struct fuzz_input *in)
{
	const uint8_t index = fuzz_u8(in), type = fuzz_u8(in), nr = fuzz_u8(in);
	const bool in_table = type & 128;
	const uint16_t first = in_table ? 0 : index;
	const gpa_t place = HEADERS + 32ull * (index % 64);
	struct virtio_blk_outhdr header = {.type = type & 15, .sector = nr >> 3};
	struct vring_desc descs[] = {
		{place, sizeof(header), VRING_DESC_F_NEXT, first + 1},
		{DATA + FUZZ_SECTOR * (index % 16u), (nr & 7) * FUZZ_SECTOR,
		 VRING_DESC_F_NEXT | (type & 1 ? 0 : VRING_DESC_F_WRITE), first + 2},
		{place + 24, 1, VRING_DESC_F_WRITE, 0},
	};
	gpa_t table = TABLE + sizeof(descs) * (index % 16);

	if (type & 16)
		descs[1].addr = fuzz_gpa(in, &guest);
	if (type & 32)
		descs[1].len = fuzz_len(in, &guest, descs[1].addr);
	if (type & 64)
		header.sector = fuzz_u64(in);
	fuzz_poke(&guest, place, &header, sizeof(header));
	if (in_table) {
		/* Mostly as it should be: its length, and no other flag. */
		const uint8_t how = fuzz_u8(in);

		fuzz_poke(&guest, table, descs, sizeof(descs));
		if (how & 32) { /* a table in a table */
			descs[0] =
				(struct vring_desc){table, sizeof(descs), VRING_DESC_F_INDIRECT, 0};
			table += KIB(2);
			fuzz_poke(&guest, table, descs, sizeof(descs));
		}
		write_desc(index, table, sizeof(descs) + (how & 128 ? how & 15 : 0),
			   VRING_DESC_F_INDIRECT | (how & 64 ? how & 3 : 0), index);
	} else {
		fuzz_poke(&guest, desc_ring() + sizeof(descs[0]) * index, descs, sizeof(descs));
	}
	publish(index);
}

static void do_descriptor(struct fuzz_input *in)
{
	const uint8_t index = fuzz_u8(in), how = fuzz_u8(in);
	gpa_t addr = fuzz_gpa(in, &guest);
	uint32_t len = fuzz_len(in, &guest, addr);
	struct vring_desc entry;

	if (how & 64) { /* into the indirect table */
		entry = (struct vring_desc){addr, len, how & 7, (uint16_t)(index + 1)};
		fuzz_poke(&guest, TABLE + sizeof(entry) * (index % 16), &entry, sizeof(entry));
	} else if (how & 128) { /* ... which this one is for */
		write_desc(index, TABLE, 16u * (how & 31), VRING_DESC_F_INDIRECT, 0);
	} else {
		write_desc(index, addr, len, how & 7,
			   how & 8 ? fuzz_u16(in) : (uint16_t)(index + 1));
	}
}

static void do_memory(struct fuzz_input *in)
{
	gpa_t gpa = fuzz_gpa(in, &guest);
	uint8_t len = fuzz_u8(in) % 8 + 1;
	uint64_t value = fuzz_u64(in);

	fuzz_poke(&guest, gpa, &value, len);
}

/*
 * Turns of the loop
 */

static void plan_write(struct plan *plan, gpa_t gpa, uint64_t len)
{
	if (plan->nr_writes == ARRAY_SIZE(plan->writes)) {
		plan->wild = true;
		return;
	}
	plan->writes[plan->nr_writes++] = (struct range){gpa, len};
}

/* The requests that are there now; where the used ring is written over, no forecast either. */
static void plan_requests(struct plan *plan)
{
	static struct fuzz_chain chain;
	uint16_t pending = fuzz_load16(&guest, queue->avail + 2) - queue->next_avail, i, head;
	unsigned int b;

	plan->breaks = pending > queue->size;
	for (i = 0; i < pending && !plan->breaks && !plan->wild; i++) {
		uint16_t place = (uint16_t)(queue->next_avail + i) % queue->size;

		head = fuzz_load16(&guest, queue->avail + 4 + 2ull * place);
		if (!fuzz_walk(&guest, queue,
			       virtio_has_feature(virtio, VIRTIO_RING_F_INDIRECT_DESC), head,
			       &chain) ||
		    chain.readable < sizeof(struct virtio_blk_outhdr) || !chain.writable) {
			plan->breaks = true;
			break;
		}
		if (chain.table_len)
			plan->reads[plan->nr_reads++] =
				(struct range){chain.table, chain.table_len};
		for (b = chain.nr_readable; b < chain.nr; b++)
			plan_write(plan, chain.bufs[b].gpa, chain.bufs[b].len);
		plan->requests[plan->nr].head = head;
		plan->requests[plan->nr++].writable = chain.writable;
	}
}

static void plan_make(struct plan *plan)
{
	const struct range rings[] = {{queue->desc, 16ull * queue->size},
				      {queue->avail, fuzz_avail_len(queue)},
				      {queue->used, fuzz_used_len(queue)}};
	unsigned int i, j;

	plan->nr = plan->nr_reads = plan->nr_writes = 0;
	plan->breaks = plan->wild = false;
	plan_requests(plan);
	for (i = 0; i < plan->nr_writes && !plan->wild; i++) {
		const struct range *to = &plan->writes[i];

		for (j = 0; j < ARRAY_SIZE(rings); j++)
			plan->wild |= fuzz_overlap(to->gpa, to->len, rings[j].gpa, rings[j].len);
		for (j = 0; j < plan->nr_reads; j++)
			plan->wild |= fuzz_overlap(to->gpa, to->len, plan->reads[j].gpa,
						   plan->reads[j].len);
	}
	for (j = 0; j < plan->nr_reads; j++)
		plan->wild |= fuzz_overlap(rings[2].gpa, rings[2].len, plan->reads[j].gpa,
					   plan->reads[j].len);
}

static void plan_check(const struct plan *plan, uint16_t first, unsigned int turns)
{
	const uint16_t nr = queue->next_used - first;
	uint16_t idx;
	unsigned int i;

	for (i = 0; i < plan->nr_writes; i++)
		fuzz_allow(&guest, plan->writes[i].gpa, plan->writes[i].len);
	fuzz_allow(&guest, queue->used, fuzz_used_len(queue));
	fuzz_guest_check(&guest);

	FUZZ_CHECK(turns <= plan->nr + 3);
	FUZZ_CHECK(nr == (kicked ? plan->nr : 0) || (!kicked && nr == plan->nr));
	idx = fuzz_load16(&guest, queue->used + 2);
	FUZZ_CHECK(!nr || idx == queue->next_used);
	for (i = 0; i < nr; i++) {
		struct vring_used_elem elem;

		fuzz_load(&guest, queue->used + 4 + 8ull * ((uint16_t)(first + i) % queue->size),
			  &elem, sizeof(elem));
		FUZZ_CHECK(elem.id == plan->requests[i].head);
		FUZZ_CHECK(elem.len && elem.len <= plan->requests[i].writable);
	}
	FUZZ_CHECK(!kicked || plan->breaks == !!(virtio->state.status & DEAD));
}

static void do_run(void)
{
	static struct plan plan;
	const bool running = virtio_is_running(virtio);
	const uint16_t first = queue->next_used;
	unsigned int turns;

	if (running)
		plan_make(&plan);
	turns = fuzz_run(guest.fake, running && plan.wild ? RUN_MAX : VIRTQUEUE_SIZE_MAX + 8);
	fuzz_steps++;
	if (!running) {
		/* Not started, broken or given up: it stands still. */
		FUZZ_CHECK(turns <= 1 && queue->next_used == first);
		fuzz_guest_check(&guest);
	} else if (plan.wild) {
		fuzz_guest_sync(&guest);
	} else {
		plan_check(&plan, first, turns);
	}
	kicked = running && plan.wild && turns == RUN_MAX;
	FUZZ_CHECK(!memcmp(disk.content + FUZZ_DISK, disk.model + FUZZ_DISK, FUZZ_TAIL));
	check_state();
}

static void do_step(struct fuzz_input *in)
{
	uint8_t op = fuzz_u8(in);
	uint64_t reg;

	switch (op & 15) {
	case 0:
		reg = take_reg(in);
		reg_write(reg, take_value(in), 4);
		break;
	case 1:
		reg = take_reg(in);
		reg_write(reg, fuzz_u64(in), (op >> 4) % 8 + 1);
		break;
	case 2:
		reg_read(take_reg(in), op & 128 ? (op >> 4) % 8 + 1 : 4);
		break;
	case 3:
		do_negotiate(in);
		break;
	case 4:
		do_set_up_queue(in);
		break;
	case 5:
		reg_write(VIRTIO_MMIO_STATUS, virtio->state.status | VIRTIO_CONFIG_S_DRIVER_OK, 4);
		break;
	case 6:
		reg_write(VIRTIO_MMIO_STATUS, 0, 4);
		break;
	case 7:
		do_descriptor(in);
		break;
	case 8:
		publish(fuzz_u8(in));
		break;
	case 9:
	case 10:
		do_request(in);
		break;
	case 11:
		do_memory(in);
		break;
	case 12:
		if (queue->ready)
			fuzz_poke16(&guest, queue->avail + 2, fuzz_u16(in));
		break;
	case 13:
		do_run();
		break;
	default:
		reg_write(VIRTIO_MMIO_QUEUE_NOTIFY, 0, 4);
		do_run();
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	uint8_t start = fuzz_u8(&in);
	unsigned int steps;

	fuzz_guest_clear(&guest);
	fuzz_disk_clear(&disk);
	kicked = false;
	if (start & 1) {
		negotiate(virtio->features & ~(start & 2 ? 1ull << VIRTIO_RING_F_EVENT_IDX : 0) &
			  ~(start & 4 ? 1ull << VIRTIO_RING_F_INDIRECT_DESC : 0));
		set_up_queue(DESC, AVAIL, USED, 1u << (start >> 4) % 9);
		reg_write(VIRTIO_MMIO_STATUS, RUNNING, 4);
	}
	for (steps = 0; in.size && steps < STEPS_MAX; steps++)
		do_step(&in);
	reg_write(VIRTIO_MMIO_QUEUE_NOTIFY, 0, 4);
	do_run();
	memcpy(disk.model, disk.content, FUZZ_DISK);
	fuzz_disk_check(&disk);
	fuzz_disk_works(&guest, &disk, false);
	check_second();
	return 0;
}
