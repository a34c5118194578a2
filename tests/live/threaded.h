/* SPDX-License-Identifier: Apache-2.0 */
/* For tests of clients with threads: clients that a failed test leaves behind are given back, what callbacks get is
 * written down under a lock, and threads of the test are watched in /proc. Only the test's own thread may fail it. */
#ifndef NBJ_TEST_LIVE_THREADED_H
#define NBJ_TEST_LIVE_THREADED_H

#include <nbj/nbj.h>

#include "check.h"
#include "server.h"
#include "shorthand.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#define SOON_MS 10000 /* long enough for anything that should happen soon, on a busy machine too */
#define SOON NBJ_MILLIS(SOON_MS)
#define OPEN_MAX 16
#define LETTERS " CDRLNESWX" /* of events, by their type */

static ts_server *server;
static nbj_client *open_clients[OPEN_MAX];

static inline int start_server(void **state)
{
    (void)state;
    server = ts_server_start(&(ts_server_options){ .jetstream = true });
    return 0;
}

static inline int stop_server(void **state)
{
    (void)state;
    ts_server_free(server);
    return 0;
}

/* --- clients --- */

static inline nbj_client *keep_client(nbj_client *c)
{
    for (int i = 0; i < OPEN_MAX; i++) {
        if (open_clients[i] == NULL) {
            open_clients[i] = c;
            return c;
        }
    }
    TS_FAIL("more than %d clients", OPEN_MAX);
}

static inline void give_back(nbj_client *c)
{
    for (int i = 0; i < OPEN_MAX; i++) {
        if (open_clients[i] == c)
            open_clients[i] = NULL;
    }
    nbj_client_release(c);
}

static inline int end_test(void **state)
{
    (void)state;
    for (int i = 0; i < OPEN_MAX; i++)
        give_back(open_clients[i]);
    return 0;
}

static inline nbj_client *open_with(const nbj_client_options *options)
{
    nbj_client_options o = *options;
    nbj_client *c = NULL;
    nbj_error error = { 0 };

    o.url = o.url != NULL ? o.url : ts_server_url(server);
    o.reconnect_first_ns = NBJ_MILLIS(10);
    o.reconnect_max_ns = NBJ_MILLIS(100);
    if (nbj_client_open(&c, &o, &error) != NBJ_OK)
        TS_FAIL("cannot open a client: %s", nbj_error_text(&error));
    return keep_client(c);
}

static inline nbj_client *open_one(void)
{
    return open_with(NBJ_CLIENT_OPTIONS(.name = "test"));
}

/* The server knows of the subscriptions that were made before. */
static inline void flush(nbj_client *c)
{
    assert_int_equal(nbj_flush(c, SOON), NBJ_OK);
}

static inline nbj_sub *subscribe(nbj_client *c, const char *subject, nbj_msg_fn *fn, void *user)
{
    nbj_sub *sub = NULL;

    assert_int_equal(nbj_subscribe(c, subject, NULL, fn, user, &sub), NBJ_OK);
    flush(c);
    return sub;
}

static inline void send_text(nbj_client *c, const char *subject, const char *text)
{
    assert_int_equal(nbj_send(c, subject, nbj_str(text), NULL), NBJ_OK);
}

static inline bool holds(const nbj_msg *msg, const char *text)
{
    return msg != NULL && nbj_bytes_equal(nbj_msg_data(msg), nbj_str(text));
}

/* --- the program's events --- */

typedef struct journal {
    pthread_mutex_t lock;
    char trail[128]; /* a letter for each */
    size_t count;
    nbj_error error[NBJ_EVENT_CLOSED + 1]; /* the last of each type */
} journal;

#define JOURNAL                           \
    {                                     \
        .lock = PTHREAD_MUTEX_INITIALIZER \
    }

static inline void on_event(void *user, nbj_client *client, const nbj_event *event)
{
    journal *j = user;

    (void)client;
    pthread_mutex_lock(&j->lock);
    if (j->count + 1 < sizeof j->trail)
        j->trail[j->count++] = LETTERS[event->type];
    if (event->error != NULL)
        j->error[event->type] = *event->error;
    pthread_mutex_unlock(&j->lock);
}

static inline bool has_event(journal *j, nbj_event_type type)
{
    pthread_mutex_lock(&j->lock);
    bool has = strchr(j->trail, LETTERS[type]) != NULL;
    pthread_mutex_unlock(&j->lock);
    return has;
}

static inline nbj_status why_closed(journal *j)
{
    WAIT_UNTIL(has_event(j, NBJ_EVENT_CLOSED), SOON_MS);
    return j->error[NBJ_EVENT_CLOSED].status; /* nothing comes behind it */
}

/* --- threads --- */

/* A call that another thread makes. */
typedef struct worker {
    pthread_t thread;
    atomic_int tid; /* 0: not begun */
    atomic_bool done;
    nbj_status status; /* what came of it, once done */
    uint64_t took_ns;
    nbj_status (*call)(void *arg);
    void *arg;
} worker;

static inline void *run_worker(void *arg)
{
    worker *w = arg;
    nbj_time begun = ts_now();

    w->tid = (int)gettid();
    w->status = w->call(w->arg);
    w->took_ns = ts_now() - begun;
    w->done = true;
    return NULL;
}

static inline void start(worker *w, nbj_status (*call)(void *arg), void *arg)
{
    *w = (worker){ .call = call, .arg = arg };
    assert_int_equal(pthread_create(&w->thread, NULL, run_worker, w), 0);
}

static inline nbj_status finish(worker *w)
{
    WAIT_UNTIL(w->done, SOON_MS);
    pthread_join(w->thread, NULL);
    return w->status;
}

/* The number behind |key| (or the character, as -number) in /proc/self/task/|tid|/status; 0: there is no such thread. */
static inline long thread_status(int tid, const char *key)
{
    char path[64], line[256];
    long value = 0;

    snprintf(path, sizeof path, "/proc/self/task/%d/status", tid);
    FILE *f = fopen(path, "r");
    while (f != NULL && fgets(line, sizeof line, f) != NULL) {
        if (strncmp(line, key, strlen(key)) == 0 && line[strlen(key)] == ':') {
            const char *text = line + strlen(key) + 1;
            text += strspn(text, " \t");
            value = *text >= '0' && *text <= '9' ? strtol(text, NULL, 10) : -(long)*text;
        }
    }
    if (f != NULL)
        fclose(f);
    return value;
}

/* It has nothing left to do but to wait. */
static inline bool is_asleep(const worker *w)
{
    return w->tid != 0 && thread_status(w->tid, "State") == -(long)'S';
}

/* The name that the library gives its threads, of the one that calls. */
static inline bool is_callback_thread(void)
{
    char name[16] = "";

    return pthread_getname_np(pthread_self(), name, sizeof name) == 0 && strcmp(name, "nbj-callbacks") == 0;
}

#endif
