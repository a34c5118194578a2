/* SPDX-License-Identifier: Apache-2.0 */
/* The table of a stream's configuration: js/stream_config.h, js/fields.h. */
#include "js/stream_config.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static nbj__json *want(const nbj_stream_config *c)
{
    nbj__json *doc = NULL;
    nbj_error error = { 0 };

    if (nbj__stream_config_want(&nbj__malloc_allocator, c, &doc, &error) != NBJ_OK)
        TS_FAIL("%s", error.text);
    return doc;
}

static void expect(const nbj_stream_config *c, const char *json)
{
    nbj__json *doc = want(c);

    assert_string_equal((const char *)nbj__json_written(doc).ptr, json);
    nbj__json_free(doc);
}

/* --- writing --- */

/* Every field, with a value that is not its default. */
static const nbj_stream_config *everything(void)
{
    static const char *const subjects[] = { "a.>", "b" };
    static const char *const tags[] = { "ssd", "eu" };
    static const nbj_pair pairs[] = { { "k\"", "v" }, { "empty", "" } };
    static const nbj_pair moves[] = { { "x.*", "y.$1" }, { "z", "" } };
    static const nbj_stream_source mirror = { .struct_size = sizeof mirror, .name = "M", .start_sequence = 9 };
    static const nbj_stream_source first = { .struct_size = sizeof first,
                                             .name = "A",
                                             .filter_subject = "a.b",
                                             .start_time_ns = 1767323045120000000,
                                             .external_api = "$JS.hub.API",
                                             .external_deliver = "deliver" };
    static const nbj_stream_source second = { .struct_size = sizeof second,
                                              .name = "B",
                                              .subject_transforms = { moves, 2 },
                                              .consumer_name = "C",
                                              .consumer_deliver_subject = "d.c" };
    static const nbj_stream_source *const sources[] = { &first, &second };
    static const nbj_stream_config all = {
        .struct_size = sizeof all,
        .name = "S",
        .subjects = { subjects, 2 },
        .retention = NBJ_RETENTION_WORK_QUEUE,
        .storage = NBJ_STORAGE_MEMORY,
        .max_messages = 1,
        .max_bytes = 2,
        .max_age_ns = 3,
        .duplicate_window_ns = 4,
        .replicas = 5,
        .description = "d\n",
        .max_consumers = 6,
        .max_messages_per_subject = 7,
        .max_message_bytes = 8,
        .discard = NBJ_DISCARD_NEW,
        .compression = NBJ_COMPRESSION_S2,
        .persist_mode = NBJ_PERSIST_ASYNC,
        .first_sequence = UINT64_MAX,
        .subject_delete_marker_ttl_ns = 10,
        .placement_cluster = "east",
        .placement_tags = { tags, 2 },
        .mirror = &mirror,
        .sources = { sources, 2 },
        .republish_source = "rs",
        .republish_destination = "rd",
        .transform_source = "ts",
        .transform_destination = "td",
        .consumer_inactive_threshold_ns = 11,
        .consumer_max_ack_pending = 12,
        .metadata = { pairs, 2 },
        .republish_headers_only = true,
        .no_ack = true,
        .discard_new_per_subject = true,
        .sealed = true,
        .deny_delete = true,
        .deny_purge = true,
        .allow_rollup = true,
        .allow_direct = true,
        .mirror_direct = true,
        .allow_msg_ttl = true,
        .allow_msg_counter = true,
        .allow_atomic = true,
        .allow_msg_schedules = true,
        .allow_batched = true,
        .pedantic = true,
    };
    return &all;
}

