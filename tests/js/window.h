/* SPDX-License-Identifier: Apache-2.0 */
/* A publish window on a session between arrays: outcomes become texts to compare. Shared by the tests of js/publish.h;
 * header only, as each test is one program. */
#ifndef NBJ_TEST_JS_WINDOW_H
#define NBJ_TEST_JS_WINDOW_H

#include "conn/fixture.h"
#include "js/publish.h"

static fixture f;
static nbj__publisher p;
static unsigned results[256]; /* outcomes of each message */
static char outcomes[4096];   /* since the last look: "0 STORED 7 | 1 UNKNOWN E_TIMEOUT" */
static char last_value[256];  /* of a counter */
static size_t message;        /* the next one's number */
static unsigned numbers[256];

static inline void told(void)
{
}

static inline void note(const nbj__publish_result *r)
{
    static const char *const names[] = { "?", "STORED", "DUPLICATE", "REJECTED", "UNKNOWN" };
    unsigned i = *(unsigned *)r->user.data;
    size_t at = strlen(outcomes);
    bool stored = r->outcome == NBJ__STORED || r->outcome == NBJ__DUPLICATE;

    assert_true(r->user.fn == told);
    results[i]++;
    snprintf(last_value, sizeof last_value, "%s", stored ? r->ack.value : "");
    assert_int_equal(results[i], 1); /* one each */
    assert_int_equal(stored, r->error.status == NBJ_OK);
    if (stored)
        snprintf(outcomes + at, sizeof outcomes - at, "%s%u %s %llu", at > 0 ? " | " : "", i, names[r->outcome],
                 (unsigned long long)r->ack.sequence);
    else
        snprintf(outcomes + at, sizeof outcomes - at, "%s%u %s %s", at > 0 ? " | " : "", i, names[r->outcome],
                 fix_status(r->error.status));
}

static inline void on_event(fixture *x, const nbj__event *ev)
{
    nbj__publish_result r;

    switch (ev->type) {
    case NBJ__EV_INBOX:
        if (nbj__publisher_on_reply(&p, ev->token, ev->msg, x->now, &r))
            note(&r);
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        nbj__publisher_on_connected(&p, x->now);
        break;
    case NBJ__EV_DISCONNECTED:
        nbj__publisher_on_disconnected(&p);
        break;
    case NBJ__EV_WRITABLE:
        nbj__publisher_send(&p, x->now);
        break;
    case NBJ__EV_SERVER_ERROR:
        if (ev->status == NBJ_E_PERMISSION_PUBLISH && nbj__publisher_on_refused(&p, ev->subject, &r))
            note(&r);
        break;
    case NBJ__EV_CLOSED:
        while (nbj__publisher_abandon(&p, &r))
            note(&r);
        break;
    default:
        break;
    }
}

/* Timers, as a client runs them. */
static inline void run_timers(void)
{
    nbj__publish_result r;

    while (nbj__publisher_on_time(&p, f.now, &r))
        note(&r);
    fix_pump(&f);
}

static inline void advance(uint64_t ns)
{
    fix_advance(&f, ns);
    run_timers();
}

#define OUTCOMES(want) expect_outcomes(want, __FILE__, __LINE__)
static inline void expect_outcomes(const char *want, const char *file, int line)
{
    static char got[sizeof outcomes];

    run_timers();
    memcpy(got, outcomes, sizeof got);
    outcomes[0] = '\0';
    fix_expect(got, want, "outcomes", file, line);
}

static inline void open_with(const nbj__publish_options *o, const nbj__session_options *so)
{
    nbj__publish_options none = { 0 };

    fix_open(&f, so);
    f.on_event = on_event;
    assert_int_equal(nbj__publisher_init(&p, f.s, o != NULL ? o : &none, NULL), NBJ_OK);
    memset(results, 0, sizeof results);
    outcomes[0] = '\0';
    message = 0;
}

static inline void begin_with(const nbj__publish_options *o, const nbj__session_options *so)
{
    open_with(o, so);
    fix_shake(&f, FIX_INFO);
    fix_advance(&f, NBJ_SECONDS(10)); /* past the time after connecting in which everything is forgiven */
    fix_write(&f, SIZE_MAX);
    f.raw_len = 0;
}

