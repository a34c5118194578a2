/* SPDX-License-Identifier: Apache-2.0 */
/* Streams on a real server: every field of the configuration set and read back, what older servers lack, creating,
 * changing and ensuring. */
#define _GNU_SOURCE
#include "threaded.h"

#include "raw.h"
#include "thread_client.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static nbj_client *client;

static int open_client(void **state)
{
    (void)state;
    client = open_one();
    return 0;
}

/* Streams of one test do not stand in the way of the next one's. */
static int delete_all(void **state)
{
    ts_raw *r = ts_raw_open(ts_server_port(server));
    char names[8192], subject[300];

    snprintf(names, sizeof names, "%s", ts_raw_request(r, "$JS.API.STREAM.NAMES", "", TS_RAW_MS));
    char *at = strstr(names, "\"streams\":[");
    for (char *name = at != NULL ? strtok(at + 11, "\",]}") : NULL; name != NULL; name = strtok(NULL, "\",]}")) {
        snprintf(subject, sizeof subject, "$JS.API.STREAM.DELETE.%s", name);
        assert_non_null(ts_raw_request(r, subject, "", TS_RAW_MS));
    }
    ts_raw_close(r);
    return end_test(state);
}

static nbj_stream_info *create(const nbj_stream_config *config)
{
    nbj_stream_info *info = NULL;
    nbj_error error = { 0 };

    if (nbj_stream_create(client, config, NULL, &info, &error) != NBJ_OK)
        TS_FAIL("create %s: %s", config->name, nbj_error_text(&error));
    assert_string_equal(nbj_stream_info_name(info), config->name);
    return info;
}

static nbj_stream_info *info_of(const char *name)
{
    nbj_stream_info *info = NULL;
    nbj_error error = { 0 };

    if (nbj_stream_info_of(client, name, NULL, NULL, &info, &error) != NBJ_OK)
        TS_FAIL("info of %s: %s", name, nbj_error_text(&error));
    return info;
}

static nbj_stream_config config_of(const nbj_stream_info *info)
{
    nbj_stream_config c = { .struct_size = sizeof c };

    assert_int_equal(nbj_stream_info_config(info, &c), NBJ_OK);
    return c;
}

/* --- every field --- */

static bool same_text(const char *want, const char *has)
{
    return want == NULL || (has != NULL && strcmp(want, has) == 0);
}

static bool same_list(nbj_list want, nbj_list has)
{
    if (want.count > 0 && want.count != has.count)
        return false;
    for (size_t i = 0; i < want.count; i++) {
        if (!same_text(want.items[i], has.items[i]))
            return false;
    }
    return true;
}

/* |has| may have more. */
static bool same_pairs(nbj_pairs want, nbj_pairs has)
{
    for (size_t i = 0; i < want.count; i++) {
        bool found = false;
        for (size_t k = 0; k < has.count; k++)
            found = found || (same_text(want.items[i].first, has.items[k].first) &&
                              same_text(want.items[i].second, has.items[k].second));
        if (!found)
            return false;
    }
    return true;
}

#define SAME(member) CHECK(#member, want->member == 0 || want->member == has->member)
#define SAME_TEXT(member) CHECK(#member, same_text(want->member, has->member))

static void check_source(const nbj_stream_source *want, const nbj_stream_source *has)
{
    if (want == NULL)
        return;
    assert_non_null(has);
    SAME_TEXT(name);
    SAME_TEXT(filter_subject);
    SAME(start_sequence);
    SAME(start_time_ns);
    CHECK("transforms", want->subject_transforms.count == has->subject_transforms.count &&
                            same_pairs(want->subject_transforms, has->subject_transforms));
    SAME_TEXT(external_api);
    SAME_TEXT(external_deliver);
    CHECK("domain", want->domain == NULL || (has->external_api != NULL && strstr(has->external_api, want->domain)));
    SAME_TEXT(consumer_name);
    SAME_TEXT(consumer_deliver_subject);
}

/* What was asked for is there. */
static void check_config(const nbj_stream_config *want, const nbj_stream_config *has)
{
    SAME_TEXT(name);
    CHECK("subjects", same_list(want->subjects, has->subjects));
    SAME(retention);
    SAME(storage);
    SAME(max_messages);
    SAME(max_bytes);
    SAME(max_age_ns);
    SAME(duplicate_window_ns);
    SAME(replicas);
    SAME_TEXT(description);
    SAME(max_consumers);
    SAME(max_messages_per_subject);
    SAME(max_message_bytes);
    SAME(discard);
    CHECK("compression", want->compression != NBJ_COMPRESSION_S2 || has->compression == NBJ_COMPRESSION_S2);
    CHECK("persist_mode", want->persist_mode != NBJ_PERSIST_ASYNC || has->persist_mode == NBJ_PERSIST_ASYNC);
    SAME(first_sequence);
    SAME(subject_delete_marker_ttl_ns);
    SAME_TEXT(placement_cluster);
    CHECK("tags", same_list(want->placement_tags, has->placement_tags));
    check_source(want->mirror, has->mirror);
    CHECK("sources", want->sources.count == 0 || want->sources.count == has->sources.count);
    for (size_t i = 0; i < want->sources.count; i++)
        check_source(want->sources.items[i], has->sources.items[i]);
    SAME_TEXT(republish_source);
    SAME_TEXT(republish_destination);
    SAME(republish_headers_only);
    SAME_TEXT(transform_source);
    SAME_TEXT(transform_destination);
    SAME(consumer_inactive_threshold_ns);
    SAME(consumer_max_ack_pending);
    CHECK("metadata", same_pairs(want->metadata, has->metadata));
    SAME(no_ack);
    SAME(discard_new_per_subject);
    SAME(sealed);
    SAME(deny_delete);
    SAME(deny_purge);
    SAME(allow_rollup);
    SAME(allow_direct);
    if (want->mirror == NULL || want->mirror->domain != NULL) /* otherwise it is what its origin is */
        SAME(mirror_direct);
    SAME(allow_msg_ttl);
    SAME(allow_msg_counter);
    SAME(allow_atomic);
    SAME(allow_msg_schedules);
    SAME(allow_batched);
}

/* With a field that this server lacks: refused, and nothing was sent. */
static void check_refused(const nbj_stream_config *config)
{
    nbj_stream_info *info = (nbj_stream_info *)client;
    nbj_error error = { 0 };
    uint64_t sent = nbj_client_stats_of(client).out_msgs;

    CHECK(config->name, nbj_stream_create(client, config, NULL, &info, &error) == NBJ_E_UNSUPPORTED);
    CHECK(error.text, strstr(error.text, " needs nats-server 2.") != NULL);
    CHECK(error.text, strstr(error.text, ts_server_version(server)) != NULL);
    CHECK(config->name, nbj_stream_ensure(client, config, NULL, &error) == NBJ_E_UNSUPPORTED);
    CHECK(config->name, nbj_stream_update(client, config, NULL, NULL, &error) == NBJ_E_UNSUPPORTED);
    CHECK(config->name, info == NULL && nbj_client_stats_of(client).out_msgs == sent);
    CHECK(config->name, nbj_stream_info_of(client, config->name, NULL, NULL, &info, NULL) == NBJ_E_STREAM_NOT_FOUND);
    assert_null(info);
}

