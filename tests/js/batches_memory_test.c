/* SPDX-License-Identifier: Apache-2.0 */
/* A batch and a bulk of which each allocation fails once, with a connection that is lost in the middle: both get over it,
 * nothing is lost, and no outcome lies. */
#include "conn/fixture.h"
#include "conn/mini_server.h"
#include "js/batch.h"
#include "js/ingest.h"

#define MEMBERS 3u
#define MESSAGES 12u

static fixture f;
static mini_server server;
static nbj__batch batch;
static nbj__ingest bulk;
static uint32_t numbers;

static void on_event(fixture *x, const nbj__event *ev)
{
    switch (ev->type) {
    case NBJ__EV_INBOX:
        (void)nbj__batch_on_reply(&batch, ev->token, ev->msg, x->now);
        break;
    case NBJ__EV_MSG:
        nbj__ingest_on_msg(&bulk, ev->msg, x->now);
        break;
    case NBJ__EV_CONNECTED:
    case NBJ__EV_RECONNECTED:
        nbj__batch_on_connected(&batch, x->now);
        nbj__ingest_on_connected(&bulk, x->now);
        break;
    case NBJ__EV_DISCONNECTED:
        nbj__batch_on_disconnected(&batch);
        nbj__ingest_on_disconnected(&bulk);
        break;
    case NBJ__EV_CLOSED:
        nbj__batch_close(&batch);
        nbj__ingest_close(&bulk);
        break;
    default:
        break;
    }
}

/* The driver: one round of everything. */
static void turn(void)
{
    uint8_t *at = NULL;
    size_t room = 0;

    fix_pump(&f);
    f.events[0] = '\0';
    if (nbj__session_phase(f.s) == NBJ__PHASE_DIALING && f.is_open) {
        fix_dialed(&f);
        mini_accept(&server);
    }
    fix_write(&f, SIZE_MAX);
    mini_read(&server, nbj_view(f.raw, f.raw_len));
    f.raw_len = 0;
    nbj_status st = nbj__session_rx_space(f.s, &at, &room);
    if (st == NBJ_E_NOMEM)
        fix_lose(&f, st);
    if (st == NBJ_OK && server.out_len > 0) {
        size_t n = server.out_len < room ? server.out_len : room;
        memcpy(at, server.out, n);
        server.out_len = 0;
        nbj__session_rx_commit(f.s, n);
        fix_pump(&f);
    }
    fix_advance(&f, NBJ_MILLIS(100));
    nbj__batch_on_time(&batch, f.now);
    nbj__ingest_on_time(&bulk, f.now);
}

static bool add_member(void)
{
    nbj_header h = { nbj_str("A"), nbj_str("1") };
    nbj__outgoing m = {
        .subject = nbj_str("js.batch"), .headers = &h, .header_count = 1, .payload = nbj_str("member")
    };
    nbj_status st = nbj__batch_add(&batch, &m);

    assert_true(st == NBJ_OK || st == NBJ_E_NOMEM);
    return st == NBJ_OK;
}

static void add_message(unsigned *added)
{
    char payload[20];
    nbj__outgoing m = { .subject = nbj_str("js.bulk"), .payload = nbj_str(payload) };

    snprintf(payload, sizeof payload, "message %u", *added);
    m.payload = nbj_str(payload);
    nbj_status st = nbj__ingest_add(&bulk, &m, f.now);
    assert_true(st == NBJ_OK || st == NBJ_E_NOMEM || st == NBJ_E_WOULD_BLOCK);
    *added += st == NBJ_OK;
}

static size_t copies_of(const char *payload)
{
    size_t n = 0;

    for (size_t k = 0; k < server.stored_count; k++)
        n += strcmp(server.stored[k].payload, payload) == 0;
    return n;
}

static bool begin(size_t n)
{
    nbj__session_options o = { .retry_first_connect = true };

    memset(&server, 0, sizeof server);
    fix_init(&f);
    f.mem.fail_at = n;
    if (fix_try_open(&f, &o) != NBJ_OK) {
        ts_alloc_done(&f.mem);
        return false;
    }
    nbj__batch_init(&batch, f.s, 0, &numbers, NULL);
    nbj_status st = nbj__ingest_init(&bulk, f.s, &(nbj__ingest_options){ .max_messages = 4 }, NULL);
    if (st == NBJ_OK)
        return true;
    assert_int_equal(st, NBJ_E_NOMEM);
    nbj__ingest_free(&bulk);
    nbj__session_free(f.s);
    ts_alloc_done(&f.mem);
    return false;
}

/* Whether allocation |n| of the run was refused. */
static bool run(size_t n)
{
    unsigned members = 0, added = 0;

    if (!begin(n))
        return true;
    f.on_event = on_event;
    for (unsigned i = 0; i < 400; i++) {
        turn();
        if (members < MEMBERS)
            members += add_member();
        else if (batch.state == NBJ__BATCH_BUILDING)
            assert_int_equal(nbj__batch_commit(&batch, f.now + NBJ_SECONDS(20), f.now), NBJ_OK);
        if (added < MESSAGES)
            add_message(&added);
        else if (i > 100 && !bulk.is_finishing)
            nbj__ingest_finish(&bulk, f.now + NBJ_SECONDS(20), f.now);
        if (i == 12 && f.is_open)
            fix_lose(&f, NBJ_E_EOF);
    }
    nbj__ingest_result r;
    nbj__ingest_progress(&bulk, &r);
    assert_int_equal(batch.state, NBJ__BATCH_DONE);
    assert_int_equal(copies_of("member"), batch.result.outcome == NBJ__STORED ? MEMBERS : 0);
    assert_true(batch.result.outcome == NBJ__STORED || f.mem.failed > 0);
    if (r.error.status == NBJ_OK) { /* an answer for which there is no memory ends it */
        assert_true(r.stored == MESSAGES && added == MESSAGES && bulk.state == NBJ__INGEST_ENDED);
        for (unsigned i = 0; i < MESSAGES; i++) {
            char payload[20];
            snprintf(payload, sizeof payload, "message %u", i);
            assert_true(copies_of(payload) >= 1);
        }
    }
    assert_true(r.error.status == NBJ_OK || f.mem.failed > 0);
    bool got_there = f.mem.failed > 0;
    f.on_event = NULL;
    nbj__batch_free(&batch);
    nbj__ingest_free(&bulk);
    fix_close(&f);
    return got_there;
}

static void test_without_memory(void **state)
{
    (void)state;
    size_t n = 0;
    while (run(n))
        n++;
    assert_true(n > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
