/* SPDX-License-Identifier: Apache-2.0 */
/* From the names of certificate and key files to OpenSSL's context: what is trusted, who we are, how little security is
 * too little. What a file held is wiped when it has been read, but for the copies that OpenSSL makes while it decodes a
 * key: it wipes those of its final form only. */
#ifndef NBJ_DRIVER_TLS_CONTEXT_H
#define NBJ_DRIVER_TLS_CONTEXT_H

#include "driver/tls.h"

#include <openssl/ssl.h>

/* As nbj__tls_new. Leaves nothing in OpenSSL's error queue. */
nbj_status nbj__tls_context_new(SSL_CTX **out, const nbj__tls_options *o, nbj_error *error);

#endif
