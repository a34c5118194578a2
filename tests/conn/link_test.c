/* SPDX-License-Identifier: Apache-2.0 */
/* One connection's life from arrays of octets: conn/link.h. How it begins is in link_handshake_test.c. */
#include "conn/link_peer.h"

#include <stdio.h>
#include <stdlib.h>

/* --- errors --- */

static void test_errors_when_ready(void **state)
{
    (void)state;
    static const struct {
        const char *octets;
        nbj_status status;
        bool closes;
    } cases[] = {
        { "-ERR 'Stale Connection'\r\n", NBJ_E_SERVER_STALE, true },
        { "-ERR 'Maximum Payload Violation'\r\n", NBJ_E_MAX_PAYLOAD, true },
        { "-ERR 'Unknown Protocol Operation'\r\n", NBJ_E_UNKNOWN_OPERATION, true },
        { "-ERR 'User Authentication Expired'\r\n", NBJ_E_AUTH_EXPIRED, true },
        { "-ERR 'Permissions Violation for Subscription to \"x\"'\r\n", NBJ_E_PERMISSION_SUBSCRIBE, false },
        { "-ERR 'maximum subscriptions exceeded'\r\n", NBJ_E_MAX_SUBSCRIPTIONS, false },
        { "-ERR 'Invalid Publish Subject'\r\n", NBJ_E_SERVER_PUBLISH_SUBJECT, false },
        { "-ERR 'a new one'\r\n", NBJ_E_SERVER, false }, /* the socket will tell */
    };
    for (size_t i = 0; i < COUNT(cases); i++) {
        peer p;
        make_ready(&p, NULL);
        put(&p, cases[i].octets);
        CHECK(cases[i].octets, next(&p) == (cases[i].closes ? cases[i].status : NBJ_OK));
        if (!cases[i].closes)
            CHECK(cases[i].octets, p.ev.type == NBJ__LINK_EV_ERR && p.ev.server_error.status == cases[i].status);
        end(&p);
    }
}

/* --- later INFOs --- */

static void test_info_later(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    put(&p, "INFO {\"server_id\":\"S2\",\"max_payload\":5,\"ldm\":true}\r\n");
    expect(&p, NBJ__LINK_EV_INFO);
    assert_string_equal(p.link.info.server_id, "S2");
    assert_int_equal(p.link.info.max_payload, 5);
    assert_true(p.link.info.lame_duck);
    put(&p, "INFO {broken\r\nINFO {\"server_id\":\"S3\"}\r\n");
    expect(&p, NBJ__LINK_EV_INFO); /* of the good one: the broken one changes nothing */
    assert_string_equal(p.link.info.server_id, "S3");
    assert_int_equal(p.link.info.max_payload, 5); /* what it does not say still holds */
    assert_true(p.link.info.headers);
    assert_false(p.link.info.lame_duck);
    put(&p, "INFO {\"headers\":false,\"max_payload\":6}\r\n");
    expect(&p, NBJ__LINK_EV_INFO);
    assert_int_equal(p.link.info.max_payload, 6);
    assert_false(p.link.info.headers);
    assert_int_equal(nbj__buf_len(&p.link.tx) + nbj__buf_len(&p.out), 0); /* CONNECT is sent once */
    end(&p);
}

/* --- liveness --- */

static void test_stale_at_third_silence(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(30) - 1), NBJ_OK);
    assert_int_equal(nbj__buf_len(&p.out), 0);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(30)), NBJ_OK);
    assert_true(holds(&p.out, "PING\r\n"));
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(59)), NBJ_OK);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(60)), NBJ_OK);
    assert_true(holds(&p.out, "PING\r\nPING\r\n"));
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(89)), NBJ_OK);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(90)), NBJ_E_STALE);
    assert_true(holds(&p.out, "PING\r\nPING\r\n"));
    end(&p);
}

static void test_any_octet_is_a_life_sign(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(30)), NBJ_OK);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(60)), NBJ_OK);
    assert_int_equal(p.link.pings_out, 2);
    put_bytes(&p, "M", 1); /* the beginning of something */
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(90)), NBJ_OK);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(120)), NBJ_OK);
    assert_int_equal(p.link.pings_out, 2); /* silent again */
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(150)), NBJ_E_STALE);
    end(&p);
}

