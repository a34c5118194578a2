/* SPDX-License-Identifier: Apache-2.0 */
/* From JSON to structs. */
#include "base/rfc3339.h"
#include "js/fields_int.h"

static nbj_status read_texts(const nbj__json *from, nbj__arena *arena, nbj__value *v)
{
    size_t n = nbj__json_kind_of(from) == NBJ__JSON_ARRAY ? nbj__json_length(from) : 0;

    const char **items = nbj__arena_take(arena, n * sizeof *items);
    if (items == NULL)
        return NBJ_E_NOMEM;
    for (size_t i = 0; i < n; i++) {
        nbj_bytes text = nbj__json_item_text(from, i);
        items[i] = text.ptr != NULL ? (const char *)text.ptr : "";
    }
    v->texts = (nbj_list){ items, n };
    return NBJ_OK;
}

static const char *text_or_empty(const nbj__json *v)
{
    nbj_bytes text = nbj__json_value_text(v);

    return text.ptr != NULL ? (const char *)text.ptr : "";
}

static nbj_status read_pairs(const nbj__json *from, nbj__arena *arena, nbj__value *v)
{
    bool is_object = nbj__json_kind_of(from) == NBJ__JSON_OBJECT;
    nbj__json_member m = { 0 };
    size_t n = 0;

    while (is_object && nbj__json_next(from, &m))
        n++;
    if (nbj__json_kind_of(from) == NBJ__JSON_ARRAY)
        n = nbj__json_length(from);
    nbj_pair *items = nbj__arena_take(arena, n * sizeof *items);
    if (items == NULL)
        return NBJ_E_NOMEM;
    m = (nbj__json_member){ 0 };
    for (size_t i = 0; i < n; i++) {
        if (is_object && nbj__json_next(from, &m)) {
            items[i] = (nbj_pair){ m.name, text_or_empty(m.value) };
        } else {
            const nbj__json *o = nbj__json_item(from, i);
            items[i] = (nbj_pair){ text_or_empty(nbj__json_get(o, "src")), text_or_empty(nbj__json_get(o, "dest")) };
        }
    }
    v->pairs = (nbj_pairs){ items, n };
    return NBJ_OK;
}

static nbj_status read_struct(const nbj__fields *fields, const nbj__json *from, nbj__arena *arena, const void **out)
{
    void *s = nbj__arena_take(arena, fields->size);

    *out = s;
    if (s == NULL)
        return NBJ_E_NOMEM;
    memcpy(s, &fields->size, sizeof fields->size); /* each begins with its size */
    return nbj__fields_read(fields, from, arena, s);
}

static nbj_status read_structs(const nbj__field *f, const nbj__json *from, nbj__arena *arena, nbj__value *v)
{
    size_t n = nbj__json_kind_of(from) == NBJ__JSON_ARRAY ? nbj__json_length(from) : 0;
    nbj_status st = NBJ_OK;

    const void **items = nbj__arena_take(arena, n * sizeof *items);
    if (items == NULL)
        return NBJ_E_NOMEM;
    for (size_t i = 0; i < n && st == NBJ_OK; i++)
        st = read_struct(f->more, nbj__json_item(from, i), arena, &items[i]);
    v->structs = (nbj__any_list){ items, n };
    return st;
}

static uint32_t read_enum(const nbj__field *f, nbj_bytes name)
{
    const char *const *names = f->more;

    for (uint32_t i = 0; names[i] != NULL; i++) {
        if (nbj_bytes_equal(nbj_str(names[i]), name))
            return i + 1;
    }
    return 0;
}

static uint64_t read_time(nbj_bytes text)
{
    int64_t ns = 0;

    return nbj__rfc3339_parse(text, &ns) && ns > 0 ? (uint64_t)ns : 0;
}

static int32_t narrow(int64_t n)
{
    return n > INT32_MAX ? INT32_MAX : n < INT32_MIN ? INT32_MIN : (int32_t)n;
}

static void read_number(const nbj__field *f, const nbj__json *from, nbj__value *v)
{
    uint64_t u = nbj__json_value_u64(from);

    switch (f->kind) {
    case NBJ__FIELD_I32:
        v->i32 = narrow(nbj__json_value_i64(from));
        return;
    case NBJ__FIELD_I64:
        v->i64 = nbj__json_value_i64(from);
        return;
    case NBJ__FIELD_U32:
        v->u32 = u > UINT32_MAX ? UINT32_MAX : (uint32_t)u;
        return;
    case NBJ__FIELD_TIME:
        v->u64 = read_time(nbj__json_value_text(from));
        return;
    default:
        v->u64 = u;
    }
}

static nbj_status read_field(const nbj__field *f, const nbj__json *from, nbj__arena *arena, void *to)
{
    nbj_status st = NBJ_OK;
    nbj__value v = { { 0 } };

    switch (f->kind) {
    case NBJ__FIELD_DOMAIN:
        return NBJ_OK;
    case NBJ__FIELD_PART:
        return nbj__fields_read(f->more, from, arena, to);
    case NBJ__FIELD_TEXT:
        v.text = (const char *)nbj__json_value_text(from).ptr;
        break;
    case NBJ__FIELD_BOOL:
        v.flag = nbj__json_value_bool(from);
        break;
    case NBJ__FIELD_ENUM:
        v.u32 = read_enum(f, nbj__json_value_text(from));
        break;
    case NBJ__FIELD_TEXTS:
        st = read_texts(from, arena, &v);
        break;
    case NBJ__FIELD_PAIRS:
    case NBJ__FIELD_TRANSFORMS:
        st = read_pairs(from, arena, &v);
        break;
    case NBJ__FIELD_STRUCT:
        if (nbj__json_kind_of(from) == NBJ__JSON_OBJECT)
            st = read_struct(f->more, from, arena, &v.pointer);
        break;
    case NBJ__FIELD_STRUCTS:
        st = read_structs(f, from, arena, &v);
        break;
    default:
        read_number(f, from, &v);
    }
    nbj__value_put(f, to, v);
    return st;
}

nbj_status nbj__fields_read(const nbj__fields *fields, const nbj__json *from, nbj__arena *arena, void *to)
{
    nbj_status st = NBJ_OK;

    for (size_t i = 0; i < fields->count && st == NBJ_OK; i++) {
        const nbj__json *v = nbj__json_get(from, fields->items[i].json);
        if (v != NULL)
            st = read_field(&fields->items[i], v, arena, to);
    }
    return st;
}
