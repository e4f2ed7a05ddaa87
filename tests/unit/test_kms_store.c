// SPDX-License-Identifier: Apache-2.0
/* The store: what was acknowledged stays, what was refused left nothing. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <sqlite3.h>

#include "store.h"
#include "unit.h"

static const uint8_t part_a[16] = { 0xaa }, part_b[16] = { 0xbb };
static char top[64], dir[128];
static struct ring *ring;
static struct store *store;
static struct store_port *port;

static void open_store(char role)
{
	assert_int_equal(store_open(dir, part_a, role, &store), 0);
	assert_int_equal(store_port_open(store, ring, &port), 0);
}

static void close_store(void)
{
	store_port_close(port);
	store_close(store);
	port = NULL;
	store = NULL;
}

static void remove_tree(const char *path)
{
	char cmd[256];

	snprintf(cmd, sizeof(cmd), "rm -rf '%s'", path);
	assert_int_equal(system(cmd), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/test_kms_store.XXXXXX");
	if (!mkdtemp(top) || ring_create(64, &ring))
		return -1;
	snprintf(dir, sizeof(dir), "%s/store", top);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	close_store();
	ring_destroy(ring);
	remove_tree(top);
	return 0;
}

/* ---- writes ---- */

struct put {
	struct store_write w;
	struct store_key key;
	struct store_dir dir;
	int err;
};

static unsigned int waiting;
static int ack_fd = -1;

static void put_done(struct store_write *w, int err)
{
	struct put *p = (struct put *)w;

	p->err = err;
	if (ack_fd >= 0 && !err && write(ack_fd, p->key.id, 16) != 16)
		_exit(3);
	if (!--waiting)
		ring_stop(ring);
}

static void id_of(unsigned int n, uint8_t id[16])
{
	memset(id, 0, 16);
	id[0] = (uint8_t)(n >> 8);
	id[1] = (uint8_t)n;
	id[15] = 1;
}

static void put_start(struct put *p, unsigned int n, const char *account, const char *description)
{
	memset(p, 0, sizeof(*p));
	id_of(n, p->key.id);
	strcpy(p->key.account, account);
	p->key.created_ms = 1000 + n;
	p->key.token_len = 128;
	memset(p->key.token, (int)n, 128);
	p->key.description = description;
	p->key.description_len = strlen(description);
	p->w.changes[0] = (struct store_change){ .kind = STORE_KEY_PUT, .key = &p->key };
	p->w.n = 1;
	p->w.ring = ring;
	p->w.done = put_done;
	p->err = 1;
	waiting++;
	store_submit(store, &p->w);
}

static int put(unsigned int n, const char *account, const char *description)
{
	struct put p;

	put_start(&p, n, account, description);
	assert_int_equal(ring_run(ring), 0);
	return p.err;
}

/* ---- reads ---- */

struct get {
	struct store_read r;
	int err;
	struct store_key key;
	char text[STORE_DESCRIPTION_MAX + 1];
};

static void got(struct store_read *r, int err, const void *row)
{
	struct get *g = (struct get *)r;

	g->err = err;
	if (row)
		g->key = *(const struct store_key *)row;
	if (row && r->description)
		g->text[g->key.description_len] = '\0';
}

static int get(unsigned int n, struct get *g)
{
	uint8_t id[16];

	id_of(n, id);
	g->err = 1;
	g->r.done = got;
	g->r.description = g->text;
	store_key_get(port, id, &g->r);
	return g->err;
}

static void keys(void **state)
{
	static struct get g;

	(void)state;
	open_store('d');
	assert_int_equal(get(1, &g), -ENOENT);
	assert_int_equal(put(1, "111111111111", "first \xc3\xa4"), 0);
	assert_int_equal(get(1, &g), 0);
	assert_string_equal(g.key.account, "111111111111");
	assert_string_equal(g.text, "first \xc3\xa4");
	assert_int_equal(g.key.created_ms, 1001);
	assert_int_equal(g.key.token_len, 128);
	assert_int_equal(g.key.token[127], 1);
	/* Taken: refused, and the first stays as it was. */
	assert_int_equal(put(1, "222222222222", "second"), -EEXIST);
	assert_int_equal(get(1, &g), 0);
	assert_string_equal(g.key.account, "111111111111");
	/* Rows that break the schema's limits. */
	assert_int_equal(put(2, "1", ""), -EINVAL);
	assert_int_equal(get(2, &g), -ENOENT);
}

static int modes(const char *name)
{
	char path[256];
	struct stat sb;

	snprintf(path, sizeof(path), "%s/%s", dir, name);
	assert_int_equal(stat(path, &sb), 0);
	return sb.st_mode & 0777;
}

static void file_modes(void **state)
{
	mode_t old = umask(0);

	(void)state;
	assert_int_equal(mkdir(dir, 0755), 0);
	open_store('d');
	assert_int_equal(put(1, "111111111111", ""), 0);
	umask(old);
	assert_int_equal(modes("."), 0700);
	assert_int_equal(modes("kms.db"), 0600);
	assert_int_equal(modes("kms.db-wal"), 0600);
	assert_int_equal(modes("kms.db-shm"), 0600);
}

