/* SPDX-License-Identifier: Apache-2.0 */
/* The CONNECT operation. */
#ifndef NBJ_WIRE_CONNECT_H
#define NBJ_WIRE_CONNECT_H

#include "base/buf.h"

#include <stdbool.h>

typedef struct nbj__connect {
    nbj_bytes name; /* empty texts are left out */
    nbj_bytes user, password, auth_token;
    nbj_bytes jwt, nkey, signature;
    bool verbose, pedantic, no_echo, tls, headers;
} nbj__connect;

/* Writes "CONNECT {…}" with its CRLF. NBJ_E_FULL, NBJ_E_NOMEM: |out| may hold a part of it. */
nbj_status nbj__emit_connect(nbj__buf *out, const nbj__connect *c);

#endif
