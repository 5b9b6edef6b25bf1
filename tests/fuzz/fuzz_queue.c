/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The virtqueue alone. The input is a program of what the driver writes and of what a device
 * calls; each call's outcome, and all of RAM at the end, must be what the model says.
 */
#include <errno.h>

#include "fuzz_guest.h"

#define LOW KIB(16)
#define HIGH KIB(4)
/* Buffers in here can be so long that sums of lengths exceed 32 bits; nobody touches them. */
#define HUGE_BASE GIB(8)
#define HUGE_SIZE GIB(3)

#define TABLES (FAKE_RAM_BASE + KIB(8)) /* where indirect tables are most often put */
#define STEPS_MAX 512

static struct fuzz_guest guest;
static struct virtqueue *queue;	  /* on the heap: what lies behind it must not be touched */
static struct virtq_chain *chain; /* likewise */

/* The model. */
static struct virtqueue_state model;
static bool event_idx, indirect;
static uint16_t avail_idx;     /* what the driver published last */
static unsigned int in_hand;   /* chains popped since the last one was returned */
static struct fuzz_chain last; /* the last one popped */
static uint16_t last_head;
static bool have_last;

int LLVMFuzzerInitialize(int *argc, char ***argv)
{
	static struct fake_guest fake;
	void *huge = mmap(NULL, HUGE_SIZE, PROT_READ | PROT_WRITE,
			  MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);

	(void)argc;
	(void)argv;
	fake_guest_init(&fake);
	fuzz_guest_init(&guest, &fake, LOW, HIGH);
	FUZZ_CHECK(huge != MAP_FAILED);
	FUZZ_CHECK(!guest_mem_add(&fake.mem, HUGE_BASE, HUGE_SIZE, huge));
	guest.ram[guest.nr_rams++] = (struct fuzz_ram){HUGE_BASE, HUGE_SIZE, huge, NULL};
	queue = calloc(1, sizeof(*queue));
	chain = calloc(1, sizeof(*chain));
	FUZZ_CHECK(queue && chain);
	return 0;
}

static bool usable(void)
{
	return model.ready && !model.broken;
}

static void check_state(void)
{
	const struct virtqueue_state *state = &queue->state;

	FUZZ_CHECK(state->desc == model.desc && state->avail == model.avail);
	FUZZ_CHECK(state->used == model.used && state->size == model.size);
	FUZZ_CHECK(state->ready == model.ready && state->broken == model.broken);
	FUZZ_CHECK(state->next_avail == model.next_avail);
	FUZZ_CHECK(state->next_used == model.next_used && state->signalled == model.signalled);
}

/* A ring's address: where it belongs, or anywhere, but not where RAM has no shadow. */
static gpa_t take_ring(struct fuzz_input *in, uint8_t how, gpa_t usual)
{
	gpa_t gpa = usual;

	if (how & 1)
		gpa = fuzz_gpa(in, &guest);
	if (how & 2)
		gpa = ALIGN_DOWN(gpa, 16);
	return gpa - HUGE_BASE < HUGE_SIZE + KIB(64) ? usual : gpa;
}

static void do_enable(struct fuzz_input *in)
{
	const uint8_t shape = fuzz_u8(in), how = fuzz_u8(in), bits = fuzz_u8(in);
	uint64_t features = 0;
	bool good;

	virtqueue_reset(queue);
	model = (struct virtqueue_state){.size = (uint16_t)(1u << (shape & 7))};
	if (shape & 8)
		model.size = fuzz_u16(in);
	else if (shape & 16)
		model.size = (uint16_t)(256u << (shape >> 6));
	model.desc = take_ring(in, how & 3, FAKE_RAM_BASE);
	model.avail = take_ring(in, how >> 2 & 3, FAKE_RAM_BASE + 16ull * model.size);
	model.used =
		take_ring(in, how >> 4 & 3,
			  ALIGN_UP(FAKE_RAM_BASE + 16ull * model.size + fuzz_avail_len(&model), 4));
	event_idx = bits & 1;
	indirect = !(bits & 2);
	/* Going on where a snapshot was taken. */
	if (bits & 4)
		model.next_avail = model.next_used = model.signalled = fuzz_u16(in);
	if (event_idx)
		features |= 1ull << VIRTIO_RING_F_EVENT_IDX;
	if (indirect)
		features |= 1ull << VIRTIO_RING_F_INDIRECT_DESC;
	queue->state = model;
	good = fuzz_rings_ok(&guest, &model);
	FUZZ_CHECK(!virtqueue_enable(queue, &guest.fake->mem, features) == good);
	model.ready = good;
	avail_idx = model.next_avail;
	in_hand = 0;
	have_last = false;
	if (good)
		fuzz_poke16(&guest, model.avail + 2, avail_idx);
}

