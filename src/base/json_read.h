/* SPDX-License-Identifier: Apache-2.0 */
/* Reading JSON that came from the network, through json-c: bounded depth, exact types, nothing guessed. */
#ifndef NBJ_BASE_JSON_READ_H
#define NBJ_BASE_JSON_READ_H

#include <nbj/bytes.h>
#include <nbj/status.h>
#include <stdbool.h>

typedef struct json_object nbj__json;

#define NBJ__JSON_DEPTH_MAX 64

/* Parses one object; what follows it must be blank. NBJ_E_PROTO: not that. NBJ_E_NOMEM. Freed by nbj__json_free. */
nbj_status nbj__json_parse(nbj_bytes text, nbj__json **out);
void nbj__json_free(nbj__json *o); /* NULL is allowed */

/* A member; NULL when it is absent or of another type. */
nbj__json *nbj__json_object(const nbj__json *o, const char *key);
nbj__json *nbj__json_array(const nbj__json *o, const char *key);
size_t nbj__json_length(const nbj__json *array);
nbj_bytes nbj__json_item_text(const nbj__json *array, size_t i); /* empty when it is no string */

/* Members with what stands for "absent or of another type". A number out of range is the nearest one in it: it never
 * wraps. */
nbj_bytes nbj__json_text(const nbj__json *o, const char *key); /* empty */
bool nbj__json_bool(const nbj__json *o, const char *key);      /* false */
bool nbj__json_has_bool(const nbj__json *o, const char *key);
uint64_t nbj__json_u64(const nbj__json *o, const char *key); /* 0 */
int64_t nbj__json_i64(const nbj__json *o, const char *key);  /* 0 */

#endif
