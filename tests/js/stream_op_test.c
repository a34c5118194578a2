/* SPDX-License-Identifier: Apache-2.0 */
/* Calls about streams against a server of a few lines: what is asked, octet for octet, and what comes of the answers:
 * js/stream_op.h, js/stream_list.h. */
#include "js/account_op.h"
#include "js/stream_list.h"
#include "js/stream_op.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static const nbj__js_where newest = { .prefix = "$JS.API", .version = { 2, 15, 1 }, .api_level = 5 };

/* One request that has to be made, and its answer; NULL: |status|. */
typedef struct turn {
    const char *subject, *body, *answer;
    nbj_status status;
} turn;

static nbj_error error;

/* Plays |turns|, as many as the op wants, which has to be all of them; returns how it ends. */
static nbj_status play(nbj__op *op, const nbj__js_where *where, const turn *turns, size_t count)
{
    assert_non_null(op);
    op->where = *where;
    error = (nbj_error){ 0 };
    nbj_status st = op->step(op, NBJ_OK, NULL, &error);
    for (size_t i = 0; i < count; i++) {
        CHECK(turns[i].subject, st == NBJ_MORE);
        assert_string_equal(op->subject, turns[i].subject);
        nbj_bytes body = nbj__buf_view(&op->body);
        if (!nbj_bytes_equal(body, nbj_str(turns[i].body)))
            TS_FAIL("%s\ngot  %.*s\nwant %s", turns[i].subject, NBJ_FMT(body), turns[i].body);
        nbj_msg msg = { .payload = nbj_str(turns[i].answer) };
        st = op->step(op, turns[i].status, turns[i].answer != NULL ? &msg : NULL, &error);
    }
    CHECK(error.text, st != NBJ_MORE);
    return st;
}

#define PLAY(op, ...) play((op), &newest, (const turn[]){ __VA_ARGS__ }, COUNT(((const turn[]){ __VA_ARGS__ })))

#define NOT_FOUND "{\"error\":{\"code\":404,\"err_code\":10059,\"description\":\"stream not found\"}}"
#define IN_USE "{\"error\":{\"code\":400,\"err_code\":10058,\"description\":\"stream name already in use\"}}"

static nbj__op *put(nbj__stream_put how, const nbj_stream_config *config)
{
    nbj__op *op = NULL;

    assert_int_equal(nbj__stream_put_new(&nbj__malloc_allocator, how, config, &op, &error), NBJ_OK);
    return op;
}

/* --- create --- */

static void test_create(void **state)
{
    (void)state;
    nbj__op *op = put(NBJ__STREAM_CREATE, NBJ_STREAM_CONFIG(.name = "S", .max_bytes = 5));
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.CREATE.S", "{\"name\":\"S\",\"max_bytes\":5}",
                                "{\"config\":{\"name\":\"S\",\"max_bytes\":5},\"new\":1}", NBJ_OK }),
                     NBJ_OK);
    nbj_stream_info *info = nbj__stream_op_take_info(op);
    assert_string_equal(nbj_stream_info_name(info), "S");
    assert_string_equal(nbj_stream_info_json(info), "{\"config\":{\"name\":\"S\",\"max_bytes\":5},\"new\":1}");
    nbj__op_free(op);
    assert_ptr_equal(nbj_stream_info_retain(info), info);
    nbj_stream_info_release(info);
    nbj_stream_info_release(info);
}

/* A field that a server may leave out: it is seen first whether there is a stream, so that it can be undone. */
static void test_a_field_is_left_out(void **state)
{
    (void)state;
    const nbj_stream_config *ttl = NBJ_STREAM_CONFIG(.name = "S", .allow_msg_ttl = true);
    const char *body = "{\"name\":\"S\",\"allow_msg_ttl\":true}";
    const char *without = "{\"config\":{\"name\":\"S\"},\"state\":{\"messages\":0}}";
    for (int how = NBJ__STREAM_CREATE; how <= NBJ__STREAM_ENSURE; how += 2) {
        nbj__op *op = put((nbj__stream_put)how, ttl);
        assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", NOT_FOUND, NBJ_OK },
                              { "$JS.API.STREAM.CREATE.S", body, without, NBJ_OK },
                              { "$JS.API.STREAM.DELETE.S", "", "{\"success\":true}", NBJ_OK }),
                         NBJ_E_UNSUPPORTED);
        assert_non_null(strstr(error.text, "allow_msg_ttl is missing, wanted true"));
        nbj__op_free(op);
    }
    nbj__op *op = put(NBJ__STREAM_CREATE, ttl); /* it was there */
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", without, NBJ_OK },
                          { "$JS.API.STREAM.CREATE.S", body, without, NBJ_OK }),
                     NBJ_E_UNSUPPORTED);
    assert_int_equal(op->required_level, 1);
    nbj__op_free(op);
    op = put(NBJ__STREAM_CREATE, ttl); /* somebody has used it already */
    assert_int_equal(
        PLAY(op, { "$JS.API.STREAM.INFO.S", "", NOT_FOUND, NBJ_OK },
             { "$JS.API.STREAM.CREATE.S", body, "{\"config\":{\"name\":\"S\"},\"state\":{\"messages\":1}}", NBJ_OK }),
        NBJ_E_UNSUPPORTED);
    nbj__op_free(op);
    op = put(NBJ__STREAM_CREATE, ttl); /* the error is told, whatever deleting comes to */
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", NOT_FOUND, NBJ_OK },
                          { "$JS.API.STREAM.CREATE.S", body, without, NBJ_OK },
                          { "$JS.API.STREAM.DELETE.S", "", NULL, NBJ_E_TIMEOUT }),
                     NBJ_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "allow_msg_ttl"));
    nbj__op_free(op);
}

