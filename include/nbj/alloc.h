/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * Where the library gets its memory. */
#ifndef NBJ_ALLOC_H
#define NBJ_ALLOC_H

#include <stddef.h>

/** An allocator. The three functions must be callable from any thread that uses the handles created with it, and
 * must not call the library. @c alloc and @c realloc return NULL when there is no memory, which the library reports as
 * NBJ_E_NOMEM. Sizes are never 0. JSON documents are read by a library of its own, which uses malloc. */
typedef struct nbj_allocator {
    void *(*alloc)(void *ctx, size_t size);                                   /**< As malloc. */
    void *(*realloc)(void *ctx, void *ptr, size_t old_size, size_t new_size); /**< As realloc; @p ptr is not NULL. */
    void (*free)(void *ctx, void *ptr, size_t size); /**< As free, with the size that was asked for. */
    void *ctx;                                       /**< Passed to each call. */
} nbj_allocator;

#endif
