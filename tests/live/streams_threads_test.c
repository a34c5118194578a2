/* SPDX-License-Identifier: Apache-2.0 */
/* Streams on a real server: every field of the configuration set and read back, what older servers lack, creating,
 * changing and ensuring. */
#define _GNU_SOURCE
#include "threaded.h"

#include "raw.h"

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

#define STREAM_TEST(fn) cmocka_unit_test_setup_teardown(fn, open_client, delete_all)

int main(void)
{
    const struct CMUnitTest tests[] = {
        STREAM_TEST(test_every_field),    STREAM_TEST(test_create), STREAM_TEST(test_update),
        STREAM_TEST(test_unknown_fields), STREAM_TEST(test_ensure), STREAM_TEST(test_all_ensure_at_once),
        STREAM_TEST(test_delete),
    };

    return cmocka_run_group_tests(tests, start_server, stop_server);
}
