/* SPDX-License-Identifier: Apache-2.0 */
/* How a session loses connections and goes on: back-off, what was being written, discovery, closing: conn/session.h. */
#include "conn/fixture.h"

static fixture f;

/* --- losing --- */

static void test_loss_and_reconnect(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    fix_advance(&f, NBJ_SECONDS(2));
    fix_lose(&f, NBJ_E_EOF);
    EVENTS(&f, "DISCONNECTED E_EOF | DIAL 127.0.0.1:4222"); /* it was healthy: no wait */
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO "PONG\r\n");
    EVENTS(&f, "RECONNECTED");
    assert_int_equal(nbj__session_stats_of(f.s)->reconnects, 1);
    fix_close(&f);
}

static void test_short_life_backs_off(void **state)
{
    (void)state;
    uint64_t longest = 0;
    fix_connect(&f, NULL);
    for (int i = 0; i < 30; i++) {
        fix_advance(&f, NBJ_MILLIS(999));
        fix_lose(&f, NBJ_E_EOF);
        EVENTS(&f, "DISCONNECTED E_EOF");
        uint64_t waited = fix_wait_for_dial(&f);
        longest = waited > longest ? waited : longest;
        fix_shake(&f, FIX_INFO);
    }
    assert_true(longest > NBJ_SECONDS(2)); /* flapping does not spin */
    assert_true(longest <= NBJ_SECONDS(8));
    fix_close(&f);
}

static void test_servers_in_turn(void **state)
{
    (void)state;
    fix_open_urls(&f, "a,b,c");
    fix_shake(&f, FIX_INFO);
    fix_advance(&f, NBJ_SECONDS(10));
    fix_lose(&f, NBJ_E_EOF);
    EVENTS(&f, "DISCONNECTED E_EOF | DIAL b:4222");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "DIAL c:4222");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "DIAL a:4222"); /* healthy when last seen */
    fix_lose(&f, NBJ_E_REFUSED);
    assert_true(fix_wait_for_dial(&f) <= NBJ_MILLIS(100)); /* only now all of them have failed */
    fix_close(&f);
}

static void test_no_reconnect(void **state)
{
    (void)state;
    nbj__session_options o = fix_urls("a,b");
    o.no_reconnect = true;
    fix_open(&f, &o);
    EVENTS(&f, "DIAL a:4222");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "DIAL b:4222"); /* connecting once is allowed to take several servers */
    fix_shake(&f, FIX_INFO);
    fix_advance(&f, NBJ_SECONDS(10));
    fix_lose(&f, NBJ_E_EOF);
    EVENTS(&f, "DISCONNECTED E_EOF | CLOSED E_EOF");
    fix_close(&f);
}

static void test_max_reconnects(void **state)
{
    (void)state;
    nbj__session_options o = fix_urls("a,b");
    o.max_reconnects = 2;
    fix_open(&f, &o);
    fix_shake(&f, FIX_INFO);
    fix_advance(&f, NBJ_SECONDS(10));
    fix_lose(&f, NBJ_E_EOF);
    unsigned failures = 0;
    while (!f.saw_closed) {
        fix_pump(&f);
        if (nbj__session_phase(f.s) == NBJ__PHASE_WAITING)
            fix_at(&f, nbj__session_deadline(f.s));
        else if (f.is_open && ++failures > 0)
            fix_lose(&f, NBJ_E_REFUSED);
        assert_true(failures <= 4);
    }
    assert_int_equal(failures, 4); /* each server twice */
    assert_non_null(strstr(f.events, " | CLOSED E_REFUSED"));
    fix_close(&f);
}

static void test_protocol_error(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    fix_advance(&f, NBJ_SECONDS(2));
    fix_feed(&f, "MSG a b c d e f\r\n");
    EVENTS(&f, "HANGUP | DISCONNECTED E_PROTO | DIAL 127.0.0.1:4222");
    fix_close(&f);
}

static void test_stale(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    for (int i = 1; i <= 2; i++) {
        fix_advance(&f, NBJ_SECONDS(30));
        SENT(&f, "PING\r\n");
    }
    fix_advance(&f, NBJ_SECONDS(30) - 1);
    EVENTS(&f, "");
    fix_advance(&f, 1);
    EVENTS(&f, "HANGUP | DISCONNECTED E_STALE | DIAL 127.0.0.1:4222");
    fix_close(&f);
}

