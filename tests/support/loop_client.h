/* SPDX-License-Identifier: Apache-2.0 */
/* Clients of the library for tests: all that are open are turned together by one poll() loop, and what their callbacks
 * get is written down, to be asked about afterwards. Every wait is bounded and fails the test with what had happened. */
#ifndef NBJ_TEST_LOOP_CLIENT_H
#define NBJ_TEST_LOOP_CLIENT_H

#include <nbj/nbj.h>

#include "check.h"
#include "raw.h"
#include "shorthand.h"

#define TS_WAIT_MS 10000 /* long enough for anything that should happen soon, on a busy machine too */
#define TS_TURN_MS 5     /* of one turn within a wait */
#define TS_TRAIL_MAX 2048
#define TS_EVENT_TYPES (NBJ_EVENT_ATTEMPT_FAILED + 1)

typedef struct ts_client ts_client;
struct ts_client {
    nbj_client *client;
    char trail[TS_TRAIL_MAX];        /* a letter for each event so far, see ts_letter() */
    size_t events, seen;             /* letters in all, and of those that ts_await() has passed */
    nbj_error error[TS_EVENT_TYPES]; /* the last one of each type */
    bool closed;                     /* nbj_loop_process() has said so */
    void (*on_event)(ts_client *c, const nbj_event *event); /* a test's own; NULL: none */
    void *user;
    ts_client *next;
};

/* C connected, D disconnected, R reconnected, L lame duck, N new servers discovered, E server error, S slow, W writable,
 * X closed, A attempt failed. */
char ts_letter(nbj_event_type type);

/* Opens a client; its on_event and user_data are ours. Fails the test when that is refused. */
ts_client *ts_client_open(const nbj_client_options *options);
ts_client *ts_client_connect(const nbj_client_options *options); /* and waits for CONNECTED */
ts_client *ts_client_at(const char *url);                        /* connected there, with short back-off */
void ts_client_free(ts_client *c);                               /* releases the client; NULL is allowed */
void ts_clients_free(void);                                      /* all there are: for a test's teardown */

/* One turn of all clients, waiting for |ms| at most. False: there was nothing to do in that time. */
bool ts_turn(int ms);
void ts_turn_for(int ms); /* for what must not happen, where nothing else can be waited for */

/* Turns all clients until |cond|, which may also be something that others do; fails the test after |ms| milliseconds. */
#define TURN_UNTIL(cond, ms)                                \
    do {                                                    \
        nbj_time ts_until = ts_now() + NBJ_MILLIS(ms);      \
        bool ts_holds;                                      \
        while (!(ts_holds = (cond)) && ts_now() < ts_until) \
            (void)ts_turn(TS_TURN_MS);                      \
        if (!ts_holds)                                      \
            ts_turned_in_vain(#cond, __FILE__, __LINE__);   \
    } while (0)
_Noreturn void ts_turned_in_vain(const char *cond, const char *file, int line);

/* Turns until the next event of that type, and passes it and those before it. Returns its error. */
const nbj_error *ts_await(ts_client *c, nbj_event_type type);

/* Opens a client that cannot connect and waits for its CLOSED; the client is freed. */
nbj_error ts_refusal(const nbj_client_options *options);

/* The server has read all that was sent; all that it had sent before has come. */
void ts_flush(ts_client *c);

void ts_send(ts_client *c, const char *subject, const char *payload);

/* -- what callbacks get -- */

/* Messages of a subscription, all retained. Begins zeroed; the callbacks' user data is the sink itself. */
typedef struct ts_sink {
    nbj_sub *sub;
    nbj_msg **msg;
    size_t count, cap;
    unsigned ended; /* calls of on_end */
    nbj_status why;
} ts_sink;

void ts_subscribe(ts_client *c, ts_sink *sink, const char *subject);
void ts_subscribe_with(ts_client *c, ts_sink *sink, const char *subject, nbj_sub_options options);
void ts_on_msg(void *sink, nbj_sub *sub, const nbj_msg *msg);
void ts_on_end(void *sink, nbj_sub *sub, nbj_status why);
void ts_sink_keep(ts_sink *sink, const nbj_msg *msg);
void ts_sink_free(ts_sink *sink); /* with its subscription */

/* Payload |i| as a number; fails the test where it is none. */
uint64_t ts_sink_number(const ts_sink *sink, size_t i);
/* Whether the payloads are exactly the numbers |first|, |first| + 1 … of |count| messages, in that order. */
bool ts_sink_counts(const ts_sink *sink, uint64_t first, size_t count);

/* The outcome of a request: calls of the callback, the last status, and the last reply, retained. */
typedef struct ts_answer {
    unsigned calls, replies;
    nbj_status status;
    nbj_msg *msg;
} ts_answer;

void ts_on_reply(void *answer, nbj_status status, const nbj_msg *reply);
void ts_answer_free(ts_answer *a); /* and ready for the next */

/* The outcome of a call that says only how it went: nbj_done_fn and nbj_flush_fn. */
typedef struct ts_done {
    unsigned calls;
    nbj_status status;
    nbj_error error;
    uint64_t round_trip_ns;
} ts_done;

void ts_on_done(void *done, nbj_status status, const nbj_error *error);
void ts_on_flushed(void *done, nbj_status status, uint64_t round_trip_ns);

/* The outcome of a JetStream publish. */
typedef struct ts_published {
    unsigned calls;
    nbj_outcome outcome;
    uint64_t sequence;
    char stream[256];
    nbj_error error;
} ts_published;

void ts_on_published(void *published, const nbj_publish_result *result);

/* -- small ones -- */

/* Another client's messages, with the numbers from |first| on as payloads; the server has them all when it returns. */
void ts_publish_numbers(ts_raw *r, const char *subject, int first, int count);

bool ts_same(nbj_bytes octets, const char *text);

#endif
