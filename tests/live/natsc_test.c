/* SPDX-License-Identifier: Apache-2.0 */
/* Together with nats.c: what one of the two publishes into a stream the other one reads octet for octet, headers, ids and
 * payloads of all sizes, in each way that there is; and the stream knows an id again whoever sent it. */
#define _GNU_SOURCE

#ifndef NBJ_TEST_NATSC
#include <stdio.h>

int main(void)
{
    puts("skipped: built without nats.c (libnats-dev)");
    return 77;
}
#else
#include "stored.h"

#include <nats/nats.h>

#define PAYLOAD_MAX 1048576 /* the server's maximum, headers included */
#define HEADERS_ROOM 16384
#define MANY 60
#define FOUND_MAX 128
#define WAIT_MS 10000

/* --- what is published --- */

typedef struct pair {
    const char *name, *value;
} pair;

typedef struct kind {
    const pair *pairs;
    size_t count;
    bool has_id;
} kind;

static char long_value[4001], many_texts[MANY][2][48];
static pair many[MANY];

static const pair one[] = { { "One", "1" } };
static const pair repeated[] = { { "R", "a" }, { "S", "x" }, { "R", "b" }, { "R", "a" }, { "S", "y" } };
static const pair empty[] = { { "Empty", "" }, { "Other", "x" }, { "Empty", "y" }, { "Empty", "" } };
static const pair utf8[] = { { "Greeting", "Gr\303\274\303\237e" },
                             { "City", "\346\235\261\344\272\254" },
                             { "Bicycle", "\360\237\232\262" } };
static const pair odd[] = { { "case", "1" },         { "Case", "2" },      { "CASE", "3" },
                            { "Colons", "a:b: c:" }, { "Blanks", "a  b" }, { "!#$%&'*+-.^_`|~", "signs" } };
static const pair lengthy[] = { { "Long", long_value } };

static const kind kinds[] = {
    { NULL, 0, false }, { NULL, 0, true },         { one, 1, true },     { repeated, 5, true }, { empty, 4, true },
    { utf8, 3, true },  { odd, COUNT(odd), true }, { lengthy, 1, true }, { many, MANY, true },  { repeated, 5, false },
};
static const size_t sizes[] = { 0, 1, 2, 255, 256, 4096, 65536, PAYLOAD_MAX };

#define SAMPLES (COUNT(kinds) * COUNT(sizes))

static uint8_t noise[PAYLOAD_MAX + 37 * SAMPLES];

static void make_samples(void)
{
    uint32_t state = 1;

    memset(long_value, 'v', sizeof long_value - 1);
    for (size_t i = 0; i < MANY; i++) {
        snprintf(many_texts[i][0], sizeof many_texts[i][0], "Name-%zu", i);
        snprintf(many_texts[i][1], sizeof many_texts[i][1], "value %zu of %d", i, MANY);
        many[i] = (pair){ many_texts[i][0], many_texts[i][1] };
    }
    for (size_t i = 0; i < sizeof noise; i++) {
        state = state * 1664525u + 1013904223u;
        noise[i] = (uint8_t)(state >> 24);
    }
}

static const kind *kind_of(size_t sample)
{
    return &kinds[sample / COUNT(sizes)];
}

/* The largest payload leaves room for the headers, where there are any. */
static nbj_bytes payload_of(size_t sample)
{
    const kind *k = kind_of(sample);
    size_t size = sizes[sample % COUNT(sizes)];
    size_t room = k->has_id || k->count > 0 ? PAYLOAD_MAX - HEADERS_ROOM : PAYLOAD_MAX;

    return nbj_view(noise + 37 * sample, size < room ? size : room);
}

/* NULL: none. Lives until the next call. */
static const char *id_of(size_t sample)
{
    static char id[32];

    snprintf(id, sizeof id, "id of %zu", sample);
    return kind_of(sample)->has_id ? id : NULL;
}

/* --- what is found --- */

typedef struct found {
    nbj_header header[FOUND_MAX];
    size_t count;
    nbj_bytes subject, data;
} found;

static void add_header(found *f, nbj_bytes name, nbj_bytes value)
{
    assert_true(f->count < FOUND_MAX);
    f->header[f->count++] = (nbj_header){ name, value };
}

/* Value number |nth| (from 0) of |name|; NULL: there are not so many. nats.c keeps the order of equal names only. */
static const nbj_bytes *value_of(const found *f, const char *name, size_t nth)
{
    for (size_t i = 0; i < f->count; i++) {
        if (nbj_bytes_equal(f->header[i].name, nbj_str(name)) && nth-- == 0)
            return &f->header[i].value;
    }
    return NULL;
}

