/* SPDX-License-Identifier: Apache-2.0 */
/* Publishing and subscriptions of a session: conn/session.h, conn/subs.h. */
#include "conn/fixture.h"

#include "wire/frame.h"

static fixture f;

static nbj_status subscribe_as(size_t i, const nbj__subscription *what)
{
    nbj__subscription w = *what;

    w.kind = NBJ__SUB_OF_APP;
    return nbj__session_subscribe(f.s, &f.sub[i], &w);
}

/* Loses the connection and comes back; no event and no octet is left but those after the PONG. */
static void come_back(void)
{
    fix_advance(&f, NBJ_SECONDS(2));
    fix_lose(&f, NBJ_E_EOF);
    fix_pump(&f);
    f.raw_len = 0;
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    f.events[0] = '\0';
}

/* --- publishing --- */

static void test_publish(void **state)
{
    (void)state;
    nbj_header headers[] = { { nbj_str("A"), nbj_str("1") } };
    nbj__outgoing m = { .subject = nbj_str("a.b"), .reply = nbj_str("r"), .headers = headers, .header_count = 1 };
    fix_connect(&f, NULL);
    assert_int_equal(fix_publish(&f, "a", ""), NBJ_OK);
    assert_int_equal(nbj__session_publish(f.s, &m), NBJ_OK);
    SENT(&f, "PUB a 0\r\n\r\nHPUB a.b r 18 18\r\nNATS/1.0\r\nA: 1\r\n\r\n\r\n");
    assert_int_equal(nbj__session_stats_of(f.s)->out_msgs, 2);
    assert_int_equal(nbj__session_stats_of(f.s)->out_bytes, 18);
    fix_close(&f);
}

static void test_illegal_publishes(void **state)
{
    (void)state;
    nbj_header bad_name = { nbj_str("A B"), nbj_str("1") };
    nbj_header bad_value = { nbj_str("A"), nbj_str("1\r\nB: 2") };
    const struct {
        const char *name;
        nbj__outgoing m;
        nbj_status want;
    } cases[] = {
        { "empty", { .subject = nbj_str("") }, NBJ_E_BAD_SUBJECT },
        { "wildcard", { .subject = nbj_str("a.*") }, NBJ_E_BAD_SUBJECT },
        { "line end", { .subject = nbj_str("a\r\nPING") }, NBJ_E_BAD_SUBJECT },
        { "blank", { .subject = nbj_str("a b") }, NBJ_E_BAD_SUBJECT },
        { "reply", { .subject = nbj_str("a"), .reply = nbj_str("b.>") }, NBJ_E_BAD_SUBJECT },
        { "header name", { .subject = nbj_str("a"), .headers = &bad_name, .header_count = 1 }, NBJ_E_BAD_HEADER },
        { "header value", { .subject = nbj_str("a"), .headers = &bad_value, .header_count = 1 }, NBJ_E_BAD_HEADER },
        { "payload", { .subject = nbj_str("a"), .payload = nbj_view("", NBJ__PAYLOAD_MAX + 1) }, NBJ_E_TOO_LARGE },
        { "server's maximum", { .subject = nbj_str("a"), .payload = nbj_view("", 1048577) }, NBJ_E_TOO_LARGE },
    };
    fix_connect(&f, NULL);
    for (size_t i = 0; i < COUNT(cases); i++)
        CHECK(cases[i].name, nbj__session_publish(f.s, &cases[i].m) == cases[i].want);
    SENT(&f, "");
    assert_int_equal(nbj__session_stats_of(f.s)->out_msgs, 0);
    fix_feed(&f, "INFO {\"max_payload\":4}\r\n"); /* it may change, and headers may go */
    assert_int_equal(fix_publish(&f, "a", "12345"), NBJ_E_TOO_LARGE);
    assert_int_equal(fix_publish(&f, "a", "1234"), NBJ_OK);
    nbj_header good = { nbj_str("A"), nbj_str("") };
    nbj__outgoing m = { .subject = nbj_str("a"), .headers = &good, .header_count = 1 };
    assert_int_equal(nbj__session_publish(f.s, &m), NBJ_E_TOO_LARGE);
    fix_feed(&f, "INFO {\"max_payload\":400,\"headers\":false}\r\n");
    assert_int_equal(nbj__session_publish(f.s, &m), NBJ_E_NO_HEADERS);
    fix_close(&f);
}