static void test_an_old_server_is_not_asked(void **state)
{
    (void)state;
    nbj__js_where old = { .prefix = "$JS.API", .version = { 2, 10, 27 } };
    for (int how = NBJ__STREAM_CREATE; how <= NBJ__STREAM_ENSURE; how++) {
        nbj__op *op = put((nbj__stream_put)how, NBJ_STREAM_CONFIG(.name = "S", .allow_atomic = true));
        assert_int_equal(play(op, &old, NULL, 0), NBJ_E_UNSUPPORTED);
        assert_string_equal(error.text, "atomic batches needs nats-server 2.12.0 or newer; this one is 2.10.27");
        nbj__op_free(op);
    }
    nbj__op *op = NULL;
    assert_int_equal(
        nbj__stream_step_down_new(&nbj__malloc_allocator, "S", NBJ_STEP_DOWN(.preferred = "n1"), &op, NULL), NBJ_OK);
    assert_int_equal(play(op, &old, NULL, 0), NBJ_E_UNSUPPORTED);
    nbj__op_free(op);
    old.version = (nbj__server_version){ 2, 2, 6 };
    assert_int_equal(nbj__stream_purge_new(&nbj__malloc_allocator, "S", NBJ_PURGE(.keep = 1), &op, NULL), NBJ_OK);
    assert_int_equal(play(op, &old, NULL, 0), NBJ_E_UNSUPPORTED); /* it would remove all */
    nbj__op_free(op);
}

/* --- ensure --- */

static void test_ensure(void **state)
{
    (void)state;
    const nbj_stream_config *five = NBJ_STREAM_CONFIG(.name = "S", .max_messages = 5);
    const char *body = "{\"name\":\"S\",\"max_msgs\":5}";
    const char *same = "{\"config\":{\"name\":\"S\",\"max_msgs\":5,\"newer\":[]}}";
    const char *other = "{\"config\":{\"name\":\"S\",\"max_msgs\":6}}";
    nbj__op *op = put(NBJ__STREAM_ENSURE, five);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", same, NBJ_OK }), NBJ_OK);
    nbj__op_free(op);
    op = put(NBJ__STREAM_ENSURE, five);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", other, NBJ_OK }), NBJ_E_EXISTS_DIFFERENT);
    assert_string_equal(error.text, "stream S exists with another configuration: max_msgs is 6, wanted 5");
    nbj__op_free(op);
    op = put(NBJ__STREAM_ENSURE, five); /* somebody else was faster, and wants the same */
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", NOT_FOUND, NBJ_OK },
                          { "$JS.API.STREAM.CREATE.S", body, IN_USE, NBJ_OK },
                          { "$JS.API.STREAM.INFO.S", "", same, NBJ_OK }),
                     NBJ_OK);
    nbj__op_free(op);
    op = put(NBJ__STREAM_ENSURE, five); /* … or not */
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", NOT_FOUND, NBJ_OK },
                          { "$JS.API.STREAM.CREATE.S", body, IN_USE, NBJ_OK },
                          { "$JS.API.STREAM.INFO.S", "", other, NBJ_OK }),
                     NBJ_E_EXISTS_DIFFERENT);
    nbj__op_free(op);
    op = put(NBJ__STREAM_ENSURE, five); /* it comes and goes: not for ever */
    assert_int_equal(
        PLAY(op, { "$JS.API.STREAM.INFO.S", "", NOT_FOUND, NBJ_OK },
             { "$JS.API.STREAM.CREATE.S", body, IN_USE, NBJ_OK }, { "$JS.API.STREAM.INFO.S", "", NOT_FOUND, NBJ_OK },
             { "$JS.API.STREAM.CREATE.S", body, IN_USE, NBJ_OK }, { "$JS.API.STREAM.INFO.S", "", NOT_FOUND, NBJ_OK },
             { "$JS.API.STREAM.CREATE.S", body, IN_USE, NBJ_OK }),
        NBJ_E_EXISTS_DIFFERENT);
    assert_int_equal(error.err_code, 10058);
    nbj__op_free(op);
    op = put(NBJ__STREAM_ENSURE, five);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", NULL, NBJ_E_NO_RESPONDERS }), NBJ_E_NO_RESPONDERS);
    nbj__op_free(op);
}

