/* SPDX-License-Identifier: Apache-2.0 */
/* Values of fields, as they lie in structs. */
#ifndef NBJ_JS_FIELDS_INT_H
#define NBJ_JS_FIELDS_INT_H

#include "js/fields.h"

/* The lists of option structs are all laid out so. */
typedef struct nbj__any_list {
    const void *const *items;
    size_t count;
} nbj__any_list;

/* Every kind of value, one of them filled. */
typedef union nbj__value {
    unsigned char octets[sizeof(nbj__any_list)];
    const void *pointer;
    const char *text;
    nbj_list texts;
    nbj_pairs pairs;
    nbj__any_list structs;
    bool flag;
    int32_t i32;
    int64_t i64;
    uint32_t u32;
    uint64_t u64;
} nbj__value;

nbj__value nbj__value_of(const nbj__field *f, const void *from);
void nbj__value_put(const nbj__field *f, void *to, nbj__value v);

#endif
