/* SPDX-License-Identifier: Apache-2.0 */
/* A stream of the server model: store with limits, duplicate window, expectations, PubAck. */
#include <stdlib.h>
#include <string.h>

#include "model_int.h"

#define HEADER_MAX 65536

model_stream *stream_find(const model *m, str name)
{
    for (size_t i = 0; i < m->nstreams; i++)
        if (str_is(name, m->streams[i]->cfg.v[S_NAME].text))
            return m->streams[i];
    return NULL;
}

static bool accepts(const config *cfg, str subject)
{
    for (size_t i = 0; i < cfg->v[S_SUBJECTS].count; i++)
        if (model_subject_matches(str_of(cfg->v[S_SUBJECTS].texts[i]), subject))
            return true;
    return false;
}

model_stream *stream_for(const model *m, str subject)
{
    for (size_t i = 0; i < m->nstreams; i++)
        if (accepts(&m->streams[i]->cfg, subject))
            return m->streams[i];
    return NULL;
}

/* Two patterns overlap where some literal subject matches both. */
static bool patterns_overlap(str a, str b)
{
    for (;;) {
        bool more_a = memchr(a.ptr, '.', a.len) != NULL, more_b = memchr(b.ptr, '.', b.len) != NULL;
        str x = str_cut(&a, '.'), y = str_cut(&b, '.');
        if (str_is(x, ">") || str_is(y, ">"))
            return true;
        if (!str_is(x, "*") && !str_is(y, "*") && !str_eq(x, y))
            return false;
        if (!more_a || !more_b)
            return more_a == more_b;
    }
}

bool stream_overlaps(const model *m, const config *cfg, const model_stream *except)
{
    const cfg_value *mine = &cfg->v[S_SUBJECTS];
    for (size_t i = 0; i < m->nstreams; i++) {
        const cfg_value *other = &m->streams[i]->cfg.v[S_SUBJECTS];
        for (size_t a = 0; a < mine->count && m->streams[i] != except; a++)
            for (size_t b = 0; b < other->count; b++)
                if (patterns_overlap(str_of(mine->texts[a]), str_of(other->texts[b])))
                    return true;
    }
    return false;
}

model_stream *stream_new(model *m, config *cfg)
{
    model_stream *s = sim_alloc(sizeof *s);
    s->m = m;
    s->cfg = *cfg;
    *cfg = (config){ 0 };
    s->created = model_wall(m);
    m->streams = sim_grow(m->streams, m->nstreams, &m->streams_cap, sizeof(model_stream *));
    m->streams[m->nstreams++] = s;
    return s;
}

static void free_msg(stored_msg *msg)
{
    free(msg->subject);
    free((void *)(uintptr_t)msg->header.ptr);
    free((void *)(uintptr_t)msg->data.ptr);
}

void stream_free(model_stream *s)
{
    for (size_t i = 0; i < s->nconsumers; i++)
        consumer_free(s->consumers[i]);
    for (size_t i = 0; i < s->nmsgs; i++)
        free_msg(&s->msgs[i]);
    for (size_t i = 0; i < s->ndedup; i++)
        free(s->dedup[i].id);
    stream_forget_proposals(s);
    free(s->proposals);
    free(s->consumers);
    free(s->msgs);
    free(s->dedup);
    config_free(&s->cfg);
    free(s);
}

void stream_drop(model_stream *s)
{
    model *m = s->m;
    size_t i = 0;
    while (s->nconsumers > 0)
        consumer_drop(s->consumers[0]);
    while (m->streams[i] != s)
        i++;
    m->nstreams--;
    memmove(&m->streams[i], &m->streams[i + 1], (m->nstreams - i) * sizeof(model_stream *));
    stream_free(s);
}

/* --- store ------------------------------------------------------------------------------------------------ */

static uint64_t stored_size(const model_stream *s, const stored_msg *msg)
{
    uint64_t bare = strlen(msg->subject) + msg->header.len + msg->data.len;
    if (s->cfg.v[S_STORAGE].num == STORE_MEMORY)
        return bare + 16;
    return bare + 30 + (msg->header.len > 0 ? 4 : 0);
}

size_t stream_index(const model_stream *s, uint64_t seq)
{
    size_t low = 0, high = s->nmsgs;
    while (low < high) {
        size_t mid = low + (high - low) / 2;
        if (s->msgs[mid].seq < seq)
            low = mid + 1;
        else
            high = mid;
    }
    return low;
}

