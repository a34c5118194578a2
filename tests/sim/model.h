/* SPDX-License-Identifier: Apache-2.0 */
/* The server model: an oracle for what one or more NATS servers with JetStream answer to octets, driven by
 * virtual time. It shares no code with the library, parses its client strictly (each deviation from the grammar
 * is a recorded fault), and keeps the true store that a checker reads. Not a copy of the server: what the
 * library does not use yet is absent and reported as a fault, never guessed. tests/live/model_transcript_test.c
 * holds it to the real servers.
 *
 * All servers of a model form one cluster: interest is shared at once, streams live on server 0. */
#ifndef SIM_MODEL_H
#define SIM_MODEL_H

#include "buf.h"

#define MODEL_SERVERS_MAX 5
#define MODEL_HELLO '\x16' /* "TLS": a client's first octet, answered by the same; nothing is encrypted */
#define MODEL_EPOCH_NS 1795434000000000000u /* the wall clock at virtual time 0 */

typedef struct model model;
typedef struct model_conn model_conn;

typedef enum model_tls { MODEL_TLS_NONE, MODEL_TLS_OFFERED, MODEL_TLS_REQUIRED, MODEL_TLS_FIRST } model_tls;

/* Who sits on the wire, and alters what a server says in clear. */
typedef enum model_wire {
    MODEL_WIRE_FINE,
    MODEL_WIRE_STRIPS,  /* INFO does not say that there is TLS */
    MODEL_WIRE_INJECTS, /* operations follow INFO, to be taken for the server's own once there is TLS */
} model_wire;

typedef struct model_options {
    unsigned servers;                           /* 0: 1. Named sim0 .. sim4, also 10.0.0.0 .. 10.0.0.4, port 4222 */
    unsigned minor, patch;                      /* of version 2.minor.patch; 0: 2.15.1 */
    uint32_t max_payload;                       /* 0: 1 MiB */
    uint32_t max_line;                          /* control line; 0: 4096 */
    uint32_t max_subs;                          /* 0: unlimited */
    uint64_t ping_interval_ns, auth_timeout_ns; /* 0: 2 min, 2 s */
    uint64_t ldm_grace_ns, ldm_duration_ns;     /* 0: 10 s, 2 min */
    unsigned max_pings_out;                     /* 0: 2 */
    const char *user, *pass, *token, *nkey;     /* all NULL: no authentication */
    const char *deny_publish, *deny_subscribe;  /* subject patterns, separated by blanks; NULL: none */
    unsigned ack_tokens;                        /* of an ack subject: 0 or 9: v1; 11, 12: v2 */
    uint64_t commit_max_ns; /* how long replicas take at most to agree on a message; 0: a stream is on one server */
    uint64_t late_max_ns;   /* of MODEL_JS_LATE */
    model_tls tls;
    bool issues_tokens; /* each CONNECT needs a token of its own: model_issue() */
    bool no_jetstream;
    bool expects_first; /* expectations are looked at before message ids: which comes first is no contract */
    bool no_headers;
    bool advertise;           /* INFO names all running servers in connect_urls */
    bool advertise_addresses; /* by their addresses */
} model_options;

/* What an afflicted JetStream does with publishes, requests and acks until the trouble ends. */
typedef enum model_trouble {
    MODEL_JS_FINE,
    MODEL_JS_DEAF,       /* nothing processed, nothing answered */
    MODEL_JS_MUTE,       /* processed, answers lost */
    MODEL_JS_NO_QUORUM,  /* publishes: no responders; API: 10008 */
    MODEL_JS_OVERLOADED, /* publishes: 429 with 10167; API silent */
    MODEL_JS_LATE,       /* answers to publishes come late, in another order, some of them twice */
    MODEL_JS_NOT_READY,  /* a new leader: what expects a subject's last sequence is answered 10163 */
} model_trouble;

model *model_new(const model_options *opt, uint64_t seed, uint64_t now);
void model_free(model *m);

/* One TCP connection to a server that is up; INFO is in its output. NULL: refused. */
model_conn *model_accept(model *m, unsigned server, uint64_t now);
void model_trust(model_conn *c); /* no authentication, no denied subjects: a conn of the harness itself */
void model_feed(model_conn *c, const void *data, size_t len, uint64_t now);
str model_output(const model_conn *c);
void model_consume(model_conn *c, size_t len);
bool model_closing(const model_conn *c);        /* the server has closed: FIN follows the output */
void model_hangup(model_conn *c, uint64_t now); /* the server sees FIN or RST */
void model_release(model_conn *c);              /* nobody will use |c| again */
size_t model_info_len(const model_conn *c); /* octets of the first INFO and of TLS: a client writes nothing before */
uint64_t model_deadline(const model *m);
void model_tick(model *m, uint64_t now);