static void check_field(const nbj_stream_config *config, int minor)
{
    if (!ts_server_is_at_least(server, 2, minor, 0)) {
        check_refused(config);
        return;
    }
    nbj_stream_info *info = create(config);
    nbj_stream_config has = config_of(info);
    check_config(config, &has);
    nbj_stream_info_release(info);
    info = info_of(config->name);
    has = config_of(info);
    check_config(config, &has);
    nbj_stream_info_release(info);
    assert_int_equal(nbj_stream_ensure(client, config, NULL, NULL), NBJ_OK);
    if (ts_server_is_at_least(server, 2, 10, 0) ||
        config->sources.count == 0) /* 2.9 finds them different from themselves */
        nbj_stream_info_release(create(config));
}

static void test_every_field(void **state)
{
    (void)state;
    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "ORIGIN", .subjects = NBJ_LIST("o.>"))));
    check_field(NBJ_STREAM_CONFIG(.name = "OLD", .subjects = NBJ_LIST("old.>", "older"),
                                  .description = "some \"words\"", .storage = NBJ_STORAGE_MEMORY, .max_consumers = 5,
                                  .max_messages = 100, .max_bytes = 10000, .max_age_ns = NBJ_MINUTES(10),
                                  .max_messages_per_subject = 3, .max_message_bytes = 1000, .discard = NBJ_DISCARD_NEW,
                                  .discard_new_per_subject = true, .replicas = 1, .no_ack = true,
                                  .duplicate_window_ns = NBJ_MINUTES(1), .deny_delete = true, .deny_purge = true,
                                  .allow_direct = true, .republish_source = "old.>", .republish_destination = "new.>",
                                  .republish_headers_only = true),
                9);
    check_field(NBJ_STREAM_CONFIG(.name = "ROLLUP", .allow_rollup = true, .retention = NBJ_RETENTION_INTEREST,
                                  .discard = NBJ_DISCARD_OLD, .storage = NBJ_STORAGE_FILE,
                                  .max_messages = NBJ_UNLIMITED, .compression = NBJ_COMPRESSION_NONE,
                                  .placement_tags = NBJ_LIST("t")),
                9); /* what it is anyway may be asked for of an old server too */
    check_field(NBJ_STREAM_CONFIG(.name = "QUEUE", .retention = NBJ_RETENTION_WORK_QUEUE), 9);
    check_field(NBJ_STREAM_CONFIG(.name = "MIRROR",
                                  .mirror = NBJ_SOURCE(.name = "ORIGIN", .start_sequence = 5, .filter_subject = "o.a")),
                9);
    check_field(NBJ_STREAM_CONFIG(.name = "TIMED", .mirror_direct = true,
                                  .mirror = NBJ_SOURCE(.name = "ORIGIN", .start_time_ns = 1767323045120000001)),
                9);
    check_field(NBJ_STREAM_CONFIG(.name = "FAR", .mirror_direct = true,
                                  .mirror = NBJ_SOURCE(.name = "X", .domain = "elsewhere")),
                9);
    check_field(NBJ_STREAM_CONFIG(.name = "SOURCES",
                                  .sources = NBJ_SOURCES(NBJ_SOURCE(.name = "ORIGIN", .filter_subject = "o.b"),
                                                         NBJ_SOURCE(.name = "X", .external_api = "$JS.far.API",
                                                                    .external_deliver = "far.deliver"))),
                9);
    check_field(
        NBJ_STREAM_CONFIG(.name = "CHANGED",
                          .mirror = NBJ_SOURCE(.name = "ORIGIN", .subject_transforms = NBJ_PAIRS({ "o.a", "c.a" }))),
        10);
    check_field(NBJ_STREAM_CONFIG(.name = "CHOSEN",
                                  .sources = NBJ_SOURCES(
                                      NBJ_SOURCE(.name = "ORIGIN",
                                                 .subject_transforms = NBJ_PAIRS({ "o.a", "" }, { "o.b", "s.b" }),
                                                 .start_time_ns = 1767323045000000000))),
                10);
    check_field(NBJ_STREAM_CONFIG(.name = "TEN", .subjects = NBJ_LIST("ten.>"), .transform_source = "ten.>",
                                  .transform_destination = "tenth.>", .compression = NBJ_COMPRESSION_S2,
                                  .first_sequence = 100, .consumer_inactive_threshold_ns = NBJ_SECONDS(5),
                                  .consumer_max_ack_pending = 10, .metadata = NBJ_PAIRS({ "a", "b" }, { "c", "" })),
                10);
    check_field(NBJ_STREAM_CONFIG(.name = "TTL", .allow_msg_ttl = true, .allow_rollup = true,
                                  .subject_delete_marker_ttl_ns = NBJ_SECONDS(2)),
                11);
    check_field(NBJ_STREAM_CONFIG(.name = "PEDANTIC", .pedantic = true), 11);
    check_field(NBJ_STREAM_CONFIG(.name = "COUNTER", .allow_msg_counter = true), 12);
    check_field(NBJ_STREAM_CONFIG(.name = "ATOMIC", .allow_atomic = true, .allow_msg_schedules = true,
                                  .persist_mode = NBJ_PERSIST_DEFAULT),
                12);
    check_field(NBJ_STREAM_CONFIG(.name = "ASYNC", .persist_mode = NBJ_PERSIST_ASYNC), 12);
    check_field(NBJ_STREAM_CONFIG(.name = "BATCHED", .allow_batched = true), 14);
    check_field(
        NBJ_STREAM_CONFIG(.name = "OWN", .sources = NBJ_SOURCES(NBJ_SOURCE(.name = "ORIGIN", .consumer_name = "own",
                                                                           .consumer_deliver_subject = "own.deliver"))),
        14);
    check_field(
        NBJ_STREAM_CONFIG(.name = "PLACED", .placement_cluster = "anywhere", .placement_tags = NBJ_LIST("x", "y")), 9);
}

/* --- creating, changing, ensuring --- */

static void test_create(void **state)
{
    (void)state;
    nbj_stream_info *info = create(NBJ_STREAM_CONFIG(.name = "A", .subjects = NBJ_LIST("a.>"), .max_messages = 5));
    nbj_stream_config c = config_of(info);
    nbj_stream_state s = nbj_stream_info_state(info);
    nbj_error error = { 0 };

    assert_int_equal(c.retention, NBJ_RETENTION_LIMITS);
    assert_int_equal(c.storage, NBJ_STORAGE_FILE);
    assert_int_equal(c.max_bytes, NBJ_UNLIMITED);
    assert_int_equal(c.replicas, 1);
    assert_true(c.duplicate_window_ns == NBJ_MINUTES(2));
    assert_true(s.messages == 0 && s.first_time_ns == 0 && s.consumers == 0);
    assert_true(nbj_stream_info_created_ns(info) > 1700000000000000000);
    assert_non_null(strstr(nbj_stream_info_json(info), "\"did_create\":true"));
    assert_string_equal(nbj_stream_info_domain(info), "");
    nbj_stream_info_release(info);

    nbj_status st = nbj_stream_create(client, NBJ_STREAM_CONFIG(.name = "A", .max_messages = 6), NULL, &info, &error);
    assert_int_equal(st, NBJ_E_EXISTS_DIFFERENT);
    assert_int_equal(error.err_code, 10058);
    assert_non_null(strstr(error.text, "stream A: "));
    assert_null(info);
    st = nbj_stream_create(client, NBJ_STREAM_CONFIG(.name = "B", .subjects = NBJ_LIST("a.b")), NULL, NULL, &error);
    assert_int_equal(st, NBJ_E_JS);
    assert_int_equal(error.err_code, 10065);
    st = nbj_stream_create(client, NBJ_STREAM_CONFIG(.name = "B", .replicas = 3), NULL, NULL, &error);
    assert_int_equal(error.err_code, 10074);
    st = nbj_stream_create(client, NBJ_STREAM_CONFIG(.name = "B", .sealed = true), NULL, NULL, &error);
    assert_int_equal(st, NBJ_E_JS);
    assert_int_equal(error.err_code, 10052);
    st = nbj_stream_create(client, NBJ_STREAM_CONFIG(.name = "B", .more_json = "{\"name\":\"C\"}"), NULL, NULL, &error);
    assert_int_equal(st, NBJ_E_JS);
    assert_int_equal(error.err_code, 10056); /* subject and body name different ones */
}

