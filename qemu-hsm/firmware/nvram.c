// SPDX-License-Identifier: Apache-2.0
/*
 * The NVRAM file: header, one record per partition, SHA-256 of all that.  It is
 * the card's memory, domain keys in clear included; who has the file has the card.
 */
#include <endian.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <openssl/crypto.h>

#include "fw.h"

#define MAGIC		"HSMNVRAM"
#define VERSION		1u
#define DIGEST_LEN	32u

struct file_head {
	uint8_t magic[8];
	__le32 version;
	__le32 count;
	uint8_t serial[32];
	__le64 keys_generated;
	uint8_t rsvd[8];
};

struct file_partition {
	uint8_t uuid[HSM_UUID_LEN];
	__le64 created;
	uint8_t rsvd[8];
	uint8_t key[FW_KEY_LEN];
};

_Static_assert(sizeof(struct file_head) == 64, "NVRAM header");
_Static_assert(sizeof(struct file_partition) == 64, "NVRAM partition");

#define MAX_SIZE (sizeof(struct file_head) + \
		  HSM_MAX_PARTITIONS * sizeof(struct file_partition) + DIGEST_LEN)

static int digest(const void *p, size_t len, uint8_t out[DIGEST_LEN])
{
	return EVP_Q_digest(NULL, "SHA256", NULL, p, len, out, NULL) ? 0 : -EIO;
}

size_t fw_serial_len(const char *s)
{
	size_t n = strnlen(s, 32);

	for (size_t i = 0; i < n; i++)
		if (s[i] < 0x20 || s[i] > 0x7e)
			return 0;
	return n < 32 ? n : 0;
}

static bool serial_valid(const uint8_t s[32])
{
	size_t n = fw_serial_len((const char *)s);

	return n && fw_is_zero(s + n, 32 - n);
}

static int decode(const uint8_t *buf, size_t len, struct fw_image *image)
{
	struct fw_cursor c = { buf, len };
	struct file_partition f;
	struct file_head h;
	uint8_t sum[DIGEST_LEN];
	int err = -EINVAL;

	if (!fw_copy(&c, &h, sizeof(h)) || memcmp(h.magic, MAGIC, sizeof(h.magic)) ||
	    le32toh(h.version) != VERSION || le32toh(h.count) > HSM_MAX_PARTITIONS ||
	    c.left != le32toh(h.count) * sizeof(f) + DIGEST_LEN)
		return err;
	if (digest(buf, len - DIGEST_LEN, sum))
		return -EIO;
	if (memcmp(sum, buf + len - DIGEST_LEN, DIGEST_LEN) || !serial_valid(h.serial) ||
	    !fw_is_zero(h.rsvd, sizeof(h.rsvd)))
		return err;
	memcpy(image->serial, h.serial, sizeof(image->serial));
	image->keys_generated = le64toh(h.keys_generated);
	image->count = 0;
	while (image->count < le32toh(h.count)) {
		struct fw_partition_record *r = &image->partitions[image->count];

		if (!fw_copy(&c, &f, sizeof(f)) || !fw_is_zero(f.rsvd, sizeof(f.rsvd)) ||
		    fw_is_zero(f.uuid, sizeof(f.uuid)))
			goto wipe;
		for (uint32_t i = 0; i < image->count; i++)
			if (!memcmp(image->partitions[i].uuid, f.uuid, sizeof(f.uuid)))
				goto wipe;
		memcpy(r->uuid, f.uuid, sizeof(r->uuid));
		memcpy(r->key, f.key, sizeof(r->key));
		r->created = le64toh(f.created);
		image->count++;
	}
	err = 0;
wipe:
	OPENSSL_cleanse(&f, sizeof(f));
	return err;
}

static int encode(const struct fw_image *image, uint8_t *buf, size_t *len)
{
	struct file_head h = {
		.magic = MAGIC,
		.version = htole32(VERSION),
		.count = htole32(image->count),
		.keys_generated = htole64(image->keys_generated),
	};
	struct file_partition f = { 0 };
	uint8_t *p = buf;

	memcpy(h.serial, image->serial, sizeof(h.serial));
	p = memcpy(p, &h, sizeof(h)) + sizeof(h);
	for (uint32_t i = 0; i < image->count; i++) {
		const struct fw_partition_record *r = &image->partitions[i];

		memcpy(f.uuid, r->uuid, sizeof(f.uuid));
		memcpy(f.key, r->key, sizeof(f.key));
		f.created = htole64(r->created);
		p = memcpy(p, &f, sizeof(f)) + sizeof(f);
	}
	OPENSSL_cleanse(&f, sizeof(f));
	*len = p - buf + DIGEST_LEN;
	return digest(buf, p - buf, p);
}

