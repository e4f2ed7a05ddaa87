// SPDX-License-Identifier: Apache-2.0
/* The reading half of the SQLite store: one read-only connection per worker. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "cursor.h"
#include "store_priv.h"

enum reader_stmt {
	R_KEY, R_KEY_FULL, R_DIR, R_CRED, R_INSTANCE, R_KEYS, R_KEYS_ALL, R_DIRS, R_DIRS_ALL,
	R_COUNT
};

static const char *const reader_sql[R_COUNT] = {
	[R_KEY]		= "SELECT account, created, token FROM key WHERE id=?1",
	[R_KEY_FULL]	= "SELECT account, created, token, description FROM key WHERE id=?1",
	[R_DIR]		= "SELECT account, instance, created FROM directory WHERE id=?1",
	[R_CRED]	= "SELECT kind, account, name, created, secret FROM credential WHERE access_key_id=?1",
	[R_INSTANCE]	= "SELECT name, account, endpoint, created FROM instance WHERE name=?1",
	[R_KEYS]	= "SELECT id, account FROM key WHERE account=?1 AND id>?2 ORDER BY id LIMIT ?3",
	[R_KEYS_ALL]	= "SELECT id, account FROM key WHERE id>?2 ORDER BY id LIMIT ?3",
	[R_DIRS]	= "SELECT id, account FROM directory WHERE account=?1 AND id>?2 ORDER BY id LIMIT ?3",
	[R_DIRS_ALL]	= "SELECT id, account FROM directory WHERE id>?2 ORDER BY id LIMIT ?3",
};

struct store_port {
	struct store *store;
	sqlite3 *db;
	sqlite3_stmt *stmt[R_COUNT];
};

int store_port_open(struct store *s, struct ring *ring, struct store_port **out)
{
	struct store_port *p = calloc(1, sizeof(*p));
	int err, rc;

	(void)ring;	/* reads answer inside the call */
	if (!p)
		return -ENOMEM;
	p->store = s;
	err = store_connect(s->path, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX, &p->db);
	if (err)
		goto fail;
	for (int i = 0; i < R_COUNT; i++) {
		rc = sqlite3_prepare_v3(p->db, reader_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &p->stmt[i], NULL);
		if (rc != SQLITE_OK) {
			err = store_errno(p->db, rc, "preparing");
			goto fail;
		}
	}
	*out = p;
	return 0;
fail:
	store_port_close(p);
	return err;
}

void store_port_close(struct store_port *p)
{
	if (!p)
		return;
	for (int i = 0; i < R_COUNT; i++)
		sqlite3_finalize(p->stmt[i]);
	sqlite3_close(p->db);
	free(p);
}

/* Text of a column into a fixed array; a cell that does not fit is damage. */
static int text(sqlite3_stmt *st, int col, char *out, size_t cap)
{
	const unsigned char *s = sqlite3_column_text(st, col);
	size_t len = (size_t)sqlite3_column_bytes(st, col);

	if (!s)
		return -ENOMEM;
	if (len >= cap || strlen((const char *)s) != len)
		return -EUCLEAN;
	memcpy(out, s, len + 1);
	return 0;
}

static int blob(sqlite3_stmt *st, int col, uint8_t *out, size_t cap, uint16_t *len)
{
	size_t n = (size_t)sqlite3_column_bytes(st, col);

	if (!n || n > cap)
		return -EUCLEAN;
	memcpy(out, sqlite3_column_blob(st, col), n);
	*len = (uint16_t)n;
	return 0;
}

/* Steps a statement that has one row at most. */
static int one(struct store_port *p, sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	if (rc == SQLITE_ROW)
		return 0;
	return rc == SQLITE_DONE ? -ENOENT : store_errno(p->db, rc, "reading");
}

static int first_of(int a, int b)
{
	return a ? a : b;
}

void store_key_get(struct store_port *p, const uint8_t id[16], struct store_read *r)
{
	sqlite3_stmt *st = p->stmt[r->description ? R_KEY_FULL : R_KEY];
	struct store_key row = { 0 };
	int err;

	sqlite3_bind_blob(st, 1, id, 16, SQLITE_STATIC);
	err = one(p, st);
	if (!err) {
		memcpy(row.id, id, 16);
		err = text(st, 0, row.account, sizeof(row.account));
		row.created_ms = sqlite3_column_int64(st, 1);
		err = first_of(err, blob(st, 2, row.token, sizeof(row.token), &row.token_len));
	}
	if (!err && r->description) {
		const void *d = sqlite3_column_text(st, 3);

		row.description_len = (size_t)sqlite3_column_bytes(st, 3);
		row.description = r->description;
		if (!d)
			err = -ENOMEM;
		else if (row.description_len > STORE_DESCRIPTION_MAX)
			err = -EUCLEAN;
		else
			memcpy(r->description, d, row.description_len);
	}
	sqlite3_reset(st);
	r->done(r, err, err ? NULL : &row);
}

void store_dir_get(struct store_port *p, const uint8_t id[16], struct store_read *r)
{
	sqlite3_stmt *st = p->stmt[R_DIR];
	struct store_dir row = { 0 };
	int err;

	sqlite3_bind_blob(st, 1, id, 16, SQLITE_STATIC);
	err = one(p, st);
	if (!err) {
		memcpy(row.id, id, 16);
		err = text(st, 0, row.account, sizeof(row.account));
		err = first_of(err, text(st, 1, row.instance, sizeof(row.instance)));
		row.created_ms = sqlite3_column_int64(st, 2);
	}
	sqlite3_reset(st);
	r->done(r, err, err ? NULL : &row);
}

