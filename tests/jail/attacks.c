/* SPDX-License-Identifier: Apache-2.0 */
#include "attacks.h"

#include <sys/wait.h>
#include <unistd.h>

#include "probe.h"
#include "util.h"

static void attack_run(const struct attack *attack)
{
	long result = attack->fn();
	char buffer[24];
	size_t i;

	for (i = 0; i < EXPECT_MAX && attack->expect[i] != END; i++)
		if (result == attack->expect[i])
			break;
	probe_print("%s %s: %s", i < EXPECT_MAX && attack->expect[i] != END ? "ok" : "HOLE",
		    attack->name, probe_result(result, buffer));
}

/* A process each, while there can be one, so that none changes what the next one finds. */
static void attack_run_forked(const struct attack *attack)
{
	pid_t pid = fork();

	if (!pid) {
		attack_run(attack);
		_exit(0);
	}
	if (pid < 0 || waitpid(pid, NULL, 0) != pid)
		probe_print("HOLE %s: not tried", attack->name);
}

void attacks_run(bool limited)
{
	static const struct attack *const tables[] = {attacks_files, attacks_others,
						      attacks_rights};
	const struct attack *attack;
	size_t i;

	for (i = 0; i < ARRAY_SIZE(tables); i++)
		for (attack = tables[i]; attack->name; attack++)
			if (attack->when != (limited ? EARLY : LIMITED))
				(limited ? attack_run : attack_run_forked)(attack);
}
