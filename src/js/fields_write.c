/* SPDX-License-Identifier: Apache-2.0 */
/* From structs to JSON. */
#include "base/options.h"
#include "base/rfc3339.h"
#include "js/fields_int.h"
#include "wire/subject.h"

static bool is_zero(const unsigned char *at, size_t size)
{
    for (size_t i = 0; i < size; i++) {
        if (at[i] != 0)
            return false;
    }
    return true;
}

static bool is_set(const nbj__field *f, const void *from);

static bool any_is_set(const nbj__fields *fields, const void *from)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (is_set(&fields->items[i], from))
            return true;
    }
    return false;
}

static bool is_set(const nbj__field *f, const void *from)
{
    nbj__value v = nbj__value_of(f, from);

    switch (f->kind) {
    case NBJ__FIELD_PART:
        return any_is_set(f->more, from);
    case NBJ__FIELD_TEXTS:
    case NBJ__FIELD_PAIRS:
    case NBJ__FIELD_TRANSFORMS:
    case NBJ__FIELD_STRUCTS:
        return v.structs.count > 0;
    default:
        return !is_zero(v.octets, sizeof v.octets);
    }
}

/* --- writing --- */

typedef struct writing {
    nbj__json_writer *w;
    const char **bad;
} writing;

static void refuse(writing *x, const char *name)
{
    if (x->w->status == NBJ_OK) {
        x->w->status = NBJ_E_INVALID;
        *x->bad = name;
    }
}

static void write_number(writing *x, const nbj__field *f, nbj__value v)
{
    char text[NBJ__RFC3339_SIZE];

    switch (f->kind) {
    case NBJ__FIELD_I32:
        nbj__json_put_i64(x->w, f->json, v.i32);
        return;
    case NBJ__FIELD_I64:
        nbj__json_put_i64(x->w, f->json, v.i64);
        return;
    case NBJ__FIELD_U32:
        nbj__json_put_u64(x->w, f->json, v.u32);
        return;
    case NBJ__FIELD_U64:
        nbj__json_put_u64(x->w, f->json, v.u64);
        return;
    default:
        break;
    }
    uint64_t ns = f->kind == NBJ__FIELD_DURATION && v.u64 == NBJ_FOREVER ? 0 : v.u64;
    if (ns > INT64_MAX) {
        refuse(x, f->json);
    } else if (f->kind == NBJ__FIELD_TIME) {
        nbj__json_put_text(x->w, f->json, nbj__rfc3339_format(text, (int64_t)ns));
    } else {
        nbj__json_put_u64(x->w, f->json, ns);
    }
}

static void write_enum(writing *x, const nbj__field *f, uint32_t number)
{
    const char *const *names = f->more;
    uint32_t n = 0;

    while (names[n] != NULL && n + 1 < number)
        n++;
    if (number > 0 && names[n] != NULL)
        nbj__json_put_text(x->w, f->json, nbj_str(names[n]));
    else
        refuse(x, f->json);
}

static void write_texts(writing *x, const nbj__field *f, nbj_list list)
{
    nbj__json_put_array(x->w, f->json);
    for (size_t i = 0; i < list.count; i++) {
        if (list.items[i] == NULL)
            refuse(x, f->json);
        nbj__json_item_put_text(x->w, nbj_str(list.items[i]));
    }
    nbj__json_close(x->w, ']');
}

static void write_pairs(writing *x, const nbj__field *f, nbj_pairs list)
{
    bool is_object = f->kind == NBJ__FIELD_PAIRS;

    if (is_object)
        nbj__json_put_object(x->w, f->json);
    else
        nbj__json_put_array(x->w, f->json);
    for (size_t i = 0; i < list.count; i++) {
        const nbj_pair *p = &list.items[i];
        if (p->first == NULL || p->second == NULL)
            refuse(x, f->json);
        if (is_object) {
            nbj__json_put_pair(x->w, nbj_str(p->first), nbj_str(p->second));
        } else {
            nbj__json_item_put_object(x->w);
            nbj__json_put_text(x->w, "src", nbj_str(p->first));
            nbj__json_put_text(x->w, "dest", nbj_str(p->second));
            nbj__json_close(x->w, '}');
        }
    }
    nbj__json_close(x->w, is_object ? '}' : ']');
}

static void write_domain(writing *x, const nbj__field *f, const char *domain)
{
    char prefix[NBJ__API_PREFIX_MAX];
    nbj__text t = nbj__text_into(prefix, sizeof prefix);

    nbj__text_add(&t, "$JS.");
    nbj__text_add(&t, domain);
    nbj__text_add(&t, ".API");
    if (!nbj__name_is_legal(nbj_str(domain)) || t.cut)
        refuse(x, "domain");
    nbj__json_put_text(x->w, f->json, nbj__text_view(&t));
}

static void write_fields(writing *x, const nbj__fields *fields, const void *from);

/* The members of an option struct, which may be of another version. */
static void write_struct(writing *x, const nbj__field *f, const void *from)
{
    const nbj__fields *fields = f->more;
    union {
        nbj_stream_source source;
        unsigned char octets[sizeof(nbj_stream_source)];
    } copy;

    if (from == NULL || fields->size > sizeof copy || nbj__options_read(copy.octets, fields->size, from) != NBJ_OK)
        refuse(x, f->json);
    else
        write_fields(x, fields, copy.octets);
}

static void write_field(writing *x, const nbj__field *f, const void *from)
{
    nbj__value v = nbj__value_of(f, from);

    switch (f->kind) {
    case NBJ__FIELD_TEXT:
        nbj__json_put_text(x->w, f->json, nbj_str(v.text));
        return;
    case NBJ__FIELD_DOMAIN:
        write_domain(x, f, v.text);
        return;
    case NBJ__FIELD_TEXTS:
        write_texts(x, f, v.texts);
        return;
    case NBJ__FIELD_BOOL:
        nbj__json_put_bool(x->w, f->json, v.flag);
        return;
    case NBJ__FIELD_ENUM:
        write_enum(x, f, v.u32);
        return;
    case NBJ__FIELD_PAIRS:
    case NBJ__FIELD_TRANSFORMS:
        write_pairs(x, f, v.pairs);
        return;
    case NBJ__FIELD_PART:
    case NBJ__FIELD_STRUCT:
        nbj__json_put_object(x->w, f->json);
        if (f->kind == NBJ__FIELD_PART)
            write_fields(x, f->more, from);
        else
            write_struct(x, f, v.pointer);
        nbj__json_close(x->w, '}');
        return;
    case NBJ__FIELD_STRUCTS:
        nbj__json_put_array(x->w, f->json);
        for (size_t i = 0; i < v.structs.count; i++) {
            nbj__json_item_put_object(x->w);
            write_struct(x, f, v.structs.items[i]);
            nbj__json_close(x->w, '}');
        }
        nbj__json_close(x->w, ']');
        return;
    default:
        write_number(x, f, v);
    }
}

static void write_fields(writing *x, const nbj__fields *fields, const void *from)
{
    const char *last = "";

    for (size_t i = 0; i < fields->count; i++) {
        const nbj__field *f = &fields->items[i];
        if (!is_set(f, from))
            continue;
        if (strcmp(f->json, last) == 0) /* a domain and what it stands for */
            refuse(x, f->json);
        write_field(x, f, from);
        last = f->json;
    }
}

void nbj__fields_write(const nbj__fields *fields, const void *from, nbj__json_writer *w, const char **bad)
{
    writing x = { w, bad };

    write_fields(&x, fields, from);
}
