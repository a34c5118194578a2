/* SPDX-License-Identifier: Apache-2.0 */
/* Asking about a stream, its subjects page by page. */
#include "base/heap.h"
#include "base/options.h"
#include "js/stream_op_int.h"
#include "wire/subject.h"

typedef struct info_op {
    nbj__stream_op base;
    char *filter; /* of the subjects to count; NULL: none */
    bool deleted;
    bool is_asked;
    uint64_t offset, octets;
    nbj__json *found; /* the first page, and the subjects of all */
} info_op;

static void info_free(nbj__op *op)
{
    info_op *i = (info_op *)(void *)op;

    nbj__free_text(op->alloc, i->filter);
    nbj__json_free(i->found);
    nbj__stream_op_clear(&i->base);
    nbj__free(op->alloc, i, sizeof *i);
}

static nbj_status ask_page(info_op *i, nbj_error *error)
{
    nbj__op *op = &i->base.op;

    nbj__op_ask(op, "STREAM.INFO", i->base.name, NULL);
    if (i->filter == NULL && !i->deleted)
        return NBJ_MORE;
    nbj__json_writer w = nbj__op_body(op);
    if (i->filter != NULL)
        nbj__json_put_text(&w, "subjects_filter", nbj_str(i->filter));
    if (i->deleted && i->offset == 0)
        nbj__json_put_bool(&w, "deleted_details", true);
    if (i->offset > 0)
        nbj__json_put_u64(&w, "offset", i->offset);
    nbj_status st = nbj__json_end(&w);
    return st == NBJ_OK ? NBJ_MORE : nbj__stream_op_fail(st, error);
}

static nbj__json *subjects_of(const nbj__json *reply)
{
    return nbj__json_object(nbj__json_object(reply, "state"), "subjects");
}

/* Takes |reply| into what was found. NBJ_MORE: there are more subjects. */
static nbj_status add_page(info_op *i, nbj__json *reply, size_t octets)
{
    uint64_t total = nbj__json_u64(reply, "total");
    size_t here = nbj__json_size(subjects_of(reply));
    nbj_status st = NBJ_OK;

    i->octets += octets;
    i->offset += here;
    if (i->found == NULL) {
        i->found = reply;
    } else {
        if (subjects_of(i->found) != NULL && here > 0)
            st = nbj__json_merge(subjects_of(i->found), subjects_of(reply));
        nbj__json_free(reply);
    }
    if (st == NBJ_OK && i->octets > NBJ__ANSWERS_MAX)
        st = NBJ_E_FULL;
    return st == NBJ_OK && here > 0 && i->offset < total ? NBJ_MORE : st;
}

static nbj_status info_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    info_op *i = (info_op *)(void *)op;
    nbj__json *reply = NULL;

    if (!i->is_asked) {
        i->is_asked = true;
        return ask_page(i, error);
    }
    status = nbj__op_answer(status, answer, (nbj__js_about){ i->base.name, NULL }, &reply, error);
    if (status != NBJ_OK)
        return status;
    status = add_page(i, reply, answer->payload.len);
    if (status == NBJ_MORE)
        return ask_page(i, error);
    if (status != NBJ_OK)
        return nbj__stream_op_fail(status, error);
    reply = i->found;
    i->found = NULL;
    return nbj__stream_op_keep_info(&i->base, reply, error);
}

nbj_status nbj__stream_info_of_new(const nbj_allocator *alloc, const char *name, const nbj_stream_info_options *what,
                                   nbj__op **out, nbj_error *error)
{
    nbj_stream_info_options o;

    *out = NULL;
    if (nbj__options_read(&o, sizeof o, what) != NBJ_OK)
        return nbj__stream_op_fail(NBJ_E_INVALID, error);
    if (o.subjects_filter != NULL && !nbj__subject_is_filter(nbj_str(o.subjects_filter)))
        return nbj__stream_op_fail(NBJ_E_BAD_SUBJECT, error);
    info_op *i = nbj__alloc0(alloc, sizeof *i);
    if (i == NULL)
        return nbj__stream_op_fail(NBJ_E_NOMEM, error);
    i->deleted = o.deleted_details;
    nbj_status st = nbj__stream_op_init(&i->base, alloc, info_step, info_free, name, error);
    if (st != NBJ_OK)
        return st;
    *out = &i->base.op;
    if (o.subjects_filter == NULL)
        return NBJ_OK;
    i->filter = nbj__copy_text(alloc, nbj_str(o.subjects_filter));
    if (i->filter != NULL)
        return NBJ_OK;
    nbj__op_free(*out);
    *out = NULL;
    return nbj__stream_op_fail(NBJ_E_NOMEM, error);
}
