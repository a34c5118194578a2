/* SPDX-License-Identifier: Apache-2.0 */
/* A durable pull consumer of the server model: what is delivered next, what awaits its ack, ack floor, redelivery,
 * information. Requests for messages and the settling of acks are in model_pull.c. */
#include <stdlib.h>
#include <string.h>

#include "model_int.h"

consumer *consumer_find(const model_stream *s, str name)
{
    for (size_t i = 0; i < s->nconsumers; i++)
        if (str_is(name, s->consumers[i]->cfg.v[C_DURABLE].text))
            return s->consumers[i];
    return NULL;
}

bool consumer_matches(const consumer *c, str subject)
{
    const cfg_value *many = &c->cfg.v[C_FILTERS];
    const char *one = c->cfg.v[C_FILTER].text;
    for (size_t i = 0; i < many->count; i++)
        if (model_subject_matches(str_of(many->texts[i]), subject))
            return true;
    return many->count == 0 && (one == NULL || model_subject_matches(str_of(one), subject));
}

static uint64_t first_wanted(const model_stream *s, const config *cfg)
{
    uint64_t first = s->first_seq > 0 ? s->first_seq : 1;
    switch (cfg->v[C_DELIVER].num) {
    case DELIVER_LAST:
        return s->last_seq > 0 ? s->last_seq : 1;
    case DELIVER_NEW:
        return s->last_seq + 1;
    case DELIVER_START_SEQ:
        return (uint64_t)cfg->v[C_START_SEQ].num > first ? (uint64_t)cfg->v[C_START_SEQ].num : first;
    default:
        return first;
    }
}

consumer *consumer_new(model_stream *s, config *cfg)
{
    consumer *c = sim_alloc(sizeof *c);
    c->stream = s;
    c->cfg = *cfg;
    *cfg = (config){ 0 };
    c->created = model_wall(s->m);
    c->next_seq = first_wanted(s, &c->cfg);
    c->floor_s = s->m->opt.minor < 12 ? 0 : c->next_seq - 1; /* as told before the first ack */
    s->consumers = sim_grow(s->consumers, s->nconsumers, &s->consumers_cap, sizeof(consumer *));
    s->consumers[s->nconsumers++] = c;
    return c;
}

void consumer_free(consumer *c)
{
    pull_free_all(c);
    config_free(&c->cfg);
    free(c->pend);
    free(c->redeliveries);
    free(c->queue);
    free(c->pulls);
    free(c->settled);
    free(c);
}

void consumer_drop(consumer *c)
{
    model_stream *s = c->stream;
    size_t i = 0;
    for (size_t k = 0; k < c->npulls; k++)
        pull_status(c, c->pulls[k].reply, "409 Consumer Deleted", NULL);
    while (s->consumers[i] != c)
        i++;
    s->nconsumers--;
    memmove(&s->consumers[i], &s->consumers[i + 1], (s->nconsumers - i) * sizeof(consumer *));
    consumer_free(c);
}

/* --- next message ----------------------------------------------------------------------------------------- */

uint64_t consumer_undelivered(const consumer *c)
{
    uint64_t n = 0;
    for (size_t i = stream_index(c->stream, c->next_seq); i < c->stream->nmsgs; i++)
        n += consumer_matches(c, str_of(c->stream->msgs[i].subject));
    return n;
}

bool consumer_wants(const consumer *c, uint64_t sseq)
{
    const stored_msg *msg = stream_msg(c->stream, sseq);
    if (msg == NULL || !consumer_matches(c, str_of(msg->subject)))
        return false;
    for (size_t i = 0; i < c->npend; i++)
        if (c->pend[i].sseq == sseq)
            return true;
    return sseq >= c->next_seq;
}

static uint64_t *count_of(consumer *c, uint64_t sseq)
{
    for (size_t i = 0; i < c->nredeliveries; i++)
        if (c->redeliveries[i].sseq == sseq)
            return &c->redeliveries[i].count;
    c->redeliveries = sim_grow(c->redeliveries, c->nredeliveries, &c->redeliveries_cap, sizeof *c->redeliveries);
    c->redeliveries[c->nredeliveries] = (redelivery){ sseq, 0 };
    return &c->redeliveries[c->nredeliveries++].count;
}

