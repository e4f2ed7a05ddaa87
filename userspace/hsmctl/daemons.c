// SPDX-License-Identifier: Apache-2.0
/* Commands to a daemon: one object to its administration socket, one back. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "adminsock.h"
#include "hsmctl.h"

#define MAX_STDIN ADMIN_MAX_LINE

static const char *hint(int err)
{
	switch (err) {
	case -ENOENT:
		return "; no such socket: is the daemon running, and is this its --admin path?";
	case -ECONNREFUSED:
		return "; nothing listens there: the daemon is not running";
	case -EACCES:
		return "; be root, or the user that started the daemon";
	case -ECONNRESET:
		return "; the daemon closed the connection: it ended, or does not admit this user";
	default:
		return "";
	}
}

/* Takes in; the answer without its "ok", or NULL after a message. */
static json_t *ask(const struct ctl *c, json_t *in)
{
	json_t *out = NULL;
	const char *why;
	int err;

	err = in ? admin_request(c->socket, in, &out) : -ENOMEM;
	json_decref(in);
	if (err) {
		ctl_fail("%s: %s%s", c->socket, strerror(-err), hint(err));
		return NULL;
	}
	if (!json_is_true(json_object_get(out, "ok"))) {
		why = json_string_value(json_object_get(out, "error"));
		ctl_fail("%s", why ? why : "refused, without a reason");
		json_decref(out);
		return NULL;
	}
	json_object_del(out, "ok");
	return out;
}

static int ask_and_print(const struct ctl *c, json_t *in, const char *list, const struct column *columns)
{
	json_t *out = ask(c, in);

	if (!out)
		return CTL_REFUSED;
	if (list && !json_is_array(json_object_get(out, list))) {
		json_decref(out);
		return ctl_fail("%s: the answer has no list of %s", c->socket, list);
	}
	return ctl_print(c, out, list, columns);
}

int daemon_status(const struct ctl *c)
{
	return ask_and_print(c, json_pack("{s:s}", "op", "status"), NULL, NULL);
}

int account_create(const struct ctl *c)
{
	return ask_and_print(c, json_pack("{s:s, s:s}", "op", "account-create", "name", c->name), NULL, NULL);
}

int account_import(const struct ctl *c)
{
	static char text[MAX_STDIN];
	json_error_t why;
	json_t *in;
	size_t len;

	/* No second copy of the secret. */
	setvbuf(stdin, NULL, _IONBF, 0);
	len = fread(text, 1, sizeof(text), stdin);
	if (ferror(stdin))
		return ctl_fail("cannot read stdin: %s", strerror(errno));
	in = len < sizeof(text) ? json_loadb(text, len, JSON_REJECT_DUPLICATES, &why) : NULL;
	explicit_bzero(text, sizeof(text));
	if (!json_is_object(in)) {
		json_decref(in);
		return ctl_fail("stdin is not the JSON object that 'hsmctl --json account create', or 'credential issue',"
				" of the shared KMS printed");
	}
	if (json_object_set_new(in, "op", json_string("account-import"))) {
		json_decref(in);
		return ctl_fail("out of memory");
	}
	return ask_and_print(c, in, NULL, NULL);
}

int account_list(const struct ctl *c)
{
	static const struct column columns[] = {
		{ "ACCOUNT", "account" },
		{ "NAME", "name" },
		{ "CREATED", "created" },
		{ 0 },
	};

	return ask_and_print(c, json_pack("{s:s}", "op", "account-list"), "accounts", columns);
}

int instance_add(const struct ctl *c)
{
	return ask_and_print(c, json_pack("{s:s, s:s, s:s, s:s}", "op", "instance-add", "name", c->name,
					  "account", c->account, "endpoint", c->endpoint), NULL, NULL);
}

int instance_list(const struct ctl *c)
{
	static const struct column columns[] = {
		{ "INSTANCE", "name" },
		{ "ACCOUNT", "account" },
		{ "ENDPOINT", "endpoint" },
		{ "CREATED", "created" },
		{ 0 },
	};

	return ask_and_print(c, json_pack("{s:s}", "op", "instance-list"), "instances", columns);
}

int credential_issue(const struct ctl *c)
{
	return ask_and_print(c, json_pack("{s:s, s:s}", "op", "credential-issue", "name", c->name), NULL, NULL);
}

int credential_list(const struct ctl *c)
{
	static const struct column columns[] = {
		{ "ACCESS KEY", "access_key_id" },
		{ "NAME", "name" },
		{ "KIND", "kind" },
		{ "ACCOUNT", "account" },
		{ "CREATED", "created" },
		{ 0 },
	};

	return ask_and_print(c, json_pack("{s:s}", "op", "credential-list"), "credentials", columns);
}

int credential_revoke(const struct ctl *c)
{
	return ask_and_print(c, json_pack("{s:s, s:s}", "op", "credential-revoke", "access_key_id", c->name), NULL, NULL);
}
