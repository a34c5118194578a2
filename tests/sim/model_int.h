/* SPDX-License-Identifier: Apache-2.0 */
/* What the files of the server model share. One file per concern: model_parse (client grammar), model_conn (one
 * connection), model_server (life of servers), model_sub (interest and routing), model_js (JetStream's front
 * door), model_api (its calls), model_config (stream and consumer configurations), model_stream (store), model_commit
 * (replicas, late answers),
 * model_consumer (what is delivered next), model_pull (requests and acks). */
#ifndef SIM_MODEL_INT_H
#define SIM_MODEL_INT_H

#include "jv.h"
#include "model.h"
#include "rng.h"
#include "world.h"

#define FAULTS_KEPT 16

/* --- model_parse.c: the strict grammar of one client operation ------------------------------------------- */

typedef enum op_verb { OP_CONNECT, OP_PUB, OP_HPUB, OP_SUB, OP_UNSUB, OP_PING, OP_PONG, OP_UNKNOWN } op_verb;

typedef struct client_op {
    op_verb verb;
    str json;                   /* CONNECT */
    str subject, reply, queue;  /* PUB, HPUB, SUB */
    uint64_t sid, max;          /* SUB, UNSUB; max 0: at once */
    uint64_t header_len, total; /* PUB, HPUB */
} client_op;

/* |line| without its CRLF. NULL: fine; else what is wrong, and only |op->verb| is valid. */
const char *parse_client_op(str line, client_op *op);
/* NULL: a complete, non-empty header block as the grammar wants it from a client. */
const char *check_header_block(str block);
/* NULL: fine. */
const char *check_subject(str subject, bool wildcards);

/* --- connections ------------------------------------------------------------------------------------------ */

typedef enum conn_phase { CONN_NEW, CONN_READY, CONN_CLOSED } conn_phase;

struct model_conn {
    model *m;
    unsigned server;
    uint64_t cid;
    conn_phase phase;
    buf in, out;
    client_op op; /* the PUB whose payload is awaited */
    buf op_text;  /* what its views point into */
    bool awaits_payload, trusted;
    bool greeted, secured;   /* the first octet has come; it began TLS */
    bool stripped, injected; /* what came in clear is not what the server said */
    bool verbose, pedantic, echo, headers, no_responders, async_info;
    bool ponged; /* the first PONG after CONNECT was sent */
    char nonce[16];
    size_t info_len, subs;
    unsigned pings_out;
    uint64_t next_ping, last_input, auth_deadline, close_at;
};

typedef struct model_sub {
    model_conn *conn; /* NULL: dead, to be swept */
    char *subject, *queue;
    uint64_t sid, max, count;
} model_sub;

typedef struct model_server {
    bool up, hung, lame;
    unsigned life; /* how often started */
    uint64_t down_at;
} model_server;

typedef struct model_stream model_stream;

typedef struct routed {     /* a message on its way to subscribers */
    const model_conn *from; /* NULL: from the server itself */
    str to;                 /* what subscriptions are matched with */
    str subject;            /* what is written into the frame: |to|, or a stream subject */
    str reply, header, data;
    bool from_stream; /* sent by a stream's own loop: 2.9 formats that differently */
} routed;

typedef struct proposal { /* a message, copied, and when it goes on */
    routed msg;
    uint64_t due;
} proposal;

struct model {
    model_options opt;
    uint64_t now, next_cid;
    rng random;
    model_server server[MODEL_SERVERS_MAX];
    model_conn **conns;
    model_sub *subs;
    model_stream **streams;
    size_t nconns, conns_cap, nsubs, subs_cap, nstreams, streams_cap, nlate, late_cap;
    proposal *late; /* answers on their way; |due| is when they come */
    model_trouble trouble;
    const char *password; /* instead of the option's; NULL: that */
    char issued[32];      /* the token that is good; "": none */
    model_wire wire;
    model_watcher watcher;
    size_t nfaults;
    char *faults[FAULTS_KEPT];
};

void model_blame(model *m, const char *format, ...) __attribute__((format(printf, 2, 3)));
uint64_t model_wall(const model *m);

/* model_conn.c */
void conn_send_info(model_conn *c, bool connect_info);
bool conn_needs_auth(const model_conn *c);
bool conn_needs_tls(const model_conn *c); /* and it is not there */
void conn_close(model_conn *c);           /* after what is in the output */
void conn_error(model_conn *c, const char *format, ...) __attribute__((format(printf, 2, 3)));
void conn_process(model_conn *c);
void conn_tick(model_conn *c);
uint64_t conn_deadline(const model_conn *c);