static void check_value(const found *f, size_t sample, const char *name, size_t nth, const char *value)
{
    const nbj_bytes *got = value_of(f, name, nth);

    if (got == NULL || !nbj_bytes_equal(*got, nbj_str(value)))
        TS_FAIL("message %zu: header %s, number %zu, is \"%.*s\" instead of \"%s\"", sample, name, nth,
                NBJ_FMT(got != NULL ? *got : nbj_str("(none)")), value);
}

static void check_found(const found *f, size_t sample, const char *subject)
{
    const kind *k = kind_of(sample);
    nbj_bytes data = payload_of(sample);

    if (!nbj_bytes_equal(f->data, data))
        TS_FAIL("message %zu: %zu octets are not the %zu that were published", sample, f->data.len, data.len);
    assert_true(nbj_bytes_equal(f->subject, nbj_str(subject)));
    if (f->count != k->count + k->has_id)
        TS_FAIL("message %zu: %zu headers instead of %zu", sample, f->count, k->count + k->has_id);
    for (size_t i = 0; i < k->count; i++) {
        size_t nth = 0;
        for (size_t j = 0; j < i; j++)
            nth += strcmp(k->pairs[j].name, k->pairs[i].name) == 0;
        check_value(f, sample, k->pairs[i].name, nth, k->pairs[i].value);
    }
    if (k->has_id)
        check_value(f, sample, "Nats-Msg-Id", 0, id_of(sample));
}

/* --- nats.c --- */

typedef struct natsc {
    natsConnection *connection;
    jsCtx *js;
} natsc;

static natsc peer;

static void must(natsStatus s, const char *what)
{
    if (s != NATS_OK)
        TS_FAIL("nats.c: %s: %s (%s)", what, natsStatus_GetText(s), nats_GetLastError(NULL));
}

static int connect_peer(void **state)
{
    (void)state;
    must(natsConnection_ConnectTo(&peer.connection, ts_server_url(server)), "connect");
    must(natsConnection_JetStream(&peer.js, peer.connection, NULL), "JetStream");
    return 0;
}

static int end_peer(void **state)
{
    jsCtx_Destroy(peer.js);
    natsConnection_Destroy(peer.connection);
    peer = (natsc){ 0 };
    return end_test(state);
}

/* Publishes with nats.c; returns the sequence. */
static uint64_t natsc_publish(const char *subject, size_t sample)
{
    const kind *k = kind_of(sample);
    nbj_bytes data = payload_of(sample);
    natsMsg *msg = NULL;
    jsPubOptions o;
    jsPubAck *ack = NULL;

    must(natsMsg_Create(&msg, subject, NULL, (const char *)data.ptr, (int)data.len), "message");
    for (size_t i = 0; i < k->count; i++)
        must(natsMsgHeader_Add(msg, k->pairs[i].name, k->pairs[i].value), "header");
    must(jsPubOptions_Init(&o), "options");
    o.MaxWait = WAIT_MS;
    o.MsgId = id_of(sample);
    must(js_PublishMsg(&ack, peer.js, msg, &o, NULL), "publish");
    assert_false(ack->Duplicate);
    uint64_t sequence = ack->Sequence;
    jsPubAck_Destroy(ack);
    natsMsg_Destroy(msg);
    return sequence;
}

/* Headers that a server adds to the answer of a direct get are not the message's. */
static bool is_of_direct_get(const char *name)
{
    return strncmp(name, "Nats-", 5) == 0 && strcmp(name, "Nats-Msg-Id") != 0;
}

static void add_headers(found *f, natsMsg *msg)
{
    const char **names = NULL, **values = NULL;
    int name_count = 0, count = 0;
    natsStatus s = natsMsgHeader_Keys(msg, &names, &name_count);

    if (s != NATS_NOT_FOUND) /* there are none */
        must(s, "names of headers");
    for (int i = 0; i < name_count; i++) {
        if (is_of_direct_get(names[i]))
            continue;
        must(natsMsgHeader_Values(msg, names[i], &values, &count), "values of a header");
        for (int j = 0; j < count; j++)
            add_header(f, nbj_str(names[i]), nbj_str(values[j]));
        free((void *)values);
    }
    free((void *)names);
}

/* nats.c 3.4.1 takes the line behind an empty value for that value: such headers it only writes. */
static bool can_read_headers(size_t sample)
{
    return kind_of(sample)->pairs != empty;
}

