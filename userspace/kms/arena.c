// SPDX-License-Identifier: Apache-2.0
#include <errno.h>
#include <malloc.h>
#include <stdlib.h>
#include <sys/mman.h>

#include <jansson.h>
#include <openssl/crypto.h>

#include "arena.h"

/* Under AddressSanitizer what is not allocated is poisoned, with a gap behind each allocation. */
#if defined(__SANITIZE_ADDRESS__)
#define ASAN 1
#elif defined(__has_feature)
#if __has_feature(address_sanitizer)
#define ASAN 1
#endif
#endif
#ifdef ASAN
#include <sanitizer/asan_interface.h>
#define GAP 16u
#else
#define ASAN_POISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define ASAN_UNPOISON_MEMORY_REGION(p, n) ((void)(p), (void)(n))
#define GAP 0u
#endif

#define KEEP_RESIDENT (64u * 1024)

static _Thread_local struct arena *json_arena;

int arena_open(struct arena *a)
{
	a->base = mmap(NULL, ARENA_SIZE, PROT_READ | PROT_WRITE,
		       MAP_PRIVATE | MAP_ANONYMOUS | MAP_NORESERVE, -1, 0);
	if (a->base == MAP_FAILED) {
		a->base = NULL;
		return -ENOMEM;
	}
	a->used = 0;
	ASAN_POISON_MEMORY_REGION(a->base, ARENA_SIZE);
	return 0;
}

void arena_close(struct arena *a)
{
	if (!a->base)
		return;
	arena_reset(a);
	ASAN_UNPOISON_MEMORY_REGION(a->base, ARENA_SIZE);
	munmap(a->base, ARENA_SIZE);
	a->base = NULL;
}

static size_t whole(size_t len)
{
	return ((len + 15) & ~(size_t)15) + GAP;
}

void *arena_alloc(struct arena *a, size_t len)
{
	size_t at = a->used;

	if (len > ARENA_SIZE || whole(len) > ARENA_SIZE - at)
		return NULL;
	a->used = at + whole(len);
	ASAN_UNPOISON_MEMORY_REGION(a->base + at, len);
	return a->base + at;
}

void arena_trim(struct arena *a, void *p, size_t keep)
{
	size_t at = (size_t)((uint8_t *)p - a->base);
	size_t end = at + whole(keep);

	if (at > a->used || end >= a->used)
		return;
	ASAN_POISON_MEMORY_REGION(a->base + at, a->used - at);
	ASAN_UNPOISON_MEMORY_REGION(a->base + at, keep);
	a->used = end;
}

void arena_reset(struct arena *a)
{
	ASAN_UNPOISON_MEMORY_REGION(a->base, a->used);
	OPENSSL_cleanse(a->base, a->used);
	ASAN_POISON_MEMORY_REGION(a->base, a->used);
	if (a->used > KEEP_RESIDENT)
		madvise(a->base + KEEP_RESIDENT, ARENA_SIZE - KEEP_RESIDENT, MADV_DONTNEED);
	a->used = 0;
}

static void *json_alloc(size_t len)
{
	return json_arena ? arena_alloc(json_arena, len) : malloc(len);
}

static void json_release(void *p)
{
	if (json_arena || !p)
		return;
	/* Administration's objects hold secrets. */
	OPENSSL_cleanse(p, malloc_usable_size(p));
	free(p);
}

void arena_json_init(void)
{
	json_set_alloc_funcs(json_alloc, json_release);
	json_object_seed(0);
}

void arena_json_use(struct arena *a)
{
	json_arena = a;
}
