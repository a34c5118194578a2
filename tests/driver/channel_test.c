/* SPDX-License-Identifier: Apache-2.0 */
/* The driver's channel over a socket pair, in clear and with TLS: what is there is told without asking the socket anew,
 * and every end is an end. */
#define _GNU_SOURCE

#include "driver/channel.h"

#include "support/alloc_fail.h"
#include "support/certs.h"
#include "support/check.h"
#include "support/tls_peer.h"

#include "base/mem.h"

#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#define LARGE ((size_t)1 << 20)

static ts_certs *certs;

static int make_certs(void **state)
{
    (void)state;
    certs = ts_certs_make();
    return 0;
}

static int free_certs(void **state)
{
    (void)state;
    ts_certs_free(certs);
    return 0;
}

typedef struct scene {
    nbj__channel channel;
    ts_tls_peer *peer; /* NULL: in clear */
    int fd;            /* the other end; -1: the peer's */
} scene;

static scene open_scene(const nbj_allocator *alloc)
{
    scene s = { .fd = -1 };
    int fds[2];

    nbj__channel_init(&s.channel, alloc);
    assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
    nbj__channel_adopt(&s.channel, fds[0]);
    s.fd = fds[1];
    return s;
}

static void close_other(scene *s)
{
    ts_tls_peer_free(s->peer);
    s->peer = NULL;
    if (s->fd >= 0)
        close(s->fd);
    s->fd = -1;
}

static void close_scene(scene *s)
{
    nbj__channel_close(&s->channel);
    close_other(s);
}

static nbj_status start_tls(scene *s, nbj_error *error)
{
    nbj__tls_options o = { .alloc = s->channel.alloc, .host = "localhost", .ca_file = ts_certs_path(certs, "ca.pem") };
    ts_tls_peer_options server = { .cert = ts_certs_path(certs, "server.pem"),
                                   .key = ts_certs_path(certs, "server.key") };

    s->peer = ts_tls_peer_new(s->fd, &server);
    s->fd = -1;
    return nbj__channel_start_tls(&s->channel, &o, error);
}

static void shake(scene *s)
{
    nbj__received r = { 0 };
    nbj_error error;
    size_t taken = 0;

    assert_int_equal(start_tls(s, &error), NBJ_OK);
    assert_true(s->channel.is_shaking);
    for (int i = 0; s->channel.is_shaking || !s->peer->is_open; i++) {
        assert_true(i < 10);
        nbj_bytes octets = s->channel.is_shaking ? nbj_str("not yet") : nbj_view(NULL, 0);
        if (nbj__channel_has_output(&s->channel))
            assert_int_equal(nbj__channel_send(&s->channel, octets, &taken), NBJ_OK);
        assert_int_equal(taken, 0);
        ts_tls_peer_turn(s->peer);
        if (s->channel.is_shaking)
            r = nbj__channel_receive(&s->channel, NULL, 0);
    }
    CHECK("done", r.status == NBJ_OK && r.len == 0 && r.may_have_more);
}

static scene open_secured(void)
{
    scene s = open_scene(nbj__allocator_or_default(NULL));

    shake(&s);
    return s;
}

static void other_sends(scene *s, const void *octets, size_t len)
{
    if (s->peer == NULL) {
        assert_int_equal(send(s->fd, octets, len, MSG_NOSIGNAL), len);
        return;
    }
    ts_tls_peer_write(s->peer, octets, len);
    (void)ts_tls_peer_turn(s->peer);
}

/* Receives with |room| for as long as the channel says that there may be more. */
static size_t receive_told(scene *s, uint8_t *out, size_t cap, size_t room)
{
    nbj__received r = { .may_have_more = true };
    size_t len = 0;

    while (r.may_have_more && len < cap) {
        r = nbj__channel_receive(&s->channel, out + len, room < cap - len ? room : cap - len);
        assert_true(r.status == NBJ_OK || r.status == NBJ_MORE);
        CHECK("NBJ_OK brings something", (r.len > 0) == (r.status == NBJ_OK));
        len += r.len;
    }
    return len;
}

static void test_all_that_is_there(void **state)
{
    static const size_t rooms[] = { 1, 7, 4096, 65536 };
    char sent[40000];
    uint8_t got[50000];

    (void)state;
    for (size_t i = 0; i < sizeof sent; i++)
        sent[i] = (char)(i * 7);
    for (size_t i = 0; i < 8; i++) {
        scene s = i % 2 == 0 ? open_scene(nbj__allocator_or_default(NULL)) : open_secured();
        for (size_t at = 0; at < sizeof sent; at += 8000)
            other_sends(&s, sent + at, 8000);
        CHECK("all", receive_told(&s, got, sizeof got, rooms[i / 2]) == sizeof sent);
        CHECK("unchanged", memcmp(sent, got, sizeof sent) == 0);
        close_scene(&s);
    }
}

static void test_ends(void **state)
{
    uint8_t got[100];

    (void)state;
    for (int with_tls = 0; with_tls < 2; with_tls++) {
        scene s = with_tls ? open_secured() : open_scene(nbj__allocator_or_default(NULL));
        other_sends(&s, "last", 4);
        close_other(&s);
        nbj__received r = nbj__channel_receive(&s.channel, got, sizeof got);
        CHECK("what came before", r.status == NBJ_OK && r.len == 4);
        r = nbj__channel_receive(&s.channel, got, sizeof got);
        CHECK("the end", r.status == NBJ_E_EOF && r.len == 0);
        CHECK("its text", with_tls == (nbj__channel_end_text(&s.channel, &r) != NULL));
        CHECK("again", nbj__channel_receive(&s.channel, got, sizeof got).status == NBJ_E_EOF);
        close_scene(&s);
    }
}

