/* SPDX-License-Identifier: Apache-2.0 */
/* Octets in JSON: base64 with the standard alphabet and padding (RFC 4648, section 4), read strictly. */
#ifndef NBJ_BASE_BASE64_H
#define NBJ_BASE_BASE64_H

#include <nbj/bytes.h>
#include <stdbool.h>

/* What |len| characters decode to, at most. */
static inline size_t nbj__base64_room(size_t len)
{
    return len / 4 * 3;
}

/* Decodes all of |text| to |out|, which has room for it. False: it is none; then |out|'s octets are anything. */
bool nbj__base64_decode(nbj_bytes text, uint8_t *out, size_t *len);

#endif
