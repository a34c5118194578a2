/* SPDX-License-Identifier: Apache-2.0 */
/* Reading many messages: one batch after the other by direct get (ADR-31), each going on behind the last message that
 * was handed out, so that what is lost with a connection or for want of memory is asked for again or ends the call, but
 * is never passed over. */
#include "js/stored_op.h"

#include "base/rfc3339.h"
#include "base/text.h"
#include "js/gate.h"

#define BATCH 1000u
#define BYTES (4u << 20)
#define STALL_NS NBJ_SECONDS(2) /* without an answer within a batch: the rest of it was lost */

typedef struct read_op {
    nbj__op op;
    nbj_read_options read; /* its texts are those below */
    char *stream, *subject;
    nbj__buf filters; /* of last_of, each with its NUL */
    nbj__stored_each_fn *each;
    void *whom;
    nbj_read_result result;
    enum { READ_NOT_ASKED, READ_BATCH, READ_LOOKING } asked;
    uint64_t previous; /* sequence of the last message of this batch; 0: none yet */
    bool is_broken;    /* what comes of this batch is not wanted any more: something is missing before it */
} read_op;

static void read_free(nbj__op *op)
{
    read_op *r = (read_op *)(void *)op;

    nbj__free_text(op->alloc, r->stream);
    nbj__free_text(op->alloc, r->subject);
    nbj__buf_free(&r->filters);
    nbj__free(op->alloc, r, sizeof *r);
}

/* --- asking --- */

static void put_time(nbj__json_writer *w, const char *name, uint64_t ns)
{
    char text[NBJ__RFC3339_SIZE];

    nbj__json_put_text(w, name, nbj__rfc3339_format(text, ns < INT64_MAX ? (int64_t)ns : INT64_MAX));
}

/* The last message of each subject, as they were at one moment: the first answer says which that was. */
static void put_last_of(const read_op *r, nbj__json_writer *w)
{
    nbj_bytes rest = nbj__buf_view(&r->filters);

    nbj__json_put_array(w, "multi_last");
    while (rest.len > 0) {
        nbj_bytes filter = nbj_str((const char *)rest.ptr);
        nbj__json_item_put_text(w, filter);
        rest = nbj_view(rest.ptr + filter.len + 1, rest.len - filter.len - 1);
    }
    nbj__json_close(w, ']');
    if (r->result.up_to_sequence > 0)
        nbj__json_put_u64(w, "up_to_seq", r->result.up_to_sequence);
    else if (r->read.up_to_time_ns > 0)
        put_time(w, "up_to_time", r->read.up_to_time_ns);
}

static nbj_status ask_batch(read_op *r, nbj_error *error)
{
    uint64_t left = r->read.max_messages > 0 ? r->read.max_messages - r->result.messages : UINT64_MAX;
    bool is_first = r->result.last_sequence == 0;
    uint64_t from = is_first ? r->read.sequence : r->result.last_sequence + 1;

    r->asked = READ_BATCH;
    r->previous = 0;
    r->is_broken = false;
    nbj__op_ask(&r->op, "DIRECT.GET", r->stream, NULL);
    nbj__json_writer w = nbj__op_body(&r->op);
    nbj__json_put_u64(&w, "batch", left < r->read.batch ? left : r->read.batch);
    nbj__json_put_u64(&w, "max_bytes", r->read.max_bytes);
    if (is_first && r->read.from_time_ns > 0)
        put_time(&w, "start_time", r->read.from_time_ns);
    else if (from > 0)
        nbj__json_put_u64(&w, "seq", from);
    if (nbj__buf_len(&r->filters) > 0)
        put_last_of(r, &w);
    else
        nbj__json_put_text(&w, "next_by_subj", nbj_str(r->subject != NULL ? r->subject : ">"));
    nbj_status st = nbj__json_end(&w);
    r->op.many = true;
    r->op.stall_ns = STALL_NS;
    r->op.required_level = nbj__gate_level(NBJ__FEATURE_DIRECT_GET_BATCH);
    return st == NBJ_OK ? NBJ_MORE : nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
}

static nbj_status read_first(read_op *r, nbj_error *error)
{
    nbj_status st = nbj__gate_check(&r->op.where, NBJ__FEATURE_DIRECT_GET_BATCH, error);

    return st == NBJ_OK ? ask_batch(r, error) : st;
}

/* --- answers --- */

static nbj_status too_old(const read_op *r, nbj_error *error)
{
    char needs[16];

    nbj__gate_version(NBJ__FEATURE_DIRECT_GET_BATCH, needs);
    return nbj__error_set(error, NBJ_E_UNSUPPORTED, "stream ", r->stream,
                          ": direct get of several messages needs nats-server ", needs,
                          " or newer, and the one that answered is older", (char *)NULL);
}

static nbj_status on_message(read_op *r, const nbj__direct *d, nbj_error *error)
{
    nbj_read_result *res = &r->result;

    if (!d->is_of_batch)
        return too_old(r, error);
    if (d->previous != r->previous || d->msg.sequence <= res->last_sequence) {
        r->is_broken = true;
        return NBJ_MORE;
    }
    r->previous = d->msg.sequence;
    res->messages++;
    res->last_sequence = d->msg.sequence;
    res->pending = d->pending;
    if (!r->each(r->whom, &d->msg))
        return NBJ_OK;
    return res->messages == r->read.max_messages ? NBJ_OK : NBJ_MORE;
}

static uint64_t number(const nbj_msg *answer, const char *name)
{
    nbj_bytes value;
    uint64_t n = 0;

    (void)(nbj_msg_header(answer, name, &value) == NBJ_OK && nbj__parse_u64(value, UINT64_MAX, &n));
    return n;
}

