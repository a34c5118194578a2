/* SPDX-License-Identifier: Apache-2.0 */
/* What a client is doing, and its end. */
#include "client/client_int.h"

#include "base/text.h"
#include "driver/os.h"

/* --- ending --- */

void nbj_client_close(nbj_client *client)
{
    if (nbj__client_enter(client) != NBJ_OK)
        return;
    nbj__session_close(client->session, NBJ_OK, NULL);
    (void)nbj__client_leave_changed(client, NBJ_OK);
}

static void begin_drain(nbj_client *c, uint64_t timeout_ns)
{
    if (c->draining || nbj__session_phase(c->session) == NBJ__PHASE_CLOSED)
        return;
    c->drain_due = nbj__time_add(nbj__os_now(), timeout_ns);
    c->draining = true;
    nbj__client_stop_pulls(c);
    nbj__client_drain_senders(c);
}

void nbj_client_drain_async(nbj_client *client, uint64_t timeout_ns)
{
    if (nbj__client_enter(client) != NBJ_OK)
        return;
    begin_drain(client, timeout_ns);
    (void)nbj__client_leave_changed(client, NBJ_OK);
}

static bool is_closed(void *client)
{
    return ((const nbj_client *)client)->is_closed;
}

nbj_status nbj_client_drain(nbj_client *client, uint64_t timeout_ns)
{
    nbj_status st = nbj__client_enter(client);

    if (st != NBJ_OK)
        return st;
    if (!nbj__client_has_threads(client))
        st = NBJ_E_WOULD_BLOCK;
    else if (nbj__session_phase(client->session) == NBJ__PHASE_CLOSED)
        st = NBJ_E_CLOSED;
    else
        begin_drain(client, timeout_ns);
    if (st == NBJ_OK)
        nbj__runtime_wake(client->runtime);
    if (st == NBJ_OK && !nbj__client_is_in_callback(client)) {
        nbj__client_wait(client, &client->watchers, is_closed, client, NBJ_TIME_NEVER); /* it has its own deadline */
        st = client->closed.status;
    }
    nbj__client_leave(client);
    return st;
}

void nbj_client_reconnect(nbj_client *client)
{
    if (nbj__client_enter(client) != NBJ_OK)
        return;
    nbj__session_reconnect(client->session, nbj__os_now());
    (void)nbj__client_leave_changed(client, NBJ_OK);
}

/* --- what is --- */

static bool is_ready(const nbj_client *c)
{
    return nbj__session_phase(c->session) == NBJ__PHASE_READY;
}

bool nbj_client_is_connected(const nbj_client *client)
{
    if (nbj__client_enter(client) != NBJ_OK)
        return false;
    bool connected = is_ready(client);
    nbj__client_leave(client);
    return connected;
}

static nbj_client_state state_of(const nbj_client *c)
{
    if (nbj__session_phase(c->session) == NBJ__PHASE_CLOSED)
        return NBJ_CLIENT_CLOSED;
    if (c->draining)
        return NBJ_CLIENT_DRAINING;
    if (is_ready(c))
        return NBJ_CLIENT_CONNECTED;
    return nbj__session_was_ready(c->session) ? NBJ_CLIENT_RECONNECTING : NBJ_CLIENT_CONNECTING;
}

nbj_client_state nbj_client_state_of(const nbj_client *client)
{
    if (nbj__client_enter(client) != NBJ_OK)
        return NBJ_CLIENT_CLOSED;
    nbj_client_state state = state_of(client);
    nbj__client_leave(client);
    return state;
}

static const nbj__info *info_of(const nbj_client *c)
{
    return is_ready(c) ? nbj__session_info(c->session) : NULL;
}

typedef void text_fn(const nbj_client *c, const nbj__info *info, nbj__text *out);

static nbj_status show(const nbj_client *client, text_fn *text, char *out, size_t size)
{
    if (size == 0)
        return NBJ_E_INVALID;
    nbj__text t = nbj__text_into(out, size);
    nbj_status st = nbj__client_enter(client);
    if (st != NBJ_OK)
        return st;
    const nbj__info *info = info_of(client);
    if (info != NULL)
        text(client, info, &t);
    nbj__client_leave(client);
    return info == NULL ? NBJ_E_DISCONNECTED : t.cut ? NBJ_E_FULL : NBJ_OK;
}

static void show_address(const nbj_client *c, const nbj__info *info, nbj__text *out)
{
    uint16_t port = 0;
    const char *host = nbj__session_host(c->session, &port);

    (void)info;
    nbj__text_add(out, host);
    nbj__text_add(out, ":");
    nbj__text_add_u64(out, port);
}

static void show_version(const nbj_client *c, const nbj__info *info, nbj__text *out)
{
    (void)c;
    nbj__text_add_bytes(out, nbj_str(info->version));
}

static void show_name(const nbj_client *c, const nbj__info *info, nbj__text *out)
{
    (void)c;
    nbj__text_add_bytes(out, nbj_str(info->server_name));
}

static void show_id(const nbj_client *c, const nbj__info *info, nbj__text *out)
{
    (void)c;
    nbj__text_add_bytes(out, nbj_str(info->server_id));
}

static void show_own_address(const nbj_client *c, const nbj__info *info, nbj__text *out)
{
    (void)c;
    nbj__text_add_bytes(out, nbj_str(info->client_ip));
}

nbj_status nbj_client_server_address(const nbj_client *client, char *out, size_t size)
{
    return show(client, show_address, out, size);
}

nbj_status nbj_client_server_version(const nbj_client *client, char *out, size_t size)
{
    return show(client, show_version, out, size);
}

nbj_status nbj_client_server_name(const nbj_client *client, char *out, size_t size)
{
    return show(client, show_name, out, size);
}

nbj_status nbj_client_server_id(const nbj_client *client, char *out, size_t size)
{
    return show(client, show_id, out, size);
}

nbj_status nbj_client_own_address(const nbj_client *client, char *out, size_t size)
{
    return show(client, show_own_address, out, size);
}

uint64_t nbj_client_id(const nbj_client *client)
{
    if (nbj__client_enter(client) != NBJ_OK)
        return 0;
    const nbj__info *info = info_of(client);
    uint64_t id = info != NULL ? info->client_id : 0;
    nbj__client_leave(client);
    return id;
}

uint64_t nbj_client_max_payload(const nbj_client *client)
{
    if (nbj__client_enter(client) != NBJ_OK)
        return 0;
    const nbj__info *info = info_of(client);
    uint64_t max = info != NULL && info->max_payload > 0 ? (uint64_t)info->max_payload : 0;
    nbj__client_leave(client);
    return max;
}

nbj_client_stats nbj_client_stats_of(const nbj_client *client)
{
    nbj_client_stats stats = { 0 };

    if (nbj__client_enter(client) != NBJ_OK)
        return stats;
    const nbj__session_stats *s = nbj__session_stats_of(client->session);
    stats = (nbj_client_stats){ s->in_msgs,    s->in_bytes, s->out_msgs, s->out_bytes,
                                s->reconnects, s->dropped,  s->unwanted };
    nbj__client_leave(client);
    return stats;
}