static void test_full(void **state)
{
    (void)state;
    for (int waits = 0; waits < 2; waits++) {
        nbj__session_options o = { .max_outgoing_bytes = 200, .wait_when_full = waits != 0 };
        nbj_status full = waits != 0 ? NBJ_E_WOULD_BLOCK : NBJ_E_FULL;
        fix_connect(&f, &o);
        while (fix_publish(&f, "a", "1234567890") == NBJ_OK)
            assert_true(nbj__session_outgoing(f.s) <= 200);
        assert_int_equal(fix_publish(&f, "a", "1234567890"), full);
        assert_true(nbj__session_outgoing(f.s) > 100);
        nbj__outgoing whole = { .subject = nbj_str("a"), .payload = nbj_view(f.raw, 200) };
        assert_int_equal(nbj__session_publish(f.s, &whole), NBJ_E_FULL); /* waiting would not help it */
        assert_int_equal(fix_write(&f, 20), 20);
        EVENTS(&f, ""); /* not for every octet */
        fix_write(&f, SIZE_MAX);
        EVENTS(&f, waits != 0 ? "WRITABLE" : "");
        assert_int_equal(fix_publish(&f, "a", "1234567890"), NBJ_OK);
        fix_write(&f, SIZE_MAX);
        EVENTS(&f, ""); /* once */
        fix_close(&f);
    }
}

static void test_writable_after_a_loss(void **state)
{
    (void)state;
    nbj__session_options o = { .max_outgoing_bytes = 200, .wait_when_full = true };
    fix_connect(&f, &o);
    nbj_bytes inbox;
    assert_int_equal(nbj__session_inbox(f.s, &inbox), NBJ_OK);
    char frame[128];
    snprintf(frame, sizeof frame, "PUB a %.*sP00000000 20\r\n12345678901234567890\r\n", NBJ_FMT(inbox));
    while (nbj__session_send_frame(f.s, nbj_str(frame), 20) == NBJ_OK)
        continue;
    assert_int_equal(fix_publish(&f, "a", "12345678901234567890123456789012345678901234567890"), NBJ_E_WOULD_BLOCK);
    fix_lose(&f, NBJ_E_EOF); /* the frames are their owner's: nothing is left that could be written */
    fix_pump(&f);
    f.events[0] = '\0';
    assert_int_equal(nbj__session_outgoing(f.s), 0);
    fix_at(&f, nbj__session_deadline(f.s));
    fix_pump(&f);
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_write(&f, SIZE_MAX);
    fix_feed(&f, "PONG\r\n");
    fix_write(&f, SIZE_MAX);
    assert_non_null(strstr(fix_events(&f), "WRITABLE"));
    assert_int_equal(nbj__session_send_frame(f.s, nbj_str(frame), 20), NBJ_OK);
    fix_close(&f);
}

/* Threads write by themselves while the one that takes events sleeps. */
static void test_writable_is_said_once(void **state)
{
    (void)state;
    nbj__session_options o = { .max_outgoing_bytes = 200, .wait_when_full = true };
    fix_connect(&f, &o);
    (void)fix_events(&f);
    for (int i = 0; i < 40; i++) {
        while (fix_publish(&f, "a", "12345678901234567890") == NBJ_OK)
            continue;
        fix_write(&f, SIZE_MAX);
    }
    fix_pump(&f);
    EVENTS(&f, "WRITABLE");
    fix_close(&f);
}

