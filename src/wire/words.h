/* SPDX-License-Identifier: Apache-2.0 */
/* Words and blanks of a protocol line. */
#ifndef NBJ_WIRE_WORDS_H
#define NBJ_WIRE_WORDS_H

#include <nbj/bytes.h>
#include <stdbool.h>

static inline bool nbj__is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

static inline uint8_t nbj__upper(uint8_t c)
{
    return c >= 'a' && c <= 'z' ? (uint8_t)(c - 'a' + 'A') : c;
}

/* Splits at runs of blanks into at most |max| words; what lies beyond them is not looked at. Returns how many. */
static inline size_t nbj__split_blanks(nbj_bytes line, nbj_bytes *word, size_t max)
{
    const uint8_t *p = line.ptr;
    const uint8_t *end = line.ptr + line.len;
    size_t n = 0;

    while (n < max) {
        while (p < end && nbj__is_blank(*p))
            p++;
        if (p == end)
            break;
        const uint8_t *start = p;
        while (p < end && !nbj__is_blank(*p))
            p++;
        word[n++] = nbj_view(start, (size_t)(p - start));
    }
    return n;
}

/* Without blanks and CRs at both ends. */
static inline nbj_bytes nbj__trim(nbj_bytes b)
{
    while (b.len > 0 && nbj__is_blank(b.ptr[0]))
        b = nbj_view(b.ptr + 1, b.len - 1);
    while (b.len > 0 && (nbj__is_blank(b.ptr[b.len - 1]) || b.ptr[b.len - 1] == '\r'))
        b.len--;
    return b;
}

/* Whether |text| begins with |prefix|, letters of any case. */
static inline bool nbj__starts_with_nocase(nbj_bytes text, const char *prefix)
{
    size_t n = strlen(prefix);

    if (text.len < n)
        return false;
    for (size_t i = 0; i < n; i++) {
        if (nbj__upper(text.ptr[i]) != nbj__upper((uint8_t)prefix[i]))
            return false;
    }
    return true;
}

#endif