static void test_write_stall(void **state)
{
    (void)state;
    nbj__session_options o = { .write_timeout_ns = NBJ_SECONDS(3) };
    fix_connect(&f, &o);
    assert_int_equal(fix_publish(&f, "a", "12345"), NBJ_OK);
    fix_pump(&f);
    assert_int_equal(nbj__session_deadline(f.s), f.now + NBJ_SECONDS(3));
    fix_advance(&f, NBJ_SECONDS(2));
    assert_int_equal(fix_write(&f, 1), 1); /* one octet is progress */
    fix_advance(&f, NBJ_SECONDS(3) - 1);
    EVENTS(&f, "");
    fix_advance(&f, 1);
    EVENTS(&f, "HANGUP | DISCONNECTED E_STALE | DIAL 127.0.0.1:4222");
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO); /* CONNECT that nobody reads is the same */
    fix_advance(&f, NBJ_SECONDS(3));
    fix_pump(&f);
    assert_non_null(strstr(f.events, "HANGUP"));
    fix_close(&f);
}

static void test_idle_is_no_stall(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_publish(&f, "a", "12345"), NBJ_OK);
    fix_pump(&f);
    SENT(&f, "PUB a 5\r\n12345\r\n");
    fix_advance(&f, NBJ_SECONDS(29));
    EVENTS(&f, "");
    fix_close(&f);
}

/* --- what was published while there was no connection, or while it went --- */

static void test_buffered_publishes_follow_subscriptions(void **state)
{
    (void)state;
    fix_open(&f, NULL);
    assert_int_equal(fix_publish(&f, "a", "1"), NBJ_OK);
    assert_int_equal(fix_subscribe(&f, 0, "s.*", 5), NBJ_OK);
    assert_int_equal(fix_publish(&f, "a", "2"), NBJ_OK);
    fix_pump(&f);
    SENT(&f, "");
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    SENT(&f, "SUB s.* 1\r\nUNSUB 1 5\r\nPUB a 1\r\n1\r\nPUB a 1\r\n2\r\n");
    fix_close(&f);
}

static void test_half_written_publish_is_sent_whole(void **state)
{
    (void)state;
    static const char both[] = "PUB a 3\r\none\r\nPUB b 3\r\ntwo\r\n";
    for (size_t cut = 0; cut <= strlen(both); cut++) {
        fix_connect(&f, NULL);
        fix_advance(&f, NBJ_SECONDS(2));
        assert_int_equal(fix_publish(&f, "a", "one"), NBJ_OK);
        assert_int_equal(fix_publish(&f, "b", "two"), NBJ_OK);
        assert_int_equal(fix_write(&f, cut), cut);
        fix_lose(&f, NBJ_E_EOF);
        fix_pump(&f);
        f.raw_len = 0;
        fix_dialed(&f);
        fix_feed(&f, FIX_INFO);
        fix_sent(&f);
        fix_feed(&f, "PONG\r\n");
        SENT(&f, cut < 14 ? both : cut < 28 ? both + 14 : "");
        fix_close(&f);
    }
}

static void test_offending_publish_is_not_repeated(void **state)
{
    (void)state;
    static const char *const errors[] = { "Maximum Payload Violation", "maximum control line exceeded" };
    for (size_t i = 0; i < COUNT(errors); i++) {
        fix_connect(&f, NULL);
        fix_advance(&f, NBJ_SECONDS(2));
        assert_int_equal(fix_publish(&f, "a", "one"), NBJ_OK);
        assert_int_equal(fix_publish(&f, "b", "two"), NBJ_OK);
        assert_int_equal(fix_write(&f, 12), 12); /* the line and a part of the payload */
        fix_feedf(&f, "-ERR '%s'\r\n", errors[i]);
        f.raw_len = 0;
        fix_pump(&f);
        fix_dialed(&f);
        fix_feed(&f, FIX_INFO);
        fix_sent(&f);
        fix_feed(&f, "PONG\r\n");
        SENT(&f, "PUB b 3\r\ntwo\r\n");
        fix_close(&f);
    }
}

