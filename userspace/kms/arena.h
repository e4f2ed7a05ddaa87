/* SPDX-License-Identifier: Apache-2.0 */
/*
 * Memory of one request: a bump allocator over one private mapping.  Everything
 * that a request decodes, computes or answers lives here and is wiped, all of
 * it, in one place when the request ends.  Pages that were never touched cost
 * nothing.  Belongs to one thread.
 */
#ifndef KMS_ARENA_H
#define KMS_ARENA_H

#include <stddef.h>
#include <stdint.h>

#define ARENA_SIZE (512u * 1024)	/* bytes of address space */

struct arena {
	uint8_t *base;
	size_t used;
};

int arena_open(struct arena *a);	/* 0 or -ENOMEM */
void arena_close(struct arena *a);	/* wipes and unmaps */

/* Uninitialised bytes, aligned to 16, or NULL if the arena is full. */
void *arena_alloc(struct arena *a, size_t len);
/*
 * Gives back the tail of the newest allocation p, of which keep bytes stay.  Nothing may have been written
 * to that tail: it is not wiped again.
 */
void arena_trim(struct arena *a, void *p, size_t keep);
/* Wipes what was used.  Large requests give their pages back to the kernel. */
void arena_reset(struct arena *a);

/*
 * The arena from which jansson allocates in this thread; NULL: the C library's
 * heap, wiped piece by piece as it is freed.  arena_json_init() is called once, before threads.
 */
void arena_json_init(void);
void arena_json_use(struct arena *a);

#endif