#define EVERYTHING                                                                                                      \
    "{\"name\":\"S\",\"description\":\"d\\n\",\"subjects\":[\"a.>\",\"b\"],\"retention\":\"workqueue\","                \
    "\"max_consumers\":6,\"max_msgs\":1,\"max_bytes\":2,\"max_age\":3,\"max_msgs_per_subject\":7,\"max_msg_size\":8,"   \
    "\"discard\":\"new\",\"discard_new_per_subject\":true,\"storage\":\"memory\",\"num_replicas\":5,\"no_ack\":true,"   \
    "\"duplicate_window\":4,\"placement\":{\"cluster\":\"east\",\"tags\":[\"ssd\",\"eu\"]},\"mirror\":{\"name\":\"M\"," \
    "\"opt_start_seq\":9},\"sources\":[{\"name\":\"A\",\"opt_start_time\":\"2026-01-02T03:04:05.12Z\","                 \
    "\"filter_subject\":\"a.b\",\"external\":{\"api\":\"$JS.hub.API\",\"deliver\":\"deliver\"}},{\"name\":\"B\","       \
    "\"subject_transforms\":[{\"src\":\"x.*\",\"dest\":\"y.$1\"},{\"src\":\"z\",\"dest\":\"\"}],\"consumer\":{"         \
    "\"name\":\"C\",\"deliver_subject\":\"d.c\"}}],\"sealed\":true,\"deny_delete\":true,\"deny_purge\":true,"           \
    "\"allow_rollup_hdrs\":true,\"allow_direct\":true,\"mirror_direct\":true,\"republish\":{\"src\":\"rs\","            \
    "\"dest\":\"rd\",\"headers_only\":true},\"subject_transform\":{\"src\":\"ts\",\"dest\":\"td\"},"                    \
    "\"compression\":\"s2\",\"first_seq\":18446744073709551615,\"consumer_limits\":{\"inactive_threshold\":11,"         \
    "\"max_ack_pending\":12},\"metadata\":{\"k\\\"\":\"v\",\"empty\":\"\"},\"allow_msg_ttl\":true,"                     \
    "\"subject_delete_marker_ttl\":10,\"allow_msg_counter\":true,\"allow_atomic\":true,\"allow_msg_schedules\":true,"   \
    "\"persist_mode\":\"async\",\"allow_batched\":true,\"pedantic\":true}"

static void test_writing(void **state)
{
    (void)state;
    expect(NBJ_STREAM_CONFIG(.name = "S"), "{\"name\":\"S\"}");
    expect(everything(), EVERYTHING);
    expect(NBJ_STREAM_CONFIG(.name = "S", .max_messages = NBJ_UNLIMITED, .max_age_ns = NBJ_FOREVER, .description = ""),
           "{\"name\":\"S\",\"description\":\"\",\"max_msgs\":-1,\"max_age\":0}");
    expect(NBJ_STREAM_CONFIG(.name = "S", .mirror = NBJ_SOURCE(.name = "O", .domain = "hub")),
           "{\"name\":\"S\",\"mirror\":{\"name\":\"O\",\"external\":{\"api\":\"$JS.hub.API\"}}}");
    expect(NBJ_STREAM_CONFIG(.name = "S", .max_bytes = 5, .more_json = "{\"max_bytes\":6,\"new\":{\"a\":[null]}}",
                             .reset = NBJ_LIST("max_age", "newer")),
           "{\"name\":\"S\",\"max_bytes\":6,\"new\":{\"a\":[null]},\"max_age\":null,\"newer\":null}");
}

