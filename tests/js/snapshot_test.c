/* SPDX-License-Identifier: Apache-2.0 */
/* Snapshots and restores as conversations: each thing that may come, and what follows from it. */
#include "js/snapshot.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdio.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define ANSWER "{\"config\":{\"name\":\"S\"},\"state\":{\"messages\":2,\"first_seq\":1,\"last_seq\":2}}"

static nbj_error error;

static nbj_msg message(const char *reply, const char *headers, const char *payload)
{
    return (nbj_msg){ .reply = nbj_str(reply), .headers = nbj_str(headers), .payload = nbj_str(payload) };
}

static nbj_status answered(nbj__op *op, const char *payload)
{
    nbj_msg m = message("", "", payload);

    return op->step(op, NBJ_OK, &m, &error);
}

static nbj__op *at(nbj__op *op, uint32_t major, uint32_t minor, uint32_t patch)
{
    assert_non_null(op);
    assert_int_equal(nbj__js_where_set(&op->where, NULL, NULL), NBJ_OK);
    op->where.version = (nbj__server_version){ major, minor, patch };
    return op;
}

static bool asks(const nbj__op *op, const char *subject, const char *body)
{
    return strcmp(op->subject, subject) == 0 && nbj_bytes_equal(nbj__buf_view(&op->body), nbj_str(body));
}

/* --- snapshot --- */

static nbj__snapshot_op *new_snapshot(nbj__snapshot_want want)
{
    want.stream = "S";
    want.inbox = "_INBOX.x";
    return nbj__snapshot_new(&nbj__malloc_allocator, &want);
}

static void test_ask(void **state)
{
    (void)state;
    nbj__snapshot_op *plain = new_snapshot((nbj__snapshot_want){ 0 });
    nbj__snapshot_op *full = new_snapshot(
        (nbj__snapshot_want){ .chunk_size = 2048, .window_size = 4096, .no_consumers = true, .check_messages = true });
    at(&plain->op, 2, 9, 10);
    assert_int_equal(plain->op.step(&plain->op, NBJ_OK, NULL, &error), NBJ_MORE);
    assert_true(asks(&plain->op, "$JS.API.STREAM.SNAPSHOT.S", "{\"deliver_subject\":\"_INBOX.x\"}"));
    assert_int_equal(plain->op.required_level, 0);
    assert_int_equal(answered(&plain->op, ANSWER), NBJ_OK);
    assert_int_equal(plain->state.last_sequence, 2);
    assert_true(nbj_bytes_equal(nbj__buf_view(&plain->description), nbj_view(ANSWER, strlen(ANSWER) - 1)));
    at(&full->op, 2, 15, 1);
    assert_int_equal(full->op.step(&full->op, NBJ_OK, NULL, &error), NBJ_MORE);
    assert_true(asks(&full->op, "$JS.API.STREAM.SNAPSHOT.S",
                     "{\"deliver_subject\":\"_INBOX.x\",\"no_consumers\":true,\"chunk_size\":2048,"
                     "\"window_size\":4096,\"jsck\":true}"));
    assert_int_equal(full->op.required_level, 3);
    assert_int_equal(answered(&full->op, "{}"), NBJ_E_BAD_REPLY);
    nbj__op_free(&plain->op);
    nbj__op_free(&full->op);
}

static void test_window_needs_a_newer_server(void **state)
{
    (void)state;
    nbj__snapshot_op *s = new_snapshot((nbj__snapshot_want){ .window_size = 4096 });
    at(&s->op, 2, 12, 4);
    assert_int_equal(s->op.step(&s->op, NBJ_OK, NULL, &error), NBJ_E_UNSUPPORTED);
    assert_non_null(strstr(error.text, "2.12.5"));
    nbj__op_free(&s->op);
}

static void test_memory_streams(void **state)
{
    (void)state;
    const char *no = "{\"error\":{\"code\":500,\"err_code\":10064,\"description\":\"snapshot failed: no impl\"}}";
    nbj__snapshot_op *s = new_snapshot((nbj__snapshot_want){ 0 });
    at(&s->op, 2, 10, 27);
    assert_int_equal(answered(&s->op, no), NBJ_E_JS);
    assert_non_null(strstr(error.text, "before nats-server 2.15"));
    at(&s->op, 2, 15, 0);
    assert_int_equal(answered(&s->op, no), NBJ_E_JS);
    assert_null(strstr(error.text, "before nats-server 2.15"));
    nbj__op_free(&s->op);
}

