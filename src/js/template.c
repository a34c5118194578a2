/* SPDX-License-Identifier: Apache-2.0 */
#include "js/template.h"

#include "base/text.h"

#define HPUB "HPUB "
#define ID_LINE "NATS/1.0\r\nNats-Msg-Id: "
#define HEADERS_END "\r\n\r\n"
#define HEADERS_LEN (sizeof ID_LINE - 1 + sizeof HEADERS_END - 1) /* without the id */
#define NUMBERS_MAX 48u                                           /* both lengths, blanks and CR LF */

void nbj__template_set(nbj__template *t, nbj_bytes subject, nbj_bytes inbox)
{
    size_t len = sizeof HPUB - 1 + subject.len + 1 + inbox.len;

    t->subject_len = 0;
    if (subject.len > NBJ__TEMPLATE_SUBJECT_MAX || len > sizeof t->head)
        return;
    memcpy(t->head, HPUB, sizeof HPUB - 1);
    memcpy(t->head + sizeof HPUB - 1, subject.ptr, subject.len);
    t->head[sizeof HPUB - 1 + subject.len] = ' ';
    memcpy(t->head + len - inbox.len, inbox.ptr, inbox.len);
    t->subject_len = subject.len;
    t->head_len = len;
}

static size_t headers_len(nbj_bytes id)
{
    return id.len > 0 ? HEADERS_LEN + id.len : 0;
}

size_t nbj__template_size(nbj_bytes id, nbj_bytes payload)
{
    return headers_len(id) + payload.len;
}

static inline uint8_t *put(uint8_t *p, const void *from, size_t len)
{
    memcpy(p, from, len);
    return p + len;
}

static uint8_t *put_number(uint8_t *p, uint64_t n)
{
    *p++ = ' ';
    return p + nbj__format_u64(p, n);
}

nbj_status nbj__template_emit(const nbj__template *t, nbj__buf *out, nbj_bytes token, nbj_bytes id, nbj_bytes payload)
{
    size_t headers = headers_len(id);
    size_t without_h = id.len > 0 ? 0 : 1; /* PUB */
    uint8_t *start = NULL;

    nbj_status st = nbj__buf_reserve(out, t->head_len + token.len + NUMBERS_MAX + headers + payload.len + 2, &start);
    if (st != NBJ_OK)
        return st;
    uint8_t *p = put(start, t->head + without_h, t->head_len - without_h);
    p = put(p, token.ptr, token.len);
    if (headers > 0)
        p = put_number(p, headers);
    p = put(put_number(p, headers + payload.len), "\r\n", 2);
    if (headers > 0) {
        p = put(p, ID_LINE, sizeof ID_LINE - 1);
        p = put(p, id.ptr, id.len);
        p = put(p, HEADERS_END, sizeof HEADERS_END - 1);
    }
    if (payload.len > 0)
        p = put(p, payload.ptr, payload.len);
    p = put(p, "\r\n", 2);
    nbj__buf_commit(out, (size_t)(p - start));
    return NBJ_OK;
}
