/* SPDX-License-Identifier: Apache-2.0 */
/* Opening a client and giving it back. */
#include "client/client_int.h"

#include "base/heap.h"
#include "base/options.h"
#include "base/text.h"
#include "driver/os.h"
#include "driver/registers.h"

#include <assert.h>
#include <stdlib.h>

#define OPEN_NS NBJ_SECONDS(30)
#define WRITE_NS NBJ_SECONDS(10)
#define NAME_MAX_LEN 512u

/* --- options --- */

static const char *or_environment(const char *option, const char *name)
{
    return option != NULL ? option : getenv(name);
}

/* "name @ cluster", of which either may be missing. */
static nbj_bytes shown_name(const nbj_client_options *o, nbj__text *t)
{
    const char *name = or_environment(o->name, "NATS_CLIENT_ID");
    const char *cluster = or_environment(o->cluster_id, "NATS_CLUSTER_ID");

    nbj__text_add_bytes(t, nbj_str(name));
    if (cluster != NULL && *cluster != '\0') {
        nbj__text_add(t, t->len > 0 ? " @ " : "@ ");
        nbj__text_add_bytes(t, nbj_str(cluster));
    }
    return nbj__text_view(t);
}

static nbj__session_options session_options(const nbj_client_options *o, nbj__text *name)
{
    return (nbj__session_options){
        .alloc = o->alloc,
        .urls = nbj_str(or_environment(o->url, "NATS_URL")),
        .name = shown_name(o, name),
        .user = nbj_str(o->user),
        .password = nbj_str(o->password),
        .token = nbj_str(o->token),
        .inbox_prefix = nbj_str(o->inbox_prefix),
        .connect_timeout_ns = o->connect_timeout_ns,
        .info_timeout_ns = o->info_timeout_ns,
        .tls_timeout_ns = o->tls_timeout_ns,
        .auth_timeout_ns = o->auth_timeout_ns,
        .ping_interval_ns = o->ping_interval_ns,
        .max_pings_out = o->max_pings_out,
        .write_timeout_ns = o->write_timeout_ns,
        .reconnect_first_ns = o->reconnect_first_ns,
        .reconnect_max_ns = o->reconnect_max_ns,
        .max_reconnects = o->max_reconnects,
        .max_outgoing_bytes = (size_t)o->max_outgoing_bytes,
        .no_randomize = o->no_randomize,
        .no_reconnect = o->no_reconnect,
        .retry_first_connect = o->retry_first_connect,
        .ignore_discovered = o->ignore_discovered,
        .auth_errors_are_fatal = o->auth_errors_are_fatal,
        .fail_requests_on_loss = o->fail_requests_on_loss,
        .wait_when_full = o->wait_when_full,
        .wants_credentials = o->on_credentials != NULL,
        .verbose = o->verbose,
        .pedantic = o->pedantic,
        .no_echo = o->no_echo,
        .tls = o->tls,
        .tls_first = o->tls_first,
    };
}

static nbj__tls_options tls_options(const nbj_client_options *o)
{
    return (nbj__tls_options){
        .server_name = o->tls_server_name,
        .ca_file = o->tls_ca_file,
        .cert_file = o->tls_cert_file,
        .key_file = o->tls_key_file,
        .insecure_skip_verify = o->tls_insecure_skip_verify,
    };
}

static_assert(offsetof(nbj_client_options, js_api_prefix) + sizeof((nbj_client_options *)0)->js_api_prefix ==
                  sizeof(nbj_client_options),
              "no padding at the end: a field added there must be seen in struct_size");

/* --- a client without its thread --- */

static void free_client(nbj_client *c)
{
    nbj__node *n;

    while ((n = nbj__list_first(&c->calls)) != NULL)
        nbj__client_call_free(NBJ__ITEM(n, nbj__client_call, node));
    nbj__client_drop_events(c);
    nbj__client_results_free(c);
    nbj__client_login_free(c);
    nbj__publish_asker_stop(&c->asker);
    nbj__publisher_free(&c->publisher);
    nbj__runtime_free(c->runtime);
    nbj__driver_free(c->driver);
    nbj__callbacks_free(&c->callbacks);
    nbj__lock_free(&c->lock);
    nbj__process_mark_free(&c->mark);
    nbj__free(c->alloc, c, sizeof *c);
}

