/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Runs in a jail in place of husk: prints what it finds there, one fact a line, and then does what
 * its arguments say. It ignores those that it does not know. Static, and needs no file.
 *
 *   --exit N      end with status N
 *   --wait        stay until a signal comes that it handles, then end with its number + 40,
 *                 and 50 for each that follows
 *   --sleep       stay, whatever comes
 *   --spawn       stay, with a child in a session of its own
 *   --litter DIR  fill DIR with what is hard to remove: deep folders, links, a socket
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/capability.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <sys/sysmacros.h>
#include <sys/un.h>
#include <sys/utsname.h>
#include <unistd.h>

#define DEEP 3000

extern char **environ;

static void print_ids(void)
{
	uid_t uid[3];
	gid_t gid[3];
	int i, bounding = 0, ambient = 0;
	cap_t caps = cap_get_proc();
	char *text = cap_to_text(caps, NULL);

	getresuid(&uid[0], &uid[1], &uid[2]);
	getresgid(&gid[0], &gid[1], &gid[2]);
	for (i = 0; i <= 63; i++) {
		bounding += prctl(PR_CAPBSET_READ, i) == 1;
		ambient += prctl(PR_CAP_AMBIENT, PR_CAP_AMBIENT_IS_SET, i, 0, 0) == 1;
	}
	printf("uid %u %u %u\ngid %u %u %u\ngroups %d\n", uid[0], uid[1], uid[2], gid[0], gid[1],
	       gid[2], getgroups(0, NULL));
	printf("caps %s\nbounding %d\nambient %d\n", text, bounding, ambient);
	printf("no_new_privs %d\ndumpable %d\n", prctl(PR_GET_NO_NEW_PRIVS, 0, 0, 0, 0),
	       prctl(PR_GET_DUMPABLE));
	printf("setuid %s\n", setuid(0) ? strerrorname_np(errno) : "works");
}

static void print_process(void)
{
	static const struct {
		const char *name;
		int resource;
	} limits[] = {
		{"as", RLIMIT_AS},	 {"core", RLIMIT_CORE},	      {"cpu", RLIMIT_CPU},
		{"fsize", RLIMIT_FSIZE}, {"memlock", RLIMIT_MEMLOCK}, {"no-file", RLIMIT_NOFILE},
		{"nproc", RLIMIT_NPROC}, {"stack", RLIMIT_STACK},
	};
	struct rlimit limit;
	struct utsname name;
	sigset_t blocked;
	mode_t mask = umask(0);
	size_t i;
	int nr, death = 0;

	umask(mask);
	uname(&name);
	prctl(PR_GET_PDEATHSIG, &death);
	sigprocmask(SIG_SETMASK, NULL, &blocked);
	printf("pid %d\nsession_leader %d\nhostname %s\numask %03o\npdeathsig %d\n", getpid(),
	       getsid(0) == getpid(), name.nodename, mask, death);
	for (i = 0; environ[i]; i++)
		printf("environment %s\n", environ[i]);
	for (nr = 0; nr < 4096; nr++)
		if (fcntl(nr, F_GETFD) >= 0)
			printf("descriptor %d\n", nr);
	for (nr = 1; nr < 32; nr++)
		if (sigismember(&blocked, nr) == 1)
			printf("blocked %d\n", nr);
	for (i = 0; i < sizeof(limits) / sizeof(limits[0]); i++)
		if (!getrlimit(limits[i].resource, &limit))
			printf("limit %s %lld %lld\n", limits[i].name, (long long)limit.rlim_cur,
			       (long long)limit.rlim_max);
}

static void print_mount(const char *path)
{
	struct statvfs vfs;

	if (statvfs(path, &vfs)) {
		printf("mount %s %s\n", path, strerrorname_np(errno));
		return;
	}
	printf("mount %s%s%s%s%s\n", path, vfs.f_flag & ST_RDONLY ? " ro" : " rw",
	       vfs.f_flag & ST_NOSUID ? " nosuid" : "", vfs.f_flag & ST_NODEV ? " nodev" : "",
	       vfs.f_flag & ST_NOEXEC ? " noexec" : "");
}

