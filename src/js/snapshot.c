/* SPDX-License-Identifier: Apache-2.0 */
#include "js/snapshot.h"

#include "base/heap.h"
#include "base/rfc3339.h"
#include "base/text.h"
#include "js/gate.h"
#include "wire/headers.h"
#include "wire/subject.h"

#define ACK_PREFIX "$JS.SNAPSHOT.ACK."
#define SNAPSHOT_FAILED 10064 /* err_code */

/* --- asking for a snapshot --- */

static void snapshot_free(nbj__op *op)
{
    nbj__snapshot_op *s = (nbj__snapshot_op *)(void *)op;

    nbj__free_text(op->alloc, s->stream);
    nbj__free_text(op->alloc, s->inbox);
    nbj__buf_free(&s->description);
    nbj__free(op->alloc, s, sizeof *s);
}

static nbj_status write_snapshot_request(nbj__snapshot_op *s)
{
    const nbj__snapshot_want *want = &s->want;

    nbj__op_ask(&s->op, "STREAM.SNAPSHOT", s->stream, NULL);
    nbj__json_writer w = nbj__op_body(&s->op);
    nbj__json_put_text(&w, "deliver_subject", nbj_str(s->inbox));
    if (want->no_consumers)
        nbj__json_put_bool(&w, "no_consumers", true);
    if (want->chunk_size > 0)
        nbj__json_put_u64(&w, "chunk_size", want->chunk_size);
    if (want->window_size > 0)
        nbj__json_put_u64(&w, "window_size", want->window_size);
    if (want->check_messages)
        nbj__json_put_bool(&w, "jsck", true);
    if (want->window_size > 0)
        s->op.required_level = nbj__gate_level(NBJ__FEATURE_SNAPSHOT_WINDOW);
    return nbj__json_end(&w);
}

static bool is_before(const nbj__op *op, uint32_t major, uint32_t minor)
{
    return op->where.version.major > 0 && !nbj__version_is_at_least(op->where.version, major, minor, 0);
}

static nbj_status snapshot_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    nbj__snapshot_op *s = (nbj__snapshot_op *)(void *)op;
    nbj__json *reply = NULL;
    nbj_status st = NBJ_OK;

    if (answer == NULL && status == NBJ_OK) {
        if (s->want.window_size > 0)
            st = nbj__gate_check(&op->where, NBJ__FEATURE_SNAPSHOT_WINDOW, error);
        if (st != NBJ_OK)
            return st;
        st = write_snapshot_request(s);
        return st == NBJ_OK ? NBJ_MORE : nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    }
    status = nbj__op_answer(status, answer, (nbj__js_about){ s->stream, NULL }, &reply, error);
    if (status == NBJ_OK) {
        nbj__stream_state_read(reply, &s->state);
        st = nbj__backup_describe(reply, &s->description);
        if (st != NBJ_OK)
            status = nbj__error_set(error, st, "stream ", s->stream, ": ", nbj_strerror(st), (char *)NULL);
    } else if (error->err_code == SNAPSHOT_FAILED && is_before(op, 2, 15)) {
        nbj__error_add(error,
                       "; before nats-server 2.15 there is one at a time of a stream, and none of one in memory");
    }
    nbj__json_free(reply);
    return status;
}

nbj__snapshot_op *nbj__snapshot_new(const nbj_allocator *alloc, const nbj__snapshot_want *want)
{
    nbj__snapshot_op *s = nbj__alloc0(alloc, sizeof *s);

    if (s == NULL)
        return NULL;
    nbj__op_init(&s->op, alloc, snapshot_step, snapshot_free);
    nbj__buf_init(&s->description, alloc, NBJ__BACKUP_MAX);
    s->want = *want;
    s->stream = nbj__copy_text(alloc, nbj_str(want->stream));
    s->inbox = nbj__copy_text(alloc, nbj_str(want->inbox));
    if (s->stream != NULL && s->inbox != NULL)
        return s;
    nbj__op_free(&s->op);
    return NULL;
}

/* --- its chunks --- */

/* Length and number at the end of "$JS.SNAPSHOT.ACK.<stream>.<id>.<length>.<number>". False: it is another subject, as where
 * it was changed on its way from another account, and says nothing. */