static void test_what_cannot_be(void **state)
{
    (void)state;
    struct {
        const char *name;
        const nbj_stream_config *config;
        nbj_status status;
        const char *says;
    } bad[] = {
        { "none", NULL, NBJ_E_INVALID, "name" },
        { "no name", NBJ_STREAM_CONFIG(.replicas = 1), NBJ_E_INVALID, "not a legal name of a stream: \"\"" },
        { "name", NBJ_STREAM_CONFIG(.name = "a.b"), NBJ_E_INVALID, "\"a.b\"" },
        { "subject", NBJ_STREAM_CONFIG(.name = "S", .subjects = NBJ_LIST("a", "b..c")), NBJ_E_BAD_SUBJECT, "\"b..c\"" },
        { "no subject", NBJ_STREAM_CONFIG(.name = "S", .subjects = NBJ_LIST(NULL)), NBJ_E_BAD_SUBJECT, "\"\"" },
        { "enum", NBJ_STREAM_CONFIG(.name = "S", .discard = (nbj_discard)3), NBJ_E_INVALID, "its discard" },
        { "enum", NBJ_STREAM_CONFIG(.name = "S", .storage = (nbj_storage)-1), NBJ_E_INVALID, "its storage" },
        { "time", NBJ_STREAM_CONFIG(.name = "S", .max_age_ns = UINT64_MAX - 1), NBJ_E_INVALID, "its max_age" },
        { "tag", NBJ_STREAM_CONFIG(.name = "S", .placement_tags = NBJ_LIST(NULL)), NBJ_E_INVALID, "its tags" },
        { "pair", NBJ_STREAM_CONFIG(.name = "S", .metadata = NBJ_PAIRS({ "a", NULL })), NBJ_E_INVALID, "its metadata" },
        { "source", NBJ_STREAM_CONFIG(.name = "S", .sources = NBJ_SOURCES(NULL)), NBJ_E_INVALID, "its sources" },
        { "domain", NBJ_STREAM_CONFIG(.name = "S", .mirror = NBJ_SOURCE(.name = "O", .domain = "a.b")), NBJ_E_INVALID,
          "its domain" },
        { "both", NBJ_STREAM_CONFIG(.name = "S", .mirror = NBJ_SOURCE(.name = "O", .domain = "h", .external_api = "x")),
          NBJ_E_INVALID, "its api" },
        { "json", NBJ_STREAM_CONFIG(.name = "S", .more_json = "[]"), NBJ_E_INVALID, "its more_json" },
        { "reset", NBJ_STREAM_CONFIG(.name = "S", .max_bytes = 1, .reset = NBJ_LIST("max_bytes")), NBJ_E_INVALID,
          "its reset" },
        { "reset", NBJ_STREAM_CONFIG(.name = "S", .reset = NBJ_LIST(NULL)), NBJ_E_INVALID, "its reset" },
        { "version", &(nbj_stream_config){ .struct_size = 1 }, NBJ_E_INVALID, "of another version" },
        { "source's version", NBJ_STREAM_CONFIG(.name = "S", .mirror = &(nbj_stream_source){ .name = "O" }),
          NBJ_E_INVALID, "its mirror" },
    };
    for (size_t i = 0; i < COUNT(bad); i++) {
        nbj__json *doc = (nbj__json *)bad;
        nbj_error error = { 0 };
        nbj_status st = nbj__stream_config_want(&nbj__malloc_allocator, bad[i].config, &doc, &error);
        CHECK(bad[i].name, st == bad[i].status && error.status == st && doc == NULL);
        CHECK(error.text, strstr(error.text, bad[i].says) != NULL);
        CHECK(bad[i].name, nbj__stream_config_want(&nbj__malloc_allocator, bad[i].config, &doc, NULL) == st);
    }
}

/* --- reading back --- */

static nbj_status read_back(const nbj__json *doc, nbj__arena *arena, nbj_stream_config *out)
{
    *out = (nbj_stream_config){ .struct_size = sizeof *out };
    return nbj__fields_read(&nbj__stream_fields, doc, arena, out);
}

/* Read and written again it is the same document. */
static void round_trip(const nbj_stream_config *c)
{
    nbj__json *doc = want(c);
    nbj__arena arena;
    nbj_stream_config back;

    nbj__arena_init(&arena, &nbj__malloc_allocator);
    assert_int_equal(read_back(doc, &arena, &back), NBJ_OK);
    expect(&back, (const char *)nbj__json_written(doc).ptr);
    nbj__json_free(doc);
    nbj__arena_free(&arena);
}

static void test_reading(void **state)
{
    (void)state;
    nbj__arena arena;
    nbj_stream_config c;
    nbj__json *doc = NULL;
    round_trip(NBJ_STREAM_CONFIG(.name = "S"));
    round_trip(everything());

    nbj__arena_init(&arena, &nbj__malloc_allocator);
    assert_int_equal(nbj__json_parse(nbj_str(EVERYTHING), &doc), NBJ_OK);
    assert_int_equal(read_back(doc, &arena, &c), NBJ_OK);
    assert_string_equal(c.name, "S");
    assert_int_equal(c.retention, NBJ_RETENTION_WORK_QUEUE);
    assert_int_equal(c.sources.count, 2);
    assert_int_equal(c.sources.items[0]->struct_size, sizeof(nbj_stream_source));
    assert_true(c.sources.items[0]->start_time_ns == 1767323045120000000);
    assert_string_equal(c.sources.items[1]->subject_transforms.items[0].second, "y.$1");
    assert_string_equal(c.metadata.items[1].first, "empty");
    assert_true(c.allow_batched && c.pedantic && c.republish_headers_only);
    nbj__json_free(doc);
    nbj__arena_free(&arena);
}