/* --- update --- */

/* What the server has and nobody here knows is written back as it was. */
static void test_update_keeps_what_it_does_not_know(void **state)
{
    (void)state;
    nbj__op *op = put(NBJ__STREAM_UPDATE,
                      NBJ_STREAM_CONFIG(.name = "S", .max_messages = 7, .placement_cluster = "b",
                                        .metadata = NBJ_PAIRS({ "mine", "2" }), .reset = NBJ_LIST("max_age", "odd"),
                                        .more_json = "{\"newer\":{\"b\":3}}"));
    assert_int_equal(
        PLAY(op,
             { "$JS.API.STREAM.INFO.S", "",
               "{\"config\":{\"name\":\"S\",\"max_msgs\":5,\"max_age\":9,\"newer\":{\"a\":[1,2.50],\"b\":2},\"odd\":1,"
               "\"newest\":18446744073709551615,\"placement\":{\"cluster\":\"a\",\"zone\":\"z\"},"
               "\"metadata\":{\"theirs\":\"1\",\"mine\":\"1\"}},\"state\":{}}",
               NBJ_OK },
             { "$JS.API.STREAM.UPDATE.S",
               "{\"name\":\"S\",\"max_msgs\":7,\"newer\":{\"a\":[1,2.50],\"b\":3},\"newest\":18446744073709551615,"
               "\"placement\":{\"cluster\":\"b\",\"zone\":\"z\"},\"metadata\":{\"theirs\":\"1\",\"mine\":\"2\"}}",
               "{\"config\":{\"name\":\"S\",\"max_msgs\":7,\"newer\":{\"b\":3},\"placement\":{\"cluster\":\"b\"},"
               "\"metadata\":{\"mine\":\"2\"}}}",
               NBJ_OK }),
        NBJ_OK);
    nbj__op_free(op);
}

static void test_update_fails(void **state)
{
    (void)state;
    const nbj_stream_config *seven = NBJ_STREAM_CONFIG(.name = "S", .max_messages = 7);
    nbj__op *op = put(NBJ__STREAM_UPDATE, seven);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", NOT_FOUND, NBJ_OK }), NBJ_E_STREAM_NOT_FOUND);
    nbj__op_free(op);
    op = put(NBJ__STREAM_UPDATE, seven);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", "{\"config\":{\"name\":\"S\"}}", NBJ_OK },
                          { "$JS.API.STREAM.UPDATE.S", "{\"name\":\"S\",\"max_msgs\":7}",
                            "{\"config\":{\"name\":\"S\",\"max_msgs\":6}}", NBJ_OK }),
                     NBJ_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "max_msgs is 6, wanted 7"));
    nbj__op_free(op);
    static const char *const strange[] = { "{}", "{\"config\":[]}", "[]", "", "{\"config\":{\"name\":5}}" };
    for (size_t i = 0; i < COUNT(strange); i++) {
        op = put(NBJ__STREAM_ENSURE, NBJ_STREAM_CONFIG(.name = "S", .more_json = "{\"name\":5}"));
        CHECK(strange[i], PLAY(op, { "$JS.API.STREAM.INFO.S", "", strange[i], NBJ_OK }) == NBJ_E_BAD_REPLY);
        nbj__op_free(op);
    }
}

/* --- info --- */

