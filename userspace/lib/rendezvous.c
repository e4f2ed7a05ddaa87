// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "rendezvous.h"

#define MAX_FILE 128

static int read_file(const char *path, char *buf, size_t cap)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOFOLLOW);
	ssize_t n;
	int err;

	if (fd < 0)
		return -errno;
	n = read(fd, buf, cap - 1);
	err = n < 0 ? -errno : 0;
	close(fd);
	if (!err)
		buf[n] = '\0';
	return err;
}

/* proc(5): field 22; the command in field 2 may itself hold spaces and parentheses. */
static int start_time(pid_t pid, uint64_t *start)
{
	char path[64], buf[1024], *p;
	int err;

	snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
	err = read_file(path, buf, sizeof(buf));
	if (err)
		return err;
	p = strrchr(buf, ')');
	for (int field = 2; p && field < 22; field++)
		p = strchr(p + 1, ' ');
	if (!p)
		return -EBADMSG;
	*start = strtoull(p + 1, NULL, 10);
	return 0;
}

static int make_path(char *out, const char *dir, const char *prefix, const char *name, const char *suffix)
{
	return snprintf(out, PATH_MAX, "%s/%s%s%s", dir, prefix, name, suffix) < PATH_MAX ? 0 : -ENAMETOOLONG;
}

static int write_atomically(const char *dir, const char *name, const char *text)
{
	char path[PATH_MAX], tmp[PATH_MAX];
	size_t len = strlen(text);
	int fd, err;

	err = make_path(path, dir, "", name, "");
	if (!err)
		err = make_path(tmp, dir, ".", name, ".new");
	if (err)
		return err;
	if (unlink(tmp) && errno != ENOENT)
		return -errno;
	fd = open(tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0644);
	if (fd < 0)
		return -errno;
	if (fchmod(fd, 0644))
		err = -errno;
	else if (write(fd, text, len) != (ssize_t)len)
		err = -EIO;
	close(fd);
	if (!err && rename(tmp, path))
		err = -errno;
	if (err)
		unlink(tmp);
	return err;
}

int rendezvous_publish(const char *dir, const char *name, uint32_t port, int *lock)
{
	char path[PATH_MAX], text[MAX_FILE];
	uint64_t start;
	int fd, err;

	if (mkdir(dir, 0755) && errno != EEXIST)
		return -errno;
	err = make_path(path, dir, ".", name, ".lock");
	if (err)
		return err;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return -errno;
	if (flock(fd, LOCK_EX | LOCK_NB)) {
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
		goto fail;
	}
	err = start_time(getpid(), &start);
	if (err)
		goto fail;
	snprintf(text, sizeof(text), "1 %" PRIu32 " %d %" PRIu64 "\n", port, (int)getpid(), start);
	err = write_atomically(dir, name, text);
	if (err)
		goto fail;
	*lock = fd;
	return 0;
fail:
	close(fd);
	return err;
}

void rendezvous_withdraw(const char *dir, const char *name, int lock)
{
	char path[PATH_MAX];

	if (!make_path(path, dir, "", name, ""))
		unlink(path);
	close(lock);
}

bool pidfd_dead(int pidfd)
{
	struct pollfd pfd = { .fd = pidfd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

int rendezvous_lookup(const char *dir, const char *name, uint32_t *port, int *pidfd)
{
	char path[PATH_MAX], text[MAX_FILE], end;
	uint64_t start, now;
	int pid, fd, err;

	err = make_path(path, dir, "", name, "");
	if (!err)
		err = read_file(path, text, sizeof(text));
	if (err)
		return err;
	if (sscanf(text, "1 %" SCNu32 " %d %" SCNu64 "%c", port, &pid, &start, &end) != 4 || end != '\n' ||
	    pid <= 0 || !*port)
		return -EBADMSG;
	fd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (fd < 0)
		return errno == ESRCH ? -ECONNREFUSED : -errno;
	/* Read after the pidfd is held: the number can't change hands in between. */
	err = start_time(pid, &now);
	if (err == -ENOENT || err == -ESRCH || (!err && (now != start || pidfd_dead(fd))))
		err = -ECONNREFUSED;
	if (err) {
		close(fd);
		return err;
	}
	*pidfd = fd;
	return 0;
}
