/* SPDX-License-Identifier: Apache-2.0 */
/* Owns: the list of open clients, which only the test's thread touches. A record outlives its client's callbacks, even
 * where the client was released in one of them: ts_threaded_free waits until the callback thread has gone. */
#define _GNU_SOURCE

#include "thread_client.h"

#include <dirent.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

static ts_threaded *all;

/* -- counts -- */

void ts_tally_init(ts_tally *t)
{
    pthread_condattr_t monotonic;

    t->count = 0;
    pthread_mutex_init(&t->lock, NULL);
    pthread_condattr_init(&monotonic);
    pthread_condattr_setclock(&monotonic, CLOCK_MONOTONIC);
    pthread_cond_init(&t->changed, &monotonic);
    pthread_condattr_destroy(&monotonic);
}

void ts_tally_done(ts_tally *t)
{
    pthread_cond_destroy(&t->changed);
    pthread_mutex_destroy(&t->lock);
}

void ts_tally_add(ts_tally *t, uint64_t n)
{
    pthread_mutex_lock(&t->lock);
    t->count += n;
    pthread_cond_broadcast(&t->changed);
    pthread_mutex_unlock(&t->lock);
}

uint64_t ts_tally_count(ts_tally *t)
{
    pthread_mutex_lock(&t->lock);
    uint64_t count = t->count;
    pthread_mutex_unlock(&t->lock);
    return count;
}

/* False: |until| has come. With the lock. */
static bool wait_for_change(ts_tally *t, nbj_time until)
{
    struct timespec due = { .tv_sec = (time_t)(until / NBJ_SECONDS(1)), .tv_nsec = (long)(until % NBJ_SECONDS(1)) };

    return pthread_cond_timedwait(&t->changed, &t->lock, &due) == 0;
}

bool ts_tally_reaches(ts_tally *t, uint64_t count, int ms)
{
    nbj_time until = ts_now() + NBJ_MILLIS(ms);

    pthread_mutex_lock(&t->lock);
    while (t->count < count && wait_for_change(t, until))
        continue;
    bool reached = t->count >= count;
    pthread_mutex_unlock(&t->lock);
    return reached;
}

void ts_tally_await(ts_tally *t, uint64_t count, int ms, const char *name, const char *file, int line)
{
    if (!ts_tally_reaches(t, count, ms))
        ts_fail(file, line, "%s is %llu and not %llu after %d ms", name, (unsigned long long)ts_tally_count(t),
                (unsigned long long)count, ms);
}

/* -- clients -- */

static void on_event(void *user, nbj_client *client, const nbj_event *event)
{
    ts_threaded *c = user;

    (void)client;
    pthread_mutex_lock(&c->happened.lock);
    if (c->happened.count < TS_THREADED_EVENTS) {
        ts_threaded_event *e = &c->event[c->happened.count];
        e->type = event->type;
        e->at = ts_now();
        if (event->error != NULL)
            e->error = *event->error;
        snprintf(e->subject, sizeof e->subject, "%.*s", NBJ_FMT(event->subject));
    }
    c->happened.count++;
    pthread_cond_broadcast(&c->happened.changed);
    pthread_mutex_unlock(&c->happened.lock);
    if (c->on_event != NULL)
        c->on_event(c, event);
}

ts_threaded *ts_threaded_open_with(const nbj_client_options *options,
                                   void (*hook)(ts_threaded *c, const nbj_event *event), void *user)
{
    ts_threaded *c = calloc(1, sizeof *c);
    nbj_client_options o = *options;
    nbj_client *client = NULL;
    nbj_error error = { 0 };

    if (c == NULL)
        TS_FAIL("out of memory");
    ts_tally_init(&c->happened);
    c->on_event = hook;
    c->user = user;
    o.on_event = on_event;
    o.user_data = c;
    if (nbj_client_open(&client, &o, &error) != NBJ_OK) {
        ts_tally_done(&c->happened);
        free(c);
        TS_FAIL("cannot open a client: %s", nbj_error_text(&error));
    }
    pthread_mutex_lock(&c->happened.lock); /* a callback may look for it by now */
    c->client = client;
    pthread_cond_broadcast(&c->happened.changed);
    pthread_mutex_unlock(&c->happened.lock);
    c->next = all;
    all = c;
    return c;
}

