/* SPDX-License-Identifier: Apache-2.0 */
/* A filter and, behind the first LF, a subject: whether they are legal and match is what a plain reading of the rules
 * says. */
#include "wire/subject.h"

#include "support/fuzz.h"

/* UTF-8 by the definition: the code point, encoded again, must be the octets. */
static size_t utf8_len(const uint8_t *s, size_t len)
{
    static const uint32_t first[] = { 0, 0, 0x80, 0x800, 0x10000, 0x110000 };
    size_t n = s[0] < 0x80 ? 1 : s[0] >= 0xf0 ? 4 : s[0] >= 0xe0 ? 3 : 2;
    uint32_t point = s[0];

    if (n == 1)
        return 1;
    if (s[0] < 0xc0 || s[0] > 0xf7 || n > len)
        return 0;
    point = s[0] & (0xffu >> (n + 1));
    for (size_t i = 1; i < n; i++) {
        if (s[i] < 0x80 || s[i] > 0xbf)
            return 0;
        point = point << 6 | (s[i] - 0x80u);
    }
    return point >= first[n] && point < first[n + 1] && point < 0x110000 && (point < 0xd800 || point > 0xdfff) ? n : 0;
}

static bool is_word(nbj_bytes s)
{
    for (size_t i = 0; i < s.len;) {
        size_t n = utf8_len(s.ptr + i, s.len - i);
        if (n == 0 || (n == 1 && (s.ptr[i] <= ' ' || s.ptr[i] == 0x7f)))
            return false;
        i += n;
    }
    return s.len > 0;
}

/* The token before the first dot of |s|; |s| becomes what is behind the dot. False when there was no dot. */
static bool cut_token(nbj_bytes *s, nbj_bytes *token)
{
    for (size_t i = 0; i < s->len; i++) {
        if (s->ptr[i] == '.') {
            *token = nbj_view(s->ptr, i);
            *s = nbj_view(s->ptr + i + 1, s->len - i - 1);
            return true;
        }
    }
    *token = *s;
    return false;
}

static bool is(nbj_bytes token, char c)
{
    return token.len == 1 && token.ptr[0] == (uint8_t)c;
}

static bool is_subject(nbj_bytes s, bool wild)
{
    nbj_bytes token;
    bool more = true;

    if (!is_word(s) || s.len > NBJ__SUBJECT_MAX)
        return false;
    while (more) {
        more = cut_token(&s, &token);
        if (token.len == 0 || (!wild && (is(token, '*') || is(token, '>'))) || (is(token, '>') && more))
            return false;
    }
    return true;
}

static bool matches(nbj_bytes filter, nbj_bytes subject)
{
    nbj_bytes f, s;
    bool more_f = cut_token(&filter, &f);
    bool more_s = cut_token(&subject, &s);

    if (is(f, '>'))
        return true;
    if (!is(f, '*') && !nbj_bytes_equal(f, s))
        return false;
    return more_f == more_s && (!more_f || matches(filter, subject));
}

static bool is_name(nbj_bytes s)
{
    for (size_t i = 0; i < s.len; i++) {
        if (strchr(".*>/\\", s.ptr[i]) != NULL)
            return false;
    }
    return is_word(s) && s.len <= 255;
}

static void check_legality(nbj_bytes s)
{
    MUST(nbj__subject_is_literal(s) == is_subject(s, false));
    MUST(nbj__subject_is_filter(s) == is_subject(s, true));
    MUST(nbj__queue_is_legal(s) == (is_word(s) && s.len <= NBJ__SUBJECT_MAX));
    MUST(nbj__name_is_legal(s) == is_name(s));
    if (nbj__subject_is_literal(s))
        MUST(nbj__subject_matches(s, s) && nbj__subject_matches(nbj_str(">"), s));
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    const uint8_t *lf = size > 0 ? memchr(data, '\n', size) : NULL;
    size_t len = lf != NULL ? (size_t)(lf - data) : size;
    size_t rest = lf != NULL ? size - len - 1 : 0;
    uint8_t *f = fuzz_alloc(len); /* blocks of their own, so that a look beyond is seen */
    uint8_t *s = fuzz_alloc(rest);

    if (len > 0)
        memcpy(f, data, len);
    if (rest > 0)
        memcpy(s, lf + 1, rest);
    nbj_bytes filter = nbj_view(f, len);
    nbj_bytes subject = nbj_view(s, rest);
    check_legality(filter);
    check_legality(subject);
    bool got = nbj__subject_matches(filter, subject); /* must be safe on illegal ones too */
    if (is_subject(filter, true) && is_subject(subject, false))
        MUST(got == matches(filter, subject));
    free(s);
    free(f);
    return 0;
}
