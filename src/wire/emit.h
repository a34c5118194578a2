/* SPDX-License-Identifier: Apache-2.0 */
/* The client's operations, encoded straight into the outgoing buffer: all of one or nothing. Subjects, queue names and
 * headers have been checked by the caller. NBJ_OK, NBJ_E_FULL or NBJ_E_NOMEM. */
#ifndef NBJ_WIRE_EMIT_H
#define NBJ_WIRE_EMIT_H

#include "base/buf.h"

#include <nbj/headers.h>
#include <stdbool.h>

typedef struct nbj__outgoing {
    nbj_bytes subject;
    nbj_bytes reply; /* empty: none */
    const nbj_header *headers;
    size_t header_count; /* 0: PUB, else HPUB */
    nbj_bytes payload;
} nbj__outgoing;

/* Octets that count against the server's max_payload: header block and payload. */
size_t nbj__outgoing_size(const nbj__outgoing *m);

nbj_status nbj__emit_pub(nbj__buf *out, const nbj__outgoing *m);
nbj_status nbj__emit_sub(nbj__buf *out, nbj_bytes subject, nbj_bytes queue, uint64_t sid); /* empty queue: none */
nbj_status nbj__emit_unsub(nbj__buf *out, uint64_t sid, uint64_t max);                     /* |max| 0: at once */

/* Length of the operation that |ops|, octets written by this file, begins with. *|is_pub| says whether it is PUB or
 * HPUB. 0 when the operation is not there as a whole. */
size_t nbj__emitted_len(nbj_bytes ops, bool *is_pub);

#endif