static void check_natsc(natsMsg *msg, size_t sample, const char *subject)
{
    found f = { .subject = nbj_str(natsMsg_GetSubject(msg)),
                .data = nbj_view(natsMsg_GetData(msg), (size_t)natsMsg_GetDataLength(msg)) };

    if (can_read_headers(sample)) {
        add_headers(&f, msg);
        check_found(&f, sample, subject);
    } else {
        assert_true(nbj_bytes_equal(f.data, payload_of(sample)));
    }
}

/* --- nbj --- */

static uint64_t publish(nbj_client *c, const char *subject, size_t sample)
{
    const kind *k = kind_of(sample);
    nbj_header headers[MANY];
    nbj_publish_result r = { 0 };

    for (size_t i = 0; i < k->count; i++)
        headers[i] = (nbj_header){ nbj_str(k->pairs[i].name), nbj_str(k->pairs[i].value) };
    if (nbj_publish(
            c, subject, payload_of(sample),
            NBJ_PUBLISH(.headers = headers, .header_count = k->count, .msg_id = id_of(sample), .no_msg_id = !k->has_id),
            &r) != NBJ_OK)
        TS_FAIL("message %zu: %s", sample, nbj_error_text(&r.error));
    assert_int_equal(r.outcome, NBJ_STORED);
    return r.ack.sequence;
}

static void check_stored(const nbj_stored_msg *m, size_t sample, const char *subject)
{
    found f = { .subject = nbj_stored_msg_subject(m), .data = nbj_stored_msg_data(m) };
    nbj_header h;
    size_t cursor = 0;
    nbj_status st;

    while ((st = nbj_stored_msg_header_next(m, &cursor, &h)) == NBJ_OK)
        add_header(&f, h.name, h.value);
    assert_int_equal(st, NBJ_MORE);
    assert_int_equal(nbj_stored_msg_sequence(m), sample + 1);
    check_found(&f, sample, subject);
}

static bool on_read(void *user, const nbj_stored_msg *m)
{
    size_t *count = user;

    check_stored(m, (*count)++, "NATSC.all");
    return true;
}

/* Deliveries by their sequence; only the thread for callbacks writes them. */
typedef struct belt {
    nbj_msg *msg[SAMPLES];
    atomic_size_t count;
    atomic_uint strange;
} belt;

static void on_delivery(void *user, nbj_pull *pull, const nbj_msg *msg)
{
    belt *b = user;
    nbj_delivery d = { 0 };
    nbj_status st = nbj_msg_delivery(msg, &d);

    (void)pull;
    if (st != NBJ_OK || nbj_ack(msg) != NBJ_OK || d.stream_sequence - 1 >= SAMPLES ||
        b->msg[d.stream_sequence - 1] != NULL) {
        b->strange++;
        return;
    }
    b->msg[d.stream_sequence - 1] = nbj_msg_retain(msg);
    b->count++;
}

static void check_pulled(const nbj_msg *m, size_t sample, const char *subject)
{
    found f = { .subject = nbj_msg_subject(m), .data = nbj_msg_data(m) };
    nbj_header h;
    size_t cursor = 0;
    nbj_status st;

    while ((st = nbj_msg_header_next(m, &cursor, &h)) == NBJ_OK)
        add_header(&f, h.name, h.value);
    assert_int_equal(st, NBJ_MORE);
    check_found(&f, sample, subject);
}

static void pull_all(nbj_client *c, const char *stream, const char *subject)
{
    static belt b;
    nbj_pull *pull = NULL;

    assert_int_equal(nbj_pull_start(c, NBJ_CONSUMER_CONFIG(.stream = stream, .durable = "nbj"), on_delivery, &b, &pull),
                     NBJ_OK);
    WAIT_UNTIL(b.count + b.strange >= SAMPLES, SOON_MS);
    nbj_pull_release(pull);
    assert_int_equal(b.strange, 0);
    for (size_t i = 0; i < SAMPLES; i++) {
        assert_non_null(b.msg[i]);
        check_pulled(b.msg[i], i, subject);
        nbj_msg_release(b.msg[i]);
    }
}

/* --- from one to the other --- */

static void test_from_natsc_to_nbj(void **state)
{
    nbj_client *c = open_one();
    size_t count = 0;

    (void)state;
    make(c, "NATSC", DIRECT);
    for (size_t i = 0; i < SAMPLES; i++)
        assert_int_equal(natsc_publish("NATSC.all", i), i + 1);
    for (size_t i = 0; i < 2 * SAMPLES; i++) {
        nbj_stored_msg *m = get(c, "NATSC", (nbj_get_options){ .sequence = i / 2 + 1, .direct = i % 2 == 1 });
        check_stored(m, i / 2, "NATSC.all");
        nbj_stored_msg_release(m);
    }
    if (is_at_least(2, 11)) {
        assert_int_equal(nbj_stored_read(c, "NATSC", NULL, NULL, on_read, &count, NULL, NULL), NBJ_OK);
        assert_int_equal(count, SAMPLES);
    }
    pull_all(c, "NATSC", "NATSC.all");
}

