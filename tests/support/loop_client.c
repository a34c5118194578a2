/* SPDX-License-Identifier: Apache-2.0 */
/* Owns: the list of open clients. A test that fails jumps over its frees; ts_clients_free() in its teardown then closes
 * the clients without callbacks, so that nothing is written to the test's dead stack. */
#define _GNU_SOURCE

#include "loop_client.h"

#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>

#define CLIENTS_MAX 64

static ts_client *all;

static void *must(void *ptr)
{
    if (ptr == NULL)
        TS_FAIL("out of memory");
    return ptr;
}

char ts_letter(nbj_event_type type)
{
    return " CDRLNESWXA"[type];
}

/* -- clients -- */

static void on_event(void *user, nbj_client *client, const nbj_event *event)
{
    ts_client *c = user;

    (void)client;
    if (c->events + 1 < sizeof c->trail)
        c->trail[c->events++] = ts_letter(event->type);
    if (event->error != NULL)
        c->error[event->type] = *event->error;
    if (c->on_event != NULL)
        c->on_event(c, event);
}

ts_client *ts_client_open(const nbj_client_options *options)
{
    ts_client *c = must(calloc(1, sizeof *c));
    nbj_client_options o = *options;
    nbj_error error = { 0 };

    o.on_event = on_event;
    o.user_data = c;
    if (nbj_loop_open(&c->client, &o, &error) != NBJ_OK) {
        free(c);
        TS_FAIL("cannot open a client: %s", nbj_error_text(&error));
    }
    c->next = all;
    all = c;
    return c;
}

ts_client *ts_client_connect(const nbj_client_options *options)
{
    ts_client *c = ts_client_open(options);

    (void)ts_await(c, NBJ_EVENT_CONNECTED);
    return c;
}

ts_client *ts_client_at(const char *url)
{
    return ts_client_connect(
        NBJ_CLIENT_OPTIONS(.url = url, .reconnect_first_ns = NBJ_MILLIS(10), .reconnect_max_ns = NBJ_MILLIS(100)));
}

void ts_client_free(ts_client *c)
{
    ts_client **at = &all;

    if (c == NULL)
        return;
    while (*at != NULL && *at != c)
        at = &(*at)->next;
    if (*at == c)
        *at = c->next;
    nbj_client_release(c->client);
    free(c);
}

void ts_clients_free(void)
{
    while (all != NULL)
        ts_client_free(all);
}

/* -- turning -- */

/* When the first of the clients wants to be turned without a descriptor's saying so, but not after |until|. */
static nbj_time next_turn(nbj_time until)
{
    for (const ts_client *c = all; c != NULL; c = c->next) {
        uint64_t wait = c->closed ? NBJ_TIME_NEVER : nbj_loop_timeout_ns(c->client);
        nbj_time now = ts_now();
        if (wait < until - (now < until ? now : until))
            until = now + wait;
    }
    return until;
}

static void process_all(void)
{
    ts_client *next;

    for (ts_client *c = all; c != NULL; c = next) { /* a callback may free its own client, not others */
        next = c->next;
        if (!c->closed && nbj_loop_process(c->client) == NBJ_E_CLOSED)
            c->closed = true;
    }
}

bool ts_turn(int ms)
{
    struct pollfd polls[CLIENTS_MAX];
    nbj_time end = ts_now() + NBJ_MILLIS(ms);
    nfds_t n = 0;

    for (const ts_client *c = all; c != NULL && n < CLIENTS_MAX; c = c->next)
        polls[n++] = (struct pollfd){ .fd = c->closed ? -1 : nbj_loop_fd(c->client), .events = POLLIN };
    nbj_time due = next_turn(end);
    int ready = poll(polls, n, ts_left_ms(due));
    if (ready < 0 && errno != EINTR)
        TS_FAIL("poll: %s", strerror(errno));
    process_all();
    return ready > 0 || due < end;
}

void ts_turn_for(int ms)
{
    nbj_time until = ts_now() + NBJ_MILLIS(ms);

    while (ts_now() < until)
        (void)ts_turn(ts_left_ms(until));
}

void ts_turned_in_vain(const char *cond, const char *file, int line)
{
    char text[900] = "";
    size_t n = 0;

    for (const ts_client *c = all; c != NULL && n < sizeof text - 400; c = c->next)
        n += (size_t)snprintf(text + n, sizeof text - n, "; a client's events \"%.100s\", errors \"%.100s\" \"%.100s\"",
                              c->trail, c->error[NBJ_EVENT_DISCONNECTED].text, c->error[NBJ_EVENT_CLOSED].text);
    ts_fail(file, line, "turned in vain until: %s%s", cond, text);
}

const nbj_error *ts_await(ts_client *c, nbj_event_type type)
{
    char letter = ts_letter(type);
    char *at;

    TURN_UNTIL(strchr(c->trail + c->seen, letter) != NULL, TS_WAIT_MS);
    at = strchr(c->trail + c->seen, letter);
    c->seen = (size_t)(at - c->trail) + 1;
    return &c->error[type];
}

