/* SPDX-License-Identifier: Apache-2.0 */
/* A stream to a backup. The calling thread takes the chunks, writes them, and answers; the queue between it and whoever
 * leads is bounded by the server's window. */
#include "client/transfer.h"

#include "base/options.h"
#include "driver/backup_files.h"
#include "wire/subject.h"

/* Answers a chunk, so that the server goes on while it is written. */
static nbj_status keep(nbj__transfer *t, nbj__backup_writer *w, const nbj_msg *msg)
{
    nbj_status st = nbj_msg_reply(msg).len > 0 ? nbj_respond(msg, nbj_str(""), NULL) : NBJ_OK;

    if (st != NBJ_OK)
        return nbj__transfer_fail(t, st);
    st = nbj__backup_writer_put(w, nbj_msg_data(msg), t->error);
    t->progress.bytes = w->bytes;
    return st == NBJ_OK ? nbj__transfer_tell(t) : st;
}

static nbj_status receive(nbj__transfer *t, nbj__backup_writer *w, const char *stream)
{
    nbj__snapshot_in in = { 0 };
    nbj_status st = NBJ_MORE;

    while (st == NBJ_MORE) {
        nbj_msg *msg = NULL;
        st = nbj__transfer_next(t, t->stall_ns, &msg);
        if (st != NBJ_OK)
            return st;
        st = nbj__snapshot_take(&in, msg, stream, t->error);
        if (st == NBJ_MORE) {
            nbj_status kept = keep(t, w, msg);
            st = kept == NBJ_OK ? NBJ_MORE : kept;
        }
        nbj_msg_release(msg);
    }
    nbj_status whole = st == NBJ_OK || st == NBJ_E_BAD_REPLY ? nbj__transfer_check(t) : NBJ_OK;
    return whole != NBJ_OK ? whole : st;
}

/* The backup's text, and the end of it. */
static nbj_status seal(nbj__transfer *t, nbj__backup_writer *w, nbj__buf *description)
{
    char sha256[NBJ__SHA256_TEXT];
    nbj_status st = nbj__backup_writer_sum(w, sha256, t->error);

    if (st != NBJ_OK)
        return st;
    st = nbj__backup_seal(description, w->bytes, sha256);
    return st == NBJ_OK ? nbj__backup_writer_finish(w, nbj__buf_view(description), t->error)
                        : nbj__transfer_fail(t, st);
}

static nbj_status save(nbj__transfer *t, nbj__backup_writer *w, nbj__snapshot_op *op, uint64_t limit_ns)
{
    nbj_status st = nbj__transfer_ask(t, &op->op, limit_ns);

    if (st != NBJ_OK)
        return st;
    t->progress.total_bytes = op->state.bytes;
    st = nbj__backup_writer_describe(w, nbj__buf_view(&op->description), t->error);
    if (st == NBJ_OK)
        st = receive(t, w, op->stream);
    return st == NBJ_OK ? seal(t, w, &op->description) : st;
}

static bool is_legal(const nbj_snapshot_options *o)
{
    bool is_chunk = o->chunk_size == 0 || (o->chunk_size >= NBJ__CHUNK_MIN && o->chunk_size <= NBJ__CHUNK_MAX);
    bool is_window =
        o->window_size == 0 || (o->window_size >= NBJ__CHUNK_MIN && o->window_size <= NBJ__SNAPSHOT_WINDOW_MAX);

    return is_chunk && is_window;
}

static nbj_status take(nbj__transfer *t, const char *stream, const char *path, const nbj_snapshot_options *o,
                       nbj_snapshot_info *info)
{
    const nbj_allocator *alloc = t->client->alloc;
    uint64_t limit_ns = o->check_messages ? NBJ__TRANSFER_WORK_NS : t->stall_ns;
    nbj__snapshot_want want = { stream, t->inbox, o->chunk_size, o->window_size, o->no_consumers, o->check_messages };
    nbj__backup_writer w;

    t->on_progress = o->on_progress;
    t->user = o->user;
    nbj_status st = nbj__backup_writer_begin(&w, alloc, path, t->error); /* before the server has any work with it */
    nbj__snapshot_op *op = st == NBJ_OK ? nbj__snapshot_new(alloc, &want) : NULL;
    if (st == NBJ_OK)
        st = op != NULL ? save(t, &w, op, o->work_timeout_ns > 0 ? o->work_timeout_ns : limit_ns)
                        : nbj__transfer_fail(t, NBJ_E_NOMEM);
    if (st == NBJ_OK) {
        nbj__snapshot_info_set(info, stream, &op->state);
        info->bytes = w.bytes;
        info->is_checked = true;
    }
    nbj__op_free(op != NULL ? &op->op : NULL);
    nbj__backup_writer_end(&w);
    return st;
}

nbj_status nbj_stream_snapshot(nbj_client *client, const char *stream, const char *path,
                               const nbj_snapshot_options *how, const nbj_call_options *options,
                               nbj_snapshot_info *info, nbj_error *error)
{
    nbj_snapshot_info unasked;
    nbj_error unwanted;
    nbj_snapshot_options o;
    nbj__transfer t;

    if (info == NULL)
        info = &unasked;
    if (error == NULL)
        error = &unwanted;
    *info = (nbj_snapshot_info){ 0 };
    if (nbj__options_read(&o, sizeof o, how) != NBJ_OK || !is_legal(&o) || path == NULL || path[0] == '\0' ||
        !nbj__name_is_legal(nbj_str(stream)))
        return nbj__error_set(error, NBJ_E_INVALID, nbj_strerror(NBJ_E_INVALID), (char *)NULL);
    nbj_status st = nbj__transfer_begin(&t, client, options, error);
    if (st == NBJ_OK)
        st = take(&t, stream, path, &o, info);
    nbj__transfer_end(&t);
    return st;
}
