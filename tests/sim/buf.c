/* SPDX-License-Identifier: Apache-2.0 */
/* Views and octet queues of the simulator: see buf.h. */
#include "buf.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

void *sim_alloc(size_t size)
{
    void *p = calloc(1, size > 0 ? size : 1);
    if (p == NULL)
        abort();
    return p;
}

void *sim_grow(void *array, size_t count, size_t *cap, size_t size)
{
    if (count < *cap)
        return array;
    *cap = *cap > 0 ? *cap * 2 : 8;
    void *p = realloc(array, *cap * size);
    if (p == NULL)
        abort();
    return p;
}

str str_of(const char *text)
{
    return (str){ text, text != NULL ? strlen(text) : 0 };
}

bool str_eq(str a, str b)
{
    return a.len == b.len && (a.len == 0 || memcmp(a.ptr, b.ptr, a.len) == 0);
}

bool str_is(str a, const char *text)
{
    return str_eq(a, str_of(text));
}

bool str_starts(str a, const char *prefix)
{
    size_t n = strlen(prefix);
    return a.len >= n && memcmp(a.ptr, prefix, n) == 0;
}

str str_skip(str a, size_t n)
{
    return n < a.len ? (str){ a.ptr + n, a.len - n } : (str){ a.ptr, 0 };
}

str str_cut(str *rest, char sep)
{
    const char *at = rest->len > 0 ? memchr(rest->ptr, sep, rest->len) : NULL;
    str word = { rest->ptr, at != NULL ? (size_t)(at - rest->ptr) : rest->len };
    *rest = at != NULL ? str_skip(*rest, word.len + 1) : (str){ rest->ptr, 0 };
    return word;
}

bool str_u64(str a, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;
    if (a.len == 0 || a.len > 20 || (a.ptr[0] == '0' && a.len > 1))
        return false;
    for (size_t i = 0; i < a.len; i++) {
        unsigned d = (unsigned)(unsigned char)a.ptr[i] - '0';
        if (d > 9 || v > (UINT64_MAX - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return v <= max;
}

char *str_dup(str a)
{
    char *p = sim_alloc(a.len + 1);
    if (a.len > 0)
        memcpy(p, a.ptr, a.len);
    return p;
}

str buf_view(const buf *b)
{
    return (str){ b->mem != NULL ? b->mem + b->head : "", b->end - b->head };
}

size_t buf_len(const buf *b)
{
    return b->end - b->head;
}

/* Room for |len| more octets: first by moving to the front, then by doubling. */
static void reserve(buf *b, size_t len)
{
    if (b->cap - b->end >= len)
        return;
    size_t have = buf_len(b);
    if (b->head > b->cap / 2 && b->cap - have >= len) {
        memmove(b->mem, b->mem + b->head, have);
    } else {
        size_t cap = b->cap > 0 ? b->cap : 256;
        while (cap - have < len)
            cap *= 2;
        char *mem = sim_alloc(cap);
        if (have > 0)
            memcpy(mem, b->mem + b->head, have);
        free(b->mem);
        b->mem = mem;
        b->cap = cap;
    }
    b->head = 0;
    b->end = have;
}

void buf_put(buf *b, const void *data, size_t len)
{
    if (len == 0)
        return;
    reserve(b, len);
    memcpy(b->mem + b->end, data, len);
    b->end += len;
}

void buf_str(buf *b, str s)
{
    buf_put(b, s.ptr, s.len);
}

void buf_text(buf *b, const char *text)
{
    buf_put(b, text, strlen(text));
}

void buf_vprintf(buf *b, const char *format, va_list args)
{
    va_list again;
    va_copy(again, args);
    int n = vsnprintf(NULL, 0, format, again);
    va_end(again);
    if (n < 0)
        abort();
    reserve(b, (size_t)n + 1);
    vsnprintf(b->mem + b->end, (size_t)n + 1, format, args);
    b->end += (size_t)n;
}

void buf_printf(buf *b, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    buf_vprintf(b, format, args);
    va_end(args);
}

void buf_drop(buf *b, size_t len)
{
    b->head = len < buf_len(b) ? b->head + len : b->end;
    if (b->head == b->end)
        b->head = b->end = 0;
}

void buf_cut(buf *b, size_t len)
{
    if (len < buf_len(b))
        b->end = b->head + len;
}

void buf_clear(buf *b)
{
    b->head = b->end = 0;
}

void buf_free(buf *b)
{
    free(b->mem);
    *b = (buf){ 0 };
}
