/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Someone with the VM's uid who exchanges names in a jail's root all the time, to have root follow
 * a link: usage "swapper UID ROOT NAME...". Each NAME in ROOT changes places with "NAME.swap",
 * which the test makes. Prints how often that worked when SIGTERM ends it.
 */
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static volatile sig_atomic_t ended;

static void end(int nr)
{
	(void)nr;
	ended = 1;
}

int main(int argc, char **argv)
{
	char from[4096], to[4096];
	unsigned long swaps = 0;
	uid_t uid = argc < 6 ? 0 : (uid_t)atoi(argv[1]);
	gid_t gid = argc < 6 ? 0 : (gid_t)atoi(argv[2]);
	int i;

	signal(SIGTERM, end);
	if (!uid || chdir(argv[3]) || setresgid(gid, gid, gid) || setresuid(uid, uid, uid))
		return 1;
	while (!ended) {
		for (i = 5; i < argc; i++) {
			snprintf(from, sizeof(from), "%s/%s", argv[4], argv[i]);
			snprintf(to, sizeof(to), "%s/%s.swap", argv[4], argv[i]);
			swaps += !renameat2(AT_FDCWD, from, AT_FDCWD, to, RENAME_EXCHANGE);
		}
	}
	printf("%lu\n", swaps);
	return 0;
}
