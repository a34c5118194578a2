/* SPDX-License-Identifier: Apache-2.0 */
#include "js/stream_config.h"

#include "base/options.h"
#include "wire/subject.h"

#include <assert.h>

/* --- the table --- */

static const char *const retentions[] = { "limits", "interest", "workqueue", NULL };
static const char *const storages[] = { "file", "memory", NULL };
static const char *const discards[] = { "old", "new", NULL };
static const char *const compressions[] = { "none", "s2", NULL };
static const char *const persist_modes[] = { "default", "async", NULL };

#define ROW(type, name, what, member, ...)                                                     \
    {                                                                                          \
        .json = name, .kind = NBJ__FIELD_##what, .offset = offsetof(type, member), __VA_ARGS__ \
    }
#define CONFIG(name, what, member, ...) ROW(nbj_stream_config, name, what, member, __VA_ARGS__)
#define SOURCE(name, what, member, ...) ROW(nbj_stream_source, name, what, member, __VA_ARGS__)
#define PART(name, fields, ...) ROW(nbj_stream_config, name, PART, struct_size, .more = &fields, __VA_ARGS__)
#define PLAIN .feature = NBJ__FEATURE_NONE
#define NEEDS(what) .feature = NBJ__FEATURE_##what
#define TABLE(rows, type)                                \
    {                                                    \
        rows, sizeof rows / sizeof rows[0], sizeof(type) \
    }

static const nbj__field external_rows[] = {
    SOURCE("api", TEXT, external_api, PLAIN),
    SOURCE("api", DOMAIN, domain, PLAIN),
    SOURCE("deliver", TEXT, external_deliver, PLAIN),
};
static const nbj__fields external = TABLE(external_rows, nbj_stream_source);

static const nbj__field source_consumer_rows[] = {
    SOURCE("name", TEXT, consumer_name, PLAIN),
    SOURCE("deliver_subject", TEXT, consumer_deliver_subject, PLAIN),
};
static const nbj__fields source_consumer = TABLE(source_consumer_rows, nbj_stream_source);

static const nbj__field source_rows[] = {
    SOURCE("name", TEXT, name, PLAIN),
    SOURCE("opt_start_seq", U64, start_sequence, PLAIN),
    SOURCE("opt_start_time", TIME, start_time_ns, PLAIN),
    SOURCE("filter_subject", TEXT, filter_subject, PLAIN),
    SOURCE("subject_transforms", TRANSFORMS, subject_transforms, NEEDS(SUBJECT_TRANSFORM)),
    PART("external", external, PLAIN),
    PART("consumer", source_consumer, NEEDS(SOURCE_CONSUMER)),
};
static const nbj__fields source = TABLE(source_rows, nbj_stream_source);

static const nbj__field placement_rows[] = {
    CONFIG("cluster", TEXT, placement_cluster, PLAIN),
    CONFIG("tags", TEXTS, placement_tags, PLAIN),
};
static const nbj__fields placement = TABLE(placement_rows, nbj_stream_config);

static const nbj__field republish_rows[] = {
    CONFIG("src", TEXT, republish_source, PLAIN),
    CONFIG("dest", TEXT, republish_destination, PLAIN),
    CONFIG("headers_only", BOOL, republish_headers_only, PLAIN),
};
static const nbj__fields republish = TABLE(republish_rows, nbj_stream_config);

static const nbj__field transform_rows[] = {
    CONFIG("src", TEXT, transform_source, PLAIN),
    CONFIG("dest", TEXT, transform_destination, PLAIN),
};
static const nbj__fields transform = TABLE(transform_rows, nbj_stream_config);

static const nbj__field consumer_limits_rows[] = {
    CONFIG("inactive_threshold", DURATION, consumer_inactive_threshold_ns, PLAIN),
    CONFIG("max_ack_pending", I64, consumer_max_ack_pending, PLAIN),
};
static const nbj__fields consumer_limits = TABLE(consumer_limits_rows, nbj_stream_config);

