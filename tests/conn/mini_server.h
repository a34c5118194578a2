/* SPDX-License-Identifier: Apache-2.0 */
/* A server of a few lines for conversations whose course a test cannot know beforehand (allocations fail, connections are
 * cut): what a session writes goes in, what a server answers comes out. It routes publishes, and has one stream (subjects
 * js.*) with one pull consumer, which takes atomic batches and fast ingest, too. The real thing in small, not an oracle: that is tests/sim/model.h. */
#ifndef NBJ_TEST_CONN_MINI_SERVER_H
#define NBJ_TEST_CONN_MINI_SERVER_H

#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

#define MINI_SUBS 32u
#define MINI_STORED 256u
#define MINI_CONFIG "{\"name\":\"S\",\"subjects\":[\"js.>\"]}"

typedef struct mini_sub {
    char subject[128];
    unsigned long long sid, max, seen;
    bool live;
} mini_sub;

typedef struct mini_stored {
    char id[40], payload[64];
    bool acked, pending;
} mini_stored;

typedef struct mini_server mini_server;
struct mini_server {
    const char *info;   /* sent first; NULL: a plain one */
    char connect[1024]; /* the last CONNECT, without what does not fit */
    mini_sub sub[MINI_SUBS];
    char in[65536];
    size_t in_len;
    char out[262144];
    size_t out_len;
    mini_stored stored[MINI_STORED]; /* survive connections */
    size_t stored_count;
    unsigned long long staged; /* messages of the atomic batch; there is one at a time */
    bool has_stream;           /* somebody created it; it takes messages all the same */
    char pull_inbox[128];      /* where deliveries go; empty: no pull waits */
    unsigned long long pull_left, consumer_seq;
    /* A test's own answers to requests of JetStream's API. False: not to this one. NULL: none. */
    bool (*on_api)(mini_server *m, const char *subject, const char *reply, const char *payload);
};

static inline void mini_put(mini_server *m, const char *format, ...) NBJ_PRINTF(2, 3);
static inline void mini_put(mini_server *m, const char *format, ...)
{
    va_list args;

    va_start(args, format);
    m->out_len += (size_t)vsnprintf(m->out + m->out_len, sizeof m->out - m->out_len, format, args);
    va_end(args);
    assert_true(m->out_len < sizeof m->out);
}

/* A new connection. What was delivered and not acknowledged will come again. */
static inline void mini_accept(mini_server *m)
{
    memset(m->sub, 0, sizeof m->sub);
    m->in_len = m->out_len = 0;
    m->pull_inbox[0] = '\0';
    m->pull_left = m->staged = 0;
    for (size_t i = 0; i < m->stored_count; i++)
        m->stored[i].pending = false;
    mini_put(m, "%s", m->info != NULL ? m->info : "INFO {\"headers\":true,\"max_payload\":1000}\r\n");
}

/* Whether |filter|, whose last token may be a wildcard, covers |subject|. */
static inline bool mini_matches(const char *filter, const char *subject)
{
    size_t n = strlen(filter);

    if (n > 1 && filter[n - 1] == '>')
        return strncmp(filter, subject, n - 1) == 0;
    if (n > 1 && filter[n - 1] == '*')
        return strncmp(filter, subject, n - 1) == 0 && strchr(subject + n - 1, '.') == NULL;
    return strcmp(filter, subject) == 0;
}

/* Sends to everybody who listens on |to|, with |subject| on the line. Returns how many. */
static inline unsigned mini_send(mini_server *m, const char *to, const char *subject, const char *reply,
                                 const char *headers, const char *payload)
{
    unsigned heard = 0;

    for (size_t i = 0; i < MINI_SUBS; i++) {
        mini_sub *s = &m->sub[i];
        if (!s->live || !mini_matches(s->subject, to))
            continue;
        size_t h = strlen(headers);
        if (h > 0)
            mini_put(m, "HMSG %s %llu %s %zu %zu\r\n%s%s\r\n", subject, s->sid, reply, h, h + strlen(payload), headers,
                     payload);
        else
            mini_put(m, "MSG %s %llu %s %zu\r\n%s\r\n", subject, s->sid, reply, strlen(payload), payload);
        s->live = ++s->seen != s->max;
        heard++;
    }
    return heard;
}

static inline void mini_answer(mini_server *m, const char *reply, const char *payload)
{
    if (*reply != '\0')
        mini_send(m, reply, reply, "", "", payload);
}

/* --- the stream --- */