static void do_descriptor(struct fuzz_input *in, gpa_t table)
{
	const uint8_t index = fuzz_u8(in), how = fuzz_u8(in);
	struct vring_desc desc = {.flags = how & 7, .next = (uint16_t)(index + 1)};

	desc.addr = fuzz_gpa(in, &guest);
	desc.len = fuzz_len(in, &guest, desc.addr);
	if (how & 8)
		desc.next = fuzz_u8(in);
	if (how & 16)
		desc.next = fuzz_u16(in);
	if (how & 32)
		desc.flags = fuzz_u16(in);
	/* A table of the driver, whole. */
	if (how & 64) {
		desc.addr = TABLES + (how >> 7) * KIB(2);
		desc.len = 16u * (fuzz_u8(in) + 1);
		desc.flags = VRING_DESC_F_INDIRECT;
	}
	fuzz_poke(&guest, table + sizeof(desc) * index, &desc, sizeof(desc));
}

/* A run of equal descriptors, as long as the longest chains. */
static void do_long_chain(struct fuzz_input *in, gpa_t table)
{
	unsigned int first = fuzz_u8(in), nr = fuzz_u8(in) + 2u, i;
	struct vring_desc desc = {.flags = fuzz_u8(in) & VRING_DESC_F_WRITE};

	desc.addr = fuzz_gpa(in, &guest);
	desc.len = fuzz_len(in, &guest, desc.addr);
	desc.flags |= VRING_DESC_F_NEXT;
	for (i = first; i < first + nr; i++) {
		desc.next = (uint16_t)(i + 1);
		fuzz_poke(&guest, table + sizeof(desc) * i, &desc, sizeof(desc));
	}
}

/* A buffer, and behind it a table as full as can be: together more than a chain can hold. */
static void do_full_table(struct fuzz_input *in)
{
	const uint8_t index = fuzz_u8(in), how = fuzz_u8(in);
	const unsigned int nr = VIRTQUEUE_SIZE_MAX - (how & 3);
	const struct vring_desc first = {FAKE_RAM_BASE, 1, VRING_DESC_F_NEXT, index + 1};
	const struct vring_desc second = {TABLES, 16 * nr, VRING_DESC_F_INDIRECT, 0};
	unsigned int i;

	for (i = 0; i < nr; i++) {
		const uint16_t next = i + 1 < nr ? VRING_DESC_F_NEXT : 0;
		const struct vring_desc desc = {FAKE_RAM_BASE, 1,
						next | (how & 4 ? VRING_DESC_F_WRITE : 0),
						(uint16_t)(i + 1)};

		fuzz_poke(&guest, TABLES + sizeof(desc) * i, &desc, sizeof(desc));
	}
	fuzz_poke(&guest, model.desc + sizeof(first) * index, &first, sizeof(first));
	fuzz_poke(&guest, model.desc + sizeof(first) * (index + 1), &second, sizeof(second));
}

static void do_publish(struct fuzz_input *in)
{
	if (!model.ready)
		return;
	fuzz_poke16(&guest, model.avail + 4 + 2ull * (avail_idx % model.size), fuzz_u8(in));
	fuzz_poke16(&guest, model.avail + 2, ++avail_idx);
}