static nbj_status on_status(read_op *r, const nbj_msg *answer, nbj_error *error)
{
    switch (nbj_msg_status(answer)) {
    case 204: /* end of the batch */
        r->result.pending = number(answer, "Nats-Num-Pending");
        if (nbj__buf_len(&r->filters) > 0)
            r->result.up_to_sequence = number(answer, "Nats-UpTo-Sequence");
        return r->result.pending > 0 ? NBJ_MORE : NBJ_OK;
    case 404: /* none, or no further one: what was said to follow is gone, or unknown to the replica that answers */
        return NBJ_OK;
    case 408:
        if (r->result.messages == 0 && nbj__buf_len(&r->filters) > 0)
            return too_old(r, error);
        break;
    default:
        break;
    }
    return nbj__direct_failed(r->stream, answer, error);
}

static nbj_status on_answer(read_op *r, const nbj_msg *answer, nbj_error *error)
{
    nbj__direct d;

    if (r->is_broken)
        return NBJ_MORE;
    return nbj__stored_from_direct(r->op.alloc, answer, &d) ? on_message(r, &d, error) : on_status(r, answer, error);
}

/* --- what is next --- */

/* Nobody heard the request: the stream says why. */
static nbj_status look(read_op *r)
{
    r->asked = READ_LOOKING;
    nbj__op_ask(&r->op, "STREAM.INFO", r->stream, NULL);
    return NBJ_MORE;
}

static nbj_status on_look(read_op *r, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    nbj__json *reply = NULL;

    if (status != NBJ_OK)
        return nbj__error_set(error, NBJ_E_NO_RESPONDERS, "stream ", r->stream,
                              ": nobody answers a direct get; is there such a stream, with allow_direct?",
                              (char *)NULL);
    status = nbj__op_answer(status, answer, (nbj__js_about){ r->stream, NULL }, &reply, error);
    if (status != NBJ_OK)
        return status;
    bool is_allowed = nbj__json_bool(nbj__json_object(reply, "config"), "allow_direct");
    nbj__json_free(reply);
    return is_allowed
               ? nbj__error_set(error, NBJ_E_JS_UNAVAILABLE, "stream ", r->stream,
                                ": none of its servers answers a direct get; try again later", (char *)NULL)
               : nbj__error_set(error, NBJ_E_STATE, "stream ", r->stream,
                                " does not allow direct get; set allow_direct in its configuration", (char *)NULL);
}

/* Whether a later batch shows the same moment as this one. */
static bool is_moment_fixed(const read_op *r)
{
    return nbj__buf_len(&r->filters) == 0 || r->result.up_to_sequence > 0 || r->read.up_to_time_ns > 0;
}

/* All answers of a batch are here, and more messages are wanted. */
static nbj_status on_end(read_op *r, nbj_status status, nbj_error *error)
{
    if (status == NBJ_E_NO_RESPONDERS && r->result.messages == 0)
        return look(r);
    if (status != NBJ_OK)
        return nbj__error_set(error, status, nbj_strerror(status), (char *)NULL);
    if (r->previous == 0)
        return nbj__error_set(error, NBJ_E_BAD_REPLY, "stream ", r->stream,
                              ": there are more messages, but the answer has none of them", (char *)NULL);
    if (!is_moment_fixed(r))
        return nbj__error_set(error, NBJ_E_DISCONNECTED, "stream ", r->stream,
                              ": part of the answer was lost, and the rest would show a later moment; read again",
                              (char *)NULL);
    return ask_batch(r, error);
}

static nbj_status read_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    read_op *r = (read_op *)(void *)op;

    switch (r->asked) {
    case READ_NOT_ASKED:
        break;
    case READ_BATCH:
        return status == NBJ_OK && answer != NULL ? on_answer(r, answer, error) : on_end(r, status, error);
    case READ_LOOKING:
        return on_look(r, status, answer, error);
    }
    return read_first(r, error);
}

/* --- making one --- */

static bool copy_filters(read_op *r)
{
    for (size_t i = 0; i < r->read.last_of.count; i++) {
        const char *filter = r->read.last_of.items[i];
        if (nbj__buf_append(&r->filters, filter, strlen(filter) + 1) != NBJ_OK)
            return false;
    }
    return true;
}

nbj__op *nbj__stored_read_new(const nbj_allocator *alloc, const char *stream, const nbj_read_options *read,
                              nbj__stored_each_fn *each, void *whom)
{
    read_op *r = nbj__alloc0(alloc, sizeof *r);

    if (r == NULL)
        return NULL;
    nbj__op_init(&r->op, alloc, read_step, read_free);
    nbj__buf_init(&r->filters, alloc, NBJ__API_BODY_MAX);
    r->read = *read;
    r->read.batch = read->batch > 0 ? read->batch : BATCH;
    r->read.max_bytes = read->max_bytes > 0 ? read->max_bytes : BYTES;
    r->result.up_to_sequence = read->up_to_sequence;
    r->each = each;
    r->whom = whom;
    r->stream = nbj__copy_text(alloc, nbj_str(stream));
    r->subject = read->subject != NULL ? nbj__copy_text(alloc, nbj_str(read->subject)) : NULL;
    if (r->stream != NULL && (r->subject != NULL || read->subject == NULL) && copy_filters(r))
        return &r->op;
    nbj__op_free(&r->op);
    return NULL;
}

const nbj_read_result *nbj__stored_read_result(const nbj__op *op)
{
    return &((const read_op *)(const void *)op)->result;
}