static void wrong_store(void **state)
{
	char path[256];
	sqlite3 *db;
	int fd;

	(void)state;
	open_store('d');
	assert_int_equal(store_open(dir, part_a, 'd', &store), -EBUSY);
	close_store();
	assert_int_equal(store_open(dir, part_b, 'd', &store), -EKEYREJECTED);
	assert_int_equal(store_open(dir, part_a, 's', &store), -EKEYREJECTED);
	open_store('d');
	close_store();
	snprintf(path, sizeof(path), "%s/kms.db", dir);
	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "PRAGMA user_version=99", NULL, NULL, NULL), SQLITE_OK);
	sqlite3_close(db);
	assert_int_equal(store_open(dir, part_a, 'd', &store), -EPROTO);
	fd = open(path, O_WRONLY | O_TRUNC);
	assert_int_equal(write(fd, "this is not a database, but long enough to look like a file", 59), 59);
	close(fd);
	assert_int_equal(store_open(dir, part_a, 'd', &store), -EUCLEAN);
	store = NULL;
}

/* Commit frames of the WAL: those with a database size in their header (SQLite file format, section 4.2). */
static unsigned int commits(void)
{
	uint8_t head[24];
	unsigned int n = 0;
	char path[256];
	FILE *f;

	snprintf(path, sizeof(path), "%s/kms.db-wal", dir);
	f = fopen(path, "rb");
	assert_non_null(f);
	fseek(f, 32, SEEK_SET);
	while (fread(head, sizeof(head), 1, f) == 1) {
		n += head[4] || head[5] || head[6] || head[7];
		fseek(f, 4096, SEEK_CUR);
	}
	fclose(f);
	return n;
}

static void group_commit(void **state)
{
	static struct put puts[300];
	static struct get g;
	unsigned int before;

	(void)state;
	open_store('d');
	before = commits();
	for (unsigned int i = 0; i < 300; i++)
		put_start(&puts[i], i == 200 ? 100 : i, "111111111111", "");
	assert_int_equal(ring_run(ring), 0);
	/* One refusal does not take its neighbours with it. */
	for (unsigned int i = 0; i < 300; i++)
		assert_int_equal(puts[i].err, i == 200 ? -EEXIST : 0);
	assert_int_equal(get(299, &g), 0);
	assert_in_range(commits() - before, 1, 100);
}

static void listed(struct store_page *page, int err)
{
	assert_int_equal(err, 0);
	(void)page;
}

static void paging(void **state)
{
	static struct put puts[25];
	struct store_page_row rows[11];
	struct store_page page = { .account = "111111111111", .limit = 10, .rows = rows, .done = listed };
	unsigned int seen = 0;
	uint8_t want[16], after[16];

	(void)state;
	open_store('d');
	store_key_list(port, &page);
	assert_int_equal(page.n, 0);
	for (unsigned int i = 0; i < 25; i++)
		put_start(&puts[i], 24 - i, i % 5 ? "111111111111" : "222222222222", "");
	assert_int_equal(ring_run(ring), 0);
	for (;;) {
		store_key_list(port, &page);
		for (unsigned int i = 0; i < page.n; i++, seen++) {
			assert_string_equal(rows[i].account, "111111111111");
			if (seen)
				assert_true(memcmp(rows[i].id, after, 16) > 0);
			memcpy(after, rows[i].id, 16);
		}
		if (!page.more)
			break;
		assert_int_equal(page.n, 10);
		page.after = after;
	}
	assert_int_equal(seen, 20);
	page = (struct store_page){ .account = "", .limit = 10, .rows = rows, .done = listed };
	store_key_list(port, &page);
	id_of(9, want);
	assert_memory_equal(rows[9].id, want, 16);
	assert_true(page.more);
}

/* Two changes of one write: both or none. */
static void together(void **state)
{
	struct store_page_row rows[11];
	struct store_page page = { .account = "", .limit = 10, .rows = rows, .done = listed };
	static struct get g;
	struct put p;

	(void)state;
	open_store('s');
	for (int round = 0; round < 2; round++) {
		memset(&p, 0, sizeof(p));
		id_of(7, p.dir.id);
		id_of(round ? 8 : 7, p.key.id);
		strcpy(p.dir.account, "111111111111");
		strcpy(p.key.account, "111111111111");
		p.key.token_len = 4;
		p.w.changes[0] = (struct store_change){ .kind = STORE_KEY_PUT, .key = &p.key };
		p.w.changes[1] = (struct store_change){ .kind = STORE_DIR_PUT, .dir = &p.dir };
		p.w.n = 2;
		p.w.ring = ring;
		p.w.done = put_done;
		waiting++;
		store_submit(store, &p.w);
		assert_int_equal(ring_run(ring), 0);
		assert_int_equal(p.err, round ? -EEXIST : 0);
	}
	assert_int_equal(get(7, &g), 0);
	assert_int_equal(get(8, &g), -ENOENT);
	store_key_list(port, &page);
	assert_int_equal(page.n, 1);
}