static void test_info_of_many_subjects(void **state)
{
    (void)state;
    nbj__op *op = NULL;
    nbj_subject_count count;
    uint64_t sequence;
    assert_int_equal(nbj__stream_info_of_new(&nbj__malloc_allocator, "S",
                                             NBJ_STREAM_INFO(.subjects_filter = "a.>", .deleted_details = true), &op,
                                             NULL),
                     NBJ_OK);
    assert_int_equal(
        PLAY(op,
             { "$JS.API.STREAM.INFO.S", "{\"subjects_filter\":\"a.>\",\"deleted_details\":true}",
               "{\"total\":5,\"offset\":0,\"limit\":2,\"config\":{\"name\":\"S\"},\"state\":{\"messages\":9,"
               "\"deleted\":[3,18446744073709551615],\"subjects\":{\"a.1\":1,\"a.2\":2}}}",
               NBJ_OK },
             { "$JS.API.STREAM.INFO.S", "{\"subjects_filter\":\"a.>\",\"offset\":2}",
               "{\"total\":5,\"offset\":2,\"limit\":2,\"state\":{\"subjects\":{\"a.3\":3,\"a.2\":7}}}", NBJ_OK },
             { "$JS.API.STREAM.INFO.S", "{\"subjects_filter\":\"a.>\",\"offset\":4}",
               "{\"total\":5,\"offset\":4,\"limit\":2,\"state\":{\"subjects\":{\"a.5\":5}}}", NBJ_OK }),
        NBJ_OK);
    nbj_stream_info *info = nbj__stream_op_take_info(op);
    nbj__op_free(op);
    static const nbj_subject_count want[] = { { "a.1", 1 }, { "a.2", 7 }, { "a.3", 3 }, { "a.5", 5 } };
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_true(nbj_stream_info_subject(info, i, &count));
        assert_string_equal(count.subject, want[i].subject);
        assert_int_equal(count.messages, want[i].messages);
    }
    assert_false(nbj_stream_info_subject(info, COUNT(want), &count) || count.subject != NULL);
    assert_true(nbj_stream_info_deleted(info, 0, &sequence) && sequence == 3);
    assert_true(nbj_stream_info_deleted(info, 1, &sequence) && sequence == UINT64_MAX);
    assert_false(nbj_stream_info_deleted(info, 2, &sequence) || sequence != 0);
    nbj_stream_info_release(info);

    assert_int_equal(
        nbj__stream_info_of_new(&nbj__malloc_allocator, "S", NBJ_STREAM_INFO(.subjects_filter = ">"), &op, NULL),
        NBJ_OK); /* subjects went away meanwhile */
    assert_int_equal(PLAY(op,
                          { "$JS.API.STREAM.INFO.S", "{\"subjects_filter\":\">\"}",
                            "{\"total\":5,\"config\":{\"name\":\"S\"},\"state\":{\"subjects\":{\"a\":1}}}", NBJ_OK },
                          { "$JS.API.STREAM.INFO.S", "{\"subjects_filter\":\">\",\"offset\":1}",
                            "{\"total\":5,\"state\":{}}", NBJ_OK }),
                     NBJ_OK);
    nbj__op_free(op);
}

#define FULL                                                                                                                  \
    "{\"config\":{\"name\":\"S\",\"num_replicas\":3},\"created\":\"2026-11-23T18:07:26.5Z\",\"ts\":\"2026-11-23T18:07:27Z\"," \
    "\"domain\":\"hub\",\"state\":{\"messages\":1,\"bytes\":2,\"first_seq\":3,\"first_ts\":\"2026-11-23T18:07:26Z\","         \
    "\"last_seq\":4,\"last_ts\":\"0001-01-01T00:00:00Z\",\"num_subjects\":5,\"num_deleted\":6,\"lost\":{\"msgs\":[1,2],"      \
    "\"bytes\":9},\"consumer_count\":7},\"cluster\":{\"name\":\"C\",\"raft_group\":\"G\",\"leader\":\"n1\","                  \
    "\"leader_since\":\"2026-11-23T18:07:25Z\",\"replicas\":[{\"name\":\"n2\",\"current\":true,\"active\":5,"                 \
    "\"peer\":\"p2\"},{\"name\":\"n3\",\"offline\":true,\"lag\":8,\"peer\":\"p3\"},null]},\"mirror\":{\"name\":\"M\","        \
    "\"lag\":9,\"active\":-1,\"error\":{\"code\":500,\"err_code\":10,\"description\":\"why\"}},\"sources\":[{"                \
    "\"name\":\"A\",\"active\":6,\"filter_subject\":\"f\",\"external\":{\"api\":\"x\"}}],\"alternates\":[{"                   \
    "\"name\":\"S\",\"domain\":\"d\",\"cluster\":\"C\"}]}"

