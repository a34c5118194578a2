/* SPDX-License-Identifier: Apache-2.0 */
/* Views and growable octet queues of the simulator. Deliberately not the library's own: an oracle that shares
 * code with what it judges shares its mistakes. Out of memory aborts, since a test has nothing better to do. */
#ifndef SIM_BUF_H
#define SIM_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

typedef struct str { /* a view; not NUL-terminated */
    const char *ptr;
    size_t len;
} str;

typedef struct buf { /* octets are appended at the end and dropped from the front */
    char *mem;
    size_t head, end, cap;
} buf;

str str_of(const char *text);
bool str_eq(str a, str b);
bool str_is(str a, const char *text);
bool str_starts(str a, const char *prefix);
str str_skip(str a, size_t n);
/* Cuts the part before the first |sep| off |rest|; all of it where there is none. */
str str_cut(str *rest, char sep);
/* Unsigned decimal without sign or leading zero; false for anything else or above |max|. */
bool str_u64(str a, uint64_t max, uint64_t *out);
char *str_dup(str a); /* NUL-terminated copy, free() it */

str buf_view(const buf *b);
size_t buf_len(const buf *b);
void buf_put(buf *b, const void *data, size_t len);
void buf_str(buf *b, str s);
void buf_text(buf *b, const char *text);
void buf_printf(buf *b, const char *format, ...) __attribute__((format(printf, 2, 3)));
void buf_vprintf(buf *b, const char *format, va_list args) __attribute__((format(printf, 2, 0)));
void buf_drop(buf *b, size_t len);
void buf_cut(buf *b, size_t len); /* keep only the first |len| octets */
void buf_clear(buf *b);
void buf_free(buf *b);

void *sim_alloc(size_t size); /* zeroed */
/* Makes room for one more element; |*cap| and |*array| follow. */
void *sim_grow(void *array, size_t count, size_t *cap, size_t size);

#endif
