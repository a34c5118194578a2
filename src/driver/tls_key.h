/* SPDX-License-Identifier: Apache-2.0 */
/* The private key in a PEM file. OpenSSL's own decoder gives memory back with the key and its text in it; what is decoded
 * here is wiped. It knows the usual forms alone: RSA, EC on a named curve with the public key, Ed25519 and Ed448, in
 * PKCS #8 or the form of their own that came before it. */
#ifndef NBJ_DRIVER_TLS_KEY_H
#define NBJ_DRIVER_TLS_KEY_H

#include <nbj/bytes.h>
#include <openssl/types.h>

/* The first key in |pem|. NULL: it is of another form, or memory is lacking. OpenSSL's queue of errors stays as it was. */
EVP_PKEY *nbj__tls_key_read(nbj_bytes pem);

/* Overwrites all private keys in |pem| with blank lines: for a file of certificates that holds their key as well. */
void nbj__tls_key_hide(uint8_t *pem, size_t len);

#endif