static void test_pings_of_a_server_are_none(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(30)), NBJ_OK);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(60)), NBJ_OK);
    put(&p, "PING\r\nPING\r\n"); /* it speaks, but nothing of ours arrives */
    assert_int_equal(next(&p), NBJ_MORE);
    assert_int_equal(nbj__link_on_time(&p.link, START + NBJ_SECONDS(90)), NBJ_E_STALE);
    end(&p);
}

static void test_pong_resets(void **state)
{
    (void)state;
    uint64_t number = 0;
    peer p;
    make_ready(&p, NULL);
    for (uint64_t turn = 1; turn < 10; turn++) {
        nbj_time now = START + turn * NBJ_SECONDS(30);
        assert_int_equal(nbj__link_on_time(&p.link, now), NBJ_OK);
        put_bytes(&p, "PONG\r\n", 6);
        expect(&p, NBJ__LINK_EV_PONG);
        assert_int_equal(p.link.pongs_got, turn + 1);
        assert_int_equal(p.link.pings_out, 0);
    }
    assert_int_equal(nbj__link_ping(&p.link, &number), NBJ_OK);
    assert_int_equal(number, 11); /* what pongs_got will reach */
    put(&p, "PONG\r\nPONG\r\n");
    expect(&p, NBJ__LINK_EV_PONG);
    assert_int_equal(p.link.pongs_got, number);
    assert_int_equal(next(&p), NBJ_MORE); /* nobody asked for the second one */
    assert_int_equal(p.link.pongs_got, number);
    end(&p);
}

static void test_ping_is_answered_in_order(void **state)
{
    (void)state;
    peer p;
    begin(&p, NULL);
    put(&p, "PING\r\n"); /* not before INFO: TLS may have to come first */
    assert_int_equal(next(&p), NBJ_MORE);
    assert_int_equal(nbj__buf_len(&p.link.tx), 0);
    put(&p, INFO);
    expect(&p, NBJ__LINK_EV_INFO);
    put(&p, "PING\r\nPONG\r\n");
    expect(&p, NBJ__LINK_EV_READY);
    nbj_bytes tx = nbj__buf_view(&p.link.tx);
    assert_memory_equal(tx.ptr + tx.len - 15, "}\r\nPING\r\nPONG\r\n", 15);
    assert_int_equal(nbj__buf_append(&p.out, "PUB a 0\r\n\r\n", 11), NBJ_OK);
    put(&p, "PING\r\n");
    assert_int_equal(next(&p), NBJ_MORE);
    assert_true(holds(&p.out, "PUB a 0\r\n\r\nPONG\r\n"));
    end(&p);
}

static void test_ping_flood_is_bounded(void **state)
{
    (void)state;
    peer p;
    make_ready(&p, NULL);
    for (int i = 0; i < 1000 / 6; i++) {
        put(&p, "PING\r\n");
        assert_int_equal(next(&p), NBJ_MORE);
    }
    put(&p, "PING\r\n"); /* 1,000 octets are the limit of |out| here */
    assert_int_equal(next(&p), NBJ_E_FULL);
    assert_true(p.mem.peak_bytes < 65536);
    end(&p);
}

/* --- receiving --- */

static void test_megabyte_in_small_pieces(void **state)
{
    (void)state;
    enum { SIZE = 1 << 20 };
    peer p;
    char line[64];
    uint8_t *body = malloc(SIZE);
    make_ready(&p, NULL);
    for (size_t i = 0; i < SIZE; i++)
        body[i] = (uint8_t)(i * 7);
    int n = snprintf(line, sizeof line, "MSG big 1 %d\r\n", SIZE);
    put_bytes(&p, line, (size_t)n);
    for (size_t at = 0; at < SIZE; at += 1000) {
        assert_int_equal(next(&p), NBJ_MORE);
        put_bytes(&p, body + at, SIZE - at < 1000 ? SIZE - at : 1000);
        if (at == 0)
            assert_true(p.mem.live_bytes < 100000); /* an announcement alone costs nothing */
    }
    assert_int_equal(next(&p), NBJ_MORE);
    put(&p, "\r\nPING\r\n");
    expect(&p, NBJ__LINK_EV_MSG);
    assert_int_equal(p.ev.frame.payload.len, SIZE);
    assert_memory_equal(p.ev.frame.payload.ptr, body, SIZE);
    assert_true(p.mem.peak_bytes < 4 * SIZE);
    assert_int_equal(next(&p), NBJ_MORE);
    put(&p, "PING\r\n");
    assert_true(p.mem.live_bytes < 100000); /* and one large message does not cost memory for ever */
    free(body);
    end(&p);
}

