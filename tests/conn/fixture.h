/* SPDX-License-Identifier: Apache-2.0 */
/* A session between arrays: the test plays the driver and the server. Events and octets sent become texts to compare, the
 * clock is a number, memory is counted. Shared by the tests of conn/ and js/; header only, as each test is one program. */
#ifndef NBJ_TEST_CONN_FIXTURE_H
#define NBJ_TEST_CONN_FIXTURE_H

#include "base/text.h"
#include "conn/session.h"
#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdio.h>
#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define FIX_START NBJ_SECONDS(1000)
#define FIX_THINGS 64u

/* Like that of a server; tests that need other fields write their own. */
#define FIX_INFO                                                                                               \
    "INFO {\"server_id\":\"S1\",\"server_name\":\"one\",\"version\":\"2.10.27\",\"proto\":1,\"headers\":true," \
    "\"max_payload\":1048576,\"client_id\":7,\"jetstream\":true}\r\n"

typedef struct fixture {
    ts_alloc mem;
    nbj__session *s;
    nbj_time now;
    size_t piece; /* most octets for one rx_space; 0: what fits */
    bool is_open; /* the driver has a socket, or is connecting */
    bool saw_closed;
    char events[65536]; /* since the last look */
    char raw[262144];   /* octets sent since the last look */
    size_t raw_len;
    char shown[262144]; /* the same with inbox names shortened */
    char inbox[256];    /* the last reply subject sent */
    nbj__sub sub[FIX_THINGS];
    nbj__call call[FIX_THINGS];
    unsigned done[FIX_THINGS];                                 /* outcomes of each call */
    void (*on_event)(struct fixture *f, const nbj__event *ev); /* NULL: none; may call anything of the session */
    void *user;
} fixture;

/* "E_TIMEOUT" for NBJ_E_TIMEOUT. */
static inline const char *fix_status(nbj_status st)
{
    switch (st) {
#define FIX_CASE(name, value, text) \
    case name:                      \
        return &#name[4];
        NBJ_STATUS_MAP(FIX_CASE)
#undef FIX_CASE
    }
    return "?";
}

/* --- events --- */

static inline void fix_log(fixture *f, const char *format, ...) NBJ_PRINTF(2, 3);
static inline void fix_log(fixture *f, const char *format, ...)
{
    size_t at = strlen(f->events);
    va_list args;

    if (at > 0)
        at += (size_t)snprintf(f->events + at, sizeof f->events - at, " | ");
    va_start(args, format);
    at += (size_t)vsnprintf(f->events + at, sizeof f->events - at, format, args);
    va_end(args);
    assert_true(at < sizeof f->events);
}

static inline size_t fix_call_index(const fixture *f, const nbj__call *call)
{
    return call >= f->call && call < f->call + FIX_THINGS ? (size_t)(call - f->call) : FIX_THINGS;
}

/* "subject reply 'payload'" */
static inline const char *fix_show_msg(const nbj_msg *m)
{
    static char text[4096];
    nbj_bytes reply = nbj_msg_reply(m);
    nbj_bytes data = nbj_msg_data(m);

    snprintf(text, sizeof text, "%.*s%s%.*s '%.*s'", NBJ_FMT(nbj_msg_subject(m)), reply.len > 0 ? " " : "",
             NBJ_FMT(reply), (int)(data.len < 100 ? data.len : 100), data.len > 0 ? (const char *)data.ptr : "");
    return text;
}

static inline void fix_note_call(fixture *f, const nbj__event *ev)
{
    size_t i = fix_call_index(f, ev->call);

    if (ev->type == NBJ__EV_REPLY) {
        fix_log(f, "REPLY %zu '%.*s'", i, NBJ_FMT(nbj_msg_data(ev->msg)));
        return;
    }
    if (i < FIX_THINGS)
        f->done[i]++;
    assert_true(ev->call->done);
    assert_int_equal(ev->status, ev->call->status);
    assert_int_equal(ev->error != NULL ? ev->error->status : NBJ_OK, ev->status);
    if (ev->msg != NULL)
        fix_log(f, "DONE %zu %s '%.*s'", i, fix_status(ev->status), NBJ_FMT(nbj_msg_data(ev->msg)));
    else
        fix_log(f, "DONE %zu %s", i, fix_status(ev->status));
}

