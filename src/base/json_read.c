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

/* Where the piece of |text| that starts at |at| ends. A loose piece starts with an octet above ASCII and has all that
 * follows it in a JSON string, up to what ends or escapes there; any other piece goes on to such an octet. */
static size_t piece_end(nbj_bytes text, size_t at)
{
    bool loose = text.ptr[at] >= 0x80;

    for (at++; at < text.len; at++) {
        uint8_t c = text.ptr[at];
        if (loose ? c < 0x20 || c == '"' || c == '\\' : c >= 0x80)
            break;
    }
    return at;
}

/* Parses up to the end of the value, or to the first error, and tells where that is. Strict: no comments, no trailing
 * commas, no "TRUE". A strict json-c 0.18 also refuses octets above ASCII in a string (it compares signed characters
 * with 0x1f), so it is not strict about loose pieces: within a string there is nothing in them to be strict about, and
 * outside of one their first octet is an error anyway. */
static json_object *parse_value(json_tokener *t, nbj_bytes text, size_t *end)
{
    json_object *o = NULL;
    size_t start, at = 0;

    do {
        start = at;
        at = piece_end(text, start);
        json_tokener_set_flags(t, text.ptr[start] < 0x80 ? JSON_TOKENER_STRICT : 0);
        o = json_tokener_parse_ex(t, (const char *)text.ptr + start, (int)(at - start));
    } while (json_tokener_get_error(t) == json_tokener_continue && at < text.len);
    *end = start + json_tokener_get_parse_end(t);
    return o;
}

/* |o| is what |t| made of a document. Before json-c 0.17 it is a success without a value. */
static bool is_out_of_memory(json_tokener *t, const json_object *o)
{
    enum json_tokener_error e = json_tokener_get_error(t);

#if JSON_C_VERSION_NUM >= (17 << 8)
    if (e == json_tokener_error_memory)
        return true;
#endif
    return e == json_tokener_success && o == NULL;
}

nbj_status nbj__json_parse(nbj_bytes text, nbj__json **out)
{
    size_t end;

    *out = NULL;
    if (!begins_object(text) || text.len > INT_MAX)
        return NBJ_E_PROTO;
    json_tokener *t = json_tokener_new_ex(NBJ__JSON_DEPTH_MAX);
    if (t == NULL)
        return NBJ_E_NOMEM;
    json_object *o = parse_value(t, text, &end);
    bool no_memory = is_out_of_memory(t, o);
    bool whole = json_tokener_get_error(t) == json_tokener_success && skip_blanks(text, end) == text.len;
    json_tokener_free(t);
    if (no_memory)
        return NBJ_E_NOMEM;
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

bool nbj__json_has_bool(const nbj__json *o, const char *key)
{
    return member(o, key, json_type_boolean) != NULL;
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
