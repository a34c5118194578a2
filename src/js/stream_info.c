/* SPDX-License-Identifier: Apache-2.0 */
#include "js/stream_info.h"

#include "base/rfc3339.h"
#include "js/stream_config.h"

#include <stdatomic.h>

#define SIZE_SANE 65536u

struct nbj_stream_info {
    const nbj_allocator *alloc;
    atomic_size_t refs;
    nbj__json *doc;
    nbj__arena arena;
    nbj_stream_config config;
    const char *json;
    nbj_subject_count *subjects;
    size_t subject_count;
};

static const char *text(const nbj__json *o, const char *name)
{
    nbj_bytes t = nbj__json_text(o, name);

    return t.ptr != NULL ? (const char *)t.ptr : "";
}

static uint64_t time_of(const nbj__json *o, const char *name)
{
    int64_t ns = 0;

    return nbj__rfc3339_parse(nbj__json_text(o, name), &ns) && ns > 0 ? (uint64_t)ns : 0;
}

/* --- making and giving back --- */

static nbj_status read_subjects(nbj_stream_info *info)
{
    nbj__json *subjects = nbj__json_object(nbj__json_object(info->doc, "state"), "subjects");
    nbj__json_member m = { 0 };
    size_t n = 0;

    while (nbj__json_next(subjects, &m))
        n++;
    if (n == 0)
        return NBJ_OK;
    info->subjects = nbj__arena_take(&info->arena, n * sizeof *info->subjects);
    if (info->subjects == NULL)
        return NBJ_E_NOMEM;
    m = (nbj__json_member){ 0 };
    while (nbj__json_next(subjects, &m))
        info->subjects[info->subject_count++] = (nbj_subject_count){ m.name, nbj__json_value_u64(m.value) };
    return NBJ_OK;
}

static nbj_status fill(nbj_stream_info *info)
{
    nbj__json *config = nbj__json_object(info->doc, "config");

    if (nbj__json_text(config, "name").len == 0)
        return NBJ_E_BAD_REPLY;
    info->config.struct_size = sizeof info->config;
    nbj_status st = nbj__fields_read(&nbj__stream_fields, config, &info->arena, &info->config);
    if (st == NBJ_OK)
        st = read_subjects(info);
    if (st != NBJ_OK)
        return st;
    info->json = (const char *)nbj__json_written(info->doc).ptr;
    return info->json != NULL ? NBJ_OK : NBJ_E_NOMEM;
}

nbj_status nbj__stream_info_new(const nbj_allocator *alloc, nbj__json *doc, nbj_stream_info **out)
{
    nbj_stream_info *info = nbj__alloc0(alloc, sizeof *info);

    *out = NULL;
    if (info == NULL) {
        nbj__json_free(doc);
        return NBJ_E_NOMEM;
    }
    info->alloc = alloc;
    info->doc = doc;
    atomic_init(&info->refs, 1);
    nbj__arena_init(&info->arena, alloc);
    nbj_status st = fill(info);
    if (st == NBJ_OK)
        *out = info;
    else
        nbj_stream_info_release(info);
    return st;
}

nbj_stream_info *nbj_stream_info_retain(const nbj_stream_info *info)
{
    nbj_stream_info *i = (nbj_stream_info *)(uintptr_t)info; /* the count is ours to change */

    atomic_fetch_add_explicit(&i->refs, 1, memory_order_relaxed);
    return i;
}

void nbj_stream_info_release(nbj_stream_info *info)
{
    if (info == NULL || atomic_fetch_sub_explicit(&info->refs, 1, memory_order_acq_rel) > 1)
        return;
    nbj__arena_free(&info->arena);
    nbj__json_free(info->doc);
    nbj__free(info->alloc, info, sizeof *info);
}

/* --- looking --- */

const char *nbj_stream_info_name(const nbj_stream_info *info)
{
    return info->config.name;
}

nbj_status nbj_stream_info_config(const nbj_stream_info *info, nbj_stream_config *out)
{
    size_t size = out->struct_size;

    if (size < sizeof size || size > SIZE_SANE)
        return NBJ_E_INVALID;
    memset(out, 0, size);
    memcpy(out, &info->config, size < sizeof *out ? size : sizeof *out);
    out->struct_size = size;
    return NBJ_OK;
}