static void unqueue(consumer *c, uint64_t sseq)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->nqueue; i++)
        if (c->queue[i] != sseq)
            c->queue[kept++] = c->queue[i];
    c->nqueue = kept;
}

static void remove_pending(consumer *c, uint64_t sseq)
{
    size_t kept = 0;
    for (size_t i = 0; i < c->npend; i++)
        if (c->pend[i].sseq != sseq)
            c->pend[kept++] = c->pend[i];
    c->npend = kept;
    kept = 0;
    for (size_t i = 0; i < c->nredeliveries; i++)
        if (c->redeliveries[i].sseq != sseq)
            c->redeliveries[kept++] = c->redeliveries[i];
    c->nredeliveries = kept;
    unqueue(c, sseq);
    c->floor_s = c->npend > 0 ? c->pend[0].sseq - 1 : c->next_seq - 1;
    c->floor_d = c->npend > 0 ? c->pend[0].dseq - 1 : c->dseq;
}

void consumer_forget(consumer *c, uint64_t sseq)
{
    for (size_t i = 0; i < c->npend; i++)
        if (c->pend[i].sseq == sseq) {
            remove_pending(c, sseq);
            return;
        }
}

/* The message to be delivered now, or NULL. A queued one that exhausted its deliveries falls out on the way. */
static const stored_msg *next_message(consumer *c, bool *again)
{
    const cfg_value *v = c->cfg.v;
    *again = c->nqueue > 0;
    while (c->nqueue > 0) {
        uint64_t seq = c->queue[0];
        const stored_msg *msg = stream_msg(c->stream, seq);
        if (msg != NULL && (v[C_MAX_DELIVER].num < 0 || *count_of(c, seq) + 1 < (uint64_t)v[C_MAX_DELIVER].num))
            return msg;
        remove_pending(c, seq);
        *again = c->nqueue > 0;
    }
    if (v[C_ACK].num != ACK_NONE && v[C_MAX_ACK_PENDING].num > 0 && c->npend >= (size_t)v[C_MAX_ACK_PENDING].num)
        return NULL;
    for (size_t i = stream_index(c->stream, c->next_seq); i < c->stream->nmsgs; i++)
        if (consumer_matches(c, str_of(c->stream->msgs[i].subject)))
            return &c->stream->msgs[i];
    return NULL;
}

static uint64_t ack_due(const consumer *c, uint64_t redeliveries)
{
    const cfg_value *backoff = &c->cfg.v[C_BACKOFF];
    if (backoff->count == 0)
        return c->stream->m->now + (uint64_t)c->cfg.v[C_ACK_WAIT].num;
    size_t step = redeliveries < backoff->count ? (size_t)redeliveries : backoff->count - 1;
    return c->stream->m->now + (uint64_t)backoff->ints[step];
}

/* Keeps |pend| by stream sequence; a redelivered message keeps its first consumer sequence. */
static void track(consumer *c, uint64_t sseq, uint64_t redeliveries)
{
    size_t i = 0;
    while (i < c->npend && c->pend[i].sseq < sseq)
        i++;
    if (i == c->npend || c->pend[i].sseq != sseq) {
        c->pend = sim_grow(c->pend, c->npend, &c->pend_cap, sizeof *c->pend);
        memmove(&c->pend[i + 1], &c->pend[i], (c->npend - i) * sizeof *c->pend);
        c->pend[i] = (pending){ .sseq = sseq, .dseq = c->dseq };
        c->npend++;
    }
    c->pend[i].due = ack_due(c, redeliveries);
}

static void write_ack_subject(const consumer *c, const stored_msg *msg, uint64_t deliveries, buf *out)
{
    const model *m = c->stream->m;
    buf_printf(out, "$JS.ACK.%s%s.%s.%llu.%llu.%llu.%llu.%llu%s", m->opt.ack_tokens > 9 ? "_.simhash." : "",
               c->stream->cfg.v[S_NAME].text, c->cfg.v[C_DURABLE].text, (unsigned long long)deliveries,
               (unsigned long long)msg->seq, (unsigned long long)c->dseq,
               (unsigned long long)(MODEL_EPOCH_NS + msg->time), (unsigned long long)consumer_undelivered(c),
               m->opt.ack_tokens > 11 ? ".r4nd0m" : "");
}