static void test_kept_chunk_survives_reads(void **state)
{
    (void)state;
    peer p;
    char line[32];
    nbj__chunk *kept[50];
    nbj_bytes payload[50];
    make_ready(&p, NULL);
    for (int i = 0; i < 50; i++) { /* each is kept, so each read needs fresh room behind or elsewhere */
        snprintf(line, sizeof line, "MSG a 1 1500\r\n");
        uint8_t body[1502];
        memset(body, 'a' + i % 26, 1500);
        memcpy(body + 1500, "\r\n", 2);
        put(&p, line);
        put_bytes(&p, body, 700);
        assert_int_equal(next(&p), NBJ_MORE);
        put_bytes(&p, body + 700, 802);
        expect(&p, NBJ__LINK_EV_MSG);
        kept[i] = nbj__chunk_retain(p.link.rx);
        payload[i] = p.ev.frame.payload;
    }
    for (int i = 0; i < 50; i++) {
        for (size_t at = 0; at < payload[i].len; at++)
            assert_int_equal(payload[i].ptr[at], 'a' + i % 26);
        nbj__chunk_release(kept[i]);
    }
    end(&p);
}

static void test_room_for_every_read(void **state)
{
    (void)state;
    peer p;
    uint8_t *at = NULL;
    size_t room = 0;
    make_ready(&p, NULL);
    put(&p, "MSG a 1 100000\r\n");
    for (size_t got = 0; got < 100000; got += room) {
        assert_int_equal(next(&p), NBJ_MORE);
        assert_int_equal(nbj__link_rx_space(&p.link, &at, &room), NBJ_OK);
        assert_true(room >= 4096); /* never a dribble, whatever is held */
        memset(at, 'x', room);
        nbj__link_rx_commit(&p.link, room);
    }
    end(&p);
}

static void test_allocation_failures(void **state)
{
    (void)state;
    static const char all[] =
        "INFO {\"headers\":true,\"tls_required\":true,\"nonce\":\"abc\"}\r\nPONG\r\nMSG a 1 2\r\nhi\r\n" INFO
        "PING\r\n";
    size_t refused = 0;
    for (size_t n = 0;; n++) {
        nbj__link_config cfg = { .wants_credentials = true, .tls_possible = true };
        peer p;
        nbj_status st = NBJ_MORE;
        uint8_t *at = NULL;
        size_t room = 0;
        begin(&p, &cfg);
        p.mem.fail_at = n;
        for (size_t i = 0; i < strlen(all) && st >= 0; i++) {
            st = nbj__link_rx_space(&p.link, &at, &room);
            if (st != NBJ_OK)
                break;
            *at = (uint8_t)all[i];
            nbj__link_rx_commit(&p.link, 1);
            while ((st = next(&p)) == NBJ_OK) {
                if (p.ev.type == NBJ__LINK_EV_START_TLS)
                    assert_int_equal(nbj__link_secured(&p.link, START), NBJ_OK);
                if (p.ev.type == NBJ__LINK_EV_CREDENTIALS)
                    (void)credentials(&p, (nbj__credentials){ .jwt = nbj_str("j") }); /* its failure stays */
            }
        }
        assert_int_equal(st, p.mem.failed > 0 ? NBJ_E_NOMEM : NBJ_MORE);
        refused += p.mem.failed;
        bool last = p.mem.failed == 0;
        end(&p);
        if (last)
            break;
    }
    assert_true(refused > 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_errors_when_ready),          cmocka_unit_test(test_info_later),
        cmocka_unit_test(test_stale_at_third_silence),     cmocka_unit_test(test_any_octet_is_a_life_sign),
        cmocka_unit_test(test_pings_of_a_server_are_none), cmocka_unit_test(test_pong_resets),
        cmocka_unit_test(test_ping_is_answered_in_order),  cmocka_unit_test(test_ping_flood_is_bounded),
        cmocka_unit_test(test_megabyte_in_small_pieces),   cmocka_unit_test(test_kept_chunk_survives_reads),
        cmocka_unit_test(test_room_for_every_read),        cmocka_unit_test(test_allocation_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