static void test_update(void **state)
{
    (void)state;
    nbj_stream_info *info = NULL;
    nbj_error error = { 0 };

    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "U", .subjects = NBJ_LIST("u.>"), .max_messages = 5,
                                                     .max_age_ns = NBJ_HOURS(1), .description = "old")));
    assert_int_equal(nbj_stream_update(client, NBJ_STREAM_CONFIG(.name = "U", .max_messages = 7, .allow_direct = true),
                                       NULL, &info, &error),
                     NBJ_OK);
    nbj_stream_config c = config_of(info);
    assert_true(c.max_messages == 7 && c.max_age_ns == NBJ_HOURS(1) && c.allow_direct);
    assert_string_equal(c.description, "old");
    assert_string_equal(c.subjects.items[0], "u.>");
    nbj_stream_info_release(info);

    assert_int_equal(
        nbj_stream_update(client,
                          NBJ_STREAM_CONFIG(.name = "U", .subjects = NBJ_LIST("u.>", "v"),
                                            .reset = NBJ_LIST("max_msgs", "max_age", "allow_direct", "description")),
                          NULL, &info, &error),
        NBJ_OK);
    c = config_of(info);
    assert_true(c.max_messages == NBJ_UNLIMITED && c.max_age_ns == 0 && !c.allow_direct && c.description == NULL);
    assert_int_equal(c.subjects.count, 2);
    nbj_stream_info_release(info);

    nbj_status st =
        nbj_stream_update(client, NBJ_STREAM_CONFIG(.name = "U", .storage = NBJ_STORAGE_MEMORY), NULL, &info, &error);
    assert_int_equal(st, NBJ_E_JS);
    assert_null(info);
    assert_int_equal(error.err_code, 10052);
    st = nbj_stream_update(client, NBJ_STREAM_CONFIG(.name = "NONE"), NULL, NULL, &error);
    assert_int_equal(st, NBJ_E_STREAM_NOT_FOUND);
    assert_non_null(strstr(error.text, "NONE"));
}

/* A field that no server knows: refused by those that are strict, left out by the others. The stream is not kept. */
static void test_unknown_fields(void **state)
{
    (void)state;
    nbj_stream_info *info = NULL;
    nbj_error error = { 0 };
    const nbj_stream_config *strange =
        NBJ_STREAM_CONFIG(.name = "STRANGE", .more_json = "{\"from_the_future\":{\"x\":1}}");

    assert_int_equal(nbj_stream_create(client, strange, NULL, &info, &error), NBJ_E_UNSUPPORTED);
    CHECK(error.text, strstr(error.text, "from_the_future") != NULL);
    assert_int_equal(error.err_code, ts_server_is_at_least(server, 2, 12, 0) ? 10025 : 0);
    assert_int_equal(nbj_stream_info_of(client, "STRANGE", NULL, NULL, &info, NULL), NBJ_E_STREAM_NOT_FOUND);
    assert_int_equal(nbj_stream_ensure(client, strange, NULL, &error), NBJ_E_UNSUPPORTED);
    assert_int_equal(nbj_stream_info_of(client, "STRANGE", NULL, NULL, &info, NULL), NBJ_E_STREAM_NOT_FOUND);

    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "STRANGE")));
    if (!ts_server_is_at_least(server, 2, 12, 0)) { /* one that was there is not deleted */
        assert_int_equal(nbj_stream_create(client, strange, NULL, &info, &error), NBJ_E_UNSUPPORTED);
        nbj_stream_info_release(info_of("STRANGE"));
    }
}

static void test_ensure(void **state)
{
    (void)state;
    nbj_error error = { 0 };
    nbj_stream_config *config = NBJ_STREAM_CONFIG(.name = "E", .subjects = NBJ_LIST("e.>"), .max_messages = 5,
                                                  .storage = NBJ_STORAGE_FILE, .max_bytes = NBJ_UNLIMITED);

    assert_int_equal(nbj_stream_ensure(client, config, NULL, &error), NBJ_OK);
    uint64_t sent = nbj_client_stats_of(client).out_msgs;
    assert_int_equal(nbj_stream_ensure(client, config, NULL, &error), NBJ_OK);
    assert_int_equal(nbj_stream_ensure(client, NBJ_STREAM_CONFIG(.name = "E"), NULL, &error), NBJ_OK);
    assert_int_equal(nbj_client_stats_of(client).out_msgs, sent + 2); /* it was only looked at */

    nbj_status st = nbj_stream_ensure(client,
                                      NBJ_STREAM_CONFIG(.name = "E", .subjects = NBJ_LIST("e.a"), .max_messages = 6,
                                                        .storage = NBJ_STORAGE_MEMORY, .no_ack = true),
                                      NULL, &error);
    assert_int_equal(st, NBJ_E_EXISTS_DIFFERENT);
    assert_string_equal(error.text,
                        "stream E exists with another configuration: subjects is [\"e.>\"], wanted [\"e.a\"]; "
                        "max_msgs is 5, wanted 6; storage is \"file\", wanted \"memory\" (cannot be "
                        "changed); no_ack is missing, wanted true");
    nbj_stream_info *info = info_of("E");
    assert_true(config_of(info).max_messages == 5);
    nbj_stream_info_release(info);
}

#define RACERS 4

static nbj_status ensure_often(void *arg)
{
    nbj_client *c = arg;
    nbj_status st = NBJ_OK;
    char name[20];

    for (int i = 0; i < 20 && st == NBJ_OK; i++) {
        snprintf(name, sizeof name, "R%d", i);
        st = nbj_stream_ensure(c,
                               NBJ_STREAM_CONFIG(.name = name, .storage = NBJ_STORAGE_MEMORY, .max_messages = 9,
                                                 .duplicate_window_ns = NBJ_SECONDS(9)),
                               NULL, NULL);
    }
    return st;
}

static void test_all_ensure_at_once(void **state)
{
    (void)state;
    worker w[RACERS];
    for (int i = 0; i < RACERS; i++)
        start(&w[i], ensure_often, open_one());
    for (int i = 0; i < RACERS; i++)
        assert_int_equal(finish(&w[i]), NBJ_OK);
}

static void test_delete(void **state)
{
    (void)state;
    nbj_error error = { 0 };
    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "D")));
    assert_int_equal(nbj_stream_delete(client, "D", NULL, &error), NBJ_OK);
    assert_int_equal(nbj_stream_delete(client, "D", NULL, &error), NBJ_E_STREAM_NOT_FOUND);
    assert_int_equal(error.err_code, 10059);
    assert_int_equal(nbj_stream_delete(client, "D.D", NULL, &error), NBJ_E_INVALID);
    assert_int_equal(nbj_stream_delete(client, NULL, NULL, &error), NBJ_E_INVALID);
}

