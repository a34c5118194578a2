/* SPDX-License-Identifier: Apache-2.0 */
/* What a client says to a consumer: requests for messages with their refusals, and acks. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_int.h"

void pull_remove(consumer *c, size_t i)
{
    free(c->pulls[i].reply);
    c->npulls--;
    memmove(&c->pulls[i], &c->pulls[i + 1], (c->npulls - i) * sizeof *c->pulls);
}

void pull_free_all(consumer *c)
{
    while (c->npulls > 0)
        pull_remove(c, c->npulls - 1);
}

/* |remaining|: also tell what the request did not get. Heartbeats tell the sequences instead. */
void pull_status(const consumer *c, const char *reply, const char *status, const pull *remaining)
{
    buf header = { 0 };
    buf_printf(&header, "NATS/1.0 %s\r\n", status);
    if (strncmp(status, "100", 3) == 0)
        buf_printf(&header, "Nats-Last-Consumer: %llu\r\nNats-Last-Stream: %llu\r\n", (unsigned long long)c->dseq,
                   (unsigned long long)(c->next_seq - 1));
    else if (remaining != NULL)
        buf_printf(&header, "Nats-Pending-Messages: %llu\r\nNats-Pending-Bytes: %llu\r\n",
                   (unsigned long long)remaining->batch, (unsigned long long)remaining->max_bytes);
    buf_text(&header, "\r\n");
    routed out = { .to = str_of(reply), .subject = str_of(reply), .header = buf_view(&header), .from_stream = true };
    route(c->stream->m, &out);
    buf_free(&header);
}

/* --- requests --------------------------------------------------------------------------------------------- */

static bool read_pull_object(model *m, const jv *object, pull *p)
{
    static const struct {
        const char *key;
        jv_kind kind;
    } known[] = { { "batch", JV_INT },
                  { "expires", JV_INT },
                  { "max_bytes", JV_INT },
                  { "idle_heartbeat", JV_INT },
                  { "no_wait", JV_BOOL } };
    for (const jv *e = object->child; e != NULL; e = e->next) {
        size_t i = 0;
        while (i < 5 && !str_is(e->key, known[i].key))
            i++;
        if (i == 5 || e->kind != known[i].kind || e->num < 0) {
            model_blame(m, "pull: unknown field or wrong type: %.*s", (int)e->key.len, e->key.ptr);
            return false;
        }
    }
    if (jv_int(object, "batch", 0) == 0)
        model_blame(m, "pull without a batch");
    int64_t expires = jv_int(object, "expires", 0);
    p->batch = (uint64_t)jv_int(object, "batch", 0);
    p->expires = expires > 0 ? m->now + (uint64_t)expires : SIM_NEVER;
    p->max_bytes = (uint64_t)jv_int(object, "max_bytes", 0);
    p->sized = p->max_bytes > 0;
    p->heartbeat = (uint64_t)jv_int(object, "idle_heartbeat", 0);
    p->no_wait = jv_true(object, "no_wait");
    return true;
}

static bool read_pull(model *m, str body, pull *p)
{
    *p = (pull){ .batch = 1, .expires = SIM_NEVER };
    if (body.len == 0 || str_u64(body, UINT32_MAX, &p->batch))
        return true;
    jv_doc doc = jv_parse(body);
    bool fine = doc.error == NULL && doc.root->kind == JV_OBJECT && read_pull_object(m, doc.root, p);
    if (!fine)
        model_blame(m, "pull request: %s", doc.error != NULL ? doc.error : "not understood");
    jv_free(&doc);
    return fine;
}

/* Text of the refusal in |out|, or false. */
static bool refused(const consumer *c, const pull *p, char *out, size_t size)
{
    const cfg_value *v = c->cfg.v;
    const model *m = c->stream->m;
    uint64_t wait = p->expires != SIM_NEVER ? p->expires - m->now : 0;
    if (v[C_MAX_BATCH].num > 0 && p->batch > (uint64_t)v[C_MAX_BATCH].num)
        snprintf(out, size, "409 Exceeded MaxRequestBatch of %lld", (long long)v[C_MAX_BATCH].num);
    else if (v[C_MAX_EXPIRES].num > 0 && wait > (uint64_t)v[C_MAX_EXPIRES].num)
        snprintf(out, size, "409 Exceeded MaxRequestExpires of %llds", (long long)v[C_MAX_EXPIRES].num / SIM_S);
    else if (v[C_MAX_BYTES].num > 0 && p->max_bytes > (uint64_t)v[C_MAX_BYTES].num)
        snprintf(out, size, "409 Exceeded MaxRequestMaxBytes of %lld", (long long)v[C_MAX_BYTES].num);
    else if (p->heartbeat > 0 && 2 * p->heartbeat > wait)
        snprintf(out, size, "400 Bad Request - heartbeat value too large");
    else if (v[C_MAX_WAITING].num > 0 && c->npulls >= (size_t)v[C_MAX_WAITING].num)
        snprintf(out, size, "409 Exceeded MaxWaiting");
    else
        return false;
    return true;
}

static void drop_pulls_without_interest(consumer *c)
{
    for (size_t i = c->npulls; i-- > 0;)
        if (!has_interest(c->stream->m, str_of(c->pulls[i].reply)))
            pull_remove(c, i);
}

static const char *nothing_for_no_wait(const consumer *c, const pull *p)
{
    uint64_t available = consumer_undelivered(c) + c->nqueue, wanted = 0;
    for (size_t i = 0; i < c->npulls; i++)
        wanted += c->pulls[i].batch;
    if (!p->no_wait)
        return NULL;
    if (available == 0 && p->expires == SIM_NEVER)
        return "404 No Messages";
    return available > 0 && available < wanted ? "408 Requests Pending" : NULL;
}