/* Whatever a server may say. */
static void test_reading_nonsense(void **state)
{
    (void)state;
    static const char *const texts[] = {
        "{\"name\":5,\"subjects\":{\"a\":1},\"retention\":\"newer\",\"max_msgs\":\"1\",\"max_msg_size\":99999999999,"
        "\"num_replicas\":99999999999,\"mirror\":[1],\"sources\":[null,5,{\"name\":7,\"opt_start_time\":\"x\"}],"
        "\"metadata\":{\"a\":1},\"placement\":[],\"republish\":5,\"first_seq\":-1,\"sealed\":1}",
        "{\"subjects\":[1,null,\"x\"],\"sources\":{},\"metadata\":[],\"consumer_limits\":null,\"max_msg_size\":-9e9}",
    };
    for (size_t i = 0; i < COUNT(texts); i++) {
        nbj__arena arena;
        nbj_stream_config c;
        nbj__json *doc = NULL;
        nbj__arena_init(&arena, &nbj__malloc_allocator);
        assert_int_equal(nbj__json_parse(nbj_str(texts[i]), &doc), NBJ_OK);
        assert_int_equal(read_back(doc, &arena, &c), NBJ_OK);
        assert_int_equal(c.retention, 0);
        assert_true(c.name == NULL && c.mirror == NULL && !c.sealed && c.first_sequence == 0);
        if (i == 0) {
            assert_int_equal(c.max_message_bytes, INT32_MAX);
            assert_int_equal(c.replicas, UINT32_MAX);
            assert_int_equal(c.sources.count, 3);
            assert_null(c.sources.items[2]->name);
            assert_string_equal(c.metadata.items[0].second, "");
        } else {
            assert_int_equal(c.subjects.count, 3);
            assert_string_equal(c.subjects.items[0], "");
            assert_string_equal(c.subjects.items[2], "x");
        }
        nbj__json_free(doc);
        nbj__arena_free(&arena);
    }
}

/* --- any configuration --- */

static uint64_t seed;