/* --- what a server refuses --- */

typedef struct refusal {
    const nbj_stream_config *config;
    int err_code;
    int minor;       /* of the first version that refuses it */
    int before_2_11; /* its code there, where it is another one */
    nbj_status status;
} refusal;

static void check_refusals(const refusal *r, size_t count)
{
    for (size_t i = 0; i < count; i++) {
        char row[40];
        nbj_error error = { 0 };
        bool is_old = r[i].before_2_11 != 0 && !ts_server_is_at_least(server, 2, 11, 0);
        int want = is_old ? r[i].before_2_11 : r[i].err_code;
        snprintf(row, sizeof row, "row %zu, %d", i, want);
        if (!ts_server_is_at_least(server, 2, r[i].minor, 0))
            continue;
        CHECK(row, nbj_stream_create(client, r[i].config, NULL, NULL, &error) ==
                       (r[i].status != NBJ_OK ? r[i].status : NBJ_E_JS));
        CHECK(error.text, error.err_code == want);
        CHECK(row, strncmp(error.text, "stream X: ", 10) == 0);
    }
}

#define X(...) NBJ_STREAM_CONFIG(.name = "X", __VA_ARGS__)
#define OF_A(...) NBJ_SOURCE(.name = "A", __VA_ARGS__)

static void test_refusals(void **state)
{
    (void)state;
    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "A", .subjects = NBJ_LIST("a.>"), .max_messages = 5)));
    const refusal limits[] = {
        { X(.subjects = NBJ_LIST("x.*", "x.a")), 10052, 9, 0, NBJ_OK },
        { X(.subjects = NBJ_LIST("a.b")), 10065, 9, 0, NBJ_OK },
        { X(.subjects = NBJ_LIST("$JS.API.x")), 10052, 9, 0, NBJ_OK },
        { X(.duplicate_window_ns = 1), 10052, 9, 0, NBJ_OK },
        { X(.duplicate_window_ns = NBJ_SECONDS(9), .max_age_ns = NBJ_SECONDS(8)), 10052, 9, 0, NBJ_OK },
        { X(.max_age_ns = 1), 10052, 9, 0, NBJ_OK },
        { X(.replicas = 6), 10052, 9, 0, NBJ_OK },
        { X(.replicas = 3), 10074, 9, 0, NBJ_OK },
        { X(.storage = NBJ_STORAGE_MEMORY, .max_bytes = INT64_C(1) << 40), 10028, 9, 0, NBJ_OK },
        { X(.max_bytes = INT64_C(1) << 60), 10047, 9, 0, NBJ_OK },
        { X(.allow_rollup = true, .deny_purge = true), 10052, 9, 0, NBJ_OK },
        { X(.discard_new_per_subject = true), 10052, 9, 0, NBJ_OK },
        { X(.sealed = true), 10052, 9, 0, NBJ_OK },
        { X(.republish_source = "x..", .republish_destination = "y"), 10052, 9, 0, NBJ_OK },
        { X(.transform_source = "x.*", .transform_destination = "y.$2"), 10156, 10, 10049, NBJ_OK },
        { X(.subject_delete_marker_ttl_ns = 5), 10052, 11, 0, NBJ_OK },
        { X(.allow_msg_counter = true, .allow_msg_ttl = true), 10052, 12, 0, NBJ_OK },
        { X(.persist_mode = NBJ_PERSIST_ASYNC, .allow_atomic = true), 10052, 12, 0, NBJ_OK },
        { X(.allow_batched = true, .mirror = OF_A(.start_sequence = 1)), 10209, 14, 0, NBJ_OK },
        { X(.pedantic = true, .mirror = OF_A(.start_sequence = 1), .mirror_direct = true), 10157, 11, 0, NBJ_OK },
        { X(.more_json = "{\"name\":\"Y\"}"), 10056, 9, 0, NBJ_OK },
        { X(.more_json = "{\"max_msgs\":\"five\"}"), 10025, 9, 0, NBJ_E_UNSUPPORTED },
        { NBJ_STREAM_CONFIG(.name = "X", .more_json = "{\"newer\":1}"), 10025, 12, 0, NBJ_E_UNSUPPORTED },
    };
    check_refusals(limits, COUNT(limits));
    const refusal others[] = {
        { X(.mirror = OF_A(.start_sequence = 1), .sources = NBJ_SOURCES(OF_A(.start_sequence = 1))), 10031, 9, 0,
          NBJ_OK },
        { X(.mirror = OF_A(.start_sequence = 1), .subjects = NBJ_LIST("x")), 10034, 9, 0, NBJ_OK },
        { X(.mirror = OF_A(.external_api = "$JS.API", .external_deliver = "$JS.API")), 10021, 9, 0, NBJ_OK },
        { X(.mirror = OF_A(.external_api = "$JS.X.API", .external_deliver = "d.*")), 10024, 9, 0, NBJ_OK },
        { X(.mirror = NBJ_SOURCE(.name = "X")), 10052, 9, 0, NBJ_OK },
        { X(.mirror = NBJ_SOURCE(.name = "a.b")), 10142, 10, 0, NBJ_OK },
        { X(.sources = NBJ_SOURCES(NBJ_SOURCE(.name = "a.b"))), 10141, 10, 0, NBJ_OK },
        { X(.sources = NBJ_SOURCES(NBJ_SOURCE(.name = "A"), NBJ_SOURCE(.name = "A"))), 10140, 10, 0, NBJ_OK },
        { X(.sources = NBJ_SOURCES(OF_A(.filter_subject = "a..b"))), 10049, 10, 0, NBJ_OK },
        { X(.sources = NBJ_SOURCES(OF_A(.subject_transforms = NBJ_PAIRS({ "a.>", "" }, { "a.b", "" })))), 10147, 10, 0,
          NBJ_OK },
        { X(.mirror = OF_A(.filter_subject = "a.b", .subject_transforms = NBJ_PAIRS({ "a.b", "c" }))), 10150, 10, 0,
          NBJ_OK },
        { X(.mirror = OF_A(.subject_transforms = NBJ_PAIRS({ "a..b", "c" }))), 10151, 10, 0, NBJ_OK },
        { X(.mirror = OF_A(.subject_transforms = NBJ_PAIRS({ "a.>", "c.>" }, { "a.b", "d" }))), 10152, 10, 0, NBJ_OK },
    };
    check_refusals(others, COUNT(others));
}

static void test_updates_that_are_refused(void **state)
{
    (void)state;
    const struct {
        const nbj_stream_config *config;
        int err_code, minor;
    } rows[] = {
        { NBJ_STREAM_CONFIG(.name = "A", .storage = NBJ_STORAGE_MEMORY), 10052, 9 },
        { NBJ_STREAM_CONFIG(.name = "A", .retention = NBJ_RETENTION_WORK_QUEUE), 10052, 9 },
        { NBJ_STREAM_CONFIG(.name = "A", .reset = NBJ_LIST("deny_delete")), 10052, 9 },
        { NBJ_STREAM_CONFIG(.name = "A", .subjects = NBJ_LIST("b")), 10065, 9 },
        { NBJ_STREAM_CONFIG(.name = "A", .mirror = NBJ_SOURCE(.name = "B"), .reset = NBJ_LIST("subjects")), 10055, 9 },
        { NBJ_STREAM_CONFIG(.name = "A", .allow_msg_counter = true), 10052, 12 },
        { NBJ_STREAM_CONFIG(.name = "A", .persist_mode = NBJ_PERSIST_ASYNC), 10052, 12 },
    };
    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "A", .subjects = NBJ_LIST("a"), .deny_delete = true)));
    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "B", .subjects = NBJ_LIST("b"))));
    for (size_t i = 0; i < COUNT(rows); i++) {
        char row[40];
        nbj_error error = { 0 };
        snprintf(row, sizeof row, "row %zu", i);
        if (!ts_server_is_at_least(server, 2, rows[i].minor, 0))
            continue;
        CHECK(row, nbj_stream_update(client, rows[i].config, NULL, NULL, &error) == NBJ_E_JS);
        CHECK(error.text, error.err_code == rows[i].err_code);
    }
}