static void test_frames_only_while_connected(void **state)
{
    (void)state;
    fix_open(&f, NULL);
    assert_int_equal(nbj__session_send_frame(f.s, nbj_str("PUB a 0\r\n\r\n"), 0), NBJ_E_DISCONNECTED);
    fix_shake(&f, FIX_INFO);
    assert_int_equal(nbj__session_send_frame(f.s, nbj_str("PUB a 0\r\n\r\n"), 0), NBJ_OK);
    SENT(&f, "PUB a 0\r\n\r\n");
    fix_close(&f);
}

/* --- subscribing --- */

static void test_messages_by_sid(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_subscribe(&f, 0, "a.*", 0), NBJ_OK);
    assert_int_equal(subscribe_as(1, &(nbj__subscription){ .subject = nbj_str("b"), .queue_group = nbj_str("q") }),
                     NBJ_OK);
    SENT(&f, "SUB a.* 1\r\nSUB b q 2\r\n");
    fix_msg(&f, 2, "entirely.else", "", "x"); /* the subject says nothing about whose it is */
    fix_msg(&f, 1, "a.b", "reply", "");
    fix_msg(&f, 3, "a.b", "", "y"); /* nobody's */
    EVENTS(&f, "MSG 2 entirely.else 'x' | MSG 1 a.b reply ''");
    const nbj__session_stats *stats = nbj__session_stats_of(f.s);
    assert_int_equal(stats->in_msgs, 2);
    assert_int_equal(stats->in_bytes, 1);
    assert_int_equal(stats->unwanted, 1);
    assert_int_equal(f.sub[0].delivered, 1);
    fix_close(&f);
}

static void test_illegal_subscriptions(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    nbj__sub untouched = { 0 };
    static const char *const bad[] = { "", "a..b", ".a", "a.", "a.>.b", "a b", "a\n" };
    for (size_t i = 0; i < COUNT(bad); i++)
        CHECK(bad[i], fix_subscribe(&f, 0, bad[i], 0) == NBJ_E_BAD_SUBJECT);
    nbj__subscription queue = { .subject = nbj_str("a"), .queue_group = nbj_str("q r") };
    assert_int_equal(subscribe_as(0, &queue), NBJ_E_BAD_SUBJECT);
    assert_memory_equal(&f.sub[0], &untouched, sizeof untouched);
    SENT(&f, "");
    fix_close(&f);
}

static void test_maximum(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_subscribe(&f, 0, "a", 2), NBJ_OK);
    SENT(&f, "SUB a 1\r\nUNSUB 1 2\r\n");
    for (int i = 0; i < 3; i++)
        fix_msg(&f, 1, "a", "", "m");
    EVENTS(&f, "MSG 1 a 'm' | MSG 1 a 'm' | ENDED 1 OK");
    SENT(&f, ""); /* the server counts by itself */
    assert_int_equal(nbj__session_stats_of(f.s)->unwanted, 1);
    fix_close(&f);
}

static void test_maximum_over_reconnects(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_subscribe(&f, 0, "a", 5), NBJ_OK);
    assert_int_equal(fix_subscribe(&f, 1, "b", 0), NBJ_OK);
    fix_msg(&f, 1, "a", "", "1");
    fix_msg(&f, 1, "a", "", "2");
    come_back();
    SENT(&f, "SUB a 1\r\nUNSUB 1 3\r\nSUB b 2\r\n"); /* its count restarts; the same sids */
    fix_msg(&f, 1, "a", "", "3");
    come_back();
    SENT(&f, "SUB a 1\r\nUNSUB 1 2\r\nSUB b 2\r\n");
    assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[0], 4), NBJ_OK); /* of all, of which 3 came before */
    SENT(&f, "UNSUB 1 1\r\n");
    fix_msg(&f, 1, "a", "", "4");
    EVENTS(&f, "MSG 1 a '4' | ENDED 1 OK");
    come_back();
    SENT(&f, "SUB b 2\r\n");
    fix_close(&f);
}