static inline void mini_deliver(mini_server *m)
{
    char ack[160];

    for (size_t i = 0; i < m->stored_count && m->pull_left > 0; i++) {
        mini_stored *s = &m->stored[i];
        if (s->acked || s->pending)
            continue;
        snprintf(ack, sizeof ack, "$JS.ACK.S.C.1.%zu.%llu.1700000000000000000.0", i + 1, ++m->consumer_seq);
        s->pending = mini_send(m, m->pull_inbox, "js.x", ack, "", s->payload) > 0;
        m->pull_left--;
    }
}

static inline void mini_store(mini_server *m, const char *reply, const char *headers, const char *payload)
{
    char answer[96];
    const char *id = strstr(headers, "Nats-Msg-Id: ");
    mini_stored new_one = { .id = "" };

    if (id != NULL)
        sscanf(id, "Nats-Msg-Id: %39s", new_one.id);
    snprintf(new_one.payload, sizeof new_one.payload, "%.63s", payload);
    size_t at = 0;
    while (at < m->stored_count && (id == NULL || strcmp(m->stored[at].id, new_one.id) != 0))
        at++;
    bool is_new = at == m->stored_count;
    if (is_new) {
        assert_true(at < MINI_STORED);
        m->stored[m->stored_count++] = new_one;
    }
    snprintf(answer, sizeof answer, "{\"stream\":\"S\", \"seq\":%zu%s}", at + 1, is_new ? "" : ",\"duplicate\": true");
    mini_answer(m, reply, answer);
    mini_deliver(m);
}

/* A member of an atomic batch. */
static inline void mini_stage(mini_server *m, const char *reply, const char *headers, const char *payload)
{
    char id[65] = "", answer[200];
    unsigned long long sequence = 0;

    sscanf(strstr(headers, "Nats-Batch-Id: "), "Nats-Batch-Id: %64s", id);
    sscanf(strstr(headers, "Nats-Batch-Sequence: "), "Nats-Batch-Sequence: %llu", &sequence);
    m->staged = sequence == 1 ? 1 : m->staged + 1;
    assert_true(m->staged == sequence);
    if (strstr(headers, "Nats-Batch-Commit: 1\r\n") == NULL) {
        mini_answer(m, reply, "");
        return;
    }
    for (unsigned long long i = 0; i < m->staged; i++)
        mini_store(m, "", "", payload);
    snprintf(answer, sizeof answer, "{\"stream\":\"S\",\"seq\":%zu,\"batch\":\"%s\",\"count\":%llu}", m->stored_count,
             id, sequence);
    mini_answer(m, reply, answer);
}

/* A message of fast ingest, whose reply is |reply|; every second one is acknowledged. */
static inline void mini_ingest(mini_server *m, const char *reply, const char *headers, const char *payload)
{
    char id[65] = "", answer[200];
    unsigned long long sequence = 0;
    unsigned op = 9;

    assert_int_equal(sscanf(reply, "%*[^.].%*[^.].%64[^.].%*u.%*[a-z].%llu.%u.$FI", id, &sequence, &op), 3);
    if (op == 3) {
        snprintf(answer, sizeof answer, "{\"stream\":\"S\",\"seq\":%zu,\"batch\":\"%s\",\"count\":%llu}",
                 m->stored_count, id, sequence - 1);
        mini_answer(m, reply, answer);
        return;
    }
    if (op < 2)
        mini_store(m, "", headers, payload);
    snprintf(answer, sizeof answer, "{\"type\":\"ack\",\"seq\":%llu,\"msgs\":2}", op == 0 ? 0 : sequence / 2 * 2);
    if (op != 1 || sequence % 2 == 0)
        mini_answer(m, reply, answer);
}

