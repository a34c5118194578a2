/* SPDX-License-Identifier: Apache-2.0 */
#include "js/stored_op.h"

#include "base/text.h"
#include "js/gate.h"
#include "wire/subject.h"

#define DIRECT_WAIT_NS \
    NBJ_MILLIS(500)                 /* then the leader is asked: before 2.10 nobody says that there is no direct get */
#define SUBJECT_IN_SUBJECT_MAX 400u /* a longer one goes into the body */

static nbj_status failed(nbj_status st, nbj_error *error)
{
    return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
}

/* Ends a request's body, which began with nbj__op_body. */
static nbj_status send_body(nbj__json_writer *w, nbj_error *error)
{
    nbj_status st = nbj__json_end(w);

    return st == NBJ_OK ? NBJ_MORE : failed(st, error);
}

static nbj_status bad_reply(const char *stream, const char *why, nbj_error *error)
{
    return nbj__error_set(error, NBJ_E_BAD_REPLY, "stream ", stream, ": ", why, (char *)NULL);
}

/* --- one --- */

typedef struct get_op {
    nbj__op op;
    char *stream, *last_of, *next_of;
    uint64_t sequence;
    enum { GET_NOT_ASKED, GET_DIRECT, GET_OF_LEADER } asked;
    bool direct;
    nbj_stored_msg *found;
} get_op;

static void get_free(nbj__op *op)
{
    get_op *g = (get_op *)(void *)op;

    nbj__free_text(op->alloc, g->stream);
    nbj__free_text(op->alloc, g->last_of);
    nbj__free_text(op->alloc, g->next_of);
    nbj_stored_msg_release(g->found);
    nbj__free(op->alloc, g, sizeof *g);
}

/* Both kinds of request have the same body. */
static nbj_status ask_with_body(get_op *g, const char *verb, nbj_error *error)
{
    nbj__op_ask(&g->op, verb, g->stream, NULL);
    nbj__json_writer w = nbj__op_body(&g->op);
    if (g->last_of != NULL)
        nbj__json_put_text(&w, "last_by_subj", nbj_str(g->last_of));
    else
        nbj__json_put_u64(&w, "seq", g->sequence);
    if (g->next_of != NULL)
        nbj__json_put_text(&w, "next_by_subj", nbj_str(g->next_of));
    return send_body(&w, error);
}

static nbj_status ask_leader(get_op *g, nbj_error *error)
{
    g->asked = GET_OF_LEADER;
    return ask_with_body(g, "STREAM.MSG.GET", error);
}

static nbj_status ask_directly(get_op *g, nbj_error *error)
{
    nbj_status st = NBJ_MORE;
    nbj_bytes last_of = nbj_str(g->last_of);

    g->asked = GET_DIRECT;
    if (last_of.len > 0 && last_of.len <= SUBJECT_IN_SUBJECT_MAX && nbj__subject_is_literal(last_of))
        nbj__op_ask(&g->op, "DIRECT.GET", g->stream, g->last_of); /* the form that permissions can be given for */
    else
        st = ask_with_body(g, "DIRECT.GET", error);
    g->op.wait_ns = DIRECT_WAIT_NS;
    return st;
}

static nbj_status get_first(get_op *g, nbj_error *error)
{
    const nbj__js_where *where = &g->op.where;
    nbj_status st = g->next_of != NULL ? nbj__gate_check(where, NBJ__FEATURE_GET_NEXT, error) : NBJ_OK;

    if (st != NBJ_OK)
        return st;
    return g->direct && nbj__gate_check(where, NBJ__FEATURE_DIRECT_GET, NULL) == NBJ_OK ? ask_directly(g, error)
                                                                                        : ask_leader(g, error);
}

/* Whether the message is the one that was asked for. */
static nbj_status found(get_op *g, nbj_error *error)
{
    uint64_t s = g->found->sequence;

    if (g->last_of != NULL || (g->next_of != NULL ? s >= g->sequence : s == g->sequence))
        return NBJ_OK;
    return bad_reply(g->stream, "the answer is another message than the one that was asked for", error);
}

static nbj_status on_direct(get_op *g, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    nbj__direct d;

    if (status == NBJ_E_NO_RESPONDERS || status == NBJ_E_TIMEOUT)
        return ask_leader(g, error);
    if (status != NBJ_OK)
        return failed(status, error);
    if (!nbj__stored_from_direct(g->op.alloc, answer, &d))
        return nbj__direct_failed(g->stream, answer, error);
    g->found = nbj_stored_msg_retain(&d.msg);
    return g->found != NULL ? found(g, error) : failed(NBJ_E_NOMEM, error);
}

