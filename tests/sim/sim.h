/* SPDX-License-Identifier: Apache-2.0 */
/* One simulated run: world = f(seed). The production session with its JetStream window and pull consumer, the network
 * and server models, an application that does random things and keeps its own ledger, and fate.
 *
 *   sim_main.c    the program that runs seeds
 *   sim_run.c     a run from beginning to end: safety phase, healing, liveness, verdict
 *   sim_swarm.c   what is drawn once per run
 *   sim_client.c  the driver of the session, and what its events may be
 *   sim_shake.c   its part of the handshake: TLS and credentials
 *   sim_app.c     the application's programme; subscriptions and publishes
 *   sim_calls.c   its requests and flushes
 *   sim_js.c      its JetStream half: the stream, its pull consumer
 *   sim_publish.c … and its publish window
 *   sim_ledger.c  who published what, and what became of it
 *   sim_check.c   invariants of a life and of an idle client
 *   sim_fate.c    faults */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include "conn/session.h"
#include "js/publish.h"
#include "js/publish_ask.h"
#include "js/pull.h"

#include "net.h"
#include "payload.h"
#include "peer.h"
#include "tap.h"
#include "world.h"

#define SIM_MIN_EVENTS 500
#define SIM_MIN_EVENTS_SMALL 100
#define SIM_MIN_FAULTS 3
#define SIM_STREAM "S"
#define SIM_CONSUMER "C"

/* What fate can do; a run knows about half of it. */
typedef enum fate_kind {
    FATE_CUT,
    FATE_CUT_AT,
    FATE_STALL,
    FATE_SWALLOW,
    FATE_REFUSE,
    FATE_SILENT,
    FATE_NOTHING,
    FATE_KILL,
    FATE_HANG,
    FATE_LAME,
    FATE_ERROR,
    FATE_GARBAGE,
    FATE_FREEZE,
    FATE_PASSWORD,
    FATE_WIRE,
    FATE_PAYLOAD,
    FATE_PEER,
    FATE_JETSTREAM,
    FATE_LEADER,
    FATE_COUNT,
} fate_kind;

/* What the application can do. */
typedef enum app_op {
    DO_SUBSCRIBE,
    DO_UNSUBSCRIBE,
    DO_LIMIT_SUB,
    DO_DRAIN_SUB,
    DO_PUBLISH,
    DO_BURST,
    DO_PEER_PUBLISH,
    DO_REQUEST,
    DO_MANY,
    DO_FLUSH,
    DO_CANCEL,
    DO_BAD,
    DO_TAKE,
    DO_RECONNECT,
    DO_DRAIN,
    DO_CLOSE,
    DO_JS_PUBLISH,
    DO_JS_BURST,
    DO_JS_SETTLE,
    DO_COUNT,
} app_op;

typedef struct swarm {
    model_options model;
    net_weather weather;
    nbj__session_options session;
    char urls[128];
    unsigned known;                                                        /* servers that |urls| names, from sim0 on */
    bool tls_urls;                                                         /* tls:// */
    bool js, consumes, memory_stream, work_queue, discard_new, publishing; /* publishing: a small world for that */
    uint32_t max_msgs, max_per_subject;                                    /* 0: without a limit */
    uint64_t max_age_ns, duplicates_ns;                                    /* 0: as the server does */
    uint32_t ordered, expecting;                                           /* so many publishes of 8 */
    uint32_t min_events;
    nbj__publish_options publish;
    nbj__pull_options pull;
    uint64_t ack_wait_ns;
    uint32_t fates, ops;                              /* bit masks */
    uint64_t fate_mean_ns, think_mean_ns, longest_ns; /* longest: of a fault */
    uint64_t lateness_ns;                             /* how late the driver runs at most */
    uint32_t steps;
    uint32_t alloc_fail;      /* chance per million */
    uint64_t deadline_max_ns; /* of requests */
} swarm;

/* A message that somebody published; |kind|: P by the application, Q its request, J to the stream, M by the peer. */
typedef struct entry {
    char kind;
    bool accepted; /* the library took it */
    bool asked;    /* Q: the peer received it */
    const char *subject;
    uint32_t size;
    uint64_t life;
    uint32_t written, seen;       /* how often completely written; taken by a server */
    uint64_t written_on, seen_on; /* the connection's number */
    /* J */
    uint32_t outcomes, stored, processed;
    nbj__publish_outcome outcome;
    uint64_t epoch, seq; /* where it was stored last: the stream's creation, and sequence */
    uint64_t msg_id;     /* given by the application; 0: the library's own */
    bool ordered, no_id, expects;
    uint32_t retries, sends, refusals; /* retries: that are allowed; the others as the window last counted them */
    uint64_t first_sent, sent_on;
} entry;

typedef struct app_sub {
    nbj__sub sub;
    struct app_sub *next;
    const char *filter, *queue;
    bool denied, draining, ended, js;
    uint64_t max, received;
    uint64_t from_server, received_here; /* on the present connection */
    uint64_t conn;                       /* the connection at the time of draining */
    uint64_t last_id, last_conn;         /* the application's own messages come in order */
    uint64_t last_peer_id;
    uint8_t *got; /* bit set of ids */
    size_t got_len;
} app_sub;

