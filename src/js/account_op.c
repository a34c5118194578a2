/* SPDX-License-Identifier: Apache-2.0 */
#include "js/account_op.h"

#include "base/heap.h"
#include "base/json_edit.h"
#include "base/text.h"

struct nbj_account_info {
    const nbj_allocator *alloc;
    nbj__json *doc;
    const char *json;
};

/* --- what was said --- */

void nbj_account_info_release(nbj_account_info *info)
{
    if (info == NULL)
        return;
    nbj__json_free(info->doc);
    nbj__free(info->alloc, info, sizeof *info);
}

static nbj_account_usage usage_of(const nbj__json *o)
{
    const nbj__json *l = nbj__json_object(o, "limits");

    return (nbj_account_usage){
        .memory = nbj__json_u64(o, "memory"),
        .storage = nbj__json_u64(o, "storage"),
        .reserved_memory = nbj__json_u64(o, "reserved_memory"),
        .reserved_storage = nbj__json_u64(o, "reserved_storage"),
        .streams = nbj__json_u64(o, "streams"),
        .consumers = nbj__json_u64(o, "consumers"),
        .max_memory = nbj__json_i64(l, "max_memory"),
        .max_storage = nbj__json_i64(l, "max_storage"),
        .max_streams = nbj__json_i64(l, "max_streams"),
        .max_consumers = nbj__json_i64(l, "max_consumers"),
        .max_ack_pending = nbj__json_i64(l, "max_ack_pending"),
        .memory_max_stream_bytes = nbj__json_i64(l, "memory_max_stream_bytes"),
        .storage_max_stream_bytes = nbj__json_i64(l, "storage_max_stream_bytes"),
        .max_bytes_required = nbj__json_bool(l, "max_bytes_required"),
    };
}

nbj_account_usage nbj_account_info_usage(const nbj_account_info *info)
{
    return usage_of(info->doc);
}

bool nbj_account_info_tier(const nbj_account_info *info, size_t i, const char **name, nbj_account_usage *out)
{
    const nbj__json *tiers = nbj__json_object(info->doc, "tiers");
    nbj__json_member m = { 0 };

    *name = "";
    *out = (nbj_account_usage){ 0 };
    while (nbj__json_next(tiers, &m)) {
        if (i-- > 0)
            continue;
        *name = m.name;
        *out = usage_of(m.value);
        return true;
    }
    return false;
}

nbj_account_api nbj_account_info_api(const nbj_account_info *info)
{
    const nbj__json *api = nbj__json_object(info->doc, "api");

    return (nbj_account_api){
        .level = nbj__json_u64(api, "level"),
        .total = nbj__json_u64(api, "total"),
        .errors = nbj__json_u64(api, "errors"),
        .inflight = nbj__json_u64(api, "inflight"),
    };
}

const char *nbj_account_info_domain(const nbj_account_info *info)
{
    nbj_bytes domain = nbj__json_text(info->doc, "domain");

    return domain.ptr != NULL ? (const char *)domain.ptr : "";
}

const char *nbj_account_info_json(const nbj_account_info *info)
{
    return info->json;
}

/* --- asking --- */

typedef struct account_op {
    nbj__op op;
    bool is_asked;
    nbj_account_info *info;
} account_op;

static void account_free(nbj__op *op)
{
    account_op *a = (account_op *)(void *)op;

    nbj_account_info_release(a->info);
    nbj__free(op->alloc, a, sizeof *a);
}

static nbj_status account_step(nbj__op *op, nbj_status status, const nbj_msg *answer, nbj_error *error)
{
    account_op *a = (account_op *)(void *)op;

    if (!a->is_asked) {
        a->is_asked = true;
        nbj__op_ask(op, "INFO", NULL, NULL);
        return NBJ_MORE;
    }
    status = nbj__op_answer(status, answer, (nbj__js_about){ NULL, NULL }, &a->info->doc, error);
    if (status != NBJ_OK)
        return status;
    a->info->json = (const char *)nbj__json_written(a->info->doc).ptr;
    return a->info->json != NULL ? NBJ_OK : nbj__error_set(error, NBJ_E_NOMEM, nbj_strerror(NBJ_E_NOMEM), (char *)NULL);
}

nbj__op *nbj__account_info_new(const nbj_allocator *alloc)
{
    account_op *a = nbj__alloc0(alloc, sizeof *a);

    if (a == NULL)
        return NULL;
    nbj__op_init(&a->op, alloc, account_step, account_free);
    a->info = nbj__alloc0(alloc, sizeof *a->info);
    if (a->info == NULL) {
        nbj__op_free(&a->op);
        return NULL;
    }
    a->info->alloc = alloc;
    return &a->op;
}

nbj_account_info *nbj__account_info_take(nbj__op *op)
{
    account_op *a = (account_op *)(void *)op;
    nbj_account_info *info = a->info;

    a->info = NULL;
    return info;
}