/* --- looking --- */

static void publish(const char *subject, int count)
{
    for (int i = 0; i < count; i++)
        assert_int_equal(nbj_publish(client, subject, nbj_str("12345"), NULL, NULL), NBJ_OK);
}

static uint64_t count_of(const nbj_stream_info *info, const char *subject)
{
    nbj_subject_count c;

    for (size_t i = 0; nbj_stream_info_subject(info, i, &c); i++) {
        if (strcmp(c.subject, subject) == 0)
            return c.messages;
    }
    return 0;
}

static void delete_message(const char *stream, uint64_t sequence)
{
    ts_raw *r = ts_raw_open(ts_server_port(server));
    char subject[64], body[64];

    snprintf(subject, sizeof subject, "$JS.API.STREAM.MSG.DELETE.%s", stream);
    snprintf(body, sizeof body, "{\"seq\":%llu,\"no_erase\":true}", (unsigned long long)sequence);
    CHECK(subject, strstr(ts_raw_request(r, subject, body, TS_RAW_MS), "true") != NULL);
    ts_raw_close(r);
}

static void test_info(void **state)
{
    (void)state;
    nbj_stream_info *info = NULL;
    nbj_error error = { 0 };
    nbj_subject_count none;
    uint64_t sequence;

    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "I", .subjects = NBJ_LIST("i.>"))));
    publish("i.a", 3);
    publish("i.b.c", 2);
    delete_message("I", 2);
    delete_message("I", 4);
    info = info_of("I");
    nbj_stream_state s = nbj_stream_info_state(info);
    assert_true(s.messages == 3 && s.first_sequence == 1 && s.last_sequence == 5 && s.deleted == 2 && s.subjects == 2);
    assert_true(s.bytes > 15 && s.lost == 0 && s.first_time_ns > 0 && s.last_time_ns >= s.first_time_ns);
    assert_true(nbj_stream_info_created_ns(info) <= s.first_time_ns);
    assert_false(nbj_stream_info_subject(info, 0, &none) || nbj_stream_info_deleted(info, 0, &sequence));
    if (ts_server_is_at_least(server, 2, 10, 0)) {
        assert_true(nbj_stream_info_time_ns(info) >= s.last_time_ns);
        assert_string_not_equal(nbj_stream_info_cluster(info).leader, "");
    }
    nbj_stream_info_release(info);

    const nbj_stream_info_options *all = NBJ_STREAM_INFO(.subjects_filter = ">", .deleted_details = true);
    assert_int_equal(nbj_stream_info_of(client, "I", all, NULL, &info, &error), NBJ_OK);
    assert_true(count_of(info, "i.a") == 2 && count_of(info, "i.b.c") == 1);
    assert_true(nbj_stream_info_deleted(info, 0, &sequence) && sequence == 2);
    assert_true(nbj_stream_info_deleted(info, 1, &sequence) && sequence == 4);
    assert_false(nbj_stream_info_deleted(info, 2, &sequence));
    nbj_stream_info_release(info);
    assert_int_equal(nbj_stream_info_of(client, "I", NBJ_STREAM_INFO(.subjects_filter = "i.*"), NULL, &info, NULL),
                     NBJ_OK);
    assert_true(count_of(info, "i.a") == 2 && !nbj_stream_info_subject(info, 1, &none));
    nbj_stream_info_release(info);

    assert_int_equal(nbj_stream_info_of(client, "NONE", NULL, NULL, &info, &error), NBJ_E_STREAM_NOT_FOUND);
    assert_null(info);
    assert_int_equal(error.code, 404);
    assert_int_equal(nbj_stream_info_of(client, "NO NE", NULL, NULL, &info, &error), NBJ_E_INVALID);
}

/* A mirror and a source come to have what their origins have. */
static void test_mirror_and_source(void **state)
{
    (void)state;
    nbj_stream_source_info m = { 0 };

    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "O", .subjects = NBJ_LIST("o"))));
    publish("o", 4);
    nbj_stream_info_release(
        create(NBJ_STREAM_CONFIG(.name = "M", .mirror = NBJ_SOURCE(.name = "O", .start_sequence = 2))));
    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "S", .sources = NBJ_SOURCES(NBJ_SOURCE(.name = "O")))));
    uint64_t have = 0, taken = 0;
    for (nbj_time until = ts_now() + SOON; (have < 3 || taken < 4) && ts_now() < until; ts_breathe()) {
        nbj_stream_info *mirror = info_of("M"), *source = info_of("S");
        have = nbj_stream_info_state(mirror).messages;
        taken = nbj_stream_info_state(source).messages;
        assert_true(nbj_stream_info_mirror(mirror, &m));
        assert_string_equal(m.name, "O");
        assert_true(nbj_stream_info_source(source, 0, &m) && !nbj_stream_info_source(source, 1, &m));
        assert_false(nbj_stream_info_mirror(source, &m) || nbj_stream_info_source(mirror, 0, &m));
        nbj_stream_info_release(mirror);
        nbj_stream_info_release(source);
    }
    assert_true(have == 3 && taken == 4);
}

static void test_by_subject(void **state)
{
    (void)state;
    nbj_error error = { 0 };
    char name[256], small[3];

    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "ORDERS", .subjects = NBJ_LIST("order.*", "return.>"))));
    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "OTHER", .subjects = NBJ_LIST("other"))));
    assert_int_equal(nbj_stream_by_subject(client, "return.a.b", NULL, name, sizeof name, &error), NBJ_OK);
    assert_string_equal(name, "ORDERS");
    assert_int_equal(nbj_stream_by_subject(client, "order.a.b", NULL, name, sizeof name, &error), NBJ_E_NO_STREAM);
    assert_string_equal(name, "");
    assert_non_null(strstr(error.text, "order.a.b"));
    assert_int_equal(nbj_stream_by_subject(client, "order.*", NULL, name, sizeof name, &error), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj_stream_by_subject(client, "other", NULL, small, sizeof small, &error), NBJ_E_FULL);
    assert_string_equal(small, "OT");
    assert_int_equal(nbj_stream_by_subject(client, "other", NULL, small, 0, &error), NBJ_E_INVALID);
}

static size_t count_names(const char *subject)
{
    nbj_names *names = NULL;
    nbj_error error = { 0 };

    if (nbj_stream_names(client, subject, NULL, &names, &error) != NBJ_OK)
        TS_FAIL("names: %s", nbj_error_text(&error));
    nbj_list list = nbj_names_list(names);
    for (size_t i = 1; i < list.count; i++) /* each once */
        assert_true(strcmp(list.items[i - 1], list.items[i]) < 0);
    nbj_names_release(names);
    return list.count;
}

