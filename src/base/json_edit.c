/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_edit.h"

#include <json-c/json.h>

/* json-c does not say const where it could. */
static json_object *plain(const nbj__json *value)
{
    return (json_object *)(uintptr_t)value;
}

nbj__json_kind nbj__json_kind_of(const nbj__json *value)
{
    switch (json_object_get_type(value)) {
    case json_type_boolean:
        return NBJ__JSON_BOOL;
    case json_type_int:
        return NBJ__JSON_INTEGER;
    case json_type_double:
        return NBJ__JSON_FRACTION;
    case json_type_string:
        return NBJ__JSON_TEXT;
    case json_type_array:
        return NBJ__JSON_ARRAY;
    case json_type_object:
        return NBJ__JSON_OBJECT;
    case json_type_null:
        break;
    }
    return NBJ__JSON_NULL;
}

bool nbj__json_equal(const nbj__json *a, const nbj__json *b)
{
    return json_object_equal(plain(a), plain(b)) != 0;
}

nbj_bytes nbj__json_value_text(const nbj__json *value)
{
    if (!json_object_is_type(value, json_type_string))
        return nbj_view(NULL, 0);
    return nbj_view(json_object_get_string(plain(value)), (size_t)json_object_get_string_len(value));
}

bool nbj__json_value_bool(const nbj__json *value)
{
    return json_object_is_type(value, json_type_boolean) && json_object_get_boolean(value);
}

int64_t nbj__json_value_i64(const nbj__json *value)
{
    return json_object_is_type(value, json_type_int) ? json_object_get_int64(value) : 0;
}

uint64_t nbj__json_value_u64(const nbj__json *value)
{
    return json_object_is_type(value, json_type_int) ? json_object_get_uint64(value) : 0;
}

bool nbj__json_next(const nbj__json *object, nbj__json_member *m)
{
    if (!json_object_is_type(object, json_type_object))
        return false;
    struct json_object_iterator end = json_object_iter_end(object);
    struct json_object_iterator at = json_object_iter_begin(plain(object));
    if (m->place != NULL) {
        at.opaque_ = m->place;
        json_object_iter_next(&at);
    }
    if (json_object_iter_equal(&at, &end))
        return false;
    *m = (nbj__json_member){ json_object_iter_peek_name(&at), json_object_iter_peek_value(&at), at.opaque_ };
    return true;
}

size_t nbj__json_size(const nbj__json *object)
{
    return json_object_is_type(object, json_type_object) ? (size_t)json_object_object_length(object) : 0;
}

bool nbj__json_has(const nbj__json *object, const char *name)
{
    return json_object_is_type(object, json_type_object) && json_object_object_get_ex(object, name, NULL);
}

nbj__json *nbj__json_get(const nbj__json *object, const char *name)
{
    json_object *v = NULL;

    if (json_object_is_type(object, json_type_object))
        json_object_object_get_ex(object, name, &v);
    return v;
}

nbj__json *nbj__json_item(const nbj__json *array, size_t i)
{
    return json_object_is_type(array, json_type_array) ? json_object_array_get_idx(array, i) : NULL;
}

nbj__json *nbj__json_take_item(nbj__json *array, size_t i)
{
    json_object *v = json_object_get(nbj__json_item(array, i));

    if (v != NULL && json_object_array_put_idx(array, i, NULL) != 0) {
        json_object_put(v);
        return NULL;
    }
    return v;
}

nbj__json *nbj__json_new(void)
{
    return json_object_new_object();
}

nbj__json *nbj__json_copy(const nbj__json *value)
{
    json_object *copy = NULL;

    return json_object_deep_copy(plain(value), &copy, NULL) == 0 ? copy : NULL;
}

/* Takes |value|; NULL: there was no memory for it. */
static nbj_status put(json_object *object, const char *name, json_object *value)
{
    if (value == NULL)
        return NBJ_E_NOMEM;
    if (json_object_object_add(object, name, value) != 0) {
        json_object_put(value);
        return NBJ_E_NOMEM;
    }
    return NBJ_OK;
}

static nbj_status merge_object(json_object *into, const nbj__json_member *m)
{
    json_object *old = nbj__json_get(into, m->name);

    if (!json_object_is_type(old, json_type_object)) {
        old = json_object_new_object();
        if (put(into, m->name, old) != NBJ_OK)
            return NBJ_E_NOMEM;
    }
    return nbj__json_merge(old, m->value); /* as deep as documents are read */
}

nbj_status nbj__json_merge(nbj__json *object, const nbj__json *patch)
{
    nbj__json_member m = { 0 };
    nbj_status st = NBJ_OK;

    while (st == NBJ_OK && nbj__json_next(patch, &m)) {
        if (m.value == NULL)
            json_object_object_del(object, m.name);
        else if (json_object_is_type(m.value, json_type_object))
            st = merge_object(object, &m);
        else
            st = put(object, m.name, nbj__json_copy(m.value));
    }
    return st;
}

nbj_status nbj__json_put_null(nbj__json *object, const char *name)
{
    return json_object_object_add(object, name, NULL) == 0 ? NBJ_OK : NBJ_E_NOMEM;
}

nbj_bytes nbj__json_written(const nbj__json *value)
{
    size_t len = 0;
    const char *text =
        json_object_to_json_string_length(plain(value), JSON_C_TO_STRING_PLAIN | JSON_C_TO_STRING_NOSLASHESCAPE, &len);

    return nbj_view(text, text != NULL ? len : 0);
}
