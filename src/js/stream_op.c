/* SPDX-License-Identifier: Apache-2.0 */
#include "js/stream_op_int.h"

#include "base/heap.h"
#include "base/options.h"
#include "base/text.h"
#include "js/gate.h"
#include "wire/subject.h"

/* --- what they share --- */

nbj_status nbj__stream_op_fail(nbj_status st, nbj_error *error)
{
    return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
}

nbj_status nbj__stream_op_init(nbj__stream_op *s, const nbj_allocator *alloc, nbj__op_step *step,
                               void (*free)(nbj__op *op), const char *name, nbj_error *error)
{
    nbj_status st = NBJ_OK;

    nbj__op_init(&s->op, alloc, step, free);
    if (!nbj__name_is_legal(nbj_str(name))) {
        st = nbj__error_set(error, NBJ_E_INVALID, "not a legal name of a stream: \"", name != NULL ? name : "", "\"",
                            (char *)NULL);
    } else {
        s->name = nbj__copy_text(alloc, nbj_str(name));
        if (s->name == NULL)
            st = nbj__stream_op_fail(NBJ_E_NOMEM, error);
    }
    if (st != NBJ_OK)
        nbj__op_free(&s->op);
    return st;
}

void nbj__stream_op_clear(nbj__stream_op *s)
{
    nbj__free_text(s->op.alloc, s->name);
    nbj_stream_info_release(s->info);
}

nbj_status nbj__stream_op_keep_info(nbj__stream_op *s, nbj__json *reply, nbj_error *error)
{
    nbj_status st = nbj__stream_info_new(s->op.alloc, reply, &s->info);

    return st == NBJ_OK ? NBJ_OK : nbj__stream_op_fail(st, error);
}

nbj_stream_info *nbj__stream_op_take_info(nbj__op *op)
{
    nbj__stream_op *s = (nbj__stream_op *)(void *)op;
    nbj_stream_info *info = s->info;

    s->info = NULL;
    return info;
}

/* --- one request that succeeds or fails --- */

typedef struct command_op {
    nbj__stream_op base;
    const char *verb;
    nbj__feature needs;
    nbj__buf body;
    bool is_asked;
    uint64_t purged;
} command_op;

static void command_free(nbj__op *op)
{
    command_op *c = (command_op *)(void *)op;

    nbj__buf_free(&c->body);
    nbj__stream_op_clear(&c->base);
    nbj__free(op->alloc, c, sizeof *c);
}

static nbj_status ask_command(command_op *c, nbj_error *error)
{
    nbj_bytes body = nbj__buf_view(&c->body);

    c->is_asked = true;
    nbj_status st = nbj__gate_check(&c->base.op.where, c->needs, error);
    if (st != NBJ_OK)
        return st;
    nbj__op_ask(&c->base.op, c->verb, c->base.name, NULL);
    c->base.op.required_level = nbj__gate_level(c->needs);
    if (body.len > 0)
        st = nbj__buf_append(&c->base.op.body, body.ptr, body.len);
    return st == NBJ_OK ? NBJ_MORE : nbj__stream_op_fail(st, error);
}

static nbj_status command_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    command_op *c = (command_op *)(void *)op;
    nbj__json *reply = NULL;

    if (!c->is_asked)
        return ask_command(c, error);
    status = nbj__op_answer(status, answer, (nbj__js_about){ c->base.name, NULL }, &reply, error);
    if (status != NBJ_OK)
        return status;
    c->purged = nbj__json_u64(reply, "purged");
    if (!nbj__json_bool(reply, "success"))
        status = nbj__stream_op_fail(NBJ_E_BAD_REPLY, error);
    nbj__json_free(reply);
    return status;
}

/* NULL: *|st| and |error| say why. */
static command_op *command_new(const nbj_allocator *alloc, const char *verb, const char *name, nbj_status *st,
                               nbj_error *error)
{
    command_op *c = nbj__alloc0(alloc, sizeof *c);

    if (c == NULL) {
        *st = nbj__stream_op_fail(NBJ_E_NOMEM, error);
        return NULL;
    }
    c->verb = verb;
    nbj__buf_init(&c->body, alloc, NBJ__API_BODY_MAX);
    *st = nbj__stream_op_init(&c->base, alloc, command_step, command_free, name, error);
    return *st == NBJ_OK ? c : NULL;
}

