/* SPDX-License-Identifier: Apache-2.0 */
/* Every option of a publish, at servers that have it and at those that would ignore it; and each refusal of JetStream about
 * publishing that can be had. Streams are made, and what they hold is read, by a client that shares no code. */
#define _GNU_SOURCE
#include "raw.h"
#include "threaded.h"

static const nbj_bytes none = { NULL, 0 };
static ts_raw *raw;
static nbj_client *client;

static int begin_test(void **state)
{
    (void)state;
    raw = ts_raw_open(ts_server_port(server));
    client = open_one();
    return 0;
}

static int finish_test(void **state)
{
    ts_raw_close(raw);
    return end_test(state);
}

static bool has(int minor)
{
    return ts_server_is_at_least(server, 2, minor, 0);
}

/* A stream |name| for "<name>.>" in memory, with further |members|. */
static void make(const char *name, const char *members)
{
    char subject[100], config[600];

    snprintf(subject, sizeof subject, "$JS.API.STREAM.CREATE.%s", name);
    snprintf(config, sizeof config, "{\"name\":\"%s\",\"subjects\":[\"%s.>\"],\"storage\":\"memory\"%s%s}", name, name,
             members[0] != '\0' ? "," : "", members);
    const char *answer = ts_raw_request(raw, subject, config, TS_RAW_MS);
    if (answer == NULL || strstr(answer, "\"error\"") != NULL)
        TS_FAIL("stream %s: %s", name, answer != NULL ? answer : "no answer");
}

static unsigned long count_of(const char *name)
{
    char subject[100];

    snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%s", name);
    const char *info = ts_raw_request(raw, subject, "", TS_RAW_MS);
    CHECK(name, info != NULL && strstr(info, "\"messages\":") != NULL);
    return strtoul(strstr(info, "\"messages\":") + 11, NULL, 10);
}

static nbj_publish_result publish(const char *subject, const char *data, const nbj_publish_options *o)
{
    nbj_publish_result r = { 0 };
    nbj_status st = nbj_publish(client, subject, nbj_str(data), o, &r);

    CHECK(subject, (st == NBJ_OK) == nbj_is_stored(&r) && st == r.error.status);
    return r;
}

static uint64_t store(const char *subject, const char *data, const nbj_publish_options *o)
{
    nbj_publish_result r = publish(subject, data, o);

    if (r.outcome != NBJ_STORED)
        TS_FAIL("%s: outcome %d, %s", subject, (int)r.outcome, r.error.text);
    return r.ack.sequence;
}

/* The stream says no, with that err_code and these words. */
static void expect_refusal(const char *subject, const char *data, const nbj_publish_options *o, int err_code,
                           const char *says)
{
    nbj_publish_result r = publish(subject, data, o);

    if (r.outcome != NBJ_REJECTED || r.error.err_code != err_code || strstr(r.error.text, says) == NULL)
        TS_FAIL("%s: outcome %d, %d %s; expected %d %s", subject, (int)r.outcome, r.error.err_code, r.error.text,
                err_code, says);
}

/* We say no: both calls, and nothing reaches the stream. */
static void expect_own_refusal(const char *subject, const nbj_publish_options *o, nbj_status status, const char *says)
{
    nbj_publish_options with_error = *o;
    nbj_error error = { 0 };
    nbj_publish_result r = publish(subject, "", o);

    if (r.outcome != NBJ_REJECTED || r.error.status != status || strstr(r.error.text, says) == NULL)
        TS_FAIL("outcome %d, %s; expected %s", (int)r.outcome, r.error.text, says);
    with_error.error = &error;
    assert_int_equal(nbj_publish_async(client, subject, none, &with_error, (nbj_publish_fn *)abort, NULL), status);
    assert_string_equal(error.text, r.error.text);
}

#define HEADER(name, value) .headers = &(nbj_header){ nbj_str(name), nbj_str(value) }, .header_count = 1
#define HEADERS(...)                                \
    .headers = (const nbj_header[]){ __VA_ARGS__ }, \
    .header_count = sizeof((const nbj_header[]){ __VA_ARGS__ }) / sizeof(nbj_header)