static void test_all_that_is_said(void **state)
{
    (void)state;
    nbj__op *op = NULL;
    assert_int_equal(nbj__stream_info_of_new(&nbj__malloc_allocator, "S", NULL, &op, NULL), NBJ_OK);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.INFO.S", "", FULL, NBJ_OK }), NBJ_OK);
    nbj_stream_info *info = nbj__stream_op_take_info(op);
    nbj__op_free(op);

    nbj_stream_state s = nbj_stream_info_state(info);
    assert_true(s.messages == 1 && s.bytes == 2 && s.first_sequence == 3 && s.last_sequence == 4 && s.subjects == 5);
    assert_true(s.deleted == 6 && s.lost == 2 && s.consumers == 7 && s.last_time_ns == 0);
    assert_true(s.first_time_ns == 1795457246000000000 && nbj_stream_info_created_ns(info) == 1795457246500000000);
    assert_true(nbj_stream_info_time_ns(info) == 1795457247000000000);
    assert_string_equal(nbj_stream_info_domain(info), "hub");
    nbj_stream_cluster c = nbj_stream_info_cluster(info);
    assert_string_equal(c.name, "C");
    assert_string_equal(c.leader, "n1");
    assert_string_equal(c.raft_group, "G");
    assert_true(c.leader_since_ns == 1795457245000000000);

    nbj_stream_replica r;
    assert_true(nbj_stream_info_replica(info, 0, &r) && r.current && !r.offline && r.active_ns == 5 && r.lag == 0);
    assert_string_equal(r.peer, "p2");
    assert_true(nbj_stream_info_replica(info, 1, &r) && !r.current && r.offline && r.lag == 8);
    assert_string_equal(r.name, "n3");
    assert_false(nbj_stream_info_replica(info, 2, &r) || nbj_stream_info_replica(info, 3, &r) || r.name != NULL);
    nbj_stream_source_info m;
    assert_true(nbj_stream_info_mirror(info, &m) && m.lag == 9 && m.active_ns == NBJ_FOREVER && m.error_code == 10);
    assert_string_equal(m.error_text, "why");
    assert_string_equal(m.external_api, "");
    assert_true(nbj_stream_info_source(info, 0, &m) && m.active_ns == 6 && m.error_code == 0);
    assert_string_equal(m.external_api, "x");
    assert_false(nbj_stream_info_source(info, 1, &m));
    nbj_stream_alternate a;
    assert_true(nbj_stream_info_alternate(info, 0, &a) && !nbj_stream_info_alternate(info, 1, &a));
    nbj_stream_config config = { .struct_size = offsetof(nbj_stream_config, description) }; /* of an older program */
    config.description = "untouched";
    assert_int_equal(nbj_stream_info_config(info, &config), NBJ_OK);
    assert_int_equal(config.replicas, 3);
    assert_string_equal(config.description, "untouched");
    config.struct_size = 3;
    assert_int_equal(nbj_stream_info_config(info, &config), NBJ_E_INVALID);
    nbj_stream_info_release(info);
    nbj_stream_info_release(NULL);
}

/* --- purge and the like --- */

