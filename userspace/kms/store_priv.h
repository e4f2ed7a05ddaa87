/* SPDX-License-Identifier: Apache-2.0 */
/* What the two halves of the SQLite store share: store_sqlite.c (files, schema, writer) and store_read.c. */
#ifndef KMS_STORE_PRIV_H
#define KMS_STORE_PRIV_H

#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>
#include <sqlite3.h>

#include "store.h"

enum writer_stmt {
	W_BEGIN, W_COMMIT, W_ROLLBACK, W_SAVE, W_RELEASE, W_UNDO,
	W_KEY, W_DIR, W_CRED, W_CRED_DEL, W_ACCOUNT, W_INSTANCE, W_META,
	W_COUNT
};

struct store {
	char path[4096];
	char role;
	int lock_fd;
	sqlite3 *db;			/* the writer's */
	sqlite3_stmt *stmt[W_COUNT];
	atomic_uint_fast64_t generation;

	pthread_t thread;
	bool running;
	pthread_mutex_t mutex;		/* guards the rest */
	pthread_cond_t wake;
	struct store_write *head, **tail;
	bool stop;
};

/* errno (negative) of an SQLite result; logs what the caller can't explain by itself. */
int store_errno(sqlite3 *db, int rc, const char *doing);
/* Opens a connection with this tree's settings. */
int store_connect(const char *path, int flags, sqlite3 **db);

#endif
