/* SPDX-License-Identifier: Apache-2.0 */
#include "js/ack_subject.h"

#include "base/text.h"

#define TOKENS_MAX 13u /* one more than looked at */

static size_t split(nbj_bytes subject, nbj_bytes *token)
{
    size_t n = 0;
    size_t from = 0;

    for (size_t i = 0; i <= subject.len && n < TOKENS_MAX; i++) {
        if (i < subject.len && subject.ptr[i] != '.')
            continue;
        token[n++] = nbj_view(subject.ptr + from, i - from);
        from = i + 1;
    }
    return n;
}

bool nbj__is_ack_subject(nbj_bytes reply)
{
    size_t dots = 0;

    if (reply.len <= 8 || memcmp(reply.ptr, "$JS.ACK.", 8) != 0)
        return false;
    for (size_t i = 0; i < reply.len; i++)
        dots += reply.ptr[i] == '.';
    return dots >= 8;
}

nbj_status nbj__ack_subject_parse(nbj_bytes subject, nbj__delivery *out)
{
    nbj_bytes token[TOKENS_MAX];
    size_t n;

    *out = (nbj__delivery){ 0 };
    if (subject.len < 8 || memcmp(subject.ptr, "$JS.ACK.", 8) != 0)
        return NBJ_E_NOT_JETSTREAM;
    n = split(subject, token);
    if (n != 9 && n < 11)
        return NBJ_E_NOT_JETSTREAM;
    const nbj_bytes *t = token + (n == 9 ? 2 : 4); /* the second form has domain and account before the stream */
    if (n > 9 && !(token[2].len == 1 && token[2].ptr[0] == '_'))
        out->domain = token[2];
    out->stream = t[0];
    out->consumer = t[1];
    bool whole =
        nbj__parse_u64(t[2], UINT64_MAX, &out->delivered) && nbj__parse_u64(t[3], UINT64_MAX, &out->stream_sequence) &&
        nbj__parse_u64(t[4], UINT64_MAX, &out->consumer_sequence) &&
        nbj__parse_u64(t[5], UINT64_MAX, &out->stored_at_ns) && nbj__parse_u64(t[6], UINT64_MAX, &out->pending);
    return whole && out->stream.len > 0 && out->consumer.len > 0 ? NBJ_OK : NBJ_E_NOT_JETSTREAM;
}
