/* SPDX-License-Identifier: Apache-2.0 */
/* The header block of HMSG and HPUB (ADR-4):
 *     NATS/1.0[ status [description]] CRLF  *( name ":" value CRLF )  CRLF
 * Decoding reads in place and keeps names as they are. */
#ifndef NBJ_WIRE_HEADERS_H
#define NBJ_WIRE_HEADERS_H

#include <nbj/headers.h>
#include <nbj/status.h>
#include <stdbool.h>

typedef struct nbj__header_reader {
    nbj_bytes rest;  /* lines not read yet */
    uint16_t status; /* inline status, 100 to 999; 0: none */
    nbj_bytes description;
} nbj__header_reader;

/* Starts reading |block|. NBJ_E_PROTO: it does not begin as a header block does. */
nbj_status nbj__headers_open(nbj__header_reader *r, nbj_bytes block);

/* The next header. NBJ_MORE: that was the last. NBJ_E_PROTO: a line without ':', or the block's final blank line is
 * missing. Lines with an empty name are skipped. */
nbj_status nbj__headers_next(nbj__header_reader *r, nbj_header *out);

/* The first header of that very name: NBJ_OK, NBJ_E_NOT_FOUND, or NBJ_E_PROTO where the block is broken before it. */
nbj_status nbj__headers_find(nbj_bytes block, nbj_bytes name, nbj_bytes *value);

bool nbj__header_is_legal(const nbj_header *h);
bool nbj__header_value_is_legal(nbj_bytes value);

/* Length of the block for |n| headers: 0 for none, since a block without headers is not sent. */
size_t nbj__headers_size(const nbj_header *h, size_t n);

/* Writes that block to |out|; returns the octet after it. */
uint8_t *nbj__headers_write(uint8_t *out, const nbj_header *h, size_t n);

#endif