void consumer_pull(consumer *c, str reply, str body)
{
    pull p;
    char text[80];
    bool understood = read_pull(c->stream->m, body, &p);
    if (reply.len == 0)
        return;
    p.reply = str_dup(reply);
    drop_pulls_without_interest(c);
    const char *nothing = understood ? nothing_for_no_wait(c, &p) : "400 Bad Request";
    if (nothing != NULL) {
        pull_status(c, p.reply, nothing, NULL);
    } else if (refused(c, &p, text, sizeof text)) {
        /* From 2.12 a full queue is not told to who will notice by missing heartbeats. */
        if (c->stream->m->opt.minor < 12 || p.heartbeat == 0 || strstr(text, "MaxWaiting") == NULL)
            pull_status(c, p.reply, text, NULL);
    } else {
        p.next_heartbeat = p.heartbeat > 0 ? c->stream->m->now + p.heartbeat : SIM_NEVER;
        c->pulls = sim_grow(c->pulls, c->npulls, &c->pulls_cap, sizeof *c->pulls);
        c->pulls[c->npulls++] = p;
        consumer_deliver(c);
        return;
    }
    free(p.reply);
}

/* --- acks ------------------------------------------------------------------------------------------------- */

static void settle(consumer *c, uint64_t sseq)
{
    model_stream *s = c->stream;
    bool wanted = s->cfg.v[S_RETENTION].num == RETAIN_LIMITS;
    consumer_forget(c, sseq);
    c->last_acked = model_wall(s->m);
    c->settled = sim_grow(c->settled, c->nsettled, &c->settled_cap, sizeof *c->settled);
    c->settled[c->nsettled++] = sseq;
    for (size_t i = 0; i < s->nconsumers && s->cfg.v[S_RETENTION].num == RETAIN_INTEREST; i++)
        wanted |= consumer_wants(s->consumers[i], sseq);
    if (!wanted)
        stream_remove(s, sseq);
}

static pending *find_pending(consumer *c, uint64_t sseq)
{
    for (size_t i = 0; i < c->npend; i++)
        if (c->pend[i].sseq == sseq)
            return &c->pend[i];
    return NULL;
}

/* "-NAK", "-NAK {"delay":ns}", "-NAK 10s"; the last only in whole seconds, milliseconds or minutes. */
static bool read_nak_delay(str argument, uint64_t *delay)
{
    static const struct {
        const char *unit;
        uint64_t ns;
    } units[] = { { "ms", SIM_MS }, { "s", SIM_S }, { "m", 60 * (uint64_t)SIM_S } };
    *delay = 0;
    if (argument.len == 0)
        return true;
    if (argument.ptr[0] == '{') {
        jv_doc doc = jv_parse(argument);
        int64_t ns = doc.error == NULL ? jv_int(doc.root, "delay", -1) : -1;
        jv_free(&doc);
        *delay = ns > 0 ? (uint64_t)ns : 0;
        return ns >= 0;
    }
    for (size_t i = 0; i < sizeof units / sizeof units[0]; i++) {
        size_t n = strlen(units[i].unit);
        str number = { argument.ptr, argument.len > n ? argument.len - n : 0 };
        if (number.len > 0 && str_is(str_skip(argument, number.len), units[i].unit) &&
            str_u64(number, UINT32_MAX, delay)) {
            *delay *= units[i].ns;
            return true;
        }
    }
    return false;
}

static void nak(consumer *c, pending *p, str argument)
{
    uint64_t delay;
    if (!read_nak_delay(argument, &delay))
        model_blame(c->stream->m, "-NAK with a strange delay: %.*s", (int)argument.len, argument.ptr);
    if (p->due != SIM_NEVER) /* else it is queued for redelivery already */
        p->due = c->stream->m->now + delay;
}

static void progress(consumer *c, pending *p)
{
    if (p->due != SIM_NEVER)
        p->due = c->stream->m->now + (uint64_t)c->cfg.v[C_ACK_WAIT].num;
}

static void ack(consumer *c, uint64_t sseq)
{
    if (c->cfg.v[C_ACK].num == ACK_ALL)
        while (c->npend > 0 && c->pend[0].sseq < sseq)
            settle(c, c->pend[0].sseq);
    settle(c, sseq);
}

void consumer_ack(consumer *c, uint64_t sseq, str reply, str body)
{
    str argument = body, word = str_cut(&argument, ' ');
    pending *p = find_pending(c, sseq);
    bool term = str_is(word, "+TERM");
    if (c->cfg.v[C_ACK].num == ACK_NONE)
        model_blame(c->stream->m, "ack on a consumer without acks");
    if (body.len == 0 || str_is(body, "+ACK") || str_is(body, "+OK")) {
        if (p != NULL)
            ack(c, sseq);
    } else if (term && (argument.len == 0 || c->stream->m->opt.minor >= 10)) {
        if (p != NULL)
            settle(c, sseq);
    } else if (str_is(word, "-NAK")) {
        if (p != NULL)
            nak(c, p, argument);
    } else if (str_is(body, "+WPI")) {
        if (p != NULL)
            progress(c, p);
    } else {
        model_blame(c->stream->m, "ack of an unknown kind: %.*s", (int)(body.len > 60 ? 60 : body.len), body.ptr);
        return;
    }
    if (reply.len > 0)
        js_answer(c->stream->m, reply, (str){ 0 }, (str){ 0 }, true);
    consumer_tick(c);
}