static bool read_ack_subject(nbj_bytes subject, uint64_t *length, uint64_t *number)
{
    nbj_bytes token[8];
    size_t count = 0, from = 0;

    if (subject.len < strlen(ACK_PREFIX) || memcmp(subject.ptr, ACK_PREFIX, strlen(ACK_PREFIX)) != 0)
        return false;
    for (size_t i = 0; i <= subject.len && count < 8; i++) {
        if (i < subject.len && subject.ptr[i] != '.')
            continue;
        token[count++] = nbj_view(subject.ptr + from, i - from);
        from = i + 1;
    }
    return count == 7 && nbj__parse_u64(token[5], UINT64_MAX, length) && nbj__parse_u64(token[6], UINT64_MAX, number);
}

static nbj_status take_chunk(nbj__snapshot_in *in, const nbj_msg *msg, nbj_error *error)
{
    uint64_t length = 0, number = 0;
    bool is_numbered = read_ack_subject(msg->reply, &length, &number);

    in->chunks++;
    in->bytes += msg->payload.len;
    if (!is_numbered || (length == msg->payload.len && number == in->chunks))
        return NBJ_MORE;
    return nbj__error_set(error, NBJ_E_BAD_REPLY, "a part of the snapshot was lost on its way", (char *)NULL);
}

nbj_status nbj__snapshot_take(nbj__snapshot_in *in, const nbj_msg *msg, const char *stream, nbj_error *error)
{
    nbj__header_reader r = { 0 };
    char said[128], number[8];
    nbj__text t = nbj__text_into(said, sizeof said);
    nbj__text n = nbj__text_into(number, sizeof number);

    if (msg->payload.len > 0)
        return take_chunk(in, msg, error);
    if (msg->headers.len > 0 && nbj__headers_open(&r, msg->headers) != NBJ_OK)
        return nbj__error_set(error, NBJ_E_BAD_REPLY, "the snapshot's end could not be read", (char *)NULL);
    if (r.status == 0 || r.status == 204)
        return NBJ_OK;
    nbj__text_add_u64(&n, r.status);
    nbj__text_add_clean(&t, r.description);
    nbj__error_set(error, NBJ_E_JS, "stream ", stream, ": the server gave the snapshot up: ", number, " ", said,
                   (char *)NULL);
    error->code = r.status;
    return NBJ_E_JS;
}

/* --- asking for a restore --- */

static void restore_free(nbj__op *op)
{
    nbj__restore_op *r = (nbj__restore_op *)(void *)op;

    nbj__free_text(op->alloc, r->stream);
    nbj__buf_free(&r->request);
    nbj__free(op->alloc, r, sizeof *r);
}

static nbj_status ask_for_restore(nbj__restore_op *r, nbj_error *error)
{
    nbj_bytes request = nbj__buf_view(&r->request);
    nbj_status st = r->is_new_format ? nbj__gate_check(&r->op.where, NBJ__FEATURE_SNAPSHOT_2, error) : NBJ_OK;

    if (st != NBJ_OK)
        return st;
    nbj__op_ask(&r->op, "STREAM.RESTORE", r->stream, NULL);
    if (r->is_new_format)
        r->op.required_level = nbj__gate_level(NBJ__FEATURE_SNAPSHOT_2);
    st = nbj__buf_append(&r->op.body, request.ptr, request.len);
    return st == NBJ_OK ? NBJ_MORE : nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
}

static nbj_status restore_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    nbj__restore_op *r = (nbj__restore_op *)(void *)op;
    nbj__text t = nbj__text_into(r->subject, sizeof r->subject);
    nbj__json *reply = NULL;

    if (answer == NULL && status == NBJ_OK)
        return ask_for_restore(r, error);
    status = nbj__op_answer(status, answer, (nbj__js_about){ r->stream, NULL }, &reply, error);
    if (status == NBJ_OK) {
        nbj__text_add_bytes(&t, nbj__json_text(reply, "deliver_subject"));
        if (t.cut || !nbj__subject_is_literal(nbj__text_view(&t)))
            status = nbj__error_set(error, NBJ_E_BAD_REPLY, "stream ", r->stream,
                                    ": the server does not say where to send it", (char *)NULL);
    } else if (error->err_code == NBJ__NAME_TAKEN) {
        nbj__error_add(error, "; delete that one first, if it is to be replaced");
    }
    nbj__json_free(reply);
    return status;
}

nbj__restore_op *nbj__restore_new(const nbj_allocator *alloc, const char *stream, nbj__buf *request, bool is_new_format)
{
    nbj__restore_op *r = nbj__alloc0(alloc, sizeof *r);

    if (r == NULL) {
        nbj__buf_free(request);
        return NULL;
    }
    nbj__op_init(&r->op, alloc, restore_step, restore_free);
    r->request = *request;
    nbj__buf_init(request, alloc, request->limit);
    r->is_new_format = is_new_format;
    r->stream = nbj__copy_text(alloc, nbj_str(stream));
    if (r->stream != NULL)
        return r;
    nbj__op_free(&r->op);
    return NULL;
}