static inline void begin(void)
{
    begin_with(NULL, NULL);
}

/* Every message that was taken has had its outcome. */
static inline void end(void)
{
    nbj__session_close(f.s, NBJ_OK, NULL);
    fix_pump(&f);
    f.on_event = NULL;
    assert_true(nbj__publisher_is_idle(&p));
    assert_int_equal(nbj__publisher_unfinished(&p), 0);
    assert_int_equal(nbj__buf_len(&p.frames), 0);
    for (size_t i = 0; i < message; i++)
        assert_int_equal(results[i], 1);
    nbj__publisher_free(&p);
    nbj__publisher_free(&p);
    fix_close(&f);
}

/* |m| with the next number, a deadline far away and a payload. */
static inline nbj_status publish_as(nbj__publish m, const char *payload)
{
    m.msg = fix_out("js.a", payload);
    m.deadline = f.now + NBJ_SECONDS(30);
    m.user = (nbj__publish_user){ told, &numbers[message] };
    numbers[message] = (unsigned)message;
    nbj_status st = nbj__publisher_publish(&p, &m, f.now);
    message += st == NBJ_OK;
    return st;
}

static inline nbj_status publish_for(const char *payload, const char *id, bool no_id, uint64_t timeout_ns)
{
    nbj__publish m = { .msg = fix_out("js.a", payload),
                       .msg_id = nbj_str(id),
                       .no_id = no_id,
                       .deadline = f.now + timeout_ns,
                       .user = { told, &numbers[message] } };
    numbers[message] = (unsigned)message;
    nbj_status st = nbj__publisher_publish(&p, &m, f.now);
    message += st == NBJ_OK;
    return st;
}

static inline nbj_status publish(const char *payload)
{
    return publish_for(payload, NULL, true, NBJ_SECONDS(30));
}

static inline nbj_status publish_id(const char *payload)
{
    return publish_for(payload, "id", false, NBJ_SECONDS(30));
}

/* The reply subject of ring place |slot| in its |generation|. */
static inline const char *reply_to(unsigned slot, unsigned generation)
{
    static char text[300];
    char token[9];
    nbj_bytes inbox;

    assert_int_equal(nbj__session_inbox(f.s, &inbox), NBJ_OK);
    nbj__token_write(token, (uint64_t)generation << 20 | slot, 8);
    snprintf(text, sizeof text, "%.*sP%.8s", NBJ_FMT(inbox), token);
    return text;
}

static inline void ack(unsigned slot, unsigned generation, unsigned seq, bool duplicate)
{
    char text[100];

    snprintf(text, sizeof text, "{\"stream\":\"S\", \"seq\":%u%s}", seq, duplicate ? ",\"duplicate\": true" : "");
    fix_msg(&f, 1, reply_to(slot, generation), "", text);
}

static inline void refuse(unsigned slot, unsigned generation)
{
    fix_hmsg(&f, 1, reply_to(slot, generation), "503", "");
}

static inline void fail_with(unsigned slot, int code, int err_code)
{
    char text[200];

    snprintf(text, sizeof text,
             "{\"error\":{\"code\":%d,\"err_code\":%d,\"description\":\"no\"},\"stream\":\"S\",\"seq\":0}", code,
             err_code);
    fix_msg(&f, 1, reply_to(slot, 0), "", text);
}

static inline void lose(void)
{
    fix_write(&f, SIZE_MAX);
    fix_lose(&f, NBJ_E_EOF);
    run_timers();
}

static inline void come_back(void)
{
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_write(&f, SIZE_MAX);
    f.raw_len = 0;
    fix_feed(&f, "PONG\r\n");
    f.events[0] = '\0';
}

/* What a resend of a message with the id "id" begins with. */
#define HEAD(token) "HPUB js.a _INBOX.~." token " 29 30\r\nNATS/1.0\r\nNats-Msg-Id: id\r\n\r\n"

#endif