#define ACK "$JS.SNAPSHOT.ACK.S.id."

static const struct {
    const char *name, *reply, *headers, *payload;
    nbj_status want;
} parts[] = {
    /* each the third thing that comes, after two chunks of four octets */
    { "numbered", ACK "4.3", "", "data", NBJ_MORE },
    { "the last of newer servers", "", "", "da", NBJ_MORE },
    { "changed on its way", "_R_.abc.def", "", "data", NBJ_MORE },
    { "one is missing", ACK "4.4", "", "data", NBJ_E_BAD_REPLY },
    { "one came again", ACK "4.2", "", "data", NBJ_E_BAD_REPLY },
    { "cut", ACK "5.3", "", "data", NBJ_E_BAD_REPLY },
    { "a plain end", "", "", "", NBJ_OK },
    { "204", "", "NATS/1.0 204\r\n\r\n", "", NBJ_OK },
    { "408", "", "NATS/1.0 408 No Flow Response\r\n\r\n", "", NBJ_E_JS },
    { "500", "", "NATS/1.0 500 disk on fire\r\n\r\n", "", NBJ_E_JS },
    { "503", "", "NATS/1.0 503\r\n\r\n", "", NBJ_E_JS },
    { "no status", "", "NATS/1.0\r\nA: b\r\n\r\n", "", NBJ_OK },
    { "unreadable", "", "HTTP", "", NBJ_E_BAD_REPLY },
};

static void test_parts(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(parts); i++) {
        nbj__snapshot_in in = { 0 };
        nbj_msg first = message(ACK "4.1", "", "data"), second = message(ACK "4.2", "", "data");
        nbj_msg third = message(parts[i].reply, parts[i].headers, parts[i].payload);
        assert_int_equal(nbj__snapshot_take(&in, &first, "S", &error), NBJ_MORE);
        assert_int_equal(nbj__snapshot_take(&in, &second, "S", &error), NBJ_MORE);
        CHECK(parts[i].name, nbj__snapshot_take(&in, &third, "S", &error) == parts[i].want);
        CHECK(parts[i].name, in.bytes == 8 + strlen(parts[i].payload));
        if (parts[i].want == NBJ_E_JS)
            CHECK(error.text, strstr(error.text, parts[i].name) != NULL && error.code >= 408);
    }
    assert_non_null(strstr(error.text, "could not be read"));
}

/* --- restore --- */

static nbj__restore_op *new_restore(bool is_new_format)
{
    nbj__buf request;

    nbj__buf_init(&request, &nbj__malloc_allocator, NBJ__BACKUP_MAX);
    assert_int_equal(nbj__buf_append(&request, ANSWER, strlen(ANSWER)), NBJ_OK);
    return nbj__restore_new(&nbj__malloc_allocator, "S", &request, is_new_format);
}

static void test_ask_for_restore(void **state)
{
    (void)state;
    nbj__restore_op *r = new_restore(false), *n = new_restore(true), *old = new_restore(true);
    at(&r->op, 2, 9, 10);
    assert_int_equal(r->op.step(&r->op, NBJ_OK, NULL, &error), NBJ_MORE);
    assert_true(asks(&r->op, "$JS.API.STREAM.RESTORE.S", ANSWER));
    assert_int_equal(r->op.required_level, 0);
    assert_int_equal(answered(&r->op, "{\"deliver_subject\":\"\"}"), NBJ_E_BAD_REPLY);
    assert_int_equal(answered(&r->op, "{\"deliver_subject\":\"a.*\"}"), NBJ_E_BAD_REPLY);
    assert_int_equal(answered(&r->op, "{\"error\":{\"code\":400,\"err_code\":10130,\"description\":\"taken\"}}"),
                     NBJ_E_JS);
    assert_non_null(strstr(error.text, "delete that one first"));
    assert_int_equal(answered(&r->op, "{\"deliver_subject\":\"$JS.SNAPSHOT.RESTORE.S.x\"}"), NBJ_OK);
    assert_string_equal(r->subject, "$JS.SNAPSHOT.RESTORE.S.x");
    at(&n->op, 2, 15, 0);
    assert_int_equal(n->op.step(&n->op, NBJ_OK, NULL, &error), NBJ_MORE);
    assert_int_equal(n->op.required_level, 5);
    at(&old->op, 2, 14, 5);
    assert_int_equal(old->op.step(&old->op, NBJ_OK, NULL, &error), NBJ_E_UNSUPPORTED);
    nbj__op_free(&r->op);
    nbj__op_free(&n->op);
    nbj__op_free(&old->op);
}

