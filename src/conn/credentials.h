/* SPDX-License-Identifier: Apache-2.0 */
/* Who a client says it is, for one connection: what a driver brings when it is asked. Views; whoever fills it owns and
 * wipes what they show. */
#ifndef NBJ_CONN_CREDENTIALS_H
#define NBJ_CONN_CREDENTIALS_H

#include <nbj/bytes.h>

/* Any of them together, as a server's auth callout may want more than one. When all of |user|, |password| and |token|
 * are empty, those of the URL or of the options are sent. */
typedef struct nbj__credentials {
    nbj_bytes user, password;
    nbj_bytes token;
    nbj_bytes jwt;
    nbj_bytes nkey;      /* the public key; not needed beside |jwt| */
    nbj_bytes signature; /* of the nonce, in base64url */
} nbj__credentials;

#endif