static void test_too_large_for_the_next_server(void **state)
{
    (void)state;
    fix_open(&f, NULL);
    assert_int_equal(fix_publish(&f, "a", "1234567890"), NBJ_OK);
    assert_int_equal(fix_publish(&f, "b", "12345"), NBJ_OK);
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, "INFO {\"max_payload\":5}\r\n");
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "DIAL 127.0.0.1:4222 | CONNECTED | SERVER_ERROR E_TOO_LARGE");
    SENT(&f, "PUB b 5\r\n12345\r\n");
    fix_close(&f);
}

/* --- asking for a reconnect --- */

static void test_reconnect(void **state)
{
    (void)state;
    fix_open_urls(&f, "a,b");
    nbj__session_reconnect(f.s, f.now); /* it is at it already */
    EVENTS(&f, "");
    fix_shake(&f, FIX_INFO);
    nbj__session_reconnect(f.s, f.now); /* however short it lived: this is no failure of the server */
    EVENTS(&f, "HANGUP | DISCONNECTED E_CANCELLED | DIAL b:4222");
    fix_shake(&f, FIX_INFO);
    nbj__session_reconnect(f.s, f.now);
    EVENTS(&f, "HANGUP | DISCONNECTED E_CANCELLED | DIAL a:4222");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "DIAL b:4222");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, "");
    nbj__session_reconnect(f.s, f.now); /* does not wait for its time */
    fix_pump(&f);
    assert_int_equal(nbj__session_phase(f.s), NBJ__PHASE_DIALING);
    fix_close(&f);
}

/* --- discovery --- */

static void test_discovery(void **state)
{
    (void)state;
    static const char info[] = "INFO {\"headers\":true,\"connect_urls\":[\"x:1\",\"y:2\"]}\r\n";
    fix_open_urls(&f, "a");
    fix_dialed(&f);
    fix_feedf(&f, "%sPONG\r\n", info);
    EVENTS(&f, "DISCOVERED | CONNECTED");
    assert_int_equal(nbj__session_server_count(f.s), 3);
    fix_feed(&f, info);
    EVENTS(&f, ""); /* nothing new */
    fix_feed(&f, "INFO {\"headers\":true,\"connect_urls\":[\"x:1\",\"z:3\"]}\r\n");
    EVENTS(&f, "DISCOVERED");
    assert_int_equal(nbj__session_server_count(f.s), 3);
    fix_write(&f, SIZE_MAX);
    fix_advance(&f, NBJ_SECONDS(10));
    fix_lose(&f, NBJ_E_EOF);
    EVENTS(&f, "DISCONNECTED E_EOF | DIAL x:1");
    fix_close(&f);

    nbj__session_options o = fix_urls("a");
    o.ignore_discovered = true;
    fix_open(&f, &o);
    fix_pump(&f);
    fix_dialed(&f);
    fix_feedf(&f, "%sPONG\r\n", info);
    EVENTS(&f, "DIAL a:4222 | CONNECTED");
    assert_int_equal(nbj__session_server_count(f.s), 1);
    fix_close(&f);
}

/* --- closing --- */

static void test_close_in_every_phase(void **state)
{
    (void)state;
    for (int phase = 0; phase < 5; phase++) {
        fix_open(&f, NULL);
        if (phase >= 1)
            fix_pump(&f);
        if (phase >= 2)
            fix_dialed(&f);
        if (phase >= 3)
            fix_feed(&f, FIX_INFO "PONG\r\n");
        if (phase >= 4) {
            fix_lose(&f, NBJ_E_EOF);
            assert_int_equal(nbj__session_phase(f.s), NBJ__PHASE_WAITING);
        }
        f.events[0] = '\0';
        nbj__session_close(f.s, NBJ_E_TIMEOUT, "because");
        nbj__session_close(f.s, NBJ_OK, NULL); /* nothing happens the second time */
        EVENTS(&f, phase >= 1 && phase < 4 ? "HANGUP | CLOSED E_TIMEOUT" : "CLOSED E_TIMEOUT");
        EVENTS(&f, "");
        assert_int_equal(fix_publish(&f, "a", "x"), NBJ_E_CLOSED);
        assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_E_CLOSED);
        assert_int_equal(fix_request(&f, 0, "a", 1), NBJ_E_CLOSED);
        assert_int_equal(fix_flush(&f, 0, 1), NBJ_E_CLOSED);
        nbj__session_reconnect(f.s, f.now);
        nbj__session_drain(f.s, f.now, f.now + 1);
        fix_advance(&f, NBJ_HOURS(1));
        EVENTS(&f, "");
        fix_close(&f);
    }
}

