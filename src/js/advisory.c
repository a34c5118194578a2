/* SPDX-License-Identifier: Apache-2.0 */
#include "js/advisory.h"

#include "base/json_edit.h"
#include "base/rfc3339.h"
#include "wire/subject.h"

#define ADVISORY_TYPE "io.nats.jetstream.advisory.v1."
#define METRIC_TYPE "io.nats.jetstream.metric.v1."

typedef enum about { ABOUT_ALL, ABOUT_STREAM, ABOUT_CONSUMER } about;

/* Of a type that several kinds share, |action| tells which one it is. */
static const struct kind {
    const char *type, *action, *subject;
    about about;
} kinds[NBJ__ADVISORY_KINDS] = {
    [NBJ_ADVISORY_UNKNOWN] = { NULL, NULL, "ADVISORY.>", ABOUT_ALL },
    [NBJ_ADVISORY_MAX_DELIVERIES] = { ADVISORY_TYPE "max_deliver", NULL, "ADVISORY.CONSUMER.MAX_DELIVERIES",
                                      ABOUT_CONSUMER },
    [NBJ_ADVISORY_MSG_TERMINATED] = { ADVISORY_TYPE "terminated", NULL, "ADVISORY.CONSUMER.MSG_TERMINATED",
                                      ABOUT_CONSUMER },
    [NBJ_ADVISORY_MSG_NAKED] = { ADVISORY_TYPE "nak", NULL, "ADVISORY.CONSUMER.MSG_NAKED", ABOUT_CONSUMER },
    [NBJ_ADVISORY_CONSUMER_CREATED] = { ADVISORY_TYPE "consumer_action", "create", "ADVISORY.CONSUMER.CREATED",
                                        ABOUT_CONSUMER },
    [NBJ_ADVISORY_CONSUMER_DELETED] = { ADVISORY_TYPE "consumer_action", "delete", "ADVISORY.CONSUMER.DELETED",
                                        ABOUT_CONSUMER },
    [NBJ_ADVISORY_CONSUMER_PAUSE] = { ADVISORY_TYPE "consumer_pause", NULL, "ADVISORY.CONSUMER.PAUSE", ABOUT_CONSUMER },
    [NBJ_ADVISORY_CONSUMER_PINNED] = { ADVISORY_TYPE "consumer_group_pinned", NULL, "ADVISORY.CONSUMER.PINNED",
                                       ABOUT_CONSUMER },
    [NBJ_ADVISORY_CONSUMER_UNPINNED] = { ADVISORY_TYPE "consumer_group_unpinned", NULL, "ADVISORY.CONSUMER.UNPINNED",
                                         ABOUT_CONSUMER },
    [NBJ_ADVISORY_CONSUMER_LEADER_ELECTED] = { ADVISORY_TYPE "consumer_leader_elected", NULL,
                                               "ADVISORY.CONSUMER.LEADER_ELECTED", ABOUT_CONSUMER },
    [NBJ_ADVISORY_CONSUMER_QUORUM_LOST] = { ADVISORY_TYPE "consumer_quorum_lost", NULL, "ADVISORY.CONSUMER.QUORUM_LOST",
                                            ABOUT_CONSUMER },
    [NBJ_ADVISORY_STREAM_CREATED] = { ADVISORY_TYPE "stream_action", "create", "ADVISORY.STREAM.CREATED",
                                      ABOUT_STREAM },
    [NBJ_ADVISORY_STREAM_UPDATED] = { ADVISORY_TYPE "stream_action", "modify", "ADVISORY.STREAM.UPDATED",
                                      ABOUT_STREAM },
    [NBJ_ADVISORY_STREAM_DELETED] = { ADVISORY_TYPE "stream_action", "delete", "ADVISORY.STREAM.DELETED",
                                      ABOUT_STREAM },
    [NBJ_ADVISORY_STREAM_LEADER_ELECTED] = { ADVISORY_TYPE "stream_leader_elected", NULL,
                                             "ADVISORY.STREAM.LEADER_ELECTED", ABOUT_STREAM },
    [NBJ_ADVISORY_STREAM_QUORUM_LOST] = { ADVISORY_TYPE "stream_quorum_lost", NULL, "ADVISORY.STREAM.QUORUM_LOST",
                                          ABOUT_STREAM },
    [NBJ_ADVISORY_SNAPSHOT_CREATE] = { ADVISORY_TYPE "snapshot_create", NULL, "ADVISORY.STREAM.SNAPSHOT_CREATE",
                                       ABOUT_STREAM },
    [NBJ_ADVISORY_SNAPSHOT_COMPLETE] = { ADVISORY_TYPE "snapshot_complete", NULL, "ADVISORY.STREAM.SNAPSHOT_COMPLETE",
                                         ABOUT_STREAM },
    [NBJ_ADVISORY_RESTORE_CREATE] = { ADVISORY_TYPE "restore_create", NULL, "ADVISORY.STREAM.RESTORE_CREATE",
                                      ABOUT_STREAM },
    [NBJ_ADVISORY_RESTORE_COMPLETE] = { ADVISORY_TYPE "restore_complete", NULL, "ADVISORY.STREAM.RESTORE_COMPLETE",
                                        ABOUT_STREAM },
    [NBJ_ADVISORY_BATCH_ABANDONED] = { ADVISORY_TYPE "stream_batch_abandoned", NULL, "ADVISORY.STREAM.BATCH_ABANDONED",
                                       ABOUT_STREAM },
    [NBJ_ADVISORY_DOMAIN_LEADER_ELECTED] = { ADVISORY_TYPE "domain_leader_elected", NULL,
                                             "ADVISORY.DOMAIN.LEADER_ELECTED", ABOUT_ALL },
    [NBJ_ADVISORY_SERVER_OUT_OF_STORAGE] = { ADVISORY_TYPE "server_out_of_space", NULL,
                                             "ADVISORY.SERVER.OUT_OF_STORAGE", ABOUT_ALL },
    [NBJ_ADVISORY_SERVER_REMOVED] = { ADVISORY_TYPE "server_removed", NULL, "ADVISORY.SERVER.REMOVED", ABOUT_ALL },
    [NBJ_ADVISORY_META_RESCUE] = { ADVISORY_TYPE "meta_rescue", NULL, "ADVISORY.SERVER.META_RESCUE", ABOUT_ALL },
    [NBJ_ADVISORY_API_LIMIT_REACHED] = { ADVISORY_TYPE "api_limit_reached", NULL, "ADVISORY.API.LIMIT_REACHED",
                                         ABOUT_ALL },
    [NBJ_ADVISORY_API_AUDIT] = { ADVISORY_TYPE "api_audit", NULL, "ADVISORY.API", ABOUT_ALL },
    [NBJ_ADVISORY_ACK_METRIC] = { METRIC_TYPE "consumer_ack", NULL, "METRIC.CONSUMER.ACK", ABOUT_CONSUMER },
};

