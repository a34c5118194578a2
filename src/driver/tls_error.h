/* SPDX-License-Identifier: Apache-2.0 */
/* From what OpenSSL says to what went wrong and what to do about it. */
#ifndef NBJ_DRIVER_TLS_ERROR_H
#define NBJ_DRIVER_TLS_ERROR_H

#include <nbj/bytes.h>
#include <nbj/status.h>
#include <openssl/x509.h>
#include <stdbool.h>

/* What OpenSSL's error queue of this thread told. */
typedef struct nbj__tls_cause {
    unsigned long first, last; /* 0: nothing */
    bool no_memory;
} nbj__tls_cause;

nbj__tls_cause nbj__tls_take_cause(void);                /* empties the queue */
const char *nbj__tls_reason_text(unsigned long code);    /* never NULL */
bool nbj__tls_is_reason(unsigned long code, int reason); /* of TLS itself */

/* What is known of a connection that failed. */
typedef struct nbj__tls_story {
    const char *name; /* the server's, as it was to be verified */
    nbj_bytes began;  /* the first octets that came */
    bool is_open;     /* the handshake was done on our side */
    bool has_cert;    /* we have a certificate of our own */
    bool was_asked;   /* the server asked for one and got none */
} nbj__tls_story;

/* Sets |error| to why the certificate that |ctx| is about was not accepted. */
void nbj__tls_explain_certificate(nbj_error *error, X509_STORE_CTX *ctx, const char *name);

/* Sets |error| to why TLS ended. */
void nbj__tls_explain(nbj_error *error, const nbj__tls_cause *cause, const nbj__tls_story *story);

#endif
