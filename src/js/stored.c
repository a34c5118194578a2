/* SPDX-License-Identifier: Apache-2.0 */
#include "js/stored.h"

#include "base/base64.h"
#include "base/rfc3339.h"
#include "base/text.h"
#include "wire/headers.h"

#include <assert.h>
#include <stdalign.h>

static_assert(offsetof(nbj__chunk, data) % alignof(nbj_stored_msg) == 0, "messages live in chunks");

/* --- a kept one --- */

/* With room for |octets| behind it, which are at *|at|. */
static nbj_stored_msg *new_msg(const nbj_allocator *alloc, size_t octets, uint8_t **at)
{
    nbj__chunk *c = nbj__chunk_new(alloc, sizeof(nbj_stored_msg) + octets);

    if (c == NULL)
        return NULL;
    nbj_stored_msg *m = (nbj_stored_msg *)(void *)c->data;
    *m = (nbj_stored_msg){ .alloc = alloc, .chunk = c };
    *at = (uint8_t *)(m + 1);
    return m;
}

static nbj_bytes copy_part(uint8_t **at, nbj_bytes from)
{
    nbj_bytes copy = nbj_view(*at, from.len);

    if (from.len > 0)
        memcpy(*at, from.ptr, from.len);
    *at += from.len;
    return copy;
}

static nbj_stored_msg *copy_of(const nbj_stored_msg *msg)
{
    uint8_t *at = NULL;
    nbj_stored_msg *m = new_msg(msg->alloc, msg->stream.len + msg->subject.len + msg->headers.len + msg->data.len, &at);

    if (m == NULL)
        return NULL;
    m->sequence = msg->sequence;
    m->stored_at_ns = msg->stored_at_ns;
    m->stream = copy_part(&at, msg->stream);
    m->subject = copy_part(&at, msg->subject);
    m->headers = copy_part(&at, msg->headers);
    m->data = copy_part(&at, msg->data);
    return m;
}

nbj_stored_msg *nbj_stored_msg_retain(const nbj_stored_msg *msg)
{
    if (msg->chunk == NULL)
        return copy_of(msg);
    nbj__chunk_retain(msg->chunk);
    return (nbj_stored_msg *)(uintptr_t)msg; /* the count is ours to change */
}

void nbj_stored_msg_release(nbj_stored_msg *msg)
{
    if (msg != NULL && msg->chunk != NULL)
        nbj__chunk_release(msg->chunk);
}

/* --- what it tells --- */

nbj_bytes nbj_stored_msg_stream(const nbj_stored_msg *msg)
{
    return msg->stream;
}

nbj_bytes nbj_stored_msg_subject(const nbj_stored_msg *msg)
{
    return msg->subject;
}

uint64_t nbj_stored_msg_sequence(const nbj_stored_msg *msg)
{
    return msg->sequence;
}

uint64_t nbj_stored_msg_stored_at_ns(const nbj_stored_msg *msg)
{
    return msg->stored_at_ns;
}

nbj_bytes nbj_stored_msg_data(const nbj_stored_msg *msg)
{
    return msg->data;
}

nbj_status nbj_stored_msg_header_next(const nbj_stored_msg *msg, size_t *cursor, nbj_header *out)
{
    nbj__header_reader r = { 0 };

    *out = (nbj_header){ { NULL, 0 }, { NULL, 0 } };
    if (*cursor >= msg->headers.len)
        return NBJ_MORE;
    r.rest = nbj_view(msg->headers.ptr + *cursor, msg->headers.len - *cursor);
    nbj_status st = nbj__headers_next(&r, out);
    *cursor = msg->headers.len - r.rest.len;
    return st == NBJ_E_PROTO ? NBJ_E_BAD_HEADER : st;
}

nbj_status nbj_stored_msg_header(const nbj_stored_msg *msg, const char *name, nbj_bytes *value)
{
    size_t cursor = 0;
    nbj_header h;
    nbj_status st;

    *value = nbj_view(NULL, 0);
    while ((st = nbj_stored_msg_header_next(msg, &cursor, &h)) == NBJ_OK) {
        if (nbj_bytes_equal(h.name, nbj_str(name))) {
            *value = h.value;
            return NBJ_OK;
        }
    }
    return st == NBJ_MORE ? NBJ_E_NOT_FOUND : st;
}

/* --- reading answers --- */

static bool read_time(nbj_bytes text, uint64_t *out)
{
    int64_t ns;

    if (!nbj__rfc3339_parse(text, &ns))
        return false;
    *out = ns > 0 ? (uint64_t)ns : 0;
    return true;
}

/* The lines of a header block. */
static nbj_bytes lines_of(nbj_bytes block)
{
    nbj__header_reader r;

    return nbj__headers_open(&r, block) == NBJ_OK ? r.rest : block;
}

enum { STREAM, SUBJECT, SEQUENCE, TIME, REQUIRED, PENDING = REQUIRED, PREVIOUS, ADDED };

static const char *const added_names[ADDED] = {
    [STREAM] = "Nats-Stream",   [SUBJECT] = "Nats-Subject",     [SEQUENCE] = "Nats-Sequence",
    [TIME] = "Nats-Time-Stamp", [PENDING] = "Nats-Num-Pending", [PREVIOUS] = "Nats-Last-Sequence"
};

typedef struct added {
    nbj_bytes value[ADDED];
    const uint8_t *line[ADDED]; /* where its line begins; NULL: there is none */
} added;

