/* SPDX-License-Identifier: Apache-2.0 */
/* Who published what, and what became of it: written by the client, taken by a server, received. Nothing may
 * appear that nobody published, nothing may be written twice or out of order, no octet may differ. */
#include "sim.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

uint64_t ledger_add(sim *s, char kind, const char *subject, size_t size)
{
    if (s->count == 0)
        s->count = 1; /* 0 is no id */
    s->entries = sim_grow(s->entries, s->count, &s->entries_cap, sizeof *s->entries);
    s->entries[s->count] = (entry){ .kind = kind, .subject = subject, .size = (uint32_t)size, .life = s->life };
    return s->count++;
}

entry *ledger_get(sim *s, uint64_t id)
{
    return id > 0 && id < s->count ? &s->entries[id] : NULL;
}

static bool wants_headers(const sim *s, const entry *e, uint64_t id)
{
    return !s->sw.model.no_headers && (e->size == 0 || id % 3 != 0);
}

/* The text that names entry |id|, as the value of Sim-Id. */
static str name_of(sim *s, uint64_t id)
{
    static char text[32]; /* until the next call */
    int n = snprintf(text, sizeof text, "%c%" PRIu64, ledger_get(s, id)->kind, id);
    return (str){ text, (size_t)n };
}

size_t ledger_message(sim *s, uint64_t id, nbj_header *headers, buf *data)
{
    static const char *const names[] = { "Sim-Id", "X-case-KEPT", "sim-empty" };
    const entry *e = ledger_get(s, id);
    size_t count = wants_headers(s, e, id) ? 1 + (size_t)(id % 2) * 2 : 0;
    str name = name_of(s, id);
    if (e->size > 0)
        payload_make(data, e->kind, id, e->size);
    for (size_t i = 0; i < count; i++)
        headers[i] =
            (nbj_header){ nbj_str(names[i]), i == 0 ? nbj_view(name.ptr, name.len) : nbj_str(i == 1 ? "a: b" : "") };
    return count;
}

static void write_block(sim *s, uint64_t id, buf *out)
{
    nbj_header headers[3];
    buf data = { 0 };
    size_t n = ledger_message(s, id, headers, &data);
    if (n > 0)
        buf_text(out, "NATS/1.0\r\n");
    for (size_t i = 0; i < n; i++)
        buf_printf(out, "%.*s: %.*s\r\n", NBJ_FMT(headers[i].name), NBJ_FMT(headers[i].value));
    if (n > 0)
        buf_text(out, "\r\n");
    buf_free(&data);
}

/* |block| without the message id and the expectations that the window adds; empty where nothing else is left. */
static void without_added(str block, buf *out)
{
    size_t lines = 0;
    while (block.len > 0) {
        str line = str_cut(&block, '\n');
        if (str_starts(line, "Nats-Msg-Id:") || str_starts(line, "Nats-Expected-"))
            continue;
        buf_str(out, line);
        buf_text(out, "\n");
        lines++;
    }
    if (lines <= 2)
        buf_clear(out);
}

static bool header_fits(sim *s, uint64_t id, str header)
{
    buf want = { 0 }, got = { 0 };
    write_block(s, id, &want);
    without_added(header, &got);
    bool same = str_eq(buf_view(&want), buf_view(&got));
    buf_free(&want);
    buf_free(&got);
    return same;
}

uint64_t ledger_identify(sim *s, const char *where, str subject, str header, str data)
{
    char kind = '?';
    uint64_t id = 0;
    str name = model_header(header, "Sim-Id");
    if (name.ptr != NULL && name.len > 1) {
        kind = name.ptr[0];
        str_u64(str_skip(name, 1), UINT64_MAX, &id);
    } else {
        payload_read(data, &kind, &id);
    }
    const entry *e = ledger_get(s, id);
    if (e == NULL || e->kind != kind) {
        sim_fail(s, "%s: a message that nobody published, on %.*s", where, (int)subject.len, subject.ptr);
        return 0;
    }
    bool intact = e->size == 0 ? data.len == 0 : payload_is(data, kind, id, e->size);
    if (!intact || !str_is(subject, e->subject) || !header_fits(s, id, header)) {
        sim_fail(s, "%s: message %c%" PRIu64 " was changed: subject %.*s, %zu octets", where, kind, id,
                 (int)subject.len, subject.ptr, data.len);
        return 0;
    }
    return id;
}

/* --- what the client wrote -------------------------------------------------------------------------------- */

static void heard_own(sim *s, uint64_t id)
{
    entry *e = ledger_get(s, id);
    if (!e->accepted)
        sim_fail(s, "%c%" PRIu64 " is written though its publish was refused", e->kind, id);
    if (e->life != s->life)
        sim_fail(s, "%c%" PRIu64 " of a former client is written", e->kind, id);
    e->written++;
    e->written_on = net_number(s->conn);
    if (e->kind == 'J')
        return;
    if (e->written > 1)
        sim_fail(s, "%c%" PRIu64 " is written twice", e->kind, id);
    if (id < s->last_written_id)
        sim_fail(s, "%c%" PRIu64 " is written after %" PRIu64, e->kind, id, s->last_written_id);
    s->last_written_id = id;
}

void ledger_heard(void *user, const client_op *op, str header, str data)
{
    sim *s = user;
    if (op->verb != OP_PUB && op->verb != OP_HPUB)
        return;
    if (str_starts(op->subject, "$JS.")) {
        s->next_written += str_starts(op->subject, "$JS.API.CONSUMER.MSG.NEXT.");
        return;
    }
    uint64_t id = ledger_identify(s, "written", op->subject, header, data);
    if (id > 0)
        heard_own(s, id);
}

/* --- what the servers took and gave ------------------------------------------------------------------------ */

void ledger_seen(void *user, const model_conn *from, str subject, str reply, str header, str data)
{
    sim *s = user;
    const net_conn *c = net_conn_of(&s->n, from);
    (void)reply;
    if (c == NULL || str_starts(subject, "$JS."))
        return;
    uint64_t id = ledger_identify(s, "taken by a server", subject, header, data);
    entry *e = ledger_get(s, id);
    if (e == NULL)
        return;
    sim_note(s, id, s->w.now);
    e->seen++;
    e->seen_on = net_number(c);
    if (e->seen > 1 && e->kind != 'J')
        sim_fail(s, "%c%" PRIu64 " reached a server twice", e->kind, id);
}

void ledger_delivered(void *user, const model_conn *to, uint64_t sid)
{
    sim *s = user;
    if (s->conn == NULL || net_server_of(s->conn) != to)
        return;
    for (app_sub *a = s->subs; a != NULL; a = a->next)
        if (!a->ended && a->sub.sid == sid)
            a->from_server++;
}

void ledger_asked(void *user, uint64_t id)
{
    sim *s = user;
    entry *e = ledger_get(s, id);
    if (e == NULL || e->kind != 'Q')
        sim_fail(s, "the peer got a request that nobody made");
    else
        e->asked = true;
}