/* --- reading --- */

typedef enum member_kind { TEXT, NUMBER, TRUTH, TIME } member_kind;

/* No two kinds mean different things by the same name. |in|: the object within it; NULL: itself. */
static const struct member {
    const char *in, *name;
    member_kind kind;
    size_t offset;
} members[] = {
#define MEMBER(in, name, kind, member)                 \
    {                                                  \
        in, name, kind, offsetof(nbj_advisory, member) \
    }
    MEMBER(NULL, "type", TEXT, type),
    MEMBER(NULL, "id", TEXT, id),
    MEMBER(NULL, "timestamp", TIME, time_ns),
    MEMBER(NULL, "domain", TEXT, domain),
    MEMBER(NULL, "account", TEXT, account),
    MEMBER(NULL, "stream", TEXT, stream),
    MEMBER(NULL, "consumer", TEXT, consumer),
    MEMBER(NULL, "stream_seq", NUMBER, stream_sequence),
    MEMBER(NULL, "consumer_seq", NUMBER, consumer_sequence),
    MEMBER(NULL, "deliveries", NUMBER, deliveries),
    MEMBER(NULL, "ack_time", NUMBER, ack_time_ns),
    MEMBER(NULL, "reason", TEXT, reason),
    MEMBER(NULL, "error", TEXT, error),
    MEMBER(NULL, "group", TEXT, group),
    MEMBER(NULL, "pinned_id", TEXT, pinned_id),
    MEMBER(NULL, "batch", TEXT, batch),
    MEMBER(NULL, "leader", TEXT, leader),
    MEMBER(NULL, "cluster", TEXT, cluster),
    MEMBER(NULL, "server", TEXT, server),
    MEMBER(NULL, "server_id", TEXT, server_id),
    MEMBER(NULL, "subject", TEXT, subject),
    MEMBER(NULL, "request", TEXT, request),
    MEMBER(NULL, "response", TEXT, response),
    MEMBER(NULL, "paused", TRUTH, paused),
    MEMBER(NULL, "pause_until", TIME, pause_until_ns),
    MEMBER(NULL, "start", TIME, start_ns),
    MEMBER(NULL, "end", TIME, end_ns),
    MEMBER(NULL, "bytes", NUMBER, bytes),
    MEMBER(NULL, "dropped", NUMBER, dropped),
    MEMBER(NULL, "prev_quorum", NUMBER, old_quorum),
    MEMBER(NULL, "new_quorum", NUMBER, new_quorum),
    MEMBER("state", "messages", NUMBER, state_messages),
    MEMBER("state", "bytes", NUMBER, state_bytes),
    MEMBER("state", "first_seq", NUMBER, state_first_sequence),
    MEMBER("state", "last_seq", NUMBER, state_last_sequence),
    MEMBER("state", "consumer_count", NUMBER, state_consumers),
    MEMBER("client", "id", NUMBER, client_id),
    MEMBER("client", "name", TEXT, client_name),
    MEMBER("client", "user", TEXT, client_user),
    MEMBER("client", "acc", TEXT, client_account),
    MEMBER("client", "host", TEXT, client_host),
    MEMBER("client", "server", TEXT, client_server),
#undef MEMBER
};

