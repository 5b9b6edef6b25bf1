/* SPDX-License-Identifier: Apache-2.0 */
/*
 * The abuse kit: a guest that plays a hostile virtio driver, on whatever VMM boots it. It finds
 * its devices by the kernel command line ("virtio_mmio.device=SIZE@ADDR:IRQ"), and judges by
 * virtio 1.2 and by what is left afterwards. All waits are bounded and poll; interrupts are off.
 *
 * An attack is one row of a table (struct step). Before it the victim is reset and set up; after
 * it, whatever came of it: the memory around all buffers must be as it was, every other device
 * must serve a good request without a reset, and the victim must after one.
 */
#ifndef HUSK_ABUSE_KIT_H
#define HUSK_ABUSE_KIT_H

#include "../guest/guest.h"

#include <linux/virtio_blk.h>
#include <linux/virtio_config.h>
#include <linux/virtio_ids.h>
#include <linux/virtio_mmio.h>
#include <linux/virtio_net.h>
#include <linux/virtio_ring.h>

/*
 * What came of a step, the worst last; of a class, the worst of its steps. All before FAIL_RULE
 * mean that the attack was contained.
 */
enum outcome {
	SKIPPED,     /* not tried: there is nothing to try it on */
	SERVED,	     /* done as asked, inside the buffers that were posted */
	IGNORED,     /* without effect: the next good request is served */
	REFUSED,     /* the request came back with an error */
	NEEDS_RESET, /* the device set DEVICE_NEEDS_RESET */
	SILENT,	     /* no answer, no DEVICE_NEEDS_RESET; a reset brings the device back */
	FAIL_RULE,   /* what virtio 1.2 says of devices does not hold */
	FAIL_DATA,   /* a good request gave wrong or stale data */
	FAIL_MEMORY, /* memory was written that no buffer covers */
	FAIL_OTHER,  /* another device does not answer any more */
	FAIL_DEAD,   /* a reset does not bring the device back */
};

#define QUEUE_SIZE 16
#define NR_QUEUES 2
#define QUEUE_BLK 0
#define QUEUE_RX 0
#define QUEUE_TX 1
#define SECTOR_SIZE 512u
#define NET_HEADER_SIZE ((uint32_t)sizeof(struct virtio_net_hdr_v1))
#define NO_ANSWER 0xee /* a status no device writes */
#define JUNK 0xa5      /* fills a buffer before a device writes to it */
#define JUNK_WORD 0xa5a5a5a5a5a5a5a5
#define RX_BUFFERS 4
#define RX_BUFFER_SIZE 1600u

/* Sectors that may be written; all others hold their number (disk_sector_is_pristine). */
#define SCRATCH_SECTOR 64
#define SCRATCH_SECTORS 64

#define DRIVER_READY \
	(VIRTIO_CONFIG_S_ACKNOWLEDGE | VIRTIO_CONFIG_S_DRIVER | VIRTIO_CONFIG_S_FEATURES_OK)
#define RUNNING (DRIVER_READY | VIRTIO_CONFIG_S_DRIVER_OK)

#define FEATURE(bit) (1ull << (bit))

/* In cycles of the TSC, which is between 1 and 5 GHz on what there is. */
#define WAIT_ANSWER 1000000000ull /* for the answer to an attack */
#define WAIT_QUIET 50000000ull	  /* for an answer that must not come */
#define WAIT_GOOD 8000000000ull	  /* for that to a good request */

struct queue {
	/* Twice as many as the queue has: those past it are traps. */
	struct vring_desc *desc;
	struct {
		uint16_t flags, idx, ring[QUEUE_SIZE], used_event;
	} * avail;
	struct {
		uint16_t flags, idx;
		struct vring_used_elem ring[QUEUE_SIZE];
		uint16_t avail_event;
	} * used;
	uint16_t seen; /* used->idx up to which answers were looked at */
};

struct virtio {
	const char *name;
	uint64_t window;
	uint32_t size, id;
	uint64_t offered, accepted; /* features */
	unsigned int nr_queues;
	struct queue queues[NR_QUEUES];
	bool dead;
	/* Disks */
	uint64_t capacity;
	bool read_only;
	struct virtio_blk_outhdr *header;
	uint8_t *sector, *status;
	/* Networks */
	uint8_t mac[6];
	uint8_t *tx, *rx[RX_BUFFERS];
};

/* The device, and the queue of it, a step is for. */
struct victim {
	struct virtio *dev;
	struct queue *q;
	unsigned int queue;
	/* The chain that victim_chain made, descriptors 0 to last. */
	unsigned int last;
	uint8_t *status; /* of a disk's request */
};

/* Where a step is tried: on one queue or on several, one after the other. */
enum { ON_DISK = 1, ON_RX = 2, ON_TX = 4, ON_READ_ONLY = 8 };
#define EACH_QUEUE (ON_DISK | ON_RX | ON_TX)
#define EACH_DEVICE (ON_DISK | ON_TX)

struct step {
	unsigned int class, on;
	const char *name;
	enum outcome (*run)(struct victim *v, uint64_t arg);
	uint64_t arg;
	uint64_t features; /* to negotiate, besides VERSION_1; all must be offered */
};

#define STEPS(name) \
	extern const struct step name##_steps[]; \
	extern const size_t nr_##name##_steps
STEPS(transport);
STEPS(state);
STEPS(access);
STEPS(ring);
STEPS(indirect);
STEPS(race);
STEPS(blk);
STEPS(net);