static nbj_status take(nbj__restore_out *r, const char *headers, const char *payload)
{
    nbj__stream_state state = { 0 };
    nbj_msg m = message("", headers, payload);
    nbj_status st = nbj__restore_take(r, &m, "S", &state, &error);

    assert_true(st != NBJ_OK || state.last_sequence == 2);
    return st;
}

static void test_window(void **state)
{
    (void)state;
    nbj__restore_out r = { 0 };
    assert_true(nbj__restore_may_send(&r));
    r.sent = 1;
    assert_false(nbj__restore_may_send(&r)); /* the first goes alone */
    assert_int_equal(take(&r, "", ""), NBJ_MORE);
    for (; nbj__restore_may_send(&r); r.sent++)
        assert_true(r.sent < 100);
    assert_int_equal(r.sent, 1 + NBJ__RESTORE_WINDOW);
    for (unsigned i = 0; i < NBJ__RESTORE_WINDOW; i++)
        assert_int_equal(take(&r, "", ""), NBJ_MORE);
    assert_int_equal(take(&r, "", ""), NBJ_E_BAD_REPLY); /* that was one too many */
    r.is_ending = true;
    assert_false(nbj__restore_may_send(&r));
    assert_int_equal(take(&r, "", ANSWER), NBJ_OK);
}

#define NOBODY "NATS/1.0 503\r\n\r\n"

static void test_nobody_listens(void **state)
{
    (void)state;
    nbj__restore_out r = { .sent = 1 };
    assert_int_equal(take(&r, NOBODY, ""), NBJ_MORE);
    assert_true(r.is_unheard && r.sent == 0 && nbj__restore_may_send(&r));
    r = (nbj__restore_out){ .sent = 3, .answered = 2 };
    assert_int_equal(take(&r, NOBODY, ""), NBJ_E_JS_UNAVAILABLE);
    r = (nbj__restore_out){ .is_ending = true };
    assert_int_equal(take(&r, NOBODY, ""), NBJ_E_JS_UNAVAILABLE);
}

static void test_words(void **state)
{
    (void)state;
    nbj__restore_out r = { .sent = 3, .answered = 2 };
    assert_int_equal(take(&r, "", "-ERR 'storage failure during restore'"), NBJ_E_JS);
    assert_non_null(strstr(error.text, "storage failure"));
    assert_int_equal(take(&r, "", "{\"error\":{\"code\":500,\"err_code\":10062,\"description\":\"restore failed\"}}"),
                     NBJ_E_JS);
    assert_int_equal(error.err_code, 10062);
    assert_int_equal(take(&r, "", ANSWER), NBJ_E_BAD_REPLY); /* it cannot be done yet */
    assert_int_equal(take(&r, "", "{"), NBJ_E_BAD_REPLY);
    r.is_ending = true;
    assert_int_equal(take(&r, "", "{}"), NBJ_E_BAD_REPLY);
}

/* --- what has become of it --- */

