/* SPDX-License-Identifier: Apache-2.0 */
/* Configurations as tables: each field's name in JSON, its place in the public struct, what it needs and what it is when
 * nobody says. From a table come what is sent, reading it back, what an older server lacks, and what differs.
 *
 * In between a configuration is a document: what is wanted. A member that is null is to go back to its default. */
#ifndef NBJ_JS_FIELDS_H
#define NBJ_JS_FIELDS_H

#include "base/arena.h"
#include "base/json_edit.h"
#include "base/json_write.h"
#include "base/text.h"
#include "js/gate.h"

#include <nbj/stream.h>

typedef enum nbj__field_kind {
    NBJ__FIELD_TEXT = 1,   /* const char * */
    NBJ__FIELD_TEXTS,      /* nbj_list */
    NBJ__FIELD_BOOL,       /* bool */
    NBJ__FIELD_I32,        /* int32_t */
    NBJ__FIELD_I64,        /* int64_t */
    NBJ__FIELD_U32,        /* uint32_t */
    NBJ__FIELD_U64,        /* uint64_t */
    NBJ__FIELD_DURATION,   /* uint64_t in ns; NBJ_FOREVER is written as 0 */
    NBJ__FIELD_TIME,       /* uint64_t in ns since 1970; RFC 3339 in JSON */
    NBJ__FIELD_ENUM,       /* an enum from 1 on; |more|: its names, up to a NULL */
    NBJ__FIELD_PAIRS,      /* nbj_pairs; an object of texts in JSON */
    NBJ__FIELD_TRANSFORMS, /* nbj_pairs; objects with "src" and "dest" */
    NBJ__FIELD_DOMAIN,     /* const char *; written as the API prefix of that domain, not read */
    NBJ__FIELD_PART,       /* an object in JSON, the same struct here; |more|: nbj__fields */
    NBJ__FIELD_STRUCT,     /* pointer to an option struct; |more|: nbj__fields */
    NBJ__FIELD_STRUCTS,    /* list of such pointers, laid out as nbj_source_list */
} nbj__field_kind;

/* The server fills it from what it knows itself: not compared; only in requests: not compared either, nor kept. */
typedef enum nbj__field_whose { NBJ__OURS, NBJ__SERVERS, NBJ__OF_REQUEST } nbj__field_whose;

typedef struct nbj__field {
    const char *json;
    nbj__field_kind kind;
    size_t offset;
    const void *more;
    nbj__feature feature;
    nbj__field_whose whose;
    bool is_fixed;    /* when the stream or consumer has been made */
    int64_t number;   /* what a server takes it to be when it is absent; */
    const char *text; /* for texts. Neither: nothing */
} nbj__field;

typedef struct nbj__fields {
    const nbj__field *items;
    size_t count;
    size_t size; /* of the struct */
} nbj__fields;

const nbj__field *nbj__field_named(const nbj__fields *fields, const char *json); /* NULL: none */

/* Writes the members for what is set in |from|. A value that cannot be is w->status NBJ_E_INVALID, and *|bad| names it. */
void nbj__fields_write(const nbj__fields *fields, const void *from, nbj__json_writer *w, const char **bad);

/* Reads |from| into |to|, zeroed and with its struct_size; lists come from |arena|, texts stay in |from|. What is of another
 * type, or no known name, is left out. NBJ_E_NOMEM. */
nbj_status nbj__fields_read(const nbj__fields *fields, const nbj__json *from, nbj__arena *arena, void *to);

/* Whether the server knows what |want| names; *|level|, not lowered, is the API level that it needs. */
nbj_status nbj__fields_check(const nbj__fields *fields, const nbj__json *want, const nbj__js_where *where,
                             uint32_t *level, nbj_error *error);

/* Whether |want| has a member that an older server would leave out without a word. */
bool nbj__fields_may_be_dropped(const nbj__fields *fields, const nbj__json *want);

/* Members of |want| that |has| has not, or otherwise, as text into |out|: "max_msgs is 5, wanted 10". What |has| has
 * besides does not matter, nor what is to go back to its default. Returns how many. */
size_t nbj__fields_differ(const nbj__fields *fields, const nbj__json *want, const nbj__json *has, nbj__text *out);

#endif