static inline void fix_note(fixture *f, const nbj__event *ev)
{
    assert_false(f->saw_closed); /* it is the last */
    switch (ev->type) {
    case NBJ__EV_DIAL:
        assert_false(f->is_open);
        f->is_open = true;
        fix_log(f, "DIAL %s:%u", ev->host, ev->port);
        return;
    case NBJ__EV_HANGUP:
        assert_true(f->is_open);
        f->is_open = false;
        fix_log(f, "HANGUP");
        return;
    case NBJ__EV_START_TLS:
        fix_log(f, "START_TLS %s:%u", ev->host, ev->port);
        return;
    case NBJ__EV_CREDENTIALS:
        fix_log(f, "CREDENTIALS %s:%u %.*s", ev->host, ev->port, NBJ_FMT(ev->nonce));
        return;
    case NBJ__EV_CONNECTED:
        fix_log(f, "CONNECTED");
        return;
    case NBJ__EV_DISCONNECTED:
        fix_log(f, "DISCONNECTED %s", fix_status(ev->status));
        return;
    case NBJ__EV_RECONNECTED:
        fix_log(f, "RECONNECTED");
        return;
    case NBJ__EV_LAME_DUCK:
        fix_log(f, "LAME_DUCK");
        return;
    case NBJ__EV_SERVER_ERROR:
        fix_log(f, "SERVER_ERROR %s", fix_status(ev->status));
        return;
    case NBJ__EV_DISCOVERED:
        fix_log(f, "DISCOVERED");
        return;
    case NBJ__EV_WRITABLE:
        fix_log(f, "WRITABLE");
        return;
    case NBJ__EV_MSG:
        fix_log(f, "MSG %llu %s", (unsigned long long)ev->sub->sid, fix_show_msg(ev->msg));
        return;
    case NBJ__EV_QUEUED:
        fix_log(f, "QUEUED %llu", (unsigned long long)ev->sub->sid);
        return;
    case NBJ__EV_SLOW:
        fix_log(f, "SLOW %llu", (unsigned long long)ev->sub->sid);
        return;
    case NBJ__EV_SUB_ENDED:
        fix_log(f, "ENDED %llu %s", (unsigned long long)ev->sub->sid, fix_status(ev->status));
        return;
    case NBJ__EV_INBOX:
        fix_log(f, "INBOX %.*s", NBJ_FMT(ev->token));
        return;
    case NBJ__EV_REPLY:
    case NBJ__EV_CALL_DONE:
        fix_note_call(f, ev);
        return;
    case NBJ__EV_CLOSED:
        f->saw_closed = true;
        fix_log(f, "CLOSED %s", fix_status(ev->status));
        return;
    }
}

static inline void fix_pump(fixture *f)
{
    nbj__event ev;

    while (nbj__session_next(f->s, f->now, &ev) == NBJ_OK) {
        fix_note(f, &ev);
        if (f->on_event != NULL)
            f->on_event(f, &ev);
    }
    assert_true(nbj__session_deadline(f->s) > 0); /* nothing is left to do now */
}

/* What happened since the last look. */
static inline const char *fix_events(fixture *f)
{
    static char text[sizeof f->events];

    fix_pump(f);
    memcpy(text, f->events, sizeof text);
    f->events[0] = '\0';
    return text;
}

#define EVENTS(f, want) fix_expect(fix_events(f), want, "events", __FILE__, __LINE__)
#define SENT(f, want) fix_expect(fix_sent(f), want, "octets sent", __FILE__, __LINE__)

static inline void fix_expect(const char *got, const char *want, const char *what, const char *file, int line)
{
    if (strcmp(got, want) == 0)
        return;
    ts_fail(file, line, "%s\n  got  \"%s\"\n  want \"%s\"", what, ts_show(got, strlen(got)),
            ts_show(want, strlen(want)));
}

/* --- octets --- */

static inline void fix_feed_bytes(fixture *f, const void *data, size_t len)
{
    const uint8_t *from = data;
    uint8_t *at = NULL;
    size_t room = 0;

    while (len > 0 && nbj__session_rx_space(f->s, &at, &room) == NBJ_OK) {
        size_t n = f->piece > 0 && f->piece < room ? f->piece : room;
        n = n < len ? n : len;
        memcpy(at, from, n);
        nbj__session_rx_commit(f->s, n);
        fix_pump(f);
        from += n;
        len -= n;
    }
}