static int credential_row(sqlite3_stmt *st, int col, struct store_credential *row)
{
	int err;

	row->kind = (uint8_t)sqlite3_column_int(st, col);
	err = text(st, col + 1, row->account, sizeof(row->account));
	err = first_of(err, text(st, col + 2, row->name, sizeof(row->name)));
	row->created_ms = sqlite3_column_int64(st, col + 3);
	return err;
}

void store_credential_get(struct store_port *p, const char *access_key_id, struct store_read *r)
{
	sqlite3_stmt *st = p->stmt[R_CRED];
	struct store_credential row = { 0 };
	int err;

	sqlite3_bind_text(st, 1, access_key_id, -1, SQLITE_STATIC);
	err = strlen(access_key_id) > STORE_AKID_MAX ? -ENOENT : one(p, st);
	if (!err) {
		STR_COPY(row.access_key_id, access_key_id);
		err = credential_row(st, 0, &row);
		err = first_of(err, blob(st, 4, row.secret, sizeof(row.secret), &row.secret_len));
	}
	sqlite3_reset(st);
	r->done(r, err, err ? NULL : &row);
}

static int instance_row(sqlite3_stmt *st, struct store_instance *row)
{
	int err = text(st, 0, row->name, sizeof(row->name));

	err = first_of(err, text(st, 1, row->account, sizeof(row->account)));
	err = first_of(err, text(st, 2, row->endpoint, sizeof(row->endpoint)));
	row->created_ms = sqlite3_column_int64(st, 3);
	return err;
}

void store_instance_get(struct store_port *p, const char *name, struct store_read *r)
{
	sqlite3_stmt *st = p->stmt[R_INSTANCE];
	struct store_instance row = { 0 };
	int err;

	sqlite3_bind_text(st, 1, name, -1, SQLITE_STATIC);
	err = one(p, st);
	if (!err)
		err = instance_row(st, &row);
	sqlite3_reset(st);
	r->done(r, err, err ? NULL : &row);
}

void store_key_list(struct store_port *p, struct store_page *page)
{
	static const uint8_t below_all[1];	/* the empty blob sorts first */
	bool all = !page->account[0];
	enum reader_stmt which = p->store->role == 's' ? (all ? R_DIRS_ALL : R_DIRS) : (all ? R_KEYS_ALL : R_KEYS);
	sqlite3_stmt *st = p->stmt[which];
	uint16_t len;
	int rc, err = 0;

	if (!all)
		sqlite3_bind_text(st, 1, page->account, -1, SQLITE_STATIC);
	sqlite3_bind_blob(st, 2, page->after ? page->after : below_all, page->after ? 16 : 0, SQLITE_STATIC);
	sqlite3_bind_int64(st, 3, (int64_t)page->limit + 1);
	page->n = 0;
	while ((rc = sqlite3_step(st)) == SQLITE_ROW && !err) {
		struct store_page_row *row = &page->rows[page->n++];

		err = blob(st, 0, row->id, sizeof(row->id), &len);
		err = first_of(err, text(st, 1, row->account, sizeof(row->account)));
	}
	if (!err && rc != SQLITE_DONE)
		err = store_errno(p->db, rc, "listing keys");
	sqlite3_reset(st);
	page->more = page->n > page->limit;
	if (page->more)
		page->n = page->limit;
	page->done(page, err);
}

/* ---- administration ---- */

static int each(struct store_port *p, const char *sql, int (*read)(sqlite3_stmt *st, void *row), void *row,
		store_row_fn fn, void *arg)
{
	sqlite3_stmt *st;
	int err = 0, rc = sqlite3_prepare_v2(p->db, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return store_errno(p->db, rc, "listing");
	while (!err && (rc = sqlite3_step(st)) == SQLITE_ROW) {
		err = read(st, row);
		if (!err)
			fn(arg, row);
	}
	if (!err && rc != SQLITE_DONE)
		err = store_errno(p->db, rc, "listing");
	sqlite3_finalize(st);
	return err;
}

static int read_account(sqlite3_stmt *st, void *out)
{
	struct store_account *row = out;
	int err = text(st, 0, row->id, sizeof(row->id));

	row->created_ms = sqlite3_column_int64(st, 2);
	return first_of(err, text(st, 1, row->name, sizeof(row->name)));
}

int store_account_each(struct store_port *p, store_row_fn fn, void *arg)
{
	struct store_account row;

	return each(p, "SELECT id, name, created FROM account ORDER BY name", read_account, &row, fn, arg);
}

static int read_instance(sqlite3_stmt *st, void *out)
{
	return instance_row(st, out);
}

int store_instance_each(struct store_port *p, store_row_fn fn, void *arg)
{
	struct store_instance row;

	return each(p, "SELECT name, account, endpoint, created FROM instance ORDER BY name", read_instance, &row,
		    fn, arg);
}

static int read_credential(sqlite3_stmt *st, void *out)
{
	struct store_credential *row = out;
	int err = text(st, 0, row->access_key_id, sizeof(row->access_key_id));

	return first_of(err, credential_row(st, 1, row));
}

int store_credential_each(struct store_port *p, store_row_fn fn, void *arg)
{
	struct store_credential row = { 0 };

	return each(p, "SELECT access_key_id, kind, account, name, created FROM credential ORDER BY created",
		    read_credential, &row, fn, arg);
}
