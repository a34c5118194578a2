/* SPDX-License-Identifier: Apache-2.0 */
/* Short texts built without stdio: errors, tokens, small JSON. Appends into a caller's array, always NUL-terminated;
 * what does not fit is cut and remembered. */
#ifndef NBJ_BASE_TEXT_H
#define NBJ_BASE_TEXT_H

#include <nbj/bytes.h>
#include <nbj/status.h>
#include <stdbool.h>

typedef struct nbj__text {
    char *ptr;
    size_t len;
    size_t cap; /* octets at |ptr|, the NUL among them; at least 1 */
    bool cut;   /* something did not fit */
} nbj__text;

nbj__text nbj__text_into(char *array, size_t cap);
void nbj__text_add(nbj__text *t, const char *s);
void nbj__text_add_bytes(nbj__text *t, nbj_bytes b);
void nbj__text_add_clean(nbj__text *t, nbj_bytes b); /* control characters and what is not UTF-8 become '?' */
void nbj__text_add_u64(nbj__text *t, uint64_t n);
void nbj__text_add_i64(nbj__text *t, int64_t n);
nbj_bytes nbj__text_view(const nbj__text *t);

/* At most 20 digits to |out|; returns how many. */
size_t nbj__format_u64(uint8_t *out, uint64_t n);

/* |word| as a decimal of at most |max|: no sign, no blank, not empty. Writes |out| on success only. */
bool nbj__parse_u64(nbj_bytes word, uint64_t max, uint64_t *out);

/* Length of the UTF-8 sequence that |b| begins with, 1 to 4; 0: it begins with none. */
size_t nbj__utf8_len(nbj_bytes b);

/* Fills |error| (may be NULL) with |status| and the parts of |parts| in a row, up to the first NULL; all of it, so that
 * its copies carry nothing that the stack held before. Returns |status|. */
nbj_status nbj__error_set(nbj_error *error, nbj_status status, ...);
void nbj__error_add(nbj_error *error, const char *more); /* behind the text that it has */

#endif
