/* SPDX-License-Identifier: Apache-2.0 */
/* A client of the library and a mini server on the loopback interface, turned together in one thread. */
#ifndef NBJ_TEST_CLIENT_FIXTURE_H
#define NBJ_TEST_CLIENT_FIXTURE_H

#include "driver/loopback_server.h"
#include "support/alloc_fail.h"
#include "support/check.h"
#include "support/shorthand.h"

#include <nbj/nbj.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

typedef struct served {
    loopback server;
    ts_alloc mem;
    nbj_client *client; /* NULL: released */
    char trail[512]; /* C connected, D disconnected, R reconnected, L lame duck, N new servers, E server error, S slow,
                         * W writable, X closed, A attempt failed */
    nbj_error error; /* the last event's */
    void (*on_event)(struct served *s, const nbj_event *ev);
} served;

static inline void served_on_event(void *user, nbj_client *client, const nbj_event *ev)
{
    served *s = user;
    size_t n = strlen(s->trail);

    assert_ptr_equal(client, s->client);
    assert_true(n + 1 < sizeof s->trail);
    s->trail[n] = " CDRLNESWXA"[ev->type];
    s->error = ev->error != NULL ? *ev->error : (nbj_error){ 0 };
    if (s->on_event != NULL)
        s->on_event(s, ev);
}

/* Opens a client with |options|, for which NBJ_CLIENT_OPTIONS() is enough. */
static inline nbj_status served_try_open(served *s, const nbj_client_options *options)
{
    nbj_client_options o = *options;
    nbj_error error = { 0 };

    o.url = s->server.url;
    o.alloc = &s->mem.allocator;
    o.on_event = served_on_event;
    o.user_data = s;
    o.reconnect_first_ns = NBJ_MILLIS(5);
    o.reconnect_max_ns = NBJ_MILLIS(20);
    nbj_status st = nbj_loop_open(&s->client, &o, &error);
    assert_int_equal(st == NBJ_OK, s->client != NULL);
    assert_int_equal(error.status, st);
    return st;
}

static inline void served_open(served *s, const nbj_client_options *options)
{
    memset(s, 0, sizeof *s);
    ts_alloc_init(&s->mem, TS_NEVER_FAIL, false);
    loopback_open(&s->server);
    assert_int_equal(served_try_open(s, options), NBJ_OK);
}

/* One turn of both sides. */
static inline nbj_status served_turn(served *s)
{
    loopback_turn(&s->server);
    return s->client != NULL ? nbj_loop_turn(s->client, NBJ_MILLIS(2)) : NBJ_E_CLOSED;
}

#define TURN_UNTIL(s, cond)                                      \
    do {                                                         \
        nbj_time until = ts_now() + NBJ_SECONDS(10);             \
        while (!(cond) && ts_now() < until)                      \
            (void)served_turn(s);                                \
        ts_check((cond), (s)->trail, #cond, __FILE__, __LINE__); \
    } while (0)

static inline bool served_ends_with(const served *s, const char *letters)
{
    size_t n = strlen(s->trail), k = strlen(letters);

    return n >= k && strcmp(s->trail + n - k, letters) == 0;
}

static inline void served_connect(served *s, const nbj_client_options *options)
{
    served_open(s, options);
    TURN_UNTIL(s, served_ends_with(s, "C"));
}

/* Everything that both sides have to say is said. */
static inline void served_settle(served *s)
{
    for (int i = 0; i < 6; i++)
        (void)served_turn(s);
}

static inline void served_end(served *s)
{
    nbj_client_release(s->client);
    s->client = NULL;
    loopback_down(&s->server);
    ts_alloc_done(&s->mem);
}

/* What callbacks get: the fixture's own kind of sink. */
typedef struct heard {
    unsigned calls, replies, ends;
    nbj_status status;
    char text[256];
} heard;

static inline void heard_reply(void *user, nbj_status status, const nbj_msg *reply)
{
    heard *h = user;

    h->replies += status == NBJ_MORE;
    h->calls += status != NBJ_MORE;
    h->status = status;
    assert_int_equal(reply != NULL, status == NBJ_MORE || (status == NBJ_OK && h->replies == 0));
    if (reply != NULL)
        snprintf(h->text, sizeof h->text, "%.*s", NBJ_FMT(nbj_msg_data(reply)));
}

static inline void heard_flush(void *user, nbj_status status, uint64_t round_trip_ns)
{
    heard *h = user;

    h->calls++;
    h->status = status;
    assert_true(round_trip_ns < NBJ_SECONDS(60));
}

static inline void heard_done(void *user, nbj_status status, const nbj_error *error)
{
    heard *h = user;

    h->calls++;
    h->status = status;
    assert_int_equal(error != NULL ? error->status : NBJ_OK, status);
    snprintf(h->text, sizeof h->text, "%s", error != NULL ? nbj_error_text(error) : "");
}

static inline void heard_msg(void *user, nbj_sub *sub, const nbj_msg *msg)
{
    heard *h = user;

    (void)sub;
    h->calls++;
    snprintf(h->text, sizeof h->text, "%.*s", NBJ_FMT(nbj_msg_data(msg)));
}

static inline void heard_end(void *user, nbj_sub *sub, nbj_status why)
{
    heard *h = user;

    (void)sub;
    h->ends++;
    h->status = why;
}

typedef struct outcome {
    unsigned calls;
    nbj_outcome what;
    uint64_t sequence;
    nbj_status status;
} outcome;

static inline void heard_outcome(void *user, const nbj_publish_result *r)
{
    outcome *o = user;

    o->calls++;
    o->what = r->outcome;
    o->sequence = r->ack.sequence;
    o->status = r->error.status;
    assert_int_equal(nbj_is_stored(r), r->error.status == NBJ_OK);
}

#endif
