/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/msg.h"

#include "wire/headers.h"

#include <assert.h>

nbj_bytes nbj_msg_subject(const nbj_msg *msg)
{
    return msg->subject;
}

nbj_bytes nbj_msg_reply(const nbj_msg *msg)
{
    return msg->reply;
}

nbj_bytes nbj_msg_data(const nbj_msg *msg)
{
    return msg->payload;
}

uint16_t nbj_msg_status(const nbj_msg *msg)
{
    nbj__header_reader r;

    if (msg->headers.len == 0 || nbj__headers_open(&r, msg->headers) != NBJ_OK)
        return 0;
    return r.status;
}

bool nbj__msg_is_no_responders(const nbj_msg *m)
{
    return m->payload.len == 0 && nbj_msg_status(m) == 503;
}

nbj_status nbj_msg_header(const nbj_msg *msg, const char *name, nbj_bytes *value)
{
    nbj_status st = nbj__headers_find(msg->headers, nbj_str(name), value);

    return st == NBJ_E_PROTO ? NBJ_E_BAD_HEADER : st;
}

nbj_status nbj_msg_header_next(const nbj_msg *msg, size_t *cursor, nbj_header *out)
{
    nbj__header_reader r;

    *out = (nbj_header){ { NULL, 0 }, { NULL, 0 } };
    if (msg->headers.len == 0)
        return NBJ_MORE;
    nbj_status st = nbj__headers_open(&r, msg->headers);
    if (st == NBJ_OK) {
        if (*cursor > 0) /* the octet where the last call stopped */
            r.rest = *cursor < msg->headers.len ? nbj_view(msg->headers.ptr + *cursor, msg->headers.len - *cursor)
                                                : nbj_view(NULL, 0);
        st = nbj__headers_next(&r, out);
        *cursor = msg->headers.len - r.rest.len;
    }
    return st == NBJ_E_PROTO ? NBJ_E_BAD_HEADER : st;
}

nbj_msg *nbj_msg_retain(const nbj_msg *msg)
{
    nbj_msg *m = (nbj_msg *)(uintptr_t)msg; /* the count is ours to change */

    if (atomic_load_explicit(&m->refs, memory_order_relaxed) > 0) {
        atomic_fetch_add_explicit(&m->refs, 1, memory_order_relaxed);
        return m;
    }
    assert(m->chunk != NULL);
    nbj_msg *kept = nbj__alloc0(m->chunk->alloc, sizeof *kept);
    if (kept == NULL)
        return NULL;
    kept->subject = m->subject;
    kept->reply = m->reply;
    kept->headers = m->headers;
    kept->payload = m->payload;
    kept->sid = m->sid;
    kept->client = m->client;
    kept->chunk = nbj__chunk_retain(m->chunk);
    atomic_init(&kept->refs, 1);
    return kept;
}

/* |from| to |at|, as a view of the copy; *|at| goes on behind it. */
static nbj_bytes copy_part(uint8_t **at, nbj_bytes from)
{
    nbj_bytes copy = nbj_view(*at, from.len);

    if (from.len > 0)
        memcpy(*at, from.ptr, from.len);
    *at += from.len;
    return copy;
}

nbj_msg *nbj__msg_copy(const nbj_msg *m)
{
    const nbj_allocator *a = m->chunk->alloc;
    nbj__chunk *chunk = nbj__chunk_new(a, m->subject.len + m->reply.len + nbj__msg_size(m) + 1);
    nbj_msg *copy = chunk != NULL ? nbj__alloc0(a, sizeof *copy) : NULL;

    if (copy == NULL) {
        nbj__chunk_release(chunk);
        return NULL;
    }
    uint8_t *at = chunk->data;
    copy->subject = copy_part(&at, m->subject);
    copy->reply = copy_part(&at, m->reply);
    copy->headers = copy_part(&at, m->headers);
    copy->payload = copy_part(&at, m->payload);
    copy->sid = m->sid;
    copy->client = m->client;
    copy->chunk = chunk;
    atomic_init(&copy->refs, 1);
    return copy;
}

void nbj_msg_release(nbj_msg *msg)
{
    if (msg == NULL || atomic_fetch_sub_explicit(&msg->refs, 1, memory_order_acq_rel) != 1)
        return;
    nbj__chunk *chunk = msg->chunk;
    nbj__free(chunk->alloc, msg, sizeof *msg);
    nbj__chunk_release(chunk);
}
