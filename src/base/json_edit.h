/* SPDX-License-Identifier: Apache-2.0 */
/* Documents that were read, as a whole: going through them, changing them, writing them back. What they hold that nobody
 * here knows stays in them. */
#ifndef NBJ_BASE_JSON_EDIT_H
#define NBJ_BASE_JSON_EDIT_H

#include "base/json_read.h"

/* A value; NULL is JSON's null. */
typedef enum nbj__json_kind {
    NBJ__JSON_NULL,
    NBJ__JSON_BOOL,
    NBJ__JSON_INTEGER,
    NBJ__JSON_FRACTION,
    NBJ__JSON_TEXT,
    NBJ__JSON_ARRAY,
    NBJ__JSON_OBJECT,
} nbj__json_kind;

nbj__json_kind nbj__json_kind_of(const nbj__json *value);
bool nbj__json_equal(const nbj__json *a, const nbj__json *b);

/* A value of its kind; as the readers of members say where it is of another one. */
nbj_bytes nbj__json_value_text(const nbj__json *value);
bool nbj__json_value_bool(const nbj__json *value);
int64_t nbj__json_value_i64(const nbj__json *value);
uint64_t nbj__json_value_u64(const nbj__json *value);

/* Goes through an object's members in order; |m| is zeroed for the first. Nothing may be changed meanwhile. */
typedef struct nbj__json_member {
    const char *name;
    nbj__json *value;
    const void *place;
} nbj__json_member;
bool nbj__json_next(const nbj__json *object, nbj__json_member *m);

size_t nbj__json_size(const nbj__json *object); /* members; 0: it is none */
bool nbj__json_has(const nbj__json *object, const char *name);
nbj__json *nbj__json_get(const nbj__json *object, const char *name); /* NULL: absent, or null */
nbj__json *nbj__json_item(const nbj__json *array, size_t i);

/* Takes item |i| out, leaving null; to be freed. */
nbj__json *nbj__json_take_item(nbj__json *array, size_t i);

nbj__json *nbj__json_new(void);                    /* an empty object; NULL: no memory */
nbj__json *nbj__json_copy(const nbj__json *value); /* deep; NULL: no memory */

/* RFC 7396: members of |patch| that are null are removed, objects are merged, everything else takes the place of what was
 * there. NBJ_E_NOMEM: some of it is done. */
nbj_status nbj__json_merge(nbj__json *object, const nbj__json *patch);

nbj_status nbj__json_put_null(nbj__json *object, const char *name);

/* As JSON without blanks; lives as long as the value, unchanged. Empty: no memory. Not from several threads at once. */
nbj_bytes nbj__json_written(const nbj__json *value);

#endif