static void do_memory(struct fuzz_input *in)
{
	gpa_t gpa = fuzz_gpa(in, &guest);
	uint64_t value;
	uint8_t len = fuzz_u8(in) % 8 + 1;

	fuzz_take(in, &value, sizeof(value));
	fuzz_poke(&guest, gpa, &value, len);
}

/* What virtqueue_pop has to answer. */
static int model_pop(void)
{
	uint16_t pending, head;

	if (!usable())
		return 0;
	pending = (uint16_t)(fuzz_load16(&guest, model.avail + 2) - model.next_avail);
	if (!pending)
		return 0;
	head = fuzz_load16(&guest, model.avail + 4 + 2ull * (model.next_avail % model.size));
	have_last = false;
	if (pending > model.size || !fuzz_walk(&guest, &model, indirect, head, &last)) {
		model.broken = true;
		return -EPROTO;
	}
	last_head = head;
	have_last = true;
	model.next_avail++;
	in_hand++;
	return 1;
}

static void do_pop(void)
{
	int expected = model_pop();
	unsigned int i;

	FUZZ_CHECK(virtqueue_pop(queue, chain) == expected);
	if (expected <= 0)
		return;
	FUZZ_CHECK(chain->head == last_head);
	FUZZ_CHECK(chain->nr_readable == last.nr_readable);
	FUZZ_CHECK(chain->nr_readable + chain->nr_writable == last.nr);
	FUZZ_CHECK(chain->readable_bytes == last.readable);
	FUZZ_CHECK(chain->writable_bytes == last.writable);
	for (i = 0; i < last.nr; i++) {
		FUZZ_CHECK(chain->iov[i].iov_len == last.bufs[i].len);
		FUZZ_CHECK(chain->iov[i].iov_base ==
			   guest_mem_ptr(&guest.fake->mem, last.bufs[i].gpa, last.bufs[i].len));
	}
}

static void do_unpop(struct fuzz_input *in)
{
	unsigned int count = fuzz_u8(in) % (in_hand + 1);

	virtqueue_unpop(queue, count);
	model.next_avail -= (uint16_t)count;
	in_hand -= count;
	have_last = false;
}

/* Returns `count` chains, as a device may that has that many in hand. */
static void do_return(struct fuzz_input *in)
{
	unsigned int count = fuzz_u8(in) % 4 + 1, i;

	if (count > in_hand)
		return;
	for (i = 0; i < count; i++) {
		const uint16_t head = fuzz_u8(in);
		const struct vring_used_elem elem = {head, fuzz_u16(in)};

		if (count == 1)
			virtqueue_push(queue, head, elem.len);
		else
			virtqueue_put(queue, i, head, elem.len);
		if (usable())
			fuzz_expect(&guest,
				    model.used + 4 +
					    8ull * ((uint16_t)(model.next_used + i) % model.size),
				    &elem, sizeof(elem));
	}
	if (count > 1)
		virtqueue_publish(queue, count);
	in_hand = 0;
	if (!usable())
		return;
	model.next_used += (uint16_t)count;
	fuzz_expect(&guest, model.used + 2, &model.next_used, sizeof(model.next_used));
}

static void do_want_kicks(bool want)
{
	const uint16_t flags = want ? 0 : VRING_USED_F_NO_NOTIFY;
	bool expected = false;

	if (usable()) {
		if (!event_idx)
			fuzz_expect(&guest, model.used, &flags, sizeof(flags));
		else if (want)
			fuzz_expect(&guest, model.used + 4 + 8ull * model.size, &model.next_avail,
				    sizeof(model.next_avail));
		/* After that store: this word may lie under it. */
		expected = want && fuzz_load16(&guest, model.avail + 2) != model.next_avail;
	}
	FUZZ_CHECK(virtqueue_want_kicks(queue, want) == expected);
}

