/* SPDX-License-Identifier: Apache-2.0 */
/* The reply subject of a delivery, in both of its forms: js/ack_subject.h. */
#include "js/ack_subject.h"

#include "support/check.h"

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define LARGEST "18446744073709551615"

static const struct {
    const char *subject, *domain, *stream, *consumer;
    uint64_t delivered, stream_sequence, consumer_sequence, stored_at, pending;
} good[] = {
    { "$JS.ACK.S.C.1.2.3.4.5", "", "S", "C", 1, 2, 3, 4, 5 },
    { "$JS.ACK.RIDE_STREAM.worker-1.9.100.200.1795420482979503654.0", "", "RIDE_STREAM", "worker-1", 9, 100, 200,
      1795420482979503654u, 0 },
    { "$JS.ACK.S.C." LARGEST "." LARGEST "." LARGEST "." LARGEST "." LARGEST, "", "S", "C", UINT64_MAX, UINT64_MAX,
      UINT64_MAX, UINT64_MAX, UINT64_MAX },
    { "$JS.ACK._.szMpdrwD.E.b.1.2.3.1795419659531515584.4", "", "E", "b", 1, 2, 3, 1795419659531515584u, 4 }, /* 11 */
    { "$JS.ACK.hub.szMpdrwD.E.b.1.2.3.4.5", "hub", "E", "b", 1, 2, 3, 4, 5 },
    { "$JS.ACK._.szMpdrwD.E.b.1.2.3.4.5.random", "", "E", "b", 1, 2, 3, 4, 5 }, /* 12 */
    { "$JS.ACK.hub.szMpdrwD.E.b.1.2.3.4.5.r.and.more.of.it", "hub", "E", "b", 1, 2, 3, 4, 5 },
};

static void test_good(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(good); i++) {
        nbj__delivery d;
        nbj_bytes subject = exact_copy(good[i].subject);
        const char *name = good[i].subject;
        CHECK(name, nbj__ack_subject_parse(subject, &d) == NBJ_OK);
        CHECK(name, nbj_bytes_equal(d.domain, nbj_str(good[i].domain)));
        CHECK(name, nbj_bytes_equal(d.stream, nbj_str(good[i].stream)));
        CHECK(name, nbj_bytes_equal(d.consumer, nbj_str(good[i].consumer)));
        CHECK(name, d.delivered == good[i].delivered && d.pending == good[i].pending);
        CHECK(name, d.stream_sequence == good[i].stream_sequence && d.consumer_sequence == good[i].consumer_sequence);
        CHECK(name, d.stored_at_ns == good[i].stored_at);
        exact_free(subject);
    }
}

static const char *const bad[] = {
    "",
    "$JS.ACK",
    "$JS.ACK.",
    "$JS.ACKS.S.C.1.2.3.4.5",
    "$JS.FC.S.C.1.2.3.4.5",
    "_INBOX.abc",
    "x$JS.ACK.S.C.1.2.3.4.5",
    "$js.ack.S.C.1.2.3.4.5",
    "$JS.ACK.S.C.1.2.3.4",     /* 8 */
    "$JS.ACK.S.C.1.2.3.4.5.6", /* 10: neither form */
    "$JS.ACK.d.h.S.C.1.2.3.4", /* 10 */
    "$JS.ACK..C.1.2.3.4.5",
    "$JS.ACK.S..1.2.3.4.5",
    "$JS.ACK.S.C..2.3.4.5",
    "$JS.ACK.S.C.1.2.3.4.",
    "$JS.ACK.S.C.-1.2.3.4.5",
    "$JS.ACK.S.C.1.+2.3.4.5",
    "$JS.ACK.S.C.1.2.0x3.4.5",
    "$JS.ACK.S.C.1.2.3. 4.5",
    "$JS.ACK.S.C.1.2.3.4.18446744073709551616", /* would wrap to 0 */
    "$JS.ACK._.h.E.b.1.2.x.4.5",
    "$JS.ACK._.h..b.1.2.3.4.5",
    "$JS.ACK.........",
};

static void test_bad(void **state)
{
    (void)state;
    for (size_t i = 0; i < COUNT(bad); i++) {
        nbj__delivery d;
        nbj_bytes subject = exact_copy(bad[i]);
        CHECK(bad[i], nbj__ack_subject_parse(subject, &d) == NBJ_E_NOT_JETSTREAM);
        exact_free(subject);
    }
}

static void test_every_prefix(void **state)
{
    (void)state;
    static const char whole[] = "$JS.ACK.hub.acc.S.C.1.2.3.4.55";
    for (size_t n = 0; n < strlen(whole); n++) {
        nbj__delivery d;
        nbj_bytes subject = exact_bytes(whole, n);
        nbj_status st = nbj__ack_subject_parse(subject, &d);
        assert_int_equal(st == NBJ_OK, n == strlen(whole) - 1);
        exact_free(subject);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_good),
        cmocka_unit_test(test_bad),
        cmocka_unit_test(test_every_prefix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
