// SPDX-License-Identifier: Apache-2.0
/* What survives a power cycle, and what a damaged or unwritable file does. */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "card.h"

#define BOTH (HSM_USAGE_ENCRYPT | HSM_USAGE_DECRYPT)

static size_t slurp(const char *path, uint8_t *buf, size_t cap)
{
	int fd = open(path, O_RDONLY);
	ssize_t n;

	assert_true(fd >= 0);
	n = read(fd, buf, cap);
	assert_true(n >= 0);
	close(fd);
	return n;
}

static void spill(const char *path, const uint8_t *buf, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0);
	assert_int_equal(write(fd, buf, len), len);
	close(fd);
}

static int try_open(struct card *c, const char *serial)
{
	struct hsm_fw_config cfg = { .nvram = c->nvram, .serial = serial };

	return hsm_fw_open(&cfg, &c->fw);
}

static void test_survives(void **state)
{
	struct card *c = *state;
	struct hsm_partition_entry before, after;
	struct hsm_identify_out id, id2;
	uint8_t token[128], ct[60], back[20];
	struct stat st;
	size_t len, n;

	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), 0);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, part_a), 0);
	assert_int_equal(generate(c, part_b, BOTH, token), 0);
	assert_int_equal(crypt_token(c, part_b, HSM_OP_ENCRYPT, token, 128, NULL, 0, "secret", 6,
				     ct, sizeof(ct), &len), 0);
	partition_entry(c, part_b, &before);
	identify(c, &id);
	card_off(c);
	assert_int_equal(stat(c->nvram, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	card_on(c);
	partition_entry(c, part_b, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	identify(c, &id2);
	assert_string_equal(id.serial, id2.serial);
	assert_int_equal(le64toh(id2.keys_generated), 1);
	assert_int_equal(le32toh(id2.partitions), 1);
	assert_int_equal(crypt_token(c, part_b, HSM_OP_DECRYPT, token, 128, NULL, 0, ct, len, back,
				     sizeof(back), &n), 0);
	assert_memory_equal(back, "secret", 6);
}

/* A power cut: the card is left as it is and another boots from the file. */
static void test_durable_at_once(void **state)
{
	struct card *c = *state;
	uint8_t file[8192], token[128];
	struct card twin = { 0 };
	struct hsm_partition_entry e, f;
	struct hsm_identify_out id;

	/* The count of keys is the one thing that waits to be asked. */
	assert_int_equal(generate(c, part_a, BOTH, token), 0);
	hsm_fw_sync(c->fw);
	snprintf(twin.nvram, sizeof(twin.nvram), "%s/twin", c->dir);
	spill(twin.nvram, file, slurp(c->nvram, file, sizeof(file)));
	assert_int_equal(try_open(&twin, NULL), 0);
	partition_entry(c, part_a, &e);
	partition_entry(&twin, part_a, &f);
	assert_memory_equal(&e, &f, sizeof(e));
	identify(&twin, &id);
	assert_int_equal(le64toh(id.keys_generated), 1);
	card_off(&twin);
}

static void test_serial(void **state)
{
	struct card *c = *state;
	struct hsm_identify_out id;

	card_off(c);
	assert_int_equal(try_open(c, ""), -EINVAL);
	assert_int_equal(try_open(c, "01234567890123456789012345678901"), -EINVAL);
	assert_int_equal(try_open(c, "tab\there"), -EINVAL);
	assert_null(c->fw);
	assert_int_equal(try_open(c, "0123456789012345678901234567890"), 0);
	card_off(c);
	card_on(c);
	identify(c, &id);
	assert_string_equal(id.serial, "0123456789012345678901234567890");
}

static void test_locked(void **state)
{
	struct card *c = *state, other = *c;

	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), 0);
	assert_int_equal(try_open(&other, NULL), -EBUSY);
	assert_null(other.fw);
	card_off(c);
	assert_int_equal(try_open(&other, NULL), 0);
	card_off(&other);
	card_on(c);
}