static void fetch_all(const char *stream, const char *subject)
{
    natsSubscription *sub = NULL;
    jsSubOptions o;

    must(jsSubOptions_Init(&o), "options");
    o.Stream = stream;
    must(js_PullSubscribe(&sub, peer.js, subject, "natsc", NULL, &o, NULL), "pull subscription");
    for (size_t next = 0; next < SAMPLES;) {
        natsMsgList list = { 0 };
        must(natsSubscription_Fetch(&list, sub, (int)(SAMPLES - next), WAIT_MS, NULL), "fetch");
        for (int i = 0; i < list.Count; i++) {
            check_natsc(list.Msgs[i], next++, subject);
            must(natsMsg_Ack(list.Msgs[i], NULL), "ack");
        }
        natsMsgList_Destroy(&list);
    }
    natsSubscription_Destroy(sub);
}

static void test_from_nbj_to_natsc(void **state)
{
    nbj_client *c = open_one();
    jsDirectGetMsgOptions o;
    natsMsg *msg = NULL;

    (void)state;
    make(c, "NBJ", DIRECT);
    for (size_t i = 0; i < SAMPLES; i++)
        assert_int_equal(publish(c, "NBJ.all", i), i + 1);
    must(jsDirectGetMsgOptions_Init(&o), "options");
    for (size_t i = 0; i < SAMPLES; i++) {
        must(js_GetMsg(&msg, peer.js, "NBJ", i + 1, NULL, NULL), "get");
        check_natsc(msg, i, "NBJ.all");
        natsMsg_Destroy(msg);
        if (!can_read_headers(i)) /* nor what the server adds behind them */
            continue;
        o.Sequence = i + 1;
        must(js_DirectGetMsg(&msg, peer.js, "NBJ", NULL, &o), "direct get");
        check_natsc(msg, i, "NBJ.all");
        natsMsg_Destroy(msg);
    }
    fetch_all("NBJ", "NBJ.all");
}

/* --- one id for both --- */

static void natsc_publish_id(const char *id, bool is_known, uint64_t sequence)
{
    jsPubOptions o;
    jsPubAck *ack = NULL;

    must(jsPubOptions_Init(&o), "options");
    o.MsgId = id;
    must(js_Publish(&ack, peer.js, "IDS.x", "c", 1, &o, NULL), "publish");
    CHECK(id, ack->Duplicate == is_known && ack->Sequence == sequence);
    jsPubAck_Destroy(ack);
}

static void publish_id(nbj_client *c, const char *id, bool is_known, uint64_t sequence)
{
    nbj_publish_result r = { 0 };

    assert_int_equal(nbj_publish(c, "IDS.x", nbj_str("n"), NBJ_PUBLISH(.msg_id = id), &r), NBJ_OK);
    CHECK(id, r.outcome == (is_known ? NBJ_DUPLICATE : NBJ_STORED) && r.ack.sequence == sequence);
}

static void test_one_id_for_both(void **state)
{
    static const char *const ids[] = { "plain", "with blanks in it", "Gr\303\274\303\237e",
                                       "a:b",   "{\"a\":1}",         long_value };
    nbj_client *c = open_one();
    char other[sizeof long_value + 2];
    uint64_t sequence = 0;

    (void)state;
    make(c, "IDS", "");
    for (size_t i = 0; i < COUNT(ids); i++) {
        natsc_publish_id(ids[i], false, ++sequence);
        publish_id(c, ids[i], true, sequence);
        snprintf(other, sizeof other, "n.%s", ids[i]);
        publish_id(c, other, false, ++sequence);
        natsc_publish_id(other, true, sequence);
        publish_id(c, ids[i], true, sequence - 1);
    }
}

static int begin_all(void **state)
{
    make_samples();
    return start_server(state);
}

static int end_all(void **state)
{
    must(nats_CloseAndWait(WAIT_MS), "close");
    return stop_server(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(test_from_natsc_to_nbj, connect_peer, end_peer),
        cmocka_unit_test_setup_teardown(test_from_nbj_to_natsc, connect_peer, end_peer),
        cmocka_unit_test_setup_teardown(test_one_id_for_both, connect_peer, end_peer),
    };

    return cmocka_run_group_tests(tests, begin_all, end_all);
}
#endif
