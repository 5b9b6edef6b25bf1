/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Programs out of the policy, held against those that libseccomp makes of the same table: decoded,
 * they are to allow the same.
 */
#include "seccomp.h"
#include "test_seccomp.h"

#include <errno.h>
#include <linux/filter.h>
#include <seccomp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "seccomp_decode.h"
#include "seccomp_policy.h"

/*
 * By libseccomp.
 */

static struct scmp_arg_cmp compare_int(unsigned int arg, uint64_t value)
{
	return (struct scmp_arg_cmp){arg, SCMP_CMP_MASKED_EQ, UINT32_MAX, value};
}

static struct scmp_arg_cmp compare(const struct seccomp_condition *condition, uint64_t size)
{
	const unsigned int arg = condition->arg;
	const uint64_t value = condition->value;

	switch (condition->op) {
	case SECCOMP_OP_WORD:
		return (struct scmp_arg_cmp){arg, SCMP_CMP_EQ, value, 0};
	case SECCOMP_OP_BELOW_SIZE:
		return (struct scmp_arg_cmp){arg, SCMP_CMP_LT, size, 0};
	case SECCOMP_OP_UP_TO_SIZE:
		return (struct scmp_arg_cmp){arg, SCMP_CMP_LE, size, 0};
	case SECCOMP_OP_OWN_PROCESS:
		return compare_int(arg, (uint64_t)getpid());
	case SECCOMP_OP_INT:
	case SECCOMP_OP_NONE:
		break;
	}
	return compare_int(arg, value);
}

/* Allows what `rule` says, on descriptor `fd` unless that is negative. */
static int add_rule(scmp_filter_ctx ctx, const struct seccomp_rule *rule, int fd, uint64_t size)
{
	struct scmp_arg_cmp comparisons[SECCOMP_CONDITIONS_MAX + 1];
	unsigned int i, nr = 0;

	if (fd >= 0)
		comparisons[nr++] = compare_int(0, (uint64_t)fd);
	for (i = 0; i < SECCOMP_CONDITIONS_MAX && rule->conditions[i].op; i++)
		comparisons[nr++] = compare(&rule->conditions[i], size);
	return seccomp_rule_add_array(ctx, SCMP_ACT_ALLOW, (int)rule->call, nr, comparisons);
}

static int add_rules(scmp_filter_ctx ctx, enum seccomp_kind kind, const struct seccomp_fds *fds)
{
	unsigned int i, j;
	int err = 0;

	for (i = 0; !err && i < seccomp_policy_nr; i++) {
		const struct seccomp_rule *rule = &seccomp_policy[i];

		if (!(rule->kinds & 1u << kind))
			continue;
		if (rule->use == SECCOMP_NO_FD)
			err = add_rule(ctx, rule, -1, 0);
		else if (rule->use == SECCOMP_VCPU_FD)
			err = add_rule(ctx, rule, FD_VCPU, 0);
		for (j = 0; !err && rule->use >= 0 && j < fds->nr; j++)
			if (fds->fds[j].use == (enum seccomp_use)rule->use)
				err = add_rule(ctx, rule, fds->fds[j].fd, fds->fds[j].size);
	}
	return err;
}

static void make_theirs(enum seccomp_kind kind, enum seccomp_mode mode,
			const struct seccomp_fds *fds, struct seccomp_decoded *ret_decoded)
{
	scmp_filter_ctx ctx = seccomp_init(mode == SECCOMP_LOG ? SCMP_ACT_LOG : SCMP_ACT_TRAP);
	int fd = memfd_create("filter", MFD_CLOEXEC);
	static struct sock_filter insns[BPF_MAXINSNS];
	ssize_t size;

	assert_non_null(ctx);
	assert_int_equal(seccomp_attr_set(ctx, SCMP_FLTATR_ACT_BADARCH, SCMP_ACT_KILL_PROCESS), 0);
	assert_int_equal(add_rules(ctx, kind, fds), 0);
	assert_int_equal(seccomp_export_bpf(ctx, fd), 0);
	size = pread(fd, insns, sizeof(insns), 0);
	assert_true(size > 0);
	assert_int_equal(
		seccomp_decode(insns, (unsigned int)((size_t)size / sizeof(*insns)), ret_decoded),
		0);
	seccomp_release(ctx);
	close(fd);
}

/*
 * By husk.
 */

static void make_ours(enum seccomp_kind kind, enum seccomp_mode mode, const struct seccomp_fds *fds,
		      struct seccomp_decoded *ret_decoded)
{
	struct seccomp_filter filter;