static void refused(struct card *c, const uint8_t *buf, size_t len)
{
	uint8_t after[8192];

	spill(c->nvram, buf, len);
	assert_int_equal(try_open(c, NULL), -EINVAL);
	assert_null(c->fw);
	assert_int_equal(slurp(c->nvram, after, sizeof(after)), len);
	assert_memory_equal(after, buf, len);
}

/* Changes the file and makes its digest right again. */
static void refused_resealed(struct card *c, const uint8_t *good, size_t len, size_t at, uint8_t x)
{
	uint8_t buf[8192];

	memcpy(buf, good, len);
	buf[at] ^= x;
	assert_int_equal(EVP_Q_digest(NULL, "SHA256", NULL, buf, len - 32, buf + len - 32, NULL), 1);
	refused(c, buf, len);
}

static void test_damaged(void **state)
{
	struct card *c = *state;
	uint8_t good[8192], bad[8192];
	size_t len;

	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), 0);
	card_off(c);
	len = slurp(c->nvram, good, sizeof(good));
	assert_int_equal(len, 64 + 2 * 64 + 32);
	for (size_t i = 0; i < len; i++) {
		memcpy(bad, good, len);
		bad[i] ^= 0x04;
		refused(c, bad, len);
	}
	for (size_t i = 0; i < len; i += 7)
		refused(c, good, i);
	memcpy(bad, good, len);
	memset(bad + len, 0, sizeof(bad) - len);
	refused(c, bad, len + 1);
	refused(c, bad, 8192);

	refused_resealed(c, good, len, 8, 3);		/* version */
	refused_resealed(c, good, len, 12, 1);		/* count */
	refused_resealed(c, good, len, 15, 0x80);
	refused_resealed(c, good, len, 16, 0x80);	/* serial */
	refused_resealed(c, good, len, 47, 1);
	refused_resealed(c, good, len, 56, 1);		/* reserved */
	refused_resealed(c, good, len, 64 + 24, 1);
	/* The same partition twice. */
	memcpy(bad, good, len);
	memcpy(bad + 128, bad + 64, 64);
	refused_resealed(c, bad, len, 128 + 32, 1);

	spill(c->nvram, good, len);
	card_on(c);
}

static void test_strange_files(void **state)
{
	struct card *c = *state;
	struct hsm_fw_config cfg = { 0 };
	char keep[100], path[100];
	struct hsm_fw *fw;

	assert_int_equal(hsm_fw_open(&cfg, &fw), -EINVAL);
	snprintf(path, sizeof(path), "%s/none/nvram", c->dir);
	cfg.nvram = path;
	assert_int_equal(hsm_fw_open(&cfg, &fw), -ENOENT);
	snprintf(path, sizeof(path), "%s/", c->dir);
	assert_int_equal(hsm_fw_open(&cfg, &fw), -EINVAL);
	/* A link is not followed, since what replaces the file would replace the link. */
	card_off(c);
	snprintf(keep, sizeof(keep), "%s.keep", c->nvram);
	assert_int_equal(rename(c->nvram, keep), 0);
	assert_int_equal(symlink(keep, c->nvram), 0);
	assert_int_equal(try_open(c, NULL), -ELOOP);
	assert_int_equal(unlink(c->nvram), 0);
	assert_int_equal(mkfifo(c->nvram, 0600), 0);
	assert_int_equal(try_open(c, NULL), -EINVAL);
	assert_int_equal(unlink(c->nvram), 0);
	assert_int_equal(rename(keep, c->nvram), 0);
	/* What a crash left behind is no obstacle. */
	snprintf(path, sizeof(path), "%s.new", c->nvram);
	spill(path, (const uint8_t *)"half", 4);
	card_on(c);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), 0);
	assert_int_equal(access(path, F_OK), -1);
}