static void test_unsubscribe(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    for (size_t i = 0; i < 4; i++)
        assert_int_equal(fix_subscribe(&f, i, "a", 0), NBJ_OK);
    fix_msg(&f, 3, "a", "", "m");
    fix_sent(&f);
    f.events[0] = '\0';
    assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[0], 0), NBJ_OK);
    assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[0], 0), NBJ_E_STATE);
    assert_int_equal(nbj__session_sub_drain(f.s, &f.sub[0]), NBJ_E_STATE);
    assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[1], 1), NBJ_OK);
    assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[2], 1), NBJ_OK); /* it has had one */
    SENT(&f, "UNSUB 1\r\nUNSUB 2 1\r\nUNSUB 3\r\n");
    EVENTS(&f, "ENDED 1 OK | ENDED 3 OK");
    fix_msg(&f, 1, "a", "", "late");
    fix_msg(&f, 2, "a", "", "m");
    EVENTS(&f, "MSG 2 a 'm' | ENDED 2 OK");
    nbj__session_sub_clear(f.s, &f.sub[3]); /* live: it is ended without an event */
    SENT(&f, "UNSUB 4\r\n");
    EVENTS(&f, "");
    fix_close(&f);
}

static void test_unsubscribe_without_room_changes_nothing(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_OK);
    fix_sent(&f);
    assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[0], 9), NBJ_OK); /* there is a buffer, with some room */
    f.mem.fail_at = f.mem.calls;
    f.mem.fail_after = true;
    nbj_status st = NBJ_OK;
    uint64_t max = 10;
    while ((st = nbj__session_unsubscribe(f.s, &f.sub[0], max)) == NBJ_OK)
        max++;
    assert_int_equal(st, NBJ_E_NOMEM);
    assert_int_equal(f.sub[0].max, max - 1);
    f.mem.fail_after = false;
    fix_close(&f);
}

static void test_changes_while_disconnected(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_OK);
    assert_int_equal(fix_subscribe(&f, 1, "b", 0), NBJ_OK);
    assert_int_equal(fix_subscribe(&f, 2, "c", 0), NBJ_OK);
    fix_advance(&f, NBJ_SECONDS(2));
    fix_lose(&f, NBJ_E_EOF);
    fix_pump(&f);
    assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[0], 0), NBJ_OK);
    assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[1], 7), NBJ_OK);
    assert_int_equal(nbj__session_sub_drain(f.s, &f.sub[2]), NBJ_OK); /* nothing is on its way */
    assert_int_equal(fix_subscribe(&f, 3, "d", 0), NBJ_OK);
    fix_pump(&f);
    assert_non_null(strstr(f.events, "ENDED 1 OK | ENDED 3 OK"));
    f.raw_len = 0;
    fix_dialed(&f);
    fix_feed(&f, FIX_INFO);
    fix_sent(&f);
    fix_feed(&f, "PONG\r\n");
    SENT(&f, "SUB b 2\r\nUNSUB 2 7\r\nSUB d 4\r\n"); /* only what is left */
    fix_close(&f);
}

static void test_control_of_the_old_connection_is_dropped(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_OK);
    assert_int_equal(fix_publish(&f, "p", "1"), NBJ_OK);
    assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[0], 9), NBJ_OK);
    fix_feed(&f, "PING\r\n");
    fix_write(&f, 3); /* of SUB */
    come_back();
    SENT(&f, "SUB a 1\r\nUNSUB 1 9\r\nPUB p 1\r\n1\r\n");
    fix_close(&f);
}