const stored_msg *stream_msg(const model_stream *s, uint64_t seq)
{
    size_t i = stream_index(s, seq);
    return i < s->nmsgs && s->msgs[i].seq == seq ? &s->msgs[i] : NULL;
}

void stream_remove(model_stream *s, uint64_t seq)
{
    size_t i = stream_index(s, seq);
    if (i >= s->nmsgs || s->msgs[i].seq != seq)
        return;
    if (s->m->watcher.removed != NULL)
        s->m->watcher.removed(s->m->watcher.user, s->cfg.v[S_NAME].text, s->created, seq);
    s->octets -= stored_size(s, &s->msgs[i]);
    free_msg(&s->msgs[i]);
    s->nmsgs--;
    memmove(&s->msgs[i], &s->msgs[i + 1], (s->nmsgs - i) * sizeof *s->msgs);
    s->first_seq = s->nmsgs > 0 ? s->msgs[0].seq : s->last_seq + 1;
    for (size_t k = 0; k < s->nconsumers; k++)
        consumer_forget(s->consumers[k], seq);
}

uint64_t stream_purge(model_stream *s)
{
    uint64_t n = s->nmsgs;
    while (s->nmsgs > 0)
        stream_remove(s, s->msgs[0].seq);
    return n;
}

static uint64_t per_subject(const model_stream *s, const char *subject, uint64_t *oldest)
{
    uint64_t n = 0;
    for (size_t i = s->nmsgs; i-- > 0;)
        if (strcmp(s->msgs[i].subject, subject) == 0) {
            n++;
            *oldest = s->msgs[i].seq;
        }
    return n;
}

static bool over(const cfg_value *limit, uint64_t value)
{
    return limit->num > 0 && value > (uint64_t)limit->num;
}

void stream_trim(model_stream *s)
{
    const cfg_value *v = s->cfg.v;
    while (s->nmsgs > 0 && (over(&v[S_MAX_MSGS], s->nmsgs) || over(&v[S_MAX_BYTES], s->octets) ||
                            over(&v[S_MAX_AGE], s->m->now - s->msgs[0].time)))
        stream_remove(s, s->msgs[0].seq);
    for (size_t i = 0; v[S_MAX_PER_SUBJECT].num > 0 && i < s->nmsgs; i++) {
        uint64_t oldest = 0;
        if (per_subject(s, s->msgs[i].subject, &oldest) > (uint64_t)v[S_MAX_PER_SUBJECT].num) {
            stream_remove(s, oldest);
            i = (size_t)-1; /* indexes moved: from the start again */
        }
    }
}

uint64_t stream_deadline(const model_stream *s)
{
    int64_t age = s->cfg.v[S_MAX_AGE].num;
    uint64_t due = s->nproposals > 0 ? s->proposals[0].due : SIM_NEVER;
    uint64_t end = age > 0 && s->nmsgs > 0 ? s->msgs[0].time + (uint64_t)age + 1 : SIM_NEVER;
    return end < due ? end : due;
}

/* --- publish ---------------------------------------------------------------------------------------------- */

static void forget_old_ids(model_stream *s)
{
    size_t old = 0;
    while (old < s->ndedup && s->m->now - s->dedup[old].time >= (uint64_t)s->cfg.v[S_DUPLICATES].num)
        free(s->dedup[old++].id);
    if (old > 0)
        memmove(s->dedup, s->dedup + old, (s->ndedup - old) * sizeof *s->dedup);
    s->ndedup -= old;
}

static const dedup_entry *find_id(model_stream *s, str id)
{
    forget_old_ids(s);
    for (size_t i = 0; i < s->ndedup; i++)
        if (str_is(id, s->dedup[i].id))
            return &s->dedup[i];
    return NULL;
}

static void remember_id(model_stream *s, str id, uint64_t seq, uint64_t time)
{
    s->dedup = sim_grow(s->dedup, s->ndedup, &s->dedup_cap, sizeof *s->dedup);
    s->dedup[s->ndedup++] = (dedup_entry){ str_dup(id), seq, time };
}

/* File streams rebuild the window from what they still hold; settled work is forgotten with its ids. */
void stream_after_restart(model_stream *s)
{
    stream_forget_proposals(s);
    while (s->ndedup > 0)
        free(s->dedup[--s->ndedup].id);
    for (size_t i = 0; i < s->nmsgs; i++) {
        str id = model_header(s->msgs[i].header, "Nats-Msg-Id");
        if (id.ptr != NULL && s->m->now - s->msgs[i].time < (uint64_t)s->cfg.v[S_DUPLICATES].num)
            remember_id(s, id, s->msgs[i].seq, s->msgs[i].time);
    }
    for (size_t i = 0; i < s->nconsumers; i++)
        consumer_after_restart(s->consumers[i]);
}