static void child_writes(int fd)
{
	static struct put puts[16];

	ack_fd = fd;
	if (ring_create(64, &ring) || store_open(dir, part_a, 'd', &store))
		_exit(2);
	for (unsigned int n = 0; n < 60000; n += 16) {
		for (unsigned int i = 0; i < 16; i++)
			put_start(&puts[i], n + i, "111111111111", "written before the kill");
		if (ring_run(ring))
			_exit(2);
	}
	_exit(0);
}

static void kill_9(void **state)
{
	unsigned int acked = 0;
	static struct get g;
	uint8_t id[16];
	int fds[2], status;
	pid_t pid;

	(void)state;
	for (int round = 0; round < 3; round++) {
		unsigned int stop_at = 40 + 61 * (unsigned int)round;

		remove_tree(dir);
		assert_int_equal(pipe(fds), 0);
		pid = fork();
		assert_true(pid >= 0);
		if (!pid) {
			close(fds[0]);
			child_writes(fds[1]);
		}
		close(fds[1]);
		for (acked = 0; read(fds[0], id, 16) == 16; acked++)
			if (acked == stop_at)
				kill(pid, SIGKILL);
		close(fds[0]);
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
		open_store('d');
		for (unsigned int n = 0; n < acked; n++) {
			assert_int_equal(get(n, &g), 0);
			assert_string_equal(g.text, "written before the kill");
		}
		close_store();
	}
}

static void full_disk(void **state)
{
	static char text[8192];
	static struct get g;
	unsigned int n = 0;
	char filler[256];
	int err = 0, fd;

	(void)state;
	assert_int_equal(mkdir(dir, 0700), 0);
	if (mount("tmpfs", dir, "tmpfs", 0, "size=1m,mode=0700"))
		skip();
	open_store('d');
	memset(text, 'x', sizeof(text) - 1);
	snprintf(filler, sizeof(filler), "%s/filler", dir);
	fd = open(filler, O_CREAT | O_WRONLY, 0600);
	assert_true(fd >= 0);
	assert_int_equal(ftruncate(fd, 0), 0);
	for (int i = 0; i < 100; i++)
		assert_int_equal(write(fd, text, 4096), 4096);
	while (!err && n < 1000)
		err = put(n++, "111111111111", text);
	n--;
	assert_int_equal(err, -ENOSPC);
	/* Refused again, and what was acknowledged is there. */
	assert_int_equal(put(n, "111111111111", text), -ENOSPC);
	assert_int_equal(get(n, &g), -ENOENT);
	for (unsigned int i = 0; i < n; i++)
		assert_int_equal(get(i, &g), 0);
	/* With room again it goes on, without a restart. */
	assert_int_equal(unlink(filler), 0);
	close(fd);
	assert_int_equal(put(n, "111111111111", text), 0);
	close_store();
	open_store('d');
	for (unsigned int i = 0; i <= n; i++)
		assert_int_equal(get(i, &g), 0);
	close_store();
	assert_int_equal(umount(dir), 0);
}

static void generation(void **state)
{
	struct store_credential c = { .access_key_id = "AKIAAAAAAAAAAAAAAAAA", .kind = STORE_CRED_INSTANCE,
				      .secret_len = 1 };
	struct put p = { .w = { .n = 1, .ring = ring, .done = put_done } };
	uint64_t before;

	(void)state;
	open_store('d');
	before = store_generation(store);
	p.w.changes[0] = (struct store_change){ .kind = STORE_CREDENTIAL_PUT, .credential = &c };
	waiting++;
	store_submit(store, &p.w);
	assert_int_equal(ring_run(ring), 0);
	assert_int_equal(p.err, 0);
	assert_int_equal(store_generation(store), before);
	p.w.changes[0] = (struct store_change){ .kind = STORE_CREDENTIAL_DELETE, .access_key_id = c.access_key_id };
	for (int round = 0; round < 2; round++) {
		waiting++;
		store_submit(store, &p.w);
		assert_int_equal(ring_run(ring), 0);
		assert_int_equal(p.err, round ? -ENOENT : 0);
		assert_int_equal(store_generation(store), before + 1);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(keys, setup, teardown),
		cmocka_unit_test_setup_teardown(file_modes, setup, teardown),
		cmocka_unit_test_setup_teardown(wrong_store, setup, teardown),
		cmocka_unit_test_setup_teardown(group_commit, setup, teardown),
		cmocka_unit_test_setup_teardown(paging, setup, teardown),
		cmocka_unit_test_setup_teardown(together, setup, teardown),
		cmocka_unit_test_setup_teardown(kill_9, setup, teardown),
		cmocka_unit_test_setup_teardown(full_disk, setup, teardown),
		cmocka_unit_test_setup_teardown(generation, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
