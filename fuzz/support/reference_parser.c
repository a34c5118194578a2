/* SPDX-License-Identifier: Apache-2.0 */
#include "support/reference_parser.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

/* A line has an end, CR LF or LF, within so many octets. */
static const struct {
    const char *name;
    size_t line_max;
} verbs[] = {
    { "INFO", 1048576 }, { "MSG", 65536 }, { "HMSG", 65536 }, { "PING", 64 },
    { "PONG", 64 },      { "+OK", 64 },    { "-ERR", 65536 },
};

enum { VERBS = sizeof verbs / sizeof verbs[0], WORDS_MAX = 8 };

static const uint64_t payload_max = 64ull * 1024 * 1024 + 64 * 1024;

static int is_blank(uint8_t c)
{
    return c == ' ' || c == '\t';
}

/* Whether the input begins with the verb, letters of any case, or is the beginning of it. */
static int begins_with(const uint8_t *in, size_t len, const char *name)
{
    for (size_t i = 0; name[i] != '\0'; i++) {
        if (i == len)
            return 1;
        if (toupper(in[i]) != name[i])
            return 0;
    }
    return 1;
}

/* The verb's number, or -1. Behind it stands a blank or the line's end; a CR is only looked at as part of that. */
static int verb_of(const uint8_t *in, size_t len)
{
    for (int v = 0; v < VERBS; v++) {
        size_t n = strlen(verbs[v].name);
        if (!begins_with(in, len, verbs[v].name))
            continue;
        if (len <= n || is_blank(in[n]) || in[n] == '\n' || in[n] == '\r')
            return v;
    }
    return -1;
}

/* Splits in[from..to) at blanks; returns the number of words, of which the first WORDS_MAX are kept. */
static size_t split(const uint8_t *in, size_t from, size_t to, ref_part *word)
{
    size_t n = 0;

    for (size_t i = from; i < to; i++) {
        if (is_blank(in[i]))
            continue;
        size_t start = i;
        while (i < to && !is_blank(in[i]))
            i++;
        if (n < WORDS_MAX)
            word[n] = (ref_part){ start, i - start };
        n++;
    }
    return n;
}

/* A decimal of digits alone that is at most |max|. */
static int number_of(const uint8_t *in, ref_part word, uint64_t max, uint64_t *out)
{
    char digits[21];

    for (size_t i = 0; i < word.len; i++) {
        if (!isdigit(in[word.from + i]))
            return 0;
    }
    while (word.len > 1 && in[word.from] == '0') {
        word.from++;
        word.len--;
    }
    if (word.len == 0 || word.len > 20)
        return 0;
    memcpy(digits, in + word.from, word.len);
    digits[word.len] = '\0';
    if (word.len == 20 && strcmp(digits, "18446744073709551615") > 0)
        return 0;
    *out = strtoull(digits, NULL, 10);
    return *out <= max;
}

/* MSG: subject sid [reply] size. HMSG: subject sid [reply] header-size size. Then |size| octets, CR and LF. */
static ref_result parse_message(const uint8_t *in, size_t len, ref_part line, size_t body, int has_headers,
                                ref_frame *out)
{
    ref_part word[WORDS_MAX];
    size_t n = split(in, line.from, line.from + line.len, word);
    size_t least = has_headers ? 4 : 3;
    uint64_t size = 0;
    uint64_t headers = 0;

    if (n != least && n != least + 1)
        return REF_BAD;
    if (!number_of(in, word[1], UINT64_MAX, &out->sid) || !number_of(in, word[n - 1], payload_max, &size))
        return REF_BAD;
    if (has_headers && !number_of(in, word[n - 2], size, &headers))
        return REF_BAD;
    out->subject = word[0];
    if (n == least + 1)
        out->reply = word[2];
    out->headers = (ref_part){ body, (size_t)headers };
    out->payload = (ref_part){ body + (size_t)headers, (size_t)(size - headers) };
    out->size = body + (size_t)size + 2;
    if (len < out->size)
        return REF_MORE;
    return in[out->size - 2] == '\r' && in[out->size - 1] == '\n' ? REF_FRAME : REF_BAD;
}

/* Without blanks at both ends, and stray CRs at the second. */
static ref_part trim(const uint8_t *in, ref_part part)
{
    while (part.len > 0 && is_blank(in[part.from])) {
        part.from++;
        part.len--;
    }
    while (part.len > 0 && (is_blank(in[part.from + part.len - 1]) || in[part.from + part.len - 1] == '\r'))
        part.len--;
    return part;
}

/* Without the quote at each end that has one. */
static ref_part unquote(const uint8_t *in, ref_part part)
{
    if (part.len > 0 && in[part.from] == '\'') {
        part.from++;
        part.len--;
    }
    if (part.len > 0 && in[part.from + part.len - 1] == '\'')
        part.len--;
    return part;
}

ref_result ref_parse(const uint8_t *in, size_t len, ref_frame *out)
{
    ref_part word[WORDS_MAX];
    size_t lf = 0;
    int v = verb_of(in, len);

    memset(out, 0, sizeof *out);
    if (v < 0)
        return REF_BAD;
    while (lf < len && in[lf] != '\n')
        lf++;
    if (lf >= verbs[v].line_max) /* no LF among the octets that a line may have */
        return REF_BAD;
    if (lf == len)
        return REF_MORE;

    size_t from = strlen(verbs[v].name);
    size_t to = lf > from && in[lf - 1] == '\r' ? lf - 1 : lf;
    ref_part rest = { from, to - from };
    if (rest.len > 0 && !is_blank(in[from]))
        return REF_BAD;
    out->verb = verbs[v].name;
    out->size = lf + 1;
    if (strcmp(out->verb, "MSG") == 0 || strcmp(out->verb, "HMSG") == 0)
        return parse_message(in, len, rest, lf + 1, out->verb[0] == 'H', out);
    if (strcmp(out->verb, "INFO") == 0) {
        out->text = trim(in, rest);
        return out->text.len > 0 ? REF_FRAME : REF_BAD;
    }
    if (strcmp(out->verb, "-ERR") == 0) {
        out->text = trim(in, unquote(in, trim(in, rest)));
        return REF_FRAME;
    }
    return split(in, from, to, word) == 0 ? REF_FRAME : REF_BAD;
}