nbj_stream_state nbj_stream_info_state(const nbj_stream_info *info)
{
    const nbj__json *s = nbj__json_object(info->doc, "state");

    return (nbj_stream_state){
        .messages = nbj__json_u64(s, "messages"),
        .bytes = nbj__json_u64(s, "bytes"),
        .first_sequence = nbj__json_u64(s, "first_seq"),
        .last_sequence = nbj__json_u64(s, "last_seq"),
        .first_time_ns = time_of(s, "first_ts"),
        .last_time_ns = time_of(s, "last_ts"),
        .deleted = nbj__json_u64(s, "num_deleted"),
        .lost = nbj__json_length(nbj__json_array(nbj__json_object(s, "lost"), "msgs")),
        .subjects = nbj__json_u64(s, "num_subjects"),
        .consumers = nbj__json_u64(s, "consumer_count"),
    };
}

uint64_t nbj_stream_info_created_ns(const nbj_stream_info *info)
{
    return time_of(info->doc, "created");
}

uint64_t nbj_stream_info_time_ns(const nbj_stream_info *info)
{
    return time_of(info->doc, "ts");
}

const char *nbj_stream_info_domain(const nbj_stream_info *info)
{
    return text(info->doc, "domain");
}

nbj_stream_cluster nbj_stream_info_cluster(const nbj_stream_info *info)
{
    const nbj__json *c = nbj__json_object(info->doc, "cluster");

    return (nbj_stream_cluster){
        .name = text(c, "name"),
        .leader = text(c, "leader"),
        .raft_group = text(c, "raft_group"),
        .leader_since_ns = time_of(c, "leader_since"),
    };
}

bool nbj_stream_info_subject(const nbj_stream_info *info, size_t i, nbj_subject_count *out)
{
    *out = i < info->subject_count ? info->subjects[i] : (nbj_subject_count){ 0 };
    return i < info->subject_count;
}

bool nbj_stream_info_deleted(const nbj_stream_info *info, size_t i, uint64_t *sequence)
{
    const nbj__json *deleted = nbj__json_array(nbj__json_object(info->doc, "state"), "deleted");

    *sequence = nbj__json_value_u64(nbj__json_item(deleted, i));
    return i < nbj__json_length(deleted);
}

bool nbj_stream_info_replica(const nbj_stream_info *info, size_t i, nbj_stream_replica *out)
{
    const nbj__json *r = nbj__json_item(nbj__json_array(nbj__json_object(info->doc, "cluster"), "replicas"), i);

    *out = (nbj_stream_replica){ 0 };
    if (nbj__json_kind_of(r) != NBJ__JSON_OBJECT)
        return false;
    *out = (nbj_stream_replica){
        .name = text(r, "name"),
        .peer = text(r, "peer"),
        .active_ns = nbj__json_u64(r, "active"),
        .lag = nbj__json_u64(r, "lag"),
        .current = nbj__json_bool(r, "current"),
        .offline = nbj__json_bool(r, "offline"),
    };
    return true;
}

static bool source_info(const nbj__json *s, nbj_stream_source_info *out)
{
    const nbj__json *error = nbj__json_object(s, "error");
    int64_t active = nbj__json_i64(s, "active");

    *out = (nbj_stream_source_info){ 0 };
    if (nbj__json_kind_of(s) != NBJ__JSON_OBJECT)
        return false;
    *out = (nbj_stream_source_info){
        .name = text(s, "name"),
        .filter_subject = text(s, "filter_subject"),
        .external_api = text(nbj__json_object(s, "external"), "api"),
        .lag = nbj__json_u64(s, "lag"),
        .active_ns = active < 0 ? NBJ_FOREVER : (uint64_t)active,
        .error_code = (int32_t)nbj__json_i64(error, "err_code"),
        .error_text = text(error, "description"),
    };
    return true;
}

bool nbj_stream_info_mirror(const nbj_stream_info *info, nbj_stream_source_info *out)
{
    return source_info(nbj__json_object(info->doc, "mirror"), out);
}

bool nbj_stream_info_source(const nbj_stream_info *info, size_t i, nbj_stream_source_info *out)
{
    return source_info(nbj__json_item(nbj__json_array(info->doc, "sources"), i), out);
}

bool nbj_stream_info_alternate(const nbj_stream_info *info, size_t i, nbj_stream_alternate *out)
{
    const nbj__json *a = nbj__json_item(nbj__json_array(info->doc, "alternates"), i);

    *out = (nbj_stream_alternate){ 0 };
    if (nbj__json_kind_of(a) != NBJ__JSON_OBJECT)
        return false;
    *out = (nbj_stream_alternate){ text(a, "name"), text(a, "domain"), text(a, "cluster") };
    return true;
}

const char *nbj_stream_info_json(const nbj_stream_info *info)
{
    return info->json;
}
