/* SPDX-License-Identifier: Apache-2.0 */
/* Payloads that say who they are and whose every octet can be recomputed: a swap, cut, repeat or forgery shows. */
#ifndef SIM_PAYLOAD_H
#define SIM_PAYLOAD_H

#include "buf.h"

/* "<kind><id>:" and octets that follow from both, |size| in all, or what the first needs where that is more. */
void payload_make(buf *out, char kind, uint64_t id, size_t size);
bool payload_read(str data, char *kind, uint64_t *id); /* what it says it is */
bool payload_is(str data, char kind, uint64_t id, size_t size);

#endif