static nbj_status on_leader(get_op *g, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    nbj__json *reply = NULL;

    status = nbj__op_answer(status, answer, (nbj__js_about){ g->stream, NULL }, &reply, error);
    if (status != NBJ_OK)
        return status;
    status = nbj__stored_from_json(g->op.alloc, reply, nbj_str(g->stream), &g->found);
    nbj__json_free(reply);
    if (status == NBJ_E_BAD_REPLY)
        return bad_reply(g->stream, "the answer has no message that could be read", error);
    return status == NBJ_OK ? found(g, error) : failed(status, error);
}

static nbj_status get_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    get_op *g = (get_op *)(void *)op;

    switch (g->asked) {
    case GET_NOT_ASKED:
        break;
    case GET_DIRECT:
        return on_direct(g, status, answer, error);
    case GET_OF_LEADER:
        return on_leader(g, status, answer, error);
    }
    return get_first(g, error);
}

/* NULL stays NULL. False: no memory. */
static bool copy_to(const nbj_allocator *alloc, const char *from, char **to)
{
    *to = from != NULL ? nbj__copy_text(alloc, nbj_str(from)) : NULL;
    return from == NULL || *to != NULL;
}

nbj__op *nbj__stored_get_new(const nbj_allocator *alloc, const char *stream, const nbj_get_options *get)
{
    get_op *g = nbj__alloc0(alloc, sizeof *g);

    if (g == NULL)
        return NULL;
    nbj__op_init(&g->op, alloc, get_step, get_free);
    g->sequence = get->sequence;
    g->direct = get->direct;
    if (copy_to(alloc, stream, &g->stream) && copy_to(alloc, get->last_of, &g->last_of) &&
        copy_to(alloc, get->next_of, &g->next_of))
        return &g->op;
    nbj__op_free(&g->op);
    return NULL;
}

nbj_stored_msg *nbj__stored_get_take(nbj__op *op)
{
    get_op *g = (get_op *)(void *)op;
    nbj_stored_msg *msg = g->found;

    g->found = NULL;
    return msg;
}

/* --- deleting --- */

typedef struct delete_op {
    nbj__op op;
    char *stream;
    uint64_t sequence;
    bool erase, asked;
} delete_op;

static void delete_free(nbj__op *op)
{
    delete_op *d = (delete_op *)(void *)op;

    nbj__free_text(op->alloc, d->stream);
    nbj__free(op->alloc, d, sizeof *d);
}

static bool says(const nbj_error *error, const char *words)
{
    return strstr(error->text, words) != NULL;
}

/* The server has one number for all that goes wrong with it, so that its words have to tell them apart. */
static nbj_status explain_delete(const char *stream, nbj_status status, nbj_error *error)
{
    nbj_error was = *error;
    bool is_failure = was.err_code == 10057;

    if (is_failure && (says(&was, "stream store EOF") || says(&was, "no message found")))
        status = nbj__error_set(error, NBJ_E_NOT_FOUND, "stream ", stream, ": no message found", (char *)NULL);
    else if (is_failure && says(&was, "delete not permitted"))
        nbj__error_set(error, status, was.text,
                       "; the stream has deny_delete, for good: messages leave it by its limits or by a purge",
                       (char *)NULL);
    else if (was.err_code == 10109)
        nbj__error_set(error, status, was.text, "; that is for good: it can only be deleted as a whole", (char *)NULL);
    error->code = was.code;
    error->err_code = was.err_code;
    return status;
}

static nbj_status delete_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    delete_op *d = (delete_op *)(void *)op;
    nbj__json *reply = NULL;

    if (!d->asked) {
        d->asked = true;
        nbj__op_ask(op, "STREAM.MSG.DELETE", d->stream, NULL);
        nbj__json_writer w = nbj__op_body(op);
        nbj__json_put_u64(&w, "seq", d->sequence);
        if (!d->erase)
            nbj__json_put_bool(&w, "no_erase", true);
        return send_body(&w, error);
    }
    status = nbj__op_answer(status, answer, (nbj__js_about){ d->stream, NULL }, &reply, error);
    if (status != NBJ_OK)
        return explain_delete(d->stream, status, error);
    bool is_done = nbj__json_bool(reply, "success");
    nbj__json_free(reply);
    return is_done ? NBJ_OK : bad_reply(d->stream, "the server does not say that the message was deleted", error);
}

nbj__op *nbj__stored_delete_new(const nbj_allocator *alloc, const char *stream, uint64_t sequence, bool erase)
{
    delete_op *d = nbj__alloc0(alloc, sizeof *d);

    if (d == NULL)
        return NULL;
    nbj__op_init(&d->op, alloc, delete_step, delete_free);
    d->sequence = sequence;
    d->erase = erase;
    if (copy_to(alloc, stream, &d->stream))
        return &d->op;
    nbj__op_free(&d->op);
    return NULL;
}
