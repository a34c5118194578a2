/* SPDX-License-Identifier: Apache-2.0 */
/* What leaves, what stays and what goes when a connection is lost: conn/outbox.h. */
#include "conn/outbox.h"

#include "support/alloc_fail.h"
#include "support/check.h"

#include <stdlib.h>

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))
#define INBOX "_INBOX.abc."

static ts_alloc mem;
static nbj__outbox box;

static void begin(size_t limit)
{
    ts_alloc_init(&mem, TS_NEVER_FAIL, false);
    nbj__outbox_init(&box, &mem.allocator, limit);
}

static void end(void)
{
    nbj__outbox_free(&box);
    nbj__outbox_free(&box);
    ts_alloc_done(&mem);
}

static void append(const char *text)
{
    assert_int_equal(nbj__buf_append(&box.back, text, strlen(text)), NBJ_OK);
}

static void sent(size_t octets)
{
    (void)nbj__outbox_view(&box);
    nbj__outbox_sent(&box, octets);
}

static nbj_status publish(const char *subject, const char *reply, const char *payload)
{
    nbj__outgoing m = { .subject = nbj_str(subject), .reply = nbj_str(reply), .payload = nbj_str(payload) };

    return nbj__outbox_publish(&box, &m);
}

static bool holds(const char *text)
{
    return nbj_bytes_equal(nbj__outbox_view(&box), nbj_str(text)) && nbj__outbox_len(&box) == strlen(text);
}

/* Operations, each with whether it stays when its octets were not all written. The payloads look like operations. */
static const struct {
    const char *octets;
    bool stays;
} ops[] = {
    { "SUB a.* 1\r\n", false },
    { "PUB a 3\r\none\r\n", true },
    { "PING\r\n", false },
    { "PUB a " INBOX "R00000001 3\r\ntwo\r\n", true },                /* a request: nobody else keeps it */
    { "PUB a " INBOX "P00000001 12\r\nPUB b 0\r\n\r\nx\r\n", false }, /* its owner keeps it */
    { "HPUB a 14 18\r\nNATS/1.0\r\n\r\n\r\nPING\r\n", true },         /* no reply */
    { "HPUB a " INBOX "P00000002 12 12\r\nNATS/1.0\r\n\r\n\r\n", false },
    { "HPUB a " INBOX "R00000003 12 14\r\nNATS/1.0\r\n\r\n\r\n\r\n", true },
    { "UNSUB 1 5\r\n", false },
    { "PUB " INBOX "P00000001 4\r\nPING\r\n", true }, /* its subject, not its reply */
    { "PONG\r\n", false },
    { "PUB a _INBOX.other 0\r\n\r\n", true },
    { "PUB a _INBOX.abd.P00000001 0\r\n\r\n", true }, /* another inbox */
    { "PUB a 0\r\n\r\n", true },
};

static size_t total(void)
{
    size_t n = 0;

    for (size_t i = 0; i < COUNT(ops); i++)
        n += strlen(ops[i].octets);
    return n;
}

/* At every octet: what was written whole is gone, what remains stays whole and in order. */
static void test_loss_at_every_octet(void **state)
{
    (void)state;
    for (size_t written = 0; written <= total(); written++) {
        char want[1024] = "";
        size_t at = 0;
        begin(10000);
        for (size_t i = 0; i < COUNT(ops); i++) {
            append(ops[i].octets);
            at += strlen(ops[i].octets);
            if (ops[i].stays && at > written)
                strcat(want, ops[i].octets);
        }
        sent(written);
        assert_int_equal(nbj__outbox_len(&box), total() - written);
        nbj__outbox_rewind(&box, nbj_str(INBOX));
        if (!holds(want))
            TS_FAIL("%zu octets written: \"%s\"", written, ts_show(nbj__outbox_view(&box).ptr, nbj__outbox_len(&box)));
        nbj__outbox_rewind(&box, nbj_str(INBOX)); /* a second loss, with nothing written, changes nothing */
        assert_true(holds(want));
        end();
    }
}