static size_t count_listed(const char *subject)
{
    nbj_stream_iter *it = nbj_stream_list(client, subject, NBJ_CALL(.timeout_ns = SOON));
    nbj_stream_unavailable u;
    char before[256] = "";
    nbj_error error = { 0 };
    size_t n = 0;

    for (const nbj_stream_info *s; (s = nbj_stream_next(it)) != NULL; n++) {
        assert_true(strcmp(before, nbj_stream_info_name(s)) < 0);
        snprintf(before, sizeof before, "%s", nbj_stream_info_name(s));
    }
    assert_null(nbj_stream_next(it));
    assert_false(nbj_stream_iter_unavailable(it, 0, &u));
    if (nbj_stream_iter_end(it, &error) != NBJ_OK)
        TS_FAIL("list: %s", nbj_error_text(&error));
    return n;
}

static void test_list(void **state)
{
    (void)state;
    assert_int_equal(count_names(NULL), 0);
    assert_int_equal(count_listed(NULL), 0);
    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "A", .subjects = NBJ_LIST("l.a"))));
    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "B", .subjects = NBJ_LIST("l.b"))));
    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "C", .subjects = NBJ_LIST("m.c"))));
    assert_int_equal(count_names(NULL), 3);
    assert_int_equal(count_names("l.*"), 2);
    assert_int_equal(count_names("none"), 0);
    assert_int_equal(count_listed(NULL), 3);
    assert_int_equal(count_listed("l.*"), 2);
    assert_int_equal(count_listed("none"), 0);

    nbj_error error = { 0 };
    nbj_stream_iter *it = nbj_stream_list(client, "bad..subject", NULL);
    assert_null(nbj_stream_next(it));
    assert_int_equal(nbj_stream_iter_end(it, &error), NBJ_E_BAD_SUBJECT);
    assert_int_equal(error.status, NBJ_E_BAD_SUBJECT);
    it = nbj_stream_list(client, NULL, NBJ_CALL(.domain = "nowhere"));
    assert_null(nbj_stream_next(it));
    assert_int_equal(nbj_stream_iter_end(it, &error), NBJ_E_NO_RESPONDERS);
    it = nbj_stream_list(client, NULL, &(nbj_call_options){ .struct_size = 1 });
    assert_null(nbj_stream_next(it));
    assert_int_equal(nbj_stream_iter_end(it, NULL), NBJ_E_INVALID);
    it = nbj_stream_list(client, NULL, NULL); /* not to its end, and one is kept */
    nbj_stream_info *kept = nbj_stream_info_retain(nbj_stream_next(it));
    assert_non_null(nbj_stream_next(it));
    assert_int_equal(nbj_stream_iter_end(it, &error), NBJ_OK);
    assert_string_equal(nbj_stream_info_name(kept), "A");
    nbj_stream_info_release(kept);
    assert_null(nbj_stream_next(NULL));
    assert_int_equal(nbj_stream_iter_end(NULL, &error), NBJ_E_NOMEM);
}

#define MANY 1100 /* more than a page of names, and four of streams */

static void note_list(void *user, nbj_status status, nbj_stream_iter *streams, const nbj_error *e)
{
    ts_tally *tally = user;

    (void)e;
    if (status == NBJ_OK) {
        while (nbj_stream_next(streams) != NULL)
            ts_tally_add(tally, 1);
    }
    ts_tally_add(tally, 10000);
}

/* Of the newest server only: it takes a while. */
static void test_pages(void **state)
{
    (void)state;
    ts_tally tally;
    char name[20];

    if (!ts_server_is_at_least(server, 2, 11, 0))
        return;
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "P%d", i);
        assert_int_equal(
            nbj_stream_ensure(client, NBJ_STREAM_CONFIG(.name = name, .storage = NBJ_STORAGE_MEMORY), NULL, NULL),
            NBJ_OK);
    }
    assert_int_equal(count_names(NULL), MANY);
    assert_int_equal(count_listed(NULL), MANY);
    ts_tally_init(&tally);
    assert_int_equal(nbj_stream_list_async(client, NULL, NBJ_CALL(.timeout_ns = SOON), note_list, &tally), NBJ_OK);
    TALLY_AWAIT(&tally, 10000, SOON_MS);
    assert_int_equal(ts_tally_count(&tally), 10000 + MANY);
    ts_tally_done(&tally);
    for (int i = 0; i < MANY; i++) {
        snprintf(name, sizeof name, "P%d", i);
        assert_int_equal(nbj_stream_delete(client, name, NULL, NULL), NBJ_OK);
    }
}

/* --- removing --- */

static uint64_t purge(const nbj_purge_options *what)
{
    uint64_t purged = 99;
    nbj_error error = { 0 };

    if (nbj_stream_purge(client, "P", what, NULL, &purged, &error) != NBJ_OK)
        TS_FAIL("purge: %s", nbj_error_text(&error));
    return purged;
}

static void test_purge(void **state)
{
    (void)state;
    nbj_error error = { 0 };
    uint64_t purged = 99;

    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "P", .subjects = NBJ_LIST("p.*"))));
    publish("p.a", 10);
    publish("p.b", 10);
    assert_true(purge(NBJ_PURGE(.below_sequence = 4)) == 3);
    assert_true(purge(NBJ_PURGE(.filter = "p.a", .keep = 5)) == 2);
    assert_true(purge(NBJ_PURGE(.filter = "p.b", .below_sequence = 13)) == 2);
    bool counts_missing = !ts_server_is_at_least(server, 2, 10, 0);
    assert_true(purge(NBJ_PURGE(.keep = 12)) == (counts_missing ? 3 : 1));
    assert_true(purge(NBJ_PURGE(.filter = "p.none")) == 0);
    assert_true(purge(NBJ_PURGE(.filter = "p.b")) == 8);
    assert_true(purge(NULL) == (counts_missing ? 2 : 4));
    nbj_status st = nbj_stream_purge(client, "P", NBJ_PURGE(.below_sequence = 1, .keep = 1), NULL, &purged, &error);
    assert_int_equal(st, NBJ_E_INVALID);
    assert_true(purged == 0);
    assert_int_equal(nbj_stream_purge(client, "NONE", NULL, NULL, &purged, &error), NBJ_E_STREAM_NOT_FOUND);
    assert_int_equal(nbj_stream_purge(client, "P", NBJ_PURGE(.filter = "a b"), NULL, NULL, NULL), NBJ_E_BAD_SUBJECT);

    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "DENY", .deny_purge = true)));
    assert_int_equal(nbj_stream_purge(client, "DENY", NULL, NULL, &purged, &error), NBJ_E_JS);
    assert_int_equal(error.err_code, 10110);
}

static void test_seal(void **state)
{
    (void)state;
    nbj_error error = { 0 };

    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "SEAL", .max_messages = 5)));
    publish("SEAL", 1);
    assert_int_equal(nbj_stream_seal(client, "SEAL", NULL, &error), NBJ_OK);
    nbj_stream_info *info = info_of("SEAL");
    nbj_stream_config c = config_of(info);
    assert_true(c.sealed && c.max_messages == 5);
    nbj_stream_info_release(info);
    nbj_publish_result r;
    assert_int_equal(nbj_publish(client, "SEAL", nbj_str("x"), NULL, &r), NBJ_E_JS);
    assert_int_equal(r.error.err_code, 10109);
    assert_int_equal(nbj_stream_purge(client, "SEAL", NULL, NULL, NULL, &error), NBJ_E_JS);
    assert_true(error.err_code == 10109 || error.err_code == 10110);
    assert_int_equal(nbj_stream_seal(client, "NONE", NULL, &error), NBJ_E_STREAM_NOT_FOUND);
}