/* --- its chunks --- */

bool nbj__restore_may_send(const nbj__restore_out *r)
{
    uint64_t window = r->answered == 0 ? 1 : NBJ__RESTORE_WINDOW;

    return !r->is_ending && r->sent - r->answered < window;
}

/* The server speaks: at the end of the stream that it has made, before that only of what went wrong. */
static nbj_status take_words(const nbj__restore_out *r, const nbj_msg *msg, const char *stream,
                             nbj__stream_state *state, nbj_error *error)
{
    char said[256];
    nbj__text t = nbj__text_into(said, sizeof said);
    nbj__json *reply = NULL;

    if (msg->payload.ptr[0] != '{') {
        nbj__text_add_clean(&t, msg->payload);
        return nbj__error_set(error, NBJ_E_JS, "stream ", stream, ": the server refused a part of it: ", said,
                              (char *)NULL);
    }
    nbj_status st = nbj__js_reply_parse(msg, (nbj__js_about){ stream, NULL }, &reply, error);
    if (st != NBJ_OK)
        return st;
    if (r->is_ending && nbj__json_object(reply, "state") != NULL)
        nbj__stream_state_read(reply, state);
    else
        st = nbj__error_set(error, NBJ_E_BAD_REPLY, "stream ", stream,
                            ": the answer to a part of it was not understood", (char *)NULL);
    nbj__json_free(reply);
    return st;
}

nbj_status nbj__restore_take(nbj__restore_out *r, const nbj_msg *msg, const char *stream, nbj__stream_state *state,
                             nbj_error *error)
{
    if (nbj__msg_is_no_responders(msg)) {
        if (r->answered > 0 || r->is_ending)
            return nbj__error_set(error, NBJ_E_JS_UNAVAILABLE, "stream ", stream,
                                  ": the server has given the restore up, or is gone", (char *)NULL);
        r->is_unheard = true;
        r->sent = 0;
        return NBJ_MORE;
    }
    if (msg->payload.len > 0)
        return take_words(r, msg, stream, state, error);
    if (r->answered == r->sent)
        return nbj__error_set(error, NBJ_E_BAD_REPLY, "stream ", stream, ": more was answered than sent", (char *)NULL);
    r->answered++;
    return NBJ_MORE;
}

/* --- what has become of it --- */

static void look_free(nbj__op *op)
{
    nbj__look_op *l = (nbj__look_op *)(void *)op;

    nbj__free_text(op->alloc, l->stream);
    nbj__free(op->alloc, l, sizeof *l);
}

static uint64_t age_of(const nbj__json *info)
{
    int64_t created = 0, now = 0;
    bool is_said = nbj__rfc3339_parse(nbj__json_text(info, "created"), &created) &&
                   nbj__rfc3339_parse(nbj__json_text(info, "ts"), &now);

    return is_said && now > created && created > 0 ? (uint64_t)(now - created) : 0;
}

static nbj_status look_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    nbj__look_op *l = (nbj__look_op *)(void *)op;
    nbj__json *reply = NULL;

    if (answer == NULL && status == NBJ_OK) {
        nbj__op_ask(op, l->deletes ? "STREAM.DELETE" : "STREAM.INFO", l->stream, NULL);
        return NBJ_MORE;
    }
    status = nbj__op_answer(status, answer, (nbj__js_about){ l->stream, NULL }, &reply, error);
    if (status == NBJ_OK) {
        nbj__stream_state_read(reply, &l->state);
        l->age_ns = age_of(reply);
    }
    nbj__json_free(reply);
    return status;
}

nbj__look_op *nbj__look_new(const nbj_allocator *alloc, const char *stream, bool deletes)
{
    nbj__look_op *l = nbj__alloc0(alloc, sizeof *l);

    if (l == NULL)
        return NULL;
    nbj__op_init(&l->op, alloc, look_step, look_free);
    l->deletes = deletes;
    l->stream = nbj__copy_text(alloc, nbj_str(stream));
    if (l->stream != NULL)
        return l;
    nbj__op_free(&l->op);
    return NULL;
}

bool nbj__state_is_of(const nbj__stream_state *now, const nbj__stream_state *whole)
{
    return now->messages > 0 && now->first_sequence == whole->first_sequence && whole->first_time[0] != '\0' &&
           strcmp(now->first_time, whole->first_time) == 0;
}