static void acknowledge(const model_stream *s, str reply, uint64_t seq, bool duplicate)
{
    buf body = { 0 };
    buf_printf(&body, "{\"stream\":\"%s\",%s\"seq\":%llu%s}", s->cfg.v[S_NAME].text, s->m->opt.minor < 12 ? " " : "",
               (unsigned long long)seq, duplicate ? ",\"duplicate\": true" : "");
    if (s->cfg.v[S_NO_ACK].num == 0)
        stream_answer(s->m, reply, (str){ 0 }, buf_view(&body), seq == 0);
    buf_free(&body);
}

static void refuse(const model_stream *s, str reply, unsigned code, unsigned err, const char *format, ...)
    __attribute__((format(printf, 5, 6)));

static void refuse(const model_stream *s, str reply, unsigned code, unsigned err, const char *format, ...)
{
    buf body = { 0 };
    va_list args;
    va_start(args, format);
    buf_printf(&body, "{\"error\":{\"code\":%u,\"err_code\":%u,\"description\":\"", code, err);
    buf_vprintf(&body, format, args);
    buf_printf(&body, "\"},\"stream\":\"%s\",\"seq\":0}", s->cfg.v[S_NAME].text);
    va_end(args);
    stream_answer(s->m, reply, (str){ 0 }, buf_view(&body), err == 10158 || err == 10163);
    buf_free(&body);
}

static uint64_t last_of_subject(const model_stream *s, str subject)
{
    for (size_t i = s->nmsgs; i-- > 0;)
        if (str_is(subject, s->msgs[i].subject))
            return s->msgs[i].seq;
    return 0;
}

static str last_id(const model_stream *s)
{
    return s->ndedup > 0 ? str_of(s->dedup[s->ndedup - 1].id) : (str){ "", 0 };
}

/* What replicas have not agreed on counts for the last sequence; of its subjects the last one is not known. */
static bool expectation_is_undecided(model_stream *s, const routed *msg)
{
    bool own = model_header(msg->header, "Nats-Expected-Last-Subject-Sequence").ptr != NULL;
    if (own && s->m->trouble == MODEL_JS_NOT_READY)
        refuse(s, msg->reply, 503, 10163, "expected last sequence per subject temporarily unavailable");
    else if (own && stream_has_proposed(s, NULL, msg->subject))
        refuse(s, msg->reply, 400, 10164, "wrong last sequence");
    else
        return false;
    return true;
}

/* True: refused and answered. */
static bool expectation_failed(model_stream *s, const routed *msg)
{
    if (expectation_is_undecided(s, msg))
        return true;
    uint64_t last_seq = s->last_seq + s->nproposals;
    uint64_t want = 0;
    str seq = model_header(msg->header, "Nats-Expected-Last-Sequence");
    str id = model_header(msg->header, "Nats-Expected-Last-Msg-Id");
    str own = model_header(msg->header, "Nats-Expected-Last-Subject-Sequence");
    if (seq.ptr != NULL && (!str_u64(seq, UINT64_MAX, &want) || want != last_seq)) {
        refuse(s, msg->reply, 400, 10071, "wrong last sequence: %llu", (unsigned long long)last_seq);
        return true;
    }
    if (id.ptr != NULL && !str_eq(id, last_id(s))) {
        str last = last_id(s);
        refuse(s, msg->reply, 400, 10070, "wrong last msg ID: %.*s", (int)last.len, last.ptr);
        return true;
    }
    uint64_t last = own.ptr != NULL ? last_of_subject(s, msg->subject) : 0;
    if (own.ptr != NULL && (!str_u64(own, UINT64_MAX, &want) || want != last)) {
        refuse(s, msg->reply, 400, 10071, "wrong last sequence: %llu", (unsigned long long)last);
        return true;
    }
    return false;
}

static const char *full(const model_stream *s, const stored_msg *msg)
{
    const cfg_value *v = s->cfg.v;
    if (v[S_DISCARD].num != DISCARD_NEW)
        return NULL;
    if (over(&v[S_MAX_MSGS], s->nmsgs + 1))
        return "maximum messages exceeded";
    return over(&v[S_MAX_BYTES], s->octets + stored_size(s, msg)) ? "maximum bytes exceeded" : NULL;
}