/* What is for clusters says so. */
static void test_without_a_cluster(void **state)
{
    (void)state;
    nbj_error error = { 0 };

    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "ALONE")));
    assert_int_equal(nbj_stream_step_down(client, "ALONE", NULL, NULL, &error), NBJ_E_JS);
    assert_int_equal(error.err_code, 10010);
    assert_int_equal(nbj_stream_step_down(client, "ALONE", NBJ_STEP_DOWN(.preferred = "x"), NULL, &error),
                     ts_server_is_at_least(server, 2, 11, 0) ? NBJ_E_JS : NBJ_E_UNSUPPORTED);
    assert_int_equal(nbj_stream_peer_remove(client, "ALONE", "x", NULL, &error), NBJ_E_JS);
    assert_int_equal(error.err_code, 10010);
}

/* --- the account, and other APIs than ours --- */

static void test_account(void **state)
{
    (void)state;
    nbj_account_info *info = NULL;
    nbj_error error = { 0 };

    nbj_stream_info_release(create(NBJ_STREAM_CONFIG(.name = "X", .storage = NBJ_STORAGE_MEMORY)));
    publish("X", 3);
    assert_int_equal(nbj_account_info_of(client, NULL, &info, &error), NBJ_OK);
    nbj_account_usage u = nbj_account_info_usage(info);
    assert_true(u.streams == 1 && u.consumers == 0 && u.memory > 15 && u.max_streams == -1 && !u.max_bytes_required);
    assert_true(nbj_account_info_api(info).total > 0);
    assert_int_equal(nbj_account_info_api(info).level > 0, ts_server_is_at_least(server, 2, 11, 0));
    assert_string_equal(nbj_account_info_domain(info), "");
    assert_non_null(strstr(nbj_account_info_json(info), "\"limits\""));
    nbj_account_info_release(info);
}

#define ACCOUNTS                                                                                      \
    "accounts: {\n"                                                                                   \
    "  A: { jetstream: enabled, users: [{ user: a, password: a }],\n"                                 \
    "       exports: [{ service: \"$JS.API.>\" }, { stream: \"given.>\" }] }\n"                       \
    "  B: { users: [{ user: b, password: b }],\n"                                                     \
    "       imports: [{ service: { account: A, subject: \"$JS.API.>\" }, to: \"FROM.A.API.>\" }] }\n" \
    "  C: { jetstream: { max_streams: 1 }, users: [{ user: c, password: c }] }\n"                     \
    "}\n"

static nbj_client *open_as(const ts_server *s, const char *who, const char *prefix)
{
    return open_with(
        NBJ_CLIENT_OPTIONS(.url = ts_server_url(s), .user = who, .password = who, .js_api_prefix = prefix));
}

/* All calls with |options| reach the API where stream D is. */
static void check_reaches(nbj_client *c, const nbj_call_options *options, const char *domain)
{
    nbj_error error = { 0 };
    nbj_stream_info *info = NULL;
    nbj_account_info *account = NULL;
    nbj_names *names = NULL;
    char name[256];

    const nbj_stream_config *config = NBJ_STREAM_CONFIG(.name = "D", .subjects = NBJ_LIST("d.>"), .max_messages = 9);
    if (nbj_stream_ensure(c, config, options, &error) != NBJ_OK)
        TS_FAIL("ensure: %s", nbj_error_text(&error));
    assert_int_equal(nbj_stream_info_of(c, "D", NULL, options, &info, &error), NBJ_OK);
    assert_string_equal(nbj_stream_info_domain(info), domain);
    nbj_stream_info_release(info);
    assert_int_equal(nbj_stream_update(c, NBJ_STREAM_CONFIG(.name = "D", .description = "d"), options, NULL, &error),
                     NBJ_OK);
    assert_int_equal(nbj_stream_names(c, NULL, options, &names, &error), NBJ_OK);
    assert_int_equal(nbj_names_list(names).count, 1);
    nbj_names_release(names);
    assert_int_equal(nbj_stream_by_subject(c, "d.x", options, name, sizeof name, &error), NBJ_OK);
    assert_string_equal(name, "D");
    nbj_stream_iter *it = nbj_stream_list(c, NULL, options);
    assert_non_null(nbj_stream_next(it));
    assert_int_equal(nbj_stream_iter_end(it, &error), NBJ_OK);
    assert_int_equal(nbj_stream_purge(c, "D", NULL, options, NULL, &error), NBJ_OK);
    assert_int_equal(nbj_account_info_of(c, options, &account, &error), NBJ_OK);
    assert_string_equal(nbj_account_info_domain(account), domain);
    nbj_account_info_release(account);
}

static void test_domain_and_prefix(void **state)
{
    (void)state;
    ts_server *s = ts_server_start(&(ts_server_options){ .config = ACCOUNTS, .jetstream = true, .domain = "hub" });
    nbj_client *a = open_as(s, "a", NULL), *b = open_as(s, "b", NULL), *c = open_as(s, "c", NULL);
    nbj_stream_info *info = NULL;
    nbj_account_info *account = NULL;
    nbj_error error = { 0 };

    check_reaches(a, NULL, "hub");
    check_reaches(a, NBJ_CALL(.domain = "hub"), "hub");
    check_reaches(b, NBJ_CALL(.api_prefix = "FROM.A.API"), "hub");
    check_reaches(open_as(s, "b", "FROM.A.API"), NULL, "hub");
    assert_int_equal(nbj_stream_info_of(a, "D", NULL, NBJ_CALL(.domain = "elsewhere"), &info, &error),
                     NBJ_E_NO_RESPONDERS);
    assert_int_equal(nbj_stream_info_of(b, "D", NULL, NULL, &info, &error), NBJ_E_JS_DISABLED);
    assert_int_equal(error.err_code, 10039); /* for this account */
    assert_int_equal(nbj_account_info_of(b, NULL, &account, &error), NBJ_E_JS_DISABLED);
    assert_null(account);
    if (nbj_stream_create(c, NBJ_STREAM_CONFIG(.name = "ONE"), NULL, NULL, &error) != NBJ_OK)
        TS_FAIL("create: %s", nbj_error_text(&error));
    assert_int_equal(nbj_stream_create(c, NBJ_STREAM_CONFIG(.name = "TWO"), NULL, NULL, &error), NBJ_E_JS);
    assert_int_equal(error.err_code, 10027); /* its limit of streams */
    assert_int_equal(nbj_stream_delete(b, "D", NBJ_CALL(.api_prefix = "FROM.A.API"), &error), NBJ_OK);
    give_back(a);
    give_back(b);
    give_back(c);
    ts_server_free(s);
}

static void test_without_jetstream(void **state)
{
    (void)state;
    ts_server *s = ts_server_start(NULL);
    nbj_client *c = open_with(NBJ_CLIENT_OPTIONS(.url = ts_server_url(s)));
    nbj_account_info *account = NULL;
    nbj_names *names = NULL;

    assert_int_equal(nbj_account_info_of(c, NULL, &account, NULL), NBJ_E_NO_RESPONDERS);
    assert_int_equal(nbj_stream_names(c, NULL, NULL, &names, NULL), NBJ_E_NO_RESPONDERS);
    assert_null(names);
    assert_int_equal(nbj_stream_delete(c, "S", NULL, NULL), NBJ_E_NO_RESPONDERS);
    give_back(c);
    ts_server_free(s);
}

/* --- with callbacks --- */