/* What is in a folder, with types, owners and modes; and whether something can be made there. */
static void print_folder(const char *path, int depth)
{
	DIR *list = opendir(path);
	struct dirent *entry;
	char below[4096];
	struct stat st;
	int fd;

	snprintf(below, sizeof(below), "%s/.made", path);
	fd = open(below, O_CREAT | O_WRONLY | O_EXCL, 0600);
	printf("create %s %s\n", path, fd < 0 ? strerrorname_np(errno) : "works");
	if (fd >= 0) {
		close(fd);
		unlink(below);
	}
	while (list && (entry = readdir(list))) {
		if (!strcmp(entry->d_name, ".") || !strcmp(entry->d_name, ".."))
			continue;
		snprintf(below, sizeof(below), "%s/%s", strcmp(path, "/") ? path : "",
			 entry->d_name);
		if (lstat(below, &st))
			continue;
		printf("entry %s %o %u %u", below, st.st_mode, st.st_uid, st.st_gid);
		if (S_ISCHR(st.st_mode) || S_ISBLK(st.st_mode))
			printf(" %u:%u", major(st.st_rdev), minor(st.st_rdev));
		if (S_ISREG(st.st_mode))
			printf(" chmod %s",
			       chmod(below, st.st_mode) ? strerrorname_np(errno) : "works");
		if (!S_ISDIR(st.st_mode) && !S_ISLNK(st.st_mode)) {
			fd = open(below, O_RDWR | O_NONBLOCK | O_NOCTTY);
			printf(" open %s", fd < 0 ? strerrorname_np(errno) : "works");
			if (fd >= 0)
				close(fd);
		}
		putchar('\n');
		if (S_ISDIR(st.st_mode) && depth > 0) {
			print_mount(below);
			print_folder(below, depth - 1);
		}
	}
	if (list)
		closedir(list);
}

static volatile sig_atomic_t received, last;

static void handle(int nr)
{
	last = nr;
	received++;
}

/* What a VM may leave behind to make removal hard. */
static void litter(const char *path)
{
	struct sockaddr_un address = {.sun_family = AF_UNIX, .sun_path = "socket"};
	int i;

	if (chdir(path) ||
	    bind(socket(AF_UNIX, SOCK_STREAM, 0), (void *)&address, sizeof(address)) ||
	    symlink("/", "link") || mkfifo("fifo", 0) || mkdir("closed", 0))
		_exit(99);
	for (i = 0; i < DEEP; i++) {
		close(open("file", O_CREAT | O_WRONLY, 0));
		if (mkdir("deep", 0700) || chdir("deep"))
			_exit(98);
	}
}

static void act(char **argv)
{
	int nr;

	for (; *argv; argv++) {
		if (!strcmp(*argv, "--exit"))
			exit(atoi(argv[1]));
		if (!strcmp(*argv, "--litter"))
			litter(argv[1]);
		if (!strcmp(*argv, "--wait") || !strcmp(*argv, "--spawn") ||
		    !strcmp(*argv, "--sleep")) {
			for (nr = 1; nr < 32 && !strcmp(*argv, "--wait"); nr++)
				signal(nr, handle);
			if (!strcmp(*argv, "--spawn") && !fork())
				setsid();
			puts("up");
			fflush(stdout);
			while (!received)
				usleep(10000);
			for (nr = 0; nr < 10; nr++)
				usleep(20000);
			exit(40 + last + 50 * (received - 1));
		}
	}
}

int main(int argc, char **argv)
{
	int i;

	for (i = 0; i < argc; i++)
		printf("argument %s\n", argv[i]);
	print_ids();
	print_process();
	print_mount("/");
	print_folder("/", 4);
	fflush(stdout);
	act(argv);
	return 0;
}