static void test_bad_options(void **state)
{
    (void)state;
    static const struct {
        nbj__session_options o;
        nbj_status want;
    } cases[] = {
        { { .urls = { (const uint8_t *)"ftp://x", 7 } }, NBJ_E_BAD_URL },
        { { .inbox_prefix = { (const uint8_t *)"a.*", 3 } }, NBJ_E_INVALID },
        { { .inbox_prefix = { (const uint8_t *)"a.", 2 } }, NBJ_E_INVALID },
        { { .inbox_prefix = { (const uint8_t
                                   *)"aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa"
                                     "aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa",
                              NBJ__INBOX_MAX + 1 } },
          NBJ_E_INVALID },
        { { .max_outgoing_bytes = SIZE_MAX / 2 }, NBJ_E_INVALID },
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        fix_init(&f);
        assert_int_equal(fix_try_open(&f, &cases[i].o), cases[i].want);
        ts_alloc_done(&f.mem);
    }
    nbj__session_free(NULL);
}

static void test_same_seed_same_life(void **state)
{
    (void)state;
    char first[4096] = "";
    for (int run = 0; run < 2; run++) {
        nbj__session_options o = { .urls = nbj_str("a,b,c,d,e"), .seed = 77, .retry_first_connect = true };
        fix_open(&f, &o);
        for (int i = 0; i < 40; i++) {
            fix_pump(&f);
            if (f.is_open)
                fix_lose(&f, NBJ_E_REFUSED);
            else
                fix_at(&f, nbj__session_deadline(f.s));
            fix_log(&f, "at %llu", (unsigned long long)(f.now - FIX_START));
        }
        if (run == 0)
            memcpy(first, f.events, sizeof first);
        else
            assert_string_equal(first, fix_events(&f));
        fix_close(&f);
    }
}

/* Another thread asks for a new connection while the driver reads the old one's end. */
static void test_a_loss_after_a_reconnect_is_not_one_of_the_next_connection(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    nbj__session_reconnect(f.s, f.now);
    assert_int_equal(nbj__session_phase(f.s), NBJ__PHASE_DIALING);
    f.is_open = false;
    nbj__session_lost(f.s, NBJ_E_EOF, NULL, f.now);
    assert_int_equal(nbj__session_phase(f.s), NBJ__PHASE_DIALING);
    fix_pump(&f);
    assert_non_null(strstr(fix_events(&f), "DIAL"));
    fix_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_loss_and_reconnect),
        cmocka_unit_test(test_short_life_backs_off),
        cmocka_unit_test(test_servers_in_turn),
        cmocka_unit_test(test_no_reconnect),
        cmocka_unit_test(test_max_reconnects),
        cmocka_unit_test(test_protocol_error),
        cmocka_unit_test(test_stale),
        cmocka_unit_test(test_write_stall),
        cmocka_unit_test(test_idle_is_no_stall),
        cmocka_unit_test(test_buffered_publishes_follow_subscriptions),
        cmocka_unit_test(test_half_written_publish_is_sent_whole),
        cmocka_unit_test(test_offending_publish_is_not_repeated),
        cmocka_unit_test(test_too_large_for_the_next_server),
        cmocka_unit_test(test_reconnect),
        cmocka_unit_test(test_discovery),
        cmocka_unit_test(test_close_in_every_phase),
        cmocka_unit_test(test_bad_options),
        cmocka_unit_test(test_same_seed_same_life),
        cmocka_unit_test(test_a_loss_after_a_reconnect_is_not_one_of_the_next_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