nbj_error ts_refusal(const nbj_client_options *options)
{
    ts_client *c = ts_client_open(options);
    nbj_error e = *ts_await(c, NBJ_EVENT_CLOSED);

    assert_string_equal(c->trail, "X");
    ts_client_free(c);
    return e;
}

void ts_flush(ts_client *c)
{
    ts_done done = { 0 };

    assert_int_equal(nbj_flush_async(c->client, NBJ_MILLIS(TS_WAIT_MS), ts_on_flushed, &done), NBJ_OK);
    TURN_UNTIL(done.calls > 0, TS_WAIT_MS + 1000);
    assert_int_equal(done.status, NBJ_OK);
}

void ts_send(ts_client *c, const char *subject, const char *payload)
{
    assert_int_equal(nbj_send(c->client, subject, nbj_str(payload), NULL), NBJ_OK);
}

/* -- what callbacks get -- */

void ts_sink_keep(ts_sink *sink, const nbj_msg *msg)
{
    if (sink->count == sink->cap) {
        sink->cap = 2 * sink->cap + 16;
        sink->msg = must(realloc(sink->msg, sink->cap * sizeof(nbj_msg *)));
    }
    sink->msg[sink->count++] = must(nbj_msg_retain(msg));
}

void ts_on_msg(void *sink, nbj_sub *sub, const nbj_msg *msg)
{
    ts_sink *s = sink;

    if (s->ended > 0)
        TS_FAIL("a message after the end");
    if (sub != s->sub)
        TS_FAIL("a message of another subscription");
    ts_sink_keep(s, msg);
}

void ts_on_end(void *sink, nbj_sub *sub, nbj_status why)
{
    ts_sink *s = sink;

    if (sub != s->sub)
        TS_FAIL("the end of another subscription");
    s->ended++;
    s->why = why;
}

void ts_subscribe_with(ts_client *c, ts_sink *sink, const char *subject, nbj_sub_options options)
{
    options.struct_size = sizeof options;
    options.on_end = ts_on_end;
    assert_int_equal(nbj_subscribe(c->client, subject, &options, ts_on_msg, sink, &sink->sub), NBJ_OK);
}

void ts_subscribe(ts_client *c, ts_sink *sink, const char *subject)
{
    ts_subscribe_with(c, sink, subject, (nbj_sub_options){ 0 });
}

void ts_sink_free(ts_sink *sink)
{
    nbj_sub_release(sink->sub);
    for (size_t i = 0; i < sink->count; i++)
        nbj_msg_release(sink->msg[i]);
    free(sink->msg);
    *sink = (ts_sink){ 0 };
}

uint64_t ts_sink_number(const ts_sink *sink, size_t i)
{
    char text[32];
    char *end = NULL;

    snprintf(text, sizeof text, "%.*s", NBJ_FMT(nbj_msg_data(sink->msg[i])));
    uint64_t n = strtoull(text, &end, 10);
    if (text[0] == '\0' || *end != '\0')
        TS_FAIL("message %zu is not a number: \"%s\"", i, text);
    return n;
}

bool ts_sink_counts(const ts_sink *sink, uint64_t first, size_t count)
{
    for (size_t i = 0; i < sink->count; i++) {
        if (ts_sink_number(sink, i) != first + i)
            TS_FAIL("message %zu is number %llu instead of %llu", i, (unsigned long long)ts_sink_number(sink, i),
                    (unsigned long long)(first + i));
    }
    return sink->count == count;
}

void ts_on_reply(void *answer, nbj_status status, const nbj_msg *reply)
{
    ts_answer *a = answer;

    a->calls++;
    a->replies += reply != NULL;
    a->status = status;
    if (reply == NULL)
        return;
    nbj_msg_release(a->msg);
    a->msg = must(nbj_msg_retain(reply));
}

void ts_answer_free(ts_answer *a)
{
    nbj_msg_release(a->msg);
    *a = (ts_answer){ 0 };
}

void ts_on_done(void *done, nbj_status status, const nbj_error *error)
{
    ts_done *d = done;

    d->calls++;
    d->status = status;
    if (error != NULL)
        d->error = *error;
}

void ts_on_flushed(void *done, nbj_status status, uint64_t round_trip_ns)
{
    ts_done *d = done;

    d->calls++;
    d->status = status;
    d->round_trip_ns = round_trip_ns;
}

void ts_on_published(void *published, const nbj_publish_result *result)
{
    ts_published *p = published;

    p->calls++;
    p->outcome = result->outcome;
    p->sequence = result->ack.sequence;
    snprintf(p->stream, sizeof p->stream, "%s", nbj_is_stored(result) ? result->ack.stream : "");
    p->error = result->error;
}

void ts_publish_numbers(ts_raw *r, const char *subject, int first, int count)
{
    char number[16];

    for (int i = first; i < first + count; i++)
        ts_raw_pub(r, subject, NULL, number, (size_t)snprintf(number, sizeof number, "%d", i));
    ts_raw_flush(r);
}

bool ts_same(nbj_bytes octets, const char *text)
{
    return nbj_bytes_equal(octets, nbj_str(text));
}
