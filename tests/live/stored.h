/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of messages that a stream keeps: streams, what is put into them, and what comes back. */
#ifndef NBJ_TEST_LIVE_STORED_H
#define NBJ_TEST_LIVE_STORED_H

#include "threaded.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define DIRECT "\"allow_direct\":true"

/* --- streams and what is in them --- */

/* A request to JetStream's API that has to succeed. */
static inline void api(nbj_client *c, const char *verb, const char *json)
{
    char subject[128];
    nbj_msg *reply = NULL;

    snprintf(subject, sizeof subject, "$JS.API.%s", verb);
    assert_int_equal(nbj_request(c, subject, nbj_str(json), NULL, &reply), NBJ_OK);
    nbj_bytes data = nbj_msg_data(reply);
    if (memmem(data.ptr, data.len, "\"error\"", 7) != NULL)
        TS_FAIL("%s: %.*s", verb, NBJ_FMT(data));
    nbj_msg_release(reply);
}

/* Stream |name|, with subjects |name|.>, and |more| members of its configuration. */
static inline void make(nbj_client *c, const char *name, const char *more)
{
    char verb[64], json[512];

    snprintf(verb, sizeof verb, "STREAM.CREATE.%s", name);
    snprintf(
        json, sizeof json,
        "{\"name\":\"%s\",\"subjects\":[\"%s.>\"],\"retention\":\"limits\",\"storage\":\"file\",\"discard\":\"old\","
        "\"max_msgs\":-1,\"max_bytes\":-1,\"max_consumers\":-1,\"num_replicas\":1%s%s}",
        name, name, *more != '\0' ? "," : "", more);
    api(c, verb, json);
}

static inline uint64_t put(nbj_client *c, const char *subject, nbj_bytes data)
{
    nbj_publish_result r;

    if (nbj_publish(c, subject, data, NBJ_PUBLISH(.no_msg_id = true), &r) != NBJ_OK)
        TS_FAIL("publish: %s", nbj_error_text(&r.error));
    return r.ack.sequence;
}

static inline void put_many(nbj_client *c, const char *subject, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        (void)put(c, subject, nbj_str("0123456789"));
}

static inline bool is_at_least(int major, int minor)
{
    return ts_server_is_at_least(server, major, minor, 0);
}

/* --- what comes back --- */

static inline nbj_stored_msg *get(nbj_client *c, const char *stream, nbj_get_options o)
{
    nbj_stored_msg *m = NULL;
    nbj_error error = { 0 };

    o.struct_size = sizeof o;
    nbj_status st = nbj_stored_get(c, stream, &o, NULL, &m, &error);
    if (st != NBJ_OK)
        TS_FAIL("get: %s", nbj_error_text(&error));
    assert_non_null(m);
    return m;
}

static inline uint64_t wall_clock(void)
{
    struct timespec t;

    assert_int_equal(clock_gettime(CLOCK_REALTIME, &t), 0);
    return (uint64_t)t.tv_sec * NBJ_SECONDS(1) + (uint64_t)t.tv_nsec;
}

static inline void check_msg(const nbj_stored_msg *m, const char *stream, const char *subject, uint64_t sequence,
                             const char *data)
{
    assert_true(nbj_bytes_equal(nbj_stored_msg_stream(m), nbj_str(stream)));
    assert_true(nbj_bytes_equal(nbj_stored_msg_subject(m), nbj_str(subject)));
    assert_int_equal(nbj_stored_msg_sequence(m), sequence);
    assert_true(nbj_bytes_equal(nbj_stored_msg_data(m), nbj_str(data)));
    uint64_t age = wall_clock() - nbj_stored_msg_stored_at_ns(m);
    assert_true(age < NBJ_MINUTES(5));
}

/* --- what callbacks get --- */

typedef struct told {
    pthread_mutex_t lock;
    unsigned calls, messages, enough;
    nbj_status status;
    nbj_stored_msg *kept;
    nbj_read_result result;
    uint64_t next; /* sequence that the next message has to have */
    bool in_order;
} told;

#define TOLD                                                           \
    {                                                                  \
        .lock = PTHREAD_MUTEX_INITIALIZER, .next = 1, .in_order = true \
    }

static inline void on_found(void *user, nbj_status status, const nbj_stored_msg *msg, const nbj_error *error)
{
    told *t = user;

    pthread_mutex_lock(&t->lock);
    t->calls++;
    t->status = status;
    t->in_order = t->in_order && (msg != NULL) == (status == NBJ_OK) && (error == NULL) == (status == NBJ_OK);
    if (msg != NULL)
        t->kept = nbj_stored_msg_retain(msg);
    pthread_mutex_unlock(&t->lock);
}

static inline void on_done(void *user, nbj_status status, const nbj_error *error)
{
    on_found(user, status, NULL, status == NBJ_OK ? error : NULL);
}

static inline bool is_told(told *t)
{
    pthread_mutex_lock(&t->lock);
    bool is = t->calls > 0;
    pthread_mutex_unlock(&t->lock);
    return is;
}

#endif