typedef struct app_call {
    nbj__call call;
    struct app_call *next;
    uint64_t id; /* of the request's entry */
    bool done;
    nbj_time deadline;
    uint64_t conn;             /* FLUSH: where it was issued; 0: not ready */
    uint64_t before_id;        /* FLUSH: publishes up to this one are covered */
    uint32_t replies, replied; /* count; bit set */
} app_call;

typedef struct stored_note { /* what a stream took, by the stream's life and sequence */
    uint64_t epoch, seq, id, time;
    bool processed, removed;
} stored_note;

/* TLS as the driver of the client does it. */
typedef enum sim_tls {
    SIM_TLS_NONE,
    SIM_TLS_ASKED, /* the hello is not to be sent yet, or never */
    SIM_TLS_HELLO, /* it is */
    SIM_TLS_SENT,  /* its answer is waited for */
    SIM_TLS_DONE,
} sim_tls;

typedef enum sim_phase { SIM_SAFETY, SIM_HEALED, SIM_OVER } sim_phase;

typedef struct sim {
    uint64_t seed;
    bool verbose;
    swarm sw;
    world w;
    model *m;
    net n;
    peer p;
    rng app, fate, drive, memory;
    sim_phase phase;
    uint64_t model_timer, model_timer_at, client_timer, client_timer_at;
    bool awake, drive_scheduled;
    uint64_t frozen_until, healed_at;
    uint64_t faults, steps_done;
    uint64_t fate_hits[FATE_COUNT], carried[2];
    uint64_t hash;
    bool failed, was_quiet; /* quiet: nothing has happened for long */
    char failure[400];

    /* the ledger */
    entry *entries; /* by id; [0] unused */
    size_t count, entries_cap;
    stored_note *notes;
    size_t note_count, notes_cap;
    bool stream_was_lost, refusals, restarted, order_is_off;

    /* the present life of a client */
    uint64_t life;
    nbj__session *session;
    net_conn *conn;
    tap tap;
    bool dialed, leaving, connected, was_connected, closed_seen, asked_to_close, asked_to_drain, conn_was_faulted;
    uint64_t dial_started, last_written_id, next_written; /* next_written: pull requests on this connection */
    uint64_t connected_at, first_id;
    bool too_large_was_told;
    unsigned target; /* the server that was dialed by its name; MODEL_SERVERS_MAX: another */
    sim_tls tls;
    bool had_tls[MODEL_SERVERS_MAX + 1]; /* by |target| */
    bool asks_credentials;
    char nonce[32];
    uint64_t issued; /* tokens, over all lives */
    app_sub *subs;
    app_call *calls;
    nbj__publisher publisher;
    nbj__publish_asker asker;
    uint64_t last_sent_id, last_sent_on;     /* of the window's messages, for the first time on a connection */
    uint64_t ordered_failed, ordered_stored; /* the first that failed and the last that was stored; 0: none */
    size_t ordered_open;
    nbj__pull pull;
    bool has_publisher, has_pull;
    nbj_msg *unsettled[64];
    size_t unsettled_count;
    nbj_status closed_status;
    size_t largest; /* publish that was taken */
    size_t live_bytes, live_blocks, peak_bytes;
    nbj_allocator allocator;
    nbj__observer observer;
    bool alloc_failed;
} sim;

typedef struct sim_result {
    bool failed;
    char failure[400];
    uint64_t events, faults, hash, lives, published, virtual_ns;
    uint64_t fate_hits[FATE_COUNT];
    uint64_t carried[2]; /* octets of the first connection, when the programme was through */
} sim_result;

/* Which transitions were ever taken, over all runs of this process. */
extern const nbj__machine *const sim_machines[];
extern const size_t sim_machine_count;
bool sim_was_taken(const nbj__machine *m, size_t transition);

typedef void sim_runner(uint64_t seed, bool verbose, sim_result *out);
sim_runner sim_run;
sim_runner sim_run_publishing; /* a small world that is about the publish window */

/* A program that runs seeds: sim_main.c. */
typedef struct sim_program {
    sim_runner *run;
    uint64_t seeds, min_events;
    const nbj__machine *machine; /* whose transitions all have to be taken; NULL: all machines' */
    const char *replay;          /* the command that runs seeds */
} sim_program;
int sim_main(int argc, char **argv, const sim_program *program);

/* The same with a fixed programme (connect, subscribe, publish, request, store, consume and ack), a fixed network
 * and one fault: |how| after |octet| octets of one direction of the first connection. |octet| SIM_NEVER: none. */
typedef struct sim_cut {
    net_way way;
    uint64_t octet;
    net_end how;
} sim_cut;
void sim_run_cut(const sim_cut *cut, bool verbose, sim_result *out);

/* --- shared by the parts ---------------------------------------------------------------------------------- */

