/* SPDX-License-Identifier: Apache-2.0 */
/* Frames from a template are those of nbj__emit_pub: js/template.h. */
#include "js/template.h"

#include "support/alloc_fail.h"
#include "support/check.h"
#include "wire/emit.h"

#include <stdlib.h>

static const char *const subjects[] = { "a", "ride.started", "a.very.long.subject.of.many.tokens.that.goes.on.and.on" };
static const char *const ids[] = { "", "1", "an-id-of-the-usual-length" };

static void check_like_emit(nbj_bytes subject, nbj_bytes id, nbj_bytes payload)
{
    const nbj_header header = { nbj_str("Nats-Msg-Id"), id };
    const nbj__outgoing m = { .subject = subject,
                              .reply = nbj_str("_INBOX.abcdefghijklmnopqrstuv.P00000001"),
                              .headers = id.len > 0 ? &header : NULL,
                              .header_count = id.len > 0,
                              .payload = payload };
    nbj__template t = { 0 };
    nbj__buf want;
    nbj__buf got;

    nbj__buf_init(&want, &nbj__malloc_allocator, 1 << 20);
    nbj__buf_init(&got, &nbj__malloc_allocator, 1 << 20);
    nbj__template_set(&t, subject, nbj_str("_INBOX.abcdefghijklmnopqrstuv."));
    assert_true(nbj__template_is_for(&t, subject));
    assert_int_equal(nbj__emit_pub(&want, &m), NBJ_OK);
    assert_int_equal(nbj__template_emit(&t, &got, nbj_str("P00000001"), id, payload), NBJ_OK);
    assert_int_equal(nbj__template_size(id, payload), nbj__outgoing_size(&m));
    assert_true(nbj_bytes_equal(nbj__buf_view(&got), nbj__buf_view(&want)));
    nbj__buf_free(&want);
    nbj__buf_free(&got);
}

static void test_frames_are_those_of_emit(void **state)
{
    static const size_t lengths[] = { 0, 1, 9, 10, 99, 100, 128, 4096, 100000 };
    uint8_t *payload = calloc(1, 100000);

    (void)state;
    for (size_t s = 0; s < sizeof subjects / sizeof subjects[0]; s++) {
        for (size_t i = 0; i < sizeof ids / sizeof ids[0]; i++) {
            for (size_t l = 0; l < sizeof lengths / sizeof lengths[0]; l++)
                check_like_emit(nbj_str(subjects[s]), nbj_str(ids[i]), nbj_view(payload, lengths[l]));
        }
    }
    free(payload);
}

static void test_is_for_its_subject_alone(void **state)
{
    nbj__template t = { 0 };

    (void)state;
    assert_false(nbj__template_is_for(&t, nbj_str("")));
    assert_false(nbj__template_is_for(&t, nbj_str("a")));
    nbj__template_set(&t, nbj_str("a.b"), nbj_str("_INBOX.x."));
    assert_true(nbj__template_is_for(&t, nbj_str("a.b")));
    assert_false(nbj__template_is_for(&t, nbj_str("a.c")));
    assert_false(nbj__template_is_for(&t, nbj_str("a.bc")));
    assert_false(nbj__template_is_for(&t, nbj_str("a.")));
    nbj__template_set(&t, nbj_str("c"), nbj_str("_INBOX.x."));
    assert_true(nbj__template_is_for(&t, nbj_str("c")));
    assert_false(nbj__template_is_for(&t, nbj_str("a.b")));
}

static void test_what_is_too_long_has_none(void **state)
{
    nbj__template t = { 0 };
    char long_text[NBJ__TEMPLATE_HEAD_MAX + 2];

    (void)state;
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = '\0';
    nbj__template_set(&t, nbj_str("a.b"), nbj_str("_INBOX.x."));
    nbj__template_set(&t, nbj_view(long_text, NBJ__TEMPLATE_SUBJECT_MAX + 1), nbj_str("_INBOX.x."));
    assert_false(nbj__template_is_for(&t, nbj_view(long_text, NBJ__TEMPLATE_SUBJECT_MAX + 1)));
    assert_false(nbj__template_is_for(&t, nbj_str("a.b"))); /* nor for the one before */
    nbj__template_set(&t, nbj_view(long_text, NBJ__TEMPLATE_SUBJECT_MAX), nbj_str("_INBOX.x."));
    assert_true(nbj__template_is_for(&t, nbj_view(long_text, NBJ__TEMPLATE_SUBJECT_MAX)));
    nbj__template_set(&t, nbj_str("a"), nbj_view(long_text, NBJ__TEMPLATE_HEAD_MAX));
    assert_false(nbj__template_is_for(&t, nbj_str("a")));
}

static void test_full_and_without_memory_nothing_is_written(void **state)
{
    nbj__template t = { 0 };
    nbj__buf out;

    (void)state;
    nbj__template_set(&t, nbj_str("a.b"), nbj_str("_INBOX.x."));
    nbj__buf_init(&out, &nbj__malloc_allocator, 100);
    assert_int_equal(
        nbj__template_emit(&t, &out, nbj_str("P1"), nbj_str("id"), nbj_str("0123456789012345678901234567")),
        NBJ_E_FULL);
    assert_int_equal(nbj__buf_len(&out), 0);
    nbj__buf_free(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_frames_are_those_of_emit),
        cmocka_unit_test(test_is_for_its_subject_alone),
        cmocka_unit_test(test_what_is_too_long_has_none),
        cmocka_unit_test(test_full_and_without_memory_nothing_is_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
