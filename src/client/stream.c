/* SPDX-License-Identifier: Apache-2.0 */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/text.h"
#include "client/options.h"
#include "driver/os.h"
#include "wire/subject.h"

#define TIMEOUT_NS NBJ_SECONDS(5)

/* What the answer says; |error| is filled unless NBJ_OK. */
static nbj_status read_answer(nbj_status st, const nbj_msg *msg, nbj_error *error)
{
    nbj__json *reply = NULL;

    if (st == NBJ_OK && msg != NULL)
        st = nbj__js_reply_parse(msg, (nbj__js_about){ NULL, NULL }, &reply, error);
    else
        nbj__error_set(error, st,
                       st == NBJ_E_NO_RESPONDERS ? "JetStream does not answer; is nats-server run with --jetstream?"
                                                 : nbj_strerror(st),
                       (char *)NULL);
    nbj__json_free(reply);
    return st;
}

static void report_created(nbj__client_call *call, nbj_status status, const nbj_msg *msg)
{
    nbj_error error = { 0 };
    nbj_status st = read_answer(status, msg, &error);

    call->fn.done(call->user, st, st == NBJ_OK ? NULL : &error);
}

static nbj__stream_config core_config(const nbj_stream_config *c)
{
    return (nbj__stream_config){
        .name = nbj_str(c->name),
        .subjects = c->subjects.count > 0 ? c->subjects.items : &c->name,
        .subject_count = c->subjects.count > 0 ? c->subjects.count : 1,
        .retention = (nbj__retention)c->retention,
        .storage = (nbj__storage)c->storage,
        .max_messages = c->max_messages,
        .max_bytes = c->max_bytes,
        .max_age_ns = c->max_age_ns,
        .duplicate_window_ns = c->duplicate_window_ns,
        .replicas = c->replicas,
    };
}

static nbj_status check(const nbj_stream_config *c)
{
    if (!nbj__name_is_legal(nbj_str(c->name)))
        return NBJ_E_INVALID;
    for (size_t i = 0; i < c->subjects.count; i++) {
        if (!nbj__subject_is_filter(nbj_str(c->subjects.items[i])))
            return NBJ_E_BAD_SUBJECT;
    }
    return NBJ_OK;
}

/* Asks the server, with |call|. */
static nbj_status ask(nbj__client_call *call, const nbj_stream_config *c, uint64_t timeout_ns)
{
    char subject[NBJ__API_SUBJECT_MAX];
    nbj__buf body;
    nbj_time now = nbj__os_now();
    nbj__stream_config core = core_config(c);

    nbj__buf_init(&body, call->client->alloc, (size_t)NBJ_MIB(1));
    nbj_status st = nbj__api_stream_create(&body, &core);
    if (st == NBJ_OK) {
        nbj__outgoing m = { .subject = nbj__api_subject(subject, "STREAM.CREATE", core.name, nbj_view(NULL, 0)),
                            .payload = nbj__buf_view(&body) };
        st = nbj__session_request(call->client->session, &call->core, &m,
                                  nbj__time_add(now, timeout_ns > 0 ? timeout_ns : TIMEOUT_NS), now);
    }
    nbj__buf_free(&body);
    return st;
}

nbj_status nbj_stream_ensure_async(nbj_client *client, const nbj_stream_config *config, uint64_t timeout_ns,
                                   nbj_done_fn *on_done, void *user)
{
    nbj_stream_config c;

    if (on_done == NULL || nbj__options_read(&c, sizeof c, config) != NBJ_OK)
        return NBJ_E_INVALID;
    nbj_status st = check(&c);
    if (st == NBJ_OK)
        st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return st;
    nbj__client_call *call = NULL;
    st = nbj__client_call_new(client, report_created, user, &call);
    if (st == NBJ_OK) {
        call->fn.done = on_done;
        st = ask(call, &c, timeout_ns);
        if (st != NBJ_OK)
            nbj__client_call_free(call);
    }
    return nbj__client_leave_changed(client, st);
}

static nbj_status fail(nbj_error *error, nbj_status st)
{
    return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
}

nbj_status nbj_stream_ensure(nbj_client *client, const nbj_stream_config *config, uint64_t timeout_ns, nbj_error *error)
{
    nbj_stream_config c;
    nbj__client_call call = { 0 };
    nbj__waiter waiter = { 0 };
    nbj_error answer = { 0 };

    nbj_status st = nbj__options_read(&c, sizeof c, config);
    if (st == NBJ_OK)
        st = check(&c);
    if (st == NBJ_OK)
        st = nbj__client_begin_waiting(client, &call, &waiter);
    if (st != NBJ_OK)
        return fail(error, st);
    st = nbj__client_end_waiting(&call, ask(&call, &c, timeout_ns));
    nbj_msg *msg = nbj__queue_take(&call.replies);
    st = read_answer(st, msg, &answer);
    nbj_msg_release(msg);
    if (error != NULL)
        *error = answer;
    return st;
}