static inline void fix_feed(fixture *f, const char *text)
{
    fix_feed_bytes(f, text, strlen(text));
}

static inline void fix_feedf(fixture *f, const char *format, ...) NBJ_PRINTF(2, 3);
static inline void fix_feedf(fixture *f, const char *format, ...)
{
    char text[8192];
    va_list args;

    va_start(args, format);
    int n = vsnprintf(text, sizeof text, format, args);
    va_end(args);
    assert_true(n >= 0 && (size_t)n < sizeof text);
    fix_feed_bytes(f, text, (size_t)n);
}

static inline void fix_msg(fixture *f, uint64_t sid, const char *subject, const char *reply, const char *payload)
{
    fix_feedf(f, "MSG %s %llu %s%s%zu\r\n%s\r\n", subject, (unsigned long long)sid, reply, *reply != '\0' ? " " : "",
              strlen(payload), payload);
}

/* A status without payload, as a server sends it. |more|: header lines with their line ends. */
static inline void fix_hmsg(fixture *f, uint64_t sid, const char *subject, const char *status, const char *more)
{
    size_t n = strlen("NATS/1.0 \r\n\r\n") + strlen(status) + strlen(more);

    fix_feedf(f, "HMSG %s %llu %zu %zu\r\nNATS/1.0 %s\r\n%s\r\n\r\n", subject, (unsigned long long)sid, n, n, status,
              more);
}

/* Lets the socket take at most |most| octets. Returns how many it took. */
static inline size_t fix_write(fixture *f, size_t most)
{
    size_t written = 0;

    for (;;) {
        nbj_bytes tx = nbj__session_tx(f->s);
        size_t n = tx.len < most - written ? tx.len : most - written;
        if (n == 0)
            return written;
        assert_true(f->raw_len + n < sizeof f->raw);
        memcpy(f->raw + f->raw_len, tx.ptr, n);
        f->raw_len += n;
        written += n;
        nbj__session_sent(f->s, n, f->now);
    }
}

/* Replaces the random part of each "_INBOX.<22 characters>" by "~", and remembers the last reply subject. */
static inline void fix_shorten(fixture *f)
{
    static const char start[] = "_INBOX.";
    const char *at = f->raw;
    char *to = f->shown;

    f->raw[f->raw_len] = '\0';
    while (*at != '\0') {
        if (strncmp(at, start, 7) == 0 && strlen(at) > 7 + NBJ__INBOX_NAME) {
            size_t n = strcspn(at, " \r");
            snprintf(f->inbox, sizeof f->inbox, "%.*s", (int)n, at);
            memcpy(to, "_INBOX.~", 8);
            to += 8;
            at += 7 + NBJ__INBOX_NAME;
        } else {
            *to++ = *at++;
        }
    }
    *to = '\0';
}

/* Everything that waits to be written is taken; what was taken since the last look. */
static inline const char *fix_sent(fixture *f)
{
    fix_write(f, SIZE_MAX);
    fix_shorten(f);
    f->raw_len = 0;
    return f->shown;
}

/* --- time and life --- */

static inline void fix_at(fixture *f, nbj_time now)
{
    assert_true(now >= f->now);
    f->now = now;
    nbj__session_on_time(f->s, now);
    fix_pump(f);
}

static inline void fix_advance(fixture *f, uint64_t ns)
{
    fix_at(f, f->now + ns);
}

static inline void fix_dialed(fixture *f)
{
    nbj__session_dialed(f->s, f->now);
    fix_pump(f);
}

/* The driver's socket ended. */
static inline void fix_lose(fixture *f, nbj_status status)
{
    assert_true(f->is_open);
    f->is_open = false;
    nbj__session_lost(f->s, status, NULL, f->now);
    fix_pump(f);
}

/* The fixture without a session. */
static inline void fix_init(fixture *f)
{
    memset(f, 0, sizeof *f);
    ts_alloc_init(&f->mem, TS_NEVER_FAIL, false);
    f->now = FIX_START;
}