static const nbj__field rows[] = {
    CONFIG("name", TEXT, name, .is_fixed = true),
    CONFIG("description", TEXT, description, PLAIN),
    CONFIG("subjects", TEXTS, subjects, PLAIN),
    CONFIG("retention", ENUM, retention, .more = retentions, .text = "limits"),
    CONFIG("max_consumers", I64, max_consumers, .number = -1),
    CONFIG("max_msgs", I64, max_messages, .number = -1),
    CONFIG("max_bytes", I64, max_bytes, .number = -1),
    CONFIG("max_age", DURATION, max_age_ns, PLAIN),
    CONFIG("max_msgs_per_subject", I64, max_messages_per_subject, .number = -1),
    CONFIG("max_msg_size", I32, max_message_bytes, .number = -1),
    CONFIG("discard", ENUM, discard, .more = discards, .text = "old"),
    CONFIG("discard_new_per_subject", BOOL, discard_new_per_subject, NEEDS(DISCARD_NEW_PER_SUBJECT)),
    CONFIG("storage", ENUM, storage, .more = storages, .text = "file", .is_fixed = true),
    CONFIG("num_replicas", U32, replicas, .number = 1),
    CONFIG("no_ack", BOOL, no_ack, PLAIN),
    CONFIG("duplicate_window", DURATION, duplicate_window_ns, PLAIN),
    PART("placement", placement, PLAIN),
    CONFIG("mirror", STRUCT, mirror, .more = &source),
    CONFIG("sources", STRUCTS, sources, .more = &source),
    CONFIG("sealed", BOOL, sealed, PLAIN),
    CONFIG("deny_delete", BOOL, deny_delete, PLAIN),
    CONFIG("deny_purge", BOOL, deny_purge, PLAIN),
    CONFIG("allow_rollup_hdrs", BOOL, allow_rollup, PLAIN),
    CONFIG("allow_direct", BOOL, allow_direct, NEEDS(DIRECT_GET)),
    CONFIG("mirror_direct", BOOL, mirror_direct, NEEDS(DIRECT_GET), .whose = NBJ__SERVERS),
    PART("republish", republish, NEEDS(REPUBLISH)),
    PART("subject_transform", transform, NEEDS(SUBJECT_TRANSFORM)),
    CONFIG("compression", ENUM, compression, .more = compressions, NEEDS(COMPRESSION), .text = "none"),
    CONFIG("first_seq", U64, first_sequence, NEEDS(FIRST_SEQUENCE), .is_fixed = true),
    PART("consumer_limits", consumer_limits, NEEDS(CONSUMER_LIMITS)),
    CONFIG("metadata", PAIRS, metadata, NEEDS(METADATA)),
    CONFIG("allow_msg_ttl", BOOL, allow_msg_ttl, NEEDS(MSG_TTL)),
    CONFIG("subject_delete_marker_ttl", DURATION, subject_delete_marker_ttl_ns, NEEDS(DELETE_MARKERS)),
    CONFIG("allow_msg_counter", BOOL, allow_msg_counter, NEEDS(COUNTERS), .is_fixed = true),
    CONFIG("allow_atomic", BOOL, allow_atomic, NEEDS(ATOMIC_BATCH)),
    CONFIG("allow_msg_schedules", BOOL, allow_msg_schedules, NEEDS(SCHEDULES)),
    CONFIG("persist_mode", ENUM, persist_mode, .more = persist_modes, NEEDS(PERSIST_MODE), .text = "default",
           .is_fixed = true),
    CONFIG("allow_batched", BOOL, allow_batched, NEEDS(FAST_INGEST)),
    CONFIG("pedantic", BOOL, pedantic, NEEDS(PEDANTIC), .whose = NBJ__OF_REQUEST),
};
const nbj__fields nbj__stream_fields = TABLE(rows, nbj_stream_config);

/* No padding at the ends, which a program of another version would not zero. */
static_assert(offsetof(nbj_stream_config, reserved_bool) + sizeof(bool) == sizeof(nbj_stream_config), "no padding");
static_assert(offsetof(nbj_stream_source, consumer_deliver_subject) + sizeof(const char *) == sizeof(nbj_stream_source),
              "no padding");

/* --- what is wanted --- */

static nbj_status check(const nbj_stream_config *c, nbj_error *error)
{
    if (!nbj__name_is_legal(nbj_str(c->name)))
        return nbj__error_set(error, NBJ_E_INVALID, "not a legal name of a stream: \"", c->name != NULL ? c->name : "",
                              "\"", (char *)NULL);
    for (size_t i = 0; i < c->subjects.count; i++) {
        const char *s = c->subjects.items[i];
        if (!nbj__subject_is_filter(nbj_str(s)))
            return nbj__error_set(error, NBJ_E_BAD_SUBJECT, "stream ", c->name, ": not a legal subject: \"",
                                  s != NULL ? s : "", "\"", (char *)NULL);
    }
    return NBJ_OK;
}

/* Fields with names of the server's, which |want| becomes null at. */
static nbj_status add_resets(nbj__json *want, const nbj_stream_config *c)
{
    nbj_status st = NBJ_OK;

    for (size_t i = 0; i < c->reset.count && st == NBJ_OK; i++) {
        const char *name = c->reset.items[i];
        if (name == NULL || nbj__json_has(want, name)) /* set and reset at once */
            return NBJ_E_INVALID;
        st = nbj__json_put_null(want, name);
    }
    return st;
}

static nbj_status add_more(nbj__json *want, const char *more_json)
{
    nbj__json *more = NULL;

    if (more_json == NULL)
        return NBJ_OK;
    nbj_status st = nbj__json_parse(nbj_str(more_json), &more);
    if (st == NBJ_OK)
        st = nbj__json_merge(want, more);
    nbj__json_free(more);
    return st == NBJ_E_PROTO ? NBJ_E_INVALID : st;
}

static nbj_status invalid(const nbj_stream_config *c, const char *what, nbj_status st, nbj_error *error)
{
    if (st != NBJ_E_INVALID)
        return nbj__error_set(error, st, nbj_strerror(st), (char *)NULL);
    return nbj__error_set(error, st, "stream ", c->name, ": its ", what, " cannot be so", (char *)NULL);
}

nbj_status nbj__stream_config_want(const nbj_allocator *alloc, const nbj_stream_config *config, nbj__json **want,
                                   nbj_error *error)
{
    const char *bad = "configuration";
    nbj_stream_config c;
    nbj__buf text;

    *want = NULL;
    if (nbj__options_read(&c, sizeof c, config) != NBJ_OK)
        return nbj__error_set(error, NBJ_E_INVALID, "a stream's configuration is of another version", (char *)NULL);
    nbj_status st = check(&c, error);
    if (st != NBJ_OK)
        return st;
    nbj__buf_init(&text, alloc, NBJ__API_BODY_MAX);
    nbj__json_writer w = nbj__json_begin(&text);
    nbj__fields_write(&nbj__stream_fields, &c, &w, &bad);
    st = nbj__json_end(&w);
    if (st == NBJ_OK)
        st = nbj__json_parse(nbj__buf_view(&text), want);
    nbj__buf_free(&text);
    if (st == NBJ_OK) {
        bad = "more_json";
        st = add_more(*want, c.more_json);
    }
    if (st == NBJ_OK) {
        bad = "reset";
        st = add_resets(*want, &c);
    }
    if (st == NBJ_OK)
        return NBJ_OK;
    nbj__json_free(*want);
    *want = NULL;
    return invalid(&c, bad, st, error);
}
