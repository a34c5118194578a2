/* SPDX-License-Identifier: Apache-2.0 */
/* Going on purpose: drain and lame duck, conn/leave.c. */
#include "conn/fixture.h"

#define LAME "INFO {\"headers\":true,\"ldm\":true}\r\n"

static fixture f;

static void drain(uint64_t timeout_ns)
{
    nbj__session_drain(f.s, f.now, f.now + timeout_ns);
}

/* --- drain --- */

static void test_drain_of_nothing(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    drain(NBJ_SECONDS(5));
    SENT(&f, "PING\r\n");
    EVENTS(&f, "");
    fix_feed(&f, "PONG\r\n");
    SENT(&f, "PING\r\n");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "HANGUP | CLOSED OK");
    fix_close(&f);
}

static void test_drain_step_by_step(void **state)
{
    (void)state;
    nbj__subscription queue = { .kind = NBJ__SUB_OF_APP, .subject = nbj_str("q"), .queued = true };
    fix_connect(&f, NULL);
    assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_OK);
    assert_int_equal(nbj__session_subscribe(f.s, &f.sub[1], &queue), NBJ_OK);
    assert_int_equal(fix_request(&f, 0, "svc", NBJ_SECONDS(5)), NBJ_OK);
    fix_sent(&f);
    drain(NBJ_SECONDS(10));
    drain(NBJ_SECONDS(1));                      /* it drains already */
    SENT(&f, "UNSUB 1\r\nUNSUB 2\r\nPING\r\n"); /* one barrier for all; not the inbox of requests */
    assert_int_equal(fix_subscribe(&f, 2, "b", 0), NBJ_E_DRAINING);
    assert_int_equal(fix_publish(&f, "p", "still"), NBJ_OK);
    fix_msg(&f, 1, "a", "", "on its way");
    fix_msg(&f, 2, "q", "", "on its way");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "MSG 1 a 'on its way' | QUEUED 2 | ENDED 1 OK | ENDED 2 OK");
    SENT(&f, "PUB p 5\r\nstill\r\n"); /* it waits for the reply and for what is in the queue */
    assert_int_equal(fix_flush(&f, 1, NBJ_SECONDS(5)), NBJ_OK);
    fix_msg(&f, 3, f.inbox, "", "reply");
    EVENTS(&f, "DONE 0 OK 'reply'");
    SENT(&f, "PING\r\n"); /* of the flush */
    assert_true(nbj__session_deadline(f.s) > f.now);
    nbj_msg_release(nbj__session_take(f.s, &f.sub[1]));
    assert_int_equal(nbj__session_deadline(f.s), 0); /* nobody else would wake it */
    fix_pump(&f);
    SENT(&f, "PING\r\n");
    assert_int_equal(fix_publish(&f, "p", "no more"), NBJ_E_DRAINING);
    assert_int_equal(fix_request(&f, 2, "svc", 1), NBJ_E_DRAINING);
    fix_feed(&f, "PONG\r\nPONG\r\n");
    EVENTS(&f, "DONE 1 OK | HANGUP | CLOSED OK");
    fix_close(&f);
}

static void test_drain_in_one_piece_is_the_same(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_OK);
    fix_sent(&f);
    drain(NBJ_SECONDS(10));
    fix_sent(&f);
    fix_feed(&f, "MSG a 1 1\r\nx\r\nPONG\r\n");
    SENT(&f, "PING\r\n");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "MSG 1 a 'x' | ENDED 1 OK | HANGUP | CLOSED OK");
    fix_close(&f);
}

static void test_drain_waits_for_a_forgotten_request_no_longer(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_request(&f, 0, "svc", NBJ_SECONDS(5)), NBJ_OK);
    drain(NBJ_SECONDS(10));
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    SENT(&f, "");
    nbj__session_forget(f.s, &f.call[0]);
    assert_int_equal(nbj__session_deadline(f.s), 0);
    fix_pump(&f);
    SENT(&f, "PING\r\n");
    fix_close(&f);
}

static void test_drain_deadline(void **state)
{
    (void)state;
    for (int pongs = 0; pongs < 3; pongs++) {
        fix_connect(&f, NULL);
        if (pongs == 1)
            assert_int_equal(fix_request(&f, 0, "svc", NBJ_SECONDS(9)), NBJ_OK); /* stays in CALLS */
        drain(NBJ_SECONDS(3));
        fix_write(&f, SIZE_MAX);
        for (int i = 0; i < pongs && i < 1; i++)
            fix_feed(&f, "PONG\r\n");
        fix_write(&f, SIZE_MAX);
        assert_int_equal(nbj__session_deadline(f.s), f.now + NBJ_SECONDS(3));
        fix_advance(&f, NBJ_SECONDS(3));
        EVENTS(&f, pongs == 1 ? "HANGUP | DONE 0 E_CLOSED | CLOSED E_TIMEOUT" : "HANGUP | CLOSED E_TIMEOUT");
        fix_close(&f);
    }
}