static inline nbj_status fix_try_open(fixture *f, const nbj__session_options *options)
{
    nbj__session_options o = options != NULL ? *options : (nbj__session_options){ 0 };
    nbj_error error = { 0 };

    o.alloc = &f->mem.allocator;
    o.seed = o.seed != 0 ? o.seed : 42;
    nbj_status st = nbj__session_new(&f->s, &o, f->now, &error);
    assert_int_equal(st == NBJ_OK, f->s != NULL);
    assert_true(st == NBJ_OK || (error.status == st && error.text[0] != '\0'));
    return st;
}

/* A session that wants to dial. */
static inline void fix_open(fixture *f, const nbj__session_options *options)
{
    fix_init(f);
    assert_int_equal(fix_try_open(f, options), NBJ_OK);
}

/* From DIAL to READY; neither events nor octets are left. */
static inline void fix_shake(fixture *f, const char *info)
{
    fix_pump(f);
    assert_true(f->is_open);
    fix_dialed(f);
    fix_feed(f, info);
    fix_write(f, SIZE_MAX);
    fix_feed(f, "PONG\r\n");
    assert_int_equal(nbj__session_phase(f->s), NBJ__PHASE_READY);
    f->events[0] = '\0';
    f->raw_len = 0;
}

/* A connected session. */
static inline void fix_connect(fixture *f, const nbj__session_options *options)
{
    fix_open(f, options);
    fix_shake(f, FIX_INFO);
}

/* Ends everything; fails when a call has not exactly the outcomes it should, or memory is left. */
static inline void fix_close(fixture *f)
{
    if (f->s != NULL && !f->saw_closed) {
        nbj__session_close(f->s, NBJ_OK, NULL);
        fix_pump(f);
        assert_true(f->saw_closed);
    }
    for (size_t i = 0; i < FIX_THINGS; i++) {
        assert_true(f->done[i] <= 1);
        nbj__session_sub_clear(f->s, &f->sub[i]);
    }
    nbj__session_free(f->s);
    f->s = NULL;
    ts_alloc_done(&f->mem);
}

/* --- the application --- */

static inline nbj__outgoing fix_out(const char *subject, const char *payload)
{
    return (nbj__outgoing){ .subject = nbj_str(subject), .payload = nbj_str(payload) };
}

static inline nbj_status fix_publish(fixture *f, const char *subject, const char *payload)
{
    nbj__outgoing m = fix_out(subject, payload);

    return nbj__session_publish(f->s, &m);
}

static inline nbj_status fix_subscribe(fixture *f, size_t i, const char *subject, uint64_t max)
{
    nbj__subscription what = { .kind = NBJ__SUB_OF_APP, .subject = nbj_str(subject), .max = max };

    return nbj__session_subscribe(f->s, &f->sub[i], &what);
}

static inline nbj_status fix_request(fixture *f, size_t i, const char *subject, uint64_t timeout_ns)
{
    nbj__outgoing m = fix_out(subject, "?");

    f->call[i].owner = NBJ__CALL_OF_APP;
    return nbj__session_request(f->s, &f->call[i], &m, f->now + timeout_ns, f->now);
}

static inline nbj_status fix_flush(fixture *f, size_t i, uint64_t timeout_ns)
{
    f->call[i].owner = NBJ__CALL_OF_APP;
    return nbj__session_flush(f->s, &f->call[i], f->now + timeout_ns, f->now);
}

static inline nbj__session_options fix_urls(const char *list)
{
    return (nbj__session_options){ .urls = nbj_str(list), .no_randomize = true };
}

/* A session on |list| whose first DIAL has been taken. */
static inline void fix_open_urls(fixture *f, const char *list)
{
    nbj__session_options o = fix_urls(list);

    fix_open(f, &o);
    fix_pump(f);
    f->events[0] = '\0';
}

/* Lets time pass until the next DIAL. Returns how long it took. */
static inline uint64_t fix_wait_for_dial(fixture *f)
{
    nbj_time begin = f->now;

    assert_int_equal(nbj__session_phase(f->s), NBJ__PHASE_WAITING);
    nbj_time due = nbj__session_deadline(f->s);
    fix_at(f, due - 1);
    EVENTS(f, "");
    fix_at(f, due);
    assert_int_equal(nbj__session_phase(f->s), NBJ__PHASE_DIALING);
    return f->now - begin;
}

#endif
