/* SPDX-License-Identifier: Apache-2.0 */
/** @file
 * A view of octets that somebody else owns. */
#ifndef NBJ_BYTES_H
#define NBJ_BYTES_H

#include <stddef.h>
#include <stdint.h>
#include <string.h>

/** A borrowed run of octets: not NUL-terminated, any octet may occur. A NULL @c ptr goes with length 0. */
typedef struct nbj_bytes {
    const uint8_t *ptr; /**< First octet. */
    size_t len;         /**< Number of octets. */
} nbj_bytes;

/** A view of @p len octets at @p ptr. */
static inline nbj_bytes nbj_view(const void *ptr, size_t len)
{
    nbj_bytes b;
    b.ptr = (const uint8_t *)ptr;
    b.len = len;
    return b;
}

/** A view of a C string without its NUL; NULL gives the empty view. */
static inline nbj_bytes nbj_str(const char *text)
{
    return nbj_view(text, text != NULL ? strlen(text) : 0);
}

/** Whether two views hold the same octets. */
static inline int nbj_bytes_equal(nbj_bytes a, nbj_bytes b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

/** The two arguments that "%.*s" wants: printf("%.*s", NBJ_FMT(view)). Octets up to the first NUL are printed.
 * Evaluates its argument three times. */
#define NBJ_FMT(bytes) (int)(bytes).len, ((bytes).ptr != NULL ? (const char *)(bytes).ptr : "")

#define NBJ_KIB(n) ((uint64_t)(n)*1024u)           /**< @p n KiB in octets. */
#define NBJ_MIB(n) ((uint64_t)(n)*1024u * 1024u)   /**< @p n MiB in octets. */
#define NBJ_GIB(n) (NBJ_MIB(1024) * (uint64_t)(n)) /**< @p n GiB in octets. */

#endif