	assert_int_equal(seccomp_compile(kind, mode, fds, &filter), 0);
	if (kind == SECCOMP_VCPU)
		filter.insns[filter.vcpu_fd_at].k = FD_VCPU;
	assert_int_equal(seccomp_decode(filter.insns, filter.nr, ret_decoded), 0);
	seccomp_filter_fini(&filter);
}

static void assert_endings(const struct seccomp_endings *ours, const struct seccomp_endings *theirs)
{
	assert_int_equal(ours->nr, theirs->nr);
	assert_memory_equal(ours->actions, theirs->actions, ours->nr * sizeof(*ours->actions));
}

static void assert_same(enum seccomp_mode mode, const struct seccomp_fds *fds)
{
	static struct seccomp_decoded ours, theirs;
	enum seccomp_kind kind;

	for (kind = 0; kind < SECCOMP_KINDS; kind++) {
		make_ours(kind, mode, fds, &ours);
		make_theirs(kind, mode, fds, &theirs);
		assert_int_equal(ours.nr_calls, theirs.nr_calls);
		assert_int_equal(ours.nr_rules, theirs.nr_rules);
		assert_memory_equal(ours.rules, theirs.rules, ours.nr_rules * sizeof(*ours.rules));
		assert_endings(&ours.own, &theirs.own);
		assert_endings(&ours.x32, &theirs.x32);
		assert_endings(&ours.alien, &theirs.alien);
	}
}

static void one_of_everything(void **state)
{
	struct seccomp_fds fds;

	(void)state;
	fds_fill(&fds);
	assert_same(SECCOMP_ENFORCE, &fds);
	assert_same(SECCOMP_LOG, &fds);
}

static void nothing_at_all(void **state)
{
	struct seccomp_fds fds = {.nr = 0};

	(void)state;
	assert_same(SECCOMP_ENFORCE, &fds);
}

/* Sizes around where the halves of a number meet. */
static void disks_of_all_sizes(void **state)
{
	static const uint64_t sizes[] = {1,	     512,	 UINT32_MAX, GIB(4),
					 GIB(4) + 1, GIB(8) - 1, GIB(8),     3 * GIB(4) + 512,
					 UINT64_MAX};
	struct seccomp_fds fds = {.nr = 0};
	size_t i;

	(void)state;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		seccomp_fds_add(&fds, i % 2 ? SECCOMP_FD_DISK : SECCOMP_FD_DISK_RO, 10 + (int)i,
				sizes[i], "disk");
		assert_same(SECCOMP_ENFORCE, &fds);
	}
}

/* Each has one use: of two sizes for one disk, libseccomp makes more than the decoder takes. */
static void any_descriptors(void **state)
{
	unsigned int round, i, nr;

	(void)state;
	srandom(1);
	for (round = 0; round < 200; round++) {
		struct seccomp_fds fds = {.nr = 0};

		nr = (unsigned int)random() % 40;
		for (i = 0; i < nr; i++)
			seccomp_fds_add(&fds, (enum seccomp_use)(random() % SECCOMP_USES),
					10 + (int)i, 1 + ((uint64_t)random() << (random() % 24)),
					"any");
		assert_same(SECCOMP_ENFORCE, &fds);
	}
}

/* So many that the way past them is longer than a jump on a condition goes. */
static void many_events(void **state)
{
	struct seccomp_fds fds = {.nr = 0};
	int i;

	(void)state;
	for (i = 0; i < SECCOMP_FDS_MAX; i++)
		seccomp_fds_add(&fds, SECCOMP_FD_EVENT, 10 + i, 0, "event");
	assert_same(SECCOMP_ENFORCE, &fds);
}

static void too_much(void **state)
{
	struct seccomp_filter filter;
	struct seccomp_fds fds = {.nr = SECCOMP_FDS_MAX + 1};
	unsigned int i;

	(void)state;
	assert_int_equal(seccomp_compile(SECCOMP_LOOP, SECCOMP_ENFORCE, &fds, &filter), -EMFILE);
	assert_null(filter.insns);
	fds.nr = 0;
	for (i = 0; i < SECCOMP_FDS_MAX; i++)
		seccomp_fds_add(&fds, SECCOMP_FD_DISK, (int)i, GIB(1), "disk");
	assert_int_equal(seccomp_compile(SECCOMP_LOOP, SECCOMP_ENFORCE, &fds, &filter), -E2BIG);
	assert_null(filter.insns);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_of_everything),  cmocka_unit_test(nothing_at_all),
		cmocka_unit_test(disks_of_all_sizes), cmocka_unit_test(any_descriptors),
		cmocka_unit_test(many_events),	      cmocka_unit_test(too_much),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
