/* SPDX-License-Identifier: Apache-2.0 */
#include "js/batch_reply.h"

#include "base/text.h"
#include "js/reply.h"

/* What to do about an error that only batches have. */
static const struct remedy {
    int32_t err_code;
    const char *text;
} remedies[] = {
    { 10174, "; set allow_atomic in the stream's configuration" },
    { 10176, "; the server gave the batch up, which was idle for 10 s or met a change of leader: begin it again" },
    { 10177, "; leave that header out, a batch cannot have it" },
    { 10199, "; commit smaller batches" },
    { 10201, "; the stream has a message of that id: was the batch stored before?" },
    { 10205, "; set allow_batched in the stream's configuration" },
    { 10208, "; the server gave it up, which was idle for 10 s or met a change of leader" },
    { 10210, "; the stream has too many batches that are not committed: try again later" },
    { 10211, "; the stream has too many fast batches that are not finished: try again later" },
};

static void add_remedy(nbj_error *error)
{
    for (size_t i = 0; i < sizeof remedies / sizeof remedies[0]; i++) {
        if (remedies[i].err_code != error->err_code)
            continue;
        size_t len = strlen(error->text);
        nbj__text t = nbj__text_into(error->text + len, sizeof error->text - len);
        nbj__text_add(&t, remedies[i].text);
        return;
    }
}

static bool copy_name(char *to, size_t cap, nbj_bytes name)
{
    nbj__text t = nbj__text_into(to, cap);

    nbj__text_add_bytes(&t, name);
    return !t.cut;
}

static bool is(nbj_bytes text, const char *word)
{
    return nbj_bytes_equal(text, nbj_str(word));
}

static void unreadable(nbj__batch_reply *out, const char *why)
{
    out->answer = NBJ__BATCH_UNREADABLE;
    nbj__error_set(&out->error, NBJ_E_BAD_REPLY, "an answer of JetStream could not be read: ", why, (char *)NULL);
}

static void read_stored(const nbj__json *o, nbj_bytes id, nbj__batch_reply *out)
{
    bool whole = copy_name(out->ack.stream, sizeof out->ack.stream, nbj__json_text(o, "stream")) &&
                 copy_name(out->ack.domain, sizeof out->ack.domain, nbj__json_text(o, "domain"));

    out->answer = NBJ__BATCH_STORED;
    out->ack.sequence = nbj__json_u64(o, "seq");
    out->ack.duplicate = nbj__json_bool(o, "duplicate");
    out->count = nbj__json_u64(o, "count");
    out->is_whole = nbj_bytes_equal(nbj__json_text(o, "batch"), id);
    if (!whole || out->ack.stream[0] == '\0' || (out->ack.sequence == 0 && !out->is_whole))
        unreadable(out, "a publish acknowledgement without stream or sequence");
}

static void read_object(const nbj_msg *msg, const nbj__json *o, nbj_bytes id, nbj__batch_reply *out)
{
    nbj_bytes type = nbj__json_text(o, "type");
    nbj__json *unused = NULL;

    if (nbj__json_object(o, "error") != NULL) {
        out->answer = is(type, "err") ? NBJ__BATCH_ERR : NBJ__BATCH_REFUSED;
        out->seq = nbj__json_u64(o, "seq");
        (void)nbj__js_reply_parse(msg, (nbj__js_about){ NULL, NULL }, &unused, &out->error);
        nbj__json_free(unused);
        add_remedy(&out->error);
    } else if (is(type, "ack")) {
        out->answer = NBJ__BATCH_ACK;
        out->seq = nbj__json_u64(o, "seq");
        out->messages = nbj__json_u64(o, "msgs");
    } else if (is(type, "gap")) {
        out->answer = NBJ__BATCH_GAP;
        out->seq = nbj__json_u64(o, "last_seq");
        out->until = nbj__json_u64(o, "seq");
    } else if (type.len > 0) {
        unreadable(out, "of no type that a batch has");
    } else {
        read_stored(o, id, out);
    }
}

void nbj__batch_reply_read(const nbj_msg *msg, nbj_bytes id, nbj__batch_reply *out)
{
    nbj__json *o = NULL;

    *out = (nbj__batch_reply){ .answer = NBJ__BATCH_STAGED };
    if (nbj__msg_is_no_responders(msg)) {
        out->answer = NBJ__BATCH_NOBODY;
        return;
    }
    if (msg->payload.len == 0)
        return;
    nbj_status st = nbj__json_parse(msg->payload, &o);
    if (st == NBJ_OK)
        read_object(msg, o, id, out);
    else
        unreadable(out, st == NBJ_E_NOMEM ? nbj_strerror(st) : "it is not a JSON object");
    nbj__json_free(o);
}