/* |st| is what writing its body came to. */
static nbj_status command_made(command_op *c, nbj_status st, nbj__op **out, nbj_error *error)
{
    *out = NULL;
    if (st == NBJ_OK) {
        *out = &c->base.op;
        return NBJ_OK;
    }
    nbj__op_free(&c->base.op);
    return nbj__stream_op_fail(st, error);
}

nbj_status nbj__stream_delete_new(const nbj_allocator *alloc, const char *name, nbj__op **out, nbj_error *error)
{
    nbj_status st;

    *out = NULL;
    command_op *c = command_new(alloc, "STREAM.DELETE", name, &st, error);
    return c != NULL ? command_made(c, st, out, error) : st;
}

nbj_status nbj__stream_purge_new(const nbj_allocator *alloc, const char *name, const nbj_purge_options *what,
                                 nbj__op **out, nbj_error *error)
{
    nbj_purge_options o;
    nbj_status st;

    *out = NULL;
    if (nbj__options_read(&o, sizeof o, what) != NBJ_OK)
        return nbj__stream_op_fail(NBJ_E_INVALID, error);
    if (o.below_sequence > 0 && o.keep > 0)
        return nbj__error_set(error, NBJ_E_INVALID, "a purge goes up to a sequence or keeps a number, not both",
                              (char *)NULL);
    if (o.filter != NULL && !nbj__subject_is_filter(nbj_str(o.filter)))
        return nbj__stream_op_fail(NBJ_E_BAD_SUBJECT, error);
    command_op *c = command_new(alloc, "STREAM.PURGE", name, &st, error);
    if (c == NULL)
        return st;
    nbj__json_writer w = nbj__json_begin(&c->body);
    if (o.filter != NULL)
        nbj__json_put_text(&w, "filter", nbj_str(o.filter));
    if (o.below_sequence > 0)
        nbj__json_put_u64(&w, "seq", o.below_sequence);
    if (o.keep > 0)
        nbj__json_put_u64(&w, "keep", o.keep);
    if (o.filter != NULL || o.below_sequence > 0 || o.keep > 0)
        c->needs = NBJ__FEATURE_PURGE_SOME;
    return command_made(c, nbj__json_end(&w), out, error);
}

uint64_t nbj__stream_purged(const nbj__op *op)
{
    return ((const command_op *)(const void *)op)->purged;
}

nbj_status nbj__stream_step_down_new(const nbj_allocator *alloc, const char *name, const nbj_step_down_options *who,
                                     nbj__op **out, nbj_error *error)
{
    nbj_step_down_options o;
    nbj_status st;

    *out = NULL;
    if (nbj__options_read(&o, sizeof o, who) != NBJ_OK)
        return nbj__stream_op_fail(NBJ_E_INVALID, error);
    command_op *c = command_new(alloc, "STREAM.LEADER.STEPDOWN", name, &st, error);
    if (c == NULL)
        return st;
    if (o.preferred == NULL && o.cluster == NULL && o.tags.count == 0)
        return command_made(c, NBJ_OK, out, error);
    c->needs = NBJ__FEATURE_STEP_DOWN_PLACEMENT;
    nbj__json_writer w = nbj__json_begin(&c->body);
    nbj__json_put_object(&w, "placement");
    if (o.preferred != NULL)
        nbj__json_put_text(&w, "preferred", nbj_str(o.preferred));
    if (o.cluster != NULL)
        nbj__json_put_text(&w, "cluster", nbj_str(o.cluster));
    nbj__json_put_array(&w, "tags");
    for (size_t i = 0; i < o.tags.count; i++)
        nbj__json_item_put_text(&w, nbj_str(o.tags.items[i]));
    nbj__json_close(&w, ']');
    nbj__json_close(&w, '}');
    return command_made(c, nbj__json_end(&w), out, error);
}

nbj_status nbj__stream_peer_remove_new(const nbj_allocator *alloc, const char *name, const char *peer, nbj__op **out,
                                       nbj_error *error)
{
    nbj_status st;

    *out = NULL;
    if (peer == NULL || *peer == '\0')
        return nbj__error_set(error, NBJ_E_INVALID, "which peer is to be removed?", (char *)NULL);
    command_op *c = command_new(alloc, "STREAM.PEER.REMOVE", name, &st, error);
    if (c == NULL)
        return st;
    nbj__json_writer w = nbj__json_begin(&c->body);
    nbj__json_put_text(&w, "peer", nbj_str(peer));
    return command_made(c, nbj__json_end(&w), out, error);
}