static void test_commands(void **state)
{
    (void)state;
    const nbj_allocator *alloc = &nbj__malloc_allocator;
    static const char *const done = "{\"success\":true,\"purged\":12}";
    nbj__op *op = NULL;
    assert_int_equal(nbj__stream_purge_new(alloc, "S", NULL, &op, NULL), NBJ_OK);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.PURGE.S", "{}", done, NBJ_OK }), NBJ_OK);
    assert_int_equal(nbj__stream_purged(op), 12);
    nbj__op_free(op);
    assert_int_equal(nbj__stream_purge_new(alloc, "S", NBJ_PURGE(.filter = "a.*", .below_sequence = 7), &op, NULL),
                     NBJ_OK);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.PURGE.S", "{\"filter\":\"a.*\",\"seq\":7}", done, NBJ_OK }), NBJ_OK);
    nbj__op_free(op);
    assert_int_equal(nbj__stream_purge_new(alloc, "S", NBJ_PURGE(.keep = 7), &op, NULL), NBJ_OK);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.PURGE.S", "{\"keep\":7}", "{\"purged\":1}", NBJ_OK }), NBJ_E_BAD_REPLY);
    nbj__op_free(op);
    assert_int_equal(nbj__stream_delete_new(alloc, "S", &op, NULL), NBJ_OK);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.DELETE.S", "", done, NBJ_OK }), NBJ_OK);
    nbj__op_free(op);
    assert_int_equal(nbj__stream_step_down_new(alloc, "S", NULL, &op, NULL), NBJ_OK);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.LEADER.STEPDOWN.S", "", done, NBJ_OK }), NBJ_OK);
    nbj__op_free(op);
    assert_int_equal(nbj__stream_step_down_new(alloc, "S",
                                               NBJ_STEP_DOWN(.preferred = "n2", .cluster = "c", .tags = NBJ_LIST("t")),
                                               &op, NULL),
                     NBJ_OK);
    assert_int_equal(
        PLAY(op, { "$JS.API.STREAM.LEADER.STEPDOWN.S",
                   "{\"placement\":{\"preferred\":\"n2\",\"cluster\":\"c\",\"tags\":[\"t\"]}}", done, NBJ_OK }),
        NBJ_OK);
    nbj__op_free(op);
    assert_int_equal(nbj__stream_peer_remove_new(alloc, "S", "n3", &op, NULL), NBJ_OK);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.PEER.REMOVE.S", "{\"peer\":\"n3\"}", done, NBJ_OK }), NBJ_OK);
    nbj__op_free(op);

    assert_int_equal(nbj__stream_purge_new(alloc, "S", NBJ_PURGE(.keep = 1, .below_sequence = 1), &op, &error),
                     NBJ_E_INVALID);
    assert_non_null(strstr(error.text, "not both"));
    assert_int_equal(nbj__stream_purge_new(alloc, "S", NBJ_PURGE(.filter = "a..b"), &op, NULL), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj__stream_purge_new(alloc, "a.b", NULL, &op, &error), NBJ_E_INVALID);
    assert_int_equal(nbj__stream_peer_remove_new(alloc, "S", "", &op, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj__stream_peer_remove_new(alloc, NULL, "p", &op, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj__stream_step_down_new(alloc, "", NULL, &op, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj__stream_delete_new(alloc, "*", &op, NULL), NBJ_E_INVALID);
    assert_int_equal(nbj__stream_info_of_new(alloc, "S", NBJ_STREAM_INFO(.subjects_filter = ""), &op, NULL),
                     NBJ_E_BAD_SUBJECT);
    assert_null(op);
}

/* --- pages --- */

static void test_names(void **state)
{
    (void)state;
    nbj__op *op = NULL;
    assert_int_equal(nbj__stream_names_new(&nbj__malloc_allocator, "a.>", &op, NULL), NBJ_OK);
    assert_int_equal(PLAY(op,
                          { "$JS.API.STREAM.NAMES", "{\"offset\":0,\"subject\":\"a.>\"}",
                            "{\"total\":5,\"offset\":0,\"limit\":2,\"streams\":[\"A\",\"B\"]}", NBJ_OK },
                          { "$JS.API.STREAM.NAMES", "{\"offset\":2,\"subject\":\"a.>\"}",
                            "{\"total\":5,\"offset\":2,\"limit\":2,\"streams\":[\"C\",\"D\"]}", NBJ_OK },
                          { "$JS.API.STREAM.NAMES", "{\"offset\":4,\"subject\":\"a.>\"}",
                            "{\"total\":5,\"offset\":4,\"limit\":2,\"streams\":[\"E\"]}", NBJ_OK }),
                     NBJ_OK);
    nbj_names *names = nbj__stream_names_take(op);
    nbj__op_free(op);
    nbj_list list = nbj_names_list(names);
    assert_int_equal(list.count, 5);
    for (size_t i = 0; i < 5; i++)
        assert_true(list.items[i][0] == (char)('A' + i) && list.items[i][1] == '\0');
    nbj_names_release(names);
    nbj_names_release(NULL);

    assert_int_equal(nbj__stream_names_new(&nbj__malloc_allocator, NULL, &op, NULL), NBJ_OK);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.NAMES", "{\"offset\":0}", "{\"total\":0,\"streams\":null}", NBJ_OK }),
                     NBJ_OK);
    nbj__op_free(op);
    assert_int_equal(nbj__stream_by_subject_new(&nbj__malloc_allocator, "a.b", &op, NULL), NBJ_OK);
    assert_int_equal(
        PLAY(op, { "$JS.API.STREAM.NAMES", "{\"offset\":0,\"subject\":\"a.b\"}", "{\"streams\":null}", NBJ_OK }),
        NBJ_E_NO_STREAM);
    assert_string_equal(error.text, "no stream takes a.b");
    nbj__op_free(op);
    assert_int_equal(nbj__stream_by_subject_new(&nbj__malloc_allocator, "a.*", &op, NULL), NBJ_E_BAD_SUBJECT);
    assert_int_equal(nbj__stream_names_new(&nbj__malloc_allocator, "a..", &op, NULL), NBJ_E_BAD_SUBJECT);
}

static void expect_streams(nbj__stream_list *list, const char *names)
{
    for (; *names != '\0'; names++) {
        nbj_stream_info *info = nbj__stream_list_next(list);
        assert_non_null(info);
        assert_int_equal(nbj_stream_info_name(info)[0], *names);
        nbj_stream_info_release(info);
    }
    assert_null(nbj__stream_list_next(list));
}

#define FIRST                                                                                        \
    "{\"total\":5,\"offset\":0,\"limit\":3,\"streams\":[{\"config\":{\"name\":\"A\"}},{\"config\":{" \
    "\"name\":\"B\"}}],\"missing\":[\"M\"]}"
#define SECOND \
    "{\"total\":5,\"offset\":3,\"limit\":3,\"streams\":[{\"config\":{\"name\":\"C\"}}],\"offline\":{\"O\":\"too new\"}}"

