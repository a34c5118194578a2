/* SPDX-License-Identifier: Apache-2.0 */
/* Received messages: reading headers, keeping and releasing: conn/msg.h, nbj/msg.h. */
#include "conn/msg.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

static nbj_msg with_headers(const char *block)
{
    return (nbj_msg){ .headers = nbj_str(block) };
}

static void test_status(void **state)
{
    (void)state;
    static const struct {
        const char *block;
        uint16_t status;
    } cases[] = {
        { "", 0 },
        { "NATS/1.0\r\n\r\n", 0 },
        { "NATS/1.0 503\r\n\r\n", 503 },
        { "NATS/1.0 404 No Messages\r\n\r\n", 404 },
        { "NATS/1.0 5033\r\n\r\n", 0 },
        { "NATS/2.0 503\r\n\r\n", 0 },
        { "HTTP/1.1 503\r\n\r\n", 0 },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        nbj_msg m = with_headers(cases[i].block);
        CHECK(cases[i].block, nbj_msg_status(&m) == cases[i].status);
        CHECK(cases[i].block, nbj__msg_is_no_responders(&m) == (cases[i].status == 503));
        m.payload = nbj_str("x"); /* with one it is a reply like others */
        CHECK(cases[i].block, !nbj__msg_is_no_responders(&m));
    }
}

static void test_one_header(void **state)
{
    (void)state;
    nbj_bytes value;
    nbj_msg m = with_headers("NATS/1.0\r\nA: 1\r\nb:two \r\nA: 3\r\nbroken\r\nc: 4\r\n\r\n");
    assert_int_equal(nbj_msg_header(&m, "A", &value), NBJ_OK);
    assert_true(nbj_bytes_equal(value, nbj_str("1"))); /* the first */
    assert_int_equal(nbj_msg_header(&m, "b", &value), NBJ_OK);
    assert_true(nbj_bytes_equal(value, nbj_str("two")));
    assert_int_equal(nbj_msg_header(&m, "B", &value),
                     NBJ_E_BAD_HEADER); /* case counts; the block is broken before its end */
    assert_int_equal(value.len, 0);
    m = with_headers("");
    assert_int_equal(nbj_msg_header(&m, "A", &value), NBJ_E_NOT_FOUND);
}

static void test_walk(void **state)
{
    (void)state;
    static const char *const want[][2] = { { "A", "1" }, { "b", "" }, { "A", "3" } };
    nbj_msg m = with_headers("NATS/1.0 100 Idle\r\nA: 1\r\nb:\r\nA:\t3\r\n\r\n");
    size_t cursor = 0;
    nbj_header h;
    for (size_t i = 0; i < COUNT(want); i++) {
        assert_int_equal(nbj_msg_header_next(&m, &cursor, &h), NBJ_OK);
        assert_true(nbj_bytes_equal(h.name, nbj_str(want[i][0])) && nbj_bytes_equal(h.value, nbj_str(want[i][1])));
    }
    assert_int_equal(nbj_msg_header_next(&m, &cursor, &h), NBJ_MORE);
    cursor = 0;
    m = with_headers("");
    assert_int_equal(nbj_msg_header_next(&m, &cursor, &h), NBJ_MORE);
    m = with_headers("NATS/1.0\r\nA: 1\r\nbroken\r\n\r\n");
    assert_int_equal(nbj_msg_header_next(&m, &cursor, &h), NBJ_OK);
    assert_int_equal(nbj_msg_header_next(&m, &cursor, &h), NBJ_E_BAD_HEADER);
    cursor = 0;
    m = with_headers("junk");
    assert_int_equal(nbj_msg_header_next(&m, &cursor, &h), NBJ_E_BAD_HEADER);
    cursor = 9999; /* nonsense is the end, not a crash */
    m = with_headers("NATS/1.0\r\nA: 1\r\n\r\n");
    assert_int_equal(nbj_msg_header_next(&m, &cursor, &h), NBJ_E_BAD_HEADER);
}

static void test_retain(void **state)
{
    (void)state;
    ts_alloc mem;
    int client = 0;
    ts_alloc_init(&mem, TS_NEVER_FAIL, false);
    nbj__chunk *chunk = nbj__chunk_new(&mem.allocator, 100);
    memcpy(chunk->data, "subject reply NATS/1.0\r\n\r\nbody", 30);
    nbj_msg scratch = { .subject = nbj_view(chunk->data, 7),
                        .reply = nbj_view(chunk->data + 8, 5),
                        .headers = nbj_view(chunk->data + 14, 12),
                        .payload = nbj_view(chunk->data + 26, 4),
                        .client = &client,
                        .chunk = chunk };
    nbj_msg *kept = nbj_msg_retain(&scratch);
    assert_non_null(kept);
    assert_ptr_not_equal(kept, &scratch);
    nbj__chunk_release(chunk); /* the session goes on */
    memset(&scratch, 0xee, sizeof scratch);
    assert_true(nbj_bytes_equal(nbj_msg_subject(kept), nbj_str("subject")));
    assert_true(nbj_bytes_equal(nbj_msg_reply(kept), nbj_str("reply")));
    assert_true(nbj_bytes_equal(nbj_msg_data(kept), nbj_str("body")));
    assert_int_equal(nbj__msg_size(kept), 16);
    assert_ptr_equal(kept->client, &client);
    assert_ptr_equal(nbj_msg_retain(kept), kept); /* from then on it is counted */
    nbj_msg_release(kept);
    assert_true(nbj_bytes_equal(nbj_msg_data(kept), nbj_str("body")));
    nbj_msg_release(kept);
    nbj_msg_release(NULL);
    ts_alloc_done(&mem);
}

static void test_retain_without_memory(void **state)
{
    (void)state;
    ts_alloc mem;
    ts_alloc_init(&mem, 1, false);
    nbj__chunk *chunk = nbj__chunk_new(&mem.allocator, 100);
    nbj_msg scratch = { .chunk = chunk };
    assert_null(nbj_msg_retain(&scratch));
    assert_true(nbj__chunk_is_ours(chunk));
    nbj__chunk_release(chunk);
    ts_alloc_done(&mem);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_status),
        cmocka_unit_test(test_one_header),
        cmocka_unit_test(test_walk),
        cmocka_unit_test(test_retain),
        cmocka_unit_test(test_retain_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
