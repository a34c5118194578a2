/* SPDX-License-Identifier: Apache-2.0 */
/* What servers know, and what differs. */
#include "base/rfc3339.h"
#include "js/fields.h"

#define VALUE_MAX 60u /* octets of a value in an error */

/* --- what servers know --- */

/* As a server writes what it leaves out. */
static bool is_nothing(const nbj__json *v)
{
    nbj__json_member m = { 0 };

    switch (nbj__json_kind_of(v)) {
    case NBJ__JSON_NULL:
        return true;
    case NBJ__JSON_BOOL:
        return !nbj__json_value_bool(v);
    case NBJ__JSON_INTEGER:
        return nbj__json_value_u64(v) == 0 && nbj__json_value_i64(v) == 0;
    case NBJ__JSON_TEXT:
        return nbj__json_value_text(v).len == 0;
    case NBJ__JSON_ARRAY:
        return nbj__json_length(v) == 0;
    case NBJ__JSON_OBJECT:
        while (nbj__json_next(v, &m)) {
            if (!is_nothing(m.value))
                return false;
        }
        return true;
    case NBJ__JSON_FRACTION:
        break;
    }
    return false;
}

/* What a server takes |f| to be when nobody says. */
static bool is_default(const nbj__field *f, const nbj__json *v)
{
    if (is_nothing(v))
        return true;
    if (f == NULL)
        return false;
    if (f->text != NULL)
        return nbj_bytes_equal(nbj__json_value_text(v), nbj_str(f->text));
    return f->number != 0 && nbj__json_kind_of(v) == NBJ__JSON_INTEGER && nbj__json_value_i64(v) == f->number;
}

static nbj_status check_value(const nbj__field *f, const nbj__json *v, const nbj__js_where *where, uint32_t *level,
                              nbj_error *error)
{
    bool is_list = f->kind == NBJ__FIELD_STRUCTS && nbj__json_kind_of(v) == NBJ__JSON_ARRAY;
    nbj_status st = NBJ_OK;

    if (f->kind == NBJ__FIELD_PART || f->kind == NBJ__FIELD_STRUCT)
        return nbj__fields_check(f->more, v, where, level, error);
    for (size_t i = 0; is_list && st == NBJ_OK && i < nbj__json_length(v); i++)
        st = nbj__fields_check(f->more, nbj__json_item(v, i), where, level, error);
    return st;
}

nbj_status nbj__fields_check(const nbj__fields *fields, const nbj__json *want, const nbj__js_where *where,
                             uint32_t *level, nbj_error *error)
{
    nbj_status st = NBJ_OK;

    for (size_t i = 0; i < fields->count && st == NBJ_OK; i++) {
        const nbj__field *f = &fields->items[i];
        const nbj__json *v = nbj__json_get(want, f->json);
        if (f->kind == NBJ__FIELD_DOMAIN || is_default(f, v)) /* what it is anyway needs nothing */
            continue;
        st = nbj__gate_check(where, f->feature, error);
        if (nbj__gate_level(f->feature) > *level)
            *level = nbj__gate_level(f->feature);
        if (st == NBJ_OK)
            st = check_value(f, v, where, level, error);
    }
    return st;
}

bool nbj__fields_may_be_dropped(const nbj__fields *fields, const nbj__json *want)
{
    nbj__json_member m = { 0 };

    while (nbj__json_next(want, &m)) {
        const nbj__field *f = nbj__field_named(fields, m.name);
        bool has_more = f != NULL && (f->kind == NBJ__FIELD_STRUCT || f->kind == NBJ__FIELD_STRUCTS);
        if (m.value != NULL && (f == NULL || f->feature != NBJ__FEATURE_NONE || has_more))
            return true;
    }
    return false;
}

/* --- what differs --- */

static bool is_same_time(const nbj__json *a, const nbj__json *b)
{
    int64_t x, y;

    return nbj__rfc3339_parse(nbj__json_value_text(a), &x) && nbj__rfc3339_parse(nbj__json_value_text(b), &y) && x == y;
}

/* Whether |has| has all that |want| has. */
static bool covers(const nbj__json *has, const nbj__json *want)
{
    nbj__json_kind kind = nbj__json_kind_of(want);
    nbj__json_member m = { 0 };

    if (is_nothing(want) && is_nothing(has))
        return true;
    if (kind != nbj__json_kind_of(has))
        return false;
    if (kind == NBJ__JSON_OBJECT) {
        while (nbj__json_next(want, &m)) {
            if (!covers(nbj__json_get(has, m.name), m.value))
                return false;
        }
        return true;
    }
    if (kind == NBJ__JSON_ARRAY) {
        if (nbj__json_length(has) != nbj__json_length(want))
            return false;
        for (size_t i = 0; i < nbj__json_length(want); i++) {
            if (!covers(nbj__json_item(has, i), nbj__json_item(want, i)))
                return false;
        }
        return true;
    }
    return nbj__json_equal(has, want) || is_same_time(has, want);
}

static void add_value(nbj__text *out, const nbj__json *v)
{
    nbj_bytes text = nbj__json_written(v);

    nbj__text_add_bytes(out, text.len > VALUE_MAX ? nbj_view(text.ptr, VALUE_MAX) : text);
    if (text.len > VALUE_MAX)
        nbj__text_add(out, "...");
}

static void add_difference(nbj__text *out, const nbj__field *f, const nbj__json_member *want, const nbj__json *has)
{
    nbj__text_add(out, out->len > 0 ? "; " : "");
    nbj__text_add(out, want->name);
    nbj__text_add(out, has != NULL ? " is " : " is missing");
    if (has != NULL)
        add_value(out, has);
    nbj__text_add(out, ", wanted ");
    add_value(out, want->value);
    if (f != NULL && f->is_fixed)
        nbj__text_add(out, " (cannot be changed)");
}

size_t nbj__fields_differ(const nbj__fields *fields, const nbj__json *want, const nbj__json *has, nbj__text *out)
{
    nbj__json_member m = { 0 };
    size_t count = 0;

    while (nbj__json_next(want, &m)) {
        const nbj__field *f = nbj__field_named(fields, m.name);
        const nbj__json *v = nbj__json_get(has, m.name);
        bool is_compared = m.value != NULL && (f == NULL || f->whose == NBJ__OURS);
        if (!is_compared || (v == NULL && is_default(f, m.value)) || covers(v, m.value))
            continue;
        add_difference(out, f, &m, v);
        count++;
    }
    return count;
}
