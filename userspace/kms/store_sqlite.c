// SPDX-License-Identifier: Apache-2.0
/*
 * The store in SQLite: WAL with synchronous=FULL, so that a commit is on the
 * medium when COMMIT returns.  One connection writes, in one thread; it takes all
 * writes that have queued up while the last fsync ran and commits them together.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "log.h"
#include "store_priv.h"

#define SCHEMA_VERSION	1
#define APPLICATION_ID	0x48534d4b	/* "HSMK" */
#define MAX_BATCH	512
#define MAX_CELL	65536

static const char schema[] =
	"CREATE TABLE meta(name TEXT PRIMARY KEY, value BLOB NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE account(id TEXT PRIMARY KEY CHECK(length(id)=12),"
	" name TEXT NOT NULL UNIQUE CHECK(length(name) BETWEEN 1 AND 63), created INT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE TABLE credential(access_key_id TEXT PRIMARY KEY CHECK(length(access_key_id) BETWEEN 16 AND 64),"
	" kind INT NOT NULL, account TEXT NOT NULL, name TEXT NOT NULL CHECK(length(name)<=63),"
	" created INT NOT NULL, secret BLOB NOT NULL CHECK(length(secret)<=256)) STRICT, WITHOUT ROWID;"
	"CREATE TABLE key(id BLOB PRIMARY KEY CHECK(length(id)=16), account TEXT NOT NULL CHECK(length(account)=12),"
	" created INT NOT NULL, token BLOB NOT NULL CHECK(length(token) BETWEEN 1 AND 512),"
	" description TEXT NOT NULL CHECK(length(CAST(description AS BLOB))<=32768)) STRICT;"
	"CREATE INDEX key_account ON key(account, id);"
	"CREATE TABLE directory(id BLOB PRIMARY KEY CHECK(length(id)=16),"
	" account TEXT NOT NULL CHECK(length(account)=12), instance TEXT NOT NULL CHECK(length(instance)<=31),"
	" created INT NOT NULL) STRICT, WITHOUT ROWID;"
	"CREATE INDEX directory_account ON directory(account, id);"
	"CREATE TABLE instance(name TEXT PRIMARY KEY CHECK(length(name) BETWEEN 1 AND 31),"
	" account TEXT NOT NULL CHECK(length(account)=12), endpoint TEXT NOT NULL CHECK(length(endpoint)<=255),"
	" created INT NOT NULL) STRICT, WITHOUT ROWID;";

static const char *const writer_sql[W_COUNT] = {
	[W_BEGIN]	= "BEGIN IMMEDIATE",
	[W_COMMIT]	= "COMMIT",
	[W_ROLLBACK]	= "ROLLBACK",
	[W_SAVE]	= "SAVEPOINT w",
	[W_RELEASE]	= "RELEASE w",
	[W_UNDO]	= "ROLLBACK TO w",
	[W_KEY]		= "INSERT INTO key(id, account, created, token, description) VALUES(?1,?2,?3,?4,?5)",
	[W_DIR]		= "INSERT INTO directory(id, account, instance, created) VALUES(?1,?2,?3,?4)",
	[W_CRED]	= "INSERT INTO credential(access_key_id, kind, account, name, created, secret)"
			  " VALUES(?1,?2,?3,?4,?5,?6)",
	[W_CRED_DEL]	= "DELETE FROM credential WHERE access_key_id=?1",
	[W_ACCOUNT]	= "INSERT INTO account(id, name, created) VALUES(?1,?2,?3)",
	[W_INSTANCE]	= "INSERT INTO instance(name, account, endpoint, created) VALUES(?1,?2,?3,?4)"
			  " ON CONFLICT(name) DO UPDATE SET endpoint=excluded.endpoint WHERE account=excluded.account",
	[W_META]	= "INSERT INTO meta(name, value) VALUES(?1,?2)"
			  " ON CONFLICT(name) DO UPDATE SET value=excluded.value",
};

