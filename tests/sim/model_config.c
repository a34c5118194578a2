/* SPDX-License-Identifier: Apache-2.0 */
/* Stream and consumer configurations as tables: reading with types checked, the server's defaults, writing what
 * the given server version shows. Two configurations are equal when they are written equally. */
#include <stdlib.h>
#include <string.h>

#include "model_int.h"

static const char *const retention_names[] = { "limits", "interest", "workqueue", NULL };
static const char *const discard_names[] = { "old", "new", NULL };
static const char *const storage_names[] = { "file", "memory", NULL };
static const char *const compression_names[] = { "none", "s2", NULL };
static const char *const deliver_names[] = { "all", "last", "new", "by_start_sequence", NULL };
static const char *const ack_names[] = { "none", "all", "explicit", NULL };
static const char *const replay_names[] = { "instant", "original", NULL };

#define DUPLICATES_NS 120000000000
#define ACK_WAIT_NS 30000000000

const cfg_field stream_fields[] = {
    [S_NAME] = { .key = "name", .kind = CFG_TEXT, .show = SHOW_ALWAYS },
    [S_DESCRIPTION] = { .key = "description", .kind = CFG_TEXT, .show = SHOW_SET },
    [S_SUBJECTS] = { .key = "subjects", .kind = CFG_TEXTS, .show = SHOW_SET },
    [S_RETENTION] = { .key = "retention", .kind = CFG_ENUM, .names = retention_names },
    [S_MAX_CONSUMERS] = { .key = "max_consumers", .kind = CFG_INT, .unset = -1 },
    [S_MAX_MSGS] = { .key = "max_msgs", .kind = CFG_INT, .unset = -1 },
    [S_MAX_BYTES] = { .key = "max_bytes", .kind = CFG_INT, .unset = -1 },
    [S_MAX_AGE] = { .key = "max_age", .kind = CFG_INT },
    [S_MAX_PER_SUBJECT] = { .key = "max_msgs_per_subject", .kind = CFG_INT, .unset = -1 },
    [S_MAX_MSG_SIZE] = { .key = "max_msg_size", .kind = CFG_INT, .unset = -1 },
    [S_DISCARD] = { .key = "discard", .kind = CFG_ENUM, .names = discard_names },
    [S_STORAGE] = { .key = "storage", .kind = CFG_ENUM, .names = storage_names },
    [S_REPLICAS] = { .key = "num_replicas", .kind = CFG_INT, .unset = 1 },
    [S_NO_ACK] = { .key = "no_ack", .kind = CFG_BOOL, .show = SHOW_SET },
    [S_DUPLICATES] = { .key = "duplicate_window", .kind = CFG_INT, .unset = DUPLICATES_NS },
    [S_COMPRESSION] = { .key = "compression", .kind = CFG_ENUM, .since = 10, .names = compression_names },
    [S_ALLOW_DIRECT] = { .key = "allow_direct", .kind = CFG_BOOL },
    [S_MIRROR_DIRECT] = { .key = "mirror_direct", .kind = CFG_BOOL },
    [S_SEALED] = { .key = "sealed", .kind = CFG_BOOL },
    [S_DENY_DELETE] = { .key = "deny_delete", .kind = CFG_BOOL },
    [S_DENY_PURGE] = { .key = "deny_purge", .kind = CFG_BOOL },
    [S_ROLLUP] = { .key = "allow_rollup_hdrs", .kind = CFG_BOOL },
    [S_CONSUMER_LIMITS] = { .key = "consumer_limits", .kind = CFG_EMPTY, .since = 10 },
    [S_MSG_TTL] = { .key = "allow_msg_ttl", .kind = CFG_BOOL, .since = 11 },
    [S_METADATA] = { .key = "metadata", .kind = CFG_MAP, .show = SHOW_SET, .since = 10 },
    { .key = NULL },
};