/* As clients count max_bytes: subject, ack reply, header and body. */
static uint64_t size_for_pull(const consumer *c, const stored_msg *msg)
{
    buf ack = { 0 };
    write_ack_subject(c, msg, 1, &ack);
    uint64_t size = strlen(msg->subject) + buf_len(&ack) + msg->header.len + msg->data.len;
    buf_free(&ack);
    return size;
}

static void hand_over(consumer *c, const stored_msg *msg, bool again, pull *p)
{
    buf ack = { 0 };
    uint64_t redeliveries = again ? ++*count_of(c, msg->seq) : 0;
    c->dseq++;
    c->last_delivered = model_wall(c->stream->m);
    if (again)
        unqueue(c, msg->seq);
    else
        c->next_seq = msg->seq + 1;
    if (c->cfg.v[C_ACK].num != ACK_NONE) {
        track(c, msg->seq, redeliveries);
    } else {
        c->floor_s = msg->seq;
        c->floor_d = c->dseq;
    }
    write_ack_subject(c, msg, redeliveries + 1, &ack);
    routed out = { .to = str_of(p->reply),
                   .subject = str_of(msg->subject),
                   .reply = buf_view(&ack),
                   .header = msg->header,
                   .data = msg->data };
    p->batch--;
    p->delivered++;
    p->next_heartbeat = p->heartbeat > 0 ? c->stream->m->now + p->heartbeat : SIM_NEVER;
    route(c->stream->m, &out);
    buf_free(&ack);
}

/* Requests take turns, one message each. */
static void rotate(consumer *c)
{
    pull first = c->pulls[0];
    memmove(&c->pulls[0], &c->pulls[1], (c->npulls - 1) * sizeof *c->pulls);
    c->pulls[c->npulls - 1] = first;
}

/* A no_wait request ends with the first thing it gets, or at once where it may not wait either. */
static void end_one_shots(consumer *c)
{
    for (size_t i = 0; i < c->npulls;) {
        const pull *p = &c->pulls[i];
        if (!p->no_wait || (p->delivered == 0 && p->expires != SIM_NEVER)) {
            i++;
            continue;
        }
        bool partly = p->delivered > 0 && c->stream->m->opt.minor < 12;
        pull_status(c, p->reply, partly ? "408 Request Timeout" : "404 No Messages", partly ? p : NULL);
        pull_remove(c, i);
    }
}

/* Whether |msg| fits into what request |p| may still take; else the request has ended. */
static bool fits(consumer *c, pull *p, const stored_msg *msg)
{
    uint64_t size = p->sized ? size_for_pull(c, msg) : 0;
    if (size > p->max_bytes) {
        pull_status(c, p->reply, "409 Message Size Exceeds MaxBytes", p);
        pull_remove(c, 0);
        return false;
    }
    p->max_bytes -= size;
    return true;
}

static void after_handing_over(consumer *c)
{
    const pull *p = &c->pulls[0];
    bool full = p->sized && p->max_bytes == 0;
    if (p->batch > 0 && !full) {
        rotate(c);
        return;
    }
    if (p->sized && !full && c->stream->m->opt.minor >= 10)
        pull_status(c, p->reply, "409 Batch Completed", p);
    pull_remove(c, 0);
}

void consumer_deliver(consumer *c)
{
    while (c->npulls > 0) {
        pull *p = &c->pulls[0];
        bool again;
        if (!has_interest(c->stream->m, str_of(p->reply))) {
            pull_remove(c, 0);
            continue;
        }
        const stored_msg *msg = next_message(c, &again);
        if (msg == NULL)
            break;
        if (fits(c, p, msg)) {
            hand_over(c, msg, again, p);
            after_handing_over(c);
        }
    }
    end_one_shots(c);
}

/* --- time, restart, information --------------------------------------------------------------------------- */