#define H(name, value)                \
    {                                 \
        nbj_str(name), nbj_str(value) \
    }

/* --- expectations --- */

static void test_expectations(void **state)
{
    (void)state;
    make("EXP", "");
    expect_refusal("EXP.a", "", NBJ_PUBLISH(.expect_stream = "OTHER"), 10060, "another stream");
    assert_int_equal(store("EXP.a", "", NBJ_PUBLISH(.expect_stream = "EXP")), 1);
    expect_refusal("EXP.a", "", NBJ_PUBLISH(.expect_last_sequence = NBJ_EXPECT_NONE_YET), 10071, "1");
    expect_refusal("EXP.a", "", NBJ_PUBLISH(.expect_last_sequence = 7), 10071, "1");
    assert_int_equal(store("EXP.a", "", NBJ_PUBLISH(.expect_last_sequence = 1, .msg_id = "two")), 2);
    expect_refusal("EXP.a", "", NBJ_PUBLISH(.expect_last_msg_id = "one"), 10070, "EXP");
    assert_int_equal(store("EXP.a", "", NBJ_PUBLISH(.expect_last_msg_id = "two")), 3);
    expect_refusal("EXP.a", "", NBJ_PUBLISH(.expect_subject_sequence = 2), 10071, "3");
    assert_int_equal(store("EXP.a", "", NBJ_PUBLISH(.expect_subject_sequence = 3)), 4);
    expect_refusal("EXP.a", "", NBJ_PUBLISH(.expect_subject_sequence = NBJ_EXPECT_NONE_YET), 10071, "4");
    assert_int_equal(store("EXP.b", "", NBJ_PUBLISH(.expect_subject_sequence = NBJ_EXPECT_NONE_YET)), 5);
    nbj_publish_result r = publish("EXP.a", "", NBJ_PUBLISH(.expect_last_sequence = 7));
    assert_int_equal(r.error.status, NBJ_E_WRONG_LAST_SEQUENCE);
    make("EXPNEW", "");
    assert_int_equal(store("EXPNEW.a", "", NBJ_PUBLISH(.expect_last_sequence = NBJ_EXPECT_NONE_YET)), 1);
}

static void test_expectation_of_another_subject(void **state)
{
    (void)state;
    make("OTH", "");
    assert_int_equal(store("OTH.x.1", "", NULL), 1);
    assert_int_equal(store("OTH.y", "", NULL), 2);
    const nbj_publish_options *right = NBJ_PUBLISH(.expect_subject_sequence = 1, .expect_subject = "OTH.x.*");
    if (!has(11)) { /* it would check the message's own subject */
        expect_own_refusal("OTH.y", right, NBJ_E_UNSUPPORTED, "needs nats-server 2.11.0");
        assert_int_equal(count_of("OTH"), 2);
        return;
    }
    assert_int_equal(store("OTH.x.2", "", right), 3);
    expect_refusal("OTH.x.2", "", right, 10071, "3");
    expect_refusal("OTH.y", "", NBJ_PUBLISH(HEADER("Nats-Expected-Last-Subject-Sequence-Subject", "OTH.x.1")), 10193,
                   "OTH");
}

/* --- time to live --- */

