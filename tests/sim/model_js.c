/* SPDX-License-Identifier: Apache-2.0 */
/* JetStream's front door: which published messages it takes (API requests, acks, subjects of streams), troubles on
 * demand, time, and what a killed server leaves behind. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "model_int.h"

#define API "$JS.API."

void js_answer(model *m, str reply, str header, str body, bool from_stream)
{
    routed out = { .to = reply, .subject = reply, .header = header, .data = body, .from_stream = from_stream };
    if (reply.len > 0 && m->trouble != MODEL_JS_MUTE)
        route(m, &out);
}

/* MSG.NEXT to a consumer that is not there has no responder from 2.10 on. */
static bool take_pull(model *m, str names, const routed *msg)
{
    str stream = str_cut(&names, '.');
    const model_stream *s = stream_find(m, stream);
    consumer *k = s != NULL ? consumer_find(s, names) : NULL;
    if (k == NULL)
        return m->opt.minor < 10;
    consumer_pull(k, msg->reply, msg->data);
    return true;
}

static bool take_api(model *m, const routed *msg)
{
    static const char next[] = "CONSUMER.MSG.NEXT.";
    str subject = str_skip(msg->subject, sizeof API - 1);
    if (str_starts(subject, next))
        return take_pull(m, str_skip(subject, sizeof next - 1), msg);
    if (m->trouble == MODEL_JS_OVERLOADED)
        return true;
    if (api_call(m, subject, msg->reply, msg->data))
        return true;
    model_blame(m, "API subject unknown to the model: %.*s", (int)msg->subject.len, msg->subject.ptr);
    return true; /* the real server has interest in all of $JS.API and stays silent */
}

/* $JS.ACK.<stream>.<consumer>.<deliveries>.<sseq>.<dseq>.<time>.<pending>, or with two tokens before and one after. */
static bool take_ack(model *m, const routed *msg)
{
    str rest = str_skip(msg->subject, sizeof "$JS.ACK." - 1), token[12];
    size_t n = 0;
    while (rest.len > 0 && n < 12)
        token[n++] = str_cut(&rest, '.');
    if (n != m->opt.ack_tokens - 2) {
        model_blame(m, "ack subject with %zu tokens", n + 2);
        return false;
    }
    const str *t = n > 7 ? token + 2 : token;
    const model_stream *s = stream_find(m, t[0]);
    consumer *k = s != NULL ? consumer_find(s, t[1]) : NULL;
    uint64_t sseq, time;
    if (k == NULL)
        return false;
    if (!str_u64(t[3], UINT64_MAX, &sseq) || !str_u64(t[5], UINT64_MAX, &time)) {
        model_blame(m, "ack subject is not a delivery's: %.*s", (int)msg->subject.len, msg->subject.ptr);
        return true;
    }
    const stored_msg *stored = stream_msg(s, sseq);
    if (stored != NULL && s->created <= time && MODEL_EPOCH_NS + stored->time != time)
        model_blame(m, "ack subject was made up: %.*s", (int)msg->subject.len, msg->subject.ptr);
    consumer_ack(k, sseq, msg->reply, msg->data);
    return true;
}

static void answer_too_many(model *m, const routed *msg)
{
    stream_answer(m, msg->reply, str_of("NATS/1.0 429 Too Many Requests\r\n\r\n"),
                  str_of("{\"error\":{\"code\":429,\"err_code\":10167,\"description\":\"too many requests\"}}"), true);
}

bool js_take(model *m, const routed *msg)
{
    bool is_api = str_starts(msg->subject, API), is_ack = str_starts(msg->subject, "$JS.ACK.");
    if (m->opt.no_jetstream || (!m->server[0].up && !is_api))
        return false;
    if (!m->server[0].up || m->server[0].hung || m->trouble == MODEL_JS_DEAF)
        return is_api || is_ack || stream_for(m, msg->subject) != NULL;
    if (is_api)
        return take_api(m, msg);
    if (is_ack)
        return take_ack(m, msg);
    model_stream *s = stream_for(m, msg->subject);
    if (s == NULL || m->trouble == MODEL_JS_NO_QUORUM)
        return false;
    if (m->trouble == MODEL_JS_OVERLOADED)
        answer_too_many(m, msg);
    else
        stream_publish(s, msg);
    return true;
}

/* --- time and life ---------------------------------------------------------------------------------------- */

void js_tick(model *m)
{
    answers_tick(m);
    if (m->trouble == MODEL_JS_DEAF)
        return;
    for (size_t i = 0; i < m->nstreams; i++) {
        model_stream *s = m->streams[i];
        if (stream_deadline(s) <= m->now) {
            stream_commit(s);
            stream_trim(s);
        }
        for (size_t k = 0; k < s->nconsumers; k++)
            if (consumer_deadline(s->consumers[k]) <= m->now)
                consumer_tick(s->consumers[k]);
    }
}

uint64_t js_deadline(const model *m)
{
    uint64_t due = answers_deadline(m);
    for (size_t i = 0; i < m->nstreams && m->trouble != MODEL_JS_DEAF; i++) {
        const model_stream *s = m->streams[i];
        uint64_t at = stream_deadline(s);
        due = at < due ? at : due;
        for (size_t k = 0; k < s->nconsumers; k++) {
            at = consumer_deadline(s->consumers[k]);
            due = at < due ? at : due;
        }
    }
    return due;
}

/* Memory streams die with their configuration and consumers; waiting requests die with the server. */
void js_after_kill(model *m)
{
    size_t kept = 0;
    for (size_t i = 0; i < m->nstreams; i++) {
        model_stream *s = m->streams[i];
        for (size_t k = 0; k < s->nconsumers; k++)
            pull_free_all(s->consumers[k]);
        if (s->cfg.v[S_STORAGE].num == STORE_MEMORY)
            stream_free(s);
        else
            m->streams[kept++] = s;
    }
    m->nstreams = kept;
}

void js_after_restart(model *m)
{
    for (size_t i = 0; i < m->nstreams; i++)
        stream_after_restart(m->streams[i]);
}