void consumer_tick(consumer *c)
{
    uint64_t now = c->stream->m->now;
    for (size_t i = 0; i < c->npend; i++)
        if (c->pend[i].due <= now) {
            c->queue = sim_grow(c->queue, c->nqueue, &c->queue_cap, sizeof *c->queue);
            c->queue[c->nqueue++] = c->pend[i].sseq;
            c->pend[i].due = SIM_NEVER;
        }
    for (size_t i = 0; i < c->npulls; i++) {
        pull *p = &c->pulls[i];
        if (p->expires <= now) {
            pull_status(c, p->reply, "408 Request Timeout", p);
            pull_remove(c, i--);
        } else if (p->next_heartbeat <= now) {
            p->next_heartbeat = now + p->heartbeat;
            pull_status(c, p->reply, "100 Idle Heartbeat", p);
        }
    }
    consumer_deliver(c);
}

uint64_t consumer_deadline(const consumer *c)
{
    uint64_t due = SIM_NEVER;
    for (size_t i = 0; i < c->npend; i++)
        due = c->pend[i].due < due ? c->pend[i].due : due;
    for (size_t i = 0; i < c->npulls; i++) {
        const pull *p = &c->pulls[i];
        uint64_t at = p->expires < p->next_heartbeat ? p->expires : p->next_heartbeat;
        due = at < due ? at : due;
    }
    return due;
}

/* Requests died with the server; what was delivered waits its full time again. */
void consumer_after_restart(consumer *c)
{
    pull_free_all(c);
    c->nqueue = 0;
    c->last_delivered = c->last_acked = 0;
    for (size_t i = 0; i < c->npend; i++)
        c->pend[i].due = ack_due(c, 0);
}

static void write_pair(buf *out, const char *key, uint64_t dseq, uint64_t sseq, uint64_t active)
{
    buf_printf(out, ",\"%s\":{\"consumer_seq\":%llu,\"stream_seq\":%llu", key, (unsigned long long)dseq,
               (unsigned long long)sseq);
    if (active > 0) {
        buf_text(out, ",\"last_active\":");
        jv_write_time(out, active);
    }
    buf_text(out, "}");
}

/* The members after "type", without braces. */
void consumer_write_info(const consumer *c, buf *out)
{
    const model *m = c->stream->m;
    size_t redelivered = 0;
    for (size_t i = 0; i < c->nredeliveries; i++)
        redelivered += c->redeliveries[i].count > 0;
    buf_printf(out, ",\"stream_name\":\"%s\",\"name\":\"%s\",\"created\":", c->stream->cfg.v[S_NAME].text,
               c->cfg.v[C_DURABLE].text);
    jv_write_time(out, c->created);
    buf_text(out, ",\"config\":");
    config_write(m, &c->cfg, out, true);
    write_pair(out, "delivered", c->dseq, c->next_seq - 1, c->last_delivered);
    write_pair(out, "ack_floor", c->floor_d, c->floor_s, c->last_acked);
    buf_printf(out, ",\"num_ack_pending\":%zu,\"num_redelivered\":%zu,\"num_waiting\":%zu,\"num_pending\":%llu",
               c->npend, redelivered, c->npulls, (unsigned long long)consumer_undelivered(c));
    if (m->opt.minor >= 10) {
        buf_text(out, ",\"ts\":");
        jv_write_time(out, model_wall(m));
    }
}

bool model_consumer_find(const model *m, const char *stream, const char *name, model_consumer_view *out)
{
    const model_stream *s = stream_find(m, str_of(stream));
    const consumer *c = s != NULL ? consumer_find(s, str_of(name)) : NULL;
    if (c != NULL)
        *out = (model_consumer_view){ c->next_seq - 1,         c->dseq,         c->floor_s, c->npend, c->npulls,
                                      consumer_undelivered(c), c->nredeliveries };
    return c != NULL;
}

bool model_is_settled(const model *m, const char *stream, const char *name, uint64_t seq)
{
    const model_stream *s = stream_find(m, str_of(stream));
    const consumer *c = s != NULL ? consumer_find(s, str_of(name)) : NULL;
    for (size_t i = 0; c != NULL && i < c->nsettled; i++)
        if (c->settled[i] == seq)
            return true;
    return false;
}
