/* SPDX-License-Identifier: Apache-2.0 */
/* Creating, changing and ensuring streams.
 *
 *   create   [INFO →] CREATE → compare [→ DELETE]      INFO only where an older server might leave out a field: what did
 *   ensure   INFO → compare, or CREATE as above        not exist before is deleted again
 *   update   INFO → UPDATE with what it has, changed → compare */
#include "base/heap.h"
#include "js/stream_config.h"
#include "js/stream_info.h"
#include "js/stream_op_int.h"

#define ROUNDS_MAX 3u /* of ensure, while others create and delete it */
#define SAID_MAX 400u

typedef enum phase { BEGIN, ASKED_INFO, ASKED_CREATE, ASKED_UPDATE, ASKED_DELETE } phase;

typedef struct put_op {
    nbj__stream_op base;
    nbj__stream_put how;
    nbj__json *want;
    phase phase;
    unsigned rounds;
    uint32_t level;
    bool was_missing;
    nbj_error why; /* it is deleted again */
} put_op;

static put_op *put_of(nbj__op *op)
{
    return (put_op *)(void *)op;
}

static void put_free(nbj__op *op)
{
    put_op *p = put_of(op);

    nbj__json_free(p->want);
    nbj__stream_op_clear(&p->base);
    nbj__free(op->alloc, p, sizeof *p);
}

/* --- asking --- */

static nbj_status ask_info(put_op *p)
{
    nbj__op_ask(&p->base.op, "STREAM.INFO", p->base.name, NULL);
    p->phase = ASKED_INFO;
    return NBJ_MORE;
}

/* |doc| is sent with what is wanted laid over it, and freed. */
static nbj_status ask_with(put_op *p, const char *verb, nbj__json *doc, phase next, nbj_error *error)
{
    nbj_status st = doc != NULL ? nbj__json_merge(doc, p->want) : NBJ_E_NOMEM;
    nbj_bytes text = st == NBJ_OK ? nbj__json_written(doc) : nbj_view(NULL, 0);

    nbj__op_ask(&p->base.op, verb, p->base.name, NULL);
    p->base.op.required_level = p->level;
    p->phase = next;
    if (st == NBJ_OK)
        st = text.len > 0 ? nbj__buf_append(&p->base.op.body, text.ptr, text.len) : NBJ_E_NOMEM;
    nbj__json_free(doc);
    return st == NBJ_OK ? NBJ_MORE : nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
}

static nbj_status ask_create(put_op *p, nbj_error *error)
{
    return ask_with(p, "STREAM.CREATE", nbj__json_new(), ASKED_CREATE, error);
}

static nbj_status begin(put_op *p, nbj_error *error)
{
    nbj_status st = nbj__fields_check(&nbj__stream_fields, p->want, &p->base.op.where, &p->level, error);

    if (st != NBJ_OK)
        return st;
    if (p->how == NBJ__STREAM_CREATE && !nbj__fields_may_be_dropped(&nbj__stream_fields, p->want))
        return ask_create(p, error);
    return ask_info(p);
}

/* --- what was answered --- */

/* Whether the stream is as wanted. Otherwise |st|, and |error| says in which fields. */
static nbj_status compare(const put_op *p, const nbj__json *reply, nbj_status st, const char *is, nbj_error *error)
{
    char said[SAID_MAX];
    nbj__text t = nbj__text_into(said, sizeof said);

    if (nbj__fields_differ(&nbj__stream_fields, p->want, nbj__json_object(reply, "config"), &t) == 0)
        return NBJ_OK;
    return nbj__error_set(error, st, "stream ", p->base.name, is, said, (char *)NULL);
}

static nbj_status on_existing(put_op *p, const nbj__json *reply, nbj_error *error)
{
    switch (p->how) {
    case NBJ__STREAM_CREATE:
        return ask_create(p, error);
    case NBJ__STREAM_UPDATE:
        return ask_with(p, "STREAM.UPDATE", nbj__json_copy(nbj__json_object(reply, "config")), ASKED_UPDATE, error);
    case NBJ__STREAM_ENSURE:
        break;
    }
    return compare(p, reply, NBJ_E_EXISTS_DIFFERENT, " exists with another configuration: ", error);
}

static bool is_empty(const nbj__json *reply)
{
    return nbj__json_u64(nbj__json_object(reply, "state"), "messages") == 0;
}

/* After CREATE and UPDATE: what the server made of it. */
static nbj_status on_made(put_op *p, const nbj__json *reply, nbj_error *error)
{
    nbj_status st = compare(p, reply, NBJ_E_UNSUPPORTED, ": its server is too old for this, or changed it: ", error);

    if (st == NBJ_OK || p->phase != ASKED_CREATE || !p->was_missing || !is_empty(reply))
        return st;
    if (error != NULL)
        p->why = *error;
    nbj__op_ask(&p->base.op, "STREAM.DELETE", p->base.name, NULL);
    p->phase = ASKED_DELETE;
    return NBJ_MORE;
}

static nbj_status on_refused(put_op *p, nbj_status status, nbj_error *error)
{
    bool may_create = p->how != NBJ__STREAM_UPDATE;

    if (p->phase == ASKED_INFO && status == NBJ_E_STREAM_NOT_FOUND && may_create) {
        p->was_missing = true;
        return ask_create(p, error);
    }
    /* Somebody else was faster. */
    if (p->phase == ASKED_CREATE && status == NBJ_E_EXISTS_DIFFERENT && p->how == NBJ__STREAM_ENSURE &&
        ++p->rounds < ROUNDS_MAX) {
        p->was_missing = false;
        return ask_info(p);
    }
    return status;
}

static nbj_status put_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    put_op *p = put_of(op);
    nbj__json *reply = NULL;

    if (p->phase == BEGIN)
        return begin(p, error);
    status = nbj__op_answer(status, answer, (nbj__js_about){ p->base.name, NULL }, &reply, error);
    if (p->phase == ASKED_DELETE) {
        nbj__json_free(reply);
        if (error != NULL)
            *error = p->why;
        return NBJ_E_UNSUPPORTED;
    }
    if (status != NBJ_OK)
        return on_refused(p, status, error);
    if (nbj__json_object(reply, "config") == NULL)
        status = nbj__stream_op_fail(NBJ_E_BAD_REPLY, error);
    else
        status = p->phase == ASKED_INFO ? on_existing(p, reply, error) : on_made(p, reply, error);
    if (status == NBJ_OK)
        return nbj__stream_op_keep_info(&p->base, reply, error);
    nbj__json_free(reply);
    return status;
}

nbj_status nbj__stream_put_new(const nbj_allocator *alloc, nbj__stream_put how, const nbj_stream_config *config,
                               nbj__op **out, nbj_error *error)
{
    nbj__json *want = NULL;

    *out = NULL;
    nbj_status st = nbj__stream_config_want(alloc, config, &want, error);
    if (st != NBJ_OK)
        return st;
    put_op *p = nbj__alloc0(alloc, sizeof *p);
    if (p != NULL) {
        p->how = how;
        p->want = want;
        st = nbj__stream_op_init(&p->base, alloc, put_step, put_free, config->name, error);
    } else {
        nbj__json_free(want);
        st = nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    }
    if (st == NBJ_OK)
        *out = &p->base.op;
    return st;
}