static void test_drain_loses_its_connection(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_OK);
    assert_int_equal(fix_request(&f, 0, "svc", NBJ_SECONDS(5)), NBJ_OK);
    assert_int_equal(fix_publish(&f, "p", "unsent"), NBJ_OK);
    drain(NBJ_SECONDS(3));
    fix_lose(&f, NBJ_E_EOF);
    EVENTS(&f, "DONE 0 E_CLOSED | ENDED 1 OK | DISCONNECTED E_EOF | CLOSED E_DISCONNECTED");
    fix_close(&f);
}

static void test_drain_while_disconnected(void **state)
{
    (void)state;
    for (int unsent = 0; unsent < 2; unsent++) {
        fix_open(&f, NULL);
        fix_pump(&f);
        if (unsent != 0)
            assert_int_equal(fix_publish(&f, "p", "x"), NBJ_OK);
        drain(NBJ_SECONDS(3));
        EVENTS(&f, unsent != 0 ? "DIAL 127.0.0.1:4222 | HANGUP | CLOSED E_DISCONNECTED"
                               : "DIAL 127.0.0.1:4222 | HANGUP | CLOSED OK");
        fix_close(&f);
    }
}

static void test_drain_without_room(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(fix_subscribe(&f, i, "a", 0), NBJ_OK);
    fix_sent(&f);
    f.mem.fail_at = f.mem.calls;
    f.mem.fail_after = true;
    while (fix_publish(&f, "p", "a payload that fills the room that was allocated before") == NBJ_OK)
        continue;
    drain(NBJ_SECONDS(3));
    f.mem.fail_after = false;
    fix_pump(&f);
    assert_true(f.saw_closed || nbj__session_phase(f.s) == NBJ__PHASE_READY);
    fix_advance(&f, NBJ_SECONDS(3));
    fix_pump(&f);
    assert_true(f.saw_closed);
    for (size_t i = 0; i < 10; i++)
        assert_int_equal(f.sub[i].state, NBJ__SUB_ENDED);
    fix_close(&f);
}

/* --- lame duck --- */

static void connect_two(void)
{
    nbj__session_options o = { .urls = nbj_str("a,b"), .no_randomize = true };

    fix_connect(&f, &o);
}

static void test_lame_duck_moves(void **state)
{
    (void)state;
    connect_two();
    assert_int_equal(fix_subscribe(&f, 0, "s", 0), NBJ_OK);
    assert_int_equal(fix_publish(&f, "p", "before"), NBJ_OK);
    fix_write(&f, 3);
    fix_feed(&f, LAME LAME);
    EVENTS(&f, "LAME_DUCK"); /* told once */
    assert_int_equal(fix_publish(&f, "p", "after"), NBJ_OK);
    SENT(&f, "SUB s 1\r\nPUB p 6\r\nbefore\r\nPING\r\n"); /* nothing behind the PING */
    fix_msg(&f, 1, "s", "", "meanwhile");
    EVENTS(&f, "MSG 1 s 'meanwhile'");
    fix_feed(&f, "PONG\r\n"); /* all of it was read */
    EVENTS(&f, "HANGUP | DISCONNECTED E_LAME_DUCK | DIAL b:4222");
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "RECONNECTED");
    SENT(&f, "SUB s 1\r\nPUB p 5\r\nafter\r\n"); /* nothing twice, nothing lost */
    fix_close(&f);
}

static void test_lame_duck_waits_for_replies(void **state)
{
    (void)state;
    connect_two();
    assert_int_equal(fix_request(&f, 0, "svc", NBJ_SECONDS(60)), NBJ_OK);
    fix_sent(&f);
    fix_feed(&f, LAME);
    fix_write(&f, SIZE_MAX);
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "LAME_DUCK");
    fix_msg(&f, 1, f.inbox, "", "reply");
    EVENTS(&f, "DONE 0 OK 'reply' | HANGUP | DISCONNECTED E_LAME_DUCK | DIAL b:4222");
    fix_close(&f);

    connect_two();
    assert_int_equal(fix_request(&f, 0, "svc", NBJ_SECONDS(60)), NBJ_OK);
    fix_sent(&f);
    fix_feed(&f, LAME);
    fix_write(&f, SIZE_MAX);
    assert_int_equal(nbj__session_deadline(f.s), f.now + NBJ_SECONDS(5)); /* not for ever */
    fix_advance(&f, NBJ_SECONDS(5));
    EVENTS(&f, "LAME_DUCK | HANGUP | DISCONNECTED E_LAME_DUCK | DIAL b:4222");
    fix_close(&f);
}