static void test_ttl(void **state)
{
    (void)state;
    make("TTL", has(11) ? "\"allow_msg_ttl\":true,\"max_age\":2000000000,\"duplicate_window\":1000000000" : "");
    make("NOTTL", "");
    if (!has(11)) { /* it would live for ever */
        expect_own_refusal("TTL.a", NBJ_PUBLISH(.ttl_ns = NBJ_SECONDS(1)), NBJ_E_UNSUPPORTED,
                           "needs nats-server 2.11.0");
        expect_own_refusal("TTL.a", NBJ_PUBLISH(.ttl_ns = NBJ_TTL_NEVER), NBJ_E_UNSUPPORTED, "time to live");
        assert_int_equal(count_of("TTL"), 0);
        return;
    }
    store("TTL.a", "", NBJ_PUBLISH(.ttl_ns = NBJ_SECONDS(1)));
    store("TTL.b", "", NBJ_PUBLISH(.ttl_ns = NBJ_MILLIS(1500)));
    store("TTL.c", "", NBJ_PUBLISH(.ttl_ns = NBJ_TTL_NEVER));
    store("TTL.d", "", NULL); /* max_age */
    assert_int_equal(count_of("TTL"), 4);
    WAIT_UNTIL(count_of("TTL") == 1, SOON_MS);
    const char *last = ts_raw_request(raw, "$JS.API.STREAM.MSG.GET.TTL", "{\"last_by_subj\":\"TTL.c\"}", TS_RAW_MS);
    CHECK(last, strstr(last, "\"message\"") != NULL);
    expect_refusal("NOTTL.a", "", NBJ_PUBLISH(.ttl_ns = NBJ_SECONDS(1)), 10166, "allow_msg_ttl");
    expect_refusal("TTL.a", "", NBJ_PUBLISH(HEADER("Nats-TTL", "500ms")), 10165, "TTL");
    expect_own_refusal("TTL.a", NBJ_PUBLISH(.ttl_ns = NBJ_MILLIS(999)), NBJ_E_INVALID, "at least 1 s");
}

/* --- rollup --- */

static void test_rollup(void **state)
{
    (void)state;
    make("ROLL", "\"allow_rollup_hdrs\":true");
    make("NOROLL", "");
    for (int i = 0; i < 3; i++) {
        store("ROLL.a", "", NULL);
        store("ROLL.b", "", NULL);
    }
    store("ROLL.a", "sum", NBJ_PUBLISH(.rollup = NBJ_ROLLUP_SUBJECT));
    assert_int_equal(count_of("ROLL"), 4);
    store("ROLL.a", "sum", NBJ_PUBLISH(.rollup = NBJ_ROLLUP_ALL));
    assert_int_equal(count_of("ROLL"), 1);
    expect_refusal("NOROLL.a", "", NBJ_PUBLISH(.rollup = NBJ_ROLLUP_SUBJECT), 10111, "allow_rollup_hdrs");
}

/* --- counters --- */

static void count_to(const char *subject, const nbj_publish_options *o, const char *value)
{
    nbj_publish_result r = publish(subject, "", o);

    if (r.outcome != NBJ_STORED || strcmp(r.ack.value, value) != 0)
        TS_FAIL("%s: outcome %d, \"%s\" instead of \"%s\"; %s", subject, (int)r.outcome, r.ack.value, value,
                r.error.text);
}

static void test_counters(void **state)
{
    (void)state;
    make("COUNT", has(12) ? "\"allow_msg_counter\":true,\"allow_direct\":true" : "");
    make("NOCOUNT", "");
    if (!has(12)) { /* it would be an ordinary message */
        expect_own_refusal("COUNT.a", NBJ_PUBLISH(.increment = 1), NBJ_E_UNSUPPORTED, "needs nats-server 2.12.0");
        expect_own_refusal("COUNT.a", NBJ_PUBLISH(.increment_text = "1"), NBJ_E_UNSUPPORTED, "counters");
        assert_int_equal(count_of("COUNT"), 0);
        return;
    }
    count_to("COUNT.a", NBJ_PUBLISH(.increment = 5), "5");
    count_to("COUNT.a", NBJ_PUBLISH(.increment = -12), "-7");
    count_to("COUNT.a", NBJ_PUBLISH(.increment_text = "+0"), "-7");
    count_to("COUNT.b", NBJ_PUBLISH(.increment_text = "123456789012345678901234567890"),
             "123456789012345678901234567890");
    count_to("COUNT.b", NBJ_PUBLISH(.increment = INT64_MAX, .msg_id = "once"), "123456789021569050938089343697");
    nbj_publish_result r = publish("COUNT.b", "", NBJ_PUBLISH(.increment = INT64_MAX, .msg_id = "once"));
    CHECK(r.error.text, r.outcome == NBJ_DUPLICATE && r.ack.value[0] == '\0');
    expect_refusal("NOCOUNT.a", "", NBJ_PUBLISH(.increment = 1), 10168, "allow_msg_counter");
    expect_refusal("COUNT.a", "", NULL, 10169, "increment");
    expect_refusal("COUNT.a", "data", NBJ_PUBLISH(.increment = 1), 10170, "without data");
    expect_refusal("COUNT.a", "", NBJ_PUBLISH(HEADER("Nats-Incr", "x")), 10171, "COUNT");
    expect_own_refusal("COUNT.a", NBJ_PUBLISH(.increment_text = "x"), NBJ_E_INVALID, "whole number");
    assert_int_equal(count_of("COUNT"), 5);
}