/* Nothing can be written: each change is refused, and nothing has changed. */
static void check_unwritable(struct card *c)
{
	struct hsm_partition_entry before, after;
	uint8_t file[8192], file2[8192], token[128], ct[60];
	struct hsm_identify_out id;
	size_t len = slurp(c->nvram, file, sizeof(file));

	partition_entry(c, part_a, &before);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), HSM_ST_NVRAM);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, part_a), HSM_ST_NVRAM);
	identify(c, &id);
	assert_int_equal(le32toh(id.partitions), 1);
	partition_entry(c, part_a, &after);
	assert_memory_equal(&before, &after, sizeof(before));
	assert_int_equal(slurp(c->nvram, file2, sizeof(file2)), len);
	assert_memory_equal(file, file2, len);
	/* Keys are still made and used, and queue pairs bound. */
	assert_int_equal(generate(c, part_a, BOTH, token), 0);
	assert_int_equal(crypt_token(c, part_a, HSM_OP_ENCRYPT, token, 128, NULL, 0, "x", 1, ct,
				     sizeof(ct), NULL), 0);
	assert_int_equal(hsm_fw_bind(c->fw, part_a), 0);
	hsm_fw_unbind(c->fw, part_a);
}

static void test_file_limit(void **state)
{
	struct card *c = *state;
	struct rlimit old, none;

	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = old;
	none.rlim_cur = 50;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	check_unwritable(c);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), HSM_ST_OK);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_DELETE, part_a), HSM_ST_OK);
}

static void test_full_disk(void **state)
{
	struct card *c = *state;
	uint8_t block[4096] = { 0 };
	char filler[100];
	int fd;

	card_off(c);
	if (mount("none", c->dir, "tmpfs", 0, "size=16k")) {
		card_on(c);
		print_message("no tmpfs to fill: needs CAP_SYS_ADMIN\n");
		skip();
	}
	card_on(c);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_a), HSM_ST_OK);
	snprintf(filler, sizeof(filler), "%s/filler", c->dir);
	fd = open(filler, O_WRONLY | O_CREAT, 0600);
	while (write(fd, block, sizeof(block)) > 0)
		;
	close(fd);
	check_unwritable(c);
	assert_int_equal(unlink(filler), 0);
	assert_int_equal(part_op(c, HSM_OP_PARTITION_CREATE, part_b), HSM_ST_OK);
	card_off(c);
	assert_int_equal(umount(c->dir), 0);
	card_on(c);
}

/* An import that could not be kept did not happen, and spent its offer. */
static void test_import_unwritable(void **state)
{
	struct card *c = *state, dst = { 0 };
	struct hsm_clone_export_in x = { 0 };
	struct hsm_clone_import_in i = { 0 };
	struct hsm_identify_out id;
	struct rlimit old, none;

	card_make(&dst);
	memcpy(x.uuid, part_a, 16);
	memcpy(i.uuid, part_a, 16);
	assert_int_equal(run(&dst, NULL, HSM_OP_CLONE_OFFER, part_a, 16, &x.offer,
			     sizeof(x.offer), NULL), 0);
	assert_int_equal(run(c, NULL, HSM_OP_CLONE_EXPORT, &x, sizeof(x), &i.blob, sizeof(i.blob),
			     NULL), 0);
	signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(getrlimit(RLIMIT_FSIZE, &old), 0);
	none = old;
	none.rlim_cur = 10;
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(run(&dst, NULL, HSM_OP_CLONE_IMPORT, &i, sizeof(i), NULL, 0, NULL),
			 HSM_ST_NVRAM);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &old), 0);
	identify(&dst, &id);
	assert_int_equal(le32toh(id.partitions), 0);
	assert_int_equal(run(&dst, NULL, HSM_OP_CLONE_IMPORT, &i, sizeof(i), NULL, 0, NULL),
			 HSM_ST_NO_OFFER);
	card_destroy(&dst);
}

int main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, card_setup, card_teardown)
	const struct CMUnitTest tests[] = {
		T(test_survives),  T(test_durable_at_once), T(test_serial),
		T(test_locked),	   T(test_damaged),	    T(test_strange_files),
		T(test_file_limit), T(test_full_disk),	    T(test_import_unwritable),
	};

	return cmocka_run_group_tests_name("firmware nvram", tests, NULL, NULL);
}
