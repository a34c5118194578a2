/* SPDX-License-Identifier: Apache-2.0 */
/* What the live tests of clients with threads share: threads that report instead of failing, counted events, and what
 * the process has open. Time limits grow where the program runs slowly (sanitizers, valgrind). */
#ifndef NBJ_TEST_LIVE_THREADS_H
#define NBJ_TEST_LIVE_THREADS_H

#include <nbj/nbj.h>

#include "check.h"
#include "raw.h"

#include <dirent.h>
#include <errno.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#if defined(__SANITIZE_THREAD__) || defined(__SANITIZE_ADDRESS__)
#define TH_SANITIZED 1
#else
#define TH_SANITIZED 0
#endif

/* |variable| as a number, |otherwise| where it is not set. */
static inline uint64_t th_number(const char *variable, uint64_t otherwise)
{
    const char *text = getenv(variable);

    return text != NULL && *text != '\0' ? strtoull(text, NULL, 10) : otherwise;
}

/* How many times, or milliseconds: |usual|, or ten times that with NBJ_TEST_LONG. NBJ_TEST_SHORT divides it. */
static inline unsigned th_amount(unsigned usual)
{
    unsigned n = th_number("NBJ_TEST_LONG", 0) > 0 ? usual * 10 : usual;
    unsigned by = (unsigned)th_number("NBJ_TEST_SHORT", 1);

    return n / (by > 0 ? by : 1);
}

static inline bool th_is_slow(void)
{
    return TH_SANITIZED || th_number("NBJ_TEST_SHORT", 1) > 1;
}

/* How much later than due something may be seen here. */
static inline uint64_t th_margin_ns(void)
{
    return th_is_slow() ? NBJ_SECONDS(5) : NBJ_MILLIS(1500);
}

static inline uint64_t th_random(uint64_t *state)
{
    uint64_t z = *state += 0x9e3779b97f4a7c15u;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9u;
    z = (z ^ z >> 27) * 0x94d049bb133111ebu;
    return z ^ z >> 31;
}

static inline unsigned th_below(uint64_t *state, unsigned n)
{
    return (unsigned)(th_random(state) % n);
}

static inline void th_sleep_ms(unsigned ms)
{
    struct timespec t = { .tv_sec = ms / 1000, .tv_nsec = (long)(ms % 1000) * 1000000 };

    while (nanosleep(&t, &t) != 0 && errno == EINTR)
        continue;
}

/* --- what goes wrong in other threads than the test's --- */

typedef struct th_problems {
    pthread_mutex_t lock;
    unsigned count;
    char first[400];
} th_problems;

#define TH_PROBLEMS                       \
    {                                     \
        .lock = PTHREAD_MUTEX_INITIALIZER \
    }

static inline void th_problem(th_problems *p, const char *format, ...) NBJ_PRINTF(2, 3);
static inline void th_problem(th_problems *p, const char *format, ...)
{
    va_list args;

    pthread_mutex_lock(&p->lock);
    if (p->count++ == 0) {
        va_start(args, format);
        vsnprintf(p->first, sizeof p->first, format, args);
        va_end(args);
    }
    pthread_mutex_unlock(&p->lock);
}

/* Fails the test if there were any. */
static inline void th_no_problem(th_problems *p)
{
    pthread_mutex_lock(&p->lock);
    unsigned count = p->count;
    pthread_mutex_unlock(&p->lock);
    if (count > 0)
        TS_FAIL("%u problems; the first: %s", count, p->first);
}

static inline pthread_t th_start(void *(*fn)(void *), void *arg)
{
    pthread_t t;

    CHECK("a thread", pthread_create(&t, NULL, fn, arg) == 0);
    return t;
}

/* --- events --- */

typedef struct th_events {
    atomic_uint count[NBJ_EVENT_CLOSED + 1];
    atomic_ullong last_ns[NBJ_EVENT_CLOSED + 1]; /* when */
} th_events;

static inline void th_on_event(void *user, nbj_client *client, const nbj_event *event)
{
    th_events *e = user;

    (void)client;
    atomic_store(&e->last_ns[event->type], ts_now());
    atomic_fetch_add(&e->count[event->type], 1);
}

static inline unsigned th_count(th_events *e, nbj_event_type type)
{
    return atomic_load(&e->count[type]);
}

static inline nbj_client *th_open(const nbj_client_options *options)
{
    nbj_client *c = NULL;
    nbj_error error;

    if (nbj_client_open(&c, options, &error) != NBJ_OK)
        TS_FAIL("nbj_client_open: %s", error.text);
    return c;
}

/* --- a thread that waits for what never comes, and so leads whenever nobody else does --- */

typedef struct th_sleeper {
    nbj_sub *sub;
    pthread_t thread;
    nbj_status status;
} th_sleeper;