typedef struct values {
    atomic_uint told;
    char value[64][32];
} values;

static void on_value(void *user, const nbj_publish_result *r)
{
    values *v = user;

    snprintf(v->value[v->told], sizeof v->value[0], "%.31s", r->ack.value);
    v->told++;
}

/* Each outcome has its own total, through the window too. */
static void test_counting_with_callbacks(void **state)
{
    (void)state;
    static values v;

    if (!has(12))
        return;
    make("CALLS", "\"allow_msg_counter\":true,\"allow_direct\":true");
    for (int i = 0; i < 64; i++)
        assert_int_equal(nbj_publish_async(client, "CALLS.a", none, NBJ_PUBLISH(.increment = 2), on_value, &v), NBJ_OK);
    assert_int_equal(nbj_publish_flush(client, SOON, NULL), NBJ_OK);
    assert_int_equal(v.told, 64);
    for (int i = 0; i < 64; i++) {
        char want[32];
        snprintf(want, sizeof want, "%d", 2 * i + 2);
        assert_string_equal(v.value[i], want);
    }
}

/* --- schedules --- */

static uint64_t unix_now(void)
{
    struct timespec t;

    clock_gettime(CLOCK_REALTIME, &t);
    return NBJ_SECONDS(t.tv_sec) + (uint64_t)t.tv_nsec;
}

/* The stream's own publish, which only its republishing shows: that of |scheduler|, with |data|. */
static void expect_scheduled(const char *scheduler, const char *data)
{
    ts_raw_msg m = ts_raw_next(raw, SOON_MS);
    const char *header = ts_show(m.header.ptr, m.header.len);
    char want[100];

    snprintf(want, sizeof want, "Nats-Scheduler: %s", scheduler);
    CHECK(header, strstr(header, want) != NULL);
    CHECK(data, nbj_bytes_equal(m.payload, nbj_str(data)));
}

#define SCHEDULING(name)                                       \
    "\"allow_msg_schedules\":true,\"allow_rollup_hdrs\":true," \
    "\"republish\":{\"src\":\"" name ".to.>\",\"dest\":\"seen." name ".>\"}"

static void test_schedule_once(void **state)
{
    (void)state;
    make("AT", has(12) ? SCHEDULING("AT") : "");
    const nbj_schedule *soon = NBJ_SCHEDULE(.at_unix_ns = unix_now() + NBJ_MILLIS(300), .target = "AT.to.a");
    if (!has(12)) { /* it would never fire */
        expect_own_refusal("AT.s", NBJ_PUBLISH(.schedule = soon), NBJ_E_UNSUPPORTED, "needs nats-server 2.12.0");
        assert_int_equal(count_of("AT"), 0);
        return;
    }
    ts_raw_sub(raw, "seen.AT.>", "1");
    store("AT.s", "later", NBJ_PUBLISH(.schedule = soon));
    expect_scheduled("AT.s", "later");
    store("AT.s", "past", NBJ_PUBLISH(.schedule = NBJ_SCHEDULE(.at_unix_ns = 1, .target = "AT.to.a")));
    expect_scheduled("AT.s", "past");
}

