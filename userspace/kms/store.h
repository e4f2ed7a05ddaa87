/* SPDX-License-Identifier: Apache-2.0 */
/*
 * What a KMS remembers.  SQLite stands behind it today; nothing above this
 * header may know that.
 *
 * Writing: a struct store_write is a list of changes that happen together or
 * not at all.  Its completion runs on the submitter's ring when the changes are
 * durable, or when they are not and never will be.  Writes that wait at the same
 * time share one transaction and one fsync (group commit).
 *
 * Reading: through a worker's own struct store_port.  The completion may run before the call
 * returns (SQLite: always does) or later on the port's ring (a store over a network); callers
 * rely on neither.  A read that starts after a write's completion sees that write.
 *
 * Errors: -ENOENT, -EEXIST, -ENOSPC (disk or quota full), -EIO, -EUCLEAN (damaged
 * store), -EINVAL (a row that the store does not take), -EBUSY (locked by another
 * process for 5 s), -EACCES (files that can't be opened or written), -ENOMEM.
 */
#ifndef KMS_STORE_H
#define KMS_STORE_H

#include <stddef.h>
#include <stdint.h>

#include "hsm_cmd.h"
#include "ring.h"

#define STORE_ACCOUNT_LEN	12		/* decimal digits */
#define STORE_NAME_MAX		63		/* bytes: names of accounts and credentials */
#define STORE_INSTANCE_MAX	31		/* bytes: a pool's name */
#define STORE_URL_MAX		255
#define STORE_AKID_MAX		64
#define STORE_SECRET_MAX	256		/* bytes, sealed */
#define STORE_DESCRIPTION_MAX	32768		/* bytes of UTF-8 */
#define STORE_META_MAX		1024

struct store;		/* one per process */
struct store_port;	/* one per worker */

struct store_key {
	uint8_t id[16];
	char account[STORE_ACCOUNT_LEN + 1];
	int64_t created_ms;			/* since 1970 */
	uint16_t token_len;
	uint8_t token[HSM_MAX_TOKEN];
	const char *description;		/* in: borrowed, UTF-8; out: the reader's buffer, or NULL */
	size_t description_len;
};

/* Where a key of any account lives; the shared role's. instance "" is this KMS itself. */
struct store_dir {
	uint8_t id[16];
	char account[STORE_ACCOUNT_LEN + 1];
	char instance[STORE_INSTANCE_MAX + 1];
	int64_t created_ms;
};

enum store_credential_kind {
	STORE_CRED_ACCOUNT	= 1,	/* of an account, for the gateway */
	STORE_CRED_INSTANCE	= 2,	/* issued by this instance, for its data listener */
};

struct store_credential {
	char access_key_id[STORE_AKID_MAX + 1];
	uint8_t kind;				/* enum store_credential_kind */
	char account[STORE_ACCOUNT_LEN + 1];	/* "" for an instance's */
	char name[STORE_NAME_MAX + 1];
	int64_t created_ms;
	uint16_t secret_len;
	uint8_t secret[STORE_SECRET_MAX];	/* sealed by the card */
};

struct store_account {
	char id[STORE_ACCOUNT_LEN + 1];
	char name[STORE_NAME_MAX + 1];
	int64_t created_ms;
};

struct store_instance {
	char name[STORE_INSTANCE_MAX + 1];
	char account[STORE_ACCOUNT_LEN + 1];	/* its owner */
	char endpoint[STORE_URL_MAX + 1];
	int64_t created_ms;
};

/*
 * Opens or makes the store in folder dir (made 0700 if missing, or set so; files 0600) for the partition.
 * role: 's' or 'd', fixed when the store is made.  Logs the reason of a failure: -EKEYREJECTED belongs to another
 * partition or role, -EPROTO made by another version of this program, -EBUSY open in another process, -EUCLEAN.
 */
int store_open(const char *dir, const uint8_t partition[16], char role, struct store **s);
/* Finishes queued writes; every port is closed before.  NULL is ignored. */
void store_close(struct store *s);

/* One small named value, synchronously, for set-up before the workers run.  get: length, or -ENOENT, ... */
int store_meta_get(struct store *s, const char *name, void *buf, size_t cap);
int store_meta_put(struct store *s, const char *name, const void *buf, size_t len);

/*
 * Counts changes of rows that readers may have cached: whoever caches a row takes the number before
 * it reads, and drops the row once the number has moved.  Fresh rows don't move it.  Any thread.
 */
uint64_t store_generation(const struct store *s);

/* ---- writing ---- */

enum store_change_kind {
	STORE_KEY_PUT,			/* -EEXIST if the id is taken */
	STORE_DIR_PUT,			/* likewise */
	STORE_CREDENTIAL_PUT,		/* likewise */
	STORE_CREDENTIAL_DELETE,	/* -ENOENT */
	STORE_ACCOUNT_PUT,		/* -EEXIST: id or name is taken */
	STORE_INSTANCE_PUT,		/* replaces the endpoint; -EEXIST if another account owns it */
};

struct store_change {
	enum store_change_kind kind;
	union {
		const struct store_key *key;
		const struct store_dir *dir;
		const struct store_credential *credential;
		const char *access_key_id;
		const struct store_account *account;
		const struct store_instance *instance;
	};
};

#define STORE_MAX_CHANGES 2

struct store_write {
	struct store_change changes[STORE_MAX_CHANGES];	/* rows are borrowed until done runs */
	unsigned int n;
	struct ring *ring;		/* done runs there */
	void (*done)(struct store_write *w, int err);

	struct ring_work work;		/* the store's from here */
	struct store_write *next;
	int err;
};

void store_submit(struct store *s, struct store_write *w);

/* ---- reading ---- */

int store_port_open(struct store *s, struct ring *ring, struct store_port **port);
void store_port_close(struct store_port *port);		/* NULL is ignored */

/*
 * A read: the caller fills arg and, for a key, where its description shall go;
 * done gets the row, valid during the call, or NULL with err.
 */
struct store_read {
	void (*done)(struct store_read *r, int err, const void *row);
	char *description;		/* STORE_DESCRIPTION_MAX bytes, or NULL: not wanted */
};

void store_key_get(struct store_port *p, const uint8_t id[16], struct store_read *r);
void store_dir_get(struct store_port *p, const uint8_t id[16], struct store_read *r);
void store_credential_get(struct store_port *p, const char *access_key_id, struct store_read *r);
void store_instance_get(struct store_port *p, const char *name, struct store_read *r);

/* Ids of keys in ascending order, those greater than `after` (NULL: from the first). */
struct store_page {
	const char *account;		/* "": of all accounts */
	const uint8_t *after;
	unsigned int limit;
	struct store_page_row {
		uint8_t id[16];
		char account[STORE_ACCOUNT_LEN + 1];
	} *rows;			/* the caller's, room for limit + 1 */
	unsigned int n;			/* out, at most limit */
	int more;			/* out: rows are left */
	void (*done)(struct store_page *page, int err);
};

/* Of this KMS's own keys, or (role 's') of the whole directory. */
void store_key_list(struct store_port *p, struct store_page *page);

/*
 * Administration's lists, in full: each called once per row, then done.  Rows are few (hundreds);
 * fn's row is valid during the call.
 */
typedef void (*store_row_fn)(void *arg, const void *row);
int store_account_each(struct store_port *p, store_row_fn fn, void *arg);
int store_instance_each(struct store_port *p, store_row_fn fn, void *arg);
int store_credential_each(struct store_port *p, store_row_fn fn, void *arg);

#endif