static void test_look(void **state)
{
    (void)state;
    nbj__look_op *look = nbj__look_new(&nbj__malloc_allocator, "S", false);
    nbj__look_op *remove = nbj__look_new(&nbj__malloc_allocator, "S", true);
    at(&look->op, 2, 9, 10);
    assert_int_equal(look->op.step(&look->op, NBJ_OK, NULL, &error), NBJ_MORE);
    assert_true(asks(&look->op, "$JS.API.STREAM.INFO.S", ""));
    assert_int_equal(answered(&look->op, ANSWER), NBJ_OK);
    assert_int_equal(look->state.messages, 2);
    assert_int_equal(look->age_ns, 0);
    assert_int_equal(answered(&look->op, "{\"created\":\"2026-11-23T19:10:02.5Z\",\"ts\":\"2026-11-23T19:10:02.75Z\"}"),
                     NBJ_OK);
    assert_int_equal(look->age_ns, 250000000);
    assert_int_equal(answered(&look->op, "{\"created\":\"2026-11-23T19:10:02Z\",\"ts\":\"2026-11-23T19:10:01Z\"}"),
                     NBJ_OK);
    assert_int_equal(look->age_ns, 0);
    assert_int_equal(answered(&look->op, "{\"error\":{\"code\":404,\"err_code\":10059}}"), NBJ_E_STREAM_NOT_FOUND);
    assert_int_equal(look->op.step(&look->op, NBJ_E_TIMEOUT, NULL, &error), NBJ_E_TIMEOUT);
    at(&remove->op, 2, 9, 10);
    assert_int_equal(remove->op.step(&remove->op, NBJ_OK, NULL, &error), NBJ_MORE);
    assert_true(asks(&remove->op, "$JS.API.STREAM.DELETE.S", ""));
    nbj__op_free(&look->op);
    nbj__op_free(&remove->op);
}

static void test_whose(void **state)
{
    (void)state;
    nbj__stream_state whole = { .messages = 9, .first_sequence = 3, .first_time = "t" };
    nbj__stream_state part = { .messages = 1, .first_sequence = 3, .first_time = "t" };
    nbj__stream_state later = { .messages = 1, .first_sequence = 3, .first_time = "u" };
    nbj__stream_state empty = { .first_sequence = 3, .first_time = "t" };
    nbj__stream_state untold = { .messages = 9, .first_sequence = 3 };
    assert_true(nbj__state_is_of(&part, &whole));
    assert_false(nbj__state_is_of(&later, &whole));
    assert_false(nbj__state_is_of(&empty, &whole));
    assert_false(nbj__state_is_of(&untold, &untold));
}

/* --- memory --- */

static nbj_status snapshot_once(const nbj_allocator *alloc, void *ctx)
{
    nbj__snapshot_want want = { .stream = "S", .inbox = "_INBOX.x" };
    nbj__snapshot_op *s = nbj__snapshot_new(alloc, &want);

    (void)ctx;
    if (s == NULL)
        return NBJ_E_NOMEM;
    at(&s->op, 2, 15, 1);
    nbj_status st = s->op.step(&s->op, NBJ_OK, NULL, &error);
    if (st == NBJ_MORE)
        st = answered(&s->op, ANSWER);
    nbj__op_free(&s->op);
    return st;
}

static nbj_status restore_once(const nbj_allocator *alloc, void *ctx)
{
    nbj__buf request;

    (void)ctx;
    nbj__buf_init(&request, alloc, NBJ__BACKUP_MAX);
    nbj_status st = nbj__buf_append(&request, ANSWER, strlen(ANSWER));
    if (st != NBJ_OK)
        return st;
    nbj__restore_op *r = nbj__restore_new(alloc, "S", &request, false);
    if (r == NULL)
        return NBJ_E_NOMEM;
    at(&r->op, 2, 15, 1);
    st = r->op.step(&r->op, NBJ_OK, NULL, &error);
    nbj__op_free(&r->op);
    return st == NBJ_MORE ? NBJ_OK : st;
}

static nbj_status look_once(const nbj_allocator *alloc, void *ctx)
{
    nbj__look_op *l = nbj__look_new(alloc, "S", false);

    (void)ctx;
    if (l == NULL)
        return NBJ_E_NOMEM;
    nbj__op_free(&l->op);
    return NBJ_OK;
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(alloc_sweep(snapshot_once, NULL) >= 5);
    assert_true(alloc_sweep(restore_once, NULL) >= 4);
    assert_int_equal(alloc_sweep(look_once, NULL), 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_ask),
        cmocka_unit_test(test_window_needs_a_newer_server),
        cmocka_unit_test(test_memory_streams),
        cmocka_unit_test(test_parts),
        cmocka_unit_test(test_ask_for_restore),
        cmocka_unit_test(test_window),
        cmocka_unit_test(test_nobody_listens),
        cmocka_unit_test(test_words),
        cmocka_unit_test(test_look),
        cmocka_unit_test(test_whose),
        cmocka_unit_test(test_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