static void test_schedules_that_repeat(void **state)
{
    (void)state;
    const nbj_schedule *every = NBJ_SCHEDULE(.every_ns = NBJ_SECONDS(1), .target = "REP.to.a");
    const nbj_schedule *cron = NBJ_SCHEDULE(.cron = "* * * * * *", .time_zone = "UTC", .target = "REP.to.b",
                                            .source = "REP.data", .rollup = NBJ_ROLLUP_SUBJECT);

    make("REP", has(12) ? SCHEDULING("REP") : "");
    if (!has(14)) {
        expect_own_refusal("REP.s", NBJ_PUBLISH(.schedule = every), NBJ_E_UNSUPPORTED, "needs nats-server 2.14.0");
        expect_own_refusal("REP.s", NBJ_PUBLISH(.schedule = cron), NBJ_E_UNSUPPORTED, "needs nats-server 2.14.0");
        return;
    }
    store("REP.data", "latest", NULL);
    ts_raw_sub(raw, "seen.REP.a", "1");
    store("REP.every", "again", NBJ_PUBLISH(.schedule = every));
    expect_scheduled("REP.every", "again");
    expect_scheduled("REP.every", "again");
    ts_raw_close(raw);
    raw = ts_raw_open(ts_server_port(server));
    ts_raw_sub(raw, "seen.REP.b", "1");
    store("REP.cron", "unused", NBJ_PUBLISH(.schedule = cron));
    expect_scheduled("REP.cron", "latest");
    expect_scheduled("REP.cron", "latest");
}

static void test_schedules_that_are_refused(void **state)
{
    (void)state;
    const nbj_schedule *at = NBJ_SCHEDULE(.at_unix_ns = 1, .target = "SCH.to");
    const nbj_schedule *to_itself = NBJ_SCHEDULE(.at_unix_ns = 1, .target = "SCH.s");
    const nbj_schedule *with_ttl = NBJ_SCHEDULE(.at_unix_ns = 1, .target = "SCH.to", .ttl_ns = NBJ_SECONDS(9));
    const nbj_schedule *at_ttl = NBJ_SCHEDULE(.at_unix_ns = 1, .target = "SCHTTL.to");
    const nbj_schedule *bad = NBJ_SCHEDULE(.cron = "never", .target = "SCH.to");
    const nbj_schedule *nowhere =
        NBJ_SCHEDULE(.cron = "0 0 0 1 1 *", .time_zone = "Nowhere/Nothing", .target = "SCH.to");
    const nbj_schedule *from_itself = NBJ_SCHEDULE(.cron = "0 0 0 1 1 *", .source = "SCH.s", .target = "SCH.to");

    if (!has(12))
        return;
    make("SCH", "\"allow_msg_schedules\":true,\"allow_rollup_hdrs\":true");
    make("NOSCH", "");
    make("SCHTTL", "\"allow_msg_schedules\":true,\"allow_rollup_hdrs\":true,\"allow_msg_ttl\":true");
    expect_refusal("NOSCH.s", "", NBJ_PUBLISH(.schedule = at), 10188, "allow_msg_schedules");
    expect_refusal("SCH.s", "", NBJ_PUBLISH(HEADERS(H("Nats-Schedule", "@at x"), H("Nats-Schedule-Target", "SCH.to"))),
                   10189, "pattern");
    expect_refusal("SCH.s", "", NBJ_PUBLISH(.schedule = to_itself), 10190, "target");
    expect_refusal("SCH.s", "", NBJ_PUBLISH(.schedule = with_ttl), 10166, "allow_msg_ttl");
    expect_refusal("SCHTTL.s", "", NBJ_PUBLISH(.schedule = at_ttl, HEADER("Nats-Schedule-TTL", "soon")), 10191, "TTL");
    expect_own_refusal("SCH.s", NBJ_PUBLISH(.schedule = at, HEADER("Nats-Schedule-Target", "SCH.x")), NBJ_E_INVALID,
                       "given twice");
    if (!has(14))
        return;
    expect_refusal("SCH.s", "", NBJ_PUBLISH(.schedule = bad), 10189, "pattern");
    expect_refusal("SCH.s", "", NBJ_PUBLISH(.schedule = nowhere), 10223, "time zone");
    expect_refusal("SCH.s", "", NBJ_PUBLISH(.schedule = from_itself), 10203, "source");
    expect_refusal("SCH.s", "", NBJ_PUBLISH(.schedule = at, HEADER("Nats-Schedule-Rollup", "all")), 10192, "rollup");
    expect_refusal("SCH.s", "", NBJ_PUBLISH(HEADERS(H("Nats-Scheduler", "SCH.s"), H("Nats-Schedule-Next", "purge"))),
                   10212, "scheduler");
}