/* main.c */
extern struct virtio devices[];
extern unsigned int nr_devices;
extern uint64_t ram_end;
extern uint32_t port_step; /* of a sweep over all ports */
extern uint32_t peer;	   /* IPv4 address that answers ARP, or 0 */
extern bool host_helps;	   /* with what only it can do */
extern bool second_cpu;	   /* it waits in race_cpu_main */
const char *kit_why(void); /* of the last fail() or skip() */
enum outcome fail(enum outcome kind, const char *why);
enum outcome skip(const char *why);
/* Serving this is against the rules. */
static inline enum outcome must_fail(enum outcome found, const char *why)
{
	return found == SERVED ? fail(FAIL_RULE, why) : found;
}

static inline enum outcome worse(enum outcome a, enum outcome b)
{
	return a > b ? a : b;
}

/* race.c: what the second vCPU does for ever. */
void race_cpu_main(void);

/* arena.c: all memory that devices are told of. Between two pieces of it lie canaries. */
void *arena_take(size_t size, size_t align);
void arena_keep(void);	  /* what was taken up to now stays */
void arena_release(void); /* the rest is free again */
/* No canary was touched; else the first that was, and what is there. Told once. */
bool arena_intact(void);
extern uint64_t arena_written, arena_value;

/* driver.c: a plain driver. Functions that wait return false when time is up. */
static inline uint64_t cycles(void)
{
	uint32_t low, high;

	__asm__ volatile("rdtsc" : "=a"(low), "=d"(high));
	return (uint64_t)high << 32 | low;
}

static inline void wait(uint64_t limit)
{
	uint64_t begin = cycles();

	while (cycles() - begin < limit)
		cpu_relax();
}

static inline uint32_t reg_read(const struct virtio *dev, uint32_t reg)
{
	return mmio_read32(dev->window + reg);
}

static inline void reg_write(const struct virtio *dev, uint32_t reg, uint32_t value)
{
	mmio_write32(dev->window + reg, value);
}

uint64_t device_features(const struct virtio *dev);
void device_prepare(struct virtio *dev);
bool device_reset(struct virtio *dev);
/* Up to FEATURES_OK; whether the device agreed. */
bool device_negotiate(struct virtio *dev, uint64_t features);
void queue_place(struct virtio *dev, unsigned int queue, uint32_t num, uint64_t desc,
		 uint64_t avail, uint64_t used);
void queue_clear(struct queue *q);
/* Empties the rings and places them. */
void queue_setup(struct virtio *dev, unsigned int queue);
/* Reset, negotiation, queues, DRIVER_OK. */
bool device_start(struct virtio *dev, uint64_t features);
bool device_needs_reset(const struct virtio *dev);

static inline void desc_set(struct queue *q, unsigned int index, const void *addr, uint32_t len,
			    uint16_t flags, uint16_t next)
{
	q->desc[index] = (struct vring_desc){(uintptr_t)addr, len, flags, next};
}

void queue_offer(struct queue *q, uint16_t head);
bool queue_is_full(const struct queue *q);
void queue_kick(const struct virtio *dev, unsigned int queue);
bool queue_wait(struct queue *q, uint64_t limit);

/* `size` is a multiple of 8. */
void fill_junk(void *at, size_t size);
bool is_junk(const void *at, size_t size);

/* One request of a disk; false if there was no answer. */
bool disk_request(struct virtio *dev, uint32_t type, uint64_t sector, uint8_t *ret_status);
bool disk_sector_is_pristine(const uint8_t *sector, uint64_t number);
/* Sends a request for the peer's address, which makes it send a frame. Does not wait. */
void net_solicit(struct virtio *dev);
/* Whether a frame, behind its header, is the peer's answer. */
bool net_is_answer(const struct virtio *dev, const uint8_t *frame);
void net_post(struct virtio *dev, unsigned int index);
/* SERVED if a good request is; else the failure. */
enum outcome device_check(struct virtio *dev);

/* victim.c: for steps. A good request in plain descriptors, to be spoilt and submitted. */
void victim_chain(struct victim *v);
void victim_kick(struct victim *v);
bool victim_is_disk(const struct victim *v);
bool victim_is_receiver(const struct victim *v);
/* What comes of what was submitted. */
enum outcome victim_settle(struct victim *v);
/* Offers the chain that begins at `head`, kicks and settles. */
enum outcome victim_submit(struct victim *v, uint16_t head);
/* The same from a reset on, with this size of the queue and these places of its three rings. */
enum outcome victim_start_with(struct victim *v, uint32_t num, const uint64_t places[3]);
/* As victim_submit, of what a device may not follow to the end: an answer is a failure. */
enum outcome victim_trap(struct victim *v, uint16_t head);
/* The same with a good chain: what was done before it, if it is served, was IGNORED. */
enum outcome victim_still_works(struct victim *v);
/* NEEDS_RESET if the device says so by now; else whether it still works. */
enum outcome victim_look(struct victim *v);
/* That no answer comes for a while. */
bool victim_is_quiet(struct victim *v);
/* Whether InterruptStatus gets this bit. */
bool victim_interrupts(const struct victim *v, uint32_t bit);
/* A frame that finds too little room is dropped, as it should be: not SILENT, but REFUSED. */
enum outcome victim_may_drop(const struct victim *v, enum outcome found);

#endif