static void test_drain_of_one(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_OK);
    assert_int_equal(fix_subscribe(&f, 1, "b", 0), NBJ_OK);
    fix_sent(&f);
    assert_int_equal(nbj__session_sub_drain(f.s, &f.sub[0]), NBJ_OK);
    SENT(&f, "UNSUB 1\r\nPING\r\n");
    assert_int_equal(nbj__session_sub_drain(f.s, &f.sub[0]), NBJ_E_STATE);
    fix_msg(&f, 1, "a", "", "on its way");
    EVENTS(&f, "MSG 1 a 'on its way'");
    fix_feed(&f, "PONG\r\n");
    EVENTS(&f, "ENDED 1 OK");
    fix_msg(&f, 1, "a", "", "late");
    EVENTS(&f, "");
    assert_int_equal(nbj__session_sub_drain(f.s, &f.sub[1]), NBJ_OK);
    fix_lose(&f, NBJ_E_EOF);
    EVENTS(&f, "ENDED 2 OK | DISCONNECTED E_EOF"); /* what was on its way is not any more */
    fix_close(&f);
}

/* --- queues --- */

static void queued(size_t i, size_t msgs, size_t bytes)
{
    nbj__subscription what = { .subject = nbj_str("q"), .queued = true, .limit_msgs = msgs, .limit_bytes = bytes };

    assert_int_equal(subscribe_as(i, &what), NBJ_OK);
}

static void expect_next(size_t i, const char *payload)
{
    nbj_msg *m = nbj__session_take(f.s, &f.sub[i]);

    assert_int_equal(m != NULL, payload != NULL);
    if (m != NULL)
        assert_true(nbj_bytes_equal(nbj_msg_data(m), nbj_str(payload)));
    nbj_msg_release(m);
}

static void test_queue(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    queued(0, 3, 0);
    fix_msg(&f, 1, "q", "", "one");
    fix_msg(&f, 1, "q", "", "two");
    EVENTS(&f, "QUEUED 1");
    expect_next(0, "one");
    fix_msg(&f, 1, "q", "", "three");
    EVENTS(&f, "");
    expect_next(0, "two");
    expect_next(0, "three");
    expect_next(0, NULL);
    fix_msg(&f, 1, "q", "", "four");
    EVENTS(&f, "QUEUED 1");
    fix_close(&f); /* what is in it goes with it */
}

static void test_full_queue_drops_newest(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    queued(0, 2, 0);
    queued(1, 0, 10);
    for (int i = 0; i < 5; i++)
        fix_msg(&f, 1, "q", "", i < 2 ? "old" : "new");
    EVENTS(&f, "QUEUED 1 | SLOW 1"); /* once an episode */
    assert_int_equal(f.sub[0].dropped, 3);
    assert_int_equal(nbj__session_stats_of(f.s)->dropped, 3);
    expect_next(0, "old");
    fix_msg(&f, 1, "q", "", "again");
    fix_msg(&f, 1, "q", "", "again");
    EVENTS(&f, "SLOW 1");
    expect_next(0, "old");
    expect_next(0, "again");
    expect_next(0, NULL);
    fix_msg(&f, 2, "q", "", "123456");
    fix_msg(&f, 2, "q", "", "12345"); /* 11 octets together */
    fix_msg(&f, 2, "q", "", "1234");
    EVENTS(&f, "QUEUED 2 | SLOW 2");
    expect_next(1, "123456");
    expect_next(1, "1234");
    assert_int_equal(f.sub[1].queue_bytes, 0);
    fix_close(&f);
}

static void test_queue_without_memory_drops(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    queued(0, 0, 0);
    fix_feed(&f, "PING\r\n");
    fix_sent(&f);
    f.mem.fail_at = f.mem.calls;
    fix_msg(&f, 1, "q", "", "one");
    EVENTS(&f, "SLOW 1");
    assert_int_equal(f.mem.failed, 1);
    fix_msg(&f, 1, "q", "", "two");
    EVENTS(&f, "QUEUED 1");
    expect_next(0, "two");
    fix_close(&f);
}

static void test_queue_with_a_maximum(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    nbj__subscription what = { .subject = nbj_str("q"), .queued = true, .max = 2 };
    assert_int_equal(subscribe_as(0, &what), NBJ_OK);
    fix_msg(&f, 1, "q", "", "one");
    fix_msg(&f, 1, "q", "", "two");
    EVENTS(&f, "QUEUED 1 | ENDED 1 OK"); /* no message comes any more; those that came can be taken */
    expect_next(0, "one");
    expect_next(0, "two");
    fix_close(&f);
}