/* --- limits of streams --- */

static void test_limits(void **state)
{
    (void)state;
    char *large = calloc(1, 70001);

    make("MSGS", "\"max_msgs\":1,\"discard\":\"new\"");
    make("BYTES", "\"max_bytes\":100,\"discard\":\"new\"");
    make("EACH", "\"max_msgs_per_subject\":1,\"discard\":\"new\",\"discard_new_per_subject\":true,\"max_msgs\":10");
    make("SIZE", "\"max_msg_size\":10");
    make("SEAL", "");
    memset(large, 'x', 70000);
    store("MSGS.a", "x", NULL);
    expect_refusal("MSGS.a", "x", NULL, 10077, "maximum messages exceeded");
    large[101] = '\0';
    expect_refusal("BYTES.a", large, NULL, 10077, "maximum bytes exceeded");
    large[101] = 'x';
    if (ts_server_is_at_least(server, 2, 9, 1)) {
        store("EACH.a", "x", NULL);
        expect_refusal("EACH.a", "x", NULL, 10077, "maximum messages per subject exceeded");
        store("EACH.b", "x", NULL);
    }
    expect_refusal("SIZE.a", "01234567890", NBJ_PUBLISH(.no_msg_id = true), 10054, "max_msg_size");
    expect_refusal("SEAL.a", "", NBJ_PUBLISH(HEADER("Large", large)), 10097, "64 KiB");
    store("SEAL.a", "x", NULL);
    const char *sealed = ts_raw_request(raw, "$JS.API.STREAM.UPDATE.SEAL",
                                        "{\"name\":\"SEAL\",\"subjects\":[\"SEAL.>\"],\"storage\":\"memory\","
                                        "\"sealed\":true,\"max_consumers\":-1,\"max_msgs\":-1,\"max_bytes\":-1,"
                                        "\"max_msg_size\":-1,\"num_replicas\":1,\"retention\":\"limits\"}",
                                        TS_RAW_MS);
    CHECK(sealed, strstr(sealed, "\"sealed\":true") != NULL);
    expect_refusal("SEAL.a", "x", NULL, 10109, "sealed");
    free(large);
}

/* --- headers --- */

static void test_headers_are_not_doubled(void **state)
{
    (void)state;
    make("HEAD", "");
    expect_own_refusal("HEAD.a", NBJ_PUBLISH(.expect_stream = "HEAD", HEADER("Nats-Expected-Stream", "HEAD")),
                       NBJ_E_INVALID, "Nats-Expected-Stream is given twice");
    expect_own_refusal("HEAD.a", NBJ_PUBLISH(.msg_id = "a", HEADER("Nats-Msg-Id", "b")), NBJ_E_BAD_HEADER,
                       "Nats-Msg-Id");
    expect_own_refusal("HEAD.a", NBJ_PUBLISH(.msg_id = "a\r\nb"), NBJ_E_BAD_HEADER, "illegal");
    expect_own_refusal("HEAD.a", NBJ_PUBLISH(.expect_stream = "a\r\nb"), NBJ_E_BAD_HEADER, "illegal");
    assert_int_equal(count_of("HEAD"), 0);
    ts_raw_sub(raw, "HEAD.a", "1"); /* the caller's own id is the message's */
    assert_int_equal(store("HEAD.a", "x", NBJ_PUBLISH(HEADER("Nats-Msg-Id", "own"))), 1);
    ts_raw_msg m = ts_raw_next(raw, TS_RAW_MS);
    CHECK("one id", nbj_bytes_equal(m.header, nbj_str("NATS/1.0\r\nNats-Msg-Id: own\r\n\r\n")));
    nbj_publish_result r = publish("HEAD.a", "x", NBJ_PUBLISH(.msg_id = "own"));
    assert_int_equal(r.outcome, NBJ_DUPLICATE);
}