static void test_list(void **state)
{
    (void)state;
    const nbj_allocator *alloc = &nbj__malloc_allocator;
    const turn first = { "$JS.API.STREAM.LIST", "{\"offset\":0}", FIRST, NBJ_OK };
    const turn second = { "$JS.API.STREAM.LIST", "{\"offset\":3}", SECOND, NBJ_OK };
    nbj__stream_list list = { 0 };
    nbj_stream_unavailable u;
    nbj__op *op = NULL;

    assert_int_equal(nbj__stream_list_new(alloc, NULL, false, &list, &op, NULL), NBJ_OK); /* page by page */
    assert_int_equal(play(op, &newest, &first, 1), NBJ_OK);
    nbj__stream_list_take(op, &list);
    nbj__op_free(op);
    assert_false(list.is_whole);
    expect_streams(&list, "AB");
    assert_int_equal(nbj__stream_list_new(alloc, NULL, false, &list, &op, NULL), NBJ_OK);
    assert_int_equal(play(op, &newest, &second, 1), NBJ_OK);
    nbj__stream_list_take(op, &list);
    nbj__op_free(op);
    assert_true(list.is_whole);
    expect_streams(&list, "C");
    assert_true(nbj__stream_list_unavailable(&list, 0, &u));
    assert_string_equal(u.name, "M");
    assert_string_equal(u.reason, "");
    assert_true(nbj__stream_list_unavailable(&list, 1, &u));
    assert_string_equal(u.name, "O");
    assert_string_equal(u.reason, "too new");
    assert_false(nbj__stream_list_unavailable(&list, 2, &u) || u.name != NULL);
    nbj__stream_list_clear(&list, alloc);

    const turn both[] = { first, second };
    assert_int_equal(nbj__stream_list_new(alloc, NULL, true, &list, &op, NULL), NBJ_OK);
    assert_int_equal(play(op, &newest, both, 2), NBJ_OK);
    nbj__stream_list_take(op, &list);
    nbj__op_free(op);
    nbj_stream_info_release(nbj__stream_list_next(&list)); /* not to its end */
    nbj__stream_list_clear(&list, alloc);

    assert_int_equal(nbj__stream_list_new(alloc, "a", true, &list, &op, NULL), NBJ_OK);
    assert_int_equal(PLAY(op, { "$JS.API.STREAM.LIST", "{\"offset\":0,\"subject\":\"a\"}",
                                "{\"total\":9,\"limit\":0,\"streams\":[{\"no\":\"config\"}]}", NBJ_OK }),
                     NBJ_E_BAD_REPLY);
    nbj__op_free(op);
    assert_int_equal(nbj__stream_list_new(alloc, "", true, &list, &op, NULL), NBJ_E_BAD_SUBJECT);
}

/* --- the account --- */

static void test_account(void **state)
{
    (void)state;
    nbj__op *op = nbj__account_info_new(&nbj__malloc_allocator);
    assert_int_equal(
        PLAY(op,
             { "$JS.API.INFO", "",
               "{\"memory\":1,\"storage\":2,\"reserved_memory\":3,\"reserved_storage\":4,\"streams\":5,\"consumers\":6,"
               "\"limits\":{\"max_memory\":-1,\"max_storage\":7,\"max_streams\":8,\"max_consumers\":9,"
               "\"max_ack_pending\":10,\"memory_max_stream_bytes\":11,\"storage_max_stream_bytes\":12,"
               "\"max_bytes_required\":true},\"domain\":\"hub\",\"api\":{\"level\":5,\"total\":13,\"errors\":14,"
               "\"inflight\":15},\"tiers\":{\"R1\":{\"memory\":16},\"R3\":{\"storage\":17,\"limits\":{"
               "\"max_streams\":18}}}}",
               NBJ_OK }),
        NBJ_OK);
    nbj_account_info *info = nbj__account_info_take(op);
    nbj__op_free(op);
    nbj_account_usage u = nbj_account_info_usage(info);
    assert_true(u.memory == 1 && u.storage == 2 && u.reserved_memory == 3 && u.reserved_storage == 4);
    assert_true(u.streams == 5 && u.consumers == 6 && u.max_memory == -1 && u.max_storage == 7 && u.max_streams == 8);
    assert_true(u.max_consumers == 9 && u.max_ack_pending == 10 && u.memory_max_stream_bytes == 11);
    assert_true(u.storage_max_stream_bytes == 12 && u.max_bytes_required);
    nbj_account_api api = nbj_account_info_api(info);
    assert_true(api.level == 5 && api.total == 13 && api.errors == 14 && api.inflight == 15);
    const char *name;
    assert_true(nbj_account_info_tier(info, 0, &name, &u) && strcmp(name, "R1") == 0 && u.memory == 16);
    assert_true(nbj_account_info_tier(info, 1, &name, &u) && strcmp(name, "R3") == 0 && u.max_streams == 18);
    assert_false(nbj_account_info_tier(info, 2, &name, &u) || *name != '\0');
    assert_string_equal(nbj_account_info_domain(info), "hub");
    assert_non_null(strstr(nbj_account_info_json(info), "\"errors\":14"));
    nbj_account_info_release(info);
    nbj_account_info_release(NULL);
    op = nbj__account_info_new(&nbj__malloc_allocator);
    assert_int_equal(
        PLAY(op, { "$JS.API.INFO", "", "{\"error\":{\"code\":503,\"err_code\":10039,\"description\":\"not enabled\"}}",
                   NBJ_OK }),
        NBJ_E_JS_DISABLED);
    nbj__op_free(op);
}