static nbj_status make_parts(nbj_client *c, const nbj_client_options *o, bool with_threads, nbj_error *error)
{
    char name[NAME_MAX_LEN];
    nbj__text name_text = nbj__text_into(name, sizeof name);
    nbj__driver_config cfg = {
        .session = session_options(o, &name_text),
        .dial = { .dns_timeout_ns = o->dns_timeout_ns, .tcp_timeout_ns = o->tcp_timeout_ns },
        .lock = &c->lock,
        .credentials_file = o->credentials_file,
        .nkey_seed_file = o->nkey_seed_file,
        .on_event = nbj__client_on_event,
        .user = c,
    };
    nbj__publish_options po = { .max_messages = o->publish_max_messages, .max_bytes = (size_t)o->publish_max_bytes };

    cfg.session.msg_client = c;
    cfg.tls = tls_options(o);
    nbj_status st = nbj__lock_init(&c->lock, with_threads);
    if (st == NBJ_OK)
        st = nbj__callbacks_init(&c->callbacks, &c->lock);
    if (st == NBJ_OK && o->on_credentials != NULL)
        st = nbj__client_login_new(c, o->on_credentials);
    if (st != NBJ_OK)
        return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    st = nbj__driver_new(&c->driver, &cfg, error);
    if (st != NBJ_OK)
        return st;
    c->session = nbj__driver_session(c->driver);
    st = nbj__publisher_init(&c->publisher, c->session, &po, NULL);
    nbj__publish_asker_init(&c->asker, &c->publisher);
    return st == NBJ_OK ? st : nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
}

static nbj_status new_client(nbj_client **out, const nbj_client_options *options, nbj_client_options *o,
                             bool with_threads, nbj_error *error)
{
    *out = NULL;
    if (nbj__options_read(o, sizeof *o, options) != NBJ_OK)
        return nbj__error_set(error, NBJ_E_INVALID,
                              "client options: struct_size is wrong, or a field is set that this ",
                              "version of the library does not know", (char *)NULL);
    if ((o->credentials_file != NULL) + (o->nkey_seed_file != NULL) + (o->on_credentials != NULL) > 1)
        return nbj__error_set(error, NBJ_E_INVALID, "client options: only one of credentials_file, nkey_seed_file and ",
                              "on_credentials may be set", (char *)NULL);
    const nbj_allocator *alloc = nbj__allocator_or_default(o->alloc);
    nbj_client *c = nbj__alloc0(alloc, sizeof *c);
    if (c == NULL)
        return nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
    c->alloc = alloc;
    c->on_event = o->on_event;
    c->user_data = o->user_data;
    c->refs = 1;
    c->wait_when_full = o->wait_when_full;
    c->write_timeout_ns = o->write_timeout_ns > 0 ? o->write_timeout_ns : WRITE_NS;
    c->event_task.run = nbj__client_run_events;
    if (nbj__js_where_set(&c->where, o->js_domain, o->js_api_prefix) != NBJ_OK) {
        nbj__free(alloc, c, sizeof *c);
        return nbj__error_set(error, NBJ_E_INVALID, "client options: js_domain is one word, js_api_prefix a subject ",
                              "without wildcards, and only one of them may be set", (char *)NULL);
    }
    nbj__list_init(&c->pulls);
    nbj__list_init(&c->senders);
    nbj__list_init(&c->calls);
    nbj__list_init(&c->watchers);
    nbj__list_init(&c->events);
    nbj__process_mark_set(&c->mark);
    nbj_status st = make_parts(c, o, with_threads, error);
    nbj__registers_forget(); /* what of the options was copied */
    if (st != NBJ_OK) {
        free_client(c);
        return st;
    }
    *out = c;
    return NBJ_OK;
}

nbj_status nbj_loop_open(nbj_client **out, const nbj_client_options *options, nbj_error *error)
{
    nbj_client_options o;

    return new_client(out, options, &o, false, error);
}