static void read_member(const nbj__json *object, const struct member *m, void *at)
{
    switch (m->kind) {
    case TEXT:
        *(nbj_bytes *)at = nbj__json_text(object, m->name);
        break;
    case NUMBER:
        *(uint64_t *)at = nbj__json_u64(object, m->name);
        break;
    case TRUTH:
        *(bool *)at = nbj__json_bool(object, m->name);
        break;
    case TIME:
        (void)nbj__rfc3339_parse(nbj__json_text(object, m->name), at); /* 0 where it is none */
        break;
    }
}

static nbj_advisory_kind kind_of(nbj_bytes type, nbj_bytes action)
{
    for (size_t i = 1; i < NBJ__ADVISORY_KINDS; i++) {
        const struct kind *k = &kinds[i];
        if (nbj_bytes_equal(type, nbj_str(k->type)) &&
            (k->action == NULL || nbj_bytes_equal(action, nbj_str(k->action))))
            return (nbj_advisory_kind)i;
    }
    return NBJ_ADVISORY_UNKNOWN;
}

nbj_status nbj__advisory_read(nbj_bytes payload, nbj__advisory *out)
{
    *out = (nbj__advisory){ .data.json = payload };
    nbj_status st = nbj__json_parse(payload, &out->json);
    if (st != NBJ_OK)
        return st == NBJ_E_NOMEM ? st : NBJ_E_BAD_REPLY;
    for (size_t i = 0; i < sizeof members / sizeof members[0]; i++) {
        const struct member *m = &members[i];
        const nbj__json *object = m->in != NULL ? nbj__json_object(out->json, m->in) : out->json;
        read_member(object, m, (char *)&out->data + m->offset);
    }
    const nbj__json *replicas = nbj__json_array(out->json, "replicas");
    out->data.replicas = replicas;
    out->data.replica_count = nbj__json_length(replicas);
    out->data.kind = kind_of(out->data.type, nbj__json_text(out->json, "action"));
    return NBJ_OK;
}

void nbj__advisory_clear(nbj__advisory *a)
{
    nbj__json_free(a->json);
    *a = (nbj__advisory){ 0 };
}

