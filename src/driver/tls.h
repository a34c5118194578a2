/* SPDX-License-Identifier: Apache-2.0 */
/* TLS for one connection: octets of the network on one side, octets of the protocol on the other, OpenSSL on memory
 * BIOs in between. It owns no socket, so nothing here blocks or raises SIGPIPE; reading the files of the options is the
 * only touch with the world.
 *
 *   shaking → open → over, for a reason that stays (nbj__tls_error)
 *
 * Two threads may use one object: one that reads (put, end, read) and one that writes (write, output, sent, close). The
 * handshake is done before by one alone. A lock around OpenSSL's object is held for one record at a time.
 *
 * What |write| has taken counts as written: it is encrypted at once and cannot be taken back or written again. At most
 * 80 KiB of it wait here for the socket, as if its own buffer were larger by so much. */
#ifndef NBJ_DRIVER_TLS_H
#define NBJ_DRIVER_TLS_H

#include <nbj/alloc.h>
#include <nbj/bytes.h>
#include <nbj/status.h>
#include <stdbool.h>

typedef struct nbj__tls nbj__tls;

typedef struct nbj__tls_options {
    const nbj_allocator *alloc; /* of the object itself; OpenSSL uses malloc */
    const char *host;           /* name or IP address that was dialled, with or without brackets */
    const char *server_name;    /* what the certificate must name instead; NULL: |host| */
    const char *ca_file;        /* authorities to trust, PEM; NULL: the system's */
    const char *cert_file;      /* our certificate and those that link it to its authority, PEM; NULL: none */
    const char *key_file;       /* its key, PEM; NULL: it is in |cert_file| */
    bool insecure_skip_verify;  /* any certificate will do */
} nbj__tls_options;

/* |from| with copies of its texts, to be freed; zeroed on failure, which is NBJ_E_NOMEM. */
nbj_status nbj__tls_options_copy(nbj__tls_options *out, const nbj__tls_options *from);
void nbj__tls_options_free(nbj__tls_options *o);

/* Reads the files anew. NBJ_E_TLS_FILE: |error| names the file and the cause; NBJ_E_INVALID, NBJ_E_TLS, NBJ_E_NOMEM.
 * On failure *|out| is NULL. */
nbj_status nbj__tls_new(nbj__tls **out, const nbj__tls_options *options, nbj_error *error);
void nbj__tls_free(nbj__tls *t); /* NULL is allowed */

/* NBJ_OK: done; NBJ_MORE: send |output|, put what comes, call again. Else the failure; |output| may hold an alert that
 * tells the server why. */
nbj_status nbj__tls_handshake(nbj__tls *t);

/* Takes octets from the network; *|taken| may be less than all while there is something to read. */
nbj_status nbj__tls_put(nbj__tls *t, nbj_bytes octets, size_t *taken);
void nbj__tls_end(nbj__tls *t); /* no more will come; what has come can be read */

/* NBJ_OK: *|n| > 0 octets at |out|. NBJ_MORE: none for now. NBJ_E_EOF: the end. There may be new |output| after it. */
nbj_status nbj__tls_read(nbj__tls *t, uint8_t *out, size_t cap, size_t *n);

/* Encrypts the first *|taken| octets, none while too much |output| waits or the handshake is not done. */
nbj_status nbj__tls_write(nbj__tls *t, nbj_bytes plain, size_t *taken);
nbj_bytes nbj__tls_output(nbj__tls *t);       /* to be sent to the network; lives until |sent| or |free| */
void nbj__tls_sent(nbj__tls *t, size_t len);  /* the first |len| octets of it were */
bool nbj__tls_has_output(nbj__tls *t);        /* callable by both threads */
void nbj__tls_close(nbj__tls *t);             /* adds a farewell (close_notify) to |output| */
nbj_status nbj__tls_status(nbj__tls *t);      /* NBJ_OK: it is not over. By any thread */
const nbj_error *nbj__tls_error(nbj__tls *t); /* once it is over: why */

#endif