static void test_sending_to_nobody(void **state)
{
    (void)state;
    for (int with_tls = 0; with_tls < 2; with_tls++) {
        scene s = with_tls ? open_secured() : open_scene(nbj__allocator_or_default(NULL));
        size_t taken = 0;
        close_other(&s);
        assert_int_equal(nbj__channel_send(&s.channel, nbj_str("x"), &taken), NBJ_E_IO); /* and no SIGPIPE */
        close_scene(&s);
    }
}

/* A full socket keeps nothing from arriving, and bounds what is taken. */
static void test_full_socket(void **state)
{
    uint8_t *large = malloc(LARGE);

    (void)state;
    assert_non_null(large);
    memset(large, 'x', LARGE);
    scene s = open_secured();
    size_t sent = 0, taken = 0, written = 0;
    nbj_status st = NBJ_OK;
    do {
        st = nbj__channel_send(&s.channel, nbj_view(large, LARGE), &taken);
        written += taken;
    } while (taken > 0);
    assert_int_equal(st, NBJ_MORE);
    st = nbj__channel_send(&s.channel, nbj_view(large, LARGE), &taken);
    CHECK("no more is taken", st == NBJ_MORE && taken == 0);
    CHECK("it waits", nbj__channel_has_output(&s.channel));
    while (nbj__channel_has_output(&s.channel)) {
        (void)ts_tls_peer_turn(s.peer);
        st = nbj__channel_send(&s.channel, nbj_view(NULL, 0), &taken);
        assert_true(st >= NBJ_OK && taken == 0);
        assert_true(sent++ < 10000);
    }
    while (ts_tls_peer_turn(s.peer))
        ;
    CHECK("all that was taken", s.peer->got_len == written);
    close_scene(&s);
    free(large);
}

static void test_farewell(void **state)
{
    scene s = open_secured();
    size_t taken = 0;

    (void)state;
    assert_int_equal(nbj__channel_send(&s.channel, nbj_str("bye"), &taken), NBJ_OK);
    nbj__channel_close(&s.channel);
    assert_true(s.channel.fd < 0 && s.channel.tls == NULL);
    while (ts_tls_peer_turn(s.peer))
        ;
    CHECK("all of it", s.peer->got_len == 3 && s.peer->notified);
    close_scene(&s);
}

static nbj_status start_and_close(const nbj_allocator *alloc, void *ctx)
{
    scene s = open_scene(alloc);
    nbj_error error = { 0 };
    nbj_status st = start_tls(&s, &error);

    (void)ctx;
    CHECK("said", st == NBJ_OK || (error.status == st && error.text[0] != '\0'));
    close_scene(&s);
    return st;
}

static void test_memory(void **state)
{
    (void)state;
    assert_true(alloc_sweep(start_and_close, NULL) >= 4);
}

/* An option that cannot be used leaves the channel as it was. */
static void test_start_fails(void **state)
{
    scene s = open_scene(nbj__allocator_or_default(NULL));
    nbj__tls_options o = { .host = "localhost", .ca_file = ts_certs_path(certs, "none.pem") };
    nbj_error error = { 0 };

    (void)state;
    assert_int_equal(nbj__channel_start_tls(&s.channel, &o, &error), NBJ_E_TLS_FILE);
    assert_true(s.channel.tls == NULL && s.channel.cipher == NULL && !s.channel.is_shaking);
    assert_non_null(strstr(error.text, "none.pem"));
    close_scene(&s);
}

static void test_options_are_copied(void **state)
{
    char name[] = "a";
    nbj__tls_options from = { .server_name = name, .ca_file = name, .cert_file = name, .key_file = name };
    nbj__tls_options copy;

    (void)state;
    from.insecure_skip_verify = true;
    assert_int_equal(nbj__tls_options_copy(&copy, &from), NBJ_OK);
    name[0] = 'b';
    assert_string_equal(copy.server_name, "a");
    assert_string_equal(copy.key_file, "a");
    assert_true(copy.host == NULL && copy.insecure_skip_verify);
    nbj__tls_options_free(&copy);
}

static nbj_status copy_and_free(const nbj_allocator *alloc, void *ctx)
{
    nbj__tls_options from = { .alloc = alloc, .server_name = "a", .ca_file = "b", .cert_file = "c", .key_file = "d" };
    nbj__tls_options copy;
    nbj_status st = nbj__tls_options_copy(&copy, &from);

    (void)ctx;
    nbj__tls_options_free(&copy);
    return st;
}

static void test_copying_without_memory(void **state)
{
    (void)state;
    assert_int_equal(alloc_sweep(copy_and_free, NULL), 4);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(test_all_that_is_there),
        cmocka_unit_test(test_ends),
        cmocka_unit_test(test_sending_to_nobody),
        cmocka_unit_test(test_full_socket),
        cmocka_unit_test(test_farewell),
        cmocka_unit_test(test_memory),
        cmocka_unit_test(test_start_fails),
        cmocka_unit_test(test_options_are_copied),
        cmocka_unit_test(test_copying_without_memory),
    };

    return cmocka_run_group_tests(tests, make_certs, free_certs);
}