/* --- without memory --- */

static nbj_status make(const nbj_allocator *alloc, int which, nbj__op **op)
{
    nbj__stream_list list = { 0 };

    switch (which) {
    case 0:
        return nbj__stream_put_new(alloc, NBJ__STREAM_CREATE, NBJ_STREAM_CONFIG(.name = "S"), op, &error);
    case 1:
        return nbj__stream_put_new(alloc, NBJ__STREAM_ENSURE, NBJ_STREAM_CONFIG(.name = "S"), op, &error);
    case 2:
        return nbj__stream_put_new(alloc, NBJ__STREAM_UPDATE, NBJ_STREAM_CONFIG(.name = "S"), op, &error);
    case 3:
        return nbj__stream_info_of_new(alloc, "S", NBJ_STREAM_INFO(.subjects_filter = "a"), op, &error);
    case 4:
        return nbj__stream_purge_new(alloc, "S", NBJ_PURGE(.keep = 1), op, &error);
    case 5:
        return nbj__stream_names_new(alloc, "a", op, &error);
    case 6:
        return nbj__stream_list_new(alloc, "a", true, &list, op, &error);
    case 7:
        *op = nbj__account_info_new(alloc);
        return *op != NULL ? NBJ_OK : NBJ_E_NOMEM;
    case 8:
        return nbj__stream_step_down_new(alloc, "S", NBJ_STEP_DOWN(.cluster = "c"), op, &error);
    default:
        return nbj__stream_peer_remove_new(alloc, "S", "p", op, &error);
    }
}

/* To the end, with one answer that fits all. */
static nbj_status finish(nbj__op *op)
{
    static const char *const answer =
        "{\"config\":{\"name\":\"S\",\"subjects\":[\"a\"],\"sources\":[{\"name\":\"A\"}]},"
        "\"state\":{\"subjects\":{\"a\":1}},\"success\":true,\"missing\":[\"M\"],"
        "\"streams\":[{\"config\":{\"name\":\"T\",\"subjects\":[\"a\"]}}]}";
    nbj_msg msg = { .payload = nbj_str(answer) };

    op->where = newest;
    nbj_status st = op->step(op, NBJ_OK, NULL, &error);
    for (int i = 0; st == NBJ_MORE && i < 3; i++)
        st = op->step(op, NBJ_OK, &msg, &error);
    nbj__op_free(op);
    return st;
}

static void test_without_memory(void **state)
{
    (void)state;
    for (int which = 0; which < 10; which++) {
        bool failed = true;
        for (size_t n = 0; failed; n++) {
            ts_alloc mem;
            nbj__op *op = NULL;
            ts_alloc_init(&mem, n, false);
            nbj_status st = make(&mem.allocator, which, &op);
            assert_int_equal(op != NULL, st == NBJ_OK);
            if (st == NBJ_OK)
                st = finish(op);
            failed = mem.failed > 0;
            if (st != (failed ? NBJ_E_NOMEM : NBJ_OK))
                TS_FAIL("call %d, allocation %zu: %s", which, n, nbj_strerror(st));
            ts_alloc_done(&mem);
        }
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_create),
        cmocka_unit_test(test_a_field_is_left_out),
        cmocka_unit_test(test_an_old_server_is_not_asked),
        cmocka_unit_test(test_ensure),
        cmocka_unit_test(test_update_keeps_what_it_does_not_know),
        cmocka_unit_test(test_update_fails),
        cmocka_unit_test(test_info_of_many_subjects),
        cmocka_unit_test(test_all_that_is_said),
        cmocka_unit_test(test_commands),
        cmocka_unit_test(test_names),
        cmocka_unit_test(test_list),
        cmocka_unit_test(test_account),
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
