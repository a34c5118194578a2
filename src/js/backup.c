/* SPDX-License-Identifier: Apache-2.0 */
#include "js/backup.h"

#include "base/json_edit.h"
#include "base/json_write.h"
#include "base/text.h"
#include "wire/subject.h"

#define FORMAT 1u
#define OURS ",\"nbj\":"           /* where our member begins */
#define NEW_FORMAT_MARK "NATSARC1" /* its first octets, which the compression leaves as they are */

void nbj__stream_state_read(const nbj__json *info, nbj__stream_state *out)
{
    const nbj__json *state = nbj__json_object(info, "state");
    nbj__text t = nbj__text_into(out->first_time, sizeof out->first_time);

    out->messages = nbj__json_u64(state, "messages");
    out->bytes = nbj__json_u64(state, "bytes");
    out->first_sequence = nbj__json_u64(state, "first_seq");
    out->last_sequence = nbj__json_u64(state, "last_seq");
    out->consumers = nbj__json_u64(state, "consumer_count");
    nbj__text_add_clean(&t, nbj__json_text(state, "first_ts"));
}

/* --- writing --- */

static nbj_status add(nbj__buf *out, const char *text)
{
    return nbj__buf_append(out, text, strlen(text));
}

static nbj_status add_json(nbj__buf *out, const nbj__json *value)
{
    nbj_bytes text = nbj__json_written(value);

    return text.len > 0 ? nbj__buf_append(out, text.ptr, text.len) : NBJ_E_NOMEM;
}

static nbj_status add_both(nbj__buf *out, nbj__json *config, nbj__json *state)
{
    nbj_status st = add(out, "{\"config\":");

    if (st == NBJ_OK)
        st = add_json(out, config);
    if (st == NBJ_OK)
        st = add(out, ",\"state\":");
    return st == NBJ_OK ? add_json(out, state) : st;
}

nbj_status nbj__backup_describe(const nbj__json *answer, nbj__buf *out)
{
    nbj__json *config = nbj__json_object(answer, "config");
    nbj__json *state = nbj__json_object(answer, "state");

    return config != NULL && state != NULL ? add_both(out, config, state) : NBJ_E_BAD_REPLY;
}

nbj_status nbj__backup_seal(nbj__buf *description, uint64_t bytes, const char *sha256)
{
    char text[160];
    nbj__text t = nbj__text_into(text, sizeof text);

    nbj__text_add(&t, OURS "{\"format\":");
    nbj__text_add_u64(&t, FORMAT);
    nbj__text_add(&t, ",\"bytes\":");
    nbj__text_add_u64(&t, bytes);
    nbj__text_add(&t, ",\"sha256\":\"");
    nbj__text_add(&t, sha256);
    nbj__text_add(&t, "\"}}\n");
    return add(description, text);
}

/* --- reading --- */

/* Where our member begins in |text|: at its last mention, which names and values before it cannot be. */
static bool find_ours(nbj_bytes text, size_t *at)
{
    size_t len = strlen(OURS);

    for (size_t i = text.len; i >= len; i--) {
        if (memcmp(text.ptr + i - len, OURS, len) == 0) {
            *at = i - len;
            return true;
        }
    }
    return false;
}

static const char *read_sum(const nbj__json *ours, nbj_bytes text, nbj__backup *out)
{
    nbj_bytes sum = nbj__json_text(ours, "sha256");

    if (nbj__json_u64(ours, "format") != FORMAT)
        return "its format is not known; was it written by a newer version?";
    if (sum.len != NBJ__SHA256_TEXT - 1 || !find_ours(text, &out->described))
        return "its checksum is not whole";
    memcpy(out->sha256, sum.ptr, sum.len);
    out->bytes = nbj__json_u64(ours, "bytes");
    out->has_sum = true;
    return NULL;
}

/* What is wrong with it. */
static const char *read_members(nbj_bytes text, nbj__backup *out)
{
    const nbj__json *config = nbj__json_object(out->json, "config");
    const nbj__json *ours = nbj__json_object(out->json, "nbj");
    nbj_bytes name = nbj__json_text(config, "name");

    if (config == NULL || nbj__json_object(out->json, "state") == NULL)
        return "there is no configuration or no state of a stream in it";
    if (!nbj__name_is_legal(name))
        return "there is no name of a stream in it";
    memcpy(out->stream, name.ptr, name.len);
    nbj__stream_state_read(out->json, &out->state);
    return ours != NULL ? read_sum(ours, text, out) : NULL;
}

nbj_status nbj__backup_read(nbj_bytes text, nbj__backup *out, const char **why)
{
    *out = (nbj__backup){ 0 };
    nbj_status st = nbj__json_parse(text, &out->json);
    if (st == NBJ_E_NOMEM)
        return st;
    *why = st == NBJ_OK ? read_members(text, out) : "it is no JSON object";
    if (*why == NULL)
        return NBJ_OK;
    nbj__backup_free(out);
    return NBJ_E_DAMAGED;
}

void nbj__backup_free(nbj__backup *b)
{
    nbj__json_free(b->json);
    *b = (nbj__backup){ 0 };
}

/* --- asking for a restore --- */

static nbj_status set_replicas(nbj__json *config, uint32_t replicas)
{
    nbj__json *patch = NULL;
    nbj__buf text;

    nbj__buf_init(&text, &nbj__malloc_allocator, 64);
    nbj__json_writer w = nbj__json_begin(&text);
    nbj__json_put_u64(&w, "num_replicas", replicas);
    nbj_status st = nbj__json_end(&w);
    if (st == NBJ_OK)
        st = nbj__json_parse(nbj__buf_view(&text), &patch);
    if (st == NBJ_OK)
        st = nbj__json_merge(config, patch);
    nbj__json_free(patch);
    nbj__buf_free(&text);
    return st;
}

nbj_status nbj__backup_request(nbj__backup *b, const char *config, uint32_t replicas, nbj__buf *out)
{
    nbj__json *given = NULL;
    nbj_status st = config != NULL ? nbj__json_parse(nbj_str(config), &given) : NBJ_OK;

    if (st == NBJ_OK && given != NULL && !nbj_bytes_equal(nbj__json_text(given, "name"), nbj_str(b->stream)))
        st = NBJ_E_INVALID;
    nbj__json *used = given != NULL ? given : nbj__json_object(b->json, "config");
    if (st == NBJ_OK && replicas > 0)
        st = set_replicas(used, replicas);
    if (st == NBJ_OK)
        st = add_both(out, used, nbj__json_object(b->json, "state"));
    if (st == NBJ_OK)
        st = add(out, "}");
    nbj__json_free(given);
    return st == NBJ_E_PROTO ? NBJ_E_INVALID : st;
}

bool nbj__backup_is_new_format(nbj_bytes head)
{
    size_t len = strlen(NEW_FORMAT_MARK);

    for (size_t i = 0; i + len <= head.len && i + len <= NBJ__BACKUP_HEAD; i++) {
        if (memcmp(head.ptr + i, NEW_FORMAT_MARK, len) == 0)
            return true;
    }
    return false;
}
