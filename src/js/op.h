/* SPDX-License-Identifier: Apache-2.0 */
/* A call to JetStream's API: one request, or several of which each is made from what the answers before it said. It does
 * not know who sends them and waits: a thread, or an event loop (client/ask.c).
 *
 * A call of a kind is a struct that begins with an nbj__op, made by its constructor and freed by nbj__op_free. Its step
 * function is its state machine:
 *
 *   step(op, NBJ_OK, NULL)    first: makes a request with nbj__op_ask          → NBJ_MORE: send it
 *   step(op, status, answer)  the request's outcome; |answer| only with NBJ_OK → NBJ_MORE: send the next one,
 *                                                                                NBJ_OK: done, otherwise failed
 *
 * Of a request with several answers (|many|) the step gets each one, and returns NBJ_MORE as long as it wants another;
 * when all are there, or the time is over, it gets that status without an answer. */
#ifndef NBJ_JS_OP_H
#define NBJ_JS_OP_H

#include "base/json_write.h"
#include "conn/session.h"
#include "js/reply.h"
#include "wire/info.h"

#define NBJ__API_PREFIX "$JS.API"
#define NBJ__API_PREFIX_MAX 256u
#define NBJ__API_SUBJECT_MAX 1024u /* prefix, verb, two names and a filter */
#define NBJ__API_BODY_MAX ((size_t)NBJ_MIB(1))

typedef struct nbj__op nbj__op;

typedef nbj_status nbj__op_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error);

/* Where a call goes, and what the server there is; filled by who sends. */
typedef struct nbj__js_where {
    char prefix[NBJ__API_PREFIX_MAX]; /* "$JS.API", "$JS.<domain>.API", or another account's */
    nbj__server_version version;      /* of the server that we are connected to; zeros: not known */
    uint32_t api_level;               /* its JetStream API level; 0: before 2.11, or not said */
} nbj__js_where;

struct nbj__op {
    nbj__op_step *step;
    void (*free)(nbj__op *op); /* what the kind allocated, and the struct */
    const nbj_allocator *alloc;
    nbj__js_where where;
    char subject[NBJ__API_SUBJECT_MAX]; /* of the request */
    nbj__buf body;
    uint32_t required_level; /* sent as Nats-Required-Api-Level; 0: not */
    bool many;               /* the request has several answers, the last of which is a status without a payload */
    uint64_t stall_ns;       /* … and when none comes for so long there are no more; 0: until the call's deadline */
    uint64_t wait_ns;        /* the request ends with NBJ_E_TIMEOUT after so long; 0: at the call's deadline */
};

/* The prefix for |domain|, or |prefix| itself, into |where|. Both may be NULL. NBJ_E_INVALID: both are set, too long, or no
 * legal subject. */
nbj_status nbj__js_where_set(nbj__js_where *where, const char *domain, const char *prefix);

void nbj__op_init(nbj__op *op, const nbj_allocator *alloc, nbj__op_step *step, void (*free)(nbj__op *op));
void nbj__op_free(nbj__op *op); /* NULL is allowed */

/* Begins a request: its subject is "<prefix>.<verb>[.<a>[.<b>]]", its body empty. */
void nbj__op_ask(nbj__op *op, const char *verb, const char *a, const char *b);

/* A JSON object as the request's body, for nbj__json_end. */
nbj__json_writer nbj__op_body(nbj__op *op);

/* What to send; |header| is storage for its only header. */
nbj__outgoing nbj__op_request(const nbj__op *op, nbj_header *header, char level[16]);

/* Reads an answer in a step: NBJ_OK: *|out| is to be freed with nbj__json_free. Otherwise |error| is filled, also for what
 * came instead of an answer. */
nbj_status nbj__op_answer(nbj_status status, const nbj_msg *answer, nbj__js_about about, nbj__json **out,
                          nbj_error *error);

#endif