void sim_fail(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_log(sim *s, const char *format, ...) __attribute__((format(printf, 2, 3)));
void sim_note(sim *s, uint64_t a, uint64_t b); /* into the hash of the trace */
void sim_wake(void *sim);
const char *sim_fate_name(fate_kind kind);

/* sim_swarm.c */
void swarm_draw(swarm *sw, uint64_t seed);
void swarm_draw_publishing(swarm *sw, uint64_t seed);
void swarm_fix(swarm *sw); /* the same for everybody, with short times */

/* sim_client.c */
void client_begin(sim *s); /* a new life */
void client_drive(sim *s);
void client_lose(sim *s, nbj_status status); /* the connection, for a reason of the driver */
void client_end(sim *s);                     /* after CLOSED, or at any time: checks the life and frees it */
nbj_time client_deadline(const sim *s);

/* sim_shake.c */
void shake_dial(sim *s, const nbj__event *ev);
void shake_open(sim *s); /* TCP is there */
void shake_start_tls(sim *s, const nbj__event *ev);
void shake_credentials(sim *s, const nbj__event *ev);
bool shake_work(sim *s);              /* true: it went on */
bool shake_holds_input(const sim *s); /* what comes is not for the session */
void shake_check_write(sim *s);       /* the session wants to write */

/* sim_app.c */
uint64_t app_conn(const sim *s); /* the number of the connection that the session uses; 0: it is not ready */
void app_expect(sim *s, const char *what, nbj_status got, nbj_status want);
void app_judge_publish(sim *s, nbj_status st, size_t size); /* a lawful answer to a publish of |size| octets? */
nbj__outgoing app_message(sim *s, uint64_t id, nbj_header *headers, buf *data);
str app_view(nbj_bytes b);
void app_step(void *sim, uint64_t argument);
void app_free(sim *s);
bool app_is_excused(const sim *s, nbj_status st); /* a status that any call may give, for a reason that is known */
app_sub *app_subscribe(sim *s, const char *filter, const char *queue, uint64_t max, bool queued);
bool app_publish(sim *s, const char *subject, size_t size);
void app_on_msg(sim *s, app_sub *sub, const nbj_msg *msg);
void app_on_sub_ended(sim *s, app_sub *sub, nbj_status status);
void app_take(sim *s, app_sub *sub, size_t most);
void app_take_all(sim *s, size_t most);

/* sim_calls.c */
app_call *app_flush(sim *s, uint64_t timeout_ns);
app_call *app_request(sim *s, const char *subject, uint64_t timeout_ns);
void app_request_many(sim *s);
void app_cancel_some(sim *s);
void app_on_reply(sim *s, app_call *call, const nbj_msg *msg);
void app_on_done(sim *s, app_call *call, nbj_status status, const nbj_msg *msg);

/* sim_js.c */
void js_begin(sim *s);
void js_end(sim *s);
void js_care(sim *s);
void js_settle(sim *s, size_t keep);
void js_on_delivery(sim *s, const nbj_msg *msg);
void js_make_stream(void *sim, uint64_t argument); /* by the peer */
uint64_t js_epoch(const sim *s);                   /* the stream's creation; 0: there is none */
uint64_t js_window_ns(const sim *s);               /* its duplicate window */
void js_check_idle(sim *s);
const char *js_why_busy(sim *s); /* NULL: idle */

/* sim_publish.c */
void publish_begin(sim *s);
void publish_end(sim *s);
void publish_ask(sim *s);
void publish_something(sim *s);
void publish_moved(sim *s, int to); /* a message of the window is about to have that state */
void publish_result(sim *s, const nbj__publish_result *r);
void publish_stored(void *sim, const char *stream, uint64_t created_ns, uint64_t seq, str subject, str header,
                    str data);
void publish_removed(void *sim, const char *stream, uint64_t created_ns, uint64_t seq);
const char *publish_why_busy(const sim *s);
void publish_check_idle(sim *s);

/* sim_ledger.c */
uint64_t ledger_add(sim *s, char kind, const char *subject, size_t size);
entry *ledger_get(sim *s, uint64_t id);
/* What entry |id| looks like on the wire: headers into |headers| (at least 3), payload into |data|. */
size_t ledger_message(sim *s, uint64_t id, nbj_header *headers, buf *data);
/* Which entry a received message is; 0: none (a failure was recorded). */
uint64_t ledger_identify(sim *s, const char *where, str subject, str header, str data);
void ledger_heard(void *sim, const client_op *op, str header, str data);
void ledger_seen(void *sim, const model_conn *from, str subject, str reply, str header, str data);
void ledger_delivered(void *sim, const model_conn *to, uint64_t sid);
void ledger_asked(void *sim, uint64_t id);

/* sim_check.c */
void check_after_drive(sim *s);
void check_life(sim *s);            /* it is closed */
bool check_is_idle(sim *s);         /* connected, nothing waits */
const char *check_why_busy(sim *s); /* NULL: idle */
void check_idle(sim *s);
void check_model_faults(sim *s);

/* sim_fate.c */
void fate_step(void *sim, uint64_t argument);
void fate_heal(sim *s);

#endif
