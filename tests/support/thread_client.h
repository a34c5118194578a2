/* SPDX-License-Identifier: Apache-2.0 */
/* Clients with threads for tests: what their events were, written down under a lock and waited for with a deadline;
 * counts that callbacks raise and tests wait for; threads that start together and are waited for likewise; and the
 * library's own threads, as the kernel sees them. What waits in vain fails the test, so wait in the test's own thread. */
#ifndef NBJ_TEST_THREAD_CLIENT_H
#define NBJ_TEST_THREAD_CLIENT_H

#include <nbj/nbj.h>

#include "check.h"
#include "shorthand.h"

#include <pthread.h>
#include <stdatomic.h>

#define TS_THREADED_MS 20000 /* long enough for anything that should happen soon, under a sanitizer too */
#define TS_THREADED_EVENTS 512

/* -- counts -- */

/* A number that only grows; whoever raises it wakes who waits for it. */
typedef struct ts_tally {
    pthread_mutex_t lock;
    pthread_cond_t changed;
    uint64_t count;
} ts_tally;

void ts_tally_init(ts_tally *t);
void ts_tally_done(ts_tally *t);
void ts_tally_add(ts_tally *t, uint64_t n);
uint64_t ts_tally_count(ts_tally *t);
bool ts_tally_reaches(ts_tally *t, uint64_t count, int ms); /* from any thread; false: not in that time */

#define TALLY_AWAIT(tally, n, ms) ts_tally_await((tally), (n), (ms), #tally, __FILE__, __LINE__)
void ts_tally_await(ts_tally *t, uint64_t count, int ms, const char *name, const char *file, int line);

/* -- clients -- */

typedef struct ts_threaded_event {
    nbj_event_type type;
    nbj_error error; /* zeroed where there was none */
    char subject[128];
    nbj_time at;
} ts_threaded_event;

typedef struct ts_threaded ts_threaded;
struct ts_threaded {
    nbj_client *client; /* NULL: given back */
    ts_tally happened;  /* events so far; its lock is that of |event| */
    ts_threaded_event event[TS_THREADED_EVENTS];
    void (*on_event)(ts_threaded *c, const nbj_event *event); /* a test's own, called last; NULL: none */
    void *user;
    ts_threaded *next;
};

/* Opens a client; its on_event and user_data are ours. Fails the test when that is refused. From the test's thread. */
ts_threaded *ts_threaded_open(const nbj_client_options *options);
ts_threaded *ts_threaded_open_with(const nbj_client_options *options,
                                   void (*on_event)(ts_threaded *c, const nbj_event *event), void *user);
ts_threaded *ts_threaded_at(const char *url); /* with short back-off */
void ts_threaded_release(ts_threaded *c);     /* its client, also within its callbacks; the record stays */
void ts_threaded_free(ts_threaded *c);        /* both; not in its callbacks. NULL is allowed */
void ts_threaded_free_all(void);              /* for a test's teardown; waits for the threads of all clients */

unsigned ts_threaded_count(ts_threaded *c, nbj_event_type type); /* events of that type so far */

/* Waits for the |nth| event (from 1) of that type; the event lives as long as |c|. */
const ts_threaded_event *ts_threaded_await(ts_threaded *c, nbj_event_type type, unsigned nth);

/* Waits for CLOSED, which has to be the last event and the only one; returns why. */
const nbj_error *ts_threaded_await_closed(ts_threaded *c);

/* -- threads -- */

#define TS_THREADS_MAX 64

typedef void ts_thread_fn(void *arg, size_t i);

typedef struct ts_threads {
    pthread_t thread[TS_THREADS_MAX];
    size_t count;
    ts_thread_fn *run;
    void *arg;
    pthread_barrier_t start;
    ts_tally ended;
} ts_threads;

/* |count| threads that begin run(arg, 0), run(arg, 1) … together. They must not fail the test themselves. */
void ts_threads_start(ts_threads *t, size_t count, ts_thread_fn *run, void *arg);
void ts_threads_join(ts_threads *t, int ms); /* fails the test when one has not ended after |ms| milliseconds */

/* -- the library's threads -- */

#define TS_IO_THREAD "nbj-io"
#define TS_CALLBACK_THREAD "nbj-callbacks"

unsigned ts_count_threads(const char *name);            /* of this process; NULL: all there are */
bool ts_threads_take_no_signals(const char *name);      /* each of that name blocks all that can be blocked */
void ts_await_threads(unsigned io, unsigned callbacks); /* until there are so many of them */

#endif
