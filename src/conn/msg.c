/* SPDX-License-Identifier: Apache-2.0 */
#include "conn/queue.h"

#include "wire/headers.h"

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

    if (!m->is_kept)
        return nbj__msg_keep(m);
    nbj__chunk_retain(m->chunk);
    return m;
}

void nbj_msg_release(nbj_msg *msg)
{
    if (msg != NULL && msg->is_kept)
        nbj__chunk_release(msg->chunk);
}
