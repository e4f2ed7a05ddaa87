// SPDX-License-Identifier: Apache-2.0
/* hsmctl: from words to a command. */
#include <errno.h>
#include <getopt.h>
#include <malloc.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "daemon.h"
#include "hsmctl.h"
#include "log.h"

static const char usage[] =
	"usage: hsmctl [--json] COMMAND\n"
	"\n"
	"Cards and pools (root):\n"
	"  card list\n"
	"  partition list --card N\n"
	"  pool create NAME --cards N,... --queue-pairs N --cgroup DIR\n"
	"              [--partition UUID] [--depth N] [--shared]\n"
	"  pool list\n"
	"  pool bind NAME --cgroup DIR\n"
	"  pool delete NAME [--with-partition]\n"
	"\n"
	"A daemon, over its administration socket:\n"
	"  --socket S status\n"
	"  --socket S account create NAME           (shared KMS)\n"
	"  --socket S account import                (instance; what 'account create', or 'credential\n"
	"                                            issue' of the shared KMS, printed, on stdin)\n"
	"  --socket S account list\n"
	"  --socket S instance add NAME --account ID --endpoint URL   (shared KMS)\n"
	"  --socket S instance list\n"
	"  --socket S credential issue NAME         (instance; shared KMS: a further one of account NAME)\n"
	"  --socket S credential list\n"
	"  --socket S credential revoke ACCESS_KEY_ID\n"
	"\n"
	"  --json               print JSON\n"
	"  --help, --version\n"
	"\n"
	"Exit status: 0 done, 1 refused, 2 wrong usage.\n";

enum needs {
	NAME		= 1 << 0,
	SOCKET		= 1 << 1,
	CARDS		= 1 << 2,
	QUEUE_PAIRS	= 1 << 3,
	CGROUP		= 1 << 4,
	PARTITION	= 1 << 5,
	DEPTH		= 1 << 6,
	SHARED		= 1 << 7,
	WITH_PARTITION	= 1 << 8,
	CARD		= 1 << 9,
	ACCOUNT		= 1 << 10,
	ENDPOINT	= 1 << 11,
};

static const struct command {
	const char *noun, *verb;
	int (*run)(const struct ctl *c);
	unsigned int needs, takes;
} commands[] = {
	{ "card",	"list",		card_list,		0, 0 },
	{ "partition",	"list",		partition_list,		CARD, 0 },
	{ "pool",	"create",	pool_create,		NAME | CARDS | QUEUE_PAIRS | CGROUP,
								PARTITION | DEPTH | SHARED },
	{ "pool",	"list",		pool_list,		0, 0 },
	{ "pool",	"bind",		pool_bind,		NAME | CGROUP, 0 },
	{ "pool",	"delete",	pool_delete,		NAME, WITH_PARTITION },
	{ "status",	NULL,		daemon_status,		SOCKET, 0 },
	{ "account",	"create",	account_create,		SOCKET | NAME, 0 },
	{ "account",	"import",	account_import,		SOCKET, 0 },
	{ "account",	"list",		account_list,		SOCKET, 0 },
	{ "instance",	"add",		instance_add,		SOCKET | NAME | ACCOUNT | ENDPOINT, 0 },
	{ "instance",	"list",		instance_list,		SOCKET, 0 },
	{ "credential",	"issue",	credential_issue,	SOCKET | NAME, 0 },
	{ "credential",	"list",		credential_list,	SOCKET, 0 },
	{ "credential",	"revoke",	credential_revoke,	SOCKET | NAME, 0 },
};

static const struct {
	unsigned int bit;
	const char *text;
} need_texts[] = {
	{ NAME, "NAME" },
	{ SOCKET, "--socket S" },
	{ CARDS, "--cards N,..." },
	{ QUEUE_PAIRS, "--queue-pairs N" },
	{ CGROUP, "--cgroup DIR" },
	{ PARTITION, "--partition UUID" },
	{ DEPTH, "--depth N" },
	{ SHARED, "--shared" },
	{ WITH_PARTITION, "--with-partition" },
	{ CARD, "--card N" },
	{ ACCOUNT, "--account ID" },
	{ ENDPOINT, "--endpoint URL" },
};

static void say(const char *fmt, va_list ap)
{
	fputs("hsmctl: ", stderr);
	vfprintf(stderr, fmt, ap);
	fputc('\n', stderr);
}

int ctl_fail(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return CTL_REFUSED;
}

void ctl_note(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
}

int ctl_usage(const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	say(fmt, ap);
	va_end(ap);
	return CTL_USAGE;
}

