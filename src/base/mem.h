/* SPDX-License-Identifier: Apache-2.0 */
/* Memory through the caller's allocator. Every block is given back with the size it was asked for with. */
#ifndef NBJ_BASE_MEM_H
#define NBJ_BASE_MEM_H

#include <nbj/alloc.h>
#include <nbj/bytes.h>

/* The malloc family as an allocator. */
extern const nbj_allocator nbj__malloc_allocator;

/* |a|, or malloc's where it is NULL. */
const nbj_allocator *nbj__allocator_or_default(const nbj_allocator *a);

void *nbj__alloc(const nbj_allocator *a, size_t size);
void *nbj__alloc0(const nbj_allocator *a, size_t size);                                  /* zeroed */
void *nbj__realloc(const nbj_allocator *a, void *ptr, size_t old_size, size_t new_size); /* |ptr| may be NULL */
void nbj__free(const nbj_allocator *a, void *ptr, size_t size);                          /* |ptr| may be NULL */

/* Overwrites what is about to be given back, which compilers would leave out of memset(). */
void nbj__wipe(void *ptr, size_t size);

/* A NUL-terminated copy; NULL when there is no memory. Freed by nbj__free_text. */
char *nbj__copy_text(const nbj_allocator *a, nbj_bytes text);
void nbj__free_text(const nbj_allocator *a, char *text);

/* As nbj__free_text, overwritten first: for passwords, tokens and the like. */
void nbj__wipe_text(const nbj_allocator *a, char *text);

#endif