/* In pieces of every size: the view is always what follows. */
static void test_partial_writes(void **state)
{
    (void)state;
    char all[1024] = "";
    for (size_t i = 0; i < COUNT(ops); i++)
        strcat(all, ops[i].octets);
    for (size_t piece = 1; piece <= total(); piece++) {
        size_t at = 0;
        begin(10000);
        append(all);
        while (at < total()) {
            nbj_bytes view = nbj__outbox_view(&box);
            assert_int_equal(view.len, total() - at);
            assert_memory_equal(view.ptr, all + at, view.len);
            size_t n = piece < view.len ? piece : view.len;
            sent(n);
            at += n;
        }
        assert_int_equal(nbj__outbox_view(&box).len, 0);
        sent(0);
        end();
    }
}

static void test_drop_begun(void **state)
{
    (void)state;
    begin(1000);
    append("PUB a 3\r\none\r\nPUB b 3\r\ntwo\r\n");
    nbj__outbox_drop_begun(&box); /* none is */
    assert_true(holds("PUB a 3\r\none\r\nPUB b 3\r\ntwo\r\n"));
    sent(5);
    nbj__outbox_drop_begun(&box);
    assert_true(holds("PUB b 3\r\ntwo\r\n"));
    sent(1);
    nbj__outbox_drop_begun(&box);
    assert_true(holds(""));
    nbj__outbox_drop_begun(&box);
    end();
}

static void test_drop_larger(void **state)
{
    (void)state;
    begin(1000);
    append(
        "PUB a 3\r\none\r\nHPUB b 12 16\r\nNATS/1.0\r\n\r\nfour\r\nPING\r\nPUB c r 4\r\nfour\r\nPUB d 5\r\n12345\r\n");
    assert_int_equal(nbj__outbox_drop_larger(&box, 16), 0);
    assert_int_equal(nbj__outbox_drop_larger(&box, 15), 1); /* headers count */
    assert_int_equal(nbj__outbox_drop_larger(&box, 4), 1);
    assert_true(holds("PUB a 3\r\none\r\nPING\r\nPUB c r 4\r\nfour\r\n"));
    assert_int_equal(nbj__outbox_drop_larger(&box, 2), 2);
    assert_true(holds("PING\r\n")); /* only publishes have a size */
    end();
}

static void test_limit(void **state)
{
    (void)state;
    nbj__outgoing m = { .subject = nbj_str("subject"), .payload = nbj_str("payload") };
    begin(100);
    assert_true(nbj__outbox_can_hold(&box, nbj__outbox_size_of(&m)));
    assert_int_equal(publish("subject", "", "payload"), NBJ_OK);
    assert_int_equal(publish("subject", "", "payload"), NBJ_OK);
    assert_int_equal(publish("subject", "reply", "a payload that is a little too long for it"), NBJ_E_FULL);
    assert_true(holds("PUB subject 7\r\npayload\r\nPUB subject 7\r\npayload\r\n")); /* nothing of it */
    assert_int_equal(nbj__outbox_append(&box, nbj_str("PUB s 34\r\n1234567890123456789012345678901234\r\n")), NBJ_OK);
    assert_int_equal(nbj__outbox_append(&box, nbj_str("PUB s 10\r\n0123456789\r\n")), NBJ_E_FULL);
    append("PING\r\n"); /* control operations have room of their own */
    sent(24);           /* what is written whole makes room again */
    assert_int_equal(publish("s", "", "12345"), NBJ_E_FULL);
    sent(24);
    assert_int_equal(publish("s", "", "12345"), NBJ_OK);
    m.payload = nbj_view("", 100);
    assert_false(nbj__outbox_can_hold(&box, nbj__outbox_size_of(&m))); /* however empty it is */
    end();
}

static void test_out_of_memory(void **state)
{
    (void)state;
    begin(100);
    mem.fail_at = 0;
    assert_int_equal(publish("subject", "", "payload"), NBJ_E_NOMEM);
    assert_true(holds(""));
    assert_int_equal(publish("subject", "", "payload"), NBJ_OK);
    end();
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_at_every_octet),
        cmocka_unit_test(test_partial_writes),
        cmocka_unit_test(test_drop_begun),
        cmocka_unit_test(test_drop_larger),
        cmocka_unit_test(test_limit),
        cmocka_unit_test(test_out_of_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
