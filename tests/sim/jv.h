/* SPDX-License-Identifier: Apache-2.0 */
/* The simulator's own JSON: a strict reader (RFC 8259, no duplicate keys, depth 32) and the few writers the
 * model server needs. */
#ifndef SIM_JV_H
#define SIM_JV_H

#include "buf.h"

typedef enum jv_kind { JV_NULL, JV_BOOL, JV_INT, JV_REAL, JV_TEXT, JV_LIST, JV_OBJECT } jv_kind;

typedef struct jv jv;
struct jv {
    jv_kind kind;
    int64_t num; /* BOOL, INT */
    str text;    /* TEXT: decoded; REAL and INT: as written */
    str key;     /* as a member of an object */
    jv *child, *next;
};

typedef struct jv_doc {
    jv *root;
    struct jv_block *blocks;
    const char *error; /* NULL: well-formed */
} jv_doc;

jv_doc jv_parse(str text); /* never fails to return; look at .error */
void jv_free(jv_doc *doc);
const jv *jv_get(const jv *object, const char *key); /* NULL where absent or not an object */
str jv_str(const jv *object, const char *key);       /* empty where absent or not a text */
int64_t jv_int(const jv *object, const char *key, int64_t otherwise);
bool jv_true(const jv *object, const char *key);

void jv_write_text(buf *out, str text); /* with quotes and escapes */
void jv_write_base64(buf *out, str data);
void jv_write_time(buf *out, uint64_t unix_ns); /* quoted RFC 3339, UTC; 0 is Go's zero time */

#endif