ts_threaded *ts_threaded_open(const nbj_client_options *options)
{
    return ts_threaded_open_with(options, NULL, NULL);
}

ts_threaded *ts_threaded_at(const char *url)
{
    return ts_threaded_open(
        NBJ_CLIENT_OPTIONS(.url = url, .reconnect_first_ns = NBJ_MILLIS(10), .reconnect_max_ns = NBJ_MILLIS(100)));
}

/* A callback may come before nbj_client_open has returned the client. */
void ts_threaded_release(ts_threaded *c)
{
    nbj_time until = ts_now() + NBJ_SECONDS(5);

    pthread_mutex_lock(&c->happened.lock);
    while (c->client == NULL && wait_for_change(&c->happened, until))
        continue;
    nbj_client *client = c->client;
    c->client = NULL;
    pthread_mutex_unlock(&c->happened.lock);
    nbj_client_release(client);
}

void ts_threaded_free(ts_threaded *c)
{
    ts_threaded **at = &all;

    if (c == NULL)
        return;
    while (*at != NULL && *at != c)
        at = &(*at)->next;
    if (*at == c)
        *at = c->next;
    pthread_mutex_lock(&c->happened.lock);
    nbj_client *client = c->client;
    pthread_mutex_unlock(&c->happened.lock);
    nbj_client_release(client);
    if (client == NULL && all == NULL)
        ts_await_threads(0, 0);
    ts_tally_done(&c->happened);
    free(c);
}

void ts_threaded_free_all(void)
{
    for (ts_threaded *c = all; c != NULL; c = c->next) {
        pthread_mutex_lock(&c->happened.lock);
        nbj_client *client = c->client;
        c->client = NULL;
        pthread_mutex_unlock(&c->happened.lock);
        nbj_client_release(client);
    }
    ts_await_threads(0, 0);
    while (all != NULL)
        ts_threaded_free(all);
}

/* The |nth| of that type, or NULL. With the lock. */
static const ts_threaded_event *find(const ts_threaded *c, nbj_event_type type, unsigned nth)
{
    for (size_t i = 0; i < c->happened.count && i < TS_THREADED_EVENTS; i++) {
        if (c->event[i].type == type && --nth == 0)
            return &c->event[i];
    }
    return NULL;
}

unsigned ts_threaded_count(ts_threaded *c, nbj_event_type type)
{
    unsigned n = 0;

    pthread_mutex_lock(&c->happened.lock);
    while (find(c, type, n + 1) != NULL)
        n++;
    pthread_mutex_unlock(&c->happened.lock);
    return n;
}

const ts_threaded_event *ts_threaded_await(ts_threaded *c, nbj_event_type type, unsigned nth)
{
    nbj_time until = ts_now() + NBJ_MILLIS(TS_THREADED_MS);
    const ts_threaded_event *e;

    pthread_mutex_lock(&c->happened.lock);
    while ((e = find(c, type, nth)) == NULL && wait_for_change(&c->happened, until))
        continue;
    pthread_mutex_unlock(&c->happened.lock);
    if (e == NULL)
        TS_FAIL("no event %d, number %u, in %d ms; events: %llu", type, nth, TS_THREADED_MS,
                (unsigned long long)ts_tally_count(&c->happened));
    return e;
}

const nbj_error *ts_threaded_await_closed(ts_threaded *c)
{
    const ts_threaded_event *e = ts_threaded_await(c, NBJ_EVENT_CLOSED, 1);

    if (e != &c->event[ts_tally_count(&c->happened) - 1])
        TS_FAIL("CLOSED was not the last event");
    return &e->error;
}

/* -- threads -- */

typedef struct thread_start {
    ts_threads *threads;
    size_t i;
} thread_start;