const cfg_field consumer_fields[] = {
    [C_DURABLE] = { .key = "durable_name", .kind = CFG_TEXT, .show = SHOW_SET },
    [C_NAME] = { .key = "name", .kind = CFG_TEXT, .show = SHOW_SET },
    [C_DESCRIPTION] = { .key = "description", .kind = CFG_TEXT, .show = SHOW_SET },
    [C_DELIVER] = { .key = "deliver_policy", .kind = CFG_ENUM, .names = deliver_names },
    [C_START_SEQ] = { .key = "opt_start_seq", .kind = CFG_INT, .show = SHOW_SET },
    [C_ACK] = { .key = "ack_policy", .kind = CFG_ENUM, .names = ack_names },
    [C_ACK_WAIT] = { .key = "ack_wait", .kind = CFG_INT, .unset = ACK_WAIT_NS },
    [C_MAX_DELIVER] = { .key = "max_deliver", .kind = CFG_INT, .unset = -1 },
    [C_BACKOFF] = { .key = "backoff", .kind = CFG_INTS, .show = SHOW_SET },
    [C_FILTER] = { .key = "filter_subject", .kind = CFG_TEXT, .show = SHOW_SET },
    [C_FILTERS] = { .key = "filter_subjects", .kind = CFG_TEXTS, .show = SHOW_SET, .since = 10 },
    [C_REPLAY] = { .key = "replay_policy", .kind = CFG_ENUM, .names = replay_names },
    [C_MAX_WAITING] = { .key = "max_waiting", .kind = CFG_INT, .unset = 512 },
    [C_MAX_ACK_PENDING] = { .key = "max_ack_pending", .kind = CFG_INT, .unset = 1000 },
    [C_MAX_BATCH] = { .key = "max_batch", .kind = CFG_INT, .show = SHOW_SET },
    [C_MAX_EXPIRES] = { .key = "max_expires", .kind = CFG_INT, .show = SHOW_SET },
    [C_MAX_BYTES] = { .key = "max_bytes", .kind = CFG_INT, .show = SHOW_SET },
    [C_INACTIVE] = { .key = "inactive_threshold", .kind = CFG_INT, .show = SHOW_SET },
    [C_REPLICAS] = { .key = "num_replicas", .kind = CFG_INT },
    [C_MEM_STORAGE] = { .key = "mem_storage", .kind = CFG_BOOL, .show = SHOW_SET },
    [C_METADATA] = { .key = "metadata", .kind = CFG_MAP, .show = SHOW_SET, .since = 10 },
    { .key = NULL },
};

void config_set_text(cfg_value *v, str text)
{
    free(v->text);
    v->text = str_dup(text);
}

static bool read_texts(cfg_value *v, const jv *list)
{
    size_t cap = 0;
    if (list->kind != JV_LIST)
        return false;
    for (const jv *e = list->child; e != NULL; e = e->next) {
        if (e->kind != JV_TEXT)
            return false;
        v->texts = sim_grow(v->texts, v->count, &cap, sizeof(char *));
        v->texts[v->count++] = str_dup(e->text);
    }
    return true;
}

static bool read_ints(cfg_value *v, const jv *list)
{
    if (list->kind != JV_LIST)
        return false;
    for (const jv *e = list->child; e != NULL && v->count < 8; e = e->next) {
        if (e->kind != JV_INT)
            return false;
        v->ints[v->count++] = e->num;
    }
    return true;
}

static bool read_enum(cfg_value *v, const jv *value, const char *const *names)
{
    for (v->num = 0; names[v->num] != NULL; v->num++)
        if (value->kind == JV_TEXT && str_is(value->text, names[v->num]))
            return true;
    v->num = 0;
    return false;
}

/* The user's own entries; the server's "_nats." ones come back from read-modify-write and are not theirs. */
static bool read_map(cfg_value *v, const jv *map)
{
    buf text = { 0 };
    bool fine = map->kind == JV_OBJECT;
    for (const jv *e = map->child; fine && e != NULL; e = e->next) {
        fine = e->kind == JV_TEXT;
        if (str_starts(e->key, "_nats."))
            continue;
        if (buf_len(&text) > 0)
            buf_text(&text, ",");
        jv_write_text(&text, e->key);
        buf_text(&text, ":");
        jv_write_text(&text, e->text);
    }
    if (buf_len(&text) > 0)
        config_set_text(v, buf_view(&text));
    buf_free(&text);
    return fine;
}

static bool read_field(const cfg_field *f, const jv *value, cfg_value *v)
{
    switch (f->kind) {
    case CFG_TEXT:
        if (value->kind == JV_TEXT && value->text.len > 0)
            config_set_text(v, value->text);
        return value->kind == JV_TEXT;
    case CFG_TEXTS:
        return read_texts(v, value);
    case CFG_INT:
        v->num = value->num != 0 ? value->num : f->unset;
        return value->kind == JV_INT;
    case CFG_INTS:
        return read_ints(v, value);
    case CFG_BOOL:
        v->num = value->num;
        return value->kind == JV_BOOL;
    case CFG_ENUM:
        return read_enum(v, value, f->names);
    case CFG_MAP:
        return read_map(v, value);
    case CFG_EMPTY:
        return value->kind == JV_OBJECT && value->child == NULL;
    }
    return false;
}

