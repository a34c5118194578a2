/* SPDX-License-Identifier: Apache-2.0 */
#include "base/text.h"

#include <assert.h>
#include <stdarg.h>

nbj__text nbj__text_into(char *array, size_t cap)
{
    assert(cap > 0);
    array[0] = '\0';
    return (nbj__text){ .ptr = array, .cap = cap };
}

void nbj__text_add_bytes(nbj__text *t, nbj_bytes b)
{
    size_t room = t->cap - 1 - t->len;
    size_t n = b.len < room ? b.len : room;

    if (n > 0)
        memcpy(t->ptr + t->len, b.ptr, n);
    t->len += n;
    t->ptr[t->len] = '\0';
    t->cut = t->cut || n < b.len;
}

void nbj__text_add(nbj__text *t, const char *s)
{
    nbj__text_add_bytes(t, nbj_str(s));
}

size_t nbj__utf8_len(nbj_bytes b)
{
    uint8_t c = b.len > 0 ? b.ptr[0] : 0xff;
    size_t len = c < 0x80 ? 1 : c < 0xc2 ? 0 : c < 0xe0 ? 2 : c < 0xf0 ? 3 : c < 0xf5 ? 4 : 0;

    if (len > b.len)
        return 0;
    for (size_t i = 1; i < len; i++) {
        if ((b.ptr[i] & 0xc0) != 0x80)
            return 0;
    }
    /* What the second octet rules out: forms longer than needed, surrogates, what lies beyond U+10FFFF. */
    if ((c == 0xe0 && b.ptr[1] < 0xa0) || (c == 0xed && b.ptr[1] > 0x9f) || (c == 0xf0 && b.ptr[1] < 0x90) ||
        (c == 0xf4 && b.ptr[1] > 0x8f))
        return 0;
    return len;
}

/* Whether a terminal shows the sequence of |len| octets at |s| rather than obeying it: U+0080 to U+009F control it too. */
static bool is_shown(const uint8_t *s, size_t len)
{
    return len > 2 || (len == 2 && (s[0] > 0xc2 || s[1] >= 0xa0)) || (len == 1 && s[0] >= 0x20 && s[0] != 0x7f);
}

void nbj__text_add_clean(nbj__text *t, nbj_bytes b)
{
    size_t i = t->len;

    nbj__text_add_bytes(t, b);
    while (i < t->len) {
        const uint8_t *s = (const uint8_t *)t->ptr + i;
        size_t len = nbj__utf8_len(nbj_view(s, t->len - i));
        if (is_shown(s, len)) {
            i += len;
        } else {
            t->ptr[i++] = '?'; /* the rest of a longer sequence follows as "not UTF-8" */
        }
    }
}

size_t nbj__format_u64(uint8_t *out, uint64_t n)
{
    uint8_t digits[20];
    size_t at = sizeof digits;

    do {
        digits[--at] = (uint8_t)('0' + n % 10);
        n /= 10;
    } while (n > 0);
    memcpy(out, digits + at, sizeof digits - at);
    return sizeof digits - at;
}

void nbj__text_add_u64(nbj__text *t, uint64_t n)
{
    uint8_t digits[20];

    nbj__text_add_bytes(t, nbj_view(digits, nbj__format_u64(digits, n)));
}

void nbj__text_add_i64(nbj__text *t, int64_t n)
{
    if (n < 0)
        nbj__text_add(t, "-");
    nbj__text_add_u64(t, n < 0 ? 0 - (uint64_t)n : (uint64_t)n);
}

nbj_bytes nbj__text_view(const nbj__text *t)
{
    return nbj_view(t->ptr, t->len);
}

bool nbj__parse_u64(nbj_bytes word, uint64_t max, uint64_t *out)
{
    uint64_t v = 0;

    assert(max >= 9);
    if (word.len == 0)
        return false;
    for (size_t i = 0; i < word.len; i++) {
        unsigned d = (unsigned)word.ptr[i] - '0'; /* a non-digit wraps to something large */
        if (d > 9 || v > (max - d) / 10)
            return false;
        v = v * 10 + d;
    }
    *out = v;
    return true;
}

nbj_status nbj__error_set(nbj_error *error, nbj_status status, ...)
{
    if (error == NULL)
        return status;
    error->status = status;
    error->code = 0;
    error->err_code = 0;
    nbj__text t = nbj__text_into(error->text, sizeof error->text);
    va_list parts;
    va_start(parts, status);
    for (const char *part; (part = va_arg(parts, const char *)) != NULL;)
        nbj__text_add_clean(&t, nbj_str(part));
    va_end(parts);
    memset(t.ptr + t.len, 0, t.cap - t.len);
    return status;
}

void nbj__error_add(nbj_error *error, const char *more)
{
    nbj__text t = { .ptr = error->text, .len = strlen(error->text), .cap = sizeof error->text };

    nbj__text_add(&t, more);
}