/* --- keeping messages --- */

static nbj_msg *kept[300];
static size_t kept_count;

static void keep(fixture *unused, const nbj__event *ev)
{
    (void)unused;
    if (ev->type == NBJ__EV_MSG)
        kept[kept_count++] = nbj_msg_retain(ev->msg);
}

static void test_kept_messages_survive(void **state)
{
    (void)state;
    int client = 0;
    nbj__session_options o = { .msg_client = &client };
    kept_count = 0;
    fix_connect(&f, &o);
    f.on_event = keep;
    f.piece = 37;
    assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_OK);
    for (int i = 0; i < 300; i++) {
        char text[600];
        memset(text, 'a' + i % 26, sizeof text - 1);
        text[sizeof text - 1] = '\0';
        fix_msg(&f, 1, "a", "", text);
    }
    come_back(); /* and the connection they came by is gone */
    assert_int_equal(kept_count, 300);
    for (size_t i = 0; i < kept_count; i++) {
        nbj_bytes data = nbj_msg_data(kept[i]);
        assert_int_equal(data.len, 599);
        for (size_t k = 0; k < data.len; k++)
            assert_int_equal(data.ptr[k], 'a' + (int)i % 26);
        assert_ptr_equal(kept[i]->client, &client); /* whom to ask for settling it */
        nbj_msg_release(kept[i]);
    }
    f.on_event = NULL;
    fix_close(&f);
}

static void end_it(fixture *x, const nbj__event *ev)
{
    if (ev->type != NBJ__EV_MSG)
        return;
    int how = *(int *)x->user;
    if (how == 0)
        nbj__session_close(x->s, NBJ_OK, NULL);
    else if (how == 1)
        nbj__session_reconnect(x->s, x->now);
    else
        nbj__session_lost(x->s, NBJ_E_EOF, NULL, x->now);
    if (how == 2)
        x->is_open = false;
    if (how == 1)
        nbj__session_close(x->s, NBJ_OK, NULL);                              /* twice over */
    assert_true(nbj_bytes_equal(nbj_msg_data(ev->msg), nbj_str("payload"))); /* still there */
    nbj_msg_release(nbj_msg_retain(ev->msg));
}

static void test_message_outlives_the_end_in_its_own_callback(void **state)
{
    (void)state;
    for (int how = 0; how < 3; how++) {
        fix_connect(&f, NULL);
        assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_OK);
        f.on_event = end_it;
        f.user = &how;
        fix_msg(&f, 1, "a", "", "payload");
        f.on_event = NULL;
        fix_close(&f);
    }
}

/* --- what the server refuses --- */

static void test_refused_subscription(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    nbj__subscription what = { .subject = nbj_str("a"), .queue_group = nbj_str("q") };
    assert_int_equal(fix_subscribe(&f, 0, "a", 0), NBJ_OK);
    assert_int_equal(subscribe_as(1, &what), NBJ_OK);
    assert_int_equal(fix_subscribe(&f, 2, "b", 0), NBJ_OK);
    fix_feed(&f, "-ERR 'Permissions Violation for Subscription to \"a\" using queue \"q\"'\r\n");
    EVENTS(&f, "SERVER_ERROR E_PERMISSION_SUBSCRIBE | ENDED 2 E_PERMISSION_SUBSCRIBE");
    fix_feed(&f, "-ERR 'Permissions Violation for Subscription to \"a\"'\r\n");
    EVENTS(&f, "SERVER_ERROR E_PERMISSION_SUBSCRIBE | ENDED 1 E_PERMISSION_SUBSCRIBE");
    fix_feed(&f, "-ERR 'Permissions Violation for Subscription to \"none\"'\r\n");
    EVENTS(&f, "SERVER_ERROR E_PERMISSION_SUBSCRIBE");
    fix_feed(&f, "-ERR 'Permissions Violation for Publish to \"x\"'\r\n-ERR 'maximum subscriptions exceeded'\r\n");
    EVENTS(&f, "SERVER_ERROR E_PERMISSION_PUBLISH | SERVER_ERROR E_MAX_SUBSCRIPTIONS");
    come_back();
    SENT(&f, "SUB b 3\r\n");
    fix_close(&f);
}

