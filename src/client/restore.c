/* SPDX-License-Identifier: Apache-2.0 */
/* A backup to a stream, in three steps: all of it is read and checked; all of it is sent, and answered; the server makes
 * the stream. A restore that fails in the second or third is told to the server, and what is there of it is deleted, but
 * never a stream that may be somebody else's. */
#include "client/transfer.h"

#include "base/heap.h"
#include "base/options.h"
#include "base/text.h"
#include "driver/backup_files.h"
#include "driver/os.h"

#define LOOK_NS NBJ_SECONDS(2)   /* for one look at the stream */
#define PAUSE_NS NBJ_MILLIS(100) /* between two of them; and before a first chunk that was not heard is sent again */

typedef struct restoring {
    nbj__transfer *t;
    nbj__backup_reader *reader;
    nbj__restore_op *op;
    nbj__restore_out out;
    uint8_t *chunk;
    size_t cap, len; /* of the chunk to be sent next; 0: there is none */
    bool has_chunk;
    bool is_over;       /* the server has nothing to do with it any more */
    bool has_answered;  /* … and has said so in words */
    nbj_time heard_due; /* of the first chunk */
    uint64_t work_ns;
    nbj__stream_state state; /* once done */
} restoring;

/* --- checking --- */

static nbj_status check(nbj__transfer *t, nbj__backup_reader *reader, uint8_t *at, size_t cap)
{
    nbj_status st = nbj__backup_reader_rewind(reader, t->error);
    size_t len = 1;
    nbj_time told = 0;

    t->progress.total_bytes = reader->size;
    t->progress.is_working = true;
    while (st == NBJ_OK && len > 0) {
        st = nbj__backup_reader_next(reader, at, cap, &len, t->error);
        if (st == NBJ_OK && nbj__os_now() - told > NBJ_MILLIS(250)) {
            told = nbj__os_now();
            st = nbj__transfer_tell(t);
        }
    }
    t->progress.is_working = false;
    return st;
}

static nbj_status demand_sum(const nbj__backup_reader *reader, bool unchecked, nbj_error *error)
{
    if (reader->about.has_sum || unchecked)
        return NBJ_OK;
    return nbj__error_set(error, NBJ_E_DAMAGED, "backup ", reader->path,
                          ": there is no checksum in it; restore it with the option unchecked if it is good",
                          (char *)NULL);
}

/* --- sending --- */

/* The next chunk, or nothing where the backup ends, which is also where it is seen whether it changed meanwhile. */
static nbj_status read_chunk(restoring *r)
{
    if (r->has_chunk)
        return NBJ_OK;
    nbj_status st = nbj__backup_reader_next(r->reader, r->chunk, r->cap, &r->len, r->t->error);
    r->has_chunk = st == NBJ_OK;
    return st;
}

/* Sends what may be sent now. */
static nbj_status send_some(restoring *r)
{
    nbj__transfer *t = r->t;
    nbj_send_options to = { .struct_size = sizeof to, .reply = t->inbox };
    nbj_status st = NBJ_OK;

    while (nbj__restore_may_send(&r->out) && (st = read_chunk(r)) == NBJ_OK) {
        bool is_end = r->len == 0;
        if (is_end && r->out.sent > r->out.answered)
            return NBJ_OK;
        st = nbj_send(t->client, r->op->subject, nbj_view(r->chunk, r->len), &to);
        if (st == NBJ_E_FULL && r->out.sent > r->out.answered)
            return NBJ_OK;
        if (st != NBJ_OK)
            return nbj__transfer_fail(t, st);
        r->out.is_ending = is_end;
        r->out.sent += is_end ? 0 : 1;
        r->has_chunk = is_end;
        t->progress.bytes += r->len;
        t->progress.is_working = is_end;
    }
    return st;
}

static void pause_a_bit(restoring *r)
{
    nbj_msg *none = NULL;

    (void)!nbj_sub_next(r->t->sub, PAUSE_NS, &none); /* what comes now comes too late */
    nbj_msg_release(none);
}

/* The server that we are connected to has not yet heard that another one listens. */
static nbj_status send_first_again(restoring *r)
{
    r->out.is_unheard = false;
    if (nbj__os_now() > r->heard_due)
        return nbj__transfer_fail(r->t, NBJ_E_NO_RESPONDERS);
    pause_a_bit(r);
    r->has_chunk = true;
    r->t->progress.bytes = 0;
    return NBJ_MORE;
}