static inline void *th_sleeper_main(void *arg)
{
    th_sleeper *s = arg;
    nbj_msg *msg;

    s->status = nbj_sub_next(s->sub, NBJ_SECONDS(100), &msg);
    nbj_msg_release(msg);
    return NULL;
}

static inline void th_sleep_in(th_sleeper *s, nbj_client *c)
{
    assert_int_equal(nbj_subscribe(c, "nobody.publishes.here", NULL, NULL, NULL, &s->sub), NBJ_OK);
    s->thread = th_start(th_sleeper_main, s);
}

/* Before the client is released. */
static inline void th_wake_up(th_sleeper *s)
{
    (void)!nbj_unsubscribe(s->sub, 0); /* with its client it has ended already */
    pthread_join(s->thread, NULL);
    assert_int_equal(s->status, NBJ_E_ENDED);
    nbj_sub_release(s->sub);
}

/* --- the process --- */

/* Processor time so far, of all threads. */
static inline uint64_t th_cpu_ns(void)
{
    struct timespec t;

    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return NBJ_SECONDS(t.tv_sec) + (uint64_t)t.tv_nsec;
}

/* Fails the test when the process, which has nothing to do, does not rest. */
static inline void th_check_rests(const char *name)
{
    uint64_t before = th_cpu_ns();

    th_sleep_ms(300);
    if (th_cpu_ns() - before > NBJ_MILLIS(100))
        TS_FAIL("%s: %llu ms of processor time in 300 ms", name,
                (unsigned long long)((th_cpu_ns() - before) / 1000000));
}

/* Entries of |directory|, as numbers, into |out|; returns how many, without the descriptor that reads them. */
static inline size_t th_entries(const char *directory, int *out, size_t max)
{
    DIR *d = opendir(directory);
    size_t n = 0;

    CHECK(directory, d != NULL);
    for (struct dirent *e; (e = readdir(d)) != NULL && n < max;) {
        int number = atoi(e->d_name);
        if (e->d_name[0] != '.' && number != dirfd(d))
            out[n++] = number;
    }
    closedir(d);
    return n;
}

static inline size_t th_descriptors(void)
{
    int all[1024];

    return th_entries("/proc/self/fd", all, 1024);
}

static inline size_t th_threads(void)
{
    int all[1024];

    return th_entries("/proc/self/task", all, 1024);
}

/* --- a stream, by another client --- */

static inline void th_make_stream(uint16_t port, const char *name, const char *subjects, int replicas)
{
    char subject[100], config[300];
    ts_raw *r = ts_raw_open(port);
    const char *answer = NULL;

    snprintf(subject, sizeof subject, "$JS.API.STREAM.CREATE.%s", name);
    snprintf(config, sizeof config, "{\"name\":\"%s\",\"subjects\":[\"%s\"],\"num_replicas\":%d}", name, subjects,
             replicas);
    WAIT_UNTIL((answer = ts_raw_request(r, subject, config, TS_RAW_MS)) != NULL && strstr(answer, "\"config\"") != NULL,
               20000);
    ts_raw_close(r);
}

/* Hands every message of the stream to |fn|. */
static inline void th_read_stream(uint16_t port, const char *name, void (*fn)(void *user, const ts_raw_msg *m),
                                  void *user)
{
    static unsigned reads;
    char subject[100], config[300], inbox[32];
    ts_raw *r = ts_raw_open(port);
    const char *answer = NULL;

    snprintf(subject, sizeof subject, "$JS.API.STREAM.INFO.%s", name);
    WAIT_UNTIL((answer = ts_raw_request(r, subject, "", TS_RAW_MS)) != NULL && strstr(answer, "\"messages\":") != NULL,
               20000);
    unsigned long count = strtoul(strstr(answer, "\"messages\":") + 11, NULL, 10);
    snprintf(inbox, sizeof inbox, "read.%u", reads++); /* whoever read before may still have its consumer */
    snprintf(subject, sizeof subject, "$JS.API.CONSUMER.CREATE.%s", name);
    snprintf(config, sizeof config,
             "{\"stream_name\":\"%s\",\"config\":{\"deliver_subject\":\"%s\",\"ack_policy\":\"none\","
             "\"deliver_policy\":\"all\"}}",
             name, inbox);
    for (nbj_time until = ts_now() + NBJ_SECONDS(20);; ts_breathe()) { /* it delivers once somebody listens */
        answer = ts_raw_request(r, subject, config, TS_RAW_MS);
        if (answer != NULL && strstr(answer, "\"created\"") != NULL)
            break;
        CHECK(answer != NULL ? answer : "no answer", ts_now() < until);
    }
    ts_raw_sub(r, inbox, "read");
    for (unsigned long i = 0; i < count; i++) {
        ts_raw_msg m = ts_raw_next(r, 20000);
        fn(user, &m);
    }
    ts_raw_close(r);
}

#endif
