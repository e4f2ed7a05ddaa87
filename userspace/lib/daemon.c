// SPDX-License-Identifier: Apache-2.0
#include "daemon.h"

#include <errno.h>
#include <grp.h>
#include <netdb.h>
#include <pwd.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <unistd.h>

#include "log.h"

#define FILES_RESERVE	64u	/* for all that is no connection: sockets, rings, the store, the pool */

static int no_dumps(void)
{
	const struct rlimit none = { 0, 0 };

	if (prctl(PR_SET_DUMPABLE, 0) || setrlimit(RLIMIT_CORE, &none))
		return -errno;
	return 0;
}

static void stop_signals(sigset_t *set)
{
	sigemptyset(set);
	sigaddset(set, SIGTERM);
	sigaddset(set, SIGINT);
}

/* Connections are descriptors; the soft limit is low for the sake of select(), which nothing here uses. */
static int all_files(void)
{
	struct rlimit files;

	if (getrlimit(RLIMIT_NOFILE, &files))
		return -errno;
	files.rlim_cur = files.rlim_max;
	return setrlimit(RLIMIT_NOFILE, &files) ? -errno : 0;
}

unsigned int daemon_max_conns(int workers, unsigned int max)
{
	struct rlimit files;
	rlim_t each;

	if (getrlimit(RLIMIT_NOFILE, &files) || files.rlim_cur == RLIM_INFINITY)
		return max;
	each = files.rlim_cur > FILES_RESERVE ? (files.rlim_cur - FILES_RESERVE) / (rlim_t)workers : 0;
	if (each >= max)
		return max;
	if (!each)
		each = 1;
	log_warn("%llu connections in each of %d workers: more files can't be open at one time (RLIMIT_NOFILE %llu)",
		 (unsigned long long)each, workers, (unsigned long long)files.rlim_cur);
	return (unsigned int)each;
}

int daemon_begin(void)
{
	sigset_t set;
	int err;

	stop_signals(&set);
	err = all_files();
	if (err)
		return err;
	if (signal(SIGPIPE, SIG_IGN) == SIG_ERR || sigprocmask(SIG_BLOCK, &set, NULL))
		return -errno;
	return no_dumps();
}

void daemon_wait_stop(void)
{
	sigset_t set;
	int sig;

	stop_signals(&set);
	while (sigwait(&set, &sig))
		;
	log_info("stopping on %s", sig == SIGINT ? "SIGINT" : "SIGTERM");
}

int daemon_parse_listen(const char *text, struct sockaddr_storage *addr, socklen_t *len)
{
	const struct addrinfo hints = {
		.ai_socktype = SOCK_STREAM,
		.ai_flags = AI_PASSIVE | AI_NUMERICSERV,
	};
	const char *colon = strrchr(text, ':'), *host = text;
	size_t host_len = colon ? (size_t)(colon - text) : 0;
	struct addrinfo *ai;
	char name[256];
	int err;

	if (host_len > 2 && host[0] == '[' && host[host_len - 1] == ']') {
		host++;
		host_len -= 2;
	}
	if (!colon || !host_len || !colon[1] || host_len >= sizeof(name)) {
		log_err("address '%s': give HOST:PORT, such as 127.0.0.1:8443 or [::1]:8443", text);
		return -EINVAL;
	}
	memcpy(name, host, host_len);
	name[host_len] = '\0';
	err = getaddrinfo(name, colon + 1, &hints, &ai);
	if (err) {
		log_err("address '%s': %s", text, gai_strerror(err));
		return -EINVAL;
	}
	memcpy(addr, ai->ai_addr, ai->ai_addrlen);
	*len = ai->ai_addrlen;
	freeaddrinfo(ai);
	return 0;
}

void daemon_set_port(struct sockaddr_storage *addr, unsigned int port)
{
	if (addr->ss_family == AF_INET)
		((struct sockaddr_in *)addr)->sin_port = htons((uint16_t)port);
	else
		((struct sockaddr_in6 *)addr)->sin6_port = htons((uint16_t)port);
}

int daemon_parse_workers(const char *text)
{
	long n;
	char *end;

	if (!text) {
		n = sysconf(_SC_NPROCESSORS_ONLN);
		return n < 1 ? 1 : n > (long)DAEMON_MAX_WORKERS ? (int)DAEMON_MAX_WORKERS : (int)n;
	}
	n = strtol(text, &end, 10);
	if (end == text || *end || n < 1 || n > (long)DAEMON_MAX_WORKERS) {
		log_err("workers '%s': give a number from 1 to %u", text, DAEMON_MAX_WORKERS);
		return -EINVAL;
	}
	return (int)n;
}

int daemon_drop_user(const char *user)
{
	const struct passwd *pw;
	uid_t ruid, euid, suid;
	gid_t rgid, egid, sgid;
	int err;

	if (!user)
		return 0;
	errno = 0;
	pw = getpwnam(user);
	if (!pw) {
		err = errno ? -errno : -ENOENT;
		log_err("user '%s': %s", user, err == -ENOENT ? "no such user" : strerror(-err));
		return err;
	}
	if (setgroups(0, NULL) || setresgid(pw->pw_gid, pw->pw_gid, pw->pw_gid) ||
	    setresuid(pw->pw_uid, pw->pw_uid, pw->pw_uid)) {
		err = -errno;
		log_err("cannot become user '%s': %s", user, strerror(-err));
		return err;
	}
	if (getresuid(&ruid, &euid, &suid) || getresgid(&rgid, &egid, &sgid) || ruid != pw->pw_uid ||
	    euid != pw->pw_uid || suid != pw->pw_uid || rgid != pw->pw_gid || egid != pw->pw_gid ||
	    sgid != pw->pw_gid || (pw->pw_uid && !setuid(0))) {
		log_err("still not user '%s' after giving up root", user);
		return -EPERM;
	}
	/* The change of user has put the limits of dumps back. */
	return no_dumps();
}