int ctl_number(const char *text, uint32_t min, uint32_t max, uint32_t *out)
{
	unsigned long long n;
	char *end;

	if (*text < '0' || *text > '9')
		return -EINVAL;
	errno = 0;
	n = strtoull(text, &end, 10);
	if (errno || *end || n < min || n > max)
		return -EINVAL;
	*out = (uint32_t)n;
	return 0;
}

/* Options given, as bits; -1 after a message. */
static int parse(int argc, char **argv, struct ctl *c, unsigned int *given)
{
	static const struct option longs[] = {
		{ "json", no_argument, NULL, 'j' },
		{ "socket", required_argument, NULL, 's' },
		{ "cards", required_argument, NULL, 'C' },
		{ "queue-pairs", required_argument, NULL, 'q' },
		{ "cgroup", required_argument, NULL, 'g' },
		{ "partition", required_argument, NULL, 'p' },
		{ "depth", required_argument, NULL, 'd' },
		{ "shared", no_argument, NULL, 'S' },
		{ "with-partition", no_argument, NULL, 'w' },
		{ "card", required_argument, NULL, 'c' },
		{ "account", required_argument, NULL, 'a' },
		{ "endpoint", required_argument, NULL, 'e' },
		{ "help", no_argument, NULL, 'h' },
		{ "version", no_argument, NULL, 'V' },
		{ 0 },
	};
	int o;

	*c = (struct ctl){ 0 };
	*given = 0;
	while ((o = getopt_long(argc, argv, "", longs, NULL)) != -1) {
		switch (o) {
		case 'j': c->json = true; break;
		case 's': c->socket = optarg; *given |= SOCKET; break;
		case 'C': c->cards = optarg; *given |= CARDS; break;
		case 'q': c->queue_pairs = optarg; *given |= QUEUE_PAIRS; break;
		case 'g': c->cgroup = optarg; *given |= CGROUP; break;
		case 'p': c->partition = optarg; *given |= PARTITION; break;
		case 'd': c->depth = optarg; *given |= DEPTH; break;
		case 'S': c->shared = true; *given |= SHARED; break;
		case 'w': c->with_partition = true; *given |= WITH_PARTITION; break;
		case 'c': c->card = optarg; *given |= CARD; break;
		case 'a': c->account = optarg; *given |= ACCOUNT; break;
		case 'e': c->endpoint = optarg; *given |= ENDPOINT; break;
		case 'h':
			fputs(usage, stdout);
			exit(CTL_OK);
		case 'V':
			puts("hsmctl " HSM_RELEASE);
			exit(CTL_OK);
		default:
			fputs("Try 'hsmctl --help'.\n", stderr);
			return -EINVAL;
		}
	}
	return 0;
}

static const struct command *find(char **words, int n)
{
	for (size_t i = 0; i < sizeof(commands) / sizeof(commands[0]); i++) {
		const struct command *cmd = &commands[i];

		if (n && !strcmp(words[0], cmd->noun) && (!cmd->verb || (n > 1 && !strcmp(words[1], cmd->verb))))
			return cmd;
	}
	return NULL;
}

static int check(const struct command *cmd, unsigned int given)
{
	const char *verb = cmd->verb ? cmd->verb : "";

	for (size_t i = 0; i < sizeof(need_texts) / sizeof(need_texts[0]); i++) {
		unsigned int bit = need_texts[i].bit;

		if ((cmd->needs & bit) && !(given & bit))
			return ctl_usage("%s %s needs %s; see --help", cmd->noun, verb, need_texts[i].text);
		if ((given & bit) && !((cmd->needs | cmd->takes) & bit))
			return ctl_usage("%s %s takes no %s; see --help", cmd->noun, verb, need_texts[i].text);
	}
	return CTL_OK;
}

/* Answers hold secrets, and the heap keeps what was freed. */
static void wipe_free(void *p)
{
	if (p)
		explicit_bzero(p, malloc_usable_size(p));
	free(p);
}

int main(int argc, char **argv)
{
	const struct command *cmd;
	unsigned int given;
	struct ctl c;
	int words, n, ret;

	log_init("hsmctl", 0);
	json_set_alloc_funcs(malloc, wipe_free);
	if (parse(argc, argv, &c, &given))
		return CTL_USAGE;
	words = argc - optind;
	if (!words)
		return ctl_usage("give a command; see --help");
	cmd = find(argv + optind, words);
	if (!cmd)
		return ctl_usage("no command '%s%s%s'; see --help", argv[optind], words > 1 ? " " : "",
				 words > 1 ? argv[optind + 1] : "");
	n = cmd->verb ? 2 : 1;
	if (words > n && (cmd->needs & NAME)) {
		c.name = argv[optind + n++];
		given |= NAME;
	}
	if (words > n)
		return ctl_usage("'%s' is one word too many; see --help", argv[optind + n]);
	ret = check(cmd, given);
	return ret ? ret : cmd->run(&c);
}