/* What came in answer; see nbj__restore_take. */
static nbj_status take_answer(restoring *r, const nbj_msg *msg)
{
    nbj__transfer *t = r->t;
    nbj_status st = nbj__restore_take(&r->out, msg, r->op->stream, &r->state, t->error);

    if (st == NBJ_MORE)
        return r->out.is_unheard ? send_first_again(r) : nbj__transfer_tell(t) == NBJ_OK ? NBJ_MORE : NBJ_E_CANCELLED;
    bool has_words = nbj_msg_data(msg).len > 0;
    r->is_over = has_words || st == NBJ_E_JS_UNAVAILABLE;
    r->has_answered = has_words;
    if (st == NBJ_E_JS_UNAVAILABLE && !has_words && nbj__transfer_check(t) != NBJ_OK)
        return t->error->status; /* that is why */
    if (st == NBJ_OK && r->state.last_sequence < r->reader->about.state.last_sequence)
        st = nbj__error_set(t->error, NBJ_E_DAMAGED, "stream ", r->op->stream,
                            ": the snapshot was not whole; messages at its end are missing", (char *)NULL);
    return st;
}

static nbj_status send_all(restoring *r)
{
    nbj__transfer *t = r->t;
    nbj_status st = NBJ_MORE;

    r->heard_due = nbj__time_add(nbj__os_now(), t->stall_ns);
    while (st == NBJ_MORE) {
        nbj_msg *msg = NULL;
        st = send_some(r);
        if (st == NBJ_OK)
            st = nbj__transfer_next(t, r->out.is_ending ? r->work_ns : t->stall_ns, &msg);
        if (st != NBJ_OK)
            return st;
        st = take_answer(r, msg);
        nbj_msg_release(msg);
    }
    return st;
}

/* --- what has become of one that failed --- */

typedef enum fate {
    FATE_GONE,      /* there is no such stream */
    FATE_WHOLE,     /* it is there with all messages */
    FATE_PART,      /* … with some */
    FATE_OTHER,     /* another one of that name */
    FATE_NOT_KNOWN, /* the server does not say now */
    FATE_CLOSED,    /* … and never will */
} fate;

/* Since 2.15 a server makes the stream first and fills it then; one that fails is left there. To a part without its end
 * it says what came of it, and when nothing is under way any more nobody listens. Before that only all of it becomes a
 * stream, and a part that ends is taken for the whole. */
static bool may_leave_a_part(const restoring *r)
{
    nbj__server_version v = r->op->op.where.version;

    return v.major == 0 || nbj__version_is_at_least(v, 2, 15, 0);
}

/* Whether the server is done with it, waiting for |limit_ns| at most. */
static bool has_ended(restoring *r, uint64_t limit_ns)
{
    nbj__transfer *t = r->t;
    nbj_send_options to = { .struct_size = sizeof to, .reply = t->inbox };
    nbj_time due = nbj__time_add(nbj__os_now(), limit_ns);

    if (nbj_send(t->client, r->op->subject, nbj_str(""), &to) != NBJ_OK)
        return false;
    while (!r->is_over) {
        nbj_time now = nbj__os_now();
        nbj_msg *msg = NULL;
        if (nbj_sub_next(t->sub, due > now ? due - now : 0, &msg) != NBJ_OK)
            return false;
        bool has_words = nbj_msg_data(msg).len > 0;
        r->has_answered = r->has_answered || has_words;
        r->is_over = has_words || nbj_msg_status(msg) == 503;
        nbj_msg_release(msg);
    }
    return true;
}

/* Whether a stream of that age was made before the connection was lost: then it was by the restore, which the server was
 * at, and not by whoever came back with it. */
static bool is_from_before(const restoring *r, uint64_t age_ns)
{
    nbj_time lost_at = nbj__transfer_lost_at(r->t);

    return lost_at != r->t->lost_at && age_ns > nbj__os_now() - lost_at;
}

static fate look(restoring *r)
{
    nbj__transfer *t = r->t;
    const nbj__stream_state *whole = &r->reader->about.state;
    nbj_error why = { 0 };
    nbj__look_op *op = nbj__look_new(t->client->alloc, r->op->stream, false);

    if (op == NULL)
        return FATE_NOT_KNOWN;
    t->options.timeout_ns = LOOK_NS;
    nbj_status st = nbj__client_ask(t->client, &op->op, &t->options, &why);
    nbj__stream_state now = op->state;
    uint64_t age_ns = op->age_ns;
    nbj__op_free(&op->op);
    if (st == NBJ_E_STREAM_NOT_FOUND)
        return FATE_GONE;
    if (st != NBJ_OK)
        return st == NBJ_E_CLOSED || st == NBJ_E_DRAINING ? FATE_CLOSED : FATE_NOT_KNOWN;
    if (nbj__state_is_of(&now, whole))
        return now.last_sequence >= whole->last_sequence ? FATE_WHOLE : FATE_PART;
    bool is_begun = now.messages == 0 && whole->messages > 0 && (r->has_answered || is_from_before(r, age_ns));
    return is_begun && may_leave_a_part(r) ? FATE_PART : FATE_OTHER;
}

