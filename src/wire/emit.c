/* SPDX-License-Identifier: Apache-2.0 */
#include "wire/emit.h"

#include "base/text.h"
#include "wire/headers.h"

#include <assert.h>

#define DIGITS_MAX 20u

static uint8_t *put(uint8_t *p, nbj_bytes b)
{
    if (b.len > 0)
        memcpy(p, b.ptr, b.len);
    return p + b.len;
}

static uint8_t *put_word(uint8_t *p, nbj_bytes word)
{
    if (word.len == 0)
        return p;
    *p++ = ' ';
    return put(p, word);
}

static uint8_t *put_number(uint8_t *p, uint64_t n)
{
    *p++ = ' ';
    return p + nbj__format_u64(p, n);
}

static uint8_t *put_crlf(uint8_t *p)
{
    *p++ = '\r';
    *p++ = '\n';
    return p;
}

size_t nbj__outgoing_size(const nbj__outgoing *m)
{
    return nbj__headers_size(m->headers, m->header_count) + m->payload.len;
}

nbj_status nbj__emit_pub(nbj__buf *out, const nbj__outgoing *m)
{
    size_t headers_len = nbj__headers_size(m->headers, m->header_count);
    size_t most =
        4 + m->subject.len + 1 + m->reply.len + 1 + 2 * (1 + DIGITS_MAX) + 2 + headers_len + m->payload.len + 2;
    uint8_t *start = NULL;
    nbj_status st = nbj__buf_reserve(out, most, &start);

    if (st != NBJ_OK)
        return st;
    uint8_t *p = put(start, headers_len > 0 ? nbj_view("HPUB", 4) : nbj_view("PUB", 3));
    p = put_word(p, m->subject);
    p = put_word(p, m->reply);
    if (headers_len > 0)
        p = put_number(p, headers_len);
    p = put_crlf(put_number(p, headers_len + m->payload.len));
    p = nbj__headers_write(p, m->headers, m->header_count);
    p = put_crlf(put(p, m->payload));
    assert((size_t)(p - start) <= most);
    nbj__buf_commit(out, (size_t)(p - start));
    return NBJ_OK;
}

nbj_status nbj__emit_sub(nbj__buf *out, nbj_bytes subject, nbj_bytes queue, uint64_t sid)
{
    uint8_t *start = NULL;
    nbj_status st = nbj__buf_reserve(out, 3 + 1 + subject.len + 1 + queue.len + 1 + DIGITS_MAX + 2, &start);

    if (st != NBJ_OK)
        return st;
    uint8_t *p = put_word(put(start, nbj_view("SUB", 3)), subject);
    p = put_crlf(put_number(put_word(p, queue), sid));
    nbj__buf_commit(out, (size_t)(p - start));
    return NBJ_OK;
}

nbj_status nbj__emit_unsub(nbj__buf *out, uint64_t sid, uint64_t max)
{
    uint8_t *start = NULL;
    nbj_status st = nbj__buf_reserve(out, 5 + 2 * (1 + DIGITS_MAX) + 2, &start);

    if (st != NBJ_OK)
        return st;
    uint8_t *p = put_number(put(start, nbj_view("UNSUB", 5)), sid);
    if (max > 0)
        p = put_number(p, max);
    p = put_crlf(p);
    nbj__buf_commit(out, (size_t)(p - start));
    return NBJ_OK;
}

size_t nbj__emitted_len(nbj_bytes ops, bool *is_pub)
{
    const uint8_t *lf = ops.len > 0 ? memchr(ops.ptr, '\n', ops.len) : NULL;

    if (lf == NULL)
        return 0;
    size_t line_len = (size_t)(lf - ops.ptr) + 1;
    *is_pub = (ops.ptr[0] == 'P' && ops.ptr[1] == 'U') || ops.ptr[0] == 'H'; /* PING and PONG begin with P too */
    if (!*is_pub)
        return line_len;
    const uint8_t *digits = lf - 1; /* the CR */
    while (digits[-1] != ' ')
        digits--;
    uint64_t total = 0;
    bool ok = nbj__parse_u64(nbj_view(digits, (size_t)(lf - 1 - digits)), UINT64_MAX, &total);
    assert(ok);
    (void)ok;
    size_t len = line_len + (size_t)total + 2;
    return len <= ops.len ? len : 0;
}