static inline void mini_publish(mini_server *m, const char *subject, const char *reply, const char *headers,
                                const char *payload)
{
    unsigned long long n = 0;

    if (m->on_api != NULL && strncmp(subject, "$JS.API.", 8) == 0 && m->on_api(m, subject, reply, payload))
        return;
    if (strcmp(subject, "$JS.API.STREAM.CREATE.S") == 0) {
        m->has_stream = true;
        mini_answer(m, reply, "{\"config\":" MINI_CONFIG ",\"did_create\":true}");
    } else if (strcmp(subject, "$JS.API.STREAM.INFO.S") == 0 && m->has_stream) {
        mini_answer(m, reply, "{\"config\":" MINI_CONFIG "}");
    } else if (strncmp(subject, "$JS.API.STREAM.INFO.", 20) == 0) {
        mini_answer(m, reply, "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}");
    } else if (strncmp(subject, "$JS.API.STREAM.CREATE.", 22) == 0) {
        mini_answer(m, reply,
                    "{\"error\":{\"code\":400,\"err_code\":10058,\"description\":\"stream name already in use\"}}");
    } else if (strncmp(subject, "$JS.API.CONSUMER.CREATE.", 24) == 0) {
        mini_answer(m, reply, "{\"stream_name\":\"S\",\"name\":\"C\"}");
    } else if (strncmp(subject, "$JS.API.CONSUMER.MSG.NEXT.", 26) == 0) {
        snprintf(m->pull_inbox, sizeof m->pull_inbox, "%s", reply);
        if (sscanf(payload, "{\"batch\":%llu", &n) == 1)
            m->pull_left += n;
        mini_deliver(m);
    } else if (sscanf(subject, "$JS.ACK.S.C.1.%llu.", &n) == 1) {
        assert_true(n >= 1 && n <= m->stored_count);
        m->stored[n - 1].acked = true;
    } else if (strstr(headers, "Nats-Batch-Id: ") != NULL) {
        mini_stage(m, reply, headers, payload);
    } else if (strstr(reply, ".$FI") != NULL) {
        mini_ingest(m, reply, headers, payload);
    } else if (strncmp(subject, "js.", 3) == 0) {
        mini_store(m, reply, headers, payload);
    } else if (mini_send(m, subject, subject, reply, headers, payload) == 0 && *reply != '\0') {
        mini_send(m, reply, reply, "", "NATS/1.0 503\r\n\r\n", "");
    }
}

/* --- the protocol --- */

static inline void mini_subscribe(mini_server *m, const char *line)
{
    char a[128], b[128], c[128];
    int n = sscanf(line, "SUB %127s %127s %127s", a, b, c);

    for (size_t i = 0; i < MINI_SUBS; i++) {
        mini_sub *s = &m->sub[i];
        if (s->live)
            continue;
        *s = (mini_sub){ .live = true, .sid = strtoull(n == 3 ? c : b, NULL, 10) };
        memcpy(s->subject, a, sizeof s->subject);
        return;
    }
    TS_FAIL("too many subscriptions");
}

static inline void mini_unsubscribe(mini_server *m, const char *line)
{
    unsigned long long sid = 0, max = 0;

    sscanf(line, "UNSUB %llu %llu", &sid, &max);
    for (size_t i = 0; i < MINI_SUBS; i++) {
        if (m->sub[i].sid != sid)
            continue;
        m->sub[i].max = max;
        m->sub[i].live = max > m->sub[i].seen;
    }
}

/* A PUB or HPUB whose line is |line| and whose body begins at |body|. Returns the body's length with its line end, or 0
 * when it is not there yet. */
static inline size_t mini_take_publish(mini_server *m, const char *line, const char *body, size_t have)
{
    char word[5][128] = { "" };
    char headers[1024], payload[1024];
    int n = sscanf(line, "%127s %127s %127s %127s %127s", word[0], word[1], word[2], word[3], word[4]);
    bool has_headers = word[0][0] == 'H';
    size_t total = strtoul(word[n - 1], NULL, 10);
    size_t head = has_headers ? strtoul(word[n - 2], NULL, 10) : 0;

    if (have < total + 2)
        return 0;
    snprintf(headers, sizeof headers, "%.*s", (int)head, body);
    snprintf(payload, sizeof payload, "%.*s", (int)(total - head), body + head);
    mini_publish(m, word[1], n == (has_headers ? 5 : 4) ? word[2] : "", headers, payload);
    return total + 2;
}

/* What the session wrote. */
static inline void mini_read(mini_server *m, nbj_bytes octets)
{
    assert_true(m->in_len + octets.len < sizeof m->in);
    memcpy(m->in + m->in_len, octets.ptr, octets.len);
    m->in_len += octets.len;
    m->in[m->in_len] = '\0';
    for (;;) {
        char line[4096];
        const char *end = strstr(m->in, "\r\n");
        if (end == NULL)
            return;
        size_t used = (size_t)(end - m->in) + 2;
        snprintf(line, sizeof line, "%.*s", (int)used - 2, m->in);
        if (strncmp(line, "PUB", 3) == 0 || strncmp(line, "HPUB", 4) == 0) {
            size_t body = mini_take_publish(m, line, m->in + used, m->in_len - used);
            if (body == 0)
                return;
            used += body;
        } else if (strncmp(line, "SUB", 3) == 0) {
            mini_subscribe(m, line);
        } else if (strncmp(line, "UNSUB", 5) == 0) {
            mini_unsubscribe(m, line);
        } else if (strncmp(line, "CONNECT", 7) == 0) {
            snprintf(m->connect, sizeof m->connect, "%.*s", (int)sizeof m->connect - 1, line);
        } else if (strcmp(line, "PING") == 0) {
            mini_put(m, "PONG\r\n");
        }
        m->in_len -= used;
        memmove(m->in, m->in + used, m->in_len + 1);
    }
}

#endif