static int load(const struct fw_nvram *nv, struct fw_image *image)
{
	uint8_t *buf = NULL;
	size_t len = 0;
	struct stat st;
	ssize_t n;
	int fd, err;

	fd = openat(nv->dir, nv->name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK);
	if (fd < 0)
		return errno == ENOENT ? 0 : -errno;
	if (fstat(fd, &st)) {
		err = -errno;
		goto out;
	}
	err = -EINVAL;
	if (!S_ISREG(st.st_mode) || st.st_size > (off_t)MAX_SIZE)
		goto out;
	err = -ENOMEM;
	buf = fw_secret_alloc(MAX_SIZE);
	if (!buf)
		goto out;
	while (len < MAX_SIZE) {
		n = read(fd, buf + len, MAX_SIZE - len);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0) {
			err = -errno;
			goto out;
		}
		if (!n)
			break;
		len += n;
	}
	err = decode(buf, len, image);
out:
	fw_secret_free(buf, MAX_SIZE);
	close(fd);
	return err;
}

static int write_all(int fd, const uint8_t *p, size_t len)
{
	while (len) {
		ssize_t n = write(fd, p, len);

		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return -errno;
		p += n;
		len -= n;
	}
	return 0;
}

int fw_nvram_store(const struct fw_nvram *nv, const struct fw_image *image)
{
	uint8_t *buf = NULL;
	char *tmp = NULL;
	int fd = -1, err;
	size_t len;

	if (asprintf(&tmp, "%s.new", nv->name) < 0)
		return -ENOMEM;
	err = -ENOMEM;
	buf = fw_secret_alloc(MAX_SIZE);
	if (!buf)
		goto out;
	err = encode(image, buf, &len);
	if (err)
		goto out;
	/* One that a crash left behind; the lock says that nobody else is writing it. */
	unlinkat(nv->dir, tmp, 0);
	fd = openat(nv->dir, tmp, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0) {
		err = -errno;
		goto out;
	}
	err = write_all(fd, buf, len);
	if (!err && (fsync(fd) || renameat(nv->dir, tmp, nv->dir, nv->name)))
		err = -errno;
	if (err)
		unlinkat(nv->dir, tmp, 0);
	else if (fsync(nv->dir))
		err = -errno;
out:
	if (fd >= 0)
		close(fd);
	fw_secret_free(buf, MAX_SIZE);
	free(tmp);
	return err;
}

/* Apart from the file, because a lock on it would go with the file that is replaced. */
static int lock(struct fw_nvram *nv)
{
	char *name;
	int err = 0;

	if (asprintf(&name, "%s.lock", nv->name) < 0)
		return -ENOMEM;
	nv->lock = openat(nv->dir, name, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (nv->lock < 0)
		err = -errno;
	else if (flock(nv->lock, LOCK_EX | LOCK_NB))
		err = errno == EWOULDBLOCK ? -EBUSY : -errno;
	free(name);
	return err;
}

int fw_nvram_open(struct fw_nvram *nv, const char *path, struct fw_image *image)
{
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	char *dir;
	int err;

	*nv = (struct fw_nvram){ .dir = -1, .lock = -1 };
	if (!*name)
		return -EINVAL;
	dir = slash ? strndup(path, slash == path ? 1 : slash - path) : strdup(".");
	nv->name = strdup(name);
	err = -ENOMEM;
	if (!dir || !nv->name)
		goto out;
	nv->dir = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (nv->dir < 0) {
		err = -errno;
		goto out;
	}
	err = lock(nv);
	if (!err)
		err = load(nv, image);
out:
	free(dir);
	if (err)
		fw_nvram_close(nv);
	return err;
}

void fw_nvram_close(struct fw_nvram *nv)
{
	if (nv->lock >= 0)
		close(nv->lock);
	if (nv->dir >= 0)
		close(nv->dir);
	free(nv->name);
	*nv = (struct fw_nvram){ .dir = -1, .lock = -1 };
}