/* --- with threads --- */

static bool is_open_or_failed(void *client)
{
    const nbj_client *c = client;

    return c->is_closed || nbj__session_phase(c->session) == NBJ__PHASE_READY;
}

/* The first connection, or why there is none. */
static nbj_status await_connection(nbj_client *c, const nbj_client_options *o, nbj_error *error)
{
    nbj_time due = nbj__time_add(nbj__os_now(), o->open_timeout_ns > 0 ? o->open_timeout_ns : OPEN_NS);

    if (o->retry_first_connect)
        return NBJ_OK;
    if (!nbj__client_wait(c, &c->watchers, is_open_or_failed, c, due))
        return nbj__error_set(error, NBJ_E_TIMEOUT, "no connection before open_timeout_ns", (char *)NULL);
    if (!c->is_closed)
        return NBJ_OK;
    return nbj__error_set(error, c->closed.status, c->closed.text, (char *)NULL);
}

nbj_status nbj_client_open(nbj_client **out, const nbj_client_options *options, nbj_error *error)
{
    nbj_client_options o;
    nbj_client *c = NULL;
    nbj_status st = new_client(&c, options, &o, true, error);

    *out = NULL;
    if (c == NULL)
        return st;
    nbj__runtime_config cfg = { .alloc = c->alloc,
                                .lock = &c->lock,
                                .driver = c->driver,
                                .deadline = nbj__client_deadline,
                                .after_turn = nbj__client_after_turn,
                                .user = c };
    c->opening = true;
    st = nbj__runtime_start(&c->runtime, &cfg, error);
    if (st != NBJ_OK) {
        free_client(c);
        return st;
    }
    nbj__lock_take(&c->lock);
    st = c->on_event != NULL || c->login != NULL ? nbj__callbacks_start(&c->callbacks, error) : NBJ_OK;
    if (st == NBJ_OK)
        st = await_connection(c, &o, error);
    if (st != NBJ_OK)
        c->released = true;
    c->opening = false;
    if (c->on_event != NULL) /* what has happened meanwhile */
        nbj__callbacks_post(&c->callbacks, &c->event_task);
    nbj__lock_drop(&c->lock);
    if (st != NBJ_OK)
        nbj_client_release(c);
    else
        *out = c;
    return st;
}

/* --- references --- */

void nbj__client_retain(nbj_client *c)
{
    c->refs++;
}

void nbj__client_unref(nbj_client *c)
{
    assert(c->refs > 0);
    bool is_last = --c->refs == 0;
    nbj__client_leave(c);
    if (is_last)
        free_client(c);
}

/* On the callback thread, after the callback in which the client was given back. */
static void end_after_callback(void *client)
{
    nbj_client *c = client;

    (void)pthread_detach(pthread_self());
    nbj__runtime_stop(c->runtime);
    nbj__lock_take(&c->lock);
    nbj__client_unref(c);
}

static void release_with_threads(nbj_client *c)
{
    nbj__callbacks_stop(&c->callbacks);
    nbj__runtime_wake(c->runtime);
    if (nbj__client_is_in_callback(c)) {
        c->callbacks.user = c;
        c->callbacks.on_end = end_after_callback;
        nbj__client_leave(c);
        return;
    }
    nbj__client_leave(c);
    nbj__callbacks_join(&c->callbacks);
    nbj__runtime_stop(c->runtime);
    nbj__lock_take(&c->lock);
    nbj__client_unref(c);
}

void nbj_client_release(nbj_client *client)
{
    if (client == NULL)
        return;
    if (nbj__client_enter(client) != NBJ_OK) { /* a child's copy: what its threads held is in no known state */
        nbj__driver_abandon(client->driver);
        return;
    }
    client->released = true;
    nbj__session_close(client->session, NBJ_OK, NULL);
    if (nbj__client_has_threads(client)) {
        release_with_threads(client);
        return;
    }
    if (!client->processing)
        (void)nbj__driver_process(client->driver, NULL); /* hangs up; nobody is told */
    nbj__client_unref(client);
}
