/* SPDX-License-Identifier: Apache-2.0 */
#include "js/stream_op.h"

#include "base/heap.h"
#include "base/text.h"

/* --- ensure --- */

typedef struct ensure_op {
    nbj__op op;
    char *name;
    nbj__buf config; /* as the server wants it */
} ensure_op;

static void ensure_free(nbj__op *op)
{
    ensure_op *e = (ensure_op *)(void *)op;

    nbj__free_text(op->alloc, e->name);
    nbj__buf_free(&e->config);
    nbj__free(op->alloc, e, sizeof *e);
}

static nbj_status ensure_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    ensure_op *e = (ensure_op *)(void *)op;
    nbj__json *reply = NULL;

    if (answer == NULL && status == NBJ_OK) {
        nbj__op_ask(op, "STREAM.CREATE", e->name, NULL);
        nbj_status st = nbj__buf_append(&op->body, nbj__buf_view(&e->config).ptr, nbj__buf_len(&e->config));
        return st == NBJ_OK ? NBJ_MORE : nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    }
    status = nbj__op_answer(status, answer, (nbj__js_about){ e->name, NULL }, &reply, error);
    nbj__json_free(reply);
    return status;
}

nbj__op *nbj__stream_ensure_new(const nbj_allocator *alloc, const nbj__stream_config *config)
{
    ensure_op *e = nbj__alloc0(alloc, sizeof *e);

    if (e == NULL)
        return NULL;
    nbj__op_init(&e->op, alloc, ensure_step, ensure_free);
    nbj__buf_init(&e->config, alloc, NBJ__API_BODY_MAX);
    e->name = nbj__copy_text(alloc, config->name);
    if (e->name != NULL && nbj__api_stream_create(&e->config, config) == NBJ_OK)
        return &e->op;
    nbj__op_free(&e->op);
    return NULL;
}