int store_errno(sqlite3 *db, int rc, const char *doing)
{
	int err;

	switch (rc & 0xff) {
	case SQLITE_OK:
	case SQLITE_ROW:
	case SQLITE_DONE:
		return 0;
	case SQLITE_CONSTRAINT:
		return (rc == SQLITE_CONSTRAINT_PRIMARYKEY || rc == SQLITE_CONSTRAINT_UNIQUE ||
			rc == SQLITE_CONSTRAINT_ROWID) ? -EEXIST : -EINVAL;
	case SQLITE_TOOBIG:
		return -EINVAL;
	case SQLITE_NOMEM:
		return -ENOMEM;
	case SQLITE_FULL:
		err = -ENOSPC;
		break;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		err = -EUCLEAN;
		break;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		err = -EBUSY;
		break;
	case SQLITE_PERM:
	case SQLITE_READONLY:
	case SQLITE_CANTOPEN:
	case SQLITE_AUTH:
		err = -EACCES;
		break;
	default:
		/* An I/O error hides ENOSPC and EDQUOT of anything but a plain write. */
		err = db && (sqlite3_system_errno(db) == ENOSPC || sqlite3_system_errno(db) == EDQUOT) ?
			      -ENOSPC : -EIO;
	}
	log_err("store: %s: %s", doing, db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
	return err;
}

int store_connect(const char *path, int flags, sqlite3 **out)
{
	sqlite3 *db = NULL;
	int rc = sqlite3_open_v2(path, &db, flags | SQLITE_OPEN_PRIVATECACHE | SQLITE_OPEN_NOFOLLOW, NULL);
	int err;

	if (rc != SQLITE_OK) {
		err = store_errno(db, rc, "opening the database");
		goto fail;
	}
	sqlite3_extended_result_codes(db, 1);
	sqlite3_limit(db, SQLITE_LIMIT_LENGTH, MAX_CELL);
	sqlite3_limit(db, SQLITE_LIMIT_ATTACHED, 0);
	sqlite3_db_config(db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	sqlite3_db_config(db, SQLITE_DBCONFIG_TRUSTED_SCHEMA, 0, NULL);
	sqlite3_busy_timeout(db, 5000);
	rc = sqlite3_exec(db, "PRAGMA cache_size=-256; PRAGMA temp_store=MEMORY; PRAGMA cell_size_check=ON;",
			  NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		err = store_errno(db, rc, "setting up a connection");
		goto fail;
	}
	*out = db;
	return 0;
fail:
	sqlite3_close(db);
	return err;
}

static int run(sqlite3_stmt *st)
{
	int rc = sqlite3_step(st);

	sqlite3_reset(st);
	sqlite3_clear_bindings(st);
	return rc == SQLITE_DONE || rc == SQLITE_ROW ? SQLITE_OK : rc;
}

static int pragma_int(sqlite3 *db, const char *sql, int64_t *value)
{
	sqlite3_stmt *st;
	int rc = sqlite3_prepare_v2(db, sql, -1, &st, NULL);

	if (rc != SQLITE_OK)
		return rc;
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		*value = sqlite3_column_int64(st, 0);
		rc = SQLITE_OK;
	}
	sqlite3_finalize(st);
	return rc;
}

/* ---- writer ---- */

#define TEXT(st, i, s) sqlite3_bind_text(st, i, s, -1, SQLITE_STATIC)

static int apply(struct store *s, const struct store_change *c)
{
	sqlite3_stmt *st;
	int rc;

	switch (c->kind) {
	case STORE_KEY_PUT:
		st = s->stmt[W_KEY];
		sqlite3_bind_blob(st, 1, c->key->id, 16, SQLITE_STATIC);
		TEXT(st, 2, c->key->account);
		sqlite3_bind_int64(st, 3, c->key->created_ms);
		sqlite3_bind_blob(st, 4, c->key->token, c->key->token_len, SQLITE_STATIC);
		sqlite3_bind_text(st, 5, c->key->description ? c->key->description : "",
				  (int)c->key->description_len, SQLITE_STATIC);
		return run(st);
	case STORE_DIR_PUT:
		st = s->stmt[W_DIR];
		sqlite3_bind_blob(st, 1, c->dir->id, 16, SQLITE_STATIC);
		TEXT(st, 2, c->dir->account);
		TEXT(st, 3, c->dir->instance);
		sqlite3_bind_int64(st, 4, c->dir->created_ms);
		return run(st);
	case STORE_CREDENTIAL_PUT:
		st = s->stmt[W_CRED];
		TEXT(st, 1, c->credential->access_key_id);
		sqlite3_bind_int(st, 2, c->credential->kind);
		TEXT(st, 3, c->credential->account);
		TEXT(st, 4, c->credential->name);
		sqlite3_bind_int64(st, 5, c->credential->created_ms);
		sqlite3_bind_blob(st, 6, c->credential->secret, c->credential->secret_len, SQLITE_STATIC);
		return run(st);
	case STORE_CREDENTIAL_DELETE:
		st = s->stmt[W_CRED_DEL];
		TEXT(st, 1, c->access_key_id);
		rc = run(st);
		return rc == SQLITE_OK && sqlite3_changes(s->db) == 0 ? SQLITE_NOTFOUND : rc;
	case STORE_ACCOUNT_PUT:
		st = s->stmt[W_ACCOUNT];
		TEXT(st, 1, c->account->id);
		TEXT(st, 2, c->account->name);
		sqlite3_bind_int64(st, 3, c->account->created_ms);
		return run(st);
	case STORE_INSTANCE_PUT:
		st = s->stmt[W_INSTANCE];
		TEXT(st, 1, c->instance->name);
		TEXT(st, 2, c->instance->account);
		TEXT(st, 3, c->instance->endpoint);
		sqlite3_bind_int64(st, 4, c->instance->created_ms);
		rc = run(st);
		return rc == SQLITE_OK && sqlite3_changes(s->db) == 0 ? SQLITE_CONSTRAINT_PRIMARYKEY : rc;
	}
	return SQLITE_MISUSE;
}

/*
 * One write inside the batch's transaction.  A refusal (taken, absent) undoes this write only and
 * is left in w->err; what concerns the medium is returned and fails the batch.
 */
static int apply_write(struct store *s, struct store_write *w)
{
	int rc = run(s->stmt[W_SAVE]);

	for (unsigned int i = 0; rc == SQLITE_OK && i < w->n; i++)
		rc = apply(s, &w->changes[i]);
	if (rc == SQLITE_OK)
		return run(s->stmt[W_RELEASE]);
	if (rc == SQLITE_NOTFOUND)
		w->err = -ENOENT;
	else if ((rc & 0xff) == SQLITE_CONSTRAINT || rc == SQLITE_TOOBIG)
		w->err = store_errno(s->db, rc, "");
	else
		return rc;
	rc = run(s->stmt[W_UNDO]);
	return rc == SQLITE_OK ? run(s->stmt[W_RELEASE]) : rc;
}

static void commit_batch(struct store *s, struct store_write *batch)
{
	struct store_write *w, *next;
	bool cached_rows_changed = false;
	int rc, err = 0;

	rc = run(s->stmt[W_BEGIN]);
	for (w = batch; rc == SQLITE_OK && w; w = w->next)
		rc = apply_write(s, w);
	if (rc == SQLITE_OK)
		rc = run(s->stmt[W_COMMIT]);
	if (rc != SQLITE_OK) {
		err = store_errno(s->db, rc, "writing");
		if (!err)
			err = -EIO;
		if (!sqlite3_get_autocommit(s->db))
			run(s->stmt[W_ROLLBACK]);
	}
	for (w = batch; w && !err; w = w->next)
		for (unsigned int i = 0; i < w->n && !w->err; i++)
			cached_rows_changed |= w->changes[i].kind == STORE_CREDENTIAL_DELETE ||
					       w->changes[i].kind == STORE_INSTANCE_PUT;
	if (cached_rows_changed)
		atomic_fetch_add(&s->generation, 1);
	for (w = batch; w; w = next) {
		next = w->next;
		if (err)
			w->err = err;
		ring_post(w->ring, &w->work);
	}
}

static void *writer(void *arg)
{
	struct store *s = arg;
	struct store_write *batch, *last;
	unsigned int n;

	pthread_setname_np(pthread_self(), "store");
	pthread_mutex_lock(&s->mutex);
	for (;;) {
		while (!s->head && !s->stop)
			pthread_cond_wait(&s->wake, &s->mutex);
		if (!s->head)
			break;
		batch = last = s->head;
		for (n = 1; last->next && n < MAX_BATCH; n++)
			last = last->next;
		s->head = last->next;
		if (!s->head)
			s->tail = &s->head;
		last->next = NULL;
		pthread_mutex_unlock(&s->mutex);
		commit_batch(s, batch);
		pthread_mutex_lock(&s->mutex);
	}
	pthread_mutex_unlock(&s->mutex);
	return NULL;
}

static void write_done(struct ring_work *work)
{
	struct store_write *w = (struct store_write *)((char *)work - offsetof(struct store_write, work));

	w->done(w, w->err);
}

void store_submit(struct store *s, struct store_write *w)
{
	w->work.fn = write_done;
	w->next = NULL;
	w->err = 0;
	pthread_mutex_lock(&s->mutex);
	*s->tail = w;
	s->tail = &w->next;
	pthread_cond_signal(&s->wake);
	pthread_mutex_unlock(&s->mutex);
}

uint64_t store_generation(const struct store *s)
{
	return atomic_load(&s->generation);
}

/* ---- set-up ---- */

int store_meta_get(struct store *s, const char *name, void *buf, size_t cap)
{
	sqlite3_stmt *st;
	int rc, err;

	rc = sqlite3_prepare_v2(s->db, "SELECT value FROM meta WHERE name=?1", -1, &st, NULL);
	if (rc != SQLITE_OK)
		return store_errno(s->db, rc, "reading meta");
	TEXT(st, 1, name);
	rc = sqlite3_step(st);
	if (rc == SQLITE_ROW) {
		err = sqlite3_column_bytes(st, 0);
		if ((size_t)err > cap)
			err = -EUCLEAN;
		else if (err)
			memcpy(buf, sqlite3_column_blob(st, 0), (size_t)err);
	} else {
		err = rc == SQLITE_DONE ? -ENOENT : store_errno(s->db, rc, "reading meta");
	}
	sqlite3_finalize(st);
	return err;
}

int store_meta_put(struct store *s, const char *name, const void *buf, size_t len)
{
	sqlite3_stmt *st = s->stmt[W_META];
	int rc;

	if (len > STORE_META_MAX)
		return -EINVAL;
	TEXT(st, 1, name);
	sqlite3_bind_blob(st, 2, buf, (int)len, SQLITE_STATIC);
	rc = run(st);
	return rc == SQLITE_OK ? 0 : store_errno(s->db, rc, "writing meta");
}

static int make_schema(struct store *s, const uint8_t partition[16])
{
	sqlite3_stmt *st = NULL;
	char sql[128];
	int rc;

	rc = sqlite3_exec(s->db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, schema, NULL, NULL, NULL);
	if (rc == SQLITE_OK)
		rc = sqlite3_prepare_v2(s->db, "INSERT INTO meta(name, value) VALUES('partition',?1),('role',?2)",
					-1, &st, NULL);
	if (rc == SQLITE_OK) {
		sqlite3_bind_blob(st, 1, partition, 16, SQLITE_STATIC);
		sqlite3_bind_blob(st, 2, &s->role, 1, SQLITE_STATIC);
		rc = run(st);
	}
	sqlite3_finalize(st);
	snprintf(sql, sizeof(sql), "PRAGMA application_id=%d; PRAGMA user_version=%d; COMMIT",
		 APPLICATION_ID, SCHEMA_VERSION);
	if (rc == SQLITE_OK)
		rc = sqlite3_exec(s->db, sql, NULL, NULL, NULL);
	return rc == SQLITE_OK ? 0 : store_errno(s->db, rc, "making the schema");
}

static int check_schema(struct store *s, const uint8_t partition[16])
{
	int64_t version = 0, app = 0, tables = 0;
	uint8_t p[16];
	char role;
	int rc, err;

	rc = pragma_int(s->db, "PRAGMA user_version", &version);
	if (rc == SQLITE_OK)
		rc = pragma_int(s->db, "PRAGMA application_id", &app);
	if (rc == SQLITE_OK)
		rc = pragma_int(s->db, "SELECT count(*) FROM sqlite_schema", &tables);
	if (rc != SQLITE_OK)
		return store_errno(s->db, rc, "reading the schema");
	if (!version && !app && !tables)
		return make_schema(s, partition);
	if (app != APPLICATION_ID || version != SCHEMA_VERSION) {
		log_err("store: %s has schema %lld, this program needs %d; use the version that made it",
			s->path, (long long)version, SCHEMA_VERSION);
		return -EPROTO;
	}
	err = store_meta_get(s, "partition", p, sizeof(p));
	if (err < 0)
		return err == -ENOENT ? -EUCLEAN : err;
	if (err != sizeof(p) || memcmp(p, partition, sizeof(p))) {
		log_err("store: %s belongs to another partition; give the store of this pool, or an empty folder",
			s->path);
		return -EKEYREJECTED;
	}
	err = store_meta_get(s, "role", &role, 1);
	if (err < 0)
		return err == -ENOENT ? -EUCLEAN : err;
	if (err != 1 || role != s->role) {
		log_err("store: %s was made for the other role", s->path);
		return -EKEYREJECTED;
	}
	return 0;
}

static int lock_folder(struct store *s, const char *dir)
{
	char path[4096];
	struct stat sb;
	int n;

	if (mkdir(dir, 0700) < 0 && errno != EEXIST) {
		log_err("store: can't make %s: %s", dir, strerror(errno));
		return -errno;
	}
	if (stat(dir, &sb) < 0)
		return -errno;
	if (!S_ISDIR(sb.st_mode))
		return -ENOTDIR;
	if ((sb.st_mode & 077) && chmod(dir, 0700) < 0) {
		log_err("store: %s is open to others (mode %03o); run: chmod 700 %s", dir, sb.st_mode & 0777, dir);
		return -EACCES;
	}
	n = snprintf(path, sizeof(path), "%s/lock", dir);
	if (n < 0 || (size_t)n >= sizeof(path))
		return -ENAMETOOLONG;
	s->lock_fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (s->lock_fd < 0) {
		log_err("store: can't open %s: %s", path, strerror(errno));
		return -errno;
	}
	if (flock(s->lock_fd, LOCK_EX | LOCK_NB) < 0) {
		if (errno != EWOULDBLOCK)
			return -errno;
		log_err("store: %s is in use by another process", dir);
		return -EBUSY;
	}
	return 0;
}

static int open_database(struct store *s, const uint8_t partition[16])
{
	int err, rc, fd;

	/* SQLite gives its -wal and -shm files the mode of the database. */
	fd = open(s->path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		log_err("store: can't open %s: %s", s->path, strerror(errno));
		return -errno;
	}
	close(fd);
	err = store_connect(s->path, SQLITE_OPEN_READWRITE | SQLITE_OPEN_FULLMUTEX, &s->db);
	if (err)
		return err;
	rc = sqlite3_exec(s->db, "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL;"
			  "PRAGMA wal_autocheckpoint=1000; PRAGMA journal_size_limit=4194304;", NULL, NULL, NULL);
	if (rc != SQLITE_OK)
		return store_errno(s->db, rc, "opening the database");
	err = check_schema(s, partition);
	if (err)
		return err;
	for (int i = 0; i < W_COUNT; i++) {
		rc = sqlite3_prepare_v3(s->db, writer_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->stmt[i], NULL);
		if (rc != SQLITE_OK)
			return store_errno(s->db, rc, "preparing");
	}
	return 0;
}

int store_open(const char *dir, const uint8_t partition[16], char role, struct store **out)
{
	struct store *s = calloc(1, sizeof(*s));
	int err, n;

	if (!s)
		return -ENOMEM;
	s->lock_fd = -1;
	s->role = role;
	s->tail = &s->head;
	pthread_mutex_init(&s->mutex, NULL);
	pthread_cond_init(&s->wake, NULL);
	n = snprintf(s->path, sizeof(s->path), "%s/kms.db", dir);
	err = n < 0 || (size_t)n >= sizeof(s->path) ? -ENAMETOOLONG : lock_folder(s, dir);
	if (!err)
		err = open_database(s, partition);
	if (!err)
		err = -pthread_create(&s->thread, NULL, writer, s);
	if (err) {
		store_close(s);
		return err;
	}
	s->running = true;
	*out = s;
	return 0;
}

void store_close(struct store *s)
{
	if (!s)
		return;
	if (s->running) {
		pthread_mutex_lock(&s->mutex);
		s->stop = true;
		pthread_cond_signal(&s->wake);
		pthread_mutex_unlock(&s->mutex);
		pthread_join(s->thread, NULL);
	}
	for (int i = 0; i < W_COUNT; i++)
		sqlite3_finalize(s->stmt[i]);
	if (s->db && sqlite3_close(s->db) != SQLITE_OK)
		log_warn("store: a connection was left open");
	if (s->lock_fd >= 0)
		close(s->lock_fd);
	pthread_cond_destroy(&s->wake);
	pthread_mutex_destroy(&s->mutex);
	free(s);
}