str config_read(model *m, const cfg_field *fields, const jv *object, config *out)
{
    str wrong = { NULL, 0 };
    *out = (config){ .fields = fields };
    for (size_t i = 0; fields[i].key != NULL; i++)
        out->v[i].num = fields[i].unset;
    for (const jv *e = object != NULL ? object->child : NULL; e != NULL; e = e->next) {
        size_t i = 0;
        while (fields[i].key != NULL && !str_is(e->key, fields[i].key))
            i++;
        if (fields[i].key == NULL) {
            model_blame(m, "configuration: field unknown to the model: %.*s", (int)e->key.len, e->key.ptr);
            if (m->opt.minor >= 12)
                wrong = e->key;
        } else if (fields[i].since <= m->opt.minor && !read_field(&fields[i], e, &out->v[i])) {
            model_blame(m, "configuration: wrong type or value: %.*s", (int)e->key.len, e->key.ptr);
            wrong = e->key;
        }
    }
    return wrong;
}

void config_free(config *c)
{
    for (size_t i = 0; c->fields != NULL && c->fields[i].key != NULL; i++) {
        for (size_t k = 0; c->v[i].texts != NULL && k < c->v[i].count; k++)
            free(c->v[i].texts[k]);
        free(c->v[i].texts);
        free(c->v[i].text);
    }
    *c = (config){ 0 };
}

static bool is_set(const cfg_field *f, const cfg_value *v)
{
    switch (f->kind) {
    case CFG_TEXT:
    case CFG_MAP:
        return v->text != NULL;
    case CFG_TEXTS:
    case CFG_INTS:
        return v->count > 0;
    default:
        return v->num != 0;
    }
}

static void write_value(const cfg_field *f, const cfg_value *v, buf *out)
{
    switch (f->kind) {
    case CFG_TEXT:
        jv_write_text(out, str_of(v->text));
        break;
    case CFG_TEXTS:
        for (size_t i = 0; i < v->count; i++) {
            buf_text(out, i == 0 ? "[" : ",");
            jv_write_text(out, str_of(v->texts[i]));
        }
        buf_text(out, "]");
        break;
    case CFG_INT:
        buf_printf(out, "%lld", (long long)v->num);
        break;
    case CFG_INTS:
        for (size_t i = 0; i < v->count; i++)
            buf_printf(out, "%s%lld", i == 0 ? "[" : ",", (long long)v->ints[i]);
        buf_text(out, "]");
        break;
    case CFG_BOOL:
        buf_text(out, v->num != 0 ? "true" : "false");
        break;
    case CFG_ENUM:
        jv_write_text(out, str_of(f->names[v->num]));
        break;
    case CFG_MAP:
        buf_printf(out, "{%s}", v->text);
        break;
    case CFG_EMPTY:
        buf_text(out, "{}");
        break;
    }
}

/* From 2.11 the server adds what it needs and what it is. */
static void write_metadata(const model *m, const cfg_value *v, buf *out)
{
    static const unsigned levels[] = { [11] = 1, [12] = 2, [14] = 4, [15] = 5 };
    unsigned level = m->opt.minor < sizeof levels / sizeof levels[0] ? levels[m->opt.minor] : 5;
    buf_printf(out, "{%s%s\"_nats.level\":\"%u\",\"_nats.req.level\":\"0\",\"_nats.ver\":\"2.%u.%u\"}",
               v->text != NULL ? v->text : "", v->text != NULL ? "," : "", level, m->opt.minor, m->opt.patch);
}

void config_write(const model *m, const config *c, buf *out, bool with_server_metadata)
{
    const char *comma = "{";
    for (size_t i = 0; c->fields[i].key != NULL; i++) {
        const cfg_field *f = &c->fields[i];
        bool server_metadata = f->kind == CFG_MAP && with_server_metadata && m->opt.minor >= 11;
        if (f->since > m->opt.minor || (f->show == SHOW_SET && !is_set(f, &c->v[i]) && !server_metadata))
            continue;
        buf_printf(out, "%s\"%s\":", comma, f->key);
        comma = ",";
        if (server_metadata)
            write_metadata(m, &c->v[i], out);
        else
            write_value(f, &c->v[i], out);
    }
    buf_text(out, "}");
}

bool config_equal(const model *m, const config *a, const config *b)
{
    buf x = { 0 }, y = { 0 };
    config_write(m, a, &x, false);
    config_write(m, b, &y, false);
    bool equal = str_eq(buf_view(&x), buf_view(&y));
    buf_free(&x);
    buf_free(&y);
    return equal;
}