static uint64_t below(uint64_t n)
{
    seed += 0x9e3779b97f4a7c15u;
    uint64_t z = (seed ^ seed >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return (z ^ z >> 31) % n;
}

static const char *any_text(void)
{
    static const char *const texts[] = {
        "", "x", "a.b.>", "with \"quotes\" and \\", "\xc3\xa4\xe2\x82\xac", "\x01\t/"
    };

    return texts[below(COUNT(texts))];
}

/* Sets the field that |f| says, of the struct at |to|, to something. */
static void set_any(const nbj__field *f, void *to)
{
    static const nbj_pair pairs[] = { { "a", "b" }, { "\"", "" }, { "c", "d" } };
    static const char *const texts[] = { "one", "two", "" };
    static const nbj_stream_source plain = { .struct_size = sizeof plain, .name = "P", .filter_subject = "f" };
    static const nbj_stream_source *const sources[] = { &plain, &plain };
    unsigned char *at = (unsigned char *)to + f->offset;
    const nbj__fields *part = f->more;
    const char *text = any_text();
    const nbj_stream_source *source = &plain;
    uint32_t number = (uint32_t)(1 + below(2));
    int64_t big = (int64_t)(1 + below(INT64_MAX));
    bool yes = true;

    switch (f->kind) {
    case NBJ__FIELD_TEXT:
        memcpy(at, &text, sizeof text);
        return;
    case NBJ__FIELD_TEXTS:
        memcpy(at, &(nbj_list){ texts, 1 + below(3) }, sizeof(nbj_list));
        return;
    case NBJ__FIELD_BOOL:
        memcpy(at, &yes, sizeof yes);
        return;
    case NBJ__FIELD_I32:
    case NBJ__FIELD_U32:
    case NBJ__FIELD_ENUM:
        memcpy(at, &number, sizeof number);
        return;
    case NBJ__FIELD_I64:
    case NBJ__FIELD_U64:
    case NBJ__FIELD_DURATION:
    case NBJ__FIELD_TIME:
        memcpy(at, &big, sizeof big);
        return;
    case NBJ__FIELD_PAIRS:
    case NBJ__FIELD_TRANSFORMS:
        memcpy(at, &(nbj_pairs){ pairs, 1 + below(3) }, sizeof(nbj_pairs));
        return;
    case NBJ__FIELD_PART:
        for (size_t i = 0; i < part->count; i++) {
            if (below(2) == 0)
                set_any(&part->items[i], to);
        }
        return;
    case NBJ__FIELD_STRUCT:
        memcpy(at, &source, sizeof(void *));
        return;
    case NBJ__FIELD_STRUCTS:
        memcpy(at, &(nbj_source_list){ sources, 1 + below(2) }, sizeof(nbj_source_list));
        return;
    case NBJ__FIELD_DOMAIN:
        return;
    }
}

static void test_any(void **state)
{
    (void)state;
    for (seed = 1; seed < 3000; seed += 7) {
        uint64_t begun = seed;
        nbj_stream_config c = { .struct_size = sizeof c };
        for (size_t i = 0; i < nbj__stream_fields.count; i++) {
            if (below(3) == 0)
                set_any(&nbj__stream_fields.items[i], &c);
        }
        c.name = "ANY";
        static const char *const subjects[] = { "any.>" };
        if (c.subjects.count > 0)
            c.subjects = (nbj_list){ subjects, 1 };
        round_trip(&c);
        nbj__json *doc = want(&c);
        char said[100];
        nbj__text t = nbj__text_into(said, sizeof said);
        assert_int_equal(nbj__fields_differ(&nbj__stream_fields, doc, doc, &t), 0);
        nbj__json_free(doc);
        seed = begun;
    }
}

/* --- what differs --- */

static void test_differences(void **state)
{
    (void)state;
    static const struct {
        const char *want, *has, *says; /* "": equal */
    } cases[] = {
        { "{\"max_msgs\":5}", "{\"max_msgs\":5,\"more\":1}", "" },
        { "{\"max_msgs\":5}", "{\"max_msgs\":6}", "max_msgs is 6, wanted 5" },
        { "{\"max_msgs\":5}", "{}", "max_msgs is missing, wanted 5" },
        { "{\"max_msgs\":-1,\"max_msg_size\":-1,\"num_replicas\":1,\"storage\":\"file\",\"discard\":\"old\"}", "{}",
          "" },
        { "{\"compression\":\"none\",\"persist_mode\":\"default\",\"retention\":\"limits\"}", "{}", "" },
        { "{\"storage\":\"memory\"}", "{\"storage\":\"file\"}",
          "storage is \"file\", wanted \"memory\" (cannot be changed)" },
        { "{\"allow_direct\":false,\"max_age\":0}", "{}", "" },
        { "{\"allow_direct\":true}", "{\"allow_direct\":false}", "allow_direct is false, wanted true" },
        { "{\"allow_direct\":true,\"max_age\":7}", "{}",
          "allow_direct is missing, wanted true; max_age is missing, wanted 7" },
        { "{\"mirror_direct\":true,\"pedantic\":true}", "{\"mirror_direct\":false}", "" },
        { "{\"max_age\":null}", "{\"max_age\":5}", "" },
        { "{\"subjects\":[\"a\"]}", "{\"subjects\":[\"a\",\"b\"]}", "subjects is [\"a\",\"b\"], wanted [\"a\"]" },
        { "{\"subjects\":[\"a\",\"b\"]}", "{\"subjects\":[\"b\",\"a\"]}",
          "subjects is [\"b\",\"a\"], wanted [\"a\",\"b\"]" },
        { "{\"metadata\":{\"k\":\"v\"}}", "{\"metadata\":{\"_nats.ver\":\"2\",\"k\":\"v\"}}", "" },
        { "{\"metadata\":{\"k\":\"v\"}}", "{\"metadata\":{\"k\":\"w\"}}",
          "metadata is {\"k\":\"w\"}, wanted {\"k\":\"v\"}" },
        { "{\"mirror\":{\"name\":\"A\",\"opt_start_time\":\"2026-01-02T03:04:05.120000000Z\"}}",
          "{\"mirror\":{\"name\":\"A\",\"opt_start_time\":\"2026-01-02T04:04:05.12+01:00\"}}", "" },
        { "{\"mirror\":{\"name\":\"A\",\"opt_start_time\":\"2026-01-02T03:04:05Z\"}}",
          "{\"mirror\":{\"name\":\"A\",\"opt_start_time\":\"2026-01-02T03:04:06Z\"}}",
          "mirror is {\"name\":\"A\",\"opt_start_time\":\"2026-01-02T03:04:06Z\"}, wanted "
          "{\"name\":\"A\",\"opt_start_time\":\"2026-01-02T03:04:05Z\"}" },
        { "{\"sources\":[{\"name\":\"A\",\"subject_transforms\":[{\"src\":\"a\",\"dest\":\"\"}]}]}",
          "{\"sources\":[{\"name\":\"A\",\"subject_transforms\":[{\"src\":\"a\"}],\"external\":null}]}", "" },
        { "{\"sources\":[{\"name\":\"A\",\"consumer\":{\"name\":\"c\"}}]}", "{\"sources\":[{\"name\":\"A\"}]}",
          "sources is [{\"name\":\"A\"}], wanted [{\"name\":\"A\",\"consumer\":{\"name\":\"c\"}}]" },
        { "{\"newer\":{\"a\":1}}", "{}", "newer is missing, wanted {\"a\":1}" },
        { "{\"newer\":0}", "{}", "" },
        { "{\"newer\":1.5}", "{\"newer\":1.5}", "" },
        { "{\"newer\":1.5}", "{\"newer\":1}", "newer is 1, wanted 1.5" },
        { "{\"first_seq\":18446744073709551615}", "{\"first_seq\":-1}",
          "first_seq is -1, wanted 18446744073709551615 (cannot be changed)" },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        char said[300];
        nbj__text t = nbj__text_into(said, sizeof said);
        nbj__json *w = NULL, *h = NULL;
        assert_int_equal(nbj__json_parse(nbj_str(cases[i].want), &w), NBJ_OK);
        assert_int_equal(nbj__json_parse(nbj_str(cases[i].has), &h), NBJ_OK);
        CHECK(cases[i].want, (nbj__fields_differ(&nbj__stream_fields, w, h, &t) > 0) == (cases[i].says[0] != '\0'));
        assert_string_equal(said, cases[i].says);
        nbj__json_free(w);
        nbj__json_free(h);
    }
}

/* --- gates --- */

static nbj_status check_at(const nbj_stream_config *c, unsigned major, unsigned minor, unsigned patch, uint32_t *level,
                           nbj_error *error)
{
    nbj__js_where where = { .version = { major, minor, patch } };
    nbj__json *doc = want(c);

    *level = 0;
    nbj_status st = nbj__fields_check(&nbj__stream_fields, doc, &where, level, error);
    nbj__json_free(doc);
    return st;
}

static void test_gates(void **state)
{
    (void)state;
    const struct {
        const char *name;
        const nbj_stream_config *config;
        unsigned minor, patch; /* of the first version that has it */
        uint32_t level;
    } gates[] = {
        { "discard_new_per_subject", NBJ_STREAM_CONFIG(.name = "S", .discard_new_per_subject = true), 9, 1, 0 },
        { "republish", NBJ_STREAM_CONFIG(.name = "S", .republish_destination = "r"), 9, 0, 0 },
        { "direct get", NBJ_STREAM_CONFIG(.name = "S", .mirror_direct = true), 9, 0, 0 },
        { "compression", NBJ_STREAM_CONFIG(.name = "S", .compression = NBJ_COMPRESSION_S2), 10, 0, 0 },
        { "first_seq", NBJ_STREAM_CONFIG(.name = "S", .first_sequence = 2), 10, 0, 0 },
        { "consumer_limits", NBJ_STREAM_CONFIG(.name = "S", .consumer_max_ack_pending = 2), 10, 0, 0 },
        { "metadata", NBJ_STREAM_CONFIG(.name = "S", .metadata = NBJ_PAIRS({ "a", "b" })), 10, 0, 0 },
        { "subject transforms", NBJ_STREAM_CONFIG(.name = "S", .transform_destination = "t"), 10, 0, 0 },
        { "subject transforms",
          NBJ_STREAM_CONFIG(.name = "S",
                            .mirror = NBJ_SOURCE(.name = "M", .subject_transforms = NBJ_PAIRS({ "a", "b" }))),
          10, 0, 0 },
        { "allow_msg_ttl", NBJ_STREAM_CONFIG(.name = "S", .allow_msg_ttl = true), 11, 0, 1 },
        { "subject_delete_marker_ttl", NBJ_STREAM_CONFIG(.name = "S", .subject_delete_marker_ttl_ns = 1), 11, 0, 1 },
        { "pedantic", NBJ_STREAM_CONFIG(.name = "S", .pedantic = true), 11, 0, 1 },
        { "counter", NBJ_STREAM_CONFIG(.name = "S", .allow_msg_counter = true), 12, 0, 2 },
        { "atomic", NBJ_STREAM_CONFIG(.name = "S", .allow_atomic = true), 12, 0, 2 },
        { "schedules", NBJ_STREAM_CONFIG(.name = "S", .allow_msg_schedules = true), 12, 0, 2 },
        { "persist_mode", NBJ_STREAM_CONFIG(.name = "S", .persist_mode = NBJ_PERSIST_ASYNC), 12, 0, 2 },
        { "fast ingest", NBJ_STREAM_CONFIG(.name = "S", .allow_batched = true), 14, 0, 4 },
        { "a consumer of their own",
          NBJ_STREAM_CONFIG(.name = "S", .sources = NBJ_SOURCES(NBJ_SOURCE(.name = "A", .consumer_name = "C"))), 14, 0,
          4 },
        { "by its name in JSON", NBJ_STREAM_CONFIG(.name = "S", .more_json = "{\"allow_batched\":true}"), 14, 0, 4 },
        { "what it is anyway",
          NBJ_STREAM_CONFIG(.name = "S", .compression = NBJ_COMPRESSION_NONE, .persist_mode = NBJ_PERSIST_DEFAULT), 0,
          0, 0 },
        { "nothing", NBJ_STREAM_CONFIG(.name = "S", .max_bytes = 1, .reset = NBJ_LIST("allow_batched")), 0, 0, 0 },
    };
    for (size_t i = 0; i < COUNT(gates); i++) {
        nbj_error error = { 0 };
        uint32_t level;
        CHECK(gates[i].name, check_at(gates[i].config, 2, gates[i].minor, gates[i].patch, &level, &error) == NBJ_OK);
        CHECK(gates[i].name, level == gates[i].level);
        CHECK(gates[i].name, check_at(gates[i].config, 0, 0, 0, &level, &error) == NBJ_OK); /* nobody knows */
        if (gates[i].minor == 0) {
            CHECK(gates[i].name, check_at(gates[i].config, 2, 2, 0, &level, &error) == NBJ_OK);
            continue;
        }
        unsigned before = gates[i].patch > 0 ? gates[i].minor : gates[i].minor - 1;
        CHECK(gates[i].name, check_at(gates[i].config, 2, before, 0, &level, &error) == NBJ_E_UNSUPPORTED);
        CHECK(error.text, strstr(error.text, " needs nats-server 2.") != NULL);
    }
}

/* --- without memory --- */

static void test_without_memory(void **state)
{
    (void)state;
    size_t n = 0;
    for (bool failed = true; failed; n++) {
        ts_alloc mem;
        nbj__json *doc = NULL;
        nbj__arena arena;
        nbj_stream_config back;
        ts_alloc_init(&mem, n, false);
        nbj_status st = nbj__stream_config_want(&mem.allocator, everything(), &doc, NULL);
        if (st == NBJ_OK) {
            nbj__arena_init(&arena, &mem.allocator);
            st = read_back(doc, &arena, &back);
            nbj__arena_free(&arena);
        }
        failed = mem.failed > 0;
        assert_int_equal(st, failed ? NBJ_E_NOMEM : NBJ_OK);
        nbj__json_free(doc);
        ts_alloc_done(&mem);
    }
    assert_true(n > 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_writing), cmocka_unit_test(test_what_cannot_be),
        cmocka_unit_test(test_reading), cmocka_unit_test(test_reading_nonsense),
        cmocka_unit_test(test_any),     cmocka_unit_test(test_differences),
        cmocka_unit_test(test_gates),   cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