void stream_store(model_stream *s, const routed *msg)
{
    str id = model_header(msg->header, "Nats-Msg-Id");
    stored_msg stored = { .seq = s->last_seq + 1,
                          .time = s->m->now,
                          .subject = str_dup(msg->subject),
                          .header = { str_dup(msg->header), msg->header.len },
                          .data = { str_dup(msg->data), msg->data.len } };
    const char *why = full(s, &stored);
    if (why != NULL) {
        refuse(s, msg->reply, 503, 10077, "%s", why);
        free_msg(&stored);
        return;
    }
    s->msgs = sim_grow(s->msgs, s->nmsgs, &s->msgs_cap, sizeof *s->msgs);
    s->msgs[s->nmsgs++] = stored;
    s->octets += stored_size(s, &stored);
    s->last_seq = stored.seq;
    s->last_time = s->m->now;
    if (s->nmsgs == 1)
        s->first_seq = stored.seq;
    if (id.ptr != NULL)
        remember_id(s, id, stored.seq, s->m->now);
    if (s->m->watcher.stored != NULL)
        s->m->watcher.stored(s->m->watcher.user, s->cfg.v[S_NAME].text, s->created, stored.seq, msg->subject,
                             msg->header, msg->data);
    acknowledge(s, msg->reply, stored.seq, false);
    stream_trim(s);
    bool wanted = s->cfg.v[S_RETENTION].num != RETAIN_INTEREST;
    for (size_t i = 0; i < s->nconsumers; i++)
        wanted |= consumer_matches(s->consumers[i], msg->subject);
    if (!wanted)
        stream_remove(s, stored.seq);
    for (size_t i = 0; i < s->nconsumers; i++)
        consumer_deliver(s->consumers[i]);
}

/* The id of |msg| is known, or being stored. True: answered. */
static bool is_duplicate(model_stream *s, const routed *msg)
{
    str id = model_header(msg->header, "Nats-Msg-Id");
    const dedup_entry *known = id.ptr != NULL ? find_id(s, id) : NULL;
    if (known != NULL)
        acknowledge(s, msg->reply, known->seq, true);
    else if (id.ptr == NULL || !stream_has_proposed(s, "Nats-Msg-Id", id))
        return false;
    else if (s->m->opt.minor >= 11)
        refuse(s, msg->reply, 409, 10158, "message id is in process");
    else
        acknowledge(s, msg->reply, 0, true);
    return true;
}

void stream_publish(model_stream *s, const routed *msg)
{
    str expected = model_header(msg->header, "Nats-Expected-Stream");
    size_t size = msg->header.len + msg->data.len;
    bool expects_first = s->m->opt.expects_first;
    if (expected.ptr != NULL && !str_is(expected, s->cfg.v[S_NAME].text))
        refuse(s, msg->reply, 400, 10060, "expected stream does not match");
    else if (expects_first && expectation_failed(s, msg))
        return;
    else if (is_duplicate(s, msg) || (!expects_first && expectation_failed(s, msg)))
        return;
    else if (over(&s->cfg.v[S_MAX_MSG_SIZE], size))
        refuse(s, msg->reply, 400, 10054, "message size exceeds maximum allowed");
    else if (msg->header.len > HEADER_MAX)
        refuse(s, msg->reply, 400, 10097, "header size exceeds maximum allowed of 64k");
    else if (s->m->opt.commit_max_ns > 0)
        stream_propose(s, msg);
    else
        stream_store(s, msg);
}

/* --- what checkers read ----------------------------------------------------------------------------------- */

bool model_stream_find(const model *m, const char *stream, model_stream_view *out)
{
    const model_stream *s = stream_find(m, str_of(stream));
    if (s != NULL)
        *out = (model_stream_view){ s->nmsgs, s->octets, s->first_seq, s->last_seq, s->created };
    return s != NULL;
}

bool model_msg_find(const model *m, const char *stream, uint64_t seq, model_msg_view *out)
{
    const model_stream *s = stream_find(m, str_of(stream));
    const stored_msg *msg = s != NULL ? stream_msg(s, seq) : NULL;
    if (msg != NULL)
        *out = (model_msg_view){ msg->seq, MODEL_EPOCH_NS + msg->time, str_of(msg->subject), msg->header, msg->data };
    return msg != NULL;
}
