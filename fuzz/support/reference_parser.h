/* SPDX-License-Identifier: Apache-2.0 */
/* A second parser of what servers send, for comparison: written from the protocol's description alone, slow and plain,
 * without state and without anything of src/. It looks at the octets from a frame's first on, each time anew. */
#ifndef NBJ_FUZZ_REFERENCE_PARSER_H
#define NBJ_FUZZ_REFERENCE_PARSER_H

#include <stddef.h>
#include <stdint.h>

typedef enum ref_result {
    REF_FRAME, /* a whole legal frame is there */
    REF_MORE,  /* what is there may become one */
    REF_BAD,   /* it cannot; the end of a payload is judged when all of the frame is there */
} ref_result;

typedef struct ref_part { /* octets |from| to |from| + |len| - 1 of the input; where |len| is 0 |from| means nothing */
    size_t from, len;
} ref_part;

typedef struct ref_frame {
    const char *verb; /* in capitals */
    uint64_t sid;
    ref_part subject, reply, headers, payload; /* MSG, HMSG */
    ref_part text;                             /* INFO, -ERR */
    size_t size;                               /* of the whole frame */
} ref_frame;

ref_result ref_parse(const uint8_t *in, size_t len, ref_frame *out);

#endif