/* model_server.c */
void server_write_info(const model_conn *c, bool connect_info, buf *out);

/* model_sub.c */
void sub_add(model_conn *c, const client_op *op);
void sub_remove(model_conn *c, uint64_t sid, uint64_t max);
void sub_remove_all(model_conn *c);
void sub_sweep(model *m);
size_t route(model *m, const routed *msg);
bool has_interest(const model *m, str subject);
void route_publish(model_conn *c, const client_op *op, str header, str data);
bool denied(const char *patterns, str subject);

/* --- JetStream -------------------------------------------------------------------------------------------- */

typedef enum cfg_kind { CFG_TEXT, CFG_TEXTS, CFG_INT, CFG_INTS, CFG_BOOL, CFG_ENUM, CFG_MAP, CFG_EMPTY } cfg_kind;
typedef enum cfg_show { SHOW_ALWAYS, SHOW_SET } cfg_show;

typedef struct cfg_field {
    const char *key;
    cfg_kind kind;
    cfg_show show;
    unsigned since;           /* minor version */
    int64_t unset;            /* value where absent; and where 0 is sent, for limits */
    const char *const *names; /* ENUM */
} cfg_field;

typedef struct cfg_value {
    int64_t num;
    char *text;   /* TEXT; MAP: its members as JSON text */
    char **texts; /* TEXTS, NULL-terminated */
    int64_t ints[8];
    size_t count; /* of texts, ints */
} cfg_value;

#define CFG_MAX 32
typedef struct config {
    const cfg_field *fields;
    cfg_value v[CFG_MAX];
} config;

/* Indexes into the two tables of model_config.c. */
enum {
    S_NAME,
    S_DESCRIPTION,
    S_SUBJECTS,
    S_RETENTION,
    S_MAX_CONSUMERS,
    S_MAX_MSGS,
    S_MAX_BYTES,
    S_MAX_AGE,
    S_MAX_PER_SUBJECT,
    S_MAX_MSG_SIZE,
    S_DISCARD,
    S_STORAGE,
    S_REPLICAS,
    S_NO_ACK,
    S_DUPLICATES,
    S_COMPRESSION,
    S_ALLOW_DIRECT,
    S_MIRROR_DIRECT,
    S_SEALED,
    S_DENY_DELETE,
    S_DENY_PURGE,
    S_ROLLUP,
    S_CONSUMER_LIMITS,
    S_MSG_TTL,
    S_METADATA,
};
enum { RETAIN_LIMITS, RETAIN_INTEREST, RETAIN_WORKQUEUE };
enum { DISCARD_OLD, DISCARD_NEW };
enum { STORE_FILE, STORE_MEMORY };
enum {
    C_DURABLE,
    C_NAME,
    C_DESCRIPTION,
    C_DELIVER,
    C_START_SEQ,
    C_ACK,
    C_ACK_WAIT,
    C_MAX_DELIVER,
    C_BACKOFF,
    C_FILTER,
    C_FILTERS,
    C_REPLAY,
    C_MAX_WAITING,
    C_MAX_ACK_PENDING,
    C_MAX_BATCH,
    C_MAX_EXPIRES,
    C_MAX_BYTES,
    C_INACTIVE,
    C_REPLICAS,
    C_MEM_STORAGE,
    C_METADATA,
};
enum { DELIVER_ALL, DELIVER_LAST, DELIVER_NEW, DELIVER_START_SEQ };
enum { ACK_NONE, ACK_ALL, ACK_EXPLICIT };

extern const cfg_field stream_fields[], consumer_fields[];

/* Fills |out| from |object| (NULL: all defaults). NULL: fine; else the key that is unknown or of a wrong type. Free
 * the configuration in either case. */
str config_read(model *m, const cfg_field *fields, const jv *object, config *out);
void config_write(const model *m, const config *c, buf *out, bool with_server_metadata);
bool config_equal(const model *m, const config *a, const config *b);
void config_free(config *c);
void config_set_text(cfg_value *v, str text);

typedef struct stored_msg {
    uint64_t seq, time; /* virtual */
    char *subject;
    str header, data; /* owned */
} stored_msg;

typedef struct dedup_entry {
    char *id;
    uint64_t seq, time;
} dedup_entry;

typedef struct consumer consumer;