static void do_interrupt(void)
{
	bool expected = false;
	uint16_t event;

	if (usable() && model.signalled != model.next_used) {
		event = fuzz_load16(&guest, model.avail + 4 + 2ull * model.size);
		if (event_idx)
			expected = (uint16_t)(event - model.signalled) <
				   (uint16_t)(model.next_used - model.signalled);
		else
			expected = !(fuzz_load16(&guest, model.avail) & 1);
		model.signalled = model.next_used;
	}
	FUZZ_CHECK(virtqueue_must_interrupt(queue) == expected);
}

/* Writes `len` bytes at `offset` of the last chain's writable part, or reads of the readable. */
static void do_payload(struct fuzz_input *in)
{
	const bool to_guest = fuzz_u8(in) & 1;
	const unsigned int offset = fuzz_u16(in), len = fuzz_u8(in);
	unsigned int i, first, end, at = 0, done = 0;
	struct iovec *iov = chain->iov, part[VIRTQUEUE_SIZE_MAX];
	uint8_t data[256], copy[256];
	uint64_t bytes = 0;

	if (!have_last)
		return;
	for (i = 0; i < last.nr; i++)
		if (!fuzz_shadow(&guest, last.bufs[i].gpa, last.bufs[i].len))
			return;
	first = to_guest ? last.nr_readable : 0;
	end = to_guest ? last.nr : last.nr_readable;
	for (i = 0; i < sizeof(data); i++)
		data[i] = (uint8_t)(i + offset);
	for (i = first; i < end; i++) {
		const struct fake_buf *buf = &last.bufs[i];
		unsigned int skip = offset > at ? MIN(offset - at, buf->len) : 0;
		unsigned int room = MIN(buf->len - skip, len - done);

		if (room && to_guest)
			fuzz_expect(&guest, buf->gpa + skip, data + done, room);
		else if (room)
			fuzz_load(&guest, buf->gpa + skip, data + done, room);
		done += room;
		at += buf->len;
	}
	if (to_guest) {
		FUZZ_CHECK(iov_from_buf(iov + first, end - first, offset, data, len) == done);
		return;
	}
	FUZZ_CHECK(iov_to_buf(iov, end, offset, copy, len) == done);
	FUZZ_CHECK(!memcmp(copy, data, done));
	end = iov_slice(iov, end, offset, len, part);
	for (i = 0; i < end; i++) {
		FUZZ_CHECK(part[i].iov_len);
		FUZZ_CHECK(!memcmp(part[i].iov_base, copy + bytes, part[i].iov_len));
		bytes += part[i].iov_len;
	}
	FUZZ_CHECK(bytes == done);
}

static void do_step(struct fuzz_input *in)
{
	const uint8_t op = fuzz_u8(in);

	switch (op & 15) {
	case 0:
		do_enable(in);
		break;
	case 1:
	case 2:
		do_descriptor(in, model.desc);
		break;
	case 3:
		do_descriptor(in, TABLES + (op >> 7) * KIB(2));
		break;
	case 4:
		if (op & 32)
			do_full_table(in);
		else
			do_long_chain(in, op & 16 ? TABLES : model.desc);
		break;
	case 5:
	case 6:
		do_publish(in);
		break;
	case 7:
		fuzz_poke16(&guest, model.avail + 2, avail_idx = fuzz_u16(in));
		break;
	case 8:
	case 9:
		do_pop();
		break;
	case 10:
		do_unpop(in);
		break;
	case 11:
		do_return(in);
		break;
	case 12:
		do_want_kicks(op & 16);
		break;
	case 13:
		do_interrupt();
		break;
	case 14:
		do_payload(in);
		break;
	default:
		do_memory(in);
	}
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct fuzz_input in = {data, size};
	unsigned int steps;

	fuzz_guest_clear(&guest);
	do_enable(&in);
	for (steps = 0; in.size && steps < STEPS_MAX; steps++) {
		do_step(&in);
		check_state();
	}
	fuzz_steps += steps;
	fuzz_guest_check(&guest);
	return 0;
}