static void *thread_main(void *arg)
{
    thread_start s = *(thread_start *)arg;

    free(arg);
    pthread_barrier_wait(&s.threads->start);
    s.threads->run(s.threads->arg, s.i);
    ts_tally_add(&s.threads->ended, 1);
    return NULL;
}

void ts_threads_start(ts_threads *t, size_t count, ts_thread_fn *run, void *arg)
{
    if (count > TS_THREADS_MAX)
        TS_FAIL("%zu threads are too many", count);
    *t = (ts_threads){ .count = count, .run = run, .arg = arg };
    ts_tally_init(&t->ended);
    pthread_barrier_init(&t->start, NULL, (unsigned)count);
    for (size_t i = 0; i < count; i++) {
        thread_start *s = malloc(sizeof *s);
        if (s == NULL)
            TS_FAIL("out of memory");
        *s = (thread_start){ t, i };
        if (pthread_create(&t->thread[i], NULL, thread_main, s) != 0)
            TS_FAIL("cannot start a thread");
    }
}

void ts_threads_join(ts_threads *t, int ms)
{
    TALLY_AWAIT(&t->ended, t->count, ms);
    for (size_t i = 0; i < t->count; i++)
        pthread_join(t->thread[i], NULL);
    pthread_barrier_destroy(&t->start);
    ts_tally_done(&t->ended);
}

/* -- the library's threads -- */

/* The first line of |what| of a thread that begins with |prefix|, without it. False: there is none. */
static bool read_of_thread(const char *id, const char *what, const char *prefix, char *out, size_t size)
{
    char path[300], line[256];
    bool found = false;

    snprintf(path, sizeof path, "/proc/self/task/%s/%s", id, what);
    FILE *f = fopen(path, "re");
    while (f != NULL && !found && fgets(line, sizeof line, f) != NULL) {
        found = strncmp(line, prefix, strlen(prefix)) == 0;
        line[strcspn(line, "\n")] = '\0';
        snprintf(out, size, "%s", found ? line + strlen(prefix) : "");
    }
    if (f != NULL)
        fclose(f);
    return found;
}

/* Counts threads of that name; |fits| NULL: all of them. */
static unsigned count_if(const char *name, bool (*fits)(const char *id))
{
    DIR *tasks = opendir("/proc/self/task");
    unsigned n = 0;
    char comm[64];

    if (tasks == NULL)
        TS_FAIL("cannot read /proc/self/task");
    for (struct dirent *e; (e = readdir(tasks)) != NULL;) {
        if (e->d_name[0] == '.' || !read_of_thread(e->d_name, "comm", "", comm, sizeof comm))
            continue;
        n += (name == NULL || strcmp(comm, name) == 0) && (fits == NULL || fits(e->d_name));
    }
    closedir(tasks);
    return n;
}

unsigned ts_count_threads(const char *name)
{
    return count_if(name, NULL);
}

/* SIGKILL and SIGSTOP cannot be blocked; 32 and 33 are glibc's own. */
static bool takes_no_signals(const char *id)
{
    const unsigned long long not_ours = 1ull << 8 | 1ull << 18 | 1ull << 31 | 1ull << 32;
    char mask[64];

    return read_of_thread(id, "status", "SigBlk:\t", mask, sizeof mask) && ~(strtoull(mask, NULL, 16) | not_ours) == 0;
}

bool ts_threads_take_no_signals(const char *name)
{
    return ts_in_valgrind() || count_if(name, takes_no_signals) == ts_count_threads(name);
}

void ts_await_threads(unsigned io, unsigned callbacks)
{
    nbj_time until = ts_now() + NBJ_MILLIS(TS_THREADED_MS);
    unsigned is_io = 0, is_callbacks = 0;

    do {
        is_io = ts_count_threads(TS_IO_THREAD);
        is_callbacks = ts_count_threads(TS_CALLBACK_THREAD);
        if (is_io == io && is_callbacks == callbacks)
            return;
        ts_breathe();
    } while (ts_now() < until);
    TS_FAIL("%u I/O and %u callback threads instead of %u and %u", is_io, is_callbacks, io, callbacks);
}