/* Waits until it is decided what became of it. */
static fate find_out(restoring *r)
{
    nbj_time due = nbj__time_add(nbj__os_now(), r->t->stall_ns);

    for (;;) {
        bool was_over = r->is_over; /* before the look */
        fate f = look(r);
        bool is_decided = f == FATE_CLOSED || f == FATE_WHOLE || f == FATE_OTHER || (was_over && f != FATE_NOT_KNOWN);
        if (is_decided)
            return f;
        if (nbj__os_now() >= due)
            return was_over || f == FATE_GONE ? f : FATE_NOT_KNOWN;
        if (was_over || !may_leave_a_part(r) || !has_ended(r, PAUSE_NS))
            pause_a_bit(r);
    }
}

/* Ends what was sent in part, so that the server does not wait for more. */
static void abort_it(restoring *r)
{
    if (r->op->is_new_format && may_leave_a_part(r)) {
        (void)has_ended(r, r->t->stall_ns);
        return;
    }
    (void)!nbj_send(r->t->client, r->op->subject, nbj_str("x"), NULL); /* a chunk that cannot be answered is its end */
    r->is_over = true;
}

static bool delete_it(restoring *r)
{
    nbj_error why = { 0 };
    nbj__look_op *op = nbj__look_new(r->t->client->alloc, r->op->stream, true);
    nbj_status st = op != NULL ? nbj__client_ask(r->t->client, &op->op, &r->t->options, &why) : NBJ_E_NOMEM;

    nbj__op_free(op != NULL ? &op->op : NULL);
    return st == NBJ_OK || st == NBJ_E_STREAM_NOT_FOUND;
}

/* |st|: how it failed. Leaves no stream that was made by it, if that can be had. */
static nbj_status clean_up(restoring *r, nbj_status st)
{
    nbj_error *error = r->t->error;
    bool was_ending = r->out.is_ending;

    if (error->err_code == NBJ__NAME_TAKEN) /* somebody else was faster */
        return st;
    if (!r->is_over && was_ending && st != NBJ_E_DISCONNECTED) {
        nbj__error_add(error, "; all was sent, and the server goes on by itself: the stream may still appear");
        return st;
    }
    if (!r->is_over && !was_ending)
        abort_it(r);
    fate f = find_out(r);
    if (f == FATE_WHOLE && was_ending && !r->has_answered)
        return NBJ_OK; /* only the answer was lost */
    if (f == FATE_PART || f == FATE_WHOLE)
        nbj__error_add(error, delete_it(r) ? "; what was there of the stream is deleted"
                                           : "; a part of the stream is there, and could not be deleted");
    else if (f == FATE_OTHER)
        nbj__error_add(error, "; there is a stream of that name, which was left alone");
    else if (f != FATE_GONE)
        nbj__error_add(error, "; whether something of the stream is there is not known");
    return st;
}

/* --- all of it --- */

static nbj_status ask(restoring *r, const nbj_restore_options *o)
{
    nbj__transfer *t = r->t;
    const nbj_allocator *alloc = t->client->alloc;
    nbj__buf request;

    nbj_status st = nbj__backup_reader_rewind(r->reader, t->error);
    if (st == NBJ_OK)
        st = read_chunk(r);
    if (st != NBJ_OK)
        return st;
    nbj__buf_init(&request, alloc, NBJ__API_BODY_MAX);
    st = nbj__backup_request(&r->reader->about, o->config, o->replicas, &request);
    if (st != NBJ_OK) {
        nbj__buf_free(&request);
        return nbj__error_set(t->error, st, st == NBJ_E_INVALID ? "config is no configuration of stream " : "",
                              st == NBJ_E_INVALID ? r->reader->about.stream : nbj_strerror(st), (char *)NULL);
    }
    bool is_new = nbj__backup_is_new_format(nbj_view(r->chunk, r->len));
    r->op = nbj__restore_new(alloc, r->reader->about.stream, &request, is_new);
    return r->op != NULL ? nbj__transfer_ask(t, &r->op->op, t->stall_ns) : nbj__transfer_fail(t, NBJ_E_NOMEM);
}