static void note(added *a, const nbj_header *h, const uint8_t *line)
{
    for (size_t i = 0; i < ADDED; i++) {
        if (nbj_bytes_equal(h->name, nbj_str(added_names[i]))) {
            a->value[i] = h->value;
            a->line[i] = line;
        }
    }
}

/* The last header of each name: servers add theirs behind what the message was stored with, which may hold the same
 * names, and lines that are no headers. */
static added find_added(nbj_bytes lines)
{
    nbj__header_reader r = { .rest = lines };
    added a = { .value = { { NULL, 0 } } };
    nbj_header h;

    for (size_t before = SIZE_MAX; r.rest.len > 0 && r.rest.len < before;) {
        const uint8_t *line = r.rest.ptr;
        before = r.rest.len;
        if (nbj__headers_next(&r, &h) == NBJ_OK)
            note(&a, &h, line);
    }
    return a;
}

/* Where what was added begins; NULL: something that is always added is missing. */
static const uint8_t *first_added(const added *a)
{
    const uint8_t *first = a->line[STREAM];

    for (size_t i = 0; i < REQUIRED; i++) {
        if (a->line[i] == NULL)
            return NULL;
        if (a->line[i] < first)
            first = a->line[i];
    }
    return first;
}

static bool read_number(const added *a, size_t i, const uint8_t *from, uint64_t *out)
{
    return a->line[i] != NULL && a->line[i] >= from && nbj__parse_u64(a->value[i], UINT64_MAX, out);
}

bool nbj__stored_from_direct(const nbj_allocator *alloc, const nbj_msg *answer, nbj__direct *out)
{
    nbj_bytes lines = lines_of(answer->headers);
    added a = find_added(lines);
    const uint8_t *end = first_added(&a);

    *out = (nbj__direct){ .msg = { .alloc = alloc } };
    nbj_stored_msg *m = &out->msg;
    if (end == NULL || a.value[STREAM].len == 0 || a.value[SUBJECT].len == 0 ||
        !read_number(&a, SEQUENCE, end, &m->sequence) || m->sequence == 0 ||
        !read_time(a.value[TIME], &m->stored_at_ns))
        return false;
    m->stream = a.value[STREAM];
    m->subject = a.value[SUBJECT];
    m->headers = nbj_view(lines.ptr, (size_t)(end - lines.ptr));
    m->data = answer->payload;
    out->is_of_batch = read_number(&a, PENDING, end, &out->pending) && read_number(&a, PREVIOUS, end, &out->previous);
    return true;
}

nbj_status nbj__direct_failed(const char *stream, const nbj_msg *answer, nbj_error *error)
{
    static const struct {
        uint16_t code;
        nbj_status status;
        const char *text;
    } known[] = {
        { 404, NBJ_E_NOT_FOUND, "no message found" },
        { 408, NBJ_E_JS, "the server did not accept a direct get" },
        { 412, NBJ_E_UNSUPPORTED, "the server that has it is too old for this request" },
        { 413, NBJ_E_JS, "these filters cover too many subjects, of which 1,024 are allowed; read them in parts" },
        { 429, NBJ_E_JS_UNAVAILABLE, "the server has too many requests; try again later" },
    };
    uint16_t code = nbj_msg_status(answer);

    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++) {
        if (known[i].code != code)
            continue;
        nbj__error_set(error, known[i].status, "stream ", stream, ": ", known[i].text, (char *)NULL);
        error->code = code;
        return known[i].status;
    }
    return nbj__error_set(error, NBJ_E_BAD_REPLY, "stream ", stream, ": the answer to a direct get could not be read",
                          (char *)NULL);
}

static bool decode_part(uint8_t **at, nbj_bytes text, nbj_bytes *out)
{
    size_t len = 0;

    if (!nbj__base64_decode(text, *at, &len))
        return false;
    *out = nbj_view(*at, len);
    *at += len;
    return true;
}

nbj_status nbj__stored_from_json(const nbj_allocator *alloc, const nbj__json *reply, nbj_bytes stream,
                                 nbj_stored_msg **out)
{
    const nbj__json *o = nbj__json_object(reply, "message");
    nbj_bytes subject = nbj__json_text(o, "subject");
    nbj_bytes headers = nbj__json_text(o, "hdrs");
    nbj_bytes data = nbj__json_text(o, "data");
    uint64_t sequence = nbj__json_u64(o, "seq");
    uint64_t stored_at_ns = 0;
    uint8_t *at = NULL;

    *out = NULL;
    if (subject.len == 0 || sequence == 0 || !read_time(nbj__json_text(o, "time"), &stored_at_ns))
        return NBJ_E_BAD_REPLY;
    nbj_stored_msg *m =
        new_msg(alloc, stream.len + subject.len + nbj__base64_room(headers.len) + nbj__base64_room(data.len), &at);
    if (m == NULL)
        return NBJ_E_NOMEM;
    m->sequence = sequence;
    m->stored_at_ns = stored_at_ns;
    m->stream = copy_part(&at, stream);
    m->subject = copy_part(&at, subject);
    if (!decode_part(&at, headers, &m->headers) || !decode_part(&at, data, &m->data)) {
        nbj_stored_msg_release(m);
        return NBJ_E_BAD_REPLY;
    }
    m->headers = lines_of(m->headers);
    *out = m;
    return NBJ_OK;
}