struct model_stream {
    model *m;
    config cfg;
    uint64_t created, octets, first_seq, last_seq, last_time;
    stored_msg *msgs; /* by ascending sequence, without those removed */
    dedup_entry *dedup;
    consumer **consumers;
    proposal *proposals; /* messages that replicas have not agreed on, in order */
    size_t nproposals, proposals_cap;
    size_t nmsgs, msgs_cap, ndedup, dedup_cap, nconsumers, consumers_cap;
};

/* model_stream.c */
model_stream *stream_find(const model *m, str name);
model_stream *stream_for(const model *m, str subject);
bool stream_overlaps(const model *m, const config *cfg, const model_stream *except);
model_stream *stream_new(model *m, config *cfg); /* takes the configuration */
void stream_free(model_stream *s);               /* not its place in the model's list */
void stream_drop(model_stream *s);               /* delete: consumers are told, list and memory follow */
void stream_publish(model_stream *s, const routed *msg);
const stored_msg *stream_msg(const model_stream *s, uint64_t seq);
size_t stream_index(const model_stream *s, uint64_t seq); /* of the first message with at least that sequence */
void stream_remove(model_stream *s, uint64_t seq);
uint64_t stream_purge(model_stream *s);
void stream_trim(model_stream *s); /* after the limits changed, or time has passed */
void stream_after_restart(model_stream *s);
uint64_t stream_deadline(const model_stream *s);
void stream_store(model_stream *s, const routed *msg); /* it passed the checks; answers */

/* model_commit.c */
void stream_propose(model_stream *s, const routed *msg);
bool stream_has_proposed(const model_stream *s, const char *key, str value); /* key: of a header; NULL: the subject */
void stream_commit(model_stream *s);                                         /* what is due */
void stream_forget_proposals(model_stream *s);
void stream_answer(model *m, str reply, str header, str body, bool for_now); /* to a publish */
void answers_tick(model *m);
uint64_t answers_deadline(const model *m);
void answers_free(model *m);

typedef struct pending {
    uint64_t sseq, dseq, due; /* due: virtual time of the redelivery; SIM_NEVER while queued for it */
} pending;

typedef struct redelivery {
    uint64_t sseq, count;
} redelivery;

typedef struct pull {
    char *reply;
    uint64_t batch, max_bytes, delivered, expires, heartbeat, next_heartbeat;
    bool no_wait, sized; /* sized: max_bytes limits */
} pull;

struct consumer {
    model_stream *stream;
    config cfg;
    uint64_t created, next_seq, dseq, last_delivered, last_acked;
    uint64_t floor_s, floor_d;
    pending *pend; /* by ascending stream sequence */
    redelivery *redeliveries;
    uint64_t *queue; /* stream sequences to be delivered again */
    pull *pulls;
    uint64_t *settled; /* for the checker */
    size_t npend, pend_cap, nredeliveries, redeliveries_cap, nqueue, queue_cap, npulls, pulls_cap, nsettled,
        settled_cap;
};

/* model_consumer.c */
consumer *consumer_find(const model_stream *s, str name);
consumer *consumer_new(model_stream *s, config *cfg); /* takes the configuration */
void consumer_free(consumer *c);
void consumer_drop(consumer *c); /* delete: waiting pulls are told */
void consumer_write_info(const consumer *c, buf *out);
bool consumer_matches(const consumer *c, str subject);
uint64_t consumer_undelivered(const consumer *c);
void consumer_deliver(consumer *c);
void consumer_tick(consumer *c);
uint64_t consumer_deadline(const consumer *c);
void consumer_after_restart(consumer *c);
void consumer_forget(consumer *c, uint64_t sseq);      /* the message is gone from the stream */
bool consumer_wants(const consumer *c, uint64_t sseq); /* interest: not settled yet */

/* model_pull.c */
void consumer_pull(consumer *c, str reply, str body);
void consumer_ack(consumer *c, uint64_t sseq, str reply, str body);
void pull_status(const consumer *c, const char *reply, const char *status, const pull *remaining);
void pull_remove(consumer *c, size_t i);
void pull_free_all(consumer *c);

/* model_api.c */
bool api_call(model *m, str subject, str reply, str body); /* |subject| without its prefix; false: no such call */

/* model_js.c: true where JetStream took the message (a responder exists). */
bool js_take(model *m, const routed *msg);
void js_answer(model *m, str reply, str header, str body, bool from_stream);
void js_tick(model *m);
uint64_t js_deadline(const model *m);
void js_after_kill(model *m);
void js_after_restart(model *m);

#endif