static void test_close_ends_all(void **state)
{
    (void)state;
    fix_connect(&f, NULL);
    for (size_t i = 0; i < 3; i++)
        assert_int_equal(fix_subscribe(&f, i, "a", 0), NBJ_OK);
    assert_int_equal(nbj__session_sub_drain(f.s, &f.sub[1]), NBJ_OK);
    assert_int_equal(nbj__session_unsubscribe(f.s, &f.sub[2], 0), NBJ_OK);
    nbj__session_close(f.s, NBJ_OK, NULL);
    EVENTS(&f, "HANGUP | ENDED 3 OK | ENDED 1 E_CLOSED | ENDED 2 E_CLOSED | CLOSED OK");
    fix_close(&f);
}

static void test_ten_thousand(void **state)
{
    (void)state;
    enum { MANY = 10000 };
    nbj__sub *subs = calloc(MANY, sizeof *subs);
    fix_connect(&f, NULL);
    for (size_t i = 0; i < MANY; i++) {
        char subject[16];
        snprintf(subject, sizeof subject, "s.%zu", i);
        nbj__subscription what = { .kind = NBJ__SUB_OF_APP, .subject = nbj_str(subject) };
        assert_int_equal(nbj__session_subscribe(f.s, &subs[i], &what), NBJ_OK);
        f.raw_len = 0;
        fix_write(&f, SIZE_MAX);
    }
    come_back();
    fix_write(&f, SIZE_MAX);
    f.raw[f.raw_len] = '\0';
    size_t count = 0;
    for (const char *at = f.raw; (at = strstr(at, "SUB s.")) != NULL; at++)
        count++;
    assert_int_equal(count, MANY);
    f.raw_len = 0;
    for (size_t i = 0; i < MANY; i += 7)
        fix_msg(&f, subs[i].sid, "x", "", "m");
    f.events[0] = '\0';
    for (size_t i = 0; i < MANY; i++) {
        assert_int_equal(subs[i].delivered, i % 7 == 0);
        nbj__session_sub_clear(f.s, &subs[i]);
        f.raw_len = 0;
        fix_write(&f, SIZE_MAX);
    }
    fix_close(&f);
    free(subs);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_publish),
        cmocka_unit_test(test_illegal_publishes),
        cmocka_unit_test(test_full),
        cmocka_unit_test(test_writable_after_a_loss),
        cmocka_unit_test(test_writable_is_said_once),
        cmocka_unit_test(test_frames_only_while_connected),
        cmocka_unit_test(test_messages_by_sid),
        cmocka_unit_test(test_illegal_subscriptions),
        cmocka_unit_test(test_maximum),
        cmocka_unit_test(test_maximum_over_reconnects),
        cmocka_unit_test(test_unsubscribe),
        cmocka_unit_test(test_unsubscribe_without_room_changes_nothing),
        cmocka_unit_test(test_changes_while_disconnected),
        cmocka_unit_test(test_control_of_the_old_connection_is_dropped),
        cmocka_unit_test(test_drain_of_one),
        cmocka_unit_test(test_queue),
        cmocka_unit_test(test_full_queue_drops_newest),
        cmocka_unit_test(test_queue_without_memory_drops),
        cmocka_unit_test(test_queue_with_a_maximum),
        cmocka_unit_test(test_kept_messages_survive),
        cmocka_unit_test(test_message_outlives_the_end_in_its_own_callback),
        cmocka_unit_test(test_refused_subscription),
        cmocka_unit_test(test_close_ends_all),
        cmocka_unit_test(test_ten_thousand),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
