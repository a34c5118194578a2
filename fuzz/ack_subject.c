/* SPDX-License-Identifier: Apache-2.0 */
/* A delivery's reply subject: what is read lies inside it and is what a slow, obvious reader finds; a subject made of any
 * names and numbers is read back as they were. */
#include "js/ack_subject.h"

#include "support/fuzz.h"

#define TOKENS_MAX 64u

/* All tokens of |s|, up to TOKENS_MAX; returns how many there are. */
static size_t split(nbj_bytes s, nbj_bytes *token)
{
    size_t n = 0;

    token[0] = nbj_view(s.ptr, 0);
    for (size_t i = 0; i < s.len; i++) {
        if (s.ptr[i] != '.') {
            if (n < TOKENS_MAX)
                token[n].len++;
        } else if (++n < TOKENS_MAX) {
            token[n] = nbj_view(s.ptr + i + 1, 0);
        }
    }
    return n + 1;
}

/* Decimal digits that fit 64 bits, judged as text. */
static bool is_number(nbj_bytes t)
{
    static const char largest[] = "18446744073709551615";

    for (size_t i = 0; i < t.len; i++) {
        if (t.ptr[i] < '0' || t.ptr[i] > '9')
            return false;
    }
    if (t.len == 0)
        return false;
    while (t.len > 1 && t.ptr[0] == '0')
        t = nbj_view(t.ptr + 1, t.len - 1);
    return t.len < 20 || (t.len == 20 && memcmp(t.ptr, largest, 20) <= 0);
}

static bool is_legal(nbj_bytes s, nbj_bytes *token)
{
    size_t n = split(s, token);
    size_t from = n == 9 ? 2 : 4;

    if (n != 9 && n < 11)
        return false;
    if (!nbj_bytes_equal(token[0], nbj_str("$JS")) || !nbj_bytes_equal(token[1], nbj_str("ACK")))
        return false;
    for (size_t i = from + 2; i < from + 7; i++) {
        if (!is_number(token[i]))
            return false;
    }
    return token[from].len > 0 && token[from + 1].len > 0;
}

static void read_any(const uint8_t *data, size_t size)
{
    nbj_bytes token[TOKENS_MAX];
    nbj__delivery d;
    nbj_bytes s = nbj_view(data, size);
    nbj_status st = nbj__ack_subject_parse(s, &d);

    MUST(st == NBJ_OK || st == NBJ_E_NOT_JETSTREAM);
    MUST((st == NBJ_OK) == is_legal(s, token));
    if (st != NBJ_OK)
        return;
    MUST(fuzz_is_within(d.stream, data, size) && fuzz_is_within(d.consumer, data, size));
    MUST(fuzz_is_within(d.domain, data, size));
    bool first_form = split(s, token) == 9;
    MUST(nbj_bytes_equal(d.stream, token[first_form ? 2 : 4]) &&
         nbj_bytes_equal(d.consumer, token[first_form ? 3 : 5]));
    MUST(nbj_bytes_equal(d.domain,
                         first_form || nbj_bytes_equal(token[2], nbj_str("_")) ? nbj_view(NULL, 0) : token[2]));
}

/* |len| octets of |data| as a token: no dot among them, not empty. */
static void make_name(char *out, const uint8_t *data, size_t len)
{
    size_t n = 0;

    for (size_t i = 0; i < len && n < 20; i++) {
        if (data[i] != '.' && data[i] != '\0')
            out[n++] = (char)data[i];
    }
    out[n > 0 ? n : 1] = '\0';
    if (n == 0)
        out[0] = 'x';
}

static void write_and_read(const uint8_t *data, size_t size)
{
    char stream[24], consumer[24], domain[24], text[300];
    uint64_t n[5];
    nbj__delivery d;

    if (size < 40)
        return;
    memcpy(n, data, sizeof n);
    size_t third = (size - 40) / 3;
    make_name(stream, data + 40, third);
    make_name(consumer, data + 40 + third, third);
    make_name(domain, data + 40 + 2 * third, third);
    for (int form = 0; form < 3; form++) {
        snprintf(text, sizeof text, "$JS.ACK.%s%s%s.%s.%llu.%llu.%llu.%llu.%llu%s", form > 0 ? domain : "",
                 form > 0 ? ".hash." : "", stream, consumer, (unsigned long long)n[0], (unsigned long long)n[1],
                 (unsigned long long)n[2], (unsigned long long)n[3], (unsigned long long)n[4],
                 form == 2 ? ".random" : "");
        MUST(nbj__ack_subject_parse(nbj_str(text), &d) == NBJ_OK);
        MUST(nbj_bytes_equal(d.stream, nbj_str(stream)) && nbj_bytes_equal(d.consumer, nbj_str(consumer)));
        MUST(d.delivered == n[0] && d.stream_sequence == n[1] && d.consumer_sequence == n[2]);
        MUST(d.stored_at_ns == n[3] && d.pending == n[4]);
        MUST(form > 0 || d.domain.len == 0);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    uint8_t *exact = fuzz_alloc(size); /* so that one octet too far is seen */

    if (size > 0)
        memcpy(exact, data, size);
    read_any(exact, size);
    write_and_read(exact, size);
    free(exact);
    return 0;
}