static void test_lame_duck_goes_when_the_last_request_is_forgotten(void **state)
{
    (void)state;
    connect_two();
    assert_int_equal(fix_request(&f, 0, "svc", NBJ_SECONDS(60)), NBJ_OK);
    fix_feed(&f, LAME);
    fix_write(&f, SIZE_MAX);
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "LAME_DUCK");
    nbj__session_forget(f.s, &f.call[0]);
    assert_int_equal(nbj__session_deadline(f.s), 0);
    EVENTS(&f, "HANGUP | DISCONNECTED E_LAME_DUCK | DIAL b:4222");
    fix_close(&f);
}

static void test_lame_duck_keeps_flushes(void **state)
{
    (void)state;
    connect_two();
    assert_int_equal(fix_flush(&f, 0, NBJ_SECONDS(60)), NBJ_OK);
    fix_feed(&f, LAME);
    assert_int_equal(fix_flush(&f, 1, NBJ_SECONDS(60)), NBJ_OK); /* it is answered by the next server */
    SENT(&f, "PING\r\nPING\r\n");
    fix_feed(&f, "PONG\r\nPONG\r\n");
    EVENTS(&f, "LAME_DUCK | DONE 0 OK | HANGUP | DISCONNECTED E_LAME_DUCK | DIAL b:4222");
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    SENT(&f, "PING\r\n");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "RECONNECTED | DONE 1 OK");
    fix_close(&f);
}

static void test_lame_duck_without_another_server(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    fix_feed(&f, LAME);
    EVENTS(&f, "LAME_DUCK");
    SENT(&f, "");
    fix_advance(&f, NBJ_SECONDS(10));
    EVENTS(&f, ""); /* stays as long as it is let */
    assert_int_equal(fix_publish(&f, "p", "x"), NBJ_OK);
    SENT(&f, "PUB p 1\r\nx\r\n");
    fix_close(&f);
}

static void test_lame_duck_names_others(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    fix_feed(&f, "INFO {\"headers\":true,\"ldm\":true,\"connect_urls\":[\"x:1\"]}\r\n");
    SENT(&f, "PING\r\n");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "DISCOVERED | LAME_DUCK | HANGUP | DISCONNECTED E_LAME_DUCK | DIAL x:1");
    fix_lose(&f, NBJ_E_REFUSED);
    EVENTS(&f, ""); /* the lame duck has its rest, too, unless nothing else is there */
    fix_at(&f, nbj__session_deadline(f.s));
    EVENTS(&f, "DIAL x:1");
    fix_close(&f);
}

static void test_drain_beats_leaving(void **state)
{
    (void)state;
    connect_two();
    fix_feed(&f, LAME);
    drain(NBJ_SECONDS(9));
    SENT(&f, "PING\r\nPING\r\n");
    fix_feed(&f, "PONG\r\nPONG\r\n");
    SENT(&f, "PING\r\n");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "LAME_DUCK | HANGUP | CLOSED OK");
    fix_close(&f);

    connect_two();
    drain(NBJ_SECONDS(9));
    fix_feed(&f, LAME);
    SENT(&f, "PING\r\n");
    fix_feed(&f, "PONG\r\n");
    SENT(&f, "PING\r\n");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "LAME_DUCK | HANGUP | CLOSED OK");
    fix_close(&f);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_drain_of_nothing),
        cmocka_unit_test(test_drain_step_by_step),
        cmocka_unit_test(test_drain_in_one_piece_is_the_same),
        cmocka_unit_test(test_drain_waits_for_a_forgotten_request_no_longer),
        cmocka_unit_test(test_drain_deadline),
        cmocka_unit_test(test_drain_loses_its_connection),
        cmocka_unit_test(test_drain_while_disconnected),
        cmocka_unit_test(test_drain_without_room),
        cmocka_unit_test(test_lame_duck_moves),
        cmocka_unit_test(test_lame_duck_waits_for_replies),
        cmocka_unit_test(test_lame_duck_goes_when_the_last_request_is_forgotten),
        cmocka_unit_test(test_lame_duck_keeps_flushes),
        cmocka_unit_test(test_lame_duck_without_another_server),
        cmocka_unit_test(test_lame_duck_names_others),
        cmocka_unit_test(test_drain_beats_leaving),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