nbj_advisory_peer nbj_advisory_replica(const nbj_advisory *advisory, size_t i)
{
    const nbj__json *peer = i < advisory->replica_count ? nbj__json_item(advisory->replicas, i) : NULL;

    return (nbj_advisory_peer){ .name = nbj__json_text(peer, "name"),
                                .active_ns = nbj__json_u64(peer, "active"),
                                .lag = nbj__json_u64(peer, "lag"),
                                .is_current = nbj__json_bool(peer, "current"),
                                .is_offline = nbj__json_bool(peer, "offline") };
}

/* --- filters --- */

#define KNOWN_KINDS ((NBJ_ADVISORY_BIT(NBJ__ADVISORY_KINDS) - 1) & ~NBJ_ADVISORY_BIT(NBJ_ADVISORY_UNKNOWN))

static bool is_name(const char *name)
{
    return name == NULL || nbj__name_is_legal(nbj_str(name));
}

/* What a kind is about has a name for everything that the filter names. */
static bool fits(const nbj__advisory_filter *f, nbj_advisory_kind kind)
{
    about least = f->consumer != NULL ? ABOUT_CONSUMER : f->stream != NULL ? ABOUT_STREAM : ABOUT_ALL;

    return kinds[kind].about >= least;
}

bool nbj__advisory_filter_check(nbj__advisory_filter *f)
{
    bool is_default = f->kinds == 0;

    if (is_default)
        f->kinds = KNOWN_KINDS & ~NBJ_ADVISORY_BIT(NBJ_ADVISORY_API_AUDIT);
    if (f->prefix == NULL)
        f->prefix = NBJ__EVENT_PREFIX;
    if (!is_name(f->stream) || !is_name(f->consumer) || !nbj__subject_is_literal(nbj_str(f->prefix)))
        return false;
    return nbj__advisory_subscriptions(f) != 0 && (f->kinds >> NBJ__ADVISORY_KINDS) == 0;
}

uint64_t nbj__advisory_subscriptions(const nbj__advisory_filter *f)
{
    uint64_t wanted = 0;
    uint64_t metrics = NBJ_ADVISORY_BIT(NBJ_ADVISORY_ACK_METRIC);

    for (unsigned i = 1; i < NBJ__ADVISORY_KINDS; i++) {
        if ((f->kinds & NBJ_ADVISORY_BIT(i)) != 0 && fits(f, (nbj_advisory_kind)i))
            wanted |= NBJ_ADVISORY_BIT(i);
    }
    bool any = (f->kinds & NBJ_ADVISORY_BIT(NBJ_ADVISORY_UNKNOWN)) != 0;
    return any ? (wanted & metrics) | NBJ_ADVISORY_BIT(NBJ_ADVISORY_UNKNOWN) : wanted;
}

static void add_token(nbj__text *t, const char *name)
{
    nbj__text_add(t, ".");
    nbj__text_add(t, name != NULL ? name : "*");
}

bool nbj__advisory_subject(const nbj__advisory_filter *f, nbj_advisory_kind kind, nbj__text *out)
{
    const struct kind *k = &kinds[kind];

    if (kind != NBJ_ADVISORY_UNKNOWN && !fits(f, kind))
        return false;
    nbj__text_add(out, f->prefix);
    nbj__text_add(out, ".");
    nbj__text_add(out, k->subject);
    if (k->about >= ABOUT_STREAM)
        add_token(out, f->stream);
    if (k->about >= ABOUT_CONSUMER)
        add_token(out, f->consumer);
    return true;
}

static bool is_same(const char *wanted, nbj_bytes name)
{
    return wanted == NULL || nbj_bytes_equal(nbj_str(wanted), name);
}

bool nbj__advisory_is_wanted(const nbj__advisory_filter *f, const nbj_advisory *a)
{
    bool is_kind = a->kind == NBJ_ADVISORY_UNKNOWN || (f->kinds & NBJ_ADVISORY_BIT(a->kind)) != 0;

    if (a->type.len == 0) /* it could not be read: better one too many */
        return true;
    return is_kind && is_same(f->domain, a->domain) && is_same(f->stream, a->stream) &&
           is_same(f->consumer, a->consumer);
}
