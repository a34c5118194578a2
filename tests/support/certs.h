/* SPDX-License-Identifier: Apache-2.0 */
/* Certificates for tests, good and bad, made anew for each test program in a folder of their own. Each NAME is two
 * files, NAME.pem and NAME.key; the authorities are ca.pem and other_ca.pem.
 *
 *   server          by ca, for localhost, 127.0.0.1 and ::1
 *   name, ip        likewise, for localhost alone and for 127.0.0.1 alone
 *   elsewhere       by ca, for names that are not ours
 *   nameless        by ca, for localhost by its common name alone
 *   expired, early  as server, but no longer and not yet valid
 *   stranger        as server, but by other_ca
 *   self_signed     as server, but by itself
 *   client          by ca, for clients
 *   client_stranger, client_expired  as client, but by other_ca, and no longer valid
 *
 * ca_expired.pem is ca with the same key, no longer valid. Whatever cannot be done fails the test. */
#ifndef NBJ_TEST_CERTS_H
#define NBJ_TEST_CERTS_H

#include <stddef.h>

typedef struct ts_certs ts_certs;

ts_certs *ts_certs_make(void);
void ts_certs_free(ts_certs *c); /* removes the files; NULL is allowed */

/* These texts live as long as |c|. */
const char *ts_certs_path(ts_certs *c, const char *file);
/* "tls { … }" for nats-server: certificate |name|, ca as the clients' authority, and |more| settings ("" for none). */
const char *ts_certs_config(ts_certs *c, const char *name, const char *more);

/* Replaces |file| by the content of |from|, as somebody who renews a certificate would. */
void ts_certs_replace(ts_certs *c, const char *file, const char *from);
void ts_certs_write(ts_certs *c, const char *file, const void *octets, size_t len);

/* A key of another kind than those of the certificates. */
void ts_certs_make_odd_key(ts_certs *c, const char *file);

/* Stores NAME.key encrypted with a password as |file|. */
void ts_certs_encrypt_key(ts_certs *c, const char *name, const char *file);

#endif
