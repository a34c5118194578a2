/* SPDX-License-Identifier: Apache-2.0 */
/* One TLS object, a thread that reads and a thread that writes; the peer asks for new keys all the while. */
#define _GNU_SOURCE

#include "driver/tls_pair.h"

#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>

#define TOTAL ((size_t)16 << 20)
#define PORTION ((size_t)64 << 10)
#define LIMIT_MS 60000

typedef struct scene {
    pair p;
    uint8_t *stream;
    atomic_bool reader_done, writer_done, failed;
    nbj_time until;
} scene;

static void wait_for(const scene *s, short events)
{
    struct pollfd f = { .fd = s->p.fd, .events = events };

    (void)poll(&f, 1, 1);
}

static bool goes_on(const scene *s)
{
    return !atomic_load(&s->failed) && ts_now() < s->until;
}

/* Reads the stream and checks it. */
static void *read_all(void *user)
{
    scene *s = user;
    size_t got = 0;

    while (got < TOTAL && goes_on(s)) {
        uint8_t octets[PAIR_READ];
        size_t n = 0;
        ssize_t came = recv(s->p.fd, octets, sizeof octets, 0);
        if (came <= 0) {
            wait_for(s, POLLIN);
            continue;
        }
        if (nbj__tls_put(s->p.tls, nbj_view(octets, (size_t)came), &n) != NBJ_OK || n != (size_t)came)
            break;
        while (nbj__tls_read(s->p.tls, octets, sizeof octets, &n) == NBJ_OK) {
            if (n > TOTAL - got || memcmp(octets, s->stream + got, n) != 0)
                atomic_store(&s->failed, true);
            got += n;
        }
        (void)nbj__tls_has_output(s->p.tls);
    }
    atomic_store(&s->failed, atomic_load(&s->failed) || got != TOTAL);
    atomic_store(&s->reader_done, true);
    return NULL;
}

/* Writes the stream; sends what reading brings forth, too. */
static void *write_all(void *user)
{
    scene *s = user;
    nbj_bytes left = nbj_view(s->stream, TOTAL);

    while (goes_on(s)) {
        size_t taken = 0;
        if (nbj__tls_write(s->p.tls, left, &taken) != NBJ_OK)
            break;
        left = nbj_view(left.ptr + taken, left.len - taken);
        nbj_bytes output = nbj__tls_output(s->p.tls);
        if (output.len == 0 && left.len == 0 && atomic_load(&s->reader_done))
            break;
        ssize_t n = output.len > 0 ? send(s->p.fd, output.ptr, output.len, MSG_NOSIGNAL) : 0;
        if (n > 0)
            nbj__tls_sent(s->p.tls, (size_t)n);
        else
            wait_for(s, output.len > 0 ? POLLOUT : 0);
    }
    atomic_store(&s->failed, atomic_load(&s->failed) || left.len > 0 || nbj__tls_status(s->p.tls) != NBJ_OK);
    atomic_store(&s->writer_done, true);
    return NULL;
}

/* The peer's side, by the test's own thread. */
static void play_server(scene *s)
{
    size_t written = 0;

    while (goes_on(s) && (s->p.peer->got_len < TOTAL || !atomic_load(&s->reader_done))) {
        if (written < TOTAL && BIO_ctrl_pending(s->p.peer->out) == 0) {
            ts_tls_peer_write(s->p.peer, s->stream + written, PORTION);
            written += PORTION;
            ts_tls_peer_key_update(s->p.peer, true);
        }
        if (!ts_tls_peer_turn(s->p.peer)) {
            struct pollfd f = { .fd = s->p.peer->fd, .events = POLLIN };
            (void)poll(&f, 1, 1);
        }
    }
}

static void test_reader_and_writer(void **state)
{
    ts_certs *certs = ts_certs_make();
    nbj__tls_options o = { .host = "localhost", .ca_file = ts_certs_path(certs, "ca.pem") };
    ts_tls_peer_options server = { .cert = ts_certs_path(certs, "server.pem"),
                                   .key = ts_certs_path(certs, "server.key"),
                                   .version = TLS1_3_VERSION };
    scene s = { .p = pair_open(&o, &server), .stream = pair_stream(TOTAL) };
    pthread_t reader, writer;

    (void)state;
    pair_settle(&s.p);
    assert_true(s.p.is_open && s.p.peer->is_open);
    s.until = ts_now() + NBJ_MILLIS(LIMIT_MS);
    assert_int_equal(pthread_create(&reader, NULL, read_all, &s), 0);
    assert_int_equal(pthread_create(&writer, NULL, write_all, &s), 0);
    play_server(&s);
    pthread_join(reader, NULL);
    pthread_join(writer, NULL);
    CHECK("both ways", !atomic_load(&s.failed));
    CHECK("whole", s.p.peer->got_len == TOTAL && memcmp(s.p.peer->got, s.stream, TOTAL) == 0);
    pair_free(&s.p);
    free(s.stream);
    ts_certs_free(certs);
}

int main(void)
{
    const struct CMUnitTest tests[] = { cmocka_unit_test(test_reader_and_writer) };

    return cmocka_run_group_tests(tests, NULL, NULL);
}
