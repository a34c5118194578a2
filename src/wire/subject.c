/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/subject.h"

#include "base/text.h"

/* Whether |s| is UTF-8 without blanks, which end words of the protocol, and control characters, which end lines or have no
 * place in a name. */
static bool is_word(nbj_bytes s)
{
    for (size_t i = 0; i < s.len;) {
        if (s.ptr[i] <= 0x20 || s.ptr[i] == 0x7f)
            return false;
        size_t n = s.ptr[i] < 0x80 ? 1 : nbj__utf8_len(nbj_view(s.ptr + i, s.len - i));
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

#define EACH(octet) (0x0101010101010101u * (octet))

/* The high bit of each of eight octets that is |octet|; those of |x| are below 0x80. */
static inline uint64_t equal_octets(uint64_t x, uint8_t octet)
{
    return ~((x ^ EACH(octet)) + EACH(0x7f)) & EACH(0x80);
}

/* Whether the eight octets |x|, in the order of their addresses from the lowest on, are printable, without wildcards, and
 * without two dots in a row. |after_dot|: a dot, or the beginning, comes before them. */
static inline bool are_plain(uint64_t x, bool after_dot)
{
    uint64_t dots = equal_octets(x, '.');
    uint64_t bad = (x & EACH(0x80)) | (~((x | EACH(0x80)) - EACH(0x21)) & EACH(0x80)) | (dots & (dots >> 8));

    if (bad != 0) /* what follows counts on ASCII */
        return false;
    return (equal_octets(x, '*') | equal_octets(x, '>') | equal_octets(x, 0x7f)) == 0 &&
           !(after_dot && (dots & 0x80) != 0);
}

/* Whether |s| is ASCII words with a '.' between them, and nothing in it that wants a closer look. */
static bool is_plain(nbj_bytes s)
{
    uint8_t before = '.';
    size_t i = 0;

#if defined(__BYTE_ORDER__) && __BYTE_ORDER__ == __ORDER_LITTLE_ENDIAN__
    while (s.len >= 8 && i < s.len) {
        uint64_t eight;
        if (s.len - i < 8) { /* the last eight: some of them once more */
            i = s.len - 8;
            before = s.ptr[i - 1];
        }
        memcpy(&eight, s.ptr + i, sizeof eight);
        if (!are_plain(eight, before == '.'))
            return false;
        before = s.ptr[i + 7];
        i += 8;
    }
#endif
    for (; i < s.len; i++) {
        uint8_t c = s.ptr[i];
        if (c <= ' ' || c == '*' || c == '>' || c >= 0x7f || (c == '.' && before == '.'))
            return false;
        before = c;
    }
    return before != '.';
}

/* Walks the tokens once. Wildcard tokens are legal when |wild|; '>' only as the last one. */
static bool check(nbj_bytes s, bool wild)
{
    if (s.len <= NBJ__SUBJECT_MAX && is_plain(s))
        return true;
    size_t token = 0; /* where the current token began */
    if (s.len == 0 || s.len > NBJ__SUBJECT_MAX || !is_word(s))
        return false;
    for (size_t i = 0; i <= s.len; i++) {
        if (i < s.len && s.ptr[i] != '.')
            continue;
        if (i == token)
            return false;
        if (i == token + 1 && (s.ptr[token] == '*' || s.ptr[token] == '>')) {
            if (!wild || (s.ptr[token] == '>' && i < s.len))
                return false;
        }
        token = i + 1;
    }
    return true;
}

bool nbj__subject_is_literal(nbj_bytes subject)
{
    return check(subject, false);
}

bool nbj__subject_is_filter(nbj_bytes subject)
{
    return check(subject, true);
}

bool nbj__queue_is_legal(nbj_bytes queue)
{
    return queue.len > 0 && queue.len <= NBJ__SUBJECT_MAX && is_word(queue);
}

bool nbj__name_is_legal(nbj_bytes name)
{
    if (name.len == 0 || name.len > 255 || !is_word(name))
        return false;
    for (size_t i = 0; i < name.len; i++) {
        if (memchr(".*>/\\", name.ptr[i], 5) != NULL)
            return false;
    }
    return true;
}

/* The token of |s| that begins at |from|. */
static nbj_bytes token_at(nbj_bytes s, size_t from)
{
    const uint8_t *dot = memchr(s.ptr + from, '.', s.len - from);

    return nbj_view(s.ptr + from, dot != NULL ? (size_t)(dot - s.ptr) - from : s.len - from);
}

bool nbj__subject_matches(nbj_bytes filter, nbj_bytes subject)
{
    size_t f = 0;
    size_t s = 0;

    while (f < filter.len && s < subject.len) {
        nbj_bytes want = token_at(filter, f);
        nbj_bytes have = token_at(subject, s);
        if (want.len == 1 && want.ptr[0] == '>')
            return true;
        if (!(want.len == 1 && want.ptr[0] == '*') && !nbj_bytes_equal(want, have))
            return false;
        f += want.len + 1;
        s += have.len + 1;
    }
    return f > filter.len && s > subject.len;
}