static void test_options_of_another_version(void **state)
{
    (void)state;
    struct {
        nbj_publish_options now;
        uint64_t tomorrow;
    } larger = { { .struct_size = sizeof larger, .msg_id = "larger" }, 0 };
    nbj_publish_options smaller = { .struct_size = offsetof(nbj_publish_options, no_wait), .msg_id = "smaller" };

    make("OPT", "");
    store("OPT.a", "x", &larger.now);
    smaller.expect_last_sequence = 99; /* lies beyond what the caller says it set */
    store("OPT.a", "x", &smaller);
    larger.tomorrow = 1;
    nbj_publish_result r = publish("OPT.a", "x", &larger.now);
    assert_int_equal(r.error.status, NBJ_E_INVALID);
    nbj_schedule bad = { .struct_size = 3 };
    expect_own_refusal("OPT.a", NBJ_PUBLISH(.schedule = &bad), NBJ_E_INVALID, "invalid");
}

/* --- streams that do not acknowledge, and those that do not exist --- */

static void test_a_stream_without_acknowledgements(void **state)
{
    (void)state;
    make("MUTE", "\"no_ack\":true");
    nbj_publish_result r = publish("MUTE.a", "x", NBJ_PUBLISH(.timeout_ns = NBJ_MILLIS(300)));
    assert_int_equal(r.outcome, NBJ_UNKNOWN);
    assert_int_equal(r.error.status, NBJ_E_TIMEOUT);
    assert_int_equal(count_of("MUTE"), 1);
}

static void test_a_missing_stream_is_soon_known(void **state)
{
    nbj_client *c = open_one(); /* new, which would be reason to wait for a stream to come up */
    nbj_publish_result r;
    nbj_time begun = ts_now();

    (void)state;
    assert_int_equal(nbj_publish(c, "nowhere", none, NULL, &r), NBJ_E_NO_STREAM);
    assert_int_equal(r.outcome, NBJ_REJECTED);
    uint64_t took = ts_now() - begun;
    CHECK("it was asked again", took >= NBJ_MILLIS(500));
    CHECK("it did not take the whole patience", took < NBJ_SECONDS(4));
    begun = ts_now();
    assert_int_equal(nbj_publish(c, "nowhere", none, NBJ_PUBLISH(.retries = NBJ_RETRIES_NONE), NULL), NBJ_E_NO_STREAM);
    CHECK("at once", ts_now() - begun < NBJ_MILLIS(240));
}

static nbj_status publish_until_it_is_there(void *arg)
{
    return nbj_publish(client, "LATE.a", none,
                       NBJ_PUBLISH(.retries = NBJ_RETRIES_UNTIL_TIMEOUT, .retry_delay_ns = NBJ_MILLIS(50)), arg);
}

static void test_a_stream_that_comes_late(void **state)
{
    nbj_publish_result r;
    worker w;

    (void)state;
    start(&w, publish_until_it_is_there, &r);
    usleep(1200000); /* longer than the usual retries last */
    assert_false(w.done);
    make("LATE", "");
    assert_int_equal(finish(&w), NBJ_OK);
    assert_int_equal(r.ack.sequence, 1);
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin_test, finish_test)
    const struct CMUnitTest tests[] = {
        TEST(test_expectations),
        TEST(test_expectation_of_another_subject),
        TEST(test_ttl),
        TEST(test_rollup),
        TEST(test_counters),
        TEST(test_counting_with_callbacks),
        TEST(test_schedule_once),
        TEST(test_schedules_that_repeat),
        TEST(test_schedules_that_are_refused),
        TEST(test_limits),
        TEST(test_headers_are_not_doubled),
        TEST(test_options_of_another_version),
        TEST(test_a_stream_without_acknowledgements),
        TEST(test_a_missing_stream_is_soon_known),
        TEST(test_a_stream_that_comes_late),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