typedef struct told {
    ts_tally calls;
    nbj_status status;
    char text[500];
    uint64_t number;
    nbj_stream_info *kept;
} told;

static void on_done(void *user, nbj_status status, const nbj_error *error)
{
    told *t = user;

    t->status = status;
    snprintf(t->text, sizeof t->text, "%s", error != NULL ? nbj_error_text(error) : "");
    ts_tally_add(&t->calls, 1);
}

static void on_info(void *user, nbj_status status, const nbj_stream_info *info, const nbj_error *error)
{
    told *t = user;

    if (info != NULL)
        t->kept = nbj_stream_info_retain(info);
    on_done(user, status, error);
}

static void on_purged(void *user, nbj_status status, uint64_t purged, const nbj_error *error)
{
    ((told *)user)->number = purged;
    on_done(user, status, error);
}

static void on_names(void *user, nbj_status status, const nbj_names *names, const nbj_error *error)
{
    ((told *)user)->number = names != NULL ? nbj_names_list(names).count : 99;
    on_done(user, status, error);
}

static void on_name(void *user, nbj_status status, const char *name, const nbj_error *error)
{
    ((told *)user)->number = name != NULL ? strlen(name) : 99;
    on_done(user, status, error);
}

static void on_account(void *user, nbj_status status, const nbj_account_info *info, const nbj_error *error)
{
    ((told *)user)->number = info != NULL ? nbj_account_info_usage(info).streams : 99;
    on_done(user, status, error);
}

static nbj_status await(told *t, nbj_status begun)
{
    assert_int_equal(begun, NBJ_OK);
    TALLY_AWAIT(&t->calls, 1, SOON_MS);
    t->calls.count = 0;
    assert_int_equal(t->text[0] == '\0', t->status == NBJ_OK);
    return t->status;
}

static void test_callbacks(void **state)
{
    (void)state;
    told t = { 0 };
    const nbj_stream_config *a = NBJ_STREAM_CONFIG(.name = "A", .subjects = NBJ_LIST("a.*"), .max_messages = 5);

    ts_tally_init(&t.calls);
    assert_int_equal(await(&t, nbj_stream_create_async(client, a, NULL, on_info, &t)), NBJ_OK);
    assert_string_equal(nbj_stream_info_name(t.kept), "A");
    nbj_stream_info_release(t.kept);
    assert_int_equal(await(&t, nbj_stream_ensure_async(client, a, NULL, on_done, &t)), NBJ_OK);
    assert_int_equal(
        await(&t, nbj_stream_update_async(client, NBJ_STREAM_CONFIG(.name = "A", .max_bytes = 500), NULL, on_info, &t)),
        NBJ_OK);
    assert_true(config_of(t.kept).max_bytes == 500);
    nbj_stream_info_release(t.kept);
    publish("a.x", 2);
    assert_int_equal(
        await(&t, nbj_stream_info_of_async(client, "A", NBJ_STREAM_INFO(.subjects_filter = ">"), NULL, on_info, &t)),
        NBJ_OK);
    assert_true(count_of(t.kept, "a.x") == 2);
    nbj_stream_info_release(t.kept);
    t.kept = NULL;
    assert_int_equal(await(&t, nbj_stream_names_async(client, NULL, NULL, on_names, &t)), NBJ_OK);
    assert_true(t.number == 1);
    assert_int_equal(await(&t, nbj_stream_by_subject_async(client, "a.b", NULL, on_name, &t)), NBJ_OK);
    assert_true(t.number == 1);
    assert_int_equal(await(&t, nbj_stream_by_subject_async(client, "b", NULL, on_name, &t)), NBJ_E_NO_STREAM);
    assert_int_equal(await(&t, nbj_stream_purge_async(client, "A", NBJ_PURGE(.keep = 1), NULL, on_purged, &t)), NBJ_OK);
    assert_true(t.number == 1);
    assert_int_equal(await(&t, nbj_account_info_of_async(client, NULL, on_account, &t)), NBJ_OK);
    assert_true(t.number == 1);
    assert_int_equal(await(&t, nbj_stream_step_down_async(client, "A", NULL, NULL, on_done, &t)), NBJ_E_JS);
    assert_int_equal(await(&t, nbj_stream_peer_remove_async(client, "A", "p", NULL, on_done, &t)), NBJ_E_JS);
    assert_int_equal(await(&t, nbj_stream_seal_async(client, "A", NULL, on_done, &t)), NBJ_OK);
    assert_int_equal(await(&t, nbj_stream_delete_async(client, "A", NULL, on_done, &t)), NBJ_OK);
    assert_int_equal(await(&t, nbj_stream_delete_async(client, "A", NULL, on_done, &t)), NBJ_E_STREAM_NOT_FOUND);
    assert_non_null(strstr(t.text, "stream A: "));
    assert_int_equal(await(&t, nbj_stream_info_of_async(client, "A", NULL, NULL, on_info, &t)), NBJ_E_STREAM_NOT_FOUND);
    assert_null(t.kept);
    assert_int_equal(nbj_stream_create_async(client, NBJ_STREAM_CONFIG(.name = ""), NULL, on_info, &t), NBJ_E_INVALID);
    assert_int_equal(nbj_stream_create_async(client, a, NULL, NULL, &t), NBJ_E_INVALID);
    assert_int_equal(nbj_stream_names_async(client, "a..", NULL, on_names, &t), NBJ_E_BAD_SUBJECT);
    ts_tally_done(&t.calls);
}

/* Under a loop nothing waits. */
static void test_under_a_loop(void **state)
{
    (void)state;
    nbj_client *c = NULL;
    nbj_stream_info *info = NULL;
    nbj_account_info *account = NULL;
    nbj_error error = { 0 };

    assert_int_equal(nbj_loop_open(&c, NBJ_CLIENT_OPTIONS(.url = ts_server_url(server)), NULL), NBJ_OK);
    assert_int_equal(nbj_stream_create(c, NBJ_STREAM_CONFIG(.name = "A"), NULL, &info, &error), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_stream_purge(c, "A", NULL, NULL, NULL, &error), NBJ_E_WOULD_BLOCK);
    assert_int_equal(nbj_account_info_of(c, NULL, &account, &error), NBJ_E_WOULD_BLOCK);
    nbj_stream_iter *it = nbj_stream_list(c, NULL, NULL);
    assert_null(nbj_stream_next(it));
    assert_int_equal(nbj_stream_iter_end(it, NULL), NBJ_E_WOULD_BLOCK);
    nbj_client_release(c);
}

#define STREAM_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_client, delete_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_every_field),
        STREAM_TEST(test_create),
        STREAM_TEST(test_update),
        STREAM_TEST(test_unknown_fields),
        STREAM_TEST(test_ensure),
        STREAM_TEST(test_all_ensure_at_once),
        STREAM_TEST(test_delete),
        STREAM_TEST(test_refusals),
        STREAM_TEST(test_updates_that_are_refused),
        STREAM_TEST(test_info),
        STREAM_TEST(test_mirror_and_source),
        STREAM_TEST(test_by_subject),
        STREAM_TEST(test_list),
        STREAM_TEST(test_pages),
        STREAM_TEST(test_purge),
        STREAM_TEST(test_seal),
        STREAM_TEST(test_without_a_cluster),
        STREAM_TEST(test_account),
        STREAM_TEST(test_domain_and_prefix),
        STREAM_TEST(test_without_jetstream),
        STREAM_TEST(test_callbacks),
        STREAM_TEST(test_under_a_loop),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