static nbj_status restore(restoring *r, const nbj_restore_options *o)
{
    nbj_status st = check(r->t, r->reader, r->chunk, r->cap);

    if (st == NBJ_OK)
        st = ask(r, o);
    if (st != NBJ_OK)
        return st;
    st = send_all(r);
    return st == NBJ_OK ? NBJ_OK : clean_up(r, st);
}

static size_t chunk_size(const nbj_client *client, uint32_t wanted)
{
    uint64_t most = nbj_client_max_payload(client);
    size_t size = wanted > 0 ? wanted : NBJ__CHUNK_DEFAULT;

    return most > 0 && most < size ? (size_t)most : size;
}

static nbj_status restore_from(nbj__transfer *t, nbj__backup_reader *reader, const nbj_restore_options *o)
{
    const nbj_allocator *alloc = t->client->alloc;
    restoring r = { .t = t, .reader = reader, .cap = chunk_size(t->client, o->chunk_size) };

    t->on_progress = o->on_progress;
    t->user = o->user;
    r.work_ns = o->work_timeout_ns > 0 ? o->work_timeout_ns : NBJ__TRANSFER_WORK_NS;
    r.chunk = nbj__alloc(alloc, r.cap);
    nbj_status st = r.chunk != NULL ? restore(&r, o) : nbj__transfer_fail(t, NBJ_E_NOMEM);
    nbj__op_free(r.op != NULL ? &r.op->op : NULL);
    nbj__free(alloc, r.chunk, r.cap);
    return st;
}

static void tell_what_is_in_it(const nbj__backup_reader *reader, nbj_snapshot_info *info)
{
    nbj__snapshot_info_set(info, reader->about.stream, &reader->about.state);
    info->bytes = reader->size;
    info->is_checked = reader->about.has_sum;
}

nbj_status nbj_stream_restore(nbj_client *client, const char *path, const nbj_restore_options *how,
                              const nbj_call_options *options, nbj_snapshot_info *info, nbj_error *error)
{
    nbj_snapshot_info unasked;
    nbj_error unwanted;
    nbj_restore_options o;
    nbj__backup_reader reader = { 0 };
    nbj__transfer t;

    if (info == NULL)
        info = &unasked;
    if (error == NULL)
        error = &unwanted;
    *info = (nbj_snapshot_info){ 0 };
    if (nbj__options_read(&o, sizeof o, how) != NBJ_OK || path == NULL || path[0] == '\0' ||
        (o.chunk_size > 0 && (o.chunk_size < NBJ__CHUNK_MIN || o.chunk_size > NBJ__CHUNK_MAX)))
        return nbj__error_set(error, NBJ_E_INVALID, nbj_strerror(NBJ_E_INVALID), (char *)NULL);
    nbj_status st = nbj__transfer_begin(&t, client, options, error);
    if (st == NBJ_OK)
        st = nbj__backup_reader_begin(&reader, client->alloc, path, error);
    if (st == NBJ_OK)
        st = demand_sum(&reader, o.unchecked, error);
    if (st == NBJ_OK)
        st = restore_from(&t, &reader, &o);
    if (st == NBJ_OK)
        tell_what_is_in_it(&reader, info);
    nbj__backup_reader_end(&reader);
    nbj__transfer_end(&t);
    return st;
}

nbj_status nbj_snapshot_check(const char *path, nbj_snapshot_info *info, nbj_error *error)
{
    nbj_error unwanted;
    nbj__backup_reader reader = { 0 };
    uint8_t at[16384];
    size_t len = 1;

    if (error == NULL)
        error = &unwanted;
    *info = (nbj_snapshot_info){ 0 };
    if (path == NULL || path[0] == '\0')
        return nbj__error_set(error, NBJ_E_INVALID, nbj_strerror(NBJ_E_INVALID), (char *)NULL);
    nbj_status st = nbj__backup_reader_begin(&reader, &nbj__malloc_allocator, path, error);
    if (st == NBJ_OK)
        st = nbj__backup_reader_rewind(&reader, error);
    while (st == NBJ_OK && len > 0)
        st = nbj__backup_reader_next(&reader, at, sizeof at, &len, error);
    if (st == NBJ_OK)
        tell_what_is_in_it(&reader, info);
    nbj__backup_reader_end(&reader);
    return st;
}
