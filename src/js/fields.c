/* SPDX-License-Identifier: Apache-2.0 */
#include "js/fields_int.h"

const nbj__field *nbj__field_named(const nbj__fields *fields, const char *json)
{
    for (size_t i = 0; i < fields->count; i++) {
        if (strcmp(fields->items[i].json, json) == 0)
            return &fields->items[i];
    }
    return NULL;
}

static size_t size_of(nbj__field_kind kind)
{
    switch (kind) {
    case NBJ__FIELD_TEXT:
    case NBJ__FIELD_DOMAIN:
    case NBJ__FIELD_STRUCT:
        return sizeof(void *);
    case NBJ__FIELD_TEXTS:
    case NBJ__FIELD_PAIRS:
    case NBJ__FIELD_TRANSFORMS:
    case NBJ__FIELD_STRUCTS:
        return sizeof(nbj__any_list);
    case NBJ__FIELD_BOOL:
        return sizeof(bool);
    case NBJ__FIELD_I32:
    case NBJ__FIELD_U32:
    case NBJ__FIELD_ENUM:
        return sizeof(uint32_t);
    case NBJ__FIELD_I64:
    case NBJ__FIELD_U64:
    case NBJ__FIELD_DURATION:
    case NBJ__FIELD_TIME:
        return sizeof(uint64_t);
    case NBJ__FIELD_PART:
        break;
    }
    return 0;
}

nbj__value nbj__value_of(const nbj__field *f, const void *from)
{
    nbj__value v = { { 0 } };

    memcpy(v.octets, (const unsigned char *)from + f->offset, size_of(f->kind));
    return v;
}

void nbj__value_put(const nbj__field *f, void *to, nbj__value v)
{
    memcpy((unsigned char *)to + f->offset, v.octets, size_of(f->kind));
}