/* Life of servers. */
void model_kill(model *m, unsigned server, uint64_t now);    /* SIGKILL: memory streams are gone, file streams stay */
void model_restart(model *m, unsigned server, uint64_t now); /* with a new server_id */
void model_hang(model *m, unsigned server, bool hung, uint64_t now); /* SIGSTOP, SIGCONT */
void model_lame_duck(model *m, unsigned server, uint64_t now);
bool model_is_up(const model *m, unsigned server);
bool model_is_hung(const model *m, unsigned server);
bool model_is_lame(const model *m, unsigned server); /* and still up */
void model_set_trouble(model *m, model_trouble trouble);
/* Streams get another leader: what replicas did not agree on is lost, but for some beginning of it. */
void model_step_down(model *m, uint64_t now);
void model_set_max_payload(model *m, uint32_t octets); /* reload: told to the clients by a later INFO */
uint32_t model_max_payload(const model *m);
void model_set_password(model *m, const char *password); /* for connections to come; NULL: as in the options */
void model_issue(model *m, const char *token);           /* the only one that is good, and only once */
void model_tamper(model *m, model_wire how);             /* with connections to come */
void model_send_error(model_conn *c, const char *text, bool close); /* an -ERR out of the blue */
/* What a model sends by itself, as another client would: no echo, no limits. */
size_t model_publish(model *m, str subject, str reply, str header, str data, uint64_t now);

/* Faults of the client's grammar and of its behaviour, and things the model does not know. */
size_t model_faults(const model *m);
const char *model_fault(const model *m, size_t i); /* the first 16 are kept */

/* Who is told of what happens; each may be NULL. */
typedef struct model_watcher {
    void *user;
    /* a publish that a server took from a client, before it is routed */
    void (*published)(void *user, const model_conn *from, str subject, str reply, str header, str data);
    /* a message that was written to a connection, 503s included */
    void (*delivered)(void *user, const model_conn *to, uint64_t sid);
    /* a message that a stream took; |created_ns| tells a stream from a later one of the same name */
    void (*stored)(void *user, const char *stream, uint64_t created_ns, uint64_t seq, str subject, str header,
                   str data);
    /* … and that it does not have any more */
    void (*removed)(void *user, const char *stream, uint64_t created_ns, uint64_t seq);
} model_watcher;
void model_watch(model *m, const model_watcher *watcher);

/* The true state, for checkers. */
typedef struct model_sub_view {
    uint64_t sid, max, count;
    str subject, queue;
} model_sub_view;
typedef struct model_msg_view {
    uint64_t seq, time_ns; /* time: of the wall clock */
    str subject, header, data;
} model_msg_view;
typedef struct model_stream_view {
    uint64_t messages, octets, first_seq, last_seq, created_ns;
} model_stream_view;
typedef struct model_consumer_view {
    uint64_t delivered_stream_seq, delivered_consumer_seq, ack_floor_stream_seq;
    size_t ack_pending, waiting, undelivered, redelivered;
} model_consumer_view;

size_t model_conns(const model *m);
model_conn *model_conn_at(const model *m, size_t i);
bool model_conn_ready(const model_conn *c); /* CONNECT accepted, not closed */
unsigned model_conn_server(const model_conn *c);
bool model_conn_injected(const model_conn *c); /* octets that are not the server's came in clear */
size_t model_subs(const model_conn *c);
bool model_sub_find(const model_conn *c, uint64_t sid, model_sub_view *out);
bool model_stream_find(const model *m, const char *stream, model_stream_view *out);
bool model_msg_find(const model *m, const char *stream, uint64_t seq, model_msg_view *out);
bool model_consumer_find(const model *m, const char *stream, const char *consumer, model_consumer_view *out);
/* Whether |seq| was settled (acked or terminated) on the consumer; unknown consumer: false. */
bool model_is_settled(const model *m, const char *stream, const char *consumer, uint64_t seq);

/* Shared with the harness and the transcript test. */
bool model_subject_matches(str pattern, str subject);
str model_header(str block, const char *key); /* first value, exact key; ptr NULL where absent */

#endif
