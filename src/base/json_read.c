/* SPDX-License-Identifier: Apache-2.0 */
#include "base/json_read.h"

#include <json-c/json.h>
#include <limits.h>

static size_t skip_blanks(nbj_bytes text, size_t at)
{
    while (at < text.len && memchr(" \t\r\n", text.ptr[at], 4) != NULL)
        at++;
    return at;
}

static bool begins_object(nbj_bytes text)
{
    size_t at = skip_blanks(text, 0);

    return at < text.len && text.ptr[at] == '{';
}

nbj_status nbj__json_parse(nbj_bytes text, nbj__json **out)
{
    *out = NULL;
    if (!begins_object(text) || text.len > INT_MAX)
        return NBJ_E_PROTO;
    json_tokener *t = json_tokener_new_ex(NBJ__JSON_DEPTH_MAX);
    if (t == NULL)
        return NBJ_E_NOMEM;
    json_tokener_set_flags(t, JSON_TOKENER_STRICT); /* no comments, no trailing commas, no "TRUE" */
    json_object *o = json_tokener_parse_ex(t, (const char *)text.ptr, (int)text.len);
    bool parsed = json_tokener_get_error(t) == json_tokener_success;
    bool whole = parsed && skip_blanks(text, json_tokener_get_parse_end(t)) == text.len;
    json_tokener_free(t);
    if (parsed && o == NULL)
        return NBJ_E_NOMEM; /* how json-c says it */
    if (!whole) {
        json_object_put(o);
        return NBJ_E_PROTO;
    }
    *out = o;
    return NBJ_OK;
}

void nbj__json_free(nbj__json *o)
{
    json_object_put(o);
}

static json_object *member(const nbj__json *o, const char *key, json_type type)
{
    json_object *v = NULL;

    if (o == NULL || !json_object_object_get_ex(o, key, &v) || !json_object_is_type(v, type))
        return NULL;
    return v;
}

nbj__json *nbj__json_object(const nbj__json *o, const char *key)
{
    return member(o, key, json_type_object);
}

nbj__json *nbj__json_array(const nbj__json *o, const char *key)
{
    return member(o, key, json_type_array);
}

size_t nbj__json_length(const nbj__json *array)
{
    return array != NULL ? json_object_array_length(array) : 0;
}

static nbj_bytes text_of(json_object *v)
{
    if (!json_object_is_type(v, json_type_string))
        return nbj_view(NULL, 0);
    return nbj_view(json_object_get_string(v), (size_t)json_object_get_string_len(v));
}

nbj_bytes nbj__json_item_text(const nbj__json *array, size_t i)
{
    return text_of(json_object_array_get_idx(array, i));
}

nbj_bytes nbj__json_text(const nbj__json *o, const char *key)
{
    return text_of(member(o, key, json_type_string));
}

bool nbj__json_bool(const nbj__json *o, const char *key)
{
    json_object *v = member(o, key, json_type_boolean);

    return v != NULL && json_object_get_boolean(v);
}

uint64_t nbj__json_u64(const nbj__json *o, const char *key)
{
    json_object *v = member(o, key, json_type_int);

    return v != NULL ? json_object_get_uint64(v) : 0; /* of a negative one 0 */
}

int64_t nbj__json_i64(const nbj__json *o, const char *key)
{
    json_object *v = member(o, key, json_type_int);

    return v != NULL ? json_object_get_int64(v) : 0;
}
